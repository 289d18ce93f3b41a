/* Speed of embedding tables (mtlc bench -v). */
#ifndef BENCH_TABLES_H
#define BENCH_TABLES_H
#include "driver/compile.h"
#include "driver/link.h"

/* Prints the table; false with *error. */
bool bench_tables(const LinkRequest *link, const Target *target, Text *error);
#endif
