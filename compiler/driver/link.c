/*
 * From modules to files.  The system's `cc` links (and compiles the C backend's output), through posix_spawn;
 * everything is made in a folder of its own and moved to its name when it is whole.
 */
#define _GNU_SOURCE
#include "driver/link.h"
#include "driver/freeze.h"
#include "emit/emit.h"
#include "emit/emit_model.h"
#include "abi_def_text.h"
#include "model_h_text.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

extern char **environ;
const char mtlc_version[] = "mtlc 0.1";

typedef struct {
	Arena *arena;
	const char *dir;
	Text *error;
	bool verbose;
} Shop;

static bool fail(Shop *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_vprintf(s->error, fmt, ap);
	va_end(ap);
	return false;
}

static const char *in_shop(Shop *s, const char *name)
{
	return arena_printf(s->arena, "%s/%s", s->dir, name);
}

static bool open_shop(Shop *s)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = arena_printf(s->arena, "%s/mtlc-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return fail(s, "cannot make a folder for temporary files, %s: %s", dir, strerror(errno));
	s->dir = dir;
	return true;
}

static void close_shop(Shop *s)
{
	if (!s->dir) return;
	DIR *d = opendir(s->dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.') unlink(in_shop(s, e->d_name));
	if (d) closedir(d);
	rmdir(s->dir);
}

static bool write_file(Shop *s, const char *path, const char *text, size_t n)
{
	FILE *f = fopen(path, "wb");
	if (!f) return fail(s, "cannot write %s: %s", path, strerror(errno));
	bool ok = fwrite(text, 1, n, f) == n;
	ok &= !fflush(f);
	ok &= !fclose(f);
	return ok || fail(s, "cannot write %s: %s", path, strerror(errno));
}

typedef VEC(const char *) Words;

static void word(Shop *s, Words *w, const char *text) { vec_push(s->arena, w, text); }

/* The words of an environment variable, split at blanks, or `otherwise`. */
static void words_of(Shop *s, Words *w, const char *variable, const char *otherwise)
{
	const char *v = getenv(variable);
	char *copy = arena_strdup(s->arena, v && *v ? v : otherwise);
	for (char *save, *t = strtok_r(copy, " \t", &save); t; t = strtok_r(NULL, " \t", &save))
		word(s, w, t);
}

static bool run(Shop *s, Words *w)
{
	vec_push(s->arena, w, NULL);
	if (s->verbose) {
		for (int i = 0; w->at[i]; i++) fprintf(stderr, "%s%s", i ? " " : "  ", w->at[i]);
		fputc('\n', stderr);
	}
	pid_t pid;
	int status, e = posix_spawnp(&pid, w->at[0], NULL, NULL, (char *const *)(void *)w->at, environ);
	if (e)
		return fail(s,
			    "cannot run %s: %s (mtlc links with the system's C compiler; CC names another)",
			    w->at[0], strerror(e));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return (WIFEXITED(status) && !WEXITSTATUS(status)) || fail(s, "%s failed", w->at[0]);
}

/* ---- kernels ---- */

static int levels(const LinkRequest *l) { return l->level >= 0 ? l->level : l->c_backend ? 2 : 1; }

static bool kernel_object(Shop *s, const Lowered *v, const LinkRequest *l, const char *path)
{
	if (!l->c_backend) {
		EmitTarget t = {
		    .triple = v->target->triple, .cpu = v->target->cpu, .features = "", .level = levels(l)};
		return emit_llvm(v->mod, &t, EMIT_OBJECT, path, s->error);
	}
	Text c = {0};
	emit_c(v->mod, &c, l->expand);
	const char *source = in_shop(s, arena_printf(s->arena, "%s.c", v->mod->name));
	bool ok = write_file(s, source, c.at, c.n);
	text_free(&c);
	if (!ok) return false;
	Words w = {0};
	words_of(s, &w, "CC", "cc");
	words_of(s, &w, "CFLAGS", "");
	word(s, &w, arena_printf(s->arena, "-O%d", levels(l)));
	word(s, &w, "-ffp-contract=off");
	word(s, &w, "-fPIC");
	word(s, &w, arena_printf(s->arena, "-march=%s", v->target->cpu));
	word(s, &w, "-c");
	word(s, &w, source);
	word(s, &w, "-o");
	word(s, &w, path);
	return run(s, &w);
}

static bool kernel_objects(Shop *s, Compilation *c, const LinkRequest *l, Words *objects)
{
	for (int i = 0; i < c->lowered.n; i++) {
		const char *o = in_shop(s, arena_printf(s->arena, "%s.o", c->lowered.at[i]->mod->name));
		if (!kernel_object(s, c->lowered.at[i], l, o)) return false;
		word(s, objects, o);
	}
	return true;
}

/* ---- the program ---- */

/* The runtime's archive: beside mtlc, then under the prefix it is installed in. */
static const char *runtime_archive(Shop *s)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	if (n < 0) {
		fail(s, "cannot find the runtime: %s", strerror(errno));
		return NULL;
	}
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	static const char *const where[] = {"libmtlrt.a", "../lib/mtlc/libmtlrt.a", "../libmtlrt.a"};
	for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
		const char *path = arena_printf(s->arena, "%s/%s", exe, where[i]);
		if (!access(path, R_OK)) return path;
	}
	fail(s, "the runtime, libmtlrt.a, is not beside %s nor in ../lib/mtlc", exe);
	return NULL;
}

static bool model_source(Shop *s, Compilation *c, const CompileRequest *r, const char *weights, Text *out)
{
	EmitModel m = {.spec = c->spec,
		       .n = c->lowered.n,
		       .variant = c->lowered.at,
		       .digest = c->digest,
		       .compiler = mtlc_version,
		       .scorer = r->scorer,
		       .weights = weights};
	if (weights) {
		struct stat st;
		if (stat(weights, &st)) return fail(s, "%s: %s", weights, strerror(errno));
		m.n_weights = (uint64_t)st.st_size;
	}
	emit_model(out, &m);
	return true;
}

static bool program(Shop *s, Compilation *c, const CompileRequest *r, const LinkRequest *l,
		    const char *weights, const char *path)
{
	const char *runtime = runtime_archive(s);
	Words objects = {0}, w = {0};
	Text text = {0};
	if (!runtime || !kernel_objects(s, c, l, &objects) || !model_source(s, c, r, weights, &text))
		return false;
	const char *source = in_shop(s, "model.c");
	bool ok = write_file(s, source, text.at, text.n) &&
		  write_file(s, in_shop(s, "model.h"), model_h_text, sizeof model_h_text - 1) &&
		  write_file(s, in_shop(s, "abi.def"), abi_def_text, sizeof abi_def_text - 1);
	text_free(&text);
	if (!ok) return false;
	/* Beside its name first, so that the move is one step. */
	const char *made = arena_printf(s->arena, "%s.tmp%ld", path, (long)getpid());
	words_of(s, &w, "CC", "cc");
	word(s, &w, "-O1");
	word(s, &w, "-std=gnu11");
	word(s, &w, "-I");
	word(s, &w, s->dir);
	word(s, &w, source);
	for (int i = 0; i < objects.n; i++) word(s, &w, objects.at[i]);
	word(s, &w, runtime);
	word(s, &w, "-Wl,--gc-sections");
	if (r->scorer) word(s, &w, "-static");
	words_of(s, &w, "LDFLAGS", "");
	static const char *const libraries[] = {"-ljansson", "-lzstd", "-lz", "-lm", "-lpthread", "-o"};
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) word(s, &w, libraries[i]);
	word(s, &w, made);
	if (!run(s, &w)) {
		unlink(made);
		return false;
	}
	if (rename(made, path)) {
		fail(s, "cannot write %s: %s", path, strerror(errno));
		unlink(made);
		return false;
	}
	return true;
}

/* ---- kinds of output ---- */

static bool emit_text(Shop *s, const char *path, Text *t)
{
	bool ok =
	    !strcmp(path, "-") ? fwrite(t->at, 1, t->n, stdout) == t->n : write_file(s, path, t->at, t->n);
	text_free(t);
	return ok;
}

static bool emit_kind(Shop *s, Compilation *c, const CompileRequest *r, const LinkRequest *l,
		      const char *kind, const char *weights, bool several)
{
	Text t = {0};
	const char *suffix = !strcmp(kind, "exe")    ? ""
			     : !strcmp(kind, "llvm") ? ".ll"
			     : !strcmp(kind, "asm")  ? ".s"
						     : arena_printf(s->arena, ".%s", kind);
	const char *path = several ? arena_printf(s->arena, "%s%s", l->out, suffix) : l->out;
	if (!strcmp(kind, "exe")) return program(s, c, r, l, weights, path);
	if (!strcmp(kind, "graph")) {
		graph_dump(c->train ? c->train : c->serve, &t);
		return emit_text(s, path, &t);
	}
	if (!strcmp(kind, "loops")) {
		for (int i = 0; i < c->lowered.n; i++) mod_dump(c->lowered.at[i]->mod, &t);
		return emit_text(s, path, &t);
	}
	if (!strcmp(kind, "c")) {
		emit_c(c->lowered.at[0]->mod, &t, l->expand);
		return emit_text(s, path, &t);
	}
	const Lowered *v = c->lowered.at[0];
	EmitTarget target = {
	    .triple = v->target->triple, .cpu = v->target->cpu, .features = "", .level = levels(l)};
	if (!strcmp(kind, "llvm")) return emit_llvm(v->mod, &target, EMIT_IR, path, s->error);
	if (!strcmp(kind, "asm")) return emit_llvm(v->mod, &target, EMIT_ASM, path, s->error);
	if (!strcmp(kind, "obj")) return kernel_object(s, v, l, path);
	return fail(s, "--emit: there is no kind '%s' (exe, obj, c, llvm, asm, graph, loops)", kind);
}

int link_program(Compilation *c, const CompileRequest *r, const LinkRequest *l, Text *error)
{
	Shop s = {.arena = c->arena, .error = error, .verbose = l->verbose};
	if (!open_shop(&s)) return 6;
	int code = 0;
	const char *weights = NULL;
	if (l->model) {
		weights = in_shop(&s, "weights");
		code = freeze_weights(c->spec, c->digest, l->model, weights, error);
	}
	char *list = arena_strdup(c->arena, l->emit);
	bool several = strchr(list, ',') != NULL;
	for (char *save, *k = strtok_r(list, ",", &save); k && !code; k = strtok_r(NULL, ",", &save))
		if (!emit_kind(&s, c, r, l, k, weights, several))
			code = !strncmp(error->at ? error->at : "", "--emit", 6) ? 2 : 6;
	close_shop(&s);
	return code;
}

void *link_load(Compilation *c, const LinkRequest *l, Text *error)
{
	Shop s = {.arena = c->arena, .error = error, .verbose = l->verbose};
	Words objects = {0}, w = {0};
	void *h = NULL;
	if (open_shop(&s) && kernel_objects(&s, c, l, &objects)) {
		words_of(&s, &w, "CC", "cc");
		word(&s, &w, "-shared");
		word(&s, &w, "-o");
		word(&s, &w, in_shop(&s, "kernels.so"));
		for (int i = 0; i < objects.n; i++) word(&s, &w, objects.at[i]);
		word(&s, &w, "-lm");
		if (run(&s, &w) && !(h = dlopen(in_shop(&s, "kernels.so"), RTLD_NOW | RTLD_LOCAL)))
			fail(&s, "%s", dlerror());
	}
	close_shop(&s);
	return h;
}
