/*
 * How a training goes: lines on stderr, rewritten in place on a terminal, and lines of a log.
 */
#define _GNU_SOURCE
#include "progress.h"
#include "figures.h"
#include "program.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void mtl_progress_clear(MtlProgress *g)
{
	if (g->open_line)
		fputs(g->colour ? "\r\033[K"
				: "\r                                                                        "
				  "       \r",
		      stderr);
	g->open_line = false;
}

static void duration(char text[32], double s)
{
	long n = s < 0 ? 0 : s > 1e7 ? 10000000 : (long)(s + 0.5);
	if (s < 10) {
		snprintf(text, 32, "%.1fs", s < 0 ? 0 : s);
		return;
	}
	if (n >= 3600)
		snprintf(text, 32, "%ldh%02ldm", n / 3600, n / 60 % 60);
	else if (n >= 60)
		snprintf(text, 32, "%ldm%02lds", n / 60, n % 60);
	else
		snprintf(text, 32, "%lds", n);
}

static void rate(char text[32], double rows_per_s)
{
	if (rows_per_s >= 1e6)
		snprintf(text, 32, "%.2fM rows/s", rows_per_s / 1e6);
	else if (rows_per_s >= 1e4)
		snprintf(text, 32, "%.0fk rows/s", rows_per_s / 1e3);
	else
		snprintf(text, 32, "%.0f rows/s", rows_per_s);
}

static void log_end(MtlProgress *g)
{
	fputs("}\n", g->log);
	if (fflush(g->log) != 0 && !g->log_failed) g->log_failed = errno;
}

typedef struct {
	char *text;
	size_t n, cap;
} Line;

__attribute__((format(printf, 2, 3))) static void say(Line *l, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(l->text + l->n, l->cap - l->n, format, ap);
	va_end(ap);
	if (n > 0) l->n = l->n + (size_t)n < l->cap ? l->n + (size_t)n : l->cap - 1;
}

/* A line that wraps cannot be overwritten. */
static int columns(void)
{
	struct winsize w;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void progress_line(MtlProgress *g, const MtlTrainTick *t, double now)
{
	char speed[32], left[32];
	double took = now - g->last, done = t->progress;
	rate(speed, took > 0 ? (double)(t->rows - g->rows_at_last) / took : 0);
	for (int l = 0; l < g->m->n_loss; l++) g->sum[l] = g->weight[l] > 0 ? g->sum[l] / g->weight[l] : 0;
	if (!g->quiet) {
		char text[1024];
		Line line = {text, 0, sizeof text};
		say(&line, "epoch %" PRId64 "/%" PRId64 "  %" PRId64 " rows  %s ", t->epoch, t->epochs,
		    t->rows, speed);
		for (int l = 0; l < g->m->n_loss; l++)
			if (g->weight[l] > 0) say(&line, " %s %.4f", g->m->loss[l].name, g->sum[l]);
		if (t->counts->rejected) say(&line, "  bad rows %" PRId64, t->counts->rejected);
		if (done > 0.001) {
			duration(left, (now - g->epoch_begin) *
					   (1 / done - 1 + (double)(t->epochs - t->epoch) / done));
			say(&line, "  %s left", left);
		}
		mtl_progress_clear(g);
		fprintf(stderr, g->terminal ? "%.*s" : "%.*s\n", g->terminal ? columns() - 1 : (int)line.n,
			text);
		g->open_line = g->terminal;
	}
	if (g->log) {
		fprintf(g->log,
			"{\"kind\":\"progress\",\"epoch\":%" PRId64 ",\"rows\":%" PRId64
			",\"seconds\":%.3f,\"rows_per_s\":%.0f,\"bad_rows\":%" PRId64,
			t->epoch, t->rows, now - g->begin,
			took > 0 ? (double)(t->rows - g->rows_at_last) / took : 0, t->counts->rejected);
		mtl_losses_json(g->log, g->m, g->sum, g->weight);
		log_end(g);
	}
	for (int l = 0; l < g->m->n_loss; l++) g->sum[l] = g->weight[l] = 0;
	g->last = now;
	g->rows_at_last = t->rows;
}

void mtl_progress_tick(void *self, const MtlTrainTick *t)
{
	MtlProgress *g = self;
	for (int l = 0; l < g->m->n_loss; l++) {
		g->sum[l] += t->loss[l] * t->weight[l];
		g->weight[l] += t->weight[l];
	}
	double now = mtl_now();
	if (g->fresh) g->rows_first = g->rows_at_last = t->rows - t->batch_rows;
	g->fresh = false;
	g->trained = now;
	if (now - g->last < g->wait) return;
	progress_line(g, t, now);
	/* A terminal's line is rewritten in place; a file grows slower and slower. */
	g->wait = g->terminal ? 0.2 : g->wait < 60 ? 1.5 * g->wait : 60;
}

void mtl_progress_epoch(void *self, const MtlTrainEpoch *t)
{
	MtlProgress *g = self;
	double now = mtl_now();
	char speed[32], took[32];
	double training = (g->fresh ? now : g->trained) - g->epoch_begin;
	rate(speed, training > 0 ? (double)(t->rows - (g->fresh ? t->rows : g->rows_first)) / training : 0);
	duration(took, now - g->epoch_begin);
	if (!g->quiet) {
		mtl_progress_clear(g);
		fprintf(stderr, "epoch %" PRId64 "/%" PRId64 ": %" PRId64 " rows in %s, %s;", t->epoch,
			t->epochs, t->rows, took, speed);
		for (int l = 0; l < g->m->n_loss; l++)
			if (t->weight[l] > 0) fprintf(stderr, " %s %.5f", g->m->loss[l].name, t->loss[l]);
		if (!g->fresh && g->rows_first > 0)
			fprintf(stderr, " (losses of the %" PRId64 " rows since it was resumed)",
				t->rows - g->rows_first);
		fputs(!t->judged ? "\n" : t->best ? "; best so far\n" : "; not better\n", stderr);
		if (t->monitor) mtl_monitor_table(stderr, g->m, t->monitor);
		if (t->valid) mtl_metrics_table(stderr, g->m, t->valid->watch, "  ");
		if (t->judged && t->best) g->best_epoch = t->epoch;
		if (t->last && t->judged && !t->best && g->best_epoch)
			fprintf(stderr, "%s; the model file holds epoch %" PRId64 ", the best\n",
				t->epoch < t->epochs ? "stopped early" : "done", g->best_epoch);
		else if (t->last && t->judged && !t->best)
			fprintf(stderr, "%s; the model file holds the best epoch before this run\n",
				t->epoch < t->epochs ? "stopped early" : "done");
		if (t->last) mtl_say_counts(stderr, t->counts);
	}
	if (g->log) {
		fprintf(g->log,
			"{\"kind\":\"epoch\",\"epoch\":%" PRId64 ",\"rows\":%" PRId64 ",\"steps\":%" PRId64
			",\"seconds\":%.3f,\"bad_rows\":%" PRId64 ",\"best\":%s",
			t->epoch, t->rows, t->steps, now - g->begin, t->counts->rejected,
			t->best ? "true" : "false");
		fputs(",\"lr\":", g->log);
		mtl_json_number(g->log, t->lr);
		const MtlTasks *tasks = &g->m->tasks;
		for (int k = 0; g->m->train.balance.kind != MTL_FIXED && k < tasks->n; k++) {
			fputs(k ? "," : ",\"share\":{", g->log);
			mtl_json_text(g->log, g->m->loss[tasks->loss[k]].name);
			fputc(':', g->log);
			mtl_json_number(g->log, t->share[k]);
			if (k == tasks->n - 1) fputc('}', g->log);
		}
		fprintf(g->log, ",\"loss_rows\":%" PRId64, g->fresh ? 0 : t->rows - g->rows_first);
		mtl_losses_json(g->log, g->m, t->loss, t->weight);
		if (t->monitor) mtl_monitor_json(g->log, g->m, t->monitor);
		if (t->valid) {
			fprintf(g->log, ",\"valid\":{\"rows\":%" PRId64 ",\"heads\":", t->valid->rows);
			mtl_metrics_json(g->log, g->m, t->valid->watch, true);
			fputc('}', g->log);
		}
		log_end(g);
	}
	g->epoch_begin = g->last = mtl_now();
	g->fresh = true;
	for (int l = 0; l < g->m->n_loss; l++) g->sum[l] = g->weight[l] = 0;
}

void mtl_progress_note(void *self, const char *text)
{
	MtlProgress *g = self;
	mtl_progress_clear(g);
	fprintf(stderr, "note: %s\n", text);
}
