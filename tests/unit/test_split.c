/*
 * Request and candidates: what a request's part and its candidates' part compute together are the bits of the
 * whole, for every example and for models made to be cut in odd places; any number of candidates, every
 * machine's kernels, both printers.
 */
#include "driver/compile.h"
#include "driver/harness.h"
#include "driver/link.h"
#include "runtime/steps.h"
#include "suite.h"
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 500 };
static const int64_t many[] = {1, 2, 7, 128, 129, ROWS};

/* ---- one model ---- */

static Harness *rows_of(const Compilation *c, int target, void *lib)
{
	return harness_new(c->arena, c->spec, c->lowered.at[target], lib, ROWS, 11);
}

static bool of_request(const Spec *s, int feature)
{
	return !s->group.at[s->feature.at[feature].group].candidate;
}

/* Steps that a candidate looks at, each weighed by it, stay with the candidates: they read them row by row.
 */
static bool read_by_candidates(const Harness *h, int sequence)
{
	const Entry *e = &h->low->entry.at[ENTRY_CANDIDATES];
	for (int i = 0; i < e->n_slot; i++)
		if (e->slot[i].kind == SLOT_STEP_AT && e->slot[i].index == sequence) return true;
	return false;
}

/*
 * Sequences of the request: each row has the two steps of row 0; `spoilt`: the others have two of other
 * items, where candidates read none.
 */
static void one_sequence(Harness *h, bool spoilt)
{
	for (int q = 0; q < h->spec->seq.n; q++) {
		const Buffer *row = harness_buffer(h, SLOT_STEP_ROW, q);
		Buffer *at = harness_buffer(h, SLOT_STEP_AT, q),
		       *block = harness_buffer(h, SLOT_STEP_BLOCK, q);
		if (!row || !at || !block) continue;
		enum { LENGTH = 2 };
		int32_t start[ROWS + 1];
		for (int64_t r = 0; r <= ROWS; r++) start[r] = (int32_t)r * LENGTH;
		MtlSteps s = {.at = at->i, .row = row->i, .block = block->i, .cap = ROWS * LENGTH};
		mtl_steps_fill(&s, start, ROWS, h->spec->seq.at[q].max);
		for (int i = 0; i < h->buffer.n; i++) {
			Buffer *item = &h->buffer.at[i];
			if (item->kind != SLOT_BAG_ITEM || h->spec->feature.at[item->index].seq != q + 1)
				continue;
			for (int64_t k = LENGTH; k < ROWS * LENGTH; k++)
				item->i[k] = spoilt && !read_by_candidates(h, q)
						 ? (item->i[k % LENGTH] + 1) % 8
						 : item->i[k % LENGTH];
		}
	}
}

/* Every row has row 0's request; `spoilt`: row 0 alone has one, the others' cells are of another. */
static void one_request(Harness *h, bool spoilt)
{
	one_sequence(h, spoilt);
	for (int i = 0; i < h->buffer.n; i++) {
		Buffer *b = &h->buffer.at[i];
		bool cell = b->kind == SLOT_ID || b->kind == SLOT_REAL || b->kind == SLOT_PRESENT;
		if (cell && of_request(h->spec, b->index))
			for (int64_t r = 1; r < ROWS; r++) {
				if (b->elem == ELEM_I32)
					b->i[r] = spoilt ? (b->i[0] + 1) % 8 : b->i[0];
				else
					harness_set(b, r, spoilt ? 0.25 : b->f[0]);
			}
		if (b->kind != SLOT_BAG_START || !of_request(h->spec, b->index)) continue;
		Buffer *item = harness_buffer(h, SLOT_BAG_ITEM, b->index),
		       *scale = harness_buffer(h, SLOT_BAG_SCALE, b->index);
		int n = b->i[1];
		for (int64_t r = 1; r < ROWS; r++) {
			b->i[r + 1] = (int32_t)(r + 1) * n;
			for (int k = 0; k < n; k++) {
				item->i[r * n + k] = spoilt ? 0 : item->i[k];
				harness_set(scale, r * n + k, scale->f[k]);
			}
		}
	}
}

/* Rows that differ. */
static int64_t cut_and_whole(Harness *h, RunMode mode, int64_t rows)
{
	int outputs = h->spec->output.n;
	int64_t n[1] = {rows}, one[1] = {1}, differ = 0;
	size_t bytes = (size_t)(rows * outputs) * sizeof(double);
	double *whole = malloc(bytes), *cut = malloc(bytes);
	const Buffer *out = harness_buffer(h, SLOT_OUT, 0);
	one_request(h, false);
	CU_ASSERT(harness_run(h, mode, ENTRY_PRE, n) && harness_run(h, mode, ENTRY_SCORE, n));
	for (int64_t i = 0; i < rows * outputs; i++) whole[i] = harness_get(out, mode, i);
	for (int64_t i = 0; i < rows * outputs; i++) harness_set(harness_buffer(h, SLOT_OUT, 0), i, 777);
	one_request(h, true);
	CU_ASSERT(harness_run(h, mode, ENTRY_REQUEST, one) && harness_run(h, mode, ENTRY_CANDIDATES, n));
	for (int64_t i = 0; i < rows * outputs; i++) cut[i] = harness_get(out, mode, i);
	for (int64_t i = 0; i < rows * outputs; i++) differ += memcmp(cut + i, whole + i, sizeof *cut) != 0;
	free(whole);
	free(cut);
	return differ;
}

/* Other candidates' cells: the pairs' part has rows of ITEM, and looks at none. */
static void other_candidates(Harness *h)
{
	for (int i = 0; i < h->buffer.n; i++) {
		Buffer *b = &h->buffer.at[i];
		bool cell = b->kind == SLOT_ID || b->kind == SLOT_REAL || b->kind == SLOT_PRESENT;
		for (int64_t r = 0; cell && !of_request(h->spec, b->index) && r < ROWS; r++) {
			if (b->elem == ELEM_I32)
				b->i[r] = (b->i[r] + 3) % 8;
			else
				harness_set(b, r, 0.625);
		}
	}
}

/* Scores that differ between candidates and their rows of ITEM.  Spoils the candidates' cells. */
static int64_t pairs_and_candidates(Harness *h, RunMode mode, int64_t rows)
{
	int64_t n[1] = {rows}, one[1] = {1}, differ = 0, outputs = h->spec->output.n;
	double *cut = malloc((size_t)(rows * outputs) * sizeof *cut);
	Buffer *out = harness_buffer(h, SLOT_OUT, 0);
	one_request(h, true);
	CU_ASSERT(harness_run(h, mode, ENTRY_PRE, n) && harness_run(h, mode, ENTRY_REQUEST, one) &&
		  harness_run(h, mode, ENTRY_CANDIDATES, n));
	for (int64_t i = 0; i < rows * outputs; i++) cut[i] = harness_get(out, mode, i);
	for (int64_t i = 0; i < rows * outputs; i++) harness_set(out, i, 777);
	CU_ASSERT(harness_run(h, mode, ENTRY_ITEMS, n));
	other_candidates(h);
	CU_ASSERT(harness_run(h, mode, ENTRY_PAIRS, n));
	for (int64_t i = 0; i < rows * outputs; i++) {
		double pair = harness_get(out, mode, i);
		differ += memcmp(cut + i, &pair, sizeof pair) != 0;
	}
	free(cut);
	return differ;
}

/* Whether rows differ at all where candidates are looked at, or the comparison would say nothing. */
static bool says_something(Harness *h)
{
	const Entry *e = &h->low->entry.at[ENTRY_CANDIDATES];
	const float *out = harness_buffer(h, SLOT_OUT, 0)->f;
	bool cells = false;
	for (int i = 0; i < e->n_slot; i++)
		cells |= e->slot[i].kind == SLOT_ID || e->slot[i].kind == SLOT_REAL;
	return !cells || memcmp(out, out + h->spec->output.n, (size_t)h->spec->output.n * sizeof *out) != 0;
}

typedef struct {
	int models, cut, tabled;
	bool c_too;
} Tried;

static void try_model(const char *path, Tried *tried)
{
	Compilation c;
	compilation_init(&c);
	CompileRequest r = {.path = path, .scorer = true};
	for (int t = 0; t < n_targets; t++)
		if (target_runs(&targets[t])) r.target[r.n_target++] = &targets[t];
	CU_ASSERT_FATAL(compile(&c, &r));
	tried->models++;
	for (int b = 0; c.split && b < 1 + tried->c_too; b++) {
		Text error = {0};
		LinkRequest l = {.emit = "exe", .c_backend = b == 1, .level = 0};
		void *lib = link_load(&c, &l, &error);
		CU_ASSERT_FATAL(lib != NULL);
		text_free(&error);
		for (int t = 0; t < c.lowered.n; t++) {
			Harness *h = rows_of(&c, t, lib);
			for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
				int64_t differ = cut_and_whole(h, RUN_KERNEL, many[i]);
				if (differ)
					fprintf(stderr, "%s, %s, %lld candidates: %lld scores differ\n", path,
						c.lowered.at[t]->target->name, (long long)many[i],
						(long long)differ);
				CU_ASSERT_EQUAL(differ, 0);
			}
			CU_ASSERT(says_something(h));
			if (tried->c_too && !b) CU_ASSERT_EQUAL(cut_and_whole(h, RUN_FLOAT, 7), 0);
			for (size_t i = 0; c.item && i < sizeof many / sizeof *many; i++) {
				int64_t differ = pairs_and_candidates(h, RUN_KERNEL, many[i]);
				if (differ)
					fprintf(stderr, "%s, %s, %lld items: %lld scores differ\n", path,
						c.lowered.at[t]->target->name, (long long)many[i],
						(long long)differ);
				CU_ASSERT_EQUAL(differ, 0);
			}
		}
		dlclose(lib);
	}
	tried->cut += c.split != NULL;
	tried->tabled += c.split && c.item;
	compilation_free(&c);
}

/* ---- models made to be cut in odd places ---- */

static const char head[] =
    "model odd\n"
    "features user per request { uid : id(hash: 30)  hist : ids(hash: 20, pool: mean)\n"
    "  age : real(missing: learned)  n : real }\n"
    "features item per candidate { iid : id(hash: 30)  tags : ids(hash: 20)  p : real }\n"
    "features ctx per request { hour : id(size: 24) }\n"
    "features ids per request { ua : id(hash: 9)  ub : id(hash: 9) }\n"
    "features others per candidate { ia : id(hash: 9)  ib : id(hash: 9) }\n"
    "embed 5\nevent click label clk\n";
static const char *const odd[] = {
    /* the candidate first; in between; many outputs and few */
    "tower t = concat(item, user) -> dense(19, act: relu) -> dense(1)\n",
    "tower t = concat(user, item, ctx) -> dense(33) -> dense(1)\n",
    "tower t = concat(item, user) -> dense(1)\n",
    "tower t = concat(user.n, item.p, ctx, item.iid, user.uid, item.tags) -> dense(1)\n",
    "tower t = concat(user.n, item.p, ctx, item.iid, user.uid, item.tags) -> dense(17, act: tanh) -> "
    "dense(1)\n",
    /* the request first, by a number of columns that ends within a round of the last outputs' chains */
    "tower t = concat(user, item) -> dense(33) -> dense(1)\n",
    "tower t = concat(user.n, item) -> dense(24, act: relu) -> dense(1)\n",
    /* towers side by side, whose sums so far are handed over side by side; without a bias */
    "let x = concat(user, item)\ntower a = x -> dense(12)\ntower b = x -> dense(12)\ntower c = x -> "
    "dense(24)\n"
    "tower t = concat(relu(a), relu(b), c) -> dense(3, bias: 0) -> dense(1)\n",
    /* a gate of the request's, experts of both sides'; a gate of the candidate's over the request's experts
     */
    "experts e[3] = concat(user, item) -> dense(9)\ngate g = mix(e, by: user)\n"
    "experts f[4] = user -> dense(9)\ngate k = mix(f, by: item)\ntower t = concat(g, k) -> dense(1)\n",
    /* elementwise, row by row and column by column, numbers of a row */
    "let u = user -> dense(11)\nlet v = item -> dense(11)\nlet s = sum(u * v)\n"
    "tower t = concat(u * v + u, u - v, s) -> dense(1)\nlet w = user -> dense(1)\nlet z = t * w + w\n",
    /* the request's alone, beside what is the candidate's alone */
    "tower t = (user -> dense(1)) + (item -> dense(1))\n",
    "tower t = (softmax(user -> dense(6)) * softmax(item -> dense(6))) -> dense(1)\n",
    /* field by field */
    "let f = concat(sum_fields(fields(ids)), sum_fields(fields(others)))\nlet q = pairs(fields(ids))\n"
    "tower t = concat(f, sum(q), sum_fields(fields(others)) * sum_fields(fields(ids))) -> dense(1)\n",
    /* sums over fields of both sides, in two: pairs with weights, squares, columns, what layers made of them;
       the candidate's fields first and in between */
    "let f = stack(others.ia, ids.ua, ids.ub, others.ib, user.uid, item.iid)\n"
    "tower t = concat(f -> fwfm(), f -> bi_interaction()) -> dense(9, act: relu) -> dense(1)\n",
    "let f = stack(ids.ua, item -> dense(5), ids.ub, user -> dense(5), item.iid)\n"
    "tower t = concat(f -> fm(), sum(concat(ids, others, user)), sum_fields(tanh(3 * f))) -> dense(1)\n",
};
static const char tail[] = "P(click) = sigmoid(t)\nloss main: bce(P(click))\noutput p = P(click), z = t\n";

static void odd_models(void)
{
	Tried tried = {.c_too = true};
	int n = (int)(sizeof odd / sizeof *odd);
	for (int i = 0; i < n; i++) {
		char path[] = "/tmp/mtlc-split-XXXXXX";
		int fd = mkstemp(path);
		FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
		CU_ASSERT_FATAL(f != NULL);
		fprintf(f, "%s%s%s", head, odd[i], tail);
		fclose(f);
		try_model(path, &tried);
		unlink(path);
	}
	CU_ASSERT_EQUAL(tried.cut, n);
}

static void examples(void)
{
	Tried tried = {0};
	DIR *d = opendir(MTL_SOURCE_DIR "/examples");
	CU_ASSERT_FATAL(d != NULL);
	for (struct dirent *e; (e = readdir(d));) {
		char path[600];
		snprintf(path, sizeof path, "%s/examples/%s/%s.mtl", MTL_SOURCE_DIR, e->d_name, e->d_name);
		if (!access(path, R_OK)) try_model(path, &tried);
	}
	closedir(d);
	fprintf(stderr, "%d examples, %d with a request's part, %d with rows of items ", tried.models,
		tried.cut, tried.tabled);
	CU_ASSERT(tried.models >= 20 && tried.cut >= 20 && tried.tabled >= 17);
}

static void written(const char *head_text, const char *text, Tried *tried)
{
	char path[] = "/tmp/mtlc-split-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	CU_ASSERT_FATAL(f != NULL);
	fprintf(f, "%s%s", head_text, text);
	fclose(f);
	try_model(path, tried);
	unlink(path);
}

/* Two outputs, one of which the request alone decides: it is the same for all candidates, and there. */
static void request_alone(void)
{
	Tried tried = {.c_too = true};
	written(
	    head,
	    "event buy of click\ntower t = user -> dense(8) -> dense(1)\ntower s = item -> dense(1)\n"
	    "P(click) = sigmoid(t)\nP(buy | click) = sigmoid(s)\nloss a: bce(P(click))\nloss b: bce(P(buy))\n"
	    "output c = P(click), z = t, b = P(buy)\n",
	    &tried);
	CU_ASSERT_EQUAL(tried.cut, 1);
}

/* A candidate's sequence, walked once for its row of ITEM; and its steps looked at by the request: no row. */
static void steps_of_the_candidate(void)
{
	static const char
	    features[] =
		"model steps\nfeatures user per request { uid : id(hash: 30)  age : real(missing: 0) }\n"
		"features item per candidate { iid : id(hash: 30)  look : seq(max: 6) { thing : id(hash: 30) "
		"} }\n"
		"embed 4\nevent click label clk\n",
	    *const tower[] = {
		"tower t = concat(user, item.iid, last(gru(item.look.thing, 6))) -> dense(8) -> dense(1)\n",
		"tower t = concat(user, item.iid, sum(item.look.thing * user.uid)) -> dense(1)\n"};
	static const char end[] = "P(click) = sigmoid(t)\nloss a: bce(P(click))\noutput p = P(click)\n";
	for (int i = 0; i < 2; i++) {
		Tried tried = {.c_too = true};
		char text[400];
		snprintf(text, sizeof text, "%s%s", tower[i], end);
		written(features, text, &tried);
		CU_ASSERT_EQUAL(tried.cut, 1);
		CU_ASSERT_EQUAL(tried.tabled, !i);
	}
}

int main(void)
{
	CU_pSuite s = suite_begin("request and candidates");
	CU_ADD_TEST(s, odd_models);
	CU_ADD_TEST(s, request_alone);
	CU_ADD_TEST(s, steps_of_the_candidate);
	CU_ADD_TEST(s, examples);
	return suite_end();
}
