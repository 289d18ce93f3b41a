/*
 * Rows of a log into batches, and what becomes of rows that cannot be read.
 *
 * A row is written into the batch at index b->n while it is read; only a row without fault moves b->n on.
 */
#include "reader.h"
#include "cross.h"
#include "label.h"
#include "log.h"
#include "number.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { REJECT_BUFFER = 1 << 16 };

/* How one feature is read: its column, and the feature and book whose code it uses (`share:`). */
typedef struct {
	const MtlFeature *f, *code;
	const MtlCodeBook *book, *code_book;
	int want;	 /* -1: not read (train_only, when scoring) */
	int64_t n_items; /* BAG: items in the batch so far */
	int64_t n_cell;	 /* field of a sequence: steps in the row's cell, those cut off too */
} Input;

struct MtlReader {
	const MtlSys *sys;
	const MtlModel *m;
	MtlReaderOptions o;
	MtlLog log;
	Input *input; /* [n_feature] */
	int *label_want, *sample_want, *pass_want;
	int weight_want, group_want; /* -1: none */
	MtlTruth *label, *event, *stack;
	MtlRowCounts n;
	/* Why the row at hand is bad. */
	const char *bad_code;
	char bad_place[512], bad_text[800];
	int64_t row_number;
	bool ended;
	int rejects; /* file, -1: none */
	char *reject_buf;
	size_t n_reject;
};

static MtlStatus no_memory(MtlError *e)
{
	return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory to read rows");
}

/* ---- the rejects file ---- */

static MtlStatus flush_rejects(MtlReader *r, MtlError *e)
{
	size_t at = 0;
	while (at < r->n_reject) {
		ssize_t k = r->sys->write(r->sys->self, r->rejects, r->reject_buf + at, r->n_reject - at);
		if (k < 0 && errno == EINTR) continue;
		if (k <= 0)
			return mtl_fail(e, MTL_SYSTEM, "F0104", r->o.rejects, "cannot write: %s",
					strerror(k < 0 ? errno : ENOSPC));
		at += (size_t)k;
	}
	r->n_reject = 0;
	return MTL_OK;
}

static MtlStatus put_reject(MtlReader *r, const char *p, size_t n, MtlError *e)
{
	while (n > 0) {
		size_t k = REJECT_BUFFER - r->n_reject;
		if (k == 0) {
			MtlStatus st = flush_rejects(r, e);
			if (st) return st;
			continue;
		}
		if (k > n) k = n;
		memcpy(r->reject_buf + r->n_reject, p, k);
		r->n_reject += k;
		p += k;
		n -= k;
	}
	return MTL_OK;
}

static MtlStatus write_reject(MtlReader *r, MtlError *e)
{
	MtlStatus st = MTL_OK;
	if (r->log.new_header) {
		if (r->log.n_header) st = put_reject(r, r->log.header, r->log.n_header, e);
		if (!st && r->log.n_header) st = put_reject(r, "\n", 1, e);
		r->log.new_header = false;
	}
	if (!st && r->log.csv.n_raw > 0) {
		st = put_reject(r, r->log.csv.raw, r->log.csv.n_raw, e);
		if (!st) st = put_reject(r, "\n", 1, e);
	}
	return st;
}

/* ---- one row ---- */

/* What became of the row: GOOD, BAD (r->bad_text says why), DROPPED (quietly), STOP (an error in *e). */
typedef enum { GOOD, BAD, DROPPED, STOP } Fate;

__attribute__((format(printf, 5, 6))) static Fate bad(MtlReader *r, int64_t *kind, const char *code,
						      int64_t cell, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->bad_text, sizeof r->bad_text, fmt, ap);
	va_end(ap);
	mtl_log_place(&r->log, cell, r->bad_place, sizeof r->bad_place);
	r->bad_code = code;
	++*kind;
	return BAD;
}

static int64_t cell_number(const MtlReader *r, int want) { return r->log.field[want] + 1; }

static Fate bad_cell(MtlReader *r, int64_t *kind, const char *code, int want, const char *what,
		     const MtlCell *cell)
{
	return bad(r, kind, code, cell_number(r, want), "column \"%s\" %s: \"%s\"", r->log.want[want].name,
		   what, mtl_excerpt(cell->p, cell->n).s);
}

static void fill_missing(MtlBatch *b, const Input *in, int64_t i, int f)
{
	MtlColumn *c = &b->column[f];
	if (c->id) c->id[i] = MTL_ROW_MISSING;
	if (c->real) c->real[i] = c->present[i] = 0;
	if (c->bag_start) c->bag_start[i + 1] = (int32_t)in->n_items;
}

static bool more_items(const MtlReader *r, MtlColumn *c)
{
	int64_t cap = c->cap_items ? c->cap_items * 2 : 64;
	int32_t *item = mtl_new(r->sys, int32_t, cap);
	mtl_real *scale = item ? mtl_new(r->sys, mtl_real, cap) : NULL;
	if (!scale) {
		mtl_release(r->sys, item);
		return false;
	}
	if (c->cap_items) {
		memcpy(item, c->bag_item, (size_t)c->cap_items * sizeof *item);
		memcpy(scale, c->bag_scale, (size_t)c->cap_items * sizeof *scale);
	}
	mtl_release(r->sys, c->bag_item);
	mtl_release(r->sys, c->bag_scale);
	c->bag_item = item;
	c->bag_scale = scale;
	c->cap_items = cap;
	return true;
}

/* Room for one more item at `at`; STOP: an error in *e. */
static Fate list_room(MtlReader *r, MtlColumn *c, int64_t at, MtlError *e)
{
	if (at == INT32_MAX) {
		mtl_fail(e, MTL_LIMIT, "D0110", NULL, "the lists of one batch have more than 2^31 items");
		return STOP;
	}
	if (at == c->cap_items && !more_items(r, c)) {
		no_memory(e);
		return STOP;
	}
	return GOOD;
}

static Fate bad_item(MtlReader *r, const Input *in, const char *item, size_t n)
{
	return bad(r, &r->n.bad_list, "D0109", cell_number(r, in->want),
		   "column \"%s\" has a list item that is not a number: \"%s\"", in->f->column,
		   mtl_excerpt(item, n).s);
}

/* A field of a sequence: step by step, an empty item is a missing one; those beyond max are looked at no
 * further. */
static Fate read_steps(MtlReader *r, MtlColumn *c, Input *in, int64_t row, const MtlCell *cell, MtlError *e)
{
	char separator = mtl_cell_separator(cell, in->f->separator);
	const char *p = cell->p, *end = p + cell->n, *item;
	size_t n;
	int64_t at = in->n_items, from = 0, to, k = 0;
	in->n_cell = mtl_steps_count(cell->p, cell->n, separator);
	if (in->f->keep == MTL_KEEP_LAST && in->n_cell > in->f->max_items)
		from = in->n_cell - in->f->max_items;
	to = from + in->f->max_items;
	while (cell->n && k < to && mtl_step_item(&p, end, separator, &item, &n)) {
		if (k++ < from) continue;
		Fate fate = list_room(r, c, at, e);
		if (fate != GOOD) return fate;
		c->bag_item[at] = MTL_ROW_MISSING;
		if (n && !mtl_code_row(in->code, in->code_book, item, n, &c->bag_item[at]))
			return bad_item(r, in, item, n);
		c->bag_scale[at++] = 1;
	}
	in->n_items = at;
	c->bag_start[row + 1] = (int32_t)at;
	return GOOD;
}

/* The fields of a sequence have a step for each other's. */
static Fate check_steps(MtlReader *r)
{
	for (int q = 0; q < r->m->n_seq; q++) {
		const MtlSeq *s = &r->m->seq[q];
		const Input *first = NULL;
		for (int f = s->first; f < s->first + s->n_field; f++) {
			const Input *in = &r->input[f];
			if (in->want < 0) continue;
			if (!first) first = in;
			if (in->n_cell == first->n_cell) continue;
			return bad(
			    r, &r->n.bad_list, "D0118", cell_number(r, in->want),
			    "column \"%s\" has %lld steps, column \"%s\" has %lld: the fields of sequence "
			    "\"%s\" must be equally long",
			    in->f->column, (long long)in->n_cell, first->f->column, (long long)first->n_cell,
			    s->name);
		}
		r->n.truncated += first && first->n_cell > s->max;
	}
	return GOOD;
}

static Fate read_list(MtlReader *r, MtlColumn *c, Input *in, int64_t row, const MtlCell *cell, MtlError *e)
{
	const MtlFeature *f = in->f;
	const char *p = cell->p, *end = p + cell->n, *item;
	size_t n;
	int64_t from = in->n_items, at = from;
	mtl_real weight;
	bool weighted = false, cut = false;
	while (
	    mtl_list_item(&p, end, mtl_cell_separator(cell, f->separator), &item, &n, &weight, &weighted)) {
		if (at - from == f->max_items && f->max_items > 0 && f->keep == MTL_KEEP_FIRST) {
			cut = true;
			break;
		}
		Fate fate = list_room(r, c, at, e);
		if (fate != GOOD) return fate;
		if (!mtl_code_row(in->code, in->code_book, item, n, &c->bag_item[at]))
			return bad_item(r, in, item, n);
		c->bag_scale[at++] = weight;
	}
	int64_t over = f->max_items > 0 ? at - from - f->max_items : 0;
	if (over > 0) { /* the last ones stay */
		cut = true;
		at -= over;
		memmove(c->bag_item + from, c->bag_item + from + over,
			(size_t)(at - from) * sizeof *c->bag_item);
		memmove(c->bag_scale + from, c->bag_scale + from + over,
			(size_t)(at - from) * sizeof *c->bag_scale);
	}
	if (f->pool == MTL_POOL_MEAN) mtl_list_shares(c->bag_scale + from, at - from, weighted);
	for (int64_t i = from; f->pool == MTL_POOL_MAX && i < at; i++) c->bag_scale[i] = 1;
	r->n.truncated += cut;
	in->n_items = at;
	c->bag_start[row + 1] = (int32_t)at;
	return GOOD;
}

/* A cell that says a number: real, or coded by buckets. */
static Fate read_number(MtlReader *r, MtlColumn *c, const Input *in, int64_t row, const MtlCell *cell)
{
	const MtlFeature *f = in->f;
	double x = f->missing_value;
	if (cell->n == 0) {
		if (f->missing == MTL_MISSING_ERROR)
			return bad(r, &r->n.missing_value, "D0108", cell_number(r, in->want),
				   "column \"%s\" is empty, and the model says no `missing:` for it",
				   f->column);
		if (f->missing != MTL_MISSING_VALUE) return GOOD;
	} else if (!mtl_number(cell->p, cell->n, &x)) {
		return bad_cell(r, &r->n.bad_number, "D0107", in->want, "is not a number", cell);
	}
	if (c->id) c->id[row] = mtl_code_bucket(in->code_book, x);
	if (!c->real) return GOOD;
	if (!mtl_code_real(f, in->book, x, &c->real[row])) {
		if (f->normal == MTL_LOG1P && x <= -1)
			return bad_cell(r, &r->n.bad_number, "D0111", in->want,
					"has no log1p; it must be above -1", cell);
		return bad_cell(r, &r->n.bad_number, "D0111", in->want,
				"is out of the range of a " MTL_REAL_TEXT, cell);
	}
	c->present[row] = 1;
	return GOOD;
}

static bool says_number(const Input *in)
{
	return in->f->kind == MTL_NUMBER || in->code->code == MTL_BUCKET || in->code->code == MTL_QUANTILES;
}

static Fate read_features(MtlReader *r, MtlBatch *b, MtlError *e)
{
	int64_t row = b->n;
	for (int f = 0; f < r->m->n_feature; f++) {
		Input *in = &r->input[f];
		MtlColumn *c = &b->column[f];
		if (in->want < 0) {
			fill_missing(b, in, row, f);
			continue;
		}
		const MtlCell *cell = mtl_log_cell(&r->log, in->want);
		Fate fate = GOOD;
		if (mtl_is_field(in->f)) {
			fate = read_steps(r, c, in, row, cell, e);
		} else if (in->f->kind == MTL_BAG) {
			fate = read_list(r, c, in, row, cell, e);
		} else if (says_number(in)) {
			fill_missing(b, in, row, f);
			fate = read_number(r, c, in, row, cell);
		} else if (cell->n == 0) {
			c->id[row] = MTL_ROW_MISSING;
		} else {
			mtl_code_row(in->code, in->code_book, cell->p, cell->n, &c->id[row]);
		}
		if (fate != GOOD) return fate;
	}
	mtl_cross_fill(r->m, b, row, 1, NULL, 0);
	return check_steps(r);
}

/* The cell that a contradiction is reported at: the first column of the event's label. */
static int64_t label_cell(const MtlReader *r, int event)
{
	const MtlEvent *e = &r->m->event[event];
	for (int i = 0; i < e->n_label; i++)
		if (e->label[i] >= 0) return cell_number(r, r->label_want[e->label[i]]);
	return 1;
}

static Fate read_labels(MtlReader *r, MtlBatch *b)
{
	const MtlModel *m = r->m;
	for (int i = 0; i < m->n_label_column; i++) {
		const MtlCell *cell = mtl_log_cell(&r->log, r->label_want[i]);
		if (!cell || cell->n == 0)
			r->label[i] = MTL_MAYBE;
		else if (cell->n == 1 && (cell->p[0] == '0' || cell->p[0] == '1'))
			r->label[i] = cell->p[0] == '1' ? MTL_TRUE : MTL_FALSE;
		else
			return bad_cell(r, &r->n.bad_label, "D0112", r->label_want[i],
					"is a label and must be 0, 1 or empty", cell);
	}
	for (int i = 0; i < m->n_event; i++) r->event[i] = mtl_label_value(&m->event[i], r->label, r->stack);
	MtlTreeFinding found = mtl_label_tree(m, r->event);
	if (found.contradiction && !found.mended) {
		if (m->contradiction == MTL_CONTRADICTION_DROP) return DROPPED;
		return bad(r, &r->n.contradiction, "D0114", label_cell(r, found.event),
			   "event \"%s\" is 1 but \"%s\", which it needs, is 0", m->event[found.event].name,
			   m->event[found.ancestor].name);
	}
	r->n.repaired += found.mended;
	for (int i = 0; i < m->n_event; i++) {
		b->can1[i][b->n] = (r->event[i] & MTL_TRUE) != 0;
		b->can0[i][b->n] = (r->event[i] & MTL_FALSE) != 0;
	}
	return GOOD;
}

int mtl_sample_class(const MtlSample *s, const char *p, size_t n)
{
	double x;
	if (!s->class) return mtl_number(p, n, &x) && x >= 0 && x < s->n_class && x == floor(x) ? (int)x : -1;
	for (int k = 0; k < s->n_class; k++)
		if (strlen(s->class[k]) == n && !memcmp(s->class[k], p, n)) return k;
	return -1;
}

/* A value or a class.  Where it is not known both numbers are 0: no NaN ever reaches a kernel. */
static Fate read_sample(MtlReader *r, MtlBatch *b, int i)
{
	const MtlSample *s = &r->m->sample[i];
	const MtlCell *cell = mtl_log_cell(&r->log, r->sample_want[i]);
	double x = 0;
	b->sample[i][b->n] = b->known[i][b->n] = 0;
	if (!cell || cell->n == 0) return GOOD;
	if (s->n_class) {
		int k = mtl_sample_class(s, cell->p, cell->n);
		if (k < 0)
			return bad_cell(
			    r, &r->n.bad_label, "D0115", r->sample_want[i],
			    s->class ? "names no class of the model" : "is not the number of a class", cell);
		x = k;
	} else if (!mtl_number(cell->p, cell->n, &x) || !isfinite((mtl_real)x)) {
		return bad_cell(r, &r->n.bad_label, "D0107", r->sample_want[i], "is not a number", cell);
	} else if (s->positive && x < 0) {
		return bad_cell(r, &r->n.bad_label, "D0116", r->sample_want[i],
				"is below 0, which a loss of the model excludes", cell);
	}
	b->sample[i][b->n] = (mtl_real)x;
	b->known[i][b->n] = 1;
	return GOOD;
}

static Fate read_outcomes(MtlReader *r, MtlBatch *b)
{
	const MtlModel *m = r->m;
	for (int i = 0; i < m->n_sample; i++) {
		Fate fate = read_sample(r, b, i);
		if (fate != GOOD) return fate;
	}
	double weight = 1;
	if (r->weight_want >= 0) {
		const MtlCell *cell = mtl_log_cell(&r->log, r->weight_want);
		if (cell->n > 0 &&
		    (!mtl_number(cell->p, cell->n, &weight) || weight < 0 || !isfinite((mtl_real)weight)))
			return bad_cell(r, &r->n.bad_weight, "D0113", r->weight_want,
					"is the row weight and must be a number that is not negative", cell);
	}
	b->weight[b->n] = (mtl_real)weight;
	b->group[b->n] = 0;
	if (r->group_want >= 0) {
		const MtlCell *cell = mtl_log_cell(&r->log, r->group_want);
		if (cell->n > 0) {
			uint64_t h = XXH3_64bits(cell->p, cell->n);
			b->group[b->n] = h ? h : 1;
		}
	}
	return read_labels(r, b);
}

/* What stands in the labels' place where none are read. */
static void no_outcomes(const MtlReader *r, MtlBatch *b)
{
	for (int i = 0; i < r->m->n_event; i++) b->can1[i][b->n] = b->can0[i][b->n] = 1;
	for (int i = 0; i < r->m->n_sample; i++) b->sample[i][b->n] = b->known[i][b->n] = 0;
	b->weight[b->n] = 1;
	b->group[b->n] = 0;
}

static Fate read_row(MtlReader *r, MtlBatch *b, MtlRowResult split, MtlError *e)
{
	const MtlCsv *csv = &r->log.csv;
	if (split == MTL_ROW_BAD) {
		if (csv->why) return bad(r, &r->n.bad_shape, csv->code, csv->bad_cell, "%s", csv->why);
		return bad(r, &r->n.bad_shape, csv->code, csv->bad_cell,
			   "the row has %lld cells, the header has %lld", (long long)csv->n_cell,
			   (long long)r->log.n_field);
	}
	/* Labels first: a row without a say in training need not grow a list. */
	if (r->o.labels) {
		Fate fate = read_outcomes(r, b);
		if (fate != GOOD) return fate;
	} else {
		no_outcomes(r, b);
	}
	return read_features(r, b, e);
}

/* ---- cells handed through ---- */

static MtlStatus pass_cell(MtlReader *r, MtlBatch *b, const char *p, size_t n, bool list, MtlError *e)
{
	if (b->pass_len + (int64_t)n + 1 > b->pass_cap) {
		int64_t cap = (b->pass_len + (int64_t)n + 1) * 2;
		char *larger = mtl_new(r->sys, char, cap);
		if (!larger) return no_memory(e);
		if (b->pass_len) memcpy(larger, b->pass_text, (size_t)b->pass_len);
		mtl_release(r->sys, b->pass_text);
		b->pass_text = larger;
		b->pass_cap = cap;
	}
	if (n) memcpy(b->pass_text + b->pass_len, p, n);
	for (size_t i = 0; list && i < n; i++) /* a list as one text: as it stands in a CSV */
		if (b->pass_text[b->pass_len + (int64_t)i] == MTL_LIST_BYTE)
			b->pass_text[b->pass_len + (int64_t)i] = '|';
	b->pass_text[b->pass_len + (int64_t)n] = '\0';
	b->pass_len += (int64_t)n + 1;
	return MTL_OK;
}

static MtlStatus pass_row(MtlReader *r, MtlBatch *b, bool readable, MtlError *e)
{
	MtlStatus st = MTL_OK;
	for (int i = 0; !st && i < r->o.n_passthrough; i++) {
		const MtlCell *cell = readable ? mtl_log_cell(&r->log, r->pass_want[i]) : NULL;
		st = pass_cell(r, b, cell ? cell->p : "", cell ? cell->n : 0, cell && cell->list, e);
	}
	return st;
}

/* ---- rows into batches ---- */

static MtlStatus reject(MtlReader *r, MtlBatch *b, bool readable, MtlError *e)
{
	MtlStatus st = MTL_OK;
	r->n.rejected++;
	switch (r->o.bad_rows) {
	case MTL_BAD_FAIL: return mtl_fail(e, MTL_DATA, r->bad_code, r->bad_place, "%s", r->bad_text);
	case MTL_BAD_SKIP:
		if (r->rejects >= 0) st = write_reject(r, e);
		if (!st && r->o.max_bad_rows >= 0 && r->n.rejected > r->o.max_bad_rows)
			st = mtl_fail(e, MTL_DATA, "D0120", r->bad_place,
				      "more than %lld bad rows; this one: %s (%s)",
				      (long long)r->o.max_bad_rows, r->bad_text, r->bad_code);
		return st;
	case MTL_BAD_NULL: break;
	}
	for (int f = 0; f < r->m->n_feature; f++) fill_missing(b, &r->input[f], b->n, f);
	no_outcomes(r, b);
	b->bad[b->n] = true;
	st = pass_row(r, b, readable, e);
	b->n++;
	return st;
}

/* List items of a row that was given up are not part of the batch. */
static void forget_items(MtlReader *r, const MtlBatch *b)
{
	for (int f = 0; f < r->m->n_feature; f++)
		if (b->column[f].bag_start) r->input[f].n_items = b->column[f].bag_start[b->n];
}

static MtlStatus next_rows(MtlReader *r, MtlBatch *b, MtlError *e)
{
	while (b->n < b->cap && !r->ended) {
		if (r->o.prompt && b->n > 0 && r->log.open && mtl_csv_waits(&r->log.csv)) return MTL_OK;
		MtlRowResult split = mtl_log_next(&r->log, e);
		if (split == MTL_ROW_FAIL) return e->status;
		if (split == MTL_ROW_END) {
			r->ended = true;
			return MTL_OK;
		}
		r->n.read++;
		r->row_number++;
		MtlStatus st = MTL_OK;
		switch (read_row(r, b, split, e)) {
		case GOOD:
			b->bad[b->n] = false;
			st = pass_row(r, b, true, e);
			b->n++;
			r->n.used++;
			break;
		case BAD:
			forget_items(r, b);
			st = reject(r, b, split == MTL_ROW_OK, e);
			break;
		case DROPPED: r->n.dropped++; break;
		case STOP: return e->status;
		}
		if (st) return st;
	}
	return MTL_OK;
}

MtlStatus mtl_reader_next(MtlReader *r, MtlBatch *b, MtlError *e)
{
	b->n = 0;
	b->first_row = r->row_number;
	b->n_pass = r->o.n_passthrough;
	b->pass_len = 0;
	for (int f = 0; f < r->m->n_feature; f++) {
		r->input[f].n_items = 0;
		if (b->column[f].bag_start) b->column[f].bag_start[0] = 0;
	}
	MtlStatus st = next_rows(r, b, e);
	if (!st) st = mtl_batch_steps(b, r->sys, r->m, e);
	if (st) b->n = 0;
	return st;
}

/* ---- opening and closing ---- */

static void want_columns(MtlReader *r)
{
	const MtlModel *m = r->m;
	const MtlReaderOptions *o = &r->o;
	for (int i = 0; i < m->n_feature; i++)
		if (!m->feature[i].n_cross && (o->labels || !m->feature[i].train_only) &&
		    (!o->sides || m->feature[i].candidate == (o->sides == MTL_CANDIDATE_SIDE)))
			r->input[i].want = mtl_log_want(&r->log, m->feature[i].column, "feature", false);
	for (int i = 0; i < o->n_passthrough; i++)
		r->pass_want[i] = mtl_log_want(&r->log, o->passthrough[i], "passthrough", false);
	if (!o->labels) return;
	for (int i = 0; i < m->n_label_column; i++)
		r->label_want[i] = mtl_log_want(&r->log, m->label_column[i], "label", true);
	for (int i = 0; i < m->n_sample; i++)
		r->sample_want[i] = mtl_log_want(&r->log, m->sample[i].column, "label", true);
	if (m->weight_column) r->weight_want = mtl_log_want(&r->log, m->weight_column, "row weight", false);
	if (m->group_column) r->group_want = mtl_log_want(&r->log, m->group_column, "row group", false);
}

static MtlStatus take_memory(MtlReader *r, const MtlCodes *c, MtlError *e)
{
	const MtlModel *m = r->m;
	const MtlSys *sys = r->sys;
	int longest = 0;
	for (int i = 0; i < m->n_event; i++)
		if (m->event[i].n_label > longest) longest = m->event[i].n_label;
	if (!(r->input = mtl_new(sys, Input, m->n_feature + 1)) ||
	    !(r->label_want = mtl_new(sys, int, m->n_label_column + 1)) ||
	    !(r->sample_want = mtl_new(sys, int, m->n_sample + 1)) ||
	    !(r->pass_want = mtl_new(sys, int, r->o.n_passthrough + 1)) ||
	    !(r->label = mtl_new(sys, MtlTruth, m->n_label_column + 1)) ||
	    !(r->event = mtl_new(sys, MtlTruth, m->n_event + 1)) ||
	    !(r->stack = mtl_new(sys, MtlTruth, longest + 1)))
		return no_memory(e);
	for (int i = 0; i < m->n_feature; i++) {
		int root = mtl_code_root(m, i);
		r->input[i] = (Input){.f = &m->feature[i],
				      .code = &m->feature[root],
				      .book = &c->book[i],
				      .code_book = &c->book[root],
				      .want = -1};
	}
	return mtl_log_init(&r->log, sys,
			    m->n_feature + m->n_label_column + m->n_sample + r->o.n_passthrough + 2, e);
}

static MtlStatus open_rejects(MtlReader *r, MtlError *e)
{
	if (r->o.bad_rows != MTL_BAD_SKIP || !r->o.rejects) return MTL_OK;
	r->reject_buf = mtl_new(r->sys, char, REJECT_BUFFER);
	if (!r->reject_buf) return no_memory(e);
	r->rejects = r->sys->open(r->sys->self, r->o.rejects, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (r->rejects < 0)
		return mtl_fail(e, MTL_SYSTEM, "F0101", r->o.rejects, "cannot open: %s", strerror(errno));
	return MTL_OK;
}

MtlStatus mtl_reader_open(MtlReader **out, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
			  const char *const *path, int n_path, const MtlReaderOptions *o, MtlError *e)
{
	MtlReader *r = mtl_new(sys, MtlReader, 1);
	*out = NULL;
	if (!r) return no_memory(e);
	*r = (MtlReader){.sys = sys, .m = m, .o = *o, .weight_want = -1, .group_want = -1, .rejects = -1};
	MtlStatus st =
	    n_path > 0 ? take_memory(r, c, e) : mtl_fail(e, MTL_USAGE, "", NULL, "no file to read");
	if (!st) {
		want_columns(r);
		r->log.blanks = o->bad_rows == MTL_BAD_NULL;
		st = mtl_log_open(&r->log, path, n_path, o->format, o->format_given, e);
	}
	if (!st) st = open_rejects(r, e);
	if (st) {
		mtl_reader_close(r, e);
		return st;
	}
	*out = r;
	return MTL_OK;
}

const MtlRowCounts *mtl_reader_counts(const MtlReader *r) { return &r->n; }

double mtl_reader_progress(const MtlReader *r)
{
	if (r->ended) return 1;
	if (r->log.bytes_total <= 0) return -1;
	double share = (double)(r->log.bytes_done + r->log.csv.in.consumed) / (double)r->log.bytes_total;
	return share > 1 ? 1 : share;
}

MtlStatus mtl_reader_close(MtlReader *r, MtlError *e)
{
	MtlStatus st = MTL_OK;
	if (!r) return st;
	const MtlSys *sys = r->sys;
	if (r->rejects >= 0) {
		st = flush_rejects(r, e);
		if (sys->close(sys->self, r->rejects) != 0 && !st)
			st = mtl_fail(e, MTL_SYSTEM, "F0104", r->o.rejects, "cannot close: %s",
				      strerror(errno));
	}
	mtl_log_free(&r->log);
	mtl_release(sys, r->input);
	mtl_release(sys, r->label_want);
	mtl_release(sys, r->sample_want);
	mtl_release(sys, r->pass_want);
	mtl_release(sys, r->label);
	mtl_release(sys, r->event);
	mtl_release(sys, r->stack);
	mtl_release(sys, r->reject_buf);
	mtl_release(sys, r);
	return st;
}
