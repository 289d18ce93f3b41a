/* A scorer as one C file that needs the C library alone. */
#ifndef EMIT_ALONE_H
#define EMIT_ALONE_H
#include "emit/emit_model.h"

/* What a feature's code is made of, from the spec or the data. */
typedef struct {
	const char *const *word;
	int n_word;
	const double *edge;
	int n_edge;
	double shift, scale;
} EmitCode;

/* The numbers of a trained model; NULL where scoring does without. */
typedef struct {
	const EmitCode *code;	   /* per feature */
	const float *const *param; /* per parameter */
	const float *const *table; /* per table: its records, which are words where they are narrow */
	const int64_t *rows;	   /* per table */
} EmitNumbers;

void emit_alone(Text *o, const EmitModel *m, const EmitNumbers *n);
/* For emit_model: a module whose functions are nobody's business outside; and the machines for which variant
 * i of n is. */
void emit_static_c(Text *o, const Mod *m);
void emit_when(Text *o, const Target *t, int i, int n);
#endif
