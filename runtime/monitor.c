/* What is looked at, and the sums over an epoch. */
#include "monitor.h"
#include <math.h>
#include <string.h>

enum { ROWS = 2 * MTL_BLOCK /* of a batch one job looks at */ };

void mtl_monitor_clear(MtlMonitor *m)
{
	const MtlModel *model = m->s->in->m;
	int64_t n = m->n, pairs = n * n;
	m->steps = 0;
	memset(m->norm, 0, (size_t)n * sizeof *m->norm);
	memset(m->seen, 0, (size_t)n * sizeof *m->seen);
	memset(m->cosine, 0, (size_t)pairs * sizeof *m->cosine);
	memset(m->both, 0, (size_t)pairs * sizeof *m->both);
	memset(m->against, 0, (size_t)pairs * sizeof *m->against);
	memset(m->weight, 0, (size_t)model->gate_floats * sizeof *m->weight);
	memset(m->use, 0, (size_t)model->n_gate * sizeof *m->use);
}

MtlStatus mtl_monitor_init(MtlMonitor *m, MtlStep *s, int64_t every, MtlError *e)
{
	const MtlModel *model = s->in->m;
	const MtlSys *sys = s->in->sys;
	*m = (MtlMonitor){.s = s, .every = every, .n = model->tasks.n};
	int64_t n = m->n, pairs = n * n;
	m->norm = mtl_new(sys, double, n + 1);
	m->seen = mtl_new(sys, int64_t, n + 1);
	m->cosine = mtl_new(sys, double, pairs + 1);
	m->both = mtl_new(sys, int64_t, pairs + 1);
	m->against = mtl_new(sys, int64_t, pairs + 1);
	m->weight = mtl_new(sys, double, model->gate_floats + 1);
	m->use = mtl_new(sys, MtlGateUse, model->n_gate + 1);
	m->gate = mtl_new(sys, mtl_real, s->cap * model->gate_floats + 1);
	bool ok = m->norm && m->seen && m->cosine && m->both && m->against && m->weight && m->use && m->gate;
	for (int k = 0; ok && !model->tasks.of_tasks && k < m->n; k++) {
		m->grad[k] = mtl_new(sys, mtl_real, model->n_param + 1);
		m->rows[k] = mtl_new(sys, mtl_real, mtl_step_drows(model, s->cap) + 1);
		ok = m->grad[k] && m->rows[k];
	}
	if (!ok) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory to look at %d tasks", m->n);
	return MTL_OK;
}

void mtl_monitor_free(MtlMonitor *m)
{
	if (!m->s || !m->s->in) return;
	const MtlSys *sys = m->s->in->sys;
	for (int k = 0; k < MTL_TASKS; k++) {
		mtl_release(sys, m->grad[k]);
		mtl_release(sys, m->rows[k]);
	}
	mtl_release(sys, m->norm);
	mtl_release(sys, m->seen);
	mtl_release(sys, m->cosine);
	mtl_release(sys, m->both);
	mtl_release(sys, m->against);
	mtl_release(sys, m->weight);
	mtl_release(sys, m->use);
	mtl_release(sys, m->gate);
	*m = (MtlMonitor){0};
}

bool mtl_monitor_due(const MtlMonitor *m) { return m->every && m->s->step % m->every == 0; }

/* ---- gradients ---- */

/* With the tasks' products in gram, of gradients times `factor`. */
static void add_products(MtlMonitor *m, const double *factor)
{
	const MtlStep *s = m->s;
	const double *G = s->balance.gram;
	bool there[MTL_TASKS];
	for (int k = 0; k < m->n; k++) {
		there[k] = s->weight[s->in->m->tasks.loss[k]] > 0;
		if (!there[k]) continue;
		m->norm[k] += sqrt(G[k * m->n + k]) / (factor ? factor[k] : 1);
		m->seen[k]++;
	}
	for (int k = 0; k < m->n; k++)
		for (int j = 0; j < k; j++) {
			double size = sqrt(G[k * m->n + k]) * sqrt(G[j * m->n + j]);
			if (!there[k] || !there[j] || !(size > 0)) continue;
			m->cosine[k * m->n + j] += G[k * m->n + j] / size;
			m->both[k * m->n + j]++;
			m->against[k * m->n + j] += G[k * m->n + j] < 0;
		}
}

void mtl_monitor_before(MtlMonitor *m, const MtlBatch *b, const MtlTouched *touched)
{
	MtlStep *s = m->s;
	const MtlModel *model = s->in->m;
	if (!m->n || model->tasks.of_tasks || !b->n) return;
	MtlTaskGradients g = {0};
	for (int k = 0; k < m->n; k++) {
		mtl_step_of_loss(s, b, model->tasks.loss[k]);
		memcpy(m->grad[k], s->grad, (size_t)model->n_param * sizeof *s->grad);
		memcpy(m->rows[k], s->drows,
		       (size_t)mtl_batch_drows(b, model, model->n_seq) * sizeof *s->drows);
		g.dense[k] = m->grad[k];
		g.rows[k] = m->rows[k];
	}
	mtl_balance_products(&s->balance, s->pool, &g, touched);
	add_products(m, NULL);
}

/* ---- gates ---- */

static void gate_rows(void *arg, int64_t i, int worker)
{
	MtlMonitor *m = arg;
	const MtlStep *s = m->s;
	int64_t row = i * ROWS, left = s->batch->n - row;
	MtlFrame f = {.in = s->in, .batch = s->batch, .work = s->work[worker], .gate = m->gate};
	mtl_frame_call(&f, MTL_GATES, row, left < ROWS ? left : ROWS, 0);
}

static void add_gate(MtlMonitor *m, int g, const mtl_real *w)
{
	const MtlGate *gate = &m->s->in->m->gate[g];
	double entropy = 0, most = 0;
	for (int i = 0; i < gate->n; i++) {
		double x = (double)w[i];
		m->weight[gate->first + i] += x;
		if (x > 0) entropy -= x * log(x);
		if (x > most) most = x;
	}
	m->use[g].rows++;
	m->use[g].entropy += entropy;
	m->use[g].single += most > 0.9;
}

void mtl_monitor_after(MtlMonitor *m, const MtlBatch *b)
{
	MtlStep *s = m->s;
	const MtlModel *model = s->in->m;
	m->steps++;
	if (m->n && model->tasks.of_tasks && b->n) add_products(m, s->balance.used);
	if (!model->n_gate || !b->n) return;
	mtl_pool_run(s->pool, (b->n + ROWS - 1) / ROWS, gate_rows, m);
	for (int64_t r = 0; r < b->n; r++)
		for (int g = 0; g < model->n_gate; g++)
			add_gate(m, g, m->gate + r * model->gate_floats + model->gate[g].first);
}
