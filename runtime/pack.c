/*
 * An encoded log in a file: blocks of rows, column by column, each with its digest.
 *
 * Written under a temporary name and renamed when all rows are in it; read through a mapping, every block's
 * digest checked before its first row is used, and every index within it.
 */
#define _GNU_SOURCE
#include "pack.h"
#include "log.h"
#include "stream.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PIECE = 1 << 18, BLOCK_ROWS = 4096, N_COUNTS = sizeof(MtlRowCounts) / sizeof(int64_t) };

static const char magic[8] = {'M', 'T', 'L', 'P', 'A', 'C', 'K', '1'};

typedef struct {
	char magic[8];
	uint64_t reading, data;
} Head;

typedef struct {
	int64_t rows, bytes; /* of the payload behind it; a multiple of 8 */
	uint64_t digest;     /* of the payload */
	MtlRowCounts counts; /* when its last row was read */
} BlockHead;

typedef struct {
	int64_t blocks, rows;
	MtlRowCounts counts; /* at the end of the log */
	uint64_t digest;     /* of the head, all block heads and the counts above */
	char magic[8];
} Foot;

/* ---- keys ---- */

static void add(XXH3_state_t *h, const void *p, size_t n) { XXH3_64bits_update(h, p, n); }
static void add_int(XXH3_state_t *h, int64_t x) { add(h, &x, sizeof x); }
static void add_real(XXH3_state_t *h, double x) { add(h, &x, sizeof x); }
static void add_text(XXH3_state_t *h, const char *s)
{
	add_int(h, s ? (int64_t)strlen(s) : -1);
	if (s) add(h, s, strlen(s));
}

static void add_feature(XXH3_state_t *h, const MtlFeature *f)
{
	add_text(h, f->column);
	const int64_t number[] = {f->kind,	f->code,      f->n,	    f->min_count, f->n_vocab,
				  f->n_edges,	f->normal,    f->missing,   f->pool,	  f->keep,
				  f->max_items, f->separator, f->same_code, f->seq};
	for (size_t i = 0; i < sizeof number / sizeof *number; i++) add_int(h, number[i]);
	add_real(h, f->missing_value);
	for (int i = 0; i < f->n_vocab; i++) add_text(h, f->vocab[i]);
	for (int i = 0; i < f->n_edges; i++) add_real(h, f->edges[i]);
}

static void add_labels(XXH3_state_t *h, const MtlModel *m)
{
	add_int(h, m->n_label_column);
	for (int i = 0; i < m->n_label_column; i++) add_text(h, m->label_column[i]);
	add_int(h, m->n_event);
	for (int i = 0; i < m->n_event; i++) {
		add_int(h, m->event[i].parent);
		add_int(h, m->event[i].n_label);
		add(h, m->event[i].label, (size_t)m->event[i].n_label * sizeof *m->event[i].label);
	}
	add_int(h, m->n_sample);
	for (int i = 0; i < m->n_sample; i++) {
		const MtlSample *s = &m->sample[i];
		add_text(h, s->column);
		add_int(h, s->n_class);
		add_int(h, s->positive);
		for (int k = 0; s->class && k < s->n_class; k++) add_text(h, s->class[k]);
	}
	add_text(h, m->weight_column);
	add_text(h, m->group_column);
	add_int(h, m->contradiction);
}

static MtlStatus digest_file(const MtlSys *sys, const char *path, XXH3_state_t *h, MtlError *e)
{
	unsigned char *piece = mtl_new(sys, unsigned char, PIECE);
	if (!piece) return mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory to read it");
	int fd = sys->open(sys->self, path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? -1 : 0;
	int64_t size = 0;
	while (fd >= 0 && ((n = sys->read(sys->self, fd, piece, PIECE)) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0) {
			add(h, piece, (size_t)n);
			size += n;
		}
	if (n < 0)
		mtl_fail(e, MTL_SYSTEM, fd < 0 ? "F0101" : "F0103", path, "cannot read: %s", strerror(errno));
	add_int(h, size);
	if (fd >= 0) sys->close(sys->self, fd);
	mtl_release(sys, piece);
	return e->status;
}

bool mtl_pack_key(MtlPackKey *k, const MtlSys *sys, const MtlModel *m, const MtlCodes *c,
		  const char *const *path, int n_path, const MtlReaderOptions *o, MtlError *e)
{
	for (int i = 0; i < n_path; i++)
		if (mtl_stream_size(path[i]) < 0) return false;
	char *codes = mtl_codes_to_json(c, sys, m);
	XXH3_state_t *h = mtl_new(sys, XXH3_state_t, 1);
	if (codes && h) {
		XXH3_64bits_reset(h);
		add_int(h, (int64_t)sizeof(mtl_real));
		add_int(h, m->n_feature);
		for (int i = 0; i < m->n_feature; i++) add_feature(h, &m->feature[i]);
		add_text(h, codes);
		add_labels(h, m);
		add_int(h, o->bad_rows);
		add_int(h, o->max_bad_rows);
		k->reading = XXH3_64bits_digest(h);
		XXH3_64bits_reset(h);
		for (int i = 0; i < n_path && !e->status; i++) {
			/* The name says the format where nobody else does. */
			add_int(h, o->format_given ? (int)o->format : (int)mtl_log_format(path[i]));
			digest_file(sys, path[i], h, e);
		}
		k->data = XXH3_64bits_digest(h);
	}
	bool ok = codes && h && !e->status;
	mtl_release(sys, codes);
	mtl_release(sys, h);
	return ok;
}

void mtl_pack_path(char out[MTL_PACK_PATH], const char *folder, MtlPackKey k, const char *kind)
{
	snprintf(out, MTL_PACK_PATH, "%.3900s/%016llx-%016llx.%s", folder, (unsigned long long)k.data,
		 (unsigned long long)k.reading, kind);
}

/* ---- writing ---- */

struct MtlPacker {
	const MtlSys *sys;
	const MtlModel *m;
	char path[MTL_PACK_PATH], temp[MTL_PACK_PATH + 32];
	int fd;
	bool failed;
	Foot foot;
	XXH3_state_t heads;
	unsigned char *payload; /* of the block being made */
	size_t n, cap;
};

static void put(MtlPacker *p, const void *from, size_t n)
{
	const char *at = from;
	while (n && !p->failed) {
		ssize_t k = p->sys->write(p->sys->self, p->fd, at, n);
		if (k < 0 && errno == EINTR) continue;
		if (k <= 0) {
			p->failed = true;
			return;
		}
		at += k;
		n -= (size_t)k;
	}
}

MtlPacker *mtl_packer_open(const MtlSys *sys, const MtlModel *m, const char *folder, MtlPackKey k)
{
	MtlPacker *p = mtl_new(sys, MtlPacker, 1);
	if (!p) return NULL;
	p->sys = sys;
	p->m = m;
	mtl_pack_path(p->path, folder, k, "mtlpack");
	snprintf(p->temp, sizeof p->temp, "%s.tmp.%ld", p->path, (long)getpid());
	p->fd = sys->open(sys->self, p->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (p->fd < 0) {
		mtl_release(sys, p);
		return NULL;
	}
	XXH3_64bits_reset(&p->heads);
	Head head = {.reading = k.reading, .data = k.data};
	memcpy(head.magic, magic, sizeof magic);
	add(&p->heads, &head, sizeof head);
	put(p, &head, sizeof head);
	return p;
}

/* Room for n bytes more of the payload, zeroed up to a multiple of 8; NULL: no memory. */
static void *take(MtlPacker *p, size_t n)
{
	size_t whole = (n + 7) & ~(size_t)7;
	if (p->n + whole > p->cap) {
		size_t cap = 2 * (p->n + whole);
		unsigned char *more = mtl_new(p->sys, unsigned char, cap);
		if (!more) {
			p->failed = true;
			return NULL;
		}
		if (p->n) memcpy(more, p->payload, p->n);
		mtl_release(p->sys, p->payload);
		p->payload = more;
		p->cap = cap;
	}
	unsigned char *at = p->payload + p->n;
	memset(at + n, 0, whole - n);
	p->n += whole;
	return at;
}

static void put_array(MtlPacker *p, const void *from, size_t each, int64_t n)
{
	void *to = take(p, (size_t)n * each);
	if (to && n) memcpy(to, from, (size_t)n * each);
}

/* Numbers that are 0 or 1. */
static void put_bits(MtlPacker *p, const mtl_real *one, const mtl_real *two, int64_t n)
{
	unsigned char *to = take(p, (size_t)n);
	for (int64_t i = 0; to && i < n; i++)
		to[i] = (unsigned char)((one[i] != 0) | (two && two[i] != 0) << 1);
}

static void put_column(MtlPacker *p, const MtlColumn *c, int64_t from, int64_t n)
{
	if (c->id) put_array(p, c->id + from, sizeof *c->id, n);
	if (c->real) put_array(p, c->real + from, sizeof *c->real, n);
	if (c->present) put_bits(p, c->present + from, NULL, n);
	if (!c->bag_start) return;
	int32_t first = c->bag_start[from], *start = take(p, (size_t)(n + 1) * sizeof *start);
	for (int64_t i = 0; start && i <= n; i++) start[i] = c->bag_start[from + i] - first;
	int64_t items = c->bag_start[from + n] - first;
	put_array(p, c->bag_item + first, sizeof *c->bag_item, items);
	put_array(p, c->bag_scale + first, sizeof *c->bag_scale, items);
}

static void put_block(MtlPacker *p, const MtlBatch *b, int64_t from, int64_t n, const MtlRowCounts *counts)
{
	const MtlModel *m = p->m;
	p->n = 0;
	for (int f = 0; f < m->n_feature; f++) put_column(p, &b->column[f], from, n);
	for (int i = 0; i < m->n_event; i++) put_bits(p, b->can1[i] + from, b->can0[i] + from, n);
	for (int i = 0; i < m->n_sample; i++) {
		put_array(p, b->sample[i] + from, sizeof(mtl_real), n);
		put_bits(p, b->known[i] + from, NULL, n);
	}
	put_array(p, b->weight + from, sizeof(mtl_real), n);
	if (m->group_column) put_array(p, b->group + from, sizeof *b->group, n);
	if (p->failed) return;
	BlockHead head = {n, (int64_t)p->n, XXH3_64bits(p->payload, p->n), *counts};
	add(&p->heads, &head, sizeof head);
	put(p, &head, sizeof head);
	put(p, p->payload, p->n);
	p->foot.blocks++;
	p->foot.rows += n;
}

void mtl_packer_add(MtlPacker *p, const MtlBatch *b, const MtlRowCounts *counts)
{
	for (int64_t at = 0; at < b->n && !p->failed; at += BLOCK_ROWS)
		put_block(p, b, at, b->n - at < BLOCK_ROWS ? b->n - at : BLOCK_ROWS, counts);
}

void mtl_packer_close(MtlPacker *p, const MtlRowCounts *whole)
{
	if (!p) return;
	const MtlSys *sys = p->sys;
	if (whole) p->foot.counts = *whole;
	add(&p->heads, &p->foot.counts, sizeof p->foot.counts);
	p->foot.digest = XXH3_64bits_digest(&p->heads);
	memcpy(p->foot.magic, magic, sizeof magic);
	if (whole) put(p, &p->foot, sizeof p->foot);
	if (whole && !p->failed && sys->sync(sys->self, p->fd) != 0) p->failed = true;
	if (sys->close(sys->self, p->fd) != 0) p->failed = true;
	if (!whole || p->failed || sys->rename(sys->self, p->temp, p->path) != 0)
		sys->remove(sys->self, p->temp);
	mtl_release(sys, p->payload);
	mtl_release(sys, p);
}

/* ---- texts ---- */

enum { DIGITS = 16 };

char *mtl_pack_read_text(const MtlSys *sys, const char *path)
{
	int64_t size = mtl_stream_size(path), at = 0;
	int fd = size > DIGITS && size < 1 << 30 ? sys->open(sys->self, path, O_RDONLY | O_CLOEXEC, 0) : -1;
	char *text = fd < 0 ? NULL : mtl_new(sys, char, size + 1), want[DIGITS + 1];
	while (text && at < size) {
		ssize_t n = sys->read(sys->self, fd, text + at, (size_t)(size - at));
		if (n < 0 && errno == EINTR) continue;
		if (n <= 0) break;
		at += n;
	}
	if (fd >= 0) sys->close(sys->self, fd);
	if (!text) return NULL;
	snprintf(want, sizeof want, "%016llx",
		 (unsigned long long)XXH3_64bits(text + DIGITS, (size_t)(size - DIGITS)));
	if (at == size && !memcmp(want, text, DIGITS)) {
		memmove(text, text + DIGITS, (size_t)(size - DIGITS) + 1);
		return text;
	}
	mtl_release(sys, text);
	return NULL;
}

void mtl_pack_write_text(const MtlSys *sys, const char *path, const char *text)
{
	char temp[MTL_PACK_PATH + 32], digest[DIGITS + 1];
	size_t n = strlen(text);
	snprintf(temp, sizeof temp, "%s.tmp.%ld", path, (long)getpid());
	snprintf(digest, sizeof digest, "%016llx", (unsigned long long)XXH3_64bits(text, n));
	MtlPacker p = {.sys = sys,
		       .fd = sys->open(sys->self, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
	if (p.fd < 0) return;
	put(&p, digest, DIGITS);
	put(&p, text, n);
	bool good = !p.failed && sys->sync(sys->self, p.fd) == 0;
	good &= sys->close(sys->self, p.fd) == 0;
	if (!good || sys->rename(sys->self, temp, path) != 0) sys->remove(sys->self, temp);
}

/* ---- reading ---- */

/* Where the columns of the block in work lie. */
typedef struct {
	const int32_t *id, *bag_start, *bag_item;
	const mtl_real *bag_scale, *real;
	const unsigned char *present;
} Column;

struct MtlPack {
	const MtlSys *sys;
	const MtlModel *m;
	const MtlCodes *codes;
	char path[MTL_PACK_PATH];
	const unsigned char *at; /* mapped */
	size_t size, next;	 /* next: the block behind the one in work */
	int64_t row, rows;	 /* of the block: rows used and there */
	int64_t done, all;	 /* rows of the pack */
	MtlRowCounts counts, of_block, final;
	Column *column;
	const unsigned char **event, **known;
	const mtl_real **sample, *weight;
	const uint64_t *group;
};

/* All heads, and that they tile the file: what is cheap, and enough to tell a whole pack from a part of one.
 */
static bool whole(MtlPack *p, MtlPackKey k)
{
	Head head;
	Foot foot;
	if (p->size < sizeof head + sizeof foot) return false;
	memcpy(&head, p->at, sizeof head);
	memcpy(&foot, p->at + p->size - sizeof foot, sizeof foot);
	if (memcmp(head.magic, magic, sizeof magic) || memcmp(foot.magic, magic, sizeof magic) ||
	    head.reading != k.reading || head.data != k.data)
		return false;
	XXH3_state_t h;
	XXH3_64bits_reset(&h);
	add(&h, &head, sizeof head);
	size_t at = sizeof head, end = p->size - sizeof foot;
	int64_t rows = 0, blocks = 0;
	for (; at < end; blocks++) {
		BlockHead b;
		if (end - at < sizeof b) return false;
		memcpy(&b, p->at + at, sizeof b);
		at += sizeof b;
		if (b.rows < 1 || b.rows > BLOCK_ROWS || b.bytes < 0 || b.bytes % 8 ||
		    (size_t)b.bytes > end - at)
			return false;
		add(&h, &b, sizeof b);
		at += (size_t)b.bytes;
		rows += b.rows;
	}
	add(&h, &foot.counts, sizeof foot.counts);
	p->final = foot.counts;
	p->all = rows;
	return rows == foot.rows && blocks == foot.blocks && XXH3_64bits_digest(&h) == foot.digest;
}

MtlPack *mtl_pack_open(const MtlSys *sys, const MtlModel *m, const MtlCodes *c, const char *folder,
		       MtlPackKey k, bool *damaged)
{
	*damaged = false;
	MtlPack *p = mtl_new(sys, MtlPack, 1);
	if (!p) return NULL;
	p->sys = sys;
	p->m = m;
	p->codes = c;
	mtl_pack_path(p->path, folder, k, "mtlpack");
	int fd = sys->open(sys->self, p->path, O_RDONLY | O_CLOEXEC, 0);
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		p->size = (size_t)st.st_size;
		void *at = mmap(NULL, p->size, PROT_READ, MAP_PRIVATE, fd, 0);
		p->at = at == MAP_FAILED ? NULL : at;
	}
	bool there = fd >= 0;
	if (there) sys->close(sys->self, fd);
	p->next = sizeof(Head);
	bool room = (p->column = mtl_new(sys, Column, m->n_feature + 1)) &&
		    (p->event = mtl_new(sys, const unsigned char *, m->n_event + 1)) &&
		    (p->known = mtl_new(sys, const unsigned char *, m->n_sample + 1)) &&
		    (p->sample = mtl_new(sys, const mtl_real *, m->n_sample + 1));
	if (p->at && room && whole(p, k)) {
		madvise((void *)(uintptr_t)p->at, p->size, MADV_SEQUENTIAL);
		return p;
	}
	*damaged = there;
	mtl_pack_close(p);
	return NULL;
}

void mtl_pack_close(MtlPack *p)
{
	if (!p) return;
	if (p->at) munmap((void *)(uintptr_t)p->at, p->size);
	mtl_release(p->sys, p->column);
	mtl_release(p->sys, p->event);
	mtl_release(p->sys, p->known);
	mtl_release(p->sys, p->sample);
	mtl_release(p->sys, p);
}

typedef struct {
	const unsigned char *at, *end;
	bool good;
} Payload;

static const void *array(Payload *y, size_t each, int64_t n)
{
	const void *at = y->at;
	size_t bytes = ((size_t)n * each + 7) & ~(size_t)7;
	if (n < 0 || (size_t)(y->end - y->at) < bytes) {
		y->good = false;
		return NULL;
	}
	y->at += bytes;
	return at;
}

/* Rows of the table a feature is looked up in; those of a feature without one are not used. */
static int64_t limit_of(const MtlModel *m, const MtlCodes *c, int feature)
{
	int64_t least = INT32_MAX;
	for (int i = 0; i < m->n_lookup; i++) {
		int64_t rows = mtl_table_rows(m, c, m->lookup[i].table);
		if (m->lookup[i].feature == feature && rows < least) least = rows;
	}
	return least;
}

static bool ids_fit(const int32_t *id, int64_t n, int64_t limit)
{
	for (int64_t i = 0; i < n; i++)
		if (id[i] < 0 || id[i] >= limit) return false;
	return true;
}

static void find_column(Payload *y, int64_t limit, int max_items, const MtlColumn *like, Column *c, int64_t n)
{
	*c = (Column){0};
	if (like->id && (c->id = array(y, sizeof *c->id, n))) y->good &= ids_fit(c->id, n, limit);
	if (like->real) c->real = array(y, sizeof *c->real, n);
	if (like->present) c->present = array(y, 1, n);
	if (!like->bag_start || !(c->bag_start = array(y, sizeof *c->bag_start, n + 1))) return;
	y->good &= c->bag_start[0] == 0;
	for (int64_t i = 0; i < n; i++) {
		int64_t items = (int64_t)c->bag_start[i + 1] - c->bag_start[i];
		y->good &= items >= 0 && (!max_items || items <= max_items);
	}
	if (!y->good) return;
	if ((c->bag_item = array(y, sizeof *c->bag_item, c->bag_start[n])))
		y->good &= ids_fit(c->bag_item, c->bag_start[n], limit);
	c->bag_scale = array(y, sizeof *c->bag_scale, c->bag_start[n]);
}

/* The fields of a sequence have equally many steps. */
static bool steps_agree(const MtlPack *p, int64_t n)
{
	bool good = true;
	for (int q = 0; q < p->m->n_seq; q++) {
		const MtlSeq *s = &p->m->seq[q];
		for (int f = s->first + 1; f < s->first + s->n_field; f++)
			good &= !memcmp(p->column[f].bag_start, p->column[s->first].bag_start,
					(size_t)(n + 1) * sizeof(int32_t));
	}
	return good;
}

static bool next_block(MtlPack *p, const MtlBatch *like)
{
	BlockHead head;
	memcpy(&head, p->at + p->next, sizeof head);
	Payload y = {p->at + p->next + sizeof head, p->at + p->next + sizeof head + head.bytes, true};
	if (XXH3_64bits(y.at, (size_t)head.bytes) != head.digest) return false;
	const MtlModel *m = p->m;
	for (int f = 0; y.good && f < m->n_feature; f++)
		find_column(&y, limit_of(m, p->codes, f), m->feature[f].max_items, &like->column[f],
			    &p->column[f], head.rows);
	for (int i = 0; i < m->n_event; i++) p->event[i] = array(&y, 1, head.rows);
	for (int i = 0; i < m->n_sample; i++) {
		p->sample[i] = array(&y, sizeof(mtl_real), head.rows);
		p->known[i] = array(&y, 1, head.rows);
	}
	p->weight = array(&y, sizeof(mtl_real), head.rows);
	if (m->group_column) p->group = array(&y, sizeof *p->group, head.rows);
	if (!y.good || y.at != y.end || !steps_agree(p, head.rows)) return false;
	p->next += sizeof head + (size_t)head.bytes;
	p->row = 0;
	p->rows = head.rows;
	p->of_block = head.counts;
	return true;
}

static void ones(mtl_real *to, const unsigned char *bits, int bit, int64_t n)
{
	for (int64_t i = 0; i < n; i++) to[i] = (mtl_real)(bits[i] >> bit & 1);
}

static MtlStatus copy_column(const MtlPack *p, MtlColumn *to, const Column *c, int64_t at, int64_t n,
			     MtlError *e)
{
	size_t k = (size_t)n;
	if (c->id) memcpy(to->id + at, c->id + p->row, k * sizeof *to->id);
	if (c->real) memcpy(to->real + at, c->real + p->row, k * sizeof *to->real);
	if (c->present) ones(to->present + at, c->present + p->row, 0, n);
	if (!c->bag_start) return MTL_OK;
	int32_t first = c->bag_start[p->row], have = to->bag_start[at];
	int64_t items = c->bag_start[p->row + n] - first;
	if (mtl_batch_room(to, p->sys, have + items, e)) return e->status;
	memcpy(to->bag_item + have, c->bag_item + first, (size_t)items * sizeof *to->bag_item);
	memcpy(to->bag_scale + have, c->bag_scale + first, (size_t)items * sizeof *to->bag_scale);
	for (int64_t i = 1; i <= n; i++) to->bag_start[at + i] = have + c->bag_start[p->row + i] - first;
	return MTL_OK;
}

static MtlStatus copy_rows(MtlPack *p, MtlBatch *b, int64_t n, MtlError *e)
{
	const MtlModel *m = p->m;
	int64_t at = b->n;
	for (int f = 0; f < m->n_feature; f++)
		if (copy_column(p, &b->column[f], &p->column[f], at, n, e)) return e->status;
	for (int i = 0; i < m->n_event; i++) {
		ones(b->can1[i] + at, p->event[i] + p->row, 0, n);
		ones(b->can0[i] + at, p->event[i] + p->row, 1, n);
	}
	for (int i = 0; i < m->n_sample; i++) {
		memcpy(b->sample[i] + at, p->sample[i] + p->row, (size_t)n * sizeof(mtl_real));
		ones(b->known[i] + at, p->known[i] + p->row, 0, n);
	}
	memcpy(b->weight + at, p->weight + p->row, (size_t)n * sizeof(mtl_real));
	for (int64_t i = 0; i < n; i++) {
		b->group[at + i] = m->group_column ? p->group[p->row + i] : 0;
		b->bad[at + i] = false;
	}
	b->n += n;
	p->row += n;
	p->done += n;
	return MTL_OK;
}

MtlStatus mtl_pack_next(MtlPack *p, MtlBatch *b, MtlError *e)
{
	b->n = b->n_pass = 0;
	b->pass_len = 0;
	b->first_row = p->done;
	for (int f = 0; f < p->m->n_feature; f++)
		if (b->column[f].bag_start) b->column[f].bag_start[0] = 0;
	while (b->n < b->cap && p->done < p->all) {
		if (p->row == p->rows && !next_block(p, b))
			return mtl_fail(e, MTL_REFUSED, "F0012", p->path,
					"the packed log is damaged; remove it, and the log is read again");
		int64_t n = p->rows - p->row < b->cap - b->n ? p->rows - p->row : b->cap - b->n;
		if (copy_rows(p, b, n, e)) return e->status;
	}
	p->counts = b->n ? p->of_block : p->final;
	return mtl_batch_steps(b, p->sys, p->m, e);
}

const MtlRowCounts *mtl_pack_counts(const MtlPack *p) { return &p->counts; }

double mtl_pack_progress(const MtlPack *p) { return p->all ? (double)p->done / (double)p->all : 1; }
