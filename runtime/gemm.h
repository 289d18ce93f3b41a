/* The seam to a library's products of matrices; kernels of programs built with --gemm=blas call it. */
#ifndef MTL_GEMM_H
#define MTL_GEMM_H
#include "real.h"
#include <stdint.h>

enum { MTL_GEMM_A_TURNED = 1, MTL_GEMM_B_TURNED = 2, MTL_GEMM_ADDS = 4 };

/* Once, before the first product, by whoever owns the process. */
void mtl_gemm_begin(void);
/* C [m, n] = or += A [m, k] B [k, n], rows so many elements apart. */
void mtl_gemm(int form, mtl_real *c, int64_t ldc, const mtl_real *a, int64_t lda, const mtl_real *b,
	      int64_t ldb, int64_t m, int64_t n, int64_t k);
#endif
