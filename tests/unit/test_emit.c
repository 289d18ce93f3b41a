/*
 * Interpreter (in float), C through two compilers, written out or in loops, and LLVM: the same bits for every
 * operation, width and variant, with NaN, infinities, zeros of both signs and denormals among the data.
 *
 * All kernels have the parameters (in f32 X, in i32 I, inout f32 W, out f32 Y, n, k).
 */
#include "emitted.h"
#include "ir/value.h"
#include "suite.h"
#include <float.h>
#include <math.h>

enum { X_SIZE = 8192, I_SIZE = 512, W_SIZE = 8192, Y_SIZE = 32768, ROW = 64 };

typedef struct {
	Fn *f;
	int X, I, W, Y, n, k;
} Kernel;

static Kernel kernel(Mod *m, const char *name, int lanes)
{
	Kernel c = {.f = fn_new(m, lanes ? arena_printf(m->arena, "%s_%d", name, lanes) : name)};
	c.f->exported = true;
	c.X = f_buf(c.f, BUF_IN, ELEM_F32, "X", 0);
	c.I = f_buf(c.f, BUF_IN, ELEM_I32, "I", 0);
	c.W = f_buf(c.f, BUF_INOUT, ELEM_F32, "W", 0);
	c.Y = f_buf(c.f, BUF_OUT, ELEM_F32, "Y", 0);
	c.n = f_size(c.f, "n");
	c.k = f_size(c.f, "k");
	return c;
}

static int multiply_add(Mod *m, Fn *f, int a, int b, int c)
{
	return m->fma ? e_op3(f, E_FMA, a, b, c) : e_op2(f, E_ADD, e_op2(f, E_MUL, a, b), c);
}

/* --- every operation, on vectors whose last is partial --- */

static int whole(Fn *f, int lanes, int a) /* an exponent */
{
	int b = e_op1(f, E_RINT, e_op2(f, E_MUL, a, e_const(f, lanes, 8)));
	return e_op2(f, E_MAX, e_op2(f, E_MIN, b, e_const(f, lanes, 127)), e_const(f, lanes, -126));
}

static int normal(Fn *f, int lanes, int a)
{
	int b = e_op2(f, E_MIN, e_op1(f, E_ABS, a), e_const(f, lanes, FLT_MAX));
	return e_op2(f, E_MAX, b, e_const(f, lanes, FLT_MIN));
}

static int operation(Mod *m, Fn *f, ExprOp op, int L, const int *r)
{
	int a = e_reg1(f, r[0]);
	switch (op) {
	case E_FMA: return multiply_add(m, f, a, e_reg1(f, r[1]), e_reg1(f, r[2]));
	case E_SELLT: return e_op4(f, op, a, e_reg1(f, r[1]), e_reg1(f, r[2]), e_reg1(f, r[3]));
	case E_RINT:
	case E_SQRT:
	case E_ABS: return e_op1(f, op, a);
	case E_SCALB: return e_op2(f, op, a, whole(f, L, e_reg1(f, r[1])));
	case E_EXPO:
	case E_FRAC: return e_op1(f, op, normal(f, L, a));
	default: return e_op2(f, op, a, e_reg1(f, r[1]));
	}
}

static void add_operations(Mod *m, int L)
{
	static const char *const name[4] = {"a", "b", "c", "d"};
	Kernel c = kernel(m, "operations", L);
	Fn *f = c.f;
	int i = f_for(f, "i", aff_c(0), aff_v(c.n), L), r[4];
	Aff count = aff_plus(aff_v(c.n), i, -1);
	for (int q = 0; q < 4; q++) {
		r[q] = f_reg(f, name[q], L, 1, 1);
		f_set1(f, r[q], e_load_n(f, L, c.X, aff_off(aff_v(i), 997 * q), count));
	}
	for (ExprOp op = E_ADD; op <= E_FRAC; op++)
		f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * (op - E_ADD)), operation(m, f, op, L, r), count);
	f_end(f, 1);
}

/* --- counts from -2 to lanes + 2 --- */

static void add_counts(Mod *m, int L)
{
	Kernel c = kernel(m, "counts", L);
	Fn *f = c.f;
	int q = f_for(f, "q", aff_c(0), aff_c(L + 5), 1), a = f_reg(f, "a", L, 1, 1);
	Aff count = aff_off(aff_v(q), -2);
	Aff row = aff_mul(aff_v(q), ROW);
	f_set1(f, a, e_load(f, L, c.X, aff_v(q)));
	f_store(f, c.Y, row, e_load_n(f, L, c.X, aff_off(aff_v(q), 100), count));
	f_store_n(f, c.Y, aff_off(row, 16), e_reg1(f, a), count);
	f_store(f, c.Y, aff_off(row, 32), e_keep(f, e_reg1(f, a), count));
	f_store(f, c.W, row, e_load(f, L, c.I, aff_v(q)));
	f_store(f, c.W, aff_off(row, 16), e_load_n(f, L, c.I, aff_v(q), count));
	f_end(f, 1);
	f_store(f, c.Y, aff_c(4000), e_load_n(f, L, c.X, aff_c(5), aff_c(L / 2))); /* constant counts */
	f_store_n(f, c.Y, aff_c(4032), e_load(f, L, c.X, aff_c(5)), aff_c(L / 2));
	f_store_n(f, c.Y, aff_c(4064), e_load(f, L, c.X, aff_c(5)), aff_c(-1));
}

/* --- words, and bytes --- */

static int within(Fn *f, int L, int a, double least, double most)
{
	return e_op2(f, E_MAX, e_op2(f, E_MIN, a, e_const(f, L, most)), e_const(f, L, least));
}

static int byte(Fn *f, int L, int r, double least, double most)
{
	return within(f, L, e_op2(f, E_MUL, e_reg1(f, r), e_const(f, L, 90)), least, most);
}

/* What is no float must not be seen as one afterwards: the judge keeps words in their own way. */
static void wipe(Fn *f, int L, int W, int64_t at)
{
	for (int i = 0; i < 8; i++) f_store(f, W, aff_c(at + i * L), e_const(f, L, 0));
}

static void add_words(Mod *m, int L)
{
	enum { AT = 7000, BYTES = 4 * AT + 1 };
	Kernel c = kernel(m, "words", L);
	Fn *f = c.f;
	int bytes = f_view(f, ELEM_I8, "bytes", c.W, 0), halves = f_view(f, ELEM_BF16, "halves", c.W, 0);
	int i = f_for(f, "i", aff_c(0), aff_v(c.n), L), r[4], q[2], p = f_words(f, "p", L, 1, 1);
	Aff count = aff_plus(aff_v(c.n), i, -1);
	static const char *const name[4] = {"a", "b", "c", "d"};
	for (int k = 0; k < 4; k++) {
		r[k] = f_reg(f, name[k], L, 1, 1);
		f_set1(f, r[k], e_load_n(f, L, c.X, aff_off(aff_v(i), 997 * k), count));
	}
	for (int k = 0; k < 2; k++) {
		q[k] = f_words(f, "q", L, 1, 1);
		f_set1(f, q[k],
		       e_op4(f, E_QUAD, byte(f, L, r[0], -128, 255), byte(f, L, r[1], -128, 255),
			     byte(f, L, r[2 + k], -128.9, 255.9), byte(f, L, r[3 - k], -128, 127)));
	}
	f_set1(f, p,
	       e_op2(f, E_PAIR, within(f, L, e_reg1(f, r[0]), -FLT_MAX / 2, FLT_MAX / 2),
		     within(f, L, e_reg1(f, r[1]), -FLT_MAX, FLT_MAX)));
	int result[6] = {e_op1(f, E_LOW, e_reg1(f, p)), e_op1(f, E_WHOLE, e_reg1(f, p)),
			 e_op1(f, E_INT, e_reg1(f, q[0]))};
	for (int k = 0; k < 3; k++) f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * k), result[k], count);
	result[3] = e_op3(f, E_DOT4, e_word(f, L, 0x7fffffff), e_reg1(f, q[0]), e_reg1(f, q[1])); /* wraps */
	result[4] = e_op2(f, E_WSUB, e_splat(f, L, e_word(f, 1, -5)), e_reg1(f, q[1]));
	for (int k = 3; k < 5; k++)
		f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * k), e_op1(f, E_INT, result[k]), count);
	/* through memory, as words, and as bytes at odd places */
	f_store_n(f, c.W, aff_c(AT), e_reg1(f, q[0]), count);
	f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * 5),
		  e_op1(f, E_INT, e_words_n(f, L, c.W, aff_c(AT), count)), count);
	for (int k = 0; k < 8; k++)
		f_store(f, bytes, aff_c(BYTES + k * L), byte(f, L, r[k % 4], -128.5, 255.5));
	f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * 6),
		  e_op1(f, E_INT, e_words(f, L, bytes, aff_c(BYTES + 3))), count);
	f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * 7), e_load(f, L, bytes, aff_c(BYTES + 1)), count);
	/* the second byte of a bf16 below 127: no NaN, whose bits are not told apart */
	for (int k = 0; k < 2; k++)
		for (int l = 0; l < L; l++)
			f_store(f, bytes, aff_c(2 * AT + 2 * l + k),
				within(f, 1, e_lane(f, e_reg1(f, r[k]), l), 0, 126));
	f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * 8), e_load(f, L, halves, aff_c(AT)), count);
	/* the judge's numbers are eight bytes: it has bytes at half the place, and halves at a quarter */
	for (int at = AT; at >= AT / 4; at /= 2) wipe(f, L, c.W, at);
	f_end(f, 1);
}

/* --- lanes among each other, constants --- */

static void add_shuffles(Mod *m, int L)
{
	Kernel c = kernel(m, "shuffles", L);
	Fn *f = c.f;
	uint8_t back[16], weave[16];
	for (int l = 0; l < L; l++) {
		back[l] = (uint8_t)(L - 1 - l);
		weave[l] = (uint8_t)(l % 2 ? L + l / 2 : l / 2);
	}
	int r = f_reg(f, "r", L, 2, 2);
	int i = f_unroll(f, "i", 0, 2), j = f_unroll(f, "j", 0, 2);
	f_set(f, r, aff_v(i), aff_v(j), e_load(f, L, c.X, aff_plus(aff_plus(aff_c(3), i, 100), j, 50)));
	f_end(f, 2);
	Aff o = aff_c(0), one = aff_c(1);
	f_store(f, c.Y, aff_c(0), e_shuf(f, e_reg(f, r, o, o), e_reg(f, r, one, o), back));
	f_store(f, c.Y, aff_c(16), e_shuf(f, e_reg(f, r, o, one), e_reg(f, r, one, one), weave));
	f_store(f, c.Y, aff_c(32), e_splat(f, L, e_lane(f, e_reg(f, r, one, one), L - 1)));
	f_store(f, c.Y, aff_c(48), e_lane(f, e_op2(f, E_SUB, e_reg(f, r, one, o), e_reg(f, r, o, o)), L / 2));
	f_store(f, c.Y, aff_c(64), e_splat(f, L, e_load(f, 1, c.X, aff_v(c.k))));
	static const double constant[] = {0, -0.0, 0.1, -1e-40, 1e30, INFINITY, -INFINITY, NAN, 3, 1 / 3.0};
	for (int q = 0; q < 10; q++) f_store(f, c.Y, aff_c(80 + 16 * q), e_const(f, L, constant[q]));
	/* a sum over itself, (a - b) - c and a - (b - c) */
	int x[3] = {e_reg(f, r, o, o), e_reg(f, r, o, one), e_reg(f, r, one, o)};
	f_store(f, c.Y, aff_c(400), e_op2(f, E_SUB, e_op2(f, E_SUB, x[0], x[1]), x[2]));
	int y[3] = {e_reg(f, r, o, o), e_reg(f, r, o, one), e_reg(f, r, one, o)};
	f_store(f, c.Y, aff_c(416), e_op2(f, E_DIV, y[0], e_op2(f, E_DIV, y[1], y[2])));
}

/* --- index variables of all kinds, products beyond 32 bits, gathers, wild prefetches --- */

static void add_indices(Mod *m)
{
	Kernel c = kernel(m, "indices", 0);
	Fn *f = c.f;
	int far = f_let(f, "far",
			aff_off(aff_mul(aff_v(c.n), 1000000), 7)); /* n = 5e6 + .. is not needed: see huge */
	int huge = f_let(f, "huge", aff_mul(aff_v(far), 1000));
	int least = f_min(f, "least", aff_v(c.n), aff_c(9)), most = f_max(f, "most", aff_v(c.k), aff_c(4));
	int floor8 = f_floor(f, "floor8", aff_v(c.n), 8), third = f_div(f, "third", aff_v(c.n), 3);
	const int shown[] = {least, most, floor8, third};
	for (int i = 0; i < 4; i++) f_store(f, c.Y, aff_c(i), e_load(f, 1, c.X, aff_v(shown[i])));
	/* 3000 huge - 3000 huge + k, about 1e15 */
	int same = f_let(f, "same", aff_v(huge));
	Aff zero = aff_plus(aff_mul(aff_v(huge), 3000), same, -3000);
	f_store(f, c.Y, aff_add(zero, aff_c(10)), e_load(f, 1, c.X, aff_plus(zero, c.k, 1)));
	int i = f_for(f, "i", aff_c(0), aff_v(least), 1);
	f_prefetch(f, c.X, aff_v(huge));
	int id = f_load(f, "id", c.I, aff_mul(aff_v(i), 3));
	f_store(f, c.Y, aff_off(aff_mul(aff_v(i), 4), 100), e_load(f, m->W < 4 ? m->W : 4, c.X, aff_v(id)));
	f_end(f, 1);
}

/* --- registers through loops that turn or do not, nested, with steps --- */

static void add_loops(Mod *m, int L)
{
	Kernel c = kernel(m, "loops", L);
	Fn *f = c.f;
	int s = f_reg(f, "s", L, 3, 1);
	for (int i = 0; i < 3; i++) f_set(f, s, aff_c(i), aff_c(0), e_const(f, L, i));
	int a = f_for(f, "a", aff_c(0), aff_v(c.k), 2); /* k may be 0 */
	int t = f_reg(f, "t", L, 1, 1);
	f_set1(f, t, e_load(f, L, c.X, aff_mul(aff_v(a), 16)));
	int b = f_for(f, "b", aff_v(a), aff_v(c.n), 5);
	f_set(f, s, aff_c(0), aff_c(0),
	      multiply_add(m, f, e_reg1(f, t), e_load(f, L, c.X, aff_v(b)), e_reg(f, s, aff_c(0), aff_c(0))));
	f_end(f, 1);
	b = f_for(f, "b", aff_c(1), aff_c(4), 1); /* surely turns */
	f_set(f, s, aff_c(1), aff_c(0),
	      e_op2(f, E_ADD, e_reg(f, s, aff_c(1), aff_c(0)), e_load(f, L, c.X, aff_plus(aff_v(b), a, 3))));
	f_end(f, 1);
	f_set(f, s, aff_c(2), aff_c(0), e_op2(f, E_MAX, e_reg(f, s, aff_c(0), aff_c(0)), e_reg1(f, t)));
	f_end(f, 1);
	int i = f_unroll(f, "i", 0, 3);
	f_store(f, c.Y, aff_mul(aff_v(i), 16), e_reg(f, s, aff_v(i), aff_c(0)));
	int q = f_for(f, "q", aff_c(0), aff_c(3), 1); /* a loop and its registers inside an unrolled body */
	int u = f_reg(f, "u", L, 1, 1);
	f_set1(f, u, e_load(f, L, c.X, aff_plus(aff_mul(aff_v(i), 30), q, 20)));
	f_store(f, c.Y, aff_plus(aff_off(aff_mul(aff_v(i), 100), 100), q, 16), e_reg1(f, u));
	f_end(f, 2);
}

/* --- temps in the caller's workspace, calls with offsets and sizes --- */

static void add_calls(Mod *m)
{
	int L = m->W;
	Fn *f = fn_new(m, "twice"); /* not exported */
	int A = f_buf(f, BUF_IN, ELEM_F32, "A", 0), S = f_buf(f, BUF_INOUT, ELEM_F32, "S", 0);
	int B = f_buf(f, BUF_OUT, ELEM_F32, "B", 0), n = f_size(f, "n"),
	    T = f_temp(f, ELEM_F32, "T", 64, S, 32);
	int i = f_for(f, "i", aff_c(0), aff_v(n), L);
	Aff count = aff_plus(aff_v(n), i, -1);
	f_store_n(f, T, aff_v(i),
		  e_op2(f, E_ADD, e_load_n(f, L, A, aff_v(i), count), e_load_n(f, L, A, aff_v(i), count)),
		  count);
	f_end(f, 1);
	i = f_for(f, "i", aff_c(0), aff_v(n), 1);
	f_store(f, B, aff_v(i), e_load(f, 1, T, aff_v(i)));
	f_end(f, 1);

	Kernel c = kernel(m, "calls", 0);
	int U = f_temp(c.f, ELEM_F32, "U", 64, c.W, 512);
	for (int turn = 0; turn < 2; turn++) {
		f_call(c.f, fn_index(m, f));
		f_arg(c.f, turn ? U : c.X, aff_c(turn ? 0 : 40));
		f_arg(c.f, c.W, aff_c(1024));
		f_arg(c.f, turn ? c.Y : U, turn ? aff_v(c.k) : aff_c(0));
		f_arg_size(c.f, aff_c(50));
	}
}

/* --- names that mean something in C --- */

static void add_names(Mod *m)
{
	Kernel c = kernel(m, "exit", 0);
	Fn *f = c.f;
	int v = f_for(f, "int", aff_c(0), aff_c(3), 1), r = f_reg(f, "v4", 1, 1, 1),
	    q = f_reg(f, "load_v1", 1, 2, 1);
	f_set1(f, r, e_load(f, 1, c.X, aff_v(v)));
	int u = f_unroll(f, "linux", 0, 2);
	f_set(f, q, aff_v(u), aff_c(0), e_op2(f, E_ADD, e_reg1(f, r), e_const(f, 1, 2)));
	f_end(f, 1);
	f_store(f, c.Y, aff_v(v),
		e_op2(f, E_MUL, e_reg(f, q, aff_c(0), aff_c(0)), e_reg(f, q, aff_c(1), aff_c(0))));
	f_end(f, 1);
}

/* --- value functions --- */

static void add_values(Mod *m, int L)
{
	static const char *const name[] = {"exp",     "log",  "log1p",	  "expm1",
					   "sigmoid", "tanh", "softplus", "logsigmoid"};
	Kernel c = kernel(m, "values", L);
	Fn *f = c.f;
	int i = f_for(f, "i", aff_c(0), aff_v(c.n), L), x = f_reg(f, "x", L, 1, 1);
	Aff count = aff_plus(aff_v(c.n), i, -1);
	f_set1(f, x, e_load_n(f, L, c.X, aff_v(i), count));
	for (int k = 0; k < 8; k++)
		f_store_n(f, c.Y, aff_off(aff_v(i), 1024 * k), e_call(f, value_fn(m, name[k]), e_reg1(f, x)),
			  count);
	f_end(f, 1);
}

/*
 * --- a dense layer, outputs in lanes: Y[n,N] = relu(X[n,K] W + b) ---
 * Weights lie in panels of J vectors: [bias][K][J*L].  Tiles of M rows, then single rows.
 */
typedef struct {
	int K, N, M, J, L;
} Dense;

static void add_tile(Mod *m, const Kernel *c, const Dense *d, int r, int rows, int p)
{
	Fn *f = c->f;
	int width = d->J * d->L, panel = (d->K + 1) * width;
	int acc = f_reg(f, "acc", d->L, rows, d->J), w = f_reg(f, "w", d->L, d->J, 1),
	    x = f_reg(f, "x", d->L, 1, 1);
	int i = f_unroll(f, "i", 0, rows), j = f_unroll(f, "j", 0, d->J);
	f_set(f, acc, aff_v(i), aff_v(j), e_load(f, d->L, c->W, aff_plus(aff_mul(aff_v(p), panel), j, d->L)));
	f_end(f, 2);
	int k = f_for(f, "k", aff_c(0), aff_c(d->K), 1);
	j = f_unroll(f, "j", 0, d->J);
	Aff at = aff_plus(aff_plus(aff_off(aff_mul(aff_v(p), panel), width), k, width), j, d->L);
	f_set(f, w, aff_v(j), aff_c(0), e_load(f, d->L, c->W, at));
	f_end(f, 1);
	i = f_unroll(f, "i", 0, rows);
	at = aff_plus(aff_plus(aff_mul(aff_v(r), d->K), i, d->K), k, 1);
	f_set1(f, x, e_splat(f, d->L, e_load(f, 1, c->X, at)));
	j = f_unroll(f, "j", 0, d->J);
	int sum = e_reg(f, acc, aff_v(i), aff_v(j));
	f_set(f, acc, aff_v(i), aff_v(j),
	      multiply_add(m, f, e_reg1(f, x), e_reg(f, w, aff_v(j), aff_c(0)), sum));
	f_end(f, 3);
	i = f_unroll(f, "i", 0, rows);
	j = f_unroll(f, "j", 0, d->J);
	at = aff_plus(aff_plus(aff_plus(aff_mul(aff_v(r), d->N), i, d->N), p, width), j, d->L);
	Aff left = aff_off(aff_plus(aff_plus(aff_c(0), p, -width), j, -d->L), d->N);
	f_store_n(f, c->Y, at, e_op2(f, E_MAX, e_reg(f, acc, aff_v(i), aff_v(j)), e_const(f, d->L, 0)), left);
	f_end(f, 2);
}

static void add_dense(Mod *m, const char *name, const Dense *d)
{
	Kernel c = kernel(m, name, 0);
	int width = d->J * d->L, panels = (d->N + width - 1) / width;
	int whole_rows = f_floor(c.f, "nm", aff_v(c.n), d->M);
	for (int part = 0; part < 2; part++) {
		int r = part ? f_for(c.f, "r", aff_v(whole_rows), aff_v(c.n), 1)
			     : f_for(c.f, "r", aff_c(0), aff_v(whole_rows), d->M);
		int p = f_for(c.f, "p", aff_c(0), aff_c(panels), 1);
		add_tile(m, &c, d, r, part ? 1 : d->M, p);
		f_end(c.f, 2);
	}
}

/* --- running --- */

/* words: with those, which double precision has not. */
static Mod *build(Arena *a, const Variant *v, bool words)
{
	Mod *m = mod_new(a, str_create(a), v->name, v->W, v->fma);
	m->dot4 = v->more;
	values_add(m);
	for (int L = 1; L <= v->W; L *= 2) {
		add_operations(m, L);
		add_counts(m, L);
		if (words) add_words(m, L);
		add_shuffles(m, L);
		add_loops(m, L);
		add_values(m, L);
	}
	add_indices(m);
	add_calls(m);
	add_names(m);
	add_dense(m, "dense",
		  &(Dense){.K = 20, .N = 70, .M = v->W == 16 ? 8 : 2, .J = v->W == 16 ? 3 : 2, .L = v->W});
	return m;
}

typedef struct {
	float X[X_SIZE], W[W_SIZE], Y[Y_SIZE];
	int32_t I[I_SIZE];
} Data;

static uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

/* Numbers of many sizes; every eleventh is special. */
static void fill(Data *d)
{
	static const float special[] = {NAN,	INFINITY, -INFINITY, 0.0f,    -0.0f,
					1e-40f, -1e-44f,  FLT_MAX,   -FLT_MIN};
	uint32_t s = 7;
	for (int i = 0; i < X_SIZE; i++) {
		float u = (float)(next(&s) >> 8) / 8388608.0f - 1;
		d->X[i] = i % 11 == 10 ? special[i / 11 % 9] : ldexpf(u, (int)(next(&s) >> 27) - 12);
	}
	for (int i = 0; i < W_SIZE; i++) d->W[i] = (float)(next(&s) >> 8) / 8388608.0f - 1;
	for (int i = 0; i < I_SIZE; i++) d->I[i] = (int32_t)(next(&s) % 8000);
	d->I[1] = -16777217; /* is no float */
	d->I[2] = 2147483647;
	for (int i = 0; i < Y_SIZE; i++) d->Y[i] = 123;
}

static void interpret(const Mod *m, int fn, Data *d, const int64_t *size)
{
	double *x = malloc(sizeof *x * X_SIZE), *w = malloc(sizeof *w * W_SIZE),
	       *y = malloc(sizeof *y * Y_SIZE);
	char fault[512];
	for (int i = 0; i < X_SIZE; i++) x[i] = (double)d->X[i];
	for (int i = 0; i < W_SIZE; i++) w[i] = (double)d->W[i];
	for (int i = 0; i < Y_SIZE; i++) y[i] = (double)d->Y[i];
	bool ok = loop_run(m, fn, (Mem[]){{x, X_SIZE}, {d->I, I_SIZE}, {w, W_SIZE}, {y, Y_SIZE}}, size, true,
			   fault);
	if (!ok) printf("\n    %s", fault);
	CU_ASSERT(ok);
	for (int i = 0; i < W_SIZE; i++) d->W[i] = (float)w[i];
	for (int i = 0; i < Y_SIZE; i++) d->Y[i] = (float)y[i];
	free(x);
	free(w);
	free(y);
}

static int differences(const float *a, const float *b, int n, bool poison)
{
	int count = 0;
	for (int i = 0; i < n; i++) {
		bool same = !memcmp(&a[i], &b[i], 4) || (isnan(a[i]) && (isnan(b[i]) || poison));
		if (!same && !count++) printf("\n    at %d: %.9g, not %.9g", i, (double)b[i], (double)a[i]);
	}
	return count;
}

/* The judge's W has NaN where a temp was never set: there the emitted code has what it found. */
static void compare(const Mod *m, void *const *library, const char *const *how, int n_library)
{
	static const int64_t size[3][2] = {{333, 7}, {1, 0}, {6, 3}};
	Data *want = malloc(sizeof *want), *got = malloc(sizeof *got);
	for (int fn = 0; fn < m->fn.n; fn++)
		for (int z = 0; z < 3 && m->fn.at[fn]->exported; z++) {
			fill(want);
			interpret(m, fn, want, size[z]);
			for (int k = 0; k < n_library; k++) {
				Entry e = entry(library[k], m, m->fn.at[fn]->name);
				CU_ASSERT_PTR_NOT_NULL(e);
				if (!e) continue;
				fill(got);
				e((void *const[]){got->X, got->I, got->W, got->Y}, size[z]);
				int bad = differences(want->Y, got->Y, Y_SIZE, false) +
					  differences(want->W, got->W, W_SIZE, true);
				if (bad)
					printf("  %s %s %s: %d of bits", m->name, m->fn.at[fn]->name, how[k],
					       bad);
				CU_ASSERT(bad == 0);
			}
		}
	free(want);
	free(got);
}

static void test_bits(void)
{
	Workshop w = workshop_open();
	static const char *const how[] = {"gcc, loops", "gcc, expanded", "clang", "llvm"};
	for (int k = 0; k < N_VARIANTS; k++) {
		const Variant *v = &variants[k];
		if (!runs_here(v)) continue;
		Arena *a = arena_create();
		Mod *m = build(a, v, true);
		CU_ASSERT_FATAL(verified(m));
		void *library[4] = {through_c(&w, m, v, "gcc", false), through_c(&w, m, v, "gcc", true),
				    through_c(&w, m, v, have_program("clang") ? "clang" : "gcc", false),
				    through_llvm(&w, m, v)};
		if (!library[2] && !have_program("clang")) library[2] = through_c(&w, m, v, "cc", false);
		compare(m, library, how, 4);
		for (int i = 0; i < 4; i++)
			if (library[i]) dlclose(library[i]);
		arena_destroy(a);
	}
	workshop_close(&w);
}

/* In double precision the interpreter's bits are those of its judges. */
static void compare_doubles(const Mod *m, void *const *library, const char *const *how, int n_library)
{
	static const int64_t size[2] = {333, 7};
	enum { X = 0, W = X_SIZE, Y = W + W_SIZE, ALL = Y + Y_SIZE };
	Data *d = malloc(sizeof *d);
	double *want = malloc(sizeof *want * ALL), *got = malloc(sizeof *got * ALL),
	       *start = malloc(sizeof *start * ALL);
	char fault[512];
	fill(d);
	/* More digits than a float has. */
	for (int i = 0; i < ALL; i++) {
		double x = i < W ? d->X[i] : i < Y ? d->W[i - W] : d->Y[i - Y];
		start[i] = x == rint(x) ? x : x * (1 + 0x1p-40);
	}
	for (int fn = 0; fn < m->fn.n; fn++) {
		if (!m->fn.at[fn]->exported) continue;
		memcpy(want, start, sizeof *want * ALL);
		bool ok = loop_run(
		    m, fn,
		    (Mem[]){{want + X, X_SIZE}, {d->I, I_SIZE}, {want + W, W_SIZE}, {want + Y, Y_SIZE}}, size,
		    false, fault);
		if (!ok) printf("\n    %s", fault);
		CU_ASSERT(ok);
		for (int k = 0; k < n_library; k++) {
			Entry e = entry(library[k], m, m->fn.at[fn]->name);
			CU_ASSERT_PTR_NOT_NULL(e);
			if (!e) continue;
			memcpy(got, start, sizeof *got * ALL);
			e((void *const[]){got + X, d->I, got + W, got + Y}, size);
			int bad = 0;
			for (int i = W; i < ALL; i++) {
				bool nan = isnan(want[i]) && (isnan(got[i]) || i < Y);
				if (memcmp(&want[i], &got[i], sizeof *got) && !nan && !bad++)
					printf("\n    at %d: %.17g, not %.17g", i - Y, got[i], want[i]);
			}
			if (bad)
				printf("  %s %s %s: %d of bits in double precision", m->name,
				       m->fn.at[fn]->name, how[k], bad);
			CU_ASSERT(bad == 0);
		}
	}
	free(d);
	free(want);
	free(got);
	free(start);
}

static void test_doubles(void)
{
	Workshop w = workshop_open();
	static const char *const how[] = {"gcc, loops", "gcc, expanded", "llvm"};
	for (int k = 0; k < N_VARIANTS; k++) {
		const Variant *v = &variants[k];
		if (!runs_here(v) || v->more) continue;
		Arena *a = arena_create();
		Mod *m = build(a, v, false);
		m->f64 = true;
		void *library[3] = {through_c(&w, m, v, "gcc", false), through_c(&w, m, v, "gcc", true),
				    through_llvm(&w, m, v)};
		compare_doubles(m, library, how, 3);
		for (int i = 0; i < 3; i++)
			if (library[i]) dlclose(library[i]);
		arena_destroy(a);
	}
	workshop_close(&w);
}

/* The kernels above hold every expression, statement and let. */
static void test_coverage(void)
{
	Arena *a = arena_create();
	Mod *m = build(a, &variants[N_VARIANTS - 1], true);
	bool expr[E_N] = {0}, stmt[S_PREFETCH + 1] = {0}, let[LET_LOAD + 1] = {0};
	for (int i = 0; i < m->fn.n; i++) {
		const Fn *f = m->fn.at[i];
		for (int e = 1; e < f->expr.n; e++) expr[f->expr.at[e].op] = true;
		for (int s = 1; s < f->stmt.n; s++) {
			stmt[f->stmt.at[s].op] = true;
			let[f->stmt.at[s].let] = true;
		}
	}
	for (int i = 1; i < E_N; i++) CU_ASSERT(expr[i]);
	for (int i = 1; i <= S_PREFETCH; i++) CU_ASSERT(stmt[i]);
	for (int i = 0; i <= LET_LOAD; i++) CU_ASSERT(let[i]);
	arena_destroy(a);
}

static void test_other_machine(void)
{
	Workshop w = workshop_open();
	Arena *a = arena_create();
	Mod *m = build(a, &(Variant){"neon", "generic", 4, true, NULL}, true);
	CU_ASSERT(verified(m));
	EmitTarget t = {.triple = "aarch64-linux-gnu", .cpu = "generic", .features = "", .level = 1};
	Text error = {0};
	char path[96], line[256];
	snprintf(path, sizeof path, "%s/neon.s", w.dir);
	CU_ASSERT(emit_llvm(m, &t, EMIT_ASM, path, &error));
	FILE *f = fopen(path, "r");
	bool fused = false, called = false;
	while (f && fgets(line, sizeof line, f)) {
		fused |= strstr(line, "fmla") != NULL;
		called |= strstr(line, "\tfmaf") != NULL;
	}
	CU_ASSERT(fused && !called);
	if (f) fclose(f);
	text_free(&error);
	arena_destroy(a);
	workshop_close(&w);
}

static void test_errors(void)
{
	Arena *a = arena_create();
	Mod *m = mod_new(a, str_create(a), "m", 4, false);
	EmitTarget t = {.cpu = variants[0].cpu, .features = "", .level = 1};
	Text error = {0};
	CU_ASSERT(!emit_llvm(m, &t, EMIT_OBJECT, "/nowhere/x.o", &error));
	CU_ASSERT(error.n && strstr(error.at, "/nowhere/x.o") && !strchr(error.at, '\n'));
	text_free(&error);
	t.triple = "pdp11-unknown-unix";
	CU_ASSERT(!emit_llvm(m, &t, EMIT_OBJECT, "/nowhere/x.o", &error));
	CU_ASSERT(error.n && strstr(error.at, "pdp11"));
	text_free(&error);
	arena_destroy(a);
}

#ifndef NO_MAIN
int main(void)
{
	CU_pSuite s = suite_begin("emit");
	CU_add_test(s, "coverage", test_coverage);
	CU_add_test(s, "same bits", test_bits);
	CU_add_test(s, "bits in double precision", test_doubles);
	CU_add_test(s, "another machine", test_other_machine);
	CU_add_test(s, "errors", test_errors);
	return suite_end();
}
#endif
