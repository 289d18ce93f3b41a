/* The event tree: formulas, cells, labels and what follows from the heads (ir/event). */
#include "event_random.h"
#include "suite.h"
#include <math.h>

#define ESM2                                                                                                 \
	"event click; event act of click; event buy of click;"                                               \
	"P(click) = y1; P(act | click) = y2; P(buy | act) = y3; P(buy | click & !act) = y4"

static void derives(const char *model, const char *of_given, const char *expected)
{
	World w = world(model);
	const Prob *p = expression(&w, of_given);
	Derived d = derive(w.e, p->estimate, p->of, p->given);
	Text t = {0};
	says(&w, p->estimate, p->of, p->given, &d, &t);
	same_text(t.at, expected, model);
	text_free(&t);
	arena_destroy(w.arena);
}

/* ---- formulas ---- */

static void test_text(void)
{
	World w = world("event a; event b; event c of a");
	static const char *const same[] = {"a & !b",   "(a | b | c)",	   "!(a & b)",
					   "!(a | b)", "a & (b | !c) & c", "true"};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		Text t = {0};
		formula_text(w.e, formula_in(&w, same[i]), &t);
		same_text(t.at, same[i], "formula");
		text_free(&t);
	}
	Text t = {0};
	prob_text(w.e, str_intern(w.str, "direct"), formula_in(&w, "c"), formula_in(&w, "a&!b"), &t);
	CU_ASSERT_STRING_EQUAL(t.at, "P[direct](c | a & !b)");
	text_free(&t);
	CU_ASSERT_STRING_EQUAL(prob_name(w.e, NULL, formula_in(&w, "c"), formula_in(&w, "a & !b")), "c|a&!b");
	CU_ASSERT_STRING_EQUAL(
	    prob_name(w.e, str_intern(w.str, "direct"), formula_in(&w, "c"), formula_true()), "c[direct]");
	/* not not a is a itself */
	const Formula *a = formula_in(&w, "a");
	CU_ASSERT_PTR_EQUAL(formula_not(w.e, formula_not(w.e, a, (Span){0}), (Span){0}), a);
	arena_destroy(w.arena);
}

/* ---- cells ---- */

static unsigned bits(World *w, Cells *c, const char *f) { return (unsigned)cells_of(c, formula_in(w, f))[0]; }

/* ESM2 has five cells: no click, and click with each of (act, buy). */
static void test_cells(void)
{
	World w = world(ESM2);
	const Formula *f[] = {formula_in(&w, "act"), formula_in(&w, "buy")};
	Cells *c = cells_new(w.e, 2, f);
	CU_ASSERT_EQUAL(cells_count(c), 5);
	/* patterns in order, bits click act buy: 000 100 110 101 111 */
	CU_ASSERT_EQUAL(bits(&w, c, "click"), 0x1e);
	CU_ASSERT_EQUAL(bits(&w, c, "act"), 0x14);
	CU_ASSERT_EQUAL(bits(&w, c, "click & !act"), 0x0a);
	CU_ASSERT_EQUAL(bits(&w, c, "buy"), 0x18);
	CU_ASSERT_EQUAL(bits(&w, c, "buy & act"), 0x10);
	CU_ASSERT_EQUAL(bits(&w, c, "true"), 0x1f);
	CU_ASSERT_TRUE(cells_subset(c, f[1], formula_in(&w, "click")));
	CU_ASSERT_FALSE(cells_subset(c, f[1], f[0]));
	CU_ASSERT_TRUE(cells_disjoint(c, formula_in(&w, "!click"), f[1]));
	CU_ASSERT_FALSE(cells_disjoint(c, f[0], f[1]));
	CU_ASSERT_TRUE(cells_empty(c, formula_in(&w, "buy & !click")));
	CU_ASSERT_TRUE(cells_equal(c, formula_in(&w, "buy & click"), f[1]));
	arena_destroy(w.arena);

	/* A chain has one cell more than events, twelve roots 2^12; thirteen are too many. */
	w = world("event a; event b of a; event c of b; event d of c");
	const Formula *d = formula_in(&w, "d");
	CU_ASSERT_EQUAL(cells_count(cells_new(w.e, 1, &d)), 5);
	arena_destroy(w.arena);
	w = world("event a; event b; event c; event d; event e; event f; event g; event h; event i; event j; "
		  "event k; event l; event m");
	const Formula *all = formula_in(&w, "a&b&c&d&e&f&g&h&i&j&k&l");
	c = cells_new(w.e, 1, &all);
	CU_ASSERT_EQUAL(cells_count(c), 4096);
	CU_ASSERT_EQUAL(cells_words(c), 64);
	const Formula *more[] = {all, formula_in(&w, "m")};
	CU_ASSERT_PTR_NULL(cells_new(w.e, 2, more));
	arena_destroy(w.arena);
}

/* Sets get the words a person would choose. */
static void test_cells_formula(void)
{
	World w = world("event click; event act of click; event buy of click; event pay of buy");
	const Formula *names[] = {formula_in(&w, "act"), formula_in(&w, "pay")};
	Cells *c = cells_new(w.e, 2, names);
	static const char *const pair[][2] = {
	    {"click & buy & pay", "pay"},      {"!act & click", "click & !act"},
	    {"act & buy", "buy & act"},	       {"(buy | act)", "(act | buy)"},
	    {"!(buy & act)", "(!buy | !act)"}, {"(click | !click)", "true"},
	    {"buy & !click", "!true"},	       {"(!click | act & buy)", "(click & buy & act | !click)"}};
	for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
		const Formula *f = cells_formula(c, cells_of(c, formula_in(&w, pair[i][0])), cells_all(c));
		Text t = {0};
		formula_text(w.e, f, &t);
		same_text(t.at, pair[i][1], pair[i][0]);
		text_free(&t);
	}
	/* within a condition nothing is repeated */
	const Formula *f =
	    cells_formula(c, cells_of(c, formula_in(&w, "buy & act")), cells_of(c, formula_in(&w, "act")));
	CU_ASSERT_EQUAL(f->kind, F_EVENT);
	arena_destroy(w.arena);
}

/* ---- derivations ---- */

static void test_esmm(void)
{
	static const char m[] = "event click; event buy of click; P(click) = ctr; P(buy | click) = cvr";
	derives(m, "P(click)", "P(click) = ctr");
	derives(m, "P(buy)", "P(buy) = AND(ctr, cvr)");
	derives(m, "P(click & buy)", "P(click & buy) = AND(ctr, cvr)");
	derives(m, "P(buy | click)", "P(buy | click) = cvr");
	derives(m, "P(!buy)", "P(!buy) = OR(NOT(ctr), NOT(cvr))");
	derives(m, "P(click & !buy)", "P(click & !buy) = AND(ctr, NOT(cvr))");
	derives(m, "P(click | buy)", "P(click | buy) = 1");
	derives(m, "P(buy | !click)", "P(buy | !click) = 0");
	derives(m, "P(click | !buy)", "P(click | !buy) = RATIO(AND(ctr, NOT(cvr)), NOT(ctr))");
	derives(m, "P(buy | buy & !click)",
		"P(buy | buy & !click) = none: its condition `buy & !click` cannot happen; ");
}

static void test_esm2(void)
{
	derives(ESM2, "P(act)", "P(act) = AND(y1, y2)");
	derives(ESM2, "P(buy)", "P(buy) = AND(y1, MIX(y2, y3, y4))");
	derives(ESM2, "P(buy | click)", "P(buy | click) = MIX(y2, y3, y4)");
	derives(ESM2, "P(buy & act)", "P(buy & act) = AND(y1, AND(y2, y3))");
	derives(ESM2, "P(!act | click)", "P(!act | click) = NOT(y2)");
	derives(ESM2, "P((buy | act))", "P((buy | act)) = AND(y1, OR(y2, y4))");
	/* y1 cancels: the ratio is taken under click */
	derives(ESM2, "P(act | buy)", "P(act | buy) = RATIO(AND(y2, y3), AND(NOT(y2), y4))");
	/* a model of clicked rows only needs no P(click) */
	derives("event click; event act of click; event buy of click; P(act|click) = y2; P(buy|act) = y3; "
		"P(buy|click & !act) = y4",
		"P(act | buy)", "P(act | buy) = RATIO(AND(y2, y3), AND(NOT(y2), y4))");
	derives("event click; event act of click; event buy of click; P(click) = y1; P(act|click) = y2; "
		"P(buy|act) = y3",
		"P(buy)",
		"P(buy) = none: there is no head for P(buy | click & !act); P(buy | click & !act) = "
		"sigmoid(...)");
}

#define EIGHT                                                                                                \
	"event click; event favourite; event like; event comment; event share; event follow; event hide; "   \
	"event read;"                                                                                        \
	"P(click) = h0; P(favourite) = h1; P(like) = h2; P(comment) = h3; P(share) = h4; P(follow) = h5; "   \
	"P(hide) = h6; P(read) = h7"

static void test_eight_roots(void)
{
	derives(EIGHT, "P(follow)", "P(follow) = h5");
	derives(EIGHT, "P(!read)", "P(!read) = NOT(h7)");
	derives(EIGHT, "P(like & share)",
		"P(like & share) = none: how P(like) and P(share) go together is not known; "
		"promise `independent like, share`, or add a head for P(share | like)");
	derives(EIGHT "; independent like, share, read", "P(like & share)", "P(like & share) = AND(h2, h4)");
	derives(EIGHT "; independent like, share, read", "P((like | share | read))",
		"P((like | share | read)) = OR(h2, OR(h4, h7))");
	derives(EIGHT "; independent like, share, read", "P(like | share & !read)",
		"P(like | share & !read) = h2");
	/* the other siblings stay out of it */
	World w = world(EIGHT "; independent click, favourite, like, comment, share, follow, hide, read");
	Derived d = derive(
	    w.e, NULL, formula_in(&w, "click & favourite & like & comment & share & follow & hide & read"),
	    formula_true());
	CU_ASSERT_TRUE(d.ok);
	if (d.ok) CU_ASSERT_EQUAL(d.of->node.n, 2 + 8);
	arena_destroy(w.arena);
}

/* Twelve independent events, the most there may be: quick, and each tested once on a way. */
static void test_twelve(void)
{
	static const char m[] =
	    "event a; event b; event c; event d; event e; event f; event g; event h; event i;"
	    "event j; event k; event l; independent a, b, c, d, e, f, g, h, i, j, k, l;"
	    "P(a) = h0; P(b) = h1; P(c) = h2; P(d) = h3; P(e) = h4; P(f) = h5; P(g) = h6;"
	    "P(h) = h7; P(i) = h8; P(j) = h9; P(k) = h10; P(l) = h11";
	World w = world(m);
	const Formula *any = formula_in(&w, "(a | b | c | d | e | f | g | h | i | j | k | l)");
	const Formula *pairs = formula_in(&w, "(a & b | c & d | e & f | g & h | i & j | k & l)");
	Derived x = derive(w.e, NULL, any, formula_true()), y = derive(w.e, NULL, pairs, formula_true());
	double half[12];
	for (int i = 0; i < 12; i++) half[i] = 0.5;
	CU_ASSERT_TRUE_FATAL(x.ok && y.ok);
	CU_ASSERT_EQUAL(x.of->node.n, 2 + 12);
	CU_ASSERT_EQUAL(y.of->node.n, 2 + 12);
	CU_ASSERT_DOUBLE_EQUAL(derived_eval(w.e, &x, half), 1 - 1 / 4096.0, 1e-15);
	CU_ASSERT_DOUBLE_EQUAL(derived_eval(w.e, &y, half), 1 - 729 / 4096.0, 1e-15);
	/* one head short: refused, in bounded time */
	w.e->head.n = 11;
	CU_ASSERT_FALSE(derive(w.e, NULL, pairs, formula_true()).ok);
	arena_destroy(w.arena);
}

static void test_kuairand(void)
{
	static const char m[] =
	    "event click; event click_long of click; event click_long_like of click_long;"
	    "P(click) = a; P(click_long | click) = b; P(click_long_like | click_long) = c";
	derives(m, "P(click_long)", "P(click_long) = AND(a, b)");
	derives(m, "P(click_long_like)", "P(click_long_like) = AND(a, AND(b, c))");
	derives(m, "P(click_long_like | click)", "P(click_long_like | click) = AND(b, c)");
	derives(m, "P(click_long | !click_long_like)",
		"P(click_long | !click_long_like) = RATIO(AND(a, AND(b, NOT(c))), OR(NOT(a), NOT(b)))");
}

/* A free marginal serves itself and nothing else. */
static void test_free_marginal(void)
{
	static const char m[] = "event click; event buy of click; P(click) = ctr; P(buy) = direct";
	derives(m, "P(buy)", "P(buy) = direct");
	derives(
	    m, "P(buy | click)",
	    "P(buy | click) = none: P(buy) and P(click) are heads of their own, so their ratio may exceed 1; "
	    "make P(buy | click) the head instead of P(buy), or name the second one P[direct](...)");
	derives(
	    "event click; event buy of click; P(buy) = direct; P(click) = ctr", "P(buy | click)",
	    "P(buy | click) = none: P(buy) and P(click) are heads of their own, so their ratio may exceed 1; "
	    "make P(buy | click) the head instead of P(buy), or name the second one P[direct](...)");
	/* where both ways exist (heads_check refuses them together) the head that says it outright is taken
	 */
	derives("event click; event buy of click; P(click) = a; P(buy | click) = b; P(buy) = direct",
		"P(!buy)", "P(!buy) = NOT(direct)");
	derives(m, "P(click & !buy)",
		"P(click & !buy) = none: P(buy) and P(click) are heads of their own, so their ratio may "
		"exceed 1; "
		"make P(buy | click) the head instead of P(buy), or name the second one P[direct](...)");
}

static void test_estimates(void)
{
	static const char m[] =
	    "event click; event pay of click; P(click) = ctr; P(pay | click) = cvr; P[direct](pay) = order";
	derives(m, "P(pay)", "P(pay) = AND(ctr, cvr)");
	derives(m, "P[direct](pay)", "P[direct](pay) = order");
	derives(m, "P[direct](pay | click)",
		"P[direct](pay | click) = none: no head of P[direct] leads to it; ");
	derives(m, "P[other](pay)", "P[other](pay) = none: no head is called P[other]; ");
	/* where it has a head of its own it takes it, elsewhere the main one */
	derives("event click; event pay of click; P(click) = a; P(pay | click) = b; P[two](click) = c",
		"P[two](pay)", "P[two](pay) = AND(c, b)");
}

static void test_siblings(void)
{
	static const char m[] = "event click; event like of click; event share of click; P(click) = c; "
				"P(like | click) = l; P(share | click) = s";
	derives(m, "P(like & share | click)",
		"P(like & share | click) = none: how P(like | click) and P(share | click) go together is not "
		"known; "
		"promise `independent like, share given click`, or add a head for P(share | like)");
	derives("event click; event like of click; event share of click; P(click) = c; P(like | click) = l; "
		"P(share | click) = s;"
		"independent like, share given click",
		"P(like & !share)", "P(like & !share) = AND(c, AND(l, NOT(s)))");
	/* given click they are independent; that says nothing without it, and nothing of what is below them
	 */
	derives("event like; event share; event click; P(like) = l; P(share) = s; P(click) = c; independent "
		"like, share given click",
		"P(like & share)",
		"P(like & share) = none: how P(like) and P(share) go together is not known; "
		"promise `independent like, share`, or add a head for P(share | like)");
	/* what is promised may itself be derived */
	derives(ESM2 "; event like of click; P(like | click) = l; independent like, buy given click",
		"P(like & buy | click)", "P(like & buy | click) = AND(l, MIX(y2, y3, y4))");
	derives(
	    ESM2 "; event like of click; P(like | click) = l; independent like, act given click",
	    "P(like & buy | click)",
	    "P(like & buy | click) = none: how P(buy | act) and P(like | click) go together is not known; "
	    "promise `independent buy, like given click`, or add a head for P(like | buy & act)");
}

static void test_no_head(void)
{
	derives("event click; event buy of click", "P(buy)",
		"P(buy) = none: there is no head for P(click); P(click) = sigmoid(...)");
	derives("event click; event buy of click; P(click) = a", "P(buy)",
		"P(buy) = none: there is no head for P(buy | click); P(buy | click) = sigmoid(...)");
	derives("event click; event buy of click; P(click) = a", "P(buy | click)",
		"P(buy | click) = none: there is no head for P(buy | click); P(buy | click) = sigmoid(...)");
	derives("event a; event b; event c; event d; event e; event f; event g; event h; event i; event j; "
		"event k; event l; event m; P(a) = y",
		"P(a & b & c & d & e & f & g & h & i & j & k & l & m)",
		"P(a & b & c & d & e & f & g & h & i & j & k & l & m) = none: it involves more than 12 "
		"events; name fewer events in one P( )");
}

/* ---- labels ---- */

static void test_label_diagram(void)
{
	World w = world(ESM2);
	Diagram *d = diagram_events(w.e, formula_in(&w, "buy & !act"));
	/* click, then act (where it happened: no), then buy */
	const DiagramNode *n = &d->node.at[d->root];
	CU_ASSERT_EQUAL(d->node.n, 2 + 3);
	CU_ASSERT_EQUAL(n->test, 0);
	CU_ASSERT_EQUAL(n->lo, 0);
	n = &d->node.at[n->hi];
	CU_ASSERT_EQUAL(n->test, 1);
	CU_ASSERT_EQUAL(n->hi, 0);
	n = &d->node.at[n->lo];
	CU_ASSERT_EQUAL(n->test, 2);
	CU_ASSERT_EQUAL(n->hi, 1);
	CU_ASSERT_EQUAL(n->lo, 0);
	CU_ASSERT_EQUAL(diagram_events(w.e, formula_true())->root, 1);
	CU_ASSERT_EQUAL(diagram_events(w.e, formula_in(&w, "buy & !click"))->root, 0);
	arena_destroy(w.arena);
}

/* ---- against enumeration ---- */

static int compare(Random *r, const Formula *of, const Formula *given, bool must)
{
	const Events *e = r->w.e;
	bool possible = false;
	for (unsigned p = 0; p < 1u << r->n; p++) possible |= consistent(r, p) && value(given, p);
	Derived d = derive(e, NULL, of, given);
	if (!possible) {
		CU_ASSERT_FALSE(d.ok);
		return 0;
	}
	if (must) CU_ASSERT_TRUE(d.ok);
	if (!d.ok) {
		CU_ASSERT_PTR_NOT_NULL(d.why);
		return 0;
	}
	double h[128];
	for (int i = 0; i < e->head.n; i++) h[i] = probability(r, e->head.at[i].of, e->head.at[i].given);
	double got = derived_eval(e, &d, h), truth = probability(r, of, given);
	if (!(fabs(got - truth) < 1e-12)) printf("\n  %.17g is not %.17g\n", got, truth);
	CU_ASSERT_TRUE(fabs(got - truth) < 1e-12);
	return 1;
}

/* With a complete set of heads everything can be derived, and is exactly the conditional probability. */
static void test_random_complete(void)
{
	int done = 0;
	for (int round = 0; round < 150; round++) {
		Random r = random_tree(2 + (int)below_n(4));
		random_heads(&r, formula_true());
		for (int q = 0; q < 12; q++) {
			const Formula *of = random_formula(&r, 3),
				      *given = q % 3 ? random_formula(&r, 2) : formula_true();
			done += compare(&r, of, given, true);
		}
		arena_destroy(r.w.arena);
	}
	CU_ASSERT_TRUE(done > 1500);
}

/* With any heads, redundant and missing ones, what is derived is still exact. */
static void test_random_any(void)
{
	int done = 0, refused = 0;
	for (int round = 0; round < 300; round++) {
		Random r = random_tree(2 + (int)below_n(4));
		random_heads(&r, formula_true());
		int keep = 1 + (int)below_n((unsigned)r.w.e->head.n);
		if (r.w.e->head.n > keep) r.w.e->head.n = keep;
		for (int k = 0; k < 3; k++) {
			const Formula *of = random_formula(&r, 1), *given = random_formula(&r, 1);
			double p = probability(&r, of, given);
			if (p > 0 && p < 1) add_head(&r, of, given);
		}
		for (int q = 0; q < 10; q++) {
			const Formula *of = random_formula(&r, 2),
				      *given = q % 2 ? random_formula(&r, 1) : formula_true();
			int one = compare(&r, of, given, false);
			done += one;
			refused += !one;
		}
		arena_destroy(r.w.arena);
	}
	CU_ASSERT_TRUE(done > 1000);
	CU_ASSERT_TRUE(refused > 300);
}

/* Promises: a, b, c independent given e0, where a has a child and c is made of others. */
static void test_random_promised(void)
{
	int done = 0, refused = 0;
	for (int round = 0; round < 60; round++) {
		World w = world("event e0; event a of e0; event b of e0; event c of e0; event d of a; "
				"independent a, b, c given e0;"
				"P(e0) = h0; P(a | e0) = h1; P(d | a) = h2; P(b | e0) = h3; P(c | e0) = h4");
		Random r = {.w = w, .n = 5};
		double p0 = uniform(), pa = uniform(), pb = uniform(), pc = uniform();
		double pd[4];
		for (int i = 0; i < 4; i++) pd[i] = uniform(); /* d leans on b and c */
		for (unsigned p = 0; p < 32; p++) {
			if (!consistent(&r, p)) continue;
			double x = p & 1 ? p0 : 1 - p0;
			if (p & 1) {
				x *= p & 2 ? pa : 1 - pa;
				x *= p & 4 ? pb : 1 - pb;
				x *= p & 8 ? pc : 1 - pc;
				if (p & 2) x *= p & 16 ? pd[p >> 2 & 3] : 1 - pd[p >> 2 & 3];
			}
			r.joint[p] = x;
		}
		for (int q = 0; q < 30; q++) {
			const Formula *of = random_formula(&r, 3),
				      *given = q % 3 ? random_formula(&r, 1) : formula_true();
			int one = compare(&r, of, given, false);
			done += one;
			refused += !one;
		}
		arena_destroy(r.w.arena);
	}
	CU_ASSERT_TRUE(done > 500);
	CU_ASSERT_TRUE(refused > 100);
}

/* A promised event whose probability is itself derived, through x: it serves without x, and not beside it. */
static void test_random_promised_derived(void)
{
	int done = 0, refused = 0;
	for (int round = 0; round < 60; round++) {
		World w =
		    world("event e0; event a of e0; event x of e0; event b of e0; independent a, b given e0;"
			  "P(e0) = h0; P(a | e0) = h1; P(x | e0) = h2; P(b | x) = h3; P(b | e0 & !x) = h4");
		Random r = {.w = w, .n = 4};
		double p0 = uniform(), pa = uniform(), px = uniform(), pb[2] = {uniform(), uniform()};
		for (unsigned p = 0; p < 16; p++) {
			if (!consistent(&r, p)) continue;
			bool a = p & 2, x = p & 4, b = p & 8;
			r.joint[p] =
			    !(p & 1) ? 1 - p0
				     : p0 * (a ? pa : 1 - pa) * (x ? px : 1 - px) * (b ? pb[x] : 1 - pb[x]);
		}
		for (int q = 0; q < 30; q++) {
			const Formula *of = random_formula(&r, 3),
				      *given = q % 3 ? random_formula(&r, 1) : formula_true();
			int one = compare(&r, of, given, false);
			done += one;
			refused += !one;
		}
		arena_destroy(r.w.arena);
	}
	CU_ASSERT_TRUE(done > 500);
	CU_ASSERT_TRUE(refused > 100);
}

/* Every way to know, not know or half know what happened: the diagram finds the same possibilities as
 * enumeration. */
static void test_random_labels(void)
{
	enum { NO = 1, YES = 2, MAYBE = 3 };
	int done = 0;
	for (int round = 0; round < 60; round++) {
		Random r = random_tree(2 + (int)below_n(4));
		const Events *e = r.w.e;
		for (int q = 0; q < 5; q++) {
			const Formula *f = random_formula(&r, 3);
			const Diagram *d = diagram_events(e, f);
			int patterns = 1;
			for (int i = 0; i < r.n; i++) patterns *= 3;
			for (int o = 0; o < patterns; o++) {
				unsigned char seen[8];
				for (int i = 0, k = o; i < r.n; i++, k /= 3)
					seen[i] = (unsigned char)(k % 3 + 1);
				/* the tree's own consequences, upwards and then downwards */
				bool contradiction = false;
				for (int i = r.n; i-- > 0;) {
					int up = e->event.at[i].parent;
					if (up < 0 || seen[i] != YES) continue;
					contradiction |= seen[up] == NO;
					seen[up] = YES;
				}
				for (int i = 0; i < r.n; i++) {
					int up = e->event.at[i].parent;
					if (up >= 0 && seen[up] == NO) {
						contradiction |= seen[i] == YES;
						seen[i] = NO;
					}
				}
				if (contradiction) continue;
				unsigned truth = 0;
				for (unsigned p = 0; p < 1u << r.n; p++) {
					bool fits = consistent(&r, p);
					for (int i = 0; i < r.n; i++)
						fits &= (seen[i] & (p >> i & 1 ? YES : NO)) != 0;
					if (fits) truth |= value(f, p) ? YES : NO;
				}
				unsigned at[64] = {NO, YES};
				for (int i = 2; i < d->node.n; i++) {
					const DiagramNode *n = &d->node.at[i];
					at[i] = (seen[n->test] & YES ? at[n->hi] : 0) |
						(seen[n->test] & NO ? at[n->lo] : 0);
				}
				CU_ASSERT_EQUAL(at[d->root], truth);
				done++;
			}
		}
		arena_destroy(r.w.arena);
	}
	CU_ASSERT_TRUE(done > 10000);
}

/* A formula that is made for a set is that set. */
static void test_random_cells_formula(void)
{
	for (int round = 0; round < 300; round++) {
		Random r = random_tree(2 + (int)below_n(4));
		const Formula *f = random_formula(&r, 3), *g = random_formula(&r, 2), *both[] = {f, g};
		Cells *c = cells_new(r.w.e, 2, both);
		const Formula *made = cells_formula(c, cells_of(c, f), cells_of(c, g));
		for (unsigned p = 0; p < 1u << r.n; p++)
			if (consistent(&r, p) && value(g, p)) CU_ASSERT_EQUAL(value(made, p), value(f, p));
		arena_destroy(r.w.arena);
	}
}

/* joint_cells: each outcome of the listed events once. */
static void test_joint_cells(void)
{
	World w = world(ESM2);
	int listed[] = {0, 2};
	const Formula *const *cell;
	int n = joint_cells(w.e, 2, listed, &cell);
	CU_ASSERT_EQUAL(n, 3);
	static const char *const words[] = {"!click", "click & !buy", "buy"};
	for (int i = 0; i < n && i < 3; i++) {
		Text t = {0};
		formula_text(w.e, cell[i], &t);
		same_text(t.at, words[i], "joint(click, buy)");
		text_free(&t);
	}
	CU_ASSERT_EQUAL(joint_cells(w.e, 3, (int[]){0, 1, 2}, &cell), 5);
	arena_destroy(w.arena);
}

int main(void)
{
	if (CU_initialize_registry() != CUE_SUCCESS) return 2;
	CU_pSuite s = suite_begin("event");
	CU_ADD_TEST(s, test_text);
	CU_ADD_TEST(s, test_cells);
	CU_ADD_TEST(s, test_cells_formula);
	CU_ADD_TEST(s, test_joint_cells);
	CU_ADD_TEST(s, test_esmm);
	CU_ADD_TEST(s, test_esm2);
	CU_ADD_TEST(s, test_eight_roots);
	CU_ADD_TEST(s, test_twelve);
	CU_ADD_TEST(s, test_kuairand);
	CU_ADD_TEST(s, test_free_marginal);
	CU_ADD_TEST(s, test_estimates);
	CU_ADD_TEST(s, test_siblings);
	CU_ADD_TEST(s, test_no_head);
	CU_ADD_TEST(s, test_label_diagram);
	CU_ADD_TEST(s, test_random_cells_formula);
	CU_ADD_TEST(s, test_random_labels);
	CU_ADD_TEST(s, test_random_complete);
	CU_ADD_TEST(s, test_random_any);
	CU_ADD_TEST(s, test_random_promised);
	CU_ADD_TEST(s, test_random_promised_derived);
	return suite_end();
}
