/*
 * From modules to files.  The system's `cc` links (and compiles the C backend's output), through posix_spawn;
 * everything is made in a folder of its own and moved to its name when it is whole.
 */
#define _GNU_SOURCE
#include "driver/link.h"
#include "driver/freeze.h"
#include "driver/numbers.h"
#include "driver/onnx.h"
#include "emit/emit.h"
#include "emit/emit_header.h"
#include "emit/emit_model.h"
#include "abi_def_text.h"
#include "library_h_text.h"
#include "model_h_text.h"
#include "runtime/gemm.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

_Static_assert((int)PRODUCT_A_TURNED == MTL_GEMM_A_TURNED && (int)PRODUCT_B_TURNED == MTL_GEMM_B_TURNED &&
		   (int)PRODUCT_ADDS == MTL_GEMM_ADDS,
	       "kernels and runtime mean the same product");

extern char **environ;
const char mtlc_version[] = "mtlc 0.1";

typedef struct {
	Arena *arena;
	const char *dir;
	Text *error;
	bool verbose;
	VEC(const char *) kernel; /* objects, once they are made */
	const char *library;	  /* the same: one object, only its doors global */
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

static EmitTarget emit_target(const Lowered *v, const LinkRequest *l)
{
	return (EmitTarget){.triple = v->target->triple,
			    .cpu = v->target->cpu,
			    .features = v->target->features ? v->target->features : "",
			    .level = levels(l)};
}

static bool kernel_object(Shop *s, const Lowered *v, const LinkRequest *l, const char *path)
{
	if (!l->c_backend) {
		EmitTarget t = emit_target(v, l);
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
	if (v->mod->f64) word(s, &w, "-Wno-psabi"); /* vectors wider than the machine's stay in one file */
	word(s, &w, arena_printf(s->arena, "-march=%s", v->target->march));
	if (v->target->tune) word(s, &w, arena_printf(s->arena, "-mtune=%s", v->target->tune));
	if (v->target->flags) word(s, &w, v->target->flags);
	word(s, &w, "-c");
	word(s, &w, source);
	word(s, &w, "-o");
	word(s, &w, path);
	return run(s, &w);
}

/* One variant's kernels through LLVM, in a thread of its own. */
typedef struct {
	pthread_t thread;
	const Lowered *v;
	EmitTarget target;
	const char *path;
	Text error;
	bool started, ok;
} EmitJob;

static void *emit_one(void *p)
{
	EmitJob *j = p;
	j->ok = emit_llvm(j->v->mod, &j->target, EMIT_OBJECT, j->path, &j->error);
	return NULL;
}

/* Variants at the same time, the first of them here.  What could not get a thread is done here too. */
static bool emit_together(Shop *s, EmitJob *job, int n)
{
	bool ok = true;
	emit_llvm_begin();
	for (int i = 1; i < n; i++) job[i].started = !pthread_create(&job[i].thread, NULL, emit_one, &job[i]);
	for (int i = 0; i < n; i++) {
		if (job[i].started)
			pthread_join(job[i].thread, NULL);
		else
			emit_one(&job[i]);
		if (ok && !job[i].ok) fail(s, "%s", job[i].error.at ? job[i].error.at : "");
		ok &= job[i].ok;
		text_free(&job[i].error);
	}
	return ok;
}

static bool kernel_objects(Shop *s, Compilation *c, const LinkRequest *l, Words *words)
{
	EmitJob job[TARGETS_MAX] = {0};
	int n = 0;
	if (c->lowered.n - s->kernel.n > TARGETS_MAX) bug("%d variants", c->lowered.n);
	for (int i = s->kernel.n; i < c->lowered.n; i++) {
		const Lowered *v = c->lowered.at[i];
		const char *o = in_shop(s, arena_printf(s->arena, "%s.o", v->mod->name));
		if (l->c_backend) {
			if (!kernel_object(s, v, l, o)) return false;
		} else {
			job[n].v = v;
			job[n].target = emit_target(v, l);
			job[n].target.begun = true;
			job[n++].path = o;
		}
		vec_push(s->arena, &s->kernel, o);
	}
	if (n && !emit_together(s, job, n)) return false;
	for (int i = 0; i < s->kernel.n; i++) word(s, words, s->kernel.at[i]);
	return true;
}

/* ---- the program ---- */

/* The runtime's archive: beside mtlc, then under the prefix it is installed in. */
static const char *runtime_archive(Shop *s, bool f64)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	if (n < 0) {
		fail(s, "cannot find the runtime: %s", strerror(errno));
		return NULL;
	}
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	static const char *const where[] = {"", "../lib/mtlc/", "../"};
	const char *name = f64 ? "libmtlrt64.a" : "libmtlrt.a";
	for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
		const char *path = arena_printf(s->arena, "%s/%s%s", exe, where[i], name);
		if (!access(path, R_OK)) return path;
	}
	fail(s, "the runtime, %s, is not beside %s nor in ../lib/mtlc", name, exe);
	return NULL;
}

static EmitModel model_of(const Compilation *c, const CompileRequest *r, const char *weights)
{
	return (EmitModel){.spec = c->spec,
			   .n = c->lowered.n,
			   .variant = c->lowered.at,
			   .digest = c->digest,
			   .compiler = mtlc_version,
			   .scorer = r->scorer,
			   .precision = r->precision ? precision_word[r->precision] : NULL,
			   .weights = weights};
}

/* Writes a Text into the shop, and frees it. */
static bool put_text(Shop *s, const char *name, Text *t)
{
	bool ok = write_file(s, in_shop(s, name), t->at, t->n);
	text_free(t);
	return ok;
}

/* The constant data as C, with the headers it includes. */
static bool model_source(Shop *s, EmitModel *m, const char *name)
{
	if (m->weights) {
		struct stat st;
		if (stat(m->weights, &st)) return fail(s, "%s: %s", m->weights, strerror(errno));
		m->n_weights = (uint64_t)st.st_size;
	}
	Text t = {0}, h = {0};
	emit_model(&t, m);
	if (m->library) emit_header(&h, m);
	return put_text(s, name, &t) &&
	       write_file(s, in_shop(s, "model.h"), model_h_text, sizeof model_h_text - 1) &&
	       write_file(s, in_shop(s, "abi.def"), abi_def_text, sizeof abi_def_text - 1) &&
	       (!m->library ||
		(put_text(s, "doors.h", &h) &&
		 write_file(s, in_shop(s, "library.h"), library_h_text, sizeof library_h_text - 1)));
}

/* Beside its name first, so that the move is one step. */
static const char *beside(Shop *s, const char *path)
{
	return arena_printf(s->arena, "%s.tmp%ld", path, (long)getpid());
}

/* Makes what stands beside its name whole, or nothing. */
static bool make(Shop *s, Words *w, const char *made, const char *path)
{
	bool ok = run(s, w);
	if (ok && rename(made, path)) ok = fail(s, "cannot write %s: %s", path, strerror(errno));
	if (!ok) unlink(made);
	return ok;
}

static void compiler(Shop *s, Words *w)
{
	words_of(s, w, "CC", "cc");
	word(s, w, "-O1");
	word(s, w, "-std=gnu11");
	word(s, w, "-I");
	word(s, w, s->dir);
}

/* What no program that is handed on should be without. */
static void hardened(Shop *s, Words *w) { word(s, w, "-Wl,-z,relro,-z,now,-z,noexecstack"); }

static bool program(Shop *s, Compilation *c, const CompileRequest *r, const LinkRequest *l,
		    const char *weights, const char *path)
{
	const char *runtime = runtime_archive(s, r->f64), *made = beside(s, path);
	Words w = {0};
	EmitModel m = model_of(c, r, weights);
	m.server = l->serve;
	if (!runtime || !model_source(s, &m, "model.c")) return false;
	compiler(s, &w);
	word(s, &w, in_shop(s, "model.c"));
	if (!kernel_objects(s, c, l, &w)) return false;
	word(s, &w, runtime);
	word(s, &w, "-Wl,--gc-sections");
	if (r->scorer) word(s, &w, "-s");
	if (r->scorer) word(s, &w, "-Wl,-z,noseparate-code"); /* two pages less */
	if (r->scorer && !l->dynamic) {
		word(s, &w, "-static");
		/* runtime/zstd_current.c; should libzstd want more than is there, it brings its own. */
		word(s, &w, "-Wl,-u,mtl_zstd_current,-z,muldefs");
		if (l->serve) word(s, &w, "-Wl,-u,mtl_no_tls"); /* runtime/no_tls.c */
	} else {
		word(s, &w, "-fPIE");
		word(s, &w, "-pie");
	}
	hardened(s, &w);
	words_of(s, &w, "LDFLAGS", "");
	if (r->blas) word(s, &w, "-lopenblas");
	if (l->serve) word(s, &w, l->dynamic ? "-lmicrohttpd" : "-l:libmicrohttpd.a");
	static const char *const libraries[] = {"-ljansson", "-lzstd", "-lz", "-lm", "-lpthread", "-o"};
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) word(s, &w, libraries[i]);
	word(s, &w, made);
	return make(s, &w, made, path);
}

/* ---- the library ---- */

/*
 * One object that holds all it takes: the model, its kernels, what of the runtime it uses and the JSON
 * reader. Only its doors are global, so that several models live in one program, whatever else is linked
 * there.
 */
static bool library_object(Shop *s, Compilation *c, const CompileRequest *r, const LinkRequest *l,
			   const char *weights)
{
	const char *runtime = runtime_archive(s, false), *prefix = library_prefix(c->spec);
	const char *doors = in_shop(s, "doors.o"),
		   *all = in_shop(s, arena_printf(s->arena, "%s.all.o", prefix));
	Words cc = {0}, ld = {0}, hide = {0};
	EmitModel m = model_of(c, r, weights);
	if (s->library) return true;
	m.library = true;
	if (!runtime || !model_source(s, &m, "doors.c")) return false;
	compiler(s, &cc);
	static const char *const flags[] = {"-fPIC", "-fvisibility=hidden", "-c", "-o"};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) word(s, &cc, flags[i]);
	word(s, &cc, doors);
	word(s, &cc, in_shop(s, "doors.c"));

	words_of(s, &ld, "CC", "cc");
	word(s, &ld, "-r");
	word(s, &ld, "-nostdlib");
	word(s, &ld, "-Wl,--gc-sections");
	word(s, &ld, "-Wl,--wrap=stdin"); /* emit_header.c */
	words_of(s, &hide, "OBJCOPY", "objcopy");
	word(s, &hide, "--strip-unneeded");
	for (int i = 0; library_functions[i]; i++) {
		const char *f = arena_printf(s->arena, "%s_%s", prefix, library_functions[i]);
		word(s, &ld, arena_printf(s->arena, "-Wl,-u,%s", f));
		word(s, &hide, arena_printf(s->arena, "--keep-global-symbol=%s", f));
	}
	word(s, &hide, all);
	word(s, &ld, "-o");
	word(s, &ld, all);
	word(s, &ld, doors);
	if (!kernel_objects(s, c, l, &ld)) return false;
	word(s, &ld, runtime);
	word(s, &ld, "-l:libjansson.a");
	if (!run(s, &cc) || !run(s, &ld) || !run(s, &hide)) return false;
	s->library = all;
	return true;
}

static bool library(Shop *s, Compilation *c, const CompileRequest *r, const LinkRequest *l,
		    const char *weights, bool shared, const char *path)
{
	const char *made = beside(s, path), *slash = strrchr(path, '/');
	Words w = {0};
	if (!library_object(s, c, r, l, weights)) return false;
	if (!shared) {
		words_of(s, &w, "AR", "ar");
		word(s, &w, "rcsD");
		word(s, &w, made);
		word(s, &w, s->library);
		return make(s, &w, made, path);
	}
	words_of(s, &w, "CC", "cc");
	word(s, &w, "-shared");
	word(s, &w, "-s");
	word(s, &w, arena_printf(s->arena, "-Wl,-soname,%s", slash ? slash + 1 : path));
	hardened(s, &w);
	words_of(s, &w, "LDFLAGS", "");
	word(s, &w, "-o");
	word(s, &w, made);
	word(s, &w, s->library);
	word(s, &w, "-lm");
	return make(s, &w, made, path);
}

static bool has_kind(const LinkRequest *l, const char *kind)
{
	size_t n = strlen(kind);
	for (const char *p = l->emit; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, kind, n) && (p[n] == ',' || !p[n])) return true;
	return false;
}

/* How build systems find the library: STEM.pc and STEM-config.cmake.  Both may be moved along with it. */
static bool packages(Shop *s, const LinkRequest *l, Str digest)
{
	const char *slash = strrchr(l->out, '/'), *name = slash ? slash + 1 : l->out;
	bool archive = has_kind(l, "static"), shared = has_kind(l, "shared");
	Text pc = {0}, cmake = {0};
	text_printf(&pc,
		    "Name: %s\nDescription: scores of a trained model, digest %s\nVersion: 1\n"
		    "Cflags: -I${pcfiledir}\nLibs: -L${pcfiledir} -l:%s.%s%s\n",
		    name, digest, name, archive ? "a" : "so", archive ? " -lm" : " -Wl,-rpath,${pcfiledir}");
	text_printf(&cmake, "# find_package(%s CONFIG)", name);
	for (int i = 0; i < 2; i++) {
		static const char *const kind[] = {"STATIC", "SHARED"}, *const word[] = {"static", "shared"};
		if (!(i ? shared : archive)) continue;
		text_printf(&cmake,
			    "\nif(NOT TARGET %s::%s)\n  add_library(%s::%s %s IMPORTED)\n"
			    "  set_target_properties(%s::%s PROPERTIES\n"
			    "    IMPORTED_LOCATION \"${CMAKE_CURRENT_LIST_DIR}/%s.%s\"\n"
			    "    INTERFACE_INCLUDE_DIRECTORIES \"${CMAKE_CURRENT_LIST_DIR}\"%s)\nendif()\n",
			    name, word[i], name, word[i], kind[i], name, word[i], name, i ? "so" : "a",
			    i ? "" : "\n    INTERFACE_LINK_LIBRARIES m");
	}
	bool ok = write_file(s, arena_printf(s->arena, "%s.pc", l->out), pc.at, pc.n) &&
		  write_file(s, arena_printf(s->arena, "%s-config.cmake", l->out), cmake.at, cmake.n);
	text_free(&pc);
	text_free(&cmake);
	return ok;
}

/* ---- kinds of output ---- */

static bool emit_text(Shop *s, const char *path, Text *t)
{
	bool ok =
	    !strcmp(path, "-") ? fwrite(t->at, 1, t->n, stdout) == t->n : write_file(s, path, t->at, t->n);
	text_free(t);
	return ok;
}

/* A scorer as one C file. */
static bool alone(Shop *s, Compilation *c, const CompileRequest *r, const char *weights, const char *path)
{
	EmitModel m = model_of(c, r, weights);
	EmitNumbers n;
	MtlStore *store = NULL;
	Text t = {0};
	if (r->f64 || r->blas)
		return fail(s, "--emit=c with --model is of single precision and its own products");
	m.weights = NULL;
	m.library = m.alone = true;
	bool ok = !numbers_read(c, weights, &n, &store, s->error);
	if (ok) emit_alone(&t, &m, &n);
	mtl_store_close(store);
	return ok && emit_text(s, path, &t);
}

static bool emit_kind(Shop *s, Compilation *c, const CompileRequest *r, const LinkRequest *l,
		      const char *kind, const char *weights, bool several)
{
	Text t = {0};
	const char *suffix = !strcmp(kind, "exe")      ? ""
			     : !strcmp(kind, "static") ? ".a"
			     : !strcmp(kind, "shared") ? ".so"
			     : !strcmp(kind, "header") ? ".h"
			     : !strcmp(kind, "llvm")   ? ".ll"
			     : !strcmp(kind, "asm")    ? ".s"
						       : arena_printf(s->arena, ".%s", kind);
	const char *path = several ? arena_printf(s->arena, "%s%s", l->out, suffix) : l->out;
	if (!strcmp(kind, "exe")) return program(s, c, r, l, weights, path);
	if (!strcmp(kind, "static") || !strcmp(kind, "shared") || !strcmp(kind, "header")) {
		if (!l->model) return fail(s, "--emit=%s is of a scorer: it needs --model", kind);
		if (strcmp(kind, "header"))
			return library(s, c, r, l, weights, !strcmp(kind, "shared"), path);
		EmitModel m = model_of(c, r, weights);
		emit_header(&t, &m);
		return emit_text(s, path, &t);
	}
	if (!strcmp(kind, "onnx")) {
		if (!l->model) return fail(s, "--emit=onnx is of a trained model: it needs --model");
		return onnx_file(c, weights, mtlc_version, path, s->error);
	}
	if (!strcmp(kind, "graph")) {
		graph_dump(c->train ? c->train : c->serve, &t);
		return emit_text(s, path, &t);
	}
	if (!strcmp(kind, "loops")) {
		for (int i = 0; i < c->lowered.n; i++) mod_dump(c->lowered.at[i]->mod, &t);
		return emit_text(s, path, &t);
	}
	if (!strcmp(kind, "c") && l->model) return alone(s, c, r, weights, path);
	if (!strcmp(kind, "c")) {
		emit_c(c->lowered.at[0]->mod, &t, l->expand);
		return emit_text(s, path, &t);
	}
	const Lowered *v = c->lowered.at[0];
	EmitTarget target = emit_target(v, l);
	if (!strcmp(kind, "llvm")) return emit_llvm(v->mod, &target, EMIT_IR, path, s->error);
	if (!strcmp(kind, "asm")) return emit_llvm(v->mod, &target, EMIT_ASM, path, s->error);
	if (!strcmp(kind, "obj")) return kernel_object(s, v, l, path);
	return fail(s,
		    "--emit: there is no kind '%s' (exe, static, shared, header, obj, onnx, c, llvm, asm, "
		    "graph, loops)",
		    kind);
}

void link_targets(const LinkRequest *l, CompileRequest *r)
{
	const Target *last = r->n_target > 1 ? r->target[r->n_target - 1] : NULL, *neon = target_find("neon");
	if (!last || !neon || r->n_target == TARGETS_MAX ||
	    (strcmp(l->emit, "c") && strcmp(l->emit, "c,header") && strcmp(l->emit, "header,c")))
		return;
	for (int i = 0; i < r->n_target; i++)
		if (r->target[i] == neon) return;
	r->target[r->n_target - 1] = neon;
	r->target[r->n_target++] = last;
}

int link_program(Compilation *c, const CompileRequest *r, const LinkRequest *l, Text *error)
{
	Shop s = {.arena = c->arena, .error = error, .verbose = l->verbose};
	if (!open_shop(&s)) return 6;
	int code = 0;
	const char *weights = NULL;
	if (l->model) {
		weights = in_shop(&s, "weights");
		Text report = {0};
		code = freeze_weights(c->spec, c->lowered.at[0], c->digest, l->model, weights,
				      l->verbose ? &report : NULL, error);
		if (report.n) fputs(report.at, stderr);
		text_free(&report);
	}
	char *list = arena_strdup(c->arena, l->emit);
	bool several = strchr(list, ',') != NULL;
	for (char *save, *k = strtok_r(list, ",", &save); k && !code; k = strtok_r(NULL, ",", &save))
		if (!emit_kind(&s, c, r, l, k, weights, several))
			code = !strncmp(error->at ? error->at : "", "--emit", 6) ? 2 : 6;
	if (!code && has_kind(l, "header") && (has_kind(l, "static") || has_kind(l, "shared")) &&
	    !packages(&s, l, c->digest))
		code = 6;
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
		const Mod *m = c->lowered.n ? c->lowered.at[0]->mod : NULL;
		bool blas = m && m->blas, found = true;
		if (blas || (m && m->f64)) { /* what kernels call */
			const char *runtime = runtime_archive(&s, m->f64);
			found = runtime;
			if (found) word(&s, &w, runtime);
		}
		if (blas) word(&s, &w, "-lopenblas");
		word(&s, &w, "-lm");
		if (found && run(&s, &w) && !(h = dlopen(in_shop(&s, "kernels.so"), RTLD_NOW | RTLD_LOCAL)))
			fail(&s, "%s", dlerror());
		void (*threads)(int) = NULL;
		if (h && blas) *(void **)&threads = dlsym(h, "openblas_set_num_threads");
		if (threads) threads(1);
	}
	close_shop(&s);
	return h;
}
