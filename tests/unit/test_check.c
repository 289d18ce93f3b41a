/*
 * The checker: wrong models get just the messages they announce; the examples and the models of the language
 * reference are right; and what a checked model holds.
 */
#include "front/check.h"
#include "front/parse.h"
#include "suite.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	Arena *arena;
	StrTab *str;
	Sources sources;
	Diag *diag;
	Spec *spec;
	Text said;
} Run;

/* text NULL: the file itself. */
static Run run(const char *path, const char *text, const char *name, const char *value)
{
	Run r = {.arena = arena_create()};
	r.str = str_create(r.arena);
	r.sources.arena = r.arena;
	r.diag = diag_create(r.arena, &r.sources);
	Ast *prelude = parse_prelude(r.arena, r.str, &r.sources, r.diag);
	Ast *file = parse_file(r.arena, r.str, &r.sources, r.diag, path, text, NULL);
	Define define = {name, value};
	Defines defines = {name ? 1 : 0, &define};
	if (file && !diag_errors(r.diag)) r.spec = check(r.arena, r.str, r.diag, file, prelude, &defines);
	diag_print(r.diag, &r.said, false);
	if (!r.said.at) text_add(&r.said, "");
	return r;
}

static void done(Run *r)
{
	text_free(&r->said);
	arena_destroy(r->arena);
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) return NULL;
	Text t = {0};
	char buf[4096];
	for (size_t n; (n = fread(buf, 1, sizeof buf, f)) > 0;) text_addn(&t, buf, n);
	fclose(f);
	if (!t.at) text_add(&t, "");
	return t.at;
}

/* ---- tests/errors: `# error: CODE words` on the guilty line, or alone on the line above ---- */

enum { MOST = 32 };
typedef struct {
	int line;
	char kind, code[8], words[160]; /* kind: 'e' or 'w' */
} Said;

static int expected(const char *text, Said *out)
{
	int n = 0, line = 1;
	for (const char *p = text; *p; line++) {
		size_t len = strcspn(p, "\n");
		char copy[512];
		snprintf(copy, sizeof copy, "%.*s", (int)len, p);
		char *e = strstr(copy, "# error: "), *w = strstr(copy, "# warning: "), *at = e ? e : w;
		if (at && n < MOST) {
			Said *s = &out[n++];
			bool alone = strspn(copy, " \t") == (size_t)(at - copy);
			*s = (Said){.line = line + alone, .kind = e ? 'e' : 'w'};
			sscanf(at + (e ? 9 : 11), "%7s %159[^\n]", s->code, s->words);
		}
		p += len + (p[len] == '\n');
	}
	return n;
}

static int found(const char *printed, Said *out)
{
	int n = 0;
	for (const char *p = printed; *p;) {
		size_t len = strcspn(p, "\n");
		char copy[1024];
		snprintf(copy, sizeof copy, "%.*s", (int)len, p);
		char *e = strstr(copy, ": error["), *w = strstr(copy, ": warning["), *at = e ? e : w;
		if (at && copy[0] != ' ' && n < MOST) {
			Said *s = &out[n++];
			*s = (Said){.kind = e ? 'e' : 'w'};
			sscanf(at + (e ? 8 : 10), "%7[^]]", s->code);
			snprintf(s->words, sizeof s->words, "%.150s", strchr(at, ']') + 1);
			*at = '\0';
			char *column = strrchr(copy, ':');
			*column = '\0';
			s->line = atoi(strrchr(copy, ':') + 1);
		}
		p += len + (p[len] == '\n');
	}
	return n;
}

static bool same(const Said *want, const Said *got)
{
	return want->line == got->line && want->kind == got->kind && !strcmp(want->code, got->code) &&
	       strstr(got->words, want->words);
}

static bool contains(int n, const Said *list, const Said *one, bool one_is_wanted)
{
	for (int i = 0; i < n; i++)
		if (one_is_wanted ? same(one, &list[i]) : same(&list[i], one)) return true;
	return false;
}

static void wrong_models(void)
{
	const char *folder = MTL_SOURCE_DIR "/tests/errors";
	DIR *d = opendir(folder);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	int files = 0;
	for (struct dirent *e; (e = readdir(d));) {
		size_t len = strlen(e->d_name);
		if (len < 5 || strcmp(e->d_name + len - 4, ".mtl")) continue;
		files++;
		char path[1024];
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		char *text = read_file(path);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		Said want[MOST], got[MOST];
		Run r = run(path, NULL, NULL, NULL);
		int n_want = expected(text, want), n_got = found(r.said.at, got);
		bool good = n_want > 0, warns = false, errors = false;
		for (int i = 0; i < n_want; i++) {
			good &= contains(n_got, got, &want[i], true);
			warns |= want[i].kind == 'w';
			errors |= want[i].kind == 'e';
		}
		/* No message that was not announced; warnings beside announced errors are not looked at. */
		for (int i = 0; i < n_got; i++)
			if (got[i].kind == 'e' || warns) good &= contains(n_want, want, &got[i], false);
		good &= errors == !r.spec;
		if (!good) printf("\n%s:\n%s", e->d_name, r.said.at);
		CU_ASSERT(good);
		free(text);
		done(&r);
	}
	closedir(d);
	CU_ASSERT(files >= 30);
}

/* ---- right models ---- */

static void examples(void)
{
	static const char *const name[] = {"esmm",	    "esmm_ns",	  "cvr",  "esm2",
					   "shared_bottom", "omoe",	  "mmoe", "esmm_kuairand",
					   "mmoe_kuairand", "watch_time", "zhihu"};
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		char path[1024];
		snprintf(path, sizeof path, "%s/examples/%s/%s.mtl", MTL_SOURCE_DIR, name[i], name[i]);
		Run r = run(path, NULL, NULL, NULL);
		if (!r.spec) printf("\n%s", r.said.at);
		CU_ASSERT_PTR_NOT_NULL(r.spec);
		if (r.spec) {
			Text faults = {0};
			CU_ASSERT_EQUAL(graph_verify(r.spec->g, &faults), 0);
			text_free(&faults);
			/* What is said of each: cvr is the model with the bias, esm2 cannot tell y3 from y4.
			 */
			CU_ASSERT_EQUAL(strstr(r.said.at, "M0652") != NULL, !strcmp(name[i], "cvr"));
			CU_ASSERT_EQUAL(strstr(r.said.at, "M0502") != NULL, !strcmp(name[i], "esm2"));
			CU_ASSERT_EQUAL(diag_warnings(r.diag),
					!strcmp(name[i], "cvr") || !strcmp(name[i], "esm2"));
		}
		done(&r);
	}
}

static void reference(void)
{
	char *text = read_file(MTL_SOURCE_DIR "/docs/language.md");
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	int models = 0;
	for (char *p = text; (p = strstr(p, "```mtl\n"));) {
		p += strlen("```mtl\n");
		char *end = strstr(p, "\n```");
		CU_ASSERT_PTR_NOT_NULL_FATAL(end);
		*end = '\0';
		if (!strncmp(p, "model ", 6)) {
			models++;
			Run r = run("docs/language.md", p, NULL, NULL);
			if (!r.spec) printf("\n%s", r.said.at);
			CU_ASSERT_PTR_NOT_NULL(r.spec);
			done(&r);
		}
		p = end + 1;
	}
	CU_ASSERT(models >= 5);
	free(text);
}

/* Every code the checker can say is explained. */
static void codes(void)
{
	static const char *const file[] = {"check.c",	   "check_features.c", "check_events.c",
					   "check_expr.c", "check_net.c",      "check_calls.c",
					   "check_loss.c", "check_train.c",    "eval_const.c",
					   "lint.c",	   "lint_loss.c"};
	char *doc = read_file(MTL_SOURCE_DIR "/docs/codes-check.md");
	char *events = read_file(MTL_SOURCE_DIR "/docs/codes-events.md"); /* M0420 is asked after, too */
	CU_ASSERT_FATAL(doc && events);
	int n = 0;
	for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
		char path[1024], heading[16];
		snprintf(path, sizeof path, "%s/compiler/front/%s", MTL_SOURCE_DIR, file[i]);
		char *text = read_file(path);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		for (const char *p = text; (p = strstr(p, "\"M0")); p++) {
			snprintf(heading, sizeof heading, "## %.5s ", p + 1);
			bool explained = strstr(doc, heading) || strstr(events, heading);
			if (!explained) printf("\nnot explained: %s\n", heading);
			CU_ASSERT(explained);
			n++;
		}
		free(text);
	}
	CU_ASSERT(n > 80);
	free(doc);
	free(events);
}

/* ---- what a checked model holds ---- */

static const char base[] =
    "model m\n"
    "features user per request { user_id : id(hash: 100)  age : real(missing: learned) }\n"
    "features item per candidate { tags : ids(vocab: [\"a\", \"b\"], embed: 3)  liked : ids(share: tags) }\n"
    "embed 4\n"
    "const units = [5, 2]\n"
    "event click label clk\n"
    "event buy of click\n"
    "shared x = concat(user, item)\n"
    "tower a = x -> mlp(units) -> dense(1)\n"
    "tower b = x -> dense(1)\n"
    "P(click) = sigmoid(a)\n"
    "P(buy | click) = sigmoid(b)\n"
    "loss click: bce(P(click))\n";

static Run with(const char *more, const char *name, const char *value)
{
	char text[4096];
	snprintf(text, sizeof text, "%s%s", base, more);
	Run r = run("m.mtl", text, name, value);
	if (!r.spec) printf("\n%s", r.said.at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.spec);
	return r;
}

static void parameters(void)
{
	Run r = with("loss buy: bce(P(buy))\n", NULL, NULL);
	const Spec *s = r.spec;
	/* x: user_id 4 + age 1 + tags 3 + liked 3 = 11 */
	static const struct {
		const char *name;
		int nd, d0, d1;
	} want[] = {
	    {"embed.age.missing", 0, 0, 0}, {"tower.a.0.weight", 2, 11, 5}, {"tower.a.0.bias", 1, 5, 0},
	    {"tower.a.1.weight", 2, 5, 2},  {"tower.a.1.bias", 1, 2, 0},    {"tower.a.2.weight", 2, 2, 1},
	    {"tower.a.2.bias", 1, 1, 0},    {"tower.b.0.weight", 2, 11, 1}, {"tower.b.0.bias", 1, 1, 0}};
	CU_ASSERT_EQUAL_FATAL(s->param.n, 9);
	for (int i = 0; i < 9; i++) {
		const Param *p = &s->param.at[i];
		CU_ASSERT_STRING_EQUAL(p->name, want[i].name);
		CU_ASSERT_EQUAL(p->shape.nd, want[i].nd);
		if (want[i].nd > 0) CU_ASSERT_EQUAL(p->shape.d[0], want[i].d0);
		if (want[i].nd > 1) CU_ASSERT_EQUAL(p->shape.d[1], want[i].d1);
	}
	/* Glorot: sqrt(6 / (11 + 5)) = 0.6123724 */
	CU_ASSERT_EQUAL(s->param.at[1].init.kind, INIT_UNIFORM);
	CU_ASSERT_DOUBLE_EQUAL(s->param.at[1].init.b, 0.6123724, 1e-6);
	CU_ASSERT_EQUAL(s->param.at[2].init.kind, INIT_ZERO);

	CU_ASSERT_EQUAL_FATAL(s->table.n, 2);
	CU_ASSERT_STRING_EQUAL(s->table.at[0].name, "embed.user_id.weight");
	CU_ASSERT_EQUAL(s->table.at[0].rows, 102);
	CU_ASSERT_STRING_EQUAL(s->table.at[1].name, "embed.tags.weight");
	CU_ASSERT_EQUAL(s->table.at[1].rows, 4);
	CU_ASSERT_EQUAL(s->table.at[1].dim, 3);
	/* Three lookups, two through one table; gradient columns 0-3, 4-6, 7-9. */
	CU_ASSERT_EQUAL_FATAL(s->lookup.n, 3);
	CU_ASSERT_EQUAL(s->lookup.at[1].offset, 4);
	CU_ASSERT_EQUAL(s->lookup.at[2].offset, 7);
	CU_ASSERT_EQUAL(s->lookup.at[2].table, 1);
	CU_ASSERT_EQUAL(s->n_drow, 10);
	done(&r);
}

static int count_param(const Run *r, const char *name)
{
	int n = 0;
	for (int i = 0; i < r->spec->param.n; i++) n += !strcmp(r->spec->param.at[i].name, name);
	return n;
}

static void names(void)
{
	Run r = with("experts e[3] = x -> dense(4)\n"
		     "for t in [click, buy] {\n"
		     "  experts own[t][2] = x -> dense(4)\n"
		     "  gate f[t] = mix([own[t], e], by: x)\n"
		     "}\n"
		     "output u = sum(f.click), v = sum(f.buy)\n",
		     NULL, NULL);
	CU_ASSERT_EQUAL(count_param(&r, "experts.e.2.0.weight"), 1);
	CU_ASSERT_EQUAL(count_param(&r, "experts.own.buy.1.0.bias"), 1);
	CU_ASSERT_EQUAL(count_param(&r, "gate.f.click.weight"), 1);
	for (int i = 0; i < r.spec->param.n; i++) {
		const Param *p = &r.spec->param.at[i];
		CU_ASSERT_EQUAL(p->expert, !strncmp(p->name, "experts.", 8));
		if (strcmp(p->name, "gate.f.click.weight")) continue;
		CU_ASSERT_EQUAL(p->shape.d[0], 11); /* [in, experts] */
		CU_ASSERT_EQUAL(p->shape.d[1], 5);
	}
	done(&r);
}

static void defined_from_outside(void)
{
	Run r = with("", "units", "[7]");
	CU_ASSERT_EQUAL(count_param(&r, "tower.a.1.weight"), 1);
	CU_ASSERT_EQUAL(count_param(&r, "tower.a.2.weight"), 0);
	CU_ASSERT_EQUAL(r.spec->param.at[1].shape.d[1], 7);
	done(&r);
	r = run("m.mtl", base, "unit", "[7]");
	CU_ASSERT_PTR_NULL(r.spec);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.said.at, "M0306"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.said.at, "did you mean 'units'?"));
	done(&r);
}

/* The nodes that compute a loss's row, as text. */
static char *loss_text(const Run *r, const char *name)
{
	const Spec *s = r->spec;
	Graph *copy = graph_new(r->arena, r->str);
	NodeId *to = arena_new(r->arena, NodeId, s->g->node.n);
	bool *live = arena_new(r->arena, bool, s->g->node.n);
	NodeId root = 0;
	for (int i = 0; i < s->loss.n; i++)
		if (!strcmp(s->loss.at[i].name, name)) root = s->loss.at[i].row;
	CU_ASSERT_FATAL(root > 0);
	live[root] = true;
	for (NodeId id = root; id > 0; id--)
		for (int i = 0; live[id] && i < s->g->node.at[id].n_in; i++)
			live[s->g->node.at[id].in[i]] = true;
	for (NodeId id = 1; id <= root; id++) {
		if (!live[id]) continue;
		const Node *n = &s->g->node.at[id];
		NodeId in[16];
		for (int i = 0; i < n->n_in; i++) in[i] = to[n->in[i]];
		to[id] = graph_push(copy, n->op, n->shape, n->n_in, in, n->attr, n->span);
	}
	Text t = {0};
	graph_dump(copy, &t);
	return t.at;
}

static void written_out_is_the_name(void)
{
	Run r = with("loss name: bce(P(buy))\nloss hand: bce(P(click) * P(buy | click))\nloss turned: "
		     "bce(P(buy | click) * P(click))\n",
		     NULL, NULL);
	char *name = loss_text(&r, "name"), *hand = loss_text(&r, "hand"), *turned = loss_text(&r, "turned");
	CU_ASSERT_STRING_EQUAL(name, hand);
	CU_ASSERT_STRING_EQUAL(name, turned);
	free(name), free(hand), free(turned);
	done(&r);
}

static const Watch *watch_of(const Run *r, const char *name)
{
	for (int i = 0; i < r->spec->watch.n; i++)
		if (!strcmp(r->spec->watch.at[i].name, name)) return &r->spec->watch.at[i];
	return NULL;
}

static void watches(void)
{
	Run r = with("loss buy: bce(P(buy))\noutput p = P(buy | click)\n", NULL, NULL);
	CU_ASSERT_EQUAL(r.spec->watch.n, 3);
	const Watch *click = watch_of(&r, "click"), *cond = watch_of(&r, "buy|click"),
		    *buy = watch_of(&r, "buy");
	CU_ASSERT_FATAL(click && cond && buy);
	CU_ASSERT(click->head && click->trained && !click->served);
	CU_ASSERT(cond->head && !cond->trained && cond->served);
	CU_ASSERT(!buy->head && buy->trained && !buy->served);
	CU_ASSERT_STRING_EQUAL(buy->expression, "AND(a, b)");
	CU_ASSERT_STRING_EQUAL(cond->rows_text, "clk");
	done(&r);
}

/* A mean in products keeps its own node; classes are watched as a whole and one by one. */
static void outcomes(void)
{
	Run r = with("value time of click label \"dwell time\"\nvalue rating\nclass act { cart, wish, other "
		     "} of click\n"
		     "class level[20]\ntower v = user -> dense(1)\nE(time | click) = exp(v)\nE(rating) = v\n"
		     "E(rating | buy) = softplus(v)\nP(act | click) = softmax(user -> dense(3))\n"
		     "P(level) = softmax(user -> dense(20))\nloss t: poisson(E(time | click))\nloss r: "
		     "mse(E(rating))\n"
		     "loss act: ce(P(act | click))\nloss level: ce(P(level))\n"
		     "output E(time | click), g = P(click) * E(time | click), P(act = wish | click)\n"
		     "train { stop: early(E(time | click).mae, 1) }\n",
		     NULL, NULL);
	CU_ASSERT_FATAL(r.spec != NULL);
	const Spec *s = r.spec;
	CU_ASSERT_EQUAL_FATAL(s->sample.n, 4);
	CU_ASSERT_STRING_EQUAL(s->sample.at[0].column, "dwell time");
	CU_ASSERT(s->sample.at[0].positive && !s->sample.at[1].positive);
	CU_ASSERT_EQUAL(s->sample.at[2].word.n, 3);
	CU_ASSERT_EQUAL(s->sample.at[3].classes, 20);
	CU_ASSERT_STRING_EQUAL(s->stop_metric, "time.mae");
	CU_ASSERT_EQUAL_FATAL(s->output.n, 3);
	CU_ASSERT_STRING_EQUAL(s->output.at[0].name, "time");
	CU_ASSERT_EQUAL(graph_node(s->g, s->output.at[0].node)->op, OP_RESHAPE); /* exp(v), [n, 1] */
	CU_ASSERT_EQUAL(graph_node(s->g, s->output.at[1].node)->op, OP_EXP);	 /* of a sum of logarithms */
	CU_ASSERT_STRING_EQUAL(s->output.at[2].name, "act=wish");
	const Watch *time = watch_of(&r, "time"), *act = watch_of(&r, "act"),
		    *wish = watch_of(&r, "act=wish"), *rating = watch_of(&r, "rating"),
		    *bought = watch_of(&r, "rating|buy");
	CU_ASSERT_FATAL(time && act && wish && rating && bought);
	CU_ASSERT(time->kind == WATCH_VALUE && act->kind == WATCH_CLASS && wish->kind == WATCH_PROB);
	CU_ASSERT(time->trained && time->served && !bought->trained);
	CU_ASSERT_STRING_EQUAL(time->rows_text, "clk");
	CU_ASSERT_STRING_EQUAL(bought->rows_text, "clk & buy");
	CU_ASSERT(!watch_of(&r, "level=3")); /* of many classes only the whole */
	done(&r);
}

static void settings(void)
{
	Run r = with("train { optimizer: sgd  tables: adagrad(0.05)  batch: 64  epochs: 3  shuffle: 1_000  "
		     "seed: 9  stop: early(P(buy | click).logloss, 2) }\n"
		     "rows { weight: w  group: \"query id\"  on_contradiction: force }\n",
		     NULL, NULL);
	const Spec *s = r.spec;
	CU_ASSERT_EQUAL(s->dense.kind, OPT_SGD);
	CU_ASSERT_DOUBLE_EQUAL(s->dense.lr, 0.01, 0);
	CU_ASSERT_EQUAL(s->tables.kind, OPT_ADAGRAD);
	CU_ASSERT_DOUBLE_EQUAL(s->tables.lr, 0.05, 0);
	CU_ASSERT_DOUBLE_EQUAL(s->tables.eps, 1e-10, 0);
	CU_ASSERT(s->batch == 64 && s->epochs == 3 && s->shuffle == 1000 && s->seed == 9);
	CU_ASSERT_STRING_EQUAL(s->stop_metric, "buy|click.logloss");
	CU_ASSERT_EQUAL(s->stop_patience, 2);
	CU_ASSERT_STRING_EQUAL(s->weight_column, "w");
	CU_ASSERT_STRING_EQUAL(s->group_column, "query id");
	CU_ASSERT_EQUAL(s->contradiction, CONTRADICTION_FORCE);
	done(&r);
}

static void outputs(void)
{
	/* None declared: all heads, by name. */
	Run r = with("", NULL, NULL);
	CU_ASSERT_EQUAL_FATAL(r.spec->output.n, 2);
	CU_ASSERT_STRING_EQUAL(r.spec->output.at[1].name, "buy|click");
	done(&r);
	/* Powers make a sum of logarithms: exp(0.5 ls(a) + 1 ls(b)). */
	r = with("output rank = P(click)^0.5 * P(buy | click)\n", NULL, NULL);
	CU_ASSERT_EQUAL_FATAL(r.spec->output.n, 1);
	const Node *n = graph_node(r.spec->g, r.spec->output.at[0].node);
	CU_ASSERT_EQUAL_FATAL(n->op, OP_EXP);
	CU_ASSERT_EQUAL(graph_node(r.spec->g, n->in[0])->op, OP_ADD);
	done(&r);
}

int main(void)
{
	CU_pSuite s = suite_begin("check");
	CU_add_test(s, "wrong models get the messages they announce", wrong_models);
	CU_add_test(s, "the examples are right", examples);
	CU_add_test(s, "the models of the language reference are right", reference);
	CU_add_test(s, "every message is explained", codes);
	CU_add_test(s, "parameters, tables, lookups", parameters);
	CU_add_test(s, "names of experts, gates, towers", names);
	CU_add_test(s, "-D", defined_from_outside);
	CU_add_test(s, "a product written out is the probability it denotes", written_out_is_the_name);
	CU_add_test(s, "what is watched", watches);
	CU_add_test(s, "values and classes", outcomes);
	CU_add_test(s, "settings", settings);
	CU_add_test(s, "outputs", outputs);
	return suite_end();
}
