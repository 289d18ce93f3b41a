/*
 * Reach: which losses send a gradient to a parameter, and what the outputs need.
 *
 * A head whose losses have no row in a batch is not stepped; what no output needs is not in the scorer.
 *
 * Needs   a checked model.
 * Leaves  `losses` and `serving` of parameters and tables.
 */
#include "ir/op.h"
#include "pass/pass.h"

typedef struct {
	uint64_t losses;
	bool serving;
} Use;

void pass_reach(Spec *s)
{
	const Graph *g = s->g;
	Use *use = arena_new(s->arena, Use, g->node.n);
	for (int i = 0; i < s->output.n; i++) use[s->output.at[i].node].serving = true;
	for (int l = 0; l < s->loss.n; l++) use[s->loss.at[l].row].losses |= (uint64_t)1 << (l < 63 ? l : 63);
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		for (int i = 0; i < n->n_in; i++) {
			if (!n->in[i]) continue;
			use[n->in[i]].serving |= use[id].serving;
			if (op_table[n->op]->grad) use[n->in[i]].losses |= use[id].losses;
		}
		if (n->op == OP_PARAM) {
			s->param.at[n->attr.i].losses |= use[id].losses;
			s->param.at[n->attr.i].serving |= use[id].serving;
		} else if (n->op == OP_LOOKUP) {
			Table *t = &s->table.at[s->lookup.at[n->attr.i].table];
			t->losses |= use[id].losses;
			t->serving |= use[id].serving;
		}
	}
}
