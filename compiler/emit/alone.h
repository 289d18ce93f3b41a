/* ---- in place of files and libraries ---- */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct MtlSys {
	int none;
} MtlSys;
static const MtlSys mtl_sys = {0};
typedef struct MtlStore MtlStore;

/* n objects of `each` bytes, zeroed, on a line of the cache; the block's own address lies before it. */
static void *mtl_alloc(size_t n, size_t each)
{
	enum { LINE = 64 };
	if (each && n > (SIZE_MAX - 2 * LINE) / each) return NULL;
	char *block = calloc(1, n * each + 2 * LINE);
	if (!block) return NULL;
	char *p = block + 2 * LINE - (uintptr_t)block % LINE;
	memcpy(p - sizeof block, &block, sizeof block);
	return p;
}
#define mtl_new(sys, T, n) ((T *)((void)(sys), mtl_alloc((size_t)(n), sizeof(T))))

static void mtl_release(const MtlSys *sys, void *p)
{
	char *block;
	(void)sys;
	if (!p) return;
	memcpy(&block, (char *)p - sizeof block, sizeof block);
	free(block);
}

/* ---- XXH3, 64 bits, seed 0: how text becomes a row of a hashed table ---- */

static const unsigned char xxh_secret[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};
#define XXH_A 0x9E3779B185EBCA87u
#define XXH_B 0xC2B2AE3D27D4EB4Fu
#define XXH_C 0x165667B19E3779F9u
#define XXH_D 0x85EBCA77C2B2AE63u
#define XXH_E 0x27D4EB2F165667C5u

/* Little-endian, whatever the machine. */
static uint64_t xxh_le(const unsigned char *p, int bytes)
{
	uint64_t x = 0;
	while (bytes--) x = x << 8 | p[bytes];
	return x;
}
static uint64_t xxh_le8(const unsigned char *p) { return xxh_le(p, 8); }

/* The halves of a 128-bit product, one onto the other. */
static uint64_t xxh_fold(uint64_t a, uint64_t b)
{
	uint64_t al = a & 0xffffffff, ah = a >> 32, bl = b & 0xffffffff, bh = b >> 32;
	uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, middle = (ll >> 32) + (lh & 0xffffffff) + hl;
	return (middle << 32 | (ll & 0xffffffff)) ^ (ah * bh + (lh >> 32) + (middle >> 32));
}

static uint64_t xxh_end(uint64_t h)
{
	h = (h ^ h >> 37) * 0x165667919E3779F9u;
	return h ^ h >> 32;
}

static uint64_t xxh_16(const unsigned char *p, const unsigned char *secret)
{
	return xxh_fold(xxh_le8(p) ^ xxh_le8(secret), xxh_le8(p + 8) ^ xxh_le8(secret + 8));
}

static uint64_t xxh_turn(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t xxh_to_16(const unsigned char *p, size_t n)
{
	const unsigned char *s = xxh_secret;
	if (n > 8) {
		uint64_t lo = xxh_le8(p) ^ xxh_le8(s + 24) ^ xxh_le8(s + 32),
			 hi = xxh_le8(p + n - 8) ^ xxh_le8(s + 40) ^ xxh_le8(s + 48), swapped = 0;
		for (int i = 0; i < 64; i += 8) swapped |= (lo >> i & 0xff) << (56 - i);
		return xxh_end(n + swapped + hi + xxh_fold(lo, hi));
	}
	if (n > 3) {
		uint64_t h = (xxh_le(p + n - 4, 4) + (xxh_le(p, 4) << 32)) ^ xxh_le8(s + 8) ^ xxh_le8(s + 16);
		h ^= xxh_turn(h, 49) ^ xxh_turn(h, 24);
		h *= 0x9FB21C651E98DF25u;
		h ^= (h >> 35) + n;
		h *= 0x9FB21C651E98DF25u;
		return h ^ h >> 28;
	}
	uint64_t h = xxh_le8(s + 56) ^ xxh_le8(s + 64);
	if (n)
		h = ((uint64_t)p[0] << 16 | (uint64_t)p[n >> 1] << 24 | p[n - 1] | (uint64_t)n << 8) ^
		    (xxh_le(s, 4) ^ xxh_le(s + 4, 4));
	h = (h ^ h >> 33) * XXH_B;
	h = (h ^ h >> 29) * XXH_C;
	return h ^ h >> 32;
}

static uint64_t xxh_to_240(const unsigned char *p, size_t n)
{
	const unsigned char *s = xxh_secret;
	uint64_t h = n * XXH_A;
	if (n <= 128) {
		for (size_t i = (n - 1) / 32 + 1; i-- > 0;) {
			h += xxh_16(p + 16 * i, s + 32 * i);
			h += xxh_16(p + n - 16 * (i + 1), s + 32 * i + 16);
		}
		return xxh_end(h);
	}
	for (size_t i = 0; i < n / 16; i++) {
		if (i == 8) h = xxh_end(h);
		h += xxh_16(p + 16 * i, i < 8 ? s + 16 * i : s + 16 * (i - 8) + 3);
	}
	return xxh_end((n < 144 ? xxh_end(h) : h) + xxh_16(p + n - 16, s + 119));
}

static void xxh_stripe(uint64_t *h, const unsigned char *p, const unsigned char *s)
{
	for (int i = 0; i < 8; i++) {
		uint64_t x = xxh_le8(p + 8 * i), k = x ^ xxh_le8(s + 8 * i);
		h[i ^ 1] += x;
		h[i] += (k & 0xffffffff) * (k >> 32);
	}
}

static uint64_t xxh_long(const unsigned char *p, size_t n)
{
	enum { STRIPE = 64, BLOCK = 1024 };
	uint64_t h[8] = {0xC2B2AE3D, XXH_A, XXH_B, XXH_C, XXH_D, 0x85EBCA77, XXH_E, 0x9E3779B1};
	for (size_t at = 0; at + STRIPE < n; at += STRIPE) {
		xxh_stripe(h, p + at, xxh_secret + at % BLOCK / 8);
		if (at % BLOCK == BLOCK - STRIPE)
			for (int i = 0; i < 8; i++)
				h[i] = (h[i] ^ h[i] >> 47 ^ xxh_le8(xxh_secret + 128 + 8 * i)) * 0x9E3779B1u;
	}
	xxh_stripe(h, p + n - STRIPE, xxh_secret + 121);
	uint64_t all = n * XXH_A;
	for (int i = 0; i < 4; i++)
		all += xxh_fold(h[2 * i] ^ xxh_le8(xxh_secret + 11 + 16 * i),
				h[2 * i + 1] ^ xxh_le8(xxh_secret + 19 + 16 * i));
	return xxh_end(all);
}

static uint64_t xxh3(const void *text, size_t n)
{
	const unsigned char *p = text;
	return n <= 16 ? xxh_to_16(p, n) : n <= 240 ? xxh_to_240(p, n) : xxh_long(p, n);
}
