/*
 * From proven probabilities to graph nodes.
 *
 * A probability is its logit.  A diagram node MIX(w, hi, lo) with constant branches is an AND, an OR or a
 * NOT: constants are folded here, at compile time, and never reach a kernel as infinities.
 */
#include "front/build.h"
#include "base/diag.h"
#include "ir/op.h"
#include <string.h>

NodeId node_const(Graph *g, double k, Span span) { return graph_const(g, k, span); }

NodeId node_op(Graph *g, OpCode op, int n, const NodeId *in, Span span)
{
	return graph_op(g, op, n, in, (Attr){0}, span);
}

static NodeId row_const(Graph *g, double k, Span span)
{
	NodeId c = graph_const(g, k, span);
	return graph_push(g, OP_SPREAD, shape_scalar(true), 1, &c, (Attr){0}, span);
}

/* ---- logits ---- */

/* A constant probability or a logit. */
typedef struct {
	bool constant, one;
	NodeId z;
} Logit;

static NodeId neg(Spec *s, NodeId z, Span span) { return node1(s->g, OP_NEG, z, span); }
static Logit logit(NodeId z) { return (Logit){.z = z}; }

static NodeId and (Spec * s, NodeId a, NodeId b, Span span) { return node2(s->g, OP_LAND, a, b, span); }

/* w hi + (1 - w) lo */
static Logit mix(Spec *s, NodeId w, Logit hi, Logit lo, Span span)
{
	if (hi.constant && lo.constant) {
		if (hi.one == lo.one) return hi;
		return logit(hi.one ? w : neg(s, w, span));
	}
	if (lo.constant && !lo.one) return logit(and(s, w, hi.z, span));
	if (hi.constant && !hi.one) return logit(and(s, neg(s, w, span), lo.z, span));
	if (hi.constant) /* w or lo: not (not w and not lo) */
		return logit(neg(s, and(s, neg(s, w, span), neg(s, lo.z, span), span), span));
	if (lo.constant) /* not w or hi */
		return logit(neg(s, and(s, w, neg(s, hi.z, span), span), span));
	return logit(node3(s->g, OP_LMIX, w, hi.z, lo.z, span));
}

static Logit diagram_logit(Spec *s, const Diagram *d, int root, Span span)
{
	Logit *at = arena_new(s->arena, Logit, d->node.n + 2);
	at[0] = (Logit){.constant = true};
	at[1] = (Logit){.constant = true, .one = true};
	/* Nodes come after their branches. */
	for (int i = 2; i < d->node.n; i++) {
		const DiagramNode *n = &d->node.at[i];
		NodeId w = s->events->head.at[n->test].logit;
		if (n->stop) w = node1(s->g, OP_STOP, w, span);
		at[i] = mix(s, w, at[n->hi], at[n->lo], span);
	}
	return at[root];
}

/* log p of a diagram that is not the constant 0 */
static NodeId log_p(Spec *s, const Diagram *d, Span span)
{
	Logit z = diagram_logit(s, d, d->root, span);
	if (z.constant) return row_const(s->g, 0, span);
	return node1(s->g, OP_LOGSIGMOID, z.z, span);
}

NodeId build_logit(Spec *s, const Derived *d, Span span)
{
	if (d->of) {
		Logit z = diagram_logit(s, d->of, d->of->root, span);
		/* Certain or impossible by the declarations alone: as far as a float logit goes. */
		return z.constant ? row_const(s->g, z.one ? 100 : -100, span) : z.z;
	}
	return node2(s->g, OP_SUB, log_p(s, d->yes, span), log_p(s, d->no, span), span);
}

/* ---- labels ---- */

static NodeId can(Spec *s, OpCode op, int event, Span span)
{
	return graph_push(s->g, op, shape_scalar(true), 0, NULL, (Attr){.i = event}, span);
}

/* A 0/1 value that may be known at compile time. */
static Logit bit(bool one) { return (Logit){.constant = true, .one = one}; }

static Logit both(Spec *s, Logit a, Logit b, Span span)
{
	if (a.constant) return a.one ? b : a;
	if (b.constant) return b.one ? a : b;
	return logit(node2(s->g, OP_MUL, a.z, b.z, span));
}

static Logit either(Spec *s, Logit a, Logit b, Span span)
{
	if (a.constant) return a.one ? a : b;
	if (b.constant) return b.one ? b : a;
	return logit(node2(s->g, OP_MAX, a.z, b.z, span));
}

/* 1 where some cell of the formula is consistent with the row's labels. */
static Logit possible(Spec *s, const Formula *f, Span span)
{
	Diagram *d = diagram_events(s->events, f);
	Logit *at = arena_new(s->arena, Logit, d->node.n + 2);
	at[0] = bit(false);
	at[1] = bit(true);
	for (int i = 2; i < d->node.n; i++) {
		const DiagramNode *n = &d->node.at[i];
		Logit hi = both(s, logit(can(s, OP_CAN1, n->test, span)), at[n->hi], span);
		Logit lo = both(s, logit(can(s, OP_CAN0, n->test, span)), at[n->lo], span);
		at[i] = either(s, hi, lo, span);
	}
	return at[d->root];
}

static Logit not(Spec * s, Logit a, Span span)
{
	if (a.constant) return bit(!a.one);
	return logit(node2(s->g, OP_SUB, node_const(s->g, 1, span), a.z, span));
}

static NodeId as_node(Spec *s, Logit a, Span span) { return a.constant ? row_const(s->g, a.one, span) : a.z; }

void build_label(Spec *s, const Formula *of, const Formula *given, Span span, NodeId *label, NodeId *known)
{
	const Events *e = s->events;
	Logit yes = possible(s, formula_and(e, of, given, span), span);
	Logit no = possible(s, formula_and(e, formula_not(e, of, span), given, span), span);
	Logit inside = not(s, possible(s, formula_not(e, given, span), span), span);
	/* Known: exactly one of yes and no is possible. */
	Logit sure_yes = both(s, yes, not(s, no, span), span), sure_no = both(s, no, not(s, yes, span), span);
	*label = as_node(s, sure_yes, span);
	*known = as_node(s, both(s, inside, either(s, sure_yes, sure_no, span), span), span);
}

/* ---- the full likelihood of what was observed ---- */

/*
 * -log P(cells consistent with the row), event by event, parents first.  At each event the branches that may
 * be are added, log-add-exp of "happened, and then the rest" and "did not, and then the rest"; where only one
 * is open it is that term alone, and where both are and nothing below is known the sum is 1 and its log
 * exactly 0.
 *
 * Siblings promised independent are separate factors.  Others are taken in turn, each given those before it.
 */
typedef struct {
	Spec *s;
	Span span;
	const int *event; /* ascending: parents come first */
	int n;
} Joint;

static NodeId plus(Spec *s, NodeId a, NodeId b, Span span)
{
	return !a ? b : !b ? a : node2(s->g, OP_ADD, a, b, span);
}

/* -log of the branches of one event that are open; yes_below, no_below: what follows each, 0 for nothing. */
static NodeId branches(Joint *j, int event, NodeId z, NodeId yes_below, NodeId no_below)
{
	Spec *s = j->s;
	Graph *g = s->g;
	Span at = j->span;
	NodeId can1 = can(s, OP_CAN1, event, at), can0 = can(s, OP_CAN0, event, at),
	       one = node_const(g, 1, at), zero = node_const(g, 0, at);
	NodeId yes =
	    plus(s, node1(g, OP_SOFTPLUS, neg(s, z, at), at), yes_below, at); /* -log P(event) and the rest */
	NodeId no = plus(s, node1(g, OP_SOFTPLUS, z, at), no_below, at);
	NodeId open = zero, below = plus(s, yes_below, no_below, at);
	if (below) {
		/* -log(e^-yes + e^-no) = min - log1p(e^-|yes - no|) */
		NodeId gap = node1(g, OP_ABS, node2(g, OP_SUB, yes, no, at), at);
		NodeId tail = node1(g, OP_LOG1P, node1(g, OP_EXP, neg(s, gap, at), at), at);
		NodeId sum = node2(g, OP_SUB, node2(g, OP_MIN, yes, no, at), tail, at);
		open = node4(g, OP_SELLT, zero, below, sum, zero, at);
	}
	return node4(g, OP_SELLT, can0, one, yes, node4(g, OP_SELLT, can1, one, no, open, at), at);
}

static NodeId event_logit(Joint *j, int event, const Formula *given)
{
	const Events *e = j->s->events;
	Derived d = derive(e, NULL, formula_event(e, event, j->span), given);
	if (!d.ok) bug("joint over an event that was not checked");
	return build_logit(j->s, &d, j->span);
}

/* The i-th event and all after it, given what is known of those before it. */
static NodeId joint_chain(Joint *j, int i, const Formula *context)
{
	const Events *e = j->s->events;
	if (i == j->n) return 0;
	int parent = e->event.at[j->event[i]].parent;
	const Formula *no_parent =
	    parent >= 0 ? formula_not(e, formula_event(e, parent, j->span), j->span) : NULL;
	if (no_parent && formula_implies(e, context, no_parent)) return joint_chain(j, i + 1, context);
	const Formula *happened = formula_event(e, j->event[i], j->span),
		      *did_not = formula_not(e, happened, j->span);
	NodeId z = event_logit(j, j->event[i], context);
	NodeId yes = joint_chain(j, i + 1, formula_and(e, context, happened, j->span));
	NodeId no = joint_chain(j, i + 1, formula_and(e, context, did_not, j->span));
	return branches(j, j->event[i], z, yes, no);
}

static bool listed(const Joint *j, int event)
{
	for (int i = 0; i < j->n; i++)
		if (j->event[i] == event) return true;
	return false;
}

static NodeId joint_product(Joint *j, int parent)
{
	const Events *e = j->s->events;
	NodeId sum = 0;
	for (int i = 0; i < j->n; i++) {
		int event = j->event[i];
		if (e->event.at[event].parent != parent &&
		    !(parent < 0 && !listed(j, e->event.at[event].parent)))
			continue;
		int p = e->event.at[event].parent;
		NodeId z = event_logit(j, event, p >= 0 ? formula_event(e, p, j->span) : formula_true());
		sum = plus(j->s, sum, branches(j, event, z, joint_product(j, event), 0), j->span);
	}
	return sum;
}

NodeId build_joint(Spec *s, int n, const int *event, bool independent, Span span)
{
	Joint j = {.s = s, .span = span, .event = event, .n = n};
	if (independent) return joint_product(&j, -1);
	return joint_chain(&j, 0, formula_true());
}

/* ---- what is reported ---- */

/* Does `f` say that this event happened? */
static bool implied(const Events *e, const Formula *f, int event)
{
	if (f->kind == F_AND) return implied(e, f->a, event) || implied(e, f->b, event);
	for (int i = f->kind == F_EVENT ? f->event : -1; i >= 0; i = e->event.at[i].parent)
		if (i == event) return true;
	return false;
}

/* "clk & (cart | wish)": the columns that make the label of an event, less what `given` says already. */
static void event_columns(const Events *e, int event, const Formula *given, bool first, Text *out)
{
	if (event < 0 || implied(e, given, event)) return;
	const Event *v = &e->event.at[event];
	bool several = (v->parent >= 0 && !implied(e, given, v->parent)) || !first;
	event_columns(e, v->parent, given, false, out);
	if (v->parent >= 0 && !implied(e, given, v->parent)) text_add(out, " & ");
	Str label = v->label_text ? v->label_text : v->name;
	bool brackets = several && strchr(label, '|');
	text_printf(out, brackets ? "(%s)" : "%s", label);
}

/* `alone`: what comes out stands beside no `&`, so an "or" needs no brackets. */
static void columns(const Events *e, const Formula *f, const Formula *given, bool alone, Text *out)
{
	const Formula *known = f->kind == F_AND && given->kind == F_TRUE ? f->a : given;
	switch (f->kind) {
	case F_TRUE: text_add(out, "all"); break;
	case F_EVENT:
		if (implied(e, given, f->event))
			text_char(out, '1'); /* P(click | buy): no column decides it */
		event_columns(e, f->event, given, alone, out);
		break;
	case F_NOT:
		text_add(out, "!(");
		columns(e, f->a, given, true, out);
		text_char(out, ')');
		break;
	case F_AND:
		/* What the condition or the first half says need not be said again. */
		if (f->a->kind == F_EVENT && implied(e, given, f->a->event)) {
			columns(e, f->b, known, alone, out);
			break;
		}
		if (f->b->kind == F_EVENT && implied(e, known, f->b->event)) {
			columns(e, f->a, given, alone, out);
			break;
		}
		columns(e, f->a, given, false, out);
		text_add(out, " & ");
		columns(e, f->b, known, false, out);
		break;
	case F_OR:
		text_char(out, '(');
		columns(e, f->a, given, true, out);
		text_add(out, " | ");
		columns(e, f->b, given, true, out);
		text_char(out, ')');
		break;
	}
}

Str build_rows_text(Spec *s, const Formula *given)
{
	Text t = {0};
	columns(s->events, given, formula_true(), true, &t);
	Str text = str_intern(s->str, t.at);
	text_free(&t);
	return text;
}

int build_watch(Spec *s, Str estimate, const Formula *of, const Formula *given, const Derived *d, Span span)
{
	Str name = prob_name(s->events, estimate, of, given);
	for (int i = 0; i < s->watch.n; i++)
		if (s->watch.at[i].name == name) return i;
	Text text = {0}, expr = {0}, label = {0}, rows = {0};
	prob_text(s->events, estimate, of, given, &text);
	derived_text(s->events, d, &expr);
	columns(s->events, of, given, true, &label);
	columns(s->events, given, formula_true(), true, &rows);
	Watch w = {.name = name,
		   .text = str_intern(s->str, text.at),
		   .expression = str_intern(s->str, expr.at),
		   .label_text = str_intern(s->str, label.at),
		   .rows_text = str_intern(s->str, rows.at)};
	w.logit = build_logit(s, d, span);
	build_label(s, of, given, span, &w.label, &w.weight);
	vec_push(s->arena, &s->watch, w);
	text_free(&text);
	text_free(&expr);
	text_free(&label);
	text_free(&rows);
	return s->watch.n - 1;
}
