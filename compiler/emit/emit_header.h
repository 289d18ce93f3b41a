/* A scorer as a library: its C header, and the functions behind it. */
#ifndef EMIT_HEADER_H
#define EMIT_HEADER_H
#include "emit/emit_model.h"

/* What every name of the library begins with: the model's name, with '_' added where C has another use for
 * it. */
Str library_prefix(const Spec *s);
/* "esmm.h" */
void emit_header(Text *o, const EmitModel *m);
/* The functions of that header, to stand behind the constant data of the model. */
void emit_doors(Text *o, const EmitModel *m);
/* Names of those functions, NULL at the end. */
extern const char *const library_functions[];
#endif
