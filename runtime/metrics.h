/*
 * Exact metrics of predictions, on the rows where they are defined.
 *
 * Scores are logits; everything is computed from them in double.
 */
#ifndef MTL_METRICS_H
#define MTL_METRICS_H
#include "real.h"
#include "status.h"
#include "sys.h"
#include <stdint.h>

typedef struct MtlScores MtlScores; /* a growing list of (logit, label, weight, group) */

/* What the pairs are: logit and label; estimate and value; -log p of what happened and whether it was
 * foreseen. */
typedef enum { MTL_SCORES_PROB, MTL_SCORES_VALUE, MTL_SCORES_CLASS } MtlScoresKind;

MtlScores *mtl_scores_new(const MtlSys *sys);		/* NULL: no memory */
void mtl_scores_kind(MtlScores *s, MtlScoresKind kind); /* MTL_SCORES_PROB unless told, before any row */
void mtl_scores_free(MtlScores *s);
void mtl_scores_clear(MtlScores *s); /* keeps the memory */
/*
 * n rows of [logit, label, weight], `stride` floats apart; rows of weight 0 are passed over.  `group` may be
 * NULL, and group 0 is none.  Logits may be infinite, labels lie in 0 .. 1 (a label y counts as a share y of
 * a positive and 1 - y of a negative row).  MTL_NUMBERS for a NaN, a label or a weight out of range: then
 * none of the n rows is taken.
 */
MtlStatus mtl_scores_add(MtlScores *s, const mtl_real *row, int64_t stride, int64_t n, const uint64_t *group,
			 MtlError *e);

/* Ten bins of the rows, by rising logit. */
enum { MTL_BINS = 10 };
typedef struct {
	double weight, prediction, label; /* sum of weights; means */
} MtlBin;

/* Everything but `rows` is weighted.  NaN stands for what is not defined; without a row that is all but the
 * first three. */
typedef struct {
	int64_t rows;
	double weight, positives; /* sums of weights */
	double auc;		  /* ties count half; NaN with one class only */
	double logloss;	    /* mean, from logits; infinite where a logit of +-inf meets the contrary label */
	double ne;	    /* log loss / entropy of the base rate; NaN if that is 0 */
	double calibration; /* mean prediction / mean label; NaN without a positive */
	double ece;  /* mean over rows of |prediction - label|, both averaged over the row's bin first.  Of 10
			bins by     rising logit, bin b ends with row n (b + 1) / 10, and with the rows tied to
			it */
	double gauc; /* mean of the groups' AUC by their weight, groups of one class left out; NaN without
			groups */
	/* Mean over the groups of sum of gain / log2(1 + rank), ranks by falling prediction, over that of the
	 * best order; the gain of a row is its label, or a value above 0.  Groups without a gain are left
	 * out, weights of rows not looked at, equal predictions share their ranks' mean factor.  NaN without
	 * groups. */
	double ndcg;
	double mean_prediction, mean_label;
	/* Standard errors, rows taken as independent: of the AUC by its two-sample structure (DeLong), of the
	 * log loss as of any mean.  An interval of 95 % is 1.96 times as wide to both sides. */
	double auc_error, logloss_error;
	MtlBin bin[MTL_BINS]; /* those of ece; fewer where ties join them */
	int n_bin;
	double rmse, mae;		/* of a value, which has a calibration too; NaN otherwise */
	double accuracy, cross_entropy; /* of a class; NaN otherwise */
} MtlMetrics;

/* Sorts in place; more rows may be added afterwards.  The result depends on the set of rows only, to the last
 * bit. */
MtlStatus mtl_scores_metrics(MtlScores *s, MtlMetrics *out, MtlError *e);
#endif
