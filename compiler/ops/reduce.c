/* Sums over rows and over the last dimension. */
#include "ir/onnx.h"
#include "ops/family.h"

/* ---- over rows: [n, d...] -> [d...], accumulated into the sums of the slice.  Rows that depend on it wait
 * for all others (pass/stage.h). ---- */

static bool sum_rows_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			   const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = g->node.at[in[0]].shape;
	out->rows = false;
	return true;
}

static void sum_rows_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	NodeId x = g->node.at[id].in[0];
	din[0] = graph_push(g, OP_SPREAD, g->node.at[x].shape, 1, &d, (Attr){0}, g->node.at[id].span);
}

/* A sum of one number per row: eight chains over the rows of the block, a tree; onto what is there, or alone.
 */
static void sum_column(Fn *f, const Lowering *l, int64_t stride, bool onto, int X, int Y, int n)
{
	Chains s = chains_new(l, f, "s");
	chains_zero(f, s);
	if (stride == 1) {
		int whole = f_floor(f, "whole", aff_v(n), 8);
		for (int tail = 0; tail < 2; tail++) {
			int r =
			    f_for(f, "r", tail ? aff_v(whole) : aff_c(0), tail ? aff_v(n) : aff_v(whole), 8);
			for (int v = 0; v < s.n; v++) {
				Aff at = aff_off(aff_v(r), (int64_t)v * s.lanes);
				int x =
				    tail ? e_load_n(f, s.lanes, X, at,
						    aff_off(aff_plus(aff_v(n), r, -1), -(int64_t)v * s.lanes))
					 : e_load(f, s.lanes, X, at);
				f_set(f, s.reg, aff_c(v), aff_c(0),
				      e_op2(f, E_ADD, e_reg(f, s.reg, aff_c(v), aff_c(0)), x));
			}
			f_end(f, 1);
		}
	} else {
		/* Strided: the same chains, filled from memory lane by lane through a small gather of
		 * scalars. */
		int r = f_for(f, "r", aff_c(0), aff_v(n), 8);
		for (int v = 0; v < s.n; v++) {
			int t = f_reg(f, "x", s.lanes, 1, 1);
			f_set1(f, t, e_const(f, s.lanes, 0));
			for (int i = 0; i < s.lanes; i++) {
				/* lane i alone: a splat kept below i + 1 minus the same kept below i would
				 * round; a shuffle does not */
				uint8_t pick[16];
				for (int k = 0; k < s.lanes; k++) pick[k] = (uint8_t)(k == i ? s.lanes : k);
				Aff row = aff_off(aff_v(r), (int64_t)v * s.lanes + i);
				int left = e_load_n(f, 1, X, aff_mul(row, stride),
						    aff_add(aff_v(n), aff_mul(row, -1)));
				f_set1(f, t, e_shuf(f, e_reg1(f, t), e_splat(f, s.lanes, left), pick));
			}
			f_set(f, s.reg, aff_c(v), aff_c(0),
			      e_op2(f, E_ADD, e_reg(f, s.reg, aff_c(v), aff_c(0)), e_reg1(f, t)));
		}
		f_end(f, 1);
	}
	chains_tree(f, s, E_ADD);
	int sum = e_lane(f, e_reg(f, s.reg, aff_c(0), aff_c(0)), 0);
	f_store(f, Y, aff_c(0), onto ? e_op2(f, E_ADD, e_load(f, 1, Y, aff_c(0)), sum) : sum);
}

/* One ascending chain per column, eight vectors of columns at a time. */
static void sum_columns(Fn *f, const Target *t, int64_t d, int64_t stride, int X, int Y, int n)
{
	int W = t->W, nv = (int)((d + W - 1) / W);
	for (int v0 = 0; v0 < nv; v0 += 8) {
		int part = nv - v0 < 8 ? nv - v0 : 8;
		f_for(f, "o", aff_c(0), aff_c(1), 1);
		int s = f_reg(f, "s", W, part, 1);
		for (int pass = 0; pass < 3; pass++) {
			int r = pass == 1 ? f_for(f, "r", aff_c(0), aff_v(n), 1) : -1;
			for (int v = 0; v < part; v++) {
				int64_t c = (int64_t)(v0 + v) * W;
				Aff have = aff_c(d - c < W ? d - c : W);
				if (pass == 2) {
					f_store_n(f, Y, aff_c(c), e_reg(f, s, aff_c(v), aff_c(0)), have);
					continue;
				}
				int e =
				    e_load_n(f, W, pass ? X : Y,
					     pass ? aff_off(aff_mul(aff_v(r), stride), c) : aff_c(c), have);
				f_set(f, s, aff_c(v), aff_c(0),
				      pass ? e_op2(f, E_ADD, e_reg(f, s, aff_c(v), aff_c(0)), e) : e);
			}
			if (pass == 1) f_end(f, 1);
		}
		f_end(f, 1);
	}
}

static void sum_rows_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int64_t d = shape_size(n->shape);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "sum_rows_%d_s%d", (int)d, (int)arg[0].stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_INOUT, ELEM_F32, "y", 0),
		    rows = f_size(f, "n");
		if (d == 1)
			sum_column(f, l, arg[0].stride, true, X, Y, rows);
		else
			sum_columns(f, l->t, d, arg[0].stride, X, Y, rows);
	}
	lo_call(l, f, 2, arg, true, n->span);
}

const Op op_sum_rows = {.word = "sum_rows",
			.n_in = 1,
			.group = GROUP_REDUCE,
			.doc = "The sum over the rows of a batch.",
			.formula = "y = sum over n of x",
			.example = "sum_rows([[1, 2], [3, 4]]) == [4, 6]",
			.shape = sum_rows_shape,
			.grad = sum_rows_grad,
			.lower = sum_rows_lower};

static bool block_sum_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			    const char **why)
{
	(void)g, (void)n, (void)in, (void)attr, (void)why;
	*out = shape_scalar(false);
	return true;
}

static void block_sum_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "block_sum_s%d", (int)arg[0].stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
		    rows = f_size(f, "n");
		sum_column(f, l, arg[0].stride, false, X, Y, rows);
	}
	lo_call(l, f, 2, arg, true, n->span);
}

const Op op_block_sum = {.word = "block_sum",
			 .n_in = 1,
			 .group = GROUP_REDUCE,
			 .doc = "The sum over the rows of one block.",
			 .formula = "y = sum over the block of x",
			 .example = "block_sum([1, 2, 3]) == [6]",
			 .shape = block_sum_shape,
			 .lower = block_sum_lower};

/* ---- over the last dimension: [n, .., d] -> [n, ..] ---- */

static bool sum_last_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			   const char **why)
{
	(void)n, (void)attr;
	Shape s = g->node.at[in[0]].shape;
	if (s.nd < 1) {
		*why = "there is no dimension to sum over";
		return false;
	}
	s.nd--;
	*out = s;
	return true;
}

/* d [n, ..] as [n, .., 1], spread: only one trailing dimension needs to be made. */
static void sum_last_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	Shape s = g->node.at[g->node.at[id].in[0]].shape;
	din[0] = graph_push(g, OP_SPREAD, s, 1, &d, (Attr){0}, g->node.at[id].span);
}

/* Eight chains by index mod 8 over d elements from `at`, tree, to one number. */
static void fold(Fn *f, Chains s, int d, int X, Aff at)
{
	chains_zero(f, s);
	for (int tail = 0; tail < 2; tail++) {
		int whole = d / 8 * 8;
		if (tail ? whole == d : !whole) continue;
		int k = tail ? -1 : f_for(f, "k", aff_c(0), aff_c(whole), 8);
		for (int v = 0; v < s.n; v++) {
			int have = tail ? d - whole - v * s.lanes : s.lanes;
			if (have <= 0) continue;
			Aff from =
			    aff_off(tail ? aff_off(at, whole) : aff_plus(at, k, 1), (int64_t)v * s.lanes);
			int x = e_load_n(f, s.lanes, X, from, aff_c(have));
			f_set(f, s.reg, aff_c(v), aff_c(0),
			      e_op2(f, E_ADD, e_reg(f, s.reg, aff_c(v), aff_c(0)), x));
		}
		if (!tail) f_end(f, 1);
	}
	chains_tree(f, s, E_ADD);
}

static void sum_last_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	Shape from = l->g->node.at[n->in[0]].shape;
	int d = from.d[from.nd - 1], outer = (int)shape_size(n->shape);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "sum_last_%dx%d_s%d_%d%s", outer, d, (int)arg[0].stride,
			  (int)arg[1].stride, n->shape.rows ? "" : "_free");
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		int rows = n->shape.rows ? f_size(f, "n") : -1;
		int r = f_for(f, "r", aff_c(0), rows < 0 ? aff_c(1) : aff_v(rows), 1),
		    o = f_for(f, "o", aff_c(0), aff_c(outer), 1);
		Chains s = chains_new(l, f, "s");
		fold(f, s, d, X, aff_plus(aff_mul(aff_v(r), arg[0].stride), o, d));
		f_store(f, Y, aff_plus(aff_mul(aff_v(r), arg[1].stride), o, 1),
			e_lane(f, e_reg(f, s.reg, aff_c(0), aff_c(0)), 0));
		f_end(f, 2);
	}
	lo_call(l, f, 2, arg, n->shape.rows, n->span);
}

static int sum_last_onnx(Onnx *o, const Node *n, const int *x)
{
	int64_t last = -1;
	int y = onnx_2(o, "ReduceSum", onnx_whole(o, x[0], o->g->node.at[n->in[0]].shape),
		       onnx_ints(o, 1, &last));
	return onnx_reshape(o, y, n->shape); /* it keeps a dimension of 1 */
}

const Op op_sum_last = {.word = "sum_last",
			.onnx = sum_last_onnx,
			.n_in = 1,
			.group = GROUP_REDUCE,
			.doc = "The sum over the last dimension.",
			.formula = "y = sum over d of x",
			.example = "sum_last([1, 2, 3]) == [6]",
			.shape = sum_last_shape,
			.grad = sum_last_grad,
			.lower = sum_last_lower};
