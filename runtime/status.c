/*
 * The first error of a call, as one line of text.
 */
#include "status.h"
#include <stdio.h>
#include <string.h>

/* Cuts a text that was too long for `cap` bytes without leaving half a UTF-8 character. */
static void cut(char *text, size_t cap)
{
	size_t n = cap - 4; /* room for "..." */

	while (n && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
	memcpy(text + n, "...", 4);
}

/* One line stays one line, whatever bytes a file name or a cell brought along. */
static void one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
}

MtlStatus mtl_fail(MtlError *e, MtlStatus s, const char *code, const char *place, const char *fmt, ...)
{
	if (!e || e->status != MTL_OK) return s;
	e->status = s;
	snprintf(e->code, sizeof e->code, "%s", code ? code : "");

	int n = 0;
	if (place) n = snprintf(e->text, sizeof e->text, "%s: ", place);
	if (n >= 0 && (size_t)n < sizeof e->text)
		n += snprintf(e->text + n, sizeof e->text - (size_t)n,
			      *e->code ? "error[%s]: " : "error: ", e->code);
	if (n >= 0 && (size_t)n < sizeof e->text) {
		va_list ap;
		va_start(ap, fmt);
		n += vsnprintf(e->text + n, sizeof e->text - (size_t)n, fmt, ap);
		va_end(ap);
	}
	if (n >= 0 && (size_t)n >= sizeof e->text) cut(e->text, sizeof e->text);
	one_line(e->text);
	return s;
}
