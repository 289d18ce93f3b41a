/*
 * The model file: exact bytes, refusal of every damage, and a writer that any failing call leaves without
 * traces.
 */
#include "runtime/store.h"
#include "suite.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- a folder of our own ---- */

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[8][400];
	static int turn;
	char *p = path[turn++ % 8];
	snprintf(p, 400, "%s/%s", folder, name);
	return p;
}

static int files_in_folder(void)
{
	DIR *d = opendir(folder);
	int n = 0;
	while (readdir(d)) n++;
	closedir(d);
	return n - 2; /* . and .. */
}

static int make_folder(void)
{
	strcpy(folder, "/tmp/test_store.XXXXXX");
	return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void)
{
	DIR *d = opendir(folder);
	for (struct dirent *f; (f = readdir(d));)
		if (f->d_name[0] != '.') unlink(in_folder(f->d_name));
	closedir(d);
	return rmdir(folder);
}

static char *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	*n = 0;
	if (!f) return NULL;
	char *p = malloc(1 << 22);
	*n = fread(p, 1, 1 << 22, f);
	fclose(f);
	return p;
}

static void spill(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");
	CU_ASSERT_EQUAL_FATAL(fwrite(p, 1, n, f), n);
	fclose(f);
}

/* ---- a small model ---- */

static const float weight[6] = {1, -2.5f, 3, 0.125f, 1e-30f, -0.0f}, bias[2] = {7, 8}, scalar[1] = {42};
static const MtlTensor small[] = {
    {.name = "tower.0.weight", .n_dim = 2, .dim = {3, 2}, .data = weight},
    {.name = "tower.0.bias", .n_dim = 1, .dim = {2}, .data = bias},
    {.name = "gr\xc3\xb6\xc3\x9f"
	     "e \"x\"",
     .n_dim = 0,
     .data = scalar},
};
static const MtlMeta meta[] = {{"mtlc.model", "news"}, {"note", "\"xxh3.header\":\"0123456789abcdef\" \n"}};

static MtlStatus write_small(const MtlSys *sys, const char *path, MtlError *e)
{
	return mtl_store_write(sys, path, small, 3, meta, 2, e);
}

static void is_small(const MtlStore *s)
{
	CU_ASSERT_EQUAL_FATAL(mtl_store_count(s), 3);
	for (int i = 0; i < 3; i++) {
		const MtlTensor *t = mtl_store_tensor(s, i);
		int64_t n = 1;
		CU_ASSERT_STRING_EQUAL(t->name, small[i].name);
		CU_ASSERT_EQUAL(t->n_dim, small[i].n_dim);
		for (int k = 0; k < t->n_dim; k++) {
			CU_ASSERT_EQUAL(t->dim[k], small[i].dim[k]);
			n *= t->dim[k];
		}
		CU_ASSERT_EQUAL(memcmp(t->data, small[i].data, (size_t)n * 4), 0);
		CU_ASSERT_PTR_EQUAL(mtl_store_find(s, t->name), t);
	}
	CU_ASSERT_PTR_NULL(mtl_store_find(s, "tower"));
	CU_ASSERT_STRING_EQUAL(mtl_store_meta(s, "mtlc.model"), "news");
	CU_ASSERT_STRING_EQUAL(mtl_store_meta(s, "note"), meta[1].value);
	CU_ASSERT_PTR_NULL(mtl_store_meta(s, "mtlc.digest"));
}

static void what_is_written_is_read(void)
{
	MtlError e = {0};
	MtlStore *s;
	const char *path = in_folder("model");
	CU_ASSERT_EQUAL_FATAL(write_small(&mtl_sys, path, &e), MTL_OK);
	for (int foreign = 0; foreign < 2; foreign++) {
		CU_ASSERT_EQUAL_FATAL(mtl_store_open(&s, &mtl_sys, path, foreign, &e), MTL_OK);
		is_small(s);
		CU_ASSERT_EQUAL((uintptr_t)mtl_store_tensor(s, 0)->data % 64, 0);
		mtl_store_close(s);
	}
	size_t n;
	char *bytes = slurp(path, &n), *odd = malloc(n + 1);
	/* Aligned memory is used as it is, other memory is copied. */
	CU_ASSERT_EQUAL_FATAL(mtl_store_open_memory(&s, &mtl_sys, bytes, n, "memory", &e), MTL_OK);
	is_small(s);
	CU_ASSERT_PTR_EQUAL(mtl_store_tensor(s, 0)->data, bytes + n - 36);
	mtl_store_close(s);
	memcpy(odd + 1, bytes, n);
	CU_ASSERT_EQUAL_FATAL(mtl_store_open_memory(&s, &mtl_sys, odd + 1, n, "memory", &e), MTL_OK);
	is_small(s);
	mtl_store_close(s);
	free(bytes);
	free(odd);
	unlink(path);
	CU_ASSERT_EQUAL(files_in_folder(), 0);
}

/* The bytes as docs/formats.md has them, put together by hand. */
static void exact_bytes(void)
{
	static const float x[2] = {1, 2};
	const MtlTensor t = {.name = "x", .n_dim = 1, .dim = {2}, .data = x};
	MtlError e = {0};
	char want[512], header[512], digest[17];
	snprintf(digest, sizeof digest, "%016llx", (unsigned long long)XXH3_64bits(x, 8));
	snprintf(header, sizeof header,
		 "{\"__metadata__\":{\"k\":\"v\",\"xxh3.x\":\"%s\",\"xxh3.header\":\"0000000000000000\"},"
		 "\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
		 digest);
	size_t len = strlen(header), all = (8 + len + 63) / 64 * 64;
	memset(header + len, ' ', all - 8 - len);
	snprintf(digest, sizeof digest, "%016llx", (unsigned long long)XXH3_64bits(header, all - 8));
	memcpy(strstr(header, "0000000000000000"), digest, 16);
	memset(want, 0, 8);
	want[0] = (char)(all - 8);
	memcpy(want + 8, header, all - 8);
	memcpy(want + all, x, 8);
	CU_ASSERT_FATAL(all - 8 < 256);

	const char *path = in_folder("exact");
	CU_ASSERT_EQUAL_FATAL(mtl_store_write(&mtl_sys, path, &t, 1, &(MtlMeta){"k", "v"}, 1, &e), MTL_OK);
	size_t n;
	char *bytes = slurp(path, &n);
	CU_ASSERT_EQUAL(n, all + 8);
	CU_ASSERT_EQUAL(memcmp(bytes, want, n), 0);
	free(bytes);
	unlink(path);
}

/* Rows that lie apart give the same file as dense ones, and can be read back to rows apart. */
static void rows_apart(void)
{
	MtlError e = {0};
	size_t n, m;
	float wide[3 * 5], back[3 * 7];
	for (int i = 0; i < 15; i++) wide[i] = NAN;
	for (int i = 0; i < 6; i++) wide[i / 2 * 5 + i % 2] = weight[i];
	MtlTensor t[3] = {small[0], small[1], small[2]};
	t[0].data = wide;
	t[0].stride = 5;
	const char *a = in_folder("a"), *b = in_folder("b");
	CU_ASSERT_EQUAL(write_small(&mtl_sys, a, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_store_write(&mtl_sys, b, t, 3, meta, 2, &e), MTL_OK);
	char *p = slurp(a, &n), *q = slurp(b, &m);
	CU_ASSERT_EQUAL(n, m);
	CU_ASSERT_EQUAL(memcmp(p, q, n), 0);
	free(p);
	free(q);

	MtlStore *s;
	CU_ASSERT_EQUAL_FATAL(mtl_store_open(&s, &mtl_sys, a, false, &e), MTL_OK);
	for (int i = 0; i < 21; i++) back[i] = -1;
	mtl_store_copy(mtl_store_tensor(s, 0), back, 7);
	for (int i = 0; i < 21; i++)
		CU_ASSERT_EQUAL(back[i], i % 7 < 2 && i / 7 < 3 ? weight[i / 7 * 2 + i % 7] : -1);
	mtl_store_copy(&t[0], back, 0);
	CU_ASSERT_EQUAL(memcmp(back, weight, sizeof weight), 0);
	mtl_store_copy(mtl_store_tensor(s, 2), back, 0);
	CU_ASSERT_EQUAL(back[0], 42);
	mtl_store_close(s);
	unlink(a);
	unlink(b);
}

/* ---- damage ---- */

static bool accepted(const void *p, size_t n)
{
	MtlError e = {0};
	MtlStore *s = (MtlStore *)&e;
	MtlStatus st = mtl_store_open_memory(&s, &mtl_sys, p, n, "memory", &e);
	if (st) {
		CU_ASSERT_EQUAL(st, MTL_REFUSED);
		CU_ASSERT_EQUAL(e.status, st);
		CU_ASSERT_EQUAL(e.code[0], 'F');
		CU_ASSERT_PTR_NULL(s);
	}
	mtl_store_close(s);
	return !st;
}

static bool accepted_file(const void *p, size_t n, bool foreign, MtlError *e)
{
	MtlStore *s;
	const char *path = in_folder("damaged");
	*e = (MtlError){0};
	spill(path, p, n);
	MtlStatus st = mtl_store_open(&s, &mtl_sys, path, foreign, e);
	mtl_store_close(s);
	unlink(path);
	CU_ASSERT(st == MTL_OK || st == MTL_REFUSED);
	return !st;
}

static char *small_bytes(size_t *n)
{
	MtlError e = {0};
	const char *path = in_folder("small");
	CU_ASSERT_EQUAL_FATAL(write_small(&mtl_sys, path, &e), MTL_OK);
	char *p = slurp(path, n);
	unlink(path);
	return p;
}

static void every_flipped_bit_is_refused(void)
{
	MtlError e;
	size_t n;
	char *p = small_bytes(&n);
	int taken = 0, taken_foreign = 0;
	CU_ASSERT_FATAL(accepted(p, n) && accepted_file(p, n, true, &e));
	for (size_t i = 0; i < 8 * n; i++) {
		p[i / 8] ^= (char)(1 << (i % 8));
		taken += accepted(p, n);
		taken_foreign += accepted_file(p, n, true, &e);
		p[i / 8] ^= (char)(1 << (i % 8));
	}
	CU_ASSERT_EQUAL(taken, 0);
	CU_ASSERT_EQUAL(taken_foreign, 0);
	CU_ASSERT(n > 500 && n < 1000);
	free(p);
}

static void every_truncation_is_refused(void)
{
	MtlError e;
	size_t n;
	char *p = small_bytes(&n);
	int taken = 0;
	for (size_t i = 0; i < n; i++) {
		char *exact = malloc(i ? i : 1); /* so that reading beyond is seen */
		memcpy(exact, p, i);
		taken += accepted(exact, i) + accepted_file(exact, i, false, &e) +
			 accepted_file(exact, i, true, &e);
		free(exact);
	}
	CU_ASSERT_EQUAL(taken, 0);
	free(p);
}

static void trailing_bytes_are_refused(void)
{
	MtlError e;
	size_t n;
	char *p = small_bytes(&n), *q = calloc(1, n + 64);
	memcpy(q, p, n);
	for (size_t more = 1; more <= 64; more++)
		CU_ASSERT(!accepted(q, n + more) && !accepted_file(q, n + more, true, &e));
	CU_ASSERT_STRING_EQUAL(e.code, "F0007");
	memcpy(q + n, p, 64);
	CU_ASSERT(!accepted(q, n + 64));
	free(p);
	free(q);
}

/* Two bytes swapped, a byte set, blocks moved: damage that is not a single bit. */
static void other_damage_is_refused(void)
{
	size_t n;
	char *p = small_bytes(&n), *q = malloc(n);
	int taken = 0;
	for (size_t i = 0; i + 1 < n; i++) {
		memcpy(q, p, n);
		if (q[i] != q[i + 1]) {
			q[i] = p[i + 1];
			q[i + 1] = p[i];
			taken += accepted(q, n);
		}
		static const char byte[] = {0, ' ', '"', '9', '}', '\n', '\xff'};
		for (size_t k = 0; k < sizeof byte; k++) {
			memcpy(q, p, n);
			q[i] = byte[k];
			if (p[i] != byte[k]) taken += accepted(q, n);
		}
		memcpy(q, p, n);
		memmove(q + i, q + i + 1, n - i - 1);
		if (memcmp(p, q, n) != 0) taken += accepted(q, n);
	}
	CU_ASSERT_EQUAL(taken, 0);
	free(p);
	free(q);
}

/* ---- files of other origin ---- */

static const char *foreign_code(const char *header, size_t data, const float *x)
{
	static MtlError e;
	char file[2048] = {0};
	size_t n = strlen(header);
	file[0] = (char)n;
	file[1] = (char)(n >> 8);
	memcpy(file + 8, header, n);
	if (x) memcpy(file + 8 + n, x, data);
	return accepted_file(file, 8 + n + data, true, &e) ? "taken" : e.code;
}

#define ENTRY(shape, from, to)	    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
#define FOREIGN(code, data, header) CU_ASSERT_STRING_EQUAL(foreign_code(header, data, NULL), code)

static void other_origin(void)
{
	FOREIGN("taken", 24, "{\"a\":" ENTRY("[2,3]", 0, 24) "}");
	FOREIGN("taken", 24, "{\"a\":" ENTRY("[2,3]", 0, 24) "}     ");
	FOREIGN("taken", 4, "{ \"a\" : " ENTRY("[]", 0, 4) " }");
	FOREIGN("taken", 8, "{\"b\":" ENTRY("[1]", 4, 8) ",\"a\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("taken", 4, "{\"__metadata__\":{\"format\":\"pt\"},\"a\":" ENTRY("[1,1,1,1]", 0, 4) "}");
	FOREIGN("taken", 0, "{}");

	FOREIGN("F0003", 0, "");
	FOREIGN("F0004", 24, " {\"a\":" ENTRY("[2,3]", 0, 24) "}");
	FOREIGN("F0004", 24, "{\"a\":" ENTRY("[2,3]", 0, 24) "}\n");
	FOREIGN("F0004", 24, "{\"a\":" ENTRY("[2,3]", 0, 24) "}{}");
	FOREIGN("F0004", 24, "{\"a\":" ENTRY("[2,3]", 0, 24) "},");
	FOREIGN("F0004", 8, "{\"a\":" ENTRY("[1]", 0, 4) ",\"a\":" ENTRY("[1]", 4, 8) "}");
	FOREIGN("F0004", 4,
		"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
	FOREIGN("F0004", 4, "{\"\xff\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0004", 4, "{\"a\\u0000\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0004", 4, "[1]");
	FOREIGN("F0004", 4, "{\"a\":" ENTRY("[99999999999999999999]", 0, 4) "}");
	FOREIGN("F0005", 4, "{\"__metadata__\":{\"format\":1},\"a\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0005", 4, "{\"__metadata__\":[],\"a\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0006", 4, "{\"a\":[]}");
	FOREIGN("F0006", 4, "{\"\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0006", 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0}}");
	FOREIGN("F0006", 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}");
	FOREIGN("F0006", 4, "{\"a\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
	FOREIGN("F0006", 4, "{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}");
	FOREIGN("F0006", 4, "{\"a\":" ENTRY("1", 0, 4) "}");
	FOREIGN("F0006", 4, "{\"a\":" ENTRY("[1.0]", 0, 4) "}");
	FOREIGN("F0006", 4, "{\"a\":" ENTRY("[-1,-1]", 0, 4) "}");
	FOREIGN("F0006", 0, "{\"a\":" ENTRY("[0]", 0, 0) "}");
	FOREIGN("F0006", 4, "{\"a\":" ENTRY("[1,1,1,1,1]", 0, 4) "}");
	/* 2^32 * 2^32 = 2^64 floats, 2^61 * 8 bytes: what wraps around must not pass. */
	FOREIGN("F0006", 0, "{\"a\":" ENTRY("[4294967296,4294967296]", 0, 0) "}");
	FOREIGN("F0006", 0, "{\"a\":" ENTRY("[4611686018427387904]", 0, 0) "}");
	FOREIGN("F0007", 4, "{\"a\":" ENTRY("[1]", 0, 8) "}");
	FOREIGN("F0007", 4, "{\"a\":" ENTRY("[1]", 4, 0) "}");
	FOREIGN("F0007", 4, "{\"a\":" ENTRY("[1]", -4, 0) "}");
	FOREIGN("F0007", 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4.0]}}");
	FOREIGN("F0007", 4, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}");
	FOREIGN("F0007", 8, "{\"a\":" ENTRY("[1]", 4, 8) "}");
	FOREIGN("F0007", 8, "{\"a\":" ENTRY("[1]", 0, 4) ",\"b\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0007", 12, "{\"a\":" ENTRY("[1]", 0, 4) ",\"b\":" ENTRY("[1]", 8, 12) "}");
	FOREIGN("F0007", 8, "{\"a\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0007", 0, "{\"a\":" ENTRY("[1]", 0, 4) "}");
	/* A digest, or a key of ours, makes it a file of ours. */
	FOREIGN("F0008", 4, "{\"__metadata__\":{\"mtlc.model\":\"x\"},\"a\":" ENTRY("[1]", 0, 4) "}");
	FOREIGN("F0009", 4, "{\"__metadata__\":{\"xxh3.header\":\"x\"},\"a\":" ENTRY("[1]", 0, 4) "}");

	static const float bad[3] = {NAN, INFINITY, -INFINITY};
	for (int i = 0; i < 3; i++) {
		const float x[3] = {1, bad[i], 2};
		CU_ASSERT_STRING_EQUAL(foreign_code("{\"a\":" ENTRY("[3]", 0, 12) "}", 12, x), "F0010");
	}
	MtlError e;
	CU_ASSERT(!accepted_file("\2\0\0\0\0\0\0\0{}", 10, false, &e));
	CU_ASSERT_STRING_EQUAL(e.code, "F0008");
	CU_ASSERT(!accepted_file("\2\0\0\0\0\0\0\1{}", 10, true, &e));
	CU_ASSERT_STRING_EQUAL(e.code, "F0003");
	CU_ASSERT(!accepted_file("user,item,price\n1,2,3\n", 22, true, &e));
	CU_ASSERT_STRING_EQUAL(e.code, "F0003");
	CU_ASSERT(!accepted_file("", 0, true, &e));
}

static void cannot_be_opened(void)
{
	MtlStore *s;
	MtlError e = {0};
	CU_ASSERT_EQUAL(mtl_store_open(&s, &mtl_sys, in_folder("none"), false, &e), MTL_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "none: error[F0001]: cannot open: No such file"));
	e = (MtlError){0};
	CU_ASSERT_EQUAL(mtl_store_open(&s, &mtl_sys, folder, false, &e), MTL_SYSTEM);
	e = (MtlError){0};
	const char *pipe = in_folder("pipe");
	CU_ASSERT_EQUAL(mkfifo(pipe, 0600), 0);
	CU_ASSERT_EQUAL(mtl_store_open(&s, &mtl_sys, pipe, false, &e), MTL_SYSTEM);
	e = (MtlError){0};
	CU_ASSERT_EQUAL(write_small(&mtl_sys, pipe, &e), MTL_SYSTEM);
	unlink(pipe);
}

/* ---- writing ---- */

static MtlStatus write_one(const MtlTensor t, const MtlMeta m, MtlError *e)
{
	*e = (MtlError){0};
	return mtl_store_write(&mtl_sys, in_folder("one"), &t, 1, &m, 1, e);
}

static void what_cannot_be_written(void)
{
	static const float x[2] = {1, NAN};
	MtlError e;
	const MtlTensor good = {.name = "a", .n_dim = 1, .dim = {1}, .data = x};
	const MtlMeta note = {"k", "v"};
	MtlTensor t = good;
	t.dim[0] = 2;
	CU_ASSERT_EQUAL(write_one(t, note, &e), MTL_NUMBERS);
	CU_ASSERT_STRING_EQUAL(e.code, "F0010");
	t.dim[0] = 0;
	CU_ASSERT_EQUAL(write_one(t, note, &e), MTL_REFUSED);
	t = good;
	static const char *const name[] = {"", "__metadata__", "header", "\xc3(", "\xff"};
	for (int i = 0; i < 5; i++) {
		t.name = name[i];
		CU_ASSERT_EQUAL(write_one(t, note, &e), MTL_REFUSED);
		CU_ASSERT_STRING_EQUAL(e.code, "F0006");
	}
	CU_ASSERT_EQUAL(write_one(good, (MtlMeta){"k", "\xff"}, &e), MTL_REFUSED);
	CU_ASSERT_EQUAL(write_one(good, (MtlMeta){"xxh3.b", "v"}, &e), MTL_REFUSED);
	CU_ASSERT_STRING_EQUAL(e.code, "F0005");
	e = (MtlError){0};
	const MtlTensor twice[2] = {good, good};
	CU_ASSERT_EQUAL(mtl_store_write(&mtl_sys, in_folder("one"), twice, 2, NULL, 0, &e), MTL_REFUSED);
	const MtlMeta same[2] = {note, note};
	e = (MtlError){0};
	CU_ASSERT_EQUAL(mtl_store_write(&mtl_sys, in_folder("one"), &good, 1, same, 2, &e), MTL_REFUSED);
	CU_ASSERT_EQUAL(files_in_folder(), 0);
}

/* Nothing at all is a valid file. */
static void nothing(void)
{
	MtlError e = {0};
	MtlStore *s;
	const char *path = in_folder("nothing");
	CU_ASSERT_EQUAL(mtl_store_write(&mtl_sys, path, NULL, 0, NULL, 0, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_store_open(&s, &mtl_sys, path, false, &e), MTL_OK);
	CU_ASSERT_EQUAL(mtl_store_count(s), 0);
	mtl_store_close(s);
	unlink(path);
}

/* The file behind a symbolic link is replaced, not the link; what a killed process left does not stand in the
 * way. */
static void links_and_leftovers(void)
{
	MtlError e = {0};
	struct stat info;
	char left[64];
	const char *real = in_folder("real"), *link = in_folder("link");
	spill(real, "old", 3);
	CU_ASSERT_EQUAL(symlink("real", link), 0);
	snprintf(left, sizeof left, "real.tmp.%ld.0", (long)getpid());
	spill(in_folder(left), "left", 4);
	CU_ASSERT_EQUAL(write_small(&mtl_sys, link, &e), MTL_OK);
	CU_ASSERT(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
	CU_ASSERT(stat(real, &info) == 0 && info.st_size > 500);
	CU_ASSERT_EQUAL(files_in_folder(), 3);
	unlink(in_folder(left));
	unlink(link);
	unlink(real);
	/* A path without a folder. */
	char here[4096];
	CU_ASSERT_PTR_NOT_NULL(getcwd(here, sizeof here));
	CU_ASSERT_EQUAL(chdir(folder), 0);
	CU_ASSERT_EQUAL(write_small(&mtl_sys, "plain", &e), MTL_OK);
	CU_ASSERT_EQUAL(files_in_folder(), 1);
	unlink("plain");
	CU_ASSERT_EQUAL(chdir(here), 0);
}

/* ---- failing calls ---- */

enum { ROWS = 700, WIDE = 300, STRIDE = 301 };

/* Several writes: one tensor longer than the buffer, one with rows apart, small ones. */
static MtlStatus write_large(const MtlSys *sys, const char *path, MtlError *e)
{
	static float x[ROWS * STRIDE];
	for (int i = 0; i < ROWS * STRIDE; i++) x[i] = (float)i;
	const MtlTensor t[] = {
	    small[1],
	    {.name = "dense", .n_dim = 2, .dim = {ROWS, STRIDE}, .data = x},
	    {.name = "apart", .n_dim = 2, .dim = {ROWS, WIDE}, .data = x, .stride = STRIDE},
	    small[2],
	};
	return mtl_store_write(sys, path, t, 4, meta, 2, e);
}

static bool is_old(const char *path)
{
	size_t n;
	char *p = slurp(path, &n);
	bool old = p && n == 3 && memcmp(p, "old", 3) == 0;
	free(p);
	return old;
}

/* Fails the k-th call of one kind until a run needs no such call any more; returns how many runs failed. */
static int fail_write_by(long *(*which)(MtlFaults *f), MtlStatus expected)
{
	const char *path = in_folder("target");
	for (int k = 1;; k++) {
		MtlFaults f;
		MtlError e = {0};
		spill(path, "old", 3);
		mtl_faults_init(&f);
		*which(&f) = k;
		MtlStatus st = write_large(&f.sys, path, &e);
		CU_ASSERT_EQUAL(files_in_folder(), 1);
		if (!st) {
			CU_ASSERT(!is_old(path));
			unlink(path);
			return k - 1;
		}
		CU_ASSERT_EQUAL(st, expected);
		CU_ASSERT_EQUAL(e.status, expected);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, path));
		CU_ASSERT(e.status != MTL_SYSTEM || strstr(e.text, "cannot write: "));
		/* Once renamed, the new file is there: only the folder's fsync comes after. */
		MtlStore *s = NULL;
		MtlError none = {0};
		CU_ASSERT(is_old(path) ||
			  (f.n_sync == 2 && mtl_store_open(&s, &mtl_sys, path, false, &none) == MTL_OK));
		mtl_store_close(s);
		CU_ASSERT_FATAL(k < 100);
	}
}

static long *by_alloc(MtlFaults *f) { return &f->fail_alloc; }
static long *by_open(MtlFaults *f) { return &f->fail_open; }
static long *by_read(MtlFaults *f) { return &f->fail_read; }
static long *by_write(MtlFaults *f) { return &f->fail_write; }
static long *by_sync(MtlFaults *f) { return &f->fail_sync; }
static long *by_rename(MtlFaults *f) { return &f->fail_rename; }

static void a_failing_write_leaves_no_trace(void)
{
	CU_ASSERT_EQUAL(fail_write_by(by_alloc, MTL_LIMIT), 6); /* 4 names, the header, the buffer */
	CU_ASSERT_EQUAL(fail_write_by(by_open, MTL_SYSTEM), 2); /* the file, the folder */
	CU_ASSERT(fail_write_by(by_write, MTL_SYSTEM) >= 4);
	CU_ASSERT_EQUAL(fail_write_by(by_sync, MTL_SYSTEM), 2);
	CU_ASSERT_EQUAL(fail_write_by(by_rename, MTL_SYSTEM), 1);
}

static int fail_read_by(long *(*which)(MtlFaults *f), MtlStatus expected)
{
	const char *path = in_folder("target");
	MtlError e = {0};
	CU_ASSERT_EQUAL(write_large(&mtl_sys, path, &e), MTL_OK);
	for (int k = 1;; k++) {
		MtlFaults f;
		MtlStore *s;
		e = (MtlError){0};
		mtl_faults_init(&f);
		*which(&f) = k;
		MtlStatus st = mtl_store_open(&s, &f.sys, path, false, &e);
		if (!st) {
			mtl_store_close(s);
			unlink(path);
			return k - 1;
		}
		CU_ASSERT_PTR_NULL(s);
		CU_ASSERT_EQUAL(st, expected);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, path));
		CU_ASSERT_FATAL(k < 100);
	}
}

static void a_failing_read_is_clean(void)
{
	CU_ASSERT_EQUAL(fail_read_by(by_alloc, MTL_LIMIT), 6); /* store, header, entries three times, data */
	CU_ASSERT_EQUAL(fail_read_by(by_open, MTL_SYSTEM), 1);
	CU_ASSERT(fail_read_by(by_read, MTL_SYSTEM) >= 3);
}

/* A system that reads and writes a few bytes at a time, interrupted every third call. */
typedef struct {
	int calls;
	MtlSys sys;
} Slow;

static ssize_t slow_read(void *self, int fd, void *p, size_t n)
{
	if (((Slow *)self)->calls++ % 3 == 0) return errno = EINTR, -1;
	return read(fd, p, n < 7 ? n : 7);
}

static ssize_t slow_write(void *self, int fd, const void *p, size_t n)
{
	if (((Slow *)self)->calls++ % 3 == 0) return errno = EINTR, -1;
	return write(fd, p, n < 7 ? n : 7);
}

static void short_and_interrupted_calls(void)
{
	Slow slow = {.sys = mtl_sys};
	MtlError e = {0};
	MtlStore *s;
	const char *path = in_folder("slow");
	slow.sys.self = &slow;
	slow.sys.read = slow_read;
	slow.sys.write = slow_write;
	CU_ASSERT_EQUAL(write_small(&slow.sys, path, &e), MTL_OK);
	CU_ASSERT_EQUAL_FATAL(mtl_store_open(&s, &slow.sys, path, false, &e), MTL_OK);
	is_small(s);
	mtl_store_close(s);
	CU_ASSERT(slow.calls > 200);
	unlink(path);
}

/* Some file systems (NFS) say only now that the disk is full. */
static int bad_close(void *self, int fd)
{
	(void)self;
	close(fd);
	return errno = ENOSPC, -1;
}

static void a_failing_close_is_noticed(void)
{
	MtlSys sys = mtl_sys;
	MtlError e = {0};
	const char *path = in_folder("target");
	sys.close = bad_close;
	spill(path, "old", 3);
	CU_ASSERT_EQUAL(write_small(&sys, path, &e), MTL_SYSTEM);
	CU_ASSERT(is_old(path));
	CU_ASSERT_EQUAL(files_in_folder(), 1);
	unlink(path);
}

int main(void)
{
	CU_pSuite s = suite_between("model file", make_folder, remove_folder);
	CU_ADD_TEST(s, what_is_written_is_read);
	CU_ADD_TEST(s, exact_bytes);
	CU_ADD_TEST(s, rows_apart);
	CU_ADD_TEST(s, every_flipped_bit_is_refused);
	CU_ADD_TEST(s, every_truncation_is_refused);
	CU_ADD_TEST(s, trailing_bytes_are_refused);
	CU_ADD_TEST(s, other_damage_is_refused);
	CU_ADD_TEST(s, other_origin);
	CU_ADD_TEST(s, cannot_be_opened);
	CU_ADD_TEST(s, what_cannot_be_written);
	CU_ADD_TEST(s, nothing);
	CU_ADD_TEST(s, links_and_leftovers);
	CU_ADD_TEST(s, a_failing_write_leaves_no_trace);
	CU_ADD_TEST(s, a_failing_read_is_clean);
	CU_ADD_TEST(s, a_failing_close_is_noticed);
	CU_ADD_TEST(s, short_and_interrupted_calls);
	return suite_end();
}
