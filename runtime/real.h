/*
 * The number of parameters, rows and kernels: float; double in the runtime of programs built with --double
 * (compiled with MTL_DOUBLE).
 */
#ifndef MTL_REAL_H
#define MTL_REAL_H

#ifdef MTL_DOUBLE
typedef double mtl_real;
#define MTL_REAL_DTYPE "F64" /* in a model file */
#define MTL_REAL_TEXT  "64-bit double"
#else
typedef float mtl_real;
#define MTL_REAL_DTYPE "F32"
#define MTL_REAL_TEXT  "32-bit float"
#endif
#endif
