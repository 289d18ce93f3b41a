/*
 * Rows that wait for sums over all rows: values against loops written independently, gradients by differences
 * through the sums, what crosses a meeting, and the bits of every machine.
 */
#include "small.h"

enum { D = 3, H = 9, MEETINGS = 5 };
static const int rows_tried[] = {1, 2, 7, 128, 130, 300};

static Lab lab;
static Small *net;
static int x_at, gain_at, weight_at, noise_at;

static NodeId mean_of(Graph *g, NodeId x, NodeId count)
{
	return graph_2(g, OP_DIV, graph_1(g, OP_SUM_ROWS, x), count);
}

/* Mean and variance over the rows of x, or over all steps; then a layer whose values are scaled by their
 * mean. */
static NodeId build(Small *s, NodeId x, int *gain, int *weight)
{
	Graph *g = s->g;
	NodeId one = graph_const(g, 1, (Span){0});
	Shape like = g->node.at[x].shape;
	NodeId count = graph_1(g, OP_SUM_ROWS, small_spread(s, one, shape_over(like, shape_scalar(true))));
	NodeId d = graph_2(g, OP_SUB, x, mean_of(g, x, count));
	NodeId v = mean_of(g, graph_1(g, OP_SQUARE, d), count);
	NodeId y =
	    graph_2(g, OP_DIV, d, graph_1(g, OP_SQRT, graph_2(g, OP_ADD, v, graph_const(g, 0.1, (Span){0}))));
	*gain = s->spec->param.n;
	y = graph_2(g, OP_MUL, y, small_param(s, shape_1(false, D)));
	*weight = s->spec->param.n;
	NodeId h = graph_op(g, OP_DENSE, 3, (NodeId[]){y, small_param(s, shape_2(false, D, H)), 0}, (Attr){0},
			    (Span){0});
	h = graph_1(g, OP_TANH, h);
	return graph_2(g, OP_MUL, h, mean_of(g, h, count));
}

/* The loss: the values weighed by numbers that have no gradient. */
static void build_net(void)
{
	Small *s = net = small_new(&lab, "net");
	x_at = s->spec->lookup.n;
	NodeId x = small_lookup(s, shape_1(true, D));
	NodeId y = build(s, x, &gain_at, &weight_at);
	noise_at = s->spec->noise.n;
	small_loss(s, graph_1(s->g, OP_SUM_LAST, graph_2(s->g, OP_MUL, y, small_noise(s, H))));
	small_finish(s);
}

/* ---- the same by hand ---- */

static double at(Harness *h, SlotKind kind, int index, int64_t i)
{
	return harness_get(harness_buffer(h, kind, index), RUN_DOUBLE, i);
}

static double x_of(Harness *h, int64_t r, int c) { return at(h, SLOT_TABLE, x_at, small_at(h, x_at, r, c)); }

static double by_hand(Harness *h)
{
	int64_t n = h->rows, gain = spec_param_offset(h->spec, gain_at),
		weight = spec_param_offset(h->spec, weight_at);
	double mean[D] = {0}, var[D] = {0}, all[H] = {0}, loss = 0;
	double *hidden = arena_new(h->arena, double, n *H);
	for (int c = 0; c < D; c++) {
		for (int64_t r = 0; r < n; r++) mean[c] += x_of(h, r, c) / (double)n;
		for (int64_t r = 0; r < n; r++) var[c] += pow(x_of(h, r, c) - mean[c], 2) / (double)n;
	}
	for (int64_t r = 0; r < n; r++)
		for (int k = 0; k < H; k++) {
			double z = 0;
			for (int c = 0; c < D; c++)
				z += (x_of(h, r, c) - mean[c]) / sqrt(var[c] + 0.1) *
				     at(h, SLOT_PARAM, 0, gain + c) *
				     at(h, SLOT_PARAM, 0, weight + c * H + k);
			hidden[r * H + k] = tanh(z);
			all[k] += hidden[r * H + k] / (double)n;
		}
	for (int64_t r = 0; r < n; r++)
		for (int k = 0; k < H; k++)
			loss += hidden[r * H + k] * all[k] * at(h, SLOT_NOISE, noise_at, r * H + k);
	return loss;
}

static double loss_of(Harness *h)
{
	double sum = 0;
	if (!small_gradients(h, RUN_DOUBLE, 1)) return NAN;
	for (int64_t b = 0; b < (h->rows + ROW_BLOCK - 1) / ROW_BLOCK; b++) sum += at(h, SLOT_LOSS, 0, b);
	return sum;
}

static Harness *batch(int target, int64_t rows)
{
	Harness *h = small_rows(net, target, rows, (uint64_t)rows);
	uint64_t rng = 5;
	for (int i = 0; i < 2; i++) {
		Buffer *b = harness_buffer(h, i ? SLOT_PARAM : SLOT_TABLE, i ? 0 : x_at);
		for (int64_t k = 0; k < b->n; k++) harness_set(b, k, 3 * harness_random(&rng) - 1);
	}
	harness_sync(h);
	return h;
}

static void test_stages(void)
{
	const Lowered *low = net->low[0] ? net->low[0] : net->low[1];
	/* Mean; variance; the mean of the layer, and the gradient in it, which needs no more than the layer;
	 * the gradient in the variance; that in the mean, to which the variance's adds. */
	CU_ASSERT_EQUAL(low->region.n, MEETINGS);
	for (int i = 0; i < low->region.n; i++)
		CU_ASSERT(low->region.at[i] < (i + 1 < low->region.n ? low->region.at[i + 1] : low->n_acc));
}

static void test_values(void)
{
	for (int t = 0; t < n_targets; t++)
		for (size_t i = 0; net->low[t] && i < sizeof rows_tried / sizeof *rows_tried; i++) {
			Harness *h = batch(t, rows_tried[i]);
			double want = by_hand(h);
			CU_ASSERT_DOUBLE_EQUAL(loss_of(h), want, 1e-11 * fmax(1, fabs(want)));
		}
}

/* ---- gradients ---- */

static int64_t check_slope(Harness *h, double *x, double got)
{
	double was = *x, step = 1e-5, up, down;
	*x = was + step;
	up = by_hand(h);
	*x = was - step;
	down = by_hand(h);
	*x = was;
	double want = (up - down) / (2 * step);
	if (fabs(got - want) <= 1e-7 * fmax(1, fabs(want))) return 1;
	fprintf(stderr, "%lld rows: a slope is %.10g, its gradient %.10g\n", (long long)h->rows, want, got);
	CU_FAIL("a gradient through a meeting is wrong");
	return 0;
}

static void test_gradients(void)
{
	int64_t n = 0;
	for (size_t i = 0; i + 1 < sizeof rows_tried / sizeof *rows_tried; i++) {
		int t = 0;
		while (!net->low[t]) t++;
		Harness *h = batch(t, rows_tried[i]);
		loss_of(h);
		for (int64_t r = 0; r<h->rows; r += h->rows> 7 ? 13 : 1)
			for (int c = 0; c < D; c++)
				n += check_slope(
				    h, harness_buffer(h, SLOT_TABLE, x_at)->d + small_at(h, x_at, r, c),
				    small_drow(h, RUN_DOUBLE, r, x_at, c));
		for (int p = 0; p < h->spec->param.n; p++)
			for (int64_t k = 0; k < shape_size(h->spec->param.at[p].shape); k++) {
				int64_t off = spec_param_offset(h->spec, p) + k;
				n += check_slope(h, harness_buffer(h, SLOT_PARAM, 0)->d + off,
						 at(h, SLOT_GRAD, 0, off));
			}
	}
	printf("%lld slopes ", (long long)n);
}

static void test_bits(void)
{
	for (int t = 0; t < n_targets; t++)
		for (size_t i = 0; net->low[t] && i < sizeof rows_tried / sizeof *rows_tried; i++)
			CU_ASSERT_EQUAL(small_bits(net, batch(t, rows_tried[i])), 0);
}

/* ---- steps of sequences, and a scan after a meeting ---- */

static Small *steps;
static int steps_x, steps_gain, steps_weight, steps_length;

static void build_steps(void)
{
	Small *s = steps = small_new(&lab, "steps");
	int seq = small_seq(s, 4);
	steps_x = s->spec->lookup.n;
	NodeId x = small_steps(s, seq, shape_1(true, D));
	steps_length = s->spec->lookup.n;
	NodeId y = build(s, x, &steps_gain, &steps_weight);
	NodeId row = graph_1(s->g, OP_SUM_STEPS, y);
	small_loss(s, graph_1(s->g, OP_SUM_LAST, graph_2(s->g, OP_MUL, row, small_noise(s, H))));
	small_finish(s);
}

enum { LONG = 3, ROWS = 131 };

static double steps_loss(Harness *h)
{
	double sum = 0;
	small_ran(h, small_gradients(h, RUN_DOUBLE, 1));
	for (int64_t b = 0; b < 2; b++) sum += at(h, SLOT_LOSS, 0, b);
	return sum;
}

/* Against differences of the same entries' losses: the values of sums and steps are judged above and in
 * test_sequence. */
static void test_steps(void)
{
	int length[ROWS], t = 0, n = 0;
	double size = 0;
	while (!steps->low[t]) t++;
	for (int r = 0; r < ROWS; r++) length[r] = r * 7 % (LONG + 1);
	Harness *h = small_rows(steps, t, ROWS, 3);
	small_lengths(h, 1, length);
	Buffer *b = harness_buffer(h, SLOT_PARAM, 0);
	uint64_t rng = 2;
	for (int64_t k = 0; k < b->n; k++) harness_set(b, k, 2 * harness_random(&rng) - 1);
	harness_sync(h);
	steps_loss(h);
	for (int p = 0; p < h->spec->param.n; p++)
		for (int64_t k = 0; k < shape_size(h->spec->param.at[p].shape); k++, n++) {
			int64_t off = spec_param_offset(h->spec, p) + k;
			double was = b->d[off], got, up, down;
			steps_loss(h);
			got = at(h, SLOT_GRAD, 0, off);
			b->d[off] = was + 1e-5;
			up = steps_loss(h);
			b->d[off] = was - 1e-5;
			down = steps_loss(h);
			b->d[off] = was;
			CU_ASSERT_DOUBLE_EQUAL(got, (up - down) / 2e-5, 1e-7 * fmax(1, fabs(got)));
			size += fabs(got);
		}
	CU_ASSERT_EQUAL(n, D + D * H);
	CU_ASSERT(size > 1e-2);
	for (t = 0; t < n_targets; t++) {
		if (!steps->low[t]) continue;
		h = small_rows(steps, t, ROWS, 3);
		small_lengths(h, 1, length);
		CU_ASSERT_EQUAL(small_bits(steps, h), 0);
	}
}

int main(void)
{
	lab_open(&lab);
	build_net();
	build_steps();
	if (!lab_load(&lab)) return 1;
	CU_initialize_registry();
	CU_pSuite s = CU_add_suite("meeting", NULL, NULL);
	CU_add_test(s, "stages", test_stages);
	CU_add_test(s, "values", test_values);
	CU_add_test(s, "gradients", test_gradients);
	CU_add_test(s, "bits", test_bits);
	CU_add_test(s, "steps", test_steps);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	int failed = (int)CU_get_number_of_failures();
	CU_cleanup_registry();
	lab_close(&lab);
	return failed != 0;
}
