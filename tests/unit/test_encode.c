/* Codes: hashing, vocabularies, buckets, normalisers, statistics of data, and their way through the model
 * file. */
#include "encode.h"
#include "reader.h"
#include "suite.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static char path_text[64];

static const char *text_file(const char *text)
{
	FILE *f = fopen(path_text, "wb");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0) abort();
	return path_text;
}

#define ONE(...)                                                                                             \
	{                                                                                                    \
		.same_code = -1, __VA_ARGS__                                                                 \
	}

static int32_t row_of(const MtlFeature *f, const MtlCodeBook *b, const char *cell)
{
	int32_t row = -1;
	return mtl_code_row(f, b, cell, strlen(cell), &row) ? row : -1;
}

static void rows_of_cells(void)
{
	static const char *const words[] = {"red", "green", "", "bl\xc3\xbc"};
	static const double edges[] = {-1, 0, 2.5};
	static const MtlFeature f[] = {
	    ONE(.kind = MTL_ID, .code = MTL_HASH, .n = 1000),
	    ONE(.kind = MTL_ID, .code = MTL_VOCAB, .vocab = words, .n_vocab = 4),
	    ONE(.kind = MTL_ID, .code = MTL_SIZE, .n = 10),
	    ONE(.kind = MTL_ID, .code = MTL_BUCKET, .edges = edges, .n_edges = 3),
	    {.kind = MTL_BAG, .code = MTL_VOCAB, .same_code = 1},
	    ONE(.kind = MTL_ID, .code = MTL_HASH, .n = INT32_MAX - 2),
	};
	static const MtlModel m = {.feature = f, .n_feature = 6};
	MtlCodes c;
	MtlError e = {0};
	CU_ASSERT_EQUAL(mtl_codes_init(&c, &mtl_sys, &m, &e), MTL_OK);
	CU_ASSERT_TRUE(c.complete);
	CU_ASSERT_FALSE(mtl_codes_need_data(&m));
	CU_ASSERT_EQUAL(row_of(&f[0], &c.book[0], "abc"), (int32_t)(UINT64_C(0x78af5f94892f3950) % 1000) + 2);
	for (int i = 0; i < 100000; i++) {
		char cell[16];
		snprintf(cell, sizeof cell, "%d", i);
		int32_t row = row_of(&f[5], &c.book[5], cell);
		if (row < 2 || row >= INT32_MAX) CU_FAIL("hash row out of its table");
	}
	CU_ASSERT_EQUAL(row_of(&f[1], &c.book[1], "red"), 2);
	CU_ASSERT_EQUAL(row_of(&f[1], &c.book[1], "bl\xc3\xbc"), 5);
	CU_ASSERT_EQUAL(row_of(&f[1], &c.book[1], "re"), MTL_ROW_UNKNOWN);
	CU_ASSERT_EQUAL(row_of(&f[1], &c.book[1], "redd"), MTL_ROW_UNKNOWN);
	CU_ASSERT_EQUAL(mtl_code_root(&m, 4), 1);
	CU_ASSERT_EQUAL(row_of(&f[2], &c.book[2], "0"), 2);
	CU_ASSERT_EQUAL(row_of(&f[2], &c.book[2], "9"), 11);
	CU_ASSERT_EQUAL(row_of(&f[2], &c.book[2], "007"), 9);
	static const char *const unknown[] = {"10", "-1", "+1", "1.0", "x", "99999999999999999999999999"};
	for (int i = 0; i < 6; i++) CU_ASSERT_EQUAL(row_of(&f[2], &c.book[2], unknown[i]), MTL_ROW_UNKNOWN);
	/* below the first edge: bucket 0; an edge belongs to the bucket it opens. */
	static const char *const value[] = {"-2", "-1", "-0.5", "0", "2.4999", "2.5", "1e9"};
	static const int32_t bucket[] = {2, 3, 3, 4, 4, 5, 5};
	for (int i = 0; i < 7; i++) CU_ASSERT_EQUAL(row_of(&f[3], &c.book[3], value[i]), bucket[i]);
	CU_ASSERT_EQUAL(row_of(&f[3], &c.book[3], "1,5"), -1);
	mtl_codes_free(&c, &mtl_sys, &m);
}

static void normalisers(void)
{
	static const MtlFeature plain = ONE(.kind = MTL_NUMBER),
				log = ONE(.kind = MTL_NUMBER, .normal = MTL_LOG1P);
	const MtlCodeBook one = {.scale = 1}, half = {.shift = 3, .scale = 0.5};
	float x = 9;
	CU_ASSERT_TRUE(mtl_code_real(&plain, &half, 10, &x));
	CU_ASSERT_EQUAL(x, 3.5f);
	CU_ASSERT_TRUE(mtl_code_real(&log, &one, 1, &x));
	CU_ASSERT_EQUAL(x, 0.693147180559945f);
	CU_ASSERT_TRUE(mtl_code_real(&log, &one, -0.5, &x));
	CU_ASSERT_EQUAL(x, -0.693147180559945f);
	CU_ASSERT_FALSE(mtl_code_real(&log, &one, -1, &x));
	CU_ASSERT_FALSE(mtl_code_real(&plain, &one, 1e39, &x));
	CU_ASSERT_EQUAL(x, -0.693147180559945f);
}

/* Items as "text*weight", one after another. */
static void list_is(const char *cell, const char *expected, bool has_weights)
{
	char got[256] = "";
	const char *p = cell, *item;
	size_t n;
	float weight;
	bool weighted = false;
	while (mtl_list_item(&p, cell + strlen(cell), '|', &item, &n, &weight, &weighted))
		sprintf(got + strlen(got), "%.*s*%g ", (int)n, item, (double)weight);
	if (strcmp(got, expected) != 0) fprintf(stderr, "\"%s\": \"%s\"\n", cell, got);
	CU_ASSERT_STRING_EQUAL(got, expected);
	CU_ASSERT_EQUAL(weighted, has_weights);
}

static void lists(void)
{
	list_is("", "", false);
	list_is("a", "a*1 ", false);
	list_is("a|b|c", "a*1 b*1 c*1 ", false);
	list_is("|a||b|", "a*1 b*1 ", false);
	list_is("a:0.5|b:2e1|c", "a*0.5 b*20 c*1 ", true);
	list_is("a:b|c:|d:-1|e:nan|f: 1", "a:b*1 c:*1 d:-1*1 e:nan*1 f: 1*1 ", false);
	list_is("a:b:3|:7|g:1e39", "a:b*3 g:1e39*1 ", true);
	list_is("a:-0", "a*0 ", true);
}

/* vocab: auto, quantiles, standard, minmax, and one feature that shares a vocabulary */
enum { WORD, ITEMS, BUCKETS, STANDARD, MINMAX, SHARER, N };
static const MtlFeature learnt[N] = {
    [WORD] =
	ONE(.name = "word", .column = "word", .kind = MTL_ID, .code = MTL_VOCAB_AUTO, .n = 3, .min_count = 2),
    [ITEMS] = ONE(.name = "items", .column = "items", .kind = MTL_BAG, .code = MTL_VOCAB_AUTO, .n = 100,
		  .min_count = 1, .separator = ' '),
    [BUCKETS] = ONE(.name = "buckets", .column = "x", .kind = MTL_ID, .code = MTL_QUANTILES, .n = 4,
		    .missing = MTL_MISSING_OWN),
    [STANDARD] = ONE(.name = "standard", .column = "x", .kind = MTL_NUMBER, .normal = MTL_STANDARD,
		     .missing = MTL_MISSING_LEARNED),
    [MINMAX] = ONE(.name = "minmax", .column = "x", .kind = MTL_NUMBER, .normal = MTL_MINMAX,
		   .missing = MTL_MISSING_LEARNED),
    [SHARER] =
	{.name = "sharer", .column = "sharer", .kind = MTL_ID, .code = MTL_VOCAB_AUTO, .same_code = WORD},
};
static const MtlTable tables[] = {{.name = "t", .feature = SHARER},
				  {.name = "u", .feature = BUCKETS, .rows = 6}};
static const MtlModel model = {.feature = learnt, .n_feature = N, .table = tables, .n_table = 2};

/* x: 1 2 3 4 5 6 7 8, one empty, one that is no number; words b 3, a 3, c\xff 2, d 2, e 1. */
static const char data[] = "word,items,x,sharer\n"
			   "b,p q:2 p,8,z\n"
			   "a,,7,z\n"
			   "b,p% q,6,z\n"
			   "a,,5,\n"
			   "b,,4,\n"
			   "a,,3,\n"
			   "d,,2,\n"
			   "c\xff,,1,\n"
			   "d,,,\n"
			   "c\xff,,x,\n"
			   "e,,x\n" /* too short: not a row */
			   ",,,\n";

static void check_learnt(const MtlCodes *c)
{
	CU_ASSERT_TRUE(c->complete);
	const MtlCodeBook *b = c->book;
	/* By count, then bytes: a and b before c\xff and d, of which three fit. */
	CU_ASSERT_EQUAL_FATAL(b[WORD].n_vocab, 3);
	CU_ASSERT_STRING_EQUAL(b[WORD].vocab[0], "a");
	CU_ASSERT_STRING_EQUAL(b[WORD].vocab[1], "b");
	CU_ASSERT_STRING_EQUAL(b[WORD].vocab[2], "c\xff");
	CU_ASSERT_EQUAL_FATAL(b[ITEMS].n_vocab, 3);
	CU_ASSERT_STRING_EQUAL(b[ITEMS].vocab[0], "p");
	CU_ASSERT_STRING_EQUAL(b[ITEMS].vocab[1], "q");
	CU_ASSERT_STRING_EQUAL(b[ITEMS].vocab[2], "p%");
	CU_ASSERT_EQUAL(row_of(&learnt[WORD], &b[WORD], "b"), 3);
	CU_ASSERT_EQUAL(row_of(&learnt[WORD], &b[WORD], "d"), MTL_ROW_UNKNOWN);
	CU_ASSERT_EQUAL(mtl_table_rows(&model, c, 0), 5);
	CU_ASSERT_EQUAL(mtl_table_rows(&model, c, 1), 6);
	/* Quarters of 1 .. 8 begin at 3, 5, 7. */
	CU_ASSERT_EQUAL_FATAL(b[BUCKETS].n_edges, 3);
	CU_ASSERT_EQUAL(b[BUCKETS].edges[0], 3);
	CU_ASSERT_EQUAL(b[BUCKETS].edges[1], 5);
	CU_ASSERT_EQUAL(b[BUCKETS].edges[2], 7);
	/* mean 4.5, variance (64 - 1) / 12 = 5.25 */
	CU_ASSERT_DOUBLE_EQUAL(b[STANDARD].shift, 4.5, 1e-14);
	CU_ASSERT_DOUBLE_EQUAL(b[STANDARD].scale, 1 / sqrt(5.25), 1e-14);
	CU_ASSERT_EQUAL(b[MINMAX].shift, 1);
	CU_ASSERT_EQUAL(b[MINMAX].scale, 1.0 / 7);
}

static void statistics(void)
{
	MtlCodes c, d;
	MtlError e = {0};
	const char *path = text_file(data);
	CU_ASSERT_TRUE(mtl_codes_need_data(&model));
	CU_ASSERT_EQUAL(mtl_codes_init(&c, &mtl_sys, &model, &e), MTL_OK);
	CU_ASSERT_FALSE(c.complete);
	CU_ASSERT_EQUAL(mtl_codes_from_data(&c, &mtl_sys, &model, &path, 1, &e), MTL_OK);
	check_learnt(&c);
	char *text = mtl_codes_to_json(&c, &mtl_sys, &model);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"word\":{\"vocab\":[\"a\",\"b\",\"c%ff\"]}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"items\":{\"vocab\":[\"p\",\"q\",\"p%25\"]}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"buckets\":{\"edges\":[3.0,5.0,7.0]}"));
	CU_ASSERT_PTR_NULL(strstr(text, "sharer"));
	CU_ASSERT_EQUAL(mtl_codes_init(&d, &mtl_sys, &model, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_codes_from_json(&d, &mtl_sys, &model, text, &e), MTL_OK);
	check_learnt(&d);
	CU_ASSERT_EQUAL(d.book[STANDARD].scale, c.book[STANDARD].scale);
	mtl_release(&mtl_sys, text);
	mtl_codes_free(&c, &mtl_sys, &model);
	mtl_codes_free(&d, &mtl_sys, &model);

	path = "-";
	CU_ASSERT_EQUAL(mtl_codes_init(&c, &mtl_sys, &model, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_codes_from_data(&c, &mtl_sys, &model, &path, 1, &e), MTL_USAGE);
	mtl_codes_free(&c, &mtl_sys, &model);
}

/* Two million values: quantiles come from a sample, the same each time, and near the truth. */
static void sampled_quantiles(void)
{
	enum { ROWS = 2000000 };
	static const MtlFeature f =
	    ONE(.name = "x", .column = "x", .kind = MTL_ID, .code = MTL_QUANTILES, .n = 100);
	static const MtlModel m = {.feature = &f, .n_feature = 1};
	FILE *out = fopen(path_text, "wb");
	if (!out) abort();
	fputs("x\n", out);
	for (int i = 0; i < ROWS; i++) fprintf(out, "%d\n", i);
	fclose(out);
	const char *path = path_text;
	MtlCodes c[2];
	MtlError e = {0};
	for (int k = 0; k < 2; k++) {
		CU_ASSERT_EQUAL(mtl_codes_init(&c[k], &mtl_sys, &m, &e), MTL_OK);
		CU_ASSERT_EQUAL(mtl_codes_from_data(&c[k], &mtl_sys, &m, &path, 1, &e), MTL_OK);
		CU_ASSERT_EQUAL_FATAL(c[k].book[0].n_edges, 99);
	}
	CU_ASSERT_EQUAL(memcmp(c[0].book[0].edges, c[1].book[0].edges, 99 * sizeof(double)), 0);
	/* Deviation of a sampled quantile: at most .5 / sqrt(2^20) of all, about 0.05 %; 5 of them. */
	for (int k = 0; k < 99; k++)
		CU_ASSERT_DOUBLE_EQUAL(c[0].book[0].edges[k] / ROWS, (k + 1) / 100.0, 0.0025);
	mtl_codes_free(&c[0], &mtl_sys, &m);
	mtl_codes_free(&c[1], &mtl_sys, &m);
}

static void texts_that_do_not_fit(void)
{
#define REST                                                                                                 \
	"\"items\":{\"vocab\":[\"p\"]},\"buckets\":{\"edges\":[1,2]},\"standard\":{\"shift\":1,\"scale\":2}" \
	",\"minmax\":{\"shift\":1,\"scale\":2}}"
	static const char *const wrong[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"word\":{\"vocab\":[\"a\"]},"
	    "}",
	    "{\"word\":{\"vocab\":[\"a\"]},\"more\":1," REST,
	    "{\"word\":{\"vocab\":[\"a\",\"b\",\"c\",\"d\"]}," REST, /* n: 3 */
	    "{\"word\":{\"vocab\":[\"a\",\"a\"]}," REST,
	    "{\"word\":{\"vocab\":[1]}," REST,
	    "{\"word\":{\"vocab\":[\"\"]}," REST,
	    "{\"word\":{\"vocab\":[\"%0\"]}," REST,
	    "{\"word\":{\"vocab\":[\"%00\"]}," REST,
	    "{\"word\":{\"vocab\":\"a\"}," REST,
	    "{\"word\":{\"edges\":[]}," REST,
	    "{\"word\":{\"vocab\":[]},\"word\":{\"vocab\":[]}," REST,
	    "{\"word\":{\"vocab\":[]},\"items\":{\"vocab\":[]},\"buckets\":{\"edges\":[2,2]},\"standard\":{"
	    "\"shift\":1,\"scale\":2},\"minmax\":{\"shift\":1,\"scale\":2}}",
	    "{\"word\":{\"vocab\":[]},\"items\":{\"vocab\":[]},\"buckets\":{\"edges\":[1,2,3,4]},"
	    "\"standard\":{\"shift\":1,\"scale\":2},\"minmax\":{\"shift\":1,\"scale\":2}}",
	    "{\"word\":{\"vocab\":[]},\"items\":{\"vocab\":[]},\"buckets\":{\"edges\":[]},\"standard\":{"
	    "\"shift\":1,\"scale\":0},\"minmax\":{\"shift\":1,\"scale\":2}}",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		MtlCodes c;
		MtlError e = {0};
		CU_ASSERT_EQUAL(mtl_codes_init(&c, &mtl_sys, &model, &e), MTL_OK);
		MtlStatus st = mtl_codes_from_json(&c, &mtl_sys, &model, wrong[i], &e);
		if (st != MTL_REFUSED) fprintf(stderr, "%s\n", wrong[i]);
		CU_ASSERT_EQUAL(st, MTL_REFUSED);
		CU_ASSERT_FALSE(c.complete);
		CU_ASSERT_NOT_EQUAL(e.text[0], '\0');
		mtl_codes_free(&c, &mtl_sys, &model);
	}
	MtlCodes c;
	MtlError e = {0};
	mtl_codes_init(&c, &mtl_sys, &model, &e);
	CU_ASSERT_EQUAL(mtl_codes_from_json(&c, &mtl_sys, &model, "{\"word\":{\"vocab\":[\"a\"]}," REST, &e),
			MTL_OK);
	mtl_codes_free(&c, &mtl_sys, &model);
}

static void the_nth_allocation_fails(void)
{
	const char *path = text_file(data);
	long calls = 1;
	for (long at = 0; at <= calls; at++) {
		MtlFaults f;
		mtl_faults_init(&f);
		f.fail_alloc = at;
		MtlCodes c, d;
		MtlError e = {0};
		char *text = NULL;
		MtlStatus st = mtl_codes_init(&c, &f.sys, &model, &e);
		MtlStatus st2 = mtl_codes_init(&d, &f.sys, &model, &e);
		if (!st) st = st2;
		if (!st) st = mtl_codes_from_data(&c, &f.sys, &model, &path, 1, &e);
		if (!st && !(text = mtl_codes_to_json(&c, &f.sys, &model))) st = MTL_LIMIT;
		if (!st) st = mtl_codes_from_json(&d, &f.sys, &model, text, &e);
		if (at == 0) {
			CU_ASSERT_EQUAL(st, MTL_OK);
			calls = f.n_alloc;
		} else {
			CU_ASSERT_EQUAL(st, MTL_LIMIT);
		}
		mtl_release(&f.sys, text);
		mtl_codes_free(&c, &f.sys, &model);
		mtl_codes_free(&d, &f.sys, &model);
	}
	CU_ASSERT(calls > 40);
}

/* A large vocabulary: every word is found, nothing else is. */
static void a_hundred_thousand_words(void)
{
	enum { WORDS = 100000 };
	static const MtlFeature f = ONE(.name = "x", .column = "x", .kind = MTL_ID, .code = MTL_VOCAB_AUTO,
					.n = 1 << 20, .min_count = 1);
	static const MtlModel m = {.feature = &f, .n_feature = 1};
	FILE *out = fopen(path_text, "wb");
	if (!out) abort();
	fputs("x\n", out);
	for (int i = 0; i < WORDS; i++) fprintf(out, "%06d\n", i);
	fclose(out);
	const char *path = path_text;
	MtlCodes c;
	MtlError e = {0};
	CU_ASSERT_EQUAL(mtl_codes_init(&c, &mtl_sys, &m, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_codes_from_data(&c, &mtl_sys, &m, &path, 1, &e), MTL_OK);
	int wrong = 0;
	for (int i = 0; i < WORDS; i++) {
		char word[16];
		snprintf(word, sizeof word, "%06d", i);
		wrong += row_of(&f, &c.book[0], word) != i + 2; /* equal counts: by bytes */
		snprintf(word, sizeof word, "%07d", i);
		wrong += row_of(&f, &c.book[0], word) != MTL_ROW_UNKNOWN;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	mtl_codes_free(&c, &mtl_sys, &m);
}

int main(void)
{
	snprintf(path_text, sizeof path_text, "/tmp/mtl_encode_%ld.csv", (long)getpid());
	CU_pSuite s = suite_begin("encode");
	CU_ADD_TEST(s, rows_of_cells);
	CU_ADD_TEST(s, normalisers);
	CU_ADD_TEST(s, lists);
	CU_ADD_TEST(s, statistics);
	CU_ADD_TEST(s, sampled_quantiles);
	CU_ADD_TEST(s, texts_that_do_not_fit);
	CU_ADD_TEST(s, the_nth_allocation_fails);
	CU_ADD_TEST(s, a_hundred_thousand_words);
	int failed = suite_end();
	unlink(path_text);
	return failed != 0;
}
