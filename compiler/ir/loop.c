/*
 * Building the loop form.  A statement goes to the end of the innermost open body; an expression is an index
 * to be used once, by the statement or expression built next.
 */
#include "ir/loop.h"
#include "base/diag.h"
#include <ctype.h>
#include <string.h>

const char *const expr_name[E_N] = {
    [E_NONE] = "none",	 [E_CONST] = "const", [E_REG] = "reg",	   [E_LOAD] = "load", [E_KEEP] = "keep",
    [E_SPLAT] = "splat", [E_LANE] = "lane",   [E_SHUF] = "shuf",   [E_CALL] = "call", [E_ADD] = "+",
    [E_SUB] = "-",	 [E_MUL] = "*",	      [E_DIV] = "/",	   [E_MIN] = "min",   [E_MAX] = "max",
    [E_FMA] = "fma",	 [E_SELLT] = "sellt", [E_RINT] = "rint",   [E_SQRT] = "sqrt", [E_ABS] = "abs",
    [E_SCALB] = "scalb", [E_EXPO] = "expo",   [E_FRAC] = "frac",   [E_WORD] = "word", [E_WORDS] = "words",
    [E_PAIR] = "pair",	 [E_LOW] = "low",     [E_WHOLE] = "whole", [E_QUAD] = "quad", [E_DOT4] = "dot4",
    [E_WSUB] = "wsub",	 [E_INT] = "int",
};
const int expr_args[E_N] = {
    [E_KEEP] = 1, [E_SPLAT] = 1, [E_LANE] = 1,	[E_SHUF] = 2, [E_CALL] = 1, [E_ADD] = 2,   [E_SUB] = 2,
    [E_MUL] = 2,  [E_DIV] = 2,	 [E_MIN] = 2,	[E_MAX] = 2,  [E_FMA] = 3,  [E_SELLT] = 4, [E_RINT] = 1,
    [E_SQRT] = 1, [E_ABS] = 1,	 [E_SCALB] = 2, [E_EXPO] = 1, [E_FRAC] = 1, [E_PAIR] = 2,  [E_QUAD] = 4,
    [E_LOW] = 1,  [E_WHOLE] = 1, [E_DOT4] = 3,	[E_WSUB] = 2, [E_INT] = 1,
};

/* --- affine --- */

static int32_t fit(int64_t k)
{
	if (k != (int32_t)k) bug("index constant %lld does not fit in 32 bits", (long long)k);
	return (int32_t)k;
}

static int32_t product(int64_t a, int64_t b)
{
	int64_t k;
	if (__builtin_mul_overflow(a, b, &k))
		bug("index constant %lld * %lld is too large", (long long)a, (long long)b);
	return fit(k);
}

static void add_term(Aff *a, int32_t var, int32_t mul)
{
	int i = 0;
	while (i < a->n && a->t[i].var != var) i++;
	if (i == a->n) {
		if (i == AFF_TERMS) bug("an index of more than %d variables", AFF_TERMS);
		a->t[a->n++].var = var;
		a->t[i].mul = 0;
	}
	a->t[i].mul = fit((int64_t)a->t[i].mul + mul);
	if (!a->t[i].mul) a->t[i] = a->t[--a->n];
}

Aff aff_c(int64_t c) { return (Aff){.c = fit(c)}; }
Aff aff_v(int var) { return (Aff){.n = 1, .t = {{var, 1}}}; }

Aff aff_add(Aff a, Aff b)
{
	a.c = fit((int64_t)a.c + b.c);
	for (int i = 0; i < b.n; i++) add_term(&a, b.t[i].var, b.t[i].mul);
	return a;
}

Aff aff_mul(Aff a, int64_t k)
{
	if (!k) return aff_c(0);
	a.c = product(a.c, k);
	for (int i = 0; i < a.n; i++) a.t[i].mul = product(a.t[i].mul, k);
	return a;
}

Aff aff_plus(Aff a, int var, int64_t k)
{
	if (var >= 0 && k) add_term(&a, var, fit(k));
	return a;
}

Aff aff_off(Aff a, int64_t k)
{
	a.c = fit(a.c + k);
	return a;
}

/* --- names: one space for variables, buffers and registers, so that the C needs no other --- */

static bool taken_in(const Fn *f, int first, const char *name)
{
	for (int s = first; s; s = f->stmt.at[s].next) {
		const Stmt *t = &f->stmt.at[s];
		if (t->op == S_LET && !strcmp(f->var.at[t->var].name, name)) return true;
		if (t->op == S_REG && !strcmp(f->reg.at[t->ref].name, name)) return true;
	}
	return false;
}

/* Is the name that of a parameter, a temp, or of something in scope in the innermost open body? */
static bool taken(const Fn *f, const char *name)
{
	for (int b = 0; b < f->buf.n; b++)
		if (!strcmp(f->buf.at[b].name, name)) return true;
	for (int v = 0; v < f->var.n; v++)
		if (f->var.at[v].kind == VAR_SIZE && !strcmp(f->var.at[v].name, name)) return true;
	if (taken_in(f, f->first, name)) return true;
	for (int i = 1; i < f->open.n; i++) {
		const Stmt *t = &f->stmt.at[f->open.at[i]];
		if (!strcmp(f->var.at[t->var].name, name) || taken_in(f, t->body, name)) return true;
	}
	return false;
}

/* A C identifier; "_1" at the end is kept for elements of register arrays. */
static char *identifier(Fn *f, const char *name)
{
	size_t n = strlen(name), digits = 0;
	while (digits < n && isdigit((unsigned char)name[n - 1 - digits])) digits++;
	bool element = digits && digits < n && name[n - 1 - digits] == '_';
	bool bad = !n || isdigit((unsigned char)name[0]);
	char *id = arena_printf(f->arena, "%s%s%s", bad ? "v" : "", name, element ? "r" : "");
	for (char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p)) *p = '_';
	return id;
}

static Str unique(Fn *f, const char *name)
{
	char *first = identifier(f, name), *id = first;
	for (int k = 2; taken(f, id); k++)
		id = arena_printf(f->arena, "%s%s%d", first,
				  isdigit((unsigned char)first[strlen(first) - 1]) ? "x" : "", k);
	return id;
}

/* --- modules and functions --- */

Mod *mod_new(Arena *a, StrTab *str, const char *name, int W, bool fma)
{
	Mod *m = arena_new(a, Mod, 1);
	*m = (Mod){.arena = a, .str = str, .name = str_intern(str, name), .W = W, .fma = fma};
	return m;
}

Fn *fn_new(Mod *m, const char *name)
{
	if (fn_find(m, name) >= 0) bug("two functions '%s'", name);
	Fn *f = arena_new(m->arena, Fn, 1);
	f->arena = m->arena;
	f->name = str_intern(m->str, name);
	vec_push(f->arena, &f->expr, (Expr){0});
	vec_push(f->arena, &f->stmt, (Stmt){0});
	vec_push(f->arena, &f->open, 0);
	vec_push(f->arena, &f->last, 0);
	vec_push(m->arena, &m->fn, f);
	return f;
}

int fn_find(const Mod *m, const char *name)
{
	for (int i = 0; i < m->fn.n; i++)
		if (!strcmp(m->fn.at[i]->name, name)) return i;
	return -1;
}

int fn_index(const Mod *m, const Fn *f)
{
	for (int i = 0; i < m->fn.n; i++)
		if (m->fn.at[i] == f) return i;
	return -1;
}

static int new_var(Fn *f, VarKind kind, const char *name)
{
	Str id = unique(f, name);
	vec_push(f->arena, &f->var, (Var){id, kind});
	return f->var.n - 1;
}

int f_size(Fn *f, const char *name) { return new_var(f, VAR_SIZE, name); }

int f_buf(Fn *f, BufKind k, Elem e, const char *name, int64_t size)
{
	if (f->buf.n != f->n_param) bug("%s: parameter '%s' after a temp", f->name, name);
	Str id = unique(f, name);
	vec_push(f->arena, &f->buf, (Buf){.name = id, .kind = k, .elem = e, .size = size});
	f->n_param = f->buf.n;
	return f->buf.n - 1;
}

int f_temp(Fn *f, Elem e, const char *name, int64_t size, int home, int64_t at)
{
	Str id = unique(f, name);
	vec_push(f->arena, &f->buf, (Buf){id, BUF_TEMP, e, size, home, at});
	return f->buf.n - 1;
}

int f_view(Fn *f, Elem e, const char *name, int home, int64_t at)
{
	Str id = unique(f, name);
	vec_push(f->arena, &f->buf, (Buf){id, BUF_VIEW, e, 0, home, at});
	return f->buf.n - 1;
}

/* --- statements --- */

static Stmt *last_stmt(Fn *f) { return &f->stmt.at[f->stmt.n - 1]; }

static Stmt *stmt(Fn *f, StmtOp op)
{
	int i = f->stmt.n, depth = f->open.n - 1, before = f->last.at[depth];
	vec_push(f->arena, &f->stmt, (Stmt){.op = op, .span = f->at, .step = 1});
	if (before)
		f->stmt.at[before].next = i;
	else if (depth)
		f->stmt.at[f->open.at[depth]].body = i;
	else
		f->first = i;
	f->last.at[depth] = i;
	return &f->stmt.at[i];
}

int f_reg(Fn *f, const char *name, int lanes, int d0, int d1)
{
	Str id = unique(f, name);
	vec_push(f->arena, &f->reg, (Reg){id, lanes, d0, d1, false});
	stmt(f, S_REG)->ref = f->reg.n - 1;
	return f->reg.n - 1;
}

int f_words(Fn *f, const char *name, int lanes, int d0, int d1)
{
	int r = f_reg(f, name, lanes, d0, d1);
	f->reg.at[r].words = true;
	return r;
}

static int open_body(Fn *f, StmtOp op, const char *v, Aff lo, Aff hi, int step)
{
	int var = new_var(f, op == S_FOR ? VAR_LOOP : VAR_UNROLL, v);
	Stmt *s = stmt(f, op);
	s->var = var;
	s->lo = lo;
	s->hi = hi;
	s->step = step;
	vec_push(f->arena, &f->open, f->stmt.n - 1);
	vec_push(f->arena, &f->last, 0);
	return var;
}

int f_for(Fn *f, const char *v, Aff lo, Aff hi, int step) { return open_body(f, S_FOR, v, lo, hi, step); }

int f_unroll(Fn *f, const char *v, int lo, int hi)
{
	return open_body(f, S_UNROLL, v, aff_c(lo), aff_c(hi), 1);
}

void f_end(Fn *f, int n)
{
	if (n >= f->open.n) bug("%s: more bodies closed than opened", f->name);
	f->open.n -= n;
	f->last.n -= n;
}

static int let(Fn *f, const char *v, LetKind kind, Aff lo, Aff hi, int step, int ref)
{
	int var = new_var(f, VAR_LET, v);
	Stmt *s = stmt(f, S_LET);
	s->var = var;
	s->let = kind;
	s->lo = lo;
	s->hi = hi;
	s->step = step;
	s->ref = ref;
	return var;
}

int f_let(Fn *f, const char *v, Aff a) { return let(f, v, LET_IS, a, aff_c(0), 1, 0); }
int f_min(Fn *f, const char *v, Aff a, Aff b) { return let(f, v, LET_MIN, a, b, 1, 0); }
int f_max(Fn *f, const char *v, Aff a, Aff b) { return let(f, v, LET_MAX, a, b, 1, 0); }
int f_floor(Fn *f, const char *v, Aff a, int multiple)
{
	return let(f, v, LET_FLOOR, a, aff_c(0), multiple, 0);
}
int f_div(Fn *f, const char *v, Aff a, int divisor) { return let(f, v, LET_DIV, a, aff_c(0), divisor, 0); }
int f_load(Fn *f, const char *v, int buf, Aff ix) { return let(f, v, LET_LOAD, ix, aff_c(0), 1, buf); }

void f_set(Fn *f, int reg, Aff i, Aff j, int e)
{
	Stmt *s = stmt(f, S_SET);
	s->ref = reg;
	s->lo = i;
	s->hi = j;
	s->expr = e;
}

void f_set1(Fn *f, int reg, int e) { f_set(f, reg, aff_c(0), aff_c(0), e); }

void f_store(Fn *f, int buf, Aff ix, int e)
{
	Stmt *s = stmt(f, S_STORE);
	s->ref = buf;
	s->lo = ix;
	s->expr = e;
}

static bool all_lanes(Aff count, int lanes) { return !count.n && count.c >= lanes; }

void f_store_n(Fn *f, int buf, Aff ix, int e, Aff count)
{
	f_store(f, buf, ix, e);
	if (all_lanes(count, f->expr.at[e].lanes)) return;
	last_stmt(f)->masked = true;
	last_stmt(f)->hi = count;
}

void f_prefetch(Fn *f, int buf, Aff ix)
{
	Stmt *s = stmt(f, S_PREFETCH);
	s->ref = buf;
	s->lo = ix;
}

void f_call(Fn *f, int fn) { stmt(f, S_CALL)->ref = fn; }

void f_arg(Fn *f, int buf, Aff off)
{
	if (last_stmt(f)->op != S_CALL && last_stmt(f)->op != S_PRODUCT)
		bug("%s: an argument without a call", f->name);
	vec_push(f->arena, &last_stmt(f)->arg, (Arg){buf, off});
}

void f_arg_size(Fn *f, Aff n) { f_arg(f, -1, n); }

void f_product(Fn *f, int form, int ldc, int lda, int ldb)
{
	Stmt *s = stmt(f, S_PRODUCT);
	s->form = form;
	s->ld[0] = ldc;
	s->ld[1] = lda;
	s->ld[2] = ldb;
}

/* --- expressions --- */

static int expr(Fn *f, Expr e)
{
	vec_push(f->arena, &f->expr, e);
	return f->expr.n - 1;
}

static int lanes_of(const Fn *f, int e) { return f->expr.at[e].lanes; }

int e_const(Fn *f, int lanes, double k) { return expr(f, (Expr){.op = E_CONST, .lanes = lanes, .k = k}); }

int e_reg(Fn *f, int r, Aff i, Aff j)
{
	return expr(f, (Expr){.op = E_REG, .lanes = f->reg.at[r].lanes, .ref = r, .ix = i, .iy = j});
}

int e_reg1(Fn *f, int r) { return e_reg(f, r, aff_c(0), aff_c(0)); }

int e_load(Fn *f, int lanes, int buf, Aff ix)
{
	return expr(f, (Expr){.op = E_LOAD, .lanes = lanes, .ref = buf, .ix = ix});
}

int e_load_n(Fn *f, int lanes, int buf, Aff ix, Aff count)
{
	int e = e_load(f, lanes, buf, ix);
	if (!all_lanes(count, lanes)) {
		f->expr.at[e].masked = true;
		f->expr.at[e].iy = count;
	}
	return e;
}

int e_word(Fn *f, int lanes, int32_t k) { return expr(f, (Expr){.op = E_WORD, .lanes = lanes, .k = k}); }

int e_words(Fn *f, int lanes, int buf, Aff ix)
{
	return expr(f, (Expr){.op = E_WORDS, .lanes = lanes, .ref = buf, .ix = ix});
}

int e_words_n(Fn *f, int lanes, int buf, Aff ix, Aff count)
{
	int e = e_words(f, lanes, buf, ix);
	if (!all_lanes(count, lanes)) {
		f->expr.at[e].masked = true;
		f->expr.at[e].iy = count;
	}
	return e;
}

bool expr_words(const Fn *f, int e)
{
	const Expr *x = &f->expr.at[e];
	if (x->op == E_SPLAT) return expr_words(f, x->a);
	if (x->op == E_REG) return f->reg.at[x->ref].words;
	return x->op == E_WORD || x->op == E_WORDS || x->op == E_PAIR || x->op == E_QUAD || x->op == E_DOT4 ||
	       x->op == E_WSUB;
}

int e_splat(Fn *f, int lanes, int a) { return expr(f, (Expr){.op = E_SPLAT, .lanes = lanes, .a = a}); }
int e_lane(Fn *f, int a, int k) { return expr(f, (Expr){.op = E_LANE, .lanes = 1, .a = a, .k = k}); }

int e_shuf(Fn *f, int a, int b, const uint8_t *pat)
{
	int n = lanes_of(f, a);
	uint8_t *own = arena_new(f->arena, uint8_t, n > 16 ? n : 16);
	memcpy(own, pat, (size_t)n);
	return expr(f, (Expr){.op = E_SHUF, .lanes = n, .a = a, .b = b, .pat = own});
}

int e_keep(Fn *f, int a, Aff count)
{
	return expr(f, (Expr){.op = E_KEEP, .lanes = lanes_of(f, a), .a = a, .iy = count});
}

int e_call(Fn *f, int fn, int a)
{
	return expr(f, (Expr){.op = E_CALL, .lanes = lanes_of(f, a), .ref = fn, .a = a});
}

int e_op1(Fn *f, ExprOp op, int a) { return e_op4(f, op, a, 0, 0, 0); }
int e_op2(Fn *f, ExprOp op, int a, int b) { return e_op4(f, op, a, b, 0, 0); }
int e_op3(Fn *f, ExprOp op, int a, int b, int c) { return e_op4(f, op, a, b, c, 0); }

int e_op4(Fn *f, ExprOp op, int a, int b, int c, int d)
{
	return expr(f, (Expr){.op = op, .lanes = lanes_of(f, a), .a = a, .b = b, .c = c, .d = d});
}
