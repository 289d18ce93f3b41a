/*
 * Slopes along directions: a mixture of the gradient's own direction, where the slope is steep, and of random
 * signs, which also see what the gradient lacks.  Four lengths of step: the longest suffers from curvature
 * and kinks, the shortest from rounding; a right gradient agrees with one of them.  A kink of a relu in the
 * way spoils a direction or two of a right gradient, a wrong gradient spoils most: the middle one decides.
 */
#include "gradcheck.h"
#include "rng.h"
#include <math.h>
#include <string.h>

enum { DIRECTIONS = 7, LENGTHS = 4 };
static const double length[LENGTHS] = {0.05, 0.02, 0.005, 0.001};
/* In double precision rounding allows shorter steps, which leave less room for curvature and kinks. */
static const double finer = sizeof(mtl_real) == sizeof(double) ? 1e-3 : 1;
static const double tolerance = 0.05;

/* Numbers that are moved together: n of them, in rows of `dim`, those of row r at at[r * stride] (or of table
 * row row[r]). */
typedef struct {
	mtl_real *at;
	const int32_t *row; /* NULL: all in order */
	int64_t n_row, stride;
	int dim;
	double *g; /* [n_row * dim] gradient */
} Block;

typedef struct {
	MtlInstance *in;
	MtlStep step;
	const MtlBatch *batch;
	MtlTouched touched;
	double *g, *v;
	mtl_real *was;
} Check;

static mtl_real *number(const Block *k, int64_t i)
{
	int64_t r = i / k->dim;
	return k->at + (k->row ? k->row[r] : r) * k->stride + i % k->dim;
}

static MtlStatus loss(Check *c, double *out, MtlError *e)
{
	mtl_instance_pack(c->in);
	if (mtl_step_gradients(&c->step, c->batch, true, e)) return e->status;
	*out = mtl_step_total(&c->step);
	return MTL_OK;
}

/* A unit direction in c->v. */
static void direct(Check *c, const Block *k, double norm, uint64_t stream)
{
	int64_t n = k->n_row * k->dim;
	double sum = 0;
	for (int64_t i = 0; i < n; i++) {
		double sign = mtl_mix(1, stream, (uint64_t)i) & 1 ? 1 : -1;
		c->v[i] = (norm > 0 ? k->g[i] / norm : 0) + sign / sqrt((double)n);
		sum += c->v[i] * c->v[i];
	}
	for (int64_t i = 0; i < n; i++) c->v[i] /= sum > 0 ? sqrt(sum) : 1;
}

/* Difference of slopes along c->v for one length of step; the numbers are put back. */
static MtlStatus difference(Check *c, const Block *k, double h, double *out, MtlError *e)
{
	int64_t n = k->n_row * k->dim;
	double at[2] = {0, 0}, slope = 0;
	for (int64_t i = 0; i < n; i++) c->was[i] = *number(k, i);
	for (int side = 0; side < 2 && !e->status; side++) {
		for (int64_t i = 0; i < n; i++)
			*number(k, i) = (mtl_real)(c->was[i] + (side ? -h : h) * c->v[i]);
		/* What was really moved, after rounding, is what the slope is compared along. */
		for (int64_t i = 0; i < n; i++)
			slope += k->g[i] * ((double)*number(k, i) - c->was[i]) * (side ? -1 : 1);
		loss(c, &at[side], e);
	}
	for (int64_t i = 0; i < n; i++) *number(k, i) = c->was[i];
	*out = fabs((at[0] - at[1]) - slope) / (2 * h);
	return e->status;
}

static MtlStatus check(Check *c, const Block *k, MtlGradcheckLine *l, MtlError *e)
{
	int64_t n = k->n_row * k->dim;
	double square = 0;
	for (int64_t i = 0; i < n; i++) square += k->g[i] * k->g[i];
	l->size = sqrt(square);
	double error[DIRECTIONS];
	l->scale = l->size > 1e-3 ? l->size : 1e-3;
	for (int d = 0; d < DIRECTIONS; d++) {
		double best = INFINITY, now;
		direct(c, k, l->size, (uint64_t)d);
		for (int h = 0; h < LENGTHS; h++) {
			if (difference(c, k, finer * length[h], &now, e)) return e->status;
			if (now < best) best = now;
		}
		/* Kept in order. */
		int at = d;
		for (; at > 0 && error[at - 1] > best / l->scale; at--) error[at] = error[at - 1];
		error[at] = best / l->scale;
	}
	l->error = error[DIRECTIONS / 2];
	l->good = l->error <= finer * tolerance;
	return MTL_OK;
}

static MtlStatus check_all(Check *c, void (*line)(void *self, const MtlGradcheckLine *l), void *self,
			   bool *good, MtlError *e)
{
	const MtlModel *m = c->in->m;
	double total;
	if (loss(c, &total, e)) return e->status;
	/* The step overwrites its gradients at every loss: keep them. */
	int64_t at = 0;
	for (int64_t i = 0; i < m->n_param; i++) c->g[at++] = c->step.grad[i];
	int64_t table_at = at;
	for (int t = 0; t < m->n_table; t++) {
		int dim = m->table[t].dim;
		if (mtl_touched_fill(&c->touched, c->in->sys, m, c->batch, t, c->in->table_rows[t], e))
			return e->status;
		const MtlTouched *g = &c->touched;
		for (int64_t u = 0; u < g->n_uniq; u++, at += dim)
			for (int32_t i = g->start[u]; i < g->start[u + 1]; i++)
				for (int j = 0; j < dim; j++)
					c->g[at + j] += (double)g->scale[i] * c->step.drows[g->src[i] + j];
	}
	for (int i = 0; i < m->n_param_block; i++) {
		const MtlParam *p = &m->param[i];
		Block k = {c->in->param + p->offset, NULL, 1, 0, (int)p->size, c->g + p->offset};
		MtlGradcheckLine l = {.tensor = mtl_param_tensor(c->in, i, NULL)};
		if (check(c, &k, &l, e)) return e->status;
		*good = *good && l.good;
		line(self, &l);
	}
	for (int t = 0; t < m->n_table; t++) {
		const MtlTable *q = &m->table[t];
		if (mtl_touched_fill(&c->touched, c->in->sys, m, c->batch, t, c->in->table_rows[t], e))
			return e->status;
		Block k = {c->in->table[t], c->touched.uniq, c->touched.n_uniq,
			   q->stride,	    q->dim,	     c->g + table_at};
		MtlGradcheckLine l = {.tensor = mtl_table_tensor(c->in, t, -1)};
		table_at += c->touched.n_uniq * q->dim;
		if (check(c, &k, &l, e)) return e->status;
		*good = *good && l.good;
		line(self, &l);
	}
	return MTL_OK;
}

MtlStatus mtl_gradcheck(MtlInstance *in, MtlThreads *pool, const MtlBatch *b,
			void (*line)(void *self, const MtlGradcheckLine *l), void *self, MtlError *e)
{
	const MtlModel *m = in->m;
	Check c = {.in = in, .batch = b};
	int64_t n = m->n_param;
	bool good = true;
	for (int t = 0; t < m->n_table; t++) n += mtl_touched_count(m, b, t) * m->table[t].dim;
	MtlStatus st = mtl_step_init(&c.step, in, pool, b->n ? b->n : 1, e);
	c.g = mtl_new(in->sys, double, n + 1);
	c.v = mtl_new(in->sys, double, n + 1);
	c.was = mtl_new(in->sys, mtl_real, n + 1);
	if (!st && !(c.g && c.v && c.was))
		st = mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the check");
	if (!st) st = check_all(&c, line, self, &good, e);
	mtl_touched_free(&c.touched, in->sys);
	mtl_release(in->sys, c.g);
	mtl_release(in->sys, c.v);
	mtl_release(in->sys, c.was);
	mtl_step_free(&c.step);
	return st ? st : good ? MTL_OK : MTL_NO;
}
