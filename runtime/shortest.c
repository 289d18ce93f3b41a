/*
 * Shortest decimals by exact integer arithmetic, after R. Giulietti, "The Schubfach way to render doubles"
 * (2020).
 *
 * x = c 2^q is the nearest float of every number in the interval (c - 1/2) 2^q .. (c + 1/2) 2^q (below a
 * power of two it reaches down only half as far).  With 10^k <= its width < 10^(k+1) it holds a multiple of
 * 10^k surely and one of 10^(k+1) at most: the latter is the shortest where there is one, otherwise the
 * nearest of the former.
 */
#include "shortest.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 10^e, e = -31 .. 45, is power_of_ten[e + 31] * 2^(log2_of_ten(e) - 63), rounded up; exact for 0 .. 27. */
static const uint64_t power_of_ten[] = {
    UINT64_C(0x81ceb32c4b43fcf5), UINT64_C(0xa2425ff75e14fc32), UINT64_C(0xcad2f7f5359a3b3f),
    UINT64_C(0xfd87b5f28300ca0e), UINT64_C(0x9e74d1b791e07e49), UINT64_C(0xc612062576589ddb),
    UINT64_C(0xf79687aed3eec552), UINT64_C(0x9abe14cd44753b53), UINT64_C(0xc16d9a0095928a28),
    UINT64_C(0xf1c90080baf72cb2), UINT64_C(0x971da05074da7bef), UINT64_C(0xbce5086492111aeb),
    UINT64_C(0xec1e4a7db69561a6), UINT64_C(0x9392ee8e921d5d08), UINT64_C(0xb877aa3236a4b44a),
    UINT64_C(0xe69594bec44de15c), UINT64_C(0x901d7cf73ab0acda), UINT64_C(0xb424dc35095cd810),
    UINT64_C(0xe12e13424bb40e14), UINT64_C(0x8cbccc096f5088cc), UINT64_C(0xafebff0bcb24aaff),
    UINT64_C(0xdbe6fecebdedd5bf), UINT64_C(0x89705f4136b4a598), UINT64_C(0xabcc77118461cefd),
    UINT64_C(0xd6bf94d5e57a42bd), UINT64_C(0x8637bd05af6c69b6), UINT64_C(0xa7c5ac471b478424),
    UINT64_C(0xd1b71758e219652c), UINT64_C(0x83126e978d4fdf3c), UINT64_C(0xa3d70a3d70a3d70b),
    UINT64_C(0xcccccccccccccccd), UINT64_C(0x8000000000000000), UINT64_C(0xa000000000000000),
    UINT64_C(0xc800000000000000), UINT64_C(0xfa00000000000000), UINT64_C(0x9c40000000000000),
    UINT64_C(0xc350000000000000), UINT64_C(0xf424000000000000), UINT64_C(0x9896800000000000),
    UINT64_C(0xbebc200000000000), UINT64_C(0xee6b280000000000), UINT64_C(0x9502f90000000000),
    UINT64_C(0xba43b74000000000), UINT64_C(0xe8d4a51000000000), UINT64_C(0x9184e72a00000000),
    UINT64_C(0xb5e620f480000000), UINT64_C(0xe35fa931a0000000), UINT64_C(0x8e1bc9bf04000000),
    UINT64_C(0xb1a2bc2ec5000000), UINT64_C(0xde0b6b3a76400000), UINT64_C(0x8ac7230489e80000),
    UINT64_C(0xad78ebc5ac620000), UINT64_C(0xd8d726b7177a8000), UINT64_C(0x878678326eac9000),
    UINT64_C(0xa968163f0a57b400), UINT64_C(0xd3c21bcecceda100), UINT64_C(0x84595161401484a0),
    UINT64_C(0xa56fa5b99019a5c8), UINT64_C(0xcecb8f27f4200f3a), UINT64_C(0x813f3978f8940985),
    UINT64_C(0xa18f07d736b90be6), UINT64_C(0xc9f2c9cd04674edf), UINT64_C(0xfc6f7c4045812297),
    UINT64_C(0x9dc5ada82b70b59e), UINT64_C(0xc5371912364ce306), UINT64_C(0xf684df56c3e01bc7),
    UINT64_C(0x9a130b963a6c115d), UINT64_C(0xc097ce7bc90715b4), UINT64_C(0xf0bdc21abb48db21),
    UINT64_C(0x96769950b50d88f5), UINT64_C(0xbc143fa4e250eb32), UINT64_C(0xeb194f8e1ae525fe),
    UINT64_C(0x92efd1b8d0cf37bf), UINT64_C(0xb7abc627050305ae), UINT64_C(0xe596b7b0c643c71a),
    UINT64_C(0x8f7e32ce7bea5c70), UINT64_C(0xb35dbf821ae4f38c),
};

/* Floors of q log10 2, of log10 (3/4 2^q) and of e log2 10; exact over the range used here. */
static int log10_of_two(int q) { return (q * 1262611) >> 22; }
static int log10_of_less(int q) { return (q * 1262611 - 524031) >> 22; }
static int log2_of_ten(int e) { return (e * 1741647) >> 19; }

/*
 * floor(g x / 2^64), its last bit set where that is not exact: comparisons with even numbers are then exact.
 * g errs by less than 1 and x < 2^32, so an exact result leaves less than 2^32 in the low half; over all
 * floats the smallest other rest is 1.2 2^32 and the largest 2^64 - 5.8 2^32.
 */
static uint32_t scaled(uint64_t g, uint32_t x)
{
	unsigned __int128 p = (unsigned __int128)g * x;
	return (uint32_t)(p >> 64) | (((uint64_t)p >> 32) != 0);
}

/* digits * 10^*exponent for a float > 0 from its bits. */
static uint32_t shortest(uint32_t bits, int *exponent)
{
	uint32_t fraction = bits & 0x7fffff, biased = bits >> 23;
	uint32_t c = biased ? fraction | 0x800000 : fraction;
	int q = (biased ? (int)biased : 1) - 150;
	bool closer = fraction == 0 && biased > 1;
	int k = closer ? log10_of_less(q) : log10_of_two(q);
	int shift = q + log2_of_ten(-k) + 1; /* 1 .. 4 */
	uint64_t g = power_of_ten[31 - k];

	/* Quarters of 10^k.  Ties go to even c: then the ends belong to the interval. */
	uint32_t odd = c & 1;
	uint32_t low = scaled(g, (4 * c - (closer ? 1 : 2)) << shift) + odd;
	uint32_t x = scaled(g, 4 * c << shift);
	uint32_t high = scaled(g, (4 * c + 2) << shift) - odd;

	uint32_t s = x / 4;
	if (s >= 10) {
		uint32_t ten = s / 10;
		bool down = low <= 40 * ten, up = 40 * ten + 40 <= high;
		if (down || up) {
			*exponent = k + 1;
			return ten + !down;
		}
	}
	*exponent = k;
	bool down = low <= 4 * s, up = 4 * s + 4 <= high;
	if (down != up) return s + up;
	return s + (x > 4 * s + 2 || (x == 4 * s + 2 && (s & 1)));
}

int mtl_print_float(char *out, float value)
{
	uint32_t bits;
	char *p = out, digit[10];

	memcpy(&bits, &value, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000) return (int)(stpcpy(p, "nan") - out);
	if (bits >> 31) *p++ = '-';
	bits &= 0x7fffffff;
	if (bits == 0x7f800000) return (int)(stpcpy(p, "inf") - out);
	if (bits == 0) return (int)(stpcpy(p, "0") - out);

	int exponent, n = 0;
	uint32_t d = shortest(bits, &exponent);
	for (; d % 10 == 0; d /= 10) exponent++;
	for (; d; d /= 10) digit[9 - n++] = (char)('0' + d % 10);
	const char *first = digit + 10 - n;
	int point = n + exponent; /* value = 0.DIGITS * 10^point */

	if (point > 9 || point < -4) {
		*p++ = first[0];
		if (n > 1) *p++ = '.';
		for (int i = 1; i < n; i++) *p++ = first[i];
		int e = point - 1;
		*p++ = 'e';
		*p++ = e < 0 ? '-' : '+';
		e = e < 0 ? -e : e;
		*p++ = (char)('0' + e / 10);
		*p++ = (char)('0' + e % 10);
	} else {
		if (point <= 0) {
			*p++ = '0';
			*p++ = '.';
		}
		for (int i = point; i < 0; i++) *p++ = '0';
		for (int i = 0; i < n; i++) {
			if (i && i == point) *p++ = '.';
			*p++ = first[i];
		}
		for (int i = n; i < point; i++) *p++ = '0';
	}
	*p = '\0';
	return (int)(p - out);
}

int mtl_print_double(char *out, double x)
{
	int n = 0;
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(out, MTL_FLOAT_TEXT, "%.*g", digits, x);
		if (strtod(out, NULL) == x) break;
	}
	return n;
}
