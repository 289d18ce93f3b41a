/*
 * Metrics from sorted scores.
 *
 * Rows are sorted by (logit, label, weight), so every sum below runs in an order that depends on the rows
 * alone: not on the threads that made them, nor on the order in which they came.
 */
#include "metrics.h"
#include <math.h>
#include <string.h>

/* One row, or whatever else is to be sorted: words from the least significant on. */
typedef struct {
	uint32_t word[3 * sizeof(mtl_real) / 4 + 1];
} Record;

enum {
	PER = sizeof(mtl_real) / 4, /* words of a number */
	WEIGHT = 0,
	LABEL = PER,
	LOGIT = 2 * PER,
	INDEX = 3 * PER,
	SORTED_WORDS = 3 * PER,
	ECE_BINS = MTL_BINS
};

struct MtlScores {
	const MtlSys *sys;
	MtlScoresKind kind;
	Record *row;
	uint64_t *group; /* by INDEX; NULL until a group is seen; 0: the row belongs to none */
	int64_t n, cap;
};

/* ---- collecting ---- */

#ifdef MTL_DOUBLE
typedef uint64_t Key;
#else
typedef uint32_t Key;
#endif
static const Key sign = (Key)1 << (8 * sizeof(Key) - 1);

/* Bits whose order as unsigned numbers is that of the numbers, for any but NaN and -0. */
static Key ordered(mtl_real x)
{
	Key b;
	memcpy(&b, &x, sizeof b);
	return b & sign ? ~b : b | sign;
}

static void put(Record *r, int word, mtl_real x)
{
	Key k = ordered(x);
	memcpy(&r->word[word], &k, sizeof k); /* the least significant word first */
}

static Key key(const Record *r, int word)
{
	Key k;
	memcpy(&k, &r->word[word], sizeof k);
	return k;
}

static double value(Key k)
{
	Key b = k & sign ? k & ~sign : ~k;
	mtl_real x;
	memcpy(&x, &b, sizeof x);
	return (double)x;
}

MtlScores *mtl_scores_new(const MtlSys *sys)
{
	MtlScores *s = mtl_new(sys, MtlScores, 1);
	if (s) s->sys = sys;
	return s;
}

void mtl_scores_kind(MtlScores *s, MtlScoresKind kind) { s->kind = kind; }

void mtl_scores_free(MtlScores *s)
{
	if (!s) return;
	mtl_release(s->sys, s->row);
	mtl_release(s->sys, s->group);
	mtl_release(s->sys, s);
}

void mtl_scores_clear(MtlScores *s)
{
	if (s->group) memset(s->group, 0, (size_t)s->n * sizeof *s->group);
	s->n = 0;
}

static MtlStatus make_room(MtlScores *s, int64_t more, bool groups, MtlError *e)
{
	int64_t need, cap = s->cap;
	if (__builtin_add_overflow(s->n, more, &need) || need > UINT32_MAX)
		return mtl_fail(e, MTL_LIMIT, "", NULL, "more than %u rows to evaluate at once", UINT32_MAX);
	if (need > cap) cap = need > 2 * cap ? (need > 4096 ? need : 4096) : 2 * cap;
	Record *row = cap > s->cap ? mtl_new(s->sys, Record, cap) : s->row;
	uint64_t *group =
	    (groups || s->group) && (cap > s->cap || !s->group) ? mtl_new(s->sys, uint64_t, cap) : s->group;
	if (!row || ((groups || s->group) && !group)) {
		if (row != s->row) mtl_release(s->sys, row);
		if (group != s->group) mtl_release(s->sys, group);
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the scores of %lld rows",
				(long long)need);
	}
	if (row != s->row) {
		if (s->n) memcpy(row, s->row, (size_t)s->n * sizeof *row);
		mtl_release(s->sys, s->row);
		s->row = row;
	}
	if (group != s->group) {
		if (s->group) memcpy(group, s->group, (size_t)s->n * sizeof *group);
		mtl_release(s->sys, s->group);
		s->group = group;
	}
	s->cap = cap;
	return MTL_OK;
}

MtlStatus mtl_scores_add(MtlScores *s, const mtl_real *row, int64_t stride, int64_t n, const uint64_t *group,
			 MtlError *e)
{
	MtlStatus st = make_room(s, n, group != NULL, e);
	if (st) return st;
	int64_t at = s->n;
	for (int64_t i = 0; i < n; i++, row += stride) {
		mtl_real logit = row[0] + 0.0f, label = row[1] + 0.0f,
			 weight = row[2]; /* + 0 makes -0 equal to 0 */
		if (weight == 0) continue;
		if (isnan(logit))
			return mtl_fail(e, MTL_NUMBERS, "", NULL, "a prediction is not a number (NaN)");
		if (s->kind == MTL_SCORES_VALUE ? !isfinite(label) : !(label >= 0 && label <= 1))
			return mtl_fail(e, MTL_NUMBERS, "", NULL, "a label is not %s: %g",
					s->kind == MTL_SCORES_VALUE ? "a finite number" : "between 0 and 1",
					(double)label);
		if (!(weight > 0 && weight < INFINITY))
			return mtl_fail(e, MTL_NUMBERS, "", NULL,
					"a row weight is not a finite positive number: %g", (double)weight);
		put(&s->row[at], WEIGHT, weight);
		put(&s->row[at], LABEL, label);
		put(&s->row[at], LOGIT, logit);
		s->row[at].word[INDEX] = (uint32_t)at;
		if (s->group) s->group[at] = group ? group[i] : 0;
		at++;
	}
	s->n = at;
	return MTL_OK;
}

/* ---- sorting ---- */

enum { DIGITS = 3, DIGIT_BITS = 11, BUCKETS = 1 << DIGIT_BITS };

static uint32_t digit_of(uint32_t word, int d) { return (word >> (d * DIGIT_BITS)) & (BUCKETS - 1); }

/* Stable, by word 0 .. words - 1, the last one first in importance; digits equal in all records cost nothing.
 */
static void radix_sort(Record *a, Record *scratch, int64_t n, int words)
{
	Record *from = a, *to = scratch;
	for (int w = 0; w < words && n > 1; w++) {
		uint32_t count[DIGITS][BUCKETS] = {{0}};
		for (int64_t i = 0; i < n; i++)
			for (int d = 0; d < DIGITS; d++) count[d][digit_of(from[i].word[w], d)]++;
		for (int d = 0; d < DIGITS; d++) {
			if (count[d][digit_of(from[0].word[w], d)] == (uint64_t)n) continue;
			uint32_t place = 0;
			for (int b = 0; b < BUCKETS; b++) {
				uint32_t c = count[d][b];
				count[d][b] = place;
				place += c;
			}
			for (int64_t i = 0; i < n; i++)
				to[count[d][digit_of(from[i].word[w], d)]++] = from[i];
			Record *swap = from;
			from = to;
			to = swap;
		}
	}
	if (from != a) memcpy(a, from, (size_t)n * sizeof *a);
}

/* ---- measuring ---- */

static double weight_of(const Record *r) { return value(key(r, WEIGHT)); }
static double label_of(const Record *r) { return value(key(r, LABEL)); }
static double logit_of(const Record *r) { return value(key(r, LOGIT)); }

/* log(1 + e^z) */
static double softplus(double z) { return (z > 0 ? z : 0) + log1p(exp(-fabs(z))); }

static double sigmoid(double z)
{
	double e = exp(-fabs(z));
	return (z >= 0 ? 1 : e) / (1 + e);
}

/*
 * A share y of a row counts as positive, 1 - y as negative: the probability that a positive is above a
 * negative, by weight, ties half.  Fed with rows of rising logit.
 */
typedef struct {
	double positive, negative;	   /* below the current logit */
	double tie_positive, tie_negative; /* at it */
	double pairs;			   /* won */
	Key logit;
} Auc;

static void auc_tie(Auc *a)
{
	a->pairs += a->tie_positive * (a->negative + 0.5 * a->tie_negative);
	a->positive += a->tie_positive;
	a->negative += a->tie_negative;
	a->tie_positive = a->tie_negative = 0;
}

static void auc_add(Auc *a, const Record *r)
{
	double w = weight_of(r), y = label_of(r);
	if (key(r, LOGIT) != a->logit) auc_tie(a);
	a->logit = key(r, LOGIT);
	a->tie_positive += w * y;
	a->tie_negative += w * (1 - y);
}

static double auc_end(Auc *a)
{
	auc_tie(a);
	return a->pairs / (a->positive * a->negative); /* 0 / 0 with one class only */
}

/*
 * Var(AUC) = sum_i w_i^2 (V_i - AUC)^2 / P^2 + sum_j w_j^2 (V_j - AUC)^2 / N^2, where V_i is the share of the
 * negatives below positive i and V_j that of the positives above negative j, ties half (DeLong, DeLong and
 * Clarke-Pearson 1988, with weights; divided by n where they divide by n - 1).
 */
static double auc_error(const MtlScores *s, double auc, double P, double N)
{
	double below[2] = {0, 0}, square[2] = {0, 0};
	for (int64_t i = 0; i < s->n;) {
		double at[2] = {0, 0};
		int64_t end = i;
		for (; end < s->n && key(&s->row[end], LOGIT) == key(&s->row[i], LOGIT); end++) {
			double w = weight_of(&s->row[end]), y = label_of(&s->row[end]);
			at[0] += w * (1 - y);
			at[1] += w * y;
		}
		double won = (below[0] + 0.5 * at[0]) / N - auc,
		       lost = (P - below[1] - 0.5 * at[1]) / P - auc;
		for (; i < end; i++) {
			double w = weight_of(&s->row[i]), y = label_of(&s->row[i]);
			square[1] += w * y * w * y * won * won;
			square[0] += w * (1 - y) * w * (1 - y) * lost * lost;
		}
		below[0] += at[0];
		below[1] += at[1];
	}
	return sqrt(square[1] / (P * P) + square[0] / (N * N));
}

static void close_bin(MtlMetrics *m, MtlBin *b, double *off)
{
	*off += fabs(b->prediction - b->label);
	if (b->weight > 0)
		m->bin[m->n_bin++] = (MtlBin){b->weight, b->prediction / b->weight, b->label / b->weight};
	*b = (MtlBin){0};
}

static void sums(const MtlScores *s, MtlMetrics *m)
{
	Auc auc = {0};
	double loss = 0, predicted = 0, off = 0, w2 = 0, w2l = 0, w2l2 = 0;
	MtlBin bin = {0}; /* sums so far */
	int bins = 0;	  /* closed */

	for (int64_t i = 0; i < s->n; i++) {
		const Record *r = &s->row[i];
		double z = logit_of(r), y = label_of(r), w = weight_of(r), p = sigmoid(z);
		auc_add(&auc, r);
		/* Not y * sp(-z) + ... at once: 0 * inf would be NaN where the loss of the row is 0. */
		double l = (y > 0 ? w * y * softplus(-z) : 0) + (y < 1 ? w * (1 - y) * softplus(z) : 0);
		loss += l;
		w2 += w * w;
		w2l += w * l;
		w2l2 += l * l;
		m->weight += w;
		m->positives += w * y;
		predicted += w * p;
		bin.weight += w;
		bin.prediction += w * p;
		bin.label += w * y;
		bool tie = i + 1 < s->n && key(r + 1, LOGIT) == key(r, LOGIT);
		if (!tie && i + 1 >= s->n * (bins + 1) / ECE_BINS) {
			close_bin(m, &bin, &off);
			while (bins < ECE_BINS && i + 1 >= s->n * (bins + 1) / ECE_BINS) bins++;
		}
	}
	m->auc = auc_end(&auc);
	m->auc_error = auc_error(s, m->auc, auc.positive, auc.negative);
	m->logloss = loss / m->weight;
	/* sum of (w l - w mean)^2, l being weighted already */
	m->logloss_error =
	    sqrt(fmax(0, w2l2 - 2 * m->logloss * w2l + m->logloss * m->logloss * w2)) / m->weight;
	m->mean_prediction = predicted / m->weight;
	m->mean_label = m->positives / m->weight;
	m->ece = off / m->weight;
	double base = m->mean_label, entropy = -base * log(base) - (1 - base) * log1p(-base);
	m->ne = base > 0 && base < 1 ? m->logloss / entropy : NAN;
	m->calibration = base > 0 ? m->mean_prediction / base : NAN;
}

static void value_sums(const MtlScores *s, MtlMetrics *m)
{
	double squares = 0, sizes = 0, predicted = 0, label = 0;
	for (int64_t i = 0; i < s->n; i++) {
		const Record *r = &s->row[i];
		double p = logit_of(r), y = label_of(r), w = weight_of(r);
		squares += w * (p - y) * (p - y);
		sizes += w * fabs(p - y);
		predicted += w * p;
		label += w * y;
		m->weight += w;
	}
	m->rmse = sqrt(squares / m->weight);
	m->mae = sizes / m->weight;
	m->mean_prediction = predicted / m->weight;
	m->mean_label = label / m->weight;
	m->calibration = m->mean_label != 0 ? m->mean_prediction / m->mean_label : NAN;
}

static void class_sums(const MtlScores *s, MtlMetrics *m)
{
	double loss = 0, right = 0;
	for (int64_t i = 0; i < s->n; i++) {
		const Record *r = &s->row[i];
		loss += weight_of(r) * logit_of(r);
		right += weight_of(r) * label_of(r);
		m->weight += weight_of(r);
	}
	m->cross_entropy = loss / m->weight;
	m->accuracy = right / m->weight;
}

/* Heap sort, the largest first: in place. */
static void sort_falling(double *a, int64_t n)
{
	for (int64_t start = n / 2, end = n; end > 1;) {
		double x;
		if (start > 0) {
			x = a[--start];
		} else {
			x = a[--end];
			a[end] = a[0];
		}
		int64_t hole = start, child;
		while ((child = 2 * hole + 1) < end) {
			if (child + 1 < end && a[child + 1] < a[child]) child++;
			if (!(a[child] < x)) break;
			a[hole] = a[child];
			hole = child;
		}
		a[hole] = x;
	}
}

/*
 * Sum of gain / log2(1 + rank) over the same of the best order; rows of one score share the mean of their
 * ranks' factors.  The gain is the label, or the value if that is above 0.  NaN in a group without any gain.
 */
static double ndcg(const MtlScores *s, const Record *member, int64_t n, double *gain)
{
	double got = 0, best = 0;
	for (int64_t i = n; i > 0;) {
		int64_t from = i;
		Key score = key(&s->row[member[i - 1].word[2]], LOGIT);
		double gains = 0, factors = 0;
		for (; i > 0; i--) {
			const Record *r = &s->row[member[i - 1].word[2]];
			if (key(r, LOGIT) != score) break;
			double y = label_of(r);
			gain[i - 1] = y > 0 ? y : 0;
			gains += gain[i - 1];
			factors += 1 / log2((double)(n - i + 2));
		}
		got += gains * factors / (double)(from - i);
	}
	sort_falling(gain, n);
	for (int64_t i = 0; i < n; i++) best += gain[i] / log2((double)(i + 2));
	return got / best;
}

/* Rows brought together by group, in rising logit within each since the sort is stable. */
static MtlStatus grouped(const MtlScores *s, Record *scratch, MtlMetrics *out, MtlError *e)
{
	Record *member = mtl_new(s->sys, Record, s->n);
	double *gain = mtl_new(s->sys, double, s->n);
	if (!member || !gain) {
		mtl_release(s->sys, member);
		mtl_release(s->sys, gain);
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory to sort %lld rows by group",
				(long long)s->n);
	}
	int64_t n = 0;
	for (int64_t i = 0; i < s->n; i++) {
		uint64_t g = s->group[s->row[i].word[INDEX]];
		if (g) member[n++] = (Record){{(uint32_t)g, (uint32_t)(g >> 32), (uint32_t)i}};
	}
	radix_sort(member, scratch, n, 2);

	double sum = 0, weights = 0, ranked = 0, groups = 0;
	for (int64_t i = 0; i < n;) {
		int64_t first = i;
		uint32_t low = member[i].word[0], high = member[i].word[1];
		Auc auc = {0};
		for (; i < n && member[i].word[0] == low && member[i].word[1] == high; i++)
			auc_add(&auc, &s->row[member[i].word[2]]);
		double order = ndcg(s, member + first, i - first, gain);
		if (!isnan(order)) ranked += order, groups++;
		double a = auc_end(&auc), w = auc.positive + auc.negative;
		if (isnan(a)) continue;
		sum += w * a;
		weights += w;
	}
	mtl_release(s->sys, member);
	mtl_release(s->sys, gain);
	if (s->kind == MTL_SCORES_PROB) out->gauc = sum / weights;
	out->ndcg = ranked / groups;
	return MTL_OK;
}

MtlStatus mtl_scores_metrics(MtlScores *s, MtlMetrics *out, MtlError *e)
{
	*out = (MtlMetrics){.rows = s->n,
			    .auc = NAN,
			    .logloss = NAN,
			    .ne = NAN,
			    .calibration = NAN,
			    .ece = NAN,
			    .gauc = NAN,
			    .ndcg = NAN,
			    .mean_prediction = NAN,
			    .mean_label = NAN,
			    .auc_error = NAN,
			    .logloss_error = NAN,
			    .rmse = NAN,
			    .mae = NAN,
			    .accuracy = NAN,
			    .cross_entropy = NAN};
	if (s->n == 0) return MTL_OK;
	Record *scratch = mtl_new(s->sys, Record, s->n);
	if (!scratch)
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory to sort %lld rows", (long long)s->n);
	radix_sort(s->row, scratch, s->n, SORTED_WORDS);
	(s->kind == MTL_SCORES_VALUE ? value_sums : s->kind == MTL_SCORES_CLASS ? class_sums : sums)(s, out);
	MtlStatus st = s->group && s->kind != MTL_SCORES_CLASS ? grouped(s, scratch, out, e) : MTL_OK;
	mtl_release(s->sys, scratch);
	return st;
}
