/*
 * Ops over the steps of sequences and scans, against loops over rows and times that know nothing of the order
 * in which steps lie: values, gradients by differences, bits, and that no row sees another's length.
 */
#include "example.h"
#include "suite.h"
#include "small.h"

enum { MAX = 4, WIDE = 19, LONG = 3, BIG = 300 };
static const int rows_tried[] = {1, 5, 128, 131};

static Lab lab;

/* Lengths 0 to 3 in no order. */
static void lengths(int64_t rows, int salt, int *length)
{
	for (int64_t r = 0; r < rows; r++) length[r] = (int)((r * 7 + r * r / 3 + salt) % (LONG + 1));
}

/* Where the step of row r at time t lies among all steps: by the rule, without the code that does it. */
static int64_t place(const int *length, int64_t rows, int64_t r, int t)
{
	int64_t first = r / ROW_BLOCK * ROW_BLOCK, end = first + ROW_BLOCK < rows ? first + ROW_BLOCK : rows,
		at = 0;
	for (int64_t k = 0; k < first; k++) at += length[k];
	for (int64_t k = first; k < end; k++) {
		for (int u = 0; u < length[k]; u++) at += u < t;
		if (length[k] > t && (length[k] > length[r] || (length[k] == length[r] && k < r))) at++;
	}
	return at;
}

/* ---- the order of steps ---- */

static void test_order(void)
{
	for (size_t i = 0; i < sizeof rows_tried / sizeof *rows_tried; i++)
		for (int salt = 0; salt < 3; salt++) {
			int rows = rows_tried[i], length[BIG];
			int32_t start[BIG + 1] = {0}, at[BIG * LONG], row[2 * BIG],
					    block[3 * (MAX + MTL_STEP_HEAD)];
			lengths(rows, salt, length);
			for (int r = 0; r < rows; r++) start[r + 1] = start[r] + length[r];
			MtlSteps s = {.at = at, .row = row, .block = block};
			mtl_steps_fill(&s, start, rows, MAX);
			for (int r = 0; r < rows; r++) {
				CU_ASSERT_EQUAL(row[2 * r + 1], length[r]);
				const int32_t *line = block + r / ROW_BLOCK * (MAX + MTL_STEP_HEAD);
				CU_ASSERT_EQUAL(line[MTL_STEP_FIRST], start[r / ROW_BLOCK * ROW_BLOCK]);
				for (int t = 0; t < length[r]; t++) {
					int64_t step = place(length, rows, r, t);
					CU_ASSERT_EQUAL(at[step], start[r] + t);
					CU_ASSERT_EQUAL(line[MTL_STEP_FIRST] + line[MTL_STEP_TIME0 + t] +
							    row[2 * r],
							step);
				}
			}
		}
}

/* ---- ops, on widths of their own ---- */

static const int width[] = {1, 5, 8, WIDE, 35};
enum { WIDTHS = sizeof width / sizeof *width };

typedef struct {
	int x, row, dy;			       /* lookups: steps [n, T, d], rows [n, d] twice */
	int sum, max, last, first;	       /* columns of OUT */
	int each, put_last, put_first, max_dx; /* lookups whose gradient the value is said to be */
} Cases;

static Small *ops;
static Cases cases[WIDTHS];
static int length_at, seq;

/* Lets a value of every step be seen: as the gradient of a lookup. */
static int show(Small *s, NodeId x)
{
	int lookup = s->spec->lookup.n;
	small_steps(s, seq, shape_1(true, (int)shape_size(s->g->node.at[x].shape)));
	small_root(s, ROOT_DROW, lookup, x);
	return lookup;
}

static void build_ops(void)
{
	Small *s = ops = small_new(&lab, "steps");
	seq = small_seq(s, MAX);
	Graph *g = s->g;
	for (int i = 0; i < WIDTHS; i++) {
		Cases *c = &cases[i];
		Shape shape = width[i] > 1 ? shape_1(true, width[i]) : shape_scalar(true);
		c->x = s->spec->lookup.n;
		NodeId x = small_steps(s, seq, shape);
		c->row = s->spec->lookup.n;
		NodeId row = small_lookup(s, shape);
		c->dy = s->spec->lookup.n;
		NodeId dy = small_lookup(s, shape), max = graph_1(g, OP_MAX_STEPS, x);
		Attr last = {.i = 1, .j = seq}, first = {.j = seq};
		c->sum = small_out(s, graph_1(g, OP_SUM_STEPS, x));
		c->max = small_out(s, max);
		c->last = small_out(s, graph_op(g, OP_END_STEP, 1, &x, last, (Span){0}));
		c->first = small_out(s, graph_op(g, OP_END_STEP, 1, &x, first, (Span){0}));
		c->each = show(s, graph_op(g, OP_EACH_STEP, 1, &row, (Attr){.i = seq}, (Span){0}));
		c->put_last = show(s, graph_op(g, OP_PUT_STEP, 1, &row, last, (Span){0}));
		c->put_first = show(s, graph_op(g, OP_PUT_STEP, 1, &row, first, (Span){0}));
		c->max_dx = show(s, graph_3(g, OP_MAX_STEPS_DX, x, max, dy));
	}
	length_at = small_out(s, graph_op(g, OP_LENGTH, 0, NULL, (Attr){.i = seq}, (Span){0}));
	small_finish(s);
}

static double table(const Harness *h, int lookup, int64_t row, int e)
{
	return harness_buffer((Harness *)(uintptr_t)h, SLOT_TABLE, lookup)->d[small_at(h, lookup, row, e)];
}

static double shown(Harness *h, int lookup, int64_t step, int e)
{
	return harness_buffer(h, SLOT_DSTEPS, seq - 1)
	    ->d[step * h->spec->seq.at[seq - 1].n_drow + h->spec->lookup.at[lookup].offset + e];
}

static void same(double got, double want, const char *what, int64_t r, int t)
{
	if (fabs(got - want) <= 1e-12 * fmax(1, fabs(want))) return;
	fprintf(stderr, "%s, row %lld, time %d: %.12g, not %.12g\n", what, (long long)r, t, got, want);
	CU_FAIL("a value over steps is not that of its formula");
}

/* Column e of row r; its items begin at table row `from`. */
static void check_column(Harness *h, const Cases *c, const int *length, int64_t r, int64_t from, int e)
{
	int n = length[r], best = 0;
	double sum = 0, max = 0, row = table(h, c->row, r, e);
	for (int t = 0; t < n; t++) {
		double x = table(h, c->x, from + t, e);
		sum += x;
		if (t == 0 || x > max) max = x, best = t;
	}
	same(small_value(h, RUN_DOUBLE, r, c->sum + e), sum, "sum_steps", r, 0);
	same(small_value(h, RUN_DOUBLE, r, c->max + e), max, "max_steps", r, 0);
	same(small_value(h, RUN_DOUBLE, r, c->first + e), n ? table(h, c->x, from, e) : 0, "first", r, 0);
	same(small_value(h, RUN_DOUBLE, r, c->last + e), n ? table(h, c->x, from + n - 1, e) : 0, "last", r,
	     0);
	for (int t = 0; t < n; t++) {
		int64_t step = place(length, h->rows, r, t);
		same(shown(h, c->each, step, e), row, "each_step", r, t);
		same(shown(h, c->put_last, step, e), t == n - 1 ? row : 0, "put_step last", r, t);
		same(shown(h, c->put_first, step, e), t == 0 ? row : 0, "put_step first", r, t);
		same(shown(h, c->max_dx, step, e), t == best ? table(h, c->dy, r, e) : 0, "max_steps_dx", r,
		     t);
	}
}

/* Numbers of few values, so that some maxima are reached twice. */
static void fill(Harness *h, uint64_t rng)
{
	for (int i = 0; i < h->spec->table.n; i++) {
		Buffer *b = harness_buffer(h, SLOT_TABLE, i);
		for (int64_t k = 0; b && k < b->n; k++)
			harness_set(b, k, floor(harness_random(&rng) * 9 - 4) / 4);
	}
}

static void test_ops(void)
{
	for (int t = 0; t < n_targets; t++)
		for (size_t i = 0; ops->low[t] && i < sizeof rows_tried / sizeof *rows_tried; i++) {
			Harness *h = small_rows(ops, t, rows_tried[i], 3);
			int length[BIG];
			lengths(h->rows, (int)i + 1, length);
			small_lengths(h, seq, length);
			fill(h, i);
			if (!small_scores(h, RUN_DOUBLE) || !small_gradients(h, RUN_DOUBLE, 1)) continue;
			int64_t from = 0;
			for (int64_t r = 0; r < h->rows; from += length[r++]) {
				same(small_value(h, RUN_DOUBLE, r, length_at), length[r], "length", r, 0);
				for (int c = 0; c < WIDTHS; c++)
					for (int e = 0; e < width[c]; e++)
						check_column(h, &cases[c], length, r, from, e);
			}
			CU_ASSERT_EQUAL(small_bits(ops, h), 0);
		}
}

/* ---- examples of the ops' rows: lists in lists are steps ---- */

static Small *examples;
static Example example[OP_N];
static int n_examples;

static void build_examples(void)
{
	examples = small_new(&lab, "step_examples");
	seq = small_seq(examples, 2);
	for (OpCode op = 1; op < OP_N; op++) {
		Example *e = &example[n_examples];
		if (op_table[op]->group != GROUP_SEQ || !op_table[op]->example) continue;
		CU_ASSERT_FATAL(read_example(op, e));
		NodeId in[OPERANDS];
		for (int i = 0; i < e->n; i++) {
			Shape s = shape_1(true, e->in[i].inner);
			e->lookup[i] = examples->spec->lookup.n;
			in[i] = e->in[i].outer ? small_steps(examples, seq, s) : small_lookup(examples, s);
		}
		if (op == OP_EACH_STEP) e->attr.i = seq;
		e->attr.j = seq;
		NodeId y = graph_op(examples->g, op, e->n, in, e->attr, (Span){0});
		bool steps = examples->g->node.at[y].shape.seq;
		e->slot = steps ? SLOT_DSTEPS : SLOT_OUT;
		e->at = steps ? show(examples, y) : small_out(examples, y);
		n_examples++;
	}
	small_finish(examples);
}

static void test_examples(void)
{
	CU_ASSERT(n_examples >= 6);
	Harness *h = small_rows(examples, 0, 1, 1);
	for (int t = 0; t < n_targets; t++)
		if (examples->low[t]) h = small_rows(examples, t, 1, 1);
	small_lengths(h, seq, (int[]){2});
	for (int i = 0; i < n_examples; i++)
		for (int k = 0; k < example[i].n; k++) {
			const List *l = &example[i].in[k];
			for (int j = 0; j < (l->outer ? l->outer : 1) * l->inner; j++)
				harness_set(harness_buffer(h, SLOT_TABLE, example[i].lookup[k]),
					    small_at(h, example[i].lookup[k], j / l->inner, j % l->inner),
					    l->x[j]);
		}
	if (!small_scores(h, RUN_DOUBLE) || !small_gradients(h, RUN_DOUBLE, 1)) return;
	for (int i = 0; i < n_examples; i++) {
		const Example *e = &example[i];
		int d = e->want.inner;
		for (int j = 0; j < (e->want.outer ? e->want.outer : 1) * d; j++)
			same(e->slot == SLOT_OUT ? small_value(h, RUN_DOUBLE, 0, e->at + j)
						 : shown(h, e->at, j / d, j % d),
			     e->want.x[j], op_table[e->op]->example, 0, j / d);
	}
}

/* ---- a scan of two states, and its gradient ----
 *   a' = tanh(x + r + a U + 0.5 b)      b' = 0.75 b + a' x      loss = sum over t of a' b' + last b + max
 * over t of a' */

enum { D = WIDE };
static Small *scan;
static int scan_x, scan_r, scan_u, scan_loss, scan_b;

static void build_scan(void)
{
	Small *s = scan = small_new(&lab, "scan");
	seq = small_seq(s, MAX);
	Graph *g = s->g;
	scan_x = s->spec->lookup.n;
	NodeId x = small_steps(s, seq, shape_1(true, D));
	scan_r = s->spec->lookup.n;
	NodeId r = small_lookup(s, shape_1(true, D));
	r = graph_op(g, OP_EACH_STEP, 1, &r, (Attr){.i = seq}, (Span){0});
	scan_u = s->spec->param.n;
	NodeId U = small_param(s, shape_2(false, D, D)), in[2], state[2];
	Shape shape = g->node.at[x].shape;
	for (int i = 0; i < 2; i++)
		state[i] = graph_push(g, OP_STATE, shape, 0, NULL, (Attr){.i = i, .j = 1}, (Span){0});
	NodeId z = graph_op(g, OP_DENSE, 3, (NodeId[]){state[0], U, 0}, (Attr){0}, (Span){0});
	z = graph_2(g, OP_ADD, graph_2(g, OP_ADD, graph_2(g, OP_ADD, x, r), z),
		    graph_2(g, OP_MUL, state[1], graph_k(g, x, 0.5)));
	in[0] = graph_1(g, OP_TANH, z);
	in[1] = graph_2(g, OP_ADD, graph_2(g, OP_MUL, state[1], graph_k(g, x, 0.75)),
			graph_2(g, OP_MUL, in[0], x));
	NodeId a = graph_op(g, OP_SCAN, 2, in, (Attr){.i = 0, .j = 1}, (Span){0}),
	       b = graph_op(g, OP_SCAN, 2, in, (Attr){.i = 1, .j = 1}, (Span){0});
	NodeId last = graph_op(g, OP_END_STEP, 1, &b, (Attr){.i = 1}, (Span){0});
	NodeId row = graph_1(g, OP_SUM_LAST, graph_1(g, OP_SUM_STEPS, graph_2(g, OP_MUL, a, b)));
	row = graph_2(g, OP_ADD, row, graph_1(g, OP_SUM_LAST, last));
	row = graph_2(g, OP_ADD, row, graph_1(g, OP_SUM_LAST, graph_1(g, OP_MAX_STEPS, a)));
	scan_b = small_out(s, last);
	scan_loss = small_out(s, row);
	small_loss(s, row);
	small_finish(s);
}

/* One row's loss; b of its last step is left in b. */
static double naive(const Harness *h, int64_t row, int n, int64_t from, double *b)
{
	const double *U =
	    harness_buffer((Harness *)(uintptr_t)h, SLOT_PARAM, 0)->d + spec_param_offset(h->spec, scan_u);
	double a[D] = {0}, next[D], most[D] = {0}, loss = 0;
	for (int e = 0; e < D; e++) b[e] = 0;
	for (int t = 0; t < n; t++) {
		for (int e = 0; e < D; e++) {
			double z = table(h, scan_x, from + t, e) + table(h, scan_r, row, e) + 0.5 * b[e];
			for (int k = 0; k < D; k++) z += a[k] * U[k * D + e];
			next[e] = tanh(z);
		}
		for (int e = 0; e < D; e++) {
			a[e] = next[e];
			b[e] = 0.75 * b[e] + a[e] * table(h, scan_x, from + t, e);
			most[e] = t == 0 || a[e] > most[e] ? a[e] : most[e];
			loss += a[e] * b[e];
		}
	}
	for (int e = 0; e < D; e++) loss += b[e] + most[e];
	return loss;
}

static double total(Harness *h)
{
	double sum = 0;
	small_scores(h, RUN_DOUBLE);
	for (int64_t r = 0; r < h->rows; r++) sum += small_value(h, RUN_DOUBLE, r, scan_loss);
	return sum;
}

static double slope(Harness *h, double *x)
{
	double was = *x;
	*x = was + 1e-6;
	double up = total(h);
	*x = was - 1e-6;
	double down = total(h);
	*x = was;
	return (up - down) / 2e-6;
}

static void close_to(double got, double want, const char *what)
{
	if (fabs(got - want) <= 2e-6 * fmax(1, fabs(want))) return;
	fprintf(stderr, "%s: gradient %.9g, differences %.9g\n", what, got, want);
	CU_FAIL("the gradient of a scan is not that of its value");
}

static void check_slopes(Harness *h, const int *length)
{
	int64_t from = 0;
	if (!small_gradients(h, RUN_DOUBLE, 1)) return;
	Buffer *d = harness_buffer(h, SLOT_DSTEPS, seq - 1), *x = harness_buffer(h, SLOT_TABLE, scan_x),
	       *u = harness_buffer(h, SLOT_PARAM, 0), *du = harness_buffer(h, SLOT_GRAD, 0);
	double *steps = arena_new(h->arena, double, d->n), *grad = arena_new(h->arena, double, du->n);
	memcpy(steps, d->d, sizeof *steps * (size_t)d->n);
	memcpy(grad, du->d, sizeof *grad * (size_t)du->n);
	double drow[BIG];
	for (int64_t r = 0; r < h->rows; r++) drow[r] = small_drow(h, RUN_DOUBLE, r, scan_r, (int)r % D);
	for (int64_t r = 0; r < h->rows; r++)
		close_to(
		    drow[r],
		    slope(h, &harness_buffer(h, SLOT_TABLE, scan_r)->d[small_at(h, scan_r, r, (int)r % D)]),
		    "a row");
	for (int64_t r = 0; r < h->rows; from += length[r++])
		for (int t = 0; t < length[r]; t++) {
			int e = (int)(r * 5 + t) % D;
			close_to(steps[place(length, h->rows, r, t) * D + e],
				 slope(h, &x->d[small_at(h, scan_x, from + t, e)]), "a step");
		}
	for (int i = 0; i < 9; i++) {
		int64_t at = spec_param_offset(h->spec, scan_u) + (int64_t)i * 37 % (D * D);
		close_to(grad[at], slope(h, &u->d[at]), "the matrix");
	}
}

static void test_scan(void)
{
	int slopes = 0;
	for (int t = 0; t < n_targets; t++)
		for (size_t i = 0; scan->low[t] && i < sizeof rows_tried / sizeof *rows_tried; i++) {
			Harness *h = small_rows(scan, t, rows_tried[i], 5);
			int length[BIG];
			double b[D];
			lengths(h->rows, (int)i, length);
			if (h->rows == 1) length[0] = 3;
			small_lengths(h, seq, length);
			fill(h, i);
			if (!small_scores(h, RUN_DOUBLE)) continue;
			int64_t from = 0;
			for (int64_t r = 0; r < h->rows; from += length[r++]) {
				same(small_value(h, RUN_DOUBLE, r, scan_loss),
				     naive(h, r, length[r], from, b), "scan", r, 0);
				for (int e = 0; e < D; e++)
					same(small_value(h, RUN_DOUBLE, r, scan_b + e), b[e], "state", r, e);
			}
			if (h->rows < 128 && slopes < 2) { /* in double all machines are one */
				check_slopes(h, length);
				slopes++;
			}
			CU_ASSERT_EQUAL(small_bits(scan, h), 0);
		}
	CU_ASSERT_EQUAL(slopes, 2);
}

/* Row 3 has the same two steps each time; the others have other lengths, or are not there. */
static void test_rows_are_alone(void)
{
	for (int t = 0; t < n_targets; t++) {
		double want[D + 1] = {0};
		for (int salt = 0; scan->low[t] && salt < 5; salt++) {
			Harness *h = small_rows(scan, t, salt == 4 ? 4 : 131, 5);
			int length[BIG];
			int64_t from = 0;
			lengths(h->rows, salt, length);
			for (int r = 0; r < 3; r++) from += length[r];
			length[3] = 2;
			small_lengths(h, seq, length);
			fill(h, (uint64_t)salt);
			for (int i = 0; i < 2 * D; i++)
				harness_set(harness_buffer(h, SLOT_TABLE, scan_x),
					    small_at(h, scan_x, from + i / D, i % D), (i % 7 - 3) / 8.0f);
			for (int e = 0; e < D; e++)
				harness_set(harness_buffer(h, SLOT_TABLE, scan_r), small_at(h, scan_r, 3, e),
					    e / 16.0);
			for (int64_t i = 0; i < D * D; i++)
				harness_set(harness_buffer(h, SLOT_PARAM, 0),
					    spec_param_offset(h->spec, scan_u) + i,
					    (double)(i % 11 - 5) / 32);
			h->lib = scan->lib[salt % BACKENDS];
			small_scores(h, RUN_KERNEL);
			for (int e = 0; e <= D; e++) {
				double got = small_value(h, RUN_KERNEL, 3, e < D ? scan_b + e : scan_loss);
				if (salt) CU_ASSERT_EQUAL(got, want[e]);
				want[e] = got;
			}
		}
	}
}

static void test_build(void)
{
	lab_open(&lab);
	build_ops();
	build_examples();
	build_scan();
	CU_ASSERT_FATAL(lab_load(&lab));
}

static int done(void)
{
	lab_close(&lab);
	return 0;
}

int main(void)
{
	CU_pSuite s = suite_between("sequence", NULL, done);
	CU_add_test(s, "lowered and compiled", test_build);
	CU_add_test(s, "steps lie time by time, long rows first", test_order);
	CU_add_test(s, "ops", test_ops);
	CU_add_test(s, "examples", test_examples);
	CU_add_test(s, "a scan and its gradient", test_scan);
	CU_add_test(s, "rows do not see each other", test_rows_are_alone);
	return suite_end();
}
