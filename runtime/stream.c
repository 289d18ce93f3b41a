/*
 * Bytes of a file as they were before compression.
 *
 * A compressed file that stops in the middle or does not decode is damaged data (MTL_DATA), never a short
 * log; a file that cannot be opened or read is the system's (MTL_SYSTEM).
 */
#include "stream.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

enum { RAW = 1 << 18 };

static void *give(void *opaque, size_t bytes)
{
	const MtlSys *const *sys = opaque;
	return mtl_alloc(*sys, bytes, 1);
}
static void take(void *opaque, void *p)
{
	const MtlSys *const *sys = opaque;
	mtl_release(*sys, p);
}
static voidpf give_items(voidpf opaque, uInt n, uInt each) { return give(opaque, (size_t)n * each); }

static MtlStatus no_memory(const MtlStream *s, MtlError *e)
{
	return mtl_fail(e, MTL_LIMIT, "F0105", s->name, "no memory to read it");
}

static MtlStatus damaged(const MtlStream *s, const char *why, MtlError *e)
{
	return mtl_fail(e, MTL_DATA, "D0005", s->name, "the compressed data are damaged: %s", why);
}

static MtlStatus too_short(const MtlStream *s, MtlError *e)
{
	return mtl_fail(e, MTL_DATA, "D0006", s->name,
			"the compressed data end too early; the file was cut off");
}

/* Makes raw[at .. end) hold at least `want` bytes unless the file ends before. */
static MtlStatus fill(MtlStream *s, size_t want, MtlError *e)
{
	if (s->at > 0) {
		memmove(s->raw, s->raw + s->at, s->end - s->at);
		s->end -= s->at;
		s->at = 0;
	}
	while (!s->eof && s->end < want) {
		ssize_t n = s->sys->read(s->sys->self, s->fd, s->raw + s->end, RAW - s->end);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0)
			return mtl_fail(e, MTL_SYSTEM, "F0103", s->name, "cannot read: %s", strerror(errno));
		s->eof = n == 0;
		s->end += (size_t)n;
		s->consumed += n;
	}
	return MTL_OK;
}

int64_t mtl_stream_size(const char *path)
{
	struct stat st;
	if (strcmp(path, "-") == 0 || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return -1;
	return st.st_size;
}

bool mtl_stream_repeats(const char *path)
{
	struct stat st;
	if (strcmp(path, "-") == 0) return false;
	return stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

static MtlStatus start_gzip(MtlStream *s, MtlError *e)
{
	z_stream *z = mtl_new(s->sys, z_stream, 1);
	if (!z) return no_memory(s, e);
	z->zalloc = give_items;
	z->zfree = take;
	z->opaque = &s->sys;
	if (inflateInit2(z, 15 + 16) != Z_OK) {
		mtl_release(s->sys, z);
		return no_memory(s, e);
	}
	s->codec = z;
	s->inside = true;
	return MTL_OK;
}

MtlStatus mtl_stream_open(MtlStream *s, const MtlSys *sys, const char *path, MtlError *e)
{
	static const unsigned char gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd},
				   skippable[] = {0x2a, 0x4d, 0x18};
	unsigned char *raw = s->raw;
	*s = (MtlStream){.sys = sys, .name = path, .raw = raw};
	if (strcmp(path, "-") == 0) {
		s->name = "stdin";
	} else {
		s->own_fd = true;
		s->fd = sys->open(sys->self, path, O_RDONLY | O_CLOEXEC, 0);
		if (s->fd < 0)
			return mtl_fail(e, MTL_SYSTEM, "F0101", path, "cannot open: %s", strerror(errno));
	}
	MtlStatus st = MTL_OK;
	struct stat info;
	if (fstat(s->fd, &info) == 0 && S_ISDIR(info.st_mode))
		st = mtl_fail(e, MTL_SYSTEM, "F0102", s->name, "is a directory, not a file");
	if (!st && !s->raw && !(s->raw = mtl_new(sys, unsigned char, RAW))) st = no_memory(s, e);
	/* No more than it takes: whoever writes one short line waits for its answer. */
	if (!st) st = fill(s, 1, e);
	if (!st && s->end && (*s->raw == gzip[0] || *s->raw == zstd[0] || (*s->raw & 0xf0) == 0x50))
		st = fill(s, 4, e);
	if (!st && s->end >= 2 && memcmp(s->raw, gzip, 2) == 0) {
		s->kind = MTL_STREAM_GZIP;
		st = start_gzip(s, e);
	} else if (!st && s->end >= 4 &&
		   (memcmp(s->raw, zstd, 4) == 0 ||
		    ((s->raw[0] & 0xf0) == 0x50 && memcmp(s->raw + 1, skippable, 3) == 0))) {
		s->kind = MTL_STREAM_ZSTD;
		s->codec = ZSTD_createDCtx_advanced((ZSTD_customMem){give, take, &s->sys});
		if (!s->codec) st = no_memory(s, e);
	}
	if (st) mtl_stream_close(s);
	return st;
}

static MtlStatus read_plain(MtlStream *s, char *p, size_t n, size_t *got, MtlError *e)
{
	if (s->at < s->end) {
		*got = n < s->end - s->at ? n : s->end - s->at;
		memcpy(p, s->raw + s->at, *got);
		s->at += *got;
		return MTL_OK;
	}
	while (!s->eof) {
		ssize_t k = s->sys->read(s->sys->self, s->fd, p, n);
		if (k < 0 && errno == EINTR) continue;
		if (k < 0)
			return mtl_fail(e, MTL_SYSTEM, "F0103", s->name, "cannot read: %s", strerror(errno));
		s->eof = k == 0;
		s->consumed += k;
		*got = (size_t)k;
		break;
	}
	return MTL_OK;
}

static MtlStatus read_gzip(MtlStream *s, char *p, size_t n, size_t *got, MtlError *e)
{
	z_stream *z = s->codec;
	uInt room = n > 1u << 30 ? 1u << 30 : (uInt)n;
	z->next_out = (Bytef *)p;
	z->avail_out = room;
	while (z->avail_out == room) {
		if (s->at == s->end) {
			MtlStatus st = fill(s, 1, e);
			if (st) return st;
			if (s->end == 0) return s->inside ? too_short(s, e) : MTL_OK;
		}
		if (!s->inside) { /* between members: another one, or zeros to the end (tape blocks) */
			s->padding |= s->raw[s->at] == 0;
			if (s->padding) {
				if (s->raw[s->at++] != 0) return damaged(s, "something follows its end", e);
				continue;
			}
			if (inflateReset(z) != Z_OK) return damaged(s, "gzip state", e);
			s->inside = true;
		}
		z->next_in = s->raw + s->at;
		z->avail_in = (uInt)(s->end - s->at);
		int r = inflate(z, Z_NO_FLUSH);
		s->at = s->end - z->avail_in;
		if (r == Z_STREAM_END)
			s->inside = false;
		else if (r == Z_MEM_ERROR)
			return no_memory(s, e);
		else if (r != Z_OK && r != Z_BUF_ERROR)
			return damaged(s, z->msg ? z->msg : "not gzip", e);
	}
	*got = room - z->avail_out;
	return MTL_OK;
}

static MtlStatus read_zstd(MtlStream *s, char *p, size_t n, size_t *got, MtlError *e)
{
	ZSTD_outBuffer out = {p, n, 0};
	while (out.pos == 0) {
		if (s->at == s->end) {
			MtlStatus st = fill(s, 1, e);
			if (st) return st;
			if (s->end == 0 && !s->inside) return MTL_OK;
		}
		ZSTD_inBuffer in = {s->raw, s->end, s->at};
		size_t r = ZSTD_decompressStream(s->codec, &out, &in);
		if (ZSTD_isError(r))
			return ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation
				   ? no_memory(s, e)
				   : damaged(s, ZSTD_getErrorName(r), e);
		s->at = in.pos;
		s->inside = r != 0;
		if (s->inside && out.pos == 0 && s->eof && s->at == s->end) return too_short(s, e);
	}
	*got = out.pos;
	return MTL_OK;
}

MtlStatus mtl_stream_read(MtlStream *s, char *p, size_t n, size_t *got, MtlError *e)
{
	*got = 0;
	if (n == 0) return MTL_OK;
	switch (s->kind) {
	case MTL_STREAM_GZIP: return read_gzip(s, p, n, got, e);
	case MTL_STREAM_ZSTD: return read_zstd(s, p, n, got, e);
	default: return read_plain(s, p, n, got, e);
	}
}

bool mtl_stream_waits(const MtlStream *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	return !s->eof && s->fd >= 0 && s->at == s->end && poll(&p, 1, 0) == 0;
}

void mtl_stream_close(MtlStream *s)
{
	if (s->codec && s->kind == MTL_STREAM_GZIP) {
		inflateEnd(s->codec);
		mtl_release(s->sys, s->codec);
	} else if (s->codec) {
		ZSTD_freeDCtx(s->codec);
	}
	s->codec = NULL;
	if (s->own_fd && s->fd >= 0) s->sys->close(s->sys->self, s->fd);
	s->own_fd = false;
	s->fd = -1;
}

void mtl_stream_free(MtlStream *s)
{
	mtl_stream_close(s);
	if (s->raw) mtl_release(s->sys, s->raw);
	s->raw = NULL;
}
