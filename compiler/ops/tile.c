/* The register tile (tile.h): starts, multiply-adds over all terms, results on their way out. */
#include "ops/tile.h"

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

void tile_loops(Fn *f, const Tile *t)
{
	int W = t->t->W, n = t->panels * t->vectors;
	bool ragged = t->v_last < W || t->o_last < W || (t->start == FROM_BIAS && t->b_last < W);
	int whole = ragged ? t->vectors - 1 : t->vectors;
	int acc = f_reg(f, "acc", W, t->rows, n), w = f_reg(f, "w", W, n, 1), x = f_reg(f, "x", W, 1, 1);

	/* Biases are read once for all rows. */
	bool shared = t->start == FROM_BIAS && !t->bi && t->rows > 1;
	for (int last = 0; last <= ragged; last++) {
		if (!last && !whole) continue;
		int opened = 0, i = shared ? -1 : unroll(f, "i", t->rows, &opened);
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
		if (shared)
			f_set(f, w, c.vector, aff_c(0), e);
		else
			f_set(f, acc, aff_plus(aff_c(0), i, 1), c.vector, e);
		f_end(f, opened + c.opened);
	}
	if (shared) {
		int opened = 0, i = unroll(f, "i", t->rows, &opened), v = unroll(f, "v", n, &opened);
		Aff col = aff_plus(aff_c(0), v, 1);
		f_set(f, acc, aff_v(i), col, e_reg(f, w, col, aff_c(0)));
		f_end(f, opened);
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
