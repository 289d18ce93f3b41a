/*
 * What an emitter may rely on.  A broken form is told in lines, never followed: first the links and numbers
 * of a function, then (if these are sound) lanes, scopes and bounds, then which register elements are set
 * when read.
 *
 *   links       operands and followers have larger or smaller indices, each used once: trees, no circles
 *   lanes       powers of two, at most W, agreeing; no fma where the variant has none
 *   variables   defined by one statement, read in its scope; registers subscripted by unrolled ones only
 *   registers   declared once, live, every element set before it is read; a set inside a `for` ends with it
 *   memory      no store into an input or into integers; an index known to be outside is refused
 *   temps       at a multiple of 16 in a writable parameter, inside it where its size is known
 *   words       go where words are wanted, and nowhere else; narrow elements are those of views
 *   calls       to earlier functions only; arguments fit; nothing written is passed twice
 *   products    where the variant has them; rows do not overlap; the result is none of the factors
 *   unroll      at most 256 turns, 4096 with those around it, no `reg` or `let` directly inside
 *
 * An index that depends on a size or a loaded integer is left to the interpreter.
 */
#include "ir/loop.h"
#include <ctype.h>
#include <math.h>

enum { MAX_LANES = 16, MAX_UNROLL = 256, MAX_TURNS = 4096, MAX_ELEMENTS = 1024 };
static const int64_t FAR = (int64_t)1 << 60; /* an unknown end of a range */

/* tight: both ends are reached in some run, as far as one can see; top: the upper end is. */
typedef struct {
	int64_t lo, hi;
	bool tight, top;
} Range;

typedef struct {
	const Mod *m;
	int index; /* of the function */
	const Fn *f;
	Arena *arena;
	Text *out;
	int faults;
	const bool *sound; /* by function: links hold */
	bool *in_scope;	   /* by variable */
	Range *range;
	int64_t *now;  /* value of an unrolled variable */
	bool *live;    /* by register */
	bool **set;    /* by register, by element */
	int dead;      /* depth of loops that never turn */
	int64_t turns; /* of the unrolled bodies around */
} Check;

__attribute__((format(printf, 2, 3))) static void fault(Check *c, const char *fmt, ...)
{
	c->faults++;
	if (!c->out) return;
	va_list ap;
	va_start(ap, fmt);
	text_printf(c->out, "%s: ", c->f->name ? c->f->name : "?");
	text_vprintf(c->out, fmt, ap);
	text_char(c->out, '\n');
	va_end(ap);
}
#define NEED(condition, ...)                                                                                 \
	({                                                                                                   \
		bool holds_ = (condition);                                                                   \
		if (!holds_) fault(c, __VA_ARGS__);                                                          \
		holds_;                                                                                      \
	})

static bool power_of_two(int n) { return n >= 1 && n <= MAX_LANES && !(n & (n - 1)); }

/* --- links and numbers --- */

static bool name_ok(Check *c, Str name, const char *what, int i)
{
	bool ok = name && (isalpha((unsigned char)name[0]) || name[0] == '_');
	for (int k = 0; ok && name[k]; k++) ok = isalnum((unsigned char)name[k]) || name[k] == '_';
	return NEED(ok, "%s %d has no proper name", what, i);
}

static bool buf_ok(Check *c, int i)
{
	const Fn *f = c->f;
	const Buf *b = &f->buf.at[i];
	if (!name_ok(c, b->name, "buffer", i)) return false;
	bool ok = NEED(b->kind <= BUF_VIEW && b->elem <= ELEM_I8 && b->size >= 0 && b->size < FAR,
		       "%s: kind or size", b->name);
	if (!ok || i < f->n_param)
		return ok && NEED(b->kind < BUF_TEMP, "%s: a temp among the parameters", b->name) &&
		       NEED(b->elem <= ELEM_I32, "%s: narrow, and no view", b->name);
	if (!NEED(b->kind >= BUF_TEMP, "%s: a parameter among the temps", b->name) ||
	    !NEED(b->home >= 0 && b->home < f->n_param, "%s: no home", b->name))
		return false;
	const Buf *home = &f->buf.at[b->home];
	if (b->kind == BUF_VIEW)
		return NEED(home->elem == ELEM_F32 && b->elem > ELEM_I32 && !c->m->f64, "%s: no view of %s",
			    b->name, home->name) &&
		       NEED(!b->size && b->at >= 0 && b->at < FAR, "%s: size or place", b->name);
	if (!NEED(b->elem <= ELEM_I32, "%s: narrow, and no view", b->name)) return false;
	return NEED(home->kind != BUF_IN, "%s: lives in the input %s", b->name, home->name) &&
	       NEED(home->elem == ELEM_F32 || home->elem == b->elem, "%s: lives in integers", b->name) &&
	       NEED(b->size > 0, "%s: a temp without size", b->name) &&
	       NEED(b->at >= 0 && b->at < FAR && b->at % 16 == 0, "%s: at %lld, not a multiple of 16",
		    b->name, (long long)b->at) &&
	       NEED(!home->size || b->at + b->size <= home->size, "%s: ends beyond %s", b->name, home->name);
}

static bool reg_ok(Check *c, int i)
{
	const Reg *r = &c->f->reg.at[i];
	if (!name_ok(c, r->name, "register", i)) return false;
	bool ok = c->f->value ? r->lanes == 0 : power_of_two(r->lanes) && r->lanes <= c->m->W;
	return NEED(ok, "register %s has %d lanes", r->name, r->lanes) &&
	       NEED(r->d0 >= 1 && r->d1 >= 1 && r->d0 <= MAX_ELEMENTS && r->d1 <= MAX_ELEMENTS &&
			r->d0 * r->d1 <= MAX_ELEMENTS,
		    "register %s has [%d][%d] elements", r->name, r->d0, r->d1);
}

static bool aff_ok(Check *c, const Aff *a)
{
	if (!NEED(a->n >= 0 && a->n <= AFF_TERMS, "an index of %d terms", a->n)) return false;
	for (int i = 0; i < a->n; i++)
		if (!NEED(a->t[i].var >= 0 && a->t[i].var < c->f->var.n, "an index names variable %d",
			  a->t[i].var))
			return false;
	return true;
}

static bool within(int i, int n) { return i >= 0 && i < n; }

static bool expr_ok(Check *c, int e, bool *used)
{
	const Fn *f = c->f;
	const Expr *x = &f->expr.at[e];
	if (!NEED(x->op > E_NONE && x->op < E_N, "expression %d is %d", e, x->op)) return false;
	const int arg[4] = {x->a, x->b, x->c, x->d};
	for (int i = 0; i < expr_args[x->op]; i++) {
		if (!NEED(arg[i] > 0 && arg[i] < e, "expression %d has operand %d", e, arg[i]) ||
		    !NEED(!used[arg[i]], "expression %d is used twice", arg[i]))
			return false;
		used[arg[i]] = true;
	}
	bool reads = x->op == E_LOAD || x->op == E_WORDS;
	int refs = x->op == E_REG ? f->reg.n : reads ? f->buf.n : x->op == E_CALL ? c->index : 1;
	return NEED(refs == 1 || within(x->ref, refs), "%s refers to %d", expr_name[x->op], x->ref) &&
	       NEED(!reads || within(x->ref, f->buf.n), "load from %d", x->ref) &&
	       NEED(x->op != E_REG || within(x->ref, f->reg.n), "reg %d", x->ref) &&
	       NEED(x->op != E_CALL || within(x->ref, c->index), "call of %d", x->ref) &&
	       NEED(x->op != E_SHUF || x->pat, "shuf without a pattern") && aff_ok(c, &x->ix) &&
	       aff_ok(c, &x->iy);
}

static bool link_ok(Check *c, int from, int to, bool *used)
{
	if (!to) return true;
	if (!NEED(to > from && to < c->f->stmt.n, "statement %d leads to %d", from, to) ||
	    !NEED(!used[to], "statement %d is reached twice", to))
		return false;
	return used[to] = true;
}

static int refs_of(Check *c, const Stmt *t)
{
	switch (t->op) {
	case S_REG:
	case S_SET: return c->f->reg.n;
	case S_STORE:
	case S_PREFETCH: return c->f->buf.n;
	case S_LET: return t->let == LET_LOAD ? c->f->buf.n : -1;
	case S_CALL: return c->index;
	default: return -1;
	}
}

static bool stmt_ok(Check *c, int s, bool *used, bool *used_expr, bool *defined)
{
	const Fn *f = c->f;
	const Stmt *t = &f->stmt.at[s];
	static const VarKind kind[] = {[S_FOR] = VAR_LOOP, [S_UNROLL] = VAR_UNROLL, [S_LET] = VAR_LET};
	if (!NEED(t->op > S_NONE && t->op <= S_PRODUCT && t->let <= LET_LOAD, "statement %d is %d", s,
		  t->op) ||
	    !link_ok(c, s, t->next, used) || !aff_ok(c, &t->lo) || !aff_ok(c, &t->hi))
		return false;
	bool loop = t->op == S_FOR || t->op == S_UNROLL;
	if (loop && !link_ok(c, s, t->body, used)) return false;
	if (loop || t->op == S_LET) {
		if (!NEED(within(t->var, f->var.n) && f->var.at[t->var].kind == kind[t->op],
			  "statement %d: variable %d", s, t->var) ||
		    !NEED(!defined[t->var], "%s is defined twice", f->var.at[t->var].name) ||
		    !NEED(t->step > 0, "%s: step %d", f->var.at[t->var].name, t->step))
			return false;
		defined[t->var] = true;
	}
	int refs = refs_of(c, t);
	if (refs >= 0 && !NEED(within(t->ref, refs), "statement %d refers to %d", s, t->ref)) return false;
	if (t->op == S_SET || t->op == S_STORE) {
		if (!NEED(t->expr > 0 && t->expr < f->expr.n, "statement %d has expression %d", s, t->expr) ||
		    !NEED(!used_expr[t->expr], "expression %d is used twice", t->expr))
			return false;
		used_expr[t->expr] = true;
	}
	if (!NEED(t->arg.n >= 0 && t->arg.n <= t->arg.cap, "statement %d: %d arguments", s, t->arg.n))
		return false;
	if (t->op == S_PRODUCT && !NEED(t->arg.n == 6, "product of %d arguments, not 6", t->arg.n))
		return false;
	for (int i = 0; (t->op == S_CALL || t->op == S_PRODUCT) && i < t->arg.n; i++)
		if (!aff_ok(c, &t->arg.at[i].off) ||
		    !NEED(t->arg.at[i].buf >= -1 && t->arg.at[i].buf < f->buf.n, "argument %d is %d", i,
			  t->arg.at[i].buf))
			return false;
	return true;
}

static bool value_ok(Check *c)
{
	const Fn *f = c->f;
	if (!f->value) return true;
	if (!NEED(f->reg.n >= 2 && !f->buf.n && !f->exported,
		  "a value function has two registers and no buffers"))
		return false;
	for (int v = 0; v < f->var.n; v++)
		if (!NEED(f->var.at[v].kind == VAR_UNROLL, "a value function has only unrolled variables"))
			return false;
	return NEED(f->reg.at[0].d0 == 1 && f->reg.at[0].d1 == 1 && f->reg.at[1].d0 == 1 &&
			f->reg.at[1].d1 == 1,
		    "argument and result are single vectors");
}

static bool sane(int n, int cap) { return n >= 0 && n <= cap; }

static bool links_hold(Check *c)
{
	const Fn *f = c->f;
	bool counted = sane(f->var.n, f->var.cap) && sane(f->buf.n, f->buf.cap) &&
		       sane(f->reg.n, f->reg.cap) && sane(f->expr.n, f->expr.cap) &&
		       sane(f->stmt.n, f->stmt.cap);
	if (!NEED(counted, "counts") || !NEED(f->name && f->name[0], "no name") ||
	    !NEED(f->open.n == 1, "a body is left open") ||
	    !NEED(f->n_param >= 0 && f->n_param <= f->buf.n && f->expr.n >= 1 && f->stmt.n >= 1, "counts") ||
	    !NEED(f->first >= 0 && f->first < f->stmt.n, "starts at statement %d", f->first))
		return false;
	bool ok = true;
	for (int v = 0; v < f->var.n; v++)
		ok &= name_ok(c, f->var.at[v].name, "variable", v) &&
		      NEED(f->var.at[v].kind <= VAR_LET, "variable %d", v);
	for (int b = 0; b < f->buf.n; b++) ok &= buf_ok(c, b);
	for (int r = 0; r < f->reg.n; r++) ok &= reg_ok(c, r);
	bool *used_expr = arena_new(c->arena, bool, f->expr.n), *used = arena_new(c->arena, bool, f->stmt.n);
	bool *defined = arena_new(c->arena, bool, f->var.n);
	for (int e = 1; e < f->expr.n; e++) ok &= expr_ok(c, e, used_expr);
	used[f->first] = true;
	for (int s = 1; s < f->stmt.n; s++) ok &= stmt_ok(c, s, used, used_expr, defined);
	return ok && value_ok(c);
}

/* --- ranges --- */

static int64_t clip(int64_t x) { return x < -FAR ? -FAR : x > FAR ? FAR : x; }

static int64_t times(int64_t bound, int32_t mul)
{
	int64_t p;
	if (bound <= -FAR || bound >= FAR || __builtin_mul_overflow(bound, (int64_t)mul, &p))
		return (bound < 0) == (mul < 0) ? FAR : -FAR;
	return clip(p);
}

static int64_t plus(int64_t a, int64_t b)
{
	if (a <= -FAR || b <= -FAR) return -FAR;
	return a >= FAR || b >= FAR ? FAR : clip(a + b);
}

/* The values an index can take; every variable must be in scope. */
static Range range_of(Check *c, const Aff *a)
{
	Range r = {a->c, a->c, true, true};
	for (int i = 0; i < a->n; i++) {
		int v = a->t[i].var;
		int32_t mul = a->t[i].mul;
		NEED(c->in_scope[v], "%s is read out of its scope", c->f->var.at[v].name);
		if (!mul) continue;
		const Range *x = &c->range[v];
		/* FAR + -FAR: unknown at either end */
		r.lo = plus(r.lo, times(mul > 0 ? x->lo : x->hi, mul));
		int64_t up = times(mul > 0 ? x->hi : x->lo, mul);
		r.hi = r.hi >= FAR || up >= FAR ? FAR : plus(r.hi, up);
		r.tight &= x->tight;
		r.top = a->n == 1 && mul > 0 && x->top;
	}
	r.top |= r.tight;
	return r;
}

static void check_memory(Check *c, int buf, const Aff *ix, int lanes, const Aff *count)
{
	const Buf *b = &c->f->buf.at[buf];
	Range i = range_of(c, ix), n = {lanes, lanes, true, true};
	if (count) {
		n = range_of(c, count);
		n.hi = n.hi < lanes ? n.hi : lanes;
		n.lo = n.lo < lanes ? n.lo : lanes;
	}
	if (c->dead || n.hi <= 0) return;
	/* Not tight: only what is outside for every value is surely wrong. */
	int64_t first = i.tight ? i.lo : i.hi, last = i.tight ? i.hi : i.lo, width = n.tight ? n.hi : n.lo;
	NEED(first >= 0, "%s[%lld]", b->name, (long long)first);
	NEED(!b->size || width <= 0 || plus(last, width) <= b->size, "%s[%lld .. %lld) of %lld", b->name,
	     (long long)last, (long long)plus(last, width), (long long)b->size);
}

static void check_subscript(Check *c, const Reg *g, const Aff *a, int d)
{
	for (int i = 0; i < a->n; i++)
		if (!NEED(c->f->var.at[a->t[i].var].kind == VAR_UNROLL, "%s: subscript %s is not unrolled",
			  g->name, c->f->var.at[a->t[i].var].name))
			return;
	Range r = range_of(c, a);
	NEED(r.lo >= 0 && r.hi < d, "%s: subscript %lld .. %lld of %d", g->name, (long long)r.lo,
	     (long long)r.hi, d);
}

static void check_reg(Check *c, int r, const Aff *i, const Aff *j)
{
	const Reg *g = &c->f->reg.at[r];
	NEED(c->live[r], "register %s is not live", g->name);
	check_subscript(c, g, i, g->d0);
	check_subscript(c, g, j, g->d1);
}

/* --- expressions --- */

static void check_operation(Check *c, const Expr *x)
{
	const Fn *f = c->f;
	switch (x->op) {
	case E_REG:
		check_reg(c, x->ref, &x->ix, &x->iy);
		NEED(f->reg.at[x->ref].lanes == x->lanes, "%s has not %d lanes", f->reg.at[x->ref].name,
		     x->lanes);
		break;
	case E_LOAD:
		NEED(!x->masked || f->buf.at[x->ref].elem <= ELEM_I32, "some lanes of %s",
		     f->buf.at[x->ref].name);
		check_memory(c, x->ref, &x->ix, x->lanes, x->masked ? &x->iy : NULL);
		break;
	case E_WORDS: {
		Elem of = f->buf.at[x->ref].elem;
		NEED(of != ELEM_I32 && !c->m->f64 && (!x->masked || of == ELEM_F32), "words of %s",
		     f->buf.at[x->ref].name);
		check_memory(c, x->ref, &x->ix,
			     x->lanes * (of == ELEM_I8	   ? 4
					 : of == ELEM_BF16 ? 2
							   : 1),
			     x->masked ? &x->iy : NULL);
		break;
	}
	case E_WORD: NEED(x->k == (int32_t)x->k, "word(%g)", x->k); break;
	case E_PAIR:
	case E_QUAD:
	case E_DOT4: NEED(!c->m->f64, "%s in double precision", expr_name[x->op]); break;
	case E_KEEP: range_of(c, &x->iy); break;
	case E_LANE:
		NEED(x->lanes == 1 && x->k == floor(x->k) && x->k >= 0 && x->k < f->expr.at[x->a].lanes,
		     "lane %g of %d", x->k, f->expr.at[x->a].lanes);
		break;
	case E_SHUF:
		for (int l = 0; l < x->lanes; l++)
			NEED(x->pat[l] < 2 * x->lanes, "shuf: lane %d of two vectors of %d", x->pat[l],
			     x->lanes);
		break;
	case E_CALL: NEED(c->sound[x->ref] && c->m->fn.at[x->ref]->value, "calls no value function"); break;
	case E_FMA: NEED(c->m->fma, "fma in a variant without it"); break;
	default: break;
	}
}

static bool wants_words(ExprOp op)
{
	return op == E_LOW || op == E_WHOLE || op == E_INT || op == E_DOT4 || op == E_WSUB;
}

static void check_expr(Check *c, int e)
{
	const Expr *x = &c->f->expr.at[e];
	const int arg[4] = {x->a, x->b, x->c, x->d};
	bool memory = x->op == E_LOAD || x->op == E_KEEP || x->op == E_LANE || x->op == E_SHUF ||
		      x->op == E_SPLAT || x->op >= E_WORD;
	if (c->f->value) {
		if (!NEED(x->lanes == 0 && !memory, "%s in a value function", expr_name[x->op])) return;
	} else if (!NEED(power_of_two(x->lanes) && x->lanes <= c->m->W, "%s has %d lanes", expr_name[x->op],
			 x->lanes))
		return;
	for (int i = 0; i < expr_args[x->op]; i++) {
		int has = c->f->expr.at[arg[i]].lanes;
		bool fits = x->op == E_LANE || has == x->lanes || (x->op == E_SPLAT && has < x->lanes);
		check_expr(c, arg[i]);
		NEED(x->op == E_SPLAT || expr_words(c->f, arg[i]) == wants_words(x->op),
		     "%s: an operand is %s", expr_name[x->op], expr_words(c->f, arg[i]) ? "words" : "floats");
		NEED(fits, "%s: an operand has %d lanes, not %d", expr_name[x->op], has, x->lanes);
	}
	check_operation(c, x);
}

/* --- statements --- */

static void check_body(Check *c, int s, bool unrolled);

/* A loop's variable: from lo by step, below hi. */
static Range loop_range(Range lo, Range hi, int step)
{
	Range r = {lo.lo, hi.hi < FAR ? hi.hi - 1 : FAR, false, false};
	r.tight = r.top = lo.tight && hi.top && r.lo > -FAR && r.hi < FAR;
	if (r.tight && lo.lo == lo.hi && hi.lo == hi.hi && r.hi > r.lo)
		r.hi = r.lo + (r.hi - r.lo) / step * step;
	return r;
}

static bool check_unroll(Check *c, const Stmt *t)
{
	const char *name = c->f->var.at[t->var].name;
	if (!NEED(!t->lo.n && !t->hi.n, "unroll %s: bounds are not constant", name)) return false;
	int64_t turns = ((int64_t)t->hi.c - t->lo.c + t->step - 1) / t->step;
	c->turns *= turns > 1 ? turns : 1;
	return NEED(turns <= MAX_UNROLL, "unroll %s: more than %d turns", name, MAX_UNROLL) &&
	       NEED(c->turns <= MAX_TURNS, "unroll %s: more than %d turns with those around it", name,
		    MAX_TURNS);
}

static void check_loop(Check *c, const Stmt *t)
{
	Range lo = range_of(c, &t->lo), hi = range_of(c, &t->hi);
	int64_t turns = c->turns;
	bool dead = hi.hi <= lo.lo;
	if (t->op == S_UNROLL && !check_unroll(c, t)) return;
	c->range[t->var] = loop_range(lo, hi, t->step);
	c->in_scope[t->var] = true;
	c->dead += dead;
	check_body(c, t->body, t->op == S_UNROLL);
	c->dead -= dead;
	c->in_scope[t->var] = false;
	c->turns = turns;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static void check_let(Check *c, const Stmt *t)
{
	Range a = range_of(c, &t->lo), b = range_of(c, &t->hi), r = a;
	switch (t->let) {
	case LET_IS: break;
	case LET_MIN:
		r = (Range){least(a.lo, b.lo), least(a.hi, b.hi), false, a.hi < b.hi ? a.top : b.top};
		break;
	case LET_MAX: r = (Range){most(a.lo, b.lo), most(a.hi, b.hi), false, false}; break;
	case LET_FLOOR: r = (Range){0, a.hi, false, false}; break;
	case LET_DIV: r = (Range){0, a.hi < FAR ? a.hi / t->step : FAR, false, false}; break;
	case LET_LOAD:
		r = (Range){-FAR, FAR, false, false};
		check_memory(c, t->ref, &t->lo, 1, NULL);
		NEED(c->f->buf.at[t->ref].elem == ELEM_I32, "%s: loaded from floats",
		     c->f->var.at[t->var].name);
		break;
	}
	c->range[t->var] = r;
	c->in_scope[t->var] = true;
}

static void check_store(Check *c, const Stmt *t)
{
	const Buf *b = &c->f->buf.at[t->ref];
	BufKind kind = b->kind == BUF_VIEW ? c->f->buf.at[b->home].kind : b->kind;
	check_expr(c, t->expr);
	check_memory(c, t->ref, &t->lo, c->f->expr.at[t->expr].lanes, t->masked ? &t->hi : NULL);
	NEED(kind != BUF_IN, "store into the input %s", b->name);
	NEED(b->elem == ELEM_F32 || b->elem == ELEM_I8, "store into %s", b->name);
	NEED(!expr_words(c->f, t->expr) || b->elem == ELEM_F32, "%s gets words", b->name);
	NEED(b->elem != ELEM_I8 || !t->masked, "%s gets some lanes of bytes", b->name);
}

static bool same_aff(const Aff *a, const Aff *b)
{
	bool same = a->c == b->c && a->n == b->n;
	for (int i = 0; same && i < a->n; i++)
		same = a->t[i].var == b->t[i].var && a->t[i].mul == b->t[i].mul;
	return same;
}

/* Two arguments that share memory: the same place, or two temps laid over each other. */
static bool overlap(const Fn *f, const Arg *a, const Arg *b)
{
	if (a->buf == b->buf) return same_aff(&a->off, &b->off);
	const Buf *x = &f->buf.at[a->buf], *y = &f->buf.at[b->buf];
	return x->kind == BUF_TEMP && y->kind == BUF_TEMP && x->home == y->home && x->at < y->at + y->size &&
	       y->at < x->at + x->size;
}

static void check_argument(Check *c, const Fn *g, const Stmt *t, int i)
{
	const Arg *a = &t->arg.at[i];
	Range off = range_of(c, &a->off);
	if (!NEED((i < g->n_param) == (a->buf >= 0), "call of %s: argument %d is %s", g->name, i,
		  a->buf < 0 ? "a size" : "a buffer") ||
	    a->buf < 0)
		return;
	const Buf *to = &g->buf.at[i], *from = &c->f->buf.at[a->buf];
	NEED(to->elem == from->elem && from->kind != BUF_VIEW, "call of %s: %s has other elements", g->name,
	     from->name);
	NEED(to->kind == BUF_IN || from->kind != BUF_IN, "call of %s: writes the input %s", g->name,
	     from->name);
	int64_t first = off.tight ? off.lo : off.hi, last = off.tight ? off.hi : off.lo;
	NEED(c->dead || first >= 0, "call of %s: %s + %lld", g->name, from->name, (long long)first);
	NEED(c->dead || !from->size || plus(last, to->size) <= from->size,
	     "call of %s: %s + %lld ends beyond %lld", g->name, from->name, (long long)last,
	     (long long)from->size);
	for (int k = 0; k < i && k < g->n_param; k++)
		if (t->arg.at[k].buf >= 0 && (to->kind != BUF_IN || g->buf.at[k].kind != BUF_IN))
			NEED(!overlap(c->f, a, &t->arg.at[k]), "call of %s: arguments %d and %d overlap",
			     g->name, k, i);
}

static void check_call(Check *c, const Stmt *t)
{
	if (!NEED(c->sound[t->ref] && !c->m->fn.at[t->ref]->value, "calls no sound function")) return;
	const Fn *g = c->m->fn.at[t->ref];
	int n = g->n_param;
	for (int v = 0; v < g->var.n; v++) n += g->var.at[v].kind == VAR_SIZE;
	if (NEED(t->arg.n == n, "call of %s: %d arguments, not %d", g->name, t->arg.n, n))
		for (int i = 0; i < n; i++) check_argument(c, g, t, i);
}

/* A matrix of a product: its first and its last element. */
static void check_matrix(Check *c, const Stmt *t, int which, int rows, int columns, bool turned)
{
	const Arg *a = &t->arg.at[which];
	if (!NEED(a->buf >= 0, "product: matrix %d is a size", which)) return;
	const Buf *b = &c->f->buf.at[a->buf];
	Aff high = t->arg.at[turned ? columns : rows].off, wide = t->arg.at[turned ? rows : columns].off;
	Range w = range_of(c, &wide);
	NEED(b->elem == ELEM_F32 && b->kind != BUF_VIEW, "product: %s holds no floats", b->name);
	NEED(which || b->kind != BUF_IN, "product: writes the input %s", b->name);
	NEED(t->ld[which] > 0 && (c->dead || w.lo <= t->ld[which]), "product: rows of %s overlap", b->name);
	check_memory(c, a->buf, &a->off, 1, NULL);
	if (c->dead || high.n || wide.n) return; /* of unknown size: the interpreter looks */
	Range off = range_of(c, &a->off);
	int64_t end = plus(off.tight ? off.hi : off.lo, ((int64_t)high.c - 1) * t->ld[which] + wide.c);
	NEED(!b->size || end <= b->size, "product: %s ends at %lld of %lld", b->name, (long long)end,
	     (long long)b->size);
}

static void check_product(Check *c, const Stmt *t)
{
	if (!NEED(c->m->blas, "product in a variant without it")) return;
	for (int i = 3; i < 6; i++) {
		Range n = range_of(c, &t->arg.at[i].off);
		NEED(t->arg.at[i].buf < 0, "product: argument %d is a buffer", i);
		NEED(c->dead || n.hi >= 0, "product: size %lld", (long long)n.hi);
	}
	NEED(t->form >= 0 && t->form < 8, "product of form %d", t->form);
	check_matrix(c, t, 0, 3, 4, false);
	check_matrix(c, t, 1, 3, 5, t->form & PRODUCT_A_TURNED);
	check_matrix(c, t, 2, 5, 4, t->form & PRODUCT_B_TURNED);
	for (int i = 1; i < 3; i++)
		if (t->arg.at[0].buf >= 0 && t->arg.at[i].buf >= 0)
			NEED(!overlap(c->f, &t->arg.at[0], &t->arg.at[i]), "product: the result is a factor");
}

static void check_stmt(Check *c, const Stmt *t, bool unrolled)
{
	const Fn *f = c->f;
	bool pure = t->op == S_REG || t->op == S_SET || t->op == S_UNROLL;
	if (!NEED(pure || !f->value, "only registers in a value function")) return;
	NEED(!unrolled || (t->op != S_REG && t->op != S_LET), "%s directly under unroll",
	     t->op == S_REG ? "reg" : "let");
	switch (t->op) {
	case S_FOR:
	case S_UNROLL: check_loop(c, t); break;
	case S_REG:
		NEED(!c->live[t->ref], "register %s is declared twice", f->reg.at[t->ref].name);
		c->live[t->ref] = true;
		break;
	case S_SET:
		check_expr(c, t->expr);
		check_reg(c, t->ref, &t->lo, &t->hi);
		NEED(f->expr.at[t->expr].lanes == f->reg.at[t->ref].lanes, "%s gets %d lanes",
		     f->reg.at[t->ref].name, f->expr.at[t->expr].lanes);
		NEED(expr_words(f, t->expr) == f->reg.at[t->ref].words, "%s gets %s", f->reg.at[t->ref].name,
		     f->reg.at[t->ref].words ? "floats" : "words");
		break;
	case S_STORE: check_store(c, t); break;
	case S_LET: check_let(c, t); break;
	case S_CALL: check_call(c, t); break;
	case S_PRODUCT: check_product(c, t); break;
	case S_PREFETCH: range_of(c, &t->lo); break;
	default: break;
	}
}

/* What a body declares ends with it. */
static void check_body(Check *c, int first, bool unrolled)
{
	for (int s = first; s; s = c->f->stmt.at[s].next) check_stmt(c, &c->f->stmt.at[s], unrolled);
	for (int s = first; s; s = c->f->stmt.at[s].next) {
		const Stmt *t = &c->f->stmt.at[s];
		if (t->op == S_LET) c->in_scope[t->var] = false;
		if (t->op == S_REG) c->live[t->ref] = false;
	}
}

/* --- which register elements are set: unrolled bodies turn by turn, others once --- */

static int64_t subscript(const Check *c, const Aff *a)
{
	int64_t s = a->c;
	for (int i = 0; i < a->n; i++) s += c->now[a->t[i].var] * a->t[i].mul;
	return s;
}

static bool *element(const Check *c, int r, const Aff *i, const Aff *j)
{
	return &c->set[r][subscript(c, i) * c->f->reg.at[r].d1 + subscript(c, j)];
}

static void read_expr(Check *c, int e)
{
	const Expr *x = &c->f->expr.at[e];
	const int arg[4] = {x->a, x->b, x->c, x->d};
	for (int i = 0; i < expr_args[x->op]; i++) read_expr(c, arg[i]);
	if (x->op != E_REG) return;
	bool *seen = element(c, x->ref, &x->ix, &x->iy);
	NEED(*seen, "%s[%lld][%lld] is read before it is set", c->f->reg.at[x->ref].name,
	     (long long)subscript(c, &x->ix), (long long)subscript(c, &x->iy));
	*seen = true; /* one fault each */
}

static void forget(Check *c, int r)
{
	const Reg *g = &c->f->reg.at[r];
	for (int i = 0; i < g->d0 * g->d1; i++) c->set[r][i] = c->f->value && r == 0;
}

static void read_body(Check *c, int s);

/* A `for` may turn zero times: what it sets is forgotten after it. */
static void read_for(Check *c, const Stmt *t, const bool *all, size_t n)
{
	bool *before = arena_new(c->arena, bool, n);
	for (size_t i = 0; i < n; i++) before[i] = all[i];
	read_body(c, t->body);
	for (size_t i = 0; i < n; i++) c->set[0][i] = before[i];
}

static size_t elements(const Fn *f)
{
	size_t n = 0;
	for (int r = 0; r < f->reg.n; r++) n += (size_t)(f->reg.at[r].d0 * f->reg.at[r].d1);
	return n;
}

static void read_body(Check *c, int s)
{
	for (; s && c->faults < 100; s = c->f->stmt.at[s].next) {
		const Stmt *t = &c->f->stmt.at[s];
		switch (t->op) {
		case S_UNROLL:
			for (int64_t i = t->lo.c; i < t->hi.c; i += t->step) {
				c->now[t->var] = i;
				read_body(c, t->body);
			}
			break;
		case S_FOR:
			if (c->f->reg.n)
				read_for(c, t, c->set[0], elements(c->f));
			else
				read_body(c, t->body);
			break;
		case S_REG: forget(c, t->ref); break;
		case S_SET:
			read_expr(c, t->expr);
			*element(c, t->ref, &t->lo, &t->hi) = true;
			break;
		case S_STORE: read_expr(c, t->expr); break;
		default: break;
		}
	}
}

/* --- one function, all functions --- */

static void check_meaning(Check *c)
{
	const Fn *f = c->f;
	int before = c->faults;
	c->in_scope = arena_new(c->arena, bool, f->var.n);
	c->range = arena_new(c->arena, Range, f->var.n);
	c->now = arena_new(c->arena, int64_t, f->var.n);
	c->live = arena_new(c->arena, bool, f->reg.n);
	c->set = arena_new(c->arena, bool *, f->reg.n);
	bool *all = arena_new(c->arena, bool, elements(f));
	for (int r = 0; r < f->reg.n; all += f->reg.at[r].d0 * f->reg.at[r].d1, r++) c->set[r] = all;
	for (int v = 0; v < f->var.n; v++) {
		c->in_scope[v] = f->var.at[v].kind == VAR_SIZE;
		c->range[v] = (Range){0, FAR, false, false};
	}
	c->turns = 1;
	check_body(c, f->first, false);
	if (c->faults > before) return;
	read_body(c, f->first);
	NEED(!f->value || c->set[1][0], "the result is not set");
}

int mod_verify(const Mod *m, Text *faults)
{
	Arena *arena = arena_create();
	bool *sound = arena_new(arena, bool, m->fn.n + 1);
	Check c = {.m = m, .arena = arena, .out = faults, .sound = sound};
	for (int i = 0; i < m->fn.n; i++) {
		c.f = m->fn.at[i];
		c.index = i;
		if (i == 0 && (!power_of_two(m->W))) fault(&c, "a module of width %d", m->W);
		sound[i] = links_hold(&c);
		if (sound[i]) check_meaning(&c);
	}
	arena_destroy(arena);
	return c.faults;
}
