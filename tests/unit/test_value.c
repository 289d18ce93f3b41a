/* The value functions, through printed C: errors in units in the last place, ends of the range, same bits
 * everywhere. */
#include "emitted.h"
#include "ir/value.h"
#include "suite.h"
#include <float.h>
#include <math.h>

typedef struct {
	const char *name;
	double lo, hi; /* where it bends; swept evenly, besides all magnitudes */
	double ulp;    /* the error allowed */
	double at[7];  /* of -inf, -200, -0, 0, 1, 200, inf */
} Case;

static const Case cases[] = {
    {"exp", -88, 89, 1.5, {0, 0, 1, 1, M_E, INFINITY, INFINITY}},
    {"log", 0, 8, 1.5, {NAN, NAN, -INFINITY, -INFINITY, 0, 5.298317366548036, INFINITY}},
    {"log1p", -1, 4, 1.5, {NAN, NAN, 0, 0, 0.6931471805599453, 5.303304908059076, INFINITY}},
    {"expm1", -18, 89, 1.5, {-1, -1, 0, 0, 1.718281828459045, INFINITY, INFINITY}},
    {"sigmoid", -88, 20, 3, {0, 0, 0.5, 0.5, 0.7310585786300049, 1, 1}},
    {"tanh", -10, 10, 3, {-1, -1, 0, 0, 0.7615941559557649, 1, 1}},
    {"softplus", -88, 20, 3, {0, 0, M_LN2, M_LN2, 1.3132616875182228, 200, INFINITY}},
    {"logsigmoid", -20, 88, 3, {-INFINITY, -200, -M_LN2, -M_LN2, -0.3132616875182228, 0, 0}},
};
enum { N_CASES = sizeof cases / sizeof *cases, POINTS = 1 << 19 };

/* Y[k] = name(X[k]), at one width */
static void add_map(Mod *m, const char *name, int lanes)
{
	Fn *f = fn_new(m, arena_printf(m->arena, "%s_%d", name, lanes));
	f->exported = true;
	int X = f_buf(f, BUF_IN, ELEM_F32, "X", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "Y", 0),
	    n = f_size(f, "n");
	int k = f_for(f, "k", aff_c(0), aff_v(n), lanes);
	f_store(f, Y, aff_v(k), e_call(f, value_fn(m, name), e_load(f, lanes, X, aff_v(k))));
	f_end(f, 1);
}

static Mod *build(Arena *a, const Variant *v)
{
	Mod *m = mod_new(a, str_create(a), v->name, v->W, v->fma);
	values_add(m);
	for (int i = 0; i < N_CASES; i++)
		for (int lanes = 1; lanes <= v->W; lanes *= 2) add_map(m, cases[i].name, lanes);
	return m;
}

static void map(void *library, const Mod *m, const char *name, int lanes, float *x, float *y, int64_t n)
{
	char fn[64];
	snprintf(fn, sizeof fn, "%s_%d", name, lanes);
	Entry e = entry(library, m, fn);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	e((void *const[]){x, y}, &n);
}

/* Half of the points evenly in [lo, hi], half evenly over all bit patterns. */
static void fill(float *x, double lo, double hi)
{
	for (int i = 0; i < POINTS; i++) x[i] = (float)(lo + (hi - lo) * i / (POINTS - 1));
	for (int i = 0; i < POINTS; i++) {
		uint32_t u = (uint32_t)i * (uint32_t)(0x100000000 / POINTS) + (uint32_t)(i % 8191);
		memcpy(&x[POINTS + i], &u, 4);
	}
}

/* The largest error in normal results; a wrong NaN, infinity or sign counts as infinite. */
static double worst(const float *x, const float *y, double (*judge)(double), float *where)
{
	double most = 0;
	for (int i = 0; i < 2 * POINTS; i++) {
		double r = judge(x[i]), e;
		if (isnan(r) || isnan(y[i]))
			e = isnan(r) == isnan(y[i]) ? 0 : INFINITY;
		else if (fabs(r) > FLT_MAX || isinf(y[i]))
			e = (float)r == y[i] ? 0 : fabs(fabs(r) / FLT_MAX - 1) < 1e-6 ? 1 : INFINITY;
		else if (fabs(r) < FLT_MIN)
			e = fabs(y[i]) <= FLT_MIN ? 0 : INFINITY;
		else
			e = fabs(y[i] - r) / ldexp(1, ilogb(r) - 23);
		if (e > most) {
			most = e;
			*where = x[i];
		}
	}
	return most;
}

static void test_errors(void)
{
	Workshop w = workshop_open();
	float *x = malloc(8 * POINTS), *y = malloc(8 * POINTS);
	for (int k = 0; k < N_VARIANTS; k++) {
		const Variant *v = &variants[k];
		if (!runs_here(v)) continue;
		Arena *a = arena_create();
		Mod *m = build(a, v);
		CU_ASSERT_FATAL(verified(m));
		void *h = through_c(&w, m, v, "cc", false);
		for (int i = 0; i < N_CASES; i++) {
			const Case *c = &cases[i];
			float where = 0;
			fill(x, c->lo, c->hi);
			map(h, m, c->name, v->W, x, y, 2 * POINTS);
			double e = worst(x, y, m->fn.at[value_fn(m, c->name)]->judge, &where);
			printf("\n    %s %-10s %5.2f ulp at %g", v->name, c->name, e, (double)where);
			CU_ASSERT(e <= c->ulp);
		}
		if (h) dlclose(h);
		arena_destroy(a);
	}
	free(x);
	free(y);
	workshop_close(&w);
}

static bool near(double got, double want)
{
	if (isnan(want) || isinf(want) || want == 0) return isnan(want) ? isnan(got) : got == want;
	return fabs(got - want) <= 4e-7 * fabs(want);
}

static void test_ends(void)
{
	static const float at[8] = {-INFINITY, -200, -0.0f, 0, 1, 200, INFINITY, NAN};
	Workshop w = workshop_open();
	Arena *a = arena_create();
	for (int k = 0; k < N_VARIANTS; k++) {
		const Variant *v = &variants[k];
		if (!runs_here(v)) continue;
		Mod *m = build(a, v);
		void *h = through_c(&w, m, v, "cc", true);
		for (int i = 0; i < N_CASES; i++) {
			float x[16], y[16];
			for (int l = 0; l < 16; l++) x[l] = at[l % 8];
			map(h, m, cases[i].name, v->W, x, y, 16);
			for (int l = 0; l < 7; l++) {
				bool ok = near(y[l], cases[i].at[l]);
				if (!ok)
					printf("\n    %s(%g) = %.9g", cases[i].name, (double)x[l],
					       (double)y[l]);
				CU_ASSERT(ok);
			}
			CU_ASSERT(isnan(y[7]));
		}
		/* log of a denormal; e^x just below the largest and just above the smallest float */
		float x[16] = {0x1p-149f, 1e-40f, 0x1p-126f}, y[16],
		      z[16] = {88.72283f, -87.3365f, 88.73f, -104};
		map(h, m, "log", v->W, x, y, 16);
		CU_ASSERT(near(y[0], -103.27892990343184) && near(y[1], -92.10343949344926) &&
			  near(y[2], -87.33654475055310));
		map(h, m, "exp", v->W, z, y, 16);
		CU_ASSERT(near(y[0], exp((double)z[0])) && near(y[1], exp((double)z[1])) && isinf(y[2]) &&
			  y[3] == 0);
		if (h) dlclose(h);
	}
	arena_destroy(a);
	workshop_close(&w);
}

static bool same_bits(const float *a, const float *b, int n)
{
	for (int i = 0; i < n; i++)
		if (memcmp(&a[i], &b[i], 4) && !(isnan(a[i]) && isnan(b[i]))) return false;
	return true;
}

enum { N_SAME = 4096 };

static void fill_same(float *x)
{
	for (int i = 0; i < N_SAME / 2; i++) x[i] = (float)(-100 + 200.0 * i / (N_SAME / 2));
	for (int i = N_SAME / 2; i < N_SAME; i++) {
		uint32_t u = (uint32_t)(i - N_SAME / 2) * 2097143u;
		memcpy(&x[i], &u, 4);
	}
}

static void interpret(Arena *a, const Mod *m, int fn, const float *x, float *y)
{
	double *in = arena_new(a, double, N_SAME), *out = arena_new(a, double, N_SAME);
	char fault[512];
	for (int i = 0; i < N_SAME; i++) in[i] = (double)x[i];
	CU_ASSERT(loop_run(m, fn, (Mem[]){{in, N_SAME}, {out, N_SAME}}, (int64_t[]){N_SAME}, true, fault));
	for (int i = 0; i < N_SAME; i++) y[i] = (float)out[i];
}

/* Every width of every variant with fma, and the interpreter, give the bits of the first.  C and LLVM take
 * turns. */
static void test_same_bits(void)
{
	Workshop w = workshop_open();
	Arena *a = arena_create();
	float *x = arena_new(a, float, N_SAME), *y = arena_new(a, float, N_SAME), *first[N_CASES] = {0};
	fill_same(x);
	for (int k = 0; k < N_VARIANTS; k++) {
		const Variant *v = &variants[k];
		if (!runs_here(v) || !v->fma) continue;
		Mod *m = build(a, v);
		void *h = k % 2 ? through_llvm(&w, m, v) : through_c(&w, m, v, "cc", false);
		for (int i = 0; i < N_CASES; i++) {
			if (!first[i]) {
				first[i] = arena_new(a, float, N_SAME);
				map(h, m, cases[i].name, v->W, x, first[i], N_SAME);
			}
			for (int lanes = 1; lanes <= v->W; lanes *= 2) {
				map(h, m, cases[i].name, lanes, x, y, N_SAME);
				CU_ASSERT(same_bits(first[i], y, N_SAME));
			}
			interpret(a, m, fn_find(m, arena_printf(a, "%s_%d", cases[i].name, v->W)), x, y);
			CU_ASSERT(same_bits(first[i], y, N_SAME));
		}
		if (h) dlclose(h);
	}
	arena_destroy(a);
	workshop_close(&w);
}

int main(void)
{
	CU_pSuite s = suite_begin("value");
	CU_add_test(s, "errors", test_errors);
	CU_add_test(s, "ends of the range", test_ends);
	CU_add_test(s, "same bits at every width", test_same_bits);
	return suite_end();
}
