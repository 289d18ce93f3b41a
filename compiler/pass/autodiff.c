/*
 * Gradients, as graph code in the words of the forward graph.
 *
 * total = sum over losses of weight * INV * (sum over rows of w * row); the derivative of one row's loss is
 * weight * INV * w. Gradients accumulate: a value used twice receives both.
 *
 * Needs   the forward graph of a checked model.
 * A scan is differentiated by a scan backwards in time: the gradient of a state's new value is what comes
 * from outside plus what the step after sends back through the state.
 *
 * Leaves  roots LOSS and COUNT per loss, NEXT per running parameter, GRAD per use of a parameter, DROW per
 * lookup; where the spec asks for gradients of tasks, TASK_GRAD and TASK_DROW for what is shared.
 */
#include "base/diag.h"
#include "ir/op.h"
#include "pass/pass.h"

typedef struct {
	Spec *s;
	Graph *g;
	NodeId *d;	 /* per forward node: its gradient so far, or 0 */
	bool *needs;	 /* a parameter or a table lies behind it */
	VEC(NodeId) cut; /* slices whose gradients wait for those beside them */
	int n;		 /* forward nodes */
	int pass;	 /* 0; of the gradients of tasks, their number */
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

/* The row that a gradient is for every row, if `to` which it is added has rows of its own: no need to spread
 * it. */
static NodeId unspread(const Graph *g, NodeId d, NodeId to)
{
	const Node *n = &g->node.at[d];
	if (n->op != OP_SPREAD || n->shape.nd != 1 || g->node.at[to].op == OP_SPREAD) return d;
	Shape of = g->node.at[n->in[0]].shape;
	return !of.rows && of.nd == 1 && of.d[0] == n->shape.d[0] ? n->in[0] : d;
}

static NodeId sum(Graph *g, NodeId x, NodeId y)
{
	NodeId column = unspread(g, y, x);
	if (column != y) return graph_2(g, OP_ADD, x, column);
	return graph_2(g, OP_ADD, unspread(g, x, y), y);
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
	a->d[to] = a->d[to] ? sum(a->g, a->d[to], d) : d;
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

/* ---- slices: the gradients of columns that do not overlap are joined, not padded and added ---- */

static NodeId zeros(Grad *a, NodeId like, int width)
{
	NodeId zero = graph_k(a->g, like, 0);
	Shape s = shape_over(a->g->node.at[like].shape, shape_1(true, width));
	return graph_push(a->g, OP_SPREAD, s, 1, &zero, (Attr){0}, a->g->node.at[like].span);
}

/* The waiting slice of x that begins first at column `from` or after; 0: none. */
static NodeId next_cut(Grad *a, NodeId x, int from)
{
	NodeId best = 0;
	for (int i = 0; i < a->cut.n; i++) {
		NodeId id = a->cut.at[i];
		if (!id || a->g->node.at[id].in[0] != x || a->g->node.at[id].attr.i < from) continue;
		if (!best || a->g->node.at[id].attr.i < a->g->node.at[best].attr.i) best = id;
	}
	return best;
}

static void drop_cut(Grad *a, NodeId id)
{
	for (int i = 0; i < a->cut.n; i++)
		if (a->cut.at[i] == id) a->cut.at[i] = 0;
}

/* What waits for x becomes its gradient, a row of columns after the other. */
static void join_cuts(Grad *a, NodeId x)
{
	Shape s = a->g->node.at[x].shape;
	int width = (int)shape_size(s);
	while (next_cut(a, x, 0)) {
		VEC(NodeId) part = {0};
		int at = 0;
		for (NodeId id = next_cut(a, x, 0); id; id = next_cut(a, x, at)) {
			const Node *n = &a->g->node.at[id];
			int first = n->attr.i, j = n->attr.j;
			if (first > at) vec_push(a->g->arena, &part, zeros(a, id, first - at));
			vec_push(a->g->arena, &part, a->d[id]);
			drop_cut(a, id);
			at = first + j;
		}
		if (at < width) vec_push(a->g->arena, &part, zeros(a, x, width - at));
		NodeId d = part.n == 1
			       ? part.at[0]
			       : graph_op(a->g, OP_CONCAT, part.n, part.at, (Attr){0}, a->g->node.at[x].span);
		add(a, x, graph_reshape(a->g, d, s));
	}
}

/* ---- scans ---- */

/* The number of the scan backwards through `scan`: another for each task's gradients. */
static int backwards(const Grad *a, int scan) { return -(scan + a->pass * (1 << 20)); }

static NodeId state_of(const Grad *a, int scan, int number)
{
	for (NodeId id = 1; id < a->n; id++)
		if (a->g->node.at[id].op == OP_STATE && a->g->node.at[id].attr.j == scan &&
		    a->g->node.at[id].attr.i == number)
			return id;
	return 0;
}

/* At the last node of a scan, when the gradients of all of them are known: into the body, backwards in time.
 */
static void enter_scan(Grad *a, NodeId id)
{
	Node n = a->g->node.at[id];
	for (NodeId later = id + 1; later < a->n; later++)
		if (a->g->node.at[later].op == OP_SCAN && a->g->node.at[later].attr.j == n.attr.j) return;
	for (int i = 0; i < n.n_in; i++) {
		NodeId d = state_of(a, n.attr.j, i)
			       ? graph_push(a->g, OP_STATE, a->g->node.at[n.in[i]].shape, 0, NULL,
					    (Attr){.i = i, .j = backwards(a, n.attr.j), .k = 1}, n.span)
			       : 0;
		for (NodeId out = 1; out <= id; out++) {
			const Node *o = &a->g->node.at[out];
			if (o->op != OP_SCAN || o->attr.j != n.attr.j || o->attr.i != i || !a->d[out])
				continue;
			d = d ? graph_2(a->g, OP_ADD, a->d[out], d) : a->d[out];
		}
		add(a, n.in[i], d);
	}
}

/* At the first state of a scan, when the gradients of all of them are known. */
static void leave_scan(Grad *a, NodeId id)
{
	int scan = a->g->node.at[id].attr.j;
	for (NodeId before = 1; before < id; before++)
		if (a->g->node.at[before].op == OP_STATE && a->g->node.at[before].attr.j == scan) return;
	Node n = a->g->node.at[graph_scan(a->g, id)];
	NodeId *d = arena_new(a->g->arena, NodeId, n.n_in);
	for (int i = 0; i < n.n_in; i++) {
		NodeId state = state_of(a, scan, i);
		if (state && a->d[state]) {
			d[i] = a->d[state];
			continue;
		}
		NodeId zero = graph_k(a->g, id, 0);
		d[i] = graph_push(a->g, OP_SPREAD, a->g->node.at[n.in[i]].shape, 1, &zero, (Attr){0}, n.span);
	}
	graph_op(a->g, OP_SCAN, n.n_in, d, (Attr){.j = backwards(a, scan), .k = 1}, n.span);
}

static void backward(Grad *a, int task)
{
	Graph *g = a->g;
	a->pass = task + 1;
	for (NodeId id = a->n; id-- > 1;) {
		if (a->needs[id]) join_cuts(a, id);
		Node node = g->node.at[id];
		if (node.op == OP_SCAN && a->needs[id]) enter_scan(a, id);
		if (node.op == OP_STATE) leave_scan(a, id);
		if (!a->d[id] || !a->needs[id] || node.op == OP_SCAN || node.op == OP_STATE) continue;
		if (node.op == OP_SLICE) {
			if (a->needs[node.in[0]]) vec_push(g->arena, &a->cut, id);
			continue;
		}
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

/* Does a loss see the batch in the place of this parameter? */
static bool trains_with(const Graph *g, const bool *live, int param)
{
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (n->op != OP_TRAINING || !live[id]) continue;
		const Node *scored = &g->node.at[n->in[1]];
		if (scored->op == OP_PARAM && scored->attr.i == param) return true;
	}
	return false;
}

/* What is remembered of the batch, if a loss has anything to do with it. */
static void remember(Spec *s, Graph *g, int n)
{
	bool *live = arena_new(g->arena, bool, n);
	for (int l = 0; l < s->loss.n; l++) live[s->loss.at[l].row] = true;
	for (NodeId id = n; id-- > 1;)
		for (int i = 0; live[id] && i < g->node.at[id].n_in; i++) live[g->node.at[id].in[i]] = true;
	for (int i = 0; i < s->running.n; i++)
		if (trains_with(g, live, s->running.at[i].param))
			graph_root(g, ROOT_NEXT, i, s->running.at[i].next);
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
		else if (node->op == OP_STATE)
			a.needs[id] = true;
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
	remember(s, g, n);
}
