/*
 * The dump of the loop form: one line a statement, two columns a level.  ":16" is the number of lanes, "if
 * <e" the lanes that exist; a value function has no lanes of its own.
 */
#include "ir/loop.h"
#include <stdlib.h>

typedef struct {
	const Mod *m;
	const Fn *f;
	Text *o;
} Dump;

/* 3*i - j + 4 */
static void put_aff(Dump *d, const Aff *a)
{
	bool any = false;
	for (int i = 0; i < a->n; i++) {
		int32_t mul = a->t[i].mul;
		text_add(d->o, any ? (mul < 0 ? " - " : " + ") : (mul < 0 ? "-" : ""));
		if (mul != 1 && mul != -1) text_printf(d->o, "%lld*", llabs(mul));
		text_add(d->o, d->f->var.at[a->t[i].var].name);
		any = true;
	}
	if (!any)
		text_printf(d->o, "%d", a->c);
	else if (a->c)
		text_printf(d->o, " %c %lld", a->c < 0 ? '-' : '+', llabs(a->c));
}

static void put_reg(Dump *d, int r, const Aff *i, const Aff *j)
{
	const Reg *g = &d->f->reg.at[r];
	text_add(d->o, g->name);
	if (g->d0 > 1 || g->d1 > 1) {
		text_char(d->o, '[');
		put_aff(d, i);
		text_char(d->o, ']');
	}
	if (g->d1 > 1) {
		text_char(d->o, '[');
		put_aff(d, j);
		text_char(d->o, ']');
	}
}

/* buf[ix :16 if <count] */
static void put_mem(Dump *d, int buf, const Aff *ix, int lanes, const Aff *count)
{
	text_printf(d->o, "%s[", d->f->buf.at[buf].name);
	put_aff(d, ix);
	if (lanes != 1) text_printf(d->o, " :%d", lanes);
	if (count) {
		text_add(d->o, " if <");
		put_aff(d, count);
	}
	text_char(d->o, ']');
}

static void put_expr(Dump *d, int e, int prec);

static void put_infix(Dump *d, const Expr *x, int prec)
{
	int own = x->op == E_ADD || x->op == E_SUB ? 1 : 2;
	if (own < prec) text_char(d->o, '(');
	put_expr(d, x->a, own);
	text_printf(d->o, " %s ", expr_name[x->op]);
	put_expr(d, x->b, own + 1);
	if (own < prec) text_char(d->o, ')');
}

static void put_pattern(Dump *d, const Expr *x)
{
	text_add(d->o, ", \"");
	for (int l = 0; l < x->lanes; l++)
		text_char(d->o, (char)(x->pat[l] < 26 ? 'a' + x->pat[l] : 'A' + x->pat[l] - 26));
	text_char(d->o, '"');
}

static void put_function(Dump *d, const Expr *x)
{
	const int arg[4] = {x->a, x->b, x->c, x->d};
	text_printf(d->o, "%s(", x->op == E_CALL ? d->m->fn.at[x->ref]->name : expr_name[x->op]);
	for (int i = 0; i < expr_args[x->op]; i++) {
		if (i) text_add(d->o, ", ");
		put_expr(d, arg[i], 0);
	}
	if (x->op == E_SHUF) put_pattern(d, x);
	if (x->op == E_KEEP) {
		text_add(d->o, " if <");
		put_aff(d, &x->iy);
	}
	text_char(d->o, ')');
}

/* prec: 0 anything, 1 an operand of + and -, 2 of * and / and the right of -, 3 a name */
static void put_expr(Dump *d, int e, int prec)
{
	const Expr *x = &d->f->expr.at[e];
	switch (x->op) {
	case E_CONST: text_printf(d->o, "%.9g", x->k); return;
	case E_REG: put_reg(d, x->ref, &x->ix, &x->iy); return;
	case E_LOAD: {
		bool convert = d->f->buf.at[x->ref].elem != ELEM_F32;
		text_add(d->o, convert ? "float(" : "");
		put_mem(d, x->ref, &x->ix, x->lanes, x->masked ? &x->iy : NULL);
		text_add(d->o, convert ? ")" : "");
		return;
	}
	case E_WORD: text_printf(d->o, "word(%d)", (int)x->k); return;
	case E_WORDS:
		text_add(d->o, "words(");
		put_mem(d, x->ref, &x->ix, x->lanes, x->masked ? &x->iy : NULL);
		text_char(d->o, ')');
		return;
	case E_LANE:
		put_expr(d, x->a, 3);
		text_printf(d->o, ".%d", (int)x->k);
		return;
	case E_ADD:
	case E_SUB:
	case E_MUL:
	case E_DIV: put_infix(d, x, prec); return;
	default: put_function(d, x);
	}
}

static void put_declaration(Dump *d, const Reg *r)
{
	text_printf(d->o, "%s %s", r->words ? "words" : "reg", r->name);
	if (r->d0 > 1 || r->d1 > 1) text_printf(d->o, "[%d]", r->d0);
	if (r->d1 > 1) text_printf(d->o, "[%d]", r->d1);
	if (r->lanes) text_printf(d->o, " :%d", r->lanes);
}

static void put_let(Dump *d, const Stmt *t)
{
	static const char *const word[] = {"", "min(", "max(", "floor(", "div(", ""};
	text_printf(d->o, "let %s = %s", d->f->var.at[t->var].name, word[t->let]);
	if (t->let == LET_LOAD)
		put_mem(d, t->ref, &t->lo, 1, NULL);
	else
		put_aff(d, &t->lo);
	if (t->let == LET_MIN || t->let == LET_MAX) {
		text_add(d->o, ", ");
		put_aff(d, &t->hi);
		text_char(d->o, ')');
	}
	if (t->let == LET_FLOOR || t->let == LET_DIV) text_printf(d->o, ", %d)", t->step);
}

static void put_call(Dump *d, const Stmt *t)
{
	text_printf(d->o, "call %s(", d->m->fn.at[t->ref]->name);
	for (int i = 0; i < t->arg.n; i++) {
		const Arg *a = &t->arg.at[i];
		text_add(d->o, i ? ", " : "");
		if (a->buf >= 0) text_add(d->o, d->f->buf.at[a->buf].name);
		if (a->buf >= 0 && (a->off.n || a->off.c)) text_add(d->o, " + ");
		if (a->buf < 0 || a->off.n || a->off.c) put_aff(d, &a->off);
	}
	text_char(d->o, ')');
}

/* product Y[n, 200 by 200] += X[n, 360 by 360] W[360, 200 by 200]; turned: W' */
static void put_product(Dump *d, const Stmt *t)
{
	static const int size[3][2] = {{3, 4}, {3, 5}, {5, 4}};
	text_add(d->o, "product ");
	for (int i = 0; i < 3; i++) {
		const Arg *a = &t->arg.at[i];
		text_add(d->o, d->f->buf.at[a->buf].name);
		if (a->off.n || a->off.c) {
			text_add(d->o, " + ");
			put_aff(d, &a->off);
		}
		text_char(d->o, '[');
		put_aff(d, &t->arg.at[size[i][0]].off);
		text_add(d->o, ", ");
		put_aff(d, &t->arg.at[size[i][1]].off);
		text_printf(d->o, " by %d]%s", t->ld[i],
			    i && t->form & (i == 1 ? PRODUCT_A_TURNED : PRODUCT_B_TURNED) ? "'" : "");
		text_add(d->o, i == 2 ? "" : i ? " " : t->form & PRODUCT_ADDS ? " += " : " = ");
	}
}

static void put_body(Dump *d, int s, int indent);

static void put_loop(Dump *d, const Stmt *t, int indent)
{
	text_printf(d->o, "%s %s = ", t->op == S_FOR ? "for" : "unroll", d->f->var.at[t->var].name);
	put_aff(d, &t->lo);
	text_add(d->o, " .. ");
	put_aff(d, &t->hi);
	if (t->step != 1) text_printf(d->o, " step %d", t->step);
	text_char(d->o, '\n');
	put_body(d, t->body, indent + 2);
}

static void put_stmt(Dump *d, const Stmt *t)
{
	switch (t->op) {
	case S_REG: put_declaration(d, &d->f->reg.at[t->ref]); break;
	case S_SET:
		put_reg(d, t->ref, &t->lo, &t->hi);
		text_add(d->o, " = ");
		put_expr(d, t->expr, 0);
		break;
	case S_STORE:
		put_mem(d, t->ref, &t->lo, d->f->expr.at[t->expr].lanes, t->masked ? &t->hi : NULL);
		text_add(d->o, " = ");
		put_expr(d, t->expr, 0);
		break;
	case S_LET: put_let(d, t); break;
	case S_CALL: put_call(d, t); break;
	case S_PRODUCT: put_product(d, t); break;
	case S_PREFETCH:
		text_add(d->o, "prefetch ");
		put_mem(d, t->ref, &t->lo, 1, NULL);
		break;
	default: break;
	}
	text_char(d->o, '\n');
}

static void put_body(Dump *d, int s, int indent)
{
	for (; s; s = d->f->stmt.at[s].next) {
		const Stmt *t = &d->f->stmt.at[s];
		if (d->f->value && t->op == S_REG && t->ref == 0) continue; /* the argument: in the head */
		text_indent(d->o, indent);
		if (t->op == S_FOR || t->op == S_UNROLL)
			put_loop(d, t, indent);
		else
			put_stmt(d, t);
	}
}

static void put_head(Dump *d)
{
	static const char *const kind[] = {"in", "out", "inout", "temp", "view"}, *const elem[] = {
										      "f32", "i32", "bf16",
										      "i8"};
	const Fn *f = d->f;
	const char *sep = "";
	text_printf(d->o, "%s%s %s(", f->exported ? "entry " : "", f->value ? "value" : "fn", f->name);
	for (int b = 0; b < f->n_param; b++, sep = ", ")
		text_printf(d->o, "%s%s %s %s", sep, kind[f->buf.at[b].kind], elem[f->buf.at[b].elem],
			    f->buf.at[b].name);
	for (int v = 0; v < f->var.n; v++)
		if (f->var.at[v].kind == VAR_SIZE) {
			text_printf(d->o, "%s%s", sep, f->var.at[v].name);
			sep = ", ";
		}
	if (f->value)
		text_printf(d->o, "%s) -> %s", f->reg.at[0].name, f->reg.at[1].name);
	else
		text_char(d->o, ')');
	if (f->note) text_printf(d->o, "  # %s", f->note);
	text_char(d->o, '\n');
	for (int b = f->n_param; b < f->buf.n; b++) {
		const Buf *t = &f->buf.at[b];
		text_printf(d->o, "  %s %s %s", kind[t->kind], elem[t->elem], t->name);
		if (t->kind == BUF_TEMP) text_printf(d->o, "[%lld]", (long long)t->size);
		text_printf(d->o, " at %s + %lld\n", f->buf.at[t->home].name, (long long)t->at);
	}
}

void fn_dump(const Mod *m, const Fn *f, Text *o)
{
	Dump d = {m, f, o};
	put_head(&d);
	put_body(&d, f->first, 2);
}

void mod_dump(const Mod *m, Text *o)
{
	text_printf(o, "module %s width %d%s\n", m->name, m->W, m->fma ? " fma" : "");
	for (int i = 0; i < m->fn.n; i++) {
		text_char(o, '\n');
		fn_dump(m, m->fn.at[i], o);
	}
}
