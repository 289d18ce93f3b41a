/* Elementwise nodes of equal size, computed together in one kernel: values in between stay in registers. */
#ifndef PASS_MAP_H
#define PASS_MAP_H
#include "ir/lowering.h"

/*
 * Appends the call that computes the nodes (operands first).  `kept[id]`: the value is needed outside and
 * gets a place.
 */
void map_lower(Lowering *l, int n, const NodeId *node, const bool *kept);
#endif
