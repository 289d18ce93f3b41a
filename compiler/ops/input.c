/* Inputs: what a row, a parameter or a constant brings in.  They compute nothing. */
#include "ir/onnx.h"
#include "ops/family.h"

static bool given(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)g, (void)n, (void)in, (void)why;
	*out = shape_scalar(true);
	if (attr->j > 0) *out = shape_1(true, attr->j);
	return true;
}

#define INPUT(var, w, text)                                                                                  \
	const Op var = {.word = w, .n_in = 0, .group = GROUP_INPUT, .doc = text, .shape = given}
/* What scoring reads too. */
#define SERVED(var, w, text)                                                                                 \
	const Op op_##var = {.word = w,                                                                      \
			     .n_in = 0,                                                                      \
			     .group = GROUP_INPUT,                                                           \
			     .doc = text,                                                                    \
			     .shape = given,                                                                 \
			     .onnx = var##_onnx}

static int const_onnx(Onnx *o, const Node *n, const int *x)
{
	(void)x;
	return onnx_number(o, ONNX_FLOAT, n->attr.k);
}

static int param_onnx(Onnx *o, const Node *n, const int *x)
{
	const Param *p = &o->spec->param.at[n->attr.i];
	int64_t dim[SHAPE_DIMS];
	(void)x;
	for (int i = 0; i < p->shape.nd; i++) dim[i] = p->shape.d[i];
	return onnx_weight(o, p->name, p->shape.nd, dim);
}

static int real_onnx(Onnx *o, const Node *n, const int *x)
{
	(void)x;
	return onnx_reshape(o, onnx_real(o, n->attr.i), n->shape);
}

static int present_onnx(Onnx *o, const Node *n, const int *x)
{
	(void)x;
	return onnx_reshape(o, onnx_present(o, n->attr.i), n->shape);
}

SERVED(const, "const", "A number.");
SERVED(param, "param", "A trained array.");
SERVED(real, "real", "A real feature after its normaliser; 0 where missing.");
SERVED(present, "present", "1 where a real feature is present, 0 where it is missing.");
INPUT(op_can1, "can1", "1 where an event may have happened (true or unknown), else 0.");
INPUT(op_can0, "can0", "1 where an event may not have happened (false or unknown), else 0.");
INPUT(op_weight, "weight", "What the row counts.");
INPUT(op_sample, "sample", "A real-valued outcome, or the number of a class; 0 where it is unknown.");
INPUT(op_known, "known", "1 where a real-valued or class outcome is known, else 0.");
INPUT(op_noise, "noise", "In training factors of dropout, 0 or 1/(1-p), or samples of the logistic distribution; 1 or 0 in scoring.");
INPUT(op_inv, "inv", "1 over the denominator of a loss in this batch; 0 where it has no row.");
