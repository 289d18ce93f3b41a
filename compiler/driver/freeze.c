/* Weights for a standalone scorer: training state and training-only parts stay behind. */
#include "driver/freeze.h"
#include "runtime/instance.h"
#include "runtime/store.h"
#include <string.h>

static const MtlTensor *wanted(const MtlStore *store, const char *name, Text *error, const char *model)
{
	const MtlTensor *t = mtl_store_find(store, name);
	if (!t) text_printf(error, "%s: it has no tensor %s", model, name);
	return t;
}

int freeze_weights(const Spec *s, Str digest, const char *model, const char *out, Text *error)
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
		if (t) vec_push(s->arena, &tensor, *t);
	}
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
	mtl_store_close(store);
	return code;
}
