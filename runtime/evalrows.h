/*
 * What an evaluation measures, row by row, as CSV: for every head its logit, label and weight.
 */
#ifndef MTL_EVALROWS_H
#define MTL_EVALROWS_H
#include "eval.h"
#include <stdio.h>

typedef struct {
	const MtlModel *m;
	FILE *to;
	const char *path;
	bool failed;
} MtlEvalRows;

/* Writes the header. */
MtlStatus mtl_evalrows_open(MtlEvalRows *r, const MtlModel *m, const char *path, MtlError *e);
/* MtlEvalHooks.rows; self is the MtlEvalRows. */
void mtl_evalrows_add(void *self, const MtlBatch *b, const mtl_real *watch);
/* MTL_SYSTEM when anything could not be written. */
MtlStatus mtl_evalrows_close(MtlEvalRows *r, MtlError *e);
#endif
