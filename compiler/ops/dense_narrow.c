/*
 * Forward products with weights of reduced precision, in words of 32 bits (ir/loop.h).
 *
 * Pairs.  A word is two weights, of terms 2p and 2p + 1: the first rounded to bf16, the second to the nearest
 * number that has the first below it, so that both cost 16 bits and the second costs no instruction to read.
 * Pairs are by the place of a term among all of the layer's, whatever its stretch: so a weight's rounding is
 * a function of the weights alone, and every sum that of the layer with rounded weights, in the same order.
 *
 * Quads.  A word is four weights as signed bytes q, w = scale[n] q, of which scale[n] = max |w| / 127 over
 * the layer; inputs are bytes b, x = scale (b - zero), what is beyond the range of calibration at its end.
 * Sums of bytes are exact, in any order.  y = bias + scale scale[n] (sum b q - zero sum q); the sum so far of
 * a layer that is cut is the integer in the outer parenthesis.
 *
 * Packed: [bias] (quads: [scale scale[n]] [zero sum q]), each as wide as all vectors; then panels of J
 * vectors, word after word.
 */
#include "ops/dense.h"
#include "base/text.h"
#include <string.h>

enum { TALL = 8, SHORT = 4 };

typedef struct {
	int vectors, full, rest; /* of all outputs; panels of J, and the vectors of the last */
	int64_t wide;		 /* floats of a row of all vectors */
	int64_t head, turns;	 /* floats before the panels; words of a vector in each */
} Layout;

static int64_t turns_of(const Narrow *q, int n) { return (n + q->group - 1) / q->group; }

static Layout layout(const Narrow *q, const Target *t, int K, int N, const Part *part, int n_part)
{
	Layout o = {.vectors = (N + t->W - 1) / t->W};
	o.full = o.vectors / t->J;
	o.rest = o.vectors % t->J;
	/* A ragged vector is in the last panel, which has code of its own. */
	if (!o.rest && N % t->W) {
		o.full--;
		o.rest = t->J;
	}
	o.wide = (int64_t)o.vectors * t->W;
	o.head = q->group == 4 ? 3 * o.wide : o.wide;
	if (q->group == 2) o.turns = turns_of(q, K);
	for (int i = 0; q->group == 4 && i < n_part; i++) o.turns += turns_of(q, part[i].n);
	return o;
}

Narrow narrow_of(const Node *n)
{
	return (Narrow){n->attr.i == PRECISION_INT8   ? 4
			: n->attr.i == PRECISION_BF16 ? 2
						      : 0,
			n->attr.k, n->attr.k2};
}

int64_t narrow_size(const Narrow *q, const Target *t, int K, const Joint *d)
{
	Layout o = layout(q, t, K, d->total, d->part, d->n_part);
	return o.head + o.turns * o.wide;
}

const char *narrow_text(Arena *a, const Narrow *q)
{
	if (q->group != 4) return q->group == 2 ? "_bf16" : "";
	char *s = arena_printf(a, "_int8_%.9g_%.9g", q->scale, q->zero);
	for (char *c = s; *c; c++)
		if (*c == '.' || *c == '-' || *c == '+') *c = *c == '-' ? 'm' : 'p';
	return s;
}

/* ---- packing ---- */

/*
 * `w` outputs side by side, all of one vector: whose weights, from which column on, and where they go.  The
 * places are affine in the loops over whole vectors.
 */
typedef struct {
	Fn *f;
	const Narrow *q;
	int K, row;  /* rows of the weights, and numbers in one */
	int W, B, P; /* buffers */
	int w;
	int64_t wide;	 /* Layout.wide */
	Aff column, out; /* in the weights; among all outputs */
	Aff at;		 /* of the first word */
	int64_t vk;	 /* between words of one turn and the next */
	const Part *part;
	int n_part;
} Piece;

static int weight(const Piece *p, Aff k)
{
	return e_load(p->f, p->w, p->W, aff_add(aff_mul(k, p->row), p->column));
}

static void pack_pairs(const Piece *p)
{
	Fn *f = p->f;
	if (p->K > 1) {
		int i = f_for(f, "i", aff_c(0), aff_c(p->K / 2), 1);
		int even = weight(p, aff_mul(aff_v(i), 2)), odd = weight(p, aff_off(aff_mul(aff_v(i), 2), 1));
		f_store(f, p->P, aff_plus(p->at, i, p->vk), e_op2(f, E_PAIR, even, odd));
		f_end(f, 1);
	}
	if (p->K % 2)
		f_store(f, p->P, aff_off(p->at, p->K / 2 * p->vk),
			e_op2(f, E_PAIR, weight(p, aff_c(p->K - 1)), e_const(f, p->w, 0)));
}

/* max |w| / 127 of each output over all of the layer, 1 where all are 0. */
static int scale_of(const Piece *p)
{
	Fn *f = p->f;
	int most = f_reg(f, "most", p->w, 1, 1), scale = f_reg(f, "scale", p->w, 1, 1);
	f_set1(f, most, e_const(f, p->w, 0));
	int k = f_for(f, "k", aff_c(0), aff_c(p->K), 1);
	f_set1(f, most, e_op2(f, E_MAX, e_op1(f, E_ABS, weight(p, aff_v(k))), e_reg1(f, most)));
	f_end(f, 1);
	f_set1(f, scale,
	       e_op4(f, E_SELLT, e_const(f, p->w, 0), e_reg1(f, most),
		     e_op2(f, E_DIV, e_reg1(f, most), e_const(f, p->w, 127)), e_const(f, p->w, 1)));
	return scale;
}

/* Term k + b + 4 i of a part as a byte; beyond the part there is none, and no lane is touched. */
static int byte(const Piece *p, const Part *a, int scale, int i, int b)
{
	Fn *f = p->f;
	Aff k = aff_plus(aff_c(a->k + b), i, 4), left = aff_mul(aff_plus(aff_c(a->n - b), i, -4), p->w);
	int w = e_load_n(f, p->w, p->W, aff_add(aff_mul(k, p->row), p->column), left);
	return e_op1(f, E_RINT, e_op2(f, E_DIV, w, e_reg1(f, scale)));
}

static void pack_quads(const Piece *p)
{
	Fn *f = p->f;
	int scale = scale_of(p), sum = f_words(f, "sum", p->w, 1, 1), q = f_words(f, "q", p->w, 1, 1);
	int32_t zero = (int32_t)p->q->zero * 0x01010101;
	f_store(f, p->P, aff_off(p->out, p->wide),
		e_op2(f, E_MUL, e_reg1(f, scale), e_const(f, p->w, p->q->scale)));
	f_set1(f, sum, e_word(f, p->w, 0));
	Aff at = p->at;
	for (const Part *a = p->part; a < p->part + p->n_part; a++) {
		int i = f_for(f, "i", aff_c(0), aff_c(turns_of(p->q, a->n)), 1);
		int b[4];
		for (int k = 0; k < 4; k++) b[k] = byte(p, a, scale, i, k);
		f_set1(f, q, e_op4(f, E_QUAD, b[0], b[1], b[2], b[3]));
		f_store(f, p->P, aff_plus(at, i, p->vk), e_reg1(f, q));
		f_set1(f, sum, e_op3(f, E_DOT4, e_reg1(f, sum), e_word(f, p->w, zero), e_reg1(f, q)));
		f_end(f, 1);
		at = aff_off(at, turns_of(p->q, a->n) * p->vk);
	}
	f_store(f, p->P, aff_off(p->out, 2 * p->wide), e_reg1(f, sum));
}

static void pack_piece(const Piece *p)
{
	Fn *f = p->f;
	f_for(f, "o", aff_c(0), aff_c(1), 1); /* so that the registers of each piece have their own life */
	f_store(f, p->P, p->out, p->B >= 0 ? e_load(f, p->w, p->B, p->column) : e_const(f, p->w, 0));
	(p->q->group == 2 ? pack_pairs : pack_quads)(p);
	f_end(f, 1);
}

/* Outputs c .. c + n of all; c0 is the first of the layer whose weights they have. */
static void pack_outputs(const Piece *of, const Target *t, const Layout *o, int c, int n, int c0)
{
	Piece p = *of;
	Fn *f = p.f;
	int width = t->J * t->W;
	while (n > 0) {
		int panel = c / width, in = c % width, opened = 0, done;
		int64_t here = panel < o->full ? t->J : o->rest, start = o->head + panel * o->turns * width;
		int vectors = in % t->W ? 0 : (int)here - in / t->W;
		if (vectors > n / t->W) vectors = n / t->W;
		p.vk = here * t->W;
		p.column = aff_c(c - c0);
		p.out = aff_c(c);
		p.at = aff_c(start + in);
		if (vectors) {
			int panels = panel < o->full && !in && vectors == t->J ? n / width : 1;
			if (panel + panels > o->full) panels = panel < o->full ? o->full - panel : 1;
			int i = panels > 1 ? f_for(f, "p", aff_c(0), aff_c(panels), 1) : -1;
			int j = vectors > 1 ? f_for(f, "j", aff_c(0), aff_c(vectors), 1) : -1;
			opened = (i >= 0) + (j >= 0);
			p.w = t->W;
			p.column = aff_plus(aff_plus(p.column, i, width), j, t->W);
			p.out = aff_plus(aff_plus(p.out, i, width), j, t->W);
			p.at = aff_plus(aff_plus(p.at, i, o->turns * width), j, t->W);
			done = panels * vectors * t->W;
		} else {
			int room = t->W - in % t->W;
			for (p.w = t->W; p.w > n || p.w > room; p.w /= 2)
				;
			done = p.w;
		}
		pack_piece(&p);
		f_end(f, opened);
		c += done;
		n -= done;
	}
}

/* Lanes of the last vector beyond the last output. */
static void pack_nothing(Fn *f, const Target *t, const Layout *o, int N, int P)
{
	int lanes = (int)(o->wide - N);
	if (!lanes) return;
	for (int64_t row = 0; row < o->head; row += o->wide) f_zero(f, t->W, lanes, P, aff_c(row + N));
	int64_t at = o->head + o->full * o->turns * t->J * t->W, all = (int64_t)o->rest * t->W;
	int k = f_for(f, "k", aff_c(0), aff_c(o->turns), 1);
	f_zero(f, t->W, lanes, P, aff_plus(aff_c(at + all - lanes), k, all));
	f_end(f, 1);
}

void narrow_pack(Fn *f, const Target *t, const Narrow *q, int K, const Joint *d, const int *W, const int *B,
		 int P)
{
	Layout o = layout(q, t, K, d->total, d->part, d->n_part);
	Piece p = {.f = f, .q = q, .K = K, .P = P, .wide = o.wide, .part = d->part, .n_part = d->n_part};
	for (int i = 0, c0 = 0; i < d->n; c0 += d->width[i++]) {
		p.row = d->width[i];
		p.W = W[i];
		p.B = B[i];
		pack_outputs(&p, t, &o, c0, d->width[i], c0);
	}
	pack_nothing(f, t, &o, d->total, P);
}

/* ---- inputs as bytes ---- */

/* Floats that hold a row of K bytes, and the word that begins at its last. */
static int64_t bytes_stride(int K) { return (K + 6) / 4; }

/* b = x / scale + zero, to the nearest byte.  NaN gives 0. */
static Fn *bytes_kernel(Lowering *l, const Narrow *q, int K, int64_t xs)
{
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "bytes_%d_s%d%s", K, (int)xs, narrow_text(l->arena, q));
	if (!fresh) return f;
	int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
	    n = f_size(f, "n");
	int bytes = f_view(f, ELEM_I8, "b", Y, 0), W = l->t->W;
	int r = f_for(f, "r", aff_c(0), aff_v(n), 1);
	for (int at = 0; at < K;) {
		int w = W, turns;
		while (w > K - at) w /= 2;
		turns = (K - at) / w;
		int c = turns > 1 ? f_for(f, "c", aff_c(0), aff_c((int64_t)turns * w), w) : -1;
		int x = e_load(f, w, X, aff_plus(aff_off(aff_mul(aff_v(r), xs), at), c, 1));
		x = mad(f, l->t, x, e_const(f, w, 1 / q->scale), e_const(f, w, q->zero + 0.5));
		x = e_op2(f, E_MIN, e_op2(f, E_MAX, x, e_const(f, w, 0)), e_const(f, w, 255));
		f_store(f, bytes, aff_plus(aff_off(aff_mul(aff_v(r), 4 * bytes_stride(K)), at), c, 1), x);
		f_end(f, c >= 0);
		at += turns * w;
	}
	f_end(f, 1);
	return f;
}

Loc narrow_input(Lowering *l, const Narrow *q, NodeId x, Loc X, Span span)
{
	int K = (int)shape_size(l->g->node.at[x].shape);
	if (q->group != 4) return X;
	Fn *f = bytes_kernel(l, q, K, X.stride);
	for (int i = 0; i < l->made.n; i++) {
		const Made *m = &l->made.at[i];
		if (m->fn == f && m->domain == l->domain && m->now == l->now &&
		    !memcmp(&m->from, &X, sizeof X))
			return m->to;
	}
	Loc to = lo_temp(l, bytes_stride(K), l->g->node.at[x].shape);
	lo_call(l, f, 2, (Loc[]){X, to}, true, span);
	vec_push(l->arena, &l->made, ((Made){f, X, to, l->domain, l->now}));
	return to;
}

/* ---- the product ---- */

typedef struct {
	Fn *f;
	const Product *d;
	const Narrow *q;
	Layout o;
	int bytes; /* view of X */
	int acc, w, low, x;
	int M, n; /* rows, vectors */
	Aff r;	  /* the first row */
	Aff *col; /* per vector: its first output */
	Aff *at;  /* and its first word */
	int64_t *vk;
	int *lanes;
} Tile;

static Aff row_at(const Tile *t, int i, int64_t stride) { return aff_plus(aff_mul(t->r, stride), i, stride); }

/* A vector's numbers in row `row` of what precedes the panels. */
static Aff head_at(const Tile *t, int v, int row) { return aff_off(t->col[v], row * t->o.wide); }

static void starts(const Tile *t)
{
	Fn *f = t->f;
	const Product *d = t->d;
	int W = d->t->W;
	for (int v = 0; v < t->n; v++) {
		int opened = 0, i = unroll(f, "i", t->M, &opened), e;
		Aff from = aff_add(row_at(t, i, d->fs), t->col[v]);
		if (t->q->group == 4) {
			e = d->from ? e_words_n(f, W, d->F, from, aff_c(t->lanes[v])) : e_word(f, W, 0);
			e = e_op2(f, E_WSUB, e, e_words(f, W, d->P, head_at(t, v, 2)));
		} else {
			e = d->from ? e_load_n(f, W, d->F, from, aff_c(t->lanes[v]))
				    : e_load(f, W, d->P, head_at(t, v, 0));
		}
		f_set(f, t->acc, aff_plus(aff_c(0), i, 1), aff_c(v), e);
		f_end(f, opened);
	}
}

/* acc += x w of all rows and vectors; x: as it is said for row i. */
static void multiply(const Tile *t, int reg, int i, int opened)
{
	Fn *f = t->f;
	int v = unroll(f, "v", t->n, &opened);
	Aff row = aff_plus(aff_c(0), i, 1), col = aff_plus(aff_c(0), v, 1);
	int sum = e_reg(f, t->acc, row, col), x = e_reg1(f, t->x), w = e_reg(f, reg, col, aff_c(0));
	f_set(f, t->acc, row, col,
	      t->q->group == 4 ? e_op3(f, E_DOT4, sum, x, w) : mad(f, t->d->t, x, w, sum));
	f_end(f, opened);
}

/* The words of one turn. */
static void load_words(const Tile *t, Aff turn)
{
	for (int v = 0; v < t->n; v++)
		f_set(t->f, t->w, aff_c(v), aff_c(0),
		      e_words(t->f, t->d->t->W, t->d->P, aff_add(t->at[v], aff_mul(turn, t->vk[v]))));
}

/* One half of the words loaded, times column x. */
static void half(const Tile *t, ExprOp which, Aff x)
{
	Fn *f = t->f;
	int W = t->d->t->W, opened = 0, i;
	for (int v = 0; v < t->n; v++)
		f_set(f, t->low, aff_c(v), aff_c(0), e_op1(f, which, e_reg(f, t->w, aff_c(v), aff_c(0))));
	i = unroll(f, "i", t->M, &opened);
	f_set1(f, t->x, e_splat(f, W, e_load(f, 1, t->d->X, aff_add(row_at(t, i, t->d->xs), x))));
	multiply(t, t->low, i, opened);
}

/* Terms in their order; a part may begin or end within a pair. */
static void pairs(const Tile *t, const Part *p)
{
	Fn *f = t->f;
	int first = p->k % 2, whole = (p->n - first) / 2;
	if (first) {
		load_words(t, aff_c(p->k / 2));
		half(t, E_WHOLE, aff_c(p->x));
	}
	if (whole) {
		int k = f_for(f, "k", aff_c(0), aff_c(whole), 1);
		Aff x = aff_plus(aff_c(p->x + first), k, 2);
		load_words(t, aff_plus(aff_c((p->k + first) / 2), k, 1));
		half(t, E_LOW, x);
		half(t, E_WHOLE, aff_off(x, 1));
		f_end(f, 1);
	}
	if ((p->n - first) % 2) {
		load_words(t, aff_c((p->k + p->n - 1) / 2));
		half(t, E_LOW, aff_c(p->x + p->n - 1));
	}
}

static void quads(const Tile *t, const Part *p, int64_t turn)
{
	Fn *f = t->f;
	int W = t->d->t->W, opened = 0, k = f_for(f, "k", aff_c(0), aff_c(turns_of(t->q, p->n)), 1);
	load_words(t, aff_plus(aff_c(turn), k, 1));
	int i = unroll(f, "i", t->M, &opened);
	Aff x = aff_plus(aff_off(row_at(t, i, 4 * t->d->xs), p->x), k, 4);
	f_set1(f, t->x, e_splat(f, W, e_words(f, 1, t->bytes, x)));
	multiply(t, t->w, i, opened);
	f_end(f, 1);
}

static void results(const Tile *t)
{
	Fn *f = t->f;
	const Product *d = t->d;
	int W = d->t->W;
	StoreRegs regs = store_regs(f, d->store, W);
	for (int v = 0; v < t->n; v++) {
		int opened = 0, i = unroll(f, "i", t->M, &opened);
		Aff row = aff_plus(aff_c(0), i, 1), lanes = aff_c(t->lanes[v]);
		Aff to = aff_add(row_at(t, i, d->ys), t->col[v]);
		int e = e_reg(f, t->acc, row, aff_c(v));
		if (t->q->group == 4 && !d->open)
			e = mad(f, d->t, e_op1(f, E_INT, e), e_load(f, W, d->P, head_at(t, v, 1)),
				e_load(f, W, d->P, head_at(t, v, 0)));
		if (d->store) e = store_expr(f, d->store, &regs, e, aff_plus(t->r, i, 1), t->col[v], lanes);
		f_store_n(f, d->Y, to, e, lanes);
		f_end(f, opened);
	}
}

static void tile(Tile t, int r, int M)
{
	Fn *f = t.f;
	int W = t.d->t->W;
	bool q4 = t.q->group == 4;
	t.M = M;
	t.r = aff_v(r);
	t.acc = q4 ? f_words(f, "acc", W, M, t.n) : f_reg(f, "acc", W, M, t.n);
	t.w = f_words(f, "w", W, t.n, 1);
	t.low = q4 ? -1 : f_reg(f, "h", W, t.n, 1);
	t.x = q4 ? f_words(f, "x", W, 1, 1) : f_reg(f, "x", W, 1, 1);
	starts(&t);
	int64_t turn = 0;
	for (const Part *p = t.d->part; p < t.d->part + t.d->n_part; turn += turns_of(t.q, p->n), p++) {
		if (q4)
			quads(&t, p, turn);
		else
			pairs(&t, p);
	}
	results(&t);
}

/* Vectors v .. v + n; i: a loop over whole panels that starts with theirs. */
static Tile columns(const Tile *of, int v, int n, int i, int64_t panels)
{
	Tile t = *of;
	const Target *g = t.d->t;
	Arena *a = t.f->arena;
	t.n = n;
	t.col = arena_new(a, Aff, n);
	t.at = arena_new(a, Aff, n);
	t.vk = arena_new(a, int64_t, n);
	t.lanes = arena_new(a, int, n);
	for (int k = 0; k < n; k++, v++) {
		int panel = v / g->J;
		int64_t size = t.o.turns * g->J * g->W;
		t.vk[k] = (int64_t)(panel < t.o.full ? g->J : t.o.rest) * g->W;
		t.col[k] = aff_plus(aff_c((int64_t)v * g->W), i, panels * g->J * g->W);
		t.at[k] = aff_plus(aff_c(t.o.head + panel * size + (int64_t)(v - panel * g->J) * g->W), i,
				   panels * size);
		t.lanes[k] = v == t.o.vectors - 1 ? t.d->N - v * g->W : g->W;
	}
	return t;
}

/* Several rows by one panel after the other; the last tile reaches back over rows that are done. */
static void panels(const Tile *of, int M)
{
	Fn *f = of->f;
	const Target *g = of->d->t;
	for (int rest = 0; rest < 2; rest++) {
		if (rest ? !of->o.rest : !of->o.full) continue;
		int i = !rest && of->o.full > 1 ? f_for(f, "p", aff_c(0), aff_c(of->o.full), 1) : -1;
		int q = f_for(f, "q", aff_c(0), aff_v(of->d->n), M);
		tile(columns(of, rest ? of->o.full * g->J : 0, rest ? of->o.rest : g->J, i, 1),
		     f_min(f, "r", aff_v(q), aff_off(aff_v(of->d->n), -M)), M);
		f_end(f, 1 + (i >= 0));
	}
}

/* One row by so many vectors that no sum's latency stands alone. */
static void single(const Tile *of)
{
	Fn *f = of->f;
	const Target *g = of->d->t;
	int whole = of->o.full, each = g->chains / g->J, groups = whole / each, v = 0;
	if (groups) {
		int i = groups > 1 ? f_for(f, "p", aff_c(0), aff_c(groups), 1) : -1;
		int r = f_for(f, "r", aff_c(0), aff_v(of->d->n), 1);
		tile(columns(of, 0, each * g->J, i, each), r, 1);
		f_end(f, 1 + (i >= 0));
		v = groups * each * g->J;
	}
	while (v < of->o.vectors) {
		int n = of->o.vectors - v;
		if (n > g->chains) n = n / 2;
		int r = f_for(f, "r", aff_c(0), aff_v(of->d->n), 1);
		tile(columns(of, v, n, -1, 0), r, 1);
		f_end(f, 1);
		v += n;
	}
}

void narrow_rows(Fn *f, const Product *d, const Narrow *q)
{
	Tile t = {.f = f, .d = d, .q = q, .o = layout(q, d->t, d->K, d->N, d->part, d->n_part)};
	t.bytes = q->group == 4 ? f_view(f, ELEM_I8, "b", d->X, 0) : -1;
	int tall = d->t->M < TALL ? d->t->M : TALL, M[] = {tall, SHORT, 1};
	Aff before = aff_c(0);
	for (int s = 0; s < 3; s++) {
		int tiles = f_div(f, "tiles", aff_v(d->n), M[s]),
		    now = f_min(f, "now", aff_v(tiles), aff_c(1));
		f_for(f, "b", before, aff_v(now), 1);
		if (M[s] > 1)
			panels(&t, M[s]);
		else
			single(&t);
		f_end(f, 1);
		before = aff_v(now);
	}
}
