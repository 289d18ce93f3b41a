/* Optimiser steps as kernels: the dense parameters, and the touched rows of a table. */
#ifndef PASS_UPDATE_H
#define PASS_UPDATE_H
#include "ir/lowering.h"

/* entry "update": lo, hi over PARAM, its moments and GRAD. */
Fn *update_dense(Lowering *l, const Optimizer *o);
/* entry "update_tN": lo, hi over UNIQ: gradients summed in the order of their rows, then a step on the
 * record. */
Fn *update_table(Lowering *l, const Optimizer *o, int table);
#endif
