/* The order in which an entry's calls are made: depth first, bodies of scans as wholes. */
#include "ir/op.h"
#include "base/diag.h"
#include "pass/map.h"
#include "pass/plan.h"

/* ---- scans ---- */

/* Where a value will lie, before it is computed: a state takes it from there a step later. */
static void place_ahead(Plan *p, NodeId id)
{
	const Graph *g = p->part->g;
	const Node *n = &g->node.at[id];
	if (loc_is(p->l->loc[id]) || !p->live[id]) return;
	if (plan_is_view(n->op)) {
		place_ahead(p, n->in[n->op == OP_SCAN ? n->attr.i : 0]);
		op_table[n->op]->lower(p->l, id);
		return;
	}
	p->kept[id] = true;
	lo_result(p->l, id);
}

void plan_place_states(Plan *p)
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
void plan_carry_out(Plan *p)
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
