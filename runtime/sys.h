/*
 * The seams to the system: memory and files go through here, so that a test can make the n-th call fail.
 *
 * Nothing else in the runtime calls malloc, open, read, write, fsync or rename.  A MtlSys is passed in; there
 * is no writable global.
 */
#ifndef MTL_SYS_H
#define MTL_SYS_H
#include <stddef.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct MtlSys MtlSys;
struct MtlSys {
	void *self;				  /* for the functions below */
	void *(*alloc)(void *self, size_t bytes); /* 64-byte aligned, zeroed; NULL: no memory */
	void (*release)(void *self, void *p);
	int (*open)(void *self, const char *path, int flags, int mode);
	ssize_t (*read)(void *self, int fd, void *p, size_t n);
	ssize_t (*write)(void *self, int fd, const void *p, size_t n);
	int (*sync)(void *self, int fd);
	int (*close)(void *self, int fd);
	int (*rename)(void *self, const char *from, const char *to);
	int (*remove)(void *self, const char *path);
};

/* The real system. */
extern const MtlSys mtl_sys;

/*
 * A MtlSys for tests: the real one, but the n-th allocation, open, read, write, sync or rename fails (n from
 * 1; 0 never). Writes fail with ENOSPC.  `count` says afterwards how many of each were asked for.
 */
typedef struct {
	long fail_alloc, fail_open, fail_read, fail_write, fail_sync, fail_rename;
	long n_alloc, n_open, n_read, n_write, n_sync, n_rename;
	MtlSys sys;
} MtlFaults;
void mtl_faults_init(MtlFaults *f);

#define mtl_new(sys, T, n) ((T *)mtl_alloc((sys), (size_t)(n), sizeof(T)))
/* n objects of `each` bytes, zeroed; NULL on no memory or overflow. */
void *mtl_alloc(const MtlSys *sys, size_t n, size_t each);
void mtl_release(const MtlSys *sys, void *p);
#endif
