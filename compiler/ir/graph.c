/* The graph: constructors and shapes.  What an op means stands in its row (ops/). */
#include "ir/graph.h"
#include "base/diag.h"
#include "ir/op.h"
#include <string.h>

Shape shape_scalar(bool rows) { return (Shape){.rows = rows}; }
Shape shape_1(bool rows, int d0) { return (Shape){.rows = rows, .nd = 1, .d = {d0}}; }
Shape shape_2(bool rows, int d0, int d1) { return (Shape){.rows = rows, .nd = 2, .d = {d0, d1}}; }

Shape shape_over(Shape of, Shape s)
{
	s.rows = of.rows;
	s.seq = of.seq;
	return s;
}

bool shape_eq(Shape a, Shape b)
{
	if (a.rows != b.rows || a.nd != b.nd || a.seq != b.seq) return false;
	for (int i = 0; i < a.nd; i++)
		if (a.d[i] != b.d[i]) return false;
	return true;
}

int64_t shape_size(Shape s)
{
	int64_t n = 1;
	for (int i = 0; i < s.nd; i++) n *= s.d[i];
	return n;
}

const char *shape_text(Arena *a, Shape s)
{
	Text t = {0};
	text_char(&t, '[');
	if (s.rows) text_add(&t, s.seq ? "n, T" : "n");
	for (int i = 0; i < s.nd; i++) text_printf(&t, "%s%d", i || s.rows ? ", " : "", s.d[i]);
	text_char(&t, ']');
	const char *out = arena_strdup(a, t.at);
	text_free(&t);
	return out;
}

Graph *graph_new(Arena *a, StrTab *str)
{
	Graph *g = arena_new(a, Graph, 1);
	g->arena = a;
	g->str = str;
	vec_push(a, &g->node, (Node){.op = OP_NONE});
	return g;
}

Graph *graph_copy(const Graph *g)
{
	Graph *c = graph_new(g->arena, g->str);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		NodeId copy = graph_push(c, n->op, n->shape, n->n_in, n->in, n->attr, n->span);
		c->node.at[copy].name = n->name;
	}
	for (int r = 0; r < g->root.n; r++) vec_push(c->arena, &c->root, g->root.at[r]);
	return c;
}

NodeId graph_push(Graph *g, OpCode op, Shape s, int n_in, const NodeId *in, Attr attr, Span span)
{
	Node n = {.op = op, .shape = s, .n_in = n_in, .attr = attr, .span = span};
	if (n_in) {
		n.in = arena_new(g->arena, NodeId, n_in);
		memcpy(n.in, in, sizeof *in * (size_t)n_in);
	}
	vec_push(g->arena, &g->node, n);
	return g->node.n - 1;
}

void graph_root(Graph *g, RootKind kind, int index, NodeId node)
{
	vec_push(g->arena, &g->root, (Root){kind, index, node});
}

const Node *graph_node(const Graph *g, NodeId id) { return &g->node.at[id]; }

NodeId graph_op(Graph *g, OpCode op, int n, const NodeId *in, Attr attr, Span span)
{
	Shape s = {0};
	const char *why = NULL;
	if (!op_table[op]->shape(g, n, in, &attr, &s, &why))
		bug("%s: %s", op_table[op]->word, why ? why : "operands do not fit");
	return graph_push(g, op, s, n, in, attr, span);
}

NodeId graph_const(Graph *g, double k, Span span)
{
	return graph_push(g, OP_CONST, shape_scalar(false), 0, NULL, (Attr){.k = k}, span);
}

NodeId graph_1(Graph *g, OpCode op, NodeId a)
{
	return graph_op(g, op, 1, &a, (Attr){0}, g->node.at[a].span);
}

NodeId graph_2(Graph *g, OpCode op, NodeId a, NodeId b)
{
	Span s = g->node.at[a].span;
	return graph_op(g, op, 2, (NodeId[]){a, b}, (Attr){0}, s.hi ? s : g->node.at[b].span);
}

NodeId graph_3(Graph *g, OpCode op, NodeId a, NodeId b, NodeId c)
{
	return graph_op(g, op, 3, (NodeId[]){a, b, c}, (Attr){0}, g->node.at[a].span);
}

NodeId graph_4(Graph *g, OpCode op, NodeId a, NodeId b, NodeId c, NodeId d)
{
	return graph_op(g, op, 4, (NodeId[]){a, b, c, d}, (Attr){0}, g->node.at[a].span);
}

NodeId graph_k(Graph *g, NodeId like, double k) { return graph_const(g, k, g->node.at[like].span); }

NodeId graph_reshape(Graph *g, NodeId a, Shape s)
{
	if (shape_eq(g->node.at[a].shape, s)) return a;
	return graph_push(g, OP_RESHAPE, s, 1, &a, (Attr){0}, g->node.at[a].span);
}

NodeId graph_slice(Graph *g, NodeId a, int first, int width)
{
	return graph_push(g, OP_SLICE, shape_over(g->node.at[a].shape, shape_1(true, width)), 1, &a,
			  (Attr){.i = first, .j = width}, g->node.at[a].span);
}

NodeId graph_scan(const Graph *g, NodeId state)
{
	for (NodeId id = state + 1; id < g->node.n; id++)
		if (g->node.at[id].op == OP_SCAN && g->node.at[id].attr.j == g->node.at[state].attr.j)
			return id;
	bug("a state without a scan");
}

NodeId graph_reduce_to(Graph *g, NodeId x, Shape to)
{
	Shape s = g->node.at[x].shape;
	if (shape_eq(s, to)) return x;
	if (shape_size(to) == 1)
		while (g->node.at[x].shape.nd > 0)
			x = g->node.at[x].shape.d[g->node.at[x].shape.nd - 1] == 1
				? graph_reshape(
				      g, x,
				      (Shape){.rows = g->node.at[x].shape.rows,
					      .nd = g->node.at[x].shape.nd - 1,
					      .d = {g->node.at[x].shape.d[0], g->node.at[x].shape.d[1]},
					      .seq = g->node.at[x].shape.seq})
				: graph_1(g, OP_SUM_LAST, x);
	if (shape_size(to) != 1 && s.nd == to.nd + 1 && shape_size(s) == shape_size(to) * s.d[s.nd - 1])
		x = graph_1(g, OP_SUM_LAST, x);
	if (s.rows && !to.rows) x = graph_1(g, OP_SUM_ROWS, x);
	s = g->node.at[x].shape;
	if (s.rows != to.rows || shape_size(s) != shape_size(to)) {
		/* The gradient itself was narrower than the value: it is the same in every element. */
		if (shape_size(s) == 1)
			return graph_push(g, OP_SPREAD, to, 1, &x, (Attr){0}, g->node.at[x].span);
		bug("cannot sum %s to %s", shape_text(g->arena, s), shape_text(g->arena, to));
	}
	return graph_reshape(g, x, to);
}
