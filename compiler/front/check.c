/*
 * From tree to checked model, in order: declarations, which may stand anywhere; the network, from top to
 * bottom; then, with every head known, losses, outputs and what is watched.
 */
#include "front/checker.h"
#include "front/prob.h"
#include <stdarg.h>
#include <string.h>

/* ---- messages ---- */

/* The outermost call of a prelude layer that we are in: the author sees that call, not our code. */
static const Call *prelude_call(const Check *c)
{
	const Call *found = NULL;
	for (const Call *k = c->call; k; k = k->outer)
		if (k->layer->prelude) found = k;
	return found;
}

static void layer_notes(Check *c, Span at)
{
	const Call *p = prelude_call(c);
	if (p) diag_note(c->d, at, "inside layer '%s', here", p->layer->name);
	/* Of a long way in, its two ends. */
	const Call *first = p ? p->outer : c->call;
	for (const Call *k = first; k; k = k->outer)
		if (k == first || !k->outer)
			diag_note(c->d, k->at, "in this use of layer '%s'", k->layer->name);
}

void told(Check *c, Span at, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(c->a, fmt, ap);
	va_end(ap);
	const Call *p = prelude_call(c);
	diag_error(c->d, p ? p->at : at, code, "%s", text);
	layer_notes(c, at);
}

void told_warn(Check *c, Span at, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(c->a, fmt, ap);
	va_end(ap);
	const Call *p = prelude_call(c);
	diag_warn(c->d, p ? p->at : at, code, "%s", text);
	layer_notes(c, at);
}

void help_near(Check *c, const Near *n, const char *wanted)
{
	const char *best = near_best(n, wanted);
	if (best && strcmp(best, wanted)) diag_help(c->d, "did you mean '%s'?", best);
}

/* ---- values ---- */

const Value *new_value(Check *c, Value v)
{
	Value *p = arena_new(c->a, Value, 1);
	*p = v;
	return p;
}

const Value *poison(Check *c) { return new_value(c, (Value){.kind = V_POISON}); }

const Value *number_value(Check *c, double k, Span at)
{
	return new_value(c, (Value){.kind = V_NUMBER, .number = k, .span = at});
}

const Value *tensor_value(Check *c, NodeId n, Span at)
{
	return n ? new_value(c, (Value){.kind = V_TENSOR, .node = n, .span = at}) : poison(c);
}

const char *describe(Check *c, const Value *v)
{
	if (v->kind == V_GROUP)
		return arena_printf(c->a, "feature group '%s'", c->s->group.at[v->group].name);
	if (v->kind == V_WORD) return arena_printf(c->a, "event '%s'", v->name);
	if (v->name) return arena_printf(c->a, "%s '%s'", role_word(v->role), v->name);
	return "this";
}

/* ---- declarations ---- */

static void collect_layer(Check *c, const Ast *item, bool prelude)
{
	for (int i = 0; i < c->layer.n; i++) {
		Layer *l = &c->layer.at[i];
		if (l->name != item->name || l->prelude != prelude) continue;
		told(c, item->name_span, "M0301", "layer '%s' is defined twice", item->name);
		diag_note(c->d, l->ast->name_span, "the first time here");
		return;
	}
	for (int i = 0; i < item->list.n; i++)
		for (int j = 0; j < i; j++)
			if (item->list.at[i]->name == item->list.at[j]->name)
				told(c, item->list.at[i]->name_span, "M0302",
				     "layer '%s' has two arguments called '%s'", item->name,
				     item->list.at[i]->name);
	/* An author's layer hides one of ours: it is found first. */
	vec_push(c->a, &c->layer, (Layer){item->name, item, prelude});
}

/* A block of which there is one. */
static void single(Check *c, const Ast **kept, const Ast *item, const char *what)
{
	if (*kept) {
		told(c, item->span, "M0091", "a second '%s' block", what);
		diag_note(c->d, (*kept)->span, "the first one is here");
		return;
	}
	*kept = item;
}

static void collect_embed(Check *c, const Ast *it)
{
	if (c->dim_at.hi) {
		told(c, it->span, "M0093", "the default width is set twice");
		diag_note(c->d, c->dim_at, "the first time here");
		return;
	}
	c->dim_at = it->span;
	int64_t dim;
	c->scope = c->consts;
	if (want_whole(c, eval(c, it->a), it->a->span, "a width", 1, 4096, &dim))
		c->dim = (int)dim;
	else
		c->dim_told = true;
}

typedef enum { NAMES, CONSTS, FEATURES } Phase;

/* In three walks, so that the order of declarations in the file is free: a const may list events that stand
 * below it, a feature may use any const. */
static void collect(Check *c, const Ast *items, Phase phase)
{
	for (int i = 0; i < items->list.n; i++) {
		const Ast *it = items->list.at[i];
		if (!it) continue;
		if (it->kind == AST_USE) {
			collect(c, it, phase);
			continue;
		}
		if (phase == NAMES) switch (it->kind) {
			case AST_MODEL:
				if (c->s->name)
					told(c, it->span, "M0092", "the model already has the name '%s'",
					     c->s->name);
				c->s->name = it->name;
				c->model_at = it->span;
				break;
			case AST_CLASS:
			case AST_VALUE:
			case AST_EVENT:
			case AST_INDEPENDENT: collect_event(c, it); break;
			case AST_LAYER: collect_layer(c, it, false); break;
			case AST_TRAIN: single(c, &c->train, it, "train"); break;
			case AST_ROWS: single(c, &c->rows, it, "rows"); break;
			default: break;
			}
		if (phase == CONSTS && it->kind == AST_CONST) collect_const(c, it);
		if (phase == CONSTS && it->kind == AST_EMBED) collect_embed(c, it);
		if (phase == FEATURES && it->kind == AST_FEATURES) collect_features(c, it);
	}
}

static void network(Check *c, const Ast *items)
{
	for (int i = 0; i < items->list.n; i++) {
		const Ast *it = items->list.at[i];
		if (!it) continue;
		switch (it->kind) {
		case AST_USE: network(c, it); break;
		case AST_MODEL:
		case AST_CONST:
		case AST_FEATURES:
		case AST_EMBED:
		case AST_EVENT:
		case AST_INDEPENDENT:
		case AST_LAYER:
		case AST_TRAIN:
		case AST_CLASS:
		case AST_VALUE:
		case AST_ROWS: break;
		default: exec(c, it); break;
		}
	}
}

static void collect_prelude(Check *c, const Ast *prelude)
{
	for (int i = 0; prelude && i < prelude->list.n; i++)
		if (prelude->list.at[i]->kind == AST_LAYER) collect_layer(c, prelude->list.at[i], true);
}

Spec *check(Arena *a, StrTab *str, Diag *d, const Ast *file, const Ast *prelude, const Defines *defines)
{
	Spec *s = spec_new(a, str);
	Check *c = arena_new(a, Check, 1);
	*c = (Check){.a = a, .str = str, .d = d, .s = s, .g = s->g, .defines = defines};
	if (defines) c->defined = arena_new(a, bool, defines->n);
	if (prelude) c->prelude_at = prelude->span;
	int before = diag_errors(d);

	collect_prelude(c, prelude);
	collect(c, file, NAMES);
	finish_events(c);
	for (int i = 0; i < c->event_ast.n; i++) add_sample(c, c->event_ast.at[i]);
	collect(c, file, CONSTS);
	check_defines(c);
	c->scope = c->consts;
	size_samples(c);
	collect(c, file, FEATURES);
	finish_features(c);

	network(c, file);
	if (!c->heads_broken) heads_check(s->events, d);

	check_rows(c);
	check_losses(c);
	check_outputs(c);
	check_train(c);
	if (!s->name) s->name = str_intern(str, "model");
	/* Lints and the table of events speak of a whole model: after an error they would complain of its
	 * gaps. */
	if (diag_errors(d) > before) return NULL;
	check_watches(c);
	lint(c);
	if (diag_errors(d) > before) return NULL;
	return s;
}
