/*
 * How the runtime says that something went wrong: a status and one message, never a print, never an exit.
 */
#ifndef MTL_STATUS_H
#define MTL_STATUS_H
#include <stdarg.h>

/* Values are the exit codes of the programs. */
typedef enum {
	MTL_OK = 0,
	MTL_NO = 1, /* the answer is "no" */
	MTL_USAGE = 2,
	MTL_SPEC = 3,
	MTL_DATA = 4,	 /* data rejected */
	MTL_REFUSED = 5, /* model or checkpoint refused */
	MTL_SYSTEM = 6,	 /* cannot open, disk full */
	MTL_NUMBERS = 7, /* NaN or Inf, divergence */
	MTL_LIMIT = 8,	 /* memory, time, size */
	MTL_INTERRUPTED = 130,
} MtlStatus;

/* The first error of a call.  `text` is complete: place, code and reason, without a newline. */
typedef struct {
	MtlStatus status;
	char code[8]; /* "D0107", "F0003", "" */
	char text[1000];
} MtlError;

/*
 * Fills *e (unless it already holds an error: the first cause wins) and returns `s`.
 * `place` may be NULL; else the text becomes "place: error[code]: message".
 */
MtlStatus mtl_fail(MtlError *e, MtlStatus s, const char *code, const char *place, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
#endif
