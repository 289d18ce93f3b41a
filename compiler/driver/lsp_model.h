/* What an editor asks of a model: what stands at a place, where it was declared, what may be written. */
#ifndef LSP_MODEL_H
#define LSP_MODEL_H
#include "driver/compile.h"

/* The text of an editor, as it stands and as it last was without an error. */
typedef struct {
	char *text; /* '\0'-terminated; its compilations read it where it lies */
	size_t n;
	Compilation c;
	bool good;
} Known;

Known *known_new(const char *path, const char *text, size_t n);
void known_free(Known *k);

typedef enum { LSP_VALUE, LSP_FEATURE, LSP_GROUP, LSP_EVENT, LSP_CONST, LSP_LAYER, LSP_OP, LSP_WORD } LspKind;

/* The word at a byte of a text: *lo .. *hi; false: there is none. */
bool lsp_word(const char *text, size_t n, size_t at, size_t *lo, size_t *hi);
/*
 * Markdown about what stands at byte `at` of now; facts (shapes, derived probabilities) come from `good`, the
 * last text without an error, which may be now or NULL.  Nothing is added where there is nothing to say.
 */
void lsp_hover(const Known *now, const Known *good, size_t at, Text *out);
/* Where the name at a byte of now was declared; false: nowhere in the author's files. */
bool lsp_definition(const Known *now, size_t at, Span *out);
/* Everything that may stand in a text like this one; a name may come twice. */
void lsp_complete(const Known *now, const Known *good,
		  void (*each)(void *self, const char *name, LspKind kind, const char *detail), void *self);
/* The declarations of the file itself, in their order. */
void lsp_symbols(const Known *now,
		 void (*each)(void *self, const char *name, LspKind kind, Span all, Span name_at),
		 void *self);
#endif
