/* Weights, vocabularies, edges and normalisers of a model file, in the compiler's hands. */
#include "driver/numbers.h"
#include "driver/describe.h"
#include "runtime/encode.h"
#include "runtime/instance.h"

/* The codes as they were learnt.  What they hold is copied: their owner goes. */
static MtlStatus codes(const Spec *s, const MtlStore *store, EmitCode *out, MtlError *e)
{
	MtlModel m = describe_model(s->arena, s);
	MtlCodes k = {0};
	MtlStatus st = mtl_codes_init(&k, &mtl_sys, &m, e);
	const char *learnt = mtl_store_meta(store, MTL_META_CODES);
	if (!st && learnt) st = mtl_codes_from_json(&k, &mtl_sys, &m, learnt, e);
	for (int i = 0; !st && i < m.n_feature; i++) {
		const MtlCodeBook *b = &k.book[i];
		const char **word = arena_new(s->arena, const char *, (int)b->n_vocab + 1);
		double *edge = arena_new(s->arena, double, (int)b->n_edges + 1);
		for (int64_t w = 0; w < b->n_vocab; w++) word[w] = arena_strdup(s->arena, b->vocab[w]);
		for (int64_t w = 0; w < b->n_edges; w++) edge[w] = b->edges[w];
		out[i] = (EmitCode){word, (int)b->n_vocab, edge, (int)b->n_edges, b->shift, b->scale};
	}
	mtl_codes_free(&k, &mtl_sys, &m);
	return st;
}

int numbers_read(const Compilation *c, const char *path, EmitNumbers *out, MtlStore **store, Text *error)
{
	const Spec *s = c->spec;
	MtlError e = {0};
	EmitCode *code = arena_new(s->arena, EmitCode, s->feature.n + 1);
	const float **param = arena_new(s->arena, const float *, s->param.n + 1),
		    **table = arena_new(s->arena, const float *, s->table.n + 1);
	int64_t *rows = arena_new(s->arena, int64_t, s->table.n + 1);
	MtlStatus st = mtl_store_open_weights(store, &mtl_sys, path, &e);
	if (!st) st = codes(s, *store, code, &e);
	if (st) {
		text_add(error, e.text);
		return (int)st;
	}
	for (int i = 0; i < s->param.n; i++) {
		const MtlTensor *t = mtl_store_find(*store, s->param.at[i].name);
		param[i] = t ? t->data : NULL;
	}
	for (int i = 0; i < s->table.n; i++) {
		const MtlTensor *t = mtl_store_find(*store, s->table.at[i].name);
		table[i] = t ? t->data : NULL;
		rows[i] = t ? t->dim[0] : 0;
	}
	*out = (EmitNumbers){code, param, table, rows};
	return 0;
}
