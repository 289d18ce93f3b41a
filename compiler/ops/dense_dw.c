/* The gradient by the weights: accumulated over the rows of a block into the sums of the slice. */
#include "ops/dense.h"
#include "ops/tile.h"

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
		tile_loops(f, &b);
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
		tile_loops(f, &b);
		f_end(f, 1);
	}
}

Fn *dw_kernel(Lowering *l, int K, int N, int64_t xs, int64_t ds)
{
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "dense_dw_%dx%d_s%d_%d", K, N, (int)xs, (int)ds);
	if (!fresh) return f;
	int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), D = f_buf(f, BUF_IN, ELEM_F32, "dy", 0),
	    G = f_buf(f, BUF_INOUT, ELEM_F32, "dw", 0);
	int n = f_size(f, "n");
	if (N == 1)
		dw_column(f, l->t, K, xs, ds, X, D, G, n);
	else
		dw_tiles(f, l->t, K, N, xs, ds, X, D, G, n);
	return f;
}
