/*
 * Grouping by sorting: the occurrences of a table, as pairs of row and place, go through a radix sort by row,
 * the least digit first, which keeps those of one row in the order in which they were met.  Nothing branches
 * on what the rows are: a hash is twice as slow, for what the processor guesses wrong.
 */
#include "group.h"
#include <string.h>

enum {
	DIGIT = 10, /* bits: the counters of a digit, and the lines its pairs are written to, stay in the
		      first cache */
	DIGITS = 8, /* of a row of 31 bits, when few rows make small digits */
	SPARSE = 16
};

/* A row above, below it the place of its gradient in DROWS or, in tables that bags look up, the occurrence.
 */
static uint64_t pair(int32_t row, int64_t at) { return (uint64_t)row << 32 | (uint32_t)at; }

/*
 * A row's key: the low bits of row * factor, factor odd, so that no two rows have one.  Rows that are few
 * among many are stepped in ascending order, a quarter faster than in the order of the batch when the table
 * is in memory.  Where every few rows one is touched, that order would make the processor fetch the untouched
 * ones between them, and keys scatter the rows.
 */
typedef struct {
	uint32_t factor;
	int digits, width;
} Keys;

static Keys keys_of(int64_t n, int64_t rows)
{
	Keys k = {.factor = n * SPARSE < rows ? 1 : 2654435769u /* 2^32 / golden ratio */, .width = 4};
	int bits = rows > 1 ? 64 - __builtin_clzll((unsigned long long)(rows - 1)) : 1;
	while (k.width < DIGIT && (int64_t)2 << k.width <= n) k.width++;
	k.digits = (bits + k.width - 1) / k.width;
	k.width = (bits + k.digits - 1) / k.digits;
	return k;
}

/* Is lookup l one of those that give table t a gradient? */
static bool teaches(const MtlModel *m, int l, int t)
{
	return m->lookup[l].table == t && m->lookup[l].offset >= 0;
}

static bool is_bag(const MtlModel *m, int l)
{
	const MtlFeature *f = &m->feature[m->lookup[l].feature];
	return f->kind == MTL_BAG && !f->seq;
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
	mtl_release(sys, g->pair[0]);
	mtl_release(sys, g->pair[1]);
	mtl_release(sys, g->bag_src);
	mtl_release(sys, g->bag_scale);
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
	g->uniq = mtl_new(sys, int32_t, cap + 1);
	g->start = mtl_new(sys, int32_t, cap + 2);
	g->src = mtl_new(sys, int32_t, cap);
	g->scale = mtl_new(sys, mtl_real, cap);
	g->pair[0] = mtl_new(sys, uint64_t, cap);
	g->pair[1] = mtl_new(sys, uint64_t, cap);
	g->bag_src = mtl_new(sys, int32_t, cap);
	g->bag_scale = mtl_new(sys, mtl_real, cap);
	if (!g->uniq || !g->start || !g->src || !g->scale || !g->pair[0] || !g->pair[1] || !g->bag_src ||
	    !g->bag_scale) {
		mtl_touched_free(g, sys);
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL,
				"no memory for the %lld table look-ups of a batch", (long long)n);
	}
	for (int64_t i = 0; i < cap; i++) g->scale[i] = 1; /* and so they stay where there are no bags */
	g->cap = cap;
	return MTL_OK;
}

/* ---- the occurrences of a table, by lookup ---- */

typedef struct {
	const MtlModel *m;
	const MtlBatch *b;
	MtlTouched *g;
	int64_t n; /* occurrences met so far */
	bool bags; /* some have scales */
} Walk;

/* src < 2^31: the caller has looked. */
static void meet_ids(Walk *w, const int32_t *id, int64_t n, int64_t src, int64_t step)
{
	uint64_t *p = w->g->pair[0] + w->n;
	if (w->bags) {
		for (int64_t i = 0; i < n; i++) {
			p[i] = pair(id[i], w->n + i);
			w->g->bag_src[w->n + i] = (int32_t)(src + i * step);
			w->g->bag_scale[w->n + i] = 1;
		}
	} else {
		for (int64_t i = 0; i < n; i++) p[i] = pair(id[i], src + i * step);
	}
	w->n += n;
}

/* In the order of the steps, as their gradients lie. */
static void meet_steps(Walk *w, const int32_t *item, const int32_t *at, int64_t n, int64_t src, int64_t step)
{
	for (int64_t i = 0; i < n; i++) meet_ids(w, item + at[i], 1, src + i * step, 0);
}

static void meet_bag(Walk *w, const MtlColumn *c, int64_t offset)
{
	for (int64_t i = 0; i < w->b->n; i++)
		for (int32_t j = c->bag_start[i]; j < c->bag_start[i + 1]; j++, w->n++) {
			w->g->pair[0][w->n] = pair(c->bag_item[j], w->n);
			w->g->bag_src[w->n] = (int32_t)(i * w->m->n_drow + offset);
			w->g->bag_scale[w->n] = c->bag_scale[j];
		}
}

static void meet(Walk *w, const MtlLookup *look)
{
	const MtlColumn *c = &w->b->column[look->feature];
	const MtlFeature *f = &w->m->feature[look->feature];
	if (f->seq)
		meet_steps(w, c->bag_item, w->b->steps[f->seq - 1].at, c->bag_start[w->b->n],
			   mtl_batch_drows(w->b, w->m, f->seq - 1) + look->offset,
			   w->m->seq[f->seq - 1].n_drow);
	else if (f->kind == MTL_BAG)
		meet_bag(w, c, look->offset);
	else
		meet_ids(w, c->id, w->b->n, look->offset, w->m->n_drow);
}

/* ---- sorting ---- */

/* How often each value of each of `digits` digits occurs: a constant of the caller, so that the walk is
 * unrolled. */
static inline __attribute__((always_inline)) void
count_digits(uint32_t count[DIGITS][1 << DIGIT], const uint64_t *p, int64_t n, Keys k, int digits)
{
	uint32_t mask = (1u << k.width) - 1;
	for (int64_t i = 0; i < n; i++) {
		uint32_t key = (uint32_t)(p[i] >> 32) * k.factor;
		for (int d = 0; d < digits; d++, key >>= k.width) count[d][key & mask]++;
	}
}

/* In the order of digit d; `at` has how often each of its values occurs. */
static void scatter(uint64_t *to, const uint64_t *from, int64_t n, Keys k, int d, uint32_t at[1 << DIGIT])
{
	uint32_t mask = (1u << k.width) - 1, sum = 0;
	int shift = d * k.width;
	for (uint32_t v = 0; v <= mask; v++) {
		uint32_t count = at[v];
		at[v] = sum;
		sum += count;
	}
	for (int64_t i = 0; i < n; i++)
		to[at[(uint32_t)(from[i] >> 32) * k.factor >> shift & mask]++] = from[i];
}

/* Where the sorted pairs are: they go from one half to the other with every digit. */
static const uint64_t *sort(uint64_t *const half[2], int64_t n, Keys k)
{
	uint32_t count[DIGITS][1 << DIGIT];
	for (int d = 0; d < k.digits; d++) memset(count[d], 0, sizeof(uint32_t) << k.width);
	switch (k.digits) {
	case 1: count_digits(count, half[0], n, k, 1); break;
	case 2: count_digits(count, half[0], n, k, 2); break;
	case 3: count_digits(count, half[0], n, k, 3); break;
	default: count_digits(count, half[0], n, k, k.digits);
	}
	for (int d = 0; d < k.digits; d++) scatter(half[1 - d % 2], half[d % 2], n, k, d, count[d]);
	return half[k.digits % 2];
}

static inline __attribute__((always_inline)) void group(MtlTouched *g, const uint64_t *p, bool bags)
{
	int32_t *uniq = g->uniq, *start = g->start, *src = g->src;
	mtl_real *scale = g->scale;
	int64_t u = -1, n = g->n;
	int32_t row = -1;
	for (int64_t i = 0; i < n; i++) {
		int32_t next = (int32_t)(p[i] >> 32), at = (int32_t)(uint32_t)p[i];
		start[u + 1] = (int32_t)i; /* of the next row: the last to write is its first occurrence */
		u += next != row;
		uniq[u] = row = next;
		src[i] = bags ? g->bag_src[at] : at;
		if (bags) scale[i] = g->bag_scale[at];
	}
	start[u + 1] = (int32_t)n;
	g->n_uniq = u + 1;
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
	Walk w = {.m = m, .b = b, .g = g};
	for (int l = 0; l < m->n_lookup; l++) w.bags |= teaches(m, l, t) && is_bag(m, l);
	for (int l = 0; l < m->n_lookup; l++)
		if (teaches(m, l, t)) meet(&w, &m->lookup[l]);
	const uint64_t *sorted = sort(g->pair, n, keys_of(n, rows));
	if (w.bags)
		group(g, sorted, true);
	else
		group(g, sorted, false);
	return MTL_OK;
}

/* ---- all tables ---- */

MtlStatus mtl_groups_init(MtlGroups *g, const MtlSys *sys, const MtlModel *m, const int64_t *table_rows,
			  int slots, int64_t rows, MtlError *e)
{
	*g =
	    (MtlGroups){sys, m, table_rows, mtl_new(sys, MtlTouched, slots * (int64_t)m->n_table + 1), slots};
	if (!g->touched) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the tables' updates");
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
