/*
 * Memory of one answer: taken in pieces, given back whole.  And text that grows.
 */
#ifndef MTL_PAD_H
#define MTL_PAD_H
#include "sys.h"

typedef struct MtlPadBlock MtlPadBlock;
typedef struct {
	const MtlSys *sys;
	MtlPadBlock *block; /* newest first */
} MtlPad;

#define mtl_pad_new(pad, T, n) ((T *)mtl_pad_take((pad), (size_t)(n), sizeof(T)))
/* n objects of `each` bytes, not zeroed, aligned for anything; NULL: no memory, or overflow. */
void *mtl_pad_take(MtlPad *p, size_t n, size_t each);
/* One block is kept for the next answer, unless it is large. */
void mtl_pad_clear(MtlPad *p);
void mtl_pad_free(MtlPad *p);

/* Always ended by '\0' once something is in it. */
typedef struct {
	const MtlSys *sys;
	char *p;
	size_t n, cap;
	bool failed; /* no memory: what follows is dropped */
} MtlText;

void mtl_text_put(MtlText *t, const char *s, size_t n);
void mtl_text_add(MtlText *t, const char *s);
void mtl_text_printf(MtlText *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* In quotes, with what JSON wants escaped. */
void mtl_text_json(MtlText *t, const char *s, size_t n);
void mtl_text_free(MtlText *t);
#endif
