/*
 * Metrics of predictions against values computed by hand, and against plain slow formulas on random
 * rows.
 */
#include "runtime/metrics.h"
#include "suite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static MtlMetrics measured(const float *row, int64_t n, const uint64_t *group)
{
	MtlError e = {0};
	MtlMetrics m = {0};
	MtlScores *s = mtl_scores_new(&mtl_sys);
	CU_ASSERT_EQUAL(mtl_scores_add(s, row, 3, n, group, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_scores_metrics(s, &m, &e), MTL_OK);
	mtl_scores_free(s);
	return m;
}

#define MEASURE(...)                                                                                         \
	measured((const float[]){__VA_ARGS__}, (int64_t)(sizeof((float[]){__VA_ARGS__}) / 12), NULL)
#define EQ(a, b)   CU_ASSERT_DOUBLE_EQUAL((a), (b), 1e-12)
#define NEAR(a, b) CU_ASSERT_DOUBLE_EQUAL((a), (b), 1e-7)
#define LN2	   0.69314718055994530942
#define LN3	   1.09861228866810969140f /* p = 3/4 */

/* Positives 0, 2 against negatives -1, 1: three of four pairs in order. */
static void auc_counts_pairs(void) { EQ(MEASURE(2, 1, 1, -1, 0, 1, 1, 0, 1, 0, 1, 1).auc, 0.75); }

static void auc_ties_count_half(void)
{
	EQ(MEASURE(0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1).auc, 0.5);
	/* At 0 one of each: 1/2.  At 1 one positive: above one negative, tied with two: 2.  Of 2 * 3 pairs.
	 */
	EQ(MEASURE(0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1).auc, 2.5 / 6);
	/* -0 and 0 are the same logit. */
	EQ(MEASURE(-0.0f, 0, 1, 0, 1, 1).auc, 0.5);
	/* Neighbouring floats are not. */
	EQ(MEASURE(1, 0, 1, 1.00000012f, 1, 1).auc, 1);
	EQ(MEASURE(-1, 1, 1, -1.00000012f, 0, 1).auc, 1);
}

/* Positive weight 3 above negative weight 2 of 3. */
static void auc_by_weight(void)
{
	MtlMetrics m = MEASURE(-1, 0, 2, 0, 1, 3, 1, 0, 1, 5, 1, 0);
	EQ(m.auc, 2.0 / 3);
	CU_ASSERT_EQUAL(m.rows, 3);
	EQ(m.weight, 6);
	EQ(m.positives, 3);
	EQ(m.mean_label, 0.5);
}

/* The row of label 1/4 is a quarter positive: of 1.25 * 1.75 pairs, 1 * 1.75 and 0.25 * (1 + 0.75 / 2). */
static void auc_of_soft_labels(void)
{
	EQ(MEASURE(-1, 0, 1, 0, 0.25f, 1, 1, 1, 1).auc, (1.75 + 0.25 * 1.375) / (1.25 * 1.75));
}

/* p = 3/4 for a positive, 1/4 for a negative: log loss log(4/3), entropy log 2, each bin off by 1/4. */
static void loss_by_hand(void)
{
	MtlMetrics m = MEASURE(LN3, 1, 1, -LN3, 0, 1);
	NEAR(m.logloss, 0.28768207245178);
	NEAR(m.ne, 0.41503749927884); /* 2 - log2 3 */
	NEAR(m.calibration, 1);
	NEAR(m.ece, 0.25);
	NEAR(m.mean_prediction, 0.5);
	EQ(m.mean_label, 0.5);
	/* Weights 3 : 1, so (3 log(4/3) + log 4) / 4; base rate 3/4. */
	m = MEASURE(LN3, 1, 3, LN3, 0, 1);
	NEAR(m.logloss, (3 * 0.28768207245178 + 2 * LN2) / 4);
	NEAR(m.ne, 1);
	NEAR(m.calibration, 1);
	NEAR(m.ece, 0);
	/* Half a label: log 2 whatever else. */
	EQ(MEASURE(0, 0.5f, 1).logloss, LN2);
}

/* Where p itself would be 0 or 1 in float, and nearly so in double. */
static void loss_of_far_logits(void)
{
	EQ(MEASURE(100, 0, 1).logloss, 100);
	EQ(MEASURE(-1000, 1, 1).logloss, 1000);
	CU_ASSERT_DOUBLE_EQUAL(MEASURE(100, 1, 1).logloss, 3.720075976020836e-44, 1e-56);
	CU_ASSERT_DOUBLE_EQUAL(MEASURE(-40, 0, 1).logloss, 4.248354255291589e-18, 1e-30);
}

static void infinite_logits(void)
{
	MtlMetrics m = MEASURE(INFINITY, 1, 1, -INFINITY, 0, 1);
	EQ(m.logloss, 0);
	EQ(m.auc, 1);
	EQ(m.ece, 0);
	EQ(m.calibration, 1);
	m = MEASURE(INFINITY, 0, 1, 3, 1, 1, INFINITY, 1, 1);
	CU_ASSERT(isinf(m.logloss) && m.logloss > 0);
	CU_ASSERT(isinf(m.ne));
	EQ(m.auc, 0.25);
	CU_ASSERT(isfinite(m.ece));
	CU_ASSERT(isinf(MEASURE(-INFINITY, 1, 1).logloss));
}

static void one_class(void)
{
	MtlMetrics m = MEASURE(0, 1, 1, 1, 1, 1);
	CU_ASSERT(isnan(m.auc));
	CU_ASSERT(isnan(m.ne));
	CU_ASSERT(isnan(m.gauc));
	NEAR(m.calibration, (0.5 + 0.731058578630005) / 2);
	m = MEASURE(0, 0, 1, 1, 0, 1);
	CU_ASSERT(isnan(m.auc));
	CU_ASSERT(isnan(m.ne));
	CU_ASSERT(isnan(m.calibration));
	NEAR(m.ece, (0.5 + 0.731058578630005) / 2);
}

static void no_rows(void)
{
	MtlMetrics m = MEASURE(5, 1, 0);
	CU_ASSERT_EQUAL(m.rows, 0);
	EQ(m.weight, 0);
	EQ(m.positives, 0);
	CU_ASSERT(isnan(m.auc) && isnan(m.logloss) && isnan(m.ne) && isnan(m.calibration) && isnan(m.ece));
	CU_ASSERT(isnan(m.gauc) && isnan(m.mean_prediction) && isnan(m.mean_label));
}

/* 20 rows of logit 0 .. 19 in pairs of labels; then all in one tie. */
static void ece_bins(void)
{
	float row[20][3];
	double want = 0;
	for (int i = 0; i < 20; i++) {
		row[i][0] = (float)i / 4 - 2;
		row[i][1] = i % 4 == 0;
		row[i][2] = 1;
	}
	for (int b = 0; b < 10; b++) {
		double p0 = 1 / (1 + exp(-row[2 * b][0])), p1 = 1 / (1 + exp(-row[2 * b + 1][0]));
		want += fabs(p0 + p1 - (b % 2 == 0));
	}
	EQ(measured(*row, 20, NULL).ece, want / 20);
	/* Ties are one bin, however many: p = 1/2, label 1/4. */
	for (int i = 0; i < 20; i++) row[i][0] = 0;
	EQ(measured(*row, 20, NULL).ece, 0.25);
	/* 11 rows at 0 (3 positives) fill the first five bins and end the sixth; 9 at log 3 (2 positives) are
	 * the rest. */
	for (int i = 11; i < 20; i++) row[i][0] = LN3;
	NEAR(measured(*row, 20, NULL).ece, (fabs(11 * 0.5 - 3) + fabs(9 * 0.75 - 2)) / 20);
}

static void groups(void)
{
	/* Group 7: auc 1, weight 2.  8: one class.  9: auc 1/2 of weight 4.  Two rows without a group. */
	const float row[] = {1, 1, 1, 0, 0,	  1, /* */ 5, 1,  1, /* */ 2, 0,
			     1, 2, 1, 3, /* */ 9, 0, 1,	      -9, 1, 1};
	const uint64_t of[] = {7, 7, 8, 9, 9, 0, 0};
	EQ(measured(row, 7, of).gauc, (2 * 1 + 4 * 0.5) / 6);
	/* Groups that differ in their upper half only. */
	const uint64_t wide[] = {7, 7, 8, UINT64_C(7) << 32 | 7, UINT64_C(7) << 32 | 7, 0, 0};
	EQ(measured(row, 7, wide).gauc, (2 * 1 + 4 * 0.5) / 6);
	const uint64_t none[7] = {0};
	CU_ASSERT(isnan(measured(row, 7, none).gauc));
	CU_ASSERT(isnan(measured(row, 7, NULL).gauc));
	const uint64_t single[] = {1, 2, 3, 4, 5, 6, 7};
	CU_ASSERT(isnan(measured(row, 7, single).gauc));
}

/*
 * Group 7 in the order 0 1 1: (1 / log2 3 + 1 / 2) / (1 + 1 / log2 3).  Group 8 without a positive.  Group 9,
 * all of one score, one of three positive: the mean of 1, 1 / log2 3 and 1 / 2.  A row of weight 3 is a row.
 */
static void order_in_groups(void)
{
	const float row[] = {3, 0, 1, 2, 1, 3, 1, 1, 1, /* */ 4, 0, 1, /* */ 5, 0, 1, 5, 1, 1, 5, 0, 1};
	const uint64_t of[] = {7, 7, 7, 8, 9, 9, 9};
	double b = log(2) / log(3), want = ((b + 0.5) / (1 + b) + (1 + b + 0.5) / 3) / 2;
	NEAR(measured(row, 7, of).ndcg, want);
	CU_ASSERT(isnan(measured(row, 7, NULL).ndcg));
	/* Of values, estimated 3 2 1 and being -1 2 5: (2 b + 5 / 2) / (5 + 2 b). */
	MtlError e = {0};
	MtlMetrics m;
	MtlScores *s = mtl_scores_new(&mtl_sys);
	mtl_scores_kind(s, MTL_SCORES_VALUE);
	mtl_scores_add(s, (const float[]){1, 5, 1, 3, -1, 1, 2, 2, 1}, 3, 3, (const uint64_t[]){4, 4, 4}, &e);
	CU_ASSERT_EQUAL(mtl_scores_metrics(s, &m, &e), MTL_OK);
	NEAR(m.ndcg, (2 * b + 2.5) / (5 + 2 * b));
	CU_ASSERT(isnan(m.gauc));
	mtl_scores_free(s);
}

/* Rows of which some come before the first group was named belong to none. */
static void groups_seen_late(void)
{
	MtlError e = {0};
	MtlMetrics m;
	MtlScores *s = mtl_scores_new(&mtl_sys);
	mtl_scores_add(s, (const float[]){1, 0, 1, 2, 1, 1}, 3, 2, NULL, &e);
	mtl_scores_add(s, (const float[]){1, 1, 1, 2, 0, 1}, 3, 2, (const uint64_t[]){4, 4}, &e);
	mtl_scores_metrics(s, &m, &e);
	EQ(m.gauc, 0);
	EQ(m.auc, 0.5);
	/* More after sorting: groups still belong to their rows. */
	mtl_scores_add(s, (const float[]){0, 0, 1, -5, 1, 1}, 3, 2, (const uint64_t[]){4, 5}, &e);
	mtl_scores_metrics(s, &m, &e);
	CU_ASSERT_EQUAL(m.rows, 6);
	EQ(m.gauc, 0.5);
	mtl_scores_clear(s);
	mtl_scores_add(s, (const float[]){1, 0, 1, 2, 1, 1}, 3, 2, NULL, &e);
	mtl_scores_metrics(s, &m, &e);
	CU_ASSERT_EQUAL(m.rows, 2);
	CU_ASSERT(isnan(m.gauc));
	mtl_scores_free(s);
}

static void refused(const float *bad)
{
	MtlError e = {0};
	MtlMetrics m;
	const float row[] = {1, 1, 1, bad[0], bad[1], bad[2]};
	MtlScores *s = mtl_scores_new(&mtl_sys);
	CU_ASSERT_EQUAL(mtl_scores_add(s, row, 3, 2, NULL, &e), MTL_NUMBERS);
	CU_ASSERT_EQUAL(e.status, MTL_NUMBERS);
	CU_ASSERT_EQUAL(mtl_scores_metrics(s, &m, &e), MTL_OK);
	CU_ASSERT_EQUAL(m.rows, 0);
	mtl_scores_free(s);
}

static void bad_numbers(void)
{
	refused((const float[]){NAN, 1, 1});
	refused((const float[]){0, NAN, 1});
	refused((const float[]){0, 1, NAN});
	refused((const float[]){0, 1.5f, 1});
	refused((const float[]){0, -0.5f, 1});
	refused((const float[]){0, 1, -1});
	refused((const float[]){0, 1, INFINITY});
	/* What has no weight may be anything. */
	CU_ASSERT_EQUAL(MEASURE(NAN, NAN, 0, 0, 1, 1).rows, 1);
}

static uint32_t draw(uint32_t *s) { return (*s = *s * 1664525u + 1013904223u) >> 8; }

enum { ROWS = 1500 };

/* O(n^2) and O(n log n) agree, over ties, weights, soft labels and groups. */
static void plain_formulas(void)
{
	static float row[ROWS][3];
	static uint64_t of[ROWS];
	uint32_t seed = 9;
	for (int i = 0; i < ROWS; i++) {
		row[i][0] = ((float)(draw(&seed) % 400) - 200) / 37;
		row[i][1] = (float)(draw(&seed) % 3) / 2;
		row[i][2] = (float)(1 + draw(&seed) % 3) / 2;
		of[i] = draw(&seed) % 40 * UINT64_C(0x123456789abcdef);
	}
	double won = 0, pos = 0, neg = 0, loss = 0;
	static double g_won[40], g_pos[40], g_neg[40];
	for (int i = 0; i < ROWS; i++) {
		double w = row[i][2], y = row[i][1], p = 1 / (1 + exp(-(double)row[i][0]));
		int gi = (int)(of[i] / UINT64_C(0x123456789abcdef));
		pos += w * y;
		neg += w * (1 - y);
		loss -= w * (y * log(p) + (1 - y) * log(1 - p));
		g_pos[gi] += w * y;
		g_neg[gi] += w * (1 - y);
		for (int j = 0; j < ROWS; j++) {
			double pair = w * y * row[j][2] * (1 - row[j][1]);
			pair *= row[i][0] > row[j][0] ? 1 : row[i][0] == row[j][0] ? 0.5 : 0;
			won += pair;
			if (of[i] == of[j]) g_won[gi] += pair;
		}
	}
	double gauc = 0, gw = 0;
	for (int k = 1; k < 40; k++) {
		gauc += (g_pos[k] + g_neg[k]) * g_won[k] / (g_pos[k] * g_neg[k]);
		gw += g_pos[k] + g_neg[k];
	}
	MtlMetrics m = measured(*row, ROWS, of);
	CU_ASSERT_DOUBLE_EQUAL(m.auc, won / (pos * neg), 1e-11);
	CU_ASSERT_DOUBLE_EQUAL(m.logloss, loss / (pos + neg), 1e-11);
	CU_ASSERT_DOUBLE_EQUAL(m.gauc, gauc / gw, 1e-11);
	EQ(m.positives, pos);

	/* Any order of the rows gives the same bits. */
	for (int i = ROWS - 1; i > 0; i--) {
		int j = (int)(draw(&seed) % (uint32_t)(i + 1));
		float keep[3];
		uint64_t g = of[i];
		memcpy(keep, row[i], sizeof keep);
		memcpy(row[i], row[j], sizeof keep);
		memcpy(row[j], keep, sizeof keep);
		of[i] = of[j];
		of[j] = g;
	}
	MtlMetrics other = measured(*row, ROWS, of);
	CU_ASSERT_EQUAL(memcmp(&m, &other, sizeof m), 0);
}

/* Rows among others, and in many small portions. */
static void strides_and_portions(void)
{
	static float wide[5000][7];
	static float dense[5000][3];
	uint32_t seed = 4;
	MtlError e = {0};
	MtlScores *s = mtl_scores_new(&mtl_sys);
	for (int i = 0; i < 5000; i++) {
		for (int k = 0; k < 7; k++) wide[i][k] = NAN;
		for (int k = 0; k < 3; k++) dense[i][k] = wide[i][2 + k] = (float)(draw(&seed) % 2);
		dense[i][0] = wide[i][2] = (float)i / 1000;
	}
	for (int i = 0; i < 5000; i += 50) mtl_scores_add(s, &wide[i][2], 7, 50, NULL, &e);
	MtlMetrics m, want = measured(*dense, 5000, NULL);
	mtl_scores_metrics(s, &m, &e);
	CU_ASSERT_EQUAL(memcmp(&m, &want, sizeof m), 0);
	CU_ASSERT(m.rows > 2000 && m.rows < 3000);
	mtl_scores_free(s);
}

static void no_memory(void)
{
	static float row[9000][3];
	static uint64_t of[9000];
	for (int i = 0; i < 9000; i++)
		row[i][0] = (float)i, row[i][1] = (float)(i & 1), row[i][2] = 1, of[i] = (uint64_t)i / 9;
	int failed = 0;
	for (int k = 1; k < 20; k++) {
		MtlFaults f;
		MtlError e = {0};
		MtlMetrics m;
		mtl_faults_init(&f);
		f.fail_alloc = k;
		MtlScores *s = mtl_scores_new(&f.sys);
		MtlStatus st = s ? MTL_OK : MTL_LIMIT;
		for (int i = 0; !st && i < 3; i++)
			st = mtl_scores_add(s, row[3000 * i], 3, 3000, i ? of + 3000 * i : NULL, &e);
		if (!st) st = mtl_scores_metrics(s, &m, &e);
		CU_ASSERT(st == (f.n_alloc >= k ? MTL_LIMIT : MTL_OK));
		failed += st != MTL_OK;
		mtl_scores_free(s);
	}
	CU_ASSERT(failed >= 6);
}

static MtlMetrics measured_as(MtlScoresKind kind, const float *row, int64_t n, const uint64_t *group)
{
	MtlError e = {0};
	MtlMetrics m = {0};
	MtlScores *s = mtl_scores_new(&mtl_sys);
	mtl_scores_kind(s, kind);
	CU_ASSERT_EQUAL(mtl_scores_add(s, row, 3, n, group, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_scores_metrics(s, &m, &e), MTL_OK);
	mtl_scores_free(s);
	return m;
}

/* Off by 1, -2 (twice) and 3: squares 1 + 2 * 4 + 9 = 18, sizes 1 + 2 * 2 + 3 = 8, over a weight of 4. */
static void values(void)
{
	const float row[] = {3, 2, 1, -1, 1, 2, 5, 2, 1, 9, 100, 0};
	MtlMetrics m = measured_as(MTL_SCORES_VALUE, row, 4, (const uint64_t[]){1, 1, 2, 2});
	CU_ASSERT_EQUAL(m.rows, 3);
	EQ(m.weight, 4);
	EQ(m.rmse, sqrt(4.5));
	EQ(m.mae, 2);
	EQ(m.mean_prediction, 6.0 / 4);
	EQ(m.mean_label, 6.0 / 4);
	EQ(m.calibration, 1);
	CU_ASSERT(isnan(m.auc) && isnan(m.logloss) && isnan(m.gauc) && isnan(m.accuracy));
	/* In another order the same bits. */
	const float turned[] = {5, 2, 1, 3, 2, 1, -1, 1, 2};
	MtlMetrics t = measured_as(MTL_SCORES_VALUE, turned, 3, NULL);
	CU_ASSERT(t.rmse == m.rmse && t.mae == m.mae);
	MtlError e = {0};
	MtlScores *s = mtl_scores_new(&mtl_sys);
	mtl_scores_kind(s, MTL_SCORES_VALUE);
	CU_ASSERT_EQUAL(mtl_scores_add(s, (const float[]){1, INFINITY, 1}, 3, 1, NULL, &e), MTL_NUMBERS);
	mtl_scores_free(s);
}

/* -log p of 0.5 (weight 3, foreseen) and 2 (weight 1, not): 3.5 / 4, 3 / 4. */
static void classes(void)
{
	MtlMetrics m = measured_as(MTL_SCORES_CLASS, (const float[]){0.5f, 1, 3, 2, 0, 1}, 2, NULL);
	EQ(m.cross_entropy, 0.875);
	EQ(m.accuracy, 0.75);
	CU_ASSERT(isnan(m.auc) && isnan(m.rmse));
}

/*
 * Positives at 2 and 0, negatives at 1 and -1: AUC 3/4.  A positive is above 1 and 1/2 of the negatives, a
 * negative below 1/2 and 1 of the positives: all off by 1/4, so the variance is (2/16) / 4 + (2/16) / 4
 * = 1/16.
 * Log losses ln 2 and 2 ln 2 are off their mean by ln 2 / 2: its error is sqrt(2) / 2 / 2 ln 2.
 */
static void errors_of_auc_and_log_loss(void)
{
	MtlMetrics m = MEASURE(2, 1, 1, 0, 1, 1, 1, 0, 1, -1, 0, 1);
	CU_ASSERT_DOUBLE_EQUAL(m.auc_error, 0.25, 1e-12);
	m = MEASURE(0, 1, 1, LN3, 0, 1);
	CU_ASSERT_DOUBLE_EQUAL(m.logloss_error, 0.5 * sqrt(0.5) * log(2), 1e-6);
	/* Twice the weight everywhere changes nothing. */
	m = MEASURE(2, 1, 2, 0, 1, 2, 1, 0, 2, -1, 0, 2);
	CU_ASSERT_DOUBLE_EQUAL(m.auc_error, 0.25, 1e-12);
	/* All tied: the AUC is 1/2 whatever the rows. */
	m = MEASURE(1, 1, 1, 1, 0, 1, 1, 0, 1);
	CU_ASSERT_DOUBLE_EQUAL(m.auc_error, 0, 1e-12);
}

static void bins_of_calibration(void)
{
	MtlMetrics m = MEASURE(-LN3, 0, 1, -LN3, 1, 2, LN3, 1, 1);
	CU_ASSERT_EQUAL_FATAL(m.n_bin, 2); /* ties stay together */
	CU_ASSERT_DOUBLE_EQUAL(m.bin[0].weight, 3, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(m.bin[0].prediction, 0.25, 1e-6);
	CU_ASSERT_DOUBLE_EQUAL(m.bin[0].label, 2.0 / 3, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(m.bin[1].prediction, 0.75, 1e-6);
}

int main(void)
{
	CU_pSuite s = suite_begin("metrics");
	CU_ADD_TEST(s, auc_counts_pairs);
	CU_ADD_TEST(s, auc_ties_count_half);
	CU_ADD_TEST(s, auc_by_weight);
	CU_ADD_TEST(s, auc_of_soft_labels);
	CU_ADD_TEST(s, loss_by_hand);
	CU_ADD_TEST(s, loss_of_far_logits);
	CU_ADD_TEST(s, infinite_logits);
	CU_ADD_TEST(s, one_class);
	CU_ADD_TEST(s, no_rows);
	CU_ADD_TEST(s, ece_bins);
	CU_ADD_TEST(s, errors_of_auc_and_log_loss);
	CU_ADD_TEST(s, bins_of_calibration);
	CU_ADD_TEST(s, groups);
	CU_ADD_TEST(s, order_in_groups);
	CU_ADD_TEST(s, groups_seen_late);
	CU_ADD_TEST(s, bad_numbers);
	CU_ADD_TEST(s, plain_formulas);
	CU_ADD_TEST(s, strides_and_portions);
	CU_ADD_TEST(s, no_memory);
	CU_ADD_TEST(s, values);
	CU_ADD_TEST(s, classes);
	return suite_end();
}
