/*
 * The scoring graph in the operators of ONNX, node by node, as each op's row says.  A scan over steps is
 * ONNX's Scan, with what depends on its states as the body.
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

/* ---- scans ---- */

typedef struct {
	Onnx *o;
	const Graph *g;
	int *value; /* per node; of what lies in a scan's body, in that body */
	int *scan;  /* per node: 1 + the scan in whose body it lies, or 0 */
} Walk;

/* What depends on a state, up to its scan. */
static int *bodies(Arena *a, const Graph *g)
{
	int *scan = arena_new(a, int, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (n->op == OP_STATE) scan[id] = 1 + n->attr.j;
		for (int i = 0; i < n->n_in && n->op != OP_SCAN; i++)
			if (scan[n->in[i]]) scan[id] = scan[n->in[i]];
	}
	return scan;
}

static int written(Onnx *o, const Node *n, const int *value)
{
	int *x = arena_new(o->arena, int, n->n_in + 1);
	for (int i = 0; i < n->n_in; i++) x[i] = n->in[i] ? value[n->in[i]] : 0;
	return op_table[n->op]->onnx(o, n, x);
}

/* Zeros [n, d], where a state begins. */
static int beginning(Onnx *o, Shape s)
{
	s.seq = 0;
	return onnx_whole(o, onnx_number(o, ONNX_FLOAT, 0), s);
}

/* A new value that the body is given. */
static int inner(Onnx *o, OnnxScan *s, OnnxType type, Shape shape)
{
	int x = onnx_value(o);
	shape.seq = 0;
	vec_push(o->arena, &s->in, ((OnnxStep){x, type, shape}));
	return x;
}

/* The values of steps that the body reads: inside by inside[node]; outside appended to the node's operands.
 */
static void read_by_steps(Walk *w, int which, OnnxNode *k, int *inside)
{
	for (NodeId id = 1; id < w->g->node.n; id++) {
		const Node *n = &w->g->node.at[id];
		bool reads = w->scan[id] == which || (n->op == OP_SCAN && 1 + n->attr.j == which);
		for (int i = 0; reads && i < n->n_in; i++) {
			NodeId x = n->in[i];
			if (!x || inside[x] || w->scan[x] == which) continue;
			inside[x] = w->value[x];
			if (!w->g->node.at[x].shape.seq) continue;
			vec_push(w->o->arena, &k->in, onnx_whole(w->o, w->value[x], w->g->node.at[x].shape));
			inside[x] = inner(w->o, k->scan, ONNX_FLOAT, w->g->node.at[x].shape);
		}
	}
}

/* The body, where every value is of one step: node by node, as `flat` has them, without steps. */
static void write_body(Walk *w, int which, const Node *scan, OnnxNode *k, int *inside)
{
	Onnx *o = w->o;
	const Graph *outer = o->g;
	Graph *flat = graph_copy(w->g);
	for (NodeId id = 1; id < flat->node.n; id++) flat->node.at[id].shape.seq = 0;
	OnnxScan *s = k->scan;
	Onnx kept = *o;
	o->g = flat;
	memset(&o->node, 0, sizeof o->node);
	for (NodeId id = 1; id < w->g->node.n; id++)
		if (w->scan[id] == which && w->g->node.at[id].op != OP_STATE)
			inside[id] = written(o, &flat->node.at[id], inside);
	for (int i = 0; i < 2 * s->n_state; i++) {
		OnnxStep state = s->in.at[i % s->n_state];
		int last = onnx_whole(o, inside[scan->in[i % s->n_state]], state.shape);
		int new = onnx_3(o, "Where", s->in.at[s->n_state].value, last, state.value);
		state.value = i < s->n_state ? new : onnx_1(o, "Identity", new);
		vec_push(o->arena, &s->made, state);
	}
	memcpy(&s->node, &o->node, sizeof s->node);
	memcpy(&o->node, &kept.node, sizeof o->node);
	o->g = outer;
}

/* The first node of a scan brings all of it; a state that no step of a row touches stays what it was. */
static int scan_of(Walk *w, NodeId id, OnnxScan **made)
{
	const Node *n = &w->g->node.at[id];
	Onnx *o = w->o;
	if (!made[n->attr.j]) {
		OnnxNode k = {.op = str_intern(o->str, "Scan"), .scan = arena_new(o->arena, OnnxScan, 1)};
		int *inside = arena_new(o->arena, int, w->g->node.n), which = 1 + n->attr.j;
		k.scan->n_state = n->n_in;
		for (int i = 0; i < n->n_in; i++) {
			(void)inner(o, k.scan, ONNX_FLOAT, w->g->node.at[n->in[i]].shape);
			vec_push(o->arena, &k.in, beginning(o, w->g->node.at[n->in[i]].shape));
		}
		for (NodeId s = 1; s < id; s++) {
			const Node *state = &w->g->node.at[s];
			if (state->op == OP_STATE && state->attr.j == n->attr.j)
				inside[s] = k.scan->in.at[state->attr.i].value;
		}
		vec_push(o->arena, &k.in, onnx_steps(o, n->shape.seq));
		(void)inner(o, k.scan, ONNX_BOOL, shape_scalar(true));
		read_by_steps(w, which, &k, inside);
		write_body(w, which, n, &k, inside);
		for (int i = 0; i < 2 * n->n_in; i++) vec_push(o->arena, &k.scan->given, onnx_value(o));
		k.out = k.scan->given.at[0];
		vec_push(o->arena, &o->node, k);
		made[n->attr.j] = k.scan;
	}
	return made[n->attr.j]->given.at[n->n_in + n->attr.i];
}

Onnx *pass_onnx(Arena *a, const Spec *s, const Graph *g, const OnnxCode *code, const char **lacks)
{
	Onnx *o = onnx_new(a, s->str, s, g, code);
	int *value = arena_new(a, int, g->node.n), scans = 1;
	Walk w = {o, g, value, bodies(a, g)};
	for (NodeId id = 1; id < g->node.n; id++)
		if (g->node.at[id].op == OP_SCAN && g->node.at[id].attr.j >= scans)
			scans = g->node.at[id].attr.j + 1;
	OnnxScan **made = arena_new(a, OnnxScan *, scans);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (n->op != OP_STATE && n->op != OP_SCAN && !op_table[n->op]->onnx) {
			*lacks = op_table[n->op]->word;
			return NULL;
		}
		if (n->op == OP_SCAN)
			value[id] = scan_of(&w, id, made);
		else if (!w.scan[id])
			value[id] = written(o, n, value);
	}
	for (int i = 0; i < s->output.n; i++)
		for (int r = 0; r < g->root.n; r++)
			if (g->root.at[r].kind == ROOT_OUTPUT && g->root.at[r].index == i)
				output(o, &g->node.at[g->root.at[r].node], value[g->root.at[r].node],
				       s->output.at[i].name);
	return o;
}
