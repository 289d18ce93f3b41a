/* Random trees, formulas and heads, valued by enumeration: none of the code under test has a part in the
 * answers. */
#ifndef EVENT_RANDOM_H
#define EVENT_RANDOM_H
#include "event_text.h"

static uint64_t seed = 20240229;

static inline unsigned below_n(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static inline double uniform(void) { return (below_n(1u << 30) + 0.5) / (1u << 30); }

/* A tree of n events, and formulas over them, made and valued here without any of the code under test. */
typedef struct {
	World w;
	int n;
	double joint[64]; /* by pattern */
} Random;

static inline bool consistent(const Random *r, unsigned p)
{
	for (int i = 0; i < r->n; i++)
		if ((p >> i & 1) && r->w.e->event.at[i].parent >= 0 && !(p >> r->w.e->event.at[i].parent & 1))
			return false;
	return true;
}

static inline bool value(const Formula *f, unsigned p)
{
	switch (f->kind) {
	case F_TRUE: return true;
	case F_EVENT: return p >> f->event & 1;
	case F_NOT: return !value(f->a, p);
	case F_AND: return value(f->a, p) && value(f->b, p);
	default: return value(f->a, p) || value(f->b, p);
	}
}

static inline Random random_tree(int n)
{
	Random r = {.w = world(""), .n = n};
	for (int i = 0; i < n; i++) {
		Event e = {.name = str_printf(r.w.str, "e%d", i),
			   .parent = (int)below_n((unsigned)i + 1) - 1};
		vec_push(r.w.arena, &r.w.e->event, e);
	}
	double sum = 0;
	for (unsigned p = 0; p < 1u << n; p++) sum += r.joint[p] = consistent(&r, p) ? uniform() : 0;
	for (unsigned p = 0; p < 1u << n; p++) r.joint[p] /= sum;
	return r;
}

static inline const Formula *random_formula(Random *r, int depth)
{
	unsigned k = below_n(depth > 0 ? 5 : 1);
	const Events *e = r->w.e;
	if (k <= 1) return formula_event(e, (int)below_n((unsigned)r->n), (Span){0});
	const Formula *a = random_formula(r, depth - 1);
	if (k == 2) return formula_not(e, a, (Span){0});
	const Formula *b = random_formula(r, depth - 1);
	return k == 3 ? formula_and(e, a, b, (Span){0}) : formula_or(e, a, b, (Span){0});
}

static inline double probability(const Random *r, const Formula *of, const Formula *given)
{
	double both = 0, all = 0;
	for (unsigned p = 0; p < 1u << r->n; p++) {
		if (!value(given, p)) continue;
		all += r->joint[p];
		if (value(of, p)) both += r->joint[p];
	}
	return both / all;
}

static inline void add_head(Random *r, const Formula *of, const Formula *given)
{
	Head h = {.of = of, .given = given, .name = str_printf(r->w.str, "h%d", r->w.e->head.n)};
	vec_push(r->w.arena, &r->w.e->head, h);
}

/* Heads that split every state until it is one pattern, as an author might: complete, and in an order of
 * their own. */
static inline void random_heads(Random *r, const Formula *state)
{
	const Events *e = r->w.e;
	for (int tries = 0; tries < 200; tries++) {
		const Formula *f = random_formula(r, below_n(4) ? 0 : 2);
		int yes = 0, no = 0;
		for (unsigned p = 0; p < 1u << r->n; p++)
			if (consistent(r, p) && value(state, p)) *(value(f, p) ? &yes : &no) += 1;
		if (!yes || !no) continue;
		add_head(r, f, state);
		random_heads(r, formula_and(e, state, f, (Span){0}));
		random_heads(r, formula_and(e, state, formula_not(e, f, (Span){0}), (Span){0}));
		return;
	}
}
#endif
