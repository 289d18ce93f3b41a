/* The numbers of a trained model, for a scorer that is one C file. */
#ifndef NUMBERS_H
#define NUMBERS_H
#include "driver/compile.h"
#include "emit/emit_alone.h"
#include "runtime/store.h"

/* Those in the model file at `path`, which freeze_weights has made.  0 or a status with *error; *store keeps
 * them. */
int numbers_read(const Compilation *c, const char *path, EmitNumbers *out, MtlStore **store, Text *error);
#endif
