/*
 * Kernels whose sums have an order: every machine and both backends against the same sums written as plain
 * loops, to the bit, and against double.
 *
 * One rule for every sum.  An output of a product is one ascending chain of fused multiply-adds from the
 * bias; with fewer than eight outputs it is eight chains by k mod 8 and a fixed tree, and the last outputs of
 * narrow layers, which would leave most of sixteen lanes idle, are eight, four or two.  Over rows: an
 * ascending chain for each column; for a single number eight chains by row within a block, and a tree.
 * x86-64-v2 multiplies, then adds.
 */
#include "small.h"
#include "suite.h"
#include <stdlib.h>

#define N_OF(a) ((int)(sizeof(a) / sizeof *(a)))
static Lab lab;
static const double U = 0x1p-24; /* half a unit in the last place of 1 */

/* ---- sums, as plain loops ---- */

static float mad(const Target *t, float a, float b, float c)
{
	if (t->fma) return fmaf(a, b, c);
	volatile float product = a * b; /* two roundings, whatever this file is compiled for */
	return product + c;
}

static float tree(float *s, int n)
{
	for (n /= 2; n; n /= 2)
		for (int i = 0; i < n; i++) s[i] += s[i + n];
	return s[0];
}

/* bias + sum over k of x[k] w[k * step], in so many chains */
static float dot(const Target *t, int K, const float *x, const float *w, int step, float bias, int chains)
{
	float s[8] = {bias};
	for (int k = 0; k < (K + chains - 1) / chains * chains; k++)
		s[k % chains] =
		    k < K ? mad(t, x[k], w[k * step], s[k % chains]) : mad(t, 0, 0, s[k % chains]);
	return tree(s, chains);
}

/* Of output j of N. */
static int chains_of(int N, int j)
{
	int tail = N % 16;
	if (N < 8) return 8;
	if (N > 48 || tail == 0 || tail > 8 || j < N - tail) return 1;
	return tail <= 2 ? 8 : tail <= 4 ? 4 : 2;
}

static bool same(float a, float b) { return !memcmp(&a, &b, sizeof a); }

/* ---- dense, dX and dW: one model ---- */

/* Fewer than eight outputs, one, a vector, tails of every kind, several panels; rows of one input. */
static const int shape[][2] = {{1, 1},	{7, 1},	  {8, 1},   {40, 1},  {13, 3},	{16, 7},  {30, 2},  {1, 8},
			       {5, 9},	{9, 24},  {17, 25}, {20, 48}, {3, 130}, {33, 96}, {64, 17}, {40, 33},
			       {2, 16}, {24, 49}, {80, 8},  {35, 18}, {21, 20}, {7, 38},  {130, 19}};
enum { WIDE = 140, AT = 3 /* operands are columns AT .. of a row of WIDE */ };

typedef struct {
	int K, N;
	int w, b;	/* parameters; b -1: none */
	int y, dx;	/* columns of OUT */
	int x_at, d_at; /* columns of the input and of dy */
	int dw;		/* parameter whose gradient is dW */
} Layer;

static Small *dense, *library; /* by tiles; the same by OpenBLAS */
static Layer layer[N_OF(shape)];

static NodeId columns(Small *s, NodeId wide, int at, int n) { return graph_slice(s->g, wide, at, n); }

static Small *build_dense(const char *name, bool blas)
{
	Small *s = small_new(&lab, name);
	s->blas = blas;
	NodeId x = small_noise(s, WIDE), d = small_noise(s, WIDE), joined[2] = {0};
	for (int i = 0; i < N_OF(shape); i++) {
		Layer *l = &layer[i];
		*l = (Layer){.K = shape[i][0], .N = shape[i][1], .x_at = AT + i % 3, .d_at = i % 5};
		NodeId in = columns(s, x, l->x_at, l->K), dy = columns(s, d, l->d_at, l->N), bias = 0;
		l->w = s->spec->param.n;
		NodeId w = small_param(s, shape_2(false, l->K, l->N));
		l->b = i % 4 == 3 ? -1 : s->spec->param.n;
		if (l->b >= 0) bias = small_param(s, shape_1(false, l->N));
		NodeId y = graph_3(s->g, OP_DENSE, in, w, bias);
		/* The first layers lie side by side in one row, so that their stride is not their width. */
		if (i < 2)
			joined[i] = y;
		else
			l->y = small_out(s, y);
		l->dx = small_out(s, graph_2(s->g, OP_DENSE_DX, dy, w));
		l->dw = s->spec->param.n;
		small_param(s, shape_2(false, l->K, l->N));
		small_root(s, ROOT_GRAD, l->dw, graph_2(s->g, OP_DENSE_DW, in, dy));
	}
	layer[0].y = small_out(s, graph_2(s->g, OP_CONCAT, joined[0], joined[1]));
	layer[1].y = layer[0].y + layer[0].N;
	small_finish(s);
	return s;
}

/* The same numbers for every machine, number of rows and place: row `r` is row `name(r)` of an endless table.
 */
static void set_rows(Harness *h, int64_t (*name)(int64_t r))
{
	for (int i = 0; i < h->spec->noise.n; i++) {
		Buffer *b = harness_buffer(h, SLOT_NOISE, i);
		int width = h->spec->noise.at[i].width;
		for (int64_t r = 0; b && r < h->rows; r++) {
			uint64_t seed = (uint64_t)(name(r) * 64 + i + 1) * 1000003;
			for (int k = 0; k < width; k++)
				harness_set(b, r * width + k, (float)(4 * harness_random(&seed) - 2));
		}
	}
	Buffer *p = harness_buffer(h, SLOT_PARAM, 0);
	uint64_t seed = 17;
	for (int64_t i = 0; p && i < p->n; i++) harness_set(p, i, (float)(2 * harness_random(&seed) - 1));
}

static int64_t in_order(int64_t r) { return r; }
/* Rows of a batch of 130 in another order: its last, some in the middle of blocks, its first. */
static int64_t shuffled(int64_t r)
{
	static const int64_t from[] = {129, 64, 3, 127, 128, 0, 77, 6, 12, 100, 101};
	return from[r % N_OF(from)];
}

static const float *row_of(Harness *h, int noise, int64_t r)
{
	return harness_buffer(h, SLOT_NOISE, noise)->f + r * h->spec->noise.at[noise].width;
}

static const float *param_of(Harness *h, int p)
{
	return harness_buffer(h, SLOT_PARAM, 0)->f + spec_param_offset(h->spec, p);
}

static float out_of(Harness *h, int64_t r, int column)
{
	return harness_buffer(h, SLOT_OUT, 0)->f[r * h->spec->output.n + column];
}

typedef struct {
	int64_t checked, bits, bound;
} Tally;

/* got against the plain loop, and against double within (K + 8) u of the sum of magnitudes. */
static void judge(Tally *t, float got, float loop, double exact, double magnitude, int K)
{
	t->checked++;
	t->bits += !same(got, loop);
	t->bound += !(fabs((double)got - exact) <= (K + 8) * U * magnitude);
}

/* tell: which layer's bits differ */
static void check_products(Harness *h, Tally *tally, bool tell)
{
	const Target *t = h->low->target;
	for (int i = 0; i < N_OF(layer); i++) {
		const Layer *l = &layer[i];
		const float *w = param_of(h, l->w), *b = l->b >= 0 ? param_of(h, l->b) : NULL;
		int64_t before = tally->bits;
		for (int64_t r = 0; r < h->rows; r++) {
			const float *x = row_of(h, 0, r) + l->x_at, *d = row_of(h, 1, r) + l->d_at;
			for (int j = 0; j < l->N; j++) {
				double sum = b ? b[j] : 0, size = fabs(sum);
				for (int k = 0; k < l->K; k++) {
					sum += (double)x[k] * w[k * l->N + j];
					size += fabs((double)x[k] * w[k * l->N + j]);
				}
				judge(tally, out_of(h, r, l->y + j),
				      dot(t, l->K, x, w + j, l->N, b ? b[j] : 0, chains_of(l->N, j)), sum,
				      size, l->K);
			}
			for (int k = 0; k < l->K; k++) {
				double sum = 0, size = 0;
				for (int j = 0; j < l->N; j++) {
					sum += (double)d[j] * w[k * l->N + j];
					size += fabs((double)d[j] * w[k * l->N + j]);
				}
				judge(tally, out_of(h, r, l->dx + k),
				      dot(t, l->N, d, w + k * l->N, 1, 0, l->K < 8 ? 8 : 1), sum, size, l->N);
			}
		}
		if (tell && before != tally->bits)
			fprintf(stderr, "%s, %lld rows: %d -> %d differs from its sum\n", h->low->mod->name,
				(long long)h->rows, l->K, l->N);
	}
}

static void check_dw(Harness *h, Tally *tally, bool tell)
{
	const float *g = harness_buffer(h, SLOT_GRAD, 0)->f;
	for (int i = 0; i < N_OF(layer); i++) {
		const Layer *l = &layer[i];
		int64_t before = tally->bits;
		for (int k = 0; k < l->K; k++)
			for (int j = 0; j < l->N; j++) {
				float loop = 0;
				double sum = 0, size = 0;
				for (int64_t r = 0; r < h->rows; r++) {
					float x = row_of(h, 0, r)[l->x_at + k],
					      d = row_of(h, 1, r)[l->d_at + j];
					loop = mad(h->low->target, x, d, loop);
					sum += (double)x * d;
					size += fabs((double)x * d);
				}
				judge(tally, g[spec_param_offset(h->spec, l->dw) + k * l->N + j], loop, sum,
				      size, (int)h->rows);
			}
		if (tell && before != tally->bits)
			fprintf(stderr, "%s, %lld rows: dW of %d -> %d differs from its sum\n",
				h->low->mod->name, (long long)h->rows, l->K, l->N);
	}
}

static const int rows_tried[] = {1, 2, 5, 8, 9, 127, 128, 130, 261};

static void test_products(void)
{
	Tally tally = {0};
	for (int t = 0; t < n_targets; t++)
		for (int i = 0; dense->low[t] && i < N_OF(rows_tried); i++) {
			Harness *h = small_rows(dense, t, rows_tried[i], 1);
			for (int b = 0; b < BACKENDS; b++) {
				h->lib = dense->lib[b];
				set_rows(h, in_order);
				if (!small_scores(h, RUN_KERNEL) || !small_gradients(h, RUN_KERNEL, 1))
					continue;
				check_products(h, &tally, true);
				check_dw(h, &tally, true);
			}
		}
	printf("%lld sums ", (long long)tally.checked);
	CU_ASSERT(tally.checked > 100000);
	CU_ASSERT_EQUAL(tally.bits, 0);
	CU_ASSERT_EQUAL(tally.bound, 0);
}

/* A library's sums have an order of their own, but not another size; the interpreter is under the same bound.
 */
static void test_library_products(void)
{
	Tally tally = {0};
	for (int t = 0; t < n_targets; t++)
		for (int i = 0; library->low[t] && i < N_OF(rows_tried); i++) {
			Harness *h = small_rows(library, t, rows_tried[i], 1);
			for (int b = 0; b < BACKENDS; b++) {
				h->lib = library->lib[b];
				set_rows(h, in_order);
				if (!small_scores(h, RUN_KERNEL) || !small_gradients(h, RUN_KERNEL, 1))
					continue;
				check_products(h, &tally, false);
				check_dw(h, &tally, false);
			}
			if (rows_tried[i] > 9) continue;
			set_rows(h, in_order);
			CU_ASSERT(small_scores(h, RUN_FLOAT) && small_gradients(h, RUN_FLOAT, 1));
			static const SlotKind results[] = {SLOT_OUT, SLOT_GRAD};
			for (int k = 0; k < 2; k++) {
				Buffer *r = harness_buffer(h, results[k], 0);
				for (int64_t j = 0; j < r->n; j++) r->f[j] = (float)r->d[j];
			}
			check_products(h, &tally, false);
			check_dw(h, &tally, false);
		}
	printf("%lld sums ", (long long)tally.checked);
	CU_ASSERT(tally.checked > 100000);
	CU_ASSERT_EQUAL(tally.bound, 0);
}

/* The interpreter's bits, for the numbers of rows that take different ways through a kernel. */
static void test_interpreter(void)
{
	for (int t = 0; t < n_targets; t++)
		for (int rows = 1; dense->low[t] && rows <= 12; rows += 5) {
			Harness *h = small_rows(dense, t, rows, 1);
			set_rows(h, in_order);
			CU_ASSERT_EQUAL(small_bits(dense, h), 0);
		}
}

/* A row's bits depend neither on the rows beside it, nor on how many there are, nor on its place. */
static void test_rows_alone(void)
{
	for (int t = 0; t < n_targets; t++)
		for (int b = 0; dense->low[t] && b < BACKENDS; b++) {
			Harness *all = small_rows(dense, t, 130, 1);
			all->lib = dense->lib[b];
			set_rows(all, in_order);
			if (!small_scores(all, RUN_KERNEL)) continue;
			for (int n = 1; n <= 11; n++) {
				Harness *h = small_rows(dense, t, n, 1);
				h->lib = dense->lib[b];
				set_rows(h, shuffled);
				int64_t bad = !small_scores(h, RUN_KERNEL);
				for (int64_t r = 0; r < n; r++)
					for (int c = 0; c < h->spec->output.n; c++)
						bad += !same(out_of(h, r, c), out_of(all, shuffled(r), c));
				CU_ASSERT_EQUAL(bad, 0);
			}
		}
}

/* Machines with fused multiply-add agree to the bit, sums over rows included. */
static void test_machines(void)
{
	Harness *first = NULL;
	int compared = 0;
	for (int t = 0; t < n_targets; t++) {
		if (!dense->low[t] || !targets[t].fma) continue;
		Harness *h = small_rows(dense, t, 130, 1);
		set_rows(h, in_order);
		if (!small_scores(h, RUN_KERNEL) || !small_gradients(h, RUN_KERNEL, 1)) continue;
		if (!first) {
			first = h;
			continue;
		}
		static const SlotKind results[] = {SLOT_OUT, SLOT_GRAD};
		for (int k = 0; k < 2; k++) {
			const Buffer *x = harness_buffer(first, results[k], 0),
				     *y = harness_buffer(h, results[k], 0);
			int64_t n = k ? spec_param_floats(h->spec) : 130 * (int64_t)h->spec->output.n;
			CU_ASSERT_EQUAL(memcmp(x->f, y->f, (size_t)n * sizeof(float)), 0);
		}
		compared++;
	}
	if (!compared) printf("(one machine) ");
}

/* ---- sums over rows ---- */

static Small *sums;
static const int sum_width[] = {2, 5, 40, 137};

static void build_sums(void)
{
	Small *s = sums = small_new(&lab, "sums");
	NodeId x = small_noise(s, WIDE);
	for (int i = 0; i < N_OF(sum_width) + 2; i++) {
		/* Columns; then one column, alone (stride 1) and out of a row. */
		NodeId y = i < N_OF(sum_width) ? columns(s, x, AT, sum_width[i])
			   : i == N_OF(sum_width)
			       ? graph_reshape(s->g, small_noise(s, 1), shape_scalar(true))
			       : graph_reshape(s->g, columns(s, x, 7, 1), shape_scalar(true));
		NodeId sum = graph_1(s->g, OP_SUM_ROWS, y);
		small_param(s, s->g->node.at[sum].shape);
		small_root(s, ROOT_GRAD, i, sum);
	}
	small_loss(s, graph_reshape(s->g, small_noise(s, 1), shape_scalar(true)));
	small_finish(s);
}

/* One block: eight chains by row, a tree. */
static float block_sum(Harness *h, int noise, int column, int64_t from)
{
	float s[8] = {0};
	int64_t to = from + ROW_BLOCK < h->rows ? from + ROW_BLOCK : h->rows;
	for (int64_t r = from; r < to; r++) s[(r - from) % 8] += row_of(h, noise, r)[column];
	return tree(s, 8);
}

static void test_sums(void)
{
	int64_t bad = 0;
	for (int t = 0; t < n_targets; t++)
		for (int i = 0; sums->low[t] && i < N_OF(rows_tried); i++)
			for (int b = 0; b < BACKENDS; b++) {
				Harness *h = small_rows(sums, t, rows_tried[i], 1);
				h->lib = sums->lib[b];
				set_rows(h, in_order);
				if (!small_gradients(h, RUN_KERNEL, 1)) continue;
				const float *g = harness_buffer(h, SLOT_GRAD, 0)->f,
					    *loss = harness_buffer(h, SLOT_LOSS, 0)->f;
				for (int k = 0; k < N_OF(sum_width); k++)
					for (int c = 0; c < sum_width[k]; c++) {
						float s = 0;
						for (int64_t r = 0; r < h->rows; r++)
							s += row_of(h, 0, r)[AT + c];
						bad += !same(g[spec_param_offset(h->spec, k) + c], s);
					}
				float alone = 0, strided = 0;
				for (int64_t r = 0; r < h->rows; r += ROW_BLOCK) {
					alone += block_sum(h, 1, 0, r);
					strided += block_sum(h, 0, 7, r);
					bad += !same(loss[r / ROW_BLOCK], block_sum(h, 2, 0, r));
				}
				bad += !same(g[spec_param_offset(h->spec, N_OF(sum_width))], alone);
				bad += !same(g[spec_param_offset(h->spec, N_OF(sum_width) + 1)], strided);
				if (i < 4 && b == 0) CU_ASSERT_EQUAL(small_bits(sums, h), 0);
			}
	CU_ASSERT_EQUAL(bad, 0);
}

/* ---- tables ---- */

static Small *tables;
static const int dims[] = {1, 3, 8, 17, 40};
enum { MOST_DIM = 40 };

static void build_tables(void)
{
	Small *s = tables = small_new(&lab, "tables");
	for (int i = 0; i < 2 * N_OF(dims); i++) {
		small_out(s, small_lookup(s, shape_1(true, dims[i / 2])));
		if (i % 2) s->spec->feature.at[i].kind = FEATURE_BAG;
	}
	small_finish(s);
}

static void test_tables(void)
{
	int64_t bad = 0, empty = 0;
	for (int t = 0; t < n_targets; t++)
		for (int n = 1; tables->low[t] && n < 300; n = n * 3 + 1)
			for (int b = 0; b < BACKENDS; b++) {
				Harness *h = harness_new(lab.c.arena, tables->spec, tables->low[t],
							 tables->lib[b], n, 3);
				if (!small_scores(h, RUN_KERNEL)) continue;
				for (int i = 0, at = 0; i < 2 * N_OF(dims); at += dims[i++ / 2])
					for (int64_t r = 0; r < n; r++)
						for (int c = 0; c < dims[i / 2]; c++) {
							const float *table =
							    harness_buffer(h, SLOT_TABLE, i)->f;
							int stride = h->spec->table.at[i].stride;
							float want = 0;
							if (i % 2 == 0) {
								want = table[harness_buffer(h, SLOT_ID, i)
										     ->i[r] *
										 stride +
									     c];
							} else {
								const int32_t *start =
								    harness_buffer(h, SLOT_BAG_START, i)->i;
								for (int32_t k = start[r]; k < start[r + 1];
								     k++)
									want =
									    mad(h->low->target,
										harness_buffer(
										    h, SLOT_BAG_SCALE, i)
										    ->f[k],
										table[harness_buffer(
											  h, SLOT_BAG_ITEM, i)
											      ->i[k] *
											  stride +
										      c],
										want);
								empty += start[r] == start[r + 1];
							}
							bad += !same(out_of(h, r, at + c), want);
						}
				if (n == 13 && b == 0) CU_ASSERT_EQUAL(small_bits(tables, h), 0);
			}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT(empty > 0); /* a bag of nothing is a row of zeros */
}

/* ---- optimisers ---- */

static const struct {
	const char *name;
	Optimizer o;
	double clip;
} rule[] = {
    {"sgd", {.kind = OPT_SGD}, 0},
    {"adagrad", {.kind = OPT_ADAGRAD, .eps = 1e-10}, 0},
    {"adam", {.kind = OPT_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8}, 0},
    {"momentum", {.kind = OPT_MOMENTUM, .beta1 = 0.8}, 0},
    {"nesterov", {.kind = OPT_NESTEROV, .beta1 = 0.8, .l2 = 0.3}, 1},
    {"ftrl", {.kind = OPT_FTRL, .beta1 = 1}, 0},
    {"ftrl_l1", {.kind = OPT_FTRL, .beta1 = 0.5, .l1 = 4, .l2 = 0.3}, 1},
    {"row_adagrad", {.kind = OPT_ROW_ADAGRAD, .eps = 1e-10}, 0},
    {"row_adagrad_l2", {.kind = OPT_ROW_ADAGRAD, .eps = 1e-10, .l1 = 2, .l2 = 0.3}, 1},
    {"adamw", {.kind = OPT_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.4}, 0},
    {"sgd_l1", {.kind = OPT_SGD, .l1 = 4}, 0},
};
enum { RULES = sizeof rule / sizeof *rule };
static Small *stepped[RULES];

static void build_steps(void)
{
	for (int k = 0; k < RULES; k++) {
		Small *s = stepped[k] = small_new(&lab, rule[k].name);
		s->spec->dense = s->spec->tables = rule[k].o;
		if (rule[k].o.kind == OPT_ROW_ADAGRAD) s->spec->dense.kind = OPT_ADAGRAD;
		s->spec->clip = rule[k].clip;
		NodeId loss = 0;
		for (int i = 0; i < N_OF(dims); i++) {
			NodeId p = small_param(s, shape_1(false, dims[i])),
			       x = small_lookup(s, shape_1(true, dims[i]));
			NodeId y = graph_1(s->g, OP_SUM_LAST, graph_2(s->g, OP_MUL, x, p));
			loss = loss ? graph_2(s->g, OP_ADD, loss, y) : y;
		}
		small_loss(s, loss);
		small_finish(s);
	}
}

/* HYPER: lr, c1, c2, l2 (ftrl: lr l2), lr l1, 1 - lr decay, clip. */
static const double hyper[] = {0.05, 1.9, 3.1, 0.3, 0.2, 0.98, 0.7};

static double soft(double x, double by) { return fabs(x) > by ? copysign(fabs(x) - by, x) : 0; }

/*
 * One step in double, by the formulas at the head of pass/update.c; *a is that of the row for row_adagrad,
 * with the gradient in it.
 */
static void step(const Optimizer *o, double clip, double *w, double *a, double *b, double g)
{
	double lr = hyper[0], l1 = o->l1 > 0 ? hyper[4] : 0, was = *w, n;
	if (clip > 0) g *= hyper[6];
	if (o->l2 > 0 && o->kind != OPT_FTRL) g += hyper[3] * *w;
	switch (o->kind) {
	case OPT_SGD: *w -= lr * g; break;
	case OPT_MOMENTUM:
	case OPT_NESTEROV:
		*a = o->beta1 * *a + g;
		*w -= lr * (o->kind == OPT_MOMENTUM ? *a : g + o->beta1 * *a);
		break;
	case OPT_ADAGRAD: *a += g * g; /* fall through */
	case OPT_ROW_ADAGRAD: *w -= lr * g / (sqrt(*a) + o->eps); break;
	case OPT_ADAM:
		*a = o->beta1 * *a + (1 - o->beta1) * g;
		*b = o->beta2 * *b + (1 - o->beta2) * g * g;
		*w -= lr * (*a * hyper[1]) / (sqrt(*b * hyper[2]) + o->eps);
		break;
	case OPT_FTRL:
		n = *a + g * g;
		*b = (*a > 0 ? *b : -o->beta1 * *w) + lr * g - (sqrt(n) - sqrt(*a)) * *w;
		*a = n;
		*w = -soft(*b, l1) / (o->beta1 + sqrt(n) + (o->l2 > 0 ? hyper[3] : 0));
		return;
	}
	if (o->decay > 0) *w -= (1 - hyper[5]) * was;
	*w = soft(*w, l1);
}

/* `least`: of the terms that the number is a sum of, and which may cancel. */
static bool near_of(double got, double want, double least)
{
	return fabs(got - want) <= 1e-6 * fmax(least, fabs(want));
}
static bool near(double got, double want) { return near_of(got, want, 0.1); }

static void random_all(Harness *h, SlotKind kind, int index, double lo, double hi, uint64_t *rng)
{
	Buffer *b = harness_buffer(h, kind, index);
	for (int64_t i = 0; b && i < b->n; i++)
		harness_set(b, i, (float)(lo + (hi - lo) * harness_random(rng)));
}

static Harness *ready(Small *s, int t, int b)
{
	Harness *h = small_rows(s, t, 20, 1);
	uint64_t rng = 6;
	h->lib = s->lib[b];
	random_all(h, SLOT_PARAM, 0, -1, 1, &rng);
	random_all(h, SLOT_GRAD, 0, -1, 1, &rng);
	random_all(h, SLOT_DROWS, 0, -1, 1, &rng);
	for (int i = 0; i < 2; i++) random_all(h, SLOT_MOMENT, i, 0.1, 1, &rng);
	for (int i = 0; i < N_OF(dims); i++) random_all(h, SLOT_TABLE, i, 0.1, 1, &rng);
	for (int i = 0; i < N_OF(hyper); i++)
		harness_set(harness_buffer(h, SLOT_HYPER, 0), i, (float)hyper[i]);
	/* Rows and parameters that no gradient has met. */
	for (int i = 0; i < N_OF(dims); i++)
		for (int64_t e = 0; e < h->spec->table.at[i].stride; e++)
			if (e >= dims[i])
				harness_set(harness_buffer(h, SLOT_TABLE, i),
					    3 * h->spec->table.at[i].stride + e, 0);
	for (int i = 0; i < 2; i++)
		if (harness_buffer(h, SLOT_MOMENT, i)) harness_set(harness_buffer(h, SLOT_MOMENT, i), 7, 0);
	harness_sync(h);
	return h;
}

/* The interpreter has run on d; the kernel does on f. */
static bool both(Harness *h, int entry, int64_t lo, int64_t hi)
{
	int64_t size[] = {lo, hi};
	return small_ran(h,
			 harness_run(h, RUN_FLOAT, entry, size) && harness_run(h, RUN_KERNEL, entry, size));
}

static void test_dense_steps(void)
{
	for (int k = 0; k < RULES; k++)
		for (int t = 0; t < n_targets; t++)
			for (int b = 0; stepped[k]->low[t] && b < BACKENDS; b++) {
				Harness *h = ready(stepped[k], t, b), *was = ready(stepped[k], t, b);
				const Optimizer *o = &stepped[k]->spec->dense;
				int64_t n = spec_param_floats(h->spec), lo = 5, hi = n - 16, bad = 0;
				if (!both(h, E_UPDATE, lo, hi)) continue;
				const Buffer *p = harness_buffer(h, SLOT_PARAM, 0), *m[2];
				for (int i = 0; i < 2; i++) m[i] = harness_buffer(h, SLOT_MOMENT, i);
				for (int64_t i = 0; i < n; i++) {
					double w = harness_buffer(was, SLOT_PARAM, 0)->d[i], v[2] = {0};
					for (int q = 0; q < 2; q++)
						if (m[q]) v[q] = harness_buffer(was, SLOT_MOMENT, q)->d[i];
					if (i >= lo && i < hi)
						step(o, rule[k].clip, &w, &v[0], &v[1],
						     harness_buffer(was, SLOT_GRAD, 0)->d[i]);
					bad += !near(p->f[i], w) || (m[0] && !near(m[0]->f[i], v[0])) ||
					       (m[1] && !near(m[1]->f[i], v[1]));
				}
				CU_ASSERT_EQUAL(bad, 0);
				CU_ASSERT_EQUAL(small_differ(h, SLOT_PARAM, backend_name[b]), 0);
				CU_ASSERT_EQUAL(small_differ(h, SLOT_MOMENT, backend_name[b]), 0);
			}
}

static void test_table_steps(void)
{
	static const int32_t uniq[] = {7, 0, 12, 3},
			     start[] = {0, 2, 3, 3, 6}; /* row 12: no occurrence left */
	for (int k = 0; k < RULES; k++)
		for (int t = 0; t < n_targets; t++)
			for (int b = 0; stepped[k]->low[t] && b < BACKENDS; b++)
				for (int i = 0; i < N_OF(dims); i++) {
					Harness *h = ready(stepped[k], t, b), *was = ready(stepped[k], t, b);
					const Spec *s = h->spec;
					const Optimizer *o = &s->tables;
					int stride = s->table.at[i].stride, dim = dims[i], bad = 0;
					int32_t src[6];
					for (int q = 0; q < 6; q++) {
						src[q] = (q * 7 % 20) * s->n_drow + s->lookup.at[i].offset;
						harness_buffer(h, SLOT_SRC, 0)->i[q] = src[q];
						harness_set(harness_buffer(h, SLOT_SCALE, 0), q,
							    0.25 * q + 0.5);
					}
					memcpy(harness_buffer(h, SLOT_UNIQ, 0)->i, uniq, sizeof uniq);
					memcpy(harness_buffer(h, SLOT_START, 0)->i, start, sizeof start);
					if (!both(h, E_TABLE + i, 1, 4))
						continue; /* row 7 is another thread's */
					const Buffer *table = harness_buffer(h, SLOT_TABLE, i);
					double *want = harness_buffer(was, SLOT_TABLE, i)->d;
					const double *d = harness_buffer(was, SLOT_DROWS, 0)->d;
					int n = optimizer_moments(o);
					bool row = o->kind == OPT_ROW_ADAGRAD,
					     summed = o->kind == OPT_MOMENTUM || o->kind == OPT_NESTEROV;
					for (int u = 1; u < 4; u++) {
						double *w = want + uniq[u] * stride, none = 0,
						       g[MOST_DIM] = {0};
						for (int c = 0; c < dim; c++)
							for (int q = start[u]; q < start[u + 1]; q++)
								g[c] += (0.25 * q + 0.5) * d[src[q] + c];
						for (int c = 0; row && c < dim; c++) {
							double all =
							    (rule[k].clip > 0 ? hyper[6] : 1) * g[c] +
							    (o->l2 > 0 ? hyper[3] : 0) * w[c];
							w[dim] += all * all / dim;
						}
						for (int c = 0; c < dim; c++)
							step(o, rule[k].clip, w + c,
							     row ? w + dim
							     : n ? w + c + dim
								 : &none,
							     n > 1 ? w + c + 2 * dim : &none, g[c]);
					}
					for (int64_t e = 0; e < table->n; e++)
						bad += !near_of(table->f[e], want[e], summed ? 1 : 0.1);
					CU_ASSERT_EQUAL(bad, 0);
					for (int64_t e = 0; e < table->n; e++)
						bad += !same(table->f[e], (float)table->d[e]);
					CU_ASSERT_EQUAL(bad, 0);
				}
}

static void test_build(void)
{
	lab_open(&lab);
	dense = build_dense("dense", false);
	library = build_dense("library", true);
	build_sums();
	build_tables();
	build_steps();
	CU_ASSERT_FATAL(lab_load(&lab));
}

static int done(void)
{
	lab_close(&lab);
	return 0;
}

int main(void)
{
	CU_pSuite s = suite_between("kernels", NULL, done);
	CU_add_test(s, "lowered and compiled", test_build);
	CU_add_test(s, "products are their sums", test_products);
	CU_add_test(s, "a library's products are within the bound", test_library_products);
	CU_add_test(s, "products in the interpreter", test_interpreter);
	CU_add_test(s, "a row alone and among others", test_rows_alone);
	CU_add_test(s, "machines agree", test_machines);
	CU_add_test(s, "sums over rows", test_sums);
	CU_add_test(s, "lookups and bags", test_tables);
	CU_add_test(s, "steps of dense parameters", test_dense_steps);
	CU_add_test(s, "steps of tables", test_table_steps);
	return suite_end();
}
