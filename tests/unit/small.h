/*
 * Small models made by hand from nodes, lowered for every machine that runs here, run by the interpreter and,
 * through both emitters, as kernels.  For tests only.
 *
 *   small_new, operands, graph_op, small_out or small_loss, small_finish   for each model
 *   lab_load                                                               compiles all of them at once
 *   small_rows, then harness_run, small_scores, small_gradients
 */
#ifndef SMALL_H
#define SMALL_H
#include "driver/harness.h"
#include "driver/link.h"
#include "ir/op.h"
#include "pass/pass.h"
#include "pass/update.h"
#include "runtime/steps.h"
#include <CUnit/Basic.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* In the order of MtlEntryKind; update_t0 and so on follow. */
enum {
	E_PRE,
	E_SCORE,
	E_WATCH,
	E_COUNT,
	E_STEP,
	E_POST,
	E_UPDATE,
	E_REQUEST,
	E_CANDIDATES,
	E_ITEMS,
	E_PAIRS,
	E_GATES,
	E_TABLE
};
enum { BACKENDS = 2 }; /* LLVM, C */
static const char *const backend_name[BACKENDS] = {"LLVM", "C"};

typedef struct Small Small;
typedef struct {
	Compilation c;
	VEC(Small *) small;
} Lab;

struct Small {
	Lab *lab;
	Spec *spec;
	Graph *g;		   /* the forward graph */
	Graph *serve, *train;	   /* after small_finish */
	VEC(NodeId) out;	   /* outputs, side by side in OUT */
	VEC(Root) root;		   /* gradients given as nodes, not derived */
	Lowered *low[TARGETS_MAX]; /* NULL: does not run here */
	void *lib[BACKENDS];
	bool blas; /* products by a library */
};

static void lab_open(Lab *lab)
{
	*lab = (Lab){0};
	compilation_init(&lab->c);
}

static bool small_load(Small *s)
{
	Compilation *c = &s->lab->c;
	c->lowered.n = 0;
	for (int t = 0; t < n_targets; t++)
		if (s->low[t]) vec_push(c->arena, &c->lowered, s->low[t]);
	for (int b = 0; b < BACKENDS; b++) {
		Text error = {0};
		LinkRequest l = {.emit = "exe", .c_backend = b == 1, .level = 0};
		s->lib[b] = link_load(c, &l, &error);
		if (!s->lib[b])
			fprintf(stderr, "%s, %s: %s\n", s->spec->name, backend_name[b],
				error.at ? error.at : "");
		text_free(&error);
		if (!s->lib[b]) return false;
	}
	return true;
}

/* All models, compiled by both backends. */
static bool lab_load(Lab *lab)
{
	bool ok = true;
	for (int i = 0; i < lab->small.n; i++) ok = ok && small_load(lab->small.at[i]);
	return ok;
}

static void lab_close(Lab *lab)
{
	for (int i = 0; i < lab->small.n; i++)
		for (int b = 0; b < BACKENDS; b++)
			if (lab->small.at[i]->lib[b]) dlclose(lab->small.at[i]->lib[b]);
	compilation_free(&lab->c);
}

static Small *small_new(Lab *lab, const char *name)
{
	Small *s = arena_new(lab->c.arena, Small, 1);
	s->lab = lab;
	vec_push(lab->c.arena, &lab->small, s);
	s->spec = spec_new(lab->c.arena, lab->c.str);
	s->spec->name = str_intern(lab->c.str, name);
	s->spec->dense.kind = s->spec->tables.kind = OPT_SGD;
	s->g = s->spec->g;
	return s;
}

/* ---- operands ---- */

static NodeId shaped(Small *s, NodeId x, Shape to) { return graph_reshape(s->g, x, to); }

/* A table of its own, row r of the batch looking up row r: so every element can be set. */
static inline NodeId small_lookup(Small *s, Shape shape)
{
	Spec *p = s->spec;
	int dim = (int)shape_size(shape), i = p->lookup.n;
	Str name = str_printf(p->str, "t%d", i);
	vec_push(p->arena, &p->feature,
		 (Feature){.name = name, .kind = FEATURE_ID, .code = CODE_SIZE, .share = -1, .dim = dim});
	vec_push(p->arena, &p->table, (Table){.name = name, .feature = i, .dim = dim});
	vec_push(p->arena, &p->lookup, (Lookup){.feature = i, .table = i});
	return shaped(s, graph_op(s->g, OP_LOOKUP, 0, NULL, (Attr){.i = i, .j = dim}, (Span){0}), shape);
}

/* A sequence; returns 1 + its index. */
static inline int small_seq(Small *s, int max)
{
	vec_push(s->spec->arena, &s->spec->seq, (Seq){.name = "seq", .max = max});
	return s->spec->seq.n;
}

/* The same as small_lookup for every step: item j of the sequence's lists looks up row j. */
static inline NodeId small_steps(Small *s, int seq, Shape shape)
{
	int i = s->spec->lookup.n;
	NodeId flat =
	    s->g->node.at[small_lookup(s, shape)].op == OP_RESHAPE ? s->g->node.n - 2 : s->g->node.n - 1;
	s->spec->feature.at[i].kind = FEATURE_BAG;
	s->spec->feature.at[i].seq = seq;
	vec_push(s->spec->arena, &s->spec->seq.at[seq - 1].feature, i);
	for (NodeId id = flat; id < s->g->node.n; id++) s->g->node.at[id].shape.seq = seq;
	return s->g->node.n - 1;
}

static inline NodeId small_param(Small *s, Shape shape)
{
	int i = spec_param(
	    s->spec, (Param){.name = str_printf(s->spec->str, "p%d", s->spec->param.n), .shape = shape});
	return graph_push(s->g, OP_PARAM, shape, 0, NULL, (Attr){.i = i}, (Span){0});
}

/* Numbers per row without a gradient. */
static inline NodeId small_noise(Small *s, int width)
{
	int i = s->spec->noise.n;
	vec_push(s->spec->arena, &s->spec->noise, (Noise){.width = width});
	return graph_op(s->g, OP_NOISE, 0, NULL, (Attr){.i = i, .j = width}, (Span){0});
}

static inline NodeId small_spread(Small *s, NodeId x, Shape to)
{
	return graph_push(s->g, OP_SPREAD, to, 1, &x, (Attr){0}, (Span){0});
}

/* ---- results ---- */

/* Adds a value to the outputs; returns its first column. */
static inline int small_out(Small *s, NodeId x)
{
	Shape h = s->g->node.at[x].shape;
	int at = s->spec->output.n;
	if (!h.rows) {
		h.rows = true;
		x = small_spread(s, x, h);
	}
	vec_push(s->spec->arena, &s->out, x);
	for (int64_t i = 0; i < shape_size(h); i++)
		vec_push(s->spec->arena, &s->spec->output, (Output){.name = "y", .node = x});
	return at;
}

/* The mean over all rows of a value per row. */
static inline void small_loss(Small *s, NodeId row)
{
	vec_push(s->spec->arena, &s->spec->loss,
		 (Loss){.name = "loss", .weight = 1, .row = row, .count = graph_const(s->g, 1, (Span){0})});
}

static inline void small_root(Small *s, RootKind kind, int index, NodeId node)
{
	vec_push(s->spec->arena, &s->root, (Root){kind, index, node});
}

static void small_verify(const Graph *g, const char *name)
{
	Text faults = {0};
	if (graph_verify(g, &faults)) {
		fprintf(stderr, "%s:\n%s", name, faults.at);
		CU_FAIL("a graph breaks the rules");
	}
	text_free(&faults);
}

/* The passes as compile.c runs them, then lowering. */
static void small_finish(Small *s)
{
	Spec *p = s->spec;
	small_verify(s->g, p->name);
	s->serve = graph_copy(s->g);
	for (int i = 0, at = 0; i < s->out.n; i++) {
		graph_root(s->serve, ROOT_OUTPUT, at, s->out.at[i]);
		at += (int)shape_size(s->g->node.at[s->out.at[i]].shape);
	}
	if (p->loss.n || s->root.n) {
		s->train = graph_copy(s->g);
		if (p->loss.n) pass_autodiff(p, s->train);
		for (int i = 0; i < s->root.n; i++) vec_push(p->arena, &s->train->root, s->root.at[i]);
	}
	for (int k = 0; k < 2; k++) {
		Graph *g = k ? s->train : s->serve;
		if (!g) continue;
		pass_fold(g);
		pass_cse(g);
		pass_dce(g);
		small_verify(g, p->name);
	}
	if (s->train) pass_rows(p, s->train);
	pass_records(p, false);
	for (int t = 0; t < n_targets; t++) {
		if (!target_runs(&targets[t])) continue;
		Target *wish = arena_new(p->arena, Target, 1);
		*wish = targets[t];
		wish->blas = s->blas;
		s->low[t] = pass_lower(p->arena, p, &(Graphs){.train = s->train, .serve = s->serve}, wish);
		Text faults = {0};
		if (mod_verify(s->low[t]->mod, &faults)) {
			fprintf(stderr, "%s:\n%s", s->low[t]->mod->name, faults.at);
			CU_FAIL("loops break the rules");
		}
		text_free(&faults);
	}
}

/* ---- running ---- */

/* A batch; ids are 0, 1, 2, ... */
static Harness *small_rows(Small *s, int target, int64_t rows, uint64_t seed)
{
	Harness *h = harness_new(s->lab->c.arena, s->spec, s->low[target], s->lib[0], rows, seed);
	for (int i = 0; i < s->spec->feature.n; i++) {
		Buffer *id = harness_buffer(h, SLOT_ID, i);
		for (int64_t r = 0; id && r < rows; r++) id->i[r] = (int32_t)r;
	}
	return h;
}

/* Lists of given lengths, at most 3, for a sequence; the steps are found anew. */
static inline void small_lengths(Harness *h, int seq, const int *length)
{
	const Spec *p = h->spec;
	int32_t *start = arena_new(h->arena, int32_t, h->rows + 1);
	for (int64_t r = 0; r < h->rows; r++) start[r + 1] = start[r] + length[r];
	MtlSteps s = {.at = harness_buffer(h, SLOT_STEP_AT, seq - 1)->i,
		      .row = harness_buffer(h, SLOT_STEP_ROW, seq - 1)->i,
		      .block = harness_buffer(h, SLOT_STEP_BLOCK, seq - 1)->i};
	mtl_steps_fill(&s, start, h->rows, p->seq.at[seq - 1].max);
	h->steps.at[seq - 1] = start[h->rows];
	for (int i = 0; i < p->feature.n; i++) {
		Buffer *item = harness_buffer(h, SLOT_BAG_ITEM, i);
		for (int64_t j = 0; item && p->feature.at[i].seq == seq && j < item->n; j++)
			item->i[j] = (int32_t)j;
	}
}

/* Element e of row r of lookup i. */
static inline int64_t small_at(const Harness *h, int i, int64_t r, int64_t e)
{
	return r * h->spec->table.at[i].stride + e;
}

static void small_clear(Harness *h, SlotKind kind)
{
	Buffer *b = harness_buffer(h, kind, 0);
	for (int64_t i = 0; b && i < b->n; i++) harness_set(b, i, 777);
}

static bool small_ran(Harness *h, bool ok)
{
	if (!ok) {
		fprintf(stderr, "%s: %s\n", h->spec->name, h->fault);
		CU_FAIL("an entry did not run");
	}
	return ok;
}

/* `pre` and `score`: values in OUT. */
static inline bool small_scores(Harness *h, RunMode mode)
{
	int64_t n[1] = {h->rows};
	small_clear(h, SLOT_OUT);
	return small_ran(h, harness_run(h, mode, E_PRE, n) && harness_run(h, mode, E_SCORE, n));
}

/* `pre`, `step` and `post` with the denominators of the losses set to 1 / inv: gradients in GRAD and DROWS.
 */
static inline bool small_gradients(Harness *h, RunMode mode, double inv)
{
	int64_t n[1] = {h->rows};
	Buffer *acc = harness_buffer(h, SLOT_ACC, 0), *b = harness_buffer(h, SLOT_INV, 0);
	small_clear(h, SLOT_GRAD);
	small_clear(h, SLOT_DROWS);
	for (int64_t i = 0; acc && i < acc->n; i++) harness_set(acc, i, 0);
	for (int64_t i = 0; b && i < b->n; i++) harness_set(b, i, inv);
	return small_ran(h, harness_run(h, mode, E_PRE, n) && harness_rows(h, mode) &&
				harness_run(h, mode, E_POST, n));
}

static inline double small_value(Harness *h, RunMode mode, int64_t row, int column)
{
	return harness_get(harness_buffer(h, SLOT_OUT, 0), mode, row * h->spec->output.n + column);
}

static inline double small_drow(Harness *h, RunMode mode, int64_t row, int lookup, int column)
{
	return harness_get(harness_buffer(h, SLOT_DROWS, 0), mode,
			   row * h->spec->n_drow + h->spec->lookup.at[lookup].offset + column);
}

/* Floats that differ in the interpreter's and the kernels' copy; the first is said. */
static int64_t small_differ(Harness *h, SlotKind kind, const char *what)
{
	Buffer *b = harness_buffer(h, kind, 0);
	int64_t bad = 0;
	for (int64_t i = 0; b && i < b->n; i++) {
		float want = (float)b->d[i];
		if (!memcmp(&want, &b->f[i], sizeof want) || (isnan(want) && isnan(b->f[i]))) continue;
		if (!bad++)
			fprintf(stderr, "%s, %s: element %lld of slot %d is %.9g, the interpreter has %.9g\n",
				h->low->mod->name, what, (long long)i, (int)kind, (double)b->f[i],
				(double)want);
	}
	return bad;
}

/* Scores and gradients: the float interpreter and both backends' kernels, to the bit.  Number of differences.
 */
static inline int64_t small_bits(Small *s, Harness *h)
{
	int64_t bad = 0;
	harness_sync(h);
	bool score = s->out.n > 0, train = s->train != NULL;
	if (score && !small_scores(h, RUN_FLOAT)) return 1;
	if (train && !small_gradients(h, RUN_FLOAT, 1)) return 1;
	enum { KEPT = 5 };
	Buffer *keep[KEPT] = {harness_buffer(h, SLOT_OUT, 0), harness_buffer(h, SLOT_GRAD, 0),
			      harness_buffer(h, SLOT_DROWS, 0), harness_buffer(h, SLOT_LOSS, 0),
			      harness_buffer(h, SLOT_DSTEPS, 0)};
	double *was[KEPT] = {0};
	for (int k = 0; k < KEPT; k++)
		if (keep[k]) {
			was[k] = arena_new(h->arena, double, keep[k]->n);
			memcpy(was[k], keep[k]->d, sizeof(double) * (size_t)keep[k]->n);
		}
	for (int b = 0; b < BACKENDS; b++) {
		h->lib = s->lib[b];
		if (score) small_scores(h, RUN_KERNEL);
		if (train) small_gradients(h, RUN_KERNEL, 1);
		for (int k = 0; k < KEPT; k++) {
			if (!keep[k]) continue;
			memcpy(keep[k]->d, was[k], sizeof(double) * (size_t)keep[k]->n);
			bad += small_differ(h, keep[k]->kind, backend_name[b]);
		}
	}
	return bad;
}
#endif
