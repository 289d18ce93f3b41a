/*
 * Which rows of a table a batch touches, and from where each receives its gradient.
 *
 * An occurrence is one use of one table row: the id of a row of the batch, or an item of a bag.  Occurrences
 * of the same table row are brought together, table rows in an order that depends on the numbers of rows and
 * occurrences alone, the occurrences of one in their order: by lookup, then by row of the batch (of a
 * sequence: in the order of its steps).  That order is the order of the gradient's sum.
 */
#ifndef MTL_GROUP_H
#define MTL_GROUP_H
#include "batch.h"
#include "real.h"

typedef struct MtlTouched {
	int32_t *uniq;	 /* [n_uniq] table rows */
	int32_t *start;	 /* [n_uniq + 1] first occurrence of each */
	int32_t *src;	 /* [n] first element of its gradient in DROWS */
	mtl_real *scale; /* [n] */
	int64_t n_uniq, n, cap;
	/* scratch, [cap] each */
	uint64_t *pair[2];
	int32_t *bag_src; /* of each occurrence as met, in tables that bags look up */
	mtl_real *bag_scale;
} MtlTouched;

/* Occurrences of table t in a batch. */
int64_t mtl_touched_count(const MtlModel *m, const MtlBatch *b, int t);
/* Room for n occurrences at least; content is lost when it grows.  MTL_LIMIT on no memory. */
MtlStatus mtl_touched_room(MtlTouched *g, const MtlSys *sys, int64_t n, MtlError *e);
/* Groups the occurrences of table t, which has `rows` rows.  Allocates only where bags ask for more room than
 * ever before. */
MtlStatus mtl_touched_fill(MtlTouched *g, const MtlSys *sys, const MtlModel *m, const MtlBatch *b, int t,
			   int64_t rows, MtlError *e);
void mtl_touched_free(MtlTouched *g, const MtlSys *sys);

/* The touched rows of every table for each of several batches alive at once. */
typedef struct {
	const MtlSys *sys;
	const MtlModel *m;
	const int64_t *table_rows;
	MtlTouched *touched; /* [slots][n_table] */
	int slots;
} MtlGroups;

/* Room for batches of `rows` rows; `table_rows` [n_table] must outlive *g.  Needs mtl_groups_free after a
 * failure too. */
MtlStatus mtl_groups_init(MtlGroups *g, const MtlSys *sys, const MtlModel *m, const int64_t *table_rows,
			  int slots, int64_t rows, MtlError *e);
void mtl_groups_free(MtlGroups *g);
/* Groups all tables of a batch; `groups` is a MtlGroups (MtlFeedOptions.prepare). */
MtlStatus mtl_groups_fill(void *groups, int slot, const MtlBatch *b, MtlError *e);
const MtlTouched *mtl_groups_of(const MtlGroups *g, int slot);
#endif
