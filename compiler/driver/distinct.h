/* How many different cells there were: exactly up to DISTINCT_EXACT, beyond that within about 1 %
 * (HyperLogLog). */
#ifndef DISTINCT_H
#define DISTINCT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISTINCT_EXACT = 1 << 16, DISTINCT_BITS = 14 };

typedef struct {
	uint64_t *seen; /* open addressing, 0 free; NULL once there are too many */
	int64_t n, cap;
	unsigned char *rank; /* [1 << DISTINCT_BITS], from then on */
} Distinct;

/* *d all zero.  `hash` is XXH3 of the bytes.  True: it was not there before (or nobody knows any more). */
bool distinct_add(Distinct *d, uint64_t hash);
int64_t distinct_count(const Distinct *d);
bool distinct_exact(const Distinct *d);
void distinct_free(Distinct *d);
#endif
