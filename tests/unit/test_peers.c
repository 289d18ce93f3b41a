/*
 * Ops over the rows of a group, against loops over pairs that know nothing of vectors: values, bits,
 * gradients by differences, scores of every size; and that a group does not see another, nor how groups are
 * shared out.
 */
#include "example.h"
#include "small.h"

enum { BIG = 300, IN = 4 };

static Lab lab;

/* ---- a model for each op: operands are lookups of one number, its value is said to be the gradient of
 * another ---- */

typedef struct {
	OpCode op;
	int in[IN], y; /* lookups */
} Case;

static const OpCode tried[] = {OP_GROUP_SUM, OP_GROUP_LSE, OP_RIVALS, OP_PAIRWISE, OP_PAIRWISE_DS};
enum { TRIED = sizeof tried / sizeof *tried };
static Case cases[TRIED];
static Small *ops;

static void build_ops(void)
{
	ops = small_new(&lab, "peers");
	for (int i = 0; i < TRIED; i++) {
		Case *c = &cases[i];
		NodeId in[IN];
		c->op = tried[i];
		for (int k = 0; k < op_table[c->op]->n_in; k++) {
			c->in[k] = ops->spec->lookup.n;
			in[k] = small_lookup(ops, shape_scalar(true));
		}
		NodeId y = graph_op(ops->g, c->op, op_table[c->op]->n_in, in, (Attr){0}, (Span){0});
		c->y = ops->spec->lookup.n;
		small_lookup(ops, shape_scalar(true));
		small_root(ops, ROOT_DROW, c->y, y);
	}
	small_finish(ops);
}

/* Groups of given lengths, the last one longer or shorter by what is left over. */
static void set_groups(Harness *h, int n, const int *length)
{
	Buffer *b = harness_buffer(h, SLOT_GROUP, 0);
	int64_t at = 0;
	h->groups = 0;
	for (int k = 0; at < h->rows; at += length[k++ % n]) b->i[h->groups++] = (int32_t)at;
	b->i[h->groups] = (int32_t)h->rows;
}

static void set(Harness *h, int lookup, int64_t row, double x)
{
	harness_set(harness_buffer(h, SLOT_TABLE, lookup), small_at(h, lookup, row, 0), x);
}
static double get(Harness *h, int lookup, int64_t row)
{
	return harness_get(harness_buffer(h, SLOT_TABLE, lookup), RUN_DOUBLE, small_at(h, lookup, row, 0));
}

/* Scores, gains with ties, masks, gradients; the numbers of a row lie on a grid, so float has them exactly.
 */
static void fill(Harness *h, uint64_t seed, double spread)
{
	for (int i = 0; i < TRIED; i++)
		for (int k = 0; k < op_table[cases[i].op]->n_in; k++)
			for (int64_t r = 0; r < h->rows; r++) {
				double u = harness_random(&seed);
				bool mask = cases[i].op >= OP_PAIRWISE
						? k == 2
						: k == 1 && cases[i].op != OP_GROUP_SUM,
				     gain = cases[i].op >= OP_PAIRWISE ? k == 1
								       : cases[i].op == OP_RIVALS && k == 0;
				set(h, cases[i].in[k], r,
				    mask   ? u < 0.75
				    : gain ? floor(4 * u)
					   : floor((u - 0.5) * 64) / 64 * spread);
			}
}

static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* What the op makes of row r of the group lo .. hi. */
static double wanted(Harness *h, const Case *c, int64_t lo, int64_t hi, int64_t r)
{
	double sum = 0, most = -INFINITY;
#define X(k, row) get(h, c->in[k], row)
	for (int64_t j = lo; j < hi; j++) {
		if (c->op == OP_GROUP_SUM) sum += X(0, j);
		if (c->op == OP_GROUP_LSE && X(1, j) != 0) most = fmax(most, X(0, j));
		if (c->op == OP_RIVALS && X(1, j) != 0 && X(0, j) != X(0, r)) sum += X(1, r);
		if (c->op < OP_PAIRWISE || X(1, j) == X(1, r) || X(2, j) == 0 || X(2, r) == 0) continue;
		double wrong = X(1, j) < X(1, r) ? X(0, j) - X(0, r) : X(0, r) - X(0, j);
		if (c->op == OP_PAIRWISE) sum += softplus(wrong) / 2;
		if (c->op == OP_PAIRWISE_DS)
			sum += (X(3, r) + X(3, j)) / 2 * sigmoid(wrong) * (X(1, j) < X(1, r) ? -1 : 1);
	}
	for (int64_t j = lo; j < hi && c->op == OP_GROUP_LSE; j++)
		if (X(1, j) != 0) sum += exp(X(0, j) - most);
#undef X
	return c->op != OP_GROUP_LSE ? sum : sum > 0 ? most + log(sum) : 0;
}

static void check_values(Harness *h, const Case *c)
{
	const int32_t *start = harness_buffer(h, SLOT_GROUP, 0)->i;
	for (int64_t g = 0; g < h->groups; g++)
		for (int64_t r = start[g]; r < start[g + 1]; r++) {
			double want = wanted(h, c, start[g], start[g + 1], r),
			       got = small_drow(h, RUN_DOUBLE, r, c->y, 0);
			if (fabs(got - want) <= 1e-12 * fmax(1, fabs(want))) continue;
			fprintf(stderr, "%s: row %lld of group %lld is %.15g, not %.15g\n",
				op_table[c->op]->word, (long long)(r - start[g]), (long long)g, got, want);
			CU_FAIL("a value is wrong");
		}
}

static const int lengths[][6] = {
    {1, 1, 1, 1, 1, 1}, {2, 3, 1, 8, 7, 9}, {16, 17, 5, 33, 1, 4}, {290, 1, 9, 1, 1, 1}};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static void test_values(void)
{
	for (int t = 0; t < n_targets; t++)
		for (int k = 0; ops->low[t] && k < LENGTHS; k++)
			for (int spread = 4; spread <= 400; spread *= 10) {
				Harness *h = small_rows(ops, t, k ? BIG : 5, (uint64_t)k + 1);
				set_groups(h, 6, lengths[k]);
				fill(h, (uint64_t)k + 3, spread);
				if (!small_gradients(h, RUN_DOUBLE, 1)) continue;
				for (int i = 0; i < TRIED; i++) check_values(h, &cases[i]);
				CU_ASSERT_EQUAL(small_bits(ops, h), 0);
			}
}

/* What a row gets depends neither on the groups beside its own nor on where the group stands in the batch. */
static void test_groups_are_alone(void)
{
	int t = n_targets;
	while (!ops->low[--t]) {
	}
	enum { N = 13 };
	double first[TRIED][N];
	for (int shift = 0; shift < 140; shift += 23) {
		Harness *h = small_rows(ops, t, BIG, 1);
		fill(h, (uint64_t)shift + 1, 4);
		set_groups(h, 2, (const int[]){shift ? shift : N, N});
		Harness *like = small_rows(ops, t, BIG, 1);
		fill(like, 99, 4);
		for (int i = 0; i < TRIED; i++)
			for (int k = 0; k < op_table[cases[i].op]->n_in; k++)
				for (int r = 0; r < N; r++)
					set(h, cases[i].in[k], shift + r, get(like, cases[i].in[k], r));
		if (!small_gradients(h, RUN_FLOAT, 1)) return;
		for (int i = 0; i < TRIED; i++)
			for (int r = 0; r < N; r++) {
				double x = small_drow(h, RUN_FLOAT, shift + r, cases[i].y, 0);
				if (!shift) first[i][r] = x;
				CU_ASSERT_EQUAL(x, first[i][r]);
			}
	}
}

/* ---- examples of the ops' rows: a list is a group ---- */

static void test_examples(void)
{
	int t = n_targets, n = 0;
	while (!ops->low[--t]) {
	}
	for (int i = 0; i < TRIED; i++) {
		Example e = {0};
		const char *text = op_table[cases[i].op]->example;
		CU_ASSERT_FATAL(text && read_example(cases[i].op, &e));
		Harness *h = small_rows(ops, t, e.want.inner, 1);
		set_groups(h, 1, &e.want.inner);
		for (int k = 0; k < e.n; k++)
			for (int r = 0; r < e.want.inner; r++) set(h, cases[i].in[k], r, e.in[k].x[r]);
		if (!small_gradients(h, RUN_DOUBLE, 1)) continue;
		for (int r = 0; r < e.want.inner; r++, n++)
			if (!(fabs(small_drow(h, RUN_DOUBLE, r, cases[i].y, 0) - e.want.x[r]) <= 2e-9)) {
				fprintf(stderr, "%s: row %d is %.10g\n", text, r,
					small_drow(h, RUN_DOUBLE, r, cases[i].y, 0));
				CU_FAIL("an example is wrong");
			}
	}
	CU_ASSERT(n > 14);
}

/* ---- gradients: sum over rows of f_r op_r, f given, by differences in the scores ---- */

static Small *slopes;
static Case sloped[3];

static void build_slopes(void)
{
	static const OpCode op[] = {OP_GROUP_SUM, OP_GROUP_LSE, OP_PAIRWISE};
	NodeId loss = 0;
	slopes = small_new(&lab, "peer_slopes");
	for (int i = 0; i < 3; i++) {
		Case *c = &sloped[i];
		NodeId in[IN];
		c->op = op[i];
		for (int k = 0; k < op_table[c->op]->n_in; k++) {
			c->in[k] = slopes->spec->lookup.n;
			in[k] = small_lookup(slopes, shape_scalar(true));
		}
		NodeId y = graph_op(slopes->g, c->op, op_table[c->op]->n_in, in, (Attr){0}, (Span){0});
		NodeId f = graph_reshape(slopes->g, small_noise(slopes, 1), shape_scalar(true));
		NodeId row = graph_2(slopes->g, OP_MUL, f, y);
		loss = loss ? graph_2(slopes->g, OP_ADD, loss, row) : row;
	}
	small_loss(slopes, loss);
	small_finish(slopes);
}

static double total(Harness *h)
{
	double sum = 0;
	Buffer *b = harness_buffer(h, SLOT_LOSS, 0);
	if (!small_gradients(h, RUN_DOUBLE, 1)) return NAN;
	for (int64_t k = 0; k < (h->rows + ROW_BLOCK - 1) / ROW_BLOCK; k++)
		sum += harness_get(b, RUN_DOUBLE, k);
	return sum;
}

static void test_slopes(void)
{
	enum { ROWS = 40 };
	const double step = 1e-5;
	int t = n_targets;
	while (!slopes->low[--t]) {
	}
	Harness *h = small_rows(slopes, t, ROWS, 5);
	set_groups(h, 6, lengths[1]);
	uint64_t rng = 8;
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < op_table[sloped[i].op]->n_in; k++)
			for (int64_t r = 0; r < ROWS; r++) {
				double u = harness_random(&rng);
				bool mask = k == (sloped[i].op == OP_PAIRWISE ? 2 : 1);
				set(h, sloped[i].in[k], r,
				    mask     ? u < 0.75
				    : k == 1 ? floor(3 * u)
					     : 4 * u - 2);
			}
	for (int i = 0; i < 3; i++)
		for (int64_t r = 0; r < ROWS; r++)
			harness_set(harness_buffer(h, SLOT_NOISE, i), r, harness_random(&rng));
	total(h);
	double got[3][ROWS];
	for (int i = 0; i < 3; i++)
		for (int64_t r = 0; r < ROWS; r++)
			got[i][r] = small_drow(h, RUN_DOUBLE, r, sloped[i].in[0], 0);
	for (int i = 0; i < 3; i++)
		for (int64_t r = 0; r < ROWS; r++) {
			double x = get(h, sloped[i].in[0], r);
			set(h, sloped[i].in[0], r, x + step);
			double up = total(h);
			set(h, sloped[i].in[0], r, x - step);
			double want = (up - total(h)) / (2 * step);
			set(h, sloped[i].in[0], r, x);
			if (fabs(got[i][r] - want) <= 1e-8) continue;
			fprintf(stderr, "%s: slope of row %lld is %.12g, not %.12g\n",
				op_table[sloped[i].op]->word, (long long)r, got[i][r], want);
			CU_FAIL("a gradient is wrong");
		}
}

/* ---- scores of every size, in single precision ---- */

/* A pair in the right order by 90 has a loss of e^-90, which float lacks: 0; in the wrong order 90, slope 1.
 */
static void test_extremes(void)
{
	int t = n_targets;
	while (!ops->low[--t]) {
	}
	const Case *loss = &cases[3], *slope = &cases[4], *lse = &cases[1];
	CU_ASSERT_FATAL(loss->op == OP_PAIRWISE && slope->op == OP_PAIRWISE_DS && lse->op == OP_GROUP_LSE);
	Harness *h = small_rows(ops, t, 4, 1);
	set_groups(h, 1, (const int[]){2});
	static const double score[] = {90, 0, 1e30, -1e30}, gain[] = {1, 0, 0, 1};
	for (int r = 0; r < 4; r++) {
		set(h, loss->in[0], r, score[r]), set(h, slope->in[0], r, score[r]),
		    set(h, lse->in[0], r, score[r]);
		set(h, loss->in[1], r, gain[r]), set(h, slope->in[1], r, gain[r]), set(h, lse->in[1], r, 1);
		set(h, loss->in[2], r, 1), set(h, slope->in[2], r, 1), set(h, slope->in[3], r, 1);
	}
	if (!small_gradients(h, RUN_FLOAT, 1)) return;
#define GOT(c, r) small_drow(h, RUN_FLOAT, r, (c)->y, 0)
	CU_ASSERT(GOT(loss, 0) >= 0 && GOT(loss, 0) < 1e-38);
	CU_ASSERT(GOT(slope, 0) <= 0 && GOT(slope, 0) > -1e-38);
	CU_ASSERT_EQUAL(GOT(loss, 2), (double)1e30f);
	CU_ASSERT_EQUAL(GOT(slope, 2), 1);
	CU_ASSERT_EQUAL(GOT(slope, 3), -1);
	CU_ASSERT_EQUAL(GOT(lse, 0), 90);
	CU_ASSERT_EQUAL(GOT(lse, 3), (double)1e30f);
	set(h, lse->in[0], 0, NAN), set(h, loss->in[0], 0, NAN); /* what is broken is not hidden */
	if (!small_gradients(h, RUN_FLOAT, 1)) return;
	CU_ASSERT(isnan(GOT(loss, 0)));
	CU_ASSERT(isnan(GOT(loss, 1)));
#undef GOT
}

static void test_build(void)
{
	lab_open(&lab);
	build_ops();
	build_slopes();
	CU_ASSERT_FATAL(lab_load(&lab));
}

static int done(void)
{
	lab_close(&lab);
	return 0;
}

int main(void)
{
	if (CU_initialize_registry()) return 1;
	CU_pSuite s = CU_add_suite("peers", NULL, done);
	CU_add_test(s, "lowered and compiled", test_build);
	CU_add_test(s, "values and bits", test_values);
	CU_add_test(s, "groups are alone", test_groups_are_alone);
	CU_add_test(s, "examples", test_examples);
	CU_add_test(s, "slopes", test_slopes);
	CU_add_test(s, "extremes", test_extremes);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	int bad = (int)CU_get_number_of_failures() || CU_get_number_of_tests_run() < 6;
	CU_cleanup_registry();
	return bad;
}
