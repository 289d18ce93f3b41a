/*
 * What happened in a row: label columns in three-valued logic, then the event tree.
 */
#ifndef MTL_LABEL_H
#define MTL_LABEL_H
#include "model.h"

/* The outcomes that are possible, as a set: bit 0 "no", bit 1 "yes".  So NOT swaps the bits, and the rest is
 * set algebra. */
typedef unsigned char MtlTruth;
enum { MTL_FALSE = 1, MTL_TRUE = 2, MTL_MAYBE = 3 };

/* Kleene value of an event's label over the columns; MTL_MAYBE without a label.  stack: n_label entries. */
MtlTruth mtl_label_value(const MtlEvent *e, const MtlTruth *column, MtlTruth *stack);

typedef struct {
	bool contradiction, mended;
	int event, ancestor; /* the contradiction found first: `event` is true, `ancestor` false */
} MtlTreeFinding;
/*
 * Makes event[n_event] agree with the tree: an event that is true makes its ancestors true, an ancestor that
 * is false makes an event false.  Where a true event has a false ancestor, the policy decides: ZERO (the
 * event is false), FORCE (its ancestors are true); with FAIL and DROP the events are left as they are.
 */
MtlTreeFinding mtl_label_tree(const MtlModel *m, MtlTruth *event);
#endif
