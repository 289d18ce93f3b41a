/*
 * Scoring a log: one line out per row in, in order, in constant memory.
 */
#ifndef MTL_SCORE_H
#define MTL_SCORE_H
#include "feed.h"
#include "frame.h"
#include "pool.h"
#include "real.h"

typedef enum { MTL_SCORES_CSV, MTL_SCORES_TSV, MTL_SCORES_JSONL } MtlScoresFormat;

typedef struct {
	const char *path; /* "-": stdin */
	const char
	    *request; /* rows of the request's side, each to be scored with every row of `path`; or NULL */
	MtlReaderOptions reader;
	MtlScoresFormat
	    format; /* of the output: passed-through columns, then the outputs; with a header unless JSONL */
	int fd;
	const char *out_name; /* for messages */
	bool (*interrupted)(void *self);
	void *self; /* may be NULL */
} MtlScoreOptions;

typedef struct {
	int64_t rows;
	bool closed; /* the reader of our output has gone: nothing more was written, no error */
	MtlRowCounts counts;
} MtlScoreResult;

MtlStatus mtl_score(MtlScoreResult *r, MtlInstance *in, MtlThreads *pool, const MtlScoreOptions *o,
		    MtlError *e);

/* Outputs of the rows of a batch, [n, n_output], blocks in parallel.  work: [threads] of
 * mtl_rows_scratch(in). */
void mtl_score_batch(const MtlInstance *in, MtlThreads *pool, const MtlBatch *b, mtl_real *const *work,
		     mtl_real *out);
#endif
