/*
 * A model in memory: kernels chosen for this machine, codes, parameters, tables.
 *
 * Life: init (variant, codes from the spec) - codes complete (a file, or statistics) - memory - load or fresh
 * - pack.
 */
#ifndef MTL_INSTANCE_H
#define MTL_INSTANCE_H
#include "encode.h"
#include "model.h"
#include "real.h"
#include "store.h"

/* Metadata of a model file. */
#define MTL_META_MODEL	  "mtlc.model"
#define MTL_META_DIGEST	  "mtlc.digest"
#define MTL_META_COMPILER "mtlc.compiler"
#define MTL_META_CODES	  "mtlc.codes"
#define MTL_META_HEADER	  "xxh3.header" /* digest of the header, which store.c writes */
#define MTL_META_STATE	  "mtlc.state"	/* of training, JSON: checkpoint.h */

typedef struct {
	const MtlSys *sys;
	const MtlModel *m;
	const MtlVariant *variant;
	MtlCodes codes;
	mtl_real *param;     /* [n_param] */
	mtl_real *packed;    /* [variant->packed] */
	mtl_real *pre_work;  /* WORK of the entry PRE */
	mtl_real **moment;   /* [dense.n_moment][n_param]; NULL unless the memory is for training */
	mtl_real **table;    /* [n_table][rows * stride]; NULL where a scorer does without */
	bool in_place;	     /* a scorer's: tables that are records there lie in the store, read only */
	bool narrow;	     /* in the store narrow tables are records, else floats as in a model file */
	MtlStore *store;     /* what they lie in, where mtl_instance_open opened it */
	int64_t *table_rows; /* [n_table] */
} MtlInstance;

/* True when the model has no training entries: a standalone scorer. */
bool mtl_model_is_scorer(const MtlModel *m);
/*
 * The best variant this machine runs, or the one named in `forced` ("x86-64-v3", "v3"; NULL and "": no wish).
 * MTL_USAGE when that does not exist or cannot run here, MTL_SYSTEM when nothing can.
 */
MtlStatus mtl_variant_choose(const MtlVariant **out, const MtlModel *m, const char *forced, MtlError *e);

/* Variant (MTL_VARIANT in the environment forces one) and codes; MTL_REFUSED if the ABI is another. */
MtlStatus mtl_instance_init(MtlInstance *in, const MtlSys *sys, const MtlModel *m, MtlError *e);
void mtl_instance_free(MtlInstance *in); /* after a failed init too */
/* Takes the memory, zeroed, once the codes are complete. */
MtlStatus mtl_instance_memory(MtlInstance *in, bool training, MtlError *e);
/* Codes, memory and weights from a file of exactly this model, MTL_REFUSED otherwise.  `where` names it in
 * messages.  A scorer's tables may stay in s, which then has to outlive the instance. */
MtlStatus mtl_instance_load(MtlInstance *in, const MtlStore *s, const char *where, bool training,
			    MtlError *e);
/* The same from a path, or from the weights inside the program where path is NULL (their numbers unseen: they
 * were checked when they were put there); then packs. */
MtlStatus mtl_instance_open(MtlInstance *in, const char *path, MtlError *e);
/* Runs PRE: due after every change of PARAM. */
void mtl_instance_pack(MtlInstance *in);

/* Dimensions as a tensor of the model file has them; table rows must be known. */
MtlTensor mtl_param_tensor(const MtlInstance *in, int param, const mtl_real *block);
MtlTensor mtl_table_tensor(const MtlInstance *in, int table, int moment /* -1: the rows themselves */);
bool mtl_same_shape(const MtlTensor *a, const MtlTensor *b);
/* "[200, 80]" */
const char *mtl_shape_text(const MtlTensor *t, char text[96]);
/* False for what a scorer has no room for. */
bool mtl_param_here(const MtlInstance *in, int param);
bool mtl_table_here(const MtlInstance *in, int table);
#endif
