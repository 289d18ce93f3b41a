/*
 * Memory of one answer, and text that grows.
 */
#include "pad.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	BLOCK = 64 << 10,
	KEPT = 1 << 20, /* a block beyond this goes back after its answer */
};

struct MtlPadBlock {
	MtlPadBlock *older;
	size_t used, cap;
	max_align_t data[];
};

void *mtl_pad_take(MtlPad *p, size_t n, size_t each)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, each, &bytes) || bytes > SIZE_MAX / 4) return NULL;
	bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	MtlPadBlock *b = p->block;
	if (!b || b->cap - b->used < bytes) {
		size_t cap = b ? 2 * b->cap : BLOCK;
		if (cap > KEPT) cap = KEPT;
		if (cap < bytes) cap = bytes;
		b = mtl_alloc(p->sys, 1, sizeof *b + cap);
		if (!b) return NULL;
		*b = (MtlPadBlock){.older = p->block, .cap = cap};
		p->block = b;
	}
	void *at = (char *)b->data + b->used;
	b->used += bytes;
	return at;
}

static void drop(MtlPad *p, bool keep)
{
	MtlPadBlock *kept = NULL;
	for (MtlPadBlock *b = p->block, *older; b; b = older) {
		older = b->older;
		if (keep && !kept && b->cap <= KEPT)
			kept = b;
		else
			mtl_release(p->sys, b);
	}
	if (kept) {
		kept->older = NULL;
		kept->used = 0;
	}
	p->block = kept;
}

void mtl_pad_clear(MtlPad *p) { drop(p, true); }
void mtl_pad_free(MtlPad *p) { drop(p, false); }

static bool room(MtlText *t, size_t more)
{
	if (t->failed || more > SIZE_MAX / 4 - t->n) return !(t->failed = true);
	if (t->n + more + 1 <= t->cap) return true;
	size_t cap = 2 * (t->n + more) + 256;
	char *p = mtl_new(t->sys, char, cap);
	if (!p) return !(t->failed = true);
	if (t->n) memcpy(p, t->p, t->n);
	mtl_release(t->sys, t->p);
	t->p = p;
	t->cap = cap;
	return true;
}

void mtl_text_put(MtlText *t, const char *s, size_t n)
{
	if (!room(t, n)) return;
	if (n) memcpy(t->p + t->n, s, n);
	t->p[t->n += n] = '\0';
}

void mtl_text_add(MtlText *t, const char *s) { mtl_text_put(t, s, strlen(s)); }

void mtl_text_printf(MtlText *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !room(t, (size_t)n)) return;
	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
}

void mtl_text_json(MtlText *t, const char *s, size_t n)
{
	mtl_text_put(t, "\"", 1);
	for (const char *end = s + n; s < end;) {
		const char *from = s;
		while (s < end && (unsigned char)*s >= 0x20 && *s != '"' && *s != '\\') s++;
		mtl_text_put(t, from, (size_t)(s - from));
		if (s == end) break;
		if ((unsigned char)*s < 0x20)
			mtl_text_printf(t, "\\u%04x", (unsigned)(unsigned char)*s);
		else
			mtl_text_printf(t, "\\%c", *s);
		s++;
	}
	mtl_text_put(t, "\"", 1);
}

void mtl_text_free(MtlText *t)
{
	mtl_release(t->sys, t->p);
	t->p = NULL;
	t->n = t->cap = 0;
	t->failed = false;
}
