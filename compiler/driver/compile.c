/* The whole compiler on one screen. */
#include "driver/compile.h"
#include "driver/digest.h"
#include "front/parse.h"
#include "pass/pass.h"
#include <stdio.h>
#include <string.h>

const char *const compile_stages[] = {
    "ast",	  "graph",     "grad",	    "serve", "watch", "loops", "after:share", "after:autodiff",
    "after:fold", "after:cse", "after:dce", "split", NULL};

typedef struct {
	const char *name;
	void (*run)(Graph *g);
} Pass;

static const Pass passes[] = {{"fold", pass_fold}, {"cse", pass_cse}, {"dce", pass_dce}};

void compilation_init(Compilation *c)
{
	*c = (Compilation){.arena = arena_create()};
	c->str = str_create(c->arena);
	c->sources.arena = c->arena;
	c->diag = diag_create(c->arena, &c->sources);
}

void compilation_free(Compilation *c)
{
	text_free(&c->dump);
	arena_destroy(c->arena);
}

static void verify_graph(const Graph *g, const char *after)
{
	Text faults = {0};
	if (graph_verify(g, &faults)) bug("graph after %s:\n%s", after, faults.at);
	text_free(&faults);
}

/* Prints the graph if this is the stage asked for; true: stop. */
static bool dump_graph(Compilation *c, const CompileRequest *r, const char *stage, const Graph *g)
{
	if (!r->dump || strcmp(r->dump, stage)) return false;
	graph_dump(g, &c->dump);
	return c->dumped = true;
}

static bool run_passes(Compilation *c, const CompileRequest *r, Graph *g, bool dumps)
{
	for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
		passes[i].run(g);
		verify_graph(g, passes[i].name);
		char stage[32];
		snprintf(stage, sizeof stage, "after:%s", passes[i].name);
		if (dumps && dump_graph(c, r, stage, g)) return false;
	}
	return true;
}

int loss_watch(const Spec *s, int loss)
{
	/* Operands come before users: of the probabilities a loss is made of, the last is its own. */
	bool *of = arena_new(s->arena, bool, s->g->node.n);
	of[s->loss.at[loss].row] = true;
	int best = -1;
	for (NodeId id = s->loss.at[loss].row + 1; id-- > 1;)
		for (int i = 0; of[id] && i < s->g->node.at[id].n_in; i++) of[s->g->node.at[id].in[i]] = true;
	for (int k = 0; k < s->watch.n; k++)
		if (of[s->watch.at[k].logit] && (best < 0 || s->watch.at[k].logit > s->watch.at[best].logit))
			best = k;
	return best;
}

/*
 * A task by itself: the other losses are gone, and with them the training of whatever they alone reach.  An
 * early stop by another task's metric becomes one by its own.
 */
static void keep_loss(Spec *s, const char *name)
{
	pass_share(s);
	for (int i = 0; i < s->loss.n; i++)
		if (!strcmp(s->loss.at[i].name, name)) s->loss.at[0] = s->loss.at[i];
	s->loss.n = 1;
	const char *dot = s->stop_metric ? strrchr(s->stop_metric, '.') : NULL;
	int own = loss_watch(s, 0);
	if (!dot || own < 0) return;
	static const char *const usual[] = {".logloss", ".rmse", ".cross_entropy"};
	const Watch *w = &s->watch.at[own];
	for (int k = 0; k < s->watch.n; k++) /* a metric of the same kind stays */
		if (!strncmp(s->watch.at[k].name, s->stop_metric, (size_t)(dot - s->stop_metric)) &&
		    s->watch.at[k].name[dot - s->stop_metric] == '\0' && s->watch.at[k].kind != w->kind)
			dot = usual[w->kind];
	s->stop_metric = str_printf(s->str, "%s%s", w->name, dot);
}

bool compile_front(Compilation *c, const CompileRequest *r)
{
	c->ast = parse_file(c->arena, c->str, &c->sources, c->diag, r->path, r->text, NULL);
	c->prelude = parse_prelude(c->arena, c->str, &c->sources, c->diag);
	if (!c->ast || diag_errors(c->diag)) return false;
	if (r->dump && !strcmp(r->dump, "ast")) {
		ast_dump(c->ast, &c->dump);
		return c->dumped = true;
	}
	c->spec = check(c->arena, c->str, c->diag, c->ast, c->prelude, &r->defines);
	if (!c->spec || diag_errors(c->diag)) return false;
	if (r->only_loss) keep_loss(c->spec, r->only_loss);
	return true;
}

static void absorb(Compilation *c, Graph *g)
{
	pass_absorb(c->spec, g);
	verify_graph(g, "absorb");
}

bool compile_serving(Compilation *c, const CompileRequest *r)
{
	Spec *s = c->spec;
	if (r->ranges) pass_ranges(s);
	pass_share(s);
	verify_graph(s->g, "share");
	if (dump_graph(c, r, "after:share", s->g)) return false;
	pass_reach(s);
	pass_boundary(s);
	pass_gates(s);
	pass_order(s);
	if (r->precision) pass_precision(s, r->precision, r->range);
	c->digest = digest(s);

	c->serve = graph_copy(s->g);
	pass_serve(s, c->serve, false);
	if (!run_passes(c, r, c->serve, false)) return false;
	absorb(c, c->serve);
	if (dump_graph(c, r, "serve", c->serve)) return false;
	/* A library's sums cannot be cut without other bits. */
	if (!r->blas) c->split = pass_split(s, c->serve, &c->request);
	if (c->split) {
		c->item = pass_items(s, c->split);
		verify_graph(c->split, "split");
		if (dump_graph(c, r, "split", c->split)) return false;
	}
	return true;
}

bool compile(Compilation *c, const CompileRequest *r)
{
	if (!compile_front(c, r)) return false;
	if (c->dumped) return true;
	Spec *s = c->spec; /* from here on the model is right; whatever fails now is our own bug */
	verify_graph(s->g, "check");
	if (dump_graph(c, r, "graph", s->g)) return true;
	if (!compile_serving(c, r)) return true;
	if (!r->scorer) {
		c->watch = graph_copy(s->g);
		pass_serve(s, c->watch, true);
		run_passes(c, r, c->watch, false);
		absorb(c, c->watch);
		if (dump_graph(c, r, "watch", c->watch)) return true;
		c->train = graph_copy(s->g);
		precision_none(c->train);
		if (r->hold) pass_hold(s, c->train);
		pass_autodiff(s, c->train);
		verify_graph(c->train, "autodiff");
		if (dump_graph(c, r, "after:autodiff", c->train)) return true;
		if (!run_passes(c, r, c->train, true) || dump_graph(c, r, "grad", c->train)) return true;
	}
	if (c->train) pass_rows(s, c->train);
	pass_records(s, r->scorer);
	for (int i = 0; i < r->n_target; i++) {
		Target *t = arena_new(c->arena, Target, 1);
		*t = *r->target[i];
		t->blas = r->blas;
		t->f64 = r->f64;
		Graphs g = {c->train, c->serve, c->watch, c->split, c->request, c->item};
		Lowered *l = pass_lower(c->arena, s, &g, t);
		Text faults = {0};
		if (mod_verify(l->mod, &faults)) bug("loops of %s:\n%s", r->target[i]->name, faults.at);
		text_free(&faults);
		vec_push(c->arena, &c->lowered, l);
		if (r->dump && !strcmp(r->dump, "loops")) {
			mod_dump(l->mod, &c->dump);
			return c->dumped = true;
		}
	}
	return true;
}
