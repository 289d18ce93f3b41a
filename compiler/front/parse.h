/* From text to tree: model files and the built-in layers. */
#ifndef PARSE_H
#define PARSE_H
#include "base/diag.h"
#include "ir/ast.h"

/*
 * The tree of a file, AST_FILE, with what could be understood when there were errors: see diag_errors.
 *
 * text: NULL to read the file at path.  The files of `use` are read as well, relative to the one that names
 * them, and hang in AST_USE.list; a file that was read before is not read again. comments: NULL, or the
 * comments of this file are added to it.  The formatter asks for them, and for this one file: then `use` is
 * not followed.
 */
Ast *parse_file(Arena *a, StrTab *names, Sources *sources, Diag *d, const char *path, const char *text,
		Comments *comments);
/* The built-in layers of grammar/prelude.mtl. */
Ast *parse_prelude(Arena *a, StrTab *names, Sources *sources, Diag *d);
#endif
