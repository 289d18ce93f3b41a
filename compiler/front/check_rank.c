/*
 * Losses that compare the rows of a group: pairwise and listwise.
 *
 * Rows that count, K: those whose gain y is known.  s is the score: of a probability its logit.
 *
 *   pairwise   of a group with |P| pairs (i, j) of K, y_i > y_j:   sum of softplus(s_j - s_i) over them / |P|
 *              counts 1 a group that has a pair, or with `per: pair` sums and counts the pairs
 *   listwise   of a group with a pair:   sum over K of q_i (log sum over K of e^s_j - s_i), counts 1;
 *              q = softmax of y over K, or with `target: share` y / sum of y
 *
 * As values a row: each row of a pair has half of its loss, and half of what it counts, so that a row weight
 * weighs a pair by the mean of its two.  A group without a pair has neither loss nor count.
 */
#include "front/checker.h"
#include "front/build.h"
#include <string.h>

/* What is compared: one number a row each. */
typedef struct {
	NodeId score, gain, known;
	Str by;	       /* the gain, as text */
	bool positive; /* no gain is below 0, or can be said to be a bad row */
	int sample;    /* the gain is this value, or -1 */
} Ranking;

/* Known where every label that a number is made of is known; 1 where it is made of none. */
static NodeId known_of(Check *c, NodeId id, Span at)
{
	bool *inside = arena_new(c->a, bool, id + 1);
	NodeId known = 0;
	inside[id] = true;
	for (NodeId k = id; k > 0; k--) {
		const Node *n = graph_node(c->g, k);
		for (int i = 0; inside[k] && i < n->n_in; i++) inside[n->in[i]] = true;
	}
	for (int i = 0; i < c->labelled.n; i++) {
		const Labelled *l = &c->labelled.at[i];
		if (l->label > id || !inside[l->label]) continue;
		known = known ? node2(c->g, OP_MUL, known, l->known, at) : l->known;
	}
	if (known) return known;
	NodeId one = node_const(c->g, 1, at);
	return graph_push(c->g, OP_SPREAD, shape_scalar(true), 1, &one, (Attr){0}, at);
}

static Str text_of(Check *c, const Ast *e)
{
	Text t = {0};
	ast_expr_text(e, &t);
	Str s = str_intern(c->str, t.at);
	text_free(&t);
	return s;
}

static NodeId one_number(Check *c, const CallSite *site, const Value *v, const char *what, Span at)
{
	NodeId n = as_tensor(c, v, at);
	if (!n) return 0;
	Shape s = shape_of(c, n);
	if (!s.rows || s.seq || shape_size(s) != 1) {
		told(c, at, "M0614", "%s takes as %s one number per row, %s is %s", site->name, what,
		     describe(c, v), shape_text(c->a, s));
		return 0;
	}
	return as_column(c, n);
}

static NodeId sample_input(Check *c, OpCode op, int sample, Span at)
{
	return graph_push(c->g, op, shape_scalar(true), 0, NULL, (Attr){.i = sample}, at);
}

/* `gain: e` of an event or a value by its name, else any number per row. */
static bool gain_given(Check *c, const CallSite *site, const Ast *e, Ranking *r)
{
	int sample = sample_named(c, e);
	r->by = text_of(c, e);
	if (sample >= 0) {
		r->gain = sample_input(c, OP_SAMPLE, sample, e->span);
		r->known = sample_input(c, OP_KNOWN, sample, e->span);
		r->sample = sample;
		r->positive = c->s->sample.at[sample].classes > 0;
		vec_push(c->a, &c->labelled, ((Labelled){r->gain, r->known, NULL, sample}));
		return true;
	}
	const Binding *b = e->kind == AST_NAME ? scope_find(c->scope, e->name) : NULL;
	bool event = e->kind == AST_NAME && (!b || b->value->kind == V_WORD || b->value->kind == V_STRING);
	const Value *v = NULL;
	if (event) {
		const Formula *f = formula_of(c, e);
		if (!f) return false;
		build_label(c->s, f, formula_true(), e->span, &r->gain, &r->known);
		vec_push(c->a, &c->labelled, ((Labelled){r->gain, r->known, f, -1}));
		r->positive = true;
		return true;
	}
	if ((v = eval(c, e))->kind == V_POISON) return false;
	if (!(r->gain = one_number(c, site, v, "gain", e->span))) return false;
	r->known = known_of(c, r->gain, e->span);
	return true;
}

/* The score, and the gain that belongs to it: a probability's label, a mean's value. */
static bool score_given(Check *c, const CallSite *site, const Ast *e, const Value *v, bool gain, Ranking *r)
{
	Span at = e ? e->span : site->call->span;
	if (!v) v = eval(c, e);
	if (v->kind == V_POISON) return false;
	if (v->kind == V_PROB) {
		ProbType t;
		if (!loss_prob(c, site, e, v, &t, &at)) return false;
		r->score = build_logit(c->s, &t.derived, at);
		vec_push(c->a, &c->use,
			 (ProbUse){.trained = true,
				   .masked = t.given->kind != F_TRUE,
				   .ranked = true,
				   .type = t,
				   .at = site->call->span});
		if (gain) return true;
		build_label(c->s, t.of, t.given, at, &r->gain, &r->known);
		Text text = {0};
		prob_text(c->s->events, t.estimate, t.of, t.given, &text);
		r->by = str_intern(c->str, text.at);
		text_free(&text);
		r->positive = true;
		return true;
	}
	OutcomeHead *h = v->kind == V_SCORE && v->outcome ? &c->outcome.at[v->outcome - 1] : NULL;
	if (h && h->node != v->node) h = NULL; /* P(act = cart): a number like others */
	if (!(r->score = one_number(c, site, v, "score", at))) return false;
	if (h) h->trained = true;
	if (gain) return true;
	if (!h) {
		told(c, at, "M0614",
		     "%s does not know what should order the rows: %s has no label of its own", site->name,
		     describe(c, v));
		diag_help(c->d, "%s(..., gain: EVENT), or a value, or label(a) + 2 * label(b)", site->name);
		return false;
	}
	r->gain = sample_input(c, OP_SAMPLE, h->sample, at);
	r->known = outcome_counts(c, h, at);
	r->by = c->s->sample.at[h->sample].name;
	r->sample = h->sample;
	return true;
}

static bool has_group(Check *c, const CallSite *site)
{
	if (c->s->group_column) return true;
	if (c->rows && diag_errors(c->d)) return false; /* it may have been refused */
	told(c, site->call->span, "M0615",
	     "%s compares the rows of a group, and the model does not say which belong together", site->name);
	diag_help(c->d,
		  "rows { group: COLUMN }: rows with the same cell there, which stand together in the log");
	return false;
}

/* One of two words, the first unless said. */
static bool choice(Check *c, const Ast *e, const char *what, const char *const word[2], bool *second)
{
	*second = false;
	if (!e) return true;
	for (int i = 0; i < 2; i++)
		if (e->kind == AST_NAME && !strcmp(e->name, word[i])) {
			*second = i == 1;
			return true;
		}
	told(c, e->span, "M0614", "'%s' is %s or %s", what, word[0], word[1]);
	return false;
}

static NodeId peers(Check *c, OpCode op, int n, const NodeId *in, Span at)
{
	return graph_op(c->g, op, n, in, (Attr){0}, at);
}

/* The rows with which each stands in a pair; 0 in a group without one. */
static NodeId rivals(Check *c, const Ranking *r, Span at)
{
	return peers(c, OP_RIVALS, 2, (NodeId[]){r->gain, r->known}, at);
}

static const Value *within(Check *c, NodeId row, NodeId count, const char *of, const Ranking *r, Span at)
{
	c->s->grouped = true;
	return row_loss(c, row, count, str_printf(c->str, "%s %s by %s", of, c->s->group_column, r->by), at);
}

const Value *loss_pairwise(Check *c, const CallSite *site)
{
	static const char *const param[] = {"score", "?gain", "?per"}, *const per[2] = {"group", "pair"};
	const Ast *ast[3];
	const Value *value[3];
	Span at = site->call->span;
	Ranking r = {.sample = -1};
	bool by_pair;
	if (!bind_args(c, site, 3, param, ast, value) || !choice(c, ast[2], "per", per, &by_pair) ||
	    !has_group(c, site) || (ast[1] && !gain_given(c, site, ast[1], &r)) ||
	    !score_given(c, site, ast[0], value[0], ast[1], &r))
		return poison(c);
	Graph *g = c->g;
	NodeId count = node2(g, OP_MUL, node_const(g, 0.5, at), rivals(c, &r, at), at);
	NodeId row = peers(c, OP_PAIRWISE, 3, (NodeId[]){r.score, r.gain, r.known}, at);
	if (by_pair) return within(c, row, count, "pairs of", &r, at);
	NodeId all = node2(g, OP_MAX, peers(c, OP_GROUP_SUM, 1, &count, at), node_const(g, 1, at), at);
	return within(c, node2(g, OP_DIV, row, all, at), node2(g, OP_DIV, count, all, at), "groups of", &r,
		      at);
}

/* y / sum of y over the rows that count. */
static NodeId shares(Check *c, const Ranking *r, Span at)
{
	Graph *g = c->g;
	NodeId y = node2(g, OP_MUL, r->gain, r->known, at), sum = peers(c, OP_GROUP_SUM, 1, &y, at);
	NodeId zero = node_const(g, 0, at);
	return node2(g, OP_DIV, y, node4(g, OP_SELLT, zero, sum, sum, node_const(g, 1, at), at), at);
}

/* e^(x - y), y the group's log-sum-exp over the rows that count; finite at others. */
static NodeId softened(Check *c, NodeId x, NodeId y, Span at)
{
	NodeId below = node2(c->g, OP_MIN, node2(c->g, OP_SUB, x, y, at), node_const(c->g, 0, at), at);
	return node1(c->g, OP_EXP, below, at);
}

const Value *loss_listwise(Check *c, const CallSite *site)
{
	static const char *const param[] = {"score", "?gain", "?target"}, *const target[2] = {"softmax",
											      "share"};
	const Ast *ast[3];
	const Value *value[3];
	Span at = site->call->span;
	Ranking r = {.sample = -1};
	bool by_share;
	if (!bind_args(c, site, 3, param, ast, value) || !choice(c, ast[2], "target", target, &by_share) ||
	    !has_group(c, site) || (ast[1] && !gain_given(c, site, ast[1], &r)) ||
	    !score_given(c, site, ast[0], value[0], ast[1], &r))
		return poison(c);
	if (by_share && r.sample >= 0) c->s->sample.at[r.sample].positive = r.positive = true;
	if (by_share && !r.positive) {
		told(c, ast[1]->span, "M0614", "shares need gains that are surely not below 0");
		diag_help(c->d,
			  "the name of an event or of a value, whose rows below 0 are then bad rows; or "
			  "`target: softmax`");
		return poison(c);
	}
	Graph *g = c->g;
	NodeId zero = node_const(g, 0, at);
	NodeId some = node4(g, OP_SELLT, zero, rivals(c, &r, at), node_const(g, 1, at), zero, at);
	NodeId q = by_share
		       ? shares(c, &r, at)
		       : softened(c, r.gain, peers(c, OP_GROUP_LSE, 2, (NodeId[]){r.gain, r.known}, at), at);
	q = node2(g, OP_MUL, some, q, at);
	NodeId all = peers(c, OP_GROUP_LSE, 2, (NodeId[]){r.score, r.known}, at);
	NodeId row = node2(g, OP_MUL, q, node2(g, OP_SUB, all, r.score, at), at);
	return within(c, row, q, "groups of", &r, at);
}
