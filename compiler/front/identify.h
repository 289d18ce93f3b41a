/*
 * Which heads can be learnt from the losses at all: the rank of d(trained probabilities) / d(heads).
 *
 * Leaves  warnings M0501 (no loss reaches a head) and M0502 (heads learnt only in combination).
 */
#ifndef IDENTIFY_H
#define IDENTIFY_H
#include "base/diag.h"
#include "ir/event.h"

/* What one loss sees: a probability, or the full likelihood of some events. */
typedef struct {
	Derived prob; /* ok; ignored when n_joint > 0 */
	int n_joint;
	const int *joint; /* events */
} Trained;

/* Without any loss there is nothing to say: no messages. */
void identify_check(const Events *e, int n_trained, const Trained *t, Diag *d);
/* The rank at generic points and, in loose[head], which heads a change of the others can make up for (may be
 * NULL). */
int identify_rank(const Events *e, int n_trained, const Trained *t, bool *loose);
#endif
