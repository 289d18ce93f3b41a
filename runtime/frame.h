/*
 * The call of a kernel: from the slots its entry asks for to pointers.
 */
#ifndef MTL_FRAME_H
#define MTL_FRAME_H
#include "group.h"
#include "instance.h"
#include "real.h"

/* Everything a kernel may be handed, beside the model itself.  What an entry does not ask for may stay NULL.
 */
typedef struct {
	const MtlInstance *in;
	const MtlBatch *batch;
	const MtlSteps *steps; /* of the rows of this call, where they are not blocks of the batch; or NULL */
	const MtlTouched *touched; /* of the table whose entry is called */
	mtl_real *const *noise;	   /* [n_noise][cap * width] */
	mtl_real *const *keep;	   /* [n_kept] */
	mtl_real *work;		   /* of this thread */
	mtl_real *acc, *grad, *drows, *inv, *count, *loss, *out, *watch, *request, *item, *gate, *meet, *next;
	const mtl_real *hyper;
} MtlFrame;

/* Calls entry `which` with row-wise slots advanced to `row` (a multiple of MTL_BLOCK where a slot is per
 * block). */
void mtl_frame_call(const MtlFrame *f, int which, int64_t row, int64_t lo, int64_t hi);
/* Floats of WORK that the largest of the entries first .. last asks for. */
int64_t mtl_frame_work(const MtlInstance *in, int first, int last);
#endif
