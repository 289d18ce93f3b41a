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
	/*
	 * Operands come before their users, so one walk from the end meets every user of a node before the
	 * node itself. A state needs its scan, which comes later: where that is news, another walk follows.
	 */
	for (bool news = true; news;) {
		news = false;
		for (NodeId id = g->node.n; id-- > 1;) {
			const Node *n = &g->node.at[id];
			if (!live[id]) continue;
			for (int i = 0; i < n->n_in; i++) live[n->in[i]] = true;
			if (n->op != OP_STATE) continue;
			NodeId scan = graph_scan(g, id);
			news |= !live[scan];
			live[scan] = true;
		}
	}
	graph_keep(g, live, NULL);
}
