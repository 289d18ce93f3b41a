/*
 * The runs of a comparison: one process each, as many at once as there are cores, and what their logs say.
 */
#define _GNU_SOURCE
#include "driver/children.h"
#include "driver/compare.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* What tells a run from others: its program, which is named by what it was made of, settings, seed and data.
 */
static uint64_t run_key(const Comparison *c, int job)
{
	const Variant *v = &c->variant[job / c->n_seed];
	Text t = {0};
	text_printf(&t, "%s %d", file_name(v->program), job % c->n_seed + 1);
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

/*
 * Logs are encoded once, before the runs: once for all variants that read them in the same way.  A pack is a
 * help; where one cannot be made, the runs read the logs and say what is wrong with them.
 */
static int pack(const Comparison *c, const Children *ch, const char *program)
{
	const char *argv[] = {program,	"pack",	   "--data", c->train, "--valid",
			      c->valid, "--cache", c->dir,   NULL};
	pid_t pid = child_start(ch, argv, arena_printf(c->arena, "%s/pack.txt", c->dir));
	return pid > 0 && child_await(ch, pid) == 130 ? 130 : 0;
}

static int pack_all(const Comparison *c, const Children *ch)
{
	int code = 0;
	for (int v = 0; v < c->n_variant && !code; v++) {
		bool before = false;
		for (int u = 0; u < v; u++) before |= !strcmp(c->variant[u].program, c->variant[v].program);
		if (!before) code = pack(c, ch, c->variant[v].program);
	}
	return code;
}

static pid_t start(const Comparison *c, const Children *ch, int job)
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
	return child_start(ch, argv, said);
}

/* A run of all jobs: how far it is. */
typedef struct {
	Comparison *c;
	Children children;
	int n, next, running, done;
	int code, bad; /* the first exit code but 0, and whose it was (-1: nobody's) */
} Going;

/* They save what they have and end. */
static void stop_all(const Going *g)
{
	for (int k = 0; k < g->n; k++)
		if (g->c->job[k].pid) kill(g->c->job[k].pid, SIGTERM);
}

static void start_some(Going *g, int cores)
{
	while (g->running < cores && g->next < g->n && !g->code) {
		if (was_done(g->c, g->next)) {
			g->next++;
			g->done++;
			continue;
		}
		pid_t pid = start(g->c, &g->children, g->next);
		if (pid < 0) {
			say_error("cannot start a run: %s", strerror(errno));
			g->code = 6;
			stop_all(g);
			return;
		}
		g->c->job[g->next++].pid = pid;
		g->running++;
	}
}

static void take_ended(Going *g, pid_t pid, int code)
{
	int i = 0;
	while (i < g->n && g->c->job[i].pid != pid) i++;
	if (i == g->n) return;
	g->c->job[i].pid = 0;
	g->running--;
	g->done++;
	if (isatty(2)) fprintf(stderr, "\r%d of %d runs", g->done, g->n);
	if (!code && g->c->keep) {
		FILE *f = fopen(file_in(g->c, i, "done"), "we");
		if (f) fclose(f);
	}
	if (!code || g->code) return;
	g->code = code;
	g->bad = i;
	stop_all(g);
}

/* What the run that failed had to say. */
static void say_failed(const Going *g)
{
	const Comparison *c = g->c;
	say_error("%s, seed %d:", c->variant[g->bad / c->n_seed].label, g->bad % c->n_seed + 1);
	FILE *f = fopen(file_in(c, g->bad, "txt"), "r");
	char text[1024];
	while (f && fgets(text, sizeof text, f)) fputs(text, stderr);
	if (f) fclose(f);
}

static int run_all(Comparison *c, int cores)
{
	Going g = {.c = c, .n = c->n_variant * c->n_seed, .bad = -1};
	children_begin(&g.children);
	g.code = pack_all(c, &g.children);
	start_some(&g, cores);
	while (g.running) {
		bool told = false;
		if (children_wait(&g.children, &told) && !g.code) {
			g.code = 130;
			if (!told) stop_all(&g);
		}
		int code;
		for (pid_t pid; (pid = child_ended(&code));) take_ended(&g, pid, code);
		start_some(&g, cores);
	}
	children_end(&g.children);
	if (isatty(2)) fputc('\n', stderr);
	if (g.bad >= 0 && g.code != 130) say_failed(&g);
	return g.code;
}

/* ---- their logs ---- */

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
			const json_t *x = json_object_get(h, compare_metric(m));
			if (json_is_number(x))
				*compare_value(c, job / c->n_seed, job % c->n_seed, k, m) =
				    json_number_value(x);
		}
	}
	bool ok = heads != NULL;
	json_decref(kept);
	if (!ok) say_error("the run of %s told no metrics", c->variant[job / c->n_seed].label);
	return ok;
}

int compare_run(Comparison *c, int cores)
{
	int n = c->n_variant * c->n_seed;
	c->job = arena_new(c->arena, Job, n);
	c->value = arena_new(c->arena, double, n *HEADS_MAX *METRICS);
	for (int i = 0; i < n * HEADS_MAX * METRICS; i++) c->value[i] = NAN;
	int code = run_all(c, cores);
	for (int i = 0; i < n && !code; i++)
		if (!read_run(c, i)) code = 70;
	return code;
}
