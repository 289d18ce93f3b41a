/*
 * Tasks that teach the same parameters, brought together step by step.
 *
 * L_k is the mean of task k's loss times the author's weight w_k; g_k its gradient of everything that several
 * tasks teach: dense parameters, and of tables the rows that the batch touches, each row's occurrences added
 * up first (all other rows have none).  Two kinds of methods:
 *
 * A factor f_k for the whole loss, parameters of its own included:
 *
 *   uncertainty  f = exp(-s), of mse and huber exp(-s) / 2; s from 0, by Adam for f L + s / 2 with the rate
 *                of the dense parameters
 *   dwa          f = n softmax(r / T), r_k = L_k(epoch - 1) / L_k(epoch - 2); 1 in the first two epochs
 *   gradnorm     f from 1; with G_k = |f_k g_k|, G their mean, r_k = (L_k / L_k(0)) / their mean:
 *                f_k *= exp(-rate sign(G_k - G r_k^alpha) G_k / G), then all times n / sum f.  L_k(0) is
 *                the loss of the first batch with a row; the exponent is the gradient of
 *                |G_k - G r_k^alpha| for log f_k, over G.
 *
 * One gradient from several, with shares a_k by surgery.h; a task's own parameters keep its own gradient:
 *
 *   pcgrad, mgda, pareto, cagrad, nash
 *
 * A task without a row in the batch takes no part in that step.  What a method remembers is part of a run's
 * state.
 */
#ifndef MTL_BALANCE_H
#define MTL_BALANCE_H
#include "model.h"
#include "pool.h"
#include "real.h"

enum {
	MTL_TASKS = 63,			    /* at most */
	MTL_REMEMBERED = 4 * MTL_TASKS + 1, /* numbers at most */
};

/* Gradients of n tasks, in one of the two layouts they come in. */
typedef struct {
	const mtl_real *dense[MTL_TASKS]; /* of each task; parameter p lies at its block, or at its offset */
	bool packed;			  /* at its block */
	const mtl_real *rows[MTL_TASKS];  /* with which MtlTouched.src counts from the first */
} MtlTaskGradients;

typedef struct {
	const MtlModel *m;
	const MtlSys *sys;
	int n;
	double remembered[MTL_REMEMBERED]; /* by method: balance.c */
	int n_remembered;
	double factor[MTL_TASKS]; /* f of the running step, or of the next once it was balanced */
	double used[MTL_TASKS];	  /* f of the last step */
	double share[MTL_TASKS];  /* a of the last step */
	double mean[MTL_TASKS];	  /* sum of f a over the steps of the epoch in which a task had a row, */
	int64_t steps[MTL_TASKS]; /* and their number */
	double *gram;		  /* [n, n] of the last step, 0 for who took no part */
	double *part;		  /* [parts][n, n] partial sums */
	double *sum;		  /* [threads][n, widest table] a row's sums */
	int64_t *piece;		  /* [n_piece][3] shared parameter, lo, hi within it */
	int n_piece, widest;
} MtlBalance;

struct MtlStep;
struct MtlTouched;

MtlStatus mtl_balance_init(MtlBalance *b, const MtlSys *sys, const MtlModel *m, int threads, MtlError *e);
void mtl_balance_free(MtlBalance *b);
/* What was remembered was put there: the factors follow from it. */
void mtl_balance_resume(MtlBalance *b);
/* The products of gradients of all shared parameters and touched rows, into gram; every sum in double, in an
 * order that depends on sizes alone. */
void mtl_balance_products(MtlBalance *b, MtlThreads *pool, const MtlTaskGradients *g,
			  const struct MtlTouched *touched);
/* The task's gradients, brought together with shares a, to where the update looks for them. */
void mtl_balance_join(struct MtlStep *s, const double *a);
/* After the gradients of a batch: remembers, and brings them together.  MTL_NUMBERS for a loss the method has
 * no use for. */
MtlStatus mtl_balance_step(struct MtlStep *s, const struct MtlTouched *touched, MtlError *e);
/* An epoch is over. */
void mtl_balance_epoch(MtlBalance *b);
const char *mtl_balance_name(MtlBalanceKind k);
#endif
