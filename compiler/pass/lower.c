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
#include "ir/op.h"
#include "ir/value.h"
#include "base/diag.h"
#include "pass/pass.h"
#include "pass/plan.h"
#include "pass/update.h"
#include "pass/walk.h"

static Part part_new(Lower *w, const Graph *g, const char *tag)
{
	Part p = {.g = g, .tag = str_intern(w->mod->str, tag), .walk = walk_of(g)};
	p.free = arena_new(w->arena, Loc, g->node.n);
	for (NodeId id = 1; id < g->node.n; id++) p.free[id] = loc_none;
	p.st = stages_of(w->arena, g, p.walk);
	return p;
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
	plan_levels(&p);
	plan_place_joins(&p);
	plan_items(&p);
	plan_carry_out(&p);
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
		NodeId id = plan_behind(g, g->root.at[r].node);
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
	return p->part->st.phase[id] == PHASE_ROW && p->part->st.n > 1 && plan_leaves(p, id, PHASE_ROW);
}

/* What crosses is computed where it is kept; */
static void place_kept(Plan *p)
{
	for (NodeId id = 1; id < p->part->g->node.n; id++)
		if (keeps(p, id)) plan_place(p, id, plan_keep_place(p, id));
}

static bool same_place(Loc a, Loc b) { return a.slot == b.slot && a.temp == b.temp && a.off == b.off; }

/* what could not be is copied. */
static void copy_kept(Plan *p)
{
	for (NodeId id = 1; id < p->part->g->node.n; id++) {
		if (!keeps(p, id)) continue;
		const Node *n = &p->part->g->node.at[id];
		Loc from = lo_value(p->l, id), to = plan_keep_place(p, id);
		p->l->domain = n->shape.seq;
		if (!same_place(from, to)) lo_copy(p->l, from, to, shape_size(n->shape), true, n->span);
	}
	p->l->domain = 0;
}

static void place_rows(Plan *p)
{
	const Graph *g = p->part->g;
	for (int r = 0; r < g->root.n; r++) {
		const Root *root = &g->root.at[r];
		if (!drow_root(root)) continue;
		Loc at = root_place(p->w, p->l, root);
		NodeId whole = drow_joined(g, root);
		if (whole && (root->kind == ROOT_DROW || drow_region(p->w->spec, g, root, whole) >= 0))
			plan_place(p, whole, loc_column(at, -g->node.at[plan_behind(g, root->node)].attr.i));
		else if (!whole)
			plan_place(p, root->node, at);
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
	plan_levels(&p);
	if (roots_train(wanted)) place_sums(&p);
	for (int r = 0; r < g->root.n; r++) {
		const Root *root = &g->root.at[r];
		if ((root->kind == ROOT_LOSS || root->kind == ROOT_COUNT) && wanted(root) &&
		    plan_due(&p, root, PHASE_ROW))
			plan_place(&p, root->node, root_place(w, l, root));
	}
	if (roots_train(wanted)) place_rows(&p);
	if (roots_train(wanted)) place_kept(&p);
	plan_place_joins(&p);
	plan_joins(&p);
	plan_items(&p);
	plan_place_states(&p);
	plan_carry_out(&p);
	for (int r = 0; r < g->root.n; r++) {
		const Root *root = &g->root.at[r];
		if (!wanted(root) || grad_root(root) || !plan_due(&p, root, PHASE_ROW)) continue;
		Loc at = root_place(w, l, root);
		const Node *n = &g->node.at[root->node];
		if (n->op == OP_CONST) bug("root %d is a constant", r);
		Loc from = lo_value(l, root->node);
		l->domain = n->shape.seq;
		if (!same_place(from, at)) lo_copy(l, from, at, shape_size(n->shape), n->shape.rows, n->span);
	}
	if (roots_train(wanted)) copy_kept(&p);
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
	plan_levels(&p);
	for (NodeId id = 1; id < g->node.n; id++)
		if (plan_leaves(&p, id, PHASE_POST)) plan_place(&p, id, loc_column(meet, w->meet[id]));
	plan_place_joins(&p);
	plan_items(&p);
	plan_carry_out(&p);
	for (NodeId id = 1; id < g->node.n; id++) {
		if (!plan_leaves(&p, id, PHASE_POST)) continue;
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
	plan_levels(&p);
	for (NodeId id = 1; id < part->g->node.n; id++)
		if (plan_leaves(&p, id, PHASE_ROW)) l->loc[id] = plan_keep_place(&p, id);
	plan_items(&p);
	plan_carry_out(&p);
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
	plan_levels(&p);
	plan_place_joins(&p);
	plan_items(&p);
	if (w->n_grad) lo_copy(l, acc, grad, w->n_grad, false, (Span){0});
	plan_carry_out(&p);
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
