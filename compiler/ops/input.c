/* Inputs: what a row, a parameter or a constant brings in.  They compute nothing. */
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

INPUT(op_const, "const", "A number.");
INPUT(op_param, "param", "A trained array.");
INPUT(op_real, "real", "A real feature after its normaliser; 0 where missing.");
INPUT(op_present, "present", "1 where a real feature is present, 0 where it is missing.");
INPUT(op_can1, "can1", "1 where an event may have happened (true or unknown), else 0.");
INPUT(op_can0, "can0", "1 where an event may not have happened (false or unknown), else 0.");
INPUT(op_weight, "weight", "What the row counts.");
INPUT(op_sample, "sample", "A real-valued outcome, or the number of a class; 0 where it is unknown.");
INPUT(op_known, "known", "1 where a real-valued or class outcome is known, else 0.");
INPUT(op_noise, "noise", "In training factors of dropout, 0 or 1/(1-p), or samples of the logistic distribution; 1 or 0 in scoring.");
INPUT(op_inv, "inv", "1 over the denominator of a loss in this batch; 0 where it has no row.");
