/*
 * A float as the shortest decimal text that reads back as the same float.
 */
#ifndef MTL_SHORTEST_H
#define MTL_SHORTEST_H
#include "real.h"

enum { MTL_FLOAT_TEXT = 32 };

/*
 * Writes x and a '\0', returns the length, at most 16.  Among the shortest texts that round to x the nearest
 * to x. 0.25, 3, 1e-06: plain from 1e-5 up to 999999999, with an exponent of two digits beyond.  "-0", "nan",
 * "inf", "-inf". Never the locale.
 */
int mtl_print_float(char *out /* >= MTL_FLOAT_TEXT */, float x);
/* The same of a double, at most 24 long, in the way of printf's %g. */
int mtl_print_double(char *out /* >= MTL_FLOAT_TEXT */, double x);

static inline int mtl_print_real(char *out, mtl_real x)
{
	return sizeof x == sizeof(float) ? mtl_print_float(out, (float)x) : mtl_print_double(out, (double)x);
}
#endif
