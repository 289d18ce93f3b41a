/*
 * Crossed features: a category made of the categories of a row's other features.
 *
 * The row of a cross is 2 + XXH3_64(table rows of its parts, in their order, as little-endian 32-bit
 * integers) mod n; where every part is missing, so is the cross.  It follows from encoded rows, so that all
 * doors give the same.
 */
#ifndef MTL_CROSS_H
#define MTL_CROSS_H
#include "batch.h"
#include "real.h"

enum { MTL_CROSS_PARTS = 8 };

/*
 * Fills the crosses of rows row .. row + n of b.  With `request`, those of the candidate's side only, whose
 * parts of the request's side are in its row `at`.
 */
void mtl_cross_fill(const MtlModel *m, const MtlBatch *b, int64_t row, int64_t n, const MtlBatch *request,
		    int64_t at);
/*
 * Of crosses of both sides a row of ITEM keeps the candidate's parts, in its last columns, a table row's bits
 * in each: from row `row` of b; and back: with the request's parts, in row `at` of b, they give the crosses
 * of `row`.
 */
void mtl_cross_keep(const MtlModel *m, const MtlBatch *b, int64_t row, mtl_real *item);
void mtl_cross_complete(const MtlModel *m, const MtlBatch *b, int64_t row, const mtl_real *item, int64_t at);
#endif
