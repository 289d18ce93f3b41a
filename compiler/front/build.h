/*
 * From proven probabilities to graph nodes: logits by AND and MIX (D2), labels and rows (E3), losses on
 * logits. Cannot fail: what comes in was checked.
 */
#ifndef BUILD_H
#define BUILD_H
#include "ir/spec.h"

/* The logit [n] of a derived probability. */
NodeId build_logit(Spec *s, const Derived *d, Span span);
/* label [n] of P(of | given), and 1 where it is known and `given` holds, else 0. */
void build_label(Spec *s, const Formula *of, const Formula *given, Span span, NodeId *label, NodeId *known);
/*
 * -log P(what was observed) [n] over the listed events, parents first, unknown labels summed out.
 * independent: siblings are promised so; else each is taken given those before it.
 */
NodeId build_joint(Spec *s, int n, const int *event, bool independent, Span span);
/* A watch for P(of | given), unless there is one of that name; returns its index. */
int build_watch(Spec *s, Str estimate, const Formula *of, const Formula *given, const Derived *d, Span span);

/* "clk & pay": the columns that decide whether a row counts under this condition; "all". */
Str build_rows_text(Spec *s, const Formula *given);

/* Shorthands that push one elementwise node. */
NodeId node_const(Graph *g, double k, Span span);
NodeId node_op(Graph *g, OpCode op, int n, const NodeId *in, Span span);
#define node1(g, op, a, span)	       node_op((g), (op), 1, (NodeId[]){(a)}, (span))
#define node2(g, op, a, b, span)       node_op((g), (op), 2, (NodeId[]){(a), (b)}, (span))
#define node3(g, op, a, b, c, span)    node_op((g), (op), 3, (NodeId[]){(a), (b), (c)}, (span))
#define node4(g, op, a, b, c, d, span) node_op((g), (op), 4, (NodeId[]){(a), (b), (c), (d)}, (span))
#endif
