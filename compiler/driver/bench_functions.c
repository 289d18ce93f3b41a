/*
 * The value functions (ir/value.c): nanoseconds an element over 4096 numbers in the first cache, and the
 * largest error of normal results against libm in double, in units in the last place.
 */
#define _GNU_SOURCE
#include "driver/bench_functions.h"
#include "ir/value.h"
#include <dlfcn.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { ELEMENTS = 4096, SWEEPS = 64 };

typedef void Kernel(void *const *, const int64_t *);

static const struct {
	const char *name;
	float lo, hi; /* where it bends */
} function[] = {{"exp", -87, 88},  {"log", 1e-6F, 8},	  {"sigmoid", -20, 20},
		{"tanh", -10, 10}, {"softplus", -20, 20}, {"logsigmoid", -20, 20}};
enum { FUNCTIONS = sizeof function / sizeof *function };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* y[i] = name(x[i]), whole vectors */
static void add_kernel(Mod *m, const char *name)
{
	Fn *f = fn_new(m, arena_printf(m->arena, "run_%s", name));
	f->exported = true;
	int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
	    n = f_size(f, "n");
	int i = f_for(f, "i", aff_c(0), aff_v(n), m->W);
	f_store(f, Y, aff_v(i), e_call(f, value_fn(m, name), e_load(f, m->W, X, aff_v(i))));
	f_end(f, 1);
}

static double worst_ulp(const float *x, const float *y, double (*judge)(double))
{
	double most = 0;
	for (int i = 0; i < ELEMENTS; i++) {
		double r = judge(x[i]);
		if (fabs(r) < FLT_MIN || fabs(r) > FLT_MAX) continue;
		most = fmax(most, fabs(y[i] - r) / ldexp(1, ilogb(r) - 23));
	}
	return most;
}

static void measure(Kernel *run, int k, double (*judge)(double))
{
	static const int64_t n = ELEMENTS;
	_Alignas(64) float x[ELEMENTS], y[ELEMENTS];
	double best = 1, most = 0;
	for (int s = 0; s < SWEEPS; s++) {
		double width = (double)function[k].hi - function[k].lo;
		for (int i = 0; i < ELEMENTS; i++)
			x[i] = (float)(function[k].lo + width * (i + (double)s / SWEEPS) / ELEMENTS);
		double t = now();
		for (int r = 0; r < 32; r++) run((void *[]){x, y}, &n);
		t = (now() - t) / 32;
		best = t < best ? t : best;
		most = fmax(most, worst_ulp(x, y, judge));
	}
	printf("  %-12s %8.3f ns %8.2f ulp\n", function[k].name, best / ELEMENTS * 1e9, most);
}

bool bench_functions(const LinkRequest *link, const Target *t, Text *error)
{
	Compilation c;
	compilation_init(&c);
	Mod *m = mod_new(c.arena, c.str, "functions", t->W, t->fma);
	values_add(m);
	for (int k = 0; k < FUNCTIONS; k++) add_kernel(m, function[k].name);
	Lowered low = {.target = t, .mod = m};
	vec_push(c.arena, &c.lowered, &low);
	LinkRequest l = *link;
	l.verbose = false;
	void *lib = link_load(&c, &l, error);
	printf("\nfunctions, an element of %d in the first cache; largest error\n", ELEMENTS);
	for (int k = 0; lib && k < FUNCTIONS; k++) {
		Kernel *run;
		*(void **)&run = dlsym(lib, arena_printf(c.arena, "functions_run_%s", function[k].name));
		measure(run, k, m->fn.at[value_fn(m, function[k].name)]->judge);
	}
	compilation_free(&c);
	return lib != NULL;
}
