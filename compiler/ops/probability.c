/*
 * Probability chains on logits: part D of the modelling reference.
 *
 * A probability is carried as its logit z; p = sigmoid(z).  No clamp, no epsilon, no difference of
 * probabilities: every gradient is a product of terms in [-1, 1] that are computed without cancellation.
 */
#include "ops/family.h"

#define EACH(name) static int name(Each *e, const Attr *attr, const int *x)
#define GRAD(name) static void name(Graph *g, NodeId id, NodeId d, NodeId *din)
#define IN(i)	   (g->node.at[id].in[i])
#define TO(i, x)   graph_reduce_to(g, (x), g->node.at[IN(i)].shape)
#define ROW(var, w, n, text, f, ex)                                                                          \
	const Op op_##var = {.word = w,                                                                      \
			     .n_in = n,                                                                      \
			     .group = GROUP_BINARY,                                                          \
			     .doc = text,                                                                    \
			     .formula = f,                                                                   \
			     .example = ex,                                                                  \
			     .shape = shape_broadcast,                                                       \
			     .grad = var##_grad,                                                             \
			     .each = var##_each,                                                             \
			     .scratch = true,                                                                \
			     .lo = -3,                                                                       \
			     .hi = 3}
#define STEP(var, w, n, text, f, ex)                                                                         \
	const Op op_##var = {.word = w,                                                                      \
			     .n_in = n,                                                                      \
			     .group = GROUP_BINARY,                                                          \
			     .doc = text,                                                                    \
			     .formula = f,                                                                   \
			     .example = ex,                                                                  \
			     .shape = shape_broadcast,                                                       \
			     .each = var##_each,                                                             \
			     .scratch = true,                                                                \
			     .lo = -3,                                                                       \
			     .hi = 3}

static int fn(Each *e, const char *name, int expr) { return e_keep_as(e, e_fn(e, name, expr)); }
static int neg(Each *e, int reg) { return e_keep_as(e, e_neg(e, e_x(e, reg))); }

/* ---- AND: z = -log(e^-a + e^-b + e^-(a+b)), all terms positive ---- */

/* u = -a, v = -b, s = u + v scaled by their maximum: eu, ev, es and M. */
typedef struct {
	int eu, ev, es, m;
} AndTerms;

static AndTerms and_terms(Each *e, const int *x)
{
	AndTerms t;
	int u = neg(e, x[0]), v = neg(e, x[1]);
	int s = e_keep_as(e, e_add(e, e_x(e, u), e_x(e, v)));
	t.m = e_keep_as(e, e_max(e, e_max(e, e_x(e, u), e_x(e, v)), e_x(e, s)));
	t.eu = fn(e, "exp", e_sub(e, e_x(e, u), e_x(e, t.m)));
	t.ev = fn(e, "exp", e_sub(e, e_x(e, v), e_x(e, t.m)));
	t.es = fn(e, "exp", e_sub(e, e_x(e, s), e_x(e, t.m)));
	return t;
}

/* (eu + ev) + es: symmetric in a and b, so that AND(a, b) and AND(b, a) have the same bits. */
static int and_sum(Each *e, const AndTerms *t)
{
	return e_add(e, e_add(e, e_x(e, t->eu), e_x(e, t->ev)), e_x(e, t->es));
}

EACH(logit_and_each)
{
	(void)attr;
	AndTerms t = and_terms(e, x);
	return e_neg(e, e_add(e, e_x(e, t.m), e_fn(e, "log", and_sum(e, &t))));
}

/* dz/da = (eu + es) / t = (1 - sigmoid(a)) / (1 - p) */
EACH(logit_and_da_each)
{
	(void)attr;
	AndTerms t = and_terms(e, x);
	return e_div(e, e_add(e, e_x(e, t.eu), e_x(e, t.es)), and_sum(e, &t));
}

GRAD(logit_and_grad)
{
	din[0] = TO(0, graph_2(g, OP_MUL, d, graph_2(g, OP_LAND_DA, IN(0), IN(1))));
	din[1] = TO(1, graph_2(g, OP_MUL, d, graph_2(g, OP_LAND_DA, IN(1), IN(0))));
}
ROW(logit_and, "logit_and", 2, "The logit of the product of two probabilities given by their logits.",
    "z = -log(e^-a + e^-b + e^-(a+b))",
    "logit_and([0, -2, -20], [0, 1, 20]) == [-1.098612289, -2.349012217, -20]");
STEP(logit_and_da, "logit_and_da", 2, "The derivative of logit_and in its first operand.",
     "(1 - sigmoid(a)) / (1 - p)", "logit_and_da([0, -2], [0, 1]) == [0.6666666667, 0.964880973]");

/* ---- MIX: m = w p + (1 - w) q, all as logits ---- */

/* After the swap that makes w <= 0: numerator and denominator of the odds, each a log-add-exp of two terms.
 */
typedef struct {
	int flip; /* w itself: > 0 where p and q were swapped */
	int w, p, q;
	int n1, n2, d1, d2; /* log terms: w + ls(p), ls(q); w + ls(-p), ls(-q) */
} MixTerms;

static MixTerms mix_terms(Each *e, const int *x)
{
	MixTerms t;
	t.flip = x[0];
	t.w = e_keep_as(e, e_neg(e, e_abs(e, e_x(e, x[0]))));
	t.p = e_keep_as(e, e_lt(e, e_k(e, 0), e_x(e, x[0]), e_x(e, x[2]), e_x(e, x[1])));
	t.q = e_keep_as(e, e_lt(e, e_k(e, 0), e_x(e, x[0]), e_x(e, x[1]), e_x(e, x[2])));
	t.n1 = e_keep_as(e, e_add(e, e_x(e, t.w), e_fn(e, "logsigmoid", e_x(e, t.p))));
	t.n2 = fn(e, "logsigmoid", e_x(e, t.q));
	t.d1 = e_keep_as(e, e_add(e, e_x(e, t.w), e_fn(e, "logsigmoid", e_neg(e, e_x(e, t.p)))));
	t.d2 = fn(e, "logsigmoid", e_neg(e, e_x(e, t.q)));
	return t;
}

/* log(e^a + e^b) of finite a, b */
static int lae(Each *e, int a, int b)
{
	int gap = e_keep_as(e, e_abs(e, e_sub(e, e_x(e, a), e_x(e, b))));
	int tail = e_fn(e, "log1p", e_fn(e, "exp", e_neg(e, e_x(e, gap))));
	return e_add(e, e_max(e, e_x(e, a), e_x(e, b)), tail);
}

EACH(logit_mix_each)
{
	(void)attr;
	MixTerms t = mix_terms(e, x);
	int n = e_keep_as(e, lae(e, t.n1, t.n2));
	return e_sub(e, e_x(e, n), lae(e, t.d1, t.d2));
}

/* The share of the first term, e^a / (e^a + e^b), without a subtraction of shares. */
static int share(Each *e, int a, int b) { return fn(e, "sigmoid", e_sub(e, e_x(e, a), e_x(e, b))); }

/* Derivatives in p and q after the swap: rN sigmoid(-p) + rD sigmoid(p); sN sigmoid(-q) + sD sigmoid(q). */
static int mix_dp(Each *e, const MixTerms *t)
{
	int rn = share(e, t->n1, t->n2), rd = share(e, t->d1, t->d2);
	int up = e_mul(e, e_x(e, rn), e_fn(e, "sigmoid", e_neg(e, e_x(e, t->p))));
	return e_keep_as(e, e_add(e, up, e_mul(e, e_x(e, rd), e_fn(e, "sigmoid", e_x(e, t->p)))));
}

static int mix_dq(Each *e, const MixTerms *t)
{
	int sn = share(e, t->n2, t->n1), sd = share(e, t->d2, t->d1);
	int up = e_mul(e, e_x(e, sn), e_fn(e, "sigmoid", e_neg(e, e_x(e, t->q))));
	return e_keep_as(e, e_add(e, up, e_mul(e, e_x(e, sd), e_fn(e, "sigmoid", e_x(e, t->q)))));
}

EACH(logit_mix_dp_each)
{
	(void)attr;
	MixTerms t = mix_terms(e, x);
	int dp = mix_dp(e, &t), dq = mix_dq(e, &t);
	return e_lt(e, e_k(e, 0), e_x(e, t.flip), e_x(e, dq), e_x(e, dp));
}

EACH(logit_mix_dq_each)
{
	(void)attr;
	MixTerms t = mix_terms(e, x);
	int dp = mix_dp(e, &t), dq = mix_dq(e, &t);
	return e_lt(e, e_k(e, 0), e_x(e, t.flip), e_x(e, dp), e_x(e, dq));
}

/* rN - rD:  p >= q: -rN sD expm1(-(p-q));  else  rD sN expm1(p-q).  Negated where swapped. */
EACH(logit_mix_dw_each)
{
	(void)attr;
	MixTerms t = mix_terms(e, x);
	int rn = share(e, t.n1, t.n2), rd = share(e, t.d1, t.d2), sn = share(e, t.n2, t.n1),
	    sd = share(e, t.d2, t.d1);
	int gap = e_keep_as(e, e_sub(e, e_x(e, t.p), e_x(e, t.q)));
	int em = fn(e, "expm1", e_neg(e, e_abs(e, e_x(e, gap))));
	int up = e_keep_as(e, e_neg(e, e_mul(e, e_mul(e, e_x(e, rn), e_x(e, sd)), e_x(e, em))));
	int down = e_keep_as(e, e_mul(e, e_mul(e, e_x(e, rd), e_x(e, sn)), e_x(e, em)));
	int dw = e_keep_as(e, e_lt(e, e_x(e, gap), e_k(e, 0), e_x(e, down), e_x(e, up)));
	return e_lt(e, e_k(e, 0), e_x(e, t.flip), e_neg(e, e_x(e, dw)), e_x(e, dw));
}

GRAD(logit_mix_grad)
{
	din[0] = TO(0, graph_2(g, OP_MUL, d, graph_3(g, OP_LMIX_DW, IN(0), IN(1), IN(2))));
	din[1] = TO(1, graph_2(g, OP_MUL, d, graph_3(g, OP_LMIX_DP, IN(0), IN(1), IN(2))));
	din[2] = TO(2, graph_2(g, OP_MUL, d, graph_3(g, OP_LMIX_DQ, IN(0), IN(1), IN(2))));
}
ROW(logit_mix, "logit_mix", 3, "The logit of w p + (1 - w) q, all given by their logits.",
    "z = logit(w p + (1 - w) q)", "logit_mix([0, 1], [0, 2], [0, -1]) == [0, 0.9259049372]");
STEP(logit_mix_dp, "logit_mix_dp", 3, "The derivative of logit_mix in p.", "rN sigmoid(-p) + rD sigmoid(p)",
     "logit_mix_dp([0, 1], [0, 2], [0, -1]) == [0.5, 0.3776666719]");
STEP(logit_mix_dq, "logit_mix_dq", 3, "The derivative of logit_mix in q.", "sN sigmoid(-q) + sD sigmoid(q)",
     "logit_mix_dq([0, 1], [0, 2], [0, -1]) == [0.5, 0.2601724377]");
STEP(logit_mix_dw, "logit_mix_dw", 3, "The derivative of logit_mix in w.", "rN - rD",
     "logit_mix_dw([0, 1], [0, 2], [0, -1]) == [0, 0.5919057648]");

/* ---- losses ---- */

/* (1 - y) softplus(z) + y softplus(-z): no cancellation for y = 0 and 1, right for soft labels. */
EACH(bce_each)
{
	(void)attr;
	int up = e_mul(e, e_sub(e, e_k(e, 1), e_x(e, x[1])), e_fn(e, "softplus", e_x(e, x[0])));
	return e_add(e, up, e_mul(e, e_x(e, x[1]), e_fn(e, "softplus", e_neg(e, e_x(e, x[0])))));
}

EACH(bce_dz_each)
{
	(void)attr;
	int up = e_mul(e, e_sub(e, e_k(e, 1), e_x(e, x[1])), e_fn(e, "sigmoid", e_x(e, x[0])));
	return e_sub(e, up, e_mul(e, e_x(e, x[1]), e_fn(e, "sigmoid", e_neg(e, e_x(e, x[0])))));
}

GRAD(bce_grad)
{
	din[0] = TO(0, graph_2(g, OP_MUL, d, graph_2(g, OP_BCE_DZ, IN(0), IN(1))));
	din[1] = TO(1, graph_1(g, OP_NEG, graph_2(g, OP_MUL, d, IN(0))));
}
ROW(bce, "bce", 2, "Binary cross-entropy of a logit against a label, which may be soft.",
    "(1 - y) softplus(z) + y softplus(-z)", "bce([0, 2], [1, 0]) == [0.6931471806, 2.126928011]");
STEP(bce_dz, "bce_dz", 2, "The derivative of bce in the logit.", "(1 - y) sigmoid(z) - y sigmoid(-z)",
     "bce_dz([0, 2], [1, 0]) == [-0.5, 0.880797078]");

/* |p - q| = sigmoid(hi) sigmoid(-lo) (-expm1(-d)), d = hi - lo */
static int gap_of_p(Each *e, int zp, int zq, int gap)
{
	int hi = e_keep_as(e, e_max(e, e_x(e, zp), e_x(e, zq)));
	int lo = e_keep_as(e, e_min(e, e_x(e, zp), e_x(e, zq)));
	int both = e_mul(e, e_fn(e, "sigmoid", e_x(e, hi)), e_fn(e, "sigmoid", e_neg(e, e_x(e, lo))));
	return e_mul(e, both, e_neg(e, e_fn(e, "expm1", e_neg(e, e_x(e, gap)))));
}

EACH(symkl_each)
{
	(void)attr;
	int gap = e_keep_as(e, e_abs(e, e_sub(e, e_x(e, x[0]), e_x(e, x[1]))));
	return e_mul(e, e_x(e, gap), gap_of_p(e, x[0], x[1], gap));
}

/* p(1-p)(zp - zq) + (p - q): both terms have the sign of zp - zq. */
EACH(symkl_dp_each)
{
	(void)attr;
	int diff = e_keep_as(e, e_sub(e, e_x(e, x[0]), e_x(e, x[1])));
	int gap = e_keep_as(e, e_abs(e, e_x(e, diff)));
	int p = e_mul(e, e_fn(e, "sigmoid", e_x(e, x[0])), e_fn(e, "sigmoid", e_neg(e, e_x(e, x[0]))));
	int size = e_keep_as(e, e_add(e, e_mul(e, p, e_x(e, gap)), gap_of_p(e, x[0], x[1], gap)));
	return e_lt(e, e_x(e, diff), e_k(e, 0), e_neg(e, e_x(e, size)), e_x(e, size));
}

GRAD(symkl_grad)
{
	din[0] = TO(0, graph_2(g, OP_MUL, d, graph_2(g, OP_SYMKL_DP, IN(0), IN(1))));
	din[1] = TO(1, graph_2(g, OP_MUL, d, graph_2(g, OP_SYMKL_DP, IN(1), IN(0))));
}
ROW(symkl, "symkl", 2,
    "Symmetric Kullback-Leibler divergence of two Bernoulli distributions given by their logits.",
    "(p - q)(zp - zq)", "symkl([0, -5], [1, -4]) == [0.231058579, 0.011293359]");
STEP(symkl_dp, "symkl_dp", 2, "The derivative of symkl in its first operand.", "p(1 - p)(zp - zq) + (p - q)",
     "symkl_dp([0, -5], [1, -4]) == [-0.4810585786, -0.01794141571]");
