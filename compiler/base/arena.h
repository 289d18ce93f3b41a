/* Memory of one compilation: taken in pieces, given back all at once. */
#ifndef ARENA_H
#define ARENA_H
#include <stddef.h>
#include <stdarg.h>

typedef struct Arena Arena;

Arena *
arena_create(void); /* aborts on no memory, as do all functions here: a compiler has no better answer */
void arena_destroy(Arena *a);
void arena_reset(Arena *a);	       /* everything taken so far is gone; the memory is kept for reuse */
void *arena_alloc(Arena *a, size_t n); /* zeroed, 16-byte aligned */
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);
#define arena_new(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)(n)))

/* Growable arrays that live in an arena: VEC(int) v = {0}; vec_push(a, &v, 7); v.at[0], v.n. */
#define VEC(T)                                                                                               \
	struct {                                                                                             \
		T *at;                                                                                       \
		int n, cap;                                                                                  \
	}
void *vec_grow(Arena *a, void *at, int n, int *cap, size_t each);
#define vec_push(a, v, ...)                                                                                  \
	((v)->n == (v)->cap ? (void)((v)->at = vec_grow((a), (v)->at, (v)->n, &(v)->cap, sizeof *(v)->at))   \
			    : (void)0,                                                                       \
	 (v)->at[(v)->n++] = (__VA_ARGS__))

#endif
