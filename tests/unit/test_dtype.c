/* Numbers of other types, against values worked out by hand from their bits. */
#include "runtime/dtype.h"
#include "suite.h"
#include <string.h>

static void half_precision(void)
{
	/* 1, -2, the largest, the smallest normal, the smallest of all, zeros, a third rounded to 11 bits */
	static const uint16_t h[] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x0000, 0x8000, 0x3555};
	static const float want[] = {1, -2, 65504, 0x1p-14f, 0x1p-24f, 0, -0.0f, 0x1.554p-2f};
	mtl_real got[8];
	const MtlDtype *t = mtl_dtype("F16");
	CU_ASSERT_EQUAL(mtl_dtype_convert(t, (const char *)h, 8, got), -1);
	for (int i = 0; i < 8; i++) {
		float x = (float)got[i];
		CU_ASSERT(!memcmp(&x, &want[i], sizeof x));
	}
	CU_ASSERT(mtl_dtype_finite(t, (const char *)h, 8));
}

static void brain_floats(void)
{
	/* from an odd address: nothing promises more */
	static const char bytes[] = "?\x80\x3f\x49\xc0\x01\x00";
	mtl_real got[3];
	const MtlDtype *t = mtl_dtype("BF16");
	CU_ASSERT_EQUAL(mtl_dtype_convert(t, bytes + 1, 3, got), -1);
	CU_ASSERT_EQUAL(got[0], 1);
	CU_ASSERT_EQUAL(got[1], -3.140625f);
	CU_ASSERT_EQUAL((float)got[2], 0x1p-133f);
}

static void doubles(void)
{
	const double x[] = {0.1, 1 + 0x1p-24 + 0x1p-40, 3e38, 4e38, 1};
	mtl_real got[5];
	const MtlDtype *t = mtl_dtype("F64");
	CU_ASSERT(mtl_dtype_finite(t, (const char *)x, 5));
	CU_ASSERT_EQUAL(mtl_dtype_convert(t, (const char *)x, 5, got), 3); /* none of single precision */
	CU_ASSERT_EQUAL(got[0], 0.1f);
	CU_ASSERT_EQUAL(got[1], 1 + 0x1p-23f);
}

static void what_is_not_finite(void)
{
	static const uint16_t half[] = {0x3c00, 0x7c00}, brain[] = {0x3f80, 0xffc0};
	static const uint32_t single[] = {0x3f800000, 0x7f800001};
	static const uint64_t wide[] = {0x3ff0000000000000, 0xfff0000000000000};
	CU_ASSERT(!mtl_dtype_finite(mtl_dtype("F16"), (const char *)half, 2));
	CU_ASSERT(!mtl_dtype_finite(mtl_dtype("BF16"), (const char *)brain, 2));
	CU_ASSERT(!mtl_dtype_finite(mtl_dtype("F32"), (const char *)single, 2));
	CU_ASSERT(!mtl_dtype_finite(mtl_dtype("F64"), (const char *)wide, 2));
	CU_ASSERT(mtl_dtype_finite(mtl_dtype("F64"), (const char *)wide, 1));
}

static void what_is_no_number(void)
{
	CU_ASSERT_PTR_NULL(mtl_dtype("F31"));
	CU_ASSERT_FATAL(mtl_dtype("I64") != NULL);
	CU_ASSERT(!mtl_dtype("I64")->number);
	CU_ASSERT_EQUAL(mtl_dtype("I64")->bytes, 8);
	CU_ASSERT(mtl_dtype_own() == mtl_dtype("F32"));
}

int main(void)
{
	CU_pSuite s = suite_begin("types of numbers");
	CU_ADD_TEST(s, half_precision);
	CU_ADD_TEST(s, brain_floats);
	CU_ADD_TEST(s, doubles);
	CU_ADD_TEST(s, what_is_not_finite);
	CU_ADD_TEST(s, what_is_no_number);
	return suite_end();
}
