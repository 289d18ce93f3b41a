/* `check -v`: what the compiler knows of a model, for its author. */
#ifndef REPORT_H
#define REPORT_H
#include "driver/compile.h"
#include <stdio.h>

void report_model(const Compilation *c, FILE *to);
#endif
