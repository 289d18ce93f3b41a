/* Interned strings, and how near two words are. */
#include "base/str.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct Entry Entry;
struct Entry {
	Entry *next;
	uint64_t hash;
	size_t n;
	char text[];
};

struct StrTab {
	Arena *arena;
	Entry **slot; /* n_slot is a power of two, at least as many as strings */
	size_t n_slot, n;
};

StrTab *str_create(Arena *a)
{
	StrTab *t = arena_new(a, StrTab, 1);
	t->arena = a;
	t->n_slot = 256;
	t->slot = arena_new(a, Entry *, t->n_slot);
	return t;
}

/* FNV-1a: names are short, and the order of the slots is never seen. */
static uint64_t hash_of(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return h;
}

static void grow(StrTab *t)
{
	size_t n_slot = t->n_slot * 2;
	Entry **slot = arena_new(t->arena, Entry *, n_slot);
	for (size_t i = 0; i < t->n_slot; i++)
		for (Entry *e = t->slot[i], *next; e; e = next) {
			next = e->next;
			e->next = slot[e->hash & (n_slot - 1)];
			slot[e->hash & (n_slot - 1)] = e;
		}
	t->slot = slot;
	t->n_slot = n_slot;
}

Str str_internn(StrTab *t, const char *s, size_t n)
{
	uint64_t h = hash_of(s, n);
	for (Entry *e = t->slot[h & (t->n_slot - 1)]; e; e = e->next)
		if (e->hash == h && e->n == n && memcmp(e->text, s, n) == 0) return e->text;
	if (t->n == t->n_slot) grow(t);
	Entry *e = arena_alloc(t->arena, sizeof *e + n + 1);
	e->hash = h;
	e->n = n;
	memcpy(e->text, s, n);
	e->next = t->slot[h & (t->n_slot - 1)];
	t->slot[h & (t->n_slot - 1)] = e;
	t->n++;
	return e->text;
}

Str str_intern(StrTab *t, const char *s) { return str_internn(t, s, strlen(s)); }

Str str_printf(StrTab *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	Str s = str_intern(t, arena_vprintf(t->arena, fmt, ap));
	va_end(ap);
	return s;
}

/* Names longer than this are no slips of the pen: they are equal or as far apart as they are long. */
enum { LONGEST = 64 };

int str_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	if (n > LONGEST || m > LONGEST) return strcmp(a, b) == 0 ? 0 : (int)(n > m ? n : m);

	/* d[i][j]: from the first i bytes of a to the first j of b, a swap of neighbours counting one. */
	int d[LONGEST + 1][LONGEST + 1];
	for (size_t i = 0; i <= n; i++) d[i][0] = (int)i;
	for (size_t j = 0; j <= m; j++) d[0][j] = (int)j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[n][m];
}

/* One slip in names of two letters, one more for every three further ones; a wrong case is one slip. */
const char *str_nearest(const char *s, const char *const *candidate, int n)
{
	int best = (int)(strlen(s) + 1) / 3 + 1;
	const char *found = NULL;
	for (int i = 0; i < n; i++) {
		int d = strcasecmp(s, candidate[i]) == 0 ? strcmp(s, candidate[i]) != 0
							 : str_distance(s, candidate[i]);
		if (d < best) {
			best = d;
			found = candidate[i];
		}
	}
	return found;
}
