/*
 * Which dense layers and tables score with numbers of reduced precision, and which stay as they are.  The one
 * place that decides it.
 *
 * Needs   the model's graph, shared, its sums in order.
 * Leaves  attr.i of DENSE nodes (ir/graph.h); for int8, what a byte of their input means.  Table.precision.
 */
#include "ir/op.h"
#include "ir/terms.h"
#include "pass/pass.h"
#include "pass/walk.h"
#include <math.h>

enum {
	LEAST_INPUTS = 16, /* fewer, and there is nothing to gain */
	LEAST_OUTPUTS = 16,
	MOST_INPUTS = 1 << 16, /* so that a sum of products of bytes fits in 31 bits */
};

static Shape weights(const Graph *g, NodeId id) { return g->node.at[g->node.at[id].in[1]].shape; }

const char *precision_refuses(const Graph *g, NodeId id, const int *walk)
{
	int K = weights(g, id).d[0], N = weights(g, id).d[1];
	if (N < LEAST_OUTPUTS || terms_in_chains(N)) return "few outputs: logits, gates";
	if (K < LEAST_INPUTS) return "few inputs";
	if (K >= MOST_INPUTS) return "too many inputs";
	if (g->node.at[g->node.at[id].in[1]].op != OP_PARAM) return "its weights are computed";
	if (walk[id]) return "within a recurrence";
	return NULL;
}

const char *precision_refuses_table(const Table *t, Precision p)
{
	if (!t->serving) return "not of the scorer";
	return narrow_record(p, t->dim) < t->dim ? NULL : "few numbers a row";
}

/* A range that has 0 in it, in 255 steps, so that 0 is a byte. */
static void bytes_of(Range r, Attr *a)
{
	double lo = r.lo < 0 ? r.lo : 0, hi = r.hi > 0 ? r.hi : 0;
	a->k = hi > lo ? (float)((hi - lo) / 255) : 1;
	a->k2 = rint(-lo / a->k);
}

void pass_precision(Spec *s, Precision p, const Range *range)
{
	const int *walk = walk_of(s->g);
	for (NodeId id = 1; id < s->g->node.n; id++) {
		Node *n = &s->g->node.at[id];
		if (n->op != OP_DENSE || precision_refuses(s->g, id, walk)) continue;
		n->attr.i = (int32_t)p;
		if (p == PRECISION_INT8)
			bytes_of(range ? range[s->g->node.at[n->in[1]].attr.i] : (Range){-2, 2}, &n->attr);
	}
	for (int i = 0; i < s->table.n; i++)
		if (!precision_refuses_table(&s->table.at[i], p)) s->table.at[i].precision = p;
}

void precision_none(Graph *g)
{
	for (NodeId id = 1; id < g->node.n; id++) {
		Node *n = &g->node.at[id];
		if (n->op != OP_DENSE) continue;
		n->attr.i = PRECISION_F32;
		n->attr.k = n->attr.k2 = 0;
	}
}

/* The largest number in a row, over all steps where there are such. */
static NodeId largest(Graph *g, NodeId x)
{
	NodeId y = graph_1(g, OP_MAX_LAST, x);
	return g->node.at[y].shape.seq ? graph_1(g, OP_MAX_STEPS, y) : y;
}

void pass_ranges(Spec *s)
{
	Graph *g = s->g;
	const int *walk = walk_of(g);
	NodeId *x = arena_new(s->arena, NodeId, 2 * s->param.n + 1);
	for (NodeId id = 1, end = g->node.n; id < end; id++) {
		if (g->node.at[id].op != OP_DENSE || precision_refuses(g, id, walk)) continue;
		int param = g->node.at[g->node.at[id].in[1]].attr.i;
		NodeId in = g->node.at[id].in[0], of[2] = {graph_1(g, OP_NEG, in), in};
		for (int k = 0; k < 2; k++) {
			NodeId y = largest(g, of[k]);
			x[2 * param + k] = x[2 * param + k] ? graph_2(g, OP_MAX, x[2 * param + k], y) : y;
		}
	}
	for (int i = 0; i < 2 * s->param.n; i++)
		if (x[i])
			vec_push(s->arena, &s->output,
				 ((Output){.name = str_printf(s->str, "range.%d.%s", i / 2,
							      i % 2 ? "most" : "least"),
					   .node = x[i],
					   .text = s->param.at[i / 2].name}));
}
