/* Mixtures of experts: softmax gates and the weighted sums they steer. */
#include "ir/onnx.h"
#include "ops/family.h"

static int mad(Fn *f, const Target *t, int a, int b, int c)
{
	return t->fma ? e_op3(f, E_FMA, a, b, c) : e_op2(f, E_ADD, e_op2(f, E_MUL, a, b), c);
}

/* ---- softmax over the last dimension ---- */

static bool softmax_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			  const char **why)
{
	(void)n, (void)attr;
	*out = g->node.at[in[0]].shape;
	if (out->nd < 1) {
		*why = "softmax needs several columns";
		return false;
	}
	return true;
}

static void softmax_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	din[0] = graph_2(g, OP_SOFTMAX_DX, id, d);
}

typedef struct {
	int d, outer, vectors; /* vectors of 8 chains */
	Chains c;
	int x; /* registers that hold the row: [vectors * c.n] */
} Row;

static int have(const Row *w, int v)
{
	return w->d - v * w->c.lanes < w->c.lanes ? w->d - v * w->c.lanes : w->c.lanes;
}

static Row row_open(Lowering *l, Fn *f, int d)
{
	Row w = {.d = d};
	w.c = chains_new(l, f, "s");
	w.vectors = (d + w.c.lanes - 1) / w.c.lanes;
	w.x = f_reg(f, "x", w.c.lanes, w.vectors, 1);
	return w;
}

static int row_x(Fn *f, const Row *w, int v) { return e_reg(f, w->x, aff_c(v), aff_c(0)); }
static int row_s(Fn *f, const Row *w, int v) { return e_reg(f, w->c.reg, aff_c(v), aff_c(0)); }
static int row_total(Fn *f, const Row *w) { return e_reg(f, w->c.reg, aff_c(0), aff_c(0)); }

/* y = e^(x - max x) / sum, a row in registers; lanes beyond d hold what cannot win and count as nothing. */
static void softmax_row(Lowering *l, Fn *f, int d, int X, Aff from, int Y, Aff to)
{
	Row w = row_open(l, f, d);
	int L = w.c.lanes;
	for (int v = 0; v < w.vectors; v++) {
		int x = e_load_n(f, L, X, aff_off(from, (int64_t)v * L), aff_c(have(&w, v)));
		if (have(&w, v) < L)
			x = e_op4(f, E_SELLT, e_const(f, L, 0),
				  e_keep(f, e_const(f, L, 1), aff_c(have(&w, v))), x, e_const(f, L, -3.0e38));
		f_set(f, w.x, aff_c(v), aff_c(0), x);
	}
	for (int v = 0; v < w.vectors || v < w.c.n; v++) {
		int x = v < w.vectors ? row_x(f, &w, v) : e_const(f, L, -3.0e38);
		f_set(f, w.c.reg, aff_c(v % w.c.n), aff_c(0),
		      v < w.c.n ? x : e_op2(f, E_MAX, x, row_s(f, &w, v % w.c.n)));
	}
	chains_tree(f, w.c, E_MAX);
	int most = f_reg(f, "most", L, 1, 1);
	f_set1(f, most, row_total(f, &w));
	for (int v = 0; v < w.vectors; v++) {
		int x = e_call(f, fn_find(l->m, "exp"), e_op2(f, E_SUB, row_x(f, &w, v), e_reg1(f, most)));
		f_set(f, w.x, aff_c(v), aff_c(0), have(&w, v) < L ? e_keep(f, x, aff_c(have(&w, v))) : x);
	}
	chains_zero(f, w.c);
	for (int v = 0; v < w.vectors; v++)
		f_set(f, w.c.reg, aff_c(v % w.c.n), aff_c(0),
		      e_op2(f, E_ADD, row_s(f, &w, v % w.c.n), row_x(f, &w, v)));
	chains_tree(f, w.c, E_ADD);
	int total = f_reg(f, "total", L, 1, 1);
	f_set1(f, total, e_splat(f, L, e_lane(f, row_total(f, &w), 0)));
	for (int v = 0; v < w.vectors; v++)
		f_store_n(f, Y, aff_off(to, (int64_t)v * L),
			  e_op2(f, E_DIV, row_x(f, &w, v), e_reg1(f, total)), aff_c(have(&w, v)));
}

static void softmax_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int d = n->shape.d[n->shape.nd - 1], outer = (int)shape_size(n->shape) / d;
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f =
	    lo_kernel(l, &fresh, "softmax_%dx%d_s%d_%d", outer, d, (int)arg[0].stride, (int)arg[1].stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
		    rows = f_size(f, "n");
		int r = f_for(f, "r", aff_c(0), aff_v(rows), 1), o = f_for(f, "o", aff_c(0), aff_c(outer), 1);
		softmax_row(l, f, d, X, aff_plus(aff_mul(aff_v(r), arg[0].stride), o, d), Y,
			    aff_plus(aff_mul(aff_v(r), arg[1].stride), o, d));
		f_end(f, 2);
	}
	lo_call(l, f, 2, arg, true, n->span);
}

static int softmax_onnx(Onnx *o, const Node *n, const int *x)
{
	return onnx_axis(o, "Softmax", onnx_whole(o, x[0], n->shape), -1);
}

const Op op_softmax = {.word = "softmax",
		       .onnx = softmax_onnx,
		       .n_in = 1,
		       .group = GROUP_MIX,
		       .doc = "Shares that sum to 1, over the last dimension.",
		       .formula = "y_i = e^x_i / sum_j e^x_j",
		       .example = "softmax([0, 0.6931471806, 0]) == [0.25, 0.5, 0.25]",
		       .shape = softmax_shape,
		       .grad = softmax_grad,
		       .lower = softmax_lower};

/* dx = y (dy - <y, dy>) */
static void softmax_dx_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int d = n->shape.d[n->shape.nd - 1], outer = (int)shape_size(n->shape) / d;
	Loc arg[3] = {lo_value(l, n->in[0]), lo_value(l, n->in[1]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "softmax_dx_%dx%d_s%d_%d_%d", outer, d, (int)arg[0].stride,
			  (int)arg[1].stride, (int)arg[2].stride);
	if (fresh) {
		int Y = f_buf(f, BUF_IN, ELEM_F32, "y", 0), D = f_buf(f, BUF_IN, ELEM_F32, "dy", 0),
		    O = f_buf(f, BUF_OUT, ELEM_F32, "dx", 0);
		int rows = f_size(f, "n"), r = f_for(f, "r", aff_c(0), aff_v(rows), 1),
		    o = f_for(f, "o", aff_c(0), aff_c(outer), 1);
		Aff at[3];
		for (int i = 0; i < 3; i++) at[i] = aff_plus(aff_mul(aff_v(r), arg[i].stride), o, d);
		Row w = row_open(l, f, d);
		int L = w.c.lanes;
		chains_zero(f, w.c);
		for (int v = 0; v < w.vectors; v++) {
			Aff k = aff_c(have(&w, v)), at_v = aff_off(at[1], (int64_t)v * L);
			f_set(f, w.x, aff_c(v), aff_c(0), e_load_n(f, L, D, at_v, k));
			int y = e_load_n(f, L, Y, aff_off(at[0], (int64_t)v * L), k);
			f_set(f, w.c.reg, aff_c(v % w.c.n), aff_c(0),
			      mad(f, l->t, y, row_x(f, &w, v), row_s(f, &w, v % w.c.n)));
		}
		chains_tree(f, w.c, E_ADD);
		int total = f_reg(f, "total", L, 1, 1);
		f_set1(f, total, e_splat(f, L, e_lane(f, row_total(f, &w), 0)));
		for (int v = 0; v < w.vectors; v++) {
			Aff k = aff_c(have(&w, v));
			int y = e_load_n(f, L, Y, aff_off(at[0], (int64_t)v * L), k);
			f_store_n(f, O, aff_off(at[2], (int64_t)v * L),
				  e_op2(f, E_MUL, y, e_op2(f, E_SUB, row_x(f, &w, v), e_reg1(f, total))), k);
		}
		f_end(f, 2);
	}
	lo_call(l, f, 3, arg, true, n->span);
}

const Op op_softmax_dx = {.word = "softmax_dx",
			  .n_in = 2,
			  .group = GROUP_MIX,
			  .doc = "The gradient of softmax.",
			  .formula = "dx = y (dy - <y, dy>)",
			  .example = "softmax_dx([0.25, 0.75], [1, 0]) == [0.1875, -0.1875]",
			  .shape = softmax_shape,
			  .lower = softmax_dx_lower};

/* ---- mix: gate [n, E], experts [n, E, m] -> [n, m] ---- */

static bool mix_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)n, (void)attr;
	Shape s = g->node.at[in[0]].shape, e = g->node.at[in[1]].shape;
	if (!s.rows || s.nd != 1 || !e.rows || e.nd != 2 || e.d[0] != s.d[0] || s.seq != e.seq) {
		*why = arena_printf(g->arena,
				    "it mixes [n, experts, width] by a gate of [n, experts], not %s by %s",
				    shape_text(g->arena, e), shape_text(g->arena, s));
		return false;
	}
	*out = shape_over(e, shape_1(true, e.d[1]));
	return true;
}

static void mix_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	const NodeId *in = g->node.at[id].in;
	NodeId gate = in[0], experts = in[1];
	din[0] = graph_2(g, OP_MIX_DG, d, experts);
	din[1] = graph_2(g, OP_MIX_DE, d, gate);
}

/* Ascending over the experts, eight vectors of columns at a time. */
static void mix_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int E = l->g->node.at[n->in[0]].shape.d[0], m = n->shape.d[0], W = l->t->W;
	Loc arg[3] = {lo_value(l, n->in[0]), lo_value(l, n->in[1]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "mix_%dx%d_s%d_%d_%d", E, m, (int)arg[0].stride, (int)arg[1].stride,
			  (int)arg[2].stride);
	if (fresh) {
		int G = f_buf(f, BUF_IN, ELEM_F32, "gate", 0), H = f_buf(f, BUF_IN, ELEM_F32, "experts", 0),
		    Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		int rows = f_size(f, "n"), r = f_for(f, "r", aff_c(0), aff_v(rows), 1), nv = (m + W - 1) / W;
		for (int v0 = 0; v0 < nv; v0 += 8) {
			int part = nv - v0 < 8 ? nv - v0 : 8;
			f_for(f, "o", aff_c(0), aff_c(1), 1);
			int s = f_reg(f, "s", W, part, 1);
			for (int v = 0; v < part; v++) f_set(f, s, aff_c(v), aff_c(0), e_const(f, W, 0));
			int e = f_for(f, "e", aff_c(0), aff_c(E), 1);
			for (int v = 0; v < part; v++) {
				int64_t c = (int64_t)(v0 + v) * W;
				int gate = e_splat(
				    f, W, e_load(f, 1, G, aff_plus(aff_mul(aff_v(r), arg[0].stride), e, 1)));
				int x = e_load_n(f, W, H,
						 aff_off(aff_plus(aff_mul(aff_v(r), arg[1].stride), e, m), c),
						 aff_c(m - c < W ? m - c : W));
				f_set(f, s, aff_c(v), aff_c(0),
				      mad(f, l->t, gate, x, e_reg(f, s, aff_c(v), aff_c(0))));
			}
			f_end(f, 1);
			for (int v = 0; v < part; v++) {
				int64_t c = (int64_t)(v0 + v) * W;
				f_store_n(f, Y, aff_off(aff_mul(aff_v(r), arg[2].stride), c),
					  e_reg(f, s, aff_c(v), aff_c(0)), aff_c(m - c < W ? m - c : W));
			}
			f_end(f, 1);
		}
		f_end(f, 1);
	}
	lo_call(l, f, 3, arg, true, n->span);
}

/* [n, 1, E] [n, E, m] */
static int mix_onnx(Onnx *o, const Node *n, const int *x)
{
	Shape s = o->g->node.at[n->in[0]].shape, e = o->g->node.at[n->in[1]].shape;
	int gate = onnx_reshape(o, onnx_whole(o, x[0], s), shape_over(s, shape_2(true, 1, s.d[0])));
	return onnx_reshape(o, onnx_2(o, "MatMul", gate, onnx_whole(o, x[1], e)), n->shape);
}

const Op op_mix = {.word = "mix",
		   .onnx = mix_onnx,
		   .n_in = 2,
		   .group = GROUP_MIX,
		   .doc = "Experts weighed by a gate and added.",
		   .formula = "y = sum_e g_e f_e",
		   .example = "mix([0.25, 0.75], [[1, 2], [3, 4]]) == [2.5, 3.5]",
		   .shape = mix_shape,
		   .grad = mix_grad,
		   .lower = mix_lower};

static bool mix_dg_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			 const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = shape_over(g->node.at[in[0]].shape, shape_1(true, g->node.at[in[1]].shape.d[0]));
	return true;
}

/* dg_e = <dy, f_e>: eight chains over the columns. */
static void mix_dg_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	Shape h = l->g->node.at[n->in[1]].shape;
	int E = h.d[0], m = h.d[1];
	Loc arg[3] = {lo_value(l, n->in[0]), lo_value(l, n->in[1]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "mix_dg_%dx%d_s%d_%d_%d", E, m, (int)arg[0].stride, (int)arg[1].stride,
			  (int)arg[2].stride);
	if (fresh) {
		int D = f_buf(f, BUF_IN, ELEM_F32, "dy", 0), H = f_buf(f, BUF_IN, ELEM_F32, "experts", 0),
		    Y = f_buf(f, BUF_OUT, ELEM_F32, "dg", 0);
		int rows = f_size(f, "n"), r = f_for(f, "r", aff_c(0), aff_v(rows), 1),
		    e = f_for(f, "e", aff_c(0), aff_c(E), 1);
		Chains s = chains_new(l, f, "s");
		chains_zero(f, s);
		int whole = m / 8 * 8;
		for (int tail = 0; tail < 2; tail++) {
			if (tail ? whole == m : !whole) continue;
			int k = tail ? -1 : f_for(f, "k", aff_c(0), aff_c(whole), 8);
			for (int v = 0; v < s.n; v++) {
				int lanes = tail ? m - whole - v * s.lanes : s.lanes;
				if (lanes <= 0) continue;
				Aff c = aff_off(tail ? aff_c(whole) : aff_v(k), (int64_t)v * s.lanes);
				int x = e_load_n(f, s.lanes, D, aff_add(aff_mul(aff_v(r), arg[0].stride), c),
						 aff_c(lanes));
				int y = e_load_n(f, s.lanes, H,
						 aff_add(aff_plus(aff_mul(aff_v(r), arg[1].stride), e, m), c),
						 aff_c(lanes));
				f_set(f, s.reg, aff_c(v), aff_c(0),
				      mad(f, l->t, x, y, e_reg(f, s.reg, aff_c(v), aff_c(0))));
			}
			if (!tail) f_end(f, 1);
		}
		chains_tree(f, s, E_ADD);
		f_store(f, Y, aff_plus(aff_mul(aff_v(r), arg[2].stride), e, 1),
			e_lane(f, e_reg(f, s.reg, aff_c(0), aff_c(0)), 0));
		f_end(f, 2);
	}
	lo_call(l, f, 3, arg, true, n->span);
}

const Op op_mix_dg = {.word = "mix_dg",
		      .n_in = 2,
		      .group = GROUP_MIX,
		      .doc = "The gradient of mix in the gate.",
		      .formula = "dg_e = <dy, f_e>",
		      .example = "mix_dg([1, 2], [[1, 2], [3, 4]]) == [5, 11]",
		      .shape = mix_dg_shape,
		      .lower = mix_dg_lower};

static bool mix_de_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			 const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = shape_over(g->node.at[in[0]].shape,
			  shape_2(true, g->node.at[in[1]].shape.d[0], g->node.at[in[0]].shape.d[0]));
	return true;
}

static void mix_de_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int E = n->shape.d[0], m = n->shape.d[1], W = l->t->W;
	Loc arg[3] = {lo_value(l, n->in[0]), lo_value(l, n->in[1]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "mix_de_%dx%d_s%d_%d_%d", E, m, (int)arg[0].stride, (int)arg[1].stride,
			  (int)arg[2].stride);
	if (fresh) {
		int D = f_buf(f, BUF_IN, ELEM_F32, "dy", 0), G = f_buf(f, BUF_IN, ELEM_F32, "gate", 0),
		    Y = f_buf(f, BUF_OUT, ELEM_F32, "de", 0);
		int rows = f_size(f, "n"), r = f_for(f, "r", aff_c(0), aff_v(rows), 1),
		    e = f_for(f, "e", aff_c(0), aff_c(E), 1);
		int gate = f_reg(f, "g", W, 1, 1), whole = m / W * W;
		f_set1(f, gate,
		       e_splat(f, W, e_load(f, 1, G, aff_plus(aff_mul(aff_v(r), arg[1].stride), e, 1))));
		for (int tail = 0; tail < 2; tail++) {
			if (tail ? whole == m : !whole) continue;
			int c = tail ? -1 : f_for(f, "c", aff_c(0), aff_c(whole), W);
			Aff col = tail ? aff_c(whole) : aff_v(c), lanes = aff_c(tail ? m - whole : W);
			int x = e_load_n(f, W, D, aff_add(aff_mul(aff_v(r), arg[0].stride), col), lanes);
			f_store_n(f, Y, aff_add(aff_plus(aff_mul(aff_v(r), arg[2].stride), e, m), col),
				  e_op2(f, E_MUL, e_reg1(f, gate), x), lanes);
			if (!tail) f_end(f, 1);
		}
		f_end(f, 2);
	}
	lo_call(l, f, 3, arg, true, n->span);
}

const Op op_mix_de = {.word = "mix_de",
		      .n_in = 2,
		      .group = GROUP_MIX,
		      .doc = "The gradient of mix in the experts.",
		      .formula = "df_e = g_e dy",
		      .example = "mix_de([1, 2], [0.25, 0.75]) == [[0.25, 0.5], [0.75, 1.5]]",
		      .shape = mix_de_shape,
		      .lower = mix_de_lower};
