/*
 * Dense layers: y = x W + b, and the two products of its backward pass, as register tiles.
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

/* ---- the tile ---- */

typedef enum { FROM_ZERO, FROM_BIAS, FROM_OUT } Start;

/*
 * acc[i][v] over k of scalar(i, k) * vector(k, v), for `rows` rows and `panels` panels of `vectors` vectors.
 * scalar(i, k) at s + i si + k sk; vector(k, v) at v + k vk + panel * gap + j W; results at o + i oi +
 * (panel, j).
 */
typedef struct {
	const Target *t;
	int rows, panels, vectors;
	int S, V, B, O; /* buffers */
	Aff s, v, b, o;
	int64_t si, sk, vk, bi, oi;
	int64_t gap; /* between panels in V and B */
	Aff terms;   /* k runs from 0 to here, or over the parts */
	int n_part;
	const Part *part;	    /* with sk 1 */
	int v_last, b_last, o_last; /* lanes that exist of the last vector in V, B and O */
	Start start;
	const Store *store; /* what is done to a result on its way out, or NULL */
	Aff row, col;	    /* of the first result, for the store */
	int64_t ahead;	    /* elements of V asked for in each turn of k, from `next` on; 0: none */
	Aff next;
	bool fetch; /* asks for what the tile `rows` rows of O further on starts from */
} Tile;

/* Runs `body` for all vectors of the panels: whole ones in unrolled loops, a ragged last one apart. */
typedef struct {
	Aff vector; /* number of the vector among the accumulators */
	Aff in;	    /* offset in V */
	Aff out;    /* offset in a row of O */
	int lanes;  /* that exist */
	int opened;
} Columns;

static Columns columns_open(Fn *f, const Tile *t, bool last, int whole)
{
	Columns c = {.lanes = last ? 0 : t->t->W};
	int W = t->t->W;
	if (last) {
		c.vector = aff_c(t->vectors - 1);
		c.in = c.out = aff_c((int64_t)(t->vectors - 1) * W);
		return c;
	}
	int g = unroll(f, "g", t->panels, &c.opened), j = unroll(f, "j", whole, &c.opened);
	c.vector = aff_plus(aff_plus(aff_c(0), g, t->vectors), j, 1);
	c.in = aff_plus(aff_plus(aff_c(0), g, t->gap), j, W);
	c.out = aff_plus(aff_plus(aff_c(0), g, (int64_t)t->vectors * W), j, W);
	return c;
}

/* The multiply-adds of one part, or of all terms. */
static void tile_terms(Fn *f, const Tile *t, const Part *p, bool ragged, int acc, int w, int x)
{
	int W = t->t->W, n = t->panels * t->vectors, whole = ragged ? t->vectors - 1 : t->vectors;
	int64_t k0 = p ? p->k : 0;
	Aff s = aff_off(t->s, p ? p->x : 0);
	int k = f_for(f, "k", aff_c(0), p ? aff_c(p->n) : t->terms, 1);
	if (t->ahead) f_prefetch(f, t->V, aff_plus(aff_off(t->next, k0 * t->ahead), k, t->ahead));
	for (int last = 0; last <= ragged; last++) {
		if (!last && !whole) continue;
		Columns c = columns_open(f, t, last, whole);
		Aff at = aff_plus(aff_off(aff_add(t->v, c.in), k0 * t->vk), k, t->vk);
		f_set(f, w, c.vector, aff_c(0), e_load_n(f, W, t->V, at, aff_c(last ? t->v_last : W)));
		f_end(f, c.opened);
	}
	int opened = 0, i = unroll(f, "i", t->rows, &opened);
	f_set1(f, x, e_splat(f, W, e_load(f, 1, t->S, aff_plus(aff_plus(s, i, t->si), k, t->sk))));
	int v = unroll(f, "v", n, &opened);
	Aff row = aff_plus(aff_c(0), i, 1), col = aff_plus(aff_c(0), v, 1);
	f_set(f, acc, row, col,
	      mad(f, t->t, e_reg1(f, x), e_reg(f, w, col, aff_c(0)), e_reg(f, acc, row, col)));
	f_end(f, opened + 1);
}

static void tile(Fn *f, const Tile *t)
{
	int W = t->t->W, n = t->panels * t->vectors;
	bool ragged = t->v_last < W || t->o_last < W || (t->start == FROM_BIAS && t->b_last < W);
	int whole = ragged ? t->vectors - 1 : t->vectors;
	int acc = f_reg(f, "acc", W, t->rows, n), w = f_reg(f, "w", W, n, 1), x = f_reg(f, "x", W, 1, 1);

	for (int last = 0; last <= ragged; last++) {
		if (!last && !whole) continue;
		int opened = 0, i = unroll(f, "i", t->rows, &opened);
		Columns c = columns_open(f, t, last, whole);
		int e;
		if (t->start == FROM_ZERO)
			e = e_const(f, W, 0);
		else if (t->start == FROM_BIAS)
			e = e_load_n(f, W, t->B, aff_add(aff_plus(t->b, i, t->bi), c.in),
				     aff_c(last ? t->b_last : W));
		else
			e = e_load_n(f, W, t->O, aff_add(aff_plus(t->o, i, t->oi), c.out),
				     aff_c(last ? t->o_last : W));
		f_set(f, acc, aff_plus(aff_c(0), i, 1), c.vector, e);
		f_end(f, opened + c.opened);
	}

	if (t->fetch) {
		int opened = 0, i = unroll(f, "i", t->rows, &opened), j = unroll(f, "j", n, &opened);
		f_prefetch(f, t->O, aff_plus(aff_plus(aff_off(t->o, t->rows * t->oi), i, t->oi), j, W));
		f_end(f, opened);
	}
	if (!t->n_part) tile_terms(f, t, NULL, ragged, acc, w, x);
	for (int p = 0; p < t->n_part; p++) tile_terms(f, t, &t->part[p], ragged, acc, w, x);

	StoreRegs regs = store_regs(f, t->store, W);
	for (int last = 0; last <= ragged; last++) {
		if (!last && !whole) continue;
		int opened = 0, i = unroll(f, "i", t->rows, &opened);
		Columns c = columns_open(f, t, last, whole);
		Aff lanes = aff_c(last ? t->o_last : W);
		int e = e_reg(f, acc, aff_plus(aff_c(0), i, 1), c.vector);
		if (t->store)
			e = store_expr(f, t->store, &regs, e, aff_plus(t->row, i, 1), aff_add(t->col, c.out),
				       lanes);
		f_store_n(f, t->O, aff_add(aff_plus(t->o, i, t->oi), c.out), e, lanes);
		f_end(f, opened + c.opened);
	}
}

/* N outputs as `full` panels of J vectors and one of `rest` vectors, whose last has `tail` lanes. */
typedef struct {
	int full, rest, tail;
	int64_t panel; /* floats of a full packed panel: bias, then K rows */
	int64_t size;
} Panels;

static Panels panels_of(const Target *t, int K, int N)
{
	Panels p;
	int nv = (N + t->W - 1) / t->W;
	p.full = nv / t->J;
	p.rest = nv % t->J;
	p.tail = N - (nv - 1) * t->W;
	if (!p.rest && p.tail < t->W) {
		p.full--;
		p.rest = t->J;
	}
	p.panel = (int64_t)(K + 1) * t->J * t->W;
	p.size = (int64_t)(K + 1) * nv * t->W;
	return p;
}

/* ---- packing: [bias][K rows] per panel; heads: N biases in 16s, then N columns of K ---- */

/* Floats of the panels of N outputs: those of whole vectors, where the others are a tail. */
static int64_t panels_size(const Target *t, int K, int N) { return N ? panels_of(t, K, N).size : 0; }

/* Columns c0 .. c0 + N of a product with `total` outputs, from the parameter's W[k * row + n]. */
static void pack_columns(Fn *f, const Target *t, int K, int N, int c0, int total, int row, int W, int B,
			 int P)
{
	Panels p = panels_of(t, K, total);
	int width = t->J * t->W;
	for (int c = c0; c < c0 + N;) {
		int panel = c / width, in = c % width, count = 1;
		int64_t all = panel < p.full ? width : (int64_t)p.rest * t->W;
		int n = (int)all - in < c0 + N - c ? (int)all - in : c0 + N - c;
		if (panel < p.full && n == width) {
			count = (c0 + N - c) / width;
			count = count < p.full - panel ? count : p.full - panel;
		}
		int i = count > 1 ? f_for(f, "i", aff_c(0), aff_c(count), 1) : -1;
		Aff to = aff_plus(aff_c(panel * p.panel + in), i, p.panel),
		    from = aff_plus(aff_c(c - c0), i, width);
		if (B >= 0)
			f_copy(f, t->W, n, P, to, B, from);
		else
			f_zero(f, t->W, n, P, to);
		int k = f_for(f, "k", aff_c(0), aff_c(K), 1);
		f_copy(f, t->W, n, P, aff_off(aff_plus(to, k, all), all), W, aff_plus(from, k, row));
		f_end(f, 1 + (i >= 0));
		c += count * n;
	}
}

/* Lanes of the last vector beyond the last output. */
static void pack_padding(Fn *f, const Target *t, int K, int total, int P)
{
	Panels p = panels_of(t, K, total);
	int64_t all = (int64_t)p.rest * t->W;
	if (p.tail == t->W) return;
	int k = f_for(f, "k", aff_c(0), aff_c(K + 1), 1);
	f_zero(f, t->W, t->W - p.tail, P, aff_plus(aff_c(p.full * p.panel + all - (t->W - p.tail)), k, all));
	f_end(f, 1);
}

/* x[i] lane l = x[l] lane i, in log2(W) steps that exchange ever larger blocks. */
static int transpose(Fn *f, int W, int x)
{
	for (int d = 1; d < W; d *= 2) {
		int y = f_reg(f, "x", W, W, 1);
		for (int i = 0; i < W; i++) {
			uint8_t pat[16];
			for (int lane = 0; lane < W; lane++)
				pat[lane] = (uint8_t)(i & d ? (lane & d ? W + lane : lane + d)
							    : (lane & d ? W + lane - d : lane));
			int a = i & d ? i - d : i;
			f_set(f, y, aff_c(i), aff_c(0),
			      e_shuf(f, e_reg(f, x, aff_c(a), aff_c(0)), e_reg(f, x, aff_c(a + d), aff_c(0)),
				     pat));
		}
		x = y;
	}
	return x;
}

/* A vector of outputs n .. n + W from W[n * K + k], W x W numbers at a time; the last block of k reaches
 * back. */
static void pack_turned(Fn *f, const Target *t, int K, int N, int W, int P, Aff at, int64_t all, Aff n)
{
	int L = t->W;
	int q = f_for(f, "q", aff_c(0), aff_c(K), L), k = f_min(f, "k", aff_v(q), aff_c(K - L));
	int x = f_reg(f, "x", L, L, 1);
	for (int i = 0; i < L; i++) {
		int row = f_min(f, "row", aff_off(n, i), aff_c(N - 1));
		f_set(f, x, aff_c(i), aff_c(0), e_load(f, L, W, aff_plus(aff_v(k), row, K)));
	}
	x = transpose(f, L, x);
	for (int i = 0; i < L; i++)
		f_store(f, P, aff_off(aff_plus(at, k, all), all * (i + 1)),
			e_keep(f, e_reg(f, x, aff_c(i), aff_c(0)), aff_add(aff_c(N), aff_mul(n, -1))));
	f_end(f, 1);
}

/* Fewer inputs than lanes: number by number. */
static void pack_turned_narrow(Fn *f, const Target *t, int K, int N, int W, int P, Aff at, int64_t all, Aff n)
{
	int l = f_for(f, "l", aff_c(0), aff_c(t->W), 1);
	int row = f_min(f, "row", aff_plus(n, l, 1), aff_c(N - 1)), k = f_for(f, "k", aff_c(0), aff_c(K), 1);
	Aff have = aff_plus(aff_add(aff_c(N), aff_mul(n, -1)), l, -1);
	f_store(f, P, aff_off(aff_plus(aff_plus(at, k, all), l, 1), all),
		e_keep(f, e_load(f, 1, W, aff_plus(aff_v(k), row, K)), have));
	f_end(f, 2);
}

static void pack_all_turned(Fn *f, const Target *t, int K, int N, int W, int P)
{
	Panels p = panels_of(t, K, N);
	for (int rest = 0; rest < 2; rest++) {
		int vectors = rest ? p.rest : t->J, i = -1;
		if (rest ? !p.rest : !p.full) continue;
		int64_t all = (int64_t)vectors * t->W, width = (int64_t)t->J * t->W;
		if (!rest) i = f_for(f, "i", aff_c(0), aff_c(p.full), 1);
		int j = f_for(f, "j", aff_c(0), aff_c(vectors), 1);
		Aff at = aff_plus(rest ? aff_c(p.full * p.panel) : aff_mul(aff_v(i), p.panel), j, t->W);
		Aff n = aff_plus(rest ? aff_c(p.full * width) : aff_mul(aff_v(i), width), j, t->W);
		f_store(f, P, at, e_const(f, t->W, 0));
		(K < t->W ? pack_turned_narrow : pack_turned)(f, t, K, N, W, P, at, all, n);
		f_end(f, rest ? 1 : 2);
	}
}

/* Heads: N biases in 16s, then N columns of K. */
static void pack_head(Fn *f, int K, int N, bool transposed, int W, int B, int P)
{
	int64_t head = (N + 15) / 16 * 16;
	int n = f_for(f, "n", aff_c(0), aff_c(N), 1);
	f_store(f, P, aff_v(n), B >= 0 ? e_load(f, 1, B, aff_v(n)) : e_const(f, 1, 0));
	int k = f_for(f, "k", aff_c(0), aff_c(K), 1);
	Aff from = transposed ? aff_plus(aff_mul(aff_v(n), K), k, 1) : aff_plus(aff_mul(aff_v(k), N), n, 1);
	f_store(f, P, aff_off(aff_plus(aff_mul(aff_v(n), K), k, 1), head), e_load(f, 1, W, from));
	f_end(f, 2);
}

/* Products of one input computed side by side: `width` outputs each, `total` in all. */
typedef struct {
	int n, total, width[8];
	NodeId id[8];
	bool bias;
	Tail tail; /* of a layer alone */
	int n_part;
	Part part[TERMS_MAX];
} Joint;

static int64_t packed_size(const Target *t, int K, const Joint *d)
{
	int N = d->total;
	if (N < HEAD) return (N + 15) / 16 * 16 + (int64_t)N * K;
	return panels_size(t, K, N - d->tail.n) + tail_packed(&d->tail, d->part, d->n_part);
}

/* A tail's weights lie in the order of its terms. */
static const char *tail_text(Lowering *l, const Joint *d)
{
	Text o = {0};
	for (int i = 0; d->tail.n && i < d->n_part; i++)
		text_printf(&o, "_%dto%d", d->part[i].k, d->part[i].k + d->part[i].n);
	const char *text = arena_strdup(l->arena, o.at ? o.at : "");
	text_free(&o);
	return text;
}

static Fn *pack_kernel(Lowering *l, int K, const Joint *d, bool transposed)
{
	bool fresh;
	const Target *t = l->t;
	Text name = {0};
	text_printf(&name, "pack_%dx%d", K, d->width[0]);
	for (int i = 1; i < d->n; i++) text_printf(&name, "_%d", d->width[i]);
	Fn *f = lo_kernel(l, &fresh, "%s%s%s%s", name.at, d->bias ? "_bias" : "", transposed ? "_turned" : "",
			  tail_text(l, d));
	text_free(&name);
	if (!fresh) return f;
	int W[8], B[8];
	for (int i = 0; i < d->n; i++) {
		W[i] = f_buf(f, BUF_IN, ELEM_F32, "w", 0);
		B[i] = d->bias ? f_buf(f, BUF_IN, ELEM_F32, "bias", 0) : -1;
	}
	int P = f_buf(f, BUF_OUT, ELEM_F32, "p", 0);
	if (d->total < HEAD) {
		pack_head(f, K, d->total, transposed, W[0], B[0], P);
		return f;
	}
	if (transposed) {
		pack_all_turned(f, t, K, d->total, W[0], P);
		return f;
	}
	if (d->tail.n) {
		if (d->tail.first)
			pack_columns(f, t, K, d->tail.first, 0, d->tail.first, d->total, W[0], B[0], P);
		tail_pack(f, t, &d->tail, d->total, d->part, d->n_part, W[0], B[0], P,
			  panels_size(t, K, d->tail.first));
		return f;
	}
	for (int i = 0, c0 = 0; i < d->n; c0 += d->width[i++])
		pack_columns(f, t, K, d->width[i], c0, d->total, d->width[i], W[i], B[i], P);
	pack_padding(f, t, K, d->total, P);
	return f;
}

/* ---- forward and dX: rows of X times packed panels ---- */

/* The first accumulator of a row's columns col ..; at: the same place in P. */
static int product_start(Fn *f, const Product *d, Aff at, int row, Aff col, int lanes)
{
	int W = d->t->W;
	if (d->from) return e_load_n(f, W, d->F, aff_add(aff_mul(aff_v(row), d->fs), col), aff_c(lanes));
	return d->bias ? e_load(f, W, d->P, at) : e_const(f, W, 0);
}

enum {
	SOME = 4,	/* rows of the small tile */
	NEAR = 1 << 13, /* floats of a panel that stay in the first cache, where a second one would push them
			   out */
	TALL = 16,	/* rows of a tile at most */
	FAR = 1 << 16	/* floats of weights beyond which the next panel is fetched during this one */
};

/* Rows of a tile: where one vector or two are all outputs, more of them keep as many sums in flight. */
static int tile_rows(const Product *d)
{
	Panels p = panels_of(d->t, d->K, d->N);
	int rows = p.full ? d->t->M : d->t->M * d->t->J / p.rest;
	return rows < TALL ? rows : TALL;
}

/* Panels outermost: one is read from afar once and then serves all rows of the block. */
static void many_rows(Fn *f, const Product *d)
{
	const Target *t = d->t;
	Panels p = panels_of(t, d->K, d->N);
	int64_t width = (int64_t)t->J * t->W;
	int M = tile_rows(d);
	for (int rest = 0; rest < 2; rest++) {
		if (rest ? !p.rest : !p.full) continue;
		int vectors = rest ? p.rest : t->J, i = -1;
		if (!rest && p.full > 1) i = f_for(f, "p", aff_c(0), aff_c(p.full), 1);
		Aff at = rest ? aff_c(p.full * p.panel) : aff_plus(aff_c(0), i, p.panel);
		Aff col = rest ? aff_c(p.full * width) : aff_plus(aff_c(0), i, width);
		/* The last block reaches back over rows that are done: they come out the same. */
		int q = f_for(f, "q", aff_c(0), aff_v(d->n), M);
		int r = f_min(f, "r", aff_v(q), aff_off(aff_v(d->n), -M));
		Tile b = {.t = t,
			  .rows = M,
			  .panels = 1,
			  .vectors = vectors,
			  .S = d->X,
			  .s = aff_mul(aff_v(r), d->xs),
			  .si = d->xs,
			  .sk = 1,
			  .V = d->P,
			  .v = aff_off(at, (int64_t)vectors * t->W),
			  .vk = (int64_t)vectors * t->W,
			  .B = d->from ? d->F : d->P,
			  .b = d->from ? aff_add(aff_mul(aff_v(r), d->fs), col) : at,
			  .bi = d->from ? d->fs : 0,
			  .n_part = d->n_part,
			  .part = d->part,
			  .v_last = t->W,
			  .b_last = d->from && rest ? p.tail : t->W,
			  .o_last = rest ? p.tail : t->W,
			  .start = d->from || d->bias ? FROM_BIAS : FROM_ZERO,
			  .O = d->Y,
			  .o = aff_add(aff_mul(aff_v(r), d->ys), col),
			  .oi = d->ys,
			  .store = d->store,
			  .row = aff_v(r),
			  .col = col};
		if (!rest && p.size > FAR && p.panel > NEAR) {
			/* A whole block of rows asks for a whole panel. */
			b.ahead = (p.panel * M / ROW_BLOCK + d->K - 1) / d->K;
			b.next = aff_plus(aff_off(at, p.panel), r, p.panel / ROW_BLOCK);
		}
		tile(f, &b);
		f_end(f, 1 + (i >= 0));
	}
}

/* A vector of outputs among the panels. */
typedef struct {
	int64_t at, vk; /* of its weights for k = 0; between those of k and k + 1, and from the bias */
	int64_t col;
	int lanes;
} Column;

/* One row by several vectors, whatever panels they lie in. */
static void row_tile(Fn *f, const Product *d, int r, const Column *c, int n, Aff at, Aff col)
{
	int W = d->t->W, acc = f_reg(f, "acc", W, n, 1), x = f_reg(f, "x", W, 1, 1);
	for (int v = 0; v < n; v++)
		f_set(f, acc, aff_c(v), aff_c(0),
		      product_start(f, d, aff_off(at, c[v].at - c[v].vk), r, aff_off(col, c[v].col),
				    c[v].lanes));
	for (const Part *p = d->part; p < d->part + d->n_part; p++) {
		int k = f_for(f, "k", aff_c(0), aff_c(p->n), 1);
		Aff from = aff_plus(aff_off(aff_mul(aff_v(r), d->xs), p->x), k, 1);
		f_set1(f, x, e_splat(f, W, e_load(f, 1, d->X, from)));
		for (int v = 0; v < n; v++) {
			Aff weight = aff_plus(aff_off(at, c[v].at + p->k * c[v].vk), k, c[v].vk);
			f_set(f, acc, aff_c(v), aff_c(0),
			      mad(f, d->t, e_reg1(f, x), e_load(f, W, d->P, weight),
				  e_reg(f, acc, aff_c(v), aff_c(0))));
		}
		f_end(f, 1);
	}
	StoreRegs regs = store_regs(f, d->store, W);
	for (int v = 0; v < n; v++) {
		Aff to = aff_off(col, c[v].col), lanes = aff_c(c[v].lanes);
		int e = e_reg(f, acc, aff_c(v), aff_c(0));
		if (d->store) e = store_expr(f, d->store, &regs, e, aff_v(r), to, lanes);
		f_store_n(f, d->Y, aff_add(aff_mul(aff_v(r), d->ys), to), e, lanes);
	}
}

/*
 * Too few rows for a tile: one at a time over several panels at once, to have as many sums in flight; a last
 * group takes what is left, so that no vector has the latency of its sum to itself.
 */
static void few_rows(Fn *f, const Product *d)
{
	const Target *t = d->t;
	Panels p = panels_of(t, d->K, d->N);
	int64_t width = (int64_t)t->J * t->W;
	int nv = p.full * t->J + p.rest, group = t->chains / t->J * t->J, groups = nv / group;
	if (groups && groups * group > p.full * t->J) groups--;
	int left = nv - groups * group;
	Column *c = arena_new(f->arena, Column, nv);
	for (int v = 0; v < nv; v++) {
		int panel = v / t->J, j = v % t->J;
		int64_t vk = panel < p.full ? width : (int64_t)p.rest * t->W;
		c[v] = (Column){panel * p.panel + vk + (int64_t)j * t->W, vk,
				panel * width + (int64_t)j * t->W, v == nv - 1 ? p.tail : t->W};
	}
	/* A short rest joins the last whole group. */
	if (groups && left && left < t->J) {
		groups--;
		left += group;
	}
	if (groups) {
		int i = -1;
		if (groups > 1) i = f_for(f, "p", aff_c(0), aff_c(groups), 1);
		int r = f_for(f, "r", aff_c(0), aff_v(d->n), 1);
		row_tile(f, d, r, c, group, aff_plus(aff_c(0), i, group / t->J * p.panel),
			 aff_plus(aff_c(0), i, (int64_t)group * t->W));
		f_end(f, 1 + (i >= 0));
	}
	if (left) {
		int r = f_for(f, "r", aff_c(0), aff_v(d->n), 1);
		row_tile(f, d, r, c + groups * group, left, aff_c(0), aff_c(0));
		f_end(f, 1);
	}
}

/* Several rows by one panel, the last row standing in for those beyond it: it comes out the same each time.
 */
static void some_tile(Fn *f, const Product *d, int q, int vectors, int tail, Aff at, Aff col)
{
	int W = d->t->W, row[SOME], opened = 0;
	int acc = f_reg(f, "acc", W, SOME, vectors), w = f_reg(f, "w", W, vectors, 1),
	    x = f_reg(f, "x", W, 1, 1);
	int64_t width = (int64_t)vectors * W;
	for (int i = 0; i < SOME; i++)
		row[i] = f_min(f, "row", aff_off(aff_v(q), i), aff_off(aff_v(d->n), -1));
	/* A row's place in F is not affine in i: rows are told one by one. */
	for (int i = 0; d->from && i < SOME; i++)
		for (int c = 0; c < vectors; c++)
			f_set(f, acc, aff_c(i), aff_c(c),
			      product_start(f, d, at, row[i], aff_off(col, (int64_t)c * W),
					    c == vectors - 1 ? tail : W));
	if (!d->from) {
		int i = f_unroll(f, "i", 0, SOME), j = unroll(f, "j", vectors, &opened);
		f_set(f, acc, aff_v(i), aff_plus(aff_c(0), j, 1),
		      product_start(f, d, aff_plus(at, j, W), row[0], col, W));
		f_end(f, 1 + opened);
	}
	for (const Part *p = d->part; p < d->part + d->n_part; p++) {
		int k = f_for(f, "k", aff_c(0), aff_c(p->n), 1);
		opened = 0;
		int j = unroll(f, "j", vectors, &opened);
		Aff v = aff_plus(aff_c(0), j, 1), weight = aff_off(at, width * (1 + p->k));
		f_set(f, w, v, aff_c(0), e_load(f, W, d->P, aff_plus(aff_plus(weight, k, width), j, W)));
		f_end(f, opened);
		for (int r = 0; r < SOME; r++) {
			Aff from = aff_plus(aff_off(aff_mul(aff_v(row[r]), d->xs), p->x), k, 1);
			f_set1(f, x, e_splat(f, W, e_load(f, 1, d->X, from)));
			opened = 0;
			j = unroll(f, "j", vectors, &opened);
			v = aff_plus(aff_c(0), j, 1);
			f_set(
			    f, acc, aff_c(r), v,
			    mad(f, d->t, e_reg1(f, x), e_reg(f, w, v, aff_c(0)), e_reg(f, acc, aff_c(r), v)));
			f_end(f, opened);
		}
		f_end(f, 1);
	}
	StoreRegs regs = store_regs(f, d->store, W);
	for (int r = 0; r < SOME; r++)
		for (int c = 0; c < vectors; c++) {
			Aff to = aff_off(col, (int64_t)c * W), lanes = aff_c(c == vectors - 1 ? tail : W);
			int e = e_reg(f, acc, aff_c(r), aff_c(c));
			if (d->store) e = store_expr(f, d->store, &regs, e, aff_v(row[r]), to, lanes);
			f_store_n(f, d->Y, aff_add(aff_mul(aff_v(row[r]), d->ys), to), e, lanes);
		}
}

/* More than one row, fewer than a tile has: weights are read once for four. */
static void some_rows(Fn *f, const Product *d)
{
	const Target *t = d->t;
	Panels p = panels_of(t, d->K, d->N);
	int64_t width = (int64_t)t->J * t->W;
	for (int rest = 0; rest < 2; rest++) {
		if (rest ? !p.rest : !p.full) continue;
		int i = -1;
		if (!rest && p.full > 1) i = f_for(f, "p", aff_c(0), aff_c(p.full), 1);
		int q = f_for(f, "q", aff_c(0), aff_v(d->n), SOME);
		some_tile(f, d, q, rest ? p.rest : t->J, rest ? p.tail : t->W,
			  rest ? aff_c(p.full * p.panel) : aff_plus(aff_c(0), i, p.panel),
			  rest ? aff_c(p.full * width) : aff_plus(aff_c(0), i, width));
		f_end(f, 1 + (i >= 0));
	}
}

static void product_rows(Fn *f, const Product *d)
{
	int tiles = f_div(f, "tiles", aff_v(d->n), tile_rows(d)),
	    many = f_min(f, "many", aff_v(tiles), aff_c(1));
	f_for(f, "b", aff_c(0), aff_v(many), 1);
	many_rows(f, d);
	f_end(f, 1);
	int one = many;
	if (d->small) {
		int pairs = f_div(f, "pairs", aff_v(d->n), 2);
		one = f_min(f, "some", aff_v(pairs), aff_c(1));
		f_for(f, "b", aff_v(many), aff_v(one), 1);
		some_rows(f, d);
		f_end(f, 1);
	}
	f_for(f, "b", aff_v(one), aff_c(1), 1);
	few_rows(f, d);
	f_end(f, 1);
}

/* Fewer than eight outputs: the eight chains of a sum are eight lanes; `rows` rows at a time. */
static void head_rows(Fn *f, const Product *d)
{
	const Target *t = d->t;
	int K = d->K, N = d->N, X = d->X, P = d->P, Y = d->Y, n = d->n;
	int64_t xs = d->xs, ys = d->ys;
	int head = (N + 15) / 16 * 16, rows = N == 1 ? (t->W >= 16 ? 8 : 4) : N < 4 ? 2 : 1;
	int lanes = t->W < 8 ? t->W : 8, parts = 8 / lanes;
	uint8_t rotate[8];
	int nm = f_floor(f, "whole", aff_v(n), rows);
	for (int part = 0; part < 2; part++) {
		int M = part ? 1 : rows;
		if (part && rows == 1) break;
		int r = f_for(f, "r", part ? aff_v(nm) : aff_c(0), part ? aff_v(n) : aff_v(nm), M);
		int j = N > 1 ? f_for(f, "j", aff_c(0), aff_c(N), 1) : -1;
		Aff w0 = aff_plus(aff_c(head), j, K);
		int s = f_reg(f, "s", lanes, M, parts);
		int opened = 0, i = unroll(f, "i", M, &opened);
		for (int v = 0; v < parts; v++) {
			int e = e_const(f, lanes, 0);
			if (d->from)
				e = e_load(
				    f, lanes, d->F,
				    aff_off(aff_plus(aff_plus(aff_mul(aff_v(r), d->fs), i, d->fs), j, HEAD),
					    (int64_t)v * lanes));
			else if (d->bias && v == 0)
				e = e_keep(f, e_splat(f, lanes, e_load(f, 1, P, aff_plus(aff_c(0), j, 1))),
					   aff_c(1));
			f_set(f, s, aff_plus(aff_c(0), i, 1), aff_c(v), e);
		}
		f_end(f, opened);
		for (int q = 0; q < 2 * d->n_part; q++) {
			const Part *p = &d->part[q / 2];
			int tail = q % 2, whole = p->n / 8 * 8;
			if (tail ? whole == p->n : !whole) continue;
			int k = tail ? -1 : f_for(f, "k", aff_c(0), aff_c(whole), 8);
			Aff k0 = tail ? aff_c(whole) : aff_v(k);
			opened = 0;
			i = unroll(f, "i", M, &opened);
			for (int v = 0; v < parts; v++) {
				int have = tail ? p->n - whole - v * lanes : lanes;
				if (have <= 0) continue;
				Aff row = aff_plus(aff_c(0), i, 1), kv = aff_off(k0, (int64_t)v * lanes);
				Aff at = aff_off(aff_plus(aff_mul(aff_v(r), xs), i, xs), p->x);
				int x = e_load_n(f, lanes, X, aff_add(at, kv), aff_c(have));
				int w = e_load_n(f, lanes, P, aff_add(aff_off(w0, p->k), kv), aff_c(have));
				f_set(f, s, row, aff_c(v), mad(f, t, x, w, e_reg(f, s, row, aff_c(v))));
			}
			f_end(f, opened);
			if (!tail) f_end(f, 1);
		}
		opened = 0;
		i = unroll(f, "i", M, &opened);
		Aff row = aff_plus(aff_c(0), i, 1), to = aff_plus(aff_mul(aff_v(r), ys), i, ys);
		for (int v = 0; d->open && v < parts; v++)
			f_store(f, Y, aff_off(aff_plus(to, j, HEAD), (int64_t)v * lanes),
				e_reg(f, s, row, aff_c(v)));
		if (d->open) {
			f_end(f, opened + 1 + (N > 1));
			continue;
		}
		if (parts == 2)
			f_set(f, s, row, aff_c(0),
			      e_op2(f, E_ADD, e_reg(f, s, row, aff_c(0)), e_reg(f, s, row, aff_c(1))));
		for (int h = lanes / 2; h; h /= 2) {
			for (int q = 0; q < lanes; q++) rotate[q] = (uint8_t)((q + h) % lanes);
			int turned =
			    e_shuf(f, e_reg(f, s, row, aff_c(0)), e_reg(f, s, row, aff_c(0)), rotate);
			f_set(f, s, row, aff_c(0), e_op2(f, E_ADD, e_reg(f, s, row, aff_c(0)), turned));
		}
		f_store(f, Y, aff_plus(to, j, 1), e_lane(f, e_reg(f, s, row, aff_c(0)), 0));
		f_end(f, opened + 1 + (N > 1));
	}
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

static Loc packed_weights(Lowering *l, const Joint *d, int K, bool transposed)
{
	const Graph *g = l->g;
	bool fresh;
	Text key = {0};
	for (int i = 0; i < d->n; i++) {
		text_printf(&key, "%s %s ", lo_free_key(l, g->node.at[d->id[i]].in[1]),
			    d->bias ? lo_free_key(l, bias_of(g, d->id[i])) : "");
	}
	Loc P = lo_packed(l, packed_size(l->t, K, d), &fresh, "%s%s%s", key.at, transposed ? "turned" : "",
			  tail_text(l, d));
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
	lo_call(pre, pack_kernel(pre, K, d, transposed), n, arg, false, g->node.at[d->id[0]].span);
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
	int n_part = d->n_part = transposed ? 1 : parts_of(g, id, part);
	if (!transposed && d->n == 1) d->tail = tail_of(N);
	bool from = op == OP_DENSE_REST, open = op == OP_DENSE_FIRST, fresh;
	Loc X = lo_value(l, x);
	Loc arg[9] = {X, packed_weights(l, d, K, transposed)};
	int n = 2;
	if (from) arg[n++] = joint_state(l, d);
	if (N < HEAD && l->absorbed[id]) bug("a head has no store to absorb into");
	Store store, *st = store_of(l, id, &store, arg, &n);
	Loc Y = lo_result(l, id);
	arg[n++] = Y;
	Fn *f =
	    lo_kernel(l, &fresh, "%s_%dx%d%s%s_s%d_%d%s%s", op_table[op]->word, K, N,
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
		if (N < HEAD)
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
	if (l->t->blas || a[0] != b[0] || x->attr.word != y->attr.word || N < HEAD || n == 8 ||
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

/* ---- dW: accumulated over the rows of a block into the sums of the slice ---- */

/* Columns v0 .. of dW, `groups` times `vectors` vectors, the last with `last` lanes. */
static void dw_columns(Fn *f, const Target *t, int K, int N, int64_t xs, int64_t ds, int X, int D, int G,
		       int n, int v0, int groups, int vectors, int last)
{
	/* The parameter's rows in blocks of nearly equal size: a ragged last block would waste a whole tile.
	 */
	int blocks = (K + t->M - 1) / t->M, base = K / blocks, extra = K % blocks;
	int64_t width = (int64_t)vectors * t->W;
	int g = groups > 1 ? f_for(f, "g", aff_c(0), aff_c(groups), 1) : -1;
	Aff col = aff_plus(aff_c((int64_t)v0 * t->W), g, width);
	for (int part = 0, k0 = 0; part < 2; part++) {
		int rows = part ? base : base + 1, count = part ? blocks - extra : extra;
		if (!count) continue;
		int q = f_for(f, "q", aff_c(0), aff_c(count), 1);
		Tile b = {.t = t,
			  .rows = rows,
			  .panels = 1,
			  .vectors = vectors,
			  .S = X,
			  .s = aff_plus(aff_c(k0), q, rows),
			  .si = 1,
			  .sk = xs,
			  .V = D,
			  .v = col,
			  .vk = ds,
			  .terms = aff_v(n),
			  .v_last = last,
			  .o_last = last,
			  .start = FROM_OUT,
			  .O = G,
			  .o = aff_add(aff_plus(aff_c((int64_t)k0 * N), q, (int64_t)rows * N), col),
			  .oi = N,
			  .fetch = true};
		tile(f, &b);
		f_end(f, 1);
		k0 += count * rows;
	}
	f_end(f, g >= 0);
}

static void dw_tiles(Fn *f, const Target *t, int K, int N, int64_t xs, int64_t ds, int X, int D, int G, int n)
{
	int nv = (N + t->W - 1) / t->W, tail = N - (nv - 1) * t->W,
	    groups = (tail < t->W ? nv - 1 : nv) / t->J;
	if (groups) dw_columns(f, t, K, N, xs, ds, X, D, G, n, 0, groups, t->J, t->W);
	int rest = nv - groups * t->J;
	if (rest) dw_columns(f, t, K, N, xs, ds, X, D, G, n, groups * t->J, 1, rest, tail);
}

/* One output: the parameter's rows lie in lanes. */
static void dw_column(Fn *f, const Target *t, int K, int64_t xs, int64_t ds, int X, int D, int G, int n)
{
	int nv = (K + t->W - 1) / t->W, most = t->chains;
	for (int v0 = 0; v0 < nv; v0 += most) {
		int vectors = nv - v0 < most ? nv - v0 : most;
		int last = v0 + vectors == nv ? K - (nv - 1) * t->W : t->W;
		int zero = f_for(f, "o", aff_c(0), aff_c(1),
				 1); /* so that the registers of each part have their own life */
		(void)zero;
		Tile b = {.t = t,
			  .rows = 1,
			  .panels = 1,
			  .vectors = vectors,
			  .S = D,
			  .s = aff_c(0),
			  .si = 0,
			  .sk = ds,
			  .V = X,
			  .v = aff_c((int64_t)v0 * t->W),
			  .vk = xs,
			  .terms = aff_v(n),
			  .v_last = last,
			  .o_last = last,
			  .start = FROM_OUT,
			  .O = G,
			  .o = aff_c((int64_t)v0 * t->W),
			  .oi = 0};
		tile(f, &b);
		f_end(f, 1);
	}
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
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "dense_dw_%dx%d_s%d_%d", K, N, (int)arg[0].stride, (int)arg[1].stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), D = f_buf(f, BUF_IN, ELEM_F32, "dy", 0),
		    G = f_buf(f, BUF_INOUT, ELEM_F32, "dw", 0);
		int n = f_size(f, "n");
		if (N == 1)
			dw_column(f, l->t, K, arg[0].stride, arg[1].stride, X, D, G, n);
		else
			dw_tiles(f, l->t, K, N, arg[0].stride, arg[1].stride, X, D, G, n);
	}
	lo_call(l, f, 3, arg, true, g->node.at[id].span);
}

/* ONNX has no order of sums. */
static int dense_onnx(Onnx *o, const Node *n, const int *x)
{
	int in[3] = {onnx_whole(o, x[0], o->g->node.at[n->in[0]].shape), x[1], x[2]};
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
