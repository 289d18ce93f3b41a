/* What the passes that renumber nodes share. */
#ifndef PASS_REBUILD_H
#define PASS_REBUILD_H
#include "ir/graph.h"

/* Keeps the nodes with live[id], and lets every use of id become a use of to[id] (to NULL: itself; to[id] <=
 * id). */
void graph_keep(Graph *g, const bool *live, const NodeId *to);
#endif
