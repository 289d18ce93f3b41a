/*
 * Balancing in a step: products of gradients, their joining, and what the methods remember, by hand.
 *
 * Two tasks (losses 0 and 2 of three) share a parameter of 3 numbers and a table of width 2, laid out as the
 * compiler does: PARAM [3 shared in 16 | 2 own], GRAD behind it a block of 16 a task; DROWS [own 1 | sum 2 |
 * task 2 | task 2].
 */
#include "runtime/group.h"
#include "runtime/step.h"
#include "suite.h"
#include <math.h>
#include <string.h>

enum { N_PARAM = 32, BLOCK = 16, N_DROW = 7, ROWS = 3 };

static const MtlParam param[] = {
    {.name = "shared", .n_dim = 1, .dim = {3}, .size = 3, .losses = 5, .shared = true},
    {.name = "own", .n_dim = 1, .dim = {2}, .offset = 16, .size = 2, .losses = 1},
};
static const MtlTable table[] = {{.name = "t", .rows = 4, .dim = 2, .losses = 5, .shared = true}};
static const MtlLoss loss[] = {{"a", 1, false, 0}, {"aside", 1, false, 0}, {"b", 0.5, true, 0}};
static const int task[] = {0, 2};

static MtlModel model_of(MtlBalanceKind kind, double k, double lr)
{
	return (MtlModel){.param = param,
			  .n_param_block = 2,
			  .n_param = N_PARAM,
			  .table = table,
			  .n_table = 1,
			  .n_drow = N_DROW,
			  .loss = loss,
			  .n_loss = 3,
			  .tasks = {task, 2, kind >= MTL_GRADNORM, BLOCK, 2, 1, 2},
			  .train = {.balance = {kind, k, lr, NULL}}};
}

typedef struct {
	MtlModel m;
	MtlInstance in;
	MtlBatch batch;
	MtlTouched touched;
	MtlStep s;
	MtlError e;
	mtl_real grad[N_PARAM + 2 * BLOCK], drows[ROWS * N_DROW], scale[3];
	int32_t uniq[2], start[3], src[3];
	double loss[3], weight[3];
} Rig;

/*
 * g_a = [1, 2, 3 | row 1: (1, 0) + 0.5 (2, 2) = (2, 1) | row 3: (0, 4)], g_b = [-1, 0, 1 | (1, 1) + 0 | (2,
 * 0)] a.a = 14 + 5 + 16 = 35, a.b = 2 + 3 + 0 = 5, b.b = 2 + 2 + 4 = 8
 */
static void rig(Rig *r, MtlBalanceKind kind, double k, double lr, int threads)
{
	static const mtl_real a[] = {1, 2, 3}, b[] = {-1, 0, 1};
	static const mtl_real drow[ROWS][4] = {{1, 0, 1, 1}, {0, 4, 2, 0}, {2, 2, 0, 0}};
	*r = (Rig){.m = model_of(kind, k, lr),
		   .scale = {1, 0.5, 1},
		   .uniq = {1, 3},
		   .start = {0, 2, 3},
		   .loss = {2, 9, 4},
		   .weight = {3, 3, 3}};
	memcpy(r->grad + N_PARAM, a, sizeof a);
	memcpy(r->grad + N_PARAM + BLOCK, b, sizeof b);
	for (int i = 0; i < ROWS; i++) memcpy(r->drows + i * N_DROW + 3, drow[i], sizeof drow[i]);
	r->src[0] = 0 * N_DROW + 1, r->src[1] = 2 * N_DROW + 1, r->src[2] = 1 * N_DROW + 1;
	r->touched = (MtlTouched){
	    .uniq = r->uniq, .start = r->start, .src = r->src, .scale = r->scale, .n_uniq = 2, .n = 3};
	r->in = (MtlInstance){.m = &r->m, .sys = &mtl_sys};
	r->batch.n = ROWS;
	r->s = (MtlStep){.in = &r->in,
			 .batch = &r->batch,
			 .grad = r->grad,
			 .drows = r->drows,
			 .loss = r->loss,
			 .weight = r->weight,
			 .dense = {.lr = 0.1},
			 .balanced = true};
	CU_ASSERT_EQUAL(mtl_pool_new(&r->s.pool, &mtl_sys, threads, &r->e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_balance_init(&r->s.balance, &mtl_sys, &r->m, threads, &r->e), MTL_OK);
}

static void done(Rig *r)
{
	mtl_balance_free(&r->s.balance);
	mtl_pool_free(r->s.pool);
}

static void step(Rig *r) { CU_ASSERT_EQUAL(mtl_balance_step(&r->s, &r->touched, &r->e), MTL_OK); }

#define NEAR(x, y) CU_ASSERT_DOUBLE_EQUAL(x, y, 1e-6 * (1 + fabs((double)(y))))

static void test_products(void)
{
	for (int threads = 1; threads < 4; threads++) {
		Rig r;
		rig(&r, MTL_MGDA, 0, 0, threads);
		step(&r);
		const double *G = r.s.balance.gram;
		CU_ASSERT(G[0] == 35 && G[1] == 5 && G[2] == 5 && G[3] == 8);
		/* w_a = (8 - 5) / (35 + 8 - 10) = 1 / 11 */
		NEAR(r.s.balance.share[0], 1.0 / 11);
		NEAR(r.grad[0], (1 - 10) / 11.0);
		NEAR(r.grad[1], 2 / 11.0);
		NEAR(r.drows[1], (1 + 10) / 11.0);
		NEAR(r.drows[2 * N_DROW + 2], 2 / 11.0);
		CU_ASSERT_EQUAL(r.grad[16], 0); /* a parameter of one's own is left alone */
		CU_ASSERT_EQUAL(r.drows[0], 0);
		done(&r);
	}
}

static void test_plain(void)
{
	Rig r;
	rig(&r, MTL_PCGRAD, 0, 0, 2);
	step(&r); /* a . b > 0: the sum */
	CU_ASSERT(r.grad[0] == 0 && r.grad[1] == 2 && r.grad[2] == 4);
	CU_ASSERT(r.drows[1] == 2 && r.drows[2] == 1);
	memset(r.grad, 0, N_PARAM * sizeof *r.grad);
	mtl_balance_join(&r.s, NULL);
	CU_ASSERT(r.grad[0] == 0 && r.grad[1] == 2 && r.grad[2] == 4);
	done(&r);
}

/* A task without a row has a gradient of 0, which would be the shortest of all. */
static void test_without_rows(void)
{
	for (int kind = MTL_GRADNORM; kind <= MTL_NASH; kind++) {
		Rig r;
		rig(&r, (MtlBalanceKind)kind, 0.5, 0.025, 1);
		memset(r.grad + N_PARAM + BLOCK, 0, BLOCK * sizeof *r.grad);
		for (int i = 0; i < ROWS; i++) memset(r.drows + i * N_DROW + 5, 0, 2 * sizeof *r.drows);
		r.weight[2] = 0;
		step(&r);
		CU_ASSERT(r.grad[0] == 1 && r.grad[1] == 2 && r.grad[2] == 3);
		CU_ASSERT_EQUAL(r.s.balance.steps[1], 0);
		done(&r);
	}
}

static double objective(double f0, double s0, double f1, double s1)
{
	/* task a: f L + s / 2, f = exp(-s); task b, a regression of weight 0.5: f = exp(-s) / 2 */
	return f0 * 2 + s0 / 2 + f1 * (0.5 * 4) + s1 / 2;
}

static void test_uncertainty(void)
{
	Rig r;
	rig(&r, MTL_UNCERTAINTY, 0, 0, 1);
	NEAR(r.s.balance.factor[0], 1);
	NEAR(r.s.balance.factor[1], 0.5);
	/* The gradient of the objective: by differences, and out of Adam's first moment. */
	double h = 1e-6, want[2];
	want[0] = (objective(exp(-h), h, 0.5, 0) - objective(exp(h), -h, 0.5, 0)) / (2 * h);
	want[1] = (objective(1, 0, exp(-h) / 2, h) - objective(1, 0, exp(h) / 2, -h)) / (2 * h);
	step(&r);
	double *x = r.s.balance.remembered;
	NEAR(x[1] / 0.1, want[0]); /* -1.5 */
	NEAR(x[5] / 0.1, want[1]); /* -0.5 */
	/* Adam's first step is the rate, against the gradient. */
	NEAR(x[0], 0.1);
	NEAR(x[4], 0.1);
	NEAR(r.s.balance.factor[0], exp(-0.1));
	/* Where it rests, f L = 1/2 for both. */
	for (int i = 0; i < 4000; i++) {
		r.s.dense.lr = i < 2000 ? 0.01 : 0.0001;
		step(&r);
	}
	CU_ASSERT_DOUBLE_EQUAL(r.s.balance.factor[0] * 2, 0.5, 1e-3);
	CU_ASSERT_DOUBLE_EQUAL(r.s.balance.factor[1] * 2, 0.5, 1e-3);
	r.loss[0] = -1;
	CU_ASSERT_EQUAL(mtl_balance_step(&r.s, &r.touched, &r.e), MTL_NUMBERS);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.e.text, "loss a is -1"));
	done(&r);
}

static void test_dwa(void)
{
	Rig r;
	rig(&r, MTL_DWA, 2, 0, 1);
	static const double a[] = {2, 1, 1.5}, b[] = {4, 4, 1};
	for (int epoch = 0; epoch < 3; epoch++) {
		/* Two batches of unequal weight: means a, b (times 0.5). */
		r.loss[0] = a[epoch] + 0.5, r.loss[2] = b[epoch], r.weight[0] = 1;
		step(&r);
		r.loss[0] = a[epoch] - 0.25, r.weight[0] = 2;
		step(&r);
		if (epoch < 2) CU_ASSERT(r.s.balance.factor[0] == 1 && r.s.balance.factor[1] == 1);
		if (epoch == 2) {
			double e0 = exp(0.5 / 2), e1 = exp(1.0 / 2); /* 1 / 2, 4 / 4 */
			NEAR(r.s.balance.factor[0], 2 * e0 / (e0 + e1));
			NEAR(r.s.balance.factor[1], 2 * e1 / (e0 + e1));
		}
		mtl_balance_epoch(&r.s.balance);
	}
	double e0 = exp(1.5 / 2), e1 = exp(0.25 / 2);
	NEAR(r.s.balance.factor[0], 2 * e0 / (e0 + e1));
	done(&r);
}

static void test_gradnorm(void)
{
	Rig r;
	rig(&r, MTL_GRADNORM, 1.5, 0.1, 1);
	step(&r); /* sets L(0) = 2 and 2; r = 1, 1; G = sqrt(35), sqrt(8) around their mean */
	double G[] = {sqrt(35), sqrt(8)}, mean = (G[0] + G[1]) / 2;
	double f[] = {exp(-0.1 * G[0] / mean), exp(0.1 * G[1] / mean)}, sum = f[0] + f[1];
	NEAR(r.s.balance.factor[0], 2 * f[0] / sum);
	NEAR(r.s.balance.factor[1], 2 * f[1] / sum);
	CU_ASSERT(r.grad[1] == 2); /* the gradients are added up */
	/* Task a has fallen to a quarter, b not at all: r = 0.4, 1.6; a's aim is mean 0.4^1.5. */
	r.loss[0] = 0.5;
	double was[] = {r.s.balance.factor[0], r.s.balance.factor[1]};
	step(&r);
	CU_ASSERT(G[0] > mean * pow(0.4, 1.5) && G[1] < mean * pow(1.6, 1.5));
	f[0] = was[0] * exp(-0.1 * G[0] / mean), f[1] = was[1] * exp(0.1 * G[1] / mean), sum = f[0] + f[1];
	NEAR(r.s.balance.factor[0], 2 * f[0] / sum);
	NEAR(r.s.balance.factor[0] + r.s.balance.factor[1], 2);
	r.loss[0] = 0;
	CU_ASSERT_EQUAL(mtl_balance_step(&r.s, &r.touched, &r.e), MTL_NUMBERS);
	done(&r);
}

int main(void)
{
	CU_pSuite s = suite_begin("balance");
	CU_add_test(s, "products over shared parameters and touched rows", test_products);
	CU_add_test(s, "without a conflict the plain sum", test_plain);
	CU_add_test(s, "a task without rows takes no part", test_without_rows);
	CU_add_test(s, "uncertainty: the objective's gradient, and where it rests", test_uncertainty);
	CU_add_test(s, "dwa: the first two epochs, then ratios of losses", test_dwa);
	CU_add_test(s, "gradnorm: towards equal progress", test_gradnorm);
	return suite_end();
}
