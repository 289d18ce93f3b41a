/* Renumbering: the one place where ids change. */
#include "pass/rebuild.h"

void graph_keep(Graph *g, const bool *live, const NodeId *to)
{
	NodeId *now = arena_new(g->arena, NodeId, g->node.n);
	int n = 1;
	for (NodeId id = 1; id < g->node.n; id++) {
		if (to && to[id] != id) {
			now[id] = now[to[id]];
			continue;
		}
		if (!live[id]) continue;
		Node node = g->node.at[id];
		for (int i = 0; i < node.n_in; i++) node.in[i] = now[node.in[i]];
		now[id] = n;
		g->node.at[n++] = node;
	}
	g->node.n = n;
	for (int r = 0; r < g->root.n; r++) g->root.at[r].node = now[g->root.at[r].node];
}
