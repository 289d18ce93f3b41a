/*
 * `mtlc compare`: several models, or one with several values of its constants, trained side by side and
 * judged on the same rows.
 *
 * A variant is a file with a value for each swept constant.  Each is trained with the seeds 1 .. n, one
 * process a run and as many at once as there are cores.  Means come with a 95 % interval by Student's t over
 * the seeds; what differs from the first variant is judged pair by pair, seed by seed, because a seed's luck
 * is common to both.
 *
 * With --single each task of a variant is trained by itself too, with the same text but that one loss, and
 * judged against the variant it is from.  With --keep what a run made stays in a folder: what is done is not
 * done again, what was interrupted goes on where it stood.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "driver/report.h"
#include "front/parse.h"
#include "pass/pass.h"
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { VARIANTS_MAX = 64, SEEDS_MAX = 100, HEADS_MAX = 64 };

/* What is shown of a head, where it has it. */
static const char *const metric[] = {"auc",	    "gauc",	"ndcg", "logloss", "ne",
				     "calibration", "accuracy", "rmse", "mae"};
enum { METRICS = sizeof metric / sizeof *metric };

typedef struct {
	const char *file;
	Define define[DEFINES_MAX]; /* of consts */
	int n_define;
	Define option[8]; /* of the program: lr, batch, ... */
	int n_option;
	const char *only_loss, *own; /* --single: the loss that is kept, and what it is of */
	int base;		     /* the variant it is compared with: 0, or the one it is a task of */
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
	const char *keep; /* folder of --keep, or NULL */
	char dir[4096];
	Job *job; /* [variant][seed] */
	VEC(const char *) head;
	double *value; /* [variant][seed][head][METRICS]; NaN where there is none */
	int64_t rows[HEADS_MAX];
} Comparison;

/* Larger is better of these; of the rest smaller, and calibration wants to be 1. */
static bool larger(int m) { return m == 0 || m == 1 || m == 5; }

static const char *const of_program[] = {"lr", "batch", "epochs", "shuffle", "early-stop", "threads"};

/* ---- variants ---- */

/* A later -D of the same name holds, as everywhere. */
static bool given_again(const Request *call, int d)
{
	for (int i = d + 1; i < call->n_define; i++)
		if (!strcmp(call->define[i].name, call->define[d].name)) return true;
	return false;
}

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
	const char *value[DEFINES_MAX][VARIANTS_MAX + 1]; /* one too many is found out */
	int n[DEFINES_MAX], of[DEFINES_MAX], total = 1, n_of = 0;
	bool as_const[DEFINES_MAX];
	for (int d = 0; ok && d < c->call->n_define; d++) {
		const Define *def = &c->call->define[d];
		bool in_text = has_const(tree, def->name);
		if (!in_text && !is_option(def->name)) continue;
		used[d] = true;
		if (given_again(c->call, d)) continue;
		as_const[n_of] = in_text;
		n[n_of] = values(c->arena, def->value, value[n_of], VARIANTS_MAX + 1);
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

/* Each task of the variants there are by itself. */
static bool add_singles(Comparison *c)
{
	int n = c->n_variant;
	for (int v = 0; v < n; v++) {
		const Variant *x = &c->variant[v];
		Compilation k;
		compilation_init(&k);
		bool ok = compile_front(
		    &k, &(CompileRequest){.path = x->file, .defines = {x->n_define, x->define}});
		if (!ok) say_messages(&k, false);
		if (ok) pass_share(k.spec);
		for (int l = 0; ok && k.spec->loss.n > 1 && l < k.spec->loss.n; l++) {
			int own = loss_watch(k.spec, l);
			if (own < 0) continue; /* ties two tasks together: there is no such task */
			if (c->n_variant == VARIANTS_MAX) {
				fprintf(stderr, "mtlc compare: more than %d variants\n", VARIANTS_MAX);
				ok = false;
				break;
			}
			Variant *y = &c->variant[c->n_variant++];
			*y = *x;
			y->base = v;
			y->only_loss = arena_strdup(c->arena, k.spec->loss.at[l].name);
			y->own = arena_strdup(c->arena, k.spec->watch.at[own].name);
			snprintf(y->label, sizeof y->label, "%.120s, %.60s alone", x->label, y->only_loss);
		}
		compilation_free(&k);
		if (!ok) return false;
	}
	if (c->n_variant == n) fprintf(stderr, "mtlc compare: --single: no model here has two tasks\n");
	return true;
}

/* ---- runs ---- */

/* What tells a run from others: its program, which is named by what it was made of, settings, seed and data.
 */
static uint64_t run_key(const Comparison *c, int job)
{
	const Variant *v = &c->variant[job / c->n_seed];
	Text t = {0};
	text_printf(&t, "%s %d", base_of(v->program), job % c->n_seed + 1);
	for (int i = 0; i < v->n_option; i++)
		text_printf(&t, " %s=%s", v->option[i].name, v->option[i].value);
	const char *const lists[] = {c->train, c->valid};
	for (int k = 0; k < 2; k++) {
		char list[8192];
		snprintf(list, sizeof list, "%s", lists[k]);
		for (char *save, *f = strtok_r(list, ",", &save); f; f = strtok_r(NULL, ",", &save)) {
			struct stat st = {0};
			stat(f, &st);
			text_printf(&t, " %s %lld %lld.%ld", f, (long long)st.st_size,
				    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		}
	}
	uint64_t key = XXH3_64bits(t.at, t.n);
	text_free(&t);
	return key;
}

static const char *file_in(const Comparison *c, int job, const char *kind)
{
	if (c->keep)
		return arena_printf(c->arena, "%s/%016llx.%s", c->dir, (unsigned long long)run_key(c, job),
				    kind);
	return arena_printf(c->arena, "%s/%d.%s", c->dir, job, kind);
}

/* --keep: this run was done before. */
static bool was_done(const Comparison *c, int job)
{
	return c->keep && !access(file_in(c, job, "done"), F_OK);
}

static volatile sig_atomic_t stopped;
static void on_signal(int n)
{
	(void)n;
	stopped = 1;
}

/* Runs a program with what it says in a file; 0: it could not be started. */
static pid_t launch(const char *const *argv, const char *said)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid) return pid;
	int fd = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0) dup2(fd, 1), dup2(fd, 2);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(6);
}

/*
 * Logs are encoded once, before the runs: once for all variants that read them in the same way.  A pack is a
 * help; where one cannot be made, the runs read the logs and say what is wrong with them.
 */
static void pack(const Comparison *c, const char *program)
{
	const char *argv[] = {program,	"pack",	   "--data", c->train, "--valid",
			      c->valid, "--cache", c->dir,   NULL};
	pid_t pid = launch(argv, arena_printf(c->arena, "%s/pack.txt", c->dir));
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR && !stopped)
		;
}

static void pack_all(const Comparison *c)
{
	for (int v = 0; v < c->n_variant && !stopped; v++) {
		bool before = false;
		for (int u = 0; u < v; u++) before |= !strcmp(c->variant[u].program, c->variant[v].program);
		if (!before) pack(c, c->variant[v].program);
	}
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
	/* With --keep the file can be gone on with: there is one once the first epoch was saved. */
	if (!c->keep) argv[n++] = "--no-state";
	if (c->keep && !access(model, F_OK)) {
		argv[n++] = "--resume";
		argv[n++] = model;
	}
	argv[n++] = "--cache";
	argv[n++] = c->dir;
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
	return launch(argv, said);
}

/* All jobs, `cores` at once; the first failure stops the rest.  0 or its exit code. */
static int run_all(Comparison *c, int cores)
{
	int n = c->n_variant * c->n_seed, next = 0, running = 0, done = 0, code = 0, bad = -1;
	struct sigaction a = {.sa_handler = on_signal}, old, old_term;
	sigaction(SIGINT, &a, &old);
	sigaction(SIGTERM, &a, &old_term);
	pack_all(c);
	while (running || (next < n && !code)) {
		while (running < cores && next < n && !code && !stopped) {
			if (was_done(c, next)) {
				next++;
				done++;
				continue;
			}
			pid_t pid = start(c, next);
			if (pid < 0) {
				fprintf(stderr, "mtlc compare: cannot start a run: %s\n", strerror(errno));
				code = 6;
				break;
			}
			c->job[next++].pid = pid;
			running++;
		}
		/* The runs of a terminal hear the same signal; another's are told.  They save and end. */
		for (int k = 0; stopped && !code && k < n; k++)
			if (c->job[k].pid) kill(c->job[k].pid, SIGTERM);
		if (stopped) code = 130;
		int status;
		pid_t pid = running ? wait(&status) : 0;
		for (int i = 0; pid > 0 && i < n; i++) {
			if (c->job[i].pid != pid) continue;
			c->job[i].pid = 0;
			running--;
			done++;
			if (isatty(2)) fprintf(stderr, "\r%d of %d runs", done, n);
			int ended = WIFEXITED(status) ? WEXITSTATUS(status) : 70;
			if (!ended && c->keep) {
				FILE *f = fopen(file_in(c, i, "done"), "we");
				if (f) fclose(f);
			}
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
	sigaction(SIGTERM, &old_term, NULL);
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
	double before = 0;
	while (f && getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *kind = json_string_value(json_object_get(o, "kind"));
		bool epoch = kind && !strcmp(kind, "epoch");
		/* Time and rows are those of the whole run; the clock begins anew where one was resumed. */
		if (kind && !strcmp(kind, "run")) before = c->job[job].seconds;
		if (epoch) {
			c->job[job].rows += json_number_value(json_object_get(o, "rows"));
			c->job[job].seconds = before + json_number_value(json_object_get(o, "seconds"));
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

/* A task by itself is judged by its own head alone: the others were not trained. */
static bool judged_by(const Comparison *c, int v, int head)
{
	return !c->variant[v].own || !strcmp(c->variant[v].own, c->head.at[head]);
}

/* Over the seeds, of variant a, or where b >= 0 of b - a. */
static Estimate estimate(const Comparison *c, int a, int b, int head, int m)
{
	Estimate e = {.half = NAN, .mean = NAN};
	if (!judged_by(c, a, head) || (b >= 0 && !judged_by(c, b, head))) return e;
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

/* The metric a head is ranked by: AUC, accuracy or RMSE; -1: none of them was told. */
static int rank_of(const Comparison *c, int head)
{
	static const int by[] = {0, 5, 6};
	for (size_t i = 0; i < sizeof by / sizeof *by; i++)
		for (int v = 0; v < c->n_variant; v++)
			if (estimate(c, v, -1, head, by[i]).n) return by[i];
	return -1;
}

/* How much better b is than a at a head; positive is better whatever the metric. */
static Estimate gain(const Comparison *c, int a, int b, int head)
{
	int m = rank_of(c, head);
	Estimate e = m < 0 ? (Estimate){.mean = NAN, .half = NAN} : estimate(c, a, b, head, m);
	if (m >= 0 && !larger(m)) e.mean = -e.mean;
	return e;
}

/* A whole model that is nowhere worse than v and somewhere better, by the means; -1. */
static int better_everywhere(const Comparison *c, int v)
{
	for (int u = 0; u < c->n_variant; u++) {
		bool never_worse = u != v && !c->variant[u].own, better = false;
		int shared = 0;
		for (int h = 0; never_worse && h < c->head.n; h++) {
			Estimate e = gain(c, v, u, h);
			if (!e.n) continue;
			shared++;
			never_worse = e.mean >= 0;
			better |= e.mean > 0;
		}
		if (never_worse && better && shared) return u;
	}
	return -1;
}

/* Who is best at each head, and which whole models are not beaten by another everywhere. */
static void winners(const Comparison *c, FILE *to)
{
	int whole = 0;
	for (int v = 0; v < c->n_variant; v++) whole += !c->variant[v].own;
	if (whole < 2) return;
	fprintf(to, "\nbest at\n");
	for (int h = 0; h < c->head.n; h++) {
		int best = -1, m = rank_of(c, h);
		if (m < 0) continue;
		for (int v = 0; v < c->n_variant; v++)
			if (!c->variant[v].own && estimate(c, v, -1, h, m).n &&
			    (best < 0 || gain(c, best, v, h).mean > 0))
				best = v;
		if (best < 0) continue;
		fprintf(to, "  %-24s %-8s %2d  %s", c->head.at[h], metric[m], best + 1,
			c->variant[best].label);
		int level = 0; /* whole models whose difference may be luck */
		for (int v = 0; v < c->n_variant; v++) {
			if (v == best || c->variant[v].own) continue;
			Estimate e = gain(c, v, best, h);
			if (!e.n || (e.mean > e.half)) continue;
			fprintf(to, "%s%d", level++ ? ", " : "; not told apart from ", v + 1);
		}
		fputc('\n', to);
	}
	fprintf(to, "\nnot beaten everywhere at once:");
	int front = 0;
	for (int v = 0; v < c->n_variant; v++)
		if (!c->variant[v].own && better_everywhere(c, v) < 0)
			fprintf(to, "%s %d", front++ ? "," : "", v + 1);
	fprintf(to, front > 1 ? " (by the means, each of these is better at something)\n" : "\n");
}

/* Do the tasks hurt each other?  Each by itself against the model it is from. */
static void alone(const Comparison *c, FILE *to)
{
	bool begun = false;
	for (int v = 0; v < c->n_variant; v++) {
		const Variant *x = &c->variant[v];
		for (int h = 0; x->own && h < c->head.n; h++) {
			if (strcmp(c->head.at[h], x->own)) continue;
			Estimate e = gain(c, v, x->base, h);
			if (!e.n) continue;
			if (!begun) fprintf(to, "\ntogether against alone\n");
			begun = true;
			bool sure = fabs(e.mean) > e.half;
			fprintf(to, "  %-24s %-8s together %s %+.5f", x->own, metric[rank_of(c, h)],
				!sure	     ? "not told apart from alone:"
				: e.mean > 0 ? "is better by"
					     : "is worse by",
				e.mean);
			if (!isnan(e.half)) fprintf(to, " ± %.5f", e.half);
			fprintf(to, "  (%s)\n", x->label);
		}
	}
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
				if (kind)
					snprintf(label, sizeof label, "%d - %d", v + 1,
						 c->variant[v].base + 1);
				else
					snprintf(label, sizeof label, "%2d  %s", v + 1, c->variant[v].label);
				fprintf(to, "%-*s", width + 4, label);
				for (int m = 0; m < METRICS; m++) {
					Estimate e = kind ? estimate(c, c->variant[v].base, v, h, m)
							  : estimate(c, v, -1, h, m);
					if (shown[m]) cell(&e, kind, to);
				}
				fputc('\n', to);
			}
	}
	winners(c, to);
	alone(c, to);
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
		if (x->own) {
			fputs(",\"alone\":", to);
			mtl_json_text(to, x->own);
		} else {
			fprintf(to, ",\"beaten\":%s", better_everywhere(c, v) < 0 ? "false" : "true");
		}
		fprintf(to, ",\"against\":%d", x->base);
		fputs(",\"heads\":{", to);
		for (int h = 0, n = 0; h < c->head.n; h++) {
			bool any = false;
			for (int m = 0; m < METRICS; m++) any |= estimate(c, v, -1, h, m).n > 0;
			if (!any) continue;
			fputs(n++ ? "," : "", to);
			mtl_json_text(to, c->head.at[h]);
			fprintf(to, ":{\"rows\":%lld", (long long)c->rows[h]);
			for (int m = 0; m < METRICS; m++) {
				Estimate e = estimate(c, v, -1, h, m), d = estimate(c, x->base, v, h, m);
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
		Request r = {
		    .operand = x->file, .n_define = x->n_define, .only_loss = x->only_loss, .o.command = -1};
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
	if (mtl_option(&call->o, call->table, "single")->given && !add_singles(c)) return 3;
	int code = build_all(c);
	if (code) return code;
	c->keep = mtl_option(&call->o, call->table, "keep")->text;
	snprintf(c->dir, sizeof c->dir, "%s", c->keep ? c->keep : "/tmp/mtlc-compare-XXXXXX");
	if (c->keep && mkdir(c->keep, 0777) && errno != EEXIST) {
		fprintf(stderr, "mtlc compare: cannot make the folder %s: %s\n", c->keep, strerror(errno));
		return 6;
	}
	if (!c->keep && !mkdtemp(c->dir)) {
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
	if (!c->keep) remove_folder(c->dir);
	if (c->keep && code == 130)
		fprintf(stderr, "mtlc compare: interrupted; the same command goes on where it stood\n");
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
