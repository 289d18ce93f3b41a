/*
 * One training step, and its halves: gradients of a batch; their use.
 *
 * A batch of n rows is cut in slices of MTL_SLICE_LEAST * ceil(n / (MTL_SLICES * MTL_SLICE_LEAST)) rows.
 * Every slice has sums of its own, added up in the order of the slices; everything else belongs to one row,
 * one parameter or one table row. So the bits do not depend on which thread did what.
 */
#ifndef MTL_STEP_H
#define MTL_STEP_H
#include "balance.h"
#include "frame.h"
#include "pool.h"
#include "real.h"

enum {
	MTL_HYPER = 7, /* numbers of HYPER */
	MTL_PARTS =
	    64, /* a table's touched rows are cut in at most so many parts where something is summed */
};

typedef struct MtlStep {
	MtlInstance *in;
	MtlThreads *pool;
	MtlOptimizer dense, tables; /* the model's, with another learning rate perhaps */
	MtlSchedule schedule;
	int64_t steps; /* of the whole run, where the schedule asks */
	MtlBalance balance;
	bool balanced; /* the gradients of tasks are brought together by mtl_balance_step; else they are added
			  up */
	bool dropout;
	uint64_t seed;	   /* of the dropout */
	int64_t step;	   /* steps done: t of the bias corrections is one more */
	int64_t rows_seen; /* rows of all batches so far: the counter of the dropout */
	int64_t cap;	   /* rows of the largest batch */

	double *loss, *weight; /* [n_loss] of the last batch: mean, and its denominator (0: no row, mean 0) */
	mtl_real *grad;	       /* [n_param] of the last batch */
	mtl_real *drows;       /* [cap, n_drow] */

	mtl_real *acc[MTL_SLICES];
	mtl_real **work;  /* [threads] */
	mtl_real **noise; /* [n_noise][cap * width] */
	mtl_real **keep;  /* [n_kept][rows or steps of cap rows, width] */
	mtl_real *meet, *next;
	mtl_real *inv, *count, *losses;
	bool mean; /* of the running half: INV divides by the rows that count, */
	int only;  /* and is 0 but for this loss; -1: for all */
	mtl_real hyper_dense[MTL_HYPER], hyper_vectors[MTL_HYPER],
	    hyper_tables[MTL_HYPER]; /* vectors: parameters of fewer than two dimensions */
	double lr,
	    norm;	/* of the last step: rate of the dense parameters; the gradient's, if it is clipped */
	double *square; /* [n_piece or MTL_PARTS] partial sums of the norm */
	int64_t *piece;
	int n_piece;	       /* [n_piece][3] parameter, lo, hi: what one job of UPDATE does */
	const MtlBatch *batch; /* of the running half, with what its jobs need */
	const MtlTouched *touched;
	int64_t slice;
	int n_slice, table, stage;
} MtlStep;

/* Memory for batches of up to `cap` rows.  *s needs mtl_step_free after a failure too. */
/* Floats of DROWS and DSTEPS at most. */
int64_t mtl_step_drows(const MtlModel *m, int64_t rows);
MtlStatus mtl_step_init(MtlStep *s, MtlInstance *in, MtlThreads *pool, int64_t cap, MtlError *e);
void mtl_step_free(MtlStep *s);
/*
 * Losses, gradients of the dense parameters (grad) and of the looked-up rows (drows).
 * With `mean` false no loss is divided: loss[] are sums.  MTL_NUMBERS names a loss that is not finite.
 */
MtlStatus mtl_step_gradients(MtlStep *s, const MtlBatch *b, bool mean, MtlError *e);
/* Gradients of loss l alone, without its own weight in the balance; before those of the step: its dropout is
 * the same. */
void mtl_step_of_loss(MtlStep *s, const MtlBatch *b, int l);
/* One step of the optimisers on what the losses with rows in this batch reach, then PRE. */
void mtl_step_apply(MtlStep *s, const MtlTouched *touched /* [n_table] */);
/* Weighted sum of the means of the last batch. */
double mtl_step_total(const MtlStep *s);
/* Bit of loss l in the `losses` masks. */
uint64_t mtl_loss_bit(int l);
#endif
