/*
 * Scores of encoded rows, by whichever entries are quickest: whole, or the request's part once and the
 * candidates' for each.  The bits are the same.
 */
#ifndef MTL_ROWS_H
#define MTL_ROWS_H
#include "frame.h"

/* Floats of scratch memory for one thread: a row of REQUEST, then WORK.  Aligned to 64 bytes. */
int64_t mtl_rows_scratch(const MtlInstance *in);
/* Rows row .. row + n of the batch into out, which is that of row 0.  Runs of rows with equal request columns
 * are found. */
void mtl_rows_score(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *out, int64_t row,
		    int64_t n);
/* The request's part of a row stays in scratch; then candidates, whose request columns are not looked at. */
void mtl_rows_request(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, int64_t row);
void mtl_rows_candidates(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *out,
			 int64_t row, int64_t n);
/* Does the candidates' part go over steps of the request, as attention of the candidate does?  Then the rows
 * of its batch need them: repeat puts the sequences of one row of `from` in rows 0 .. n of b, which has room
 * (and may be `from`, of row 0).  Their order is the caller's to find. */
bool mtl_rows_walk(const MtlInstance *in);
void mtl_rows_repeat(const MtlModel *m, MtlBatch *b, int64_t n, const MtlBatch *from, int64_t row);
/*
 * What depends on the candidate alone, once for many requests: a row of n_item numbers for each, at `items`,
 * which is that of row 0.  Then, after mtl_rows_request, scores of such rows, whose crosses with the request
 * b has; or of those picked by index, whose crosses are made in rows 0 .. MTL_BLOCK of b, which has the
 * request in row 0.
 */
bool mtl_rows_have_items(const MtlInstance *in); /* a model may have none (n_item 0, or steps to walk) */
void mtl_rows_items(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *items, int64_t row,
		    int64_t n);
void mtl_rows_pairs(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, const mtl_real *items,
		    mtl_real *out, int64_t row, int64_t n);
void mtl_rows_pick(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, const mtl_real *items,
		   const size_t *index, mtl_real *out, int64_t n);
/* What mtl_rows_request left in one thread's scratch, for another thread's. */
void mtl_rows_hand_over(const MtlInstance *in, const mtl_real *from, mtl_real *to);
/* The same without looking for runs: for benchmarks. */
void mtl_rows_whole(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *out, int64_t row,
		    int64_t n);
#endif
