/*
 * What a kernel does to a result on its way to memory: one absorbed elementwise op, with operands at the same
 * place.
 */
#ifndef OPS_STORE_H
#define OPS_STORE_H
#include "ir/lowering.h"
#include "ir/op.h"

typedef struct {
	SrcKind kind;
	double k;
	int64_t stride;
	int buf; /* in the kernel, by store_buffers */
} Src;

typedef struct {
	OpCode op;
	Attr attr;
	int n;
	Src src[4];
	const char *suffix; /* for the kernel's name */
	Mod *m;
} Store;

typedef struct {
	int x[4];
} StoreRegs;

/* The store of node id, if an op was absorbed: *s filled, its operands' places appended to arg[*n]; else
 * NULL. */
Store *store_of(Lowering *l, NodeId id, Store *s, Loc *arg, int *n);
void store_buffers(Fn *f, Store *s);			/* declares them, in the same order */
StoreRegs store_regs(Fn *f, const Store *s, int lanes); /* before any unrolled loop */
/* The expression to store, given the result at (row, col), `count` lanes of it. */
int store_expr(Fn *f, const Store *s, const StoreRegs *r, int result, Aff row, Aff col, Aff count);
#endif
