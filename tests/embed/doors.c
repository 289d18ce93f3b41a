/*
 * Two models in one program, and every door of a library against the scores of the command line, bit by bit.
 *
 *   doors LOG.csv SCORES.csv [MODEL]   a log of kinds.mtl, what its scorer said of it, its model file (none:
 *                                      models that are one C file, which read no files)
 */
#include "esmm.h"
#include "kinds.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8192, CELLS = 16, ITEMS = 128 };

static int passed, failed;
static int alone; /* models that are one C file each */

static void verdict(int good, const char *what)
{
	if (good) {
		passed++;
	} else {
		failed++;
		printf("failed: %s\n", what);
	}
}

/* ---- a log in memory, as a caller would have it ---- */

typedef struct {
	kinds_text text[ITEMS];
	int64_t integer[ITEMS];
	float weight[ITEMS];
} List;

static struct {
	size_t n;
	char request[MOST][1024]; /* the request's cells as they stand */
	kinds_text user[MOST], city[MOST], double_[MOST], item[MOST];
	int64_t day[MOST];
	double age[MOST], income[MOST], price[MOST], score[MOST], place[MOST];
	kinds_texts seen[MOST], similar[MOST];
	kinds_integers shelf[MOST];
	List list[3][MOST];
	float want[MOST][KINDS_OUTPUTS];
} d;

static kinds_text text(const char *cell)
{
	kinds_text t = kinds_string(cell);
	t.p = t.n ? strdup(cell) : NULL;
	return t;
}

static double number(const char *cell) { return *cell ? strtod(cell, NULL) : NAN; }

/* Items of a cell; *weighted: some have weights. */
static size_t items(char *cell, List *l, int *weighted)
{
	size_t n = 0;
	char *save;
	*weighted = 0;
	for (char *t = strtok_r(cell, "|", &save); t; t = strtok_r(NULL, "|", &save)) {
		char *colon = strchr(t, ':');
		l->weight[n] = colon ? strtof(colon + 1, NULL) : 1;
		*weighted |= colon != NULL;
		if (colon) *colon = '\0';
		l->text[n] = text(t);
		l->integer[n++] = strtol(t, NULL, 10);
	}
	return n;
}

static void read_log(const char *log, const char *scores)
{
	FILE *f = fopen(log, "r"), *g = fopen(scores, "r");
	char line[4096], score[256];
	if (!f || !g || !fgets(line, sizeof line, f) || !fgets(score, sizeof score, g)) exit(99);
	for (size_t r = 0; fgets(line, sizeof line, f) && fgets(score, sizeof score, g) && r < MOST; r++) {
		char *c[CELLS], *p = line;
		int w;
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < CELLS; i++) c[i] = p ? strsep(&p, ",") : line + strlen(line);
		snprintf(d.request[r], sizeof d.request[r], "%s,%s,%s,%s,%s,%s,%s", c[1], c[2], c[3], c[4],
			 c[5], c[6], c[7]);
		d.user[r] = text(c[1]);
		d.city[r] = text(c[2]);
		d.day[r] = *c[3] ? strtol(c[3], NULL, 10) : KINDS_MISSING;
		d.age[r] = number(c[4]);
		d.income[r] = number(c[5]);
		d.seen[r].n = items(c[6], &d.list[0][r], &w);
		d.seen[r].item = d.list[0][r].text;
		d.seen[r].weight = w ? d.list[0][r].weight : NULL;
		d.double_[r] = text(c[7]);
		d.item[r] = text(c[8]);
		d.shelf[r].n = items(c[9], &d.list[1][r], &w);
		d.shelf[r].item = d.list[1][r].integer;
		d.shelf[r].weight = w ? d.list[1][r].weight : NULL;
		d.price[r] = number(c[10]);
		d.score[r] = number(c[11]);
		d.similar[r].n = items(c[12], &d.list[2][r], &w);
		d.similar[r].item = d.list[2][r].text;
		d.similar[r].weight = w ? d.list[2][r].weight : NULL;
		d.place[r] = number(c[13]);
		if (sscanf(score, "%f,%f", &d.want[r][0], &d.want[r][1]) != KINDS_OUTPUTS) exit(98);
		d.n = r + 1;
	}
	fclose(f);
	fclose(g);
}

static kinds_rows rows_from(size_t r)
{
	kinds_rows k = {d.user + r,  d.city + r,    d.day + r,	d.age + r,   d.income + r,
			d.seen + r,  d.double_ + r, d.item + r, d.shelf + r, d.price + r,
			d.score + r, d.similar + r, d.place + r};
	return k;
}

static kinds_candidate_rows candidates_from(size_t r)
{
	kinds_candidate_rows k = {d.item + r,  d.shelf + r,   d.price + r,
				  d.score + r, d.similar + r, d.place + r};
	return k;
}

static kinds_request_row request_of(size_t r)
{
	kinds_request_row k = {d.user[r],   d.city[r], d.day[r],    d.age[r],
			       d.income[r], d.seen[r], d.double_[r]};
	return k;
}

/* Memory that is neither aligned nor clean. */
static void *workspace(const kinds *m, char **block)
{
	size_t n = kinds_work_bytes(m, d.n);
	*block = malloc(n + 1);
	memset(*block, 0xff, n + 1);
	return *block + 1;
}

static int same(float (*out)[KINDS_OUTPUTS], size_t from, size_t n)
{
	return memcmp(out + from, d.want + from, n * sizeof *out) == 0;
}

static float out[MOST][KINDS_OUTPUTS];

/* ---- the doors ---- */

/* All rows in calls of `step` rows. */
static int in_steps(const kinds *m, size_t step, float (*to)[KINDS_OUTPUTS])
{
	char *block;
	void *work = workspace(m, &block);
	int bad = 0;
	for (size_t r = 0; r < d.n; r += step) {
		kinds_rows k = rows_from(r);
		bad |= kinds_score(m, work, &k, step < d.n - r ? step : d.n - r, to[r], NULL);
	}
	free(block);
	return !bad && same(to, 0, d.n);
}

/* Runs of rows of one request, their candidates in calls of `step`; *longest: of the runs. */
static int by_request(const kinds *m, size_t step, size_t *longest)
{
	char *block;
	void *work = workspace(m, &block);
	int bad = 0;
	memset(out, 0, sizeof out);
	for (size_t r = 0, end; r < d.n; r = end) {
		kinds_request_row k = request_of(r);
		for (end = r + 1; end < d.n && !strcmp(d.request[r], d.request[end]);) end++;
		if (end - r > *longest) *longest = end - r;
		bad |= kinds_request(m, work, &k, NULL);
		for (size_t c = r; c < end; c += step) {
			kinds_candidate_rows q = candidates_from(c);
			bad |= kinds_candidates(m, work, &q, step < end - c ? step : end - c, out[c], NULL);
		}
	}
	free(block);
	return !bad && same(out, 0, d.n);
}

/* Every row's candidate in a block, in calls of `step`, or NULL. */
static float *items_of(const kinds *m, size_t step)
{
	size_t width = kinds_item_floats(m);
	float *items = malloc(d.n * width * sizeof *items);
	char *block;
	void *work = workspace(m, &block);
	int bad = !items || !width;
	for (size_t r = 0; r < d.n && !bad; r += step) {
		size_t n = step < d.n - r ? step : d.n - r;
		kinds_candidate_rows c = candidates_from(r);
		bad = kinds_items(m, work, &c, n, items + r * width, n * width, NULL) != 0;
	}
	free(block);
	if (!bad) return items;
	free(items);
	return NULL;
}

/* Runs of rows of one request, whose candidates are picked from the block, the last first. */
static int by_items(const kinds *m, const float *items, float (*to)[KINDS_OUTPUTS])
{
	char *block;
	void *work = workspace(m, &block);
	int bad = 0;
	for (size_t r = 0, end; r < d.n; r = end) {
		size_t index[MOST];
		kinds_request_row k = request_of(r);
		for (end = r + 1; end < d.n && !strcmp(d.request[r], d.request[end]);) end++;
		for (size_t i = 0; i < end - r; i++) index[i] = end - 1 - i;
		float(*got)[KINDS_OUTPUTS] = malloc((end - r) * sizeof *got);
		bad |= kinds_request(m, work, &k, NULL);
		bad |= kinds_pick(m, work, items, d.n, index, end - r, got[0], NULL);
		for (size_t i = 0; i < end - r; i++) memcpy(to[index[i]], got[i], sizeof *got);
		free(got);
	}
	free(block);
	return !bad && same(to, 0, d.n);
}

typedef struct {
	const kinds *m;
	size_t step;
	const float *items; /* read by all threads */
	int good;
} Thread;

static void *in_thread(void *arg)
{
	Thread *t = arg;
	float(*to)[KINDS_OUTPUTS] = malloc(sizeof out);
	t->good = to != NULL;
	for (int i = 0; i < 5 && t->good; i++)
		t->good = in_steps(t->m, t->step, to) && by_items(t->m, t->items, to);
	free(to);
	return NULL;
}

/* A call that must fail with the status, its text holding `part`. */
static void refused(int got, int status, const kinds_error *e, const char *part, const char *what)
{
	int good = got == status && e->status == status && strstr(e->text, part);
	if (!good) printf("  got %d: %s\n", got, e->text);
	verdict(good, what);
}

static void misuse(const kinds *m)
{
	char *block;
	void *work = workspace(m, &block);
	kinds_error e;
	kinds_rows k = rows_from(0);
	kinds_candidate_rows c = candidates_from(0);
	kinds *none;
	double odd[2] = {1, INFINITY}, gap[2] = {1, NAN}, low[2] = {-1, 1};
	float bad_weight[ITEMS] = {-1};

	refused(kinds_candidates(m, work, &c, 2, out[0], &e), 2, &e, "request",
		"candidates without a request");
	k.age = NULL;
	refused(kinds_score(m, work, &k, 2, out[0], &e), 2, &e, "age", "a column that is NULL");
	k = rows_from(0);
	k.place = odd;
	refused(kinds_score(m, work, &k, 2, out[0], &e), 4, &e, "row 1: error[D0107]: place",
		"an infinite number");
	k.place = gap;
	refused(kinds_score(m, work, &k, 2, out[0], &e), 4, &e, "row 1: error[D0108]: place",
		"a number that must not be missing");
	k = rows_from(0);
	k.income = low;
	refused(kinds_score(m, work, &k, 2, out[0], &e), 4, &e, "row 0: error[D0111]: income", "log1p of -1");
	k = rows_from(0);
	kinds_texts seen = {d.list[0][0].text, bad_weight, 1};
	k.seen = &seen;
	refused(kinds_score(m, work, &k, 1, out[0], &e), 4, &e, "weight", "a negative weight");
	static kinds_text far[5000];
	for (int i = 0; i < 5000; i++) far[i] = kinds_string("s1");
	kinds_texts endless = {far, NULL, 5000};
	k.seen = &endless;
	refused(kinds_score(m, work, &k, 1, out[0], &e), 8, &e, "5000", "a list longer than a workspace");
	size_t width = kinds_item_floats(m), index[2] = {0, 2};
	float *items = malloc(2 * width * sizeof *items);
	kinds_request_row r = request_of(0);
	refused(kinds_items(m, work, &c, 2, items, 2 * width - 1, &e), 2, &e, "do not fit",
		"a block too small");
	refused(kinds_items(m, work, &c, SIZE_MAX / 2, items, 2 * width, &e), 2, &e, "do not fit",
		"more items than memory");
	verdict(!kinds_items(m, work, &c, 2, items, 2 * width, &e), "a block of the exact size");
	refused(kinds_pick(m, work, items, 2, index, 2, out[0], &e), 2, &e, "request",
		"items without a request");
	verdict(!kinds_request(m, work, &r, &e), "a request after its items");
	out[0][0] = 777;
	refused(kinds_pick(m, work, items, 2, index, 2, out[0], &e), 2, &e, "index 1 is item 2 of 2",
		"an index out of range");
	verdict(out[0][0] == 777, "nothing is written for it");
	free(items);
	refused(kinds_open_as(KINDS_ABI, "0123456789abcdef", NULL, &none, &e), 5, &e, "header",
		"another interface");
	verdict(none == NULL, "a refused open leaves NULL");
	refused(kinds_open_as(KINDS_ABI + 1, KINDS_INTERFACE, NULL, &none, &e), 5, &e, "header",
		"another version");
	refused(kinds_open("/nonexistent", &none, &e), alone ? 2 : 6, &e, "/nonexistent",
		"a model file that is not there");
	/* After an error the same workspace serves on. */
	k = rows_from(0);
	verdict(!kinds_score(m, work, &k, 1, out[0], &e) && same(out, 0, 1) && !e.status,
		"a good call after bad ones");
	verdict(!kinds_score(m, work, &k, 0, NULL, &e), "no rows");
	free(block);
}

/* Items that are missing are passed over, wherever they stand. */
static void gaps_in_lists(const kinds *m)
{
	char *block;
	void *work = workspace(m, &block);
	kinds_text with[4] = {{NULL, 0}, kinds_string("s1"), {NULL, 0}, kinds_string("s2")};
	kinds_text without[2] = {with[1], with[3]};
	int64_t shelf_with[6] = {1, KINDS_MISSING, 2, 3, 4, KINDS_MISSING},
		shelf_without[3] = {2, 3, 4}; /* the last 3 */
	float weight[4] = {7, 1, 7, 2}, weight_without[2] = {1, 2}, a[KINDS_OUTPUTS], b[KINDS_OUTPUTS];
	kinds_texts s = {with, weight, 4}, t = {without, weight_without, 2};
	kinds_integers p = {shelf_with, NULL, 6}, q = {shelf_without, NULL, 3};
	kinds_rows k = rows_from(0);
	k.seen = &s;
	k.shelf = &p;
	int bad = kinds_score(m, work, &k, 1, a, NULL);
	k.seen = &t;
	k.shelf = &q;
	bad |= kinds_score(m, work, &k, 1, b, NULL);
	verdict(!bad && !memcmp(a, b, sizeof a), "missing items of lists count");
	free(block);
}

/* The other model, in the same program, between calls of the first. */
static void another_model(const kinds *m)
{
	esmm *other;
	esmm_error e;
	esmm_text id = esmm_string("u1"), none = esmm_string(NULL);
	esmm_texts tags = {NULL, NULL, 0};
	double age = 30, price = NAN;
	esmm_rows r = {&id, &none, &age, &id, &id, &tags, &price};
	float s[ESMM_OUTPUTS], again[ESMM_OUTPUTS];
	verdict(!esmm_open(NULL, &other, &e), "another model opens");
	void *work = malloc(esmm_work_bytes(other, 1));
	int bad = esmm_score(other, work, &r, 1, s, &e);
	bad |= !in_steps(m, d.n, out);
	bad |= esmm_score(other, work, &r, 1, again, &e);
	verdict(!bad && !memcmp(s, again, sizeof s) && s[0] > 0 && s[0] < 1, "two models in one program");
	/* P(buy) = P(click) P(buy | click) */
	verdict(fabs(s[ESMM_OUT_PCTCVR] - (double)s[ESMM_OUT_PCTR] * s[ESMM_OUT_PCVR]) < 1e-6,
		"the other model's scores");
	verdict(!strcmp(esmm_output_name(2), "pctcvr") && !esmm_output_name(3) && !esmm_output_name(-1) &&
		    !strcmp(kinds_output_name(0), "p"),
		"output names");
	free(work);
	esmm_close(other);
}

int main(int argc, char **argv)
{
	kinds *m, *fresh;
	kinds_error e;
	size_t longest = 0;
	if (argc != 3 && argc != 4) return 99;
	alone = argc == 3;
	read_log(argv[1], argv[2]);
	verdict(d.n > 2000, "the log is long enough to tell");
	verdict(!kinds_open(NULL, &m, &e) && !e.status, "the weights inside open");
	verdict(!kinds_verify(m, &e), "the weights inside are whole");
	verdict(in_steps(m, d.n, out), "all rows at once");
	verdict(in_steps(m, 1, out), "row by row");
	verdict(in_steps(m, 37, out), "37 rows at a time");
	verdict(by_request(m, MOST, &longest), "a request and all its candidates");
	verdict(longest > 200, "a run is long enough to need several passes");
	verdict(by_request(m, 5, &longest), "a request and its candidates five at a time");
	float *items = items_of(m, 1000);
	verdict(items && by_items(m, items, out), "candidates picked from a block of items");
	float *small = items_of(m, 1);
	verdict(items && small && !memcmp(items, small, d.n * kinds_item_floats(m) * sizeof *items),
		"items one by one");
	free(small);
	misuse(m);
	gaps_in_lists(m);
	another_model(m);
	enum { THREADS = 4 };
	pthread_t thread[THREADS];
	Thread t[THREADS];
	for (int i = 0; i < THREADS; i++) {
		t[i].m = m;
		t[i].items = items;
		t[i].step = (size_t)(i * 100 + 1);
		pthread_create(&thread[i], NULL, in_thread, &t[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		verdict(t[i].good, "threads over one model");
	}
	free(items);
	if (alone) {
		verdict(kinds_open(argv[1], &fresh, &e) == 2 && !fresh && e.status == 2, "no file is read");
		kinds_close(m);
	} else {
		verdict(!kinds_open(argv[3], &fresh, &e), "a model file opens");
		kinds_close(m);
		verdict(in_steps(fresh, d.n, out), "scores of the model file");
		kinds_close(fresh);
	}
	kinds_close(NULL);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
