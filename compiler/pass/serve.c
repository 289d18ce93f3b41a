/*
 * Scoring: what exists in training only has its serving value, dropout is gone, labels matter only where a
 * metric is asked for.  Metrics are of what is served.
 *
 * Needs   the forward graph of a checked model.
 * Leaves  roots OUTPUT (or WATCH), folded.
 */
#include "pass/pass.h"
#include "pass/rebuild.h"

/* training(a, b) becomes b, which may be such a node again. */
static void settle(Graph *g)
{
	NodeId *to = arena_new(g->arena, NodeId, g->node.n);
	bool *live = arena_new(g->arena, bool, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		Node *n = &g->node.at[id];
		for (int i = 0; i < n->n_in; i++) n->in[i] = n->in[i] ? to[n->in[i]] : 0;
		live[id] = true;
		to[id] = n->op == OP_TRAINING ? n->in[1] : id;
	}
	graph_keep(g, live, to);
	pass_dce(g);
}

static NodeId weighted(Spec *s, Graph *g, NodeId node)
{
	if (!s->weight_column) return node;
	Span span = g->node.at[node].span;
	NodeId w = graph_push(g, OP_WEIGHT, shape_scalar(true), 0, NULL, (Attr){0}, span);
	return graph_op(g, OP_MUL, 2, (NodeId[]){node, w}, (Attr){0}, span);
}

void pass_serve(Spec *s, Graph *g, bool watches)
{
	for (int i = 0; !watches && i < s->output.n; i++) graph_root(g, ROOT_OUTPUT, i, s->output.at[i].node);
	for (int i = 0; watches && i < s->watch.n; i++) {
		graph_root(g, ROOT_WATCH, 3 * i, s->watch.at[i].logit);
		graph_root(g, ROOT_WATCH, 3 * i + 1, s->watch.at[i].label);
		graph_root(g, ROOT_WATCH, 3 * i + 2, weighted(s, g, s->watch.at[i].weight));
	}
	for (int i = 0; watches && i < s->gate.n; i++)
		graph_root(g, ROOT_GATE, s->gate.at[i].first, s->gate.at[i].node);
	settle(g);
	for (NodeId id = 1; id < g->node.n; id++)
		if (g->node.at[id].op == OP_NOISE) {
			g->node.at[id].op = OP_CONST;
			g->node.at[id].attr = (Attr){.k = 1};
			g->node.at[id].shape = shape_scalar(false);
		}
}
