/*
 * From table rows to the table row of their cross.
 */
#include "cross.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

static int32_t crossed(const int32_t *part, int n_part, int64_t n)
{
	unsigned char bytes[4 * MTL_CROSS_PARTS];
	bool any = false;
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
