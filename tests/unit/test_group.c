/*
 * Grouping: the touched rows of a table, each with its occurrences in the order in which they are met.
 */
#include "runtime/group.h"
#include "model_by_hand.h"
#include "suite.h"
#include <stdlib.h>
#include <string.h>

/* One table under all three features, so that ids and bags meet in it. */
static const MtlLookup shared_lookup[] = {{0, 0, 0}, {2, 0, 4}, {1, 1, 8}};

static MtlModel shared(void)
{
	MtlModel m = by_hand;
	m.lookup = shared_lookup;
	return m;
}

/* Rows: user 7 9 7; tags (9 .5, 3 .5), (), (7 1). */
static void small_batch(MtlBatch *b, const MtlModel *m)
{
	MtlError e = {0};
	CU_ASSERT_EQUAL_FATAL(mtl_batch_init(b, &mtl_sys, m, 4, &e), MTL_OK);
	b->n = 3;
	memcpy(b->column[0].id, (int32_t[]){7, 9, 7}, 12);
	memcpy(b->column[1].id, (int32_t[]){1, 1, 1}, 12);
	memcpy(b->column[2].bag_start, (int32_t[]){0, 2, 2, 3}, 16);
	memcpy(b->column[2].bag_item, (int32_t[]){9, 3, 7}, 12);
	memcpy(b->column[2].bag_scale, (float[]){0.5f, 0.5f, 1}, 12);
}

static void ascending_rows_by_lookup_then_row(void)
{
	MtlModel m = shared();
	MtlBatch b;
	MtlTouched g = {0};
	MtlError e = {0};
	small_batch(&b, &m);
	CU_ASSERT_EQUAL(mtl_touched_count(&m, &b, 0), 6);
	CU_ASSERT_EQUAL_FATAL(mtl_touched_fill(&g, &mtl_sys, &m, &b, 0, 1000, &e), MTL_OK);
	/* Occurrences as met: 7 9 7 | 9 3 7; a row of the batch has 12 gradients, user at 0, tags at 4. */
	CU_ASSERT_EQUAL(g.n, 6);
	CU_ASSERT_EQUAL_FATAL(g.n_uniq, 3);
	static const int32_t uniq[] = {3, 7, 9}, start[] = {0, 1, 4, 6}, src[] = {4, 0, 24, 28, 12, 4};
	static const float scale[] = {0.5f, 1, 1, 1, 1, 0.5f};
	CU_ASSERT(memcmp(g.uniq, uniq, sizeof uniq) == 0);
	CU_ASSERT(memcmp(g.start, start, sizeof start) == 0);
	CU_ASSERT(memcmp(g.src, src, sizeof src) == 0);
	CU_ASSERT(memcmp(g.scale, scale, sizeof scale) == 0);
	/* A second fill finds a clean slate. */
	CU_ASSERT_EQUAL(mtl_touched_fill(&g, &mtl_sys, &m, &b, 1, 22, &e), MTL_OK);
	CU_ASSERT_EQUAL(g.n_uniq, 1);
	CU_ASSERT_EQUAL(g.uniq[0], 1);
	CU_ASSERT_EQUAL(g.start[1], 3);
	CU_ASSERT_EQUAL(g.src[2], 24 + 8);
	mtl_touched_free(&g, &mtl_sys);
	mtl_batch_free(&b, &mtl_sys, &m);
}

/* Against a plain quadratic search, for keys of one to four digits, scattered and ascending. */
static void random_batches(void)
{
	enum { N = 700 };
	static const int64_t rows[] = {3, 52, 4096, 1000000007};
	MtlModel m = shared();
	MtlBatch b;
	MtlTouched g = {0};
	MtlError e = {0};
	CU_ASSERT_EQUAL_FATAL(mtl_batch_init(&b, &mtl_sys, &m, N, &e), MTL_OK);
	srand(1);
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		int32_t item = 0;
		b.n = N - (int64_t)r;
		for (int64_t i = 0; i < b.n; i++) {
			b.column[0].id[i] = (int32_t)(((int64_t)rand() << 4) % rows[r]);
			b.column[2].bag_start[i] = item;
			for (int k = rand() % 4; k-- > 0; item++) {
				b.column[2].bag_item[item] = (int32_t)(((int64_t)rand() << 4) % rows[r]);
				b.column[2].bag_scale[item] = (float)item;
			}
		}
		b.column[2].bag_start[b.n] = item;
		CU_ASSERT_EQUAL_FATAL(mtl_touched_fill(&g, &mtl_sys, &m, &b, 0, rows[r], &e), MTL_OK);
		CU_ASSERT_EQUAL(g.n, b.n + item);
		int64_t wrong = 0;
		for (int64_t u = 0; u < g.n_uniq; u++) {
			int32_t at = g.start[u];
			for (int64_t v = 0; v < u; v++) wrong += g.uniq[v] == g.uniq[u];
			wrong += rows[r] > 100000 && u && g.uniq[u] < g.uniq[u - 1];
			for (int64_t i = 0; i < b.n; i++)
				if (b.column[0].id[i] == g.uniq[u])
					wrong += g.src[at] != i * 12 || g.scale[at] != 1, at++;
			for (int64_t i = 0; i < b.n; i++)
				for (int32_t k = b.column[2].bag_start[i]; k < b.column[2].bag_start[i + 1];
				     k++)
					if (b.column[2].bag_item[k] == g.uniq[u])
						wrong += g.src[at] != i * 12 + 4 || g.scale[at] != (float)k,
						    at++;
			wrong += at != g.start[u + 1];
		}
		CU_ASSERT_EQUAL(wrong, 0);
		CU_ASSERT_EQUAL(g.start[g.n_uniq], g.n);
	}
	mtl_touched_free(&g, &mtl_sys);
	mtl_batch_free(&b, &mtl_sys, &m);
}

static void no_rows_and_no_memory(void)
{
	MtlModel m = shared();
	MtlBatch b;
	MtlTouched g = {0};
	MtlError e = {0};
	small_batch(&b, &m);
	b.n = 0;
	CU_ASSERT_EQUAL(mtl_touched_fill(&g, &mtl_sys, &m, &b, 0, 52, &e), MTL_OK);
	CU_ASSERT_EQUAL(g.n_uniq, 0);
	b.n = 3;
	mtl_touched_free(&g, &mtl_sys);
	for (int n = 1; n <= 8; n++) {
		MtlFaults f;
		mtl_faults_init(&f);
		f.fail_alloc = n;
		MtlError why = {0};
		CU_ASSERT_EQUAL(mtl_touched_fill(&g, &f.sys, &m, &b, 0, 52, &why), MTL_LIMIT);
		CU_ASSERT_PTR_NULL(g.uniq);
	}
	mtl_batch_free(&b, &mtl_sys, &m);
}

/* After mtl_groups_init a batch without lists takes no memory. */
static void a_step_allocates_nothing(void)
{
	MtlModel m = shared();
	MtlBatch b;
	MtlGroups g;
	MtlFaults f;
	MtlError e = {0};
	static const int64_t rows[] = {52, 22, 8};
	small_batch(&b, &m);
	mtl_faults_init(&f);
	CU_ASSERT_EQUAL_FATAL(mtl_groups_init(&g, &f.sys, &m, rows, 2, 4, &e), MTL_OK);
	long before = f.n_alloc;
	for (int i = 0; i < 10; i++) CU_ASSERT_EQUAL(mtl_groups_fill(&g, i % 2, &b, &e), MTL_OK);
	CU_ASSERT_EQUAL(f.n_alloc, before);
	CU_ASSERT_EQUAL(mtl_groups_of(&g, 1)[0].n_uniq, 3);
	CU_ASSERT_EQUAL(mtl_groups_of(&g, 1)[2].n_uniq, 0); /* nothing looks it up */
	mtl_groups_free(&g);
	mtl_batch_free(&b, &mtl_sys, &m);
}

int main(void)
{
	CU_pSuite s = suite_begin("group");
	CU_add_test(s, "few rows of many ascend, occurrences by lookup then row",
		    ascending_rows_by_lookup_then_row);
	CU_add_test(s, "random batches against a plain search", random_batches);
	CU_add_test(s, "no rows; no memory", no_rows_and_no_memory);
	CU_add_test(s, "a step allocates nothing", a_step_allocates_nothing);
	return suite_end();
}
