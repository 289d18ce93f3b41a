/*
 * Messages that are not about a model's text, one form for all commands: "mtlc: error: ...", on stderr.
 * Those about a text come from base/diag, with their places.
 */
#ifndef SAY_H
#define SAY_H
#include "runtime/status.h"

__attribute__((format(printf, 1, 2))) void say_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void say_note(const char *format, ...);
/* What the runtime found; it knows the place: "mtlc: log.csv:3:1: error[D0107]: ...". */
void say_failure(const MtlError *e);
#endif
