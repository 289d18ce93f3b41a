/* Several gradients made one: what the methods promise, on random gradients, and cases by hand. */
#include "runtime/rng.h"
#include "runtime/surgery.h"
#include "suite.h"
#include <math.h>
#include <string.h>

enum { MOST = 8, DIM = 24 };

typedef struct {
	int n;
	double g[MOST][DIM], G[MOST * MOST];
} Gradients;

static double dot(const double *x, const double *y)
{
	double sum = 0;
	for (int i = 0; i < DIM; i++) sum += x[i] * y[i];
	return sum;
}

static void products(Gradients *x)
{
	for (int k = 0; k < x->n; k++)
		for (int j = 0; j < x->n; j++) x->G[k * x->n + j] = dot(x->g[k], x->g[j]);
}

/* `along`: how much all have in common; sizes from 0.1 to 10. */
static Gradients random_gradients(int n, double along, uint64_t seed)
{
	Gradients x = {.n = n};
	for (int k = 0; k < n; k++)
		for (int i = 0; i < DIM; i++)
			x.g[k][i] = (mtl_normal(seed, (uint64_t)k, (uint64_t)i) + along * (i < 4)) *
				    pow(10, 2 * mtl_uniform(seed, 99, (uint64_t)k) - 1);
	products(&x);
	return x;
}

static void joined(const Gradients *x, const double *a, double *d)
{
	memset(d, 0, DIM * sizeof *d);
	for (int k = 0; k < x->n; k++)
		for (int i = 0; i < DIM; i++) d[i] += a[k] * x->g[k][i];
}

/* Every method gives a multiple of the plain sum when all gradients are equal. */
static void test_equal(void)
{
	for (int n = 2; n <= MOST; n++) {
		Gradients x = random_gradients(n, 0, 5);
		for (int k = 1; k < n; k++) memcpy(x.g[k], x.g[0], sizeof x.g[0]);
		products(&x);
		double a[MOST], work[MOST], d[DIM], least[MOST] = {0.2};
		for (int method = 0; method < 5; method++) {
			double want[] = {n, 1, 1, 1.4, n};
			if (method == 0) mtl_pcgrad(n, x.G, 1, 1, a, work);
			if (method == 1) mtl_min_norm(n, x.G, NULL, a, work);
			if (method == 2) mtl_min_norm(n, x.G, least, a, work);
			if (method == 3) mtl_cagrad(n, x.G, 0.4, a, work);
			if (method == 4) mtl_nash(n, x.G, a, work);
			joined(&x, a, d);
			for (int i = 0; i < DIM; i++)
				CU_ASSERT_DOUBLE_EQUAL(d[i], want[method] * x.g[0][i],
						       1e-9 * (1 + fabs(x.g[0][i])));
		}
	}
}

/* PCGrad of three as the paper writes it, on the vectors; bit i of orders: the others of i in falling order.
 */
static void in_order(const Gradients *x, int orders, double *d)
{
	memset(d, 0, DIM * sizeof *d);
	for (int i = 0; i < 3; i++) {
		double g[DIM];
		memcpy(g, x->g[i], sizeof g);
		for (int turn = 0; turn < 3; turn++) {
			int j = orders >> i & 1 ? 2 - turn : turn;
			double product = j == i ? 0 : dot(g, x->g[j]);
			for (int c = 0; product < 0 && c < DIM; c++)
				g[c] -= product / dot(x->g[j], x->g[j]) * x->g[j][c];
		}
		for (int c = 0; c < DIM; c++) d[c] += g[c];
	}
}

static void test_pcgrad(void)
{
	double a[MOST], work[MOST];
	int kept = 0;
	for (uint64_t seed = 0; seed < 50; seed++) {
		Gradients x = random_gradients(2 + (int)(seed % 7), 4, seed);
		bool agree = true;
		for (int k = 0; k < x.n * x.n; k++) agree &= x.G[k] >= 0;
		if (!agree) continue;
		kept++;
		mtl_pcgrad(x.n, x.G, seed, 3, a, work);
		for (int k = 0; k < x.n; k++) CU_ASSERT_EQUAL(a[k], 1); /* to the bit */
	}
	CU_ASSERT(kept > 10);
	/* g1 = (1, 0), g2 = (-1, 1): g1' = g1 + g2 / 2, g2' = g2 + g1. */
	mtl_pcgrad(2, (const double[]){1, -1, -1, 2}, 1, 1, a, work);
	CU_ASSERT_DOUBLE_EQUAL(a[0], 2, 1e-15);
	CU_ASSERT_DOUBLE_EQUAL(a[1], 1.5, 1e-15);
	/* A gradient of 0 conflicts with none. */
	mtl_pcgrad(2, (const double[]){0, 0, 0, 2}, 1, 1, a, work);
	CU_ASSERT(a[0] == 1 && a[1] == 1);
	/* Three gradients that conflict: every step takes one order for each, and in time all eight occur. */
	Gradients x = {.n = 3}; /* what is left of one after another still points against the third */
	for (int k = 0; k < 3; k++)
		for (int i = 0; i < 3; i++) x.g[k][i] = (i == k ? 1 : -0.6) + 0.01 * k * i;
	products(&x);
	double want[8][DIM], first[3], d[DIM];
	for (int orders = 0; orders < 8; orders++) in_order(&x, orders, want[orders]);
	int met = 0;
	mtl_pcgrad(3, x.G, 7, 0, first, work);
	for (uint64_t step = 0; step < 64; step++) {
		mtl_pcgrad(3, x.G, 7, step, a, work);
		joined(&x, a, d);
		int found = 0;
		for (int orders = 0; orders < 8; orders++) {
			double far = 0;
			for (int i = 0; i < DIM; i++) far = fmax(far, fabs(d[i] - want[orders][i]));
			if (far < 1e-9) found |= 1 << orders;
		}
		CU_ASSERT(found != 0);
		met |= found;
	}
	CU_ASSERT_EQUAL(met, 255);
	mtl_pcgrad(3, x.G, 7, 0, a, work);
	CU_ASSERT(!memcmp(a, first, sizeof first));
}

static void test_min_norm(void)
{
	double w[MOST], work[MOST], d[DIM];
	for (uint64_t seed = 0; seed < 400; seed++) {
		Gradients x = random_gradients(2 + (int)(seed % 7), seed % 3 ? 1 : 0, seed);
		mtl_min_norm(x.n, x.G, NULL, w, work);
		double sum = 0;
		joined(&x, w, d);
		for (int k = 0; k < x.n; k++) {
			sum += w[k];
			CU_ASSERT(w[k] >= 0);
			CU_ASSERT(dot(d, x.g[k]) >= dot(d, d) * (1 - 1e-6)); /* a way down for every task */
		}
		CU_ASSERT_DOUBLE_EQUAL(sum, 1, 1e-12);
		if (x.n > 2) continue;
		/* The closed form of two. */
		const double *G = x.G;
		double a = (G[3] - G[1]) / (G[0] + G[3] - 2 * G[1]);
		a = a < 0 ? 0 : a > 1 ? 1 : a;
		CU_ASSERT_DOUBLE_EQUAL(w[0], a, 1e-9);
	}
	/* Opposite gradients leave nothing. */
	mtl_min_norm(2, (const double[]){1, -2, -2, 4}, NULL, w, work);
	CU_ASSERT_DOUBLE_EQUAL(w[0], 2.0 / 3, 1e-12);
}

static void test_pareto(void)
{
	double w[MOST], work[MOST], d[DIM];
	int held = 0;
	for (uint64_t seed = 0; seed < 400; seed++) {
		Gradients x = random_gradients(2 + (int)(seed % 7), seed % 3 ? 1 : 0, seed);
		double least[MOST] = {0}, sum = 0, lowest = INFINITY;
		for (int k = 0; k < x.n; k++) least[k] = 0.8 / x.n * mtl_uniform(seed, 50, (uint64_t)k);
		mtl_min_norm(x.n, x.G, least, w, work);
		joined(&x, w, d);
		for (int k = 0; k < x.n; k++) lowest = fmin(lowest, dot(d, x.g[k]));
		for (int k = 0; k < x.n; k++) {
			sum += w[k];
			CU_ASSERT(w[k] >= least[k]);
			held += w[k] == least[k];
			/* Only the lowest product has more than its least share (Karush, Kuhn, Tucker). */
			if (w[k] > least[k] + 1e-9)
				CU_ASSERT(dot(d, x.g[k]) - lowest <= 1e-6 * (fabs(lowest) + dot(d, d)));
		}
		CU_ASSERT_DOUBLE_EQUAL(sum, 1, 1e-12);
		if (x.n > 2) continue;
		/* Two tasks: the relaxed system [[G, e], [e', 0]] [v; l] = [-G c; 1 - e'c], v = w - c,
		 * projected. */
		const double *G = x.G, *c = least;
		double rest = 1 - c[0] - c[1];
		double b0 = -(G[0] * c[0] + G[1] * c[1]), b1 = -(G[2] * c[0] + G[3] * c[1]);
		double v = (b0 - b1 - (G[1] - G[3]) * rest) / (G[0] - 2 * G[1] + G[3]);
		v = v < 0 ? 0 : v > rest ? rest : v;
		CU_ASSERT_DOUBLE_EQUAL(w[0], c[0] + v, 1e-9);
	}
	CU_ASSERT(held > 100);
}

/* g_w . g_0 + sqrt(p) |g_w| */
static double cagrad_dual(const Gradients *x, const double *w, double c)
{
	double g0[DIM], gw[DIM], even[MOST];
	for (int k = 0; k < x->n; k++) even[k] = 1.0 / x->n;
	joined(x, even, g0);
	joined(x, w, gw);
	return dot(gw, g0) + c * sqrt(dot(g0, g0) * dot(gw, gw));
}

static void test_cagrad(void)
{
	double a[MOST], work[MOST], d[DIM], g0[DIM], even[MOST];
	for (uint64_t seed = 0; seed < 200; seed++) {
		Gradients x = random_gradients(2 + (int)(seed % 4), seed % 3 ? 1 : 0, seed);
		double c = 0.1 + 0.2 * (double)(seed % 5);
		for (int k = 0; k < x.n; k++) even[k] = 1.0 / x.n;
		joined(&x, even, g0);
		mtl_cagrad(x.n, x.G, c, a, work);
		joined(&x, a, d);
		/* d lies on the ball of c |g_0| around g_0 ... */
		double far = 0, w[MOST], sum = 0, worst = INFINITY;
		for (int i = 0; i < DIM; i++) far += (d[i] - g0[i]) * (d[i] - g0[i]);
		CU_ASSERT_DOUBLE_EQUAL(sqrt(far), c * sqrt(dot(g0, g0)), 1e-6 * sqrt(dot(g0, g0)));
		/* ... where the worst task is best: its min_k g_k . d is the dual's minimum. */
		for (int k = 0; k < x.n; k++) worst = fmin(worst, dot(d, x.g[k]));
		for (int k = 0; k < x.n; k++) sum += w[k] = a[k] - even[k];
		for (int k = 0; k < x.n; k++) w[k] /= sum;
		double least = cagrad_dual(&x, w, c);
		CU_ASSERT_DOUBLE_EQUAL(worst, least, 1e-5 * (fabs(least) + dot(g0, g0)));
		for (int t = 0; t < 200; t++) { /* nobody on the simplex is lower */
			double v[MOST], all = 0;
			for (int k = 0; k < x.n; k++)
				all += v[k] = -log(1 - mtl_uniform(seed, 7, (uint64_t)(t * MOST + k)));
			for (int k = 0; k < x.n; k++) v[k] /= all;
			CU_ASSERT(cagrad_dual(&x, v, c) >= least - 1e-9 * (fabs(least) + dot(g0, g0)));
		}
		mtl_cagrad(x.n, x.G, 0, a, work); /* the mean */
		for (int k = 0; k < x.n; k++) CU_ASSERT_DOUBLE_EQUAL(a[k], even[k], 1e-15);
	}
	mtl_cagrad(2, (const double[]){0, 0, 0, 0}, 0.4, a, work);
	CU_ASSERT(a[0] == 0.5 && a[1] == 0.5);
}

static void test_nash(void)
{
	double a[MOST], work[MOST], d[DIM];
	for (uint64_t seed = 0; seed < 200; seed++) {
		Gradients x = random_gradients(2 + (int)(seed % 4), seed % 3 ? 1 : 0, seed);
		mtl_nash(x.n, x.G, a, work);
		joined(&x, a, d);
		/* (G a)_k = c / a_k with one c for all: here sum a = n, the bargain's c is 1. */
		double c = a[0] * dot(d, x.g[0]), sum = 0;
		CU_ASSERT(c > 0);
		for (int k = 0; k < x.n; k++) {
			CU_ASSERT_DOUBLE_EQUAL(a[k] * dot(d, x.g[k]), c, 1e-9 * c);
			CU_ASSERT(a[k] > 0);
			sum += a[k];
		}
		CU_ASSERT_DOUBLE_EQUAL(sum, x.n, 1e-12);
		/* No direction of d's length has a larger product of gains. */
		double best = 0;
		for (int k = 0; k < x.n; k++) best += log(dot(d, x.g[k]));
		for (int t = 0; t < 200; t++) {
			double v[DIM], gains = 0, size;
			for (int i = 0; i < DIM; i++)
				v[i] = d[i] + (mtl_uniform(seed, 8, (uint64_t)(t * DIM + i)) - 0.5) *
						  sqrt(dot(d, d)) / (1 + t % 9);
			size = sqrt(dot(d, d) / dot(v, v));
			bool up = true;
			for (int k = 0; k < x.n; k++) {
				double gain = size * dot(v, x.g[k]);
				up &= gain > 0;
				gains += up ? log(gain) : 0;
			}
			CU_ASSERT(!up || gains <= best + 1e-9);
		}
		/* The lengths of gradients are nothing to it: of two, each has the other's length. */
		if (x.n == 2)
			CU_ASSERT_DOUBLE_EQUAL(a[0] * a[0] * x.G[0], a[1] * a[1] * x.G[3], 1e-9 * x.G[0]);
	}
	/* Gradients that cancel out: what is left is next to nothing. */
	mtl_nash(2, (const double[]){1, -2, -2, 4}, a, work);
	CU_ASSERT_DOUBLE_EQUAL(a[0], 4.0 / 3, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(a[1], 2.0 / 3, 1e-9);
	mtl_nash(3, (const double[]){4, 0, 0, 0, 0, 0, 0, 0, 1}, a, work); /* the second has no gradient */
	CU_ASSERT_DOUBLE_EQUAL(a[0], 2.0 / 3, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(a[2], 4.0 / 3, 1e-9);
	CU_ASSERT(a[1] == 1);
	mtl_nash(2, (const double[]){0, 0, 0, 0}, a, work);
	CU_ASSERT(a[0] == 1 && a[1] == 1);
}

int main(void)
{
	CU_pSuite s = suite_begin("surgery");
	CU_add_test(s, "equal gradients give their sum, up to scale", test_equal);
	CU_add_test(s, "pcgrad: nothing changes without a conflict", test_pcgrad);
	CU_add_test(s, "mgda: a way down for every task", test_min_norm);
	CU_add_test(s, "pareto: least shares, and the best point above them", test_pareto);
	CU_add_test(s, "cagrad: the worst task is best on the ball", test_cagrad);
	CU_add_test(s, "nash: equal gains for equal prices", test_nash);
	return suite_end();
}
