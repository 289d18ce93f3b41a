/*
 * The value functions of kernels that compute in double precision (--double), by the C library: the same
 * formulas as the judges of compiler/ir/value.c, so that kernels and interpreter agree to the bit.
 */
#include "value.h"
#include <math.h>

double mtl_value_exp(double x) { return exp(x); }
double mtl_value_expm1(double x) { return expm1(x); }
double mtl_value_log(double x) { return log(x); }
double mtl_value_log1p(double x) { return log1p(x); }
double mtl_value_log1p_unit(double x) { return log1p(x); }
double mtl_value_tanh(double x) { return tanh(x); }
double mtl_value_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
double mtl_value_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
double mtl_value_logsigmoid(double x) { return fmin(x, 0) - log1p(exp(-fabs(x))); }
