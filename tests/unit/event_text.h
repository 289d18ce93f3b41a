/*
 * A small notation for tests about events:
 *
 *   "event click; event buy of click; independent a, b given c; P(click) = ctr; P[direct](buy) = d"
 *
 * and expressions "stop(P(click)) * P(buy | click)", "(1 - P(act | click)) / 2"...  What is wrong in them
 * aborts the test.
 */
#ifndef EVENT_TEXT_H
#define EVENT_TEXT_H
#include "base/diag.h"
#include "front/prob.h"
#include <CUnit/Basic.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	Arena *arena;
	StrTab *str;
	Sources sources;
	Events *e;
	Diag *d;
	const char *text, *at; /* the file being read */
	uint32_t base;
} World;

static inline void skip(World *w)
{
	while (isspace((unsigned char)*w->at)) w->at++;
}

static inline bool take(World *w, const char *word)
{
	skip(w);
	size_t n = strlen(word);
	if (strncmp(w->at, word, n) != 0) return false;
	if (isalpha((unsigned char)word[0]) && (isalnum((unsigned char)w->at[n]) || w->at[n] == '_'))
		return false;
	w->at += n;
	return true;
}

static inline void need(World *w, const char *word)
{
	if (take(w, word)) return;
	fprintf(stderr, "expected '%s' at '%s'\n", word, w->at);
	abort();
}

static inline uint32_t here(const World *w) { return w->base + (uint32_t)(w->at - w->text); }

static inline Str name_of(World *w)
{
	skip(w);
	const char *from = w->at;
	while (isalnum((unsigned char)*w->at) || *w->at == '_') w->at++;
	if (w->at == from) need(w, "a name");
	return str_internn(w->str, from, (size_t)(w->at - from));
}

static inline int event_of(World *w)
{
	Str name = name_of(w);
	int event = event_find(w->e, name);
	if (event >= 0) return event;
	fprintf(stderr, "no event '%s'\n", name);
	abort();
}

static inline const Formula *read_and(World *w);

static inline const Formula *read_literal(World *w)
{
	skip(w);
	uint32_t lo = here(w);
	if (take(w, "!")) {
		const Formula *a = read_literal(w);
		return formula_not(w->e, a, (Span){lo, here(w)});
	}
	if (take(w, "(")) {
		const Formula *f = read_and(w);
		while (take(w, "|")) {
			const Formula *g = read_and(w);
			f = formula_or(w->e, f, g, (Span){lo, here(w)});
		}
		need(w, ")");
		return f;
	}
	if (take(w, "true")) return formula_true();
	int event = event_of(w);
	return formula_event(w->e, event, (Span){lo, here(w)});
}

static inline const Formula *read_and(World *w)
{
	const Formula *f = read_literal(w);
	while (take(w, "&")) {
		const Formula *g = read_literal(w);
		f = formula_and(w->e, f, g, (Span){f->span.lo, g->span.hi});
	}
	return f;
}

static inline Prob *new_prob(World *w, Prob p)
{
	Prob *at = arena_new(w->arena, Prob, 1);
	*at = p;
	return at;
}

static inline const Prob *read_prob(World *w)
{
	skip(w);
	uint32_t lo = here(w);
	Prob p = {.kind = PX_EVENT, .given = formula_true()};
	need(w, "P");
	if (take(w, "[")) {
		p.estimate = name_of(w);
		need(w, "]");
	}
	need(w, "(");
	p.of = read_and(w);
	if (take(w, "|")) p.given = read_and(w);
	need(w, ")");
	p.span = (Span){lo, here(w)};
	return new_prob(w, p);
}

static inline const Prob *read_sum(World *w);

static inline const Prob *read_factor(World *w)
{
	skip(w);
	uint32_t lo = here(w);
	if (take(w, "stop")) {
		need(w, "(");
		const Prob *a = read_sum(w);
		need(w, ")");
		return new_prob(w, (Prob){.kind = PX_STOP, .a = a, .span = {lo, here(w)}});
	}
	if (take(w, "(")) {
		const Prob *a = read_sum(w);
		need(w, ")");
		return a;
	}
	return read_prob(w);
}

static inline const Prob *read_product(World *w)
{
	skip(w);
	uint32_t lo = here(w);
	const Prob *a = read_factor(w);
	for (;;) {
		ProbKind kind = take(w, "*") ? PX_MUL : take(w, "/") ? PX_DIV : PX_EVENT;
		if (kind == PX_EVENT) return a;
		const Prob *b = read_factor(w);
		a = new_prob(w, (Prob){.kind = kind, .a = a, .b = b, .span = {lo, here(w)}});
	}
}

static inline const Prob *read_sum(World *w)
{
	skip(w);
	uint32_t lo = here(w);
	const Prob *a;
	if (take(w, "1")) {
		need(w, "-");
		a = read_product(w);
		a = new_prob(w, (Prob){.kind = PX_NOT, .a = a, .span = {lo, here(w)}});
	} else {
		a = read_product(w);
	}
	while (take(w, "+")) {
		const Prob *b = read_product(w);
		a = new_prob(w, (Prob){.kind = PX_ADD, .a = a, .b = b, .span = {lo, here(w)}});
	}
	return a;
}

static inline void read_text(World *w, const char *path, const char *text)
{
	int file = source_add(&w->sources, path, text, (uint32_t)strlen(text));
	w->text = w->at = text;
	w->base = w->sources.file.at[file].base;
}

static inline void read_item(World *w)
{
	Events *e = w->e;
	skip(w);
	if (take(w, "event")) {
		skip(w);
		uint32_t lo = here(w);
		Event ev = {.name = name_of(w), .parent = -1};
		ev.span = (Span){lo, here(w)};
		ev.label_text = ev.name;
		if (take(w, "of")) ev.parent = event_of(w);
		vec_push(w->arena, &e->event, ev);
	} else if (take(w, "independent")) {
		Independent p = {.given = -1};
		do vec_push(w->arena, &p.event, event_of(w));
		while (take(w, ","));
		if (take(w, "given")) p.given = event_of(w);
		vec_push(w->arena, &e->independent, p);
	} else {
		const Prob *p = read_prob(w);
		need(w, "=");
		Head h = {.of = p->of, .given = p->given, .estimate = p->estimate, .span = p->span};
		h.name = name_of(w);
		vec_push(w->arena, &e->head, h);
	}
}

static inline World world(const char *model)
{
	World w = {.arena = arena_create()};
	w.sources.arena = w.arena;
	w.str = str_create(w.arena);
	w.e = events_new(w.arena, w.str);
	read_text(&w, "model", model);
	for (skip(&w); *w.at; skip(&w)) {
		read_item(&w);
		if (!take(&w, ";")) break;
	}
	if (*w.at) need(&w, "the end");
	return w;
}

/* Messages read after this only; the text of every file stays alive with the test. */
static inline const Prob *expression(World *w, const char *text)
{
	read_text(w, "expression", text);
	w->d = diag_create(w->arena, &w->sources);
	const Prob *p = read_sum(w);
	skip(w);
	if (*w->at) need(w, "the end");
	return p;
}

static inline const Formula *formula_in(World *w, const char *text)
{
	const char *s = w->text, *at = w->at;
	uint32_t base = w->base;
	w->text = w->at = text;
	w->base = 0;
	const Formula *f = read_and(w);
	w->text = s;
	w->at = at;
	w->base = base;
	return f;
}

static inline void same_text(const char *got, const char *expected, const char *about)
{
	if (strcmp(got, expected) != 0)
		printf("\n  %s\n    is       %s\n    not      %s\n", about, got, expected);
	CU_ASSERT_STRING_EQUAL(got, expected);
}

/* "P(buy | click) = MIX(y2, y3, y4)" of a proven type. */
static inline void says(World *w, Str estimate, const Formula *of, const Formula *given, const Derived *d,
			Text *out)
{
	prob_text(w->e, estimate, of, given, out);
	text_add(out, " = ");
	if (d->ok)
		derived_text(w->e, d, out);
	else
		text_printf(out, "none: %s; %s", d->why, d->help ? d->help : "");
}
#endif
