/* Records of narrow tables, against bytes worked out by hand. */
#include "runtime/narrow.h"
#include "suite.h"
#include <string.h>

static void halves(void)
{
	/* 1; a tie to even below and above; a hair above a tie; the odd place behind them is 0 */
	const mtl_real x[] = {1, 1 + 0x1p-8f, 1 + 0x3p-8f, 1 + 0x1p-8f + 0x1p-20f, -2};
	const uint16_t want[] = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xc000, 0};
	const MtlTable t = {.dim = 5, .stride = 3, .precision = MTL_BF16, .narrow = true};
	uint16_t got[6];
	CU_ASSERT(mtl_narrow_records(&t, x, 1, got));
	CU_ASSERT(!memcmp(got, want, sizeof want));
	CU_ASSERT_STRING_EQUAL(mtl_narrow_type(&t), "BF16");
	CU_ASSERT_EQUAL(mtl_narrow_items(&t), 6);
}

static void too_large_for_halves(void)
{
	const MtlTable t = {.dim = 2, .stride = 1, .precision = MTL_BF16, .narrow = true};
	mtl_real x[] = {3.4e38f, 0};
	uint16_t got[2];
	CU_ASSERT(!mtl_narrow_records(&t, x, 1, got));
	CU_ASSERT(!mtl_narrow_round(&(MtlTable){.dim = 2, .stride = 2, .precision = MTL_BF16}, x, 1));
}

static void bytes(void)
{
	/* Steps of 1/2; ties to even: 0.25 is half a step, 0.75 one and a half.  A row of zeros; the smallest
	 * of all numbers, of which there are no 127 parts. */
	const mtl_real x[] = {-63.5f, 0.25f, 0.75f, 63.5f, 0.5f, 0, 0, 0, 0, 0, 0x1p-149f, 0, 0, 0, 0};
	static const signed char q[3][8] = {{-127, 0, 2, 127, 1, 0, 0, 0}, {0}, {0}};
	static const float s[] = {0.5f, 1, 1};
	const MtlTable t = {.dim = 5, .stride = 3, .precision = MTL_INT8, .narrow = true};
	char got[3][12];
	CU_ASSERT(mtl_narrow_records(&t, x, 3, got));
	for (int r = 0; r < 3; r++) {
		CU_ASSERT(!memcmp(got[r], &s[r], 4));
		CU_ASSERT(!memcmp(got[r] + 4, q[r], 8));
	}
	CU_ASSERT_STRING_EQUAL(mtl_narrow_type(&t), "I8");
}

/* Rows apart, what lies between them untouched. */
static void rounded(void)
{
	mtl_real x[] = {-63.5f, 0.25f, 7, 127, 1.5f, 7};
	const mtl_real want[] = {-63.5f, 0, 7, 127, 2, 7};
	const MtlTable t = {.dim = 2, .stride = 3, .precision = MTL_INT8};
	CU_ASSERT(mtl_narrow_round(&t, x, 2));
	for (int i = 0; i < 6; i++) CU_ASSERT_EQUAL(x[i], want[i]);
	CU_ASSERT_PTR_NULL(mtl_narrow_type(&t));
}

int main(void)
{
	CU_pSuite s = suite_begin("narrow tables");
	CU_ADD_TEST(s, halves);
	CU_ADD_TEST(s, too_large_for_halves);
	CU_ADD_TEST(s, bytes);
	CU_ADD_TEST(s, rounded);
	return suite_end();
}
