/*
 * Lowering in progress: the calls that compute one entry, and where every value lies meanwhile.
 *
 * An entry of the program is a list of calls of kernels (functions in loop form), carried out for one block
 * of rows after the other.  Ops append calls; kernels are shared by all calls of equal shape.
 */
#ifndef LOWERING_H
#define LOWERING_H
#include "ir/graph.h"
#include "ir/loop.h"
#include "ir/spec.h"
#include "ir/target.h"

enum { ROW_BLOCK = 128 }; /* MTL_BLOCK */

typedef enum {
#define SLOT(name, elem, doc) SLOT_##name,
#include "runtime/abi.def"
#undef SLOT
	N_SLOT
} SlotKind;

/* A buffer that the caller of the entry hands in; stride: elements per row (per block if per_block), 0: not
 * row-wise. */
typedef struct {
	SlotKind kind;
	int index;
	int stride;
	bool per_block;
} Slot;

/* Element (row r, column c) of a value is element off + r * stride + c of the slot or temp. */
typedef struct {
	int slot, temp;	     /* index, or -1 */
	int64_t off, stride; /* stride 0: free of rows */
	int seq;	     /* rows are the steps of sequence seq - 1; 0: rows of the batch */
} Loc;

typedef struct {
	int64_t size;
	int first, last; /* calls that use it */
	int64_t at;	 /* in WORK, by plan */
} Temp;

typedef struct {
	Fn *fn;
	VEC(Loc) arg; /* one per buffer parameter */
	bool
	    rows; /* the last argument is the number of rows in the block, or of steps; of groups lo and hi */
	int seq;  /* 1 + the sequence whose steps it goes over, or 0 */
	int walk; /* 1 + the walk it is part of: it sees the steps of one time only; or 0 */
	bool shift; /* lo_shift: its first argument is what the walk left at the time before */
	Span span;
} Call;

/*
 * One time after the other.  The steps of a block of rows lie time by time, rows by falling length, so that
 * those of one time are the first rows of the time before.
 */
typedef struct {
	int seq;   /* 1 + the sequence */
	bool back; /* from the last time to the first */
} TimeWalk;

/* What a block of STEP_BLOCK holds (runtime/steps.h). */
enum { STEP_FIRST, STEP_LONGEST, STEP_ALL, STEP_BEFORE, STEP_TIME0, STEP_HEAD = 6 /* and `max` times */ };

/* What a kernel made of a value, for several calls that read it: not before, and not in another walk. */
typedef struct {
	const Fn *fn;
	Loc from, to;
	int domain, now;
} Made;

/* Packed weights and row-free values: shared by all entries of a module, made by the entry `pre`. */
typedef struct {
	Str key;
	int64_t at;
} Packed;
typedef struct {
	VEC(Packed) item;
	int64_t size;
	struct Lowering *pre; /* the entry that fills it */
	Str tag;	      /* of the graph being lowered: part of keys */
} Packing;

typedef struct Lowering Lowering;
struct Lowering {
	Arena *arena;
	StrTab *str;
	Mod *m;
	const Target *t;
	Spec *spec;
	const Graph *g;
	Packing *packing;
	Str name;    /* of the entry: "step" */
	bool rows;   /* one loop over blocks of rows; else the calls once */
	bool groups; /* the calls once, over groups lo .. hi; row-wise places are the batch's first row */
	Loc *loc;    /* per node; slot = temp = -1: nowhere yet */
	NodeId *absorbed; /* per node: the elementwise user computed in its kernel's store, or 0 */
	NodeId *with;	  /* per node: the next that the same call computes (Op.joins), or 0 */
	VEC(Slot) slot;
	VEC(Temp) temp;
	VEC(Call) call;
	VEC(TimeWalk) walk;
	VEC(Made) made;
	int domain;   /* of the call being made: 1 + the sequence whose steps it goes over, or 0 */
	int now;      /* 1 + the walk that calls are part of, or 0 */
	int64_t work; /* floats, after lowering_finish */
};

Lowering *lowering_new(Arena *a, Mod *m, const Target *t, Spec *spec, const Graph *g, Packing *p,
		       const char *name, bool rows);

static const Loc loc_none = {-1, -1, 0, 0, 0};
static inline bool loc_is(Loc l) { return l.slot >= 0 || l.temp >= 0; }
static inline Loc loc_column(Loc l, int64_t c)
{
	l.off += c;
	return l;
}
Loc lo_slot(Lowering *l, SlotKind kind, int index, int stride, bool per_block);
Loc lo_steps(Lowering *l, SlotKind kind, int index, int seq, int64_t stride); /* a slot with a row a step */
Loc lo_temp(Lowering *l, int64_t width, Shape of); /* [block, width], [steps of a block, width] or [width] */
Loc lo_value(Lowering *l, NodeId id);		   /* where an operand lies; it must have been computed */
/* Where to put the node (or, if one was absorbed, its user); makes a temp unless a place was chosen before.
 */
Loc lo_result(Lowering *l, NodeId id);
/* How elementwise code at `user` reads an operand: as it lies, or broadcast. */
typedef enum {
	SRC_RESULT,
	SRC_CONST,
	SRC_FULL /* [n, d] */,
	SRC_ROW /* [n] */,
	SRC_COLUMN /* [d] */,
	SRC_SCALAR
} SrcKind;
SrcKind src_kind(const Graph *g, NodeId operand, NodeId user);
/* A kernel by name: shared when it exists already (*fresh false), else new and to be built. */
Fn *lo_kernel(Lowering *l, bool *fresh, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A call with n places; rows: the number of rows of the block comes last. */
void lo_call(Lowering *l, Fn *f, int n, const Loc *arg, bool rows, Span span);
/* `width` elements of every row (or once, without rows) as they are. */
void lo_copy(Lowering *l, Loc from, Loc to, int64_t width, bool rows, Span span);
/* In a kernel: `width` elements from buffer X at x to Y at y, in pieces of exactly the widths that exist. */
void f_copy(Fn *f, int W, int64_t width, int Y, Aff y, int X, Aff x);
void f_zero(Fn *f, int W, int64_t width, int Y, Aff y);
/* In a walk: `width` elements of each row of the time before go to this time; rows that begin here get 0. */
void lo_shift(Lowering *l, Loc from, Loc to, int64_t width, Span span);
/* What the calls since `first` use, all of it lives as long as their walk. */
void lo_walked(Lowering *l, int first);
/* A key for a row-free value: parameters are the same in all graphs of a model, other values belong to
 * theirs. */
Str lo_free_key(Lowering *l, NodeId id);
/* Room in PACKED under a key; *fresh when it is new and l->packing->pre must be told how to fill it. */
Loc lo_packed(Lowering *l, int64_t size, bool *fresh, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Places temps in WORK (first fit by lifetime) and writes the entry as an exported function. */
Fn *lowering_finish(Lowering *l);

/* ---- what lowering leaves: one module per target ---- */

/* MtlEntryKind; after them one for each table, then MEETING_ENTRIES for each meeting. */
enum {
	ENTRY_PRE,
	ENTRY_SCORE,
	ENTRY_WATCH,
	ENTRY_COUNT,
	ENTRY_STEP,
	ENTRY_POST,
	ENTRY_UPDATE,
	ENTRY_REQUEST,
	ENTRY_CANDIDATES,
	ENTRY_ITEMS,
	ENTRY_PAIRS,
	ENTRY_GATES,
	ENTRY_TABLE
};

enum { MEETING_MEET, MEETING_GROUPS, MEETING_ROWS, MEETING_ENTRIES };

/* A value that crosses a meeting: numbers a row of the batch, or a step of a sequence. */
typedef struct {
	int width, seq;
} Kept;

typedef struct {
	Fn *fn; /* NULL: absent */
	int n_slot;
	const Slot *slot;
	int64_t work;
} Entry;

typedef struct {
	const Target *target;
	Mod *mod;
	VEC(Entry) entry; /* ENTRY_... */
	int64_t packed, n_acc, request, item;
	VEC(Kept) kept; /* KEEP */
	int64_t n_meet; /* floats of MEET */
	VEC(int64_t)
	region; /* per meeting: where its part of ACC begins, which runs to the next; none: no meeting */
} Lowered;

/* ---- the fixed order of a sum over few outputs or lanes: eight chains by index mod 8, then a tree
 * (loops.md) ---- */

/* Eight chains in eight lanes, as n registers of `lanes`: chain v * lanes + i in lane i of reg[v]. */
typedef struct {
	int reg, lanes, n;
} Chains;
Chains chains_new(const Lowering *l, Fn *f, const char *name);
void chains_zero(Fn *f, Chains c);
void chains_tree(Fn *f, Chains c, ExprOp op); /* ADD or MAX; leaves the result in all lanes of register 0 */
#endif
