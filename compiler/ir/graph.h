/*
 * The graph: where a model is thought about.  Shapes, gradients, sharing between tasks.
 *
 * Nodes sit in one array and refer to each other by index; 0 means none; operands come before their users.
 * A node's value is a tensor per row ([n, d...]) or free of rows (parameters, constants, sums over rows).
 */
#ifndef GRAPH_H
#define GRAPH_H
#include "base/arena.h"
#include "base/source.h"
#include "base/str.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

typedef int NodeId;

typedef enum {
	OP_NONE,
#define OP(NAME, word, n_in, group) OP_##NAME,
#include "ir/ops.def"
#undef OP
	OP_N
} OpCode;

enum { SHAPE_DIMS = 3 };

/*
 * [n, d0, d1, d2] with rows, [d0, d1, d2] without.  nd 0: a scalar (per row, if rows).  With seq, a value for
 * every step of every row: [n, T, d0, ..], T each row's own length.
 */
typedef struct {
	bool rows;
	int nd;
	int32_t d[SHAPE_DIMS];
	int seq; /* 1 + the sequence of Spec.seq whose steps it follows; 0: one value a row */
} Shape;

Shape shape_scalar(bool rows);
Shape shape_1(bool rows, int d0);
Shape shape_2(bool rows, int d0, int d1);
Shape shape_over(Shape of, Shape s); /* s for the rows or steps that `of` has */
bool shape_eq(Shape a, Shape b);
int64_t shape_size(Shape s);		   /* elements per row, or in all */
const char *shape_text(Arena *a, Shape s); /* "[n, 360]" */

/* Of a dense layer's weights when scoring: attr.i of DENSE and its kin; INT8: attr.k scale and attr.k2 zero
 * of its input's bytes. */
typedef enum { PRECISION_F32, PRECISION_BF16, PRECISION_INT8 } Precision;
static const char *const precision_word[] = {"single", "bf16", "int8"};

/* What a node needs beyond its operands; which fields an op uses is said in its row. */
typedef struct {
	double k, k2; /* numbers: a constant, a slope, a probability */
	int32_t i, j; /* indices: feature, parameter, table, noise, first column, width */
	Str word;
} Attr;

typedef struct {
	OpCode op;
	Shape shape;
	int n_in;
	NodeId *in;
	Attr attr;
	Span span;
	Str name; /* the author's name for the value, or NULL */
} Node;

/* A dense parameter.  Its node is OP_PARAM with attr.i = index here. */
typedef enum { INIT_ZERO, INIT_CONST, INIT_NORMAL, INIT_UNIFORM } InitKind;
typedef struct {
	InitKind kind;
	double a, b;
} Init;

typedef struct {
	Str name;    /* "tower.ctr.0.weight" */
	Shape shape; /* without rows */
	Init init;
	Span span;
	bool frozen;
	uint64_t losses; /* by pass_reach: the losses whose gradient it receives (bit 63: all from 63 on) */
	bool shared;	 /* by pass_boundary: several losses teach it */
	int64_t block;	 /* then: where it lies in a task's block of gradients */
	bool serving;	 /* by pass_reach: an output depends on it */
	Str into;	 /* by pass_absorb: the weights it is a part of when scoring, or NULL */
	bool expert;	 /* part of a replicated block (symmetry lint, reports) */
} Param;

typedef enum {
	ROOT_OUTPUT,
	ROOT_WATCH,
	ROOT_LOSS,
	ROOT_COUNT,
	ROOT_GRAD,
	ROOT_DROW,
	ROOT_GIVEN,
	ROOT_ITEM,
	ROOT_GATE,
	ROOT_TASK_GRAD,
	ROOT_TASK_DROW,
	ROOT_NEXT
} RootKind;
/*
 * What must be computed.  index: output, 3*watch + {0 logit, 1 label, 2 weight}, loss, loss, parameter,
 * lookup, first float in REQUEST, first column of ITEM, first column in GATE, task x parameters + parameter,
 * task x lookups + lookup, number in Spec.running.
 *
 * LOSS and COUNT roots are per-row values [n] that the lowering sums over rows; GRAD roots are sums over rows
 * that are added into the parameter's gradient (several roots for one parameter add up); DROW roots are
 * [n, dim].  TASK_GRAD and TASK_DROW are the same of one task.  NEXT is free of rows.
 */
typedef struct {
	RootKind kind;
	int index;
	NodeId node;
} Root;

typedef struct {
	Arena *arena;
	StrTab *str;
	VEC(Node) node; /* [0] is OP_NONE */
	VEC(Root) root;
} Graph;

Graph *graph_new(Arena *a, StrTab *str);
Graph *graph_copy(const Graph *g); /* operands copied too */
/* Shape and span of the new node: by the op's shape rule, and given. */
NodeId graph_push(Graph *g, OpCode op, Shape s, int n_in, const NodeId *in, Attr attr, Span span);
/* The same, with the shape from the op's rule; a refusal is a bug. */
NodeId graph_op(Graph *g, OpCode op, int n, const NodeId *in, Attr attr, Span span);
NodeId graph_const(Graph *g, double k, Span span);
/* Shorthands of gradient rules; the span is that of an operand. */
NodeId graph_1(Graph *g, OpCode op, NodeId a);
NodeId graph_2(Graph *g, OpCode op, NodeId a, NodeId b);
NodeId graph_3(Graph *g, OpCode op, NodeId a, NodeId b, NodeId c);
NodeId graph_4(Graph *g, OpCode op, NodeId a, NodeId b, NodeId c, NodeId d);
NodeId graph_k(Graph *g, NodeId like, double k);	      /* a constant, placed where `like` is */
NodeId graph_reshape(Graph *g, NodeId a, Shape s);	      /* a itself if it has that shape */
NodeId graph_slice(Graph *g, NodeId a, int first, int width); /* of [n, d] */
/* Sums x to the shape of an operand that was broadcast. */
NodeId graph_reduce_to(Graph *g, NodeId x, Shape to);
/* The scan that gives a state its values; it comes after the state. */
NodeId graph_scan(const Graph *g, NodeId state);
void graph_root(Graph *g, RootKind kind, int index, NodeId node);
const Node *graph_node(const Graph *g, NodeId id);
void graph_dump(const Graph *g, Text *out);
/* Every rule above and every op's own; one line per fault. */
int graph_verify(const Graph *g, Text *faults);
#endif
