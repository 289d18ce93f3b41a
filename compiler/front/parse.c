/*
 * From text to tree.
 *
 * The lexer cuts, `arrange` goes over all tokens once, the grammar makes the tree.  Between lexer and grammar
 * because it needs to see ahead:
 *
 * Words: columns, arguments and fields may be called label or weight.  Inside ( ) and [ ] and in braces
 * without statements, after a dot and where a value or a name is due, a word of the language is a name.
 *
 * Brackets: what is not closed is reported once, at the place where it hurts, and closed.  So the grammar
 * goes on behind it, and knows of every token in which brackets it stands, which is how it finds its way
 * after other errors.
 */
#include "front/parse.h"
#include "syntax.h"
#include "parser.h"
#include "lexer.h"
#include "prelude_text.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int mtlyylex(MTLYYSTYPE *value, MTLYYLTYPE *span, Parser *p);

enum {
	MOST_ERRORS = 50, /* of one file; what follows is noise */
	DEEPEST_BRACKETS = 200,
	DEEPEST_TREE = 1000,
	LARGEST_FILE = 16 << 20
};

typedef struct {
	int kind; /* as the grammar sees it; 0: the end */
	int word; /* the word of the language that it is written as, or 0 */
	Span span;
	Str text;
	double number;
	bool first;    /* of its line */
	bool inserted; /* not in the text: closes what the author left open */
	bool spoiled;  /* a bracket before it was dropped */
	bool open;     /* a bracket that the author left open */
	int up;	       /* the bracket around it, -1: none; of a bracket: the one around the pair */
	int match;     /* of a bracket: its other half */
} Token;

struct Parser {
	Arena *arena;
	StrTab *names;
	Diag *diag;
	const Source *source;
	VEC(Token) token;
	int next, last; /* to be read by the grammar; read last */
	int resumed;	/* where it went on after the last error */
	int errors_before;
	bool too_deep;
	Ast *file;
};

/* ---- the words ---- */

typedef enum { ITEM = 1, STATEMENT, JOINT } WordClass;

/* Where a word may stand, and the form that a message shows. */
static const struct {
	int kind;
	const char *text;
	WordClass class;
	const char *form;
} words[] = {
    {MODEL, "model", ITEM, "model NAME"},
    {USE, "use", ITEM, "use \"file.mtl\""},
    {CONST, "const", ITEM, "const NAME = VALUE"},
    {FEATURES, "features", ITEM, "features NAME per request|candidate { column : id(...) ... }"},
    {EMBED, "embed", ITEM, "embed WIDTH"},
    {ROWS, "rows", ITEM, "rows { weight: COLUMN ... }"},
    {EVENT, "event", ITEM, "event NAME [of PARENT] [label COLUMN]"},
    {CLASS, "class", ITEM, "class NAME[COUNT] [of EVENT] [label COLUMN]"},
    {VALUE, "value", ITEM, "value NAME [of EVENT] [label COLUMN]"},
    {INDEPENDENT, "independent", ITEM, "independent EVENT, EVENT given EVENT"},
    {LAYER, "layer", ITEM, "layer NAME(x, argument: default) { ... return VALUE }"},
    {TRAIN, "train", ITEM, "train { setting: value ... }"},
    {SHARED, "shared", STATEMENT, "shared NAME = EXPRESSION"},
    {EXPERTS, "experts", STATEMENT, "experts NAME[COUNT] = EXPRESSION"},
    {GATE, "gate", STATEMENT, "gate NAME = mix(EXPERTS, by: VALUE)"},
    {TOWER, "tower", STATEMENT, "tower NAME = EXPRESSION"},
    {LET, "let", STATEMENT, "let NAME = EXPRESSION"},
    {WEIGHTS, "weights", STATEMENT, "weights NAME[SIZE, ...] = normal(0, 0.01)"},
    {RETURN, "return", STATEMENT, "return VALUE"},
    {FOR, "for", STATEMENT, "for NAME in [...] { ... }"},
    {SCAN, "scan", STATEMENT, "scan STATE[WIDTH], ... along SEQUENCE { ... }"},
    {IF, "if", STATEMENT, "if CONDITION { ... } else { ... }"},
    {LOSS, "loss", STATEMENT, "loss NAME: EXPRESSION [weight NUMBER]"},
    {OUTPUT, "output", STATEMENT, "output NAME = EXPRESSION, ..."},
    {PROB, "P", STATEMENT, "P(EVENT | CONDITION) = EXPRESSION"},
    {EXPECT, "E", STATEMENT, "E(VALUE | CONDITION) = EXPRESSION"},
    {PER, "per", JOINT, NULL},
    {OF, "of", JOINT, NULL},
    {LABEL, "label", JOINT, NULL},
    {GIVEN, "given", JOINT, NULL},
    {IN, "in", JOINT, NULL},
    {ALONG, "along", JOINT, NULL},
    {ELSE, "else", JOINT, NULL},
    {WEIGHT, "weight", JOINT, NULL},
};
enum { N_WORDS = sizeof words / sizeof *words };

static int word_index(int kind)
{
	for (int i = 0; i < N_WORDS; i++)
		if (words[i].kind == kind) return i;
	return -1;
}

static WordClass class_of(int kind)
{
	int i = word_index(kind);
	return i < 0 ? 0 : words[i].class;
}

static bool is_opener(int kind) { return kind == '(' || kind == '[' || kind == '{'; }
static bool is_closer(int kind) { return kind == ')' || kind == ']' || kind == '}'; }
static int closer_of(int kind) { return kind == '(' ? ')' : kind == '[' ? ']' : '}'; }
static bool is_round(int kind) { return kind == '(' || kind == '['; }

/* After these a value or a name is due. */
static bool wants_more(const Token *t)
{
	switch (t->kind) {
	case '=':
	case ',':
	case ':':
	case '(':
	case '[':
	case '+':
	case '-':
	case '*':
	case '/':
	case '^':
	case '&':
	case '|':
	case '!':
	case '<':
	case '>':
	case LE:
	case GE:
	case EQ:
	case NE:
	case ARROW:
	case DOTS: return true;
	default: return class_of(t->kind) != 0 && t->kind != ELSE && t->kind != PROB && t->kind != EXPECT;
	}
}

/* A word that begins a line and goes on like a statement (`tower x ...`, `train {`) is one, whatever is open.
 */
static bool like_statement(const Token *t, const Token *next)
{
	if (!t->first || next->first) return false;
	return next->kind == NAME || next->kind == NUMBER || next->kind == STRING || next->kind == '{' ||
	       class_of(next->kind) != 0;
}

/* ---- going over the tokens ---- */

static bool too_many(const Parser *p) { return diag_errors(p->diag) - p->errors_before > MOST_ERRORS; }

static void lex(Parser *p, Lexer *x, const char *text, uint32_t len)
{
	yyscan_t scanner;
	if (mtllexlex_init_extra(x, &scanner) != 0) abort();
	YY_BUFFER_STATE buffer = mtllex_scan_bytes(text, (int)len, scanner);
	uint32_t end = x->base;
	while (!too_many(p)) {
		int kind = mtllexlex(scanner);
		if (kind == 0) break;
		Token t = {.kind = kind, .span = {x->base + x->lo, x->base + x->hi}, .first = x->first};
		if (kind == NAME || kind == NUMBER || kind == STRING) t.text = x->text;
		t.number = x->number;
		t.word = class_of(kind) ? kind : 0;
		x->first = false;
		end = t.span.hi;
		vec_push(p->arena, &p->token, t);
	}
	vec_push(p->arena, &p->token, (Token){.kind = END, .span = {end, end}, .first = true});
	mtllex_delete_buffer(buffer, scanner);
	mtllexlex_destroy(scanner);
}

/* The token as the author wrote it, for messages. */
static const char *said(const Parser *p, const Token *t)
{
	if (t->kind == END) return "the end of the file";
	const char *s = p->source->text + (t->span.lo - p->source->base);
	int n = (int)(t->span.hi - t->span.lo);
	return arena_printf(p->arena, n > 30 ? "`%.*s...`" : "`%.*s`", n > 30 ? 27 : n, s);
}

typedef struct {
	int at;	    /* the opening token */
	bool code;  /* braces around statements */
	bool event; /* inside P( ), where `=` asks for equality */
} Open;

typedef struct {
	Parser *p;
	VEC(Token) out;
	VEC(Open) open;
	int statement; /* the word that the statement at hand began with */
	bool balanced;
	bool dropped; /* a bracket, just now */
} Arranger;

static bool balanced(const Token *token, int n, Arena *a)
{
	VEC(int) open = {0};
	for (int i = 0; i < n; i++) {
		int k = token[i].kind;
		if (is_opener(k))
			vec_push(a, &open, closer_of(k));
		else if (is_closer(k) && (open.n == 0 || open.at[--open.n] != k))
			return false;
	}
	return open.n == 0;
}

static Open *top(Arranger *r) { return r->open.n ? &r->open.at[r->open.n - 1] : NULL; }
static int top_kind(Arranger *r) { return r->open.n ? r->out.at[top(r)->at].kind : 0; }

static void put(Arranger *r, Token t)
{
	t.up = r->open.n ? top(r)->at : -1;
	t.match = -1;
	t.spoiled = r->dropped;
	r->dropped = false;
	vec_push(r->p->arena, &r->out, t);
}

static void put_opener(Arranger *r, Token t)
{
	const Token *prev = r->out.n ? &r->out.at[r->out.n - 1] : NULL;
	int before = prev ? prev->kind : 0;
	if (before == ']' && prev->match > 0) before = r->out.at[prev->match - 1].kind; /* P[direct]( */
	Open o = {.at = r->out.n};
	o.code = t.kind == '{' &&
		 (r->statement == FOR || r->statement == SCAN || r->statement == IF || r->statement == LAYER);
	o.event = t.kind == '(' && (before == PROB || before == EXPECT || (top(r) && top(r)->event));
	put(r, t);
	vec_push(r->p->arena, &r->open, o);
}

static void put_closer(Arranger *r, Token t)
{
	int opener = top(r)->at;
	r->open.n--;
	put(r, t);
	r->out.at[r->out.n - 1].match = opener;
	r->out.at[opener].match = r->out.n - 1;
}

/* The author left the innermost bracket open, and `before` cannot stand in it. */
static void close_for_author(Arranger *r, const Token *before)
{
	Token *opener = &r->out.at[top(r)->at];
	int close = closer_of(opener->kind);
	opener->open = true;
	Diag *d = r->p->diag;
	if (before->kind == END) {
		diag_error(d, opener->span, "M0006", "this `%c` is never closed", opener->kind);
		diag_help(d, "add the missing `%c`", close);
	} else {
		diag_error(d, before->span, "M0006", "expected `%c` before %s", close, said(r->p, before));
		diag_note(d, opener->span, "this `%c` is still open", opener->kind);
	}
	uint32_t lo = r->out.at[r->out.n - 1].span.hi;
	put_closer(r, (Token){.kind = close, .span = {lo, lo}, .inserted = true});
}

/* A word of the language stays one or becomes a name. */
static Token name_or_word(Arranger *r, Token t, const Token *next)
{
	if (!t.word || t.kind == PROB || t.kind == EXPECT) return t;
	const Token *prev = r->out.n ? &r->out.at[r->out.n - 1] : NULL;
	bool statement = like_statement(&t, next);
	bool block = r->open.n == 0 || (top_kind(r) == '{' && top(r)->code);
	bool name = prev && prev->kind == '.';
	if (!block && (r->balanced || !statement)) name = true;
	if (r->open.n && next->kind == ':' && !(t.kind == LOSS && block)) name = true;
	if (prev && wants_more(prev) && !statement) name = true;
	/* `event of click`: the name is missing, it is not `of` */
	if (block && prev && class_of(prev->kind) && class_of(t.kind) == JOINT && next->kind == NAME &&
	    !next->first)
		name = false;
	if (!name) return t;
	t.kind = NAME;
	t.text = str_intern(r->p->names, words[word_index(t.word)].text);
	return t;
}

/* Does `P(...) =` or `P[direct](...) =` begin here, at the beginning of a line?  Inside brackets no such
 * thing stands. */
static bool like_head(const Token *in, int i, int n)
{
	if ((in[i].kind != PROB && in[i].kind != EXPECT) || !in[i].first) return false;
	int depth = 0;
	for (int k = i + 1; k < n && (k == i + 1 || !in[k].first); k++) {
		if (is_opener(in[k].kind)) depth++;
		if (is_closer(in[k].kind)) depth--;
		if (depth < 0) return false;
		if (depth == 0 && in[k].kind == '=') return k > i + 1;
	}
	return false;
}

/* In a text whose brackets do not match: a statement cannot stand in ( ) or [ ], nor a declaration in a
 * block. */
static void close_before_statement(Arranger *r, const Token *t, const Token *next, bool head)
{
	while (head && r->open.n && (is_round(top_kind(r)) || !top(r)->code)) close_for_author(r, t);
	WordClass class = class_of(t->kind);
	if ((class != ITEM && class != STATEMENT) || t->kind == PROB || t->kind == EXPECT) return;
	if (!like_statement(t, next)) return;
	while (r->open.n && (is_round(top_kind(r)) || !top(r)->code || class == ITEM)) close_for_author(r, t);
}

static void arrange_closer(Arranger *r, const Token *t)
{
	int depth = r->open.n;
	while (depth-- > 0 && closer_of(r->out.at[r->open.at[depth].at].kind) != t->kind)
		;
	if (depth < 0) {
		diag_error(r->p->diag, t->span, "M0007", "this `%c` closes nothing", t->kind);
		r->dropped = true;
		return;
	}
	while (r->open.n > depth + 1) close_for_author(r, t);
	put_closer(r, *t);
}

static void arrange(Parser *p)
{
	const Token *in = p->token.at;
	int n = p->token.n;
	Arranger r = {.p = p, .balanced = balanced(in, n, p->arena)};
	for (int i = 0; i < n; i++) {
		const Token *next = &in[i + 1 < n ? i + 1 : i];
		Token t = name_or_word(&r, in[i], next);
		if (t.kind == END || too_many(p)) break;
		if (!r.balanced) close_before_statement(&r, &t, next, like_head(in, i, n));
		WordClass class = class_of(t.kind);
		if (class == ITEM || class == STATEMENT) r.statement = t.kind;
		if (t.kind == ELSE) r.statement = IF;
		if (t.kind == '=' && r.open.n && top(&r)->event) t.kind = EQ;
		if (is_opener(t.kind)) {
			if (r.open.n == DEEPEST_BRACKETS) {
				diag_error(p->diag, t.span, "M0008", "brackets are nested more than %d deep",
					   DEEPEST_BRACKETS);
				p->too_deep = true;
				break;
			}
			put_opener(&r, t);
		} else if (is_closer(t.kind)) {
			arrange_closer(&r, &t);
		} else {
			put(&r, t);
		}
	}
	Token end = in[n - 1];
	while (r.open.n) {
		if (too_many(p) || p->too_deep) {
			uint32_t lo = end.span.lo;
			put_closer(
			    &r, (Token){.kind = closer_of(top_kind(&r)), .span = {lo, lo}, .inserted = true});
		} else {
			close_for_author(&r, &end);
		}
	}
	put(&r, end);
	p->token.at = r.out.at;
	p->token.n = r.out.n;
}

/* ---- what the grammar calls ---- */

int mtlyylex(MTLYYSTYPE *value, MTLYYLTYPE *span, Parser *p)
{
	const Token *t = &p->token.at[p->next];
	p->last = p->next;
	if (t->kind != END) p->next++;
	*span = t->span;
	if (t->kind == NAME)
		value->NAME = t->text;
	else if (t->kind == STRING)
		value->STRING = t->text;
	else if (t->kind == NUMBER)
		value->NUMBER = (Number){t->text, t->number};
	return t->kind;
}

Arena *syntax_arena(Parser *p) { return p->arena; }

void syntax_done(Parser *p, Ast *file)
{
	file->span = (Span){p->source->base, p->source->base + p->source->len};
	p->file = file;
}

void syntax_too_deep(Parser *p)
{
	if (p->too_deep) return;
	p->too_deep = true;
	diag_error(p->diag, p->token.at[p->last].span, "M0008", "this is nested too deeply");
}

static bool is_operator(const Ast *e)
{
	return (e->kind >= AST_PIPE && e->kind <= AST_NOT) || (e->kind == AST_CALL && e->text);
}

static const char *excerpt(const Parser *p, const Ast *e)
{
	Text t = {0};
	ast_expr_text(e, &t);
	char *s = t.n <= 40 ? arena_strdup(p->arena, t.at) : "...";
	text_free(&t);
	return s;
}

Ast *syntax_operator(Parser *p, AstKind kind, Span span, Ast *a, Ast *b)
{
	int depth = a->depth > (b ? b->depth : 0) ? a->depth : b->depth;
	if (depth >= DEEPEST_TREE) {
		syntax_too_deep(p);
		return ast_new(p->arena, AST_LIST, span);
	}
	if (too_many(p)) return ast_expr(p->arena, kind, span, a, b);
	if (kind == AST_PIPE) {
		if (a->kind != AST_PIPE && is_operator(a) && !a->parens) {
			diag_error(p->diag, a->span, "M0021",
				   "a pipe takes one value: put this in parentheses");
			if (a->kind == AST_GT && a->b->kind == AST_CALL)
				diag_help(p->diag, "a value is sent into a layer by `->`: `%s -> %s -> ...`",
					  excerpt(p, a->a), excerpt(p, a->b));
			else if (a->b && a->b->kind != AST_PIPE)
				diag_help(p->diag, "write `(%s) -> ...`, or `... (%s -> ...)`", excerpt(p, a),
					  excerpt(p, a->b));
		}
	} else if (kind != AST_INDEX && kind != AST_FIELD) {
		for (int i = 0; i < 2; i++) {
			Ast *x = i ? b : a;
			if (!x || x->kind != AST_PIPE || x->parens) continue;
			diag_error(p->diag, x->span, "M0021",
				   "a pipe beside another operator is ambiguous: put it in parentheses");
			diag_help(p->diag, "write `(%s)`", excerpt(p, x));
		}
	}
	return ast_expr(p->arena, kind, span, a, b);
}

Ast *syntax_range(Parser *p, Span span, Ast *from, Ast *to)
{
	Ast *t = syntax_operator(p, AST_ADD, span, from, to);
	if (t->kind != AST_ADD) return t;
	t = ast_new(p->arena, AST_CALL, span);
	t->name = str_intern(p->names, "range");
	t->name_span = span;
	t->text = str_intern(p->names, "..");
	ast_add(p->arena, t, ast_arg(p->arena, from->span, (Ident){0}, from));
	ast_add(p->arena, t, ast_arg(p->arena, to->span, (Ident){0}, to));
	return t;
}

Ast *syntax_prob(Parser *p, AstKind kind, Span span, Ident estimate, Ast *inside)
{
	Ast *condition = NULL;
	if (inside->kind == AST_OR && !inside->parens) {
		condition = inside->b;
		inside = inside->a;
		const Ast *second = inside->kind == AST_OR && !inside->parens ? inside : NULL;
		if (second) {
			char letter = kind == AST_PROB ? 'P' : 'E';
			diag_error(p->diag, span, "M0022", "two bars in one %c( )", letter);
			diag_help(p->diag,
				  "the bar is the condition; \"or\" stands in parentheses: `%c((%s) | %s)`",
				  letter, excerpt(p, second), excerpt(p, condition));
		}
	}
	Ast *t = ast_expr(p->arena, kind, span, inside, condition);
	t->text = estimate.text;
	t->name_span = estimate.span;
	return t;
}

Ast *syntax_named(Parser *p, AstKind kind, Span span, Ast *names, Ast *indices, Ast *value)
{
	const Ast *first = names->list.at[0];
	int n_indices = indices->list.n;
	if (names->list.n == 1) {
		Ident name = {first->name, first->name_span};
		Ast *index = n_indices == 1 ? indices->list.at[0] : NULL;
		if (n_indices > 2)
			diag_error(p->diag, indices->list.at[2]->span, "M0023",
				   "a name has at most two indices");
		return ast_item(p->arena, kind, span, name, value, index, NULL,
				n_indices == 1 ? NULL : indices);
	}
	if (n_indices)
		diag_error(p->diag, indices->list.at[0]->span, "M0023",
			   "several names that share one value have no index");
	return ast_item(p->arena, kind, span, (Ident){0}, value, NULL, NULL, names);
}

Ast *syntax_group(Parser *p, Span span, Ident name, Ident side, Ast *features)
{
	Ast *t = ast_item(p->arena, AST_FEATURES, span, name, NULL, NULL, NULL, features);
	if (!side.text) return t;
	static const char *const sides[] = {"request", "candidate"};
	t->b = ast_name(p->arena, side);
	t->text = side.text;
	if (strcmp(side.text, sides[0]) == 0 || strcmp(side.text, sides[1]) == 0) return t;
	diag_error(p->diag, side.span, "M0024", "a group is `per request` or `per candidate`, not `per %s`",
		   side.text);
	const char *near = str_nearest(side.text, sides, 2);
	if (near) diag_help(p->diag, "did you mean `%s`?", near);
	t->text = NULL;
	return t;
}

/* ---- going on after an error ---- */

static bool begins(const Parser *p, int i, Resume where)
{
	const Token *t = &p->token.at[i];
	const Token *next = t->kind == END ? t : &p->token.at[i + 1];
	if (where == RESUME_DATA) return t->kind == NAME && next->kind == ':';
	/* a line that is meant to be a statement, but is none yet */
	if (t->kind == NAME && t->first && i > 0 && p->token.at[i - 1].kind != ',')
		return !next->first && (next->kind == NAME || next->kind == '=');
	if (t->kind == PROB || t->kind == EXPECT) return t->first;
	WordClass class = class_of(t->kind);
	return class == STATEMENT || (class == ITEM && where == RESUME_FILE);
}

/* The next beginning in the same braces, past the last one: so every error is followed by progress. */
void syntax_resume(Parser *p, Resume where)
{
	int i = p->last, around = -1;
	if (where != RESUME_FILE) {
		const Token *t = &p->token.at[i];
		around = t->kind == '}' ? t->match : t->up;
		while (around >= 0 && p->token.at[around].kind != '{') around = p->token.at[around].up;
	}
	int end = around >= 0 ? p->token.at[around].match : p->token.n - 1;
	if (i <= p->resumed) i = p->resumed + 1;
	while (i < end && (p->token.at[i].up != around || !begins(p, i, where))) i++;
	p->next = p->resumed = i < end ? i : end;
}

/* ---- errors, in the author's words ---- */

static bool has(const char *const *expected, int n, const char *what)
{
	for (int i = 0; i < n; i++)
		if (strcmp(expected[i], what) == 0) return true;
	return false;
}

static WordClass class_of_text(const char *s)
{
	for (int i = 0; i < N_WORDS; i++)
		if (strcmp(words[i].text, s) == 0) return words[i].class;
	return 0;
}

static const char *spelt(const Parser *p, const char *expected)
{
	if (expected[0] == '\'') return arena_printf(p->arena, "`%c`", expected[1]);
	if (strncmp(expected, "a ", 2) == 0 || strncmp(expected, "the ", 4) == 0) return expected;
	return arena_printf(p->arena, "`%s`", expected);
}

/* "`,` or `)`": without the operators that could go on with any value, and with all statements as one. */
static const char *alternatives(const Parser *p, const char *const *expected, int n)
{
	static const char *const operators[] = {"'+'", "'-'", "'*'", "'/'", "'^'", "'&'", "'|'",
						"'<'", "'>'", "<=",  ">=",  "==",  "!=",  "->",
						"..",  "'['", "'.'", "'('", "'!'"};
	bool after_value = has(expected, n, "'+'"), statements = false;
	VEC(const char *) left = {0};
	for (int i = 0; i < n; i++) {
		if (after_value && has(operators, sizeof operators / sizeof *operators, expected[i]))
			continue;
		WordClass class = class_of_text(expected[i]);
		if (class == ITEM || class == STATEMENT)
			statements = true;
		else if (strcmp(expected[i], "the end of the file") != 0)
			vec_push(p->arena, &left, spelt(p, expected[i]));
	}
	if (statements) vec_push(p->arena, &left, after_value ? "the next statement" : "a statement");
	if (left.n == 0) return after_value ? "an operator" : NULL;
	if (left.n > 4) return NULL;
	const char *text = left.at[0];
	for (int i = 1; i < left.n; i++)
		text = arena_printf(p->arena, "%s%s%s", text, i + 1 < left.n ? ", " : " or ", left.at[i]);
	return text;
}

/* The statement that token i belongs to, for its form. */
static int statement_of(const Parser *p, int i)
{
	for (int k = i; k-- > 0;) {
		WordClass class = class_of(p->token.at[k].kind);
		if (class == ITEM || class == STATEMENT) return word_index(p->token.at[k].kind);
	}
	return -1;
}

static void help_form(Parser *p, int i)
{
	int w = statement_of(p, i);
	if (w >= 0) diag_help(p->diag, "the form is: %s", words[w].form);
}

/* A name where a statement should begin, or anything else that cannot begin one. */
static void not_a_statement(Parser *p, int i, const char *const *expected, int n)
{
	const Token *t = &p->token.at[i], *next = &p->token.at[i + 1 < p->token.n ? i + 1 : i];
	Diag *d = p->diag;
	if (class_of(t->word) == ITEM && t->kind != NAME) {
		diag_error(d, t->span, "M0012", "%s stands at the top of a file, not in a block", said(p, t));
		if (t->up >= 0) diag_note(d, p->token.at[t->up].span, "the block begins here");
		return;
	}
	if (t->kind == NAME && next->kind == '=' && !next->inserted) {
		diag_error(d, t->span, "M0011", "%s is given a value, but not said to be anything",
			   said(p, t));
		diag_help(d, "write `let %s = ...`, or `shared`, `gate`, `tower`", t->text);
		return;
	}
	if (t->kind == ELSE) {
		diag_error(d, t->span, "M0012", "`else` without an `if { }` before it");
		return;
	}
	if (t->kind == NAME && t->first) {
		diag_error(d, t->span, "M0010", "%s begins no statement", said(p, t));
		return;
	}
	bool after_value = has(expected, n, "'+'");
	diag_error(d, t->span, "M0015",
		   after_value ? "expected an operator or the next statement, found %s"
			       : "expected a statement, found %s",
		   said(p, t));
}

/* What people bring along from other languages; true if something was said. */
static bool habit(Parser *p, const Token *t, const char *const *expected, int n)
{
	static const struct {
		const char *word, *ours;
	} habits[] = {{"and", "&"}, {"or", "|"}, {"not", "!"}, {"elif", "else if"}, {"elseif", "else if"}};
	if (t->kind == NAME)
		for (size_t k = 0; k < sizeof habits / sizeof *habits; k++)
			if (strcmp(t->text, habits[k].word) == 0) {
				diag_error(p->diag, t->span, "M0016", "`%s` is written `%s`", t->text,
					   habits[k].ours);
				return true;
			}
	if (t->kind == '=' && has(expected, n, "==")) {
		diag_error(p->diag, t->span, "M0016", "equality is written `==`");
		return true;
	}
	if ((t->kind == '<' || t->kind == '>' || t->kind == LE || t->kind == GE || t->kind == EQ ||
	     t->kind == NE) &&
	    has(expected, n, "'&'")) {
		diag_error(p->diag, t->span, "M0017", "comparisons do not chain");
		diag_help(p->diag, "write `a < b & b < c`");
		return true;
	}
	return false;
}

/* "did you mean `tower`?": the words that could stand here and are a slip away. */
static bool misspelt(Parser *p, const Token *t, const char *const *expected, int n)
{
	if (t->kind != NAME) return false;
	VEC(const char *) candidates = {0};
	for (int i = 0; i < n; i++)
		if (class_of_text(expected[i]) && strlen(expected[i]) > 1)
			vec_push(p->arena, &candidates, expected[i]);
	const char *near = str_nearest(t->text, candidates.at, candidates.n);
	if (!near || strcmp(near, t->text) == 0) return false;
	WordClass class = class_of_text(near);
	diag_error(p->diag, t->span, "M0010",
		   class == JOINT ? "`%s` is no word of the language" : "`%s` begins no statement", t->text);
	diag_help(p->diag, "did you mean `%s`?", near);
	return true;
}

void syntax_error(Parser *p, const char *const *expected, int n)
{
	int i = p->last;
	const Token *t = &p->token.at[i], *prev = i ? &p->token.at[i - 1] : NULL;
	if (t->inserted || t->spoiled || (prev && prev->inserted) || p->too_deep || too_many(p)) return;
	/* Inside brackets that the author left open, the place of the error has been shown. */
	for (int k = t->up; k >= 0; k = p->token.at[k].up)
		if (p->token.at[k].open && is_round(p->token.at[k].kind)) return;

	Diag *d = p->diag;
	bool statement = has(expected, n, "tower"), after_value = has(expected, n, "'+'");
	/* What is missing at a line's end is shown there, not at the beginning of the next line. */
	bool at_end = prev && (t->first || t->kind == END);
	Span at = at_end ? prev->span : t->span;
	const char *found = at_end ? "" : arena_printf(p->arena, ", found %s", said(p, t));
	const char *after = prev ? arena_printf(p->arena, " after %s", said(p, prev)) : "";

	if (habit(p, t, expected, n)) return;
	if (misspelt(p, t, expected, n)) return;
	if (statement) {
		not_a_statement(p, i, expected, n);
	} else if (has(expected, n, "a number")) {
		diag_error(d, at, "M0014", "expected a value%s%s", after, found);
	} else if (prev && prev->kind == ARROW) {
		diag_error(d, at, "M0014", "expected a layer after `->`%s", found);
		diag_help(d, "a pipe hands its value to a layer: `x -> dense(64) -> relu`");
	} else if (has(expected, n, "a name") && n <= 2 && (t->kind == PROB || t->kind == EXPECT)) {
		diag_error(d, t->span, "M0018", "%s is reserved and cannot be a name", said(p, t));
	} else if (has(expected, n, "a name") && n == 1) {
		diag_error(d, at, "M0013", "expected a name%s%s", after, found);
		help_form(p, i);
	} else if (has(expected, n, "a name") && has(expected, n, "'}'")) {
		diag_error(d, t->span, "M0015", "expected `name: ...` or `}`, found %s", said(p, t));
	} else {
		/* `:` and `=` are what a statement is about: the rest of the list only distracts. */
		const char *const one[] = {has(expected, n, "'='") ? "'='" : "':'"};
		bool clear = !after_value && has(expected, n, one[0]) && !has(expected, n, "')'");
		const char *what = clear ? alternatives(p, one, 1) : alternatives(p, expected, n);
		if (what)
			diag_error(d, at, "M0015", "expected %s%s%s", what, after, found);
		else
			diag_error(d, t->span, "M0015", "unexpected %s%s", said(p, t), after);
		if (!after_value) help_form(p, i);
	}
}

/* ---- files ---- */

typedef struct Reading Reading;
struct Reading {
	const Reading *by; /* the file that uses this one */
	const char *id;	   /* its absolute path, where it has one */
	Span used;	   /* where */
};

typedef struct {
	Arena *arena;
	StrTab *names;
	Sources *sources;
	Diag *diag;
	VEC(const char *) done; /* absolute paths of the files read */
} Files;

static Ast *parse_text(Files *f, const char *path, const char *text, uint32_t len, Comments *comments)
{
	int k = source_add(f->sources, path, text, len);
	Source source = f->sources->file.at[k];
	Parser p = {.arena = f->arena, .names = f->names, .diag = f->diag, .source = &source, .resumed = -1};
	p.errors_before = diag_errors(f->diag);
	const char *nul = memchr(text, '\0', len);
	if (nul) {
		uint32_t at = source.base + (uint32_t)(nul - text);
		diag_error(f->diag, (Span){at, at + 1}, "M0032",
			   "this is no text file: it holds a zero byte");
	} else {
		Lexer x = {f->arena, f->names, f->diag, source.base, 0,		 0,
			   NULL,     0,	       true,	comments,    MOST_ERRORS};
		lex(&p, &x, text, len);
		arrange(&p);
		mtlyyparse(&p);
	}
	if (!p.file) syntax_done(&p, ast_new(f->arena, AST_FILE, (Span){0}));
	return p.file;
}

static const char *absolute(Arena *a, const char *path)
{
	char *real = realpath(path, NULL);
	const char *id = real ? arena_strdup(a, real) : path;
	free(real);
	return id;
}

/* NULL with a message: the file cannot be read. */
static char *read_text(Files *f, const char *path, Span used, uint32_t *len)
{
	FILE *in = fopen(path, "rb");
	Text t = {0};
	static const char empty[] = "";
	text_addn(&t, empty, 0);
	if (in) {
		char block[1 << 14];
		size_t n;
		while (t.n <= LARGEST_FILE && (n = fread(block, 1, sizeof block, in)) > 0)
			text_addn(&t, block, n);
	}
	char *text = NULL;
	if (!in || ferror(in)) {
		diag_error(f->diag, used, "M0030", "cannot read `%s`: %s", path, strerror(errno));
	} else if (t.n > LARGEST_FILE) {
		diag_error(f->diag, used, "M0030", "`%s` is no model: it has more than %d bytes", path,
			   LARGEST_FILE);
	} else {
		text = arena_strndup(f->arena, t.at, t.n);
		*len = (uint32_t)t.n;
	}
	if (in) fclose(in);
	text_free(&t);
	return text;
}

static void follow_uses(Files *f, Ast *file, const char *path, const Reading *self);

/* A file that another one uses; its items, or NULL. */
static Ast *read_used(Files *f, const char *path, const Reading *self)
{
	for (const Reading *r = self->by; r; r = r->by) {
		if (strcmp(r->id, self->id) != 0) continue;
		if (r == self->by) {
			diag_error(f->diag, self->used, "M0031", "this file uses itself");
		} else {
			diag_error(f->diag, self->used, "M0031", "a circle: `%s` is being read already",
				   path);
			for (const Reading *s = self->by; s != r; s = s->by)
				diag_note(f->diag, s->used, "used from here");
		}
		return NULL;
	}
	for (int i = 0; i < f->done.n; i++)
		if (strcmp(f->done.at[i], self->id) == 0) return NULL;
	vec_push(f->arena, &f->done, self->id);
	uint32_t len;
	char *text = read_text(f, path, self->used, &len);
	if (!text) return NULL;
	Ast *file = parse_text(f, path, text, len, NULL);
	follow_uses(f, file, path, self);
	return file;
}

static void follow_uses(Files *f, Ast *file, const char *path, const Reading *self)
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0;
	for (int i = 0; i < file->list.n; i++) {
		Ast *use = file->list.at[i];
		if (use->kind != AST_USE) continue;
		if (!use->text[0]) {
			diag_error(f->diag, use->name_span, "M0030", "`use` names no file");
			continue;
		}
		const char *other = use->text[0] == '/'
					? use->text
					: arena_printf(f->arena, "%.*s%s", folder, path, use->text);
		Reading reading = {.by = self, .id = absolute(f->arena, other), .used = use->name_span};
		Ast *items = read_used(f, other, &reading);
		for (int k = 0; items && k < items->list.n; k++) ast_add(f->arena, use, items->list.at[k]);
	}
}

Ast *parse_file(Arena *a, StrTab *names, Sources *sources, Diag *d, const char *path, const char *text,
		Comments *comments)
{
	Files f = {.arena = a, .names = names, .sources = sources, .diag = d};
	path = arena_strdup(a, path);
	uint32_t len = 0;
	if (text) {
		size_t n = strlen(text);
		if (n > LARGEST_FILE) {
			diag_error(d, (Span){0}, "M0030", "`%s` is no model: it has more than %d bytes", path,
				   LARGEST_FILE);
			n = 0;
		}
		text = arena_strndup(a, text, n);
		len = (uint32_t)n;
	} else {
		text = read_text(&f, path, (Span){0}, &len);
		if (!text) return ast_new(a, AST_FILE, (Span){0});
	}
	Ast *file = parse_text(&f, path, text, len, comments);
	Reading self = {.id = absolute(a, path)};
	vec_push(a, &f.done, self.id);
	if (!comments) follow_uses(&f, file, path, &self);
	return file;
}

Ast *parse_prelude(Arena *a, StrTab *names, Sources *sources, Diag *d)
{
	Files f = {.arena = a, .names = names, .sources = sources, .diag = d};
	return parse_text(&f, "prelude.mtl", prelude_text, (uint32_t)strlen(prelude_text), NULL);
}
