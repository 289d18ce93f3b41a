/*
 * The border: before it anything may be wrong and the author is told, several errors at a time; after it the
 * model is right by definition.
 */
#ifndef CHECK_H
#define CHECK_H
#include "base/diag.h"
#include "ir/ast.h"
#include "ir/spec.h"

/* -D name=value: overrides `const name`. */
typedef struct {
	const char *name, *value;
} Define;

typedef struct {
	int n;
	const Define *at;
} Defines;

/*
 * file: the author's tree, with the items of every `use` in place; prelude: the layers written in the
 * language, or NULL. defines may be NULL.  NULL when there were errors: all of them are in d.
 */
Spec *check(Arena *a, StrTab *str, Diag *d, const Ast *file, const Ast *prelude, const Defines *defines);
#endif
