/* Interned strings: equal text is the same pointer within one StrTab. */
#ifndef STR_H
#define STR_H
#include "base/arena.h"

typedef const char *Str;
typedef struct StrTab StrTab;

StrTab *str_create(Arena *a);
Str str_intern(StrTab *t, const char *s);
Str str_internn(StrTab *t, const char *s, size_t n);
Str str_printf(StrTab *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Levenshtein distance with transpositions, for "did you mean". */
int str_distance(const char *a, const char *b);
/* The nearest of n candidates if it is near enough to be a slip of the pen, else NULL. */
const char *str_nearest(const char *s, const char *const *candidate, int n);
#endif
