/*
 * The gradient of a whole log: one big batch through the kernels of a step, the tables' part spread out to
 * full size.
 */
#include "grad.h"
#include <stdio.h>
#include <string.h>

enum { PIECE_ROWS = 4096 };

/* Appends all of `from`; a batch too small is replaced by one of twice the rows. */
static MtlStatus gather(MtlBatch *all, const MtlSys *sys, const MtlModel *m, const MtlBatch *from,
			MtlError *e)
{
	if (all->n + from->n > all->cap) {
		MtlBatch more;
		int64_t cap = 2 * all->cap > all->n + from->n ? 2 * all->cap : all->n + from->n;
		if (mtl_batch_init(&more, sys, m, cap, e)) return e->status;
		MtlStatus st = gather(&more, sys, m, all, e);
		mtl_batch_free(all, sys, m);
		*all = more;
		if (st) return st;
	}
	for (int64_t i = 0; i < from->n; i++)
		if (mtl_batch_append(all, sys, m, from, i, e)) return e->status;
	return MTL_OK;
}

static MtlStatus read_all(MtlBatch *all, MtlInstance *in, const char *const *path, int n_path,
			  const MtlReaderOptions *o, MtlError *e)
{
	MtlFeedOptions fo = {.path = path, .n_path = n_path, .reader = *o, .batch = PIECE_ROWS};
	MtlFeed *feed = NULL;
	if (mtl_batch_init(all, in->sys, in->m, PIECE_ROWS, e)) return e->status;
	if (mtl_feed_open(&feed, in->sys, in->m, &in->codes, &fo, e)) return e->status;
	MtlStatus st = MTL_OK;
	for (MtlFed *fed = NULL; !st && !(st = mtl_feed_next(feed, &fed, e)) && fed;)
		st = gather(all, in->sys, in->m, &fed->batch, e);
	MtlStatus closed = mtl_feed_close(feed, e);
	st = st ? st : closed;
	return st ? st : mtl_batch_steps(all, in->sys, in->m, e);
}

/* d [rows, dim] += scale * the occurrences' gradients, in the order of the training step. */
static void spread(mtl_real *d, int dim, const MtlTouched *g, const mtl_real *drows)
{
	for (int64_t u = 0; u < g->n_uniq; u++)
		for (int32_t i = g->start[u]; i < g->start[u + 1]; i++)
			for (int j = 0; j < dim; j++)
				d[(int64_t)g->uniq[u] * dim + j] += g->scale[i] * drows[g->src[i] + j];
}

static MtlStatus write_all(const MtlStep *s, mtl_real *const *dtable, const char *out, MtlError *e)
{
	const MtlInstance *in = s->in;
	const MtlModel *m = in->m;
	const MtlSys *sys = in->sys;
	enum { NAME = 512 };
	int n = m->n_param_block + m->n_table + m->n_loss + 1, k = 0;
	MtlTensor *t = mtl_new(sys, MtlTensor, n);
	char *name = mtl_new(sys, char, (int64_t)n *NAME);
	mtl_real *loss = mtl_new(sys, mtl_real, m->n_loss + 1);
	MtlStatus st =
	    t && name && loss ? MTL_OK : mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the gradients");
	if (!st) {
		for (int i = 0; i < m->n_param_block; i++, k++) {
			snprintf(name + k * NAME, NAME, "grad.%s", m->param[i].name);
			t[k] = mtl_param_tensor(in, i, s->grad);
		}
		for (int i = 0; i < m->n_table; i++, k++) {
			snprintf(name + k * NAME, NAME, "grad.%s", m->table[i].name);
			t[k] = (MtlTensor){
			    .n_dim = 2, .dim = {in->table_rows[i], m->table[i].dim}, .data = dtable[i]};
		}
		for (int l = 0; l <= m->n_loss; l++, k++) {
			bool total = l == m->n_loss;
			snprintf(name + k * NAME, NAME, "loss.%s", total ? "total" : m->loss[l].name);
			loss[l] = (mtl_real)(total ? mtl_step_total(s) : s->loss[l]);
			t[k] = (MtlTensor){.data = &loss[l]};
		}
		for (int i = 0; i < k; i++) t[i].name = name + i * NAME;
		const MtlMeta meta[] = {{MTL_META_MODEL, m->name},
					{MTL_META_DIGEST, m->digest},
					{MTL_META_COMPILER, m->compiler}};
		st = mtl_store_write(sys, out, t, k, meta, 3, e);
	}
	mtl_release(sys, t);
	mtl_release(sys, name);
	mtl_release(sys, loss);
	return st;
}

MtlStatus mtl_grad(MtlInstance *in, MtlThreads *pool, const char *const *path, int n_path,
		   const MtlReaderOptions *o, const char *out, int64_t *rows, MtlError *e)
{
	const MtlModel *m = in->m;
	const MtlSys *sys = in->sys;
	MtlBatch all = {0};
	MtlStep step = {0};
	MtlTouched g = {0};
	mtl_real **dtable = mtl_new(sys, mtl_real *, m->n_table + 1);
	MtlStatus st = dtable ? MTL_OK : mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the gradients");
	if (!st) st = read_all(&all, in, path, n_path, o, e);
	if (!st) st = mtl_step_init(&step, in, pool, all.n ? all.n : 1, e);
	if (!st) st = mtl_step_gradients(&step, &all, true, e);
	for (int t = 0; !st && t < m->n_table; t++) {
		dtable[t] = mtl_new(sys, mtl_real, in->table_rows[t] * m->table[t].dim);
		if (!dtable[t])
			st = mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the gradient of table %s",
				      m->table[t].name);
		if (!st) st = mtl_touched_fill(&g, sys, m, &all, t, in->table_rows[t], e);
		if (!st) spread(dtable[t], m->table[t].dim, &g, step.drows);
	}
	if (!st) st = write_all(&step, dtable, out, e);
	*rows = all.n;
	for (int t = 0; dtable && t < m->n_table; t++) mtl_release(sys, dtable[t]);
	mtl_release(sys, dtable);
	mtl_touched_free(&g, sys);
	mtl_step_free(&step);
	mtl_batch_free(&all, sys, m);
	return st;
}
