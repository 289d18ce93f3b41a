/* Events and probabilities as the author writes them: the tree, labels, formulas, heads. */
#include "front/checker.h"
#include "front/build.h"
#include "front/prob.h"
#include <string.h>

/* ---- the tree ---- */

void collect_event(Check *c, const Ast *item) { vec_push(c->a, &c->event_ast, item); }

static int label_column(Check *c, Str name)
{
	Events *e = c->s->events;
	for (int i = 0; i < e->column.n; i++)
		if (e->column.at[i] == name) return i;
	vec_push(c->a, &e->column, name);
	return e->column.n - 1;
}

static bool label_postfix(Check *c, Event *ev, const Ast *e)
{
	bool ok = true;
	switch (e->kind) {
	case AST_NAME: vec_push(c->a, &ev->label, (int16_t)label_column(c, e->name)); return true;
	case AST_STRING: vec_push(c->a, &ev->label, (int16_t)label_column(c, e->text)); return true;
	case AST_NOT:
		ok = label_postfix(c, ev, e->a);
		vec_push(c->a, &ev->label, LABEL_NOT);
		return ok;
	case AST_AND:
	case AST_OR:
		ok = label_postfix(c, ev, e->a);
		ok &= label_postfix(c, ev, e->b);
		vec_push(c->a, &ev->label, (int16_t)(e->kind == AST_AND ? LABEL_AND : LABEL_OR));
		return ok;
	default: told(c, e->span, "M0402", "a label is made of columns with &, | and !"); return false;
	}
}

static const Ast *event_item(const Check *c, Str name)
{
	for (int i = 0; i < c->event_ast.n; i++)
		if (c->event_ast.at[i]->kind == AST_EVENT && c->event_ast.at[i]->name == name)
			return c->event_ast.at[i];
	return NULL;
}

static void near_events(Check *c, Near *n)
{
	for (int i = 0; i < c->event_ast.n; i++)
		if (c->event_ast.at[i]->kind == AST_EVENT) near_add(n, c->event_ast.at[i]->name);
}

/* Parents come before their children in Events, in whatever order they were written. */
static void add_event(Check *c, const Ast *item, int depth)
{
	Events *e = c->s->events;
	int old = event_find(e, item->name);
	if (old >= 0) return;
	int parent = -1;
	if (item->text) {
		const Ast *up = event_item(c, item->text);
		Span at = item->b ? item->b->span : item->span;
		if (!up) {
			c->tree_broken = c->heads_broken = true;
			told(c, at, "M0401", "event '%s' is part of '%s', which is no event", item->name,
			     item->text);
			Near near = {.arena = c->a};
			near_events(c, &near);
			help_near(c, &near, item->text);
		} else if (up == item || depth > c->event_ast.n) {
			c->tree_broken = c->heads_broken = true;
			told(c, at, "M0403", "event '%s' is part of itself", item->name);
		} else {
			add_event(c, up, depth + 1);
			parent = event_find(e, item->text);
			if (event_find(e, item->name) >= 0) return; /* a circle: told below us */
		}
	}
	Event ev = {.name = item->name, .parent = parent, .span = item->name_span};
	if (item->a) {
		label_postfix(c, &ev, item->a);
		Text t = {0};
		ast_expr_text(item->a, &t);
		ev.label_text = str_intern(c->str, t.at ? t.at : "");
		text_free(&t);
	} else {
		vec_push(c->a, &ev.label, (int16_t)label_column(c, item->name));
		ev.label_text = item->name;
	}
	vec_push(c->a, &e->event, ev);
}

static void add_independent(Check *c, const Ast *item)
{
	Events *e = c->s->events;
	Independent ind = {.given = -1, .span = item->span};
	for (int i = -1; i < item->list.n; i++) {
		const Ast *name = i < 0 ? item->a : item->list.at[i];
		if (!name) continue;
		int ev = name->kind == AST_NAME ? event_find(e, name->name) : -1;
		if (ev < 0) {
			told(c, name->span, "M0401", "'%s' is no event",
			     name->kind == AST_NAME ? name->name : "this");
			Near near = {.arena = c->a};
			near_events(c, &near);
			if (name->kind == AST_NAME) help_near(c, &near, name->name);
		} else if (i < 0) {
			ind.given = ev;
		} else {
			vec_push(c->a, &ind.event, ev);
		}
	}
	vec_push(c->a, &e->independent, ind);
}

void finish_events(Check *c)
{
	for (int i = 0; i < c->event_ast.n; i++) {
		const Ast *it = c->event_ast.at[i];
		if (it->kind != AST_EVENT) continue;
		const Ast *first = event_item(c, it->name);
		if (first != it) {
			told(c, it->name_span, "M0404", "event '%s' is declared twice", it->name);
			diag_note(c->d, first->name_span, "the first time here");
			continue;
		}
		add_event(c, it, 0);
	}
	for (int i = 0; i < c->event_ast.n; i++)
		if (c->event_ast.at[i]->kind == AST_INDEPENDENT) add_independent(c, c->event_ast.at[i]);
}

/* ---- formulas ---- */

static const Formula *event_named(Check *c, const Ast *e, Str name)
{
	const Binding *b = scope_find(c->scope, name);
	const Events *events = c->s->events;
	if (b && b->value->kind == V_POISON) return NULL;
	if (b && b->value->kind == V_WORD) {
		int ev = event_find(events, b->value->name);
		if (ev >= 0) return formula_event(events, ev, e->span);
	}
	/* A list given with -D holds texts. */
	int ev = event_find(events, b && b->value->kind == V_STRING ? b->value->text : name);
	if (ev >= 0) return formula_event(events, ev, e->span);
	told(c, e->span, "M0405", "'%s' is no event", name);
	if (b)
		diag_note(c->d, b->span, "it is %s %s", b->role == ROLE_EXPERTS ? "a bundle of" : "a",
			  role_word(b->role));
	Near near = {.arena = c->a};
	near_events(c, &near);
	help_near(c, &near, name);
	return NULL;
}

const Formula *formula_of(Check *c, const Ast *e)
{
	const Events *ev = c->s->events;
	switch (e->kind) {
	case AST_NAME: return event_named(c, e, e->name);
	case AST_NOT: {
		const Formula *a = formula_of(c, e->a);
		return a ? formula_not(ev, a, e->span) : NULL;
	}
	case AST_AND:
	case AST_OR: {
		const Formula *a = formula_of(c, e->a), *b = formula_of(c, e->b);
		if (!a || !b) return NULL;
		return e->kind == AST_AND ? formula_and(ev, a, b, e->span) : formula_or(ev, a, b, e->span);
	}
	case AST_EQ:
		told(c, e->span, "M0406",
		     "a class stands alone in P( ), not within a formula or a condition");
		return NULL;
	default:
		told(c, e->span, "M0406", "in P( ) stand events, with &, ! and, in parentheses, |");
		return NULL;
	}
}

bool prob_parts(Check *c, const Ast *p, const Formula **of, const Formula **given)
{
	*of = formula_of(c, p->a);
	*given = p->b ? formula_of(c, p->b) : formula_true();
	return *of && *given;
}

const Value *prob_value(Check *c, const Ast *e)
{
	const Value *outcome = outcome_value(c, e);
	if (outcome) return outcome;
	Prob *p = arena_new(c->a, Prob, 1);
	*p = (Prob){.kind = PX_EVENT, .estimate = e->text, .span = e->span};
	if (!prob_parts(c, e, &p->of, &p->given)) return poison(c);
	return new_value(c, (Value){.kind = V_PROB, .prob = p, .span = e->span});
}

bool prob_proven(Check *c, const Value *v, ProbType *out)
{
	if (c->heads_broken)
		return false; /* a head was refused: what rests on it would only complain again */
	return prob_check(c->s->events, v->prob, c->d, out);
}

NodeId prob_logit(Check *c, const Value *v, Span at)
{
	ProbType t;
	if (!prob_proven(c, v, &t)) return 0;
	if (c->in_loss) use_prob(c, true, &t, false, at);
	return build_logit(c->s, &t.derived, at);
}

/* ---- heads ---- */

static bool flat_op(OpCode op)
{
	return op == OP_RELU || op == OP_SIGMOID || op == OP_TANH || op == OP_SOFTPLUS || op == OP_LEAKY ||
	       op == OP_LOGSIGMOID;
}

/* The logit of `sigmoid(z)`; 0: told. */
static NodeId head_logit(Check *c, const Ast *h, const char *what, Str *name)
{
	const Ast *e = h->b;
	bool call = e->kind == AST_CALL && !strcmp(e->name, "sigmoid") && e->list.n == 1;
	const Value *v = eval(c, call ? e->list.at[0]->a : e);
	if (v->kind == V_POISON) return 0;
	Span at = call ? e->list.at[0]->span : e->span;
	NodeId z = as_tensor(c, v, at);
	if (!z) return 0;
	*name = v->name;
	if (!call) {
		const Node *n = graph_node(c->g, z);
		if (n->op != OP_SIGMOID) {
			told(c, e->span, "M0208", "%s must be sigmoid(...) of a logit", what);
			Text t = {0};
			ast_expr_text(e, &t);
			if (t.n < 40) diag_help(c->d, "%s = sigmoid(%s)", what, t.at);
			text_free(&t);
			return 0;
		}
		z = n->in[0];
	}
	Shape s = shape_of(c, z);
	if (!s.rows || shape_size(s) != 1) {
		const char *who = describe(c, v);
		if (!s.rows)
			told(c, at, "M0207", "%s is the same for all rows, %s needs one number per row", who,
			     what);
		else
			told(c, at, "M0207", "%s gives %d outputs, %s needs 1", who, (int)shape_size(s),
			     what);
		Span made = graph_node(c->g, z)->span;
		if (made.hi && (made.lo < at.lo || made.hi > at.hi))
			diag_note(c->d, made, "its last layer is here");
		if (s.rows) diag_help(c->d, "end it with `-> dense(1)`");
		return 0;
	}
	OpCode op = graph_node(c->g, z)->op;
	if (flat_op(op)) {
		told_warn(c, at, "M0209", "%s passes through %s before the sigmoid of %s%s", describe(c, v),
			  op_table[op]->word, what,
			  op == OP_RELU ? ": the probability is never below 1/2" : "");
		diag_note(c->d, graph_node(c->g, z)->span, "here");
	}
	return as_column(c, z);
}

void exec_head(Check *c, const Ast *h)
{
	int sample = sample_named(c, h->a->a);
	if (h->a->kind == AST_EXPECT || sample >= 0) {
		exec_outcome_head(c, h, sample);
		return;
	}
	const Formula *of, *given;
	bool formulas = prob_parts(c, h->a, &of, &given);
	Text t = {0};
	if (formulas) prob_text(c->s->events, h->a->text, of, given, &t);
	const char *what = formulas ? arena_strdup(c->a, t.at) : "a head";
	Str plain = formulas ? prob_name(c->s->events, h->a->text, of, given) : NULL;
	text_free(&t);
	Naming *outer = c->into;
	c->into = naming_of(c, str_printf(c->str, "head.%s", plain ? plain : "?"), false);
	Str name = NULL;
	NodeId z = head_logit(c, h, what, &name);
	c->into = outer;
	if (!formulas || !z) {
		c->heads_broken = true;
		return;
	}
	Head head = {.of = of,
		     .given = given,
		     .estimate = h->a->text,
		     .name = name ? name : plain,
		     .span = h->a->span,
		     .logit = z};
	if (c->tree_broken) return; /* any proof about it would go astray */
	if (!head_check(c->s->events, &head, c->d)) {
		c->heads_broken = true;
		return;
	}
	vec_push(c->a, &c->s->events->head, head);
}
