/*
 * Gradients, as graph code in the words of the forward graph.
 *
 * total = sum over losses of weight * INV * (sum over rows of w * row); the derivative of one row's loss is
 * weight * INV * w. Gradients accumulate: a value used twice receives both.
 *
 * Needs   the forward graph of a checked model.
 * Leaves  roots LOSS and COUNT per loss, GRAD per use of a parameter, DROW per lookup; where the spec asks
 * for gradients of tasks, TASK_GRAD and TASK_DROW for what is shared.
 */
#include "base/diag.h"
#include "ir/op.h"
#include "pass/pass.h"

typedef struct {
	Spec *s;
	Graph *g;
	NodeId *d;   /* per forward node: its gradient so far, or 0 */
	bool *needs; /* a parameter or a table lies behind it */
	int n;	     /* forward nodes */
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

/* The roots of loss l, and its gradient into its row. */
static void begin(Grad *a, int l)
{
	const Loss *loss = &a->s->loss.at[l];
	NodeId w = row_weight(a->s, a->g, loss->span);
	graph_root(a->g, ROOT_LOSS, l, graph_1(a->g, OP_BLOCK_SUM, as_row(a->g, times(a->g, loss->row, w))));
	graph_root(a->g, ROOT_COUNT, l,
		   graph_1(a->g, OP_BLOCK_SUM, as_row(a->g, times(a->g, loss->count, w))));
	NodeId seed = graph_push(a->g, OP_INV, shape_scalar(false), 0, NULL, (Attr){.i = l}, loss->span);
	if (loss->weight != 1)
		seed = graph_2(a->g, OP_MUL, graph_const(a->g, loss->weight, loss->span), seed);
	add(a, loss->row, times(a->g, seed, w));
}

/* The gradient of a parameter or lookup: of all losses, or of this task alone where they are kept apart. */
static void leave(Grad *a, NodeId id, int task)
{
	Spec *s = a->s;
	bool lookup = a->g->node.at[id].op == OP_LOOKUP;
	int i = a->g->node.at[id].attr.i;
	bool shared = lookup ? s->table.at[s->lookup.at[i].table].shared : s->param.at[i].shared;
	if (!s->task_gradients || !shared)
		graph_root(a->g, lookup ? ROOT_DROW : ROOT_GRAD, i, a->d[id]);
	else
		graph_root(a->g, lookup ? ROOT_TASK_DROW : ROOT_TASK_GRAD,
			   task * (lookup ? s->lookup.n : s->param.n) + i, a->d[id]);
}

static void backward(Grad *a, int task)
{
	Graph *g = a->g;
	for (NodeId id = a->n; id-- > 1;) {
		if (!a->d[id] || !a->needs[id]) continue;
		Node node = g->node.at[id];
		if (node.op == OP_PARAM || node.op == OP_LOOKUP) {
			leave(a, id, task);
			continue;
		}
		NodeId *din = arena_new(g->arena, NodeId, node.n_in + 1);
		op_table[node.op]->grad(g, id, a->d[id], din);
		for (int i = 0; i < node.n_in; i++)
			if (node.in[i]) add(a, node.in[i], din[i]);
	}
}

static int task_of(const Spec *s, int loss)
{
	for (int k = 0; k < s->task.n; k++)
		if (s->task.at[k] == loss) return k;
	return -1;
}

void pass_autodiff(Spec *s, Graph *g)
{
	int n = g->node.n;
	Grad a = {.s = s,
		  .g = g,
		  .n = n,
		  .d = arena_new(g->arena, NodeId, n),
		  .needs = arena_new(g->arena, bool, n)};
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
	for (int l = 0; l < s->loss.n; l++) {
		begin(&a, l);
		if (!s->task_gradients) continue;
		/* As many right-hand sides as tasks: each goes its own way, the forward values are the same
		 * nodes. */
		backward(&a, task_of(s, l));
		for (NodeId id = 0; id < n; id++) a.d[id] = 0;
	}
	if (!s->task_gradients) backward(&a, -1);
}
