/*
 * The tree of a .mtl file, as written.  Nothing is resolved here: names are names.
 *
 * One node form for all kinds; the table below says what each kind keeps where.  Absent children are NULL,
 * absent lists empty.  `name` is interned, `name_span` its place, `span` the whole construct.
 */
#ifndef AST_H
#define AST_H
#include "base/arena.h"
#include "base/source.h"
#include "base/str.h"
#include "base/text.h"
#include <stdbool.h>

typedef enum {
	/* ---- items of a file ---- */
	AST_FILE,  /* list: items */
	AST_MODEL, /* model NAME                             name */
	AST_USE,   /* use "path"                             text; list: the items of the file once it is read
		    */
	AST_CONST, /* const NAME = EXPR                      name, a */
	AST_FEATURES, /* features NAME per SIDE { ... }         name, text = "request" | "candidate" | NULL
			 (b: AST_NAME), list: AST_FEATURE */
	AST_FEATURE,  /* NAME : KIND(ATTR, ...) [{ ... }]       name, text = kind "id" "ids" "real" (b:
			 AST_NAME), list: AST_ARG;  c: AST_BLOCK of AST_FEATURE (seq) */
	AST_EMBED,    /* embed 18                               a: the default width */
	AST_ROWS,     /* rows { weight: w ... }                 list: AST_ARG */
	AST_EVENT,    /* event NAME [of PARENT] [label EXPR]    name, text = parent (name in b: AST_NAME), a:
			 label expression */
	AST_CLASS,    /* class NAME[n] [of E] [label EXPR]      as AST_EVENT; c: the number of classes ... */
		      /* class NAME { x, y } [of E] ...         ... or list: AST_NAME, the classes' names */
	AST_VALUE,    /* value NAME [of E] [label EXPR]         as AST_EVENT */
	AST_INDEPENDENT, /* independent a, b given c             list: AST_NAME, a: AST_NAME or NULL */
	AST_LAYER,	 /* layer NAME(params) { body }            name, list: AST_PARAM; b: AST_BLOCK */
	AST_PARAM,	 /* NAME [: DEFAULT]                       name, a */
	AST_TRAIN,	 /* train { name: value ... }              list: AST_ARG */
	AST_LOSS,   /* loss NAME: EXPR [weight W]             name, b: index or NULL (loss l[t]: ...), a, c:
		       weight */
	AST_OUTPUT, /* output n = EXPR, ...                   list: AST_ARG (name, a; name NULL: the
		       expression's own) */
	AST_HEAD,   /* P(...) = EXPR                          a: AST_PROB, b: expression */
	/* ---- statements, also inside layers and loops ---- */
	AST_SHARED, /* shared NAME[index] = EXPR              name, a: expression, b: index expression or NULL
		     */
	AST_EXPERTS, /* experts NAME[count] = EXPR             the same; own[t][2]: both indices in list, b
			NULL (in all five) */
	AST_GATE,
	AST_TOWER,
	AST_LET, /*                         the same as AST_SHARED; let a, b = f(x): list: AST_NAME, name NULL
		  */
	AST_WEIGHTS, /* weights NAME[d, ...] = INIT            name, list: dims, a: initialiser call */
	AST_RETURN,  /* return EXPR, ...                       list */
	AST_FOR, /* for NAME in EXPR { ... }               name, a, b: AST_BLOCK; 0..n is AST_CALL range(0, n)
		    with text ".." */
	AST_SCAN, /* scan NAME[WIDTH], ... along EXPR { }    list: AST_ARG (name, a: the width), a, b:
		     AST_BLOCK */
	AST_IF,	  /* if EXPR { } else { }                   a, b: AST_BLOCK, c: AST_BLOCK or AST_IF or NULL */
	AST_BLOCK, /* { ... }                                list */
	/* ---- expressions ---- */
	AST_NUMBER, /* 1e-3, 200_000                          number, text: as written */
	AST_STRING, /* "F"                                    text */
	AST_NAME,   /* x                                      name */
	AST_LIST,   /* [a, b]                                 list */
	AST_KEYED,  /* {click: a, like: b}                    list: AST_ARG */
	AST_CALL,   /* f(x, n: 3)                             name, list: AST_ARG (name NULL: by position) */
	AST_ARG,    /* [NAME:] EXPR                           name, a */
	AST_INDEX,  /* e[t], e[0]                             a, b */
	AST_FIELD,  /* a.b                                    a, name */
	AST_PIPE,   /* x -> f(...)                            a, b: AST_CALL or AST_NAME (a layer without
		       arguments) */
	AST_ADD,
	AST_SUB,
	AST_MUL,
	AST_DIV,
	AST_POW, /*          a, b */
	AST_NEG, /* -a                                     a */
	AST_LT,
	AST_LE,
	AST_GT,
	AST_GE,
	AST_EQ,
	AST_NE,	    /* over compile-time values; a, b */
	AST_AND,    /* a & b  (labels, event formulas, conditions) */
	AST_OR,	    /* a | b */
	AST_NOT,    /* !a */
	AST_PROB,   /* P(F), P(F | C), P[direct](F | C)       a: formula, b: condition or NULL, text: the
		       estimate's name or NULL */
	AST_EXPECT, /* E(v | c)                               the same */
	AST_N
} AstKind;

typedef struct Ast Ast;
struct Ast {
	AstKind kind;
	Span span, name_span;
	Str name, text;
	double number;
	Ast *a, *b, *c;
	VEC(Ast *) list;
	int depth;   /* levels below; the parser refuses more than a recursion can walk */
	bool parens; /* written in parentheses: the formatter keeps them, `|` inside P( ) needs them */
};

/* A comment and where it stood, for the formatter. */
typedef struct {
	Span span;
	Str text; /* with its '#', without the newline */
	bool own_line;
} Comment;
typedef VEC(Comment) Comments;

/* A name and its place. */
typedef struct {
	Str text;
	Span span;
} Ident;

Ast *ast_new(Arena *a, AstKind kind, Span span);
/* With a name (or {0}), children (or NULL) and the list of `list` (or NULL). */
Ast *ast_item(Arena *a, AstKind kind, Span span, Ident name, Ast *x, Ast *y, Ast *z, const Ast *list);
Ast *ast_expr(Arena *a, AstKind kind, Span span, Ast *x, Ast *y);
Ast *ast_name(Arena *a, Ident name);
Ast *ast_text(Arena *a, AstKind kind, Span span, Str text);
Ast *ast_number(Arena *a, Span span, Str text, double number);
Ast *ast_arg(Arena *a, Span span, Ident name, Ast *value);
/* Append to list; returns t. */
Ast *ast_add(Arena *a, Ast *t, Ast *child);
/* The tree, indented, one node a line: `--dump=ast`. */
void ast_dump(const Ast *t, Text *out);
const char *ast_kind_name(AstKind k);
/* The text of an expression as the formatter would write it, for messages. */
void ast_expr_text(const Ast *e, Text *out);
#endif
