/*
 * Balancing in the training step.
 *
 * Remembered, for task k:
 *
 *   uncertainty  [4k] s, its two moments of Adam, its steps
 *   gradnorm     [2k] f, L(0) or 0
 *   dwa          [0] epochs done; [4k + 1] sum and weight of this epoch's losses, means of the last epoch and
 *                of that before
 */
#include "balance.h"
#include "group.h"
#include "schedule.h"
#include "step.h"
#include "surgery.h"
#include <math.h>
#include <string.h>

enum {
	PIECE = 8192, /* floats one job looks at */
	ROWS = 256,   /* rows of a batch one job joins */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

const char *mtl_balance_name(MtlBalanceKind k)
{
	static const char *const name[] = {"fixed", "uncertainty", "dwa",    "gradnorm", "pcgrad",
					   "mgda",  "pareto",	   "cagrad", "nash"};
	return name[k];
}

/* ---- beginning ---- */

static bool cut_pieces(MtlBalance *b)
{
	const MtlModel *m = b->m;
	int64_t n = 0;
	for (int i = 0; i < m->n_param_block; i++)
		n += m->param[i].shared ? ceil_div(m->param[i].size, PIECE) : 0;
	if (!(b->piece = mtl_new(b->sys, int64_t, 3 * n + 1))) return false;
	for (int i = 0; i < m->n_param_block; i++)
		for (int64_t lo = 0; m->param[i].shared && lo < m->param[i].size; lo += PIECE) {
			int64_t hi = lo + PIECE < m->param[i].size ? lo + PIECE : m->param[i].size,
				*q = b->piece + 3 * b->n_piece++;
			q[0] = i, q[1] = lo, q[2] = hi;
		}
	return true;
}

void mtl_balance_resume(MtlBalance *b)
{
	const double *x = b->remembered;
	double sum = 0;
	for (int k = 0; k < b->n; k++) {
		double *f = &b->factor[k];
		switch (b->m->train.balance.kind) {
		case MTL_UNCERTAINTY:
			*f = exp(-x[4 * k]) / (b->m->loss[b->m->tasks.loss[k]].regression ? 2 : 1);
			break;
		case MTL_GRADNORM: *f = x[2 * k]; break;
		case MTL_DWA:
			/* What is not above 0 has no ratio: 1. */
			*f = x[0] < 2
				 ? 1
				 : exp((x[4 * k + 3] > 0 && x[4 * k + 4] > 0 ? x[4 * k + 3] / x[4 * k + 4]
									     : 1) /
				       b->m->train.balance.k);
			break;
		default: *f = 1; break;
		}
		sum += *f;
	}
	bool dwa = b->m->train.balance.kind == MTL_DWA;
	for (int k = 0; dwa && k < b->n; k++) b->factor[k] *= b->n / sum;
}

MtlStatus mtl_balance_init(MtlBalance *b, const MtlSys *sys, const MtlModel *m, int threads, MtlError *e)
{
	*b = (MtlBalance){.m = m, .sys = sys, .n = m->tasks.n};
	static const int per_task[] = {
	    [MTL_UNCERTAINTY] = 4, [MTL_DWA] = 4, [MTL_GRADNORM] = 2, [MTL_NASH] = 0};
	MtlBalanceKind kind = m->train.balance.kind;
	b->n_remembered = per_task[kind] * b->n + (kind == MTL_DWA);
	for (int k = 0; k < b->n; k++) {
		if (kind == MTL_GRADNORM) b->remembered[2 * k] = 1;
		b->share[k] = 1;
	}
	mtl_balance_resume(b);
	for (int t = 0; t < m->n_table; t++)
		if (m->table[t].shared && m->table[t].dim > b->widest) b->widest = m->table[t].dim;
	bool ok = cut_pieces(b);
	int64_t parts = b->n_piece > MTL_PARTS ? b->n_piece : MTL_PARTS, pairs = (int64_t)b->n * b->n;
	b->gram = mtl_new(sys, double, pairs + 1);
	b->part = mtl_new(sys, double, parts *pairs + 1);
	b->sum = mtl_new(sys, double, (int64_t)threads * b->n * b->widest + 1);
	if (!ok || !b->gram || !b->part || !b->sum)
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory to balance %d tasks", b->n);
	return MTL_OK;
}

void mtl_balance_free(MtlBalance *b)
{
	if (!b->sys) return;
	mtl_release(b->sys, b->gram);
	mtl_release(b->sys, b->part);
	mtl_release(b->sys, b->sum);
	mtl_release(b->sys, b->piece);
	*b = (MtlBalance){0};
}

/* ---- products ---- */

typedef struct {
	MtlBalance *b;
	const MtlTaskGradients *g;
	const MtlTouched *touched;
	int dim;
} Products;

static void product_piece(void *arg, int64_t i, int worker)
{
	const Products *p = arg;
	const MtlBalance *b = p->b;
	const int64_t *q = b->piece + 3 * i;
	const MtlParam *param = &b->m->param[q[0]];
	int64_t at = p->g->packed ? param->block : param->offset;
	double *to = b->part + i * b->n * b->n;
	(void)worker;
	for (int k = 0; k < b->n; k++)
		for (int j = 0; j <= k; j++) {
			const mtl_real *x = p->g->dense[k] + at, *y = p->g->dense[j] + at;
			double sum = 0;
			for (int64_t c = q[1]; c < q[2]; c++) sum += (double)x[c] * (double)y[c];
			to[k * b->n + j] = sum;
		}
}

/* Of one touched row: what each task's occurrences add up to. */
static void add_row(const Products *p, int64_t u, double *sum)
{
	const MtlTouched *t = p->touched;
	memset(sum, 0, (size_t)(p->b->n * p->dim) * sizeof *sum);
	for (int32_t i = t->start[u]; i < t->start[u + 1]; i++)
		for (int k = 0; k < p->b->n; k++) {
			const mtl_real *d = p->g->rows[k] + t->src[i];
			for (int c = 0; c < p->dim; c++)
				sum[k * p->dim + c] += (double)t->scale[i] * (double)d[c];
		}
}

static void product_rows(void *arg, int64_t i, int worker)
{
	const Products *p = arg;
	const MtlBalance *b = p->b;
	int64_t n = p->touched->n_uniq, part = ceil_div(n, MTL_PARTS), lo = i * part,
		hi = lo + part < n ? lo + part : n;
	double *to = b->part + i * b->n * b->n, *sum = b->sum + (int64_t)worker * b->n * b->widest;
	memset(to, 0, (size_t)(b->n * b->n) * sizeof *to);
	for (int64_t u = lo; u < hi; u++) {
		add_row(p, u, sum);
		for (int k = 0; k < b->n; k++)
			for (int j = 0; j <= k; j++)
				for (int c = 0; c < p->dim; c++)
					to[k * b->n + j] += sum[k * p->dim + c] * sum[j * p->dim + c];
	}
}

static void add_parts(MtlBalance *b, int64_t parts)
{
	for (int64_t i = 0; i < parts; i++)
		for (int k = 0; k < b->n * b->n; k++) b->gram[k] += b->part[i * b->n * b->n + k];
}

void mtl_balance_products(MtlBalance *b, MtlThreads *pool, const MtlTaskGradients *g,
			  const MtlTouched *touched)
{
	Products p = {.b = b, .g = g};
	memset(b->gram, 0, (size_t)(b->n * b->n) * sizeof *b->gram);
	mtl_pool_run(pool, b->n_piece, product_piece, &p);
	add_parts(b, b->n_piece);
	for (int t = 0; t < b->m->n_table; t++) {
		if (!b->m->table[t].shared || !touched[t].n_uniq) continue;
		p.touched = &touched[t];
		p.dim = b->m->table[t].dim;
		int64_t parts = ceil_div(p.touched->n_uniq, ceil_div(p.touched->n_uniq, MTL_PARTS));
		mtl_pool_run(pool, parts, product_rows, &p);
		add_parts(b, parts);
	}
	for (int k = 0; k < b->n; k++)
		for (int j = 0; j < k; j++) b->gram[j * b->n + k] = b->gram[k * b->n + j];
}

/* ---- one gradient from several ---- */

typedef struct {
	MtlStep *s;
	mtl_real a[MTL_TASKS];
	mtl_real *at; /* block 0 of the first row */
	int64_t n, stride;
	int width;
} Join;

static void join_piece(void *arg, int64_t i, int worker)
{
	const Join *j = arg;
	const MtlModel *m = j->s->in->m;
	const int64_t *q = j->s->balance.piece + 3 * i;
	const MtlParam *p = &m->param[q[0]];
	(void)worker;
	for (int64_t c = q[1]; c < q[2]; c++) {
		const mtl_real *g = j->s->grad + m->n_param + p->block + c;
		mtl_real sum = 0;
		for (int k = 0; k < m->tasks.n; k++) sum += j->a[k] * g[k * m->tasks.n_shared];
		j->s->grad[p->offset + c] = sum;
	}
}

/* Rows of the batch, or steps of a sequence: a task's block lies n_block behind that of the one before. */
static void join_rows(void *arg, int64_t i, int worker)
{
	const Join *j = arg;
	const MtlTasks *t = &j->s->in->m->tasks;
	int64_t lo = i * ROWS, hi = lo + ROWS < j->n ? lo + ROWS : j->n;
	(void)worker;
	for (int64_t r = lo; r < hi; r++) {
		mtl_real *to = j->at + r * j->stride;
		for (int c = 0; c < j->width; c++) {
			mtl_real sum = 0;
			for (int k = 0; k < t->n; k++) sum += j->a[k] * to[(k + 1) * t->n_block + c];
			to[c] = sum;
		}
	}
}

void mtl_balance_join(MtlStep *s, const double *a)
{
	const MtlTasks *t = &s->in->m->tasks;
	if (!t->of_tasks) return;
	Join j = {.s = s};
	for (int k = 0; k < t->n; k++) j.a[k] = (mtl_real)(a ? a[k] : 1);
	mtl_pool_run(s->pool, s->balance.n_piece, join_piece, &j);
	const MtlModel *m = s->in->m;
	j.at = s->drows + t->first_block, j.n = s->batch->n, j.stride = m->n_drow, j.width = t->in_block;
	if (j.width) mtl_pool_run(s->pool, ceil_div(j.n, ROWS), join_rows, &j);
	for (int i = 0; i < m->n_seq; i++) {
		const MtlSeq *q = &m->seq[i];
		j.at = s->drows + mtl_batch_drows(s->batch, m, i) + q->first_block;
		j.n = mtl_batch_n_steps(s->batch, m, i), j.stride = q->n_drow, j.width = q->in_block;
		if (j.width) mtl_pool_run(s->pool, ceil_div(j.n, ROWS), join_rows, &j);
	}
}

/* ---- the methods ---- */

static double loss_of(const MtlStep *s, int k)
{
	int l = s->in->m->tasks.loss[k];
	return s->in->m->loss[l].weight * s->loss[l];
}

static bool takes_part(const MtlStep *s, int k) { return s->weight[s->in->m->tasks.loss[k]] > 0; }

static MtlStatus losses_fit(const MtlStep *s, MtlError *e)
{
	MtlBalanceKind kind = s->in->m->train.balance.kind;
	bool needs = kind == MTL_UNCERTAINTY || kind == MTL_GRADNORM;
	for (int k = 0; needs && k < s->balance.n; k++) {
		double L = loss_of(s, k);
		if (takes_part(s, k) && (L < 0 || (L == 0 && kind == MTL_GRADNORM)))
			return mtl_fail(e, MTL_NUMBERS, "", NULL,
					"loss %s is %g: balance by %s is for losses %s 0",
					s->in->m->loss[s->in->m->tasks.loss[k]].name, L,
					mtl_balance_name(kind), kind == MTL_GRADNORM ? "above" : "not below");
	}
	return MTL_OK;
}

/* A step of Adam on s: the objective is f w L + s / 2, and df/ds = -f. */
static void uncertainty(MtlStep *s, int k)
{
	double *x = s->balance.remembered + 4 * k, g = 0.5 - s->balance.factor[k] * loss_of(s, k);
	double lr = s->dense.lr * mtl_schedule_factor(&s->schedule, s->step + 1, s->steps);
	x[1] = 0.9 * x[1] + 0.1 * g;
	x[2] = 0.999 * x[2] + 0.001 * g * g;
	x[3]++;
	x[0] -= lr * x[1] / (1 - pow(0.9, x[3])) / (sqrt(x[2] / (1 - pow(0.999, x[3]))) + 1e-8);
}

static void dwa(MtlStep *s, int k)
{
	double *x = s->balance.remembered + 4 * k + 1, w = s->weight[s->in->m->tasks.loss[k]];
	x[0] += loss_of(s, k) * w;
	x[1] += w;
}

static void gradnorm(MtlStep *s)
{
	MtlBalance *b = &s->balance;
	double r[MTL_TASKS], size[MTL_TASKS], mean_r = 0, mean = 0, sum = 0;
	int n = 0;
	for (int k = 0; k < b->n; k++) {
		double *x = b->remembered + 2 * k;
		if (!takes_part(s, k)) continue;
		if (x[1] == 0) x[1] = loss_of(s, k);
		r[k] = loss_of(s, k) / x[1];
		size[k] = sqrt(b->gram[k * b->n + k]); /* of f g: f stands in the denominators */
		mean_r += r[k];
		mean += size[k];
		n++;
	}
	if (n < 2 || mean <= 0) return;
	mean_r /= n;
	mean /= n;
	for (int k = 0; k < b->n; k++) {
		double *f = b->remembered + 2 * k;
		if (takes_part(s, k)) {
			double far = size[k] - mean * pow(r[k] / mean_r, s->in->m->train.balance.k);
			double sign = far > 0 ? 1 : far < 0 ? -1 : 0;
			*f *= exp(-s->in->m->train.balance.lr * sign * size[k] / mean);
		}
		sum += *f;
	}
	for (int k = 0; k < b->n; k++) b->remembered[2 * k] *= b->n / sum;
}

/* Shares by surgery, among those who take part. */
static void surgery(MtlStep *s)
{
	MtlBalance *b = &s->balance;
	const MtlBalanceRule *rule = &s->in->m->train.balance;
	int n = 0, who[MTL_TASKS];
	double a[MTL_TASKS], least[MTL_TASKS], work[MTL_TASKS], *G = b->part;
	for (int k = 0; k < b->n; k++) {
		b->share[k] = 1;
		if (takes_part(s, k)) who[n++] = k;
	}
	if (n < 2) return;
	for (int i = 0; i < n; i++) {
		for (int j = 0; j < n; j++) G[i * n + j] = b->gram[who[i] * b->n + who[j]];
		least[i] = rule->least ? rule->least[who[i]] : 0;
	}
	if (rule->kind == MTL_PCGRAD) mtl_pcgrad(n, G, s->seed, (uint64_t)s->step, a, work);
	if (rule->kind == MTL_MGDA || rule->kind == MTL_PARETO) mtl_min_norm(n, G, least, a, work);
	if (rule->kind == MTL_CAGRAD) mtl_cagrad(n, G, rule->k, a, work);
	if (rule->kind == MTL_NASH) mtl_nash(n, G, a, work);
	for (int i = 0; i < n; i++) b->share[who[i]] = a[i];
}

MtlStatus mtl_balance_step(MtlStep *s, const MtlTouched *touched, MtlError *e)
{
	const MtlModel *m = s->in->m;
	MtlBalance *b = &s->balance;
	MtlBalanceKind kind = m->train.balance.kind;
	if (kind == MTL_FIXED || s->batch->n == 0) return MTL_OK;
	memcpy(b->used, b->factor, sizeof b->used);
	if (losses_fit(s, e)) return e->status;
	if (m->tasks.of_tasks) {
		MtlTaskGradients g = {.packed = true};
		for (int k = 0; k < b->n; k++) {
			g.dense[k] = s->grad + m->n_param + k * m->tasks.n_shared;
			g.rows[k] = s->drows + (k + 1) * m->tasks.n_block;
		}
		mtl_balance_products(b, s->pool, &g, touched);
		if (kind != MTL_GRADNORM) surgery(s);
		mtl_balance_join(s, b->share);
	}
	for (int k = 0; k < b->n; k++) {
		if (!takes_part(s, k)) continue;
		b->mean[k] += b->factor[k] * b->share[k];
		b->steps[k]++;
		if (kind == MTL_UNCERTAINTY) uncertainty(s, k);
		if (kind == MTL_DWA) dwa(s, k);
	}
	if (kind == MTL_GRADNORM) gradnorm(s);
	if (kind != MTL_DWA) mtl_balance_resume(b); /* the factors of the next step */
	return MTL_OK;
}

void mtl_balance_epoch(MtlBalance *b)
{
	for (int k = 0; k < b->n; k++) {
		b->mean[k] = 0;
		b->steps[k] = 0;
	}
	if (b->m->train.balance.kind != MTL_DWA) return;
	b->remembered[0]++;
	for (int k = 0; k < b->n; k++) {
		double *x = b->remembered + 4 * k + 1, now = x[1] > 0 ? x[0] / x[1] : x[2];
		x[3] = b->remembered[0] > 1 ? x[2] : now;
		x[2] = now;
		x[0] = x[1] = 0;
	}
	mtl_balance_resume(b);
}
