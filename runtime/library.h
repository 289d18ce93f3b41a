/*
 * A model inside someone else's program: opened once, scored from any number of threads.
 *
 * The functions of a model's own header (esmm_open, esmm_score, ...) are one line each and end here.  What
 * they are handed are structs of that header, described by MtlDoor; nothing here prints, exits, allocates
 * after the opening, or holds state outside the handle and the caller's workspace.
 */
#ifndef MTL_LIBRARY_H
#define MTL_LIBRARY_H
#include "model.h"

enum {
	MTL_DOOR_ABI = 2,      /* shapes of the types below, in every model's header */
	MTL_DOOR_ITEMS = 4096, /* items of the lists of one feature a workspace holds, at least */
};

/* What a member of the rows is made of.  A list is an MtlDoorList of them. */
typedef enum { MTL_DOOR_TEXT, MTL_DOOR_INTEGER, MTL_DOOR_REAL } MtlDoorType;

typedef struct {
	const char *p; /* bytes, not ended by anything */
	size_t n;      /* 0: missing */
} MtlDoorText;

typedef struct {
	const void *item;    /* [n] of the member's type; missing ones are passed over */
	const float *weight; /* [n] >= 0, or NULL: all 1 */
	size_t n;
} MtlDoorList;

#define MTL_DOOR_MISSING INT64_MIN /* INTEGER; REAL: NaN */

typedef struct {
	int feature;
	MtlDoorType type;
	/* In the struct of rows, and in that of its side: where the pointer to the column lies, in the
	 * request's struct the value itself. */
	size_t in_rows, in_side;
} MtlMember;

/* One model's interface, printed by the compiler. */
typedef struct {
	const MtlModel *model;
	const char *interface; /* hex: equal exactly when members and outputs are */
	const MtlMember *member;
	int n_member;
} MtlDoor;

/* As MtlError (status.h), and as the error of every model's header. */
typedef struct {
	int status;
	char code[8], text[1000];
} MtlDoorError;

typedef struct MtlLibrary MtlLibrary;

/* path NULL: the weights inside.  Refuses a caller compiled for another interface.  *out is NULL on failure.
 */
int mtl_library_open(const MtlDoor *d, int abi, const char *interface, const char *path, MtlLibrary **out,
		     MtlDoorError *e);
void mtl_library_close(MtlLibrary *l);
/* Looks at every number of the weights, and at their digests. */
int mtl_library_verify(const MtlLibrary *l, MtlDoorError *e);
/* What the weights' file says of itself: the digest of its header, which holds the digests of its tensors. */
const char *mtl_library_version(const MtlLibrary *l);
/* Bytes of a workspace; its address and content do not matter.  Any number of rows can be scored in it. */
size_t mtl_library_work_bytes(const MtlLibrary *l);
/* out: [n, n_output].  On an error the rows before the guilty one may have been written. */
int mtl_library_score(const MtlLibrary *l, void *work, const void *rows, size_t n, float *out,
		      MtlDoorError *e);
/* Computes the request's part into the workspace, where it stays until the next request or score. */
int mtl_library_request(const MtlLibrary *l, void *work, const void *request, MtlDoorError *e);
int mtl_library_candidates(const MtlLibrary *l, void *work, const void *rows, size_t n, float *out,
			   MtlDoorError *e);
/* Floats of what depends on the candidate alone; 0: the model has nothing to keep of one. */
size_t mtl_library_item_floats(const MtlLibrary *l);
/* Rows of the candidates' side -> items [n, item_floats], of which `room` floats are there.  Forgets the
 * workspace's request. */
int mtl_library_items(const MtlLibrary *l, void *work, const void *rows, size_t n, float *items, size_t room,
		      MtlDoorError *e);
/* After a request: scores of items index[0 .. n) of a block [n_items, item_floats], which is only read.  An
 * index beyond it is refused before anything is written. */
int mtl_library_pick(const MtlLibrary *l, void *work, const float *items, size_t n_items, const size_t *index,
		     size_t n, float *out, MtlDoorError *e);
#endif
