/*
 * `mtlc compare`: several models, or one with several values of its constants, trained side by side and
 * judged on the same rows.
 *
 * A variant is a file with a value for each swept constant.  Each is trained with the seeds 1 .. n, one
 * process a run and as many at once as there are cores.  Means come with a 95 % interval by Student's t over
 * the seeds; what differs from the first variant is judged pair by pair, seed by seed, because a seed's luck
 * is common to both.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "driver/report.h"
#include "front/parse.h"
#include "runtime/program.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VARIANTS_MAX = 64, SEEDS_MAX = 100, HEADS_MAX = 64 };

/* What is shown of a head, where it has it. */
static const char *const metric[] = {"auc",	    "gauc",	"logloss", "ne",
				     "calibration", "accuracy", "rmse",	   "mae"};
enum { METRICS = sizeof metric / sizeof *metric };

typedef struct {
	const char *file;
	Define define[DEFINES_MAX]; /* of consts */
	int n_define;
	Define option[8]; /* of the program: lr, batch, ... */
	int n_option;
	char label[200], program[4096];
	int64_t sizes[3];
} Variant;

typedef struct {
	pid_t pid; /* 0: not running */
	int code;  /* exit code, -1 before its end */
	double rows, seconds;
} Job;

typedef struct {
	Arena *arena;
	const Request *call;
	Variant *variant;
	int n_variant, n_seed;
	const char *train, *valid;
	char dir[64];
	Job *job; /* [variant][seed] */
	VEC(const char *) head;
	double *value; /* [variant][seed][head][METRICS]; NaN where there is none */
	int64_t rows[HEADS_MAX];
} Comparison;

static const char *const of_program[] = {"lr", "batch", "epochs", "shuffle", "early-stop", "threads"};

/* ---- variants ---- */

/* The values of "a,b,[c,d]": commas within brackets or quotes do not separate. */
static int values(Arena *a, const char *text, const char **out, int most)
{
	int n = 0, depth = 0;
	bool quoted = false;
	const char *from = text;
	for (const char *s = text;; s++) {
		if (*s == '"') quoted = !quoted;
		if (!quoted)
			depth +=
			    (*s == '[' || *s == '(' || *s == '{') - (*s == ']' || *s == ')' || *s == '}');
		if (*s && (*s != ',' || depth || quoted)) continue;
		if (n == most) return n;
		out[n++] = arena_strndup(a, from, (size_t)(s - from));
		from = s + 1;
		if (!*s) return n;
	}
}

static bool has_const(const Ast *t, const char *name)
{
	bool found = t->kind == AST_CONST && !strcmp(t->name, name);
	if (t->kind == AST_FILE || t->kind == AST_USE)
		for (int i = 0; i < t->list.n && !found; i++) found = has_const(t->list.at[i], name);
	return found;
}

static bool is_option(const char *name)
{
	for (size_t i = 0; i < sizeof of_program / sizeof *of_program; i++)
		if (!strcmp(of_program[i], name)) return true;
	return false;
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Adds the variants of one file: the product of the values of what it has.  used[d]: some file has define d.
 */
static bool add_file(Comparison *c, const char *file, bool *used)
{
	Compilation k;
	compilation_init(&k);
	Ast *tree = parse_file(k.arena, k.str, &k.sources, k.diag, file, NULL, NULL);
	say_messages(&k, false);
	bool ok = tree && !diag_errors(k.diag);
	const char *value[DEFINES_MAX][VARIANTS_MAX];
	int n[DEFINES_MAX], of[DEFINES_MAX], total = 1, n_of = 0;
	bool as_const[DEFINES_MAX];
	for (int d = 0; ok && d < c->call->n_define; d++) {
		const Define *def = &c->call->define[d];
		bool in_text = has_const(tree, def->name);
		if (!in_text && !is_option(def->name)) continue;
		used[d] = true;
		as_const[n_of] = in_text;
		n[n_of] = values(c->arena, def->value, value[n_of], VARIANTS_MAX);
		total *= n[n_of];
		of[n_of++] = d;
		if (total > VARIANTS_MAX) break;
	}
	if (ok && c->n_variant + total > VARIANTS_MAX) {
		fprintf(stderr, "mtlc compare: more than %d variants\n", VARIANTS_MAX);
		ok = false;
	}
	for (int v = 0; ok && v < total; v++) {
		Variant *x = &c->variant[c->n_variant++];
		x->file = file;
		const char *base = base_of(file);
		int at = snprintf(x->label, sizeof x->label, "%.*s", (int)strcspn(base, "."), base);
		for (int d = n_of, rest = v; d-- > 0; rest /= n[d]) {
			Define def = {c->call->define[of[d]].name, value[d][rest % n[d]]};
			if (as_const[d])
				x->define[x->n_define++] = def;
			else
				x->option[x->n_option++] = def;
			if (n[d] > 1 && at < (int)sizeof x->label)
				at += snprintf(x->label + at, sizeof x->label - (size_t)at, " %s=%s",
					       def.name, def.value);
		}
	}
	compilation_free(&k);
	return ok;
}

/* ---- runs ---- */

static const char *file_in(const Comparison *c, int job, const char *kind)
{
	return arena_printf(c->arena, "%s/%d.%s", c->dir, job, kind);
}

static pid_t start(Comparison *c, int job)
{
	const Variant *v = &c->variant[job / c->n_seed];
	const char *argv[40];
	int n = 0;
	const char *seed = arena_printf(c->arena, "%d", job % c->n_seed + 1),
		   *model = file_in(c, job, "model"), *log = file_in(c, job, "jsonl"),
		   *said = file_in(c, job, "txt");
	argv[n++] = v->program;
	argv[n++] = "train";
	argv[n++] = "--data";
	argv[n++] = c->train;
	argv[n++] = "--valid";
	argv[n++] = c->valid;
	argv[n++] = "--seed";
	argv[n++] = seed;
	argv[n++] = "--log";
	argv[n++] = log;
	argv[n++] = "--no-state";
	argv[n++] = "--quiet";
	argv[n++] = "--out";
	argv[n++] = model;
	bool threads = false;
	for (int i = 0; i < v->n_option; i++) {
		argv[n++] = arena_printf(c->arena, "--%s", v->option[i].name);
		argv[n++] = v->option[i].value;
		threads |= !strcmp(v->option[i].name, "threads");
	}
	if (!threads) { /* the cores are busy with other runs; results do not depend on it */
		argv[n++] = "--threads";
		argv[n++] = "1";
	}
	argv[n] = NULL;
	fflush(NULL);
	pid_t pid = fork();
	if (pid) return pid;
	int fd = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0) dup2(fd, 1), dup2(fd, 2);
	execv(v->program, (char *const *)(uintptr_t)argv);
	fprintf(stderr, "cannot run %s: %s\n", v->program, strerror(errno));
	_exit(6);
}

static volatile sig_atomic_t stopped;
static void on_signal(int n)
{
	(void)n;
	stopped = 1;
}

/* All jobs, `cores` at once; the first failure stops the rest.  0 or its exit code. */
static int run_all(Comparison *c, int cores)
{
	int n = c->n_variant * c->n_seed, next = 0, running = 0, done = 0, code = 0, bad = -1;
	struct sigaction a = {.sa_handler = on_signal}, old;
	sigaction(SIGINT, &a, &old);
	while (running || (next < n && !code)) {
		while (running < cores && next < n && !code && !stopped) {
			pid_t pid = start(c, next);
			if (pid < 0) {
				fprintf(stderr, "mtlc compare: cannot start a run: %s\n", strerror(errno));
				code = 6;
				break;
			}
			c->job[next++].pid = pid;
			running++;
		}
		if (stopped) code = 130; /* the runs hear the same signal */
		int status;
		pid_t pid = running ? wait(&status) : 0;
		for (int i = 0; pid > 0 && i < n; i++) {
			if (c->job[i].pid != pid) continue;
			c->job[i].pid = 0;
			running--;
			done++;
			if (isatty(2)) fprintf(stderr, "\r%d of %d runs", done, n);
			int ended = WIFEXITED(status) ? WEXITSTATUS(status) : 70;
			if (ended && !code) {
				code = ended;
				bad = i;
				for (int k = 0; k < n; k++)
					if (c->job[k].pid) kill(c->job[k].pid, SIGTERM);
			}
		}
	}
	if (isatty(2)) fputc('\n', stderr);
	sigaction(SIGINT, &old, NULL);
	if (bad >= 0 && code != 130) {
		fprintf(stderr, "mtlc compare: %s, seed %d:\n", c->variant[bad / c->n_seed].label,
			bad % c->n_seed + 1);
		FILE *f = fopen(file_in(c, bad, "txt"), "r");
		char text[1024];
		while (f && fgets(text, sizeof text, f)) fputs(text, stderr);
		if (f) fclose(f);
	}
	return code;
}

/* ---- results ---- */

static double *value_at(const Comparison *c, int variant, int seed, int head, int m)
{
	return &c->value[((variant * c->n_seed + seed) * HEADS_MAX + head) * METRICS + m];
}

static int head_of(Comparison *c, const char *name)
{
	for (int i = 0; i < c->head.n; i++)
		if (!strcmp(c->head.at[i], name)) return i;
	if (c->head.n == HEADS_MAX) return -1;
	vec_push(c->arena, &c->head, arena_strdup(c->arena, name));
	return c->head.n - 1;
}

/* The epoch that was kept: the last one called best in the run's log. */
static bool read_run(Comparison *c, int job)
{
	FILE *f = fopen(file_in(c, job, "jsonl"), "r");
	char *line = NULL;
	size_t cap = 0;
	json_t *kept = NULL;
	while (f && getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *kind = json_string_value(json_object_get(o, "kind"));
		bool epoch = kind && !strcmp(kind, "epoch");
		/* Time and rows are those of the whole run. */
		if (epoch) {
			c->job[job].rows += json_number_value(json_object_get(o, "rows"));
			c->job[job].seconds = json_number_value(json_object_get(o, "seconds"));
		}
		if (epoch && (!kept || json_is_true(json_object_get(o, "best")))) {
			json_decref(kept);
			kept = json_incref(o);
		}
		json_decref(o);
	}
	free(line);
	if (f) fclose(f);
	json_t *heads = json_object_get(json_object_get(kept, "valid"), "heads"), *h;
	const char *name;
	json_object_foreach(heads, name, h)
	{
		int k = head_of(c, name);
		if (k < 0) continue;
		c->rows[k] = json_integer_value(json_object_get(h, "rows"));
		for (int m = 0; m < METRICS; m++) {
			const json_t *x = json_object_get(h, metric[m]);
			if (json_is_number(x))
				*value_at(c, job / c->n_seed, job % c->n_seed, k, m) = json_number_value(x);
		}
	}
	bool ok = heads != NULL;
	json_decref(kept);
	if (!ok)
		fprintf(stderr, "mtlc compare: the run of %s told no metrics\n",
			c->variant[job / c->n_seed].label);
	return ok;
}

/* 97.5 % point of Student's t: tabled to 10 degrees of freedom, then by Cornish and Fisher's expansion (to
 * 0.1 %). */
static double student(int df)
{
	static const double t[] = {0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
	if (df <= 10) return t[df];
	const double z = 1.959964;
	return z + (z * z * z + z) / (4 * df) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96.0 * df * df);
}

typedef struct {
	int n;
	double mean, half; /* half of the interval; NaN with one value */
} Estimate;

/* Over the seeds, of variant a, or where b >= 0 of b - a. */
static Estimate estimate(const Comparison *c, int a, int b, int head, int m)
{
	Estimate e = {.half = NAN};
	double sum = 0, square = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (int s = 0; s < c->n_seed; s++) {
			double x = *value_at(c, a, s, head, m);
			if (b >= 0) x = *value_at(c, b, s, head, m) - x;
			if (isnan(x)) continue;
			if (pass == 0) {
				sum += x;
				e.n++;
			} else {
				square += (x - e.mean) * (x - e.mean);
			}
		}
		if (pass == 0) e.mean = e.n ? sum / e.n : NAN;
	}
	if (e.n > 1) e.half = student(e.n - 1) * sqrt(square / (e.n - 1) / e.n);
	return e;
}

static void cell(const Estimate *e, bool difference, FILE *to)
{
	char text[64] = "";
	if (e->n && isnan(e->half))
		snprintf(text, sizeof text, difference ? "%+.5f" : "%.5f", e->mean);
	else if (e->n)
		snprintf(text, sizeof text, difference ? "%+.5f ± %.5f%s" : "%.5f ± %.5f%s", e->mean, e->half,
			 difference && fabs(e->mean) > e->half ? " *" : "");
	/* "±" is two bytes and one column. */
	fprintf(to, "  %-*s", 22 + (strstr(text, "±") != NULL), text);
}

static const char *thousands(Arena *a, double x)
{
	char s[32], *out = arena_alloc(a, 48), *to = out;
	int len = snprintf(s, sizeof s, "%.0f", x);
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0) *to++ = ',';
		*to++ = s[i];
	}
	return out;
}

static double speed(const Comparison *c, int v)
{
	double rows = 0, seconds = 0;
	for (int s = 0; s < c->n_seed; s++) {
		rows += c->job[v * c->n_seed + s].rows;
		seconds += c->job[v * c->n_seed + s].seconds;
	}
	return seconds > 0 ? rows / seconds : 0;
}

static void say(const Comparison *c, FILE *to)
{
	int width = 10;
	for (int v = 0; v < c->n_variant; v++)
		width = (int)strlen(c->variant[v].label) > width ? (int)strlen(c->variant[v].label) : width;
	fprintf(to, "%-*s %12s %14s %14s %12s\n", width + 4, "", "parameters", "in tables", "multiply-adds",
		"rows/s");
	for (int v = 0; v < c->n_variant; v++) {
		const Variant *x = &c->variant[v];
		fprintf(to, "%2d  %-*s %12s %14s %14s %12s\n", v + 1, width, x->label,
			thousands(c->arena, (double)x->sizes[0]), thousands(c->arena, (double)x->sizes[1]),
			thousands(c->arena, (double)x->sizes[2]), thousands(c->arena, speed(c, v)));
	}
	for (int h = 0; h < c->head.n; h++) {
		fprintf(to, "\n%s, %s rows\n%-*s", c->head.at[h], thousands(c->arena, (double)c->rows[h]),
			width + 4, "");
		bool shown[METRICS] = {0};
		for (int m = 0; m < METRICS; m++) {
			for (int v = 0; v < c->n_variant; v++) shown[m] |= estimate(c, v, -1, h, m).n > 0;
			if (shown[m]) fprintf(to, "  %-22s", metric[m]);
		}
		fputc('\n', to);
		for (int kind = 0; kind < 2; kind++)
			for (int v = kind; v < c->n_variant; v++) {
				bool any = false;
				for (int m = 0; m < METRICS; m++) any |= estimate(c, v, -1, h, m).n > 0;
				if (!any) continue;
				char label[220];
				snprintf(label, sizeof label, kind ? "%d - 1" : "%2d  %s", v + 1,
					 c->variant[v].label);
				fprintf(to, "%-*s", width + 4, label);
				for (int m = 0; m < METRICS; m++) {
					Estimate e =
					    kind ? estimate(c, 0, v, h, m) : estimate(c, v, -1, h, m);
					if (shown[m]) cell(&e, kind, to);
				}
				fputc('\n', to);
			}
	}
	if (c->n_seed > 1)
		fprintf(to,
			"\n± is a 95 %% interval over %d seeds; differences are seed by seed, * where the "
			"interval leaves out 0\n",
			c->n_seed);
	else
		fprintf(to, "\none seed: --seeds 3 or more tell luck from merit\n");
}

static void json(const Comparison *c, FILE *to)
{
	fprintf(to, "{\"seeds\":%d,\"variants\":[", c->n_seed);
	for (int v = 0; v < c->n_variant; v++) {
		const Variant *x = &c->variant[v];
		fprintf(to, "%s{\"name\":", v ? "," : "");
		mtl_json_text(to, x->label);
		fputs(",\"file\":", to);
		mtl_json_text(to, x->file);
		fprintf(to,
			",\"parameters\":%lld,\"in_tables\":%lld,\"multiply_adds\":%lld,\"rows_per_second\":",
			(long long)x->sizes[0], (long long)x->sizes[1], (long long)x->sizes[2]);
		mtl_json_number(to, speed(c, v));
		fputs(",\"heads\":{", to);
		for (int h = 0, n = 0; h < c->head.n; h++) {
			bool any = false;
			for (int m = 0; m < METRICS; m++) any |= estimate(c, v, -1, h, m).n > 0;
			if (!any) continue;
			fputs(n++ ? "," : "", to);
			mtl_json_text(to, c->head.at[h]);
			fprintf(to, ":{\"rows\":%lld", (long long)c->rows[h]);
			for (int m = 0; m < METRICS; m++) {
				Estimate e = estimate(c, v, -1, h, m), d = estimate(c, 0, v, h, m);
				if (!e.n) continue;
				fprintf(to, ",\"%s\":{\"values\":[", metric[m]);
				for (int s = 0; s < c->n_seed; s++) {
					fputs(s ? "," : "", to);
					mtl_json_number(to, *value_at(c, v, s, h, m));
				}
				fputs("],\"mean\":", to);
				mtl_json_number(to, e.mean);
				fputs(",\"interval\":", to);
				mtl_json_number(to, e.half);
				fputs(",\"difference\":", to);
				mtl_json_number(to, d.n ? d.mean : NAN);
				fputs(",\"difference_interval\":", to);
				mtl_json_number(to, d.half);
				fputc('}', to);
			}
			fputc('}', to);
		}
		fputs("}}", to);
	}
	fputs("]}\n", to);
}

static void remove_folder(const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.') unlinkat(dirfd(d), e->d_name, 0);
	if (d) closedir(d);
	rmdir(dir);
}

/* Programs into the cache, each once. */
static int build_all(Comparison *c)
{
	for (int v = 0; v < c->n_variant; v++) {
		Variant *x = &c->variant[v];
		Request r = {.operand = x->file, .n_define = x->n_define, .o.command = -1};
		memcpy(r.define, x->define, sizeof r.define);
		/* Messages of a text with the same values were said already. */
		int code = cached_program(&r, x->program, sizeof x->program, x->sizes);
		if (code) return code;
	}
	return 0;
}

static int compare(Comparison *c)
{
	const Request *call = c->call;
	bool used[DEFINES_MAX] = {0};
	for (int i = 0; i < call->o.n_operand; i++)
		if (!add_file(c, call->o.operands[i], used)) return 3;
	for (int d = 0; d < call->n_define; d++)
		if (!used[d]) {
			fprintf(
			    stderr,
			    "mtlc compare: -D %s: no model has such a const, and training no such setting\n",
			    call->define[d].name);
			return 2;
		}
	int code = build_all(c);
	if (code) return code;
	snprintf(c->dir, sizeof c->dir, "/tmp/mtlc-compare-XXXXXX");
	if (!mkdtemp(c->dir)) {
		fprintf(stderr, "mtlc compare: cannot make a folder in /tmp: %s\n", strerror(errno));
		return 6;
	}
	int n = c->n_variant * c->n_seed;
	c->job = arena_new(c->arena, Job, n);
	c->value = arena_new(c->arena, double, n *HEADS_MAX *METRICS);
	for (int i = 0; i < n * HEADS_MAX * METRICS; i++) c->value[i] = NAN;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	const MtlOptionValue *jobs = mtl_option(&call->o, call->table, "jobs");
	if (jobs->given && jobs->count > 0) cores = jobs->count;
	fprintf(stderr, "mtlc compare: %d variants, %d seeds: %d runs, %ld at once\n", c->n_variant,
		c->n_seed, n, cores < n ? cores : (long)n);
	code = run_all(c, (int)(cores < 1 ? 1 : cores));
	for (int i = 0; i < n && !code; i++)
		if (!read_run(c, i)) code = 70;
	if (!code) (mtl_option(&call->o, call->table, "json")->given ? json : say)(c, stdout);
	remove_folder(c->dir);
	return code;
}

int command_compare(const Request *call)
{
	Comparison c = {.arena = arena_create(),
			.call = call,
			.n_seed = 3,
			.train = mtl_option(&call->o, call->table, "train")->text,
			.valid = mtl_option(&call->o, call->table, "valid")->text};
	const MtlOptionValue *seeds = mtl_option(&call->o, call->table, "seeds");
	if (seeds->given) c.n_seed = (int)(seeds->count < SEEDS_MAX ? seeds->count : SEEDS_MAX);
	c.variant = arena_new(c.arena, Variant, VARIANTS_MAX);
	int code = 2;
	if (c.n_seed < 1)
		fprintf(stderr, "mtlc compare: --seeds is 1 or more\n");
	else
		code = compare(&c);
	arena_destroy(c.arena);
	return code;
}
