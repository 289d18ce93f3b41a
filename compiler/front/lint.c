/* What is allowed, and still hardly ever meant. */
#include "front/checker.h"
#include "front/identify.h"
#include <string.h>

/* ---- reach ---- */

/* What of training(a, b) is looked at: a in training, b when serving. */
static void mark(const Graph *g, bool *live, bool training)
{
	for (NodeId id = g->node.n; id-- > 1;) {
		if (!live[id]) continue;
		const Node *n = &g->node.at[id];
		for (int i = 0; i < n->n_in; i++)
			if (n->op != OP_TRAINING || i == !training) live[n->in[i]] = true;
	}
}

static bool *from_outputs(Check *c)
{
	bool *live = arena_new(c->a, bool, c->g->node.n);
	for (int i = 0; i < c->s->output.n; i++) live[c->s->output.at[i].node] = true;
	mark(c->g, live, false);
	return live;
}

static bool *from_losses(Check *c)
{
	bool *live = arena_new(c->a, bool, c->g->node.n);
	for (int i = 0; i < c->s->loss.n; i++) live[c->s->loss.at[i].row] = true;
	mark(c->g, live, true);
	return live;
}

static int feature_of(const Check *c, const Node *n)
{
	if (n->op == OP_REAL || n->op == OP_PRESENT) return n->attr.i;
	return n->op == OP_LOOKUP ? c->s->lookup.at[n->attr.i].feature : -1;
}

/* E4: a training-only input that reaches a serving output is refused. */
static void train_only_inputs(Check *c, const bool *served)
{
	bool *told_of = arena_new(c->a, bool, c->s->feature.n);
	for (NodeId id = 1; id < c->g->node.n; id++) {
		int f = feature_of(c, graph_node(c->g, id));
		if (f < 0 || !served[id] || !c->s->feature.at[f].train_only || told_of[f]) continue;
		told_of[f] = true;
		told(c, c->s->feature.at[f].span, "M0620",
		     "'%s' exists in training only, and an output needs it", c->s->feature.at[f].name);
		for (int i = 0; i < c->s->output.n; i++) {
			bool *live = arena_new(c->a, bool, c->g->node.n);
			live[c->s->output.at[i].node] = true;
			mark(c->g, live, false);
			if (!live[id]) continue;
			diag_note(c->d, c->s->output.at[i].span, "output '%s' is computed from it",
				  c->s->output.at[i].name);
			diag_help(c->d, "train_only(z, serve: 0) is z in training, and 0 when scoring");
			break;
		}
	}
}

/* ---- unused ---- */

static void unused_features(Check *c)
{
	for (int i = 0; i < c->s->group.n; i++) {
		const Group *g = &c->s->group.at[i];
		int used = 0;
		for (int j = 0; j < g->feature.n; j++) used += c->feature_used.at[g->feature.at[j]];
		for (int j = 0; j < c->s->feature.n; j++) {
			const Feature *f = &c->s->feature.at[j];
			if (!f->seq || f->group != i) continue;
			used += c->feature_used.at[j];
			if (!c->feature_used.at[j])
				diag_warn(c->d, f->span, "M0151", "field '%s' is not used", f->name);
		}
		if (!used) {
			diag_warn(c->d, g->span, "M0151", "feature group '%s' is not used", g->name);
			continue;
		}
		for (int j = 0; j < g->feature.n; j++) {
			const Feature *f = &c->s->feature.at[g->feature.at[j]];
			if (!c->feature_used.at[g->feature.at[j]])
				diag_warn(c->d, f->span, "M0151", "feature '%s' is not used", f->name);
		}
	}
}

static void unused_names(Check *c)
{
	for (int i = 0; i < c->named.n; i++) {
		const Binding *b = c->named.at[i];
		if (*b->used || b->value->kind == V_POISON) continue;
		diag_warn(c->d, b->span, "M0251", "%s '%s' %s not used", role_word(b->role), b->name,
			  b->role == ROLE_EXPERTS ? "are" : "is");
	}
	for (int i = 0; i < c->layer.n; i++) {
		const Layer *l = &c->layer.at[i];
		for (int j = 0; !l->prelude && j < i; j++)
			if (c->layer.at[j].prelude && c->layer.at[j].name == l->name)
				diag_warn(
				    c->d, l->ast->name_span, "M0351",
				    "layer '%s' takes the place of the one that comes with the language",
				    l->name);
	}
}

static void untrained_parts(Check *c, const bool *trained, const bool *served)
{
	for (NodeId id = 1; id < c->g->node.n; id++) {
		const Node *n = graph_node(c->g, id);
		if (n->op != OP_PARAM || trained[id] || !served[id]) continue;
		const Param *p = &c->s->param.at[n->attr.i];
		if (p->frozen) continue; /* running: batches teach it */
		diag_warn(c->d, p->span, "M0651", "'%s' is served as it was initialised: no loss reaches it",
			  p->name);
		return; /* the first of a head is enough */
	}
}

/* ---- columns ---- */

static void columns(Check *c)
{
	const Events *e = c->s->events;
	for (int i = 0; i < c->s->feature.n; i++) {
		const Feature *f = &c->s->feature.at[i];
		for (int j = 0; j < c->s->sample.n; j++) {
			if (c->s->sample.at[j].column != f->column) continue;
			diag_warn(c->d, f->span, "M0152",
				  "column \"%s\" is a feature and a label: the model sees the answer",
				  f->column);
			diag_note(c->d, c->s->sample.at[j].span, "the outcome '%s'", c->s->sample.at[j].name);
		}
		for (int j = 0; j < e->column.n; j++) {
			if (e->column.at[j] != f->column) continue;
			diag_warn(c->d, f->span, "M0152",
				  "column \"%s\" is a feature and a label: the model sees the answer",
				  f->column);
			for (int k = 0; k < e->event.n; k++)
				for (int m = 0; m < e->event.at[k].label.n; m++)
					if (e->event.at[k].label.at[m] == j) {
						diag_note(c->d, e->event.at[k].span,
							  "the label of event '%s'", e->event.at[k].name);
						k = e->event.n - 1;
						break;
					}
		}
	}
}

/* ---- events ---- */

static void mention(const Formula *f, const Events *e, bool *seen)
{
	if (!f) return;
	if (f->kind == F_EVENT)
		for (int i = f->event; i >= 0; i = e->event.at[i].parent) seen[i] = true;
	mention(f->a, e, seen);
	mention(f->b, e, seen);
}

static void idle_events(Check *c)
{
	const Events *e = c->s->events;
	bool *seen = arena_new(c->a, bool, e->event.n + 1);
	for (int i = 0; i < c->use.n; i++) {
		mention(c->use.at[i].type.of, e, seen);
		mention(c->use.at[i].type.given, e, seen);
	}
	for (int i = 0; i < c->outcome.n; i++) mention(c->outcome.at[i].given, e, seen);
	for (int i = 0; i < c->labelled.n; i++)
		if (c->labelled.at[i].of) mention(c->labelled.at[i].of, e, seen);
	for (int i = 0; i < e->event.n; i++)
		if (!seen[i])
			diag_warn(c->d, e->event.at[i].span, "M0451",
				  "event '%s' is neither trained nor served", e->event.at[i].name);
	for (int i = 0; i < c->s->sample.n; i++) {
		bool used = false;
		for (int j = 0; j < c->outcome.n; j++) used |= c->outcome.at[j].sample == i;
		for (int j = 0; j < c->labelled.n; j++)
			used |= !c->labelled.at[j].of && c->labelled.at[j].sample == i;
		if (!used)
			diag_warn(c->d, c->s->sample.at[i].span, "M0451",
				  "outcome '%s' is neither trained nor served", c->s->sample.at[i].name);
	}
}

/* E4: pCVR ranked on unclicked impressions is what ESMM is for; trained on clicked rows only it is
 * sample-selection bias. */
static void served_outside(Check *c)
{
	for (int i = 0; i < c->use.n; i++) {
		const ProbUse *out = &c->use.at[i];
		if (out->trained || out->n_joint || out->type.given->kind == F_TRUE) continue;
		const ProbUse *masked = NULL;
		bool entire = false;
		for (int j = 0; j < c->use.n; j++) {
			const ProbUse *t = &c->use.at[j];
			if (!t->trained || t->n_joint) continue;
			const Formula *all[] = {out->type.of, out->type.given, t->type.of, t->type.given};
			Cells *cells = cells_new(c->s->events, 4, all);
			if (!cells) continue;
			const Formula *both =
			    formula_and(c->s->events, out->type.of, out->type.given, out->at);
			if (t->masked && t->type.estimate == out->type.estimate &&
			    cells_equal(cells, t->type.of, out->type.of) &&
			    cells_equal(cells, t->type.given, out->type.given))
				masked = t;
			if (!t->masked && cells_subset(cells, t->type.of, both)) entire = true;
		}
		if (!masked || entire) continue;
		Text p = {0}, g = {0};
		prob_text(c->s->events, out->type.estimate, out->type.of, out->type.given, &p);
		formula_text(c->s->events, out->type.given, &g);
		diag_warn(c->d, out->at, "M0652",
			  "%s is served for all rows, and learnt only from those with %s", p.at, g.at);
		diag_note(c->d, masked->at, "this loss sees the rows with %s", g.at);
		Text of = {0};
		formula_text(c->s->events, out->type.of, &of);
		diag_help(c->d, "a loss on P(%s), over all rows, teaches it there too", of.at);
		text_free(&p);
		text_free(&g);
		text_free(&of);
	}
}

static void small_batches(Check *c)
{
	if (c->s->batch > 128) return;
	for (int i = 0; i < c->use.n; i++) {
		const ProbUse *t = &c->use.at[i];
		if (!t->trained || !t->masked || t->of_joint) continue;
		Text g = {0};
		formula_text(c->s->events, t->type.given, &g);
		diag_warn(c->d, t->at, "M0653",
			  "a batch of %d rows may hold none with %s; this loss is then 0 and teaches nothing",
			  c->s->batch, g.at);
		text_free(&g);
	}
}

/* ---- initial values, losses ---- */

/* Experts that begin equal receive equal gradients up to the gate and never part. */
static void equal_experts(Check *c)
{
	for (int i = 0; i < c->naming.n; i++) {
		const Naming *n = c->naming.at[i];
		size_t len = strlen(n->prefix);
		if (!n->expert || len < 2 || strcmp(n->prefix + len - 2, ".0")) continue;
		bool any = false, random = false;
		const Param *first = NULL;
		for (int j = 0; j < c->s->param.n; j++) {
			const Param *p = &c->s->param.at[j];
			if (strncmp(p->name, n->prefix, len) || p->name[len] != '.') continue;
			if (!any) first = p;
			any = true;
			random |= p->init.kind == INIT_NORMAL || p->init.kind == INIT_UNIFORM;
		}
		if (!any || random) continue;
		diag_warn(c->d, first->span, "M0252",
			  "all experts begin with the same values, so they will stay alike");
		diag_help(c->d, "normal(0, 0.01), uniform(a, b) and glorot() begin at random");
	}
}

/* (sigmoid(z) - y)^2 has no gradient where it is most wrong. */
static void squared_probabilities(Check *c, const bool *trained)
{
	for (NodeId id = 1; id < c->g->node.n; id++) {
		const Node *n = graph_node(c->g, id);
		if (!trained[id] || n->op != OP_SQUARE) continue;
		const Node *x = graph_node(c->g, n->in[0]);
		bool prob = x->op == OP_SIGMOID;
		for (int i = 0; x->op == OP_SUB && i < 2; i++)
			prob |= graph_node(c->g, x->in[i])->op == OP_SIGMOID;
		if (!prob) continue;
		diag_warn(c->d, n->span, "M0654",
			  "squared error on a probability hardly moves where it is surely wrong");
		diag_help(c->d, "bce(P(...)) is the likelihood of what was observed");
	}
}

/* A position tower explains why something was seen; what happens after a click is no matter of position. */
static void training_terms(Check *c)
{
	const Events *e = c->s->events;
	for (int i = 0; i < e->head.n; i++) {
		const Head *h = &e->head.at[i];
		if (h->given->kind == F_TRUE) continue;
		bool *live = arena_new(c->a, bool, c->g->node.n);
		live[h->logit] = true;
		mark(c->g, live, true);
		for (NodeId id = 1; id < c->g->node.n; id++) {
			const Node *n = graph_node(c->g, id);
			if (!live[id] || n->op != OP_TRAINING || !n->attr.i) continue;
			Text p = {0};
			prob_text(e, h->estimate, h->of, h->given, &p);
			diag_warn(c->d, h->span, "M0655",
				  "%s has a term that exists in training only, and is about rows "
				  "that were seen already",
				  p.at);
			diag_note(c->d, n->span, "this term");
			text_free(&p);
			break;
		}
	}
}

static void stop_metric(Check *c)
{
	const char *m = c->s->stop_metric;
	if (!m) return;
	const char *dot = strrchr(m, '.');
	static const struct {
		const char *word;
		WatchKind of;
	} metric[] = {{"auc", WATCH_PROB},     {"gauc", WATCH_PROB},	  {"ndcg", WATCH_PROB},
		      {"logloss", WATCH_PROB}, {"ne", WATCH_PROB},	  {"rmse", WATCH_VALUE},
		      {"mae", WATCH_VALUE},    {"accuracy", WATCH_CLASS}, {"cross_entropy", WATCH_CLASS}};
	static const char *const kind[] = {"a probability, measured by auc, gauc, ndcg, logloss and ne",
					   "a value, measured by rmse and mae",
					   "a class, measured by accuracy and cross_entropy"};
	WatchKind of = WATCH_PROB;
	Near near = {.arena = c->a};
	bool known = false;
	for (size_t i = 0; i < sizeof metric / sizeof *metric; i++) {
		bool is = dot && !strcmp(dot + 1, metric[i].word);
		if (is) of = metric[i].of;
		known |= is;
		near_add(&near, metric[i].word);
	}
	if (!known) {
		told(c, c->stop_at, "M0634",
		     "training can be stopped by auc, gauc, ndcg, logloss or ne, of a value by rmse or mae, "
		     "of a "
		     "class by "
		     "accuracy or cross_entropy, not by '%s'",
		     dot ? dot + 1 : m);
		help_near(c, &near, dot ? dot + 1 : m);
		return;
	}
	if ((!strcmp(dot + 1, "gauc") || !strcmp(dot + 1, "ndcg")) && !c->s->group_column) {
		told(c, c->stop_at, "M0634", "%s is measured within groups of rows, and the model names none",
		     dot + 1);
		diag_help(c->d, "rows { group: COLUMN }");
		return;
	}
	Str name = str_internn(c->str, m, (size_t)(dot - m));
	Near names = {.arena = c->a};
	for (int i = 0; i < c->s->watch.n; i++) {
		if (c->s->watch.at[i].name == name) {
			if (c->s->watch.at[i].kind != of)
				told(c, c->stop_at, "M0634", "'%s' is %s", name,
				     kind[c->s->watch.at[i].kind]);
			return;
		}
		near_add(&names, c->s->watch.at[i].name);
	}
	told(c, c->stop_at, "M0634", "nothing called '%s' is measured", name);
	help_near(c, &names, name);
}

/* E5 */
static void identifiable(Check *c)
{
	Trained *t = arena_new(c->a, Trained, c->use.n + 1);
	int n = 0;
	for (int i = 0; i < c->use.n; i++) {
		const ProbUse *u = &c->use.at[i];
		if (u->trained && !u->of_joint)
			t[n++] = (Trained){.prob = u->type.derived, .n_joint = u->n_joint, .joint = u->joint};
	}
	identify_check(c->s->events, n, t, c->d);
}

void lint(Check *c)
{
	bool *served = from_outputs(c), *trained = from_losses(c);
	train_only_inputs(c, served);
	stop_metric(c);
	unused_features(c);
	unused_names(c);
	columns(c);
	idle_events(c);
	int before = diag_warnings(c->d);
	identifiable(c);
	if (diag_warnings(c->d) == before) untrained_parts(c, trained, served); /* else the head was named */
	served_outside(c);
	small_batches(c);
	equal_experts(c);
	training_terms(c);
	lint_late(c);
	squared_probabilities(c, trained);
	lint_losses(c, trained);
	lint_ranked(c);
}
