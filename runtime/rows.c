/*
 * Runs of rows of one request.
 *
 * REQUEST for one row streams the request's weights, about what a few rows cost in a block; so a run has to
 * have some rows before it is taken apart from its neighbours.
 */
#include "rows.h"
#include "cross.h"
#include <string.h>

enum { RUN = 16 };

static int64_t request_floats(const MtlInstance *in) { return (in->m->n_request + 15) / 16 * 16; }

/* Floats that hold the order of a block's steps. */
static int64_t steps_floats(const MtlModel *m)
{
	int64_t n = 0;
	for (int q = 0; q < m->n_seq; q++)
		n += (MTL_BLOCK + 1) * (int64_t)m->seq[q].max + 2 * MTL_BLOCK + MTL_STEP_HEAD;
	return n;
}

/* Rows of ITEM of a block, where they are picked from a longer one. */
static int64_t picked_floats(const MtlModel *m) { return MTL_BLOCK * (int64_t)m->n_item; }

int64_t mtl_rows_scratch(const MtlInstance *in)
{
	int64_t whole = mtl_frame_work(in, MTL_SCORE, MTL_SCORE),
		cut = in->m->n_request ? mtl_frame_work(in, MTL_REQUEST, MTL_PAIRS) : 0;
	return request_floats(in) + (cut > whole ? cut : whole) + picked_floats(in->m) + steps_floats(in->m) +
	       1;
}

/* The steps of at most MTL_BLOCK rows from `row` on, in an order of their own, at `to`. */
static void run_steps(const MtlModel *m, const MtlBatch *b, int64_t row, int64_t n, MtlSteps *s, void *to)
{
	int32_t *at = to;
	for (int q = 0; q < m->n_seq; q++) {
		const int32_t *start = b->column[m->seq[q].first].bag_start;
		int max = m->seq[q].max;
		s[q] = (MtlSteps){.at = at, .row = at + MTL_BLOCK * max, .cap = MTL_BLOCK * max};
		s[q].block = s[q].row + 2 * MTL_BLOCK;
		at = s[q].block + max + MTL_STEP_HEAD;
		if (start) mtl_steps_fill(&s[q], start + row, n, max);
	}
}

static void call(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *out, int entry,
		 int64_t row, int64_t n)
{
	MtlFrame f = {.in = in,
		      .batch = b,
		      .request = scratch,
		      .item = out,
		      .work = scratch + request_floats(in),
		      .out = out};
	if (!in->m->n_seq || (row % MTL_BLOCK == 0 && entry != MTL_REQUEST)) {
		mtl_frame_call(&f, entry, row, n, 0);
		return;
	}
	/* A run of rows begins anywhere, and its blocks with it. */
	MtlSteps steps[in->m->n_seq];
	void *room = scratch + mtl_rows_scratch(in) - 1 - steps_floats(in->m);
	f.steps = steps;
	for (int64_t end = row + n; row < end; row += MTL_BLOCK) {
		n = end - row < MTL_BLOCK ? end - row : MTL_BLOCK;
		run_steps(in->m, b, row, n, steps, room);
		mtl_frame_call(&f, entry, row, n, 0);
	}
}

void mtl_rows_whole(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *out, int64_t row,
		    int64_t n)
{
	call(in, b, scratch, out, MTL_SCORE, row, n);
}

void mtl_rows_request(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, int64_t row)
{
	if (in->m->n_request) call(in, b, scratch, NULL, MTL_REQUEST, row, 1);
}

/* Where nothing is done once per request, no output reads the request's columns. */
void mtl_rows_candidates(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *out,
			 int64_t row, int64_t n)
{
	call(in, b, scratch, out, in->m->n_request ? MTL_CANDIDATES : MTL_SCORE, row, n);
}

static bool walks(const MtlEntry *e)
{
	for (int i = 0; i < e->n_slot; i++)
		if (e->slot[i].kind == MTL_SLOT_STEP_BLOCK) return true;
	return false;
}

bool mtl_rows_walk(const MtlInstance *in)
{
	return walks(&in->m->entry[in->m->n_request ? MTL_CANDIDATES : MTL_SCORE]);
}

void mtl_rows_repeat(const MtlModel *m, MtlBatch *b, int64_t n, const MtlBatch *from, int64_t row)
{
	for (int f = 0; f < m->n_feature; f++) {
		MtlColumn *to = &b->column[f];
		const MtlColumn *c = &from->column[f];
		if (m->feature[f].candidate || !m->feature[f].seq || !to->bag_start) continue;
		int32_t at = c->bag_start[row], length = c->bag_start[row + 1] - at;
		size_t numbers = (size_t)length;
		for (int64_t r = 0; r < n; r++) {
			memmove(to->bag_item + r * length, c->bag_item + at, numbers * sizeof *c->bag_item);
			memmove(to->bag_scale + r * length, c->bag_scale + at,
				numbers * sizeof *c->bag_scale);
			to->bag_start[r + 1] = ((int32_t)r + 1) * length;
		}
	}
}

bool mtl_rows_have_items(const MtlInstance *in)
{
	return in->m->n_item > 0 && !walks(&in->m->entry[MTL_PAIRS]);
}

void mtl_rows_items(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *items, int64_t row,
		    int64_t n)
{
	call(in, b, scratch, items, MTL_ITEMS, row, n);
	for (int64_t r = row; r < row + n; r++) mtl_cross_keep(in->m, b, r, items + r * in->m->n_item);
}

void mtl_rows_pairs(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, const mtl_real *items,
		    mtl_real *out, int64_t row, int64_t n)
{
	MtlFrame f = {.in = in,
		      .batch = b,
		      .request = scratch,
		      .item = (mtl_real *)(uintptr_t)items,
		      .work = scratch + request_floats(in),
		      .out = out};
	mtl_frame_call(&f, MTL_PAIRS, row, n, 0);
}

void mtl_rows_pick(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, const mtl_real *items,
		   const size_t *index, mtl_real *out, int64_t n)
{
	size_t width = (size_t)in->m->n_item;
	mtl_real *picked = scratch + mtl_rows_scratch(in) - 1 - steps_floats(in->m) - picked_floats(in->m);
	for (int64_t done = 0, k; done < n; done += k) {
		k = n - done < MTL_BLOCK ? n - done : MTL_BLOCK;
		for (int64_t i = 0; i < k; i++) {
			const mtl_real *item = items + index[done + i] * width;
			memcpy(picked + (size_t)i * width, item, width * sizeof *picked);
			mtl_cross_complete(in->m, b, i, item, 0);
		}
		mtl_rows_pairs(in, b, scratch, picked, out + done * in->m->n_output, 0, k);
	}
}

void mtl_rows_hand_over(const MtlInstance *in, const mtl_real *from, mtl_real *to)
{
	if (from != to && in->m->n_request) memcpy(to, from, (size_t)in->m->n_request * sizeof *to);
}

static bool same_list(const MtlColumn *c, int64_t i, int64_t j)
{
	int32_t a = c->bag_start[i], b = c->bag_start[j], n = c->bag_start[i + 1] - a;
	return n == c->bag_start[j + 1] - b &&
	       !memcmp(c->bag_item + a, c->bag_item + b, (size_t)n * sizeof *c->bag_item) &&
	       !memcmp(c->bag_scale + a, c->bag_scale + b, (size_t)n * sizeof *c->bag_scale);
}

static bool same_request(const MtlModel *m, const MtlBatch *b, int64_t i, int64_t j)
{
	for (int f = 0; f < m->n_feature; f++) {
		const MtlColumn *c = &b->column[f];
		if (m->feature[f].candidate || m->feature[f].train_only) continue;
		if (c->id && c->id[i] != c->id[j]) return false;
		if (c->real && memcmp(c->real + i, c->real + j, sizeof *c->real)) return false;
		if (c->present && c->present[i] != c->present[j]) return false;
		if (c->bag_start && !same_list(c, i, j)) return false;
	}
	return true;
}

void mtl_rows_score(const MtlInstance *in, const MtlBatch *b, mtl_real *scratch, mtl_real *out, int64_t row,
		    int64_t n)
{
	int64_t end = row + n, done = row;
	for (int64_t i = row, j; in->m->n_request && i < end; i = j) {
		for (j = i + 1; j < end && same_request(in->m, b, j - 1, j); j++)
			;
		if (j - i < RUN) continue;
		if (done < i) mtl_rows_whole(in, b, scratch, out, done, i - done);
		mtl_rows_request(in, b, scratch, i);
		mtl_rows_candidates(in, b, scratch, out, i, j - i);
		done = j;
	}
	if (done < end) mtl_rows_whole(in, b, scratch, out, done, end - done);
}
