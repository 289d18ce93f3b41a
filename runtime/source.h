/*
 * The rows of a log: from the log, or from its pack where one is kept; then the first reading makes it.
 */
#ifndef MTL_SOURCE_H
#define MTL_SOURCE_H
#include "pack.h"

typedef struct {
	MtlReader *reader; /* one of the two */
	MtlPack *pack;
	MtlPacker *packer; /* beside the reader; NULL: nothing is kept */
	bool ended;
} MtlSource;

/* As mtl_reader_open.  A pack that is damaged is written anew. */
MtlStatus mtl_source_open(MtlSource *s, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
			  const char *const *path, int n_path, const MtlReaderOptions *o, MtlError *e);
/* mtl_codes_from_data, from the cache where these statistics were taken before. */
MtlStatus mtl_source_codes(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *const *path,
			   int n_path, const MtlReaderOptions *o, MtlError *e);
MtlStatus mtl_source_next(MtlSource *s, MtlBatch *b, MtlError *e);
const MtlRowCounts *mtl_source_counts(const MtlSource *s);
double mtl_source_progress(const MtlSource *s);
MtlStatus mtl_source_close(MtlSource *s, MtlError *e);
#endif
