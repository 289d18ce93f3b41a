/*
 * From cell to number: hashing, vocabularies, buckets, normalisers.  The same code in trainer and scorer.
 *
 * MtlCodes holds what the model file says beyond the spec: vocabularies, edges and normalisers taken from data.
 */
#ifndef MTL_ENCODE_H
#define MTL_ENCODE_H
#include "model.h"
#include "status.h"
#include "sys.h"

/* What one feature needs at run time, from the spec or from statistics. */
typedef struct {
	char **vocab; int64_t n_vocab;     /* VOCAB, VOCAB_AUTO, in table order */
	double *edges; int64_t n_edges;    /* BUCKET, QUANTILES */
	double shift, scale;               /* value' = (f(value) - shift) * scale */
	void *index;                       /* hash index over vocab */
} MtlCodeBook;

typedef struct {
	MtlCodeBook *book;                 /* [n_feature] */
	bool complete;                     /* false while statistics are needed and not there yet */
} MtlCodes;

/* From the spec alone; complete unless some feature needs statistics. */
MtlStatus mtl_codes_init(MtlCodes *c, const MtlSys *sys, const MtlModel *m, MtlError *e);
void mtl_codes_free(MtlCodes *c, const MtlSys *sys, const MtlModel *m);
bool mtl_codes_need_data(const MtlModel *m);
/* One pass over the files for automatic vocabularies, quantiles, standard and minmax. */
MtlStatus mtl_codes_from_data(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *const *path, int n_path, MtlError *e);
/* Rows of table t once the codes are complete. */
int64_t mtl_table_rows(const MtlModel *m, const MtlCodes *c, int t);
/* To and from the text stored in the model file's metadata (JSON).  A text that does not fit the model is MTL_REFUSED. */
char *mtl_codes_to_json(const MtlCodes *c, const MtlSys *sys, const MtlModel *m); /* mtl_release it; NULL: no memory */
MtlStatus mtl_codes_from_json(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *text, MtlError *e);
#endif
