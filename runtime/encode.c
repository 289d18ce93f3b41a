/*
 * From cell to table row or number, and the statistics of the data that some of these codes need.
 */
#define _GNU_SOURCE /* memrchr */
#include "encode.h"
#include "log.h"
#include "number.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SAMPLE_CAP = 1 << 20 };

/* ---- words: a set of byte strings numbered in the order of their coming ---- */

typedef struct {
	uint64_t *hash; /* [cap], of word i */
	size_t *start;	/* [cap + 1] offsets in text; words end in '\0' */
	int64_t *count; /* [cap] */
	int64_t n, cap;
	char *text;
	size_t cap_text;
	uint32_t *slot; /* [mask + 1] word + 1, 0 free; linear probing, at most half full */
	uint64_t mask;
} Words;

static void words_free(Words *w, const MtlSys *sys)
{
	mtl_release(sys, w->hash);
	mtl_release(sys, w->start);
	mtl_release(sys, w->count);
	mtl_release(sys, w->text);
	mtl_release(sys, w->slot);
	*w = (Words){0};
}

/* Copies n bytes at *p into a block of `bytes`; false: no memory, *p as it was. */
static bool enlarge(const MtlSys *sys, void *p, size_t n, size_t bytes)
{
	void *old, *larger = mtl_alloc(sys, bytes, 1);
	if (!larger) return false;
	memcpy(&old, p, sizeof old);
	if (old) memcpy(larger, old, n);
	mtl_release(sys, old);
	memcpy(p, &larger, sizeof larger);
	return true;
}

static void words_place(Words *w, int64_t i)
{
	uint64_t at = w->hash[i] & w->mask;
	while (w->slot[at]) at = (at + 1) & w->mask;
	w->slot[at] = (uint32_t)i + 1;
}

/* Room for one more word of n bytes. */
static bool words_room(Words *w, const MtlSys *sys, size_t n)
{
	if (w->n == w->cap) {
		size_t had = (size_t)w->cap, cap = had ? had * 2 : 64;
		if (cap > UINT32_MAX / 4) return false;
		if (!enlarge(sys, &w->hash, had * sizeof *w->hash, cap * sizeof *w->hash) ||
		    !enlarge(sys, &w->start, had ? (had + 1) * sizeof *w->start : 0,
			     (cap + 1) * sizeof *w->start) ||
		    !enlarge(sys, &w->count, had * sizeof *w->count, cap * sizeof *w->count))
			return false;
		uint32_t *slot = mtl_new(sys, uint32_t, cap * 2);
		if (!slot) return false;
		mtl_release(sys, w->slot);
		w->slot = slot;
		w->mask = cap * 2 - 1;
		w->cap = (int64_t)cap;
		for (int64_t i = 0; i < w->n; i++) words_place(w, i);
	}
	size_t end = w->start[w->n];
	if (end + n + 1 > w->cap_text) {
		size_t cap = (end + n + 1) * 2;
		if (!enlarge(sys, &w->text, end, cap)) return false;
		w->cap_text = cap;
	}
	return true;
}

static int64_t words_find(const Words *w, const char *p, size_t n, uint64_t hash)
{
	if (!w->slot) return -1;
	for (uint64_t at = hash & w->mask; w->slot[at]; at = (at + 1) & w->mask) {
		int64_t i = w->slot[at] - 1;
		if (w->hash[i] == hash && w->start[i + 1] - w->start[i] == n + 1 &&
		    memcmp(w->text + w->start[i], p, n) == 0)
			return i;
	}
	return -1;
}

/* Index of the word, new or known; -1: no memory. */
static int64_t words_add(Words *w, const MtlSys *sys, const char *p, size_t n)
{
	uint64_t hash = XXH3_64bits(p, n);
	int64_t i = words_find(w, p, n, hash);
	if (i >= 0) return i;
	if (!words_room(w, sys, n)) return -1;
	i = w->n++;
	w->hash[i] = hash;
	memcpy(w->text + w->start[i], p, n);
	w->text[w->start[i] + n] = '\0';
	w->start[i + 1] = w->start[i] + n + 1;
	words_place(w, i);
	return i;
}

/* Heap sort of pointer-free items: in place, no memory, no bad case. */
#define HEAP_SORT(name, T, LESS)                                                                             \
	static void name(T *a, int64_t n, const void *ctx)                                                   \
	{                                                                                                    \
		(void)ctx;                                                                                   \
		for (int64_t start = n / 2, end = n; end > 1;) {                                             \
			T x;                                                                                 \
			if (start > 0) {                                                                     \
				x = a[--start];                                                              \
			} else {                                                                             \
				x = a[--end];                                                                \
				a[end] = a[0];                                                               \
			}                                                                                    \
			int64_t hole = start, child;                                                         \
			while ((child = 2 * hole + 1) < end) {                                               \
				if (child + 1 < end && LESS(a[child], a[child + 1])) child++;                \
				if (!(LESS(x, a[child]))) break;                                             \
				a[hole] = a[child];                                                          \
				hole = child;                                                                \
			}                                                                                    \
			a[hole] = x;                                                                         \
		}                                                                                            \
	}

#define LESS_NUMBER(x, y) ((x) < (y))
HEAP_SORT(sort_numbers, double, LESS_NUMBER)

static bool earlier_word(const Words *w, uint32_t i, uint32_t j)
{
	if (w->count[i] != w->count[j]) return w->count[i] > w->count[j];
	return strcmp(w->text + w->start[i], w->text + w->start[j]) < 0;
}
#define LESS_WORD(i, j) earlier_word(ctx, i, j)
HEAP_SORT(sort_words, uint32_t, LESS_WORD)

/* ---- codes of the spec ---- */

static bool needs_words(const MtlFeature *f) { return f->code == MTL_VOCAB_AUTO; }
static bool needs_edges(const MtlFeature *f) { return f->code == MTL_QUANTILES; }
static bool needs_normal(const MtlFeature *f)
{
	return f->kind == MTL_NUMBER && f->code == MTL_PLAIN &&
	       (f->normal == MTL_STANDARD || f->normal == MTL_MINMAX);
}
static bool needs_data(const MtlFeature *f)
{
	return needs_normal(f) || (f->same_code < 0 && (needs_words(f) || needs_edges(f)));
}

bool mtl_codes_need_data(const MtlModel *m)
{
	for (int f = 0; f < m->n_feature; f++)
		if (needs_data(&m->feature[f])) return true;
	return false;
}

static MtlStatus no_memory(MtlError *e)
{
	return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for vocabularies and edges");
}

static void book_free(MtlCodeBook *b, const MtlSys *sys)
{
	if (b->index) words_free(b->index, sys);
	mtl_release(sys, b->index);
	mtl_release(sys, b->vocab);
	mtl_release(sys, b->edges);
	*b = (MtlCodeBook){.scale = 1};
}

/* An empty index for a vocabulary in the making. */
static Words *book_words(MtlCodeBook *b, const MtlSys *sys)
{
	if (!b->index) b->index = mtl_new(sys, Words, 1);
	return b->index;
}

/* The words are all there: vocab[i] is the text of word i. */
static bool book_vocab(MtlCodeBook *b, const MtlSys *sys)
{
	Words *w = b->index;
	b->vocab = mtl_new(sys, char *, w->n + 1);
	if (!b->vocab) return false;
	b->n_vocab = w->n;
	for (int64_t i = 0; i < w->n; i++) b->vocab[i] = w->text + w->start[i];
	return true;
}

static bool book_edges(MtlCodeBook *b, const MtlSys *sys, const double *edges, int64_t n)
{
	b->edges = mtl_new(sys, double, n + 1);
	if (!b->edges) return false;
	if (n) memcpy(b->edges, edges, (size_t)n * sizeof *edges);
	b->n_edges = n;
	return true;
}

static bool book_from_spec(MtlCodeBook *b, const MtlSys *sys, const MtlFeature *f)
{
	b->scale = 1;
	if (f->same_code >= 0) return true;
	if (f->code == MTL_BUCKET) return book_edges(b, sys, f->edges, f->n_edges);
	if (f->code != MTL_VOCAB) return true;
	Words *w = book_words(b, sys);
	if (!w) return false;
	for (int i = 0; i < f->n_vocab; i++)
		if (words_add(w, sys, f->vocab[i], strlen(f->vocab[i])) < 0) return false;
	return book_vocab(b, sys);
}

MtlStatus mtl_codes_init(MtlCodes *c, const MtlSys *sys, const MtlModel *m, MtlError *e)
{
	*c = (MtlCodes){.book = mtl_new(sys, MtlCodeBook, m->n_feature + 1)};
	if (!c->book) return no_memory(e);
	for (int f = 0; f < m->n_feature; f++)
		if (!book_from_spec(&c->book[f], sys, &m->feature[f])) return no_memory(e);
	c->complete = !mtl_codes_need_data(m);
	return MTL_OK;
}

void mtl_codes_free(MtlCodes *c, const MtlSys *sys, const MtlModel *m)
{
	for (int f = 0; c->book && f < m->n_feature; f++) book_free(&c->book[f], sys);
	mtl_release(sys, c->book);
	*c = (MtlCodes){0};
}

int64_t mtl_table_rows(const MtlModel *m, const MtlCodes *c, int t)
{
	if (m->table[t].rows > 0) return m->table[t].rows;
	return MTL_ROW_FIRST + c->book[mtl_code_root(m, m->table[t].feature)].n_vocab;
}

/* ---- one cell ---- */

static int32_t row_of_digits(const char *p, size_t n, int64_t limit)
{
	int64_t x = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9') return MTL_ROW_UNKNOWN;
		x = x * 10 + (p[i] - '0');
		if (x >= limit) return MTL_ROW_UNKNOWN;
	}
	return (int32_t)x + MTL_ROW_FIRST;
}

bool mtl_code_row(const MtlFeature *f, const MtlCodeBook *b, const char *p, size_t n, int32_t *row)
{
	switch (f->code) {
	case MTL_HASH: *row = (int32_t)(XXH3_64bits(p, n) % (uint64_t)f->n) + MTL_ROW_FIRST; return true;
	case MTL_VOCAB:
	case MTL_VOCAB_AUTO: {
		int64_t i = b->index ? words_find(b->index, p, n, XXH3_64bits(p, n)) : -1;
		*row = i < 0 ? MTL_ROW_UNKNOWN : (int32_t)i + MTL_ROW_FIRST;
		return true;
	}
	case MTL_SIZE: *row = row_of_digits(p, n, f->n); return true;
	case MTL_BUCKET:
	case MTL_QUANTILES: {
		double x;
		if (!mtl_number(p, n, &x)) return false;
		*row = mtl_code_bucket(b, x);
		return true;
	}
	case MTL_PLAIN: break;
	}
	*row = MTL_ROW_UNKNOWN;
	return true;
}

bool mtl_list_item(const char **p, const char *end, char separator, const char **item, size_t *n,
		   mtl_real *weight, bool *weighted)
{
	while (*p < end) {
		const char *from = *p, *stop = memchr(from, separator, (size_t)(end - from));
		if (!stop) stop = end;
		*p = stop < end ? stop + 1 : end;
		*weight = 1;
		const char *colon = memrchr(from, ':', (size_t)(stop - from));
		double x;
		if (colon && mtl_number(colon + 1, (size_t)(stop - colon - 1), &x) && x >= 0 &&
		    isfinite((mtl_real)x)) {
			*weight = (mtl_real)x + 0.0f; /* -0 becomes 0 */
			*weighted = true;
			stop = colon;
		}
		if (stop == from) continue;
		*item = from;
		*n = (size_t)(stop - from);
		return true;
	}
	return false;
}

bool mtl_step_item(const char **p, const char *end, char separator, const char **item, size_t *n)
{
	if (!*p) return false;
	const char *stop = *p < end ? memchr(*p, separator, (size_t)(end - *p)) : NULL;
	*item = *p;
	*n = (size_t)((stop ? stop : end) - *p);
	*p = stop ? stop + 1 : NULL;
	return true;
}

int64_t mtl_steps_count(const char *p, size_t n, char separator)
{
	int64_t count = n > 0;
	for (size_t i = 0; i < n; i++) count += p[i] == separator;
	return count;
}

/* ---- statistics ---- */

typedef struct {
	int feature, want;
	/* quantiles */
	double *sample;
	int64_t n_sample, cap_sample, seen;
	uint64_t random;
	/* standard, minmax: of f(value) */
	int64_t n;
	double mean, m2, min, max;
} Stat;

static uint64_t random_next(uint64_t *s)
{
	uint64_t z = *s += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Keeps each value seen so far with the same chance (reservoir); false: no memory. */
static bool sample(Stat *s, const MtlSys *sys, double x)
{
	if (s->seen++ >= SAMPLE_CAP) {
		int64_t at = (int64_t)(random_next(&s->random) % (uint64_t)s->seen);
		if (at < SAMPLE_CAP) s->sample[at] = x;
		return true;
	}
	if (s->n_sample == s->cap_sample) {
		int64_t cap = s->cap_sample ? s->cap_sample * 2 : 1024;
		if (!enlarge(sys, &s->sample, (size_t)s->n_sample * sizeof x, (size_t)cap * sizeof x))
			return false;
		s->cap_sample = cap;
	}
	s->sample[s->n_sample++] = x;
	return true;
}

static void moments(Stat *s, double x)
{
	if (s->n == 0 || x < s->min) s->min = x;
	if (s->n == 0 || x > s->max) s->max = x;
	double d = x - s->mean;
	s->mean += d / (double)++s->n;
	s->m2 += d * (x - s->mean);
}

/* One item or cell for a vocabulary or for quantiles; false: no memory. */
static bool count_text(Stat *s, MtlCodeBook *b, const MtlFeature *f, const MtlSys *sys, const char *p,
		       size_t n)
{
	if (needs_words(f)) {
		int64_t i = words_add(b->index, sys, p, n);
		if (i < 0) return false;
		((Words *)b->index)->count[i]++;
		return true;
	}
	double x;
	return !mtl_number(p, n, &x) || sample(s, sys, x);
}

static bool count_cell(Stat *s, MtlCodeBook *b, const MtlFeature *f, const MtlSys *sys, const MtlCell *cell)
{
	double x;
	if (cell->n == 0) return true;
	if (needs_normal(f)) {
		if (mtl_number(cell->p, cell->n, &x)) moments(s, x);
		return true;
	}
	if (f->kind != MTL_BAG) return count_text(s, b, f, sys, cell->p, cell->n);
	const char *p = cell->p, *end = p + cell->n, *item;
	size_t n;
	mtl_real weight;
	bool weighted;
	char separator = mtl_cell_separator(cell, f->separator);
	while (mtl_is_field(f) ? mtl_step_item(&p, end, separator, &item, &n)
			       : mtl_list_item(&p, end, separator, &item, &n, &weight, &weighted))
		if (n && !count_text(s, b, f, sys, item, n)) return false;
	return true;
}

/* The n words of most occurrences, at least min_count each, by falling count then bytes. */
static bool finish_words(MtlCodeBook *b, const MtlSys *sys, const MtlFeature *f)
{
	Words *all = b->index, kept = {0};
	uint32_t *order = mtl_new(sys, uint32_t, all->n + 1);
	int64_t n = 0;
	if (!order) return false;
	for (int64_t i = 0; i < all->n; i++)
		if (all->count[i] >= f->min_count) order[n++] = (uint32_t)i;
	sort_words(order, n, all);
	if (f->n > 0 && n > f->n) n = f->n;
	bool good = true;
	for (int64_t i = 0; good && i < n; i++) {
		size_t from = all->start[order[i]], len = all->start[order[i] + 1] - from - 1;
		good = words_add(&kept, sys, all->text + from, len) >= 0;
	}
	mtl_release(sys, order);
	words_free(all, sys);
	*all = kept;
	return good && book_vocab(b, sys);
}

/* Edge k of n - 1 is the value with k/n of all below it; equal edges count once. */
static bool finish_edges(MtlCodeBook *b, const MtlSys *sys, const MtlFeature *f, Stat *s)
{
	double *edges = mtl_new(sys, double, f->n + 1);
	int64_t n = 0;
	if (!edges) return false;
	sort_numbers(s->sample, s->n_sample, NULL);
	for (int64_t k = 1; k < f->n && s->n_sample > 0; k++) {
		double x = s->sample[(int64_t)((__int128)k * s->n_sample / f->n)];
		if (n == 0 || x > edges[n - 1]) edges[n++] = x;
	}
	b->edges = edges;
	b->n_edges = n;
	return true;
}

static void finish_normal(MtlCodeBook *b, const MtlFeature *f, const Stat *s)
{
	double width = f->normal == MTL_STANDARD ? sqrt(s->m2 / (double)(s->n ? s->n : 1)) : s->max - s->min;
	b->shift = f->normal == MTL_STANDARD ? s->mean : s->min;
	b->scale = width > 0 && isfinite(1 / width) ? 1 / width : 1;
}

static MtlStatus read_statistics(MtlLog *l, MtlCodes *c, const MtlModel *m, Stat *stat, int n_stat,
				 MtlError *e)
{
	for (;;) {
		switch (mtl_log_next(l, e)) {
		case MTL_ROW_END: return MTL_OK;
		case MTL_ROW_FAIL: return e->status;
		case MTL_ROW_BAD: continue;
		case MTL_ROW_OK: break;
		}
		for (int i = 0; i < n_stat; i++) {
			int f = stat[i].feature;
			const MtlCell *cell = mtl_log_cell(l, stat[i].want);
			if (!count_cell(&stat[i], &c->book[f], &m->feature[f], l->sys, cell))
				return no_memory(e);
		}
	}
}

MtlStatus mtl_codes_from_data(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *const *path,
			      int n_path, MtlError *e)
{
	MtlLog log = {0};
	MtlStatus st = MTL_OK;
	int n_stat = 0;
	if (!mtl_codes_need_data(m)) {
		c->complete = true;
		return MTL_OK;
	}
	for (int i = 0; i < n_path; i++)
		if (!mtl_stream_repeats(path[i]))
			return mtl_fail(e, MTL_USAGE, "D0008", NULL,
					"this model takes statistics from the data before training, so "
					"\"%s\" must be a file "
					"that can be read twice",
					path[i]);
	Stat *stat = mtl_new(sys, Stat, m->n_feature + 1);
	if (!stat) st = no_memory(e);
	if (!st) st = mtl_log_init(&log, sys, m->n_feature, e);
	for (int f = 0; !st && f < m->n_feature; f++) {
		const MtlFeature *feature = &m->feature[f];
		if (!needs_data(feature)) continue;
		stat[n_stat++] = (Stat){.feature = f,
					.want = mtl_log_want(&log, feature->column, "feature", false),
					.random = (uint64_t)f};
		book_free(&c->book[f], sys);
		if (needs_words(feature) && !book_words(&c->book[f], sys)) st = no_memory(e);
	}
	if (!st) st = mtl_log_open(&log, path, n_path, MTL_CSV, false, e);
	if (!st) st = read_statistics(&log, c, m, stat, n_stat, e);
	for (int i = 0; !st && i < n_stat; i++) {
		const MtlFeature *f = &m->feature[stat[i].feature];
		MtlCodeBook *b = &c->book[stat[i].feature];
		if (needs_normal(f))
			finish_normal(b, f, &stat[i]);
		else if (needs_words(f) ? !finish_words(b, sys, f) : !finish_edges(b, sys, f, &stat[i]))
			st = no_memory(e);
	}
	c->complete = !st;
	for (int i = 0; i < n_stat; i++) mtl_release(sys, stat[i].sample);
	mtl_release(sys, stat);
	mtl_log_free(&log);
	return st;
}

/* ---- to and from the model file ---- */

/*
 * {"FEATURE": {"vocab": [words]} or {"edges": [numbers]} or {"shift": x, "scale": y}, ...} for the features
 * that took statistics, in the order of the model.  JSON text is UTF-8, a word is any bytes: '%' is written
 * %25, and in a word that is not UTF-8 every byte from 0x80 on is written %XX.
 */
static json_t *word_to_json(const MtlSys *sys, const char *word)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = strlen(word);
	char *text = mtl_new(sys, char, 3 * n + 1);
	json_t *j = NULL;
	for (int bytes = 0; text && !j && bytes < 2; bytes++) {
		char *at = text;
		for (size_t i = 0; i < n; i++) {
			unsigned char ch = (unsigned char)word[i];
			if (ch == '%' || (bytes && ch >= 0x80)) {
				*at++ = '%';
				*at++ = hex[ch >> 4];
				*at++ = hex[ch & 15];
			} else {
				*at++ = (char)ch;
			}
		}
		j = json_stringn(text, (size_t)(at - text));
	}
	mtl_release(sys, text);
	return j;
}

static int hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9') return ch - '0';
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Undoes the escapes into text, which has room for n bytes; < 0: not what word_to_json writes. */
static int64_t word_from_json(const char *p, size_t n, char *text)
{
	int64_t len = 0;
	for (size_t i = 0; i < n; i++) {
		int hi, lo;
		if (p[i] != '%') {
			text[len++] = p[i];
			continue;
		}
		if (i + 2 >= n || (hi = hex_digit(p[i + 1])) < 0 || (lo = hex_digit(p[i + 2])) < 0) return -1;
		text[len++] = (char)(hi << 4 | lo);
		i += 2;
	}
	return memchr(text, '\0', (size_t)len) ? -1 : len;
}

/* Without json_pack, which would be a hundredth of a static scorer. */
static json_t *book_to_json(const MtlCodeBook *b, const MtlSys *sys, const MtlFeature *f)
{
	json_t *book = json_object(), *list = needs_normal(f) ? NULL : json_array();
	bool good = book != NULL;
	if (needs_normal(f))
		good = good && json_object_set_new(book, "shift", json_real(b->shift)) == 0 &&
		       json_object_set_new(book, "scale", json_real(b->scale)) == 0;
	else
		good = good && list && json_object_set(book, needs_words(f) ? "vocab" : "edges", list) == 0;
	for (int64_t i = 0; good && i < b->n_vocab; i++)
		good = json_array_append_new(list, word_to_json(sys, b->vocab[i])) == 0;
	for (int64_t i = 0; good && i < b->n_edges; i++)
		good = json_array_append_new(list, json_real(b->edges[i])) == 0;
	json_decref(list);
	if (good) return book;
	json_decref(book);
	return NULL;
}

char *mtl_codes_to_json(const MtlCodes *c, const MtlSys *sys, const MtlModel *m)
{
	json_t *all = json_object();
	bool good = all != NULL;
	for (int f = 0; good && f < m->n_feature; f++)
		if (needs_data(&m->feature[f]))
			good = json_object_set_new(all, m->feature[f].name,
						   book_to_json(&c->book[f], sys, &m->feature[f])) == 0;
	const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(17);
	size_t n = good ? json_dumpb(all, NULL, 0, flags) : 0;
	char *text = n ? mtl_new(sys, char, n + 1) : NULL;
	if (text) json_dumpb(all, text, n, flags);
	json_decref(all);
	return text;
}

static MtlStatus refuse(MtlError *e, const MtlFeature *f, const char *why)
{
	return mtl_fail(e, MTL_REFUSED, "F0110", NULL, "feature \"%s\": the model file %s", f->name, why);
}

static MtlStatus words_from_json(MtlCodeBook *b, const MtlSys *sys, const MtlFeature *f, const json_t *list,
				 MtlError *e)
{
	Words *w = book_words(b, sys);
	if (!w) return no_memory(e);
	if (!json_is_array(list)) return refuse(e, f, "has no vocabulary for it");
	if (f->n > 0 && (int64_t)json_array_size(list) > f->n)
		return refuse(e, f, "has a larger vocabulary than it declares");
	size_t i;
	json_t *word;
	json_array_foreach(list, i, word)
	{
		const char *p = json_string_value(word);
		size_t n = json_string_length(word);
		if (!p || n == 0) return refuse(e, f, "has a vocabulary with something that is no word");
		char *text = mtl_new(sys, char, n);
		if (!text) return no_memory(e);
		int64_t len = word_from_json(p, n, text), at = -1;
		if (len > 0) at = words_add(w, sys, text, (size_t)len);
		mtl_release(sys, text);
		if (len <= 0) return refuse(e, f, "has a vocabulary with something that is no word");
		if (at < 0) return no_memory(e);
		if (at != (int64_t)i) return refuse(e, f, "has a vocabulary with a word twice");
	}
	return book_vocab(b, sys) ? MTL_OK : no_memory(e);
}

static MtlStatus edges_from_json(MtlCodeBook *b, const MtlSys *sys, const MtlFeature *f, const json_t *list,
				 MtlError *e)
{
	int64_t n = (int64_t)json_array_size(list);
	if (!json_is_array(list)) return refuse(e, f, "has no bucket edges for it");
	if (n >= f->n) return refuse(e, f, "has more bucket edges than it declares");
	b->edges = mtl_new(sys, double, n + 1);
	if (!b->edges) return no_memory(e);
	for (int64_t i = 0; i < n; i++) {
		const json_t *x = json_array_get(list, (size_t)i);
		double v = json_number_value(x);
		if (!json_is_number(x) || !isfinite(v) || (i > 0 && v <= b->edges[i - 1]))
			return refuse(e, f, "has bucket edges that do not ascend");
		b->edges[i] = v;
	}
	b->n_edges = n;
	return MTL_OK;
}

static MtlStatus normal_from_json(MtlCodeBook *b, const MtlFeature *f, const json_t *j, MtlError *e)
{
	const json_t *shift = json_object_get(j, "shift"), *scale = json_object_get(j, "scale");
	b->shift = json_number_value(shift);
	b->scale = json_number_value(scale);
	if (!json_is_number(shift) || !json_is_number(scale) || !isfinite(b->shift) || !isfinite(b->scale) ||
	    b->scale <= 0)
		return refuse(e, f, "has no normaliser for it");
	return MTL_OK;
}

MtlStatus mtl_codes_from_json(MtlCodes *c, const MtlSys *sys, const MtlModel *m, const char *text,
			      MtlError *e)
{
	json_error_t where;
	json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	MtlStatus st = MTL_OK;
	size_t expected = 0;
	if (!json_is_object(all))
		st = mtl_fail(e, MTL_REFUSED, "F0110", NULL,
			      "the model file's vocabularies and edges are not JSON");
	for (int i = 0; !st && i < m->n_feature; i++) {
		const MtlFeature *f = &m->feature[i];
		MtlCodeBook *b = &c->book[i];
		if (!needs_data(f)) continue;
		const json_t *j = json_object_get(all, f->name);
		expected++;
		book_free(b, sys);
		if (json_object_size(j) != (needs_normal(f) ? 2 : 1))
			st = refuse(e, f, "has no statistics for it");
		else if (needs_normal(f))
			st = normal_from_json(b, f, j, e);
		else if (needs_words(f))
			st = words_from_json(b, sys, f, json_object_get(j, "vocab"), e);
		else
			st = edges_from_json(b, sys, f, json_object_get(j, "edges"), e);
	}
	if (!st && json_object_size(all) != expected)
		st = mtl_fail(e, MTL_REFUSED, "F0110", NULL,
			      "the model file has statistics of features this model lacks");
	c->complete = !st;
	json_decref(all);
	return st;
}
