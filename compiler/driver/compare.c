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
#include "driver/compare.h"
#include "driver/report.h"
#include "front/parse.h"
#include "pass/pass.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
		say_error("more than %d variants", VARIANTS_MAX);
		ok = false;
	}
	for (int v = 0; ok && v < total; v++) {
		Variant *x = &c->variant[c->n_variant++];
		x->file = file;
		const char *base = file_name(file);
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
				say_error("more than %d variants", VARIANTS_MAX);
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
	if (c->n_variant == n) say_note("--single: no model here has two tasks");
	return true;
}

/* ---- runs ---- */

/* ---- the command ---- */

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
		if (unreadable(call->o.operands[i]))
			return 6;
		else if (!add_file(c, call->o.operands[i], used))
			return 3;
	for (int d = 0; d < call->n_define; d++)
		if (!used[d]) {
			say_error("-D %s: no model has such a const, and training no such setting",
				  call->define[d].name);
			return 2;
		}
	if (mtl_option(&call->o, call->table, "single")->given && !add_singles(c)) return 3;
	int code = build_all(c);
	if (code) return code;
	c->keep = mtl_option(&call->o, call->table, "keep")->text;
	snprintf(c->dir, sizeof c->dir, "%s", c->keep ? c->keep : "/tmp/mtlc-compare-XXXXXX");
	if (c->keep && mkdir(c->keep, 0777) && errno != EEXIST) {
		say_error("cannot make the folder %s: %s", c->keep, strerror(errno));
		return 6;
	}
	if (!c->keep && !mkdtemp(c->dir)) {
		say_error("cannot make a folder in /tmp: %s", strerror(errno));
		return 6;
	}
	int n = c->n_variant * c->n_seed;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	const MtlOptionValue *jobs = mtl_option(&call->o, call->table, "jobs");
	if (jobs->given && jobs->count > 0) cores = jobs->count;
	say_note("%d variants, %d seeds: %d runs, %ld at once", c->n_variant, c->n_seed, n,
		 cores < n ? cores : (long)n);
	code = compare_run(c, (int)(cores < 1 ? 1 : cores));
	if (!code) (mtl_option(&call->o, call->table, "json")->given ? compare_json : compare_say)(c, stdout);
	if (!c->keep) remove_folder(c->dir);
	if (c->keep && code == 130) say_note("interrupted; the same command goes on where it stood");
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
		say_error("--seeds is 1 or more");
	else
		code = compare(&c);
	arena_destroy(c.arena);
	return code;
}
