/*
 * Records of a CSV or TSV file.
 *
 * The splitter looks for the next byte that can end a cell, 16 at a time, in a buffer that always ends in a
 * line end of our own at buf[end]; a stop there means that more text is needed, and the record is split again
 * from its start.
 */
#include "csv.h"
#include "jsonl.h"
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { FIRST_BUFFER = 1 << 20, LONG_ROW = 1 << 16, PADDING = 64 };

static MtlStatus no_memory(const MtlCsv *c, MtlError *e)
{
	return mtl_fail(e, MTL_LIMIT, "F0105", c->in.name, "no memory to read it");
}

/* Moves the record to the front and reads on, in a buffer twice as large if it fills this one. */
typedef enum { MORE, TOO_LONG, FAILED } Refill;
static Refill refill(MtlCsv *c, MtlError *e)
{
	if (c->at == 0 && c->end == c->cap) {
		if (c->cap >= MTL_LONGEST_ROW) return TOO_LONG;
		char *larger = mtl_new(c->sys, char, c->cap * 2 + PADDING);
		if (!larger) {
			no_memory(c, e);
			return FAILED;
		}
		memcpy(larger, c->buf, c->end);
		mtl_release(c->sys, c->buf);
		c->buf = larger;
		c->cap *= 2;
	} else if (c->at > 0) {
		memmove(c->buf, c->buf + c->at, c->end - c->at);
		c->end -= c->at;
		c->at = 0;
	}
	/* What there is now, so that a slow writer is answered row by row; of a long row as much again, so
	 * that splitting it from its start each time stays linear. */
	size_t had = c->end, enough = had > LONG_ROW ? had : 1;
	while (!c->eof && c->end < c->cap && c->end - had < enough) {
		size_t got;
		if (mtl_stream_read(&c->in, c->buf + c->end, c->cap - c->end, &got, e)) return FAILED;
		c->eof = got == 0;
		c->end += got;
	}
	c->buf[c->end] = '\n';
	return MORE;
}

MtlStatus mtl_csv_start(MtlCsv *c, const MtlSys *sys, const char *path, char separator, bool quotes,
			MtlError *e)
{
	c->sys = sys;
	c->separator = separator;
	c->quotes = quotes;
	mtl_jsonl_free(c->json);
	c->json = NULL;
	c->max_cell = 0;
	c->blanks = false;
	c->at = c->end = 0;
	c->eof = false;
	c->line = 1;
	MtlStatus st = mtl_stream_open(&c->in, sys, path, e);
	if (!st && !c->buf) {
		c->buf = mtl_new(sys, char, FIRST_BUFFER + PADDING);
		c->cap = FIRST_BUFFER;
		if (!c->buf) st = no_memory(c, e);
	}
	/* A byte order mark, if there is one. */
	while (!st && c->end < 3 && !c->eof && (!c->end || *c->buf == '\xef'))
		if (refill(c, e) == FAILED) st = e->status;
	if (!st && c->end >= 3 && memcmp(c->buf, "\xef\xbb\xbf", 3) == 0) c->at = 3;
	if (st) mtl_csv_stop(c);
	return st;
}

bool mtl_csv_waits(const MtlCsv *c)
{
	return !c->eof && !memchr(c->buf + c->at, '\n', c->end - c->at) && mtl_stream_waits(&c->in);
}

void mtl_csv_stop(MtlCsv *c) { mtl_stream_close(&c->in); }

void mtl_csv_free(MtlCsv *c)
{
	mtl_stream_free(&c->in);
	if (!c->sys) return;
	mtl_jsonl_free(c->json);
	mtl_release(c->sys, c->buf);
	mtl_release(c->sys, c->plain);
	mtl_release(c->sys, c->cell);
	*c = (MtlCsv){0};
}

/* The first separator, line end, quote or NUL from p on; there is one at buf[end]. */
static inline const char *cell_end(const char *p, char separator, char quote)
{
#ifdef __SSE2__
	const __m128i sep = _mm_set1_epi8(separator), quo = _mm_set1_epi8(quote), nl = _mm_set1_epi8('\n');
	for (;; p += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i a = _mm_or_si128(_mm_cmpeq_epi8(x, sep), _mm_cmpeq_epi8(x, nl));
		__m128i b = _mm_or_si128(_mm_cmpeq_epi8(x, quo), _mm_cmpeq_epi8(x, _mm_setzero_si128()));
		int hit = _mm_movemask_epi8(_mm_or_si128(a, b));
		if (hit) return p + __builtin_ctz((unsigned)hit);
	}
#else
	while (*p != separator && *p != '\n' && *p != quote && *p != '\0') p++;
	return p;
#endif
}

/* Room for one more cell; false: no memory. */
static bool room_for_cell(MtlCsv *c)
{
	if (c->n_cell < c->cap_cell) return true;
	int64_t cap = c->cap_cell ? c->cap_cell * 2 : 64;
	MtlCell *larger = mtl_new(c->sys, MtlCell, cap);
	if (!larger) return false;
	if (c->cell) memcpy(larger, c->cell, (size_t)c->n_cell * sizeof *larger);
	mtl_release(c->sys, c->cell);
	c->cell = larger;
	c->cap_cell = cap;
	return true;
}

static void count_lines(MtlCsv *c, const char *p, const char *end)
{
	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		c->line++;
		p++;
	}
}

/* Takes buf[at .. end) as the record: `next` is where the following one starts. */
static void take_record(MtlCsv *c, const char *end, const char *next)
{
	const char *from = c->buf + c->at;
	c->raw = from;
	c->n_raw = (size_t)(end - from);
	if (c->n_raw > 0 && end[-1] == '\r') c->n_raw--;
	count_lines(c, from, next);
	c->at = (size_t)(next - c->buf);
}

/*
 * Gives the record up: it ends at the first line end from its byte `from` on.  A record too long for the
 * buffer is read to that line end and let go, in pieces.
 */
static MtlRowResult give_up(MtlCsv *c, const char *code, const char *why, size_t from, MtlError *e)
{
	c->code = code;
	c->why = why;
	c->bad_cell = c->n_cell + 1;
	for (;;) {
		const char *start = c->buf + c->at + from;
		const char *nl = memchr(start, '\n', (size_t)(c->buf + c->end - start));
		if (nl || c->eof) {
			const char *end = nl ? nl : c->buf + c->end;
			take_record(c, end, nl ? nl + 1 : end);
			return MTL_ROW_BAD;
		}
		from = c->end - c->at;
		Refill r = refill(c, e);
		if (r == FAILED) return MTL_ROW_FAIL;
		if (r == TOO_LONG) break;
	}
	for (;;) {
		const char *nl = memchr(c->buf, '\n', c->end);
		if (nl || c->eof) {
			const char *end = nl ? nl : c->buf + c->end;
			take_record(c, end, nl ? nl + 1 : end);
			c->n_raw = 0;
			return MTL_ROW_BAD;
		}
		c->at = c->end;
		if (refill(c, e) == FAILED) return MTL_ROW_FAIL;
	}
}

typedef enum { CELL, CELL_MORE, CELL_BAD, CELL_FAIL } CellResult;

/* A quoted cell at p; *after is the byte behind its closing quote. */
static CellResult quoted(MtlCsv *c, const char *p, MtlCell *out, const char **after, MtlError *e)
{
	const char *end = c->buf + c->end, *from = p + 1, *q = from;
	char *copy = NULL;
	for (;;) {
		const char *close = memchr(q, '"', (size_t)(end - q));
		if ((!close || close + 1 == end) && !c->eof) return CELL_MORE;
		if (!close) {
			c->why = "a quote is opened and never closed";
			return CELL_BAD;
		}
		bool doubled = close[1] == '"' && close + 1 < end;
		if (doubled && !copy) {
			if (c->n_plain == 0 &&
			    c->cap_plain < c->cap) { /* nothing of this record is in it yet */
				mtl_release(c->sys, c->plain);
				c->plain = mtl_new(c->sys, char, c->cap);
				c->cap_plain = c->plain ? c->cap : 0;
			}
			if (!c->plain) {
				no_memory(c, e);
				return CELL_FAIL;
			}
			copy = c->plain + c->n_plain;
		}
		if (copy) {
			size_t n = (size_t)(close - q) + doubled;
			memcpy(c->plain + c->n_plain, q, n);
			c->n_plain += n;
		}
		if (!doubled) {
			*out = copy ? (MtlCell){.p = copy, .n = (size_t)(c->plain + c->n_plain - copy)}
				    : (MtlCell){.p = from, .n = (size_t)(close - from)};
			*after = close + 1;
			return CELL;
		}
		q = close + 2;
	}
}

/* Splits buf[at ..); CELL_MORE when the buffer ends within the record. */
static CellResult split(MtlCsv *c, size_t *bad_from, MtlError *e)
{
	const char *p = c->buf + c->at, *const end = c->buf + c->end;
	const char separator = c->separator, quote = c->quotes ? '"' : separator;
	c->n_cell = 0;
	c->n_plain = 0;
	*bad_from = 0;
	c->code = "D0102";
	for (;;) {
		MtlCell cell;
		const char *stop;
		if (c->quotes && *p == '"') {
			CellResult r = quoted(c, p, &cell, &stop, e);
			if (r != CELL) return r;
			if (stop < end && *stop == '\r' && stop + 1 == end && !c->eof) return CELL_MORE;
			if (stop < end && *stop == '\r' && stop[1] == '\n') stop++;
			if (*stop != separator && *stop != '\n') {
				c->why = "text after a closing quote";
				return CELL_BAD;
			}
			if (memchr(cell.p, '\0', cell.n)) {
				c->code = "D0103";
				c->why = "a NUL byte";
				return CELL_BAD;
			}
		} else {
			stop = cell_end(p, separator, quote);
			if (*stop == '\0') {
				c->code = "D0103";
				c->why = "a NUL byte";
				*bad_from = (size_t)(stop - (c->buf + c->at));
				return CELL_BAD;
			}
			if (*stop == '"' && quote == '"') {
				c->why = "a quote within a cell that does not begin with one";
				return CELL_BAD;
			}
			cell = (MtlCell){.p = p, .n = (size_t)(stop - p)};
			if (*stop == '\n' && cell.n > 0 && stop[-1] == '\r') cell.n--;
		}
		if (stop == end && !c->eof) return CELL_MORE;
		if (c->max_cell == 0 && !room_for_cell(c)) {
			no_memory(c, e);
			return CELL_FAIL;
		}
		if (c->n_cell < c->cap_cell) c->cell[c->n_cell] = cell;
		c->n_cell++;
		if (*stop != separator) {
			take_record(c, stop, stop == end ? stop : stop + 1);
			return CELL;
		}
		p = stop + 1;
	}
}

/* The next line that has anything on it, as c->raw. */
static MtlRowResult next_line(MtlCsv *c, MtlError *e)
{
	for (;;) {
		const char *from = c->buf + c->at, *nl = memchr(from, '\n', c->end - c->at);
		c->row_line = c->line;
		if (!nl && !c->eof) {
			Refill r = refill(c, e);
			if (r == FAILED) return MTL_ROW_FAIL;
			c->n_cell = 0;
			if (r == TOO_LONG) return give_up(c, "D0104", "a row of more than 64 MiB", 0, e);
			continue;
		}
		if (c->at == c->end) return MTL_ROW_END;
		const char *end = nl ? nl : c->buf + c->end;
		take_record(c, end, nl ? nl + 1 : end);
		for (size_t i = 0; i < c->n_raw; i++)
			if (c->raw[i] != ' ' && c->raw[i] != '\t') return MTL_ROW_OK;
		if (c->blanks) return MTL_ROW_OK;
	}
}

MtlRowResult mtl_csv_next(MtlCsv *c, MtlError *e)
{
	if (c->json && c->n_cell < 0) { /* the keys: of the lines at hand, at least one */
		while (!c->eof && !memchr(c->buf + c->at, '\n', c->end - c->at)) {
			Refill r = refill(c, e);
			if (r == FAILED) return MTL_ROW_FAIL;
			if (r == TOO_LONG) break;
		}
		return c->at == c->end ? MTL_ROW_END : mtl_jsonl_header(c, c->buf + c->at, c->end - c->at, e);
	}
	if (c->json) {
		MtlRowResult r = next_line(c, e);
		return r == MTL_ROW_OK ? mtl_jsonl_record(c, e) : r;
	}
	for (;;) {
		const char *p = c->buf + c->at;
		if (c->at == c->end) {
			if (c->eof) return MTL_ROW_END;
			if (refill(c, e) == FAILED) return MTL_ROW_FAIL;
			continue;
		}
		if (*p == '\r' && c->at + 1 == c->end && !c->eof) {
			if (refill(c, e) == FAILED) return MTL_ROW_FAIL;
			continue;
		}
		if (c->max_cell > 1 && !c->blanks && (*p == '\n' || (*p == '\r' && p[1] == '\n'))) {
			c->at += *p == '\n' ? 1 : 2;
			if (c->at > c->end) c->at = c->end;
			c->line++;
			continue;
		}
		c->row_line = c->line;
		size_t bad_from;
		switch (split(c, &bad_from, e)) {
		case CELL: return MTL_ROW_OK;
		case CELL_BAD: return give_up(c, c->code, c->why, bad_from, e);
		case CELL_FAIL: return MTL_ROW_FAIL;
		case CELL_MORE: break;
		}
		switch (refill(c, e)) {
		case MORE: break;
		case FAILED: return MTL_ROW_FAIL;
		case TOO_LONG: c->n_cell = 0; return give_up(c, "D0104", "a row of more than 64 MiB", 0, e);
		}
	}
}
