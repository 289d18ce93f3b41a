/*
 * An encoded log in a file: what the reader makes of a log once, for later epochs and runs.
 *
 * A pack is named by what it was made from, the log's bytes and how the model reads them, and holds both
 * digests; one that is stale or damaged is never used (docs/formats.md).
 */
#ifndef MTL_PACK_H
#define MTL_PACK_H
#include "reader.h"

/* How a model reads its logs, as a digest: columns, codes, labels, policy; not the network behind them. */
typedef struct {
	uint64_t reading, data;
} MtlPackKey;

/* false: these files have no pack (a pipe among them), or the error is set. */
bool mtl_pack_key(MtlPackKey *k, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
		  const char *const *path, int n_path, const MtlReaderOptions *o, MtlError *e);

enum { MTL_PACK_PATH = 4096 };
/* FOLDER/DATA-READING.KIND */
void mtl_pack_path(char out[MTL_PACK_PATH], const char *folder, MtlPackKey k, const char *kind);
/* A small text beside the packs, with a digest before it.  NULL: there is none, or not as it was written. */
char *mtl_pack_read_text(const MtlSys *sys, const char *path);
void mtl_pack_write_text(const MtlSys *sys, const char *path, const char *text);

typedef struct MtlPack MtlPack;
/* NULL: there is none under this key, or it is no whole pack: then *damaged is set. */
MtlPack *mtl_pack_open(const MtlSys *sys, const MtlModel *m, const MtlCodes *c, const char *folder,
		       MtlPackKey k, bool *damaged);
/* As mtl_reader_next.  MTL_REFUSED for a block that is not what was written. */
MtlStatus mtl_pack_next(MtlPack *p, MtlBatch *b, MtlError *e);
const MtlRowCounts *mtl_pack_counts(const MtlPack *p);
double mtl_pack_progress(const MtlPack *p);
void mtl_pack_close(MtlPack *p);

typedef struct MtlPacker MtlPacker;
/* NULL: it cannot be written there, which is no error: a cache is a help. */
MtlPacker *mtl_packer_open(const MtlSys *sys, const MtlModel *m, const char *folder, MtlPackKey k);
void mtl_packer_add(MtlPacker *p, const MtlBatch *b, const MtlRowCounts *counts);
/* whole: the counts at the end of the log: the pack is put in its place, if all was written.  NULL: nothing
 * is left. */
void mtl_packer_close(MtlPacker *p, const MtlRowCounts *whole);
#endif
