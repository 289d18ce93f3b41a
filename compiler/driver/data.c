/*
 * `mtlc data check` and `mtlc data stats`: a log as a model sees it.  One pass with the runtime's own pieces
 * (files, cells, numbers, labels); where the reader stops at a row's first fault, all of them are counted
 * here.
 */
#define _GNU_SOURCE
#include "driver/afterwards.h"
#include "driver/commands.h"
#include "driver/describe.h"
#include "driver/distinct.h"
#include "runtime/label.h"
#include "runtime/log.h"
#include "runtime/number.h"
#include "runtime/program.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* A kind of fault, in one column. */
typedef struct {
	const char *code, *column;
	int64_t n;
	char text[1100]; /* of the first: "place: error[code]: message" */
} Problem;

typedef struct {
	int want;
	int64_t empty, unknown, numbers, items, most_items, cut;
	double min, max, sum;
	int64_t largest;   /* of a feature with size: n, or -1 */
	Distinct distinct; /* of cells; of a list's items */
} Seen;

typedef struct {
	int64_t n[2][2]; /* rows where both are known: [a][b] */
} Pair;

typedef struct {
	Arena *arena;
	MtlModel m;
	MtlCodes codes;
	MtlLog log;
	Seen *feature;		   /* [n_feature] */
	int *label, weight, group; /* wants, -1: absent */
	int *sample;
	int64_t *zeros, *ones; /* [n_event] after the tree */
	Pair *pair;	       /* [n_event][n_event] */
	Afterwards afterwards;
	int64_t *against; /* [n_event][n_event]: the first happened, the second, its ancestor, did not */
	MtlTruth *column, *event, *stack;
	VEC(Problem) problem;
	int64_t rows, usable, contradictions;
	bool row_bad;
} Survey;

/* ---- faults ---- */

__attribute__((format(printf, 5, 6))) static void fault(Survey *v, const char *code, const char *column,
							int64_t cell, const char *fmt, ...)
{
	v->row_bad = true;
	for (int i = 0; i < v->problem.n; i++) {
		Problem *p = &v->problem.at[i];
		if (!strcmp(p->code, code) && !strcmp(p->column, column)) {
			p->n++;
			return;
		}
	}
	vec_push(v->arena, &v->problem, (Problem){.code = code, .column = column, .n = 1});
	Problem *p = &v->problem.at[v->problem.n - 1];
	char place[512];
	mtl_log_place(&v->log, cell, place, sizeof place);
	int n = snprintf(p->text, sizeof p->text, "%s: error[%s]: ", place, code);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->text + n, sizeof p->text - (size_t)n, fmt, ap);
	va_end(ap);
}

static void bad_cell(Survey *v, const char *code, int want, const char *what, const MtlCell *c)
{
	fault(v, code, v->log.want[want].name, v->log.field[want] + 1, "column \"%s\" %s: \"%s\"",
	      v->log.want[want].name, what, mtl_excerpt(c->p, c->n).s);
}

/* ---- one row ---- */

static void number_cell(Survey *v, const MtlFeature *f, Seen *s, const MtlCell *c)
{
	double x;
	if (!c->n) {
		s->empty++;
		if (f->missing == MTL_MISSING_ERROR)
			fault(v, "D0108", f->column, v->log.field[s->want] + 1,
			      "column \"%s\" is empty, and the model says no `missing:` for it", f->column);
		return;
	}
	if (!mtl_number(c->p, c->n, &x)) {
		bad_cell(v, "D0107", s->want, "is not a number", c);
		return;
	}
	if (f->code == MTL_PLAIN && !isfinite((float)x))
		bad_cell(v, "D0111", s->want, "is out of the range of a 32-bit float", c);
	else if (f->code == MTL_PLAIN && f->normal == MTL_LOG1P && x <= -1)
		bad_cell(v, "D0111", s->want, "has no log1p; it must be above -1", c);
	s->min = !s->numbers || x < s->min ? x : s->min;
	s->max = !s->numbers || x > s->max ? x : s->max;
	s->sum += x;
	s->numbers++;
	distinct_add(&s->distinct, XXH3_64bits(c->p, c->n));
}

/* Outside of a vocabulary that is written out, or of a range. */
static bool unknown(const Survey *v, int root, const char *p, size_t n)
{
	const MtlFeature *f = &v->m.feature[root];
	int32_t row = MTL_ROW_FIRST;
	if (f->code == MTL_VOCAB || f->code == MTL_SIZE) mtl_code_row(f, &v->codes.book[root], p, n, &row);
	return row == MTL_ROW_UNKNOWN;
}

/* The largest number of those that have a row, of a feature with size: n. */
static void range(const Survey *v, int root, Seen *s, const char *p, size_t n)
{
	const MtlFeature *f = &v->m.feature[root];
	int32_t row = MTL_ROW_FIRST;
	if (f->code != MTL_SIZE) return;
	mtl_code_row(f, &v->codes.book[root], p, n, &row);
	if (row >= MTL_ROW_FIRST && row - MTL_ROW_FIRST > s->largest) s->largest = row - MTL_ROW_FIRST;
}

static void list_cell(Survey *v, const MtlFeature *f, int root, Seen *s, const MtlCell *c)
{
	const char *p = c->p, *end = p + c->n, *item;
	size_t n;
	float weight;
	bool weighted;
	int64_t items = 0;
	bool numbers = v->m.feature[root].code == MTL_BUCKET || v->m.feature[root].code == MTL_QUANTILES;
	while (mtl_list_item(&p, end, mtl_cell_separator(c, f->separator), &item, &n, &weight, &weighted)) {
		double x;
		items++;
		if (numbers && !mtl_number(item, n, &x)) {
			fault(v, "D0109", f->column, v->log.field[s->want] + 1,
			      "column \"%s\" has a list item that is not a number: \"%s\"", f->column,
			      mtl_excerpt(item, n).s);
			return;
		}
		s->unknown += unknown(v, root, item, n);
		range(v, root, s, item, n);
		distinct_add(&s->distinct, XXH3_64bits(item, n));
	}
	s->empty += !items;
	s->items += items;
	s->most_items = items > s->most_items ? items : s->most_items;
	s->cut += f->max_items > 0 && items > f->max_items;
}

static void features(Survey *v)
{
	for (int i = 0; i < v->m.n_feature; i++) {
		Seen *s = &v->feature[i];
		const MtlCell *c = s->want < 0 ? NULL : mtl_log_cell(&v->log, s->want);
		if (!c) continue;
		const MtlFeature *f = &v->m.feature[i];
		int root = mtl_code_root(&v->m, i);
		afterwards_see(&v->afterwards, i, c->p, c->n, v->event);
		if (f->kind == MTL_BAG) {
			list_cell(v, f, root, s, c);
		} else if (f->kind == MTL_NUMBER || v->m.feature[root].code == MTL_BUCKET ||
			   v->m.feature[root].code == MTL_QUANTILES) {
			number_cell(v, f, s, c);
		} else if (!c->n) {
			s->empty++;
		} else {
			s->unknown += unknown(v, root, c->p, c->n);
			range(v, root, s, c->p, c->n);
			distinct_add(&s->distinct, XXH3_64bits(c->p, c->n));
		}
	}
}

static void count_events(Survey *v)
{
	int n = v->m.n_event;
	for (int a = 0; a < n; a++) {
		if (v->event[a] == MTL_MAYBE) continue;
		v->ones[a] += v->event[a] == MTL_TRUE;
		v->zeros[a] += v->event[a] == MTL_FALSE;
		for (int b = 0; b < n; b++)
			if (v->event[b] != MTL_MAYBE)
				v->pair[a * n + b].n[v->event[a] == MTL_TRUE][v->event[b] == MTL_TRUE]++;
	}
}

static void events(Survey *v)
{
	const MtlModel *m = &v->m;
	bool readable = true;
	for (int i = 0; i < m->n_event; i++) v->event[i] = MTL_MAYBE;
	for (int i = 0; i < m->n_label_column; i++) {
		const MtlCell *c = v->label[i] < 0 ? NULL : mtl_log_cell(&v->log, v->label[i]);
		v->column[i] = MTL_MAYBE;
		if (!c || !c->n) continue;
		if (c->n == 1 && (*c->p == '0' || *c->p == '1')) {
			v->column[i] = *c->p == '1' ? MTL_TRUE : MTL_FALSE;
		} else {
			bad_cell(v, "D0112", v->label[i], "is a label and must be 0, 1 or empty", c);
			readable = false;
		}
	}
	if (!readable) return;
	for (int i = 0; i < m->n_event; i++) v->event[i] = mtl_label_value(&m->event[i], v->column, v->stack);
	bool against = false;
	for (int i = 0; i < m->n_event; i++)
		for (int a = m->event[i].parent; v->event[i] == MTL_TRUE && a >= 0; a = m->event[a].parent)
			if (v->event[a] == MTL_FALSE) {
				v->against[i * m->n_event + a]++;
				against = true;
			}
	MtlTreeFinding found = mtl_label_tree(m, v->event);
	v->contradictions += against;
	if (found.contradiction && m->contradiction == MTL_CONTRADICTION_FAIL) {
		int64_t cell = 1;
		const MtlEvent *e = &m->event[found.event];
		for (int i = e->n_label; i-- > 0;)
			if (e->label[i] >= 0 && v->label[e->label[i]] >= 0)
				cell = v->log.field[v->label[e->label[i]]] + 1;
		fault(v, "D0114", e->name, cell, "event \"%s\" is 1 but \"%s\", which it needs, is 0",
		      e->name, m->event[found.ancestor].name);
	}
	if (!found.contradiction || found.mended) count_events(v);
}

static void outcomes(Survey *v)
{
	double x;
	for (int i = 0; i < v->m.n_sample; i++) {
		const MtlSample *s = &v->m.sample[i];
		const MtlCell *c = v->sample[i] < 0 ? NULL : mtl_log_cell(&v->log, v->sample[i]);
		if (!c || !c->n) continue;
		if (s->n_class) {
			if (mtl_sample_class(s, c->p, c->n) < 0)
				bad_cell(v, "D0115", v->sample[i],
					 s->class ? "names no class of the model"
						  : "is not the number of a class",
					 c);
		} else if (!mtl_number(c->p, c->n, &x) || !isfinite((float)x)) {
			bad_cell(v, "D0107", v->sample[i], "is not a number", c);
		} else if (s->positive && x < 0) {
			bad_cell(v, "D0116", v->sample[i], "is below 0, which a loss of the model excludes",
				 c);
		}
	}
	const MtlCell *w = v->weight < 0 ? NULL : mtl_log_cell(&v->log, v->weight);
	if (w && w->n && (!mtl_number(w->p, w->n, &x) || x < 0 || !isfinite((float)x)))
		bad_cell(v, "D0113", v->weight, "is the row weight and must be a number that is not negative",
			 w);
}

/* ---- the pass ---- */

/*
 * The want of a column, or -1 where no file has it: then that is a problem, in the reader's own words.  Each
 * column is asked for by itself, so that all that are missing are told.
 */
static int want(Survey *v, const char *column, const char *what, bool label, const char *const *path,
		int n_path, MtlFormat format, bool given)
{
	MtlLog l = {0};
	MtlError e = {0};
	MtlStatus st = mtl_log_init(&l, &mtl_sys, 1, &e);
	mtl_log_want(&l, column, what, label);
	if (!st) st = mtl_log_open(&l, path, n_path, format, given, &e);
	mtl_log_free(&l);
	if (!st) return mtl_log_want(&v->log, column, what, true);
	for (int i = 0; i < v->problem.n; i++)
		if (!strcmp(v->problem.at[i].text, e.text))
			return -1; /* two features of one column; a file that cannot be read */
	vec_push(v->arena, &v->problem,
		 (Problem){.code = arena_strdup(v->arena, e.code), .column = column, .n = 0});
	snprintf(v->problem.at[v->problem.n - 1].text, sizeof v->problem.at[0].text, "%s", e.text);
	return -1;
}

static MtlStatus survey(Survey *v, const char *const *path, int n_path, MtlFormat format, bool given,
			MtlError *e)
{
	MtlModel *m = &v->m;
	MtlStatus st = mtl_codes_init(&v->codes, &mtl_sys, m, e);
	if (!st) st = mtl_log_init(&v->log, &mtl_sys, m->n_feature + m->n_label_column + m->n_sample + 2, e);
	for (int i = 0; !st && i < n_path; i++)
		if (!mtl_stream_repeats(path[i]) && (!strcmp(path[i], "-") || !access(path[i], F_OK)))
			st = mtl_fail(e, MTL_USAGE, "D0008", path[i],
				      "the data are read more than once, and this cannot be");
	/* A file that cannot be opened at all is no matter of columns. */
	MtlLog probe = {0};
	if (!st) st = mtl_log_init(&probe, &mtl_sys, 1, e);
	if (!st) st = mtl_log_open(&probe, path, n_path, format, given, e);
	mtl_log_free(&probe);
	if (st) return st;
	int longest = 0;
	for (int i = 0; i < m->n_event; i++)
		longest = m->event[i].n_label > longest ? m->event[i].n_label : longest;
	size_t n_event = (size_t)m->n_event;
	v->feature = arena_new(v->arena, Seen, m->n_feature + 1);
	v->label = arena_new(v->arena, int, m->n_label_column + 1);
	v->sample = arena_new(v->arena, int, m->n_sample + 1);
	v->zeros = arena_new(v->arena, int64_t, n_event + 1);
	v->ones = arena_new(v->arena, int64_t, n_event + 1);
	v->pair = arena_new(v->arena, Pair, n_event * n_event + 1);
	v->against = arena_new(v->arena, int64_t, n_event * n_event + 1);
	v->column = arena_new(v->arena, MtlTruth, m->n_label_column + 1);
	v->event = arena_new(v->arena, MtlTruth, n_event + 1);
	v->stack = arena_new(v->arena, MtlTruth, longest + 1);
	afterwards_init(&v->afterwards, v->arena, m->n_feature, m->n_event);
	v->weight = v->group = -1;
	for (int i = 0; i < m->n_feature; i++)
		v->feature[i].largest = -1,
		v->feature[i].want = m->feature[i].n_cross ? -1 /* made of others */
							   : want(v, m->feature[i].column, "feature", false,
								  path, n_path, format, given);
	for (int i = 0; i < m->n_label_column; i++)
		v->label[i] = want(v, m->label_column[i], "label", true, path, n_path, format, given);
	for (int i = 0; i < m->n_sample; i++)
		v->sample[i] = want(v, m->sample[i].column, "label", true, path, n_path, format, given);
	if (m->weight_column)
		v->weight = want(v, m->weight_column, "row weight", false, path, n_path, format, given);
	if (m->group_column)
		v->group = want(v, m->group_column, "row group", false, path, n_path, format, given);
	int missing = v->problem.n;
	st = mtl_log_open(&v->log, path, n_path, format, given, e);
	while (!st) {
		MtlRowResult r = mtl_log_next(&v->log, e);
		if (r == MTL_ROW_FAIL) st = e->status;
		if (r == MTL_ROW_FAIL || r == MTL_ROW_END) break;
		v->rows++;
		v->row_bad = missing > 0; /* nobody can use a row without its columns */
		if (r == MTL_ROW_BAD) {
			const MtlCsv *c = &v->log.csv;
			if (c->why)
				fault(v, c->code, "", c->bad_cell, "%s", c->why);
			else
				fault(v, c->code, "", c->bad_cell,
				      "the row has %lld cells, the header has %lld", (long long)c->n_cell,
				      (long long)v->log.n_field);
		} else {
			outcomes(v);
			events(v);
			features(v);
		}
		v->usable += !v->row_bad;
	}
	return st;
}

/* ---- what is said ---- */

static double percent(int64_t k, int64_t n) { return n ? 100.0 * (double)k / (double)n : 0; }

/* A range or a vocabulary of which most is not in the log: its rows stay as they were initialised. */
static void idle_rows(const Survey *v, int i, FILE *to)
{
	const Seen *s = &v->feature[i];
	const MtlFeature *f = &v->m.feature[i];
	if (s->want < 0 || !v->rows || mtl_code_root(&v->m, i) != i) return;
	if (f->code == MTL_SIZE && 2 * (s->largest + 1) <= f->n)
		fprintf(to,
			"note: column \"%s\": the largest number is %lld, and size: %lld has rows up to %lld "
			"that nothing teaches\n",
			f->column, (long long)s->largest, (long long)f->n, (long long)f->n - 1);
	if (f->code == MTL_VOCAB && f->n && 2 * distinct_count(&s->distinct) <= f->n)
		fprintf(to, "note: column \"%s\": most of the %lld words of its vocabulary do not occur\n",
			f->column, (long long)f->n);
}

static void too_early(const Survey *v, int i, FILE *to)
{
	const char *same;
	for (int e = 0; e < v->m.n_event; e++)
		if (afterwards_of(&v->afterwards, i, e, &same)) {
			const char *name = v->m.event[e].name;
			fprintf(
			    to,
			    "note: column \"%s\" is %s%s%s in every row without %s, and not in those with "
			    "it: if it is known only afterwards, say `after: %s`\n",
			    v->m.feature[i].column, *same ? "\"" : "empty", same, *same ? "\"" : "", name,
			    name);
			return;
		}
}

static void say_check(const Survey *v, FILE *to)
{
	for (int i = 0; i < v->problem.n; i++) {
		const Problem *p = &v->problem.at[i];
		fprintf(to, "%s\n", p->text);
		if (p->n > 1)
			fprintf(to, "    the first of %lld, %.3g %% of the rows\n", (long long)p->n,
				percent(p->n, v->rows));
	}
	for (int i = 0; i < v->m.n_feature; i++) {
		const Seen *s = &v->feature[i];
		const MtlFeature *f = &v->m.feature[i];
		int64_t of = f->kind == MTL_BAG ? s->items : v->rows - s->empty;
		if (s->want >= 0 && of && 20 * s->unknown > of)
			fprintf(to,
				"note: column \"%s\": %.3g %% are outside of what the model lists and become "
				"one row, \"unknown\"\n",
				f->column, percent(s->unknown, of));
		if (s->want >= 0 && v->rows && s->empty == v->rows)
			fprintf(to, "note: column \"%s\" is empty everywhere\n", f->column);
		idle_rows(v, i, to);
		too_early(v, i, to);
	}
	for (int i = 0; i < v->m.n_event; i++) {
		bool known = v->ones[i] || v->zeros[i];
		if (known && (!v->ones[i] || !v->zeros[i]))
			fprintf(to, "note: event \"%s\" is never %d\n", v->m.event[i].name, !v->ones[i]);
		else if (!known && v->usable && v->m.event[i].n_label)
			fprintf(to, "note: event \"%s\" is never known\n", v->m.event[i].name);
	}
	if (v->contradictions && v->m.contradiction != MTL_CONTRADICTION_FAIL)
		fprintf(to, "note: %lld rows contradict the events and are %s, as the model says\n",
			(long long)v->contradictions,
			v->m.contradiction == MTL_CONTRADICTION_DROP ? "left out" : "mended");
	fprintf(to, "rows: %lld read, %lld usable, %lld not\n", (long long)v->rows, (long long)v->usable,
		(long long)(v->rows - v->usable));
}

static void json_check(const Survey *v, FILE *to)
{
	fprintf(to, "{\"rows\":%lld,\"usable\":%lld,\"contradictions\":%lld,\"problems\":[",
		(long long)v->rows, (long long)v->usable, (long long)v->contradictions);
	for (int i = 0; i < v->problem.n; i++) {
		const Problem *p = &v->problem.at[i];
		fprintf(to, "%s{\"code\":\"%s\",\"column\":", i ? "," : "", p->code);
		mtl_json_text(to, p->column);
		fprintf(to, ",\"rows\":%lld,\"first\":", (long long)(p->n ? p->n : v->rows));
		mtl_json_text(to, p->text);
		fputc('}', to);
	}
	fputs("]}\n", to);
}

/* Of `words` words spread at random over `rows` table rows, how many do not have one for themselves. */
static double shared(int64_t words, int64_t rows)
{
	return 1 - pow(1 - 1.0 / (double)rows, (double)(words - 1));
}

static void say_stats(const Survey *v, FILE *to)
{
	const MtlModel *m = &v->m;
	static const char *const kind[] = {"id", "ids", "real"};
	fprintf(to, "%lld rows\n\n%-20s %-4s %8s %10s %8s  %s\n", (long long)v->rows, "feature", "kind",
		"empty", "distinct", "unknown", "values");
	for (int i = 0; i < m->n_feature; i++) {
		const Seen *s = &v->feature[i];
		const MtlFeature *f = &m->feature[i], *code = &m->feature[mtl_code_root(m, i)];
		if (f->n_cross) continue;
		if (s->want < 0) {
			fprintf(to, "%-20s %-4s %8s\n", f->name, kind[f->kind], "absent");
			continue;
		}
		char distinct[32], outside[32] = "";
		int64_t n = distinct_count(&s->distinct),
			of = f->kind == MTL_BAG ? s->items : v->rows - s->empty;
		snprintf(distinct, sizeof distinct, "%s%lld", distinct_exact(&s->distinct) ? "" : "~",
			 (long long)n);
		if (code->code == MTL_VOCAB || code->code == MTL_SIZE)
			snprintf(outside, sizeof outside, "%.2f %%", percent(s->unknown, of));
		fprintf(to, "%-20s %-4s %6.2f %% %10s %8s ", f->name, kind[f->kind],
			percent(s->empty, v->rows), distinct, outside);
		if (s->numbers)
			fprintf(to, " %g to %g, mean %.5g", s->min, s->max, s->sum / (double)s->numbers);
		if (f->kind == MTL_BAG && v->rows)
			fprintf(to, " %.3g items a row, at most %lld%s", (double)s->items / (double)v->rows,
				(long long)s->most_items, s->cut ? " (cut)" : "");
		if (code->code == MTL_HASH && n > 1 && shared(n, code->n) > 0.1)
			fprintf(to, " hash: %lld: %.0f %% share a table row", (long long)code->n,
				100 * shared(n, code->n));
		fputc('\n', to);
	}
	fprintf(to, "\n%-20s %10s %10s %10s\n", "event", "known", "happened", "base rate");
	for (int i = 0; i < m->n_event; i++)
		fprintf(to, "%-20s %10lld %10lld %9.4f%%\n", m->event[i].name,
			(long long)(v->ones[i] + v->zeros[i]), (long long)v->ones[i],
			percent(v->ones[i], v->ones[i] + v->zeros[i]));
	int n = m->n_event;
	if (n > 1)
		fprintf(to, "\n%-28s %10s %10s %10s %10s %8s\n", "pair a, b", "both", "only a", "only b",
			"P(b | a)", "lift");
	for (int a = 0; a < n; a++)
		for (int b = a + 1; b < n; b++) {
			const int64_t(*k)[2] = v->pair[a * n + b].n;
			double all = (double)(k[0][0] + k[0][1] + k[1][0] + k[1][1]),
			       of_a = (double)(k[1][0] + k[1][1]), of_b = (double)(k[0][1] + k[1][1]),
			       given = of_a > 0 ? (double)k[1][1] / of_a : NAN;
			char name[128];
			snprintf(name, sizeof name, "%s, %s", m->event[a].name, m->event[b].name);
			fprintf(to, "%-28s %10lld %10lld %10lld %9.4f%% %8.3g\n", name, (long long)k[1][1],
				(long long)k[1][0], (long long)k[0][1], 100 * given, given * all / of_b);
		}
	for (int i = 0; i < n; i++)
		for (int a = 0; a < n; a++)
			if (v->against[i * n + a])
				fprintf(to, "\n%lld rows: %s without %s, which it needs (%s)",
					(long long)v->against[i * n + a], m->event[i].name, m->event[a].name,
					m->contradiction == MTL_CONTRADICTION_FAIL   ? "an error"
					: m->contradiction == MTL_CONTRADICTION_DROP ? "left out"
										     : "mended");
	if (v->contradictions) fputc('\n', to);
}

static void json_stats(const Survey *v, FILE *to)
{
	const MtlModel *m = &v->m;
	fprintf(to, "{\"rows\":%lld,\"features\":{", (long long)v->rows);
	for (int i = 0, any = 0; i < m->n_feature; i++) {
		const Seen *s = &v->feature[i];
		if (s->want < 0) continue;
		fputs(any++ ? "," : "", to);
		mtl_json_text(to, m->feature[i].name);
		fprintf(to, ":{\"empty\":%lld,\"distinct\":%lld,\"exact\":%s,\"unknown\":%lld",
			(long long)s->empty, (long long)distinct_count(&s->distinct),
			distinct_exact(&s->distinct) ? "true" : "false", (long long)s->unknown);
		if (s->numbers) {
			fputs(",\"min\":", to);
			mtl_json_number(to, s->min);
			fputs(",\"max\":", to);
			mtl_json_number(to, s->max);
			fputs(",\"mean\":", to);
			mtl_json_number(to, s->sum / (double)s->numbers);
		}
		if (m->feature[i].kind == MTL_BAG)
			fprintf(to, ",\"items\":%lld,\"most_items\":%lld,\"cut\":%lld", (long long)s->items,
				(long long)s->most_items, (long long)s->cut);
		fputc('}', to);
	}
	fputs("},\"events\":{", to);
	for (int i = 0; i < m->n_event; i++) {
		fputs(i ? "," : "", to);
		mtl_json_text(to, m->event[i].name);
		fprintf(to, ":{\"known\":%lld,\"happened\":%lld}", (long long)(v->ones[i] + v->zeros[i]),
			(long long)v->ones[i]);
	}
	fputs("},\"pairs\":[", to);
	for (int a = 0, any = 0; a < m->n_event; a++)
		for (int b = a + 1; b < m->n_event; b++) {
			const int64_t(*k)[2] = v->pair[a * m->n_event + b].n;
			fprintf(to, "%s{\"a\":", any++ ? "," : "");
			mtl_json_text(to, m->event[a].name);
			fputs(",\"b\":", to);
			mtl_json_text(to, m->event[b].name);
			fprintf(to,
				",\"both\":%lld,\"only_a\":%lld,\"only_b\":%lld,\"neither\":%lld,\"b_against_"
				"a\":%lld}",
				(long long)k[1][1], (long long)k[1][0], (long long)k[0][1],
				(long long)k[0][0], (long long)v->against[b * m->n_event + a]);
		}
	fputs("]}\n", to);
}

/* Ours goes with the program's end, but a test under a leak checker ends here. */
static void put_away(Survey *v)
{
	for (int i = 0; v->feature && i < v->m.n_feature; i++) distinct_free(&v->feature[i].distinct);
	mtl_codes_free(&v->codes, &mtl_sys, &v->m);
	mtl_log_free(&v->log);
}

int command_data(const Request *call)
{
	CompileRequest r;
	LinkRequest l;
	Request front = *call;
	front.o.command = -1;
	if (!request_of(&front, &r, &l)) return 2;
	int bad = unreadable(r.path);
	if (bad) return bad;
	Compilation c;
	compilation_init(&c);
	bool ok = compile_front(&c, &r);
	if (!ok) say_messages(&c, false);
	int code = ok ? 0 : 3;
	if (ok) {
		const MtlOptionValue *data = mtl_option(&call->o, call->table, "data"),
				     *format = mtl_option(&call->o, call->table, "input-format");
		bool json = mtl_option(&call->o, call->table, "json")->given;
		bool check = !strcmp(call->table->command[call->o.command].name, "data check");
		Survey v = {.arena = c.arena};
		MtlError e = {0};
		int n_path;
		const char **path = mtl_options_list(&mtl_sys, data->text, &n_path);
		if (!path) bug("no memory for a list of files");
		v.m = describe_model(v.arena, c.spec);
		code = (int)survey(&v, path, n_path, (MtlFormat)format->count, format->given, &e);
		if (code)
			say_failure(&e);
		else
			(check ? json ? json_check : say_check : json ? json_stats : say_stats)(&v, stdout);
		if (!code && check) code = v.problem.n > 0;
		mtl_release(&mtl_sys, path);
		put_away(&v);
	}
	compilation_free(&c);
	return code;
}
