/*
 * ESMM with one hidden layer, computed a second time: the losses and gradients of `grad`, from parameters as
 * text.
 *
 *   reference PARAMETERS LOG     LOG: rows "k c x click buy weight" (k: table row; click, buy: 0, 1, or 2 for
 * unknown)
 *
 * Model: e = table[k]; v = [e (3), c, x]; h = relu(v W + b) (4); logits a, b = h A + a0, h B + b0, p = s(a)
 * s(b). Losses: ctr, BCE(s(a), click) over the rows where click is known; ctcvr, BCE(p, click & buy) over
 * those where that is known, times 0.5.  Written with probabilities in double precision, as a textbook would,
 * not as logits.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 7, DIM = 3, IN = 5, HIDDEN = 4 };

typedef struct {
	double table[ROWS][DIM], w[IN][HIDDEN], b[HIDDEN], a[HIDDEN], a0, c[HIDDEN], c0;
} Net;

static double *place(Net *n, const char *name, int i)
{
	if (strcmp(name, "embed.k.weight") == 0) return &n->table[i / DIM][i % DIM];
	if (strcmp(name, "shared.f.0.weight") == 0) return &n->w[i / HIDDEN][i % HIDDEN];
	if (strcmp(name, "shared.f.0.bias") == 0) return &n->b[i];
	if (strcmp(name, "tower.ctr.0.weight") == 0) return &n->a[i];
	if (strcmp(name, "tower.ctr.0.bias") == 0) return &n->a0;
	if (strcmp(name, "tower.cvr.0.weight") == 0) return &n->c[i];
	if (strcmp(name, "tower.cvr.0.bias") == 0) return &n->c0;
	return NULL;
}

static double s(double z) { return 1 / (1 + exp(-z)); }

int main(int argc, char **argv)
{
	static Net n, g;
	char name[128];
	int i, k, click, buy;
	double value, x0, x1, weight;
	FILE *f = argc == 3 ? fopen(argv[1], "r") : NULL;
	if (!f) return 2;
	int read = 0;
	while (fscanf(f, " %127[^[][%d] %lf", name, &i, &value) == 3) {
		double *p = place(&n, name, i);
		if (!p) return 3;
		*p = value;
		read++;
	}
	fclose(f);
	if (read * (int)sizeof(double) != (int)sizeof(Net)) return 4;

	double sum[2] = {0}, rows[2] = {0}; /* of the losses; how much weight they divide by */
	for (int pass = 0; pass < 2; pass++) {
		f = fopen(argv[2], "r");
		if (!f) return 2;
		while (fscanf(f, "%d %lf %lf %d %d %lf", &k, &x0, &x1, &click, &buy, &weight) == 6) {
			/* What happened only after a click tells of the click: a tree is known from below
			 * too. */
			if (buy == 1) click = 1;
			int both = buy == 1 ? 1 : click == 0 || buy == 0 ? 0 : 2;
			if (pass == 0) {
				rows[0] += click < 2 ? weight : 0;
				rows[1] += both < 2 ? weight : 0;
				continue;
			}
			double v[IN] = {n.table[k][0], n.table[k][1], n.table[k][2], x0, x1}, h[HIDDEN],
			       a = n.a0, b = n.c0;
			for (int j = 0; j < HIDDEN; j++) {
				h[j] = n.b[j];
				for (i = 0; i < IN; i++) h[j] += v[i] * n.w[i][j];
				h[j] = h[j] > 0 ? h[j] : 0;
				a += h[j] * n.a[j];
				b += h[j] * n.c[j];
			}
			double p = s(a), q = s(b), da = 0, db = 0;
			if (click < 2) {
				sum[0] += weight * -log(click ? p : 1 - p);
				da += weight / rows[0] * (p - click);
			}
			if (both < 2) {
				sum[1] += weight * -log(both ? p * q : 1 - p * q);
				double dp = both ? -1 / (p * q) : 1 / (1 - p * q),
				       scale = 0.5 * weight / rows[1];
				da += scale * dp * q * p * (1 - p);
				db += scale * dp * p * q * (1 - q);
			}
			g.a0 += da;
			g.c0 += db;
			for (int j = 0; j < HIDDEN; j++) {
				g.a[j] += da * h[j];
				g.c[j] += db * h[j];
				double dh = h[j] > 0 ? da * n.a[j] + db * n.c[j] : 0;
				g.b[j] += dh;
				for (i = 0; i < IN; i++) {
					g.w[i][j] += dh * v[i];
					if (i < DIM) g.table[k][i] += dh * n.w[i][j];
				}
			}
		}
		fclose(f);
	}
	static const struct {
		const char *name;
		int n;
	} all[] = {{"shared.f.0.weight", IN * HIDDEN}, {"shared.f.0.bias", HIDDEN},
		   {"tower.ctr.0.weight", HIDDEN},     {"tower.ctr.0.bias", 1},
		   {"tower.cvr.0.weight", HIDDEN},     {"tower.cvr.0.bias", 1},
		   {"embed.k.weight", ROWS * DIM}};
	for (size_t t = 0; t < sizeof all / sizeof *all; t++)
		for (i = 0; i < all[t].n; i++)
			printf("grad.%s[%d] %.17g\n", all[t].name, i, *place(&g, all[t].name, i));
	printf("loss.ctr[0] %.17g\nloss.ctcvr[0] %.17g\nloss.total[0] %.17g\n", sum[0] / rows[0],
	       sum[1] / rows[1], sum[0] / rows[0] + 0.5 * sum[1] / rows[1]);
	return 0;
}
