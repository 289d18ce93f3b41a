/*
 * Where gradients of looked-up rows lie: the layout of DROWS, and records of tables.
 *
 * The gradient of joined lookups is computed side by side.  DROWS takes over that layout, other columns
 * included (a real feature between two ids costs a float), so that nothing has to be moved.
 *
 * Lookups of shared tables whose tasks are kept apart have a block for each task, all with one layout, which
 * the first task with a gradient gives; what of another task does not fit is moved there.  Block 0 is for
 * their sum.
 *
 * Needs   a spec with lookups and a training graph with roots.
 * Leaves  offset and block of each lookup, n_drow, regions; stride of each table.
 */
#include "pass/plan.h"

void pass_records(Spec *s, bool scorer)
{
	for (int i = 0; i < s->table.n; i++) {
		int floats = optimizer_record(&s->tables, s->table.at[i].dim), stride = 1;
		if (scorer) {
			Table *t = &s->table.at[i];
			t->narrow = t->precision != PRECISION_F32;
			t->stride = narrow_record(t->precision, t->dim);
			continue;
		}
		/* Up to a cache line a power of two, so that no record straddles lines; then whole lines. */
		while (stride < floats && stride < 16) stride *= 2;
		s->table.at[i].stride = floats <= 16 ? stride : (floats + 15) / 16 * 16;
	}
}

int drow_lookup(const Spec *s, const Root *r)
{
	return r->kind == ROOT_DROW ? r->index : r->index % s->lookup.n;
}

int drow_column(const Spec *s, const Root *r)
{
	const Lookup *l = &s->lookup.at[drow_lookup(s, r)];
	if (r->kind == ROOT_DROW) return l->offset;
	return l->offset + (1 + r->index / s->lookup.n) * s->n_block;
}

/* The joined value whose columns a lookup's gradient is, or 0. */
NodeId drow_joined(const Graph *g, const Root *r)
{
	NodeId id = drow_root(r) ? plan_behind(g, r->node) : 0;
	return id && g->node.at[id].op == OP_SLICE ? plan_behind(g, g->node.at[id].in[0]) : 0;
}

/* A region of a block that the joined value can be computed in; its column, or -1. */
int drow_region(const Spec *s, const Graph *g, const Root *root, NodeId whole)
{
	int at = s->lookup.at[drow_lookup(s, root)].block - g->node.at[plan_behind(g, root->node)].attr.i;
	int seq = s->feature.at[s->lookup.at[drow_lookup(s, root)].feature].seq;
	for (int i = 0; i < s->region.n; i++)
		if (s->region.at[i].seq == seq && s->region.at[i].at == at &&
		    s->region.at[i].width == shape_size(g->node.at[whole].shape))
			return at;
	return -1;
}

/* What a block holds, of rows and of the steps of each sequence. */
static void fill_blocks(Spec *s, const Graph *train)
{
	NodeId *base = arena_new(s->arena, NodeId, train->node.n);
	for (int r = 0; r < train->root.n; r++) {
		const Root *root = &train->root.at[r];
		if (root->kind != ROOT_TASK_DROW) continue;
		Lookup *l = &s->lookup.at[drow_lookup(s, root)];
		if (l->block >= 0) continue;
		int seq = s->feature.at[l->feature].seq,
		    *width = seq ? &s->seq.at[seq - 1].in_block : &s->in_block;
		NodeId whole = drow_joined(train, root);
		if (!whole) {
			l->block = *width;
			*width += s->table.at[l->table].dim;
			continue;
		}
		if (!base[whole]) {
			int all = (int)shape_size(train->node.at[whole].shape);
			base[whole] = *width + 1;
			vec_push(s->arena, &s->region, ((Region){seq, *width, all}));
			*width += all;
		}
		l->block = base[whole] - 1 + train->node.at[plan_behind(train, root->node)].attr.i;
	}
}

static void block_rows(Spec *s, const Graph *train)
{
	fill_blocks(s, train);
	s->n_block = s->in_block;
	for (int q = 0; q < s->seq.n; q++)
		if (s->seq.at[q].in_block > s->n_block) s->n_block = s->seq.at[q].in_block;
	s->first_block = s->n_drow;
	if (s->in_block) s->n_drow += (s->task.n + 1) * s->n_block;
	for (int i = 0; i < s->seq.n; i++) {
		Seq *q = &s->seq.at[i];
		q->first_block = q->n_drow;
		if (q->in_block) q->n_drow += (s->task.n + 1) * s->n_block;
	}
	for (int i = 0; i < s->lookup.n; i++) {
		Lookup *l = &s->lookup.at[i];
		int seq = s->feature.at[l->feature].seq;
		if (l->block >= 0)
			l->offset = (seq ? s->seq.at[seq - 1].first_block : s->first_block) + l->block;
	}
}

void pass_rows(Spec *s, const Graph *train)
{
	NodeId *base = arena_new(s->arena, NodeId, train->node.n);
	s->n_drow = s->in_block = 0;
	for (int i = 0; i < s->seq.n; i++) s->seq.at[i].n_drow = s->seq.at[i].in_block = 0;
	for (int i = 0; i < s->lookup.n; i++) s->lookup.at[i].offset = s->lookup.at[i].block = -1;
	for (int r = 0; r < train->root.n; r++) {
		const Root *root = &train->root.at[r];
		if (root->kind != ROOT_DROW) continue;
		Lookup *l = &s->lookup.at[root->index];
		int seq = s->feature.at[l->feature].seq,
		    *width = seq ? &s->seq.at[seq - 1].n_drow : &s->n_drow;
		NodeId whole = drow_joined(train, root);
		if (!whole) {
			l->offset = *width;
			*width += s->table.at[l->table].dim;
			continue;
		}
		if (!base[whole]) {
			base[whole] = *width + 1;
			*width += (int)shape_size(train->node.at[whole].shape);
		}
		l->offset = base[whole] - 1 + train->node.at[plan_behind(train, root->node)].attr.i;
	}
	block_rows(s, train);
}
