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

MtlStatus mtl_batch_init(MtlBatch *b, const MtlSys *sys, const MtlModel *m, int64_t cap, MtlError *e)
{
	*b = (MtlBatch){.cap = cap};
	bool good = (b->column = mtl_new(sys, MtlColumn, m->n_feature + 1)) != NULL;
	for (int f = 0; good && f < m->n_feature; f++)
		good = column_init(&b->column[f], sys, &m->feature[f], cap);
	good = good && columns(&b->can1, sys, m->n_event, cap) && columns(&b->can0, sys, m->n_event, cap);
	good =
	    good && columns(&b->sample, sys, m->n_sample, cap) && columns(&b->known, sys, m->n_sample, cap);
	good = good && (b->weight = mtl_new(sys, mtl_real, cap)) != NULL;
	good = good && (b->group = mtl_new(sys, uint64_t, cap)) != NULL;
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
	free_columns(b->can1, sys, m->n_event);
	free_columns(b->can0, sys, m->n_event);
	free_columns(b->sample, sys, m->n_sample);
	free_columns(b->known, sys, m->n_sample);
	mtl_release(sys, b->weight);
	mtl_release(sys, b->group);
	mtl_release(sys, b->bad);
	mtl_release(sys, b->pass_text);
	*b = (MtlBatch){0};
}
