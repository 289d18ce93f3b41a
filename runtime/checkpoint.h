/*
 * Where training begins and what it leaves: fresh parameters, a warm start, a saved run taken up again.
 *
 * One kind of file for all: the parameters; the optimiser's moments as "optim.K.NAME"; where the run stands
 * as JSON in the metadata.  A run with early stop that is interrupted after its best epoch carries that epoch
 * along, as "best.NAME".
 */
#ifndef MTL_CHECKPOINT_H
#define MTL_CHECKPOINT_H
#include "balance.h"
#include "instance.h"

/* Where a run stands.  Everything the next step depends on beside parameters, moments and data. */
typedef struct {
	int64_t step;	   /* optimiser steps done */
	int64_t epoch;	   /* epochs finished */
	int64_t rows;	   /* rows of the running epoch done */
	int64_t rows_seen; /* rows of all epochs */
	int64_t batch, shuffle;
	uint64_t seed;
	bool has_best; /* early stop: a best epoch is known */
	double best;
	int64_t since; /* epochs since then without a better value */
	int n_remembered;
	double remembered[MTL_REMEMBERED]; /* by the balance of tasks */
} MtlRunState;

/* Every parameter by its initialiser; a parameter's numbers depend on the seed and its name only. */
void mtl_checkpoint_fresh(MtlInstance *in, uint64_t seed);
/*
 * Keeps what has an equal name and shape in the file, over parameters already there; `note` is told of the
 * rest, a line each. Returns how many were kept.
 */
int mtl_checkpoint_warm(MtlInstance *in, const MtlStore *s, void (*note)(void *self, const char *text),
			void *self);
/* state NULL: parameters only.  best NULL, or a store whose parameters and state go along as "best.".
 * MTL_NUMBERS on a non-finite number. */
MtlStatus mtl_checkpoint_save(const MtlInstance *in, const char *path, const MtlRunState *state,
			      const MtlStore *best, MtlError *e);
/* Codes, memory, weights, moments and state.  MTL_REFUSED for a file without state. */
MtlStatus mtl_checkpoint_resume(MtlInstance *in, const MtlStore *s, const char *where, MtlRunState *state,
				MtlError *e);
/* Writes what goes along as "best." as a file of its own.  *found tells whether there was anything. */
MtlStatus mtl_checkpoint_best(const MtlSys *sys, const MtlStore *s, const char *path, bool *found,
			      MtlError *e);
/* The state in a file's metadata; false if there is none or it is not understood. */
bool mtl_checkpoint_state(const MtlStore *s, MtlRunState *state);
/* "adam", ...: as in train { }. */
const char *mtl_optimizer_name(const MtlOptimizer *o);
#endif
