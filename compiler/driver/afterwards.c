#include "driver/afterwards.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { EXCERPT = 24 };

/*
 * With k cells of another kind where the event happened, a share f of all rows being without it, a column
 * that knows nothing of the event would have about k f / (1 - f) such cells there.  FEW: none of so many is
 * chance of e^-20.
 */
static const double FEW = 20;

struct Trace {
	uint64_t same; /* hash of the cell where the event did not happen */
	bool seen, mixed;
	int64_t without, with, other; /* rows, since the first without it; of those with it: another cell */
	char text[EXCERPT];
};

void afterwards_init(Afterwards *a, Arena *arena, int n_feature, int n_event)
{
	*a = (Afterwards){.n_feature = n_feature, .n_event = n_event};
	a->at = arena_new(arena, struct Trace, (size_t)n_feature * (size_t)n_event + 1);
}

void afterwards_see(Afterwards *a, int f, const char *cell, size_t n, const MtlTruth *event)
{
	uint64_t h = n ? XXH3_64bits(cell, n) : 0;
	for (int e = 0; e < a->n_event; e++) {
		struct Trace *t = &a->at[f * a->n_event + e];
		if (event[e] == MTL_MAYBE || t->mixed) continue;
		if (event[e] == MTL_TRUE) {
			t->with += t->seen;
			t->other += t->seen && h != t->same;
			continue;
		}
		if (!t->seen) {
			t->seen = true;
			t->same = h;
			if (n) memcpy(t->text, cell, n < EXCERPT ? n : EXCERPT - 1);
		}
		t->mixed = h != t->same;
		t->without++;
	}
}

bool afterwards_of(const Afterwards *a, int f, int e, const char **same)
{
	const struct Trace *t = &a->at[f * a->n_event + e];
	*same = t->text;
	if (!t->seen || t->mixed || !t->with) return false;
	return (double)t->other * (double)t->without / (double)t->with >= FEW;
}
