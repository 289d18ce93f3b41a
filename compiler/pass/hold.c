/*
 * Stopped values become inputs: a gradient is then the derivative of the loss, and differences can judge it.
 *
 * Through stop(x) a small step in a parameter changes the loss and not its gradient; with any number in the
 * place of x both agree, or the gradient is wrong.
 *
 * Needs   the forward graph of a checked model.
 * Leaves  inputs of NOISE where values of rows were stopped.
 */
#include "pass/pass.h"

void pass_hold(Spec *s, Graph *g)
{
	for (NodeId id = 1; id < g->node.n; id++) {
		Node *n = &g->node.at[id];
		if (n->op != OP_STOP || !n->shape.rows) continue;
		int width = (int)shape_size(n->shape);
		vec_push(s->arena, &s->noise, (Noise){.width = width, .name = n->name, .span = n->span});
		n->op = OP_NOISE;
		n->n_in = 0;
		n->attr = (Attr){.i = s->noise.n - 1, .j = width};
	}
}
