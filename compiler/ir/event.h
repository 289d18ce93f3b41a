/*
 * Events: what can happen to an impression, and the probabilities of it (part E of the modelling reference).
 *
 * An event tree is declared once.  Its leaves cut the outcome space into cells; a formula over events denotes
 * a set of cells.  Heads estimate P(of | given); every other probability is derived from them as a decision
 * diagram.
 */
#ifndef EVENT_H
#define EVENT_H
#include "base/arena.h"
#include "base/source.h"
#include "base/str.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

enum { CELL_EVENTS = 12 }; /* most events one expression may involve */

typedef enum { F_TRUE, F_EVENT, F_NOT, F_AND, F_OR } FormulaKind;
typedef struct Formula Formula;
struct Formula {
	FormulaKind kind;
	int event; /* F_EVENT; that it happened implies that its ancestors happened */
	const Formula *a, *b;
	Span span;
};

enum { LABEL_NOT = -1, LABEL_AND = -2, LABEL_OR = -3 };
typedef struct {
	Str name;
	int parent; /* -1; a parent comes before its children */
	Span span;
	VEC(int16_t) label; /* postfix over Events.column, in three-valued logic */
	Str label_text;	    /* as written: "cart | wish" */
} Event;

typedef struct {
	VEC(int) event;
	int given; /* -1: unconditionally */
	Span span;
} Independent;

/* P[estimate](of | given) = sigmoid(logit) */
typedef struct {
	const Formula *of, *given; /* given F_TRUE when there is no bar */
	Str estimate;		   /* NULL: the main one */
	Str name;		   /* for people: the tower's name, "ctr", or "h.click" */
	Span span;
	int logit; /* NodeId of the logit [n] */
} Head;

typedef struct {
	Arena *arena;
	StrTab *str;
	VEC(Event) event;
	VEC(Str) column; /* label columns */
	VEC(Independent) independent;
	VEC(Head) head;
} Events;

Events *events_new(Arena *a, StrTab *str);
int event_find(const Events *e, Str name); /* -1 */
const Formula *formula_true(void);
const Formula *formula_event(const Events *e, int event, Span s);
const Formula *formula_not(const Events *e, const Formula *a, Span s);
const Formula *formula_and(const Events *e, const Formula *a, const Formula *b, Span s);
const Formula *formula_or(const Events *e, const Formula *a, const Formula *b, Span s);
void formula_text(const Events *e, const Formula *f, Text *out); /* "click & !act" */
/* "P(buy | click)" or with name "buy|click" (what metrics and files call it: no spaces, no P) */
void prob_text(const Events *e, Str estimate, const Formula *of, const Formula *given, Text *out);
Str prob_name(const Events *e, Str estimate, const Formula *of, const Formula *given);

/* ---- sets of cells, over the events that the formulas named in one context involve, and their ancestors
 * ---- */
typedef struct Cells Cells;
/* NULL when more than CELL_EVENTS events are involved. */
Cells *cells_new(const Events *e, int n, const Formula *const *f);
int cells_count(const Cells *c);
const uint64_t *cells_of(Cells *c, const Formula *f); /* a bit set; (count + 63) / 64 words */
bool cells_equal(Cells *c, const Formula *a, const Formula *b);
bool cells_subset(Cells *c, const Formula *a, const Formula *b); /* a implies b */
bool cells_disjoint(Cells *c, const Formula *a, const Formula *b);
bool cells_empty(Cells *c, const Formula *a);
/* a implies b, over cells of their own; false when they involve too many events to tell. */
bool formula_implies(const Events *e, const Formula *a, const Formula *b);
int cells_words(const Cells *c);
const uint64_t *cells_all(const Cells *c);
/*
 * The shortest formula we find for `set`, given that `within` holds (a condition, or cells_all): "buy",
 * "click & !act". F_TRUE when set contains within.
 */
const Formula *cells_formula(Cells *c, const uint64_t *set, const uint64_t *within);

/* ---- decision diagrams: over heads (probabilities) or over events (labels) ---- */
typedef struct {
	int test;   /* head or event */
	int hi, lo; /* node if it holds, if it does not; 0 and 1 are the constants */
	bool stop;  /* heads: no gradient through this occurrence */
} DiagramNode;

typedef struct {
	VEC(DiagramNode) node; /* [0], [1]: the constants */
	int root;
} Diagram;

/*
 * Reduced: equal nodes are one, a node whose branches are equal is that branch.  A node comes after what it
 * points to.
 */
Diagram *diagram_new(const Events *e);
int diagram_node(const Events *e, Diagram *d, int test, bool stop, int hi, int lo);

/*
 * The formula as a diagram over events, each tested after its parent and only where the parent holds.  With
 * runtime-normalised labels (child true: ancestors true; parent false: descendants false) a path exists
 * exactly when a consistent cell does.
 */
Diagram *diagram_events(const Events *e, const Formula *f);
/* n, and in *cell one formula for each way the listed events can turn out together. */
int joint_cells(const Events *e, int n, const int *event, const Formula *const **cell);

/*
 * A probability over heads: one diagram (logit by MIX), or log P(yes) - log P(no) of two.  A diagram may be a
 * constant (root 0 or 1): P(click | buy) is 1 where buy is part of click.
 */
typedef struct {
	bool ok;
	Diagram *of;	   /* P(of | given), when it can be reached from `given` */
	Diagram *yes, *no; /* else the two parts of the ratio */
	/* when not ok: what is missing, in words for the author, and where to look */
	const char *why;
	Span where;	  /* a declaration that is the second place, or nowhere */
	const char *help; /* or NULL */
} Derived;

/* E2 of the reference.  estimate NULL: main heads only; else heads of that estimate where there are any. */
Derived derive(const Events *e, Str estimate, const Formula *of, const Formula *given);
/* The same without some heads: without[head], or NULL. */
Derived derive_without(const Events *e, Str estimate, const Formula *of, const Formula *given,
		       const bool *without);
/* Its value, where head_prob[i] is the probability that head i gives. */
double derived_eval(const Events *e, const Derived *d, const double *head_prob);
bool derived_uses(const Derived *d, int head);
/* "AND(ctr, MIX(y2, y3, y4))" with the heads' names. */
void derived_text(const Events *e, const Derived *d, Text *out);

/* ---- probability expressions, as the author writes them ---- */
typedef enum { PX_EVENT /* P(of | given) */, PX_NOT /* 1 - a */, PX_MUL, PX_ADD, PX_DIV, PX_STOP } ProbKind;
typedef struct Prob Prob;
struct Prob {
	ProbKind kind;
	Str estimate;
	const Formula *of, *given;
	const Prob *a, *b;
	Span span;
};

/* What a probability expression was proven to denote (E1): P(of | given), with its diagram. */
typedef struct {
	Str estimate;
	const Formula *of, *given; /* given F_TRUE when it is unconditional, however it was written */
	Derived derived;	   /* with PX_STOP's heads marked */
	bool read_only;		   /* written as a ratio: to be served, not trained */
} ProbType;
#endif
