/*
 * Rows of a source pass through a store that holds whole groups, and leave it group by group.
 *
 * The store has room for the shuffle buffer (at least a batch) and a batch more: the group at its end, of
 * which more may come, is carried over to the next filling.  No piece of a group is longer than a batch, so
 * there is always one that is whole.
 *
 * A group that comes again is found by a table of those that ended, by their hash, the latest in each place:
 * exact while fewer have ended in between than it has places, and never wrong about one that it reports.
 */
#include "regroup.h"
#include "feed.h"
#include "rng.h"

enum { ENDED = 1 << 16 };

struct MtlRegroup {
	const MtlSys *sys;
	const MtlModel *m;
	MtlSource *source;
	int64_t batch;
	bool shuffled, ended;
	uint64_t random;
	MtlBatch raw; /* as read; rows before raw_at have gone on */
	int64_t raw_at;
	MtlBatch store[2]; /* one in use, the other for what is carried over */
	int now;
	int64_t *start, *order; /* [store.cap + 1]: first row of each group; groups in the order they leave */
	int64_t n, at;		/* whole groups in the store; of them gone */
	uint64_t *old;		/* [ENDED] */
	uint64_t last;		/* group of the row read last */
	int64_t length;		/* its rows so far */
	MtlGroupCounts counts;
};

void mtl_regroup_free(MtlRegroup *g)
{
	if (!g) return;
	const MtlSys *sys = g->sys;
	mtl_batch_free(&g->raw, sys, g->m);
	for (int i = 0; i < 2; i++) mtl_batch_free(&g->store[i], sys, g->m);
	mtl_release(sys, g->start);
	mtl_release(sys, g->order);
	mtl_release(sys, g->old);
	mtl_release(sys, g);
}

MtlStatus mtl_regroup_new(MtlRegroup **out, const MtlSys *sys, const MtlModel *m, MtlSource *source,
			  int64_t batch, int64_t shuffle, uint64_t seed, MtlError *e)
{
	MtlRegroup *g = *out = mtl_new(sys, MtlRegroup, 1);
	int64_t rows = batch + (shuffle > batch ? (shuffle + batch - 1) / batch * batch : batch);
	if (!g) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for batches of whole groups");
	*g = (MtlRegroup){
	    .sys = sys, .m = m, .source = source, .batch = batch, .shuffled = shuffle > 0, .random = seed};
	MtlStatus st = mtl_batch_init(&g->raw, sys, m, batch, e);
	for (int i = 0; !st && i < 2; i++) st = mtl_batch_init(&g->store[i], sys, m, rows, e);
	g->start = mtl_new(sys, int64_t, rows + 1);
	g->order = mtl_new(sys, int64_t, rows + 1);
	g->old = mtl_new(sys, uint64_t, ENDED);
	if (!st && !(g->start && g->order && g->old))
		st = mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for batches of whole groups");
	if (st) {
		mtl_regroup_free(g);
		*out = NULL;
	}
	return st;
}

static uint64_t *ended(MtlRegroup *g, uint64_t group) { return &g->old[group % ENDED]; }

/* A row more, of `group` (0: none). */
static void count(MtlRegroup *g, uint64_t group)
{
	if (group && group == g->last) {
		g->counts.cut += ++g->length == g->batch + 1;
		return;
	}
	if (g->last) *ended(g, g->last) = g->last;
	g->last = group;
	g->length = 1;
	if (!group) return;
	if (*ended(g, group) == group) {
		g->counts.apart++;
		*ended(g, group) = 0; /* once for each group, as long as it is remembered */
	} else {
		g->counts.groups++;
	}
}

/* Rows from the source until the store is full or nothing is left. */
static MtlStatus pour(MtlRegroup *g, MtlBatch *to, MtlError *e)
{
	while (to->n < to->cap) {
		if (g->raw_at == g->raw.n) {
			g->raw_at = 0;
			if (mtl_source_next(g->source, &g->raw, e)) return e->status;
			if (g->raw.n == 0) {
				g->ended = true;
				return MTL_OK;
			}
		}
		count(g, g->raw.group[g->raw_at]);
		if (mtl_batch_append(to, g->sys, g->m, &g->raw, g->raw_at++, e)) return e->status;
	}
	return MTL_OK;
}

/* Marks the whole groups of the store. */
static void mark(MtlRegroup *g)
{
	const MtlBatch *b = &g->store[g->now];
	int64_t first = 0;
	g->n = g->at = 0;
	for (int64_t i = 1; i <= b->n; i++) {
		bool more =
		    i < b->n ? b->group[i] && b->group[i] == b->group[i - 1] : b->group[i - 1] && !g->ended;
		if (more && i - first < g->batch) continue;
		g->start[g->n++] = first;
		first = i;
	}
	g->start[g->n] = first;
}

static MtlStatus refill(MtlRegroup *g, MtlError *e)
{
	MtlBatch *from = &g->store[g->now], *to = &g->store[!g->now];
	to->n = 0;
	for (int64_t i = g->start[g->n]; i < from->n; i++)
		if (mtl_batch_append(to, g->sys, g->m, from, i, e)) return e->status;
	g->now = !g->now;
	if (!g->ended && pour(g, to, e)) return e->status;
	mark(g);
	if (g->shuffled)
		mtl_shuffle(g->order, g->n, &g->random);
	else
		for (int64_t i = 0; i < g->n; i++) g->order[i] = i;
	return MTL_OK;
}

MtlStatus mtl_regroup_next(MtlRegroup *g, MtlBatch *b, MtlError *e)
{
	b->n = 0;
	for (;;) {
		if (g->at == g->n && !(g->ended && g->start[g->n] == g->store[g->now].n) && refill(g, e))
			return e->status;
		if (g->at == g->n) break;
		int64_t k = g->order[g->at], first = g->start[k], end = g->start[k + 1];
		if (b->n + end - first > b->cap) break;
		for (int64_t i = first; i < end; i++)
			if (mtl_batch_append(b, g->sys, g->m, &g->store[g->now], i, e)) return e->status;
		g->at++;
	}
	return mtl_batch_steps(b, g->sys, g->m, e);
}

MtlGroupCounts mtl_regroup_counts(const MtlRegroup *g) { return g->counts; }
