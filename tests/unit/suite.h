/*
 * The frame of a unit test's main: CU_pSuite s = suite_begin("name"), its tests, return suite_end().
 */
#ifndef MTL_TESTS_SUITE_H
#define MTL_TESTS_SUITE_H
#include <CUnit/Basic.h>
#include <stdbool.h>

/* open is called before the first test, close after the last: 0 means that all is well. */
static inline CU_pSuite suite_between(const char *name, int (*open)(void), int (*close)(void))
{
	CU_initialize_registry();
	return CU_add_suite(name, open, close);
}

static inline CU_pSuite suite_begin(const char *name) { return suite_between(name, NULL, NULL); }

/* Runs the tests and says which failed: the exit code.  Every one has to run. */
static inline int suite_end(void)
{
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	bool good = !CU_get_number_of_failures() && !CU_get_number_of_suites_failed() &&
		    CU_get_number_of_tests_run() == CU_get_registry()->uiNumberOfTests;
	CU_cleanup_registry();
	return good ? 0 : 1;
}
#endif
