/*
 * The steps of behaviour sequences, in the order in which kernels go over them.
 *
 * Within a block of MTL_BLOCK rows the steps lie time by time, the rows of one time by falling length (equal
 * lengths in the order of the batch).  So the rows that have a time t are the first of those that have t - 1,
 * and a kernel meets steps that exist and no others.
 */
#ifndef MTL_STEPS_H
#define MTL_STEPS_H
#include <stdint.h>

/*
 * The line of a block: its first step among those of the batch; the length of its longest row; its steps; 0;
 * then, for t = 0 .. max + 1, the place of time t's first step among those of the block (all of them where no
 * row is as long).
 */
enum { MTL_STEP_FIRST, MTL_STEP_LONGEST, MTL_STEP_ALL, MTL_STEP_BEFORE, MTL_STEP_TIME0, MTL_STEP_HEAD = 6 };

typedef struct {
	int32_t *at;	/* [steps] item of each step among those of its field */
	int32_t *row;	/* [n, 2] place of the row by falling length, its length */
	int32_t *block; /* [blocks, max + MTL_STEP_HEAD] */
	int64_t cap;	/* steps there is room for */
} MtlSteps;

/* From the lists' beginnings, start[0] .. start[n]; no list is longer than max.  s has the room. */
void mtl_steps_fill(MtlSteps *s, const int32_t *start, int64_t n, int max);
#endif
