/*
 * Rows moved as they are.  Exact widths: masked accesses to partial rows cost several times as much on the machines
 * measured, and touch nothing beyond the row.
 */
#include "ops/copy.h"

void copy_pieces(Fn *f, int W, int width, int Y, Aff y, int X, Aff x)
{
	int at = 0;
	if (width / W > 8) {
		int c = f_for(f, "c", aff_c(0), aff_c(width / W * W), W);
		f_store(f, Y, aff_plus(y, c, 1), e_load(f, W, X, aff_plus(x, c, 1)));
		f_end(f, 1);
		at = width / W * W;
	}
	for (int w = W; w; w /= 2)
		for (; width - at >= w; at += w)
			f_store(f, Y, aff_off(y, at), e_load(f, w, X, aff_off(x, at)));
}

void copy_call(Lowering *l, Loc from, Loc to, int width, Span span)
{
	bool fresh;
	Fn *f = lo_kernel(l, &fresh, "copy_%d_s%d_%d", width, (int)from.stride, (int)to.stride);
	if (fresh) {
		int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0), n = f_size(f, "n");
		int r = f_for(f, "r", aff_c(0), aff_v(n), 1);
		copy_pieces(f, l->t->W, width, Y, aff_mul(aff_v(r), to.stride), X, aff_mul(aff_v(r), from.stride));
		f_end(f, 1);
	}
	lo_call(l, f, 2, (Loc[]){from, to}, true, span);
}
