/* The hash of scorers that are one C file is XXH3 as everybody has it. */
#include "compiler/emit/alone.h"
#include "suite.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

static void every_length(void)
{
	static unsigned char text[5000];
	int64_t differ = 0;
	for (size_t i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * 2654435761u >> 13);
	for (size_t n = 0; n < 4500; n++) differ += xxh3(text + n % 7, n) != XXH3_64bits(text + n % 7, n);
	CU_ASSERT_EQUAL(differ, 0);
}

static void memory(void)
{
	char *p = mtl_new(&mtl_sys, char, 100);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL((uintptr_t)p % 64, 0);
	for (int i = 0; i < 100; i++) CU_ASSERT_EQUAL(p[i], 0);
	mtl_release(&mtl_sys, p);
	mtl_release(&mtl_sys, NULL);
	CU_ASSERT_PTR_NULL(mtl_new(&mtl_sys, double, SIZE_MAX / 4));
}

int main(void)
{
	CU_pSuite s = suite_begin("one C file");
	CU_ADD_TEST(s, every_length);
	CU_ADD_TEST(s, memory);
	return suite_end();
}
