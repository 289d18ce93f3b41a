/*
 * Exact metrics of binary predictions, on the rows where they are defined.
 *
 * Scores are logits; everything is computed from them in double.
 */
#ifndef MTL_METRICS_H
#define MTL_METRICS_H
#include "status.h"
#include "sys.h"
#include <stdint.h>

typedef struct MtlScores MtlScores; /* a growing list of (logit, label, weight, group) */

MtlScores *mtl_scores_new(const MtlSys *sys);            /* NULL: no memory */
void mtl_scores_free(MtlScores *s);
void mtl_scores_clear(MtlScores *s);                     /* keeps the memory */
/* n rows of [logit, label, weight], `stride` floats apart; rows of weight 0 are passed over.  group may be NULL. */
MtlStatus mtl_scores_add(MtlScores *s, const float *row, int64_t stride, int64_t n, const uint64_t *group, MtlError *e);

typedef struct {
	int64_t rows;
	double weight, positives;  /* sums of weights */
	double auc;                /* ties count half; NaN with one class only */
	double logloss;            /* mean, from logits */
	double ne;                 /* log loss / entropy of the base rate; NaN if that is 0 */
	double calibration;        /* mean prediction / mean label; NaN without a positive */
	double ece;                /* 10 bins of equal count (ties kept together as sorted): weighted mean |prediction - label| */
	double gauc;               /* AUC within groups, weighted by the group's weight, groups of one class left out; NaN without groups */
	double mean_prediction, mean_label;
} MtlMetrics;

/* Sorts in place. */
MtlStatus mtl_scores_metrics(MtlScores *s, MtlMetrics *out, MtlError *e);
#endif
