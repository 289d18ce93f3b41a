/* What the language can do that is not a layer written in it: ops by their own names, and the few calls that
 * make nodes. */
#include "front/checker.h"
#include "front/build.h"
#include <math.h>
#include <string.h>

/* ---- arguments ---- */

/* How the call is written. */
static void help_params(Check *c, const CallSite *site, int n, const char *const *param)
{
	Text t = {0};
	for (int k = site->piped ? 1 : 0; k < n; k++)
		text_printf(&t, "%s%s%s", k > (site->piped ? 1 : 0) ? ", " : "",
			    param[k] + (*param[k] == '?'), *param[k] == '?' ? ": ..." : "");
	diag_help(c->d, "%s%s(%s)", site->piped ? "... -> " : "", site->name, t.at ? t.at : "");
	text_free(&t);
}

bool bind_args(Check *c, const CallSite *site, int n, const char *const *param, const Ast **ast,
	       const Value **value)
{
	const Ast *call = site->call;
	int n_given = call->kind == AST_CALL ? call->list.n : 0;
	int next = 0;
	bool ok = true;
	memset(ast, 0, sizeof *ast * (size_t)n);
	memset(value, 0, sizeof *value * (size_t)n);
	if (site->piped) {
		if (n == 0) {
			told(c, call->span, "M0314", "%s takes no argument, and a value is sent into it",
			     site->name);
			return false;
		}
		value[next++] = site->piped;
	}
	for (int i = 0; i < n_given; i++) {
		const Ast *arg = call->list.at[i];
		int at = -1;
		if (!arg->name) {
			while (next < n && (ast[next] || value[next])) next++;
			at = next++;
			if (at >= n) {
				told(c, arg->span, "M0314", "%s takes %d argument%s%s", site->name, n,
				     n == 1 ? "" : "s",
				     site->piped ? ", the value before -> is the first" : "");
				return false;
			}
		} else {
			Near near = {.arena = c->a};
			for (int j = 0; j < n; j++) {
				const char *name = param[j] + (*param[j] == '?');
				near_add(&near, name);
				if (!strcmp(name, arg->name)) at = j;
			}
			if (at < 0) {
				told(c, arg->name_span.hi ? arg->name_span : arg->span, "M0315",
				     "%s has no argument '%s'", site->name, arg->name);
				if (near_best(&near, arg->name))
					help_near(c, &near, arg->name);
				else
					help_params(c, site, n, param);
				ok = false;
				continue;
			}
			if (ast[at] || value[at]) {
				told(c, arg->span, "M0315", "argument '%s' of %s is given twice", arg->name,
				     site->name);
				if (ast[at])
					diag_note(c->d, ast[at]->span, "the first is here");
				else
					diag_note(c->d, site->piped_at, "the value before -> is '%s'",
						  arg->name);
				help_params(c, site, n, param);
				ok = false;
				continue;
			}
		}
		ast[at] = arg->a;
	}
	for (int j = 0; ok && j < n; j++) {
		if (ast[j] || value[j] || *param[j] == '?') continue;
		told(c, call->span, "M0314", "%s needs '%s'", site->name, param[j]);
		help_params(c, site, n, param);
		ok = false;
	}
	return ok;
}

enum { MOST_ARGS = 8 };
typedef struct {
	const Ast *ast[MOST_ARGS];
	const Value *value[MOST_ARGS];
	Span at[MOST_ARGS];
} Bound;

/* The same, with every argument evaluated; false: told, or poison. */
static bool bound(Check *c, const CallSite *site, int n, const char *const *param, Bound *b)
{
	if (!bind_args(c, site, n, param, b->ast, b->value)) return false;
	for (int i = 0; i < n; i++) {
		b->at[i] = b->ast[i] ? b->ast[i]->span : b->value[i] ? site->piped_at : site->call->span;
		if (b->ast[i]) b->value[i] = eval(c, b->ast[i]);
		if (b->value[i] && b->value[i]->kind == V_POISON) return false;
	}
	return true;
}
#define BOUND(...)                                                                                           \
	static const char *const param[] = {__VA_ARGS__};                                                    \
	Bound b;                                                                                             \
	if (!bound(c, site, (int)(sizeof param / sizeof *param), param, &b)) return poison(c)

/* Every argument of a call, lists and keyed values opened: concat(h), stack(a, b). */
typedef VEC(NodeId) Nodes;
static bool gather(Check *c, const Value *v, Span at, Nodes *out)
{
	if (v->kind == V_POISON) return false;
	if (v->kind == V_LIST || v->kind == V_KEYED) {
		for (int i = 0; i < v->item.n; i++)
			if (!gather(c, v->item.at[i], at, out)) return false;
		return true;
	}
	NodeId n = as_tensor(c, v, at);
	if (n) vec_push(c->a, out, n);
	return n != 0;
}

static bool gather_all(Check *c, const CallSite *site, Nodes *out)
{
	bool ok = !site->piped || gather(c, site->piped, site->piped_at, out);
	int n = site->call->kind == AST_CALL ? site->call->list.n : 0;
	for (int i = 0; i < n; i++) {
		const Ast *arg = site->call->list.at[i];
		if (arg->name) {
			told(c, arg->span, "M0315", "%s has no argument '%s'", site->name, arg->name);
			return false;
		}
		ok &= gather(c, eval(c, arg->a), arg->span, out);
	}
	if (ok && !out->n) {
		told(c, site->call->span, "M0314", "%s needs at least one value", site->name);
		return false;
	}
	return ok;
}

/* [n, d] of a node; 0: told. */
static NodeId flat(Check *c, NodeId n, Span at) { return as_matrix(c, tensor_value(c, n, at), at); }

/* ---- calls ---- */

/* Glorot and Bengio's uniform: variance 2 / (in + out). */
static Init glorot(int in, int out)
{
	double limit = sqrt(6.0 / (in + out));
	return (Init){INIT_UNIFORM, -limit, limit};
}

static const Value *call_dense(Check *c, const CallSite *site)
{
	BOUND("x", "units", "?act", "?bias");
	Span at = site->call->span;
	int64_t units, bias = 1;
	NodeId x = as_matrix(c, b.value[0], b.at[0]);
	bool ok = want_whole(c, b.value[1], b.at[1], "the width of a dense layer", 1, 65536, &units);
	if (b.value[3]) ok &= want_whole(c, b.value[3], b.at[3], "bias (0 or 1)", 0, 1, &bias);
	const Value *act = b.value[2];
	if (act && act->kind != V_LAYER) {
		told(c, b.at[2], "M0318", "act must be a layer such as relu, this is %s",
		     value_kind_word(act));
		ok = false;
	}
	if (!ok || !x) return poison(c);
	int in = shape_of(c, x).d[0];
	Naming *into = c->into ? c->into : naming_of(c, str_intern(c->str, "model"), false);
	const char *name = arena_printf(c->a, "%s.%d", into->prefix, into->n_dense++);
	NodeId w = new_param(c, arena_printf(c->a, "%s.weight", name), shape_2(false, in, (int)units),
			     glorot(in, (int)units), at);
	NodeId v = bias ? new_param(c, arena_printf(c->a, "%s.bias", name), shape_1(false, (int)units),
				    (Init){INIT_ZERO, 0, 0}, at)
			: 0;
	NodeId y = push_op(c, OP_DENSE, 3, (NodeId[]){x, w, v}, (Attr){0}, at);
	const Value *out = tensor_value(c, y, at);
	if (!act || !y) return out;
	Ast *as = ast_new(c->a, AST_NAME, b.at[2]);
	as->name = act->name;
	return call_value(c, act, &(CallSite){as, act->name, out, at});
}

static const Value *call_matmul(Check *c, const CallSite *site)
{
	BOUND("x", "weight");
	NodeId x = as_matrix(c, b.value[0], b.at[0]), w = as_tensor(c, b.value[1], b.at[1]);
	if (!x || !w) return poison(c);
	return tensor_value(c, push_op(c, OP_DENSE, 3, (NodeId[]){x, w, 0}, (Attr){0}, site->call->span),
			    site->call->span);
}

static const Value *call_concat(Check *c, const CallSite *site)
{
	Nodes n = {0};
	if (!gather_all(c, site, &n)) return poison(c);
	if (n.n == 1) return tensor_value(c, flat(c, n.at[0], site->call->span), site->call->span);
	return tensor_value(c, push_op(c, OP_CONCAT, n.n, n.at, (Attr){0}, site->call->span),
			    site->call->span);
}

/* [n, m] each -> [n, E, m] */
static NodeId stacked(Check *c, Nodes *n, const char *what, Span at)
{
	for (int i = 0; i < n->n; i++) {
		NodeId x = flat(c, n->at[i], at);
		if (!x) return 0;
		Shape s = shape_of(c, x), first = shape_of(c, n->at[0]);
		if (i && !shape_eq(s, first)) {
			told(c, at, "M0204", "%s needs equal widths: the first is %s, number %d is %s", what,
			     shape_text(c->a, first), i + 1, shape_text(c->a, s));
			diag_note(c->d, graph_node(c->g, n->at[i])->span, "the other one is made here");
			return 0;
		}
		n->at[i] = x;
	}
	int m = shape_of(c, n->at[0]).d[0];
	NodeId joined = n->n == 1 ? n->at[0] : push_op(c, OP_CONCAT, n->n, n->at, (Attr){0}, at);
	return joined ? graph_push(c->g, OP_RESHAPE, shape_over(shape_of(c, joined), shape_2(true, n->n, m)),
				   1, &joined, (Attr){0}, at)
		      : 0;
}

static const Value *call_stack(Check *c, const CallSite *site)
{
	Nodes n = {0};
	if (!gather_all(c, site, &n)) return poison(c);
	return tensor_value(c, stacked(c, &n, "stack", site->call->span), site->call->span);
}

static bool want_share(Check *c, double p, Span at)
{
	if (p >= 0 && p < 1) return true;
	told(c, at, "M0311", "the share that is dropped lies in [0, 1), %g does not", p);
	return false;
}

/* [n, width]: 0 with probability p, else 1 / (1 - p). */
static NodeId new_noise(Check *c, int width, double p, Span at)
{
	Str name = str_printf(c->str, "%s.dropout.%d", prefix_now(c), c->s->noise.n);
	vec_push(c->a, &c->s->noise, (Noise){.width = width, .p = p, .name = name, .span = at});
	return graph_push(c->g, OP_NOISE, shape_1(true, width), 0, NULL,
			  (Attr){.i = c->s->noise.n - 1, .j = width}, at);
}

/*
 * In training each expert is left out with probability p, and the shares of the others sum to 1 again: log 0
 * is added to its logit.  Where all would be left out, none is.
 */
static NodeId gate_dropout(Check *c, NodeId z, double p, Span at)
{
	NodeId noise = new_noise(c, shape_of(c, z).d[0], p, at);
	NodeId zero = graph_const(c->g, 0, at), one = graph_const(c->g, 1, at);
	NodeId any = push_op(c, OP_SUM_LAST, 1, &noise, (Attr){0}, at);
	NodeId kept = push_op(c, OP_SELLT, 4, (NodeId[]){zero, any, noise, one}, (Attr){0}, at);
	NodeId never = graph_const(c->g, -3e38, at);
	NodeId masked = push_op(c, OP_SELLT, 4, (NodeId[]){zero, kept, z, never}, (Attr){0}, at);
	return push_op(c, OP_TRAINING, 2, (NodeId[]){masked, z}, (Attr){0}, at);
}

/*
 * The k largest logits as they are, log 0 in place of the others, which have then no part and no gradient.
 * The k-th largest is found by taking the largest away k - 1 times; logits equal to it stay too.
 */
static NodeId gate_largest(Check *c, NodeId z, int k, Span at)
{
	NodeId never = graph_const(c->g, -3e38, at), left = z;
	NodeId least = push_op(c, OP_MAX_LAST, 1, &left, (Attr){0}, at);
	for (int i = 1; i < k; i++) {
		left = push_op(c, OP_SELLT, 4, (NodeId[]){left, least, left, never}, (Attr){0}, at);
		least = push_op(c, OP_MAX_LAST, 1, &left, (Attr){0}, at);
	}
	return push_op(c, OP_SELLT, 4, (NodeId[]){z, least, never, z}, (Attr){0}, at);
}

/* softmax(x W / temperature) over the experts: no bias, no hidden layer. */
static const Value *call_mix(Check *c, const CallSite *site)
{
	BOUND("experts", "by", "?temperature", "?dropout", "?topk");
	Span at = site->call->span;
	double drop = 0;
	if (b.value[3] &&
	    !want_number(c, b.value[3], b.at[3], "the share of experts that is left out", &drop))
		return poison(c);
	if (!want_share(c, drop, b.at[3])) return poison(c);
	double temperature = 1;
	if (b.value[2] && !want_number(c, b.value[2], b.at[2], "temperature", &temperature)) return poison(c);
	if (temperature <= 0) {
		told(c, b.at[2], "M0311", "temperature must be above 0, not %g", temperature);
		return poison(c);
	}
	if (b.value[0]->kind != V_LIST && b.value[0]->kind != V_KEYED) {
		told(c, b.at[0], "M0203", "mix needs several experts, %s is %s", describe(c, b.value[0]),
		     value_kind_word(b.value[0]));
		diag_help(c->d, "experts e[8] = ... makes eight, [a, b] lists two");
		return poison(c);
	}
	Nodes experts = {0};
	if (!gather(c, b.value[0], b.at[0], &experts)) return poison(c);
	NodeId x = as_matrix(c, b.value[1], b.at[1]);
	if (!x) return poison(c);
	NodeId all = stacked(c, &experts, "mix", at);
	if (!all) return poison(c);
	NodeId w = new_param(c, arena_printf(c->a, "%s.weight", prefix_now(c)),
			     shape_2(false, shape_of(c, x).d[0], experts.n),
			     glorot(shape_of(c, x).d[0], experts.n), at);
	NodeId z = push_op(c, OP_DENSE, 3, (NodeId[]){x, w, 0}, (Attr){0}, at);
	if (temperature != 1)
		z = push_op(c, OP_MUL, 2, (NodeId[]){z, graph_const(c->g, 1 / temperature, at)}, (Attr){0},
			    at);
	int64_t largest = experts.n;
	if (b.value[4] && !want_whole(c, b.value[4], b.at[4], "the number of experts that a row uses", 1,
				      experts.n, &largest))
		return poison(c);
	if (drop > 0) z = gate_dropout(c, z, drop, at);
	if (largest < experts.n) z = gate_largest(c, z, (int)largest, at);
	NodeId gate = push_op(c, OP_SOFTMAX, 1, &z, (Attr){0}, at);
	if (gate && c->into) c->g->node.at[gate].name = str_intern(c->str, c->into->prefix);
	return tensor_value(c, push_op(c, OP_MIX, 2, (NodeId[]){gate, all}, (Attr){0}, at), at);
}

/* [n, width]: log u - log(1 - u) of a uniform u in training, 0 otherwise. */
static const Value *call_noise(Check *c, const CallSite *site)
{
	BOUND("width");
	Span at = site->call->span;
	int64_t width;
	if (!want_whole(c, b.value[0], b.at[0], "the width of the noise", 1, 65536, &width)) return poison(c);
	NodeId z = new_noise(c, (int)width, 0, at);
	c->s->noise.at[c->s->noise.n - 1].logistic = true;
	NodeId zero = graph_const(c->g, 0, at);
	NodeId rest = graph_push(c->g, OP_SPREAD, shape_1(true, (int)width), 1, &zero, (Attr){0}, at);
	return tensor_value(c, push_op(c, OP_TRAINING, 2, (NodeId[]){z, rest}, (Attr){0}, at), at);
}

static const Value *call_dropout(Check *c, const CallSite *site)
{
	BOUND("x", "p");
	Span at = site->call->span;
	double p;
	if (!want_number(c, b.value[1], b.at[1], "the share that is dropped", &p)) return poison(c);
	if (!want_share(c, p, b.at[1])) return poison(c);
	if (p == 0) return b.value[0];
	NodeId x = as_matrix(c, b.value[0], b.at[0]);
	if (!x) return poison(c);
	NodeId noise = new_noise(c, shape_of(c, x).d[0], p, at);
	return tensor_value(c, push_op(c, OP_MUL, 2, (NodeId[]){x, noise}, (Attr){0}, at), at);
}

/* ---- over the rows of a batch ---- */

static NodeId mean_of_rows(Check *c, NodeId x, NodeId count, Span at)
{
	NodeId sum = push_op(c, OP_SUM_ROWS, 1, &x, (Attr){0}, at);
	return push_op(c, OP_DIV, 2, (NodeId[]){sum, count}, (Attr){0}, at);
}

/*
 * The batch's value in training; when scoring the running one: momentum times what it was, 1 - momentum times
 * the batch's.  Of fewer than two values the batch tells no variance: it is as it was.
 */
static NodeId remembered(Check *c, NodeId now, NodeId batch, NodeId count, const char *name, double start,
			 double momentum, Span at)
{
	NodeId was = new_param(c, arena_printf(c->a, "%s.%s", prefix_now(c), name), shape_of(c, now),
			       (Init){INIT_CONST, start, 0}, at);
	int param = c->g->node.at[was].attr.i;
	c->s->param.at[param].frozen = true;
	NodeId share = graph_const(c->g, 1 - momentum, at), two = graph_const(c->g, 2, at);
	NodeId step = push_op(c, OP_SUB, 2, (NodeId[]){batch, was}, (Attr){0}, at);
	step = push_op(c, OP_MUL, 2, (NodeId[]){share, step}, (Attr){0}, at);
	NodeId next = push_op(c, OP_ADD, 2, (NodeId[]){was, step}, (Attr){0}, at);
	next = push_op(c, OP_SELLT, 4, (NodeId[]){count, two, was, next}, (Attr){0}, at);
	vec_push(c->a, &c->s->running, ((Running){.param = param, .next = next}));
	return push_op(c, OP_TRAINING, 2, (NodeId[]){now, was}, (Attr){0}, at);
}

/*
 * Mean and variance of each column, over all rows of the batch or over all their steps: two passes, since a
 * difference of large sums would leave nothing of a small variance.  The mean moves the variance by
 * -2 mean(x - mean) = 0, so nothing flows that way.
 */
static const Value *call_moments(Check *c, const CallSite *site)
{
	BOUND("x", "?momentum");
	Span at = site->call->span;
	double momentum = 0.9;
	NodeId x = as_matrix(c, b.value[0], b.at[0]);
	if (b.value[1] && !want_number(c, b.value[1], b.at[1], "momentum", &momentum)) return poison(c);
	if (!x) return poison(c);
	if (!(momentum >= 0 && momentum < 1)) {
		told(c, b.at[1], "M0311", "momentum lies in [0, 1), %g does not", momentum);
		return poison(c);
	}
	if (c->in_scan) {
		told(c, at, "M0320",
		     "the steps of a scan come one after the other, and %s needs all rows at once",
		     site->name);
		diag_help(c->d, "normalise before the scan or after it, or each row by itself: layer_norm");
		return poison(c);
	}
	NodeId one = graph_const(c->g, 1, at);
	NodeId ones = graph_push(c->g, OP_SPREAD, shape_over(shape_of(c, x), shape_scalar(true)), 1, &one,
				 (Attr){0}, at);
	NodeId count = push_op(c, OP_SUM_ROWS, 1, &ones, (Attr){0}, at);
	NodeId some =
	    push_op(c, OP_MAX, 2, (NodeId[]){count, one}, (Attr){0}, at); /* no step at all: 0 / 1 */
	NodeId mean = mean_of_rows(c, x, some, at);
	NodeId centre = push_op(c, OP_STOP, 1, &mean, (Attr){0}, at);
	NodeId d = push_op(c, OP_SUB, 2, (NodeId[]){x, centre}, (Attr){0}, at);
	NodeId var = mean_of_rows(c, push_op(c, OP_SQUARE, 1, &d, (Attr){0}, at), some, at);
	/* Of what is not in the batch, n / (n - 1) of the batch's variance is the unbiased guess. */
	NodeId others = push_op(c, OP_SUB, 2, (NodeId[]){count, one}, (Attr){0}, at);
	others = push_op(c, OP_MAX, 2, (NodeId[]){others, one}, (Attr){0}, at);
	NodeId wider = push_op(c, OP_DIV, 2, (NodeId[]){some, others}, (Attr){0}, at);
	NodeId guess = push_op(c, OP_MUL, 2, (NodeId[]){var, wider}, (Attr){0}, at);
	Value v = {.kind = V_LIST, .span = at};
	NodeId y[2] = {remembered(c, mean, mean, count, "mean", 0, momentum, at),
		       remembered(c, var, guess, count, "variance", 1, momentum, at)};
	for (int i = 0; i < 2; i++) vec_push(c->a, &v.item, tensor_value(c, y[i], at));
	return new_value(c, v);
}

/* ---- over the steps of a sequence ---- */

static NodeId steps_mean(Check *c, NodeId sum, int seq, Span at)
{
	NodeId n = graph_op(c->g, OP_LENGTH, 0, NULL, (Attr){.i = seq}, at), one = graph_const(c->g, 1, at);
	n = push_op(c, OP_MAX, 2, (NodeId[]){n, one}, (Attr){0}, at); /* no step: 0 / 1 */
	return push_op(c, OP_DIV, 2, (NodeId[]){sum, n}, (Attr){0}, at);
}

/* e^(x - max) / sum: the shares of a row's own steps.  The maximum has no say in the gradient. */
static NodeId steps_softmax(Check *c, NodeId x, Span at)
{
	NodeId most =
	    push_op(c, OP_MAX_STEPS, 1, (NodeId[]){push_op(c, OP_STOP, 1, &x, (Attr){0}, at)}, (Attr){0}, at);
	NodeId e = push_op(c, OP_SUB, 2, (NodeId[]){x, most}, (Attr){0}, at);
	e = push_op(c, OP_EXP, 1, &e, (Attr){0}, at);
	NodeId sum = push_op(c, OP_SUM_STEPS, 1, &e, (Attr){0}, at);
	return push_op(c, OP_DIV, 2, (NodeId[]){e, sum}, (Attr){0}, at);
}

/* sum, mean, max, first, last, softmax of a value of every step */
static const Value *over_time(Check *c, const CallSite *site, NodeId x)
{
	Span at = site->call->span;
	int seq = shape_of(c, x).seq;
	Str f = site->name;
	NodeId y;
	if (!strcmp(f, "softmax"))
		y = steps_softmax(c, x, at);
	else if (!strcmp(f, "first") || !strcmp(f, "last"))
		y = push_op(c, OP_END_STEP, 1, &x, (Attr){.i = *f == 'l'}, at);
	else
		y = push_op(c, !strcmp(f, "max") ? OP_MAX_STEPS : OP_SUM_STEPS, 1, &x, (Attr){0}, at);
	if (y && !strcmp(f, "mean")) y = steps_mean(c, y, seq, at);
	return tensor_value(c, y, at);
}

static bool has_steps(const Check *c, NodeId x) { return x && shape_of(c, x).seq; }

/* last, first */
static const Value *call_end(Check *c, const CallSite *site)
{
	BOUND("x");
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	if (!x) return poison(c);
	if (has_steps(c, x)) return over_time(c, site, x);
	told(c, b.at[0], "M0118", "%s needs a value for every step of a sequence, %s is %s", site->name,
	     describe(c, b.value[0]), shape_text(c->a, shape_of(c, x)));
	return poison(c);
}

/* max(a, b), or the largest over time of one value */
static const Value *call_op(Check *c, OpCode op, const CallSite *site);
static const Value *call_max(Check *c, const CallSite *site)
{
	int n = site->call->kind == AST_CALL ? site->call->list.n : 0;
	if (n + (site->piped != NULL) != 1) return call_op(c, OP_MAX, site);
	BOUND("x");
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	if (!x) return poison(c);
	return has_steps(c, x) ? over_time(c, site, x) : call_op(c, OP_MAX, site);
}

static const Value *call_softmax(Check *c, const CallSite *site)
{
	BOUND("x");
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	if (has_steps(c, x)) return over_time(c, site, x);
	return x ? tensor_value(c, push_op(c, OP_SOFTMAX, 1, &x, (Attr){0}, site->call->span),
				site->call->span)
		 : poison(c);
}

/* Equal parts of the columns, as a list. */
static const Value *call_split(Check *c, const CallSite *site)
{
	BOUND("x", "parts");
	NodeId x = as_matrix(c, b.value[0], b.at[0]);
	int64_t parts;
	if (!x || !want_whole(c, b.value[1], b.at[1], "the number of parts", 1, 4096, &parts))
		return poison(c);
	int width = shape_of(c, x).d[0];
	if (width % parts) {
		told(c, b.at[1], "M0204", "%s has %d columns, which are not %d equal parts",
		     describe(c, b.value[0]), width, (int)parts);
		return poison(c);
	}
	Value v = {.kind = V_LIST, .span = site->call->span};
	for (int i = 0, w = width / (int)parts; i < (int)parts; i++)
		vec_push(c->a, &v.item, tensor_value(c, graph_slice(c->g, x, i * w, w), site->call->span));
	return new_value(c, v);
}

static const Value *call_sum(Check *c, const CallSite *site)
{
	BOUND("x", "?each");
	int64_t each = 0;
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	if (!x) return poison(c);
	if (b.value[1] &&
	    !want_whole(c, b.value[1], b.at[1], "each (1: of every step by itself)", 0, 1, &each))
		return poison(c);
	bool mean = !strcmp(site->name, "mean");
	Shape s = shape_of(c, x);
	if (s.seq && !each) return over_time(c, site, x);
	if (!s.nd) return tensor_value(c, x, site->call->span);
	NodeId y = push_op(c, OP_SUM_LAST, 1, &x, (Attr){0}, site->call->span);
	if (mean)
		y = push_op(c, OP_MUL, 2,
			    (NodeId[]){y, graph_const(c->g, 1.0 / s.d[s.nd - 1], site->call->span)},
			    (Attr){0}, site->call->span);
	return tensor_value(c, y, site->call->span);
}

/* [n, F, k] -> [n, k]: a mixture in which every field weighs 1, or as it is said. */
static const Value *call_sum_fields(Check *c, const CallSite *site)
{
	BOUND("x", "?by");
	Span at = site->call->span;
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	if (!x) return poison(c);
	Shape s = shape_of(c, x);
	if (!s.rows || s.nd != 2) {
		told(c, at, "M0204", "sum_fields needs [n, fields, width], %s is %s", describe(c, b.value[0]),
		     shape_text(c->a, s));
		diag_help(c->d, "fields(group) and stack(a, b) give that form");
		return poison(c);
	}
	NodeId share = b.value[1] ? as_tensor(c, b.value[1], b.at[1]) : graph_const(c->g, 1, at);
	if (!share) return poison(c);
	Shape w = shape_of(c, share);
	if (b.value[1] && (w.nd != 1 || w.d[0] != s.d[0])) {
		told(c, b.at[1], "M0204", "sum_fields needs a weight for each of %d fields, %s is %s", s.d[0],
		     describe(c, b.value[1]), shape_text(c->a, w));
		return poison(c);
	}
	if (!w.rows)
		share = graph_push(c->g, OP_SPREAD, shape_over(s, shape_1(true, s.d[0])), 1, &share,
				   (Attr){0}, at);
	return tensor_value(c, push_op(c, OP_MIX, 2, (NodeId[]){share, x}, (Attr){0}, at), at);
}

/* [n, F, k] -> [n, F (F - 1) / 2, k]: the products of each two fields, element by element. */
static const Value *call_pairs(Check *c, const CallSite *site)
{
	BOUND("x");
	Span at = site->call->span;
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	if (!x) return poison(c);
	Shape s = shape_of(c, x);
	if (!s.rows || s.nd != 2 || s.d[0] < 2) {
		told(c, at, "M0204", "pairs needs [n, fields, width] of two fields or more, %s is %s",
		     describe(c, b.value[0]), shape_text(c->a, s));
		diag_help(c->d, "fields(group) and stack(a, b) give that form");
		return poison(c);
	}
	int F = s.d[0], k = s.d[1];
	Nodes field = {0}, left = {0}, right = {0};
	for (int i = 0; i < F; i++)
		vec_push(c->a, &field,
			 graph_push(c->g, OP_SLICE, shape_over(s, shape_1(true, k)), 1, &x,
				    (Attr){.i = i * k, .j = k}, at));
	for (int i = 0; i < F; i++)
		for (int j = i + 1; j < F; j++) {
			vec_push(c->a, &left, field.at[i]);
			vec_push(c->a, &right, field.at[j]);
		}
	NodeId a = stacked(c, &left, "pairs", at), y = stacked(c, &right, "pairs", at);
	return tensor_value(c, push_op(c, OP_MUL, 2, (NodeId[]){a, y}, (Attr){0}, at), at);
}

/* [n, F, k] and a number for each pair -> [n, k]: what sum_fields(pairs(x), by: r) is, without the pairs. */
static const Value *call_sum_pairs(Check *c, const CallSite *site)
{
	BOUND("x", "by");
	Span at = site->call->span;
	NodeId x = as_tensor(c, b.value[0], b.at[0]), r = as_tensor(c, b.value[1], b.at[1]);
	if (!x || !r) return poison(c);
	Shape s = shape_of(c, x), w = shape_of(c, r);
	if (!s.rows || s.nd != 2 || s.d[0] < 2) {
		told(c, at, "M0204", "sum_pairs needs [n, fields, width] of two fields or more, %s is %s",
		     describe(c, b.value[0]), shape_text(c->a, s));
		diag_help(c->d, "fields(group) and stack(a, b) give that form");
		return poison(c);
	}
	if (w.rows || w.nd != 1 || w.d[0] != s.d[0] * (s.d[0] - 1) / 2) {
		told(c, b.at[1], "M0204", "sum_pairs needs a weight for each of %d pairs, %s is %s",
		     s.d[0] * (s.d[0] - 1) / 2, describe(c, b.value[1]), shape_text(c->a, w));
		return poison(c);
	}
	NodeId square = push_op(c, OP_TRIANGLE, 1, &r, (Attr){0}, at);
	return tensor_value(c, push_op(c, OP_PAIR_SUM, 2, (NodeId[]){x, square}, (Attr){0}, at), at);
}

static const Value *call_width(Check *c, const CallSite *site)
{
	BOUND("x");
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	if (!x) return poison(c);
	Shape s = shape_of(c, x);
	return number_value(c, s.nd ? s.d[s.nd - 1] : 1, site->call->span);
}

static const Value *call_length(Check *c, const CallSite *site)
{
	BOUND("list");
	if (b.value[0]->kind == V_GROUP)
		return number_value(c, c->s->group.at[b.value[0]->group].feature.n, site->call->span);
	if (b.value[0]->kind == V_LIST || b.value[0]->kind == V_KEYED)
		return number_value(c, b.value[0]->item.n, site->call->span);
	if (b.value[0]->kind == V_SEQ ||
	    (b.value[0]->kind == V_TENSOR && shape_of(c, b.value[0]->node).seq)) {
		int seq =
		    b.value[0]->kind == V_SEQ ? b.value[0]->group + 1 : shape_of(c, b.value[0]->node).seq;
		return tensor_value(c, graph_op(c->g, OP_LENGTH, 0, NULL, (Attr){.i = seq}, site->call->span),
				    site->call->span);
	}
	if (b.value[0]->kind == V_TENSOR && shape_of(c, b.value[0]->node).nd == 2)
		return number_value(c, shape_of(c, b.value[0]->node).d[0], site->call->span);
	told(c, b.at[0], "M0203", "length needs a list, %s is %s", describe(c, b.value[0]),
	     value_kind_word(b.value[0]));
	return poison(c);
}

static const Value *call_range(Check *c, const CallSite *site)
{
	BOUND("from", "?to");
	int64_t from, to;
	if (!want_whole(c, b.value[0], b.at[0], "the end of a range", -1e6, 1e6, &from)) return poison(c);
	if (!b.value[1])
		to = from, from = 0;
	else if (!want_whole(c, b.value[1], b.at[1], "the end of a range", -1e6, 1e6, &to))
		return poison(c);
	if (to - from > 4096) {
		told(c, site->call->span, "M0311", "a range of %d steps would be unrolled; at most 4096 are",
		     (int)(to - from));
		return poison(c);
	}
	Value v = {.kind = V_LIST, .span = site->call->span};
	for (int64_t i = from; i < to; i++)
		vec_push(c->a, &v.item, number_value(c, (double)i, site->call->span));
	return new_value(c, v);
}

/* embed(g), embed(g, set: ctr), embed(g, dim: 1), fields(g), raw(g) */
static const Value *call_embed(Check *c, const CallSite *site)
{
	static const char *const param[] = {"group", "?set", "?dim"};
	const Ast *ast[3];
	const Value *value[3];
	bool raw = !strcmp(site->name, "raw"), fields = !strcmp(site->name, "fields");
	if (!bind_args(c, site, raw ? 1 : 3, param, ast, value)) return poison(c);
	Span at = site->call->span;
	const Value *g = ast[0] ? eval(c, ast[0]) : value[0];
	if (g->kind == V_POISON) return poison(c);
	bool steps = g->kind == V_SEQ && !raw && !fields;
	if (g->kind != V_GROUP && !steps) {
		told(c, ast[0] ? ast[0]->span : at, "M0203", "%s needs a feature group, %s is %s", site->name,
		     describe(c, g), value_kind_word(g));
		return poison(c);
	}
	if (raw) return tensor_value(c, group_raw(c, g->group, at), at);
	Str set = NULL;
	if (ast[1]) {
		/* The name of a set needs no other meaning; a loop's variable stands for its word. */
		const Binding *b = ast[1]->kind == AST_NAME ? scope_find(c->scope, ast[1]->name) : NULL;
		if (b)
			set = key_of(c, b->value);
		else if (ast[1]->kind == AST_NAME)
			set = ast[1]->name;
		else if (ast[1]->kind == AST_STRING)
			set = ast[1]->text;
		else
			told(c, ast[1]->span, "M0318", "set must be a name");
	}
	int64_t dim = 0;
	if (ast[2] && !want_whole(c, eval(c, ast[2]), ast[2]->span, "a width", 1, 4096, &dim))
		return poison(c);
	NodeId n = steps    ? seq_node(c, g->group, set, (int)dim, at)
		   : fields ? group_fields(c, g->group, set, (int)dim, at)
			    : group_node(c, g->group, set, (int)dim, at);
	return tensor_value(c, n, at);
}

static const Value *call_stop(Check *c, const CallSite *site)
{
	BOUND("x");
	Span at = site->call->span;
	if (b.value[0]->kind == V_PROB) {
		Prob *p = arena_new(c->a, Prob, 1);
		*p = (Prob){.kind = PX_STOP, .a = b.value[0]->prob, .span = at};
		return new_value(c, (Value){.kind = V_PROB, .prob = p, .span = at});
	}
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	return x ? tensor_value(c, push_op(c, OP_STOP, 1, &x, (Attr){0}, at), at) : poison(c);
}

/*
 * Of a probability, which of n equal parts of 0 .. 1 it lies in, from 0: how many of the edges k / n it
 * reaches, told on its logit.  It has no gradient.
 */
static const Value *call_bucket(Check *c, const CallSite *site)
{
	BOUND("p", "n");
	Span at = site->call->span;
	int64_t n;
	if (!want_whole(c, b.value[1], b.at[1], "the number of buckets", 2, 1024, &n)) return poison(c);
	if (b.value[0]->kind != V_PROB) {
		told(c, b.at[0], "M0203", "bucket needs a probability, %s is %s", describe(c, b.value[0]),
		     value_kind_word(b.value[0]));
		diag_help(c->d,
			  "bucket(P(click), 20) is 0 below 0.05, 1 from there on, ..., 19 from 0.95 on");
		return poison(c);
	}
	NodeId z = prob_logit(c, b.value[0], b.at[0]);
	if (!z) return poison(c);
	NodeId zero = graph_const(c->g, 0, at), one = graph_const(c->g, 1, at), sum = 0;
	for (int64_t k = 1; k < n; k++) {
		NodeId edge = graph_const(c->g, log((double)k / (double)(n - k)), at);
		NodeId reached = push_op(c, OP_SELLT, 4, (NodeId[]){z, edge, zero, one}, (Attr){0}, at);
		sum = sum ? push_op(c, OP_ADD, 2, (NodeId[]){sum, reached}, (Attr){0}, at) : reached;
	}
	return tensor_value(c, sum, at);
}

/* z in training, `serve` when scoring. */
static const Value *call_train_only(Check *c, const CallSite *site)
{
	BOUND("x", "serve");
	Span at = site->call->span;
	NodeId x = as_tensor(c, b.value[0], b.at[0]), y = as_tensor(c, b.value[1], b.at[1]);
	if (!x || !y) return poison(c);
	Shape s = shape_of(c, x), t = shape_of(c, y);
	if (!shape_eq(s, t)) {
		Shape per_row = t;
		per_row.rows = s.rows;
		bool fits = t.rows <= s.rows && (shape_size(t) == 1 || shape_eq(per_row, s));
		if (!fits) {
			told(c, b.at[1], "M0204", "train_only needs %s to serve, or one number; %s is %s",
			     shape_text(c->a, s), describe(c, b.value[1]), shape_text(c->a, t));
			return poison(c);
		}
		y = shape_size(s) == 1 && t.rows == s.rows
			? graph_push(c->g, OP_RESHAPE, s, 1, &y, (Attr){0}, at)
			: graph_push(c->g, OP_SPREAD, s, 1, &y, (Attr){0}, at);
	}
	return tensor_value(c, push_op(c, OP_TRAINING, 2, (NodeId[]){x, y}, (Attr){.i = 1}, at), at);
}

static const Value *call_leaky(Check *c, const CallSite *site)
{
	BOUND("x", "?slope");
	double slope = 0.01;
	if (b.value[1] && !want_number(c, b.value[1], b.at[1], "the slope", &slope)) return poison(c);
	NodeId x = as_tensor(c, b.value[0], b.at[0]);
	return x ? tensor_value(c, push_op(c, OP_LEAKY, 1, &x, (Attr){.k = slope}, site->call->span),
				site->call->span)
		 : poison(c);
}

static const Value *call_linear(Check *c, const CallSite *site)
{
	BOUND("x");
	return b.value[0];
}

/* ---- ops by their own names ---- */

static double fold_op(OpCode op, double a, double b, bool *ok)
{
	*ok = true;
	switch (op) {
	case OP_EXP: return exp(a);
	case OP_LOG: return log(a);
	case OP_SQRT: return sqrt(a);
	case OP_ABS: return fabs(a);
	case OP_SQUARE: return a * a;
	case OP_MIN: return fmin(a, b);
	case OP_MAX: return fmax(a, b);
	default: *ok = false; return 0;
	}
}

static const Value *call_op(Check *c, OpCode op, const CallSite *site)
{
	static const char *const one[] = {"x"}, *const two[] = {"a", "b"};
	int n = op_table[op]->n_in;
	Bound b;
	if (!bound(c, site, n, n == 1 ? one : two, &b)) return poison(c);
	Span at = site->call->span;
	bool numbers = b.value[0]->kind == V_NUMBER && (n == 1 || b.value[1]->kind == V_NUMBER), known;
	if (numbers) {
		double r = fold_op(op, b.value[0]->number, n == 2 ? b.value[1]->number : 0, &known);
		if (known && isfinite(r)) return number_value(c, r, at);
		if (known) {
			told(c, at, "M0313", "%s of this is not a number", site->name);
			return poison(c);
		}
	}
	if (op == OP_LOG && b.value[0]->kind == V_PROB) {
		NodeId z = prob_logit(c, b.value[0], b.at[0]);
		return z ? tensor_value(c, node1(c->g, OP_LOGSIGMOID, z, at), at) : poison(c);
	}
	NodeId in[2] = {0};
	for (int i = 0; i < n; i++)
		if (!(in[i] = as_tensor(c, b.value[i], b.at[i]))) return poison(c);
	return tensor_value(c, push_op(c, op, n, in, (Attr){0}, at), at);
}

static bool by_name(OpCode op)
{
	const Op *o = op_table[op];
	if (op == OP_NEG || op == OP_STOP || op == OP_LEAKY) return false;
	if (op == OP_MIN) return true;
	return o->group == GROUP_UNARY;
}

typedef const Value *Builtin(Check *c, const CallSite *site);
static const struct {
	const char *name;
	Builtin *call;
} builtin[] = {
    {"dense", call_dense},
    {"matmul", call_matmul},
    {"concat", call_concat},
    {"stack", call_stack},
    {"mix", call_mix},
    {"dropout", call_dropout},
    {"noise", call_noise},
    {"moments", call_moments},
    {"sum", call_sum},
    {"mean", call_sum},
    {"max", call_max},
    {"softmax", call_softmax},
    {"first", call_end},
    {"last", call_end},
    {"split", call_split},
    {"sum_fields", call_sum_fields},
    {"pairs", call_pairs},
    {"sum_pairs", call_sum_pairs},
    {"width", call_width},
    {"length", call_length},
    {"range", call_range},
    {"embed", call_embed},
    {"fields", call_embed},
    {"raw", call_embed},
    {"stop", call_stop},
    {"bucket", call_bucket},
    {"train_only", call_train_only},
    {"leaky_relu", call_leaky},
    {"linear", call_linear},
    {"bce", loss_bce},
    {"joint", loss_joint},
    {"symkl", loss_symkl},
    {"ipw", loss_ipw},
    {"dr", loss_ipw},
    {"label", loss_label},
    {"focal", loss_focal},
    {"ce", loss_ce},
    {"mse", loss_value},
    {"huber", loss_value},
    {"poisson", loss_value},
    {"wlogistic", loss_value},
    {"tweedie", loss_value},
    {"ziln", loss_value},
    {"pairwise", loss_pairwise},
    {"listwise", loss_listwise},
};
enum { N_BUILTIN = sizeof builtin / sizeof *builtin };

int builtin_find(Check *c, Str name)
{
	(void)c;
	for (int i = 0; i < N_BUILTIN; i++)
		if (!strcmp(builtin[i].name, name)) return i;
	for (OpCode op = OP_NONE + 1; op < OP_N; op++)
		if (by_name(op) && !strcmp(op_table[op]->word, name)) return N_BUILTIN + (int)op;
	return -1;
}

const Value *builtin_call(Check *c, int b, const CallSite *site)
{
	return b < N_BUILTIN ? builtin[b].call(c, site) : call_op(c, (OpCode)(b - N_BUILTIN), site);
}

void near_callables(Check *c, Near *n)
{
	for (int i = 0; i < c->layer.n; i++) near_add(n, c->layer.at[i].name);
	for (int i = 0; i < N_BUILTIN; i++) near_add(n, builtin[i].name);
	for (OpCode op = OP_NONE + 1; op < OP_N; op++)
		if (by_name(op)) near_add(n, op_table[op]->word);
}
