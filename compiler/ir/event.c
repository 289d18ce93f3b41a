/* The event tree, formulas over it, and how both are written for people. */
#include "ir/event.h"
#include "base/diag.h"

Events *events_new(Arena *a, StrTab *str)
{
	Events *e = arena_new(a, Events, 1);
	e->arena = a;
	e->str = str;
	return e;
}

int event_find(const Events *e, Str name)
{
	for (int i = 0; i < e->event.n; i++)
		if (e->event.at[i].name == name) return i;
	return -1;
}

/* ---- formulas ---- */

const Formula *formula_true(void)
{
	static const Formula always = {.kind = F_TRUE};
	return &always;
}

static const Formula *formula(const Events *e, Formula f)
{
	Formula *at = arena_new(e->arena, Formula, 1);
	*at = f;
	return at;
}

const Formula *formula_event(const Events *e, int event, Span s)
{
	if (event < 0 || event >= e->event.n) bug("no event %d", event);
	return formula(e, (Formula){.kind = F_EVENT, .event = event, .span = s});
}

const Formula *formula_not(const Events *e, const Formula *a, Span s)
{
	if (a->kind == F_NOT) return a->a;
	return formula(e, (Formula){.kind = F_NOT, .a = a, .span = s});
}

const Formula *formula_and(const Events *e, const Formula *a, const Formula *b, Span s)
{
	if (a->kind == F_TRUE) return b;
	if (b->kind == F_TRUE) return a;
	return formula(e, (Formula){.kind = F_AND, .a = a, .b = b, .span = s});
}

const Formula *formula_or(const Events *e, const Formula *a, const Formula *b, Span s)
{
	if (a->kind == F_TRUE) return a;
	if (b->kind == F_TRUE) return b;
	return formula(e, (Formula){.kind = F_OR, .a = a, .b = b, .span = s});
}

/* ---- text ---- */

/* `space` is " " for people and "" for names.  "or" always stands in parentheses, so only & inside ! needs
 * more. */
static void write_formula(const Events *e, const Formula *f, const char *space, bool inside_not, Text *out)
{
	switch (f->kind) {
	case F_TRUE: text_add(out, "true"); return;
	case F_EVENT: text_add(out, e->event.at[f->event].name); return;
	case F_NOT:
		text_char(out, '!');
		write_formula(e, f->a, space, true, out);
		return;
	case F_AND:
	case F_OR: {
		bool paren = f->kind == F_OR || inside_not;
		const char *word = f->kind == F_OR ? "|" : "&";
		if (paren) text_char(out, '(');
		/* a | b | c needs one pair of parentheses, not two */
		const Formula *side[] = {f->a, f->b};
		for (int i = 0; i < 2; i++) {
			if (i) text_printf(out, "%s%s%s", space, word, space);
			if (f->kind == F_OR && side[i]->kind == F_OR) {
				Text inner = {0};
				write_formula(e, side[i], space, false, &inner);
				text_addn(out, inner.at + 1, inner.n - 2);
				text_free(&inner);
			} else {
				write_formula(e, side[i], space, false, out);
			}
		}
		if (paren) text_char(out, ')');
		return;
	}
	}
}

void formula_text(const Events *e, const Formula *f, Text *out) { write_formula(e, f, " ", false, out); }

void prob_text(const Events *e, Str estimate, const Formula *of, const Formula *given, Text *out)
{
	text_char(out, 'P');
	if (estimate) text_printf(out, "[%s]", estimate);
	text_char(out, '(');
	write_formula(e, of, " ", false, out);
	if (given->kind != F_TRUE) {
		text_add(out, " | ");
		write_formula(e, given, " ", false, out);
	}
	text_char(out, ')');
}

Str prob_name(const Events *e, Str estimate, const Formula *of, const Formula *given)
{
	Text t = {0};
	write_formula(e, of, "", false, &t);
	if (given->kind != F_TRUE) {
		text_char(&t, '|');
		write_formula(e, given, "", false, &t);
	}
	if (estimate) text_printf(&t, "[%s]", estimate);
	Str name = str_intern(e->str, t.at);
	text_free(&t);
	return name;
}
