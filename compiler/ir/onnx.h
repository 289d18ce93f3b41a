/*
 * The ONNX form: a scoring graph in the operators of ONNX, opset 13, for whoever must hand a model to another
 * runtime.
 *
 * The rows of ops (op.h) say how each is written; pass/onnx.c walks the graph; emit/emit_onnx.c prints the
 * file.  A value with rows has at least one dimension behind them: [n] of the graph is [n, 1] here, so that
 * ONNX broadcasts as the graph does.  A value of every step is [n, T, d], T the longest of the batch; what
 * lies behind a row's own steps is anything, and no reduction over steps lets it in.
 */
#ifndef ONNX_H
#define ONNX_H
#include "ir/graph.h"
#include "ir/spec.h"

enum { ONNX_OPSET = 13, ONNX_IR = 7 };

/* TensorProto.DataType */
typedef enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9, ONNX_DOUBLE = 11 } OnnxType;

typedef struct {
	Str name;  /* NULL: its number stands for it */
	bool wide; /* it has a dimension of rows in fact; else what is said of it by its shape is still to be
		      broadcast */
} OnnxValue;

/* A node has one attribute at most: an integer, a list of one integer, or a number. */
typedef enum { ONNX_NO_ATTR, ONNX_ATTR_INT, ONNX_ATTR_INTS, ONNX_ATTR_FLOAT } OnnxAttrKind;
typedef struct {
	OnnxAttrKind kind;
	const char *name;
	int64_t i;
	double f;
} OnnxAttr;

typedef struct OnnxNode {
	Str op;
	VEC(int) in;
	int out; /* values */
	OnnxAttr attr;
	struct OnnxScan *scan; /* of a Scan */
} OnnxNode;

/* A value in a body, which is of one step. */
typedef struct {
	int value;
	OnnxType type;
	Shape shape;
} OnnxStep;

/*
 * The body of a Scan over the second dimension, and its outputs: the last states, which nobody reads, and the
 * states of every step.
 */
typedef struct OnnxScan {
	int n_state;
	VEC(OnnxNode) node;
	/* In: the states, is there such a step (bool), what is read step by step.  Made: new states, and
	 * again, as what it yields. */
	VEC(OnnxStep) in;
	VEC(OnnxStep) made;
	VEC(int) given; /* outside */
} OnnxScan;

typedef struct {
	int value;
	OnnxType type;
	bool list; /* [rows, items]; else [rows] */
	int feature;
	int seq; /* 1 + the sequence whose numbers of steps these are; 0: a feature's */
} OnnxInput;

/* A constant with its bytes, or a parameter or table of the model, whose bytes the driver brings. */
typedef struct {
	int value;
	OnnxType type;
	int nd;
	int64_t dim[SHAPE_DIMS];
	const void *data; /* little-endian; NULL until brought */
	int64_t bytes;
	bool weight;
} OnnxTensor;

/* What the data gave a feature, beyond the spec. */
typedef struct {
	const double *edges;
	int n_edges;
	double shift, scale;
} OnnxCode;

typedef struct Onnx {
	Arena *arena;
	StrTab *str;
	const Spec *spec;
	const Graph *g;
	const OnnxCode *code; /* [feature] */
	VEC(OnnxValue) value; /* [0] is none */
	VEC(OnnxNode) node;
	VEC(OnnxInput) input;
	VEC(OnnxTensor) tensor;
	VEC(int) output;
	int *raw, *weight; /* [feature] inputs: values, and the weights of lists; 0: not asked for */
	int *length;	   /* [sequence] inputs: numbers of steps */
} Onnx;

Onnx *onnx_new(Arena *a, StrTab *str, const Spec *s, const Graph *g, const OnnxCode *code);
/* What messages and files call a value. */
Str onnx_name(const Onnx *o, int value);

/* ---- the words that rows of ops are written in; equal nodes become one ---- */

int onnx_node(Onnx *o, const char *op, int n, const int *in, OnnxAttr attr);
int onnx_1(Onnx *o, const char *op, int a);
int onnx_2(Onnx *o, const char *op, int a, int b);
int onnx_3(Onnx *o, const char *op, int a, int b, int c);
int onnx_axis(Onnx *o, const char *op, int a, int axis); /* the attribute axis */
int onnx_number(Onnx *o, OnnxType t, double x);		 /* a scalar */
int onnx_numbers(Onnx *o, const double *x, int n);	 /* double, [n] */
int onnx_ints(Onnx *o, int n, const int64_t *x);	 /* [n] */
int onnx_weight(Onnx *o, Str name, int nd, const int64_t *dim);
/* What becomes of a feature's input ([n], of a list [n, items]): its table rows; the number after its
 * normaliser, 0 where it is missing; 1 where it is there. */
int onnx_rows(Onnx *o, int feature);
int onnx_real(Onnx *o, int feature);
int onnx_present(Onnx *o, int feature);
int onnx_weights(Onnx *o, int feature); /* of a list: [n, items], 0 for what only fills up */
/* Of the 1 + sequence s: numbers of steps [n, 1, 1], places of steps [T, 1], both int64; has the row such a
 * step, bool [n, T, 1]. */
int onnx_length(Onnx *o, int s);
int onnx_places(Onnx *o, int s);
int onnx_steps(Onnx *o, int s);
int onnx_value(Onnx *o); /* a new one, with rows */
/*
 * An expression over operands a, b, c, d (x[0] .. x[3]), the attribute k, numbers and what was named before:
 * "u = Neg(a); Mul(k, Exp(u))".
 */
int onnx_expr(Onnx *o, const Node *n, const int *x, const char *text);
/* x as a tensor of that shape in fact, and in the form for it. */
int onnx_whole(Onnx *o, int x, Shape s);
/* The same elements: of rows [n, d...], at least one dimension behind them. */
int onnx_reshape(Onnx *o, int x, Shape to);
#endif
