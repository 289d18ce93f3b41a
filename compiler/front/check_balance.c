/*
 * train { balance: ... }: the method, its settings, and whether there is anything to balance.
 */
#include "front/checker.h"
#include "ir/op.h"
#include <string.h>

enum { MOST_ARGS = 2 };

static const struct {
	const char *name, *arg[MOST_ARGS];
	double k, lr;
} method[] = {
    [BALANCE_FIXED] = {.name = "fixed"},
    [BALANCE_UNCERTAINTY] = {.name = "uncertainty"},
    [BALANCE_DWA] = {"dwa", {"temperature"}, 2, 0},
    [BALANCE_GRADNORM] = {"gradnorm", {"alpha", "lr"}, 1.5, 0.025},
    [BALANCE_PCGRAD] = {.name = "pcgrad"},
    [BALANCE_MGDA] = {.name = "mgda"},
    [BALANCE_PARETO] = {.name = "pareto"},
    [BALANCE_CAGRAD] = {"cagrad", {"c"}, 0.4, 0},
    [BALANCE_NASH] = {.name = "nash"},
};
enum { N_METHOD = sizeof method / sizeof *method };

/* ---- what is shared ---- */

/* Parameters and tables that several losses teach; the losses that teach one of them, as a mask. */
static uint64_t at_boundary(Check *c)
{
	const Graph *g = c->g;
	uint64_t *losses = arena_new(c->a, uint64_t, g->node.n), mask = 0;
	uint64_t *of_param = arena_new(c->a, uint64_t, c->s->param.n + 1),
		 *of_table = arena_new(c->a, uint64_t, c->s->table.n + 1);
	for (int l = 0; l < c->s->loss.n; l++) losses[c->s->loss.at[l].row] |= (uint64_t)1 << l;
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		for (int i = 0; i < n->n_in; i++)
			if (n->in[i] && op_table[n->op]->grad && (n->op != OP_TRAINING || i == 0))
				losses[n->in[i]] |= losses[id];
		if (n->op == OP_PARAM && !c->s->param.at[n->attr.i].frozen) of_param[n->attr.i] |= losses[id];
		int t = n->op == OP_LOOKUP ? c->s->lookup.at[n->attr.i].table : -1;
		if (t >= 0 && !c->s->table.at[t].frozen) of_table[t] |= losses[id];
	}
	for (int i = 0; i < c->s->param.n; i++)
		if (of_param[i] & (of_param[i] - 1)) mask |= of_param[i];
	for (int i = 0; i < c->s->table.n; i++)
		if (of_table[i] & (of_table[i] - 1)) mask |= of_table[i];
	return mask;
}

/* True if the method has something to do; told otherwise. */
static bool something(Check *c, const char *name, Span at, uint64_t *mask)
{
	if (c->s->loss.n > 63) {
		told(c, at, "M0638", "at most 63 losses can be balanced, the model has %d", c->s->loss.n);
		return false;
	}
	if (c->s->loss.n < 2) {
		told(c, at, "M0638", "%s balances several losses, the model has one", name);
		return false;
	}
	if ((*mask = at_boundary(c))) return true;
	told(c, at, "M0638", "%s has nothing to balance: no parameter is taught by two losses", name);
	for (int l = 0; l < 2; l++)
		diag_note(c->d, c->s->loss.at[l].span, l ? "and this one share nothing" : "this loss");
	return false;
}

/* ---- settings ---- */

static void set_number(Check *c, const char *of, const char *const *name, const Ast *arg, int i, Balance *b)
{
	int which = -1;
	for (int k = 0; k < MOST_ARGS && name[k]; k++)
		if (arg->name ? !strcmp(arg->name, name[k]) : k == i) which = k;
	if (which < 0) {
		told(c, arg->span, "M0637", "%s has no setting '%s'", of,
		     arg->name ? arg->name : "of that place");
		return;
	}
	double x;
	if (!want_number(c, eval(c, arg->a), arg->a->span, name[which], &x)) return;
	bool any = b->kind == BALANCE_GRADNORM && which == 0; /* alpha may be 0: all norms equal */
	bool fits = any ? x >= 0 : b->kind == BALANCE_CAGRAD ? x >= 0 && x < 1 : x > 0;
	if (!fits)
		told(c, arg->a->span, "M0637", "%s must %s, not %g", name[which],
		     any			 ? "be 0 or more"
		     : b->kind == BALANCE_CAGRAD ? "lie in [0, 1)"
						 : "be above 0",
		     x);
	else
		*(which ? &b->lr : &b->k) = x;
}

/* pareto(click: 0.3, buy: 0.2): the least shares of losses. */
static void set_share(Check *c, const Ast *arg, Balance *b)
{
	Near near = {.arena = c->a};
	int l = -1;
	for (int i = 0; i < c->s->loss.n; i++) {
		near_add(&near, c->s->loss.at[i].name);
		if (arg->name && !strcmp(arg->name, c->s->loss.at[i].name)) l = i;
	}
	if (l < 0) {
		told(c, arg->span, "M0637",
		     "pareto takes the least shares of losses by their names, and '%s' is none",
		     arg->name ? arg->name : "this");
		if (arg->name) help_near(c, &near, arg->name);
		return;
	}
	double x;
	if (!want_number(c, eval(c, arg->a), arg->a->span, "a least share", &x)) return;
	if (x < 0 || x >= 1)
		told(c, arg->a->span, "M0637", "a least share must lie in [0, 1), not %g", x);
	else
		b->least[l] = x;
}

void check_balance(Check *c, const Ast *e)
{
	bool named = e->kind == AST_CALL || e->kind == AST_NAME;
	int kind = -1;
	Near near = {.arena = c->a};
	for (int i = 0; i < N_METHOD; i++) {
		near_add(&near, method[i].name);
		if (named && !strcmp(e->name, method[i].name)) kind = i;
	}
	if (kind < 0) {
		told(c, e->span, "M0637",
		     "a balance is fixed, uncertainty, dwa, gradnorm, pcgrad, mgda, pareto, cagrad or nash");
		if (named) help_near(c, &near, e->name);
		return;
	}
	Balance b = {.kind = (BalanceKind)kind, .k = method[kind].k, .lr = method[kind].lr};
	if (kind == BALANCE_PARETO) b.least = arena_new(c->a, double, c->s->loss.n + 1);
	for (int i = 0; e->kind == AST_CALL && i < e->list.n; i++)
		if (kind == BALANCE_PARETO)
			set_share(c, e->list.at[i], &b);
		else
			set_number(c, method[kind].name, method[kind].arg, e->list.at[i], i, &b);
	/* Of half a model nothing can be said about what it shares. */
	uint64_t mask;
	if (kind == BALANCE_FIXED || diag_errors(c->d) || !something(c, method[kind].name, e->span, &mask))
		return;
	double sum = 0;
	for (int l = 0; b.least && l < c->s->loss.n; l++) {
		sum += b.least[l];
		if (b.least[l] > 0 && !(mask >> l & 1))
			told(c, e->span, "M0638", "loss '%s' shares nothing with another: it has no share",
			     c->s->loss.at[l].name);
	}
	if (sum >= 1)
		told(c, e->span, "M0637", "the least shares add up to %g: they must leave something below 1",
		     sum);
	c->s->balance = b;
}
