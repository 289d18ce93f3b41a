/*
 * Forward and gradient by the input: rows of X times packed panels.  Many rows by full tiles, a few by a tile
 * of four, one by as many vectors as hide the latency of a sum.
 */
#include "ops/dense.h"
#include "ops/tile.h"

/* The first accumulator of a row's columns col ..; at: the same place in P. */
static int product_start(Fn *f, const Product *d, Aff at, int row, Aff col, int lanes)
{
	int W = d->t->W;
	if (d->from) return e_load_n(f, W, d->F, aff_add(aff_mul(aff_v(row), d->fs), col), aff_c(lanes));
	return d->bias ? e_load(f, W, d->P, at) : e_const(f, W, 0);
}

enum {
	SOME = 4,  /* rows of the small tile */
	TALL = 16, /* rows of a tile at most */
	NEAR =
	    1 << 13,  /* floats of a panel that stays in the first cache, where a second would push it out */
	FAR = 1 << 16 /* floats of weights beyond which the next panel is fetched during this one */
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
		tile_loops(f, &b);
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
		int j = unroll(f, "j", vectors, &opened);
		Aff v = aff_plus(aff_c(0), j, 1);
		f_set(f, w, v, aff_c(0), product_start(f, d, aff_plus(at, j, W), row[0], col, W));
		f_end(f, opened);
		opened = 1;
		int i = f_unroll(f, "i", 0, SOME);
		j = unroll(f, "j", vectors, &opened);
		v = aff_plus(aff_c(0), j, 1);
		f_set(f, acc, aff_v(i), v, e_reg(f, w, v, aff_c(0)));
		f_end(f, opened);
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

void product_rows(Fn *f, const Product *d)
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
