/*
 * Dead code: drop every node that no root needs.
 *
 * Needs   a verified graph.
 * Leaves  the live nodes, renumbered.
 */
#include "pass/pass.h"
#include "pass/rebuild.h"

void pass_dce(Graph *g)
{
	bool *live = arena_new(g->arena, bool, g->node.n);
	for (int r = 0; r < g->root.n; r++) live[g->root.at[r].node] = true;
	/* Operands come before their users, so one walk from the end meets every user of a node before the
	 * node itself. */
	for (NodeId id = g->node.n; id-- > 1;)
		if (live[id])
			for (int i = 0; i < g->node.at[id].n_in; i++) live[g->node.at[id].in[i]] = true;
	graph_keep(g, live, NULL);
}
