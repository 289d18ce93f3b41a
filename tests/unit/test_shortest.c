/*
 * Floats as text: known texts, and over a sample of all floats that they read back and that nothing shorter
 * does.
 */
#include "runtime/shortest.h"
#include "suite.h"
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float from_bits(uint32_t b)
{
	float x;
	memcpy(&x, &b, sizeof x);
	return x;
}

static uint32_t to_bits(float x)
{
	uint32_t b;
	memcpy(&b, &x, sizeof b);
	return b;
}

static void known_texts(void)
{
	static const struct {
		float x;
		const char *text;
	} c[] = {
	    {0.0f, "0"},
	    {-0.0f, "-0"},
	    {1, "1"},
	    {-1, "-1"},
	    {0.25f, "0.25"},
	    {0.1f, "0.1"},
	    {0.3f, "0.3"},
	    {3, "3"},
	    {100, "100"},
	    {12.5f, "12.5"},
	    {16777216.0f, "16777216"},
	    {123456792.0f, "123456790"},
	    {1e9f, "1e+09"},
	    {999999.9f, "999999.9"},
	    {1e-5f, "0.00001"},
	    {1e-6f, "1e-06"},
	    {0.0000123456f, "0.0000123456"},
	    {3.4028235e38f, "3.4028235e+38"},
	    {1.17549435e-38f, "1.1754944e-38"},
	    {1.40129846e-45f, "1e-45"},
	    {2.8e-45f, "3e-45"},
	    {9.80908925e-45f, "1e-44"},
	    {1.0f / 3, "0.33333334"},
	    {2.0f / 3, "0.6666667"},
	    {33554432.0f, "33554432"},
	    {9.007199254740992e15f, "9.007199e+15"},
	    {8589934592.0f, "8.589935e+09"},
	    {-1.17549435e-38f, "-1.1754944e-38"},
	    {0.5f, "0.5"},
	    {1e10f, "1e+10"},
	    {1e22f, "1e+22"},
	    {9.5367431640625e-7f, "9.536743e-07"},
	};
	char text[MTL_FLOAT_TEXT];
	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		memset(text, '#', sizeof text);
		int n = mtl_print_float(text, c[i].x);
		CU_ASSERT_STRING_EQUAL(text, c[i].text);
		CU_ASSERT_EQUAL(n, (int)strlen(text));
		if (strcmp(text, c[i].text) != 0) printf("\n%a: %s, not %s\n", c[i].x, text, c[i].text);
	}
	mtl_print_float(text, from_bits(0x7f800000));
	CU_ASSERT_STRING_EQUAL(text, "inf");
	mtl_print_float(text, from_bits(0xff800000));
	CU_ASSERT_STRING_EQUAL(text, "-inf");
	mtl_print_float(text, from_bits(0xffc00001));
	CU_ASSERT_STRING_EQUAL(text, "nan");
}

static int digits_of(const char *text)
{
	int n = 0, zeros = 0, seen = 0;
	for (; *text && *text != 'e'; text++) {
		if (*text < '0' || *text > '9') continue;
		if (*text != '0') seen = 1;
		if (!seen) continue;
		n++;
		zeros = *text == '0' ? zeros + 1 : 0;
	}
	return n - zeros;
}

/* Is there a decimal of n digits that reads back as x?  The two around it are the only candidates. */
static int some_text(uint32_t bits, int n)
{
	char text[64];
	double x = (double)from_bits(bits); /* exact, and %e of a double is exact */
	snprintf(text, sizeof text, "%.*e", n - 1, x);
	if (to_bits(strtof(text, NULL)) == bits) return 1;

	/* The one on the other side: a step in the last digit up and down. */
	char *e = strchr(text, 'e');
	long digits = 0;
	for (char *p = text; p < e; p++)
		if (*p != '.') digits = digits * 10 + (*p - '0');
	for (int step = -1; step <= 1; step += 2) {
		char other[64];
		snprintf(other, sizeof other, "%lde%d", digits + step, atoi(e + 1) - (n - 1));
		if (to_bits(strtof(other, NULL)) == bits) return 1;
	}
	return 0;
}

static int wrong;

static void judge(uint32_t bits)
{
	char text[MTL_FLOAT_TEXT], nearest[64];
	int n = mtl_print_float(text, from_bits(bits)), digits = digits_of(text);
	int ok = n <= 16 && n == (int)strlen(text) && to_bits(strtof(text, NULL)) == bits;
	if (digits > 1) ok = ok && !some_text(bits, digits - 1);
	/* Of its length the nearest, unless that one is outside (below a power of two). */
	snprintf(nearest, sizeof nearest, "%.*e", digits - 1, (double)from_bits(bits));
	if (to_bits(strtof(nearest, NULL)) == bits) ok = ok && strtod(nearest, NULL) == strtod(text, NULL);
	if (!ok && wrong++ < 10) printf("\n%08x %.9g: %s\n", bits, (double)from_bits(bits), text);
}

static void every_exponent(void)
{
	uint32_t state = 12345;
	wrong = 0;
	for (uint32_t e = 0; e < 255; e++) {
		static const uint32_t fraction[] = {0,	      1,	2,	  3,	    0x3fffff,
						    0x400000, 0x400001, 0x7ffffd, 0x7ffffe, 0x7fffff};
		for (size_t i = 0; i < sizeof fraction / sizeof *fraction; i++)
			if (e || fraction[i]) judge(e << 23 | fraction[i]);
		for (int i = 0; i < 400; i++) {
			state = state * 1664525u + 1013904223u;
			judge(e << 23 | (state >> 9));
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Small denormals have few bits and the widest choice of texts; probabilities and round numbers are what is
 * printed. */
static void denormals_and_round_numbers(void)
{
	wrong = 0;
	for (uint32_t b = 1; b < 3000; b++) judge(b);
	for (int i = 1; i < 3000; i++) {
		judge(to_bits((float)i));
		judge(to_bits((float)i / 1000));
		judge(to_bits((float)i * 1e6f));
		judge(to_bits((float)i * 1e-9f));
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* What looks shortest must also be typed back: each text of up to five digits is printed as it was read. */
static void short_texts_come_back(void)
{
	char text[MTL_FLOAT_TEXT], in[32];
	wrong = 0;
	for (int d = 10001; d < 100000; d += 2) {
		snprintf(in, sizeof in, "0.%05d", d);
		for (size_t n = strlen(in); in[n - 1] == '0';) in[--n] = '\0';
		mtl_print_float(text, strtof(in, NULL));
		wrong += strcmp(text, in) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void never_the_locale(void)
{
	char text[MTL_FLOAT_TEXT];
	static const char *const comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};
	for (int i = 0; i < 4; i++)
		if (setlocale(LC_NUMERIC, comma[i])) break;
	mtl_print_float(text, 0.5f);
	CU_ASSERT_STRING_EQUAL(text, "0.5");
	setlocale(LC_NUMERIC, "C");
}

/* Doubles read back, in no more digits than printf needs, and fit. */
static void doubles(void)
{
	static const struct {
		double x;
		const char *text;
	} known[] = {{0.1, "0.1"},
		     {1.0 / 3, "0.3333333333333333"},
		     {-2.5e-300, "-2.5e-300"},
		     {0x1p-1074, "4.94065645841247e-324"},
		     {0x1.fffffffffffffp1023, "1.7976931348623157e+308"},
		     {0, "0"}};
	char text[MTL_FLOAT_TEXT];
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		CU_ASSERT_EQUAL(mtl_print_double(text, known[i].x), (int)strlen(known[i].text));
		CU_ASSERT_STRING_EQUAL(text, known[i].text);
	}
	uint64_t state = 5;
	int wrong = 0;
	for (int i = 0; i < 200000; i++) {
		double x;
		state = state * 6364136223846793005u + 1442695040888963407u;
		memcpy(&x, &state, sizeof x);
		if ((state >> 52 & 0x7ff) == 0x7ff) continue;
		int n = mtl_print_double(text, x);
		wrong += n > 24 || strtod(text, NULL) != x;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

int main(void)
{
	CU_pSuite s = suite_begin("floats as text");
	CU_ADD_TEST(s, known_texts);
	CU_ADD_TEST(s, every_exponent);
	CU_ADD_TEST(s, denormals_and_round_numbers);
	CU_ADD_TEST(s, short_texts_come_back);
	CU_ADD_TEST(s, never_the_locale);
	CU_ADD_TEST(s, doubles);
	return suite_end();
}
