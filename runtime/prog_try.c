/*
 * PROG gradcheck and PROG bench: a model tried on random rows.
 */
#include "gradcheck.h"
#include "prog.h"
#include <inttypes.h>

/* A model to try things on: the file given, or fresh parameters. */
static MtlStatus open_or_fresh(const MtlProgram *p, MtlInstance *in, MtlError *e)
{
	const char *path = mtl_program_text(p, "model");
	if (!path) {
		if (mtl_prog_fresh(p, in, true, e)) return e->status;
		mtl_instance_pack(in);
		return MTL_OK;
	}
	MtlStore *s = NULL;
	if (mtl_instance_init(in, p->sys, p->m, e) || mtl_store_open(&s, p->sys, path, false, e))
		return e->status;
	MtlStatus st = mtl_instance_load(in, s, path, true, e);
	mtl_store_close(s);
	if (!st) mtl_instance_pack(in);
	return st;
}

static void gradcheck_line(void *self, const MtlGradcheckLine *l)
{
	char shape[96];
	(void)self;
	printf("%-40s %-16s  norm %10.3e  error %8.2e  %s\n", l->tensor.name,
	       mtl_shape_text(&l->tensor, shape), l->size, l->error, l->good ? "good" : "WRONG");
}

MtlStatus mtl_prog_gradcheck(MtlProgram *p, MtlError *e)
{
	enum { CHECK_ROWS = 200 };
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	MtlBatch b = {0};
	MtlStatus st = open_or_fresh(p, &in, e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 0), e);
	if (!st) st = mtl_random_batch(&b, &in, CHECK_ROWS, e);
	if (!st) st = mtl_gradcheck(&in, pool, &b, gradcheck_line, NULL, e);
	if (st == MTL_NO) mtl_fail(e, MTL_NO, "", NULL, "a gradient is wrong");
	mtl_batch_free(&b, p->sys, p->m);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	return st;
}

/* Other table rows in every cell, as the next batch of a log has: those of the last step may be in a cache
 * still. */
static void other_ids(MtlBatch *b, const MtlInstance *in, uint64_t *state)
{
	for (int l = 0; l < in->m->n_lookup; l++) {
		MtlColumn *c = &b->column[in->m->lookup[l].feature];
		uint64_t rows = (uint64_t)in->table_rows[in->m->lookup[l].table];
		int64_t n = c->bag_start ? c->bag_start[b->n] : b->n;
		int32_t *id = c->bag_start ? c->bag_item : c->id;
		for (int64_t i = 0; i < n; i++) {
			*state = *state * 6364136223846793005u + 1442695040888963407u;
			id[i] = (int32_t)((*state >> 33) % rows);
		}
	}
}

/* Seconds of a training step: the median of several. */
static MtlStatus step_seconds(MtlStep *s, MtlGroups *g, MtlBatch *b, double *out, MtlError *e)
{
	enum { RUNS = 41 };
	uint64_t state = 2;
	double run[RUNS];
	for (int r = -2; r < RUNS; r++) {
		other_ids(b, s->in, &state);
		double from = mtl_now();
		if (mtl_groups_fill(g, 0, b, e) || mtl_step_gradients(s, b, true, e)) return e->status;
		mtl_step_apply(s, mtl_groups_of(g, 0));
		double took = mtl_now() - from;
		int i = r;
		for (; i > 0 && run[i - 1] > took; i--) run[i] = run[i - 1];
		if (i >= 0) run[i] = took;
	}
	*out = run[RUNS / 2];
	return MTL_OK;
}

static MtlStatus bench_step(MtlInstance *in, MtlThreads *pool, int64_t rows, bool json, bool first,
			    MtlError *e)
{
	MtlStep step = {0};
	MtlGroups groups = {0};
	MtlBatch b = {0};
	double t = 0;
	MtlStatus st = mtl_step_init(&step, in, pool, rows, e);
	if (!st) st = mtl_groups_init(&groups, in->sys, in->m, in->table_rows, 1, rows, e);
	if (!st) st = mtl_random_batch(&b, in, rows, e);
	step.dropout = true;
	if (!st) st = step_seconds(&step, &groups, &b, &t, e);
	if (!st && json)
		printf("%s{\"batch\":%" PRId64 ",\"us\":%.3f,\"rows_per_s\":%.0f}", first ? "" : ",", rows,
		       1e6 * t, (double)rows / t);
	else if (!st)
		printf("train  batch %5" PRId64 "  %10.2f us a step  %12.0f rows/s\n", rows, 1e6 * t,
		       (double)rows / t);
	mtl_batch_free(&b, in->sys, in->m);
	mtl_groups_free(&groups);
	mtl_step_free(&step);
	return st;
}

MtlStatus mtl_prog_bench(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	bool json = mtl_program_has(p, "json");
	const int64_t own = p->m->train.batch, size[] = {64, 1024, own};
	MtlStatus st = open_or_fresh(p, &in, e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 1), e);
	if (!st) st = mtl_bench_scores(&in, pool, json, e);
	if (!st && json) fputs("],\"train\":[", stdout);
	for (int i = 0; !st && i < 3; i++)
		if (i < 2 || (own != size[0] && own != size[1]))
			st = bench_step(&in, pool, size[i], json, i == 0, e);
	if (!st && json) fputs("]}\n", stdout);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	return st;
}
