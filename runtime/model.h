/*
 * A model as the runtime sees it: constant data and kernels, printed by the compiler into the program.
 *
 * Everything is const and lives as long as the program.  Arrays are NULL when their count is 0.
 */
#ifndef MTL_MODEL_H
#define MTL_MODEL_H
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

enum {
	MTL_ABI = 2,
	MTL_BLOCK = 128, /* rows a kernel carries through the whole net at once */
	MTL_SLICES = 8,	 /* a batch is cut in at most this many slices, each with sums of its own */
	MTL_SLICE_LEAST =
	    256, /* rows of a slice: fewer, and adding up the sums costs as much as the parallel work saves */
	MTL_ROW_MISSING = 0, /* table row of an empty cell */
	MTL_ROW_UNKNOWN = 1, /* table row of a value outside the vocabulary */
	MTL_ROW_FIRST = 2,
};

/* ---- what a cell of the data becomes ---- */

typedef enum { MTL_ID, MTL_BAG, MTL_NUMBER } MtlKind; /* id; ids; real */

/* How a cell becomes a table row (ID, BAG) or a number (NUMBER: MTL_PLAIN).  BUCKET and QUANTILES read
 * numbers. */
typedef enum {
	MTL_PLAIN,	/* NUMBER only: no table */
	MTL_HASH,	/* 2 + XXH3_64(bytes, seed 0) mod n */
	MTL_VOCAB,	/* 2 + index in vocab */
	MTL_VOCAB_AUTO, /* vocab from the data: at most n words seen at least min_count times, by falling
			   count then bytes */
	MTL_SIZE,	/* 2 + the integer itself, 0 <= integer < n; others are unknown */
	MTL_BUCKET,	/* 2 + number of edges <= value */
	MTL_QUANTILES,	/* edges from the data: n buckets of equal frequency */
} MtlCode;

typedef enum {
	MTL_AS_IS,
	MTL_LOG1P,
	MTL_STANDARD,
	MTL_MINMAX
} MtlNormal; /* the last two take statistics from the data */
typedef enum { MTL_MISSING_ERROR, MTL_MISSING_VALUE, MTL_MISSING_LEARNED, MTL_MISSING_OWN } MtlMissing;
/* MAX: kernels see the items as the steps of a sequence of one field; weights are not looked at. */
typedef enum { MTL_POOL_SUM, MTL_POOL_MEAN, MTL_POOL_MAX } MtlPool;
typedef enum { MTL_KEEP_FIRST, MTL_KEEP_LAST } MtlKeep;

typedef struct {
	const char *name, *group, *column; /* column: the name in the data */
	MtlKind kind;
	MtlCode code;
	bool candidate;	   /* side: false = request */
	bool train_only;   /* not read when scoring */
	double dropout;	   /* share of cells that training takes as missing */
	int64_t n;	   /* HASH, SIZE, VOCAB_AUTO, QUANTILES: the number declared */
	int64_t min_count; /* VOCAB_AUTO */
	const char *const *vocab;
	int n_vocab;
	const double *edges; /* BUCKET, ascending */
	int n_edges;
	MtlNormal normal;     /* NUMBER */
	MtlMissing missing;   /* NUMBER, and coded numbers: OWN = table row 0 */
	double missing_value; /* MISSING_VALUE: before the normaliser */
	MtlPool pool;	      /* BAG */
	MtlKeep keep;	      /* BAG: which end survives max_items */
	int max_items;	      /* BAG: 0 = no limit */
	char separator;	      /* BAG: '|' by default */
	int seq;	      /* BAG: 1 + the sequence it is a field of, or 0 */
	const int *cross;     /* ID: the features it is the cross of (cross.h); it has no column of its own */
	int n_cross;
	int same_code; /* feature whose vocabulary or edges this one shares, else -1 (`share:`) */
} MtlFeature;

/* Is its cell a field of a sequence, in which an empty item is a step? */
static inline bool mtl_is_field(const MtlFeature *f) { return f->seq && f->pool != MTL_POOL_MAX; }

/* Several lists that go together: the steps of a behaviour sequence. */
typedef struct {
	const char *name;
	int first, n_field;	   /* its fields are features first .. first + n_field */
	int max;		   /* steps at most; every field's max_items */
	int n_drow;		   /* floats of a step in DSTEPS */
	int first_block, in_block; /* as of DROWS: MtlTasks */
} MtlSeq;

/* A use of a feature through a table.  One feature may be looked up in several tables (embedding sets). */
typedef struct {
	int feature, table;
	int offset; /* column in DROWS, of a field of a sequence in its DSTEPS; -1: no loss reaches this use,
		       it has no gradient */
} MtlLookup;

/*
 * A task is a loss that teaches something which another one teaches as well.  Where the balance works on
 * gradients (of_tasks), each has a gradient of its own of what is shared: in GRAD n_shared floats from
 * n_param + task * n_shared on, in DROWS in_block columns from first_block + (1 + task) * n_block on, and so
 * in the DSTEPS of sequences, with an in_block and a first_block of their own.  Block 0 of DROWS, where the
 * lookups' offsets point, and PARAM's layout in GRAD are for what they are brought together to.
 */
typedef struct {
	const int *loss; /* [n] */
	int n;
	bool of_tasks;
	int64_t n_shared;
	int n_block, first_block, in_block;
} MtlTasks;

/* ---- what happened: labels ---- */

/* A label expression over columns in three-valued logic, postfix.  column >= 0 pushes a column. */
enum { MTL_LABEL_NOT = -1, MTL_LABEL_AND = -2, MTL_LABEL_OR = -3 };

typedef struct {
	const char *name;
	int parent;	      /* -1: a share of all impressions; parents come first */
	const int16_t *label; /* postfix: index into MtlModel.label_column, or one of the operators */
	int n_label;	      /* 0: no label of its own (an event defined by others) */
} MtlEvent;

typedef enum {
	MTL_CONTRADICTION_FAIL,
	MTL_CONTRADICTION_DROP,
	MTL_CONTRADICTION_ZERO,
	MTL_CONTRADICTION_FORCE
} MtlContradiction;

/* A real-valued or multi-class outcome. */
typedef struct {
	const char *name, *column;
	int n_class; /* 0: a value */
	const char *const
	    *class;    /* the cells that stand for the classes; NULL: their numbers, 0 .. n_class - 1 */
	bool positive; /* a loss needs the value to be 0 or more */
} MtlSample;

/*
 * What `eval` reports, and what stands in the three columns of WATCH: of a probability (P(buy | click) is
 * "buy|click") logit, label, weight; of a value its estimate, itself, weight; of a class -log of the
 * probability of what it was, 1 where that was foreseen, weight.
 */
typedef enum { MTL_WATCH_PROB, MTL_WATCH_VALUE, MTL_WATCH_CLASS } MtlWatchKind;
typedef struct {
	const char *name;
	const char *label_text, *rows_text; /* for people: "clk & pay", "all" */
	bool head;			    /* declared by the author, not derived */
	MtlWatchKind kind;
} MtlWatch;

typedef struct {
	const char *name;
	double weight;
	bool regression; /* mse, huber */
	int counted; /* the meetings before its rows are counted: mostly 0, by COUNT; else by ROWS of the last
		      */
} MtlLoss;
typedef struct {
	const char *name;
} MtlOutput;
/* The weights of a mixture: columns first .. first + n of GATE. */
typedef struct {
	const char *name; /* "gate.f.click" */
	int first, n;
} MtlGate;

/* ---- parameters ---- */

typedef enum { MTL_INIT_ZERO, MTL_INIT_CONST, MTL_INIT_NORMAL, MTL_INIT_UNIFORM } MtlInitKind;
typedef struct {
	MtlInitKind kind;
	double a, b;
} MtlInit; /* CONST a; NORMAL mean a, deviation b; UNIFORM from a to b */

typedef struct {
	const char *name; /* "tower.ctr.0.weight" */
	int n_dim;
	int32_t dim[4];
	int64_t offset, size; /* floats, in PARAM */
	MtlInit init;
	uint64_t losses; /* bit l: loss l reaches it (bit 63 stands for all from 63 on) */
	bool frozen;
	bool serving;  /* false: exists in training only, the scorer has no room for it */
	bool shared;   /* several losses teach it */
	int64_t block; /* then: where it lies in a task's block of GRAD */
	bool running;  /* remembers batches: frozen, and after each step it is what lies in NEXT */
	int64_t next;  /* there */
} MtlParam;

typedef enum { MTL_SINGLE, MTL_BF16, MTL_INT8 } MtlPrecision;

typedef struct {
	const char *name; /* "embed.user_id.weight" */
	int64_t rows;	  /* 0: known after statistics: 2 + size of the automatic vocabulary of `feature` */
	int feature;	  /* the feature that gives it its rows */
	int dim;
	int stride; /* floats per record: dim * (1 + moments), padded */
	MtlInit init;
	uint64_t losses;
	bool frozen;
	bool serving;
	bool shared;		/* several losses teach it */
	MtlPrecision precision; /* of its numbers when scoring */
	bool narrow; /* records hold such numbers (narrow.h): a scorer's; else floats rounded to them */
} MtlTable;

typedef struct {
	int width;
	double p;
	const char *name;
	bool logistic; /* samples of the logistic distribution instead */
} MtlNoise;	       /* one dropout */

/*
 * Where rows wait for the sums over all rows: each meeting has a region of ACC, added up before it, and
 * MTL_MEETING entries behind those of the tables.
 */
typedef struct {
	int width, seq; /* 1 + the sequence whose steps it is of, or 0: of rows */
} MtlKept;		/* a value that crosses a meeting */
typedef struct {
	int n;
	const int64_t *region; /* [n] where each begins; the last ends with ACC */
	const MtlKept *kept;
	int n_kept;
	int64_t n_meet, n_next; /* floats of MEET, NEXT */
} MtlMeetings;

/* ---- kernels ---- */

typedef enum {
#define SLOT(name, elem, doc) MTL_SLOT_##name,
#include "abi.def"
#undef SLOT
	MTL_N_SLOT
} MtlSlotKind;

typedef struct {
	MtlSlotKind kind;
	int index;
	int stride; /* elements per row (per block if per_block); 0: not row-wise */
	bool per_block;
} MtlSlot;

/*
 * Entries, and the sizes they take (all int64_t):
 *   PRE     none     PARAM -> PACKED.  Once after every change of PARAM.
 *   SCORE   n        rows -> OUT
 *   WATCH   n        rows with labels -> WATCH
 *   COUNT   n        labels -> COUNT
 *   STEP    n        rows with labels, INV -> LOSS, DROWS, ACC +=        (one slice)
 *   POST    none     ACC (already summed over slices) -> GRAD
 *   UPDATE  lo, hi   PARAM, MOMENTs, GRAD: one optimiser step on floats lo .. hi of PARAM
 *   REQUEST n        the request's columns -> REQUEST (a scorer's, as CANDIDATES; both absent where none is
 * needed) CANDIDATES n     the candidates' columns, one row of REQUEST -> OUT, as SCORE would
 *   ITEMS   n        the candidates' columns -> ITEM (as PAIRS; both absent where there is nothing to keep)
 *   PAIRS   n        rows of ITEM, one row of REQUEST -> OUT, as CANDIDATES would GATES   n rows
 * -> GATE (absent where there are no gates) and per table    lo, hi   UNIQ[lo .. hi): sum of gradients and
 * optimiser step on the records and per meeting, after STEP and before POST (MTL_MEETING ...): MEET  none its
 * region of ACC (already summed over slices) -> MEET GROUPS lo, hi  groups lo .. hi of the batch: KEEP ->
 * KEEP (absent where nothing is done by groups) ROWS  n        as STEP, with what the rows have in common:
 * MEET, KEEP -> KEEP, LOSS, DROWS, ACC += n may be any number >= 0.  Results for a row do not depend on n or
 * on its neighbours.
 */
typedef enum {
	MTL_PRE,
	MTL_SCORE,
	MTL_WATCH,
	MTL_COUNT,
	MTL_STEP,
	MTL_POST,
	MTL_UPDATE,
	MTL_REQUEST,
	MTL_CANDIDATES,
	MTL_ITEMS,
	MTL_PAIRS,
	MTL_GATES,
	MTL_FIRST_TABLE
} MtlEntryKind;
enum { MTL_MEET, MTL_GROUPS, MTL_ROWS, MTL_MEETING_ENTRIES };

typedef void MtlKernel(void *const *buf, const int64_t *size);

typedef struct {
	const MtlSlot *slot;
	int n_slot;
} MtlEntry; /* n_slot 0 in a scorer for the entries it lacks */

typedef struct {
	const char *name;	  /* "x86-64-v4" */
	int level;		  /* 2, 3, 4: x86-64-vN; 5: v4 with AVX512_VNNI; 0: any machine */
	MtlKernel *const *kernel; /* [n_entry], NULL where absent */
	const int64_t *work;	  /* [n_entry] floats of WORK */
	int64_t packed;		  /* floats of PACKED */
} MtlVariant;

/* ---- settings of `train { }`, defaults filled in by the compiler ---- */

/* The formulas are in compiler/pass/update.c. */
typedef enum {
	MTL_SGD,
	MTL_ADAGRAD,
	MTL_ADAM,
	MTL_MOMENTUM,
	MTL_NESTEROV,
	MTL_FTRL,
	MTL_ROW_ADAGRAD /* one moment a row; of tables only */
} MtlOptimizerKind;
typedef struct {
	MtlOptimizerKind kind;
	double lr, beta1, beta2, eps;
	int n_moment;
	double l1, l2,
	    decay; /* of weights and touched table rows, not of parameters with fewer than two dimensions */
} MtlOptimizer;

/* The factor of both learning rates: schedule.h. */
typedef enum {
	MTL_SCHEDULE_CONSTANT,
	MTL_SCHEDULE_LINEAR,
	MTL_SCHEDULE_COSINE,
	MTL_SCHEDULE_STEP
} MtlScheduleKind;
typedef struct {
	MtlScheduleKind kind;
	int64_t warmup, steps, every; /* steps 0: those of the run */
	double floor, by;
} MtlSchedule;

/* The formulas are in balance.h. */
typedef enum {
	MTL_FIXED,
	MTL_UNCERTAINTY,
	MTL_DWA,
	MTL_GRADNORM,
	MTL_PCGRAD,
	MTL_MGDA,
	MTL_PARETO,
	MTL_CAGRAD,
	MTL_NASH
} MtlBalanceKind;
typedef struct {
	MtlBalanceKind kind;
	double k, lr;	     /* DWA: temperature; GRADNORM: alpha, rate; CAGRAD: c */
	const double *least; /* PARETO [n of tasks] */
} MtlBalanceRule;

typedef struct {
	MtlOptimizer dense, tables;
	MtlSchedule schedule;
	MtlBalanceRule balance;
	double clip; /* the gradient's norm at most; 0: as it is */
	int batch, epochs;
	int64_t shuffle; /* rows of the shuffle buffer; 0: file order */
	uint64_t seed;
	const char *stop_metric; /* "buy.auc" or NULL */
	int stop_patience;	 /* epochs without a better value */
} MtlTrain;

typedef struct {
	int abi; /* MTL_ABI */
	const char *name;
	const char *digest;   /* hex: equal exactly when inputs, parameters and tables have equal names, kinds
				 and shapes */
	const char *compiler; /* "mtlc 0.1" */
	const MtlFeature *feature;
	int n_feature;
	const MtlSeq *seq;
	int n_seq;
	const MtlLookup *lookup;
	int n_lookup;
	int n_drow;
	const char *const *label_column;
	int n_label_column;
	const MtlEvent *event;
	int n_event;
	const MtlSample *sample;
	int n_sample;
	const char *weight_column; /* or NULL */
	const char *group_column;  /* or NULL */
	bool grouped;		   /* a loss compares the rows of a group */
	MtlContradiction contradiction;
	const MtlParam *param;
	int n_param_block;
	int64_t n_param; /* blocks; floats */
	int64_t n_acc;
	MtlMeetings meetings;
	const MtlTable *table;
	int n_table;
	const MtlNoise *noise;
	int n_noise;
	const MtlLoss *loss;
	int n_loss;
	MtlTasks tasks;
	const MtlGate *gate;
	int n_gate, gate_floats; /* gates; experts of all */
	const MtlWatch *watch;
	int n_watch;
	const MtlOutput *output;
	int n_output;
	int64_t n_request; /* floats of REQUEST for one row; 0: no entry REQUEST */
	int n_item;	   /* floats of ITEM for one row; 0: no entry ITEMS */
	const MtlEntry *entry;
	int n_entry; /* MTL_FIRST_TABLE + n_table + MTL_MEETING_ENTRIES * meetings.n */
	const MtlVariant *variant;
	int n_variant; /* best first */
	MtlTrain train;
	const unsigned char *weights;
	size_t n_weights; /* a model file inside the program, or NULL */
	int real;	  /* bytes of a number: 4, or 8 in a --double program */
	const char
	    *precision; /* of dense layers and tables: "bf16", "int8"; NULL: of numbers of `real` bytes */
	const char
	    *gemm; /* who computes products of matrices: "blas" (gemm.h), or NULL: the kernels themselves */
} MtlModel;
#endif
