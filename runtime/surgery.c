/*
 * Both problems on the simplex are solved two coordinates at a time: from the one with the steepest way down
 * to give away to the one with the steepest way up, exactly, until no exchange helps.  For two gradients that
 * is one step.
 */
#include "surgery.h"
#include "rng.h"
#include <math.h>
#include <stdbool.h>

/* Exchanges; each makes things better, and rounding ends them long before. */
enum { MOST = 20000, NASH = 200 };
static const double enough = 1e-10, noise = 1e-15;

static double dot(int n, const double *x, const double *y)
{
	double sum = 0;
	for (int k = 0; k < n; k++) sum += x[k] * y[k];
	return sum;
}

/* ---- pcgrad ---- */

/* 0 .. n - 1 but i, shuffled, in order[0 .. n - 2]. */
static void shuffle(int n, int i, uint64_t seed, uint64_t step, int *order)
{
	int m = 0;
	for (int j = 0; j < n; j++)
		if (j != i) order[m++] = j;
	for (int k = m - 1; k > 0; k--) {
		int at = (int)(mtl_mix(seed, step, (uint64_t)(i * n + k)) % (uint64_t)(k + 1)),
		    was = order[k];
		order[k] = order[at];
		order[at] = was;
	}
}

void mtl_pcgrad(int n, const double *G, uint64_t seed, uint64_t step, double *a, double *work)
{
	int order[n + 1];
	for (int k = 0; k < n; k++) a[k] = 0;
	for (int i = 0; i < n; i++) {
		/* g_i is sum_k work[k] g_k */
		for (int k = 0; k < n; k++) work[k] = k == i;
		shuffle(n, i, seed, step, order);
		for (int m = 0; m < n - 1; m++) {
			int j = order[m];
			double product = dot(n, work, G + j * n);
			if (product < 0 && G[j * n + j] > 0) work[j] -= product / G[j * n + j];
		}
		for (int k = 0; k < n; k++) a[k] += work[k];
	}
}

/* ---- on the simplex ---- */

typedef struct {
	int up, down; /* steepest ways: give from `down` to `up` */
	double gap;
} Exchange;

static Exchange steepest(int n, const double *slope, const double *w, const double *least)
{
	Exchange e = {-1, -1, 0};
	for (int k = 0; k < n; k++) {
		if (e.up < 0 || slope[k] < slope[e.up]) e.up = k;
		if (w[k] > (least ? least[k] : 0) && (e.down < 0 || slope[k] > slope[e.down])) e.down = k;
	}
	if (e.down >= 0) e.gap = slope[e.down] - slope[e.up];
	return e;
}

/* Moves t from one to the other, and not beyond what it must keep. */
static void move(Exchange e, double t, double *w, const double *least)
{
	double floor = least ? least[e.down] : 0, most = w[e.down] - floor;
	w[e.up] += t < most ? t : most;
	w[e.down] = t < most ? w[e.down] - t : floor;
}

static double between(int n, const double *G, Exchange e)
{
	return G[e.up * n + e.up] + G[e.down * n + e.down] - 2 * G[e.up * n + e.down];
}

static double largest(int n, const double *G)
{
	double most = 0;
	for (int k = 0; k < n; k++) most = G[k * n + k] > most ? G[k * n + k] : most;
	return most;
}

void mtl_min_norm(int n, const double *G, const double *least, double *w, double *work)
{
	double kept = 0, most = largest(n, G);
	for (int k = 0; k < n; k++) kept += least ? least[k] : 0;
	for (int k = 0; k < n; k++) w[k] = (least ? least[k] : 0) + (1 - kept) / n;
	for (int turn = 0; turn < MOST; turn++) {
		/* Half the slope of |sum w g|^2 is g_k . d */
		for (int k = 0; k < n; k++) work[k] = dot(n, w, G + k * n);
		Exchange e = steepest(n, work, w, least);
		if (e.gap <= enough * dot(n, w, work) + noise * most) return;
		double square = between(n, G, e);
		if (square <= 0) return; /* equal gradients: no exchange matters */
		move(e, e.gap / square, w, least);
	}
}

void mtl_cagrad(int n, const double *G, double c, double *a, double *work)
{
	double w[n + 1], b[n + 1], mean = 0, root, length = 0;
	for (int k = 0; k < n; k++) {
		w[k] = 1.0 / n;
		b[k] = 0;
		for (int j = 0; j < n; j++) b[k] += G[k * n + j] / n; /* g_k . g_0 */
		mean += b[k] / n;
	}
	root = c * sqrt(mean > 0 ? mean : 0);
	for (int turn = 0; turn < MOST; turn++) {
		double Gw[n + 1], size = 0;
		for (int k = 0; k < n; k++) Gw[k] = dot(n, w, G + k * n);
		double square = dot(n, w, Gw);
		length = sqrt(square > 0 ? square : 0);
		if (length <= 0) break; /* the mean may go on alone */
		for (int k = 0; k < n; k++) {
			work[k] = b[k] + root * Gw[k] / length;
			size = fabs(work[k]) > size ? fabs(work[k]) : size;
		}
		Exchange e = steepest(n, work, w, NULL);
		double C = between(n, G, e), B = Gw[e.up] - Gw[e.down], slope = b[e.up] - b[e.down];
		if (e.gap <= enough * size || C <= 0) break;
		/*
		 * Along the exchange: slope t + root sqrt(square + 2 B t + C t^2), least where
		 * B + C t = -slope sqrt(D / (root^2 C - slope^2)), D = square C - B^2; at the end where that
		 * is not real.
		 */
		double rest = root * root * C - slope * slope, D = square * C - B * B, t = 1;
		if (rest > 0) t = (-slope * sqrt((D > 0 ? D : 0) / rest) - B) / C;
		if (t <= 0) break; /* rounding */
		move(e, t, w, NULL);
	}
	for (int k = 0; k < n; k++) a[k] = 1.0 / n + (length > 0 ? root / length * w[k] : 0);
}

/* ---- the bargain ---- */

/* H x = b for a positive definite H [n, n], which is used up; false where rounding has made it none. */
static bool solve(int n, double *H, double *b)
{
	for (int j = 0; j < n; j++) {
		double pivot = H[j * n + j];
		for (int k = 0; k < j; k++) pivot -= H[j * n + k] * H[j * n + k];
		if (!(pivot > 0)) return false;
		H[j * n + j] = sqrt(pivot);
		for (int i = j + 1; i < n; i++) {
			for (int k = 0; k < j; k++) H[i * n + j] -= H[i * n + k] * H[j * n + k];
			H[i * n + j] /= H[j * n + j];
		}
	}
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < i; k++) b[i] -= H[i * n + k] * b[k];
		b[i] /= H[i * n + i];
	}
	for (int i = n; i-- > 0;) {
		for (int k = i + 1; k < n; k++) b[i] -= H[k * n + i] * b[k];
		b[i] /= H[i * n + i];
	}
	return true;
}

/*
 * The zero of G a - 1 / a is the minimum of a'G a / 2 - sum log a_k, which is convex and self-concordant:
 * with steps shortened by 1 + their decrement, Newton's method stays in a > 0 and gets there from anywhere.
 * With a_k = b_k / |g_k| the matrix has a diagonal of 1.
 *
 * Gradients that cancel out have no bargain: the way leads to infinity along what cancels them, and after
 * some steps its direction is that.
 */
void mtl_nash(int n, const double *G, double *a, double *work)
{
	double C[n * n + 1], H[n * n + 1], slope[n + 1], sum = 0;
	int who[n + 1], m = 0;
	for (int k = 0; k < n; k++) {
		a[k] = 1;
		if (G[k * n + k] > 0) who[m++] = k;
	}
	for (int i = 0; i < m; i++) {
		a[who[i]] = 1 / sqrt(m); /* b */
		for (int j = 0; j < m; j++)
			C[i * m + j] = G[who[i] * n + who[j]] /
				       (sqrt(G[who[i] * n + who[i]]) * sqrt(G[who[j] * n + who[j]]));
	}
	for (int turn = 0; turn < NASH; turn++) {
		double decrement = 0;
		for (int i = 0; i < m; i++) {
			double b = a[who[i]];
			work[i] = 1 / b;
			for (int j = 0; j < m; j++) {
				H[i * m + j] = C[i * m + j] + (i == j ? 1 / (b * b) : 0);
				work[i] -= C[i * m + j] * a[who[j]];
			}
		}
		for (int i = 0; i < m; i++) slope[i] = work[i];
		if (!solve(m, H, work)) break;
		for (int i = 0; i < m; i++) decrement += slope[i] * work[i];
		decrement = sqrt(decrement > 0 ? decrement : 0);
		for (int i = 0; i < m; i++) a[who[i]] += work[i] / (1 + decrement);
		if (decrement < 1e-12) break;
	}
	for (int i = 0; i < m; i++) a[who[i]] /= sqrt(G[who[i] * n + who[i]]);
	for (int i = 0; i < m; i++) sum += a[who[i]];
	for (int i = 0; i < m; i++) a[who[i]] *= m / sum; /* sum > 0 */
}
