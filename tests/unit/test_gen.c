/* Synthetic logs: rates, selection and relatedness are what the log promises. */
#include "gen.h"
#include "suite.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

/* Pearson correlation of y1 and y2, and the variance of y1. */
static double pearson(double p, int waves, double *variance)
{
	enum { ROWS = 200000 };
	MtlPair pair;
	double s1 = 0, s2 = 0, s11 = 0, s22 = 0, s12 = 0, x[MTL_PAIR_INPUTS], y[2];
	mtl_pair_init(&pair, 7, p, waves);
	for (int i = 0; i < ROWS; i++) {
		mtl_pair_row(&pair, x, y);
		s1 += y[0];
		s2 += y[1];
		s11 += y[0] * y[0];
		s22 += y[1] * y[1];
		s12 += y[0] * y[1];
	}
	double v1 = s11 / ROWS - s1 / ROWS * (s1 / ROWS), v2 = s22 / ROWS - s2 / ROWS * (s2 / ROWS);
	*variance = v1;
	return (s12 / ROWS - s1 / ROWS * (s2 / ROWS)) / sqrt(v1 * v2);
}

/* Reference values at 200,000 rows, d = 100: the cosine of the weights is not the correlation of the
 * outcomes. */
static void relatedness(void)
{
	double v;
	CU_ASSERT_DOUBLE_EQUAL(pearson(0.5, 4, &v), 0.290, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(v, 6.39, 0.06);
	CU_ASSERT_DOUBLE_EQUAL(pearson(0.9, 4, &v), 0.693, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(pearson(0.9, 10, &v), 0.357, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(v, 13.07, 0.15);
	/* The rest of the table takes a quarter of a minute. */
	static const struct {
		double p;
		int waves;
		double r;
	} rest[] = {{0, 4, .001},    {.25, 4, .140}, {.75, 4, .485},  {1, 4, .998}, {0, 10, -.004},
		    {.25, 10, .066}, {.5, 10, .144}, {.75, 10, .240}, {1, 10, .999}};
	const char *quick = getenv("MTL_QUICK");
	bool all = !quick || !*quick;
	for (size_t i = 0; all && i < sizeof rest / sizeof *rest; i++)
		CU_ASSERT_DOUBLE_EQUAL(pearson(rest[i].p, rest[i].waves, &v), rest[i].r, 0.01);
}

static void weights_have_the_cosine(void)
{
	MtlPair p;
	mtl_pair_init(&p, 3, 0.25, 4);
	double s11 = 0, s22 = 0, s12 = 0;
	for (int i = 0; i < MTL_PAIR_INPUTS; i++) {
		s11 += p.w[0][i] * p.w[0][i];
		s22 += p.w[1][i] * p.w[1][i];
		s12 += p.w[0][i] * p.w[1][i];
	}
	CU_ASSERT_DOUBLE_EQUAL(s11, 1, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(s22, 1, 1e-12);
	CU_ASSERT_DOUBLE_EQUAL(s12, 0.25, 1e-12);
}

/* The number in cell `at` (from 0) of a row without quotes. */
static double cell(const char *row, int at)
{
	for (; at > 0; at--) row = strchr(row, ',') + 1;
	return strtod(row, NULL);
}

static FILE *generate(const char *kind, int64_t rows, uint64_t seed, double correlation, const char *header)
{
	char line[512];
	MtlError e = {0};
	CU_ASSERT_EQUAL_FATAL(mtl_gen(&mtl_sys, kind, rows, seed, correlation, path, &e), MTL_OK);
	FILE *f = fopen(path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	if (header) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(fgets(line, sizeof line, f));
		CU_ASSERT_STRING_EQUAL(line, header);
	}
	return f;
}

static void funnel(void)
{
	enum { ROWS = 100000 };
	for (uint64_t seed = 1; seed <= 2; seed++) {
		FILE *f = generate("funnel", ROWS, seed, NAN,
				   "user_id,gender,age,item_id,category,tags,price,clk,pay,true_click,true_"
				   "buy_given_click\n");
		char line[512];
		double n = 0, clk = 0, pay = 0, click = 0, buy = 0, buy_clicked = 0, priced = 0;
		while (fgets(line, sizeof line, f)) {
			double c = cell(line, 7), p = cell(line, 8);
			if (p > c) CU_FAIL("a purchase without a click");
			n++;
			clk += c;
			pay += p;
			click += cell(line, 9);
			buy += cell(line, 10);
			buy_clicked += c * cell(line, 10);
			priced += strstr(line, ",,") == NULL;
		}
		fclose(f);
		CU_ASSERT_EQUAL(n, ROWS);
		/* Deviations at these counts: .0011 for clicks, .003 for purchases per click; 4 of them. */
		CU_ASSERT_DOUBLE_EQUAL(clk / n, 0.15, 0.006);
		CU_ASSERT_DOUBLE_EQUAL(clk / n, click / n, 0.0045);
		CU_ASSERT_DOUBLE_EQUAL(pay / clk, 0.15, 0.013);
		CU_ASSERT_DOUBLE_EQUAL(pay / clk, buy_clicked / clk, 0.012);
		CU_ASSERT(buy_clicked / clk > 1.2 * buy / n);	 /* the selection */
		CU_ASSERT(priced / n > 0.6 && priced / n < 0.9); /* ",,": no price or no tag */
	}
	/* Without correlation there is no selection. */
	FILE *f = generate("funnel", ROWS, 1, 0, NULL);
	char line[512];
	double n = 0, clk = 0, buy = 0, buy_clicked = 0;
	for (fgets(line, sizeof line, f); fgets(line, sizeof line, f); n++) {
		clk += cell(line, 7);
		buy += cell(line, 10);
		buy_clicked += cell(line, 7) * cell(line, 10);
	}
	fclose(f);
	CU_ASSERT_DOUBLE_EQUAL(buy_clicked / clk / (buy / n), 1, 0.12);
}

static void cart_and_wish(void)
{
	FILE *f = generate("esm2", 200000, 5, NAN,
			   "user_id,gender,age,item_id,category,tags,price,clk,cart,wish,pay,true_click,true_"
			   "act_given_click,"
			   "true_buy_given_act,true_buy_given_oact\n");
	char line[512];
	double n = 0, clk = 0, act = 0, cart = 0, wish = 0, buy_act = 0, buy_other = 0, truth = 0, pay = 0;
	while (fgets(line, sizeof line, f)) {
		double c = cell(line, 7), a = fmax(cell(line, 8), cell(line, 9)), p = cell(line, 10);
		double y1 = cell(line, 11), y2 = cell(line, 12), y3 = cell(line, 13), y4 = cell(line, 14);
		if (a > c || p > c) CU_FAIL("a child without its parent");
		n++;
		clk += c;
		act += a;
		cart += cell(line, 8);
		wish += cell(line, 9);
		buy_act += p * a;
		buy_other += p * (1 - a);
		pay += p;
		truth += y1 * (y2 * y3 + (1 - y2) * y4);
	}
	fclose(f);
	CU_ASSERT_DOUBLE_EQUAL(clk / n, 0.15, 0.006);
	CU_ASSERT_DOUBLE_EQUAL(act / clk, 0.25, 0.015);
	CU_ASSERT_DOUBLE_EQUAL(cart / act, 0.75, 0.02);
	CU_ASSERT_DOUBLE_EQUAL(wish / act, 0.40, 0.025);
	CU_ASSERT_DOUBLE_EQUAL(buy_act / act, 0.30, 0.03);
	CU_ASSERT_DOUBLE_EQUAL(buy_other / (clk - act), 0.05, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(pay / n, truth / n, 0.0012);
}

/* The file says what the pair says: y is the function of the printed x. */
static void pairs_in_a_file(void)
{
	FILE *f = generate("mmoe", 50, 9, 0.5, NULL);
	char line[4096];
	MtlPair p;
	double x[MTL_PAIR_INPUTS], y[2];
	mtl_pair_init(&p, 9, 0.5, 4);
	int rows = 0;
	for (fgets(line, sizeof line, f); fgets(line, sizeof line, f); rows++) {
		mtl_pair_row(&p, x, y);
		CU_ASSERT_EQUAL(cell(line, 0), x[0]);
		CU_ASSERT_EQUAL(cell(line, 99), x[99]);
		CU_ASSERT_DOUBLE_EQUAL(cell(line, 100), y[0], 1e-5 * (1 + fabs(y[0])));
		CU_ASSERT_EQUAL(cell(line, 103), y[1] > 0);
	}
	fclose(f);
	CU_ASSERT_EQUAL(rows, 50);
}

static void same_seed_same_bytes(void)
{
	char *text[3];
	for (int i = 0; i < 3; i++) {
		FILE *f = generate("funnel", 1000, i == 2 ? 2 : 1, NAN, NULL);
		text[i] = calloc(1, 1 << 17);
		CU_ASSERT(fread(text[i], 1, (1 << 17) - 1, f) > 10000);
		fclose(f);
	}
	CU_ASSERT_STRING_EQUAL(text[0], text[1]);
	CU_ASSERT_STRING_NOT_EQUAL(text[0], text[2]);
	for (int i = 0; i < 3; i++) free(text[i]);
}

static void refusals(void)
{
	MtlError e = {0};
	CU_ASSERT_EQUAL(mtl_gen(&mtl_sys, "funel", 10, 1, 0, path, &e), MTL_USAGE);
	e.status = MTL_OK;
	CU_ASSERT_EQUAL(mtl_gen(&mtl_sys, "mmoe", 10, 1, 1.5, path, &e), MTL_USAGE);
	e.status = MTL_OK;
	CU_ASSERT_EQUAL(mtl_gen(&mtl_sys, "mmoe", -1, 1, 0, path, &e), MTL_USAGE);
	e.status = MTL_OK;
	CU_ASSERT_EQUAL(mtl_gen(&mtl_sys, "mmoe", 1, 1, 0, "/nowhere/log.csv", &e), MTL_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "/nowhere/log.csv: error[F0104]: cannot open for writing"));
}

/* A full disk or no memory: an error, and neither a part of the new log nor the loss of the old one. */
static void the_old_file_stays(void)
{
	MtlError e = {0};
	unlink(path);
	CU_ASSERT_EQUAL(mtl_gen(&mtl_sys, "funnel", 3, 1, 0, path, &e), MTL_OK);
	char before[4096] = "", after[4096], partial[128];
	FILE *f = fopen(path, "rb");
	CU_ASSERT(fread(before, 1, sizeof before, f) > 100);
	fclose(f);
	snprintf(partial, sizeof partial, "%s.partial", path);
	for (int what = 0; what < 5; what++) {
		for (long at = 1; at <= 3; at++) {
			MtlFaults faults;
			mtl_faults_init(&faults);
			long *const fail[] = {&faults.fail_alloc, &faults.fail_open, &faults.fail_write,
					      &faults.fail_sync, &faults.fail_rename};
			*fail[what] = at;
			memset(&e, 0, sizeof e);
			MtlStatus st = mtl_gen(&faults.sys, "funnel", 20000, 2, 0, path, &e);
			bool once = what == 1 || what >= 3; /* these calls happen once */
			CU_ASSERT_EQUAL(st, once && at > 1 ? MTL_OK : what == 0 ? MTL_LIMIT : MTL_SYSTEM);
			CU_ASSERT_NOT_EQUAL(access(partial, F_OK), 0);
			if (st) {
				f = fopen(path, "rb");
				memset(after, 0, sizeof after);
				CU_ASSERT(fread(after, 1, sizeof after, f) > 100);
				fclose(f);
				CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
			} else {
				CU_ASSERT_EQUAL(mtl_gen(&mtl_sys, "funnel", 3, 1, 0, path, &e), MTL_OK);
			}
		}
	}
}

int main(void)
{
	snprintf(path, sizeof path, "/tmp/mtl_gen_%ld.csv", (long)getpid());
	CU_pSuite s = suite_begin("gen");
	CU_ADD_TEST(s, relatedness);
	CU_ADD_TEST(s, weights_have_the_cosine);
	CU_ADD_TEST(s, funnel);
	CU_ADD_TEST(s, cart_and_wish);
	CU_ADD_TEST(s, pairs_in_a_file);
	CU_ADD_TEST(s, same_seed_same_bytes);
	CU_ADD_TEST(s, refusals);
	CU_ADD_TEST(s, the_old_file_stays);
	int failed = suite_end();
	unlink(path);
	return failed != 0;
}
