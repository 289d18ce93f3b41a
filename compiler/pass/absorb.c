/*
 * Normalisation by running statistics is a scale and a shift of every column: a dense layer before it takes
 * both into its weights.
 *
 *   ((x W + b) - m) k + t  =  x (W k) + ((b - m) k + t)        m, k, t free of rows
 *
 * W k is computed once, when the weights are loaded: what a model file holds does not change, and a scorer's
 * kernels are those of the layer alone.  The values are others than before by rounding: each weight is
 * rounded once more, each output two or three times less.
 *
 * Needs   a graph without training: folded, with roots.
 * Leaves  such layers in place of their chains; where a parameter went, in spec.
 */
#include "ir/op.h"
#include "pass/pass.h"

typedef struct {
	Spec *s;
	const Graph *g;
	Graph *out;
	NodeId *now;   /* per node: its new id */
	NodeId *user;  /* per node: the only user, or 0 */
	bool *running; /* free of rows, and a running parameter lies behind it */
} Absorb;

static void look(Absorb *a)
{
	int *uses = arena_new(a->g->arena, int, a->g->node.n);
	for (NodeId id = 1; id < a->g->node.n; id++) {
		const Node *n = &a->g->node.at[id];
		for (int i = 0; i < n->n_in; i++) {
			a->user[n->in[i]] = uses[n->in[i]]++ ? 0 : id;
			a->running[id] |= !n->shape.rows && a->running[n->in[i]];
		}
		for (int k = 0; n->op == OP_PARAM && k < a->s->running.n; k++)
			a->running[id] |= a->s->running.at[k].param == n->attr.i;
	}
	for (int r = 0; r < a->g->root.n; r++) a->user[a->g->root.at[r].node] = 0;
}

/* The operand by which `user` scales or shifts the columns of x; 0: it does something else. */
static NodeId by(const Absorb *a, NodeId user, NodeId x)
{
	const Node *n = &a->g->node.at[user];
	bool both = n->op == OP_ADD || n->op == OP_MUL;
	if (!both && n->op != OP_SUB && n->op != OP_DIV) return 0;
	if (n->in[0] != x && !both) return 0;
	NodeId c = n->in[0] == x ? n->in[1] : n->in[0];
	return a->g->node.at[c].shape.rows || !shape_eq(n->shape, a->g->node.at[x].shape) ? 0 : c;
}

/* The end of the chain of scales and shifts behind a dense layer, if a running parameter is among them; else
 * 0. */
static NodeId chain_end(const Absorb *a, NodeId dense)
{
	bool running = false;
	NodeId end = dense, last = 0;
	for (NodeId u = a->user[dense]; u && by(a, u, end); u = a->user[u]) {
		running |= a->running[by(a, u, end)];
		end = u;
		if (running) last = u;
	}
	return last;
}

static NodeId op2(Absorb *a, OpCode op, NodeId x, NodeId y)
{
	return graph_op(a->out, op, 2, (NodeId[]){x, y}, (Attr){0}, a->out->node.at[x].span);
}

/* Parameters behind a value are in the weights from now on. */
static void note(Absorb *a, NodeId id, Str into)
{
	const Node *n = &a->g->node.at[id];
	if (n->op == OP_PARAM) a->s->param.at[n->attr.i].into = into;
	for (int i = 0; i < n->n_in; i++) note(a, n->in[i], into);
}

/* A column's number in every row of the weights. */
static NodeId in_rows(Absorb *a, NodeId k, int K, int N)
{
	Span at = a->out->node.at[k].span;
	NodeId wide = graph_push(a->out, OP_SPREAD, shape_2(false, N, K), 1, &k, (Attr){0}, at);
	return graph_op(a->out, OP_TURN, 1, &wide, (Attr){0}, at);
}

static NodeId absorbed(Absorb *a, NodeId dense, NodeId end)
{
	Node d = a->g->node.at[dense];
	NodeId scale = 0, shift = d.in[2] ? a->now[d.in[2]] : 0, x = dense, w = a->now[d.in[1]];
	Shape s = a->g->node.at[d.in[1]].shape;
	const Node *weight = &a->g->node.at[d.in[1]];
	Str into = weight->op == OP_PARAM ? a->s->param.at[weight->attr.i].name : d.name;
	for (NodeId u = a->user[dense];; u = a->user[u]) {
		OpCode op = a->g->node.at[u].op;
		NodeId old = by(a, u, x), c = a->now[old];
		note(a, old, into);
		if (op == OP_MUL || op == OP_DIV) {
			bool first = !scale && op == OP_MUL;
			if (!scale) scale = first ? c : graph_const(a->out, 1, d.span);
			if (!first) scale = op2(a, op, scale, c);
			if (shift) shift = op2(a, op, shift, c);
		} else {
			shift = shift	       ? op2(a, op, shift, c)
				: op == OP_SUB ? graph_op(a->out, OP_NEG, 1, &c, (Attr){0}, d.span)
					       : c;
		}
		x = u;
		if (u == end) break;
	}
	Shape column = shape_1(false, s.d[1]);
	if (scale && shape_size(a->out->node.at[scale].shape) == 1 && s.d[1] > 1)
		scale = graph_push(a->out, OP_SPREAD, column, 1, &scale, (Attr){0}, d.span);
	if (shift && !shape_eq(a->out->node.at[shift].shape, column))
		shift = graph_push(
		    a->out, shape_size(a->out->node.at[shift].shape) == s.d[1] ? OP_RESHAPE : OP_SPREAD,
		    column, 1, &shift, (Attr){0}, d.span);
	if (scale) w = op2(a, OP_MUL, w, in_rows(a, scale, s.d[0], s.d[1]));
	return graph_push(a->out, OP_DENSE, d.shape, 3, (NodeId[]){a->now[d.in[0]], w, shift}, d.attr,
			  d.span);
}

static void put(Absorb *a, NodeId id)
{
	const Node *n = &a->g->node.at[id];
	NodeId *in = arena_new(a->g->arena, NodeId, n->n_in + 1);
	for (int i = 0; i < n->n_in; i++) in[i] = a->now[n->in[i]];
	a->now[id] = graph_push(a->out, n->op, n->shape, n->n_in, in, n->attr, n->span);
}

void pass_absorb(Spec *s, Graph *g)
{
	int n = g->node.n;
	Absorb a = {.s = s,
		    .g = g,
		    .out = graph_new(g->arena, g->str),
		    .now = arena_new(g->arena, NodeId, n),
		    .user = arena_new(g->arena, NodeId, n),
		    .running = arena_new(g->arena, bool, n)};
	NodeId *whose = arena_new(g->arena, NodeId, n); /* of the end of a chain: its layer */
	bool *within = arena_new(g->arena, bool, n), any = false;
	look(&a);
	for (NodeId id = 1; id < n; id++) {
		NodeId end = g->node.at[id].op == OP_DENSE ? chain_end(&a, id) : 0;
		if (!end) continue;
		any = true;
		whose[end] = id;
		for (NodeId k = id; k != end; k = a.user[k]) within[k] = true;
	}
	if (!any) return;
	for (NodeId id = 1; id < n; id++) {
		if (within[id]) continue;
		if (whose[id])
			a.now[id] = absorbed(&a, whose[id], id);
		else
			put(&a, id);
		a.out->node.at[a.now[id]].name = g->node.at[id].name;
	}
	for (int r = 0; r < g->root.n; r++)
		graph_root(a.out, g->root.at[r].kind, g->root.at[r].index, a.now[g->root.at[r].node]);
	*g = *a.out;
}
