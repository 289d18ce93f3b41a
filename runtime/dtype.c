/*
 * Numbers of the types that files of other origin hold.
 */
#include "dtype.h"
#include <math.h>
#include <string.h>

enum { F32, F64, F16, BF16, OTHERS };

static const MtlDtype type[] = {
    [F32] = {"F32", 4, true},
    [F64] = {"F64", 8, true},
    [F16] = {"F16", 2, true},
    [BF16] = {"BF16", 2, true},
    [OTHERS] = {"BOOL", 1},
    {"U8", 1},
    {"I8", 1},
    {"F8_E5M2", 1},
    {"F8_E4M3", 1},
    {"I16", 2},
    {"U16", 2},
    {"I32", 4},
    {"U32", 4},
    {"I64", 8},
    {"U64", 8},
};

const MtlDtype *mtl_dtype(const char *name)
{
	for (size_t i = 0; i < sizeof type / sizeof *type; i++)
		if (strcmp(type[i].name, name) == 0) return &type[i];
	return NULL;
}

const MtlDtype *mtl_dtype_own(void) { return mtl_dtype(MTL_REAL_DTYPE); }

/* Exponents in words of so many bytes, the last of `step`: none of them all ones. */
static bool no_ones(const char *p, int64_t n, size_t step, uint32_t exponent)
{
	size_t word = step < 4 ? 2 : 4;
	uint32_t bad = 0;
	for (int64_t i = 0; i < n; i++) {
		uint32_t b = 0;
		memcpy(&b, p + (size_t)i * step + (step - word), word);
		bad |= (b & exponent) == exponent;
	}
	return !bad;
}

/* As above, for what is looked at a gigabyte at a time. */
static bool finite_floats(const char *p, int64_t n)
{
	uint32_t bad = 0;
	for (int64_t i = 0; i < n; i++) {
		uint32_t b;
		memcpy(&b, p + (size_t)i * sizeof b, sizeof b);
		bad |= (b & 0x7f800000) == 0x7f800000;
	}
	return !bad;
}

bool mtl_dtype_finite(const MtlDtype *t, const char *p, int64_t n)
{
	switch (t - type) {
	case F32: return finite_floats(p, n);
	case F64: return no_ones(p, n, 8, 0x7ff00000);
	case F16: return no_ones(p, n, 2, 0x7c00);
	case BF16: return no_ones(p, n, 2, 0x7f80);
	default: return true;
	}
}

/* Five bits of exponent, ten of mantissa; exact in single precision. */
static float from_half(uint16_t h)
{
	uint32_t exponent = h >> 10 & 31, mantissa = h & 1023, bits = (exponent + 112) << 23 | mantissa << 13;
	float x;
	memcpy(&x, &bits, sizeof x);
	if (!exponent) x = (float)mantissa * 0x1p-24f;
	return h >> 15 ? -x : x;
}

static double number(const MtlDtype *t, const char *p)
{
	float x;
	double d;
	uint16_t h;
	uint32_t bits;
	switch (t - type) {
	case F64: memcpy(&d, p, sizeof d); return d;
	case F16: memcpy(&h, p, sizeof h); return (double)from_half(h);
	case BF16:
		memcpy(&h, p, sizeof h);
		bits = (uint32_t)h << 16;
		memcpy(&x, &bits, sizeof x);
		return (double)x;
	default: memcpy(&x, p, sizeof x); return (double)x;
	}
}

int64_t mtl_dtype_convert(const MtlDtype *t, const char *p, int64_t n, mtl_real *to)
{
	for (int64_t i = 0; i < n; i++) {
		to[i] = (mtl_real)number(t, p + (size_t)i * t->bytes);
		if (!isfinite(to[i])) return i;
	}
	return -1;
}
