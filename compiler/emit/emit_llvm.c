/*
 * The loop form as LLVM IR, through LLVM's C API, to an object file.
 *
 * No IR pass is needed.  Registers become SSA values here: at a `for`, each element set before it and
 * assigned in it becomes a phi.  An index is split into its constant and its run-time part and pointers are
 * shared by the latter, so that a tile has one pointer a row.  Value functions are printed where they are
 * used.  Every operation carries no fast-math flag and stays as it stands.
 */
#include "emit/emit.h"
#include "base/diag.h"
#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <string.h>

typedef LLVMValueRef V;
typedef LLVMTypeRef T;
typedef LLVMBasicBlockRef Block;

enum { MAX_LANES = 16 };

/* buf + the run-time part of an index */
typedef struct {
	int buf;
	Aff ix;
	V p;
} Pointer;

typedef struct {
	const Mod *m;
	const EmitTarget *t;
	Arena *arena;
	LLVMContextRef ctx;
	LLVMModuleRef mod;
	LLVMBuilderRef b;
	T real, word;	  /* a lane, and the integer as wide */
	int bias, digits; /* of its layout: 127 and 23, or 1023 and 52 */
	T i16, i32, i64, i8, ptr;
	bool scalef; /* the machine scales 16 lanes in one instruction */
	V *fns;	     /* by function; NULL: a value function */
	T *types;
	/* the function being printed */
	const Fn *f;
	V fn;
	V *buf, *var, **reg;
	int64_t *now; /* values of unrolled variables */
	int lanes;    /* of the value function being printed */
	VEC(Pointer) known;
} Print;

/* --- types and constants --- */

static T lanes_type(T t, int n) { return n == 1 ? t : LLVMVectorType(t, (unsigned)n); }
static V int64(Print *l, int64_t k) { return LLVMConstInt(l->i64, (unsigned long long)k, true); }
static V int32(Print *l, int k) { return LLVMConstInt(l->i32, (unsigned long long)k, true); }

static V constant_lanes(V k, int n)
{
	V e[MAX_LANES];
	for (int i = 0; i < n; i++) e[i] = k;
	return n == 1 ? k : LLVMConstVector(e, (unsigned)n);
}

/* In integers as wide as a lane. */
static V word_lanes(Print *l, int64_t k, int n)
{
	return constant_lanes(LLVMConstInt(l->word, (unsigned long long)k, true), n);
}

static int element_bytes(const Print *l, int buf)
{
	switch (l->f->buf.at[buf].elem) {
	case ELEM_F32: return l->m->f64 ? 8 : 4;
	case ELEM_I32: return 4;
	case ELEM_BF16: return 2;
	case ELEM_I8: return 1;
	}
	bug("elements of buffer %d", buf);
}

static V intrinsic(Print *l, const char *name, T *over, int n_over, V *arg, int n)
{
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	if (!id) bug("LLVM has no %s", name);
	T type = LLVMIntrinsicGetType(l->ctx, id, over, (size_t)n_over);
	V fn = LLVMGetIntrinsicDeclaration(l->mod, id, over, (size_t)n_over);
	return LLVMBuildCall2(l->b, type, fn, arg, (unsigned)n, "");
}

/* Lanes of a vector again and again. */
static V repeat(Print *l, V a, int n)
{
	unsigned has = LLVMGetVectorSize(LLVMTypeOf(a));
	V lane[16];
	for (int i = 0; i < n; i++) lane[i] = int32(l, i % (int)has);
	return LLVMBuildShuffleVector(l->b, a, LLVMGetUndef(LLVMTypeOf(a)),
				      LLVMConstVector(lane, (unsigned)n), "");
}

static V broadcast(Print *l, V scalar, int n)
{
	T t = LLVMTypeOf(scalar);
	if (n == 1) return scalar;
	if (LLVMGetTypeKind(t) == LLVMVectorTypeKind) return repeat(l, scalar, n);
	if (LLVMIsConstant(scalar)) return constant_lanes(scalar, n);
	V none = LLVMGetUndef(LLVMVectorType(t, (unsigned)n));
	V one = LLVMBuildInsertElement(l->b, none, scalar, int32(l, 0), "");
	return LLVMBuildShuffleVector(l->b, one, none, LLVMConstNull(LLVMVectorType(l->i32, (unsigned)n)),
				      "");
}

/* --- indices and addresses --- */

static bool unrolled(const Print *l, int var) { return l->f->var.at[var].kind == VAR_UNROLL; }

/* The run-time part of an index; *k is the rest. */
static Aff split(const Print *l, const Aff *a, int64_t *k)
{
	Aff r = {0};
	*k = a->c;
	for (int i = 0; i < a->n; i++) {
		int v = a->t[i].var;
		if (unrolled(l, v))
			*k += l->now[v] * a->t[i].mul;
		else if (a->t[i].mul)
			r.t[r.n++] = a->t[i];
	}
	return r;
}

static V sum_terms(Print *l, const Aff *r, int64_t scale)
{
	V s = NULL;
	for (int i = 0; i < r->n; i++) {
		int64_t k = r->t[i].mul * scale;
		V x = l->var[r->t[i].var];
		if (k != 1) x = LLVMBuildMul(l->b, x, int64(l, k), "");
		s = s ? LLVMBuildAdd(l->b, s, x, "") : x;
	}
	return s;
}

static V index_value(Print *l, const Aff *a)
{
	int64_t k;
	Aff r = split(l, a, &k);
	V s = sum_terms(l, &r, 1);
	if (!s) return int64(l, k);
	return k ? LLVMBuildAdd(l->b, s, int64(l, k), "") : s;
}

static V byte_offset(Print *l, V p, V bytes) { return LLVMBuildGEP2(l->b, l->i8, p, &bytes, 1, ""); }

/* Index variables are set once, so a pointer stays right wherever it is in scope. */
static V shared_pointer(Print *l, int buf, const Aff *r)
{
	if (!r->n) return l->buf[buf];
	for (int i = l->known.n - 1; i >= 0; i--)
		if (l->known.at[i].buf == buf && !memcmp(&l->known.at[i].ix, r, sizeof *r))
			return l->known.at[i].p;
	V p = byte_offset(l, l->buf[buf], sum_terms(l, r, element_bytes(l, buf)));
	vec_push(l->arena, &l->known, (Pointer){buf, *r, p});
	return p;
}

static V address(Print *l, int buf, const Aff *a)
{
	int64_t k;
	Aff r = split(l, a, &k);
	V p = shared_pointer(l, buf, &r);
	return k ? byte_offset(l, p, int64(l, element_bytes(l, buf) * k)) : p;
}

static V smaller(Print *l, V a, V b)
{
	return LLVMBuildSelect(l->b, LLVMBuildICmp(l->b, LLVMIntSLT, a, b, ""), a, b, "");
}

static V larger(Print *l, V a, V b)
{
	return LLVMBuildSelect(l->b, LLVMBuildICmp(l->b, LLVMIntSGT, a, b, ""), a, b, "");
}

/* Lane l: l < count.  The count is clipped in 64 bits, compared in 32. */
static V lanes_below(Print *l, const Aff *count, int n)
{
	V lane[MAX_LANES], k = larger(l, smaller(l, index_value(l, count), int64(l, n)), int64(l, 0));
	for (int i = 0; i < n; i++) lane[i] = int32(l, i);
	k = LLVMBuildTrunc(l->b, k, l->i32, "");
	return LLVMBuildICmp(l->b, LLVMIntSLT, n == 1 ? lane[0] : LLVMConstVector(lane, (unsigned)n),
			     broadcast(l, k, n), "");
}

/* --- memory --- */

/* The masked intrinsics want vectors, be it of one lane. */
static V as_vector(Print *l, V x, int n)
{
	if (n > 1) return x;
	V none = LLVMGetUndef(LLVMVectorType(LLVMTypeOf(x), 1));
	return LLVMBuildInsertElement(l->b, none, x, int32(l, 0), "");
}

static V masked_load(Print *l, T element, int align, V p, V mask, int n)
{
	T t = LLVMVectorType(element, (unsigned)n), over[2] = {t, l->ptr};
	V arg[4] = {p, int32(l, align), as_vector(l, mask, n), LLVMConstNull(t)};
	V r = intrinsic(l, "llvm.masked.load", over, 2, arg, 4);
	return n > 1 ? r : LLVMBuildExtractElement(l->b, r, int32(l, 0), "");
}

/* n elements at any address. */
static V load_lanes(Print *l, T element, int align, V p, int n)
{
	V r = LLVMBuildLoad2(l->b, lanes_type(element, n), p, "");
	LLVMSetAlignment(r, (unsigned)align);
	return r;
}

static V load_narrow(Print *l, const Expr *x, int n)
{
	bool bytes = l->f->buf.at[x->ref].elem == ELEM_I8;
	T whole = lanes_type(l->i32, n), real = lanes_type(l->real, n);
	V r = load_lanes(l, bytes ? l->i8 : l->i16, bytes ? 1 : 2, address(l, x->ref, &x->ix), n);
	if (bytes) return LLVMBuildSIToFP(l->b, LLVMBuildSExt(l->b, r, whole, ""), real, "");
	r = LLVMBuildShl(l->b, LLVMBuildZExt(l->b, r, whole, ""), word_lanes(l, 16, n), "");
	return LLVMBuildBitCast(l->b, r, real, "");
}

static V load(Print *l, const Expr *x, int n)
{
	if (l->f->buf.at[x->ref].elem > ELEM_I32) return load_narrow(l, x, n);
	bool convert = l->f->buf.at[x->ref].elem == ELEM_I32;
	T element = convert ? l->i32 : l->real;
	V p = address(l, x->ref, &x->ix), r;
	int align = element_bytes(l, x->ref);
	if (x->masked) {
		r = masked_load(l, element, align, p, lanes_below(l, &x->iy, n), n);
	} else {
		r = load_lanes(l, element, align, p, n);
	}
	return convert ? LLVMBuildSIToFP(l->b, r, lanes_type(l->real, n), "") : r;
}

static V expr(Print *l, int e);

static void store(Print *l, const Stmt *t)
{
	int n = l->f->expr.at[t->expr].lanes, align = element_bytes(l, t->ref);
	V v = expr(l, t->expr), p = address(l, t->ref, &t->lo);
	if (l->f->buf.at[t->ref].elem == ELEM_I8)
		v = LLVMBuildTrunc(l->b, LLVMBuildFPToSI(l->b, v, lanes_type(l->i32, n), ""),
				   lanes_type(l->i8, n), "");
	if (!t->masked) {
		LLVMSetAlignment(LLVMBuildStore(l->b, v, p), (unsigned)align);
		return;
	}
	bool words = expr_words(l->f, t->expr);
	T over[2] = {LLVMVectorType(words ? l->i32 : l->real, (unsigned)n), l->ptr};
	V mask = lanes_below(l, &t->hi, n);
	V arg[4] = {as_vector(l, v, n), p, int32(l, align), as_vector(l, mask, n)};
	intrinsic(l, "llvm.masked.store", over, 2, arg, 4);
}

/*
 * To the second cache.  The first has few fills under way (16 where measured) and keeps a hint waiting as it
 * keeps a load: random rows from memory then cost a third more.
 */
static void prefetch(Print *l, const Stmt *t)
{
	V arg[4] = {address(l, t->ref, &t->lo), int32(l, 0), int32(l, 2),
		    int32(l, 1)}; /* read, second cache, data */
	intrinsic(l, "llvm.prefetch", &l->ptr, 1, arg, 4);
}

/* --- expressions --- */

static V *slot(Print *l, int r, const Aff *i, const Aff *j)
{
	int64_t a, b;
	split(l, i, &a);
	split(l, j, &b);
	return &l->reg[r][a * l->f->reg.at[r].d1 + b];
}

static V choose(Print *l, LLVMRealPredicate p, V a, V b, V yes, V no)
{
	return LLVMBuildSelect(l->b, LLVMBuildFCmp(l->b, p, a, b, ""), yes, no, "");
}

static V bits(Print *l, V a, T t) { return LLVMBuildBitCast(l->b, a, t, ""); }

static V shuffle(Print *l, const Expr *x, V a, V b, int n)
{
	V lane[MAX_LANES];
	if (n == 1) return x->pat[0] ? b : a;
	for (int i = 0; i < n; i++) lane[i] = int32(l, x->pat[i]);
	return LLVMBuildShuffleVector(l->b, a, b, LLVMConstVector(lane, (unsigned)n), "");
}

static V scale(Print *l, V a, V b, int n)
{
	T whole = lanes_type(l->word, n);
	if (l->scalef && n == 16) {
		V arg[5] = {a, b, a, LLVMConstAllOnes(l->i16), int32(l, 4)};
		return intrinsic(l, "llvm.x86.avx512.mask.scalef.ps.512", NULL, 0, arg, 5);
	}
	V k = LLVMBuildAdd(l->b, LLVMBuildFPToSI(l->b, b, whole, ""), word_lanes(l, l->bias, n), "");
	return LLVMBuildFMul(
	    l->b, a, bits(l, LLVMBuildShl(l->b, k, word_lanes(l, l->digits, n), ""), LLVMTypeOf(a)), "");
}

static V exponent(Print *l, V a, int n)
{
	V k = LLVMBuildLShr(l->b, bits(l, a, lanes_type(l->word, n)), word_lanes(l, l->digits, n), "");
	return LLVMBuildSIToFP(l->b, LLVMBuildSub(l->b, k, word_lanes(l, l->bias, n), ""),
			       lanes_type(l->real, n), "");
}

static V fraction(Print *l, V a, int n)
{
	V m = LLVMBuildAnd(l->b, bits(l, a, lanes_type(l->word, n)),
			   word_lanes(l, ((int64_t)1 << l->digits) - 1, n), "");
	return bits(l, LLVMBuildOr(l->b, m, word_lanes(l, (int64_t)l->bias << l->digits, n), ""),
		    lanes_type(l->real, n));
}

/* --- words --- */

/* -1 in lanes where v is negative, else 0. */
static V sign(Print *l, V v, int n) { return LLVMBuildAShr(l->b, v, word_lanes(l, 31, n), ""); }

static V pair(Print *l, V a, V b, int n)
{
	T whole = lanes_type(l->i32, n);
	V u = bits(l, a, whole), v = bits(l, b, whole), sixteen = word_lanes(l, 16, n);
	V odd = LLVMBuildAnd(l->b, LLVMBuildLShr(l->b, u, sixteen, ""), word_lanes(l, 1, n), "");
	V low = LLVMBuildAdd(l->b, LLVMBuildAdd(l->b, u, word_lanes(l, 0x7fff, n), ""), odd, "");
	low = LLVMBuildLShr(l->b, low, sixteen, "");
	V high = LLVMBuildAnd(l->b, v, word_lanes(l, 0x7fffffff, n), "");
	high = LLVMBuildSub(l->b, LLVMBuildAdd(l->b, high, word_lanes(l, 0x8000, n), ""), low, "");
	/* magnitude + 0x8000 may pass 2^31 where the magnitude is no number; below zero it is nothing. */
	high = LLVMBuildAnd(l->b, high, LLVMBuildNot(l->b, sign(l, high, n), ""), "");
	high = LLVMBuildLShr(l->b, high, sixteen, "");
	V most = word_lanes(l, 0x7f7f, n);
	high = LLVMBuildSelect(l->b, LLVMBuildICmp(l->b, LLVMIntULT, high, most, ""), high, most, "");
	V s = LLVMBuildAnd(l->b, v, word_lanes(l, (int64_t)0x80000000, n), "");
	return LLVMBuildOr(l->b, LLVMBuildOr(l->b, s, LLVMBuildShl(l->b, high, sixteen, ""), ""), low, "");
}

static V quad(Print *l, const V *v, int n)
{
	V r = NULL;
	for (int i = 0; i < 4; i++) {
		V b = LLVMBuildFPToSI(l->b, v[i], lanes_type(l->i32, n), "");
		b = LLVMBuildShl(l->b, LLVMBuildAnd(l->b, b, word_lanes(l, 255, n), ""),
				 word_lanes(l, 8 * i, n), "");
		r = r ? LLVMBuildOr(l->b, r, b, "") : b;
	}
	return r;
}

/* A lane's two halves, as signed numbers, added up. */
static V halves(Print *l, V x, int n)
{
	V sixteen = word_lanes(l, 16, n), w = bits(l, x, lanes_type(l->i32, n));
	V low = LLVMBuildAShr(l->b, LLVMBuildShl(l->b, w, sixteen, ""), sixteen, "");
	return LLVMBuildAdd(l->b, low, LLVMBuildAShr(l->b, w, sixteen, ""), "");
}

/* Without an instruction: products of a byte and a signed one fit in sixteen bits. */
static V dot4(Print *l, V sum, V a, V b, int n)
{
	if (l->m->dot4 && n == 16)
		return intrinsic(l, "llvm.x86.avx512.vpdpbusd.512", NULL, 0, (V[]){sum, a, b}, 3);
	T half = LLVMVectorType(l->i16, 2 * (unsigned)n);
	V e[2 * MAX_LANES], x = bits(l, a, half), y = bits(l, b, half);
	for (int i = 0; i < 2 * n; i++) e[i] = LLVMConstInt(l->i16, 8, false);
	V eight = LLVMConstVector(e, 2 * (unsigned)n);
	V x0 = LLVMBuildLShr(l->b, LLVMBuildShl(l->b, x, eight, ""), eight, ""),
	  x1 = LLVMBuildLShr(l->b, x, eight, "");
	V y0 = LLVMBuildAShr(l->b, LLVMBuildShl(l->b, y, eight, ""), eight, ""),
	  y1 = LLVMBuildAShr(l->b, y, eight, "");
	V even = halves(l, LLVMBuildMul(l->b, x0, y0, ""), n),
	  odd = halves(l, LLVMBuildMul(l->b, x1, y1, ""), n);
	return LLVMBuildAdd(l->b, sum, LLVMBuildAdd(l->b, even, odd, ""), "");
}

static void body(Print *l, int s);

static V **new_registers(Print *l, const Fn *f)
{
	V **reg = arena_new(l->arena, V *, f->reg.n);
	for (int r = 0; r < f->reg.n; r++) reg[r] = arena_new(l->arena, V, f->reg.at[r].d0 * f->reg.at[r].d1);
	return reg;
}

/* In double precision a value function is libm's, lane by lane: runtime/value.c. */
static V call_judge(Print *l, const char *value, V argument, int n)
{
	char *name = arena_printf(l->arena, "mtl_value_%s", value);
	T type = LLVMFunctionType(l->real, &l->real, 1, false);
	V fn = LLVMGetNamedFunction(l->mod, name), r = LLVMGetUndef(lanes_type(l->real, n));
	if (!fn) fn = LLVMAddFunction(l->mod, name, type);
	if (n == 1) return LLVMBuildCall2(l->b, type, fn, &argument, 1, "");
	for (int i = 0; i < n; i++) {
		V lane = LLVMBuildExtractElement(l->b, argument, int32(l, i), "");
		lane = LLVMBuildCall2(l->b, type, fn, &lane, 1, "");
		r = LLVMBuildInsertElement(l->b, r, lane, int32(l, i), "");
	}
	return r;
}

static V call_value(Print *l, int fn, V argument, int n)
{
	const Fn *f = l->f;
	if (l->m->f64 && l->m->fn.at[fn]->judge) return call_judge(l, l->m->fn.at[fn]->name, argument, n);
	V **reg = l->reg;
	int64_t *now = l->now;
	int lanes = l->lanes;
	l->f = l->m->fn.at[fn];
	l->reg = new_registers(l, l->f);
	l->now = arena_new(l->arena, int64_t, l->f->var.n);
	l->lanes = n;
	l->reg[0][0] = argument;
	body(l, l->f->first);
	V result = l->reg[1][0];
	l->f = f;
	l->reg = reg;
	l->now = now;
	l->lanes = lanes;
	return result;
}

static V function(Print *l, const char *name, T t, V *arg, int n)
{
	return intrinsic(l, name, &t, 1, arg, n);
}

static V expr(Print *l, int e)
{
	const Expr *x = &l->f->expr.at[e];
	const int operand[4] = {x->a, x->b, x->c, x->d}, n = x->lanes ? x->lanes : l->lanes;
	T t = lanes_type(l->real, n);
	V v[4] = {0};
	for (int i = 0; i < expr_args[x->op]; i++) v[i] = expr(l, operand[i]);
	switch (x->op) {
	case E_CONST:
		return constant_lanes(LLVMConstReal(l->real, l->m->f64 ? x->k : (double)(float)x->k), n);
	case E_REG: return *slot(l, x->ref, &x->ix, &x->iy);
	case E_LOAD: return load(l, x, n);
	case E_KEEP: return LLVMBuildSelect(l->b, lanes_below(l, &x->iy, n), v[0], LLVMConstNull(t), "");
	case E_SPLAT: return broadcast(l, v[0], n);
	case E_LANE:
		if (LLVMTypeOf(v[0]) == l->real) return v[0];
		return LLVMBuildExtractElement(l->b, v[0], int32(l, (int)x->k), "");
	case E_SHUF: return shuffle(l, x, v[0], v[1], n);
	case E_CALL: return call_value(l, x->ref, v[0], n);
	case E_ADD: return LLVMBuildFAdd(l->b, v[0], v[1], "");
	case E_SUB: return LLVMBuildFSub(l->b, v[0], v[1], "");
	case E_MUL: return LLVMBuildFMul(l->b, v[0], v[1], "");
	case E_DIV: return LLVMBuildFDiv(l->b, v[0], v[1], "");
	case E_MIN: return choose(l, LLVMRealOLT, v[0], v[1], v[0], v[1]);
	case E_MAX: return choose(l, LLVMRealOGT, v[0], v[1], v[0], v[1]);
	case E_SELLT: return choose(l, LLVMRealOLT, v[0], v[1], v[2], v[3]);
	case E_FMA: return function(l, "llvm.fma", t, v, 3);
	case E_RINT: return function(l, "llvm.rint", t, v, 1);
	case E_SQRT: return function(l, "llvm.sqrt", t, v, 1);
	case E_ABS: return function(l, "llvm.fabs", t, v, 1);
	case E_SCALB: return scale(l, v[0], v[1], n);
	case E_EXPO: return exponent(l, v[0], n);
	case E_FRAC: return fraction(l, v[0], n);
	case E_WORD: return word_lanes(l, (int64_t)x->k, n);
	case E_WORDS:
		if (x->masked)
			return masked_load(l, l->i32, 4, address(l, x->ref, &x->ix),
					   lanes_below(l, &x->iy, n), n);
		return load_lanes(l, l->i32, element_bytes(l, x->ref), address(l, x->ref, &x->ix), n);
	case E_PAIR: return pair(l, v[0], v[1], n);
	case E_QUAD: return quad(l, v, n);
	case E_LOW: return bits(l, LLVMBuildShl(l->b, v[0], word_lanes(l, 16, n), ""), t);
	case E_WHOLE: return bits(l, v[0], t);
	case E_DOT4: return dot4(l, v[0], v[1], v[2], n);
	case E_WSUB: return LLVMBuildSub(l->b, v[0], v[1], "");
	case E_INT: return LLVMBuildSIToFP(l->b, v[0], t, "");
	default: bug("expression %d", x->op);
	}
}

/* --- loops --- */

static void mark_assigned(const Print *l, int s, bool *set)
{
	for (; s; s = l->f->stmt.at[s].next) {
		const Stmt *t = &l->f->stmt.at[s];
		if (t->op == S_SET) set[t->ref] = true;
		if (t->op == S_FOR || t->op == S_UNROLL) mark_assigned(l, t->body, set);
	}
}

/* A register element carried around a loop. */
typedef struct {
	V *home, phi;
} Carried;

typedef struct {
	VEC(Carried) at;
	Block before, head, out;
	V var, end;
	bool turns; /* surely once: then the test is at the end */
} Loop;

static void carry(Print *l, Loop *o, const Stmt *t)
{
	bool *set = arena_new(l->arena, bool, l->f->reg.n);
	mark_assigned(l, t->body, set);
	for (int r = 0; r < l->f->reg.n; r++)
		for (int i = 0; set[r] && i < l->f->reg.at[r].d0 * l->f->reg.at[r].d1; i++) {
			V *home = &l->reg[r][i];
			if (!*home) continue;
			V phi = LLVMBuildPhi(l->b, LLVMTypeOf(*home), "");
			LLVMAddIncoming(phi, home, &o->before, 1);
			*home = phi;
			vec_push(l->arena, &o->at, (Carried){home, phi});
		}
}

static Block new_block(Print *l, const char *name)
{
	return LLVMAppendBasicBlockInContext(l->ctx, l->fn, name);
}

static void open_loop(Print *l, Loop *o, const Stmt *t)
{
	int64_t k0, k1;
	const char *name = l->f->var.at[t->var].name;
	o->turns = !split(l, &t->lo, &k0).n && !split(l, &t->hi, &k1).n && k0 < k1;
	V start = index_value(l, &t->lo);
	o->end = index_value(l, &t->hi);
	o->before = LLVMGetInsertBlock(l->b);
	o->head = new_block(l, name);
	o->out = new_block(l, "end");
	LLVMBuildBr(l->b, o->head);
	LLVMPositionBuilderAtEnd(l->b, o->head);
	o->var = LLVMBuildPhi(l->b, l->i64, name);
	LLVMAddIncoming(o->var, &start, &o->before, 1);
	carry(l, o, t);
	if (o->turns) return;
	Block inside = new_block(l, "in");
	LLVMBuildCondBr(l->b, LLVMBuildICmp(l->b, LLVMIntSLT, o->var, o->end, ""), inside, o->out);
	LLVMPositionBuilderAtEnd(l->b, inside);
}

static void close_loop(Print *l, Loop *o, const Stmt *t)
{
	V next = LLVMBuildAdd(l->b, o->var, int64(l, t->step), "");
	Block last = LLVMGetInsertBlock(l->b);
	LLVMAddIncoming(o->var, &next, &last, 1);
	for (int i = 0; i < o->at.n; i++) {
		LLVMAddIncoming(o->at.at[i].phi, o->at.at[i].home, &last, 1);
		if (!o->turns) *o->at.at[i].home = o->at.at[i].phi;
	}
	if (o->turns)
		LLVMBuildCondBr(l->b, LLVMBuildICmp(l->b, LLVMIntSLT, next, o->end, ""), o->head, o->out);
	else
		LLVMBuildBr(l->b, o->head);
	LLVMMoveBasicBlockAfter(o->out, LLVMGetLastBasicBlock(l->fn));
	LLVMPositionBuilderAtEnd(l->b, o->out);
}

/* After a loop only what was set before it is: see the verifier. */
static void forget_inner(Print *l, const Loop *o, const Stmt *t)
{
	bool *set = arena_new(l->arena, bool, l->f->reg.n);
	mark_assigned(l, t->body, set);
	for (int r = 0; r < l->f->reg.n; r++) {
		size_t n = (size_t)(l->f->reg.at[r].d0 * l->f->reg.at[r].d1);
		if (!set[r]) continue;
		V *kept = arena_new(l->arena, V, n);
		for (int i = 0; i < o->at.n; i++)
			if (o->at.at[i].home >= l->reg[r] && o->at.at[i].home < l->reg[r] + n)
				kept[o->at.at[i].home - l->reg[r]] = *o->at.at[i].home;
		memcpy(l->reg[r], kept, n * sizeof(V));
	}
}

static void for_loop(Print *l, const Stmt *t)
{
	Loop o = {0};
	int known = l->known.n;
	open_loop(l, &o, t);
	l->var[t->var] = o.var;
	body(l, t->body);
	close_loop(l, &o, t);
	forget_inner(l, &o, t);
	l->known.n = known; /* pointers made inside are not known after it */
}

/* --- statements --- */

static void let(Print *l, const Stmt *t)
{
	V a;
	if (t->let == LET_LOAD) {
		a = LLVMBuildLoad2(l->b, l->i32, address(l, t->ref, &t->lo), "");
		LLVMSetAlignment(a, 4);
		a = LLVMBuildSExt(l->b, a, l->i64, "");
	} else {
		a = index_value(l, &t->lo);
	}
	if (t->let == LET_MIN) a = smaller(l, a, index_value(l, &t->hi));
	if (t->let == LET_MAX) a = larger(l, a, index_value(l, &t->hi));
	if (t->let == LET_FLOOR || t->let == LET_DIV) a = LLVMBuildUDiv(l->b, a, int64(l, t->step), "");
	if (t->let == LET_FLOOR) a = LLVMBuildMul(l->b, a, int64(l, t->step), "");
	l->var[t->var] = a;
}

static void call(Print *l, const Stmt *t)
{
	V *arg = arena_new(l->arena, V, t->arg.n);
	for (int i = 0; i < t->arg.n; i++) {
		const Arg *a = &t->arg.at[i];
		arg[i] = a->buf >= 0 ? address(l, a->buf, &a->off) : index_value(l, &a->off);
	}
	LLVMBuildCall2(l->b, l->types[t->ref], l->fns[t->ref], arg, (unsigned)t->arg.n, "");
}

/* void mtl_gemm(int form, c, ldc, a, lda, b, ldb, m, n, k): runtime/gemm.c */
static void product(Print *l, const Stmt *t)
{
	T of[10] = {l->i32, l->ptr, l->i64, l->ptr, l->i64, l->ptr, l->i64, l->i64, l->i64, l->i64};
	T type = LLVMFunctionType(LLVMVoidTypeInContext(l->ctx), of, 10, false);
	V fn = LLVMGetNamedFunction(l->mod, "mtl_gemm"), arg[10] = {int32(l, t->form)};
	if (!fn) fn = LLVMAddFunction(l->mod, "mtl_gemm", type);
	for (int i = 0; i < 3; i++) {
		arg[1 + 2 * i] = address(l, t->arg.at[i].buf, &t->arg.at[i].off);
		arg[2 + 2 * i] = int64(l, t->ld[i]);
		arg[7 + i] = index_value(l, &t->arg.at[3 + i].off);
	}
	LLVMBuildCall2(l->b, type, fn, arg, 10, "");
}

static void turns(Print *l, const Stmt *t)
{
	for (int64_t i = t->lo.c; i < t->hi.c; i += t->step) {
		l->now[t->var] = i;
		body(l, t->body);
	}
}

static void body(Print *l, int s)
{
	for (; s; s = l->f->stmt.at[s].next) {
		const Stmt *t = &l->f->stmt.at[s];
		switch (t->op) {
		case S_FOR: for_loop(l, t); break;
		case S_UNROLL: turns(l, t); break;
		case S_REG: break;
		case S_SET: {
			V v = expr(l, t->expr);
			*slot(l, t->ref, &t->lo, &t->hi) = v;
			break;
		}
		case S_STORE: store(l, t); break;
		case S_LET: let(l, t); break;
		case S_CALL: call(l, t); break;
		case S_PRODUCT: product(l, t); break;
		case S_PREFETCH: prefetch(l, t); break;
		default: bug("statement %d", t->op);
		}
	}
}

/* --- functions --- */

static int count_sizes(const Fn *f)
{
	int n = 0;
	for (int v = 0; v < f->var.n; v++) n += f->var.at[v].kind == VAR_SIZE;
	return n;
}

static void add_attribute(Print *l, V fn, unsigned where, const char *name)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
	LLVMAddAttributeAtIndex(fn, where, LLVMCreateEnumAttribute(l->ctx, kind, 0));
}

static V new_function(Print *l, const char *name, T type)
{
	V fn = LLVMAddFunction(l->mod, name, type);
	LLVMAddTargetDependentFunctionAttr(fn, "target-cpu", l->t->cpu);
	if (l->t->features && l->t->features[0])
		LLVMAddTargetDependentFunctionAttr(fn, "target-features", l->t->features);
	add_attribute(l, fn, (unsigned)LLVMAttributeFunctionIndex, "nounwind");
	LLVMPositionBuilderAtEnd(l->b, LLVMAppendBasicBlockInContext(l->ctx, fn, "entry"));
	return fn;
}

static void begin(Print *l, int index)
{
	const Fn *f = l->f = l->m->fn.at[index];
	int n_size = count_sizes(f), n = 0;
	T *arg = arena_new(l->arena, T, f->n_param + n_size);
	for (int b = 0; b < f->n_param; b++) arg[n++] = l->ptr;
	for (int v = 0; v < n_size; v++) arg[n++] = l->i64;
	l->types[index] = LLVMFunctionType(LLVMVoidTypeInContext(l->ctx), arg, (unsigned)n, false);
	char *name = arena_printf(l->arena, "k_%s", f->name);
	l->fn = l->fns[index] = new_function(l, name, l->types[index]);
	LLVMSetLinkage(l->fn, LLVMInternalLinkage);
	l->buf = arena_new(l->arena, V, f->buf.n);
	l->var = arena_new(l->arena, V, f->var.n);
	l->now = arena_new(l->arena, int64_t, f->var.n);
	l->reg = new_registers(l, f);
	l->known.n = 0;
}

static void bind_parameters(Print *l)
{
	const Fn *f = l->f;
	unsigned n = (unsigned)f->n_param;
	for (unsigned b = 0; b < n; b++) {
		l->buf[b] = LLVMGetParam(l->fn, b);
		LLVMSetValueName2(l->buf[b], f->buf.at[b].name, strlen(f->buf.at[b].name));
		add_attribute(l, l->fn, b + 1, "noalias");
	}
	for (int v = 0; v < f->var.n; v++)
		if (f->var.at[v].kind == VAR_SIZE) {
			l->var[v] = LLVMGetParam(l->fn, n++);
			LLVMSetValueName2(l->var[v], f->var.at[v].name, strlen(f->var.at[v].name));
		}
	for (int b = f->n_param; b < f->buf.n; b++)
		l->buf[b] = byte_offset(l, l->buf[f->buf.at[b].home],
					int64(l, element_bytes(l, f->buf.at[b].home) * f->buf.at[b].at));
}

static V load_argument(Print *l, T t, V array, int i)
{
	return LLVMBuildLoad2(l->b, t, i ? byte_offset(l, array, int64(l, 8 * (int64_t)i)) : array, "");
}

/* void NAME(void *const *buf, const int64_t *size) */
static void entry(Print *l, int index)
{
	const Fn *f = l->m->fn.at[index];
	T type = LLVMFunctionType(LLVMVoidTypeInContext(l->ctx), (T[]){l->ptr, l->ptr}, 2, false);
	V fn = new_function(l, arena_printf(l->arena, "%s_%s", l->m->name, f->name), type);
	int n_size = count_sizes(f), n = 0;
	V *arg = arena_new(l->arena, V, f->n_param + n_size);
	for (int b = 0; b < f->n_param; b++) arg[n++] = load_argument(l, l->ptr, LLVMGetParam(fn, 0), b);
	for (int v = 0; v < n_size; v++) arg[n++] = load_argument(l, l->i64, LLVMGetParam(fn, 1), v);
	LLVMBuildCall2(l->b, l->types[index], l->fns[index], arg, (unsigned)n, "");
	LLVMBuildRetVoid(l->b);
}

static void print_module(Print *l)
{
	const int *same = mod_same(l->arena, l->m);
	for (int i = 0; i < l->m->fn.n; i++) {
		if (l->m->fn.at[i]->value) continue;
		if (same[i] == i) {
			begin(l, i);
			bind_parameters(l);
			body(l, l->f->first);
			LLVMBuildRetVoid(l->b);
		}
		l->fns[i] = l->fns[same[i]];
		l->types[i] = l->types[same[i]];
		if (l->m->fn.at[i]->exported) entry(l, i);
	}
	char *message = NULL;
	if (LLVMVerifyModule(l->mod, LLVMReturnStatusAction, &message))
		bug("LLVM refuses %s: %s", l->m->name, message);
	LLVMDisposeMessage(message);
}

/* --- the machine and the file --- */

static bool failed(Text *error, const char *what, char *message)
{
	size_t n = message ? strcspn(message, "\n") : 0;
	text_printf(error, "%s: %.*s", what, (int)n, message ? message : "");
	LLVMDisposeMessage(message);
	return false;
}

static bool write_file(Print *l, LLVMTargetMachineRef machine, EmitKind kind, const char *path, Text *error)
{
	char *message = NULL;
	LLVMCodeGenFileType type = kind == EMIT_ASM ? LLVMAssemblyFile : LLVMObjectFile;
	bool bad = kind == EMIT_IR ? LLVMPrintModuleToFile(l->mod, path, &message)
				   : LLVMTargetMachineEmitToFile(machine, l->mod, path, type, &message);
	return bad ? failed(error, path, message) : true;
}

static void open_print(Print *l, const char *triple, LLVMTargetMachineRef machine)
{
	l->ctx = LLVMContextCreate();
	l->mod = LLVMModuleCreateWithNameInContext(l->m->name, l->ctx);
	l->b = LLVMCreateBuilderInContext(l->ctx);
	l->real = l->m->f64 ? LLVMDoubleTypeInContext(l->ctx) : LLVMFloatTypeInContext(l->ctx);
	l->bias = l->m->f64 ? 1023 : 127;
	l->digits = l->m->f64 ? 52 : 23;
	l->i8 = LLVMInt8TypeInContext(l->ctx);
	l->i16 = LLVMInt16TypeInContext(l->ctx);
	l->i32 = LLVMInt32TypeInContext(l->ctx);
	l->i64 = LLVMInt64TypeInContext(l->ctx);
	l->word = l->m->f64 ? l->i64 : l->i32;
	l->ptr = LLVMPointerTypeInContext(l->ctx, 0);
	l->fns = arena_new(l->arena, V, l->m->fn.n);
	l->types = arena_new(l->arena, T, l->m->fn.n);
	l->scalef = !strncmp(triple, "x86_64", 6) && l->m->W == 16 && !l->m->f64;
	LLVMSetTarget(l->mod, triple);
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
	LLVMSetModuleDataLayout(l->mod, layout);
	LLVMDisposeTargetData(layout);
}

static void close_print(Print *l)
{
	LLVMDisposeBuilder(l->b);
	LLVMDisposeModule(l->mod);
	LLVMContextDispose(l->ctx);
}

void emit_llvm_begin(void)
{
	LLVMInitializeAllTargetInfos();
	LLVMInitializeAllTargets();
	LLVMInitializeAllTargetMCs();
	LLVMInitializeAllAsmPrinters();
}

static LLVMTargetMachineRef find_machine(const EmitTarget *t, const char *triple, Text *error)
{
	LLVMTargetRef target;
	char *message = NULL;
	if (!t->begun) emit_llvm_begin();
	if (LLVMGetTargetFromTriple(triple, &target, &message)) {
		failed(error, triple, message);
		return NULL;
	}
	return LLVMCreateTargetMachine(target, triple, t->cpu, t->features ? t->features : "",
				       (LLVMCodeGenOptLevel)t->level, LLVMRelocPIC, LLVMCodeModelDefault);
}

bool emit_llvm(const Mod *m, const EmitTarget *t, EmitKind kind, const char *path, Text *error)
{
	char *own = t->triple ? NULL : LLVMGetDefaultTargetTriple();
	const char *triple = t->triple ? t->triple : own;
	LLVMTargetMachineRef machine = find_machine(t, triple, error);
	bool ok = machine;
	if (machine) {
		Arena *arena = arena_create();
		Print l = {.m = m, .t = t, .arena = arena};
		open_print(&l, triple, machine);
		print_module(&l);
		ok = write_file(&l, machine, kind, path, error);
		close_print(&l);
		LLVMDisposeTargetMachine(machine);
		arena_destroy(arena);
	}
	if (own) LLVMDisposeMessage(own);
	return ok;
}
