/*
 * Binding times, and the order of sums that follows from them.
 *
 * A dense layer over a joined value sums the request's columns first, so that its sum can be cut between them
 * and the candidate's (pass/split.c) without a change of a bit.  The order is a property of the layer in all
 * graphs of the model: training, evaluation and every way of scoring share it.
 *
 * Needs   a checked, shared graph.
 * Leaves  attr.word of such dense layers.
 */
#include "pass/bind.h"
#include "ir/op.h"
#include "ir/terms.h"
#include "pass/pass.h"

static uint8_t input_time(const Spec *s, const Node *n)
{
	switch (n->op) {
	case OP_CONST:
	case OP_PARAM:
	case OP_NOISE:
	case OP_STATE: /* by its scan */
	case OP_INV: return 0;
	default: break;
	}
	int f = spec_feature_read(s, n);
	return f >= 0 && !s->group.at[s->feature.at[f].group].candidate ? BIND_REQUEST : BIND_CANDIDATE;
}

uint8_t *bind_times(const Spec *s, const Graph *g)
{
	uint8_t *when = arena_new(g->arena, uint8_t, g->node.n);
	for (bool news = true; news;) {
		news = false;
		for (NodeId id = 1; id < g->node.n; id++) {
			const Node *n = &g->node.at[id];
			if (!n->n_in) when[id] |= input_time(s, n);
			for (int i = 0; i < n->n_in; i++) when[id] |= when[n->in[i]];
			if (n->op != OP_SCAN) continue;
			for (NodeId k = 1; k < id; k++) { /* its states depend on what it does */
				const Node *state = &g->node.at[k];
				if (state->op != OP_STATE || state->attr.j != n->attr.j ||
				    when[k] == when[id])
					continue;
				when[k] = when[id];
				news = true;
			}
		}
	}
	return when;
}

/* The operand that alone depends on something and has all columns, or 0. */
static NodeId masked(const Graph *g, const uint8_t *when, const Node *n)
{
	NodeId x = 0;
	for (int i = 0; op_table[n->op]->each && i < n->n_in; i++) {
		if (!when[n->in[i]]) continue;
		if (x || shape_size(g->node.at[n->in[i]].shape) != shape_size(n->shape)) return 0;
		x = n->in[i];
	}
	return x;
}

static void pieces(const Graph *g, const uint8_t *when, NodeId x, bool through, int first, int width,
		   Pieces *out)
{
	const Node *n = &g->node.at[x];
	if (when[x] == (BIND_REQUEST | BIND_CANDIDATE)) {
		NodeId same = n->op == OP_RESHAPE ? n->in[0] : through ? masked(g, when, n) : 0;
		if (n->op == OP_SLICE) {
			pieces(g, when, n->in[0], through, first + n->attr.i, width, out);
			return;
		}
		if (same) {
			pieces(g, when, same, through, first, width, out);
			return;
		}
		for (int i = 0, at = 0; n->op == OP_CONCAT && i < n->n_in; i++) {
			int w = (int)shape_size(g->node.at[n->in[i]].shape);
			int lo = first > at ? first : at,
			    hi = first + width < at + w ? first + width : at + w;
			if (lo < hi) pieces(g, when, n->in[i], through, lo - at, hi - lo, out);
			at += w;
		}
		if (n->op == OP_CONCAT) return;
	}
	Piece *last = out->n ? &out->at[out->n - 1] : NULL;
	if (last && last->node == x && last->first + last->width == first)
		last->width += width;
	else
		vec_push(g->arena, out, (Piece){x, first, width, when[x]});
}

Pieces bind_pieces(const Graph *g, const uint8_t *when, NodeId x, bool through)
{
	Pieces p = {0};
	pieces(g, when, x, through, 0, (int)shape_size(g->node.at[x].shape), &p);
	return p;
}

/* The request's stretches, then the others; NULL: ascending, which is all that a chain needs where they lie
 * so. */
static Str order(const Spec *s, const Graph *g, const uint8_t *when, NodeId x, int outputs)
{
	enum { MOST = TERMS_MAX - 1 /* one may be cut */ };
	Pieces p = bind_pieces(g, when, x, true);
	Terms t = {0};
	int begun = 0;
	for (int side = 0; side < 2; begun = t.n, side++) {
		for (int i = 0, at = 0; i < p.n; at += p.at[i++].width)
			if (!(p.at[i].when & BIND_CANDIDATE) == !side &&
			    !terms_add(&t, at, p.at[i].width, t.n > begun))
				return NULL;
		if (t.n == begun) return NULL;
	}
	bool ascending = t.n == 2 && !t.at[0].k;
	return t.n > MOST || (ascending && !terms_in_chains(outputs)) ? NULL : terms_text(s->str, &t);
}

void pass_order(Spec *s)
{
	Graph *g = s->g;
	const uint8_t *when = bind_times(s, g);
	for (NodeId id = 1; id < g->node.n; id++) {
		Node *n = &g->node.at[id];
		if (n->op == OP_DENSE) n->attr.word = order(s, g, when, n->in[0], (int)shape_size(n->shape));
	}
}
