/*
 * Proving probability expressions (E1): each part has a type P(E | C), two sets of cells, and every rule is a
 * question about sets.  What an expression denotes decides how it is computed; how it was written matters
 * only where a part of it is stopped or estimates are mixed.
 */
#include "front/prob.h"
#include "ir/event_sets.h"
#include <string.h>

typedef enum { BY_HEAD, BY_NOT, BY_CHAIN, BY_PROMISE, BY_SUM, BY_RATIO, BY_STOP } Rule;

typedef struct Proof Proof;
struct Proof {
	Rule rule;
	const Prob *px;
	const uint64_t *of, *given; /* of: within given */
	const Proof *a, *b;	    /* BY_CHAIN: a comes first */
};

typedef struct {
	const Events *e;
	Diag *d;
	Cells *c;
	int words;
} Prover;

static int leaves(const Prob *px)
{
	return !px ? 0 : px->kind == PX_EVENT ? 1 : leaves(px->a) + leaves(px->b);
}

static int proof_leaves(const Proof *f)
{
	return !f ? 0 : f->rule == BY_HEAD ? 1 : proof_leaves(f->a) + proof_leaves(f->b);
}

/* ---- words ---- */

static void px_words(const Events *e, const Prob *p, bool factor, Text *out)
{
	bool paren = factor && (p->kind == PX_ADD || p->kind == PX_NOT || p->kind == PX_DIV);
	if (paren) text_char(out, '(');
	switch (p->kind) {
	case PX_EVENT: prob_text(e, p->estimate, p->of, p->given, out); break;
	case PX_NOT:
		text_add(out, "1 - ");
		px_words(e, p->a, true, out);
		break;
	case PX_MUL:
	case PX_DIV:
		px_words(e, p->a, true, out);
		text_add(out, p->kind == PX_MUL ? " * " : " / ");
		px_words(e, p->b, true, out);
		break;
	case PX_ADD:
		px_words(e, p->a, false, out);
		text_add(out, " + ");
		px_words(e, p->b, false, out);
		break;
	case PX_STOP:
		text_add(out, "stop(");
		px_words(e, p->a, false, out);
		text_char(out, ')');
		break;
	}
	if (paren) text_char(out, ')');
}

static const char *kept(const Events *e, Text *t)
{
	const char *s = arena_strdup(e->arena, t->at);
	text_free(t);
	return s;
}

static const char *written(const Events *e, const Prob *p)
{
	Text t = {0};
	px_words(e, p, false, &t);
	return kept(e, &t);
}

/* Part of a product that was joined so far is in nobody's words but ours. */
static void proof_words(const Events *e, const Proof *f, bool factor, Text *out)
{
	if ((f->rule == BY_CHAIN || f->rule == BY_PROMISE) && proof_leaves(f) < leaves(f->px)) {
		proof_words(e, f->a, true, out);
		text_add(out, " * ");
		proof_words(e, f->b, true, out);
	} else {
		px_words(e, f->px, factor, out);
	}
}

static const char *told_as(const Events *e, const Proof *f)
{
	Text t = {0};
	proof_words(e, f, false, &t);
	return kept(e, &t);
}

/* In parentheses where it must be before * goes on. */
static const char *as_factor(const Events *e, const Proof *f)
{
	Text t = {0};
	proof_words(e, f, true, &t);
	return kept(e, &t);
}

static const char *formula_words(const Events *e, const Formula *f)
{
	Text t = {0};
	formula_text(e, f, &t);
	return kept(e, &t);
}

static const char *prob_words(const Events *e, Str estimate, const Formula *of, const Formula *given)
{
	Text t = {0};
	prob_text(e, estimate, of, given, &t);
	return kept(e, &t);
}

static const char *set_words(Prover *p, const uint64_t *set)
{
	if (set_equal(set, cells_all(p->c), p->words)) return "nothing";
	return formula_words(p->e, cells_formula(p->c, set, cells_all(p->c)));
}

static const char *type_words(Prover *p, const uint64_t *of, const uint64_t *given)
{
	return prob_words(p->e, NULL, cells_formula(p->c, of, given),
			  cells_formula(p->c, given, cells_all(p->c)));
}

/* P(set | given) as the weight of a branch: "1 - P(act | click)" rather than "P(!act | click)". */
static const char *weight_words(Prover *p, const uint64_t *set, const uint64_t *given, bool factor)
{
	const Formula *f = cells_formula(p->c, set, given), *g = cells_formula(p->c, given, cells_all(p->c));
	if (f->kind != F_NOT) return prob_words(p->e, NULL, f, g);
	return arena_printf(p->e->arena, factor ? "(1 - %s)" : "1 - %s", prob_words(p->e, NULL, f->a, g));
}

static int an_event(const Formula *f)
{
	switch (f->kind) {
	case F_TRUE: return -1;
	case F_EVENT: return f->event;
	case F_NOT: return an_event(f->a);
	case F_AND:
	case F_OR: {
		int a = an_event(f->a);
		return a >= 0 ? a : an_event(f->b);
	}
	}
	bug("formula %d", (int)f->kind);
}

/* The second place of a message: where an event was declared, and of what it is part. */
static void note_event(const Events *e, Diag *d, int event)
{
	if (event < 0) return;
	const Event *ev = &e->event.at[event];
	if (ev->parent < 0)
		diag_note(d, ev->span, "'%s' is declared here", ev->name);
	else
		diag_note(d, ev->span, "'%s' is declared here, as part of '%s'", ev->name,
			  e->event.at[ev->parent].name);
}

static void note_set(Prover *p, const uint64_t *set, const uint64_t *within)
{
	note_event(p->e, p->d, an_event(cells_formula(p->c, set, within)));
}

/* ---- rules ---- */

static uint64_t *new_set(const Prover *p) { return arena_new(p->e->arena, uint64_t, p->words); }

static const Proof *proof(const Prover *p, Proof f)
{
	Proof *at = arena_new(p->e->arena, Proof, 1);
	*at = f;
	return at;
}

static const Proof *prove(Prover *p, const Prob *px, const Prob *beside);

static const Proof *prove_event(Prover *p, const Prob *px)
{
	const uint64_t *given = cells_of(p->c, px->given);
	if (set_empty(given, p->words)) {
		diag_error(p->d, px->span, "M0416", "the condition of %s cannot happen", written(p->e, px));
		note_event(p->e, p->d, an_event(px->given));
		return NULL;
	}
	uint64_t *of = new_set(p);
	set_and(of, cells_of(p->c, px->of), given, p->words);
	return proof(p, (Proof){.rule = BY_HEAD, .px = px, .of = of, .given = given});
}

/* x * y in either order, or NULL. */
static const Proof *chain(Prover *p, const Prob *px, const Proof *x, const Proof *y)
{
	if (set_equal(y->given, x->of, p->words))
		return proof(p, (Proof){BY_CHAIN, px, y->of, x->given, x, y});
	if (set_equal(x->given, y->of, p->words))
		return proof(p, (Proof){BY_CHAIN, px, x->of, y->given, y, x});
	return NULL;
}

/*
 * x * y where y's condition is wider than what x gives, but a promise says that what x adds tells nothing of
 * y: with like and share independent given click, P(share) * P(like | click) is P(share & like).
 */
static const Proof *after_promise(Prover *p, const Prob *px, const Proof *x, const Proof *y)
{
	if (!set_within(x->of, y->given, p->words)) return NULL;
	if (!sets_independent(p->e, p->c, y->of, x->of, y->given)) return NULL;
	uint64_t *both = new_set(p);
	set_and(both, x->of, y->of, p->words);
	return proof(p, (Proof){BY_PROMISE, px, both, x->given, x, y});
}

static const Proof *by_promise(Prover *p, const Prob *px, const Proof *x, const Proof *y)
{
	const Proof *f = after_promise(p, px, x, y);
	return f ? f : after_promise(p, px, y, x);
}

static void refuse_product(Prover *p, const Prob *px, const Proof *x, const Proof *y, bool in_sum)
{
	const Events *e = p->e;
	if (set_equal(x->given, y->given, p->words)) {
		uint64_t *both = new_set(p);
		set_and(both, x->of, y->of, p->words);
		diag_error(p->d, px->span, "M0413",
			   "nothing says that %s and %s are independent, so their product is no probability "
			   "of anything",
			   told_as(e, x), told_as(e, y));
		note_set(p, y->of, y->given);
		if (set_equal(x->of, y->of, p->words))
			diag_help(p->d, "one of them is enough: %s", told_as(e, x));
		else if (set_within(y->of, x->of, p->words))
			diag_help(p->d, "%s * %s", as_factor(e, x), type_words(p, y->of, x->of));
		else if (set_within(x->of, y->of, p->words))
			diag_help(p->d, "%s * %s", as_factor(e, y), type_words(p, x->of, y->of));
		else if (set_empty(both, p->words))
			diag_help(p->d, "they exclude each other: both together never happen");
		else {
			const Formula *f = cells_formula(p->c, x->of, x->given),
				      *g = cells_formula(p->c, y->of, y->given);
			const Formula *c = cells_formula(p->c, x->given, cells_all(p->c));
			int a = an_event(f), b = an_event(g);
			if (f->kind == F_NOT) f = f->a;
			if (g->kind == F_NOT) g = g->a;
			if (f->kind == F_EVENT && g->kind == F_EVENT &&
			    (c->kind == F_TRUE || c->kind == F_EVENT) && a != b)
				diag_help(p->d, "if they are, promise it: independent %s, %s%s%s",
					  e->event.at[a].name, e->event.at[b].name,
					  c->kind == F_EVENT ? " given " : "",
					  c->kind == F_EVENT ? e->event.at[c->event].name : "");
			diag_help(p->d, "or chain them: %s * %s", as_factor(e, x),
				  type_words(p, both, x->of));
		}
		return;
	}
	/* The one with the wider condition comes first. */
	if (set_within(x->given, y->given, p->words)) {
		const Proof *t = x;
		x = y;
		y = t;
	}
	bool inside = set_within(y->given, x->given, p->words);
	if (in_sum && inside) {
		diag_error(p->d, px->span, "M0414",
			   "the branches of a mixture need the weights w and 1 - w of one probability: %s is "
			   "weighted by %s",
			   told_as(e, y), told_as(e, x));
		note_set(p, y->given, x->given);
		diag_help(p->d, "its condition, %s, has the weight %s", set_words(p, y->given),
			  weight_words(p, y->given, x->given, false));
		return;
	}
	diag_error(p->d, px->span, "M0412", "%s cannot follow %s: its condition is %s, not %s", told_as(e, y),
		   told_as(e, x), set_words(p, y->given), set_words(p, x->of));
	note_set(p, y->given, cells_all(p->c));
	uint64_t *rest = new_set(p), *both = new_set(p);
	set_minus(rest, x->given, x->of, p->words);
	set_and(both, y->of, x->of, p->words);
	if (set_equal(y->given, rest, p->words))
		diag_help(p->d, "%s * %s", weight_words(p, rest, x->given, true), as_factor(e, y));
	else if (set_within(y->given, x->of, p->words))
		diag_help(p->d, "%s * %s * %s", as_factor(e, x), type_words(p, y->given, x->of),
			  as_factor(e, y));
	else if (set_within(x->of, y->given, p->words) && !set_empty(both, p->words))
		diag_help(p->d, "%s * %s", as_factor(e, x), type_words(p, both, x->of));
}

static int flatten(const Prob *px, ProbKind kind, const Prob **at, int n, int most)
{
	if (px->kind != kind) {
		if (n < most) at[n] = px;
		return n + 1;
	}
	return flatten(px->b, kind, at, flatten(px->a, kind, at, n, most), most);
}

enum { MOST_TERMS = 64 };

static bool prove_all(Prover *p, const Prob *px, const Prob **term, const Proof **out, int n)
{
	if (n > MOST_TERMS) {
		diag_error(p->d, px->span, "M0417", "more than %d terms in one expression", (int)MOST_TERMS);
		return false;
	}
	bool ok = true;
	for (int i = 0; i < n; i++) {
		const Prob *beside = px->kind != PX_ADD ? NULL : term[i > 0 ? i - 1 : 1];
		out[i] = prove(p, term[i], beside);
		ok &= out[i] != NULL;
	}
	return ok;
}

/* Factors in any order: whatever pair fits is joined, chains before promises. */
static const Proof *prove_product(Prover *p, const Prob *px, const Prob *beside)
{
	const Prob *term[MOST_TERMS];
	const Proof *f[MOST_TERMS];
	int n = flatten(px, PX_MUL, term, 0, MOST_TERMS);
	if (!prove_all(p, px, term, f, n)) return NULL;
	while (n > 1) {
		const Proof *joined = NULL;
		for (int pass = 0; pass < 2 && !joined; pass++)
			for (int i = 0; i < n && !joined; i++)
				for (int k = i + 1; k < n && !joined; k++) {
					joined = pass == 0 ? chain(p, px, f[i], f[k])
							   : by_promise(p, px, f[i], f[k]);
					if (!joined) continue;
					f[i] = joined;
					memmove(&f[k], &f[k + 1], sizeof f[0] * (size_t)(n - k - 1));
				}
		if (!joined) {
			refuse_product(p, px, f[0], f[1], beside && beside->kind == PX_MUL);
			return NULL;
		}
		n--;
	}
	return f[0];
}

static const Proof *prove_sum(Prover *p, const Prob *px)
{
	const Prob *term[MOST_TERMS];
	const Proof *f[MOST_TERMS];
	int n = flatten(px, PX_ADD, term, 0, MOST_TERMS);
	if (!prove_all(p, px, term, f, n)) return NULL;
	const Proof *sum = f[0];
	for (int i = 1; i < n; i++) {
		if (!set_equal(f[0]->given, f[i]->given, p->words)) {
			diag_error(
			    p->d, px->span, "M0411",
			    "a sum of probabilities under different conditions: %s is given %s, %s given %s",
			    written(p->e, f[0]->px), set_words(p, f[0]->given), written(p->e, f[i]->px),
			    set_words(p, f[i]->given));
			note_set(p, f[i]->given, cells_all(p->c));
			if (set_within(f[i]->given, f[0]->given, p->words))
				diag_help(p->d, "weight it by its condition: %s * %s",
					  weight_words(p, f[i]->given, f[0]->given, true),
					  as_factor(p->e, f[i]));
			return NULL;
		}
		for (int k = 0; k < i; k++) {
			if (set_disjoint(f[k]->of, f[i]->of, p->words)) continue;
			diag_error(p->d, px->span, "M0410",
				   "%s and %s are not exclusive: both may happen, so their sum counts some "
				   "rows twice",
				   written(p->e, f[k]->px), written(p->e, f[i]->px));
			note_set(p, f[i]->of, f[i]->given);
			uint64_t *either = new_set(p), *only = new_set(p);
			set_or(either, f[k]->of, f[i]->of, p->words);
			set_minus(only, f[i]->of, f[k]->of, p->words);
			diag_help(p->d, "one or the other: %s", type_words(p, either, f[i]->given));
			if (!set_empty(only, p->words) && !set_within(f[k]->of, f[i]->of, p->words))
				diag_help(p->d, "or add what the first leaves: %s",
					  type_words(p, only, f[i]->given));
			return NULL;
		}
		uint64_t *of = new_set(p);
		set_or(of, sum->of, f[i]->of, p->words);
		sum = proof(p, (Proof){BY_SUM, px, of, sum->given, sum, f[i]});
	}
	return sum;
}

static const Proof *prove_ratio(Prover *p, const Prob *px)
{
	const Proof *x = prove(p, px->a, NULL), *y = prove(p, px->b, NULL);
	if (!x || !y) return NULL;
	const char *xs = written(p->e, x->px), *ys = written(p->e, y->px);
	if (set_empty(y->of, p->words)) {
		diag_error(p->d, px->span, "M0415", "division by %s, which is 0", ys);
		return NULL;
	}
	if (!set_equal(x->given, y->given, p->words)) {
		diag_error(p->d, px->span, "M0415",
			   "%s divided by %s: their conditions differ, so the ratio is no probability", xs,
			   ys);
		note_set(p, y->given, cells_all(p->c));
		return NULL;
	}
	if (!set_within(x->of, y->of, p->words)) {
		diag_error(p->d, px->span, "M0415", "%s divided by %s may exceed 1: %s does not imply %s", xs,
			   ys, formula_words(p->e, cells_formula(p->c, x->of, x->given)),
			   formula_words(p->e, cells_formula(p->c, y->of, y->given)));
		note_set(p, y->of, y->given);
		uint64_t *both = new_set(p);
		set_and(both, x->of, y->of, p->words);
		if (set_within(y->of, x->of, p->words))
			diag_help(p->d, "the other way round, %s / %s is %s", as_factor(p->e, y),
				  as_factor(p->e, x), type_words(p, y->of, x->of));
		else if (!set_empty(both, p->words))
			diag_help(p->d, "%s / %s is %s", type_words(p, both, x->given), as_factor(p->e, y),
				  type_words(p, both, y->of));
		return NULL;
	}
	return proof(p, (Proof){BY_RATIO, px, x->of, y->of, x, y});
}

static const Proof *prove(Prover *p, const Prob *px, const Prob *beside)
{
	switch (px->kind) {
	case PX_EVENT: return prove_event(p, px);
	case PX_MUL: return prove_product(p, px, beside);
	case PX_ADD: return prove_sum(p, px);
	case PX_DIV: return prove_ratio(p, px);
	case PX_STOP: {
		const Proof *a = prove(p, px->a, beside);
		return a ? proof(p, (Proof){BY_STOP, px, a->of, a->given, a, NULL}) : NULL;
	}
	case PX_NOT: {
		const Proof *a = prove(p, px->a, NULL);
		if (!a) return NULL;
		uint64_t *rest = new_set(p);
		set_minus(rest, a->given, a->of, p->words);
		return proof(p, (Proof){BY_NOT, px, rest, a->given, a, NULL});
	}
	}
	bug("probability %d", (int)px->kind);
}

/* ---- from a proof to a diagram ---- */

static bool has_stop(const Proof *f) { return f && (f->rule == BY_STOP || has_stop(f->a) || has_stop(f->b)); }

static bool has_ratio(const Proof *f)
{
	return f && (f->rule == BY_RATIO || has_ratio(f->a) || has_ratio(f->b));
}

/* Whether all of it is of one estimate, and which. */
static bool one_estimate(const Proof *f, bool *any, Str *estimate)
{
	if (!f) return true;
	if (f->rule == BY_HEAD) {
		if (*any && *estimate != f->px->estimate) return false;
		*any = true;
		*estimate = f->px->estimate;
	}
	return one_estimate(f->a, any, estimate) && one_estimate(f->b, any, estimate);
}

static Derived derive_sets(Prover *p, Str estimate, const uint64_t *of, const uint64_t *given)
{
	return derive(p->e, estimate, cells_formula(p->c, of, given),
		      cells_formula(p->c, given, cells_all(p->c)));
}

/* What each head is used as.  false: a part cannot be derived by itself. */
static bool leaf_heads(Prover *p, const Proof *f, bool stop, bool *stopped, bool *moving)
{
	if (!f) return true;
	if (f->rule == BY_HEAD) {
		Derived d = derive_sets(p, f->px->estimate, f->of, f->given);
		for (int i = 0; d.ok && i < p->e->head.n; i++)
			if (derived_uses(&d, i)) *(stop ? &stopped[i] : &moving[i]) = true;
		return d.ok;
	}
	stop |= f->rule == BY_STOP;
	bool ok = leaf_heads(p, f->a, stop, stopped, moving);
	return leaf_heads(p, f->b, stop, stopped, moving) && ok;
}

enum { NONE = -1 };

typedef struct {
	Prover *p;
	Diagram *d;
	int left; /* steps that an addition may still take */
} Compiled;

/*
 * a + b, as a diagram whose value is that sum for any values of the heads, which is so when every sum of
 * constants in it is 0 or 1. NONE where there is none: stop(w) a + (1 - w) b is above 1 for some w of its own
 * beside stop(w).
 */
static int added(Compiled *c, int a, int b)
{
	if (a == 0) return b;
	if (b == 0) return a;
	if ((a == 1 && b == 1) || c->left-- <= 0) return NONE;
	for (int pass = 0; pass < 2; pass++) {
		int x = pass ? b : a, y = pass ? a : b;
		if (x < 2) continue;
		DiagramNode n = c->d->node.at[x];
		int hi = y, lo = y;
		if (y >= 2 && c->d->node.at[y].test == n.test && c->d->node.at[y].stop == n.stop) {
			hi = c->d->node.at[y].hi;
			lo = c->d->node.at[y].lo;
		}
		int yes = added(c, n.hi, hi);
		int no = yes == NONE ? NONE : added(c, n.lo, lo);
		if (no != NONE) return diagram_node(c->p->e, c->d, n.test, n.stop, yes, no);
	}
	return NONE;
}

static int compiled(Compiled *c, const Proof *f, bool stop)
{
	bool any = false;
	Str estimate = NULL;
	if (!has_stop(f) && one_estimate(f, &any, &estimate)) {
		Derived d = derive_sets(c->p, estimate, f->of, f->given);
		if (d.ok && d.of) return diagram_copied(c->p->e, c->d, d.of, stop);
	}
	if (f->rule == BY_HEAD || f->rule == BY_RATIO) return NONE;
	int a = compiled(c, f->a, stop || f->rule == BY_STOP);
	int b = f->b ? compiled(c, f->b, stop) : 0;
	if (a == NONE || b == NONE) return NONE;
	switch (f->rule) {
	case BY_STOP: return a;
	case BY_NOT: return diagram_grafted(c->p->e, c->d, a, 0, 1);
	case BY_CHAIN:
	case BY_PROMISE: return diagram_grafted(c->p->e, c->d, a, b, 0);
	case BY_SUM: return added(c, a, b);
	default: bug("rule %d", (int)f->rule);
	}
}

static bool as_written(Prover *p, const Proof *f, Derived *out)
{
	Compiled c = {p, diagram_new(p->e), 10000};
	int root = compiled(&c, f, false);
	if (root == NONE) return false;
	*out = (Derived){.ok = true, .of = diagram_kept(p->e, c.d, root)};
	return true;
}

static void mark_stops(Diagram *d, const bool *stopped)
{
	for (int i = 2; d && i < d->node.n; i++) d->node.at[i].stop = stopped[d->node.at[i].test];
}

static void refuse_derivation(const Events *e, Diag *d, Span at, const char *what, const Derived *no)
{
	if (no->help && diag_helped(d, "M0420", no->help)) return;
	diag_error(d, at, "M0420", "%s cannot be derived from the heads: %s", what, no->why);
	for (int i = 0; i < e->event.n && no->where.hi; i++)
		if (e->event.at[i].span.lo == no->where.lo) note_event(e, d, i);
	for (int i = 0; i < e->head.n && no->where.hi; i++)
		if (e->head.at[i].span.lo == no->where.lo) diag_note(d, no->where, "this head");
	if (no->help) diag_help(d, "%s", no->help);
}

/* The first part that has no derivation of its own is told; false when all have. */
static bool tell_leaf(Prover *p, const Proof *f)
{
	if (!f) return false;
	if (f->rule != BY_HEAD) return tell_leaf(p, f->a) || tell_leaf(p, f->b);
	Derived d = derive_sets(p, f->px->estimate, f->of, f->given);
	if (!d.ok) refuse_derivation(p->e, p->d, f->px->span, written(p->e, f->px), &d);
	return !d.ok;
}

static bool lower(Prover *p, const Prob *px, const Proof *f, ProbType *out)
{
	const Events *e = p->e;
	bool any = false, stops = has_stop(f), mixed = !one_estimate(f, &any, &out->estimate);
	const char *what = prob_words(e, mixed ? NULL : out->estimate, out->of, out->given);
	if (mixed) {
		if (as_written(p, f, &out->derived)) return true;
		if (tell_leaf(p, f)) return false;
		diag_error(p->d, px->span, "M0419",
			   "%s mixes estimates of one probability in a way that may exceed 1",
			   written(e, px));
		diag_help(p->d, "use the same estimate in all terms of a sum or a ratio");
		return false;
	}
	Derived whole = derive(e, out->estimate, out->of, out->given);
	if (!stops) {
		if (!whole.ok && !as_written(p, f, &whole)) {
			refuse_derivation(e, p->d, px->span, px->kind == PX_EVENT ? what : written(e, px),
					  &whole);
			return false;
		}
		out->derived = whole;
		return true;
	}
	bool *stopped = arena_new(e->arena, bool, e->head.n + 1),
	     *moving = arena_new(e->arena, bool, e->head.n + 1);
	bool clear = leaf_heads(p, f, false, stopped, moving) && whole.ok;
	int both = -1;
	for (int i = 0; i < e->head.n; i++)
		if (stopped[i] && moving[i]) both = both < 0 ? i : both;
	if (clear && both < 0) {
		mark_stops(whole.of, stopped);
		mark_stops(whole.yes, stopped);
		mark_stops(whole.no, stopped);
		out->derived = whole;
		return true;
	}
	if (as_written(p, f, &out->derived)) return true;
	if (!whole.ok) {
		refuse_derivation(e, p->d, px->span, what, &whole);
		return false;
	}
	if (tell_leaf(p, f)) return false;
	const Head *h = &e->head.at[both < 0 ? 0 : both];
	diag_error(p->d, px->span, "M0418", "stop holds %s back in one place of this and not in another",
		   prob_words(e, h->estimate, h->of, h->given));
	diag_note(p->d, h->span, "this head");
	diag_help(p->d, "stop all of its uses here, or none");
	return false;
}

/* ---- the whole ---- */

static void involve(const Prob *px, const Formula **f, int *n)
{
	if (!px) return;
	if (px->kind == PX_EVENT) {
		f[(*n)++] = px->of;
		f[(*n)++] = px->given;
	}
	involve(px->a, f, n);
	involve(px->b, f, n);
}

static const Prob *bare(const Prob *px)
{
	while (px->kind == PX_STOP) px = px->a;
	return px;
}

/* How to call what was proven: as a head does, else as the author did, else as short as we can. */
static void name_type(Prover *p, const Prob *px, const Proof *f, ProbType *out)
{
	const Events *e = p->e;
	px = bare(px);
	bool always = set_equal(f->given, cells_all(p->c), p->words);
	out->of = px->kind == PX_EVENT ? px->of : cells_formula(p->c, f->of, f->given);
	out->given = always		    ? formula_true()
		     : px->kind == PX_EVENT ? px->given
					    : cells_formula(p->c, f->given, cells_all(p->c));
	for (int i = 0; i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		const Formula *four[] = {h->of, h->given, out->of, out->given};
		Cells *c = cells_new(e, 4, four);
		if (!c || cells_empty(c, h->given) || !cells_equal(c, h->given, out->given)) continue;
		const Formula *hf = formula_and(e, h->of, h->given, (Span){0});
		if (!cells_equal(c, hf, formula_and(e, out->of, out->given, (Span){0}))) continue;
		out->of = h->of;
		out->given = always ? formula_true() : h->given;
		return;
	}
}

bool prob_check(const Events *e, const Prob *px, Diag *d, ProbType *out)
{
	*out = (ProbType){0};
	int n = 0;
	const Formula **f = arena_new(e->arena, const Formula *, 2 * leaves(px) + 1);
	involve(px, f, &n);
	Prover p = {.e = e, .d = d, .c = cells_new(e, n, f)};
	if (!p.c) {
		diag_error(d, px->span, "M0417", "more than %d events in one expression", (int)CELL_EVENTS);
		diag_help(d, "name fewer events, or give what they have in common an event of its own");
		return false;
	}
	p.words = cells_words(p.c);
	const Proof *proven = prove(&p, px, NULL);
	if (!proven) return false;
	name_type(&p, px, proven, out);
	out->read_only = has_ratio(proven);
	if (set_empty(proven->of, p.words)) {
		diag_error(d, px->span, "M0416", "%s is always 0: it cannot happen", written(e, px));
		note_event(e, d, an_event(bare(px)->kind == PX_EVENT ? bare(px)->of : out->of));
		return false;
	}
	if (set_equal(proven->of, proven->given, p.words)) {
		diag_warn(d, px->span, "M0421", "%s is always 1, whatever the heads say", written(e, px));
		note_event(e, d, an_event(out->given));
	}
	return lower(&p, px, proven, out);
}

/* ---- heads ---- */

static const char *head_words(const Events *e, const Head *h)
{
	return prob_words(e, h->estimate, h->of, h->given);
}

static bool fits(const Events *e, const Head *h, int before, const bool *broken, Diag *d)
{
	const char *what = head_words(e, h);
	const Formula *own[] = {h->of, h->given};
	Cells *c = cells_new(e, 2, own);
	if (!c) {
		diag_error(d, h->span, "M0417", "%s involves more than %d events", what, (int)CELL_EVENTS);
		return false;
	}
	if (cells_empty(c, h->given)) {
		diag_error(d, h->span, "M0430", "the condition of %s cannot happen", what);
		note_event(e, d, an_event(h->given));
		return false;
	}
	if (cells_disjoint(c, h->of, h->given)) {
		diag_error(d, h->span, "M0430", "%s is always 0: there is nothing to learn", what);
		note_event(e, d, an_event(h->of));
		return false;
	}
	if (cells_subset(c, h->given, h->of)) {
		const char *of = formula_words(e, h->of), *given = formula_words(e, h->given);
		diag_error(d, h->span, "M0431", "%s is always 1: %s happens only where %s does", what, given,
			   of);
		note_event(e, d, an_event(h->given));
		if (h->given->kind != F_TRUE && !cells_equal(c, h->of, h->given))
			diag_help(d, "did you mean %s?", prob_words(e, h->estimate, h->given, h->of));
		return false;
	}
	for (int i = 0; i < before; i++) {
		const Head *g = &e->head.at[i];
		if (g->estimate != h->estimate || (broken && broken[i])) continue;
		const Formula *four[] = {h->of, h->given, g->of, g->given};
		c = cells_new(e, 4, four);
		if (!c || !cells_equal(c, h->given, g->given)) continue;
		const Formula *hf = formula_and(e, h->of, h->given, (Span){0});
		const Formula *gf = formula_and(e, g->of, g->given, (Span){0});
		const Formula *rest = formula_and(e, formula_not(e, g->of, (Span){0}), g->given, (Span){0});
		bool same = cells_equal(c, hf, gf);
		if (!same && !cells_equal(c, hf, rest)) continue;
		if (same)
			diag_error(d, h->span, "M0432", "two heads for %s", what);
		else
			diag_error(d, h->span, "M0432", "a head for %s is one for %s too", what,
				   head_words(e, g));
		diag_note(d, g->span, same ? "the first is here" : "which has one here");
		if (!h->estimate) diag_help(d, "give the second a name: P[second](%s", head_words(e, h) + 2);
		return false;
	}
	return true;
}

bool head_check(const Events *e, const Head *h, Diag *d) { return fits(e, h, e->head.n, NULL, d); }

bool heads_check(const Events *e, Diag *d)
{
	bool *broken = arena_new(e->arena, bool, e->head.n + 1), ok = true;
	for (int i = 0; i < e->head.n; i++) {
		broken[i] = !fits(e, &e->head.at[i], i, broken, d);
		ok &= !broken[i];
	}
	/* The later one is the one too many. */
	for (int i = e->head.n; i-- > 0;) {
		if (broken[i]) continue;
		const Head *h = &e->head.at[i];
		bool *without = arena_new(e->arena, bool, e->head.n);
		for (int k = 0; k < e->head.n; k++)
			without[k] = broken[k] || k == i || e->head.at[k].estimate != h->estimate;
		Derived other = derive_without(e, h->estimate, h->of, h->given, without);
		if (!other.ok) continue;
		broken[i] = true;
		ok = false;
		const char *what = head_words(e, h);
		Text t = {0};
		derived_text(e, &other, &t);
		diag_error(d, h->span, "M0433", "%s follows from other heads already, as %s", what, t.at);
		text_free(&t);
		for (int k = 0; k < e->head.n; k++)
			if (derived_uses(&other, k))
				diag_note(d, e->head.at[k].span, "from %s", head_words(e, &e->head.at[k]));
		if (h->estimate)
			diag_help(d, "leave this head out");
		else
			diag_help(d, "leave this head out, or make it an estimate of its own: P[direct](%s",
				  what + 2);
	}
	return ok;
}
