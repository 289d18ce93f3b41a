/*
 * The first line of a run's log: what was trained, on what, with which settings.
 */
#ifndef MTL_RUNLOG_H
#define MTL_RUNLOG_H
#include "program.h"
#include "train.h"

/* Reads the files once for their digests; MTL_SYSTEM where one cannot be read. */
MtlStatus mtl_runlog_begin(FILE *to, const MtlProgram *p, const MtlTrainOptions *o, MtlError *e);
/* ,"bins":[[weight,mean prediction,mean label],...]: calibration of a probability by rising prediction. */
void mtl_runlog_bins(FILE *to, const MtlMetrics *w);
#endif
