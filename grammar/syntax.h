/*
 * What lexer, grammar and parser share.
 *
 * A text is read in three steps: the lexer cuts it into tokens, front/parse.c goes over all of them
 * (brackets; words of the language that are only names where they stand), and the grammar makes the tree.
 */
#ifndef SYNTAX_H
#define SYNTAX_H
#include "base/diag.h"
#include "ir/ast.h"

/* What the lexer keeps between tokens. */
typedef struct {
	Arena *arena;
	StrTab *names;
	Diag *diag;
	uint32_t base;	 /* offset of the text's first byte */
	uint32_t lo, hi; /* the token, from the text's beginning */
	Str text;	 /* of a name, number or string */
	double number;
	bool first;	    /* the next token is the first of its line */
	Comments *comments; /* or NULL */
	int errors_left;
} Lexer;

typedef struct Parser Parser;

/* ---- what the grammar's actions call, in front/parse.c ---- */

Arena *syntax_arena(Parser *p);
/* An operator; refuses towers of them that no recursion could walk, and pipes beside other operators. */
Ast *syntax_operator(Parser *p, AstKind kind, Span span, Ast *a, Ast *b);
/* from..to is the call range(from, to), its text ".." */
Ast *syntax_range(Parser *p, Span span, Ast *from, Ast *to);
/* P(F | C): the bar at the top is the condition. */
Ast *syntax_prob(Parser *p, AstKind kind, Span span, Ident estimate, Ast *inside);
/* shared a[i][j] = x, let a, b = x */
Ast *syntax_named(Parser *p, AstKind kind, Span span, Ast *names, Ast *indices, Ast *value);
/* features NAME per SIDE: one of the two sides, or a message */
Ast *syntax_group(Parser *p, Span span, Ident name, Ident side, Ast *features);
void syntax_done(Parser *p, Ast *file);
/* The token that was not expected, and what would have been. */
void syntax_error(Parser *p, const char *const *expected, int n);
/* No room left on the parser's stack. */
void syntax_too_deep(Parser *p);

/* Where to go on after an error. */
typedef enum {
	RESUME_FILE,  /* the next statement or declaration */
	RESUME_BLOCK, /* the next statement, or the end of the block */
	RESUME_DATA   /* the next `name:`, or the end of the braces */
} Resume;
void syntax_resume(Parser *p, Resume where);
#endif
