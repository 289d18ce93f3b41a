/*
 * Seeing inside a training: in every k-th step, what tasks want of what they share, and which experts are
 * used.
 *
 * Gradients are those of the losses times the author's weights, of all shared parameters and touched rows,
 * before they are balanced.  Where the model's balance does not need them apart, they are computed again for
 * each task: such a step costs as many more as there are tasks.
 */
#ifndef MTL_MONITOR_H
#define MTL_MONITOR_H
#include "group.h"
#include "step.h"

typedef struct {
	int64_t rows;
	double entropy, single; /* sums: of -sum w log w; of rows with a weight above 0.9 */
} MtlGateUse;

typedef struct {
	MtlStep *s;
	int64_t every;
	int n;					     /* tasks */
	mtl_real *grad[MTL_TASKS], *rows[MTL_TASKS]; /* copies, where tasks are computed again */
	mtl_real *gate;				     /* [cap, gate_floats] */
	/* of the epoch so far */
	int64_t steps;
	double *norm;		 /* [n] sums over steps where the task had a row */
	int64_t *seen;		 /* [n] their number */
	double *cosine;		 /* [n, n] sums over steps where both have a direction, */
	int64_t *both, *against; /* [n, n] their number, and of those below 0 */
	double *weight;		 /* [gate_floats] sums of experts' weights over rows */
	MtlGateUse *use;	 /* [n_gate] */
} MtlMonitor;

MtlStatus mtl_monitor_init(MtlMonitor *m, MtlStep *s, int64_t every, MtlError *e);
void mtl_monitor_free(MtlMonitor *m);
/* Is the step that comes to be looked at? */
bool mtl_monitor_due(const MtlMonitor *m);
/* Before the step's own gradients, and after them (and what balances them). */
void mtl_monitor_before(MtlMonitor *m, const MtlBatch *b, const MtlTouched *touched);
void mtl_monitor_after(MtlMonitor *m, const MtlBatch *b);
void mtl_monitor_clear(MtlMonitor *m); /* an epoch begins */
#endif
