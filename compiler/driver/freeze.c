/*
 * Weights for a standalone scorer: training state and training-only parts stay behind.
 *
 * A scorer reads tables where they lie in its file, so those whose size keeps the next one on a cache line's
 * boundary come first.
 */
#include "driver/freeze.h"
#include "emit/emit_model.h"
#include "ir/op.h"
#include "runtime/instance.h"
#include "runtime/narrow.h"
#include "runtime/store.h"
#include <stdlib.h>
#include <string.h>

static const MtlTensor *wanted(const MtlStore *store, const char *name, Text *error, const char *model)
{
	const MtlTensor *t = mtl_store_find(store, name);
	if (!t) text_printf(error, "%s: it has no tensor %s", model, name);
	return t;
}

/* ---- the report ---- */

/* Their size in floats, where some are narrower too. */
static int64_t floats_of(const MtlTensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->n_dim; i++) n *= t->dim[i];
	return !t->type ? n : strcmp(t->type, "I8") ? n / 2 : n / 4;
}

/* For every node the outputs that need it, bit by bit (bit 63: all from 63 on). */
static uint64_t *needed_by(const Spec *s)
{
	uint64_t *by = arena_new(s->arena, uint64_t, s->g->node.n);
	for (int i = 0; i < s->output.n; i++) by[s->output.at[i].node] |= (uint64_t)1 << (i < 63 ? i : 63);
	for (NodeId id = s->g->node.n; id-- > 1;)
		for (int i = 0; i < s->g->node.at[id].n_in; i++) by[s->g->node.at[id].in[i]] |= by[id];
	return by;
}

static void names_of(Text *o, uint64_t bits, int n, Str (*name)(const Spec *, int), const Spec *s)
{
	int said = 0, all = 0;
	for (int i = 0; i < n && i < 64; i++) all += (int)(bits >> i & 1);
	for (int i = 0; i < n && i < 64 && said < 4; i++)
		if (bits >> i & 1) text_printf(o, "%s%s", said++ ? ", " : " ", name(s, i));
	if (all > said) text_printf(o, " and %d more", all - said);
}

static Str output_name(const Spec *s, int i) { return s->output.at[i].name; }
static Str loss_name(const Spec *s, int i) { return s->loss.at[i].name; }

/* into: the weights that take it in when they are loaded, or NULL. */
static void parameter(Text *o, const Spec *s, Str name, int64_t floats, bool serving, Str into, uint64_t by,
		      uint64_t losses)
{
	text_printf(o, "  %-8s %-36s %12lld bytes  ",
		    !serving ? "dropped"
		    : into   ? "folded"
			     : "kept",
		    name, 4 * (long long)floats);
	if (serving && into) {
		text_printf(o, "into %s", into);
	} else if (serving) {
		text_add(o, "for");
		names_of(o, by, s->output.n, output_name, s);
	} else if (losses) {
		text_add(o, "no output needs it, only the loss");
		names_of(o, losses, s->loss.n, loss_name, s);
	} else {
		text_add(o, "nothing needs it");
	}
	text_char(o, '\n');
}

static void inputs(Text *o, const Spec *s, const Lowered *scoring)
{
	text_add(o, "inputs of the scorer\n");
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		if (f->cross.n) continue; /* made of others */
		bool kept = scoring_reads(s, scoring, i);
		text_printf(o, "  %-8s %-36s %s%s\n", kept ? "kept" : "dropped", f->column,
			    kept ? s->group.at[f->group].candidate ? "of the candidate" : "of the request"
			    : f->train_only ? "training alone reads it"
					    : "nothing reads it",
			    kept && f->kind == FEATURE_BAG ? ", a list" : "");
	}
	for (int i = 0; i < s->events->column.n; i++)
		text_printf(o, "  dropped  %-36s a label\n", s->events->column.at[i]);
	for (int i = 0; i < s->sample.n; i++)
		text_printf(o, "  dropped  %-36s a label\n", s->sample.at[i].column);
	if (s->weight_column)
		text_printf(o, "  dropped  %-36s the row's weight in training\n", s->weight_column);
	if (s->group_column)
		text_printf(o, "  dropped  %-36s the row's group in evaluation\n", s->group_column);
}

static void report_on(Text *o, const Spec *s, const Lowered *scoring, const MtlStore *store)
{
	const uint64_t *by = needed_by(s);
	uint64_t *param = arena_new(s->arena, uint64_t, s->param.n + 1);
	uint64_t *table = arena_new(s->arena, uint64_t, s->table.n + 1);
	for (NodeId id = 1; id < s->g->node.n; id++) {
		const Node *n = &s->g->node.at[id];
		if (n->op == OP_PARAM) param[n->attr.i] |= by[id];
		if (n->op == OP_LOOKUP) table[s->lookup.at[n->attr.i].table] |= by[id];
	}
	inputs(o, s, scoring);
	text_add(o, "weights of the scorer\n");
	for (int i = 0; i < s->table.n; i++) {
		const Table *t = &s->table.at[i];
		const MtlTensor *have = mtl_store_find(store, t->name);
		parameter(o, s, t->name, (have ? have->dim[0] : t->rows) * (t->narrow ? t->stride : t->dim),
			  t->serving, NULL, table[i], t->losses);
	}
	for (int i = 0; i < s->param.n; i++)
		parameter(o, s, s->param.at[i].name, shape_size(s->param.at[i].shape), s->param.at[i].serving,
			  s->param.at[i].into, param[i], s->param.at[i].losses);
	int states = 0;
	int64_t bytes = 0;
	for (int i = 0; i < mtl_store_count(store); i++) {
		const MtlTensor *t = mtl_store_tensor(store, i);
		if (strncmp(t->name, "optim.", 6) && strncmp(t->name, "best.", 5)) continue;
		states++;
		bytes += 4 * floats_of(t);
	}
	if (states)
		text_printf(o, "  dropped  %-36s %12lld bytes  state of training, %d tensors\n", "optim.*",
			    (long long)bytes, states);
}

/* ---- weights ---- */

/* By how far the size is a power of two, up to a cache line of 16 floats; then as before. */
static int by_boundary(const void *a, const void *b)
{
	const MtlTensor *x = a, *y = b;
	int64_t p = floats_of(x) | 16, q = floats_of(y) | 16;
	p &= -p;
	q &= -q;
	return p != q ? (p < q) - (p > q) : (x->data > y->data) - (x->data < y->data);
}

/* The table's records, which are the caller's to free; NULL and why. */
static void *narrow(const Table *t, MtlTensor *tensor, Text *error, const char *model)
{
	MtlTable m = {
	    .dim = t->dim, .stride = t->stride, .precision = (MtlPrecision)t->precision, .narrow = true};
	int64_t rows = tensor->dim[0];
	void *made = malloc((size_t)rows * (size_t)t->stride * sizeof(float));
	if (!made || !mtl_narrow_records(&m, tensor->data, rows, made)) {
		text_printf(error,
			    made ? "%s: tensor \"%s\" holds a number too large for bf16"
				 : "%s: no memory for table %s",
			    model, t->name);
		free(made);
		return NULL;
	}
	tensor->data = made;
	tensor->type = mtl_narrow_type(&m);
	tensor->dim[1] = mtl_narrow_items(&m);
	return made;
}

int freeze_weights(const Spec *s, const Lowered *scoring, Str digest, const char *model, const char *out,
		   Text *report, Text *error)
{
	MtlError e = {0};
	MtlStore *store = NULL;
	MtlStatus st = mtl_store_open(&store, &mtl_sys, model, false, &e);
	if (st) {
		text_add(error, e.text);
		return (int)st;
	}
	const char *have = mtl_store_meta(store, MTL_META_DIGEST),
		   *name = mtl_store_meta(store, MTL_META_MODEL);
	int code = 5;
	VEC(MtlTensor) tensor = {0};
	VEC(void *) made = {0};
	if (!have || strcmp(have, digest)) {
		text_printf(error,
			    "%s: it belongs to another structure (model %s, digest %s) than this text (model "
			    "%s, digest %s)%s",
			    model, name ? name : "?", have ? have : "none", s->name, digest,
			    name && !strcmp(name, s->name) ? ": the model or a -D has changed since" : "");
		goto out;
	}
	for (int i = 0; i < s->param.n; i++) {
		const MtlTensor *t =
		    s->param.at[i].serving ? wanted(store, s->param.at[i].name, error, model) : NULL;
		if (s->param.at[i].serving && !t) goto out;
		if (t) vec_push(s->arena, &tensor, *t);
	}
	for (int i = 0; i < s->table.n; i++) {
		const MtlTensor *t =
		    s->table.at[i].serving ? wanted(store, s->table.at[i].name, error, model) : NULL;
		if (s->table.at[i].serving && !t) goto out;
		if (!t) continue;
		vec_push(s->arena, &tensor, *t);
		if (!s->table.at[i].narrow) continue;
		vec_push(s->arena, &made, narrow(&s->table.at[i], &tensor.at[tensor.n - 1], error, model));
		if (!made.at[made.n - 1]) goto out;
	}
	if (report) report_on(report, s, scoring, store);
	if (tensor.n) qsort(tensor.at, (size_t)tensor.n, sizeof *tensor.at, by_boundary);
	const char *keys[] = {MTL_META_MODEL, MTL_META_DIGEST, MTL_META_COMPILER, MTL_META_CODES};
	MtlMeta meta[4];
	int n = 0;
	for (int i = 0; i < 4; i++)
		if (mtl_store_meta(store, keys[i]))
			meta[n++] = (MtlMeta){keys[i], mtl_store_meta(store, keys[i])};
	st = mtl_store_write(&mtl_sys, out, tensor.at, tensor.n, meta, n, &e);
	code = (int)st;
	if (st) text_add(error, e.text);
out:
	for (int i = 0; i < made.n; i++) free(made.at[i]);
	mtl_store_close(store);
	return code;
}
