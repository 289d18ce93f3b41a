/*
 * What a code makes of a value, once its edges and normaliser are known: no memory, no text, no files.  Part
 * of scorers that are one C file, too.
 */
#include "encode.h"
#include <math.h>

int mtl_code_root(const MtlModel *m, int f)
{
	while (m->feature[f].same_code >= 0) f = m->feature[f].same_code;
	return f;
}

int32_t mtl_code_bucket(const MtlCodeBook *b, double value)
{
	int64_t lo = 0, hi = b->n_edges; /* edges below lo are <= value, those from hi on are above */
	while (lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;
		if (b->edges[mid] <= value)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (int32_t)lo + MTL_ROW_FIRST;
}

bool mtl_code_real(const MtlFeature *f, const MtlCodeBook *b, double value, mtl_real *out)
{
	if (f->normal == MTL_LOG1P) {
		if (value <= -1) return false;
		value = log1p(value);
	}
	mtl_real x = (mtl_real)((value - b->shift) * b->scale);
	if (!isfinite(x)) return false;
	*out = x;
	return true;
}

void mtl_list_shares(mtl_real *scale, int64_t n, bool weighted)
{
	double sum = (double)n;
	if (weighted) {
		sum = 0;
		for (int64_t i = 0; i < n; i++) sum += scale[i];
	}
	for (int64_t i = 0; i < n; i++) scale[i] = sum > 0 ? (mtl_real)(scale[i] / sum) : 0;
}
