/*
 * The table of ops, row by row: what a row must say, its example, its values against a formula written
 * independently, its gradients against central differences, and its kernels' bits.
 *
 * Every op is one small model; each shape its operands may have is a case in it, of a width of its own, so
 * that no two cases share a kernel.
 */
#include "example.h"
#include "suite.h"
#include "small.h"
#include "ir/terms.h"
#include <stdlib.h>

#define N_OF(a) (sizeof(a) / sizeof *(a))
enum { CASES = 160, FAMILIES = 8 };
static const int rows_tried[] = {1, 7, 128, 130}; /* one row; fewer than a block; a block; more */

static Lab lab;
static bool is_input(OpCode op) { return op_table[op]->group == GROUP_INPUT; }
/* test_sequence.c, test_peers.c */
static bool elsewhere(OpCode op)
{
	return op_table[op]->group == GROUP_SEQ || op_table[op]->group == GROUP_PEERS;
}
static bool is_elementwise(OpCode op) { return op_table[op]->each != NULL; }

/* ---- what a row must say ---- */

static void complain(OpCode op, const char *what)
{
	fprintf(stderr, "op %s: %s\n", op_table[op]->word, what);
	CU_FAIL("a row of the table of ops is not complete");
}

static void test_rows_are_complete(void)
{
	static const struct {
		OpCode op;
		int n_in;
		OpGroup group;
		const char *word;
	} listed[] = {
#define OP(NAME, w, n, g) {OP_##NAME, n, GROUP_##g, #w},
#include "ir/ops.def"
#undef OP
	};
	CU_ASSERT_EQUAL(sizeof listed / sizeof *listed, OP_N - 1);
	for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
		OpCode k = listed[i].op;
		const Op *op = op_table[k];
		bool made = k == OP_RESHAPE || k == OP_SPREAD; /* their shape is what is asked for */
		if (!op->doc || !*op->doc || op->doc[strlen(op->doc) - 1] != '.') complain(k, "no sentence");
		if (!op->word || strcmp(op->word, listed[i].word)) complain(k, "its word is not the list's");
		if (op->n_in != listed[i].n_in) complain(k, "not the list's number of operands");
		if (op->group != listed[i].group) complain(k, "not the list's group");
		if (op_find(op->word) != k) complain(k, "not found by its word");
		if (!op->shape && !made) complain(k, "no shape rule");
		if (!is_input(k) && !op->formula) complain(k, "no formula");
		if (!is_input(k) && k != OP_LOOKUP && op->n_in && k != OP_SCAN && !op->example)
			complain(k, "no example");
		if (!is_input(k) && !op->each == !op->lower) complain(k, "neither or both of each and lower");
		if (op->lo > op->hi) complain(k, "an empty domain");
	}
	CU_ASSERT_EQUAL(op_find("no such op"), OP_NONE);
}

/* ---- examples: op([1, 2], [[1, 2], [3, 4]], k: 0.1) == [1, 2] ---- */

static Example example[OP_N];
static int n_examples;
static Small *examples;

/* The lists are one row, except where an op is about rows; weights are parameters. */
static bool over_rows(OpCode op)
{
	return op == OP_SUM_ROWS || op == OP_BLOCK_SUM || op == OP_DENSE_DW || op == OP_PAIR_SUM_DR;
}
static bool is_weight(OpCode op, int operand)
{
	return op == OP_TRIANGLE || op == OP_TRIANGLE_DX ||
	       (operand == 1 &&
		(op == OP_DENSE_REST || op == OP_PAIR_SUM || op == OP_PAIR_FIRST || op == OP_PAIR_REST)) ||
	       (operand == 2 && op == OP_PAIR_SUM_DV) ||
	       (operand > 0 && (op == OP_DENSE || op == OP_DENSE_DX || op == OP_DENSE_FIRST));
}
static int size_of(const List *l) { return l->outer ? l->outer * l->inner : l->inner; }
static Shape list_shape(const List *l, bool rows)
{
	return l->outer ? shape_2(rows, l->outer, l->inner) : shape_1(rows, l->inner);
}

static void build_example(Example *e, Small *s)
{
	NodeId in[OPERANDS], y;
	for (int i = 0; i < e->n; i++) {
		const List *l = &e->in[i];
		e->lookup[i] = e->param[i] = -1;
		if (is_weight(e->op, i)) {
			e->param[i] = s->spec->param.n;
			in[i] = small_param(s, list_shape(l, false));
			continue;
		}
		e->lookup[i] = s->spec->lookup.n;
		in[i] = small_lookup(s, !over_rows(e->op) ? list_shape(l, true)
					: l->outer	  ? shape_1(true, l->inner)
							  : shape_scalar(true));
	}
	if (e->op == OP_BLOCK_SUM) { /* a loss is the block_sum of its rows */
		e->slot = SLOT_LOSS;
		small_loss(s, in[0]);
		return;
	}
	if (e->op == OP_RESHAPE || e->op == OP_SPREAD)
		y = graph_push(s->g, e->op, list_shape(&e->want, true), 1, in, e->attr, (Span){0});
	else
		y = graph_op(s->g, e->op, e->n, in, e->attr, (Span){0});
	if (!over_rows(e->op) && !s->g->node.at[y].shape.rows)
		y = graph_push(s->g, OP_SPREAD, list_shape(&e->want, true), 1, &y, (Attr){0}, (Span){0});
	if (over_rows(e->op)) {
		e->slot = SLOT_GRAD;
		e->at = (int)spec_param_floats(s->spec);
		small_param(s, s->g->node.at[y].shape);
		small_root(s, ROOT_GRAD, s->spec->param.n - 1, y);
	} else {
		e->slot = SLOT_OUT;
		e->at = small_out(s, y);
	}
}

enum { EXAMPLE_ROWS = 3 };

/* One row is the same three times; rows that a list does not have are 0. */
static void set_example(const Example *e, Harness *h)
{
	for (int i = 0; i < e->n; i++) {
		const List *l = &e->in[i];
		int n = size_of(l), width = over_rows(e->op) ? (l->outer ? l->inner : 1) : n;
		for (int k = 0; e->param[i] >= 0 && k < n; k++)
			harness_set(harness_buffer(h, SLOT_PARAM, 0),
				    spec_param_offset(h->spec, e->param[i]) + k, l->x[k]);
		Buffer *b = harness_buffer(h, SLOT_TABLE, e->lookup[i]);
		for (int r = 0; e->lookup[i] >= 0 && r < EXAMPLE_ROWS; r++)
			for (int k = 0; k < width; k++) {
				int at = over_rows(e->op) ? r * width + k : k;
				harness_set(b, small_at(h, e->lookup[i], r, k), at < n ? l->x[at] : 0);
			}
	}
}

static void test_examples(void)
{
	CU_ASSERT(n_examples > 0);
	for (int t = 0; t < n_targets; t++) {
		if (!examples->low[t]) continue;
		Harness *h = small_rows(examples, t, EXAMPLE_ROWS, 1);
		for (int i = 0; i < n_examples; i++) set_example(&example[i], h);
		if (!small_scores(h, RUN_DOUBLE) || !small_gradients(h, RUN_DOUBLE, 1)) continue;
		for (int i = 0; i < n_examples; i++)
			for (int k = 0; k < size_of(&example[i].want); k++) {
				const Example *e = &example[i];
				double got =
				    harness_get(harness_buffer(h, e->slot, 0), RUN_DOUBLE, e->at + k);
				if (fabs(got - e->want.x[k]) <= 2e-9 * fmax(1, fabs(got))) continue;
				fprintf(stderr, "%s: element %d is %.10g\n", op_table[e->op]->example, k,
					got);
				CU_FAIL("an example is wrong");
			}
		for (int i = 0; i < n_examples; i++) set_example(&example[i], h);
		CU_ASSERT_EQUAL(small_bits(examples, h), 0);
	}
}

/* ---- cases: operands of every shape ---- */

typedef enum { FULL, CUBE, COLUMN, ROW, SCALAR, NUMBER, SHAPES } Kind;

typedef struct {
	OpCode op;
	Attr attr;
	int n;
	NodeId in[OPERANDS];
	Shape shape[OPERANDS];
	int lookup[OPERANDS], param[OPERANDS]; /* -1: not one */
	double number[OPERANDS];	       /* where it is neither */
	int out, width, noise;		       /* first column in OUT, width; factors of the loss */
} Case;

typedef struct {
	Small *s;
	int n;
	Case at[CASES];
	NodeId loss;
} Family;

static Family family[FAMILIES];
static int n_families;

static void operand(Family *f, Case *c, Shape shape, bool number)
{
	int i = c->n++;
	c->lookup[i] = c->param[i] = -1;
	c->shape[i] = shape;
	if (number) {
		const Op *op = op_table[c->op];
		c->number[i] = op->lo < op->hi ? op->lo + 0.3 * (op->hi - op->lo) : 0.7;
		c->in[i] = graph_const(f->s->g, c->number[i], (Span){0});
	} else if (shape.rows) {
		c->lookup[i] = f->s->spec->lookup.n;
		c->in[i] = small_lookup(f->s, shape);
	} else {
		c->param[i] = f->s->spec->param.n;
		c->in[i] = small_param(f->s, shape);
	}
}

/* Value to OUT; its sum, weighed by numbers of its own, to the loss. */
static void case_end(Family *f, Case *c, NodeId y)
{
	Small *s = f->s;
	Graph *g = s->g;
	Shape shape = g->node.at[y].shape;
	f->n++;
	if (!shape.rows) {
		shape.rows = true;
		y = small_spread(s, y, shape);
	}
	c->width = (int)shape_size(shape);
	c->out = small_out(s, y);
	c->noise = s->spec->noise.n;
	NodeId flat = graph_reshape(g, y, shape_1(true, c->width)), factors = small_noise(s, c->width);
	if (!op_table[c->op]->grad) return;
	NodeId row = graph_1(g, OP_SUM_LAST, graph_2(g, OP_MUL, factors, flat));
	f->loss = f->loss ? graph_2(g, OP_ADD, f->loss, row) : row;
}

static Family *family_open(const char *name)
{
	Family *f = &family[n_families++];
	f->s = small_new(&lab, name);
	return f;
}

static void family_close(Family *f)
{
	if (f->loss) small_loss(f->s, f->loss);
	small_finish(f->s);
}

static Case *case_open(Family *f, OpCode op)
{
	Case *c = &f->at[f->n];
	CU_ASSERT_FATAL(f->n < CASES);
	*c = (Case){.op = op};
	return c;
}

static void add_case(Family *f, OpCode op, int n, const Shape *in, Attr attr)
{
	Case *c = case_open(f, op);
	for (int i = 0; i < n; i++) operand(f, c, in[i], false);
	c->attr = attr;
	case_end(f, c, graph_op(f->s->g, op, n, c->in, attr, (Span){0}));
}

static Shape kind_shape(Kind k, int width)
{
	int wide = width * 2; /* of a cube and of what is broadcast to it */
	switch (k) {
	case FULL: return shape_1(true, width);
	case CUBE: return shape_2(true, 2, wide / 2);
	case COLUMN: return shape_1(false, width);
	case ROW: return shape_scalar(true);
	default: return shape_scalar(false);
	}
}

/*
 * How two operands may meet: for every op the first five, which broadcast either operand in every way; for
 * one op of each number of operands all of them.  Third and fourth operands go round.
 */
static const Kind meetings[][2] = {{FULL, COLUMN},   {ROW, CUBE},    {CUBE, ROW},      {SCALAR, ROW},
				   {COLUMN, SCALAR}, {FULL, FULL},   {COLUMN, FULL},   {FULL, ROW},
				   {ROW, FULL},	     {SCALAR, FULL}, {FULL, NUMBER},   {COLUMN, ROW},
				   {ROW, ROW},	     {CUBE, CUBE},   {NUMBER, COLUMN}, {COLUMN, COLUMN}};

static void elementwise_cases(Family *f, OpCode op)
{
	bool all = op == OP_SUB || op == OP_SELLT;
	for (int m = 0, n = op_table[op]->n_in; m < (all ? (int)N_OF(meetings) : n == 1 ? 4 : 5); m++) {
		const Kind *meeting =
		    op == OP_TRAINING ? (Kind[]){m % 2 ? CUBE : FULL, m % 2 ? CUBE : FULL} : meetings[m];
		Case *c = case_open(f, op);
		c->attr = (Attr){.k = op == OP_LEAKY ? 0.2 : 0};
		for (int i = 0; i < n; i++) {
			static const Kind more[] = {FULL, ROW, SCALAR};
			bool cube = meeting[0] == CUBE || meeting[1] == CUBE;
			Kind k = i < 2 ? meeting[i] : cube ? (i == 2 ? CUBE : ROW) : more[(m + i) % 3];
			operand(f, c, kind_shape(k, 3 + m), k == NUMBER);
		}
		case_end(f, c, graph_op(f->s->g, op, n, c->in, c->attr, (Span){0}));
	}
}

/* Elementwise ops by what kernels they make: of one operand, of several, of chains of probabilities. */
static void elementwise_families(void)
{
	static const char *const name[] = {"unary", "binary", "probability"};
	for (int k = 0; k < 3; k++) {
		Family *f = family_open(name[k]);
		for (OpCode op = 1; op < OP_N; op++)
			if (is_elementwise(op) && k == (op_table[op]->scratch ? 2 : op_table[op]->n_in > 1))
				elementwise_cases(f, op);
		family_close(f);
	}
}

#define ROWS1(d)    shape_1(true, d)
#define ROWS2(d, e) shape_2(true, d, e)
#define FREE1(d)    shape_1(false, d)
#define FREE2(d, e) shape_2(false, d, e)
#define LIST(...)   ((Shape[]){__VA_ARGS__})
#define CASE(op, ...)                                                                                        \
	add_case(f, op, (int)(sizeof(LIST(__VA_ARGS__)) / sizeof(Shape)), LIST(__VA_ARGS__), (Attr){0})

/* The shape is asked for. */
static void shape_case(Family *f, OpCode op, Shape from, Shape to)
{
	Case *c = case_open(f, op);
	operand(f, c, from, false);
	case_end(f, c, graph_push(f->s->g, op, to, 1, c->in, (Attr){0}, (Span){0}));
}

static void slice_case(Family *f, int width, int first, int n)
{
	Shape x = ROWS1(width);
	add_case(f, OP_SLICE, 1, &x, (Attr){.i = first, .j = n});
}

/* In how many chains output n of N is summed (tests/unit/test_kernels.c has the rule), and where its chains
 * lie in what is summed so far. */
static int chains_of(int N, int n)
{
	int tail = N % 16;
	if (N < 8) return 8;
	if (N > 48 || tail == 0 || tail > 8 || n < N - tail) return 1;
	return tail <= 2 ? 8 : tail <= 4 ? 4 : 2;
}

static int chains_at(int N, int n)
{
	int at = 0;
	for (int i = 0; i < n; i++) at += chains_of(N, i);
	return at;
}

static int state_of(int N)
{
	return N < 8 || chains_of(N, N - 1) == 1 ? chains_at(N, N) : (N + 15) / 16 * 16;
}

/* Rows of the weights that the columns of the value meet, stretch by stretch; few outputs and many. */
static void cut_cases(Family *f)
{
	static const struct {
		int K, N, first;
		const char *order[3]; /* of the layer whole, of its first terms, of the others */
	} at[] = {{17, 3, 9, {"0+9 9+8", "0+9", "9+8"}},
		  {19, 18, 8, {"11+8 0+11", "11+8", "0+11"}},
		  {13, 19, 7, {"4+3 9+4 0+4 7+2", "4+3 9+4", "0+4 7+2"}},
		  {12, 2, 7, {NULL, NULL, NULL}},
		  {24, 1, 5, {"3+4 23+1 0+3 7+16", "3+4 23+1", "0+3 7+16"}},
		  {9, 8, 1, {NULL, NULL, NULL}}};
	for (size_t i = 0; i < N_OF(at); i++) {
		int K = at[i].K, N = at[i].N, state = state_of(N);
		Shape in[3][3] = {{ROWS1(K), FREE2(K, N), FREE1(N)},
				  {ROWS1(at[i].first), FREE2(K, N), FREE1(N)},
				  {ROWS1(K - at[i].first), FREE2(K, N), ROWS1(state)}};
		static const OpCode op[] = {OP_DENSE, OP_DENSE_FIRST, OP_DENSE_REST};
		for (int k = 0; k < 3; k++) {
			const char *word = at[i].order[k];
			add_case(f, op[k], 3, in[k],
				 (Attr){.word = word ? str_intern(f->s->spec->str, word) : NULL});
		}
	}
}

static void other_families(void)
{
	static const int dense[][2] = {{5, 3}, {16, 1}, {9, 8}, {3, 17}, {33, 24}, {1, 33}};
	Family *f = family_open("others");
	for (int i = 0; i < 6; i++)
		CASE(OP_DENSE, ROWS1(dense[i][0]), FREE2(dense[i][0], dense[i][1]), FREE1(dense[i][1]));
	for (int i = 0; i < 2; i++) { /* without a bias */
		Case *c = case_open(f, OP_DENSE);
		operand(f, c, ROWS1(4), false);
		operand(f, c, FREE2(4, i ? 9 : 2), false);
		c->in[2] = 0;
		case_end(f, c, graph_op(f->s->g, OP_DENSE, 3, c->in, (Attr){0}, (Span){0}));
	}

	CASE(OP_SUM_LAST, ROWS1(7));
	CASE(OP_SUM_LAST, ROWS1(8));
	CASE(OP_SUM_LAST, ROWS1(19));
	CASE(OP_SUM_LAST, ROWS2(3, 5));
	CASE(OP_SUM_LAST, ROWS2(5, 1));
	CASE(OP_SUM_LAST, FREE1(11));
	CASE(OP_SUM_LAST, FREE2(3, 10));

	CASE(OP_CONCAT, ROWS1(2), shape_scalar(true), ROWS1(5));
	CASE(OP_CONCAT, ROWS1(17), ROWS1(3));
	CASE(OP_CONCAT, shape_scalar(true), shape_scalar(true));

	slice_case(f, 9, 0, 4);
	slice_case(f, 11, 3, 5);
	slice_case(f, 12, 6, 6);
	slice_case(f, 5, 0, 5);

	shape_case(f, OP_RESHAPE, ROWS1(6), ROWS2(2, 3));
	shape_case(f, OP_RESHAPE, ROWS2(2, 4), ROWS1(8));
	shape_case(f, OP_RESHAPE, ROWS1(1), shape_scalar(true));
	shape_case(f, OP_RESHAPE, FREE1(10), FREE2(5, 2));

	CASE(OP_TURN, ROWS2(3, 5));
	CASE(OP_TURN, ROWS2(1, 4));
	CASE(OP_TURN, FREE2(8, 17));

	shape_case(f, OP_SPREAD, shape_scalar(true), ROWS1(6));
	shape_case(f, OP_SPREAD, ROWS1(3), ROWS2(3, 4));
	shape_case(f, OP_SPREAD, FREE1(19), ROWS1(19));
	shape_case(f, OP_SPREAD, shape_scalar(false), ROWS1(5));
	shape_case(f, OP_SPREAD, shape_scalar(false), shape_scalar(true));
	shape_case(f, OP_SPREAD, shape_scalar(false), FREE1(9));
	shape_case(f, OP_SPREAD, shape_scalar(true), ROWS1(33));

	CASE(OP_SOFTMAX, ROWS1(5));
	CASE(OP_SOFTMAX, ROWS1(8));
	CASE(OP_SOFTMAX, ROWS2(2, 9));
	CASE(OP_SOFTMAX, ROWS1(1));
	CASE(OP_SOFTMAX, ROWS1(17));

	CASE(OP_MIX, ROWS1(3), ROWS2(3, 5));
	CASE(OP_MIX, ROWS1(9), ROWS2(9, 17));
	CASE(OP_MIX, ROWS1(1), ROWS2(1, 8));
	CASE(OP_MIX, ROWS1(8), ROWS2(8, 1));

	static const int pairs[][2] = {{2, 1}, {3, 5}, {4, 16}, {5, 8}, {6, 33}, {9, 17}};
	for (int i = 0; i < 6; i++) {
		int F = pairs[i][0], m = pairs[i][1];
		CASE(OP_PAIR_SUM, ROWS2(F, m), FREE2(F, F));
		for (int k = 1; k < F; k += 2) {
			CASE(OP_PAIR_FIRST, ROWS2(k, m), FREE2(F, F));
			CASE(OP_PAIR_REST, ROWS2(F - k, m), FREE2(F, F), ROWS2(1 + F - k, m));
		}
		CASE(OP_PAIR_SUM_DV, ROWS1(m), ROWS2(F, m), FREE2(F, F));
		CASE(OP_TRIANGLE, FREE1(F * (F - 1) / 2));
		CASE(OP_TRIANGLE_DX, FREE2(F, F));
	}

	for (OpCode op = OP_LSE; op <= OP_MAX_LAST; op++) {
		CASE(op, ROWS1(5));
		CASE(op, ROWS1(8));
		CASE(op, ROWS2(3, 17));
		CASE(op, ROWS1(1));
	}

	Shape class = shape_scalar(true);
	add_case(f, OP_ONEHOT, 1, &class, (Attr){.j = 3});

	CASE(OP_SOFTMAX_DX, ROWS1(5), ROWS1(5));
	CASE(OP_SOFTMAX_DX, ROWS2(2, 9), ROWS2(2, 9));
	CASE(OP_SOFTMAX_DX, ROWS1(17), ROWS1(17));

	CASE(OP_MIX_DG, ROWS1(5), ROWS2(3, 5));
	CASE(OP_MIX_DG, ROWS1(17), ROWS2(9, 17));

	CASE(OP_MIX_DE, ROWS1(5), ROWS1(3));
	CASE(OP_MIX_DE, ROWS1(17), ROWS1(9));

	for (int i = 0; i < 6; i++) CASE(OP_DENSE_DX, ROWS1(dense[i][1]), FREE2(dense[i][0], dense[i][1]));
	cut_cases(f);
	family_close(f);
}

/* ---- values, by formulas of probability and calculus ---- */

static double sg(double z) { return 1 / (1 + exp(-z)); }
static double logit(double p) { return log(p / (1 - p)); }
static double mixed(double w, double p, double q) { return sg(w) * sg(p) + (1 - sg(w)) * sg(q); }

/* Elementwise ops; NaN: there is no formula here. */
static double formula(OpCode op, const double *x, double k)
{
	double a = x[0], b = x[1], m;
	switch (op) {
	case OP_NEG: return -a;
	case OP_ABS: return fabs(a);
	case OP_SQUARE: return a * a;
	case OP_SQRT: return sqrt(a);
	case OP_EXP: return exp(a);
	case OP_LOG: return log(a);
	case OP_LOG1P: return log(1 + a);
	case OP_XLOGX: return a > 0 ? a * log(a) : 0;
	case OP_EXPM1: return exp(a) - 1;
	case OP_SIGMOID: return sg(a);
	case OP_TANH: return (exp(2 * a) - 1) / (exp(2 * a) + 1);
	case OP_SOFTPLUS: return log(1 + exp(a));
	case OP_LOGSIGMOID: return log(sg(a));
	case OP_RELU: return a > 0 ? a : 0;
	case OP_LEAKY: return a > 0 ? a : k * a;
	case OP_STOP:
	case OP_TRAINING: return a;
	case OP_ADD: return a + b;
	case OP_SUB: return a - b;
	case OP_MUL: return a * b;
	case OP_DIV: return a / b;
	case OP_MIN: return a < b ? a : b;
	case OP_MAX: return a > b ? a : b;
	case OP_SELLT: return a < b ? x[2] : x[3];
	case OP_LAND: return logit(sg(a) * sg(b));
	case OP_LAND_DA: return (1 - sg(a)) / (1 - sg(a) * sg(b));
	case OP_LMIX: return logit(mixed(a, b, x[2]));
	/* dz = dm / (m (1 - m)) */
	case OP_LMIX_DP: m = mixed(a, b, x[2]); return sg(a) * sg(b) * (1 - sg(b)) / (m * (1 - m));
	case OP_LMIX_DQ:
		m = mixed(a, b, x[2]);
		return (1 - sg(a)) * sg(x[2]) * (1 - sg(x[2])) / (m * (1 - m));
	case OP_LMIX_DW:
		m = mixed(a, b, x[2]);
		return sg(a) * (1 - sg(a)) * (sg(b) - sg(x[2])) / (m * (1 - m));
	case OP_BCE: return -b * log(sg(a)) - (1 - b) * log(1 - sg(a));
	case OP_BCE_DZ: return sg(a) - b;
	case OP_SYMKL: return (sg(a) - sg(b)) * (a - b);
	case OP_SYMKL_DP: return sg(a) * (1 - sg(a)) * (a - b) + sg(a) - sg(b);
	default: return NAN;
	}
}

/* What is not elementwise: element j of the result of a row whose operands are x[i]. */
static double sum_of(const Case *c, double *const *x, int j)
{
	const Shape *s = c->shape;
	double sum = 0;
	int d = s[0].nd ? s[0].d[s[0].nd - 1] : 1;
	switch (c->op) {
	case OP_DENSE_FIRST:
	case OP_DENSE_REST: {
		int K = s[1].d[0], N = s[1].d[1], k = s[0].d[0], at = 0;
		bool rest = c->op == OP_DENSE_REST;
		Terms t = {1, {{rest ? K - k : 0, k}}};
		if (c->attr.word) t = terms_read(c->attr.word);
		/* The first terms leave element j: a chain of output n.  The rest ends with the sum of all.
		 */
		int n = rest ? j : 0;
		while (!rest && n < N && chains_at(N, n + 1) <= j) n++;
		if (n == N) return 0; /* room that no output has */
		int chains = chains_of(N, n), from = chains_at(N, n);
		for (int i = 0; rest && i < chains; i++) sum += x[2][from + i];
		if (!rest && j == from) sum = x[2][n];
		for (int p = 0; p < t.n; p++)
			for (int i = 0; i < t.at[p].n; i++, at++)
				if (rest || i % chains == j - from)
					sum += x[0][at] * x[1][(t.at[p].k + i) * N + n];
		return sum;
	}
	case OP_DENSE: {
		int K = s[1].d[0], N = s[1].d[1];
		for (int k = 0; k < K; k++) sum += x[0][k] * x[1][k * N + j];
		return sum + (c->n > 2 ? x[2][j] : 0);
	}
	case OP_DENSE_DX:
		for (int n = 0; n < s[1].d[1]; n++) sum += x[0][n] * x[1][j * s[1].d[1] + n];
		return sum;
	case OP_SUM_LAST:
		for (int k = 0; k < d; k++) sum += x[0][j * d + k];
		return sum;
	case OP_CONCAT:
		for (int i = 0; i < c->n; j -= (int)shape_size(s[i++]))
			if (j < shape_size(s[i])) return x[i][j];
		return NAN;
	case OP_SLICE: return x[0][c->attr.i + j];
	case OP_RESHAPE: return x[0][j];
	case OP_TURN: return x[0][j % s[0].d[0] * s[0].d[1] + j / s[0].d[0]];
	case OP_SPREAD: return x[0][j / (c->width / (int)shape_size(s[0]))];
	case OP_SOFTMAX:
		for (int k = 0; k < d; k++) sum += exp(x[0][j / d * d + k]);
		return exp(x[0][j]) / sum;
	case OP_LSE:
		for (int k = 0; k < d; k++) sum += exp(x[0][j * d + k]);
		return log(sum);
	case OP_MAX_LAST:
		sum = x[0][j * d];
		for (int k = 1; k < d; k++) sum = fmax(sum, x[0][j * d + k]);
		return sum;
	case OP_ONEHOT: return fabs(x[0][0] - j) < 0.5;
	case OP_SOFTMAX_DX:
		for (int k = 0; k < d; k++) sum += x[0][j / d * d + k] * x[1][j / d * d + k];
		return x[0][j] * (x[1][j] - sum);
	case OP_MIX:
		for (int e = 0; e < s[1].d[0]; e++) sum += x[0][e] * x[1][e * s[1].d[1] + j];
		return sum;
	case OP_MIX_DG:
		for (int m = 0; m < s[1].d[1]; m++) sum += x[0][m] * x[1][j * s[1].d[1] + m];
		return sum;
	case OP_MIX_DE: return x[1][j / d] * x[0][j % d];
	case OP_TRIANGLE: {
		int F = (int)lround(sqrt(c->width)), i = j / F, at = 0;
		if (j % F <= i) return 0;
		for (int k = 0; k < i; k++) at += F - 1 - k;
		return x[0][at + j % F - i - 1];
	}
	case OP_TRIANGLE_DX: {
		int F = s[0].d[0], i = 0;
		for (; j >= F - 1 - i; i++) j -= F - 1 - i;
		return x[0][i * F + i + 1 + j];
	}
	case OP_PAIR_SUM:
		for (int p = 0, F = s[0].d[0]; p < F * F; p++)
			if (p / F < p % F) sum += x[1][p] * x[0][p / F * d + j] * x[0][p % F * d + j];
		return sum;
	case OP_PAIR_FIRST: {
		int F = s[1].d[0], k = s[0].d[0],
		    of = k + j / d - 1; /* the field that meets the first ones */
		for (int a = 0; a < k; a++) {
			if (of >= k) sum += x[1][a * F + of] * x[0][a * d + j % d];
			for (int b = a + 1; of < k && b < k; b++)
				sum += x[1][a * F + b] * x[0][a * d + j] * x[0][b * d + j];
		}
		return sum;
	}
	case OP_PAIR_REST: {
		int F = s[1].d[0], n = s[0].d[0], k = F - n;
		sum = x[2][j];
		for (int b = 0; b < n; b++) {
			double u = x[2][(1 + b) * d + j];
			for (int a = 0; a < b; a++) u += x[1][(k + a) * F + k + b] * x[0][a * d + j];
			sum += x[0][b * d + j] * u;
		}
		return sum;
	}
	case OP_PAIR_SUM_DV:
		for (int p = 0, F = s[1].d[0]; p < F; p++)
			if (p != j / d)
				sum += x[2][p < j / d ? p * F + j / d : j / d * F + p] * x[1][p * d + j % d];
		return sum * x[0][j % d];
	default: return NAN;
	}
}

static double domain(OpCode op, uint64_t *rng)
{
	double lo = op_table[op]->lo, hi = op_table[op]->hi;
	if (!(lo < hi)) lo = -2, hi = 2;
	return lo + (hi - lo) * harness_random(rng);
}

/* Every operand within the domain of its op, the loss's factors around 1. */
static void fill_domain(Family *f, Harness *h, uint64_t seed)
{
	for (int k = 0; k < f->n; k++) {
		const Case *c = &f->at[k];
		for (int i = 0; i < c->n; i++) {
			if (c->lookup[i] >= 0) {
				Buffer *b = harness_buffer(h, SLOT_TABLE, c->lookup[i]);
				for (int64_t q = 0; q < b->n; q++) harness_set(b, q, domain(c->op, &seed));
			}
			Buffer *param = harness_buffer(h, SLOT_PARAM, 0);
			int64_t at = c->param[i] >= 0 ? spec_param_offset(h->spec, c->param[i]) : 0;
			for (int64_t q = 0; c->param[i] >= 0 && q < shape_size(c->shape[i]); q++)
				harness_set(param, at + q, domain(c->op, &seed));
		}
		Buffer *b = harness_buffer(h, SLOT_NOISE, c->noise);
		for (int64_t q = 0; b && q < b->n; q++) harness_set(b, q, 0.5 + harness_random(&seed));
	}
	harness_sync(h);
}

/* A number that may be moved: an element of an operand that is looked up or a parameter, and has a gradient.
 */
static bool is_moved(const Case *c, int i, int e)
{
	return op_table[c->op]->grad && i < c->n && e < shape_size(c->shape[i]) &&
	       (c->lookup[i] >= 0 || c->param[i] >= 0);
}

/* Operand i of a case in row r: where its elements are; a number is copied to *number. */
static double *operand_at(const Case *c, Harness *h, int i, int64_t r, double *number)
{
	if (c->lookup[i] >= 0)
		return harness_buffer(h, SLOT_TABLE, c->lookup[i])->d + small_at(h, c->lookup[i], r, 0);
	if (c->param[i] >= 0)
		return harness_buffer(h, SLOT_PARAM, 0)->d + spec_param_offset(h->spec, c->param[i]);
	*number = c->number[i];
	return number;
}

static double case_value(const Case *c, Harness *h, int64_t r, int j)
{
	double number[OPERANDS], *x[OPERANDS], one[OPERANDS] = {0};
	for (int i = 0; i < c->n; i++) x[i] = operand_at(c, h, i, r, &number[i]);
	if (!is_elementwise(c->op)) return sum_of(c, x, j);
	for (int i = 0; i < c->n; i++) one[i] = x[i][shape_size(c->shape[i]) == 1 ? 0 : j];
	return formula(c->op, one, c->attr.k);
}

static int64_t check_values(const Family *f, Harness *h)
{
	int64_t n = 0;
	if (!small_scores(h, RUN_DOUBLE)) return 0;
	const Buffer *out = harness_buffer(h, SLOT_OUT, 0);
	for (int k = 0; k < f->n; k++) {
		const Case *c = &f->at[k];
		bool bad = false;
		for (int64_t r = 0; r < h->rows && !bad; r++)
			for (int j = 0; j < c->width && !bad; j++, n++) {
				double want = case_value(c, h, r, j),
				       got = out->d[r * h->spec->output.n + c->out + j];
				bad = !(fabs(got - want) <= 1e-11 * fmax(1, fabs(want)));
				if (!bad) continue;
				fprintf(stderr,
					"op %s, case %d, row %lld of %lld, element %d: %.12g, not %.12g\n",
					op_table[c->op]->word, k, (long long)r, (long long)h->rows, j, got,
					want);
				CU_FAIL("an op has another value than its formula");
			}
	}
	return n;
}

static void test_values(void)
{
	int64_t compared = 0;
	bool has[OP_N] = {0};
	for (int k = 0; k < n_families; k++)
		for (int c = 0; c < family[k].n; c++) has[family[k].at[c].op] = true;
	for (OpCode op = 1; op < OP_N; op++) /* the others: examples, and test_kernels */
		if (!has[op] && !is_input(op) && !over_rows(op) && op != OP_LOOKUP && !elsewhere(op))
			complain(op, "no case");
	for (int k = 0; k < n_families; k++)
		for (int t = 0; t < n_targets; t++)
			for (size_t i = 0; family[k].s->low[t] && i < N_OF(rows_tried); i++) {
				Harness *h = small_rows(family[k].s, t, rows_tried[i], 7);
				fill_domain(&family[k], h, 10 * i + 1);
				compared += check_values(&family[k], h);
			}
	printf("%lld values ", (long long)compared);
}

/* ---- gradients ---- */

/* Moves element e of operand i in every case and row by `way` steps from its place in *was. */
static void move(const Family *f, Harness *h, int i, int e, double way, double *was)
{
	for (int k = 0; k < f->n; k++) {
		const Case *c = &f->at[k];
		if (!is_moved(c, i, e)) continue;
		for (int64_t r = 0; r < (c->lookup[i] < 0 ? 1 : h->rows); r++) {
			double number, *x = operand_at(c, h, i, r, &number) + e;
			*x = *was + way * 1e-6 * fmax(1, fabs(*was));
			was++;
		}
	}
}

static void remember(const Family *f, Harness *h, int i, int e, double *was)
{
	for (int k = 0; k < f->n; k++)
		for (int64_t r = 0; r < (f->at[k].lookup[i] < 0 ? 1 : h->rows); r++) {
			double number;
			if (is_moved(&f->at[k], i, e)) *was++ = operand_at(&f->at[k], h, i, r, &number)[e];
		}
}

static double weighed(const Case *c, const Buffer *w, const Buffer *out, int64_t stride, int64_t r)
{
	double sum = 0;
	for (int j = 0; j < c->width; j++) sum += w->d[r * c->width + j] * out->d[r * stride + c->out + j];
	return sum;
}

static void all_weighed(const Family *f, Harness *h, double *y)
{
	const Buffer *out = harness_buffer(h, SLOT_OUT, 0);
	small_scores(h, RUN_DOUBLE);
	for (int k = 0; k < f->n; k++) {
		const Buffer *w = harness_buffer(h, SLOT_NOISE, f->at[k].noise);
		for (int64_t r = 0; w && r < h->rows; r++)
			*y++ = weighed(&f->at[k], w, out, h->spec->output.n, r);
	}
}

static bool has_root(const Small *s, RootKind kind, int index)
{
	for (int i = 0; i < s->train->root.n; i++)
		if (s->train->root.at[i].kind == kind && s->train->root.at[i].index == index) return true;
	return false;
}

/* d loss / d element e of operand i, against (up - down) / 2h, in all cases at once.  compared[op] counts. */
static void check_element(const Family *f, Harness *h, int i, int e, int64_t *compared)
{
	size_t most = (size_t)(f->n * h->rows);
	double *was = calloc(most, sizeof *was), *up = calloc(most, sizeof *up),
	       *down = calloc(most, sizeof *down);
	remember(f, h, i, e, was);
	move(f, h, i, e, 1, was);
	all_weighed(f, h, up);
	move(f, h, i, e, -1, was);
	all_weighed(f, h, down);
	move(f, h, i, e, 0, was);
	const double *x = was, *u = up, *d = down;
	for (int k = 0; k < f->n; k++) {
		const Case *c = &f->at[k];
		if (!op_table[c->op]->grad) continue;
		bool moved = is_moved(c, i, e), row = moved && c->lookup[i] >= 0;
		/* Without a root there is no gradient; a parameter's is a sum over rows. */
		bool root =
		    moved && has_root(f->s, row ? ROOT_DROW : ROOT_GRAD, row ? c->lookup[i] : c->param[i]);
		double sum = 0, size = 0;
		for (int64_t r = 0; r < h->rows; r++) {
			double change = (*u++ - *d++);
			if (!moved) continue;
			double want = change / (2e-6 * fmax(1, fabs(*x))), got = 0;
			if (row) {
				x++;
				if (root) got = small_drow(h, RUN_DOUBLE, r, c->lookup[i], e);
				size = fabs(want);
			} else {
				sum += want;
				size += fabs(want);
				if (r < h->rows - 1) continue;
				x++;
				want = sum;
				if (root)
					got = harness_get(harness_buffer(h, SLOT_GRAD, 0), RUN_DOUBLE,
							  spec_param_offset(h->spec, c->param[i]) + e);
			}
			compared[c->op]++;
			if (fabs(got - want) <= 1e-6 * fmax(0.01, size)) continue;
			fprintf(stderr,
				"op %s, case %d, operand %d, element %d, row %lld of %lld: gradient %.12g, "
				"differences %.12g\n",
				op_table[c->op]->word, k, i, e, (long long)r, (long long)h->rows, got, want);
			CU_FAIL("a gradient is not that of the value");
			r = h->rows; /* one is enough to say */
			moved = false;
		}
	}
	free(was);
	free(up);
	free(down);
}

static void test_gradients(void)
{
	int64_t compared[OP_N] = {0}, all = 0;
	int t = 0; /* in double all machines are one */
	while (t < n_targets - 1 && !examples->low[t]) t++;
	for (int k = 0; k < n_families; k++)
		for (size_t q = 0; family[k].loss && q < N_OF(rows_tried); q++) {
			if (rows_tried[q] == 128)
				continue; /* a block is enough to tell bits, 130 rows are to tell a sum */
			Family *f = &family[k];
			Harness *h = small_rows(f->s, t, rows_tried[q], 9);
			fill_domain(f, h, 100 * q + 1);
			if (!small_gradients(h, RUN_DOUBLE, 1)) break;
			for (int i = 0; i < OPERANDS; i++) {
				int size = 0;
				for (int c = 0; c < f->n; c++)
					if (is_moved(&f->at[c], i, 0) && shape_size(f->at[c].shape[i]) > size)
						size = (int)shape_size(f->at[c].shape[i]);
				/* Of few rows the first elements all, then some; of many rows a few. */
				int step = rows_tried[q] > 7 ? size / 2 + 1 : 1;
				for (int e = 0; e < size; e += e < 20 ? step : size / 7 + 1)
					check_element(f, h, i, e, compared);
			}
		}
	for (OpCode op = 1; op < OP_N; op++) {
		if (op_table[op]->grad && !compared[op] && !elsewhere(op) &&
		    !over_rows(op)) /* test_meeting.c */
			complain(op, "its gradient is not checked");
		all += compared[op];
	}
	printf("%lld gradients ", (long long)all);
}

/* ---- bits ---- */

static void test_bits(void)
{
	for (int k = 0; k < n_families; k++)
		for (int t = 0; t < n_targets; t++)
			for (size_t i = 0; family[k].s->low[t] && i < N_OF(rows_tried); i++) {
				if (rows_tried[i] == 128) continue; /* 130 rows are a block and two */
				Harness *h = small_rows(family[k].s, t, rows_tried[i], 11);
				fill_domain(&family[k], h, 1000 * i + 1);
				CU_ASSERT_EQUAL(small_bits(family[k].s, h), 0);
			}
}

/* ---- slopes where a value is flat ---- */

static double square(double x) { return x * x; }
static double slope_tanh(double x) { return 1 / square(cosh(x)); }
static double slope_sigmoid(double x) { return 1 / square(2 * cosh(x / 2)); }
static double slope_logsigmoid(double x) { return 1 / (1 + exp(x)); }

static const struct {
	OpCode op;
	double (*slope)(double x);
} flat[] = {{OP_TANH, slope_tanh}, {OP_SIGMOID, slope_sigmoid}, {OP_LOGSIGMOID, slope_logsigmoid}};
enum { FLAT_WIDTH = 8, FLAT_ROWS = 9 };
static Small *flats;

static void build_flat(void)
{
	flats = small_new(&lab, "flat");
	NodeId loss = 0;
	for (size_t k = 0; k < N_OF(flat); k++) {
		NodeId y = graph_1(flats->g, flat[k].op, small_lookup(flats, shape_1(true, FLAT_WIDTH)));
		y = graph_1(flats->g, OP_SUM_LAST, y);
		loss = loss ? graph_2(flats->g, OP_ADD, loss, y) : y;
	}
	small_loss(flats, loss);
	small_finish(flats);
}

/* From -18 to 18 the slope in floats has its relative precision: it is not 1 less what is nearly 1. */
static void test_flat(void)
{
	int t = 0;
	while (t < n_targets - 1 && !flats->low[t]) t++;
	Harness *h = small_rows(flats, t, FLAT_ROWS, 1);
	for (size_t k = 0; k < N_OF(flat); k++)
		for (int i = 0; i < FLAT_ROWS * FLAT_WIDTH; i++)
			harness_set(harness_buffer(h, SLOT_TABLE, (int)k),
				    small_at(h, (int)k, i / FLAT_WIDTH, i % FLAT_WIDTH), (i - 36) / 2.0);
	if (!small_gradients(h, RUN_FLOAT, 1)) return;
	for (size_t k = 0; k < N_OF(flat); k++)
		for (int i = 0; i < FLAT_ROWS * FLAT_WIDTH; i++) {
			double want = flat[k].slope((i - 36) / 2.0),
			       got = small_drow(h, RUN_FLOAT, i / FLAT_WIDTH, (int)k, i % FLAT_WIDTH);
			if (fabs(got - want) <= 1e-6 * want) continue;
			fprintf(stderr, "%s at %g: slope %.9g, not %.9g\n", op_table[flat[k].op]->word,
				(i - 36) / 2.0, got, want);
			CU_FAIL("a slope is lost where the value is flat");
		}
}

static void test_build(void)
{
	lab_open(&lab);
	build_flat();
	examples = small_new(&lab, "examples");
	for (OpCode op = 1; op < OP_N; op++) {
		if (!op_table[op]->example || elsewhere(op)) continue;
		Example *e = &example[n_examples++];
		if (!read_example(op, e)) {
			fprintf(stderr, "%s\n", op_table[op]->example);
			CU_FAIL_FATAL("an example cannot be read");
		}
		build_example(e, examples);
	}
	small_finish(examples);
	elementwise_families();
	other_families();
	CU_ASSERT_FATAL(lab_load(&lab));
}

static int done(void)
{
	lab_close(&lab);
	return 0;
}

int main(void)
{
	CU_pSuite s = suite_between("ops", NULL, done);
	CU_add_test(s, "rows are complete", test_rows_are_complete);
	CU_add_test(s, "lowered and compiled", test_build);
	CU_add_test(s, "examples", test_examples);
	CU_add_test(s, "values", test_values);
	CU_add_test(s, "gradients", test_gradients);
	CU_add_test(s, "interpreter, C and LLVM", test_bits);
	CU_add_test(s, "slopes where a value is flat", test_flat);
	return suite_end();
}
