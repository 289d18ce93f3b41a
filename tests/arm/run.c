/* Runs the kernels of table.h on in.bin and compares every buffer with out.bin, to the bit (NaN with NaN). */
#include "table.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *load(FILE *f, long n)
{
	void *p = aligned_alloc(64, (size_t)(n * 4 + 63) / 64 * 64);
	if (!p || fread(p, 4, (size_t)n, f) != (size_t)n) exit(2);
	return p;
}

static int nan_bits(uint32_t x) { return (x & 0x7fffffff) > 0x7f800000; }

int main(int argc, char **argv)
{
	if (argc != 3) return 2;
	FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "rb");
	void *have[BUFFERS];
	long wrong = 0, seen = 0;
	if (!in || !out) return 2;
	for (int i = 0; i < BUFFERS; i++) have[i] = load(in, buffer[i].n);
	for (unsigned e = 0; e < sizeof entry / sizeof *entry; e++) {
		void *buf[256];
		for (int s = 0; s < entry[e].n; s++) buf[s] = have[entry[e].at[s]];
		entry[e].run(buf, (const long[]){ROWS});
	}
	for (int i = 0; i < BUFFERS; i++) {
		uint32_t *want = load(out, buffer[i].n), *x = have[i];
		for (long k = 0; k < buffer[i].n && buffer[i].judged; k++, seen++)
			if (x[k] != want[k] && !(nan_bits(x[k]) && nan_bits(want[k])) && !wrong++)
				fprintf(stderr, "buffer %d, element %ld: %08x, not %08x\n", i, k, x[k],
					want[k]);
		free(want);
		free(have[i]);
	}
	printf("%ld of %ld numbers differ\n", wrong, seen);
	return wrong != 0;
}
