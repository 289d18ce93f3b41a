/* Memory of one compilation: a list of chunks, each twice the last. */
#include "base/arena.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Chunk Chunk;
struct Chunk {
	Chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct Arena {
	Chunk *first, *current;
};

static void *must(void *p)
{
	if (!p) {
		fputs("mtlc: out of memory\n", stderr);
		abort();
	}
	return p;
}

static Chunk *chunk_new(size_t size)
{
	Chunk *c = must(malloc(sizeof *c + size));
	c->next = NULL;
	c->used = 0;
	c->size = size;
	return c;
}

Arena *arena_create(void)
{
	Arena *a = must(calloc(1, sizeof *a));
	a->first = a->current = chunk_new(16 << 10);
	return a;
}

void arena_destroy(Arena *a)
{
	if (!a) return;
	for (Chunk *c = a->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

void arena_reset(Arena *a)
{
	for (Chunk *c = a->first; c; c = c->next) c->used = 0;
	a->current = a->first;
}

void *arena_alloc(Arena *a, size_t n)
{
	n = (n + 15) & ~(size_t)15;
	while (a->current->size - a->current->used < n) {
		Chunk *c = a->current;
		if (!c->next) {
			size_t size = c->size * 2;
			while (size < n) size *= 2;
			c->next = chunk_new(size);
		}
		a->current = c->next;
	}
	void *p = a->current->data + a->current->used;
	a->current->used += n;
	return memset(p, 0, n);
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);
	memcpy(p, s, n);
	return p;
}

char *arena_strdup(Arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_vprintf(Arena *a, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

void *vec_grow(Arena *a, void *at, int n, int *cap, size_t each)
{
	*cap = *cap ? *cap * 2 : 8;
	void *p = arena_alloc(a, (size_t)*cap * each);
	if (n) memcpy(p, at, (size_t)n * each);
	return p;
}
