/* What the parts of dense layers' kernels share: dense_*.c, and tail.c (outputs that fill no vector). */
#ifndef OPS_DENSE_H
#define OPS_DENSE_H
#include "ir/terms.h"
#include "ops/store.h"

enum { HEAD = TERMS_HEAD, TAIL_LANES = TERMS_LANES };

/* Terms of a sum: columns x .. x + n of the value times rows k .. k + n of the weights. */
typedef struct {
	int x, k, n;
} Part;

/* Rows of X times packed weights P, into Y. */
typedef struct {
	const Target *t;
	int K, N;
	int n_part;
	const Part *part;
	int64_t xs, ys, fs; /* of a row */
	bool bias;	    /* sums start from the biases in P */
	bool from;	    /* sums start from F */
	bool open;	    /* sums end as they stand, to go on elsewhere */
	const Store *store;
	int X, P, F, Y, n; /* buffers, and the number of rows */
	bool small;	   /* batches of a few rows are worth code of their own: scoring */
} Product;

static inline int mad(Fn *f, const Target *t, int a, int b, int c)
{
	return t->fma ? e_op3(f, E_FMA, a, b, c) : e_op2(f, E_ADD, e_op2(f, E_MUL, a, b), c);
}

/* An unrolled loop of n; for n == 1 nothing is opened and the variable is -1. */
static inline int unroll(Fn *f, const char *name, int n, int *opened)
{
	if (n == 1) return -1;
	++*opened;
	return f_unroll(f, name, 0, n);
}

/*
 * The last outputs first .. first + n of a layer, summed in `chains` chains each: so many lanes that together
 * they fill LANES.  n 0: all outputs are one chain each.
 */
typedef struct {
	int first, n, chains;
} Tail;

Tail tail_of(int N);
int64_t tail_packed(const Tail *a, const Part *part, int n_part); /* floats */
/* Weights [K, N] and biases (B -1: none) to P at `at`. */
void tail_pack(Fn *f, const Target *t, const Tail *a, int N, const Part *part, int n_part, int W, int B,
	       int P, int64_t at);
void tail_rows(Fn *f, const Product *d, const Tail *a, int64_t at);

/* ---- what is packed (dense_pack.c) ---- */

/* N outputs as `full` panels of J vectors and one of `rest` vectors, whose last has `tail` lanes. */
typedef struct {
	int full, rest, tail;
	int64_t panel; /* floats of a full packed panel: bias, then K rows */
	int64_t size;
} Panels;

Panels panels_of(const Target *t, int K, int N);
/* Floats of the panels of N outputs: those of whole vectors, where the others are a tail. */
int64_t panels_size(const Target *t, int K, int N);

/* Products of one input computed side by side: `width` outputs each, `total` in all. */
typedef struct {
	int n, total, width[8];
	NodeId id[8];
	bool bias;
	Tail tail; /* of a layer alone */
	int n_part;
	Part part[TERMS_MAX];
} Joint;

int64_t packed_size(const Target *t, int K, const Joint *d);
Fn *pack_kernel(Lowering *l, int K, const Joint *d, bool transposed);
const char *tail_text(Lowering *l,
		      const Joint *d); /* a tail's weights lie in the order of its terms: for names */

/* ---- reduced precision (dense_narrow.c) ---- */

/* group: weights in a word, 2 or 4; 0: a float each.  Of 4: a byte b of the input means scale (b - zero). */
typedef struct {
	int group;
	double scale, zero;
} Narrow;

Narrow narrow_of(const Node *n);
const char *narrow_text(Arena *a, const Narrow *q); /* for names */
int64_t narrow_size(const Narrow *q, const Target *t, int K, const Joint *d);
void narrow_pack(Fn *f, const Target *t, const Narrow *q, int K, const Joint *d, const int *W, const int *B,
		 int P);
/* Where the input lies as the product reads it: node x, at X; as bytes it is made once for all its products.
 */
Loc narrow_input(Lowering *l, const Narrow *q, NodeId x, Loc X, Span span);
void narrow_rows(Fn *f, const Product *d, const Narrow *q);

/* ---- loops of a product's kernel ---- */

void product_rows(Fn *f, const Product *d); /* dense_rows.c */
void head_rows(Fn *f, const Product *d);    /* dense_head.c */
/* dense_dw.c: dW += x' dy, rows of x and dy xs and ds apart */
Fn *dw_kernel(Lowering *l, int K, int N, int64_t xs, int64_t ds);
#endif
