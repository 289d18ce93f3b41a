/*
 * Gradients, as graph code in the words of the forward graph.
 *
 * total = sum over losses of weight * INV * (sum over rows of w * row); the derivative of one row's loss is
 * weight * INV * w. Gradients accumulate: a value used twice receives both.
 *
 * Needs   the forward graph of a checked model.
 * Leaves  roots LOSS and COUNT per loss, GRAD per use of a parameter, DROW per lookup.
 */
#include "base/diag.h"
#include "ir/op.h"
#include "pass/pass.h"

typedef struct {
	Spec *s;
	Graph *g;
	NodeId *d;   /* per forward node: its gradient so far, or 0 */
	bool *needs; /* a parameter or a table lies behind it */
} Grad;

static NodeId row_weight(Spec *s, Graph *g, Span span)
{
	return s->weight_column ? graph_push(g, OP_WEIGHT, shape_scalar(true), 0, NULL, (Attr){0}, span) : 0;
}

static NodeId times(Graph *g, NodeId a, NodeId b) { return b ? graph_2(g, OP_MUL, a, b) : a; }

static NodeId as_row(Graph *g, NodeId x)
{
	Shape s = g->node.at[x].shape;
	if (s.rows) return graph_reshape(g, x, shape_scalar(true));
	return graph_push(g, OP_SPREAD, shape_scalar(true), 1, &x, (Attr){0}, g->node.at[x].span);
}

static void add(Grad *a, NodeId to, NodeId d)
{
	if (!d || !a->needs[to]) return;
	Shape s = a->g->node.at[to].shape;
	if (!shape_eq(a->g->node.at[d].shape, s)) {
		if (shape_size(a->g->node.at[d].shape) == 1 && a->g->node.at[d].shape.rows <= s.rows)
			d = graph_push(a->g, OP_SPREAD, s, 1, &d, (Attr){0}, a->g->node.at[to].span);
		else
			d = graph_reduce_to(a->g, d, s);
	}
	a->d[to] = a->d[to] ? graph_2(a->g, OP_ADD, a->d[to], d) : d;
}

static void loss_roots(Grad *a)
{
	for (int l = 0; l < a->s->loss.n; l++) {
		const Loss *loss = &a->s->loss.at[l];
		NodeId w = row_weight(a->s, a->g, loss->span);
		graph_root(a->g, ROOT_LOSS, l,
			   graph_1(a->g, OP_BLOCK_SUM, as_row(a->g, times(a->g, loss->row, w))));
		graph_root(a->g, ROOT_COUNT, l,
			   graph_1(a->g, OP_BLOCK_SUM, as_row(a->g, times(a->g, loss->count, w))));
		NodeId seed =
		    graph_push(a->g, OP_INV, shape_scalar(false), 0, NULL, (Attr){.i = l}, loss->span);
		if (loss->weight != 1)
			seed = graph_2(a->g, OP_MUL, graph_const(a->g, loss->weight, loss->span), seed);
		add(a, loss->row, times(a->g, seed, w));
	}
}

void pass_autodiff(Spec *s, Graph *g)
{
	int n = g->node.n;
	Grad a = {.s = s, .g = g, .d = arena_new(g->arena, NodeId, n), .needs = arena_new(g->arena, bool, n)};
	for (NodeId id = 1; id < n; id++) {
		const Node *node = &g->node.at[id];
		if (node->op == OP_PARAM)
			a.needs[id] = !s->param.at[node->attr.i].frozen;
		else if (node->op == OP_LOOKUP)
			a.needs[id] = !s->table.at[s->lookup.at[node->attr.i].table].frozen;
		else
			for (int i = 0; i < node->n_in; i++)
				a.needs[id] |= op_table[node->op]->grad && a.needs[node->in[i]];
	}
	loss_roots(&a);
	for (NodeId id = n; id-- > 1;) {
		if (!a.d[id] || !a.needs[id]) continue;
		Node node = g->node.at[id];
		if (node.op == OP_PARAM) {
			graph_root(g, ROOT_GRAD, node.attr.i, a.d[id]);
			continue;
		}
		if (node.op == OP_LOOKUP) {
			graph_root(g, ROOT_DROW, node.attr.i, a.d[id]);
			continue;
		}
		NodeId *din = arena_new(g->arena, NodeId, node.n_in + 1);
		op_table[node.op]->grad(g, id, a.d[id], din);
		for (int i = 0; i < node.n_in; i++)
			if (node.in[i]) add(&a, node.in[i], din[i]);
	}
}
