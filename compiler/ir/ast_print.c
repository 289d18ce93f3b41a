/* The tree as text: a dump, a node a line, and expressions as an author would write them. */
#include "base/diag.h"
#include "ir/ast.h"
#include <string.h>

/* What the children of a kind are called in the dump, where their place alone does not say it. */
static const struct {
	const char *name, *a, *b, *c;
} form[AST_N] = {
    [AST_FILE] = {.name = "file"},
    [AST_MODEL] = {.name = "model"},
    [AST_USE] = {.name = "use"},
    [AST_CONST] = {.name = "const"},
    [AST_FEATURES] = {.name = "features", .b = "per"},
    [AST_FEATURE] = {.name = "feature", .b = "kind", .c = "fields"},
    [AST_EMBED] = {.name = "embed"},
    [AST_ROWS] = {.name = "rows"},
    [AST_EVENT] = {.name = "event", .a = "label", .b = "of"},
    [AST_CLASS] = {.name = "class", .a = "label", .b = "of", .c = "size"},
    [AST_VALUE] = {.name = "value", .a = "label", .b = "of"},
    [AST_INDEPENDENT] = {.name = "independent", .a = "given"},
    [AST_LAYER] = {.name = "layer"},
    [AST_PARAM] = {.name = "param", .a = "default"},
    [AST_TRAIN] = {.name = "train"},
    [AST_LOSS] = {.name = "loss", .b = "index", .c = "weight"},
    [AST_OUTPUT] = {.name = "output"},
    [AST_HEAD] = {.name = "head"},
    [AST_SHARED] = {.name = "shared", .b = "index"},
    [AST_EXPERTS] = {.name = "experts", .b = "index"},
    [AST_GATE] = {.name = "gate", .b = "index"},
    [AST_TOWER] = {.name = "tower", .b = "index"},
    [AST_LET] = {.name = "let", .b = "index"},
    [AST_WEIGHTS] = {.name = "weights", .a = "init"},
    [AST_RETURN] = {.name = "return"},
    [AST_FOR] = {.name = "for", .a = "in"},
    [AST_SCAN] = {.name = "scan", .a = "along"},
    [AST_IF] = {.name = "if", .c = "else"},
    [AST_BLOCK] = {.name = "block"},
    [AST_NUMBER] = {.name = "number"},
    [AST_STRING] = {.name = "string"},
    [AST_NAME] = {.name = "name"},
    [AST_LIST] = {.name = "list"},
    [AST_KEYED] = {.name = "keyed"},
    [AST_CALL] = {.name = "call"},
    [AST_ARG] = {.name = "arg"},
    [AST_INDEX] = {.name = "index"},
    [AST_FIELD] = {.name = "field"},
    [AST_PIPE] = {.name = "pipe"},
    [AST_ADD] = {.name = "add"},
    [AST_SUB] = {.name = "sub"},
    [AST_MUL] = {.name = "mul"},
    [AST_DIV] = {.name = "div"},
    [AST_POW] = {.name = "pow"},
    [AST_NEG] = {.name = "neg"},
    [AST_LT] = {.name = "lt"},
    [AST_LE] = {.name = "le"},
    [AST_GT] = {.name = "gt"},
    [AST_GE] = {.name = "ge"},
    [AST_EQ] = {.name = "eq"},
    [AST_NE] = {.name = "ne"},
    [AST_AND] = {.name = "and"},
    [AST_OR] = {.name = "or"},
    [AST_NOT] = {.name = "not"},
    [AST_PROB] = {.name = "prob", .b = "given"},
    [AST_EXPECT] = {.name = "expect", .b = "given"},
};

const char *ast_kind_name(AstKind k) { return (unsigned)k < AST_N && form[k].name ? form[k].name : "?"; }

/* In the language's own escapes, so that it reads back as the same text. */
static void quote(const char *s, Text *out)
{
	text_char(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_printf(out, "\\%c", *s);
		else if (*s == '\n')
			text_add(out, "\\n");
		else if (*s == '\t')
			text_add(out, "\\t");
		else
			text_char(out, *s);
	}
	text_char(out, '"');
}

static void dump(const Ast *t, const char *role, int depth, Text *out)
{
	if (!t) return;
	text_indent(out, 2 * depth);
	if (role) text_printf(out, "%s: ", role);
	text_add(out, ast_kind_name(t->kind));
	if (t->name) text_printf(out, " %s", t->name);
	if (t->text) {
		text_char(out, ' ');
		if (t->kind == AST_STRING || t->kind == AST_USE)
			quote(t->text, out);
		else
			text_add(out, t->text);
	}
	if (t->parens) text_add(out, " (in parentheses)");
	text_char(out, '\n');
	bool list_first = t->kind == AST_LAYER || t->kind == AST_SCAN; /* its parameters, then its body */
	for (int i = 0; list_first && i < t->list.n; i++) dump(t->list.at[i], NULL, depth + 1, out);
	dump(t->a, form[t->kind].a, depth + 1, out);
	dump(t->b, form[t->kind].b, depth + 1, out);
	dump(t->c, form[t->kind].c, depth + 1, out);
	for (int i = 0; !list_first && i < t->list.n; i++) dump(t->list.at[i], NULL, depth + 1, out);
}

void ast_dump(const Ast *t, Text *out) { dump(t, NULL, 0, out); }

/* ---- expressions ---- */

/* How tightly a form binds, loosest first, as in grammar/parser.y. */
enum { LOOSE, PIPE, RANGE, OR, AND, COMPARE, SUM, PRODUCT, UNARY, POWER, TIGHT };

static int binds(const Ast *e)
{
	switch (e->kind) {
	case AST_PIPE: return PIPE;
	case AST_OR: return OR;
	case AST_AND: return AND;
	case AST_LT:
	case AST_LE:
	case AST_GT:
	case AST_GE:
	case AST_EQ:
	case AST_NE: return COMPARE;
	case AST_ADD:
	case AST_SUB: return SUM;
	case AST_MUL:
	case AST_DIV: return PRODUCT;
	case AST_NEG:
	case AST_NOT: return UNARY;
	case AST_POW: return POWER;
	case AST_CALL: return e->text ? RANGE : TIGHT;
	default: return TIGHT;
	}
}

static const char *sign(AstKind k)
{
	switch (k) {
	case AST_PIPE: return " -> ";
	case AST_ADD: return " + ";
	case AST_SUB: return " - ";
	case AST_MUL: return " * ";
	case AST_DIV: return " / ";
	case AST_POW: return "^";
	case AST_LT: return " < ";
	case AST_LE: return " <= ";
	case AST_GT: return " > ";
	case AST_GE: return " >= ";
	case AST_EQ: return " == ";
	case AST_NE: return " != ";
	case AST_AND: return " & ";
	case AST_OR: return " | ";
	default: bug("%s is no binary operator", ast_kind_name(k));
	}
}

/* `least`: what binds looser than this is put in parentheses; `event`: inside P( ), where equality is `=`. */
static void expr(const Ast *e, int least, bool event, Text *out);

static void list(const Ast *e, const char *open, const char *close, Text *out)
{
	text_add(out, open);
	for (int i = 0; i < e->list.n; i++) {
		if (i) text_add(out, ", ");
		expr(e->list.at[i], LOOSE, false, out);
	}
	text_add(out, close);
}

static void naked(const Ast *e, bool event, Text *out)
{
	int level = binds(e);
	switch (e->kind) {
	case AST_NUMBER:
		if (e->text)
			text_add(out, e->text);
		else
			text_printf(out, "%.17g", e->number);
		break;
	case AST_STRING: quote(e->text, out); break;
	case AST_NAME: text_add(out, e->name); break;
	case AST_LIST: list(e, "[", "]", out); break;
	case AST_KEYED: list(e, "{", "}", out); break;
	case AST_CALL:
		if (e->text) { /* 0..n */
			expr(e->list.at[0], RANGE + 1, event, out);
			text_add(out, "..");
			expr(e->list.at[1], RANGE + 1, event, out);
			break;
		}
		text_add(out, e->name);
		list(e, "(", ")", out);
		break;
	case AST_ARG:
		if (e->name) text_printf(out, "%s: ", e->name);
		expr(e->a, LOOSE, false, out);
		break;
	case AST_INDEX:
		expr(e->a, TIGHT, event, out);
		text_char(out, '[');
		expr(e->b, LOOSE, false, out);
		text_char(out, ']');
		break;
	case AST_FIELD:
		expr(e->a, TIGHT, event, out);
		text_printf(out, ".%s", e->name);
		break;
	case AST_NEG:
	case AST_NOT:
		text_char(out, e->kind == AST_NEG ? '-' : '!');
		expr(e->a, UNARY, event, out);
		break;
	case AST_POW: /* to the right; the exponent may carry a sign */
		expr(e->a, TIGHT, event, out);
		text_char(out, '^');
		expr(e->b, UNARY, event, out);
		break;
	case AST_PROB:
	case AST_EXPECT:
		text_char(out, e->kind == AST_PROB ? 'P' : 'E');
		if (e->text) text_printf(out, "[%s]", e->text);
		text_char(out, '(');
		expr(e->a, OR + 1, true, out);
		if (e->b) {
			text_add(out, " | ");
			expr(e->b, OR + 1, true, out);
		}
		text_char(out, ')');
		break;
	case AST_PIPE: /* of one value: anything looser than a call is in parentheses */
		expr(e->a, e->a->kind == AST_PIPE ? PIPE : TIGHT, event, out);
		text_add(out, sign(e->kind));
		expr(e->b, TIGHT, event, out);
		break;
	default:
		expr(e->a, level == COMPARE ? COMPARE + 1 : level, event, out);
		text_add(out, event && e->kind == AST_EQ ? " = " : sign(e->kind));
		expr(e->b, level + 1, event, out);
	}
}

static void expr(const Ast *e, int least, bool event, Text *out)
{
	if (!e) return;
	/* A pipe never stands beside another operator without parentheses. */
	bool parens = e->parens || binds(e) < least;
	if (parens) text_char(out, '(');
	naked(e, event, out);
	if (parens) text_char(out, ')');
}

void ast_expr_text(const Ast *e, Text *out) { expr(e, LOOSE, false, out); }
