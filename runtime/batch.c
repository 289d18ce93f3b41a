/*
 * Memory of a batch: taken once for `cap` rows; only the items of lists may grow while reading.
 */
#include "batch.h"

enum { ITEMS_PER_ROW = 8 };

static bool has_id(const MtlFeature *f)
{
	return f->kind == MTL_ID || (f->kind == MTL_NUMBER && f->code != MTL_PLAIN);
}

static bool column_init(MtlColumn *c, const MtlSys *sys, const MtlFeature *f, int64_t cap)
{
	bool good = true;
	if (has_id(f)) good = (c->id = mtl_new(sys, int32_t, cap)) != NULL;
	if (f->kind == MTL_NUMBER) {
		good = good && (c->real = mtl_new(sys, mtl_real, cap)) != NULL;
		good = good && (c->present = mtl_new(sys, mtl_real, cap)) != NULL;
	}
	if (f->kind == MTL_BAG) {
		c->cap_items = cap * ITEMS_PER_ROW;
		good = good && (c->bag_start = mtl_new(sys, int32_t, cap + 1)) != NULL;
		good = good && (c->bag_item = mtl_new(sys, int32_t, c->cap_items)) != NULL;
		good = good && (c->bag_scale = mtl_new(sys, mtl_real, c->cap_items)) != NULL;
	}
	return good;
}

/* n columns of cap floats; NULL: no memory, or none wanted. */
static bool columns(mtl_real ***out, const MtlSys *sys, int n, int64_t cap)
{
	if (n == 0) return true;
	if (!(*out = mtl_new(sys, mtl_real *, n))) return false;
	for (int i = 0; i < n; i++)
		if (!((*out)[i] = mtl_new(sys, mtl_real, cap))) return false;
	return true;
}

static void free_columns(mtl_real **c, const MtlSys *sys, int n)
{
	for (int i = 0; c && i < n; i++) mtl_release(sys, c[i]);
	mtl_release(sys, c);
}

static bool steps_init(MtlSteps *s, const MtlSys *sys, const MtlSeq *q, int64_t cap)
{
	int64_t blocks = (cap + MTL_BLOCK - 1) / MTL_BLOCK;
	s->cap = cap * ITEMS_PER_ROW;
	return (s->at = mtl_new(sys, int32_t, s->cap + 1)) && (s->row = mtl_new(sys, int32_t, 2 * cap + 1)) &&
	       (s->block = mtl_new(sys, int32_t, blocks * (q->max + MTL_STEP_HEAD) + 1));
}

/* Neighbours that name the same group; a row that names none is alone. */
static void find_groups(MtlBatch *b)
{
	b->n_group = 0;
	for (int64_t i = 0; i < b->n; i++)
		if (!i || !b->group[i] || b->group[i] != b->group[i - 1])
			b->group_start[b->n_group++] = (int32_t)i;
	b->group_start[b->n_group] = (int32_t)b->n;
}

MtlStatus mtl_batch_steps(MtlBatch *b, const MtlSys *sys, const MtlModel *m, MtlError *e)
{
	for (int q = 0; q < m->n_seq; q++) {
		MtlSteps *s = &b->steps[q];
		int64_t n = mtl_batch_n_steps(b, m, q);
		if (n > s->cap) {
			int64_t cap = 2 * s->cap > n ? 2 * s->cap : n;
			int32_t *at = mtl_new(sys, int32_t, cap);
			if (!at)
				return mtl_fail(e, MTL_LIMIT, "F0105", NULL,
						"no memory for the %lld steps of a batch", (long long)n);
			mtl_release(sys, s->at);
			s->at = at;
			s->cap = cap;
		}
		mtl_steps_fill(s, b->column[m->seq[q].first].bag_start, b->n, m->seq[q].max);
	}
	if (m->grouped) find_groups(b);
	return MTL_OK;
}

MtlStatus mtl_batch_init(MtlBatch *b, const MtlSys *sys, const MtlModel *m, int64_t cap, MtlError *e)
{
	*b = (MtlBatch){.cap = cap};
	bool good = (b->column = mtl_new(sys, MtlColumn, m->n_feature + 1)) != NULL;
	for (int f = 0; good && f < m->n_feature; f++)
		good = column_init(&b->column[f], sys, &m->feature[f], cap);
	good = good && (b->steps = mtl_new(sys, MtlSteps, m->n_seq + 1)) != NULL;
	for (int q = 0; good && q < m->n_seq; q++) good = steps_init(&b->steps[q], sys, &m->seq[q], cap);
	good = good && columns(&b->can1, sys, m->n_event, cap) && columns(&b->can0, sys, m->n_event, cap);
	good =
	    good && columns(&b->sample, sys, m->n_sample, cap) && columns(&b->known, sys, m->n_sample, cap);
	good = good && (b->weight = mtl_new(sys, mtl_real, cap)) != NULL;
	good = good && (b->group = mtl_new(sys, uint64_t, cap)) != NULL;
	good = good && (!m->grouped || (b->group_start = mtl_new(sys, int32_t, cap + 1)));
	good = good && (b->bad = mtl_new(sys, bool, cap)) != NULL;
	if (good) return MTL_OK;
	mtl_batch_free(b, sys, m);
	return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for a batch of %lld rows", (long long)cap);
}

void mtl_batch_free(MtlBatch *b, const MtlSys *sys, const MtlModel *m)
{
	for (int f = 0; b->column && f < m->n_feature; f++) {
		MtlColumn *c = &b->column[f];
		mtl_release(sys, c->id);
		mtl_release(sys, c->bag_start);
		mtl_release(sys, c->bag_item);
		mtl_release(sys, c->bag_scale);
		mtl_release(sys, c->real);
		mtl_release(sys, c->present);
	}
	mtl_release(sys, b->column);
	for (int q = 0; b->steps && q < m->n_seq; q++) {
		mtl_release(sys, b->steps[q].at);
		mtl_release(sys, b->steps[q].row);
		mtl_release(sys, b->steps[q].block);
	}
	mtl_release(sys, b->steps);
	free_columns(b->can1, sys, m->n_event);
	free_columns(b->can0, sys, m->n_event);
	free_columns(b->sample, sys, m->n_sample);
	free_columns(b->known, sys, m->n_sample);
	mtl_release(sys, b->weight);
	mtl_release(sys, b->group);
	mtl_release(sys, b->group_start);
	mtl_release(sys, b->bad);
	mtl_release(sys, b->pass_text);
	*b = (MtlBatch){0};
}
