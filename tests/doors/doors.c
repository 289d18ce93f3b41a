/*
 * The library of ranker.mtl against the scores of the command line, bit by bit: whole rows, and each group as
 * a request with candidates.
 *
 *   doors LOG.csv SCORES.csv
 */
#include "ranker.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096, ITEMS = 16 };

static ranker_text user[MOST], item[MOST], of[2][MOST][ITEMS];
static ranker_texts liked[MOST], words[MOST];
static double price[MOST];
static char line[MOST][256], group[MOST][16];
static float want[MOST * RANKER_OUTPUTS], got[MOST * RANKER_OUTPUTS];

static ranker_texts list_of(char *cell, ranker_text *into)
{
	ranker_texts l = {into, NULL, 0};
	for (char *p; *cell && (p = strsep(&cell, "|")); cell = cell ? cell : "")
		into[l.n++] = ranker_string(p);
	return l;
}

static size_t read_log(const char *path)
{
	FILE *f = fopen(path, "r");
	char head[256];
	size_t n = 0;
	if (!f || !fgets(head, sizeof head, f)) exit(2);
	for (; n < MOST && fgets(line[n], sizeof line[n], f); n++) {
		char *p = line[n], *cell[8];
		for (int i = 0; i < 8; i++) cell[i] = strsep(&p, ",\n");
		user[n] = ranker_string(cell[0]);
		liked[n] = list_of(cell[1], of[0][n]);
		item[n] = ranker_string(cell[2]);
		words[n] = list_of(cell[3], of[1][n]);
		price[n] = *cell[4] ? strtod(cell[4], NULL) : NAN;
		snprintf(group[n], sizeof group[n], "%s", cell[5]);
	}
	fclose(f);
	return n;
}

static size_t read_scores(const char *path)
{
	FILE *f = fopen(path, "r");
	char row[256];
	size_t n = 0;
	if (!f || !fgets(row, sizeof row, f)) exit(2);
	for (; n < MOST && fgets(row, sizeof row, f); n++) {
		char *p = row;
		for (int i = 0; i < RANKER_OUTPUTS; i++)
			want[n * RANKER_OUTPUTS + i] = strtof(strsep(&p, ",\n"), NULL);
	}
	fclose(f);
	return n;
}

static int differ(const char *what, size_t n)
{
	for (size_t i = 0; i < n * RANKER_OUTPUTS; i++)
		if (got[i] != want[i]) {
			printf("%s: row %zu, output %zu: %.9g, not %.9g\n", what, i / RANKER_OUTPUTS,
			       i % RANKER_OUTPUTS, (double)got[i], (double)want[i]);
			return 1;
		}
	memset(got, 0, sizeof got);
	return 0;
}

int main(int argc, char **argv)
{
	ranker_error e = {0};
	ranker *m;
	if (argc != 3) return 2;
	size_t n = read_log(argv[1]), at, k;
	if (n < 100 || read_scores(argv[2]) != n || ranker_open(NULL, &m, &e)) {
		printf("%zu rows %s\n", n, e.text);
		return 1;
	}
	void *work = malloc(ranker_work_bytes(m, n));
	ranker_rows rows = {.user_id = user, .liked = liked, .item_id = item, .words = words, .price = price};
	if (ranker_score(m, work, &rows, n, got, &e) || differ("rows", n)) return printf("%s\n", e.text), 1;
	for (at = 0; at < n; at += k) {
		for (k = 1; at + k < n && !strcmp(group[at], group[at + k]); k++) {
		}
		ranker_request_row request = {.user_id = user[at], .liked = liked[at]};
		ranker_candidate_rows c = {.item_id = item + at, .words = words + at, .price = price + at};
		if (ranker_request(m, work, &request, &e) ||
		    ranker_candidates(m, work, &c, k, got + at * RANKER_OUTPUTS, &e))
			return printf("%s\n", e.text), 1;
	}
	if (differ("requests", n)) return 1;
	free(work);
	ranker_close(m);
	return 0;
}
