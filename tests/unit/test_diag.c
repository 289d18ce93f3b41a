/* Names, places and messages: base/str, base/source, base/diag. */
#include "base/diag.h"
#include "base/str.h"
#include "suite.h"
#include <string.h>

static Arena *arena;
static Sources sources;

static void fresh(void)
{
	arena_destroy(arena);
	arena = arena_create();
	sources = (Sources){.arena = arena};
}

/* What is printed, compared whole: the form is part of the interface. */
static void printed(const Diag *d, const char *expected)
{
	Text out = {0};
	diag_print(d, &out, false);
	const char *got = out.at ? out.at : "";
	if (strcmp(got, expected) != 0) printf("\n--- expected\n%s--- got\n%s", expected, got);
	CU_ASSERT_STRING_EQUAL(got, expected);
	text_free(&out);
}

static Span at(int file, const char *what)
{
	const Source *f = &sources.file.at[file];
	const char *p = strstr(f->text, what);
	CU_ASSERT_FATAL(p != NULL);
	uint32_t lo = f->base + (uint32_t)(p - f->text);
	return (Span){lo, lo + (uint32_t)strlen(what)};
}

static int add(const char *path, const char *text)
{
	return source_add(&sources, path, text, (uint32_t)strlen(text));
}

static void test_intern(void)
{
	fresh();
	StrTab *t = str_create(arena);
	Str a = str_intern(t, "click");
	CU_ASSERT_PTR_EQUAL(a, str_internn(t, "clicked", 5));
	CU_ASSERT_PTR_NOT_EQUAL(a, str_intern(t, "clicks"));
	CU_ASSERT_PTR_EQUAL(str_intern(t, ""), str_internn(t, "x", 0));
	/* far past the first table: nothing moves, nothing is lost */
	Str many[2000];
	for (int i = 0; i < 2000; i++) many[i] = str_printf(t, "name_%d", i);
	for (int i = 0; i < 2000; i++) {
		char text[32];
		snprintf(text, sizeof text, "name_%d", i);
		CU_ASSERT_PTR_EQUAL(many[i], str_intern(t, text));
	}
	CU_ASSERT_PTR_EQUAL(a, str_intern(t, "click"));
}

static void test_distance(void)
{
	CU_ASSERT_EQUAL(str_distance("", ""), 0);
	CU_ASSERT_EQUAL(str_distance("", "abc"), 3);
	CU_ASSERT_EQUAL(str_distance("tower", "tower"), 0);
	CU_ASSERT_EQUAL(str_distance("tower", "towre"), 1); /* a swap */
	CU_ASSERT_EQUAL(str_distance("kitten", "sitting"), 3);
	CU_ASSERT_EQUAL(str_distance("event", "vent"), 1);
	CU_ASSERT_EQUAL(str_distance("ca", "abc"), 3); /* a swapped pair is not edited again */
	char a[200], b[200];
	memset(a, 'a', sizeof a);
	memset(b, 'a', sizeof b);
	a[199] = b[150] = '\0';
	CU_ASSERT_EQUAL(str_distance(a, a), 0);
	CU_ASSERT_EQUAL(str_distance(a, b), 199);
}

static void test_nearest(void)
{
	const char *word[] = {"event", "tower", "x", "user_id"};
	CU_ASSERT_STRING_EQUAL(str_nearest("towre", word, 4), "tower");
	CU_ASSERT_STRING_EQUAL(str_nearest("Event", word, 4), "event");
	CU_ASSERT_STRING_EQUAL(str_nearest("USER_ID", word, 4), "user_id");
	CU_ASSERT_PTR_NULL(str_nearest("y", word, 4)); /* one letter is no slip of another */
	CU_ASSERT_PTR_NULL(str_nearest("dense", word, 4));
	CU_ASSERT_PTR_NULL(str_nearest("tower", word, 0));
}

static void test_place(void)
{
	fresh();
	add("a.mtl", "one\n two\n");
	add("b.mtl", "");
	add("c.mtl", "x");
	CU_ASSERT_PTR_NULL(source_place(&sources, 0).file);
	Place p = source_place(&sources, at(0, "two").lo);
	CU_ASSERT_STRING_EQUAL(p.file->path, "a.mtl");
	CU_ASSERT_EQUAL(p.line, 2);
	CU_ASSERT_EQUAL(p.column, 2);
	p = source_place(&sources, sources.file.at[0].base + 9); /* the end of the file */
	CU_ASSERT_EQUAL(p.line, 3);
	CU_ASSERT_EQUAL(p.column, 1);
	p = source_place(&sources, sources.file.at[1].base);
	CU_ASSERT_STRING_EQUAL(p.file->path, "b.mtl");
	CU_ASSERT_EQUAL(p.line, 1);
	p = source_place(&sources, at(2, "x").lo);
	CU_ASSERT_STRING_EQUAL(p.file->path, "c.mtl");
	CU_ASSERT_PTR_NULL(source_place(&sources, 1000).file);

	Span j = span_join((Span){3, 5}, (Span){1, 2});
	CU_ASSERT(j.lo == 1 && j.hi == 5);
	j = span_join((Span){0, 0}, (Span){4, 6});
	CU_ASSERT(j.lo == 4 && j.hi == 6);
}

static void test_drawing(void)
{
	fresh();
	char text[400] = "";
	for (int i = 1; i < 9; i++) strcat(text, "\n");
	strcat(text, "    dense 2\n\n\n\n\n  task click: binary = ctr(shared)\n");
	add("news.mtl", text);
	Diag *d = diag_create(arena, &sources);
	diag_error(d, at(0, "ctr(shared)"), "M0207", "task '%s' needs %d output, tower 'ctr' gives 2",
		   "click", 1);
	diag_note(d, at(0, "dense 2"), "its last layer is here");
	diag_help(d, "add -> dense(1)");
	CU_ASSERT_EQUAL(diag_errors(d), 1);
	CU_ASSERT_EQUAL(diag_warnings(d), 0);
	printed(d, "news.mtl:14:24: error[M0207]: task 'click' needs 1 output, tower 'ctr' gives 2\n"
		   "   14 |   task click: binary = ctr(shared)\n"
		   "      |                        ^~~~~~~~~~~\n"
		   "news.mtl:9:5: note: its last layer is here\n"
		   "    9 |     dense 2\n"
		   "      |     ^~~~~~~\n"
		   "      = help: add -> dense(1)\n");
}

static void test_order(void)
{
	fresh();
	add("a.mtl", "first second\n");
	Diag *d = diag_create(arena, &sources);
	diag_error(d, at(0, "second"), "M0002", "two");
	diag_warn(d, at(0, "first"), "M0001", "one");
	diag_error(d, at(0, "second"), "M0002", "two"); /* said before */
	diag_error(d, (Span){0}, "M0003", "nowhere");
	diag_note(d, (Span){0}, "no place either");
	CU_ASSERT_EQUAL(diag_errors(d), 3);
	CU_ASSERT_EQUAL(diag_warnings(d), 1);
	printed(d, "error[M0003]: nowhere\n"
		   "      = note: no place either\n"
		   "a.mtl:1:1: warning[M0001]: one\n"
		   "    1 | first second\n"
		   "      | ^~~~~\n"
		   "a.mtl:1:7: error[M0002]: two\n"
		   "    1 | first second\n"
		   "      |       ^~~~~~\n");
}

static void test_hard_lines(void)
{
	fresh();
	add("tab.mtl", "\ta\tbad\r\nnext");
	add("utf.mtl", "h\xc3\xa9 \xff\x1b[31m bad");
	add("span.mtl", "one {\n two\n}");
	add("end.mtl", "abc");
	Diag *d = diag_create(arena, &sources);
	diag_error(d, at(0, "bad"), "M1", "tabs");
	diag_error(d, at(1, "bad"), "M2", "a \x1b[31mtrick");
	diag_error(d, at(2, "{\n two\n}"), "M3", "more than a line");
	uint32_t end = sources.file.at[3].base + 3;
	diag_error(d, (Span){end, end}, "M4", "at the end");
	printed(d, "tab.mtl:1:4: error[M1]: tabs\n"
		   "    1 |         a       bad\n"
		   "      |                 ^~~\n"
		   "utf.mtl:1:12: error[M2]: a ?[31mtrick\n"
		   "    1 | h\xc3\xa9 ??[31m bad\n"
		   "      |           ^~~\n"
		   "span.mtl:1:5: error[M3]: more than a line\n"
		   "    1 | one {\n"
		   "      |     ^\n"
		   "end.mtl:1:4: error[M4]: at the end\n"
		   "    1 | abc\n"
		   "      |    ^\n");
}

/* A list of a thousand names on one line: the part with the mistake is shown, wherever it is. */
static void test_long_line(void)
{
	fresh();
	static char text[1001];
	for (int i = 0; i < 1000; i++) text[i] = (char)('a' + i % 26);
	memcpy(text + 500, "BAD", 3);
	add("long.mtl", text);
	Diag *d = diag_create(arena, &sources);
	diag_error(d, at(0, "BAD"), "M1", "here");
	Text out = {0};
	diag_print(d, &out, false);
	char *line[4], *save = NULL;
	line[0] = strtok_r(out.at, "\n", &save);
	for (int i = 1; i < 4; i++) line[i] = strtok_r(NULL, "\n", &save);
	CU_ASSERT_PTR_NOT_NULL_FATAL(line[2]);
	CU_ASSERT_PTR_NULL(line[3]);
	CU_ASSERT_EQUAL(strlen(line[1]), 8 + 3 + 96 + 3);
	CU_ASSERT_STRING_EQUAL(line[0], "long.mtl:1:501: error[M1]: here");
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(line[1], "BAD"));
	CU_ASSERT_EQUAL(strstr(line[1], "BAD") - line[1], strstr(line[2], "^~~") - line[2]);
	text_free(&out);
}

static void test_json(void)
{
	fresh();
	add("a \"b\".mtl", "x\ny = z\n");
	Diag *d = diag_create(arena, &sources);
	diag_error(d, at(0, "y = z"), "M0001", "a \"quote\"\t\xff");
	diag_note(d, at(0, "x"), "first");
	diag_help(d, "do this");
	Text out = {0};
	diag_print_json(d, &out);
	CU_ASSERT_STRING_EQUAL(
	    out.at, "[\n  {\"code\": \"M0001\", \"severity\": \"error\", \"file\": \"a \\\"b\\\".mtl\", "
		    "\"line\": 2, \"column\": 1, \"end_line\": 2, \"end_column\": 6, "
		    "\"message\": \"a \\\"quote\\\"\\u0009\\ufffd\",\n   \"notes\": [{\"file\": "
		    "\"a \\\"b\\\".mtl\", \"line\": 1, \"column\": 1, \"end_line\": 1, \"end_column\": 2, "
		    "\"message\": \"first\"}], \"help\": [\"do this\"]}\n]\n");
	text_free(&out);
}

static void test_colour(void)
{
	fresh();
	add("a.mtl", "x");
	Diag *d = diag_create(arena, &sources);
	diag_error(d, at(0, "x"), "M0001", "red");
	Text out = {0};
	diag_print(d, &out, true);
	CU_ASSERT_STRING_EQUAL(out.at, "\033[1ma.mtl:1:1:\033[0m \033[1;31merror[M0001]:\033[0m red\n"
				       "    1 | x\n      | \033[1;31m^\033[0m\n");
	text_free(&out);
}

int main(void)
{
	CU_pSuite s = suite_begin("diag");
	CU_add_test(s, "equal text is one pointer", test_intern);
	CU_add_test(s, "distance of words", test_distance);
	CU_add_test(s, "did you mean", test_nearest);
	CU_add_test(s, "places", test_place);
	CU_add_test(s, "the form of a message", test_drawing);
	CU_add_test(s, "by place, once", test_order);
	CU_add_test(s, "tabs, UTF-8, ends, several lines", test_hard_lines);
	CU_add_test(s, "a long line is cut", test_long_line);
	CU_add_test(s, "JSON", test_json);
	CU_add_test(s, "colour", test_colour);
	int failed = suite_end();
	arena_destroy(arena);
	return failed != 0;
}
