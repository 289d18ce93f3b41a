/*
 * Batches of whole groups: rows that a loss compares with each other stay together.
 *
 * A group is a stretch of rows that name the same one; a row that names none is alone.  A batch ends before
 * the first group that does not fit.  A group longer than a batch is cut after every batch of its rows.
 */
#ifndef MTL_REGROUP_H
#define MTL_REGROUP_H
#include "source.h"

typedef struct {
	int64_t groups; /* that rows name, pieces counted as one */
	int64_t apart;	/* groups that came again after other rows: of two stretches none is compared with the
			   other */
	int64_t cut;	/* groups longer than a batch */
} MtlGroupCounts;

typedef struct MtlRegroup MtlRegroup;
/* shuffle: rows of the buffer whose groups are put into another order; 0: that of the source. */
MtlStatus mtl_regroup_new(MtlRegroup **out, const MtlSys *sys, const MtlModel *m, MtlSource *source,
			  int64_t batch, int64_t shuffle, uint64_t seed, MtlError *e);
/* The next batch; b->n = 0 at the end.  b->cap is `batch`. */
MtlStatus mtl_regroup_next(MtlRegroup *g, MtlBatch *b, MtlError *e);
/* Of the rows read so far. */
MtlGroupCounts mtl_regroup_counts(const MtlRegroup *g);
void mtl_regroup_free(MtlRegroup *g); /* NULL is fine */
#endif
