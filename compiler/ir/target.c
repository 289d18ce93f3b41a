/*
 * Tile shapes, measured: with 32 registers 8 x 3 keeps both fused multiply-add ports busy from row-major
 * operands and does not spill; with 16 registers 6 x 2 does.  x86-64-v2 needs a copy, a multiply and an add
 * for each term.
 */
#include "ir/target.h"
#include <stddef.h>
#include <string.h>

const Target targets[] = {
    {"x86-64-v4", "v4", 4, "x86-64-v4", NULL, 16, true, 8, 3, 12},
    {"x86-64-v3", "v3", 3, "x86-64-v3", NULL, 8, true, 6, 2, 12},
    {"x86-64-v2", "v2", 2, "x86-64-v2", NULL, 4, false, 5, 2, 8},
};
const int n_targets = sizeof targets / sizeof *targets;

const Target *target_find(const char *name)
{
	for (int i = 0; i < n_targets; i++)
		if (!strcmp(targets[i].name, name) || !strcmp(targets[i].suffix, name)) return &targets[i];
	return NULL;
}

bool target_runs(const Target *t)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	switch (t->level) {
	case 4:
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
		       __builtin_cpu_supports("avx512vl");
	case 3:
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		       __builtin_cpu_supports("bmi2");
	case 2: return __builtin_cpu_supports("sse4.2");
	default: return false;
	}
#else
	(void)t;
	return false;
#endif
}
