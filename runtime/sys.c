/*
 * The real system, and one that fails on demand.
 */
#include "sys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	ALIGN = 64, /* a cache line, and the widest vector */
	HUGE_PAGE = 2 << 20
};

static void *real_alloc(void *self, size_t bytes)
{
	(void)self;
	if (bytes > (size_t)PTRDIFF_MAX - HUGE_PAGE) return NULL;
	size_t n = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
	if (n < HUGE_PAGE) {
		void *p = aligned_alloc(ALIGN, n);
		return p ? memset(p, 0, n) : NULL;
	}
	/*
	 * Random rows of a table cost a page walk each, and so do weights and sums larger than the second cache:
	 * huge pages save a third of a gather and a tenth of a step.  To be wished for before the memory is
	 * touched; a wish, never an error.
	 */
	void *p; /* not aligned_alloc, which may insist on whole multiples of the alignment */
	if (posix_memalign(&p, HUGE_PAGE, n)) return NULL;
	(void)madvise(p, n, MADV_HUGEPAGE);
	return memset(p, 0, n);
}

static void real_release(void *self, void *p)
{
	(void)self;
	free(p);
}

static int real_open(void *self, const char *path, int flags, int mode)
{
	int fd;

	(void)self;
	do fd = open(path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static ssize_t real_read(void *self, int fd, void *p, size_t n)
{
	ssize_t got;

	(void)self;
	do got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got;
}

static ssize_t real_write(void *self, int fd, const void *p, size_t n)
{
	ssize_t put;

	(void)self;
	do put = write(fd, p, n);
	while (put < 0 && errno == EINTR);
	return put;
}

static int real_sync(void *self, int fd)
{
	int rc;

	(void)self;
	do rc = fsync(fd);
	while (rc < 0 && errno == EINTR);
	return rc;
}

/* Not repeated after EINTR: Linux has let go of the descriptor by then, and it may be another's already. */
static int real_close(void *self, int fd)
{
	(void)self;
	return close(fd) < 0 && errno != EINTR ? -1 : 0;
}

static int real_rename(void *self, const char *from, const char *to)
{
	(void)self;
	return rename(from, to);
}

static int real_remove(void *self, const char *path)
{
	(void)self;
	return unlink(path);
}

const MtlSys mtl_sys = {
    .alloc = real_alloc,
    .release = real_release,
    .open = real_open,
    .read = real_read,
    .write = real_write,
    .sync = real_sync,
    .close = real_close,
    .rename = real_rename,
    .remove = real_remove,
};

void *mtl_alloc(const MtlSys *sys, size_t n, size_t each)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, each, &bytes)) return NULL;
	return sys->alloc(sys->self, bytes);
}

void mtl_release(const MtlSys *sys, void *p)
{
	if (p) sys->release(sys->self, p);
}

/* Threads may share a MtlFaults: the counters are the only thing that changes, and each is counted
 * atomically. */
static bool is_turn(long *count, long fail) { return __atomic_add_fetch(count, 1, __ATOMIC_RELAXED) == fail; }

static void *fault_alloc(void *self, size_t bytes)
{
	MtlFaults *f = self;
	return is_turn(&f->n_alloc, f->fail_alloc) ? NULL : real_alloc(NULL, bytes);
}

/* The error number is one that the call itself can give. */
#define FAULT(f, what, number) (is_turn(&(f)->n_##what, (f)->fail_##what) && ((errno = (number)), true))

static int fault_open(void *self, const char *path, int flags, int mode)
{
	MtlFaults *f = self;
	return FAULT(f, open, EACCES) ? -1 : real_open(NULL, path, flags, mode);
}

static ssize_t fault_read(void *self, int fd, void *p, size_t n)
{
	MtlFaults *f = self;
	return FAULT(f, read, EIO) ? -1 : real_read(NULL, fd, p, n);
}

static ssize_t fault_write(void *self, int fd, const void *p, size_t n)
{
	MtlFaults *f = self;
	return FAULT(f, write, ENOSPC) ? -1 : real_write(NULL, fd, p, n);
}

static int fault_sync(void *self, int fd)
{
	MtlFaults *f = self;
	return FAULT(f, sync, EIO) ? -1 : real_sync(NULL, fd);
}

static int fault_rename(void *self, const char *from, const char *to)
{
	MtlFaults *f = self;
	return FAULT(f, rename, EACCES) ? -1 : real_rename(NULL, from, to);
}

void mtl_faults_init(MtlFaults *f)
{
	*f = (MtlFaults){.sys = mtl_sys};
	f->sys.self = f;
	f->sys.alloc = fault_alloc;
	f->sys.open = fault_open;
	f->sys.read = fault_read;
	f->sys.write = fault_write;
	f->sys.sync = fault_sync;
	f->sys.rename = fault_rename;
}
