/*
 * Outcomes that are no events: real values and classes.
 *
 * A head E(v | c) or P(class | c) holds where c does; a loss on it counts the rows where c surely happened
 * and the outcome is known.  An unknown outcome is 0 in the data and its known flag is 0: nothing here
 * computes with NaN.
 */
#include "front/checker.h"
#include "front/build.h"
#include <math.h>
#include <string.h>

enum { CLASSES_MOST = 4096, CLASSES_WATCHED = 16 };

/* ---- declarations ---- */

int sample_find(const Check *c, Str name)
{
	for (int i = 0; i < c->s->sample.n; i++)
		if (c->s->sample.at[i].name == name) return i;
	return -1;
}

int sample_named(Check *c, const Ast *e)
{
	if (e->kind != AST_NAME) return -1;
	const Binding *b = scope_find(c->scope, e->name);
	if (b && b->value->kind == V_WORD) return sample_find(c, b->value->name);
	return sample_find(c, b && b->value->kind == V_STRING ? b->value->text : e->name);
}

static const Ast *declared(const Check *c, Str name)
{
	for (int i = 0; i < c->event_ast.n; i++)
		if (c->event_ast.at[i]->kind != AST_INDEPENDENT && c->event_ast.at[i]->name == name)
			return c->event_ast.at[i];
	return NULL;
}

static void class_words(Check *c, const Ast *item, Sample *s)
{
	for (int i = 0; i < item->list.n; i++) {
		const Ast *word = item->list.at[i];
		for (int j = 0; j < i; j++)
			if (item->list.at[j]->name == word->name)
				told(c, word->span, "M0444", "class '%s' has two alternatives '%s'", s->name,
				     word->name);
		vec_push(c->a, &s->word, word->name);
	}
	s->classes = item->list.n;
	if (s->classes < 2)
		told(c, item->span, "M0444", "class '%s' needs two alternatives or more", s->name);
}

void add_sample(Check *c, const Ast *item)
{
	if (item->kind != AST_CLASS && item->kind != AST_VALUE) return;
	const Ast *first = declared(c, item->name);
	if (first != item || event_find(c->s->events, item->name) >= 0) {
		told(c, item->name_span, "M0404", "'%s' is declared twice", item->name);
		if (first != item) diag_note(c->d, first->name_span, "the first time here");
		return;
	}
	Sample s = {.name = item->name, .column = item->name, .parent = -1, .span = item->name_span};
	if (item->text && (s.parent = event_find(c->s->events, item->text)) < 0) {
		told(c, item->b ? item->b->span : item->span, "M0401",
		     "'%s' is part of '%s', which is no event", item->name, item->text);
		Near near = {.arena = c->a};
		for (int i = 0; i < c->s->events->event.n; i++)
			near_add(&near, c->s->events->event.at[i].name);
		help_near(c, &near, item->text);
	}
	if (item->a && item->a->kind == AST_NAME)
		s.column = item->a->name;
	else if (item->a && item->a->kind == AST_STRING)
		s.column = item->a->text;
	else if (item->a)
		told(c, item->a->span, "M0402", "the label of a %s is one column, without &, | and !",
		     item->kind == AST_CLASS ? "class" : "value");
	if (item->kind == AST_CLASS) {
		s.classes = 2; /* until constants are known */
		if (!item->c) class_words(c, item, &s);
	}
	vec_push(c->a, &c->s->sample, s);
}

void size_samples(Check *c)
{
	for (int i = 0; i < c->event_ast.n; i++) {
		const Ast *item = c->event_ast.at[i];
		int64_t n;
		int k = item->kind == AST_CLASS && item->c ? sample_find(c, item->name) : -1;
		if (k >= 0 && want_whole(c, eval(c, item->c), item->c->span, "the number of classes", 2,
					 CLASSES_MOST, &n))
			c->s->sample.at[k].classes = (int)n;
	}
}

/* ---- positive values ---- */

/* log(softplus(z)), which is z where e^z is below half a unit in the last place of z. */
static NodeId log_softplus(Graph *g, NodeId z, Span at)
{
	NodeId far = node_const(g, -15, at);
	NodeId near = node1(g, OP_LOG, node1(g, OP_SOFTPLUS, node2(g, OP_MAX, z, far, at), at), at);
	return node4(g, OP_SELLT, z, far, z, near, at);
}

/* The logarithm of a node proven positive by its form, else 0. */
static NodeId log_node(Graph *g, NodeId id, Span at)
{
	Node n = *graph_node(g, id);
	NodeId a = 0, b = 0;
	switch (n.op) {
	case OP_EXP: return n.in[0];
	case OP_SOFTPLUS: return log_softplus(g, n.in[0], at);
	case OP_SIGMOID: return node1(g, OP_LOGSIGMOID, n.in[0], at);
	case OP_CONST: return n.attr.k > 0 ? node_const(g, log(n.attr.k), at) : 0;
	case OP_RESHAPE:
	case OP_SPREAD:
		a = log_node(g, n.in[0], at);
		return a ? graph_push(g, n.op, n.shape, 1, &a, n.attr, at) : 0;
	case OP_STOP: a = log_node(g, n.in[0], at); return a ? node1(g, OP_STOP, a, at) : 0;
	case OP_SQRT:
		a = log_node(g, n.in[0], at);
		return a ? node2(g, OP_MUL, a, node_const(g, 0.5, at), at) : 0;
	case OP_MUL:
	case OP_DIV:
		a = log_node(g, n.in[0], at);
		b = a ? log_node(g, n.in[1], at) : 0;
		return b ? node2(g, n.op == OP_MUL ? OP_ADD : OP_SUB, a, b, at) : 0;
	case OP_ADD:
		return log_node(g, n.in[0], at) && log_node(g, n.in[1], at) ? node1(g, OP_LOG, id, at) : 0;
	default: return 0;
	}
}

/* ---- heads ---- */

static bool everywhere(const Formula *f) { return f->kind == F_TRUE; }

static bool same(Check *c, const Formula *a, const Formula *b)
{
	if (everywhere(a) || everywhere(b)) return everywhere(a) && everywhere(b);
	Cells *cells = cells_new(c->s->events, 2, (const Formula *const[]){a, b});
	return cells && cells_equal(cells, a, b);
}

/* "E(watch | click)" */
static void outcome_text(Check *c, int sample, Str estimate, const Formula *given, Text *out)
{
	const Sample *s = &c->s->sample.at[sample];
	text_char(out, s->classes ? 'P' : 'E');
	if (estimate) text_printf(out, "[%s]", estimate);
	text_printf(out, "(%s", s->name);
	if (!everywhere(given)) {
		text_add(out, " | ");
		formula_text(c->s->events, given, out);
	}
	text_char(out, ')');
}

/* In reports an outcome under its own event needs no condition: "watch"; else "watch|click&act". */
static Str outcome_name(Check *c, int sample, Str estimate, const Formula *given, Span at)
{
	const Sample *s = &c->s->sample.at[sample];
	bool own =
	    s->parent < 0 ? everywhere(given) : same(c, given, formula_event(c->s->events, s->parent, at));
	Text t = {0}, g = {0};
	text_add(&t, s->name);
	if (!own) {
		formula_text(c->s->events, given, &g);
		text_char(&t, '|');
		for (const char *p = g.at; p && *p; p++)
			if (*p != ' ') text_char(&t, *p);
	}
	if (estimate) text_printf(&t, "[%s]", estimate);
	Str name = str_intern(c->str, t.at);
	text_free(&t);
	text_free(&g);
	return name;
}

/* The condition, if the outcome exists under it; NULL: told. */
static const Formula *condition_of(Check *c, const Ast *e, int sample)
{
	const Sample *s = &c->s->sample.at[sample];
	const Formula *given = e->b ? formula_of(c, e->b) : formula_true();
	if (!given || s->parent < 0) return given;
	const Formula *parent = formula_event(c->s->events, s->parent, e->span);
	if (formula_implies(c->s->events, given, parent)) return given;
	Str of = c->s->events->event.at[s->parent].name;
	told(c, e->span, "M0440", "'%s' exists only where '%s' happened", s->name, of);
	diag_note(c->d, s->span, "so it is declared");
	if (s->classes)
		diag_help(c->d, "P(%s | %s)", s->name, of);
	else if (everywhere(given))
		diag_help(
		    c->d,
		    "its mean there is E(%s | %s); over all, where it counts 0 elsewhere, P(%s) * E(%s | %s)",
		    s->name, of, of, s->name, of);
	else
		diag_help(c->d, "E(%s | %s)", s->name, of);
	return NULL;
}

/* The outcome that P( ) or E( ) is about; -1: told. */
static int outcome_of(Check *c, const Ast *e, const Ast *name)
{
	int sample = sample_named(c, name);
	bool expect = e->kind == AST_EXPECT;
	if (sample >= 0 && (c->s->sample.at[sample].classes == 0) == expect) return sample;
	if (sample >= 0) {
		Str n = c->s->sample.at[sample].name;
		told(c, name->span, "M0443",
		     expect ? "'%s' is a class, it has probabilities and no mean"
			    : "'%s' is a value, it has a mean and no probability",
		     n);
		diag_help(c->d, expect ? "P(%s)" : "E(%s)", n);
		return -1;
	}
	Text t = {0};
	ast_expr_text(name, &t);
	told(c, name->span, "M0443", "'%s' is no %s", t.at, expect ? "value" : "class");
	text_free(&t);
	Near near = {.arena = c->a};
	for (int i = 0; i < c->s->sample.n; i++)
		if ((c->s->sample.at[i].classes == 0) == expect) near_add(&near, c->s->sample.at[i].name);
	if (name->kind == AST_NAME && event_find(c->s->events, name->name) >= 0)
		diag_help(c->d, "it is an event: P(%s)", name->name);
	else if (name->kind == AST_NAME)
		help_near(c, &near, name->name);
	return -1;
}

static int head_find(Check *c, int sample, Str estimate, const Formula *given)
{
	for (int i = 0; i < c->outcome.n; i++) {
		const OutcomeHead *h = &c->outcome.at[i];
		if (h->sample == sample && h->estimate == estimate && same(c, h->given, given)) return i;
	}
	return -1;
}

/* One number per row, or `k`; false: told. */
static bool head_width(Check *c, NodeId z, int k, const Value *v, const char *what, Span at)
{
	Shape s = shape_of(c, z);
	if (s.rows && shape_size(s) == k && (k == 1 || s.nd == 1)) return true;
	if (!s.rows)
		told(c, at, "M0207", "%s is the same for all rows, %s needs %s per row", describe(c, v), what,
		     k == 1 ? "one number" : "numbers");
	else
		told(c, at, "M0207", "%s gives %d output%s, %s needs %d", describe(c, v), (int)shape_size(s),
		     shape_size(s) == 1 ? "" : "s", what, k);
	if (s.rows) diag_help(c->d, "end it with `-> dense(%d)`", k);
	return false;
}

static NodeId part(Graph *g, NodeId z, int i)
{
	return graph_reshape(g, graph_slice(g, z, i, 1), shape_scalar(true));
}

/* Zero-inflated lognormal: P(v > 0) = s(z0), log v ~ N(z1, softplus(z2)^2); log E = log s(z0) + z1 + sigma^2
 * / 2. */
static bool ziln_head(Check *c, const Ast *e, OutcomeHead *h, const char *what)
{
	const Value *v = eval(c, e->list.at[0]->a);
	Span at = e->list.at[0]->span;
	NodeId z = as_tensor(c, v, at);
	if (!z || !head_width(c, z, 3, v, what, at)) return false;
	Graph *g = c->g;
	NodeId sigma = node1(g, OP_SOFTPLUS, part(g, z, 2), at);
	NodeId half = node2(g, OP_MUL, node_const(g, 0.5, at), node1(g, OP_SQUARE, sigma, at), at);
	h->parts = z;
	h->log = node2(g, OP_ADD, node1(g, OP_LOGSIGMOID, part(g, z, 0), at),
		       node2(g, OP_ADD, part(g, z, 1), half, at), at);
	h->node = node1(g, OP_EXP, h->log, at);
	return true;
}

static bool value_head(Check *c, const Ast *e, OutcomeHead *h, const char *what)
{
	if (e->kind == AST_CALL && !strcmp(e->name, "ziln") && e->list.n == 1)
		return ziln_head(c, e, h, what);
	const Value *v = eval(c, e);
	NodeId z = as_tensor(c, v, e->span);
	if (!z || !head_width(c, z, 1, v, what, e->span)) return false;
	h->log = log_node(c->g, z, e->span);
	if (h->log) h->log = as_column(c, h->log);
	h->node = as_column(c, z);
	return true;
}

static bool class_head(Check *c, const Ast *e, OutcomeHead *h, const char *what)
{
	bool call = e->kind == AST_CALL && !strcmp(e->name, "softmax") && e->list.n == 1;
	const Value *v = eval(c, call ? e->list.at[0]->a : e);
	Span at = call ? e->list.at[0]->span : e->span;
	NodeId z = as_tensor(c, v, at);
	if (!z) return false;
	if (!call) {
		const Node *n = graph_node(c->g, z);
		if (n->op != OP_SOFTMAX) {
			told(c, e->span, "M0208", "%s must be softmax(...) of its logits", what);
			return false;
		}
		z = n->in[0];
	}
	if (!head_width(c, z, c->s->sample.at[h->sample].classes, v, what, at)) return false;
	h->node = z;
	return true;
}

void exec_outcome_head(Check *c, const Ast *h, int sample)
{
	if (sample < 0 || (h->a->kind == AST_EXPECT) != (c->s->sample.at[sample].classes == 0))
		sample = outcome_of(c, h->a, h->a->a);
	const Formula *given = sample < 0 ? NULL : condition_of(c, h->a, sample);
	if (!given) {
		c->heads_broken = true;
		return;
	}
	OutcomeHead head = {.sample = sample, .estimate = h->a->text, .given = given, .span = h->a->span};
	Text t = {0}, e = {0};
	outcome_text(c, sample, head.estimate, given, &t);
	head.text = str_intern(c->str, t.at);
	text_free(&t);
	head.name = outcome_name(c, sample, head.estimate, given, h->a->span);
	ast_expr_text(h->b, &e);
	head.expression = str_intern(c->str, e.n < 40 ? e.at : head.name);
	text_free(&e);
	int old = head_find(c, sample, head.estimate, given);
	if (old >= 0) {
		told(c, h->a->span, "M0442", "there are two heads for %s", head.text);
		diag_note(c->d, c->outcome.at[old].span, "the first one is here");
		return;
	}
	Naming *outer = c->into;
	c->into = naming_of(c, str_printf(c->str, "head.%s", head.name), false);
	bool good = (c->s->sample.at[sample].classes ? class_head : value_head)(c, h->b, &head, head.text);
	c->into = outer;
	if (good)
		vec_push(c->a, &c->outcome, head);
	else
		c->heads_broken = true;
}

/* ---- their use ---- */

/* log P(class j) - log P(any other): z_j less the log-sum-exp of the others. */
static NodeId class_logit(Check *c, NodeId z, int j, Span at)
{
	Graph *g = c->g;
	int k = shape_of(c, z).d[0];
	NodeId rest[2], n = 0;
	if (j > 0) rest[n++] = graph_slice(g, z, 0, j);
	if (j < k - 1) rest[n++] = graph_slice(g, z, j + 1, k - 1 - j);
	NodeId others = n == 1 ? rest[0] : push_op(c, OP_CONCAT, 2, rest, (Attr){0}, at);
	return node2(g, OP_SUB, part(g, z, j), node1(g, OP_LSE, others, at), at);
}

static Str class_name(Check *c, const Sample *s, int j)
{
	return s->word.n ? s->word.at[j] : str_printf(c->str, "%d", j);
}

static Str class_label(Check *c, const OutcomeHead *h, int j)
{
	return str_printf(c->str, "%s=%s", h->name, class_name(c, &c->s->sample.at[h->sample], j));
}

/* The class that stands right of ==; -1: told. */
static int class_named(Check *c, const Ast *e, int sample)
{
	const Sample *s = &c->s->sample.at[sample];
	Str word = NULL;
	if (e->kind == AST_NAME && s->word.n && !scope_find(c->scope, e->name)) {
		word = e->name;
	} else {
		const Value *v = eval(c, e);
		if (v->kind == V_POISON) return -1;
		word = key_of(c, v);
	}
	Near near = {.arena = c->a};
	for (int j = 0; j < s->classes; j++) {
		Str name = class_name(c, s, j);
		if (word && !strcmp(word, name)) return j;
		if (s->word.n) near_add(&near, name);
	}
	if (s->word.n)
		told(c, e->span, "M0443", "class '%s' has no alternative '%s'", s->name,
		     word ? word : "of that kind");
	else
		told(c, e->span, "M0443", "the classes of '%s' are 0 to %d", s->name, s->classes - 1);
	if (s->word.n && word) help_near(c, &near, word);
	return -1;
}

/* The head of P( ) or E( ); -1: told. */
static int head_of(Check *c, const Ast *e, const Ast *name)
{
	int sample = outcome_of(c, e, name);
	const Formula *given = sample < 0 ? NULL : condition_of(c, e, sample);
	if (!given) return -1;
	int h = head_find(c, sample, e->text, given);
	if (h >= 0 || c->heads_broken) return h;
	Text t = {0};
	outcome_text(c, sample, e->text, given, &t);
	const char *help = arena_printf(c->a, "%s = %s", t.at,
					c->s->sample.at[sample].classes ? "softmax(...)" : "softplus(...)");
	if (diag_helped(c->d, "M0441", help)) {
		text_free(&t);
		return -1;
	}
	told(c, e->span, "M0441", "no head gives %s", t.at);
	for (int i = 0; i < c->outcome.n; i++)
		if (c->outcome.at[i].sample == sample) {
			diag_note(c->d, c->outcome.at[i].span, "there is %s", c->outcome.at[i].text);
			break;
		}
	diag_help(c->d, "%s", help);
	text_free(&t);
	return -1;
}

Str outcome_metric(Check *c, const Ast *e)
{
	int h = head_of(c, e, e->a);
	return h < 0 ? NULL : c->outcome.at[h].name;
}

const Value *outcome_value(Check *c, const Ast *e)
{
	bool equal = e->kind == AST_PROB && e->a->kind == AST_EQ;
	const Ast *name = equal ? e->a->a : e->a;
	if (e->kind == AST_PROB && !equal && sample_named(c, name) < 0) return NULL;
	int at = head_of(c, e, name);
	if (at < 0) return poison(c);
	OutcomeHead *h = &c->outcome.at[at];
	if (c->in_loss) h->trained = true;
	if (e->kind == AST_EXPECT)
		return new_value(c, (Value){.kind = V_SCORE,
					    .node = h->node,
					    .log = h->log,
					    .outcome = at + 1,
					    .text = h->name,
					    .span = e->span});
	if (!equal)
		return new_value(
		    c, (Value){.kind = V_CLASS, .node = h->node, .outcome = at + 1, .span = e->span});
	int j = class_named(c, e->a->b, h->sample);
	if (j < 0) return poison(c);
	NodeId z = class_logit(c, h->node, j, e->span);
	return new_value(c, (Value){.kind = V_SCORE,
				    .node = node1(c->g, OP_SIGMOID, z, e->span),
				    .log = node1(c->g, OP_LOGSIGMOID, z, e->span),
				    .text = class_label(c, h, j),
				    .outcome = at + 1,
				    .span = e->span});
}

/* ---- losses ---- */

static NodeId sample_node(Check *c, OpCode op, int sample, Span at)
{
	return graph_push(c->g, op, shape_scalar(true), 0, NULL, (Attr){.i = sample}, at);
}

/* 1 where the condition surely holds and the outcome is known. */
NodeId outcome_counts(Check *c, const OutcomeHead *h, Span at)
{
	NodeId known = sample_node(c, OP_KNOWN, h->sample, at), holds, sure;
	if (everywhere(h->given)) return known;
	build_label(c->s, h->given, formula_true(), at, &holds, &sure);
	return node2(c->g, OP_MUL, holds, known, at);
}

static const Value *outcome_loss(Check *c, const OutcomeHead *h, NodeId row, bool all, Span at)
{
	NodeId known = outcome_counts(c, h, at);
	Text t = {0};
	if (!everywhere(h->given)) {
		formula_text(c->s->events, h->given, &t);
		text_add(&t, " & ");
	}
	text_printf(&t, "%s known", c->s->sample.at[h->sample].name);
	Str rows = str_intern(c->str, t.at);
	text_free(&t);
	return row_loss(c, node2(c->g, OP_MUL, row, known, at), all ? 0 : known, all ? NULL : rows, at);
}

bool want_part(Check *c, const Ast *e, const char *what, double *out)
{
	if (!want_number(c, eval(c, e), e->span, what, out)) return false;
	if (*out >= 0 && *out < 1) return true;
	told(c, e->span, "M0311", "%s lies in [0, 1), %g does not", what, *out);
	return false;
}

typedef struct {
	const char *name, *arg; /* a number of its own, or NULL */
	double def, lo, hi;	/* its default, and between what it lies */
	bool positive;
} ValueLoss;

static const ValueLoss value_loss[] = {
    {"mse", NULL, 0, 0, 0, false},	{"huber", "?delta", 1, 0, INFINITY, false},
    {"poisson", NULL, 0, 0, 0, true},	{"wlogistic", NULL, 0, 0, 0, true},
    {"tweedie", "?p", 1.5, 1, 2, true}, {"ziln", NULL, 0, 0, 0, true},
};

/* -log density of v under h->parts, for v = 0 and v > 0; v only occurs as log v where it is above 0. */
static NodeId ziln_row(Check *c, const OutcomeHead *h, NodeId v, Span at)
{
	Graph *g = c->g;
	NodeId zero = node_const(g, 0, at), one = node_const(g, 1, at), z2 = part(g, h->parts, 2);
	NodeId above = node4(g, OP_SELLT, zero, v, one, zero, at);
	NodeId log_v = node1(g, OP_LOG, node4(g, OP_SELLT, zero, v, v, one, at), at);
	NodeId off = node2(g, OP_DIV, node2(g, OP_SUB, log_v, part(g, h->parts, 1), at),
			   node1(g, OP_SOFTPLUS, z2, at), at);
	NodeId body = node2(g, OP_MUL, node_const(g, 0.5, at), node1(g, OP_SQUARE, off, at), at);
	body = node2(g, OP_ADD, body, log_softplus(g, z2, at), at);
	body = node2(g, OP_ADD, body, node2(g, OP_ADD, log_v, node_const(g, 0.91893853320467274178, at), at),
		     at);
	return node2(g, OP_ADD, node2(g, OP_BCE, part(g, h->parts, 0), above, at),
		     node2(g, OP_MUL, above, body, at), at);
}

static NodeId value_row(Check *c, const char *name, const OutcomeHead *h, double k, Span at)
{
	Graph *g = c->g;
	NodeId v = sample_node(c, OP_SAMPLE, h->sample, at), e = h->node, l = h->log;
	if (!strcmp(name, "ziln")) return ziln_row(c, h, v, at);
	if (!strcmp(name, "poisson")) /* e - v log e: the deviance but for what depends on v alone */
		return node2(g, OP_SUB, e, node2(g, OP_MUL, v, l, at), at);
	if (!strcmp(name, "wlogistic")) /* a positive of weight v, a negative of weight 1; their odds are e */
		return node2(g, OP_ADD, node1(g, OP_SOFTPLUS, l, at),
			     node2(g, OP_MUL, v, node1(g, OP_SOFTPLUS, node1(g, OP_NEG, l, at), at), at), at);
	if (!strcmp(name, "tweedie")) { /* v e^(1-p) / (p - 1) + e^(2-p) / (2 - p) */
		NodeId a = node1(g, OP_EXP, node2(g, OP_MUL, l, node_const(g, 1 - k, at), at), at),
		       b = node1(g, OP_EXP, node2(g, OP_MUL, l, node_const(g, 2 - k, at), at), at);
		a = node2(g, OP_MUL, node2(g, OP_MUL, v, a, at), node_const(g, 1 / (k - 1), at), at);
		return node2(g, OP_ADD, a, node2(g, OP_MUL, b, node_const(g, 1 / (2 - k), at), at), at);
	}
	NodeId d = node2(g, OP_SUB, e, v, at);
	if (!strcmp(name, "mse")) return node2(g, OP_MUL, d, d, at);
	/* huber: m (|d| - m / 2), m = min(|d|, delta) */
	NodeId size = node1(g, OP_ABS, d, at), m = node2(g, OP_MIN, size, node_const(g, k, at), at);
	NodeId half = node2(g, OP_MUL, node_const(g, 0.5, at), m, at);
	return node2(g, OP_MUL, m, node2(g, OP_SUB, size, half, at), at);
}

/* The head a loss is about: E(v | c) or P(class); -1: told. */
static int loss_head(Check *c, const CallSite *site, const Ast *ast, const Value *v, ValueKind kind)
{
	Span at = ast ? ast->span : site->call->span;
	if (!v) v = eval(c, ast);
	if (v->kind == V_POISON) return -1;
	bool expect = kind == V_SCORE;
	if (v->kind == kind && v->outcome && (c->outcome.at[v->outcome - 1].node == v->node))
		return v->outcome - 1;
	told(c, at, expect ? "M0611" : "M0613", "%s needs %s, %s is %s", site->name,
	     expect ? "the mean of a value, E(v)" : "the probabilities of a class, P(c)", describe(c, v),
	     value_kind_word(v));
	if (v->role == ROLE_TOWER)
		diag_help(c->d,
			  expect ? "say what it estimates, E(value) = %s, and train %s(E(value))"
				 : "say what it estimates, P(class) = softmax(%s), and train %s(P(class))",
			  v->name, site->name);
	else if (v->kind == V_PROB)
		diag_help(c->d, "what happens or does not is learnt by bce(P(e))");
	return -1;
}

const Value *loss_value(Check *c, const CallSite *site)
{
	const ValueLoss *l = value_loss;
	while (strcmp(l->name, site->name)) l++;
	const char *param[3] = {"value", "?over", l->arg};
	const Ast *ast[3] = {0};
	const Value *value[3] = {0};
	double k = l->def;
	bool all;
	Span at = site->call->span;
	if (!bind_args(c, site, l->arg ? 3 : 2, param, ast, value)) return poison(c);
	if (ast[2] && !want_number(c, eval(c, ast[2]), ast[2]->span, l->arg + 1, &k)) return poison(c);
	if (ast[2] && !(k > l->lo && k < l->hi)) {
		if (isinf(l->hi))
			told(c, ast[2]->span, "M0311", "%s must be above %g, not %g", l->arg + 1, l->lo, k);
		else
			told(c, ast[2]->span, "M0311", "%s lies between %g and %g, %g does not", l->arg + 1,
			     l->lo, l->hi, k);
		return poison(c);
	}
	int head = over_all(c, ast[1], &all) ? loss_head(c, site, ast[0], value[0], V_SCORE) : -1;
	if (head < 0) return poison(c);
	OutcomeHead *h = &c->outcome.at[head];
	if (!strcmp(l->name, "ziln") && !h->parts) {
		told(c, at, "M0611", "ziln needs a head of three outputs, %s = ziln(z)", h->text);
		diag_note(c->d, h->span, "it is declared here");
		diag_help(c->d, "%s = ziln(... -> dense(3))", h->text);
		return poison(c);
	}
	if (l->positive && !h->log) {
		told(c, at, "M0612", "%s needs an estimate that is surely positive, and %s may be negative",
		     l->name, h->text);
		diag_note(c->d, h->span, "it is declared here");
		diag_help(c->d, "%s = softplus(...) or exp(...)", h->text);
		return poison(c);
	}
	h->trained = true;
	if (l->positive) c->s->sample.at[h->sample].positive = true;
	return outcome_loss(c, h, value_row(c, l->name, h, k, at), all, at);
}

/* The logit of what happened against all else.  Where it is unknown the row of 0 leaves a finite number. */
static NodeId happened(Check *c, const OutcomeHead *h, NodeId *others, Span at)
{
	Graph *g = c->g;
	NodeId y = sample_node(c, OP_SAMPLE, h->sample, at);
	NodeId hot = push_op(c, OP_ONEHOT, 1, &y, (Attr){.j = c->s->sample.at[h->sample].classes}, at);
	*others = node4(g, OP_SELLT, node_const(g, 0.5, at), hot, node_const(g, -1e30, at), h->node, at);
	return node1(g, OP_SUM_LAST, node2(g, OP_MUL, hot, h->node, at), at);
}

static NodeId cross_entropy(Check *c, const OutcomeHead *h, Span at)
{
	NodeId others, z = happened(c, h, &others, at);
	return node1(c->g, OP_SOFTPLUS, node2(c->g, OP_SUB, node1(c->g, OP_LSE, others, at), z, at), at);
}

const Value *loss_ce(Check *c, const CallSite *site)
{
	static const char *const param[] = {"probabilities", "?over", "?smooth"};
	const Ast *ast[3];
	const Value *value[3];
	double smooth = 0;
	bool all;
	Span at = site->call->span;
	Graph *g = c->g;
	if (!bind_args(c, site, 3, param, ast, value)) return poison(c);
	if (ast[2] && !want_part(c, ast[2], "smooth", &smooth)) return poison(c);
	int head = over_all(c, ast[1], &all) ? loss_head(c, site, ast[0], value[0], V_CLASS) : -1;
	if (head < 0) return poison(c);
	OutcomeHead *h = &c->outcome.at[head];
	h->trained = true;
	NodeId row = cross_entropy(c, h, at);
	if (smooth > 0) { /* (1 - s) -log p_y + s mean_j -log p_j */
		NodeId mean = node2(g, OP_MUL, node1(g, OP_SUM_LAST, h->node, at),
				    node_const(g, 1.0 / shape_of(c, h->node).d[0], at), at);
		NodeId even = node2(g, OP_SUB, node1(g, OP_LSE, h->node, at), mean, at);
		row = node2(g, OP_ADD, node2(g, OP_MUL, row, node_const(g, 1 - smooth, at), at),
			    node2(g, OP_MUL, even, node_const(g, smooth, at), at), at);
	}
	return outcome_loss(c, h, row, all, at);
}

/* (1 - p)^gamma -log p where it happened, p^gamma -log(1 - p) where not; powers as exponentials of softplus.
 */
static NodeId focal_side(Graph *g, NodeId z, double gamma, Span at)
{
	NodeId loss = node1(g, OP_SOFTPLUS, node1(g, OP_NEG, z, at), at);
	NodeId power = node2(g, OP_MUL, node1(g, OP_SOFTPLUS, z, at), node_const(g, -gamma, at), at);
	return node2(g, OP_MUL, node1(g, OP_EXP, power, at), loss, at);
}

const Value *loss_focal(Check *c, const CallSite *site)
{
	static const char *const param[] = {"probability", "?gamma", "?over"};
	const Ast *ast[3];
	const Value *value[3];
	double gamma = 2;
	ProbType t;
	bool all;
	Span at, call = site->call->span;
	Graph *g = c->g;
	if (!bind_args(c, site, 3, param, ast, value)) return poison(c);
	if (ast[1] && !want_number(c, eval(c, ast[1]), ast[1]->span, "gamma", &gamma)) return poison(c);
	if (gamma < 0) {
		told(c, ast[1]->span, "M0311", "gamma is 0 or more, not %g", gamma);
		return poison(c);
	}
	if (!over_all(c, ast[2], &all) || !loss_prob(c, site, ast[0], value[0], &t, &at)) return poison(c);
	NodeId y, known, z = build_logit(c->s, &t.derived, call);
	build_label(c->s, t.of, t.given, call, &y, &known);
	NodeId row = node4(g, OP_SELLT, node_const(g, 0.5, call), y, focal_side(g, z, gamma, call),
			   focal_side(g, node1(g, OP_NEG, z, call), gamma, call), call);
	use_prob(c, true, &t, !everywhere(t.given), call);
	Text rows = {0};
	if (!everywhere(t.given)) formula_text(c->s->events, t.given, &rows);
	Str name = all || !rows.n ? NULL : str_intern(c->str, rows.at);
	text_free(&rows);
	return row_loss(c, node2(g, OP_MUL, row, known, call), all ? 0 : known, name, call);
}

/* ---- outputs, reports ---- */

void outcome_outputs(Check *c)
{
	for (int i = 0; i < c->outcome.n; i++) {
		const OutcomeHead h = c->outcome.at[i];
		if (c->s->sample.at[h.sample].classes == 0) {
			output_value(c, NULL,
				     new_value(c, (Value){.kind = V_SCORE,
							  .node = h.node,
							  .log = h.log,
							  .text = h.name,
							  .outcome = i + 1,
							  .span = h.span}),
				     h.text, h.span);
			continue;
		}
		for (int j = 0; j < c->s->sample.at[h.sample].classes; j++)
			output_value(
			    c, class_label(c, &h, j),
			    new_value(c, (Value){.kind = V_SCORE,
						 .node = node1(c->g, OP_SIGMOID,
							       class_logit(c, h.node, j, h.span), h.span),
						 .outcome = i + 1,
						 .span = h.span}),
			    h.text, h.span);
	}
}

/* How each class is told from the others: an AUC of its own. */
static void class_watches(Check *c, const OutcomeHead *h, const Watch *all)
{
	const Sample *s = &c->s->sample.at[h->sample];
	NodeId y = sample_node(c, OP_SAMPLE, h->sample, h->span);
	NodeId hot = push_op(c, OP_ONEHOT, 1, &y, (Attr){.j = s->classes}, h->span);
	for (int j = 0; j < s->classes && s->classes <= CLASSES_WATCHED; j++) {
		Watch w = *all;
		w.kind = WATCH_PROB;
		w.name = class_label(c, h, j);
		const char *bar = strchr(h->text, '|');
		w.text = bar ? str_printf(c->str, "P(%s == %s %s", s->name, class_name(c, s, j), bar)
			     : str_printf(c->str, "P(%s == %s)", s->name, class_name(c, s, j));
		w.label_text = str_printf(c->str, "%s = %s", s->column, class_name(c, s, j));
		w.logit = class_logit(c, h->node, j, h->span);
		w.label = part(c->g, hot, j);
		vec_push(c->a, &c->s->watch, w);
	}
}

void outcome_watches(Check *c)
{
	for (int i = 0; i < c->outcome.n; i++) {
		const OutcomeHead *h = &c->outcome.at[i];
		const Sample *s = &c->s->sample.at[h->sample];
		Watch w = {.kind = s->classes ? WATCH_CLASS : WATCH_VALUE,
			   .name = h->name,
			   .text = h->text,
			   .expression = h->expression,
			   .label_text = s->column,
			   .rows_text = build_rows_text(c->s, h->given),
			   .head = true,
			   .trained = h->trained,
			   .served = h->served,
			   .weight = outcome_counts(c, h, h->span)};
		if (s->classes) {
			NodeId others, z = happened(c, h, &others, h->span);
			w.logit = cross_entropy(c, h, h->span);
			w.label = node4(c->g, OP_SELLT, node1(c->g, OP_MAX_LAST, others, h->span), z,
					node_const(c->g, 1, h->span), node_const(c->g, 0, h->span), h->span);
		} else {
			w.logit = h->node;
			w.label = sample_node(c, OP_SAMPLE, h->sample, h->span);
		}
		vec_push(c->a, &c->s->watch, w);
		if (s->classes) class_watches(c, h, &w);
	}
}
