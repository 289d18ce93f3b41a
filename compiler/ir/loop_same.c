/*
 * Functions of the same loops: all is equal but names and places in the model.  An emitter prints one of
 * them. Calls go to earlier functions, so whether two calls are of the same loops is known when it is asked.
 */
#include "ir/loop.h"
#include <string.h>

static bool same_aff(const Aff *a, const Aff *b)
{
	if (a->c != b->c || a->n != b->n) return false;
	for (int i = 0; i < a->n; i++)
		if (a->t[i].var != b->t[i].var || a->t[i].mul != b->t[i].mul) return false;
	return true;
}

static bool same_expr(const Expr *a, const Expr *b, const int *first)
{
	if (a->op != b->op || a->lanes != b->lanes || a->a != b->a || a->b != b->b || a->c != b->c ||
	    a->d != b->d || a->masked != b->masked || memcmp(&a->k, &b->k, sizeof a->k) ||
	    !same_aff(&a->ix, &b->ix) || !same_aff(&a->iy, &b->iy))
		return false;
	if (a->op == E_CALL ? first[a->ref] != first[b->ref] : a->ref != b->ref) return false;
	return a->op != E_SHUF || !memcmp(a->pat, b->pat, (size_t)a->lanes);
}

static bool same_args(const Stmt *a, const Stmt *b)
{
	if (a->arg.n != b->arg.n) return false;
	for (int i = 0; i < a->arg.n; i++)
		if (a->arg.at[i].buf != b->arg.at[i].buf || !same_aff(&a->arg.at[i].off, &b->arg.at[i].off))
			return false;
	return true;
}

static bool same_stmt(const Stmt *a, const Stmt *b, const int *first)
{
	if (a->op != b->op || a->next != b->next || a->body != b->body || a->var != b->var ||
	    a->step != b->step || a->expr != b->expr || a->let != b->let || a->masked != b->masked ||
	    !same_aff(&a->lo, &b->lo) || !same_aff(&a->hi, &b->hi) || a->form != b->form ||
	    memcmp(a->ld, b->ld, sizeof a->ld))
		return false;
	if (a->op == S_CALL ? first[a->ref] != first[b->ref] : a->ref != b->ref) return false;
	return same_args(a, b);
}

static bool same_names(const Fn *a, const Fn *b)
{
	if (a->var.n != b->var.n || a->buf.n != b->buf.n || a->reg.n != b->reg.n || a->n_param != b->n_param)
		return false;
	for (int i = 0; i < a->var.n; i++)
		if (a->var.at[i].kind != b->var.at[i].kind) return false;
	for (int i = 0; i < a->reg.n; i++) {
		const Reg *x = &a->reg.at[i], *y = &b->reg.at[i];
		if (x->lanes != y->lanes || x->d0 != y->d0 || x->d1 != y->d1) return false;
	}
	for (int i = 0; i < a->buf.n; i++) {
		const Buf *x = &a->buf.at[i], *y = &b->buf.at[i];
		if (x->kind != y->kind || x->elem != y->elem || x->size != y->size || x->home != y->home ||
		    x->at != y->at)
			return false;
	}
	return true;
}

static bool same(const Fn *a, const Fn *b, const int *first)
{
	if (a->value || b->value || a->expr.n != b->expr.n || a->stmt.n != b->stmt.n ||
	    a->first != b->first || !same_names(a, b))
		return false;
	for (int i = 1; i < a->expr.n; i++)
		if (!same_expr(&a->expr.at[i], &b->expr.at[i], first)) return false;
	for (int i = 1; i < a->stmt.n; i++)
		if (!same_stmt(&a->stmt.at[i], &b->stmt.at[i], first)) return false;
	return true;
}

int *mod_same(Arena *arena, const Mod *m)
{
	int *first = arena_new(arena, int, m->fn.n);
	for (int i = 0; i < m->fn.n; i++) {
		int k = 0;
		while (k < i && (first[k] != k || !same(m->fn.at[k], m->fn.at[i], first))) k++;
		first[i] = k;
	}
	return first;
}
