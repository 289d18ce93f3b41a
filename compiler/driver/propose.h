/* A model proposed for a log: what its columns seem to be, each with the reason. */
#ifndef PROPOSE_H
#define PROPOSE_H
#include "base/text.h"
#include "runtime/status.h"
#include <stdint.h>

/* Looks at the first `rows` rows of the log and writes the text of a model; *note: a line for stderr, or
 * empty. */
MtlStatus propose(const char *path, int64_t rows, const char *name, Text *out, Text *note, MtlError *e);
#endif
