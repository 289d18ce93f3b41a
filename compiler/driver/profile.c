/*
 * An entry is a list of calls in a loop over blocks of rows.  A copy of it that makes one of the calls runs
 * on the same buffers, and its time is that call's.
 */
#include "driver/profile.h"
#include <string.h>

static Fn *alone(Arena *a, Mod *m, const Fn *f, int call, int number)
{
	Fn *g = fn_new(m, arena_printf(a, "%s_call%d", f->name, number));
	Str name = g->name;
	*g = *f;
	g->name = name;
	Stmt *copy = arena_new(a, Stmt, f->stmt.n);
	memcpy(copy, f->stmt.at, sizeof *copy * (size_t)f->stmt.n);
	g->stmt.at = copy;
	/* Other calls are taken out of the chains they stand in. */
	for (int s = 0; s < f->stmt.n; s++)
		for (int *link[] = {&copy[s].next, &copy[s].body}, i = 0; i < 2; i++)
			while (*link[i] && *link[i] != call && copy[*link[i]].op == S_CALL)
				*link[i] = f->stmt.at[*link[i]].next;
	while (g->first && g->first != call && copy[g->first].op == S_CALL)
		g->first = f->stmt.at[g->first].next;
	return g;
}

void profile_add(Arena *a, Lowered *l, int entry, Profile *out)
{
	const Fn *f = l->entry.at[entry].fn;
	for (int s = 1, n = 0; f && s < f->stmt.n; s++) {
		if (f->stmt.at[s].op != S_CALL) continue;
		vec_push(a, out, (ProfiledCall){l->entry.n, l->mod->fn.at[f->stmt.at[s].ref]});
		Entry e = l->entry.at[entry];
		e.fn = alone(a, l->mod, f, s, n++);
		vec_push(a, &l->entry, e);
	}
}

/* ---- multiply-adds ---- */

typedef struct {
	const Fn *f;
	int64_t *var;
} Count;

static int64_t value(const Count *c, const Aff *a)
{
	int64_t k = a->c;
	for (int i = 0; i < a->n; i++) k += c->var[a->t[i].var] * a->t[i].mul;
	return k;
}

static int64_t in_expr(const Count *c, int e)
{
	const Expr *x = &c->f->expr.at[e];
	const int operand[4] = {x->a, x->b, x->c, x->d};
	int64_t n = x->op == E_FMA ? x->lanes : 0;
	if (x->op == E_ADD && (c->f->expr.at[x->a].op == E_MUL || c->f->expr.at[x->b].op == E_MUL))
		n = x->lanes;
	for (int i = 0; i < expr_args[x->op]; i++) n += in_expr(c, operand[i]);
	return n;
}

/* Bounds that depend on an outer loop are taken as in its first turn. */
static int64_t in_body(Count *c, int s)
{
	int64_t n = 0;
	for (; s; s = c->f->stmt.at[s].next) {
		const Stmt *t = &c->f->stmt.at[s];
		int64_t lo = value(c, &t->lo), hi = value(c, &t->hi);
		switch (t->op) {
		case S_FOR:
		case S_UNROLL:
			c->var[t->var] = lo;
			if (hi > lo) n += (hi - lo + t->step - 1) / t->step * in_body(c, t->body);
			break;
		case S_LET:
			c->var[t->var] = t->let == LET_MIN     ? (lo < hi ? lo : hi)
					 : t->let == LET_MAX   ? (lo > hi ? lo : hi)
					 : t->let == LET_FLOOR ? lo / t->step * t->step
					 : t->let == LET_DIV   ? lo / t->step
					 : t->let == LET_LOAD  ? 0
							       : lo;
			break;
		case S_PRODUCT: {
			int64_t madds = 1;
			for (int i = 3; i < 6; i++) madds *= value(c, &t->arg.at[i].off);
			n += madds;
			break;
		}
		case S_SET:
		case S_STORE: n += in_expr(c, t->expr); break;
		default: break;
		}
	}
	return n;
}

int64_t profile_madds(const Fn *f, int64_t n)
{
	Count c = {.f = f, .var = arena_new(f->arena, int64_t, f->var.n + 1)};
	for (int v = 0; v < f->var.n; v++)
		if (f->var.at[v].kind == VAR_SIZE) c.var[v] = n;
	return in_body(&c, f->first);
}
