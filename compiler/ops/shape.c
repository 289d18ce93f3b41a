/* Form: joining, cutting, other shapes of the same elements. */
#include "base/diag.h"
#include "ir/onnx.h"
#include "ops/family.h"

static bool concat_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			 const char **why)
{
	(void)attr;
	int64_t width = 0;
	for (int i = 0; i < n; i++) {
		Shape s = g->node.at[in[i]].shape;
		if (s.rows != g->node.at[in[0]].shape.rows || s.nd > 1 ||
		    s.seq != g->node.at[in[0]].shape.seq) {
			*why = arena_printf(g->arena,
					    "it joins values of shape [n, width], or of [width], not %s",
					    shape_text(g->arena, s));
			return false;
		}
		width += shape_size(s);
	}
	*out = shape_over(g->node.at[in[0]].shape, shape_1(true, (int)width));
	return true;
}

static void concat_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	int at = 0;
	for (int i = 0; i < g->node.at[id].n_in; i++) {
		Shape s = g->node.at[g->node.at[id].in[i]].shape;
		int width = (int)shape_size(s);
		din[i] = graph_reshape(g, graph_slice(g, d, at, width), s);
		at += width;
	}
}

/* Operands that could be computed in place lie there already; the others are copied. */
static void concat_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	Loc to = lo_result(l, id);
	for (int i = 0; i < n->n_in; i++) {
		int width = (int)shape_size(l->g->node.at[n->in[i]].shape);
		Loc from = lo_value(l, n->in[i]);
		if (from.temp != to.temp || from.slot != to.slot || from.off != to.off ||
		    from.stride != to.stride)
			lo_copy(l, from, to, width, n->shape.rows, n->span);
		to = loc_column(to, width);
	}
}

static int concat_onnx(Onnx *o, const Node *n, const int *x)
{
	int *in = arena_new(o->arena, int, n->n_in + 1);
	for (int i = 0; i < n->n_in; i++) in[i] = onnx_whole(o, x[i], o->g->node.at[n->in[i]].shape);
	if (n->n_in == 1) return in[0];
	return onnx_node(
	    o, "Concat", n->n_in, in,
	    (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "axis", .i = n->shape.rows + (n->shape.seq != 0)});
}

const Op op_concat = {.word = "concat",
		      .onnx = concat_onnx,
		      .n_in = -1,
		      .group = GROUP_SHAPE,
		      .doc =
			  "Values joined side by side: [n, a], [n, b] -> [n, a + b]; or [a], [b] -> [a + b].",
		      .formula = "y = [a, b, ...]",
		      .example = "concat([1, 2], [3]) == [1, 2, 3]",
		      .shape = concat_shape,
		      .grad = concat_grad,
		      .lower = concat_lower};

static bool slice_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			const char **why)
{
	(void)n;
	if (attr->i < 0 || attr->j < 1 || attr->i + attr->j > shape_size(g->node.at[in[0]].shape)) {
		*why = "the columns lie outside the value";
		return false;
	}
	*out = shape_over(g->node.at[in[0]].shape, shape_1(true, attr->j));
	return true;
}

/* The other columns receive nothing: zeros on both sides. */
static void slice_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	Node n = g->node.at[id];
	Shape s = g->node.at[n.in[0]].shape;
	int width = (int)shape_size(s), after = width - n.attr.i - n.attr.j, parts = 0;
	NodeId part[3];
	if (n.attr.i) {
		NodeId zero = graph_k(g, id, 0);
		part[parts++] = graph_push(g, OP_SPREAD, shape_over(s, shape_1(true, n.attr.i)), 1, &zero,
					   (Attr){0}, n.span);
	}
	part[parts++] = d;
	if (after) {
		NodeId zero = graph_k(g, id, 0);
		part[parts++] = graph_push(g, OP_SPREAD, shape_over(s, shape_1(true, after)), 1, &zero,
					   (Attr){0}, n.span);
	}
	din[0] = parts == 1 ? d : graph_op(g, OP_CONCAT, parts, part, (Attr){0}, n.span);
	din[0] = graph_reshape(g, din[0], s);
}

/* A view: the elements of a row lie side by side. */
static void slice_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	l->loc[id] = loc_column(lo_value(l, n->in[0]), n->attr.i);
}

static int slice_onnx(Onnx *o, const Node *n, const int *x)
{
	Shape s = o->g->node.at[n->in[0]].shape;
	int whole = onnx_whole(o, x[0], s);
	if (s.nd > 1) whole = onnx_reshape(o, whole, shape_over(s, shape_1(true, (int)shape_size(s))));
	int64_t from = n->attr.i, to = from + n->attr.j, axis = s.rows + (s.seq != 0);
	return onnx_node(o, "Slice", 4,
			 (int[]){whole, onnx_ints(o, 1, &from), onnx_ints(o, 1, &to), onnx_ints(o, 1, &axis)},
			 (OnnxAttr){0});
}

const Op op_slice = {.word = "slice",
		     .onnx = slice_onnx,
		     .n_in = 1,
		     .group = GROUP_SHAPE,
		     .doc = "Some columns of a value.",
		     .formula = "y = x[first .. first + width]",
		     .example = "slice([5, 6, 7], first: 1, width: 2) == [6, 7]",
		     .shape = slice_shape,
		     .grad = slice_grad,
		     .lower = slice_lower};

static void reshape_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	din[0] = graph_reshape(g, d, g->node.at[g->node.at[id].in[0]].shape);
}

static void reshape_lower(Lowering *l, NodeId id) { l->loc[id] = lo_value(l, l->g->node.at[id].in[0]); }

static int reshape_onnx(Onnx *o, const Node *n, const int *x)
{
	return onnx_reshape(o, onnx_whole(o, x[0], o->g->node.at[n->in[0]].shape), n->shape);
}

const Op op_reshape = {.word = "reshape",
		       .onnx = reshape_onnx,
		       .n_in = 1,
		       .group = GROUP_SHAPE,
		       .doc = "The same elements in another shape.",
		       .formula = "y = x",
		       .example = "reshape([[1, 2], [3, 4]]) == [1, 2, 3, 4]",
		       .grad = reshape_grad,
		       .lower = reshape_lower};

static bool turn_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
		       const char **why)
{
	Shape s = g->node.at[in[0]].shape;
	(void)n, (void)attr;
	if (s.nd != 2) {
		*why = arena_printf(g->arena, "rows and columns are exchanged, and there are none in %s",
				    shape_text(g->arena, s));
		return false;
	}
	*out = shape_2(s.rows, s.d[1], s.d[0]);
	return true;
}

static void turn_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	(void)id;
	din[0] = graph_1(g, OP_TURN, d);
}

static void turn_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int a = n->shape.d[1], b = n->shape.d[0];
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "turn_%dx%d_s%d_%d%s", a, b, (int)arg[0].stride, (int)arg[1].stride,
			  n->shape.rows ? "" : "_free");
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
		    rows = n->shape.rows ? f_size(f, "n") : -1;
		int r = rows < 0 ? -1 : f_for(f, "r", aff_c(0), aff_v(rows), 1);
		int i = f_for(f, "i", aff_c(0), aff_c(a), 1), j = f_for(f, "j", aff_c(0), aff_c(b), 1);
		Aff from = aff_plus(aff_plus(aff_c(0), r, arg[0].stride), i, b),
		    to = aff_plus(aff_plus(aff_c(0), r, arg[1].stride), j, a);
		f_store(f, Y, aff_plus(to, i, 1), e_load(f, 1, X, aff_plus(from, j, 1)));
		f_end(f, 2 + (r >= 0));
	}
	lo_call(l, f, 2, arg, n->shape.rows, n->span);
}

static int turn_onnx(Onnx *o, const Node *n, const int *x)
{
	if (n->shape.rows) bug("scoring turns no rows");
	return onnx_1(o, "Transpose", x[0]); /* without an attribute: all dimensions the other way round */
}

const Op op_turn = {.word = "turn",
		    .onnx = turn_onnx,
		    .n_in = 1,
		    .group = GROUP_SHAPE,
		    .doc = "Rows and columns exchanged: [n, a, b] -> [n, b, a].",
		    .formula = "y[j, i] = x[i, j]",
		    .example = "turn([[1, 2, 3], [4, 5, 6]]) == [[1, 4], [2, 5], [3, 6]]",
		    .shape = turn_shape,
		    .grad = turn_grad,
		    .lower = turn_lower};

static void spread_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	din[0] = graph_reduce_to(g, d, g->node.at[g->node.at[id].in[0]].shape);
}

/* One value per row (or one in all, or one row for all) in every place. */
static void spread_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	NodeId x = n->in[0];
	int64_t width = shape_size(n->shape);
	bool constant = l->g->node.at[x].op == OP_CONST;
	Shape from = l->g->node.at[x].shape;
	Loc to = lo_result(l, id), arg[2];
	int na = 0;
	if (!constant) arg[na++] = lo_value(l, x);
	arg[na++] = to;
	int64_t xs = constant ? 0 : arg[0].stride, d = shape_size(from);
	bool fresh;
	Fn *f =
	    lo_kernel(l, &fresh, "spread_%d_to_%d_s%d_%d%s%s", (int)d, (int)width, (int)xs, (int)to.stride,
		      constant ? arena_printf(l->arena, "_k%llx",
					      (unsigned long long)(union {
						      double d;
						      uint64_t u;
					      }){l->g->node.at[x].attr.k}
						  .u)
			       : "",
		      n->shape.rows ? "" : "_free");
	if (fresh) {
		int W = l->t->W, X = constant ? -1 : f_buf(f, BUF_IN, ELEM_F32, "x", 0),
		    Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		int rows = n->shape.rows ? f_size(f, "n") : -1;
		int r = f_for(f, "r", aff_c(0), rows < 0 ? aff_c(1) : aff_v(rows), 1);
		for (int64_t at = 0; at < d; at++) {
			/* [n, a] -> [n, a, b]: each of the a elements b times; [b] -> [n, b] and one element:
			 * d == width or d == 1 */
			bool same = d == width;
			int64_t first = same ? 0 : at * (width / d), many = same ? width : width / d;
			int whole = (int)(many / W * W);
			for (int tail = 0; tail < 2; tail++) {
				if (tail ? whole == many : !whole) continue;
				int c = tail ? -1 : f_for(f, "c", aff_c(0), aff_c(whole), W);
				Aff col = tail ? aff_c(first + whole) : aff_off(aff_v(c), first),
				    have = aff_c(tail ? many - whole : W);
				int e;
				if (constant)
					e = e_const(f, W, l->g->node.at[x].attr.k);
				else if (same)
					e = e_load_n(f, W, X, aff_add(aff_mul(aff_v(r), xs), col), have);
				else
					e = e_splat(f, W,
						    e_load(f, 1, X, aff_off(aff_mul(aff_v(r), xs), at)));
				f_store_n(f, Y, aff_add(aff_mul(aff_v(r), to.stride), col), e, have);
				if (!tail) f_end(f, 1);
			}
			if (same) break;
		}
		f_end(f, 1);
	}
	lo_call(l, f, na, arg, n->shape.rows, n->span);
}

static int spread_onnx(Onnx *o, const Node *n, const int *x)
{
	Shape from = o->g->node.at[n->in[0]].shape, to = n->shape;
	bool last = from.nd > 0 && from.nd < to.nd && from.rows == to.rows; /* [n, a] -> [n, a, b] */
	int64_t dim[SHAPE_DIMS + 2] = {1, 1};
	int lead = to.rows + (to.seq != 0);
	for (int i = 0; i < to.nd; i++) dim[i + lead] = to.d[i];
	Shape one = from;
	if (last) one.d[one.nd++] = 1;
	int y = last ? onnx_reshape(o, onnx_whole(o, x[0], from), one) : x[0];
	return onnx_whole(o, onnx_2(o, "Expand", y, onnx_ints(o, to.nd + lead, dim)), to);
}

const Op op_spread = {.word = "spread",
		      .onnx = spread_onnx,
		      .n_in = 1,
		      .group = GROUP_SHAPE,
		      .doc = "A broadcast made explicit: [n] -> [n, d], [n, a] -> [n, a, b].",
		      .formula = "y[.., j] = x[..]",
		      .example = "spread([1, 2]) == [[1, 1], [2, 2]]",
		      .grad = spread_grad,
		      .lower = spread_lower};
