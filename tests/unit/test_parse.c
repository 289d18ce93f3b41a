/* From text to tree: what is read, what is told when it cannot be, and how reading goes on. */
#include "front/parse.h"
#include "suite.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static Arena *arena;
static Sources sources;
static StrTab *names;
static Diag *diag;

static void fresh(void)
{
	arena_destroy(arena);
	arena = arena_create();
	sources = (Sources){.arena = arena};
	names = str_create(arena);
	diag = diag_create(arena, &sources);
}

static Ast *parse(const char *text)
{
	fresh();
	return parse_file(arena, names, &sources, diag, "t.mtl", text, NULL);
}

static char *messages(void)
{
	Text out = {0};
	text_add(&out, "");
	diag_print(diag, &out, false);
	char *s = arena_strdup(arena, out.at);
	text_free(&out);
	return s;
}

static Ast *good(const char *text)
{
	Ast *file = parse(text);
	if (diag_errors(diag)) printf("\n%s", messages());
	CU_ASSERT_EQUAL(diag_errors(diag), 0);
	return file;
}

static void says(const char *text, const char *expected)
{
	parse(text);
	const char *got = messages();
	if (strcmp(got, expected) != 0) printf("\n--- expected\n%s--- got\n%s", expected, got);
	CU_ASSERT_STRING_EQUAL(got, expected);
}

static void dumps(const char *text, const char *expected)
{
	Text out = {0};
	ast_dump(good(text), &out);
	if (strcmp(out.at, expected) != 0) printf("\n--- expected\n%s--- got\n%s", expected, out.at);
	CU_ASSERT_STRING_EQUAL(out.at, expected);
	text_free(&out);
}

/* ---- the tree ---- */

static void test_declarations(void)
{
	dumps(
	    "model m const n = 6_4 embed n\nrows { weight: w  group: g }\nevent buy of click label pay | !b\n"
	    "class c[7] label l class d { u, v } of c value v of d independent a, b given c train { batch: "
	    "2, lr: 1e-3 }",
	    "file\n  model m\n  const n\n    number 6_4\n  embed\n    name n\n"
	    "  rows\n    arg weight\n      name w\n    arg group\n      name g\n"
	    "  event buy click\n    label: or\n      name pay\n      not\n        name b\n    of: name "
	    "click\n"
	    "  class c\n    label: name l\n    size: number 7\n"
	    "  class d c\n    of: name c\n    name u\n    name v\n"
	    "  value v d\n    of: name d\n"
	    "  independent\n    given: name c\n    name a\n    name b\n"
	    "  train\n    arg batch\n      number 2\n    arg lr\n      number 1e-3\n");
}

static void test_features(void)
{
	dumps("features user per request {\n  id : id(hash: 200_000, train_only)  age : real, x : seq(max: "
	      "3) { y : id }\n}"
	      "features other { }",
	      "file\n"
	      "  features user request\n"
	      "    per: name request\n"
	      "    feature id id\n"
	      "      kind: name id\n"
	      "      arg hash\n"
	      "        number 200_000\n"
	      "      arg\n"
	      "        name train_only\n"
	      "    feature age real\n"
	      "      kind: name real\n"
	      "    feature x seq\n"
	      "      kind: name seq\n"
	      "      fields: block\n"
	      "        feature y id\n"
	      "          kind: name id\n"
	      "      arg max\n"
	      "        number 3\n"
	      "  features other\n");
}

static void test_statements(void)
{
	dumps(
	    "for t in [a, b] { tower h[t] = x -> dense(1)  P(t) = h[t] loss t: bce(P(t)) weight 2 }\n"
	    "experts own[t][2] = x  let a, b = f(x)\nif n > 1 { } else if k { } else { output x, y = 3 }",
	    "file\n"
	    "  for t\n    in: list\n      name a\n      name b\n    block\n"
	    "      tower h\n        pipe\n          name x\n          call dense\n            arg\n          "
	    "    number 1\n"
	    "        index: name t\n"
	    "      head\n        prob\n          name t\n        index\n          name h\n          name t\n"
	    "      loss t\n        call bce\n          arg\n            prob\n              name t\n        "
	    "weight: number 2\n"
	    "  experts own\n    name x\n    name t\n    number 2\n"
	    "  let\n    call f\n      arg\n        name x\n    name a\n    name b\n"
	    "  if\n    gt\n      name n\n      number 1\n    block\n"
	    "    else: if\n      name k\n      block\n      else: block\n"
	    "        output\n          arg\n            name x\n          arg y\n            number 3\n");
}

static void test_layer(void)
{
	dumps("layer f(x, act: relu) { weights a[width(x), 3] = normal(0) for i in 0..n { } return a, x }",
	      "file\n  layer f\n    param x\n    param act\n      default: name relu\n    block\n"
	      "      weights a\n        init: call normal\n          arg\n            number 0\n"
	      "        call width\n          arg\n            name x\n        number 3\n"
	      "      for i\n        in: call range ..\n          arg\n            number 0\n          arg\n  "
	      "          name n\n"
	      "        block\n"
	      "      return\n        name a\n        name x\n");
}

/* An expression with all its structure shown. */
static void shape(const Ast *e, Text *out)
{
	switch (e->kind) {
	case AST_NAME: text_add(out, e->name); return;
	case AST_NUMBER: text_add(out, e->text); return;
	case AST_ARG: shape(e->a, out); return;
	default: text_printf(out, "(%s", ast_kind_name(e->kind));
	}
	const Ast *child[] = {e->a, e->b};
	for (int i = 0; i < 2; i++)
		if (child[i]) {
			text_char(out, ' ');
			shape(child[i], out);
		}
	for (int i = 0; i < e->list.n; i++) {
		text_char(out, ' ');
		shape(e->list.at[i], out);
	}
	text_char(out, ')');
}

static void test_precedence(void)
{
	static const char *const cases[][2] = {
	    {"a + b * c", "(add a (mul b c))"},
	    {"a - b - c", "(sub (sub a b) c)"},
	    {"a / b * c", "(mul (div a b) c)"},
	    {"a ^ b ^ c", "(pow a (pow b c))"},
	    {"-a ^ 2", "(neg (pow a 2))"},
	    {"2 ^ -a * b", "(mul (pow 2 (neg a)) b)"},
	    {"-a * b", "(mul (neg a) b)"},
	    {"a * -b", "(mul a (neg b))"},
	    {"a - -b", "(sub a (neg b))"},
	    {"a | b & !c", "(or a (and b (not c)))"},
	    {"a < b & c + 1 >= d", "(and (lt a b) (ge (add c 1) d))"},
	    {"a == 1 | a != 2", "(or (eq a 1) (ne a 2))"},
	    {"x -> f -> g(1)", "(pipe (pipe x f) (call 1))"},
	    {"(a + b) -> f", "(pipe (add a b) f)"},
	    {"a * (x -> f)", "(mul a (pipe x f))"},
	    {"a[t][0].b[1]", "(index (field (index (index a t) 0)) 1)"},
	    {"(a + b)[0]", "(index (add a b) 0)"},
	    {"1..n + 1", "(call 1 (add n 1))"},
	    {"f(x, k: 1 + 2,)", "(call x (add 1 2))"},
	    {"P(a | b & !c)", "(prob a (and b (not c)))"},
	    {"P((a | b) | c)", "(prob (or a b) c)"},
	    {"P((a | b))", "(prob (or a b))"},
	    {"P(a = b | c)", "(prob (eq a b) c)"},
	    {"P[d](a) * E(v | c)", "(mul (prob a) (expect v c))"},
	    {"P((a = b | c) | d)", "(prob (or (eq a b) c) d)"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[100];
		snprintf(text, sizeof text, "let x = %s", cases[i][0]);
		Ast *file = good(text);
		CU_ASSERT_EQUAL_FATAL(file->list.n, 1);
		Text out = {0}, again = {0};
		shape(file->list.at[0]->a, &out);
		if (strcmp(out.at, cases[i][1]) != 0) printf("\n%s: %s\n", cases[i][0], out.at);
		CU_ASSERT_STRING_EQUAL(out.at, cases[i][1]);

		/* written back, it is the same expression */
		text_free(&again);
		text_add(&again, "let x = ");
		ast_expr_text(file->list.at[0]->a, &again);
		char *written = strdup(again.at);
		file = good(written);
		free(written);
		text_free(&again);
		shape(file->list.at[0]->a, &again);
		CU_ASSERT_STRING_EQUAL(again.at, out.at);
		text_free(&again);
		text_free(&out);
	}
}

static void test_texts(void)
{
	Ast *file = good("const s = \"a \\\"b\\\" \\\\ \\n\\t # no comment\" # a comment\nconst n = "
			 "1_000.5e-1 const z = 0");
	CU_ASSERT_STRING_EQUAL(file->list.at[0]->a->text, "a \"b\" \\ \n\t # no comment");
	CU_ASSERT_DOUBLE_EQUAL(file->list.at[1]->a->number, 100.05, 1e-12);
	CU_ASSERT_STRING_EQUAL(file->list.at[1]->a->text, "1_000.5e-1");
	CU_ASSERT_EQUAL(file->list.at[2]->a->number, 0);
	Text out = {0};
	ast_expr_text(file->list.at[0]->a, &out);
	CU_ASSERT_STRING_EQUAL(out.at, "\"a \\\"b\\\" \\\\ \\n\\t # no comment\"");
	text_free(&out);
}

/* Every word of the language but P and E as a column, an argument, a field, a label and a value. */
static void test_words_as_names(void)
{
	static const char *const word[] = {"model",	  "use",   "const", "features", "per",	   "embed",
					   "rows",	  "event", "class", "value",	"of",	   "label",
					   "layer",	  "train", "given", "shared",	"experts", "gate",
					   "independent", "tower", "let",   "for",	"in",	   "weights",
					   "return",	  "if",	   "else",  "loss",	"weight",  "output"};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++) {
		const char *w = word[i];
		char text[800];
		snprintf(text, sizeof text,
			 "features g per request {\n %s : id(%s: 1, %s)\n x : id\n\n %s : id %s : id\n}\n"
			 "event e label %s\nevent f of e label x | %s\n"
			 "tower a = f(%s, %s: %s).%s[%s] + %s\nlet b = a -> %s(3)\nfor t in [%s] {\n  let c "
			 "= %s * 2\n}\n"
			 "rows { %s: %s  group: %s }\ntrain {\n %s: %s(lr: 1)\n %s: 3\n}\n",
			 w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w);
		Ast *file = good(text);
		CU_ASSERT_EQUAL(file->list.n, 8);
	}
}

/* The place of a name is where the name stands, of a construct all of it. */
static void test_places(void)
{
	const char *text = "model m\n\nevent buy of click label pay # c\nlet a = f(x, n: 3)";
	Ast *file = good(text);
	uint32_t base = sources.file.at[0].base;
	const Ast *e = file->list.at[1];
	CU_ASSERT_NSTRING_EQUAL(text + (e->span.lo - base), "event buy of click label pay",
				e->span.hi - e->span.lo);
	CU_ASSERT_EQUAL(e->span.hi - e->span.lo, 28);
	CU_ASSERT_NSTRING_EQUAL(text + (e->name_span.lo - base), "buy", 3);
	CU_ASSERT_NSTRING_EQUAL(text + (e->b->span.lo - base), "click", 5);
	const Ast *arg = file->list.at[2]->a->list.at[1];
	CU_ASSERT_NSTRING_EQUAL(text + (arg->span.lo - base), "n: 3", 4);
	CU_ASSERT_EQUAL(arg->span.hi - arg->span.lo, 4);
}

/* ---- messages ---- */

static void test_several_errors(void)
{
	says("event of click\ntowre a = x\ntower b =\ntower c = x -> dense(1\nloss l: bce(P(c)) wieght 2\n",
	     "t.mtl:1:7: error[M0013]: expected a name after `event`, found `of`\n"
	     "    1 | event of click\n"
	     "      |       ^~\n"
	     "      = help: the form is: event NAME [of PARENT] [label COLUMN]\n"
	     "t.mtl:2:1: error[M0010]: `towre` begins no statement\n"
	     "    2 | towre a = x\n"
	     "      | ^~~~~\n"
	     "      = help: did you mean `tower`?\n"
	     "t.mtl:3:9: error[M0014]: expected a value after `=`\n"
	     "    3 | tower b =\n"
	     "      |         ^\n"
	     "t.mtl:5:1: error[M0006]: expected `)` before `loss`\n"
	     "    5 | loss l: bce(P(c)) wieght 2\n"
	     "      | ^~~~\n"
	     "t.mtl:4:21: note: this `(` is still open\n"
	     "    4 | tower c = x -> dense(1\n"
	     "      |                     ^\n"
	     "t.mtl:5:19: error[M0010]: `wieght` is no word of the language\n"
	     "    5 | loss l: bce(P(c)) wieght 2\n"
	     "      |                   ^~~~~~\n"
	     "      = help: did you mean `weight`?\n");
}

static void test_open_braces(void)
{
	says("features u per request {\n  a : id(vocab: [\"x\", \"y\")\nfeatures v per candidate { b : id "
	     "}\nfor t in [a] {\n"
	     "  let x = t\n",
	     "t.mtl:2:26: error[M0006]: expected `]` before `)`\n"
	     "    2 |   a : id(vocab: [\"x\", \"y\")\n"
	     "      |                          ^\n"
	     "t.mtl:2:17: note: this `[` is still open\n"
	     "    2 |   a : id(vocab: [\"x\", \"y\")\n"
	     "      |                 ^\n"
	     "t.mtl:3:1: error[M0006]: expected `}` before `features`\n"
	     "    3 | features v per candidate { b : id }\n"
	     "      | ^~~~~~~~\n"
	     "t.mtl:1:24: note: this `{` is still open\n"
	     "    1 | features u per request {\n"
	     "      |                        ^\n"
	     "t.mtl:4:14: error[M0006]: this `{` is never closed\n"
	     "    4 | for t in [a] {\n"
	     "      |              ^\n"
	     "      = help: add the missing `}`\n");
}

static void test_no_cascade(void)
{
	/* one slip, one message */
	static const char *const slips[] = {
	    "let r = ]",
	    "features u per reqest { a : id  b : id }",
	    "features u per request { a id(hash: 3)  b : id(hash: 3) }",
	    "train { optimizer = adam(lr: 1e-3)  batch: 3 }",
	    "tower a = mlp(x [200, 80], act: relu)",
	    "for t [a, b] { tower h[t] = x  loss t: bce(P(t)) }",
	    "tower a = x -> -> dense(1)\ntower b = a",
	    "layer f(x, n = 3) { let y = x return y }",
	    "P(a | b = sigmoid(x)\ntower c = a",
	    "const s = 'text'\nconst r = s",
	    "let a = \"open\nlet b = a",
	};
	for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
		parse(slips[i]);
		if (diag_errors(diag) != 1) printf("\n%s\n%s", slips[i], messages());
		CU_ASSERT_EQUAL(diag_errors(diag), 1);
	}
}

/* What stands behind an error is read. */
static void test_recovery(void)
{
	Ast *file = parse(
	    "event = 3\nevent a\nfor t in [a] {\n  tower = 1\n  let x = t\n  loss q bce\n  let y = x\n}\n"
	    "features g per request { a : id  b c  d : id(hash 3)  e : id }\ntrain { a: 1  b 2  c: 3 "
	    "}\nevent z");
	CU_ASSERT_EQUAL(diag_errors(diag), 6);
	CU_ASSERT_EQUAL_FATAL(file->list.n, 5);
	CU_ASSERT_STRING_EQUAL(file->list.at[0]->name, "a");
	CU_ASSERT_EQUAL(file->list.at[1]->b->list.n, 2); /* let x, let y */
	CU_ASSERT_EQUAL(file->list.at[2]->list.n, 2);	 /* a, e */
	CU_ASSERT_EQUAL(file->list.at[3]->list.n, 2);	 /* a, c */
	CU_ASSERT_STRING_EQUAL(file->list.at[4]->name, "z");
}

/* A text without end or reason: an error, no crash, no endless list. */
static void test_too_much(void)
{
	enum { N = 100000 };
	static char text[8 * N + 100];
	static const char *const part[] = {
	    "(", "-", "a + ", "a ^ ", "a -> ", "[", "{a: ", "f(", "!", "a.b + ", ". ", "$", "} ", "let "};
	for (size_t k = 0; k < sizeof part / sizeof *part; k++) {
		strcpy(text, "let x = ");
		size_t n = strlen(text), l = strlen(part[k]);
		for (int i = 0; i < N; i++, n += l) memcpy(text + n, part[k], l);
		strcpy(text + n, "a");
		Ast *file = parse(text);
		CU_ASSERT(diag_errors(diag) >= 1);
		CU_ASSERT(diag_errors(diag) <= 60);
		Text out = {0};
		ast_dump(file, &out);
		text_free(&out);
	}
	strcpy(text, "if a { }");
	for (int i = 0; i < 20000; i++) strcpy(text + 8 + 14 * i, " else if b { }");
	parse(text);
	CU_ASSERT_EQUAL(diag_errors(diag), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages(), "M0008"));

	/* what people may write is not too much */
	strcpy(text, "let x = a");
	for (int i = 0; i < 900; i++) strcat(text, " + a");
	good(text);
}

/* ---- files ---- */

static char folder[] = "/tmp/test_parse_XXXXXX";

static const char *put(const char *name, const char *text, size_t n)
{
	const char *path = arena_printf(arena, "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(text, 1, n, f);
	fclose(f);
	return path;
}

static const char *put_text(const char *name, const char *text) { return put(name, text, strlen(text)); }

static Ast *parse_path(const char *path)
{
	return parse_file(arena, names, &sources, diag, path, NULL, NULL);
}

static void test_use(void)
{
	fresh();
	mkdir(arena_printf(arena, "%s/sub", folder), 0700);
	put_text("sub/common.mtl", "const c = 1\nuse \"../more.mtl\"\n");
	put_text("more.mtl", "event more\n");
	Ast *file = parse_path(put_text("main.mtl", "use \"sub/common.mtl\"\nuse \"more.mtl\"\nevent main"));
	CU_ASSERT_EQUAL(diag_errors(diag), 0);
	CU_ASSERT_EQUAL_FATAL(file->list.n, 3);
	const Ast *use = file->list.at[0];
	CU_ASSERT_EQUAL_FATAL(use->list.n, 2);
	CU_ASSERT_STRING_EQUAL(use->list.at[0]->name, "c");
	CU_ASSERT_EQUAL_FATAL(use->list.at[1]->list.n, 1);
	CU_ASSERT_STRING_EQUAL(use->list.at[1]->list.at[0]->name, "more");
	CU_ASSERT_EQUAL(file->list.at[1]->list.n, 0); /* read before */

	/* a place in a used file is a place in that file */
	Place place = source_place(&sources, use->list.at[1]->list.at[0]->name_span.lo);
	CU_ASSERT_PTR_NOT_NULL_FATAL(place.file);
	CU_ASSERT_PTR_NOT_NULL(strstr(place.file->path, "/sub/../more.mtl"));
	CU_ASSERT_EQUAL(place.line, 1);
	CU_ASSERT_EQUAL(place.column, 7);
}

static void test_use_errors(void)
{
	fresh();
	const char *path =
	    put_text("a.mtl", "use \"b.mtl\"\nuse \"missing.mtl\"\nuse \"\"\nuse \".\"\nevent e");
	put_text("b.mtl", "use \"a.mtl\"\nuse \"b.mtl\"\n");
	Ast *file = parse_path(path);
	CU_ASSERT_EQUAL(diag_errors(diag), 5);
	CU_ASSERT_EQUAL(file->list.n, 5);
	const char *m = messages();
	CU_ASSERT_PTR_NOT_NULL(strstr(m, "a.mtl:2:5: error[M0030]: cannot read"));
	CU_ASSERT_PTR_NOT_NULL(strstr(m, "missing.mtl`: No such file"));
	CU_ASSERT_PTR_NOT_NULL(strstr(m, "a.mtl:3:5: error[M0030]: `use` names no file"));
	CU_ASSERT_PTR_NOT_NULL(strstr(m, "a.mtl:4:5: error[M0030]: cannot read"));
	CU_ASSERT_PTR_NOT_NULL(strstr(m, "b.mtl:1:5: error[M0031]: a circle"));
	CU_ASSERT_PTR_NOT_NULL(strstr(m, "a.mtl:1:5: note: used from here"));
	CU_ASSERT_PTR_NOT_NULL(strstr(m, "b.mtl:2:5: error[M0031]: this file uses itself"));

	fresh();
	file = parse_path(arena_printf(arena, "%s/none.mtl", folder));
	CU_ASSERT_EQUAL(file->kind, AST_FILE);
	CU_ASSERT_EQUAL(diag_errors(diag), 1);

	fresh();
	parse_path(put("zero.mtl", "event a\0b", 9));
	CU_ASSERT_EQUAL(diag_errors(diag), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(messages(), "zero.mtl:1:8: error[M0032]"));
}

static void test_windows(void)
{
	Ast *file = good("\xef\xbb\xbfmodel m\r\nevent e # c\r\nevent f\r\n");
	CU_ASSERT_EQUAL(file->list.n, 3);
	CU_ASSERT_EQUAL(good("")->list.n, 0);
	CU_ASSERT_EQUAL(good("# only a comment")->list.n, 0);
}

static void test_comments(void)
{
	fresh();
	Comments c = {0};
	parse_file(arena, names, &sources, diag, "t.mtl",
		   "# one\nuse \"none.mtl\" # two  \r\n\n  # three\nconst s = \"# no\"", &c);
	CU_ASSERT_EQUAL(diag_errors(diag), 0); /* no file is followed */
	CU_ASSERT_EQUAL_FATAL(c.n, 3);
	CU_ASSERT_STRING_EQUAL(c.at[0].text, "# one");
	CU_ASSERT_STRING_EQUAL(c.at[1].text, "# two");
	CU_ASSERT(c.at[0].own_line && !c.at[1].own_line && c.at[2].own_line);
	CU_ASSERT_EQUAL(source_place(&sources, c.at[2].span.lo).line, 4);
	CU_ASSERT_EQUAL(source_place(&sources, c.at[2].span.lo).column, 3);
}

static void test_prelude(void)
{
	fresh();
	Ast *file = parse_prelude(arena, names, &sources, diag);
	if (diag_errors(diag)) printf("\n%s", messages());
	CU_ASSERT_EQUAL(diag_errors(diag), 0);
	CU_ASSERT(file->list.n >= 1);
}

/* ---- docs/codes-syntax.md: under every code a text that gets it and one that does not ---- */

static char *block(char **from)
{
	char *begin = strstr(*from, "```\n");
	if (!begin) return NULL;
	begin += 4;
	char *end = strstr(begin, "```");
	if (!end) return NULL;
	*from = end + 4;
	return arena_strndup(arena, begin, (size_t)(end - begin));
}

static void test_documented_codes(void)
{
	FILE *f = fopen(MTL_SOURCE_DIR "/docs/codes-syntax.md", "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	static char doc[1 << 16];
	doc[fread(doc, 1, sizeof doc - 1, f)] = '\0';
	fclose(f);
	int examples = 0;
	for (char *s = strstr(doc, "\n## M"); s;) {
		char *next = strstr(s + 1, "\n## M");
		if (next) *next = '\0';
		char code[6];
		snprintf(code, sizeof code, "%.5s", s + 4);
		char *rest = s, *wrong = block(&rest);
		char *text = wrong ? strdup(wrong) : NULL;
		if (text) {
			parse(text);
			if (!strstr(messages(), code))
				printf("\n%s is not reported:\n%s%s", code, text, messages());
			CU_ASSERT_PTR_NOT_NULL(strstr(messages(), code));
			free(text);
			char *right = block(&rest);
			CU_ASSERT_PTR_NOT_NULL_FATAL(right);
			text = strdup(right);
			good(text);
			free(text);
			examples++;
		}
		if (next) *next = '\n';
		s = next;
	}
	CU_ASSERT_EQUAL(examples, 20);
}

int main(void)
{
	CU_pSuite s = suite_begin("parse");
	CU_add_test(s, "declarations", test_declarations);
	CU_add_test(s, "features", test_features);
	CU_add_test(s, "statements", test_statements);
	CU_add_test(s, "a layer", test_layer);
	CU_add_test(s, "precedence, and back to text", test_precedence);
	CU_add_test(s, "texts and numbers", test_texts);
	CU_add_test(s, "words as names", test_words_as_names);
	CU_add_test(s, "places", test_places);
	CU_add_test(s, "several errors", test_several_errors);
	CU_add_test(s, "open braces", test_open_braces);
	CU_add_test(s, "one slip, one message", test_no_cascade);
	CU_add_test(s, "what stands behind an error", test_recovery);
	CU_add_test(s, "too much of anything", test_too_much);
	CU_add_test(s, "use", test_use);
	CU_add_test(s, "use goes wrong", test_use_errors);
	CU_add_test(s, "line ends, byte-order mark, nothing", test_windows);
	CU_add_test(s, "comments", test_comments);
	CU_add_test(s, "the built-in layers", test_prelude);
	CU_add_test(s, "the documented codes", test_documented_codes);
	if (!mkdtemp(folder)) return 1;
	int failed = suite_end();
	static const char *const files[] = {"sub/common.mtl", "sub",   "more.mtl", "main.mtl",
					    "a.mtl",	      "b.mtl", "zero.mtl", ""};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		remove(arena_printf(arena, "%s/%s", folder, files[i]));
	arena_destroy(arena);
	return failed != 0;
}
