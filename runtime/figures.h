/*
 * Figures of an evaluation and of what was seen inside a training, as tables and as JSON.
 */
#ifndef MTL_FIGURES_H
#define MTL_FIGURES_H
#include "metrics.h"
#include "monitor.h"
#include <stdio.h>

/* ,"loss":{"ctr":0.31,...}: means [n_loss], null for a loss that had no row. */
void mtl_losses_json(FILE *to, const MtlModel *m, const double *loss, const double *weight);
/* {"ctr":{"rows":98,"auc":0.71,...},...}, w: [n_watch]; bins: with points of the calibration curve. */
void mtl_metrics_json(FILE *to, const MtlModel *m, const MtlMetrics *w, bool bins);
/* One table for each kind of head that the model has; every line begins with `indent`. */
void mtl_metrics_table(FILE *to, const MtlModel *m, const MtlMetrics *w, const char *indent);
/* ,"monitor":{...}: gradients of tasks, their cosines, use of experts; means over the epoch. */
void mtl_monitor_json(FILE *to, const MtlModel *m, const MtlMonitor *w);
void mtl_monitor_table(FILE *to, const MtlModel *m, const MtlMonitor *w);
#endif
