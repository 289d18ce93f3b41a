/* Printed code made callable: a module goes through a printer, a compiler and dlopen.  For tests only. */
#ifndef EMITTED_H
#define EMITTED_H
#include "emit/emit.h"
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct {
	const char *name, *cpu; /* the same word for -march and for LLVM */
	int W;
	bool fma;
	const char *more; /* an instruction set beyond, as both spell it, or NULL */
} Variant;

#if defined(__x86_64__)
static const Variant variants[] = {
    {"v2", "x86-64-v2", 4, false, NULL},
    {"v3", "x86-64-v3", 8, true, NULL},
    {"v4", "x86-64-v4", 16, true, NULL},
    {"vnni", "x86-64-v4", 16, true, "avx512vnni"},
};

static bool runs_here(const Variant *v)
{
	__builtin_cpu_init();
	if (v->more && !__builtin_cpu_supports("avx512vnni")) return false;
	if (v->W == 16)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
	return v->W == 8 ? __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
			 : !!__builtin_cpu_supports("sse4.2");
}
#else
static const Variant variants[] = {{"neon", "generic", 4, true, NULL}};
static bool runs_here(const Variant *v) { return v->W == 4; }
#endif
enum { N_VARIANTS = sizeof variants / sizeof *variants };

typedef void (*Entry)(void *const *buf, const int64_t *size);

/* What printed code in double precision calls. */
#define DOUBLES MTL_BUILD_DIR "/libmtlrt64.a"

typedef struct {
	char dir[64];
	int made;
} Workshop;

static Workshop workshop_open(void)
{
	Workshop w = {.dir = "/tmp/mtlc-unit-XXXXXX"};
	if (!mkdtemp(w.dir)) {
		perror(w.dir);
		exit(1);
	}
	return w;
}

static bool run_program(const char *const *argv)
{
	pid_t pid;
	int status;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ)) return false;
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static inline bool have_program(const char *name)
{
	char script[80];
	snprintf(script, sizeof script, "command -v %s >/dev/null", name);
	return run_program((const char *[]){"sh", "-c", script, NULL});
}

static void workshop_close(Workshop *w) { run_program((const char *[]){"rm", "-rf", w->dir, NULL}); }

static void *open_library(const char *path)
{
	void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!h) fprintf(stderr, "%s\n", dlerror());
	return h;
}

/* NULL: the compiler refused. */
static void *through_c(Workshop *w, const Mod *m, const Variant *v, const char *cc, bool expand)
{
	char source[96], library[96], march[32], more[32] = "-DMTL_TEST";
	int n = w->made++;
	snprintf(source, sizeof source, "%s/%d.c", w->dir, n);
	snprintf(library, sizeof library, "%s/%d.so", w->dir, n);
	snprintf(march, sizeof march, "-march=%s", v->cpu);
	if (v->more) snprintf(more, sizeof more, "-m%s", v->more);
	Text text = {0};
	emit_c(m, &text, expand);
	FILE *f = fopen(source, "w");
	bool ok = f && fwrite(text.at, 1, text.n, f) == text.n && !fclose(f);
	text_free(&text);
	const char *argv[] = {cc,	 "-O2",
			      "-Wall",	 "-Wno-unknown-pragmas",
			      "-Werror", "-ffp-contract=off",
			      "-fPIC",	 "-shared",
			      "-o",	 library,
			      source,	 march,
			      DOUBLES,	 "-Wno-psabi",
			      "-lm",	 more,
			      NULL};
#if !defined(__x86_64__)
	argv[11] = "-lm";
#endif
	return ok && run_program(argv) ? open_library(library) : NULL;
}

static inline void *through_llvm(Workshop *w, const Mod *m, const Variant *v)
{
	char object[96], library[96];
	int n = w->made++;
	snprintf(object, sizeof object, "%s/%d.o", w->dir, n);
	snprintf(library, sizeof library, "%s/%d.so", w->dir, n);
	char features[32] = "";
	if (v->more) snprintf(features, sizeof features, "+%s", v->more);
	EmitTarget t = {.cpu = v->cpu, .features = features, .level = 1};
	Text error = {0};
	bool ok = emit_llvm(m, &t, EMIT_OBJECT, object, &error);
	if (!ok) fprintf(stderr, "%s\n", error.at);
	text_free(&error);
	const char *argv[] = {"cc", "-shared", "-o", library, object, DOUBLES, "-lm", NULL};
	return ok && run_program(argv) ? open_library(library) : NULL;
}

static Entry entry(void *library, const Mod *m, const char *fn)
{
	char name[128];
	snprintf(name, sizeof name, "%s_%s", m->name, fn);
	Entry e;
	*(void **)&e = library ? dlsym(library, name) : NULL;
	return e;
}

/* Prints every fault; true: there is none. */
static bool verified(const Mod *m)
{
	Text faults = {0};
	int n = mod_verify(m, &faults);
	if (n) fputs(faults.at, stderr);
	text_free(&faults);
	return n == 0;
}
#endif
