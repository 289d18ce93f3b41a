/*
 * `mtlc tune`: the exponents of a fused output, output rank = P(click)^a * P(like)^b, searched on a log for a
 * goal: the AUC or GAUC of one label, subject to floors on others.
 *
 * The heads are scored once (`eval --rows`); what is tried after that is a weighted sum of their logs and its
 * order.  An order does not change when all exponents grow alike, so the search runs over exponents that sum
 * to 1: corners, the middle, a fixed net, and from the best a pattern whose steps halve.  No chance anywhere:
 * the same log gives the same answer.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "runtime/metrics.h"
#include "runtime/program.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FACTORS_MAX = 16, FLOORS_MAX = 16, NET = 40, FINEST = 512 };

typedef struct {
	const Ast *base;
	const char *text;     /* "P(click)" */
	const char *constant; /* the const that is its exponent, or NULL */
	double exponent, sign;
	int watch;
	float *log; /* [rows] */
} Factor;

/* "like.auc", and for a floor the least it may be. */
typedef struct {
	int watch;
	bool grouped;
	double least;
	char name[128];
	float *label, *weight; /* [rows] */
} Aim;

typedef struct {
	Arena *arena;
	const Request *call;
	Compilation c;
	const char *output;
	Factor factor[FACTORS_MAX];
	int n_factor;
	Aim aim[1 + FLOORS_MAX]; /* the goal, then the floors */
	int n_aim;
	int64_t rows;
	uint64_t *group; /* [rows] */
	int tried;
} Tuning;

/* How good an order is: first by what it lacks to the floors, then by the goal. */
typedef struct {
	double lacks, value[1 + FLOORS_MAX];
} Merit;

/* ---- the output ---- */

static const Ast *const_named(const Ast *t, const char *name)
{
	if (t->kind == AST_CONST && t->name && !strcmp(t->name, name)) return t;
	const Ast *found = NULL;
	for (int i = 0; (t->kind == AST_FILE || t->kind == AST_USE) && i < t->list.n && !found; i++)
		found = const_named(t->list.at[i], name);
	return found;
}

/* The number an exponent is: written out, or of a const, which -D may have changed. */
static bool exponent(const Tuning *t, const Ast *e, Factor *f)
{
	bool minus = e->kind == AST_NEG;
	if (minus) e = e->a;
	if (e->kind == AST_NAME) {
		const Ast *c = const_named(t->c.ast, e->name);
		f->constant = e->name;
		for (int i = t->call->n_define; i-- > 0;) /* the last one holds */
			if (!strcmp(t->call->define[i].name, e->name)) {
				char *end;
				f->exponent = strtod(t->call->define[i].value, &end);
				if (*end) return false;
				c = NULL;
				e = NULL;
				break;
			}
		if (e && !c) return false;
		if (c) e = c->a;
	}
	if (e && e->kind != AST_NUMBER) return false;
	if (e) f->exponent = e->number;
	if (minus) f->exponent = -f->exponent;
	return true;
}

static bool factors(Tuning *t, const Ast *e, double sign)
{
	if (e->kind == AST_MUL || e->kind == AST_DIV)
		return factors(t, e->a, sign) && factors(t, e->b, e->kind == AST_DIV ? -sign : sign);
	if (t->n_factor == FACTORS_MAX) return false;
	Factor f = {.base = e, .exponent = 1, .sign = sign, .watch = -1};
	if (e->kind == AST_POW) {
		f.base = e->a;
		if (!exponent(t, e->b, &f)) return false;
	}
	if (f.exponent < 0) {
		f.exponent = -f.exponent;
		f.sign = -f.sign;
	}
	Text text = {0};
	ast_expr_text(f.base, &text);
	f.text = arena_strdup(t->arena, text.at);
	text_free(&text);
	for (int k = 0; k < t->c.spec->watch.n; k++)
		if (!strcmp(t->c.spec->watch.at[k].text, f.text) &&
		    t->c.spec->watch.at[k].kind != WATCH_CLASS)
			f.watch = k;
	if (f.watch < 0) return false;
	t->factor[t->n_factor++] = f;
	return true;
}

/* The output to tune: the one named, or the first that is a product of powers of heads. */
static bool find_output(Tuning *t, const char *wanted)
{
	const Ast *file = t->c.ast;
	for (int i = 0; i < file->list.n; i++) {
		const Ast *o = file->list.at[i];
		for (int k = 0; o->kind == AST_OUTPUT && k < o->list.n; k++) {
			const Ast *arg = o->list.at[k];
			if (!arg->name || (wanted && strcmp(arg->name, wanted))) continue;
			t->n_factor = 0;
			t->output = arg->name;
			if (factors(t, arg->a, 1) && t->n_factor > 1) return true;
			if (wanted) {
				say_error("output %s is no product of powers, P(a)^x * P(b)^y, with "
					  "numbers or consts "
					  "as exponents",
					  wanted);
				return false;
			}
		}
	}
	if (wanted)
		say_error("the model has no output '%s'", wanted);
	else
		say_error("no output of the model is a product of powers: "
			  "output rank = P(click)^1.0 * P(like)^0.5");
	return false;
}

/* ---- aims ---- */

static bool aim(Tuning *t, const char *text, bool floor)
{
	Aim a = {.watch = -1};
	const char *colon = floor ? strrchr(text, ':') : NULL;
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	char *end = NULL;
	snprintf(a.name, sizeof a.name, "%.*s", (int)n, text);
	char *dot = strrchr(a.name, '.');
	if (colon) a.least = strtod(colon + 1, &end);
	bool form = dot && (!strcmp(dot, ".auc") || !strcmp(dot, ".gauc")) &&
		    (!floor || (colon && colon[1] && !*end));
	if (!form) {
		say_error(floor ? "--floor %s: it is NAME.auc:0.7 or NAME.gauc:0.6"
				: "--goal %s: it is NAME.auc or NAME.gauc",
			  text);
		return false;
	}
	a.grouped = dot[1] == 'g';
	const Spec *s = t->c.spec;
	for (int k = 0; k < s->watch.n; k++)
		if (strlen(s->watch.at[k].name) == (size_t)(dot - a.name) &&
		    !strncmp(s->watch.at[k].name, a.name, (size_t)(dot - a.name)) &&
		    s->watch.at[k].kind == WATCH_PROB)
			a.watch = k;
	if (a.watch < 0) {
		Text names = {0};
		for (int k = 0; k < s->watch.n; k++)
			if (s->watch.at[k].kind == WATCH_PROB)
				text_printf(&names, "%s %s", names.n ? "," : "", s->watch.at[k].name);
		say_error("%s: the model's probabilities are%s", a.name, names.at ? names.at : " none");
		text_free(&names);
		return false;
	}
	if (a.grouped && !s->group_column) {
		say_error("%s: the model has no row group: rows { group: user_id }", a.name);
		return false;
	}
	if (t->n_aim == 1 + FLOORS_MAX) {
		say_error("more than %d floors", FLOORS_MAX);
		return false;
	}
	t->aim[t->n_aim++] = a;
	return true;
}

static bool aims(Tuning *t)
{
	const MtlOptionValue *floor = mtl_option(&t->call->o, t->call->table, "floor");
	if (!aim(t, mtl_option(&t->call->o, t->call->table, "goal")->text, false)) return false;
	char list[4096];
	snprintf(list, sizeof list, "%s", floor->given ? floor->text : "");
	for (char *save, *f = strtok_r(list, ",", &save); f; f = strtok_r(NULL, ",", &save))
		if (!aim(t, f, true)) return false;
	return true;
}

/* ---- the heads, scored once ---- */

static int score(const Tuning *t, const char *program, const char *rows)
{
	const MtlOptionValue *format = mtl_option(&t->call->o, t->call->table, "input-format");
	static const char *const formats[] = {"csv", "tsv", "jsonl"};
	const char *argv[16] = {program,   "eval",
				"--data",  mtl_option(&t->call->o, t->call->table, "data")->text,
				"--model", mtl_option(&t->call->o, t->call->table, "model")->text,
				"--rows",  rows,
				"--json"};
	if (format->given) {
		argv[9] = "--input-format";
		argv[10] = formats[format->count];
	}
	fflush(NULL);
	pid_t pid = fork();
	if (!pid) {
		if (!freopen("/dev/null", "w", stdout)) _exit(6); /* the metrics are not what was asked for */
		execv(program, (char *const *)(uintptr_t)argv);
		_exit(6);
	}
	int status = -1;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 6;
}

static float log_of(const Watch *w, double x)
{
	if (w->kind == WATCH_VALUE) return (float)log(x);
	return (float)(x > 0 ? -log1p(exp(-x)) : x - log1p(exp(x)));
}

/* One line: three numbers of each head, then the group. */
static bool take_row(Tuning *t, const char *line, double *cell)
{
	int n = 3 * t->c.spec->watch.n;
	char *end = (char *)(uintptr_t)line;
	for (int i = 0; i < n; i++) {
		cell[i] = strtod(end, &end);
		if (*end++ != ',') return false;
	}
	t->group[t->rows] = strtoull(end, &end, 10);
	for (int f = 0; f < t->n_factor; f++)
		t->factor[f].log[t->rows] =
		    log_of(&t->c.spec->watch.at[t->factor[f].watch], cell[3 * t->factor[f].watch]);
	for (int a = 0; a < t->n_aim; a++) {
		t->aim[a].label[t->rows] = (float)cell[3 * t->aim[a].watch + 1];
		t->aim[a].weight[t->rows] = (float)cell[3 * t->aim[a].watch + 2];
	}
	t->rows++;
	return true;
}

static void room(void *at, int64_t n, size_t each)
{
	void **p = at, *more = realloc(*p, (size_t)n * each);
	if (!more) {
		say_error("no memory for %lld rows", (long long)n);
		exit(8);
	}
	*p = more;
}

static bool read_rows(Tuning *t, const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;
	int64_t size = 0;
	bool ok = f && getline(&line, &cap, f) > 0; /* the header: columns stand in the order of the heads */
	double *cell = arena_new(t->arena, double, 3 * t->c.spec->watch.n + 1);
	while (ok && getline(&line, &cap, f) > 0) {
		if (t->rows == size) {
			size = size ? 2 * size : 1 << 14;
			room(&t->group, size, sizeof *t->group);
			for (int i = 0; i < t->n_factor; i++) room(&t->factor[i].log, size, sizeof(float));
			for (int a = 0; a < t->n_aim; a++) {
				room(&t->aim[a].label, size, sizeof(float));
				room(&t->aim[a].weight, size, sizeof(float));
			}
		}
		ok = take_row(t, line, cell);
	}
	free(line);
	if (f) fclose(f);
	return ok;
}

/* ---- the search ---- */

static double measure(Tuning *t, const double *w, const Aim *a)
{
	enum { AT_ONCE = 1024 };
	MtlScores *s = mtl_scores_new(&mtl_sys);
	MtlError e = {0};
	float row[AT_ONCE][3];
	uint64_t group[AT_ONCE];
	int n = 0;
	for (int64_t i = 0; s && i < t->rows && !e.status; i++) {
		if (a->weight[i] > 0) {
			double z = 0;
			for (int f = 0; f < t->n_factor; f++)
				if (w[f] > 0) z += t->factor[f].sign * w[f] * (double)t->factor[f].log[i];
			row[n][0] = (float)z;
			row[n][1] = a->label[i];
			row[n][2] = a->weight[i];
			group[n++] = t->group[i];
		}
		if (n == AT_ONCE || (n && i + 1 == t->rows)) {
			mtl_scores_add(s, row[0], 3, n, a->grouped ? group : NULL, &e);
			n = 0;
		}
	}
	if (s && n) mtl_scores_add(s, row[0], 3, n, a->grouped ? group : NULL, &e);
	MtlMetrics m = {.auc = NAN, .gauc = NAN};
	if (s && !e.status) mtl_scores_metrics(s, &m, &e);
	mtl_scores_free(s);
	return e.status ? NAN : a->grouped ? m.gauc : m.auc;
}

static Merit merit(Tuning *t, const double *w)
{
	Merit m = {0};
	t->tried++;
	for (int a = 0; a < t->n_aim; a++) {
		m.value[a] = measure(t, w, &t->aim[a]);
		if (a && !(m.value[a] >= t->aim[a].least)) m.lacks += t->aim[a].least - m.value[a];
	}
	return m;
}

static bool better(const Merit *a, const Merit *b)
{
	if (a->lacks != b->lacks) return a->lacks < b->lacks;
	return a->value[0] > b->value[0];
}

static void to_one(const Tuning *t, double *w)
{
	double sum = 0;
	for (int f = 0; f < t->n_factor; f++) sum += w[f];
	for (int f = 0; f < t->n_factor; f++) w[f] = sum > 0 ? w[f] / sum : 1.0 / t->n_factor;
}

static void try(Tuning *t, const double *from, double *best, Merit *so_far)
{
	double w[FACTORS_MAX];
	memcpy(w, from, sizeof w);
	to_one(t, w);
	Merit m = merit(t, w);
	if (!better(&m, so_far)) return;
	*so_far = m;
	memcpy(best, w, sizeof w);
}

/* The i-th number of van der Corput's sequence. */
static double spread(int i, int base)
{
	double x = 0, part = 1;
	for (; i; i /= base) x += (part /= base) * (i % base);
	return x;
}

static void search(Tuning *t, double *best, Merit *so_far)
{
	static const int prime[FACTORS_MAX] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};
	double w[FACTORS_MAX];
	for (int f = 0; f < t->n_factor; f++) { /* corners */
		memset(w, 0, sizeof w);
		w[f] = 1;
		try(t, w, best, so_far);
	}
	/* -log of uniform numbers, divided by their sum, fills the simplex evenly. */
	for (int i = 1; i <= NET * (t->n_factor - 1); i++) {
		for (int f = 0; f < t->n_factor; f++) w[f] = -log(spread(i, prime[f]) + 1e-9);
		try(t, w, best, so_far);
	}
	for (double step = 0.25; step >= 1.0 / FINEST;) {
		Merit before = *so_far;
		double from[FACTORS_MAX];
		memcpy(from, best, sizeof from);
		for (int f = 0; f < t->n_factor; f++)
			for (int up = 0; up < 2; up++) {
				memcpy(w, from, sizeof w);
				w[f] = fmax(0, w[f] + (up ? step : -step));
				try(t, w, best, so_far);
			}
		if (!better(so_far, &before)) step /= 2;
	}
}

/* ---- what is said ---- */

static void model_text(const Tuning *t, const double *e, FILE *to)
{
	bool first = true;
	fprintf(to, "output %s =", t->output);
	for (int f = 0; f < t->n_factor; f++) {
		if (e[f] == 0) continue;
		bool below = t->factor[f].sign < 0;
		fprintf(to,
			first	? below ? " 1 / %s^%g" : " %s^%g"
			: below ? " / %s^%g"
				: " * %s^%g",
			t->factor[f].text, e[f]);
		first = false;
	}
	fputc('\n', to);
}

static void say(const Tuning *t, const double *e, const Merit *before, const Merit *after, double seconds)
{
	int width = 10;
	for (int f = 0; f < t->n_factor; f++)
		width = (int)strlen(t->factor[f].text) > width ? (int)strlen(t->factor[f].text) : width;
	for (int a = 0; a < t->n_aim; a++)
		width = (int)strlen(t->aim[a].name) > width ? (int)strlen(t->aim[a].name) : width;
	printf("output %s over %lld rows, %d orders tried in %.1f s\n\n%-*s  as written     tuned\n",
	       t->output, (long long)t->rows, t->tried, seconds, width, "exponent");
	for (int f = 0; f < t->n_factor; f++)
		printf("%-*s  %10.3f%10.3f\n", width, t->factor[f].text,
		       t->factor[f].sign * t->factor[f].exponent, t->factor[f].sign * e[f]);
	putchar('\n');
	for (int a = 0; a < t->n_aim; a++) {
		printf("%-*s  %10.5f%10.5f  ", width, t->aim[a].name, before->value[a], after->value[a]);
		if (!a)
			puts("the goal");
		else
			printf("floor %g%s\n", t->aim[a].least,
			       after->value[a] >= t->aim[a].least ? "" : ", not reached");
	}
	putchar('\n');
	model_text(t, e, stdout);
	bool consts = true;
	for (int f = 0; f < t->n_factor; f++) consts &= t->factor[f].constant != NULL;
	for (int f = 0; consts && f < t->n_factor; f++)
		printf("%s-D %s=%g", f ? " " : "", t->factor[f].constant, e[f]);
	if (consts) putchar('\n');
}

static void say_json(const Tuning *t, const double *e, const Merit *before, const Merit *after)
{
	printf("{\"output\":");
	mtl_json_text(stdout, t->output);
	printf(",\"rows\":%lld,\"tried\":%d,\"reached\":%s,\"exponents\":{", (long long)t->rows, t->tried,
	       after->lacks > 0 ? "false" : "true");
	for (int f = 0; f < t->n_factor; f++) {
		if (f) putchar(',');
		mtl_json_text(stdout, t->factor[f].text);
		fputs(":", stdout);
		mtl_json_number(stdout, t->factor[f].sign * e[f]);
	}
	fputs("},\"aims\":{", stdout);
	for (int a = 0; a < t->n_aim; a++) {
		if (a) putchar(',');
		mtl_json_text(stdout, t->aim[a].name);
		fputs(":{\"written\":", stdout);
		mtl_json_number(stdout, before->value[a]);
		fputs(",\"tuned\":", stdout);
		mtl_json_number(stdout, after->value[a]);
		putchar('}');
	}
	puts("}}");
}

static int tune(Tuning *t)
{
	char program[4096], rows[] = "/tmp/mtlc-tune-XXXXXX";
	Request build = *t->call;
	build.o.command = -1;
	int code = cached_program(&build, program, sizeof program, NULL), fd = -1;
	if (code) return code;
	if ((fd = mkstemp(rows)) < 0) {
		say_error("cannot make a file in /tmp: %s", strerror(errno));
		return 6;
	}
	close(fd);
	code = score(t, program, rows);
	double began = mtl_now();
	if (!code && !read_rows(t, rows)) code = 70;
	unlink(rows);
	if (code) return code;

	double written[FACTORS_MAX] = {0}, best[FACTORS_MAX], e[FACTORS_MAX] = {0}, sum = 0;
	for (int f = 0; f < t->n_factor; f++) sum += written[f] = t->factor[f].exponent;
	memcpy(best, written, sizeof best);
	to_one(t, best);
	Merit before = merit(t, best), after = before;
	for (int a = 0; a < t->n_aim; a++)
		if (isnan(before.value[a])) {
			say_error("%s is not defined on these data: it needs rows of both kinds",
				  t->aim[a].name);
			return 4;
		}
	search(t, best, &after);
	/* As large together as they were written, and short enough to be copied: measured as they are said.
	 */
	for (int f = 0; f < t->n_factor; f++) e[f] = round(best[f] * (sum > 0 ? sum : 1) * 1000) / 1000;
	Merit said = merit(t, e);
	if (!better(&said, &before)) { /* nothing was found that is worth a change */
		memcpy(e, written, sizeof e);
		said = before;
	}
	if (mtl_option(&t->call->o, t->call->table, "json")->given)
		say_json(t, e, &before, &said);
	else
		say(t, e, &before, &said, mtl_now() - began);
	return said.lacks > 0 ? 1 : 0;
}

int command_tune(const Request *call)
{
	Tuning t = {.arena = arena_create(), .call = call};
	Request front = *call;
	front.o.command = -1;
	CompileRequest r;
	LinkRequest l;
	int code = request_of(&front, &r, &l) ? unreadable(r.path) : 2;
	compilation_init(&t.c);
	if (!code && !compile_front(&t.c, &r)) {
		say_messages(&t.c, false);
		code = 3;
	}
	if (!code && (!find_output(&t, mtl_option(&call->o, call->table, "rank")->text) || !aims(&t)))
		code = 2;
	if (!code) code = tune(&t);
	for (int f = 0; f < t.n_factor; f++) free(t.factor[f].log);
	for (int a = 0; a < t.n_aim; a++) {
		free(t.aim[a].label);
		free(t.aim[a].weight);
	}
	free(t.group);
	compilation_free(&t.c);
	arena_destroy(t.arena);
	return code;
}
