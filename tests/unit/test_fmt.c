/* The formatter: its form, and that it changes nothing else. */
#define _GNU_SOURCE
#include "front/fmt.h"
#include "front/parse.h"
#include "suite.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text formatted (to be freed), its tree in *tree; NULL if it has errors. */
static char *format(const char *text, Text *tree)
{
	Arena *arena = arena_create();
	Sources sources = {.arena = arena};
	Diag *diag = diag_create(arena, &sources);
	Comments comments = {0};
	Ast *file = parse_file(arena, str_create(arena), &sources, diag, "t.mtl", text, &comments);
	Text out = {0};
	text_add(&out, "");
	if (diag_errors(diag)) {
		diag_print(diag, &out, false);
		printf("\n%s\n%s", text, out.at);
		text_free(&out);
	} else {
		fmt_file(file, &sources, &comments, &out);
		ast_dump(file, tree);
	}
	arena_destroy(arena);
	return out.at;
}

/* Formatting keeps the tree, and formatting again keeps the text. */
static char *kept(const char *text)
{
	Text tree = {0}, tree_after = {0};
	char *once = format(text, &tree);
	CU_ASSERT_PTR_NOT_NULL_FATAL(once);
	char *twice = format(once, &tree_after);
	CU_ASSERT_PTR_NOT_NULL_FATAL(twice);
	CU_ASSERT_STRING_EQUAL(once, twice);
	CU_ASSERT_STRING_EQUAL(tree.at, tree_after.at);
	text_free(&tree);
	text_free(&tree_after);
	free(twice);
	return once;
}

static void becomes(const char *text, const char *expected)
{
	char *got = kept(text);
	if (strcmp(got, expected) != 0) printf("\n--- expected\n%s--- got\n%s", expected, got);
	CU_ASSERT_STRING_EQUAL(got, expected);
	free(got);
}

static void stays(const char *text) { becomes(text, text); }

static void test_whole(void)
{
	stays("# Entire Space Multi-Task Model. Ma et al., SIGIR 2018.\n"
	      "model esmm\n"
	      "\n"
	      "features user per request {\n"
	      "  user_id : id(hash: 200_000)\n"
	      "  age     : real(bucket: [18, 25, 35, 50])\n"
	      "}\n"
	      "features item per candidate {\n"
	      "  tags : ids(hash: 50_000, pool: mean)\n"
	      "}\n"
	      "embed 18  # default width\n"
	      "\n"
	      "event click        label clk  # a share of all impressions\n"
	      "event buy of click label pay  # happens only where click happened\n"
	      "\n"
	      "shared x = concat(user, item)\n"
	      "\n"
	      "tower ctr = x -> mlp([200, 80], act: relu) -> dense(1)\n"
	      "tower cvr = x -> mlp([200, 80], act: relu) -> dense(1)\n"
	      "\n"
	      "P(click)       = sigmoid(ctr)\n"
	      "P(buy | click) = sigmoid(cvr)\n"
	      "\n"
	      "loss ctr:   bce(P(click))\n"
	      "loss ctcvr: bce(P(buy)) weight 0.5\n"
	      "\n"
	      "output pctr = P(click), pcvr = P(buy | click), pctcvr = P(buy)\n"
	      "\n"
	      "train { optimizer: adam(lr: 1e-3)  batch: 1024  epochs: 2 }\n");
}

static void test_spaces(void)
{
	becomes(
	    "\n\n\nmodel   m\n\n\n\nlet a=x->f( 1,n :2 )\r\nlet b =-( a+b )*c^2   let c = {k:1  l : 2}\n\n",
	    "model m\n\nlet a = x -> f(1, n: 2)\nlet b = -(a + b) * c^2\nlet c = {k: 1, l: 2}\n");
	becomes("", "");
	becomes("# alone", "# alone\n");
}

static void test_every_form(void)
{
	stays("use \"a \\\"b\\\".mtl\"\n"
	      "const units = [64, 32]\n"
	      "features g {\n"
	      "  a  : id\n"
	      "  bc : seq(max: 3) {\n"
	      "    d : id(share: a)\n"
	      "  }\n"
	      "}\n"
	      "features h per candidate { a : id  b : cross(c, d, hash: 100) }\n"
	      "rows { weight: w  group: g }\n"
	      "class c[7] of e       label l\n"
	      "class d { u, v } of c label m\n"
	      "value v of d          label s\n"
	      "event f of d\n"
	      "independent a, b given c\n"
	      "experts own[t][2] = x\n"
	      "gate g[t] = mix([own[t], e], by: x)\n"
	      "let a, b = f(x)\n"
	      "layer f(x, act: relu) {\n"
	      "  weights w[width(x), 3] = normal(0, 0.01)\n"
	      "  for i in 0..n { let x = x -> dense(i) }\n"
	      "  if n >= 3 & !(n == 5) {\n"
	      "    let y = x\n"
	      "    let z = y\n"
	      "  } else if n != 4 {\n"
	      "    let y = 1\n"
	      "  } else {\n"
	      "    let y = 2\n"
	      "  }\n"
	      "  if n { let a = 1 } else { let a = 2 }\n"
	      "  return x, y\n"
	      "}\n"
	      "layer g(x) { return x }\n"
	      "P[direct](act = cart | b & !(a | c)) = x\n"
	      "E(v | c)                             = y[0].z\n"
	      "loss a[t]: ipw(P(a | b), clip: 0.05) weight 1 / 2\n"
	      "loss b:    mse(E(v))\n"
	      "output P(a)^0.5 * E(v), s = order_by([a, b])\n"
	      "train {\n"
	      "  batch: 3\n"
	      "  optimizer: adam(lr: 1e-3)\n"
	      "}\n");
}

static void test_comments_stay(void)
{
	stays("# first\n"
	      "\n"
	      "# second\n"
	      "model m  # behind\n"
	      "for t in [a] {  # of the loop\n"
	      "  # before\n"
	      "  let x = t  # x\n"
	      "\n"
	      "  # between\n"
	      "  let long_name = t\n"
	      "  # at the end\n"
	      "}  # of the brace\n"
	      "features g {\n"
	      "  # only a comment\n"
	      "}\n"
	      "if a {\n"
	      "  let x = 1\n"
	      "  # at the end of the first\n"
	      "} else {  # otherwise\n"
	      "  let x = 2\n"
	      "}\n"
	      "# last\n");
	/* braces on one line are opened where a comment stands in them */
	becomes("train { batch: 1 # one\n epochs: 2 }", "train {\n  batch: 1  # one\n  epochs: 2\n}\n");
	/* an expression with a comment inside is the author's to lay out */
	becomes("for t in [a] {\n      let x = f(a,   # first\n                b)   # second\n}",
		"for t in [a] {\n  let x = f(a,   # first\n            b)  # second\n}\n");
}

static void test_alignment(void)
{
	/* neighbours of a kind, up to an empty line or a comment */
	becomes(
	    "let a = 1\ntower bcd = 2\nlet e = 3\n\nlet fghij = 4\n# c\nlet k = 5\nP(a) = x\nP(a | b) = y",
	    "let a     = 1\ntower bcd = 2\nlet e     = 3\n\nlet fghij = 4\n# c\nlet k = 5\nP(a)     = x\nP(a "
	    "| b) = y\n");
	/* one long name does not push the others away */
	becomes("let a = 1\nlet abcdefghi = 2", "let a = 1\nlet abcdefghi = 2\n");
	becomes("let a = 1\nlet a_name_that_is_longer_than_anybody_would_like = 2\nlet bc = 3",
		"let a  = 1\nlet a_name_that_is_longer_than_anybody_would_like = 2\nlet bc = 3\n");
	becomes("const p = \"h\xc3\xa9\" # e\nconst q = \"hello\" # f",
		"const p = \"h\xc3\xa9\"     # e\nconst q = \"hello\"  # f\n");
}

static void test_long_lines(void)
{
	char *got = kept("tower ctr = concat(user_id, item_id, category, price) -> mlp([512, 256, 128], act: "
			 "relu, dropout: 0.1) -> "
			 "dense(1)\nconst list = [\"one, two\", \"three\", \"four\", \"five\", \"six\", "
			 "\"seven\", \"eight\", "
			 "\"nine\", \"ten\", \"eleven -> twelve\", \"thirteen\"]");
	for (char *line = strtok(got, "\n"); line; line = strtok(NULL, "\n")) CU_ASSERT(strlen(line) <= 110);
	free(got);
	becomes("tower click = concat(user_id, item_id, category, price) -> mlp([512, 256, 128], act: relu, "
		"dropout: 0.1) -> dense(1)",
		"tower click = concat(user_id, item_id, category, price) -> mlp([512, 256, 128], act: relu, "
		"dropout: 0.1)\n"
		"    -> dense(1)\n");
}

/* The comments of a text in their order, a line each. */
static char *comments_of(const char *text)
{
	Text t = {0};
	text_add(&t, "");
	bool quoted = false;
	for (const char *p = text; *p; p++) {
		if (*p == '\n') quoted = false;
		if (*p == '"' && p > text && p[-1] != '\\') quoted = !quoted;
		if (*p != '#' || quoted) continue;
		size_t n = strcspn(p, "\n");
		const char *end = p + n;
		while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
		text_addn(&t, p, (size_t)(end - p));
		text_char(&t, '\n');
		p += n - 1;
	}
	return t.at;
}

static bool well_formed(const char *text)
{
	Arena *arena = arena_create();
	Sources sources = {.arena = arena};
	Diag *diag = diag_create(arena, &sources);
	Comments comments = {0};
	parse_file(arena, str_create(arena), &sources, diag, "t.mtl", text, &comments);
	bool good = !diag_errors(diag);
	arena_destroy(arena);
	return good;
}

static struct {
	int models, malformed;
} seen; /* nftw hands nothing on */

static int one_model(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)where;
	size_t len = strlen(path);
	if (kind != FTW_F || len < 4 || strcmp(path + len - 4, ".mtl")) return 0;
	FILE *f = fopen(path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	char *text = calloc(1, 1 << 18);
	CU_ASSERT(fread(text, 1, (1 << 18) - 1, f) > 0);
	fclose(f);
	if (well_formed(text)) {
		char *after = kept(text), *want = comments_of(text), *got = comments_of(after);
		if (strcmp(want, got)) printf("\n%s: comments differ\n", path);
		CU_ASSERT_STRING_EQUAL(want, got);
		free(after), free(want), free(got);
		seen.models++;
	} else {
		seen.malformed++;
	}
	free(text);
	return 0;
}

/* All models of the project, wrong ones too: the same tree, the same comments, and the same text again. */
static void test_models(void)
{
	static const char *const folders[] = {"/grammar", "/examples", "/tests"};
	for (int i = 0; i < 3; i++) {
		char path[600];
		snprintf(path, sizeof path, MTL_SOURCE_DIR "%s", folders[i]);
		CU_ASSERT_EQUAL(nftw(path, one_model, 16, 0), 0);
	}
	CU_ASSERT(seen.models > 120);
	CU_ASSERT(seen.malformed < 5);
}

int main(void)
{
	CU_pSuite s = suite_begin("fmt");
	CU_add_test(s, "a whole model", test_whole);
	CU_add_test(s, "spaces and empty lines", test_spaces);
	CU_add_test(s, "every form", test_every_form);
	CU_add_test(s, "comments", test_comments_stay);
	CU_add_test(s, "alignment", test_alignment);
	CU_add_test(s, "long lines", test_long_lines);
	CU_add_test(s, "the project's models", test_models);
	return suite_end();
}
