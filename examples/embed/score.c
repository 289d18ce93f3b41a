/*
 * One request, three candidates: the probabilities of the ESMM example, from C.
 *
 *   mtlc build examples/esmm/esmm.mtl --model esmm.model --emit=static,header -o esmm
 *   cc -std=c99 -I. score.c esmm.a -lm -o score && ./score
 */
#include "esmm.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 3 };

int main(void)
{
	esmm *m;
	esmm_error err;
	if (esmm_open(NULL, &m, &err)) { /* NULL: the weights inside */
		fprintf(stderr, "%s\n", err.text);
		return err.status;
	}
	void *work = malloc(esmm_work_bytes(m, N)); /* one for each thread, once */

	/* The candidates, column by column. */
	esmm_text item[N], category[N], tag[3];
	esmm_texts tags[N] = {{0}};
	double price[N] = {19.9, 250, NAN}; /* NAN: not known */
	item[0] = esmm_string("i17");
	item[1] = esmm_string("i4711");
	item[2] = esmm_string("i99999999"); /* never seen: hashed like any other */
	category[0] = category[1] = esmm_string("c3");
	category[2] = esmm_string(NULL); /* missing */
	tag[0] = esmm_string("t1");
	tag[1] = esmm_string("t2");
	tag[2] = esmm_string("t3");
	tags[0].item = tag;
	tags[0].n = 3;
	tags[1].item = tag + 1;
	tags[1].n = 1; /* the third candidate has none */

	esmm_candidate_rows c = {item, category, tags, price};
	esmm_request_row r;
	r.user_id = esmm_string("u42");
	r.gender = esmm_string("F");
	r.age = 34;

	float out[N][ESMM_OUTPUTS];
	int bad = work ? esmm_request(m, work, &r, &err) : 1;
	if (!bad) bad = esmm_candidates(m, work, &c, N, out[0], &err);

	/* Of a catalogue, what depends on an item alone is computed once; a request picks rows of it. */
	size_t width = esmm_item_floats(m), index[N] = {2, 0, 1};
	float *items = malloc(N * width * sizeof *items), picked[N][ESMM_OUTPUTS];
	if (!bad) bad = items ? esmm_items(m, work, &c, N, items, N * width, &err) : 1;
	if (!bad) bad = esmm_request(m, work, &r, &err);
	if (!bad) bad = esmm_pick(m, work, items, N, index, N, picked[0], &err);
	if (bad) fprintf(stderr, "%s\n", work && items ? err.text : "no memory");
	for (int i = 0; i < N && !bad; i++)
		if (memcmp(picked[i], out[index[i]], sizeof *out))
			bad = 1; /* never: they are the same bits */
	for (int i = 0; i < N && !bad; i++)
		printf("%.*s click %.9g buy %.9g\n", (int)item[i].n, item[i].p, out[i][ESMM_OUT_PCTR],
		       out[i][ESMM_OUT_PCTCVR]);
	free(items);
	free(work);
	esmm_close(m);
	return bad;
}
