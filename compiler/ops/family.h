/* What the op families share: shape rules and the words scalar expressions are written in. */
#ifndef OPS_FAMILY_H
#define OPS_FAMILY_H
#include "ir/lowering.h"
#include "ir/op.h"

/* ---- shape rules ---- */
bool shape_like_first(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
		      const char **why);
/* Broadcasting: scalar < [d] < [n] (as [n, 1]) < [n, d]; equal dimensions otherwise. */
bool shape_broadcast(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why);

/* ---- ONNX: an op as one expression over its operands (ir/onnx.h) ---- */
#define ONNX(name, text)                                                                                     \
	static int name##_onnx(Onnx *o, const Node *n, const int *x) { return onnx_expr(o, n, x, text); }

/* ---- scalar expressions: x is a register, results are expressions ---- */
static inline int e_x(Each *e, int reg) { return e_reg1(e->f, reg); }
static inline int e_k(Each *e, double k) { return e_const(e->f, e->lanes, k); }
static inline int e_add(Each *e, int a, int b) { return e_op2(e->f, E_ADD, a, b); }
static inline int e_sub(Each *e, int a, int b) { return e_op2(e->f, E_SUB, a, b); }
static inline int e_mul(Each *e, int a, int b) { return e_op2(e->f, E_MUL, a, b); }
static inline int e_div(Each *e, int a, int b) { return e_op2(e->f, E_DIV, a, b); }
static inline int e_min(Each *e, int a, int b) { return e_op2(e->f, E_MIN, a, b); }
static inline int e_max(Each *e, int a, int b) { return e_op2(e->f, E_MAX, a, b); }
static inline int e_abs(Each *e, int a) { return e_op1(e->f, E_ABS, a); }
static inline int e_neg(Each *e, int a) { return e_sub(e, e_k(e, 0), a); }
static inline int e_lt(Each *e, int a, int b, int yes, int no) { return e_op4(e->f, E_SELLT, a, b, yes, no); }
int e_fn(Each *e, const char *value, int a); /* "exp", "log1p", ... */
int e_keep_as(Each *e, int expr); /* puts an expression in a register of its own, to be used several times */

#endif
