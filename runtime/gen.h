/*
 * Synthetic logs whose truth is known: `mtlc data gen`.
 */
#ifndef MTL_GEN_H
#define MTL_GEN_H
#include "status.h"
#include "sys.h"
#include <stdint.h>

/*
 * Writes `rows` rows as CSV to path, atomically; "-" is stdout, where a closed pipe ends the log quietly. The
 * same arguments give the same bytes.  correlation in [-1, 1]; NaN: the kind's own.
 *
 * funnel: user_id,gender,age,item_id,category,tags,price,clk,pay,true_click,true_buy_given_click
 *     2000 users and 1000 items of skewed popularity with attributes of their own.  The logit of a
 * probability is an intercept plus one effect of the user, of the item, and of each attribute: gender, age
 * group (below 18, 25, 35, 50, above), category, mean of the tags, log1p of the price or its absence.  So a
 * tower over embedded ids can learn it.  Click and conversion effects have the given correlation (0.9), which
 * is the selection: those who click buy more than the rest would.  Intercepts are set so that clicks are 15 %
 * of impressions and purchases 15 % of clicks. esm2: the same with columns clk,cart,wish,pay and the truths
 * true_click, true_act_given_click, true_buy_given_act, true_buy_given_oact; act = cart | wish, 25 % of
 * clicks; 30 % of them buy, 5 % of the other clicks. mmoe: x0 .. x99,y1,y2,b1,b2: two regressions with
 * controlled relatedness.  x ~ N(0, I), to 4 decimals; w1 = u1, w2 = p u1 + sqrt(1 - p^2) u2 with u1, u2
 * orthonormal, so p (0.5) is their cosine; y_k = w_k x + sum over i = 1 .. 4 of sin(i w_k x + (i - 1) / 2) +
 * e_k, e_k ~ N(0, 0.01);  b_k = y_k > 0.
 */
MtlStatus mtl_gen(const MtlSys *sys, const char *kind, int64_t rows, uint64_t seed, double correlation,
		  const char *path, MtlError *e);

/* The pair of regressions itself, for whoever wants rows without a file. */
enum { MTL_PAIR_INPUTS = 100 };
typedef struct {
	int waves; /* terms of the sum */
	double w[2][MTL_PAIR_INPUTS];
	uint64_t random;
} MtlPair;
void mtl_pair_init(MtlPair *p, uint64_t seed, double correlation, int waves);
void mtl_pair_row(MtlPair *p, double *x, double *y);
#endif
