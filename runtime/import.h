/*
 * Weights of outside origin: a safetensors file and a map from its names to the model's.
 */
#ifndef MTL_IMPORT_H
#define MTL_IMPORT_H
#include "instance.h"

/*
 * Fills every parameter and table of `in`, whose memory is taken.  Lines of the map: `theirs = ours`, with
 * `transposed` behind it where theirs is [out, in]; `theirs = -` for what is left out; `#` to the line's end.
 * Names that are equal need no line.  Nothing is guessed: a tensor that is missing, left over, of another
 * shape or not finite is an error.
 */
MtlStatus mtl_import(MtlInstance *in, const char *weights, const char *map, MtlError *e);
#endif
