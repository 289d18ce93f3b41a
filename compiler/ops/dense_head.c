/* Fewer than eight outputs: the eight chains of a sum are eight lanes.  Packed: N biases in 16s, then N
 * columns of K. */
#include "ops/dense.h"

void head_rows(Fn *f, const Product *d)
{
	const Target *t = d->t;
	int K = d->K, N = d->N, X = d->X, P = d->P, Y = d->Y, n = d->n;
	int64_t xs = d->xs, ys = d->ys;
	int head = (N + 15) / 16 * 16, rows = N == 1 ? (t->W >= 16 ? 8 : 4) : N < 4 ? 2 : 1;
	int lanes = t->W < 8 ? t->W : 8, parts = 8 / lanes;
	uint8_t rotate[8];
	int nm = f_floor(f, "whole", aff_v(n), rows);
	for (int part = 0; part < 2; part++) {
		int M = part ? 1 : rows;
		if (part && rows == 1) break;
		int r = f_for(f, "r", part ? aff_v(nm) : aff_c(0), part ? aff_v(n) : aff_v(nm), M);
		int j = N > 1 ? f_for(f, "j", aff_c(0), aff_c(N), 1) : -1;
		Aff w0 = aff_plus(aff_c(head), j, K);
		int s = f_reg(f, "s", lanes, M, parts);
		int opened = 0, i = unroll(f, "i", M, &opened);
		for (int v = 0; v < parts; v++) {
			int e = e_const(f, lanes, 0);
			if (d->from)
				e = e_load(
				    f, lanes, d->F,
				    aff_off(aff_plus(aff_plus(aff_mul(aff_v(r), d->fs), i, d->fs), j, HEAD),
					    (int64_t)v * lanes));
			else if (d->bias && v == 0)
				e = e_keep(f, e_splat(f, lanes, e_load(f, 1, P, aff_plus(aff_c(0), j, 1))),
					   aff_c(1));
			f_set(f, s, aff_plus(aff_c(0), i, 1), aff_c(v), e);
		}
		f_end(f, opened);
		for (int q = 0; q < 2 * d->n_part; q++) {
			const Part *p = &d->part[q / 2];
			int tail = q % 2, whole = p->n / 8 * 8;
			if (tail ? whole == p->n : !whole) continue;
			int k = tail ? -1 : f_for(f, "k", aff_c(0), aff_c(whole), 8);
			Aff k0 = tail ? aff_c(whole) : aff_v(k);
			opened = 0;
			i = unroll(f, "i", M, &opened);
			for (int v = 0; v < parts; v++) {
				int have = tail ? p->n - whole - v * lanes : lanes;
				if (have <= 0) continue;
				Aff row = aff_plus(aff_c(0), i, 1), kv = aff_off(k0, (int64_t)v * lanes);
				Aff at = aff_off(aff_plus(aff_mul(aff_v(r), xs), i, xs), p->x);
				int x = e_load_n(f, lanes, X, aff_add(at, kv), aff_c(have));
				int w = e_load_n(f, lanes, P, aff_add(aff_off(w0, p->k), kv), aff_c(have));
				f_set(f, s, row, aff_c(v), mad(f, t, x, w, e_reg(f, s, row, aff_c(v))));
			}
			f_end(f, opened);
			if (!tail) f_end(f, 1);
		}
		opened = 0;
		i = unroll(f, "i", M, &opened);
		Aff row = aff_plus(aff_c(0), i, 1), to = aff_plus(aff_mul(aff_v(r), ys), i, ys);
		for (int v = 0; d->open && v < parts; v++)
			f_store(f, Y, aff_off(aff_plus(to, j, HEAD), (int64_t)v * lanes),
				e_reg(f, s, row, aff_c(v)));
		if (d->open) {
			f_end(f, opened + 1 + (N > 1));
			continue;
		}
		if (parts == 2)
			f_set(f, s, row, aff_c(0),
			      e_op2(f, E_ADD, e_reg(f, s, row, aff_c(0)), e_reg(f, s, row, aff_c(1))));
		for (int h = lanes / 2; h; h /= 2) {
			for (int q = 0; q < lanes; q++) rotate[q] = (uint8_t)((q + h) % lanes);
			int turned =
			    e_shuf(f, e_reg(f, s, row, aff_c(0)), e_reg(f, s, row, aff_c(0)), rotate);
			f_set(f, s, row, aff_c(0), e_op2(f, E_ADD, e_reg(f, s, row, aff_c(0)), turned));
		}
		f_store(f, Y, aff_plus(to, j, 1), e_lane(f, e_reg(f, s, row, aff_c(0)), 0));
		f_end(f, opened + 1 + (N > 1));
	}
}
