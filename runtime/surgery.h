/*
 * Several gradients made one: small dense problems in what the gradients have to do with each other.
 *
 * All a method needs to know of gradients g_1 .. g_n is the n x n matrix G of their products, and all it
 * gives is a number for each: the one gradient is sum_k a_k g_k.  In double, in an order that depends on n
 * alone.
 *
 *   pcgrad    each g_i in turn, and in a random order (seed, step) the others: while g_i . g_j < 0,
 *             g_i -= (g_i . g_j / |g_j|^2) g_j with g_j as it was; then all are added up
 *   min_norm  a = w, the w >= least with sum 1 for which |sum w_k g_k| is least.  With least 0: MGDA,
 *             for which d = sum w_k g_k has d . g_k >= |d|^2; with least c: PE-LTR's Pareto point
 *   cagrad    a = 1 / n + (sqrt(p) / |g_w|) w, p = c^2 |g_0|^2, g_0 the mean, g_w = sum w_k g_k for the
 *             w >= 0 with sum 1 for which g_w . g_0 + sqrt(p) |g_w| is least
 *   nash      the direction of the a > 0 with (G a)_k = 1 / a_k: every task gains g_k . d, and no other
 * direction of that length has a larger product of gains.  The bargain itself has |d|^2 = n whatever the
 *             gradients; here sum a = n, so that d shrinks with them.  A gradient of 0 has no part in it: 1
 */
#ifndef MTL_SURGERY_H
#define MTL_SURGERY_H
#include <stdint.h>

/* work: n numbers, as scratch; least: n numbers or NULL for 0, with a sum below 1. */
void mtl_pcgrad(int n, const double *G, uint64_t seed, uint64_t step, double *a, double *work);
void mtl_min_norm(int n, const double *G, const double *least, double *w, double *work);
void mtl_cagrad(int n, const double *G, double c, double *a, double *work);
void mtl_nash(int n, const double *G, double *a, double *work);
#endif
