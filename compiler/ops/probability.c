/*
 * Probability chains on logits: part D of the modelling reference.
 *
 * A probability is carried as its logit z; p = sigmoid(z).  No clamp, no epsilon, no difference of
 * probabilities: every gradient is a product of terms in [-1, 1] that are computed without cancellation.  No
 * sum has a term that may vanish below 1.2e-38 beside one that does not, unless it does not count there.
 */
#include "ir/onnx.h"
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
			     .onnx = var##_onnx,                                                             \
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

/*
 * u = -a, v = -b, s = u + v, scaled by their maximum M: z = -(M + log((eu + ev) + es)).  Symmetric in a and
 * b, so that AND(a, b) and AND(b, a) have the same bits.
 */
EACH(logit_and_each)
{
	(void)attr;
	int u = neg(e, x[0]), v = neg(e, x[1]);
	int s = e_keep_as(e, e_add(e, e_x(e, u), e_x(e, v)));
	int m = e_keep_as(e, e_max(e, e_max(e, e_x(e, u), e_x(e, v)), e_x(e, s)));
	int eu = fn(e, "exp", e_sub(e, e_x(e, u), e_x(e, m))),
	    ev = fn(e, "exp", e_sub(e, e_x(e, v), e_x(e, m))),
	    es = fn(e, "exp", e_sub(e, e_x(e, s), e_x(e, m)));
	int sum = e_add(e, e_add(e, e_x(e, eu), e_x(e, ev)), e_x(e, es));
	return e_neg(e, e_add(e, e_x(e, m), e_fn(e, "log", sum)));
}

/* dz/da = (1 - sigmoid(a)) / (1 - p) = (eu + es) / t = sigmoid(softplus(b) - a): one term, which cannot lose
 * another that is too small for a float. */
EACH(logit_and_da_each)
{
	(void)attr;
	return e_fn(e, "sigmoid", e_sub(e, e_fn(e, "softplus", e_x(e, x[1])), e_x(e, x[0])));
}

GRAD(logit_and_grad)
{
	din[0] = TO(0, graph_2(g, OP_MUL, d, graph_2(g, OP_LAND_DA, IN(0), IN(1))));
	din[1] = TO(1, graph_2(g, OP_MUL, d, graph_2(g, OP_LAND_DA, IN(1), IN(0))));
}
ONNX(logit_and, "u = Neg(a); v = Neg(b); s = Add(u, v); m = Max(Max(u, v), s);"
		"Neg(Add(m, Log(Add(Add(Exp(Sub(u, m)), Exp(Sub(v, m))), Exp(Sub(s, m))))))")
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

static int mix_logit(Each *e, const MixTerms *t)
{
	int n = e_keep_as(e, lae(e, t->n1, t->n2));
	return e_sub(e, e_x(e, n), lae(e, t->d1, t->d2));
}

EACH(logit_mix_each)
{
	(void)attr;
	MixTerms t = mix_terms(e, x);
	return mix_logit(e, &t);
}

/* The share of the first term, e^a / (e^a + e^b), without a subtraction of shares. */
static int share(Each *e, int a, int b) { return fn(e, "sigmoid", e_sub(e, e_x(e, a), e_x(e, b))); }

/*
 * dz/dp = rN sigmoid(-p) + rD sigmoid(p), with rN = w p / m and rD = w (1 - p) / (1 - m) the branch's shares
 * of m and 1 - m.  Both terms are the whole but for a factor: rN sigmoid(-p) / (1 - m) = rD sigmoid(p) / m.
 * So that nothing is lost where one term is too small for a float, it is the first with 1 / (1 - m) = 1 + e^z
 * for z <= 0, else the second with 1 / m = 1 + e^-z.  `leaf` is p or q as given: the first branch of the
 * terms if p as they stand, if q when they are swapped.
 */
static int mix_leaf(Each *e, const MixTerms *t, int leaf, int when_swapped)
{
	int z = e_keep_as(e, mix_logit(e, t));
	int up = e_keep_as(e, e_sub(e, e_x(e, t->n1), e_x(e, t->n2)));
	int down = e_keep_as(e, e_sub(e, e_x(e, t->d1), e_x(e, t->d2)));
	int branch = e_keep_as(e, e_lt(e, e_k(e, 0), e_x(e, z), e_x(e, down), e_x(e, up)));
	int other = neg(e, branch), minus = neg(e, leaf);
	int own = when_swapped ? e_lt(e, e_k(e, 0), e_x(e, t->flip), e_x(e, branch), e_x(e, other))
			       : e_lt(e, e_k(e, 0), e_x(e, t->flip), e_x(e, other), e_x(e, branch));
	int r = fn(e, "sigmoid", own);
	int side = fn(e, "sigmoid", e_lt(e, e_k(e, 0), e_x(e, z), e_x(e, leaf), e_x(e, minus)));
	int whole = e_add(e, e_k(e, 1), e_fn(e, "exp", e_neg(e, e_abs(e, e_x(e, z)))));
	return e_mul(e, e_mul(e, e_x(e, r), whole), e_x(e, side));
}

EACH(logit_mix_dp_each)
{
	(void)attr;
	MixTerms t = mix_terms(e, x);
	return mix_leaf(e, &t, x[1], 0);
}

EACH(logit_mix_dq_each)
{
	(void)attr;
	MixTerms t = mix_terms(e, x);
	return mix_leaf(e, &t, x[2], 1);
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
#define ONNX_LS(x)     "Sub(Min(" x ", 0), Log(Add(1, Exp(Neg(Abs(" x "))))))"
#define ONNX_LAE(x, y) "Add(Max(" x ", " y "), Log(Add(1, Exp(Neg(Abs(Sub(" x ", " y ")))))))"
ONNX(logit_mix, "w = Neg(Abs(a)); p = Where(Less(0, a), c, b); q = Where(Less(0, a), b, c); r = Neg(p); s = Neg(q);"
		"n1 = Add(w, " ONNX_LS("p") "); n2 = " ONNX_LS("q") ";"
		"d1 = Add(w, " ONNX_LS("r") "); d2 = " ONNX_LS("s") ";"
		"Sub(" ONNX_LAE("n1", "n2") ", " ONNX_LAE("d1", "d2") ")")
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
#define ONNX_SOFTPLUS(x) "Add(Relu(" x "), Log(Add(1, Exp(Neg(Abs(" x "))))))"
ONNX(bce, "u = Neg(a); Add(Mul(Sub(1, b), " ONNX_SOFTPLUS("a") "), Mul(b, " ONNX_SOFTPLUS("u") "))")
ROW(bce, "bce", 2, "Binary cross-entropy of a logit against a label, which may be soft.",
    "(1 - y) softplus(z) + y softplus(-z)", "bce([0, 2], [1, 0]) == [0.6931471806, 2.126928011]");
STEP(bce_dz, "bce_dz", 2, "The derivative of bce in the logit.", "(1 - y) sigmoid(z) - y sigmoid(-z)",
     "bce_dz([0, 2], [1, 0]) == [-0.5, 0.880797078]");

/*
 * With ep = e^-|zp|, eq = e^-|zq|, gap = |zp - zq| and m the smaller of |zp| and |zq|, or 0 where their signs
 * differ:
 *
 *   |p - q| = e^-m (1 - e^-gap) / ((1 + ep) (1 + eq)),  p (1 - p) = e^-m e^(m - |zp|) / (1 + ep)^2
 *
 * e^-m is multiplied in last, as the square of e^(-m/2): the gap may make a number again of what alone is too
 * small for a float.
 */
typedef struct {
	int gap, half, m;
	int up, uq; /* 1 + ep, 1 + eq */
	int rise;   /* 1 - e^-gap */
} Divergence;

static int above_one(Each *e, int z)
{
	return e_keep_as(e, e_add(e, e_k(e, 1), e_fn(e, "exp", e_neg(e, e_abs(e, e_x(e, z))))));
}

static Divergence divergence(Each *e, int zp, int zq)
{
	Divergence d;
	d.gap = e_keep_as(e, e_abs(e, e_sub(e, e_x(e, zp), e_x(e, zq))));
	int lo = e_keep_as(e, e_min(e, e_x(e, zp), e_x(e, zq)));
	int below = e_neg(e, e_max(e, e_x(e, zp), e_x(e, zq)));
	d.m = e_keep_as(e, e_max(e, e_max(e, below, e_x(e, lo)), e_k(e, 0)));
	d.half = fn(e, "exp", e_mul(e, e_k(e, -0.5), e_x(e, d.m)));
	d.up = above_one(e, zp);
	d.uq = above_one(e, zq);
	d.rise = e_keep_as(e, e_neg(e, e_fn(e, "expm1", e_neg(e, e_x(e, d.gap)))));
	return d;
}

/* x e^-m */
static int scaled(Each *e, const Divergence *d, int x)
{
	return e_mul(e, e_mul(e, x, e_x(e, d->half)), e_x(e, d->half));
}

static int rise(Each *e, const Divergence *d)
{
	return e_div(e, e_x(e, d->rise), e_mul(e, e_x(e, d->up), e_x(e, d->uq)));
}

EACH(symkl_each)
{
	(void)attr;
	Divergence d = divergence(e, x[0], x[1]);
	return scaled(e, &d, e_mul(e, e_x(e, d.gap), rise(e, &d)));
}

/* p(1-p)(zp - zq) + (p - q): both terms have the sign of zp - zq. */
EACH(symkl_dp_each)
{
	(void)attr;
	Divergence d = divergence(e, x[0], x[1]);
	int over = e_fn(e, "exp", e_sub(e, e_x(e, d.m), e_abs(e, e_x(e, x[0]))));
	int p = e_div(e, e_mul(e, e_x(e, d.gap), over), e_mul(e, e_x(e, d.up), e_x(e, d.up)));
	int size = e_keep_as(e, scaled(e, &d, e_add(e, p, rise(e, &d))));
	return e_lt(e, e_x(e, x[0]), e_x(e, x[1]), e_neg(e, e_x(e, size)), e_x(e, size));
}

GRAD(symkl_grad)
{
	din[0] = TO(0, graph_2(g, OP_MUL, d, graph_2(g, OP_SYMKL_DP, IN(0), IN(1))));
	din[1] = TO(1, graph_2(g, OP_MUL, d, graph_2(g, OP_SYMKL_DP, IN(1), IN(0))));
}
ONNX(symkl, "Mul(Sub(Sigmoid(a), Sigmoid(b)), Sub(a, b))")
ROW(symkl, "symkl", 2,
    "Symmetric Kullback-Leibler divergence of two Bernoulli distributions given by their logits.",
    "(p - q)(zp - zq)", "symkl([0, -5], [1, -4]) == [0.231058579, 0.011293359]");
STEP(symkl_dp, "symkl_dp", 2, "The derivative of symkl in its first operand.", "p(1 - p)(zp - zq) + (p - q)",
     "symkl_dp([0, -5], [1, -4]) == [-0.4810585786, -0.01794141571]");
