/*
 * Decimal text to a correctly rounded double: what a cell may say where a number is expected.
 */
#ifndef MTL_NUMBER_H
#define MTL_NUMBER_H
#include <stdbool.h>
#include <stddef.h>

/*
 * [+-] digits [. digits] [e [+-] digits], at least one digit before or after the point, and nothing else: no
 * spaces, no nan, inf, hexadecimal or thousands separators, never the locale.  false also for what overflows
 * a double and for text of 1000 bytes and more.  *out is untouched on false.
 */
bool mtl_number(const char *p, size_t n, double *out);
#endif
