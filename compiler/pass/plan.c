/*
 * What one entry computes, in which groups, and where it puts it.
 *
 * An entry leaves roots and sums; what they need and no other entry left is live here.  Live nodes go by
 * level: elementwise ones of one level and size are one kernel, anything else is a call of its own, but for
 * what an op lets one call compute with others, or in the store of its product.
 */
#include "pass/plan.h"
#include "ir/op.h"
#include <stdlib.h>
#include <string.h>

/* ---- what an entry leaves ---- */

bool any_root(const Root *r)
{
	return r->kind == ROOT_OUTPUT || r->kind == ROOT_WATCH || r->kind == ROOT_GATE ||
	       r->kind == ROOT_LOSS || r->kind == ROOT_COUNT || r->kind == ROOT_GRAD ||
	       r->kind == ROOT_DROW || r->kind == ROOT_TASK_GRAD || r->kind == ROOT_TASK_DROW ||
	       r->kind == ROOT_NEXT;
}
bool output_root(const Root *r) { return r->kind == ROOT_OUTPUT; }
bool watch_root(const Root *r) { return r->kind == ROOT_WATCH; }
bool gate_root(const Root *r) { return r->kind == ROOT_GATE; }
bool count_root(const Root *r) { return r->kind == ROOT_COUNT; }
bool step_root(const Root *r)
{
	return r->kind == ROOT_LOSS || r->kind == ROOT_GRAD || r->kind == ROOT_DROW ||
	       r->kind == ROOT_TASK_GRAD || r->kind == ROOT_TASK_DROW;
}
/* Of a later stage: with what could not be counted before. */
bool late_root(const Root *r) { return step_root(r) || count_root(r); }
bool grad_root(const Root *r) { return r->kind == ROOT_GRAD || r->kind == ROOT_TASK_GRAD; }
bool post_root(const Root *r) { return grad_root(r) || r->kind == ROOT_NEXT; }
bool drow_root(const Root *r) { return r->kind == ROOT_DROW || r->kind == ROOT_TASK_DROW; }
bool no_root(const Root *r) { return r->index < 0; }
bool given_root(const Root *r) { return r->kind == ROOT_GIVEN; }
bool item_root(const Root *r) { return r->kind == ROOT_ITEM; }
/* Outputs, of what ITEM holds. */
bool pair_root(const Root *r) { return output_root(r); }

bool roots_train(bool (*wanted)(const Root *)) { return wanted == step_root || wanted == late_root; }

/* ---- where values come from ---- */

/* Where a value that crosses a meeting is kept. */
Loc plan_keep_place(Plan *p, NodeId id)
{
	int i = p->w->keep[id], seq = p->w->out->kept.at[i].seq, width = p->w->out->kept.at[i].width;
	return seq ? lo_steps(p->l, SLOT_KEEP, i, seq, width) : lo_slot(p->l, SLOT_KEEP, i, width, false);
}

/* Where inputs and row-free values lie: nothing to compute. */
static bool given(Plan *p, NodeId id)
{
	const Node *n = &p->part->g->node.at[id];
	Lowering *l = p->l;
	switch (n->op) {
	case OP_CONST: return true;
	case OP_PARAM:
		l->loc[id] = lo_slot(l, SLOT_PARAM, 0, 0, false);
		l->loc[id].off = spec_param_offset(p->w->spec, n->attr.i);
		return true;
	case OP_REAL: l->loc[id] = lo_slot(l, SLOT_REAL, n->attr.i, 1, false); return true;
	case OP_PRESENT: l->loc[id] = lo_slot(l, SLOT_PRESENT, n->attr.i, 1, false); return true;
	case OP_CAN1: l->loc[id] = lo_slot(l, SLOT_CAN1, n->attr.i, 1, false); return true;
	case OP_CAN0: l->loc[id] = lo_slot(l, SLOT_CAN0, n->attr.i, 1, false); return true;
	case OP_KNOWN: l->loc[id] = lo_slot(l, SLOT_KNOWN, n->attr.i, 1, false); return true;
	case OP_SAMPLE: l->loc[id] = lo_slot(l, SLOT_SAMPLE, n->attr.i, 1, false); return true;
	case OP_WEIGHT: l->loc[id] = lo_slot(l, SLOT_WEIGHT, 0, 1, false); return true;
	case OP_NOISE:
		l->loc[id] = n->shape.seq
				 ? lo_steps(l, SLOT_NOISE, n->attr.i, n->shape.seq, shape_size(n->shape))
				 : lo_slot(l, SLOT_NOISE, n->attr.i, (int)shape_size(n->shape), false);
		return true;
	case OP_INV:
		l->loc[id] = lo_slot(l, SLOT_INV, 0, 0, false);
		l->loc[id].off = n->attr.i;
		return true;
	default: return false;
	}
}

/* A value that crossed a meeting: in KEEP, or, of what the rows have in common, in MEET. */
static bool crossed(Plan *p, NodeId id)
{
	const Stages *s = &p->part->st;
	const Node *n = &p->part->g->node.at[id];
	if (s->phase[id] == PHASE_ROW) {
		bool here = s->stage[id] == p->stage && (p->l->groups || !op_table[n->op]->meets);
		if (!s->kept[id] || here) return false;
		p->l->loc[id] = plan_keep_place(p, id);
		return true;
	}
	if (!s->met[id] || s->stage[id] >= p->stage) return false;
	p->l->loc[id] = lo_slot(p->l, SLOT_MEET, 0, 0, false);
	p->l->loc[id].off = p->w->meet[id];
	return true;
}

/* A value another entry left: in PACKED or in ACC. */
static bool left_over(Plan *p, NodeId id, Phase phase)
{
	if (phase == PHASE_ROW && p->part->st.n > 1 && crossed(p, id)) return true;
	Loc from = p->part->st.phase[id] == PHASE_PRE		     ? p->part->free[id]
		   : p->part->st.phase[id] == PHASE_SUM && p->w->acc ? p->w->acc[id]
								     : loc_none;
	OpCode op = p->part->g->node.at[id].op;
	if (op == OP_PARAM || op == OP_CONST || p->part->st.phase[id] == phase ||
	    (phase == PHASE_ROW && p->part->st.phase[id] == PHASE_SUM) || !loc_is(from))
		return false;
	/* A view of a parameter lies in PARAM. */
	SlotKind kind =
	    p->part->st.phase[id] == PHASE_PRE ? p->w->packing.pre->slot.at[from.slot].kind : SLOT_ACC;
	p->l->loc[id] = lo_slot(p->l, kind, 0, 0, false);
	p->l->loc[id].off = from.off;
	return true;
}

/* A value that the request's entry left in REQUEST, the same for all rows; or that of items in ITEM. */
static bool handed(Plan *p, NodeId id)
{
	if (p->row && p->row[id]) {
		p->l->loc[id] = lo_slot(p->l, SLOT_ITEM, 0, (int)p->w->item, false);
		p->l->loc[id].off = p->row[id] - 1;
		return true;
	}
	if (!p->given || !p->given[id]) return false;
	p->l->loc[id] = lo_slot(p->l, SLOT_REQUEST, 0, 0, false);
	p->l->loc[id].off = p->given[id] - 1;
	return true;
}

/* Counts the uses of live nodes' operands; a state needs its scan, which comes later: true, another walk is
 * due. */
static bool mark_operands(Plan *p, Phase phase)
{
	const Graph *g = p->part->g;
	bool news = false;
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		if (!p->live[id]) continue;
		if (left_over(p, id, phase) || handed(p, id)) {
			p->live[id] = false;
			continue;
		}
		for (int i = 0; i < n->n_in; i++)
			if (n->in[i]) {
				p->live[n->in[i]] = true;
				p->uses[n->in[i]]++;
			}
		if (n->op != OP_STATE) continue;
		NodeId scan = graph_scan(g, id);
		news |= !p->live[scan];
		p->live[scan] = true;
	}
	return news;
}

static void want(Plan *p, NodeId id)
{
	p->live[id] = true;
	p->uses[id]++;
	p->kept[id] = true;
}

/* A root is left by the entry of its stage. */
bool plan_due(const Plan *p, const Root *r, Phase phase)
{
	const Stages *s = &p->part->st;
	return phase != PHASE_ROW || (s->phase[r->node] < PHASE_SUM && s->stage[r->node] == p->stage);
}

/* What else the entry leaves for others: sums, and what crosses the next meeting. */
bool plan_leaves(const Plan *p, NodeId id, Phase phase)
{
	const Stages *s = &p->part->st;
	bool meets = op_table[p->part->g->node.at[id].op]->meets;
	if (phase == PHASE_POST) return s->met[id] && s->stage[id] == p->stage - 1;
	if (p->l->groups) return meets && s->stage[id] == p->stage;
	return s->stage[id] == p->stage && (s->phase[id] == PHASE_SUM || (s->kept[id] && !meets));
}

static void mark_results(Plan *p, Phase phase, bool (*wanted)(const Root *))
{
	const Graph *g = p->part->g;
	for (int r = 0; r < g->root.n; r++)
		if (wanted(&g->root.at[r]) && plan_due(p, &g->root.at[r], phase)) want(p, g->root.at[r].node);
	if (phase == PHASE_PRE || !(roots_train(wanted) || wanted == no_root)) return;
	for (NodeId id = 1; id < g->node.n; id++)
		if (plan_leaves(p, id, phase)) want(p, id);
}

static void mark(Plan *p, Phase phase, bool (*wanted)(const Root *))
{
	const Graph *g = p->part->g;
	mark_results(p, phase, wanted);
	int *uses = arena_new(p->w->arena, int, g->node.n);
	memcpy(uses, p->uses, sizeof *uses * (size_t)g->node.n);
	while (mark_operands(p, phase)) memcpy(p->uses, uses, sizeof *uses * (size_t)g->node.n);
	for (NodeId id = 1; id < g->node.n; id++)
		if (p->live[id] && (phase != PHASE_PRE || p->part->st.phase[id] == PHASE_PRE) && given(p, id))
			p->live[id] = false;
}

/* An elementwise user computed in the kernel's store: the only use of a dense product, its other operands at
 * hand. */
static NodeId absorbs(const Plan *p, NodeId id)
{
	const Graph *g = p->part->g;
	const Node *n = &g->node.at[id];
	if (op_table[n->op]->scratch || !n->shape.rows || p->w->t->blas) return 0;
	for (int i = 0; i < n->n_in; i++) {
		NodeId d = n->in[i];
		const Node *dense = &g->node.at[d];
		if (op_table[dense->op]->group != GROUP_DENSE || !p->live[d] || stage_is_sum(dense->op) ||
		    p->uses[d] != 1 || p->l->absorbed[d] || p->part->walk[d] != p->part->walk[id] ||
		    shape_size(dense->shape) < 8 || shape_size(dense->shape) != shape_size(n->shape))
			continue;
		bool ready = true;
		for (int k = 0; k < n->n_in; k++) {
			NodeId in = n->in[k];
			bool product = !p->map[in] && !plan_is_view(g->node.at[in].op) && in < d;
			ready &= k == i || !p->live[in] || p->level[in] < p->level[d] + product;
		}
		if (ready) return d;
	}
	return 0;
}

/* May one elementwise kernel compute both? */
static bool alike(const Graph *g, NodeId a, NodeId b)
{
	Shape s = g->node.at[a].shape, t = g->node.at[b].shape;
	return shape_size(s) == shape_size(t) && s.rows == t.rows && s.seq == t.seq;
}

/* The highest level of what a body needs from outside. */
static int below(const Plan *p, int walk)
{
	const Graph *g = p->part->g;
	int level = 0;
	for (NodeId id = 1; id < g->node.n; id++)
		for (int i = 0; p->part->walk[id] == walk && p->live[id] && i < g->node.at[id].n_in; i++) {
			NodeId in = g->node.at[id].in[i];
			if (in && p->live[in] && p->part->walk[in] != walk && p->top[in] > level)
				level = p->top[in];
		}
	return level;
}

/* Users outside come after all of a body. */
static void close_walk(Plan *p, int walk)
{
	int most = 0;
	for (NodeId id = 1; id < p->part->g->node.n; id++)
		if (p->part->walk[id] == walk && p->live[id] && p->level[id] > most) most = p->level[id];
	for (NodeId id = 1; id < p->part->g->node.n; id++)
		if (p->part->walk[id] == walk) p->top[id] = most;
}

void plan_levels(Plan *p)
{
	const Graph *g = p->part->g;
	int walk = 0, base = 0;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		int now = p->part->walk[id];
		if (walk && walk != now) close_walk(p, walk);
		if (now && walk != now) base = below(p, now);
		walk = now;
		if (!p->live[id]) continue;
		NodeId d = plan_elementwise(n) ? absorbs(p, id) : 0;
		if (d) {
			p->l->absorbed[d] = id;
			p->top[id] = p->level[id] = p->level[d];
			continue;
		}
		p->map[id] = plan_elementwise(n);
		int level = now ? base + 1 : 1;
		for (int i = 0; i < n->n_in; i++) {
			NodeId in = n->in[i];
			if (!in || !p->live[in]) continue;
			bool inside = p->part->walk[in] == now;
			bool together =
			    inside && (plan_is_view(n->op) || (p->map[id] && p->map[in] && alike(g, in, id)));
			int least = (inside ? p->level[in] : p->top[in]) + !together;
			level = least > level ? least : level;
			if (!together || plan_is_view(n->op)) p->kept[in] = true;
		}
		p->top[id] = p->level[id] = level;
	}
	if (walk) close_walk(p, walk);
	/* A value used in a later group leaves its own; equal size is not enough. */
	for (NodeId id = 1; id < g->node.n; id++)
		for (int i = 0; p->live[id] && i < g->node.at[id].n_in; i++) {
			NodeId in = g->node.at[id].in[i];
			if (in && p->live[in] &&
			    (!p->map[id] || p->level[in] != p->level[id] ||
			     p->part->walk[in] != p->part->walk[id]))
				p->kept[in] = true;
		}
}

/* Nodes that their op lets one call compute.  After everything that has a place of its own is placed. */
void plan_joins(Plan *p)
{
	const Graph *g = p->part->g;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Op *op = op_table[g->node.at[id].op];
		if (!p->live[id] || !op->joins) continue;
		for (NodeId first = 1; first < id; first++) {
			if (!p->live[first] || g->node.at[first].op != g->node.at[id].op ||
			    p->carried[first] || p->part->walk[first] || p->part->walk[id] ||
			    g->node.at[first].shape.seq != g->node.at[id].shape.seq ||
			    !op->joins(p->l, first, id))
				continue;
			NodeId last = first;
			while (p->l->with[last]) last = p->l->with[last];
			p->l->with[last] = id;
			p->carried[id] = true;
			break;
		}
	}
}

static int item_order(const void *a, const void *b)
{
	const Item *x = a, *y = b;
	if (x->level != y->level) return x->level - y->level;
	if (x->walk != y->walk) return x->walk - y->walk;
	if (x->view != y->view) return x->view - y->view;
	return x->id - y->id;
}

void plan_items(Plan *p)
{
	const Graph *g = p->part->g;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (!p->live[id] || (plan_elementwise(n) && !p->map[id]) || p->carried[id]) continue;
		int i = p->item.n;
		if (p->map[id])
			for (i = 0; i < p->item.n; i++) {
				NodeId first = p->item.at[i].id;
				if (p->map[first] && p->item.at[i].level == p->level[id] &&
				    alike(g, first, id) && p->part->walk[first] == p->part->walk[id])
					break;
			}
		if (i == p->item.n)
			vec_push(p->w->arena, &p->item,
				 (Item){.level = p->level[id],
					.walk = p->part->walk[id],
					.view = plan_is_view(n->op),
					.id = id});
		vec_push(p->w->arena, &p->item.at[i].node, id);
	}
	if (p->item.n) qsort(p->item.at, (size_t)p->item.n, sizeof *p->item.at, item_order);
}

/* The node behind reshapes, which lies in the same place. */
NodeId plan_behind(const Graph *g, NodeId id)
{
	while (g->node.at[id].op == OP_RESHAPE) id = g->node.at[id].in[0];
	return id;
}

/* Puts a value where it will be wanted, if it is computed here and not placed yet. */
bool plan_place(Plan *p, NodeId id, Loc at)
{
	id = plan_behind(p->part->g, id);
	const Node *n = &p->part->g->node.at[id];
	if (!p->live[id] || loc_is(p->l->loc[id]) || plan_is_view(n->op)) return false;
	/* Row scalars in a wider row would make their whole group run element by element. */
	if (p->map[id] && shape_size(n->shape) == 1 && at.stride > 1) return false;
	/* A value computed in the store of its product takes the product's place. */
	p->l->loc[id] = at;
	return true;
}

/* Joined values are computed side by side, the outermost join first. */
void plan_place_joins(Plan *p)
{
	const Graph *g = p->part->g;
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		if (!p->live[id] || n->op != OP_CONCAT) continue;
		Loc at = lo_result(p->l, id);
		for (int i = 0; i < n->n_in; i++) {
			plan_place(p, n->in[i], at);
			at = loc_column(at, shape_size(g->node.at[n->in[i]].shape));
		}
	}
}

/* Per node: 1 + where the root of this kind puts it, or 0. */
static NodeId *roots_of(Lower *w, const Graph *g, RootKind kind)
{
	NodeId *at = arena_new(w->arena, NodeId, g->node.n);
	for (int r = 0; r < g->root.n; r++)
		if (g->root.at[r].kind == kind) at[g->root.at[r].node] = 1 + g->root.at[r].index;
	return at;
}

Plan plan_new(Lower *w, Lowering *l, const Part *part, Phase phase, int stage, bool (*wanted)(const Root *))
{
	int n = part->g->node.n;
	Plan p = {.w = w,
		  .l = l,
		  .part = part,
		  .stage = stage,
		  .live = arena_new(w->arena, bool, n),
		  .kept = arena_new(w->arena, bool, n),
		  .uses = arena_new(w->arena, int, n),
		  .level = arena_new(w->arena, int, n),
		  .top = arena_new(w->arena, int, n),
		  .map = arena_new(w->arena, bool, n),
		  .carried = arena_new(w->arena, bool, n)};
	w->packing.tag = part->tag;
	if (phase == PHASE_ROW && wanted(&(Root){.kind = ROOT_OUTPUT})) {
		p.given = roots_of(w, part->g, ROOT_GIVEN);
		if (wanted == pair_root) p.row = roots_of(w, part->g, ROOT_ITEM);
	}
	mark(&p, phase, wanted);
	return p;
}
