/*
 * JSON lines, by jansson, one line at a time.
 */
#include "jsonl.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_ROWS = 1000 };

struct MtlJsonl {
	const MtlSys *sys;
	char **key;
	size_t *at; /* [n_key] where the cell's text begins in MtlCsv.plain */
	int64_t n_key, cap_key;
	char why[200];
};

static MtlRowResult no_memory(const MtlCsv *c, MtlError *e)
{
	mtl_fail(e, MTL_LIMIT, "F0105", c->in.name, "no memory to read it");
	return MTL_ROW_FAIL;
}

void mtl_jsonl_free(MtlJsonl *j)
{
	if (!j) return;
	for (int64_t i = 0; i < j->n_key; i++) mtl_release(j->sys, j->key[i]);
	mtl_release(j->sys, j->key);
	mtl_release(j->sys, j->at);
	mtl_release(j->sys, j);
}

MtlStatus mtl_jsonl_start(MtlCsv *c, const MtlSys *sys, const char *path, MtlError *e)
{
	MtlStatus st = mtl_csv_start(c, sys, path, '\0', false, e);
	if (st) return st;
	c->json = mtl_new(sys, MtlJsonl, 1);
	if (!c->json) {
		mtl_csv_stop(c);
		return no_memory(c, e), e->status;
	}
	c->json->sys = sys;
	c->n_cell = -1; /* the header is still to come */
	return MTL_OK;
}

/* Keys come in the same order row after row: the search goes on from `after`. */
static int64_t find(const MtlJsonl *j, const char *name, int64_t after)
{
	for (int64_t i = 0; i < j->n_key; i++) {
		int64_t k = after + i < j->n_key ? after + i : after + i - j->n_key;
		if (strcmp(j->key[k], name) == 0) return k;
	}
	return -1;
}

static int64_t add_key(MtlCsv *c, const char *name)
{
	MtlJsonl *j = c->json;
	if (j->n_key == j->cap_key) {
		int64_t cap = j->cap_key ? 2 * j->cap_key : 32;
		char **key = mtl_new(j->sys, char *, cap);
		size_t *at = key ? mtl_new(j->sys, size_t, cap + 1) : NULL;
		if (!at) {
			mtl_release(j->sys, key);
			return -1;
		}
		if (j->n_key) memcpy(key, j->key, (size_t)j->n_key * sizeof *key);
		mtl_release(j->sys, j->key);
		mtl_release(j->sys, j->at);
		j->key = key;
		j->at = at;
		j->cap_key = cap;
	}
	if (c->cap_cell <= j->n_key) {
		int64_t cap = 2 * j->n_key + 32;
		MtlCell *cell = mtl_new(j->sys, MtlCell, cap);
		if (!cell) return -1;
		if (c->cap_cell) memcpy(cell, c->cell, (size_t)c->cap_cell * sizeof *cell);
		mtl_release(j->sys, c->cell);
		c->cell = cell;
		c->cap_cell = cap;
	}
	char *copy = mtl_new(j->sys, char, strlen(name) + 1);
	if (!copy) return -1;
	j->key[j->n_key] = strcpy(copy, name);
	return j->n_key++;
}

int64_t mtl_jsonl_key(MtlCsv *c, const char *name)
{
	if (!c->json) return -1;
	int64_t k = find(c->json, name, 0);
	return k >= 0 ? k : add_key(c, name);
}

static json_t *parse(const char *p, size_t n, json_error_t *why)
{
	return json_loadb(p, n, JSON_REJECT_DUPLICATES, why);
}

MtlRowResult mtl_jsonl_header(MtlCsv *c, const char *p, size_t n, MtlError *e)
{
	MtlJsonl *j = c->json;
	int rows = 0;
	for (const char *end = p + n; p < end && rows < HEADER_ROWS; rows++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t length = (size_t)((nl ? nl : end) - p);
		json_error_t why;
		json_t *row =
		    parse(p, length, &why); /* what cannot be read is a bad row when its turn comes */
		const char *key;
		json_t *value;
		bool full = false;
		json_object_foreach(row, key, value) full |= mtl_jsonl_key(c, key) < 0;
		json_decref(row);
		if (full) return no_memory(c, e);
		p = nl ? nl + 1 : end;
	}
	for (int64_t i = 0; i < j->n_key; i++) c->cell[i] = (MtlCell){.p = j->key[i], .n = strlen(j->key[i])};
	c->n_cell = j->n_key;
	c->raw = "";
	c->n_raw = 0;
	return MTL_ROW_OK;
}

/* Appends to the text of this record's cells. */
static bool put(MtlCsv *c, const char *s, size_t n)
{
	if (c->n_plain + n + 1 > c->cap_plain) {
		size_t cap = 2 * (c->n_plain + n) + 4096;
		char *larger = mtl_new(c->sys, char, cap);
		if (!larger) return false;
		if (c->n_plain) memcpy(larger, c->plain, c->n_plain);
		mtl_release(c->sys, c->plain);
		c->plain = larger;
		c->cap_plain = cap;
	}
	memcpy(c->plain + c->n_plain, s, n);
	c->n_plain += n;
	return true;
}

const char *mtl_jsonl_text(const json_t *v, char text[MTL_JSON_NUMBER], size_t *n)
{
	*n = 0;
	switch (json_typeof(v)) {
	case JSON_NULL: return "";
	case JSON_TRUE: return *n = 1, "1";
	case JSON_FALSE: return *n = 1, "0";
	case JSON_STRING: return *n = json_string_length(v), json_string_value(v);
	case JSON_INTEGER:
		*n = (size_t)snprintf(text, MTL_JSON_NUMBER, "%lld", (long long)json_integer_value(v));
		return text;
	case JSON_REAL:
		for (int digits = 15; digits <= 17; digits++) {
			*n = (size_t)snprintf(text, MTL_JSON_NUMBER, "%.*g", digits, json_real_value(v));
			if (strtod(text, NULL) == json_real_value(v)) break;
		}
		return text;
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	return NULL;
}

static bool put_value(MtlCsv *c, const json_t *v)
{
	char text[MTL_JSON_NUMBER];
	size_t n;
	const char *p = mtl_jsonl_text(v, text, &n);
	if (p) return put(c, p, n);
	char *dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	bool ok = dump && put(c, dump, strlen(dump));
	free(dump);
	return ok;
}

static bool put_list(MtlCsv *c, const json_t *v)
{
	static const char between = MTL_LIST_BYTE;
	for (size_t i = 0; i < json_array_size(v); i++)
		if ((i && !put(c, &between, 1)) || !put_value(c, json_array_get(v, i))) return false;
	return true;
}

MtlRowResult mtl_jsonl_record(MtlCsv *c, MtlError *e)
{
	MtlJsonl *j = c->json;
	json_error_t why;
	json_t *row = parse(c->raw, c->n_raw, &why);
	c->n_cell = j->n_key;
	if (!json_is_object(row)) {
		snprintf(j->why, sizeof j->why, "not a JSON object%s%.150s", row ? "" : ": ",
			 row ? "" : why.text);
		json_decref(row);
		c->code = "D0117";
		c->why = j->why;
		c->bad_cell = 1;
		return MTL_ROW_BAD;
	}
	c->n_plain = 0;
	for (int64_t i = 0; i < j->n_key; i++) c->cell[i] = (MtlCell){.p = "", .n = 0};
	const char *key;
	json_t *value;
	bool ok = true;
	int64_t k = -1;
	json_object_foreach(row, key, value)
	{
		int64_t found = find(j, key, k + 1 < j->n_key ? k + 1 : 0);
		if (found < 0 || !ok) continue;
		k = found;
		j->at[k] = c->n_plain;
		c->cell[k].list = json_is_array(value);
		ok = c->cell[k].list ? put_list(c, value) : put_value(c, value);
		c->cell[k].n = c->n_plain - j->at[k];
	}
	json_decref(row);
	if (!ok) return no_memory(c, e);
	for (int64_t i = 0; i < j->n_key; i++)
		if (c->cell[i].n) c->cell[i].p = c->plain + j->at[i];
	return MTL_ROW_OK;
}
