/* Decimal text to double: what is a number, and which double it is. */
#include "number.h"
#include "suite.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse(const char *s, double *x) { return mtl_number(s, strlen(s), x); }

static void is(const char *s, double expected)
{
	double x = -77;
	bool good = parse(s, &x) && memcmp(&x, &expected, sizeof x) == 0;
	if (!good) fprintf(stderr, "\"%s\" gave %a, not %a\n", s, x, expected);
	CU_ASSERT(good);
}

static void plain_decimals(void)
{
	is("0", 0.0);
	is("-0", -0.0);
	is("+7", 7.0);
	is("12.5", 0x1.9p3);
	is("0.1", 0x1.999999999999ap-4);
	is(".5", 0.5);
	is("5.", 5.0);
	is("1e3", 1000.0);
	is("1E-2", 0x1.47ae147ae147bp-7);
	is("0000000000000000000000000000012", 12.0);
	is("0.000000000000000000000000000001", 0x1.4484bfeebc2ap-100);
}

/* Cases that a multiplication of rounded parts gets wrong. */
static void correctly_rounded(void)
{
	is("9007199254740993", 0x1p53); /* 2^53 + 1: a tie, to even */
	is("9007199254740993.000000001", 0x1.0000000000001p53);
	is("1.7976931348623157e308", 0x1.fffffffffffffp1023);
	is("2.2250738585072011e-308", 0x0.fffffffffffffp-1022);
	is("4.9406564584124654e-324", 0x1p-1074);
	is("1e-400", 0.0);
	is("1e23", 0x1.52d02c7e14af6p76); /* nearest is below 10^23 */
	is("123456789012345678901234567890", 0x1.8ee90ff6c373ep96);
}

static void not_numbers(void)
{
	static const char *const wrong[] = {"",	     "-",   "+",    ".",    "-.",    "e5", "1e", "1e+",
					    "nan",   "inf", "-inf", "NaN",  "0x10",  " 1", "1 ", "1,5",
					    "1.2.3", "--1", "1_0",  "1e5x", "1e400", "1d3"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		double x = 3;
		if (parse(wrong[i], &x)) fprintf(stderr, "\"%s\" passed as a number\n", wrong[i]);
		CU_ASSERT_FALSE(parse(wrong[i], &x));
		CU_ASSERT_EQUAL(x, 3);
	}
	char text[1200];
	double x;
	memset(text, '1', sizeof text);
	text[1] = '.';
	CU_ASSERT_TRUE(mtl_number(text, 999, &x));
	CU_ASSERT_FALSE(mtl_number(text, 1000, &x));
}

/* Every double printed with 17 digits comes back, and short decimals agree with strtod. */
static void agrees_with_strtod(void)
{
	uint64_t s = 1;
	int wrong = 0;
	for (int i = 0; i < 200000; i++) {
		char text[64];
		double v, x = 0;
		s = s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		uint64_t bits = s ^ (s >> 29);
		memcpy(&v, &bits, sizeof v);
		if (!isfinite(v)) continue;
		if (i % 2)
			snprintf(text, sizeof text, "%.17g", v);
		else
			snprintf(text, sizeof text, "%llu.%04llue%d", (unsigned long long)(bits >> 44),
				 (unsigned long long)(bits % 10000), (int)(bits % 41) - 20);
		double expected = strtod(text, NULL);
		wrong += !parse(text, &x) || memcmp(&x, &expected, sizeof x) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

int main(void)
{
	CU_pSuite s = suite_begin("number");
	CU_ADD_TEST(s, plain_decimals);
	CU_ADD_TEST(s, correctly_rounded);
	CU_ADD_TEST(s, not_numbers);
	CU_ADD_TEST(s, agrees_with_strtod);
	return suite_end();
}
