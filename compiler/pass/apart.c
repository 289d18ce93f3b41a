/*
 * Sums over fields of both sides, in two: over what depends on the request alone, and over the rest.
 *
 * FM, FwFM and bi-interaction are sums over fields and pairs of fields (`mix` by weights that all rows share,
 * from the prelude's sum_fields), linear parts are sums over columns (`sum_last`).  Here each becomes
 *
 *     y = (sum over the request's fields) + (sum over the others)
 *
 * so that pass/split.c computes the first once per request.  Pairs of fields stay one sum (`pair_sum`, over
 * each field with those before it), with the request's fields first: that sum can be cut.  The order is the
 * model's own: training, evaluation and every way of scoring share it.
 *
 * Needs   a shared graph with a root for whatever the spec refers to.
 * Leaves  spec->g built anew, with the same roots in the same order; equal nodes are not one in it.
 */
#include "ir/op.h"
#include "pass/bind.h"
#include "pass/pass.h"

enum { WORTH = 2 /* fields of the request: one is no sum */ };

typedef struct {
	const Graph *from;
	const uint8_t *when; /* of nodes of `from` */
	Graph *to;
	NodeId *now; /* per node of `from` */
} Apart;

static int size_of(const Graph *g, NodeId x) { return (int)shape_size(g->node.at[x].shape); }

/* Element by element of operands that are as large as the result, or one number. */
static bool goes_through(const Graph *g, const Node *n)
{
	bool all = op_table[n->op]->each && n->n_in > 0 && !n->shape.seq;
	for (int i = 0; all && i < n->n_in; i++) {
		Shape s = g->node.at[n->in[i]].shape;
		all = shape_size(s) == 1 || (s.rows && shape_size(s) == shape_size(n->shape));
	}
	return all;
}

/* What columns first .. of x depend on, onto t. */
static void times(const Apart *w, NodeId x, int first, int width, uint8_t *t)
{
	const Graph *g = w->from;
	const Node *n = &g->node.at[x];
	bool both = w->when[x] == (BIND_REQUEST | BIND_CANDIDATE);
	if (both && n->op == OP_RESHAPE) {
		times(w, n->in[0], first, width, t);
	} else if (both && n->op == OP_SLICE) {
		times(w, n->in[0], first + n->attr.i, width, t);
	} else if (both && n->op == OP_CONCAT) {
		for (int i = 0, at = 0; i < n->n_in; at += size_of(g, n->in[i++])) {
			int end = at + size_of(g, n->in[i]), lo = first > at ? first : at,
			    hi = first + width < end ? first + width : end;
			if (lo < hi) times(w, n->in[i], lo - at, hi - lo, t + (lo - first));
		}
	} else if (both && goes_through(g, n)) {
		for (int i = 0; i < n->n_in; i++) {
			bool one = size_of(g, n->in[i]) == 1;
			for (int c = 0; one && c < width; c++) t[c] |= w->when[n->in[i]];
			if (!one) times(w, n->in[i], first, width, t);
		}
	} else {
		for (int c = 0; c < width; c++) t[c] |= w->when[x];
	}
}

/* Stretches of what is in the new graph already, rows or none. */
static NodeId stretches(Apart *w, NodeId x, const bool *want)
{
	Graph *g = w->to;
	NodeId *part = arena_new(g->arena, NodeId, size_of(g, x) + 1);
	int n = 0, d = size_of(g, x);
	x = graph_reshape(g, x, shape_over(g->node.at[x].shape, shape_1(true, d)));
	for (int i = 0, end; i < d; i = end) {
		for (end = i + 1; end < d && want[end] == want[i]; end++)
			;
		if (want[i]) part[n++] = end - i == d ? x : graph_slice(g, x, i, end - i);
	}
	return n == 1 ? part[0] : graph_op(g, OP_CONCAT, n, part, (Attr){0}, g->node.at[x].span);
}

/* The wanted columns of x, [n, as many]. */
static NodeId take(Apart *w, NodeId x, const bool *want)
{
	const Graph *g = w->from;
	const Node *n = &g->node.at[x];
	bool both = w->when[x] == (BIND_REQUEST | BIND_CANDIDATE);
	NodeId *part = arena_new(w->to->arena, NodeId, n->n_in + 1);
	if (both && n->op == OP_RESHAPE) return take(w, n->in[0], want);
	if (both && n->op == OP_SLICE) {
		bool *all = arena_new(w->to->arena, bool, size_of(g, n->in[0]));
		for (int c = 0; c < n->attr.j; c++) all[n->attr.i + c] = want[c];
		return take(w, n->in[0], all);
	}
	if (both && n->op == OP_CONCAT) {
		int parts = 0;
		for (int i = 0, at = 0; i < n->n_in; at += size_of(g, n->in[i++])) {
			bool any = false;
			for (int c = 0; c < size_of(g, n->in[i]); c++) any |= want[at + c];
			if (any) part[parts++] = take(w, n->in[i], want + at);
		}
		return parts == 1 ? part[0] : graph_op(w->to, OP_CONCAT, parts, part, (Attr){0}, n->span);
	}
	if (both && goes_through(g, n)) {
		for (int i = 0; i < n->n_in; i++)
			part[i] = size_of(g, n->in[i]) == 1 ? w->now[n->in[i]] : take(w, n->in[i], want);
		return graph_op(w->to, n->op, n->n_in, part, n->attr, n->span);
	}
	return stretches(w, w->now[x], want);
}

static bool is_shared(const Graph *g, NodeId weights)
{
	const Node *n = &g->node.at[weights];
	return n->op == OP_SPREAD && !g->node.at[n->in[0]].shape.rows;
}

/* Weights that all rows share, of the wanted fields. */
static NodeId weights_of(Apart *w, NodeId weights, const bool *want, int fields)
{
	NodeId x = w->now[w->from->node.at[weights].in[0]];
	if (size_of(w->to, x) > 1) x = stretches(w, x, want);
	return graph_push(w->to, OP_SPREAD, shape_1(true, fields), 1, &x, (Attr){0},
			  w->from->node.at[weights].span);
}

/* One of the two sums: of `fields` fields, each so wide. */
static NodeId sum_of(Apart *w, const Node *n, const bool *want, int F, int width, int fields)
{
	NodeId x = n->in[n->op == OP_MIX];
	bool *columns = arena_new(w->to->arena, bool, F *width);
	for (int c = 0; c < F * width; c++) columns[c] = want[c / width];
	NodeId y = take(w, x, columns);
	if (n->op == OP_SUM_LAST) return graph_op(w->to, OP_SUM_LAST, 1, &y, (Attr){0}, n->span);
	y = graph_reshape(w->to, y, shape_2(true, fields, width));
	return graph_op(w->to, OP_MIX, 2, (NodeId[]){weights_of(w, n->in[0], want, fields), y}, (Attr){0},
			n->span);
}

/* Which of F fields of x are the request's; how many. */
static int requests_of(Apart *w, NodeId x, int F, int width, bool *early)
{
	uint8_t *t = arena_new(w->to->arena, uint8_t, F * width);
	int n = 0;
	times(w, x, 0, F * width, t);
	for (int f = 0; f < F; f++) {
		uint8_t of = 0;
		for (int c = 0; c < width; c++) of |= t[f * width + c];
		early[f] = !(of & BIND_CANDIDATE);
		n += early[f];
	}
	return n;
}

/* Where the weight of a pair i < j of F stands. */
static int pair_at(int F, int i, int j) { return i * F - i * (i + 1) / 2 + j - i - 1; }

/* The weights of the pairs of fields in another order. */
static NodeId reorder(Apart *w, NodeId r, const int *field, int F)
{
	Graph *g = w->to;
	NodeId *part = arena_new(g->arena, NodeId, F * F);
	int n = 0, from = 0, width = 0;
	for (int i = 0; i < F; i++) {
		for (int j = i + 1; j < F; j++) {
			int a = field[i], b = field[j], at = a < b ? pair_at(F, a, b) : pair_at(F, b, a);
			if (width && at != from + width) {
				part[n++] = graph_slice(g, r, from, width);
				width = 0;
			}
			if (!width++) from = at;
		}
	}
	if (!n) return r;
	part[n++] = graph_slice(g, r, from, width);
	return graph_op(g, OP_CONCAT, n, part, (Attr){0}, g->node.at[r].span);
}

/* A sum over pairs with the request's fields first, or 0 where it stays as it is. */
static NodeId pairs_in_order(Apart *w, NodeId id)
{
	const Graph *from = w->from;
	const Node *n = &from->node.at[id], *square = &from->node.at[n->in[1]];
	if (square->op != OP_TRIANGLE) return 0;
	Shape s = from->node.at[n->in[0]].shape;
	int F = s.d[0], m = s.d[1], *field = arena_new(w->to->arena, int, F), at = 0;
	bool *early = arena_new(w->to->arena, bool, F);
	int k = requests_of(w, n->in[0], F, m, early);
	if (k < WORTH || k == F) return 0;
	NodeId v[2];
	for (int late = 0; late < 2; late++) {
		bool *want = arena_new(w->to->arena, bool, F *m);
		for (int f = 0; f < F; f++)
			if (early[f] == !late) field[at++] = f;
		for (int c = 0; c < F * m; c++) want[c] = early[c / m] == !late;
		v[late] = take(w, n->in[0], want);
	}
	NodeId r = reorder(w, w->now[square->in[0]], field, F);
	NodeId in[2] = {graph_reshape(w->to, graph_op(w->to, OP_CONCAT, 2, v, (Attr){0}, n->span), s),
			graph_op(w->to, OP_TRIANGLE, 1, &r, (Attr){0}, n->span)};
	return graph_op(w->to, OP_PAIR_SUM, 2, in, n->attr, n->span);
}

/* The sum in two, or 0 where it stays whole. */
static NodeId in_two(Apart *w, NodeId id)
{
	const Node *n = &w->from->node.at[id];
	bool mix = n->op == OP_MIX;
	if (n->shape.seq || w->when[id] != (BIND_REQUEST | BIND_CANDIDATE)) return 0;
	if (n->op == OP_PAIR_SUM) return pairs_in_order(w, id);
	if (!mix && n->op != OP_SUM_LAST) return 0;
	NodeId x = n->in[mix];
	Shape s = w->from->node.at[x].shape;
	if (mix ? !is_shared(w->from, n->in[0]) : s.nd != 1) return 0;
	int F = s.d[0], width = mix ? s.d[1] : 1;
	bool *want[2] = {arena_new(w->to->arena, bool, F), arena_new(w->to->arena, bool, F)};
	int early = requests_of(w, x, F, width, want[0]);
	for (int f = 0; f < F; f++) want[1][f] = !want[0][f];
	if (early < WORTH || early == F) return 0;
	NodeId once = sum_of(w, n, want[0], F, width, early),
	       rest = sum_of(w, n, want[1], F, width, F - early);
	return graph_op(w->to, OP_ADD, 2, (NodeId[]){once, rest}, (Attr){0}, n->span);
}

void pass_apart(Spec *s)
{
	const Graph *g = s->g;
	Apart w = {.from = g, .when = bind_times(s, g), .to = graph_new(g->arena, g->str)};
	w.now = arena_new(g->arena, NodeId, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		w.now[id] = in_two(&w, id);
		if (!w.now[id]) {
			NodeId *in = arena_new(g->arena, NodeId, n->n_in);
			for (int i = 0; i < n->n_in; i++) in[i] = n->in[i] ? w.now[n->in[i]] : 0;
			w.now[id] = graph_push(w.to, n->op, n->shape, n->n_in, in, n->attr, n->span);
		}
		w.to->node.at[w.now[id]].name = n->name;
	}
	for (int r = 0; r < g->root.n; r++)
		graph_root(w.to, g->root.at[r].kind, g->root.at[r].index, w.now[g->root.at[r].node]);
	s->g = w.to;
}
