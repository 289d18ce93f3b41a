/* The sum of magnitudes of every tensor of a model file, a line "NAME SUM" each. */
#include "runtime/store.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	MtlStore *s;
	MtlError e = {0};
	if (argc != 2 || mtl_store_open(&s, &mtl_sys, argv[1], false, &e)) {
		fprintf(stderr, "magnitudes FILE: %s\n", e.text);
		return 1;
	}
	for (int i = 0; i < mtl_store_count(s); i++) {
		const MtlTensor *t = mtl_store_tensor(s, i);
		int64_t n = 1;
		for (int k = 0; k < t->n_dim; k++) n *= t->dim[k];
		float *x = malloc(sizeof *x * (size_t)(n + 1));
		mtl_store_copy(t, x, 0);
		double sum = 0;
		for (int64_t k = 0; k < n; k++) sum += fabs((double)x[k]);
		printf("%s %.9g\n", t->name, sum);
		free(x);
	}
	mtl_store_close(s);
	return 0;
}
