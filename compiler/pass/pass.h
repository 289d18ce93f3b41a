/*
 * Passes: one transformation of the graph each, and lowering.  They cannot fail; what they need is asserted.
 */
#ifndef PASS_H
#define PASS_H
#include "ir/lowering.h"
#include "ir/onnx.h"
#include "ir/spec.h"

/* Makes equal nodes one, before anything else. */
void pass_share(Spec *s);
/* Sums over fields of the request and of the candidate in two; a part of pass_share. */
void pass_apart(Spec *s);
/* The order of sums over values of both sides (pass/bind.c). */
void pass_order(Spec *s);
/* The serving graph cut in two: roots GIVEN are what the candidates' part (OUTPUT) takes from the request's.
 * NULL where nothing depends on the request alone.  *floats: of REQUEST. */
Graph *pass_split(const Spec *s, const Graph *serve, int64_t *floats);
/* Roots ITEM: what depends on the candidate alone and meets the request.  The floats of a row of ITEM, 0
 * where there is nothing, or where a candidate cannot be told by a row of it. */
int64_t pass_items(const Spec *s, Graph *split);
/* Multiply-adds of a row by what they depend on: the request alone, the candidate alone, both. */
void split_work(const Spec *s, const Graph *split, int64_t work[3]);
/* The forward graph with roots for losses and counts, then every gradient: roots GRAD and DROW. */
void pass_autodiff(Spec *s, Graph *g);
/* Scoring: outputs and watched events as roots; what exists in training only becomes a constant. */
void pass_serve(Spec *s, Graph *g, bool watches);

/* The least and the largest number a dense layer's input has had. */
typedef struct {
	double lo, hi;
} Range;

/* Marks the layers and tables that score in reduced precision.  range: by parameter, of the layers whose
 * weights these are; NULL: any. */
void pass_precision(Spec *s, Precision p, const Range *range);
/* Takes the marks away. */
void precision_none(Graph *g);
/* Why a dense layer stays in single precision; NULL: it need not. */
const char *precision_refuses(const Graph *g, NodeId id, const int *walk);
const char *precision_refuses_table(const Table *t, Precision p); /* the same of a table */
/* More outputs, of the unshared graph: for each layer that may be marked, "range.PARAM.least" (negated) and
 * ".most" of its input's numbers in a row. */
void pass_ranges(Spec *s);

/* Dense layers take a normalisation by running statistics into their weights. */
void pass_absorb(Spec *s, Graph *g);

/* All three drop ids kept from before. */
void pass_fold(Graph *g);
void pass_cse(Graph *g);
void pass_dce(Graph *g);

/* Which losses reach each parameter and table, and which of them scoring needs. */
void pass_reach(Spec *s);
/* What several losses teach, and which losses those are. */
void pass_boundary(Spec *s);
/* The gates of mixtures, so that their use can be looked at. */
void pass_gates(Spec *s);
/* gradcheck: what was stopped becomes an input. */
void pass_hold(Spec *s, Graph *g);
/* Lays out DROWS: where in a row of it each lookup's gradient lies. */
void pass_rows(Spec *s, const Graph *train);
/* Gives every table its record: the row and its moments; the bare row for a scorer. */
void pass_records(Spec *s, bool scorer);

/* The serving graph in the operators of ONNX; NULL: *lacks names an op that has none. */
Onnx *pass_onnx(Arena *a, const Spec *s, const Graph *serve, const OnnxCode *code, const char **lacks);

/* What a model is lowered from.  train, watch NULL: a scorer; split NULL: nothing to be done once per
 * request. */
typedef struct {
	const Graph *train, *serve, *watch, *split;
	int64_t request, item; /* floats of REQUEST, of a row of ITEM (0: no such entries) */
} Graphs;
Lowered *pass_lower(Arena *a, Spec *s, const Graphs *g, const Target *t);
#endif
