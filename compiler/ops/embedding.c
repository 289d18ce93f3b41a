/* Table rows by id: gathered, or pooled over a bag.  Their gradient leaves as a DROW root, row by row. */
#include "ops/family.h"

enum { AHEAD = 16 /* rows of the block whose records are asked for in advance */ };

static bool lookup_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			 const char **why)
{
	(void)g, (void)n, (void)in, (void)why;
	*out = shape_1(true, attr->j);
	return true;
}

static void gather_rows(Fn *f, const Target *t, int dim, int64_t stride, int64_t ys, int I, int T, int Y,
			int n)
{
	int last = f_let(f, "last", aff_off(aff_v(n), -1));
	int r = f_for(f, "r", aff_c(0), aff_v(n), 1);
	int ahead = f_min(f, "ahead", aff_off(aff_v(r), AHEAD), aff_v(last));
	int next = f_load(f, "next", I, aff_v(ahead));
	for (int c = 0; c < dim; c += 16) f_prefetch(f, T, aff_off(aff_mul(aff_v(next), stride), c));
	int id = f_load(f, "id", I, aff_v(r));
	f_copy(f, t->W, dim, Y, aff_mul(aff_v(r), ys), T, aff_mul(aff_v(id), stride));
	f_end(f, 1);
}

/* Pieces of a row of `dim` from column c0: widths that exist exactly, at most 8 registers at a time. */
typedef struct {
	int at, w, reg;
} Piece;

static int pieces_of(int W, int c0, int dim, Piece *p)
{
	int n = 0;
	for (int w = W; w && n < 8; w /= 2)
		for (; n < 8 && dim - c0 >= w; c0 += w) p[n++] = (Piece){c0, w, 0};
	return n;
}

/* sum over the items of scale * row, items ascending */
static void pool_rows(Fn *f, const Target *t, int dim, int64_t stride, int64_t ys, const int *B, int T, int Y,
		      int n)
{
	int r = f_for(f, "r", aff_c(0), aff_v(n), 1);
	int from = f_load(f, "from", B[0], aff_v(r)), to = f_load(f, "to", B[0], aff_off(aff_v(r), 1));
	for (int c = 0; c < dim;) {
		Piece p[8];
		int np = pieces_of(t->W, c, dim, p);
		f_for(f, "o", aff_c(0), aff_c(1), 1);
		for (int k = 0; k < np; k++) {
			p[k].reg = f_reg(f, "s", p[k].w, 1, 1);
			f_set1(f, p[k].reg, e_const(f, p[k].w, 0));
		}
		int i = f_for(f, "i", aff_v(from), aff_v(to), 1), id = f_load(f, "id", B[1], aff_v(i));
		for (int k = 0; k < np; k++) {
			int s = e_splat(f, p[k].w, e_load(f, 1, B[2], aff_v(i)));
			int x = e_load(f, p[k].w, T, aff_off(aff_mul(aff_v(id), stride), p[k].at));
			int e = t->fma ? e_op3(f, E_FMA, s, x, e_reg1(f, p[k].reg))
				       : e_op2(f, E_ADD, e_op2(f, E_MUL, s, x), e_reg1(f, p[k].reg));
			f_set1(f, p[k].reg, e);
		}
		f_end(f, 1);
		for (int k = 0; k < np; k++)
			f_store(f, Y, aff_off(aff_mul(aff_v(r), ys), p[k].at), e_reg1(f, p[k].reg));
		f_end(f, 1);
		c = p[np - 1].at + p[np - 1].w;
	}
	f_end(f, 1);
}

static void lookup_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	const Lookup *look = &l->spec->lookup.at[n->attr.i];
	const Feature *feature = &l->spec->feature.at[look->feature];
	int dim = n->shape.d[0];
	int64_t stride = l->spec->table.at[look->table].stride;
	Loc Y = lo_result(l, id), T = lo_slot(l, SLOT_TABLE, look->table, 0, false);
	bool fresh;
	if (feature->kind == FEATURE_BAG) {
		Loc arg[5] = {lo_slot(l, SLOT_BAG_START, look->feature, 1, false),
			      lo_slot(l, SLOT_BAG_ITEM, look->feature, 0, false),
			      lo_slot(l, SLOT_BAG_SCALE, look->feature, 0, false), T, Y};
		Fn *f = lo_kernel(l, &fresh, "pool_%d_s%d_%d", dim, (int)stride, (int)Y.stride);
		if (fresh) {
			int B[3] = {f_buf(f, BUF_IN, ELEM_I32, "start", 0),
				    f_buf(f, BUF_IN, ELEM_I32, "item", 0),
				    f_buf(f, BUF_IN, ELEM_F32, "scale", 0)};
			int bt = f_buf(f, BUF_IN, ELEM_F32, "table", 0),
			    by = f_buf(f, BUF_OUT, ELEM_F32, "y", 0), rows = f_size(f, "n");
			pool_rows(f, l->t, dim, stride, Y.stride, B, bt, by, rows);
		}
		lo_call(l, f, 5, arg, true, n->span);
		return;
	}
	Loc arg[3] = {lo_slot(l, SLOT_ID, look->feature, 1, false), T, Y};
	Fn *f = lo_kernel(l, &fresh, "gather_%d_s%d_%d", dim, (int)stride, (int)Y.stride);
	if (fresh) {
		int bi = f_buf(f, BUF_IN, ELEM_I32, "id", 0), bt = f_buf(f, BUF_IN, ELEM_F32, "table", 0),
		    by = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		int rows = f_size(f, "n");
		gather_rows(f, l->t, dim, stride, Y.stride, bi, bt, by, rows);
	}
	lo_call(l, f, 3, arg, true, n->span);
}

const Op op_lookup = {.word = "lookup",
		      .n_in = 0,
		      .group = GROUP_EMBED,
		      .doc = "The table row of an id, or the pooled rows of a bag.",
		      .formula = "y = T[id];  y = sum_i scale_i T[id_i]",
		      .shape = lookup_shape,
		      .lower = lookup_lower};
