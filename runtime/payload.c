/*
 * Bodies of requests to scores.
 *
 * Both forms come down to a column for each member of the door, of one value for all rows or of one for each;
 * where the request's columns are of the first kind and the candidates' of the second, the library computes
 * the request's side once.
 */
#include "payload.h"
#include "options.h"
#include "shortest.h"
#include <jansson.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BAD(e, place, ...) mtl_fail(e, MTL_DATA, "D0130", place, __VA_ARGS__)

enum { LARGE = 1 << 20 };

typedef struct {
	void *value;
	bool single, given;
} Column;

typedef struct {
	MtlPayload *p;
	const MtlLibrary *l;
	const MtlModel *m;
	Column *column; /* of each member */
	int64_t n;
	const float *out; /* [n, n_output] */
	MtlText *answer;
	MtlError *e;
} Body;

static MtlStatus no_memory(MtlError *e) { return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory"); }

/* ---- columns to scores ---- */

static bool by_request(const Body *b)
{
	const MtlDoor *d = b->p->door;
	int of_request = 0, of_candidate = 0;
	for (int i = 0; i < d->n_member; i++) {
		bool candidate = b->m->feature[d->member[i].feature].candidate;
		if (b->column[i].single == candidate) return false;
		*(candidate ? &of_candidate : &of_request) += 1;
	}
	return of_request && of_candidate;
}

static MtlStatus repeat(Body *b, int i)
{
	Column *c = &b->column[i];
	size_t size = mtl_cell_size(b->p->door, i);
	char *all = mtl_pad_take(&b->p->pad, (size_t)b->n + 1, size);
	if (!all) return no_memory(b->e);
	for (int64_t r = 0; r < b->n; r++) memcpy(all + (size_t)r * size, c->value, size);
	*c = (Column){.value = all, .given = true};
	return MTL_OK;
}

static MtlStatus in_two_steps(Body *b, const void **column, float *out)
{
	const MtlDoor *d = b->p->door;
	char *request = mtl_pad_take(&b->p->pad, (size_t)d->n_member, sizeof(MtlCellValue));
	if (!request) return no_memory(b->e);
	for (int i = 0; i < d->n_member; i++)
		if (b->column[i].single)
			memcpy(request + d->member[i].in_side, b->column[i].value, mtl_cell_size(d, i));
	MtlDoorError *e = (MtlDoorError *)(void *)b->e;
	if (mtl_library_request(b->l, b->p->work, request, e)) return b->e->status;
	return (MtlStatus)mtl_library_candidates(b->l, b->p->work, column, (size_t)b->n, out, e);
}

static MtlStatus score(Body *b)
{
	const MtlDoor *d = b->p->door;
	const void **column = mtl_pad_new(&b->p->pad, const void *, d->n_member + 1);
	float *out = mtl_pad_new(&b->p->pad, float, (size_t)b->n *(size_t)b->m->n_output + 1);
	if (!column || !out) return no_memory(b->e);
	b->out = out;
	bool split = by_request(b);
	for (int i = 0; i < d->n_member; i++) {
		if (!split && b->column[i].single && repeat(b, i)) return b->e->status;
		column[i] = b->column[i].value;
	}
	if (split) return in_two_steps(b, column, out);
	return (MtlStatus)mtl_library_score(b->l, b->p->work, column, (size_t)b->n, out,
					    (MtlDoorError *)(void *)b->e);
}

/* ---- parsing ---- */

static const char *column_name(const Body *b, int member)
{
	return b->m->feature[b->p->door->member[member].feature].column;
}

static const char *next_key(const void *self, int i)
{
	const char *const *key = self;
	return key[i];
}

/* Keys of the form, NULL at the end; a key that is none of them is a mistake worth an answer. */
static MtlStatus known_keys(const json_t *object, const char *const *key, const char *place, MtlError *e)
{
	const char *have;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)object, have, v)
	{
		int i = 0;
		while (key[i] && strcmp(key[i], have) != 0) i++;
		if (key[i]) continue;
		const char *near = mtl_nearest(have, next_key, key);
		return BAD(e, place, "there is no \"%.60s\" here%s%s%s", have, near ? "; is \"" : "",
			   near ? near : "", near ? "\" meant?" : "");
	}
	return MTL_OK;
}

/*
 * Before anything recurses over the body or takes memory for it, and over nothing but bytes: how deep it is,
 * and how many arrays and objects it has (two bytes of text each, but a hundred when parsed).
 */
static bool too_rich(const char *p, size_t n, const MtlPayloadLimits *most, int64_t n_member)
{
	bool text = false;
	int depth = 0;
	/* Of a row: itself, and a list for each column. */
	int64_t left = (most->rows + 1) * (n_member + 1) + most->depth;
	for (size_t i = 0; i < n; i++) {
		if (text) {
			if (p[i] == '\\')
				i++;
			else
				text = p[i] != '"';
			continue;
		}
		switch (p[i]) {
		case '"': text = true; break;
		case '[':
		case '{':
			if (++depth > most->depth || !left--) return true;
			break;
		case ']':
		case '}': depth--; break;
		}
	}
	return false;
}

static MtlStatus parse(const MtlPayload *p, const char *body, size_t n, json_t **root, MtlError *e)
{
	json_error_t why;
	*root = NULL;
	if (!n) return BAD(e, "body", "it is empty");
	if (too_rich(body, n, &p->limits, p->door->n_member))
		return BAD(e, "body",
			   "more than %d arrays and objects within each other, or more than rows and columns "
			   "can need",
			   p->limits.depth);
	if (!(*root = json_loadb(body, n, JSON_REJECT_DUPLICATES, &why))) {
		if (json_error_code(&why) == json_error_out_of_memory) return no_memory(e);
		return BAD(e, "body", "not JSON, line %d, column %d: %s", why.line, why.column, why.text);
	}
	return json_is_object(*root) ? MTL_OK : BAD(e, "body", "not a JSON object");
}

static MtlStatus count_rows(Body *b, size_t n)
{
	if (n > (size_t)b->p->limits.rows)
		return mtl_fail(b->e, MTL_LIMIT, "D0131", "body", "%zu rows, and this server takes %lld", n,
				(long long)b->p->limits.rows);
	b->n = (int64_t)n;
	return MTL_OK;
}

/* ---- candidates with a context ---- */

static MtlStatus candidate_column(Body *b, int i, const json_t *candidates)
{
	Column *c = &b->column[i];
	const char *name = column_name(b, i);
	size_t size = mtl_cell_size(b->p->door, i);
	char *to = mtl_pad_take(&b->p->pad, (size_t)b->n + 1, size);
	if (!to) return no_memory(b->e);
	for (int64_t r = 0; r < b->n; r++) {
		const json_t *v = json_object_get(json_array_get(candidates, (size_t)r), name);
		c->given |= v != NULL;
		if (mtl_cell_read(b->p->door, i, v, NULL, r, &b->p->pad, to + (size_t)r * size, b->e))
			return b->e->status;
	}
	c->value = to;
	return MTL_OK;
}

/* A column that nobody says is a mistake, as in a log. */
static MtlStatus absent(Body *b, const char *name, const json_t *context, const json_t *first)
{
	size_t n = json_object_size(context) + json_object_size(first), k = 0;
	const char **have = mtl_pad_new(&b->p->pad, const char *, n + 1), *key;
	json_t *v;
	if (!have) return no_memory(b->e);
	json_object_foreach((json_t *)(uintptr_t)context, key, v) have[k++] = key;
	json_object_foreach((json_t *)(uintptr_t)first, key, v) have[k++] = key;
	have[k] = NULL;
	const char *near = mtl_nearest(name, next_key, have);
	return BAD(b->e, "body", "no column \"%s\" in the context or in a candidate%s%s%s", name,
		   near ? "; there is \"" : "", near ? near : "", near ? "\"" : "");
}

static MtlStatus read_candidates(Body *b, const json_t *root)
{
	static const char *const keys[] = {"context", "candidates", "id", NULL};
	const json_t *context = json_object_get(root, "context"),
		     *candidates = json_object_get(root, "candidates");
	if (known_keys(root, keys, "body", b->e)) return b->e->status;
	if (context && !json_is_object(context)) return BAD(b->e, "body", "\"context\" is not an object");
	if (!json_is_array(candidates)) return BAD(b->e, "body", "\"candidates\" is not an array of rows");
	if (count_rows(b, json_array_size(candidates))) return b->e->status;
	for (int64_t r = 0; r < b->n; r++)
		if (!json_is_object(json_array_get(candidates, (size_t)r)))
			return BAD(b->e, "body", "candidate %lld is not an object", (long long)r);
	for (int i = 0; i < b->p->door->n_member; i++) {
		Column *c = &b->column[i];
		const char *name = column_name(b, i);
		const json_t *v = json_object_get(context, name);
		if (candidate_column(b, i, candidates)) return b->e->status;
		if (v && c->given)
			return BAD(
			    b->e, "body",
			    "column \"%s\" stands in the context and in a candidate: only one can hold",
			    name);
		if (!v && !c->given && b->n) return absent(b, name, context, json_array_get(candidates, 0));
		if (!v) continue;
		*c = (Column){.single = true, .value = mtl_pad_new(&b->p->pad, MtlCellValue, 1)};
		if (!c->value) return no_memory(b->e);
		if (mtl_cell_read(b->p->door, i, v, "context", 0, &b->p->pad, c->value, b->e))
			return b->e->status;
	}
	return MTL_OK;
}

static void put_number(MtlText *t, float x)
{
	char text[MTL_FLOAT_TEXT];
	if (isfinite(x))
		mtl_text_put(t, text, (size_t)mtl_print_float(text, x));
	else
		mtl_text_add(t, "null");
}

static void put_name(MtlText *t, const char *s) { mtl_text_json(t, s, strlen(s)); }

static void put_head(Body *b, const json_t *root)
{
	const json_t *id = json_object_get(root, "id");
	mtl_text_add(b->answer, "{\"model_name\":");
	put_name(b->answer, b->m->name);
	mtl_text_add(b->answer, ",\"model_version\":");
	put_name(b->answer, mtl_library_version(b->l));
	if (!json_is_string(id)) return;
	mtl_text_add(b->answer, ",\"id\":");
	mtl_text_json(b->answer, json_string_value(id), json_string_length(id));
}

/* A row is the line that the command line prints with --format jsonl. */
static void put_rows(Body *b, const json_t *root)
{
	int k = b->m->n_output;
	put_head(b, root);
	mtl_text_add(b->answer, ",\"scores\":[");
	for (int64_t r = 0; r < b->n; r++) {
		mtl_text_add(b->answer, r ? ",{" : "{");
		for (int i = 0; i < k; i++) {
			if (i) mtl_text_add(b->answer, ",");
			put_name(b->answer, b->m->output[i].name);
			mtl_text_add(b->answer, ":");
			put_number(b->answer, b->out[r * k + i]);
		}
		mtl_text_add(b->answer, "}");
	}
	mtl_text_add(b->answer, "]}\n");
}

/* ---- tensors ---- */

/* Is the item of the kind that the tensor's datatype names?  Anything may be null: missing. */
static bool of_type(const json_t *v, const char *datatype)
{
	if (json_is_null(v)) return true;
	if (strcmp(datatype, "BYTES") == 0) return json_is_string(v);
	if (strcmp(datatype, "BOOL") == 0) return json_is_boolean(v);
	return datatype[0] == 'F' ? json_is_number(v) : json_is_integer(v);
}

static bool is_datatype(const char *s)
{
	static const char *const known[] = {"BYTES", "BOOL",  "FP32",  "FP64",	 "INT8",   "INT16",
					    "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(s, known[i]) == 0) return true;
	return false;
}

typedef struct {
	const char *name, *datatype;
	int64_t rows, width; /* width 0: one value a row, no second dimension */
	const json_t *data;
	char place[80];
} Tensor;

static MtlStatus tensor_shape(Tensor *t, const json_t *shape, MtlError *e)
{
	size_t dims = json_array_size(shape);
	if (dims != 1 && dims != 2)
		return BAD(e, t->place, "its shape is [rows] or [rows, items], not of %zu dimensions", dims);
	for (size_t i = 0; i < dims; i++) {
		const json_t *d = json_array_get(shape, i);
		if (!json_is_integer(d) || json_integer_value(d) < 0)
			return BAD(e, t->place, "its shape holds what is no size");
	}
	t->rows = json_integer_value(json_array_get(shape, 0));
	t->width = dims == 2 ? json_integer_value(json_array_get(shape, 1)) : 0;
	if (dims == 2 && t->width == 0 && json_array_size(t->data) == 0) t->width = -1; /* empty lists */
	return MTL_OK;
}

static MtlStatus tensor_of(Body *b, const json_t *v, size_t i, Tensor *t)
{
	static const char *const keys[] = {"name", "shape", "datatype", "data", "parameters", NULL};
	const char *name = json_string_value(json_object_get(v, "name")),
		   *datatype = json_string_value(json_object_get(v, "datatype"));
	*t = (Tensor){.name = name, .datatype = datatype, .data = json_object_get(v, "data")};
	if (name)
		snprintf(t->place, sizeof t->place, "input %.60s", name);
	else
		snprintf(t->place, sizeof t->place, "input %zu", i);
	if (known_keys(v, keys, t->place, b->e)) return b->e->status;
	if (!name) return BAD(b->e, t->place, "it has no \"name\"");
	if (!datatype || !is_datatype(datatype))
		return BAD(b->e, t->place,
			   "its \"datatype\" is none of BYTES, BOOL, FP32, FP64, INT8 .. INT64, "
			   "UINT8 .. UINT64");
	if (json_object_get(json_object_get(v, "parameters"), "binary_data_size"))
		return BAD(b->e, t->place, "binary data are not taken: put the values into \"data\"");
	if (!json_is_array(t->data)) return BAD(b->e, t->place, "its \"data\" is not an array");
	return tensor_shape(t, json_object_get(v, "shape"), b->e);
}

/* Item j of row r: the protocol lets data be nested as the shape is, or flat. */
static const json_t *item_at(const Tensor *t, int64_t r, int64_t j)
{
	const json_t *row = json_array_get(t->data, (size_t)r);
	if (t->width > 0 && json_is_array(row)) return json_array_get(row, (size_t)j);
	return t->width > 0 ? json_array_get(t->data, (size_t)(r * t->width + j)) : row;
}

static MtlStatus tensor_data(Tensor *t, MtlError *e)
{
	int64_t each = t->width > 0 ? t->width : t->width < 0 ? 0 : 1, have = 0, all;
	for (size_t i = 0; i < json_array_size(t->data); i++) {
		const json_t *row = json_array_get(t->data, i);
		int64_t k = json_is_array(row) ? (int64_t)json_array_size(row) : 1;
		if (json_is_array(row) && k != each) return BAD(e, t->place, "its data are not of its shape");
		have += k;
	}
	if (__builtin_mul_overflow(t->rows, each, &all) || have != all)
		return BAD(e, t->place, "its data are not of its shape");
	bool nested = t->width > 0 && json_is_array(json_array_get(t->data, 0));
	for (size_t i = 0; i < json_array_size(t->data); i++)
		if (json_is_array(json_array_get(t->data, i)) != nested)
			return BAD(e, t->place, "its data are nested in part");
	for (int64_t r = 0; r < t->rows; r++)
		for (int64_t j = 0; j < each; j++)
			if (!of_type(item_at(t, r, j), t->datatype))
				return BAD(e, t->place, "value %lld is not %s", (long long)(r * each + j),
					   t->datatype);
	return MTL_OK;
}

static MtlStatus tensor_row(Body *b, const Tensor *t, int i, int64_t r, void *to)
{
	const MtlFeature *f = &b->m->feature[b->p->door->member[i].feature];
	if (t->width == 0 || (t->width == 1 && f->kind != MTL_BAG))
		return mtl_cell_read(b->p->door, i, item_at(t, r, 0), t->place, r, &b->p->pad, to, b->e);
	json_t *list = json_array();
	for (int64_t j = 0; list && j < t->width; j++)
		json_array_append(list, (json_t *)(uintptr_t)item_at(t, r, j));
	if (!list) return no_memory(b->e);
	MtlStatus st = mtl_cell_read(b->p->door, i, list, t->place, r, &b->p->pad, to, b->e);
	json_decref(list); /* its items live on in the body, their texts in the pad */
	return st;
}

static MtlStatus tensor_column(Body *b, const Tensor *t, int i)
{
	Column *c = &b->column[i];
	const MtlFeature *f = &b->m->feature[b->p->door->member[i].feature];
	size_t size = mtl_cell_size(b->p->door, i);
	if (c->given) return BAD(b->e, t->place, "it is given twice");
	if ((t->width > 1 || t->width < 0) && f->kind != MTL_BAG)
		return BAD(b->e, t->place, "the model reads one value a row");
	char *to = mtl_pad_take(&b->p->pad, (size_t)t->rows + 1, size);
	if (!to) return no_memory(b->e);
	for (int64_t r = 0; r < t->rows; r++)
		if (tensor_row(b, t, i, r, to + (size_t)r * size)) return b->e->status;
	*c = (Column){.value = to, .given = true, .single = t->rows == 1 && b->n != 1};
	/* One candidate: what is of the request is still said once. */
	if (b->n == 1) c->single = !f->candidate;
	return MTL_OK;
}

/* Several features may read one column. */
static MtlStatus tensor_columns(Body *b, const Tensor *t)
{
	bool found = false;
	for (int i = 0; i < b->p->door->n_member; i++) {
		if (strcmp(column_name(b, i), t->name) != 0) continue;
		found = true;
		if (tensor_column(b, t, i)) return b->e->status;
	}
	return found ? MTL_OK : BAD(b->e, t->place, "the model reads no such input");
}

static MtlStatus wanted_outputs(const Body *b, const json_t *outputs)
{
	if (outputs && !json_is_array(outputs)) return BAD(b->e, "body", "\"outputs\" is not an array");
	for (size_t i = 0; i < json_array_size(outputs); i++) {
		const char *name = json_string_value(json_object_get(json_array_get(outputs, i), "name"));
		int k = 0;
		while (name && k < b->m->n_output && strcmp(b->m->output[k].name, name) != 0) k++;
		if (!name || k == b->m->n_output)
			return BAD(b->e, "body", "the model has no output \"%.60s\"", name ? name : "");
	}
	return MTL_OK;
}

static MtlStatus read_tensors(Body *b, const json_t *root)
{
	static const char *const keys[] = {"id", "parameters", "inputs", "outputs", NULL};
	const json_t *inputs = json_object_get(root, "inputs");
	size_t n = json_array_size(inputs);
	if (known_keys(root, keys, "body", b->e)) return b->e->status;
	if (!json_is_array(inputs)) return BAD(b->e, "body", "\"inputs\" is not an array of tensors");
	if (wanted_outputs(b, json_object_get(root, "outputs"))) return b->e->status;
	if (n > (size_t)b->p->door->n_member)
		return BAD(b->e, "body", "%zu inputs, and the model reads %d", n, b->p->door->n_member);
	Tensor *t = mtl_pad_new(&b->p->pad, Tensor, n + 1);
	if (!t) return no_memory(b->e);
	int64_t rows = n ? 1 : 0;
	for (size_t i = 0; i < n; i++) {
		if (tensor_of(b, json_array_get(inputs, i), i, &t[i])) return b->e->status;
		if (t[i].rows != 1) rows = t[i].rows;
	}
	if (count_rows(b, (size_t)rows)) return b->e->status;
	for (size_t i = 0; i < n; i++) {
		if (t[i].rows != rows && t[i].rows != 1)
			return BAD(b->e, t[i].place, "it has %lld rows, another has %lld",
				   (long long)t[i].rows, (long long)rows);
		if (tensor_data(&t[i], b->e) || tensor_columns(b, &t[i])) return b->e->status;
	}
	for (int i = 0; i < b->p->door->n_member; i++)
		if (!b->column[i].given) return BAD(b->e, "body", "input %s is missing", column_name(b, i));
	return MTL_OK;
}

static void put_output(Body *b, int k, bool first)
{
	mtl_text_add(b->answer, first ? "{\"name\":" : ",{\"name\":");
	put_name(b->answer, b->m->output[k].name);
	mtl_text_printf(b->answer, ",\"datatype\":\"FP32\",\"shape\":[%lld],\"data\":[", (long long)b->n);
	for (int64_t r = 0; r < b->n; r++) {
		if (r) mtl_text_add(b->answer, ",");
		put_number(b->answer, b->out[r * b->m->n_output + k]);
	}
	mtl_text_add(b->answer, "]}");
}

static void put_tensors(Body *b, const json_t *root)
{
	const json_t *wanted = json_object_get(root, "outputs");
	put_head(b, root);
	mtl_text_add(b->answer, ",\"outputs\":[");
	for (int k = 0; k < b->m->n_output && !json_array_size(wanted); k++) put_output(b, k, k == 0);
	for (size_t i = 0; i < json_array_size(wanted); i++) {
		const char *name = json_string_value(json_object_get(json_array_get(wanted, i), "name"));
		int k = 0;
		while (strcmp(b->m->output[k].name, name) != 0) k++;
		put_output(b, k, i == 0);
	}
	mtl_text_add(b->answer, "]}\n");
}

/* ---- doors ---- */

MtlStatus mtl_payload_answer(MtlPayload *p, const MtlLibrary *l, MtlBodyForm form, const char *body, size_t n,
			     MtlText *answer, int64_t *rows, MtlError *e)
{
	static const struct {
		MtlStatus (*read)(Body *, const json_t *);
		void (*put)(Body *, const json_t *);
	} of[] = {{read_candidates, put_rows}, {read_tensors, put_tensors}};
	json_t *root = NULL;
	Body b = {.p = p, .l = l, .m = p->door->model, .answer = answer, .e = e};
	*rows = 0;
	mtl_pad_clear(&p->pad);
	MtlStatus st = parse(p, body, n, &root, e);
	if (!st && !(b.column = mtl_pad_new(&p->pad, Column, p->door->n_member + 1))) st = no_memory(e);
	if (!st) memset(b.column, 0, (size_t)p->door->n_member * sizeof *b.column);
	if (!st) st = of[form].read(&b, root);
	if (!st) st = score(&b);
	if (!st) of[form].put(&b, root);
	if (!st && answer->failed) st = no_memory(e);
	if (!st) *rows = b.n;
	json_decref(root);
	mtl_pad_clear(&p->pad);
	if (n > LARGE) malloc_trim(0); /* else the C library keeps what the parser took, for each thread */
	return st;
}

void mtl_payload_metadata(const MtlDoor *d, const MtlLibrary *l, MtlText *t)
{
	const MtlModel *m = d->model;
	mtl_text_add(t, "{\"name\":");
	put_name(t, m->name);
	mtl_text_add(t, ",\"versions\":[");
	put_name(t, mtl_library_version(l));
	mtl_text_add(t, "],\"platform\":\"mtlc\",\"inputs\":[");
	for (int i = 0; i < d->n_member; i++) {
		const MtlFeature *f = &m->feature[d->member[i].feature];
		mtl_text_add(t, i ? ",{\"name\":" : "{\"name\":");
		put_name(t, f->column);
		mtl_text_printf(t, ",\"datatype\":\"%s\",\"shape\":[%s],\"parameters\":{\"side\":\"%s\"}}",
				d->member[i].type == MTL_DOOR_REAL ? "FP64" : "BYTES",
				f->kind == MTL_BAG ? "-1,-1" : "-1", f->candidate ? "candidate" : "request");
	}
	mtl_text_add(t, "],\"outputs\":[");
	for (int i = 0; i < m->n_output; i++) {
		mtl_text_add(t, i ? ",{\"name\":" : "{\"name\":");
		put_name(t, m->output[i].name);
		mtl_text_add(t, ",\"datatype\":\"FP32\",\"shape\":[-1]}");
	}
	mtl_text_add(t, "]}\n");
}

MtlStatus mtl_payload_init(MtlPayload *p, const MtlSys *sys, const MtlDoor *d, const MtlLibrary *l,
			   MtlPayloadLimits limits, MtlError *e)
{
	*p = (MtlPayload){.sys = sys, .door = d, .limits = limits, .pad = {.sys = sys}};
	p->work = mtl_new(sys, char, mtl_library_work_bytes(l));
	return p->work ? MTL_OK : no_memory(e);
}

void mtl_payload_free(MtlPayload *p)
{
	if (!p->sys) return;
	mtl_pad_free(&p->pad);
	mtl_release(p->sys, p->work);
}
