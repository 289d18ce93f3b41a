/*
 * Decimal text to a correctly rounded double.
 *
 * A decimal m * 10^e with m <= 2^53 and |e| <= 22 is one exact double times or divided by another, so a
 * single rounding gives the right answer (Clinger).  Nearly every cell of a log is of that kind; the rest
 * goes to strtod.
 */
#define _GNU_SOURCE /* strtod_l */
#include "number.h"
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1000, EXACT_POWER = 22, DIGITS = 19, FAR = 100000 };

static const double power_of_ten[EXACT_POWER + 1] = {1e0,  1e1,	 1e2,  1e3,  1e4,  1e5,	 1e6,  1e7,
						     1e8,  1e9,	 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
						     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The text has the right form.  newlocale for "C" hands out a constant: no memory, no lock. */
static bool slow(const char *p, size_t n, double *out)
{
	char text[LONGEST];
	if (n >= sizeof text) return false;
	memcpy(text, p, n);
	text[n] = '\0';
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c) return false;
	double x = strtod_l(text, NULL, c);
	freelocale(c);
	if (!isfinite(x)) return false;
	*out = x;
	return true;
}

/* Digits from p on, appended to *m, which overflows after the 19th; returns where they end. */
static inline const char *digits(const char *p, const char *end, uint64_t *m)
{
	uint64_t x = *m;
	for (; p < end && (unsigned char)(*p - '0') < 10; p++) x = x * 10 + (uint64_t)(*p - '0');
	*m = x;
	return p;
}

bool mtl_number(const char *p, size_t n, double *out)
{
	const char *at = p, *end = p + n;
	bool minus = at < end && *at == '-';
	if (minus || (at < end && *at == '+')) at++;

	uint64_t m = 0;
	int64_t e10 = 0;
	const char *first = at;
	at = digits(at, end, &m);
	int64_t count = at - first;
	if (at < end && *at == '.') {
		const char *from = at + 1;
		at = digits(from, end, &m);
		e10 = from - at;
		count += at - from;
	}
	if (!count) return false;
	for (; count > DIGITS && (*first == '0' || *first == '.'); first++) count -= *first == '0';
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		bool down = at < end && *at == '-';
		if (down || (at < end && *at == '+')) at++;
		if (at == end) return false;
		int64_t x = 0;
		for (; at < end && (unsigned char)(*at - '0') < 10; at++)
			if (x < FAR) x = x * 10 + (*at - '0');
		e10 += down ? -x : x;
	}
	if (at != end) return false;

	if (count <= DIGITS && m <= (UINT64_C(1) << 53) && e10 >= -EXACT_POWER && e10 <= EXACT_POWER) {
		double x = (double)m;
		x = e10 < 0 ? x / power_of_ten[-e10] : x * power_of_ten[e10];
		*out = minus ? -x : x;
		return true;
	}
	return slow(p, n, out);
}
