/*
 * The transcendental value functions, in loop form: exp, log, log1p, expm1, sigmoid, tanh, softplus (log(1 +
 * e^x)), logsigmoid (-softplus(-x)).  Without branches, at any lane width, with the same bits at every width
 * and on every machine that has fma.  In double precision their judge is libm.
 *
 * Range: NaN gives NaN; infinities and zeros give the limits; results below 1.2e-38 may be 0.
 */
#ifndef VALUE_H
#define VALUE_H
#include "ir/loop.h"

void values_add(Mod *m);		      /* once, before the functions that call them */
int value_fn(const Mod *m, const char *name); /* for e_call; -1: there is none */
#endif
