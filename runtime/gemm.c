/*
 * Matrix products by OpenBLAS, for programs built with --gemm=blas: nothing else refers to this file, so that
 * no other program links the library.
 *
 * The program's own threads carry out slices of a batch side by side; OpenBLAS is told to use one thread
 * within each call, which also makes its sums independent of the number of threads.  That number belongs to
 * the process, therefore it is set by `main` of a program and not in a library.
 */
#include "gemm.h"

/* As in cblas.h and openblas_config.h, which only those who build such programs need. */
enum { ROWS = 101, PLAIN = 111, TURNED = 112 };
void openblas_set_num_threads(int n);
#ifdef MTL_DOUBLE
#define cblas_gemm cblas_dgemm
#else
#define cblas_gemm cblas_sgemm
#endif
void cblas_gemm(int order, int turn_a, int turn_b, int m, int n, int k, mtl_real alpha, const mtl_real *a,
		int lda, const mtl_real *b, int ldb, mtl_real beta, mtl_real *c, int ldc);

void mtl_gemm_begin(void) { openblas_set_num_threads(1); }

void mtl_gemm(int form, mtl_real *c, int64_t ldc, const mtl_real *a, int64_t lda, const mtl_real *b,
	      int64_t ldb, int64_t m, int64_t n, int64_t k)
{
	if (m <= 0 || n <= 0) return;
	cblas_gemm(ROWS, form & MTL_GEMM_A_TURNED ? TURNED : PLAIN, form & MTL_GEMM_B_TURNED ? TURNED : PLAIN,
		   (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, form & MTL_GEMM_ADDS ? 1.0f : 0.0f, c,
		   (int)ldc);
}
