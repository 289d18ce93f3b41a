/*
 * The loops around a model written by hand: steps, training, resuming, early stop, gradients, evaluation,
 * scores.
 */
#include "runtime/checkpoint.h"
#include "runtime/eval.h"
#include "runtime/grad.h"
#include "runtime/gradcheck.h"
#include "runtime/score.h"
#include "runtime/train.h"
#include "model_by_hand.h"
#include "suite.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 2300 }; /* 2 epochs of 9 batches of 256, the last one short */

static char dir[64], log_csv[96], valid_csv[96];

/* ---- files ---- */

static uint32_t draw(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*s >> 33);
}

/* Clicks follow the user, purchases the item; every 11th click and every 13th purchase is unknown. */
static void write_log(const char *path, int rows, uint64_t seed, bool clicks)
{
	FILE *f = fopen(path, "w");
	fputs("user,pay,tags,clk,item,extra\n", f);
	for (int i = 0; i < rows; i++) {
		uint32_t user = draw(&seed) % 40, item = draw(&seed) % 25,
			 n = draw(&seed) % 4; /* items above 19 are unknown */
		char tags[16] = "";
		for (uint32_t k = 0; k < n; k++)
			sprintf(tags + 2 * k, "%c%s", 'a' + (int)(draw(&seed) % 7), k + 1 < n ? "|" : "");
		bool click = clicks && draw(&seed) % 100 < 20 + 60 * (user % 2),
		     buy = click && draw(&seed) % 100 < 10 + 70 * (item % 2);
		fprintf(f, "u%u,%s,%s,%s,%u,x%d\n", user,
			i % 13 == 12 ? ""
			: buy	     ? "1"
				     : "0",
			tags,
			i % 11 == 10 && !buy ? ""
			: click		     ? "1"
					     : "0",
			item, i);
	}
	fclose(f);
}

static char *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");
	*n = 0;
	if (!f) return NULL;
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	char *p = malloc(*n + 1);
	if (fread(p, 1, *n, f) != *n) *n = 0;
	p[*n] = 0;
	fclose(f);
	return p;
}

static bool same_file(const char *a, const char *b)
{
	size_t n, m;
	char *p = slurp(a, &n), *q = slurp(b, &m);
	bool same = p && q && n == m && n > 0 && memcmp(p, q, n) == 0;
	free(p);
	free(q);
	return same;
}

/* A name in the folder of this test; eight alive at once. */
static const char *in_dir(const char *name)
{
	static char text[8][128];
	static int k;
	snprintf(text[k = (k + 1) % 8], sizeof *text, "%s/%s", dir, name);
	return text[k];
}

/* ---- training ---- */

typedef struct {
	int64_t stop_after; /* batches; < 0: never */
	int64_t batches, epochs;
	double first_loss, last_loss;
	double auc[16];
	bool best[16];
	char notes[1024];
} Seen;

static bool seen_enough(void *self)
{
	const Seen *s = self;
	return s->stop_after >= 0 && s->batches >= s->stop_after;
}

static void seen_tick(void *self, const MtlTrainTick *t)
{
	(void)t;
	((Seen *)self)->batches++;
}

static void seen_epoch(void *self, const MtlTrainEpoch *t)
{
	Seen *s = self;
	if (t->epoch == 1) s->first_loss = t->loss[0];
	s->last_loss = t->loss[0];
	if (t->valid && t->epoch <= 16) s->auc[t->epoch - 1] = t->valid->watch[0].auc;
	if (t->epoch <= 16) s->best[t->epoch - 1] = t->best;
	s->epochs = t->epoch;
}

static void seen_note(void *self, const char *text)
{
	Seen *s = self;
	size_t n = strlen(s->notes);
	snprintf(s->notes + n, sizeof s->notes - n, "%s\n", text);
}

static const char *const data[] = {log_csv}, *const valid[] = {valid_csv};

static MtlTrainOptions options(const char *out)
{
	return (MtlTrainOptions){.data = data,
				 .n_data = 1,
				 .out = out,
				 .epochs = 2,
				 .batch = 256,
				 .seed = 7,
				 .threads = 2,
				 .reader = {.labels = true, .max_bad_rows = -1}};
}

static MtlStatus run_on(const MtlSys *sys, const MtlModel *m, const MtlTrainOptions *o, Seen *s, MtlError *e)
{
	MtlTrainHooks h = {s, seen_enough, seen_tick, seen_epoch, seen_note};
	*e = (MtlError){0};
	return mtl_train(sys, m, o, &h, e);
}

static MtlStatus run(const MtlModel *m, const MtlTrainOptions *o, int64_t stop_after, Seen *s)
{
	MtlError e;
	*s = (Seen){.stop_after = stop_after};
	MtlStatus st = run_on(&mtl_sys, m, o, s, &e);
	if (st && st != MTL_INTERRUPTED) printf("\n  %s\n", e.text);
	return st;
}

static MtlInstance opened(const MtlModel *m, const char *path)
{
	MtlInstance in = {0};
	MtlError e = {0};
	CU_ASSERT_EQUAL_FATAL(mtl_instance_init(&in, &mtl_sys, m, &e), MTL_OK);
	MtlStatus st = mtl_instance_open(&in, path, &e);
	if (st) printf("\n  %s\n", e.text);
	CU_ASSERT_EQUAL_FATAL(st, MTL_OK);
	return in;
}

static void it_learns(void)
{
	Seen s;
	MtlTrainOptions o = options(in_dir("learn"));
	o.epochs = 6;
	o.valid = valid;
	o.n_valid = 1;
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, -1, &s), MTL_OK);
	CU_ASSERT_EQUAL(s.epochs, 6);
	CU_ASSERT_EQUAL(s.batches, 6 * 9);
	CU_ASSERT(s.last_loss < s.first_loss - 0.05);
	CU_ASSERT(s.auc[5] > 0.75); /* the truth gives about 0.8 */
}

/* Same bytes for any number of threads, with and without shuffling and dropout. */
static void threads_do_not_matter(void)
{
	static const int threads[] = {2, 3, 8};
	for (int k = 0; k < 2; k++) {
		const MtlModel *m = k ? &by_hand_noise : &by_hand;
		Seen s;
		MtlTrainOptions o = options(in_dir("one"));
		o.batch = 700; /* six slices */
		o.shuffle = k ? 1000 : 0;
		o.threads = 1;
		CU_ASSERT_EQUAL_FATAL(run(m, &o, -1, &s), MTL_OK);
		for (int t = 0; t < 3; t++) {
			o.out = in_dir("many");
			o.threads = threads[t];
			CU_ASSERT_EQUAL_FATAL(run(m, &o, -1, &s), MTL_OK);
			CU_ASSERT(same_file(in_dir("one"), in_dir("many")));
		}
	}
}

static void settings_matter(void)
{
	Seen s;
	MtlTrainOptions o = options(in_dir("base"));
	CU_ASSERT_EQUAL_FATAL(run(&by_hand_noise, &o, -1, &s), MTL_OK);
	for (int k = 0; k < 4; k++) {
		o = options(in_dir("other"));
		if (k == 0) o.seed = 8;
		if (k == 1) o.shuffle = 512;
		if (k == 2) o.lr = 0.02;
		if (k == 3) o.batch = 255;
		CU_ASSERT_EQUAL_FATAL(run(&by_hand_noise, &o, -1, &s), MTL_OK);
		CU_ASSERT_FALSE(same_file(in_dir("base"), in_dir("other")));
	}
	o = options(in_dir("other"));
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, -1, &s), MTL_OK); /* dropout does something */
	CU_ASSERT_FALSE(same_file(in_dir("base"), in_dir("other")));
}

/* ---- resuming ---- */

static void resumed_equals_never_stopped(void)
{
	static const int64_t stop[] = {0, 1, 8, 9, 10, 17, 18, 26};
	for (int k = 0; k < 2; k++) {
		const MtlModel *m = k ? &by_hand_noise : &by_hand;
		Seen s;
		MtlTrainOptions o = options(in_dir("whole"));
		o.epochs = 3;
		o.shuffle = k ? 600 : 0;
		CU_ASSERT_EQUAL_FATAL(run(m, &o, -1, &s), MTL_OK);
		for (size_t i = 0; i < sizeof stop / sizeof *stop; i++) {
			o.out = in_dir("cut");
			o.resume = NULL;
			CU_ASSERT_EQUAL(run(m, &o, stop[i], &s), MTL_INTERRUPTED);
			o.resume = o.out;
			CU_ASSERT_EQUAL(run(m, &o, -1, &s), MTL_OK);
			CU_ASSERT(same_file(in_dir("whole"), in_dir("cut")));
		}
		/* More epochs than were first asked for; and a second interrupt. */
		o.resume = NULL;
		o.epochs = 1;
		CU_ASSERT_EQUAL(run(m, &o, -1, &s), MTL_OK);
		o.epochs = 3;
		o.resume = o.out;
		CU_ASSERT_EQUAL(run(m, &o, 5, &s), MTL_INTERRUPTED);
		CU_ASSERT_EQUAL(run(m, &o, 6, &s), MTL_INTERRUPTED);
		CU_ASSERT_EQUAL(run(m, &o, -1, &s), MTL_OK);
		CU_ASSERT(same_file(in_dir("whole"), in_dir("cut")));
	}
}

/* With early stop the file holds the best epoch, also when the run was cut in pieces. */
static void early_stop_keeps_the_best(void)
{
	Seen s;
	MtlTrainOptions o = options(in_dir("whole"));
	o.valid = valid;
	o.n_valid = 1;
	o.epochs = 16;
	o.lr = 0.5; /* so fast that it overshoots */
	o.stop_metric = "click.logloss";
	o.stop_patience = 2;
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, -1, &s), MTL_OK);
	CU_ASSERT_FATAL(s.epochs < 16 && s.epochs > 2);
	CU_ASSERT_FALSE(s.best[s.epochs - 1] || s.best[s.epochs - 2]);
	CU_ASSERT(s.best[s.epochs - 3]);

	/* A run of exactly as many epochs as the best one needed, without early stop, has the same weights.
	 */
	int64_t last = s.epochs, best = last - 2;
	MtlTrainOptions plain = o;
	plain.stop_metric = NULL;
	plain.out = in_dir("plain");
	plain.epochs = best;
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &plain, -1, &s), MTL_OK);
	MtlInstance a = opened(&by_hand, in_dir("whole")), b = opened(&by_hand, in_dir("plain"));
	CU_ASSERT(memcmp(a.param, b.param, H_N * sizeof(float)) == 0);
	mtl_instance_free(&a);
	mtl_instance_free(&b);

	/* Cut in the first epoch, after the best one, in the last one; twice. */
	const int64_t stop[] = {4, best * 9 + 3, last * 9 - 1, best * 9 - 1};
	o.out = in_dir("cut");
	for (int i = 0; i < 4; i++) {
		o.resume = NULL;
		CU_ASSERT_EQUAL(run(&by_hand, &o, stop[i], &s), MTL_INTERRUPTED);
		o.resume = o.out;
		CU_ASSERT_EQUAL(run(&by_hand, &o, 1, &s),
				MTL_INTERRUPTED); /* for i = 2 before the last epoch is judged */
		CU_ASSERT_EQUAL(run(&by_hand, &o, -1, &s), MTL_OK);
		CU_ASSERT_EQUAL(s.epochs, last);
		CU_ASSERT(same_file(in_dir("whole"), in_dir("cut")));
	}
	/* Going on from the best epoch's file under another name gives it there too. */
	o.resume = in_dir("whole");
	o.out = in_dir("elsewhere");
	CU_ASSERT_EQUAL(run(&by_hand, &o, -1, &s), MTL_OK);
	CU_ASSERT(same_file(in_dir("whole"), in_dir("elsewhere")));
}

static void what_cannot_be_resumed(void)
{
	Seen s;
	MtlError e;
	MtlTrainOptions o = options(in_dir("bare"));
	o.no_state = true;
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, -1, &s), MTL_OK);
	o.resume = o.out;
	CU_ASSERT_EQUAL(run_on(&mtl_sys, &by_hand, &o, &s, &e), MTL_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "--init"));

	o = options(in_dir("part"));
	CU_ASSERT_EQUAL(run(&by_hand, &o, 3, &s), MTL_INTERRUPTED);
	o.resume = o.out;
	o.batch = 128;
	s = (Seen){.stop_after = -1};
	CU_ASSERT_EQUAL(run_on(&mtl_sys, &by_hand, &o, &s, &e), MTL_USAGE);
	o.batch = 256;
	o.seed = 9;
	o.seed_given = true;
	CU_ASSERT_EQUAL(run_on(&mtl_sys, &by_hand, &o, &s, &e), MTL_USAGE);
	MtlModel other = by_hand;
	other.digest = "fedcba9876543210";
	o.seed_given = false;
	CU_ASSERT_EQUAL(run_on(&mtl_sys, &other, &o, &s, &e), MTL_REFUSED);
	CU_ASSERT_STRING_EQUAL(e.code, "F0205");
}

static void warm_start(void)
{
	Seen s;
	MtlTrainOptions o = options(in_dir("first"));
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, -1, &s), MTL_OK);

	/* The click tower under another name, the rest as it was; no step is done. */
	MtlModel other = by_hand;
	MtlParam param[N_OF(h_param)];
	memcpy(param, h_param, sizeof param);
	param[0].name = "tower.click.0.weight";
	other.param = param;
	other.digest = "another";
	o.init = o.out;
	o.out = in_dir("second");
	o.epochs = 0;
	CU_ASSERT_EQUAL_FATAL(run(&other, &o, -1, &s), MTL_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(s.notes, "tower.click.0.weight starts afresh: it is not there\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s.notes, "6 of 7 tensors start from "));
	MtlInstance a = opened(&by_hand, in_dir("first")), b = opened(&other, in_dir("second"));
	CU_ASSERT(memcmp(a.param + H_B_CTR, b.param + H_B_CTR, (H_N - H_B_CTR) * sizeof(float)) == 0);
	CU_ASSERT(memcmp(a.param, b.param, H_X * sizeof(float)) != 0);
	CU_ASSERT_EQUAL(a.table[0][5 * H_STRIDE], b.table[0][5 * H_STRIDE]);
	mtl_instance_free(&a);
	mtl_instance_free(&b);
}

/* ---- steps ---- */

/* Everything a step needs, over the first rows of the log. */
typedef struct {
	MtlInstance in;
	MtlThreads *pool;
	MtlStep step;
	MtlBatch batch;
	MtlGroups groups;
	MtlReader *reader;
} Bench;

static void bench_open(Bench *b, const MtlSys *sys, const MtlModel *m, int64_t rows, int threads)
{
	MtlError e = {0};
	MtlReaderOptions ro = {.labels = true, .max_bad_rows = -1};
	*b = (Bench){0};
	MtlStatus st = mtl_instance_init(&b->in, sys, m, &e);
	if (!st) st = mtl_instance_memory(&b->in, true, &e);
	if (!st) mtl_checkpoint_fresh(&b->in, 3);
	if (!st) mtl_instance_pack(&b->in);
	if (!st) st = mtl_pool_new(&b->pool, sys, threads, &e);
	if (!st) st = mtl_step_init(&b->step, &b->in, b->pool, rows, &e);
	if (!st) st = mtl_groups_init(&b->groups, sys, m, b->in.table_rows, 1, rows, &e);
	if (!st) st = mtl_batch_init(&b->batch, sys, m, rows, &e);
	if (!st) st = mtl_reader_open(&b->reader, sys, m, &b->in.codes, data, 1, &ro, &e);
	if (!st) st = mtl_reader_next(b->reader, &b->batch, &e);
	if (!st) st = mtl_groups_fill(&b->groups, 0, &b->batch, &e);
	if (st) printf("\n  %s\n", e.text);
	CU_ASSERT_EQUAL_FATAL(st, MTL_OK);
	CU_ASSERT_EQUAL_FATAL(b->batch.n, rows);
}

static void bench_close(Bench *b)
{
	MtlError e = {0};
	CU_ASSERT_EQUAL(mtl_reader_close(b->reader, &e), MTL_OK);
	mtl_batch_free(&b->batch, b->in.sys, b->in.m);
	mtl_groups_free(&b->groups);
	mtl_step_free(&b->step);
	mtl_pool_free(b->pool);
	mtl_instance_free(&b->in);
}

/* Weighted total loss in double, by its definition. */
static double total(const Bench *b)
{
	const MtlBatch *q = &b->batch;
	double sum[2] = {0}, n[2] = {0};
	for (int64_t i = 0; i < q->n; i++) {
		double x[H_X] = {0};
		for (int j = 0; j < H_DIM; j++) {
			x[j] = b->in.table[0][q->column[0].id[i] * H_STRIDE + j];
			x[H_DIM + j] = b->in.table[1][q->column[1].id[i] * H_STRIDE + j];
			for (int32_t k = q->column[2].bag_start[i]; k < q->column[2].bag_start[i + 1]; k++)
				x[2 * H_DIM + j] += (double)q->column[2].bag_scale[k] *
						    b->in.table[2][q->column[2].bag_item[k] * H_STRIDE + j];
		}
		for (int l = 0; l < 2; l++) {
			if (q->can1[l][i] == q->can0[l][i] ||
			    (l && !(q->can1[0][i] > 0 && q->can0[0][i] == 0)))
				continue;
			double z = b->in.param[l ? H_B_CVR : H_B_CTR];
			for (int j = 0; j < H_X; j++) z += x[j] * b->in.param[(l ? H_W_CVR : H_W_CTR) + j];
			sum[l] += (z > 0 ? z : 0) - z * q->can1[l][i] + log1p(exp(-fabs(z)));
			n[l]++;
		}
	}
	return sum[0] / n[0] + 0.5 * sum[1] / n[1];
}

static double central(const Bench *b, float *at)
{
	float was = *at, h = 1.0f / 512;
	*at = was + h;
	double up = total(b), width = *at;
	*at = was - h;
	double down = total(b);
	width -= *at;
	*at = was;
	return (up - down) / width;
}

static void gradients_against_differences(void)
{
	Bench b;
	MtlError e = {0};
	bench_open(&b, &mtl_sys, &by_hand, 1500, 3);
	CU_ASSERT_EQUAL_FATAL(mtl_step_gradients(&b.step, &b.batch, true, &e), MTL_OK);
	CU_ASSERT_DOUBLE_EQUAL(mtl_step_total(&b.step), total(&b), 1e-6);
	for (int i = 0; i < H_N; i++)
		CU_ASSERT_DOUBLE_EQUAL(b.step.grad[i], central(&b, b.in.param + i), 2e-5);
	bench_close(&b);
}

/* A POST that forgets a tenth of one gradient, and a STEP that scales one column of the looked-up rows'
 * gradients. */
static void post_wrong(void *const *buf, const int64_t *size)
{
	h_post(buf, size);
	((float *)buf[1])[H_B_CVR] *= 0.9f;
}

static void step_wrong(void *const *buf, const int64_t *size)
{
	h_step(buf, size);
	for (int64_t i = 0; i < size[0]; i++) ((float *)buf[3])[i * H_X + H_DIM] *= 1.5f;
}

static void collect_wrong(void *self, const MtlGradcheckLine *l)
{
	if (!l->good) strcat(strcat(self, l->tensor.name), " ");
}

static void gradcheck_finds_what_is_wrong(void)
{
	static const char *const wrong[] = {"", "tower.cvr.0.bias ", "embed.item.weight "};
	for (int k = 0; k < 3; k++) {
		MtlKernel *kernel[N_OF(h_kernel)];
		memcpy(kernel, h_kernel, sizeof kernel);
		if (k == 1) kernel[MTL_POST] = post_wrong;
		if (k == 2) kernel[MTL_STEP] = step_wrong;
		MtlVariant variant = {"any-v0", 0, kernel, h_work, H_N};
		MtlModel m = by_hand;
		m.variant = &variant;
		m.n_variant = 1;
		Bench b;
		MtlError e = {0};
		char names[256] = "";
		bench_open(&b, &mtl_sys, &m, 300, 2);
		CU_ASSERT_EQUAL(mtl_gradcheck(&b.in, b.pool, &b.batch, collect_wrong, names, &e),
				k ? MTL_NO : MTL_OK);
		CU_ASSERT_STRING_EQUAL(names, wrong[k]);
		bench_close(&b);
	}
}

static void gradients_as_a_file(void)
{
	Seen s;
	MtlError e = {0};
	MtlTrainOptions o = options(in_dir("model"));
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, 4, &s), MTL_INTERRUPTED);
	MtlInstance in = opened(&by_hand, in_dir("model"));
	MtlThreads *pool = NULL;
	MtlReaderOptions ro = {.labels = true, .max_bad_rows = -1};
	int64_t rows = 0;
	CU_ASSERT_EQUAL_FATAL(mtl_pool_new(&pool, &mtl_sys, 2, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_grad(&in, pool, data, 1, &ro, in_dir("grad"), &rows, &e), MTL_OK);
	CU_ASSERT_EQUAL(rows, ROWS);
	mtl_pool_free(pool);

	MtlStore *g = NULL;
	CU_ASSERT_EQUAL_FATAL(mtl_store_open(&g, &mtl_sys, in_dir("grad"), false, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_store_count(g), 4 + 3 + 3);
	Bench b;
	bench_open(&b, &mtl_sys, &by_hand, ROWS, 1);
	memcpy(b.in.param, in.param, H_N * sizeof(float));
	for (int t = 0; t < 3; t++)
		memcpy(b.in.table[t], in.table[t], (size_t)(in.table_rows[t] * H_STRIDE) * sizeof(float));
	for (int t = 0; t < 3; t++) {
		char name[64];
		snprintf(name, sizeof name, "grad.%s", h_tables[t].name);
		const MtlTensor *x = mtl_store_find(g, name);
		CU_ASSERT_PTR_NOT_NULL_FATAL(x);
		CU_ASSERT_EQUAL(x->dim[0], h_tables[t].rows);
		for (int64_t r = 0; r < x->dim[0]; r++)
			CU_ASSERT_DOUBLE_EQUAL(x->data[r * H_DIM + 1],
					       central(&b, b.in.table[t] + r * H_STRIDE + 1), 2e-5);
	}
	CU_ASSERT_DOUBLE_EQUAL(*mtl_store_find(g, "loss.total")->data, total(&b), 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(
	    *mtl_store_find(g, "loss.total")->data,
	    *mtl_store_find(g, "loss.ctr")->data + 0.5 * *mtl_store_find(g, "loss.cvr")->data, 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(*mtl_store_find(g, "grad.tower.cvr.0.bias")->data,
			       central(&b, b.in.param + H_B_CVR), 2e-5);
	bench_close(&b);
	mtl_store_close(g);
	mtl_instance_free(&in);
}

static void a_step_allocates_nothing(void)
{
	MtlFaults f;
	Bench b;
	MtlError e = {0};
	mtl_faults_init(&f);
	bench_open(&b, &f.sys, &by_hand_noise, 700, 3);
	b.step.dropout = true;
	long before = f.n_alloc;
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(mtl_step_gradients(&b.step, &b.batch, true, &e), MTL_OK);
		mtl_step_apply(&b.step, mtl_groups_of(&b.groups, 0));
	}
	CU_ASSERT_EQUAL(f.n_alloc, before);
	CU_ASSERT_EQUAL(b.step.step, 20);
	CU_ASSERT_EQUAL(b.step.rows_seen, 20 * 700);
	bench_close(&b);
}

/* Without a click nothing speaks to the cvr tower: neither it nor its moments move; what is frozen never
 * does. */
static void what_no_row_reaches_stays(void)
{
	static char path[128];
	const char *const one[] = {path};
	snprintf(path, sizeof path, "%s", in_dir("noclick.csv"));
	write_log(path, 600, 5, false);
	MtlModel m = by_hand;
	MtlTable table[3];
	memcpy(table, h_tables, sizeof table);
	table[1].frozen = true;
	m.table = table;
	Seen s;
	MtlTrainOptions o = options(in_dir("before"));
	o.data = one;
	o.epochs = 0;
	CU_ASSERT_EQUAL_FATAL(run(&m, &o, -1, &s), MTL_OK);
	o.epochs = 2;
	o.out = in_dir("after");
	CU_ASSERT_EQUAL_FATAL(run(&m, &o, -1, &s), MTL_OK);
	MtlInstance a = {0}, b = {0};
	MtlError e = {0};
	MtlStore *sa = NULL, *sb = NULL;
	MtlRunState ra, rb;
	CU_ASSERT_EQUAL_FATAL(mtl_store_open(&sa, &mtl_sys, in_dir("before"), false, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_store_open(&sb, &mtl_sys, in_dir("after"), false, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_instance_init(&a, &mtl_sys, &m, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_instance_init(&b, &mtl_sys, &m, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_checkpoint_resume(&a, sa, "a", &ra, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_checkpoint_resume(&b, sb, "b", &rb, &e), MTL_OK);
	CU_ASSERT_EQUAL(ra.step, 0);
	CU_ASSERT_EQUAL(rb.step, 6);
	CU_ASSERT_EQUAL(rb.epoch, 2);
	CU_ASSERT(memcmp(a.param + H_W_CVR, b.param + H_W_CVR, (H_X + 1) * sizeof(float)) == 0);
	CU_ASSERT(memcmp(a.param, b.param, H_X * sizeof(float)) != 0);
	CU_ASSERT_EQUAL(b.moment[1][H_B_CVR], 0);
	CU_ASSERT_NOT_EQUAL(b.moment[1][H_B_CTR], 0);
	CU_ASSERT(memcmp(a.table[1], b.table[1], 22 * H_STRIDE * sizeof(float)) == 0);
	CU_ASSERT(memcmp(a.table[0], b.table[0], 52 * H_STRIDE * sizeof(float)) != 0);
	mtl_instance_free(&a);
	mtl_instance_free(&b);
	mtl_store_close(sa);
	mtl_store_close(sb);
}

/* One Adam and one Adagrad step on one row, by hand: the first step of both has the length of the rate. */
static void one_step_by_hand(void)
{
	Bench b;
	MtlError e = {0};
	bench_open(&b, &mtl_sys, &by_hand, 1, 1);
	int32_t user = b.batch.column[0].id[0];
	float was = b.in.param[H_B_CTR], row = b.in.table[0][user * H_STRIDE],
	      other = b.in.table[0][((user + 1) % 52) * H_STRIDE];
	CU_ASSERT_EQUAL_FATAL(mtl_step_gradients(&b.step, &b.batch, true, &e), MTL_OK);
	float g = b.step.grad[H_B_CTR], d = b.step.drows[0];
	mtl_step_apply(&b.step, mtl_groups_of(&b.groups, 0));
	CU_ASSERT_DOUBLE_EQUAL(b.in.param[H_B_CTR], was - 0.01 * (g > 0 ? 1 : -1), 1e-5);
	CU_ASSERT_DOUBLE_EQUAL(b.in.table[0][user * H_STRIDE], row - 0.05 * (d > 0 ? 1 : -1), 1e-5);
	CU_ASSERT_EQUAL(b.in.table[0][((user + 1) % 52) * H_STRIDE], other);
	CU_ASSERT_EQUAL(b.in.packed[H_B_CTR], b.in.param[H_B_CTR]); /* PRE ran */
	bench_close(&b);
}

static void numbers_that_blow_up(void)
{
	Seen s = {.stop_after = -1};
	MtlError e;
	MtlTrainOptions o = options(in_dir("nothing"));
	o.lr = 1e38;
	CU_ASSERT_EQUAL(run_on(&mtl_sys, &by_hand, &o, &s, &e), MTL_NUMBERS);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "loss c"));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "in epoch 1, batch 2 (rows 257 to 512)"));
	CU_ASSERT_NOT_EQUAL(access(in_dir("nothing"), F_OK), 0);
}

/* ---- evaluation ---- */

static void evaluation_counts_rows(void)
{
	Seen s;
	MtlError e = {0};
	MtlTrainOptions o = options(in_dir("model"));
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, -1, &s), MTL_OK);
	MtlInstance in = opened(&by_hand, in_dir("model"));
	Bench b;
	bench_open(&b, &mtl_sys, &by_hand, ROWS, 1);
	int64_t rows[3] = {0};
	for (int64_t i = 0; i < ROWS; i++) {
		bool click = b.batch.can1[0][i] != b.batch.can0[0][i],
		     buy = b.batch.can1[1][i] != b.batch.can0[1][i];
		rows[0] += click;
		rows[1] += click && b.batch.can1[0][i] > 0 && buy;
		rows[2] += buy;
	}
	MtlThreads *pool = NULL;
	MtlStep step = {0};
	MtlFeedOptions fo = {.path = data, .n_path = 1, .reader = {.labels = true, .max_bad_rows = -1}};
	MtlEvalResult r[2];
	CU_ASSERT_EQUAL_FATAL(mtl_pool_new(&pool, &mtl_sys, 3, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_step_init(&step, &in, pool, MTL_EVAL_BATCH, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_eval(&r[0], &in, pool, &fo, &step, NULL, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_eval(&r[1], &in, pool, &fo, NULL, NULL, &e), MTL_OK);
	CU_ASSERT_EQUAL(r[0].rows, ROWS);
	for (int k = 0; k < 3; k++) CU_ASSERT_EQUAL(r[0].watch[k].rows, rows[k]);
	CU_ASSERT(r[0].watch[0].auc > 0.6 && r[0].watch[0].auc < 0.9);
	CU_ASSERT_EQUAL(r[0].watch[1].auc, r[1].watch[1].auc);
	/* With weights of 1 the loss of a head is its log loss. */
	CU_ASSERT_DOUBLE_EQUAL(r[0].loss[0], r[0].watch[0].logloss, 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(r[0].loss[1], r[0].watch[1].logloss, 1e-6);
	CU_ASSERT_EQUAL(r[0].weight[1], (double)rows[1]);
	CU_ASSERT_PTR_NULL(r[1].loss);
	mtl_eval_free(&r[0], &mtl_sys);
	mtl_eval_free(&r[1], &mtl_sys);
	mtl_step_free(&step);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	bench_close(&b);
}

static void names_of_stop_metrics(void)
{
	MtlStopMetric s;
	MtlError e = {0};
	CU_ASSERT_EQUAL(mtl_stop_metric(&s, &by_hand, "buy|click.ne", &e), MTL_OK);
	CU_ASSERT_EQUAL(s.watch, 1);
	CU_ASSERT_EQUAL(s.kind, MTL_STOP_NE);
	CU_ASSERT(mtl_stop_better(&s, 0.5, 0.6));
	CU_ASSERT_EQUAL(mtl_stop_metric(&s, &by_hand, "buy.auc", &e), MTL_OK);
	CU_ASSERT_EQUAL(s.watch, 2);
	CU_ASSERT(mtl_stop_better(&s, 0.6, 0.5));
	CU_ASSERT_FALSE(mtl_stop_better(&s, 0.5, 0.5));
	CU_ASSERT_EQUAL(mtl_stop_metric(&s, &by_hand, "pay.auc", &e), MTL_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "click, buy|click, buy"));
	e = (MtlError){0};
	CU_ASSERT_EQUAL(mtl_stop_metric(&s, &by_hand, "buy", &e), MTL_USAGE);
}

/* ---- scores ---- */

static MtlStatus scores(const MtlSys *sys, const char *in_path, const char *out, int threads,
			MtlScoresFormat format, const char *const *pass, int n_pass, MtlBadRows bad,
			MtlScoreResult *r, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	*e = (MtlError){0};
	*r = (MtlScoreResult){0};
	MtlStatus st = mtl_instance_init(&in, sys, &by_hand, e);
	if (!st) st = mtl_instance_open(&in, in_dir("scoring"), e);
	if (!st) st = mtl_pool_new(&pool, sys, threads, e);
	int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	MtlScoreOptions so = {.path = in_path,
			      .format = format,
			      .fd = fd,
			      .out_name = "scores",
			      .reader = {.passthrough = pass, .n_passthrough = n_pass, .bad_rows = bad}};
	if (!st) st = mtl_score(r, &in, pool, &so, e);
	close(fd);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	return st;
}

static void scores_of_rows(void)
{
	Seen s;
	MtlError e;
	MtlScoreResult r;
	MtlTrainOptions o = options(in_dir("scoring"));
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, -1, &s), MTL_OK);
	CU_ASSERT_EQUAL(
	    scores(&mtl_sys, log_csv, in_dir("s1"), 1, MTL_SCORES_CSV, NULL, 0, MTL_BAD_FAIL, &r, &e),
	    MTL_OK);
	CU_ASSERT_EQUAL(r.rows, ROWS);
	CU_ASSERT_EQUAL(
	    scores(&mtl_sys, log_csv, in_dir("s3"), 3, MTL_SCORES_CSV, NULL, 0, MTL_BAD_FAIL, &r, &e),
	    MTL_OK);
	CU_ASSERT(same_file(in_dir("s1"), in_dir("s3")));

	/* Every line against the kernels, one row at a time. */
	Bench b;
	bench_open(&b, &mtl_sys, &by_hand, ROWS, 1);
	MtlInstance in = opened(&by_hand, in_dir("scoring"));
	FILE *f = fopen(in_dir("s1"), "r");
	char line[256];
	CU_ASSERT_PTR_NOT_NULL(fgets(line, sizeof line, f));
	CU_ASSERT_STRING_EQUAL(line, "pctr,pcvr,pctcvr\n");
	int wrong = 0;
	for (int64_t i = 0; i < ROWS; i++) {
		float want[3], got[3];
		MtlFrame fr = {.in = &in, .batch = &b.batch, .out = want - 3 * i};
		mtl_frame_call(&fr, MTL_SCORE, i, 1, 0);
		wrong += !fgets(line, sizeof line, f) ||
			 sscanf(line, "%f,%f,%f", &got[0], &got[1], &got[2]) != 3 ||
			 memcmp(want, got, sizeof want) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_PTR_NULL(fgets(line, sizeof line, f));
	fclose(f);
	mtl_instance_free(&in);
	bench_close(&b);
}

static void bad_rows_and_passed_columns(void)
{
	static const char text[] = "item,tags,user,note\n1,a,u1,\"a \"\"q\"\", b\"\n2,a\n3,,u2,\n";
	static const char *const pass[] = {"note", "item"};
	MtlError e;
	MtlScoreResult r;
	size_t n;
	FILE *f = fopen(in_dir("rows.csv"), "w");
	fputs(text, f);
	fclose(f);
	CU_ASSERT_EQUAL(scores(&mtl_sys, in_dir("rows.csv"), in_dir("s"), 1, MTL_SCORES_CSV, pass, 2,
			       MTL_BAD_FAIL, &r, &e),
			MTL_DATA);
	CU_ASSERT_EQUAL(scores(&mtl_sys, in_dir("rows.csv"), in_dir("s"), 1, MTL_SCORES_CSV, pass, 2,
			       MTL_BAD_NULL, &r, &e),
			MTL_OK);
	CU_ASSERT_EQUAL(r.rows, 3);
	char *got = slurp(in_dir("s"), &n), *l2, *l3;
	static const char first[] = "note,item,pctr,pcvr,pctcvr\n\"a \"\"q\"\", b\",1,0.";
	CU_ASSERT_FATAL(got && strncmp(got, first, strlen(first)) == 0);
	l2 = strchr(strchr(got, '\n') + 1, '\n') + 1;
	l3 = strchr(l2, '\n') + 1;
	CU_ASSERT(strncmp(l2, ",,,,\n", 5) == 0);
	CU_ASSERT(strncmp(l3, ",3,0.", 5) == 0);
	free(got);
	CU_ASSERT_EQUAL(scores(&mtl_sys, in_dir("rows.csv"), in_dir("s"), 1, MTL_SCORES_JSONL, pass, 1,
			       MTL_BAD_NULL, &r, &e),
			MTL_OK);
	got = slurp(in_dir("s"), &n);
	static const char json[] = "{\"note\":\"a \\\"q\\\", b\",\"pctr\":0.",
			  null[] = "{\"note\":\"\",\"pctr\":null,\"pcvr\":null,\"pctcvr\":null}\n";
	CU_ASSERT_FATAL(got && strncmp(got, json, strlen(json)) == 0);
	CU_ASSERT(strncmp(strchr(got, '\n') + 1, null, strlen(null)) == 0);
	free(got);
}

/* ---- faults ---- */

/* Whatever call fails: a status that says so, no leak, and a file that is the old one or the new one. */
static void every_call_may_fail(void)
{
	Seen s = {.stop_after = -1};
	MtlError e;
	MtlFaults f;
	MtlTrainOptions o = options(in_dir("fault"));
	o.epochs = 1;
	CU_ASSERT_EQUAL_FATAL(run(&by_hand, &o, 0, &s), MTL_INTERRUPTED);
	size_t n, m;
	char *before = slurp(o.out, &n);
	mtl_faults_init(&f);
	s = (Seen){.stop_after = -1};
	MtlTrainOptions good = o;
	good.out = in_dir("good");
	CU_ASSERT_EQUAL_FATAL(run_on(&f.sys, &by_hand, &good, &s, &e), MTL_OK);
	char *after = slurp(good.out, &m);
	MtlFaults all = f;
	int quiet = 0, torn = 0, wrong = 0;
	for (int kind = 0; kind < 6; kind++) {
		const long most[] = {all.n_alloc, all.n_open, all.n_read,
				     all.n_write, all.n_sync, all.n_rename};
		for (long i = 1; i <= most[kind]; i++) {
			mtl_faults_init(&f);
			*(long *[]){&f.fail_alloc, &f.fail_open, &f.fail_read,
				    &f.fail_write, &f.fail_sync, &f.fail_rename}[kind] = i;
			s = (Seen){.stop_after = -1};
			MtlStatus st = run_on(&f.sys, &by_hand, &o, &s, &e);
			quiet += st == MTL_OK;
			wrong += st && st != (kind == 0 ? MTL_LIMIT : MTL_SYSTEM);
			if (st && st != (kind == 0 ? MTL_LIMIT : MTL_SYSTEM))
				printf("\n  kind %d call %ld: %d %s\n", kind, i, st, e.text);
			if (st == MTL_OK)
				printf("\n  kind %d call %ld of %ld is not noticed\n", kind, i, most[kind]);
			size_t k;
			char *now = slurp(o.out, &k);
			torn += !now || !((k == n && memcmp(now, before, n) == 0) ||
					  (k == m && memcmp(now, after, m) == 0));
			free(now);
		}
	}
	CU_ASSERT_EQUAL(quiet, 0);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(torn, 0);
	free(before);
	free(after);
}

static void a_full_disk_under_scores(void)
{
	MtlFaults f;
	MtlError e;
	MtlScoreResult r;
	for (int i = 1; i <= 3; i++) {
		mtl_faults_init(&f);
		f.fail_write = i;
		CU_ASSERT_EQUAL(
		    scores(&f.sys, log_csv, in_dir("s"), 2, MTL_SCORES_TSV, NULL, 0, MTL_BAD_FAIL, &r, &e),
		    MTL_SYSTEM);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "No space left"));
	}
}

static void variants(void)
{
	const MtlVariant *v;
	MtlError e = {0};
	CU_ASSERT_EQUAL(mtl_variant_choose(&v, &by_hand, NULL, &e), MTL_OK);
	CU_ASSERT_STRING_EQUAL(v->name, "any-v0"); /* no machine has level 9 */
	CU_ASSERT_EQUAL(mtl_variant_choose(&v, &by_hand, "v0", &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_variant_choose(&v, &by_hand, "x86-64-v9", &e), MTL_USAGE);
	e = (MtlError){0};
	CU_ASSERT_EQUAL(mtl_variant_choose(&v, &by_hand, "v3", &e), MTL_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "x86-64-v9, any-v0"));
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof dir, "%.40s/mtl_train_XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir)) return 1;
	snprintf(log_csv, sizeof log_csv, "%s/log.csv", dir);
	snprintf(valid_csv, sizeof valid_csv, "%s/valid.csv", dir);
	write_log(log_csv, ROWS, 1, true);
	write_log(valid_csv, 900, 2, true);

	CU_pSuite s = suite_begin("train");
	CU_ADD_TEST(s, variants);
	CU_ADD_TEST(s, gradients_against_differences);
	CU_ADD_TEST(s, one_step_by_hand);
	CU_ADD_TEST(s, a_step_allocates_nothing);
	CU_ADD_TEST(s, it_learns);
	CU_ADD_TEST(s, threads_do_not_matter);
	CU_ADD_TEST(s, settings_matter);
	CU_ADD_TEST(s, what_no_row_reaches_stays);
	CU_ADD_TEST(s, numbers_that_blow_up);
	CU_ADD_TEST(s, resumed_equals_never_stopped);
	CU_ADD_TEST(s, early_stop_keeps_the_best);
	CU_ADD_TEST(s, what_cannot_be_resumed);
	CU_ADD_TEST(s, warm_start);
	CU_ADD_TEST(s, gradcheck_finds_what_is_wrong);
	CU_ADD_TEST(s, gradients_as_a_file);
	CU_ADD_TEST(s, evaluation_counts_rows);
	CU_ADD_TEST(s, names_of_stop_metrics);
	CU_ADD_TEST(s, scores_of_rows);
	CU_ADD_TEST(s, bad_rows_and_passed_columns);
	CU_ADD_TEST(s, every_call_may_fail);
	CU_ADD_TEST(s, a_full_disk_under_scores);
	int failed = suite_end();
	char command[128];
	snprintf(command, sizeof command, "rm -r '%s'", dir);
	return system(command) != 0 || failed != 0;
}
