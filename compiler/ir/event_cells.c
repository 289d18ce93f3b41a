/*
 * Cells: the outcomes that the tree allows for a few events, and formulas as sets of them.
 *
 * n events have at most 2^n cells, one for each pattern in which no event happens without its parent.  Every
 * question about formulas (the same? implied? exclusive?) is then one about bit sets.
 */
#include "ir/event_sets.h"
#include "base/diag.h"
#include <string.h>

struct Cells {
	const Events *e;
	int n; /* events, in the order of the tree */
	int event[CELL_EVENTS];
	int count, words;
	uint16_t *pattern; /* [count]: bit i, event[i] happened */
	uint64_t *all;
};

bool events_involve(const Events *e, const Formula *f, EventSet *set)
{
	switch (f->kind) {
	case F_TRUE: return true;
	case F_EVENT:
		for (int i = f->event; i >= 0; i = e->event.at[i].parent) {
			int k = 0;
			while (k < set->n && set->event[k] != i) k++;
			if (k < set->n) continue;
			if (set->n == CELL_EVENTS) return false;
			set->event[set->n++] = i;
		}
		return true;
	case F_NOT: return events_involve(e, f->a, set);
	case F_AND:
	case F_OR: return events_involve(e, f->a, set) && events_involve(e, f->b, set);
	}
	bug("formula %d", (int)f->kind);
}

bool events_in(const EventSet *set, int event)
{
	for (int i = 0; i < set->n; i++)
		if (set->event[i] == event) return true;
	return false;
}

Cells *cells_of_set(const Events *e, const EventSet *set)
{
	Cells *c = arena_new(e->arena, Cells, 1);
	c->e = e;
	for (int i = 0; i < e->event.n; i++)
		if (events_in(set, i)) c->event[c->n++] = i;
	int parent[CELL_EVENTS];
	for (int i = 0; i < c->n; i++) {
		parent[i] = -1;
		for (int k = 0; k < i; k++)
			if (c->event[k] == e->event.at[c->event[i]].parent) parent[i] = k;
	}
	c->pattern = arena_new(e->arena, uint16_t, 1 << c->n);
	for (unsigned p = 0; p < 1u << c->n; p++) {
		bool fits = true;
		for (int i = 0; i < c->n; i++) fits &= !(p >> i & 1) || parent[i] < 0 || (p >> parent[i] & 1);
		if (fits) c->pattern[c->count++] = (uint16_t)p;
	}
	c->words = (c->count + 63) / 64;
	c->all = arena_new(e->arena, uint64_t, c->words);
	for (int i = 0; i < c->count; i++) set_add(c->all, i);
	return c;
}

Cells *cells_new(const Events *e, int n, const Formula *const *f)
{
	EventSet set = {0};
	for (int i = 0; i < n; i++)
		if (!events_involve(e, f[i], &set)) return NULL;
	return cells_of_set(e, &set);
}

int cells_count(const Cells *c) { return c->count; }
int cells_words(const Cells *c) { return c->words; }
const uint64_t *cells_all(const Cells *c) { return c->all; }
uint16_t cells_pattern(const Cells *c, int cell) { return c->pattern[cell]; }

int cells_bit(const Cells *c, int event)
{
	for (int i = 0; i < c->n; i++)
		if (c->event[i] == event) return i;
	return -1;
}

static bool holds(const Cells *c, unsigned pattern, const Formula *f)
{
	switch (f->kind) {
	case F_TRUE: return true;
	case F_EVENT: {
		int bit = cells_bit(c, f->event);
		if (bit < 0) bug("event '%s' is not among these cells", c->e->event.at[f->event].name);
		return pattern >> bit & 1;
	}
	case F_NOT: return !holds(c, pattern, f->a);
	case F_AND: return holds(c, pattern, f->a) && holds(c, pattern, f->b);
	case F_OR: return holds(c, pattern, f->a) || holds(c, pattern, f->b);
	}
	bug("formula %d", (int)f->kind);
}

const uint64_t *cells_of(Cells *c, const Formula *f)
{
	uint64_t *set = arena_new(c->e->arena, uint64_t, c->words);
	for (int i = 0; i < c->count; i++)
		if (holds(c, c->pattern[i], f)) set_add(set, i);
	return set;
}

bool cells_equal(Cells *c, const Formula *a, const Formula *b)
{
	return set_equal(cells_of(c, a), cells_of(c, b), c->words);
}

bool cells_subset(Cells *c, const Formula *a, const Formula *b)
{
	return set_within(cells_of(c, a), cells_of(c, b), c->words);
}

bool cells_disjoint(Cells *c, const Formula *a, const Formula *b)
{
	return set_disjoint(cells_of(c, a), cells_of(c, b), c->words);
}

bool cells_empty(Cells *c, const Formula *a) { return set_empty(cells_of(c, a), c->words); }

/* ---- a formula for a set ---- */

typedef struct {
	unsigned yes, no; /* bits of events that must, that must not have happened */
} Literals;

static bool literals_are(const Cells *c, Literals l, const uint64_t *set, const uint64_t *within)
{
	for (int i = 0; i < c->count; i++) {
		if (!set_has(within, i)) continue;
		bool fits = (c->pattern[i] & l.yes) == l.yes && !(c->pattern[i] & l.no);
		if (fits != set_has(set, i)) return false;
	}
	return true;
}

/* A conjunction that is `set` within `within`, with nothing in it that could be left out. */
static bool conjunction(const Cells *c, const uint64_t *set, const uint64_t *within, Literals *out)
{
	Literals l = {(1u << c->n) - 1, (1u << c->n) - 1};
	for (int i = 0; i < c->count; i++)
		if (set_has(set, i) && set_has(within, i)) {
			l.yes &= c->pattern[i];
			l.no &= (unsigned)~c->pattern[i];
		}
	if (!literals_are(c, l, set, within)) return false;
	/* What a child implies, its ancestors, goes first; so do the descendants of what did not happen. */
	for (int i = 0; i < c->n; i++) {
		Literals less = {l.yes & ~(1u << i), l.no};
		if (literals_are(c, less, set, within)) l = less;
	}
	for (int i = c->n; i-- > 0;) {
		Literals less = {l.yes, l.no & ~(1u << i)};
		if (literals_are(c, less, set, within)) l = less;
	}
	*out = l;
	return true;
}

/* "buy & act & !wish"; flipped, as the negation of all that: "(!buy | !act | wish)". */
static const Formula *write_literals(const Cells *c, Literals l, bool flip)
{
	const Formula *f = NULL;
	for (int pass = 0; pass < 2; pass++)
		for (int k = c->n; k-- > 0;) {
			int i = pass == 0 ? k : c->n - 1 - k;
			if (!((pass == 0 ? l.yes : l.no) >> i & 1)) continue;
			const Formula *g = formula_event(c->e, c->event[i], (Span){0});
			if ((pass == 1) != flip) g = formula_not(c->e, g, (Span){0});
			f = !f	   ? g
			    : flip ? formula_or(c->e, f, g, (Span){0})
				   : formula_and(c->e, f, g, (Span){0});
		}
	return f ? f : flip ? formula_not(c->e, formula_true(), (Span){0}) : formula_true();
}

const Formula *cells_formula(Cells *c, const uint64_t *set, const uint64_t *within)
{
	if (set_within(within, set, c->words)) return formula_true();
	uint64_t *others = arena_new(c->e->arena, uint64_t, c->words);
	set_minus(others, within, set, c->words);
	if (set_equal(others, within, c->words)) return formula_not(c->e, formula_true(), (Span){0});
	Literals l;
	if (conjunction(c, set, within, &l)) return write_literals(c, l, false);
	if (conjunction(c, others, within, &l)) return write_literals(c, l, true);
	/* By cases of the first event that is open. */
	for (int i = 0; i < c->n; i++) {
		uint64_t *yes = arena_new(c->e->arena, uint64_t, c->words);
		uint64_t *no = arena_new(c->e->arena, uint64_t, c->words);
		for (int k = 0; k < c->count; k++)
			if (set_has(within, k)) set_add(c->pattern[k] >> i & 1 ? yes : no, k);
		if (set_empty(yes, c->words) || set_empty(no, c->words)) continue;
		const Formula *e = formula_event(c->e, c->event[i], (Span){0}), *side[2] = {NULL, NULL};
		for (int k = 0; k < 2; k++) {
			const uint64_t *part = k == 0 ? yes : no;
			if (set_disjoint(part, set, c->words)) continue;
			const Formula *f = k == 0 ? e : formula_not(c->e, e, (Span){0});
			side[k] = formula_and(c->e, f, cells_formula(c, set, part), (Span){0});
		}
		return side[0] && side[1] ? formula_or(c->e, side[0], side[1], (Span){0})
		       : side[0]	  ? side[0]
					  : side[1];
	}
	bug("a set of cells without a formula");
}

int joint_cells(const Events *e, int n, const int *event, const Formula *const **cell)
{
	EventSet set = {0};
	for (int i = 0; i < n; i++)
		if (!events_involve(e, formula_event(e, event[i], (Span){0}), &set)) return -1;
	Cells *c = cells_of_set(e, &set);
	/* Ancestors that are not listed are left open. */
	unsigned listed = 0;
	for (int i = 0; i < n; i++) listed |= 1u << cells_bit(c, event[i]);
	const Formula **out = arena_new(e->arena, const Formula *, c->count);
	int count = 0;
	for (int i = 0; i < c->count; i++) {
		bool first = true;
		for (int k = 0; k < i; k++) first &= (c->pattern[k] & listed) != (c->pattern[i] & listed);
		if (!first) continue;
		uint64_t *same = arena_new(e->arena, uint64_t, c->words);
		for (int k = 0; k < c->count; k++)
			if ((c->pattern[k] & listed) == (c->pattern[i] & listed)) set_add(same, k);
		out[count++] = cells_formula(c, same, c->all);
	}
	*cell = out;
	return count;
}

bool formula_implies(const Events *e, const Formula *a, const Formula *b)
{
	Cells *c = cells_new(e, 2, (const Formula *const[]){a, b});
	return c && cells_subset(c, a, b);
}
