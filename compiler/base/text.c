/* A text that grows. */
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void room(Text *t, size_t more)
{
	if (t->n + more + 1 <= t->cap) return;
	t->cap = (t->n + more + 1) * 2;
	t->at = realloc(t->at, t->cap);
	if (!t->at) abort();
}

void text_addn(Text *t, const char *s, size_t n)
{
	room(t, n);
	memcpy(t->at + t->n, s, n);
	t->n += n;
	t->at[t->n] = '\0';
}

void text_add(Text *t, const char *s) { text_addn(t, s, strlen(s)); }
void text_char(Text *t, char c) { text_addn(t, &c, 1); }

void text_vprintf(Text *t, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	room(t, (size_t)n);
	vsnprintf(t->at + t->n, (size_t)n + 1, fmt, again);
	t->n += (size_t)n;
	va_end(again);
}

void text_printf(Text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_vprintf(t, fmt, ap);
	va_end(ap);
}

void text_indent(Text *t, int columns)
{
	for (int i = 0; i < columns; i++) text_char(t, ' ');
}

void text_free(Text *t)
{
	free(t->at);
	*t = (Text){0};
}
