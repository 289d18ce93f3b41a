/*
 * An ONNX file: the messages of onnx.proto (IR version 7) in protobuf's wire format.
 *
 * Written by hand: the format is tags, lengths and bytes, forty lines; a library of messages would want all
 * of ONNX's schema as an input of the build, and would hold every table twice.  A message is made in a Text
 * and appended with its length; weights go from where they are into the file.  Field numbers are those of
 * onnx.proto.
 */
#include "emit/emit_onnx.h"
#include <errno.h>
#include <string.h>

/* ---- the wire ---- */

typedef enum { VARINT = 0, BYTES = 2, FIXED32 = 5 } Wire;

static void varint(Text *t, uint64_t x)
{
	for (; x > 127; x >>= 7) text_char(t, (char)(x | 128));
	text_char(t, (char)x);
}

static void tag(Text *t, int field, Wire w) { varint(t, (uint64_t)field << 3 | w); }

static void put_int(Text *t, int field, int64_t x)
{
	tag(t, field, VARINT);
	varint(t, (uint64_t)x);
}

static void put_bytes(Text *t, int field, const char *p, size_t n)
{
	tag(t, field, BYTES);
	varint(t, n);
	if (n) text_addn(t, p, n);
}

static void put_text(Text *t, int field, const char *s) { put_bytes(t, field, s, strlen(s)); }

/* Appends a message, and frees it. */
static void put_message(Text *t, int field, Text *m)
{
	put_bytes(t, field, m->at, m->n);
	text_free(m);
}

static void put_float(Text *t, int field, float x)
{
	char bytes[4];
	memcpy(bytes, &x, sizeof bytes);
	tag(t, field, FIXED32);
	text_addn(t, bytes, sizeof bytes);
}

/* ---- messages ---- */

enum {
	ATTRIBUTE_FLOAT = 1,
	ATTRIBUTE_INT = 2,
	ATTRIBUTE_GRAPH = 5,
	ATTRIBUTE_INTS = 7
}; /* AttributeProto.type */

static void attribute(Text *node, OnnxAttr a)
{
	Text t = {0};
	if (a.kind == ONNX_NO_ATTR) return;
	put_text(&t, 1, a.name);
	if (a.kind == ONNX_ATTR_FLOAT)
		put_float(&t, 2, (float)a.f);
	else
		put_int(&t, a.kind == ONNX_ATTR_INT ? 3 : 8, a.i);
	put_int(&t, 20,
		a.kind == ONNX_ATTR_FLOAT ? ATTRIBUTE_FLOAT
		: a.kind == ONNX_ATTR_INT ? ATTRIBUTE_INT
					  : ATTRIBUTE_INTS);
	put_message(node, 5, &t);
}

static void node(Text *graph, const Onnx *o, const OnnxNode *n);

static void dimension(Text *shape, const char *name)
{
	Text t = {0};
	put_text(&t, 2, name);
	put_message(shape, 1, &t);
}

static void value_info(Text *graph, int field, const char *name, OnnxType type, Text *shape)
{
	Text tensor = {0}, kind = {0}, t = {0};
	put_int(&tensor, 1, type);
	put_message(&tensor, 2, shape);
	put_message(&kind, 1, &tensor);
	put_text(&t, 1, name);
	put_message(&t, 2, &kind);
	put_message(graph, field, &t);
}

static void inner_values(Text *body, const Onnx *o, int field, int n, const OnnxStep *x)
{
	for (int i = 0; i < n; i++) {
		Text shape = {0};
		dimension(&shape, "rows");
		for (int d = 0; d < x[i].shape.nd || d < 1; d++) {
			Text t = {0};
			put_int(&t, 1, x[i].shape.nd ? x[i].shape.d[d] : 1);
			put_message(&shape, 1, &t);
		}
		value_info(body, field, onnx_name(o, x[i].value), x[i].type, &shape);
	}
}

static void attribute_all(Text *node, const char *name, int n, int64_t x)
{
	Text t = {0};
	put_text(&t, 1, name);
	for (int i = 0; i < n; i++) put_int(&t, 8, x);
	put_int(&t, 20, ATTRIBUTE_INTS);
	put_message(node, 5, &t);
}

/* Over the second dimension, in and out. */
static void scan_attributes(Text *node_text, const Onnx *o, const OnnxScan *s)
{
	Text body = {0}, t = {0};
	int read = s->in.n - s->n_state;
	for (int i = 0; i < s->node.n; i++) node(&body, o, &s->node.at[i]);
	put_text(&body, 2, "step");
	inner_values(&body, o, 11, s->in.n, s->in.at);
	inner_values(&body, o, 12, s->made.n, s->made.at);
	put_text(&t, 1, "body");
	put_message(&t, 6, &body);
	put_int(&t, 20, ATTRIBUTE_GRAPH);
	put_message(node_text, 5, &t);
	attribute(node_text, (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "num_scan_inputs", .i = read});
	attribute_all(node_text, "scan_input_axes", read, 1);
	attribute_all(node_text, "scan_output_axes", s->n_state, 1);
}

static void node(Text *graph, const Onnx *o, const OnnxNode *n)
{
	Text t = {0};
	for (int i = 0; i < n->in.n; i++) put_text(&t, 1, onnx_name(o, n->in.at[i]));
	put_text(&t, 2, onnx_name(o, n->out));
	for (int i = 1; n->scan && i < n->scan->given.n; i++)
		put_text(&t, 2, onnx_name(o, n->scan->given.at[i]));
	put_text(&t, 4, n->op);
	attribute(&t, n->attr);
	if (n->scan) scan_attributes(&t, o, n->scan);
	put_message(graph, 1, &t);
}

/* A TensorProto up to its bytes, which are its last field. */
static void tensor_head(Text *t, const Onnx *o, const OnnxTensor *k)
{
	for (int i = 0; i < k->nd; i++) put_int(t, 1, k->dim[i]);
	put_int(t, 2, k->type);
	put_text(t, 8, onnx_name(o, k->value));
	tag(t, 9, BYTES);
	varint(t, (uint64_t)k->bytes);
}

static void graph_rest(Text *t, const Onnx *o)
{
	for (int i = 0; i < o->node.n; i++) node(t, o, &o->node.at[i]);
	put_text(t, 2, o->spec->name);
	for (int i = 0; i < o->input.n; i++) {
		const OnnxInput *in = &o->input.at[i];
		Text shape = {0};
		dimension(&shape, "rows");
		if (in->list)
			dimension(&shape,
				  str_printf(o->str, "items of %s", o->spec->feature.at[in->feature].name));
		value_info(t, 11, onnx_name(o, in->value), in->type, &shape);
	}
	for (int i = 0; i < o->output.n; i++) {
		Text shape = {0};
		dimension(&shape, "rows");
		value_info(t, 12, onnx_name(o, o->output.at[i]), ONNX_FLOAT, &shape);
	}
}

static void model_head(Text *t, const char *producer, const EmitOnnxMeta *meta, int n_meta)
{
	Text opset = {0};
	put_int(t, 1, ONNX_IR);
	put_text(t, 2, producer);
	put_int(&opset, 2, ONNX_OPSET);
	put_message(t, 8, &opset);
	for (int i = 0; i < n_meta; i++) {
		Text m = {0};
		put_text(&m, 1, meta[i].key);
		put_text(&m, 2, meta[i].value);
		put_message(t, 14, &m);
	}
}

/* ---- the file ---- */

static bool out(FILE *to, const void *p, size_t n) { return !n || fwrite(p, 1, n, to) == n; }

/* The field `initializer` of the graph up to the tensor's bytes. */
static void initializer(Text *t, const Onnx *o, const OnnxTensor *k)
{
	Text head = {0};
	tensor_head(&head, o, k);
	tag(t, 5, BYTES);
	varint(t, head.n + (size_t)k->bytes);
	text_addn(t, head.at, head.n);
	text_free(&head);
}

bool emit_onnx(const Onnx *o, const char *producer, const EmitOnnxMeta *meta, int n_meta, FILE *to)
{
	Text head = {0}, rest = {0};
	graph_rest(&rest, o);
	uint64_t bytes = rest.n;
	for (int i = 0; i < o->tensor.n; i++) {
		Text t = {0};
		initializer(&t, o, &o->tensor.at[i]);
		bytes += t.n + (uint64_t)o->tensor.at[i].bytes;
		text_free(&t);
	}
	model_head(&head, producer, meta, n_meta);
	tag(&head, 7, BYTES);
	varint(&head, bytes);
	bool ok = bytes + head.n <= INT32_MAX;
	if (!ok) errno = EFBIG;
	ok = ok && out(to, head.at, head.n) && out(to, rest.at, rest.n);
	for (int i = 0; ok && i < o->tensor.n; i++) {
		Text t = {0};
		initializer(&t, o, &o->tensor.at[i]);
		ok = out(to, t.at, t.n) && out(to, o->tensor.at[i].data, (size_t)o->tensor.at[i].bytes);
		text_free(&t);
	}
	text_free(&head);
	text_free(&rest);
	return ok;
}
