/* The constant data of a program, as C. */
#ifndef EMIT_MODEL_H
#define EMIT_MODEL_H
#include "ir/lowering.h"

typedef struct {
	const Spec *spec;
	int n; /* variants, best first */
	Lowered *const *variant;
	const char *digest, *compiler;
	bool scorer;
	const char *precision; /* of its dense layers, reduced; or NULL */
	const char *weights;   /* path of the model file to hold inside, or NULL */
	uint64_t n_weights;
	bool server;  /* a scorer that can serve */
	bool alone;   /* part of a C file that holds the runtime and all kernels (emit_alone.h) */
	bool library; /* the doors of a library (emit_header.h) instead of main */
} EmitModel;

/* Does the entry SCORE look at this feature? */
bool scoring_reads(const Spec *s, const Lowered *l, int feature); /* itself, or as a part of a cross */

void emit_model(Text *o, const EmitModel *m);
/* As a string of C; NULL for NULL. */
void emit_quoted(Text *o, const char *s);
#endif
