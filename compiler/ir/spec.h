/*
 * A checked model: every name resolved, every shape known, every probability proven.  What `check` leaves.
 *
 * The network itself is a graph already (forward, in training mode: dropout multiplies by NOISE); this is
 * what surrounds it. Enumerators stand in the order of runtime/model.h.
 */
#ifndef SPEC_H
#define SPEC_H
#include "ir/event.h"
#include "ir/graph.h"

typedef enum { FEATURE_ID, FEATURE_BAG, FEATURE_NUMBER } FeatureKind;
typedef enum {
	CODE_PLAIN,
	CODE_HASH,
	CODE_VOCAB,
	CODE_VOCAB_AUTO,
	CODE_SIZE,
	CODE_BUCKET,
	CODE_QUANTILES
} FeatureCode;
typedef enum { NORMAL_NONE, NORMAL_LOG1P, NORMAL_STANDARD, NORMAL_MINMAX } FeatureNormal;
typedef enum { MISSING_ERROR, MISSING_VALUE, MISSING_LEARNED, MISSING_OWN } FeatureMissing;

typedef struct {
	Str name, column;
	int group;
	Span span;
	FeatureKind kind;
	FeatureCode code;
	bool train_only; /* by declaration, or by pass_reach: no output needs it */
	double dropout;	 /* share of cells that training takes as missing */
	int64_t n, min_count;
	VEC(Str) vocab;
	VEC(double) edges;
	FeatureNormal normal;
	FeatureMissing missing;
	double missing_value;
	bool pool_mean, keep_last;
	bool pool_max; /* a sequence of its own, under the maximum over its steps */
	int max_items;
	char separator;
	VEC(int) cross; /* the features it is the cross of: it has no column of its own */
	int share;	/* feature whose table (and code) this one uses, or -1 */
	int dim;	/* declared width, 0: the default */
	int seq;	/* 1 + the sequence it is a field of, or 0 */
	Str after;	/* the event before which it is not known, or NULL */
} Feature;

/* A behaviour sequence: several fields a step.  Its fields are features of kind FEATURE_BAG. */
typedef struct {
	Str name;
	int group;
	Span span;
	VEC(int) feature;
	int max; /* steps at most */
	bool keep_last;
	int n_drow;		   /* width of a step in DSTEPS */
	int first_block, in_block; /* as of DROWS: see Spec */
} Seq;

typedef struct {
	Str name;
	Span span;
	bool candidate;	  /* side; request otherwise */
	VEC(int) feature; /* but the fields of sequences */
} Group;

typedef struct {
	Str name;     /* "embed.user_id.weight"; with a set: "embed.SET.user_id.weight" */
	int feature;  /* whose rows these are */
	int64_t rows; /* 0: known after statistics */
	int dim;
	uint64_t losses; /* by pass_reach: bit l for loss l (bit 63: all from 63 on) */
	bool serving;
	int stride;	     /* floats per record, chosen before lowering: the row, then its moments */
	Precision precision; /* of the numbers when scoring, by pass_precision */
	bool narrow;	     /* records hold such numbers: a scorer's, by pass_records (narrow_record) */
	Init init;
	Span span;
	bool frozen;
	bool shared; /* by pass_boundary: several losses teach it */
} Table;

typedef struct {
	int feature, table;
	int offset; /* column in the block of gradients, DROWS or DSTEPS; -1: no loss reaches it */
	int block;  /* of a shared table, where each task has a gradient of its own: column in each task's
		       block */
} Lookup;

/* The weights of a mixture, [n, experts]: a node of the model's graph. */
typedef struct {
	Str name;
	NodeId node;
	int first, n; /* column in GATE, experts */
} Gate;

/*
 * What a model remembers of its batches: a parameter that no gradient steps.  In training rows see the value
 * of their own batch, when scoring the parameter.
 */
typedef struct {
	int param;
	NodeId next; /* its value after the batch at hand, from its value before */
} Running;

/* Columns of a task's block that a joined gradient is computed in; seq: of a step of that sequence, or 0. */
typedef struct {
	int seq, at, width;
} Region;

typedef struct {
	int width;
	double p;
	bool logistic; /* a sample of the logistic distribution, 0 at rest; else a factor of dropout, 1 at
			  rest */
	Str name;
	Span span;
} Noise;

/*
 * weight * (sum over rows of w * row) / (sum over rows of w * count), w the row weight.
 * row is 0 where the row does not take part; count is 1 where it does (or everywhere: `over: all`).
 */
typedef struct {
	Str name;
	double weight;
	bool regression;   /* mse, huber */
	int counted;	   /* meetings before its count is known, by lowering */
	NodeId row, count; /* [n] */
	Str text, rows;	   /* as the author wrote it; where it counts: "click", "all" */
	Span span;
} Loss;

typedef struct {
	Str name;
	NodeId node; /* [n] */
	Str text;    /* as the author wrote it */
	Span span;
} Output;

/*
 * One line of the derived table and of `eval`: P(of | given), its logit, label and rows.  A value has its
 * estimate and what it was in their places, a class -log of the probability of what it was, and 1 where that
 * was foreseen.
 */
typedef enum { WATCH_PROB, WATCH_VALUE, WATCH_CLASS } WatchKind;
typedef struct {
	Str name;	/* "buy|click" */
	Str text;	/* "P(buy | click)" */
	Str expression; /* "MIX(y2, y3, y4)" */
	Str label_text, rows_text;
	WatchKind kind;
	bool head, trained, served;
	NodeId logit, label,
	    weight; /* [n]; weight 1 where the label is known and the condition holds, times the row's */
} Watch;

/* A real-valued or multi-class outcome and its column. */
typedef struct {
	Str name, column;
	int parent;    /* event it exists under, or -1 */
	int classes;   /* 0: a value */
	VEC(Str) word; /* the classes in the data; empty: their numbers, from 0 */
	bool positive; /* a loss needs it to be 0 or more */
	Span span;
} Sample;

typedef enum {
	OPT_SGD,
	OPT_ADAGRAD,
	OPT_ADAM,
	OPT_MOMENTUM,
	OPT_NESTEROV,
	OPT_FTRL,
	OPT_ROW_ADAGRAD /* of tables only */
} OptKind;
typedef struct {
	OptKind kind;
	double lr, beta1, beta2, eps; /* beta1: also that of momentum and ftrl */
	double l1, l2, decay; /* 0: none; of weights (two dimensions or more), and of touched table rows */
} Optimizer;

/* The factor of the learning rates from step to step: runtime/schedule.h has the formulas. */
typedef enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_STEP } ScheduleKind;
typedef struct {
	ScheduleKind kind;
	int64_t warmup, steps, every; /* steps 0: of the whole run */
	double floor, by;
} Schedule;

/* How losses that teach the same parameters are brought together: runtime/balance.h has the formulas. */
typedef enum {
	BALANCE_FIXED,
	BALANCE_UNCERTAINTY,
	BALANCE_DWA,
	BALANCE_GRADNORM,
	BALANCE_PCGRAD,
	BALANCE_MGDA,
	BALANCE_PARETO,
	BALANCE_CAGRAD,
	BALANCE_NASH
} BalanceKind;
typedef struct {
	BalanceKind kind;
	double k, lr;  /* dwa: temperature; gradnorm: alpha, rate; cagrad: c */
	double *least; /* pareto, per loss: its least share */
} Balance;

typedef enum {
	CONTRADICTION_FAIL,
	CONTRADICTION_DROP,
	CONTRADICTION_ZERO,
	CONTRADICTION_FORCE
} Contradiction;

typedef struct {
	Arena *arena;
	StrTab *str;
	Str name; /* of the model */
	VEC(Feature) feature;
	VEC(Group) group;
	VEC(Seq) seq;
	VEC(Table) table;
	VEC(Lookup) lookup;
	int n_drow;
	VEC(Param) param;
	VEC(Noise) noise;
	Events *events;
	Graph *g;
	VEC(Loss) loss;
	VEC(Output) output;
	VEC(Watch) watch;
	VEC(Sample) sample;
	Str weight_column, group_column;
	bool grouped; /* a loss compares the rows of a group */
	Contradiction contradiction;
	Optimizer dense, tables;
	Schedule schedule;
	double clip; /* norm of the whole gradient at most; 0: none */
	Balance balance;
	/* By pass_boundary.  A task is a loss that teaches something which another one teaches as well. */
	VEC(int) task;	     /* their losses */
	bool task_gradients; /* each task has a gradient of its own of what is shared */
	int64_t n_shared; /* floats of shared parameters; a task's block lies behind those of PARAM in GRAD */
	VEC(Region) region;
	VEC(Gate) gate; /* by pass_gates */
	VEC(Running) running;
	/*
	 * DROWS: columns from one block to the next, of which rows use in_block, and the first's column;
	 * block 0 is the sum, then the tasks'.  Sequences have blocks as far apart, so that a task's gradient
	 * lies equally far behind wherever a table is used.
	 */
	int n_block, in_block, first_block;
	int batch, epochs;
	int64_t shuffle;
	uint64_t seed;
	Str stop_metric;
	int stop_patience;
} Spec;

int optimizer_moments(const Optimizer *o);
int optimizer_record(const Optimizer *o, int dim); /* floats of a table row and its moments */
/*
 * Floats that a row's record takes in reduced precision.  bf16: the numbers, two in a float.  int8: a float
 * s = max |x| / 127 of the row, then a signed byte q a number, x = q s.  What is left of the last is 0.
 */
int narrow_record(Precision p, int dim);
/* Dense parameters lie one after the other, each from a multiple of 16 floats on. */
int64_t spec_param_offset(const Spec *s, int param);
int64_t spec_param_floats(const Spec *s);
/* NEXT: the running parameters, one after the other in the same way. */
int64_t spec_next_offset(const Spec *s, int running);
int64_t spec_grad_floats(const Spec *s); /* GRAD: the layout of PARAM, then each task's block */
/* The feature whose cells an input node reads, or -1. */
int spec_feature_read(const Spec *s, const Node *n);
Spec *spec_new(Arena *a, StrTab *str);
int spec_param(Spec *s, Param p); /* index; names are made unique by the caller */
#endif
