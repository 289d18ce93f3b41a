/*
 * The loop form as C.  One self-contained file: the vector words, then a function for each function, in
 * order, then what is called from outside under the uniform signature.
 *
 * Registers are arrays under an unroll pragma, acc[1][2]; with `expand` unrolled bodies are written out and
 * acc_1_2 is a variable.  To be compiled with -O2 -ffp-contract=off and the variant's -march.
 */
#include "emit/emit.h"
#include "mtl_vec64_text.h"
#include "mtl_vec_text.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	const Mod *m;
	const Fn *f;
	Text *o;
	bool expand;
	int lanes;	    /* of the value function being printed */
	const int64_t *now; /* with expand: values of unrolled variables */
	int64_t *turn;	    /* the same, writable */
	const int *same;    /* of each function: the one that is printed for it */
} Print;

/* --- names and indices --- */

static bool is_word(const char *s)
{
	static const char *const word[] = {
	    "asm",	"auto",	  "break", "case",    "char",	  "const",  "continue", "default",
	    "do",	"double", "else",  "enum",    "extern",	  "float",  "for",	"goto",
	    "if",	"inline", "int",   "int32_t", "int64_t",  "linux",  "long",	"register",
	    "restrict", "return", "short", "signed",  "sizeof",	  "static", "struct",	"switch",
	    "typedef",	"typeof", "union", "unix",    "unsigned", "void",   "volatile", "while",
	};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++)
		if (!strcmp(s, word[i])) return true;
	return false;
}

/* Does it look like a type or a word of mtl_vec.h: v4, load_v4? */
static bool is_vector_name(const char *s)
{
	const char *end = s + strlen(s), *p = end;
	while (p > s && isdigit((unsigned char)p[-1])) p--;
	if (p == end || p == s) return !strcmp(s, "prefetch");
	return (p - s == 1 && strchr("viwbh", *s)) || (p - s > 1 && p[-1] == 'v' && p[-2] == '_');
}

static void put_name(Print *c, Str name)
{
	text_add(c->o, name);
	if (is_word(name) || is_vector_name(name)) text_char(c->o, '_');
}

static bool folded(const Print *c, int var) { return c->expand && c->f->var.at[var].kind == VAR_UNROLL; }

static void put_aff(Print *c, const Aff *a)
{
	int64_t k = a->c;
	bool any = false;
	for (int i = 0; i < a->n; i++) {
		int64_t mul = a->t[i].mul;
		if (folded(c, a->t[i].var)) {
			k += c->now[a->t[i].var] * mul;
			continue;
		}
		if (!mul) continue;
		text_add(c->o, any ? (mul < 0 ? " - " : " + ") : (mul < 0 ? "-" : ""));
		if (mul != 1 && mul != -1) text_printf(c->o, "%lld * ", llabs(mul));
		put_name(c, c->f->var.at[a->t[i].var].name);
		any = true;
	}
	if (!any)
		text_printf(c->o, "%lld", (long long)k);
	else if (k)
		text_printf(c->o, " %c %lld", k < 0 ? '-' : '+', llabs(k));
}

/* buf + ix */
static void put_place(Print *c, int buf, const Aff *ix)
{
	put_name(c, c->f->buf.at[buf].name);
	if (!ix->n && !ix->c) return;
	text_add(c->o, ix->n || ix->c > 0 ? " + " : " + (");
	put_aff(c, ix);
	text_add(c->o, ix->n || ix->c > 0 ? "" : ")");
}

static void put_element(Print *c, int buf, const Aff *ix)
{
	put_name(c, c->f->buf.at[buf].name);
	text_char(c->o, '[');
	put_aff(c, ix);
	text_char(c->o, ']');
}

static void put_reg(Print *c, int r, const Aff *i, const Aff *j)
{
	const Reg *g = &c->f->reg.at[r];
	const Aff *sub[2] = {i, j};
	const bool shown[2] = {g->d0 * g->d1 > 1, g->d1 > 1};
	put_name(c, g->name);
	for (int k = 0; k < 2; k++) {
		if (!shown[k]) continue;
		text_char(c->o, c->expand ? '_' : '[');
		put_aff(c, sub[k]);
		text_add(c->o, c->expand ? "" : "]");
	}
}

/* --- expressions --- */

static void put_expr(Print *c, int e, int prec);

static int lanes_of(const Print *c, int e)
{
	int n = c->f->expr.at[e].lanes;
	return n ? n : c->lanes;
}

static void put_const(Print *c, double k, int lanes)
{
	char s[40];
	bool wide = c->m->f64;
	double v = wide ? k : (double)(float)k;
	const char *f = wide ? "" : "f";
	int n = snprintf(s, sizeof s, "%.*g", wide ? 17 : 9, v);
	if (isnan(v))
		snprintf(s, sizeof s, "__builtin_nan%s(\"\")", f);
	else if (isinf(v))
		snprintf(s, sizeof s, "%s__builtin_inf%s()", v < 0 ? "-" : "", f);
	else
		snprintf(s + n, sizeof s - (size_t)n, "%s%s", strpbrk(s, ".e") ? "" : ".0", f);
	if (lanes > 1) text_printf(c->o, "splat_v%d(", lanes);
	text_add(c->o, s);
	text_add(c->o, lanes > 1 ? ")" : "");
}

static void put_load(Print *c, const Expr *x, int lanes)
{
	static const char *const converted[] = {"", "i", "h", "b"};
	Elem of = c->f->buf.at[x->ref].elem;
	if (lanes == 1 && !x->masked && of == ELEM_F32) {
		put_element(c, x->ref, &x->ix);
		return;
	}
	text_printf(c->o, "load%s%s_v%d(", converted[of], x->masked ? "n" : "", lanes);
	put_place(c, x->ref, &x->ix);
	if (x->masked) {
		text_add(c->o, ", ");
		put_aff(c, &x->iy);
	}
	text_char(c->o, ')');
}

static void put_infix(Print *c, const Expr *x, int prec)
{
	int own = x->op == E_ADD || x->op == E_SUB ? 1 : 2;
	if (own < prec) text_char(c->o, '(');
	put_expr(c, x->a, own);
	text_printf(c->o, " %s ", expr_name[x->op]);
	put_expr(c, x->b, own + 1);
	if (own < prec) text_char(c->o, ')');
}

static void put_shuffle(Print *c, const Expr *x, int lanes, int prec)
{
	if (lanes == 1) {
		put_expr(c, x->pat[0] ? x->b : x->a, prec);
		return;
	}
	text_add(c->o, "__builtin_shufflevector(");
	put_expr(c, x->a, 0);
	text_add(c->o, ", ");
	put_expr(c, x->b, 0);
	for (int l = 0; l < lanes; l++) text_printf(c->o, ", %d", x->pat[l]);
	text_char(c->o, ')');
}

static void put_word(Print *c, const Expr *x, int lanes)
{
	const int arg[4] = {x->a, x->b, x->c, x->d};
	bool words = expr_words(c->f, (int)(x - c->f->expr.at));
	text_printf(c->o, "%s_%c%d", x->op == E_CALL ? c->m->fn.at[x->ref]->name : expr_name[x->op],
		    words ? 'i' : 'v', lanes);
	/* As many lanes again and again are a word of their own: splat_v16_v2. */
	if (x->op == E_SPLAT && lanes_of(c, x->a) > 1) text_printf(c->o, "_v%d", lanes_of(c, x->a));
	text_char(c->o, '(');
	for (int i = 0; i < expr_args[x->op]; i++) {
		text_add(c->o, i ? ", " : "");
		put_expr(c, arg[i], 0);
	}
	if (x->op == E_KEEP) {
		text_add(c->o, ", ");
		put_aff(c, &x->iy);
	}
	text_char(c->o, ')');
}

/* prec: 0 anything, 1 an operand of + and -, 2 of * and / and the right of -, 3 something with a subscript */
static void put_expr(Print *c, int e, int prec)
{
	const Expr *x = &c->f->expr.at[e];
	int lanes = lanes_of(c, e);
	switch (x->op) {
	case E_CONST: put_const(c, x->k, lanes); return;
	case E_REG: put_reg(c, x->ref, &x->ix, &x->iy); return;
	case E_LOAD: put_load(c, x, lanes); return;
	case E_WORD: text_printf(c->o, "splat_i%d(%d)", lanes, (int)x->k); return;
	case E_WORDS:
		text_printf(c->o, "words%s_i%d(", x->masked ? "n" : "", lanes);
		put_place(c, x->ref, &x->ix);
		if (x->masked) {
			text_add(c->o, ", ");
			put_aff(c, &x->iy);
		}
		text_char(c->o, ')');
		return;
	case E_LANE:
		put_expr(c, x->a, lanes_of(c, x->a) == 1 ? prec : 3);
		if (lanes_of(c, x->a) > 1) text_printf(c->o, "[%d]", (int)x->k);
		return;
	case E_SPLAT:
		if (lanes == lanes_of(c, x->a))
			put_expr(c, x->a, prec);
		else
			put_word(c, x, lanes);
		return;
	case E_SHUF: put_shuffle(c, x, lanes, prec); return;
	case E_ADD:
	case E_SUB:
	case E_MUL:
	case E_DIV: put_infix(c, x, prec); return;
	default: put_word(c, x, lanes);
	}
}

/* --- statements --- */

static void put_declaration(Print *c, const Reg *r)
{
	text_printf(c->o, "%c%d ", r->words ? 'i' : 'v', r->lanes ? r->lanes : c->lanes);
	int n = r->d0 * r->d1;
	for (int i = 0; c->expand && n > 1 && i < n; i++) {
		text_add(c->o, i ? ", " : "");
		put_name(c, r->name);
		text_printf(c->o, "_%d", i / r->d1);
		if (r->d1 > 1) text_printf(c->o, "_%d", i % r->d1);
	}
	if (!c->expand || n == 1) put_name(c, r->name);
	if (!c->expand && n > 1) text_printf(c->o, "[%d]", r->d0);
	if (!c->expand && r->d1 > 1) text_printf(c->o, "[%d]", r->d1);
	text_char(c->o, ';');
}

static void put_store(Print *c, const Stmt *t)
{
	int lanes = lanes_of(c, t->expr);
	bool words = expr_words(c->f, t->expr), bytes = c->f->buf.at[t->ref].elem == ELEM_I8;
	if (lanes == 1 && !t->masked && !words && !bytes) {
		put_element(c, t->ref, &t->lo);
		text_add(c->o, " = ");
		put_expr(c, t->expr, 0);
		text_char(c->o, ';');
		return;
	}
	text_printf(c->o, "store%s_%c%d(", t->masked ? "n" : bytes ? "b" : "", words ? 'i' : 'v', lanes);
	put_place(c, t->ref, &t->lo);
	text_add(c->o, ", ");
	put_expr(c, t->expr, 0);
	if (t->masked) {
		text_add(c->o, ", ");
		put_aff(c, &t->hi);
	}
	text_add(c->o, ");");
}

static void put_paren(Print *c, const Aff *a)
{
	text_char(c->o, '(');
	put_aff(c, a);
	text_char(c->o, ')');
}

static void put_let(Print *c, const Stmt *t)
{
	text_add(c->o, "const int64_t ");
	put_name(c, c->f->var.at[t->var].name);
	text_add(c->o, " = ");
	switch (t->let) {
	case LET_IS: put_aff(c, &t->lo); break;
	case LET_LOAD: put_element(c, t->ref, &t->lo); break;
	case LET_MIN:
	case LET_MAX:
		put_paren(c, &t->lo);
		text_add(c->o, t->let == LET_MIN ? " < " : " > ");
		put_paren(c, &t->hi);
		text_add(c->o, " ? ");
		put_paren(c, &t->lo);
		text_add(c->o, " : ");
		put_paren(c, &t->hi);
		break;
	case LET_FLOOR:
	case LET_DIV:
		put_paren(c, &t->lo);
		text_printf(c->o, " / %d", t->step);
		if (t->let == LET_FLOOR) text_printf(c->o, " * %d", t->step);
		break;
	}
	text_char(c->o, ';');
}

static void put_call(Print *c, const Stmt *t)
{
	text_printf(c->o, "k_%s(", c->m->fn.at[c->same[t->ref]]->name);
	for (int i = 0; i < t->arg.n; i++) {
		const Arg *a = &t->arg.at[i];
		text_add(c->o, i ? ", " : "");
		if (a->buf >= 0)
			put_place(c, a->buf, &a->off);
		else
			put_aff(c, &a->off);
	}
	text_add(c->o, ");");
}

static void put_product(Print *c, const Stmt *t)
{
	text_printf(c->o, "mtl_gemm(%d, ", t->form);
	for (int i = 0; i < 3; i++) {
		put_place(c, t->arg.at[i].buf, &t->arg.at[i].off);
		text_printf(c->o, ", %d, ", t->ld[i]);
	}
	for (int i = 3; i < 6; i++) {
		put_aff(c, &t->arg.at[i].off);
		text_add(c->o, i < 5 ? ", " : ");");
	}
}

static void put_body(Print *c, int s, int tabs);

static void put_tabs(Print *c, int n)
{
	while (n-- > 0) text_char(c->o, '\t');
}

static void put_loop(Print *c, const Stmt *t, int tabs)
{
	Str v = c->f->var.at[t->var].name;
	if (t->op == S_UNROLL)
		text_printf(c->o, "#pragma GCC unroll %lld\n", ((long long)t->hi.c - t->lo.c) / t->step + 1);
	put_tabs(c, tabs);
	text_add(c->o, "for (int64_t ");
	put_name(c, v);
	text_add(c->o, " = ");
	put_aff(c, &t->lo);
	text_add(c->o, "; ");
	put_name(c, v);
	text_add(c->o, " < ");
	put_aff(c, &t->hi);
	text_add(c->o, "; ");
	put_name(c, v);
	text_printf(c->o, t->step == 1 ? "++) {\n" : " += %d) {\n", t->step);
	put_body(c, t->body, tabs + 1);
	put_tabs(c, tabs);
	text_add(c->o, "}\n");
}

static void put_turns(Print *c, const Stmt *t, int tabs)
{
	for (int64_t i = t->lo.c; i < t->hi.c; i += t->step) {
		c->turn[t->var] = i;
		put_body(c, t->body, tabs);
	}
}

static void put_stmt(Print *c, const Stmt *t)
{
	switch (t->op) {
	case S_REG: put_declaration(c, &c->f->reg.at[t->ref]); break;
	case S_SET:
		put_reg(c, t->ref, &t->lo, &t->hi);
		text_add(c->o, " = ");
		put_expr(c, t->expr, 0);
		text_char(c->o, ';');
		break;
	case S_STORE: put_store(c, t); break;
	case S_LET: put_let(c, t); break;
	case S_CALL: put_call(c, t); break;
	case S_PRODUCT: put_product(c, t); break;
	case S_PREFETCH:
		text_add(c->o, "prefetch(");
		put_name(c, c->f->buf.at[t->ref].name);
		text_add(c->o, ", ");
		put_aff(c, &t->lo);
		text_add(c->o, ");");
		break;
	default: break;
	}
	text_char(c->o, '\n');
}

static void put_body(Print *c, int s, int tabs)
{
	for (; s; s = c->f->stmt.at[s].next) {
		const Stmt *t = &c->f->stmt.at[s];
		if (c->f->value && t->op == S_REG && t->ref == 0) continue; /* the argument: a parameter */
		if (t->op == S_UNROLL && c->expand) {
			put_turns(c, t, tabs);
		} else if (t->op == S_FOR || t->op == S_UNROLL) {
			put_loop(c, t, tabs);
		} else {
			put_tabs(c, tabs);
			put_stmt(c, t);
		}
	}
}

/* --- functions --- */

static void put_note(Print *c)
{
	text_char(c->o, '\n');
	if (c->f->note && !strstr(c->f->note, "*/")) text_printf(c->o, "/* %s */\n", c->f->note);
}

/* In double precision a value function is libm's, lane by lane: runtime/value.c. */
static void put_judge(Print *c, int lanes)
{
	Str f = c->f->name;
	text_printf(c->o, "\ndouble mtl_value_%s(double x);\nWORD v%d %s_v%d(v%d x)\n{\n", f, lanes, f, lanes,
		    lanes);
	if (lanes == 1)
		text_printf(c->o, "\treturn mtl_value_%s(x);\n}\n", f);
	else
		text_printf(c->o,
			    "\tfor (int l = 0; l < %d; l++) x[l] = mtl_value_%s(x[l]);\n\treturn x;\n}\n",
			    lanes, f);
}

/* The vector function at one width. */
static void put_value(Print *c, int lanes)
{
	const Fn *f = c->f;
	c->lanes = lanes;
	put_note(c);
	text_printf(c->o, "WORD v%d %s_v%d(v%d ", lanes, f->name, lanes, lanes);
	put_name(c, f->reg.at[0].name);
	text_add(c->o, ")\n{\n");
	put_body(c, f->first, 1);
	text_add(c->o, "\treturn ");
	put_name(c, f->reg.at[1].name);
	text_add(c->o, ";\n}\n");
}

static const char *element_type(const Print *c, Elem e)
{
	static const char *const type[] = {"float", "i1", "h1", "b1"};
	return e == ELEM_F32 && c->m->f64 ? "double" : type[e];
}

static void put_parameters(Print *c)
{
	const Fn *f = c->f;
	const char *sep = "";
	for (int b = 0; b < f->n_param; b++, sep = ", ") {
		const Buf *p = &f->buf.at[b];
		text_printf(c->o, "%s%s%s *restrict ", sep, p->kind == BUF_IN ? "const " : "",
			    element_type(c, p->elem));
		put_name(c, p->name);
	}
	for (int v = 0; v < f->var.n; v++)
		if (f->var.at[v].kind == VAR_SIZE) {
			text_printf(c->o, "%sint64_t ", sep);
			put_name(c, f->var.at[v].name);
			sep = ", ";
		}
	if (!sep[0]) text_add(c->o, "void");
}

static void put_temps(Print *c)
{
	for (int b = c->f->n_param; b < c->f->buf.n; b++) {
		const Buf *t = &c->f->buf.at[b];
		const char *only = c->f->buf.at[t->home].kind == BUF_IN ? "const " : "";
		text_printf(c->o, "\t%s%s *const ", only, element_type(c, t->elem));
		put_name(c, t->name);
		text_printf(c->o, " = (%s%s *)(", only, element_type(c, t->elem));
		put_name(c, c->f->buf.at[t->home].name);
		text_printf(c->o, " + %lld);\n", (long long)t->at);
	}
}

static void put_function(Print *c)
{
	put_note(c);
	text_printf(c->o, "static void k_%s(", c->f->name);
	put_parameters(c);
	text_add(c->o, ")\n{\n");
	put_temps(c);
	put_body(c, c->f->first, 1);
	text_add(c->o, "}\n");
}

static void put_entry(Print *c, int index)
{
	const Fn *f = c->f;
	int n = 0;
	text_printf(c->o, "\nvoid %s_%s(void *const *buf, const int64_t *size)\n{\n", c->m->name, f->name);
	text_printf(c->o, "\tk_%s(", c->m->fn.at[c->same[index]]->name);
	for (int b = 0; b < f->n_param; b++) text_printf(c->o, "%sbuf[%d]", b ? ", " : "", b);
	for (int v = 0; v < f->var.n; v++)
		if (f->var.at[v].kind == VAR_SIZE) {
			text_printf(c->o, "%ssize[%d]", f->n_param || n ? ", " : "", n);
			n++;
		}
	text_add(c->o, ");\n");
	text_add(c->o, f->n_param ? "" : "\t(void)buf;\n");
	text_add(c->o, n ? "}\n" : "\t(void)size;\n}\n");
}

/*
 * The widths at which each value function is called, as bits.  Calls go to earlier functions, so from the
 * last to the first all callers of a function are seen before it.
 */
static void find_widths(const Mod *m, int *widths)
{
	for (int i = m->fn.n - 1; i >= 0; i--) {
		const Fn *f = m->fn.at[i];
		for (int e = 1; e < f->expr.n; e++) {
			const Expr *x = &f->expr.at[e];
			if (x->op == E_CALL) widths[x->ref] |= x->lanes ? x->lanes : widths[i];
		}
	}
}

void emit_c(const Mod *m, Text *out, bool expand)
{
	Arena *arena = arena_create();
	const int *same = mod_same(arena, m);
	int *widths = arena_new(arena, int, m->fn.n);
	find_widths(m, widths);
	text_printf(out, "/* %s: vectors of %d lanes.  Compile with -O2 -ffp-contract=off. */\n", m->name,
		    m->W);
	text_add(out, m->f64 ? mtl_vec64_text : mtl_vec_text);
	const char *real = m->f64 ? "double" : "float";
	if (m->blas)
		text_printf(out,
			    "\n/* runtime/gemm.c */\nvoid mtl_gemm(int form, %s *c, int64_t ldc, const %s "
			    "*a, int64_t lda,\n"
			    "\t      const %s *b, int64_t ldb, int64_t m, int64_t n, int64_t k);\n",
			    real, real, real);
	for (int i = 0; i < m->fn.n; i++) {
		Print c = {.m = m, .f = m->fn.at[i], .o = out, .expand = expand, .same = same};
		c.now = c.turn = arena_new(arena, int64_t, c.f->var.n);
		for (int n = 1; c.f->value && n <= m->W; n *= 2)
			if (widths[i] & n) (m->f64 && c.f->judge ? put_judge : put_value)(&c, n);
		if (!c.f->value && same[i] == i) put_function(&c);
		if (c.f->exported) put_entry(&c, i);
	}
	arena_destroy(arena);
}
