/*
 * Peers: rows of one group, which losses compare with each other.
 *
 * Operands and results are one number a row, [n], of the whole batch; a call goes over a range of groups.  A
 * group's rows are neighbours, GROUP[g] .. GROUP[g + 1].  A sum within a group has eight chains by the place
 * in the group modulo 8 and the fixed tree of lowering.h, so its order depends on the group's length alone.
 *
 * A row takes part where its mask m is 1, and not where it is 0.
 */
#include "ops/family.h"
#include "base/diag.h"

static bool peers_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			const char **why)
{
	(void)attr;
	*out = shape_scalar(true);
	for (int i = 0; i < n; i++) {
		Shape s = g->node.at[in[i]].shape;
		if (s.rows && !s.seq && shape_size(s) == 1) continue;
		*why = "rows of a group are compared by one number each";
		return false;
	}
	return true;
}

/* ---- kernels: groups, in each the rows, for each of them vectors of its peers ---- */

enum { MOST_IN = 4 };

typedef struct {
	Lowering *l;
	Fn *f;
	int x[MOST_IN], y;    /* buffers: operands, result */
	int first, end, r, k; /* the group's rows, the row, the vector's first peer */
	Chains s;
} Peers;

/* Opens a kernel of n operands at a group; *fresh false: it exists. */
static Peers peers_open(Lowering *l, NodeId id, bool *fresh)
{
	static const char *const name[MOST_IN] = {"a", "b", "c", "d"};
	const Node *n = &l->g->node.at[id];
	Peers p = {.l = l, .f = lo_kernel(l, fresh, "%s", op_table[n->op]->word)};
	Loc arg[MOST_IN + 2];
	for (int i = 0; i < n->n_in; i++) arg[i] = lo_value(l, n->in[i]);
	arg[n->n_in] = lo_result(l, id);
	for (int i = 0; i <= n->n_in; i++)
		if (arg[i].stride != 1)
			bug("%s: a value that is not kept for the batch", op_table[n->op]->word);
	arg[n->n_in + 1] = lo_slot(l, SLOT_GROUP, 0, 0, false);
	if (*fresh) {
		Fn *f = p.f;
		for (int i = 0; i < n->n_in; i++) p.x[i] = f_buf(f, BUF_IN, ELEM_F32, name[i], 0);
		p.y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		int group = f_buf(f, BUF_IN, ELEM_I32, "group", 0), lo = f_size(f, "lo"),
		    hi = f_size(f, "hi");
		int g = f_for(f, "g", aff_v(lo), aff_v(hi), 1);
		p.first = f_load(f, "first", group, aff_v(g));
		p.end = f_load(f, "end", group, aff_off(aff_v(g), 1));
	}
	lo_call(l, p.f, n->n_in + 2, arg, true, n->span);
	return p;
}

static void each_row(Peers *p) { p->r = f_for(p->f, "r", aff_v(p->first), aff_v(p->end), 1); }

/* The row's own number, in as many lanes as a vector of peers. */
static int own(const Peers *p, int i)
{
	int reg = f_reg(p->f, "own", p->s.lanes, 1, 1);
	f_set1(p->f, reg, e_splat(p->f, p->s.lanes, e_load(p->f, 1, p->x[i], aff_v(p->r))));
	return reg;
}

static void each_vector(Peers *p) { p->k = f_for(p->f, "k", aff_v(p->first), aff_v(p->end), 8); }

/* Operand i of the peers that fall to vector v of the chains; 0 beyond the group's end. */
static int peers(const Peers *p, int i, int v)
{
	int64_t at = (int64_t)v * p->s.lanes;
	Aff left = aff_off(aff_plus(aff_v(p->end), p->k, -1), -at);
	return e_load_n(p->f, p->s.lanes, p->x[i], aff_off(aff_v(p->k), at), left);
}

static int sum(const Peers *p, int v) { return e_reg(p->f, p->s.reg, aff_c(v), aff_c(0)); }

static void add(const Peers *p, int v, int e)
{
	f_set(p->f, p->s.reg, aff_c(v), aff_c(0), e_op2(p->f, E_ADD, sum(p, v), e));
}

/* What the chains add up to, in one lane. */
static int total(const Peers *p)
{
	chains_tree(p->f, p->s, E_ADD);
	return e_lane(p->f, sum(p, 0), 0);
}

static int vec(const Peers *p, double k) { return e_const(p->f, p->s.lanes, k); }

/* ---- group_sum ---- */

static void group_sum_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	(void)id;
	din[0] = graph_1(g, OP_GROUP_SUM, graph_reshape(g, d, shape_scalar(true)));
}

/* y of all rows of the group, which is in one lane. */
static void to_all_rows(Peers *p, int e)
{
	int one = f_reg(p->f, "one", 1, 1, 1);
	f_set1(p->f, one, e);
	each_row(p);
	f_store(p->f, p->y, aff_v(p->r), e_reg1(p->f, one));
	f_end(p->f, 1);
}

static void group_sum_lower(Lowering *l, NodeId id)
{
	bool fresh;
	Peers p = peers_open(l, id, &fresh);
	if (!fresh) return;
	p.s = chains_new(l, p.f, "s");
	chains_zero(p.f, p.s);
	each_vector(&p);
	for (int v = 0; v < p.s.n; v++) add(&p, v, peers(&p, 0, v));
	f_end(p.f, 1);
	to_all_rows(&p, total(&p));
	f_end(p.f, 1);
}

const Op op_group_sum = {.word = "group_sum",
			 .n_in = 1,
			 .group = GROUP_PEERS,
			 .doc = "The sum over the rows of a group, at each of them.",
			 .formula = "y_r = sum over the group's rows j of x_j",
			 .example = "group_sum([1, 2, 4]) == [7, 7, 7]",
			 .shape = peers_shape,
			 .grad = group_sum_grad,
			 .lower = group_sum_lower,
			 .meets = true};

/* ---- group_lse ---- */

/* dx_r = m_r e^(x_r - y) sum_j d_j; x_r <= y where m_r is 1, and where it is 0 the factor before is kept
 * finite by the minimum. */
static void group_lse_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	const NodeId *in = g->node.at[id].in;
	NodeId x = in[0], m = in[1];
	NodeId all = graph_1(g, OP_GROUP_SUM, graph_reshape(g, d, shape_scalar(true)));
	NodeId part = graph_1(g, OP_EXP, graph_2(g, OP_MIN, graph_2(g, OP_SUB, x, id), graph_k(g, id, 0)));
	din[0] = graph_2(g, OP_MUL, all, graph_2(g, OP_MUL, m, part));
	din[1] = 0;
}

/* m of peers in vector v: where it is 0, `otherwise` in place of e. */
static int where(const Peers *p, int v, int e, double otherwise)
{
	return e_op4(p->f, E_SELLT, vec(p, 0), peers(p, 1, v), e, vec(p, otherwise));
}

static void group_lse_lower(Lowering *l, NodeId id)
{
	bool fresh;
	Peers p = peers_open(l, id, &fresh);
	if (!fresh) return;
	Fn *f = p.f;
	p.s = chains_new(l, f, "s");
	int most = f_reg(f, "most", p.s.lanes, 1, 1);
	for (int v = 0; v < p.s.n; v++) f_set(f, p.s.reg, aff_c(v), aff_c(0), vec(&p, -3.0e38));
	each_vector(&p);
	for (int v = 0; v < p.s.n; v++)
		f_set(f, p.s.reg, aff_c(v), aff_c(0),
		      e_op2(f, E_MAX, sum(&p, v), where(&p, v, peers(&p, 0, v), -3.0e38)));
	f_end(f, 1);
	chains_tree(f, p.s, E_MAX);
	f_set1(f, most, sum(&p, 0));
	chains_zero(f, p.s);
	each_vector(&p);
	for (int v = 0; v < p.s.n; v++) {
		int x = e_op2(f, E_MIN, e_op2(f, E_SUB, peers(&p, 0, v), e_reg1(f, most)), vec(&p, 0));
		add(&p, v, where(&p, v, e_call(f, fn_find(l->m, "exp"), x), 0));
	}
	f_end(f, 1);
	int all = f_reg(f, "all", 1, 1, 1);
	f_set1(f, all, total(&p));
	/* Of nobody: 0. */
	int some = e_op2(f, E_ADD, e_lane(f, e_reg1(f, most), 0),
			 e_call(f, fn_find(l->m, "log"), e_op2(f, E_MAX, e_reg1(f, all), e_const(f, 1, 1))));
	to_all_rows(&p, e_op4(f, E_SELLT, e_const(f, 1, 0), e_reg1(f, all), some, e_const(f, 1, 0)));
	f_end(f, 1);
}

const Op op_group_lse = {
    .word = "group_lse",
    .n_in = 2,
    .group = GROUP_PEERS,
    .doc = "The logarithm of the sum of exponentials over the rows of a group that take part, at "
	   "each of them; 0 where none does.",
    .formula = "y_r = log(sum over j of m_j e^x_j)",
    .example = "group_lse([0, 0, 5, 0.6931471806], [1, 1, 0, 1]) == [1.3862943611, 1.3862943611, "
	       "1.3862943611, 1.3862943611]",
    .shape = peers_shape,
    .grad = group_lse_grad,
    .lower = group_lse_lower,
    .meets = true};

/* ---- rivals ---- */

/* 1 where peers in vector v take part and their gain (operand i) is another than the row's, else 0. */
static int differs(const Peers *p, int i, int gain, int v, int mask)
{
	int gap = e_op1(p->f, E_ABS, e_op2(p->f, E_SUB, peers(p, i, v), e_reg1(p->f, gain)));
	return e_op4(p->f, E_SELLT, vec(p, 0), gap, peers(p, mask, v), vec(p, 0));
}

static void rivals_lower(Lowering *l, NodeId id)
{
	bool fresh;
	Peers p = peers_open(l, id, &fresh);
	if (!fresh) return;
	Fn *f = p.f;
	p.s = chains_new(l, f, "s");
	each_row(&p);
	int gain = own(&p, 0);
	chains_zero(f, p.s);
	each_vector(&p);
	for (int v = 0; v < p.s.n; v++) add(&p, v, differs(&p, 0, gain, v, 1));
	f_end(f, 1);
	f_store(f, p.y, aff_v(p.r), e_op2(f, E_MUL, e_load(f, 1, p.x[1], aff_v(p.r)), total(&p)));
	f_end(f, 2);
}

const Op op_rivals = {
    .word = "rivals",
    .n_in = 2,
    .group = GROUP_PEERS,
    .doc = "Of a row that takes part the number of those in its group whose gain y is another.",
    .formula = "p_r = m_r sum over j with y_j != y_r of m_j",
    .example = "rivals([0, 2, 1, 0, 1], [1, 1, 1, 1, 0]) == [2, 3, 3, 2, 0]",
    .shape = peers_shape,
    .lower = rivals_lower,
    .meets = true};

/* ---- pairwise ---- */

/*
 * By how much a pair is in the wrong order: the score of the row of less gain, less that of the other.  The
 * pair's loss is the softplus of it, -log of the probability sigmoid(s_i - s_j) that i is before j.
 */
static int wrong(const Peers *p, int score, int gain, int v)
{
	Fn *f = p->f;
	int above = e_op2(f, E_SUB, peers(p, 0, v), e_reg1(f, score)),
	    below = e_op2(f, E_SUB, e_reg1(f, score), peers(p, 0, v));
	return e_op4(f, E_SELLT, peers(p, 1, v), e_reg1(f, gain), above, below);
}

static void pairwise_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	const NodeId *in = g->node.at[id].in;
	NodeId all[] = {in[0], in[1], in[2], graph_reshape(g, d, shape_scalar(true))};
	din[0] = graph_op(g, OP_PAIRWISE_DS, 4, all, (Attr){0}, g->node.at[id].span);
	din[1] = din[2] = 0;
}

/* Half of m_r times what the chains hold. */
static void store_half(const Peers *p)
{
	Fn *f = p->f;
	int half = e_op2(f, E_MUL, e_const(f, 1, 0.5), e_load(f, 1, p->x[2], aff_v(p->r)));
	f_store(f, p->y, aff_v(p->r), e_op2(f, E_MUL, half, total(p)));
}

static void pairwise_lower(Lowering *l, NodeId id)
{
	bool fresh;
	Peers p = peers_open(l, id, &fresh);
	if (!fresh) return;
	Fn *f = p.f;
	p.s = chains_new(l, f, "s");
	each_row(&p);
	int score = own(&p, 0), gain = own(&p, 1);
	chains_zero(f, p.s);
	each_vector(&p);
	for (int v = 0; v < p.s.n; v++) {
		int loss = e_call(f, fn_find(l->m, "softplus"), wrong(&p, score, gain, v));
		add(&p, v, e_op2(f, E_MUL, differs(&p, 1, gain, v, 2), loss));
	}
	f_end(f, 1);
	store_half(&p);
	f_end(f, 2);
}

const Op op_pairwise = {
    .word = "pairwise",
    .n_in = 3,
    .group = GROUP_PEERS,
    .doc = "The logistic loss of the pairs of a group whose gains y differ, by their scores s: half "
	   "of a pair's loss at each of its rows.",
    .formula = "l_r = m_r / 2 sum over j of m_j softplus(y_j < y_r ? s_j - s_r : s_r - s_j), y_j != y_r",
    .example = "pairwise([0, 0, 7], [0, 1, 1], [1, 1, 0]) == [0.3465735903, 0.3465735903, 0]",
    .shape = peers_shape,
    .grad = pairwise_grad,
    .lower = pairwise_lower,
    .meets = true};

static void pairwise_ds_lower(Lowering *l, NodeId id)
{
	bool fresh;
	Peers p = peers_open(l, id, &fresh);
	if (!fresh) return;
	Fn *f = p.f;
	p.s = chains_new(l, f, "s");
	each_row(&p);
	int score = own(&p, 0), gain = own(&p, 1), d = own(&p, 3);
	chains_zero(f, p.s);
	each_vector(&p);
	for (int v = 0; v < p.s.n; v++) {
		int slope = e_call(f, fn_find(l->m, "sigmoid"), wrong(&p, score, gain, v));
		int both = e_op2(f, E_ADD, e_reg1(f, d), peers(&p, 3, v));
		int up = e_op2(f, E_MUL, differs(&p, 1, gain, v, 2), e_op2(f, E_MUL, both, slope));
		int part = f_reg(f, "part", p.s.lanes, 1, 1);
		f_set1(f, part, up);
		/* A row of more gain is drawn up, of less down. */
		add(&p, v,
		    e_op4(f, E_SELLT, peers(&p, 1, v), e_reg1(f, gain),
			  e_op2(f, E_SUB, vec(&p, 0), e_reg1(f, part)), e_reg1(f, part)));
	}
	f_end(f, 1);
	store_half(&p);
	f_end(f, 2);
}

const Op op_pairwise_ds = {.word = "pairwise_ds",
			   .n_in = 4,
			   .group = GROUP_PEERS,
			   .doc =
			       "The gradient of pairwise in the scores, for gradients d of the rows' losses.",
			   .formula = "ds_r = m_r / 2 sum over j of m_j (d_r + d_j) (y_j < y_r ? "
				      "-sigmoid(s_j - s_r) : sigmoid(s_r - s_j)), "
				      "y_j != y_r",
			   .example = "pairwise_ds([0, 0, 7], [0, 1, 1], [1, 1, 0], [1, 3, 5]) == [1, -1, 0]",
			   .shape = peers_shape,
			   .lower = pairwise_ds_lower,
			   .meets = true};
