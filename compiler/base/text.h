/* A text that grows: what dumps, printers and messages are written into. */
#ifndef TEXT_H
#define TEXT_H
#include <stdarg.h>
#include <stddef.h>

typedef struct {
	char *at; /* always '\0'-terminated once something was added; NULL while empty */
	size_t n, cap;
} Text;

void text_add(Text *t, const char *s);
void text_addn(Text *t, const char *s, size_t n);
void text_char(Text *t, char c);
void text_printf(Text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(Text *t, const char *fmt, va_list ap);
void text_indent(Text *t, int columns);
void text_free(Text *t);
#endif
