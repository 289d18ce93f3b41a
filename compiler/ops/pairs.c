/*
 * Field-weighted pairs: y = sum_{i<j} r_ij v_i v_j, element by element of fields [n, F, m].
 *
 * Neither the products of the pairs nor their gradients are ever in memory: thirty fields have 435.  The
 * weights of a pair are one number, r [F (F - 1) / 2]; kernels read them as the upper triangle of a square.
 * A field meets those before it, so that the first fields, the request's, can be summed once: pair_first and
 * pair_rest do what pair_sum does, step by step.
 */
#include "ir/onnx.h"
#include "ops/dense.h"
#include "ops/family.h"

/* ---- triangle: [F (F - 1) / 2] -> [F, F] ---- */

static int corner(int pairs)
{
	int F = 2;
	while (F * (F - 1) / 2 < pairs) F++;
	return F;
}

static bool triangle_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			   const char **why)
{
	Shape s = g->node.at[in[0]].shape;
	int F = corner((int)shape_size(s));
	(void)n, (void)attr;
	if (s.rows || s.nd != 1 || F * (F - 1) / 2 != s.d[0]) {
		*why = arena_printf(g->arena, "pairs of fields are 1, 3, 6, 10, ... numbers, not %s",
				    shape_text(g->arena, s));
		return false;
	}
	*out = shape_2(false, F, F);
	return true;
}

static void triangle_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	(void)id;
	din[0] = graph_1(g, OP_TRIANGLE_DX, d);
}

/* Row i of the triangle has F - 1 - i numbers; in the square it begins right of the diagonal. */
static void triangle_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	bool square = n->op == OP_TRIANGLE, fresh;
	int F = square ? n->shape.d[0] : corner(n->shape.d[0]);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	Fn *f = lo_kernel(l, &fresh, "%s_%d", op_table[n->op]->word, F);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		if (square) {
			int k = f_for(f, "k", aff_c(0), aff_c((int64_t)F * F), 1);
			f_store(f, Y, aff_v(k), e_const(f, 1, 0));
			f_end(f, 1);
		}
		for (int i = 0, at = 0; i < F - 1; at += F - 1 - i++) {
			int64_t in_square = (int64_t)i * F + i + 1;
			f_copy(f, l->t->W, F - 1 - i, Y, aff_c(square ? in_square : at), X,
			       aff_c(square ? at : in_square));
		}
	}
	lo_call(l, f, 2, arg, false, n->span);
}

/* The pairs with a zero behind them, taken by place. */
static int triangle_onnx(Onnx *o, const Node *n, const int *x)
{
	int F = n->shape.d[0], at = 0, pairs = F * (F - 1) / 2;
	int64_t *place = arena_new(o->arena, int64_t, (size_t)F * (size_t)F), one = 1, size[2] = {F, F};
	for (int i = 0; i < F; i++)
		for (int j = 0; j < F; j++) place[i * F + j] = j > i ? at++ : pairs;
	int zero = onnx_2(o, "Reshape", onnx_number(o, ONNX_FLOAT, 0), onnx_ints(o, 1, &one));
	int all = onnx_node(o, "Concat", 2, (int[]){x[0], zero},
			    (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "axis", .i = 0});
	return onnx_2(o, "Reshape", onnx_2(o, "Gather", all, onnx_ints(o, F * F, place)),
		      onnx_ints(o, 2, size));
}

const Op op_triangle = {.word = "triangle",
			.onnx = triangle_onnx,
			.n_in = 1,
			.group = GROUP_SHAPE,
			.doc =
			    "A number for each pair i < j, as a square with zeros on and below the diagonal.",
			.formula = "y[i, j] = x[pair i j]",
			.example = "triangle([1, 2, 3]) == [[0, 1, 2], [0, 0, 3], [0, 0, 0]]",
			.shape = triangle_shape,
			.grad = triangle_grad,
			.lower = triangle_lower};

static bool triangle_dx_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			      const char **why)
{
	int F = g->node.at[in[0]].shape.d[0];
	(void)n, (void)attr, (void)why;
	*out = shape_1(false, F * (F - 1) / 2);
	return true;
}

const Op op_triangle_dx = {.word = "triangle_dx",
			   .n_in = 1,
			   .group = GROUP_SHAPE,
			   .doc = "What lies above the diagonal: the gradient of triangle.",
			   .formula = "y[pair i j] = x[i, j]",
			   .example = "triangle_dx([[9, 1, 2], [9, 9, 3], [9, 9, 9]]) == [1, 2, 3]",
			   .shape = triangle_dx_shape,
			   .lower = triangle_lower};

/* ---- pair_sum: v [n, F, m], r [F, F] -> [n, m] ---- */

static bool pair_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
		       const char **why)
{
	Shape v = g->node.at[in[0]].shape, r = g->node.at[in[1]].shape;
	(void)n, (void)attr;
	if (!v.rows || v.nd != 2 || r.rows || r.nd != 2 || r.d[0] != v.d[0] || r.d[1] != v.d[0]) {
		*why = arena_printf(g->arena, "fields are of shape [n, fields, width], not %s",
				    shape_text(g->arena, v));
		return false;
	}
	*out = shape_over(v, shape_1(true, v.d[1]));
	return true;
}

static void pair_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	NodeId v = g->node.at[id].in[0], r = g->node.at[id].in[1];
	din[0] = graph_3(g, OP_PAIR_SUM_DV, d, v, r);
	din[1] = graph_1(g, OP_TRIANGLE, graph_1(g, OP_TRIANGLE_DX, graph_2(g, OP_PAIR_SUM_DR, d, v)));
}

typedef struct {
	const Target *t;
	int F, m;
	int V, R, D, Y;		/* buffers */
	int S;			/* what the fields before these left, or -1 */
	int64_t vs, ds, ys, ss; /* of a row */
	int first, fields;	/* those in V, of F */
	int rows, r;		/* of a tile; its first */
	Aff col, have;		/* the columns at hand */
} Pairs;

static Aff row_of(const Pairs *p, int q, int64_t stride)
{
	return aff_plus(aff_mul(aff_v(p->r), stride), q, stride);
}

/* Columns of field i of row q of the tile. */
static int field(Fn *f, const Pairs *p, int q, int i)
{
	return e_load_n(f, p->t->W, p->V, aff_add(aff_plus(row_of(p, q, p->vs), i, p->m), p->col), p->have);
}

static int element(Fn *f, int reg, int q) { return e_reg(f, reg, aff_plus(aff_c(0), q, 1), aff_c(0)); }

/* reg[q] = something of q, for the rows of the tile */
#define EACH_ROW(f, p, reg, q, e)                                                                            \
	do {                                                                                                 \
		int opened_ = 0, q = unroll(f, "q", (p)->rows, &opened_);                                    \
		f_set(f, reg, aff_plus(aff_c(0), q, 1), aff_c(0), e);                                        \
		f_end(f, opened_);                                                                           \
	} while (0)

/* u += r[at] v_j for j from lo to hi, `at` = a + b j */
static void add_fields(Fn *f, const Pairs *p, int u, int x, Aff lo, Aff hi, Aff a, int64_t b)
{
	int j = f_for(f, "j", lo, hi, 1);
	f_set1(f, x, e_splat(f, p->t->W, e_load(f, 1, p->R, aff_plus(a, j, b))));
	EACH_ROW(f, p, u, q, mad(f, p->t, e_reg1(f, x), field(f, p, q, j), element(f, u, q)));
	f_end(f, 1);
}

static Aff place(const Pairs *p, int q, int64_t stride, Aff i)
{
	return aff_add(aff_add(row_of(p, q, stride), aff_mul(i, p->m)), p->col);
}

/* u = sum_i r_ij v_i over the fields i of V below hi, on top of what S has for j; both of V's first on */
static void meet(Fn *f, const Pairs *p, int u, int x, Aff j, Aff hi)
{
	int64_t corner = (int64_t)p->first * p->F + p->first;
	if (p->S >= 0)
		EACH_ROW(f, p, u, q, e_load_n(f, p->t->W, p->S, place(p, q, p->ss, aff_off(j, 1)), p->have));
	else
		EACH_ROW(f, p, u, q, e_const(f, p->t->W, 0));
	add_fields(f, p, u, x, aff_c(0), hi, aff_off(j, corner), p->F);
}

static void leave(Fn *f, const Pairs *p, int reg, Aff i)
{
	int opened = 0, q = unroll(f, "q", p->rows, &opened);
	f_store_n(f, p->Y, place(p, q, p->ys, i), element(f, reg, q), p->have);
	f_end(f, opened);
}

/* sum_j v_j sum_{i<j} r_ij v_i, both ascending; then, for each field behind V's, the inner sum so far */
static void sum_tile(Fn *f, const Pairs *p)
{
	int W = p->t->W, s = f_reg(f, "s", W, p->rows, 1), u = f_reg(f, "u", W, p->rows, 1),
	    x = f_reg(f, "x", W, 1, 1);
	if (p->S >= 0)
		EACH_ROW(f, p, s, q, e_load_n(f, W, p->S, place(p, q, p->ss, aff_c(0)), p->have));
	else
		EACH_ROW(f, p, s, q, e_const(f, W, 0));
	int j = f_for(f, "k", aff_c(p->S < 0), aff_c(p->fields), 1);
	meet(f, p, u, x, aff_v(j), aff_v(j));
	EACH_ROW(f, p, s, q, mad(f, p->t, field(f, p, q, j), element(f, u, q), element(f, s, q)));
	f_end(f, 1);
	leave(f, p, s, aff_c(0));
	int behind = p->F - p->first - p->fields;
	if (!behind) return;
	j = f_for(f, "k", aff_c(0), aff_c(behind), 1);
	meet(f, p, u, x, aff_off(aff_v(j), p->fields), aff_c(p->fields));
	leave(f, p, u, aff_off(aff_v(j), 1));
	f_end(f, 1);
}

/* dv_i = dy (sum_{j<i} r_ji v_j + sum_{j>i} r_ij v_j), one ascending chain */
static void dv_tile(Fn *f, const Pairs *p)
{
	int W = p->t->W, u = f_reg(f, "u", W, p->rows, 1), x = f_reg(f, "x", W, 1, 1);
	int i = f_for(f, "i", aff_c(0), aff_c(p->F), 1);
	EACH_ROW(f, p, u, q, e_const(f, W, 0));
	add_fields(f, p, u, x, aff_c(0), aff_v(i), aff_v(i), p->F);
	add_fields(f, p, u, x, aff_off(aff_v(i), 1), aff_c(p->F), aff_mul(aff_v(i), p->F), 1);
	int opened = 0, q = unroll(f, "q", p->rows, &opened);
	int dy = e_load_n(f, W, p->D, aff_add(row_of(p, q, p->ds), p->col), p->have);
	f_store_n(f, p->Y, aff_add(aff_plus(row_of(p, q, p->ys), i, p->m), p->col),
		  e_op2(f, E_MUL, element(f, u, q), dy), p->have);
	f_end(f, opened + 1);
}

/* Tiles of rows, then rows one by one; vectors of columns. */
static void pair_rows(Fn *f, Pairs *p, int n, void (*tile)(Fn *, const Pairs *))
{
	int W = p->t->W, tall = W / 2, whole = f_floor(f, "whole", aff_v(n), tall);
	for (int part = 0; part < 2; part++) {
		p->rows = part ? 1 : tall;
		p->r = f_for(f, "r", part ? aff_v(whole) : aff_c(0), part ? aff_v(n) : aff_v(whole), p->rows);
		for (int tail = 0; tail < 2; tail++) {
			if (tail ? p->m % W == 0 : p->m < W) continue;
			int c = f_for(f, "c", aff_c(tail ? p->m / W * W : 0),
				      aff_c(tail ? p->m : p->m / W * W), W);
			p->col = aff_v(c);
			p->have = aff_c(tail ? p->m % W : W);
			tile(f, p);
			f_end(f, 1);
		}
		f_end(f, 1);
	}
}

static void pair_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	bool dv = n->op == OP_PAIR_SUM_DV, rest = n->op == OP_PAIR_REST, fresh;
	const NodeId *in = n->in + dv;
	Shape v = l->g->node.at[in[0]].shape, r = l->g->node.at[in[1]].shape;
	Loc arg[4] = {lo_value(l, in[0]), lo_value(l, in[1])};
	int na = 2;
	if (dv || rest) arg[na++] = lo_value(l, n->in[rest ? 2 : 0]);
	arg[na++] = lo_result(l, id);
	Fn *f = lo_kernel(l, &fresh, "%s_%dof%dx%d_s%d_%d_%d", op_table[n->op]->word, v.d[0], r.d[0], v.d[1],
			  (int)arg[0].stride, (int)arg[2].stride, (int)arg[na - 1].stride);
	if (fresh) {
		Pairs p = {.t = l->t,
			   .F = r.d[0],
			   .m = v.d[1],
			   .S = -1,
			   .first = rest ? r.d[0] - v.d[0] : 0,
			   .fields = v.d[0],
			   .vs = arg[0].stride,
			   .ds = arg[2].stride,
			   .ss = arg[2].stride,
			   .ys = arg[na - 1].stride};
		p.V = f_buf(f, BUF_IN, ELEM_F32, "v", 0);
		p.R = f_buf(f, BUF_IN, ELEM_F32, "r", 0);
		if (dv) p.D = f_buf(f, BUF_IN, ELEM_F32, "dy", 0);
		if (rest) p.S = f_buf(f, BUF_IN, ELEM_F32, "first", 0);
		p.Y = f_buf(f, BUF_OUT, ELEM_F32, dv ? "dv" : "y", 0);
		pair_rows(f, &p, f_size(f, "n"), dv ? dv_tile : sum_tile);
	}
	lo_call(l, f, na, arg, true, n->span);
}

/* sum_i v_i (r v)_i */
static int pair_onnx(Onnx *o, const Node *n, const int *x)
{
	int64_t axis = 1;
	int v = onnx_whole(o, x[0], o->g->node.at[n->in[0]].shape);
	int both = onnx_2(o, "Mul", v, onnx_2(o, "MatMul", x[1], v));
	return onnx_reshape(o, onnx_2(o, "ReduceSum", both, onnx_ints(o, 1, &axis)), n->shape);
}

const Op op_pair_sum = {.word = "pair_sum",
			.onnx = pair_onnx,
			.n_in = 2,
			.group = GROUP_MIX,
			.doc = "The products of each two fields, weighed by what lies above the diagonal.",
			.formula = "y = sum_{i<j} r_ij v_i v_j",
			.example = "pair_sum([[1, 2], [3, 4]], [[0, 10], [0, 0]]) == [30, 80]",
			.shape = pair_shape,
			.grad = pair_grad,
			.lower = pair_lower};

/* ---- the same in two steps, when scoring only ---- */

static bool pair_first_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			     const char **why)
{
	Shape v = g->node.at[in[0]].shape;
	(void)n, (void)attr, (void)why;
	*out = shape_2(true, 1 + g->node.at[in[1]].shape.d[0] - v.d[0], v.d[1]);
	return true;
}

const Op op_pair_first = {
    .word = "pair_first",
    .n_in = 2,
    .group = GROUP_MIX,
    .doc =
	"The pairs of the first fields of pair_sum; then, for each other field j, what it is going to meet.",
    .formula = "y_0 = sum_{i<j<k} r_ij v_i v_j, then sum_{i<k} r_ij v_i for j = k ...",
    .example = "pair_first([[1, 2], [3, 4]], [[0, 10, 1], [0, 0, 2], [0, 0, 0]]) == [[30, 80], [7, 10]]",
    .shape = pair_first_shape,
    .lower = pair_lower};

static bool pair_rest_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			    const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = shape_1(true, g->node.at[in[0]].shape.d[1]);
	return true;
}

const Op op_pair_rest = {
    .word = "pair_rest",
    .n_in = 3,
    .group = GROUP_MIX,
    .doc = "The other pairs of pair_sum, from where `pair_first` left it.",
    .formula = "y = first_0 + sum_j v_j (first_j + sum_{i<j} r_ij v_i)",
    .example = "pair_rest([[5, 6]], [[0, 10, 1], [0, 0, 2], [0, 0, 0]], [[30, 80], [7, 10]]) == [65, 140]",
    .shape = pair_rest_shape,
    .lower = pair_lower};

static bool pair_dv_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			  const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = g->node.at[in[1]].shape;
	return true;
}

const Op op_pair_sum_dv = {
    .word = "pair_sum_dv",
    .n_in = 3,
    .group = GROUP_MIX,
    .doc = "The gradient of pair_sum in the fields.",
    .formula = "dv_i = dy (sum_{j<i} r_ji v_j + sum_{j>i} r_ij v_j)",
    .example = "pair_sum_dv([1, 2], [[1, 2], [3, 4]], [[0, 10], [0, 0]]) == [[30, 80], [10, 40]]",
    .shape = pair_dv_shape,
    .lower = pair_lower};

/* ---- the gradient in the weights of the pairs, summed over rows ---- */

static bool pair_dr_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			  const char **why)
{
	int F = (int)(shape_size(g->node.at[in[1]].shape) / shape_size(g->node.at[in[0]].shape));
	(void)n, (void)attr, (void)why;
	*out = shape_2(false, F, F);
	return true;
}

enum { LANES = 16, MOST = 4 };

/* Fields i .. i + a times fields j .. j + b: sixteen chains each, by column mod 16, over the rows of a block;
 * then a tree. */
static void dr_tile(Fn *f, const Pairs *p, Aff i, int a, Aff j, int b, int n)
{
	int L = p->t->W < LANES ? p->t->W : LANES, V = LANES / L, whole = p->m / LANES * LANES;
	Chains c[MOST * MOST];
	f_for(f, "o", aff_c(0), aff_c(1), 1); /* the registers of a tile have their own life */
	for (int k = 0; k < a * b; k++) {
		c[k] = (Chains){f_reg(f, "s", L, V, 1), L, V};
		chains_zero(f, c[k]);
	}
	int r = f_for(f, "r", aff_c(0), aff_v(n), 1);
	for (int tail = 0; tail < 2; tail++) {
		if (tail ? whole == p->m : !whole) continue;
		int k = f_for(f, "k", aff_c(tail ? whole : 0), aff_c(tail ? p->m : whole), LANES);
		for (int v = 0; v < V; v++) {
			int have = tail ? p->m - whole - v * L : L;
			if (have <= 0) continue;
			Aff lanes = aff_c(have < L ? have : L), col = aff_off(aff_v(k), (int64_t)v * L),
			    row = aff_add(aff_mul(aff_v(r), p->vs), col);
			int g = f_reg(f, "g", L, a, 1), w = f_reg(f, "w", L, b, 1),
			    d = f_reg(f, "d", L, 1, 1);
			f_set1(f, d, e_load_n(f, L, p->D, aff_add(aff_mul(aff_v(r), p->ds), col), lanes));
			for (int q = 0; q < a; q++)
				f_set(f, g, aff_c(q), aff_c(0),
				      e_op2(f, E_MUL, e_reg1(f, d),
					    e_load_n(f, L, p->V, aff_add(row, aff_mul(aff_off(i, q), p->m)),
						     lanes)));
			for (int q = 0; q < b; q++)
				f_set(
				    f, w, aff_c(q), aff_c(0),
				    e_load_n(f, L, p->V, aff_add(row, aff_mul(aff_off(j, q), p->m)), lanes));
			for (int q = 0; q < a * b; q++)
				f_set(f, c[q].reg, aff_c(v), aff_c(0),
				      mad(f, p->t, e_reg(f, g, aff_c(q / b), aff_c(0)),
					  e_reg(f, w, aff_c(q % b), aff_c(0)),
					  e_reg(f, c[q].reg, aff_c(v), aff_c(0))));
		}
		f_end(f, 1);
	}
	f_end(f, 1);
	for (int q = 0; q < a * b; q++) {
		Aff to = aff_add(aff_mul(aff_off(i, q / b), p->F), aff_off(j, q % b));
		chains_tree(f, c[q], E_ADD);
		f_store(f, p->Y, to,
			e_op2(f, E_ADD, e_load(f, 1, p->Y, to),
			      e_lane(f, e_reg(f, c[q].reg, aff_c(0), aff_c(0)), 0)));
	}
	f_end(f, 1);
}

static void pair_dr_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int F = n->shape.d[0], m = (int)shape_size(l->g->node.at[n->in[0]].shape);
	Loc arg[3] = {lo_value(l, n->in[0]), lo_value(l, n->in[1]), lo_result(l, id)};
	bool fresh;
	Fn *f =
	    lo_kernel(l, &fresh, "pair_sum_dr_%dx%d_s%d_%d", F, m, (int)arg[0].stride, (int)arg[1].stride);
	if (fresh) {
		Pairs p = {.t = l->t, .F = F, .m = m, .ds = arg[0].stride, .vs = arg[1].stride};
		p.D = f_buf(f, BUF_IN, ELEM_F32, "dy", 0);
		p.V = f_buf(f, BUF_IN, ELEM_F32, "v", 0);
		p.Y = f_buf(f, BUF_INOUT, ELEM_F32, "dr", 0);
		int rows = f_size(f, "n"), most = l->t->W >= LANES ? MOST : l->t->W / 4,
		    whole = p.F / most * most;
		for (int a = 0; a < 2; a++) {
			if (a ? whole == p.F : !whole) continue;
			int i = f_for(f, "i", aff_c(a ? whole : 0), aff_c(a ? p.F : whole), most);
			for (int b = 0; b < 2; b++) {
				if (b ? whole == p.F : !whole) continue;
				int j = f_for(f, "j", aff_c(b ? whole : 0), aff_c(b ? p.F : whole), most);
				dr_tile(f, &p, aff_v(i), a ? p.F - whole : most, aff_v(j),
					b ? p.F - whole : most, rows);
				f_end(f, 1);
			}
			f_end(f, 1);
		}
	}
	lo_call(l, f, 3, arg, true, n->span);
}

const Op op_pair_sum_dr = {
    .word = "pair_sum_dr",
    .n_in = 2,
    .group = GROUP_MIX,
    .doc =
	"The gradient of pair_sum in the weights, summed over rows; those on and below the diagonal as well.",
    .formula = "dr_ij = <dy, v_i v_j>",
    .example = "pair_sum_dr([[1], [10]], [[2, 3], [1, 1]]) == [[14, 16], [16, 19]]",
    .shape = pair_dr_shape,
    .lower = pair_dr_lower};
