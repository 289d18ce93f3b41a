/*
 * Optimiser steps.
 *
 *   sgd      w -= lr g
 *   adagrad  a += g^2;  w -= lr g / (sqrt(a) + eps)
 *   adam     m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr (m c1) / (sqrt(v c2) + eps)
 *
 * HYPER holds lr, c1 = 1 / (1 - b1^t), c2 = 1 / (1 - b2^t) of the step.  Table rows are stepped when touched,
 * with the global t; their moments stand behind the row in its record.
 */
#include "pass/update.h"
#include "base/diag.h"

enum { AHEAD = 8 /* touched records asked for in advance */ };

int optimizer_moments(const Optimizer *o) { return o->kind == OPT_SGD ? 0 : o->kind == OPT_ADAGRAD ? 1 : 2; }

typedef struct {
	Fn *f;
	const Optimizer *o;
	const Target *t;
	int lanes;
	int hyper;	/* buffer */
	int w, g, m[2]; /* registers */
} Step;

static int R(Step *s, int reg) { return e_reg1(s->f, reg); }
static int K(Step *s, double k) { return e_const(s->f, s->lanes, k); }
static int op(Step *s, ExprOp o, int a, int b) { return e_op2(s->f, o, a, b); }
static int H(Step *s, int i) { return e_splat(s->f, s->lanes, e_load(s->f, 1, s->hyper, aff_c(i))); }

static void step(Step *s)
{
	const Optimizer *o = s->o;
	Fn *f = s->f;
	int d = f_reg(f, "d", s->lanes, 1, 1);
	switch (o->kind) {
	case OPT_SGD: f_set1(f, d, R(s, s->g)); break;
	case OPT_ADAGRAD:
		f_set1(f, s->m[0], op(s, E_ADD, R(s, s->m[0]), op(s, E_MUL, R(s, s->g), R(s, s->g))));
		f_set1(f, d,
		       op(s, E_DIV, R(s, s->g), op(s, E_ADD, e_op1(f, E_SQRT, R(s, s->m[0])), K(s, o->eps))));
		break;
	case OPT_ADAM: {
		f_set1(f, s->m[0],
		       op(s, E_ADD, op(s, E_MUL, K(s, o->beta1), R(s, s->m[0])),
			  op(s, E_MUL, K(s, 1 - o->beta1), R(s, s->g))));
		int gg = op(s, E_MUL, R(s, s->g), R(s, s->g));
		f_set1(f, s->m[1],
		       op(s, E_ADD, op(s, E_MUL, K(s, o->beta2), R(s, s->m[1])),
			  op(s, E_MUL, K(s, 1 - o->beta2), gg)));
		int root = op(s, E_ADD, e_op1(f, E_SQRT, op(s, E_MUL, R(s, s->m[1]), H(s, 2))), K(s, o->eps));
		f_set1(f, d, op(s, E_DIV, op(s, E_MUL, R(s, s->m[0]), H(s, 1)), root));
		break;
	}
	}
	f_set1(f, s->w, op(s, E_SUB, R(s, s->w), op(s, E_MUL, H(s, 0), R(s, d))));
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
		Step s = {.f = f, .o = o, .t = l->t, .lanes = W, .hyper = hyper};
		s.w = f_reg(f, "w", W, 1, 1);
		s.g = f_reg(f, "g", W, 1, 1);
		f_set1(f, s.w, e_load_n(f, W, P, at, n));
		f_set1(f, s.g, e_load_n(f, W, G, at, n));
		for (int k = 0; k < nm; k++) {
			s.m[k] = f_reg(f, "m", W, 1, 1);
			f_set1(f, s.m[k], e_load_n(f, W, M[k], at, n));
		}
		step(&s);
		f_store_n(f, P, at, R(&s, s.w), n);
		for (int k = 0; k < nm; k++) f_store_n(f, M[k], at, R(&s, s.m[k]), n);
		f_end(f, 1);
	}
	return f;
}

Fn *update_table(Lowering *l, const Optimizer *o, int table)
{
	const Table *t = &l->spec->table.at[table];
	Fn *f = entry(l, arena_printf(l->arena, "update_t%d", table));
	int nm = optimizer_moments(o), dim = t->dim, W = l->t->W;
	int T = slot(l, f, SLOT_TABLE, table, BUF_INOUT, ELEM_F32, "table"),
	    U = slot(l, f, SLOT_UNIQ, 0, BUF_IN, ELEM_I32, "uniq");
	int S = slot(l, f, SLOT_START, 0, BUF_IN, ELEM_I32, "start"),
	    C = slot(l, f, SLOT_SRC, 0, BUF_IN, ELEM_I32, "src");
	int F = slot(l, f, SLOT_SCALE, 0, BUF_IN, ELEM_F32, "scale"),
	    D = slot(l, f, SLOT_DROWS, 0, BUF_IN, ELEM_F32, "drows");
	int hyper = slot(l, f, SLOT_HYPER, 0, BUF_IN, ELEM_F32, "hyper"), lo = f_size(f, "lo"),
	    hi = f_size(f, "hi");
	int last = f_let(f, "last", aff_off(aff_v(hi), -1));
	int u = f_for(f, "u", aff_v(lo), aff_v(hi), 1);
	int ahead = f_min(f, "ahead", aff_off(aff_v(u), AHEAD), aff_v(last)),
	    next = f_load(f, "next", U, aff_v(ahead));
	for (int c = 0; c < dim * (1 + nm); c += 16)
		f_prefetch(f, T, aff_off(aff_mul(aff_v(next), t->stride), c));
	int row = f_load(f, "row", U, aff_v(u)), from = f_load(f, "from", S, aff_v(u)),
	    to = f_load(f, "to", S, aff_off(aff_v(u), 1));
	for (int c = 0; c < dim;) {
		int w = W;
		while (w > dim - c) w /= 2;
		/* Wide rows: many vectors of the same width share one loop. */
		int many = (dim - c) / w, k = many > 1 ? f_for(f, "k", aff_c(c), aff_c(c + many * w), w)
						       : f_for(f, "k", aff_c(c), aff_c(c + 1), 1);
		Aff at = aff_plus(aff_mul(aff_v(row), t->stride), k, 1);
		Step s = {.f = f, .o = o, .t = l->t, .lanes = w, .hyper = hyper};
		s.g = f_reg(f, "g", w, 1, 1);
		f_set1(f, s.g, e_const(f, w, 0));
		int i = f_for(f, "i", aff_v(from), aff_v(to), 1), src = f_load(f, "at", C, aff_v(i));
		int scale = e_splat(f, w, e_load(f, 1, F, aff_v(i))),
		    d = e_load(f, w, D, aff_plus(aff_v(src), k, 1));
		f_set1(f, s.g,
		       l->t->fma ? e_op3(f, E_FMA, scale, d, R(&s, s.g))
				 : op(&s, E_ADD, op(&s, E_MUL, scale, d), R(&s, s.g)));
		f_end(f, 1);
		s.w = f_reg(f, "w", w, 1, 1);
		f_set1(f, s.w, e_load(f, w, T, at));
		for (int m = 0; m < nm; m++) {
			s.m[m] = f_reg(f, "m", w, 1, 1);
			f_set1(f, s.m[m], e_load(f, w, T, aff_off(at, (int64_t)(m + 1) * dim)));
		}
		step(&s);
		f_store(f, T, at, R(&s, s.w));
		for (int m = 0; m < nm; m++)
			f_store(f, T, aff_off(at, (int64_t)(m + 1) * dim), R(&s, s.m[m]));
		f_end(f, 1);
		c += many * w;
	}
	f_end(f, 1);
	return f;
}
