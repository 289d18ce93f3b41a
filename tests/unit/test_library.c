/*
 * The library's doors on a model by hand: what a sanitizer must not find, and rows whose lists crowd each
 * other out.
 *
 * That scores equal the command line's, for every kind of input, is tests/embed's business.
 */
#include "runtime/library.h"
#include "model_by_hand.h"
#include "runtime/frame.h"
#include "runtime/score.h"
#include "suite.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As the header of this model would have it: user is hashed, item an integer, tags a list of hashed words. */
typedef struct {
	const MtlDoorText *user;
	const int64_t *item;
	const MtlDoorList *tags;
} Rows;
typedef struct {
	MtlDoorText user;
} Request;
typedef struct {
	const int64_t *item;
	const MtlDoorList *tags;
} Candidates;

static const MtlMember member[] = {
    {0, MTL_DOOR_TEXT, offsetof(Rows, user), offsetof(Request, user)},
    {1, MTL_DOOR_INTEGER, offsetof(Rows, item), offsetof(Candidates, item)},
    {2, MTL_DOOR_TEXT, offsetof(Rows, tags), offsetof(Candidates, tags)},
};

static MtlModel model;
static MtlEntry entry[N_OF(h_entry)];
static MtlKernel *kernel[N_OF(h_entry)] = {
    [MTL_PRE] = h_pre, [MTL_SCORE] = h_score, [MTL_REQUEST] = h_request, [MTL_CANDIDATES] = h_candidates};
static const MtlVariant variant = {"any-v0", 0, kernel, h_work, H_N};
static const MtlDoor door = {&model, "hash", member, N_OF(member)};
static char path[64];

enum { N = 300, OUT = 3 };
static MtlDoorText user[N], word[128];
static int64_t item[N];
static MtlDoorList tags[N];
static char text[N + 128][16];

static MtlDoorText text_of(int slot, const char *prefix, int number)
{
	snprintf(text[slot], sizeof text[slot], "%s%d", prefix, number);
	return (MtlDoorText){text[slot], strlen(text[slot])};
}

/* Weights of some kind in a file, and rows: lists of 0 to 127 words, of which a workspace holds some 65. */
static int set_up(void)
{
	MtlInstance in = {0};
	MtlError e = {0};
	MtlTensor t[N_OF(h_param) + 3];
	MtlMeta meta[] = {{MTL_META_MODEL, "by_hand"}, {MTL_META_DIGEST, by_hand.digest}};
	int n = 0;
	snprintf(path, sizeof path, "/tmp/test_library.%ld", (long)getpid());
	model = by_hand;
	if (mtl_instance_init(&in, &mtl_sys, &by_hand, &e) || mtl_instance_memory(&in, false, &e)) return 1;
	for (int i = 0; i < H_N; i++) in.param[i] = (float)(i % 7) / 8 - 0.25f;
	for (int k = 0; k < 3; k++)
		for (int64_t i = 0; i < in.table_rows[k] * H_STRIDE; i++)
			in.table[k][i] = (float)(i * 37 % 101) / 64 - 0.5f;
	for (int i = 0; i < N_OF(h_param); i++) t[n++] = mtl_param_tensor(&in, i, in.param);
	for (int k = 0; k < 3; k++) t[n++] = mtl_table_tensor(&in, k, -1);
	if (mtl_store_write(&mtl_sys, path, t, n, meta, 2, &e)) return 1;
	mtl_instance_free(&in);
	entry[MTL_PRE] = h_entry[MTL_PRE];
	entry[MTL_SCORE] = h_entry[MTL_SCORE];
	entry[MTL_REQUEST] = h_entry[MTL_REQUEST];
	entry[MTL_CANDIDATES] = h_entry[MTL_CANDIDATES];
	model.entry = entry;
	model.variant = &variant;
	model.n_variant = 1;
	for (int i = 0; i < 128; i++) word[i] = text_of(N + i, "t", i);
	for (int i = 0; i < N; i++) {
		user[i] = i % 11 ? text_of(i, "u", i % 20) : (MtlDoorText){NULL, 0};
		item[i] = i % 13 ? i % 25 - 2 : MTL_DOOR_MISSING;
		tags[i] = (MtlDoorList){word, NULL, (size_t)(i * 7 % 128)};
	}
	return 0;
}

static int tear_down(void) { return unlink(path); }

static MtlLibrary *opened(void)
{
	MtlLibrary *l;
	MtlDoorError e;
	CU_ASSERT_EQUAL_FATAL(mtl_library_open(&door, MTL_DOOR_ABI, "hash", path, &l, &e), 0);
	return l;
}

/* A workspace of the exact size, at an odd address, full of ones. */
static char *workspace(const MtlLibrary *l)
{
	char *p = malloc(mtl_library_work_bytes(l) + 1);
	memset(p, 0xff, mtl_library_work_bytes(l) + 1);
	return p;
}

/* 300 rows with some 19,000 words: a workspace of 4,096 has to be filled several times. */
static void rows_alone_and_together(void)
{
	MtlLibrary *l = opened();
	char *p = workspace(l);
	float all[N][OUT], one[OUT];
	Rows r = {user, item, tags};
	CU_ASSERT_EQUAL(mtl_library_score(l, p + 1, &r, N, all[0], NULL), 0);
	for (int i = 0; i < N; i++) {
		Rows q = {user + i, item + i, tags + i};
		CU_ASSERT_EQUAL(mtl_library_score(l, p + 1, &q, 1, one, NULL), 0);
		CU_ASSERT_EQUAL(memcmp(one, all[i], sizeof one), 0);
	}
	free(p);
	mtl_library_close(l);
}

/* Of rows that are codes and nothing else, the kernel by hand can be asked directly. */
static void what_a_row_becomes(void)
{
	MtlLibrary *l = opened();
	MtlInstance in = {0};
	MtlError e = {0};
	char *p = workspace(l);
	float got[OUT], want[OUT];
	MtlDoorText none = {NULL, 0};
	int64_t number = 7;
	MtlDoorList empty = {NULL, NULL, 0};
	Rows r = {&none, &number, &empty};
	CU_ASSERT_EQUAL(mtl_library_score(l, p, &r, 1, got, NULL), 0);
	/* A missing user is row 0, the integer 7 row 9, an empty list nothing. */
	CU_ASSERT_EQUAL_FATAL(mtl_instance_init(&in, &mtl_sys, &model, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_instance_open(&in, path, &e), MTL_OK);
	int32_t id0[1] = {0}, id1[1] = {9}, start[2] = {0, 0};
	MtlColumn c[3] = {{.id = id0}, {.id = id1}, {.bag_start = start}};
	MtlBatch b = {.n = 1, .cap = 1, .column = c};
	MtlFrame f = {.in = &in, .batch = &b, .out = want};
	mtl_frame_call(&f, MTL_SCORE, 0, 1, 0);
	CU_ASSERT_EQUAL(memcmp(got, want, sizeof got), 0);
	/* 18 is the last of size: 20 - 1 is 19; 20 and -1 are unknown, and so alike; MISSING is another. */
	float far[OUT], below[OUT], missing[OUT];
	number = 20;
	mtl_library_score(l, p, &r, 1, far, NULL);
	number = -1;
	mtl_library_score(l, p, &r, 1, below, NULL);
	number = MTL_DOOR_MISSING;
	mtl_library_score(l, p, &r, 1, missing, NULL);
	CU_ASSERT_EQUAL(memcmp(far, below, sizeof far), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(far, missing, sizeof far), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(far, got, sizeof far), 0);
	mtl_instance_free(&in);
	free(p);
	mtl_library_close(l);
}

/* The model by hand keeps nothing of a candidate: neither function touches what it was given. */
static void a_model_without_items(void)
{
	MtlLibrary *l = opened();
	MtlDoorError e;
	char *p = workspace(l);
	float number = 777;
	size_t first = 0;
	Request q = {user[5]};
	CU_ASSERT_EQUAL(mtl_library_item_floats(l), 0);
	CU_ASSERT_EQUAL(mtl_library_items(l, p, &q, 1, &number, 1, &e), MTL_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "score it as rows"));
	CU_ASSERT_EQUAL(mtl_library_pick(l, p, &number, 1, &first, 1, &number, &e), MTL_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "no request"));
	CU_ASSERT_EQUAL(mtl_library_request(l, p, &q, NULL), 0);
	CU_ASSERT_EQUAL(mtl_library_pick(l, p, &number, 1, &first, 1, &number, &e), MTL_USAGE);
	CU_ASSERT_EQUAL(number, 777);
	free(p);
	mtl_library_close(l);
}

static void a_request_and_its_candidates(void)
{
	MtlLibrary *l = opened();
	char *p = workspace(l);
	static MtlDoorText same[N];
	float all[N][OUT], cut[N][OUT];
	for (int i = 0; i < N; i++) same[i] = user[5];
	Rows r = {same, item, tags};
	Request q = {user[5]};
	CU_ASSERT_EQUAL(mtl_library_score(l, p, &r, N, all[0], NULL), 0);
	for (int step = 1; step <= N; step = step * 3 + 1) {
		memset(cut, 0, sizeof cut);
		CU_ASSERT_EQUAL(mtl_library_request(l, p, &q, NULL), 0);
		for (int i = 0; i < N; i += step) {
			Candidates c = {item + i, tags + i};
			size_t n = (size_t)(step < N - i ? step : N - i);
			CU_ASSERT_EQUAL(mtl_library_candidates(l, p, &c, n, cut[i], NULL), 0);
		}
		CU_ASSERT_EQUAL(memcmp(all, cut, sizeof all), 0);
	}
	/* A score takes the request's place. */
	MtlDoorError e;
	Candidates c = {item, tags};
	CU_ASSERT_EQUAL(mtl_library_score(l, p, &r, 1, cut[0], &e), 0);
	CU_ASSERT_EQUAL(mtl_library_candidates(l, p, &c, 1, cut[0], &e), MTL_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "request"));
	free(p);
	mtl_library_close(l);
}

static void errors(void)
{
	MtlLibrary *l = opened(), *none = l;
	char *p = workspace(l);
	float out[OUT];
	MtlDoorError e;
	Rows r = {user, item, NULL};
	CU_ASSERT_EQUAL(mtl_library_score(l, p, &r, 1, out, &e), MTL_USAGE);
	CU_ASSERT_STRING_EQUAL(e.text, "rows: error: tags is a NULL column");
	MtlDoorText odd = {NULL, 3};
	r = (Rows){&odd, item, tags};
	CU_ASSERT_EQUAL(mtl_library_score(l, p, &r, 1, out, &e), MTL_USAGE);
	CU_ASSERT_STRING_EQUAL(e.text, "row 0: error: user is a NULL with a length");
	float weight[1] = {NAN};
	MtlDoorList list = {word, weight, 1};
	r = (Rows){user, item, &list};
	CU_ASSERT_EQUAL(mtl_library_score(l, p, &r, 1, out, &e), MTL_DATA);
	CU_ASSERT_STRING_EQUAL(e.code, "D0109");
	CU_ASSERT_EQUAL(mtl_library_open(&door, MTL_DOOR_ABI, "other", path, &none, &e), MTL_REFUSED);
	CU_ASSERT_PTR_NULL(none);
	CU_ASSERT_EQUAL(mtl_library_open(&door, MTL_DOOR_ABI, "hash", "/none", &none, &e), MTL_SYSTEM);
	CU_ASSERT_PTR_NULL(none);
	/* This model holds no weights. */
	CU_ASSERT_EQUAL(mtl_library_open(&door, MTL_DOOR_ABI, "hash", NULL, &none, NULL), MTL_USAGE);
	free(p);
	mtl_library_close(l);
}

int main(void)
{
	CU_pSuite s = suite_between("library", set_up, tear_down);
	CU_ADD_TEST(s, rows_alone_and_together);
	CU_ADD_TEST(s, what_a_row_becomes);
	CU_ADD_TEST(s, a_request_and_its_candidates);
	CU_ADD_TEST(s, a_model_without_items);
	CU_ADD_TEST(s, errors);
	return suite_end();
}
