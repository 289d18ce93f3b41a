/* Steps by time and by falling length: a counting sort a block. */
#include "steps.h"
#include "model.h"

static void fill_block(MtlSteps *s, const int32_t *start, int64_t first, int64_t n, int max)
{
	int32_t *line = s->block + first / MTL_BLOCK * (max + MTL_STEP_HEAD), *time = line + MTL_STEP_TIME0;
	int32_t *row = s->row + 2 * first, longest = 0, sum = 0;
	for (int t = 0; t < max + 2; t++) time[t] = 0;
	for (int64_t r = 0; r < n; r++) {
		int32_t length = row[2 * r + 1] = start[first + r + 1] - start[first + r];
		time[length]++;
		longest = length > longest ? length : longest;
	}
	for (int t = max; t >= 0; t--) { /* rows longer than t: the place of the first that is not */
		int32_t rows = time[t];
		time[t] = sum;
		sum += rows;
	}
	for (int64_t r = 0; r < n; r++) row[2 * r] = time[row[2 * r + 1]]++;
	/* Now time[t] counts the rows of length t or more, so those that have time t are time[t + 1]. */
	sum = 0;
	for (int t = 0; t < max + 2; t++) {
		int32_t rows = t < max ? time[t + 1] : 0;
		time[t] = sum;
		sum += rows;
	}
	line[MTL_STEP_FIRST] = start[first] - start[0];
	line[MTL_STEP_LONGEST] = longest;
	line[MTL_STEP_ALL] = sum;
	line[MTL_STEP_BEFORE] = 0;
	for (int64_t r = 0; r < n; r++)
		for (int32_t t = 0; t < row[2 * r + 1]; t++)
			s->at[line[MTL_STEP_FIRST] + time[t] + row[2 * r]] = start[first + r] + t;
}

void mtl_steps_fill(MtlSteps *s, const int32_t *start, int64_t n, int max)
{
	for (int64_t first = 0; first < n; first += MTL_BLOCK)
		fill_block(s, start, first, n - first < MTL_BLOCK ? n - first : MTL_BLOCK, max);
}
