/*
 * From cell to number: hashing, vocabularies, buckets, normalisers.  The same code in trainer and scorer.
 *
 * MtlCodes holds what the model file says beyond the spec: vocabularies, edges and normalisers taken from
 * data.
 */
#ifndef MTL_ENCODE_H
#define MTL_ENCODE_H
#include "model.h"
#include "real.h"
#include "status.h"
#include "sys.h"

/* What one feature needs at run time, from the spec or from statistics. */
typedef struct {
	char **vocab;
	int64_t n_vocab; /* VOCAB, VOCAB_AUTO, in table order */
	double *edges;
	int64_t n_edges;     /* BUCKET, QUANTILES */
	double shift, scale; /* value' = (f(value) - shift) * scale */
	void *index;	     /* hash index over vocab; it owns the words */
} MtlCodeBook;

typedef struct {
	MtlCodeBook *book; /* [n_feature] */
	bool complete;	   /* false while statistics are needed and not there yet */
} MtlCodes;

/*
 * From the spec alone; complete unless some feature needs statistics.  *c all zero; mtl_codes_free is right
 * after a failure too.  The two ways to complete codes below take them from here.
 */
MtlStatus mtl_codes_init(MtlCodes *c, const MtlSys *sys, const MtlModel *m, MtlError *e);
void mtl_codes_free(MtlCodes *c, const MtlSys *sys, const MtlModel *m);
bool mtl_codes_need_data(const MtlModel *m);
/*
 * One pass over the files for automatic vocabularies, quantiles, standard and minmax.  Every cell that can be
 * read counts, whatever the rest of its row; empty cells do not.  Quantiles are exact up to 2^20 values of a
 * column, from there on those of a seeded uniform sample of that many.  standard: mean and deviation (over n)
 * of f(value); minmax: onto 0 .. 1; a constant column becomes 0.  A feature with `share:` brings no
 * statistics of its own. Files that cannot be read twice are MTL_USAGE.
 */
MtlStatus mtl_codes_from_data(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *const *path,
			      int n_path, MtlError *e);
/* Rows of table t once the codes are complete. */
int64_t mtl_table_rows(const MtlModel *m, const MtlCodes *c, int t);
/* To and from the text stored in the model file's metadata (JSON).  A text that does not fit the model is
 * MTL_REFUSED. */
char *mtl_codes_to_json(const MtlCodes *c, const MtlSys *sys,
			const MtlModel *m); /* mtl_release it; NULL: no memory */
MtlStatus mtl_codes_from_json(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *text,
			      MtlError *e);

/* The feature whose code feature f uses: itself, or the one at the end of its `share:` chain. */
int mtl_code_root(const MtlModel *m, int f);
/*
 * Table row of a cell or list item that is not empty; f, b: of the root.  false: BUCKET or QUANTILES, and no
 * number. SIZE reads digits only; everything else is unknown.
 */
bool mtl_code_row(const MtlFeature *f, const MtlCodeBook *b, const char *p, size_t n, int32_t *row);
/* Table row of a number: 2 + number of edges <= value. */
int32_t mtl_code_bucket(const MtlCodeBook *b, double value);
/*
 * What a number becomes: (f(value) - shift) * scale, in double, then rounded to float.  false: no finite
 * float, or log1p of value <= -1 (between -1 and 0 it is the negative number it is).
 */
bool mtl_code_real(const MtlFeature *f, const MtlCodeBook *b, double value, mtl_real *out);
/*
 * Next item of a list, *p moving behind it; empty items are passed over; false at the end.  The text behind
 * the last
 * ':' is the item's weight if it is a number >= 0 that a float holds, otherwise part of the item; weight 1
 * without.
 */
bool mtl_list_item(const char **p, const char *end, char separator, const char **item, size_t *n,
		   mtl_real *weight, bool *weighted);
/*
 * Next step of a field of a sequence, *p moving behind it, to NULL after the last; false at the end.  Its
 * text is taken whole, and is empty where the step has no value.  The cell is not empty: an empty one has no
 * step.
 */
bool mtl_step_item(const char **p, const char *end, char separator, const char **item, size_t *n);
int64_t mtl_steps_count(const char *p, size_t n, char separator); /* how many there are */
/* pool: mean.  Weights become each item's share of their sum, 0 where all are 0; not weighted: all are 1. */
void mtl_list_shares(mtl_real *scale, int64_t n, bool weighted);
#endif
