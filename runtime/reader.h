/*
 * Logs: CSV, TSV and JSONL, plain, gzip or zstd by magic bytes, files in a row or stdin, larger than
 * memory. Columns by name.  Row policy and messages as the contract says.
 */
#ifndef MTL_READER_H
#define MTL_READER_H
#include "batch.h"
#include "encode.h"

typedef enum { MTL_CSV, MTL_TSV, MTL_JSONL } MtlFormat;
typedef enum { MTL_BAD_FAIL, MTL_BAD_SKIP, MTL_BAD_NULL } MtlBadRows;
typedef enum { MTL_BOTH_SIDES, MTL_REQUEST_SIDE, MTL_CANDIDATE_SIDE } MtlSides;

typedef struct {
	bool labels; /* false: scoring: label, weight, group and train_only columns are neither needed nor
			read */
	MtlFormat format;
	bool format_given; /* false: by the name (.tsv, .jsonl, .tsv.gz, ...), else CSV */
	MtlBadRows bad_rows; /* NULL: blank lines are bad rows too, so that each line in is a row out */
	bool prompt;	     /* a batch ends where the input would have to be waited for */
	int64_t max_bad_rows; /* SKIP: one more than this is an error; < 0: no limit */
	const char *rejects;  /* SKIP: file that receives the rejected rows as they stood, with their header;
				 or NULL */
	const char *cache;    /* folder of packed logs (source.h), or NULL */
	const char *const *passthrough;
	int n_passthrough;
	MtlSides sides; /* features of one side may be all that the rows have */
} MtlReaderOptions;

/* How many rows met which fate: the closing line. */
typedef struct {
	int64_t read, used, rejected;
	int64_t bad_number, bad_label, bad_weight, bad_list,
	    bad_shape /* wrong number of cells, quote errors */, missing_value,
	    contradiction /* rejected for it */;
	int64_t repaired;  /* contradictions mended by on_contradiction zero or force */
	int64_t dropped;   /* contradictions dropped by on_contradiction: drop */
	int64_t truncated; /* lists cut at max_items */
} MtlRowCounts;

typedef struct MtlReader MtlReader;

/*
 * path "-" is stdin.  Checks the headers of all files that can be read twice (a label column must be in one
 * of them, every other column in each) and opens the first; pipes and stdin are checked when they are
 * reached, the labels then at their end.  *out is NULL on failure.  m, c, the paths and the names in o
 * outlive the reader.
 */
MtlStatus mtl_reader_open(MtlReader **out, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
			  const char *const *path, int n_path, const MtlReaderOptions *o, MtlError *e);
/* Replaces the content of *b with up to b->cap rows; b->n = 0 at the end. */
MtlStatus mtl_reader_next(MtlReader *r, MtlBatch *b, MtlError *e);
/* The number of a class; -1: the cell says none. */
int mtl_sample_class(const MtlSample *s, const char *p, size_t n);
const MtlRowCounts *mtl_reader_counts(const MtlReader *r);
/* Share of the input consumed, 0 .. 1, by bytes of the files; < 0 when unknown (stdin). */
double mtl_reader_progress(const MtlReader *r);
/* Also closes the rejects file; its failure is reported.  r may be NULL. */
MtlStatus mtl_reader_close(MtlReader *r, MtlError *e);
#endif
