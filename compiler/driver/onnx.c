/*
 * A trained model as an ONNX file: what the data gave the features, the weights, and how ids become rows.
 *
 * The metadata "mtlc.inputs" says of every input what it stands for, so that the file is enough for whoever
 * encodes: {"user_id": {"feature", "kind", "code", "n", "words", ...}}.
 */
#include "driver/onnx.h"
#include "emit/emit_onnx.h"
#include "pass/pass.h"
#include "runtime/instance.h"
#include "runtime/store.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what the data gave ---- */

static OnnxCode *codes_of(const Compilation *c, const json_t *given)
{
	const Spec *s = c->spec;
	OnnxCode *code = arena_new(c->arena, OnnxCode, s->feature.n + 1);
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		const json_t *own = json_object_get(given, f->name), *edges = json_object_get(own, "edges");
		OnnxCode *k = &code[i];
		*k = (OnnxCode){.edges = f->edges.at, .n_edges = f->edges.n, .scale = 1};
		if (json_object_get(own, "scale")) {
			k->shift = json_number_value(json_object_get(own, "shift"));
			k->scale = json_number_value(json_object_get(own, "scale"));
		}
		if (!edges) continue;
		double *x = arena_new(c->arena, double, json_array_size(edges) + 1);
		k->n_edges = (int)json_array_size(edges);
		for (int e = 0; e < k->n_edges; e++)
			x[e] = json_number_value(json_array_get(edges, (size_t)e));
		k->edges = x;
	}
	return code;
}

static json_t *words_of(const Feature *f, const json_t *given)
{
	json_t *words = json_object_get(json_object_get(given, f->name), "vocab");
	if (words) return json_incref(words);
	words = json_array();
	for (int i = 0; i < f->vocab.n; i++)
		json_array_append_new(words, json_string_nocheck(f->vocab.at[i]));
	return words;
}

static json_t *input_to_json(const Spec *s, const OnnxInput *in, const json_t *given)
{
	static const char *const kind[] = {"id", "ids", "real"}, *const code[] = {
								     "plain", "hash",	"vocab",    "vocab",
								     "size",  "bucket", "quantiles"};
	if (in->seq)
		return json_pack("{s:s, s:s}", "kind", "length", "sequence", s->seq.at[in->seq - 1].name);
	const Feature *f = &s->feature.at[in->feature], *root = f;
	while (root->share >= 0) root = &s->feature.at[root->share];
	json_t *o =
	    json_pack("{s:s, s:s, s:s}", "feature", f->name, "column", f->column, "kind", kind[f->kind]);
	if (f->seq) json_object_set_new(o, "sequence", json_string(s->seq.at[f->seq - 1].name));
	/* A list, whose steps are its items: a missing one is none, and no step without a value. */
	if (f->pool_max) json_object_set_new(o, "pool", json_string("max"));
	if (f->kind == FEATURE_BAG)
		json_object_set_new(o, "separator", json_stringn(f->separator ? &f->separator : "|", 1));
	if (f->kind == FEATURE_BAG && f->max_items) {
		json_object_set_new(o, "max", json_integer(f->max_items));
		json_object_set_new(o, "keep", json_string(f->keep_last ? "last" : "first"));
	}
	if (in->type == ONNX_FLOAT) json_object_set_new(o, "weights_of", json_string(f->column));
	if (in->type != ONNX_INT64) return o;
	json_object_set_new(o, "code", json_string(f->cross.n ? "cross" : code[root->code]));
	if (f->cross.n) {
		json_t *parts = json_array();
		for (int i = 0; i < f->cross.n; i++)
			json_array_append_new(parts, json_string(s->feature.at[f->cross.at[i]].name));
		json_object_set_new(o, "parts", parts);
	}
	if (root->code == CODE_HASH || root->code == CODE_SIZE)
		json_object_set_new(o, "n", json_integer(root->n));
	if (root->code == CODE_VOCAB || root->code == CODE_VOCAB_AUTO)
		json_object_set_new(o, "words", words_of(root, given));
	return o;
}

static char *inputs_json(const Spec *s, const Onnx *o, const json_t *given)
{
	json_t *all = json_object();
	for (int i = 0; i < o->input.n; i++)
		json_object_set_new(all, onnx_name(o, o->input.at[i].value),
				    input_to_json(s, &o->input.at[i], given));
	char *text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return text;
}

/* ---- weights and the file ---- */

static int64_t elements(const MtlTensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->n_dim; i++) n *= t->dim[i];
	return n;
}

static bool bring_weights(Onnx *o, const MtlStore *store, Text *error)
{
	for (int i = 0; i < o->tensor.n; i++) {
		OnnxTensor *t = &o->tensor.at[i];
		if (!t->weight) continue;
		const MtlTensor *have = mtl_store_find(store, onnx_name(o, t->value));
		if (!have) {
			text_printf(error, "the model has no tensor %s", onnx_name(o, t->value));
			return false;
		}
		for (int d = 0; d < t->nd; d++) t->dim[d] = have->dim[d]; /* rows of a table: by the data */
		t->data = have->data;
		t->bytes = elements(have) * (int64_t)sizeof(float);
	}
	return true;
}

static bool write_file(const Onnx *o, const char *producer, const EmitOnnxMeta *meta, int n, const char *path,
		       Text *error)
{
	Text made = {0};
	text_printf(&made, "%s.tmp%ld", path, (long)getpid());
	FILE *f = fopen(made.at, "wb");
	bool ok = f && emit_onnx(o, producer, meta, n, f);
	int why = errno;
	if (f && fclose(f) && ok) {
		ok = false;
		why = errno;
	}
	if (ok && rename(made.at, path)) {
		ok = false;
		why = errno;
	}
	if (!ok) unlink(made.at);
	if (!ok && why == EFBIG)
		text_printf(error, "%s: an ONNX file holds less than 2 GiB, this model is larger", path);
	else if (!ok)
		text_printf(error, "cannot write %s: %s", path, strerror(why));
	text_free(&made);
	return ok;
}

bool onnx_file(const Compilation *c, const char *weights, const char *producer, const char *out, Text *error)
{
	MtlError e = {0};
	MtlStore *store = NULL;
	if (mtl_store_open(&store, &mtl_sys, weights, false, &e)) {
		text_add(error, e.text);
		return false;
	}
	const char *codes = mtl_store_meta(store, MTL_META_CODES), *lacks = NULL;
	json_t *given = codes ? json_loads(codes, 0, NULL) : NULL;
	Onnx *o = pass_onnx(c->arena, c->spec, c->serve, codes_of(c, given), &lacks);
	char *inputs = o ? inputs_json(c->spec, o, given) : NULL;
	bool ok = false;
	if (!o)
		text_printf(error, "--emit=onnx: this model scores with `%s`, which has no form in ONNX",
			    lacks);
	else if (bring_weights(o, store, error))
		ok = write_file(o, producer,
				(EmitOnnxMeta[]){{"mtlc.model", c->spec->name},
						 {"mtlc.digest", c->digest},
						 {"mtlc.inputs", inputs}},
				3, out, error);
	free(inputs);
	json_decref(given);
	mtl_store_close(store);
	return ok;
}
