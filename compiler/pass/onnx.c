/*
 * The scoring graph in the operators of ONNX, node by node, as each op's row says.
 *
 * Needs   the serving graph, and what the data gave the features.
 * Leaves  the ONNX form, weights named and not yet brought; outputs [n] in the model's order.
 */
#include "ir/onnx.h"
#include "ir/op.h"
#include "pass/pass.h"
#include <string.h>

static bool is_input(const Onnx *o, Str name)
{
	for (int i = 0; i < o->input.n; i++)
		if (o->value.at[o->input.at[i].value].name == name) return true;
	return false;
}

/* [n, 1] -> [n], under the output's name; outputs of one node are copies. */
static void output(Onnx *o, const Node *n, int x, Str name)
{
	int64_t all = -1;
	OnnxNode k = {.op = str_intern(o->str, "Reshape")};
	vec_push(o->arena, &k.in, onnx_whole(o, x, n->shape));
	vec_push(o->arena, &k.in, onnx_ints(o, 1, &all));
	vec_push(o->arena, &o->value,
		 ((OnnxValue){is_input(o, name) ? str_printf(o->str, "%s.output", name) : name, true}));
	k.out = o->value.n - 1;
	vec_push(o->arena, &o->node, k);
	vec_push(o->arena, &o->output, k.out);
}

Onnx *pass_onnx(Arena *a, const Spec *s, const Graph *g, const OnnxCode *code, const char **lacks)
{
	Onnx *o = onnx_new(a, s->str, s, g, code);
	int *value = arena_new(a, int, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		int *x = arena_new(a, int, n->n_in + 1);
		for (int i = 0; i < n->n_in; i++) x[i] = n->in[i] ? value[n->in[i]] : 0;
		if (!op_table[n->op]->onnx) {
			*lacks = op_table[n->op]->word;
			return NULL;
		}
		value[id] = op_table[n->op]->onnx(o, n, x);
	}
	for (int i = 0; i < s->output.n; i++)
		for (int r = 0; r < g->root.n; r++)
			if (g->root.at[r].kind == ROOT_OUTPUT && g->root.at[r].index == i)
				output(o, &g->node.at[g->root.at[r].node], value[g->root.at[r].node],
				       s->output.at[i].name);
	return o;
}
