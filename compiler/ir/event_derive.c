/*
 * Deriving a probability from the heads (E2).
 *
 * A state is the set S of cells that are still possible.  Where S lies within T the probability of T is 1,
 * where they share nothing it is 0; otherwise a head whose condition is S splits S in two.  What results is a
 * diagram over heads.  A promise of independence lets a head serve below its condition too: where S adds to
 * the condition only what the others of the promise tell.
 */
#include "ir/event_sets.h"
#include "base/diag.h"
#include <string.h>

enum {
	FAILED = -1,
	UNKNOWN = -2,
	MOST_WORDS = (1 << CELL_EVENTS) / 64,
	MOST_STATES = 1 << 13, /* twice what twelve independent events need */
};

typedef struct {
	int head;		    /* in Events */
	bool own;		    /* of the estimate that is asked for */
	const uint64_t *of, *given; /* of: within given */
	unsigned *rest;		    /* by promise: what tells nothing of this head (left_over) */
} Usable;

typedef struct State State;
struct State {
	State *next;
	const uint64_t *set;
	int node;
};

/* One event of a promise. */
typedef struct {
	const uint64_t *event, *given; /* event: within given */
	unsigned rest;		       /* the others of the promise */
	int node;		       /* of P(event | given), UNKNOWN at first */
} Promised;

/* A state where the search ended, kept for the message. */
typedef struct {
	int score; /* 0: none */
	const uint64_t *set;
	int head;   /* one that would split it but has another condition, or -1 */
	int beside; /* one that was decided on the way here, or -1 */
} DeadEnd;

enum { END_NO_START = 1, END_NO_HEAD, END_OVERLAP, END_OVERLAP_ASKED, END_FREE };

typedef struct {
	const Events *e;
	Cells *c;
	int words, n;
	Usable *head; /* [n] */
	const uint64_t *target;
	Diagram *d;
	State *bucket[1024];
	int n_states;
	int n_promised;
	Promised *promised; /* NULL within one */
	const Formula *asked;
	DeadEnd *end;
} Search;

/* ---- independence ---- */

static bool mentions(const Formula *f, int event)
{
	switch (f->kind) {
	case F_TRUE: return false;
	case F_EVENT: return f->event == event;
	case F_NOT: return mentions(f->a, event);
	case F_AND:
	case F_OR: return mentions(f->a, event) || mentions(f->b, event);
	}
	bug("formula %d", (int)f->kind);
}

/* Within `whole`, whether a cell is in `set` is told by the events in `mask` alone. */
static bool told_by(const Cells *c, const uint64_t *set, const uint64_t *whole, unsigned mask)
{
	enum { IN = 1, OUT = 2 };
	unsigned char seen[1 << CELL_EVENTS] = {0};
	for (int i = 0; i < cells_count(c); i++) {
		if (!set_has(whole, i)) continue;
		unsigned char *s = &seen[cells_pattern(c, i) & mask];
		*s |= set_has(set, i) ? IN : OUT;
		if (*s == (IN | OUT)) return false;
	}
	return true;
}

/* NULL when its event is not in play. */
static const uint64_t *promise_condition(const Events *e, Cells *c, const Independent *p)
{
	if (p->given < 0) return cells_all(c);
	return cells_bit(c, p->given) < 0 ? NULL : cells_of(c, formula_event(e, p->given, (Span){0}));
}

/*
 * The events of a promise that are left over when those are taken out that tell `a`, as bits of cells; 0: it
 * says nothing of a.
 */
static unsigned left_over(const Events *e, Cells *c, const Independent *p, const uint64_t *a,
			  const uint64_t *given)
{
	const uint64_t *where = promise_condition(e, c, p);
	if (!where || !set_equal(where, given, cells_words(c))) return 0;
	unsigned all = 0;
	for (int i = 0; i < p->event.n; i++) {
		int bit = cells_bit(c, p->event.at[i]);
		if (bit >= 0) all |= 1u << bit;
	}
	if (!told_by(c, a, given, all)) return 0;
	unsigned of_a = all;
	for (int bit = 0; bit < CELL_EVENTS; bit++)
		if ((of_a >> bit & 1) && told_by(c, a, given, of_a & ~(1u << bit))) of_a &= ~(1u << bit);
	return all & ~of_a;
}

bool sets_independent(const Events *e, Cells *c, const uint64_t *a, const uint64_t *b, const uint64_t *given)
{
	for (int k = 0; k < e->independent.n; k++) {
		unsigned rest = left_over(e, c, &e->independent.at[k], a, given);
		if (rest && told_by(c, b, given, rest)) return true;
	}
	return false;
}

static bool usable_at(const Search *s, const Usable *h, const uint64_t *set)
{
	if (set_equal(h->given, set, s->words)) return true;
	if (!set_within(set, h->given, s->words)) return false;
	for (int k = 0; k < s->e->independent.n; k++)
		if (h->rest[k] && told_by(s->c, set, h->given, h->rest[k])) return true;
	return false;
}

/* ---- the search ---- */

/* One side is all of the target that there is. */
static bool set_settled(const uint64_t *hi, const uint64_t *lo, const uint64_t *target, int words)
{
	return (set_within(hi, target, words) && set_disjoint(lo, target, words)) ||
	       (set_within(lo, target, words) && set_disjoint(hi, target, words));
}

static State *state(Search *s, const uint64_t *set)
{
	uint64_t h = 14695981039346656037u;
	for (int i = 0; i < s->words; i++) h = (h ^ set[i]) * 1099511628211u, h ^= h >> 29;
	State **at = &s->bucket[h % 1024];
	for (; *at; at = &(*at)->next)
		if (set_equal((*at)->set, set, s->words)) return *at;
	*at = arena_new(s->e->arena, State, 1);
	uint64_t *kept = arena_new(s->e->arena, uint64_t, s->words);
	memcpy(kept, set, sizeof *kept * (size_t)s->words);
	(*at)->set = kept;
	(*at)->node = UNKNOWN;
	s->n_states++;
	return *at;
}

/*
 * Which kind of dead end this is: the more it says, the higher.  h is a head that would go on from here but
 * has a wider condition; g one that has been decided on the way.
 */
static void dead_end(Search *s, const uint64_t *set, bool start)
{
	DeadEnd end = {start ? END_NO_START : END_NO_HEAD, set, -1, -1};
	uint64_t *both = arena_new(s->e->arena, uint64_t, s->words);
	for (int i = 0; i < s->n; i++) {
		const Usable *h = &s->head[i];
		set_and(both, h->of, set, s->words);
		if (set_empty(both, s->words) || set_equal(both, set, s->words)) continue;
		if (!set_within(set, h->given, s->words) || set_equal(set, h->given, s->words)) continue;
		for (int k = 0; k < s->n; k++) {
			const Usable *g = &s->head[k];
			if (k == i || !set_within(set, g->given, s->words)) continue;
			if (!set_within(set, g->of, s->words) && !set_disjoint(set, g->of, s->words))
				continue;
			const Formula *f = s->e->head.at[g->head].of;
			bool led = set_equal(g->of, set, s->words); /* S is just what g is about */
			int score = led && set_within(h->of, set, s->words)		 ? END_FREE
				    : f->kind == F_EVENT && mentions(s->asked, f->event) ? END_OVERLAP_ASKED
											 : END_OVERLAP;
			if (score > end.score) end = (DeadEnd){score, set, h->head, g->head};
		}
	}
	if (end.score > s->end->score) *s->end = end;
}

static int solve(Search *s, const uint64_t *set, bool start);

/*
 * A promise also lets a derived probability split a state: with `independent like, buy given click`,
 * P(buy | click) serves below click & like, whatever it is made of.  FAILED where it cannot be derived, or is
 * just one head, which solve has tried.
 */
static int promised(Search *s, Promised *p)
{
	if (p->node != UNKNOWN) return p->node;
	p->node = FAILED;
	DeadEnd unheard = {0};
	Search inner = *s;
	inner.target = p->event;
	inner.promised = NULL;
	inner.end = &unheard;
	inner.n_states = 0;
	memset(inner.bucket, 0, sizeof inner.bucket);
	int root = solve(&inner, p->given, true);
	if (root < 2 || (s->d->node.at[root].hi < 2 && s->d->node.at[root].lo < 2)) return FAILED;
	return p->node = root;
}

static int split_by_promise(Search *s, const uint64_t *set)
{
	for (int i = 0; s->promised && i < s->n_promised; i++) {
		Promised *p = &s->promised[i];
		uint64_t hi[MOST_WORDS], lo[MOST_WORDS];
		set_and(hi, set, p->event, s->words);
		set_minus(lo, set, p->event, s->words);
		if (set_empty(hi, s->words) || set_empty(lo, s->words)) continue;
		if (!set_within(set, p->given, s->words) || promised(s, p) == FAILED) continue;
		if (!told_by(s->c, set, p->given, p->rest)) continue;
		int yes = solve(s, hi, false);
		int no = yes == FAILED ? FAILED : solve(s, lo, false);
		if (no != FAILED) return diagram_grafted(s->e, s->d, p->node, yes, no);
	}
	return FAILED;
}

static int solve(Search *s, const uint64_t *set, bool start)
{
	if (set_disjoint(set, s->target, s->words)) return 0;
	if (set_within(set, s->target, s->words)) return 1;
	State *known = state(s, set);
	if (known->node != UNKNOWN) return known->node;
	known->node = FAILED; /* no state leads back to itself: a split makes it smaller */
	if (s->n_states > MOST_STATES) return FAILED;

	/* Own heads before the main ones; among them first one that settles it at once. */
	bool any = false;
	for (int pass = 0; pass < 4; pass++)
		for (int i = 0; i < s->n; i++) {
			const Usable *h = &s->head[i];
			if (h->own != (pass < 2)) continue;
			uint64_t hi[MOST_WORDS], lo[MOST_WORDS];
			set_and(hi, set, h->of, s->words);
			set_minus(lo, set, h->of, s->words);
			if (set_empty(hi, s->words) || set_empty(lo, s->words)) continue;
			bool settles = set_settled(hi, lo, s->target, s->words);
			if (settles != (pass % 2 == 0) || !usable_at(s, h, set)) continue;
			any = true;
			int yes = solve(s, hi, false);
			if (yes == FAILED) continue;
			int no = solve(s, lo, false);
			if (no == FAILED) continue;
			return known->node = diagram_node(s->e, s->d, h->head, false, yes, no);
		}
	known->node = split_by_promise(s, set);
	if (!any && known->node == FAILED) dead_end(s, known->set, start);
	return known->node;
}

/* ---- which heads and events matter ---- */

/* The events of a question and, through the heads about them, all that their probabilities may rest on. */
static bool reach(const Events *e, const bool *out_of_play, EventSet *set)
{
	for (int before = -1; before != set->n;) {
		before = set->n;
		for (int i = 0; i < e->head.n; i++) {
			const Head *h = &e->head.at[i];
			if (out_of_play[i]) continue;
			bool about = false;
			for (int k = 0; k < set->n; k++) about |= mentions(h->of, set->event[k]);
			if (about && !(events_involve(e, h->of, set) && events_involve(e, h->given, set)))
				return false;
		}
	}
	return true;
}

static const char *prob_words(const Events *e, Str estimate, const Formula *of, const Formula *given)
{
	Text t = {0};
	prob_text(e, estimate, of, given, &t);
	const char *s = arena_strdup(e->arena, t.at);
	text_free(&t);
	return s;
}

static const char *formula_words(const Events *e, const Formula *f)
{
	Text t = {0};
	formula_text(e, f, &t);
	const char *s = arena_strdup(e->arena, t.at);
	text_free(&t);
	return s;
}

static const char *head_words(const Events *e, int head)
{
	const Head *h = &e->head.at[head];
	return prob_words(e, h->estimate, h->of, h->given);
}

/* ---- what to say ---- */

/* The next event that a head should decide where `set` is possible: the topmost that is open and that the
 * target needs. */
static const Formula *next_event(Cells *c, const Events *e, const EventSet *in, const uint64_t *set,
				 const uint64_t *target)
{
	int words = cells_words(c);
	uint64_t *hi = arena_new(e->arena, uint64_t, words), *lo = arena_new(e->arena, uint64_t, words);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < e->event.n; i++) {
			if (!events_in(in, i)) continue;
			const Formula *f = formula_event(e, i, (Span){0});
			set_and(hi, set, cells_of(c, f), words);
			set_minus(lo, set, hi, words);
			if (set_empty(hi, words) || set_empty(lo, words)) continue;
			/* First choice: an event that settles something of the target. */
			bool settles = set_within(hi, target, words) || set_disjoint(hi, target, words) ||
				       set_within(lo, target, words) || set_disjoint(lo, target, words);
			if (settles || pass == 1) return f;
		}
	return NULL;
}

/* One is part of the other, or the same. */
static bool kin(const Events *e, int a, int b)
{
	for (int i = a; i >= 0; i = e->event.at[i].parent)
		if (i == b) return true;
	for (int i = b; i >= 0; i = e->event.at[i].parent)
		if (i == a) return true;
	return false;
}

static void explain(Derived *out, const Events *e, Cells *c, const EventSet *in, const DeadEnd *end,
		    const uint64_t *target)
{
	const Formula *state = cells_formula(c, end->set, cells_all(c));
	if (end->score == END_FREE) {
		const Head *h = &e->head.at[end->head];
		out->why =
		    arena_printf(e->arena, "%s and %s are heads of their own, so their ratio may exceed 1",
				 head_words(e, end->head), head_words(e, end->beside));
		out->where = h->span;
		out->help = arena_printf(
		    e->arena, "make %s the head instead of %s, or name the second one P[direct](...)",
		    prob_words(e, h->estimate, cells_formula(c, cells_of(c, h->of), end->set), state),
		    head_words(e, end->head));
		return;
	}
	if (end->score >= END_OVERLAP) {
		const Head *h = &e->head.at[end->head], *g = &e->head.at[end->beside];
		out->why = arena_printf(e->arena, "how %s and %s go together is not known",
					head_words(e, end->beside), head_words(e, end->head));
		out->where = h->span;
		/* Both must make sense where the promise holds: under the wider of the two conditions. */
		const Formula *wider = cells_subset(c, h->given, g->given) ? g->given : h->given;
		const char *need = prob_words(e, h->estimate, h->of, state);
		if (h->of->kind == F_EVENT && g->of->kind == F_EVENT && !kin(e, h->of->event, g->of->event) &&
		    (wider->kind == F_TRUE || wider->kind == F_EVENT))
			out->help =
			    arena_printf(e->arena, "promise `independent %s, %s%s%s`, or add a head for %s",
					 formula_words(e, g->of), formula_words(e, h->of),
					 wider->kind == F_TRUE ? "" : " given ",
					 wider->kind == F_TRUE ? "" : formula_words(e, wider), need);
		else
			out->help = arena_printf(e->arena, "add a head for %s", need);
		return;
	}
	const Formula *next = next_event(c, e, in, end->set, target);
	const char *missing = next ? prob_words(e, NULL, next, state) : NULL;
	if (!missing) bug("a dead end with nothing open");
	out->why = arena_printf(e->arena, "there is no head for %s", missing);
	out->where = e->event.at[next->event].span;
	out->help = arena_printf(e->arena, "%s = sigmoid(...)", missing);
	/* Of a root with a head under another event, the parent may be what is missing. */
	if (e->event.at[next->event].parent >= 0) return;
	for (int i = 0; i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		if (h->of->kind != F_EVENT || h->of->event != next->event || h->given->kind != F_EVENT)
			continue;
		out->help = arena_printf(e->arena, "%s; or, where it happens only after %s: event %s of %s",
					 out->help, formula_words(e, h->given), formula_words(e, h->of),
					 formula_words(e, h->given));
		return;
	}
}

/* ---- the answer ---- */

static Diagram *constant(const Events *e, int value)
{
	Diagram *d = diagram_new(e);
	d->root = value;
	return d;
}

static void note_promises(Search *s)
{
	const Events *e = s->e;
	int most = 0;
	for (int k = 0; k < e->independent.n; k++) most += e->independent.at[k].event.n;
	s->promised = arena_new(e->arena, Promised, most + 1);
	s->n_promised = 0;
	for (int k = 0; k < e->independent.n; k++) {
		const Independent *p = &e->independent.at[k];
		const uint64_t *given = promise_condition(e, s->c, p);
		for (int i = 0; given && i < p->event.n; i++) {
			if (cells_bit(s->c, p->event.at[i]) < 0) continue;
			uint64_t *event = arena_new(e->arena, uint64_t, s->words);
			set_and(event, given, cells_of(s->c, formula_event(e, p->event.at[i], (Span){0})),
				s->words);
			unsigned rest = left_over(e, s->c, p, event, given);
			if (rest) s->promised[s->n_promised++] = (Promised){event, given, rest, UNKNOWN};
		}
	}
}

static Diagram *search(const Search *common, const uint64_t *from, const uint64_t *target)
{
	Search s = *common;
	s.target = target;
	s.d = diagram_new(s.e);
	note_promises(&s);
	int root = solve(&s, from, true);
	return root == FAILED ? NULL : diagram_kept(s.e, s.d, root);
}

static int set_size(const uint64_t *set, int words)
{
	int n = 0;
	for (int i = 0; i < words; i++) n += __builtin_popcountll(set[i]);
	return n;
}

static bool uses_estimate(const Events *e, const Derived *d, Str estimate)
{
	for (int i = 0; i < e->head.n; i++)
		if (e->head.at[i].estimate == estimate && derived_uses(d, i)) return true;
	return false;
}

Derived derive_without(const Events *e, Str estimate, const Formula *of, const Formula *given,
		       const bool *without)
{
	Derived out = {0};
	bool *out_of_play = arena_new(e->arena, bool, e->head.n + 1), known = estimate == NULL;
	for (int i = 0; i < e->head.n; i++) {
		Str est = e->head.at[i].estimate;
		out_of_play[i] = (without && without[i]) || (est && est != estimate);
		known |= est == estimate;
	}
	if (!known) {
		out.why = arena_printf(e->arena, "no head is called P[%s]", estimate);
		return out;
	}
	EventSet asked = {0};
	if (!events_involve(e, of, &asked) || !events_involve(e, given, &asked)) {
		out.why = arena_printf(e->arena, "it involves more than %d events", (int)CELL_EVENTS);
		out.help = "name fewer events in one P( )";
		return out;
	}
	/* What the question's own events cannot hold of all that it may rest on, it must do without. */
	EventSet in = asked;
	if (!reach(e, out_of_play, &in)) in = asked;

	Cells *c = cells_of_set(e, &in);
	int words = cells_words(c);
	DeadEnd end = {0};
	Search s = {.e = e,
		    .c = c,
		    .words = words,
		    .asked = of,
		    .end = &end,
		    .head = arena_new(e->arena, Usable, e->head.n + 1)};
	for (int i = 0; i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		EventSet all = in;
		if (out_of_play[i] || !events_involve(e, h->of, &all) || !events_involve(e, h->given, &all))
			continue;
		if (all.n != in.n) continue;
		uint64_t *inside = arena_new(e->arena, uint64_t, words);
		const uint64_t *condition = cells_of(c, h->given);
		set_and(inside, cells_of(c, h->of), condition, words);
		unsigned *rest = arena_new(e->arena, unsigned, e->independent.n + 1);
		for (int k = 0; k < e->independent.n; k++)
			rest[k] = left_over(e, c, &e->independent.at[k], inside, condition);
		s.head[s.n++] = (Usable){i, estimate && h->estimate == estimate, inside, condition, rest};
	}

	const uint64_t *condition = cells_of(c, given);
	uint64_t *yes = arena_new(e->arena, uint64_t, words), *no = arena_new(e->arena, uint64_t, words);
	set_and(yes, condition, cells_of(c, of), words);
	set_minus(no, condition, yes, words);
	if (set_empty(condition, words)) {
		out.why = arena_printf(e->arena, "its condition `%s` cannot happen", formula_words(e, given));
		return out;
	}
	if (set_empty(yes, words) || set_empty(no, words)) {
		out.of = constant(e, set_empty(no, words));
		out.ok = true;
		return out;
	}
	out.of = search(&s, condition, yes);

	/* Not reached by the tree: the two parts of it within something that is, the smaller the better. */
	bool *tried = arena_new(e->arena, bool, s.n + 1);
	for (; !out.of && !set_equal(condition, cells_all(c), words);) {
		int best = -1, size = 0;
		for (int i = 0; i < s.n; i++) {
			if (tried[i] || !set_within(condition, s.head[i].given, words)) continue;
			if (set_equal(condition, s.head[i].given, words)) continue;
			int k = set_size(s.head[i].given, words);
			if (best < 0 || k < size) best = i, size = k;
		}
		if (best < 0) break;
		const uint64_t *within = s.head[best].given;
		for (int i = 0; i < s.n; i++) tried[i] |= set_equal(s.head[i].given, within, words);
		out.yes = search(&s, within, yes);
		out.no = out.yes ? search(&s, within, no) : NULL;
		if (out.no) break;
		out.yes = NULL;
	}
	out.ok = out.of || out.no;
	if (out.ok && estimate && !uses_estimate(e, &out, estimate)) {
		out = (Derived){.why = arena_printf(e->arena, "no head of P[%s] leads to it", estimate)};
		return out;
	}
	if (out.ok) return out;
	if (end.score == 0) {
		out.why = "the search for a way through so many independent events was given up";
		return out;
	}
	explain(&out, e, c, &in, &end, yes);
	return out;
}

Derived derive(const Events *e, Str estimate, const Formula *of, const Formula *given)
{
	return derive_without(e, estimate, of, given, NULL);
}
