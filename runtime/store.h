/*
 * The model file: safetensors in a strict profile (docs/formats.md).  Tensors are f32 (of a
 * --double program: f64), in the weights of a scorer of reduced precision BF16 and I8 too; metadata is text.
 *
 * A reader refuses whatever it does not understand entirely: MTL_REFUSED, never a different number.
 */
#ifndef MTL_STORE_H
#define MTL_STORE_H
#include "real.h"
#include "status.h"
#include "sys.h"
#include <stdint.h>

typedef struct {
	const char *name;
	int n_dim; /* 0 .. 4; 0 is a scalar */
	int64_t dim[4];
	/* Rows may lie apart in memory: row r of the first dimension at data + r * stride; stride 0: dense.
	 */
	const mtl_real *data;
	int64_t stride;
	const char *type; /* NULL: such numbers; else data are of this dtype: "BF16", "I8" */
} MtlTensor;

typedef struct {
	const char *key, *value;
} MtlMeta;

/*
 * Writes atomically: temporary name in the same folder, fsync, rename, fsync of the folder.  XXH3 digests of
 * every tensor and of the header are added to the metadata ("xxh3.NAME", "xxh3.header").  The same content
 * gives the same bytes.
 */
MtlStatus mtl_store_write(const MtlSys *sys, const char *path, const MtlTensor *t, int n, const MtlMeta *meta,
			  int n_meta, MtlError *e);

typedef struct MtlStore MtlStore;
/* Reads and checks the whole file: header profile, tiling, names, sizes, digests (required unless `foreign`),
 * finite numbers. */
MtlStatus mtl_store_open(MtlStore **out, const MtlSys *sys, const char *path, bool foreign, MtlError *e);
/* `foreign`, and tensors of types that are no numbers of ours (I64, BOOL) are there, without data. */
MtlStatus mtl_store_open_outside(MtlStore **out, const MtlSys *sys, const char *path, MtlError *e);
/* The same of a scorer's weights, before they are put into it: some may be narrow. */
MtlStatus mtl_store_open_weights(MtlStore **out, const MtlSys *sys, const char *path, MtlError *e);
/* mtl_store_open_weights over bytes in memory that outlive the store (weights inside the program); `name` for
 * messages. */
MtlStatus mtl_store_open_memory(MtlStore **out, const MtlSys *sys, const void *p, size_t n, const char *name,
				MtlError *e);
/* The same, but the numbers are not looked at: the header is checked, with its digest, and no page of the
 * data is touched.  For weights that were checked when they were put into the program. */
MtlStatus mtl_store_open_trusted(MtlStore **out, const MtlSys *sys, const void *p, size_t n, const char *name,
				 MtlError *e);
void mtl_store_close(MtlStore *s);
bool mtl_store_converted(const MtlStore *s); /* some numbers of the file are of other types: `foreign` only */
const char *mtl_store_type(const MtlStore *s, int i); /* of a tensor, in the file: "F32" */
int mtl_store_count(const MtlStore *s);
const MtlTensor *mtl_store_tensor(const MtlStore *s, int i);	      /* in file order */
const MtlTensor *mtl_store_find(const MtlStore *s, const char *name); /* NULL */
const char *mtl_store_meta(const MtlStore *s, const char *key);	      /* NULL */
/* Writes the tensor's row-major floats into dst (rows `stride` floats apart; 0: dense). */
void mtl_store_copy(const MtlTensor *t, mtl_real *dst, int64_t stride);
#endif
