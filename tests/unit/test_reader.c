/* Logs into batches: files as they come, rows as they should be, and every way in which one can be wrong. */
#include "reader.h"
#include "suite.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

/* ---- a small model ---- */

enum { USER, GENDER, AGE, TAGS, PRICE, POSITION, N_FEATURE };
static const char *const genders[] = {"F", "M"};
static const double ages[] = {18, 25, 35, 50};
static const MtlFeature features[N_FEATURE] = {
    [USER] = {.name = "user", .column = "user", .kind = MTL_ID, .code = MTL_HASH, .n = 1000, .same_code = -1},
    [GENDER] = {.name = "gender",
		.column = "sex",
		.kind = MTL_ID,
		.code = MTL_VOCAB,
		.vocab = genders,
		.n_vocab = 2,
		.same_code = -1},
    [AGE] = {.name = "age",
	     .column = "age",
	     .kind = MTL_ID,
	     .code = MTL_BUCKET,
	     .edges = ages,
	     .n_edges = 4,
	     .missing = MTL_MISSING_OWN,
	     .same_code = -1},
    [TAGS] = {.name = "tags",
	      .column = "tags",
	      .kind = MTL_BAG,
	      .code = MTL_SIZE,
	      .n = 100,
	      .pool = MTL_POOL_MEAN,
	      .max_items = 3,
	      .keep = MTL_KEEP_LAST,
	      .separator = '|',
	      .same_code = -1},
    [PRICE] = {.name = "price",
	       .column = "price",
	       .kind = MTL_NUMBER,
	       .code = MTL_PLAIN,
	       .normal = MTL_LOG1P,
	       .missing = MTL_MISSING_LEARNED,
	       .same_code = -1},
    [POSITION] = {.name = "position",
		  .column = "position",
		  .kind = MTL_ID,
		  .code = MTL_SIZE,
		  .n = 64,
		  .train_only = true,
		  .same_code = -1},
};
/* click (clk); act = cart | wish of click; buy (pay) of act */
static const char *const label_columns[] = {"clk", "cart", "wish", "pay"};
static const int16_t l_click[] = {0}, l_act[] = {1, 2, MTL_LABEL_OR}, l_buy[] = {3};
static const MtlEvent events[] = {{"click", -1, l_click, 1}, {"act", 0, l_act, 3}, {"buy", 1, l_buy, 1}};
static const MtlSample samples[] = {{.name = "watch", .column = "watch"}};

static MtlModel model(MtlContradiction policy)
{
	return (MtlModel){.feature = features,
			  .n_feature = N_FEATURE,
			  .label_column = label_columns,
			  .n_label_column = 4,
			  .event = events,
			  .n_event = 3,
			  .sample = samples,
			  .n_sample = 1,
			  .weight_column = "w",
			  .group_column = "q",
			  .contradiction = policy};
}

#define HEADER "user,sex,age,tags,price,position,clk,cart,wish,pay,watch,w,q"

/* ---- files ---- */

static char folder[64];

static const char *path_of(const char *name)
{
	static char paths[8][128]; /* as many as one test uses at a time */
	static int at;
	char *p = paths[at++ % 8];
	snprintf(p, 128, "%s/%s", folder, name);
	return p;
}

static const char *file_of(const char *name, const void *p, size_t n)
{
	const char *path = path_of(name);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0) abort();
	return path;
}
static const char *text_file(const char *name, const char *text) { return file_of(name, text, strlen(text)); }

static char *slurp(const char *path)
{
	static char text[1 << 16];
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f) fclose(f);
	text[n] = '\0';
	return text;
}

/* ---- one run over files: all rows in one batch ---- */

typedef struct Run {
	MtlModel m;
	MtlCodes c;
	MtlBatch b;
	MtlReader *r;
	MtlError e;
	MtlStatus st;
	MtlRowCounts n;
	struct Run *home;
} Run;

static const MtlReaderOptions training = {.labels = true, .max_bad_rows = -1};

static Run run(const MtlSys *sys, MtlModel m, const char *const *path, int n_path, MtlReaderOptions o,
	       int64_t cap)
{
	/* A reader keeps where its model and codes are: these stay. */
	Run u = {.m = m}, *home = calloc(1, sizeof *home);
	home->m = m;
	u.st = mtl_codes_init(&home->c, sys, &home->m, &u.e);
	if (!u.st) u.st = mtl_batch_init(&u.b, sys, &home->m, cap, &u.e);
	if (!u.st) u.st = mtl_reader_open(&u.r, sys, &home->m, &home->c, path, n_path, &o, &u.e);
	u.c = home->c;
	u.home = home;
	if (!u.st) u.st = mtl_reader_next(u.r, &u.b, &u.e);
	if (u.r) u.n = *mtl_reader_counts(u.r);
	return u;
}

static void done(Run *u, const MtlSys *sys)
{
	MtlStatus st = mtl_reader_close(u->r, &u->e);
	if (!u->st) u->st = st;
	mtl_batch_free(&u->b, sys, &u->m);
	mtl_codes_free(&u->home->c, sys, &u->home->m);
	free(u->home);
}

static Run run_text(const char *text, MtlContradiction policy, MtlReaderOptions o)
{
	const char *path = text_file("log.csv", text);
	return run(&mtl_sys, model(policy), &path, 1, o, 64);
}

static void says(const Run *u, MtlStatus st, const char *text)
{
	bool good = u->st == st && strstr(u->e.text, text);
	if (!good)
		fprintf(stderr, "status %d, wanted %d\n  got    %s\n  wanted %s\n", u->st, st, u->e.text,
			text);
	CU_ASSERT(good);
}

/* One row after the header is refused with this text. */
static void refused(const char *row, const char *text)
{
	char log[4096];
	snprintf(log, sizeof log, HEADER "\n%s\n", row);
	Run u = run_text(log, MTL_CONTRADICTION_FAIL, training);
	says(&u, MTL_DATA, text);
	CU_ASSERT_EQUAL(u.b.n, 0);
	done(&u, &mtl_sys);
}

/* ---- tests ---- */

/* The four rows of the two tests below. */
static void four_rows(Run u)
{
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL_FATAL(u.b.n, 4);
	const MtlColumn *c = u.b.column;
	int32_t h = (int32_t)(XXH3_64bits("u1", 2) % 1000) + 2;
	const int32_t user[] = {h, 0, h, h}, sex[] = {3, 0, 1, 2}, age[] = {4, 0, 2, 6},
		      position[] = {65, 0, 1, 2};
	CU_ASSERT_EQUAL(memcmp(c[USER].id, user, sizeof user), 0);
	CU_ASSERT_EQUAL(memcmp(c[GENDER].id, sex, sizeof sex), 0);
	CU_ASSERT_EQUAL(memcmp(c[AGE].id, age, sizeof age), 0);
	CU_ASSERT_EQUAL(memcmp(c[POSITION].id, position, sizeof position), 0);
	/* 5, 7 (weight 3), x unknown: shares 1/5, 3/5, 1/5.  1 2 3 4:0 keeps the last three: 1/2, 1/2, 0. All
	 * 0: 0. */
	const int32_t start[] = {0, 3, 3, 6, 8}, item[] = {7, 9, 1, 4, 5, 6, 11, 10};
	const float scale[] = {.2f, .6f, .2f, .5f, .5f, 0, 0, 0};
	CU_ASSERT_EQUAL(memcmp(c[TAGS].bag_start, start, sizeof start), 0);
	CU_ASSERT_EQUAL(memcmp(c[TAGS].bag_item, item, sizeof item), 0);
	CU_ASSERT_EQUAL(memcmp(c[TAGS].bag_scale, scale, sizeof scale), 0);
	const float price[] = {(float)log1p(1.5), 0, 0, 0}, present[] = {1, 0, 0, 1};
	CU_ASSERT_EQUAL(memcmp(c[PRICE].real, price, sizeof price), 0);
	CU_ASSERT_EQUAL(memcmp(c[PRICE].present, present, sizeof present), 0);
	/* Rows: click, act, no buy; nothing known; no click, so nothing below it; click, the rest open. */
	const float can1[3][4] = {{1, 1, 0, 1}, {1, 1, 0, 1}, {0, 1, 0, 1}};
	const float can0[3][4] = {{0, 1, 1, 0}, {0, 1, 1, 1}, {1, 1, 1, 1}};
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(memcmp(u.b.can1[i], can1[i], sizeof can1[i]), 0);
		CU_ASSERT_EQUAL(memcmp(u.b.can0[i], can0[i], sizeof can0[i]), 0);
	}
	CU_ASSERT_EQUAL(u.b.sample[0][0], 12.5f);
	CU_ASSERT_EQUAL(u.b.known[0][0], 1);
	CU_ASSERT_EQUAL(u.b.sample[0][1], 0); /* not known: no NaN */
	CU_ASSERT_EQUAL(u.b.known[0][1], 0);
	const float weight[] = {2, 1, 0, 1};
	CU_ASSERT_EQUAL(memcmp(u.b.weight, weight, sizeof weight), 0);
	CU_ASSERT_EQUAL(u.b.group[0], XXH3_64bits("q1", 2));
	CU_ASSERT_EQUAL(u.b.group[1], 0);
	CU_ASSERT_EQUAL(u.b.group[3], u.b.group[0]);
	CU_ASSERT_EQUAL(u.n.read, 4);
	CU_ASSERT_EQUAL(u.n.used, 4);
	CU_ASSERT_EQUAL(u.n.truncated, 1);
	done(&u, &mtl_sys);
}

static void every_kind_of_cell(void)
{
	four_rows(run_text(HEADER "\n"
				  "u1,M,25,5|7:3|x,1.5,63,1,0,1,0,12.5,2,q1\n"
				  ",,,,,,,,,,,,\n"
				  "u1,X,17.9,1|2||3|4:0,,64,0,,,,,0,\n"
				  "\"u1\",F,50,9:0|8:0,0,0,1,,,,,,q1\n",
			   MTL_CONTRADICTION_FAIL, training));
}

/* The same rows as objects: in any order of keys, with keys that are absent, null or of no interest. */
static void every_kind_of_cell_in_json(void)
{
	const char *path = text_file(
	    "log.jsonl",
	    "{\"user\":\"u1\",\"sex\":\"M\",\"age\":25,\"tags\":[5,\"7:3\",\"x\"],\"price\":1.5,\"position\":"
	    "63,\"clk\":true,"
	    "\"cart\":false,\"wish\":1,\"pay\":0,\"watch\":12.5,\"w\":2,\"q\":\"q1\",\"more\":{\"a\":[]}}\n"
	    "\n{}\n"
	    "{\"tags\":[1,2,\"\",\"3\",\"4:0\"],\"age\":17.9,\"sex\":\"X\",\"user\":\"u1\",\"price\":null,"
	    "\"w\":0,\"position\":64,\"clk\":0}\r\n"
	    "{\"q\":\"\\u00711\",\"user\":\"u1\",\"sex\":\"F\",\"age\":5e1,\"tags\":\"9:0|8:0\",\"price\":0,"
	    "\"position\":\"0\",\"clk\":1}");
	four_rows(run(&mtl_sys, model(MTL_CONTRADICTION_FAIL), &path, 1, training, 64));
}

/* A model of two ids, for the shapes that files come in. */
static const MtlFeature two[] = {
    {.name = "a", .column = "a", .kind = MTL_ID, .code = MTL_SIZE, .n = 1000, .same_code = -1},
    {.name = "b", .column = "b c", .kind = MTL_ID, .code = MTL_HASH, .n = 1 << 20, .same_code = -1},
};
static const MtlModel two_ids = {.feature = two, .n_feature = 2};

static void rows_are(const char *name, const void *text, size_t n, const int32_t *a, int rows)
{
	const char *path = file_of(name, text, n);
	Run u = run(&mtl_sys, two_ids, &path, 1, training, 64);
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL(u.b.n, rows);
	if (rows && u.b.n == rows) CU_ASSERT_EQUAL(memcmp(u.b.column[0].id, a, (size_t)rows * sizeof *a), 0);
	done(&u, &mtl_sys);
}

static void shapes_of_files(void)
{
	static const int32_t a[] = {3, 4, 5};
#define ROWS(name, text) rows_are(name, text, strlen(text), a, 3)
	ROWS("plain.csv", "a,b c\n1,x\n2,y\n3,z\n");
	ROWS("last.csv", "a,b c\n1,x\n2,y\n3,z");
	ROWS("order.csv", "b c,more,a\nx,0,1\ny,,2\nz,,3");
	ROWS("crlf.csv", "a,b c\r\n1,x\r\n2,y\r\n3,z\r\n");
	ROWS("bom.csv", "\xef\xbb\xbf"
			"a,b c\n1,x\n2,y\n3,z\n");
	ROWS("quotes.csv", "\"a\",\"b c\"\n\"1\",\"x, \"\"y\"\"\nz\"\n2,\"\"\n\"3\",z");
	ROWS("blank.csv", "a,b c\n\n1,x\n\r\n2,y\n3,z\n\n");
	ROWS("log.tsv", "a\tb c\n1\t\"x\n2\ty\"z\n3\t\"");
	ROWS("empty_last.csv", "b c,a,d\nx,1,\ny,2,\nz,3,");
	rows_are("none.csv", "a,b c\n", 6, NULL, 0);
	rows_are("none2.csv", "a,b c", 5, NULL, 0);
#undef ROWS
}

static size_t gzip(const void *text, size_t n, unsigned char *out, size_t cap)
{
	z_stream z = {0};
	deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (Bytef *)(uintptr_t)text;
	z.avail_in = (uInt)n;
	z.next_out = out;
	z.avail_out = (uInt)cap;
	deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return cap - z.avail_out;
}

static ssize_t read_one(void *self, int fd, void *p, size_t n)
{
	(void)self;
	return read(fd, p, n > 1);
}

/* Text that comes byte by byte, as through a slow pipe, cuts every record everywhere. */
static void one_byte_at_a_time(void)
{
	static const char log[] = "\xef\xbb\xbf\"a\",b c\r\n\r\n1,\"x \"\"y\"\"\r\n\"\r\n\"2\",\r\n\n3,\"\"";
	static const int32_t a[] = {3, 4, 5};
	unsigned char g[512];
	MtlSys slow = mtl_sys;
	slow.read = read_one;
	for (int zip = 0; zip < 3; zip++) {
		size_t n = zip == 1 ? gzip(log, sizeof log - 1, g, sizeof g) : sizeof log - 1;
		if (zip == 2) n = ZSTD_compress(g, sizeof g, log, n, 1);
		const char *path = file_of("slow", zip ? (const void *)g : log, n);
		Run u = run(&slow, two_ids, &path, 1, training, 64);
		says(&u, MTL_OK, "");
		CU_ASSERT_EQUAL_FATAL(u.b.n, 3);
		CU_ASSERT_EQUAL(memcmp(u.b.column[0].id, a, sizeof a), 0);
		CU_ASSERT_EQUAL(u.b.column[1].id[0],
				2 + (int32_t)(XXH3_64bits("x \"y\"\r\n", 7) % (1 << 20)));
		CU_ASSERT_EQUAL(u.b.column[1].id[2], MTL_ROW_MISSING);
		done(&u, &slow);
	}
}

/* Whatever the bytes: an end without a crash, rows read = used + rejected, and the same rows from slow reads.
 */
static void any_bytes(void)
{
	static const char some[] = "ab c,,,\"\"\n\n\r1234567\0";
	MtlSys slow = mtl_sys;
	slow.read = read_one;
	uint64_t s = 5;
	for (int i = 0; i < 1000; i++) {
		char log[256] = "a,b c\n";
		size_t n = 6;
		for (int k = 0; k < 60; k++) {
			s = s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			log[n++] = some[(s >> 40) %
					(sizeof some - (i % 2 ? 2 : 1))]; /* every other file without NUL */
		}
		const char *path = file_of("any.csv", log, n);
		MtlReaderOptions o = {.bad_rows = MTL_BAD_SKIP, .max_bad_rows = -1};
		Run u = run(&mtl_sys, two_ids, &path, 1, o, 128), v = run(&slow, two_ids, &path, 1, o, 128);
		says(&u, MTL_OK, "");
		says(&v, MTL_OK, "");
		CU_ASSERT_EQUAL(u.n.read, u.n.used + u.n.rejected);
		CU_ASSERT_EQUAL(memcmp(&u.n, &v.n, sizeof u.n), 0);
		CU_ASSERT_EQUAL(u.b.n, v.b.n);
		CU_ASSERT_EQUAL(memcmp(u.b.column[1].id, v.b.column[1].id, (size_t)u.b.n * 4), 0);
		done(&u, &mtl_sys);
		done(&v, &slow);
	}
}

/* A cell keeps what its quotes protect. */
static void quoted_text(void)
{
	static const char *const pass[] = {"b c", "a"};
	const char *path = text_file("pass.csv", "a,b c\n1,\"x, \"\"y\"\"\nz\"\n2,\"\"\"\"\n3,\"\"\n");
	MtlReaderOptions o = {.passthrough = pass, .n_passthrough = 2};
	Run u = run(&mtl_sys, two_ids, &path, 1, o, 64);
	static const char expected[] = "x, \"y\"\nz\0"
				       "1\0"
				       "\"\0"
				       "2\0"
				       "\0"
				       "3";
	CU_ASSERT_EQUAL(u.b.n, 3);
	CU_ASSERT_EQUAL(u.b.n_pass, 2);
	CU_ASSERT_EQUAL(u.b.pass_len, (int64_t)sizeof expected);
	CU_ASSERT_EQUAL(memcmp(u.b.pass_text, expected, sizeof expected), 0);
	done(&u, &mtl_sys);
}

/* More text than any buffer: rows across every boundary, in batches that do not divide them. */
static void longer_than_the_buffer(void)
{
	enum { ROWS = 200000 };
	size_t cap = ROWS * 40 + 16, n = 0;
	char *text = malloc(cap);
	n += (size_t)sprintf(text, "b c,a\n");
	for (int i = 0; i < ROWS; i++)
		n += (size_t)sprintf(text + n, i % 3 ? "some text %d,%d\n" : "\"some \"\"text\"\"\n%d\",%d\n",
				     i, i % 1000);
	const char *path = file_of("long.csv", text, n);
	Run u = run(&mtl_sys, two_ids, &path, 1, training, 777);
	int64_t rows = 0, wrong = 0;
	double progress = 0;
	while (!u.st && u.b.n > 0) {
		CU_ASSERT_EQUAL(u.b.first_row, rows);
		for (int64_t i = 0; i < u.b.n; i++) {
			char cell[64];
			int64_t k = rows + i;
			int len =
			    snprintf(cell, sizeof cell, k % 3 ? "some text %d" : "some \"text\"\n%d", (int)k);
			wrong += u.b.column[0].id[i] != 2 + (int32_t)(k % 1000);
			wrong +=
			    u.b.column[1].id[i] != 2 + (int32_t)(XXH3_64bits(cell, (size_t)len) % (1 << 20));
		}
		rows += u.b.n;
		CU_ASSERT(mtl_reader_progress(u.r) >= progress);
		progress = mtl_reader_progress(u.r);
		u.st = mtl_reader_next(u.r, &u.b, &u.e);
	}
	CU_ASSERT_EQUAL(rows, ROWS);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(progress, 1);
	done(&u, &mtl_sys);
	free(text);
}

static void compressed_files(void)
{
	static const int32_t a[] = {3, 4, 5};
	static const char one[] = "a,b c\n1,x\n2", rest[] = ",y\n3,z\n";
	unsigned char g[512], z[512];
	size_t n = gzip(one, strlen(one), g, sizeof g), n1 = n;
	n += gzip(rest, strlen(rest), g + n, sizeof g - n);
	rows_are("two.gz", g, n, a, 3);
	memset(g + n, 0, 20); /* padding of tapes */
	rows_are("padded.gz", g, n + 20, a, 3);
	size_t k = ZSTD_compress(z, sizeof z, one, strlen(one), 3), k1 = k;
	k += ZSTD_compress(z + k, sizeof z - k, rest, strlen(rest), 3);
	rows_are("two.zst", z, k, a, 3);

	/* Cut anywhere but between members, it is never a shorter log. */
	for (size_t cut = 2; cut < n; cut++) {
		if (cut == n1) continue;
		const char *path = file_of("cut.gz", g, cut);
		Run u = run(&mtl_sys, two_ids, &path, 1, training, 64);
		says(&u, MTL_DATA, "cut off");
		CU_ASSERT_STRING_EQUAL(u.e.code, "D0006");
		done(&u, &mtl_sys);
	}
	for (size_t cut = 4; cut < k; cut++) {
		if (cut == k1) continue;
		const char *path = file_of("cut.zst", z, cut);
		Run u = run(&mtl_sys, two_ids, &path, 1, training, 64);
		says(&u, MTL_DATA, "cut off");
		done(&u, &mtl_sys);
	}
	/* Damage in the checksum, and text behind the end. */
	g[n - 8] ^= 1;
	const char *path = file_of("bad.gz", g, n);
	Run u = run(&mtl_sys, two_ids, &path, 1, training, 64);
	says(&u, MTL_DATA, "bad.gz: error[D0005]: the compressed data are damaged");
	done(&u, &mtl_sys);
	g[n - 8] ^= 1;
	memcpy(g + n, "hello", 5);
	path = file_of("tail.gz", g, n + 5);
	u = run(&mtl_sys, two_ids, &path, 1, training, 64);
	says(&u, MTL_DATA, "D0005");
	done(&u, &mtl_sys);
	memcpy(z + k, "hello", 5);
	path = file_of("tail.zst", z, k + 5);
	u = run(&mtl_sys, two_ids, &path, 1, training, 64);
	says(&u, MTL_DATA, "D0005");
	done(&u, &mtl_sys);
}

static void files_that_are_none(void)
{
	const char *path = folder;
	Run u = run(&mtl_sys, two_ids, &path, 1, training, 64);
	says(&u, MTL_SYSTEM, "error[F0102]: is a directory");
	done(&u, &mtl_sys);
	path = path_of("absent.csv");
	u = run(&mtl_sys, two_ids, &path, 1, training, 64);
	says(&u, MTL_SYSTEM, "absent.csv: error[F0101]: cannot open: No such file");
	done(&u, &mtl_sys);
	path = text_file("empty.csv", "");
	u = run(&mtl_sys, two_ids, &path, 1, training, 64);
	says(&u, MTL_DATA, "empty.csv:1:1: error[D0001]: no header line");
	done(&u, &mtl_sys);
}

static void columns_by_name(void)
{
	const char *path[2] = {text_file("names.csv", "A,a b,b_c,a\n"), NULL};
	Run u = run(&mtl_sys, two_ids, path, 1, training, 64);
	says(&u, MTL_DATA, "names.csv:1:1: error[D0002]: no column \"b c\" (feature); did you mean \"b_c\"?");
	done(&u, &mtl_sys);
	path[0] = text_file("headless.csv", "1700,shoe,0.5\n1800,hats,1.5\n");
	u = run(&mtl_sys, two_ids, path, 1, training, 64);
	says(&u, MTL_DATA, "no column \"a\" (feature), nor any other: is the first line a header?");
	done(&u, &mtl_sys);
	path[0] = text_file("twice.csv", "a,x,x,b c,a\n");
	u = run(&mtl_sys, two_ids, path, 1, training, 64);
	says(&u, MTL_DATA, "twice.csv:1:5: error[D0003]: column \"a\" is there twice, also at 1");
	done(&u, &mtl_sys);
	/* The second file is looked at before the first row of the first is read. */
	path[0] = text_file("first.csv", "a,b c\n1,x\n");
	path[1] = text_file("second.csv", "a,bc\n1,x\n");
	u = run(&mtl_sys, two_ids, path, 2, training, 64);
	says(&u, MTL_DATA, "second.csv:1:1: error[D0002]: no column \"b c\" (feature); did you mean \"bc\"?");
	CU_ASSERT_PTR_NULL(u.r);
	done(&u, &mtl_sys);
}

/* JSON lines: what is missing, what is no object, what is kept of it, and CSV beside it. */
static void json_lines(void)
{
	const char *path[2] = {text_file("no.jsonl", "{\"a\":1,\"bc\":2}\n"), NULL};
	Run u = run(&mtl_sys, two_ids, path, 1, training, 64);
	says(&u, MTL_DATA, "no.jsonl:1:1: error[D0002]: no column \"b c\" (feature); did you mean \"bc\"?");
	done(&u, &mtl_sys);
	path[0] = text_file("empty.jsonl", "");
	u = run(&mtl_sys, two_ids, path, 1, training, 64);
	says(&u, MTL_DATA, "error[D0001]");
	done(&u, &mtl_sys);
	path[0] = text_file("bad.jsonl", "{\"a\":1,\"b c\":2}\n\n{\"a\":1\n");
	u = run(&mtl_sys, two_ids, path, 1, training, 64);
	says(&u, MTL_DATA, "bad.jsonl:3:1: error[D0117]: not a JSON object: ");
	done(&u, &mtl_sys);
	path[0] = text_file(
	    "all.jsonl", "{\"a\":1,\"b c\":2}\n[1,2]\n{\"a\":1,\"a\":2}\nx\n{\"b c\":{\"d\":1},\"a\":\"2\"}\n"
			 "{\"a\":3,\"b c\":\"\\u0000\"}\n");
	path[1] = text_file("more.csv", "b c,a\nx,4\nx,9,1\n");
	const char *rejects = path_of("rejects.jsonl");
	u = run(&mtl_sys, two_ids, path, 2,
		(MtlReaderOptions){.bad_rows = MTL_BAD_SKIP, .max_bad_rows = -1, .rejects = rejects}, 64);
	says(&u, MTL_OK, "");
	static const int32_t a[] = {3, 4, 6};
	CU_ASSERT_EQUAL_FATAL(u.b.n, 3);
	CU_ASSERT_EQUAL(memcmp(u.b.column[0].id, a, sizeof a), 0);
	CU_ASSERT_EQUAL(u.b.column[1].id[1], (int32_t)(XXH3_64bits("{\"d\":1}", 7) % (1 << 20)) + 2);
	CU_ASSERT_EQUAL(u.n.bad_shape, 5);
	done(&u, &mtl_sys);
	CU_ASSERT_STRING_EQUAL(slurp(rejects),
			       "[1,2]\n{\"a\":1,\"a\":2}\nx\n{\"a\":3,\"b c\":\"\\u0000\"}\nb c,a\nx,9,1\n");
	/* A label that comes late is no less a label; a number of 17 digits is read back as it was. */
	path[0] = text_file("late.jsonl", "");
	FILE *f = fopen(path[0], "w");
	for (int i = 0; i < 2000; i++)
		fprintf(f, "{\"a\":%d,\"b c\":0.10000000000000001%s}\n", i % 900, i < 1500 ? "" : ",\"c\":1");
	fclose(f);
	static const int16_t column[] = {0};
	static const char *const labels[] = {"c"};
	static const MtlEvent event = {"c", -1, column, 1};
	MtlModel m = two_ids;
	m.label_column = labels;
	m.n_label_column = 1;
	m.event = &event;
	m.n_event = 1;
	path[1] = text_file("c.csv", "a,b c,c\n1,0.1,0\n");
	u = run(&mtl_sys, m, path, 2, training, 2001);
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL_FATAL(u.b.n, 2001);
	CU_ASSERT(u.b.can0[0][1499] == 1 && u.b.can0[0][1500] == 0 && u.b.can1[0][2000] == 0);
	CU_ASSERT_EQUAL(u.b.column[1].id[1999], u.b.column[1].id[2000]);
	done(&u, &mtl_sys);
}

/* Memory that gives out anywhere while JSON is read is said, and nothing is leaked. */
static void json_without_memory(void)
{
	const char *path = text_file("memory.jsonl", "{\"a\":1,\"b c\":\"x\"}\n{\"a\":[1],\"b c\":2}\n");
	for (long k = 1; k < 100; k++) {
		MtlFaults f;
		mtl_faults_init(&f);
		f.fail_alloc = k;
		Run u = run(&f.sys, two_ids, &path, 1, training, 64);
		bool reached = f.n_alloc >= k;
		CU_ASSERT_EQUAL(u.st, reached ? MTL_LIMIT : MTL_OK);
		done(&u, &f.sys);
		if (!reached) return;
	}
	CU_FAIL("more than 100 allocations");
}

/* Logs of different tasks: a label column may be absent from a file, not from all. */
static void labels_of_some_files(void)
{
	static const MtlEvent ab[] = {{"click", -1, l_click, 1}, {"act", -1, l_act, 3}};
	MtlModel m = {.feature = two,
		      .n_feature = 2,
		      .label_column = label_columns,
		      .n_label_column = 3,
		      .event = ab,
		      .n_event = 2};
	const char *path[2] = {text_file("p.csv", "a,b c,clk\n1,x,1\n"),
			       text_file("q.csv", "wish,a,b c,cart\n0,1,x,0\n,1,x,1\n")};
	Run u = run(&mtl_sys, m, path, 2, training, 64);
	says(&u, MTL_OK, "");
	const float can1[2][3] = {{1, 1, 1}, {1, 0, 1}}, can0[2][3] = {{0, 1, 1}, {1, 1, 0}};
	CU_ASSERT_EQUAL_FATAL(u.b.n, 3);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(memcmp(u.b.can1[i], can1[i], sizeof can1[i]), 0);
		CU_ASSERT_EQUAL(memcmp(u.b.can0[i], can0[i], sizeof can0[i]), 0);
	}
	done(&u, &mtl_sys);
	u = run(&mtl_sys, m, path, 1, training, 64);
	says(&u, MTL_DATA, "p.csv:1:1: error[D0004]: no column \"cart\" (label) in any file");
	CU_ASSERT_PTR_NULL(u.r);
	done(&u, &mtl_sys);
	m.weight_column = "w";
	path[0] = text_file("w.csv", "a,b c,clk,cart,wish\n1,x,1,,\n");
	u = run(&mtl_sys, m, path, 1, training, 64);
	says(&u, MTL_DATA, "D0002]: no column \"w\" (row weight)");
	done(&u, &mtl_sys);
	/* A scorer needs none of them. */
	path[0] = text_file("p.csv", "a,b c\n1,x\n");
	u = run(&mtl_sys, m, path, 1, (MtlReaderOptions){0}, 64);
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL(u.b.n, 1);
	done(&u, &mtl_sys);
}

/* A pipe cannot be looked into beforehand: what it lacks is known when it is reached, a label at the end. */
static void from_a_pipe(void)
{
	static const MtlEvent click[] = {{"click", -1, l_click, 1}};
	static const char *const log[] = {"b c,a,clk\nx,1,1\ny,2,0\n", "b c,a\nx,1\n", "b c,clk\nx,1\n"};
	static const char *const error[] = {"",
					    "stdin:1:1: error[D0004]: no column \"clk\" (label) in any file",
					    "stdin:1:1: error[D0002]: no column \"a\""};
	MtlModel m = {.feature = two,
		      .n_feature = 2,
		      .label_column = label_columns,
		      .n_label_column = 1,
		      .event = click,
		      .n_event = 1};
	int keep = dup(0);
	for (int i = 0; i < 3; i++) {
		int end[2];
		if (pipe(end) != 0 || write(end[1], log[i], strlen(log[i])) < 0) abort();
		close(end[1]);
		dup2(end[0], 0);
		close(end[0]);
		const char *path = "-";
		Run u = run(&mtl_sys, m, &path, 1, training, 64);
		says(&u, i ? MTL_DATA : MTL_OK, error[i]);
		CU_ASSERT_EQUAL(u.b.n, i ? 0 : 2);
		if (i == 0) CU_ASSERT_EQUAL(mtl_reader_progress(u.r), 1);
		done(&u, &mtl_sys);
	}
	dup2(keep, 0);
	close(keep);
}

static void bad_cells_are_named(void)
{
	refused("u,F,20,,\"12,50\",1,0,,,,,,",
		"log.csv:2:5: error[D0107]: column \"price\" is not a number: \"12,50\"");
	refused("u,F,old,,1,1,0,,,,,,", "log.csv:2:3: error[D0107]: column \"age\" is not a number: \"old\"");
	refused("u,F,20,,-1,1,0,,,,,,", "log.csv:2:5: error[D0111]: column \"price\" has no log1p");
	refused("u,F,20,,1,1,2,,,,,,",
		"log.csv:2:7: error[D0112]: column \"clk\" is a label and must be 0, 1 or empty: \"2\"");
	refused("u,F,20,,1,1,1.0,,,,,,", "log.csv:2:7: error[D0112]");
	refused("u,F,20,,1,1,1,,,,x,,", "log.csv:2:11: error[D0107]: column \"watch\" is not a number");
	refused("u,F,20,,1,1,1,,,,,-1,", "log.csv:2:12: error[D0113]: column \"w\" is the row weight");
	refused("u,F,20,,1,1,0,,,", "log.csv:2:11: error[D0101]: the row has 10 cells, the header has 13");
	refused("u,F,20,,1,1,0,,,,,,,,", "log.csv:2:14: error[D0101]: the row has 15 cells");
	refused("u,F,2\"0,,1,1,0,,,,,,", "log.csv:2:3: error[D0102]: a quote within a cell");
	refused("u,\"F\"x,20,,1,1,0,,,,,,", "log.csv:2:2: error[D0102]: text after a closing quote");
	refused("u,\"F,20,,1,1,0,,,,,,", "log.csv:2:2: error[D0102]: a quote is opened and never closed");
	/* The line is where the row begins, and a quoted cell may hold lines. */
	refused("\"u\n\n\",F,20,,1,1,0,,,,,,\nu,F,x,,1,1,0,,,,,,", "log.csv:5:3: error[D0107]");
	refused("u,F,20,,1,1,0,,,1,,,",
		"log.csv:2:10: error[D0114]: event \"buy\" is 1 but \"click\", which it needs, is 0");
	refused("u,F,20,,1\x01"
		"0000000000000000000000000000000000000000000000000000000000000000000,1,0,,,,,,",
		"\"1\\x010000000000000000000000000000000000000000000000000000000000...\"");
}

static void missing_is_an_error_without_a_policy(void)
{
	MtlFeature f[] = {{.name = "x", .column = "x", .kind = MTL_NUMBER, .same_code = -1},
			  {.name = "y",
			   .column = "y",
			   .kind = MTL_NUMBER,
			   .missing = MTL_MISSING_VALUE,
			   .missing_value = 2.5,
			   .same_code = -1}};
	MtlModel m = {.feature = f, .n_feature = 2};
	const char *path = text_file("m.csv", "x,y\n1,\n-1e38,7\n,7\n");
	Run u = run(&mtl_sys, m, &path, 1, (MtlReaderOptions){.bad_rows = MTL_BAD_NULL}, 64);
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL_FATAL(u.b.n, 3);
	CU_ASSERT_EQUAL(u.b.column[0].real[1], -1e38f);
	CU_ASSERT_EQUAL(u.b.column[1].real[0], 2.5f);
	CU_ASSERT_EQUAL(u.b.column[1].present[0], 1);
	CU_ASSERT_EQUAL(u.b.bad[0], false);
	CU_ASSERT_EQUAL(u.b.bad[2], true);
	CU_ASSERT_EQUAL(u.b.column[1].real[2], 0);
	CU_ASSERT_EQUAL(u.n.missing_value, 1);
	CU_ASSERT_EQUAL(u.n.used, 2);
	done(&u, &mtl_sys);
	u = run(&mtl_sys, m, &path, 1, (MtlReaderOptions){0}, 64);
	says(&u, MTL_DATA, "m.csv:4:1: error[D0108]: column \"x\" is empty");
	done(&u, &mtl_sys);
	path = text_file("m2.csv", "x,y\n1e39,1\n");
	u = run(&mtl_sys, m, &path, 1, (MtlReaderOptions){0}, 64);
	says(&u, MTL_DATA, "m2.csv:2:1: error[D0111]: column \"x\" is out of the range");
	done(&u, &mtl_sys);
}

/* One stray quote, one NUL, one short row: three rows lost, the others there, the rejects as they stood. */
static void skipping(void)
{
	static const char log[] = "a,b c\n1,x\n2,\"y\n3,z\n4,n\0l\n5\n6,w\n7,x\"\n8,w\n";
	const char *path[2] = {file_of("skip.csv", log, sizeof log - 1),
			       text_file("skip2.csv", "b c,a\nx,9,1")};
	const char *rejects = path_of("rejects.csv");
	MtlReaderOptions o = {.bad_rows = MTL_BAD_SKIP, .max_bad_rows = 5, .rejects = rejects};
	Run u = run(&mtl_sys, two_ids, path, 2, o, 64);
	says(&u, MTL_OK, "");
	static const int32_t a[] = {3, 5, 8, 10};
	CU_ASSERT_EQUAL_FATAL(u.b.n, 4);
	CU_ASSERT_EQUAL(memcmp(u.b.column[0].id, a, sizeof a), 0);
	CU_ASSERT_EQUAL(u.n.read, 9);
	CU_ASSERT_EQUAL(u.n.used, 4);
	CU_ASSERT_EQUAL(u.n.rejected, 5);
	CU_ASSERT_EQUAL(u.n.bad_shape, 5);
	done(&u, &mtl_sys);
	CU_ASSERT_EQUAL(u.st, MTL_OK);
	char *text = slurp(rejects);
	static const char expected[] = "a,b c\n2,\"y\n4,n\0l\n5\n7,x\"\nb c,a\nx,9,1\n";
	CU_ASSERT_EQUAL(memcmp(text, expected, sizeof expected), 0);
	o.max_bad_rows = 4;
	u = run(&mtl_sys, two_ids, path, 2, o, 64);
	says(&u, MTL_DATA,
	     "skip2.csv:2:3: error[D0120]: more than 4 bad rows; this one: the row has 3 cells, the header "
	     "has 2 (D0101)");
	done(&u, &mtl_sys);
}

static void null_rows_keep_their_place(void)
{
	static const char *const pass[] = {"price", "user"};
	MtlReaderOptions o = {.bad_rows = MTL_BAD_NULL, .passthrough = pass, .n_passthrough = 2};
	Run u = run_text("user,sex,age,tags,price\nu,F,20,1|2,1\nv,M,30,3|4,x\nw,M,30\nx,F,20,5,2\n",
			 MTL_CONTRADICTION_FAIL, o);
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL_FATAL(u.b.n, 4);
	static const bool is_bad[] = {false, true, true, false};
	CU_ASSERT_EQUAL(memcmp(u.b.bad, is_bad, sizeof is_bad), 0);
	static const int32_t start[] = {0, 2, 2, 2, 3}, item[] = {3, 4, 7};
	CU_ASSERT_EQUAL(memcmp(u.b.column[TAGS].bag_start, start, sizeof start), 0);
	CU_ASSERT_EQUAL(memcmp(u.b.column[TAGS].bag_item, item, sizeof item), 0);
	CU_ASSERT_EQUAL(u.b.column[USER].id[1], MTL_ROW_MISSING);
	static const char text[] = "1\0u\0x\0v\0\0\0"
				   "2\0x";
	CU_ASSERT_EQUAL(u.b.pass_len, (int64_t)sizeof text);
	CU_ASSERT_EQUAL(memcmp(u.b.pass_text, text, sizeof text), 0);
	done(&u, &mtl_sys);
}

/* click, cart, wish, pay of one row under a policy: can1 and can0 of click, act, buy as bits 0, 1, 2. */
static void contradiction(MtlContradiction policy, const char *labels, int64_t rows, int can1, int can0,
			  int64_t repaired)
{
	char log[512];
	snprintf(log, sizeof log, HEADER "\nu,F,20,,1,1,%s,,,\n", labels);
	Run u = run_text(log, policy, training);
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL(u.b.n, rows);
	CU_ASSERT_EQUAL(u.n.repaired, repaired);
	CU_ASSERT_EQUAL(u.n.dropped, rows ? 0 : 1);
	int got1 = 0, got0 = 0;
	for (int i = 0; rows && u.b.n && i < 3; i++) {
		got1 |= (u.b.can1[i][0] == 1) << i;
		got0 |= (u.b.can0[i][0] == 1) << i;
	}
	if (got1 != can1 || got0 != can0)
		fprintf(stderr, "policy %d, %s: %d %d\n", policy, labels, got1, got0);
	CU_ASSERT_EQUAL(got1, can1);
	CU_ASSERT_EQUAL(got0, can0);
	done(&u, &mtl_sys);
}

static void contradictions(void)
{
	contradiction(MTL_CONTRADICTION_DROP, "0,1,0,0", 0, 0, 0, 0);
	contradiction(MTL_CONTRADICTION_DROP, "1,1,0,1", 1, 7, 0, 0);
	contradiction(MTL_CONTRADICTION_ZERO, "0,1,0,1", 1, 0, 7, 1);
	contradiction(MTL_CONTRADICTION_ZERO, "1,0,0,1", 1, 1, 6, 1);
	contradiction(MTL_CONTRADICTION_ZERO, "0,,,1", 1, 0, 7, 1); /* buy under an open act under no click */
	contradiction(MTL_CONTRADICTION_FORCE, "0,0,0,1", 1, 7, 0, 1);
	contradiction(MTL_CONTRADICTION_FORCE, "0,1,,0", 1, 3, 4, 1);
	contradiction(MTL_CONTRADICTION_FAIL, ",,,1", 1, 7, 0, 0); /* a purchase tells the rest */
	contradiction(MTL_CONTRADICTION_FAIL, ",0,,1", 1, 7, 0,
		      0); /* cart | wish is open, and settled by the purchase */
	contradiction(MTL_CONTRADICTION_FAIL, "0,0,0,0", 1, 0, 7, 0);
	contradiction(MTL_CONTRADICTION_FAIL, "1,0,,", 1, 7, 6, 0);
}

/* A row of 64 MiB and more is given up, and reading goes on behind it. */
static void a_row_without_end(void)
{
	enum { N = (64 << 20) + 1000 };
	char *text = malloc(N + 64);
	size_t n = (size_t)sprintf(text, "a,b c\n1,x\n2,");
	memset(text + n, 'y', N);
	n += N;
	n += (size_t)sprintf(text + n, "\n3,z\n4,\"");
	const char *path = file_of("endless.csv", text, n);
	free(text);
	Run u = run(&mtl_sys, two_ids, &path, 1, (MtlReaderOptions){.bad_rows = MTL_BAD_NULL}, 64);
	says(&u, MTL_OK, "");
	CU_ASSERT_EQUAL(u.b.n, 4);
	CU_ASSERT_EQUAL(u.b.column[0].id[2], 5);
	CU_ASSERT_EQUAL(u.n.bad_shape, 2);
	done(&u, &mtl_sys);
	u = run(&mtl_sys, two_ids, &path, 1, (MtlReaderOptions){0}, 64);
	says(&u, MTL_DATA, "endless.csv:3:1: error[D0104]: a row of more than 64 MiB");
	done(&u, &mtl_sys);
	unlink(path);
}

/* Every allocation, open, read and write that can fail does, once: an error, no leak, never other rows. */
static void the_nth_call_fails(void)
{
	unsigned char g[4096];
	size_t n = 0;
	static const char log[] = "user,sex,age,tags,price,position,clk,cart,wish,pay,watch,w,q\n"
				  "\"u\"\"1\",F,20,1|2|3,1,1,1,0,1,0,1,1,q\nu,F,x,,1,1,0,,,,,,\n";
	n = gzip(log, strlen(log), g, sizeof g);
	size_t k = ZSTD_compress(g + n, sizeof g - n, log, strlen(log), 1);
	const char *path[] = {file_of("f.gz", g, n), file_of("f.zst", g + n, k), text_file("f.csv", log)};
	MtlReaderOptions o = {
	    .labels = true, .bad_rows = MTL_BAD_SKIP, .max_bad_rows = -1, .rejects = path_of("r.csv")};
	long calls[4] = {0};
	for (int what = -1; what < 4; what++) {
		for (long at = 1; at <= (what < 0 ? 1 : calls[what]); at++) {
			MtlFaults f;
			mtl_faults_init(&f);
			long *const fail[] = {&f.fail_alloc, &f.fail_open, &f.fail_read, &f.fail_write};
			if (what >= 0) *fail[what] = at;
			Run u = run(&f.sys, model(MTL_CONTRADICTION_FAIL), path, 3, o, 8);
			if (!u.st) CU_ASSERT_EQUAL(u.b.n, 3);
			if (!u.st && what != 3) CU_ASSERT_EQUAL(u.n.rejected, 3);
			done(&u, &f.sys);
			if (what < 0) {
				CU_ASSERT_EQUAL(u.st, MTL_OK);
				calls[0] = f.n_alloc;
				calls[1] = f.n_open;
				calls[2] = f.n_read;
				calls[3] = f.n_write;
				continue;
			}
			if (u.st != (what == 0 ? MTL_LIMIT : MTL_SYSTEM))
				fprintf(stderr, "call %d.%ld: %d %s\n", what, at, u.st, u.e.text);
			CU_ASSERT_EQUAL(u.st, what == 0 ? MTL_LIMIT : MTL_SYSTEM);
			CU_ASSERT_NOT_EQUAL(u.e.text[0], '\0');
		}
	}
	CU_ASSERT(calls[0] > 30 && calls[1] >= 6 && calls[2] >= 6 && calls[3] == 1);
}

/* In the steady state nothing is allocated. */
static void no_allocation_between_batches(void)
{
	enum { ROWS = 20000 };
	char *text = malloc(ROWS * 64 + 256);
	size_t n = (size_t)sprintf(text, HEADER "\n");
	for (int i = 0; i < ROWS; i++)
		n += (size_t)sprintf(text + n, "u%d,M,%d,%d|%d:2,1.5,%d,1,0,1,0,2,1,q\n", i % 97, i % 60,
				     i % 50, i % 40, i % 9);
	const char *path = file_of("steady.csv", text, n);
	free(text);
	MtlFaults f;
	mtl_faults_init(&f);
	Run u = run(&f.sys, model(MTL_CONTRADICTION_FAIL), &path, 1, training, 100);
	long before = f.n_alloc;
	int64_t rows = u.b.n;
	while (!u.st && u.b.n > 0) {
		u.st = mtl_reader_next(u.r, &u.b, &u.e);
		rows += u.b.n;
	}
	CU_ASSERT_EQUAL(rows, ROWS);
	CU_ASSERT_EQUAL(f.n_alloc, before);
	done(&u, &f.sys);
}

int main(void)
{
	snprintf(folder, sizeof folder, "/tmp/mtl_reader_%ld", (long)getpid());
	if (mkdir(folder, 0700) != 0) return 1;
	CU_pSuite s = suite_begin("reader");
	CU_ADD_TEST(s, every_kind_of_cell);
	CU_ADD_TEST(s, shapes_of_files);
	CU_ADD_TEST(s, one_byte_at_a_time);
	CU_ADD_TEST(s, any_bytes);
	CU_ADD_TEST(s, quoted_text);
	CU_ADD_TEST(s, longer_than_the_buffer);
	CU_ADD_TEST(s, compressed_files);
	CU_ADD_TEST(s, files_that_are_none);
	CU_ADD_TEST(s, columns_by_name);
	CU_ADD_TEST(s, every_kind_of_cell_in_json);
	CU_ADD_TEST(s, json_lines);
	CU_ADD_TEST(s, json_without_memory);
	CU_ADD_TEST(s, labels_of_some_files);
	CU_ADD_TEST(s, from_a_pipe);
	CU_ADD_TEST(s, bad_cells_are_named);
	CU_ADD_TEST(s, missing_is_an_error_without_a_policy);
	CU_ADD_TEST(s, skipping);
	CU_ADD_TEST(s, null_rows_keep_their_place);
	CU_ADD_TEST(s, contradictions);
	CU_ADD_TEST(s, a_row_without_end);
	CU_ADD_TEST(s, the_nth_call_fails);
	CU_ADD_TEST(s, no_allocation_between_batches);
	int failed = suite_end();
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) != 0 || failed != 0;
}
