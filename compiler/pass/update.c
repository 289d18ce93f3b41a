/*
 * Optimiser steps.
 *
 *   sgd          w -= lr g
 *   momentum     v = b v + g;  w -= lr v
 *   nesterov     v = b v + g;  w -= lr (g + b v)
 *   adagrad      a += g^2;  w -= lr g / (sqrt(a) + eps)
 *   row_adagrad  a += mean of g^2 over the row;  w -= lr g / (sqrt(a) + eps)
 *   adam         m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr (m c1) / (sqrt(v c2) + eps)
 *   ftrl         s = sqrt(n + g^2) - sqrt(n);  z += lr g - s w;  n += g^2
 *                w = -soft(z, lr l1) / (b + sqrt(n) + lr l2)
 *
 * where soft(x, t) is x moved by t towards 0 and no further.  The others have g += l2 w before the step, and
 * after it w -= lr decay w (of the w before) and w = soft(w, lr l1).
 *
 * ftrl's z is lr times that of the papers, so that another rate leaves alone what was learnt at the old one;
 * and before the first gradient (n = 0) it is -b w: the pull of b is to where w began, a warm start included.
 *
 * Table rows are stepped when touched, with the global t; their moments stand behind the row in its record.
 */
#include "pass/update.h"
#include "base/diag.h"

enum { AHEAD = 64 /* touched records asked for in advance */ };
/* The numbers of a step, in HYPER. */
enum { LR, C1, C2, L2 /* ftrl: lr l2 */, L1 /* lr l1 */, KEPT /* 1 - lr decay */, CLIP };

typedef struct {
	Fn *f;
	const Optimizer *o;
	int lanes;
	int hyper;	/* buffer */
	int w, g, m[2]; /* registers */
} Step;

static int R(Step *s, int reg) { return e_reg1(s->f, reg); }
static int K(Step *s, double k) { return e_const(s->f, s->lanes, k); }
static int op(Step *s, ExprOp o, int a, int b) { return e_op2(s->f, o, a, b); }
static int H(Step *s, int i) { return e_splat(s->f, s->lanes, e_load(s->f, 1, s->hyper, aff_c(i))); }
static int root(Step *s, int e) { return e_op1(s->f, E_SQRT, e); }

/* max(x - t, 0) + min(x + t, 0): one of the two is 0. */
static int soft(Step *s, int x, int t)
{
	return op(s, E_ADD, op(s, E_MAX, op(s, E_SUB, R(s, x), H(s, t)), K(s, 0)),
		  op(s, E_MIN, op(s, E_ADD, R(s, x), H(s, t)), K(s, 0)));
}

static int reg(Step *s, const char *name, int e)
{
	int r = f_reg(s->f, name, s->lanes, 1, 1);
	f_set1(s->f, r, e);
	return r;
}

/* The gradient as the optimiser is to see it. */
static void gradient(Step *s, double clip)
{
	if (clip > 0) f_set1(s->f, s->g, op(s, E_MUL, R(s, s->g), H(s, CLIP)));
	if (s->o->kind != OPT_FTRL && s->o->l2 > 0)
		f_set1(s->f, s->g, op(s, E_ADD, R(s, s->g), op(s, E_MUL, H(s, L2), R(s, s->w))));
}

static void ftrl(Step *s)
{
	int n = s->m[0], z = s->m[1];
	int was = reg(s, "was", R(s, n));
	f_set1(s->f, n, op(s, E_ADD, R(s, n), op(s, E_MUL, R(s, s->g), R(s, s->g))));
	int begun =
	    e_op4(s->f, E_SELLT, K(s, 0), R(s, was), R(s, z), op(s, E_MUL, K(s, -s->o->beta1), R(s, s->w)));
	int pull = op(s, E_SUB, root(s, R(s, n)), root(s, R(s, was)));
	f_set1(s->f, z,
	       op(s, E_SUB, op(s, E_ADD, begun, op(s, E_MUL, H(s, LR), R(s, s->g))),
		  op(s, E_MUL, pull, R(s, s->w))));
	int shrunk = s->o->l1 > 0 ? soft(s, z, L1) : R(s, z);
	int by = op(s, E_ADD, K(s, s->o->beta1), root(s, R(s, n)));
	if (s->o->l2 > 0) by = op(s, E_ADD, by, H(s, L2));
	f_set1(s->f, s->w, op(s, E_DIV, op(s, E_SUB, K(s, 0), shrunk), by));
}

/* What the rate is multiplied with. */
static int direction(Step *s)
{
	const Optimizer *o = s->o;
	Fn *f = s->f;
	switch (o->kind) {
	case OPT_SGD: break;
	case OPT_MOMENTUM:
	case OPT_NESTEROV:
		f_set1(f, s->m[0], op(s, E_ADD, op(s, E_MUL, K(s, o->beta1), R(s, s->m[0])), R(s, s->g)));
		if (o->kind == OPT_MOMENTUM) return R(s, s->m[0]);
		return op(s, E_ADD, R(s, s->g), op(s, E_MUL, K(s, o->beta1), R(s, s->m[0])));
	case OPT_ADAGRAD:
		f_set1(f, s->m[0], op(s, E_ADD, R(s, s->m[0]), op(s, E_MUL, R(s, s->g), R(s, s->g))));
		return op(s, E_DIV, R(s, s->g), op(s, E_ADD, root(s, R(s, s->m[0])), K(s, o->eps)));
	case OPT_ROW_ADAGRAD: /* m[0] has the whole row's already */
		return op(s, E_DIV, R(s, s->g), op(s, E_ADD, root(s, R(s, s->m[0])), K(s, o->eps)));
	case OPT_ADAM: {
		f_set1(f, s->m[0],
		       op(s, E_ADD, op(s, E_MUL, K(s, o->beta1), R(s, s->m[0])),
			  op(s, E_MUL, K(s, 1 - o->beta1), R(s, s->g))));
		int gg = op(s, E_MUL, R(s, s->g), R(s, s->g));
		f_set1(f, s->m[1],
		       op(s, E_ADD, op(s, E_MUL, K(s, o->beta2), R(s, s->m[1])),
			  op(s, E_MUL, K(s, 1 - o->beta2), gg)));
		int by = op(s, E_ADD, root(s, op(s, E_MUL, R(s, s->m[1]), H(s, C2))), K(s, o->eps));
		return op(s, E_DIV, op(s, E_MUL, R(s, s->m[0]), H(s, C1)), by);
	}
	case OPT_FTRL: bug("ftrl has no direction");
	}
	return R(s, s->g);
}

static void step(Step *s, double clip)
{
	gradient(s, clip);
	if (s->o->kind == OPT_FTRL) {
		ftrl(s);
		return;
	}
	int d = reg(s, "d", direction(s));
	int w = R(s, s->w);
	if (s->o->decay > 0) w = op(s, E_MUL, H(s, KEPT), w);
	f_set1(s->f, s->w, op(s, E_SUB, w, op(s, E_MUL, H(s, LR), R(s, d))));
	if (s->o->l1 > 0) f_set1(s->f, s->w, soft(s, s->w, L1));
}

static Fn *entry(Lowering *l, const char *name)
{
	Fn *f = fn_new(l->m, name);
	f->exported = true;
	return f;
}

static int slot(Lowering *l, Fn *f, SlotKind kind, int index, BufKind b, Elem e, const char *name)
{
	lo_slot(l, kind, index, 0, false);
	return f_buf(f, b, e, name, 0);
}

Fn *update_dense(Lowering *l, const Optimizer *o)
{
	Fn *f = entry(l, "update");
	int W = l->t->W, nm = optimizer_moments(o), M[2] = {-1, -1};
	int P = slot(l, f, SLOT_PARAM, 0, BUF_INOUT, ELEM_F32, "param");
	for (int i = 0; i < nm; i++)
		M[i] = slot(l, f, SLOT_MOMENT, i, BUF_INOUT, ELEM_F32, i ? "moment1" : "moment0");
	int G = slot(l, f, SLOT_GRAD, 0, BUF_IN, ELEM_F32, "grad"),
	    hyper = slot(l, f, SLOT_HYPER, 0, BUF_IN, ELEM_F32, "hyper");
	int lo = f_size(f, "lo"), hi = f_size(f, "hi");
	int whole = f_floor(f, "whole", aff_plus(aff_v(hi), lo, -1), W);
	for (int tail = 0; tail < 2; tail++) {
		int i = f_for(f, "i", tail ? aff_v(whole) : aff_c(0),
			      tail ? aff_plus(aff_v(hi), lo, -1) : aff_v(whole), W);
		Aff at = aff_plus(aff_v(lo), i, 1),
		    n = tail ? aff_plus(aff_plus(aff_v(hi), lo, -1), i, -1) : aff_c(W);
		Step s = {.f = f, .o = o, .lanes = W, .hyper = hyper};
		s.w = f_reg(f, "w", W, 1, 1);
		s.g = f_reg(f, "g", W, 1, 1);
		f_set1(f, s.w, e_load_n(f, W, P, at, n));
		f_set1(f, s.g, e_load_n(f, W, G, at, n));
		for (int k = 0; k < nm; k++) {
			s.m[k] = f_reg(f, "m", W, 1, 1);
			f_set1(f, s.m[k], e_load_n(f, W, M[k], at, n));
		}
		step(&s, l->spec->clip);
		f_store_n(f, P, at, R(&s, s.w), n);
		for (int k = 0; k < nm; k++) f_store_n(f, M[k], at, R(&s, s.m[k]), n);
		f_end(f, 1);
	}
	return f;
}

/* ---- tables ---- */

typedef struct {
	Lowering *l;
	Fn *f;
	const Optimizer *o;
	const Table *t;
	int table, src, scale, drows, hyper; /* buffers */
	int row, from, to;		     /* variables */
} Rows;

static Aff element(const Rows *r, Aff column)
{
	return aff_add(aff_mul(aff_v(r->row), r->t->stride), column);
}

/* The first `have` columns from `c` on of a touched row and its gradient: the occurrences in their order. */
static Step columns(const Rows *r, int lanes, Aff c, int have)
{
	Fn *f = r->f;
	Step s = {.f = f, .o = r->o, .lanes = lanes, .hyper = r->hyper};
	s.g = f_reg(f, "g", lanes, 1, 1);
	f_set1(f, s.g, e_const(f, lanes, 0));
	int i = f_for(f, "i", aff_v(r->from), aff_v(r->to), 1), src = f_load(f, "at", r->src, aff_v(i));
	int scale = e_splat(f, lanes, e_load(f, 1, r->scale, aff_v(i))),
	    d = e_load_n(f, lanes, r->drows, aff_add(aff_v(src), c), aff_c(have));
	f_set1(f, s.g,
	       r->l->t->fma ? e_op3(f, E_FMA, scale, d, R(&s, s.g))
			    : op(&s, E_ADD, op(&s, E_MUL, scale, d), R(&s, s.g)));
	f_end(f, 1);
	s.w = f_reg(f, "w", lanes, 1, 1);
	f_set1(f, s.w, e_load_n(f, lanes, r->table, element(r, c), aff_c(have)));
	return s;
}

/* a += mean of g^2 over the row: eight chains by column mod 8, then a tree. */
static void row_moment(const Rows *r)
{
	Fn *f = r->f;
	int dim = r->t->dim, whole = dim / 8 * 8;
	Chains c = chains_new(r->l, f, "square");
	chains_zero(f, c);
	for (int tail = 0; tail < 2; tail++) {
		if (tail ? whole == dim : !whole) continue;
		/* The tail is a loop of one turn, for its registers. */
		int k = f_for(f, "k", aff_c(tail ? whole : 0), aff_c(tail ? whole + 1 : whole), tail ? 1 : 8);
		for (int v = 0; v < c.n; v++) {
			int have = tail ? dim - whole - v * c.lanes : c.lanes;
			if (have <= 0) continue;
			Step s = columns(r, c.lanes, aff_off(aff_v(k), (int64_t)v * c.lanes),
					 have < c.lanes ? have : c.lanes);
			gradient(&s, r->l->spec->clip);
			f_set(f, c.reg, aff_c(v), aff_c(0),
			      op(&s, E_ADD, e_reg(f, c.reg, aff_c(v), aff_c(0)),
				 op(&s, E_MUL, R(&s, s.g), R(&s, s.g))));
		}
		f_end(f, 1);
	}
	chains_tree(f, c, E_ADD);
	int mean = e_op2(f, E_DIV, e_lane(f, e_reg(f, c.reg, aff_c(0), aff_c(0)), 0), e_const(f, 1, dim));
	f_store(f, r->table, element(r, aff_c(dim)),
		e_op2(f, E_ADD, e_load(f, 1, r->table, element(r, aff_c(dim))), mean));
}

static void row_step(const Rows *r)
{
	Fn *f = r->f;
	int nm = optimizer_moments(r->o), dim = r->t->dim;
	bool one = r->o->kind == OPT_ROW_ADAGRAD; /* moment for the whole row */
	if (one) row_moment(r);
	for (int c = 0; c < dim;) {
		int w = r->l->t->W;
		while (w > dim - c) w /= 2;
		/* Wide rows: many vectors of the same width share one loop. */
		int many = (dim - c) / w, k = many > 1 ? f_for(f, "k", aff_c(c), aff_c(c + many * w), w)
						       : f_for(f, "k", aff_c(c), aff_c(c + 1), 1);
		Step s = columns(r, w, aff_v(k), w);
		for (int m = 0; m < nm; m++) {
			s.m[m] = f_reg(f, "m", w, 1, 1);
			f_set1(f, s.m[m],
			       one ? e_splat(f, w, e_load(f, 1, r->table, element(r, aff_c(dim))))
				   : e_load(f, w, r->table,
					    element(r, aff_off(aff_v(k), (int64_t)(m + 1) * dim))));
		}
		step(&s, r->l->spec->clip);
		f_store(f, r->table, element(r, aff_v(k)), R(&s, s.w));
		for (int m = 0; m < nm && !one; m++)
			f_store(f, r->table, element(r, aff_off(aff_v(k), (int64_t)(m + 1) * dim)),
				R(&s, s.m[m]));
		f_end(f, 1);
		c += many * w;
	}
}

Fn *update_table(Lowering *l, const Optimizer *o, int table)
{
	const Table *t = &l->spec->table.at[table];
	Fn *f = entry(l, arena_printf(l->arena, "update_t%d", table));
	Rows r = {.l = l, .f = f, .o = o, .t = t};
	r.table = slot(l, f, SLOT_TABLE, table, BUF_INOUT, ELEM_F32, "table");
	int U = slot(l, f, SLOT_UNIQ, 0, BUF_IN, ELEM_I32, "uniq"),
	    S = slot(l, f, SLOT_START, 0, BUF_IN, ELEM_I32, "start");
	r.src = slot(l, f, SLOT_SRC, 0, BUF_IN, ELEM_I32, "src");
	r.scale = slot(l, f, SLOT_SCALE, 0, BUF_IN, ELEM_F32, "scale");
	r.drows = slot(l, f, SLOT_DROWS, 0, BUF_IN, ELEM_F32, "drows");
	r.hyper = slot(l, f, SLOT_HYPER, 0, BUF_IN, ELEM_F32, "hyper");
	int lo = f_size(f, "lo"), hi = f_size(f, "hi");
	int last = f_let(f, "last", aff_off(aff_v(hi), -1));
	int u = f_for(f, "u", aff_v(lo), aff_v(hi), 1);
	int ahead = f_min(f, "ahead", aff_off(aff_v(u), AHEAD), aff_v(last)),
	    next = f_load(f, "next", U, aff_v(ahead));
	for (int c = 0; c < optimizer_record(o, t->dim); c += 16)
		f_prefetch(f, r.table, aff_off(aff_mul(aff_v(next), t->stride), c));
	r.row = f_load(f, "row", U, aff_v(u));
	r.from = f_load(f, "from", S, aff_v(u));
	r.to = f_load(f, "to", S, aff_off(aff_v(u), 1));
	row_step(&r);
	f_end(f, 1);
	return f;
}
