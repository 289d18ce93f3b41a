/*
 * The judge: runs the loop form as it stands, one lane after the other, and checks every access.
 *
 * In double precision it says what is meant.  With f32 every operation is rounded to float: a double
 * operation on floats rounded once more is the float operation, since 53 >= 2*24 + 2; so it equals the
 * emitted code to the bit. What is not set is NaN: registers at their declaration, temps at the entry of
 * their function.
 */
#include "ir/loop.h"
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { LANES = 16, FAULT = 512 };

typedef struct {
	double l[LANES];
} Vec;

/* A function's state.  One for each function suffices: a call is always to an earlier one. */
typedef struct {
	const Fn *f;
	Mem *buf;
	int64_t *var;
	Vec **reg;
	int lanes; /* of the call of a value function */
} Frame;

typedef struct {
	const Mod *m;
	Arena *arena;
	Frame *frame;
	bool f32;
	char *fault;
	jmp_buf out;
} Run;

__attribute__((format(printf, 3, 4))) static _Noreturn void stop(Run *r, const Frame *f, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(r->fault, FAULT, "%s: ", f->f->name);
	va_start(ap, fmt);
	if (n < FAULT) vsnprintf(r->fault + n, (size_t)(FAULT - n), fmt, ap);
	va_end(ap);
	longjmp(r->out, 1);
}

static int64_t value(const Frame *f, const Aff *a)
{
	int64_t s = a->c;
	for (int i = 0; i < a->n; i++) s += f->var[a->t[i].var] * a->t[i].mul;
	return s;
}

static Vec *slot(Run *r, const Frame *f, int reg, const Aff *i, const Aff *j)
{
	const Reg *g = &f->f->reg.at[reg];
	int64_t a = value(f, i), b = value(f, j);
	if (a < 0 || a >= g->d0 || b < 0 || b >= g->d1)
		stop(r, f, "register %s[%lld][%lld] of [%d][%d]", g->name, (long long)a, (long long)b, g->d0,
		     g->d1);
	return &f->reg[reg][a * g->d1 + b];
}

static void check_range(Run *r, const Frame *f, int buf, int64_t ix, int64_t n, const char *what)
{
	if (n > 0 && (ix < 0 || ix + n > f->buf[buf].n))
		stop(r, f, "%s of %s[%lld .. %lld), which has %lld", what, f->f->buf.at[buf].name,
		     (long long)ix, (long long)(ix + n), (long long)f->buf[buf].n);
}

/* How many of n lanes a count leaves. */
static int below(const Frame *f, bool masked, const Aff *count, int n)
{
	int64_t k = masked ? value(f, count) : n;
	return k < 0 ? 0 : k < n ? (int)k : n;
}

static double element_at(const Mem *b, Elem e, int64_t i)
{
	switch (e) {
	case ELEM_F32: return ((const double *)b->p)[i];
	case ELEM_I32: return ((const int32_t *)b->p)[i];
	case ELEM_BF16: {
		const union {
			uint32_t u;
			float f;
		} wide = {(uint32_t)((const uint16_t *)b->p)[i] << 16};
		return (double)wide.f;
	}
	case ELEM_I8: return ((const int8_t *)b->p)[i];
	}
	return NAN;
}

static void load(Run *r, const Frame *f, const Expr *x, int n, Vec *y)
{
	int64_t ix = value(f, &x->ix);
	int k = below(f, x->masked, &x->iy, n);
	check_range(r, f, x->ref, ix, k, "load");
	for (int l = 0; l < n; l++) {
		if (l >= k)
			y->l[l] = 0;
		else
			y->l[l] = element_at(&f->buf[x->ref], f->f->buf.at[x->ref].elem, ix + l);
	}
}

static int8_t byte_of(int32_t word, int i) { return (int8_t)((uint32_t)word >> 8 * i); }

/* In f32 a word is the integer it is; in narrow elements it is put together. */
static void words(Run *r, const Frame *f, const Expr *x, int n, Vec *y)
{
	Elem of = f->f->buf.at[x->ref].elem;
	int each = of == ELEM_I8 ? 4 : of == ELEM_BF16 ? 2 : 1;
	int64_t ix = value(f, &x->ix);
	int k = below(f, x->masked, &x->iy, n);
	check_range(r, f, x->ref, ix, (int64_t)k * each, "words");
	for (int l = 0; l < n; l++) {
		const Mem *b = &f->buf[x->ref];
		uint32_t w = 0;
		if (l >= k) {
			y->l[l] = 0;
			continue;
		}
		if (each == 1) {
			y->l[l] = ((const double *)b->p)[ix + l];
			if (y->l[l] != (int32_t)y->l[l]) stop(r, f, "%g is no word", y->l[l]);
			continue;
		}
		for (int i = 0; i < each; i++)
			w |= (of == ELEM_I8 ? (uint32_t)((const uint8_t *)b->p)[ix + 4 * l + i]
					    : (uint32_t)((const uint16_t *)b->p)[ix + 2 * l + i])
			     << 32 / each * i;
		y->l[l] = (int32_t)w;
	}
}

static double dot4(double sum, double a, double b)
{
	uint32_t s = (uint32_t)(int32_t)sum;
	for (int i = 0; i < 4; i++) s += (uint32_t)((uint8_t)byte_of((int32_t)a, i) * byte_of((int32_t)b, i));
	return (int32_t)s;
}

static uint32_t byte_in(Run *r, const Frame *f, double x)
{
	if (!(x > -129 && x < 256)) stop(r, f, "%g as a byte", x);
	return (uint8_t)(int)x;
}

typedef union {
	float f;
	uint32_t u;
} Bits;

static double float_of(uint32_t u) { return (double)(Bits){.u = u}.f; }

/* b's magnitude is rounded to the next number with a's sixteen bits below; finite stays finite. */
static double pair(double a, double b)
{
	uint32_t u = (Bits){.f = (float)a}.u, v = (Bits){.f = (float)b}.u;
	int64_t low = (u + 0x7fff + (u >> 16 & 1)) >> 16,
		high = ((int64_t)(v & 0x7fffffff) + 0x8000 - low) >> 16;
	high = high < 0 ? 0 : high > 0x7f7f ? 0x7f7f : high;
	return (int32_t)((v & 0x80000000) | (uint32_t)high << 16 | (uint32_t)low);
}

static double scalb2(Run *r, const Frame *f, double a, double b)
{
	if (!(b >= -126 && b <= 127) || b != rint(b)) stop(r, f, "scalb by %g", b);
	return ldexp(a, (int)b);
}

/* exponent or mantissa */
static double split(Run *r, const Frame *f, ExprOp op, double a)
{
	int k;
	if (!(a > 0 && a <= 1.7e308) || (r->f32 && (a < 0x1p-126 || a > 0x1.fffffep127)))
		stop(r, f, "%s of %g", expr_name[op], a);
	double m = frexp(a, &k);
	return op == E_EXPO ? k - 1 : 2 * m;
}

static void body(Run *r, Frame *f, int s);

static void call_value(Run *r, const Expr *x, int n, const Vec *a, Vec *y)
{
	Frame *g = &r->frame[x->ref];
	if (!r->f32 && g->f->judge) {
		for (int l = 0; l < n; l++) y->l[l] = g->f->judge(a->l[l]);
		return;
	}
	g->lanes = n;
	*g->reg[0] = *a;
	body(r, g, g->f->first);
	*y = *g->reg[1];
}

static double shuffled(const Vec *a, const Vec *b, int from, int n)
{
	return from < n ? a->l[from] : b->l[from - n];
}

/* clang-format off */
static void eval(Run *r, Frame *f, int e, Vec *y)
{
	const Expr *x = &f->f->expr.at[e];
	const int arg[4] = {x->a, x->b, x->c, x->d}, n = x->lanes ? x->lanes : f->lanes;
	Vec v[4];
	for (int i = 0; i < expr_args[x->op]; i++)
		eval(r, f, arg[i], &v[i]);
	const double *a = v[0].l, *b = v[1].l, *c = v[2].l, *d = v[3].l;
#define EACH(value) do { for (int l = 0; l < n; l++) y->l[l] = (value); } while (0)
	switch (x->op) {
	case E_REG: *y = *slot(r, f, x->ref, &x->ix, &x->iy); return;
	case E_CALL: call_value(r, x, n, &v[0], y); return;
	case E_CONST: EACH(x->k); break;
	case E_LOAD:
		load(r, f, x, n, y);
		/* Words pass through copies as they are. */
		for (int l = 0; r->f32 && l < n; l++)
			if (y->l[l] != (int32_t)y->l[l]) y->l[l] = (float)y->l[l];
		return;
	case E_WORD: EACH(x->k); return;
	case E_WORDS: words(r, f, x, n, y); return;
	case E_PAIR: EACH(pair(a[l], b[l])); return;
	case E_QUAD:
		EACH((int32_t)(byte_in(r, f, a[l]) | byte_in(r, f, b[l]) << 8 | byte_in(r, f, c[l]) << 16 |
			       byte_in(r, f, d[l]) << 24));
		return;
	case E_LOW: EACH(float_of((uint32_t)(int32_t)a[l] << 16)); return;
	case E_WHOLE: EACH(float_of((uint32_t)(int32_t)a[l])); return;
	case E_DOT4: EACH(dot4(a[l], b[l], c[l])); return;
	case E_WSUB: EACH((int32_t)((uint32_t)(int32_t)a[l] - (uint32_t)(int32_t)b[l])); return;
	case E_INT: EACH((float)(int32_t)a[l]); return;
	case E_KEEP: {
		int k = below(f, true, &x->iy, n);
		EACH(l < k ? a[l] : 0);
		return;
	}
	case E_SPLAT: {
		int has = f->f->expr.at[x->a].lanes;
		EACH(a[l % has]);
		return;
	}
	case E_LANE: y->l[0] = a[(int)x->k]; return;
	case E_SHUF: EACH(shuffled(&v[0], &v[1], x->pat[l], n)); return;
	case E_ADD: EACH(a[l] + b[l]); break;
	case E_SUB: EACH(a[l] - b[l]); break;
	case E_MUL: EACH(a[l] * b[l]); break;
	case E_DIV: EACH(a[l] / b[l]); break;
	case E_MIN: EACH(a[l] < b[l] ? a[l] : b[l]); return;
	case E_MAX: EACH(a[l] > b[l] ? a[l] : b[l]); return;
	case E_SELLT: EACH(a[l] < b[l] ? c[l] : d[l]); return;
	case E_FMA:
		if (r->f32)
			EACH(fmaf((float)a[l], (float)b[l], (float)c[l]));
		else
			EACH(fma(a[l], b[l], c[l]));
		return;
	case E_RINT: EACH(rint(a[l])); return;
	case E_SQRT: EACH(sqrt(a[l])); break;
	case E_ABS: EACH(fabs(a[l])); return;
	case E_SCALB: EACH(scalb2(r, f, a[l], b[l])); break;
	case E_EXPO:
	case E_FRAC: EACH(split(r, f, x->op, a[l])); return;
	default: stop(r, f, "expression %d", x->op);
	}
	if (r->f32)
		EACH((float)y->l[l]);
#undef EACH
}
/* clang-format on */

static void store(Run *r, Frame *f, const Stmt *t)
{
	Vec v;
	eval(r, f, t->expr, &v);
	int64_t ix = value(f, &t->lo);
	int n = below(f, t->masked, &t->hi, f->f->expr.at[t->expr].lanes);
	check_range(r, f, t->ref, ix, n, "store");
	double *p = f->buf[t->ref].p;
	if (f->f->buf.at[t->ref].elem == ELEM_I8) {
		for (int l = 0; l < n; l++)
			((uint8_t *)f->buf[t->ref].p)[ix + l] = (uint8_t)byte_in(r, f, v.l[l]);
		return;
	}
	for (int l = 0; l < n; l++) p[ix + l] = v.l[l];
}

static void let(Run *r, Frame *f, const Stmt *t)
{
	int64_t a = value(f, &t->lo), b = value(f, &t->hi);
	switch (t->let) {
	case LET_IS: break;
	case LET_MIN: a = b < a ? b : a; break;
	case LET_MAX: a = b > a ? b : a; break;
	case LET_FLOOR:
	case LET_DIV:
		if (a < 0) stop(r, f, "floor of %lld", (long long)a);
		a = t->let == LET_DIV ? a / t->step : a - a % t->step;
		break;
	case LET_LOAD:
		check_range(r, f, t->ref, a, 1, "load");
		a = ((const int32_t *)f->buf[t->ref].p)[a];
		break;
	}
	f->var[t->var] = a;
}

static size_t element(Elem e) { return e == ELEM_F32 ? sizeof(double) : sizeof(int32_t); }

static void clear_reg(Frame *f, int reg)
{
	const Reg *g = &f->f->reg.at[reg];
	if (f->f->value && reg == 0) return; /* the argument */
	for (int i = 0; i < g->d0 * g->d1; i++)
		for (int l = 0; l < LANES; l++) f->reg[reg][i].l[l] = NAN;
}

/* The temps of a function lie in the parameters it got. */
static void place_temps(Run *r, Frame *f)
{
	for (int b = f->f->n_param; b < f->f->buf.n; b++) {
		const Buf *t = &f->f->buf.at[b];
		char *p = f->buf[t->home].p;
		if (t->kind == BUF_VIEW) {
			check_range(r, f, t->home, t->at, 1, "view");
			f->buf[b] = (Mem){p + (size_t)t->at * sizeof(double),
					  (f->buf[t->home].n - t->at) * (t->elem == ELEM_I8 ? 4 : 2)};
			continue;
		}
		check_range(r, f, t->home, t->at, t->size, "temp");
		f->buf[b] = (Mem){p + (size_t)t->at * element(f->f->buf.at[t->home].elem), t->size};
		for (int64_t i = 0; i < t->size && t->elem == ELEM_F32; i++) ((double *)f->buf[b].p)[i] = NAN;
	}
}

static void call(Run *r, Frame *f, const Stmt *t)
{
	Frame *g = &r->frame[t->ref];
	int size = 0;
	for (int i = 0; i < t->arg.n; i++) {
		const Arg *a = &t->arg.at[i];
		int64_t off = value(f, &a->off);
		if (a->buf < 0) {
			while (g->f->var.at[size].kind != VAR_SIZE) size++;
			g->var[size++] = off;
			continue;
		}
		const Mem *b = &f->buf[a->buf];
		if (off < 0 || off > b->n)
			stop(r, f, "call of %s with %s + %lld, which has %lld", g->f->name,
			     f->f->buf.at[a->buf].name, (long long)off, (long long)b->n);
		g->buf[i] = (Mem){(char *)b->p + (size_t)off * element(g->f->buf.at[i].elem), b->n - off};
	}
	place_temps(r, g);
	body(r, g, g->f->first);
}

/* Element (i, j) of matrix `which` of a product; turned: as it lies. */
static double *entry_of(Run *r, const Frame *f, const Stmt *t, int which, int64_t i, int64_t j, bool turned)
{
	const Arg *a = &t->arg.at[which];
	int64_t at = value(f, &a->off) + (turned ? j * t->ld[which] + i : i * t->ld[which] + j);
	check_range(r, f, a->buf, at, 1, "product");
	return (double *)f->buf[a->buf].p + at;
}

/* One ascending chain of fused multiply-adds for each sum. */
static void product(Run *r, const Frame *f, const Stmt *t)
{
	int64_t size[3];
	for (int i = 0; i < 3; i++) size[i] = value(f, &t->arg.at[3 + i].off);
	for (int64_t i = 0; i < size[0]; i++)
		for (int64_t j = 0; j < size[1]; j++) {
			double *c = entry_of(r, f, t, 0, i, j, false), s = t->form & PRODUCT_ADDS ? *c : 0;
			for (int64_t k = 0; k < size[2]; k++) {
				double a = *entry_of(r, f, t, 1, i, k, t->form & PRODUCT_A_TURNED),
				       b = *entry_of(r, f, t, 2, k, j, t->form & PRODUCT_B_TURNED);
				s = r->f32 ? (double)fmaf((float)a, (float)b, (float)s) : fma(a, b, s);
			}
			*c = s;
		}
}

static void body(Run *r, Frame *f, int s)
{
	for (; s; s = f->f->stmt.at[s].next) {
		const Stmt *t = &f->f->stmt.at[s];
		switch (t->op) {
		case S_FOR:
		case S_UNROLL: {
			int64_t hi = value(f, &t->hi);
			for (int64_t i = value(f, &t->lo); i < hi; i += t->step) {
				f->var[t->var] = i;
				body(r, f, t->body);
			}
			break;
		}
		case S_REG: clear_reg(f, t->ref); break;
		case S_SET: {
			Vec v;
			eval(r, f, t->expr, &v);
			*slot(r, f, t->ref, &t->lo, &t->hi) = v;
			break;
		}
		case S_STORE: store(r, f, t); break;
		case S_LET: let(r, f, t); break;
		case S_CALL: call(r, f, t); break;
		case S_PRODUCT: product(r, f, t); break;
		case S_PREFETCH: break;
		default: stop(r, f, "statement %d", t->op);
		}
	}
}

static void make_frame(Run *r, int i)
{
	Frame *g = &r->frame[i];
	g->f = r->m->fn.at[i];
	g->buf = arena_new(r->arena, Mem, g->f->buf.n);
	g->var = arena_new(r->arena, int64_t, g->f->var.n);
	g->reg = arena_new(r->arena, Vec *, g->f->reg.n);
	for (int k = 0; k < g->f->reg.n; k++)
		g->reg[k] = arena_new(r->arena, Vec, g->f->reg.at[k].d0 * g->f->reg.at[k].d1);
}

static void enter(Run *r, int fn, const Mem *buf, const int64_t *size)
{
	Frame *f = &r->frame[fn];
	for (int b = 0; b < f->f->n_param; b++) f->buf[b] = buf[b];
	for (int v = 0; v < f->f->var.n; v++)
		if (f->f->var.at[v].kind == VAR_SIZE) f->var[v] = *size++;
	place_temps(r, f);
	body(r, f, f->f->first);
}

bool loop_run(const Mod *m, int fn, const Mem *buf, const int64_t *size, bool f32, char *fault)
{
	Arena *arena = arena_create();
	Run *r = arena_new(arena, Run, 1);
	r->m = m;
	r->arena = arena;
	r->f32 = f32;
	r->fault = fault;
	r->frame = arena_new(arena, Frame, m->fn.n);
	fault[0] = '\0';
	for (int i = 0; i <= fn; i++) make_frame(r, i);
	if (!setjmp(r->out)) enter(r, fn, buf, size);
	arena_destroy(arena);
	return !fault[0];
}
