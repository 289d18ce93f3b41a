/*
 * Dense layers: y = x W + b, and the two products of its backward pass, as register tiles.
 *
 * One tile builder with three stride sets serves forward, dX and dW.  The order of every sum depends on (K,
 * N) alone: for N >= 8 one ascending chain of fused multiply-adds from the bias; for N < 8 eight chains by k
 * mod 8 and a fixed tree.
 */
#include "base/diag.h"
#include "ops/family.h"
#include "ops/store.h"

enum { HEAD = 8 /* fewer outputs than this are summed in eight chains */ };

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
	*out = shape_1(true, w.d[1]);
	return true;
}

static void dense_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	const NodeId *in = g->node.at[id].in;
	NodeId x = in[0], w = in[1], b = in[2];
	Shape sx = g->node.at[x].shape;
	din[0] = graph_reshape(g, graph_2(g, OP_DENSE_DX, d, w), sx);
	din[1] = graph_2(g, OP_DENSE_DW, x, d);
	if (b) din[2] = graph_1(g, OP_SUM_ROWS, d);
}

static bool dx_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = shape_1(true, g->node.at[in[1]].shape.d[0]);
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
	int64_t si, sk, vk, oi;
	int64_t gap;	    /* between panels in V and B */
	Aff lo, hi;	    /* of k */
	int v_last, o_last; /* lanes that exist of the last vector in V and O */
	Start start;
	const Store *store; /* what is done to a result on its way out, or NULL */
	Aff row, col;	    /* of the first result, for the store */
} Tile;

static int mad(Fn *f, const Target *t, int a, int b, int c)
{
	return t->fma ? e_op3(f, E_FMA, a, b, c) : e_op2(f, E_ADD, e_op2(f, E_MUL, a, b), c);
}

/* An unrolled loop of n; for n == 1 nothing is opened and the variable is -1. */
static int unroll(Fn *f, const char *name, int n, int *opened)
{
	if (n == 1) return -1;
	++*opened;
	return f_unroll(f, name, 0, n);
}

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

static void tile(Fn *f, const Tile *t)
{
	int W = t->t->W, n = t->panels * t->vectors;
	bool ragged = t->v_last < W || t->o_last < W;
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
			e = e_load(f, W, t->B, aff_add(t->b, c.in));
		else
			e = e_load_n(f, W, t->O, aff_add(aff_plus(t->o, i, t->oi), c.out),
				     aff_c(last ? t->o_last : W));
		f_set(f, acc, aff_plus(aff_c(0), i, 1), c.vector, e);
		f_end(f, opened + c.opened);
	}

	int k = f_for(f, "k", t->lo, t->hi, 1);
	for (int last = 0; last <= ragged; last++) {
		if (!last && !whole) continue;
		Columns c = columns_open(f, t, last, whole);
		Aff at = aff_plus(aff_add(t->v, c.in), k, t->vk);
		f_set(f, w, c.vector, aff_c(0), e_load_n(f, W, t->V, at, aff_c(last ? t->v_last : W)));
		f_end(f, c.opened);
	}
	int opened = 0, i = unroll(f, "i", t->rows, &opened);
	f_set1(f, x, e_splat(f, W, e_load(f, 1, t->S, aff_plus(aff_plus(t->s, i, t->si), k, t->sk))));
	int v = unroll(f, "v", n, &opened);
	Aff row = aff_plus(aff_c(0), i, 1), col = aff_plus(aff_c(0), v, 1);
	f_set(f, acc, row, col,
	      mad(f, t->t, e_reg1(f, x), e_reg(f, w, col, aff_c(0)), e_reg(f, acc, row, col)));
	f_end(f, opened + 1);

	StoreRegs regs = store_regs(f, t->store, W);
	for (int last = 0; last <= ragged; last++) {
		if (!last && !whole) continue;
		opened = 0;
		i = unroll(f, "i", t->rows, &opened);
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

static int64_t packed_size(const Target *t, int K, int N)
{
	return N < HEAD ? (N + 15) / 16 * 16 + (int64_t)N * K : panels_of(t, K, N).size;
}

/* Element (k, n) of the product's weights in the parameter: W[k * N + n], or W[n * K + k] when transposed. */
static void pack_panel(Fn *f, const Target *t, int K, int N, bool transposed, int W, int B, int P, Aff at,
		       Aff col, int vectors, int last)
{
	int width = vectors * t->W;
	for (int v = 0; v < vectors; v++) {
		Aff lanes = aff_c(v == vectors - 1 ? last : t->W);
		Aff to = aff_off(at, (int64_t)v * t->W), n = aff_off(col, (int64_t)v * t->W);
		f_store(f, P, to, B >= 0 ? e_load_n(f, t->W, B, n, lanes) : e_const(f, t->W, 0));
		if (transposed) continue;
		int k = f_for(f, "k", aff_c(0), aff_c(K), 1);
		f_store(f, P, aff_off(aff_plus(to, k, width), width),
			e_load_n(f, t->W, W, aff_plus(n, k, N), lanes));
		f_end(f, 1);
	}
	if (!transposed) return;
	/* Rows of the parameter become columns of the panel: element by element, along the parameter's rows.
	 */
	int have = (vectors - 1) * t->W + last;
	int n = f_for(f, "n", aff_c(0), aff_c(have), 1), k = f_for(f, "k", aff_c(0), aff_c(K), 1);
	Aff from = aff_plus(aff_plus(aff_mul(col, K), n, K), k, 1);
	f_store(f, P, aff_off(aff_plus(aff_plus(at, k, width), n, 1), width), e_load(f, 1, W, from));
	f_end(f, 2);
	if (have < width) {
		k = f_for(f, "k", aff_c(0), aff_c(K), 1);
		int z = f_for(f, "n", aff_c(have), aff_c(width), 1);
		f_store(f, P, aff_off(aff_plus(aff_plus(at, k, width), z, 1), width), e_const(f, 1, 0));
		f_end(f, 2);
	}
}

static Fn *pack_kernel(Lowering *l, int K, int N, bool bias, bool transposed)
{
	bool fresh;
	const Target *t = l->t;
	Fn *f =
	    lo_kernel(l, &fresh, "pack_%dx%d%s%s", K, N, bias ? "_bias" : "", transposed ? "_turned" : "");
	if (!fresh) return f;
	int W = f_buf(f, BUF_IN, ELEM_F32, "w", 0), B = bias ? f_buf(f, BUF_IN, ELEM_F32, "bias", 0) : -1;
	int P = f_buf(f, BUF_OUT, ELEM_F32, "p", 0);
	if (N < HEAD) {
		int64_t head = (N + 15) / 16 * 16;
		int n = f_for(f, "n", aff_c(0), aff_c(N), 1);
		f_store(f, P, aff_v(n), bias ? e_load(f, 1, B, aff_v(n)) : e_const(f, 1, 0));
		int k = f_for(f, "k", aff_c(0), aff_c(K), 1);
		Aff from =
		    transposed ? aff_plus(aff_mul(aff_v(n), K), k, 1) : aff_plus(aff_mul(aff_v(k), N), n, 1);
		f_store(f, P, aff_off(aff_plus(aff_mul(aff_v(n), K), k, 1), head), e_load(f, 1, W, from));
		f_end(f, 2);
		return f;
	}
	Panels p = panels_of(t, K, N);
	if (p.full) {
		int i = f_for(f, "i", aff_c(0), aff_c(p.full), 1);
		pack_panel(f, t, K, N, transposed, W, B, P, aff_mul(aff_v(i), p.panel),
			   aff_mul(aff_v(i), (int64_t)t->J * t->W), t->J, t->W);
		f_end(f, 1);
	}
	if (p.rest)
		pack_panel(f, t, K, N, transposed, W, B, P, aff_c(p.full * p.panel),
			   aff_c((int64_t)p.full * t->J * t->W), p.rest, p.tail);
	return f;
}

/* ---- forward and dX: rows of X times packed panels ---- */

static void product_rows(Fn *f, const Target *t, int K, int N, int64_t xs, int64_t ys, bool bias,
			 const Store *store, int X, int P, int Y, int n)
{
	Panels p = panels_of(t, K, N);
	int64_t width = (int64_t)t->J * t->W;
	int nm = f_floor(f, "whole", aff_v(n), t->M);
	for (int part = 0; part < 2; part++) {
		/* Blocks of M rows, then single rows over several panels at once, to have as many sums in
		 * flight. */
		int rows = part ? 1 : t->M, group = part ? t->chains / t->J : 1;
		if (group < 1) group = 1;
		int r = f_for(f, "r", part ? aff_v(nm) : aff_c(0), part ? aff_v(n) : aff_v(nm), rows);
		Tile b = {.t = t,
			  .rows = rows,
			  .vectors = t->J,
			  .S = X,
			  .s = aff_mul(aff_v(r), xs),
			  .si = xs,
			  .sk = 1,
			  .V = P,
			  .B = P,
			  .gap = p.panel,
			  .lo = aff_c(0),
			  .hi = aff_c(K),
			  .v_last = t->W,
			  .o_last = t->W,
			  .start = bias ? FROM_BIAS : FROM_ZERO,
			  .O = Y,
			  .oi = ys,
			  .store = store,
			  .row = aff_v(r)};
		for (int done = 0; done < p.full;) {
			b.panels = group < p.full - done ? group : p.full - done;
			int count = (p.full - done) / b.panels, i = -1;
			Aff at = aff_c(done * p.panel), col = aff_c(done * width);
			if (count > 1) {
				i = f_for(f, "p", aff_c(0), aff_c(count), 1);
				at = aff_plus(at, i, b.panels * p.panel);
				col = aff_plus(col, i, b.panels * width);
			}
			b.b = at;
			b.v = aff_off(at, width);
			b.vk = width;
			b.col = col;
			b.o = aff_add(aff_mul(aff_v(r), ys), col);
			tile(f, &b);
			if (count > 1) f_end(f, 1);
			done += count * b.panels;
		}
		if (p.rest) {
			b.panels = 1;
			b.vectors = p.rest;
			b.b = aff_c(p.full * p.panel);
			b.vk = (int64_t)p.rest * t->W;
			b.v = aff_off(b.b, b.vk);
			b.col = aff_c(p.full * width);
			b.o = aff_add(aff_mul(aff_v(r), ys), b.col);
			b.o_last = p.tail;
			tile(f, &b);
		}
		f_end(f, 1);
	}
}

/* Fewer than eight outputs: the eight chains of a sum are eight lanes; `rows` rows at a time. */
static void head_rows(Fn *f, const Lowering *l, int K, int N, int64_t xs, int64_t ys, bool bias, int X, int P,
		      int Y, int n)
{
	const Target *t = l->t;
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
			if (bias && v == 0)
				e = e_keep(f, e_splat(f, lanes, e_load(f, 1, P, aff_plus(aff_c(0), j, 1))),
					   aff_c(1));
			f_set(f, s, aff_plus(aff_c(0), i, 1), aff_c(v), e);
		}
		f_end(f, opened);
		int whole = K / 8 * 8;
		for (int tail = 0; tail < 2; tail++) {
			if (tail ? whole == K : !whole) continue;
			int k = tail ? -1 : f_for(f, "k", aff_c(0), aff_c(whole), 8);
			Aff k0 = tail ? aff_c(whole) : aff_v(k);
			opened = 0;
			i = unroll(f, "i", M, &opened);
			for (int v = 0; v < parts; v++) {
				int have = tail ? K - whole - v * lanes : lanes;
				if (have <= 0) continue;
				Aff row = aff_plus(aff_c(0), i, 1), kv = aff_off(k0, (int64_t)v * lanes);
				int x =
				    e_load_n(f, lanes, X, aff_add(aff_plus(aff_mul(aff_v(r), xs), i, xs), kv),
					     aff_c(have));
				int w = e_load_n(f, lanes, P, aff_add(w0, kv), aff_c(have));
				f_set(f, s, row, aff_c(v), mad(f, t, x, w, e_reg(f, s, row, aff_c(v))));
			}
			f_end(f, opened);
			if (!tail) f_end(f, 1);
		}
		opened = 0;
		i = unroll(f, "i", M, &opened);
		Aff row = aff_plus(aff_c(0), i, 1);
		if (parts == 2)
			f_set(f, s, row, aff_c(0),
			      e_op2(f, E_ADD, e_reg(f, s, row, aff_c(0)), e_reg(f, s, row, aff_c(1))));
		for (int h = lanes / 2; h; h /= 2) {
			for (int q = 0; q < lanes; q++) rotate[q] = (uint8_t)((q + h) % lanes);
			int turned =
			    e_shuf(f, e_reg(f, s, row, aff_c(0)), e_reg(f, s, row, aff_c(0)), rotate);
			f_set(f, s, row, aff_c(0), e_op2(f, E_ADD, e_reg(f, s, row, aff_c(0)), turned));
		}
		f_store(f, Y, aff_plus(aff_plus(aff_mul(aff_v(r), ys), i, ys), j, 1),
			e_lane(f, e_reg(f, s, row, aff_c(0)), 0));
		f_end(f, opened + 1 + (N > 1));
	}
}

static void product_lower(Lowering *l, NodeId id, NodeId x, NodeId w, NodeId bias, bool transposed)
{
	const Graph *g = l->g;
	int K = (int)shape_size(g->node.at[x].shape), N = (int)shape_size(g->node.at[id].shape);
	Span span = g->node.at[id].span;
	bool fresh;
	Loc P = lo_packed(l, packed_size(l->t, K, N), &fresh, "%s %s%s", lo_free_key(l, w),
			  bias ? lo_free_key(l, bias) : "", transposed ? " turned" : "");
	if (fresh) {
		Lowering *pre = l->packing->pre;
		Loc arg[3] = {lo_value(pre, w)};
		int n = 1;
		if (bias) arg[n++] = lo_value(pre, bias);
		arg[n] = lo_slot(pre, SLOT_PACKED, 0, 0, false);
		arg[n++].off = P.off;
		lo_call(pre, pack_kernel(pre, K, N, bias != 0, transposed), n, arg, false, span);
	}
	Loc X = lo_value(l, x);
	Loc arg[8] = {X, P};
	int n = 2;
	if (N < HEAD && l->absorbed[id]) bug("a head has no store to absorb into");
	Store store, *st = store_of(l, id, &store, arg, &n);
	Loc Y = lo_result(l, id);
	arg[n++] = Y;
	Fn *f = lo_kernel(l, &fresh, "%s_%dx%d%s_s%d_%d%s", transposed ? "dense_dx" : "dense", K, N,
			  bias || transposed ? "" : "_nobias", (int)X.stride, (int)Y.stride,
			  st ? st->suffix : "");
	if (fresh) {
		f->note = str_printf(l->str, "%d -> %d%s%s", K, N, st ? ", " : "",
				     st ? op_table[st->op]->word : "");
		int bx = f_buf(f, BUF_IN, ELEM_F32, "x", 0), bp = f_buf(f, BUF_IN, ELEM_F32, "p", 0);
		store_buffers(f, st);
		int by = f_buf(f, BUF_OUT, ELEM_F32, "y", 0), rows = f_size(f, "n");
		if (N < HEAD)
			head_rows(f, l, K, N, X.stride, Y.stride, bias != 0, bx, bp, by, rows);
		else
			product_rows(f, l->t, K, N, X.stride, Y.stride, bias != 0, st, bx, bp, by, rows);
	}
	lo_call(l, f, n, arg, true, span);
}

static void dense_lower(Lowering *l, NodeId id)
{
	const NodeId *in = l->g->node.at[id].in;
	product_lower(l, id, in[0], in[1], in[2], false);
}

static void dx_lower(Lowering *l, NodeId id)
{
	const NodeId *in = l->g->node.at[id].in;
	product_lower(l, id, in[0], in[1], 0, true);
}

/* ---- dW: accumulated over the rows of a block into the sums of the slice ---- */

static void dw_tiles(Fn *f, const Target *t, int K, int N, int64_t xs, int64_t ds, int X, int D, int G, int n)
{
	/* The parameter's rows in blocks of nearly equal size: a ragged last block would waste a whole tile.
	 */
	int blocks = (K + t->M - 1) / t->M, base = K / blocks, extra = K % blocks;
	int nv = (N + t->W - 1) / t->W, tail = N - (nv - 1) * t->W;
	for (int v0 = 0; v0 < nv; v0 += t->J) {
		int vectors = nv - v0 < t->J ? nv - v0 : t->J;
		int last = v0 + vectors == nv ? tail : t->W;
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
				  .v = aff_c((int64_t)v0 * t->W),
				  .vk = ds,
				  .lo = aff_c(0),
				  .hi = aff_v(n),
				  .v_last = last,
				  .o_last = last,
				  .start = FROM_OUT,
				  .O = G,
				  .o = aff_off(aff_plus(aff_c((int64_t)k0 * N), q, (int64_t)rows * N),
					       (int64_t)v0 * t->W),
				  .oi = N};
			tile(f, &b);
			f_end(f, 1);
			k0 += count * rows;
		}
	}
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
			  .lo = aff_c(0),
			  .hi = aff_v(n),
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

const Op op_dense = {.word = "dense",
		     .n_in = 3,
		     .group = GROUP_DENSE,
		     .doc = "A linear map of each row: x [n, K], weight [K, N], bias [N].",
		     .formula = "y = x W + b",
		     .shape = dense_shape,
		     .grad = dense_grad,
		     .lower = dense_lower};
const Op op_dense_dx = {.word = "dense_dx",
			.n_in = 2,
			.group = GROUP_DENSE,
			.doc = "The gradient of a dense layer in its input.",
			.formula = "dx = dy W'",
			.shape = dx_shape,
			.lower = dx_lower};
const Op op_dense_dw = {.word = "dense_dw",
			.n_in = 2,
			.group = GROUP_DENSE,
			.doc = "The gradient of a dense layer in its weights, summed over rows.",
			.formula = "dW = x' dy",
			.shape = dw_shape,
			.lower = dw_lower};
