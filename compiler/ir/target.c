/*
 * Tile shapes, measured: with 32 registers 8 x 3 keeps both fused multiply-add ports busy from row-major
 * operands and does not spill; with 16 registers 6 x 2 does.  x86-64-v2 needs a copy, a multiply and an add
 * for each term.  NEON has 32 registers of four lanes.
 */
#include "ir/target.h"
#include <stddef.h>
#include <string.h>

#if defined(__aarch64__)
#define FAMILY	   ARM
#define OTHERS	   X86
#define X86_TRIPLE "x86_64-linux-gnu"
#define ARM_TRIPLE NULL
#else
#define FAMILY	   X86
#define OTHERS	   ARM
#define X86_TRIPLE NULL
#define ARM_TRIPLE "aarch64-linux-gnu"
#endif

#define X86                                                                                                    \
	{"x86-64-v4-vnni",                                                                                     \
	 "vnni",                                                                                               \
	 5,                                                                                                    \
	 "x86-64-v4",                                                                                          \
	 "x86-64-v4",                                                                                          \
	 LAKE,                                                                                                 \
	 X86_TRIPLE,                                                                                           \
	 VNNI,                                                                                                 \
	 16,                                                                                                   \
	 true,                                                                                                 \
	 8,                                                                                                    \
	 3,                                                                                                    \
	 12,                                                                                                   \
	 OWN},                                                                                                 \
	    {"x86-64-v4", "v4", 4, "x86-64-v4", "x86-64-v4", LAKE, X86_TRIPLE, NONE, 16, true, 8, 3, 12, OWN}, \
	    {"x86-64-v3", "v3", 3, "x86-64-v3", "x86-64-v3", WELL, X86_TRIPLE, NONE, 8, true, 6, 2, 12, OWN},  \
	    {"x86-64-v2", "v2", 2, "x86-64-v2", "x86-64-v2", NULL, X86_TRIPLE, NONE, 4, false, 5, 2, 8, OWN},
#define ARM {"aarch64", "neon", 1, "generic", "armv8-a", NULL, ARM_TRIPLE, NONE, 4, true, 8, 2, 16, OWN},
/* Without these gcc 12 keeps sums of a tile on the stack. */
#define LAKE "icelake-server"
#define WELL "haswell"
#define VNNI "+avx512vnni", "-mavx512vnni", true
#define NONE NULL, NULL, false
#define OWN  false, false /* what is asked for is not the machine's */

const Target targets[] = {FAMILY};
const int n_targets = sizeof targets / sizeof *targets;
static const Target others[] = {OTHERS};

const Target *target_find(const char *name)
{
	for (int i = 0; i < n_targets; i++)
		if (!strcmp(targets[i].name, name) || !strcmp(targets[i].suffix, name)) return &targets[i];
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (!strcmp(others[i].name, name) || !strcmp(others[i].suffix, name)) return &others[i];
	return NULL;
}

bool target_runs(const Target *t)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	switch (t->level) {
	case 5:
		if (!__builtin_cpu_supports("avx512vnni")) return false;
		/* fall through */
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
	return t == &targets[0] && !t->triple;
#endif
}
