/*
 * Request and candidates: the serving graph cut where values stop depending on the request alone.
 *
 * A dense layer over columns of both sides becomes two: `dense_first` over the request's, `dense_rest` over
 * the others from there on.  The order of its terms (pass/bind.c) has the request's columns first, so the two
 * do what the layer does, step by step.  So do `pair_first` and `pair_rest`, of pairs of fields.  What a
 * candidate's node reads of the request's is a root GIVEN, with a place in the block REQUEST.
 *
 * A second cut is where values stop depending on the candidate alone: they are roots ITEM, columns of a row
 * that a candidate can be told by for many requests.  No sum is cut there, so nothing changes its order.
 *
 * Needs   a folded serving graph with orders.
 * Leaves  a graph with roots GIVEN, ITEM and OUTPUT.
 */
#include "ir/terms.h"
#include "pass/bind.h"
#include "pass/pass.h"

typedef struct {
	const Spec *s;
	const Graph *from;
	const uint8_t *when; /* of nodes of `from` */
	Graph *to;
	NodeId *now; /* per node of `from` */
} Split;

/* A layer's terms before and after the cut: the rows of the weights, and the columns that meet them. */
typedef struct {
	Terms terms[2];
	Pieces piece[2];
} Cut;

/* Columns first .. of the value whose pieces are p, as pieces. */
static bool columns(const Split *w, const Pieces *p, int first, int width, Pieces *out)
{
	bool early = true;
	for (int i = 0, at = 0; i < p->n; at += p->at[i++].width) {
		int lo = first > at ? first : at, hi = first + width;
		if (hi > at + p->at[i].width) hi = at + p->at[i].width;
		if (lo >= hi) continue;
		early &= !(p->at[i].when & BIND_CANDIDATE);
		vec_push(w->to->arena, out,
			 (Piece){p->at[i].node, p->at[i].first + lo - at, hi - lo, p->at[i].when});
	}
	return early;
}

/* What is summed in chains can be cut between stretches only, one chain anywhere. */
static bool cut_of(const Split *w, const Node *n, Cut *c)
{
	const Graph *g = w->from;
	Pieces p = bind_pieces(g, w->when, n->in[0], false);
	int K = (int)shape_size(g->node.at[n->in[0]].shape);
	Terms whole = {1, {{0, K}}}, t = n->attr.word ? terms_read(n->attr.word) : whole;
	*c = (Cut){0};
	int late = 0;
	for (int i = 0; i < t.n; i++) {
		Pieces here = {0};
		bool early = columns(w, &p, t.at[i].k, t.at[i].n, &here);
		if (terms_in_chains((int)shape_size(n->shape))) {
			late |= !early;
			terms_add(&c->terms[late], t.at[i].k, t.at[i].n, false);
			for (int k = 0; k < here.n; k++) vec_push(g->arena, &c->piece[late], here.at[k]);
			continue;
		}
		int begun = c->terms[late].n;
		for (int k = 0, at = t.at[i].k; k < here.n; at += here.at[k++].width) {
			if (!late && here.at[k].when & BIND_CANDIDATE) late = 1, begun = 0;
			terms_add(&c->terms[late], at, here.at[k].width, c->terms[late].n > begun);
			vec_push(g->arena, &c->piece[late], here.at[k]);
		}
	}
	return c->piece[0].n && c->piece[1].n;
}

/* The pieces side by side in the new graph. */
static NodeId join(Split *w, const Pieces *p)
{
	Graph *g = w->to;
	NodeId *in = arena_new(g->arena, NodeId, p->n);
	int n = 0;
	for (int i = 0; i < p->n; i++) {
		NodeId x = w->now[p->at[i].node];
		int width = p->at[i].width, first = p->at[i].first;
		for (; i + 1 < p->n && p->at[i + 1].node == p->at[i].node &&
		       p->at[i + 1].first == first + width;
		     i++)
			width += p->at[i + 1].width;
		bool all = width == shape_size(g->node.at[x].shape);
		in[n++] = !all			       ? graph_slice(g, x, first, width)
			  : g->node.at[x].shape.nd > 1 ? graph_reshape(g, x, shape_1(true, width))
						       : x;
	}
	return n == 1 ? in[0] : graph_op(g, OP_CONCAT, n, in, (Attr){0}, g->node.at[in[0]].span);
}

static NodeId cut_dense(Split *w, const Node *n, const Cut *c)
{
	Graph *g = w->to;
	NodeId bias = n->in[2] ? w->now[n->in[2]] : 0, x[2];
	for (int i = 0; i < 2; i++) x[i] = join(w, &c->piece[i]);
	Attr first = n->attr, rest = n->attr; /* of the same precision */
	first.word = terms_text(w->s->str, &c->terms[0]);
	rest.word = terms_text(w->s->str, &c->terms[1]);
	NodeId f = graph_op(g, OP_DENSE_FIRST, 3, (NodeId[]){x[0], w->now[n->in[1]], bias}, first, n->span);
	return graph_op(g, OP_DENSE_REST, 3, (NodeId[]){x[1], w->now[n->in[1]], f}, rest, n->span);
}

/* How many of the fields of n, a sum over pairs, lie before the first of the candidate's. */
static int first_fields(const Split *w, const Node *n)
{
	Pieces p = bind_pieces(w->from, w->when, n->in[0], false);
	int at = 0, m = w->from->node.at[n->in[0]].shape.d[1];
	for (int i = 0; i < p.n && !(p.at[i].when & BIND_CANDIDATE); i++) at += p.at[i].width;
	return at / m;
}

static NodeId cut_pairs(Split *w, const Node *n, int k)
{
	Graph *g = w->to;
	Shape s = w->from->node.at[n->in[0]].shape;
	int F = s.d[0], m = s.d[1];
	Pieces p = bind_pieces(w->from, w->when, n->in[0], false), part[2] = {{0}};
	columns(w, &p, 0, k * m, &part[0]);
	columns(w, &p, k * m, (F - k) * m, &part[1]);
	NodeId r = w->now[n->in[1]], v[2];
	for (int i = 0; i < 2; i++)
		v[i] = graph_reshape(g, join(w, &part[i]), shape_2(true, i ? F - k : k, m));
	NodeId first = graph_op(g, OP_PAIR_FIRST, 2, (NodeId[]){v[0], r}, n->attr, n->span);
	return graph_op(g, OP_PAIR_REST, 3, (NodeId[]){v[1], r, first}, n->attr, n->span);
}

static void copy(Split *w)
{
	for (NodeId id = 1; id < w->from->node.n; id++) {
		const Node *n = &w->from->node.at[id];
		bool both = w->when[id] == (BIND_REQUEST | BIND_CANDIDATE);
		int fields = both && n->op == OP_PAIR_SUM && !n->shape.seq ? first_fields(w, n) : 0;
		Cut c;
		if (n->op == OP_DENSE && !n->shape.seq && both && cut_of(w, n, &c)) {
			w->now[id] = cut_dense(w, n, &c);
		} else if (fields) {
			w->now[id] = cut_pairs(w, n, fields);
		} else {
			NodeId *in = arena_new(w->to->arena, NodeId, n->n_in);
			for (int i = 0; i < n->n_in; i++) in[i] = w->now[n->in[i]];
			w->now[id] = graph_push(w->to, n->op, n->shape, n->n_in, in, n->attr, n->span);
		}
		w->to->node.at[w->now[id]].name = n->name;
	}
	for (int r = 0; r < w->from->root.n; r++)
		graph_root(w->to, ROOT_OUTPUT, w->from->root.at[r].index, w->now[w->from->root.at[r].node]);
}

/*
 * Is a node computed with the candidates?  What depends on them is, and so are steps of the request that such
 * a node goes over: they are many rows, and the block REQUEST is one.
 */
static bool *late(const Graph *g, const uint8_t *when)
{
	bool *with = arena_new(g->arena, bool, g->node.n);
	for (bool news = true; news;) {
		news = false;
		for (NodeId id = g->node.n; id-- > 1;) {
			const Node *n = &g->node.at[id];
			with[id] |= (when[id] & BIND_CANDIDATE) != 0;
			for (int i = 0; with[id] && i < n->n_in; i++)
				with[n->in[i]] |= g->node.at[n->in[i]].shape.seq != 0;
			if (n->op != OP_STATE || !with[id]) continue;
			NodeId scan = graph_scan(g, id);
			news |= !with[scan];
			with[scan] = true;
		}
	}
	return with;
}

/* What the candidates' part reads, one after the other from multiples of a cache line on. */
static int64_t give(const Spec *s, Graph *g)
{
	const uint8_t *when = bind_times(s, g);
	const bool *with = late(g, when);
	bool *read = arena_new(g->arena, bool, g->node.n);
	int64_t floats = 0;
	for (NodeId id = 1; id < g->node.n; id++)
		for (int i = 0; with[id] && i < g->node.at[id].n_in; i++) read[g->node.at[id].in[i]] = true;
	for (int r = 0; r < g->root.n; r++) read[g->root.at[r].node] = true;
	for (NodeId id = 1; id < g->node.n; id++) {
		if (!read[id] || with[id] || !g->node.at[id].shape.rows) continue;
		graph_root(g, ROOT_GIVEN, (int)floats, id);
		floats += (shape_size(g->node.at[id].shape) + 15) / 16 * 16;
	}
	return floats;
}

Graph *pass_split(const Spec *s, const Graph *serve, int64_t *floats)
{
	Split w = {.s = s, .from = serve, .when = bind_times(s, serve)};
	w.to = graph_new(serve->arena, serve->str);
	w.now = arena_new(serve->arena, NodeId, serve->node.n);
	bool request = false;
	for (NodeId id = 1; id < serve->node.n; id++) request |= w.when[id] == BIND_REQUEST;
	*floats = 0;
	if (!request) return NULL;
	copy(&w);
	pass_cse(w.to);
	pass_dce(w.to);
	*floats = give(s, w.to);
	return w.to;
}

/* The parts of the candidate's side of a cross of both sides, which the request completes; 0: it is no such.
 */
static int kept_parts(const Spec *s, const Feature *f)
{
	int n = 0;
	if (f->train_only || !s->group.at[f->group].candidate) return 0;
	for (int k = 0; k < f->cross.n; k++) n += s->group.at[s->feature.at[f->cross.at[k]].group].candidate;
	return n < f->cross.n ? n : 0;
}

/* Binding times, with crosses of both sides depending on both. */
static uint8_t *completed_times(const Spec *s, const Graph *g)
{
	uint8_t *when = bind_times(s, g);
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		int f = spec_feature_read(s, n);
		if (f >= 0 && kept_parts(s, &s->feature.at[f])) when[id] |= BIND_REQUEST;
		for (int i = 0; i < n->n_in; i++) when[id] |= when[n->in[i]];
	}
	return when;
}

/* A row has the numbers, then, for each cross of both sides, the table rows of its parts (runtime/cross.c).
 */
int64_t pass_items(const Spec *s, Graph *g)
{
	const uint8_t *when = completed_times(s, g);
	bool *read = arena_new(g->arena, bool, g->node.n);
	int64_t floats = 0;
	for (NodeId id = 1; id < g->node.n; id++)
		for (int i = 0; when[id] == (BIND_REQUEST | BIND_CANDIDATE) && i < g->node.at[id].n_in; i++)
			read[g->node.at[id].in[i]] = true;
	for (int r = 0; r < g->root.n; r++)
		if (g->root.at[r].kind == ROOT_OUTPUT) read[g->root.at[r].node] = true;
	for (NodeId id = 1; id < g->node.n; id++) {
		read[id] &= when[id] == BIND_CANDIDATE;
		if (read[id] && g->node.at[id].shape.seq) return 0; /* steps: a row is not enough */
	}
	for (NodeId id = 1; id < g->node.n; id++) {
		if (!read[id]) continue;
		graph_root(g, ROOT_ITEM, (int)floats, id);
		floats += shape_size(g->node.at[id].shape);
	}
	for (int i = 0; floats && i < s->feature.n; i++) floats += kept_parts(s, &s->feature.at[i]);
	return floats;
}

/* Multiply-adds of k of F fields of width m: a pair's, and a field's with its sum. */
static int64_t pair_work(OpCode op, Shape v, Shape r)
{
	int64_t k = v.d[0], m = v.d[1], F = r.d[0];
	int64_t behind = op == OP_PAIR_FIRST ? (F - k) * k : 0;
	return m * (k * (k - 1) / 2 + behind + k);
}

void split_work(const Spec *s, const Graph *g, int64_t work[3])
{
	const uint8_t *when = bind_times(s, g);
	work[0] = work[1] = work[2] = 0;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (!when[id]) continue;
		Shape x = g->node.at[n->in ? n->in[0] : 0].shape,
		      w = n->n_in > 1 ? g->node.at[n->in[1]].shape : x;
		bool dense = n->op == OP_DENSE || n->op == OP_DENSE_FIRST || n->op == OP_DENSE_REST;
		if (dense) work[when[id] - 1] += shape_size(x) * w.d[1];
		if (n->op == OP_MIX) work[when[id] - 1] += shape_size(w);
		if (n->op == OP_PAIR_SUM || n->op == OP_PAIR_FIRST || n->op == OP_PAIR_REST)
			work[when[id] - 1] += pair_work(n->op, x, w);
	}
}
