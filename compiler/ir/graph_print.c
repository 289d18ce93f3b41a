/* The graph on paper, and the rules it must obey. */
#include "ir/graph.h"
#include "ir/op.h"

static void attr_text(const Node *n, Text *o)
{
	if (n->op == OP_CONST || n->op == OP_LEAKY)
		text_printf(o, " %.9g", n->attr.k);
	else if (n->op == OP_SLICE)
		text_printf(o, " %d:%d", n->attr.i, n->attr.i + n->attr.j);
	else if (op_table[n->op]->group == GROUP_DENSE && n->attr.word)
		text_printf(o, " (%s)", n->attr.word);
	else if (n->n_in == 0)
		text_printf(o, " #%d", n->attr.i);
}

void graph_dump(const Graph *g, Text *out)
{
	static const char *const root[] = {"output", "watch", "loss", "count",	   "grad",	"drow",
					   "given",  "item",  "gate", "task grad", "task drow", "next"};
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		text_printf(out, "%%%d = %s", id, op_table[n->op]->word);
		attr_text(n, out);
		for (int i = 0; i < n->n_in; i++) text_printf(out, "%s%%%d", i ? ", " : " ", n->in[i]);
		text_printf(out, "  %s", shape_text(g->arena, n->shape));
		if (n->name) text_printf(out, "  # %s", n->name);
		text_char(out, '\n');
	}
	for (int r = 0; r < g->root.n; r++)
		text_printf(out, "%s %d = %%%d\n", root[g->root.at[r].kind], g->root.at[r].index,
			    g->root.at[r].node);
}

int graph_verify(const Graph *g, Text *faults)
{
	int bad = 0;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (n->op <= OP_NONE || n->op >= OP_N) {
			text_printf(faults, "%%%d: no such op\n", id);
			bad++;
			continue;
		}
		const Op *op = op_table[n->op];
		bool before = true;
		for (int i = 0; i < n->n_in; i++)
			before &=
			    n->in[i] < id && (n->in[i] > 0 || n->op == OP_DENSE || n->op == OP_DENSE_FIRST);
		if (!before || (op->n_in >= 0 && n->n_in != op->n_in)) {
			text_printf(faults, "%%%d %s: operands\n", id, op->word);
			bad++;
			continue;
		}
		Shape s = n->shape;
		const char *why = NULL;
		if (op->shape && n->n_in && !op->shape(g, n->n_in, n->in, &n->attr, &s, &why)) {
			text_printf(faults, "%%%d %s: %s\n", id, op->word, why);
			bad++;
		} else if (n->n_in && !shape_eq(s, n->shape)) {
			text_printf(faults, "%%%d %s: has shape %s, not %s\n", id, op->word,
				    shape_text(g->arena, n->shape), shape_text(g->arena, s));
			bad++;
		}
	}
	for (int r = 0; r < g->root.n; r++)
		if (g->root.at[r].node <= 0 || g->root.at[r].node >= g->node.n) {
			text_printf(faults, "root %d: no node\n", r);
			bad++;
		}
	return bad;
}
