/*
 * Messages as a hurried author meets them: one token of a good model is deleted, doubled, swapped with the
 * next or misspelt.  Then there is an error within two lines of the edit, or the model is right all the same;
 * no word of our own reaches the author; and every "did you mean" mends what it was said of.
 *
 * MTL_EDITS says how many edits (300), and as many texts of random bytes follow: nothing may crash.
 */
#include "front/check.h"
#include "front/parse.h"
#include "ir/ast.h"
#include "suite.h"
#include <ctype.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a model checked, and what was said as JSON ---- */

typedef struct {
	json_t *message;
	bool ok;
} Said;

static Said check_text(const char *path, const char *text)
{
	Arena *arena = arena_create();
	StrTab *str = str_create(arena);
	Sources sources = {.arena = arena};
	Diag *diag = diag_create(arena, &sources);
	Ast *prelude = parse_prelude(arena, str, &sources, diag);
	Ast *file = parse_file(arena, str, &sources, diag, path, text, NULL);
	Said s = {0};
	if (file && !diag_errors(diag)) s.ok = check(arena, str, diag, file, prelude, NULL) != NULL;
	Text out = {0};
	diag_print_json(diag, &out);
	json_error_t e;
	s.message = json_loads(out.at, 0, &e);
	if (!s.message) printf("\n%s: no JSON: %s\n%s\n", path, e.text, out.at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s.message);
	text_free(&out);
	arena_destroy(arena);
	return s;
}

static const char *word_of(const json_t *m, const char *key)
{
	const char *s = json_string_value(json_object_get(m, key));
	return s ? s : "";
}

static int number_of(const json_t *m, const char *key)
{
	return (int)json_integer_value(json_object_get(m, key));
}

static bool is_error(const json_t *m) { return !strcmp(word_of(m, "severity"), "error"); }

/* ---- good models: the examples ---- */

enum { MOST_MODELS = 64 };
static struct Model {
	char path[600], *text;
} * models(int *n)
{
	const char *folder = MTL_SOURCE_DIR "/examples";
	struct Model *m = calloc(MOST_MODELS, sizeof *m);
	struct dirent **entry;
	int entries = scandir(folder, &entry, NULL, alphasort); /* in one order everywhere */
	*n = 0;
	for (int i = 0; i < entries; i++) {
		snprintf(m[*n].path, sizeof m[*n].path, "%s/%s/%s.mtl", folder, entry[i]->d_name,
			 entry[i]->d_name);
		FILE *f = *n < MOST_MODELS ? fopen(m[*n].path, "rb") : NULL;
		if (f) {
			char *text = calloc(1, 1 << 16);
			CU_ASSERT(fread(text, 1, (1 << 16) - 1, f) > 0);
			m[(*n)++].text = text;
			fclose(f);
		}
		free(entry[i]);
	}
	free(entry);
	CU_ASSERT_FATAL(*n >= 10);
	return m;
}

static void put_away(struct Model *m, int n)
{
	for (int i = 0; i < n; i++) free(m[i].text);
	free(m);
}

/* ---- edits ---- */

static uint32_t draw(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*state >> 33) % n);
}

typedef struct {
	int at, n;
} Piece;

/* Tokens as the eye sees them; comments and blanks are none. */
static int pieces(const char *s, Piece *out, int most)
{
	int n = 0;
	for (int i = 0; s[i] && n < most;) {
		if (isspace((unsigned char)s[i])) {
			i++;
		} else if (s[i] == '#') {
			i += (int)strcspn(s + i, "\n");
		} else {
			int k = 1;
			if (s[i] == '"') {
				k = (int)strcspn(s + i + 1, "\"\n") + 1;
				k += s[i + k] == '"';
			} else if (isalnum((unsigned char)s[i]) || s[i] == '_') {
				while (isalnum((unsigned char)s[i + k]) || s[i + k] == '_') k++;
			} else if (!strncmp(s + i, "->", 2) || !strncmp(s + i, "..", 2)) {
				k = 2;
			}
			out[n++] = (Piece){i, k};
			i += k;
		}
	}
	return n;
}

static int line_of(const char *text, int at)
{
	int line = 1;
	for (int i = 0; i < at; i++) line += text[i] == '\n';
	return line;
}

typedef struct {
	char *text, what[160];
	int line, last; /* the lines it touches */
} Edit;

/* One of the four slips at a random token; `use` and what follows it are left alone: files are not edited. */
static Edit slip(const char *text, uint64_t *state)
{
	enum { MOST = 4000 };
	static const char *const kind[] = {"deleted", "doubled", "swapped", "misspelt"};
	Piece *p = calloc(MOST, sizeof *p);
	int n = pieces(text, p, MOST);
	CU_ASSERT_FATAL(n > 20);
	Edit e = {0};
	while (!e.text) {
		int i = (int)draw(state, (uint32_t)n - 1), what = (int)draw(state, 4);
		Piece a = p[i], b = p[i + 1];
		if (text[a.at] == '"' || text[b.at] == '"') continue;
		bool word = a.n > 2 && isalpha((unsigned char)text[a.at]);
		if (what == 3 && !word) continue;
		Text t = {0};
		text_addn(&t, text, (size_t)a.at);
		int rest = a.at + a.n;
		if (what == 1) {
			text_addn(&t, text + a.at, (size_t)a.n);
			text_char(&t, ' ');
			text_addn(&t, text + a.at, (size_t)a.n);
		} else if (what == 2) {
			text_addn(&t, text + b.at, (size_t)b.n);
			text_char(&t, ' ');
			text_addn(&t, text + rest, (size_t)(b.at - rest));
			text_addn(&t, text + a.at, (size_t)a.n);
			rest = b.at + b.n;
		} else if (what == 3) { /* one letter is left out */
			int k = 1 + (int)draw(state, (uint32_t)a.n - 1);
			text_addn(&t, text + a.at, (size_t)k);
			text_addn(&t, text + a.at + k + 1, (size_t)(a.n - k - 1));
		}
		text_add(&t, text + rest);
		snprintf(e.what, sizeof e.what, "`%.*s` %s", a.n > 40 ? 40 : a.n, text + a.at, kind[what]);
		e.line = line_of(text, a.at);
		e.last = what == 2 ? line_of(text, b.at) : e.line;
		e.text = t.at;
	}
	free(p);
	return e;
}

/* ---- what no author should read ---- */

static bool has_word(const char *s, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = s; (p = strstr(p, word)); p++) {
		bool begins = p == s || !isalnum((unsigned char)p[-1]);
		if (begins && !isalnum((unsigned char)p[n])) return true;
	}
	return false;
}

static const char *internal_word(const char *s)
{
	static const char *const word[] = {
	    "node", "nodes", "op",  "operand id", "lowering", "graph",	"AST", "token", "NULL",	 "null",
	    "spec", "emit",  "nan", "inf",	  "arena",    "(null)", "V_",  "OP_",	"poison"};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++)
		if (has_word(s, word[i])) return word[i];
	return NULL;
}

static const char *internal(const json_t *message)
{
	const char *found = NULL;
	size_t i, k;
	json_t *m, *part;
	json_array_foreach((json_t *)message, i, m)
	{
		if (!found) found = internal_word(word_of(m, "message"));
		json_array_foreach(json_object_get(m, "notes"), k, part) if (!found) found =
		    internal_word(word_of(part, "message"));
		json_array_foreach(json_object_get(m, "help"), k, part) if (!found) found =
		    internal_word(json_string_value(part));
	}
	return found;
}

/* ---- "did you mean" ---- */

static int offset_of(const char *text, int line, int column)
{
	int at = 0;
	for (; line > 1 && text[at]; at++) line -= text[at] == '\n';
	return at + column - 1;
}

/* The word in the place of a message that is nearest to what is suggested, replaced by it. NULL: no
 * suggestion. */
static char *mended(const char *path, const char *text, const json_t *m)
{
	const char *help = json_string_value(json_array_get(json_object_get(m, "help"), 0));
	char word[100] = "";
	if (strcmp(word_of(m, "file"), path) || !help) return NULL;
	if (sscanf(help, "did you mean '%99[^']'", word) != 1 &&
	    sscanf(help, "did you mean `%99[^`]`", word) != 1)
		return NULL;
	int lo = offset_of(text, number_of(m, "line"), number_of(m, "column")),
	    hi = offset_of(text, number_of(m, "end_line"), number_of(m, "end_column")), best = -1, n_best = 0,
	    least = 1000;
	for (int i = lo; i < hi;) {
		int k = 0;
		while (isalnum((unsigned char)text[i + k]) || text[i + k] == '_') k++;
		if (k) {
			char got[100];
			snprintf(got, sizeof got, "%.*s", k, text + i);
			int d = str_distance(got, word);
			if (d < least) least = d, best = i, n_best = k;
		}
		i += k ? k : 1;
	}
	if (best < 0) return NULL;
	Text t = {0};
	text_addn(&t, text, (size_t)best);
	text_add(&t, word);
	text_add(&t, text + best + n_best);
	return t.at;
}

/* Applies the first suggestion and checks again: that message is gone.  -1: there is none. */
static int mends(const char *path, const char *text, const json_t *message)
{
	size_t i;
	json_t *m;
	json_array_foreach((json_t *)message, i, m)
	{
		if (!is_error(m)) continue;
		char *better = mended(path, text, m);
		if (!better) continue;
		Said s = check_text(path, better);
		bool gone = true;
		size_t k;
		json_t *other;
		json_array_foreach(s.message, k, other) gone &=
		    strcmp(word_of(other, "message"), word_of(m, "message")) ||
		    number_of(other, "line") != number_of(m, "line") ||
		    number_of(other, "column") != number_of(m, "column");
		if (!gone) printf("\nnot mended: %s\n%s\n", word_of(m, "message"), better);
		json_decref(s.message);
		free(better);
		return gone;
	}
	return -1;
}

/* ---- the tests ---- */

static int wanted(void)
{
	const char *s = getenv("MTL_EDITS");
	return s ? atoi(s) : 300;
}

static void single_edits(void)
{
	int n_models, n = wanted(), errors = 0, near = 0, suggested = 0, good = 0;
	struct Model *m = models(&n_models);
	uint64_t state = 1;
	bool show = getenv("MTL_SHOW");
	for (int i = 0; i < n; i++) {
		const struct Model *of = &m[i % n_models];
		Edit e = slip(of->text, &state);
		Said s = check_text(of->path, e.text);
		const char *word = internal(s.message);
		if (word) printf("\n%s:%d: %s: says '%s'\n", of->path, e.line, e.what, word);
		CU_ASSERT_PTR_NULL(word);
		if (!s.ok) {
			size_t k;
			json_t *one;
			int first = 0;
			bool close = false;
			errors++;
			json_array_foreach(s.message, k, one)
			{
				if (!is_error(one)) continue;
				int line = number_of(one, "line");
				if (!first) first = line;
				bool here = !strcmp(word_of(one, "file"), of->path);
				close |= here && line >= e.line - 2 && line <= e.last + 2;
			}
			CU_ASSERT(first > 0 || json_array_size(s.message) > 0);
			near += close;
			if (!close && show)
				printf("\n%s:%d: %s: told at line %d: %s\n", of->path, e.line, e.what, first,
				       word_of(json_array_get(s.message, 0), "message"));
			int mend = mends(of->path, e.text, s.message);
			suggested += mend >= 0;
			good += mend > 0;
		}
		json_decref(s.message);
		free(e.text);
	}
	printf("\n%d edits: %d errors, %d within two lines; %d suggestions, %d mend\n", n, errors, near,
	       suggested, good);
	CU_ASSERT(errors > n / 2);
	CU_ASSERT(near * 100 >= errors * 95);
	CU_ASSERT(suggested > n / 20);
	CU_ASSERT_EQUAL(good, suggested);
	put_away(m, n_models);
}

/* Of the wrong models too: each suggestion mends its message. */
static void suggestions(void)
{
	const char *folder = MTL_SOURCE_DIR "/tests/errors";
	struct dirent **entry;
	int n = scandir(folder, &entry, NULL, alphasort), suggested = 0;
	for (int i = 0; i < n; i++) {
		char path[600];
		snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
		FILE *f = strstr(path, ".mtl") ? fopen(path, "rb") : NULL;
		if (f) {
			char *text = calloc(1, 1 << 16);
			CU_ASSERT(fread(text, 1, (1 << 16) - 1, f) > 0);
			fclose(f);
			Said s = check_text(path, text);
			const char *word = internal(s.message);
			if (word) printf("\n%s: says '%s'\n", path, word);
			CU_ASSERT_PTR_NULL(word);
			int mend = mends(path, text, s.message);
			CU_ASSERT(mend != 0);
			suggested += mend > 0;
			json_decref(s.message);
			free(text);
		}
		free(entry[i]);
	}
	free(entry);
	CU_ASSERT(suggested >= 10);
}

/* Noise: bytes of a model replaced, cut and repeated; whole texts of random signs.  There is an answer. */
static void noise(void)
{
	static const char sign[] = "{}[]()|&!=+-*/^,:.\"#<>\n\t 019aPE_\\";
	int n_models, n = wanted();
	struct Model *m = models(&n_models);
	uint64_t state = 7;
	for (int i = 0; i < n; i++) {
		const char *text = m[i % n_models].text;
		size_t len = strlen(text);
		char *t = calloc(1, 2 * len + 2);
		memcpy(t, text, len);
		for (int k = 1 + (int)draw(&state, 8); k-- > 0;) {
			size_t at = draw(&state, (uint32_t)len);
			switch (draw(&state, 4)) {
			case 0: t[at] = (char)(1 + draw(&state, 255)); break;
			case 1: t[at] = sign[draw(&state, sizeof sign - 1)]; break;
			case 2: memmove(t + at, t + at + (len - at) / 2, len - at - (len - at) / 2); break;
			default: len = at + 1, t[len] = '\0'; break;
			}
		}
		if (i % 4 == 3)
			for (size_t k = 0; k < len; k++)
				t[k] = draw(&state, 3) ? sign[draw(&state, sizeof sign - 1)] : t[k];
		Said s = check_text(m[i % n_models].path, t);
		CU_ASSERT(s.ok || json_array_size(s.message) > 0);
		const char *word = internal(s.message);
		(void)word; /* what is quoted may be anything */
		json_decref(s.message);
		free(t);
	}
	put_away(m, n_models);
}

int main(void)
{
	CU_pSuite s = suite_begin("messages");
	CU_ADD_TEST(s, single_edits);
	CU_ADD_TEST(s, suggestions);
	CU_ADD_TEST(s, noise);
	return suite_end();
}
