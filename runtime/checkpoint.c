/*
 * Model files of a training run, written and taken up again.
 */
#include "checkpoint.h"
#include "rng.h"
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEST		"best."
#define META_BEST_STATE "mtlc.best_state"

/* ---- beginning ---- */

void mtl_checkpoint_fresh(MtlInstance *in, uint64_t seed)
{
	const MtlModel *m = in->m;
	for (int i = 0; i < m->n_param_block; i++) {
		const MtlParam *p = &m->param[i];
		mtl_init_fill(in->param + p->offset, 1, p->size, p->size, &p->init, seed, p->name);
	}
	for (int t = 0; t < m->n_table; t++)
		mtl_init_fill(in->table[t], in->table_rows[t], m->table[t].dim, m->table[t].stride,
			      &m->table[t].init, seed, m->table[t].name);
}

/* ---- state as text ---- */

enum { STATE_TEXT = 512 + 26 * MTL_REMEMBERED };

const char *mtl_optimizer_name(const MtlOptimizer *o)
{
	static const char *const name[] = {"sgd",      "adagrad", "adam",	"momentum",
					   "nesterov", "ftrl",	  "row_adagrad"};
	return name[o->kind];
}

static void state_text(const MtlRunState *s, const MtlModel *m, char text[STATE_TEXT])
{
	char best[64] = "null";
	if (s->has_best) snprintf(best, sizeof best, "%.17g", s->best);
	/* The seed is text: JSON readers hold 63 bits. */
	snprintf(text, STATE_TEXT,
		 "{\"step\":%" PRId64 ",\"epoch\":%" PRId64 ",\"rows\":%" PRId64 ",\"rows_seen\":%" PRId64
		 ",\"batch\":%" PRId64 ",\"shuffle\":%" PRId64 ",\"seed\":\"%" PRIu64
		 "\",\"best\":%s,\"since\":%" PRId64 ",\"optimizer\":\"%s\",\"tables\":\"%s\"",
		 s->step, s->epoch, s->rows, s->rows_seen, s->batch, s->shuffle, s->seed, best, s->since,
		 mtl_optimizer_name(&m->train.dense), mtl_optimizer_name(&m->train.tables));
	size_t n = strlen(text);
	for (int i = 0; i < s->n_remembered && n < STATE_TEXT; i++) {
		if (i == 0)
			n +=
			    (size_t)snprintf(text + n, STATE_TEXT - n, ",\"balance\":\"%s\",\"remembered\":[",
					     mtl_balance_name(m->train.balance.kind));
		n += (size_t)snprintf(text + n, STATE_TEXT - n, "%s%.17g", i ? "," : "", s->remembered[i]);
	}
	snprintf(text + n, STATE_TEXT - n, s->n_remembered ? "]}" : "}");
}

static bool whole(const json_t *o, const char *key, int64_t *out)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
	*out = json_integer_value(v);
	return true;
}

static bool state_read(const char *text, MtlRunState *s)
{
	json_t *o = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	*s = (MtlRunState){0};
	bool ok = json_is_object(o) && whole(o, "step", &s->step) && whole(o, "epoch", &s->epoch) &&
		  whole(o, "rows", &s->rows) && whole(o, "rows_seen", &s->rows_seen) &&
		  whole(o, "batch", &s->batch) && whole(o, "shuffle", &s->shuffle) &&
		  whole(o, "since", &s->since);
	const json_t *best = ok ? json_object_get(o, "best") : NULL;
	const char *seed = ok ? json_string_value(json_object_get(o, "seed")) : NULL;
	char *end = NULL;
	if (seed) s->seed = strtoull(seed, &end, 10);
	ok = ok && seed && *seed && !*end && (json_is_null(best) || json_is_number(best));
	if (ok && json_is_number(best)) {
		s->has_best = true;
		s->best = json_number_value(best);
	}
	const json_t *list = ok ? json_object_get(o, "remembered") : NULL;
	s->n_remembered = (int)json_array_size(list);
	ok = ok && s->n_remembered <= MTL_REMEMBERED;
	for (int i = 0; ok && i < s->n_remembered; i++) {
		ok = json_is_number(json_array_get(list, (size_t)i));
		s->remembered[i] = json_number_value(json_array_get(list, (size_t)i));
	}
	json_decref(o);
	return ok;
}

bool mtl_checkpoint_state(const MtlStore *s, MtlRunState *state)
{
	return state_read(mtl_store_meta(s, MTL_META_STATE), state);
}

/* ---- saving ---- */

/* What a file is made of while it is put together; names not of the model are written into `text`. */
typedef struct {
	MtlTensor *tensor;
	char *text;
	size_t used;
	int n;
} Parts;

static bool parts_room(Parts *p, const MtlSys *sys, int n, size_t text)
{
	*p = (Parts){.tensor = mtl_new(sys, MtlTensor, n + 1), .text = mtl_new(sys, char, text + 1)};
	return p->tensor && p->text;
}

static void parts_free(Parts *p, const MtlSys *sys)
{
	mtl_release(sys, p->tensor);
	mtl_release(sys, p->text);
}

static void add(Parts *p, const char *prefix, MtlTensor t)
{
	if (*prefix) {
		char *name = p->text + p->used;
		p->used += (size_t)sprintf(name, "%s%s", prefix, t.name) + 1;
		t.name = name;
	}
	p->tensor[p->n++] = t;
}

static bool is_finite(const MtlTensor *t)
{
	int64_t rows = 1, width = 1;
	for (int i = 0; i < t->n_dim; i++) *(i == 0 ? &rows : &width) *= t->dim[i];
	for (int64_t r = 0; r < rows; r++) {
		const mtl_real *x = t->data + r * (t->stride ? t->stride : width);
		for (int64_t j = 0; j < width; j++)
			if (!isfinite(x[j])) return false;
	}
	return true;
}

static void add_moments(Parts *p, const MtlInstance *in)
{
	const MtlModel *m = in->m;
	char prefix[32];
	for (int k = 0; k < m->train.dense.n_moment; k++) {
		snprintf(prefix, sizeof prefix, "optim.%d.", k);
		for (int i = 0; i < m->n_param_block; i++)
			add(p, prefix, mtl_param_tensor(in, i, in->moment[k]));
	}
	for (int k = 0; k < m->train.tables.n_moment; k++) {
		snprintf(prefix, sizeof prefix, "optim.%d.", k);
		for (int t = 0; t < m->n_table; t++) add(p, prefix, mtl_table_tensor(in, t, k));
	}
}

MtlStatus mtl_checkpoint_save(const MtlInstance *in, const char *path, const MtlRunState *state,
			      const MtlStore *best, MtlError *e)
{
	const MtlModel *m = in->m;
	const MtlSys *sys = in->sys;
	int n = m->n_param_block + m->n_table, n_best = best ? mtl_store_count(best) : 0;
	size_t names = 0;
	for (int i = 0; i < m->n_param_block; i++) names += strlen(m->param[i].name) + 32;
	for (int t = 0; t < m->n_table; t++) names += strlen(m->table[t].name) + 32;
	int moments = m->train.dense.n_moment > m->train.tables.n_moment ? m->train.dense.n_moment
									 : m->train.tables.n_moment;
	size_t text = names * (size_t)moments;
	for (int i = 0; i < n_best; i++) text += strlen(mtl_store_tensor(best, i)->name) + 32;

	Parts p;
	char *codes = mtl_codes_to_json(&in->codes, sys, m);
	if (!parts_room(&p, sys, n * (1 + moments) + n_best, text) || !codes) {
		parts_free(&p, sys);
		mtl_release(sys, codes);
		return mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory to save the model");
	}
	for (int i = 0; i < m->n_param_block; i++) add(&p, "", mtl_param_tensor(in, i, in->param));
	for (int t = 0; t < m->n_table; t++) add(&p, "", mtl_table_tensor(in, t, -1));
	if (state) add_moments(&p, in);

	MtlStatus st = MTL_OK;
	for (int i = 0; !st && i < p.n; i++)
		if (!is_finite(&p.tensor[i]))
			st = mtl_fail(e, MTL_NUMBERS, "", path,
				      "not saved: %s holds a number that is not finite%s", p.tensor[i].name,
				      state ? "; a smaller --lr may keep training from running away" : "");
	for (int i = 0; i < n_best; i++) add(&p, BEST, *mtl_store_tensor(best, i));

	char now[STATE_TEXT];
	MtlMeta meta[6] = {{MTL_META_MODEL, m->name},
			   {MTL_META_DIGEST, m->digest},
			   {MTL_META_COMPILER, m->compiler},
			   {MTL_META_CODES, codes}};
	int n_meta = 4;
	if (state) {
		state_text(state, m, now);
		meta[n_meta++] = (MtlMeta){MTL_META_STATE, now};
	}
	if (best && mtl_store_meta(best, MTL_META_STATE))
		meta[n_meta++] = (MtlMeta){META_BEST_STATE, mtl_store_meta(best, MTL_META_STATE)};
	if (!st) st = mtl_store_write(sys, path, p.tensor, p.n, meta, n_meta, e);
	parts_free(&p, sys);
	mtl_release(sys, codes);
	return st;
}

MtlStatus mtl_checkpoint_best(const MtlSys *sys, const MtlStore *s, const char *path, bool *found,
			      MtlError *e)
{
	Parts p;
	int n = mtl_store_count(s);
	*found = false;
	if (!parts_room(&p, sys, n, 0)) {
		parts_free(&p, sys);
		return mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory to save the model");
	}
	for (int i = 0; i < n; i++) {
		MtlTensor t = *mtl_store_tensor(s, i);
		if (strncmp(t.name, BEST, strlen(BEST)) != 0) continue;
		t.name += strlen(BEST);
		add(&p, "", t);
	}
	MtlMeta meta[6];
	int n_meta = 0;
	static const char *const kept[] = {MTL_META_MODEL, MTL_META_DIGEST, MTL_META_COMPILER,
					   MTL_META_CODES};
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (mtl_store_meta(s, kept[i]))
			meta[n_meta++] = (MtlMeta){kept[i], mtl_store_meta(s, kept[i])};
	if (mtl_store_meta(s, META_BEST_STATE))
		meta[n_meta++] = (MtlMeta){MTL_META_STATE, mtl_store_meta(s, META_BEST_STATE)};
	MtlStatus st = MTL_OK;
	*found = p.n > 0;
	if (*found) st = mtl_store_write(sys, path, p.tensor, p.n, meta, n_meta, e);
	parts_free(&p, sys);
	return st;
}

/* ---- taking up again ---- */

static MtlStatus fetch_moment(const MtlStore *s, const char *where, int k, MtlTensor want, mtl_real *dst,
			      MtlError *e)
{
	char name[1024];
	snprintf(name, sizeof name, "optim.%d.%s", k, want.name);
	const MtlTensor *have = mtl_store_find(s, name);
	if (!have || !mtl_same_shape(have, &want))
		return mtl_fail(e, MTL_REFUSED, "F0208", where,
				"%s %s: the run cannot be resumed from this file",
				have ? "wrong shape of" : "no tensor", name);
	mtl_store_copy(have, dst, want.stride);
	return MTL_OK;
}

static MtlStatus same_optimizer(const MtlOptimizer *o, const char *of, const json_t *was, const char *where,
				MtlError *e)
{
	const char *name = json_string_value(was);
	if (name && strcmp(name, mtl_optimizer_name(o)) == 0) return MTL_OK;
	return mtl_fail(e, MTL_REFUSED, "F0208", where,
			"its %s were trained by %s, this program does it by %s: use --init", of,
			name ? name : "what is not told", mtl_optimizer_name(o));
}

/* A balance is told in the state where it remembers something. */
static MtlStatus same_balance(MtlBalanceKind kind, const json_t *was, const char *where, MtlError *e)
{
	const char *name = json_string_value(was), *now = mtl_balance_name(kind);
	bool remembers = kind == MTL_UNCERTAINTY || kind == MTL_DWA || kind == MTL_GRADNORM;
	if (name ? strcmp(name, now) == 0 : !remembers) return MTL_OK;
	return mtl_fail(e, MTL_REFUSED, "F0215", where,
			"its tasks were balanced by %s, this program does it by %s: use --init",
			name ? name : "nothing that is remembered", now);
}

/* What moments and remembered numbers mean depends on who made them. */
static MtlStatus same_methods(const MtlModel *m, const MtlStore *s, const char *where, MtlError *e)
{
	json_t *o = json_loads(mtl_store_meta(s, MTL_META_STATE), 0, NULL);
	MtlStatus st = same_balance(m->train.balance.kind, json_object_get(o, "balance"), where, e);
	if (!st)
		st = same_optimizer(&m->train.dense, "dense parameters", json_object_get(o, "optimizer"),
				    where, e);
	if (!st) st = same_optimizer(&m->train.tables, "tables", json_object_get(o, "tables"), where, e);
	json_decref(o);
	return st;
}

MtlStatus mtl_checkpoint_resume(MtlInstance *in, const MtlStore *s, const char *where, MtlRunState *state,
				MtlError *e)
{
	const MtlModel *m = in->m;
	if (!mtl_store_meta(s, MTL_META_STATE))
		return mtl_fail(e, MTL_REFUSED, "F0209", where,
				"holds no state of a training run (saved with --no-state?): use --init to "
				"start from its weights");
	if (!mtl_checkpoint_state(s, state))
		return mtl_fail(e, MTL_REFUSED, "F0210", where,
				"the state of the training run is not understood");
	if (mtl_instance_load(in, s, where, true, e)) return e->status;
	if (same_methods(m, s, where, e)) return e->status;
	for (int k = 0; k < m->train.dense.n_moment; k++)
		for (int i = 0; i < m->n_param_block; i++)
			if (fetch_moment(s, where, k, mtl_param_tensor(in, i, NULL),
					 in->moment[k] + m->param[i].offset, e))
				return e->status;
	for (int k = 0; k < m->train.tables.n_moment; k++)
		for (int t = 0; t < m->n_table; t++) {
			MtlTensor want = mtl_table_tensor(in, t, k);
			if (fetch_moment(s, where, k, want, (mtl_real *)(uintptr_t)want.data, e))
				return e->status;
		}
	return MTL_OK;
}

static bool keep(const MtlStore *s, const MtlTensor *want, mtl_real *dst,
		 void (*note)(void *self, const char *text), void *self)
{
	char line[512], a[96], b[96];
	const MtlTensor *have = mtl_store_find(s, want->name);
	if (have && mtl_same_shape(have, want)) {
		mtl_store_copy(have, dst, want->stride);
		return true;
	}
	if (have)
		snprintf(line, sizeof line, "%s starts afresh: it is %s there and %s here", want->name,
			 mtl_shape_text(have, a), mtl_shape_text(want, b));
	else
		snprintf(line, sizeof line, "%s starts afresh: it is not there", want->name);
	note(self, line);
	return false;
}

int mtl_checkpoint_warm(MtlInstance *in, const MtlStore *s, void (*note)(void *self, const char *text),
			void *self)
{
	const MtlModel *m = in->m;
	int kept = 0;
	for (int i = 0; i < m->n_param_block; i++) {
		MtlTensor want = mtl_param_tensor(in, i, NULL);
		kept += keep(s, &want, in->param + m->param[i].offset, note, self);
	}
	for (int t = 0; t < m->n_table; t++) {
		MtlTensor want = mtl_table_tensor(in, t, -1);
		kept += keep(s, &want, in->table[t], note, self);
	}
	return kept;
}
