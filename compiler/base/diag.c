/* Messages to the author of a model: collected as they are found, sorted and drawn at the end. */
#include "base/diag.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { ERROR, WARNING, NOTE, HELP } Severity;

typedef struct {
	Severity severity;
	Span at;
	const char *text;
} Remark;

typedef struct {
	Remark main;
	const char *code;
	VEC(Remark) more; /* notes and helps, in the order given */
} Message;

struct Diag {
	Arena *arena;
	const Sources *sources;
	VEC(Message) message;
	int n_errors, n_warnings;
};

static const char *const severity_name[] = {"error", "warning", "note", "help"};

Diag *diag_create(Arena *a, const Sources *s)
{
	Diag *d = arena_new(a, Diag, 1);
	d->arena = a;
	d->sources = s;
	return d;
}

static void message(Diag *d, Severity severity, Span at, const char *code, const char *fmt, va_list ap)
{
	Message m = {.main = {severity, at, arena_vprintf(d->arena, fmt, ap)}, .code = code};
	vec_push(d->arena, &d->message, m);
}

void diag_error(Diag *d, Span at, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	message(d, ERROR, at, code, fmt, ap);
	va_end(ap);
	d->n_errors++;
}

void diag_warn(Diag *d, Span at, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	message(d, WARNING, at, code, fmt, ap);
	va_end(ap);
	d->n_warnings++;
}

static void remark(Diag *d, Severity severity, Span at, const char *fmt, va_list ap)
{
	if (d->message.n == 0) bug("a %s before any message", severity_name[severity]);
	Message *m = &d->message.at[d->message.n - 1];
	vec_push(d->arena, &m->more, (Remark){severity, at, arena_vprintf(d->arena, fmt, ap)});
}

void diag_note(Diag *d, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	remark(d, NOTE, at, fmt, ap);
	va_end(ap);
}

void diag_help(Diag *d, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	remark(d, HELP, (Span){0}, fmt, ap);
	va_end(ap);
}

bool diag_helped(const Diag *d, const char *code, const char *help)
{
	for (int i = 0; i < d->message.n; i++) {
		const Message *m = &d->message.at[i];
		for (int k = 0; k < m->more.n && !strcmp(m->code, code); k++)
			if (m->more.at[k].severity == HELP && !strcmp(m->more.at[k].text, help)) return true;
	}
	return false;
}

int diag_errors(const Diag *d) { return d->n_errors; }
int diag_warnings(const Diag *d) { return d->n_warnings; }

/* ---- order ---- */

typedef struct {
	const Message *m;
	int found; /* in which order it was found: keeps the sort stable */
} Sorted;

static int by_place(const void *pa, const void *pb)
{
	const Sorted *a = pa, *b = pb;
	if (a->m->main.at.lo != b->m->main.at.lo) return a->m->main.at.lo < b->m->main.at.lo ? -1 : 1;
	return (a->found > b->found) - (a->found < b->found);
}

static bool same(const Message *a, const Message *b)
{
	return a->main.severity == b->main.severity && a->main.at.lo == b->main.at.lo &&
	       a->main.at.hi == b->main.at.hi && strcmp(a->code, b->code) == 0 &&
	       strcmp(a->main.text, b->main.text) == 0;
}

/* By place, without repetitions: a loop's body may be checked once for every name. */
static Sorted *sorted(const Diag *d, int *n)
{
	Sorted *s = malloc(sizeof *s * ((size_t)d->message.n + 1));
	if (!s) abort();
	for (int i = 0; i < d->message.n; i++) s[i] = (Sorted){&d->message.at[i], i};
	qsort(s, (size_t)d->message.n, sizeof *s, by_place);
	*n = 0;
	for (int i = 0; i < d->message.n; i++) {
		bool seen = false;
		for (int k = *n; k-- > 0 && s[k].m->main.at.lo == s[i].m->main.at.lo;)
			seen |= same(s[k].m, s[i].m);
		if (!seen) s[(*n)++] = s[i];
	}
	return s;
}

/* ---- drawing ---- */

enum { WIDEST = 96, TAB = 8 }; /* columns of a source line that are shown */

/* Bytes of the UTF-8 character at p (end: one past the text), 0 if it is none or a control character. */
static int utf8_length(const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;
	if (c < 0x20 || c == 0x7f) return 0;
	if (c < 0x80) return 1;
	int n = c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
	if (n == 0 || end - p < n) return 0;
	for (int i = 1; i < n; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80) return 0;
	unsigned char d = (unsigned char)p[1];
	if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
	    (c == 0xf4 && d > 0x8f) || (c == 0xc2 && d < 0xa0))
		return 0;
	return n;
}

/* A character of a source line as it is drawn. */
typedef struct {
	const char *at;
	int n, column;
	uint32_t offset; /* in the line, of the byte it came from */
} Cell;

static const char *const escape[] = {"\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[1;32m"};

static void paint(Text *out, bool colour, const char *on, const char *s)
{
	text_printf(out, "%s%s%s", colour ? on : "", s, colour ? "\033[0m" : "");
}

/* The line of `at` with its number, and ^~~~ under the part of `at` that is on it. */
static void draw_line(const Sources *sources, Span at, Severity severity, Text *out, bool colour)
{
	Place p = source_place(sources, at.lo);
	const char *start = p.file->text + (at.lo - p.file->base) - (p.column - 1);
	const char *end = memchr(start, '\n', (size_t)(p.file->text + p.file->len - start));
	if (!end) end = p.file->text + p.file->len;
	while (end > start && end[-1] == '\r') end--;

	/* Tabs become spaces, what cannot be shown a question mark; one column a character. */
	size_t room = (size_t)(end - start) * TAB + 1;
	Cell *cell = malloc(room * sizeof *cell);
	if (!cell) abort();
	int n = 0;
	for (const char *s = start; s < end;) {
		uint32_t offset = (uint32_t)(s - start);
		if (*s == '\t') {
			do {
				cell[n] = (Cell){" ", 1, n, offset};
				n++;
			} while (n % TAB);
			s++;
			continue;
		}
		int bytes = utf8_length(s, end);
		cell[n] = (Cell){bytes ? s : "?", bytes ? bytes : 1, n, offset};
		n++;
		s += bytes ? bytes : 1;
	}

	/* The columns to underline: at least one, never past the line's end but one. */
	uint32_t lo = (uint32_t)p.column - 1, hi = lo + (at.hi > at.lo ? at.hi - at.lo : 1);
	int from = n, to = 0;
	for (int i = 0; i < n; i++)
		if (cell[i].offset >= lo && cell[i].offset < hi) {
			if (i < from) from = i;
			to = i + 1;
		}
	if (to <= from) to = from + 1;

	/* A long line is cut around the place. */
	int left = 0, right = n;
	if (n > WIDEST) {
		if (from > WIDEST * 2 / 3) left = from - WIDEST / 3;
		if (left > n - WIDEST) left = n - WIDEST;
		right = left + WIDEST;
	}
	const char *dots = "...";
	char number[16];
	snprintf(number, sizeof number, "%5d", p.line);
	text_printf(out, "%s | ", number);
	if (left) text_add(out, dots);
	for (int i = left; i < right; i++) text_addn(out, cell[i].at, (size_t)cell[i].n);
	if (right < n) text_add(out, dots);
	text_add(out, "\n      | ");
	text_indent(out, from - left + (left ? 3 : 0));
	if (right < n && to > right) to = right;
	if (colour) text_add(out, escape[severity]);
	text_char(out, '^');
	for (int i = from + 1; i < to; i++) text_char(out, '~');
	if (colour) text_add(out, "\033[0m");
	text_char(out, '\n');
	free(cell);
}

/* Message texts quote the author's file: what a terminal would obey is not sent to it. */
static void add_plain(Text *out, const char *s)
{
	const char *end = s + strlen(s);
	while (s < end) {
		int n = utf8_length(s, end);
		if (n || *s == '\n')
			text_addn(out, s, n ? (size_t)n : 1);
		else
			text_char(out, '?');
		s += n ? n : 1;
	}
}

static void draw(const Sources *sources, const Remark *r, const char *code, Text *out, bool colour)
{
	Place p = source_place(sources, r->at.lo);
	if (!p.file && !code) {
		text_add(out, "      = ");
	} else if (p.file) {
		Text place = {0};
		text_printf(&place, "%s:%d:%d:", p.file->path, p.line, p.column);
		paint(out, colour, "\033[1m", place.at);
		text_char(out, ' ');
		text_free(&place);
	}
	Text label = {0};
	text_add(&label, severity_name[r->severity]);
	if (code) text_printf(&label, "[%s]", code);
	text_char(&label, ':');
	paint(out, colour, escape[r->severity], label.at);
	text_free(&label);
	text_char(out, ' ');
	add_plain(out, r->text);
	text_char(out, '\n');
	if (p.file) draw_line(sources, r->at, r->severity, out, colour);
}

void diag_print(const Diag *d, Text *out, bool colour)
{
	int n;
	Sorted *s = sorted(d, &n);
	for (int i = 0; i < n; i++) {
		const Message *m = s[i].m;
		draw(d->sources, &m->main, m->code, out, colour);
		for (int k = 0; k < m->more.n; k++) draw(d->sources, &m->more.at[k], NULL, out, colour);
	}
	free(s);
}

/* ---- for programs ---- */

static void add_json(Text *out, const char *s)
{
	const char *end = s + strlen(s);
	text_char(out, '"');
	while (s < end) {
		int n = utf8_length(s, end);
		if (*s == '"' || *s == '\\')
			text_printf(out, "\\%c", *s);
		else if (n)
			text_addn(out, s, (size_t)n);
		else if ((unsigned char)*s < 0x80)
			text_printf(out, "\\u%04x", (unsigned)*s);
		else
			text_add(out, "\\ufffd");
		s += n ? n : 1;
	}
	text_char(out, '"');
}

static void add_place(const Sources *sources, Span at, Text *out)
{
	Place lo = source_place(sources, at.lo), hi = source_place(sources, at.hi);
	if (!lo.file) {
		text_add(out, "\"file\": null");
		return;
	}
	text_add(out, "\"file\": ");
	add_json(out, lo.file->path);
	text_printf(out, ", \"line\": %d, \"column\": %d", lo.line, lo.column);
	text_printf(out, ", \"end_line\": %d, \"end_column\": %d", hi.line, hi.column);
}

void diag_print_json(const Diag *d, Text *out)
{
	int n;
	Sorted *s = sorted(d, &n);
	text_char(out, '[');
	for (int i = 0; i < n; i++) {
		const Message *m = s[i].m;
		text_printf(out, "%s\n  {\"code\": \"%s\", \"severity\": \"%s\", ", i ? "," : "", m->code,
			    severity_name[m->main.severity]);
		add_place(d->sources, m->main.at, out);
		text_add(out, ", \"message\": ");
		add_json(out, m->main.text);
		text_add(out, ",\n   \"notes\": [");
		const char *comma = "";
		for (int k = 0; k < m->more.n; k++)
			if (m->more.at[k].severity == NOTE) {
				text_printf(out, "%s{", comma);
				add_place(d->sources, m->more.at[k].at, out);
				text_add(out, ", \"message\": ");
				add_json(out, m->more.at[k].text);
				text_char(out, '}');
				comma = ", ";
			}
		text_add(out, "], \"help\": [");
		comma = "";
		for (int k = 0; k < m->more.n; k++)
			if (m->more.at[k].severity == HELP) {
				text_add(out, comma);
				add_json(out, m->more.at[k].text);
				comma = ", ";
			}
		text_add(out, "]}");
	}
	text_add(out, n ? "\n]\n" : "]\n");
	free(s);
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "mtlc: bug at %s:%d: ", file, line);
	vfprintf(stderr, fmt, ap);
	fputs("\nThis is a fault in mtlc, not in your model: please report it with the model file.\n",
	      stderr);
	va_end(ap);
	exit(70);
}
