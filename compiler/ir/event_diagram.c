/*
 * Decision diagrams: built reduced, over events for labels and over heads for probabilities; their values and
 * their words.
 */
#include "ir/event_sets.h"
#include "base/diag.h"
#include <string.h>

Diagram *diagram_new(const Events *e)
{
	Diagram *d = arena_new(e->arena, Diagram, 1);
	vec_push(e->arena, &d->node, (DiagramNode){.test = -1});
	vec_push(e->arena, &d->node, (DiagramNode){.test = -1, .hi = 1, .lo = 1});
	return d;
}

int diagram_node(const Events *e, Diagram *d, int test, bool stop, int hi, int lo)
{
	if (hi == lo) return hi;
	for (int i = 2; i < d->node.n; i++) {
		const DiagramNode *n = &d->node.at[i];
		if (n->test == test && n->hi == hi && n->lo == lo && n->stop == stop) return i;
	}
	vec_push(e->arena, &d->node, (DiagramNode){.test = test, .hi = hi, .lo = lo, .stop = stop});
	return d->node.n - 1;
}

Diagram *diagram_kept(const Events *e, const Diagram *d, int root)
{
	bool *live = arena_new(e->arena, bool, d->node.n);
	int *moved = arena_new(e->arena, int, d->node.n);
	live[root] = true;
	for (int i = d->node.n; i-- > 2;)
		if (live[i]) live[d->node.at[i].hi] = live[d->node.at[i].lo] = true;
	Diagram *out = diagram_new(e);
	moved[1] = 1;
	for (int i = 2; i < d->node.n; i++) {
		if (!live[i]) continue;
		DiagramNode n = d->node.at[i];
		n.hi = moved[n.hi];
		n.lo = moved[n.lo];
		moved[i] = out->node.n;
		vec_push(e->arena, &out->node, n);
	}
	out->root = moved[root];
	return out;
}

int diagram_grafted(const Events *e, Diagram *d, int root, int one, int zero)
{
	if (root < 2) return root ? one : zero;
	bool *live = arena_new(e->arena, bool, root + 1);
	int *moved = arena_new(e->arena, int, root + 1);
	live[root] = true;
	for (int i = root; i >= 2; i--)
		if (live[i]) live[d->node.at[i].hi] = live[d->node.at[i].lo] = true;
	moved[0] = zero;
	moved[1] = one;
	for (int i = 2; i <= root; i++) {
		if (!live[i]) continue;
		DiagramNode n = d->node.at[i];
		moved[i] = diagram_node(e, d, n.test, n.stop, moved[n.hi], moved[n.lo]);
	}
	return moved[root];
}

int diagram_copied(const Events *e, Diagram *d, const Diagram *from, bool stop)
{
	int *moved = arena_new(e->arena, int, from->node.n);
	moved[1] = 1;
	for (int i = 2; i < from->node.n; i++) {
		DiagramNode n = from->node.at[i];
		moved[i] = diagram_node(e, d, n.test, n.stop || stop, moved[n.hi], moved[n.lo]);
	}
	return moved[from->root];
}

/* ---- over events ---- */

typedef struct {
	const Events *e;
	Diagram *d;
	int n, event[CELL_EVENTS];
	bool *happened; /* by event */
	const Formula *f;
} Expansion;

static bool formula_holds(const Expansion *x, const Formula *f)
{
	switch (f->kind) {
	case F_TRUE: return true;
	case F_EVENT: return x->happened[f->event];
	case F_NOT: return !formula_holds(x, f->a);
	case F_AND: return formula_holds(x, f->a) && formula_holds(x, f->b);
	case F_OR: return formula_holds(x, f->a) || formula_holds(x, f->b);
	}
	bug("formula %d", (int)f->kind);
}

static int expand(Expansion *x, int i)
{
	if (i == x->n) return formula_holds(x, x->f);
	int event = x->event[i], parent = x->e->event.at[event].parent;
	x->happened[event] = false;
	int lo = expand(x, i + 1);
	if (parent >= 0 && !x->happened[parent]) return lo;
	x->happened[event] = true;
	int hi = expand(x, i + 1);
	x->happened[event] = false;
	return diagram_node(x->e, x->d, event, false, hi, lo);
}

Diagram *diagram_events(const Events *e, const Formula *f)
{
	EventSet set = {0};
	if (!events_involve(e, f, &set)) bug("a label over more than %d events", (int)CELL_EVENTS);
	Expansion x = {
	    .e = e, .d = diagram_new(e), .f = f, .happened = arena_new(e->arena, bool, e->event.n + 1)};
	for (int i = 0; i < e->event.n; i++)
		if (events_in(&set, i)) x.event[x.n++] = i;
	return diagram_kept(e, x.d, expand(&x, 0));
}

/* ---- over heads ---- */

static double diagram_eval(const Events *e, const Diagram *d, const double *head_prob)
{
	double *v = arena_new(e->arena, double, d->node.n);
	v[1] = 1;
	for (int i = 2; i < d->node.n; i++) {
		const DiagramNode *n = &d->node.at[i];
		v[i] = head_prob[n->test] * v[n->hi] + (1 - head_prob[n->test]) * v[n->lo];
	}
	return v[d->root];
}

double derived_eval(const Events *e, const Derived *d, const double *head_prob)
{
	if (!d->ok) bug("the value of what was not derived");
	if (d->of) return diagram_eval(e, d->of, head_prob);
	double yes = diagram_eval(e, d->yes, head_prob), no = diagram_eval(e, d->no, head_prob);
	return yes / (yes + no);
}

static bool diagram_uses(const Diagram *d, int head)
{
	for (int i = 2; d && i < d->node.n; i++)
		if (d->node.at[i].test == head) return true;
	return false;
}

bool derived_uses(const Derived *d, int head)
{
	return diagram_uses(d->of, head) || diagram_uses(d->yes, head) || diagram_uses(d->no, head);
}

static void head_word(const Events *e, const DiagramNode *n, Text *out)
{
	const Head *h = &e->head.at[n->test];
	if (n->stop) text_add(out, "stop(");
	if (h->name)
		text_add(out, h->name);
	else
		prob_text(e, h->estimate, h->of, h->given, out);
	if (n->stop) text_char(out, ')');
}

/* MIX with constants for branches has shorter names. */
static void diagram_words(const Events *e, const Diagram *d, int at, Text *out)
{
	if (at < 2) {
		text_char(out, at ? '1' : '0');
		return;
	}
	const DiagramNode *n = &d->node.at[at];
	if (n->hi == 1 && n->lo == 0) {
		head_word(e, n, out);
	} else if (n->hi == 0 && n->lo == 1) {
		text_add(out, "NOT(");
		head_word(e, n, out);
		text_char(out, ')');
	} else if (n->hi < 2 || n->lo < 2) {
		bool constant_lo = n->lo < 2;
		int constant = constant_lo ? n->lo : n->hi;
		bool negated = (constant_lo && n->lo == 1) || (!constant_lo && n->hi == 0);
		text_add(out, constant ? "OR(" : "AND(");
		if (negated) text_add(out, "NOT(");
		head_word(e, n, out);
		text_add(out, negated ? "), " : ", ");
		diagram_words(e, d, constant_lo ? n->hi : n->lo, out);
		text_char(out, ')');
	} else {
		text_add(out, "MIX(");
		head_word(e, n, out);
		text_add(out, ", ");
		diagram_words(e, d, n->hi, out);
		text_add(out, ", ");
		diagram_words(e, d, n->lo, out);
		text_char(out, ')');
	}
}

void derived_text(const Events *e, const Derived *d, Text *out)
{
	if (!d->ok) bug("the words of what was not derived");
	if (d->of) {
		diagram_words(e, d->of, d->of->root, out);
		return;
	}
	text_add(out, "RATIO(");
	diagram_words(e, d->yes, d->yes->root, out);
	text_add(out, ", ");
	diagram_words(e, d->no, d->no->root, out);
	text_char(out, ')');
}
