/*
 * Counting different things: a set of their hashes, and when it becomes large a sketch of it.
 *
 * HyperLogLog (Flajolet et al., 2007): of m = 2^14 registers each keeps the longest run of leading zeros
 * among the hashes that fall to it; n is about a m^2 / sum 2^-rank, with a standard error of 1.04 / sqrt(m) =
 * 0.8 %.
 */
#include "driver/distinct.h"
#include "base/diag.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { M = 1 << DISTINCT_BITS };

static void *need(void *p)
{
	if (!p) bug("no memory to count different cells");
	return p;
}

static void sketch(Distinct *d, uint64_t h)
{
	uint64_t rest = h << DISTINCT_BITS | (uint64_t)1 << (DISTINCT_BITS - 1);
	unsigned char rank = (unsigned char)(__builtin_clzll(rest) + 1);
	unsigned char *at = &d->rank[h >> (64 - DISTINCT_BITS)];
	if (rank > *at) *at = rank;
}

static bool put(uint64_t *set, int64_t cap, uint64_t h)
{
	for (int64_t i = (int64_t)(h & (uint64_t)(cap - 1));; i = (i + 1) & (cap - 1)) {
		if (set[i] == h) return false;
		if (!set[i]) {
			set[i] = h;
			return true;
		}
	}
}

bool distinct_add(Distinct *d, uint64_t h)
{
	if (!h) h = 1; /* 0 marks a free place */
	if (d->rank) {
		sketch(d, h);
		return true;
	}
	if (2 * d->n >= d->cap) {
		int64_t cap = d->cap ? 2 * d->cap : 64;
		uint64_t *larger = need(calloc((size_t)cap, sizeof *larger));
		for (int64_t i = 0; i < d->cap; i++)
			if (d->seen[i]) put(larger, cap, d->seen[i]);
		free(d->seen);
		d->seen = larger;
		d->cap = cap;
	}
	bool fresh = put(d->seen, d->cap, h);
	d->n += fresh;
	if (d->n > DISTINCT_EXACT) {
		d->rank = need(calloc(M, 1));
		for (int64_t i = 0; i < d->cap; i++)
			if (d->seen[i]) sketch(d, d->seen[i]);
		free(d->seen);
		d->seen = NULL;
	}
	return fresh;
}

int64_t distinct_count(const Distinct *d)
{
	if (!d->rank) return d->n;
	double sum = 0;
	int zeros = 0;
	for (int i = 0; i < M; i++) {
		sum += ldexp(1, -d->rank[i]);
		zeros += !d->rank[i];
	}
	double n = 0.7213 / (1 + 1.079 / M) * M * M / sum;
	if (zeros && n < 2.5 * M) n = M * log((double)M / zeros); /* few: by the empty registers */
	return (int64_t)(n + 0.5);
}

bool distinct_exact(const Distinct *d) { return !d->rank; }

void distinct_free(Distinct *d)
{
	free(d->seen);
	free(d->rank);
	*d = (Distinct){0};
}
