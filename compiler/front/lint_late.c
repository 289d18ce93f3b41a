/*
 * Lint: what is known only after an event, in the estimate of something earlier.
 *
 * A feature with `after: e` has no value yet where e is still open.  A head may look at it if its condition
 * implies e: P(buy | click) at how long the click's page was read, P(click) not.
 */
#include "front/checker.h"

static bool implies(Check *c, const Formula *given, int event)
{
	const Formula *e = formula_event(c->s->events, event, (Span){0}), *both[] = {given, e};
	Cells *cells = cells_new(c->s->events, 2, both);
	return !cells || cells_subset(cells, given, e);
}

/* The event after which input node n is known, or -1; *feature: which says so. */
static int after(const Check *c, const Node *n, int *feature)
{
	int f = spec_feature_read(c->s, n);
	if (f < 0) return -1;
	*feature = f;
	const Feature *x = &c->s->feature.at[f];
	for (int k = 0; !x->after && k < x->cross.n; k++)
		if (c->s->feature.at[x->cross.at[k]].after) {
			*feature = x->cross.at[k];
			x = &c->s->feature.at[*feature];
		}
	return x->after ? event_find(c->s->events, x->after) : -1;
}

static void head(Check *c, NodeId logit, const Formula *given, const char *text, Span at)
{
	bool *live = arena_new(c->a, bool, c->g->node.n);
	live[logit] = true;
	for (NodeId id = c->g->node.n; id-- > 1;) {
		const Node *n = graph_node(c->g, id);
		for (int i = 0; live[id] && i < n->n_in; i++) live[n->in[i]] = true;
		int f, e = live[id] ? after(c, n, &f) : -1;
		if (e < 0 || implies(c, given, e)) continue;
		const Feature *x = &c->s->feature.at[f];
		diag_warn(c->d, at, "M0660", "%s is estimated from '%s', which is known only after %s", text,
			  x->name, x->after);
		diag_note(c->d, x->span, "so it is said here");
		diag_help(c->d, "keep it to heads under a condition, P(e | %s)", x->after);
		return; /* one of them is enough */
	}
}

void lint_late(Check *c)
{
	const Events *e = c->s->events;
	bool any = false;
	for (int i = 0; i < c->s->feature.n; i++) {
		const Feature *f = &c->s->feature.at[i];
		if (!f->after) continue;
		any = true;
		if (event_find(e, f->after) >= 0) continue;
		Near near = {.arena = c->a};
		for (int k = 0; k < e->event.n; k++) near_add(&near, e->event.at[k].name);
		told(c, f->span, "M0401", "'%s' is known after '%s', which is no event", f->name, f->after);
		help_near(c, &near, f->after);
	}
	for (int i = 0; any && i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		Text p = {0};
		prob_text(e, h->estimate, h->of, h->given, &p);
		head(c, h->logit, h->given, p.at, h->span);
		text_free(&p);
	}
	for (int i = 0; any && i < c->outcome.n; i++) {
		const OutcomeHead *h = &c->outcome.at[i];
		head(c, h->node, h->given, h->text, h->span);
	}
}
