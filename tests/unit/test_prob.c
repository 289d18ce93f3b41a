/* What an author writes about probabilities: proofs, refusals, heads, and what can be learnt (front/prob,
 * front/identify). */
#include "event_random.h"
#include "suite.h"
#include "front/identify.h"
#include <math.h>

#define ESMM "event click; event buy of click; P(click) = ctr; P(buy | click) = cvr"
#define ESM2                                                                                                 \
	"event click; event act of click; event buy of click;"                                               \
	"P(click) = y1; P(act | click) = y2; P(buy | act) = y3; P(buy | click & !act) = y4"
#define LIKES                                                                                                \
	"event click; event like of click; event share of click;"                                            \
	"P(click) = c; P(like | click) = l; P(share | click) = s"
#define PROMISED LIKES "; independent like, share given click"

static char *drawn(World *w)
{
	Text t = {0};
	diag_print(w->d, &t, false);
	char *s = arena_strdup(w->arena, t.at ? t.at : "");
	text_free(&t);
	return s;
}

static bool checks(World *w, const char *written, ProbType *out)
{
	const Prob *p = expression(w, written);
	return prob_check(w->e, p, w->d, out);
}

static void proves(const char *model, const char *written, const char *expected)
{
	World w = world(model);
	const Prob *p = expression(&w, written);
	ProbType type;
	bool ok = prob_check(w.e, p, w.d, &type);
	if (!ok) printf("\n%s\n%s", written, drawn(&w));
	CU_ASSERT_TRUE(ok);
	if (ok) {
		Text t = {0};
		says(&w, type.estimate, type.of, type.given, &type.derived, &t);
		same_text(t.at, expected, written);
		text_free(&t);
		CU_ASSERT_EQUAL(diag_errors(w.d), 0);
		CU_ASSERT_EQUAL(type.read_only, strchr(written, '/') != NULL);
	}
	arena_destroy(w.arena);
}

/* One error, with all of these in what is drawn. */
static void refuses(const char *model, const char *written, const char *const *say)
{
	World w = world(model);
	const Prob *p = expression(&w, written);
	ProbType type;
	CU_ASSERT_FALSE(prob_check(w.e, p, w.d, &type));
	CU_ASSERT_EQUAL(diag_errors(w.d), 1);
	const char *got = drawn(&w);
	for (; *say; say++) {
		bool has = strstr(got, *say) != NULL;
		if (!has) printf("\n%s: no '%s' in\n%s", written, *say, got);
		CU_ASSERT_TRUE(has);
	}
	arena_destroy(w.arena);
}
#define REFUSES(model, written, ...) refuses(model, written, (const char *const[]){__VA_ARGS__, NULL})

/* ---- proofs ---- */

static void test_chain(void)
{
	proves(ESMM, "P(click) * P(buy | click)", "P(buy) = AND(ctr, cvr)");
	proves(ESMM, "P(buy | click) * P(click)", "P(buy) = AND(ctr, cvr)");
	proves(ESMM, "P(buy)", "P(buy) = AND(ctr, cvr)");
	proves(ESMM, "P(buy & click)", "P(buy & click) = AND(ctr, cvr)");
	/* the name is the head's, however it is written */
	proves(ESMM, "P(buy & click | click)", "P(buy | click) = cvr");
	proves(ESMM, "P(click | (click | !click))", "P(click) = ctr");
	proves(ESM2, "P(click) * P(act | click) * P(buy | act)", "P(buy & act) = AND(y1, AND(y2, y3))");
	proves(ESM2, "P(buy | act) * P(click) * P(act | click)", "P(buy & act) = AND(y1, AND(y2, y3))");
	proves(ESM2, "P(buy | act) * (P(act | click) * P(click))", "P(buy & act) = AND(y1, AND(y2, y3))");
}

static void test_mixture(void)
{
	proves(ESM2, "P(act | click) * P(buy | act) + (1 - P(act | click)) * P(buy | click & !act)",
	       "P(buy | click) = MIX(y2, y3, y4)");
	proves(ESM2, "(1 - P(act | click)) * P(buy | click & !act) + P(act | click) * P(buy | act)",
	       "P(buy | click) = MIX(y2, y3, y4)");
	proves(ESM2,
	       "P(click) * (P(act | click) * P(buy | act) + (1 - P(act | click)) * P(buy | click & !act))",
	       "P(buy) = AND(y1, MIX(y2, y3, y4))");
	proves(ESM2, "P(buy & act) + P(buy & !act)", "P(buy) = AND(y1, MIX(y2, y3, y4))");
	proves(ESM2, "P(act) + P(buy & !act)", "P((act | buy)) = AND(y1, OR(y2, y4))");
	/* the sum is known where its parts are not */
	proves(LIKES, "P(like & share | click) + P(like & !share | click)", "P(like | click) = l");
}

static void test_not(void)
{
	proves(ESMM, "1 - P(buy | click)", "P(!buy | click) = NOT(cvr)");
	proves(ESMM, "1 - (1 - P(click))", "P(click) = ctr");
	proves(ESMM, "1 - P(click) * P(buy | click)", "P(!buy) = OR(NOT(ctr), NOT(cvr))");
	proves(ESMM, "P(click) * (1 - P(buy | click))", "P(click & !buy) = AND(ctr, NOT(cvr))");
}

static void test_ratio(void)
{
	proves(ESMM, "P(buy) / P(click)", "P(buy | click) = cvr");
	proves(ESM2, "P(buy & act) / P(buy)", "P(act | buy) = RATIO(AND(y2, y3), AND(NOT(y2), y4))");
	proves(ESM2, "P(click) * (P(buy) / P(click))", "P(buy) = AND(y1, MIX(y2, y3, y4))");
}

static void test_promise(void)
{
	proves(PROMISED, "P(like | click) * P(share | click)", "P(share & like | click) = AND(l, s)");
	proves(PROMISED, "P(click) * P(share | click) * P(like | click)",
	       "P(share & like) = AND(c, AND(l, s))");
	proves(PROMISED, "(1 - P(like | click)) * P(share | click)",
	       "P(share & !like | click) = AND(NOT(l), s)");
	proves(PROMISED, "P(share | like)", "P(share | like) = s");
}

static void test_estimates(void)
{
	static const char m[] = ESMM "; P[d](buy) = order; P[d](buy | click) = v";
	proves(m, "P[d](buy)", "P[d](buy) = order");
	proves(m, "P(click) * P[d](buy | click)", "P(buy) = AND(ctr, v)");
	proves(m, "1 - P(click) * P[d](buy | click)", "P(!buy) = OR(NOT(ctr), NOT(v))");
	REFUSES(m, "P[d](buy) + P(click & !buy)", "error[M0419]",
		"P[d](buy) + P(click & !buy) mixes estimates", "= help: use the same estimate in all terms");
}

static bool diagrams_equal(const Diagram *a, const Diagram *b, bool stops)
{
	if (a->node.n != b->node.n || a->root != b->root) return false;
	for (int i = 2; i < a->node.n; i++) {
		const DiagramNode *x = &a->node.at[i], *y = &b->node.at[i];
		if (x->test != y->test || x->hi != y->hi || x->lo != y->lo || (stops && x->stop != y->stop))
			return false;
	}
	return true;
}

/* Written by hand and derived by name lower to the very same nodes; so they have the same bits. */
static void test_same_diagram(void)
{
	static const char *const same[][3] = {
	    {ESMM, "P(click) * P(buy | click)", "P(buy)"},
	    {ESMM, "P(buy | click) * P(click)", "P(buy)"},
	    {ESMM, "stop(P(click)) * P(buy | click)", "P(buy)"},
	    {ESM2,
	     "P(click) * (P(act | click) * P(buy | act) + (1 - P(act | click)) * P(buy | click & !act))",
	     "P(buy)"},
	    {ESM2, "P(buy | click & !act) * (1 - P(act | click)) + P(buy | act) * P(act | click)",
	     "P(buy | click)"},
	    {PROMISED, "P(share | click) * P(like | click) * P(click)", "P(like & share)"},
	};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		World w = world(same[i][0]);
		ProbType hand, named;
		bool a = checks(&w, same[i][1], &hand);
		bool b = checks(&w, same[i][2], &named);
		CU_ASSERT_TRUE(a && b);
		if (a && b) CU_ASSERT_TRUE(diagrams_equal(hand.derived.of, named.derived.of, false));
		arena_destroy(w.arena);
	}
}

static void test_stop(void)
{
	proves(ESMM, "stop(P(click)) * P(buy | click)", "P(buy) = AND(stop(ctr), cvr)");
	proves(ESMM, "P(click) * stop(P(buy | click))", "P(buy) = AND(ctr, stop(cvr))");
	proves(ESMM, "stop(P(buy))", "P(buy) = AND(stop(ctr), stop(cvr))");
	proves(ESMM, "1 - stop(P(click))", "P(!click) = NOT(stop(ctr))");
	proves(ESM2,
	       "stop(P(act | click)) * P(buy | act) + (1 - stop(P(act | click))) * P(buy | click & !act)",
	       "P(buy | click) = MIX(stop(y2), y3, y4)");
	proves(ESM2, "P(act | click) * stop(P(buy | act)) + (1 - P(act | click)) * P(buy | click & !act)",
	       "P(buy | click) = MIX(y2, stop(y3), y4)");
}

/* A head held back in one branch and free in the other has no diagram whose value is a probability whatever
 * the two are. */
static void test_stop_in_part(void)
{
	REFUSES(ESM2, "stop(P(act | click)) * P(buy | act) + (1 - P(act | click)) * P(buy | click & !act)",
		"error[M0418]", "stop holds P(act | click) back in one place of this and not in another",
		"this head", "= help: stop all of its uses here, or none");
}

/* ---- refusals, one for each row of the table ---- */

static void test_refuse_overlap(void)
{
	static const char m[] = "event click; event cart of click; event wish of click;"
				"P(click) = c; P(cart | click) = a; P(wish | click) = b";
	REFUSES(m, "P(cart | click) + P(wish | click)", "error[M0410]",
		"P(cart | click) and P(wish | click) are not exclusive", "expression:1:1",
		"model:1:41: note: 'wish' is declared here, as part of 'click'",
		"= help: one or the other: P((cart | wish) | click)", "P(wish & !cart | click)");
	REFUSES(m, "P(cart) + P(cart)", "error[M0410]", "= help: one or the other: P(cart)");
	/* three terms: the pair is named */
	REFUSES(m, "P(cart & !wish) + P(wish & !cart) + P(wish)", "error[M0410]",
		"P(wish & !cart) and P(wish) are not");
}

static void test_refuse_sum_of_conditions(void)
{
	REFUSES(ESM2, "P(buy | act) + P(buy | click & !act)", "error[M0411]",
		"P(buy | act) is given act, P(buy | click & !act) given click & !act");
	REFUSES(ESMM, "1 - P(click) + P(buy | click)", "error[M0411]", "given nothing",
		"= help: weight it by its condition: P(click) * P(buy | click)");
}

static void test_refuse_chain(void)
{
	REFUSES(ESM2, "P(click) * P(buy | act)", "error[M0412]",
		"P(buy | act) cannot follow P(click): its condition is act, not click",
		"'act' is declared here, as part of 'click'",
		"= help: P(click) * P(act | click) * P(buy | act)");
	REFUSES(ESM2, "P(buy | act) * P(click)", "error[M0412]", "P(buy | act) cannot follow P(click)");
	REFUSES(PROMISED, "P(share | click) * (1 - P(click)) * P(like | click)", "error[M0412]");
	REFUSES(PROMISED, "(1 - P(click)) * P(like | click)", "error[M0412]",
		"its condition is click, not !click");
	REFUSES(ESM2, "P(act) * P(buy | click)", "error[M0412]", "its condition is click, not act",
		"= help: P(act) * P(buy | act)");
	REFUSES(ESM2, "P(act | click) * P(buy | click & !act)", "error[M0412]",
		"= help: (1 - P(act | click)) * P(buy | click & !act)");
	REFUSES(ESM2, "P(click) * P(act | click) * P(buy | click & !act)", "error[M0412]",
		"P(buy | click & !act) cannot follow P(click) * P(act | click): its condition is click & "
		"!act, not act");
}

static void test_refuse_product(void)
{
	REFUSES(LIKES, "P(like | click) * P(share | click)", "error[M0413]",
		"nothing says that P(like | click) and P(share | click) are independent",
		"'share' is declared here",
		"= help: if they are, promise it: independent like, share given click",
		"= help: or chain them: P(like | click) * P(share | like)");
	REFUSES(ESMM, "P(click) * P(buy)", "error[M0413]", "= help: P(click) * P(buy | click)");
	REFUSES(ESMM, "P(click) * P(click)", "error[M0413]", "= help: one of them is enough: P(click)");
	/* promised for other conditions, or for others */
	REFUSES(LIKES "; independent like, share", "P(like | click) * P(share | click)", "error[M0413]");
	REFUSES(ESM2 "; event like of click; P(like | click) = l; independent like, act given click",
		"P(buy | click) * P(like | click)", "error[M0413]");
}

static void test_refuse_mixture(void)
{
	REFUSES(ESM2, "P(act | click) * P(buy | act) + P(act | click) * P(buy | click & !act)",
		"error[M0414]",
		"the branches of a mixture need the weights w and 1 - w of one probability: P(buy | click & "
		"!act) is weighted by P(act | click)",
		"= help: its condition, click & !act, has the weight 1 - P(act | click)");
	REFUSES(ESM2 "; event like of click; P(like | click) = l",
		"P(act | click) * P(buy | act) + (1 - P(like | click)) * P(buy | click & !act)",
		"error[M0414]", "is weighted by 1 - P(like | click)");
}

static void test_refuse_ratio(void)
{
	REFUSES(ESM2, "P(buy) / P(act)", "error[M0415]",
		"P(buy) divided by P(act) may exceed 1: buy does not imply act",
		"= help: P(buy & act) / P(act) is P(buy | act)");
	REFUSES(ESM2, "P(buy | act) / P(buy)", "error[M0415]", "their conditions differ");
	REFUSES(ESM2, "P(buy) / P(click & !click)", "error[M0415]", "which is 0");
	/* two heads of their own: the ratio types, and is refused all the same */
	REFUSES("event click; event buy of click; P(click) = ctr; P(buy) = direct", "P(buy) / P(click)",
		"error[M0420]",
		"P(buy) / P(click) cannot be derived from the heads: P(buy) and P(click) are heads of their "
		"own, so their ratio may exceed 1",
		"this head", "= help: make P(buy | click) the head instead of P(buy)");
}

static void test_refuse_impossible(void)
{
	REFUSES(ESMM, "P(buy | click & !click)", "error[M0416]",
		"the condition of P(buy | click & !click) cannot happen");
	REFUSES(ESMM, "P(buy & !click)", "error[M0416]", "P(buy & !click) is always 0: it cannot happen",
		"'buy' is declared here, as part of 'click'");
	REFUSES(ESMM, "1 - P(click | buy)", "error[M0416]");
}

static void test_always(void)
{
	World w = world(ESMM);
	ProbType t;
	CU_ASSERT_TRUE(checks(&w, "P(click | buy)", &t));
	CU_ASSERT_EQUAL(diag_warnings(w.d), 1);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(drawn(&w), "warning[M0421]: P(click | buy) is always 1, whatever the heads say"));
	CU_ASSERT_EQUAL(t.derived.of->root, 1);
	arena_destroy(w.arena);
}

static void test_refuse_many(void)
{
	REFUSES("event a; event b; event c; event d; event e; event f; event g; event h; event i; event j; "
		"event k; event l; event m; P(a) = y",
		"P(a & b & c & d & e & f) + P(!a & g & h & i & j & k & l & m)", "error[M0417]",
		"more than 12 events");
}

static void test_refuse_underived(void)
{
	REFUSES("event click; event act of click; event buy of click; P(click) = y1; P(act|click) = y2; "
		"P(buy|act) = y3",
		"P(buy)", "error[M0420]",
		"P(buy) cannot be derived from the heads: there is no head for P(buy | click & !act)",
		"'buy' is declared here", "= help: P(buy | click & !act) = sigmoid(...)");
	REFUSES(LIKES, "P(like & share | click)", "error[M0420]",
		"how P(like | click) and P(share | click) go together is not known",
		"promise `independent like, share given click`");
}

/* Parts that are wrong are told each, and what they are part of is not. */
static void test_no_cascade(void)
{
	World w = world(ESM2);
	ProbType t;
	CU_ASSERT_FALSE(checks(&w, "P(click) * P(buy | act) + P(buy) / P(act)", &t));
	CU_ASSERT_EQUAL(diag_errors(w.d), 2);
	arena_destroy(w.arena);
}

/* ---- against arithmetic ---- */

static const Prob *make(Random *r, Prob p)
{
	p.span = (Span){1, 2};
	return new_prob(&r->w, p);
}

static bool can(const Random *r, const Formula *f)
{
	for (unsigned p = 0; p < 1u << r->n; p++)
		if (consistent(r, p) && value(f, p)) return true;
	return false;
}

/* P(of | given) written in some roundabout way, with an error in it now and then. */
static const Prob *rewritten(Random *r, const Formula *of, const Formula *given, int depth, bool stops,
			     bool *wrong)
{
	const Events *e = r->w.e;
	if (stops && below_n(8) == 0)
		return make(r, (Prob){.kind = PX_STOP, .a = rewritten(r, of, given, depth, false, wrong)});
	if (wrong && below_n(12) == 0) {
		*wrong = true;
		of = random_formula(r, 1);
		given = below_n(2) ? given : random_formula(r, 1);
	}
	const Formula *f = random_formula(r, 1), *not_f = formula_not(e, f, (Span){0});
	const Formula *narrow = formula_and(e, given, f, (Span){0}),
		      *rest = formula_and(e, given, not_f, (Span){0});
	unsigned k = depth > 0 && can(r, narrow) && can(r, rest) ? below_n(5) : 0;
	Prob p = {.kind = PX_EVENT, .of = of, .given = given};
	switch (k) {
	case 1: /* 1 - P(!of | given) */
		p = (Prob){.kind = PX_NOT,
			   .a = rewritten(r, formula_not(e, of, (Span){0}), given, depth - 1, stops, wrong)};
		break;
	case 2: /* by cases of f */
		p = (Prob){
		    .kind = PX_ADD,
		    .a = rewritten(r, formula_and(e, of, f, (Span){0}), given, depth - 1, stops, wrong),
		    .b = rewritten(r, formula_and(e, of, not_f, (Span){0}), given, depth - 1, stops, wrong)};
		break;
	case 3: { /* w x + (1 - w) y */
		const Prob *w = make(r, (Prob){.kind = PX_EVENT, .of = f, .given = given});
		const Prob *x = make(
		    r,
		    (Prob){.kind = PX_MUL, .a = w, .b = rewritten(r, of, narrow, depth - 1, stops, wrong)});
		w = make(r, (Prob){.kind = PX_NOT, .a = w});
		const Prob *y = make(
		    r, (Prob){.kind = PX_MUL, .a = rewritten(r, of, rest, depth - 1, stops, wrong), .b = w});
		p = (Prob){.kind = PX_ADD, .a = x, .b = y};
		break;
	}
	case 4: { /* within given, where that is nothing new; a ratio */
		if (given->kind == F_TRUE) break;
		const Formula *both = formula_and(e, of, given, (Span){0});
		p = (Prob){.kind = PX_DIV,
			   .a = rewritten(r, both, formula_true(), depth - 1, false, wrong),
			   .b = make(r, (Prob){.kind = PX_EVENT, .of = given, .given = formula_true()})};
		break;
	}
	}
	return make(r, p);
}

/* The expression as plain arithmetic over its parts; h[0] are the heads, h[1] those that are stopped. */
static double arithmetic(const Random *r, const Prob *p, double (*h)[64], bool stop)
{
	switch (p->kind) {
	case PX_EVENT: {
		Derived d = derive(r->w.e, NULL, p->of, p->given);
		return d.ok ? derived_eval(r->w.e, &d, h[stop]) : NAN;
	}
	case PX_NOT: return 1 - arithmetic(r, p->a, h, stop);
	case PX_MUL: return arithmetic(r, p->a, h, stop) * arithmetic(r, p->b, h, stop);
	case PX_ADD: return arithmetic(r, p->a, h, stop) + arithmetic(r, p->b, h, stop);
	case PX_DIV: return arithmetic(r, p->a, h, stop) / arithmetic(r, p->b, h, stop);
	default: return arithmetic(r, p->a, h, true);
	}
}

static double diagram_value(const Diagram *d, double (*h)[64])
{
	double *v = calloc((size_t)d->node.n, sizeof *v);
	v[1] = 1;
	for (int i = 2; i < d->node.n; i++) {
		const DiagramNode *n = &d->node.at[i];
		double w = h[n->stop][n->test];
		v[i] = w * v[n->hi] + (1 - w) * v[n->lo];
	}
	double root = v[d->root];
	free(v);
	return root;
}

/*
 * Whatever is accepted has the value that plain arithmetic gives, with the stopped heads moved apart from the
 * others; and what it is said to denote has the value that enumeration gives.  What was rewritten without an
 * error is accepted.
 */
static void random_expressions(bool stops, bool errors)
{
	int accepted = 0, refused = 0, wrongs = 0;
	for (int round = 0; round < 400; round++) {
		Random r = random_tree(2 + (int)below_n(3));
		random_heads(&r, formula_true());
		const Formula *of = random_formula(&r, 2),
			      *given = below_n(2) ? random_formula(&r, 1) : formula_true();
		double truth = probability(&r, of, given);
		if (!(truth > 0 && truth < 1)) {
			arena_destroy(r.w.arena);
			continue;
		}
		bool wrong = false;
		const Prob *p = rewritten(&r, of, given, 3, stops, errors ? &wrong : NULL);
		r.w.d = diag_create(r.w.arena, &r.w.sources);
		ProbType t;
		bool ok = prob_check(r.w.e, p, r.w.d, &t);
		CU_ASSERT_EQUAL(ok, diag_errors(r.w.d) == 0);
		accepted += ok;
		refused += !ok;
		wrongs += wrong;
		if (!stops && !wrong) CU_ASSERT_TRUE(ok);
		if (ok) {
			double h[2][64];
			for (int i = 0; i < r.w.e->head.n; i++)
				h[0][i] = h[1][i] =
				    probability(&r, r.w.e->head.at[i].of, r.w.e->head.at[i].given);
			double named = probability(&r, t.of, t.given);
			if (!wrong) CU_ASSERT_TRUE(fabs(named - truth) < 1e-12);
			CU_ASSERT_TRUE(fabs(derived_eval(r.w.e, &t.derived, h[0]) - named) < 1e-12);
			CU_ASSERT_TRUE(fabs(arithmetic(&r, p, h, false) - named) < 1e-12);
			for (int i = 0; i < r.w.e->head.n; i++) h[1][i] = uniform();
			const Derived *d = &t.derived;
			double got;
			if (d->of)
				got = diagram_value(d->of, h);
			else
				got = diagram_value(d->yes, h) /
				      (diagram_value(d->yes, h) + diagram_value(d->no, h));
			CU_ASSERT_TRUE(fabs(got - arithmetic(&r, p, h, false)) < 1e-11);
		}
		arena_destroy(r.w.arena);
	}
	CU_ASSERT_TRUE(accepted > 100);
	if (errors) CU_ASSERT_TRUE(wrongs > 30 && refused > 20);
}

static void test_random_plain(void) { random_expressions(false, false); }
static void test_random_wrong(void) { random_expressions(false, true); }
static void test_random_stops(void) { random_expressions(true, false); }

/* ---- heads ---- */

static void heads(const char *model, int errors, const char *const *say)
{
	World w = world(model);
	w.d = diag_create(w.arena, &w.sources);
	CU_ASSERT_EQUAL(heads_check(w.e, w.d), errors == 0);
	const char *got = drawn(&w);
	if (diag_errors(w.d) != errors) printf("\n%s", got);
	CU_ASSERT_EQUAL(diag_errors(w.d), errors);
	for (; *say; say++) {
		bool has = strstr(got, *say) != NULL;
		if (!has) printf("\n%s: no '%s' in\n%s", model, *say, got);
		CU_ASSERT_TRUE(has);
	}
	arena_destroy(w.arena);
}
#define HEADS(model, errors, ...) heads(model, errors, (const char *const[]){__VA_ARGS__, NULL})

static void test_heads_fine(void)
{
	HEADS(ESMM, 0, "");
	HEADS(ESM2, 0, "");
	HEADS(PROMISED, 0, "");
	HEADS(ESMM "; P[direct](buy) = order", 0, "");
	HEADS("event click; event buy of click; P(click) = ctr; P(buy) = free", 0, "");
	/* both in another estimate: neither follows from the other's */
	HEADS(ESMM "; P[d](click) = a; P[d](buy) = b", 0, "");
}

static void test_heads_impossible(void)
{
	HEADS("event click; event buy of click; P(buy | !click) = z", 1, "error[M0430]",
	      "P(buy | !click) is always 0", "'buy' is declared here, as part of 'click'");
	HEADS("event click; event buy of click; P(buy | buy & !click) = z", 1, "error[M0430]",
	      "the condition of P(buy | buy & !click) cannot happen");
	HEADS("event click; event buy of click; P(click | buy) = z", 1, "error[M0431]",
	      "P(click | buy) is always 1: buy happens only where click does",
	      "= help: did you mean P(buy | click)?");
	HEADS("event click; P(click | click) = z", 1, "error[M0431]");
}

static void test_heads_twice(void)
{
	HEADS(ESMM "; P(buy | click) = other", 1, "error[M0432]", "two heads for P(buy | click)",
	      "note: the first is here", "= help: give the second a name: P[second](buy | click)");
	HEADS(ESMM "; P(buy & click | click) = other", 1, "error[M0432]");
	HEADS(ESMM "; P(!buy | click) = other", 1, "error[M0432]",
	      "a head for P(!buy | click) is one for P(buy | click) too");
	HEADS(ESMM "; P[d](buy) = x; P[d](buy) = y", 1, "error[M0432]", "two heads for P[d](buy)");
}

static void test_heads_redundant(void)
{
	HEADS(ESMM "; P(buy) = direct", 1, "error[M0433]",
	      "P(buy) follows from other heads already, as AND(ctr, cvr)", "note: from P(click)",
	      "note: from P(buy | click)", "P[direct](buy)");
	/* wherever it stands */
	HEADS("event click; event buy of click; P(buy) = direct; P(click) = ctr; P(buy | click) = cvr", 1,
	      "error[M0433]", "model:1:34: error[M0433]");
	HEADS(ESM2 "; P(buy | click) = cvr", 1,
	      "P(buy | click) follows from other heads already, as MIX(y2, y3, y4)");
	HEADS(PROMISED "; P(share | like) = z", 1, "P(share | like) follows from other heads already, as s");
	HEADS("event a; event b; P(a) = h0; P(b | a) = h1; P(b | !a) = h2; P(b) = h3; P(a | b) = h4", 2,
	      "P(b) follows", "P(a | b) follows");
}

static void test_head_by_itself(void)
{
	World w = world(ESMM);
	w.d = diag_create(w.arena, &w.sources);
	Head again = w.e->head.at[1];
	CU_ASSERT_FALSE(head_check(w.e, &again, w.d));
	w.e->head.n = 1;
	CU_ASSERT_TRUE(head_check(w.e, &again, w.d));
	CU_ASSERT_EQUAL(diag_errors(w.d), 1);
	arena_destroy(w.arena);
}

/* ---- what can be learnt ---- */

/* `losses`: probabilities separated by ';', or "joint". */
static int trained(World *w, const char *losses, Trained *t)
{
	int n = 0;
	char text[512];
	snprintf(text, sizeof text, "%s", losses);
	for (char *s = strtok(text, ";"); s; s = strtok(NULL, ";")) {
		if (strcmp(s, "joint") == 0) {
			int *all = arena_new(w->arena, int, w->e->event.n);
			for (int i = 0; i < w->e->event.n; i++) all[i] = i;
			t[n++] = (Trained){.n_joint = w->e->event.n, .joint = all};
			continue;
		}
		ProbType type;
		bool ok = checks(w, arena_strdup(w->arena, s), &type);
		CU_ASSERT_TRUE_FATAL(ok);
		t[n++] = (Trained){.prob = type.derived};
	}
	w->d = diag_create(w->arena, &w->sources);
	return n;
}

static void learns(const char *model, const char *losses, int rank, const char *loose)
{
	World w = world(model);
	Trained t[16];
	bool in[16] = {0};
	int n = trained(&w, losses, t), got = identify_rank(w.e, n, t, in);
	CU_ASSERT_EQUAL(got, rank);
	Text names = {0};
	text_add(&names, "");
	for (int i = 0; i < w.e->head.n; i++)
		if (in[i]) text_printf(&names, "%s%s", names.n ? " " : "", w.e->head.at[i].name);
	same_text(names.at, loose, losses);
	text_free(&names);
	arena_destroy(w.arena);
}

static void warns(const char *model, const char *losses, int warnings, const char *const *say)
{
	World w = world(model);
	Trained t[16];
	int n = trained(&w, losses, t);
	identify_check(w.e, n, t, w.d);
	const char *got = drawn(&w);
	if (diag_warnings(w.d) != warnings) printf("\n%s: %s\n%s", model, losses, got);
	CU_ASSERT_EQUAL(diag_warnings(w.d), warnings);
	CU_ASSERT_EQUAL(diag_errors(w.d), 0);
	for (; *say; say++) {
		bool has = strstr(got, *say) != NULL;
		if (!has) printf("\n%s: no '%s' in\n%s", losses, *say, got);
		CU_ASSERT_TRUE(has);
	}
	arena_destroy(w.arena);
}
#define WARNS(model, losses, n, ...) warns(model, losses, n, (const char *const[]){__VA_ARGS__, NULL})

static void test_rank(void)
{
	learns(ESMM, "P(click);P(buy)", 2, "");
	learns(ESMM, "P(click);P(buy | click)", 2, "");
	learns(ESMM, "P(buy)", 1, "ctr cvr");
	learns(ESMM, "P(buy);P(buy)", 1, "ctr cvr");
	learns(ESM2, "P(click);P(act);P(buy)", 3, "y3 y4");
	learns(ESM2, "P(click);P(act);P(buy);P(buy & act)", 4, "");
	learns(ESM2, "P(click);P(act);P(buy);P(buy | click)", 3, "y3 y4");
	learns(ESM2, "P(click);P(act);P(buy);P(act | buy)", 4, "");
	learns(ESM2, "joint", 4, "");
	learns(PROMISED, "P(click);P(like & share)", 2, "l s");
	/* of many events the likelihood is not taken apart into cells; of ESM2 and three roots, six events, 7
	 * heads */
	learns(ESM2 "; event a; event b; event c; P(a) = h5; P(b) = h6; P(c) = h7", "joint", 7, "");
}

static void test_identify(void)
{
	WARNS(ESMM, "P(click);P(buy)", 0, "");
	WARNS(ESM2, "P(click);P(act);P(buy)", 1,
	      "warning[M0502]: y3 and y4 are learnt only through their mixture", "y4 is here",
	      "= help: a loss on P(buy & act) would separate them");
	WARNS(ESM2, "P(click);P(act);P(buy);P(buy & act)", 0, "");
	WARNS(ESM2, "joint", 0, "");
	WARNS(ESMM, "P(buy)", 1, "warning[M0502]: ctr and cvr are learnt only through their product",
	      "= help: a loss on P(click) would separate them");
	WARNS(ESMM, "P(click)", 1,
	      "warning[M0501]: no loss reaches P(buy | click) (cvr): it stays as it was initialised");
	/* a stopped head is not reached */
	WARNS(ESMM, "stop(P(click)) * P(buy | click)", 1, "no loss reaches P(click) (ctr)");
	/* two mixtures are two warnings */
	WARNS("event c; event a of c; event b of c; event x; event u of x; event v of x;"
	      "P(c) = c1; P(a | c) = c2; P(b | a) = c3; P(b | c & !a) = c4;"
	      "P(x) = x1; P(u | x) = x2; P(v | u) = x3; P(v | x & !u) = x4",
	      "P(c);P(a);P(b);P(x);P(u);P(v)", 2, "c3 and c4 are learnt", "x3 and x4 are learnt", "P(b & a)",
	      "P(v & u)");
	/* without losses there is nothing to say */
	WARNS(ESMM, "", 0, "");
}

/* The text that the reference gives for ESM2, whole. */
static void test_drawn(void)
{
	World w =
	    world("event click\n;event act of click\n;event buy of click\n"
		  ";P(click) = y1\n;P(act | click) = y2\n;P(buy | act) = y3\n;P(buy | click & !act) = y4\n");
	Trained t[4];
	int n = trained(&w, "P(click);P(act);P(buy)", t);
	identify_check(w.e, n, t, w.d);
	same_text(drawn(&w),
		  "model:6:2: warning[M0502]: y3 and y4 are learnt only through their mixture\n"
		  "    6 | ;P(buy | act) = y3\n"
		  "      |  ^~~~~~~~~~~~\n"
		  "model:7:2: note: y4 is here\n"
		  "    7 | ;P(buy | click & !act) = y4\n"
		  "      |  ^~~~~~~~~~~~~~~~~~~~~\n"
		  "      = help: a loss on P(buy & act) would separate them\n",
		  "the warning");
	arena_destroy(w.arena);
}

int main(void)
{
	if (CU_initialize_registry() != CUE_SUCCESS) return 2;
	CU_pSuite s = suite_begin("prob");
	CU_ADD_TEST(s, test_chain);
	CU_ADD_TEST(s, test_mixture);
	CU_ADD_TEST(s, test_not);
	CU_ADD_TEST(s, test_ratio);
	CU_ADD_TEST(s, test_promise);
	CU_ADD_TEST(s, test_estimates);
	CU_ADD_TEST(s, test_same_diagram);
	CU_ADD_TEST(s, test_stop);
	CU_ADD_TEST(s, test_stop_in_part);
	CU_ADD_TEST(s, test_refuse_overlap);
	CU_ADD_TEST(s, test_refuse_sum_of_conditions);
	CU_ADD_TEST(s, test_refuse_chain);
	CU_ADD_TEST(s, test_refuse_product);
	CU_ADD_TEST(s, test_refuse_mixture);
	CU_ADD_TEST(s, test_refuse_ratio);
	CU_ADD_TEST(s, test_refuse_impossible);
	CU_ADD_TEST(s, test_always);
	CU_ADD_TEST(s, test_refuse_many);
	CU_ADD_TEST(s, test_refuse_underived);
	CU_ADD_TEST(s, test_no_cascade);
	CU_ADD_TEST(s, test_random_plain);
	CU_ADD_TEST(s, test_random_wrong);
	CU_ADD_TEST(s, test_random_stops);
	CU_ADD_TEST(s, test_heads_fine);
	CU_ADD_TEST(s, test_heads_impossible);
	CU_ADD_TEST(s, test_heads_twice);
	CU_ADD_TEST(s, test_heads_redundant);
	CU_ADD_TEST(s, test_head_by_itself);
	CU_ADD_TEST(s, test_rank);
	CU_ADD_TEST(s, test_identify);
	CU_ADD_TEST(s, test_drawn);
	return suite_end();
}
