/*
 * Reach: which losses send a gradient to a parameter, and what the outputs need.
 *
 * A head whose losses have no row in a batch is not stepped; what no output needs is not in the scorer.
 *
 * A feature that no output needs exists in training only: a scorer does not ask for its column.
 *
 * Needs   a checked model.
 * Leaves  `losses` and `serving` of parameters and tables, `train_only` of features.
 */
#include "ir/op.h"
#include "pass/pass.h"

typedef struct {
	uint64_t losses;
	bool serving;
} Use;

/* From users to operands; true: a scan has learnt something from its states, and another walk is due. */
static bool spread(const Graph *g, Use *use)
{
	bool news = false;
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		for (int i = 0; i < n->n_in; i++) {
			if (!n->in[i]) continue;
			bool training = n->op == OP_TRAINING;
			if (!training || i == 1) use[n->in[i]].serving |= use[id].serving;
			if (op_table[n->op]->grad && (!training || i == 0))
				use[n->in[i]].losses |= use[id].losses;
		}
		if (n->op != OP_STATE) continue;
		Use *scan = &use[graph_scan(g, id)];
		news |= (use[id].losses & ~scan->losses) || (use[id].serving && !scan->serving);
		scan->losses |= use[id].losses;
		scan->serving |= use[id].serving;
	}
	return news;
}

void pass_reach(Spec *s)
{
	const Graph *g = s->g;
	Use *use = arena_new(s->arena, Use, g->node.n);
	for (int i = 0; i < s->output.n; i++) use[s->output.at[i].node].serving = true;
	for (int l = 0; l < s->loss.n; l++) use[s->loss.at[l].row].losses |= (uint64_t)1 << (l < 63 ? l : 63);
	bool *read = arena_new(s->arena, bool, s->feature.n + 1),
	     *served = arena_new(s->arena, bool, s->feature.n + 1);
	while (spread(g, use)) {
	}
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		if (n->op == OP_PARAM) {
			s->param.at[n->attr.i].losses |= use[id].losses;
			s->param.at[n->attr.i].serving |= use[id].serving;
		} else if (n->op == OP_LOOKUP) {
			Table *t = &s->table.at[s->lookup.at[n->attr.i].table];
			t->losses |= use[id].losses;
			t->serving |= use[id].serving;
		}
		int f = spec_feature_read(s, n);
		/* Where the steps of a sequence lie is told by its first field. */
		int seq = f >= 0 ? s->feature.at[f].seq : 0;
		if (f >= 0) read[f] = true, served[f] |= use[id].serving;
		if (seq) read[s->seq.at[seq - 1].feature.at[0]] = true;
		if (seq) served[s->seq.at[seq - 1].feature.at[0]] |= use[id].serving;
	}
	for (int i = 0; i < s->feature.n; i++) /* what a cross is made of is read with it */
		for (int k = 0; k < s->feature.at[i].cross.n; k++) {
			int part = s->feature.at[i].cross.at[k];
			read[part] |= read[i];
			served[part] |= served[i];
		}
	for (int i = 0; i < s->feature.n; i++) s->feature.at[i].train_only |= read[i] && !served[i];
}
