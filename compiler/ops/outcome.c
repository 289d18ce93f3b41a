/* What multi-class outcomes need: log-sum-exp, the largest of a row, a class as a row of 0 and 1. */
#include "ir/onnx.h"
#include "ops/family.h"
#include "ir/value.h"

/* ---- a row of d elements in registers, as vectors of eight chains ---- */

typedef struct {
	int d, vectors;
	Chains c;
	int x; /* [vectors] */
} Row;

static const double BELOW = -3.0e38; /* what stands in lanes beyond the end: cannot win a maximum */

static int have(const Row *w, int v)
{
	return w->d - v * w->c.lanes < w->c.lanes ? w->d - v * w->c.lanes : w->c.lanes;
}

static int row_x(Fn *f, const Row *w, int v) { return e_reg(f, w->x, aff_c(v), aff_c(0)); }
static int row_s(Fn *f, const Row *w, int v) { return e_reg(f, w->c.reg, aff_c(v), aff_c(0)); }

static Row row_load(Lowering *l, Fn *f, int d, int X, Aff from)
{
	Row w = {.d = d, .c = chains_new(l, f, "s")};
	int L = w.c.lanes;
	w.vectors = (d + L - 1) / L;
	w.x = f_reg(f, "x", L, w.vectors, 1);
	for (int v = 0; v < w.vectors; v++) {
		int x = e_load_n(f, L, X, aff_off(from, (int64_t)v * L), aff_c(have(&w, v)));
		if (have(&w, v) < L)
			x = e_op4(f, E_SELLT, e_const(f, L, 0),
				  e_keep(f, e_const(f, L, 1), aff_c(have(&w, v))), x, e_const(f, L, BELOW));
		f_set(f, w.x, aff_c(v), aff_c(0), x);
	}
	return w;
}

/* The largest element, in all lanes of the register that comes back. */
static int row_most(Fn *f, const Row *w)
{
	int L = w->c.lanes;
	for (int v = 0; v < w->vectors || v < w->c.n; v++) {
		int x = v < w->vectors ? row_x(f, w, v) : e_const(f, L, BELOW);
		f_set(f, w->c.reg, aff_c(v % w->c.n), aff_c(0),
		      v < w->c.n ? x : e_op2(f, E_MAX, x, row_s(f, w, v % w->c.n)));
	}
	chains_tree(f, w->c, E_MAX);
	int most = f_reg(f, "most", L, 1, 1);
	f_set1(f, most, row_s(f, w, 0));
	return most;
}

/* [n, .., d] -> [n, ..] */
static bool last_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
		       const char **why)
{
	(void)n, (void)attr;
	*out = g->node.at[in[0]].shape;
	if (out->nd < 1 || !out->rows) {
		*why = "several columns of every row are needed";
		return false;
	}
	out->nd--;
	return true;
}

/* One number for each row of d: `lse`, or the largest. */
static void reduce_lower(Lowering *l, NodeId id, bool lse)
{
	const Node *n = &l->g->node.at[id];
	Shape from = l->g->node.at[n->in[0]].shape;
	int d = from.d[from.nd - 1], outer = (int)shape_size(n->shape);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "%s_%dx%d_s%d_%d", lse ? "lse" : "max_last", outer, d,
			  (int)arg[0].stride, (int)arg[1].stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
		    rows = f_size(f, "n");
		int r = f_for(f, "r", aff_c(0), aff_v(rows), 1), o = f_for(f, "o", aff_c(0), aff_c(outer), 1);
		Row w = row_load(l, f, d, X, aff_plus(aff_mul(aff_v(r), arg[0].stride), o, d));
		int L = w.c.lanes, most = row_most(f, &w), y = e_lane(f, e_reg1(f, most), 0);
		if (lse) {
			chains_zero(f, w.c);
			for (int v = 0; v < w.vectors; v++) {
				int x = e_call(f, value_fn(l->m, "exp"),
					       e_op2(f, E_SUB, row_x(f, &w, v), e_reg1(f, most)));
				if (have(&w, v) < L) x = e_keep(f, x, aff_c(have(&w, v)));
				f_set(f, w.c.reg, aff_c(v % w.c.n), aff_c(0),
				      e_op2(f, E_ADD, row_s(f, &w, v % w.c.n), x));
			}
			chains_tree(f, w.c, E_ADD);
			int total = f_reg(f, "total", 1, 1, 1);
			f_set1(f, total, e_lane(f, row_s(f, &w, 0), 0));
			y = e_op2(f, E_ADD, y, e_call(f, value_fn(l->m, "log"), e_reg1(f, total)));
		}
		f_store(f, Y, aff_plus(aff_mul(aff_v(r), arg[1].stride), o, 1), y);
		f_end(f, 2);
	}
	lo_call(l, f, 2, arg, true, n->span);
}

static void lse_lower(Lowering *l, NodeId id) { reduce_lower(l, id, true); }
static void max_last_lower(Lowering *l, NodeId id) { reduce_lower(l, id, false); }

/* d [n, ..] made as wide as x, times the share of each element. */
static void lse_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	NodeId x = g->node.at[id].in[0];
	NodeId wide = graph_push(g, OP_SPREAD, g->node.at[x].shape, 1, &d, (Attr){0}, g->node.at[id].span);
	din[0] = graph_2(g, OP_MUL, wide, graph_1(g, OP_SOFTMAX, x));
}

static int last_onnx(Onnx *o, const Node *n, const int *x, const char *op)
{
	Shape from = o->g->node.at[n->in[0]].shape;
	int y = onnx_node(o, op, 1, (int[]){onnx_whole(o, x[0], from)},
			  (OnnxAttr){.kind = ONNX_ATTR_INTS, .name = "axes", .i = -1});
	return onnx_reshape(o, y, n->shape); /* it keeps a dimension of 1 */
}
static int lse_onnx(Onnx *o, const Node *n, const int *x) { return last_onnx(o, n, x, "ReduceLogSumExp"); }
static int max_last_onnx(Onnx *o, const Node *n, const int *x) { return last_onnx(o, n, x, "ReduceMax"); }

const Op op_lse = {.word = "lse",
		   .onnx = lse_onnx,
		   .n_in = 1,
		   .group = GROUP_MIX,
		   .doc = "The logarithm of the sum of exponentials over the last dimension.",
		   .formula = "y = log(sum_i e^x_i)",
		   .example = "lse([0, 0.6931471806, 0]) == [1.386294361]",
		   .shape = last_shape,
		   .grad = lse_grad,
		   .lower = lse_lower};

const Op op_max_last = {.word = "max_last",
			.onnx = max_last_onnx,
			.n_in = 1,
			.group = GROUP_MIX,
			.doc = "The largest element of the last dimension, without a gradient.",
			.formula = "y = max_i x_i",
			.example = "max_last([1, 3, 2]) == [3]",
			.shape = last_shape,
			.lower = max_last_lower};

/* ---- a class as a row of 0 and 1 ---- */

static bool onehot_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			 const char **why)
{
	(void)n;
	Shape s = g->node.at[in[0]].shape;
	if (!s.rows || shape_size(s) != 1) {
		*why = "one class per row is needed";
		return false;
	}
	*out = shape_over(g->node.at[in[0]].shape, shape_1(true, attr->j));
	return true;
}

static void onehot_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int k = n->attr.j;
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "onehot_%d_s%d_%d", k, (int)arg[0].stride, (int)arg[1].stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
		    rows = f_size(f, "n");
		int r = f_for(f, "r", aff_c(0), aff_v(rows), 1);
		/* How far it is from the j-th class: exact, as classes are small whole numbers. */
		int left = f_reg(f, "left", 1, 1, 1);
		f_set1(f, left, e_load(f, 1, X, aff_mul(aff_v(r), arg[0].stride)));
		int j = f_for(f, "j", aff_c(0), aff_c(k), 1);
		f_store(f, Y, aff_plus(aff_mul(aff_v(r), arg[1].stride), j, 1),
			e_op4(f, E_SELLT, e_op1(f, E_ABS, e_reg1(f, left)), e_const(f, 1, 0.5),
			      e_const(f, 1, 1), e_const(f, 1, 0)));
		f_set1(f, left, e_op2(f, E_SUB, e_reg1(f, left), e_const(f, 1, 1)));
		f_end(f, 2);
	}
	lo_call(l, f, 2, arg, true, n->span);
}

const Op op_onehot = {.word = "onehot",
		      .n_in = 1,
		      .group = GROUP_MIX,
		      .doc = "A class, from 0, as a row of zeros with a single 1.",
		      .formula = "y_j = (x = j), j = 0 .. width-1",
		      .example = "onehot([2], width: 4) == [0, 0, 1, 0]",
		      .shape = onehot_shape,
		      .lower = onehot_lower};
