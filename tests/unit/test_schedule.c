/* Factors of the learning rate, computed by hand. */
#include "runtime/schedule.h"
#include "suite.h"
#include <math.h>

static double at(MtlScheduleKind kind, int64_t warmup, double floor, int64_t t, int64_t steps)
{
	return mtl_schedule_factor(&(MtlSchedule){kind, warmup, 0, 10, floor, 0.5}, t, steps);
}

#define SAME(a, b) CU_ASSERT_DOUBLE_EQUAL(a, b, 1e-15)

static void test_warm_up(void)
{
	for (int kind = MTL_SCHEDULE_CONSTANT; kind <= MTL_SCHEDULE_STEP; kind++) {
		SAME(at((MtlScheduleKind)kind, 4, 0, 1, 8), 0.25); /* the first step moves */
		SAME(at((MtlScheduleKind)kind, 4, 0, 4, 8), 1);
		SAME(at((MtlScheduleKind)kind, 4, 0, 5, 8), 1);
	}
	SAME(at(MTL_SCHEDULE_CONSTANT, 0, 0, 1, 0), 1);
}

static void test_falls(void)
{
	/* Eight steps without a warm-up: x = 0, 1/8, ..., 7/8, and 1 afterwards. */
	SAME(at(MTL_SCHEDULE_LINEAR, 0, 0, 1, 8), 1);
	SAME(at(MTL_SCHEDULE_LINEAR, 0, 0, 8, 8), 0.125);
	SAME(at(MTL_SCHEDULE_LINEAR, 0, 0.2, 5, 8), 0.6);
	SAME(at(MTL_SCHEDULE_COSINE, 0, 0, 1, 8), 1);
	SAME(at(MTL_SCHEDULE_COSINE, 0, 0, 5, 8), 0.5);
	SAME(at(MTL_SCHEDULE_COSINE, 0, 0, 3, 8), 0.8535533905932737);
	SAME(at(MTL_SCHEDULE_COSINE, 0, 0.1, 5, 8), 0.55);
	for (int64_t t = 9; t < 12; t++) {
		SAME(at(MTL_SCHEDULE_LINEAR, 0, 0.2, t, 8), 0.2);
		SAME(at(MTL_SCHEDULE_COSINE, 0, 0.2, t, 8), 0.2);
	}
	/* With one of two steps: x = 0 at t = 3, 1/2 at t = 5. */
	SAME(at(MTL_SCHEDULE_LINEAR, 2, 0, 5, 6), 0.5);
	/* A warm-up as long as the run, and longer. */
	SAME(at(MTL_SCHEDULE_COSINE, 8, 0.3, 8, 8), 1);
	SAME(at(MTL_SCHEDULE_COSINE, 8, 0.3, 9, 8), 0.3);
	SAME(at(MTL_SCHEDULE_COSINE, 8, 0.3, 4, 6), 0.5);
}

static void test_stairs(void)
{
	SAME(at(MTL_SCHEDULE_STEP, 0, 0, 10, 0), 1);
	SAME(at(MTL_SCHEDULE_STEP, 0, 0, 11, 0), 0.5);
	SAME(at(MTL_SCHEDULE_STEP, 0, 0, 31, 0), 0.125);
}

static void test_open_end(void)
{
	CU_ASSERT(mtl_schedule_open_end(&(MtlSchedule){.kind = MTL_SCHEDULE_COSINE}));
	CU_ASSERT(mtl_schedule_open_end(&(MtlSchedule){.kind = MTL_SCHEDULE_LINEAR}));
	CU_ASSERT(!mtl_schedule_open_end(&(MtlSchedule){.kind = MTL_SCHEDULE_COSINE, .steps = 3}));
	CU_ASSERT(!mtl_schedule_open_end(&(MtlSchedule){.kind = MTL_SCHEDULE_STEP}));
	CU_ASSERT(!mtl_schedule_open_end(&(MtlSchedule){.kind = MTL_SCHEDULE_CONSTANT}));
}

int main(void)
{
	CU_pSuite s = suite_begin("schedule");
	CU_add_test(s, "the warm-up begins above 0 and ends at 1", test_warm_up);
	CU_add_test(s, "linear and cosine, their ends", test_falls);
	CU_add_test(s, "stairs", test_stairs);
	CU_add_test(s, "who must know the length of the run", test_open_end);
	return suite_end();
}
