/*
 * Bytes of a file as they were before compression: plain, gzip (members in a row) or zstd (frames in a row),
 * told apart by their first bytes.
 */
#ifndef MTL_STREAM_H
#define MTL_STREAM_H
#include "status.h"
#include "sys.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
	const MtlSys *sys;
	const char *name; /* for messages: the path, or "stdin" */
	int fd;		  /* -1: closed */
	bool own_fd;
	bool eof;     /* the file has no more bytes */
	bool inside;  /* within a gzip member or a zstd frame */
	bool padding; /* only zeros may follow */
	enum { MTL_STREAM_PLAIN, MTL_STREAM_GZIP, MTL_STREAM_ZSTD } kind;
	unsigned char *raw; /* bytes read and not yet used: raw[at .. end) */
	size_t at, end;
	void *codec;
	int64_t consumed; /* bytes read from the file */
} MtlStream;

/* path "-" is stdin.  *s all zero, or closed before: its buffer is kept.  An open stream stays where it is in
 * memory. */
MtlStatus mtl_stream_open(MtlStream *s, const MtlSys *sys, const char *path, MtlError *e);
/* Up to n bytes; *got = 0 at the end only. */
MtlStatus mtl_stream_read(MtlStream *s, char *p, size_t n, size_t *got, MtlError *e);
/* Has the file nothing at the moment, and nothing been read ahead? */
bool mtl_stream_waits(const MtlStream *s);
void mtl_stream_close(MtlStream *s);
/* Also gives the buffer back. */
void mtl_stream_free(MtlStream *s);
/* Bytes of a regular file; -1 for what cannot be read twice (stdin, a pipe) or does not exist. */
int64_t mtl_stream_size(const char *path);
/* false: stdin, a pipe, a device: what is read once is gone. */
bool mtl_stream_repeats(const char *path);
#endif
