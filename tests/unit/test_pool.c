/*
 * The pool: every index once, by threads of the pool only, run after run.
 */
#include "runtime/pool.h"
#include "suite.h"
#include <stdatomic.h>

enum { MOST = 5000, THREADS = 8 };

typedef struct {
	_Atomic int done[MOST];
	_Atomic int wrong_worker;
	int threads;
	int64_t by[THREADS]; /* per worker, not atomic: a worker is one thread at a time */
} Tally;

static void count(void *arg, int64_t i, int worker)
{
	Tally *t = arg;
	if (worker < 0 || worker >= t->threads)
		t->wrong_worker++;
	else
		t->by[worker]++;
	t->done[i]++;
}

static void every_index_once(void)
{
	static const int threads[] = {1, 2, 3, 8};
	static const int64_t size[] = {0, 1, 2, 7, 64, MOST};
	static Tally t; /* too large for a stack */
	for (int k = 0; k < 4; k++) {
		MtlThreads *p;
		MtlError e = {0};
		CU_ASSERT_EQUAL_FATAL(mtl_pool_new(&p, &mtl_sys, threads[k], &e), MTL_OK);
		CU_ASSERT_EQUAL(mtl_pool_threads(p), threads[k]);
		int wrong = 0;
		for (int round = 0; round < 300; round++) {
			int64_t n = size[round % 6];
			t = (Tally){.threads = threads[k]};
			mtl_pool_run(p, n, count, &t);
			int64_t sum = 0;
			for (int w = 0; w < THREADS; w++) sum += t.by[w];
			wrong += sum != n || t.wrong_worker;
			for (int64_t i = 0; i < MOST; i++) wrong += t.done[i] != (i < n);
		}
		CU_ASSERT_EQUAL(wrong, 0);
		mtl_pool_free(p);
	}
}

/* Many short runs in a row: a thread that wakes late must find nothing of the run it missed. */
static void add(void *arg, int64_t i, int worker)
{
	(void)worker;
	atomic_fetch_add((_Atomic int64_t *)arg, i);
}

static void late_sleepers(void)
{
	MtlThreads *p;
	MtlError e = {0};
	CU_ASSERT_EQUAL_FATAL(mtl_pool_new(&p, &mtl_sys, 4, &e), MTL_OK);
	int wrong = 0;
	for (int round = 0; round < 20000; round++) {
		_Atomic int64_t sum =
		    0; /* on the stack of this round: a stray addition would hit the next one */
		int64_t n = 2 + round % 5;
		mtl_pool_run(p, n, add, &sum);
		wrong += sum != n * (n - 1) / 2;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	mtl_pool_free(p);
}

static void no_memory(void)
{
	for (int n = 1; n <= 2; n++) {
		MtlFaults f;
		mtl_faults_init(&f);
		f.fail_alloc = n;
		MtlThreads *p = (MtlThreads *)&f;
		MtlError e = {0};
		CU_ASSERT_EQUAL(mtl_pool_new(&p, &f.sys, 2, &e), MTL_LIMIT);
		CU_ASSERT_PTR_NULL(p);
	}
	mtl_pool_free(NULL);
}

int main(void)
{
	CU_pSuite s = suite_begin("pool");
	CU_add_test(s, "every index once", every_index_once);
	CU_add_test(s, "late sleepers", late_sleepers);
	CU_add_test(s, "no memory", no_memory);
	return suite_end();
}
