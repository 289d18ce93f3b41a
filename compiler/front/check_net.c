/* Statements: named values, loops, conditions, layers.  Everything known at compile time is unrolled here. */
#include "front/checker.h"
#include <string.h>

enum { DEEPEST = 64, MOST_REPLICAS = 256, MOST_STEPS = 20000, MOST_ERRORS = 200 };

/* ---- parameters ---- */

Naming *naming_of(Check *c, Str prefix, bool expert)
{
	for (int i = 0; i < c->naming.n; i++)
		if (c->naming.at[i]->prefix == prefix) return c->naming.at[i];
	Naming *n = arena_new(c->a, Naming, 1);
	*n = (Naming){.prefix = prefix, .expert = expert};
	vec_push(c->a, &c->naming, n);
	return n;
}

const char *prefix_now(const Check *c) { return c->into ? c->into->prefix : "model"; }

static bool param_taken(const Check *c, Str name)
{
	for (int i = 0; i < c->s->param.n; i++)
		if (c->s->param.at[i].name == name) return true;
	return false;
}

Str param_unique(Check *c, const char *name)
{
	Str s = str_intern(c->str, name);
	for (int i = 1; param_taken(c, s); i++) s = str_printf(c->str, "%s.%d", name, i);
	return s;
}

NodeId new_param(Check *c, const char *name, Shape shape, Init init, Span at)
{
	Param p = {.name = param_unique(c, name),
		   .shape = shape,
		   .init = init,
		   .span = at,
		   .expert = c->into && c->into->expert};
	int i = spec_param(c->s, p);
	NodeId id = graph_push(c->g, OP_PARAM, shape, 0, NULL, (Attr){.i = i}, at);
	c->g->node.at[id].name = p.name;
	return id;
}

/* ---- named values ---- */

static Role role_of(AstKind k)
{
	switch (k) {
	case AST_SHARED: return ROLE_SHARED;
	case AST_EXPERTS: return ROLE_EXPERTS;
	case AST_GATE: return ROLE_GATE;
	case AST_TOWER: return ROLE_TOWER;
	default: return ROLE_LET;
	}
}

/* "shared.x", "experts.e.3": the word of the language, not of messages. */
static const char *role_prefix(Role r)
{
	switch (r) {
	case ROLE_SHARED: return "shared";
	case ROLE_EXPERTS: return "experts";
	case ROLE_GATE: return "gate";
	case ROLE_TOWER: return "tower";
	default: return "let";
	}
}

static const Binding *peek(const Check *c, Str name)
{
	for (const Binding *b = c->scope; b; b = b->next)
		if (b->name == name) return b->value ? b : NULL;
	return NULL;
}

static void bind(Check *c, Str name, const Value *v, Role role, Span at)
{
	const Binding *old = peek(c, name);
	Binding *b = arena_new(c->a, Binding, 1);
	*b = (Binding){name, v, role, at, NULL, c->scope};
	/* Unrolled, a line binds its name many times; it is used if one of them is. */
	bool again = old && old->span.lo == at.lo && old->span.hi == at.hi;
	b->used = again ? old->used : arena_new(c->a, bool, 1);
	c->scope = b;
	if (!again && !c->call && role != ROLE_LOOP) vec_push(c->a, &c->named, b);
}

static bool taken(Check *c, const Ast *st, Str name, Span at, Role role)
{
	int group = c->call ? -1 : find_group(c, name), seq = c->call ? -1 : find_seq(c, name);
	if (seq >= 0) {
		told(c, at, "M0202", "'%s' is a sequence already", name);
		diag_note(c->d, c->s->seq.at[seq].span, "declared here");
		return true;
	}
	if (group >= 0) {
		told(c, at, "M0202", "'%s' is a feature group already", name);
		diag_note(c->d, c->s->group.at[group].span, "declared here");
		return true;
	}
	const Binding *b = peek(c, name);
	(void)st;
	if (!b || c->call || role == ROLE_LET || b->value->kind == V_POISON) return false;
	told(c, at, "M0202", "'%s' is defined twice", name);
	diag_note(c->d, b->span, "the first time here, as %s %s",
		  b->role == ROLE_EXPERTS ? "a bundle of" : "a", role_word(b->role));
	return true;
}

static const Value *as_named(Check *c, const Value *v, Str name, Role role, Span at)
{
	if (v->kind == V_POISON) return v;
	if (v->kind == V_SEQ && role != ROLE_LET) v = tensor_value(c, seq_node(c, v->group, NULL, 0, at), at);
	if (v->kind == V_GROUP && role != ROLE_LET)
		v = tensor_value(c, group_node(c, v->group, NULL, 0, at), at);
	if (v->kind == V_TENSOR && !c->call && !c->g->node.at[v->node].name)
		c->g->node.at[v->node].name = name;
	Value w = *v;
	if (w.kind != V_WORD && w.kind != V_LAYER) w.name = name, w.role = role;
	return new_value(c, w);
}

static const Value *eval_into(Check *c, const Ast *e, Str prefix, bool expert)
{
	Naming *outer = c->into;
	if (prefix) c->into = naming_of(c, prefix, expert || (outer && outer->expert));
	const Value *v = eval(c, e);
	c->into = outer;
	return v;
}

static Str prefix_of(Check *c, Role role, Str dotted)
{
	if (!c->call) return str_printf(c->str, "%s.%s", role_prefix(role), dotted);
	/* In a layer, what is let belongs to the value that uses the layer: dense layers are counted through.
	 */
	if (role == ROLE_LET) return NULL;
	return str_printf(c->str, "%s.%s", prefix_now(c), dotted);
}

static const Value *replicas(Check *c, const Ast *st, Role role, Str dotted, int64_t count)
{
	Value v = {.kind = V_LIST, .span = st->name_span};
	for (int64_t i = 0; i < count; i++) {
		Str name = str_printf(c->str, "%s.%d", dotted, (int)i);
		int before = diag_errors(c->d);
		const Value *x = eval_into(c, st->a, prefix_of(c, role, name), true);
		x = as_named(c, x, name, role, st->a->span);
		if (x->kind == V_POISON || diag_errors(c->d) > before) return poison(c);
		vec_push(c->a, &v.item, x);
	}
	return new_value(c, v);
}

/* The keys of h[t][2] but for a count of experts; false: told. */
static bool indices(Check *c, const Ast *st, Role role, int64_t *count, int *n, Str *key)
{
	int total = st->b ? 1 : st->list.n;
	*n = 0;
	*count = -1;
	for (int i = 0; i < total; i++) {
		const Ast *e = st->b ? st->b : st->list.at[i];
		const Value *v = eval(c, e);
		if (v->kind == V_POISON) return false;
		if (role == ROLE_EXPERTS && i == total - 1 && v->kind == V_NUMBER)
			return want_whole(c, v, e->span, "the number of experts", 1, MOST_REPLICAS, count);
		Str k = key_of(c, v);
		if (!k || *n == 4) {
			told(c, e->span, "M0206", "an index is a name or a number, this is %s",
			     value_kind_word(v));
			return false;
		}
		key[(*n)++] = k;
	}
	return true;
}

/* h[k0][k1] = v; the first key makes the binding, the others grow it. */
static void bind_keyed(Check *c, const Ast *st, Role role, int n, const Str *key, const Value *v)
{
	const Binding *b = peek(c, st->name);
	Value *at;
	if (b && b->value->kind == V_KEYED && b->role == role) {
		at = (Value *)(uintptr_t)
			 b->value; /* a keyed value grows in place: everyone sees all its keys */
	} else {
		if (taken(c, st, st->name, st->name_span, role)) return;
		at = arena_new(c->a, Value, 1);
		*at = (Value){.kind = V_KEYED, .name = st->name, .role = role, .span = st->name_span};
		bind(c, st->name, at, role, st->name_span);
	}
	for (int i = 0; i < n; i++) {
		int k = 0;
		while (k < at->key.n && at->key.at[k] != key[i]) k++;
		bool last = i == n - 1;
		if (k < at->key.n && last) {
			if (role != ROLE_LET && !c->call && at->item.at[k]->kind != V_POISON &&
			    v->kind != V_POISON) {
				told(c, st->name_span, "M0202", "'%s' is defined twice for '%s'", st->name,
				     key[i]);
				diag_note(c->d, at->item.at[k]->span, "the first time here");
			}
			at->item.at[k] = v;
		} else if (k == at->key.n) {
			Value *next = (Value *)(uintptr_t)v;
			if (!last) {
				next = arena_new(c->a, Value, 1);
				*next = (Value){.kind = V_KEYED,
						.name = str_printf(c->str, "%s.%s", at->name, key[i]),
						.role = role,
						.span = st->name_span};
			}
			vec_push(c->a, &at->key, key[i]);
			vec_push(c->a, &at->item, next);
		}
		if (!last) {
			at = (Value *)(uintptr_t)at->item.at[k];
			if (at->kind != V_KEYED) return;
		}
	}
}

/* let a, b = f(x) */
static void bind_several(Check *c, const Ast *st)
{
	const Value *v = eval_into(c, st->a, prefix_of(c, ROLE_LET, st->list.at[0]->name), false);
	int got = v->kind == V_LIST ? v->item.n : 1;
	if (v->kind != V_POISON && got != st->list.n)
		told(c, st->a->span, "M0307", "%d names are given, the expression has %d result%s",
		     st->list.n, got, got == 1 ? "" : "s");
	for (int i = 0; i < st->list.n; i++) {
		const Ast *name = st->list.at[i];
		bool fits = v->kind == V_LIST && got == st->list.n;
		if (taken(c, st, name->name, name->span, ROLE_LET)) continue;
		bind(c, name->name,
		     fits ? as_named(c, v->item.at[i], name->name, ROLE_LET, st->a->span) : poison(c),
		     ROLE_LET, name->span);
	}
}

static void define(Check *c, const Ast *st)
{
	Role role = role_of(st->kind);
	if (st->kind == AST_LET && st->list.n && st->list.at[0]->kind == AST_NAME && !st->b && !st->name) {
		bind_several(c, st);
		return;
	}
	int64_t count;
	int n;
	Str key[4];
	if (!indices(c, st, role, &count, &n, key)) {
		if (!peek(c, st->name)) bind(c, st->name, poison(c), role, st->name_span);
		return;
	}
	Text t = {0};
	text_add(&t, st->name);
	for (int i = 0; i < n; i++) text_printf(&t, ".%s", key[i]);
	Str dotted = str_intern(c->str, t.at);
	text_free(&t);
	const Value *v;
	if (count > 0) {
		v = replicas(c, st, role, dotted, count);
	} else {
		int before = diag_errors(c->d);
		v = eval_into(c, st->a, prefix_of(c, role, dotted), role == ROLE_EXPERTS);
		if (diag_errors(c->d) > before) v = poison(c);
	}
	if (role != ROLE_LET && v->kind != V_POISON && v->kind != V_LIST && v->kind != V_KEYED &&
	    v->kind != V_GROUP && !as_tensor(c, v, st->a->span))
		v = poison(c);
	v = as_named(c, v, dotted, role, st->a->span);
	if (v->kind != V_POISON) {
		Value placed = *v;
		placed.span = st->name_span;
		v = new_value(c, placed);
	}
	if (n)
		bind_keyed(c, st, role, n, key, v);
	else if (!taken(c, st, st->name, st->name_span, role))
		bind(c, st->name, v, role, st->name_span);
}

/* ---- weights ---- */

static bool init_of(Check *c, const Ast *e, const Shape *s, Init *out)
{
	double k[2] = {0, 0};
	*out = (Init){INIT_ZERO, 0, 0};
	int n = e->kind == AST_CALL ? e->list.n : 0;
	if (e->kind != AST_CALL && e->kind != AST_NAME) {
		if (!want_number(c, eval(c, e), e->span, "an initial value", k)) return false;
		*out = (Init){INIT_CONST, k[0], 0};
		return true;
	}
	static const struct {
		const char *name;
		int n;
	} kind[] = {{"zeros", 0}, {"ones", 0}, {"constant", 1}, {"normal", 2}, {"uniform", 2}, {"glorot", 0}};
	Near near = {.arena = c->a};
	for (int i = 0; i < 6; i++) {
		near_add(&near, kind[i].name);
		if (strcmp(e->name, kind[i].name)) continue;
		if (n != kind[i].n) {
			told(c, e->span, "M0309", "%s takes %d number%s, not %d", e->name, kind[i].n,
			     kind[i].n == 1 ? "" : "s", n);
			return false;
		}
		for (int j = 0; j < n; j++)
			if (!want_number(c, eval(c, e->list.at[j]->a), e->list.at[j]->span, "it", &k[j]))
				return false;
		double fan = s->nd ? s->d[0] : 1;
		for (int j = 1; j < s->nd; j++) fan += s->d[j];
		double limit = __builtin_sqrt(6.0 / fan);
		const Init init[] = {{INIT_ZERO, 0, 0},		 {INIT_CONST, 1, 0},
				     {INIT_CONST, k[0], 0},	 {INIT_NORMAL, k[0], k[1]},
				     {INIT_UNIFORM, k[0], k[1]}, {INIT_UNIFORM, -limit, limit}};
		*out = init[i];
		return true;
	}
	if (e->kind == AST_NAME && peek(c, e->name)) {
		if (!want_number(c, eval(c, e), e->span, "an initial value", k)) return false;
		*out = (Init){INIT_CONST, k[0], 0};
		return true;
	}
	told(c, e->span, "M0309", "there is no initialiser '%s'", e->name);
	help_near(c, &near, e->name);
	return false;
}

static void weights(Check *c, const Ast *st)
{
	Shape s = {0};
	if (st->list.n > SHAPE_DIMS) {
		told(c, st->span, "M0309", "weights have at most %d dimensions", SHAPE_DIMS);
		st = NULL;
	}
	for (int i = 0; st && i < st->list.n; i++) {
		int64_t d;
		const Ast *e = st->list.at[i];
		if (!want_whole(c, eval(c, e), e->span, "a dimension", 1, 1 << 24, &d))
			st = NULL;
		else
			s.d[s.nd++] = (int32_t)d;
		if (!st) break;
	}
	if (!st) return;
	Init init = {INIT_ZERO, 0, 0};
	const Value *v = poison(c);
	if (!st->a || init_of(c, st->a, &s, &init)) {
		NodeId id = new_param(c, arena_printf(c->a, "%s.%s", prefix_now(c), st->name), s, init,
				      st->name_span);
		v = new_value(c, (Value){.kind = V_TENSOR,
					 .node = id,
					 .name = st->name,
					 .role = ROLE_WEIGHTS,
					 .span = st->name_span});
	}
	bind(c, st->name, v, ROLE_WEIGHTS, st->name_span);
}

/* ---- loops and conditions: unrolled, as if their bodies had been written out ---- */

static void exec_for(Check *c, const Ast *st)
{
	const Value *over = eval(c, st->a);
	if (over->kind == V_POISON) return;
	if (over->kind != V_LIST && over->kind != V_KEYED) {
		told(c, st->a->span, "M0308", "`for` goes over a list, %s is %s", describe(c, over),
		     value_kind_word(over));
		if (over->kind == V_NUMBER) diag_help(c->d, "range(%g) counts from 0", over->number);
		return;
	}
	const Binding *outer = peek(c, st->name);
	for (int i = 0; i < over->item.n && c->steps <= MOST_STEPS && !(c->call && c->call->returned); i++) {
		const Value *v =
		    over->kind == V_LIST
			? over->item.at[i]
			: new_value(c, (Value){.kind = V_WORD, .name = over->key.at[i], .span = st->a->span});
		bind(c, st->name, v, ROLE_LOOP, st->name_span);
		exec_block(c, st->b);
	}
	/* After the loop its variable means what it meant before. */
	if (over->item.n)
		c->scope = scope_push(c->a, c->scope, st->name, outer ? outer->value : NULL,
				      outer ? outer->role : ROLE_LOOP, outer ? outer->span : st->name_span);
}

static void exec_if(Check *c, const Ast *st)
{
	bool yes;
	if (!truth(c, eval(c, st->a), st->a->span, &yes)) return;
	if (yes)
		exec_block(c, st->b);
	else if (st->c && st->c->kind == AST_IF)
		exec_if(c, st->c);
	else if (st->c)
		exec_block(c, st->c);
}

/* ---- scans: one step after the other ---- */

enum { MOST_STATES = 8 };

/* Each state as the step before left it, bound to its name.  Number of states; 0: told. */
static int open_states(Check *c, const Ast *st, int seq, NodeId *state)
{
	int n = 0;
	for (int i = 0; i < st->list.n; i++) {
		const Ast *s = st->list.at[i];
		int64_t width;
		if (n == MOST_STATES) {
			told(c, s->span, "M0320", "a scan has at most %d states", MOST_STATES);
			return 0;
		}
		if (!want_whole(c, eval(c, s->a), s->a->span, "the width of a state", 1, 65536, &width))
			return 0;
		Shape shape = shape_1(true, (int)width);
		shape.seq = seq;
		state[n] =
		    graph_push(c->g, OP_STATE, shape, 0, NULL, (Attr){.i = n, .j = c->n_scan}, s->span);
		n++;
	}
	for (int i = 0; i < n; i++)
		bind(c, st->list.at[i]->name, tensor_value(c, state[i], st->list.at[i]->span), ROLE_LET,
		     st->list.at[i]->span);
	return n;
}

/* What the body has made of a state; 0: told. */
static NodeId new_state(Check *c, const Ast *s, NodeId state, int seq)
{
	const Binding *b = peek(c, s->name);
	if (!b || b->value->kind == V_POISON) return 0;
	NodeId n = as_matrix(c, b->value, b->span);
	if (!n) return 0;
	if (n == state) {
		told(c, s->span, "M0320", "'%s' has no new value in the scan", s->name);
		diag_help(c->d, "`let %s = ...` in the braces is what the next step finds", s->name);
		return 0;
	}
	n = at_each_step(c, n, seq, s->span);
	Shape want = shape_of(c, state), got = shape_of(c, n);
	if (shape_eq(want, got)) return n;
	told(c, b->span, "M0320", "the new value of '%s' is %s, the state %s", s->name, shape_text(c->a, got),
	     shape_text(c->a, want));
	diag_note(c->d, s->span, "its width is said here");
	return 0;
}

/* Between a state and the new values everything happens at one step. */
static bool one_step(Check *c, NodeId first, int n, const NodeId *made)
{
	NodeId end = c->g->node.n;
	bool *from = arena_new(c->a, bool, end), *to = arena_new(c->a, bool, end);
	int scan = c->g->node.at[first].attr.j;
	for (NodeId id = first; id < end; id++) {
		const Node *x = graph_node(c->g, id);
		from[id] = x->op == OP_STATE && x->attr.j == scan;
		for (int i = 0; i < x->n_in; i++) from[id] |= from[x->in[i]];
	}
	for (int i = 0; i < n; i++) to[made[i]] = true;
	for (NodeId id = end; id-- > first;) {
		const Node *x = graph_node(c->g, id);
		if (!to[id] || !from[id]) continue;
		for (int i = 0; i < x->n_in; i++) to[x->in[i]] = true;
		if (!op_table[x->op]->by_rows && x->shape.seq) continue;
		told(c, x->span, "M0320", "this needs all steps at once, the scan is at one of them");
		return false;
	}
	return true;
}

static void close_states(Check *c, const Ast *st, int n, const NodeId *state, int seq)
{
	NodeId made[MOST_STATES] = {0};
	bool ok = true;
	for (int i = 0; i < n; i++) ok &= (made[i] = new_state(c, st->list.at[i], state[i], seq)) != 0;
	ok = ok && one_step(c, state[0], n, made);
	for (int i = 0; i < n; i++) {
		const Ast *s = st->list.at[i];
		NodeId y =
		    ok ? graph_op(c->g, OP_SCAN, n, made, (Attr){.i = i, .j = c->in_scan}, st->span) : 0;
		bind(c, s->name, y ? tensor_value(c, y, s->span) : poison(c), ROLE_LET, s->span);
	}
}

static void exec_scan(Check *c, const Ast *st)
{
	const Value *along = eval(c, st->a);
	NodeId x = along->kind == V_POISON ? 0 : as_tensor(c, along, st->a->span), state[MOST_STATES];
	int seq = x ? shape_of(c, x).seq : 0, n = 0;
	if (x && !seq) {
		told(c, st->a->span, "M0320", "a scan goes along the steps of a sequence, %s is %s",
		     describe(c, along), shape_text(c->a, shape_of(c, x)));
	} else if (seq && c->in_scan) {
		told(c, st->span, "M0320", "a scan inside another");
		seq = 0;
	}
	if (seq) {
		c->in_scan = ++c->n_scan;
		n = open_states(c, st, seq, state);
	}
	if (!n) {
		for (int i = 0; i < st->list.n; i++)
			bind(c, st->list.at[i]->name, poison(c), ROLE_LET, st->list.at[i]->span);
	} else {
		exec_block(c, st->b);
		if (c->call && c->call->returned)
			told(c, st->span, "M0320", "a layer returns behind a scan, not in it");
		close_states(c, st, n, state, seq);
	}
	if (seq) c->in_scan = 0;
}

void exec_block(Check *c, const Ast *block)
{
	for (int i = 0; i < block->list.n && !(c->call && c->call->returned); i++)
		if (block->list.at[i]) exec(c, block->list.at[i]);
}

static bool outside_layers(Check *c, const Ast *st, const char *what)
{
	if (!c->call) return true;
	told(c, st->span, "M0316", "%s belongs to the model, not into layer '%s'", what,
	     c->call->layer->name);
	return false;
}

void exec(Check *c, const Ast *st)
{
	/* Loops in loops and layers that use themselves grow fast: better a message than no answer. */
	if (c->steps > MOST_STEPS || diag_errors(c->d) > MOST_ERRORS) return;
	if (c->steps++ == MOST_STEPS) {
		told(c, st->span, "M0319", "unrolled, this model has more than %d statements", MOST_STEPS);
		c->heads_broken = true;
		return;
	}
	switch (st->kind) {
	case AST_SHARED:
	case AST_EXPERTS:
	case AST_GATE:
	case AST_TOWER:
	case AST_LET: define(c, st); break;
	case AST_WEIGHTS:
		if (c->call)
			weights(c, st);
		else
			told(c, st->span, "M0316", "weights belong into a layer");
		break;
	case AST_FOR: exec_for(c, st); break;
	case AST_SCAN: exec_scan(c, st); break;
	case AST_IF: exec_if(c, st); break;
	case AST_BLOCK: exec_block(c, st); break;
	case AST_RETURN:
		if (!c->call) {
			told(c, st->span, "M0316", "only a layer returns something");
			break;
		}
		for (int i = 0; i < st->list.n; i++)
			vec_push(c->a, &c->call->result, eval(c, st->list.at[i]));
		c->call->returned = true;
		break;
	case AST_HEAD:
		if (outside_layers(c, st, "a head")) exec_head(c, st);
		break;
	case AST_LOSS:
		if (outside_layers(c, st, "a loss")) vec_push(c->a, &c->loss, (Pending){st, c->scope});
		break;
	case AST_OUTPUT:
		if (outside_layers(c, st, "an output")) vec_push(c->a, &c->output, (Pending){st, c->scope});
		break;
	case AST_CONST:
	case AST_FEATURES:
	case AST_EVENT:
		told(c, st->span, "M0316",
		     "this belongs to the top of the model, not into a loop or a condition");
		break;
	default: bug("no statement: %s", ast_kind_name(st->kind));
	}
}

/* ---- layers in the language ---- */

const Value *call_layer(Check *c, int layer, const CallSite *site)
{
	Layer l = c->layer.at[layer];
	const Ast *def = l.ast;
	int n = def->list.n;
	Call call = {
	    .layer = &l, .at = site->call->span, .outer = c->call, .depth = c->call ? c->call->depth + 1 : 1};
	if (call.depth > DEEPEST) {
		told(c, call.at, "M0306", "layer '%s' goes on calling itself", l.name);
		return poison(c);
	}
	const char **param = arena_new(c->a, const char *, n + 1);
	const Ast **ast = arena_new(c->a, const Ast *, n + 1);
	const Value **value = arena_new(c->a, const Value *, n + 1);
	for (int i = 0; i < n; i++)
		param[i] = def->list.at[i]->a ? arena_printf(c->a, "?%s", def->list.at[i]->name)
					      : def->list.at[i]->name;
	if (!bind_args(c, site, n, param, ast, value)) return poison(c);
	for (int i = 0; i < n; i++) {
		if (ast[i]) value[i] = eval(c, ast[i]);
		if (value[i] && value[i]->kind == V_POISON) return poison(c);
	}
	const Binding *outer_scope = c->scope;
	c->scope = c->consts;
	/* The body names what it was given: a tensor by its argument's name would hide the author's. */
	c->call = &call;
	for (int i = 0; i < n; i++) {
		const Ast *p = def->list.at[i];
		const Value *v = value[i] ? value[i] : eval(c, p->a);
		c->scope = scope_push(c->a, c->scope, p->name, v, ROLE_ARGUMENT, p->name_span);
	}
	exec_block(c, def->b);
	c->scope = outer_scope;
	c->call = call.outer;
	if (!call.returned && c->steps > MOST_STEPS) return poison(c);
	if (!call.returned) {
		told(c, call.at, "M0317", "layer '%s' returns nothing here", l.name);
		diag_note(c->d, def->name_span, "it is defined here, without a `return` on this way through");
		return poison(c);
	}
	if (call.result.n == 1) {
		Value v = *call.result.at[0];
		if (v.kind != V_WORD && v.kind != V_LAYER)
			v.name = NULL, v.role = ROLE_NONE, v.span = call.at;
		return new_value(c, v);
	}
	Value v = {.kind = V_LIST, .span = call.at};
	for (int i = 0; i < call.result.n; i++) {
		if (call.result.at[i]->kind == V_POISON) return poison(c);
		vec_push(c->a, &v.item, call.result.at[i]);
	}
	return new_value(c, v);
}
