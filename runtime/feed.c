/*
 * A reader thread and a short ring of batches between it and the step.
 *
 * Shuffling fills a buffer of whole batches, permutes its rows and cuts them; only the last batch of all is
 * short.  Where losses compare the rows of a group, batches are of whole groups (regroup.c).
 */
#include "feed.h"
#include "cross.h"
#include "rng.h"
#include <pthread.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { RING = MTL_FEED_RING };

struct MtlFeed {
	const MtlSys *sys;
	const MtlModel *m;
	MtlFeedOptions o;
	MtlSource source;
	MtlRegroup *regroup; /* where losses compare the rows of a group; then no other buffer */
	MtlBatch pool;	     /* the shuffle buffer */
	int64_t *order;	     /* [pool.cap] */
	int64_t pool_at;     /* rows of the pool given out */
	uint64_t random;
	int64_t rows, batches; /* given to the ring */
	MtlFed ring[RING];

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t filled, freed;
	/* under lock */
	int64_t n_filled, n_freed; /* since the start; slot of the k-th is k % RING */
	bool held, quit, ended;
	MtlError error; /* what ended it, status MTL_OK: the end of the data */
	MtlRowCounts final;
	/* of the consumer */
	MtlRowCounts counts;
	MtlGroupCounts groups;
};

/* ---- rows ---- */

MtlStatus mtl_batch_room(MtlColumn *c, const MtlSys *sys, int64_t n, MtlError *e)
{
	if (n <= c->cap_items) return MTL_OK;
	int64_t cap = 2 * c->cap_items > n ? 2 * c->cap_items : n;
	int32_t *item = mtl_new(sys, int32_t, cap);
	mtl_real *scale = mtl_new(sys, mtl_real, cap);
	if (n > INT32_MAX || !item || !scale) {
		mtl_release(sys, item);
		mtl_release(sys, scale);
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the %lld list items of a batch",
				(long long)n);
	}
	if (c->cap_items) {
		memcpy(item, c->bag_item, (size_t)c->cap_items * sizeof *item);
		memcpy(scale, c->bag_scale, (size_t)c->cap_items * sizeof *scale);
	}
	mtl_release(sys, c->bag_item);
	mtl_release(sys, c->bag_scale);
	c->bag_item = item;
	c->bag_scale = scale;
	c->cap_items = cap;
	return MTL_OK;
}

MtlStatus mtl_batch_append(MtlBatch *to, const MtlSys *sys, const MtlModel *m, const MtlBatch *from,
			   int64_t i, MtlError *e)
{
	int64_t at = to->n;
	for (int f = 0; f < m->n_feature; f++) {
		MtlColumn *c = &to->column[f];
		const MtlColumn *d = &from->column[f];
		if (c->id && d->id) c->id[at] = d->id[i];
		if (c->real && d->real) c->real[at] = d->real[i];
		if (c->present && d->present) c->present[at] = d->present[i];
		if (!c->bag_start || !d->bag_start) continue;
		if (at == 0) c->bag_start[0] = 0;
		int64_t start = c->bag_start[at], src = d->bag_start[i], n = d->bag_start[i + 1] - src;
		if (mtl_batch_room(c, sys, start + n, e)) return e->status;
		memcpy(c->bag_item + start, d->bag_item + src, (size_t)n * sizeof *c->bag_item);
		memcpy(c->bag_scale + start, d->bag_scale + src, (size_t)n * sizeof *c->bag_scale);
		c->bag_start[at + 1] = (int32_t)(start + n);
	}
	for (int k = 0; k < m->n_event; k++) {
		to->can1[k][at] = from->can1[k][i];
		to->can0[k][at] = from->can0[k][i];
	}
	for (int k = 0; k < m->n_sample; k++) {
		to->sample[k][at] = from->sample[k][i];
		to->known[k][at] = from->known[k][i];
	}
	to->weight[at] = from->weight[i];
	to->group[at] = from->group[i];
	to->bad[at] = from->bad[i];
	to->n++;
	return MTL_OK;
}

static MtlStatus fill_pool(MtlFeed *f, MtlError *e)
{
	if (mtl_source_next(&f->source, &f->pool, e)) return e->status;
	f->pool_at = 0;
	mtl_shuffle(f->order, f->pool.n, &f->random);
	return MTL_OK;
}

/* The rows of a training batch, the first being row `first`, lose cells as their features say. */
static void drop_cells(const MtlFeed *f, MtlBatch *b, uint64_t first)
{
	for (int i = 0; f->o.drop_cells && i < f->m->n_feature; i++) {
		const MtlFeature *feature = &f->m->feature[i];
		MtlColumn *c = &b->column[i];
		uint64_t stream = XXH3_64bits(feature->name, strlen(feature->name));
		for (int64_t r = 0; feature->dropout > 0 && r < b->n; r++) {
			if (mtl_uniform(f->o.seed, stream, first + (uint64_t)r) >= feature->dropout) continue;
			if (c->id) c->id[r] = MTL_ROW_MISSING;
			if (c->present) c->present[r] = 0;
		}
	}
	if (f->o.drop_cells) mtl_cross_fill(f->m, b, 0, b->n, NULL, 0);
}

static MtlStatus fill(MtlFeed *f, MtlFed *fed, MtlError *e)
{
	MtlBatch *b = &fed->batch;
	if (f->regroup) {
		b->first_row = f->rows;
		if (mtl_regroup_next(f->regroup, b, e)) return e->status;
		fed->groups = mtl_regroup_counts(f->regroup);
	} else if (!f->o.shuffle) {
		if (mtl_source_next(&f->source, b, e)) return e->status;
	} else {
		b->n = 0;
		b->first_row = f->rows;
		if (f->pool_at == f->pool.n && fill_pool(f, e)) return e->status;
		while (b->n < b->cap && f->pool_at < f->pool.n)
			if (mtl_batch_append(b, f->sys, f->m, &f->pool, f->order[f->pool_at++], e))
				return e->status;
		if (mtl_batch_steps(b, f->sys, f->m, e)) return e->status;
	}
	drop_cells(f, b, (uint64_t)f->rows);
	if (f->o.prepare && b->n && f->o.prepare(f->o.self, fed->slot, b, e)) return e->status;
	fed->first = f->rows;
	fed->number = f->batches++;
	f->rows += b->n;
	fed->counts = *mtl_source_counts(&f->source);
	fed->progress = mtl_source_progress(&f->source);
	return MTL_OK;
}

/* ---- the ring ---- */

static void *produce(void *arg)
{
	MtlFeed *f = arg;
	MtlError e = {0};
	for (;;) {
		pthread_mutex_lock(&f->lock);
		while (!f->quit && f->n_filled - f->n_freed == RING) pthread_cond_wait(&f->freed, &f->lock);
		bool quit = f->quit;
		MtlFed *fed = &f->ring[f->n_filled % RING];
		pthread_mutex_unlock(&f->lock);
		if (quit) return NULL;
		bool end = fill(f, fed, &e) || fed->batch.n == 0;
		pthread_mutex_lock(&f->lock);
		if (end) {
			f->ended = true;
			f->error = e;
			f->final = *mtl_source_counts(&f->source);
		} else {
			f->n_filled++;
		}
		pthread_cond_signal(&f->filled);
		pthread_mutex_unlock(&f->lock);
		if (end) return NULL;
	}
}

MtlStatus mtl_feed_open(MtlFeed **out, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
			const MtlFeedOptions *o, MtlError *e)
{
	*out = NULL;
	MtlFeed *f = mtl_new(sys, MtlFeed, 1);
	if (!f) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for reading");
	f->sys = sys;
	f->m = m;
	f->o = *o;
	f->random = o->seed;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->filled, NULL);
	pthread_cond_init(&f->freed, NULL);
	MtlStatus st = mtl_source_open(&f->source, sys, m, c, o->path, o->n_path, &o->reader, e);
	if (!st && m->grouped && o->reader.labels)
		st = mtl_regroup_new(&f->regroup, sys, m, &f->source, o->batch, o->shuffle, o->seed, e);
	else if (!st && o->shuffle) {
		int64_t rows = (o->shuffle + o->batch - 1) / o->batch * o->batch;
		st = mtl_batch_init(&f->pool, sys, m, rows, e);
		if (!st && !(f->order = mtl_new(sys, int64_t, rows)))
			st = mtl_fail(e, MTL_LIMIT, "F0105", NULL,
				      "no memory for a shuffle buffer of %lld rows", (long long)rows);
	}
	for (int i = 0; !st && i < RING; i++) {
		f->ring[i].slot = i;
		st = mtl_batch_init(&f->ring[i].batch, sys, m, o->batch, e);
	}
	if (!st && pthread_create(&f->thread, NULL, produce, f) != 0)
		st = mtl_fail(e, MTL_SYSTEM, "", NULL, "cannot start a thread for reading");
	f->started = !st;
	if (st)
		(void)mtl_feed_close(f, e);
	else
		*out = f;
	return st;
}

MtlStatus mtl_feed_next(MtlFeed *f, MtlFed **out, MtlError *e)
{
	*out = NULL;
	pthread_mutex_lock(&f->lock);
	if (f->held) {
		f->held = false;
		f->n_freed++;
		pthread_cond_signal(&f->freed);
	}
	while (f->n_filled == f->n_freed && !f->ended) pthread_cond_wait(&f->filled, &f->lock);
	MtlStatus st = MTL_OK;
	if (f->n_filled > f->n_freed) {
		f->held = true;
		*out = &f->ring[f->n_freed % RING];
		f->counts = (*out)->counts;
		f->groups = (*out)->groups;
	} else {
		f->counts = f->final;
		st = f->error.status;
		if (st && !e->status) *e = f->error;
	}
	pthread_mutex_unlock(&f->lock);
	return st;
}

MtlRowCounts mtl_feed_counts(const MtlFeed *f) { return f->counts; }
MtlGroupCounts mtl_feed_groups(const MtlFeed *f) { return f->groups; }

MtlStatus mtl_feed_close(MtlFeed *f, MtlError *e)
{
	if (!f) return MTL_OK;
	const MtlSys *sys = f->sys;
	if (f->started) {
		pthread_mutex_lock(&f->lock);
		f->quit = true;
		pthread_cond_signal(&f->freed);
		pthread_mutex_unlock(&f->lock);
		pthread_join(f->thread, NULL);
	}
	MtlStatus st = mtl_source_close(&f->source, e);
	for (int i = 0; i < RING; i++) mtl_batch_free(&f->ring[i].batch, sys, f->m);
	mtl_batch_free(&f->pool, sys, f->m);
	mtl_regroup_free(f->regroup);
	mtl_release(sys, f->order);
	pthread_cond_destroy(&f->freed);
	pthread_cond_destroy(&f->filled);
	pthread_mutex_destroy(&f->lock);
	mtl_release(sys, f);
	return st;
}
