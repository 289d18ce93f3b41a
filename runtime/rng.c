/*
 * A stream is a sequence of equal steps through the 64-bit integers from a start of its own; each step is
 * scrambled.
 */
#include "rng.h"
#include <math.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Odd, and near 2^64 / golden ratio: neighbours along the sequence differ in many bits. */
#define STEP UINT64_C(0x9e3779b97f4a7c15)

/* One to one; every bit of x reaches every bit of the result (the finaliser of splitmix64). */
static inline uint64_t scramble(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64_t start_of(uint64_t seed, uint64_t stream)
{
	return scramble(scramble(seed + STEP) ^ stream);
}
static inline uint64_t at(uint64_t start, uint64_t index) { return scramble(start + (index + 1) * STEP); }
static inline double unit(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

uint64_t mtl_mix(uint64_t seed, uint64_t stream, uint64_t index) { return at(start_of(seed, stream), index); }
double mtl_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
	return unit(mtl_mix(seed, stream, index));
}

/* Fisher and Yates, from the inside out. */
void mtl_shuffle(int64_t *order, int64_t n, uint64_t *state)
{
	for (int64_t i = 0; i < n; i++) {
		uint64_t bits = scramble(*state += STEP);
		int64_t j = (int64_t)(((unsigned __int128)bits * (uint64_t)(i + 1)) >> 64);
		order[i] = order[j];
		order[j] = i;
	}
}

/*
 * log x for normal x > 0: x = m 2^e with m in [sqrt 1/2, sqrt 2), s = (m - 1) / (m + 1), |s| < 0.1716,
 * log m = 2 (s + s^3/3 + s^5/5 + ...); the first term left out, s^23/23, is below 2^-62 |s|.
 */
static double plain_log(double x)
{
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	int e = (int)(bits >> 52) - 1023;
	bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
	double m;
	memcpy(&m, &bits, sizeof m);
	if (m > 1.4142135623730951) {
		m *= 0.5;
		e++;
	}
	double s = (m - 1) / (m + 1), q = s * s, sum = 0;
	for (int k = 21; k >= 1; k -= 2) sum = sum * q + 1.0 / k;
	return e * 0.693147180559945309417 + 2 * s * sum;
}

/* sin and cos of 2 pi v, 0 <= v < 1, from their series on [-pi/4, pi/4]; terms left out are below 2^-57. */
static void plain_sincos(double v, double *sine, double *cosine)
{
	int quarter = (int)(v * 4 + 0.5); /* nearest quarter turn, 0 .. 4 */
	double x = (v - quarter * 0.25) * 6.283185307179586476925, q = x * x, s = 1, c = 1;
	for (int k = 17; k >= 3; k -= 2) s = 1 - s * q / (k * (k - 1));
	for (int k = 16; k >= 2; k -= 2) c = 1 - c * q / (k * (k - 1));
	s *= x;
	switch (quarter & 3) {
	case 0:
		*sine = s;
		*cosine = c;
		break;
	case 1:
		*sine = c;
		*cosine = -s;
		break;
	case 2:
		*sine = -s;
		*cosine = -c;
		break;
	case 3:
		*sine = -c;
		*cosine = s;
		break;
	}
}

/* Box-Muller: two independent normals from two uniforms.  The radius' uniform is in (0, 1]: its log exists.
 */
static void normal_pair(uint64_t start, uint64_t pair, double out[2])
{
	double u = (double)((at(start, 2 * pair) >> 11) + 1) * 0x1p-53, v = unit(at(start, 2 * pair + 1)), s,
	       c;
	double radius = sqrt(-2 * plain_log(u));
	plain_sincos(v, &s, &c);
	out[0] = radius * c;
	out[1] = radius * s;
}

double mtl_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
	double pair[2];
	normal_pair(start_of(seed, stream), index / 2, pair);
	return pair[index & 1];
}

/* Two factors from one number: the low half for even places, the high half for odd ones. */
void mtl_dropout_fill(mtl_real *out, int64_t rows, int width, double p, uint64_t seed, uint64_t stream,
		      uint64_t first_row)
{
	uint64_t start = start_of(seed, stream), i = first_row * (uint64_t)width,
		 end = i + (uint64_t)(rows * width);
	double cut = p <= 0 ? 0 : p >= 1 ? 0x1p32 : p * 0x1p32;
	uint64_t least = (uint64_t)cut; /* a half below this is a 0 */
	mtl_real factor[2] = {0, p <= 0 ? 1 : p >= 1 ? 0 : (mtl_real)(1 / (1 - p))};

	if (i < end && (i & 1)) {
		*out++ = factor[(at(start, i / 2) >> 32) >= least];
		i++;
	}
	for (; i + 1 < end; i += 2, out += 2) {
		uint64_t h = at(start, i / 2);
		out[0] = factor[(h & 0xffffffffu) >= least];
		out[1] = factor[(h >> 32) >= least];
	}
	if (i < end) *out = factor[(at(start, i / 2) & 0xffffffffu) >= least];
}

void mtl_logistic_fill(mtl_real *out, int64_t rows, int width, uint64_t seed, uint64_t stream,
		       uint64_t first_row)
{
	uint64_t start = start_of(seed, stream), first = first_row * (uint64_t)width;
	for (int64_t i = 0; i < rows * width; i++) {
		/* An odd multiple of 2^-53: neither 0 nor 1, and 1 - u is exact. */
		double u = ((double)(at(start, first + (uint64_t)i) >> 12) + 0.5) * 0x1p-52;
		out[i] = (mtl_real)(plain_log(u) - plain_log(1 - u));
	}
}

static void fill_normal(mtl_real *out, uint64_t start, uint64_t i, int64_t n, double mean, double deviation)
{
	double pair[2];
	for (int64_t j = 0; j < n; j++, i++) {
		if (j == 0 || !(i & 1)) normal_pair(start, i / 2, pair);
		out[j] = (mtl_real)(mean + deviation * pair[i & 1]);
	}
}

void mtl_init_fill(mtl_real *out, int64_t rows, int64_t dim, int64_t stride, const MtlInit *init,
		   uint64_t seed, const char *name)
{
	uint64_t start = start_of(seed, XXH3_64bits(name, strlen(name)));

	for (int64_t r = 0; r < rows; r++) {
		mtl_real *x = out + r * stride;
		uint64_t i = (uint64_t)r * (uint64_t)dim;
		switch (init->kind) {
		case MTL_INIT_ZERO:
			for (int64_t j = 0; j < dim; j++) x[j] = 0;
			break;
		case MTL_INIT_CONST:
			for (int64_t j = 0; j < dim; j++) x[j] = (mtl_real)init->a;
			break;
		case MTL_INIT_NORMAL: fill_normal(x, start, i, dim, init->a, init->b); break;
		case MTL_INIT_UNIFORM:
			for (int64_t j = 0; j < dim; j++)
				x[j] = (mtl_real)(init->a +
						  (init->b - init->a) * unit(at(start, i + (uint64_t)j)));
			break;
		}
	}
}
