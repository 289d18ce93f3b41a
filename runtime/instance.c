/*
 * Opening a model: which kernels this machine can run, how much memory, which numbers.
 */
#define _GNU_SOURCE
#include "frame.h"
#include "narrow.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mtl_model_is_scorer(const MtlModel *m) { return m->entry[MTL_STEP].n_slot == 0; }

/* ---- variants ---- */

/* The highest N for which this machine is x86-64-vN (0: another family); 5: v4 with AVX512_VNNI. */
static int machine_level(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("ssse3") ||
	    !__builtin_cpu_supports("popcnt"))
		return 1;
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
	    !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
		return 2;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl"))
		return 3;
	return __builtin_cpu_supports("avx512vnni") ? 5 : 4;
#else
	return 0;
#endif
}

static bool is_named(const MtlVariant *v, const char *name)
{
	if (strcmp(v->name, name) == 0) return true;
	const char *tail = strrchr(v->name, '-');
	return tail && strcmp(tail + 1, name) == 0;
}

MtlStatus mtl_variant_choose(const MtlVariant **out, const MtlModel *m, const char *forced, MtlError *e)
{
	int level = machine_level();
	*out = NULL;
	if (forced && *forced) {
		char names[256] = "";
		size_t len = 0;
		for (int i = 0; i < m->n_variant; i++) {
			const MtlVariant *v = &m->variant[i];
			if (is_named(v, forced)) {
				if (v->level > level)
					return mtl_fail(
					    e, MTL_USAGE, "", NULL,
					    "MTL_VARIANT=%s: this machine lacks instructions of %s", forced,
					    v->name);
				*out = v;
				return MTL_OK;
			}
			int k = snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", v->name);
			if (k > 0 && (size_t)k < sizeof names - len) len += (size_t)k;
		}
		return mtl_fail(e, MTL_USAGE, "", NULL, "MTL_VARIANT=%s: this program holds %s", forced,
				names);
	}
	for (int i = 0; i < m->n_variant && !*out; i++)
		if (m->variant[i].level <= level) *out = &m->variant[i];
	if (!*out)
		return mtl_fail(e, MTL_SYSTEM, "", NULL,
				"none of the program's kernels runs on this machine (the least is %s)",
				m->n_variant ? m->variant[m->n_variant - 1].name : "none");
	return MTL_OK;
}

/* ---- memory ---- */

MtlStatus mtl_instance_init(MtlInstance *in, const MtlSys *sys, const MtlModel *m, MtlError *e)
{
	*in = (MtlInstance){.sys = sys, .m = m};
	if (m->abi != MTL_ABI)
		return mtl_fail(e, MTL_REFUSED, "F0201", m->name,
				"compiled for runtime interface %d, this runtime has %d", m->abi, MTL_ABI);
	if (m->real != sizeof(mtl_real))
		return mtl_fail(e, MTL_REFUSED, "F0201", m->name,
				"compiled for numbers of %d bytes, this runtime has %d", m->real,
				(int)sizeof(mtl_real));
	if (mtl_variant_choose(&in->variant, m, getenv("MTL_VARIANT"), e)) return e->status;
	return mtl_codes_init(&in->codes, sys, m, e);
}

/* Rows of a model file are dense: where records are too, they are read where they lie. */
static bool lies_in_store(const MtlInstance *in, int table)
{
	const MtlTable *t = &in->m->table[table];
	return in->in_place && (t->narrow ? in->narrow : t->stride == t->dim);
}

void mtl_instance_free(MtlInstance *in)
{
	if (!in->m) return;
	const MtlSys *sys = in->sys;
	if (in->table)
		for (int t = 0; t < in->m->n_table; t++)
			if (!lies_in_store(in, t)) mtl_release(sys, in->table[t]);
	if (in->moment)
		for (int k = 0; k < in->m->train.dense.n_moment; k++) mtl_release(sys, in->moment[k]);
	mtl_release(sys, in->moment);
	mtl_release(sys, in->table);
	mtl_release(sys, in->table_rows);
	mtl_release(sys, in->param);
	mtl_release(sys, in->packed);
	mtl_release(sys, in->pre_work);
	if (in->codes.book) mtl_codes_free(&in->codes, sys, in->m);
	mtl_store_close(in->store);
	*in = (MtlInstance){0};
}

bool mtl_param_here(const MtlInstance *in, int param)
{
	return in->m->param[param].serving || !mtl_model_is_scorer(in->m);
}

bool mtl_table_here(const MtlInstance *in, int table)
{
	return in->m->table[table].serving || !mtl_model_is_scorer(in->m);
}

MtlStatus mtl_instance_memory(MtlInstance *in, bool training, MtlError *e)
{
	const MtlModel *m = in->m;
	const MtlSys *sys = in->sys;
	/* One float more than asked for, so that an empty block is still a block. */
	in->param = mtl_new(sys, mtl_real, m->n_param + 1);
	in->packed = mtl_new(sys, mtl_real, in->variant->packed + 1);
	in->pre_work = mtl_new(sys, mtl_real, mtl_frame_work(in, MTL_PRE, MTL_PRE) + 1);
	in->table = mtl_new(sys, mtl_real *, m->n_table + 1);
	in->table_rows = mtl_new(sys, int64_t, m->n_table + 1);
	bool ok = in->param && in->packed && in->pre_work && in->table && in->table_rows;
	if (ok && training) {
		in->moment = mtl_new(sys, mtl_real *, m->train.dense.n_moment + 1);
		ok = in->moment;
		for (int k = 0; ok && k < m->train.dense.n_moment; k++)
			ok = (in->moment[k] = mtl_new(sys, mtl_real, m->n_param + 1));
	}
	if (!ok)
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the %lld dense parameters",
				(long long)m->n_param);
	for (int t = 0; t < m->n_table; t++) {
		in->table_rows[t] = m->table[t].rows ? m->table[t].rows : mtl_table_rows(m, &in->codes, t);
		if (!mtl_table_here(in, t) || lies_in_store(in, t)) continue;
		int64_t floats;
		if (__builtin_mul_overflow(in->table_rows[t], (int64_t)m->table[t].stride, &floats) ||
		    !(in->table[t] = mtl_new(sys, mtl_real, floats)))
			return mtl_fail(e, MTL_LIMIT, "F0105", NULL,
					"no memory for table %s: %lld rows of %d floats", m->table[t].name,
					(long long)in->table_rows[t], m->table[t].stride);
	}
	return MTL_OK;
}

void mtl_instance_pack(MtlInstance *in)
{
	MtlFrame f = {.in = in, .work = in->pre_work};
	mtl_frame_call(&f, MTL_PRE, 0, 0, 0);
}

/* ---- loading ---- */

MtlTensor mtl_param_tensor(const MtlInstance *in, int param, const mtl_real *block)
{
	const MtlParam *p = &in->m->param[param];
	MtlTensor t = {.name = p->name, .n_dim = p->n_dim, .data = block ? block + p->offset : NULL};
	for (int i = 0; i < p->n_dim; i++) t.dim[i] = p->dim[i];
	return t;
}

MtlTensor mtl_table_tensor(const MtlInstance *in, int table, int moment)
{
	const MtlTable *t = &in->m->table[table];
	int width = moment >= 0 && in->m->train.tables.kind == MTL_ROW_ADAGRAD ? 1 : t->dim;
	int at = moment < 0 ? 0 : t->dim + moment * width;
	return (MtlTensor){.name = t->name,
			   .n_dim = 2,
			   .dim = {in->table_rows[table], width},
			   .data = in->table[table] ? in->table[table] + at : NULL,
			   .stride = t->stride};
}

/* How it lies in the store that is being loaded. */
static MtlTensor stored_table(const MtlInstance *in, int table)
{
	MtlTensor t = mtl_table_tensor(in, table, -1);
	if (!in->narrow || !in->m->table[table].narrow) return t;
	t.type = mtl_narrow_type(&in->m->table[table]);
	t.dim[1] = mtl_narrow_items(&in->m->table[table]);
	return t;
}

static bool same_type(const MtlTensor *a, const MtlTensor *b)
{
	return a->type && b->type ? !strcmp(a->type, b->type) : a->type == b->type;
}

bool mtl_same_shape(const MtlTensor *a, const MtlTensor *b)
{
	if (a->n_dim != b->n_dim) return false;
	for (int i = 0; i < a->n_dim; i++)
		if (a->dim[i] != b->dim[i]) return false;
	return true;
}

const char *mtl_shape_text(const MtlTensor *t, char text[96])
{
	size_t n = (size_t)snprintf(text, 96, "[");
	for (int i = 0; i < t->n_dim && n < 90; i++)
		n += (size_t)snprintf(text + n, 96 - n, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
	snprintf(text + n, 96 - n, "]");
	return text;
}

static MtlStatus seek(const MtlTensor **out, const MtlStore *s, const char *where, const MtlTensor *want,
		      MtlError *e)
{
	const MtlTensor *have = *out = mtl_store_find(s, want->name);
	if (!have) return mtl_fail(e, MTL_REFUSED, "F0202", where, "no tensor %s", want->name);
	if (!mtl_same_shape(have, want) || !same_type(have, want)) {
		char a[96], b[96];
		return mtl_fail(e, MTL_REFUSED, "F0203", where, "tensor %s is %s here and %s in this program",
				want->name, mtl_shape_text(have, a), mtl_shape_text(want, b));
	}
	return MTL_OK;
}

/* Floats of a model file as what the records of the table are. */
static MtlStatus fill_table(const MtlInstance *in, int table, const MtlTensor *have, const char *where,
			    MtlError *e)
{
	const MtlTable *t = &in->m->table[table];
	bool ok = true;
	if (t->narrow)
		ok = mtl_narrow_records(t, have->data, have->dim[0], in->table[table]);
	else
		mtl_store_copy(have, in->table[table], t->stride);
	if (t->precision && !t->narrow) ok = mtl_narrow_round(t, in->table[table], have->dim[0]);
	return ok ? MTL_OK
		  : mtl_fail(e, MTL_REFUSED, "F0010", where,
			     "tensor \"%s\" holds a number too large for bf16", t->name);
}

static bool is_known(const MtlInstance *in, const char *name)
{
	if (strncmp(name, "optim.", 6) == 0 || strncmp(name, "best.", 5) == 0) return true;
	for (int i = 0; i < in->m->n_param_block; i++)
		if (strcmp(in->m->param[i].name, name) == 0) return true;
	for (int t = 0; t < in->m->n_table; t++)
		if (strcmp(in->m->table[t].name, name) == 0) return true;
	return false;
}

MtlStatus mtl_instance_load(MtlInstance *in, const MtlStore *s, const char *where, bool training, MtlError *e)
{
	const MtlModel *m = in->m;
	const char *digest = mtl_store_meta(s, MTL_META_DIGEST), *name = mtl_store_meta(s, MTL_META_MODEL);
	if (!digest)
		return mtl_fail(e, MTL_REFUSED, "F0204", where,
				"it does not say which model it belongs to; weights of other origin enter by "
				"train --init");
	if (strcmp(digest, m->digest) != 0)
		return mtl_fail(e, MTL_REFUSED, "F0205", where,
				"it belongs to another structure (model %s, digest %s) than this program "
				"(model %s, digest %s)%s",
				name ? name : "?", digest, m->name, m->digest,
				name && !strcmp(name, m->name) ? ": the model or a -D has changed since"
							       : "");
	const char *codes = mtl_store_meta(s, MTL_META_CODES);
	if (codes) {
		if (mtl_codes_from_json(&in->codes, in->sys, m, codes, e)) return e->status;
	} else if (!in->codes.complete) {
		return mtl_fail(e, MTL_REFUSED, "F0206", where,
				"it lacks the vocabularies taken from the data");
	}
	in->in_place = mtl_model_is_scorer(m) && !training;
	in->narrow = in->in_place && mtl_store_converted(s);
	if (mtl_instance_memory(in, training, e)) return e->status;
	const MtlTensor *have;
	for (int i = 0; i < m->n_param_block; i++) {
		if (!mtl_param_here(in, i)) continue;
		MtlTensor want = mtl_param_tensor(in, i, NULL);
		if (seek(&have, s, where, &want, e)) return e->status;
		mtl_store_copy(have, in->param + m->param[i].offset, want.stride);
	}
	for (int t = 0; t < m->n_table; t++) {
		if (!mtl_table_here(in, t)) continue;
		MtlTensor want = stored_table(in, t);
		if (seek(&have, s, where, &want, e)) return e->status;
		if (lies_in_store(in, t))
			in->table[t] = (mtl_real *)(uintptr_t)have->data; /* SCORE reads tables only */
		else if (fill_table(in, t, have, where, e))
			return e->status;
	}
	for (int i = 0; i < mtl_store_count(s) && !mtl_model_is_scorer(m); i++)
		if (!is_known(in, mtl_store_tensor(s, i)->name))
			return mtl_fail(e, MTL_REFUSED, "F0207", where, "this program has no tensor %s",
					mtl_store_tensor(s, i)->name);
	return MTL_OK;
}

MtlStatus mtl_instance_open(MtlInstance *in, const char *path, MtlError *e)
{
	const MtlModel *m = in->m;
	const char *where = path ? path : "weights in the program";
	MtlStore *s = NULL;
	if (path) {
		if (mtl_store_open(&s, in->sys, path, false, e)) return e->status;
	} else {
		if (!m->weights)
			return mtl_fail(e, MTL_USAGE, "", NULL,
					"this program holds no weights: give --model");
		if (mtl_store_open_trusted(&s, in->sys, m->weights, m->n_weights, where, e)) return e->status;
	}
	MtlStatus st = mtl_instance_load(in, s, where, false, e);
	if (in->in_place)
		in->store = s;
	else
		mtl_store_close(s);
	if (st) return st;
	mtl_instance_pack(in);
	return MTL_OK;
}
