/*
 * A log: files one after another, columns by name, every header checked.
 */
#include "log.h"
#include "jsonl.h"
#include <stdio.h>
#include <string.h>

static const char *shown(const char *path) { return strcmp(path, "-") == 0 ? "stdin" : path; }

MtlStatus mtl_log_init(MtlLog *l, const MtlSys *sys, int n_want, MtlError *e)
{
	l->sys = sys;
	l->want = mtl_new(sys, MtlWant, n_want + 1);
	l->field = mtl_new(sys, int64_t, n_want + 1);
	if (!l->want || !l->field) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the columns");
	return MTL_OK;
}

int mtl_log_want(MtlLog *l, const char *name, const char *what, bool optional)
{
	for (int i = 0; i < l->n_want; i++) {
		MtlWant *w = &l->want[i];
		if (strcmp(w->name, name) != 0) continue;
		if (w->optional && !optional) w->what = what;
		w->optional &= optional;
		return i;
	}
	l->want[l->n_want] = (MtlWant){.name = name, .what = what, .optional = optional};
	return l->n_want++;
}

MtlExcerpt mtl_excerpt(const char *p, size_t n)
{
	enum { SHOWN = 60 };
	MtlExcerpt out;
	char *at = out.s;
	size_t shown_n = n;
	if (n > SHOWN) /* never half of a UTF-8 character */
		for (shown_n = SHOWN; shown_n > SHOWN - 4 && (p[shown_n] & 0xc0) == 0x80;) shown_n--;
	for (size_t i = 0; i < shown_n; i++) {
		unsigned char ch = (unsigned char)p[i];
		if (ch < 0x20 || ch == 0x7f)
			at += sprintf(at, "\\x%02x", ch);
		else
			*at++ = (char)ch;
	}
	strcpy(at, shown_n < n ? "..." : "");
	return out;
}

/* Edits (insert, delete, replace one byte) between a name and a cell; names beyond 80 bytes by their
 * first 80. */
static int distance(const char *a, const MtlCell *b)
{
	enum { LONGEST = 80 };
	int n = (int)strnlen(a, LONGEST), m = b->n < LONGEST ? (int)b->n : LONGEST;
	int row[LONGEST + 1];
	for (int j = 0; j <= m; j++) row[j] = j;
	for (int i = 1; i <= n; i++) {
		int diagonal = row[0];
		row[0] = i;
		for (int j = 1; j <= m; j++) {
			int best = diagonal + (a[i - 1] != b->p[j - 1]);
			if (row[j] + 1 < best) best = row[j] + 1;
			if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[m];
}

static bool has_column(const MtlLog *l, const char *name)
{
	size_t n = strlen(name);
	for (int64_t i = 0; i < l->csv.n_cell; i++)
		if (l->csv.cell[i].n == n && memcmp(l->csv.cell[i].p, name, n) == 0) return true;
	return false;
}

/* Not one of the columns is in the header: it may be a row. */
static bool names_nothing(const MtlLog *l)
{
	for (int w = 0; w < l->n_want; w++)
		if (has_column(l, l->want[w].name)) return false;
	return l->csv.separator != 0;
}

/* "; also missing: "item", "tags"": what follows w and is not there either. */
static void also_missing(const MtlLog *l, const MtlWant *w, char *text, size_t size)
{
	size_t n = 0;
	int left = 0;
	*text = 0;
	for (const MtlWant *x = w + 1; x < l->want + l->n_want; x++) {
		if (x->optional || has_column(l, x->name)) continue;
		if (n + strlen(x->name) + 40 < size)
			n += (size_t)snprintf(text + n, size - n, "%s\"%s\"",
					      n ? ", " : "; also missing: ", x->name);
		else
			left++;
	}
	if (left) snprintf(text + n, size - n, " and %d more", left);
}

static MtlStatus absent(const MtlLog *l, const MtlWant *w, const char *file, const char *code, MtlError *e)
{
	const MtlCell *best = NULL;
	int least = 2 + (int)strlen(w->name) / 3; /* farther than this is no help */
	bool tabs = false;
	for (int64_t i = 0; i < l->csv.n_cell; i++) {
		const MtlCell *c = &l->csv.cell[i];
		int d = distance(w->name, c);
		tabs |= l->csv.separator == ',' && memchr(c->p, '\t', c->n);
		if (d >= least) continue;
		best = c;
		least = d;
	}
	/* A name that is not there because the header was cut in the wrong places. */
	const MtlCell *only = l->csv.n_cell == 1 ? &l->csv.cell[0] : NULL;
	const char *cut = "";
	if (tabs)
		cut = "; the header holds tabs: is it a TSV (--input-format tsv)?";
	else if (only && l->csv.separator == '\t' && memchr(only->p, ',', only->n))
		cut = "; the header holds commas and no tab: is it a CSV (--input-format csv)?";
	else if (only && memchr(only->p, ';', only->n))
		cut = "; the header is cut by semicolons: a CSV needs commas";
	else if (!best && names_nothing(l))
		cut = ", nor any other: is the first line a header?";
	char place[512];
	snprintf(place, sizeof place, "%s:1:1", file);
	MtlExcerpt name = mtl_excerpt(w->name, strlen(w->name));
	const char *where = w->optional ? " in any file" : "";
	char also[400] = "";
	if (!*cut && !w->optional) also_missing(l, w, also, sizeof also);
	if (!best || *cut)
		return mtl_fail(e, MTL_DATA, code, place, "no column \"%s\" (%s)%s%s%s", name.s, w->what,
				where, cut, also);
	return mtl_fail(e, MTL_DATA, code, place, "no column \"%s\" (%s)%s; did you mean \"%s\"?%s", name.s,
			w->what, where, mtl_excerpt(best->p, best->n).s, also);
}

/* Finds the wanted columns in the header, which is the record at hand. */
static MtlStatus find_columns(MtlLog *l, const char *file, MtlError *e)
{
	char place[512];
	l->n_field = l->csv.n_cell;
	for (int w = 0; w < l->n_want; w++) {
		MtlWant *want = &l->want[w];
		size_t n = strlen(want->name);
		l->field[w] = -1;
		for (int64_t i = 0; i < l->csv.n_cell; i++) {
			const MtlCell *cell = &l->csv.cell[i];
			if (cell->n != n || memcmp(cell->p, want->name, n) != 0) continue;
			if (l->field[w] >= 0) {
				snprintf(place, sizeof place, "%s:1:%lld", file, (long long)i + 1);
				return mtl_fail(e, MTL_DATA, "D0003", place,
						"column \"%s\" is there twice, also at %lld",
						mtl_excerpt(cell->p, n).s, (long long)l->field[w] + 1);
			}
			l->field[w] = i;
		}
		want->seen |= l->field[w] >= 0;
		if (l->field[w] < 0 && !want->optional) return absent(l, want, file, "D0002", e);
		/* A label may come later than in the first rows. */
		if (l->field[w] < 0) l->field[w] = mtl_jsonl_key(&l->csv, want->name);
		if (l->field[w] >= l->n_field) l->n_field = l->field[w] + 1;
	}
	l->csv.max_cell = l->n_field;
	return MTL_OK;
}

static MtlStatus read_header(MtlLog *l, const char *file, MtlError *e)
{
	char place[512];
	MtlRowResult r = mtl_csv_next(&l->csv, e);
	snprintf(place, sizeof place, "%s:1:1", file);
	if (r == MTL_ROW_FAIL) return e->status;
	l->keyless = l->blanks && l->csv.json && (r == MTL_ROW_END || l->csv.n_cell == 0);
	l->csv.blanks = l->blanks;
	if (l->keyless) return MTL_OK;
	if (r == MTL_ROW_END)
		return mtl_fail(e, MTL_DATA, "D0001", place, "no header line; the file is empty");
	if (r == MTL_ROW_BAD)
		return mtl_fail(e, MTL_DATA, "D0001", place, "the header line cannot be read: %s",
				l->csv.why);
	return find_columns(l, file, e);
}

/* The first object among JSON lines is the header, and then a record. */
static MtlRowResult late_header(MtlLog *l, MtlError *e)
{
	const char *raw = l->csv.raw;
	size_t n = l->csv.n_raw;
	if (mtl_jsonl_header(&l->csv, raw, n, e) == MTL_ROW_FAIL) return MTL_ROW_FAIL;
	if (find_columns(l, shown(l->path[l->at]), e)) return MTL_ROW_FAIL;
	l->keyless = false;
	l->csv.raw = raw;
	l->csv.n_raw = n;
	return mtl_jsonl_record(&l->csv, e);
}

static bool ends(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);
	return n >= m && strcmp(s + n - m, tail) == 0;
}

MtlFormat mtl_log_format(const char *path)
{
	if (ends(path, ".jsonl") || ends(path, ".jsonl.gz") || ends(path, ".jsonl.zst") ||
	    ends(path, ".ndjson"))
		return MTL_JSONL;
	return ends(path, ".tsv") || ends(path, ".tsv.gz") || ends(path, ".tsv.zst") ? MTL_TSV : MTL_CSV;
}

MtlStatus mtl_log_start(MtlCsv *c, const MtlSys *sys, const char *path, MtlFormat f, MtlError *e)
{
	return f == MTL_JSONL ? mtl_jsonl_start(c, sys, path, e)
			      : mtl_csv_start(c, sys, path, f == MTL_TSV ? '\t' : ',', f == MTL_CSV, e);
}

static MtlStatus start(MtlLog *l, const char *path, MtlError *e)
{
	MtlFormat f = l->format_given ? l->format : mtl_log_format(path);
	MtlStatus st = mtl_log_start(&l->csv, l->sys, path, f, e);
	if (st) return st;
	st = read_header(l, shown(path), e);
	if (st) mtl_csv_stop(&l->csv);
	return st;
}

/* Starts file l->at for its records and keeps its header. */
static MtlStatus start_file(MtlLog *l, MtlError *e)
{
	MtlStatus st = start(l, l->path[l->at], e);
	if (st) return st;
	l->open = true;
	if (l->header && l->n_header == l->csv.n_raw && memcmp(l->header, l->csv.raw, l->n_header) == 0)
		return MTL_OK;
	mtl_release(l->sys, l->header);
	l->new_header = true;
	l->header = mtl_new(l->sys, char, l->csv.n_raw + 1);
	if (!l->header) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the header");
	l->n_header = l->csv.n_raw;
	if (l->n_header) memcpy(l->header, l->csv.raw, l->n_header);
	return MTL_OK;
}

static MtlStatus all_seen(const MtlLog *l, const char *file, MtlError *e)
{
	for (int w = 0; w < l->n_want && !l->keyless; w++)
		if (!l->want[w].seen) return absent(l, &l->want[w], file, "D0004", e);
	return MTL_OK;
}

MtlStatus mtl_log_open(MtlLog *l, const char *const *path, int n_path, MtlFormat format, bool format_given,
		       MtlError *e)
{
	l->path = path;
	l->n_path = n_path;
	l->format = format;
	l->format_given = format_given;
	bool all = true;
	for (int i = n_path - 1; i >= 0; i--) { /* ends with the header of the first file in l->csv.cell */
		int64_t size = mtl_stream_size(path[i]);
		all &= size >= 0;
		if (i == 0) {
			MtlStatus st = start_file(l, e);
			if (st) return st;
		} else if (size >= 0) {
			MtlStatus st = start(l, path[i], e);
			if (st) return st;
			mtl_csv_stop(&l->csv);
		}
		if (size >= 0) l->bytes_total += size;
	}
	if (!all) {
		l->bytes_total = -1;
		return MTL_OK;
	}
	return n_path > 0 ? all_seen(l, shown(path[0]), e) : MTL_OK;
}

MtlRowResult mtl_log_next(MtlLog *l, MtlError *e)
{
	for (;;) {
		if (!l->open) {
			if (l->at == l->n_path) return MTL_ROW_END;
			if (start_file(l, e)) return MTL_ROW_FAIL;
		}
		MtlRowResult r = mtl_csv_next(&l->csv, e);
		if (r == MTL_ROW_OK && l->keyless) r = late_header(l, e);
		if (r == MTL_ROW_OK && l->csv.n_cell != l->n_field) {
			l->csv.code = "D0101";
			l->csv.why = NULL;
			l->csv.bad_cell = l->csv.n_cell < l->n_field ? l->csv.n_cell + 1 : l->n_field + 1;
			return MTL_ROW_BAD;
		}
		if (r != MTL_ROW_END) return r;
		l->bytes_done += l->csv.in.consumed;
		mtl_csv_stop(&l->csv);
		l->csv.in.consumed = 0;
		l->open = false;
		l->at++;
		/* The last chance of a label column: a header that could not be seen at the start. */
		if (l->at == l->n_path) {
			l->csv.n_cell = 0;
			if (all_seen(l, shown(l->path[l->at - 1]), e)) return MTL_ROW_FAIL;
		}
	}
}

void mtl_log_place(const MtlLog *l, int64_t cell, char *out, size_t n)
{
	int at = l->at < l->n_path ? l->at : l->n_path - 1;
	snprintf(out, n, "%s:%lld:%lld", shown(l->path[at]), (long long)l->csv.row_line, (long long)cell);
}

void mtl_log_free(MtlLog *l)
{
	if (!l->sys) return;
	mtl_csv_free(&l->csv);
	mtl_release(l->sys, l->want);
	mtl_release(l->sys, l->field);
	mtl_release(l->sys, l->header);
	*l = (MtlLog){0};
}
