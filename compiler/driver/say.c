/* Messages that are not about a model's text. */
#include "driver/say.h"
#include <stdio.h>

static void say(const char *kind, const char *format, va_list ap)
{
	fprintf(stderr, "mtlc: %s: ", kind);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
}

void say_error(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	say("error", format, ap);
	va_end(ap);
}

void say_note(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	say("note", format, ap);
	va_end(ap);
}

void say_failure(const MtlError *e) { fprintf(stderr, "mtlc: %s\n", e->text); }
