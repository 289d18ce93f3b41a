/*
 * Probability chains against numbers worked out with 60 digits: logits, losses and gradients of AND, of
 * ESM2's AND(a, MIX(w, p, q)) and of the symmetric divergence, and what must hold for any logits.
 *
 * The float interpreter stands for the kernels: test_emit and test_ops hold both printers to its bits.
 */
#include "ir/op.h"
#include "ir/value.h"
#include "suite.h"
#include <math.h>
#include <string.h>

typedef struct {
	Arena *arena;
	StrTab *str;
	Mod *mod;
	int fn[OP_N];
} Ops;

static Ops ops;

/* One op as a function of numbers: y[0] = op(x[0], x[1], ...). */
static void add_op(OpCode op)
{
	Fn *f = fn_new(ops.mod, op_table[op]->word);
	int x[4], n = op_table[op]->n_in;
	int in = f_buf(f, BUF_IN, ELEM_F32, "x", 4), out = f_buf(f, BUF_OUT, ELEM_F32, "y", 1);
	for (int i = 0; i < n; i++) {
		x[i] = f_reg(f, "x", 1, 1, 1);
		f_set1(f, x[i], e_load(f, 1, in, aff_c(i)));
	}
	Each each = {.m = ops.mod, .f = f, .lanes = 1};
	Attr attr = {0};
	f_store(f, out, aff_c(0), op_table[op]->each(&each, &attr, x));
	ops.fn[op] = fn_index(ops.mod, f);
}

static int begin(void)
{
	static const OpCode all[] = {OP_NEG,	 OP_LAND, OP_LAND_DA, OP_LMIX,	OP_LMIX_DP, OP_LMIX_DQ,
				     OP_LMIX_DW, OP_BCE,  OP_BCE_DZ,  OP_SYMKL, OP_SYMKL_DP};
	ops.arena = arena_create();
	ops.str = str_create(ops.arena);
	ops.mod = mod_new(ops.arena, ops.str, "ops", 1, true);
	values_add(ops.mod);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) add_op(all[i]);
	Text faults = {0};
	int bad = mod_verify(ops.mod, &faults);
	text_free(&faults);
	return bad;
}

static int end(void)
{
	arena_destroy(ops.arena);
	return 0;
}

static double run(OpCode op, double a, double b, double c)
{
	double x[4] = {(float)a, (float)b, (float)c, 0}, y[1] = {NAN};
	char fault[512] = "";
	Mem mem[2] = {{x, 4}, {y, 1}};
	if (!loop_run(ops.mod, ops.fn[op], mem, NULL, true, fault)) {
		fprintf(stderr, "%s\n", fault);
		CU_FAIL("a fault");
	}
	return y[0];
}

static double land(double a, double b) { return run(OP_LAND, a, b, 0); }
static double land_da(double a, double b) { return run(OP_LAND_DA, a, b, 0); }
static double mix(double w, double p, double q) { return run(OP_LMIX, w, p, q); }
static double bce(double z, double y) { return run(OP_BCE, z, y, 0); }
static double bce_dz(double z, double y) { return run(OP_BCE_DZ, z, y, 0); }
static float times(double a, double b) { return (float)a * (float)b; }

/* A logit is good to a few roundings of its size. */
static void logit_near(double got, double want)
{
	if (!(fabs(got - want) <= 4e-7 * fmax(1, fabs(want)))) {
		fprintf(stderr, "logit %.9g, not %.9g\n", got, want);
		CU_FAIL("a logit is off");
	}
}

/* e^-|z| has the logit's error times |z|; what is no normal float is exempt. */
static void near(double got, double want, double range)
{
	if (fabs(want) < 1.2e-38 && fabs(got) < 1.2e-38) return;
	if (!(fabs(got - want) <= (1e-6 + 3e-7 * range) * fabs(want) + 1.2e-38)) {
		fprintf(stderr, "%.9g, not %.9g (logits up to %g)\n", got, want, range);
		CU_FAIL("a loss or gradient is off");
	}
}

static void test_and(void)
{
	static const struct {
		double a, b, z, log_p, log_not, a1, b1, a0, b0;
	} golden[] = {
	    {0, 0, -1.09861229, -1.38629436, -0.287682072, -0.5, -0.5, 0.166666667, 0.166666667},
	    {-2, 1, -2.34901222, -2.4401897, -0.0911774818, -0.880797078, -0.268941421, 0.0840838951,
	     0.0256740659},
	    {-5, -5, -10.0133859, -10.0134307, -4.47952568e-5, -0.993307149, -0.993307149, 4.44964454e-5,
	     4.44964454e-5},
	    {-20, -20, -40.0, -40.0, -4.24835424e-18, -0.999999998, -0.999999998, 4.24835423e-18,
	     4.24835423e-18},
	    {-40, -40, -80.0, -80.0, -1.80485139e-35, -1, -1, 1.80485139e-35, 1.80485139e-35},
	    {20, 20, 19.3068528, -4.12230724e-9, -19.3068528, -2.06115362e-9, -2.06115362e-9, 0.499999998,
	     0.499999998},
	    {40, 40, 39.3068528, -8.49670851e-18, -39.3068528, -4.24835426e-18, -4.24835426e-18, 0.5, 0.5},
	    {20, -20, -20.0, -20.0, -2.06115362e-9, -2.06115362e-9, -0.999999998, 4.24835424e-18,
	     2.06115361e-9},
	    {-3, -40, -43.0485874, -43.0485874, -2.0148191e-19, -0.952574127, -1.0, 1.91926455e-19,
	     2.0148191e-19},
	    {100, 100, 99.3068528, -7.44015195e-44, -99.3068528, -3.72007598e-44, -3.72007598e-44, 0.5, 0.5},
	};
	for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
		double a = golden[i].a, b = golden[i].b, r = fmax(fabs(a), fabs(b)), z = land(a, b);
		logit_near(z, golden[i].z);
		near(bce(z, 1), -golden[i].log_p, r);
		near(bce(z, 0), -golden[i].log_not, r);
		near(times(bce_dz(z, 1), land_da(a, b)), golden[i].a1, r);
		near(times(bce_dz(z, 1), land_da(b, a)), golden[i].b1, r);
		near(times(bce_dz(z, 0), land_da(a, b)), golden[i].a0, r);
		near(times(bce_dz(z, 0), land_da(b, a)), golden[i].b0, r);
	}
}

static void test_esm2(void)
{
	static const struct {
		double x[4], z, loss[2], g1[4], g0[4];
	} golden[] = {
	    {{0, 0, 0, 0},
	     -1.09861229,
	     {1.38629436, 0.287682072},
	     {-.5, 0, -.25, -.25},
	     {.166666667, 0, .0833333333, .0833333333}},
	    {{-3, -2, -1, -4},
	     -6.08493601,
	     {6.08721033, 2.27432179e-3},
	     {-.952574127, -.550067744, -.489276061, -.324780767},
	     {2.16892557e-3, 1.25245476e-3, 1.11403757e-3, 7.39496583e-4}},
	    {{-4, -2.5, 1, -6},
	     -6.86888428,
	     {6.86992338, 1.03909631e-3},
	     {-.98201379, -.884568177, -.25829843, -.0394757921},
	     {1.02093724e-3, 9.19629238e-4, 2.68536439e-4, 4.10404687e-5}},
	    {{-20, -20, -20, -20},
	     -40.0,
	     {40.0, 4.24835424e-18},
	     {-.999999998, 0, -2.06115361e-9, -.999999996},
	     {4.24835423e-18, 0, 8.75651069e-27, 4.24835422e-18}},
	    {{20, 20, 20, -20},
	     18.9013877,
	     {6.18346086e-9, 18.9013877},
	     {-2.06115362e-9, -2.06115361e-9, -2.06115362e-9, -4.24835425e-18},
	     {.333333332, .333333332, .333333332, 6.87051205e-10}},
	    {{20, -20, 20, -20},
	     -19.3068528,
	     {19.3068528, 4.12230723e-9},
	     {-2.06115362e-9, -.499999998, -1.03057681e-9, -.499999999},
	     {8.49670848e-18, 2.06115361e-9, 4.24835424e-18, 2.06115361e-9}},
	    {{40, 40, 40, 40},
	     39.3068528,
	     {8.49670851e-18, 39.3068528},
	     {-4.24835426e-18, 0, -4.24835426e-18, -1.80485139e-35},
	     {.5, 0, .5, 2.12417713e-18}},
	    {{-5, 3, -30, -30.5},
	     -35.0255523,
	     {35.0255523, 6.14604759e-16},
	     {-.993307149, -.0181136424, -.970687769, -.0293122308},
	     {6.104913e-16, 1.11327308e-17, 5.96589322e-16, 1.80154365e-17}},
	};
	static const OpCode part[] = {OP_LMIX_DW, OP_LMIX_DP, OP_LMIX_DQ};
	for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
		const double *x = golden[i].x;
		double r = 0, m = mix(x[1], x[2], x[3]), z = land(x[0], m);
		for (int k = 0; k < 4; k++) r = fmax(r, fabs(x[k]));
		logit_near(z, golden[i].z);
		for (int y = 0; y < 2; y++) {
			const double *g = y ? golden[i].g1 : golden[i].g0;
			near(bce(z, y), golden[i].loss[!y], r);
			near(times(bce_dz(z, y), land_da(x[0], m)), g[0], r);
			for (int k = 0; k < 3; k++)
				near(times(times(bce_dz(z, y), land_da(m, x[0])),
					   run(part[k], x[1], x[2], x[3])),
				     g[k + 1], r);
		}
	}
}

static void test_symmetric_divergence(void)
{
	static const double golden[][5] = {
	    {0, 1, .231058579, -.481058579, .427670512},
	    {-5, -4, .011293359, -.0179414157, .0289560653},
	    {-20, -10, 4.53958075e-4, -4.54164191e-5, 4.99353885e-4},
	    {-8, -8.5, 6.59615762e-5, 2.99541988e-4, -2.3361595e-4},
	};
	for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
		const double *g = golden[i];
		double r = fmax(fabs(g[0]), fabs(g[1]));
		near(run(OP_SYMKL, g[0], g[1], 0), g[2], r);
		near(run(OP_SYMKL_DP, g[0], g[1], 0), g[3], r);
		near(run(OP_SYMKL_DP, g[1], g[0], 0), g[4], r);
	}
}

static double uniform(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (double)(*s >> 11) * 0x1p-53;
}

/* No leaf gradient beyond 1, no NaN, whatever the logits; symmetric where it must be, to the bit. */
static void test_any_logits(void)
{
	static const double special[] = {0, 1, -1, 20, -20, 88, -88, 104, -104, 300, -300};
	uint64_t seed = 1;
	double worst = 0;
	for (int i = 0; i < 4000; i++) {
		double x[4];
		for (int k = 0; k < 4; k++)
			x[k] =
			    i % 3 ? (float)(600 * uniform(&seed) - 300) : special[(int)(uniform(&seed) * 11)];
		double m = mix(x[1], x[2], x[3]), z = land(x[0], m);
		double g[4] = {land_da(x[0], m), land_da(m, x[0]) * run(OP_LMIX_DW, x[1], x[2], x[3]),
			       land_da(m, x[0]) * run(OP_LMIX_DP, x[1], x[2], x[3]),
			       land_da(m, x[0]) * run(OP_LMIX_DQ, x[1], x[2], x[3])};
		CU_ASSERT(isfinite(z));
		for (int y = 0; y < 2; y++) {
			CU_ASSERT(isfinite(bce(z, y)) && bce(z, y) >= 0);
			for (int k = 0; k < 4; k++)
				worst = fmax(worst, isnan(g[k]) ? INFINITY : fabs(g[k] * bce_dz(z, y)));
		}
		CU_ASSERT_EQUAL(land(x[0], x[1]), land(x[1], x[0]));
		CU_ASSERT_EQUAL(run(OP_NEG, run(OP_NEG, x[0], 0, 0), 0, 0), x[0]);
		double u = 5.96e-8, same = mix(x[0], x[1], x[1]);
		CU_ASSERT(fabs(same - x[1]) <= 6 * u * fmax(1, fmax(fabs(x[0]), fabs(x[1]))));
		double left = land(land(x[0], x[1]), x[2]), right = land(x[0], land(x[1], x[2]));
		CU_ASSERT(fabs(left - right) <= 8 * u * fmax(1, fabs(left)));
	}
	CU_ASSERT(worst <= 1 + 1e-5);
}

/* Random logits against the same formulas in double, with libm's functions. */
static void test_sweep(void)
{
	static const double range[] = {5, 20, 40, 85};
	uint64_t seed = 7;
	for (size_t k = 0; k < 4; k++)
		for (int i = 0; i < 1500; i++) {
			double r = range[k], a = (float)(r * (2 * uniform(&seed) - 1)),
			       b = (float)(r * (2 * uniform(&seed) - 1));
			/* -log(e^-a + e^-b + e^-(a+b)); 1 - p = (e^-a + e^-b + e^-(a+b)) p */
			long double s =
			    expl(-(long double)a) + expl(-(long double)b) + expl(-(long double)a - b);
			logit_near(land(a, b), (double)-logl(s));
			near(bce(land(a, b), 1), (double)log1pl(s), r);
			near(bce(land(a, b), 0), (double)log1pl(1 / s), r);
		}
}

int main(void)
{
	CU_pSuite s = suite_between("probability", begin, end);
	CU_add_test(s, "AND, worked out", test_and);
	CU_add_test(s, "ESM2, worked out", test_esm2);
	CU_add_test(s, "symmetric divergence, worked out", test_symmetric_divergence);
	CU_add_test(s, "any logits", test_any_logits);
	CU_add_test(s, "against long double", test_sweep);
	return suite_end();
}
