/* The journey of a model, from text to modules. */
#ifndef COMPILE_H
#define COMPILE_H
#include "base/diag.h"
#include "front/check.h"
#include "ir/lowering.h"
#include "pass/pass.h"

enum { TARGETS_MAX = 8 };

typedef struct {
	const char *path;
	const char *text; /* NULL to read the file; otherwise what stands in an editor, alive as long as the
			     compilation */
	Defines defines;
	const Target *target[TARGETS_MAX];
	int n_target;
	const char *only_loss; /* NULL, or the one loss that is kept: a task by itself */
	bool scorer;	       /* scoring only */
	bool blas;	       /* products of matrices by a library */
	bool f64;	       /* a program that computes in double precision */
	Precision precision;   /* of dense layers when scoring */
	const Range *range;    /* of their inputs, by parameter (pass_precision), or NULL */
	bool ranges;	       /* these are what is to be found: as outputs (pass_ranges) */
	bool hold;	       /* for gradcheck: stopped values are inputs (pass/hold.c) */
	const char *dump;      /* stage after which to print and stop, or NULL */
} CompileRequest;

typedef struct {
	Arena *arena;
	StrTab *str;
	Sources sources;
	Diag *diag;
	Ast *ast, *prelude;
	Spec *spec;
	Graph *train, *serve, *watch, *split;
	int64_t request, item;	/* floats of REQUEST, of a row of ITEM */
	VEC(Lowered *) lowered; /* per target */
	Text dump;		/* what was asked for */
	bool dumped;
	Str digest;
} Compilation;

void compilation_init(Compilation *c);
void compilation_free(Compilation *c);
/* Parses and checks.  False: the author has been told why (diag). */
bool compile_front(Compilation *c, const CompileRequest *r);
/* Of what that left, the graphs of scoring.  False: a dump was asked for and made. */
bool compile_serving(Compilation *c, const CompileRequest *r);
/* Index among Spec.watch of what a loss is of; -1: nothing that is watched.  The graph is shared already. */
int loss_watch(const Spec *s, int loss);
/* All of it.  False: errors in diag.  c->dumped: stopped after the stage that was asked for. */
bool compile(Compilation *c, const CompileRequest *r);
/* Stages `--dump` knows, for messages: NULL-terminated. */
extern const char *const compile_stages[];
#endif
