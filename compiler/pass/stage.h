/*
 * Meetings: where rows of a batch wait for each other.
 *
 * A value of a row may depend on sums over all rows.  The number of such meetings behind it is its stage: all
 * rows go through stage 0, their sums are added up, row-free values are made of them (meeting 1), all rows go
 * through stage 1, and so on.  What a later stage needs of an earlier one is kept for the whole batch, but
 * for what is cheaper to make again.  A graph without a meeting has one stage.
 */
#ifndef PASS_STAGE_H
#define PASS_STAGE_H
#include "ir/graph.h"

typedef enum {
	PHASE_PRE,
	PHASE_ROW,
	PHASE_SUM /* a sum over rows: computed with the rows, used after */,
	PHASE_POST
} Phase;

typedef struct {
	int n; /* stages; 1: no row waits for others */
	Phase *phase;
	/* The rest per node, of ROW, SUM and POST. */
	int *stage;  /* computed with the rows of this stage, or (POST) of sums up to it */
	bool *again; /* ROW: computed anew in each stage that needs it */
	bool *kept;  /* ROW: a later stage reads what its own stage computed */
	bool *met;   /* SUM, POST: rows of a later stage read it */
	bool *early; /* SUM: something met is made of it, so it is added up before the next stage */
} Stages;

/* walk: walk_of(g). */
Stages stages_of(Arena *a, const Graph *g, const int *walk);
bool stage_is_sum(OpCode op);
#endif
