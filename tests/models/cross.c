/*
 * The scores of cross.mtl through a library's doors: whole rows, then each row as a request with one candidate.
 * Lines f,age,g,score on stdin; prints how many rows have that very score by both ways.
 */
#include "cross.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1000 };

int main(void)
{
	static int64_t f[MOST], g[MOST];
	static double age[MOST];
	static float out[MOST][CROSS_OUTPUTS], want[MOST];
	int same = 0;
	size_t n = 0;
	long a, b, c;
	while (n < MOST && scanf("%ld,%ld,%ld,%f", &a, &b, &c, &want[n]) == 4)
		f[n] = a, age[n] = (double)b, g[n++] = c;
	cross *m;
	cross_error e;
	if (cross_open(NULL, &m, &e)) return fprintf(stderr, "%s\n", e.text), 1;
	void *work = malloc(cross_work_bytes(m, MOST));
	cross_rows rows = {.f = f, .age = age, .g = g};
	if (!work || cross_score(m, work, &rows, n, out[0], &e)) return 1;
	for (size_t i = 0; i < n; i++) {
		float two[2][CROSS_OUTPUTS];
		int64_t pair[2] = {g[0], g[i]}; /* not the first candidate alone: the request has one row */
		cross_request_row r = {.f = f[i], .age = age[i]};
		cross_candidate_rows k = {.g = pair};
		if (cross_request(m, work, &r, &e) || cross_candidates(m, work, &k, 2, two[0], &e)) return 1;
		same += out[i][0] == want[i] && two[1][0] == want[i];
	}
	printf("%d\n", same);
	free(work);
	cross_close(m);
	return 0;
}
