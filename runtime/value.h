/* What kernels in double precision call: a function for each value function of the compiler, by its name. */
#ifndef MTL_VALUE_H
#define MTL_VALUE_H

double mtl_value_exp(double x);
double mtl_value_expm1(double x);
double mtl_value_log(double x);
double mtl_value_log1p(double x);
double mtl_value_log1p_unit(double x); /* x in [0, 1] */
double mtl_value_tanh(double x);
double mtl_value_sigmoid(double x);
double mtl_value_softplus(double x);
double mtl_value_logsigmoid(double x);
#endif
