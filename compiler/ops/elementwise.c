/* Elementwise ops of calculus.  Each is a scalar expression; shapes broadcast; gradients are graph code. */
#include "ir/onnx.h"
#include "ops/family.h"

#define EACH(name)  static int name(Each *e, const Attr *attr, const int *x)
#define GRAD(name)  static void name(Graph *g, NodeId id, NodeId d, NodeId *din)
#define IN(i)	    (g->node.at[id].in[i])
#define SHAPE(i)    (g->node.at[IN(i)].shape)
#define TO(i, node) graph_reduce_to(g, (node), SHAPE(i))
#define UNARY(var, w, text, f, ex, l, h)                                                                     \
	const Op op_##var = {.word = w,                                                                      \
			     .n_in = 1,                                                                      \
			     .group = GROUP_UNARY,                                                           \
			     .doc = text,                                                                    \
			     .formula = f,                                                                   \
			     .example = ex,                                                                  \
			     .shape = shape_like_first,                                                      \
			     .grad = var##_grad,                                                             \
			     .each = var##_each,                                                             \
			     .onnx = var##_onnx,                                                             \
			     .lo = l,                                                                        \
			     .hi = h}
#define BINARY(var, w, n, text, f, ex, l, h)                                                                 \
	const Op op_##var = {.word = w,                                                                      \
			     .n_in = n,                                                                      \
			     .group = GROUP_BINARY,                                                          \
			     .doc = text,                                                                    \
			     .formula = f,                                                                   \
			     .example = ex,                                                                  \
			     .shape = shape_broadcast,                                                       \
			     .grad = var##_grad,                                                             \
			     .each = var##_each,                                                             \
			     .onnx = var##_onnx,                                                             \
			     .lo = l,                                                                        \
			     .hi = h}
#define UNUSED (void)attr

EACH(neg_each)
{
	UNUSED;
	return e_neg(e, e_x(e, x[0]));
}
ONNX(neg, "Neg(a)")
GRAD(neg_grad)
{
	(void)id;
	din[0] = graph_1(g, OP_NEG, d);
}
UNARY(neg, "neg", "The negative of each element.", "y = -x", "neg([-1, 0, 2]) == [1, 0, -2]", 0, 0);

EACH(abs_each)
{
	UNUSED;
	return e_abs(e, e_x(e, x[0]));
}
ONNX(abs, "Abs(a)")
GRAD(abs_grad)
{
	NodeId zero = graph_k(g, id, 0);
	din[0] = graph_4(g, OP_SELLT, IN(0), zero, graph_1(g, OP_NEG, d), d);
}
UNARY(abs, "abs", "The magnitude of each element.", "y = |x|", "abs([-1, 0, 2]) == [1, 0, 2]", 0.1, 2);

EACH(square_each)
{
	UNUSED;
	return e_mul(e, e_x(e, x[0]), e_x(e, x[0]));
}
ONNX(square, "Mul(a, a)")
GRAD(square_grad) { din[0] = graph_2(g, OP_MUL, graph_2(g, OP_MUL, graph_k(g, id, 2), IN(0)), d); }
UNARY(square, "square", "The square of each element.", "y = x^2", "square([-1, 0, 2]) == [1, 0, 4]", 0, 0);

EACH(sqrt_each)
{
	UNUSED;
	return e_op1(e->f, E_SQRT, e_x(e, x[0]));
}
ONNX(sqrt, "Sqrt(a)")
GRAD(sqrt_grad) { din[0] = graph_2(g, OP_DIV, d, graph_2(g, OP_MUL, graph_k(g, id, 2), id)); }
UNARY(sqrt, "sqrt", "The square root of each element.", "y = x^0.5", "sqrt([0, 1, 4]) == [0, 1, 2]", 0.1, 2);

EACH(exp_each)
{
	UNUSED;
	return e_fn(e, "exp", e_x(e, x[0]));
}
ONNX(exp, "Exp(a)")
GRAD(exp_grad) { din[0] = graph_2(g, OP_MUL, d, id); }
UNARY(exp, "exp", "The exponential of each element.", "y = e^x", "exp([0, 1]) == [1, 2.718281828]", 0, 0);

EACH(log_each)
{
	UNUSED;
	return e_fn(e, "log", e_x(e, x[0]));
}
ONNX(log, "Log(a)")
GRAD(log_grad) { din[0] = graph_2(g, OP_DIV, d, IN(0)); }
UNARY(log, "log", "The natural logarithm of each element.", "y = log x", "log([1, 2.718281828]) == [0, 1]",
      0.1, 3);

EACH(log1p_each)
{
	UNUSED;
	return e_fn(e, "log1p", e_x(e, x[0]));
}
ONNX(log1p, "Log(Add(1, a))")
GRAD(log1p_grad) { din[0] = graph_2(g, OP_DIV, d, graph_2(g, OP_ADD, graph_k(g, id, 1), IN(0))); }
UNARY(log1p, "log1p", "log(1 + x) of each element, right near 0.", "y = log(1 + x)",
      "log1p([0, 1.718281828]) == [0, 1]", -0.5, 2);

/* Nothing is added to x: its limit at 0 is 0, and there nothing is passed on, as relu passes nothing on at 0.
 */
EACH(xlogx_each)
{
	UNUSED;
	int y = e_mul(e, e_x(e, x[0]), e_fn(e, "log", e_x(e, x[0])));
	return e_lt(e, e_k(e, 0), e_x(e, x[0]), y, e_k(e, 0));
}
ONNX(xlogx, "Where(Less(0, a), Mul(a, Log(a)), 0)")
GRAD(xlogx_grad)
{
	NodeId zero = graph_k(g, id, 0);
	NodeId slope = graph_2(g, OP_ADD, graph_1(g, OP_LOG, IN(0)), graph_k(g, id, 1));
	din[0] = graph_2(g, OP_MUL, d, graph_4(g, OP_SELLT, zero, IN(0), slope, zero));
}
UNARY(xlogx, "xlogx", "x log x of each element, as in an entropy; 0 for an x that is not above 0.",
      "y = x > 0 ? x log x : 0", "xlogx([0, 1, 2.718281828]) == [0, 0, 2.718281828]", 0.1, 3);

EACH(expm1_each)
{
	UNUSED;
	return e_fn(e, "expm1", e_x(e, x[0]));
}
ONNX(expm1, "Sub(Exp(a), 1)")
GRAD(expm1_grad) { din[0] = graph_2(g, OP_MUL, d, graph_1(g, OP_EXP, IN(0))); }
UNARY(expm1, "expm1", "e^x - 1 of each element, right near 0.", "y = e^x - 1",
      "expm1([0, 1]) == [0, 1.718281828]", 0, 0);

EACH(sigmoid_each)
{
	UNUSED;
	return e_fn(e, "sigmoid", e_x(e, x[0]));
}
ONNX(sigmoid, "Sigmoid(a)")
/* y (1 - y) as sigmoid(x) sigmoid(-x): 1 - y would lose everything where y is near 1. */
GRAD(sigmoid_grad)
{
	NodeId other = graph_1(g, OP_SIGMOID, graph_1(g, OP_NEG, IN(0)));
	din[0] = graph_2(g, OP_MUL, d, graph_2(g, OP_MUL, id, other));
}
UNARY(sigmoid, "sigmoid", "The logistic function of each element.", "y = 1 / (1 + e^-x)",
      "sigmoid([0, 1]) == [0.5, 0.7310585786]", 0, 0);

EACH(tanh_each)
{
	UNUSED;
	return e_fn(e, "tanh", e_x(e, x[0]));
}
ONNX(tanh, "Tanh(a)")
/* 1 - y^2 as 4 t / (1 + t)^2, t = e^(-2|x|): 1 - y^2 would lose everything where |y| is near 1. */
GRAD(tanh_grad)
{
	NodeId t = graph_1(g, OP_EXP, graph_2(g, OP_MUL, graph_k(g, id, -2), graph_1(g, OP_ABS, IN(0))));
	NodeId below = graph_1(g, OP_SQUARE, graph_2(g, OP_ADD, graph_k(g, id, 1), t));
	NodeId slope = graph_2(g, OP_DIV, graph_2(g, OP_MUL, graph_k(g, id, 4), t), below);
	din[0] = graph_2(g, OP_MUL, d, slope);
}
UNARY(tanh, "tanh", "The hyperbolic tangent of each element.", "y = tanh x",
      "tanh([0, 1]) == [0, 0.7615941560]", 0, 0);

EACH(softplus_each)
{
	UNUSED;
	return e_fn(e, "softplus", e_x(e, x[0]));
}
ONNX(softplus, "Add(Relu(a), Log(Add(1, Exp(Neg(Abs(a))))))")
GRAD(softplus_grad) { din[0] = graph_2(g, OP_MUL, d, graph_1(g, OP_SIGMOID, IN(0))); }
UNARY(softplus, "softplus", "log(1 + e^x) of each element: a relu with a round corner.", "y = log(1 + e^x)",
      "softplus([-1, 0, 1]) == [0.3132616875, 0.6931471806, 1.313261688]", 0, 0);

EACH(logsigmoid_each)
{
	UNUSED;
	return e_fn(e, "logsigmoid", e_x(e, x[0]));
}
ONNX(logsigmoid, "Sub(Min(a, 0), Log(Add(1, Exp(Neg(Abs(a))))))")
GRAD(logsigmoid_grad) { din[0] = graph_2(g, OP_MUL, d, graph_1(g, OP_SIGMOID, graph_1(g, OP_NEG, IN(0)))); }
UNARY(logsigmoid, "logsigmoid", "The logarithm of the logistic function of each element.",
      "y = -log(1 + e^-x)", "logsigmoid([0, 1]) == [-0.6931471806, -0.3132616875]", 0, 0);

EACH(relu_each)
{
	UNUSED;
	return e_max(e, e_x(e, x[0]), e_k(e, 0));
}
ONNX(relu, "Relu(a)")
/* The result is as good a witness as the operand, and it is what stays in memory. */
GRAD(relu_grad)
{
	NodeId zero = graph_k(g, id, 0);
	din[0] = graph_4(g, OP_SELLT, zero, id, d, zero);
}
UNARY(relu, "relu", "The positive part of each element.", "y = max(x, 0)", "relu([-1, 0, 2]) == [0, 0, 2]", 0,
      0);

EACH(leaky_relu_each)
{
	return e_lt(e, e_k(e, 0), e_x(e, x[0]), e_x(e, x[0]), e_mul(e, e_k(e, attr->k), e_x(e, x[0])));
}
ONNX(leaky_relu, "Where(Less(0, a), a, Mul(k, a))")
GRAD(leaky_relu_grad)
{
	NodeId slope = graph_k(g, id, g->node.at[id].attr.k);
	din[0] = graph_4(g, OP_SELLT, graph_k(g, id, 0), IN(0), d, graph_2(g, OP_MUL, slope, d));
}
UNARY(leaky_relu, "leaky_relu", "The positive part, and a slope k below 0.", "y = x > 0 ? x : k x",
      "leaky_relu([-1, 0, 2], k: 0.1) == [-0.1, 0, 2]", 0, 0);

EACH(stop_each)
{
	UNUSED;
	return e_x(e, x[0]);
}
ONNX(stop, "a")
const Op op_stop = {.word = "stop",
		    .n_in = 1,
		    .group = GROUP_UNARY,
		    .doc = "The value, without a gradient.",
		    .formula = "y = x, dy/dx = 0",
		    .example = "stop([-1, 2]) == [-1, 2]",
		    .shape = shape_like_first,
		    .each = stop_each,
		    .onnx = stop_onnx};

EACH(add_each)
{
	UNUSED;
	return e_add(e, e_x(e, x[0]), e_x(e, x[1]));
}
ONNX(add, "Add(a, b)")
GRAD(add_grad)
{
	din[0] = TO(0, d);
	din[1] = TO(1, d);
}
BINARY(add, "add", 2, "The sum.", "y = a + b", "add([1, 2], [3, 4]) == [4, 6]", 0, 0);

EACH(sub_each)
{
	UNUSED;
	return e_sub(e, e_x(e, x[0]), e_x(e, x[1]));
}
ONNX(sub, "Sub(a, b)")
GRAD(sub_grad)
{
	din[0] = TO(0, d);
	din[1] = TO(1, graph_1(g, OP_NEG, d));
}
BINARY(sub, "sub", 2, "The difference.", "y = a - b", "sub([1, 2], [3, 5]) == [-2, -3]", 0, 0);

EACH(mul_each)
{
	UNUSED;
	return e_mul(e, e_x(e, x[0]), e_x(e, x[1]));
}
ONNX(mul, "Mul(a, b)")
GRAD(mul_grad)
{
	din[0] = TO(0, graph_2(g, OP_MUL, d, IN(1)));
	din[1] = TO(1, graph_2(g, OP_MUL, d, IN(0)));
}
BINARY(mul, "mul", 2, "The product.", "y = a b", "mul([1, 2], [3, 4]) == [3, 8]", 0, 0);

EACH(div_each)
{
	UNUSED;
	return e_div(e, e_x(e, x[0]), e_x(e, x[1]));
}
ONNX(div, "Div(a, b)")
GRAD(div_grad)
{
	din[0] = TO(0, graph_2(g, OP_DIV, d, IN(1)));
	din[1] = TO(1, graph_1(g, OP_NEG, graph_2(g, OP_DIV, graph_2(g, OP_MUL, d, id), IN(1))));
}
BINARY(div, "div", 2, "The quotient.", "y = a / b", "div([1, 6], [2, 3]) == [0.5, 2]", 0.5, 2);

EACH(min_each)
{
	UNUSED;
	return e_min(e, e_x(e, x[0]), e_x(e, x[1]));
}
ONNX(min, "Min(a, b)")
GRAD(min_grad)
{
	NodeId zero = graph_k(g, id, 0);
	din[0] = TO(0, graph_4(g, OP_SELLT, IN(0), IN(1), d, zero));
	din[1] = TO(1, graph_4(g, OP_SELLT, IN(0), IN(1), zero, d));
}
BINARY(min, "min", 2, "The smaller; the second where they are equal.", "y = a < b ? a : b",
       "min([1, 4], [3, 2]) == [1, 2]", 0, 0);

EACH(max_each)
{
	UNUSED;
	return e_max(e, e_x(e, x[0]), e_x(e, x[1]));
}
ONNX(max, "Max(a, b)")
GRAD(max_grad)
{
	NodeId zero = graph_k(g, id, 0);
	din[0] = TO(0, graph_4(g, OP_SELLT, IN(1), IN(0), d, zero));
	din[1] = TO(1, graph_4(g, OP_SELLT, IN(1), IN(0), zero, d));
}
BINARY(max, "max", 2, "The larger; the second where they are equal.", "y = a > b ? a : b",
       "max([1, 4], [3, 2]) == [3, 4]", 0, 0);

EACH(sellt_each)
{
	UNUSED;
	return e_lt(e, e_x(e, x[0]), e_x(e, x[1]), e_x(e, x[2]), e_x(e, x[3]));
}
ONNX(sellt, "Where(Less(a, b), c, d)")
GRAD(sellt_grad)
{
	NodeId zero = graph_k(g, id, 0);
	din[2] = TO(2, graph_4(g, OP_SELLT, IN(0), IN(1), d, zero));
	din[3] = TO(3, graph_4(g, OP_SELLT, IN(0), IN(1), zero, d));
}
BINARY(sellt, "sellt", 4, "The third where the first is less than the second, else the fourth.",
       "y = a < b ? c : d", "sellt([1, 2], [2, 1], [3, 4], [5, 6]) == [3, 6]", 0, 0);
