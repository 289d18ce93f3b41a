/*
 * Evaluation: batches through WATCH into the lists of scores, and through STEP where losses are wanted.
 */
#include "eval.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
	MtlInstance *in;
	const MtlBatch *batch;
	mtl_real **work; /* [threads] */
	mtl_real *watch; /* [n, 3 * n_watch] */
} Watching;

static void watch_block(void *arg, int64_t i, int worker)
{
	Watching *w = arg;
	int64_t row = i * MTL_BLOCK, n = w->batch->n - row < MTL_BLOCK ? w->batch->n - row : MTL_BLOCK;
	MtlFrame f = {.in = w->in, .batch = w->batch, .work = w->work[worker], .watch = w->watch};
	mtl_frame_call(&f, MTL_WATCH, row, n, 0);
}

static MtlStatus one_batch(MtlEvalResult *r, Watching *w, MtlThreads *pool, MtlScores **scores,
			   const MtlBatch *b, MtlStep *step, MtlError *e)
{
	const MtlModel *m = w->in->m;
	w->batch = b;
	mtl_pool_run(pool, (b->n + MTL_BLOCK - 1) / MTL_BLOCK, watch_block, w);
	for (int k = 0; k < m->n_watch; k++)
		if (mtl_scores_add(scores[k], w->watch + 3 * k, 3 * m->n_watch, b->n,
				   m->group_column ? b->group : NULL, e))
			return e->status;
	if (step) {
		if (mtl_step_gradients(step, b, false, e)) return e->status;
		for (int l = 0; l < m->n_loss; l++) {
			r->loss[l] += step->loss[l];
			r->weight[l] += step->weight[l];
		}
	}
	r->rows += b->n;
	return MTL_OK;
}

MtlStatus mtl_eval(MtlEvalResult *r, MtlInstance *in, MtlThreads *pool, const MtlFeedOptions *o,
		   MtlStep *step, const MtlEvalHooks *h, MtlError *e)
{
	const MtlModel *m = in->m;
	const MtlSys *sys = in->sys;
	int threads = mtl_pool_threads(pool);
	Watching w = {.in = in};
	*r = (MtlEvalResult){.watch = mtl_new(sys, MtlMetrics, m->n_watch + 1)};
	MtlScores **scores = mtl_new(sys, MtlScores *, m->n_watch + 1);
	w.work = mtl_new(sys, mtl_real *, threads);
	w.watch = mtl_new(sys, mtl_real, MTL_EVAL_BATCH * 3 * m->n_watch + 1);
	if (step) {
		r->loss = mtl_new(sys, double, m->n_loss + 1);
		r->weight = mtl_new(sys, double, m->n_loss + 1);
	}
	bool ok = r->watch && scores && w.work && w.watch && (!step || (r->loss && r->weight));
	for (int k = 0; ok && k < m->n_watch; k++)
		if ((ok = (scores[k] = mtl_scores_new(sys))))
			mtl_scores_kind(scores[k], (MtlScoresKind)m->watch[k].kind);
	int64_t floats = mtl_frame_work(in, MTL_WATCH, MTL_WATCH) + 1;
	for (int i = 0; ok && i < threads; i++) ok = (w.work[i] = mtl_new(sys, mtl_real, floats));
	MtlStatus st = ok ? MTL_OK : mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for an evaluation");

	MtlFeedOptions fo = *o;
	fo.batch = MTL_EVAL_BATCH;
	fo.shuffle = 0;
	fo.prepare = NULL;
	MtlFeed *feed = NULL;
	if (!st) st = mtl_feed_open(&feed, sys, m, &in->codes, &fo, e);
	for (MtlFed *fed = NULL; !st;) {
		if (h && h->interrupted && h->interrupted(h->self)) {
			st = mtl_fail(e, MTL_INTERRUPTED, "", NULL, "interrupted");
			break;
		}
		if ((st = mtl_feed_next(feed, &fed, e)) || !fed) break;
		st = one_batch(r, &w, pool, scores, &fed->batch, step, e);
		if (!st && h && h->rows) h->rows(h->rows_self, &fed->batch, w.watch);
	}
	if (feed) r->counts = mtl_feed_counts(feed);
	MtlStatus closed = mtl_feed_close(feed, e);
	if (!st) st = closed;
	for (int k = 0; !st && k < m->n_watch; k++) st = mtl_scores_metrics(scores[k], &r->watch[k], e);
	for (int l = 0; !st && step && l < m->n_loss; l++)
		r->loss[l] = r->weight[l] > 0 ? r->loss[l] / r->weight[l] : 0;

	for (int k = 0; scores && k < m->n_watch; k++)
		if (scores[k]) mtl_scores_free(scores[k]);
	for (int i = 0; w.work && i < threads; i++) mtl_release(sys, w.work[i]);
	mtl_release(sys, scores);
	mtl_release(sys, w.work);
	mtl_release(sys, w.watch);
	return st;
}

void mtl_eval_free(MtlEvalResult *r, const MtlSys *sys)
{
	mtl_release(sys, r->watch);
	mtl_release(sys, r->loss);
	mtl_release(sys, r->weight);
	*r = (MtlEvalResult){0};
}

/* Is text a name as the table of metrics has it, "buy|click", or as the model has it, "P(buy | click)"? */
static bool called(const char *name, const char *text, size_t n)
{
	if (n > 3 && (text[0] == 'P' || text[0] == 'E') && text[1] == '(' && text[n - 1] == ')')
		text += 2, n -= 3;
	for (const char *end = text + n; text < end; text++)
		if (*text != ' ' && *text != *name++) return false;
	return !*name;
}

MtlStatus mtl_stop_metric(MtlStopMetric *s, const MtlModel *m, const char *text, MtlError *e)
{
	static const struct {
		const char *word;
		MtlWatchKind of;
	} kinds[] = {[MTL_STOP_AUC] = {"auc", MTL_WATCH_PROB},
		     [MTL_STOP_LOGLOSS] = {"logloss", MTL_WATCH_PROB},
		     [MTL_STOP_NE] = {"ne", MTL_WATCH_PROB},
		     [MTL_STOP_GAUC] = {"gauc", MTL_WATCH_PROB},
		     [MTL_STOP_NDCG] = {"ndcg", MTL_WATCH_PROB},
		     [MTL_STOP_RMSE] = {"rmse", MTL_WATCH_VALUE},
		     [MTL_STOP_MAE] = {"mae", MTL_WATCH_VALUE},
		     [MTL_STOP_ACCURACY] = {"accuracy", MTL_WATCH_CLASS},
		     [MTL_STOP_CROSS_ENTROPY] = {"cross_entropy", MTL_WATCH_CLASS}};
	const char *dot = strrchr(text, '.');
	int kind = -1;
	for (int i = 0; dot && i < (int)(sizeof kinds / sizeof *kinds); i++)
		if (strcmp(dot + 1, kinds[i].word) == 0) kind = i;
	if (kind < 0)
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"early stop by '%s': expected NAME.auc, NAME.gauc, NAME.ndcg, NAME.logloss "
				"or NAME.ne; of a value "
				"NAME.rmse or NAME.mae; of a class NAME.accuracy or NAME.cross_entropy",
				text);
	if ((kind == MTL_STOP_GAUC || kind == MTL_STOP_NDCG) && !m->group_column)
		return mtl_fail(
		    e, MTL_USAGE, "", NULL,
		    "early stop by '%s': %s is within groups, and the model names no column of them: "
		    "rows { group: COLUMN }",
		    text, kinds[kind].word);
	char names[512] = "";
	size_t len = 0;
	for (int k = 0; k < m->n_watch; k++) {
		const char *name = m->watch[k].name;
		if (called(name, text, (size_t)(dot - text))) {
			if (m->watch[k].kind != kinds[kind].of)
				return mtl_fail(e, MTL_USAGE, "", NULL,
						"early stop by '%s': %s is %s, and has no %s", text, name,
						m->watch[k].kind == MTL_WATCH_PROB    ? "a probability"
						: m->watch[k].kind == MTL_WATCH_VALUE ? "a value"
										      : "a class",
						kinds[kind].word);
			*s = (MtlStopMetric){k, (MtlStopKind)kind};
			return MTL_OK;
		}
		int n = snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", name);
		if (n > 0 && (size_t)n < sizeof names - len) len += (size_t)n;
	}
	return mtl_fail(e, MTL_USAGE, "", NULL, "early stop by '%s': the model's probabilities are %s", text,
			names);
}

double mtl_stop_value(const MtlStopMetric *s, const MtlMetrics *watch)
{
	const MtlMetrics *w = &watch[s->watch];
	switch (s->kind) {
	case MTL_STOP_AUC: return w->auc;
	case MTL_STOP_LOGLOSS: return w->logloss;
	case MTL_STOP_NE: return w->ne;
	case MTL_STOP_GAUC: return w->gauc;
	case MTL_STOP_NDCG: return w->ndcg;
	case MTL_STOP_RMSE: return w->rmse;
	case MTL_STOP_MAE: return w->mae;
	case MTL_STOP_ACCURACY: return w->accuracy;
	case MTL_STOP_CROSS_ENTROPY: return w->cross_entropy;
	}
	return NAN;
}

bool mtl_stop_better(const MtlStopMetric *s, double value, double best)
{
	bool more = s->kind == MTL_STOP_AUC || s->kind == MTL_STOP_GAUC || s->kind == MTL_STOP_NDCG ||
		    s->kind == MTL_STOP_ACCURACY;
	return more ? value > best : value < best;
}
