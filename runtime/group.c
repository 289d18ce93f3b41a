/*
 * Grouping in two walks: the first gives every occurrence the index of its table row, the second puts them in
 * place.
 */
#include "group.h"
#include <string.h>

/* Is lookup l one of those that give table t a gradient? */
static bool teaches(const MtlModel *m, int l, int t)
{
	return m->lookup[l].table == t && m->lookup[l].offset >= 0;
}

int64_t mtl_touched_count(const MtlModel *m, const MtlBatch *b, int t)
{
	int64_t n = 0;
	for (int l = 0; l < m->n_lookup; l++) {
		if (!teaches(m, l, t)) continue;
		const MtlFeature *f = &m->feature[m->lookup[l].feature];
		n += f->kind == MTL_BAG ? b->column[m->lookup[l].feature].bag_start[b->n] : b->n;
	}
	return n;
}

void mtl_touched_free(MtlTouched *g, const MtlSys *sys)
{
	mtl_release(sys, g->uniq);
	mtl_release(sys, g->start);
	mtl_release(sys, g->src);
	mtl_release(sys, g->scale);
	mtl_release(sys, g->of);
	mtl_release(sys, g->next);
	mtl_release(sys, g->slot);
	*g = (MtlTouched){0};
}

MtlStatus mtl_touched_room(MtlTouched *g, const MtlSys *sys, int64_t n, MtlError *e)
{
	if (g->cap && n <= g->cap) return MTL_OK;
	if (n > INT32_MAX / 2)
		return mtl_fail(e, MTL_LIMIT, "", NULL,
				"a batch with %lld table look-ups: at most %d are possible", (long long)n,
				INT32_MAX / 2);
	int64_t cap = 1024;
	while (cap < n) cap *= 2;
	mtl_touched_free(g, sys);
	g->uniq = mtl_new(sys, int32_t, cap);
	g->start = mtl_new(sys, int32_t, cap + 1);
	g->src = mtl_new(sys, int32_t, cap);
	g->scale = mtl_new(sys, mtl_real, cap);
	g->of = mtl_new(sys, int32_t, cap);
	g->next = mtl_new(sys, int32_t, cap);
	g->slot = mtl_new(sys, int32_t, 2 * cap);
	if (!g->uniq || !g->start || !g->src || !g->scale || !g->of || !g->next || !g->slot) {
		mtl_touched_free(g, sys);
		return mtl_fail(e, MTL_LIMIT, "", NULL, "no memory for the %lld table look-ups of a batch",
				(long long)n);
	}
	g->cap = cap;
	g->mask = 2 * cap - 1;
	return MTL_OK;
}

/* Fibonacci hashing spreads rows over the upper bits; a table no larger than the slots needs no hashing at
 * all. */
typedef struct {
	uint32_t factor;
	int shift;
} Spread;

static int64_t place(Spread s, int32_t row)
{
	return (int64_t)(((uint64_t)((uint32_t)row * s.factor)) >> s.shift);
}

static int32_t meet(MtlTouched *g, Spread s, int32_t row)
{
	int64_t i = place(s, row);
	for (;; i = (i + 1) & g->mask) {
		int32_t u = g->slot[i];
		if (u == 0) break;
		if (g->uniq[u - 1] == row) {
			g->start[u - 1]++;
			return u - 1;
		}
	}
	int32_t u = (int32_t)g->n_uniq++;
	g->slot[i] = u + 1;
	g->uniq[u] = row;
	g->start[u] = 1; /* a count until the first walk ends */
	return u;
}

static void put(MtlTouched *g, int64_t i, int64_t src, mtl_real scale)
{
	int32_t at = g->next[g->of[i]]++;
	g->src[at] = (int32_t)src;
	g->scale[at] = scale;
}

MtlStatus mtl_touched_fill(MtlTouched *g, const MtlSys *sys, const MtlModel *m, const MtlBatch *b, int t,
			   int64_t rows, MtlError *e)
{
	int64_t n = mtl_touched_count(m, b, t);
	g->n_uniq = g->n = 0;
	if (mtl_batch_drows(b, m, m->n_seq) > INT32_MAX)
		return mtl_fail(
		    e, MTL_LIMIT, "", NULL,
		    "a batch of %lld rows has %lld embedding gradients: at most %d numbers are possible",
		    (long long)b->n, (long long)mtl_batch_drows(b, m, m->n_seq), INT32_MAX);
	if (mtl_touched_room(g, sys, n, e)) return e->status;
	g->n = n;

	/* All at once: a walk over the used slots would cost a miss for each. */
	memset(g->slot, 0, (size_t)(g->mask + 1) * sizeof *g->slot);
	Spread s = {1, 0};
	if (rows > g->mask + 1) {
		s.factor = 2654435769u; /* 2^32 / golden ratio */
		s.shift = 32 - (63 - __builtin_clzll((unsigned long long)(g->mask + 1)));
	}
	int64_t k = 0;
	for (int l = 0; l < m->n_lookup; l++) {
		if (!teaches(m, l, t)) continue;
		const MtlColumn *c = &b->column[m->lookup[l].feature];
		const MtlFeature *f = &m->feature[m->lookup[l].feature];
		int64_t items = f->kind == MTL_BAG ? c->bag_start[b->n] : b->n;
		const int32_t *item = f->kind == MTL_BAG ? c->bag_item : c->id;
		if (f->seq) { /* in the order of the steps, as their gradients lie */
			const int32_t *at = b->steps[f->seq - 1].at;
			for (int64_t i = 0; i < items; i++) g->of[k++] = meet(g, s, item[at[i]]);
			continue;
		}
		for (int64_t i = 0; i < items; i++) g->of[k++] = meet(g, s, item[i]);
	}

	int32_t sum = 0;
	for (int64_t u = 0; u < g->n_uniq; u++) {
		int32_t count = g->start[u];
		g->start[u] = g->next[u] = sum;
		sum += count;
	}
	g->start[g->n_uniq] = sum;

	k = 0;
	for (int l = 0; l < m->n_lookup; l++) {
		if (!teaches(m, l, t)) continue;
		const MtlColumn *c = &b->column[m->lookup[l].feature];
		int64_t offset = m->lookup[l].offset;
		int seq = m->feature[m->lookup[l].feature].seq;
		if (seq) {
			int64_t from = mtl_batch_drows(b, m, seq - 1) + offset, items = c->bag_start[b->n];
			for (int64_t i = 0; i < items; i++) put(g, k++, from + i * m->seq[seq - 1].n_drow, 1);
			continue;
		}
		if (m->feature[m->lookup[l].feature].kind != MTL_BAG) {
			for (int64_t i = 0; i < b->n; i++) put(g, k++, i * m->n_drow + offset, 1);
			continue;
		}
		for (int64_t i = 0; i < b->n; i++)
			for (int32_t j = c->bag_start[i]; j < c->bag_start[i + 1]; j++)
				put(g, k++, i * m->n_drow + offset, c->bag_scale[j]);
	}
	return MTL_OK;
}

/* ---- all tables ---- */

MtlStatus mtl_groups_init(MtlGroups *g, const MtlSys *sys, const MtlModel *m, const int64_t *table_rows,
			  int slots, int64_t rows, MtlError *e)
{
	*g =
	    (MtlGroups){sys, m, table_rows, mtl_new(sys, MtlTouched, slots * (int64_t)m->n_table + 1), slots};
	if (!g->touched) return mtl_fail(e, MTL_LIMIT, "", NULL, "no memory for the tables' updates");
	for (int t = 0; t < m->n_table; t++) {
		int64_t lookups = 0;
		for (int l = 0; l < m->n_lookup; l++) lookups += teaches(m, l, t);
		for (int s = 0; s < slots; s++)
			if (mtl_touched_room(&g->touched[s * m->n_table + t], sys, rows * lookups, e))
				return e->status;
	}
	return MTL_OK;
}

void mtl_groups_free(MtlGroups *g)
{
	if (!g->touched) return;
	for (int i = 0; i < g->slots * g->m->n_table; i++) mtl_touched_free(&g->touched[i], g->sys);
	mtl_release(g->sys, g->touched);
	*g = (MtlGroups){0};
}

const MtlTouched *mtl_groups_of(const MtlGroups *g, int slot) { return g->touched + slot * g->m->n_table; }

MtlStatus mtl_groups_fill(void *groups, int slot, const MtlBatch *b, MtlError *e)
{
	MtlGroups *g = groups;
	for (int t = 0; t < g->m->n_table; t++)
		if (mtl_touched_fill(&g->touched[slot * g->m->n_table + t], g->sys, g->m, b, t,
				     g->table_rows[t], e))
			return e->status;
	return MTL_OK;
}
