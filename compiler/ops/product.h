/* Dense products by a library (--gemm=blas): the same ops as in dense.c, a product of matrices each. */
#ifndef OPS_PRODUCT_H
#define OPS_PRODUCT_H
#include "ir/lowering.h"

void product_dense(Lowering *l, NodeId id);
void product_dx(Lowering *l, NodeId id);
void product_dw(Lowering *l, NodeId id);
#endif
