/* `check -v`: what the compiler knows of a model, for its author. */
#ifndef REPORT_H
#define REPORT_H
#include "driver/compile.h"
#include <stdio.h>

/* Dense parameters, numbers in tables whose size is known, multiply-adds of a row. */
void report_sizes(const Spec *s, int64_t sizes[3]);
void report_model(const Compilation *c, FILE *to);
/* What of scoring is done once per request, once per candidate whatever the request, and for each pair. */
void report_sides(const Compilation *c, FILE *to);
#endif
