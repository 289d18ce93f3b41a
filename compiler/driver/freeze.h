/* Weights for a standalone scorer: of a model file, what scoring needs. */
#ifndef FREEZE_H
#define FREEZE_H
#include "ir/lowering.h"

/*
 * Reads `model`, refuses what does not fit (exit code 5, or 6), writes `out`.  report: may be NULL; what was
 * kept and what was dropped of inputs, parameters and tensors, and why.
 */
int freeze_weights(const Spec *s, const Lowered *scoring, Str digest, const char *model, const char *out,
		   Text *report, Text *error);
#endif
