/*
 * Losses, outputs, and what is watched: where probabilities are consumed.
 *
 * A loss on P(e | c) counts the rows where c holds and e is known; it is divided by the weight of those rows
 * in the batch.
 */
#include "front/checker.h"
#include "front/build.h"
#include <math.h>
#include <string.h>

void use_prob(Check *c, bool trained, const ProbType *t, bool masked, Span at)
{
	vec_push(c->a, &c->use, (ProbUse){.trained = trained, .masked = masked, .type = *t, .at = at});
}

static bool everywhere(const Formula *f) { return f->kind == F_TRUE; }

static Str rows_text(Check *c, const Formula *given)
{
	if (everywhere(given)) return NULL;
	Text t = {0};
	formula_text(c->s->events, given, &t);
	Str s = str_intern(c->str, t.at);
	text_free(&t);
	return s;
}

/* ---- the losses ---- */

bool loss_prob(Check *c, const CallSite *site, const Ast *ast, const Value *v, ProbType *t, Span *at)
{
	*at = ast ? ast->span : site->call->span;
	if (!v) v = eval(c, ast);
	if (v->kind == V_POISON) return false;
	if (v->kind == V_PROB) {
		if (!prob_proven(c, v, t)) return false;
		if (!t->read_only) return true;
		told(c, *at, "M0602", "a ratio of probabilities can be served, but not trained");
		diag_help(c->d, "declare a head for it: P(e | c) = sigmoid(...)");
		return false;
	}
	if (v->kind == V_SCORE && v->outcome) {
		const OutcomeHead *h = &c->outcome.at[v->outcome - 1];
		const Sample *s = &c->s->sample.at[h->sample];
		told(c, *at, "M0602", "%s needs the probability of an event, and '%s' is a %s", site->name,
		     s->name, s->classes ? "class: its alternatives are learnt together" : "value");
		if (s->classes)
			diag_help(c->d, "ce(%s); or declare the one as an event of its own", h->text);
		else
			diag_help(c->d, "mse(%s)", h->text);
	} else if (v->kind == V_SCORE) {
		told(c, *at, "M0602",
		     "%s needs the probability of an event, this is a score: no label belongs to it",
		     site->name);
		diag_help(c->d, "products without powers, P(a) * P(b | a), stay probabilities");
	} else if (v->kind == V_WORD && event_find(c->s->events, v->name) >= 0) {
		told(c, *at, "M0602", "%s needs the probability of an event, and '%s' is the event itself",
		     site->name, v->name);
		diag_help(c->d, "%s(P(%s))", site->name, v->name);
	} else {
		told(c, *at, "M0602", "%s needs the probability of an event, %s is %s", site->name,
		     describe(c, v), value_kind_word(v));
		if (v->role == ROLE_TOWER)
			diag_help(
			    c->d,
			    "say which event it estimates, P(event) = sigmoid(%s), and train %s(P(event))",
			    v->name, site->name);
	}
	return false;
}

bool over_all(Check *c, const Ast *e, bool *all)
{
	*all = e != NULL;
	if (!e || (e->kind == AST_NAME && !strcmp(e->name, "all"))) return true;
	told(c, e->span, "M0603", "over is followed by `all`: the loss is then divided by the whole batch");
	return false;
}

const Value *row_loss(Check *c, NodeId row, NodeId count, Str rows, Span at)
{
	return new_value(c, (Value){.kind = V_LOSS, .node = row, .count = count, .rows = rows, .span = at});
}

const Value *loss_bce(Check *c, const CallSite *site)
{
	static const char *const param[] = {"probability", "?assume_negative", "?over", "?smooth"};
	const Ast *ast[4];
	const Value *value[4];
	double smooth = 0;
	ProbType t;
	Span at;
	bool all;
	if (!bind_args(c, site, 4, param, ast, value)) return poison(c);
	if (ast[3] && !want_part(c, ast[3], "smooth", &smooth)) return poison(c);
	bool negative = ast[1] && ast[1]->kind == AST_NAME && !strcmp(ast[1]->name, "assume_negative");
	if (ast[1] && !negative) {
		told(c, ast[1]->span, "M0603",
		     "the label of a probability follows from its event; bce takes no other");
		diag_help(c->d, "the word `assume_negative` counts rows outside the condition as 0");
		return poison(c);
	}
	if (!over_all(c, ast[2], &all) || !loss_prob(c, site, ast[0], value[0], &t, &at)) return poison(c);
	const Formula *of = t.of, *given = t.given;
	if (negative && everywhere(given)) {
		told(c, ast[1]->span, "M0603",
		     "assume_negative speaks of rows outside a condition, and this probability has none");
		return poison(c);
	}
	if (negative) of = formula_and(c->s->events, of, given, at), given = formula_true();
	NodeId label, known;
	build_label(c->s, of, given, site->call->span, &label, &known);
	NodeId z = build_logit(c->s, &t.derived, site->call->span);
	/* y (1 - s) + s / 2 */
	if (smooth > 0)
		label = node2(c->g, OP_ADD, node2(c->g, OP_MUL, label, node_const(c->g, 1 - smooth, at), at),
			      node_const(c->g, smooth / 2, at), at);
	NodeId loss = node2(c->g, OP_BCE, z, label, site->call->span);
	use_prob(c, true, &t, !negative && !everywhere(given), site->call->span);
	return row_loss(c, node2(c->g, OP_MUL, loss, known, site->call->span), all ? 0 : known,
			all ? NULL : rows_text(c, given), site->call->span);
}

static bool promised(const Events *e, int a, int b)
{
	for (int i = 0; i < e->independent.n; i++) {
		const Independent *p = &e->independent.at[i];
		bool has_a = false, has_b = false;
		for (int j = 0; j < p->event.n; j++)
			has_a |= p->event.at[j] == a, has_b |= p->event.at[j] == b;
		if (has_a && has_b && p->given == e->event.at[a].parent) return true;
	}
	return false;
}

/* Are all siblings among the events promised independent? */
static bool all_promised(const Events *e, int n, const int *event)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			if (e->event.at[event[i]].parent == e->event.at[event[j]].parent &&
			    !promised(e, event[i], event[j]))
				return false;
	return true;
}

/* Can each event be told given every way in which those before it can have come out? */
static bool joint_told(Check *c, int i, int n, const int *event, const Formula *context, const Ast *call)
{
	const Events *e = c->s->events;
	if (i == n) return true;
	int parent = e->event.at[event[i]].parent;
	if (parent >= 0 &&
	    formula_implies(e, context, formula_not(e, formula_event(e, parent, call->span), call->span)))
		return joint_told(c, i + 1, n, event, context, call);
	const Formula *yes = formula_event(e, event[i], call->span);
	Derived d = derive(e, NULL, yes, context);
	if (!d.ok && d.help && diag_helped(c->d, "M0420", d.help)) return false;
	if (!d.ok) {
		Text p = {0};
		prob_text(e, NULL, yes, context, &p);
		told(c, call->span, "M0604", "joint needs %s: %s", p.at, d.why ? d.why : "no head gives it");
		if (d.where.hi) diag_note(c->d, d.where, "declared here");
		if (d.help) diag_help(c->d, "%s", d.help);
		text_free(&p);
		return false;
	}
	return joint_told(c, i + 1, n, event, formula_and(e, context, yes, call->span), call) &&
	       joint_told(c, i + 1, n, event,
			  formula_and(e, context, formula_not(e, yes, call->span), call->span), call);
}

/* Each event under its parent, which is explained too; siblings promised independent or told in turn. */
static bool joint_tree(Check *c, int n, const int *event, const Ast *call)
{
	const Events *e = c->s->events;
	for (int i = 0; i < n; i++) {
		const Event *ev = &e->event.at[event[i]];
		bool has_parent = ev->parent < 0;
		for (int j = 0; j < n; j++) has_parent |= event[j] == ev->parent;
		if (has_parent) continue;
		told(c, call->span, "M0604", "'%s' happens where '%s' does, and joint leaves that out",
		     ev->name, e->event.at[ev->parent].name);
		diag_help(c->d, "add '%s', or train bce(P(%s | %s)) by itself", e->event.at[ev->parent].name,
			  ev->name, e->event.at[ev->parent].name);
		return false;
	}
	if (all_promised(e, n, event)) return true;
	if (n > CELL_EVENTS) {
		told(c, call->span, "M0604",
		     "joint of %d events that may depend on each other is more than %d", n, CELL_EVENTS);
		return false;
	}
	return joint_told(c, 0, n, event, formula_true(), call);
}

const Value *loss_joint(Check *c, const CallSite *site)
{
	Span at = site->call->span;
	int n = site->call->kind == AST_CALL ? site->call->list.n : 0;
	int *event = arena_new(c->a, int, n + 1);
	const Events *events = c->s->events;
	bool ok = n > 0;
	if (!n)
		told(c, at, "M0604",
		     "joint needs the events whose observation it explains: joint(click, buy)");
	for (int i = 0; i < n; i++) {
		const Ast *e = site->call->list.at[i]->a;
		const Formula *f = e->kind == AST_NAME ? formula_of(c, e) : NULL;
		if (e->kind != AST_NAME) told(c, e->span, "M0604", "joint takes names of events");
		ok &= f != NULL;
		event[i] = f ? f->event : -1;
		for (int j = 0; f && j < i; j++) {
			if (event[j] != event[i]) continue;
			told(c, e->span, "M0604", "event '%s' stands twice", events->event.at[event[i]].name);
			ok = false;
		}
	}
	/* Parents first, whatever the order of the list. */
	for (int i = 1; i < n; i++)
		for (int j = i; j > 0 && event[j - 1] > event[j]; j--) {
			int swap = event[j];
			event[j] = event[j - 1];
			event[j - 1] = swap;
		}
	bool independent = ok && all_promised(events, n, event);
	if (!ok || c->heads_broken || !joint_tree(c, n, event, site->call)) return poison(c);
	for (int i = 0; i < n; i++) {
		int parent = events->event.at[event[i]].parent;
		Prob *p = arena_new(c->a, Prob, 1);
		*p = (Prob){.kind = PX_EVENT,
			    .of = formula_event(events, event[i], at),
			    .given = formula_true(),
			    .span = at};
		if (parent >= 0) p->given = formula_event(events, parent, at);
		Derived d = derive(events, NULL, p->of, p->given);
		if (!independent && !d.ok) continue; /* told in turn, through others */
		ProbType t;
		if (!prob_proven(c, new_value(c, (Value){.kind = V_PROB, .prob = p, .span = at}), &t))
			return poison(c);
		vec_push(
		    c->a, &c->use,
		    (ProbUse){.trained = true, .masked = parent >= 0, .of_joint = true, .type = t, .at = at});
	}
	vec_push(c->a, &c->use, (ProbUse){.trained = true, .n_joint = n, .joint = event, .at = at});
	return row_loss(c, build_joint(c->s, n, event, independent, at), 0, NULL, at);
}

const Value *loss_symkl(Check *c, const CallSite *site)
{
	static const char *const param[] = {"p", "q"};
	const Ast *ast[2];
	const Value *value[2];
	ProbType p, q;
	Span pat, qat, at = site->call->span;
	if (!bind_args(c, site, 2, param, ast, value)) return poison(c);
	bool okp = loss_prob(c, site, ast[0], value[0], &p, &pat),
	     okq = loss_prob(c, site, ast[1], value[1], &q, &qat);
	if (!okp || !okq) return poison(c);
	const Formula *all[] = {p.given, q.given, p.of, q.of};
	Cells *cells = cells_new(c->s->events, 4, all);
	if (cells && !cells_equal(cells, p.given, q.given)) {
		Str a = rows_text(c, p.given), b = rows_text(c, q.given);
		told(
		    c, at, "M0604",
		    "symkl compares two probabilities of the same rows: the first is given %s, the second %s",
		    a ? a : "nothing", b ? b : "nothing");
		return poison(c);
	}
	if (cells && !cells_equal(cells, p.of, q.of))
		told_warn(c, at, "M0650", "symkl pulls together probabilities of two different events");
	NodeId row =
	    node2(c->g, OP_SYMKL, build_logit(c->s, &p.derived, at), build_logit(c->s, &q.derived, at), at);
	use_prob(c, true, &p, false, at);
	use_prob(c, true, &q, false, at);
	if (everywhere(p.given)) return row_loss(c, row, 0, NULL, at);
	NodeId holds, known;
	build_label(c->s, p.given, formula_true(), at, &holds, &known);
	NodeId mask = node2(c->g, OP_MUL, holds, known, at);
	return row_loss(c, node2(c->g, OP_MUL, row, mask, at), mask, rows_text(c, p.given), at);
}

/*
 * Losses of P(e | c) over all rows, though it is observed only where c holds: weighted by 1 / P(c) there,
 * and, doubly robust, corrected by an error imputed everywhere.
 *
 *   ipw   m w d
 *   dr    d^ + m w (d - d^)   and for the imputation   m w (d - d^)^2
 *
 * m: c holds and e is known.  d: the cross-entropy of P(e | c).  d^ = softplus(impute) >= 0.
 * w = 1 / max(P(c), clip) = exp(min(-log P(c), -log clip)), a constant: else the tower of P(c) would inflate
 * itself. In dr the head sees d^ as a constant, and the imputation sees d as one.
 */
const Value *loss_ipw(Check *c, const CallSite *site)
{
	bool dr = !strcmp(site->name, "dr");
	static const char *const plain[] = {"probability", "?by", "?clip"}, *const robust[] = {
										"probability", "impute",
										"?by", "?clip"};
	const Ast *ast[4];
	const Value *value[4];
	ProbType t, by;
	Span at, by_at, here = site->call->span;
	if (!bind_args(c, site, dr ? 4 : 3, dr ? robust : plain, ast, value)) return poison(c);
	const Ast *by_ast = ast[dr ? 2 : 1], *clip_ast = ast[dr ? 3 : 2];
	double clip = 0.05;
	if (!loss_prob(c, site, ast[0], value[0], &t, &at)) return poison(c);
	if (clip_ast && !want_number(c, eval(c, clip_ast), clip_ast->span, "clip", &clip)) return poison(c);
	if (clip <= 0 || clip > 1) {
		told(c, clip_ast->span, "M0311",
		     "clip is the least probability a row is weighted by, in (0, 1]; %g is not", clip);
		return poison(c);
	}
	if (everywhere(t.given)) {
		told(c, at, "M0604",
		     "%s needs a probability with a condition: this one is observed on all rows already",
		     site->name);
		return poison(c);
	}
	const Value *propensity = NULL;
	if (!by_ast) {
		Prob *p = arena_new(c->a, Prob, 1);
		*p = (Prob){.kind = PX_EVENT, .of = t.given, .given = formula_true(), .span = here};
		propensity = new_value(c, (Value){.kind = V_PROB, .prob = p, .span = here});
	}
	if (!loss_prob(c, site, by_ast, propensity, &by, &by_at)) return poison(c);
	const Formula *all[] = {t.given, by.of, by.given};
	Cells *cells = cells_new(c->s->events, 3, all);
	if (!everywhere(by.given) || (cells && !cells_equal(cells, t.given, by.of))) {
		Str given = rows_text(c, t.given);
		told(c, by_at, "M0604", "%s divides by the probability of being observed, which is P(%s)",
		     site->name, given);
		return poison(c);
	}
	NodeId label, known;
	build_label(c->s, t.of, t.given, here, &label, &known);
	NodeId d = node2(c->g, OP_BCE, build_logit(c->s, &t.derived, here), label, here);
	NodeId less =
	    node1(c->g, OP_NEG, node1(c->g, OP_LOGSIGMOID, build_logit(c->s, &by.derived, here), here), here);
	NodeId most = graph_const(c->g, -log(clip), here);
	NodeId w =
	    node1(c->g, OP_STOP, node1(c->g, OP_EXP, node2(c->g, OP_MIN, less, most, here), here), here);
	NodeId mw = node2(c->g, OP_MUL, known, w, here);
	use_prob(c, true, &t, false, here);
	if (!dr) return row_loss(c, node2(c->g, OP_MUL, mw, d, here), 0, NULL, here);
	const Value *impute = ast[1] ? eval(c, ast[1]) : value[1];
	NodeId z = as_tensor(c, impute, ast[1] ? ast[1]->span : here);
	if (!z) return poison(c);
	if (shape_size(shape_of(c, z)) != 1 || !shape_of(c, z).rows) {
		told(c, ast[1] ? ast[1]->span : here, "M0605", "dr imputes one number per row, %s is %s",
		     describe(c, impute), shape_text(c->a, shape_of(c, z)));
		return poison(c);
	}
	NodeId guess = node1(c->g, OP_SOFTPLUS, as_column(c, z), here),
	       fixed = node1(c->g, OP_STOP, guess, here);
	NodeId error = node2(c->g, OP_MUL, mw, node2(c->g, OP_SUB, d, fixed, here), here);
	NodeId off = node2(c->g, OP_SUB, node1(c->g, OP_STOP, d, here), guess, here);
	NodeId learn = node2(c->g, OP_MUL, mw, node1(c->g, OP_SQUARE, off, here), here);
	NodeId row = node2(c->g, OP_ADD, node2(c->g, OP_ADD, fixed, error, here), learn, here);
	return row_loss(c, row, 0, NULL, here);
}

/* What was observed: 1, 0, and 0 where it is unknown. */
const Value *loss_label(Check *c, const CallSite *site)
{
	static const char *const param[] = {"event"};
	const Ast *ast[1];
	const Value *value[1];
	if (!bind_args(c, site, 1, param, ast, value)) return poison(c);
	int sample = ast[0] ? sample_named(c, ast[0]) : -1;
	if (sample >= 0) {
		const Sample *s = &c->s->sample.at[sample];
		Span at = site->call->span;
		NodeId y = graph_push(c->g, OP_SAMPLE, shape_scalar(true), 0, NULL, (Attr){.i = sample}, at),
		       known =
			   graph_push(c->g, OP_KNOWN, shape_scalar(true), 0, NULL, (Attr){.i = sample}, at);
		vec_push(c->a, &c->labelled, ((Labelled){y, known, NULL, sample}));
		return tensor_value(
		    c, s->classes ? push_op(c, OP_ONEHOT, 1, &y, (Attr){.j = s->classes}, at) : y, at);
	}
	const Formula *f = ast[0] ? formula_of(c, ast[0]) : NULL;
	if (!f) {
		if (!ast[0])
			told(c, site->call->span, "M0604", "label takes the name of an event: label(click)");
		return poison(c);
	}
	NodeId label, known;
	build_label(c->s, f, formula_true(), site->call->span, &label, &known);
	vec_push(c->a, &c->labelled, ((Labelled){label, known, f, -1}));
	return tensor_value(c, label, site->call->span);
}

/* ---- arithmetic of losses ---- */

/* The same label asked for twice makes the same nodes twice. */
static bool same_count(const Graph *g, NodeId a, NodeId b)
{
	if (a == b) return true;
	if (!a || !b) return false;
	const Node *x = graph_node(g, a), *y = graph_node(g, b);
	bool same = x->op == y->op && x->n_in == y->n_in && x->attr.i == y->attr.i &&
		    x->attr.j == y->attr.j && x->attr.k == y->attr.k;
	for (int i = 0; same && i < x->n_in; i++) same = same_count(g, x->in[i], y->in[i]);
	return same;
}

static bool same_rows(const Graph *g, const Value *a, const Value *b)
{
	return same_count(g, a->count, b->count) || (a->count && b->count && a->rows && a->rows == b->rows);
}

static const char *counted(const Value *loss)
{
	return loss->rows ? loss->rows : loss->count ? "where its label is known" : "all";
}

static const Value *loss_join(Check *c, AstKind op, const Value *a, const Value *b, Span at)
{
	if (op != AST_ADD && op != AST_SUB) {
		told(c, at, "M0605", "two losses can be added or subtracted, not multiplied or divided");
		return poison(c);
	}
	if (!same_rows(c->g, a, b)) {
		told(c, at, "M0605", "these losses count different rows: the first %s%s, the second %s%s",
		     a->rows ? "where " : "", counted(a), b->rows ? "where " : "", counted(b));
		diag_help(c->d,
			  "write two `loss` lines, each divided by its own rows, or give both `over: all`");
		return poison(c);
	}
	if (!same_count(c->g, a->count, b->count)) {
		diag_warn(c->d, at, "M0659",
			  "both losses are about the rows with %s, but their labels may be unknown in "
			  "different ones: "
			  "the sum is divided by the rows where the first's is known",
			  counted(a));
		diag_help(c->d, "two `loss` lines are each divided by their own rows");
	}
	return row_loss(c, node2(c->g, op == AST_ADD ? OP_ADD : OP_SUB, a->node, b->node, at), a->count,
			a->rows, at);
}

const Value *loss_arith(Check *c, AstKind op, const Value *a, const Value *b, Span at)
{
	if (a->kind == V_POISON || b->kind == V_POISON) return poison(c);
	if (a->kind == V_LOSS && b->kind == V_LOSS) return loss_join(c, op, a, b, at);
	const Value *loss = a->kind == V_LOSS ? a : b, *other = loss == a ? b : a;
	NodeId x = as_tensor(c, other, at);
	if (!x) return poison(c);
	if (shape_size(shape_of(c, x)) != 1) {
		told(c, at, "M0605", "a loss has one number per row, %s has %d", describe(c, other),
		     (int)shape_size(shape_of(c, x)));
		return poison(c);
	}
	if (op == AST_POW || (op == AST_DIV && loss == b)) {
		told(c, at, "M0605", "a loss can be scaled and added to, nothing else");
		return poison(c);
	}
	x = as_column(c, x);
	/* What is added counts in the rows of the loss only. */
	if ((op == AST_ADD || op == AST_SUB) && loss->count) x = node2(c->g, OP_MUL, x, loss->count, at);
	OpCode code = op == AST_ADD ? OP_ADD : op == AST_SUB ? OP_SUB : op == AST_MUL ? OP_MUL : OP_DIV;
	NodeId row = loss == a ? node2(c->g, code, loss->node, x, at) : node2(c->g, code, x, loss->node, at);
	return row_loss(c, row, loss->count, loss->rows, at);
}

/* ---- loss lines ---- */

static NodeId spread(Check *c, NodeId n, Span at)
{
	return shape_of(c, n).rows ? n
				   : graph_push(c->g, OP_SPREAD, shape_scalar(true), 1, &n, (Attr){0}, at);
}

static Str written(Check *c, const Ast *e)
{
	Text t = {0};
	ast_expr_text(e, &t);
	Str s = str_intern(c->str, t.at ? t.at : "");
	text_free(&t);
	return s;
}

/* `loss t:` in a loop is named after what t stands for. */
static Str loss_name(Check *c, const Ast *st)
{
	Str name = st->name;
	for (const Binding *b = c->scope; b; b = b->next)
		if (b->name == name) {
			Str key = b->value && b->role == ROLE_LOOP ? key_of(c, b->value) : NULL;
			if (key) {
				*b->used = true;
				name = key;
			}
			break;
		}
	if (st->b) {
		const Value *i = eval(c, st->b);
		Str key = i->kind == V_POISON ? NULL : key_of(c, i);
		if (key) name = str_printf(c->str, "%s.%s", name, key);
	}
	return name;
}

static void check_loss_line(Check *c, const Pending *p)
{
	const Ast *st = p->ast;
	c->scope = p->scope;
	Str name = loss_name(c, st);
	for (int i = 0; i < c->s->loss.n; i++)
		if (c->s->loss.at[i].name == name) {
			told(c, st->name_span, "M0606", "there are two losses called '%s'", name);
			diag_note(c->d, c->s->loss.at[i].span, "the first one is here");
			return;
		}
	double weight = 1;
	if (st->c && want_number(c, eval(c, st->c), st->c->span, "the weight of a loss", &weight) &&
	    weight < 0) {
		told(c, st->c->span, "M0311", "the weight of a loss is 0 or more, not %g", weight);
		weight = 1;
	}
	c->into = naming_of(c, str_printf(c->str, "loss.%s", name), false);
	c->in_loss = true;
	const Value *v = eval(c, st->a);
	if (v->kind == V_PROB) {
		told(c, st->a->span, "M0607", "a probability is no loss");
		Text t = {0};
		ast_expr_text(st->a, &t);
		diag_help(c->d, "bce(%s)", t.at);
		text_free(&t);
		c->in_loss = false;
		c->into = NULL;
		return;
	}
	NodeId row = v->kind == V_LOSS ? v->node : as_tensor(c, v, st->a->span);
	c->in_loss = false;
	c->into = NULL;
	if (!row) return;
	if (shape_size(shape_of(c, row)) != 1) {
		told(c, st->a->span, "M0607", "loss '%s' needs one number per row, %s has %d", name,
		     describe(c, v), (int)shape_size(shape_of(c, row)));
		diag_help(c->d, "sum(...) and mean(...) reduce it");
		return;
	}
	row = spread(c, as_column(c, row), st->a->span);
	NodeId count = v->kind == V_LOSS ? v->count : 0;
	if (!count) count = graph_const(c->g, 1, st->a->span);
	bool regression =
	    st->a->kind == AST_CALL && (!strcmp(st->a->name, "mse") || !strcmp(st->a->name, "huber"));
	vec_push(c->a, &c->s->loss,
		 (Loss){.name = name,
			.weight = weight,
			.regression = regression,
			.row = row,
			.count = spread(c, count, st->a->span),
			.text = written(c, st->a),
			.rows = v->rows ? v->rows : str_intern(c->str, "all"),
			.span = st->name_span});
}

void check_losses(Check *c)
{
	for (int i = 0; i < c->loss.n; i++) check_loss_line(c, &c->loss.at[i]);
	if (!c->loss.n && !c->heads_broken && !diag_errors(c->d)) { /* else it may have been refused */
		diag_error(c->d, c->model_at, "M0601", "the model has no loss: nothing would be learnt");
		diag_help(c->d, "loss NAME: bce(P(event))");
	}
}

/* ---- outputs ---- */

static void add_output(Check *c, Str name, NodeId node, Str text, Span at)
{
	for (int i = 0; i < c->s->output.n; i++)
		if (c->s->output.at[i].name == name) {
			told(c, at, "M0608", "there are two outputs called '%s'", name);
			diag_note(c->d, c->s->output.at[i].span, "the first one is here");
			return;
		}
	vec_push(c->a, &c->s->output, (Output){name, node, text, at});
}

void output_value(Check *c, Str name, const Value *v, Str text, Span at)
{
	NodeId n = 0;
	if (v->kind == V_LOSS) {
		told(c, at, "M0609",
		     "a loss needs labels, which do not exist when scoring: it cannot be an output");
		return;
	}
	if (v->kind == V_PROB) {
		ProbType t;
		if (!prob_proven(c, v, &t)) return;
		use_prob(c, false, &t, false, at);
		n = node1(c->g, OP_SIGMOID, build_logit(c->s, &t.derived, at), at);
		if (!name) name = prob_name(c->s->events, t.estimate, t.of, t.given);
	} else {
		n = as_tensor(c, v, at);
		if (!name && v->kind == V_SCORE) name = v->text;
		if (v->outcome) c->outcome.at[v->outcome - 1].served = true;
	}
	if (!n) return;
	if (shape_size(shape_of(c, n)) != 1) {
		told(c, at, "M0609", "an output is one number per row, %s has %d", describe(c, v),
		     (int)shape_size(shape_of(c, n)));
		return;
	}
	if (!name) name = v->name;
	if (!name) {
		told(c, at, "M0609", "this output needs a name: output NAME = ...");
		return;
	}
	add_output(c, name, spread(c, as_column(c, n), at), text, at);
}

void check_outputs(Check *c)
{
	for (int i = 0; i < c->output.n; i++) {
		c->scope = c->output.at[i].scope;
		const Ast *st = c->output.at[i].ast;
		for (int j = 0; j < st->list.n; j++) {
			const Ast *arg = st->list.at[j];
			const Value *v = eval(c, arg->a);
			if (v->kind != V_POISON) output_value(c, arg->name, v, written(c, arg->a), arg->span);
		}
	}
	/* A model that names no output gives all its heads. */
	const Events *e = c->s->events;
	for (int i = 0; !c->output.n && !c->heads_broken && i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		Prob *p = arena_new(c->a, Prob, 1);
		*p = (Prob){.kind = PX_EVENT,
			    .estimate = h->estimate,
			    .of = h->of,
			    .given = h->given,
			    .span = h->span};
		Text t = {0};
		prob_text(e, h->estimate, h->of, h->given, &t);
		output_value(c, NULL, new_value(c, (Value){.kind = V_PROB, .prob = p, .span = h->span}),
			     str_intern(c->str, t.at), h->span);
		text_free(&t);
	}
	if (!c->output.n && !c->heads_broken) outcome_outputs(c);
	if (!c->output.n && !e->head.n && !c->outcome.n && !c->heads_broken && c->loss.n)
		diag_error(c->d, c->model_at, "M0610",
			   "the model has no output: a scorer would print nothing");
}

/* ---- what eval reports ---- */

static int watch(Check *c, Str estimate, const Formula *of, const Formula *given, Span at)
{
	Derived d = derive(c->s->events, estimate, of, given);
	return d.ok ? build_watch(c->s, estimate, of, given, &d, at) : -1;
}

void check_watches(Check *c)
{
	const Events *e = c->s->events;
	for (int i = 0; i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		int w = watch(c, h->estimate, h->of, h->given, h->span);
		if (w >= 0) c->s->watch.at[w].head = true;
	}
	for (int i = 0; i < c->use.n; i++) {
		const ProbUse *u = &c->use.at[i];
		int w = u->n_joint ? -1 : watch(c, u->type.estimate, u->type.of, u->type.given, u->at);
		if (w >= 0) *(u->trained ? &c->s->watch.at[w].trained : &c->s->watch.at[w].served) = true;
	}
	for (int i = 0; i < e->event.n; i++) {
		const Event *ev = &e->event.at[i];
		const Formula *f = formula_event(e, i, ev->span);
		watch(c, NULL, f, formula_true(), ev->span);
		if (ev->parent >= 0) watch(c, NULL, f, formula_event(e, ev->parent, ev->span), ev->span);
	}
	outcome_watches(c);
}
