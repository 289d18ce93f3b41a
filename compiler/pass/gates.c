/*
 * Gates: what decides how much of each expert a mixture takes.
 *
 * Needs   a checked model.
 * Leaves  one entry for each different node that weighs a mixture, with columns of GATE.
 */
#include "pass/pass.h"
#include <string.h>

static bool known(const Spec *s, NodeId node)
{
	for (int i = 0; i < s->gate.n; i++)
		if (s->gate.at[i].node == node) return true;
	return false;
}

/* Two gates within one value, as in a layer used twice, are told apart by a number. */
static Str name_of(Spec *s, Str name)
{
	int n = 1;
	for (int i = 0; i < s->gate.n; i++) {
		size_t len = strlen(name);
		const char *other = s->gate.at[i].name;
		n += !strcmp(other, name) || (!strncmp(other, name, len) && other[len] == '#');
	}
	return n > 1 ? str_printf(s->str, "%s#%d", name, n) : name;
}

void pass_gates(Spec *s)
{
	int first = 0;
	for (NodeId id = 1; id < s->g->node.n; id++) {
		const Node *mix = graph_node(s->g, id);
		if (mix->op != OP_MIX || known(s, mix->in[0])) continue;
		const Node *gate = graph_node(s->g, mix->in[0]);
		int n = (int)shape_size(gate->shape);
		Gate g = {.name = name_of(s, gate->name ? gate->name : str_intern(s->str, "gate")),
			  .node = mix->in[0],
			  .first = first,
			  .n = n};
		vec_push(s->arena, &s->gate, g);
		first += n;
	}
}
