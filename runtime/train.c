/*
 * The training loop.
 *
 * The file of a run is written at the end of every epoch; with early stop only after an epoch that is the
 * best so far, so that it always holds the model one wants.  An interrupt writes where the run stands, and
 * carries the best epoch along.
 */
#include "train.h"
#include "schedule.h"
#include "stream.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
	const MtlSys *sys;
	const MtlModel *m;
	const MtlTrainOptions *o;
	const MtlTrainHooks *h;
	MtlInstance in;
	MtlThreads *pool;
	MtlStep step;
	MtlGroups groups;
	MtlMonitor monitor;
	MtlRunState state;
	MtlStopMetric stop;
	double *sum, *weight; /* [n_loss] of the epoch */
	bool whole;	      /* the epoch is not one taken up in its middle */
	bool saved;	      /* the file holds what is in memory */
	bool groups_told;
} Run;

static void note(Run *r, const char *text)
{
	if (r->h->note) r->h->note(r->h->self, text);
}

static void note_line(void *self, const char *text) { note(self, text); }

static bool interrupted(const Run *r) { return r->h->interrupted && r->h->interrupted(r->h->self); }

/* ---- beginning ---- */

static MtlStatus codes_from_data(Run *r, MtlError *e)
{
	if (r->in.codes.complete) return MTL_OK;
	return mtl_source_codes(&r->in.codes, r->sys, r->m, r->o->data, r->o->n_data, &r->o->reader, e);
}

static MtlStatus begin_fresh(Run *r, MtlError *e)
{
	MtlStore *s = NULL;
	if (r->o->init && mtl_store_open(&s, r->sys, r->o->init, true, e)) return e->status;
	if (s && mtl_store_converted(s)) note(r, "the weights of --init were converted to " MTL_REAL_TEXT);
	const char *codes = s ? mtl_store_meta(s, MTL_META_CODES) : NULL;
	MtlError why = {0};
	if (codes && mtl_codes_from_json(&r->in.codes, r->sys, r->m, codes, &why)) {
		char line[sizeof why.text + 64];
		snprintf(line, sizeof line, "vocabularies of %s are not taken over: %s", r->o->init,
			 why.text);
		note(r, line);
		mtl_codes_free(&r->in.codes, r->sys, r->m);
		if (mtl_codes_init(&r->in.codes, r->sys, r->m, e)) goto out;
	}
	if (codes_from_data(r, e) || mtl_instance_memory(&r->in, true, e)) goto out;
	mtl_checkpoint_fresh(&r->in, r->state.seed);
	if (s) {
		if (!mtl_store_meta(s, MTL_META_DIGEST))
			note(r,
			     "the weights are of other origin: names and shapes are all that was compared");
		int all = r->m->n_param_block + r->m->n_table,
		    kept = mtl_checkpoint_warm(&r->in, s, note_line, r);
		char line[256];
		snprintf(line, sizeof line, "%d of %d tensors start from %.150s", kept, all, r->o->init);
		note(r, line);
		if (kept == 0)
			mtl_fail(e, MTL_REFUSED, "F0211", r->o->init,
				 "no tensor has a name and shape of this model");
	}
out:
	mtl_store_close(s);
	return e->status;
}

/* The best epoch, which the file carries along or is itself, becomes the file of this run again. */
static MtlStatus restore_best(Run *r, const MtlStore *s, MtlError *e)
{
	bool found = false;
	if (!r->o->out || !r->o->stop_metric || !r->state.has_best) return MTL_OK;
	if (mtl_checkpoint_best(r->sys, s, r->o->out, &found, e)) return e->status;
	return found || r->state.since ? MTL_OK : mtl_checkpoint_save(&r->in, r->o->out, &r->state, NULL, e);
}

static MtlStatus begin_again(Run *r, MtlError *e)
{
	MtlStore *s = NULL;
	if (mtl_store_open(&s, r->sys, r->o->resume, false, e)) return e->status;
	MtlStatus st = mtl_checkpoint_resume(&r->in, s, r->o->resume, &r->state, e);
	const MtlRunState *was = &r->state;
	if (!st && r->o->seed_given && r->o->seed != was->seed)
		st = mtl_fail(e, MTL_USAGE, "", NULL, "--seed %llu: the run to resume has seed %llu",
			      (unsigned long long)r->o->seed, (unsigned long long)was->seed);
	if (!st && was->rows && (was->batch != r->o->batch || was->shuffle != r->o->shuffle))
		st = mtl_fail(e, MTL_USAGE, "", NULL,
			      "the run to resume stopped within an epoch of batch %lld, shuffle %lld: it can "
			      "only go on with the same",
			      (long long)was->batch, (long long)was->shuffle);
	if (!st) st = restore_best(r, s, e);
	mtl_store_close(s);
	return st;
}

/* Every epoch shuffles in another way; the same epoch always in the same. */
static uint64_t epoch_seed(uint64_t seed, int64_t epoch)
{
	return (seed + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)epoch * 0xd1342543de82ef95u;
}

/* A schedule that ends with the run: its batches are counted in a pass over the data. */
static MtlStatus count_steps(Run *r, MtlError *e)
{
	const MtlTrainOptions *o = r->o;
	MtlStep *s = &r->step;
	if (o->steps) s->schedule.steps = s->steps = o->steps;
	if (!mtl_schedule_open_end(&s->schedule)) return MTL_OK;
	for (int i = 0; i < o->n_data; i++)
		if (!mtl_stream_repeats(o->data[i]))
			return mtl_fail(
			    e, MTL_USAGE, "D0009", NULL,
			    "the schedule ends with the run, and how long that is cannot be seen from "
			    "\"%s\" before it is read: give --steps, or a file that can be read twice",
			    o->data[i]);
	MtlFeedOptions fo = {.path = o->data, .n_path = o->n_data, .reader = o->reader, .batch = o->batch};
	fo.reader.rejects = NULL;
	if (r->m->grouped) { /* where a batch ends depends on the order of the groups: as in the first epoch
			      */
		fo.shuffle = o->shuffle;
		fo.seed = epoch_seed(r->state.seed, 0);
	}
	MtlFeed *feed = NULL;
	if (mtl_feed_open(&feed, r->sys, r->m, &r->in.codes, &fo, e)) return e->status;
	int64_t batches = 0;
	MtlStatus st = MTL_OK;
	for (MtlFed *fed = NULL; !st; batches++) {
		if (interrupted(r)) st = mtl_fail(e, MTL_INTERRUPTED, "", NULL, "interrupted");
		if (!st && ((st = mtl_feed_next(feed, &fed, e)) || !fed)) break;
	}
	MtlStatus closed = mtl_feed_close(feed, e);
	s->steps = batches * o->epochs;
	return st ? st : closed;
}

static MtlStatus begin(Run *r, MtlError *e)
{
	const MtlTrainOptions *o = r->o;
	if (o->stop_metric && mtl_stop_metric(&r->stop, r->m, o->stop_metric, e)) return e->status;
	if (mtl_instance_init(&r->in, r->sys, r->m, e)) return e->status;
	if (mtl_pool_new(&r->pool, r->sys, o->threads, e)) return e->status;
	r->state.seed = o->seed;
	if (o->resume ? begin_again(r, e) : begin_fresh(r, e)) return e->status;
	r->state.batch = o->batch;
	r->state.shuffle = o->shuffle;
	r->sum = mtl_new(r->sys, double, r->m->n_loss + 1);
	r->weight = mtl_new(r->sys, double, r->m->n_loss + 1);
	if (!r->sum || !r->weight) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for training");
	if (mtl_step_init(&r->step, &r->in, r->pool, o->batch, e)) return e->status;
	if (mtl_groups_init(&r->groups, r->sys, r->m, r->in.table_rows, MTL_FEED_RING, o->batch, e))
		return e->status;
	r->step.dropout = r->step.balanced = true;
	if (o->resume) {
		if (r->state.n_remembered != r->step.balance.n_remembered)
			return mtl_fail(e, MTL_REFUSED, "F0215", o->resume,
					"its tasks were others: use --init to start from its weights");
		memcpy(r->step.balance.remembered, r->state.remembered, sizeof r->state.remembered);
		mtl_balance_resume(&r->step.balance);
	}
	r->step.seed = r->state.seed;
	if (o->lr > 0) {
		r->step.tables.lr *= o->lr / r->step.dense.lr;
		r->step.dense.lr = o->lr;
	}
	if (o->monitor && mtl_monitor_init(&r->monitor, &r->step, o->monitor, e)) return e->status;
	if (count_steps(r, e)) return e->status;
	mtl_instance_pack(&r->in);
	return MTL_OK;
}

/* ---- saving ---- */

static MtlStatus save(Run *r, const MtlStore *best, MtlError *e)
{
	if (!r->o->out) return MTL_OK;
	r->state.step = r->step.step;
	r->state.rows_seen = r->step.rows_seen;
	r->state.n_remembered = r->step.balance.n_remembered;
	memcpy(r->state.remembered, r->step.balance.remembered, sizeof r->state.remembered);
	if (mtl_checkpoint_save(&r->in, r->o->out, r->o->no_state ? NULL : &r->state, best, e))
		return e->status;
	r->saved = true;
	return MTL_OK;
}

/* An interrupt: the run as it stands, and the best epoch if the file on disk is that. */
static MtlStatus save_standing(Run *r, MtlError *e)
{
	if (r->saved || !r->o->out) return MTL_OK;
	if (!r->o->stop_metric || !r->state.has_best) return save(r, NULL, e);
	if (r->o->no_state) return MTL_OK; /* the best stays, the rest could not be resumed */
	MtlStore *best = NULL;
	if (mtl_store_open(&best, r->sys, r->o->out, false, e)) return e->status;
	MtlStatus st = save(r, best, e);
	mtl_store_close(best);
	return st;
}

/* ---- epochs ---- */

static MtlStatus one_batch(Run *r, const MtlFed *fed, MtlError *e)
{
	MtlStep *s = &r->step;
	const MtlTouched *touched = mtl_groups_of(&r->groups, fed->slot);
	bool looked_at = mtl_monitor_due(&r->monitor);
	if (looked_at) mtl_monitor_before(&r->monitor, &fed->batch, touched);
	MtlStatus st = mtl_step_gradients(s, &fed->batch, true, e);
	if (!st) st = mtl_balance_step(s, touched, e);
	if (!st && looked_at) mtl_monitor_after(&r->monitor, &fed->batch);
	if (st == MTL_NUMBERS) {
		MtlError why = *e;
		*e = (MtlError){0};
		return mtl_fail(e, st, why.code, NULL, "%.300s in epoch %lld, batch %lld (rows %lld to %lld)",
				why.text + strlen("error: "), (long long)r->state.epoch + 1,
				(long long)fed->number + 1, (long long)fed->first + 1,
				(long long)(fed->first + fed->batch.n));
	}
	if (st) return st;
	mtl_step_apply(s, touched);
	for (int l = 0; l < r->m->n_loss; l++) {
		r->sum[l] += s->loss[l] * s->weight[l];
		r->weight[l] += s->weight[l];
	}
	r->state.rows += fed->batch.n;
	r->saved = false;
	if (r->h->tick)
		r->h->tick(r->h->self,
			   &(MtlTrainTick){r->state.epoch + 1, r->o->epochs, r->state.rows, fed->batch.n,
					   s->loss, s->weight, fed->progress, &fed->counts});
	return MTL_OK;
}

/* Once in a run: rows of a group that no loss compares. */
static void tell_groups(Run *r, const MtlGroupCounts *n)
{
	char line[512];
	r->groups_told = true;
	if (n->apart) {
		snprintf(line, sizeof line,
			 "%lld of %lld groups come again after other rows, and what stands apart is not "
			 "compared: sort the log by \"%.100s\"",
			 (long long)n->apart, (long long)n->groups, r->m->group_column);
		note(r, line);
	}
	if (n->cut) {
		snprintf(line, sizeof line,
			 "%lld of %lld groups are longer than a batch of %lld rows and are cut: a larger one "
			 "compares all their rows",
			 (long long)n->cut, (long long)n->groups, (long long)r->o->batch);
		note(r, line);
	}
}

static MtlStatus one_epoch(Run *r, MtlRowCounts *counts, MtlError *e)
{
	const MtlTrainOptions *o = r->o;
	MtlFeedOptions fo = {.path = o->data,
			     .n_path = o->n_data,
			     .reader = o->reader,
			     .batch = o->batch,
			     .shuffle = o->shuffle,
			     .seed = epoch_seed(r->state.seed, r->state.epoch),
			     .drop_cells = true,
			     .prepare = mtl_groups_fill,
			     .self = &r->groups};
	MtlFeed *feed = NULL;
	if (mtl_feed_open(&feed, r->sys, r->m, &r->in.codes, &fo, e)) return e->status;
	r->whole = r->state.rows == 0;
	memset(r->sum, 0, (size_t)r->m->n_loss * sizeof *r->sum);
	memset(r->weight, 0, (size_t)r->m->n_loss * sizeof *r->weight);
	MtlStatus st = MTL_OK;
	for (MtlFed *fed = NULL; !st;) {
		if (interrupted(r)) {
			st = mtl_fail(e, MTL_INTERRUPTED, "", NULL, "interrupted");
			break;
		}
		if ((st = mtl_feed_next(feed, &fed, e)) || !fed) break;
		if (fed->first < r->state.rows) continue; /* done before the run was resumed */
		st = one_batch(r, fed, e);
	}
	*counts = mtl_feed_counts(feed);
	MtlGroupCounts groups = mtl_feed_groups(feed);
	MtlStatus closed = mtl_feed_close(feed, e);
	if (!st && !closed && !r->groups_told) tell_groups(r, &groups);
	return st ? st : closed;
}

static bool any(const double *x, int n)
{
	for (int i = 0; i < n; i++)
		if (x[i] > 0) return true;
	return false;
}

static MtlStatus end_epoch(Run *r, const MtlRowCounts *counts, bool *enough, MtlError *e)
{
	const MtlTrainOptions *o = r->o;
	int64_t rows = r->state.rows;
	if (rows == 0)
		return mtl_fail(e, MTL_DATA, "", NULL, "no row of the data can be used (%lld read)",
				(long long)counts->read);
	if (r->whole && !any(r->weight, r->m->n_loss))
		return mtl_fail(e, MTL_DATA, "", NULL,
				"no row has a label that a loss could learn from (%lld rows)",
				(long long)rows);
	MtlEvalResult valid = {0};
	MtlFeedOptions vo = {.path = o->valid, .n_path = o->n_valid, .reader = o->reader};
	vo.reader.rejects = NULL;
	if (o->n_valid &&
	    mtl_eval(&valid, &r->in, r->pool, &vo, NULL,
		     &(MtlEvalHooks){.self = r->h->self, .interrupted = r->h->interrupted}, e)) {
		/* The epoch is not over before it is judged: an interrupt leaves it open, with all its rows
		 * done. */
		mtl_eval_free(&valid, r->sys);
		return e->status;
	}
	r->state.epoch++;
	r->state.rows = 0;
	bool best = true;
	if (o->stop_metric) {
		double value = mtl_stop_value(&r->stop, valid.watch);
		if (isnan(value)) {
			int64_t n = valid.rows;
			mtl_eval_free(&valid, r->sys);
			return mtl_fail(
			    e, MTL_DATA, "", NULL,
			    "early stop by %s: it is not defined on the validation data (%lld rows)",
			    o->stop_metric, (long long)n);
		}
		best = !r->state.has_best || mtl_stop_better(&r->stop, value, r->state.best);
		if (best) {
			r->state.has_best = true;
			r->state.best = value;
		}
		r->state.since = best ? 0 : r->state.since + 1;
		*enough = r->state.since >= o->stop_patience;
	}
	MtlBalance *b = &r->step.balance;
	double share[MTL_TASKS];
	for (int k = 0; k < b->n; k++)
		share[k] = b->steps[k] ? b->mean[k] / (double)b->steps[k] : (double)NAN;
	mtl_balance_epoch(b);
	MtlStatus st = best ? save(r, NULL, e) : MTL_OK;
	for (int l = 0; l < r->m->n_loss; l++) r->sum[l] = r->weight[l] > 0 ? r->sum[l] / r->weight[l] : 0;
	if (!st && r->h->epoch)
		r->h->epoch(r->h->self, &(MtlTrainEpoch){.epoch = r->state.epoch,
							 .epochs = o->epochs,
							 .rows = rows,
							 .steps = r->step.step,
							 .lr = r->step.lr,
							 .share = share,
							 .monitor = o->monitor ? &r->monitor : NULL,
							 .loss = r->sum,
							 .weight = r->weight,
							 .counts = counts,
							 .valid = o->n_valid ? &valid : NULL,
							 .judged = o->stop_metric,
							 .best = best,
							 .saved = best && o->out,
							 .last = *enough || r->state.epoch >= o->epochs});
	mtl_eval_free(&valid, r->sys);
	if (o->monitor) mtl_monitor_clear(&r->monitor);
	return st;
}

static MtlStatus epochs(Run *r, MtlError *e)
{
	bool enough = r->o->stop_metric && r->state.since >= r->o->stop_patience && r->state.has_best;
	if (r->o->resume && enough)
		note(r, "this run was ended by its early stop: nothing is left to do (--early-stop none)");
	else if (r->o->resume && r->state.epoch >= r->o->epochs && r->state.epoch)
		note(r, "this run has had its epochs: nothing is left to do (more of them: --epochs N)");
	r->step.step = r->state.step;
	r->step.rows_seen = r->state.rows_seen;
	while (r->state.epoch < r->o->epochs && !enough) {
		MtlRowCounts counts = {0};
		MtlStatus st = one_epoch(r, &counts, e);
		if (!st) st = end_epoch(r, &counts, &enough, e);
		if (st == MTL_INTERRUPTED) {
			MtlError failed = {0};
			if (save_standing(r, &failed)) *e = failed;
		}
		if (st) return e->status;
	}
	/* Nothing was left to do, or asked for: the file is due all the same. */
	return r->saved || (r->o->stop_metric && r->state.has_best) ? MTL_OK : save(r, NULL, e);
}

MtlStatus mtl_train(const MtlSys *sys, const MtlModel *m, const MtlTrainOptions *o, const MtlTrainHooks *h,
		    MtlError *e)
{
	Run r = {.sys = sys, .m = m, .o = o, .h = h};
	MtlStatus st = begin(&r, e);
	if (!st) st = epochs(&r, e);
	mtl_monitor_free(&r.monitor);
	mtl_groups_free(&r.groups);
	mtl_step_free(&r.step);
	mtl_release(sys, r.sum);
	mtl_release(sys, r.weight);
	mtl_pool_free(r.pool);
	mtl_instance_free(&r.in);
	return st;
}
