/*
 * A float as the shortest decimal text that reads back as the same float.
 */
#ifndef MTL_SHORTEST_H
#define MTL_SHORTEST_H

enum { MTL_FLOAT_TEXT = 32 };

/*
 * Writes x and a '\0', returns the length, at most 16.  Among the shortest texts that round to x the nearest
 * to x. 0.25, 3, 1e-06: plain from 1e-5 up to 999999999, with an exponent of two digits beyond.  "-0", "nan",
 * "inf", "-inf". Never the locale.
 */
int mtl_print_float(char *out /* >= MTL_FLOAT_TEXT */, float x);
#endif
