/*
 * Training: epochs over the data, validation, early stop, checkpoints.
 *
 * Prints nothing: whoever calls is told through hooks how it goes.
 */
#ifndef MTL_TRAIN_H
#define MTL_TRAIN_H
#include "checkpoint.h"
#include "eval.h"
#include "monitor.h"

typedef struct {
	const char *const *data;
	int n_data;
	const char *const *valid;
	int n_valid;		   /* 0: no validation */
	const char *out;	   /* NULL: nothing is saved */
	const char *init, *resume; /* NULL, or a model file */
	int64_t epochs, batch, shuffle;
	double lr;     /* 0: the model's; else that of dense parameters, the tables' rate changes by the same
			  factor */
	int64_t steps; /* the schedule's, 0: the model's, or those of the run */
	uint64_t seed;
	bool seed_given;
	int threads; /* 0: as many as granted */
	MtlReaderOptions
	    reader; /* of the training data; validation shares format and policy, but has no rejects file */
	const char *stop_metric; /* NULL: no early stop */
	int64_t stop_patience;
	int64_t monitor; /* look inside in every so manieth step; 0: never */
	bool no_state;	 /* save parameters only */
} MtlTrainOptions;

/* After each batch.  loss and weight: as in MtlStep. */
typedef struct {
	int64_t epoch, epochs;	  /* from 1 */
	int64_t rows, batch_rows; /* of this epoch so far; of this batch */
	const double *loss, *weight;
	double progress; /* share of the epoch's input read, < 0: unknown */
	const MtlRowCounts *counts;
} MtlTrainTick;

typedef struct {
	int64_t epoch, epochs;
	int64_t rows, steps;
	double lr; /* of the dense parameters in the last step */
	const double
	    *share; /* [tasks] mean factor of each one's gradient of what is shared; NaN: it had no row */
	const double *loss,
	    *weight; /* means over the rows of the epoch this call has seen, each when its batch was met */
	const MtlMonitor *monitor; /* NULL: not asked for */
	const MtlRowCounts *counts;
	const MtlEvalResult *valid; /* NULL without validation */
	bool judged, best;	    /* early stop is on; this epoch is the best so far */
	bool saved;		    /* the file was written */
	bool last;		    /* no epoch follows */
} MtlTrainEpoch;

/* All may be NULL. */
typedef struct {
	void *self;
	bool (*interrupted)(void *self); /* asked before each batch */
	void (*tick)(void *self, const MtlTrainTick *t);
	void (*epoch)(void *self, const MtlTrainEpoch *t);
	void (*note)(void *self, const char *text);
} MtlTrainHooks;

/* MTL_INTERRUPTED after an interrupt, with the file saved. */
MtlStatus mtl_train(const MtlSys *sys, const MtlModel *m, const MtlTrainOptions *o, const MtlTrainHooks *h,
		    MtlError *e);
#endif
