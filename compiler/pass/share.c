/*
 * One node for one thing: a feature looked up twice, a parameter used twice.  Gradients rely on it.  Sums
 * over fields of both sides are made two on the way (pass/apart.c).
 *
 * Needs   a checked model.
 * Leaves  spec->g without equal or unused nodes, and the ids in spec renewed.
 */
#include "pass/pass.h"

void pass_share(Spec *s)
{
	Graph *g = s->g;
	VEC(NodeId *) use = {0};
	for (int i = 0; i < s->loss.n; i++) {
		vec_push(s->arena, &use, &s->loss.at[i].row);
		vec_push(s->arena, &use, &s->loss.at[i].count);
	}
	for (int i = 0; i < s->output.n; i++) vec_push(s->arena, &use, &s->output.at[i].node);
	for (int i = 0; i < s->watch.n; i++) {
		vec_push(s->arena, &use, &s->watch.at[i].logit);
		vec_push(s->arena, &use, &s->watch.at[i].label);
		vec_push(s->arena, &use, &s->watch.at[i].weight);
	}
	for (int i = 0; i < s->running.n; i++) vec_push(s->arena, &use, &s->running.at[i].next);
	for (int i = 0; i < use.n; i++) graph_root(g, ROOT_OUTPUT, i, *use.at[i]);
	pass_cse(g);
	pass_apart(s);
	g = s->g;
	pass_cse(g);
	pass_dce(g);
	for (int i = 0; i < use.n; i++) *use.at[i] = g->root.at[i].node;
	g->root.n = 0;
}
