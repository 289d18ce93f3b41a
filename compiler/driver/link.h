/* From modules to files: emission, the C compiler, the linker. */
#ifndef LINK_H
#define LINK_H
#include "driver/compile.h"

typedef struct {
	const char *out;  /* path, or the stem when several kinds are emitted */
	const char *emit; /* "exe", or a list */
	bool c_backend, expand;
	int level;	   /* 0 .. 3; -1: default */
	const char *model; /* model file to put inside, or NULL */
	bool dynamic;	   /* a scorer linked against the system's libraries */
	bool serve;	   /* a scorer with a server in it */
	bool verbose;
} LinkRequest;

/* A C file holds kernels for other families of machines too, the most general last: before compile. */
void link_targets(const LinkRequest *l, CompileRequest *r);
/* 0 or an exit code; *error then holds one line. */
int link_program(Compilation *c, const CompileRequest *r, const LinkRequest *l, Text *error);
/* A shared object of the kernels alone, loaded: symbols by dlsym.  NULL with *error. */
void *link_load(Compilation *c, const LinkRequest *l, Text *error);
extern const char mtlc_version[];
#endif
