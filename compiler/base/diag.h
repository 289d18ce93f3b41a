/*
 * Messages to the author of a model: collected, sorted by place, drawn with carets.
 *
 *   diag_error(d, span, "M0207", "task '%s' needs 1 output, tower '%s' gives %d", ...);
 *   diag_note(d, other, "its last layer is here");
 *   diag_help(d, "add -> dense(1)");
 *
 * A note or help belongs to the message before it.
 */
#ifndef DIAG_H
#define DIAG_H
#include "base/source.h"
#include "base/text.h"
#include <stdbool.h>

typedef struct Diag Diag;

Diag *diag_create(Arena *a, const Sources *s);
void diag_error(Diag *d, Span at, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_warn(Diag *d, Span at, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void diag_note(Diag *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_help(Diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Was this code told with this help already?  One thing that is missing is named once, however often it is
 * missed.
 */
bool diag_helped(const Diag *d, const char *code, const char *help);
int diag_errors(const Diag *d);
int diag_warnings(const Diag *d);
/* All messages, sorted by place, duplicates dropped; colour: ANSI escapes. */
void diag_print(const Diag *d, Text *out, bool colour);
/* One JSON array of {code, severity, file, line, column, end_line, end_column, message, notes, help}. */
void diag_print_json(const Diag *d, Text *out);

/* A bug of ours: prints what, where and what to report, exits 70. */
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
#endif
