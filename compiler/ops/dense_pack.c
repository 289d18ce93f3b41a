/*
 * Weights as the tiles read them.  Panels: [bias][K rows], J vectors wide; turned ones are for the gradient
 * by the input.  Heads: N biases in 16s, then N columns of K.
 */
#include "ops/dense.h"

Panels panels_of(const Target *t, int K, int N)
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

int64_t panels_size(const Target *t, int K, int N) { return N ? panels_of(t, K, N).size : 0; }

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

/*
 * L x L numbers: p[all * i + l] = w[row * l + i] for `have` rows, 0 beyond them.  One function for all
 * layers.
 */
static Fn *turn_kernel(Lowering *l)
{
	bool fresh;
	int L = l->t->W;
	Fn *f = lo_kernel(l, &fresh, "turn_%dx%d", L, L);
	if (!fresh) return f;
	int w = f_buf(f, BUF_IN, ELEM_F32, "w", 0), p = f_buf(f, BUF_OUT, ELEM_F32, "p", 0),
	    row = f_size(f, "row"), all = f_size(f, "all"), have = f_size(f, "have"),
	    x = f_reg(f, "x", L, L, 1);
	/* A row that does not exist has -L lanes or fewer. */
	for (int i = 0; i < L; i++)
		f_set(
		    f, x, aff_c(i), aff_c(0),
		    e_load_n(f, L, w, aff_plus(aff_c(0), row, i), aff_off(aff_mul(aff_v(have), L), -L * i)));
	x = transpose(f, L, x);
	for (int i = 0; i < L; i++)
		f_store(f, p, aff_plus(aff_c(0), all, i), e_reg(f, x, aff_c(i), aff_c(0)));
	return f;
}

/* A vector of outputs n .. n + W from W[n * K + k], block by block; the last one of k reaches back. */
static void pack_turned(Fn *f, const Target *t, int K, int N, int W, int P, Aff at, int64_t all, Aff n,
			int turn)
{
	int L = t->W, q = f_for(f, "q", aff_c(0), aff_c(K), L), k = f_min(f, "k", aff_v(q), aff_c(K - L));
	f_call(f, turn);
	f_arg(f, W, aff_add(aff_v(k), aff_mul(n, K)));
	f_arg(f, P, aff_off(aff_plus(at, k, all), all));
	f_arg_size(f, aff_c(K));
	f_arg_size(f, aff_c(all));
	f_arg_size(f, aff_add(aff_c(N), aff_mul(n, -1)));
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

static void pack_all_turned(Fn *f, const Target *t, int K, int N, int W, int P, int turn)
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
		if (K < t->W)
			pack_turned_narrow(f, t, K, N, W, P, at, all, n);
		else
			pack_turned(f, t, K, N, W, P, at, all, n, turn);
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

int64_t packed_size(const Target *t, int K, const Joint *d)
{
	int N = d->total;
	if (N < HEAD) return (N + 15) / 16 * 16 + (int64_t)N * K;
	return panels_size(t, K, N - d->tail.n) + tail_packed(&d->tail, d->part, d->n_part);
}

const char *tail_text(Lowering *l, const Joint *d)
{
	Text o = {0};
	for (int i = 0; d->tail.n && i < d->n_part; i++)
		text_printf(&o, "_%dto%d", d->part[i].k, d->part[i].k + d->part[i].n);
	const char *text = arena_strdup(l->arena, o.at ? o.at : "");
	text_free(&o);
	return text;
}

Fn *pack_kernel(Lowering *l, int K, const Joint *d, bool transposed)
{
	bool fresh;
	const Target *t = l->t;
	Text name = {0};
	/* Calls go to earlier functions. */
	int turn = transposed && K >= t->W && d->total >= HEAD ? fn_index(l->m, turn_kernel(l)) : -1;
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
		pack_all_turned(f, t, K, d->total, W[0], P, turn);
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
