/* Sequences in ONNX. */
#include "ops/steps_onnx.h"
#include <math.h>

static int cast(Onnx *o, int x, OnnxType to)
{
	return onnx_node(o, "Cast", 1, &x, (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "to", .i = to});
}

/* [n, 1, d..], then as many steps as there are. */
int each_step_onnx(Onnx *o, const Node *n, const int *x)
{
	Shape s = o->g->node.at[n->in[0]].shape;
	int64_t one = 1;
	int y = onnx_2(o, "Unsqueeze", onnx_whole(o, x[0], s), onnx_ints(o, 1, &one));
	int zero =
	    onnx_2(o, "Mul", cast(o, onnx_steps(o, n->shape.seq), ONNX_FLOAT), onnx_number(o, ONNX_FLOAT, 0));
	if (n->shape.nd > 1) zero = onnx_reshape(o, zero, shape_over(n->shape, shape_2(true, 1, 1)));
	return onnx_2(o, "Add", y, zero);
}

/* A condition on steps [n, T, 1] beside a value of them. */
static int beside(Onnx *o, int condition, Shape s)
{
	return s.nd > 1 ? onnx_reshape(o, condition, shape_over(s, shape_2(true, 1, 1))) : condition;
}

/* The sum of x where the condition holds. */
static int sum_where(Onnx *o, const Node *n, int condition, int x)
{
	Shape s = o->g->node.at[n->in[0]].shape;
	int64_t one = 1;
	int kept =
	    onnx_3(o, "Where", beside(o, condition, s), onnx_whole(o, x, s), onnx_number(o, ONNX_FLOAT, 0));
	return onnx_node(o, "ReduceSum", 2, (int[]){kept, onnx_ints(o, 1, &one)},
			 (OnnxAttr){.kind = ONNX_ATTR_INT, .name = "keepdims"});
}

int sum_steps_onnx(Onnx *o, const Node *n, const int *x)
{
	return sum_where(o, n, onnx_steps(o, o->g->node.at[n->in[0]].shape.seq), x[0]);
}

int max_steps_onnx(Onnx *o, const Node *n, const int *x)
{
	Shape s = o->g->node.at[n->in[0]].shape;
	int kept = onnx_3(o, "Where", beside(o, onnx_steps(o, s.seq), s), onnx_whole(o, x[0], s),
			  onnx_number(o, ONNX_FLOAT, (double)-INFINITY));
	int max =
	    onnx_node(o, "ReduceMax", 1, &kept, (OnnxAttr){.kind = ONNX_ATTR_INTS, .name = "axes", .i = 1});
	int none = onnx_2(o, "Less", onnx_length(o, s.seq), onnx_number(o, ONNX_INT64, 1));
	return onnx_reshape(o, onnx_3(o, "Where", beside(o, none, s), onnx_number(o, ONNX_FLOAT, 0), max),
			    n->shape); /* it kept a dimension of 1 */
}

int end_step_onnx(Onnx *o, const Node *n, const int *x)
{
	int s = o->g->node.at[n->in[0]].shape.seq, place = onnx_places(o, s), length = onnx_length(o, s);
	int here =
	    n->attr.i
		? onnx_2(o, "Equal", place, onnx_2(o, "Sub", length, onnx_number(o, ONNX_INT64, 1)))
		: onnx_2(o, "And", onnx_steps(o, s), onnx_2(o, "Less", place, onnx_number(o, ONNX_INT64, 1)));
	return sum_where(o, n, here, x[0]);
}

int length_onnx(Onnx *o, const Node *n, const int *x)
{
	(void)x;
	return onnx_reshape(o, cast(o, onnx_length(o, n->attr.i), ONNX_FLOAT), n->shape);
}
