/*
 * A log as a caller sees it: files one after another, columns by name, every header checked.
 *
 * What the reader and the statistics pass have in common: neither knows about files, headers or separators.
 */
#ifndef MTL_LOG_H
#define MTL_LOG_H
#include "csv.h"
#include "reader.h"

/* A column somebody wants; several features may want the same one. */
typedef struct {
	const char *name;
	const char *what; /* "feature", "label", ...: for messages */
	bool optional;	  /* may be absent from some files, not from all */
	bool seen;	  /* some header has it */
} MtlWant;

typedef struct {
	const MtlSys *sys;
	const char *const *path;
	int n_path, at; /* at: file in work */
	MtlFormat format;
	bool format_given;
	MtlWant *want;
	int n_want;
	int64_t *field; /* [n_want] index of the cell in this file's records, -1: absent */
	MtlCsv csv;
	bool blanks;  /* each line is a row, one without a byte a bad one */
	bool keyless; /* JSON lines, and none so far is an object: the first that is one says the keys */
	bool open, new_header; /* new_header: the record just read is the first under another header */
	char *header;	       /* header of the file in work, as it stood */
	size_t n_header;
	int64_t n_field;
	int64_t bytes_done, bytes_total; /* total -1: unknown */
} MtlLog;

/* What a file's name says of its format. */
MtlFormat mtl_log_format(const char *path);
/* Starts a file whose first record is its header. */
MtlStatus mtl_log_start(MtlCsv *c, const MtlSys *sys, const char *path, MtlFormat f, MtlError *e);
/* n_want columns at most will be asked for.  *l all zero. */
MtlStatus mtl_log_init(MtlLog *l, const MtlSys *sys, int n_want, MtlError *e);
/* Index of the column among those wanted; a name asked for twice is optional only if it is both times. */
int mtl_log_want(MtlLog *l, const char *name, const char *what, bool optional);
/* Checks the headers of all files that can be read twice, then opens the first. */
MtlStatus mtl_log_open(MtlLog *l, const char *const *path, int n_path, MtlFormat format, bool format_given,
		       MtlError *e);
/* The next record, its cells in l->csv.cell; BAD also for a wrong number of cells (code, why, bad_cell in
 * l->csv). */
MtlRowResult mtl_log_next(MtlLog *l, MtlError *e);
/* Cell of a wanted column, or NULL where this file lacks it. */
static inline const MtlCell *mtl_log_cell(const MtlLog *l, int want)
{
	return l->field[want] < 0 ? NULL : &l->csv.cell[l->field[want]];
}
/* "file:line:cell" of the record just read; cell from 1. */
void mtl_log_place(const MtlLog *l, int64_t cell, char *out, size_t n);
void mtl_log_free(MtlLog *l);
/* At most 60 bytes of a cell, control characters as \xNN, for a message. */
typedef struct {
	char s[256];
} MtlExcerpt;
MtlExcerpt mtl_excerpt(const char *p, size_t n);
#endif
