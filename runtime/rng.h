/*
 * Random numbers by counting: the number at a place is a function of (seed, stream, index) and of nothing
 * before it.
 *
 * Only integer arithmetic and +, -, *, / and sqrt of doubles are used, all exactly rounded, so that the same
 * numbers come from every compiler and C library (compiled without contraction of a * b + c, as the runtime
 * is).
 */
#ifndef MTL_RNG_H
#define MTL_RNG_H
#include "model.h"
#include "real.h"
#include <stdint.h>

/* 64 random bits. */
uint64_t mtl_mix(uint64_t seed, uint64_t stream, uint64_t index);
/* In [0, 1), a multiple of 2^-53. */
double mtl_uniform(uint64_t seed, uint64_t stream, uint64_t index);
/* Mean 0, deviation 1, never beyond 8.6.  Takes its bits from the indices 2 * (index / 2) and the next. */
double mtl_normal(uint64_t seed, uint64_t stream, uint64_t index);
/*
 * Dropout factors of `rows` rows of `width`, the first being row `first_row` of the stream: 0 with
 * probability p, else 1 / (1 - p).  p <= 0 gives only 1, p >= 1 only 0.
 */
void mtl_dropout_fill(mtl_real *out, int64_t rows, int width, double p, uint64_t seed, uint64_t stream,
		      uint64_t first_row);
/*
 * Samples of the logistic distribution, log u - log(1 - u), u uniform in (0, 1), at the places of
 * mtl_dropout_fill.
 */
void mtl_logistic_fill(mtl_real *out, int64_t rows, int width, uint64_t seed, uint64_t stream,
		       uint64_t first_row);
/* 0 .. n - 1 in random order; *state is the generator's, which goes on with the next call. */
void mtl_shuffle(int64_t *order, int64_t n, uint64_t *state);
/*
 * Fresh values for a parameter of [rows, dim] whose rows lie `stride` floats apart.  They depend on the seed,
 * the name and the place within the parameter, so a table that grows keeps the values of its first rows.
 */
void mtl_init_fill(mtl_real *out, int64_t rows, int64_t dim, int64_t stride, const MtlInit *init,
		   uint64_t seed, const char *name);
#endif
