/* The tree as a tidy text. */
#ifndef FMT_H
#define FMT_H
#include "ir/ast.h"

/*
 * Writes a file that parse_file read without errors, with the comments it gave.  What a text means does not
 * change, every comment stays, and formatting the result again changes nothing.  The author decides where a
 * blank line stands and whether braces stay on one line.
 */
void fmt_file(const Ast *file, const Sources *sources, const Comments *comments, Text *out);
#endif
