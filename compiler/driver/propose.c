/*
 * A model proposed for a log.  One pass over its first rows gathers facts about each column; then every
 * decision is made by a rule below and written beside what it decided, so that it can be disagreed with.
 */
#define _GNU_SOURCE
#include "driver/propose.h"
#include "driver/distinct.h"
#include "base/arena.h"
#include "runtime/log.h"
#include "runtime/number.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	WORDS = 20,  /* most words of a written-out vocabulary */
	LONGEST = 40 /* bytes of such a word */
};

static const char separators[] = "| ;,";

/* Which value of a column went with which key so far: does a user always have the same age? */
typedef struct {
	uint64_t key, value;
} Pair;
typedef struct {
	Pair *at;
	int64_t n, cap, same, other; /* meetings of a known key: with the same value, with another */
} Follows;

typedef enum { IS_FEATURE, IS_LABEL, IS_WEIGHT, IS_GROUP, IS_NOTHING } Role;

typedef struct {
	char *name, *word; /* as in the header; as in the model */
	int64_t rows, arrays, empty, numbers, integers, binary, ones, lists[sizeof separators - 1];
	double min, max, sum, last;
	bool rises; /* each number is at least the one before */
	Distinct distinct, item[sizeof separators - 1];
	char *vocab[WORDS];
	int n_vocab;
	Follows of_user, of_item;
	Role role;
	int parent; /* of a label: a column, or -1 */
	bool request, user_key, item_key;
} Column;

typedef struct {
	Arena *arena;
	Column *c;
	int n;
	int64_t rows, bad;
	signed char *label; /* [row][column] of the binary ones: 0, 1, -1 empty */
	int64_t cap;
	int user, item; /* key columns, -1 */
} Look;

/* ---- facts ---- */

static bool has_word(const char *name, const char *const *word)
{
	/* "user" in user_id, userId, USER; not in superuser. */
	for (int w = 0; word[w]; w++)
		for (const char *p = name; (p = strcasestr(p, word[w])); p++) {
			size_t n = strlen(word[w]);
			bool begins = p == name || !isalpha((unsigned char)p[-1]);
			bool ends = !islower((unsigned char)p[n]) ||
				    (p[n] == 's' && !isalpha((unsigned char)p[n + 1]));
			if (begins && ends) return true;
		}
	return false;
}

static const char *const user_word[] = {"user",	  "uid",     "member", "customer", "person",
					"viewer", "visitor", "device", NULL};
static const char *const item_word[] = {"item",	   "iid",      "ad",	"ads",	     "product", "video",
					"photo",   "note",     "movie", "song",	     "goods",	"doc",
					"article", "creative", "sku",	"candidate", NULL};
static const char *const query_word[] = {"request", "query", "session", "impression", "search", "qid", NULL};
static const char *const time_word[] = {"time", "timestamp", "ts", "date", "datetime", NULL};
static const char *const fact_word[] = {"is", "has", NULL};

static void follow(Follows *f, uint64_t key, uint64_t value)
{
	if (2 * f->n >= f->cap) {
		int64_t cap = f->cap ? 2 * f->cap : 256;
		Pair *larger = calloc((size_t)cap, sizeof *larger);
		if (!larger) return;
		for (int64_t i = 0; i < f->cap; i++)
			if (f->at[i].key) {
				int64_t k = (int64_t)(f->at[i].key & (uint64_t)(cap - 1));
				while (larger[k].key) k = (k + 1) & (cap - 1);
				larger[k] = f->at[i];
			}
		free(f->at);
		f->at = larger;
		f->cap = cap;
	}
	int64_t k = (int64_t)(key & (uint64_t)(f->cap - 1));
	while (f->at[k].key && f->at[k].key != key) k = (k + 1) & (f->cap - 1);
	if (!f->at[k].key) {
		f->at[k] = (Pair){key, value};
		f->n++;
	} else if (f->at[k].value == value) {
		f->same++;
	} else {
		f->other++;
	}
}

static void look_at(Look *l, Column *c, const MtlCell *cell)
{
	const char *p = cell->p;
	size_t n = cell->n;
	c->rows++;
	if (!n) {
		c->empty++;
		return;
	}
	uint64_t h = XXH3_64bits(p, n);
	if (distinct_add(&c->distinct, h) && c->n_vocab < WORDS && n <= LONGEST)
		c->vocab[c->n_vocab++] = arena_strndup(l->arena, p, n);
	double x;
	if (mtl_number(p, n, &x)) {
		c->rises &= !c->numbers || x >= c->last;
		c->min = c->numbers && c->min < x ? c->min : x;
		c->max = c->numbers && c->max > x ? c->max : x;
		c->last = x;
		c->sum += x;
		c->numbers++;
		c->integers += isdigit((unsigned char)*p) && strspn(p, "0123456789") >= n && n < 16;
		c->binary += n == 1 && (*p == '0' || *p == '1');
		c->ones += n == 1 && *p == '1';
	}
	c->arrays += cell->list;
	for (int s = 0; separators[s]; s++) {
		const char *at = p, *end = p + n, *item,
			   separator = cell->list ? MTL_LIST_BYTE : separators[s];
		size_t k;
		float weight;
		bool weighted;
		if (!memchr(p, separator, n)) {
			distinct_add(&c->item[s], h);
			continue;
		}
		c->lists[s]++;
		while (mtl_list_item(&at, end, separator, &item, &k, &weight, &weighted))
			distinct_add(&c->item[s], XXH3_64bits(item, k));
	}
}

static bool keep_labels(Look *l, const MtlCsv *csv)
{
	if (l->rows == l->cap) {
		int64_t cap = l->cap ? 2 * l->cap : 1024;
		signed char *larger = realloc(l->label, (size_t)cap * (size_t)(l->n + 1));
		if (!larger) return false;
		l->label = larger;
		l->cap = cap;
	}
	for (int i = 0; i < l->n; i++) {
		const MtlCell *c = &csv->cell[i];
		l->label[l->rows * l->n + i] = (signed char)(c->n != 1	    ? -1
							     : *c->p == '1' ? 1
							     : *c->p == '0' ? 0
									    : -1);
	}
	return true;
}

static uint64_t hash_of(const MtlCell *c)
{
	uint64_t h = c->n ? XXH3_64bits(c->p, c->n) : 0;
	return h ? h : 1;
}

static MtlStatus read_log(Look *l, const char *path, int64_t rows, MtlError *e)
{
	MtlCsv csv = {0};
	MtlStatus st = mtl_log_start(&csv, &mtl_sys, path, mtl_log_format(path), e);
	if (st) return st;
	MtlRowResult r = mtl_csv_next(&csv, e);
	if (r == MTL_ROW_FAIL) st = e->status;
	if (r == MTL_ROW_END || r == MTL_ROW_BAD)
		st = mtl_fail(e, MTL_DATA, "D0001", path,
			      r == MTL_ROW_END ? "the file is empty" : "the header line cannot be read");
	l->n = st ? 0 : (int)csv.n_cell;
	l->c = arena_new(l->arena, Column, l->n + 1);
	l->user = l->item = -1;
	for (int i = 0; i < l->n; i++) {
		Column *c = &l->c[i];
		c->name = arena_strndup(l->arena, csv.cell[i].p, csv.cell[i].n);
		c->rises = true;
		c->parent = -1;
		static const char *const id_word[] = {"id", "uid", "iid", "key", NULL};
		bool id =
		    has_word(c->name, id_word) || strcasestr(c->name, "id") == c->name + strlen(c->name) - 2;
		if (id && l->user < 0 && has_word(c->name, user_word))
			l->user = i;
		else if (id && l->item < 0 && has_word(c->name, item_word))
			l->item = i;
	}
	csv.max_cell = l->n;
	while (!st && l->rows < rows) {
		r = mtl_csv_next(&csv, e);
		if (r == MTL_ROW_END) break;
		if (r == MTL_ROW_FAIL) st = e->status;
		if (r != MTL_ROW_OK || csv.n_cell != l->n) {
			l->bad++;
			continue;
		}
		if (!keep_labels(l, &csv)) st = mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory to read it");
		for (int i = 0; i < l->n && !st; i++) {
			look_at(l, &l->c[i], &csv.cell[i]);
			uint64_t h = hash_of(&csv.cell[i]);
			if (l->user >= 0 && csv.cell[l->user].n)
				follow(&l->c[i].of_user, hash_of(&csv.cell[l->user]), h);
			if (l->item >= 0 && csv.cell[l->item].n)
				follow(&l->c[i].of_item, hash_of(&csv.cell[l->item]), h);
		}
		l->rows++;
	}
	mtl_csv_free(&csv);
	if (!st && !l->rows) st = mtl_fail(e, MTL_DATA, "", path, "no rows to look at");
	return st;
}

/* ---- decisions ---- */

/* A word of the language from a column's name; unlike those before it. */
static void name_columns(Look *l)
{
	for (int i = 0; i < l->n; i++) {
		const char *s = l->c[i].name;
		char *w = arena_alloc(l->arena, strlen(s) + 16), *to = w;
		if (!isalpha((unsigned char)*s) && *s != '_') *to++ = 'c';
		for (; *s; s++) *to++ = isalnum((unsigned char)*s) || *s == '_' ? *s : '_';
		if (!strcmp(w, "P") || !strcmp(w, "E")) *to++ = '_';
		size_t n = strlen(w);
		for (int k = 0, again = 2; k < i; k++)
			if (!strcmp(l->c[k].word, w)) {
				snprintf(w + n, 12, "_%d", again++);
				k = -1;
			}
		l->c[i].word = w;
	}
}

static bool label_of(const Look *l, int64_t row, int c, signed char *v)
{
	*v = l->label[row * l->n + c];
	return *v >= 0;
}

/* b never without a, and a often without b. */
static bool part_of(const Look *l, int b, int a)
{
	int64_t both = 0, only_b = 0, only_a = 0;
	for (int64_t r = 0; r < l->rows; r++) {
		signed char x, y;
		if (!label_of(l, r, a, &x)) continue;
		if (!label_of(l, r, b, &y)) y = 0;
		both += x && y;
		only_b += !x && y;
		only_a += x && !y;
	}
	return both > 0 && !only_b && only_a > 0;
}

static void choose_roles(Look *l)
{
	static const char *const weight_word[] = {"weight", "sample_weight", "importance", NULL};
	for (int i = 0; i < l->n; i++) {
		Column *c = &l->c[i];
		int64_t full = c->rows - c->empty;
		bool key = i == l->user || i == l->item;
		if (!full || (distinct_count(&c->distinct) < 2 && !c->empty) ||
		    !strncmp(c->name, "true_", 5) || (!key && has_word(c->name, time_word)) ||
		    (!key && full > 100 && !(c->numbers == full && c->integers < full) &&
		     (double)distinct_count(&c->distinct) > 0.98 * (double)full &&
		     !has_word(c->name, query_word)))
			c->role = IS_NOTHING;
		else if (c->binary == full && c->ones && c->ones < full && !has_word(c->name, fact_word))
			c->role = IS_LABEL;
		else if (c->numbers == full && c->min >= 0 && has_word(c->name, weight_word) &&
			 !strchr(c->name, ' ') && strcasestr(c->name, "sample"))
			c->role = IS_WEIGHT;
		else if (!key && has_word(c->name, query_word) && strcasestr(c->name, "id"))
			c->role = IS_GROUP;
	}
	/* The parent is the rarest label that this one is a part of. */
	for (int b = 0; b < l->n; b++) {
		if (l->c[b].role != IS_LABEL) continue;
		for (int a = 0; a < l->n; a++)
			if (a != b && l->c[a].role == IS_LABEL && part_of(l, b, a) &&
			    (l->c[b].parent < 0 || l->c[a].ones < l->c[l->c[b].parent].ones))
				l->c[b].parent = a;
	}
}

/* Of `meetings` with a known key, nearly all brought the same value. */
static bool follows(const Follows *f) { return f->same > 20 && f->other * 50 < f->same; }

static const char *side_of(const Look *l, Column *c, int i)
{
	bool by_user = has_word(c->name, user_word), by_item = has_word(c->name, item_word);
	c->request = true;
	if (i == l->user || (by_user && !by_item)) return "by its name";
	if (i == l->item || (by_item && !by_user)) return c->request = false, "by its name";
	bool user = l->user >= 0 && follows(&c->of_user), item = l->item >= 0 && follows(&c->of_item);
	if (user && !item) return arena_printf(l->arena, "one value for each %s", l->c[l->user].name);
	if (item && !user)
		return c->request = false,
		       arena_printf(l->arena, "one value for each %s", l->c[l->item].name);
	return "";
}

/* 1, 2 or 5 times a power of ten, at least x. */
static int64_t round_up(double x)
{
	for (int64_t p = 100;; p *= 10)
		for (int k = 1; k <= 5; k += k == 2 ? 3 : 1)
			if ((double)(k * p) >= x && k != 3) return k * p;
}

static void grouped(Text *t, int64_t n, char mark)
{
	char s[32];
	int len = snprintf(s, sizeof s, "%lld", (long long)n);
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0) text_char(t, mark);
		text_char(t, s[i]);
	}
}

static int list_separator(const Column *c)
{
	int64_t full = c->rows - c->empty, whole = distinct_count(&c->distinct);
	if (c->arrays) return 0;
	for (int s = 0; separators[s]; s++)
		if (c->lists[s] * 10 > full && 2 * distinct_count(&c->item[s]) < whole &&
		    c->numbers * 2 < full)
			return s;
	return -1;
}

static void quote(Text *t, const char *s)
{
	text_char(t, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\') text_char(t, '\\');
		text_char(t, *s);
	}
	text_char(t, '"');
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void fill_rate(Text *why, const Column *c)
{
	if (c->empty) text_printf(why, ", %.3g %% empty", 100.0 * (double)c->empty / (double)c->rows);
}

/* The kind of a feature, and why. */
static void kind_of(const Look *l, const Column *c, Text *kind, Text *why)
{
	int64_t full = c->rows - c->empty, distinct = distinct_count(&c->distinct);
	int s = list_separator(c);
	bool numbers = c->numbers == full, integers = numbers && c->integers == full;
	static const char *const id_word[] = {"id", "code", "zip", "no", NULL};
	bool id = c == &l->c[l->user < 0 ? l->n : l->user] || c == &l->c[l->item < 0 ? l->n : l->item] ||
		  has_word(c->name, id_word);
	if (s >= 0) {
		text_add(kind, "ids(hash: ");
		grouped(kind, round_up(3.0 * (double)distinct_count(&c->item[s])), '_');
		text_add(kind, ", pool: mean");
		if (s) text_printf(kind, ", sep: \"%c\"", separators[s]);
		grouped(why, distinct_count(&c->item[s]), ',');
		if (c->arrays)
			text_add(why, " items in arrays");
		else
			text_printf(why, " items in lists cut by '%c'", separators[s]);
	} else if (numbers && !id && !(integers && c->min >= 0 && c->max < 100 && distinct <= 32)) {
		if (integers && distinct > 32) {
			text_add(kind, "real(bucket: quantiles(32)");
			text_printf(why, "whole numbers from %.6g to %.6g", c->min, c->max);
		} else {
			double mean = c->sum / (double)c->numbers;
			bool skew = c->min >= 0 && c->max > 8 * mean;
			text_add(kind, skew ? "real(normalize: log1p" : "real(normalize: standard");
			text_printf(why, "numbers from %.6g to %.6g%s", c->min, c->max,
				    skew ? ", a few large ones" : "");
			if (c->empty) text_add(kind, ", missing: learned");
		}
	} else if (integers && c->min >= 0 && c->max < 100 && distinct <= 64) {
		text_printf(kind, "id(size: %d", (int)c->max + 1);
		text_printf(why, "%lld small whole numbers", (long long)distinct);
	} else if (distinct <= WORDS && c->n_vocab == distinct && !id) {
		char *word[WORDS];
		memcpy(word, c->vocab, sizeof word);
		qsort(word, (size_t)c->n_vocab, sizeof *word, by_bytes);
		text_add(kind, "id(vocab: [");
		for (int i = 0; i < c->n_vocab; i++) {
			if (i) text_add(kind, ", ");
			quote(kind, word[i]);
		}
		text_char(kind, ']');
		text_printf(why, "%d words", c->n_vocab);
	} else {
		text_add(kind, "id(hash: ");
		grouped(kind, round_up(3.0 * (double)distinct), '_');
		grouped(why, distinct, ',');
		text_add(why, " different");
	}
	if (strcmp(c->name, c->word)) {
		text_add(kind, ", column: ");
		quote(kind, c->name);
	}
	text_char(kind, ')');
	fill_rate(why, c);
}

/* Why a column is left out. */
static void left_out(const Column *c, Text *why)
{
	int64_t full = c->rows - c->empty;
	if (!full)
		text_add(why, "always empty");
	else if (distinct_count(&c->distinct) < 2)
		text_add(why, "always the same");
	else if (!strncmp(c->name, "true_", 5))
		text_add(why, "by its name the truth that a model is to find");
	else if (has_word(c->name, time_word))
		text_add(why, c->rises ? "a time, and rows in its order" : "a time");
	else
		text_add(why, "another value in each row");
}

/* ---- the text ---- */

static void write_group(const Look *l, bool request, bool rest, Text *out)
{
	int width = 0;
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < l->n; i++) {
			Column *c = &l->c[i];
			if (c->role != IS_FEATURE) continue;
			const char *because = side_of(l, c, i);
			bool mine = rest ? !*because : *because && c->request == request;
			if (!mine) continue;
			if (pass == 0) {
				width = (int)strlen(c->word) > width ? (int)strlen(c->word) : width;
				continue;
			}
			Text kind = {0}, why = {0};
			kind_of(l, c, &kind, &why);
			text_printf(out, "  %-*s : %-44s # %s%s%s\n", width, c->word, kind.at, why.at,
				    *because ? "; " : "", because);
			text_free(&kind);
			text_free(&why);
		}
}

static int count_group(const Look *l, bool request, bool rest)
{
	int n = 0;
	for (int i = 0; i < l->n; i++) {
		if (l->c[i].role != IS_FEATURE) continue;
		const char *because = side_of(l, &l->c[i], i);
		n += rest ? !*because : *because && l->c[i].request == request;
	}
	return n;
}

static bool is_word(const Look *l, const char *w)
{
	for (int i = 0; i < l->n; i++)
		if (!strcmp(l->c[i].word, w)) return true;
	return false;
}

static void write_events(const Look *l, Text *out)
{
	/* Parents first: as deep as the tree is. */
	for (int depth = 0; depth < l->n; depth++)
		for (int i = 0; i < l->n; i++) {
			const Column *c = &l->c[i];
			int d = 0;
			for (int p = c->parent; p >= 0; p = l->c[p].parent) d++;
			if (c->role != IS_LABEL || d != depth) continue;
			char line[256];
			int n = snprintf(line, sizeof line, "event %s", c->word);
			if (c->parent >= 0)
				n += snprintf(line + n, sizeof line - (size_t)n, " of %s",
					      l->c[c->parent].word);
			if (strcmp(c->word, c->name))
				n += snprintf(line + n, sizeof line - (size_t)n, " label \"%s\"", c->name);
			double share = 100.0 * (double)c->ones / (double)(c->rows - c->empty);
			text_printf(out, "%-32s # 0 and 1; 1 in %.3g %% of the rows%s", line, share,
				    c->empty ? " that have it" : "");
			if (c->parent >= 0) text_printf(out, ", all of them with %s", l->c[c->parent].name);
			text_char(out, '\n');
		}
}

static void write_network(const Look *l, const char *const *group, Text *out)
{
	text_add(out, "\nshared x = concat(");
	for (int i = 0, n = 0; i < 3; i++)
		if (group[i]) text_printf(out, "%s%s", n++ ? ", " : "", group[i]);
	text_add(out, ")\n\n");
	for (int i = 0; i < l->n; i++)
		if (l->c[i].role == IS_LABEL)
			text_printf(out, "tower to_%s = x -> mlp([128, 64], act: relu) -> dense(1)\n",
				    l->c[i].word);
	text_char(out, '\n');
	for (int i = 0; i < l->n; i++) {
		const Column *c = &l->c[i];
		if (c->role != IS_LABEL) continue;
		text_printf(out, "P(%s", c->word);
		if (c->parent >= 0) text_printf(out, " | %s", l->c[c->parent].word);
		text_printf(out, ") = sigmoid(to_%s)\n", c->word);
	}
	text_char(out, '\n');
	for (int i = 0; i < l->n; i++)
		if (l->c[i].role == IS_LABEL)
			text_printf(out, "loss %s: bce(P(%s))%s\n", l->c[i].word, l->c[i].word,
				    l->c[i].parent >= 0
					? "    # over all rows; bce(P(a | b)) would learn from b's rows only"
					: "");
	text_add(out, "\noutput ");
	for (int i = 0, n = 0; i < l->n; i++)
		if (l->c[i].role == IS_LABEL)
			text_printf(out, "%sp_%s = P(%s)", n++ ? ", " : "", l->c[i].word, l->c[i].word);
	text_char(out, '\n');
}

static const char *free_name(const Look *l, const char *name, const char *other)
{
	return is_word(l, name) ? other : name;
}

static void write_model(const Look *l, const char *path, const char *name, Text *out, Text *note)
{
	text_printf(out, "# Proposed for %s from ", path);
	grouped(out, l->rows, ',');
	text_add(out, " rows.  Each guess stands beside its reason: check them.\n");
	text_printf(out, "model %s\n\n", name);
	const char *group[3] = {NULL};
	struct {
		bool request, rest;
		const char *name, *head;
	} part[] = {{true, false, free_name(l, "user", "of_user"), "per request"},
		    {true, true, free_name(l, "context", "of_context"), "per request"},
		    {false, false, free_name(l, "item", "of_item"), "per candidate"}};
	for (int i = 0; i < 3; i++) {
		if (!count_group(l, part[i].request, part[i].rest)) continue;
		group[i] = part[i].name;
		text_printf(
		    out, "features %s %s {%s\n", part[i].name, part[i].head,
		    part[i].rest ? "   # on which side of the request these are, the log does not tell" : "");
		write_group(l, part[i].request, part[i].rest, out);
		text_add(out, "}\n");
	}
	text_add(out, "embed 16                         # the default width of an embedding\n");
	int n_label = 0, n_out = 0, n_rows = 0, n_feature = 0;
	for (int i = 0; i < l->n; i++) {
		n_label += l->c[i].role == IS_LABEL;
		n_out += l->c[i].role == IS_NOTHING;
		n_feature += l->c[i].role == IS_FEATURE;
	}
	if (n_out) text_add(out, "\n# Left out:\n");
	for (int i = 0; i < l->n; i++)
		if (l->c[i].role == IS_NOTHING) {
			Text why = {0};
			left_out(&l->c[i], &why);
			text_printf(out, "#   %s: %s\n", l->c[i].name, why.at);
			text_free(&why);
		}
	for (int i = 0; i < l->n; i++) {
		Role r = l->c[i].role;
		if (r != IS_WEIGHT && r != IS_GROUP) continue;
		text_printf(out, "%s%s: %s", n_rows++ ? "  " : "\nrows { ",
			    r == IS_WEIGHT ? "weight" : "group", l->c[i].word);
	}
	if (n_rows) text_add(out, " }           # by their names\n");
	text_char(out, '\n');
	if (n_label && n_feature) {
		write_events(l, out);
		write_network(l, group, out);
		text_add(out,
			 "\ntrain { optimizer: adam(lr: 1e-3)  batch: 1024  epochs: 1  shuffle: 100_000 }\n");
	} else {
		text_add(out, "# No column holds only 0 and 1: what is to be predicted?  For each outcome:\n"
			      "#   event click label COLUMN\n#   tower to_click = ... -> dense(1)\n"
			      "#   P(click) = sigmoid(to_click)\n#   loss click: bce(P(click))\n");
		text_printf(note, "no column looks like a label: the model is not finished");
	}
	if (l->bad)
		text_printf(note, "%s%lld rows could not be read and were left aside", note->at ? "; " : "",
			    (long long)l->bad);
}

MtlStatus propose(const char *path, int64_t rows, const char *name, Text *out, Text *note, MtlError *e)
{
	Look l = {.arena = arena_create()};
	MtlStatus st = read_log(&l, path, rows, e);
	if (!st) {
		name_columns(&l);
		choose_roles(&l);
		write_model(&l, path, name, out, note);
	}
	for (int i = 0; i < l.n; i++) {
		distinct_free(&l.c[i].distinct);
		for (int s = 0; separators[s]; s++) distinct_free(&l.c[i].item[s]);
		free(l.c[i].of_user.at);
		free(l.c[i].of_item.at);
	}
	free(l.label);
	arena_destroy(l.arena);
	return st;
}
