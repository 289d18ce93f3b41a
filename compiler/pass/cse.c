/*
 * Common subexpressions: equal ops on equal operands are one node.  Gradients repeat much of the forward
 * pass.
 *
 * Needs   a verified graph.
 * Leaves  no two equal nodes.
 */
#include "pass/pass.h"
#include "pass/rebuild.h"
#include <string.h>

static uint64_t hash(const Node *n)
{
	uint64_t h = 1469598103934665603u;
	int64_t words[] = {n->op, n->attr.i, n->attr.j, n->shape.rows, n->shape.nd, n->shape.d[0], n->n_in};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		h = (h ^ (uint64_t)words[i]) * 1099511628211u;
	uint64_t k;
	memcpy(&k, &n->attr.k, sizeof k);
	h = (h ^ k) * 1099511628211u;
	for (int i = 0; i < n->n_in; i++) h = (h ^ (uint64_t)n->in[i]) * 1099511628211u;
	return h ^ h >> 29;
}

static bool same(const Node *a, const Node *b)
{
	if (a->op != b->op || a->n_in != b->n_in || !shape_eq(a->shape, b->shape) || a->attr.i != b->attr.i ||
	    a->attr.j != b->attr.j || memcmp(&a->attr.k, &b->attr.k, sizeof a->attr.k) ||
	    memcmp(&a->attr.k2, &b->attr.k2, sizeof a->attr.k2) || a->attr.word != b->attr.word)
		return false;
	return !a->n_in || !memcmp(a->in, b->in, sizeof *a->in * (size_t)a->n_in);
}

void pass_cse(Graph *g)
{
	int n = g->node.n, size = 16;
	while (size < 2 * n) size *= 2;
	NodeId *slot = arena_new(g->arena, NodeId, size), *to = arena_new(g->arena, NodeId, n);
	bool *live = arena_new(g->arena, bool, n);
	for (NodeId id = 1; id < n; id++) {
		Node *node = &g->node.at[id];
		for (int i = 0; i < node->n_in; i++) node->in[i] = node->in[i] ? to[node->in[i]] : 0;
		uint64_t h = hash(node) & (uint64_t)(size - 1);
		while (slot[h] && !same(node, &g->node.at[slot[h]])) h = (h + 1) & (uint64_t)(size - 1);
		if (!slot[h]) slot[h] = id;
		to[id] = slot[h];
		live[id] = slot[h] == id;
		if (!live[id] && !g->node.at[to[id]].name) g->node.at[to[id]].name = node->name;
	}
	graph_keep(g, live, to);
}
