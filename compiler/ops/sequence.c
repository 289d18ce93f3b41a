/*
 * Sequences: values of every step, and the ways between a row and its steps.
 *
 * The steps of a block of rows lie time by time; those of row r at time t are found at (place of time t) +
 * (place of r among the rows by falling length).  There are no steps but those that exist: nothing is padded,
 * nothing masked.
 */
#include "ops/family.h"
#include "ops/steps_onnx.h"

static bool wants_steps(const Graph *g, NodeId x, const char **why)
{
	if (g->node.at[x].shape.seq) return true;
	*why = "it needs a value for every step of a sequence";
	return false;
}

static bool wants_rows(const Graph *g, NodeId x, const char **why)
{
	if (g->node.at[x].shape.rows && !g->node.at[x].shape.seq) return true;
	*why = "it needs one value a row";
	return false;
}

/* [n, T, d] -> [n, d] */
static bool row_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)n, (void)attr;
	*out = g->node.at[in[0]].shape;
	out->seq = 0;
	return wants_steps(g, in[0], why);
}

/* ---- kernels: a walk over the rows of a block, and over the steps of each ---- */

enum { BUFS = 5 };

typedef struct {
	Fn *f;
	const Target *t;
	int rows, block;	 /* STEP_ROW, STEP_BLOCK */
	int buf[BUFS];		 /* values, in the order of the arguments */
	int64_t stride[BUFS];	 /* of a row or a step */
	int r, place, length, n; /* variables */
} Steps;

/* The kernel of a call on `n` values and the sequence; NULL: it exists. */
static Steps steps_open(Lowering *l, Fn *f, bool fresh, int n, const BufKind *kind, const Loc *arg)
{
	static const char *const name[] = {"a", "b", "c", "d", "e"};
	Steps s = {.f = f, .t = l->t};
	if (!fresh) return s;
	for (int i = 0; i < n; i++) {
		s.buf[i] = f_buf(f, kind[i], ELEM_F32, name[i], 0);
		s.stride[i] = arg[i].stride;
	}
	s.rows = f_buf(f, BUF_IN, ELEM_I32, "row", 0);
	s.block = f_buf(f, BUF_IN, ELEM_I32, "block", 0);
	s.n = f_size(f, "n");
	s.r = f_for(f, "r", aff_c(0), aff_v(s.n), 1);
	s.place = f_load(f, "place", s.rows, aff_mul(aff_v(s.r), 2));
	s.length = f_load(f, "length", s.rows, aff_off(aff_mul(aff_v(s.r), 2), 1));
	return s;
}

static void steps_call(Lowering *l, Fn *f, int n, const Loc *arg, int seq, Span span)
{
	Loc all[BUFS + 2];
	for (int i = 0; i < n; i++) all[i] = arg[i];
	all[n] = lo_slot(l, SLOT_STEP_ROW, seq - 1, 2, false);
	all[n + 1] = lo_slot(l, SLOT_STEP_BLOCK, seq - 1, l->spec->seq.at[seq - 1].max + STEP_HEAD, true);
	lo_call(l, f, n + 2, all, true, span);
}

static Aff row_at(const Steps *s, int i) { return aff_mul(aff_v(s->r), s->stride[i]); }

/* The row's step at time t, in value i. */
static Aff step_at(Steps *s, int t, int i)
{
	int time = f_load(s->f, "time", s->block, aff_off(aff_v(t), STEP_TIME0));
	return aff_mul(aff_plus(aff_v(time), s->place, 1), s->stride[i]);
}

/* Opens a loop over the row's steps but those before `from`. */
static int each_time(Steps *s, int from) { return f_for(s->f, "t", aff_c(from), aff_v(s->length), 1); }

/* Opens a loop that is run once if the row has a step: at its first or last time. */
static int end_time(Steps *s, bool last)
{
	if (!last)
		return f_for(s->f, "t", aff_c(0), aff_v(f_min(s->f, "one", aff_v(s->length), aff_c(1))), 1);
	int from = f_max(s->f, "from", aff_off(aff_v(s->length), -1), aff_c(0));
	return f_for(s->f, "t", aff_v(from), aff_v(s->length), 1);
}

/* The columns of a row: widths that exist exactly, at most 8 registers at a time. */
typedef struct {
	int at, w, reg, reg2;
} Piece;

static int pieces_of(int W, int c0, int d, Piece *p)
{
	int n = 0;
	for (int w = W; w && n < 8; w /= 2)
		for (; n < 8 && d - c0 >= w; c0 += w) p[n++] = (Piece){c0, w, 0, 0};
	return n;
}

/* ---- each_step ---- */

static bool each_step_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			    const char **why)
{
	(void)n;
	*out = g->node.at[in[0]].shape;
	out->seq = attr->i;
	return wants_rows(g, in[0], why);
}

static void each_step_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	(void)id;
	din[0] = graph_1(g, OP_SUM_STEPS, d);
}

static void each_step_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int64_t d = shape_size(n->shape);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "each_step_%d_s%d_%d", (int)d, (int)arg[0].stride, (int)arg[1].stride);
	Steps s = steps_open(l, f, fresh, 2, (BufKind[]){BUF_IN, BUF_OUT}, arg);
	if (fresh) {
		int t = each_time(&s, 0);
		f_copy(f, l->t->W, d, s.buf[1], step_at(&s, t, 1), s.buf[0], row_at(&s, 0));
		f_end(f, 2);
	}
	steps_call(l, f, 2, arg, n->shape.seq, n->span);
}

const Op op_each_step = {.word = "each_step",
			 .onnx = each_step_onnx,
			 .n_in = 1,
			 .group = GROUP_SEQ,
			 .doc = "A value of the row at every step of a sequence.",
			 .formula = "y_t = x",
			 .example = "each_step([1, 2]) == [[1, 2], [1, 2]]",
			 .shape = each_step_shape,
			 .grad = each_step_grad,
			 .lower = each_step_lower,
			 .by_rows = true};

/* ---- sums and maxima over time ---- */

static void sum_steps_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	NodeId x = g->node.at[id].in[0];
	din[0] = graph_op(g, OP_EACH_STEP, 1, &d, (Attr){.i = g->node.at[x].shape.seq}, g->node.at[id].span);
}

/* Ascending in time, from 0 or (max) from the first step. */
static void fold_steps(Steps *s, int d, bool max)
{
	Fn *f = s->f;
	for (int c = 0; c < d;) {
		Piece p[8];
		int np = pieces_of(s->t->W, c, d, p);
		f_for(f, "o", aff_c(0), aff_c(1), 1);
		for (int k = 0; k < np; k++) {
			p[k].reg = f_reg(f, "s", p[k].w, 1, 1);
			f_set1(f, p[k].reg, e_const(f, p[k].w, 0));
		}
		for (int pass = !max; pass < 2; pass++) {
			int t = pass ? each_time(s, max) : end_time(s, false);
			Aff at = step_at(s, t, 0);
			for (int k = 0; k < np; k++) {
				int x = e_load(f, p[k].w, s->buf[0], aff_off(at, p[k].at));
				if (pass) x = e_op2(f, max ? E_MAX : E_ADD, x, e_reg1(f, p[k].reg));
				f_set1(f, p[k].reg, x);
			}
			f_end(f, 1);
		}
		for (int k = 0; k < np; k++)
			f_store(f, s->buf[1], aff_off(row_at(s, 1), p[k].at), e_reg1(f, p[k].reg));
		f_end(f, 1);
		c = p[np - 1].at + p[np - 1].w;
	}
}

static void over_steps(Lowering *l, NodeId id, bool max)
{
	const Node *n = &l->g->node.at[id];
	int d = (int)shape_size(n->shape);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "%s_steps_%d_s%d_%d", max ? "max" : "sum", d, (int)arg[0].stride,
			  (int)arg[1].stride);
	Steps s = steps_open(l, f, fresh, 2, (BufKind[]){BUF_IN, BUF_OUT}, arg);
	if (fresh) {
		fold_steps(&s, d, max);
		f_end(f, 1);
	}
	steps_call(l, f, 2, arg, l->g->node.at[n->in[0]].shape.seq, n->span);
}

static void sum_steps_lower(Lowering *l, NodeId id) { over_steps(l, id, false); }
static void max_steps_lower(Lowering *l, NodeId id) { over_steps(l, id, true); }

const Op op_sum_steps = {.word = "sum_steps",
			 .onnx = sum_steps_onnx,
			 .n_in = 1,
			 .group = GROUP_SEQ,
			 .doc = "The sum over the steps of a row.",
			 .formula = "y = sum over t of x_t",
			 .example = "sum_steps([[1, 2], [3, 4]]) == [4, 6]",
			 .shape = row_shape,
			 .grad = sum_steps_grad,
			 .lower = sum_steps_lower,
			 .by_rows = true};

static void max_steps_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	din[0] = graph_3(g, OP_MAX_STEPS_DX, g->node.at[id].in[0], id, d);
}

const Op op_max_steps = {.word = "max_steps",
			 .onnx = max_steps_onnx,
			 .n_in = 1,
			 .group = GROUP_SEQ,
			 .doc = "The largest over the steps of a row, column by column; 0 without a step.",
			 .formula = "y = max over t of x_t",
			 .example = "max_steps([[1, 4], [3, 2]]) == [3, 4]",
			 .shape = row_shape,
			 .grad = max_steps_grad,
			 .lower = max_steps_lower,
			 .by_rows = true};

/* What is not less than the maximum is the maximum; `open` is 1 until the first of them. */
static void max_dx(Steps *s, int d)
{
	Fn *f = s->f;
	for (int c = 0; c < d;) {
		Piece p[8];
		int np = pieces_of(s->t->W, c, d, p);
		np = np > 4 ? 4 : np; /* two registers each */
		f_for(f, "o", aff_c(0), aff_c(1), 1);
		for (int k = 0; k < np; k++) {
			p[k].reg = f_reg(f, "open", p[k].w, 1, 1);
			p[k].reg2 = f_reg(f, "less", p[k].w, 1, 1);
			f_set1(f, p[k].reg, e_const(f, p[k].w, 1));
		}
		int t = each_time(s, 0);
		Aff x = step_at(s, t, 0), dx = step_at(s, t, 3);
		for (int k = 0; k < np; k++) {
			int w = p[k].w, zero = e_const(f, w, 0);
			f_set1(f, p[k].reg2,
			       e_op4(f, E_SELLT, e_load(f, w, s->buf[0], aff_off(x, p[k].at)),
				     e_load(f, w, s->buf[1], aff_off(row_at(s, 1), p[k].at)),
				     e_const(f, w, 0), e_reg1(f, p[k].reg)));
			int dy = e_load(f, w, s->buf[2], aff_off(row_at(s, 2), p[k].at));
			f_store(f, s->buf[3], aff_off(dx, p[k].at),
				e_op4(f, E_SELLT, zero, e_reg1(f, p[k].reg2), dy, e_const(f, w, 0)));
			f_set1(f, p[k].reg, e_op2(f, E_SUB, e_reg1(f, p[k].reg), e_reg1(f, p[k].reg2)));
		}
		f_end(f, 2);
		c = p[np - 1].at + p[np - 1].w;
	}
}

static void max_steps_dx_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int d = (int)shape_size(n->shape);
	Loc arg[4] = {lo_value(l, n->in[0]), lo_value(l, n->in[1]), lo_value(l, n->in[2]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "max_steps_dx_%d_s%d_%d_%d_%d", d, (int)arg[0].stride,
			  (int)arg[1].stride, (int)arg[2].stride, (int)arg[3].stride);
	Steps s = steps_open(l, f, fresh, 4, (BufKind[]){BUF_IN, BUF_IN, BUF_IN, BUF_OUT}, arg);
	if (fresh) {
		max_dx(&s, d);
		f_end(f, 1);
	}
	steps_call(l, f, 4, arg, n->shape.seq, n->span);
}

const Op op_max_steps_dx = {.word = "max_steps_dx",
			    .n_in = 3,
			    .group = GROUP_SEQ,
			    .doc = "The gradient of max_steps: to the first step that has the maximum.",
			    .formula = "dx_t = t is the first with x_t = y ? dy : 0",
			    .example = "max_steps_dx([[1, 4], [3, 4]], [3, 4], [5, 6]) == [[0, 6], [5, 0]]",
			    .shape = shape_like_first,
			    .lower = max_steps_dx_lower,
			    .by_rows = true};

/* ---- the first or the last step ---- */

static void end_step_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	const Node *n = &g->node.at[id];
	Attr a = {.i = n->attr.i, .j = g->node.at[n->in[0]].shape.seq};
	din[0] = graph_op(g, OP_PUT_STEP, 1, &d, a, n->span);
}

static void end_step_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int64_t d = shape_size(n->shape);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "%s_step_%d_s%d_%d", n->attr.i ? "last" : "first", (int)d,
			  (int)arg[0].stride, (int)arg[1].stride);
	Steps s = steps_open(l, f, fresh, 2, (BufKind[]){BUF_IN, BUF_OUT}, arg);
	if (fresh) {
		f_zero(f, l->t->W, d, s.buf[1], row_at(&s, 1));
		int t = end_time(&s, n->attr.i);
		f_copy(f, l->t->W, d, s.buf[1], row_at(&s, 1), s.buf[0], step_at(&s, t, 0));
		f_end(f, 2);
	}
	steps_call(l, f, 2, arg, l->g->node.at[n->in[0]].shape.seq, n->span);
}

const Op op_end_step = {.word = "end_step",
			.onnx = end_step_onnx,
			.n_in = 1,
			.group = GROUP_SEQ,
			.doc = "The last step of a row, or the first; 0 without a step.",
			.formula = "y = x_T",
			.example = "end_step([[1, 2], [3, 4]], first: 1) == [3, 4]",
			.shape = row_shape,
			.grad = end_step_grad,
			.lower = end_step_lower,
			.by_rows = true};

static bool put_step_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			   const char **why)
{
	(void)n;
	*out = g->node.at[in[0]].shape;
	out->seq = attr->j;
	return wants_rows(g, in[0], why);
}

static void put_step_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	int64_t d = shape_size(n->shape);
	Loc arg[2] = {lo_value(l, n->in[0]), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "put_%s_step_%d_s%d_%d", n->attr.i ? "last" : "first", (int)d,
			  (int)arg[0].stride, (int)arg[1].stride);
	Steps s = steps_open(l, f, fresh, 2, (BufKind[]){BUF_IN, BUF_OUT}, arg);
	if (fresh) {
		int t = each_time(&s, 0);
		f_zero(f, l->t->W, d, s.buf[1], step_at(&s, t, 1));
		f_end(f, 1);
		t = end_time(&s, n->attr.i);
		f_copy(f, l->t->W, d, s.buf[1], step_at(&s, t, 1), s.buf[0], row_at(&s, 0));
		f_end(f, 2);
	}
	steps_call(l, f, 2, arg, n->shape.seq, n->span);
}

const Op op_put_step = {
    .word = "put_step",
    .n_in = 1,
    .group = GROUP_SEQ,
    .doc = "The gradient of end_step: a value at the last step of a row, or the first, 0 elsewhere.",
    .formula = "y_t = t = T ? x : 0",
    .example = "put_step([3, 4], first: 1) == [[0, 0], [3, 4]]",
    .shape = put_step_shape,
    .lower = put_step_lower,
    .by_rows = true};

/* ---- length ---- */

static bool length_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			 const char **why)
{
	(void)g, (void)n, (void)in, (void)attr, (void)why;
	*out = shape_scalar(true);
	return true;
}

static void length_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	Loc arg[2] = {lo_slot(l, SLOT_STEP_ROW, n->attr.i - 1, 2, false), lo_result(l, id)};
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "length_s%d", (int)arg[1].stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_I32, "row", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		int r = f_for(f, "r", aff_c(0), aff_v(f_size(f, "n")), 1);
		f_store(f, Y, aff_mul(aff_v(r), arg[1].stride),
			e_load(f, 1, X, aff_off(aff_mul(aff_v(r), 2), 1)));
		f_end(f, 1);
	}
	lo_call(l, f, 2, arg, true, n->span);
}

const Op op_length = {.word = "length",
		      .onnx = length_onnx,
		      .n_in = 0,
		      .group = GROUP_SEQ,
		      .doc = "The number of steps of a row.",
		      .formula = "y = T",
		      .shape = length_shape,
		      .lower = length_lower,
		      .by_rows = true};

/* ---- scans: state, body, scan.  What they mean together is lowered by pass/lower.c, differentiated by
 * pass/autodiff.c.
 * ---- */

static bool state_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			const char **why)
{
	(void)g, (void)n, (void)in, (void)attr, (void)out, (void)why;
	return true; /* as it was made */
}

/* The new value lies where the time before finds it (pass/plan_order.c places it ahead). */
static void state_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	NodeId scan = graph_scan(l->g, id);
	lo_shift(l, lo_value(l, l->g->node.at[scan].in[n->attr.i]), lo_result(l, id), shape_size(n->shape),
		 n->span);
}

const Op op_state = {.word = "state",
		     .n_in = 0,
		     .group = GROUP_SEQ,
		     .doc = "A state of a scan: what the step before left of it, 0 at the first.",
		     .formula = "s_t = new_(t-1), s_0 = 0",
		     .shape = state_shape,
		     .lower = state_lower};

static bool scan_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
		       const char **why)
{
	if (attr->i < 0 || attr->i >= n) {
		*why = "there is no such state";
		return false;
	}
	for (int i = 0; i < n; i++)
		if (!wants_steps(g, in[i], why)) return false;
	*out = g->node.at[in[attr->i]].shape;
	return true;
}

/* The scan backwards in time is not a matter of one node. */
static void scan_grad(Graph *g, NodeId id, NodeId d, NodeId *din) { (void)g, (void)id, (void)d, (void)din; }

static void scan_lower(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	l->loc[id] = lo_value(l, n->in[n->attr.i]);
}

const Op op_scan = {.word = "scan",
		    .n_in = -1,
		    .group = GROUP_SEQ,
		    .doc = "The new values of a scan's states, at every step.",
		    .formula = "y_t = new_t",
		    .shape = scan_shape,
		    .grad = scan_grad,
		    .lower = scan_lower};
