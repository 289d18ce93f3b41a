/*
 * Outputs that fill no vector.
 *
 * A layer of 8 outputs leaves half of sixteen lanes idle, one of 18 leaves 14 of 32.  So the last one to
 * eight outputs of a narrow layer share their lanes with each other's terms: room for 2, 4 or 8 outputs, and
 * each summed in 8, 4 or 2 chains by the place in the stretch modulo that number, then a tree as a head's.
 * Lane output * chains + chain: a row's next terms are one short load, repeated, and the weights lie as they
 * are read.  Nothing of it depends on a machine; where vectors have fewer lanes, the sixteen are several.
 *
 * Packed: 16 starts (the bias in an output's first chain), then for each stretch 16 weights per `chains`
 * terms.
 */
#include "ops/dense.h"

enum {
	TALL = 16, /* rows of a tile at most */
	SHORT = 4
};

Tail tail_of(int N)
{
	int n = N < HEAD ? 0 : terms_in_chains(N), room = 2;
	if (!n) return (Tail){0};
	while (room < n) room *= 2;
	return (Tail){N - n, n, TAIL_LANES / room};
}

/* Turns of k over a stretch of n terms. */
static int turns(const Tail *a, int n) { return (n + a->chains - 1) / a->chains; }

int64_t tail_packed(const Tail *a, const Part *part, int n_part)
{
	int64_t n = a->n ? TAIL_LANES : 0;
	for (int i = 0; a->n && i < n_part; i++) n += TAIL_LANES * turns(a, part[i].n);
	return n;
}

/* P[to + chain] = W[from + chain * N] for `n` chains of every turn. */
static void pack_turns(Fn *f, const Tail *a, int N, int n_turn, int n, int W, Aff from, int P, Aff to)
{
	if (!n_turn || !n) return;
	int s = n_turn > 1 ? f_for(f, "s", aff_c(0), aff_c(n_turn), 1) : -1;
	int c = f_for(f, "c", aff_c(0), aff_c(n), 1);
	f_store(f, P, aff_plus(aff_plus(to, s, TAIL_LANES), c, 1),
		e_load(f, 1, W, aff_plus(aff_plus(from, s, (int64_t)a->chains * N), c, N)));
	f_end(f, 1 + (s >= 0));
}

void tail_pack(Fn *f, const Target *t, const Tail *a, int N, const Part *part, int n_part, int W, int B,
	       int P, int64_t at)
{
	int i = f_for(f, "i", aff_c(0), aff_c(tail_packed(a, part, n_part)), t->W);
	f_store(f, P, aff_off(aff_v(i), at), e_const(f, t->W, 0));
	f_end(f, 1);
	int o = f_for(f, "o", aff_c(0), aff_c(a->n), 1);
	Aff lane = aff_plus(aff_c(at), o, a->chains), from = aff_plus(aff_c(a->first), o, 1);
	if (B >= 0) f_store(f, P, lane, e_load(f, 1, B, from));
	int64_t to = TAIL_LANES;
	for (const Part *p = part; p < part + n_part; p++) {
		int whole = p->n / a->chains, rest = p->n % a->chains;
		Aff w = aff_off(from, (int64_t)p->k * N);
		pack_turns(f, a, N, whole, a->chains, W, w, P, aff_off(lane, to));
		pack_turns(f, a, N, 1, rest, W, aff_off(w, (int64_t)whole * a->chains * N), P,
			   aff_off(lane, to + (int64_t)TAIL_LANES * whole));
		to += (int64_t)TAIL_LANES * turns(a, p->n);
	}
	f_end(f, 1);
}

/* ---- a tile of M rows ---- */

typedef struct {
	Fn *f;
	const Product *d;
	const Tail *a;
	int M, V;      /* rows; vectors of the sixteen lanes */
	int acc, w, x; /* [M][V], [V], one */
	Aff r;	       /* the first row */
} Tile;

static Aff row(const Tile *t, int i, int64_t stride) { return aff_plus(aff_mul(t->r, stride), i, stride); }

/* The terms of a row that lie in vector v: `have` chains of one turn, as often as there is room. */
static int terms(const Tile *t, Aff x, int v, int have)
{
	int W = t->d->t->W, chains = t->a->chains, first = v * W % chains;
	if (chains < W) return e_splat(t->f, W, e_load_n(t->f, chains, t->d->X, x, aff_c(have)));
	return e_load_n(t->f, W, t->d->X, aff_off(x, first), aff_c(have - first < 0 ? 0 : have - first));
}

/* One turn: weights at `w`, a row's terms at column `x`. */
static void turn(const Tile *t, Aff w, Aff x, int have)
{
	Fn *f = t->f;
	int W = t->d->t->W, opened = 0, same = t->a->chains <= W;
	for (int v = 0; v < t->V; v++)
		f_set(f, t->w, aff_c(v), aff_c(0), e_load(f, W, t->d->P, aff_off(w, (int64_t)v * W)));
	int i = unroll(f, "i", t->M, &opened);
	Aff at = aff_plus(aff_c(0), i, 1), from = aff_add(row(t, i, t->d->xs), x);
	for (int v = 0; v < t->V; v++) {
		if (!v || !same) f_set1(f, t->x, terms(t, from, v, have));
		f_set(f, t->acc, at, aff_c(v),
		      mad(f, t->d->t, e_reg1(f, t->x), e_reg(f, t->w, aff_c(v), aff_c(0)),
			  e_reg(f, t->acc, at, aff_c(v))));
	}
	f_end(f, opened);
}

static void all_terms(const Tile *t, int64_t at)
{
	Fn *f = t->f;
	int64_t w = at + TAIL_LANES;
	for (const Part *p = t->d->part; p < t->d->part + t->d->n_part; p++) {
		int chains = t->a->chains, whole = p->n / chains, rest = p->n % chains;
		if (whole) {
			int s = f_for(f, "s", aff_c(0), aff_c(whole), 1);
			turn(t, aff_plus(aff_c(w), s, TAIL_LANES), aff_plus(aff_c(p->x), s, chains), chains);
			f_end(f, 1);
		}
		if (rest) turn(t, aff_c(w + (int64_t)TAIL_LANES * whole), aff_c(p->x + whole * chains), rest);
		w += (int64_t)TAIL_LANES * turns(t->a, p->n);
	}
}

static int sum(const Tile *t, Aff i, int v) { return e_reg(t->f, t->acc, i, aff_c(v)); }

static void put(const Tile *t, Aff i, int v, int e) { f_set(t->f, t->acc, i, aff_c(v), e); }

/* The tree over the chains of a row: chain c + chain c + half, for ever smaller halves. */
static void tree(const Tile *t, Aff i)
{
	uint8_t pat[16];
	int W = t->d->t->W, chains = t->a->chains;
	for (int v = 0; chains > W && v < t->V; v += 2)
		put(t, i, v, e_op2(t->f, E_ADD, sum(t, i, v), sum(t, i, v + 1)));
	int step = chains > W ? 2 : 1;
	for (int half = (chains > W ? W : chains) / 2; half; half /= 2) {
		for (int l = 0; l < W; l++) pat[l] = (uint8_t)(l / chains * chains + (l + half) % chains % W);
		if (chains > W)
			for (int l = 0; l < W; l++) pat[l] = (uint8_t)((l + half) % W);
		for (int v = 0; v < t->V; v += step)
			put(t, i, v,
			    e_op2(t->f, E_ADD, sum(t, i, v), e_shuf(t->f, sum(t, i, v), sum(t, i, v), pat)));
	}
}

/* Outputs side by side: `each` to a vector, `apart` lanes from each other, in every step'th vector. */
static int gather(const Tile *t, Aff i)
{
	uint8_t pat[16] = {0};
	int W = t->d->t->W, chains = t->a->chains, step = chains > W ? chains / W : 1,
	    each = chains > W ? 1 : W / chains, apart = chains, n = t->V / step;
	for (int v = 0; step > 1 && v < n; v++) put(t, i, v, sum(t, i, v * step));
	for (; apart > 1 || (n > 1 && each < W); apart = 1) {
		for (int l = 0; l < 2 * each && l < W; l++)
			pat[l] = (uint8_t)(l < each ? l * (apart % W) : W + (l - each) * (apart % W));
		for (int v = 0; v < (n + 1) / 2; v++) {
			int b = 2 * v + 1 < n ? 2 * v + 1 : 2 * v;
			put(t, i, v, e_shuf(t->f, sum(t, i, 2 * v), sum(t, i, b), pat));
		}
		if (n > 1) each *= 2;
		n = (n + 1) / 2;
	}
	return n;
}

/* ---- sixteen lanes in one vector: the trees of several rows together ---- */

/*
 * Halves of the chains of two rows are added: then a vector holds twice as many rows with half the chains.
 * Lane (row * room + output) * chains + chain.
 */
static void pair(const Tile *t, Aff at, Aff a, Aff b, int half)
{
	uint8_t low[TAIL_LANES], high[TAIL_LANES];
	for (int l = 0; l < TAIL_LANES; l++) {
		int from = l / half * 2 * half + l % half;
		low[l] = (uint8_t)from;
		high[l] = (uint8_t)(from + half);
	}
	int x = e_shuf(t->f, sum(t, a, 0), sum(t, b, 0), low),
	    y = e_shuf(t->f, sum(t, a, 0), sum(t, b, 0), high);
	put(t, at, 0, e_op2(t->f, E_ADD, x, y));
}

/* Returns the rows of a vector; those of M lie one after the other, `room` outputs each. */
static int trees(const Tile *t)
{
	int rows = 1, n = t->M;
	for (int half = t->a->chains / 2; half; half /= 2, rows *= 2) {
		if (n == 1) {
			pair(t, aff_c(0), aff_c(0), aff_c(0), half);
			continue;
		}
		n /= 2;
		int opened = 0, i = unroll(t->f, "i", n, &opened);
		Aff two = aff_plus(aff_c(0), i, 2);
		pair(t, aff_plus(aff_c(0), i, 1), two, aff_off(two, 1), half);
		f_end(t->f, opened);
	}
	return rows;
}

/* Can the op of the store be applied to several rows at a time? */
static bool same_for_rows(const Store *s)
{
	for (int i = 0; s && i < s->n; i++)
		if (s->src[i].kind > SRC_CONST) return false;
	return true;
}

static void results_together(const Tile *t)
{
	Fn *f = t->f;
	const Product *d = t->d;
	StoreRegs regs = store_regs(f, d->store, TAIL_LANES);
	bool same = same_for_rows(d->store);
	int rows = trees(t), have = rows < t->M ? rows : t->M, room = TAIL_LANES / rows, opened = 0;
	int i = unroll(f, "i", t->M / have, &opened);
	Aff at = aff_plus(aff_c(0), i, 1);
	if (d->store && same)
		put(t, at, 0, store_expr(f, d->store, &regs, sum(t, at, 0), t->r, aff_c(0), aff_c(room)));
	/* Rows that lie as they are here. */
	if (same && !t->a->first && t->a->n == room && d->ys == room) {
		f_store_n(f, d->Y, aff_plus(aff_mul(t->r, d->ys), i, d->ys * have), sum(t, at, 0),
			  aff_c((int64_t)have * room));
		f_end(f, opened);
		return;
	}
	for (int r = 0; r < have; r++) {
		uint8_t pat[TAIL_LANES];
		for (int l = 0; l < TAIL_LANES; l++) pat[l] = (uint8_t)((l + r * room) % TAIL_LANES);
		int e = sum(t, at, 0);
		if (r) e = e_shuf(f, e, sum(t, at, 0), pat);
		Aff n = aff_off(aff_plus(aff_c(0), i, have), r), lanes = aff_c(t->a->n);
		if (d->store && !same)
			e = store_expr(f, d->store, &regs, e, aff_add(t->r, n), aff_c(t->a->first), lanes);
		f_store_n(f, d->Y, aff_off(aff_add(aff_mul(t->r, d->ys), aff_mul(n, d->ys)), t->a->first), e,
			  lanes);
	}
	f_end(f, opened);
}

static void results(const Tile *t)
{
	if (!t->d->open && t->V == 1 && t->M > 1) {
		results_together(t);
		return;
	}
	Fn *f = t->f;
	const Product *d = t->d;
	int W = d->t->W, opened = 0;
	StoreRegs regs = store_regs(f, d->store, W);
	int i = unroll(f, "i", t->M, &opened);
	Aff at = aff_plus(aff_c(0), i, 1), to = aff_off(row(t, i, d->ys), t->a->first);
	if (!d->open) tree(t, at);
	int n = d->open ? t->V : gather(t, at);
	for (int v = 0; v < n; v++) {
		Aff lanes = aff_c(d->open || t->a->n - v * W > W ? W : t->a->n - v * W);
		if (lanes.c <= 0) continue;
		int e = sum(t, at, v);
		if (d->store)
			e = store_expr(f, d->store, &regs, e, aff_plus(t->r, i, 1),
				       aff_c(t->a->first + v * W), lanes);
		f_store_n(f, d->Y, aff_off(to, (int64_t)v * W), e, lanes);
	}
	f_end(f, opened);
}

static void tile(Fn *f, const Product *d, const Tail *a, int64_t at, int r, int M)
{
	int W = d->t->W, V = TAIL_LANES / W, opened = 0;
	Tile t = {.f = f, .d = d, .a = a, .M = M, .V = V, .r = aff_v(r)};
	t.acc = f_reg(f, "acc", W, M, V);
	t.w = f_reg(f, "w", W, V, 1);
	t.x = f_reg(f, "x", W, 1, 1);
	int i = unroll(f, "i", M, &opened);
	for (int v = 0; v < V; v++) {
		Aff from = aff_off(row(&t, i, d->fs), a->first + (int64_t)v * W);
		put(&t, aff_plus(aff_c(0), i, 1), v,
		    d->from   ? e_load(f, W, d->F, from)
		    : d->bias ? e_load(f, W, d->P, aff_c(at + (int64_t)v * W))
			      : e_const(f, W, 0));
	}
	f_end(f, opened);
	all_terms(&t, at);
	results(&t);
}

/* Tall tiles, or short ones, or rows one by one; the last tile reaches back over rows that are done. */
void tail_rows(Fn *f, const Product *d, const Tail *a, int64_t at)
{
	int tall = d->t->M * d->t->J / (TAIL_LANES / d->t->W), M[] = {tall < TALL ? tall : TALL, SHORT, 1};
	Aff before = aff_c(0);
	for (int s = 0; s < 3; s++) {
		if (s == 1 && M[0] <= SHORT) continue;
		int tiles = f_div(f, "tiles", aff_v(d->n), M[s]),
		    now = f_min(f, "now", aff_v(tiles), aff_c(1));
		f_for(f, "b", before, aff_v(now), 1);
		int q = f_for(f, "q", aff_c(0), aff_v(d->n), M[s]);
		tile(f, d, a, at, f_min(f, "r", aff_v(q), aff_off(aff_v(d->n), -M[s])), M[s]);
		f_end(f, 2);
		before = aff_v(now);
	}
}
