/*
 * Counting different cells: exact while there are few, near when there are many.
 */
#include "driver/distinct.h"
#include "suite.h"
#include <math.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t hash(int64_t i) { return XXH3_64bits(&i, sizeof i); }

static void few(void)
{
	Distinct d = {0};
	CU_ASSERT_EQUAL(distinct_count(&d), 0);
	for (int64_t i = 0; i < 5000; i++) CU_ASSERT_EQUAL(distinct_add(&d, hash(i % 1000)), i < 1000);
	CU_ASSERT(distinct_add(&d, 0)); /* a hash like any other */
	CU_ASSERT_FALSE(distinct_add(&d, 0));
	CU_ASSERT_EQUAL(distinct_count(&d), 1001);
	CU_ASSERT(distinct_exact(&d));
	distinct_free(&d);
}

/* 1.04 / sqrt(2^14) = 0.8 % is one standard error; four of them are never seen with these fixed hashes. */
static void many(void)
{
	Distinct d = {0};
	int64_t n = 0;
	for (int64_t check = DISTINCT_EXACT; check <= 2000000; check *= 3) {
		for (; n < check; n++) {
			distinct_add(&d, hash(n));
			distinct_add(&d, hash(n / 2));
		}
		CU_ASSERT(fabs((double)distinct_count(&d) / (double)n - 1) < 0.032);
	}
	CU_ASSERT_FALSE(distinct_exact(&d));
	distinct_free(&d);
}

int main(void)
{
	CU_pSuite s = suite_begin("distinct");
	CU_add_test(s, "exact while there are few", few);
	CU_add_test(s, "near when there are many", many);
	return suite_end();
}
