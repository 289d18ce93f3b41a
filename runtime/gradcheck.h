/*
 * The gradients of the kernels against differences of the loss they compute.
 */
#ifndef MTL_GRADCHECK_H
#define MTL_GRADCHECK_H
#include "step.h"

typedef struct {
	MtlTensor tensor; /* name and shape */
	double size;	  /* norm of its gradient on these rows */
	double error;	  /* worst difference, as a share of `scale` */
	double scale;	  /* what the error is measured by: the norm, or what single precision lets one see */
	bool good;
} MtlGradcheckLine;

/*
 * For every parameter and table the slope along several directions, by the gradient and by central
 * differences of the float losses.  `line` is told of each; MTL_NO when one is wrong.  A model with stop(...)
 * differs on purpose: what is stopped is no gradient.
 */
MtlStatus mtl_gradcheck(MtlInstance *in, MtlThreads *pool, const MtlBatch *b,
			void (*line)(void *self, const MtlGradcheckLine *l), void *self, MtlError *e);
#endif
