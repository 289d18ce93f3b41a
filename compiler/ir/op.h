/*
 * The row of an op: what the compiler knows about it, and all it needs to know.  The rows stand in ops/, a
 * file a family.
 */
#ifndef OP_H
#define OP_H
#include "ir/graph.h"
#include "ir/loop.h"

struct Lowering;
struct Onnx;

typedef enum {
	GROUP_INPUT,
	GROUP_EMBED,
	GROUP_UNARY,
	GROUP_BINARY,
	GROUP_DENSE,
	GROUP_REDUCE,
	GROUP_SHAPE,
	GROUP_MIX,
	GROUP_SEQ,
	GROUP_PEERS
} OpGroup;

/* Where the scalar expression of an elementwise op is built: `lanes` wide, in f. */
typedef struct {
	Mod *m;
	Fn *f;
	int lanes;
} Each;

typedef struct {
	const char *word;
	int n_in; /* -1: any number */
	OpGroup group;
	const char *doc;     /* one sentence */
	const char *formula; /* "y = max(x, 0)" */
	const char *example; /* "relu([-1, 0, 2]) == [0, 0, 2]": run as a test; NULL where an example needs
				parameters */
	/* The shape of the result; false: *why says what is wrong, in an author's words. */
	bool (*shape)(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
		      const char **why);
	/* din[i] = derivative with respect to operand i given dout; 0 where there is none.  NULL: no gradient
	 * at all. */
	void (*grad)(Graph *g, NodeId id, NodeId dout, NodeId *din);
	/* Elementwise: an expression over one-element registers x[i].  May set registers of its own. */
	int (*each)(Each *e, const Attr *attr, const int *x);
	/* Not elementwise: appends the calls that compute the node (ir/lowering.h). */
	void (*lower)(struct Lowering *l, NodeId id);
	/* May node id be computed by the call of `first` and those already with it?  NULL: never. */
	bool (*joins)(const struct Lowering *l, NodeId first, NodeId id);
	bool by_rows; /* its call goes over the rows of the block, though steps are read or written */
	/* The node in ONNX, of operands x: a value (ir/onnx.h).  NULL: scoring has no such node. */
	int (*onnx)(struct Onnx *o, const Node *n, const int *x);
	/* Computed where all rows meet, from and to values that are kept for the whole batch: its call goes
	 * over a range of groups of rows (SLOT_GROUP), not over the rows of a block. */
	bool meets;
	bool scratch;  /* elementwise: `each` makes registers, so it cannot stand in a kernel's store */
	double lo, hi; /* domain of operands for random tests; lo == hi: -2 .. 2 */
} Op;

extern const Op *const op_table[OP_N]; /* op_table[OP_RELU]->shape(...) */

OpCode op_find(const char *word); /* OP_NONE */
#endif
