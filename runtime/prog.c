/*
 * The model's program: train, eval, score, grad, init, info, gradcheck, bench.
 *
 * `interrupts` is the one writable variable of the runtime: a signal handler has nowhere else to write.
 */
#define _GNU_SOURCE
#include "eval.h"
#include "evalrows.h"
#include "grad.h"
#include "gradcheck.h"
#include "import.h"
#include "program.h"
#include "runlog.h"
#include "train.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the command line ---- */

enum { TRAIN, EVAL, SCORE, GRAD, INIT, INFO, GRADCHECK, BENCH, PACK, IMPORT };
#define ON(c) (1u << (c))

static const MtlCommand command[] = {
    {"train", NULL, "Trains the model on a log and writes a model file."},
    {"eval", NULL, "Metrics of every probability, on the rows where it is defined."},
    {"score", "[F|-]", "Scores the rows of F (default: stdin): one line out per row in."},
    {"grad", NULL, "Losses and every gradient of all rows as one batch, as a model file."},
    {"init", NULL, "Writes fresh parameters."},
    {"info", NULL, "Inputs, outputs, parameters, digest and kernels."},
    {"gradcheck", NULL,
     "The kernels' gradients against differences of their float losses: rough, a few per cent at kinks of "
     "relu."},
    {"bench", NULL, "Rows per second and latency of scoring and of a training step, on random rows."},
    {"pack", NULL, "Encodes logs once, into the folder that train --cache and eval --cache read."},
    {"import", NULL, "A model file of weights that others have trained, by a map of names."},
};

#define READS (ON(TRAIN) | ON(EVAL) | ON(GRAD) | ON(PACK))

static const MtlOption option[] = {
    {"data", 0, MTL_ARG_LIST, "F[,F...]", READS | ON(INIT) | ON(IMPORT) | ON(GRADCHECK) | ON(BENCH), READS,
     "logs: CSV, TSV or JSONL, plain, gzip or zstd; - is stdin"},
    {"valid", 0, MTL_ARG_LIST, "F[,F...]", ON(TRAIN) | ON(PACK), 0, "logs for the metrics after each epoch"},
    {"model", 'm', MTL_ARG_TEXT, "M", ON(EVAL) | ON(SCORE) | ON(GRAD) | ON(INFO) | ON(GRADCHECK) | ON(BENCH),
     0, "model file (default: the weights in the program, if any)"},
    {"out", 0, MTL_ARG_TEXT, "M", ON(TRAIN) | ON(GRAD) | ON(INIT) | ON(IMPORT),
     ON(TRAIN) | ON(GRAD) | ON(INIT) | ON(IMPORT), "the file to write"},
    {"weights", 0, MTL_ARG_TEXT, "F", ON(IMPORT), ON(IMPORT), "the weights: a safetensors file, F32"},
    {"map", 0, MTL_ARG_TEXT, "MAP", ON(IMPORT), 0,
     "lines `theirs = ours`, `theirs = ours transposed`, `theirs = -`; equal names need none"},
    {"init", 0, MTL_ARG_TEXT, "M", ON(TRAIN), 0,
     "start from the weights of M wherever name and shape are equal"},
    {"resume", 0, MTL_ARG_TEXT, "M", ON(TRAIN), 0,
     "go on with the run that wrote M, as if it had never stopped"},
    {"epochs", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "passes over the data, those of a resumed run included (default: the model's)"},
    {"batch", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0, "rows of a step (default: the model's)"},
    {"shuffle", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "rows of the shuffle buffer, 0: file order (default: the model's)"},
    {"lr", 0, MTL_ARG_REAL, "X", ON(TRAIN), 0,
     "learning rate before the schedule; a rate of its own for tables changes by the same factor"},
    {"steps", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "steps that a linear or cosine schedule runs over (default: the model's, or counted in a pass over "
     "--data)"},
    {"seed", 0, MTL_ARG_SEED, "N", ON(TRAIN) | ON(INIT) | ON(GRADCHECK) | ON(BENCH), 0,
     "of initial parameters, shuffling and dropout (default: the model's)"},
    {"threads", 0, MTL_ARG_COUNT, "N",
     ON(TRAIN) | ON(EVAL) | ON(SCORE) | ON(GRAD) | ON(GRADCHECK) | ON(BENCH), 0,
     "threads (default: as many as the machine grants); the result does not depend on it"},
    {"early-stop", 0, MTL_ARG_TEXT, "NAME.METRIC[:N]", ON(TRAIN), 0,
     "keep the best epoch by auc, logloss, ne, rmse, ... on --valid, stop after N without a better one; or "
     "none"},
    {"bad-rows", 0, MTL_ARG_CHOICE, "fail|skip", READS | ON(INIT) | ON(IMPORT), 0,
     "a row that cannot be used: stop, or pass over it (fail)"},
    {"max-bad-rows", 0, MTL_ARG_COUNT, "N", READS | ON(INIT) | ON(IMPORT), 0,
     "with --bad-rows skip: one more than N is an error"},
    {"rejects", 0, MTL_ARG_TEXT, "F", ON(TRAIN) | ON(EVAL), 0,
     "with --bad-rows skip: the rejected rows as they stood"},
    {"log", 0, MTL_ARG_TEXT, "F", ON(TRAIN), 0, "one JSON object per progress line and epoch"},
    {"monitor", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "in every N-th step look at the tasks' gradients and the use of experts: printed, and in --log"},
    {"cache", 0, MTL_ARG_TEXT, "DIR", ON(TRAIN) | ON(EVAL) | ON(PACK), ON(PACK),
     "keep encoded logs in DIR: read from there in later epochs and runs, as long as they are the same"},
    {"no-state", 0, MTL_ARG_NONE, "", ON(TRAIN), 0, "leave the optimiser's state out of the file"},
    {"quiet", 'q', MTL_ARG_NONE, "", ON(TRAIN), 0, "no progress"},
    {"json", 0, MTL_ARG_NONE, "", ON(EVAL) | ON(INFO) | ON(BENCH), 0, "machine-readable"},
    {"rows", 0, MTL_ARG_TEXT, "F", ON(EVAL), 0,
     "also write what is measured of each row to F, as CSV: logit, label and weight of every head"},
    {"output", 'o', MTL_ARG_TEXT, "F", ON(SCORE), 0, "write the scores to F (default: stdout)"},
    {"format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", ON(SCORE), 0,
     "form of the scores; also of the rows where they come from stdin (csv)"},
    {"input-format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", READS | ON(SCORE) | ON(INIT) | ON(IMPORT), 0,
     "form of the logs (default: by the file's name)"},
    {"on-bad-row", 0, MTL_ARG_CHOICE, "fail|null", ON(SCORE), 0,
     "a row that cannot be read: stop, or leave its scores empty (fail)"},
    {"request", 0, MTL_ARG_TEXT, "R", ON(SCORE), 0,
     "rows of the request's columns: each is scored with every row of --candidates, in order"},
    {"candidates", 0, MTL_ARG_TEXT, "C", ON(SCORE), 0, "rows of the candidates' columns, with --request"},
    {"passthrough", 0, MTL_ARG_LIST, "COLS", ON(SCORE), 0,
     "columns of the input to repeat before the scores"},
};

const MtlOptionTable mtl_prog_options = {
    "Trains, evaluates and runs one multi-task model.",
    command,
    sizeof command / sizeof *command,
    option,
    sizeof option / sizeof *option,
};

/* ---- interrupts ---- */

static volatile sig_atomic_t interrupts;

static void on_signal(int number)
{
	(void)number;
	interrupts = 1;
}

static bool was_interrupted(void *self)
{
	(void)self;
	return interrupts != 0;
}

/* The first signal asks, a second one kills. */
static void listen(void)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

/* ---- progress ---- */

typedef struct {
	const MtlModel *m;
	FILE *log; /* NULL: none */
	const char *log_path;
	bool quiet, terminal, colour;
	double begin, epoch_begin, last, wait; /* seconds; wait: until the next line */
	double trained;			       /* when the last batch was done: validation comes after */
	int64_t rows_at_last, rows_first;      /* of this epoch; a resumed one does not begin at 0 */
	bool fresh;			       /* no batch of this epoch was seen */
	double *sum, *weight;		       /* [n_loss] since the last line */
	bool open_line;			       /* a line of progress waits to be overwritten */
	int64_t best_epoch;		       /* of this run; 0: one before it, or none is judged */
	int log_failed;			       /* the errno of the first write that failed, or 0 */
} Progress;

static void clear_line(Progress *g)
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

/* {"ctr":0.31,...}: means, null for a loss that had no row. */
static void log_losses(FILE *to, const MtlModel *m, const double *loss, const double *weight)
{
	fputs(",\"loss\":{", to);
	for (int l = 0; l < m->n_loss; l++) {
		if (l) fputc(',', to);
		mtl_json_text(to, m->loss[l].name);
		fputc(':', to);
		mtl_json_number(to, weight[l] > 0 ? loss[l] : (double)NAN);
	}
	fputc('}', to);
}

static void log_end(Progress *g)
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

static void progress_line(Progress *g, const MtlTrainTick *t, double now)
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
		clear_line(g);
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
		log_losses(g->log, g->m, g->sum, g->weight);
		log_end(g);
	}
	for (int l = 0; l < g->m->n_loss; l++) g->sum[l] = g->weight[l] = 0;
	g->last = now;
	g->rows_at_last = t->rows;
}

static void on_tick(void *self, const MtlTrainTick *t)
{
	Progress *g = self;
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

static void metrics_json(FILE *to, const MtlModel *m, const MtlMetrics *w, bool bins)
{
	for (int k = 0; k < m->n_watch; k++) {
		enum { MOST = 11 };
		struct {
			const char *name;
			double value;
		} v[MOST] = {{"auc", w[k].auc},
			     {"logloss", w[k].logloss},
			     {"calibration", w[k].calibration},
			     {"ne", w[k].ne},
			     {"ece", w[k].ece},
			     {"mean_prediction", w[k].mean_prediction},
			     {"mean_label", w[k].mean_label},
			     {"auc_error", w[k].auc_error},
			     {"logloss_error", w[k].logloss_error},
			     {"gauc", w[k].gauc},
			     {"ndcg", w[k].ndcg}};
		size_t n = m->group_column ? MOST : MOST - 2;
		if (m->watch[k].kind == MTL_WATCH_VALUE) {
			n = 0;
			v[n].name = "rmse", v[n++].value = w[k].rmse;
			v[n].name = "mae", v[n++].value = w[k].mae;
			v[n].name = "calibration", v[n++].value = w[k].calibration;
			v[n].name = "mean_prediction", v[n++].value = w[k].mean_prediction;
			v[n].name = "mean_label", v[n++].value = w[k].mean_label;
			if (m->group_column) v[n].name = "ndcg", v[n++].value = w[k].ndcg;
		} else if (m->watch[k].kind == MTL_WATCH_CLASS) {
			n = 0;
			v[n].name = "accuracy", v[n++].value = w[k].accuracy;
			v[n].name = "cross_entropy", v[n++].value = w[k].cross_entropy;
		}
		fputs(k ? "," : "{", to);
		mtl_json_text(to, m->watch[k].name);
		fprintf(to, ":{\"rows\":%" PRId64, w[k].rows);
		for (size_t i = 0; i < n; i++) {
			fprintf(to, ",\"%s\":", v[i].name);
			mtl_json_number(to, v[i].value);
		}
		if (bins && m->watch[k].kind == MTL_WATCH_PROB) mtl_runlog_bins(to, &w[k]);
		fputc('}', to);
	}
	fputs(m->n_watch ? "}" : "{}", to);
}

static void cell(FILE *to, int width, const char *format, double x)
{
	char text[40];
	if (isnan(x))
		strcpy(text, "-");
	else
		snprintf(text, sizeof text, format, x);
	fprintf(to, "  %*s", width, text);
}

static void metrics_table(FILE *to, const MtlModel *m, const MtlMetrics *w, const char *indent)
{
	int width = 4;
	for (int k = 0; k < m->n_watch; k++)
		if ((int)strlen(m->watch[k].name) > width) width = (int)strlen(m->watch[k].name);
	int of[3] = {0};
	for (int k = 0; k < m->n_watch; k++) of[m->watch[k].kind]++;
	if (of[MTL_WATCH_PROB] || !m->n_watch)
		fprintf(to, "%s%-*s  %10s  %7s  %8s  %7s  %6s  %7s%s\n", indent, width, "head", "rows", "auc",
			"logloss", "ne", "calib.", "ece", m->group_column ? "     gauc     ndcg" : "");
	for (int k = 0; k < m->n_watch; k++) {
		if (m->watch[k].kind != MTL_WATCH_PROB) continue;
		fprintf(to, "%s%-*s  %10" PRId64, indent, width, m->watch[k].name, w[k].rows);
		cell(to, 7, "%.5f", w[k].auc);
		cell(to, 8, "%.6f", w[k].logloss);
		cell(to, 7, "%.5f", w[k].ne);
		cell(to, 6, "%.4f", w[k].calibration);
		cell(to, 7, "%.5f", w[k].ece);
		if (m->group_column) cell(to, 7, "%.5f", w[k].gauc);
		if (m->group_column) cell(to, 7, "%.5f", w[k].ndcg);
		fputc('\n', to);
	}
	if (of[MTL_WATCH_VALUE])
		fprintf(to, "%s%-*s  %10s  %10s  %10s  %6s  %10s  %10s\n", indent, width, "value", "rows",
			"rmse", "mae", "calib.", "predicted", "mean");
	for (int k = 0; k < m->n_watch; k++) {
		if (m->watch[k].kind != MTL_WATCH_VALUE) continue;
		fprintf(to, "%s%-*s  %10" PRId64, indent, width, m->watch[k].name, w[k].rows);
		cell(to, 10, "%.6g", w[k].rmse);
		cell(to, 10, "%.6g", w[k].mae);
		cell(to, 6, "%.4f", w[k].calibration);
		cell(to, 10, "%.6g", w[k].mean_prediction);
		cell(to, 10, "%.6g", w[k].mean_label);
		fputc('\n', to);
	}
	if (of[MTL_WATCH_CLASS])
		fprintf(to, "%s%-*s  %10s  %8s  %13s\n", indent, width, "class", "rows", "accuracy",
			"cross-entropy");
	for (int k = 0; k < m->n_watch; k++) {
		if (m->watch[k].kind != MTL_WATCH_CLASS) continue;
		fprintf(to, "%s%-*s  %10" PRId64, indent, width, m->watch[k].name, w[k].rows);
		cell(to, 8, "%.5f", w[k].accuracy);
		cell(to, 13, "%.6f", w[k].cross_entropy);
		fputc('\n', to);
	}
}

/* ---- what was seen inside ---- */

static double mean_of(double sum, int64_t n) { return n ? sum / (double)n : (double)NAN; }

static const char *task_name(const MtlModel *m, int k) { return m->loss[m->tasks.loss[k]].name; }

static void monitor_json(FILE *to, const MtlModel *m, const MtlMonitor *w)
{
	fprintf(to, ",\"monitor\":{\"steps\":%" PRId64 ",\"norm\":{", w->steps);
	for (int k = 0; k < w->n; k++) {
		if (k) fputc(',', to);
		mtl_json_text(to, task_name(m, k));
		fputc(':', to);
		mtl_json_number(to, mean_of(w->norm[k], w->seen[k]));
	}
	fputs("},\"cosine\":[", to);
	for (int k = 0; k < w->n; k++)
		for (int j = 0; j < k; j++) {
			int at = k * w->n + j;
			fputs(k > 1 || j ? ",{\"of\":[" : "{\"of\":[", to);
			mtl_json_text(to, task_name(m, j));
			fputc(',', to);
			mtl_json_text(to, task_name(m, k));
			fprintf(to, "],\"steps\":%" PRId64 ",\"mean\":", w->both[at]);
			mtl_json_number(to, mean_of(w->cosine[at], w->both[at]));
			fputs(",\"negative\":", to);
			mtl_json_number(to, mean_of((double)w->against[at], w->both[at]));
			fputc('}', to);
		}
	fputs("],\"gates\":{", to);
	for (int g = 0; g < m->n_gate; g++) {
		const MtlGateUse *u = &w->use[g];
		if (g) fputc(',', to);
		mtl_json_text(to, m->gate[g].name);
		fprintf(to, ":{\"rows\":%" PRId64 ",\"weight\":[", u->rows);
		for (int i = 0; i < m->gate[g].n; i++) {
			if (i) fputc(',', to);
			mtl_json_number(to, mean_of(w->weight[m->gate[g].first + i], u->rows));
		}
		fputs("],\"entropy\":", to);
		mtl_json_number(to, mean_of(u->entropy, u->rows));
		fputs(",\"single\":", to);
		mtl_json_number(to, mean_of(u->single, u->rows));
		fputc('}', to);
	}
	fputs("}}", to);
}

static void monitor_table(FILE *to, const MtlModel *m, const MtlMonitor *w)
{
	if (w->n) fputs("  gradients of what tasks share:", to);
	for (int k = 0; k < w->n; k++)
		fprintf(to, " %s %.3g", task_name(m, k), mean_of(w->norm[k], w->seen[k]));
	if (w->n) fputc('\n', to);
	for (int k = 0; k < w->n; k++)
		for (int j = 0; j < k; j++) {
			int at = k * w->n + j;
			if (w->both[at])
				fprintf(to,
					"  %s and %s: cosine %.3f, against each other in %.0f%% of steps\n",
					task_name(m, j), task_name(m, k), mean_of(w->cosine[at], w->both[at]),
					100 * mean_of((double)w->against[at], w->both[at]));
		}
	for (int g = 0; g < m->n_gate; g++) {
		const MtlGateUse *u = &w->use[g];
		fprintf(to, "  %s:", m->gate[g].name);
		for (int i = 0; i < m->gate[g].n; i++)
			fprintf(to, " %.2f", mean_of(w->weight[m->gate[g].first + i], u->rows));
		fprintf(to, "; entropy %.2f of %.2f, one expert alone in %.0f%% of rows\n",
			mean_of(u->entropy, u->rows), log((double)m->gate[g].n),
			100 * mean_of(u->single, u->rows));
	}
}

static void on_epoch(void *self, const MtlTrainEpoch *t)
{
	Progress *g = self;
	double now = mtl_now();
	char speed[32], took[32];
	double training = (g->fresh ? now : g->trained) - g->epoch_begin;
	rate(speed, training > 0 ? (double)(t->rows - (g->fresh ? t->rows : g->rows_first)) / training : 0);
	duration(took, now - g->epoch_begin);
	if (!g->quiet) {
		clear_line(g);
		fprintf(stderr, "epoch %" PRId64 "/%" PRId64 ": %" PRId64 " rows in %s, %s;", t->epoch,
			t->epochs, t->rows, took, speed);
		for (int l = 0; l < g->m->n_loss; l++)
			if (t->weight[l] > 0) fprintf(stderr, " %s %.5f", g->m->loss[l].name, t->loss[l]);
		fputs(!t->judged ? "\n" : t->best ? "; best so far\n" : "; not better\n", stderr);
		if (t->monitor) monitor_table(stderr, g->m, t->monitor);
		if (t->valid) metrics_table(stderr, g->m, t->valid->watch, "  ");
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
		log_losses(g->log, g->m, t->loss, t->weight);
		if (t->monitor) monitor_json(g->log, g->m, t->monitor);
		if (t->valid) {
			fprintf(g->log, ",\"valid\":{\"rows\":%" PRId64 ",\"heads\":", t->valid->rows);
			metrics_json(g->log, g->m, t->valid->watch, true);
			fputc('}', g->log);
		}
		log_end(g);
	}
	g->epoch_begin = g->last = mtl_now();
	g->fresh = true;
	for (int l = 0; l < g->m->n_loss; l++) g->sum[l] = g->weight[l] = 0;
}

static void on_note(void *self, const char *text)
{
	Progress *g = self;
	clear_line(g);
	fprintf(stderr, "note: %s\n", text);
}

/* ---- train ---- */

static MtlStatus reader_options(const MtlProgram *p, MtlReaderOptions *r, MtlError *e)
{
	*r = (MtlReaderOptions){.labels = true, .max_bad_rows = mtl_program_count(p, "max-bad-rows", -1)};
	r->bad_rows = mtl_program_count(p, "bad-rows", 0) ? MTL_BAD_SKIP : MTL_BAD_FAIL;
	r->rejects = mtl_program_text(p, "rejects");
	r->cache = mtl_program_text(p, "cache");
	/* A folder that cannot be made is one without packs: the logs are read as ever. */
	if (r->cache) (void)mkdir(r->cache, 0777);
	if (mtl_program_has(p, "input-format")) {
		r->format_given = true;
		r->format = (MtlFormat)mtl_program_count(p, "input-format", MTL_CSV);
	}
	if (r->rejects && r->bad_rows != MTL_BAD_SKIP)
		return mtl_fail(e, MTL_USAGE, "", NULL, "--rejects goes with --bad-rows skip");
	if (r->max_bad_rows >= 0 && r->bad_rows != MTL_BAD_SKIP)
		return mtl_fail(e, MTL_USAGE, "", NULL, "--max-bad-rows goes with --bad-rows skip");
	return MTL_OK;
}

/* The files of a list option; *n = 0 where it is not given.  To be released. */
static const char **files(const MtlProgram *p, const char *name, int *n, MtlError *e)
{
	const char *text = mtl_program_text(p, name);
	*n = 0;
	if (!text) return NULL;
	const char **list = mtl_options_list(p->sys, text, n);
	if (!list) {
		mtl_fail(e, MTL_LIMIT, "", NULL, "no memory");
		return NULL;
	}
	for (int i = 0; i < *n; i++)
		if (!*list[i]) mtl_fail(e, MTL_USAGE, "", NULL, "--%s %s: an empty file name", name, text);
	return list;
}

static bool has_stdin(const char *const *path, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(path[i], "-") == 0) return true;
	return false;
}

/* "buy.auc:2", "none", or what the model says; *text is cut at the colon. */
static MtlStatus early_stop(const MtlProgram *p, MtlTrainOptions *o, char *text, size_t size, Progress *g,
			    MtlError *e)
{
	const char *given = mtl_program_text(p, "early-stop");
	if (!given) {
		o->stop_metric = p->m->train.stop_metric;
		o->stop_patience = p->m->train.stop_patience;
		if (o->stop_metric && !o->n_valid) {
			on_note(g, "no --valid: the model's early stop is off");
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
	if (has_stdin(o->data, o->n_data) && (o->epochs > 1 || o->resume))
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"--data from stdin can be read once: it takes --epochs 1, and no --resume");
	if (has_stdin(o->valid, o->n_valid))
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"--valid is read after every epoch: it cannot be stdin");
	if (steps_given && (o->steps < 1 || !falls))
		return mtl_fail(
		    e, MTL_USAGE, "", NULL,
		    falls ? "--steps needs at least one step"
			  : "--steps is for a model whose train { } has a linear or cosine schedule");
	return MTL_OK;
}

static MtlStatus open_log(Progress *g, const char *path, bool append, MtlError *e)
{
	if (!path) return MTL_OK;
	g->log_path = path;
	g->log = fopen(path, append ? "ae" : "we");
	return g->log
		   ? MTL_OK
		   : mtl_fail(e, MTL_SYSTEM, "F0213", path, "cannot open for writing: %s", strerror(errno));
}

static MtlStatus train(MtlProgram *p, MtlError *e)
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
	Progress g = {.m = p->m,
		      .quiet = mtl_program_has(p, "quiet"),
		      .terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
		      .wait = 1,
		      .fresh = true};
	if (g.terminal) g.wait = 0.2;
	g.colour = g.terminal && !(no_colour && *no_colour);
	const char **data = files(p, "data", &o.n_data, e), **valid = files(p, "valid", &o.n_valid, e);
	o.data = data;
	o.valid = valid;
	g.sum = mtl_new(p->sys, double, p->m->n_loss + 1);
	g.weight = mtl_new(p->sys, double, p->m->n_loss + 1);
	if (!g.sum || !g.weight) mtl_fail(e, MTL_LIMIT, "", NULL, "no memory");
	MtlStatus st = e->status;
	if (!st) st = reader_options(p, &o.reader, e);
	if (!st) st = early_stop(p, &o, stop, sizeof stop, &g, e);
	if (!st)
		st = check_train(
		    &o, mtl_program_has(p, "steps"),
		    d->schedule.kind == MTL_SCHEDULE_LINEAR || d->schedule.kind == MTL_SCHEDULE_COSINE, e);
	static const char *const written[] = {"out", "log", "rejects"};
	const char *model[] = {o.init, o.resume};
	for (int i = 0; i < 3; i++) {
		if (!st) st = mtl_program_apart(p, written[i], data, o.n_data, e);
		if (!st) st = mtl_program_apart(p, written[i], valid, o.n_valid, e);
		if (!st && i > 0) st = mtl_program_apart(p, written[i], model, 2, e);
	}
	if (!st) st = open_log(&g, mtl_program_text(p, "log"), o.resume != NULL, e);
	if (!st && g.log) st = mtl_runlog_begin(g.log, p, &o, e);
	if (!st) {
		g.begin = g.epoch_begin = g.last = mtl_now();
		listen();
		MtlTrainHooks h = {&g, was_interrupted, on_tick, on_epoch, on_note};
		st = mtl_train(p->sys, p->m, &o, &h, e);
		clear_line(&g);
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

/* ---- eval ---- */

static void say_eval(const MtlProgram *p, const MtlEvalResult *r)
{
	const MtlModel *m = p->m;
	if (mtl_program_has(p, "json")) {
		printf("{\"rows\":%" PRId64 ",\"heads\":", r->rows);
		metrics_json(stdout, m, r->watch, false);
		log_losses(stdout, m, r->loss, r->weight);
		puts("}");
		return;
	}
	printf("%" PRId64 " rows\n\n", r->rows);
	metrics_table(stdout, m, r->watch, "");
	puts("");
	for (int k = 0; k < m->n_watch; k++)
		if (m->watch[k].label_text && m->watch[k].rows_text)
			printf("%s: label %s, on %s\n", m->watch[k].name, m->watch[k].label_text,
			       strcmp(m->watch[k].rows_text, "all") == 0 ? "all rows"
									 : m->watch[k].rows_text);
	if (m->n_loss) puts("");
	for (int l = 0; l < m->n_loss; l++)
		if (r->weight[l] > 0)
			printf("loss %s %.6f\n", m->loss[l].name, r->loss[l]);
		else
			printf("loss %s: no row\n", m->loss[l].name);
}

static MtlStatus eval(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	MtlStep step = {0};
	MtlEvalResult r = {0};
	MtlFeedOptions fo = {0};
	const char **data = files(p, "data", &fo.n_path, e);
	MtlStatus st = e->status;
	fo.path = data;
	if (!st) st = reader_options(p, &fo.reader, e);
	const char *model = mtl_program_text(p, "model");
	static const char *const written[] = {"rows", "rejects"};
	for (int i = 0; i < 2; i++) {
		if (!st) st = mtl_program_apart(p, written[i], data, fo.n_path, e);
		if (!st) st = mtl_program_apart(p, written[i], &model, 1, e);
	}
	if (!st) st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st) st = mtl_instance_open(&in, model, e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 0), e);
	if (!st) st = mtl_step_init(&step, &in, pool, MTL_EVAL_BATCH, e);
	listen();
	MtlEvalRows rows = {0};
	const char *each = mtl_program_text(p, "rows");
	MtlEvalHooks hooks = {
	    .interrupted = was_interrupted, .rows = each ? mtl_evalrows_add : NULL, .rows_self = &rows};
	if (!st && each) st = mtl_evalrows_open(&rows, p->m, each, e);
	if (!st) st = mtl_eval(&r, &in, pool, &fo, &step, &hooks, e);
	MtlStatus closed = mtl_evalrows_close(&rows, e);
	if (!st) st = closed;
	if (!st) {
		say_eval(p, &r);
		if (r.counts.rejected || isatty(STDERR_FILENO)) mtl_say_counts(stderr, &r.counts);
	}
	mtl_eval_free(&r, p->sys);
	mtl_step_free(&step);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	mtl_release(p->sys, data);
	return st;
}

/* ---- grad, init, bench ---- */

static MtlStatus grad(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	MtlReaderOptions ro;
	int n = 0;
	int64_t rows = 0;
	const char **data = files(p, "data", &n, e);
	MtlStatus st = e->status;
	const char *model = mtl_program_text(p, "model");
	if (!st) st = reader_options(p, &ro, e);
	if (!st) st = mtl_program_apart(p, "out", data, n, e);
	if (!st) st = mtl_program_apart(p, "out", &model, 1, e);
	if (!st) st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st) st = mtl_instance_open(&in, mtl_program_text(p, "model"), e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 0), e);
	if (!st) st = mtl_grad(&in, pool, data, n, &ro, mtl_program_text(p, "out"), &rows, e);
	if (!st) fprintf(stderr, "gradients of %" PRId64 " rows\n", rows);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	mtl_release(p->sys, data);
	return st;
}

static MtlStatus fresh(const MtlProgram *p, MtlInstance *in, bool training, MtlError *e)
{
	const MtlOptionValue *seed = mtl_option(&p->o, p->table, "seed");
	int n = 0;
	const char **data = files(p, "data", &n, e);
	MtlStatus st = e->status;
	if (!st && (p->o.command == INIT || p->o.command == IMPORT)) st = mtl_program_apart(p, "out", data, n, e);
	if (!st) st = mtl_instance_init(in, p->sys, p->m, e);
	if (!st && !in->codes.complete) {
		if (!data)
			st = mtl_fail(e, MTL_USAGE, "", NULL,
				      "the model takes statistics from the data: give --data");
		else
			st = mtl_codes_from_data(&in->codes, p->sys, p->m, data, n, e);
	}
	if (!st) st = mtl_instance_memory(in, training, e);
	if (!st) mtl_checkpoint_fresh(in, seed->given ? seed->seed : p->m->train.seed);
	mtl_release(p->sys, data);
	return st;
}

static MtlStatus init(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlStatus st = fresh(p, &in, false, e);
	if (!st && p->o.command == IMPORT)
		st = mtl_import(&in, mtl_program_text(p, "weights"), mtl_program_text(p, "map"), e);
	if (!st) st = mtl_checkpoint_save(&in, mtl_program_text(p, "out"), NULL, NULL, e);
	mtl_instance_free(&in);
	return st;
}

/* A model to try things on: the file given, or fresh parameters. */
static MtlStatus open_or_fresh(const MtlProgram *p, MtlInstance *in, MtlError *e)
{
	const char *path = mtl_program_text(p, "model");
	if (!path) {
		if (fresh(p, in, true, e)) return e->status;
		mtl_instance_pack(in);
		return MTL_OK;
	}
	MtlStore *s = NULL;
	if (mtl_instance_init(in, p->sys, p->m, e) || mtl_store_open(&s, p->sys, path, false, e))
		return e->status;
	MtlStatus st = mtl_instance_load(in, s, path, true, e);
	mtl_store_close(s);
	if (!st) mtl_instance_pack(in);
	return st;
}

/* ---- pack ---- */

static MtlStatus pack_one(const MtlProgram *p, const MtlInstance *in, const char *const *path, int n,
			  const MtlReaderOptions *ro, MtlError *e)
{
	enum { ROWS = 4096 };
	MtlSource source = {0};
	MtlBatch b = {0};
	MtlStatus st = mtl_batch_init(&b, p->sys, p->m, ROWS, e);
	if (!st) st = mtl_source_open(&source, p->sys, p->m, &in->codes, path, n, ro, e);
	bool there = source.pack, kept = there || source.packer;
	while (!st && !there && !(st = mtl_source_next(&source, &b, e)) && b.n && !interrupts)
		;
	if (!st && interrupts) st = mtl_fail(e, MTL_INTERRUPTED, "", NULL, "interrupted");
	if (!st && !kept) st = mtl_fail(e, MTL_SYSTEM, "F0213", ro->cache, "no packed log can be written there");
	if (!st && !there) mtl_say_counts(stderr, mtl_source_counts(&source));
	MtlStatus closed = mtl_source_close(&source, e);
	mtl_batch_free(&b, p->sys, p->m);
	return st ? st : closed;
}

static MtlStatus pack(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlReaderOptions ro;
	int n[2] = {0};
	const char **data = files(p, "data", &n[0], e), **valid = files(p, "valid", &n[1], e);
	MtlStatus st = e->status;
	if (!st) st = reader_options(p, &ro, e);
	listen();
	if (!st && (has_stdin(data, n[0]) || has_stdin(valid, n[1])))
		st = mtl_fail(e, MTL_USAGE, "", NULL, "stdin cannot be packed: it has no digest before it is read");
	if (!st) st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st && !in.codes.complete) st = mtl_source_codes(&in.codes, p->sys, p->m, data, n[0], &ro, e);
	if (!st) st = pack_one(p, &in, data, n[0], &ro, e);
	if (!st && n[1]) st = pack_one(p, &in, valid, n[1], &ro, e);
	mtl_instance_free(&in);
	mtl_release(p->sys, data);
	mtl_release(p->sys, valid);
	return st;
}

static void gradcheck_line(void *self, const MtlGradcheckLine *l)
{
	char shape[96];
	(void)self;
	printf("%-40s %-16s  norm %10.3e  error %8.2e  %s\n", l->tensor.name,
	       mtl_shape_text(&l->tensor, shape), l->size, l->error, l->good ? "good" : "WRONG");
}

static MtlStatus gradcheck(MtlProgram *p, MtlError *e)
{
	enum { CHECK_ROWS = 200 };
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	MtlBatch b = {0};
	MtlStatus st = open_or_fresh(p, &in, e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 0), e);
	if (!st) st = mtl_random_batch(&b, &in, CHECK_ROWS, e);
	if (!st) st = mtl_gradcheck(&in, pool, &b, gradcheck_line, NULL, e);
	if (st == MTL_NO) mtl_fail(e, MTL_NO, "", NULL, "a gradient is wrong");
	mtl_batch_free(&b, p->sys, p->m);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	return st;
}

/* Seconds of a training step: the median of several. */
static MtlStatus step_seconds(MtlStep *s, MtlGroups *g, const MtlBatch *b, double *out, MtlError *e)
{
	enum { RUNS = 15 };
	double run[RUNS];
	for (int r = -2; r < RUNS; r++) {
		double from = mtl_now();
		if (mtl_groups_fill(g, 0, b, e) || mtl_step_gradients(s, b, true, e)) return e->status;
		mtl_step_apply(s, mtl_groups_of(g, 0));
		double took = mtl_now() - from;
		int i = r;
		for (; i > 0 && run[i - 1] > took; i--) run[i] = run[i - 1];
		if (i >= 0) run[i] = took;
	}
	*out = run[RUNS / 2];
	return MTL_OK;
}

static MtlStatus bench_step(MtlInstance *in, MtlThreads *pool, int64_t rows, bool json, bool first,
			    MtlError *e)
{
	MtlStep step = {0};
	MtlGroups groups = {0};
	MtlBatch b = {0};
	double t = 0;
	MtlStatus st = mtl_step_init(&step, in, pool, rows, e);
	if (!st) st = mtl_groups_init(&groups, in->sys, in->m, in->table_rows, 1, rows, e);
	if (!st) st = mtl_random_batch(&b, in, rows, e);
	step.dropout = true;
	if (!st) st = step_seconds(&step, &groups, &b, &t, e);
	if (!st && json)
		printf("%s{\"batch\":%" PRId64 ",\"us\":%.3f,\"rows_per_s\":%.0f}", first ? "" : ",", rows,
		       1e6 * t, (double)rows / t);
	else if (!st)
		printf("train  batch %5" PRId64 "  %10.2f us a step  %12.0f rows/s\n", rows, 1e6 * t,
		       (double)rows / t);
	mtl_batch_free(&b, in->sys, in->m);
	mtl_groups_free(&groups);
	mtl_step_free(&step);
	return st;
}

static MtlStatus bench(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	bool json = mtl_program_has(p, "json");
	const int64_t own = p->m->train.batch, size[] = {64, 1024, own};
	MtlStatus st = open_or_fresh(p, &in, e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 1), e);
	if (!st) st = mtl_bench_scores(&in, pool, json, e);
	if (!st && json) fputs("],\"train\":[", stdout);
	for (int i = 0; !st && i < 3; i++)
		if (i < 2 || (own != size[0] && own != size[1]))
			st = bench_step(&in, pool, size[i], json, i == 0, e);
	if (!st && json) fputs("]}\n", stdout);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	return st;
}

int mtl_prog_main(const MtlModel *m, int argc, char **argv)
{
	MtlProgram p;
	MtlError e = {0};
	int status = 0;
	if (mtl_program_begin(&p, m, &mtl_prog_options, argc, argv, &status)) return status;
	p.interrupted = was_interrupted;
	switch (p.o.command) {
	case TRAIN: train(&p, &e); break;
	case EVAL: eval(&p, &e); break;
	case SCORE:
		if (mtl_program_has(&p, "output"))
			listen(); /* or else nothing is left behind by dying at once */
		mtl_program_score(&p, &e);
		break;
	case GRAD: grad(&p, &e); break;
	case INIT: init(&p, &e); break;
	case IMPORT: init(&p, &e); break;
	case INFO: mtl_program_info(&p, &e); break;
	case GRADCHECK: gradcheck(&p, &e); break;
	case BENCH: bench(&p, &e); break;
	case PACK: pack(&p, &e); break;
	}
	return mtl_program_end(&p, &e);
}
