/*
 * How a training goes: lines on stderr, rewritten in place on a terminal, and lines of a log.
 */
#ifndef MTL_PROGRESS_H
#define MTL_PROGRESS_H
#include "train.h"
#include <stdio.h>

typedef struct {
	const MtlModel *m;
	FILE *log; /* NULL: none */
	const char *log_path;
	bool quiet, terminal, colour;
	double begin, epoch_begin, last, wait; /* seconds; wait: until the next line */
	double trained;			       /* when the last batch was done: validation comes after */
	int64_t rows_at_last, rows_first;      /* of this epoch; a resumed one does not begin at 0 */
	bool fresh;			       /* no batch of this epoch was seen */
	double *sum, *weight;		       /* [n_loss] since the last line */
	bool open_line;			       /* a line of progress waits to be overwritten */
	int64_t best_epoch;		       /* of this run; 0: one before it, or none is judged */
	int log_failed;			       /* the errno of the first write that failed, or 0 */
} MtlProgress;

/* A line that waits to be overwritten goes: something else will be printed. */
void mtl_progress_clear(MtlProgress *g);
/* MtlTrainHooks; self is the MtlProgress. */
void mtl_progress_tick(void *self, const MtlTrainTick *t);
void mtl_progress_epoch(void *self, const MtlTrainEpoch *t);
void mtl_progress_note(void *self, const char *text);
#endif
