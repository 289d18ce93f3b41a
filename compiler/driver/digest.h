/* The identity of a model's structure: what a model file must fit. */
#ifndef DIGEST_H
#define DIGEST_H
#include "ir/spec.h"

/* Hex; equal exactly when inputs, parameters and tables have equal names, kinds and shapes. */
Str digest(Spec *s);
#endif
