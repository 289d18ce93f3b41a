/*
 * The plan of one entry: which nodes it computes, in which groups, in which order, and where their values
 * lie.
 *
 * pass/lower.c makes an entry of a plan: plan_new, levels, places for what has to lie somewhere, joins,
 * items, then carry_out.
 */
#ifndef PASS_PLAN_H
#define PASS_PLAN_H
#include "ir/op.h"
#include "pass/pass.h"
#include "pass/stage.h"

/* A graph of the model, with what its entries share. */
typedef struct {
	const Graph *g;
	Str tag;
	Stages st;
	Loc *free; /* PRE nodes: where they lie in PACKED (slot of the pre entry) */
	int *walk; /* per node: 1 + the scan whose body it belongs to, or 0 */
} Part;

/* The module in the making. */
typedef struct {
	Arena *arena;
	Spec *spec;
	const Target *t;
	Mod *mod;
	Packing packing;
	int64_t n_grad, n_acc, request, item;
	Loc *acc;      /* train graph: where PHASE_SUM nodes lie in ACC (offset), or none */
	int *keep;     /* per node of the train graph: its number in KEEP, */
	int64_t *meet; /* and where it lies in MEET */
	Lowered *out;
} Lower;

/* ---- roots an entry leaves ---- */

bool any_root(const Root *r);
bool output_root(const Root *r);
bool watch_root(const Root *r);
bool gate_root(const Root *r);
bool count_root(const Root *r);
bool step_root(const Root *r);
bool late_root(const Root *r);
bool grad_root(const Root *r);
bool post_root(const Root *r);
bool drow_root(const Root *r);
bool no_root(const Root *r);
bool given_root(const Root *r);
bool item_root(const Root *r);
bool pair_root(const Root *r);
bool roots_train(bool (*wanted)(const Root *)); /* those of a training step */

/* A call to be made. */
typedef struct {
	int level;
	int walk;	  /* 1 + the scan it is part of, or 0 */
	bool view;	  /* after everything else of its level */
	NodeId id;	  /* the first node */
	VEC(NodeId) node; /* several: an elementwise group */
} Item;

/* What one entry computes. */
typedef struct {
	Lower *w;
	Lowering *l;
	const Part *part;
	int stage;  /* of the rows; in POST: the meeting, or 0 after the last */
	bool *live; /* needed here and computed here */
	bool *kept; /* elementwise: needed outside its group */
	int *uses, *level;
	int *top;      /* level; of a node in a body, that of the body */
	bool *map;     /* computed in an elementwise group */
	bool *carried; /* computed by the call of another node */
	NodeId *given; /* handed over by the request's entry: 1 + where in REQUEST, or NULL */
	NodeId *row;   /* by the items' entry: 1 + where in a row of ITEM, or NULL */
	VEC(Item) item;
} Plan;

static inline bool plan_elementwise(const Node *n) { return op_table[n->op]->each != NULL; }
static inline bool plan_is_view(OpCode op) { return op == OP_RESHAPE || op == OP_SLICE || op == OP_SCAN; }

/* Marks what the wanted roots need and this entry has to compute; places what is given or left over. */
Plan plan_new(Lower *w, Lowering *l, const Part *part, Phase phase, int stage, bool (*wanted)(const Root *));
bool plan_due(const Plan *p, const Root *r, Phase phase); /* is the root left by this entry? */
bool plan_leaves(const Plan *p, NodeId id, Phase phase);  /* is the node, for others? */
Loc plan_keep_place(Plan *p, NodeId id);		  /* of a value that crosses a meeting */
void plan_levels(Plan *p);
/* Puts a value where it will be wanted, if it is computed here and not placed yet. */
bool plan_place(Plan *p, NodeId id, Loc at);
void plan_place_joins(Plan *p); /* joined values side by side */
void plan_joins(Plan *p); /* nodes that one call computes; after everything that has a place is placed */
void plan_items(Plan *p);
/* ---- plan_order.c ---- */
void plan_place_states(Plan *p); /* where scans' states will lie */
void plan_carry_out(Plan *p);	 /* lowers all items */

NodeId plan_behind(const Graph *g, NodeId id); /* the node behind reshapes, which lies in the same place */

/* ---- drows.c: gradients of looked-up rows, of roots DROW and TASK_DROW ---- */
int drow_lookup(const Spec *s, const Root *r);
int drow_column(const Spec *s, const Root *r);
NodeId drow_joined(const Graph *g, const Root *r);
int drow_region(const Spec *s, const Graph *g, const Root *root, NodeId whole);
#endif
