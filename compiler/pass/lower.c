/*
 * Lowering: the graphs of a model become the entries of one module.
 *
 * Every node belongs to a phase: PRE depends on parameters alone and is computed after each change of them;
 * ROW is computed block by block; POST comes after the sums over all rows.  Where rows wait for such sums,
 * ROW falls into stages (stage.h), an entry each.  Within a phase nodes go by level: elementwise nodes of one
 * level and size are one kernel, anything else is a call of its own.  No op is named here but those that are
 * sums or views.
 *
 * Needs   folded graphs with roots.
 * Leaves  a verified module.
 */
#include "base/diag.h"
#include "ir/op.h"
#include "ir/value.h"
#include "pass/map.h"
#include "pass/pass.h"
#include "pass/stage.h"
#include "pass/update.h"
#include "pass/walk.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
	const Graph *g;
	Str tag;
	Stages st;
	Loc *free; /* PRE nodes: where they lie in PACKED (slot of the pre entry) */
	int *walk; /* per node: 1 + the scan whose body it belongs to, or 0 */
} Part;

typedef struct {
	Arena *arena;
	Spec *spec;
	const Target *t;
	Mod *mod;
	Packing packing;
	int64_t n_grad, n_acc, request, item;
	Loc *acc;      /* train graph: where PHASE_SUM nodes lie in ACC (offset), or none */
	int *keep;     /* per node of the train graph: its number in KEEP, */
	int64_t *meet; /* and where it lies in MEET */
	Lowered *out;
} Lower;

void pass_records(Spec *s, bool scorer)
{
	for (int i = 0; i < s->table.n; i++) {
		int floats = optimizer_record(&s->tables, s->table.at[i].dim), stride = 1;
		if (scorer) {
			Table *t = &s->table.at[i];
			t->narrow = t->precision != PRECISION_F32;
			t->stride = narrow_record(t->precision, t->dim);
			continue;
		}
		/* Up to a cache line a power of two, so that no record straddles lines; then whole lines. */
		while (stride < floats && stride < 16) stride *= 2;
		s->table.at[i].stride = floats <= 16 ? stride : (floats + 15) / 16 * 16;
	}
}

static bool elementwise(const Node *n) { return op_table[n->op]->each != NULL; }
static bool is_view(OpCode op) { return op == OP_RESHAPE || op == OP_SLICE || op == OP_SCAN; }

static Part part_new(Lower *w, const Graph *g, const char *tag)
{
	Part p = {.g = g, .tag = str_intern(w->mod->str, tag), .walk = walk_of(g)};
	p.free = arena_new(w->arena, Loc, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) p.free[id] = loc_none;
	p.st = stages_of(w->arena, g, p.walk);
	return p;
}

/* ---- what an entry leaves ---- */

static bool any_root(const Root *r)
{
	return r->kind == ROOT_OUTPUT || r->kind == ROOT_WATCH || r->kind == ROOT_GATE ||
	       r->kind == ROOT_LOSS || r->kind == ROOT_COUNT || r->kind == ROOT_GRAD ||
	       r->kind == ROOT_DROW || r->kind == ROOT_TASK_GRAD || r->kind == ROOT_TASK_DROW ||
	       r->kind == ROOT_NEXT;
}
static bool output_root(const Root *r) { return r->kind == ROOT_OUTPUT; }
static bool watch_root(const Root *r) { return r->kind == ROOT_WATCH; }
static bool gate_root(const Root *r) { return r->kind == ROOT_GATE; }
static bool count_root(const Root *r) { return r->kind == ROOT_COUNT; }
static bool step_root(const Root *r)
{
	return r->kind == ROOT_LOSS || r->kind == ROOT_GRAD || r->kind == ROOT_DROW ||
	       r->kind == ROOT_TASK_GRAD || r->kind == ROOT_TASK_DROW;
}
/* Of a later stage: with what could not be counted before. */
static bool late_root(const Root *r) { return step_root(r) || count_root(r); }
static bool grad_root(const Root *r) { return r->kind == ROOT_GRAD || r->kind == ROOT_TASK_GRAD; }
static bool post_root(const Root *r) { return grad_root(r) || r->kind == ROOT_NEXT; }
static bool drow_root(const Root *r) { return r->kind == ROOT_DROW || r->kind == ROOT_TASK_DROW; }
static bool no_root(const Root *r) { return r->index < 0; }
static bool given_root(const Root *r) { return r->kind == ROOT_GIVEN; }
static bool item_root(const Root *r) { return r->kind == ROOT_ITEM; }
/* Outputs, of what ITEM holds. */
static bool pair_root(const Root *r) { return output_root(r); }

static bool trains(bool (*wanted)(const Root *)) { return wanted == step_root || wanted == late_root; }

/* ---- what is computed in one entry, and in what order ---- */

typedef struct {
	int level;
	int walk;	  /* 1 + the scan it is part of, or 0 */
	bool view;	  /* after everything else of its level */
	NodeId id;	  /* the first node */
	VEC(NodeId) node; /* several: an elementwise group */
} Item;

typedef struct {
	Lower *w;
	Lowering *l;
	const Part *part;
	int stage;  /* of the rows; in POST: the meeting, or 0 after the last */
	bool *live; /* needed here and computed here */
	bool *kept; /* elementwise: needed outside its group */
	int *uses, *level;
	int *top;      /* level; of a node in a body, that of the body */
	bool *map;     /* computed in an elementwise group */
	bool *carried; /* computed by the call of another node */
	NodeId *given; /* handed over by the request's entry: 1 + where in REQUEST, or NULL */
	NodeId *row;   /* by the items' entry: 1 + where in a row of ITEM, or NULL */
	VEC(Item) item;
} Plan;

/* Where a value that crosses a meeting is kept. */
static Loc keep_place(Plan *p, NodeId id)
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
		p->l->loc[id] = keep_place(p, id);
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
static bool due(const Plan *p, const Root *r, Phase phase)
{
	const Stages *s = &p->part->st;
	return phase != PHASE_ROW || (s->phase[r->node] < PHASE_SUM && s->stage[r->node] == p->stage);
}

/* What else the entry leaves for others: sums, and what crosses the next meeting. */
static bool leaves(const Plan *p, NodeId id, Phase phase)
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
		if (wanted(&g->root.at[r]) && due(p, &g->root.at[r], phase)) want(p, g->root.at[r].node);
	if (phase == PHASE_PRE || !(trains(wanted) || wanted == no_root)) return;
	for (NodeId id = 1; id < g->node.n; id++)
		if (leaves(p, id, phase)) want(p, id);
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
			bool product = !p->map[in] && !is_view(g->node.at[in].op) && in < d;
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

static void levels(Plan *p)
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
		NodeId d = elementwise(n) ? absorbs(p, id) : 0;
		if (d) {
			p->l->absorbed[d] = id;
			p->top[id] = p->level[id] = p->level[d];
			continue;
		}
		p->map[id] = elementwise(n);
		int level = now ? base + 1 : 1;
		for (int i = 0; i < n->n_in; i++) {
			NodeId in = n->in[i];
			if (!in || !p->live[in]) continue;
			bool inside = p->part->walk[in] == now;
			bool together =
			    inside && (is_view(n->op) || (p->map[id] && p->map[in] && alike(g, in, id)));
			int least = (inside ? p->level[in] : p->top[in]) + !together;
			level = least > level ? least : level;
			if (!together || is_view(n->op)) p->kept[in] = true;
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
static void joins(Plan *p)
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

static void items(Plan *p)
{
	const Graph *g = p->part->g;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (!p->live[id] || (elementwise(n) && !p->map[id]) || p->carried[id]) continue;
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
					.view = is_view(n->op),
					.id = id});
		vec_push(p->w->arena, &p->item.at[i].node, id);
	}
	if (p->item.n) qsort(p->item.at, (size_t)p->item.n, sizeof *p->item.at, item_order);
}

/* The node behind reshapes, which lies in the same place. */
static NodeId behind(const Graph *g, NodeId id)
{
	while (g->node.at[id].op == OP_RESHAPE) id = g->node.at[id].in[0];
	return id;
}

/* Puts a value where it will be wanted, if it is computed here and not placed yet. */
static bool place(Plan *p, NodeId id, Loc at)
{
	id = behind(p->part->g, id);
	const Node *n = &p->part->g->node.at[id];
	if (!p->live[id] || loc_is(p->l->loc[id]) || is_view(n->op)) return false;
	/* Row scalars in a wider row would make their whole group run element by element. */
	if (p->map[id] && shape_size(n->shape) == 1 && at.stride > 1) return false;
	/* A value computed in the store of its product takes the product's place. */
	p->l->loc[id] = at;
	return true;
}

/* Joined values are computed side by side, the outermost join first. */
static void place_joins(Plan *p)
{
	const Graph *g = p->part->g;
	for (NodeId id = g->node.n; id-- > 1;) {
		const Node *n = &g->node.at[id];
		if (!p->live[id] || n->op != OP_CONCAT) continue;
		Loc at = lo_result(p->l, id);
		for (int i = 0; i < n->n_in; i++) {
			place(p, n->in[i], at);
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

static Plan plan_new(Lower *w, Lowering *l, const Part *part, Phase phase, int stage,
		     bool (*wanted)(const Root *))
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

/* ---- scans ---- */

/* Where a value will lie, before it is computed: a state takes it from there a step later. */
static void place_ahead(Plan *p, NodeId id)
{
	const Graph *g = p->part->g;
	const Node *n = &g->node.at[id];
	if (loc_is(p->l->loc[id]) || !p->live[id]) return;
	if (is_view(n->op)) {
		place_ahead(p, n->in[n->op == OP_SCAN ? n->attr.i : 0]);
		op_table[n->op]->lower(p->l, id);
		return;
	}
	p->kept[id] = true;
	lo_result(p->l, id);
}

static void place_states(Plan *p)
{
	const Graph *g = p->part->g;
	for (NodeId id = 1; id < g->node.n; id++)
		for (int i = 0; g->node.at[id].op == OP_SCAN && p->live[id] && i < g->node.at[id].n_in; i++)
			place_ahead(p, g->node.at[id].in[i]);
}

/* Whose steps the call that computes a node goes over. */
static int domain_of(const Graph *g, NodeId id)
{
	const Node *n = &g->node.at[id];
	if (op_table[n->op]->by_rows) return 0;
	for (int i = 0; !n->shape.rows && i < n->n_in; i++) /* a sum */
		if (n->in[i] && g->node.at[n->in[i]].shape.seq) return g->node.at[n->in[i]].shape.seq;
	return n->shape.seq;
}

static void lower_item(Plan *p, const Item *item)
{
	const Graph *g = p->part->g;
	p->l->domain = domain_of(g, item->id);
	if (p->map[item->id])
		map_lower(p->l, item->node.n, item->node.at, p->kept);
	else
		op_table[g->node.at[item->id].op]->lower(p->l, item->id);
	p->l->domain = 0;
}

/* All items of a body: the states first, the others by level. */
static void lower_walk(Plan *p, int walk)
{
	const Graph *g = p->part->g;
	int first = p->l->call.n;
	TimeWalk w = {0};
	for (NodeId id = 1; id < g->node.n; id++)
		if (p->part->walk[id] == walk && g->node.at[id].op == OP_STATE)
			w = (TimeWalk){g->node.at[id].shape.seq, g->node.at[id].attr.k != 0};
	vec_push(p->w->arena, &p->l->walk, w);
	p->l->now = p->l->walk.n;
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < p->item.n; i++)
			if (p->item.at[i].walk == walk &&
			    (g->node.at[p->item.at[i].id].op == OP_STATE) == (pass == 0))
				lower_item(p, &p->item.at[i]);
	p->l->now = 0;
	lo_walked(p->l, first);
}

/* ---- the order of calls ---- */

typedef VEC(int) Ints;
typedef struct {
	int *of;    /* per node: the item that computes it (of a body: the first of its items), or -1 */
	int *waits; /* per item: for so many others */
	Ints *next; /* per item: those that wait for it */
	Ints ready; /* the last is the next */
} Order;

static void needs(Plan *p, Order *o, int item, NodeId id)
{
	const Node *n = &p->part->g->node.at[id];
	for (int k = 0; k < n->n_in; k++) {
		int from = n->in[k] ? o->of[n->in[k]] : -1;
		if (from < 0 || from == item) continue;
		vec_push(p->w->arena, &o->next[from], item);
		o->waits[item]++;
	}
}

/* Items of one body are carried out together. */
static int first_of(const Plan *p, int item)
{
	int first = 0;
	if (!p->item.at[item].walk) return item;
	while (p->item.at[first].walk != p->item.at[item].walk) first++;
	return first;
}

static Order order_new(Plan *p)
{
	Arena *a = p->w->arena;
	int n = p->part->g->node.n;
	Order o = {.of = arena_new(a, int, n)};
	o.waits = arena_new(a, int, p->item.n + 1);
	o.next = arena_new(a, Ints, p->item.n + 1);
	for (int id = 0; id < n; id++) o.of[id] = -1;
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < p->item.n; i++)
			for (int k = 0; k < p->item.at[i].node.n; k++)
				for (NodeId id = p->item.at[i].node.at[k]; id; id = p->l->with[id]) {
					NodeId user = p->l->absorbed[id];
					int at = first_of(p, i);
					if (pass) {
						needs(p, &o, at, id);
						if (user) needs(p, &o, at, user);
						continue;
					}
					o.of[id] = at;
					if (user) o.of[user] = at;
				}
	return o;
}

/* What nothing waits for comes first: it uses what was just made, and lets it go. */
static void make_ready(Plan *p, Order *o, const int *item, int n)
{
	for (int leaf = 0; leaf < 2; leaf++)
		for (int i = n; i-- > 0;)
			if (leaf == (o->next[item[i]].n == 0)) vec_push(p->w->arena, &o->ready, item[i]);
}

/*
 * Depth first: what was just computed is used while it is in the cache, and an expert is done before the next
 * begins.
 */
static void carry_out(Plan *p)
{
	Order o = order_new(p);
	Ints now = {0};
	int due = 0, done = 0;
	for (int i = 0; i < p->item.n; i++) {
		if (first_of(p, i) != i) continue;
		due++;
		if (!o.waits[i]) vec_push(p->w->arena, &now, i);
	}
	make_ready(p, &o, now.at, now.n);
	for (; o.ready.n; done++) {
		int at = o.ready.at[--o.ready.n];
		now.n = 0;
		for (int k = 0; k < o.next[at].n; k++)
			if (!--o.waits[o.next[at].at[k]]) vec_push(p->w->arena, &now, o.next[at].at[k]);
		make_ready(p, &o, now.at, now.n);
		if (p->item.at[at].walk)
			lower_walk(p, p->item.at[at].walk);
		else
			lower_item(p, &p->item.at[at]);
	}
	if (done < due) bug("calls that wait for each other");
}

/* ---- the entries ---- */

/* Row-free values that depend on parameters alone: computed by `pre`, kept in PACKED. */
static void lower_free(Lower *w, Part *part)
{
	Lowering *pre = w->packing.pre;
	const Graph *g = part->g;
	pre->g = g;
	pre->loc = arena_new(w->arena, Loc, g->node.n);
	pre->absorbed = arena_new(w->arena, NodeId, g->node.n);
	pre->with = arena_new(w->arena, NodeId, g->node.n);
	for (int i = 0; i < g->node.n; i++) pre->loc[i] = loc_none;
	Plan p = plan_new(w, pre, part, PHASE_PRE, 0, any_root);
	for (NodeId id = 1; id < g->node.n; id++) {
		p.live[id] &= part->st.phase[id] == PHASE_PRE;
		p.kept[id] = true;
		bool fresh;
		if (p.live[id])
			pre->loc[id] = lo_packed(pre, shape_size(g->node.at[id].shape), &fresh, "%s value %d",
						 part->tag, id);
	}
	levels(&p);
	place_joins(&p);
	items(&p);
	carry_out(&p);
	for (NodeId id = 1; id < g->node.n; id++)
		if (p.live[id]) part->free[id] = pre->loc[id];
}

/* Of a gradient in ACC and GRAD. */
static int64_t grad_place(const Spec *s, const Root *r)
{
	if (r->kind == ROOT_GRAD) return spec_param_offset(s, r->index);
	int task = r->index / s->param.n, param = r->index % s->param.n;
	return spec_param_floats(s) + task * s->n_shared + s->param.at[param].block;
}

static int drow_lookup(const Spec *s, const Root *r)
{
	return r->kind == ROOT_DROW ? r->index : r->index % s->lookup.n;
}

static int drow_column(const Spec *s, const Root *r)
{
	const Lookup *l = &s->lookup.at[drow_lookup(s, r)];
	if (r->kind == ROOT_DROW) return l->offset;
	return l->offset + (1 + r->index / s->lookup.n) * s->n_block;
}

static Loc root_place(Lower *w, Lowering *l, const Root *r)
{
	Loc at = loc_none;
	switch (r->kind) {
	case ROOT_OUTPUT: at = lo_slot(l, SLOT_OUT, 0, w->spec->output.n, false); break;
	case ROOT_WATCH: at = lo_slot(l, SLOT_WATCH, 0, 3 * w->spec->watch.n, false); break;
	case ROOT_LOSS: at = lo_slot(l, SLOT_LOSS, 0, w->spec->loss.n, true); break;
	case ROOT_COUNT: at = lo_slot(l, SLOT_COUNT, 0, w->spec->loss.n, true); break;
	case ROOT_GATE: {
		const Gate *last = &w->spec->gate.at[w->spec->gate.n - 1];
		at = lo_slot(l, SLOT_GATE, 0, last->first + last->n, false);
		break;
	}
	case ROOT_DROW:
	case ROOT_TASK_DROW: {
		int seq = w->spec->feature.at[w->spec->lookup.at[drow_lookup(w->spec, r)].feature].seq;
		at = seq ? lo_steps(l, SLOT_DSTEPS, seq - 1, seq, w->spec->seq.at[seq - 1].n_drow)
			 : lo_slot(l, SLOT_DROWS, 0, w->spec->n_drow, false);
		at.off = drow_column(w->spec, r);
		return at;
	}
	case ROOT_GIVEN: at = lo_slot(l, SLOT_REQUEST, 0, (int)w->request, false); break;
	case ROOT_ITEM: at = lo_slot(l, SLOT_ITEM, 0, (int)w->item, false); break;
	case ROOT_NEXT:
	case ROOT_TASK_GRAD:
	case ROOT_GRAD: bug("no value of a row");
	}
	at.off = r->index;
	return at;
}

/*
 * Sums over rows go to ACC: gradients that are one sum to their parameter's place, others behind; those that
 * rows wait for into the region of their meeting.
 */
static void assign_sums(Lower *w, const Part *part)
{
	const Graph *g = part->g;
	w->acc = arena_new(w->arena, Loc, g->node.n);
	for (NodeId id = 0; id < g->node.n; id++) w->acc[id] = loc_none;
	for (int r = 0; r < g->root.n; r++) {
		NodeId id = behind(g, g->root.at[r].node);
		if (!grad_root(&g->root.at[r]) || part->st.phase[id] != PHASE_SUM || loc_is(w->acc[id]) ||
		    part->st.early[id])
			continue;
		w->acc[id] = (Loc){.slot = 0, .temp = -1, .off = grad_place(w->spec, &g->root.at[r])};
	}
	for (int meeting = 0; meeting < part->st.n; meeting++) {
		if (meeting) vec_push(w->arena, &w->out->region, w->n_acc);
		for (NodeId id = 1; id < g->node.n; id++) {
			int of = part->st.early[id] ? part->st.stage[id] + 1 : 0;
			if (part->st.phase[id] != PHASE_SUM || loc_is(w->acc[id]) || of != meeting) continue;
			w->acc[id] = (Loc){.slot = 0, .temp = -1, .off = w->n_acc};
			w->n_acc += (shape_size(g->node.at[id].shape) + 15) / 16 * 16;
		}
	}
}

/* What crosses meetings: numbers in KEEP, places in MEET. */
static void assign_crossing(Lower *w, const Part *part)
{
	const Graph *g = part->g;
	w->keep = arena_new(w->arena, int, g->node.n);
	w->meet = arena_new(w->arena, int64_t, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) {
		Shape shape = g->node.at[id].shape;
		if (part->st.kept[id]) {
			w->keep[id] = w->out->kept.n;
			vec_push(w->arena, &w->out->kept, ((Kept){(int)shape_size(shape), shape.seq}));
		}
		if (!part->st.met[id]) continue;
		w->meet[id] = w->out->n_meet;
		w->out->n_meet += (shape_size(shape) + 15) / 16 * 16;
	}
}

static void place_sums(Plan *p)
{
	for (NodeId id = 1; id < p->part->g->node.n; id++) {
		if (p->part->st.phase[id] != PHASE_SUM || p->part->st.stage[id] != p->stage) continue;
		p->l->loc[id] = lo_slot(p->l, SLOT_ACC, 0, 0, false);
		p->l->loc[id].off = p->w->acc[id].off;
	}
}

static bool keeps(const Plan *p, NodeId id)
{
	return p->part->st.phase[id] == PHASE_ROW && p->part->st.n > 1 && leaves(p, id, PHASE_ROW);
}

/* What crosses is computed where it is kept; */
static void place_kept(Plan *p)
{
	for (NodeId id = 1; id < p->part->g->node.n; id++)
		if (keeps(p, id)) place(p, id, keep_place(p, id));
}

static bool same_place(Loc a, Loc b) { return a.slot == b.slot && a.temp == b.temp && a.off == b.off; }

/* what could not be is copied. */
static void copy_kept(Plan *p)
{
	for (NodeId id = 1; id < p->part->g->node.n; id++) {
		if (!keeps(p, id)) continue;
		const Node *n = &p->part->g->node.at[id];
		Loc from = lo_value(p->l, id), to = keep_place(p, id);
		p->l->domain = n->shape.seq;
		if (!same_place(from, to)) lo_copy(p->l, from, to, shape_size(n->shape), true, n->span);
	}
	p->l->domain = 0;
}

/* The joined value whose columns a lookup's gradient is, or 0. */
static NodeId joined(const Graph *g, const Root *r)
{
	NodeId id = drow_root(r) ? behind(g, r->node) : 0;
	return id && g->node.at[id].op == OP_SLICE ? behind(g, g->node.at[id].in[0]) : 0;
}

/*
 * The gradient of joined lookups is computed side by side.  DROWS takes over that layout, other columns
 * included (a real feature between two ids costs a float), so that nothing has to be moved.
 *
 * Lookups of shared tables whose tasks are kept apart have a block for each task, all with one layout, which
 * the first task with a gradient gives; what of another task does not fit is moved there.  Block 0 is for
 * their sum.
 */
/* A region of a block that the joined value can be computed in; its column, or -1. */
static int region_of(const Spec *s, const Graph *g, const Root *root, NodeId whole)
{
	int at = s->lookup.at[drow_lookup(s, root)].block - g->node.at[behind(g, root->node)].attr.i;
	int seq = s->feature.at[s->lookup.at[drow_lookup(s, root)].feature].seq;
	for (int i = 0; i < s->region.n; i++)
		if (s->region.at[i].seq == seq && s->region.at[i].at == at &&
		    s->region.at[i].width == shape_size(g->node.at[whole].shape))
			return at;
	return -1;
}

/* What a block holds, of rows and of the steps of each sequence. */
static void fill_blocks(Spec *s, const Graph *train)
{
	NodeId *base = arena_new(s->arena, NodeId, train->node.n);
	for (int r = 0; r < train->root.n; r++) {
		const Root *root = &train->root.at[r];
		if (root->kind != ROOT_TASK_DROW) continue;
		Lookup *l = &s->lookup.at[drow_lookup(s, root)];
		if (l->block >= 0) continue;
		int seq = s->feature.at[l->feature].seq,
		    *width = seq ? &s->seq.at[seq - 1].in_block : &s->in_block;
		NodeId whole = joined(train, root);
		if (!whole) {
			l->block = *width;
			*width += s->table.at[l->table].dim;
			continue;
		}
		if (!base[whole]) {
			int all = (int)shape_size(train->node.at[whole].shape);
			base[whole] = *width + 1;
			vec_push(s->arena, &s->region, ((Region){seq, *width, all}));
			*width += all;
		}
		l->block = base[whole] - 1 + train->node.at[behind(train, root->node)].attr.i;
	}
}

static void block_rows(Spec *s, const Graph *train)
{
	fill_blocks(s, train);
	s->n_block = s->in_block;
	for (int q = 0; q < s->seq.n; q++)
		if (s->seq.at[q].in_block > s->n_block) s->n_block = s->seq.at[q].in_block;
	s->first_block = s->n_drow;
	if (s->in_block) s->n_drow += (s->task.n + 1) * s->n_block;
	for (int i = 0; i < s->seq.n; i++) {
		Seq *q = &s->seq.at[i];
		q->first_block = q->n_drow;
		if (q->in_block) q->n_drow += (s->task.n + 1) * s->n_block;
	}
	for (int i = 0; i < s->lookup.n; i++) {
		Lookup *l = &s->lookup.at[i];
		int seq = s->feature.at[l->feature].seq;
		if (l->block >= 0)
			l->offset = (seq ? s->seq.at[seq - 1].first_block : s->first_block) + l->block;
	}
}

void pass_rows(Spec *s, const Graph *train)
{
	NodeId *base = arena_new(s->arena, NodeId, train->node.n);
	s->n_drow = s->in_block = 0;
	for (int i = 0; i < s->seq.n; i++) s->seq.at[i].n_drow = s->seq.at[i].in_block = 0;
	for (int i = 0; i < s->lookup.n; i++) s->lookup.at[i].offset = s->lookup.at[i].block = -1;
	for (int r = 0; r < train->root.n; r++) {
		const Root *root = &train->root.at[r];
		if (root->kind != ROOT_DROW) continue;
		Lookup *l = &s->lookup.at[root->index];
		int seq = s->feature.at[l->feature].seq,
		    *width = seq ? &s->seq.at[seq - 1].n_drow : &s->n_drow;
		NodeId whole = joined(train, root);
		if (!whole) {
			l->offset = *width;
			*width += s->table.at[l->table].dim;
			continue;
		}
		if (!base[whole]) {
			base[whole] = *width + 1;
			*width += (int)shape_size(train->node.at[whole].shape);
		}
		l->offset = base[whole] - 1 + train->node.at[behind(train, root->node)].attr.i;
	}
	block_rows(s, train);
}

static void place_rows(Plan *p)
{
	const Graph *g = p->part->g;
	for (int r = 0; r < g->root.n; r++) {
		const Root *root = &g->root.at[r];
		if (!drow_root(root)) continue;
		Loc at = root_place(p->w, p->l, root);
		NodeId whole = joined(g, root);
		if (whole && (root->kind == ROOT_DROW || region_of(p->w->spec, g, root, whole) >= 0))
			place(p, whole, loc_column(at, -g->node.at[behind(g, root->node)].attr.i));
		else if (!whole)
			place(p, root->node, at);
	}
}

static Fn *lower_rows(Lower *w, Part *part, const char *name, int stage, bool (*wanted)(const Root *),
		      int64_t *work, Lowering **out)
{
	Lowering *l = lowering_new(w->arena, w->mod, w->t, w->spec, part->g, &w->packing, name, true);
	/* The packing step asks for parameters in the words of this graph. */
	w->packing.pre->g = part->g;
	w->packing.pre->loc = part->free;
	Plan p = plan_new(w, l, part, PHASE_ROW, stage, wanted);
	const Graph *g = part->g;
	levels(&p);
	if (trains(wanted)) place_sums(&p);
	for (int r = 0; r < g->root.n; r++) {
		const Root *root = &g->root.at[r];
		if ((root->kind == ROOT_LOSS || root->kind == ROOT_COUNT) && wanted(root) &&
		    due(&p, root, PHASE_ROW))
			place(&p, root->node, root_place(w, l, root));
	}
	if (trains(wanted)) place_rows(&p);
	if (trains(wanted)) place_kept(&p);
	place_joins(&p);
	joins(&p);
	items(&p);
	place_states(&p);
	carry_out(&p);
	for (int r = 0; r < g->root.n; r++) {
		const Root *root = &g->root.at[r];
		if (!wanted(root) || grad_root(root) || !due(&p, root, PHASE_ROW)) continue;
		Loc at = root_place(w, l, root);
		const Node *n = &g->node.at[root->node];
		if (n->op == OP_CONST) bug("root %d is a constant", r);
		Loc from = lo_value(l, root->node);
		l->domain = n->shape.seq;
		if (!same_place(from, at)) lo_copy(l, from, at, shape_size(n->shape), n->shape.rows, n->span);
	}
	if (trains(wanted)) copy_kept(&p);
	Fn *f = lowering_finish(l);
	*work = l->work;
	*out = l;
	return f;
}

/* Meeting k: what rows of later stages need of the sums before it. */
static Fn *lower_meet(Lower *w, Part *part, int k, int64_t *work, Lowering **out)
{
	const char *name = arena_printf(w->arena, "meet%d", k);
	Lowering *l = lowering_new(w->arena, w->mod, w->t, w->spec, part->g, &w->packing, name, false);
	lo_slot(l, SLOT_ACC, 0, 0, false);
	Loc meet = lo_slot(l, SLOT_MEET, 0, 0, false);
	Plan p = plan_new(w, l, part, PHASE_POST, k, no_root);
	const Graph *g = part->g;
	levels(&p);
	for (NodeId id = 1; id < g->node.n; id++)
		if (leaves(&p, id, PHASE_POST)) place(&p, id, loc_column(meet, w->meet[id]));
	place_joins(&p);
	items(&p);
	carry_out(&p);
	for (NodeId id = 1; id < g->node.n; id++) {
		if (!leaves(&p, id, PHASE_POST)) continue;
		Loc from = lo_value(l, id), to = loc_column(meet, w->meet[id]);
		if (!same_place(from, to))
			lo_copy(l, from, to, shape_size(g->node.at[id].shape), false, g->node.at[id].span);
	}
	Fn *f = lowering_finish(l);
	*work = l->work;
	*out = l;
	return f;
}

/* Meeting k: what is computed group by group.  NULL: nothing. */
static Fn *lower_groups(Lower *w, Part *part, int k, int64_t *work, Lowering **out)
{
	const char *name = arena_printf(w->arena, "groups%d", k);
	Lowering *l = lowering_new(w->arena, w->mod, w->t, w->spec, part->g, &w->packing, name, false);
	l->groups = true;
	Plan p = plan_new(w, l, part, PHASE_ROW, k, no_root);
	levels(&p);
	for (NodeId id = 1; id < part->g->node.n; id++)
		if (leaves(&p, id, PHASE_ROW)) l->loc[id] = keep_place(&p, id);
	items(&p);
	carry_out(&p);
	if (!l->call.n) return NULL;
	Fn *f = lowering_finish(l);
	*work = l->work;
	*out = l;
	return f;
}

static void copy_next(Lower *w, Lowering *l, const Root *r)
{
	const Node *n = &l->g->node.at[r->node];
	Loc to = lo_slot(l, SLOT_NEXT, 0, 0, false);
	to.off = spec_next_offset(w->spec, r->index);
	lo_copy(l, lo_value(l, r->node), to, shape_size(n->shape), false, n->span);
}

/* GRAD = what the sums left at the parameters' places, plus gradients computed from sums. */
static Fn *lower_post(Lower *w, Part *part, int64_t *work, Lowering **out)
{
	Lowering *l = lowering_new(w->arena, w->mod, w->t, w->spec, part->g, &w->packing, "post", false);
	Loc acc = lo_slot(l, SLOT_ACC, 0, 0, false), grad = lo_slot(l, SLOT_GRAD, 0, 0, false);
	Plan p = plan_new(w, l, part, PHASE_POST, 0, post_root);
	const Graph *g = part->g;
	levels(&p);
	place_joins(&p);
	items(&p);
	if (w->n_grad) lo_copy(l, acc, grad, w->n_grad, false, (Span){0});
	carry_out(&p);
	for (int r = 0; r < g->root.n; r++) {
		const Root *root = &g->root.at[r];
		if (root->kind == ROOT_NEXT) copy_next(w, l, root);
		if (!grad_root(root)) continue;
		Loc from = lo_value(l, root->node), to = loc_column(grad, grad_place(w->spec, root));
		if (from.slot == acc.slot && from.off == to.off) continue;
		int64_t size = shape_size(g->node.at[root->node].shape);
		bool fresh;
		Fn *f = lo_kernel(l, &fresh, "add_%lld", (long long)size);
		if (fresh) {
			int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_INOUT, ELEM_F32, "y", 0);
			int i = f_for(f, "i", aff_c(0), aff_c(size), 1);
			f_store(f, Y, aff_v(i),
				e_op2(f, E_ADD, e_load(f, 1, Y, aff_v(i)), e_load(f, 1, X, aff_v(i))));
			f_end(f, 1);
		}
		lo_call(l, f, 2, (Loc[]){from, to}, false, g->node.at[root->node].span);
	}
	Fn *f = lowering_finish(l);
	*work = l->work;
	*out = l;
	return f;
}

static void entry(Lower *w, Lowered *o, Fn *f, const Lowering *l, int64_t work)
{
	vec_push(w->arena, &o->entry,
		 (Entry){.fn = f, .n_slot = l ? l->slot.n : 0, .slot = l ? l->slot.at : NULL, .work = work});
}

/* The entries of each meeting. */
static void meetings(Lower *w, Part *part, Lowered *o)
{
	for (int k = 1; k < part->st.n; k++) {
		Lowering *l[MEETING_ENTRIES] = {0};
		Fn *f[MEETING_ENTRIES];
		int64_t work[MEETING_ENTRIES] = {0};
		const char *rows = arena_printf(w->arena, "step%d", k);
		f[MEETING_MEET] = lower_meet(w, part, k, &work[MEETING_MEET], &l[MEETING_MEET]);
		f[MEETING_GROUPS] = lower_groups(w, part, k, &work[MEETING_GROUPS], &l[MEETING_GROUPS]);
		f[MEETING_ROWS] =
		    lower_rows(w, part, rows, k, late_root, &work[MEETING_ROWS], &l[MEETING_ROWS]);
		for (int i = 0; i < MEETING_ENTRIES; i++) entry(w, o, f[i], l[i], work[i]);
	}
}

/* What an entry reads of a side's cells was handed over; but steps of the request are read again. */
static void reads_none_of(const Lower *w, const Lowering *l, bool candidate)
{
	for (int i = 0; i < l->slot.n; i++) {
		const Slot *s = &l->slot.at[i];
		if (candidate && s->kind == SLOT_ID && w->spec->feature.at[s->index].cross.n) continue;
		bool cells = s->kind == SLOT_ID || s->kind == SLOT_BAG_START || s->kind == SLOT_BAG_ITEM ||
			     s->kind == SLOT_BAG_SCALE || s->kind == SLOT_REAL || s->kind == SLOT_PRESENT;
		if (cells && (candidate || !w->spec->feature.at[s->index].seq) &&
		    w->spec->group.at[w->spec->feature.at[s->index].group].candidate == candidate)
			bug("%s reads %s", l->name, w->spec->feature.at[s->index].name);
	}
}

Lowered *pass_lower(Arena *a, Spec *s, const Graphs *all, const Target *t)
{
	Lowered *o = arena_new(a, Lowered, 1);
	const Graph *train = all->train;
	Lower w = {.arena = a,
		   .spec = s,
		   .t = t,
		   .out = o,
		   .n_grad = spec_grad_floats(s),
		   .request = all->request,
		   .item = all->split && !train ? all->item : 0};
	w.n_acc = w.n_grad;
	w.mod = o->mod = mod_new(a, s->str, str_printf(s->str, "%s_%s", s->name, t->suffix), t->W, t->fma);
	w.mod->blas = t->blas;
	w.mod->f64 = t->f64;
	w.mod->dot4 = t->dot4;
	o->target = t;
	values_add(w.mod);
	Lowering *pre = w.packing.pre = lowering_new(a, w.mod, t, s, NULL, &w.packing, "pre", false);
	Lowering *l[ENTRY_TABLE] = {pre};
	Fn *fn[ENTRY_TABLE] = {0};
	int64_t work[ENTRY_TABLE] = {0};
	const struct {
		const Graph *g;
		const char *tag;
		int n;
		struct {
			int entry;
			const char *name;
			bool (*wanted)(const Root *);
		} e[4];
	} graphs[] = {
	    {all->serve, "serve", 1, {{ENTRY_SCORE, "score", output_root}}},
	    {all->split,
	     "split",
	     w.item ? 4 : 2,
	     {{ENTRY_REQUEST, "request", given_root},
	      {ENTRY_CANDIDATES, "candidates", output_root},
	      {ENTRY_ITEMS, "items", item_root},
	      {ENTRY_PAIRS, "pairs", pair_root}}},
	    {all->watch,
	     "watch",
	     s->gate.n ? 2 : 1,
	     {{ENTRY_WATCH, "watch", watch_root}, {ENTRY_GATES, "gates", gate_root}}},
	    {train, "train", 2, {{ENTRY_COUNT, "count", count_root}, {ENTRY_STEP, "step", step_root}}},
	};
	Lowered met = {0};
	for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
		if (!graphs[i].g) continue;
		Part part = part_new(&w, walk_order(graphs[i].g), graphs[i].tag);
		w.packing.tag = part.tag;
		lower_free(&w, &part);
		for (NodeId id = 1; id < part.g->node.n; id++)
			if (part.g->node.at[id].op == OP_PARAM) {
				part.free[id] = lo_slot(pre, SLOT_PARAM, 0, 0, false);
				part.free[id].off = spec_param_offset(s, part.g->node.at[id].attr.i);
			}
		if (graphs[i].g == train) {
			for (int r = 0; r < part.g->root.n; r++)
				if (count_root(&part.g->root.at[r]))
					s->loss.at[part.g->root.at[r].index].counted =
					    part.st.stage[part.g->root.at[r].node];
			assign_sums(&w, &part);
			assign_crossing(&w, &part);
		}
		for (int e = 0; e < graphs[i].n; e++) {
			int k = graphs[i].e[e].entry;
			fn[k] = lower_rows(&w, &part, graphs[i].e[e].name, 0, graphs[i].e[e].wanted, &work[k],
					   &l[k]);
		}
		if (graphs[i].g == train) meetings(&w, &part, &met);
		if (graphs[i].g == train)
			fn[ENTRY_POST] = lower_post(&w, &part, &work[ENTRY_POST], &l[ENTRY_POST]);
	}
	for (int e = ENTRY_CANDIDATES; e <= ENTRY_PAIRS; e++)
		if (l[e]) reads_none_of(&w, l[e], false);
	if (l[ENTRY_PAIRS]) reads_none_of(&w, l[ENTRY_PAIRS], true);
	lo_slot(pre, SLOT_PACKED, 0, 0, false);
	fn[0] = lowering_finish(pre);
	work[0] = pre->work;
	if (train) {
		l[ENTRY_UPDATE] = lowering_new(a, w.mod, t, s, NULL, &w.packing, "update", false);
		fn[ENTRY_UPDATE] = update_dense(l[ENTRY_UPDATE], &s->dense);
	}
	for (int i = 0; i < ENTRY_TABLE; i++) entry(&w, o, fn[i], l[i], work[i]);
	for (int i = 0; train && i < s->table.n; i++) {
		Lowering *u = lowering_new(a, w.mod, t, s, NULL, &w.packing, "update_table", false);
		Fn *f = update_table(u, &s->tables, i);
		entry(&w, o, f, u, 0);
	}
	for (int i = 0; i < met.entry.n; i++) vec_push(a, &o->entry, met.entry.at[i]);
	o->packed = w.packing.size;
	o->n_acc = w.n_acc;
	o->item = w.item;
	o->request = all->split ? all->request : 0;
	return o;
}
