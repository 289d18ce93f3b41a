/*
 * What differs between training and serving: the first operand while training, the second when scoring.
 *
 * pass_serve puts the second in its place, pass_fold (after the gradients) the first, so that no kernel
 * computes both.
 */
#include "ir/onnx.h"
#include "ops/family.h"

static bool training_shape(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out,
			   const char **why)
{
	(void)n, (void)attr;
	*out = g->node.at[in[0]].shape;
	if (!shape_eq(*out, g->node.at[in[1]].shape)) {
		*why = "training and serving need values of one shape";
		return false;
	}
	return true;
}

static void training_grad(Graph *g, NodeId id, NodeId d, NodeId *din)
{
	(void)g, (void)id;
	din[0] = d;
}

static int training_each(Each *e, const Attr *attr, const int *x)
{
	(void)attr;
	return e_x(e, x[0]);
}

ONNX(training, "b")

const Op op_training = {.word = "training",
			.n_in = 2,
			.group = GROUP_BINARY,
			.doc = "One value in training and another when scoring; gradients follow the first.",
			.formula = "y = a in training, b when scoring",
			.example = "training([1, 2], [3, 4]) == [1, 2]",
			.shape = training_shape,
			.onnx = training_onnx,
			.grad = training_grad,
			.each = training_each};
