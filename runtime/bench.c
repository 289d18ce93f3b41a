/*
 * How long a call of scoring takes, on random rows that are encoded already: whole batches, and a request
 * with its candidates.
 *
 * Calls are timed one by one, since whoever serves asks for the slowest too.
 */
#include "program.h"
#include "rows.h"
#include "score.h"
#include <inttypes.h>
#include <stdlib.h>

/* ---- rows ---- */

static uint32_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

MtlStatus mtl_random_batch(MtlBatch *b, const MtlInstance *in, int64_t n, MtlError *e)
{
	enum { ITEMS = 4 };
	const MtlModel *m = in->m;
	uint64_t state = 1;
	if (mtl_batch_init(b, in->sys, m, n, e)) return e->status;
	b->n = n;
	for (int f = 0; f < m->n_feature; f++) {
		MtlColumn *c = &b->column[f];
		int64_t rows = 2;
		for (int l = 0; l < m->n_lookup; l++)
			if (m->lookup[l].feature == f) rows = in->table_rows[m->lookup[l].table];
		for (int64_t i = 0; i < n; i++) {
			if (c->id) c->id[i] = (int32_t)(draw(&state) % (uint64_t)rows);
			if (c->real) c->real[i] = (mtl_real)(draw(&state) % 2000) / 1000 - 1;
			if (c->present) c->present[i] = 1;
		}
		if (!c->bag_start) continue;
		if (c->cap_items < ITEMS * n)
			return mtl_fail(e, MTL_LIMIT, "", NULL, "no room for random lists");
		int items =
		    m->feature[f].seq && m->feature[f].max_items < ITEMS ? m->feature[f].max_items : ITEMS;
		for (int64_t i = 0; i <= n; i++) c->bag_start[i] = (int32_t)(items * i);
		for (int64_t i = 0; i < items * n; i++) {
			c->bag_item[i] = (int32_t)(draw(&state) % (uint64_t)rows);
			c->bag_scale[i] = m->feature[f].pool == MTL_POOL_MEAN ? 1.0f / (mtl_real)ITEMS : 1;
		}
	}
	for (int64_t i = 0; i < n; i++) {
		b->weight[i] = 1;
		for (int k = 0; k < m->n_event; k++) {
			int up = m->event[k].parent;
			bool yes = (up < 0 || b->can1[up][i] > 0) && draw(&state) % 2;
			b->can1[k][i] = yes;
			b->can0[k][i] = !yes;
		}
		for (int k = 0; k < m->n_sample; k++) {
			int classes = m->sample[k].n_class;
			b->sample[k][i] = classes ? (mtl_real)(draw(&state) % (uint64_t)classes)
						  : (mtl_real)(draw(&state) % 1000) / 100;
			b->known[k][i] = 1;
		}
	}
	return mtl_batch_steps(b, in->sys, m, e);
}

/* ---- times ---- */

typedef struct {
	const MtlInstance *in;
	MtlThreads *pool;
	mtl_real **work; /* [threads] */
	const MtlBatch *b;
	mtl_real *out;
	double *sample; /* [SAMPLES] seconds */
} Bench;

typedef struct {
	double median, p99; /* seconds */
} Times;

enum { SAMPLES = 1 << 15, FEWEST = 100 };

static void score_batch(const Bench *b) { mtl_score_batch(b->in, b->pool, b->b, b->work, b->out); }

static void score_request(const Bench *b)
{
	mtl_rows_request(b->in, b->b, b->work[0], 0);
	mtl_rows_candidates(b->in, b->b, b->work[0], b->out, 0, b->b->n);
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Of the calls of half a second, after some that warm up. */
static Times times_of(const Bench *b, void (*call)(const Bench *))
{
	double now = mtl_now(), end = now + 0.1;
	while (now < end) {
		call(b);
		now = mtl_now();
	}
	int n = 0;
	for (end = now + 0.5; n < SAMPLES && (now < end || n < FEWEST); n++) {
		double from = now;
		call(b);
		now = mtl_now();
		b->sample[n] = now - from;
	}
	qsort(b->sample, (size_t)n, sizeof *b->sample, ascending);
	return (Times){b->sample[n / 2], b->sample[n - 1 - n / 100]};
}

static MtlStatus bench_rows(Bench *b, int64_t n, bool request, Times *t, MtlError *e)
{
	MtlBatch rows = {0};
	b->out = mtl_new(b->in->sys, mtl_real, n * b->in->m->n_output + 1);
	MtlStatus st = b->out ? mtl_random_batch(&rows, b->in, n, e)
			      : mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	b->b = &rows;
	if (!st) *t = times_of(b, request ? score_request : score_batch);
	mtl_batch_free(&rows, b->in->sys, b->in->m);
	mtl_release(b->in->sys, b->out);
	return st;
}

static void say(const Times *t, int64_t n, bool request, bool json, bool first)
{
	double us = 1e6 * t->median, p99 = 1e6 * t->p99, rate = (double)n / t->median;
	if (json)
		printf("%s{\"%s\":%" PRId64 ",\"us\":%.3f,\"p99_us\":%.3f,\"rows_per_s\":%.0f}",
		       first ? "" : ",", request ? "candidates" : "batch", n, us, p99, rate);
	else
		printf("%s %5" PRId64 "  %10.2f us a call, p99 %10.2f  %12.0f rows/s\n",
		       request ? "request, candidates" : "score, batch       ", n, us, p99, rate);
}

static MtlStatus bench_sizes(Bench *b, const int64_t *size, int n, bool request, bool json, MtlError *e)
{
	for (int i = 0; i < n; i++) {
		Times t;
		if (bench_rows(b, size[i], request, &t, e)) return e->status;
		say(&t, size[i], request, json, i == 0);
	}
	return MTL_OK;
}

MtlStatus mtl_bench_scores(const MtlInstance *in, MtlThreads *pool, bool json, MtlError *e)
{
	static const int64_t batch[] = {1, 64, 256, 1024, 4096}, candidates[] = {1, 150, 1000};
	const MtlSys *sys = in->sys;
	int threads = mtl_pool_threads(pool);
	Bench b = {.in = in,
		   .pool = pool,
		   .work = mtl_new(sys, mtl_real *, threads),
		   .sample = mtl_new(sys, double, SAMPLES)};
	MtlStatus st = b.work && b.sample ? MTL_OK : mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	for (int i = 0; !st && i < threads; i++)
		if (!(b.work[i] = mtl_new(sys, mtl_real, mtl_rows_scratch(in))))
			st = mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	if (!st && json) printf("{\"variant\":\"%s\",\"threads\":%d,\"score\":[", in->variant->name, threads);
	if (!st && !json)
		printf("kernels %s, %d thread%s\n", in->variant->name, threads, threads == 1 ? "" : "s");
	if (!st) st = bench_sizes(&b, batch, sizeof batch / sizeof *batch, false, json, e);
	if (!st && json) fputs("],\"request\":[", stdout);
	if (!st) st = bench_sizes(&b, candidates, sizeof candidates / sizeof *candidates, true, json, e);
	for (int i = 0; b.work && i < threads; i++) mtl_release(sys, b.work[i]);
	mtl_release(sys, b.work);
	mtl_release(sys, b.sample);
	return st;
}
