/* Weights for a standalone scorer: of a model file, what scoring needs. */
#ifndef FREEZE_H
#define FREEZE_H
#include "ir/spec.h"

/* Reads `model`, refuses what does not fit (exit code 5, or 6), writes `out`. */
int freeze_weights(const Spec *s, Str digest, const char *model, const char *out, Text *error);
#endif
