/*
 * From table rows to the table row of their cross.
 */
#include "cross.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static int32_t crossed(const int32_t *part, int n_part, int64_t n)
{
	unsigned char bytes[4 * MTL_CROSS_PARTS];
	bool any = false;
	if (n_part > MTL_CROSS_PARTS) __builtin_unreachable(); /* gcc 12 would warn of longer texts to hash */
	for (int i = 0; i < n_part; i++) {
		uint32_t x = (uint32_t)part[i];
		any |= part[i] != MTL_ROW_MISSING;
		for (int k = 0; k < 4; k++) bytes[4 * i + k] = (unsigned char)(x >> (8 * k));
	}
	if (!any) return MTL_ROW_MISSING;
	return (int32_t)(XXH3_64bits(bytes, 4 * (size_t)n_part) % (uint64_t)n) + MTL_ROW_FIRST;
}

void mtl_cross_fill(const MtlModel *m, const MtlBatch *b, int64_t row, int64_t n, const MtlBatch *request,
		    int64_t at)
{
	for (int f = 0; f < m->n_feature; f++) {
		const MtlFeature *x = &m->feature[f];
		int32_t *out = b->column[f].id;
		if (!x->n_cross || !out || (request && !x->candidate)) continue;
		for (int64_t r = row; r < row + n; r++) {
			int32_t part[MTL_CROSS_PARTS];
			for (int k = 0; k < x->n_cross; k++) {
				int p = x->cross[k];
				bool once = request && !m->feature[p].candidate;
				const int32_t *id = (once ? request : b)->column[p].id;
				part[k] = id ? id[once ? at : r] : MTL_ROW_MISSING;
			}
			out[r] = crossed(part, x->n_cross, x->n);
		}
	}
}

/* The parts of f on the candidate's side, where others are on the request's; else 0. */
static int kept_parts(const MtlModel *m, const MtlFeature *f)
{
	int n = 0;
	if (f->train_only || !f->candidate) return 0;
	for (int k = 0; k < f->n_cross; k++) n += m->feature[f->cross[k]].candidate;
	return n < f->n_cross ? n : 0;
}

static int all_parts(const MtlModel *m)
{
	int n = 0;
	for (int f = 0; f < m->n_feature; f++) n += kept_parts(m, &m->feature[f]);
	return n;
}

void mtl_cross_keep(const MtlModel *m, const MtlBatch *b, int64_t row, mtl_real *item)
{
	mtl_real *to = item + m->n_item - all_parts(m);
	for (int f = 0; f < m->n_feature; f++) {
		const MtlFeature *x = &m->feature[f];
		if (!kept_parts(m, x)) continue;
		for (int k = 0; k < x->n_cross; k++) {
			const int32_t *id = b->column[x->cross[k]].id;
			int32_t part = id ? id[row] : MTL_ROW_MISSING;
			if (!m->feature[x->cross[k]].candidate) continue;
			*to = 0;
			memcpy(to++, &part, sizeof part);
		}
	}
}

void mtl_cross_complete(const MtlModel *m, const MtlBatch *b, int64_t row, const mtl_real *item, int64_t at)
{
	const mtl_real *from = item + m->n_item - all_parts(m);
	for (int f = 0; f < m->n_feature; f++) {
		const MtlFeature *x = &m->feature[f];
		int32_t part[MTL_CROSS_PARTS];
		if (!kept_parts(m, x)) continue;
		for (int k = 0; k < x->n_cross; k++) {
			const int32_t *id = b->column[x->cross[k]].id;
			if (m->feature[x->cross[k]].candidate)
				memcpy(&part[k], from++, sizeof part[k]);
			else
				part[k] = id ? id[at] : MTL_ROW_MISSING;
		}
		if (b->column[f].id) b->column[f].id[row] = crossed(part, x->n_cross, x->n);
	}
}
