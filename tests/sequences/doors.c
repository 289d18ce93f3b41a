/* The library of seq.mtl: whole rows, and a request with candidates, bit by bit; fields of unequal length. */
#include "seq.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 300, STEPS = 14 /* more than the model keeps */ };

static int fault(const char *what, const seq_error *e)
{
	printf("%s: %s %s\n", what, e->code, e->text);
	return 1;
}

int main(void)
{
	seq_error e = {0};
	seq *m;
	if (seq_open(NULL, &m, &e)) return fault("open", &e);
	void *work = malloc(seq_work_bytes(m, ROWS));
	static seq_text item[STEPS], kind[STEPS], user[ROWS], id[ROWS];
	static double wait[STEPS], price[ROWS];
	static char name[STEPS][8], of[ROWS][8];
	static seq_texts items[ROWS], kinds[ROWS];
	static seq_reals waits[ROWS];
	static float want[ROWS * SEQ_OUTPUTS], got[ROWS * SEQ_OUTPUTS];
	for (int t = 0; t < STEPS; t++) {
		snprintf(name[t], sizeof name[t], "%d", t * 7 % 60);
		item[t] = seq_string(name[t]);
		kind[t] = seq_string(t % 3 ? t % 2 ? "a" : "b" : ""); /* a step without a kind */
		wait[t] = t % 4 ? t : NAN;
	}
	for (int length = 0; length <= STEPS; length += 7) {
		for (int r = 0; r < ROWS; r++) {
			snprintf(of[r], sizeof of[r], "%d", r % 60);
			id[r] = seq_string(of[r]);
			price[r] = r;
			user[r] = seq_string("u7");
			items[r] = (seq_texts){item, NULL, (size_t)length};
			kinds[r] = (seq_texts){kind, NULL, (size_t)length};
			waits[r] = (seq_reals){wait, NULL, (size_t)length};
		}
		seq_rows rows = {user, items, kinds, waits, id, price};
		if (seq_score(m, work, &rows, ROWS, want, &e)) return fault("score", &e);
		seq_request_row request = {user[0], items[0], kinds[0], waits[0]};
		if (seq_request(m, work, &request, &e)) return fault("request", &e);
		for (size_t at = 0, n = 1; at < ROWS; at += n, n = n * 3 < ROWS - at ? n * 3 : ROWS - at) {
			seq_candidate_rows c = {id + at, price + at};
			if (seq_candidates(m, work, &c, n, got + at * SEQ_OUTPUTS, &e))
				return fault("candidates", &e);
		}
		for (int i = 0; i < ROWS * SEQ_OUTPUTS; i++)
			if (memcmp(&got[i], &want[i], sizeof *got) || !(fabsf(got[i]) < 100)) {
				printf("row %d of %d steps: %.9g, not %.9g\n", i / SEQ_OUTPUTS, length,
				       (double)got[i], (double)want[i]);
				return 1;
			}
	}
	if (want[0] == want[SEQ_OUTPUTS * 7]) {
		printf("the candidate does not matter\n");
		return 1;
	}
	kinds[200].n--;
	seq_rows rows = {user, items, kinds, waits, id, price};
	kinds[200].n = 3;
	if (seq_score(m, work, &rows, ROWS, want, &e) != 4 || strcmp(e.code, "D0118"))
		return fault("unequal", &e);
	/* as long as each other after cutting, but not before: as in a log, where D0118 comes before `max` */
	kinds[200].n = STEPS - 1;
	if (seq_score(m, work, &rows, ROWS, want, &e) != 4 || strcmp(e.code, "D0118") ||
	    strncmp(e.text, "row 200:", 8))
		return fault("unequal beyond max", &e);
	seq_request_row request = {user[200], items[200], kinds[200], waits[200]};
	if (seq_request(m, work, &request, &e) != 4 || strcmp(e.code, "D0118"))
		return fault("unequal in a request", &e);
	free(work);
	seq_close(m);
	return 0;
}
