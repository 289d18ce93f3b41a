/*
 * Random numbers by counting: they depend on their place alone, and their moments are right.
 */
#include "runtime/rng.h"
#include "suite.h"
#include <math.h>
#include <string.h>

enum { N = 200000 };

/* A sum of n terms of variance v strays by more than 5 deviations once in two million times; the seeds are
 * fixed. */
#define NEAR(sum, n, mean, v) CU_ASSERT_DOUBLE_EQUAL((sum) / (n), (mean), 5 * sqrt((v) / (n)))

/* Start 0 of splitmix64 with the published constants: 0xe220a8397b1dcdaf is its first number from state 0. */
static void known_first_number(void)
{
	/* scramble(0) is 0, so seed = -STEP and stream 0 start at state 0. */
	uint64_t seed = UINT64_C(0) - UINT64_C(0x9e3779b97f4a7c15);
	CU_ASSERT_EQUAL(mtl_mix(seed, 0, 0), UINT64_C(0xe220a8397b1dcdaf));
	CU_ASSERT_EQUAL(mtl_mix(seed, 0, 1), UINT64_C(0x6e789e6aa1b965f4));
}

static void seed_and_stream_matter(void)
{
	CU_ASSERT_NOT_EQUAL(mtl_mix(1, 2, 3), mtl_mix(2, 2, 3));
	CU_ASSERT_NOT_EQUAL(mtl_mix(1, 2, 3), mtl_mix(1, 3, 3));
	CU_ASSERT_NOT_EQUAL(mtl_mix(1, 2, 3), mtl_mix(1, 2, 4));
	CU_ASSERT_NOT_EQUAL(mtl_mix(1, 2, 0), mtl_mix(2, 1, 0));

	/* One bit of seed, stream or index turns over half of the 64 result bits. */
	int turned[3] = {0};
	for (int i = 0; i < 64; i++) {
		uint64_t bit = UINT64_C(1) << i, base = mtl_mix(7, 8, 9);
		turned[0] += __builtin_popcountll(base ^ mtl_mix(7 ^ bit, 8, 9));
		turned[1] += __builtin_popcountll(base ^ mtl_mix(7, 8 ^ bit, 9));
		turned[2] += __builtin_popcountll(base ^ mtl_mix(7, 8, 9 ^ bit));
	}
	for (int k = 0; k < 3; k++) CU_ASSERT_DOUBLE_EQUAL(turned[k] / 4096.0, 0.5, 5 * 0.5 / 64);
}

static void uniform_moments(void)
{
	double s1 = 0, s2 = 0, lag = 0;
	int bin[10] = {0};
	for (uint64_t i = 0; i < N; i++) {
		double u = mtl_uniform(3, 1, i);
		CU_ASSERT_FATAL(u >= 0 && u < 1);
		s1 += u;
		s2 += u * u;
		lag += (u - 0.5) * (mtl_uniform(3, 1, i + 1) - 0.5);
		bin[(int)(u * 10)]++;
	}
	NEAR(s1, N, 0.5, 1.0 / 12);
	NEAR(s2, N, 1.0 / 3, 4.0 / 45);
	NEAR(lag, N, 0, 1.0 / 144);
	double chi = 0;
	for (int b = 0; b < 10; b++) chi += (bin[b] - N / 10.0) * (bin[b] - N / 10.0) / (N / 10.0);
	CU_ASSERT(chi < 27.88); /* 9 degrees of freedom, one in a thousand */
}

static void normal_moments(void)
{
	double s[5] = {0}, lag = 0;
	int within = 0, beyond2 = 0;
	for (uint64_t i = 0; i < N; i++) {
		double x = mtl_normal(11, 5, i), p = 1;
		CU_ASSERT_FATAL(fabs(x) < 8.6);
		for (int k = 0; k < 5; k++, p *= x) s[k] += p;
		lag += x * mtl_normal(11, 5, i + 1);
		within += fabs(x) < 1;
		beyond2 += fabs(x) > 2;
	}
	NEAR(s[1], N, 0, 1.0);
	NEAR(s[2], N, 1, 2.0);
	NEAR(s[3], N, 0, 15.0);
	NEAR(s[4], N, 3, 96.0);
	NEAR(lag, N, 0, 1.0);
	NEAR((double)within, N, 0.682689492, 0.2166);
	NEAR((double)beyond2, N, 0.045500264, 0.0434);
}

/* The same by the C library's functions: our logarithm, sine and cosine are right to the last digits. */
static void normal_is_box_muller(void)
{
	double worst = 0;
	for (uint64_t i = 0; i < 20000; i += 2) {
		double u = (double)((mtl_mix(11, 5, i) >> 11) + 1) * 0x1p-53, v = mtl_uniform(11, 5, i + 1);
		double r = sqrt(-2 * log(u)), turn = 6.283185307179586476925 * v;
		double a = fabs(mtl_normal(11, 5, i) - r * cos(turn)),
		       b = fabs(mtl_normal(11, 5, i + 1) - r * sin(turn));
		if (a > worst) worst = a;
		if (b > worst) worst = b;
	}
	CU_ASSERT(worst < 4e-15);
}

static void dropout_depends_on_the_place_only(void)
{
	enum { ROWS = 101, WIDTH = 7 };
	float all[ROWS * WIDTH], part[ROWS * WIDTH];
	mtl_dropout_fill(all, ROWS, WIDTH, 0.3, 5, 2, 1000);
	for (int cut = 0; cut <= ROWS; cut += 10) {
		memset(part, 0x55, sizeof part);
		mtl_dropout_fill(part, cut, WIDTH, 0.3, 5, 2, 1000);
		mtl_dropout_fill(part + cut * WIDTH, ROWS - cut, WIDTH, 0.3, 5, 2, 1000 + (uint64_t)cut);
		CU_ASSERT_EQUAL(memcmp(all, part, sizeof all), 0);
	}
	for (int r = 0; r < ROWS; r++)
		mtl_dropout_fill(part + r * WIDTH, 1, WIDTH, 0.3, 5, 2, 1000 + (uint64_t)r);
	CU_ASSERT_EQUAL(memcmp(all, part, sizeof all), 0);
	mtl_dropout_fill(part, ROWS, WIDTH, 0.3, 5, 3, 1000);
	CU_ASSERT_NOT_EQUAL(memcmp(all, part, sizeof all), 0);
}

/* Mean 0, variance pi^2 / 3, fourth moment 7 pi^4 / 15; P(x < -2) = 1 / (1 + e^2); a place alone decides. */
static void logistic_samples(void)
{
	static float x[N], part[70];
	mtl_logistic_fill(x, N / 10, 10, 42, 1, 100);
	double sum = 0, square = 0, below = 0;
	for (int i = 0; i < N; i++) {
		sum += (double)x[i];
		square += (double)x[i] * (double)x[i];
		below += x[i] < -2;
	}
	const double pi2 = 9.869604401089358, variance = pi2 / 3, fourth = 7 * pi2 * pi2 / 15;
	NEAR(sum, N, 0, variance);
	NEAR(square, N, variance, fourth - variance * variance);
	NEAR(below, N, 0.11920292202211755, 0.105);
	mtl_logistic_fill(part, 7, 10, 42, 1, 105);
	CU_ASSERT_EQUAL(memcmp(part, x + 50, sizeof part), 0);
	mtl_logistic_fill(part, 7, 10, 42, 2, 105);
	CU_ASSERT_NOT_EQUAL(memcmp(part, x + 50, sizeof part), 0);
}

static void dropout_shares(void)
{
	static const double p[] = {0.1, 0.5, 0.75};
	static float x[N];
	for (int k = 0; k < 3; k++) {
		mtl_dropout_fill(x, N / 10, 10, p[k], 42, 0, 0);
		int zero = 0, pairs = 0;
		for (int i = 0; i < N; i++) {
			if (x[i] == 0)
				zero++;
			else
				CU_ASSERT_EQUAL(x[i], (float)(1 / (1 - p[k])));
			pairs += i && x[i] == 0 && x[i - 1] == 0;
		}
		NEAR((double)zero, N, p[k], p[k] * (1 - p[k]));
		NEAR((double)pairs, N, p[k] * p[k], 3 * p[k] * p[k]);
	}
	mtl_dropout_fill(x, 1, 100, 0, 42, 0, 0);
	for (int i = 0; i < 100; i++) CU_ASSERT_EQUAL(x[i], 1);
	mtl_dropout_fill(x, 1, 100, 1, 42, 0, 0);
	for (int i = 0; i < 100; i++) CU_ASSERT_EQUAL(x[i], 0);
	x[0] = 3;
	mtl_dropout_fill(x, 0, 100, 0.5, 42, 0, 1);
	CU_ASSERT_EQUAL(x[0], 3);
}

static void init_by_name(void)
{
	float a[60], b[60], c[60];
	MtlInit normal = {MTL_INIT_NORMAL, 0, 0.05};
	mtl_init_fill(a, 1, 60, 60, &normal, 1, "tower.ctr.0.weight");
	mtl_init_fill(b, 1, 60, 60, &normal, 1, "tower.cvr.0.weight");
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
	mtl_init_fill(b, 1, 60, 60, &normal, 2, "tower.ctr.0.weight");
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);

	/* Odd width, rows apart: the same numbers as in one row, and what lies between is left alone. */
	for (int i = 0; i < 60; i++) c[i] = -7;
	mtl_init_fill(c, 6, 5, 9, &normal, 1, "tower.ctr.0.weight");
	for (int i = 0; i < 54; i++) CU_ASSERT_EQUAL(c[i], i % 9 < 5 ? a[i / 9 * 5 + i % 9] : -7);
	/* and a table with more rows begins with the same ones */
	mtl_init_fill(b, 4, 5, 5, &normal, 1, "tower.ctr.0.weight");
	CU_ASSERT_EQUAL(memcmp(a, b, 20 * sizeof *a), 0);
}

static void init_kinds(void)
{
	static float x[N];
	double s1 = 0, s2 = 0;
	MtlInit zero = {MTL_INIT_ZERO, 5, 5}, constant = {MTL_INIT_CONST, 0.25, 5},
		uniform = {MTL_INIT_UNIFORM, -2, 4}, normal = {MTL_INIT_NORMAL, 10, 3};
	mtl_init_fill(x, 1, 10, 10, &constant, 1, "x");
	for (int i = 0; i < 10; i++) CU_ASSERT_EQUAL(x[i], 0.25f);
	mtl_init_fill(x, 1, 10, 10, &zero, 1, "x");
	for (int i = 0; i < 10; i++) CU_ASSERT_EQUAL(x[i], 0);

	mtl_init_fill(x, 1, N, N, &uniform, 1, "x");
	for (int i = 0; i < N; i++) {
		CU_ASSERT_FATAL(x[i] >= -2 && x[i] <= 4);
		s1 += x[i];
		s2 += (x[i] - 1) * (x[i] - 1);
	}
	NEAR(s1, N, 1, 3.0);
	NEAR(s2, N, 3, 36.0 / 45 * 9);

	mtl_init_fill(x, 1, N, N, &normal, 1, "x");
	s1 = s2 = 0;
	for (int i = 0; i < N; i++) {
		s1 += x[i];
		s2 += (x[i] - 10) * (x[i] - 10);
	}
	NEAR(s1, N, 10, 9.0);
	NEAR(s2, N, 9, 2 * 81.0);
}

int main(void)
{
	CU_pSuite s = suite_begin("random numbers");
	CU_ADD_TEST(s, known_first_number);
	CU_ADD_TEST(s, seed_and_stream_matter);
	CU_ADD_TEST(s, uniform_moments);
	CU_ADD_TEST(s, normal_moments);
	CU_ADD_TEST(s, normal_is_box_muller);
	CU_ADD_TEST(s, dropout_depends_on_the_place_only);
	CU_ADD_TEST(s, dropout_shares);
	CU_ADD_TEST(s, logistic_samples);
	CU_ADD_TEST(s, init_by_name);
	CU_ADD_TEST(s, init_kinds);
	return suite_end();
}
