/*
 * Names and what they stand for.
 *
 * A scope is a chain of bindings, newest first, never changed: whoever keeps a pointer into it keeps what was
 * known there. That is how a loss written before the last head still means the values of its own place.
 */
#ifndef SCOPE_H
#define SCOPE_H
#include "ir/ast.h"
#include "ir/event.h"
#include "ir/graph.h"

typedef enum {
	V_POISON, /* an error was told; whatever touches it stays silent */
	V_NUMBER,
	V_STRING,
	V_WORD, /* the name of an event */
	V_LIST,
	V_KEYED, /* h[click], h[like] */
	V_TENSOR,
	V_SCORE, /* a number made of probabilities, no longer the probability of an event: its log, if that is
		    known */
	V_PROB,	 /* a probability expression, proven where it is used */
	V_LOSS,	 /* a value per row with the rows that count */
	V_CLASS, /* the classes' probabilities [n, k]: node holds their logits */
	V_GROUP, /* features */
	V_SEQ,	 /* a behaviour sequence: its fields, joined or one of them */
	V_LAYER
} ValueKind;

typedef enum {
	ROLE_NONE,
	ROLE_CONST,
	ROLE_LOOP,
	ROLE_ARGUMENT,
	ROLE_WEIGHTS,
	ROLE_SHARED,
	ROLE_EXPERTS,
	ROLE_GATE,
	ROLE_TOWER,
	ROLE_LET
} Role;

typedef struct Value Value;
struct Value {
	ValueKind kind;
	Role role;
	Str name; /* as the author calls it: "ctr", "h.click"; an event's name for V_WORD */
	Span span;
	double number;
	Str text;
	NodeId node;  /* V_TENSOR; V_SCORE without a log; V_LOSS: the row's loss [n] */
	NodeId log;   /* V_SCORE: log of the value, 0 when it is not known to be positive */
	NodeId count; /* V_LOSS: [n] 1 where the row counts; 0: every row does */
	int outcome;  /* V_CLASS, V_SCORE: 1 + index of the head in Check.outcome it is, or 0 */
	Str rows;     /* V_LOSS: "click", for messages; NULL: all rows */
	const Prob *prob;
	int group; /* V_GROUP; V_SEQ: index in Spec.seq */
	int layer; /* index of a layer in the language, or -1 - index of a built-in */
	VEC(Str) key;
	VEC(const Value *) item;
};

typedef struct Binding Binding;
struct Binding {
	Str name;
	const Value *value; /* NULL: the name ends here (a loop's variable after its loop) */
	Role role;
	Span span;
	bool *used;
	const Binding *next;
};

const Binding *scope_push(Arena *a, const Binding *top, Str name, const Value *v, Role role, Span span);
/* Marks the binding as used.  NULL when there is none. */
const Binding *scope_find(const Binding *top, Str name);
const char *role_word(Role r);		     /* "tower" */
const char *value_kind_word(const Value *v); /* "a list" */

/* Names collected for "did you mean". */
typedef struct {
	Arena *arena;
	VEC(const char *) name;
} Near;
void near_add(Near *n, const char *name);
void near_scope(Near *n, const Binding *top);
const char *near_best(const Near *n, const char *wanted); /* NULL */
#endif
