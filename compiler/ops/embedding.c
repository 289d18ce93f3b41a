/*
 * Table rows by id: gathered, or pooled over a bag.  Their gradient leaves as a DROW root, row by row.
 *
 * Rows of reduced precision (ir/spec.h) become floats as they are read, x = q s in one rounding; what follows
 * is the arithmetic of floats, in the same order.
 */
#include "base/text.h"
#include "ir/onnx.h"
#include "ops/family.h"

enum {
	AHEAD = 64,  /* records asked for before the first of them is read: fewer are worse than none */
	TOGETHER = 8 /* lookups in one kernel, which then is AHEAD / 8 rows ahead */
};

static bool lookup_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			 const char **why)
{
	(void)g, (void)n, (void)in, (void)why;
	*out = shape_1(true, attr->j); /* of a field of a sequence, for every step: as it was made */
	return true;
}

/* A table's records.  `view`: the buffer as what they hold, -1 where that is floats. */
typedef struct {
	int buf, view, dim;
	int64_t stride, each; /* floats of a record; elements of `view` in a float */
	Precision p;
} Rows;

static Rows rows_of(const Table *t)
{
	Precision p = t->narrow ? t->precision : PRECISION_F32;
	return (Rows){-1, -1, t->dim, t->stride, p == PRECISION_INT8 ? 4 : 2, p};
}

static char letter(const Rows *t)
{
	return t->p == PRECISION_INT8 ? 'b' : t->p == PRECISION_BF16 ? 'h' : 's';
}

/* After all parameters. */
static void rows_view(Fn *f, Rows *t)
{
	if (t->p) t->view = f_view(f, t->p == PRECISION_INT8 ? ELEM_I8 : ELEM_BF16, "narrow", t->buf, 0);
}

/* Numbers c .. c + w of row `row`. */
static int row_load(Fn *f, const Rows *t, int w, Aff row, Aff c)
{
	if (!t->p) return e_load(f, w, t->buf, aff_add(aff_mul(row, t->stride), c));
	Aff at = aff_mul(row, t->stride * t->each);
	if (t->p == PRECISION_BF16) return e_load(f, w, t->view, aff_add(at, c));
	int s = e_splat(f, w, e_op1(f, E_WHOLE, e_words(f, 1, t->view, at)));
	return e_op2(f, E_MUL, e_load(f, w, t->view, aff_off(aff_add(at, c), (int64_t)sizeof(float))), s);
}

static void row_copy(Fn *f, const Target *g, const Rows *t, int Y, Aff y, Aff row)
{
	int W = g->W, at = 0;
	if (!t->p) {
		f_copy(f, W, t->dim, Y, y, t->buf, aff_mul(row, t->stride));
		return;
	}
	if (t->dim / W > 8) {
		int c = f_for(f, "c", aff_c(0), aff_c(t->dim / W * W), W);
		f_store(f, Y, aff_plus(y, c, 1), row_load(f, t, W, row, aff_v(c)));
		f_end(f, 1);
		at = t->dim / W * W;
	}
	for (int w = W; w; w /= 2)
		for (; t->dim - at >= w; at += w)
			f_store(f, Y, aff_off(y, at), row_load(f, t, w, row, aff_c(at)));
}

static void row_ask(Fn *f, const Rows *t, int row)
{
	int floats = t->p ? (int)t->stride : t->dim;
	for (int c = 0; c < floats; c += 16)
		f_prefetch(f, t->buf, aff_off(aff_mul(aff_v(row), t->stride), c));
}

/* Lookups computed row by row together. */
typedef struct {
	int n, id[TOGETHER], y[TOGETHER]; /* buffers */
	Rows table[TOGETHER];
	int64_t ys[TOGETHER];
} Gather;

static void ask(Fn *f, const Gather *g, int row)
{
	for (int i = 0; i < g->n; i++) {
		int next = f_load(f, "next", g->id[i], aff_v(row));
		row_ask(f, &g->table[i], next);
	}
}

static void gather_rows(Fn *f, const Target *t, const Gather *g, int n)
{
	int ahead = AHEAD / g->n;
	int last = f_let(f, "last", aff_off(aff_v(n), -1)), first = f_min(f, "first", aff_c(ahead), aff_v(n));
	int r = f_for(f, "r", aff_c(0), aff_v(first), 1);
	ask(f, g, r);
	f_end(f, 1);
	r = f_for(f, "r", aff_c(0), aff_v(n), 1);
	ask(f, g, f_min(f, "ahead", aff_off(aff_v(r), ahead), aff_v(last)));
	for (int i = 0; i < g->n; i++) {
		int id = f_load(f, "id", g->id[i], aff_v(r));
		row_copy(f, t, &g->table[i], g->y[i], aff_mul(aff_v(r), g->ys[i]), aff_v(id));
	}
	f_end(f, 1);
}

/* Pieces of a row of `dim` from column c0: widths that exist exactly, at most 8 registers at a time. */
typedef struct {
	int at, w, reg;
} Piece;

static int pieces_of(int W, int c0, int dim, Piece *p)
{
	int n = 0;
	for (int w = W; w && n < 8; w /= 2)
		for (; n < 8 && dim - c0 >= w; c0 += w) p[n++] = (Piece){c0, w, 0};
	return n;
}

/* sum over the items of scale * row, items ascending */
static void pool_rows(Fn *f, const Target *t, const Rows *T, int64_t ys, const int *B, int Y, int n)
{
	int r = f_for(f, "r", aff_c(0), aff_v(n), 1);
	int from = f_load(f, "from", B[0], aff_v(r)), to = f_load(f, "to", B[0], aff_off(aff_v(r), 1));
	for (int c = 0; c < T->dim;) {
		Piece p[8];
		int np = pieces_of(t->W, c, T->dim, p);
		f_for(f, "o", aff_c(0), aff_c(1), 1);
		for (int k = 0; k < np; k++) {
			p[k].reg = f_reg(f, "s", p[k].w, 1, 1);
			f_set1(f, p[k].reg, e_const(f, p[k].w, 0));
		}
		int i = f_for(f, "i", aff_v(from), aff_v(to), 1), id = f_load(f, "id", B[1], aff_v(i));
		for (int k = 0; k < np; k++) {
			int s = e_splat(f, p[k].w, e_load(f, 1, B[2], aff_v(i)));
			int x = row_load(f, T, p[k].w, aff_v(id), aff_c(p[k].at));
			int e = t->fma ? e_op3(f, E_FMA, s, x, e_reg1(f, p[k].reg))
				       : e_op2(f, E_ADD, e_op2(f, E_MUL, s, x), e_reg1(f, p[k].reg));
			f_set1(f, p[k].reg, e);
		}
		f_end(f, 1);
		for (int k = 0; k < np; k++)
			f_store(f, Y, aff_off(aff_mul(aff_v(r), ys), p[k].at), e_reg1(f, p[k].reg));
		f_end(f, 1);
		c = p[np - 1].at + p[np - 1].w;
	}
	f_end(f, 1);
}

static const Lookup *lookup_of(const Lowering *l, NodeId id)
{
	return &l->spec->lookup.at[l->g->node.at[id].attr.i];
}

static bool bag(const Lowering *l, NodeId id)
{
	return l->spec->feature.at[lookup_of(l, id)->feature].kind == FEATURE_BAG;
}

/* A row a step: step s of the block is item AT[s] of the field. */
static void steps_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	const Lookup *look = lookup_of(l, id);
	Rows t = rows_of(&l->spec->table.at[look->table]);
	Loc arg[4] = {lo_steps(l, SLOT_STEP_AT, n->shape.seq - 1, n->shape.seq, 1),
		      lo_slot(l, SLOT_BAG_ITEM, look->feature, 0, false),
		      lo_slot(l, SLOT_TABLE, look->table, 0, false), lo_result(l, id)};
	bool fresh;
	Fn *f =
	    lo_kernel(l, &fresh, "steps_%d_%c%d_%d", t.dim, letter(&t), (int)t.stride, (int)arg[3].stride);
	if (fresh) {
		int A = f_buf(f, BUF_IN, ELEM_I32, "at", 0), I = f_buf(f, BUF_IN, ELEM_I32, "item", 0);
		t.buf = f_buf(f, BUF_IN, ELEM_F32, "table", 0);
		int Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0), rows = f_size(f, "n");
		rows_view(f, &t);
		int last = f_let(f, "last", aff_off(aff_v(rows), -1)),
		    s = f_for(f, "s", aff_c(0), aff_v(rows), 1);
		int ahead = f_min(f, "ahead", aff_off(aff_v(s), AHEAD / 4), aff_v(last)),
		    next = f_load(f, "next", I, aff_v(f_load(f, "there", A, aff_v(ahead))));
		row_ask(f, &t, next);
		int row = f_load(f, "row", I, aff_v(f_load(f, "here", A, aff_v(s))));
		row_copy(f, l->t, &t, Y, aff_mul(aff_v(s), arg[3].stride), aff_v(row));
		f_end(f, 1);
	}
	lo_call(l, f, 4, arg, true, n->span);
}

/* Records of several tables are asked for together. */
static bool lookup_joins(const Lowering *l, NodeId first, NodeId id)
{
	int n = 1;
	for (NodeId k = first; l->with[k]; k = l->with[k]) n++;
	return n < TOGETHER && !bag(l, first) && !bag(l, id); /* fields of sequences are bags */
}

static bool like(const Rows *a, const Table *t)
{
	Rows b = rows_of(t);
	return a->dim == b.dim && a->stride == b.stride && a->p == b.p;
}

static void gather_lower(Lowering *l, NodeId id)
{
	Gather g = {0};
	Loc arg[3 * TOGETHER];
	Text name = {0};
	for (NodeId k = id, same = 0; k; k = l->with[k], g.n++) {
		const Lookup *look = lookup_of(l, k);
		Loc *a = arg + 3 * g.n;
		a[0] = lo_slot(l, SLOT_ID, look->feature, 1, false);
		a[1] = lo_slot(l, SLOT_TABLE, look->table, 0, false);
		a[2] = lo_result(l, k);
		g.table[g.n] = rows_of(&l->spec->table.at[look->table]);
		const Rows *t = &g.table[g.n];
		g.ys[g.n] = a[2].stride;
		same++;
		NodeId next = l->with[k];
		if (next && like(t, &l->spec->table.at[lookup_of(l, next)->table]) &&
		    lo_result(l, next).stride == g.ys[g.n])
			continue;
		text_printf(&name, "_%d_%c%d_%d", t->dim, letter(t), (int)t->stride, (int)g.ys[g.n]);
		if (same > 1) text_printf(&name, "_x%d", (int)same);
		same = 0;
	}
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "gather%s", name.at);
	text_free(&name);
	if (fresh) {
		for (int i = 0; i < g.n; i++) {
			g.id[i] = f_buf(f, BUF_IN, ELEM_I32, "id", 0);
			g.table[i].buf = f_buf(f, BUF_IN, ELEM_F32, "table", 0);
			g.y[i] = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		}
		int rows = f_size(f, "n");
		for (int i = 0; i < g.n; i++) rows_view(f, &g.table[i]);
		gather_rows(f, l->t, &g, rows);
	}
	lo_call(l, f, 3 * g.n, arg, true, l->g->node.at[id].span);
}

static void lookup_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	const Lookup *look = lookup_of(l, id);
	Rows t = rows_of(&l->spec->table.at[look->table]);
	Loc Y = lo_result(l, id), T = lo_slot(l, SLOT_TABLE, look->table, 0, false);
	bool fresh;
	if (n->shape.seq) {
		steps_lower(l, id);
		return;
	}
	if (bag(l, id)) {
		Loc arg[5] = {lo_slot(l, SLOT_BAG_START, look->feature, 1, false),
			      lo_slot(l, SLOT_BAG_ITEM, look->feature, 0, false),
			      lo_slot(l, SLOT_BAG_SCALE, look->feature, 0, false), T, Y};
		Fn *f =
		    lo_kernel(l, &fresh, "pool_%d_%c%d_%d", t.dim, letter(&t), (int)t.stride, (int)Y.stride);
		if (fresh) {
			int B[3] = {f_buf(f, BUF_IN, ELEM_I32, "start", 0),
				    f_buf(f, BUF_IN, ELEM_I32, "item", 0),
				    f_buf(f, BUF_IN, ELEM_F32, "scale", 0)};
			t.buf = f_buf(f, BUF_IN, ELEM_F32, "table", 0);
			int by = f_buf(f, BUF_OUT, ELEM_F32, "y", 0), rows = f_size(f, "n");
			rows_view(f, &t);
			pool_rows(f, l->t, &t, Y.stride, B, by, rows);
		}
		lo_call(l, f, 5, arg, true, n->span);
		return;
	}
	gather_lower(l, id);
}

/* Shares of the items, 0 where all weigh nothing. */
static int shares(Onnx *o, int weight)
{
	int64_t last = -1;
	int all = onnx_2(o, "ReduceSum", weight, onnx_ints(o, 1, &last)),
	    zero = onnx_number(o, ONNX_FLOAT, 0);
	return onnx_3(o, "Where", onnx_2(o, "Less", zero, all), onnx_2(o, "Div", weight, all), zero);
}

static int lookup_onnx(Onnx *o, const Node *n, const int *x)
{
	(void)x;
	const Lookup *look = &o->spec->lookup.at[n->attr.i];
	const Table *t = &o->spec->table.at[look->table];
	const Feature *f = &o->spec->feature.at[look->feature];
	int64_t dim[2] = {t->rows, t->dim}, one = 1, two = 2;
	int rows = onnx_2(o, "Gather", onnx_weight(o, t->name, 2, dim), onnx_rows(o, look->feature));
	if (f->kind != FEATURE_BAG || f->seq) return rows;
	int weight = onnx_weights(o, look->feature);
	if (f->pool_mean) weight = shares(o, weight);
	int scaled = onnx_2(o, "Mul", rows, onnx_2(o, "Unsqueeze", weight, onnx_ints(o, 1, &two)));
	return onnx_reshape(o, onnx_2(o, "ReduceSum", scaled, onnx_ints(o, 1, &one)), n->shape);
}

const Op op_lookup = {.word = "lookup",
		      .onnx = lookup_onnx,
		      .n_in = 0,
		      .group = GROUP_EMBED,
		      .doc = "The table row of an id, or the pooled rows of a bag.",
		      .formula = "y = T[id];  y = sum_i scale_i T[id_i]",
		      .shape = lookup_shape,
		      .lower = lookup_lower,
		      .joins = lookup_joins};
