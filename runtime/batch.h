/*
 * Rows on their way from a log to a kernel.
 *
 * A batch holds n encoded rows, column by column, in the layout of the slots of abi.def.
 */
#ifndef MTL_BATCH_H
#define MTL_BATCH_H
#include "model.h"
#include "real.h"
#include "status.h"
#include "steps.h"
#include "sys.h"

typedef struct {
	int32_t *id;	    /* ID, and unused otherwise: [cap] */
	int32_t *bag_start; /* BAG: [cap + 1] */
	int32_t *bag_item;  /* BAG: [cap_items], grows only while reading */
	mtl_real *bag_scale;
	int64_t cap_items;
	mtl_real *real, *present; /* NUMBER: [cap] */
} MtlColumn;

typedef struct {
	int64_t n, cap;
	MtlColumn *column;	    /* [n_feature] */
	MtlSteps *steps;	    /* [n_seq], by mtl_batch_steps */
	mtl_real **can1, **can0;    /* [n_event][cap] */
	mtl_real **sample, **known; /* [n_sample][cap]; a sample is 0 where it is not known */
	mtl_real *weight;	    /* [cap] */
	uint64_t *group;	    /* [cap] hash of the row group, 0 where there is none */
	int32_t
	    *group_start; /* of a grouped model, by mtl_batch_steps: first row of each group, [n_group + 1] */
	int64_t n_group;
	int64_t first_row; /* number of the first row in the stream, from 0 */
	bool *bad; /* [cap]: reader in "null" mode: the row could not be read (score prints it empty) */
	/* cells to be handed through to the output of score (--passthrough): n * n_pass strings,
	 * '\0'-terminated, unquoted */
	char *pass_text;
	int64_t pass_len, pass_cap;
	int n_pass;
} MtlBatch;

/* Memory for `cap` rows.  MTL_LIMIT on no memory. */
MtlStatus mtl_batch_init(MtlBatch *b, const MtlSys *sys, const MtlModel *m, int64_t cap, MtlError *e);
/* Finds the order of the steps, and the bounds of the groups: due when the rows of a batch are complete.
 * MTL_LIMIT on no memory. */
MtlStatus mtl_batch_steps(MtlBatch *b, const MtlSys *sys, const MtlModel *m, MtlError *e);
/* Steps of sequence q in the batch. */
static inline int64_t mtl_batch_n_steps(const MtlBatch *b, const MtlModel *m, int q)
{
	return b->n ? b->column[m->seq[q].first].bag_start[b->n] : 0;
}
/* First float of the gradients of sequence q behind those of the rows; q = n_seq: how many floats there are
 * in all. */
static inline int64_t mtl_batch_drows(const MtlBatch *b, const MtlModel *m, int q)
{
	int64_t at = b->n * m->n_drow;
	for (int i = 0; i < q; i++) at += mtl_batch_n_steps(b, m, i) * m->seq[i].n_drow;
	return at;
}
/* Room for n list items in all; those there are kept.  (feed.c) */
MtlStatus mtl_batch_room(MtlColumn *c, const MtlSys *sys, int64_t n, MtlError *e);
void mtl_batch_free(MtlBatch *b, const MtlSys *sys, const MtlModel *m);
#endif
