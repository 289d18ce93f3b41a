/*
 * The body of a scan: what a new value of a state needs and what needs a state itself.  Whatever else depends
 * on the states is computed afterwards, for all steps at once.
 *
 * Needs   a verified graph.
 * Leaves  it as it is, or a copy in another order.
 */
#include "pass/walk.h"
#include "ir/op.h"

/* Marks the body of the scan that `scan` is a node of. */
static void body(const Graph *g, NodeId scan, int number, int *of)
{
	bool *from = arena_new(g->arena, bool, scan + 1), *to = arena_new(g->arena, bool, scan + 1);
	const Node *s = &g->node.at[scan];
	for (NodeId id = 1; id < scan; id++) {
		const Node *n = &g->node.at[id];
		from[id] = n->op == OP_STATE && n->attr.j == s->attr.j;
		for (int i = 0; i < n->n_in; i++) from[id] |= from[n->in[i]];
	}
	for (int i = 0; i < s->n_in; i++) to[s->in[i]] = true;
	for (NodeId id = scan; id-- > 1;) {
		const Node *n = &g->node.at[id];
		for (int i = 0; to[id] && i < n->n_in; i++) to[n->in[i]] = true;
		if ((from[id] && to[id]) || (n->op == OP_STATE && n->attr.j == s->attr.j)) of[id] = number;
	}
}

int *walk_of(const Graph *g)
{
	int *of = arena_new(g->arena, int, g->node.n), n = 0;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *s = &g->node.at[id];
		bool first = s->op == OP_SCAN;
		for (NodeId before = 1; first && before < id; before++)
			first = g->node.at[before].op != OP_SCAN || g->node.at[before].attr.j != s->attr.j;
		if (first) body(g, id, ++n, of);
	}
	return of;
}

typedef struct {
	const Graph *g;
	Graph *out;
	const int *of;
	NodeId *now; /* per node: its new id, or 0 */
} Move;

static void move(Move *m, NodeId id);

static void put(Move *m, NodeId id)
{
	const Node *n = &m->g->node.at[id];
	NodeId *in = arena_new(m->g->arena, NodeId, n->n_in + 1);
	for (int i = 0; i < n->n_in; i++) in[i] = m->now[n->in[i]];
	m->now[id] = graph_push(m->out, n->op, n->shape, n->n_in, in, n->attr, n->span);
	m->out->node.at[m->now[id]].name = n->name;
}

static void move_operands(Move *m, NodeId id)
{
	const Node *n = &m->g->node.at[id];
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && (!m->of[id] || m->of[n->in[i]] != m->of[id])) move(m, n->in[i]);
}

static void move(Move *m, NodeId id)
{
	if (m->now[id]) return;
	if (!m->of[id]) {
		move_operands(m, id);
		put(m, id);
		return;
	}
	for (NodeId k = 1; k < m->g->node.n; k++)
		if (m->of[k] == m->of[id]) move_operands(m, k);
	for (NodeId k = 1; k < m->g->node.n; k++)
		if (m->of[k] == m->of[id]) put(m, k);
}

const Graph *walk_order(const Graph *g)
{
	bool any = false;
	for (NodeId id = 1; id < g->node.n; id++) any |= g->node.at[id].op == OP_SCAN;
	if (!any) return g;
	Move m = {g, graph_new(g->arena, g->str), walk_of(g), arena_new(g->arena, NodeId, g->node.n)};
	for (NodeId id = 1; id < g->node.n; id++) move(&m, id);
	for (int r = 0; r < g->root.n; r++)
		graph_root(m.out, g->root.at[r].kind, g->root.at[r].index, m.now[g->root.at[r].node]);
	return m.out;
}
