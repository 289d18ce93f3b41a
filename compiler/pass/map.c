/*
 * Elementwise kernels.
 *
 * Where all operands lie dense the kernel runs flat over n * width elements; else row by row.  Lanes beyond
 * the end are masked; every lane computes what a single element would.
 */
#include "pass/map.h"
#include "base/diag.h"
#include "ir/op.h"

typedef struct {
	NodeId id;
	SrcKind kind;
	int64_t stride;
	int buf, reg;
} Operand;

typedef struct {
	Lowering *l;
	Fn *f;
	int n;
	const NodeId *node;
	const bool *kept;
	int *reg; /* per node of the graph: its register in the part being built, or -1 */
	VEC(Operand) src;
	VEC(Operand) out;
	int64_t width;
	bool rows;
} Map;

static bool member(const Map *m, NodeId id)
{
	for (int i = 0; i < m->n; i++)
		if (m->node[i] == id) return true;
	return false;
}

static void sources(Map *m)
{
	const Graph *g = m->l->g;
	for (int i = 0; i < m->n; i++)
		for (int k = 0; k < g->node.at[m->node[i]].n_in; k++) {
			NodeId in = g->node.at[m->node[i]].in[k];
			int s = 0;
			while (s < m->src.n && m->src.at[s].id != in) s++;
			if (s < m->src.n || member(m, in)) continue;
			SrcKind kind = src_kind(g, in, m->node[i]);
			Loc at = kind == SRC_CONST ? loc_none : lo_value(m->l, in);
			/* One number for all rows, though the graph gives each its own. */
			bool one = kind == SRC_ROW || (kind == SRC_FULL && m->width == 1);
			if (one && m->rows && !at.stride) kind = SRC_SCALAR;
			vec_push(m->l->arena, &m->src,
				 (Operand){.id = in, .kind = kind, .stride = at.stride, .buf = -1});
		}
	for (int i = 0; i < m->n; i++)
		if (m->kept[m->node[i]])
			vec_push(m->l->arena, &m->out,
				 (Operand){.id = m->node[i], .stride = lo_result(m->l, m->node[i]).stride});
}

/* The nodes in their order, from the operands' registers. */
static void compute(Map *m, Each *each)
{
	const Graph *g = m->l->g;
	for (int i = 0; i < m->n; i++) {
		const Node *n = &g->node.at[m->node[i]];
		int x[4];
		for (int k = 0; k < n->n_in; k++) x[k] = m->reg[n->in[k]];
		each->f->at = n->span;
		int e = op_table[n->op]->each(each, &n->attr, x);
		int r = f_reg(each->f, "v", each->lanes, 1, 1);
		f_set1(each->f, r, e);
		m->reg[m->node[i]] = r;
	}
}

/* One step: `lanes` elements at (row, col) or, flat, at element col. */
static void body(Map *m, int lanes, bool flat, Aff row, Aff col, Aff count)
{
	Fn *f = m->f;
	const Graph *g = m->l->g;
	for (int s = 0; s < m->src.n; s++) {
		Operand *src = &m->src.at[s];
		if (src->kind == SRC_FULL || src->kind == SRC_COLUMN) {
			Aff at =
			    flat || src->kind == SRC_COLUMN ? col : aff_add(aff_mul(row, src->stride), col);
			src->reg = f_reg(f, "a", lanes, 1, 1);
			f_set1(f, src->reg, e_load_n(f, lanes, src->buf, at, count));
		} else if (src->kind == SRC_CONST) {
			src->reg = f_reg(f, "k", lanes, 1, 1);
			f_set1(f, src->reg, e_const(f, lanes, g->node.at[src->id].attr.k));
		}
		m->reg[src->id] = src->reg;
	}
	compute(m, &(Each){.m = m->l->m, .f = f, .lanes = lanes});
	for (int o = 0; o < m->out.n; o++) {
		Aff at = flat ? col : aff_add(aff_mul(row, m->out.at[o].stride), col);
		f_store_n(f, m->out.at[o].buf, at, e_reg1(f, m->reg[m->out.at[o].id]), count);
	}
}

/* Is there a value function in a step?  Then it takes far longer than its loads and stores. */
static bool is_long(Map *m)
{
	Map trial = *m;
	Fn *f = trial.f = fn_new(mod_new(m->l->arena, m->l->str, "trial", m->l->t->W, m->l->t->fma), "body");
	trial.reg = arena_new(m->l->arena, int, m->l->g->node.n);
	for (int s = 0; s < m->src.n; s++)
		trial.reg[m->src.at[s].id] = f_reg(f, "s", m->l->t->W, 1, 1); /* what was broadcast */
	Each each = {.m = m->l->m, .f = f, .lanes = m->l->t->W};
	compute(&trial, &each);
	for (int i = 1; i < f->expr.n; i++)
		if (f->expr.at[i].op == E_CALL) return true;
	return false;
}

/*
 * Whole vectors of 0 .. end, then what is left under a mask; in one loop where a mask costs nothing, or
 * little beside what is computed: half the code.
 */
static void sweep(Map *m, bool flat, Aff row, Aff end)
{
	Fn *f = m->f;
	int W = m->l->t->W;
	bool constant = end.n == 0, whole_only = constant && end.c % W == 0;
	if (!whole_only && (W >= 16 || (W >= 8 && is_long(m)))) {
		int i = f_for(f, "i", aff_c(0), end, W);
		body(m, W, flat, row, aff_v(i), aff_plus(end, i, -1));
		f_end(f, 1);
		return;
	}
	Aff whole = constant ? aff_c(end.c / W * W) : aff_v(f_floor(f, "whole", end, W));
	for (int tail = 0; tail < 2; tail++) {
		if (constant && (tail ? whole.c == end.c : !whole.c)) continue;
		int i = f_for(f, "i", tail ? whole : aff_c(0), tail ? end : whole, W);
		body(m, W, flat, row, aff_v(i), tail ? aff_plus(end, i, -1) : aff_c(W));
		f_end(f, 1);
	}
}

static bool dense(const Map *m)
{
	for (int s = 0; s < m->src.n; s++)
		if (m->src.at[s].kind == SRC_ROW || m->src.at[s].kind == SRC_COLUMN ||
		    (m->src.at[s].kind == SRC_FULL && m->src.at[s].stride != m->width))
			return false;
	for (int o = 0; o < m->out.n; o++)
		if (m->out.at[o].stride != m->width) return false;
	return true;
}

/* Scalars and, in a row, row values: once before the loop they do not change in. */
static void broadcast(Map *m, SrcKind kind, int lanes, Aff row)
{
	for (int s = 0; s < m->src.n; s++) {
		Operand *src = &m->src.at[s];
		if (src->kind != kind) continue;
		src->reg = f_reg(m->f, "s", lanes, 1, 1);
		f_set1(m->f, src->reg,
		       e_splat(m->f, lanes,
			       e_load(m->f, 1, src->buf, aff_mul(row, kind == SRC_ROW ? src->stride : 0))));
	}
}

void map_lower(Lowering *l, int n, const NodeId *node, const bool *kept)
{
	const Graph *g = l->g;
	Shape shape = g->node.at[node[0]].shape;
	Map m = {.l = l, .n = n, .node = node, .kept = kept, .width = shape_size(shape), .rows = shape.rows};
	m.reg = arena_new(l->arena, int, g->node.n);
	sources(&m);
	if (!m.out.n) bug("elementwise group without a result");
	bool fresh;
	Fn *f = m.f = lo_kernel(l, &fresh, "map%d_%s%s", l->m->fn.n,
				op_table[g->node.at[node[n - 1]].op]->word, m.rows ? "" : "_free");
	VEC(Loc) arg = {0};
	for (int s = 0; s < m.src.n; s++)
		if (m.src.at[s].kind != SRC_CONST) {
			m.src.at[s].buf = f_buf(f, BUF_IN, ELEM_F32, "a", 0);
			vec_push(l->arena, &arg, lo_value(l, m.src.at[s].id));
		}
	for (int o = 0; o < m.out.n; o++) {
		m.out.at[o].buf = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		vec_push(l->arena, &arg, lo_result(l, m.out.at[o].id));
	}
	int rows = m.rows ? f_size(f, "n") : -1, W = l->t->W;
	if (!m.rows) {
		broadcast(&m, SRC_SCALAR, W, aff_c(0));
		sweep(&m, true, aff_c(0), aff_c(m.width));
	} else if (dense(&m)) {
		broadcast(&m, SRC_SCALAR, W, aff_c(0));
		sweep(&m, true, aff_c(0), aff_mul(aff_v(rows), m.width));
	} else if (m.width == 1) {
		broadcast(&m, SRC_SCALAR, 1, aff_c(0));
		int r = f_for(f, "r", aff_c(0), aff_v(rows), 1);
		body(&m, 1, false, aff_v(r), aff_c(0), aff_c(1));
		f_end(f, 1);
	} else {
		broadcast(&m, SRC_SCALAR, W, aff_c(0));
		int r = f_for(f, "r", aff_c(0), aff_v(rows), 1);
		broadcast(&m, SRC_ROW, W, aff_v(r));
		sweep(&m, false, aff_v(r), aff_c(m.width));
		f_end(f, 1);
	}
	lo_call(l, f, arg.n, arg.at, m.rows, g->node.at[node[0]].span);
}
