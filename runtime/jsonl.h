/*
 * JSON lines as records: one object a line, its members as cells under the names of the keys.
 *
 * A string is its text, a number its shortest text, true and false are 1 and 0, null and an absent key an
 * empty cell; the items of an array follow each other with MTL_LIST_BYTE between them (MtlCell.list);
 * anything nested deeper is its own JSON text.  The keys of the first rows are the header.
 */
#ifndef MTL_JSONL_H
#define MTL_JSONL_H
#include "csv.h"

/* As mtl_csv_start; mtl_csv_next, _stop and _free go on from there. */
MtlStatus mtl_jsonl_start(MtlCsv *c, const MtlSys *sys, const char *path, MtlError *e);
/* Index of a key that need not be in the first rows; -1: not a JSON file, or no memory. */
int64_t mtl_jsonl_key(MtlCsv *c, const char *name);

enum { MTL_JSON_NUMBER = 40 };
struct json_t;
/* The cell's text of a value that is neither array nor object (those: NULL); it lies in the value or in text.
 */
const char *mtl_jsonl_text(const struct json_t *v, char text[MTL_JSON_NUMBER], size_t *n);

/* ---- for csv.c ---- */
/* Keys of the lines in p[0 .. n), as the record; OK, or FAIL. */
MtlRowResult mtl_jsonl_header(MtlCsv *c, const char *p, size_t n, MtlError *e);
/* The line c->raw as a record; BAD: D0117. */
MtlRowResult mtl_jsonl_record(MtlCsv *c, MtlError *e);
void mtl_jsonl_free(MtlJsonl *j);
#endif
