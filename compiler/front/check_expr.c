/* Expressions: numbers stay numbers, probabilities stay probabilities as long as they can, the rest becomes
 * nodes. */
#include "front/checker.h"
#include "front/build.h"
#include <math.h>
#include <string.h>

Shape shape_of(const Check *c, NodeId n) { return graph_node(c->g, n)->shape; }

NodeId at_each_step(Check *c, NodeId n, int seq, Span at)
{
	Shape s = shape_of(c, n);
	if (!n || !seq || !s.rows || s.seq) return n;
	return graph_op(c->g, OP_EACH_STEP, 1, &n, (Attr){.i = seq}, at);
}

/* The sequence that operands go over, 0: none, -1: told. */
static int seq_of(Check *c, int n, const NodeId *in, Span at)
{
	int seq = 0;
	for (int i = 0; i < n; i++) {
		int s = in[i] ? shape_of(c, in[i]).seq : 0;
		if (s && seq && s != seq) {
			told(c, at, "M0118", "the steps of '%s' and those of '%s' do not go together",
			     c->s->seq.at[seq - 1].name, c->s->seq.at[s - 1].name);
			diag_note(c->d, c->s->seq.at[s - 1].span, "'%s' is declared here",
				  c->s->seq.at[s - 1].name);
			return -1;
		}
		seq = s ? s : seq;
	}
	return seq;
}

NodeId push_op(Check *c, OpCode op, int n, const NodeId *given, Attr attr, Span at)
{
	for (int i = 0; i < n; i++)
		if (!given[i] && !(op == OP_DENSE && i == 2)) return 0;
	int seq = seq_of(c, n, given, at);
	if (seq < 0) return 0;
	NodeId *in = arena_new(c->a, NodeId, n + 1);
	for (int i = 0; i < n; i++) in[i] = at_each_step(c, given[i], seq, at);
	Shape s = {0};
	const char *why = NULL;
	if (op_table[op]->shape(c->g, n, in, &attr, &s, &why))
		return graph_push(c->g, op, s, n, in, attr, at);
	told(c, at, "M0204", "%s: %s", op_table[op]->word, why ? why : "the operands do not fit");
	for (int i = 0; i < n; i++) {
		const Node *x = graph_node(c->g, in[i]);
		if (in[i] && x->name)
			diag_note(c->d, x->span, "'%s' is %s", x->name, shape_text(c->a, x->shape));
	}
	return 0;
}

NodeId as_column(Check *c, NodeId n)
{
	if (!n) return 0;
	if (shape_of(c, n).seq) {
		told(c, graph_node(c->g, n)->span, "M0118",
		     "one value a row is needed, this is %s, one a step", shape_text(c->a, shape_of(c, n)));
		diag_help(c->d, "x -> sum, mean, max, first or last makes one of them all");
		return 0;
	}
	if (shape_of(c, n).nd == 0) return n;
	return graph_push(c->g, OP_RESHAPE, shape_scalar(shape_of(c, n).rows), 1, &n, (Attr){0},
			  graph_node(c->g, n)->span);
}

NodeId as_tensor(Check *c, const Value *v, Span at)
{
	switch (v->kind) {
	case V_POISON: return 0;
	case V_TENSOR: return v->node;
	case V_NUMBER: return graph_const(c->g, v->number, at);
	case V_GROUP: return group_node(c, v->group, NULL, 0, at);
	case V_SEQ: return seq_node(c, v->group, NULL, 0, at);
	case V_SCORE: return v->node ? v->node : node1(c->g, OP_EXP, v->log, at);
	case V_CLASS: return node1(c->g, OP_SOFTMAX, v->node, at);
	case V_PROB: {
		NodeId z = prob_logit(c, v, at);
		return z ? node1(c->g, OP_SIGMOID, z, at) : 0;
	}
	case V_LIST:
		told(c, at, "M0203", "%s is a list of %d, one tensor is needed here", describe(c, v),
		     v->item.n);
		if (v->role == ROLE_EXPERTS)
			diag_help(c->d, "mix(%s, by: x) mixes them, %s[0] is the first", v->name, v->name);
		return 0;
	case V_KEYED:
		told(c, at, "M0203", "%s has a value for each of %d keys, one tensor is needed here",
		     describe(c, v), v->item.n);
		if (v->name && v->key.n) diag_help(c->d, "%s[%s] is one of them", v->name, v->key.at[0]);
		return 0;
	case V_WORD:
		if (sample_find(c, v->name) >= 0) {
			told(c, at, "M0203", "outcome '%s' has no value by itself", v->name);
			diag_help(c->d, "%c(%s) is an estimate of it, label(%s) what was observed",
				  c->s->sample.at[sample_find(c, v->name)].classes ? 'P' : 'E', v->name,
				  v->name);
			return 0;
		}
		told(c, at, "M0203", "event '%s' has no value by itself", v->name);
		diag_help(c->d, "P(%s) is its probability, label(%s) what was observed", v->name, v->name);
		return 0;
	case V_LAYER:
		told(c, at, "M0203", "%s is a layer, a tensor is needed here", describe(c, v));
		diag_help(c->d, "x -> f(...) sends a value through a layer");
		return 0;
	case V_STRING:
	case V_LOSS:
		told(c, at, "M0203", "%s is %s, a tensor is needed here", describe(c, v), value_kind_word(v));
		return 0;
	}
	return 0;
}

NodeId as_matrix(Check *c, const Value *v, Span at)
{
	NodeId n = as_tensor(c, v, at);
	if (!n) return 0;
	Shape s = shape_of(c, n);
	if (!s.rows) {
		told(c, at, "M0204", "%s is the same for all rows, [n, d] is needed here", describe(c, v));
		return 0;
	}
	if (s.nd > 1) {
		told(c, at, "M0204", "%s is %s, [n, d] is needed here", describe(c, v), shape_text(c->a, s));
		return 0;
	}
	return s.nd == 1
		   ? n
		   : graph_push(c->g, OP_RESHAPE, shape_over(s, shape_1(true, 1)), 1, &n, (Attr){0}, at);
}

/* ---- names ---- */

static void near_all(Check *c, Near *n)
{
	near_scope(n, c->scope);
	for (int i = 0; i < c->s->group.n; i++) near_add(n, c->s->group.at[i].name);
	for (int i = 0; i < c->s->seq.n; i++) near_add(n, c->s->seq.at[i].name);
	for (int i = 0; i < c->s->events->event.n; i++) near_add(n, c->s->events->event.at[i].name);
	for (int i = 0; i < c->s->sample.n; i++) near_add(n, c->s->sample.at[i].name);
	near_callables(c, n);
}

static const Value *layer_value(Check *c, Str name, Span at)
{
	for (int i = c->layer.n; i-- > 0;)
		if (c->layer.at[i].name == name)
			return new_value(
			    c, (Value){
				   .kind = V_LAYER, .layer = i, .name = name, .role = ROLE_NONE, .span = at});
	int b = builtin_find(c, name);
	return b >= 0 ? new_value(c, (Value){.kind = V_LAYER, .layer = -1 - b, .name = name, .span = at})
		      : NULL;
}

static const Value *eval_name(Check *c, const Ast *e)
{
	const Binding *b = scope_find(c->scope, e->name);
	if (b) return b->value;
	int group = find_group(c, e->name);
	if (group >= 0) return new_value(c, (Value){.kind = V_GROUP, .group = group, .span = e->span});
	int seq = find_seq(c, e->name);
	if (seq >= 0) return new_value(c, (Value){.kind = V_SEQ, .group = seq, .span = e->span});
	if (event_find(c->s->events, e->name) >= 0 || sample_find(c, e->name) >= 0)
		return new_value(c, (Value){.kind = V_WORD, .name = e->name, .span = e->span});
	const Value *layer = layer_value(c, e->name, e->span);
	if (layer) return layer;
	told(c, e->span, "M0201", "there is no '%s' here", e->name);
	int feature = find_feature(c, e->name);
	if (feature >= 0) {
		const Feature *f = &c->s->feature.at[feature];
		diag_note(c->d, f->span, "it is a feature of group '%s'", c->s->group.at[f->group].name);
		diag_help(c->d, "one feature of a group is written %s.%s", c->s->group.at[f->group].name,
			  e->name);
	} else {
		Near n = {.arena = c->a};
		near_all(c, &n);
		help_near(c, &n, e->name);
	}
	return poison(c);
}

/* In the place of a function only what can be called is looked at: an argument `dropout` does not hide the
 * layer. */
static const Value *callee(Check *c, const Ast *e)
{
	for (const Binding *b = c->scope; b; b = b->next)
		if (b->name == e->name && b->value &&
		    (b->value->kind == V_LAYER || b->value->kind == V_POISON)) {
			*b->used = true;
			return b->value;
		}
	const Value *v = layer_value(c, e->name, e->span);
	if (v) return v;
	const Binding *b = scope_find(c->scope, e->name);
	Span at = e->name_span.hi ? e->name_span : e->span;
	if (b) {
		told(c, at, "M0300", "'%s' is %s, not a layer", e->name, value_kind_word(b->value));
		diag_note(c->d, b->span, "it is defined here");
	} else {
		told(c, at, "M0300", "there is no layer or function '%s'", e->name);
		Near n = {.arena = c->a};
		near_callables(c, &n);
		help_near(c, &n, e->name);
	}
	return NULL;
}

const Value *call_value(Check *c, const Value *f, const CallSite *site)
{
	if (f->kind == V_POISON) return poison(c);
	return f->layer >= 0 ? call_layer(c, f->layer, site) : builtin_call(c, -1 - f->layer, site);
}

static const Value *eval_call(Check *c, const Ast *e, const Value *piped, Span piped_at)
{
	const Value *f = callee(c, e);
	if (!f || (piped && piped->kind == V_POISON)) return poison(c);
	return call_value(c, f, &(CallSite){e, e->name, piped, piped_at});
}

/* ---- indices and fields ---- */

static const Value *at_key(Check *c, const Value *v, Str key, Span at)
{
	for (int i = 0; i < v->key.n; i++)
		if (v->key.at[i] == key) return v->item.at[i];
	told(c, at, "M0206", "%s has no '%s'", describe(c, v), key);
	Near n = {.arena = c->a};
	for (int i = 0; i < v->key.n; i++) near_add(&n, v->key.at[i]);
	if (near_best(&n, key))
		help_near(c, &n, key);
	else if (v->key.n) {
		Text t = {0};
		for (int i = 0; i < v->key.n; i++) text_printf(&t, "%s%s", i ? ", " : "", v->key.at[i]);
		diag_help(c->d, "it has %s", t.at);
		text_free(&t);
	}
	return poison(c);
}

static const Value *eval_index(Check *c, const Ast *e)
{
	const Value *v = eval(c, e->a);
	if (v->kind == V_POISON) return v;
	if (v->kind == V_KEYED && e->b->kind == AST_NAME && !scope_find(c->scope, e->b->name))
		return at_key(c, v, e->b->name, e->b->span); /* a key needs no other meaning */
	const Value *i = eval(c, e->b);
	if (i->kind == V_POISON) return i;
	if (v->kind == V_KEYED) {
		Str key = key_of(c, i);
		if (key) return at_key(c, v, key, e->b->span);
		told(c, e->b->span, "M0206", "an index is a name or a number, this is %s",
		     value_kind_word(i));
		return poison(c);
	}
	if (v->kind == V_LIST) {
		int64_t k;
		if (!v->item.n) {
			told(c, e->span, "M0206", "%s is empty", describe(c, v));
			return poison(c);
		}
		return want_whole(c, i, e->b->span, "an index", 0, v->item.n - 1, &k) ? v->item.at[k]
										      : poison(c);
	}
	told(c, e->span, "M0206", "%s is %s and has no parts to pick with [ ]", describe(c, v),
	     value_kind_word(v));
	return poison(c);
}

/* behaviour.kind: one field of every step */
static const Value *eval_step_field(Check *c, const Value *v, const Ast *e, Span at)
{
	const Seq *q = &c->s->seq.at[v->group];
	int f = find_field(c, v->group, e->name);
	if (f >= 0) return tensor_value(c, feature_node(c, f, NULL, 0, e->span), e->span);
	told(c, at, "M0206", "sequence '%s' has no field '%s'", q->name, e->name);
	Near n = {.arena = c->a};
	for (int i = 0; i < q->feature.n; i++)
		near_add(&n, c->s->feature.at[q->feature.at[i]].name + strlen(q->name) + 1);
	help_near(c, &n, e->name);
	return poison(c);
}

static const Value *eval_field(Check *c, const Ast *e)
{
	const Value *v = eval(c, e->a);
	if (v->kind == V_POISON) return v;
	Span at = e->name_span.hi ? e->name_span : e->span;
	if (v->kind == V_KEYED) return at_key(c, v, e->name, at);
	if (v->kind == V_SEQ) return eval_step_field(c, v, e, at);
	if (v->kind != V_GROUP) {
		told(c, at, "M0206", "%s is %s and has no part '%s'", describe(c, v), value_kind_word(v),
		     e->name);
		return poison(c);
	}
	const Group *g = &c->s->group.at[v->group];
	Near n = {.arena = c->a};
	for (int i = 0; i < g->feature.n; i++) {
		const Feature *f = &c->s->feature.at[g->feature.at[i]];
		near_add(&n, f->name);
		if (f->name == e->name)
			return tensor_value(c, feature_node(c, g->feature.at[i], NULL, 0, e->span), e->span);
	}
	for (int i = 0; i < c->s->seq.n; i++) {
		if (c->s->seq.at[i].group != v->group) continue;
		near_add(&n, c->s->seq.at[i].name);
		if (c->s->seq.at[i].name == e->name)
			return new_value(c, (Value){.kind = V_SEQ, .group = i, .span = e->span});
	}
	told(c, at, "M0206", "group '%s' has no feature '%s'", g->name, e->name);
	help_near(c, &n, e->name);
	return poison(c);
}

/* ---- arithmetic ---- */

static const Value *prob_join(Check *c, ProbKind kind, const Prob *a, const Prob *b, Span at)
{
	Prob *p = arena_new(c->a, Prob, 1);
	*p = (Prob){.kind = kind, .a = a, .b = b, .span = at};
	return new_value(c, (Value){.kind = V_PROB, .prob = p, .span = at});
}

/* log of a probability or of a score known to be positive; 0: there is none (told if `need`). */
static NodeId log_of(Check *c, const Value *v, Span at)
{
	if (v->kind == V_SCORE) return v->log;
	NodeId z = prob_logit(c, v, at);
	return z ? node1(c->g, OP_LOGSIGMOID, z, at) : 0;
}

static const Value *score(Check *c, NodeId node, NodeId log, Span at)
{
	return node || log ? new_value(c, (Value){.kind = V_SCORE, .node = node, .log = log, .span = at})
			   : poison(c);
}

static const Value *eval_power(Check *c, const Value *a, const Value *b, Span at)
{
	double k;
	if (!want_number(c, b, at, "an exponent", &k)) return poison(c);
	if (a->kind == V_PROB || a->kind == V_SCORE) {
		if (a->kind == V_SCORE && !a->log) {
			told(c, at, "M0210",
			     "a power needs a value known to be positive, and %s may be negative or 0",
			     describe(c, a));
			if (a->outcome)
				diag_help(c->d, "%s = softplus(...) or exp(...) is positive",
					  c->outcome.at[a->outcome - 1].text);
			else
				diag_help(c->d, "powers of single probabilities, joined by *, are positive");
			return poison(c);
		}
		NodeId l = log_of(c, a, at);
		if (!l) return poison(c);
		return score(c, 0, node2(c->g, OP_MUL, graph_const(c->g, k, at), l, at), at);
	}
	NodeId x = as_tensor(c, a, at);
	if (!x) return poison(c);
	if (k == 0.5) return tensor_value(c, push_op(c, OP_SQRT, 1, &x, (Attr){0}, at), at);
	if (k != floor(k) || k < 1 || k > 16) {
		told(c, at, "M0210", "a tensor has powers 0.5 and 1 to 16 only, it may be negative");
		return poison(c);
	}
	NodeId y = x;
	for (int i = 1; i < (int)k; i++)
		y = k == 2 ? push_op(c, OP_SQUARE, 1, &x, (Attr){0}, at)
			   : push_op(c, OP_MUL, 2, (NodeId[]){y, x}, (Attr){0}, at);
	return tensor_value(c, y, at);
}

static bool probable(const Value *v) { return v->kind == V_PROB || v->kind == V_SCORE; }

static const Value *eval_arith(Check *c, const Ast *e, const Value *a, const Value *b)
{
	AstKind op = e->kind;
	Span at = e->span;
	if (a->kind == V_POISON || b->kind == V_POISON) return poison(c);
	if (a->kind == V_NUMBER && b->kind == V_NUMBER) return fold_numbers(c, op, a->number, b->number, at);
	if (a->kind == V_LOSS || b->kind == V_LOSS) return loss_arith(c, op, a, b, at);
	if (op == AST_POW) return eval_power(c, a, b, at);
	if (a->kind == V_PROB && b->kind == V_PROB && op != AST_SUB)
		return prob_join(c,
				 op == AST_MUL	 ? PX_MUL
				 : op == AST_ADD ? PX_ADD
						 : PX_DIV,
				 a->prob, b->prob, at);
	if (op == AST_SUB && a->kind == V_NUMBER && a->number == 1 && b->kind == V_PROB)
		return prob_join(c, PX_NOT, b->prob, NULL, at);
	if (probable(a) && probable(b) && (op == AST_MUL || op == AST_DIV)) {
		NodeId la = log_of(c, a, at), lb = log_of(c, b, at);
		if (la && lb)
			return score(c, 0, node2(c->g, op == AST_MUL ? OP_ADD : OP_SUB, la, lb, at), at);
		if ((a->kind == V_PROB && !la) || (b->kind == V_PROB && !lb)) return poison(c);
	}
	NodeId x = as_tensor(c, a, e->a->span), y = as_tensor(c, b, e->b->span);
	OpCode code = op == AST_ADD ? OP_ADD : op == AST_SUB ? OP_SUB : op == AST_MUL ? OP_MUL : OP_DIV;
	NodeId r = push_op(c, code, 2, (NodeId[]){x, y}, (Attr){0}, at);
	bool of_probs = (probable(a) || probable(b)) && (probable(a) || a->kind == V_NUMBER) &&
			(probable(b) || b->kind == V_NUMBER);
	return of_probs ? score(c, r, 0, at) : tensor_value(c, r, at);
}

static const Value *eval_compare(Check *c, const Ast *e, const Value *a, const Value *b)
{
	if (a->kind == V_POISON || b->kind == V_POISON) return poison(c);
	if (a->kind == V_NUMBER && b->kind == V_NUMBER)
		return fold_numbers(c, e->kind, a->number, b->number, e->span);
	bool both = a->kind == b->kind, equal;
	if (both && a->kind == V_STRING)
		equal = a->text == b->text;
	else if (both && a->kind == V_WORD)
		equal = a->name == b->name;
	else if (both && a->kind == V_LAYER)
		equal = a->layer == b->layer;
	else {
		told(c, e->span, "M0312",
		     "a comparison is decided at compile time: %s and %s cannot be compared here",
		     value_kind_word(a), value_kind_word(b));
		return poison(c);
	}
	if (e->kind != AST_EQ && e->kind != AST_NE) {
		told(c, e->span, "M0312", "only numbers have an order; these can be equal (==) or not (!=)");
		return poison(c);
	}
	return number_value(c, equal == (e->kind == AST_EQ), e->span);
}

static const Value *eval_logic(Check *c, const Ast *e)
{
	bool a, b = false;
	if (!truth(c, eval(c, e->a), e->a->span, &a)) return poison(c);
	if (e->kind == AST_NOT) return number_value(c, !a, e->span);
	if (!truth(c, eval(c, e->b), e->b->span, &b)) return poison(c);
	return number_value(c, e->kind == AST_AND ? a && b : a || b, e->span);
}

static const Value *eval_neg(Check *c, const Ast *e)
{
	const Value *a = eval(c, e->a);
	if (a->kind == V_NUMBER) return number_value(c, -a->number, e->span);
	if (a->kind == V_LOSS) return loss_arith(c, AST_MUL, number_value(c, -1, e->span), a, e->span);
	NodeId x = as_tensor(c, a, e->a->span);
	if (!x) return poison(c);
	NodeId r = push_op(c, OP_NEG, 1, &x, (Attr){0}, e->span);
	return probable(a) ? score(c, r, 0, e->span) : tensor_value(c, r, e->span);
}

static const Value *eval_list(Check *c, const Ast *e)
{
	Value v = {.kind = V_LIST, .span = e->span};
	for (int i = 0; i < e->list.n; i++) {
		const Value *x = eval(c, e->list.at[i]);
		if (x->kind == V_POISON) return x;
		Value placed = *x;
		if (x->kind == V_NUMBER || x->kind == V_STRING) placed.span = e->list.at[i]->span;
		vec_push(c->a, &v.item, new_value(c, placed));
	}
	return new_value(c, v);
}

static const Value *eval_keyed(Check *c, const Ast *e)
{
	Value v = {.kind = V_KEYED, .span = e->span};
	for (int i = 0; i < e->list.n; i++) {
		const Ast *arg = e->list.at[i];
		for (int j = 0; j < v.key.n; j++)
			if (v.key.at[j] == arg->name)
				told(c, arg->span, "M0202", "key '%s' stands twice", arg->name);
		vec_push(c->a, &v.key, arg->name);
		vec_push(c->a, &v.item, eval(c, arg->a));
	}
	return new_value(c, v);
}

const Value *eval(Check *c, const Ast *e)
{
	switch (e->kind) {
	case AST_NUMBER: return number_value(c, e->number, e->span);
	case AST_STRING: return new_value(c, (Value){.kind = V_STRING, .text = e->text, .span = e->span});
	case AST_NAME: return eval_name(c, e);
	case AST_LIST: return eval_list(c, e);
	case AST_KEYED: return eval_keyed(c, e);
	case AST_CALL: return eval_call(c, e, NULL, e->span);
	case AST_INDEX: return eval_index(c, e);
	case AST_FIELD: return eval_field(c, e);
	case AST_PIPE: {
		const Value *x = eval(c, e->a);
		return eval_call(c, e->b, x, e->a->span);
	}
	case AST_ADD:
	case AST_SUB:
	case AST_MUL:
	case AST_DIV:
	case AST_POW: {
		const Value *a = eval(c, e->a), *b = eval(c, e->b);
		return eval_arith(c, e, a, b);
	}
	case AST_NEG: return eval_neg(c, e);
	case AST_LT:
	case AST_LE:
	case AST_GT:
	case AST_GE:
	case AST_EQ:
	case AST_NE: {
		const Value *a = eval(c, e->a), *b = eval(c, e->b);
		return eval_compare(c, e, a, b);
	}
	case AST_AND:
	case AST_OR:
	case AST_NOT: return eval_logic(c, e);
	case AST_PROB: return prob_value(c, e);
	case AST_EXPECT: return outcome_value(c, e);
	default: bug("no expression: %s", ast_kind_name(e->kind));
	}
}
