/* The loop form: its dump, its names, what the verifier refuses, what the judge computes and notices. */
#include "ir/loop.h"
#include "ir/value.h"
#include "suite.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static Aff c0(int k) { return aff_c(k); }

/* --- a small dense layer with a row block: dense 3 -> 6, relu, tiles of 2 rows --- */

static int relu(Fn *f, int L, int e) { return e_op2(f, E_MAX, e, e_const(f, L, 0)); }

static int product_sum(const Mod *m, Fn *f, int a, int b, int c)
{
	return m->fma ? e_op3(f, E_FMA, a, b, c) : e_op2(f, E_ADD, e_op2(f, E_MUL, a, b), c);
}

static Fn *dense(Mod *m)
{
	Fn *f = fn_new(m, "dense");
	f->exported = true;
	f->note = "3 -> 6, relu";
	int X = f_buf(f, BUF_IN, ELEM_F32, "X", 0), P = f_buf(f, BUF_IN, ELEM_F32, "P", 32);
	int Y = f_buf(f, BUF_OUT, ELEM_F32, "Y", 0), n = f_size(f, "n");
	int r = f_for(f, "r", c0(0), aff_v(n), 2);
	int acc = f_reg(f, "acc", 4, 2, 2), w = f_reg(f, "w", 4, 2, 1);
	int i = f_unroll(f, "i", 0, 2), j = f_unroll(f, "j", 0, 2);
	f_set(f, acc, aff_v(i), aff_v(j), e_load(f, 4, P, aff_mul(aff_v(j), 4)));
	f_end(f, 2);
	int k = f_for(f, "k", c0(0), c0(3), 1);
	j = f_unroll(f, "j", 0, 2);
	f_set(f, w, aff_v(j), c0(0), e_load(f, 4, P, aff_off(aff_plus(aff_mul(aff_v(j), 4), k, 8), 8)));
	f_end(f, 1);
	i = f_unroll(f, "i", 0, 2), j = f_unroll(f, "j", 0, 2);
	int x = e_splat(f, 4, e_load(f, 1, X, aff_plus(aff_plus(aff_mul(aff_v(r), 3), i, 3), k, 1)));
	f_set(f, acc, aff_v(i), aff_v(j),
	      product_sum(m, f, x, e_reg(f, w, aff_v(j), c0(0)), e_reg(f, acc, aff_v(i), aff_v(j))));
	f_end(f, 3);
	i = f_unroll(f, "i", 0, 2);
	Aff y = aff_plus(aff_mul(aff_v(r), 6), i, 6);
	f_store(f, Y, y, relu(f, 4, e_reg(f, acc, aff_v(i), c0(0))));
	f_store_n(f, Y, aff_off(y, 4), relu(f, 4, e_reg(f, acc, aff_v(i), c0(1))), c0(2));
	f_end(f, 2);
	return f;
}

/* Rows of S by a list of ids, their sum through a temp: everything a dump can show. */
static Fn *gather(Mod *m)
{
	Fn *f = fn_new(m, "gather");
	int I = f_buf(f, BUF_IN, ELEM_I32, "I", 0), S = f_buf(f, BUF_IN, ELEM_F32, "S", 0);
	int ws = f_buf(f, BUF_INOUT, ELEM_F32, "ws", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "Y", 0);
	int n = f_size(f, "n"), T = f_temp(f, ELEM_F32, "T", 8, ws, 16);
	int even = f_floor(f, "even", aff_v(n), 2), half = f_div(f, "half", aff_v(even), 2);
	int most = f_max(f, "most", aff_v(half), c0(1)), least = f_min(f, "least", aff_v(most), c0(2));
	int s = f_reg(f, "s", 4, 1, 1);
	f_set1(f, s, e_const(f, 4, -0.5));
	int i = f_for(f, "i", c0(0), aff_v(least), 1), id = f_load(f, "id", I, aff_v(i));
	f_prefetch(f, S, aff_off(aff_mul(aff_v(id), 4), 64));
	int row = e_load_n(f, 4, S, aff_mul(aff_v(id), 4), aff_plus(aff_v(n), i, -1));
	f_set1(f, s, e_op2(f, E_SUB, e_reg1(f, s), e_op2(f, E_SUB, row, e_load(f, 4, I, c0(0)))));
	f_end(f, 1);
	f_store(f, T, c0(4), e_keep(f, e_call(f, value_fn(m, "exp"), e_reg1(f, s)), c0(3)));
	f_store(f, Y, c0(0), e_lane(f, e_op2(f, E_MUL, e_reg1(f, s), e_const(f, 4, 2)), 3));
	f_store(f, Y, c0(1), e_shuf(f, e_reg1(f, s), e_reg1(f, s), (const uint8_t[]){0, 7, 1, 6}));
	f_call(f, fn_find(m, "dense"));
	f_arg(f, S, aff_mul(aff_v(least), 3));
	f_arg(f, S, c0(0));
	f_arg(f, T, c0(0));
	f_arg_size(f, aff_off(aff_v(n), -1));
	return f;
}

static const char expected_dense[] = "entry fn dense(in f32 X, in f32 P, out f32 Y, n)  # 3 -> 6, relu\n"
				     "  for r = 0 .. n step 2\n"
				     "    reg acc[2][2] :4\n"
				     "    reg w[2] :4\n"
				     "    unroll i = 0 .. 2\n"
				     "      unroll j = 0 .. 2\n"
				     "        acc[i][j] = P[4*j :4]\n"
				     "    for k = 0 .. 3\n"
				     "      unroll j = 0 .. 2\n"
				     "        w[j] = P[4*j + 8*k + 8 :4]\n"
				     "      unroll i = 0 .. 2\n"
				     "        unroll j = 0 .. 2\n"
				     "          acc[i][j] = fma(splat(X[3*r + 3*i + k]), w[j], acc[i][j])\n"
				     "    unroll i = 0 .. 2\n"
				     "      Y[6*r + 6*i :4] = max(acc[i][0], 0)\n"
				     "      Y[6*r + 6*i + 4 :4 if <2] = max(acc[i][1], 0)\n";

static const char expected_gather[] = "fn gather(in i32 I, in f32 S, inout f32 ws, out f32 Y, n)\n"
				      "  temp f32 T[8] at ws + 16\n"
				      "  let even = floor(n, 2)\n"
				      "  let half = div(even, 2)\n"
				      "  let most = max(half, 1)\n"
				      "  let least = min(most, 2)\n"
				      "  reg s :4\n"
				      "  s = -0.5\n"
				      "  for i = 0 .. least\n"
				      "    let id = I[i]\n"
				      "    prefetch S[4*id + 64]\n"
				      "    s = s - (S[4*id :4 if <n - i] - float(I[0 :4]))\n"
				      "  T[4 :4] = keep(exp(s) if <3)\n"
				      "  Y[0] = (s * 2).3\n"
				      "  Y[1 :4] = shuf(s, s, \"ahbg\")\n"
				      "  call dense(S + 3*least, S, T, n - 1)\n";

static Mod *module(Arena *a, bool fma)
{
	Mod *m = mod_new(a, str_create(a), "m", 4, fma);
	values_add(m);
	dense(m);
	gather(m);
	return m;
}

static void test_dump(void)
{
	Arena *a = arena_create();
	Mod *m = module(a, true);
	Text t = {0};
	fn_dump(m, m->fn.at[fn_find(m, "dense")], &t);
	CU_ASSERT_STRING_EQUAL(t.at, expected_dense);
	text_free(&t);
	fn_dump(m, m->fn.at[fn_find(m, "gather")], &t);
	CU_ASSERT_STRING_EQUAL(t.at, expected_gather);
	text_free(&t);
	fn_dump(m, m->fn.at[fn_find(m, "sigmoid")], &t);
	CU_ASSERT_STRING_EQUAL(t.at, "value sigmoid(x) -> y\n"
				     "  reg y\n"
				     "  reg z\n"
				     "  z = exp(-1 * abs(x))\n"
				     "  y = sellt(x, 0, z, 1) / (1 + z)\n");
	text_free(&t);
	CU_ASSERT(mod_verify(m, &t) == 0);
	text_free(&t);
	arena_destroy(a);
}

static void test_affine(void)
{
	Aff a = aff_plus(aff_plus(c0(5), 3, 2), 4, -1); /* 2 x3 - x4 + 5 */
	CU_ASSERT(a.c == 5 && a.n == 2 && a.t[0].var == 3 && a.t[0].mul == 2 && a.t[1].mul == -1);
	a = aff_add(a, aff_mul(aff_off(aff_v(4), 3), 10)); /* 2 x3 + 9 x4 + 35 */
	CU_ASSERT(a.c == 35 && a.n == 2 && a.t[1].var == 4 && a.t[1].mul == 9);
	a = aff_plus(a, 3, -2);
	CU_ASSERT(a.n == 1 && a.t[0].var == 4); /* nothing is left of x3 */
	a = aff_plus(a, -1, 7);
	CU_ASSERT(a.n == 1 && a.c == 35);
	a = aff_mul(a, 0);
	CU_ASSERT(a.n == 0 && a.c == 0);
}

static void test_names(void)
{
	Arena *a = arena_create();
	Mod *m = mod_new(a, str_create(a), "m", 4, false);
	Fn *f = fn_new(m, "f");
	f_buf(f, BUF_IN, ELEM_F32, "user id", 0);
	f_size(f, "n");
	int outer = f_for(f, "i", c0(0), c0(2), 1), inner = f_for(f, "i", c0(0), c0(2), 1);
	int reg = f_reg(f, "n", 4, 1, 1), element = f_reg(f, "w_1", 4, 1, 1);
	f_end(f, 2);
	int again = f_for(f, "i", c0(0), c0(2), 1);
	f_end(f, 1);
	CU_ASSERT_STRING_EQUAL(f->buf.at[0].name, "user_id");
	CU_ASSERT_STRING_EQUAL(f->var.at[outer].name, "i");
	CU_ASSERT_STRING_EQUAL(f->var.at[inner].name, "i2");
	CU_ASSERT_STRING_EQUAL(f->var.at[again].name, "i"); /* the first is out of scope */
	CU_ASSERT_STRING_EQUAL(f->reg.at[reg].name, "n2");
	CU_ASSERT_STRING_EQUAL(f->reg.at[element].name, "w_1r"); /* w_1 would be w[1] written out */
	arena_destroy(a);
}

/* --- the judge --- */

/* Two rows, X = 1 2 3 / -1 0 1, panel [bias 8][3][8] with bias j and weight (k + 1)(j + 1) / 4. */
static void test_run(void)
{
	for (int fma = 0; fma < 2; fma++) {
		Arena *a = arena_create();
		Mod *m = module(a, fma);
		double X[6] = {1, 2, 3, -1, 0, 1}, P[32], Y[12];
		for (int j = 0; j < 8; j++) {
			P[j] = j;
			for (int k = 0; k < 3; k++) P[8 + 8 * k + j] = (k + 1) * (j + 1) / 4.0;
		}
		char fault[512];
		Mem b[3] = {{X, 6}, {P, 32}, {Y, 12}};
		CU_ASSERT(loop_run(m, fn_find(m, "dense"), b, (int64_t[]){2}, false, fault));
		for (int j = 0; j < 6; j++) {
			CU_ASSERT(Y[j] == j + 14 * (j + 1) / 4.0);    /* 1*1 + 2*2 + 3*3 = 14 */
			CU_ASSERT(Y[6 + j] == j + 2 * (j + 1) / 4.0); /* -1*1 + 1*3 = 2 */
		}
		b[0].n = 5; /* the last row is short */
		CU_ASSERT(!loop_run(m, fn_find(m, "dense"), b, (int64_t[]){2}, false, fault));
		CU_ASSERT_STRING_EQUAL(fault, "dense: load of X[5 .. 6), which has 5");
		arena_destroy(a);
	}
}

/* C [2, 2] of rows 3 apart += A' B, A lying as [3, 2], B [3, 2]; by hand. */
static Mod *product_module(Arena *a, Fn **out, Stmt **product)
{
	Mod *m = mod_new(a, str_create(a), "m", 4, true);
	m->blas = true;
	Fn *f = *out = fn_new(m, "f");
	int C = f_buf(f, BUF_INOUT, ELEM_F32, "C", 5), A = f_buf(f, BUF_IN, ELEM_F32, "A", 6),
	    B = f_buf(f, BUF_IN, ELEM_F32, "B", 6);
	f_product(f, PRODUCT_A_TURNED | PRODUCT_ADDS, 3, 2, 2);
	f_arg(f, C, c0(0));
	f_arg(f, A, c0(0));
	f_arg(f, B, c0(0));
	f_arg_size(f, c0(2));
	f_arg_size(f, c0(2));
	f_arg_size(f, c0(3));
	*product = &f->stmt.at[f->stmt.n - 1];
	return m;
}

static void test_product(void)
{
	Arena *a = arena_create();
	Fn *f;
	Stmt *p;
	Mod *m = product_module(a, &f, &p);
	double C[5] = {100, 200, -1, 300, 400}, A[6] = {1, 2, 3, 4, 5, 6}, B[6] = {1, 0, 0, 1, 2, 2};
	char fault[512];
	CU_ASSERT(!mod_verify(m, NULL));
	CU_ASSERT(loop_run(m, 0, (Mem[]){{C, 5}, {A, 6}, {B, 6}}, NULL, true, fault));
	/* A' = 1 3 5 / 2 4 6; A' B = 11 13 / 14 16 */
	CU_ASSERT(C[0] == 111 && C[1] == 213 && C[2] == -1 && C[3] == 314 && C[4] == 416);
	CU_ASSERT(!loop_run(m, 0, (Mem[]){{C, 4}, {A, 6}, {B, 6}}, NULL, true, fault));
	CU_ASSERT_STRING_EQUAL(fault, "f: product of C[4 .. 5), which has 4");
	Text t = {0};
	fn_dump(m, f, &t);
	CU_ASSERT(strstr(t.at, "product C[2, 2 by 3] += A[2, 3 by 2]' B[3, 2 by 2]\n") != NULL);
	text_free(&t);
	arena_destroy(a);
}

/* What is wrong with a product is told. */
static void test_product_rules(void)
{
	enum { ABSENT, NARROW, LONG, INPUT, SAME, SIZE, FEW, FORM, WRONG };
	static const char *const want[WRONG] = {
	    [ABSENT] = "f: product in a variant without it\n", [NARROW] = "f: product: rows of C overlap\n",
	    [LONG] = "f: product: C ends at 8 of 5\n",	       [INPUT] = "f: product: writes the input A\n",
	    [SAME] = "f: product: the result is a factor\n",   [SIZE] = "f: product: matrix 2 is a size\n",
	    [FEW] = "f: product of 5 arguments, not 6\n",      [FORM] = "f: product of form 13\n",
	};
	for (int i = 0; i < WRONG; i++) {
		Arena *a = arena_create();
		Fn *f;
		Stmt *p;
		Mod *m = product_module(a, &f, &p);
		for (int b = i == LONG ? 1 : 0; b < 3 && i >= LONG; b++) f->buf.at[b].size = 0;
		switch (i) {
		case ABSENT: m->blas = false; break;
		case NARROW: p->ld[0] = 1; break;
		case LONG:
			p->arg.at[3].off = c0(3);
			p->ld[1] = 3;
			break;
		case INPUT:
			p->arg.at[0].buf = 1;
			p->arg.at[1].buf = 0;
			break;
		case SAME: p->arg.at[1].buf = 0; break;
		case SIZE: p->arg.at[2].buf = -1; break;
		case FEW: p->arg.n--; break;
		case FORM: p->form |= 8; break;
		}
		Text t = {0};
		CU_ASSERT_EQUAL(mod_verify(m, &t), 1);
		CU_ASSERT_STRING_EQUAL(t.at ? t.at : "", want[i]);
		if (!t.at || strcmp(t.at, want[i])) fprintf(stderr, "%d: %s", i, t.at ? t.at : "nothing\n");
		text_free(&t);
		arena_destroy(a);
	}
}

static void test_rounding(void)
{
	Arena *a = arena_create();
	Mod *m = mod_new(a, str_create(a), "m", 1, true);
	Fn *f = fn_new(m, "f");
	int X = f_buf(f, BUF_IN, ELEM_F32, "X", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "Y", 0);
	int x = e_load(f, 1, X, c0(0)), y = e_load(f, 1, X, c0(1));
	f_store(f, Y, c0(0), e_op2(f, E_ADD, x, y));
	x = e_load(f, 1, X, c0(2)), y = e_load(f, 1, X, c0(2));
	f_store(f, Y, c0(1), e_op3(f, E_FMA, x, y, e_load(f, 1, X, c0(3))));
	f_store(f, Y, c0(2), e_op1(f, E_RINT, e_load(f, 1, X, c0(4))));
	f_store(f, Y, c0(3), e_op2(f, E_MIN, e_load(f, 1, X, c0(5)), e_load(f, 1, X, c0(0))));
	f_store(f, Y, c0(4), e_const(f, 1, 0.1));
	/* 1 + 2^-24 ties to even; (1 + 2^-23)^2 - 1 = 2^-22 + 2^-46, exact in one rounding; min(NaN, 1) is
	 * the second */
	double in[6] = {1, 0x1p-24, 1 + 0x1p-12, -1, 2.5, NAN}, out[5];
	char fault[512];
	CU_ASSERT(loop_run(m, 0, (Mem[]){{in, 6}, {out, 5}}, NULL, true, fault));
	CU_ASSERT(out[0] == 1 && out[1] == 0x1p-11 + 0x1p-24 && out[2] == 2 && out[3] == 1);
	CU_ASSERT(out[4] == (double)0.1f);
	CU_ASSERT(loop_run(m, 0, (Mem[]){{in, 6}, {out, 5}}, NULL, false, fault));
	CU_ASSERT(out[0] == 1 + 0x1p-24 && out[4] == 0.1);
	arena_destroy(a);
}

/* A temp is NaN until it is set; a value function is judged by libm in double, by its own steps in float. */
static void test_judging(void)
{
	Arena *a = arena_create();
	Mod *m = mod_new(a, str_create(a), "m", 1, true);
	values_add(m);
	Fn *f = fn_new(m, "f");
	int ws = f_buf(f, BUF_INOUT, ELEM_F32, "ws", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "Y", 0);
	int T = f_temp(f, ELEM_F32, "T", 2, ws, 0);
	f_store(f, T, c0(0), e_const(f, 1, 1));
	f_store(f, Y, c0(0), e_load(f, 1, T, c0(1)));
	f_store(f, Y, c0(1), e_call(f, value_fn(m, "exp"), e_load(f, 1, T, c0(0))));
	double w[2] = {5, 5}, out[2];
	char fault[512];
	int at = fn_index(m, f);
	CU_ASSERT(loop_run(m, at, (Mem[]){{w, 2}, {out, 2}}, NULL, false, fault));
	CU_ASSERT(isnan(out[0]) && out[1] == exp(1));
	CU_ASSERT(loop_run(m, at, (Mem[]){{w, 2}, {out, 2}}, NULL, true, fault));
	CU_ASSERT(out[1] == (double)(float)out[1] && fabs(out[1] - exp(1)) < 4e-7);
	CU_ASSERT(!loop_run(m, at, (Mem[]){{w, 1}, {out, 2}}, NULL, true, fault));
	CU_ASSERT_STRING_EQUAL(fault, "f: temp of ws[0 .. 2), which has 1");
	CU_ASSERT(value_fn(m, "f") == -1 && value_fn(m, "cosine") == -1);
	arena_destroy(a);
}

/* --- what is refused: each function breaks one rule --- */

typedef struct {
	Mod *m;
	Fn *f;
	int X, I, S, Y, n;
} Start;

static Start start(Mod *m, const char *name)
{
	Start s = {.m = m, .f = fn_new(m, name)};
	s.X = f_buf(s.f, BUF_IN, ELEM_F32, "X", 0);
	s.I = f_buf(s.f, BUF_IN, ELEM_I32, "I", 0);
	s.S = f_buf(s.f, BUF_INOUT, ELEM_F32, "S", 100);
	s.Y = f_buf(s.f, BUF_OUT, ELEM_F32, "Y", 16);
	s.n = f_size(s.f, "n");
	return s;
}

static int load(Start *s, int lanes) { return e_load(s->f, lanes, s->X, c0(0)); }

static void no_fma(Start *s)
{
	f_store(s->f, s->Y, c0(0), e_op3(s->f, E_FMA, load(s, 4), load(s, 4), load(s, 4)));
}
static void too_wide(Start *s) { f_store(s->f, s->Y, c0(0), load(s, 8)); }
static void odd_lanes(Start *s) { f_store(s->f, s->Y, c0(0), load(s, 3)); }
static void mixed_lanes(Start *s) { f_store(s->f, s->Y, c0(0), e_op2(s->f, E_ADD, load(s, 4), load(s, 2))); }
static void bad_lane(Start *s) { f_store(s->f, s->Y, c0(0), e_lane(s->f, load(s, 4), 4)); }

static void bad_shuffle(Start *s)
{
	f_store(s->f, s->Y, c0(0), e_shuf(s->f, load(s, 4), load(s, 4), (const uint8_t[]){0, 1, 2, 8}));
}

static void input_stored(Start *s) { f_store(s->f, s->X, c0(0), load(s, 4)); }
static void integers_stored(Start *s)
{
	s->f->buf.at[s->I].kind = BUF_OUT, f_store(s->f, s->I, c0(0), load(s, 4));
}
static void beyond(Start *s) { f_store(s->f, s->Y, c0(13), load(s, 4)); }
static void negative(Start *s) { f_store(s->f, s->Y, c0(0), e_load(s->f, 4, s->X, c0(-1))); }

static void loop_beyond(Start *s)
{
	int i = f_for(s->f, "i", c0(0), c0(5), 1);
	f_store(s->f, s->Y, aff_mul(aff_v(i), 4), load(s, 1)); /* Y[16] */
	f_end(s->f, 1);
}

static void clipped_loop_beyond(Start *s)
{
	int m = f_min(s->f, "m", aff_v(s->n), c0(17)), i = f_for(s->f, "i", c0(0), aff_v(m), 1);
	f_store(s->f, s->Y, aff_v(i), load(s, 1));
	f_end(s->f, 1);
}

static void unset(Start *s) { f_store(s->f, s->Y, c0(0), e_reg1(s->f, f_reg(s->f, "r", 4, 1, 1))); }

static void one_unset(Start *s)
{
	int r = f_reg(s->f, "r", 4, 3, 1), i = f_unroll(s->f, "i", 0, 2);
	f_set(s->f, r, aff_v(i), c0(0), load(s, 4));
	f_end(s->f, 1);
	i = f_unroll(s->f, "i", 1, 3);
	f_store(s->f, s->Y, aff_mul(aff_v(i), 4), e_reg(s->f, r, aff_v(i), c0(0)));
	f_end(s->f, 1);
}

static void set_in_loop(Start *s)
{
	int r = f_reg(s->f, "r", 4, 1, 1);
	f_for(s->f, "i", c0(0), aff_v(s->n), 1);
	f_set1(s->f, r, load(s, 4));
	f_end(s->f, 1);
	f_store(s->f, s->Y, c0(0), e_reg1(s->f, r));
}

static void dead_register(Start *s)
{
	f_for(s->f, "i", c0(0), c0(2), 1);
	int r = f_reg(s->f, "r", 4, 1, 1);
	f_set1(s->f, r, load(s, 4));
	f_end(s->f, 1);
	f_store(s->f, s->Y, c0(0), e_reg1(s->f, r));
}

static void looped_subscript(Start *s)
{
	int r = f_reg(s->f, "r", 4, 2, 1), i = f_for(s->f, "i", c0(0), c0(2), 1);
	f_set(s->f, r, aff_v(i), c0(0), load(s, 4));
	f_end(s->f, 1);
}

static void wide_subscript(Start *s)
{
	int r = f_reg(s->f, "r", 4, 2, 1), i = f_unroll(s->f, "i", 0, 3);
	f_set(s->f, r, aff_v(i), c0(0), load(s, 4));
	f_end(s->f, 1);
}

static void unrolled_reg(Start *s)
{
	f_unroll(s->f, "i", 0, 2);
	f_reg(s->f, "r", 4, 1, 1);
	f_end(s->f, 1);
}

static void unrolled_let(Start *s)
{
	int i = f_unroll(s->f, "i", 0, 2);
	f_let(s->f, "v", aff_v(i));
	f_end(s->f, 1);
}

static void out_of_scope(Start *s)
{
	int i = f_for(s->f, "i", c0(0), c0(2), 1);
	f_end(s->f, 1);
	f_store(s->f, s->Y, aff_v(i), load(s, 1));
}

static void long_unroll(Start *s)
{
	f_unroll(s->f, "i", 0, 300);
	f_end(s->f, 1);
}

static void left_open(Start *s) { f_for(s->f, "i", c0(0), c0(2), 1); }
static void used_twice(Start *s)
{
	int e = load(s, 4);
	f_store(s->f, s->Y, c0(0), e_op2(s->f, E_ADD, e, e));
}

static void crooked_temp(Start *s) { f_temp(s->f, ELEM_F32, "T", 8, s->S, 24); }
static void long_temp(Start *s) { f_temp(s->f, ELEM_F32, "T", 8, s->S, 96); }
static void homeless_temp(Start *s) { f_temp(s->f, ELEM_F32, "T", 8, s->X, 0); }
static void id_from_floats(Start *s) { f_load(s->f, "id", s->X, c0(0)); }

static void call_helper(Start *s, int a, int aoff, int b, int boff, int c)
{
	f_call(s->f, fn_find(s->m, "helper"));
	f_arg(s->f, a, c0(aoff));
	f_arg(s->f, b, c0(boff));
	if (c >= 0) f_arg(s->f, c, c0(0));
}

static void short_call(Start *s) { call_helper(s, s->X, 0, s->Y, 0, -1); }
static void writes_input(Start *s) { call_helper(s, s->X, 0, s->X, 4, s->S); }
static void same_twice(Start *s) { call_helper(s, s->S, 4, s->S, 4, s->Y); }
static void other_elements(Start *s) { call_helper(s, s->I, 0, s->Y, 0, s->S); }

static void temps_overlap(Start *s)
{
	int T = f_temp(s->f, ELEM_F32, "T", 20, s->S, 0), U = f_temp(s->f, ELEM_F32, "U", 20, s->S, 16);
	call_helper(s, T, 0, U, 0, s->Y);
}

static void call_later(Start *s) { f_call(s->f, fn_index(s->m, s->f)); /* itself */ }

static void memory_in_value(Start *s)
{
	Fn *v = fn_new(s->m, "v");
	v->value = true;
	f_reg(v, "x", 0, 1, 1);
	int y = f_reg(v, "y", 0, 1, 1);
	f_set1(v, y, e_splat(v, 0, e_reg1(v, 0)));
}

static int some_words(Start *s) { return e_words(s->f, 4, s->X, c0(0)); }
static void words_added(Start *s)
{
	f_store(s->f, s->Y, c0(0), e_op2(s->f, E_ADD, some_words(s), load(s, 4)));
}
static void words_of_floats(Start *s) { f_store(s->f, s->Y, c0(0), e_op1(s->f, E_INT, load(s, 4))); }
static void words_in_register(Start *s) { f_set1(s->f, f_reg(s->f, "r", 4, 1, 1), some_words(s)); }
static void floats_among_words(Start *s) { f_set1(s->f, f_words(s->f, "r", 4, 1, 1), load(s, 4)); }
static void input_seen(Start *s) { f_store(s->f, f_view(s->f, ELEM_I8, "V", s->X, 0), c0(0), load(s, 4)); }
static void view_of_integers(Start *s) { f_view(s->f, ELEM_I8, "V", s->I, 0); }
static void view_of_floats(Start *s) { f_view(s->f, ELEM_F32, "V", s->X, 0); }
static void narrow_parameter(Start *s) { s->f->buf.at[s->X].elem = ELEM_BF16; }
static void half_stored(Start *s) { f_store(s->f, f_view(s->f, ELEM_BF16, "V", s->Y, 0), c0(0), load(s, 4)); }
static void words_of_integers(Start *s) { f_store(s->f, s->Y, c0(0), e_words(s->f, 4, s->I, c0(0))); }
static void some_bytes(Start *s)
{
	int V = f_view(s->f, ELEM_I8, "V", s->X, 0);
	f_store(s->f, s->Y, c0(0), e_load_n(s->f, 4, V, c0(0), c0(2)));
}

static void value_unset(Start *s)
{
	Fn *v = fn_new(s->m, "v");
	v->value = true;
	f_reg(v, "x", 0, 1, 1);
	f_reg(v, "y", 0, 1, 1);
}

static const struct {
	void (*build)(Start *s);
	const char *fault;
} refused[] = {
    {no_fma, "fma in a variant without it"},
    {too_wide, "load has 8 lanes"},
    {odd_lanes, "load has 3 lanes"},
    {mixed_lanes, "+: an operand has 2 lanes, not 4"},
    {bad_lane, "lane 4 of 4"},
    {bad_shuffle, "shuf: lane 8 of two vectors of 4"},
    {input_stored, "store into the input X"},
    {integers_stored, "store into I"},
    {beyond, "Y[13 .. 17) of 16"},
    {negative, "X[-1]"},
    {loop_beyond, "Y[16 .. 17) of 16"},
    {clipped_loop_beyond, "Y[16 .. 17) of 16"},
    {unset, "r[0][0] is read before it is set"},
    {one_unset, "r[2][0] is read before it is set"},
    {set_in_loop, "r[0][0] is read before it is set"},
    {dead_register, "register r is not live"},
    {looped_subscript, "r: subscript i is not unrolled"},
    {wide_subscript, "r: subscript 0 .. 2 of 2"},
    {unrolled_reg, "reg directly under unroll"},
    {unrolled_let, "let directly under unroll"},
    {out_of_scope, "i is read out of its scope"},
    {long_unroll, "unroll i: more than 256 turns"},
    {left_open, "a body is left open"},
    {used_twice, "is used twice"},
    {crooked_temp, "T: at 24, not a multiple of 16"},
    {long_temp, "T: ends beyond S"},
    {homeless_temp, "T: lives in the input X"},
    {id_from_floats, "id: loaded from floats"},
    {short_call, "call of helper: 2 arguments, not 3"},
    {writes_input, "call of helper: writes the input X"},
    {same_twice, "call of helper: arguments 0 and 1 overlap"},
    {other_elements, "call of helper: I has other elements"},
    {temps_overlap, "call of helper: arguments 0 and 1 overlap"},
    {call_later, "refers to 1"},
    {memory_in_value, "splat in a value function"},
    {value_unset, "the result is not set"},
    {words_added, "+: an operand is words"},
    {words_of_floats, "int: an operand is floats"},
    {words_in_register, "r gets words"},
    {floats_among_words, "r gets floats"},
    {input_seen, "store into the input V"},
    {view_of_integers, "V: no view of I"},
    {view_of_floats, "V: no view of X"},
    {narrow_parameter, "X: narrow, and no view"},
    {half_stored, "store into V"},
    {words_of_integers, "words of I"},
    {some_bytes, "some lanes of V"},
};

static void test_refused(void)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		Arena *a = arena_create();
		Mod *m = mod_new(a, str_create(a), "m", 4, false);
		Fn *helper = fn_new(m, "helper");
		f_buf(helper, BUF_IN, ELEM_F32, "A", 0);
		f_buf(helper, BUF_OUT, ELEM_F32, "B", 0);
		f_buf(helper, BUF_INOUT, ELEM_F32, "C", 0);
		Start s = start(m, "f");
		Text t = {0};
		CU_ASSERT(mod_verify(m, NULL) == 0);
		refused[i].build(&s);
		int n = mod_verify(m, &t);
		bool told = n && strstr(t.at, refused[i].fault);
		if (!told) printf("\n    wanted '%s', got: %s", refused[i].fault, t.at ? t.at : "nothing\n");
		CU_ASSERT(told);
		text_free(&t);
		arena_destroy(a);
	}
}

/* --- wild changes: the verifier survives them all, the dump those it lets pass --- */

typedef struct {
	VEC(int *) at;
} Fields;

static void add_aff(Arena *a, Fields *v, Aff *x)
{
	vec_push(a, &v->at, &x->c);
	vec_push(a, &v->at, &x->n);
	for (int i = 0; i < 2; i++) {
		vec_push(a, &v->at, &x->t[i].var);
		vec_push(a, &v->at, &x->t[i].mul);
	}
}

static void add_fields(Arena *a, Fields *v, Fn *f)
{
	for (int i = 0; i < f->expr.n; i++) {
		Expr *x = &f->expr.at[i];
		int *own[] = {(int *)&x->op, &x->lanes, &x->a, &x->b, &x->c, &x->d, &x->ref};
		for (int k = 0; k < 7; k++) vec_push(a, &v->at, own[k]);
		add_aff(a, v, &x->ix);
		add_aff(a, v, &x->iy);
	}
	for (int i = 0; i < f->stmt.n; i++) {
		Stmt *s = &f->stmt.at[i];
		int *own[] = {(int *)&s->op, &s->next, &s->body,       &s->var,	 &s->ref,
			      &s->step,	     &s->expr, (int *)&s->let, &s->arg.n};
		for (int k = 0; k < 9; k++) vec_push(a, &v->at, own[k]);
		add_aff(a, v, &s->lo);
		add_aff(a, v, &s->hi);
		for (int k = 0; k < s->arg.n; k++) {
			vec_push(a, &v->at, &s->arg.at[k].buf);
			add_aff(a, v, &s->arg.at[k].off);
		}
	}
	for (int i = 0; i < f->reg.n; i++) {
		vec_push(a, &v->at, &f->reg.at[i].lanes);
		vec_push(a, &v->at, &f->reg.at[i].d0);
		vec_push(a, &v->at, &f->reg.at[i].d1);
	}
	for (int i = 0; i < f->buf.n; i++) {
		vec_push(a, &v->at, (int *)&f->buf.at[i].kind);
		vec_push(a, &v->at, (int *)&f->buf.at[i].elem);
		vec_push(a, &v->at, &f->buf.at[i].home);
	}
	for (int i = 0; i < f->var.n; i++) vec_push(a, &v->at, (int *)&f->var.at[i].kind);
	vec_push(a, &v->at, &f->n_param);
	vec_push(a, &v->at, &f->first);
	vec_push(a, &v->at, &f->var.n);
	vec_push(a, &v->at, &f->stmt.n);
}

static unsigned roll(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void test_wild_changes(void)
{
	static const int wild[] = {-1, 0, 1, 2, 3, 7, 17, 1000, 1 << 24, INT_MAX, INT_MIN};
	unsigned s = 3;
	int refusals = 0, turns = 3000;
	for (int i = 0; i < turns; i++) {
		Arena *a = arena_create();
		Mod *m = module(a, i % 2);
		Fields v = {0};
		add_fields(a, &v, m->fn.at[(int)roll(&s) % m->fn.n]);
		for (int k = 0; k <= i % 3; k++)
			*v.at.at[(int)roll(&s) % v.at.n] =
			    roll(&s) % 2 ? wild[roll(&s) % 11] : (int)(roll(&s) % 40);
		Text dump = {0};
		if (mod_verify(m, NULL))
			refusals++;
		else
			mod_dump(m, &dump);
		text_free(&dump);
		arena_destroy(a);
	}
	printf("\n    %d of %d refused", refusals, turns);
	CU_ASSERT(refusals > turns / 3);
}

/* --- small changes: the verifier or the judge notices most --- */

static const double *run_dense(Mod *m, double *Y, char *fault)
{
	double X[12], P[32];
	for (int i = 0; i < 12; i++) X[i] = sin(i * 1.3 + 1);
	for (int i = 0; i < 32; i++) P[i] = cos(i * 0.7);
	memset(Y, 0, 24 * sizeof *Y);
	return loop_run(m, fn_find(m, "dense"), (Mem[]){{X, 12}, {P, 32}, {Y, 24}}, (int64_t[]){4}, false,
			fault)
		   ? Y
		   : NULL;
}

static bool change(Fn *f, unsigned *s)
{
	Stmt *t = &f->stmt.at[1 + (int)roll(s) % (f->stmt.n - 1)];
	Expr *e = &f->expr.at[1 + (int)roll(s) % (f->expr.n - 1)];
	int by = roll(s) % 2 ? 1 : -1;
	bool loop = t->op == S_FOR || t->op == S_UNROLL;
	switch (roll(s) % 6) {
	case 0: return loop && (t->hi.c += by, true);
	case 1: return loop && (t->step += 1, true);
	case 2: return e->op == E_LOAD && (e->ix.c += by, true);
	case 3: return e->op == E_LOAD && e->ix.n && (e->ix.t[roll(s) % (unsigned)e->ix.n].mul += by, true);
	case 4: return t->op == S_STORE && (t->lo.c += by, true);
	default: return e->op == E_REG && e->ix.n && (e->ix.c += by, true);
	}
}

static void test_small_changes(void)
{
	unsigned s = 5;
	int by_verifier = 0, by_judge = 0, by_nobody = 0;
	double want[24], got[24];
	char fault[512];
	for (int i = 0; i < 400;) {
		Arena *a = arena_create();
		Mod *m = module(a, true);
		CU_ASSERT(run_dense(m, want, fault) != NULL);
		if (change(m->fn.at[fn_find(m, "dense")], &s)) {
			i++;
			if (mod_verify(m, NULL))
				by_verifier++;
			else if (!run_dense(m, got, fault) || memcmp(want, got, sizeof want))
				by_judge++;
			else
				by_nobody++;
		}
		arena_destroy(a);
	}
	printf("\n    400 changes: %d refused, %d noticed by the judge, %d by nobody", by_verifier, by_judge,
	       by_nobody);
	CU_ASSERT(by_nobody <= 20);
}

/* A function twice is one to an emitter, whatever it is called; after any small change it is two. */
static void test_same(void)
{
	unsigned s = 7;
	for (int i = 0; i < 400;) {
		Arena *a = arena_create();
		Mod *m = module(a, true);
		int first = fn_find(m, "dense");
		m->fn.at[first]->name = str_intern(m->str, "twin");
		Fn *f = dense(m);
		f->exported = false;
		CU_ASSERT_EQUAL(mod_same(a, m)[fn_index(m, f)], first);
		if (change(f, &s)) {
			i++;
			CU_ASSERT_EQUAL(mod_same(a, m)[fn_index(m, f)], fn_index(m, f));
		}
		arena_destroy(a);
	}
	/* Calls are told apart by what is called, values by their bits. */
	Arena *a = arena_create();
	Mod *m = mod_new(a, str_create(a), "m", 4, true);
	int zero[4], caller[4];
	for (int i = 0; i < 4; i++) {
		Fn *f = fn_new(m, arena_printf(a, "zero%d", i));
		int y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		f_store(f, y, c0(0), e_const(f, 4, i == 3 ? -0.0 : 0.0));
		zero[i] = fn_index(m, f);
	}
	for (int i = 0; i < 4; i++) {
		Fn *f = fn_new(m, arena_printf(a, "caller%d", i));
		int y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		f_call(f, zero[i]);
		f_arg(f, y, c0(i == 2 ? 4 : 0));
		caller[i] = fn_index(m, f);
	}
	const int *same = mod_same(a, m);
	CU_ASSERT_EQUAL(same[zero[1]], zero[0]);
	CU_ASSERT_EQUAL(same[zero[3]], zero[3]);
	CU_ASSERT_EQUAL(same[caller[1]], caller[0]); /* of functions that are the same */
	CU_ASSERT_EQUAL(same[caller[2]], caller[2]); /* at another place */
	CU_ASSERT_EQUAL(same[caller[3]], caller[3]); /* of another function */
	arena_destroy(a);
}

int main(void)
{
	CU_pSuite s = suite_begin("loop");
	CU_add_test(s, "dump", test_dump);
	CU_add_test(s, "affine", test_affine);
	CU_add_test(s, "names", test_names);
	CU_add_test(s, "run", test_run);
	CU_add_test(s, "a product of matrices", test_product);
	CU_add_test(s, "what a product may not be", test_product_rules);
	CU_add_test(s, "rounding", test_rounding);
	CU_add_test(s, "judging", test_judging);
	CU_add_test(s, "what is refused", test_refused);
	CU_add_test(s, "wild changes", test_wild_changes);
	CU_add_test(s, "small changes", test_small_changes);
	CU_add_test(s, "functions of the same loops", test_same);
	return suite_end();
}
