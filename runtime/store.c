/*
 * The model file: one reader that believes nothing, one writer that leaves the old file or the new one.
 *
 *   8 bytes      N, little endian
 *   N bytes      JSON: "__metadata__" and an entry for each tensor; spaces up to a multiple of 64 in the file
 *   the rest     tensors in the order of their entries, without gaps
 */
#define _GNU_SOURCE /* memmem */
#include "store.h"
#include "dtype.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie in memory");

enum {
	LENGTH = 8, /* bytes of N */
	ALIGN = 64,
	MAX_HEADER =
	    100000000, /* as in the reference implementation of safetensors: others can read what we write */
	HEX = 16,
	BUFFER = 1 << 18,
};

#define META	  "__metadata__"
#define DIGEST	  "xxh3."
#define OWN	  "mtlc."
#define HEADER	  "header"
#define HEADER_AT "\"" DIGEST HEADER "\":\""

struct MtlStore {
	const MtlSys *sys;
	const char *name; /* while reading, for messages */
	json_t *header;	  /* owns the names and the metadata */
	MtlTensor *tensor;
	int n;
	void *data;	       /* NULL: elsewhere */
	bool foreign;	       /* any origin will do, and any type of number */
	bool any_type;	       /* so will tensors of no numbers, which have no data then */
	bool weights;	       /* a scorer's, of which some may be narrow */
	const MtlDtype **type; /* of each tensor, in the file */
};

/* ---- shapes, digests ---- */

/* Floats in all and in each row of the first dimension; false: a dimension below 1, or more bytes than an
 * int64_t holds. */
static bool sizes(const MtlTensor *t, int64_t *all, int64_t *width)
{
	int64_t n = 1, w = 1, bytes;
	if (t->n_dim < 0 || t->n_dim > 4) return false;
	for (int i = 0; i < t->n_dim; i++) {
		if (t->dim[i] < 1 || __builtin_mul_overflow(n, t->dim[i], &n)) return false;
		if (i > 0) w *= t->dim[i];
	}
	*all = n;
	*width = w;
	return !__builtin_mul_overflow(n, (int64_t)sizeof(mtl_real), &bytes);
}

/* Runs of floats that lie together: `rows` of `width`, `stride` apart. */
typedef struct {
	int64_t rows, width, stride;
} Layout;

static Layout layout(const MtlTensor *t)
{
	int64_t all = 0, width = 1;
	sizes(t, &all, &width);
	if (t->stride == 0 || t->stride == width || all == width) return (Layout){1, all, all};
	return (Layout){all / width, width, t->stride};
}

static const MtlDtype *dtype_of(const MtlTensor *t) { return t->type ? mtl_dtype(t->type) : mtl_dtype_own(); }

static void to_hex(uint64_t h, char hex[HEX + 1]) { snprintf(hex, HEX + 1, "%016" PRIx64, h); }

/* Digest of the numbers in order, as they lie at t->data; false if one of them is not finite. */
static bool digest(const MtlTensor *t, const MtlDtype *type, char hex[HEX + 1])
{
	Layout l = layout(t);
	size_t element = type->bytes;
	XXH3_state_t state;
	bool finite = true;

	XXH3_INITSTATE(&state);
	XXH3_64bits_reset(&state);
	for (int64_t r = 0; r < l.rows; r++) {
		const char *x = (const char *)t->data + (size_t)(r * l.stride) * element;
		/* In pieces that stay in the cache between the two looks at them. */
		for (int64_t i = 0, n; i < l.width; i += n) {
			n = l.width - i < 16384 ? l.width - i : 16384;
			finite = finite && mtl_dtype_finite(type, x + (size_t)i * element, n);
			XXH3_64bits_update(&state, x + (size_t)i * element, (size_t)n * element);
		}
	}
	to_hex(XXH3_64bits_digest(&state), hex);
	return finite;
}

/*
 * Where the header says its own digest: its HEX digits in the text, or NULL.  Quotes within strings are
 * escaped, so this text is found as a key with a string value only, and only the metadata has such keys.
 */
static const char *own_digest(const char *text, size_t n)
{
	const char *p = memmem(text, n, HEADER_AT, strlen(HEADER_AT));
	if (!p) return NULL;
	p += strlen(HEADER_AT);
	return (size_t)(text + n - p) > HEX && p[HEX] == '"' ? p : NULL;
}

/* XXH3 of the text with its own digest taken as zeros. */
static void header_digest(const char *text, size_t n, const char *own, char hex[HEX + 1])
{
	static const char zeros[] = "0000000000000000";
	size_t before = (size_t)(own - text);
	XXH3_state_t state;

	XXH3_INITSTATE(&state);
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, text, before);
	XXH3_64bits_update(&state, zeros, HEX);
	XXH3_64bits_update(&state, own + HEX, n - before - HEX);
	to_hex(XXH3_64bits_digest(&state), hex);
}

/* ---- reading ---- */

#define REFUSE(code, ...) mtl_fail(e, MTL_REFUSED, code, s->name, __VA_ARGS__)

static MtlStatus check_length(const MtlStore *s, const unsigned char *first, uint64_t file, uint64_t *n,
			      MtlError *e)
{
	*n = 0;
	for (int i = 0; i < LENGTH; i++) *n |= (uint64_t)first[i] << (8 * i);
	if (*n < 2 || *n > MAX_HEADER)
		return REFUSE("F0003", "not a model file: its first 8 bytes are no header length");
	if (*n > file - LENGTH)
		return REFUSE("F0003", "the file ends within its header: cut off, or not a model file");
	return MTL_OK;
}

static MtlStatus parse(MtlStore *s, const char *text, size_t n, MtlError *e)
{
	json_error_t why;
	while (n > 0 && text[n - 1] == ' ') n--;
	if (n < 2 || text[0] != '{' || text[n - 1] != '}')
		return REFUSE("F0004", "its header is not a JSON object followed by spaces");
	s->header = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (s->header) return MTL_OK;
	if (json_error_code(&why) == json_error_out_of_memory)
		return mtl_fail(e, MTL_LIMIT, "F0011", s->name, "no memory for its header of %zu bytes", n);
	return REFUSE("F0004", "its header is not valid JSON: %s, at byte %d", why.text,
		      why.position + LENGTH);
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/*
 * *own: the file is one of ours, or was, and must hold every digest.  One key is enough to tell, so that
 * damage to a key does not turn our file into one of other origin.
 */
static MtlStatus check_metadata(MtlStore *s, bool *own, MtlError *e)
{
	json_t *meta = json_object_get(s->header, META), *value;
	const char *key;

	if (!meta) return MTL_OK;
	if (!json_is_object(meta)) return REFUSE("F0005", META " is not a map of texts");
	json_object_foreach(meta, key, value)
	{
		if (!json_is_string(value)) return REFUSE("F0005", META ": \"%s\" is not a text", key);
		if (has_prefix(key, DIGEST) || has_prefix(key, OWN)) *own = true;
	}
	return MTL_OK;
}

static MtlStatus check_header_digest(const MtlStore *s, const char *text, size_t n, MtlError *e)
{
	const char *own = own_digest(text, n), *stated = mtl_store_meta(s, DIGEST HEADER);
	char hex[HEX + 1];

	if (!stated) return REFUSE("F0008", "it holds no digest of its header: not written by mtlc");
	if (own) header_digest(text, n, own, hex);
	if (!own || strcmp(stated, hex) != 0)
		return REFUSE("F0009", "damaged: its header does not have the digest it should");
	if ((LENGTH + n) % ALIGN != 0)
		return REFUSE("F0003", "its data do not begin at a multiple of %d bytes", ALIGN);
	return MTL_OK;
}

static bool whole(const json_t *v, int64_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
	*out = json_integer_value(v);
	return true;
}

/* NULL and the reason: this file may not hold such numbers. */
static const MtlDtype *type_of(const MtlStore *s, const char *tensor, const json_t *word, MtlError *e)
{
	const char *name = json_is_string(word) ? json_string_value(word) : "not a text";
	const MtlDtype *t = mtl_dtype(name);
	if (t && (t == mtl_dtype_own() || (s->foreign && (t->number || s->any_type)))) return t;
	if (t && s->weights && (!strcmp(t->name, "BF16") || !strcmp(t->name, "I8"))) return t;
	REFUSE("F0006", "tensor \"%s\": its dtype is %s; only %s is read%s", tensor, name,
	       s->foreign ? "F32, F64, F16 or BF16" : MTL_REAL_DTYPE,
	       !s->foreign && t && t->number ? " (others by train --init and model import)" : "");
	return NULL;
}

static MtlStatus read_entry(MtlStore *s, const char *name, const json_t *entry, MtlTensor *t,
			    const MtlDtype **numbers, int64_t *begin, int64_t *end, MtlError *e)
{
	const json_t *type = json_object_get(entry, "dtype"), *shape = json_object_get(entry, "shape"),
		     *place = json_object_get(entry, "data_offsets");
	int64_t all, width;

	*t = (MtlTensor){.name = name};
	if (!*name) return REFUSE("F0006", "a tensor without a name");
	if (!type || !shape || !place || json_object_size(entry) != 3)
		return REFUSE("F0006",
			      "tensor \"%s\": its entry is not exactly dtype, shape and data_offsets", name);
	if (!(*numbers = type_of(s, name, type, e))) return e->status;
	if (!json_is_array(shape) || json_array_size(shape) > 4)
		return REFUSE("F0006", "tensor \"%s\": its shape is not a list of at most 4 numbers", name);
	t->n_dim = (int)json_array_size(shape);
	for (int i = 0; i < t->n_dim; i++)
		if (!whole(json_array_get(shape, (size_t)i), &t->dim[i]))
			return REFUSE("F0006",
				      "tensor \"%s\": its shape holds something that is no whole number",
				      name);
	if (!sizes(t, &all, &width))
		return REFUSE("F0006", "tensor \"%s\": its shape is empty or too large", name);
	if (!json_is_array(place) || json_array_size(place) != 2 || !whole(json_array_get(place, 0), begin) ||
	    !whole(json_array_get(place, 1), end))
		return REFUSE("F0007", "tensor \"%s\": its data_offsets are not two whole numbers", name);
	if (*end < *begin || *end - *begin != all * (int64_t)(*numbers)->bytes)
		return REFUSE("F0007", "tensor \"%s\": its data_offsets do not fit its shape", name);
	return MTL_OK;
}

typedef struct {
	MtlTensor t;
	const MtlDtype *type;
	int64_t begin, end;
} Placed;

/* Every tensor holds at least a byte: no two can begin at the same byte in a file that passes. */
static int by_place(const void *a, const void *b)
{
	const Placed *x = a, *y = b;
	return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Tensors from their entries; their places must tile the `bytes` of data.  Until then `data` holds offsets
 * only. */
static MtlStatus read_entries(MtlStore *s, bool any_order, int64_t bytes, MtlError *e)
{
	const char *name;
	json_t *entry;
	size_t n = json_object_size(s->header);
	MtlStatus st = MTL_OK;

	Placed *p = n < INT_MAX ? mtl_new(s->sys, Placed, n + 1) : NULL;
	s->tensor = p ? mtl_new(s->sys, MtlTensor, n + 1) : NULL;
	s->type = s->tensor ? mtl_new(s->sys, const MtlDtype *, n + 1) : NULL;
	if (!s->type)
		st = mtl_fail(e, MTL_LIMIT, "F0011", s->name, "no memory for the entries of %zu tensors", n);
	json_object_foreach(s->header, name, entry)
	{
		if (st || strcmp(name, META) == 0) continue;
		st = read_entry(s, name, entry, &p[s->n].t, &p[s->n].type, &p[s->n].begin, &p[s->n].end, e);
		s->n++;
	}
	if (!st && any_order) qsort(p, (size_t)s->n, sizeof *p, by_place);
	int64_t at = 0;
	for (int i = 0; !st && i < s->n; i++) {
		if (p[i].begin != at)
			st = REFUSE("F0007",
				    "tensor \"%s\" begins at byte %" PRId64 " of the data, not at %" PRId64,
				    p[i].t.name, p[i].begin, at);
		s->tensor[i] = p[i].t;
		s->type[i] = p[i].type;
		at = p[i].end;
	}
	if (!st && at != bytes)
		st = REFUSE("F0007", "its tensors take %" PRId64 " bytes and it has %" PRId64 ": %s", at,
			    bytes, at > bytes ? "cut off" : "something follows them");
	mtl_release(s->sys, p);
	return st;
}

/* All of the file but the numbers.  `text` is the header. */
static MtlStatus read_header(MtlStore *s, const char *text, size_t n, int64_t data_bytes, bool foreign,
			     bool *own, MtlError *e)
{
	MtlStatus st = parse(s, text, n, e);

	*own = !foreign;
	if (!st) st = check_metadata(s, own, e);
	if (!st && *own) st = check_header_digest(s, text, n, e);
	if (!st) st = read_entries(s, !*own, data_bytes, e);
	return st;
}

/* The digest the metadata give for a tensor, or NULL. */
static const char *stated_digest(const MtlStore *s, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(s->header, META), key,
			    value) if (has_prefix(key, DIGEST) && strcmp(key + strlen(DIGEST), name) ==
								      0) return json_string_value(value);
	return NULL;
}

/* Points the tensors into the data of the file. */
static void place_numbers(MtlStore *s, const void *data)
{
	const char *p = data;
	for (int i = 0; i < s->n; i++) {
		s->tensor[i].data = (const mtl_real *)(const void *)p;
		if (!s->foreign && s->type[i] != mtl_dtype_own()) s->tensor[i].type = s->type[i]->name;
		p += (size_t)layout(&s->tensor[i]).width * s->type[i]->bytes; /* dense: one run */
	}
}

/* Numbers of other types become ours, once they are checked. */
static MtlStatus convert(MtlStore *s, MtlError *e)
{
	int64_t n = 0;
	for (int i = 0; i < s->n; i++) n += layout(&s->tensor[i]).width;
	mtl_real *own = mtl_new(s->sys, mtl_real, n + 1), *to = own;
	if (!own) return mtl_fail(e, MTL_LIMIT, "F0011", s->name, "no memory for its numbers");
	MtlStatus st = MTL_OK;
	for (int i = 0; !st && i < s->n; i++) {
		MtlTensor *t = &s->tensor[i];
		int64_t width = layout(t).width,
			large = s->type[i]->number
				    ? mtl_dtype_convert(s->type[i], (const char *)t->data, width, to)
				    : -1;
		if (large >= 0)
			st = REFUSE("F0010", "tensor \"%s\" holds a number too large for single precision",
				    t->name);
		t->data = s->type[i]->number ? to : NULL;
		to += width;
	}
	mtl_release(s->sys, s->data);
	s->data = own;
	return st;
}

/* Looks at every number. */
static MtlStatus check_numbers(const MtlStore *s, bool own, MtlError *e)
{
	for (int i = 0; i < s->n; i++) {
		const MtlTensor *t = &s->tensor[i];
		const char *stated = own ? stated_digest(s, t->name) : NULL;
		char hex[HEX + 1];

		bool finite = digest(t, s->type[i], hex);
		if (own && !stated) return REFUSE("F0008", "it holds no digest of tensor \"%s\"", t->name);
		if (own && strcmp(stated, hex) != 0)
			return REFUSE("F0009", "damaged: tensor \"%s\" does not have the digest it should",
				      t->name);
		if (!finite)
			return REFUSE("F0010", "tensor \"%s\" holds a number that is not finite", t->name);
	}
	return MTL_OK;
}

static MtlStatus new_store(MtlStore **out, const MtlSys *sys, const char *name, MtlError *e)
{
	*out = mtl_new(sys, MtlStore, 1);
	if (!*out) return mtl_fail(e, MTL_LIMIT, "F0011", name, "no memory");
	(*out)->sys = sys;
	(*out)->name = name;
	return MTL_OK;
}

/* A store that could not be read is none. */
static MtlStatus done(MtlStore **out, MtlStatus st)
{
	if (*out) (*out)->name = NULL; /* the caller's, for as long as the call */
	if (!st) return MTL_OK;
	mtl_store_close(*out);
	*out = NULL;
	return st;
}

static MtlStatus read_all(const MtlStore *s, int fd, void *to, size_t n, MtlError *e)
{
	char *p = to;
	while (n > 0) {
		ssize_t got = s->sys->read(s->sys->self, fd, p, n);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0)
			return mtl_fail(e, MTL_SYSTEM, "F0001", s->name, "cannot read: %s", strerror(errno));
		if (got == 0) return REFUSE("F0003", "it became shorter while it was read");
		p += got;
		n -= (size_t)got;
	}
	return MTL_OK;
}

/* The header is judged before memory is taken for the data: a file that is no model costs nothing, however
 * large. */
static MtlStatus read_file(MtlStore *s, int fd, bool foreign, MtlError *e)
{
	struct stat info;
	unsigned char first[LENGTH];
	uint64_t n;
	bool own;

	if (fstat(fd, &info) != 0)
		return mtl_fail(e, MTL_SYSTEM, "F0001", s->name, "cannot read: %s", strerror(errno));
	if (!S_ISREG(info.st_mode))
		return mtl_fail(e, MTL_SYSTEM, "F0001", s->name, "cannot read: not a regular file");
	if (info.st_size < LENGTH)
		return REFUSE("F0003", "not a model file: only %lld bytes", (long long)info.st_size);
	MtlStatus st = read_all(s, fd, first, LENGTH, e);
	if (!st) st = check_length(s, first, (uint64_t)info.st_size, &n, e);
	if (st) return st;

	char *text = mtl_new(s->sys, char, n);
	if (!text)
		return mtl_fail(e, MTL_LIMIT, "F0011", s->name, "no memory for its header of %zu bytes",
				(size_t)n);
	size_t bytes = (size_t)info.st_size - LENGTH - (size_t)n;
	st = read_all(s, fd, text, n, e);
	if (!st) st = read_header(s, text, n, (int64_t)bytes, foreign, &own, e);
	mtl_release(s->sys, text);
	if (st) return st;

	s->data = mtl_new(s->sys, char, bytes);
	if (!s->data) return mtl_fail(e, MTL_LIMIT, "F0011", s->name, "no memory for its %zu bytes", bytes);
	st = read_all(s, fd, s->data, bytes, e);
	if (st) return st;
	place_numbers(s, s->data);
	st = check_numbers(s, own, e);
	return !st && foreign && mtl_store_converted(s) ? convert(s, e) : st;
}

static MtlStatus open_file(MtlStore **out, const MtlSys *sys, const char *path, bool foreign, bool any_type,
			   bool weights, MtlError *e)
{
	MtlStatus st = new_store(out, sys, path, e);
	if (!st) (*out)->foreign = foreign;
	if (!st) (*out)->any_type = any_type;
	if (!st) (*out)->weights = weights;
	/* NONBLOCK: opening a pipe must not wait for its other end. */
	int fd = st ? -1 : sys->open(sys->self, path, O_RDONLY | O_NONBLOCK, 0);
	if (!st && fd < 0) st = mtl_fail(e, MTL_SYSTEM, "F0001", path, "cannot open: %s", strerror(errno));
	if (!st) st = read_file(*out, fd, foreign, e);
	if (fd >= 0) sys->close(sys->self, fd);
	return done(out, st);
}

MtlStatus mtl_store_open(MtlStore **out, const MtlSys *sys, const char *path, bool foreign, MtlError *e)
{
	return open_file(out, sys, path, foreign, false, false, e);
}

MtlStatus mtl_store_open_weights(MtlStore **out, const MtlSys *sys, const char *path, MtlError *e)
{
	return open_file(out, sys, path, false, false, true, e);
}

MtlStatus mtl_store_open_outside(MtlStore **out, const MtlSys *sys, const char *path, MtlError *e)
{
	return open_file(out, sys, path, true, true, false, e);
}

static MtlStatus read_memory(MtlStore *s, const char *p, size_t n, bool look, MtlError *e)
{
	uint64_t header;
	bool own;

	s->weights = true;
	if (n < LENGTH) return REFUSE("F0003", "not a model file: only %zu bytes", n);
	MtlStatus st = check_length(s, (const unsigned char *)p, n, &header, e);
	if (!st) st = read_header(s, p + LENGTH, header, (int64_t)(n - LENGTH - header), false, &own, e);
	if (st) return st;
	const char *data = p + LENGTH + header;
	if ((uintptr_t)data % _Alignof(mtl_real) != 0) {
		size_t bytes = n - LENGTH - header;
		s->data = mtl_new(s->sys, char, bytes);
		if (!s->data)
			return mtl_fail(e, MTL_LIMIT, "F0011", s->name, "no memory for its %zu bytes", bytes);
		data = memcpy(s->data, data, bytes);
	}
	place_numbers(s, data);
	return look ? check_numbers(s, own, e) : MTL_OK;
}

MtlStatus mtl_store_open_memory(MtlStore **out, const MtlSys *sys, const void *p, size_t n, const char *name,
				MtlError *e)
{
	MtlStatus st = new_store(out, sys, name, e);
	if (!st) st = read_memory(*out, p, n, true, e);
	return done(out, st);
}

MtlStatus mtl_store_open_trusted(MtlStore **out, const MtlSys *sys, const void *p, size_t n, const char *name,
				 MtlError *e)
{
	MtlStatus st = new_store(out, sys, name, e);
	if (!st) st = read_memory(*out, p, n, false, e);
	return done(out, st);
}

void mtl_store_close(MtlStore *s)
{
	if (!s) return;
	json_decref(s->header);
	mtl_release(s->sys, s->tensor);
	mtl_release(s->sys, s->type);
	mtl_release(s->sys, s->data);
	mtl_release(s->sys, s);
}

bool mtl_store_converted(const MtlStore *s)
{
	for (int i = 0; i < s->n; i++)
		if (s->type[i] != mtl_dtype_own()) return true;
	return false;
}
const char *mtl_store_type(const MtlStore *s, int i) { return s->type[i]->name; }
int mtl_store_count(const MtlStore *s) { return s->n; }
const MtlTensor *mtl_store_tensor(const MtlStore *s, int i) { return &s->tensor[i]; }

const MtlTensor *mtl_store_find(const MtlStore *s, const char *name)
{
	for (int i = 0; i < s->n; i++)
		if (strcmp(s->tensor[i].name, name) == 0) return &s->tensor[i];
	return NULL;
}

const char *mtl_store_meta(const MtlStore *s, const char *key)
{
	return json_string_value(json_object_get(json_object_get(s->header, META), key));
}

void mtl_store_copy(const MtlTensor *t, mtl_real *dst, int64_t stride)
{
	int64_t all = 0, width = 1;

	sizes(t, &all, &width);
	int64_t from = t->stride ? t->stride : width, to = stride ? stride : width;
	if (from == width && to == width) {
		memcpy(dst, t->data, (size_t)all * sizeof *dst);
		return;
	}
	for (int64_t r = 0; r < all / width; r++)
		memcpy(dst + r * to, t->data + r * from, (size_t)width * sizeof *dst);
}

/* ---- writing ---- */

typedef struct {
	const MtlSys *sys;
	const char *path; /* for messages */
	const char *temp; /* what is to be removed again, or NULL */
	int fd;
	char *buffer;
	size_t used;
} Out;

static MtlStatus cannot_write(const Out *o, MtlError *e)
{
	return mtl_fail(e, MTL_SYSTEM, "F0002", o->path, "cannot write: %s", strerror(errno));
}

static MtlStatus write_all(Out *o, const void *from, size_t n, MtlError *e)
{
	const char *p = from;
	while (n > 0) {
		ssize_t put = o->sys->write(o->sys->self, o->fd, p, n);
		if (put < 0 && errno == EINTR) continue;
		if (put == 0)
			errno = ENOSPC; /* never seen on a regular file, but no reason to wait for ever */
		if (put <= 0) return cannot_write(o, e);
		p += put;
		n -= (size_t)put;
	}
	return MTL_OK;
}

static MtlStatus flush(Out *o, MtlError *e)
{
	size_t n = o->used;
	o->used = 0;
	return write_all(o, o->buffer, n, e);
}

static MtlStatus put(Out *o, const void *from, size_t n, MtlError *e)
{
	if (n > BUFFER - o->used) {
		MtlStatus st = flush(o, e);
		if (st) return st;
		if (n >= BUFFER) return write_all(o, from, n, e);
	}
	memcpy(o->buffer + o->used, from, n);
	o->used += n;
	return MTL_OK;
}

#define REJECT(code, ...) mtl_fail(e, MTL_REFUSED, code, path, __VA_ARGS__)
#define NO_MEMORY()	  mtl_fail(e, MTL_LIMIT, "F0011", path, "no memory to write its header")

/* Takes over `value`; NULL, or a key that is not UTF-8, is false. */
static bool set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static MtlStatus describe_metadata(json_t *meta, const MtlMeta *m, int n, const char *path, MtlError *e)
{
	for (int i = 0; i < n; i++) {
		json_t *value = json_string(m[i].value);
		if (!value)
			return REJECT("F0005", "the text of \"%s\" is not UTF-8 (or there is no memory)",
				      m[i].key);
		if (has_prefix(m[i].key, DIGEST) || json_object_get(meta, m[i].key)) {
			json_decref(value);
			return REJECT("F0005", "metadata \"%s\" twice, or a name kept for digests", m[i].key);
		}
		if (!set(meta, m[i].key, value))
			return REJECT("F0005", "metadata \"%s\" cannot be kept", m[i].key);
	}
	return MTL_OK;
}

static MtlStatus describe_tensor(json_t *header, json_t *meta, const MtlTensor *t, int64_t *at,
				 const MtlSys *sys, const char *path, MtlError *e)
{
	int64_t all, width, end;
	const MtlDtype *type = dtype_of(t);
	char hex[HEX + 1];

	if (!*t->name || strcmp(t->name, META) == 0 || strcmp(t->name, HEADER) == 0)
		return REJECT("F0006", "a tensor cannot have the name \"%s\"", t->name);
	if (json_object_get(header, t->name))
		return REJECT("F0006", "two tensors have the name \"%s\"", t->name);
	if (!sizes(t, &all, &width) || __builtin_add_overflow(*at, all * (int64_t)type->bytes, &end))
		return REJECT("F0006", "tensor \"%s\": its shape is empty or too large", t->name);
	if (!digest(t, type, hex))
		return mtl_fail(e, MTL_NUMBERS, "F0010", path,
				"not written: tensor \"%s\" holds a number that is not finite", t->name);

	size_t n = strlen(DIGEST) + strlen(t->name) + 1;
	char *key = mtl_new(sys, char, n);
	json_t *shape = json_array(), *place = json_array(), *entry = json_object(),
	       *stated = json_string(hex);
	bool ok = key && shape && place && entry && stated;
	for (int i = 0; ok && i < t->n_dim; i++)
		ok = json_array_append_new(shape, json_integer(t->dim[i])) == 0;
	ok = ok && json_array_append_new(place, json_integer(*at)) == 0 &&
	     json_array_append_new(place, json_integer(end)) == 0;
	ok = ok && set(entry, "dtype", json_string(type->name)) &&
	     json_object_set(entry, "shape", shape) == 0 &&
	     json_object_set(entry, "data_offsets", place) == 0;
	MtlStatus st = ok ? MTL_OK : NO_MEMORY();
	if (ok) {
		snprintf(key, n, "%s%s", DIGEST, t->name);
		if (json_object_set(meta, key, stated) != 0 || json_object_set(header, t->name, entry) != 0)
			st = REJECT("F0006", "the name of tensor \"%s\" is not UTF-8 (or there is no memory)",
				    t->name);
	}
	json_decref(shape);
	json_decref(place);
	json_decref(entry);
	json_decref(stated);
	mtl_release(sys, key);
	*at = end;
	return st;
}

/* The first bytes of the file, up to the data: length, text, digest, spaces. */
static MtlStatus print_header(char **out, size_t *size, const json_t *header, const MtlSys *sys,
			      const char *path, MtlError *e)
{
	size_t n = json_dumpb(header, NULL, 0, JSON_COMPACT), all = (LENGTH + n + ALIGN - 1) / ALIGN * ALIGN;
	char hex[HEX + 1];

	if (n == 0) return NO_MEMORY();
	if (all - LENGTH > MAX_HEADER)
		return mtl_fail(e, MTL_LIMIT, "F0011", path,
				"its header would take %zu bytes; %d are allowed (large vocabularies?)", all,
				MAX_HEADER);
	char *text = mtl_new(sys, char, all);
	if (!text) return NO_MEMORY();
	for (int i = 0; i < LENGTH; i++) text[i] = (char)((all - LENGTH) >> (8 * i));
	json_dumpb(header, text + LENGTH, n, JSON_COMPACT);
	memset(text + LENGTH + n, ' ', all - LENGTH - n);
	const char *own = own_digest(text + LENGTH, all - LENGTH);
	header_digest(text + LENGTH, all - LENGTH, own, hex);
	memcpy(text + (own - text), hex, HEX);
	*out = text;
	*size = all;
	return MTL_OK;
}

static MtlStatus make_header(char **out, size_t *size, const MtlTensor *t, int n, const MtlMeta *m,
			     int n_meta, const MtlSys *sys, const char *path, MtlError *e)
{
	json_t *header = json_object(), *meta = json_object();
	int64_t at = 0;
	MtlStatus st = header && meta && json_object_set(header, META, meta) == 0 ? MTL_OK : NO_MEMORY();

	if (!st) st = describe_metadata(meta, m, n_meta, path, e);
	for (int i = 0; !st && i < n; i++) st = describe_tensor(header, meta, &t[i], &at, sys, path, e);
	if (!st && !set(meta, DIGEST HEADER, json_string("0000000000000000"))) st = NO_MEMORY();
	if (!st) st = print_header(out, size, header, sys, path, e);
	json_decref(meta);
	json_decref(header);
	return st;
}

static MtlStatus put_tensor(Out *o, const MtlTensor *t, MtlError *e)
{
	Layout l = layout(t);
	size_t element = dtype_of(t)->bytes;
	MtlStatus st = MTL_OK;
	for (int64_t r = 0; !st && r < l.rows; r++)
		st = put(o, (const char *)t->data + (size_t)(r * l.stride) * element,
			 (size_t)l.width * element, e);
	return st;
}

/* Where a write through `path` must go: behind symbolic links, and never over what is no regular file
 * (/dev/null). */
static MtlStatus find_target(char target[PATH_MAX], const char *path, MtlError *e)
{
	struct stat info;
	if (!realpath(path, target)) {
		if (strlen(path) >= PATH_MAX)
			return mtl_fail(e, MTL_SYSTEM, "F0002", path, "cannot write: %s",
					strerror(ENAMETOOLONG));
		memcpy(target, path, strlen(path) + 1);
	}
	if (stat(target, &info) == 0 && !S_ISREG(info.st_mode))
		return mtl_fail(e, MTL_SYSTEM, "F0002", path, "cannot write: not a regular file");
	return MTL_OK;
}

/* The folder, opened before the rename so that only its fsync can fail afterwards. */
static int open_folder(const MtlSys *sys, const char *target)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(target, '/');
	size_t n = slash ? (slash == target ? 1 : (size_t)(slash - target)) : 0;
	memcpy(folder, n ? target : ".", n ? n : 1);
	folder[n ? n : 1] = '\0';
	return sys->open(sys->self, folder, O_RDONLY | O_DIRECTORY, 0);
}

/* Leaves all data on the disk under the temporary name, the file closed. */
static MtlStatus fill_temp(Out *o, const char *header, size_t size, const MtlTensor *t, int n, MtlError *e)
{
	MtlStatus st = put(o, header, size, e);
	for (int i = 0; !st && i < n; i++) st = put_tensor(o, &t[i], e);
	if (!st) st = flush(o, e);
	if (!st && o->sys->sync(o->sys->self, o->fd) != 0) st = cannot_write(o, e);
	if (o->sys->close(o->sys->self, o->fd) != 0 && !st) st = cannot_write(o, e);
	return st;
}

static MtlStatus put_in_place(Out *o, const char *target, int folder, MtlError *e)
{
	if (o->sys->rename(o->sys->self, o->temp, target) != 0) return cannot_write(o, e);
	o->temp = NULL;
	/* EINVAL: a file system whose folders cannot be synced. */
	if (o->sys->sync(o->sys->self, folder) != 0 && errno != EINVAL) return cannot_write(o, e);
	return MTL_OK;
}

static MtlStatus write_file(Out *o, const char *header, size_t size, const MtlTensor *t, int n, MtlError *e)
{
	enum { TRIES = 100 };
	char target[PATH_MAX], temp[PATH_MAX + 48];
	MtlStatus st = find_target(target, o->path, e);
	if (st) return st;

	/* The number behind the process tells apart threads, and what a killed process of the same number
	 * left behind. */
	for (int i = 0; i < TRIES; i++) {
		snprintf(temp, sizeof temp, "%s.tmp.%ld.%d", target, (long)getpid(), i);
		o->fd = o->sys->open(o->sys->self, temp, O_WRONLY | O_CREAT | O_EXCL, 0666);
		if (o->fd >= 0 || errno != EEXIST) break;
	}
	if (o->fd < 0) return cannot_write(o, e);
	o->temp = temp;
	st = fill_temp(o, header, size, t, n, e);
	int folder = st ? -1 : open_folder(o->sys, target);
	if (!st && folder < 0) st = cannot_write(o, e);
	if (!st) st = put_in_place(o, target, folder, e);
	if (folder >= 0) o->sys->close(o->sys->self, folder);
	if (o->temp) o->sys->remove(o->sys->self, o->temp);
	return st;
}

MtlStatus mtl_store_write(const MtlSys *sys, const char *path, const MtlTensor *t, int n, const MtlMeta *meta,
			  int n_meta, MtlError *e)
{
	Out o = {.sys = sys, .path = path, .fd = -1};
	char *header = NULL;
	size_t size = 0;
	MtlStatus st = make_header(&header, &size, t, n, meta, n_meta, sys, path, e);

	if (!st && !(o.buffer = mtl_new(sys, char, BUFFER)))
		st = mtl_fail(e, MTL_LIMIT, "F0011", path, "no memory to write it");
	if (!st) st = write_file(&o, header, size, t, n, e);
	mtl_release(sys, o.buffer);
	mtl_release(sys, header);
	return st;
}
