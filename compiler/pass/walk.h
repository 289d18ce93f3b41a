/*
 * Scans in a graph: which nodes are computed one time after the other.
 */
#ifndef PASS_WALK_H
#define PASS_WALK_H
#include "ir/graph.h"

/* Per node: 1 + the scan (in the order of their first nodes) whose body it belongs to, its states included,
 * or 0. */
int *walk_of(const Graph *g);
/* A graph in which the nodes of each body stand together, after all they need from outside; g itself without
 * scans. */
const Graph *walk_order(const Graph *g);
#endif
