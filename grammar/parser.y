/*
 * The grammar of the language: from tokens to the tree.
 *
 * No line ends in it: every statement begins with a word of the language or with P( ) or E( ), and none of these may
 * follow a whole expression otherwise, so a statement ends where the next begins.
 */
%require "3.7"
%expect 0
%define api.pure full
%define api.prefix {mtlyy}
%define api.value.type union
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%param { Parser *p }
%initial-action { @$ = (Span){ 0, 0 }; }

%code requires {
#include "syntax.h"
typedef struct {
	Str text;
	double value;
} Number;
}

%code {
#define ARENA syntax_arena(p)
#define NONE ((Ident){ 0 })

/* An empty part has no place and does not count. */
#define YYLLOC_DEFAULT(cur, rhs, n)                                                                          \
	do {                                                                                                 \
		(cur) = (Span){ 0, 0 };                                                                      \
		for (int i_ = 1; i_ <= (n); i_++)                                                            \
			(cur) = span_join((cur), YYRHSLOC(rhs, i_));                                         \
	} while (0)

int mtlyylex(MTLYYSTYPE *value, MTLYYLTYPE *span, Parser *p);
static void mtlyyerror(const Span *at, Parser *p, const char *text);

/* event, class and value differ in their kind only */
static Ast *outcome(Parser *p, AstKind kind, Span span, Ident name, Ast *of, Ast *label, Ast *size, Ast *names)
{
	Ast *t = ast_item(ARENA, kind, span, name, label, of, size, names);
	t->text = of ? of->name : NULL;
	return t;
}
}

%token MODEL "model" USE "use" CONST "const" FEATURES "features" PER "per" EMBED "embed" ROWS "rows"
%token EVENT "event" CLASS "class" VALUE "value" OF "of" LABEL "label" INDEPENDENT "independent" GIVEN "given"
%token LAYER "layer" TRAIN "train" SHARED "shared" EXPERTS "experts" GATE "gate" TOWER "tower" LET "let"
%token WEIGHTS "weights" RETURN "return" FOR "for" IN "in" SCAN "scan" ALONG "along" IF "if" ELSE "else" LOSS "loss" WEIGHT "weight"
%token OUTPUT "output" PROB "P" EXPECT "E"
%token ARROW "->" DOTS ".." LE "<=" GE ">=" EQ "==" NE "!="
%token <Str> NAME "a name" STRING "a text"
%token <Number> NUMBER "a number"
%token END 0 "the end of the file"

%type <Ident> name estimate
%type <AstKind> role
%type <Ast *> items item statement block body otherwise
%type <Ast *> features feature fields settings setting params param_list param outputs output
%type <Ast *> states state of label size names given indices index weight
%type <Ast *> expr primary prob layer_use args arg_list arg exprs

/* loosest first */
%precedence "->"
%nonassoc ".."
%left '|'
%left '&'
%nonassoc '<' "<=" '>' ">=" "==" "!="
%left '+' '-'
%left '*' '/'
%precedence SIGN
%right '^'

%%

/* ---- a file ---- */

file: items             { syntax_done(p, $1); }

items: %empty           { $$ = ast_new(ARENA, AST_FILE, @$); }
     | items item       { $$ = ast_add(ARENA, $1, $2); }
     | items error      { $$ = $1; yyclearin; yyerrok; syntax_resume(p, RESUME_FILE); }

item: "model" name      { $$ = ast_item(ARENA, AST_MODEL, @$, $2, NULL, NULL, NULL, NULL); }
    | "use" STRING      { $$ = ast_text(ARENA, AST_USE, @$, $2); $$->name_span = @2; }
    | "const" name '=' expr
                        { $$ = ast_item(ARENA, AST_CONST, @$, $2, $4, NULL, NULL, NULL); }
    | "features" name "per" name '{' features '}'
                        { $$ = syntax_group(p, @$, $2, $4, $6); }
    | "features" name '{' features '}'
                        { $$ = syntax_group(p, @$, $2, NONE, $4); }
    | "embed" expr      { $$ = ast_expr(ARENA, AST_EMBED, @$, $2, NULL); }
    | "rows" '{' settings '}'
                        { $$ = ast_item(ARENA, AST_ROWS, @$, NONE, NULL, NULL, NULL, $3); }
    | "train" '{' settings '}'
                        { $$ = ast_item(ARENA, AST_TRAIN, @$, NONE, NULL, NULL, NULL, $3); }
    | "event" name of label
                        { $$ = outcome(p, AST_EVENT, @$, $2, $3, $4, NULL, NULL); }
    | "class" name size of label
                        { $$ = outcome(p, AST_CLASS, @$, $2, $4, $5, $3, NULL); }
    | "class" name '{' names '}' of label
                        { $$ = outcome(p, AST_CLASS, @$, $2, $6, $7, NULL, $4); }
    | "value" name of label
                        { $$ = outcome(p, AST_VALUE, @$, $2, $3, $4, NULL, NULL); }
    | "independent" names given
                        { $$ = ast_item(ARENA, AST_INDEPENDENT, @$, NONE, $3, NULL, NULL, $2); }
    | "layer" name '(' params ')' block
                        { $$ = ast_item(ARENA, AST_LAYER, @$, $2, NULL, $6, NULL, $4); }
    | statement

of: %empty              { $$ = NULL; }
  | "of" name           { $$ = ast_name(ARENA, $2); }

label: %empty           { $$ = NULL; }
     | "label" expr     { $$ = $2; }

size: '[' expr ']'      { $$ = $2; }

given: %empty           { $$ = NULL; }
     | "given" name     { $$ = ast_name(ARENA, $2); }

names: name             { $$ = ast_add(ARENA, ast_new(ARENA, AST_BLOCK, @$), ast_name(ARENA, $1)); }
     | names ',' name   { $$ = ast_add(ARENA, $1, ast_name(ARENA, $3)); }

name: NAME              { $$ = (Ident){ $1, @1 }; }

/* ---- what stands in braces: features, and settings `name: value` ---- */

features: %empty        { $$ = ast_new(ARENA, AST_BLOCK, @$); }
        | features feature      { $$ = ast_add(ARENA, $1, $2); }
        | features feature ','  { $$ = ast_add(ARENA, $1, $2); }
        | features error        { $$ = $1; yyclearin; yyerrok; syntax_resume(p, RESUME_DATA); }

feature: name ':' name fields
                        { $$ = ast_item(ARENA, AST_FEATURE, @$, $1, NULL, ast_name(ARENA, $3), $4, NULL); $$->text = $3.text; }
       | name ':' name '(' args ')' fields
                        { $$ = ast_item(ARENA, AST_FEATURE, @$, $1, NULL, ast_name(ARENA, $3), $7, $5); $$->text = $3.text; }

fields: %empty          { $$ = NULL; }
      | '{' features '}'        { $$ = $2; $$->span = @$; }

settings: %empty        { $$ = ast_new(ARENA, AST_BLOCK, @$); }
        | settings setting      { $$ = ast_add(ARENA, $1, $2); }
        | settings setting ','  { $$ = ast_add(ARENA, $1, $2); }
        | settings error        { $$ = $1; yyclearin; yyerrok; syntax_resume(p, RESUME_DATA); }

setting: name ':' expr  { $$ = ast_arg(ARENA, @$, $1, $3); }

/* ---- statements ---- */

block: '{' body '}'     { $$ = $2; $$->span = @$; }

body: %empty            { $$ = ast_new(ARENA, AST_BLOCK, @$); }
    | body statement    { $$ = ast_add(ARENA, $1, $2); }
    | body error        { $$ = $1; yyclearin; yyerrok; syntax_resume(p, RESUME_BLOCK); }

statement: role names indices '=' expr
                        { $$ = syntax_named(p, $1, @$, $2, $3, $5); }
         | "weights" name '[' exprs ']' '=' expr
                        { $$ = ast_item(ARENA, AST_WEIGHTS, @$, $2, $7, NULL, NULL, $4); }
         | "return" exprs
                        { $$ = ast_item(ARENA, AST_RETURN, @$, NONE, NULL, NULL, NULL, $2); }
         | "for" name "in" expr block
                        { $$ = ast_item(ARENA, AST_FOR, @$, $2, $4, $5, NULL, NULL); }
         | "scan" states "along" expr block
                        { $$ = ast_item(ARENA, AST_SCAN, @$, NONE, $4, $5, NULL, $2); }
         | "if" expr block otherwise
                        { $$ = ast_item(ARENA, AST_IF, @$, NONE, $2, $3, $4, NULL); }
         | "loss" name index ':' expr weight
                        { $$ = ast_item(ARENA, AST_LOSS, @$, $2, $5, $3, $6, NULL); }
         | "output" outputs
                        { $$ = ast_item(ARENA, AST_OUTPUT, @$, NONE, NULL, NULL, NULL, $2); }
         | prob '=' expr
                        { $$ = ast_expr(ARENA, AST_HEAD, @$, $1, $3); }

role: "shared"          { $$ = AST_SHARED; }
    | "experts"         { $$ = AST_EXPERTS; }
    | "gate"            { $$ = AST_GATE; }
    | "tower"           { $$ = AST_TOWER; }
    | "let"             { $$ = AST_LET; }

states: state           { $$ = ast_add(ARENA, ast_new(ARENA, AST_BLOCK, @$), $1); }
      | states ',' state        { $$ = ast_add(ARENA, $1, $3); }

state: name '[' expr ']'        { $$ = ast_arg(ARENA, @$, $1, $3); }

indices: %empty         { $$ = ast_new(ARENA, AST_BLOCK, @$); }
       | indices '[' expr ']'   { $$ = ast_add(ARENA, $1, $3); }

index: %empty           { $$ = NULL; }
     | '[' expr ']'     { $$ = $2; }

otherwise: %empty       { $$ = NULL; }
         | "else" block { $$ = $2; }
         | "else" "if" expr block otherwise
                        { $$ = ast_item(ARENA, AST_IF, @$, NONE, $3, $4, $5, NULL); $$->span.lo = @2.lo; }

weight: %empty          { $$ = NULL; }
      | "weight" expr   { $$ = $2; }

outputs: output         { $$ = ast_add(ARENA, ast_new(ARENA, AST_BLOCK, @$), $1); }
       | outputs ',' output     { $$ = ast_add(ARENA, $1, $3); }

output: expr            { $$ = ast_arg(ARENA, @$, NONE, $1); }
      | name '=' expr   { $$ = ast_arg(ARENA, @$, $1, $3); }

params: %empty          { $$ = NULL; }
      | param_list
      | param_list ','

param_list: param       { $$ = ast_add(ARENA, ast_new(ARENA, AST_BLOCK, @$), $1); }
          | param_list ',' param        { $$ = ast_add(ARENA, $1, $3); }

param: name             { $$ = ast_item(ARENA, AST_PARAM, @$, $1, NULL, NULL, NULL, NULL); }
     | name ':' expr    { $$ = ast_item(ARENA, AST_PARAM, @$, $1, $3, NULL, NULL, NULL); }

/* ---- expressions ---- */

expr: primary
    | expr "->" layer_use       { $$ = syntax_operator(p, AST_PIPE, @$, $1, $3); }
    | expr ".." expr    { $$ = syntax_range(p, @$, $1, $3); }
    | expr '|' expr     { $$ = syntax_operator(p, AST_OR, @$, $1, $3); }
    | expr '&' expr     { $$ = syntax_operator(p, AST_AND, @$, $1, $3); }
    | expr '<' expr     { $$ = syntax_operator(p, AST_LT, @$, $1, $3); }
    | expr "<=" expr    { $$ = syntax_operator(p, AST_LE, @$, $1, $3); }
    | expr '>' expr     { $$ = syntax_operator(p, AST_GT, @$, $1, $3); }
    | expr ">=" expr    { $$ = syntax_operator(p, AST_GE, @$, $1, $3); }
    | expr "==" expr    { $$ = syntax_operator(p, AST_EQ, @$, $1, $3); }
    | expr "!=" expr    { $$ = syntax_operator(p, AST_NE, @$, $1, $3); }
    | expr '+' expr     { $$ = syntax_operator(p, AST_ADD, @$, $1, $3); }
    | expr '-' expr     { $$ = syntax_operator(p, AST_SUB, @$, $1, $3); }
    | expr '*' expr     { $$ = syntax_operator(p, AST_MUL, @$, $1, $3); }
    | expr '/' expr     { $$ = syntax_operator(p, AST_DIV, @$, $1, $3); }
    | expr '^' expr     { $$ = syntax_operator(p, AST_POW, @$, $1, $3); }
    | '-' expr %prec SIGN       { $$ = syntax_operator(p, AST_NEG, @$, $2, NULL); }
    | '!' expr %prec SIGN       { $$ = syntax_operator(p, AST_NOT, @$, $2, NULL); }

/* A layer that is only named gets the value and nothing else. */
layer_use: name         { $$ = ast_name(ARENA, $1); }
         | name '(' args ')'    { $$ = ast_item(ARENA, AST_CALL, @$, $1, NULL, NULL, NULL, $3); }

primary: NUMBER         { $$ = ast_number(ARENA, @$, $1.text, $1.value); }
       | STRING         { $$ = ast_text(ARENA, AST_STRING, @$, $1); }
       | NAME           { $$ = ast_name(ARENA, (Ident){ $1, @1 }); }
       | NAME '(' args ')'      { $$ = ast_item(ARENA, AST_CALL, @$, (Ident){ $1, @1 }, NULL, NULL, NULL, $3); }
       | '[' ']'        { $$ = ast_new(ARENA, AST_LIST, @$); }
       | '[' exprs ']'  { $$ = ast_item(ARENA, AST_LIST, @$, NONE, NULL, NULL, NULL, $2); }
       | '[' exprs ',' ']'      { $$ = ast_item(ARENA, AST_LIST, @$, NONE, NULL, NULL, NULL, $2); }
       | '{' settings '}'       { $$ = ast_item(ARENA, AST_KEYED, @$, NONE, NULL, NULL, NULL, $2); }
       | '(' expr ')'   { $$ = $2; $$->parens = true; }
       | primary '[' expr ']'   { $$ = syntax_operator(p, AST_INDEX, @$, $1, $3); }
       | primary '.' NAME       { $$ = syntax_operator(p, AST_FIELD, @$, $1, NULL); $$->name = $3; $$->name_span = @3; }
       | prob

prob: "P" estimate '(' expr ')'
                        { $$ = syntax_prob(p, AST_PROB, @$, $2, $4); }
    | "E" estimate '(' expr ')'
                        { $$ = syntax_prob(p, AST_EXPECT, @$, $2, $4); }

estimate: %empty        { $$ = NONE; }
        | '[' name ']'  { $$ = $2; }

args: %empty            { $$ = NULL; }
    | arg_list
    | arg_list ','

arg_list: arg           { $$ = ast_add(ARENA, ast_new(ARENA, AST_BLOCK, @$), $1); }
        | arg_list ',' arg      { $$ = ast_add(ARENA, $1, $3); }

arg: expr               { $$ = ast_arg(ARENA, @$, NONE, $1); }
   | name ':' expr      { $$ = ast_arg(ARENA, @$, $1, $3); }

exprs: expr             { $$ = ast_add(ARENA, ast_new(ARENA, AST_BLOCK, @$), $1); }
     | exprs ',' expr   { $$ = ast_add(ARENA, $1, $3); }

%%

/* The parser only says what it would have taken; front/parse.c finds the words. */
static int yyreport_syntax_error(const yypcontext_t *context, Parser *p)
{
	yysymbol_kind_t kind[YYNTOKENS];
	const char *expected[YYNTOKENS];
	int n = yypcontext_expected_tokens(context, kind, YYNTOKENS);
	if (n < 0) return n; /* no memory */
	for (int i = 0; i < n; i++)
		expected[i] = yysymbol_name(kind[i]);
	syntax_error(p, expected, n);
	return 0;
}

/* Only called when the stack is exhausted. */
static void mtlyyerror(const Span *at, Parser *p, const char *text)
{
	(void)at;
	(void)text;
	syntax_too_deep(p);
}
