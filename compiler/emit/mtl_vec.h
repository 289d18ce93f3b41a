/*
 * Vector words.  vL is L floats; + - * / are the compiler's.  Each word is exact to the bit on every machine:
 * min is a < b ? a : b, sellt is a < b ? c : d, a count outside 0 .. L means none or all, lanes at or beyond
 * a count are not touched in memory and read 0.  Widths beyond the machine's are not defined.
 */
#include <stdint.h>
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "no -ffast-math: the results are defined to the bit"
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define WORD static inline __attribute__((always_inline, unused))
typedef float v1;
typedef int32_t i1 __attribute__((may_alias));
typedef uint16_t h1 __attribute__((may_alias)); /* a bf16 */
typedef int8_t b1 __attribute__((may_alias));

/* To the second cache: what goes there is not held up by the few fills the first can have under way. */
WORD void prefetch(const void *p, int64_t ix)
{
	__builtin_prefetch((const void *)((uintptr_t)p + 4 * (uintptr_t)ix), 0, 2);
}

/* --- one lane --- */
WORD v1 loadn_v1(const float *p, int64_t n) { return n > 0 ? *p : 0; }
WORD v1 loadi_v1(const i1 *p) { return (float)*p; }
WORD v1 loadin_v1(const i1 *p, int64_t n) { return n > 0 ? (float)*p : 0; }
WORD void storen_v1(float *p, v1 a, int64_t n)
{
	if (n > 0) *p = a;
}
WORD v1 keep_v1(v1 a, int64_t n) { return n > 0 ? a : 0; }
WORD v1 min_v1(v1 a, v1 b) { return a < b ? a : b; }
WORD v1 max_v1(v1 a, v1 b) { return a > b ? a : b; }
WORD v1 sellt_v1(v1 a, v1 b, v1 c, v1 d) { return a < b ? c : d; }
WORD v1 abs_v1(v1 a) { return __builtin_fabsf(a); }
WORD v1 fma_v1(v1 a, v1 b, v1 c) { return __builtin_fmaf(a, b, c); }
#if defined(__SSE4_1__)
WORD v1 rint_v1(v1 a) { return _mm_cvtss_f32(_mm_round_ss(_mm_setzero_ps(), _mm_set_ss(a), 8)); }
WORD v1 sqrt_v1(v1 a) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a))); }
#else
WORD v1 rint_v1(v1 a) { return __builtin_rintf(a); }
WORD v1 sqrt_v1(v1 a) { return __builtin_sqrtf(a); }
#endif
typedef union {
	float f;
	uint32_t u;
} word_bits;
WORD v1 scalb_v1(v1 a, v1 b) { return a * (word_bits){.u = (uint32_t)((int32_t)b + 127) << 23}.f; }
WORD v1 expo_v1(v1 a) { return (float)((int32_t)((word_bits){.f = a}.u >> 23) - 127); }
WORD v1 frac_v1(v1 a) { return (word_bits){.u = ((word_bits){.f = a}.u & 0x7fffff) | 0x3f800000}.f; }

/* Words: 32 bits that are no float.  pair: b's magnitude goes to the next number with a's bits below. */
typedef int32_t word_any __attribute__((aligned(1), may_alias));
WORD v1 loadh_v1(const h1 *p) { return (word_bits){.u = (uint32_t)*p << 16}.f; }
WORD v1 loadb_v1(const b1 *p) { return (float)*p; }
WORD void storeb_v1(b1 *p, v1 a) { *p = (int8_t)(int32_t)a; }
WORD i1 words_i1(const void *p) { return *(const word_any *)p; }
WORD i1 wordsn_i1(const float *p, int64_t n) { return n > 0 ? words_i1(p) : 0; }
WORD void storen_i1(float *p, i1 a, int64_t n)
{
	if (n > 0) *(word_any *)p = a;
}
WORD i1 splat_i1(int32_t k) { return k; }
WORD void store_i1(void *p, i1 a) { *(word_any *)p = a; }
WORD v1 whole_v1(i1 a) { return (word_bits){.u = (uint32_t)a}.f; }
WORD v1 low_v1(i1 a) { return (word_bits){.u = (uint32_t)a << 16}.f; }
WORD v1 int_v1(i1 a) { return (float)a; }
WORD i1 wsub_i1(i1 a, i1 b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
WORD uint32_t byte_v1(v1 a) { return (uint32_t)(int32_t)a & 255; }
WORD i1 quad_i1(v1 a, v1 b, v1 c, v1 d)
{
	return (int32_t)(byte_v1(a) | byte_v1(b) << 8 | byte_v1(c) << 16 | byte_v1(d) << 24);
}
WORD i1 dot4_i1(i1 sum, i1 a, i1 b)
{
	uint32_t s = (uint32_t)sum;
	for (int k = 0; k < 32; k += 8) s += (uint32_t)((uint8_t)(a >> k) * (int8_t)(b >> k));
	return (int32_t)s;
}
WORD i1 pair_i1(v1 a, v1 b)
{
	uint32_t u = (word_bits){.f = a}.u, v = (word_bits){.f = b}.u, low = (u + 0x7fff + (u >> 16 & 1)) >> 16;
	int32_t high = (int32_t)((v & 0x7fffffff) + 0x8000 - low);
	uint32_t h = high < 0 ? 0 : (uint32_t)high >> 16;
	return (int32_t)((v & 0x80000000) | (h > 0x7f7f ? 0x7f7f : h) << 16 | low);
}

/* --- words that need no instruction of their own --- */
#define VECTOR(L)                                                                                            \
	typedef float v##L __attribute__((vector_size(4 * L)));                                              \
	typedef int32_t i##L __attribute__((vector_size(4 * L)));                                            \
	typedef uint32_t w##L __attribute__((vector_size(4 * L)));                                           \
	typedef float at_v##L __attribute__((vector_size(4 * L), aligned(4), may_alias));                    \
	typedef int32_t at_i##L __attribute__((vector_size(4 * L), aligned(4), may_alias));                  \
	WORD v##L load_v##L(const float *p) { return *(const at_v##L *)p; }                                  \
	WORD void store_v##L(float *p, v##L a) { *(at_v##L *)p = a; }                                        \
	WORD v##L loadi_v##L(const i1 *p) { return __builtin_convertvector(*(const at_i##L *)p, v##L); }     \
	WORD v##L abs_v##L(v##L a) { return (v##L)((i##L)a & 0x7fffffff); }                                  \
	WORD v##L expo_v##L(v##L a) { return __builtin_convertvector((i##L)((w##L)a >> 23) - 127, v##L); }   \
	WORD v##L frac_v##L(v##L a) { return (v##L)(((i##L)a & 0x7fffff) | 0x3f800000); }                    \
	WORD v##L pow2_v##L(v##L b) { return (v##L)((w##L)(__builtin_convertvector(b, i##L) + 127) << 23); } \
	typedef int8_t b##L __attribute__((vector_size(L)));                                                 \
	typedef int8_t at_b##L __attribute__((vector_size(L), aligned(1), may_alias));                       \
	typedef uint16_t h##L __attribute__((vector_size(2 * L)));                                           \
	typedef uint16_t at_h##L __attribute__((vector_size(2 * L), aligned(2), may_alias));                 \
	typedef int32_t any_i##L __attribute__((vector_size(4 * L), aligned(1), may_alias));                 \
	typedef int16_t half##L __attribute__((vector_size(4 * L)));                                         \
	typedef uint16_t uhalf##L __attribute__((vector_size(4 * L)));                                       \
	WORD v##L loadh_v##L(const h1 *p)                                                                    \
	{                                                                                                    \
		return (v##L)(__builtin_convertvector(*(const at_h##L *)p, w##L) << 16);                     \
	}                                                                                                    \
	WORD v##L loadb_v##L(const b1 *p)                                                                    \
	{                                                                                                    \
		return __builtin_convertvector(__builtin_convertvector(*(const at_b##L *)p, i##L), v##L);    \
	}                                                                                                    \
	WORD void storeb_v##L(b1 *p, v##L a)                                                                 \
	{                                                                                                    \
		*(at_b##L *)p = __builtin_convertvector(__builtin_convertvector(a, i##L), b##L);             \
	}                                                                                                    \
	WORD i##L words_i##L(const void *p) { return (i##L) * (const any_i##L *)p; }                         \
	WORD void store_i##L(void *p, i##L a) { *(any_i##L *)p = a; }                                        \
	WORD i##L splat_i##L(int32_t k) { return (i##L){0} + k; }                                            \
	WORD v##L whole_v##L(i##L a) { return (v##L)a; }                                                     \
	WORD v##L low_v##L(i##L a) { return (v##L)((w##L)a << 16); }                                         \
	WORD v##L int_v##L(i##L a) { return __builtin_convertvector(a, v##L); }                              \
	WORD i##L wsub_i##L(i##L a, i##L b) { return (i##L)((w##L)a - (w##L)b); }                            \
	WORD i##L pair_i##L(v##L a, v##L b)                                                                  \
	{                                                                                                    \
		w##L u = (w##L)a, v = (w##L)b, low = (u + 0x7fff + (u >> 16 & 1)) >> 16;                     \
		i##L high = (i##L)((v & 0x7fffffff) + 0x8000 - low);                                         \
		w##L h = (w##L)(high & ~(high >> 31)) >> 16, most = (w##L)(h > 0x7f7f);                      \
		return (i##L)((v & 0x80000000) | ((h & ~most) | (most & 0x7f7f)) << 16 | low);               \
	}                                                                                                    \
	WORD w##L byte_v##L(v##L a) { return (w##L)__builtin_convertvector(a, i##L) & 255; }                 \
	WORD i##L quad_i##L(v##L a, v##L b, v##L c, v##L d)                                                  \
	{                                                                                                    \
		return (i##L)(byte_v##L(a) | byte_v##L(b) << 8 | byte_v##L(c) << 16 | byte_v##L(d) << 24);   \
	}                                                                                                    \
	WORD i##L halves_i##L(half##L x)                                                                     \
	{                                                                                                    \
		i##L w = (i##L)x;                                                                            \
		return ((i##L)((w##L)w << 16) >> 16) + (w >> 16);                                            \
	}                                                                                                    \
	/* products of a byte and a signed one fit in sixteen bits */                                        \
	WORD i##L dot4_any_i##L(i##L sum, i##L a, i##L b)                                                    \
	{                                                                                                    \
		uhalf##L x = (uhalf##L)a, y = (uhalf##L)b;                                                   \
		half##L even = (half##L)(x & 255) * ((half##L)(y << 8) >> 8),                                \
			odd = (half##L)(x >> 8) * ((half##L)y >> 8);                                         \
		return (i##L)((w##L)sum + (w##L)halves_i##L(even) + (w##L)halves_i##L(odd));                 \
	}
/* Some words of a buffer of floats. */
#define SOME(L)                                                                                              \
	WORD i##L wordsn_i##L(const float *p, int64_t n) { return (i##L)loadn_v##L(p, n); }                  \
	WORD void storen_i##L(float *p, i##L a, int64_t n) { storen_v##L(p, (v##L)a, n); }
#define DOT4(L)                                                                                              \
	WORD i##L dot4_i##L(i##L sum, i##L a, i##L b) { return dot4_any_i##L(sum, a, b); }

#define SCALB(L)                                                                                             \
	WORD v##L scalb_v##L(v##L a, v##L b) { return a * pow2_v##L(b); }

/* Counts without masks in the machine: only what exists is touched. */
#define PART(L)                                                                                              \
	WORD v##L loadn_v##L(const float *p, int64_t n)                                                      \
	{                                                                                                    \
		v##L r = {0};                                                                                \
		for (int l = 0; l < L && l < n; l++) r[l] = p[l];                                            \
		return r;                                                                                    \
	}                                                                                                    \
	WORD v##L loadin_v##L(const i1 *p, int64_t n)                                                        \
	{                                                                                                    \
		v##L r = {0};                                                                                \
		for (int l = 0; l < L && l < n; l++) r[l] = (float)p[l];                                     \
		return r;                                                                                    \
	}                                                                                                    \
	WORD void storen_v##L(float *p, v##L a, int64_t n)                                                   \
	{                                                                                                    \
		for (int l = 0; l < L && l < n; l++) p[l] = a[l];                                            \
	}

/* Selection by bits. */
#define CHOOSE(L)                                                                                            \
	WORD v##L sellt_v##L(v##L a, v##L b, v##L c, v##L d)                                                 \
	{                                                                                                    \
		i##L m = a < b;                                                                              \
		return (v##L)((m & (i##L)c) | (~m & (i##L)d));                                               \
	}                                                                                                    \
	WORD v##L min_v##L(v##L a, v##L b) { return sellt_v##L(a, b, a, b); }                                \
	WORD v##L max_v##L(v##L a, v##L b) { return sellt_v##L(b, a, a, b); }

#define COUNT(L) (n < 0 ? 0 : n > L ? L : (int)n)

/* --- two lanes --- */
VECTOR(2)
PART(2)
CHOOSE(2)
SCALB(2)
DOT4(2)
WORD v2 splat_v2(float s) { return (v2){s, s}; }
SOME(2)
typedef double word_pair __attribute__((vector_size(8)));
WORD v2 keep_v2(v2 a, int64_t n) { return (v2){n > 0 ? a[0] : 0, n > 1 ? a[1] : 0}; }
WORD v2 rint_v2(v2 a) { return (v2){rint_v1(a[0]), rint_v1(a[1])}; }
WORD v2 sqrt_v2(v2 a) { return (v2){sqrt_v1(a[0]), sqrt_v1(a[1])}; }
WORD v2 fma_v2(v2 a, v2 b, v2 c) { return (v2){fma_v1(a[0], b[0], c[0]), fma_v1(a[1], b[1], c[1])}; }

/* --- four lanes: SSE4.1 and later, or NEON, or lane by lane --- */
VECTOR(4)
SCALB(4)
DOT4(4)
WORD v4 splat_v4(float s) { return (v4){s, s, s, s}; }
WORD v4 splat_v4_v2(v2 a) { return __builtin_shufflevector(a, a, 0, 1, 0, 1); }
WORD i4 mask_v4(int64_t n)
{
	int k = COUNT(4);
	return (i4){0, 1, 2, 3} < (i4){k, k, k, k};
}
WORD v4 keep_v4(v4 a, int64_t n) { return (v4)((i4)a & mask_v4(n)); }
#if defined(__SSE4_1__)
WORD v4 min_v4(v4 a, v4 b) { return (v4)_mm_min_ps((__m128)a, (__m128)b); }
WORD v4 max_v4(v4 a, v4 b) { return (v4)_mm_max_ps((__m128)a, (__m128)b); }
WORD v4 rint_v4(v4 a) { return (v4)_mm_round_ps((__m128)a, 8); }
WORD v4 sqrt_v4(v4 a) { return (v4)_mm_sqrt_ps((__m128)a); }
WORD v4 sellt_v4(v4 a, v4 b, v4 c, v4 d)
{
	return (v4)_mm_blendv_ps((__m128)d, (__m128)c, _mm_cmplt_ps((__m128)a, (__m128)b));
}
#elif defined(__aarch64__)
CHOOSE(4)
WORD v4 rint_v4(v4 a) { return (v4)vrndnq_f32((float32x4_t)a); }
WORD v4 sqrt_v4(v4 a) { return (v4)vsqrtq_f32((float32x4_t)a); }
#else
CHOOSE(4)
WORD v4 rint_v4(v4 a) { return (v4){rint_v1(a[0]), rint_v1(a[1]), rint_v1(a[2]), rint_v1(a[3])}; }
WORD v4 sqrt_v4(v4 a) { return (v4){sqrt_v1(a[0]), sqrt_v1(a[1]), sqrt_v1(a[2]), sqrt_v1(a[3])}; }
#endif
#if defined(__FMA__)
WORD v4 fma_v4(v4 a, v4 b, v4 c) { return (v4)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c); }
#elif defined(__aarch64__)
WORD v4 fma_v4(v4 a, v4 b, v4 c) { return (v4)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#endif
#if defined(__AVX__)
WORD v4 loadn_v4(const float *p, int64_t n) { return (v4)_mm_maskload_ps(p, (__m128i)mask_v4(n)); }
WORD v4 loadin_v4(const i1 *p, int64_t n)
{
	return __builtin_convertvector((i4)_mm_maskload_ps((const float *)p, (__m128i)mask_v4(n)), v4);
}
WORD void storen_v4(float *p, v4 a, int64_t n) { _mm_maskstore_ps(p, (__m128i)mask_v4(n), (__m128)a); }
#else
PART(4)
#endif
SOME(4)

/* --- eight lanes: AVX2 with FMA --- */
#if defined(__AVX2__) && defined(__FMA__)
VECTOR(8)
SCALB(8)
DOT4(8)
WORD v8 splat_v8(float s) { return (v8)_mm256_set1_ps(s); }
WORD v8 splat_v8_v2(v2 a) { return (v8)_mm256_set1_pd(((word_pair)a)[0]); }
WORD v8 splat_v8_v4(v4 a) { return (v8)_mm256_set_m128((__m128)a, (__m128)a); }
WORD i8 mask_v8(int64_t n)
{
	int k = COUNT(8);
	return (i8){0, 1, 2, 3, 4, 5, 6, 7} < (i8){k, k, k, k, k, k, k, k};
}
WORD v8 keep_v8(v8 a, int64_t n) { return (v8)((i8)a & mask_v8(n)); }
WORD v8 loadn_v8(const float *p, int64_t n) { return (v8)_mm256_maskload_ps(p, (__m256i)mask_v8(n)); }
WORD v8 loadin_v8(const i1 *p, int64_t n)
{
	return __builtin_convertvector((i8)_mm256_maskload_ps((const float *)p, (__m256i)mask_v8(n)), v8);
}
WORD void storen_v8(float *p, v8 a, int64_t n) { _mm256_maskstore_ps(p, (__m256i)mask_v8(n), (__m256)a); }
SOME(8)
WORD v8 min_v8(v8 a, v8 b) { return (v8)_mm256_min_ps((__m256)a, (__m256)b); }
WORD v8 max_v8(v8 a, v8 b) { return (v8)_mm256_max_ps((__m256)a, (__m256)b); }
WORD v8 sellt_v8(v8 a, v8 b, v8 c, v8 d)
{
	return (v8)_mm256_blendv_ps((__m256)d, (__m256)c, _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ));
}
WORD v8 rint_v8(v8 a) { return (v8)_mm256_round_ps((__m256)a, 8); }
WORD v8 sqrt_v8(v8 a) { return (v8)_mm256_sqrt_ps((__m256)a); }
WORD v8 fma_v8(v8 a, v8 b, v8 c) { return (v8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#endif

/* --- sixteen lanes: AVX-512 --- */
#if defined(__AVX512F__)
VECTOR(16)
#if defined(__AVX512VNNI__)
WORD i16 dot4_i16(i16 sum, i16 a, i16 b)
{
	return (i16)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#else
DOT4(16)
#endif
WORD v16 splat_v16(float s) { return (v16)_mm512_set1_ps(s); }
WORD v16 splat_v16_v2(v2 a) { return (v16)_mm512_set1_pd(((word_pair)a)[0]); }
WORD v16 splat_v16_v4(v4 a) { return (v16)_mm512_broadcast_f32x4((__m128)a); }
WORD v16 splat_v16_v8(v8 a) { return (v16)_mm512_broadcast_f32x8((__m256)a); }
WORD __mmask16 mask_v16(int64_t n) { return (__mmask16)((1u << COUNT(16)) - 1); }
WORD v16 keep_v16(v16 a, int64_t n) { return (v16)_mm512_maskz_mov_ps(mask_v16(n), (__m512)a); }
WORD v16 loadn_v16(const float *p, int64_t n) { return (v16)_mm512_maskz_loadu_ps(mask_v16(n), p); }
WORD v16 loadin_v16(const i1 *p, int64_t n)
{
	return (v16)_mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask_v16(n), p));
}
WORD void storen_v16(float *p, v16 a, int64_t n) { _mm512_mask_storeu_ps(p, mask_v16(n), (__m512)a); }
SOME(16)
WORD v16 min_v16(v16 a, v16 b) { return (v16)_mm512_min_ps((__m512)a, (__m512)b); }
WORD v16 max_v16(v16 a, v16 b) { return (v16)_mm512_max_ps((__m512)a, (__m512)b); }
WORD v16 sellt_v16(v16 a, v16 b, v16 c, v16 d)
{
	__mmask16 m = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
	return (v16)_mm512_mask_blend_ps(m, (__m512)d, (__m512)c);
}
WORD v16 rint_v16(v16 a) { return (v16)_mm512_roundscale_ps((__m512)a, 8); }
WORD v16 sqrt_v16(v16 a) { return (v16)_mm512_sqrt_ps((__m512)a); }
WORD v16 fma_v16(v16 a, v16 b, v16 c) { return (v16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
WORD v16 scalb_v16(v16 a, v16 b) { return (v16)_mm512_scalef_ps((__m512)a, (__m512)b); }
#endif
