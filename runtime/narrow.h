/*
 * Rows of tables in reduced precision.
 *
 * A record holds floats' worth of bytes.  bf16: the numbers, each rounded to the nearest (ties to even), two
 * bytes a number.  int8: the float s = max |x| / 127 of the row (1 where all are 0), then a signed byte
 * q = x / s, rounded likewise, a number; x = q s in single precision.  The rest of a record is 0.
 */
#ifndef MTL_NARROW_H
#define MTL_NARROW_H
#include "model.h"
#include "real.h"
#include <stdbool.h>
#include <stdint.h>

/* The dtype of records in a scorer's weights: "BF16", "I8"; NULL: floats. */
const char *mtl_narrow_type(const MtlTable *t);
int64_t mtl_narrow_items(const MtlTable *t); /* of that dtype, in a record */
/* Of `rows` rows of t->dim numbers that lie together.  Both: false, a number is beyond what bf16 can say. */
bool mtl_narrow_records(const MtlTable *t, const mtl_real *x, int64_t rows, void *record);
/* Rounds rows, t->stride apart, to what their records would say. */
bool mtl_narrow_round(const MtlTable *t, mtl_real *x, int64_t rows);
#endif
