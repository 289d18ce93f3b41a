/*
 * Model texts and places in them.
 *
 * All files of one compilation share one space of offsets, so a place is two offsets and nothing else.
 * Offset 0 belongs to no file: the empty Span {0, 0} means "nowhere".
 */
#ifndef SOURCE_H
#define SOURCE_H
#include "base/arena.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint32_t lo, hi; /* hi is one past the last byte */
} Span;

typedef struct {
	const char *path;   /* as the user gave it, or relative to the file that named it */
	const char *text;   /* '\0'-terminated */
	uint32_t base, len; /* offsets base .. base + len */
} Source;

typedef struct {
	Arena *arena;
	VEC(Source) file;
} Sources;

typedef struct {
	const Source *file; /* NULL: nowhere */
	int line, column;   /* from 1; column counts bytes */
} Place;

/* `text` must stay alive.  Returns the index of the file. */
int source_add(Sources *s, const char *path, const char *text, uint32_t len);
Place source_place(const Sources *s, uint32_t offset);
Span span_join(Span a, Span b); /* from the first byte of either to the last; an empty one does not count */
#endif
