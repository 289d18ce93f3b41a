/*
 * What reduced precision costs, measured before a scorer of it is made: the model's program in single and in
 * the asked precision evaluates and scores a sample of the log.  The first run also finds the ranges of the
 * layers' inputs, which bytes are made for.
 */
#define _GNU_SOURCE
#include "driver/calibrate.h"
#include "driver/say.h"
#include "ir/op.h"
#include "pass/walk.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEAST_ROWS = 1000, OUTPUTS = 64 };
static const double KEPT = 0.9999; /* share of rows whose largest numbers a range holds */

typedef struct {
	const CompileRequest *asked;
	const Calibrate *k;
	char dir[128];
	Range *range;	      /* by parameter */
	int n_output;	      /* of the author */
	int n_layer, n_table; /* of reduced precision */
	char output[OUTPUTS][64];
	int64_t rows;
	double mean[OUTPUTS], most[OUTPUTS]; /* changes of scores */
} Trial;

static char *in_dir(const Trial *t, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", t->dir, name);
	return path;
}

/* ---- programs ---- */

static int layers(const Spec *s)
{
	int n = 0;
	for (NodeId id = 1; id < s->g->node.n; id++)
		n += s->g->node.at[id].op == OP_DENSE && s->g->node.at[id].attr.i;
	return n;
}

static int tables(const Spec *s)
{
	int n = 0;
	for (int i = 0; i < s->table.n; i++) n += s->table.at[i].precision != PRECISION_F32;
	return n;
}

/* The model's program for this machine, in single precision with the ranges as outputs or in the asked one.
 */
static int build(Trial *t, bool narrow, const char *path)
{
	CompileRequest r = *t->asked;
	LinkRequest l = {.out = path, .emit = "exe", .level = -1};
	Compilation c;
	Text error = {0};
	r.scorer = false;
	r.ranges = !narrow;
	r.range = t->range;
	if (!narrow) r.precision = PRECISION_F32;
	r.n_target = 0;
	for (int i = 0; i < n_targets && !r.n_target; i++)
		if (target_runs(&targets[i]) && (!targets[i].dot4 || r.precision == PRECISION_INT8))
			r.target[r.n_target++] = &targets[i];
	compilation_init(&c);
	int code = compile(&c, &r) ? link_program(&c, &r, &l, &error) : 3;
	if (code == 3) say_messages(&c, false);
	if (error.at) say_error("%s", error.at);
	if (!code && narrow) {
		t->n_layer = layers(c.spec);
		t->n_table = tables(c.spec);
	}
	if (!code && !narrow) {
		t->range = calloc((size_t)c.spec->param.n + 1, sizeof *t->range);
		for (int i = 0; i < c.spec->output.n && t->n_output < OUTPUTS; i++)
			if (strncmp(c.spec->output.at[i].name, "range.", 6))
				snprintf(t->output[t->n_output++], sizeof *t->output, "%s",
					 c.spec->output.at[i].name);
		if (!t->range) code = 8;
	}
	text_free(&error);
	compilation_free(&c);
	return code;
}

/* Runs PROGRAM and keeps what it prints; what it says on stderr is passed on if it fails. */
static int run(const Trial *t, const char *const *argv, const char *out)
{
	char said[256], line[1024];
	in_dir(t, "said", said);
	fflush(NULL);
	pid_t pid = fork();
	if (!pid) {
		if (!freopen(out, "w", stdout) || !freopen(said, "w", stderr)) _exit(6);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(6);
	}
	int status = -1;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	int code = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 6;
	FILE *f = code ? fopen(said, "r") : NULL;
	while (f && fgets(line, sizeof line, f)) fputs(line, stderr);
	if (f) fclose(f);
	if (code) say_error("--calibrate %s: the model's program fails on it", t->k->log);
	return code;
}

static int evaluate(const Trial *t, const char *program, const char *metrics, const char *scores)
{
	const char *eval[] = {program, "eval", "--data", t->k->log, "--model", t->k->model, "--json", NULL};
	const char *score[] = {program, "score", t->k->log, "--model", t->k->model, "--format", "csv", NULL};
	int code = run(t, eval, metrics);
	return code ? code : run(t, score, scores);
}

/* ---- scores ---- */

typedef struct {
	FILE *f;
	char *line;
	size_t cap;
	int n; /* columns */
} Scores;

static bool next_row(Scores *t, double *x)
{
	if (!t->f || getline(&t->line, &t->cap, t->f) <= 0) return false;
	char *at = t->line;
	for (int i = 0; i < t->n; i++) {
		x[i] = strtod(at, &at);
		if (*at == ',') at++;
	}
	return true;
}

static bool open_table(Scores *t, const char *path)
{
	*t = (Scores){.f = fopen(path, "r")};
	if (!t->f || getline(&t->line, &t->cap, t->f) <= 0) return false;
	t->n = 1;
	for (const char *c = t->line; *c; c++) t->n += *c == ',';
	return true;
}

static void close_table(Scores *t)
{
	if (t->f) fclose(t->f);
	free(t->line);
}

static int rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Range columns stand behind the outputs: "range.PARAM.least", "range.PARAM.most", all rows' largest. */
static int find_ranges(Trial *t, const char *path)
{
	Scores in;
	bool ok = open_table(&in, path);
	int n = in.n - t->n_output, *column = calloc((size_t)(n > 0 ? n : 1), sizeof *column);
	double *x = calloc((size_t)in.n + 1, sizeof *x), **all = calloc((size_t)(n > 0 ? n : 1), sizeof *all);
	int64_t room = 0;
	char *save, *name = ok ? strtok_r(in.line, ",\r\n", &save) : NULL;
	for (int i = 0; name; name = strtok_r(NULL, ",\r\n", &save), i++) {
		if (i < t->n_output) continue;
		const char *dot = strrchr(name, '.');
		column[i - t->n_output] = 2 * atoi(name + 6) + (dot && !strcmp(dot, ".most"));
	}
	while (ok && next_row(&in, x)) {
		if (t->rows == room) room = room ? 2 * room : 4096;
		for (int i = 0; i < n && ok; i++) {
			double *more = realloc(all[i], (size_t)room * sizeof *more);
			ok = more;
			if (more) all[i] = more, more[t->rows] = x[t->n_output + i];
		}
		t->rows++;
	}
	for (int i = 0; i < n && t->rows; i++) {
		qsort(all[i], (size_t)t->rows, sizeof **all, rising);
		double most = all[i][(int64_t)(KEPT * (double)(t->rows - 1) + 0.5)];
		Range *r = &t->range[column[i] / 2];
		*(column[i] % 2 ? &r->hi : &r->lo) = column[i] % 2 ? most : -most;
	}
	for (int i = 0; i < n; i++) free(all[i]);
	free(all);
	free(column);
	free(x);
	close_table(&in);
	return ok ? 0 : 6;
}

static void score_changes(Trial *t, const char *before, const char *after)
{
	Scores a, b;
	bool ok = open_table(&a, before) & open_table(&b, after);
	double *x = calloc((size_t)a.n + 1, sizeof *x), *y = calloc((size_t)b.n + 1, sizeof *y);
	int64_t rows = 0;
	for (; ok && next_row(&a, x) && next_row(&b, y); rows++)
		for (int i = 0; i < t->n_output; i++) {
			double d = fabs(x[i] - y[i]);
			t->mean[i] += d;
			t->most[i] = fmax(t->most[i], d);
		}
	for (int i = 0; i < t->n_output && rows; i++) t->mean[i] /= (double)rows;
	free(x);
	free(y);
	close_table(&a);
	close_table(&b);
}

/* ---- the verdict ---- */

static double of(json_t *head, const char *metric)
{
	json_t *v = json_object_get(head, metric);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* The largest loss of AUC among the heads; NaN: none has one. */
static double heads(json_t *before, json_t *after)
{
	double worst = NAN;
	const char *name;
	json_t *a;
	fprintf(stderr, "  %-28s %9s %9s %10s %12s %10s\n", "head", "rows", "AUC", "change", "calibration",
		"change");
	json_object_foreach(json_object_get(before, "heads"), name, a)
	{
		json_t *b = json_object_get(json_object_get(after, "heads"), name);
		double auc = of(a, "auc"), d = of(b, "auc") - auc, cal = of(a, "calibration");
		if (isnan(auc)) continue;
		fprintf(stderr, "  %-28s %9.0f %9.6f %+10.6f %12.5f %+10.5f\n", name, of(a, "rows"), auc, d,
			cal, of(b, "calibration") - cal);
		if (isnan(worst) || -d > worst || isnan(d)) worst = -d;
	}
	return worst;
}

static int verdict(const Trial *t, const char *before, const char *after)
{
	json_t *a = json_load_file(before, 0, NULL), *b = json_load_file(after, 0, NULL);
	fprintf(stderr, "%s against single precision, %lld rows of %s, %d layers and %d tables:\n",
		precision_word[t->asked->precision], (long long)t->rows, t->k->log, t->n_layer, t->n_table);
	double worst = heads(a, b);
	for (int i = 0; i < t->n_output; i++)
		fprintf(stderr, "  %-28s scores change by %.2g on average, %.2g at most\n", t->output[i],
			t->mean[i], t->most[i]);
	json_decref(a);
	json_decref(b);
	if (isnan(worst))
		say_error(
		    "--calibrate %s: no head has an AUC there (it needs labels, and both kinds of them), so "
		    "that the loss is unknown",
		    t->k->log);
	else if (worst > t->k->max_auc_loss)
		say_error(
		    "refused: an AUC falls by %.6f, more than --max-auc-loss %g; scores are more exact with "
		    "%s",
		    worst, t->k->max_auc_loss,
		    t->asked->precision == PRECISION_INT8 ? "--precision=bf16" : "--precision=single");
	return isnan(worst) || worst > t->k->max_auc_loss ? 5 : 0;
}

static int trial(Trial *t)
{
	char single[256], narrow[256], m[2][256], s[2][256];
	in_dir(t, "single", single);
	in_dir(t, "narrow", narrow);
	for (int i = 0; i < 2; i++) {
		in_dir(t, i ? "after.json" : "before.json", m[i]);
		in_dir(t, i ? "after.csv" : "before.csv", s[i]);
	}
	int code = build(t, false, single);
	if (!code) code = evaluate(t, single, m[0], s[0]);
	if (!code) code = find_ranges(t, s[0]);
	if (!code && t->rows < LEAST_ROWS) {
		say_error("--calibrate %s: %lld rows are too small a sample: at least %d", t->k->log,
			  (long long)t->rows, LEAST_ROWS);
		code = 5;
	}
	if (!code) code = build(t, true, narrow);
	if (!code && !t->n_layer && !t->n_table) {
		say_error("no layer or table of this model is of a size that gains by --precision=%s",
			  precision_word[t->asked->precision]);
		code = 5;
	}
	if (!code) code = evaluate(t, narrow, m[1], s[1]);
	if (code) return code;
	score_changes(t, s[0], s[1]);
	return verdict(t, m[0], m[1]);
}

int calibrate(const CompileRequest *asked, const Calibrate *k, Range **range)
{
	static const char *const made[] = {"single",	 "narrow",    "before.json", "after.json",
					   "before.csv", "after.csv", "said"};
	const char *tmp = getenv("TMPDIR");
	Trial t = {.asked = asked, .k = k};
	char path[256];
	*range = NULL;
	snprintf(t.dir, sizeof t.dir, "%.100s/mtlc-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(t.dir)) {
		say_error("cannot make a folder for temporary files, %s: %s", t.dir, strerror(errno));
		return 6;
	}
	int code = trial(&t);
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) unlink(in_dir(&t, made[i], path));
	rmdir(t.dir);
	if (code)
		free(t.range);
	else
		*range = t.range;
	return code;
}

void report_precision(const Spec *s, FILE *to)
{
	const int *walk = walk_of(s->g);
	fprintf(to, "precision of tables\n");
	for (int i = 0; i < s->table.n; i++) {
		const Table *t = &s->table.at[i];
		if (!t->serving) continue;
		fprintf(to, "  %-8s %-36s %d bytes a row", precision_word[t->precision], t->name,
			4 * t->stride);
		if (!t->precision) fprintf(to, "  (few numbers a row)");
		fputc('\n', to);
	}
	fprintf(to, "precision of dense layers\n");
	for (NodeId id = 1; id < s->g->node.n; id++) {
		const Node *n = &s->g->node.at[id];
		if (n->op != OP_DENSE) continue;
		const Node *w = &s->g->node.at[n->in[1]];
		const char *why = precision_refuses(s->g, id, walk);
		fprintf(to, "  %-8s %-36s %d -> %d", precision_word[n->attr.i],
			w->op == OP_PARAM ? s->param.at[w->attr.i].name : "(computed)", w->shape.d[0],
			w->shape.d[1]);
		if (why) fprintf(to, "  (%s)", why);
		if (n->attr.i == PRECISION_INT8)
			fprintf(to, "  input %.4g .. %.4g", -n->attr.k * n->attr.k2,
				n->attr.k * (255 - n->attr.k2));
		fputc('\n', to);
	}
}
