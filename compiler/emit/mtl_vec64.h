/*
 * Vector words in double precision: vL is L doubles, whatever the machine has; the compiler cuts them up.  A
 * mode of precision, not of speed: words go lane by lane.  Their meaning is that of mtl_vec.h.
 */
#include <stdint.h>
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "no -ffast-math: the results are defined to the bit"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define WORD static inline __attribute__((always_inline, unused))
typedef double v1;
typedef int32_t i1 __attribute__((may_alias));

/* To the second cache: what goes there is not held up by the few fills the first can have under way. */
WORD void prefetch(const void *p, int64_t ix)
{
	__builtin_prefetch((const void *)((uintptr_t)p + 8 * (uintptr_t)ix), 0, 2);
}

/* --- one lane --- */
WORD v1 loadn_v1(const double *p, int64_t n) { return n > 0 ? *p : 0; }
WORD v1 loadi_v1(const i1 *p) { return (double)*p; }
WORD v1 loadin_v1(const i1 *p, int64_t n) { return n > 0 ? (double)*p : 0; }
WORD void storen_v1(double *p, v1 a, int64_t n)
{
	if (n > 0) *p = a;
}
WORD v1 keep_v1(v1 a, int64_t n) { return n > 0 ? a : 0; }
WORD v1 min_v1(v1 a, v1 b) { return a < b ? a : b; }
WORD v1 max_v1(v1 a, v1 b) { return a > b ? a : b; }
WORD v1 sellt_v1(v1 a, v1 b, v1 c, v1 d) { return a < b ? c : d; }
WORD v1 abs_v1(v1 a) { return __builtin_fabs(a); }
WORD v1 fma_v1(v1 a, v1 b, v1 c) { return __builtin_fma(a, b, c); }
WORD v1 rint_v1(v1 a) { return __builtin_rint(a); }
WORD v1 sqrt_v1(v1 a) { return __builtin_sqrt(a); }
typedef union {
	double f;
	uint64_t u;
} word_bits;
WORD v1 scalb_v1(v1 a, v1 b) { return a * (word_bits){.u = (uint64_t)((int64_t)b + 1023) << 52}.f; }
WORD v1 expo_v1(v1 a) { return (double)((int64_t)((word_bits){.f = a}.u >> 52) - 1023); }
WORD v1 frac_v1(v1 a)
{
	return (word_bits){.u = ((word_bits){.f = a}.u & 0xfffffffffffff) | 0x3ff0000000000000}.f;
}

/* --- several --- */
#define LANES(L, value)                                                                                      \
	{                                                                                                    \
		v##L r;                                                                                      \
		for (int l = 0; l < L; l++) r[l] = (value);                                                  \
		return r;                                                                                    \
	}
#define VECTOR(L)                                                                                            \
	typedef double v##L __attribute__((vector_size(8 * L)));                                             \
	typedef double at_v##L __attribute__((vector_size(8 * L), aligned(8), may_alias));                   \
	WORD v##L load_v##L(const double *p) { return *(const at_v##L *)p; }                                 \
	WORD void store_v##L(double *p, v##L a) { *(at_v##L *)p = a; }                                       \
	WORD v##L loadn_v##L(const double *p, int64_t n) LANES(L, l < n ? p[l] : 0)                          \
	    WORD v##L loadi_v##L(const i1 *p) LANES(L, (double)p[l])                                         \
		WORD v##L loadin_v##L(const i1 *p, int64_t n) LANES(L, l < n ? (double)p[l] : 0)             \
		    WORD void storen_v##L(double *p, v##L a, int64_t n)                                      \
	{                                                                                                    \
		for (int l = 0; l < L && l < n; l++) p[l] = a[l];                                            \
	}                                                                                                    \
	WORD v##L keep_v##L(v##L a, int64_t n) LANES(L, l < n ? a[l] : 0) WORD v##L splat_v##L(double s)     \
	    LANES(L, s) WORD v##L min_v##L(v##L a, v##L b) LANES(L, min_v1(a[l], b[l]))                      \
		WORD v##L max_v##L(v##L a, v##L b) LANES(L, max_v1(a[l], b[l]))                              \
		    WORD v##L sellt_v##L(v##L a, v##L b, v##L c, v##L d)                                     \
			LANES(L, sellt_v1(a[l], b[l], c[l], d[l])) WORD v##L abs_v##L(v##L a)                \
			    LANES(L, abs_v1(a[l])) WORD v##L fma_v##L(v##L a, v##L b, v##L c)                \
				LANES(L, fma_v1(a[l], b[l], c[l])) WORD v##L rint_v##L(v##L a)               \
				    LANES(L, rint_v1(a[l])) WORD v##L sqrt_v##L(v##L a)                      \
					LANES(L, sqrt_v1(a[l])) WORD v##L scalb_v##L(v##L a, v##L b)         \
					    LANES(L, scalb_v1(a[l], b[l])) WORD v##L expo_v##L(v##L a)       \
						LANES(L, expo_v1(a[l])) WORD v##L frac_v##L(v##L a)          \
						    LANES(L, frac_v1(a[l]))
VECTOR(2)
VECTOR(4)
VECTOR(8)
VECTOR(16)
WORD v4 splat_v4_v2(v2 a) LANES(4, a[l % 2])
WORD v8 splat_v8_v2(v2 a) LANES(8, a[l % 2])
WORD v8 splat_v8_v4(v4 a) LANES(8, a[l % 4])
WORD v16 splat_v16_v2(v2 a) LANES(16, a[l % 2])
WORD v16 splat_v16_v4(v4 a) LANES(16, a[l % 4])
WORD v16 splat_v16_v8(v8 a) LANES(16, a[l % 8])
