/* Where the time of an entry goes: each of its calls as an entry of its own. */
#ifndef PROFILE_H
#define PROFILE_H
#include "ir/lowering.h"

typedef struct {
	int entry; /* in Lowered.entry: makes this call alone, on the same buffers */
	const Fn *fn;
} ProfiledCall;
typedef VEC(ProfiledCall) Profile;

/* Adds an entry for each call of `entry`: to be done before the module is printed. */
void profile_add(Arena *a, Lowered *l, int entry, Profile *out);
/* Multiply-adds that a kernel issues for n rows: lanes of padding and of masks included. */
int64_t profile_madds(const Fn *f, int64_t n);
#endif
