/*
 * The ONNX form: values, nodes, and the words that rows of ops are written in.
 */
#include "ir/onnx.h"
#include "base/diag.h"
#include "ir/op.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

Onnx *onnx_new(Arena *a, StrTab *str, const Spec *s, const Graph *g, const OnnxCode *code)
{
	Onnx *o = arena_new(a, Onnx, 1);
	*o = (Onnx){.arena = a, .str = str, .spec = s, .g = g, .code = code};
	o->raw = arena_new(a, int, s->feature.n + 1);
	o->weight = arena_new(a, int, s->feature.n + 1);
	o->length = arena_new(a, int, s->seq.n + 1);
	vec_push(a, &o->value, (OnnxValue){0});
	return o;
}

static int new_value(Onnx *o, Str name, bool wide)
{
	vec_push(o->arena, &o->value, ((OnnxValue){name, wide}));
	return o->value.n - 1;
}

int onnx_value(Onnx *o) { return new_value(o, NULL, true); }

Str onnx_name(const Onnx *o, int value)
{
	Str name = o->value.at[value].name;
	return name ? name : str_printf(o->str, "%%%d", value); /* no column begins like that by accident */
}

/* ---- nodes ---- */

static bool same_attr(OnnxAttr a, OnnxAttr b)
{
	return a.kind == b.kind && a.i == b.i && a.f == b.f &&
	       (a.kind == ONNX_NO_ATTR || !strcmp(a.name, b.name));
}

int onnx_node(Onnx *o, const char *op, int n, const int *in, OnnxAttr attr)
{
	Str name = str_intern(o->str, op);
	for (int i = 0; i < o->node.n; i++) {
		const OnnxNode *k = &o->node.at[i];
		if (k->op == name && k->in.n == n && (!n || !memcmp(k->in.at, in, (size_t)n * sizeof *in)) &&
		    same_attr(k->attr, attr))
			return k->out;
	}
	OnnxNode k = {.op = name, .attr = attr};
	bool wide = false;
	for (int i = 0; i < n; i++) {
		vec_push(o->arena, &k.in, in[i]);
		wide |= o->value.at[in[i]].wide;
	}
	k.out = new_value(o, NULL, wide);
	vec_push(o->arena, &o->node, k);
	return k.out;
}

int onnx_1(Onnx *o, const char *op, int a) { return onnx_node(o, op, 1, &a, (OnnxAttr){0}); }
int onnx_2(Onnx *o, const char *op, int a, int b)
{
	return onnx_node(o, op, 2, (int[]){a, b}, (OnnxAttr){0});
}
int onnx_3(Onnx *o, const char *op, int a, int b, int c)
{
	return onnx_node(o, op, 3, (int[]){a, b, c}, (OnnxAttr){0});
}

int onnx_axis(Onnx *o, const char *op, int a, int axis)
{
	return onnx_node(o, op, 1, &a, (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "axis", .i = axis});
}

/* ---- tensors ---- */

static int tensor(Onnx *o, OnnxTensor t)
{
	for (int i = 0; i < o->tensor.n; i++) {
		const OnnxTensor *k = &o->tensor.at[i];
		bool same = !k->weight && k->type == t.type && k->nd == t.nd && k->bytes == t.bytes &&
			    !memcmp(k->dim, t.dim, sizeof k->dim);
		if (same && !memcmp(k->data, t.data, (size_t)t.bytes)) return k->value;
	}
	void *copy = arena_alloc(o->arena, (size_t)t.bytes + 1);
	if (t.bytes) memcpy(copy, t.data, (size_t)t.bytes);
	t.data = copy;
	t.value = new_value(o, NULL, false);
	vec_push(o->arena, &o->tensor, t);
	return t.value;
}

int onnx_number(Onnx *o, OnnxType type, double x)
{
	float f = (float)x;
	int64_t i = (int64_t)x;
	return tensor(o, (OnnxTensor){.type = type,
				      .data = type == ONNX_FLOAT   ? (const void *)&f
					      : type == ONNX_INT64 ? (const void *)&i
								   : (const void *)&x,
				      .bytes = type == ONNX_FLOAT ? sizeof f : sizeof x});
}

int onnx_numbers(Onnx *o, const double *x, int n)
{
	return tensor(
	    o, (OnnxTensor){
		   .type = ONNX_DOUBLE, .nd = 1, .dim = {n}, .data = x, .bytes = n * (int64_t)sizeof *x});
}

int onnx_ints(Onnx *o, int n, const int64_t *x)
{
	return tensor(
	    o, (OnnxTensor){
		   .type = ONNX_INT64, .nd = 1, .dim = {n}, .data = x, .bytes = n * (int64_t)sizeof *x});
}

int onnx_weight(Onnx *o, Str name, int nd, const int64_t *dim)
{
	for (int i = 0; i < o->tensor.n; i++)
		if (o->tensor.at[i].weight && o->value.at[o->tensor.at[i].value].name == name)
			return o->tensor.at[i].value;
	OnnxTensor t = {.type = ONNX_FLOAT, .nd = nd, .weight = true, .value = new_value(o, name, false)};
	for (int i = 0; i < nd; i++) t.dim[i] = dim[i];
	vec_push(o->arena, &o->tensor, t);
	return t.value;
}

/* ---- inputs ---- */

/* A column that one feature reads has its name; where several do, they have theirs. */
static Str input_name(const Onnx *o, int feature)
{
	const Feature *f = &o->spec->feature.at[feature];
	for (int i = 0; i < o->spec->feature.n; i++)
		if (i != feature && o->spec->feature.at[i].column == f->column) return f->name;
	return f->column;
}

static int input(Onnx *o, int *known, Str name, OnnxType type, int feature)
{
	bool list = o->spec->feature.at[feature].kind == FEATURE_BAG;
	if (*known) return *known;
	*known = new_value(o, name, true);
	vec_push(o->arena, &o->input, ((OnnxInput){*known, type, list, feature, 0}));
	return *known;
}

static const Feature *root_of(const Spec *s, const Feature *f)
{
	while (f->share >= 0) f = &s->feature.at[f->share];
	return f;
}

static bool is_number(const Onnx *o, int feature)
{
	const Feature *f = &o->spec->feature.at[feature];
	FeatureCode code = root_of(o->spec, f)->code;
	return f->kind == FEATURE_NUMBER || code == CODE_BUCKET || code == CODE_QUANTILES;
}

/* Table rows, or numbers as they stand in the log with NaN for missing ones. */
static int raw(Onnx *o, int feature)
{
	return input(o, &o->raw[feature], input_name(o, feature),
		     is_number(o, feature) ? ONNX_DOUBLE : ONNX_INT64, feature);
}

int onnx_weights(Onnx *o, int feature)
{
	Str name = str_printf(o->str, "%s.weight", input_name(o, feature));
	return input(o, &o->weight[feature], name, ONNX_FLOAT, feature);
}

/* With the model's own value in place of a missing one, where it has one. */
static int filled(Onnx *o, int feature)
{
	const Feature *f = &o->spec->feature.at[feature];
	int x = raw(o, feature);
	if (f->missing != MISSING_VALUE) return x;
	return onnx_3(o, "Where", onnx_1(o, "IsNaN", x), onnx_number(o, ONNX_DOUBLE, f->missing_value), x);
}

static int cast(Onnx *o, int x, OnnxType to)
{
	return onnx_node(o, "Cast", 1, &x, (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "to", .i = to});
}

/* 2 + number of edges <= value; 0 where it is missing. */
int onnx_rows(Onnx *o, int feature)
{
	if (!is_number(o, feature)) return raw(o, feature);
	int root = (int)(root_of(o->spec, &o->spec->feature.at[feature]) - o->spec->feature.at);
	const OnnxCode *c = &o->code[root];
	int64_t last = -1;
	int axis = onnx_ints(o, 1, &last), x = filled(o, feature);
	int above = onnx_2(o, "GreaterOrEqual", onnx_2(o, "Unsqueeze", x, axis),
			   onnx_numbers(o, c->edges, c->n_edges));
	int n = onnx_node(o, "ReduceSum", 2, (int[]){cast(o, above, ONNX_INT64), axis},
			  (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "keepdims"});
	return onnx_3(o, "Where", onnx_1(o, "IsNaN", x), onnx_number(o, ONNX_INT64, 0),
		      onnx_2(o, "Add", n, onnx_number(o, ONNX_INT64, 2)));
}

/* As runtime/encode.c has it: in double, then rounded. */
int onnx_real(Onnx *o, int feature)
{
	const Feature *f = &o->spec->feature.at[feature];
	const OnnxCode *c = &o->code[feature];
	int x = filled(o, feature), y = x;
	if (f->normal == NORMAL_LOG1P)
		y = onnx_1(o, "Log", onnx_2(o, "Add", onnx_number(o, ONNX_DOUBLE, 1), y));
	if (c->shift != 0) y = onnx_2(o, "Sub", y, onnx_number(o, ONNX_DOUBLE, c->shift));
	if (c->scale != 1) y = onnx_2(o, "Mul", y, onnx_number(o, ONNX_DOUBLE, c->scale));
	return onnx_3(o, "Where", onnx_1(o, "IsNaN", x), onnx_number(o, ONNX_FLOAT, 0),
		      cast(o, y, ONNX_FLOAT));
}

int onnx_present(Onnx *o, int feature)
{
	return cast(o, onnx_1(o, "Not", onnx_1(o, "IsNaN", filled(o, feature))), ONNX_FLOAT);
}

/* ---- steps ---- */

/* A field whose steps tell how many there are at most: one that scoring reads. */
static int field_of(const Onnx *o, int s)
{
	for (NodeId id = 1; id < o->g->node.n; id++) {
		int f = spec_feature_read(o->spec, &o->g->node.at[id]);
		if (f >= 0 && o->spec->feature.at[f].seq == s) return f;
	}
	return o->spec->seq.at[s - 1].feature.at[0];
}

int onnx_length(Onnx *o, int s)
{
	int *known = &o->length[s - 1];
	if (!*known) {
		*known = new_value(o, str_printf(o->str, "%s.length", o->spec->seq.at[s - 1].name), true);
		vec_push(o->arena, &o->input, ((OnnxInput){*known, ONNX_INT64, false, field_of(o, s), s}));
	}
	return onnx_2(o, "Reshape", *known, onnx_ints(o, 3, (int64_t[]){0, 1, 1}));
}

int onnx_places(Onnx *o, int s)
{
	int64_t one = 1;
	int shape = onnx_1(o, "Shape", raw(o, field_of(o, s))),
	    T = onnx_2(o, "Gather", shape, onnx_number(o, ONNX_INT64, 1));
	return onnx_2(o, "Unsqueeze",
		      onnx_3(o, "Range", onnx_number(o, ONNX_INT64, 0), T, onnx_number(o, ONNX_INT64, 1)),
		      onnx_ints(o, 1, &one));
}

int onnx_steps(Onnx *o, int s) { return onnx_2(o, "Less", onnx_places(o, s), onnx_length(o, s)); }

/* ---- shapes ---- */

/* As [d...] of the shape; of rows (and steps): behind them, at least one. */
static int dims_of(Shape s, int64_t rows, int64_t *dim)
{
	int n = 0;
	if (s.rows) dim[n++] = rows;
	if (s.seq) dim[n++] = rows;
	for (int i = 0; i < s.nd; i++) dim[n++] = s.d[i];
	if (s.rows && !s.nd) dim[n++] = 1;
	return n;
}

int onnx_reshape(Onnx *o, int x, Shape to)
{
	int64_t dim[SHAPE_DIMS + 2];
	int n = dims_of(to, 0, dim); /* 0: the dimension that is there */
	return onnx_2(o, "Reshape", x, onnx_ints(o, n, dim));
}

int onnx_whole(Onnx *o, int x, Shape s)
{
	if (!s.rows || o->value.at[x].wide) return x;
	if (!o->input.n && !s.seq) bug("an ONNX graph of no input");
	/* Of any input the first dimension, of a field of the sequence two; the rest from the shape. */
	int like = s.seq ? raw(o, field_of(o, s.seq)) : o->input.at[0].value;
	int64_t zero = 0, lead = s.seq ? 2 : 1, dim[SHAPE_DIMS + 2];
	int n = dims_of(s, 0, dim);
	int rows =
	    onnx_3(o, "Slice", onnx_1(o, "Shape", like), onnx_ints(o, 1, &zero), onnx_ints(o, 1, &lead));
	int whole = onnx_node(o, "Concat", 2, (int[]){rows, onnx_ints(o, n - (int)lead, dim + lead)},
			      (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "axis"});
	return onnx_2(o, "Expand", x, whole);
}

/* ---- expressions ---- */

typedef struct {
	Onnx *o;
	const Node *n;
	const int *x;
	const char *p;
	int n_name;
	struct {
		char name[8];
		int value;
	} named[16];
} Reading;

static void blanks(Reading *r)
{
	while (*r->p == ' ') r->p++;
}

static int word(Reading *r, char name[24])
{
	int n = 0;
	while (isalnum((unsigned char)*r->p) && n < 23) name[n++] = *r->p++;
	name[n] = '\0';
	blanks(r);
	return n;
}

/* An operand in the rank of the result: one element of each row goes into every place. */
static int operand(Reading *r, int i)
{
	Shape s = r->o->g->node.at[r->n->in[i]].shape;
	Shape like = {.rows = true, .nd = r->n->shape.nd, .d = {1, 1, 1}, .seq = s.seq};
	return s.rows && s.nd < like.nd && like.nd > 1 && r->o->value.at[r->x[i]].wide
		   ? onnx_reshape(r->o, r->x[i], like)
		   : r->x[i];
}

static int term(Reading *r)
{
	char name[24];
	blanks(r);
	if (isdigit((unsigned char)*r->p)) {
		char *end;
		double x = strtod(r->p, &end);
		r->p = end;
		blanks(r);
		return onnx_number(r->o, ONNX_FLOAT, x);
	}
	if (!word(r, name)) bug("ONNX expression at \"%s\"", r->p);
	if (*r->p == '(') {
		int in[4], n = 0;
		do {
			r->p++;
			if (n == 4) bug("ONNX expression: too many operands at \"%s\"", r->p);
			in[n++] = term(r);
		} while (*r->p == ',');
		if (*r->p++ != ')') bug("ONNX expression at \"%s\"", r->p - 1);
		blanks(r);
		return onnx_node(r->o, name, n, in, (OnnxAttr){0});
	}
	for (int i = 0; i < r->n_name; i++)
		if (!strcmp(r->named[i].name, name)) return r->named[i].value;
	if (!strcmp(name, "k")) return onnx_number(r->o, ONNX_FLOAT, r->n->attr.k);
	if (name[1] || name[0] < 'a' || name[0] >= 'a' + r->n->n_in)
		bug("ONNX expression: what is '%s'", name);
	return operand(r, name[0] - 'a');
}

int onnx_expr(Onnx *o, const Node *n, const int *x, const char *text)
{
	Reading r = {.o = o, .n = n, .x = x, .p = text};
	for (const char *semicolon; (semicolon = strchr(r.p, ';'));) {
		char name[24];
		blanks(&r);
		if (word(&r, name) > 7 || *r.p++ != '=' || r.n_name == 16)
			bug("ONNX expression at \"%s\"", r.p);
		int value = term(&r);
		strcpy(r.named[r.n_name].name, name);
		r.named[r.n_name++].value = value;
		if (r.p != semicolon) bug("ONNX expression at \"%s\"", r.p);
		r.p++;
	}
	int value = term(&r);
	if (*r.p) bug("ONNX expression at \"%s\"", r.p);
	return value;
}
