/*
 * Model files as text, for tests.
 *
 *   tensors FILE [PREFIX]      a line NAME[INDEX] VALUE for every number of the tensors whose name begins so
 *   tensors --set IN OUT       copies the parameters of IN with the numbers that stdin gives in the same form
 *
 * Compiled with MTL_DOUBLE and linked with libmtlrt64.a: of --double programs.
 */
#include "runtime/store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t size_of(const MtlTensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->n_dim; i++) n *= t->dim[i];
	return n;
}

static int fail(const char *what, const char *more)
{
	fprintf(stderr, "tensors: %s %s\n", what, more);
	return 1;
}

static int print(const MtlStore *s, const char *prefix)
{
	for (int i = 0; i < mtl_store_count(s); i++) {
		const MtlTensor *t = mtl_store_tensor(s, i);
		if (strncmp(t->name, prefix, strlen(prefix)) != 0) continue;
		for (int64_t k = 0; k < size_of(t); k++)
			printf("%s[%lld] %.*g\n", t->name, (long long)k, sizeof(mtl_real) == 8 ? 17 : 9,
			       (double)t->data[k]);
	}
	return 0;
}

static int change(const MtlStore *s, const char *path)
{
	static const char *const keep[] = {"mtlc.model", "mtlc.digest", "mtlc.compiler", "mtlc.codes"};
	int n = mtl_store_count(s), n_meta = 0, status = 0;
	MtlTensor *t = calloc((size_t)n + 1, sizeof *t);
	mtl_real **number = calloc((size_t)n + 1, sizeof *number);
	MtlMeta meta[4];
	for (int i = 0; i < n; i++) {
		t[i] = *mtl_store_tensor(s, i);
		number[i] = malloc(sizeof(mtl_real) * (size_t)size_of(&t[i]));
		mtl_store_copy(&t[i], number[i], 0);
		t[i].data = number[i];
		t[i].stride = 0;
	}
	for (int k = 0; k < 4; k++)
		if (mtl_store_meta(s, keep[k]))
			meta[n_meta++] = (MtlMeta){keep[k], mtl_store_meta(s, keep[k])};
	char line[512], name[256];
	long long at;
	double value;
	while (!status && fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%255[^[][%lld] %lf", name, &at, &value) != 3) {
			status = fail("not NAME[INDEX] VALUE:", line);
			break;
		}
		int i = 0;
		while (i < n && strcmp(t[i].name, name) != 0) i++;
		if (i == n || at < 0 || at >= size_of(&t[i]))
			status = fail("no such number:", line);
		else
			number[i][at] = (mtl_real)value;
	}
	MtlError e = {0};
	if (!status && mtl_store_write(&mtl_sys, path, t, n, meta, n_meta, &e)) status = fail(e.text, "");
	for (int i = 0; i < n; i++) free(number[i]);
	free(number);
	free(t);
	return status;
}

int main(int argc, char **argv)
{
	bool set = argc == 4 && strcmp(argv[1], "--set") == 0;
	if (!set && argc != 2 && argc != 3) return fail("FILE [PREFIX], or --set IN OUT", "");
	MtlStore *s;
	MtlError e = {0};
	if (mtl_store_open(&s, &mtl_sys, argv[set ? 2 : 1], false, &e)) return fail(e.text, "");
	int status = set ? change(s, argv[3]) : print(s, argc == 3 ? argv[2] : "");
	mtl_store_close(s);
	return status;
}
