/*
 * Numbers of the types that files of other origin hold, and how they become ours.
 */
#ifndef MTL_DTYPE_H
#define MTL_DTYPE_H
#include "real.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	const char *name; /* as safetensors writes it */
	size_t bytes;
	bool number; /* it can become a parameter; else its size alone is known */
} MtlDtype;

const MtlDtype *mtl_dtype(const char *name); /* NULL: unknown */
const MtlDtype *mtl_dtype_own(void);
/* No NaN and no infinity among the n at p, of any alignment. */
bool mtl_dtype_finite(const MtlDtype *t, const char *p, int64_t n);
/* Rounded to the nearest.  The index of the first that is too large for ours, or -1. */
int64_t mtl_dtype_convert(const MtlDtype *t, const char *p, int64_t n, mtl_real *to);
#endif
