/*
 * The library's doors: values of a caller's structs to encoded rows, and scores.
 *
 * A workspace is   Head | pointers to columns | columns of ROWS rows, feature by feature | scratch of the
 * kernels (rows.h), where the request's part lies too.  Rows are scored by at most ROWS at a time; a row's
 * score depends on the row alone, so nobody can tell.
 */
#include "library.h"
#include "cross.h"
#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = MTL_BLOCK, ALIGN = 64 };

struct MtlLibrary {
	MtlInstance in;
	const MtlDoor *door;
	size_t bytes; /* of a workspace, its alignment not counted */
};

typedef struct {
	MtlBatch batch;
	float *work;
	const MtlLibrary *request; /* whose request's part lies in WORK, or NULL */
} Head;

_Static_assert(sizeof(MtlDoorError) == sizeof(MtlError) && sizeof(MtlStatus) == sizeof(int),
	       "the public error is ours under another name");

/* The caller's error as ours, cleared: the first cause of this call is wanted. */
static MtlError *fresh(MtlDoorError *e, MtlError *otherwise)
{
	MtlError *ours = e ? (MtlError *)(void *)e : otherwise;
	ours->status = MTL_OK;
	ours->code[0] = ours->text[0] = '\0';
	return ours;
}

/* ---- the workspace ---- */

static int64_t items(const MtlFeature *f)
{
	if (f->seq) return (int64_t)ROWS * f->max_items;
	return f->max_items > MTL_DOOR_ITEMS ? f->max_items : MTL_DOOR_ITEMS;
}

static void *take(char *base, size_t *at, size_t bytes)
{
	void *p = base ? base + *at : NULL;
	*at += (bytes + ALIGN - 1) / ALIGN * ALIGN;
	return p;
}

/* Lays the workspace out from `base` on; NULL: its bytes only. */
static size_t lay_out(const MtlLibrary *l, char *base, Head *h)
{
	const MtlModel *m = l->in.m;
	size_t at = 0;
	(void)take(base, &at, sizeof *h);
	MtlColumn *column = take(base, &at, (size_t)m->n_feature * sizeof *column);
	for (int i = 0; i < l->door->n_member; i++) {
		const MtlFeature *f = &m->feature[l->door->member[i].feature];
		MtlColumn c = {0};
		if (f->kind == MTL_BAG) {
			c.cap_items = items(f);
			c.bag_start = take(base, &at, (ROWS + 1) * sizeof *c.bag_start);
			c.bag_item = take(base, &at, (size_t)c.cap_items * sizeof *c.bag_item);
			c.bag_scale = take(base, &at, (size_t)c.cap_items * sizeof *c.bag_scale);
		} else {
			if (f->kind == MTL_ID || f->code != MTL_PLAIN)
				c.id = take(base, &at, ROWS * sizeof *c.id);
			if (f->kind == MTL_NUMBER) {
				c.real = take(base, &at, ROWS * sizeof *c.real);
				c.present = take(base, &at, ROWS * sizeof *c.present);
			}
		}
		if (base) column[l->door->member[i].feature] = c;
	}
	MtlSteps *steps = take(base, &at, (size_t)m->n_seq * sizeof *steps);
	for (int q = 0; q < m->n_seq; q++) {
		MtlSteps s = {.cap = (int64_t)ROWS * m->seq[q].max};
		s.at = take(base, &at, (size_t)s.cap * sizeof *s.at);
		s.row = take(base, &at, 2 * ROWS * sizeof *s.row);
		s.block = take(base, &at, (size_t)(m->seq[q].max + MTL_STEP_HEAD) * sizeof *s.block);
		if (base) steps[q] = s;
	}
	for (int i = 0; i < m->n_feature; i++) {
		if (!m->feature[i].n_cross || m->feature[i].train_only) continue;
		int32_t *id = take(base, &at, ROWS * sizeof *id);
		if (base) column[i] = (MtlColumn){.id = id};
	}
	float *work = take(base, &at, (size_t)mtl_rows_scratch(&l->in) * sizeof *work);
	if (base) {
		h->batch = (MtlBatch){.cap = ROWS, .column = column, .steps = steps};
		h->work = work;
	}
	return at;
}

size_t mtl_library_work_bytes(const MtlLibrary *l) { return l->bytes + ALIGN; }

static Head *head(void *work) { return (Head *)(((uintptr_t)work + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1)); }

/* ---- one value ---- */

/* Where in the call a value stands, for messages: the row of the caller's array, or one of these. */
enum { IN_REQUEST = -1, WHOLE_COLUMN = -2 };
typedef struct {
	const MtlFeature *f, *code; /* of the feature, and of the one whose code it uses */
	const MtlCodeBook *book, *code_book;
	MtlDoorType type;
	int64_t row;
	MtlError *e;
} Value;

#define BAD(v, code, ...) bad(v, MTL_DATA, code, __VA_ARGS__)

__attribute__((format(printf, 4, 5))) static MtlStatus bad(const Value *v, MtlStatus st, const char *code,
							   const char *fmt, ...)
{
	char place[32], why[200];
	if (v->row >= 0)
		snprintf(place, sizeof place, "row %lld", (long long)v->row);
	else
		snprintf(place, sizeof place, "%s", v->row == IN_REQUEST ? "request" : "rows");
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return mtl_fail(v->e, st, code, place, "%s %s", v->f->name, why);
}

static bool is_missing(const Value *v, const void *p)
{
	switch (v->type) {
	case MTL_DOOR_TEXT: return !((const MtlDoorText *)p)->n;
	case MTL_DOOR_INTEGER: return *(const int64_t *)p == MTL_DOOR_MISSING;
	case MTL_DOOR_REAL: return isnan(*(const double *)p);
	}
	return true;
}

/* Table row of what is not missing. */
static MtlStatus code_row(const Value *v, const void *p, int32_t *row)
{
	switch (v->type) {
	case MTL_DOOR_TEXT: {
		const MtlDoorText *t = p;
		if (!t->p) return bad(v, MTL_USAGE, "", "is a NULL with a length");
		(void)mtl_code_row(v->code, v->code_book, t->p, t->n, row);
		return MTL_OK;
	}
	case MTL_DOOR_INTEGER: {
		int64_t x = *(const int64_t *)p;
		*row = x >= 0 && x < v->code->n ? (int32_t)x + MTL_ROW_FIRST : MTL_ROW_UNKNOWN;
		return MTL_OK;
	}
	case MTL_DOOR_REAL: {
		double x = *(const double *)p;
		if (!isfinite(x)) return BAD(v, "D0107", "is not a number");
		*row = mtl_code_bucket(v->code_book, x);
		return MTL_OK;
	}
	}
	return MTL_OK;
}

static MtlStatus put_real(const Value *v, MtlColumn *c, int64_t at, double x)
{
	if (c->id) c->id[at] = MTL_ROW_MISSING;
	if (c->real) c->real[at] = c->present[at] = 0;
	if (isnan(x)) {
		if (v->f->missing == MTL_MISSING_ERROR)
			return BAD(v, "D0108", "is missing, and the model says no `missing:` for it");
		if (v->f->missing != MTL_MISSING_VALUE) return MTL_OK;
		x = v->f->missing_value;
	}
	if (!isfinite(x)) return BAD(v, "D0107", "is not a number");
	if (c->id) c->id[at] = mtl_code_bucket(v->code_book, x);
	if (!c->real) return MTL_OK;
	if (!mtl_code_real(v->f, v->book, x, &c->real[at]))
		return v->f->normal == MTL_LOG1P && x <= -1
			   ? BAD(v, "D0111", "has no log1p; it must be above -1: %.17g", x)
			   : BAD(v, "D0111", "is out of the range of a 32-bit float: %.17g", x);
	c->present[at] = 1;
	return MTL_OK;
}

static const void *item_at(const Value *v, const MtlDoorList *list, size_t i)
{
	static const size_t width[] = {sizeof(MtlDoorText), sizeof(int64_t), sizeof(double)};
	return (const char *)list->item + i * width[v->type];
}

/* Items that count: after those missing, and those that max_items cuts off.  *skip: how many at the front. */
static int64_t items_kept(const Value *v, const MtlDoorList *list, int64_t *skip)
{
	int64_t n = 0, most = v->f->max_items;
	for (size_t i = 0; i < list->n; i++) n += mtl_is_field(v->f) || !is_missing(v, item_at(v, list, i));
	*skip = most > 0 && n > most && v->f->keep == MTL_KEEP_LAST ? n - most : 0;
	return most > 0 && n > most ? most : n;
}

/* *full: the list does not fit behind those of the rows before, though it would alone. */
static MtlStatus put_list(const Value *v, MtlColumn *c, int64_t at, const MtlDoorList *list, bool *full)
{
	int64_t skip, from = at ? c->bag_start[at] : 0, to = from;
	if (list->n && !list->item) return bad(v, MTL_USAGE, "", "is a NULL with a length");
	int64_t n = items_kept(v, list, &skip);
	if (n > c->cap_items)
		return bad(v, MTL_LIMIT, "D0110",
			   "is a list of %lld items, a workspace holds %lld (max_items: says more)",
			   (long long)n, (long long)c->cap_items);
	if ((*full = n > c->cap_items - from)) return MTL_OK;
	for (size_t i = 0; i < list->n && to < from + n; i++) {
		const void *p = item_at(v, list, i);
		float w = list->weight ? list->weight[i] : 1;
		bool missing = is_missing(v, p);
		if ((missing && !mtl_is_field(v->f)) || skip-- > 0) continue;
		if (v->f->seq) w = 1;
		if (!(w >= 0) || !isfinite(w)) return BAD(v, "D0109", "has a weight that is no number >= 0");
		c->bag_item[to] = MTL_ROW_MISSING; /* of a sequence: a step without a value */
		if (!missing && code_row(v, p, &c->bag_item[to])) return v->e->status;
		c->bag_scale[to++] = w + 0.0f; /* -0 becomes 0 */
	}
	if (v->f->pool == MTL_POOL_MEAN) mtl_list_shares(c->bag_scale + from, n, list->weight != NULL);
	c->bag_start[0] = at ? c->bag_start[0] : 0;
	c->bag_start[at + 1] = (int32_t)to;
	return MTL_OK;
}

/* Encodes value `i` of the array at `p` into row `at` of its column. */
static MtlStatus put(const Value *v, MtlColumn *c, int64_t at, const void *p, size_t i, bool *full)
{
	if (v->f->kind == MTL_BAG) return put_list(v, c, at, (const MtlDoorList *)p + i, full);
	if (v->type == MTL_DOOR_REAL) return put_real(v, c, at, ((const double *)p)[i]);
	p = v->type == MTL_DOOR_TEXT ? (const void *)((const MtlDoorText *)p + i)
				     : (const void *)((const int64_t *)p + i);
	c->id[at] = MTL_ROW_MISSING;
	return is_missing(v, p) ? MTL_OK : code_row(v, p, &c->id[at]);
}

static Value value_of(const MtlLibrary *l, const MtlMember *k, MtlError *e)
{
	const MtlModel *m = l->in.m;
	int root = mtl_code_root(m, k->feature);
	return (Value){.f = &m->feature[k->feature],
		       .code = &m->feature[root],
		       .book = &l->in.codes.book[k->feature],
		       .code_book = &l->in.codes.book[root],
		       .type = k->type,
		       .row = IN_REQUEST,
		       .e = e};
}

/* ---- rows ---- */

/* Which members a struct of the caller holds. */
typedef enum { ALL, CANDIDATE, REQUEST } Side;

static bool is_in(const MtlLibrary *l, const MtlMember *k, Side s)
{
	return s == ALL || l->in.m->feature[k->feature].candidate == (s == CANDIDATE);
}

/*
 * Encodes rows first .. of the caller's columns into rows 0 .. of the workspace: *n of them at most, fewer
 * where their lists would not fit.
 */
static MtlStatus put_rows(const MtlLibrary *l, Head *h, Side side, const void *rows, size_t first, int64_t *n,
			  MtlError *e)
{
	for (int i = 0; i < l->door->n_member; i++) {
		const MtlMember *k = &l->door->member[i];
		if (!is_in(l, k, side)) continue;
		const void *column;
		memcpy(&column, (const char *)rows + (side == ALL ? k->in_rows : k->in_side), sizeof column);
		Value v = value_of(l, k, e);
		v.row = WHOLE_COLUMN;
		if (!column) return bad(&v, MTL_USAGE, "", "is a NULL column");
		for (int64_t r = 0; r < *n; r++) {
			bool full = false;
			v.row = (int64_t)first + r;
			if (put(&v, &h->batch.column[k->feature], r, column, first + (size_t)r, &full))
				return e->status;
			if (full) *n = r; /* r > 0: alone it would have fitted */
		}
	}
	mtl_cross_fill(l->in.m, &h->batch, 0, *n, side == CANDIDATE ? &h->batch : NULL, 0);
	return MTL_OK;
}

/* A member's lists, row by row, in a struct of the caller. */
static const MtlDoorList *lists_of(const MtlMember *k, Side side, const void *rows)
{
	const void *column;
	if (side == REQUEST) return (const MtlDoorList *)((const char *)rows + k->in_side);
	memcpy(&column, (const char *)rows + (side == ALL ? k->in_rows : k->in_side), sizeof column);
	return column;
}

/* The fields of a sequence are equally long in every row, as the caller has them: before they are cut. */
static MtlStatus check_steps(const MtlLibrary *l, Side side, const void *rows, size_t first, int64_t n,
			     MtlError *e)
{
	const MtlModel *m = l->in.m;
	for (int i = 0; i < l->door->n_member; i++) {
		const MtlMember *k = &l->door->member[i], *other = l->door->member;
		int seq = m->feature[k->feature].seq;
		if (!seq || !is_in(l, k, side)) continue;
		while (m->feature[other->feature].seq != seq) other++;
		const MtlDoorList *a = lists_of(k, side, rows) + first,
				  *b = lists_of(other, side, rows) + first;
		for (int64_t r = 0; r < n; r++) {
			if (a[r].n == b[r].n) continue;
			Value v = value_of(l, k, e);
			if (side != REQUEST) v.row = (int64_t)first + r;
			return BAD(&v, "D0118", "has %zu steps, other fields of sequence \"%s\" have %zu",
				   a[r].n, m->seq[seq - 1].name, b[r].n);
		}
	}
	return MTL_OK;
}

/* Steps of rows 0 .. n, put in order. */
static void order_steps(const MtlLibrary *l, Head *h, int64_t n)
{
	const MtlModel *m = l->in.m;
	for (int q = 0; q < m->n_seq; q++) {
		const int32_t *start = h->batch.column[m->seq[q].first].bag_start;
		if (start) mtl_steps_fill(&h->batch.steps[q], start, n, m->seq[q].max);
	}
}

static MtlStatus score_rows(const MtlLibrary *l, Head *h, Side side, const void *rows, size_t n, float *out,
			    MtlError *e)
{
	int64_t k;
	for (size_t at = 0; at < n; at += (size_t)k) {
		float *to = out + at * (size_t)l->in.m->n_output;
		k = n - at < ROWS ? (int64_t)(n - at) : ROWS;
		if (put_rows(l, h, side, rows, at, &k, e)) return e->status;
		if (check_steps(l, side, rows, at, k, e)) return e->status;
		h->batch.n = k;
		if (side == CANDIDATE && mtl_rows_walk(&l->in))
			mtl_rows_repeat(l->in.m, &h->batch, k, &h->batch, 0);
		order_steps(l, h, k);
		if (side == ALL)
			mtl_rows_score(&l->in, &h->batch, h->work, to, 0, k);
		else
			mtl_rows_candidates(&l->in, &h->batch, h->work, to, 0, k);
	}
	return MTL_OK;
}

int mtl_library_score(const MtlLibrary *l, void *work, const void *rows, size_t n, float *out,
		      MtlDoorError *error)
{
	MtlError other, *e = fresh(error, &other);
	Head *h = head(work);
	(void)lay_out(l, (char *)h, h);
	h->request = NULL;
	return (int)score_rows(l, h, ALL, rows, n, out, e);
}

/* ---- a request and its candidates ---- */

int mtl_library_request(const MtlLibrary *l, void *work, const void *request, MtlDoorError *error)
{
	MtlError other, *e = fresh(error, &other);
	Head *h = head(work);
	(void)lay_out(l, (char *)h, h);
	h->request = NULL;
	for (int i = 0; i < l->door->n_member; i++) {
		const MtlMember *k = &l->door->member[i];
		bool full;
		if (l->in.m->feature[k->feature].candidate) continue;
		Value v = value_of(l, k, e);
		if (put(&v, &h->batch.column[k->feature], 0, (const char *)request + k->in_side, 0, &full))
			return (int)e->status;
	}
	h->batch.n = 1;
	if (check_steps(l, REQUEST, request, 0, 1, e)) return (int)e->status;
	order_steps(l, h, 1);
	mtl_cross_fill(l->in.m, &h->batch, 0, 1, NULL, 0);
	mtl_rows_request(&l->in, &h->batch, h->work, 0);
	h->request = l;
	return MTL_OK;
}

static MtlStatus no_request(MtlError *e)
{
	return mtl_fail(e, MTL_USAGE, "", NULL,
			"this workspace holds no request of this model: candidates come after a request");
}

int mtl_library_candidates(const MtlLibrary *l, void *work, const void *rows, size_t n, float *out,
			   MtlDoorError *error)
{
	MtlError other, *e = fresh(error, &other);
	Head *h = head(work);
	if (h->request != l) return (int)no_request(e);
	return (int)score_rows(l, h, CANDIDATE, rows, n, out, e);
}

/* ---- items: what depends on the candidate alone ---- */

size_t mtl_library_item_floats(const MtlLibrary *l)
{
	return mtl_rows_have_items(&l->in) ? (size_t)l->in.m->n_item : 0;
}

/* *width: of an item's row, in a block of n with `room` for floats. */
static MtlStatus items_width(const MtlLibrary *l, size_t n, size_t room, size_t *width, MtlError *e)
{
	*width = mtl_library_item_floats(l);
	if (!*width)
		return mtl_fail(e, MTL_USAGE, "", l->in.m->name,
				"nothing of a candidate can be kept for other requests: score it as rows");
	if (n > room / *width)
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"%zu items of %zu floats do not fit in a block of %zu floats", n, *width,
				room);
	return MTL_OK;
}

int mtl_library_items(const MtlLibrary *l, void *work, const void *rows, size_t n, float *items, size_t room,
		      MtlDoorError *error)
{
	MtlError other, *e = fresh(error, &other);
	Head *h = head(work);
	size_t width;
	int64_t k;
	(void)lay_out(l, (char *)h, h);
	h->request = NULL;
	if (items_width(l, n, room, &width, e)) return (int)e->status;
	for (size_t at = 0; at < n; at += (size_t)k) {
		k = n - at < ROWS ? (int64_t)(n - at) : ROWS;
		if (put_rows(l, h, CANDIDATE, rows, at, &k, e)) return (int)e->status;
		if (check_steps(l, CANDIDATE, rows, at, k, e)) return (int)e->status;
		h->batch.n = k;
		order_steps(l, h, k);
		mtl_rows_items(&l->in, &h->batch, h->work, items + at * width, 0, k);
	}
	return MTL_OK;
}

int mtl_library_pick(const MtlLibrary *l, void *work, const float *items, size_t n_items, const size_t *index,
		     size_t n, float *out, MtlDoorError *error)
{
	MtlError other, *e = fresh(error, &other);
	Head *h = head(work);
	size_t width;
	if (h->request != l) return (int)no_request(e);
	if (items_width(l, n_items, SIZE_MAX, &width, e)) return (int)e->status;
	for (size_t i = 0; i < n; i++)
		if (index[i] >= n_items)
			return (int)mtl_fail(e, MTL_USAGE, "", NULL, "index %zu is item %zu of %zu", i,
					     index[i], n_items);
	mtl_rows_pick(&l->in, &h->batch, h->work, items, index, out, (int64_t)n);
	return MTL_OK;
}

/* ---- opening and closing ---- */

void mtl_library_close(MtlLibrary *l)
{
	if (!l) return;
	mtl_instance_free(&l->in);
	mtl_release(&mtl_sys, l);
}

int mtl_library_open(const MtlDoor *d, int abi, const char *interface, const char *path, MtlLibrary **out,
		     MtlDoorError *error)
{
	MtlError other, *e = fresh(error, &other);
	*out = NULL;
	if (abi != MTL_DOOR_ABI || strcmp(interface, d->interface) != 0)
		return (int)mtl_fail(
		    e, MTL_REFUSED, "F0214", d->model->name,
		    "the caller was compiled with another header (interface %s, version %d) than "
		    "this library's (%s, version %d)",
		    interface, abi, d->interface, MTL_DOOR_ABI);
	MtlLibrary *l = mtl_new(&mtl_sys, MtlLibrary, 1);
	if (!l) return (int)mtl_fail(e, MTL_LIMIT, "F0105", d->model->name, "no memory");
	l->door = d;
	MtlStatus st = mtl_instance_init(&l->in, &mtl_sys, d->model, e);
	if (!st) st = mtl_instance_open(&l->in, path, e);
	if (st) {
		mtl_library_close(l);
		return (int)st;
	}
	l->bytes = lay_out(l, NULL, NULL);
	*out = l;
	return MTL_OK;
}

int mtl_library_verify(const MtlLibrary *l, MtlDoorError *error)
{
	MtlError other, *e = fresh(error, &other);
	const MtlModel *m = l->in.m;
	MtlStore *s = NULL;
	/* Weights from a file were looked at when it was opened. */
	if (!m->weights) return MTL_OK;
	MtlStatus st =
	    mtl_store_open_memory(&s, &mtl_sys, m->weights, m->n_weights, "weights in the library", e);
	mtl_store_close(s);
	return (int)st;
}

const char *mtl_library_version(const MtlLibrary *l)
{
	const char *digest = l->in.store ? mtl_store_meta(l->in.store, MTL_META_HEADER) : NULL;
	return digest ? digest : "";
}
