/*
 * Lint on losses within groups: they know the order of rows and nothing of the height of a score, so a head
 * that nothing else teaches is no probability, whatever it is served as.
 */
#include "front/checker.h"

/* The heads that a probability is made of. */
static void heads_of(const Derived *d, bool *head)
{
	const Diagram *part[] = {d->of, d->yes, d->no};
	for (int k = 0; k < 3; k++)
		for (int i = 2; part[k] && i < part[k]->node.n; i++) head[part[k]->node.at[i].test] = true;
}

void lint_ranked(Check *c)
{
	const Events *e = c->s->events;
	bool *level = arena_new(c->a, bool, e->head.n + 1), *served = arena_new(c->a, bool, e->head.n + 1);
	for (int i = 0; i < c->use.n; i++) {
		const ProbUse *u = &c->use.at[i];
		if (!u->n_joint && !u->ranked) heads_of(&u->type.derived, u->trained ? level : served);
	}
	for (int i = 0; i < c->use.n; i++) {
		const ProbUse *u = &c->use.at[i];
		bool *ranked = arena_new(c->a, bool, e->head.n + 1);
		if (!u->ranked) continue;
		heads_of(&u->type.derived, ranked);
		for (int h = 0; h < e->head.n; h++) {
			if (!ranked[h] || level[h] || !served[h]) continue;
			Text p = {0};
			prob_text(e, e->head.at[h].estimate, e->head.at[h].of, e->head.at[h].given, &p);
			diag_warn(c->d, u->at, "M0680",
				  "%s is served as a probability, and only its order within groups is learnt",
				  p.at);
			diag_note(c->d, e->head.at[h].span, "the head is declared here");
			diag_help(c->d, "a second loss, bce(%s), tells how high it is; or serve the score",
				  p.at);
			text_free(&p);
			level[h] = true; /* once */
		}
	}
}
