/*
 * The seams to the system, and the one line of text an error becomes.
 */
#include "runtime/status.h"
#include "runtime/sys.h"
#include "suite.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- errors ---- */

static void text_of_an_error(void)
{
	MtlError e = {0};
	CU_ASSERT_EQUAL(
	    mtl_fail(&e, MTL_DATA, "D0107", "log.csv:3:5", "\"%s\" is not a number: %d", "price", 12),
	    MTL_DATA);
	CU_ASSERT_EQUAL(e.status, MTL_DATA);
	CU_ASSERT_STRING_EQUAL(e.code, "D0107");
	CU_ASSERT_STRING_EQUAL(e.text, "log.csv:3:5: error[D0107]: \"price\" is not a number: 12");
	e = (MtlError){0};
	mtl_fail(&e, MTL_LIMIT, "", NULL, "no memory");
	CU_ASSERT_STRING_EQUAL(e.text, "error: no memory");
	e = (MtlError){0};
	mtl_fail(&e, MTL_LIMIT, NULL, "f", "no memory");
	CU_ASSERT_STRING_EQUAL(e.text, "f: error: no memory");
	CU_ASSERT_STRING_EQUAL(e.code, "");
}

static void first_error_wins(void)
{
	MtlError e = {0};
	mtl_fail(&e, MTL_DATA, "D0001", NULL, "first");
	CU_ASSERT_EQUAL(mtl_fail(&e, MTL_SYSTEM, "F0001", NULL, "second"), MTL_SYSTEM);
	CU_ASSERT_EQUAL(e.status, MTL_DATA);
	CU_ASSERT_STRING_EQUAL(e.text, "error[D0001]: first");
	CU_ASSERT_EQUAL(mtl_fail(NULL, MTL_USAGE, "", NULL, "nobody listens"), MTL_USAGE);
}

static void long_texts_are_cut(void)
{
	char name[3000];
	MtlError e;
	/* Two-byte letters at both parities: never half of one at the end. */
	for (int odd = 0; odd < 2; odd++) {
		for (int i = 0; i < 2990; i += 2) memcpy(name + i, "\xc3\xa4", 3);
		e = (MtlError){0};
		mtl_fail(&e, MTL_DATA, "D0001", NULL, "%s%s", odd ? "x" : "", name);
		size_t n = strlen(e.text);
		CU_ASSERT(n < sizeof e.text && n > sizeof e.text - 10);
		CU_ASSERT_STRING_EQUAL(e.text + n - 3, "...");
		CU_ASSERT_EQUAL((unsigned char)e.text[n - 4], 0xa4);
		e = (MtlError){0};
		mtl_fail(&e, MTL_DATA, "D0001", name, "%s", "the place is too long already");
		CU_ASSERT_STRING_EQUAL(e.text + strlen(e.text) - 3, "...");
	}
}

static void one_line(void)
{
	MtlError e = {0};
	mtl_fail(&e, MTL_DATA, "D0001", "a\nb", "%s", "x\ty\x1b[31m");
	CU_ASSERT_STRING_EQUAL(e.text, "a?b: error[D0001]: x?y?[31m");
}

/* ---- memory ---- */

static void memory_is_aligned_and_zero(void)
{
	for (size_t n = 0; n < 300; n += 7) {
		unsigned char *p = mtl_alloc(&mtl_sys, n, 3);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL((uintptr_t)p % 64, 0);
		int set = 0;
		for (size_t i = 0; i < 3 * n; i++) set |= p[i];
		CU_ASSERT_EQUAL(set, 0);
		memset(p, 0xff, 3 * n);
		mtl_release(&mtl_sys, p);
	}
	mtl_release(&mtl_sys, NULL);
	int64_t *q = mtl_new(&mtl_sys, int64_t, 5);
	q[4] = 1;
	mtl_release(&mtl_sys, q);
}

/* Volatile: the compiler would otherwise warn of what is tried here. */
static void too_much_memory(void)
{
	volatile size_t half = SIZE_MAX / 2 + 1, most = SIZE_MAX;
	CU_ASSERT_PTR_NULL(mtl_alloc(&mtl_sys, half, 2));
	CU_ASSERT_PTR_NULL(mtl_alloc(&mtl_sys, most, 1));
	CU_ASSERT_PTR_NULL(mtl_alloc(&mtl_sys, most - 63, 1));
	CU_ASSERT_PTR_NULL(mtl_alloc(&mtl_sys, half - 1, 1));
	CU_ASSERT_PTR_NULL(mtl_new(&mtl_sys, int64_t, -1));
}

/* ---- faults ---- */

static void nothing_fails_by_default(void)
{
	MtlFaults f;
	char path[] = "/tmp/test_sys.XXXXXX", back[4] = "";
	close(mkstemp(path));
	mtl_faults_init(&f);
	const MtlSys *s = &f.sys;
	int fd = s->open(s->self, path, O_RDWR, 0);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(s->write(s->self, fd, "abc", 3), 3);
	CU_ASSERT_EQUAL(s->sync(s->self, fd), 0);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
	CU_ASSERT_EQUAL(s->read(s->self, fd, back, 4), 3);
	CU_ASSERT_EQUAL(memcmp(back, "abc", 3), 0);
	CU_ASSERT_EQUAL(s->close(s->self, fd), 0);
	CU_ASSERT_EQUAL(s->close(s->self, fd), -1);
	char other[64];
	snprintf(other, sizeof other, "%s.x", path);
	CU_ASSERT_EQUAL(s->rename(s->self, path, other), 0);
	CU_ASSERT_EQUAL(s->remove(s->self, path), -1);
	CU_ASSERT_EQUAL(s->remove(s->self, other), 0);
	mtl_release(s, mtl_alloc(s, 1, 1));
	CU_ASSERT(f.n_open == 1 && f.n_read == 1 && f.n_write == 1 && f.n_sync == 1 && f.n_rename == 1 &&
		  f.n_alloc == 1);
}

static void the_nth_call_fails(void)
{
	MtlFaults f;
	mtl_faults_init(&f);
	f.fail_alloc = f.fail_open = f.fail_read = f.fail_write = f.fail_sync = f.fail_rename = 2;
	const MtlSys *s = &f.sys;
	char byte;
	int zero = s->open(s->self, "/dev/zero", O_RDWR, 0);
	CU_ASSERT_FATAL(zero >= 0);
	for (int k = 1; k <= 3; k++) {
		void *p = mtl_alloc(s, 1, 1);
		CU_ASSERT_EQUAL(p == NULL, k == 2);
		mtl_release(s, p);
		errno = 0;
		CU_ASSERT_EQUAL(s->read(s->self, zero, &byte, 1), k == 2 ? -1 : 1);
		CU_ASSERT_EQUAL(errno, k == 2 ? EIO : 0);
		errno = 0;
		CU_ASSERT_EQUAL(s->write(s->self, zero, "x", 1), k == 2 ? -1 : 1);
		CU_ASSERT_EQUAL(errno, k == 2 ? ENOSPC : 0);
		errno = 0;
		s->sync(s->self, zero);
		CU_ASSERT_EQUAL(errno, k == 2 ? EIO : EINVAL);
		errno = 0;
		CU_ASSERT_EQUAL(s->rename(s->self, "/tmp/test_sys.none", "/tmp/test_sys.other"), -1);
		CU_ASSERT_EQUAL(errno, k == 2 ? EACCES : ENOENT);
	}
	CU_ASSERT_EQUAL(s->open(s->self, "/dev/zero", O_RDONLY, 0), -1);
	CU_ASSERT_EQUAL(s->close(s->self, zero), 0);
	CU_ASSERT(f.n_open == 2 && f.n_read == 3 && f.n_write == 3 && f.n_sync == 3 && f.n_rename == 3 &&
		  f.n_alloc == 3);
}

int main(void)
{
	CU_pSuite s = suite_begin("system and errors");
	CU_ADD_TEST(s, text_of_an_error);
	CU_ADD_TEST(s, first_error_wins);
	CU_ADD_TEST(s, long_texts_are_cut);
	CU_ADD_TEST(s, one_line);
	CU_ADD_TEST(s, memory_is_aligned_and_zero);
	CU_ADD_TEST(s, too_much_memory);
	CU_ADD_TEST(s, nothing_fails_by_default);
	CU_ADD_TEST(s, the_nth_call_fails);
	return suite_end();
}
