/*
 * Lints on what losses are made of: probabilities multiplied, added and put through a logarithm by hand,
 * where the same thing by its name is a logit all the way; and heads that lean on one bias.
 *
 * They read the graph, so a `let` or a layer in between hides nothing.  What stands in a layer of the prelude
 * is ours and not looked at.
 */
#include "front/checker.h"
#include <string.h>

static bool ours(const Check *c, NodeId id)
{
	Span at = graph_node(c->g, id)->span;
	return !at.hi || (at.lo >= c->prelude_at.lo && at.hi <= c->prelude_at.hi);
}

static bool is_const(const Node *n, double lo, double hi)
{
	return n->op == OP_CONST && n->attr.k >= lo && n->attr.k <= hi;
}

/*
 * One number per row that is surely in [0, 1] and comes from a sigmoid: `Unit` of a probability that may have
 * lost its event.  Operands come before users, so one walk marks them all.
 */
static bool *units(const Check *c)
{
	const Graph *g = c->g;
	bool *unit = arena_new(c->a, bool, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = graph_node(g, id);
		if (!n->shape.rows || shape_size(n->shape) != 1) continue;
		NodeId a = n->n_in > 0 ? n->in[0] : 0, b = n->n_in > 1 ? n->in[1] : 0;
		switch (n->op) {
		case OP_SIGMOID: unit[id] = true; break;
		case OP_RESHAPE:
		case OP_STOP:
		case OP_TRAINING: unit[id] = unit[a]; break;
		case OP_SUB: unit[id] = is_const(graph_node(g, a), 1, 1) && unit[b]; break;
		case OP_MUL:
			unit[id] = (unit[a] && (unit[b] || is_const(graph_node(g, b), 0, 1))) ||
				   (unit[b] && is_const(graph_node(g, a), 0, 1));
			break;
		case OP_ADD: unit[id] = unit[a] && unit[b]; break;
		default: break;
		}
	}
	return unit;
}

static bool by_hand(const Check *c, const bool *unit, NodeId id)
{
	const Node *n = graph_node(c->g, id);
	return (n->op == OP_MUL || n->op == OP_ADD) && unit[n->in[0]] && unit[n->in[1]] && !ours(c, id);
}

static void products_by_hand(Check *c, const bool *trained, const bool *unit)
{
	bool *inner = arena_new(c->a, bool, c->g->node.n); /* of a * b * c the whole is named once */
	for (NodeId id = c->g->node.n; id-- > 1;) {
		if (!trained[id] || !by_hand(c, unit, id)) continue;
		const Node *n = graph_node(c->g, id);
		bool outermost = !inner[id];
		for (int i = 0; i < 2; i++) inner[n->in[i]] = true;
		if (!outermost) continue;
		bool sum = n->op == OP_ADD;
		diag_warn(c->d, n->span, "M0656",
			  "a loss rests on a %s of probabilities that is computed as plain numbers",
			  sum ? "sum" : "product");
		diag_help(
		    c->d,
		    sum ? "declare heads, and name what is meant: P((a & b) | c) is derived, proven and "
			  "trained as a logit"
			: "declare heads, P(a) = sigmoid(...), P(b | a) = sigmoid(...), and train bce(P(b)): "
			  "the product is derived and stays a logit");
	}
}

/* log p, log(1 - p), log(p + 1e-7), log(max(p, 1e-7)): 0 or another function where p is near 0. */
static void logs_by_hand(Check *c, const bool *trained, const bool *unit)
{
	for (NodeId id = 1; id < c->g->node.n; id++) {
		const Node *n = graph_node(c->g, id);
		if (!trained[id] || (n->op != OP_LOG && n->op != OP_LOG1P) || ours(c, id)) continue;
		NodeId x = n->in[0];
		const Node *m = graph_node(c->g, x);
		bool guarded = false;
		if ((m->op == OP_ADD || m->op == OP_MAX) && !unit[x]) {
			int k = is_const(graph_node(c->g, m->in[0]), 0, 0.1)   ? 1
				: is_const(graph_node(c->g, m->in[1]), 0, 0.1) ? 0
									       : -1;
			guarded = k >= 0;
			if (guarded) x = m->in[k];
		}
		if (n->op == OP_LOG1P && graph_node(c->g, x)->op == OP_NEG) x = graph_node(c->g, x)->in[0];
		if (!unit[x]) continue;
		diag_warn(
		    c->d, n->span, "M0657",
		    guarded ? "the number added to a probability before its logarithm changes the loss, and "
			      "ends its gradient"
			    : "the logarithm of a probability is infinite where the probability rounds to 0");
		diag_help(c->d, "bce(P(...)) is the likelihood of an event, logsigmoid(z) the logarithm of a "
				"probability: both are exact for every logit");
	}
}

/* ---- one bias for several heads ---- */

enum { MOST_BIASES = 16 };

/* Numbers without rows that are added into a logit [n]. */
static int biases(const Check *c, NodeId id, NodeId *out, int n)
{
	const Node *x = graph_node(c->g, id);
	if (n == MOST_BIASES) return n;
	if (x->op == OP_PARAM && shape_size(x->shape) == 1)
		out[n++] = id;
	else if (x->op == OP_RESHAPE || x->op == OP_ADD || x->op == OP_SUB)
		for (int i = 0; i < x->n_in; i++) n = biases(c, x->in[i], out, n);
	return n;
}

static NodeId tower_of(const Check *c, NodeId logit)
{
	while (graph_node(c->g, logit)->op == OP_RESHAPE) logit = graph_node(c->g, logit)->in[0];
	return logit;
}

/* Base rates of events differ by orders of magnitude: one bias for two of them is a tug of war. */
static void shared_biases(Check *c)
{
	const Events *e = c->s->events;
	for (int i = 0; i < e->head.n; i++)
		for (int j = 0; j < i; j++) {
			NodeId a[MOST_BIASES], b[MOST_BIASES], both = 0;
			int n_a = biases(c, e->head.at[i].logit, a, 0),
			    n_b = biases(c, e->head.at[j].logit, b, 0);
			for (int k = 0; k < n_a; k++)
				for (int m = 0; m < n_b; m++)
					if (a[k] == b[m]) both = a[k];
			bool same = tower_of(c, e->head.at[i].logit) == tower_of(c, e->head.at[j].logit);
			if (same) both = 0;
			if (!both && !same) continue;
			const Head *h = &e->head.at[i], *first = &e->head.at[j];
			Text p = {0}, q = {0};
			prob_text(e, h->estimate, h->of, h->given, &p);
			prob_text(e, first->estimate, first->of, first->given, &q);
			diag_warn(c->d, h->span, "M0658",
				  same ? "%s and %s have the same logit: they are always equal"
				       : "%s and %s share a bias: their base rates pull it to and fro",
				  p.at, q.at);
			diag_note(c->d, both ? graph_node(c->g, both)->span : first->span,
				  both ? "this number is added to both" : "%s is given it here", q.at);
			diag_help(c->d, "end each tower with a layer of its own, -> dense(1)");
			text_free(&p);
			text_free(&q);
			j = i;
		}
}

void lint_losses(Check *c, const bool *trained)
{
	bool *unit = units(c);
	products_by_hand(c, trained, unit);
	logs_by_hand(c, trained, unit);
	shared_biases(c);
}
