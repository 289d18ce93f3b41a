/* Settings: train { } and rows { }. */
#include "front/checker.h"
#include <math.h>
#include <string.h>

/* The nearest setting, or all where none is near. */
static void help_setting(Check *c, const Near *n, const char *wanted)
{
	const char *best = wanted ? near_best(n, wanted) : NULL;
	Text t = {0};
	for (int i = 0; i < n->name.n; i++) text_printf(&t, "%s%s", i ? ", " : "", n->name.at[i]);
	if (best)
		diag_help(c->d, "did you mean '%s'?", best);
	else
		diag_help(c->d, "the settings are %s", t.at);
	text_free(&t);
}

static Str column_of(Check *c, const Ast *arg)
{
	if (arg->a->kind == AST_NAME) return arg->a->name;
	if (arg->a->kind == AST_STRING && *arg->a->text) return arg->a->text;
	told(c, arg->a->span, "M0631", "'%s' needs the name of a column", arg->name);
	return NULL;
}

void check_rows(Check *c)
{
	if (!c->rows) return;
	static const char *const setting[] = {"weight", "group", "on_contradiction"};
	static const char *const policy[] = {"fail", "drop", "zero", "force"};
	const Ast *seen[3] = {0};
	for (int i = 0; i < c->rows->list.n; i++) {
		const Ast *arg = c->rows->list.at[i];
		Near near = {.arena = c->a};
		int k = -1;
		for (int j = 0; j < 3; j++) {
			near_add(&near, setting[j]);
			if (arg->name && !strcmp(arg->name, setting[j])) k = j;
		}
		if (k < 0) {
			told(c, arg->span, "M0630", "rows has no setting '%s'", arg->name ? arg->name : "");
			help_setting(c, &near, arg->name);
			continue;
		}
		if (seen[k]) {
			told(c, arg->span, "M0630", "'%s' is set twice", arg->name);
			diag_note(c->d, seen[k]->span, "the first time here");
			continue;
		}
		seen[k] = arg;
		if (k == 0) c->s->weight_column = column_of(c, arg);
		if (k == 1) c->s->group_column = column_of(c, arg);
		if (k != 2) continue;
		int p = -1;
		Near near_policy = {.arena = c->a};
		for (int j = 0; j < 4; j++) {
			near_add(&near_policy, policy[j]);
			if (arg->a->kind == AST_NAME && !strcmp(arg->a->name, policy[j])) p = j;
		}
		if (p < 0) {
			told(c, arg->a->span, "M0631", "on_contradiction is fail, drop, zero or force");
			if (arg->a->kind == AST_NAME) help_near(c, &near_policy, arg->a->name);
		} else {
			c->s->contradiction = (Contradiction)p;
		}
	}
}

/* ---- optimisers ---- */

enum { MOST_ARGS = 6 };

typedef struct {
	const char *name;
	const char *arg[MOST_ARGS]; /* in their order */
	Optimizer def;
} OptimizerKind;

static const OptimizerKind optimizer[] = {
    {"sgd", {"lr", "l1", "l2"}, {.kind = OPT_SGD, .lr = 0.01}},
    {"momentum", {"lr", "beta", "l1", "l2"}, {.kind = OPT_MOMENTUM, .lr = 0.01, .beta1 = 0.9}},
    {"nesterov", {"lr", "beta", "l1", "l2"}, {.kind = OPT_NESTEROV, .lr = 0.01, .beta1 = 0.9}},
    {"adagrad", {"lr", "eps", "l1", "l2"}, {.kind = OPT_ADAGRAD, .lr = 0.01, .eps = 1e-10}},
    {"row_adagrad", {"lr", "eps", "l1", "l2"}, {.kind = OPT_ROW_ADAGRAD, .lr = 0.01, .eps = 1e-10}},
    {"adam",
     {"lr", "beta1", "beta2", "eps", "l1", "l2"},
     {.kind = OPT_ADAM, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}},
    {"adamw",
     {"lr", "beta1", "beta2", "eps", "decay"},
     {.kind = OPT_ADAM, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01}},
    {"ftrl", {"lr", "beta", "l1", "l2"}, {.kind = OPT_FTRL, .lr = 0.05, .beta1 = 1}},
};
enum { N_OPTIMIZER = sizeof optimizer / sizeof *optimizer };

/* What a number must be: NULL if it is. */
static const char *out_of_range(const char *name, OptKind kind, double x)
{
	if (!strcmp(name, "l1") || !strcmp(name, "l2") || !strcmp(name, "decay"))
		return x < 0 ? "be 0 or more" : NULL;
	if (*name == 'b' && kind != OPT_FTRL) return x < 0 || x >= 1 ? "lie in [0, 1)" : NULL;
	return x <= 0 ? "be above 0" : NULL;
}

static double *number_of(Optimizer *o, const char *name)
{
	return !strcmp(name, "lr")	? &o->lr
	       : !strcmp(name, "eps")	? &o->eps
	       : !strcmp(name, "l1")	? &o->l1
	       : !strcmp(name, "l2")	? &o->l2
	       : !strcmp(name, "decay") ? &o->decay
	       : !strcmp(name, "beta2") ? &o->beta2
					: &o->beta1;
}

/* The place of an argument in a list of names that ends with NULL, or -1: told. */
static int place_of(Check *c, const Ast *arg, int i, const char *of, const char *const *name, int most,
		    const char *code)
{
	Near names = {.arena = c->a};
	int n = 0, which = -1;
	for (; n < most && name[n]; n++) {
		near_add(&names, name[n]);
		if (arg->name && !strcmp(arg->name, name[n])) which = n;
	}
	if (!arg->name && i < n) which = i;
	if (which >= 0) return which;
	told(c, arg->span, code, "%s has no setting '%s'", of, arg->name ? arg->name : "of that place");
	if (n) help_setting(c, &names, arg->name);
	return -1;
}

static void set_optimizer(Check *c, const Ast *e, Optimizer *out, bool tables)
{
	const OptimizerKind *k = NULL;
	Near near = {.arena = c->a};
	bool named = e->kind == AST_CALL || e->kind == AST_NAME;
	for (int i = 0; i < N_OPTIMIZER; i++) {
		near_add(&near, optimizer[i].name);
		if (named && !strcmp(e->name, optimizer[i].name)) k = &optimizer[i];
	}
	if (!k) {
		told(c, e->span, "M0632",
		     "an optimiser is sgd(lr), momentum(lr), nesterov(lr), adagrad(lr), row_adagrad(lr), "
		     "adam(lr), "
		     "adamw(lr) or ftrl(lr)");
		if (named) help_near(c, &near, e->name);
		return;
	}
	if (k->def.kind == OPT_ROW_ADAGRAD && !tables) {
		told(c, e->span, "M0632", "row_adagrad has one moment for a table's row: it is for tables");
		diag_help(c->d, "tables: row_adagrad(...), and adagrad or another for the rest");
		return;
	}
	*out = k->def;
	int n = e->kind == AST_CALL ? e->list.n : 0;
	for (int i = 0; i < n; i++) {
		const Ast *arg = e->list.at[i];
		int which = place_of(c, arg, i, k->name, k->arg, MOST_ARGS, "M0633");
		if (which < 0) continue;
		double x;
		const char *name = k->arg[which];
		if (!want_number(c, eval(c, arg->a), arg->a->span, name, &x)) continue;
		const char *must = out_of_range(name, k->def.kind, x);
		if (must)
			told(c, arg->a->span, "M0633", "%s must %s, not %g", name, must, x);
		else
			*number_of(out, name) = x;
	}
}

/* ---- schedules ---- */

static const struct {
	const char *name, *arg[4];
} schedule[] = {
    [SCHEDULE_CONSTANT] = {"constant", {"warmup"}},
    [SCHEDULE_LINEAR] = {"linear", {"warmup", "steps", "floor"}},
    [SCHEDULE_COSINE] = {"cosine", {"warmup", "steps", "floor"}},
    [SCHEDULE_STEP] = {"step", {"every", "by", "warmup"}},
};
enum { N_SCHEDULE = sizeof schedule / sizeof *schedule };

static void set_schedule(Check *c, const Ast *e)
{
	Near near = {.arena = c->a};
	bool named = e->kind == AST_CALL || e->kind == AST_NAME;
	int kind = -1;
	for (int i = 0; i < N_SCHEDULE; i++) {
		near_add(&near, schedule[i].name);
		if (named && !strcmp(e->name, schedule[i].name)) kind = i;
	}
	if (kind < 0) {
		told(c, e->span, "M0635",
		     "a schedule is constant(warmup), linear(...), cosine(...) or step(every, by)");
		if (named) help_near(c, &near, e->name);
		return;
	}
	Schedule k = {.kind = (ScheduleKind)kind, .by = 0.5};
	int n = e->kind == AST_CALL ? e->list.n : 0;
	bool ok = true;
	for (int i = 0; i < n; i++) {
		const Ast *arg = e->list.at[i];
		Span at = arg->a->span;
		int which = place_of(c, arg, i, schedule[kind].name, schedule[kind].arg, 4, "M0635");
		if (which < 0) return;
		const char *name = schedule[kind].arg[which];
		if (*name == 'f' || *name == 'b') {
			double x;
			ok &= want_number(c, eval(c, arg->a), at, name, &x);
			if (ok && (x < 0 || x > 1 || (*name == 'b' && x == 0))) {
				told(c, at, "M0635", "%s must lie in %s, not %g", name,
				     *name == 'f' ? "[0, 1]" : "(0, 1]", x);
				return;
			}
			if (ok) *(*name == 'f' ? &k.floor : &k.by) = x;
			continue;
		}
		int64_t *to = *name == 'w' ? &k.warmup : *name == 's' ? &k.steps : &k.every;
		ok &= want_whole(c, eval(c, arg->a), at, arena_printf(c->a, "%s, a number of steps,", name),
				 *name == 'w' ? 0 : 1, INT64_C(1) << 50, to);
	}
	if (!ok) return;
	if (kind == SCHEDULE_STEP && !k.every)
		told(c, e->span, "M0635", "after how many steps? step(every: 10_000, by: 0.5)");
	else if (k.steps && k.warmup >= k.steps)
		told(c, e->span, "M0635", "the warm-up takes all %lld steps", (long long)k.steps);
	else
		c->s->schedule = k;
}

static void set_clip(Check *c, const Ast *e)
{
	double x;
	if (!want_number(c, eval(c, e), e->span, "clip", &x)) return;
	if (x <= 0)
		told(c, e->span, "M0636", "clip is the largest norm of the gradient, and above 0: not %g", x);
	else
		c->s->clip = x;
}

/* "P(buy | click).auc" is called "buy|click.auc", as in the table of metrics. */
static Str metric_name(Check *c, Str text)
{
	const char *dot = strrchr(text, '.');
	size_t n = dot ? (size_t)(dot - text) : 0;
	bool wrapped = n > 3 && (*text == 'P' || *text == 'E') && text[1] == '(' && text[n - 1] == ')';
	Text t = {0};
	for (size_t i = 0; text[i]; i++)
		if (text[i] != ' ' && !(wrapped && (i < 2 || i == n - 1))) text_char(&t, text[i]);
	Str name = str_intern(c->str, t.at ? t.at : "");
	text_free(&t);
	return name;
}

/* early(buy.auc, 2) */
static void set_stop(Check *c, const Ast *e)
{
	if (e->kind != AST_CALL || strcmp(e->name, "early") || e->list.n < 1 || e->list.n > 2) {
		told(c, e->span, "M0634", "stop is early(METRIC, PATIENCE): early(buy.auc, 2)");
		return;
	}
	const Ast *m = e->list.at[0]->a;
	c->stop_at = m->span;
	if (m->kind == AST_FIELD && m->a->kind == AST_NAME) {
		c->s->stop_metric = str_printf(c->str, "%s.%s", m->a->name, m->name);
	} else if (m->kind == AST_FIELD &&
		   (m->a->kind == AST_EXPECT || (m->a->kind == AST_PROB && sample_named(c, m->a->a) >= 0))) {
		Str name = outcome_metric(c, m->a);
		if (name) c->s->stop_metric = str_printf(c->str, "%s.%s", name, m->name);
	} else if (m->kind == AST_FIELD && m->a->kind == AST_PROB) {
		const Formula *of, *given;
		if (prob_parts(c, m->a, &of, &given))
			c->s->stop_metric = str_printf(
			    c->str, "%s.%s", prob_name(c->s->events, m->a->text, of, given), m->name);
	} else if (m->kind == AST_STRING) {
		c->s->stop_metric = metric_name(c, m->text);
	} else {
		told(c, m->span, "M0634", "a metric is named event.metric: buy.auc, P(buy | click).logloss");
	}
	c->s->stop_patience = 1;
	int64_t n;
	if (e->list.n == 2 &&
	    want_whole(c, eval(c, e->list.at[1]->a), e->list.at[1]->span, "the patience", 1, 1e6, &n))
		c->s->stop_patience = (int)n;
}

void check_train(Check *c)
{
	static const char *const setting[] = {"optimizer", "tables", "batch",	 "epochs", "shuffle",
					      "stop",	   "seed",   "schedule", "clip",   "balance"};
	enum { OPTIMIZER, TABLES, BATCH, EPOCHS, SHUFFLE, STOP, SEED, SCHEDULE, CLIP, BALANCE, N };
	const Ast *seen[N] = {0};
	c->scope = c->consts;
	for (int i = 0; c->train && i < c->train->list.n; i++) {
		const Ast *arg = c->train->list.at[i];
		Near near = {.arena = c->a};
		int k = -1;
		for (int j = 0; j < N; j++) {
			near_add(&near, setting[j]);
			if (arg->name && !strcmp(arg->name, setting[j])) k = j;
		}
		if (k < 0) {
			told(c, arg->span, "M0630", "train has no setting '%s'", arg->name ? arg->name : "");
			help_setting(c, &near, arg->name);
			continue;
		}
		if (seen[k]) {
			told(c, arg->span, "M0630", "'%s' is set twice", arg->name);
			diag_note(c->d, seen[k]->span, "the first time here");
			continue;
		}
		seen[k] = arg;
		Span at = arg->a->span;
		int64_t n;
		switch (k) {
		case OPTIMIZER: set_optimizer(c, arg->a, &c->s->dense, false); break;
		case TABLES: set_optimizer(c, arg->a, &c->s->tables, true); break;
		case SCHEDULE: set_schedule(c, arg->a); break;
		case CLIP: set_clip(c, arg->a); break;
		case BATCH:
			if (want_whole(c, eval(c, arg->a), at, "batch", 1, 1 << 24, &n)) c->s->batch = (int)n;
			break;
		case EPOCHS:
			if (want_whole(c, eval(c, arg->a), at, "epochs", 1, 1e6, &n)) c->s->epochs = (int)n;
			break;
		case SHUFFLE:
			if (want_whole(c, eval(c, arg->a), at, "shuffle", 0, 1e9, &n)) c->s->shuffle = n;
			break;
		case SEED:
			if (want_whole(c, eval(c, arg->a), at, "seed", 0, 9e15, &n)) c->s->seed = (uint64_t)n;
			break;
		case STOP: set_stop(c, arg->a); break;
		case BALANCE: check_balance(c, arg->a); break;
		}
	}
	if (!seen[TABLES]) c->s->tables = c->s->dense;
}
