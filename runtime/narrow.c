/*
 * Rows of tables in reduced precision, made and read back.
 */
#include "narrow.h"
#include <string.h>

const char *mtl_narrow_type(const MtlTable *t)
{
	return !t->narrow ? NULL : t->precision == MTL_INT8 ? "I8" : "BF16";
}

int64_t mtl_narrow_items(const MtlTable *t) { return t->stride * (t->precision == MTL_INT8 ? 4 : 2); }

/* ---- bf16 ---- */

/* The upper half of a float, to nearest, ties to even. */
static uint16_t half(mtl_real x)
{
	float f = (float)x;
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static bool finite_half(uint16_t h) { return (h & 0x7f80) != 0x7f80; }

static mtl_real of_half(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;
	memcpy(&f, &u, sizeof f);
	return (mtl_real)f;
}

/* ---- int8 ---- */

static float scale(const mtl_real *x, int n)
{
	float most = 0;
	for (int i = 0; i < n; i++) {
		float a = (float)(x[i] < 0 ? -x[i] : x[i]);
		most = a > most ? a : most;
	}
	/* Of the smallest of all numbers 127 steps are none. */
	return most / 127 > 0 ? most / 127 : 1;
}

static int8_t byte(mtl_real x, float s)
{
	/* A float of this size has no room for halves: the sum is rounded to a whole number, ties to even. */
	volatile float q = (float)x / s + 0x1.8p23f;
	float r = q - 0x1.8p23f;
	return (int8_t)(r > 127 ? 127 : r < -127 ? -127 : r);
}

bool mtl_narrow_records(const MtlTable *t, const mtl_real *x, int64_t rows, void *record)
{
	size_t bytes = (size_t)t->stride * sizeof(float);
	bool ok = true;
	for (int64_t r = 0; r < rows; r++, x += t->dim) {
		char *to = (char *)record + (size_t)r * bytes;
		memset(to, 0, bytes);
		if (t->precision == MTL_INT8) {
			float s = scale(x, t->dim);
			memcpy(to, &s, sizeof s);
			for (int i = 0; i < t->dim; i++) to[sizeof s + (size_t)i] = (char)byte(x[i], s);
			continue;
		}
		for (int i = 0; i < t->dim; i++) {
			uint16_t h = half(x[i]);
			ok &= finite_half(h);
			memcpy(to + 2 * (size_t)i, &h, sizeof h);
		}
	}
	return ok;
}

bool mtl_narrow_round(const MtlTable *t, mtl_real *x, int64_t rows)
{
	bool ok = true;
	for (int64_t r = 0; r < rows; r++, x += t->stride) {
		float s = t->precision == MTL_INT8 ? scale(x, t->dim) : 0;
		for (int i = 0; i < t->dim; i++) {
			uint16_t h = half(x[i]);
			if (t->precision == MTL_INT8) {
				x[i] = (mtl_real)((float)byte(x[i], s) * s);
				continue;
			}
			ok &= finite_half(h);
			x[i] = of_half(h);
		}
	}
	return ok;
}
