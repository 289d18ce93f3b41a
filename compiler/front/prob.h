/*
 * Probability expressions are proven, not believed: which P(of | given) an expression denotes, and how it
 * follows from the heads.
 *
 * Needs   every event, promise of independence and head of the model.
 * Leaves  messages M0410 to M0433 (docs/codes-events.md), or a type with its diagram.
 */
#ifndef PROB_H
#define PROB_H
#include "base/diag.h"
#include "ir/event.h"

/* Types an expression by cells.  false: the author was told.  `P(click) * P(buy | click)` gets the very
 * diagram of `P(buy)`. */
bool prob_check(const Events *e, const Prob *p, Diag *d, ProbType *out);

/*
 * One head by itself: it can happen, it is not certain, its condition can hold, and none of Events.head
 * before it (those declared so far) is for the same.  false: told.
 */
bool head_check(const Events *e, const Head *h, Diag *d);
/* All heads together: head_check of each, and none follows from the others.  false: told. */
bool heads_check(const Events *e, Diag *d);
#endif
