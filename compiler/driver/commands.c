/* The commands that compile: check, build, and build-and-run. */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "driver/calibrate.h"
#include "driver/report.h"
#include "front/fmt.h"
#include "front/parse.h"
#include "runtime/gen.h"
#include "runtime/program.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static const MtlOptionValue *get(const Request *c, const char *name)
{
	return mtl_option(&c->o, c->table, name);
}

bool target_wanted(const CompileRequest *r, const Target *t)
{
	return !t->dot4 || r->precision == PRECISION_INT8;
}

static bool targets_of(CompileRequest *r, const char *cpu)
{
	r->n_target = 0;
	if (!cpu || !strcmp(cpu, "baseline")) {
		for (int i = 0; i < n_targets; i++)
			if (target_wanted(r, &targets[i])) r->target[r->n_target++] = &targets[i];
		return true;
	}
	if (!strcmp(cpu, "native")) {
		for (int i = 0; i < n_targets && !r->n_target; i++)
			if (target_wanted(r, &targets[i]) && target_runs(&targets[i]))
				r->target[r->n_target++] = &targets[i];
		return true;
	}
	char list[256];
	snprintf(list, sizeof list, "%s", cpu);
	for (char *save, *t = strtok_r(list, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		const Target *found = target_find(t);
		if (!found || r->n_target == TARGETS_MAX) {
			Text names = {0};
			for (int i = 0; i < n_targets; i++) text_printf(&names, ", %s", targets[i].suffix);
			say_error("--cpu: there is no '%s'; known are baseline, native%s", t, names.at);
			text_free(&names);
			return false;
		}
		r->target[r->n_target++] = found;
	}
	return r->n_target > 0;
}

bool request_of(const Request *c, CompileRequest *r, LinkRequest *l)
{
	*r = (CompileRequest){
	    .path = c->operand, .defines = {c->n_define, c->define}, .only_loss = c->only_loss};
	*l = (LinkRequest){.level = -1, .emit = "exe"};
	r->blas = c->blas;
	r->f64 = c->f64;
	if (c->o.command < 0 || !c->table) return targets_of(r, NULL);
	const char *command = c->table->command[c->o.command].name;
	bool build = !strcmp(command, "build"), check = !strcmp(command, "check");
	if (!check && get(c, "precision")->given) r->precision = (Precision)get(c, "precision")->count;
	if (!targets_of(r, check ? NULL : get(c, "cpu")->text)) return false;
	if (build || check) {
		r->dump = get(c, "dump")->text;
		bool known = !r->dump;
		for (int i = 0; compile_stages[i] && !known; i++) known = !strcmp(compile_stages[i], r->dump);
		if (!known) {
			Text names = {0};
			for (int i = 0; compile_stages[i]; i++)
				text_printf(&names, "%s %s", i ? "," : "", compile_stages[i]);
			say_error("--dump: there is no stage '%s'; known are%s", r->dump, names.at);
			text_free(&names);
			return false;
		}
	}
	l->verbose = get(c, "verbose")->given;
	if (check) return true;
	r->blas = get(c, "gemm")->given && get(c, "gemm")->count == 1;
	r->f64 = get(c, "double")->given;
	if (get(c, "optimize")->given) {
		if (get(c, "optimize")->count > 3) {
			say_error("-O is 0 to 3, not %s", get(c, "optimize")->text);
			return false;
		}
		l->level = (int)get(c, "optimize")->count;
	}
	l->c_backend = get(c, "backend")->given && get(c, "backend")->count == 1;
	if (!build) return true;
	l->out = get(c, "output")->text;
	if (!l->out && !r->dump) {
		say_error("build needs -o, where the program goes (or --dump, to see a stage)");
		return false;
	}
	l->model = get(c, "model")->text;
	l->dynamic = get(c, "link")->given && get(c, "link")->count == 1;
	r->scorer = l->model != NULL;
	l->serve = get(c, "serve")->given;
	if (l->serve && !l->model) {
		say_error("--serve is of a scorer: it needs --model");
		return false;
	}
	if (get(c, "emit")->given) l->emit = get(c, "emit")->text;
	if (r->f64 && r->scorer) {
		say_error("--double is for the model's program (train, eval, score, ...), not for scorers "
			  "and libraries: leave out --double or --model");
		return false;
	}
	if (r->blas && (strstr(l->emit, "static") || strstr(l->emit, "shared"))) {
		say_error("--gemm=blas is for programs and scorers: inside a library, OpenBLAS "
			  "and its number "
			  "of threads belong to the program around it");
		return false;
	}
	return true;
}

void say_messages(const Compilation *c, bool json)
{
	Text t = {0};
	if (json) {
		diag_print_json(c->diag, &t);
		fwrite(t.at ? t.at : "[]\n", 1, t.at ? t.n : 3, stdout);
	} else {
		const char *no = getenv("NO_COLOR");
		diag_print(c->diag, &t, isatty(2) && !(no && *no));
		if (t.at) fwrite(t.at, 1, t.n, stderr);
	}
	text_free(&t);
}

int unreadable(const char *path)
{
	struct stat st;
	if (!stat(path, &st) && !S_ISDIR(st.st_mode) && !access(path, R_OK)) return 0;
	say_error("cannot read %s: %s", path,
		  !stat(path, &st) && S_ISDIR(st.st_mode) ? "it is a folder" : strerror(errno));
	return 6;
}

int command_check(const Request *call)
{
	CompileRequest r;
	LinkRequest l;
	if (!request_of(call, &r, &l)) return 2;
	int bad = unreadable(r.path);
	if (bad) return bad;
	Compilation c;
	compilation_init(&c);
	bool json = get(call, "json")->given;
	bool ok = r.dump ? compile(&c, &r) : compile_front(&c, &r);
	say_messages(&c, json);
	if (ok && c.dumped)
		fwrite(c.dump.at, 1, c.dump.n, stdout);
	else if (ok && l.verbose)
		report_model(&c, stdout);
	if (ok && !c.dumped && l.verbose && compile_serving(&c, &r)) report_sides(&c, stdout);
	compilation_free(&c);
	return ok ? 0 : 3;
}

/* Said before an hour of work, not after it; and what is made by renaming must not replace a device. */
int unwritable(const char *path)
{
	struct stat st;
	const char *slash = path ? strrchr(path, '/') : NULL;
	char folder[4096] = ".";
	if (!path || !strcmp(path, "-")) return 0;
	if (slash) snprintf(folder, sizeof folder, "%.*s", (int)(slash > path ? slash - path : 1), path);
	const char *why = !stat(path, &st) && !S_ISREG(st.st_mode)
			      ? S_ISDIR(st.st_mode) ? "it is a folder" : "it is no plain file"
			  : access(folder, W_OK | X_OK) ? strerror(errno)
							: NULL;
	if (why) say_error("cannot write %s: %s", path, why);
	return why ? 6 : 0;
}

/* `build m.mtl -o m.mtl` is a slip; it must not cost the model. */
int replaces(const char *option, const char *out, const char *other)
{
	if (!out || !other || !mtl_one_file(out, other)) return 0;
	struct stat st;
	say_error(stat(out, &st) ? "%s %s: another file of this command has that name"
				 : "%s %s would replace what is read",
		  option, out);
	return 2;
}

/* Of a scorer in reduced precision: what it is tried on, and what it may lose. */
static bool narrow_asked(const Request *c, const CompileRequest *r, const LinkRequest *l, Calibrate *k)
{
	const MtlOptionValue *most = get(c, "max-auc-loss");
	char *end = NULL;
	k->log = get(c, "calibrate")->text;
	k->max_auc_loss = most->given ? strtod(most->text, &end) : 0.001;
	if (!r->precision) {
		if (!k->log && !most->given) return true;
		say_error("--calibrate and --max-auc-loss are of a scorer with --precision=bf16 or int8");
	} else if (!l->model) {
		say_error("--precision is of a scorer: it needs --model");
	} else if (!k->log) {
		say_error(
		    "--precision needs --calibrate LOG: labelled rows, to find the ranges of numbers and to "
		    "show what it costs");
	} else if (end && (*end || end == most->text || !(k->max_auc_loss >= 0))) {
		say_error("--max-auc-loss is a number of at least 0, not '%s'", most->text);
	} else if (r->blas) {
		say_error("--precision is of the compiler's own products: leave out --gemm=blas");
	} else if (strstr(l->emit, "onnx")) {
		say_error("--emit=onnx is of single precision: leave out --precision");
	} else {
		return true;
	}
	return false;
}

int command_build(const Request *call)
{
	CompileRequest r;
	LinkRequest l;
	if (!request_of(call, &r, &l)) return 2;
	int bad = unreadable(r.path);
	if (bad) return bad;
	if (!r.dump && (bad = unwritable(l.out))) return bad;
	if (!r.dump && ((bad = replaces("-o", l.out, r.path)) || (bad = replaces("-o", l.out, l.model))))
		return bad;
	Range *range = NULL;
	Calibrate k = {.model = l.model};
	if (!narrow_asked(call, &r, &l, &k)) return 2;
	if (r.precision && (bad = unreadable(k.log))) return bad;
	if (r.precision && (bad = calibrate(&r, &k, &range))) return bad;
	r.range = range;
	Compilation c;
	Text error = {0};
	compilation_init(&c);
	if (l.model) link_targets(&l, &r);
	int code = compile(&c, &r) ? 0 : 3;
	say_messages(&c, false);
	if (!code && r.precision && l.verbose) report_precision(c.spec, stderr);
	if (!code && c.dumped)
		fwrite(c.dump.at, 1, c.dump.n, stdout);
	else if (!code)
		code = link_program(&c, &r, &l, &error);
	if (error.at) say_error("%s", error.at);
	text_free(&error);
	compilation_free(&c);
	free(range);
	return code;
}

/* ---- build into the cache and run ---- */

static bool make_folders(char *path)
{
	for (char *s = path + 1; *s; s++)
		if (*s == '/') {
			*s = '\0';
			if (mkdir(path, 0777) && errno != EEXIST) return false;
			*s = '/';
		}
	return !mkdir(path, 0777) || errno == EEXIST;
}

/* A program's name in the cache: what it was made of, and by which mtlc. */
static bool cache_path(const Request *call, const Compilation *c, char *path, size_t size)
{
	XXH3_state_t h;
	XXH3_64bits_reset(&h);
	for (int i = 0; i < c->sources.file.n; i++)
		XXH3_64bits_update(&h, c->sources.file.at[i].text, c->sources.file.at[i].len);
	for (int i = 0; i < call->n_define; i++) {
		XXH3_64bits_update(&h, call->define[i].name, strlen(call->define[i].name) + 1);
		XXH3_64bits_update(&h, call->define[i].value, strlen(call->define[i].value) + 1);
	}
	XXH3_64bits_update(&h, &call->blas, sizeof call->blas);
	XXH3_64bits_update(&h, &call->f64, sizeof call->f64);
	if (call->only_loss) XXH3_64bits_update(&h, call->only_loss, strlen(call->only_loss) + 1);
	struct stat st;
	if (!stat("/proc/self/exe", &st)) {
		XXH3_64bits_update(&h, &st.st_mtim, sizeof st.st_mtim);
		XXH3_64bits_update(&h, &st.st_size, sizeof st.st_size);
	}
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n = cache && *cache ? snprintf(path, size, "%s/mtlc", cache)
				: snprintf(path, size, "%s/.cache/mtlc", home ? home : "/tmp");
	if (n < 0 || (size_t)n + 80 > size || !make_folders(path)) {
		say_error("cannot make the cache folder %s: %s", path, strerror(errno));
		return false;
	}
	snprintf(path + n, size - (size_t)n, "/%.32s-%016llx", c->spec ? c->spec->name : "model",
		 (unsigned long long)XXH3_64bits_digest(&h));
	return true;
}

int cached_program(const Request *call, char *path, size_t size, int64_t sizes[3])
{
	Request build = *call;
	build.o.command = -1;
	CompileRequest r;
	LinkRequest l;
	request_of(&build, &r, &l);
	int code = unreadable(r.path);
	if (code) return code;
	Compilation c;
	Text error = {0};
	compilation_init(&c);
	bool ok = compile_front(&c, &r);
	if (ok && sizes) report_sizes(c.spec, sizes);
	if (!ok)
		code = 3;
	else if (!cache_path(call, &c, path, size))
		code = 6;
	else if (access(path, X_OK)) {
		/* Checked once already; from the text again, for a compilation of its own. */
		compilation_free(&c);
		compilation_init(&c);
		l.out = path;
		code = compile(&c, &r) ? link_program(&c, &r, &l, &error) : 3;
	}
	if (!call->only_loss || code) say_messages(&c, false); /* of a task by itself they were said before */
	if (error.at) say_error("%s", error.at);
	text_free(&error);
	compilation_free(&c);
	return code;
}

int command_run(const Request *call)
{
	char path[4096];
	int code = cached_program(call, path, sizeof path, NULL);
	if (code) return code;
	if (report_asked(call)) return train_and_report(call, path);
	/* PROG train ...: the operand goes, the rest is the program's. */
	char **argv = calloc((size_t)call->argc + 1, sizeof *argv);
	int n = 0;
	/* The program calls itself by the model's name, not by that of its place in the cache. */
	char name[64];
	const char *slash = strrchr(path, '/');
	snprintf(name, sizeof name, "%.63s", slash ? slash + 1 : path);
	char *hash = strrchr(name, '-');
	if (hash) *hash = '\0';
	argv[n++] = name;
	const char *word = strrchr(call->argv[1], ' '); /* "data pack" is the program's pack */
	argv[n++] = word ? (char *)(uintptr_t)(word + 1) : call->argv[1];
	for (int i = 3; i < call->argc; i++) argv[n++] = call->argv[i];
	execv(path, argv);
	say_error("cannot run %s: %s", path, strerror(errno));
	free(argv);
	return 6;
}

/* ---- what needs no model ---- */

int command_gen(const Request *call)
{
	MtlError e = {0};
	double p = NAN;
	if (get(call, "correlation")->given) {
		char *end;
		p = strtod(get(call, "correlation")->text, &end);
		if (*end || !(p >= -1 && p <= 1)) {
			say_error("--correlation is a number from -1 to 1, not '%s'",
				  get(call, "correlation")->text);
			return 2;
		}
	}
	int64_t rows = get(call, "rows")->given ? get(call, "rows")->count : 100000;
	uint64_t seed = get(call, "seed")->given ? get(call, "seed")->seed : 1;
	MtlStatus st = mtl_gen(&mtl_sys, call->operand, rows, seed, p, get(call, "output")->text, &e);
	if (st) say_failure(&e);
	return (int)st;
}

int command_fmt(const Request *call)
{
	int bad = unreadable(call->operand);
	if (bad) return bad;
	Compilation c;
	compilation_init(&c);
	Text out = {0};
	Comments comments = {0};
	const Ast *file = parse_file(c.arena, c.str, &c.sources, c.diag, call->operand, NULL, &comments);
	int code = file && !diag_errors(c.diag) ? 0 : 3;
	if (!code) fmt_file(file, &c.sources, &comments, &out);
	say_messages(&c, false);
	const Source *s = c.sources.file.n ? &c.sources.file.at[0] : NULL;
	bool same = s && out.n == s->len && !memcmp(out.at, s->text, out.n);
	if (!code && get(call, "check")->given) {
		code = same ? 0 : 1;
	} else if (!code && get(call, "write")->given) {
		Text tmp = {0};
		text_printf(&tmp, "%s.tmp%ld", call->operand, (long)getpid());
		FILE *f = same ? NULL : fopen(tmp.at, "wb");
		bool ok = same || (f && fwrite(out.at, 1, out.n, f) == out.n);
		if (f) ok &= !fflush(f);
		if (f) ok &= !fsync(fileno(f));
		if (f) ok &= !fclose(f);
		if (!same && (!ok || rename(tmp.at, call->operand))) {
			say_error("cannot write %s: %s", call->operand, strerror(errno));
			unlink(tmp.at);
			code = 6;
		}
		text_free(&tmp);
	} else if (!code) {
		fwrite(out.at, 1, out.n, stdout);
	}
	text_free(&out);
	compilation_free(&c);
	return code;
}
