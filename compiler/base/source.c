/* Model texts and places in them: every file gets its own stretch of one space of offsets. */
#include "base/source.h"

int source_add(Sources *s, const char *path, const char *text, uint32_t len)
{
	/* One offset past the end is the file's too, so that "expected more" has a place; 0 is nowhere. */
	uint32_t base = 1;
	if (s->file.n) {
		const Source *last = &s->file.at[s->file.n - 1];
		base = last->base + last->len + 1;
	}
	vec_push(s->arena, &s->file, (Source){.path = path, .text = text, .base = base, .len = len});
	return s->file.n - 1;
}

Place source_place(const Sources *s, uint32_t offset)
{
	for (int i = 0; i < s->file.n; i++) {
		const Source *f = &s->file.at[i];
		if (offset < f->base || offset > f->base + f->len) continue;
		uint32_t end = offset - f->base, start = 0;
		int line = 1;
		for (uint32_t k = 0; k < end; k++)
			if (f->text[k] == '\n') {
				line++;
				start = k + 1;
			}
		return (Place){.file = f, .line = line, .column = (int)(end - start) + 1};
	}
	return (Place){0};
}

Span span_join(Span a, Span b)
{
	if (a.hi == 0) return b;
	if (b.hi == 0) return a;
	return (Span){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}
