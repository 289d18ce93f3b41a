/*
 * Records of a CSV (RFC 4180) or TSV file: cells as spans of bytes, damaged records named and stepped over.
 */
#ifndef MTL_CSV_H
#define MTL_CSV_H
#include "stream.h"

typedef struct {
	const char *p;
	size_t n;
	bool list; /* an array of JSON: its items have MTL_LIST_BYTE between them, whatever the separator of
		      lists */
} MtlCell;

enum { MTL_LIST_BYTE = 0x1f };
/* What stands between the items of the cell. */
static inline char mtl_cell_separator(const MtlCell *c, char otherwise)
{
	return c->list ? (char)MTL_LIST_BYTE : otherwise;
}

typedef struct MtlJsonl MtlJsonl;

typedef enum { MTL_ROW_OK, MTL_ROW_END, MTL_ROW_BAD, MTL_ROW_FAIL } MtlRowResult;

enum { MTL_LONGEST_ROW = 64 << 20 };

typedef struct {
	MtlStream in;
	const MtlSys *sys;
	char separator;
	bool quotes;	  /* TSV has none */
	bool blanks;	  /* a line without a byte is a record all the same; set after the header */
	int64_t max_cell; /* cells beyond are counted, not kept; 0: all are kept */
	char *buf;	  /* text not yet split: buf[at .. end) */
	size_t cap, at, end;
	bool eof;
	char *plain; /* text of cells with doubled quotes, of this record */
	size_t n_plain, cap_plain;
	int64_t line; /* physical line at `at`, from 1 */

	MtlCell *cell; /* the record, until the next call */
	int64_t n_cell, cap_cell;
	const char *raw; /* as it stood, without its line end; n_raw 0 for a record that was too long */
	size_t n_raw;
	int64_t row_line;	/* where it starts */
	MtlJsonl *json;		/* of a JSONL file (jsonl.h): its keys; else NULL */
	const char *code, *why; /* MTL_ROW_BAD: message code and reason, */
	int64_t bad_cell;	/* and cell, from 1 */
} MtlCsv;

/* *c all zero, or stopped before: its buffers are kept.  A UTF-8 byte order mark is skipped. */
MtlStatus mtl_csv_start(MtlCsv *c, const MtlSys *sys, const char *path, char separator, bool quotes,
			MtlError *e);
/*
 * The next record.  Lines without a byte are no records where a record has several cells (max_cell > 1),
 * unless `blanks` says so.
 * BAD: a quote error (the record then ends at its first line end, so that one stray quote does not eat the
 * file), a NUL byte (one in quotes counts as a quote error), or more than MTL_LONGEST_ROW bytes.  FAIL: *e
 * says why.
 */
MtlRowResult mtl_csv_next(MtlCsv *c, MtlError *e);
/* Would the next record have to wait for whoever writes the input? */
bool mtl_csv_waits(const MtlCsv *c);
void mtl_csv_stop(MtlCsv *c);
void mtl_csv_free(MtlCsv *c);
#endif
