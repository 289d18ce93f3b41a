/*
 * Entries of a lowered model on random data, without a runtime: in the interpreter (double, or float with the
 * emitted code's bits) and as compiled kernels.  For gradient checks, benchmarks and tests.
 */
#ifndef HARNESS_H
#define HARNESS_H
#include "ir/lowering.h"

typedef enum { RUN_DOUBLE, RUN_FLOAT, RUN_KERNEL } RunMode;

typedef struct {
	SlotKind kind;
	int index;
	Elem elem;
	int64_t n;
	double *d;    /* interpreter's copy (f32) */
	float *f;     /* kernels' copy */
	double *wide; /* kernels' copy where they compute in double precision; then f is NULL */
	int32_t *i;   /* i32: one copy for all */
} Buffer;

typedef struct {
	Arena *arena;
	Spec *spec;
	const Lowered *low;
	void *lib; /* of link_load, or NULL */
	int64_t rows;
	int64_t table_rows; /* ids stay below; tables are cut to it */
	VEC(Buffer) buffer;
	int64_t groups;	    /* of rows, where an entry asks for them */
	int only;	    /* loss that alone counts in harness_step's total, plus 1; 0: all */
	VEC(int64_t) steps; /* of each sequence */
	char fault[512];
} Harness;

/* Random parameters, rows and labels in keeping with the event tree; the same for the same seed. */
Harness *harness_new(Arena *a, Spec *s, const Lowered *low, void *lib, int64_t rows, uint64_t seed);
Buffer *harness_buffer(Harness *h, SlotKind kind, int index); /* NULL: no entry asks for it */
/* Runs one entry; false with h->fault (interpreter) or when it is absent. */
bool harness_run(Harness *h, RunMode mode, int entry, const int64_t *size);
/* The rows of a step, through all meetings. */
bool harness_rows(Harness *h, RunMode mode);
/*
 * One training step without update: pre, count, INV, step, post.  Leaves LOSS, GRAD, DROWS; returns the
 * weighted total loss (NaN on a fault).
 */
double harness_step(Harness *h, RunMode mode);
/* Copies doubles to floats and floats back, so that both start from the same rounded numbers. */
void harness_sync(Harness *h);
void *harness_memory(const Buffer *b); /* what kernels are handed */
double harness_get(const Buffer *b, RunMode mode, int64_t i);
void harness_set(Buffer *b, int64_t i, double x);
double harness_random(uint64_t *state); /* uniform in [0, 1) */
#endif
