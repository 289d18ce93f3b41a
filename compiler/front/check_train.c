/* Settings: train { } and rows { }. */
#include "front/checker.h"
#include <math.h>
#include <string.h>

/* The nearest setting, or all where none is near. */
static void help_setting(Check *c, const Near *n, const char *wanted)
{
	const char *best = wanted ? near_best(n, wanted) : NULL;
	Text t = {0};
	for (int i = 0; i < n->name.n; i++) /* but not what M0090 would answer */
		if (strcmp(n->name.at[i], "balance") && strcmp(n->name.at[i], "freeze"))
			text_printf(&t, "%s%s", i ? ", " : "", n->name.at[i]);
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

typedef struct {
	const char *name;
	int n;
	const char *arg[4];
	Optimizer def;
} OptimizerKind;

static const OptimizerKind optimizer[] = {
    {"sgd", 1, {"lr"}, {OPT_SGD, 0.01, 0, 0, 0}},
    {"adagrad", 2, {"lr", "eps"}, {OPT_ADAGRAD, 0.01, 0, 0, 1e-10}},
    {"adam", 4, {"lr", "beta1", "beta2", "eps"}, {OPT_ADAM, 1e-3, 0.9, 0.999, 1e-8}},
};
enum { N_OPTIMIZER = 3 };

static void set_optimizer(Check *c, const Ast *e, Optimizer *out)
{
	const OptimizerKind *k = NULL;
	Near near = {.arena = c->a};
	bool named = e->kind == AST_CALL || e->kind == AST_NAME;
	for (int i = 0; i < N_OPTIMIZER; i++) {
		near_add(&near, optimizer[i].name);
		if (named && !strcmp(e->name, optimizer[i].name)) k = &optimizer[i];
	}
	if (!k) {
		told(c, e->span, "M0632", "an optimiser is sgd(lr), adagrad(lr) or adam(lr)");
		if (named) help_near(c, &near, e->name);
		return;
	}
	*out = k->def;
	int n = e->kind == AST_CALL ? e->list.n : 0;
	for (int i = 0; i < n; i++) {
		const Ast *arg = e->list.at[i];
		int which = arg->name ? -1 : i < k->n ? i : -1;
		Near names = {.arena = c->a};
		for (int j = 0; j < k->n; j++) {
			near_add(&names, k->arg[j]);
			if (arg->name && !strcmp(arg->name, k->arg[j])) which = j;
		}
		if (which < 0) {
			told(c, arg->span, "M0633", "%s has no setting '%s'", k->name,
			     arg->name ? arg->name : "of that place");
			help_setting(c, &names, arg->name);
			continue;
		}
		double x;
		if (!want_number(c, eval(c, arg->a), arg->a->span, k->arg[which], &x)) continue;
		const char *name = k->arg[which];
		bool beta = *name == 'b';
		if (beta ? x < 0 || x >= 1 : x <= 0) {
			told(c, arg->a->span, "M0633", "%s must %s, not %g", name,
			     beta ? "lie in [0, 1)" : "be above 0", x);
			continue;
		}
		*(!strcmp(name, "lr")	   ? &out->lr
		  : !strcmp(name, "eps")   ? &out->eps
		  : !strcmp(name, "beta1") ? &out->beta1
					   : &out->beta2) = x;
	}
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
	static const char *const setting[] = {"optimizer", "tables", "batch",	"epochs", "shuffle",
					      "stop",	   "seed",   "balance", "freeze"};
	enum { OPTIMIZER, TABLES, BATCH, EPOCHS, SHUFFLE, STOP, SEED, BALANCE, FREEZE, N };
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
		case OPTIMIZER: set_optimizer(c, arg->a, &c->s->dense); break;
		case TABLES: set_optimizer(c, arg->a, &c->s->tables); break;
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
		default: unsupported(c, arg->span, arena_printf(c->a, "'%s'", setting[k])); break;
		}
	}
	if (!seen[TABLES]) c->s->tables = c->s->dense;
}
