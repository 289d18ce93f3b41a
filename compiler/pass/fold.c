/*
 * Folding: what has no effect on the value disappears.
 *
 *   x * 1, x / 1, x + 0, x - 0 -> x      stop(x), training(x, y) -> x      -(-x) -> x
 *   constants of constants
 *   columns of columns of x -> columns of x      all columns of x -> x
 *
 * x * 0 stays: it is not 0 where x is NaN or infinite.
 *
 * Needs   gradients done (stop no longer matters).
 * Leaves  dead nodes for pass_dce.
 */
#include "pass/pass.h"
#include "pass/rebuild.h"
#include <math.h>

/* Spread over rows or not. */
static bool is_const(const Graph *g, NodeId id, double k)
{
	while (g->node.at[id].op == OP_SPREAD || g->node.at[id].op == OP_RESHAPE) id = g->node.at[id].in[0];
	return g->node.at[id].op == OP_CONST && g->node.at[id].attr.k == k;
}

/* The node that `id` is equal to, or id. */
static NodeId equal_to(const Graph *g, NodeId id)
{
	const Node *n = &g->node.at[id];
	NodeId a = n->n_in > 0 ? n->in[0] : 0, b = n->n_in > 1 ? n->in[1] : 0, r = id;
	switch (n->op) {
	case OP_STOP:
	case OP_TRAINING: r = a; break;
	case OP_NEG: r = g->node.at[a].op == OP_NEG ? g->node.at[a].in[0] : id; break;
	case OP_MUL: r = is_const(g, b, 1) ? a : is_const(g, a, 1) ? b : id; break;
	case OP_DIV: r = is_const(g, b, 1) ? a : id; break;
	case OP_ADD: r = is_const(g, b, 0) ? a : is_const(g, a, 0) ? b : id; break;
	case OP_SUB: r = is_const(g, b, 0) ? a : id; break;
	case OP_RESHAPE:
	case OP_SLICE: r = a; break;
	default: break;
	}
	return shape_eq(g->node.at[r].shape, n->shape) ? r : id;
}

static bool constant(const Graph *g, const Node *n, double *k)
{
	if (n->n_in < 1 || n->n_in > 2 || n->shape.nd || n->shape.rows) return false;
	double x[2] = {0, 0};
	for (int i = 0; i < n->n_in; i++) {
		if (g->node.at[n->in[i]].op != OP_CONST) return false;
		x[i] = g->node.at[n->in[i]].attr.k;
	}
	switch (n->op) {
	case OP_NEG: *k = -x[0]; return true;
	case OP_ADD: *k = x[0] + x[1]; return true;
	case OP_SUB: *k = x[0] - x[1]; return true;
	case OP_MUL: *k = x[0] * x[1]; return true;
	case OP_DIV: *k = x[0] / x[1]; return x[1] != 0;
	default: return false;
	}
}

void pass_fold(Graph *g)
{
	NodeId *to = arena_new(g->arena, NodeId, g->node.n);
	bool *live = arena_new(g->arena, bool, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		Node *n = &g->node.at[id];
		double k;
		for (int i = 0; i < n->n_in; i++) n->in[i] = n->in[i] ? to[n->in[i]] : 0;
		live[id] = true;
		if (constant(g, n, &k)) {
			n->op = OP_CONST;
			n->n_in = 0;
			n->attr = (Attr){.k = k};
		}
		while (n->op == OP_SLICE && g->node.at[n->in[0]].op == OP_SLICE) {
			const Node *inner = &g->node.at[n->in[0]];
			n->attr.i += inner->attr.i;
			n->in[0] = inner->in[0];
		}
		to[id] = equal_to(g, id);
		if (to[id] != id && n->name && !g->node.at[to[id]].name) g->node.at[to[id]].name = n->name;
	}
	graph_keep(g, live, to);
}
