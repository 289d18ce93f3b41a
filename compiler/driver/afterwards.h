/*
 * Columns that tell what they should not know yet: wherever an event did not happen they all hold the same,
 * or nothing, and where it did they do not.  Such a column was most likely written after the event.
 */
#ifndef AFTERWARDS_H
#define AFTERWARDS_H
#include "base/arena.h"
#include "runtime/label.h"

typedef struct {
	int n_feature, n_event;
	struct Trace *at; /* [n_feature][n_event] */
} Afterwards;

void afterwards_init(Afterwards *a, Arena *arena, int n_feature, int n_event);
/* A cell of feature f in a row with these outcomes. */
void afterwards_see(Afterwards *a, int f, const char *cell, size_t n, const MtlTruth *event);
/* Whether f looks as if it was written after event e; *same: what stands in it where e did not happen. */
bool afterwards_of(const Afterwards *a, int f, int e, const char **same);
#endif
