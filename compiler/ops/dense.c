/*
 * Dense layers: y = x W + b, and the two products of its backward pass: their meaning, and calls of their
 * kernels (dense_*.c).
 *
 * One tile builder with three stride sets serves forward, dX and dW.  The order of every sum depends on the
 * layer alone: its terms come stretch by stretch (ir/terms.h; mostly there is one, ascending).  For N >= 8
 * they are one chain of fused multiply-adds from the bias; for N < 8 eight chains by the place in the stretch
 * modulo 8, and a fixed tree; the last outputs of narrow layers have two to eight chains (tail.c).  So a sum
 * can be cut between two stretches: what is summed so far is N numbers, or chains.
 */
#include "base/diag.h"
#include "ir/terms.h"
#include "ir/onnx.h"
#include "ops/dense.h"
#include "ops/family.h"
#include "ops/product.h"
#include "base/text.h"
#include <string.h>

/* ---- what it means ---- */

static bool dense_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			const char **why)
{
	(void)n, (void)attr;
	Shape x = g->node.at[in[0]].shape, w = g->node.at[in[1]].shape;
	if (!x.rows || x.nd > 1) {
		*why = arena_printf(g->arena, "a dense layer takes a value of shape [n, width], not %s",
				    shape_text(g->arena, x));
		return false;
	}
	if (w.rows || w.nd != 2 || w.d[0] != shape_size(x)) {
		*why = arena_printf(g->arena, "the value has %d columns, the weights are for %d",
				    (int)shape_size(x), w.d[0]);
		return false;
	}
	if (in[2] && shape_size(g->node.at[in[2]].shape) != w.d[1]) {
		*why = "the bias does not have one element per output";
		return false;
	}
	*out = shape_over(x, shape_1(true, w.d[1]));
	return true;
}

/* What is summed so far: N numbers, or the chains of some. */
static int state_width(int N)
{
	Tail a = tail_of(N);
	return N < HEAD ? HEAD * N : a.n ? a.first + TAIL_LANES : N;
}

static bool first_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			const char **why)
{
	(void)n, (void)attr;
	Shape x = g->node.at[in[0]].shape, w = g->node.at[in[1]].shape;
	if (!x.rows || w.rows || w.nd != 2 || shape_size(x) > w.d[0]) {
		*why = "the value has more columns than the weights have rows";
		return false;
	}
	*out = shape_1(true, state_width(w.d[1]));
	return true;
}

static bool rest_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
		       const char **why)
{
	Shape w = g->node.at[in[1]].shape;
	if (!first_shape(g, n, in, attr, out, why)) return false;
	if (shape_size(g->node.at[in[2]].shape) != shape_size(*out)) {
		*why = "the sum so far is not of this layer";
		return false;
	}
	*out = shape_1(true, w.d[1]);
	return true;
}

/* Vectors of the products x' dy, in sixteen lanes: outputs in lanes, or inputs. */
static int64_t lanes_of(int64_t rows, int64_t columns) { return rows * ((columns + 15) / 16); }

/*
 * The gradient in the weights, computed as it lies or turned: few outputs leave lanes idle where inputs do
 * not. The sums are the same, each over the rows in their order.
 */
static NodeId weight_gradient(Graph *g, NodeId x, NodeId d)
{
	int64_t K = shape_size(g->node.at[x].shape), N = shape_size(g->node.at[d].shape);
	if (N == 1 || 9 * lanes_of(K, N) <= 10 * lanes_of(N, K)) return graph_2(g, OP_DENSE_DW, x, d);
	return graph_1(g, OP_TURN, graph_2(g, OP_DENSE_DW, d, x));
}

static void dense_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	const NodeId *in = g->node.at[id].in;
	NodeId x = in[0], w = in[1], b = in[2];
	Shape sx = g->node.at[x].shape;
	din[0] = graph_reshape(g, graph_2(g, OP_DENSE_DX, d, w), sx);
	din[1] = weight_gradient(g, x, d);
	if (b) din[2] = graph_1(g, OP_SUM_ROWS, d);
}

static bool dx_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = shape_over(g->node.at[in[0]].shape, shape_1(true, g->node.at[in[1]].shape.d[0]));
	return true;
}

static bool dw_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = shape_2(false, (int)shape_size(g->node.at[in[0]].shape),
		       (int)shape_size(g->node.at[in[1]].shape));
	return true;
}

/* ---- what is summed, and where it starts ---- */

static Shape weights(const Graph *g, NodeId id) { return g->node.at[g->node.at[id].in[1]].shape; }

/* The bias in the packed weights: that of the layer whole, where this is the rest of one. */
static NodeId bias_of(const Graph *g, NodeId id)
{
	const Node *n = &g->node.at[id];
	if (n->op != OP_DENSE_REST) return n->n_in > 2 ? n->in[2] : 0;
	const Node *first = &g->node.at[n->in[2]];
	return first->op == OP_DENSE_FIRST ? first->in[2] : 0;
}

/* Columns of the value and rows of the weights, in the order of the sum. */
static int parts_of(const Graph *g, NodeId id, Part *part)
{
	const Node *n = &g->node.at[id];
	int K = (int)shape_size(g->node.at[n->in[0]].shape), of = weights(g, id).d[0], count = 0, x = 0;
	Terms t = {1, {{n->op == OP_DENSE_REST ? of - K : 0, K}}};
	if (n->attr.word) t = terms_read(n->attr.word);
	for (int i = 0; i < t.n; i++) {
		Part p = {n->op == OP_DENSE ? t.at[i].k : x, t.at[i].k, t.at[i].n};
		Part *last = count ? &part[count - 1] : NULL;
		x += p.n;
		int N = weights(g, id).d[1];
		if (last && !terms_in_chains(N) && last->k + last->n == p.k && last->x + last->n == p.x)
			last->n += p.n; /* one chain either way */
		else
			part[count++] = p;
	}
	return count;
}

static const char *parts_text(Arena *a, const Part *p, int n, int K)
{
	Text t = {0};
	if (n > 1 || p->k || p->n < K)
		for (int i = 0; i < n; i++) text_printf(&t, "_%dto%d", p[i].k, p[i].k + p[i].n);
	const char *text = arena_strdup(a, t.at ? t.at : "");
	text_free(&t);
	return text;
}

/* Where products side by side start from: their states side by side. */
static Loc joint_state(Lowering *l, const Joint *d)
{
	const Graph *g = l->g;
	Loc at = lo_value(l, g->node.at[d->id[0]].in[2]);
	if (d->n == 1) return at;
	bool rows = at.stride != 0;
	Loc all = lo_temp(l, d->total, shape_scalar(rows)), to = all;
	for (int i = 0; i < d->n; to = loc_column(to, d->width[i++]))
		lo_copy(l, lo_value(l, g->node.at[d->id[i]].in[2]), to, d->width[i], rows,
			g->node.at[d->id[0]].span);
	return all;
}

/* ---- calls ---- */

/* What tells packed weights of reduced precision from others: bytes lie part by part. */
static const char *narrow_key(Lowering *l, const Narrow *q, const Joint *d, int K)
{
	return arena_printf(l->arena, "%s%s", narrow_text(l->arena, q),
			    q->group == 4 ? parts_text(l->arena, d->part, d->n_part, K) : "");
}

static Fn *narrow_packer(Lowering *l, const Joint *d, const Narrow *q, int K)
{
	bool fresh;
	Text name = {0};
	for (int i = 0; i < d->n; i++) text_printf(&name, "%s%d", i ? "_" : "", d->width[i]);
	Fn *f = lo_kernel(l, &fresh, "pack_%dx%s%s%s", K, name.at, d->bias ? "_bias" : "",
			  narrow_key(l, q, d, K));
	text_free(&name);
	if (!fresh) return f;
	int W[8], B[8];
	for (int i = 0; i < d->n; i++) {
		W[i] = f_buf(f, BUF_IN, ELEM_F32, "w", 0);
		B[i] = d->bias ? f_buf(f, BUF_IN, ELEM_F32, "bias", 0) : -1;
	}
	narrow_pack(f, l->t, q, K, d, W, B, f_buf(f, BUF_OUT, ELEM_F32, "p", 0));
	return f;
}

static Loc packed_weights(Lowering *l, const Joint *d, const Narrow *q, int K, bool transposed)
{
	const Graph *g = l->g;
	bool fresh;
	int64_t size = q->group ? narrow_size(q, l->t, K, d) : packed_size(l->t, K, d);
	Text key = {0};
	for (int i = 0; i < d->n; i++) {
		text_printf(&key, "%s %s ", lo_free_key(l, g->node.at[d->id[i]].in[1]),
			    d->bias ? lo_free_key(l, bias_of(g, d->id[i])) : "");
	}
	Loc P = lo_packed(l, size, &fresh, "%s%s%s%s", key.at, transposed ? "turned" : "", tail_text(l, d),
			  narrow_key(l, q, d, K));
	text_free(&key);
	if (!fresh) return P;
	Lowering *pre = l->packing->pre;
	Loc arg[17];
	int n = 0;
	for (int i = 0; i < d->n; i++) {
		arg[n++] = lo_value(pre, g->node.at[d->id[i]].in[1]);
		if (d->bias) arg[n++] = lo_value(pre, bias_of(g, d->id[i]));
	}
	arg[n] = lo_slot(pre, SLOT_PACKED, 0, 0, false);
	arg[n++].off = P.off;
	lo_call(pre, q->group ? narrow_packer(pre, d, q, K) : pack_kernel(pre, K, d, transposed), n, arg,
		false, g->node.at[d->id[0]].span);
	return P;
}

/* Which of the ways to compute a product this is, and why: for people. */
static const char *chosen(const Lowering *l, const Joint *d)
{
	if (d->tail.n)
		return arena_printf(l->arena, "; %d outputs would leave %d of 16 lanes idle: %d chains each",
				    d->tail.n, TAIL_LANES - d->tail.n, d->tail.chains);
	if (d->n > 1) return arena_printf(l->arena, "; %d layers side by side: fewer idle lanes", d->n);
	return "";
}

static void product_lower(Lowering *l, Joint *d, NodeId x, bool transposed)
{
	const Graph *g = l->g;
	NodeId id = d->id[0];
	OpCode op = g->node.at[id].op;
	Shape w = weights(g, id);
	int K = transposed ? w.d[1] : w.d[0], N = d->total;
	Part *part = d->part;
	part[0] = (Part){0, 0, K};
	Narrow narrow = transposed ? (Narrow){0} : narrow_of(&g->node.at[id]);
	/* Sums of integers have no order. */
	bool plain = transposed || (narrow.group == 4 && op == OP_DENSE);
	int n_part = d->n_part = plain ? 1 : parts_of(g, id, part);
	if (!transposed && d->n == 1) d->tail = tail_of(N);
	if (narrow.group && (d->tail.n || N < HEAD)) bug("a narrow layer of %d outputs", N);
	bool from = op == OP_DENSE_REST, open = op == OP_DENSE_FIRST, fresh;
	Loc X = narrow_input(l, &narrow, x, lo_value(l, x), g->node.at[id].span);
	Loc arg[9] = {X, packed_weights(l, d, &narrow, K, transposed)};
	int n = 2;
	if (from) arg[n++] = joint_state(l, d);
	if (N < HEAD && l->absorbed[id]) bug("a head has no store to absorb into");
	Store store, *st = store_of(l, id, &store, arg, &n);
	Loc Y = lo_result(l, id);
	arg[n++] = Y;
	Fn *f =
	    lo_kernel(l, &fresh, "%s_%dx%d%s%s%s_s%d_%d%s%s", op_table[op]->word, K, N,
		      narrow.group == 4	  ? "_int8"
		      : narrow.group == 2 ? "_bf16"
					  : "",
		      parts_text(l->arena, part, n_part, K), d->bias || transposed ? "" : "_nobias",
		      (int)X.stride, (int)Y.stride,
		      from ? arena_printf(l->arena, "_f%d", (int)arg[2].stride) : "", st ? st->suffix : "");
	if (fresh) {
		f->note = str_printf(l->str, "%d -> %d%s%s%s", K, N, st ? ", " : "",
				     st ? op_table[st->op]->word : "", chosen(l, d));
		int bx = f_buf(f, BUF_IN, ELEM_F32, "x", 0), bp = f_buf(f, BUF_IN, ELEM_F32, "p", 0);
		int bf = from ? f_buf(f, BUF_IN, ELEM_F32, "from", 0) : -1;
		store_buffers(f, st);
		int by = f_buf(f, BUF_OUT, ELEM_F32, "y", 0), rows = f_size(f, "n");
		Product q = {.t = l->t,
			     .K = K,
			     .N = N,
			     .n_part = n_part,
			     .part = part,
			     .xs = X.stride,
			     .ys = Y.stride,
			     .fs = from ? arg[2].stride : 0,
			     .bias = d->bias,
			     .from = from,
			     .open = open,
			     .store = st,
			     .X = bx,
			     .P = bp,
			     .F = bf,
			     .Y = by,
			     .n = rows,
			     .small = !transposed};
		q.N -= d->tail.n;
		if (narrow.group)
			narrow_rows(f, &q, &narrow);
		else if (N < HEAD)
			head_rows(f, &q);
		else if (q.N)
			product_rows(f, &q);
		if (d->tail.n) tail_rows(f, &q, &d->tail, panels_size(l->t, K, q.N));
	}
	lo_call(l, f, n, arg, true, g->node.at[id].span);
}

static int outputs(const Lowering *l, NodeId id) { return weights(l->g, id).d[1]; }

static void dense_lower(Lowering *l, NodeId id)
{
	const NodeId *in = l->g->node.at[id].in;
	if (l->t->blas) {
		product_dense(l, id);
		return;
	}
	Joint d = {.bias = bias_of(l->g, id) != 0};
	for (NodeId k = id; k; k = l->with[k]) {
		d.id[d.n] = k;
		d.width[d.n++] = outputs(l, k);
		d.total += outputs(l, k);
	}
	if (d.n > 1) {
		Loc row = lo_temp(l, d.total, l->g->node.at[id].shape);
		for (int i = 0; i < d.n; i++) {
			NodeId k = d.id[i];
			l->loc[l->absorbed[k] ? l->absorbed[k] : k] = row;
			row = loc_column(row, d.width[i]);
		}
	}
	product_lower(l, &d, in[0], false);
}

/* What the user in a product's store needs besides the result: nothing but constants. */
static bool alone(const Lowering *l, NodeId id, NodeId user)
{
	const Node *u = &l->g->node.at[user];
	for (int i = 0; i < u->n_in; i++)
		if (u->in[i] != id && l->g->node.at[u->in[i]].op != OP_CONST) return false;
	return true;
}

static bool same_store(const Lowering *l, NodeId a, NodeId b)
{
	NodeId ua = l->absorbed[a], ub = l->absorbed[b];
	if (!ua != !ub) return false;
	if (!ua) return true;
	const Node *x = &l->g->node.at[ua], *y = &l->g->node.at[ub];
	if (x->op != y->op || x->n_in != y->n_in || memcmp(&x->attr, &y->attr, sizeof x->attr)) return false;
	if (!alone(l, a, ua) || !alone(l, b, ub)) return false;
	for (int i = 0; i < x->n_in; i++)
		if ((x->in[i] == a) != (y->in[i] == b) || (x->in[i] != a && x->in[i] != y->in[i]))
			return false;
	return true;
}

/*
 * Layers of the same input are computed side by side when that saves a vector of padding: towers of 200
 * outputs are 12.5 vectors each.  A sum's order does not change by it.
 */
static bool dense_joins(const Lowering *l, NodeId first, NodeId id)
{
	const Node *x = &l->g->node.at[first], *y = &l->g->node.at[id];
	const NodeId *a = x->in, *b = y->in;
	int W = l->t->W, n = 0, total = 0, N = outputs(l, id);
	for (NodeId k = first; k; k = l->with[k], n++) {
		total += outputs(l, k);
		if (outputs(l, k) < HEAD || loc_is(l->loc[l->absorbed[k] ? l->absorbed[k] : k])) return false;
	}
	if (tail_of(N).n || tail_of(outputs(l, first)).n) return false;
	if (l->t->blas || a[0] != b[0] || x->attr.word != y->attr.word || x->attr.i != y->attr.i ||
	    x->attr.k != y->attr.k || x->attr.k2 != y->attr.k2 || N < HEAD || n == 8 ||
	    !same_store(l, first, id))
		return false;
	if (loc_is(l->loc[l->absorbed[id] ? l->absorbed[id] : id])) return false;
	if (!bias_of(l->g, first) != !bias_of(l->g, id)) return false;
	if (x->op == OP_DENSE_REST && (l->loc[a[2]].stride != 0) != (l->loc[b[2]].stride != 0)) return false;
	return (total + N + W - 1) / W < (total + W - 1) / W + (N + W - 1) / W;
}

static void dx_lower(Lowering *l, NodeId id)
{
	if (l->t->blas) {
		product_dx(l, id);
		return;
	}
	int width = (int)shape_size(l->g->node.at[id].shape);
	Joint d = {.n = 1, .total = width, .width = {width}, .id = {id}};
	product_lower(l, &d, l->g->node.at[id].in[0], true);
}

static void dw_lower(Lowering *l, NodeId id)
{
	if (l->t->blas) {
		product_dw(l, id);
		return;
	}
	const Graph *g = l->g;
	const NodeId *in = g->node.at[id].in;
	int K = (int)shape_size(g->node.at[in[0]].shape), N = (int)shape_size(g->node.at[in[1]].shape);
	Loc arg[3] = {lo_value(l, in[0]), lo_value(l, in[1]), lo_result(l, id)};
	Fn *f = dw_kernel(l, K, N, arg[0].stride, arg[1].stride);
	lo_call(l, f, 3, arg, true, g->node.at[id].span);
}

/* ONNX has no order of sums. */
static int dense_onnx(Onnx *o, const Node *n, const int *x)
{
	int in[3] = {onnx_whole(o, x[0], o->g->node.at[n->in[0]].shape), x[1], x[2]};
	if (n->shape.seq) {
		int y = onnx_2(o, "MatMul", in[0], in[1]);
		return n->in[2] ? onnx_2(o, "Add", y, in[2]) : y;
	}
	return onnx_node(o, "Gemm", n->in[2] ? 3 : 2, in, (OnnxAttr){0});
}

const Op op_dense = {.word = "dense",
		     .onnx = dense_onnx,
		     .n_in = 3,
		     .group = GROUP_DENSE,
		     .doc = "A linear map of each row: x [n, K], weight [K, N], bias [N].",
		     .formula = "y = x W + b",
		     .example = "dense([1, 2], [[1, 0, 2], [3, 1, 0]], [10, 20, 30]) == [17, 22, 32]",
		     .shape = dense_shape,
		     .grad = dense_grad,
		     .lower = dense_lower,
		     .joins = dense_joins};
const Op op_dense_first = {
    .word = "dense_first",
    .n_in = 3,
    .group = GROUP_DENSE,
    .doc =
	"The first terms of a dense layer's sum, from the bias on; fewer than 8 outputs: its eight chains.",
    .formula = "y = x W[first rows] + b",
    .example = "dense_first([1, 2], [[1], [2], [3]], [10]) == [11, 4, 0, 0, 0, 0, 0, 0]",
    .shape = first_shape,
    .lower = dense_lower,
    .joins = dense_joins};
const Op op_dense_rest = {.word = "dense_rest",
			  .n_in = 3,
			  .group = GROUP_DENSE,
			  .doc = "The other terms of a dense layer's sum, from where `dense_first` left it.",
			  .formula = "y = f + x W[other rows]",
			  .example = "dense_rest([5], [[1], [2], [3]], [11, 4, 0, 0, 0, 0, 0, 0]) == [30]",
			  .shape = rest_shape,
			  .lower = dense_lower,
			  .joins = dense_joins};
const Op op_dense_dx = {.word = "dense_dx",
			.n_in = 2,
			.group = GROUP_DENSE,
			.doc = "The gradient of a dense layer in its input.",
			.formula = "dx = dy W'",
			.example = "dense_dx([1, 2], [[1, 3], [0, 4]]) == [7, 8]",
			.shape = dx_shape,
			.lower = dx_lower};
const Op op_dense_dw = {.word = "dense_dw",
			.n_in = 2,
			.group = GROUP_DENSE,
			.doc = "The gradient of a dense layer in its weights, summed over rows.",
			.formula = "dW = x' dy",
			.example = "dense_dw([[1, 2], [3, 4]], [[1], [10]]) == [[31], [42]]",
			.shape = dw_shape,
			.lower = dw_lower};
