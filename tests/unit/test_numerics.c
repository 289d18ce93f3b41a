/*
 * Probability chains as they are trained: through the graph, its gradients and the kernels of both backends,
 * against the same quantities in long double, written as sums of products of probabilities without a
 * difference in them.  Those are held to the numbers worked out with 60 digits; test_probability holds single
 * ops to them.
 */
#include "small.h"
#include "suite.h"
#include <float.h>
#include <stdlib.h>
#include <unistd.h>

enum { LEAVES = 4 };
static const double ranges[] = {5, 20, 40, 85, 300};
static Lab lab;

/* ---- what is true ---- */

typedef struct {
	double z, loss, g[LEAVES];
} Answer;
typedef Answer Truth(const double *x, double y);

static long double sg(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }

/* Everything from P and N = 1 - P, and the derivatives of P, each without cancellation. */
static Answer answer(long double P, long double N, double y, int n, const long double *dP)
{
	Answer a = {.z = (double)(logl(P) - logl(N))};
	a.loss = (double)(y > 0 ? log1pl(N / P) : log1pl(P / N));
	for (int i = 0; i < n; i++) a.g[i] = (double)(y > 0 ? -dP[i] / P : dP[i] / N);
	return a;
}

static Answer true_and(const double *x, double y)
{
	long double a = sg(x[0]), b = sg(x[1]), na = sg(-x[0]), nb = sg(-x[1]);
	return answer(a * b, na + a * nb, y, 2, (long double[]){a * na * b, a * b * nb});
}

/* sigmoid(p) - sigmoid(q) */
static long double gap(long double p, long double q) { return -sg(p) * sg(-q) * expm1l(q - p); }

/* a (w p + (1 - w) q) */
static Answer true_esm2(const double *x, double y)
{
	long double a = sg(x[0]), w = sg(x[1]), p = sg(x[2]), q = sg(x[3]);
	long double na = sg(-x[0]), nw = sg(-x[1]), np = sg(-x[2]), nq = sg(-x[3]);
	long double m = w * p + nw * q, n = w * np + nw * nq;
	return answer(
	    a * m, na + a * n, y, 4,
	    (long double[]){a * na * m, a * w * nw * gap(x[2], x[3]), a * w * p * np, a * nw * q * nq});
}

static Answer true_symkl(const double *x, double y)
{
	(void)y;
	long double d = (long double)x[0] - x[1], g = gap(x[0], x[1]);
	return (Answer){
	    .z = 0,
	    .loss = (double)(d * g),
	    .g = {(double)(sg(x[0]) * sg(-x[0]) * d + g), (double)(-sg(x[1]) * sg(-x[1]) * d - g)}};
}

/* ---- models of logits alone ---- */

typedef struct {
	Small *s;
	NodeId x[8], y; /* logits and label, [n] */
	int n;
} Chain;

static NodeId land(Chain *c, NodeId a, NodeId b) { return graph_2(c->s->g, OP_LAND, a, b); }
static NodeId mix(Chain *c, NodeId w, NodeId p, NodeId q) { return graph_3(c->s->g, OP_LMIX, w, p, q); }
static NodeId not(Chain * c, NodeId a) { return graph_1(c->s->g, OP_NEG, a); }

static Chain chain_open(const char *name, int n)
{
	Chain c = {.s = small_new(&lab, name), .n = n};
	for (int i = 0; i < n; i++) c.x[i] = small_lookup(c.s, shape_scalar(true));
	c.y = graph_reshape(c.s->g, small_noise(c.s, 1), shape_scalar(true));
	return c;
}

/* Outputs: the logit, the row's loss. */
static void chain_close(Chain *c, NodeId z, NodeId loss)
{
	if (!loss) loss = graph_2(c->s->g, OP_BCE, z, c->y);
	small_out(c->s, z);
	small_out(c->s, loss);
	small_loss(c->s, loss);
	small_finish(c->s);
}

static Chain and_chain, esm2_chain, symkl_chain, deep_chain, laws;

static void test_build(void)
{
	lab_open(&lab);
	Chain *c = &and_chain;
	*c = chain_open("and", 2);
	chain_close(c, land(c, c->x[0], c->x[1]), 0);

	c = &esm2_chain;
	*c = chain_open("esm2", 4);
	chain_close(c, land(c, c->x[0], mix(c, c->x[1], c->x[2], c->x[3])), 0);

	c = &symkl_chain;
	*c = chain_open("symkl", 2);
	chain_close(c, graph_2(c->s->g, OP_SUB, c->x[0], c->x[0]),
		    graph_2(c->s->g, OP_SYMKL, c->x[0], c->x[1]));

	/* Eight leaves, negations inside, one leaf in two places of which only one can be reached. */
	c = &deep_chain;
	*c = chain_open("deep", 8);
	NodeId or = not(c, land(c, not(c, c->x[4]), not(c, c->x[5])));
	NodeId m = mix(c, c->x[1], land(c, c->x[2], land(c, c->x[3], or)),
		       mix(c, c->x[6], not(c, c->x[7]), c->x[5]));
	chain_close(c, land(c, c->x[0], m), 0);

	c = &laws;
	*c = chain_open("laws", 3);
	NodeId *x = c->x;
	small_out(c->s, land(c, x[0], x[1]));
	small_out(c->s, land(c, x[1], x[0]));
	small_out(c->s, mix(c, x[0], x[1], x[1]));
	small_out(c->s, land(c, land(c, x[0], x[1]), x[2]));
	small_out(c->s, land(c, x[0], land(c, x[1], x[2])));
	small_out(c->s, not(c, not(c, x[0])));
	small_out(c->s, mix(c, x[0], x[1], x[2]));
	small_out(c->s, mix(c, not(c, x[0]), x[2], x[1])); /* the other way round */
	small_finish(c->s);
	CU_ASSERT_FATAL(lab_load(&lab));
}

static void set_leaf(Harness *h, int i, int64_t r, double x)
{
	harness_set(harness_buffer(h, SLOT_TABLE, i), small_at(h, i, r, 0), (float)x);
}

static double leaf(Harness *h, int i, int64_t r)
{
	return harness_buffer(h, SLOT_TABLE, i)->f[small_at(h, i, r, 0)];
}

static void set_label(Harness *h, int64_t r, double y)
{
	Buffer *b = harness_buffer(h, SLOT_NOISE, 0);
	if (b) harness_set(b, r, y);
}

/* Random logits in [-R, R]: equal, opposite, neighbouring, zero and at the ends more often than by chance. */
static void set_logits(const Chain *c, Harness *h, double R, uint64_t seed)
{
	for (int64_t r = 0; r < h->rows; r++) {
		double last = 0;
		for (int i = 0; i < c->n; i++) {
			double x = R * (2 * harness_random(&seed) - 1);
			switch ((int)(16 * harness_random(&seed))) {
			case 0: x = 0; break;
			case 1: x = R; break;
			case 2: x = -R; break;
			case 3: x = last; break;
			case 4: x = -last; break;
			case 5: x = nextafterf((float)last, 1e9f); break;
			default: break;
			}
			set_leaf(h, i, r, last = x);
		}
		set_label(h, r, (double)(r % 2));
	}
}

/* ---- golden numbers: the truth itself is held to them ---- */

typedef struct {
	double x[LEAVES], z, loss1, loss0, g1[LEAVES], g0[LEAVES];
} Golden;

static const Golden golden_and[] = {
    {{-2, 1}, -2.34901222, 2.4401897, .0911774818, {-.880797078, -.268941421}, {.0840838951, .0256740659}},
    {{-20, -20}, -40, 40, 4.24835424e-18, {-.999999998, -.999999998}, {4.24835423e-18, 4.24835423e-18}},
    {{20, -20}, -20, 20, 2.06115362e-9, {-2.06115362e-9, -.999999998}, {4.24835424e-18, 2.06115361e-9}},
    {{-3, -40}, -43.0485874, 43.0485874, 2.0148191e-19, {-.952574127, -1}, {1.91926455e-19, 2.0148191e-19}},
    {{100, 100}, 99.3068528, 7.44015195e-44, 99.3068528, {-3.72007598e-44, -3.72007598e-44}, {.5, .5}},
};
static const Golden golden_esm2[] = {
    {{-3, -2, -1, -4},
     -6.08493601,
     6.08721033,
     2.27432179e-3,
     {-.952574127, -.550067744, -.489276061, -.324780767},
     {2.16892557e-3, 1.25245476e-3, 1.11403757e-3, 7.39496583e-4}},
    {{20, -20, 20, -20},
     -19.3068528,
     19.3068528,
     4.12230723e-9,
     {-2.06115362e-9, -.499999998, -1.03057681e-9, -.499999999},
     {8.49670848e-18, 2.06115361e-9, 4.24835424e-18, 2.06115361e-9}},
    {{-5, 3, -30, -30.5},
     -35.0255523,
     35.0255523,
     6.14604759e-16,
     {-.993307149, -.0181136424, -.970687769, -.0293122308},
     {6.104913e-16, 1.11327308e-17, 5.96589322e-16, 1.80154365e-17}},
};

static void agrees(double got, double want)
{
	if (fabs(got - want) <= 6e-9 * fabs(want)) return; /* nine digits */
	fprintf(stderr, "%.12g, not %.9g\n", got, want);
	CU_FAIL("the truth is not true");
}

static void check_golden(Truth *truth, const Golden *g, size_t n, int leaves)
{
	for (size_t i = 0; i < n; i++)
		for (int y = 0; y < 2; y++) {
			Answer a = truth(g[i].x, y);
			agrees(a.z, g[i].z);
			agrees(a.loss, y ? g[i].loss1 : g[i].loss0);
			for (int k = 0; k < leaves; k++) agrees(a.g[k], y ? g[i].g1[k] : g[i].g0[k]);
		}
}

static void test_truth(void)
{
	check_golden(true_and, golden_and, sizeof golden_and / sizeof *golden_and, 2);
	check_golden(true_esm2, golden_esm2, sizeof golden_esm2 / sizeof *golden_esm2, 4);
	double x[2] = {-5, -4};
	Answer a = true_symkl(x, 0);
	agrees(a.loss, .011293359);
	agrees(a.g[0], -.0179414157);
	agrees(a.g[1], .0289560653);
	double near[2] = {3, 3.001};
	agrees(true_symkl(near, 0).loss, 4.51562194e-8);
}

/* ---- kernels against the truth ---- */

typedef struct {
	double z, loss, g; /* worst errors, as shares of what is allowed */
} Worst;

static double share(double got, double want, double R)
{
	if (fabs(want) < 1.2e-38) return fabs(got) < 1.2e-38 ? 0 : INFINITY;
	double err = fabs(got - want) / fabs(want) / (1e-6 + 3e-7 * R);
	return err >= 0 ? err : INFINITY; /* NaN */
}

static double worse(double a, double b) { return b > a ? b : a; }

static void compare(const Chain *c, Harness *h, RunMode mode, Truth *truth, double R, Worst *w)
{
	if (!small_scores(h, mode) || !small_gradients(h, mode, 1)) return;
	for (int64_t r = 0; r < h->rows; r++) {
		double x[LEAVES];
		for (int i = 0; i < c->n; i++) x[i] = leaf(h, i, r);
		Answer a = truth(x, (double)(r % 2));
		double z = fabs(small_value(h, mode, r, 0) - a.z) / (4e-7 * fmax(1, fabs(a.z)));
		w->z = worse(w->z, z >= 0 ? z : INFINITY);
		w->loss = worse(w->loss, share(small_value(h, mode, r, 1), a.loss, R));
		for (int i = 0; i < c->n; i++) {
			double s = share(small_drow(h, mode, r, i, 0), a.g[i], R);
			if (s > 1 && s > w->g)
				fprintf(stderr,
					"%s: gradient %d of %.9g %.9g %.9g %.9g, label %d: %.9g, not %.9g\n",
					c->s->spec->name, i, x[0], x[1], c->n > 2 ? x[2] : 0,
					c->n > 3 ? x[3] : 0, (int)(r % 2), small_drow(h, mode, r, i, 0),
					a.g[i]);
			w->g = worse(w->g, s);
		}
	}
}

static void sweep(const Chain *c, Truth *truth)
{
	for (int t = 0; t < n_targets; t++)
		for (size_t k = 0; c->s->low[t] && k < sizeof ranges / sizeof *ranges; k++) {
			Worst w = {0};
			Harness *h = small_rows(c->s, t, 3000, 1);
			set_logits(c, h, ranges[k], 10 * k + 1);
			for (int b = 0; b < BACKENDS; b++) {
				h->lib = c->s->lib[b];
				compare(c, h, RUN_KERNEL, truth, ranges[k], &w);
			}
			if (t == 0)
				printf("\n    %-6s R %3.0f: logit %.2f, loss %.2f, gradients %.2f of what is "
				       "allowed",
				       c->s->spec->name, ranges[k], w.z, w.loss, w.g);
			CU_ASSERT(w.z <= 1 && w.loss <= 1 && w.g <= 1);
			h = small_rows(c->s, t, 200, 1);
			set_logits(c, h, ranges[k], 10 * k + 2);
			CU_ASSERT_EQUAL(small_bits(c->s, h), 0);
		}
}

static void test_sweeps(void)
{
	sweep(&and_chain, true_and);
	sweep(&esm2_chain, true_esm2);
	sweep(&symkl_chain, true_symkl);
}

/* No gradient of a leaf beyond 1, nothing but numbers, whatever the logits: a leaf's is a prior less a
 * posterior. */
static void test_bounded(void)
{
	const Chain *c = &deep_chain;
	int64_t bad = 0, large = 0;
	for (int t = 0; t < n_targets; t++)
		for (size_t k = 0; c->s->low[t] && k < sizeof ranges / sizeof *ranges; k++) {
			Harness *h = small_rows(c->s, t, 2000, 1);
			set_logits(c, h, ranges[k], 77 + k);
			if (!small_scores(h, RUN_KERNEL) || !small_gradients(h, RUN_KERNEL, 1)) continue;
			for (int64_t r = 0; r < h->rows; r++) {
				double loss = small_value(h, RUN_KERNEL, r, 1);
				bad += !isfinite(small_value(h, RUN_KERNEL, r, 0)) ||
				       !(loss >= 0 && isfinite(loss));
				for (int i = 0; i < c->n; i++) {
					double g = fabs(small_drow(h, RUN_KERNEL, r, i, 0));
					bad += !(g <= 1 + 1e-5);
					large += g > 0.5;
				}
			}
		}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT(large > 1000);
}

static void test_laws(void)
{
	const double u = 5.9604644775390625e-8;
	int64_t bad[6] = {0};
	for (int t = 0; t < n_targets; t++)
		for (size_t k = 0; laws.s->low[t] && k < sizeof ranges / sizeof *ranges; k++) {
			Harness *h = small_rows(laws.s, t, 2000, 1);
			set_logits(&laws, h, ranges[k], 5 + k);
			for (int b = 0; b < BACKENDS; b++) {
				h->lib = laws.s->lib[b];
				if (!small_scores(h, RUN_KERNEL)) continue;
				for (int64_t r = 0; r < h->rows; r++) {
					double y[8], w = leaf(h, 0, r), p = leaf(h, 1, r);
					for (int i = 0; i < 8; i++) y[i] = small_value(h, RUN_KERNEL, r, i);
					bad[0] += y[0] != y[1];
					bad[1] +=
					    !(fabs(y[2] - p) <= 6 * u * fmax(1, fmax(fabs(w), fabs(p))));
					bad[2] += !(fabs(y[3] - y[4]) <= 8 * u * fmax(1, fabs(y[3])));
					bad[3] += y[5] != w;
					bad[4] += w != 0 && y[6] != y[7];
					bad[5]++;
				}
			}
		}
	CU_ASSERT_EQUAL(bad[0], 0); /* AND(a, b) = AND(b, a) */
	CU_ASSERT_EQUAL(bad[1], 0); /* MIX(w, p, p) = p */
	CU_ASSERT_EQUAL(bad[2], 0); /* AND(AND(a, b), c) = AND(a, AND(b, c)) */
	CU_ASSERT_EQUAL(bad[3], 0); /* not not a = a */
	CU_ASSERT_EQUAL(bad[4], 0); /* MIX(w, p, q) = MIX(not w, q, p) */
	CU_ASSERT(bad[5] > 0);
}

/* Labels drawn from the model itself: the mean gradient of every leaf is 0 within three standard errors. */
static void test_score_identity(void)
{
	uint64_t rng = 3;
	int t = 0;
	while (t < n_targets - 1 && !esm2_chain.s->low[t]) t++;
	Harness *h = small_rows(esm2_chain.s, t, 20000, 1);
	set_logits(&esm2_chain, h, 2, 4);
	for (int64_t r = 0; r < h->rows; r++) {
		double x[LEAVES];
		for (int i = 0; i < LEAVES; i++) x[i] = leaf(h, i, r);
		set_label(h, r, harness_random(&rng) < (double)sg(true_esm2(x, 1).z));
	}
	if (!small_gradients(h, RUN_KERNEL, 1)) return;
	for (int i = 0; i < LEAVES; i++) {
		double sum = 0, square = 0;
		for (int64_t r = 0; r < h->rows; r++) {
			double g = small_drow(h, RUN_KERNEL, r, i, 0);
			sum += g;
			square += g * g;
		}
		CU_ASSERT(square > 1);
		CU_ASSERT(fabs(sum) <= 3 * sqrt(square));
	}
}

/* ---- through the checker ---- */

typedef struct {
	Compilation c;
	void *lib[BACKENDS];
	char path[64];
	Harness *h;
} Model;

static const char *const funnel =
    "model m\n"
    "features user per request { user_id : id(hash: 1000)  tags : ids(hash: 100) }\n"
    "embed 8\n"
    "event click\n"
    "event buy of click\n"
    "tower ctr = user -> dense(9, act: relu) -> dense(1)\n"
    "tower cvr = user -> dense(1)\n"
    "P(click)       = sigmoid(ctr)\n"
    "P(buy | click) = sigmoid(cvr)\n";

static bool model_open(Model *m, const char *rest, int64_t rows)
{
	*m = (Model){.path = "/tmp/mtlc-numerics-XXXXXX"};
	int fd = mkstemp(m->path);
	if (fd < 0) return false;
	bool ok = write(fd, funnel, strlen(funnel)) == (ssize_t)strlen(funnel) &&
		  write(fd, rest, strlen(rest)) == (ssize_t)strlen(rest);
	close(fd);
	compilation_init(&m->c);
	CompileRequest r = {.path = m->path};
	for (int t = 0; t < n_targets; t++)
		if (target_runs(&targets[t])) r.target[r.n_target++] = &targets[t];
	ok = ok && compile(&m->c, &r);
	CU_ASSERT_FATAL(ok);
	for (int b = 0; b < BACKENDS; b++) {
		Text error = {0};
		LinkRequest l = {.emit = "exe", .c_backend = b == 1, .level = 0};
		m->lib[b] = link_load(&m->c, &l, &error);
		text_free(&error);
		CU_ASSERT_FATAL(m->lib[b] != NULL);
	}
	m->h = harness_new(m->c.arena, m->c.spec, m->c.lowered.at[0], m->lib[0], rows, 5);
	return true;
}

static void model_close(Model *m)
{
	for (int b = 0; b < BACKENDS; b++) dlclose(m->lib[b]);
	unlink(m->path);
	compilation_free(&m->c);
}

/* Labels of an event: 1, 0, or -1 for unknown. */
static void observe(Model *m, int event, int64_t r, int value)
{
	Buffer *one = harness_buffer(m->h, SLOT_CAN1, event), *zero = harness_buffer(m->h, SLOT_CAN0, event);
	if (one) harness_set(one, r, value != 0);
	if (zero) harness_set(zero, r, value != 1);
}

/* A probability derived and one written out are the same thing: the same bits. */
static void test_derived_is_written(void)
{
	Model a, b;
	const char *losses = "loss ctr: bce(P(click))\nloss ctcvr: bce(P(buy))\n";
	char text[2][256];
	snprintf(text[0], sizeof text[0], "%soutput p = P(buy)\n", losses);
	snprintf(text[1], sizeof text[1], "%soutput p = P(click) * P(buy | click)\n", losses);
	model_open(&a, text[0], 70);
	model_open(&b, text[1], 70);
	for (int t = 0; t < a.c.lowered.n; t++)
		for (int k = 0; k < BACKENDS; k++) {
			Harness *h[2] = {
			    harness_new(a.c.arena, a.c.spec, a.c.lowered.at[t], a.lib[k], 70, 5),
			    harness_new(b.c.arena, b.c.spec, b.c.lowered.at[t], b.lib[k], 70, 5)};
			small_scores(h[0], RUN_KERNEL);
			small_scores(h[1], RUN_KERNEL);
			const float *x = harness_buffer(h[0], SLOT_OUT, 0)->f,
				    *y = harness_buffer(h[1], SLOT_OUT, 0)->f;
			CU_ASSERT_EQUAL(memcmp(x, y, 70 * sizeof *x), 0);
			CU_ASSERT(x[0] > 0 && x[0] < 1 && x[0] != x[69]);
		}
	model_close(&a);
	model_close(&b);
}

/* Where every label is known, joint is the sum of the conditionals, each where its condition holds. */
static void test_joint(void)
{
	enum { ROWS = 90 };
	Model a, b;
	model_open(&a, "loss both: joint(click, buy)\n", ROWS);
	model_open(&b, "loss ctr: bce(P(click))\nloss cvr: bce(P(buy | click), over: all)\n", ROWS);
	uint64_t rng = 8;
	for (int64_t r = 0; r < ROWS; r++) {
		int click = harness_random(&rng) < 0.5, buy = click && harness_random(&rng) < 0.5;
		for (int k = 0; k < 2; k++) {
			observe(k ? &b : &a, 0, r, click);
			observe(k ? &b : &a, 1, r, buy);
		}
	}
	for (RunMode mode = RUN_DOUBLE; mode <= RUN_KERNEL; mode++) {
		harness_sync(a.h);
		harness_sync(b.h);
		double x = harness_step(a.h, mode), y = harness_step(b.h, mode);
		double bound = mode == RUN_DOUBLE ? 1e-12 : 1e-6;
		CU_ASSERT(x > 0.5 && fabs(x - y) <= bound * x);
		static const SlotKind results[] = {SLOT_GRAD, SLOT_DROWS};
		for (int k = 0; k < 2; k++) {
			const Buffer *p = harness_buffer(a.h, results[k], 0),
				     *q = harness_buffer(b.h, results[k], 0);
			int64_t n = k ? ROWS * a.c.spec->n_drow : spec_param_floats(a.c.spec), bad = 0,
				some = 0;
			CU_ASSERT_EQUAL_FATAL(a.c.spec->n_drow, b.c.spec->n_drow);
			for (int64_t i = 0; i < n; i++) {
				double g = harness_get(p, mode, i), w = harness_get(q, mode, i);
				bad += !(fabs(g - w) <= bound * fmax(fabs(w), 1e-2));
				some += fabs(w) > 1e-6;
			}
			CU_ASSERT_EQUAL(bad, 0);
			CU_ASSERT(some > 10);
		}
	}
	model_close(&a);
	model_close(&b);
}

/* A loss without a row is 0 and so are its gradients; the others are not touched by it. */
static void test_empty_mask(void)
{
	enum { ROWS = 40 };
	Model m;
	model_open(&m, "loss ctr: bce(P(click))\nloss cvr: bce(P(buy | click))\n", ROWS);
	Spec *s = m.c.spec;
	for (int all = 0; all < 2; all++) { /* nobody clicked; nothing is known */
		for (int64_t r = 0; r < ROWS; r++) {
			observe(&m, 0, r, all ? -1 : 0);
			observe(&m, 1, r, all ? -1 : 0);
		}
		for (RunMode mode = RUN_DOUBLE; mode <= RUN_KERNEL; mode++)
			for (int k = 0; k < (mode == RUN_KERNEL ? BACKENDS : 1); k++) {
				m.h->lib = m.lib[k];
				harness_sync(m.h);
				small_clear(m.h, SLOT_GRAD);
				double total = harness_step(m.h, mode);
				const Buffer *g = harness_buffer(m.h, SLOT_GRAD, 0),
					     *d = harness_buffer(m.h, SLOT_DROWS, 0);
				CU_ASSERT(all ? total == 0 : total > 0);
				for (int p = 0; p < s->param.n; p++) {
					bool cvr = strstr(s->param.at[p].name, "cvr") != NULL;
					double most = 0;
					for (int64_t i = 0; i < shape_size(s->param.at[p].shape); i++)
						most = worse(
						    most,
						    fabs(harness_get(g, mode, spec_param_offset(s, p) + i)));
					CU_ASSERT(cvr || all ? most == 0 : most > 0);
				}
				for (int64_t i = 0; i < ROWS * s->n_drow; i++)
					if (!isfinite(harness_get(d, mode, i)) ||
					    (all && harness_get(d, mode, i) != 0))
						CU_FAIL("a row without a label moves its table");
			}
	}
	model_close(&m);
}

static int done(void)
{
	lab_close(&lab);
	return 0;
}

int main(void)
{
	CU_pSuite s = suite_between("numerics", NULL, done);
	CU_add_test(s, "lowered and compiled", test_build);
	CU_add_test(s, "the truth against golden numbers", test_truth);
	CU_add_test(s, "logits, losses and gradients within their bounds", test_sweeps);
	CU_add_test(s, "no gradient beyond 1", test_bounded);
	CU_add_test(s, "laws", test_laws);
	CU_add_test(s, "the score identity", test_score_identity);
	CU_add_test(s, "derived is what is written out", test_derived_is_written);
	CU_add_test(s, "joint is the sum of conditionals", test_joint);
	CU_add_test(s, "a loss without a row", test_empty_mask);
	return suite_end();
}
