/* Speed and errors of the value functions (mtlc bench -v). */
#ifndef BENCH_FUNCTIONS_H
#define BENCH_FUNCTIONS_H
#include "driver/compile.h"
#include "driver/link.h"

/* Prints the table; false with *error. */
bool bench_functions(const LinkRequest *link, const Target *target, Text *error);
#endif
