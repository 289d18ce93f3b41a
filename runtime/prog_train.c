/*
 * PROG train: its command line, its log, and the training itself.
 */
#define _GNU_SOURCE
#include "prog.h"
#include "progress.h"
#include "runlog.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "buy.auc:2", "none", or what the model says; *text is cut at the colon. */
static MtlStatus early_stop(const MtlProgram *p, MtlTrainOptions *o, char *text, size_t size, MtlProgress *g,
			    MtlError *e)
{
	const char *given = mtl_program_text(p, "early-stop");
	if (!given) {
		o->stop_metric = p->m->train.stop_metric;
		o->stop_patience = p->m->train.stop_patience;
		if (o->stop_metric && !o->n_valid) {
			mtl_progress_note(g, "no --valid: the model's early stop is off");
			o->stop_metric = NULL;
		}
		return MTL_OK;
	}
	if (strcmp(given, "none") == 0) return MTL_OK;
	if (!o->n_valid) return mtl_fail(e, MTL_USAGE, "", NULL, "--early-stop needs --valid");
	snprintf(text, size, "%s", given);
	char *colon = strrchr(text, ':'), *end = NULL;
	o->stop_metric = text;
	o->stop_patience = 1;
	if (!colon) return MTL_OK;
	*colon = 0;
	o->stop_patience = strtoll(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || o->stop_patience < 1)
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"--early-stop %s: after the colon stands a number of epochs above 0", given);
	return MTL_OK;
}

enum { MOST_BATCH = 1 << 22, MOST_SHUFFLE = 1 << 30 };

static MtlStatus check_train(const MtlTrainOptions *o, bool steps_given, bool falls, MtlError *e)
{
	if (o->init && o->resume)
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"--init starts a run, --resume goes on with one: give one of them");
	if (o->batch < 1) return mtl_fail(e, MTL_USAGE, "", NULL, "--batch needs at least one row");
	if (o->batch > MOST_BATCH || o->shuffle > MOST_SHUFFLE)
		return mtl_fail(e, MTL_USAGE, "", NULL, "--batch is at most %d, --shuffle at most %d",
				MOST_BATCH, MOST_SHUFFLE);
	if (mtl_prog_stdin(o->data, o->n_data) && (o->epochs > 1 || o->resume))
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"--data from stdin can be read once: it takes --epochs 1, and no --resume");
	if (mtl_prog_stdin(o->valid, o->n_valid))
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"--valid is read after every epoch: it cannot be stdin");
	if (steps_given && (o->steps < 1 || !falls))
		return mtl_fail(
		    e, MTL_USAGE, "", NULL,
		    falls ? "--steps needs at least one step"
			  : "--steps is for a model whose train { } has a linear or cosine schedule");
	return MTL_OK;
}

static MtlStatus open_log(MtlProgress *g, const char *path, bool append, MtlError *e)
{
	if (!path) return MTL_OK;
	g->log_path = path;
	g->log = fopen(path, append ? "ae" : "we");
	return g->log
		   ? MTL_OK
		   : mtl_fail(e, MTL_SYSTEM, "F0213", path, "cannot open for writing: %s", strerror(errno));
}

MtlStatus mtl_prog_train(MtlProgram *p, MtlError *e)
{
	const MtlTrain *d = &p->m->train;
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	char stop[256];
	MtlTrainOptions o = {.out = mtl_program_text(p, "out"),
			     .init = mtl_program_text(p, "init"),
			     .resume = mtl_program_text(p, "resume"),
			     .epochs = mtl_program_count(p, "epochs", d->epochs),
			     .batch = mtl_program_count(p, "batch", d->batch),
			     .shuffle = mtl_program_count(p, "shuffle", d->shuffle),
			     .steps = mtl_program_count(p, "steps", 0),
			     .threads = mtl_program_threads(p, 0),
			     .monitor = mtl_program_count(p, "monitor", 0),
			     .no_state = mtl_program_has(p, "no-state"),
			     .seed = d->seed};
	const MtlOptionValue *lr = mtl_option(&p->o, p->table, "lr"),
			     *seed = mtl_option(&p->o, p->table, "seed");
	if (lr->given) o.lr = lr->real;
	if ((o.seed_given = seed->given)) o.seed = seed->seed;
	MtlProgress g = {.m = p->m,
			 .quiet = mtl_program_has(p, "quiet"),
			 .terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
			 .wait = 1,
			 .fresh = true};
	if (g.terminal) g.wait = 0.2;
	g.colour = g.terminal && !(no_colour && *no_colour);
	const char **data = mtl_prog_files(p, "data", &o.n_data, e),
		   **valid = mtl_prog_files(p, "valid", &o.n_valid, e);
	o.data = data;
	o.valid = valid;
	g.sum = mtl_new(p->sys, double, p->m->n_loss + 1);
	g.weight = mtl_new(p->sys, double, p->m->n_loss + 1);
	if (!g.sum || !g.weight) mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	MtlStatus st = e->status;
	if (!st) st = mtl_prog_reader(p, &o.reader, e);
	if (!st) st = early_stop(p, &o, stop, sizeof stop, &g, e);
	if (!st)
		st = check_train(
		    &o, mtl_program_has(p, "steps"),
		    d->schedule.kind == MTL_SCHEDULE_LINEAR || d->schedule.kind == MTL_SCHEDULE_COSINE, e);
	static const char *const written[] = {"out", "log", "rejects"};
	const char *model[] = {o.init, o.resume};
	const char *also[] = {mtl_program_text(p, "log"), mtl_program_text(p, "rejects")};
	for (int i = 0; i < 3; i++) {
		/* Each against those that follow in `written`. */
		if (!st && i < 2) st = mtl_program_apart(p, written[i], also + i, 2 - i, e);
		if (!st) st = mtl_program_apart(p, written[i], data, o.n_data, e);
		if (!st) st = mtl_program_apart(p, written[i], valid, o.n_valid, e);
		if (!st && i > 0) st = mtl_program_apart(p, written[i], model, 2, e);
	}
	if (!st) st = open_log(&g, mtl_program_text(p, "log"), o.resume != NULL, e);
	if (!st && g.log) st = mtl_runlog_begin(g.log, p, &o, e);
	if (!st) {
		g.begin = g.epoch_begin = g.last = mtl_now();
		mtl_prog_listen();
		MtlTrainHooks h = {&g, mtl_prog_interrupted, mtl_progress_tick, mtl_progress_epoch,
				   mtl_progress_note};
		st = mtl_train(p->sys, p->m, &o, &h, e);
		mtl_progress_clear(&g);
		if (st == MTL_INTERRUPTED)
			snprintf(e->text, sizeof e->text, "interrupted; go on with --resume %.400s", o.out);
	}
	if (g.log && fclose(g.log) != 0 && !g.log_failed) g.log_failed = errno;
	if (g.log_failed)
		st = mtl_fail(e, MTL_SYSTEM, "F0212", g.log_path, "cannot write the log: %s",
			      strerror(g.log_failed));
	mtl_release(p->sys, g.sum);
	mtl_release(p->sys, g.weight);
	mtl_release(p->sys, data);
	mtl_release(p->sys, valid);
	return st;
}
