/*
 * One training step: count, gradients by slices, their sum in order, update of parameters and touched table
 * rows.
 */
#include "step.h"
#include "rng.h"
#include "schedule.h"
#include <math.h>
#include <string.h>

enum {
	PIECE = 8192,  /* floats one job updates or sums */
	TOUCHED = 512, /* table rows one job updates */
	GROUPS = 16,   /* groups of rows one job compares */
};

uint64_t mtl_loss_bit(int l) { return (uint64_t)1 << (l < 63 ? l : 63); }

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

void mtl_step_free(MtlStep *s)
{
	if (!s->in) return;
	const MtlSys *sys = s->in->sys;
	for (int i = 0; i < MTL_SLICES; i++) mtl_release(sys, s->acc[i]);
	for (int i = 0; s->work && i < mtl_pool_threads(s->pool); i++) mtl_release(sys, s->work[i]);
	for (int i = 0; s->noise && i < s->in->m->n_noise; i++) mtl_release(sys, s->noise[i]);
	for (int i = 0; s->keep && i < s->in->m->meetings.n_kept; i++) mtl_release(sys, s->keep[i]);
	mtl_release(sys, s->keep);
	mtl_release(sys, s->meet);
	mtl_release(sys, s->next);
	mtl_release(sys, s->work);
	mtl_release(sys, s->noise);
	mtl_release(sys, s->loss);
	mtl_release(sys, s->weight);
	mtl_release(sys, s->grad);
	mtl_release(sys, s->drows);
	mtl_release(sys, s->inv);
	mtl_release(sys, s->count);
	mtl_release(sys, s->losses);
	mtl_release(sys, s->piece);
	mtl_release(sys, s->square);
	mtl_balance_free(&s->balance);
	*s = (MtlStep){0};
}

/* Cuts every parameter that may be stepped into ranges of at most PIECE floats. */
static bool cut_pieces(MtlStep *s)
{
	const MtlModel *m = s->in->m;
	int64_t n = 0;
	for (int i = 0; i < m->n_param_block; i++) n += ceil_div(m->param[i].size, PIECE);
	if (!(s->piece = mtl_new(s->in->sys, int64_t, 3 * n + 1))) return false;
	for (int i = 0; i < m->n_param_block; i++) {
		const MtlParam *p = &m->param[i];
		for (int64_t lo = 0; !p->frozen && lo < p->size; lo += PIECE) {
			int64_t hi = lo + PIECE < p->size ? lo + PIECE : p->size,
				*q = s->piece + 3 * s->n_piece++;
			q[0] = i;
			q[1] = p->offset + lo;
			q[2] = p->offset + hi;
		}
	}
	return true;
}

/* Room for what crosses meetings. */
static bool room_to_meet(MtlStep *s)
{
	const MtlModel *m = s->in->m;
	const MtlSys *sys = s->in->sys;
	s->meet = mtl_new(sys, mtl_real, m->meetings.n_meet + 1);
	s->next = mtl_new(sys, mtl_real, m->meetings.n_next + 1);
	s->keep = mtl_new(sys, mtl_real *, m->meetings.n_kept + 1);
	bool ok = s->meet && s->next && s->keep;
	for (int i = 0; ok && i < m->meetings.n_kept; i++) {
		const MtlKept *k = &m->meetings.kept[i];
		ok = (s->keep[i] = mtl_new(sys, mtl_real,
					   s->cap * (k->seq ? m->seq[k->seq - 1].max : 1) * k->width + 1));
	}
	return ok;
}

int64_t mtl_step_drows(const MtlModel *m, int64_t rows)
{
	int64_t n = rows * m->n_drow;
	for (int q = 0; q < m->n_seq; q++) n += rows * m->seq[q].max * m->seq[q].n_drow;
	return n;
}

MtlStatus mtl_step_init(MtlStep *s, MtlInstance *in, MtlThreads *pool, int64_t cap, MtlError *e)
{
	const MtlModel *m = in->m;
	const MtlSys *sys = in->sys;
	*s = (MtlStep){.in = in,
		       .pool = pool,
		       .cap = cap,
		       .dense = m->train.dense,
		       .tables = m->train.tables,
		       .schedule = m->train.schedule,
		       .steps = m->train.schedule.steps};
	int64_t blocks = ceil_div(cap, MTL_BLOCK), work = mtl_frame_work(in, MTL_COUNT, m->n_entry - 1);
	s->loss = mtl_new(sys, double, m->n_loss + 1);
	s->weight = mtl_new(sys, double, m->n_loss + 1);
	if (mtl_balance_init(&s->balance, sys, m, mtl_pool_threads(pool), e)) return e->status;
	int64_t n_grad = m->n_param + (m->tasks.of_tasks ? m->tasks.n * m->tasks.n_shared : 0);
	s->grad = mtl_new(sys, mtl_real, n_grad + 1);
	s->drows = mtl_new(sys, mtl_real, mtl_step_drows(m, cap) + 1);
	s->inv = mtl_new(sys, mtl_real, m->n_loss + 1);
	s->count = mtl_new(sys, mtl_real, blocks * m->n_loss + 1);
	s->losses = mtl_new(sys, mtl_real, blocks * m->n_loss + 1);
	s->work = mtl_new(sys, mtl_real *, mtl_pool_threads(pool));
	s->noise = mtl_new(sys, mtl_real *, m->n_noise + 1);
	bool ok = s->loss && s->weight && s->grad && s->drows && s->inv && s->count && s->losses && s->work &&
		  s->noise && room_to_meet(s) && cut_pieces(s);
	ok = ok && (s->square = mtl_new(sys, double, (s->n_piece > MTL_PARTS ? s->n_piece : MTL_PARTS) + 1));
	for (int i = 0; ok && i < MTL_SLICES && i < blocks; i++)
		ok = (s->acc[i] = mtl_new(sys, mtl_real, m->n_acc + 1));
	for (int i = 0; ok && i < mtl_pool_threads(pool); i++)
		ok = (s->work[i] = mtl_new(sys, mtl_real, work + 1));
	for (int i = 0; ok && i < m->n_noise; i++) {
		int64_t n = cap * m->noise[i].width;
		ok = (s->noise[i] = mtl_new(sys, mtl_real, n + 1));
		for (int64_t j = 0; ok && j < n; j++) s->noise[i][j] = m->noise[i].logistic ? 0 : 1;
	}
	if (!ok)
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for training batches of %lld rows",
				(long long)cap);
	return MTL_OK;
}

/* ---- gradients ---- */

static MtlFrame frame(MtlStep *s, int worker)
{
	return (MtlFrame){.in = s->in,
			  .batch = s->batch,
			  .noise = s->noise,
			  .keep = s->keep,
			  .meet = s->meet,
			  .next = s->next,
			  .work = s->work[worker],
			  .grad = s->grad,
			  .drows = s->drows,
			  .inv = s->inv,
			  .count = s->count,
			  .loss = s->losses};
}

/* An entry of the meeting before the stage at hand. */
static int meeting_entry(const MtlStep *s, int which)
{
	return MTL_FIRST_TABLE + s->in->m->n_table + MTL_MEETING_ENTRIES * (s->stage - 1) + which;
}

static int64_t slice_rows(const MtlStep *s, int64_t i)
{
	int64_t left = s->batch->n - i * s->slice;
	return left < s->slice ? left : s->slice;
}

static void count_slice(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	MtlFrame f = frame(s, worker);
	mtl_frame_call(&f, MTL_COUNT, i * s->slice, slice_rows(s, i), 0);
}

static void fill_noise(MtlStep *s, int k, int64_t row, int64_t n)
{
	const MtlNoise *z = &s->in->m->noise[k];
	mtl_real *out = s->noise[k] + row * z->width;
	uint64_t first = (uint64_t)(s->rows_seen + row);
	if (z->logistic)
		mtl_logistic_fill(out, n, z->width, s->seed, (uint64_t)k, first);
	else
		mtl_dropout_fill(out, n, z->width, z->p, s->seed, (uint64_t)k, first);
}

/* The rows of a slice, from one meeting to the next. */
static void step_slice(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	const MtlModel *m = s->in->m;
	int64_t row = i * s->slice, n = slice_rows(s, i);
	MtlFrame f = frame(s, worker);
	f.acc = s->acc[i];
	if (s->stage) {
		mtl_frame_call(&f, meeting_entry(s, MTL_ROWS), row, n, 0);
		return;
	}
	for (int k = 0; s->dropout && k < m->n_noise; k++) fill_noise(s, k, row, n);
	memset(f.acc, 0, (size_t)m->n_acc * sizeof *f.acc);
	mtl_frame_call(&f, MTL_STEP, row, n, 0);
}

/* The part of ACC that is added up now: of the meeting at hand, or (0) of the end of the step. */
static void part_of_sums(const MtlStep *s, int64_t *lo, int64_t *hi)
{
	const MtlModel *m = s->in->m;
	*lo = s->stage ? m->meetings.region[s->stage - 1] : 0;
	*hi = s->stage < m->meetings.n ? m->meetings.region[s->stage] : m->n_acc;
}

static void sum_slices(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	(void)worker;
	int64_t first, end;
	part_of_sums(s, &first, &end);
	int64_t lo = first + i * PIECE, hi = lo + PIECE < end ? lo + PIECE : end;
	mtl_real *to = s->acc[0];
	for (int k = 1; k < s->n_slice; k++) {
		const mtl_real *from = s->acc[k];
		for (int64_t j = lo; j < hi; j++) to[j] += from[j];
	}
}

static void add_slices(MtlStep *s)
{
	int64_t lo, hi;
	part_of_sums(s, &lo, &hi);
	mtl_pool_run(s->pool, ceil_div(hi - lo, PIECE), sum_slices, s);
}

static void some_groups(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	int64_t lo = i * GROUPS, hi = lo + GROUPS < s->batch->n_group ? lo + GROUPS : s->batch->n_group;
	MtlFrame f = frame(s, worker);
	mtl_frame_call(&f, meeting_entry(s, MTL_GROUPS), 0, lo, hi);
}

/* What all rows of the batch have in common, and what is computed group by group. */
static void meet(MtlStep *s)
{
	MtlFrame f = frame(s, 0);
	add_slices(s);
	f.acc = s->acc[0];
	mtl_frame_call(&f, meeting_entry(s, MTL_MEET), 0, 0, 0);
	if (s->in->m->grouped) mtl_pool_run(s->pool, ceil_div(s->batch->n_group, GROUPS), some_groups, s);
}

/* Sum over the blocks of a batch in their order, in double. */
static double over_blocks(const mtl_real *x, int64_t blocks, int n_loss, int l)
{
	double sum = 0;
	for (int64_t b = 0; b < blocks; b++) sum += (double)x[b * n_loss + l];
	return sum;
}

static double balance_factor(const MtlStep *s, int l)
{
	const MtlTasks *t = &s->in->m->tasks;
	for (int k = 0; s->balanced && k < t->n; k++)
		if (t->loss[k] == l) return s->balance.factor[k];
	return 1;
}

/* The denominators of the losses whose rows are counted by now. */
static void weigh(MtlStep *s)
{
	const MtlModel *m = s->in->m;
	int64_t n = s->batch->n;
	for (int l = 0; l < m->n_loss; l++) {
		if (m->loss[l].counted != s->stage) continue;
		double w = n ? over_blocks(s->count, ceil_div(n, MTL_BLOCK), m->n_loss, l) : 0;
		s->weight[l] = w;
		if (s->only >= 0)
			s->inv[l] = l == s->only && w > 0 ? (mtl_real)(1 / w) : 0;
		else
			s->inv[l] = !s->mean ? 1 : w > 0 ? (mtl_real)(balance_factor(s, l) / w) : 0;
	}
}

/* All rows, to the end of the last stage. */
static void run_stages(MtlStep *s)
{
	s->stage = 0;
	mtl_pool_run(s->pool, s->n_slice, step_slice, s);
	for (s->stage = 1; s->stage <= s->in->m->meetings.n; s->stage++) {
		meet(s);
		mtl_pool_run(s->pool, s->n_slice, step_slice, s);
		weigh(s);
	}
	s->stage = 0;
}

/* Cuts the batch, and finds the denominators of the losses.  only: -1, or the loss whose gradient is wanted
 * alone. */
static void count_rows(MtlStep *s, const MtlBatch *b, bool mean, int only)
{
	s->batch = b;
	s->mean = mean;
	s->only = only;
	s->slice = MTL_SLICE_LEAST * ceil_div(b->n, MTL_SLICES * MTL_SLICE_LEAST);
	s->n_slice = b->n ? (int)ceil_div(b->n, s->slice) : 0;
	mtl_pool_run(s->pool, s->n_slice, count_slice, s);
	for (int l = 0; l < s->in->m->n_loss; l++) s->weight[l] = 0;
	weigh(s);
}

/* What the slices summed, as gradients of parameters. */
static void finish_sums(MtlStep *s)
{
	add_slices(s);
	MtlFrame f = frame(s, 0);
	f.acc = s->acc[0];
	mtl_frame_call(&f, MTL_POST, 0, 0, 0);
}

void mtl_step_of_loss(MtlStep *s, const MtlBatch *b, int only)
{
	count_rows(s, b, true, only);
	run_stages(s);
	finish_sums(s);
}

MtlStatus mtl_step_gradients(MtlStep *s, const MtlBatch *b, bool mean, MtlError *e)
{
	const MtlModel *m = s->in->m;
	count_rows(s, b, mean, -1);
	if (b->n == 0) {
		memset(s->grad, 0, (size_t)m->n_param * sizeof *s->grad);
		for (int l = 0; l < m->n_loss; l++) s->loss[l] = 0;
		return MTL_OK;
	}
	run_stages(s);
	s->rows_seen += b->n;
	for (int l = 0; l < m->n_loss; l++) {
		double sum = over_blocks(s->losses, ceil_div(b->n, MTL_BLOCK), m->n_loss, l);
		s->loss[l] = !mean ? sum : s->weight[l] > 0 ? sum / s->weight[l] : 0;
		if (!isfinite(s->loss[l]))
			return mtl_fail(e, MTL_NUMBERS, "", NULL, "loss %s is %s", m->loss[l].name,
					isnan(s->loss[l]) ? "not a number" : "infinite");
	}
	finish_sums(s);
	if (!s->balanced) mtl_balance_join(s, NULL);
	return MTL_OK;
}

double mtl_step_total(const MtlStep *s)
{
	double sum = 0;
	for (int l = 0; l < s->in->m->n_loss; l++) sum += s->in->m->loss[l].weight * s->loss[l];
	return sum;
}

/* ---- update ---- */

static uint64_t reached(const MtlStep *s)
{
	uint64_t mask = 0;
	for (int l = 0; l < s->in->m->n_loss; l++)
		if (s->weight[l] > 0) mask |= mtl_loss_bit(l);
	return mask;
}

static void update_piece(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	const int64_t *q = s->piece + 3 * i;
	if (!(s->in->m->param[q[0]].losses & reached(s)))
		return; /* no row spoke to it: value and moments stay */
	MtlFrame f = frame(s, worker);
	f.hyper = s->in->m->param[q[0]].n_dim < 2 ? s->hyper_vectors : s->hyper_dense;
	mtl_frame_call(&f, MTL_UPDATE, 0, q[1], q[2]);
}

/* ---- the norm of the whole gradient ---- */

static void square_piece(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	const int64_t *q = s->piece + 3 * i;
	double sum = 0;
	for (int64_t j = q[1]; j < q[2]; j++) sum += (double)s->grad[j] * (double)s->grad[j];
	s->square[i] = sum;
	(void)worker;
}

/* Of the touched rows of part i: what their occurrences add up to. */
static void square_rows(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	const MtlTouched *g = s->touched;
	int64_t part = ceil_div(g->n_uniq, MTL_PARTS), lo = i * part,
		hi = lo + part < g->n_uniq ? lo + part : g->n_uniq;
	int dim = s->in->m->table[s->table].dim;
	double sum = 0;
	for (int64_t u = lo; u < hi; u++)
		for (int c = 0; c < dim; c++) {
			double d = 0;
			for (int32_t k = g->start[u]; k < g->start[u + 1]; k++)
				d += (double)g->scale[k] * (double)s->drows[g->src[k] + c];
			sum += d * d;
		}
	s->square[i] = sum;
	(void)worker;
}

static double add_up(const MtlStep *s, int64_t n)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++) sum += s->square[i];
	return sum;
}

static bool steps_table(const MtlStep *s, int t)
{
	return !s->in->m->table[t].frozen && (s->in->m->table[t].losses & reached(s));
}

/* In double, by pieces and parts that depend on sizes alone, added in their order. */
static double gradient_norm(MtlStep *s, const MtlTouched *touched)
{
	mtl_pool_run(s->pool, s->n_piece, square_piece, s);
	double sum = add_up(s, s->n_piece);
	for (int t = 0; t < s->in->m->n_table; t++) {
		if (!steps_table(s, t) || !touched[t].n_uniq) continue;
		s->table = t;
		s->touched = &touched[t];
		int64_t parts = ceil_div(touched[t].n_uniq, ceil_div(touched[t].n_uniq, MTL_PARTS));
		mtl_pool_run(s->pool, parts, square_rows, s);
		sum += add_up(s, parts);
	}
	return sqrt(sum);
}

/* ---- the step ---- */

static int64_t table_jobs(const MtlStep *s, int t)
{
	return steps_table(s, t) ? ceil_div(s->touched[t].n_uniq, TOUCHED) : 0;
}

/* Pieces of parameters, then the touched rows of one table after the other: one run, for many tables have few
 * rows each. */
static void update_job(void *arg, int64_t i, int worker)
{
	MtlStep *s = arg;
	if (i < s->n_piece) {
		update_piece(s, i, worker);
		return;
	}
	i -= s->n_piece;
	int t = 0;
	for (int64_t n; i >= (n = table_jobs(s, t)); t++) i -= n;
	const MtlTouched *g = &s->touched[t];
	int64_t lo = i * TOUCHED, hi = lo + TOUCHED < g->n_uniq ? lo + TOUCHED : g->n_uniq;
	MtlFrame f = frame(s, worker);
	f.touched = g;
	f.hyper = s->hyper_tables;
	mtl_frame_call(&f, MTL_FIRST_TABLE + t, 0, lo, hi);
}

/* The numbers of compiler/pass/update.c: rate, c1, c2, l2, lr l1, 1 - lr decay, clip. */
static void set_hyper(mtl_real h[MTL_HYPER], const MtlOptimizer *o, int64_t t, double factor, double clip)
{
	double lr = o->lr * factor;
	h[0] = (mtl_real)lr;
	h[1] = o->kind == MTL_ADAM ? (mtl_real)(1 / -expm1((double)t * log(o->beta1))) : 1;
	h[2] = o->kind == MTL_ADAM ? (mtl_real)(1 / -expm1((double)t * log(o->beta2))) : 1;
	h[3] = (mtl_real)(o->kind == MTL_FTRL ? lr * o->l2 : o->l2);
	h[4] = (mtl_real)(lr * o->l1);
	h[5] = (mtl_real)(1 - lr * o->decay);
	h[6] = (mtl_real)clip;
}

/* Running parameters become what the batch made of them. */
static void remember_batch(MtlStep *s)
{
	const MtlModel *m = s->in->m;
	for (int i = 0; s->batch && s->batch->n && i < m->n_param_block; i++) {
		const MtlParam *p = &m->param[i];
		if (!p->running) continue;
		memcpy(s->in->param + p->offset, s->next + p->next, (size_t)p->size * sizeof *s->next);
	}
}

void mtl_step_apply(MtlStep *s, const MtlTouched *touched)
{
	const MtlModel *m = s->in->m;
	s->step++;
	double clip = 1, factor = mtl_schedule_factor(&s->schedule, s->step, s->steps);
	if (m->train.clip > 0) {
		s->norm = gradient_norm(s, touched);
		if (s->norm > m->train.clip) clip = m->train.clip / s->norm;
	}
	s->lr = s->dense.lr * factor;
	MtlOptimizer plain = s->dense;
	plain.l1 = plain.l2 = plain.decay = 0;
	set_hyper(s->hyper_dense, &s->dense, s->step, factor, clip);
	set_hyper(s->hyper_vectors, &plain, s->step, factor, clip);
	set_hyper(s->hyper_tables, &s->tables, s->step, factor, clip);
	s->touched = touched;
	int64_t jobs = s->n_piece;
	for (int t = 0; t < m->n_table; t++) jobs += table_jobs(s, t);
	mtl_pool_run(s->pool, jobs, update_job, s);
	remember_batch(s);
	mtl_instance_pack(s->in);
}
