/* The tree of a .mtl file: its constructors. */
#include "ir/ast.h"

Ast *ast_new(Arena *a, AstKind kind, Span span)
{
	Ast *t = arena_new(a, Ast, 1);
	t->kind = kind;
	t->span = span;
	t->depth = 1;
	return t;
}

static Ast *under(Ast *t, const Ast *child)
{
	if (child && child->depth >= t->depth) t->depth = child->depth + 1;
	return t;
}

Ast *ast_item(Arena *a, AstKind kind, Span span, Ident name, Ast *x, Ast *y, Ast *z, const Ast *list)
{
	Ast *t = ast_new(a, kind, span);
	t->name = name.text;
	t->name_span = name.span;
	t->a = x;
	t->b = y;
	t->c = z;
	for (int i = 0; list && i < list->list.n; i++) ast_add(a, t, list->list.at[i]);
	return under(under(under(t, x), y), z);
}

Ast *ast_expr(Arena *a, AstKind kind, Span span, Ast *x, Ast *y)
{
	return ast_item(a, kind, span, (Ident){0}, x, y, NULL, NULL);
}

Ast *ast_name(Arena *a, Ident name) { return ast_item(a, AST_NAME, name.span, name, NULL, NULL, NULL, NULL); }

Ast *ast_text(Arena *a, AstKind kind, Span span, Str text)
{
	Ast *t = ast_new(a, kind, span);
	t->text = text;
	return t;
}

Ast *ast_number(Arena *a, Span span, Str text, double number)
{
	Ast *t = ast_text(a, AST_NUMBER, span, text);
	t->number = number;
	return t;
}

Ast *ast_arg(Arena *a, Span span, Ident name, Ast *value)
{
	return ast_item(a, AST_ARG, span, name, value, NULL, NULL, NULL);
}

Ast *ast_add(Arena *a, Ast *t, Ast *child)
{
	vec_push(a, &t->list, child);
	return under(t, child);
}
