/*
 * Losses and gradients for outside oracles.
 */
#ifndef MTL_GRAD_H
#define MTL_GRAD_H
#include "feed.h"
#include "step.h"

/*
 * All rows of the files as one batch, dropout off; written as a model file with tensors grad.NAME (parameters
 * and tables), scalars loss.NAME and loss.total (weighted).  *rows is their number.
 */
MtlStatus mtl_grad(MtlInstance *in, MtlThreads *pool, const char *const *path, int n_path,
		   const MtlReaderOptions *o, const char *out, int64_t *rows, MtlError *e);
#endif
