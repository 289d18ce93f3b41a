/*
 * Dense layers by a library: y = x W + b, dx = dy W' and dW += x' dy, a product of matrices each.
 *
 * Weights are read as they lie in PARAM, [K, N]: nothing is packed, and what follows a layer is a kernel of
 * its own.  The order of the sums is the library's.
 */
#include "ops/product.h"

static int width(const Lowering *l, NodeId id) { return (int)shape_size(l->g->node.at[id].shape); }

typedef struct {
	int buf;
	int64_t stride;
} Matrix;

/* c [m, n] = or += a [m, k] b [k, n] */
static void product(Fn *f, int form, Matrix c, Matrix a, Matrix b, Aff m, Aff n, Aff k)
{
	f_product(f, form, (int)c.stride, (int)a.stride, (int)b.stride);
	f_arg(f, c.buf, aff_c(0));
	f_arg(f, a.buf, aff_c(0));
	f_arg(f, b.buf, aff_c(0));
	f_arg_size(f, m);
	f_arg_size(f, n);
	f_arg_size(f, k);
}

void product_dense(Lowering *l, NodeId id)
{
	const NodeId *in = l->g->node.at[id].in;
	int K = width(l, in[0]), N = width(l, id), n_arg = 0;
	bool fresh, bias = in[2] != 0;
	Loc arg[4], X = arg[n_arg++] = lo_value(l, in[0]);
	arg[n_arg++] = lo_value(l, in[1]);
	if (bias) arg[n_arg++] = lo_value(l, in[2]);
	Loc Y = arg[n_arg++] = lo_result(l, id);
	Fn *f = lo_kernel(l, &fresh, "dense_blas_%dx%d%s_s%d_%d", K, N, bias ? "" : "_nobias", (int)X.stride,
			  (int)Y.stride);
	if (fresh) {
		f->note = str_printf(l->str, "%d -> %d", K, N);
		int x = f_buf(f, BUF_IN, ELEM_F32, "x", 0), w = f_buf(f, BUF_IN, ELEM_F32, "w", 0);
		int b = bias ? f_buf(f, BUF_IN, ELEM_F32, "bias", 0) : -1,
		    y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0), n = f_size(f, "n");
		if (bias) {
			int r = f_for(f, "r", aff_c(0), aff_v(n), 1);
			f_copy(f, l->t->W, N, y, aff_mul(aff_v(r), Y.stride), b, aff_c(0));
			f_end(f, 1);
		}
		product(f, bias ? PRODUCT_ADDS : 0, (Matrix){y, Y.stride}, (Matrix){x, X.stride},
			(Matrix){w, N}, aff_v(n), aff_c(N), aff_c(K));
	}
	lo_call(l, f, n_arg, arg, true, l->g->node.at[id].span);
}

void product_dx(Lowering *l, NodeId id)
{
	const NodeId *in = l->g->node.at[id].in;
	int N = width(l, in[0]), K = width(l, id);
	bool fresh;
	Loc arg[3] = {lo_value(l, in[0]), lo_value(l, in[1]), lo_result(l, id)};
	Fn *f =
	    lo_kernel(l, &fresh, "dense_dx_blas_%dx%d_s%d_%d", N, K, (int)arg[0].stride, (int)arg[2].stride);
	if (fresh) {
		int d = f_buf(f, BUF_IN, ELEM_F32, "dy", 0), w = f_buf(f, BUF_IN, ELEM_F32, "w", 0),
		    y = f_buf(f, BUF_OUT, ELEM_F32, "dx", 0), n = f_size(f, "n");
		product(f, PRODUCT_B_TURNED, (Matrix){y, arg[2].stride}, (Matrix){d, arg[0].stride},
			(Matrix){w, N}, aff_v(n), aff_c(K), aff_c(N));
	}
	lo_call(l, f, 3, arg, true, l->g->node.at[id].span);
}

void product_dw(Lowering *l, NodeId id)
{
	const NodeId *in = l->g->node.at[id].in;
	int K = width(l, in[0]), N = width(l, in[1]);
	bool fresh;
	Loc arg[3] = {lo_value(l, in[0]), lo_value(l, in[1]), lo_result(l, id)};
	Fn *f =
	    lo_kernel(l, &fresh, "dense_dw_blas_%dx%d_s%d_%d", K, N, (int)arg[0].stride, (int)arg[1].stride);
	if (fresh) {
		int x = f_buf(f, BUF_IN, ELEM_F32, "x", 0), d = f_buf(f, BUF_IN, ELEM_F32, "dy", 0),
		    w = f_buf(f, BUF_INOUT, ELEM_F32, "dw", 0), n = f_size(f, "n");
		product(f, PRODUCT_A_TURNED | PRODUCT_ADDS, (Matrix){w, N}, (Matrix){x, arg[0].stride},
			(Matrix){d, arg[1].stride}, aff_c(K), aff_c(N), aff_v(n));
	}
	lo_call(l, f, 3, arg, true, l->g->node.at[id].span);
}
