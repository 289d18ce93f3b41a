/* Calls, places, and how they become one exported function. */
#include "ir/lowering.h"
#include "base/diag.h"
#include <stdarg.h>
#include <string.h>

Lowering *lowering_new(Arena *a, Mod *m, const Target *t, Spec *spec, const Graph *g, Packing *p,
		       const char *name, bool rows)
{
	Lowering *l = arena_new(a, Lowering, 1);
	*l = (Lowering){.arena = a,
			.str = m->str,
			.m = m,
			.t = t,
			.spec = spec,
			.g = g,
			.packing = p,
			.name = str_intern(m->str, name),
			.rows = rows};
	int n = g ? g->node.n : 1;
	l->loc = arena_new(a, Loc, n);
	l->absorbed = arena_new(a, NodeId, n);
	l->with = arena_new(a, NodeId, n);
	for (int i = 0; i < n; i++) l->loc[i] = loc_none;
	return l;
}

Loc lo_slot(Lowering *l, SlotKind kind, int index, int stride, bool per_block)
{
	int i = 0;
	while (i < l->slot.n && (l->slot.at[i].kind != kind || l->slot.at[i].index != index)) i++;
	if (i == l->slot.n) vec_push(l->arena, &l->slot, (Slot){kind, index, stride, per_block});
	return (Loc){i, -1, 0, per_block ? 0 : stride, 0};
}

Loc lo_steps(Lowering *l, SlotKind kind, int index, int seq, int64_t stride)
{
	Loc at = lo_slot(l, kind, index, 0, false);
	at.stride = stride;
	at.seq = seq;
	return at;
}

Loc lo_temp(Lowering *l, int64_t width, Shape of)
{
	int64_t size = width;
	if (of.rows) size *= ROW_BLOCK;
	if (of.seq) size *= l->spec->seq.at[of.seq - 1].max;
	vec_push(l->arena, &l->temp, (Temp){.size = size, .first = -1});
	return (Loc){-1, l->temp.n - 1, 0, of.rows ? width : 0, of.seq};
}

Loc lo_value(Lowering *l, NodeId id)
{
	if (!loc_is(l->loc[id]))
		bug("entry %s: node %%%d (%s) used before it is computed", l->name, id,
		    l->g->node.at[id].name ? l->g->node.at[id].name : "");
	return l->loc[id];
}

Loc lo_result(Lowering *l, NodeId id)
{
	NodeId to = l->absorbed[id] ? l->absorbed[id] : id;
	if (!loc_is(l->loc[to])) {
		Shape s = l->g->node.at[to].shape;
		l->loc[to] = lo_temp(l, shape_size(s), s);
	}
	return l->loc[to];
}

SrcKind src_kind(const Graph *g, NodeId operand, NodeId user)
{
	const Node *o = &g->node.at[operand];
	int64_t size = shape_size(o->shape), whole = shape_size(g->node.at[user].shape);
	if (o->op == OP_CONST) return SRC_CONST;
	if (!o->shape.rows)
		return size == 1 && whole != 1	     ? SRC_SCALAR
		       : g->node.at[user].shape.rows ? (size == 1 ? SRC_SCALAR : SRC_COLUMN)
						     : SRC_FULL;
	return size == 1 && whole != 1 ? SRC_ROW : SRC_FULL;
}

Fn *lo_kernel(Lowering *l, bool *fresh, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *name = arena_vprintf(l->arena, fmt, ap);
	va_end(ap);
	int at = fn_find(l->m, name);
	*fresh = at < 0;
	return at < 0 ? fn_new(l->m, name) : l->m->fn.at[at];
}

void lo_call(Lowering *l, Fn *f, int n, const Loc *arg, bool rows, Span span)
{
	Call c = {.fn = f, .rows = rows, .seq = rows ? l->domain : 0, .walk = l->now, .span = span};
	for (int i = 0; i < n; i++) {
		vec_push(l->arena, &c.arg, arg[i]);
		if (arg[i].temp < 0) continue;
		Temp *t = &l->temp.at[arg[i].temp];
		if (t->first < 0) t->first = l->call.n;
		t->last = l->call.n;
	}
	vec_push(l->arena, &l->call, c);
}

Str lo_free_key(Lowering *l, NodeId id)
{
	const Node *n = &l->g->node.at[id];
	return n->op == OP_PARAM ? str_printf(l->str, "param %d", n->attr.i)
				 : str_printf(l->str, "%s value %d", l->packing->tag, id);
}

Loc lo_packed(Lowering *l, int64_t size, bool *fresh, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	Str key = str_intern(l->str, arena_vprintf(l->arena, fmt, ap));
	va_end(ap);
	Packing *p = l->packing;
	int i = 0;
	while (i < p->item.n && p->item.at[i].key != key) i++;
	*fresh = i == p->item.n;
	if (*fresh) {
		vec_push(l->arena, &p->item, (Packed){key, p->size});
		p->size += (size + 15) / 16 * 16;
	}
	Loc at = lo_slot(l, SLOT_PACKED, 0, 0, false);
	at.off = p->item.at[i].at;
	return at;
}

/* First fit: temps in order of their first use, each at the lowest place free during its life. */
static void plan(Lowering *l)
{
	for (int i = 0; i < l->temp.n; i++) {
		Temp *t = &l->temp.at[i];
		int64_t size = (t->size + 15) / 16 * 16;
		if (t->first < 0) continue;
		int64_t at = 0;
		for (bool moved = true; moved;) {
			moved = false;
			for (int k = 0; k < i; k++) {
				const Temp *o = &l->temp.at[k];
				bool lives = o->first >= 0 && o->first <= t->last && t->first <= o->last;
				int64_t end = o->at + (o->size + 15) / 16 * 16;
				if (lives && at < end && o->at < at + size) {
					at = end;
					moved = true;
				}
			}
		}
		t->at = at;
		if (at + size > l->work) l->work = at + size;
	}
}

/* Is the buffer of slot s written by some call? */
static bool slot_written(const Lowering *l, int s)
{
	for (int c = 0; c < l->call.n; c++)
		for (int a = 0; a < l->call.at[c].arg.n; a++)
			if (l->call.at[c].arg.at[a].slot == s && l->call.at[c].fn->buf.at[a].kind != BUF_IN)
				return true;
	return false;
}

static const char *const slot_word[] = {
#define SLOT(name, elem, doc) #name,
#include "runtime/abi.def"
#undef SLOT
};
static const Elem slot_elem[] = {
#define f32		      ELEM_F32
#define i32		      ELEM_I32
#define SLOT(name, elem, doc) elem,
#include "runtime/abi.def"
#undef SLOT
#undef f32
#undef i32
};

static Str slot_name(const Lowering *l, const Slot *s)
{
	char low[32];
	size_t i = 0;
	for (; slot_word[s->kind][i] && i < sizeof low - 1; i++) {
		char c = slot_word[s->kind][i];
		low[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	low[i] = '\0';
	int same = 0;
	for (int k = 0; k < l->slot.n; k++) same += l->slot.at[k].kind == s->kind;
	return same > 1 || s->index ? str_printf(l->str, "%s%d", low, s->index) : str_intern(l->str, low);
}

/* Places that were looked up and then not needed are not asked for. */
static void drop_unused(Lowering *l)
{
	int *now = arena_new(l->arena, int, l->slot.n + 1), n = 0;
	for (int c = 0; c < l->call.n; c++)
		for (int a = 0; a < l->call.at[c].arg.n; a++)
			if (l->call.at[c].arg.at[a].slot >= 0) now[l->call.at[c].arg.at[a].slot] = 1;
	for (int s = 0; s < l->slot.n; s++) {
		if (!now[s]) continue;
		l->slot.at[n] = l->slot.at[s];
		now[s] = n++;
	}
	l->slot.n = n;
	for (int c = 0; c < l->call.n; c++)
		for (int a = 0; a < l->call.at[c].arg.n; a++) {
			Loc *at = &l->call.at[c].arg.at[a];
			if (at->slot >= 0) at->slot = now[at->slot];
		}
}

/* Variables of the block at hand. */
typedef struct {
	Fn *f;
	const Lowering *l;
	int *temp; /* buffer of each temp */
	int n, b, m, q;
	int lo, hi;		    /* groups */
	int *first, *longest, *all; /* per sequence: its first step, its longest row, its steps */
	int slab, other;	    /* in a walk: first step of this time, and of the one before */
	Aff count;		    /* in a walk: steps of this time */
	int carried;		    /* in a walk: rows of the time before that go on */
} Block;

/* An element of the block's line of STEP_BLOCK. */
static int block_load(Block *k, int seq, const char *name, Aff at)
{
	int s = 0;
	while (k->l->slot.at[s].kind != SLOT_STEP_BLOCK || k->l->slot.at[s].index != seq) s++;
	return f_load(k->f, name, s, aff_plus(at, k->q, k->l->slot.at[s].stride));
}

static void block_open(Block *k)
{
	Fn *f = k->f;
	const Lowering *l = k->l;
	k->b = f_for(f, "b", aff_c(0), aff_v(k->n), ROW_BLOCK);
	k->m = f_min(f, "m", aff_plus(aff_v(k->n), k->b, -1), aff_c(ROW_BLOCK));
	for (int s = 0; s < l->slot.n; s++)
		if (l->slot.at[s].per_block && k->q < 0) k->q = f_div(f, "q", aff_v(k->b), ROW_BLOCK);
	int n = l->spec->seq.n;
	k->first = arena_new(l->arena, int, n + 1);
	k->longest = arena_new(l->arena, int, n + 1);
	k->all = arena_new(l->arena, int, n + 1);
	for (int s = 0; s < l->slot.n; s++) {
		if (l->slot.at[s].kind != SLOT_STEP_BLOCK) continue;
		int i = l->slot.at[s].index;
		k->first[i] = block_load(k, i, "first", aff_c(STEP_FIRST));
		for (int c = 0; c < l->call.n; c++)
			if (l->call.at[c].walk && l->walk.at[l->call.at[c].walk - 1].seq == i + 1) {
				k->longest[i] = block_load(k, i, "longest", aff_c(STEP_LONGEST));
				break;
			}
		k->all[i] = block_load(k, i, "all", aff_c(STEP_ALL));
	}
}

static void walk_open(Block *k, const TimeWalk *w)
{
	Fn *f = k->f;
	int i = w->seq - 1, v = f_for(f, "i", aff_c(0), aff_v(k->longest[i]), 1);
	Aff t = w->back ? aff_plus(aff_off(aff_v(k->longest[i]), -1), v, -1) : aff_v(v);
	k->slab = block_load(k, i, "at", aff_off(t, STEP_TIME0));
	int next = block_load(k, i, "next", aff_off(t, STEP_TIME0 + 1));
	k->count = aff_plus(aff_v(next), k->slab, -1);
	if (w->back) {
		int end = block_load(k, i, "end", aff_off(t, STEP_TIME0 + 2));
		k->other = next;
		k->carried = f_min(f, "carried", aff_plus(aff_v(end), next, -1), k->count);
	} else {
		k->other = block_load(k, i, "before", aff_off(t, STEP_BEFORE));
		k->carried = f_min(f, "carried", aff_plus(aff_v(k->slab), k->other, -1), k->count);
	}
}

static void call_arg(Block *k, const Call *c, int a)
{
	const Lowering *l = k->l;
	Loc loc = c->arg.at[a];
	Aff off = aff_c(loc.off);
	if (loc.seq && c->walk) off = aff_plus(off, c->shift && a == 0 ? k->other : k->slab, loc.stride);
	if (loc.temp >= 0) {
		f_arg(k->f, k->temp[loc.temp], off);
		return;
	}
	const Slot *s = &l->slot.at[loc.slot];
	if (loc.seq)
		off = aff_plus(off, k->first[loc.seq - 1], loc.stride);
	else if (l->rows && s->stride)
		off = aff_plus(off, s->per_block ? k->q : k->b, s->stride);
	f_arg(k->f, loc.slot, off);
}

static void emit_call(Block *k, const Call *c)
{
	k->f->at = c->span;
	f_call(k->f, fn_index(k->l->m, c->fn));
	for (int a = 0; a < c->arg.n; a++) call_arg(k, c, a);
	if (c->shift) f_arg_size(k->f, aff_v(k->carried));
	if (!c->rows) return;
	if (k->l->groups) {
		f_arg_size(k->f, aff_v(k->lo));
		f_arg_size(k->f, aff_v(k->hi));
		return;
	}
	f_arg_size(k->f, c->walk      ? k->count
			 : c->seq     ? aff_v(k->all[c->seq - 1])
			 : k->l->rows ? aff_v(k->m)
				      : aff_c(1));
}

/* Steps are found through the line of their block. */
static void want_blocks(Lowering *l, int seq)
{
	if (seq) lo_slot(l, SLOT_STEP_BLOCK, seq - 1, l->spec->seq.at[seq - 1].max + STEP_HEAD, true);
}

Fn *lowering_finish(Lowering *l)
{
	int home = -1;
	if (l->rows || l->groups) drop_unused(l);
	plan(l);
	if (l->work) home = lo_slot(l, SLOT_WORK, 0, 0, false).slot;
	for (int c = 0; c < l->call.n; c++) {
		want_blocks(l, l->call.at[c].seq);
		for (int a = 0; a < l->call.at[c].arg.n; a++) want_blocks(l, l->call.at[c].arg.at[a].seq);
	}
	Fn *f = fn_new(l->m, l->name);
	f->exported = true;
	for (int s = 0; s < l->slot.n; s++) {
		BufKind k = l->slot.at[s].kind == SLOT_WORK || slot_written(l, s) ? BUF_INOUT : BUF_IN;
		f_buf(f, k, slot_elem[l->slot.at[s].kind], slot_name(l, &l->slot.at[s]), 0);
	}
	Block k = {.f = f, .l = l, .temp = arena_new(l->arena, int, l->temp.n + 1), .q = -1};
	if (l->rows) k.n = f_size(f, "n");
	if (l->groups) {
		k.lo = f_size(f, "lo");
		k.hi = f_size(f, "hi");
	}
	for (int i = 0; i < l->temp.n; i++)
		if (l->temp.at[i].first >= 0)
			k.temp[i] = f_temp(f, ELEM_F32, arena_printf(l->arena, "t%d", i), l->temp.at[i].size,
					   home, l->temp.at[i].at);
	if (l->rows) block_open(&k);
	for (int c = 0, walk = 0; c <= l->call.n; c++) {
		int now = c < l->call.n ? l->call.at[c].walk : 0;
		if (walk && walk != now) f_end(f, 1);
		if (now && walk != now) walk_open(&k, &l->walk.at[now - 1]);
		walk = now;
		if (c < l->call.n) emit_call(&k, &l->call.at[c]);
	}
	if (l->rows) f_end(f, 1);
	return f;
}

Chains chains_new(const Lowering *l, Fn *f, const char *name)
{
	int lanes = l->t->W < 8 ? l->t->W : 8;
	Chains c = {.lanes = lanes, .n = 8 / lanes};
	c.reg = f_reg(f, name, lanes, c.n, 1);
	return c;
}

void chains_zero(Fn *f, Chains c)
{
	for (int v = 0; v < c.n; v++) f_set(f, c.reg, aff_c(v), aff_c(0), e_const(f, c.lanes, 0));
}

static int chain(Fn *f, Chains c, int v) { return e_reg(f, c.reg, aff_c(v), aff_c(0)); }

void chains_tree(Fn *f, Chains c, ExprOp op)
{
	uint8_t rotate[16];
	for (int half = c.n / 2; half; half /= 2)
		for (int v = 0; v < half; v++)
			f_set(f, c.reg, aff_c(v), aff_c(0),
			      e_op2(f, op, chain(f, c, v), chain(f, c, v + half)));
	for (int w = c.lanes / 2; w; w /= 2) {
		for (int i = 0; i < c.lanes; i++) rotate[i] = (uint8_t)((i + w) % c.lanes);
		int turned = e_shuf(f, chain(f, c, 0), chain(f, c, 0), rotate);
		f_set(f, c.reg, aff_c(0), aff_c(0), e_op2(f, op, chain(f, c, 0), turned));
	}
}

/*
 * Exact widths: masked accesses to partial rows cost several times as much on the machines measured, and
 * these touch nothing beyond the row.
 */
void f_copy(Fn *f, int W, int64_t width, int Y, Aff y, int X, Aff x)
{
	int64_t at = 0;
	if (width / W > 8) {
		int c = f_for(f, "c", aff_c(0), aff_c(width / W * W), W);
		f_store(f, Y, aff_plus(y, c, 1), e_load(f, W, X, aff_plus(x, c, 1)));
		f_end(f, 1);
		at = width / W * W;
	}
	for (int w = W; w; w /= 2)
		for (; width - at >= w; at += w)
			f_store(f, Y, aff_off(y, at), e_load(f, w, X, aff_off(x, at)));
}

void f_zero(Fn *f, int W, int64_t width, int Y, Aff y)
{
	for (int64_t at = 0; at < width;) {
		int w = W;
		while (w > width - at) w /= 2;
		f_store(f, Y, aff_off(y, at), e_const(f, w, 0));
		at += w;
	}
}

void lo_copy(Lowering *l, Loc from, Loc to, int64_t width, bool rows, Span span)
{
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "copy_%lld_s%d_%d%s", (long long)width, (int)from.stride, (int)to.stride,
			  rows ? "" : "_free");
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
		    n = rows ? f_size(f, "n") : -1;
		int r = f_for(f, "r", aff_c(0), rows ? aff_v(n) : aff_c(1), 1);
		f_copy(f, l->t->W, width, Y, aff_mul(aff_v(r), to.stride), X, aff_mul(aff_v(r), from.stride));
		f_end(f, 1);
	}
	lo_call(l, f, 2, (Loc[]){from, to}, rows, span);
}

void lo_shift(Lowering *l, Loc from, Loc to, int64_t width, Span span)
{
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "shift_%lld_s%d_%d", (long long)width, (int)from.stride, (int)to.stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0);
		int carried = f_size(f, "carried"), n = f_size(f, "n");
		int r = f_for(f, "r", aff_c(0), aff_v(carried), 1);
		f_copy(f, l->t->W, width, Y, aff_mul(aff_v(r), to.stride), X, aff_mul(aff_v(r), from.stride));
		f_end(f, 1);
		r = f_for(f, "r", aff_v(carried), aff_v(n), 1);
		f_zero(f, l->t->W, width, Y, aff_mul(aff_v(r), to.stride));
		f_end(f, 1);
	}
	lo_call(l, f, 2, (Loc[]){from, to}, true, span);
	l->call.at[l->call.n - 1].shift = true;
}

void lo_walked(Lowering *l, int first)
{
	for (int i = 0; i < l->temp.n; i++) {
		Temp *t = &l->temp.at[i];
		if (t->first >= first) t->first = first;
		if (t->first >= 0 && t->last >= first) t->last = l->call.n - 1;
	}
}
