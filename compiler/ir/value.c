/*
 * Polynomials fitted by exchange for the least relative error of the whole expression; coefficients rounded
 * to float one after the other, the rest fitted again.
 *
 * Largest errors of normal results against libm in double, in units in the last place, over a million points
 * each (tests/unit/test_value.c holds them to 1.5 and 3):
 *
 *              exp   log   log1p  expm1  sigmoid  tanh  softplus  logsigmoid
 *   fma        1.37  0.82  1.45   1.42   2.43     2.49  1.73      1.73
 *   * and +    1.31  0.83  1.48   1.38   2.59     2.49  1.67      1.67
 */
#include "ir/value.h"
#include <float.h>
#include <math.h>

static const double LOG2_E = 1.44269504088896341;
/* ln 2 = hi + lo; n * hi is exact for every exponent n. */
static const double LN2_HI = 0.693359375, LN2_LO = -2.12194440054690583e-4;
static const double SQRT2 = 1.41421356237309505;

/* --- small words for writing formulas; a register's index stands for its value --- */

typedef struct {
	Fn *f;
	bool fma;
	int x, y; /* argument and result */
} Value;

static int get(Value *v, int reg) { return e_reg1(v->f, reg); }
static int num(Value *v, double k) { return e_const(v->f, 0, k); }
static int op1(Value *v, ExprOp op, int a) { return e_op1(v->f, op, a); }
static int op2(Value *v, ExprOp op, int a, int b) { return e_op2(v->f, op, a, b); }
static void set(Value *v, int reg, int e) { f_set1(v->f, reg, e); }
static int temp(Value *v, const char *name) { return f_reg(v->f, name, 0, 1, 1); }

/* a < b ? c : d */
static int sellt(Value *v, int a, int b, int c, int d) { return e_op4(v->f, E_SELLT, a, b, c, d); }

/* a*b + c, in one rounding where the machine can */
static int mad(Value *v, int a, int b, int c)
{
	return v->fma ? e_op3(v->f, E_FMA, a, b, c) : op2(v, E_ADD, op2(v, E_MUL, a, b), c);
}

/* reg = c[0] + r*(c[1] + r*(...)) */
static void horner(Value *v, int reg, int r, const double *c, int n)
{
	set(v, reg, num(v, c[n - 1]));
	for (int i = n - 2; i >= 0; i--) set(v, reg, mad(v, get(v, reg), get(v, r), num(v, c[i])));
}

static Value begin(Mod *m, const char *name, double (*judge)(double))
{
	Value v = {.f = fn_new(m, name), .fma = m->fma};
	v.f->value = true;
	v.f->judge = judge;
	v.x = temp(&v, "x");
	v.y = temp(&v, "y");
	return v;
}

/* r = x - n ln 2 */
static void reduce(Value *v, int r, int x, int n)
{
	set(v, r, mad(v, get(v, n), num(v, -LN2_HI), get(v, x)));
	set(v, r, mad(v, get(v, n), num(v, -LN2_LO), get(v, r)));
}

/* y = r + r^2 y */
static void square_tail(Value *v, int r)
{
	set(v, v->y, mad(v, op2(v, E_MUL, get(v, r), get(v, r)), get(v, v->y), get(v, r)));
}

/* --- exponentials --- */

/*
 * e^x = 2^n (1 + p), p = e^r - 1 = r + r^2 Q(r) with r in [0, ln 2): then n needs the exponents -126 .. 127
 * only.  A NaN passes through r; above the range r grows until the polynomial, all of whose coefficients are
 * positive, overflows.
 */
static void add_exp(Mod *m)
{
	static const double c[] = {0x1.00004cp-1, 0x1.554334p-3, 0x1.56df34p-5, 0x1.01da36p-7,
				   0x1.f5481ap-10};
	Value v = begin(m, "exp", exp);
	int n = temp(&v, "n"), r = temp(&v, "r");
	set(&v, n, op1(&v, E_RINT, mad(&v, get(&v, v.x), num(&v, LOG2_E), num(&v, -0.5))));
	set(&v, n, op2(&v, E_MAX, op2(&v, E_MIN, get(&v, n), num(&v, 127)), num(&v, -126)));
	reduce(&v, r, v.x, n);
	horner(&v, v.y, r, c, 5);
	square_tail(&v, r);
	set(&v, v.y, op2(&v, E_SCALB, op2(&v, E_ADD, num(&v, 1), get(&v, v.y)), get(&v, n)));
	set(&v, v.y, sellt(&v, get(&v, v.x), num(&v, -87.33654), num(&v, 0), get(&v, v.y)));
}

/* e^x - 1 = 2^n p + 2^n - 1 with p = e^r - 1 = r + r^2 Q(r); halved and doubled, since 2^128 is no float. */
static void add_expm1(Mod *m)
{
	static const double c[] = {
	    0.5, 0x1.55552cp-3, 0x1.555502p-5, 0x1.1155a8p-7, 0x1.6d2e48p-10, 0x1.3b88c2p-13,
	};
	Value v = begin(m, "expm1", expm1);
	int n = temp(&v, "n"), r = temp(&v, "r"), t = temp(&v, "t");
	set(&v, t, op2(&v, E_MAX, num(&v, -20), get(&v, v.x))); /* e^-20 - 1 is -1 in float; NaN stays */
	set(&v, n, op1(&v, E_RINT, op2(&v, E_MUL, get(&v, t), num(&v, LOG2_E))));
	set(&v, n, op2(&v, E_MIN, get(&v, n), num(&v, 128)));
	reduce(&v, r, t, n);
	horner(&v, v.y, r, c, 6);
	square_tail(&v, r);
	set(&v, t, op2(&v, E_SCALB, num(&v, 1), op2(&v, E_SUB, get(&v, n), num(&v, 1))));
	set(&v, v.y, mad(&v, get(&v, v.y), get(&v, t), op2(&v, E_SUB, get(&v, t), num(&v, 0.5))));
	set(&v, v.y, op2(&v, E_ADD, get(&v, v.y), get(&v, v.y)));
}

/* --- logarithms --- */

/* y = n ln 2 + log(1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1]: log(1 + f) = f + f^2 (-1/2 + f P(f)) */
static void log_tail(Value *v, int n, int f)
{
	static const double c[] = {
	    -0.5,	   0x1.555554p-2,  -0x1.000228p-2, 0x1.99a036p-3,  -0x1.54724ap-3,
	    0x1.22d58cp-3, -0x1.0d8290p-3, 0x1.05727cp-3,  -0x1.38d10ep-4,
	};
	horner(v, v->y, f, c, 9);
	int low = op2(v, E_MUL, get(v, n), num(v, LN2_LO));
	set(v, v->y, mad(v, op2(v, E_MUL, get(v, f), get(v, f)), get(v, v->y), low));
	set(v, v->y, mad(v, get(v, n), num(v, LN2_HI), op2(v, E_ADD, get(v, f), get(v, v->y))));
}

/* z = 2^n m, m in [sqrt(1/2), sqrt(2)): z is replaced by m.  What is no normal positive number becomes one.
 */
static void log_split(Value *v, int z, int n)
{
	set(v, z, op2(v, E_MAX, op2(v, E_MIN, get(v, z), num(v, FLT_MAX)), num(v, FLT_MIN)));
	set(v, n, op1(v, E_EXPO, get(v, z)));
	set(v, z, op1(v, E_FRAC, get(v, z)));
	set(v, n, op2(v, E_ADD, get(v, n), sellt(v, num(v, SQRT2), get(v, z), num(v, 1), num(v, 0))));
	set(v, z, sellt(v, num(v, SQRT2), get(v, z), op2(v, E_MUL, get(v, z), num(v, 0.5)), get(v, z)));
}

/* The ends: infinity stays, zero (at x = zero) gives -infinity, below is NaN. */
static void log_ends(Value *v, double zero)
{
	set(v, v->y, sellt(v, num(v, FLT_MAX), get(v, v->x), get(v, v->x), get(v, v->y)));
	int at_zero = op2(v, E_ADD, get(v, v->x), num(v, -INFINITY)); /* NaN for NaN */
	int outside = sellt(v, get(v, v->x), num(v, zero), num(v, NAN), at_zero);
	set(v, v->y, sellt(v, num(v, zero), get(v, v->x), get(v, v->y), outside));
}

static void add_log(Mod *m)
{
	Value v = begin(m, "log", log);
	int z = temp(&v, "z"), n = temp(&v, "n"), shift = temp(&v, "shift");
	/* denormals are scaled up by 2^23 */
	set(&v, shift, sellt(&v, get(&v, v.x), num(&v, FLT_MIN), num(&v, -23), num(&v, 0)));
	set(&v, z,
	    sellt(&v, get(&v, v.x), num(&v, FLT_MIN), op2(&v, E_MUL, get(&v, v.x), num(&v, 0x1p23)),
		  get(&v, v.x)));
	log_split(&v, z, n);
	set(&v, n, op2(&v, E_ADD, get(&v, n), get(&v, shift)));
	set(&v, z, op2(&v, E_SUB, get(&v, z), num(&v, 1)));
	log_tail(&v, n, z);
	log_ends(&v, 0);
}

/* u = 1 + x rounded, c = what was lost */
static void add_one(Value *v, int u, int c)
{
	set(v, u, op2(v, E_ADD, num(v, 1), get(v, v->x)));
	set(v, c, op2(v, E_SUB, get(v, v->x), op2(v, E_SUB, get(v, u), num(v, 1))));
}

/* u = 2^n m; then 1 + f = (u + c) / 2^n with f = m - 1 + c 2^-n, and f = x where n = 0. */
static void add_log1p(Mod *m)
{
	Value v = begin(m, "log1p", log1p);
	int z = temp(&v, "z"), n = temp(&v, "n"), c = temp(&v, "c");
	add_one(&v, z, c);
	log_split(&v, z, n);
	/* beyond 2^24 nothing is lost, so the clipped exponent does not matter */
	int down = op2(&v, E_MAX, op2(&v, E_SUB, num(&v, 0), get(&v, n)), num(&v, -126));
	set(&v, c, op2(&v, E_SCALB, get(&v, c), down));
	set(&v, z, op2(&v, E_ADD, op2(&v, E_SUB, get(&v, z), num(&v, 1)), get(&v, c)));
	log_tail(&v, n, z);
	log_ends(&v, -1);
}

/* log1p for x in [0, 1], where 1 + x is in [1, 2] */
static void add_log1p_unit(Mod *m)
{
	Value v = begin(m, "log1p_unit", log1p);
	int z = temp(&v, "z"), n = temp(&v, "n"), c = temp(&v, "c"), s = temp(&v, "s");
	add_one(&v, z, c);
	set(&v, n, sellt(&v, num(&v, SQRT2), get(&v, z), num(&v, 1), num(&v, 0)));
	set(&v, s, sellt(&v, num(&v, SQRT2), get(&v, z), num(&v, 0.5), num(&v, 1)));
	set(&v, z, op2(&v, E_SUB, op2(&v, E_MUL, get(&v, z), get(&v, s)), num(&v, 1)));
	set(&v, z, mad(&v, get(&v, c), get(&v, s), get(&v, z)));
	log_tail(&v, n, z);
}

/* --- what is made of them --- */

static double judge_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double judge_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double judge_logsigmoid(double x) { return fmin(x, 0) - log1p(exp(-fabs(x))); }

static int call(Value *v, const Mod *m, const char *name, int a)
{
	return e_call(v->f, value_fn(m, name), a);
}

/* k |x| */
static int times_abs(Value *v, double k) { return op2(v, E_MUL, num(v, k), op1(v, E_ABS, get(v, v->x))); }

/* z = e^-|x|: z / (1 + z) for x < 0, else 1 / (1 + z) */
static void add_sigmoid(Mod *m)
{
	Value v = begin(m, "sigmoid", judge_sigmoid);
	int z = temp(&v, "z");
	set(&v, z, call(&v, m, "exp", times_abs(&v, -1)));
	int above = sellt(&v, get(&v, v.x), num(&v, 0), get(&v, z), num(&v, 1));
	set(&v, v.y, op2(&v, E_DIV, above, op2(&v, E_ADD, num(&v, 1), get(&v, z))));
}

/* t = e^(-2|x|) - 1: tanh |x| = -t / (t + 2) */
static void add_tanh(Mod *m)
{
	Value v = begin(m, "tanh", tanh);
	int t = temp(&v, "t");
	set(&v, t, call(&v, m, "expm1", times_abs(&v, -2)));
	int above = sellt(&v, get(&v, v.x), num(&v, 0), get(&v, t), op2(&v, E_SUB, num(&v, 0), get(&v, t)));
	set(&v, v.y, op2(&v, E_DIV, above, op2(&v, E_ADD, get(&v, t), num(&v, 2))));
}

/* max(x, 0) + log(1 + e^-|x|), or min(x, 0) - the same.  A NaN comes through the logarithm. */
static void add_softplus(Mod *m, const char *name, double (*judge)(double), ExprOp end, ExprOp join)
{
	Value v = begin(m, name, judge);
	set(&v, v.y, call(&v, m, "log1p_unit", call(&v, m, "exp", times_abs(&v, -1))));
	set(&v, v.y, op2(&v, join, op2(&v, end, get(&v, v.x), num(&v, 0)), get(&v, v.y)));
}

void values_add(Mod *m)
{
	add_exp(m);
	add_expm1(m);
	add_log(m);
	add_log1p(m);
	add_log1p_unit(m);
	add_sigmoid(m);
	add_tanh(m);
	add_softplus(m, "softplus", judge_softplus, E_MAX, E_ADD);
	add_softplus(m, "logsigmoid", judge_logsigmoid, E_MIN, E_SUB);
}

int value_fn(const Mod *m, const char *name)
{
	int i = fn_find(m, name);
	return i >= 0 && m->fn.at[i]->value ? i : -1;
}
