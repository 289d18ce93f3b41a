/*
 * Metrics of a model on a log: each watched probability on the rows where it is defined.
 */
#ifndef MTL_EVAL_H
#define MTL_EVAL_H
#include "feed.h"
#include "metrics.h"
#include "step.h"

enum { MTL_EVAL_BATCH = 4096 };

typedef struct {
	int64_t rows;
	MtlMetrics *watch; /* [n_watch] */
	double *loss,
	    *weight; /* [n_loss] means over all rows and their denominators; NULL unless a step was given */
	MtlRowCounts counts; /* filled on failure too */
} MtlEvalResult;

/* All may be NULL.  watch: [n, 3 * n_watch], as the WATCH entry leaves it. */
typedef struct {
	void *self;
	bool (*interrupted)(void *self); /* asked before each batch */
	void (*rows)(void *rows_self, const MtlBatch *b, const mtl_real *watch);
	void *rows_self;
} MtlEvalHooks;

/*
 * `o` names the files; its batch, shuffle and prepare are not used.  With a `step` (for batches of
 * MTL_EVAL_BATCH at least) the losses are computed too.  h may be NULL.
 */
MtlStatus mtl_eval(MtlEvalResult *r, MtlInstance *in, MtlThreads *pool, const MtlFeedOptions *o,
		   MtlStep *step, const MtlEvalHooks *h, MtlError *e);
void mtl_eval_free(MtlEvalResult *r, const MtlSys *sys);

/* "buy.auc": which watch, which of the metrics below.  MTL_USAGE with the names there are. */
typedef enum {
	MTL_STOP_AUC,
	MTL_STOP_LOGLOSS,
	MTL_STOP_NE,
	MTL_STOP_GAUC,
	MTL_STOP_NDCG,
	MTL_STOP_RMSE,
	MTL_STOP_MAE,
	MTL_STOP_ACCURACY,
	MTL_STOP_CROSS_ENTROPY
} MtlStopKind;
typedef struct {
	int watch;
	MtlStopKind kind;
} MtlStopMetric;
MtlStatus mtl_stop_metric(MtlStopMetric *s, const MtlModel *m, const char *text, MtlError *e);
double mtl_stop_value(const MtlStopMetric *s, const MtlMetrics *watch);
bool mtl_stop_better(const MtlStopMetric *s, double value, double best);
#endif
