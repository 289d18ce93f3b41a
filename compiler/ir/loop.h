/*
 * Loops: the lower form, from which C and LLVM are printed.  Buffers, loop nests, register arrays,
 * expressions; no op names, no tensors.  docs/ir.md tells it by example.
 *
 * Everything is an index into the function's arrays; index 0 of exprs and statements means "none".
 * Expressions are trees: each is used once.  Every operation is one IEEE rounding; an emitter keeps each as
 * it stands.
 */
#ifndef LOOP_H
#define LOOP_H
#include "base/arena.h"
#include "base/source.h"
#include "base/str.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

enum { AFF_TERMS = 6 };

/* c + sum mul*var: the only index arithmetic there is. */
typedef struct {
	int32_t c, n;
	struct {
		int32_t var, mul;
	} t[AFF_TERMS];
} Aff;

typedef enum {
	VAR_SIZE,
	VAR_LOOP,
	VAR_UNROLL,
	VAR_LET
} VarKind; /* SIZE: a run-time argument; LET: set once */
typedef struct {
	Str name;
	VarKind kind;
} Var;

typedef enum { BUF_IN, BUF_OUT, BUF_INOUT, BUF_TEMP, BUF_VIEW } BufKind;
/* BF16 and I8 are narrow: of views only.  Loads make floats of them (I8 is signed); a store into I8 takes the
 * low byte of the integer towards 0, from -128 to 255. */
typedef enum { ELEM_F32, ELEM_I32, ELEM_BF16, ELEM_I8 } Elem;
/*
 * Parameters first.  A TEMP is not on the stack: it is `size` elements from element `at` of the function's
 * parameter number `home` (an f32 or i32 INOUT buffer that serves as workspace).  at is a multiple of 16.
 * A VIEW is an f32 parameter seen as other elements, from its element `at` on, written only if that is.
 */
typedef struct {
	Str name;
	BufKind kind;
	Elem elem;
	int64_t size; /* elements; 0: set by the caller, not checked here */
	int home;
	int64_t at;
} Buf;

typedef struct {
	Str name;
	int lanes, d0, d1; /* d0 x d1 vectors that must live in machine registers; lanes 0 in a value
			      function: as the call */
	bool words;	   /* holds words */
} Reg;

typedef enum {
	E_NONE,
	E_CONST, /* k rounded to float, in all lanes */
	E_REG,	 /* reg[ix][iy] */
	E_LOAD,	 /* buf[ix .. ix+lanes); if masked, lanes >= iy read 0 and are not touched.  An i32 buffer:
		    converted to float */
	E_KEEP,	 /* a in lanes < iy, else 0 */
	E_SPLAT, /* a, fewer lanes (mostly one), again and again in all lanes */
	E_LANE,	 /* lane k of a */
	E_SHUF,	 /* lane l = (a ++ b)[pat[l]] */
	E_CALL,	 /* a through value function ref */
	E_ADD,
	E_SUB,
	E_MUL,
	E_DIV,
	E_MIN,	 /* a < b ? a : b */
	E_MAX,	 /* a > b ? a : b */
	E_FMA,	 /* a*b + c, one rounding; refused in a variant without it */
	E_SELLT, /* a < b ? c : d */
	E_RINT,	 /* nearest, ties to even */
	E_SQRT,
	E_ABS,
	E_SCALB, /* a * 2^b, b integral, 2^b normal */
	E_EXPO,	 /* a = FRAC * 2^EXPO, FRAC in [1,2), a normal and > 0 */
	E_FRAC,
	/*
	 * Words: lanes of 32 bits that are no floats.  Four bytes, or two weights: PAIR.
	 * SPLAT and REG take them too.
	 */
	E_WORD,	 /* k, an integer, in every lane */
	E_WORDS, /* buf[ix ..) as it lies: a word is one element, two bf16 or four i8.  Masked: of f32 alone
		  */
	E_PAIR,	 /* of floats a, b: LOW of it is a rounded to bf16, WHOLE of it b rounded to what the low half
		    leaves open */
	E_QUAD,	 /* of floats a, b, c, d: bytes, the lowest first, each the low byte of the integer towards 0
		  */
	E_LOW,	 /* the float whose upper half is the low half of word a */
	E_WHOLE, /* word a as a float */
	E_DOT4,	 /* word a + the sum of four products, b's bytes unsigned, c's signed; mod 2^32 */
	E_WSUB,	 /* a - b of words, mod 2^32 */
	E_INT,	 /* word a, a signed integer, rounded to float */
	E_N
} ExprOp;

typedef struct {
	ExprOp op;
	int lanes, a, b, c, d, ref;
	bool masked;
	double k;
	Aff ix, iy;
	const uint8_t *pat;
} Expr;

typedef enum {
	S_NONE,
	S_FOR,	  /* var from lo to hi (not reached) by step; bounds run-time allowed */
	S_UNROLL, /* the same, constant bounds; only its variables may subscript registers */
	S_REG,	  /* reg begins to live, until the end of the enclosing FOR body or function */
	S_SET,	  /* reg[lo][hi] = expr */
	S_STORE,  /* buf[lo ..] = expr; if masked, only lanes < hi */
	S_LET,	/* var = lo | min(lo, hi) | max(lo, hi) | lo rounded down to a multiple of step | lo / step |
		   i32 buf[lo] */
	S_CALL, /* function ref on (buffer + offset)s and sizes */
	S_PREFETCH, /* the line of buf[lo], for reading and writing; a hint, any index allowed */
	S_PRODUCT   /* matrices: C = or += A B, see Product; the order of the sums is the library's */
} StmtOp;
/*
 * C [m, n] = or += A [m, k] B [k, n], rows `ld` elements apart; A or B may lie turned (A as [k, m]).
 * Stmt.arg: the places of C, A, B, then m, n, k.
 */
typedef enum { PRODUCT_A_TURNED = 1, PRODUCT_B_TURNED = 2, PRODUCT_ADDS = 4 } ProductForm;
typedef enum {
	LET_IS,
	LET_MIN,
	LET_MAX,
	LET_FLOOR,
	LET_DIV,
	LET_LOAD
} LetKind; /* FLOOR: a / step * step; DIV: a / step; a >= 0 */

typedef struct {
	int buf; /* -1: a size */
	Aff off;
} Arg;

typedef struct {
	StmtOp op;
	int next, body, var, ref, step, expr;
	LetKind let;
	bool masked;
	Aff lo, hi;
	VEC(Arg) arg;
	int form, ld[3]; /* PRODUCT: of C, A, B */
	Span span;	 /* the place in the model this came from */
} Stmt;

typedef struct Fn Fn;
struct Fn {
	Arena *arena;
	Str name;
	Str note;      /* one line for people: "dense 360 -> 200, relu"; or NULL */
	bool value;    /* a value function: reg 0 is the argument, reg 1 the result */
	bool exported; /* an entry: void name(void *const *buf, const int64_t *size), parameters and sizes in
			  order */
	VEC(Var) var;
	VEC(Buf) buf;
	VEC(Reg) reg;
	VEC(Expr) expr;
	VEC(Stmt) stmt;
	int n_param, first;
	double (*judge)(double); /* value functions: what the double interpreter uses instead (libm) */
	/* the builder's state: innermost open bodies */
	VEC(int) open, last;
	Span at; /* given to statements as they are built */
};

/* One instruction-set variant. */
typedef struct {
	Arena *arena;
	StrTab *str;
	Str name; /* prefix of exported symbols: "esmm_v4" */
	int W;	  /* lanes at most */
	bool fma;
	bool blas; /* has products of matrices, by a library */
	bool f64;  /* f32 elements and lanes are printed as double, value functions as their judges */
	bool dot4; /* the machine has DOT4 in 16 lanes as an instruction */
	VEC(Fn *) fn;
} Mod;

/* --- affine --- */
Aff aff_c(int64_t c);
Aff aff_v(int var);
Aff aff_add(Aff a, Aff b);
Aff aff_mul(Aff a, int64_t k);
Aff aff_plus(Aff a, int var, int64_t k); /* a + k*var; var < 0: a */
Aff aff_off(Aff a, int64_t k);		 /* a + k */

/* --- building: statements go to the innermost open body --- */
Mod *mod_new(Arena *a, StrTab *str, const char *name, int W, bool fma);
Fn *fn_new(Mod *m, const char *name);	     /* names are unique in a Mod */
int fn_find(const Mod *m, const char *name); /* index, -1 */
int fn_index(const Mod *m, const Fn *f);
int f_size(Fn *f, const char *name);
int f_buf(Fn *f, BufKind k, Elem e, const char *name,
	  int64_t size); /* a parameter: all before the first temp */
int f_temp(Fn *f, Elem e, const char *name, int64_t size, int home, int64_t at);
int f_view(Fn *f, Elem e, const char *name, int home, int64_t at); /* after all parameters, like a temp */
int f_reg(Fn *f, const char *name, int lanes, int d0, int d1);	   /* makes the name unique, appends S_REG */
int f_words(Fn *f, const char *name, int lanes, int d0, int d1);   /* the same, of words */
int f_for(Fn *f, const char *v, Aff lo, Aff hi, int step);	   /* opens; returns the variable */
int f_unroll(Fn *f, const char *v, int lo, int hi);		   /* opens */
void f_end(Fn *f, int n);					   /* closes n bodies */
int f_let(Fn *f, const char *v, Aff a);
int f_min(Fn *f, const char *v, Aff a, Aff b);
int f_max(Fn *f, const char *v, Aff a, Aff b);
int f_floor(Fn *f, const char *v, Aff a, int multiple);
int f_div(Fn *f, const char *v, Aff a, int divisor);
int f_load(Fn *f, const char *v, int buf, Aff ix);
void f_set(Fn *f, int reg, Aff i, Aff j, int e);
void f_set1(Fn *f, int reg, int e); /* reg[0][0] */
void f_store(Fn *f, int buf, Aff ix, int e);
void f_store_n(Fn *f, int buf, Aff ix, int e, Aff count); /* a constant count >= lanes: plain store */
void f_prefetch(Fn *f, int buf, Aff ix);
void f_call(Fn *f, int fn); /* then one f_arg / f_arg_size per parameter and size */
void f_arg(Fn *f, int buf, Aff off);
void f_arg_size(Fn *f, Aff n);
/* Then f_arg for C, A and B, f_arg_size for m, n and k. */
void f_product(Fn *f, int form, int ldc, int lda, int ldb);

int e_const(Fn *f, int lanes, double k);
int e_reg(Fn *f, int r, Aff i, Aff j);
int e_reg1(Fn *f, int r);
int e_load(Fn *f, int lanes, int buf, Aff ix);
int e_load_n(Fn *f, int lanes, int buf, Aff ix, Aff count);
int e_word(Fn *f, int lanes, int32_t k);
int e_words(Fn *f, int lanes, int buf, Aff ix);
int e_words_n(Fn *f, int lanes, int buf, Aff ix, Aff count); /* of an f32 buffer */
int e_splat(Fn *f, int lanes, int a);
int e_lane(Fn *f, int a, int k);
int e_shuf(Fn *f, int a, int b, const uint8_t *pat); /* pat is copied */
int e_keep(Fn *f, int a, Aff count);
int e_call(Fn *f, int fn, int a);
int e_op1(Fn *f, ExprOp op, int a);
int e_op2(Fn *f, ExprOp op, int a, int b);
int e_op3(Fn *f, ExprOp op, int a, int b, int c);
int e_op4(Fn *f, ExprOp op, int a, int b, int c, int d);

/* --- looking --- */
bool expr_words(const Fn *f, int e); /* does the expression give words? */
extern const char *const expr_name[E_N];
extern const int expr_args[E_N];
/* For each function the first one of the same loops, names and places in the model apart: mostly itself. */
int *mod_same(Arena *arena, const Mod *m);
void mod_dump(const Mod *m, Text *o);
void fn_dump(const Mod *m, const Fn *f, Text *o);
/*
 * Checks every rule an emitter relies on (loop.c lists them); what a variant lacks (fma, lanes > W) is
 * refused. Appends one line per fault to *faults; returns their number.
 */
int mod_verify(const Mod *m, Text *faults);

/* --- running: the judge (loop_run.c) --- */
typedef struct {
	void *p; /* double[] for f32, int32_t[] for i32, uint16_t[] for bf16, uint8_t[] for i8 */
	int64_t n;
} Mem;
/*
 * Runs function fn.  f32: every operation rounded to float, equal to the emitted code to the bit; else
 * double, value functions replaced by their judge.  Every access is checked; a fault is written to *fault
 * (512 bytes) and ends the run.
 */
bool loop_run(const Mod *m, int fn, const Mem *buf, const int64_t *size, bool f32, char *fault);
#endif
