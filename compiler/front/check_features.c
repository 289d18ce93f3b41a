/* Features: what a column is, how a cell becomes a table row or a number, how a group becomes a tensor. */
#include "front/checker.h"
#include <math.h>
#include <string.h>

int find_group(const Check *c, Str name)
{
	for (int i = 0; i < c->s->group.n; i++)
		if (c->s->group.at[i].name == name) return i;
	return -1;
}

int find_feature(const Check *c, Str name)
{
	for (int i = 0; i < c->s->feature.n; i++)
		if (c->s->feature.at[i].name == name) return i;
	return -1;
}

/* ---- attributes ---- */

enum { ON_ID = 1, ON_BAG = 2, ON_NUMBER = 4, ON_TABLE = ON_ID | ON_BAG, ON_ALL = 7 };

typedef struct Attribute {
	const char *name;
	int kinds;
	void (*set)(Check *c, Feature *f, const Ast *arg);
	bool code; /* says how a cell becomes a table row */
} Attribute;

static bool word_in(Check *c, const Ast *e, const char *what, int n, const char *const *word, int *out)
{
	for (int i = 0; i < n; i++)
		if (e->kind == AST_NAME && !strcmp(e->name, word[i])) {
			*out = i;
			return true;
		}
	Text t = {0};
	for (int i = 0; i < n; i++) text_printf(&t, "%s%s", !i ? "" : i == n - 1 ? " or " : ", ", word[i]);
	told(c, e->span, "M0104", "%s must be %s", what, t.at);
	text_free(&t);
	if (e->kind == AST_NAME) {
		Near near = {.arena = c->a};
		for (int i = 0; i < n; i++) near_add(&near, word[i]);
		help_near(c, &near, e->name);
	}
	return false;
}

static void set_count(Check *c, Feature *f, const Ast *arg, FeatureCode code, const char *what)
{
	f->code = code;
	int64_t n;
	if (want_whole(c, eval(c, arg->a), arg->a->span, what, 1, 2e9, &n)) f->n = n;
}

static void set_hash(Check *c, Feature *f, const Ast *arg)
{
	set_count(c, f, arg, CODE_HASH, "the number of hash buckets");
}
static void set_size(Check *c, Feature *f, const Ast *arg)
{
	set_count(c, f, arg, CODE_SIZE, "the number of values");
}

static void set_vocab(Check *c, Feature *f, const Ast *arg)
{
	const Ast *e = arg->a;
	if (e->kind == AST_CALL && !strcmp(e->name, "auto")) {
		f->code = CODE_VOCAB_AUTO;
		f->min_count = 1;
		int64_t n;
		for (int i = 0; i < e->list.n; i++) {
			const Ast *x = e->list.at[i];
			if (i > 1 || (x->name && strcmp(x->name, i ? "min_count" : "max"))) {
				told(c, x->span, "M0104", "it is auto(max, min_count)");
				return;
			}
			if (!want_whole(c, eval(c, x->a), x->a->span,
					i ? "min_count" : "the largest vocabulary", 1, 2e9, &n))
				return;
			*(i ? &f->min_count : &f->n) = n;
		}
		if (!e->list.n)
			told(c, e->span, "M0104", "auto needs the largest number of words: auto(10_000)");
		return;
	}
	f->code = CODE_VOCAB;
	for (int i = 0; e->kind == AST_LIST && i < e->list.n; i++) {
		const Ast *w = e->list.at[i];
		if (w->kind == AST_ARG && !w->name) w = w->a;
		if (w->kind != AST_NAME || scope_find(c->scope, w->name)) continue;
		told(c, w->span, "M0104", "a word of a vocabulary stands in quotes");
		diag_help(c->d, "\"%s\"", w->name);
		return;
	}
	const Value *v = eval(c, e);
	if (v->kind == V_POISON) return;
	if (v->kind != V_LIST) {
		told(c, e->span, "M0104", "vocab must be a list of strings or auto(max), this is %s",
		     value_kind_word(v));
		return;
	}
	for (int i = 0; i < v->item.n; i++) {
		const Value *w = v->item.at[i];
		Str word = w->kind == V_STRING ? w->text : w->kind == V_NUMBER ? key_of(c, w) : NULL;
		if (!word) {
			if (w->kind != V_POISON)
				told(c, w->span, "M0104", "a word of a vocabulary is a string, this is %s",
				     value_kind_word(w));
			continue;
		}
		for (int j = 0; j < f->vocab.n; j++)
			if (f->vocab.at[j] == word)
				told(c, w->span, "M0111", "\"%s\" stands twice in the vocabulary of '%s'",
				     word, f->name);
		vec_push(c->a, &f->vocab, word);
	}
	f->n = f->vocab.n;
	if (!v->item.n) told(c, e->span, "M0104", "the vocabulary of '%s' is empty", f->name);
}

static void set_bucket(Check *c, Feature *f, const Ast *arg)
{
	const Ast *e = arg->a;
	if (e->kind == AST_CALL && !strcmp(e->name, "quantiles")) {
		f->code = CODE_QUANTILES;
		int64_t n;
		if (e->list.n != 1)
			told(c, e->span, "M0104", "quantiles needs one number, the buckets: quantiles(32)");
		else if (want_whole(c, eval(c, e->list.at[0]->a), e->list.at[0]->span,
				    "the number of buckets", 2, 65536, &n))
			f->n = n;
		return;
	}
	f->code = CODE_BUCKET;
	const Value *v = eval(c, e);
	if (v->kind == V_POISON) return;
	if (v->kind != V_LIST || !v->item.n) {
		told(c, e->span, "M0104", "bucket must be a list of edges, [18, 25, 35], or quantiles(32)");
		return;
	}
	for (int i = 0; i < v->item.n; i++) {
		double edge;
		if (!want_number(c, v->item.at[i], v->item.at[i]->span, "an edge", &edge)) continue;
		if (f->edges.n && edge <= f->edges.at[f->edges.n - 1])
			told(c, v->item.at[i]->span, "M0110",
			     "the edges of '%s' must rise: %g comes after %g", f->name, edge,
			     f->edges.at[f->edges.n - 1]);
		vec_push(c->a, &f->edges, edge);
	}
	f->n = f->edges.n + 1;
}

static void set_normalize(Check *c, Feature *f, const Ast *arg)
{
	static const char *const word[] = {"none", "log1p", "standard", "minmax"};
	int i;
	if (word_in(c, arg->a, "normalize", 4, word, &i)) f->normal = (FeatureNormal)i;
}

static void set_missing(Check *c, Feature *f, const Ast *arg)
{
	bool constant = arg->a->kind == AST_NAME && strcmp(arg->a->name, "learned") &&
			strcmp(arg->a->name, "own") && scope_find(c->scope, arg->a->name);
	if (arg->a->kind == AST_NAME && !constant) {
		static const char *const word[] = {"a number", "learned", "own"}; /* no name is the first */
		int i;
		if (word_in(c, arg->a, "missing", 3, word, &i))
			f->missing = i == 2 ? MISSING_OWN : MISSING_LEARNED;
		return;
	}
	if (want_number(c, eval(c, arg->a), arg->a->span, "missing", &f->missing_value))
		f->missing = MISSING_VALUE;
}

enum { LONGEST = 1024 }; /* steps of a sequence at most */

static void set_pool(Check *c, Feature *f, const Ast *arg)
{
	static const char *const word[] = {"sum", "mean", "max"};
	int i;
	if (!word_in(c, arg->a, "pool", 3, word, &i)) return;
	f->pool_mean = i == 1;
	f->pool_max = i == 2;
}

static void set_keep(Check *c, Feature *f, const Ast *arg)
{
	static const char *const word[] = {"first", "last"};
	int i;
	if (word_in(c, arg->a, "keep", 2, word, &i)) f->keep_last = i == 1;
}

static void set_max(Check *c, Feature *f, const Ast *arg)
{
	int64_t n;
	if (want_whole(c, eval(c, arg->a), arg->a->span, "the most items of a list", 1, 65536, &n))
		f->max_items = (int)n;
}

static void set_sep(Check *c, Feature *f, const Ast *arg)
{
	if (arg->a->kind != AST_STRING || strlen(arg->a->text) != 1 || strchr("\n\r\":", arg->a->text[0]))
		told(c, arg->a->span, "M0104",
		     "sep must be one character in quotes, not a colon, a quote or a line's end");
	else
		f->separator = arg->a->text[0];
}

static void set_column(Check *c, Feature *f, const Ast *arg)
{
	if (arg->a->kind == AST_STRING && *arg->a->text)
		f->column = arg->a->text;
	else if (arg->a->kind == AST_NAME)
		f->column = arg->a->name;
	else
		told(c, arg->a->span, "M0104", "column must be a name in quotes");
}

static void set_embed(Check *c, Feature *f, const Ast *arg)
{
	int64_t n;
	if (want_whole(c, eval(c, arg->a), arg->a->span, "the width of an embedding", 1, 4096, &n))
		f->dim = (int)n;
}

/* Resolved when every feature is known (finish_features); until then -2. */
static void set_share(Check *c, Feature *f, const Ast *arg)
{
	f->share = -2;
	if (arg->a->kind != AST_NAME)
		told(c, arg->a->span, "M0104", "share needs the name of another feature");
}

static void set_train_only(Check *c, Feature *f, const Ast *arg) { (void)c, (void)arg, f->train_only = true; }
static void set_dropout(Check *c, Feature *f, const Ast *arg)
{
	if (!want_number(c, eval(c, arg->a), arg->a->span, "dropout", &f->dropout)) return;
	if (f->dropout >= 0 && f->dropout < 1) return;
	told(c, arg->a->span, "M0311",
	     "the share of cells that is taken as missing lies in [0, 1), %g does not", f->dropout);
}

/* An event's name; lint_late finds it, when every event is known. */
static void set_after(Check *c, Feature *f, const Ast *arg)
{
	if (arg->a->kind == AST_NAME)
		f->after = arg->a->name;
	else
		told(c, arg->a->span, "M0104", "after needs the name of an event");
}

static const Attribute attribute[] = {
    {"hash", ON_TABLE, set_hash, true},
    {"vocab", ON_TABLE, set_vocab, true},
    {"size", ON_TABLE, set_size, true},
    {"bucket", ON_NUMBER, set_bucket, true},
    {"share", ON_TABLE, set_share, true},
    {"normalize", ON_NUMBER, set_normalize, false},
    {"missing", ON_NUMBER, set_missing, false},
    {"embed", ON_ALL, set_embed, false},
    {"pool", ON_BAG, set_pool, false},
    {"keep", ON_BAG, set_keep, false},
    {"max", ON_BAG, set_max, false},
    {"sep", ON_BAG, set_sep, false},
    {"column", ON_ALL, set_column, false},
    {"dropout", ON_ID | ON_NUMBER, set_dropout, false},
    {"train_only", ON_ALL, set_train_only, false},
    {"after", ON_ALL, set_after, false},
};
enum { N_ATTRIBUTE = sizeof attribute / sizeof *attribute };

enum { CROSS_PARTS = 8 }; /* of runtime/cross.h */

/* cross(a, b, hash: n): its parts are names, resolved when every feature is known (finish_crosses). */
static bool cross_argument(Check *c, Feature *f, const Ast *arg)
{
	bool part = !arg->name && arg->a && arg->a->kind == AST_NAME;
	if (!part) {
		if (arg->name && (!strcmp(arg->name, "hash") || !strcmp(arg->name, "embed"))) return false;
		told(c, arg->span, "M0119",
		     "a cross has the names of its parts, hash: and embed:, nothing else");
		return true;
	}
	if (f->cross.n == CROSS_PARTS)
		told(c, arg->span, "M0119", "a cross has at most %d parts", CROSS_PARTS);
	else
		vec_push(c->a, &f->cross, -1);
	return true;
}

static const char *const kind_word[] = {"id", "ids", "real"};

/* NULL: told.  A flag (train_only) stands as a bare name. */
static const Attribute *find_attribute(Check *c, const Feature *f, const Ast *arg, Str *name)
{
	bool bare = !arg->name && arg->a && arg->a->kind == AST_NAME;
	*name = arg->name ? arg->name : bare ? arg->a->name : NULL;
	if (!*name) {
		told(c, arg->span, "M0103", "an attribute has a name: `hash: 1000`");
		return NULL;
	}
	Near near = {.arena = c->a};
	for (int i = 0; i < N_ATTRIBUTE; i++) {
		const Attribute *at = &attribute[i];
		near_add(&near, at->name);
		if (strcmp(at->name, *name)) continue;
		if (!(at->kinds & (1 << f->kind))) {
			told(c, arg->span, "M0109", "'%s' does not apply to '%s', which is %s %s feature",
			     *name, f->name, f->kind == FEATURE_NUMBER ? "a" : "an", kind_word[f->kind]);
			return NULL;
		}
		if (bare && at->set != set_train_only) {
			told(c, arg->span, "M0104", "'%s' needs a value: `%s: ...`", *name, *name);
			return NULL;
		}
		return at;
	}
	told(c, arg->span, "M0103", "a feature has no attribute '%s'", *name);
	help_near(c, &near, *name);
	return NULL;
}

static const char *const code_help[] = {
    "say how its values become table rows: hash: 100_000, vocab: [\"a\", \"b\"], vocab: auto(10_000) or "
    "size: 100",
    "say how its items become table rows: hash: 100_000, vocab: [\"a\", \"b\"], vocab: auto(10_000) or size: "
    "100",
};

/* A field is one value a step: an id, or a number in buckets.  It is read as a list. */
static bool as_field(Check *c, Feature *f, const Seq *q, const Ast *item)
{
	for (int i = 0; i < item->list.n; i++) {
		const Ast *arg = item->list.at[i];
		Str name = arg->name ? arg->name : arg->a && arg->a->kind == AST_NAME ? arg->a->name : NULL;
		static const char *const not [] = {"after", "dropout", "missing", "normalize", "train_only"};
		for (int k = 0; name && k < 5; k++)
			if (!strcmp(name, not [k])) {
				told(c, arg->span, "M0109",
				     "'%s' does not apply to '%s', which is a field of a sequence", name,
				     f->name);
				return false;
			}
	}
	if (f->kind == FEATURE_BAG || (f->kind == FEATURE_NUMBER && f->code == CODE_PLAIN)) {
		told(c, item->span, "M0117",
		     f->kind == FEATURE_BAG ? "a step has one value of each field, '%s' would have several"
					    : "'%s' is a plain number; a step's numbers need buckets",
		     f->name);
		if (f->kind == FEATURE_BAG)
			diag_help(c->d, "write %s : id(...)", item->name);
		else
			diag_help(c->d, "write %s : real(bucket: quantiles(16)) or give the edges",
				  item->name);
		return false;
	}
	f->kind = FEATURE_BAG;
	f->missing = MISSING_ERROR;
	f->max_items = q->max;
	f->keep_last = q->keep_last;
	return true;
}

/* Lists of which the largest is wanted, column by column, are a sequence of one field that no name reaches.
 */
static bool as_steps(Check *c, Feature *f)
{
	if (!f->max_items) f->max_items = LONGEST;
	if (f->max_items > LONGEST) {
		told(c, f->span, "M0117", "lists of 'pool: max' have at most %d items, not %d", LONGEST,
		     f->max_items);
		return false;
	}
	Seq q = {.name = str_printf(c->str, "%s.items", f->name),
		 .group = -1,
		 .span = f->span,
		 .max = f->max_items,
		 .keep_last = f->keep_last};
	vec_push(c->a, &q.feature, c->s->feature.n);
	vec_push(c->a, &c->s->seq, q);
	f->seq = c->s->seq.n;
	return true;
}

static void check_feature(Check *c, const Ast *item, int group, int seq, char separator)
{
	Feature f = {.name = seq ? str_printf(c->str, "%s.%s", c->s->seq.at[seq - 1].name, item->name)
				 : item->name,
		     .column = item->name,
		     .group = group,
		     .seq = seq,
		     .span = item->name_span,
		     .share = -1,
		     .separator = separator};
	bool known = false, cross = item->text && !strcmp(item->text, "cross") && !seq;
	if (cross) f.kind = FEATURE_ID, known = true;
	for (int i = 0; item->text && i < 3; i++)
		if (!strcmp(item->text, kind_word[i])) f.kind = (FeatureKind)i, known = true;
	if (!known) {
		Near near = {.arena = c->a};
		for (int i = 0; i < 3; i++) near_add(&near, kind_word[i]);
		near_add(&near, "seq");
		near_add(&near, "cross");
		if (item->text && !strcmp(item->text, "seq"))
			told(c, item->span, "M0117", "a sequence has no sequences in it");
		else if (item->text && !strcmp(item->text, "cross"))
			told(c, item->span, "M0119", "a cross is no field of a sequence");
		else {
			told(c, item->span, "M0101",
			     "a feature is an id, ids, real, seq or cross; there is "
			     "no '%s'",
			     item->text ? item->text : "");
			if (item->text) help_near(c, &near, item->text);
		}
	}
	const Attribute *coded = NULL;
	Str coded_name = NULL;
	const Ast *share = NULL, *dimension = NULL, *missing = NULL;
	bool seen[N_ATTRIBUTE] = {false};
	bool faulty = !known;
	for (int i = 0; known && i < item->list.n; i++) {
		const Ast *arg = item->list.at[i];
		Str name;
		if (cross && cross_argument(c, &f, arg)) continue;
		const Attribute *at = find_attribute(c, &f, arg, &name);
		if (!at) {
			faulty = true;
			continue;
		}
		if (seen[at - attribute]) {
			told(c, arg->span, "M0105", "'%s' is said twice", name);
			continue;
		}
		seen[at - attribute] = true;
		if (at->code && coded) {
			told(c, arg->span, "M0105",
			     "'%s' has both %s and %s: one says how its values become table rows", f.name,
			     coded_name, name);
			continue;
		}
		if (at->code) coded = at, coded_name = name;
		if (at->set == set_share) share = arg;
		if (at->set == set_embed) dimension = arg;
		if (at->set == set_missing) missing = arg;
		at->set(c, &f, arg);
	}
	if (cross && f.cross.n < 2)
		told(c, item->span, "M0119", "a cross needs two features or more: cross(a, b, hash: 10_000)");
	if (cross && !faulty && !coded)
		told(c, item->span, "M0119", "'%s' needs hash: n, the rows of its table", f.name);
	if (known && !cross && !faulty && f.kind != FEATURE_NUMBER && !coded) {
		told(c, item->span, "M0106", "'%s' has no code", f.name);
		diag_help(c->d, "%s", code_help[f.kind]);
	}
	if (f.kind == FEATURE_NUMBER && f.code == CODE_PLAIN) {
		if (dimension && known)
			told(c, dimension->span, "M0109",
			     "'%s' is a plain number and has no table to give a width", f.name);
		if (f.missing == MISSING_OWN) {
			told(c, missing->span, "M0109",
			     "missing: own is a row of a table; '%s' is a plain number", f.name);
			diag_help(c->d, "write missing: learned, or give it buckets");
		}
	}
	if (f.kind == FEATURE_NUMBER && f.code == CODE_PLAIN && f.dropout > 0 &&
	    f.missing != MISSING_LEARNED) {
		told(c, item->name_span, "M0109",
		     "dropout takes cells as missing, and '%s' learns nothing for those", f.name);
		diag_help(c->d, "write missing: learned, or give it buckets");
	}
	if (f.kind == FEATURE_NUMBER && f.code != CODE_PLAIN) {
		if (!missing) f.missing = MISSING_OWN;
		if (f.normal != NORMAL_NONE)
			told(c, item->span, "M0109", "'%s' is cut into buckets: normalize does nothing to it",
			     f.name);
	}
	if (seq && known && !faulty && !as_field(c, &f, &c->s->seq.at[seq - 1], item)) return;
	int twin = find_feature(c, f.name);
	if (twin >= 0) {
		told(c, item->name_span, "M0107", "feature '%s' is declared twice", f.name);
		diag_note(c->d, c->s->feature.at[twin].span, "the first time here");
		diag_help(c->d,
			  "to read one column in two ways, give the second another name and column: \"%s\"",
			  f.column);
		return;
	}
	if (f.pool_max && !as_steps(c, &f)) return;
	vec_push(c->a, &c->s->feature, f);
	vec_push(c->a, &c->feature_used, false);
	vec_push(c->a, &c->feature_faulty, faulty);
	vec_push(c->a, &c->share, share ? share->a : NULL);
	vec_push(c->a, &c->feature_ast, item);
	if (seq)
		vec_push(c->a, &c->s->seq.at[seq - 1].feature, c->s->feature.n - 1);
	else
		vec_push(c->a, &c->s->group.at[group].feature, c->s->feature.n - 1);
}

/* ---- sequences: NAME : seq(max: n, keep: last, sep: " ") { fields } ---- */

int find_seq(const Check *c, Str name)
{
	for (int i = 0; i < c->s->seq.n; i++)
		if (c->s->seq.at[i].name == name) return i;
	return -1;
}

int find_field(Check *c, int seq, Str name)
{
	const Seq *q = &c->s->seq.at[seq];
	return find_feature(c, str_printf(c->str, "%s.%s", q->name, name));
}

/* What is said of the sequence; false: told. */
static bool seq_arguments(Check *c, const Ast *item, Seq *q, char *separator)
{
	Feature f = {.name = item->name, .separator = '|'};
	bool ok = true;
	for (int i = 0; i < item->list.n; i++) {
		const Ast *arg = item->list.at[i];
		int64_t max;
		if (arg->name && !strcmp(arg->name, "max")) {
			if (!want_whole(c, eval(c, arg->a), arg->a->span, "the most steps of a sequence", 1,
					LONGEST, &max))
				ok = false;
			else
				q->max = (int)max;
		} else if (arg->name && !strcmp(arg->name, "keep")) {
			set_keep(c, &f, arg);
		} else if (arg->name && !strcmp(arg->name, "sep")) {
			set_sep(c, &f, arg);
		} else {
			told(c, arg->span, "M0103", "a sequence takes max, keep and sep, nothing else");
			ok = false;
		}
	}
	q->keep_last = f.keep_last;
	*separator = f.separator;
	if (ok && !q->max) {
		told(c, item->span, "M0117", "sequence '%s' has no longest length", item->name);
		diag_help(
		    c->d,
		    "write seq(max: 50) { ... }: longer ones are cut, at the side that keep: leaves over");
		return false;
	}
	return ok;
}

static void check_seq(Check *c, const Ast *item, int group)
{
	Seq q = {.name = item->name, .group = group, .span = item->name_span};
	char separator;
	if (!seq_arguments(c, item, &q, &separator)) return;
	if (find_seq(c, q.name) >= 0 || find_feature(c, q.name) >= 0) {
		told(c, item->name_span, "M0107", "feature '%s' is declared twice", q.name);
		return;
	}
	vec_push(c->a, &c->s->seq, q);
	int n = c->s->seq.n;
	for (int i = 0; item->c && i < item->c->list.n; i++)
		if (item->c->list.at[i]) check_feature(c, item->c->list.at[i], group, n, separator);
	if (c->s->seq.at[n - 1].feature.n) return;
	if (!item->c || !item->c->list.n) {
		told(c, item->span, "M0117", "sequence '%s' has no fields", q.name);
		diag_help(c->d, "write what a step consists of: seq(max: 50) { item : id(hash: 1000) }");
	}
	c->s->seq.n--;
}

void collect_features(Check *c, const Ast *item)
{
	int old = find_group(c, item->name);
	if (old >= 0) {
		told(c, item->name_span, "M0108", "feature group '%s' is declared twice", item->name);
		diag_note(c->d, c->s->group.at[old].span, "the first time here");
		return;
	}
	vec_push(c->a, &c->s->group,
		 (Group){.name = item->name,
			 .span = item->name_span,
			 .candidate = !item->text || strcmp(item->text, "request")});
	int group = c->s->group.n - 1;
	for (int i = 0; i < item->list.n; i++)
		if (item->list.at[i] && item->list.at[i]->text && !strcmp(item->list.at[i]->text, "seq"))
			check_seq(c, item->list.at[i], group);
		else if (item->list.at[i])
			check_feature(c, item->list.at[i], group, 0, '|');
	if (!item->list.n) told(c, item->name_span, "M0113", "feature group '%s' is empty", item->name);
}

/* What a part of a cross must be; false: told. */
static bool crossable(Check *c, const Feature *x, const Feature *p, Span at)
{
	const Group *of = &c->s->group.at[x->group], *its = &c->s->group.at[p->group];
	bool coded = p->kind == FEATURE_ID || (p->kind == FEATURE_NUMBER && p->code != CODE_PLAIN);
	if (p->cross.n)
		told(c, at, "M0119", "'%s' is a cross itself: name its parts", p->name);
	else if (p->kind == FEATURE_BAG)
		told(c, at, "M0119", "'%s' is a list, and a cross is of one category each", p->name);
	else if (!coded)
		told(c, at, "M0119", "'%s' is a plain number: give it buckets, and it has categories",
		     p->name);
	else if (its->candidate && !of->candidate)
		told(c, at, "M0119",
		     "'%s' is of the candidate, so its cross belongs in a group per candidate", p->name);
	else
		return true;
	diag_note(c->d, p->span, "'%s' is declared here", p->name);
	return false;
}

static void finish_cross(Check *c, int i)
{
	Feature *x = &c->s->feature.at[i];
	const Ast *item = c->feature_ast.at[i];
	for (int k = 0, n = 0; k < item->list.n && n < x->cross.n; k++) {
		const Ast *arg = item->list.at[k];
		if (arg->name || !arg->a || arg->a->kind != AST_NAME) continue;
		int j = find_feature(c, arg->a->name);
		x->cross.at[n++] = j < 0 ? i : j;
		if (j < 0) {
			told(c, arg->span, "M0119", "'%s' crosses '%s', which is no feature", x->name,
			     arg->a->name);
			Near near = {.arena = c->a};
			for (int f = 0; f < c->s->feature.n; f++)
				if (f != i) near_add(&near, c->s->feature.at[f].name);
			help_near(c, &near, arg->a->name);
			continue;
		}
		const Feature *p = &c->s->feature.at[j];
		if (crossable(c, x, p, arg->span)) x->train_only |= p->train_only;
	}
}

/* `share: other` follows chains to the feature that owns the table. */
void finish_features(Check *c)
{
	int n = c->s->feature.n;
	for (int i = 0; i < n; i++)
		if (c->s->feature.at[i].cross.n) finish_cross(c, i);
	for (int i = 0; i < n; i++) {
		Feature *f = &c->s->feature.at[i];
		const Ast *e = c->share.at[i];
		if (f->share != -2) continue;
		f->share = -1;
		if (!e || e->kind != AST_NAME) continue;
		int j = find_feature(c, e->name);
		if (j < 0) {
			told(c, e->span, "M0114", "'%s' shares the table of '%s', which is no feature",
			     f->name, e->name);
			Near near = {.arena = c->a};
			for (int k = 0; k < n; k++)
				if (k != i) near_add(&near, c->s->feature.at[k].name);
			help_near(c, &near, e->name);
			continue;
		}
		int owner = j, steps = 0;
		while (c->share.at[owner] && steps++ <= n) {
			const Ast *next = c->share.at[owner];
			int k = next->kind == AST_NAME ? find_feature(c, next->name) : -1;
			if (k < 0) break;
			owner = k;
		}
		if (steps > n || owner == i) {
			told(c, e->span, "M0114",
			     "'%s' shares the table of '%s', which shares its own: one must own the table",
			     f->name, e->name);
			continue;
		}
		const Feature *o = &c->s->feature.at[owner];
		if (o->cross.n) {
			told(c, e->span, "M0114", "'%s' shares the table of '%s', which is a cross", f->name,
			     o->name);
			continue;
		}
		if (o->kind == FEATURE_NUMBER) {
			told(c, e->span, "M0114",
			     "'%s' is an %s feature and cannot share with '%s', a real one", f->name,
			     kind_word[f->kind], o->name);
			diag_note(c->d, o->span, "'%s' is declared here", o->name);
			continue;
		}
		if (f->dim && o->dim != f->dim) {
			told(c, e->span, "M0114", "'%s' has embed: %d, but shares the table of '%s'", f->name,
			     f->dim, o->name);
			diag_note(c->d, o->span, "whose width is set here");
			continue;
		}
		f->share = owner;
		f->code = o->code;
		f->n = o->n;
		f->min_count = o->min_count;
		f->dim = o->dim;
		memcpy(&f->vocab, &o->vocab, sizeof f->vocab);
	}
}

/* ---- from features to tensors ---- */

static int64_t table_rows(const Feature *f)
{
	return f->code == CODE_VOCAB_AUTO ? 0 : f->n + 2; /* MISSING, UNKNOWN, values */
}

static int find_table(Check *c, int feature, Str set, int dim)
{
	const Feature *f = &c->s->feature.at[feature];
	int owner = f->share >= 0 ? f->share : feature;
	Str owner_name = c->s->feature.at[owner].name;
	Str name = set ? str_printf(c->str, "embed.%s.%s.weight", set, owner_name)
		       : str_printf(c->str, "embed.%s.weight", owner_name);
	for (int i = 0; i < c->s->table.n; i++)
		if (c->s->table.at[i].name == name) return i;
	Table t = {.name = name,
		   .feature = owner,
		   .rows = table_rows(&c->s->feature.at[owner]),
		   .dim = dim,
		   .init = {INIT_UNIFORM, -0.05, 0.05},
		   .span = f->span};
	vec_push(c->a, &c->s->table, t);
	return c->s->table.n - 1;
}

static NodeId look_up(Check *c, int feature, int table, Span at)
{
	int dim = c->s->table.at[table].dim, i = 0;
	while (i < c->s->lookup.n &&
	       (c->s->lookup.at[i].feature != feature || c->s->lookup.at[i].table != table))
		i++;
	if (i == c->s->lookup.n) {
		vec_push(c->a, &c->s->lookup, (Lookup){feature, table, c->s->n_drow, -1});
		c->s->n_drow += dim;
	}
	Shape shape = shape_1(true, dim);
	shape.seq = c->s->feature.at[feature].seq;
	NodeId id = graph_push(c->g, OP_LOOKUP, shape, 0, NULL, (Attr){.i = i}, at);
	c->g->node.at[id].name = c->s->feature.at[feature].name;
	return id;
}

/* A number as it is; where it is missing and that is learned: m x + (1 - m) w. */
static NodeId number_node(Check *c, int feature, Span at)
{
	const Feature *f = &c->s->feature.at[feature];
	NodeId x = graph_push(c->g, OP_REAL, shape_scalar(true), 0, NULL, (Attr){.i = feature}, at);
	c->g->node.at[x].name = f->name;
	if (f->missing != MISSING_LEARNED) return x;
	NodeId m = graph_push(c->g, OP_PRESENT, shape_scalar(true), 0, NULL, (Attr){.i = feature}, at);
	NodeId w = new_param(c, arena_printf(c->a, "embed.%s.missing", f->name), shape_scalar(false),
			     (Init){INIT_ZERO, 0, 0}, f->span);
	NodeId absent = push_op(c, OP_SUB, 2, (NodeId[]){graph_const(c->g, 1, at), m}, (Attr){0}, at);
	NodeId kept = push_op(c, OP_MUL, 2, (NodeId[]){m, x}, (Attr){0}, at);
	NodeId filled = push_op(c, OP_MUL, 2, (NodeId[]){absent, w}, (Attr){0}, at);
	return push_op(c, OP_ADD, 2, (NodeId[]){kept, filled}, (Attr){0}, at);
}

static NodeId *remembered(Check *c, int group, Str set, int dim)
{
	for (int i = 0; i < c->embedded.n; i++) {
		Embedded *e = &c->embedded.at[i];
		if (e->group == group && e->set == set && e->dim == dim) return &e->node;
	}
	vec_push(c->a, &c->embedded, (Embedded){group, dim, set, 0});
	return &c->embedded.at[c->embedded.n - 1].node;
}

NodeId feature_node(Check *c, int feature, Str set, int dim, Span at)
{
	const Feature *f = &c->s->feature.at[feature];
	c->feature_used.at[feature] = true;
	for (int k = 0; k < c->s->feature.at[feature].cross.n; k++)
		c->feature_used.at[c->s->feature.at[feature].cross.at[k]] = true;
	bool plain = f->kind == FEATURE_NUMBER && f->code == CODE_PLAIN;
	if (plain) set = NULL, dim = 0;
	/* Tables of another width are others: "embed.dim1.user_id.weight". */
	if (dim && !set) set = str_printf(c->str, "dim%d", dim);
	NodeId found = *remembered(c, -1 - feature, set, dim);
	if (found) return found;
	NodeId id;
	if (plain) {
		id = number_node(c, feature, f->span);
	} else {
		int width = dim ? dim : f->dim ? f->dim : c->dim;
		if (!width) {
			if (!c->dim_told && !c->feature_faulty.at[feature]) {
				told(c, f->span, "M0115", "'%s' has no width", f->name);
				diag_help(c->d,
					  "say it here, embed: 16, or for all features: a line `embed 16`");
			}
			c->dim_told |= !c->feature_faulty.at[feature];
			width = 1;
		}
		id = look_up(c, feature, find_table(c, feature, set, width), f->span);
		if (f->pool_max) id = push_op(c, OP_MAX_STEPS, 1, &id, (Attr){0}, f->span);
	}
	*remembered(c, -1 - feature, set, dim) = id;
	(void)at;
	return id;
}

static NodeId join(Check *c, int n, const NodeId *in, Span at)
{
	if (n == 0) return 0;
	if (n == 1) return as_matrix(c, tensor_value(c, in[0], at), at);
	return push_op(c, OP_CONCAT, n, in, (Attr){0}, at);
}

NodeId seq_node(Check *c, int seq, Str set, int dim, Span at)
{
	const Seq *q = &c->s->seq.at[seq];
	NodeId *in = arena_new(c->a, NodeId, q->feature.n + 1);
	for (int i = 0; i < q->feature.n; i++) in[i] = feature_node(c, q->feature.at[i], set, dim, at);
	return join(c, q->feature.n, in, at);
}

/* The steps of a sequence do not join with values of the row. */
static bool without_seq(Check *c, const Group *g, Span at)
{
	for (int i = 0; i < c->s->seq.n; i++) {
		const Seq *q = &c->s->seq.at[i];
		if (&c->s->group.at[q->group] != g) continue;
		told(c, at, "M0118",
		     "group '%s' has a sequence, '%s', whose steps do not join with one value a row", g->name,
		     q->name);
		diag_note(c->d, q->span, "declared here");
		diag_help(c->d,
			  "%s.%s -> mean is one value a row; a group of its own keeps the others together",
			  g->name, q->name);
		return false;
	}
	return true;
}

NodeId group_node(Check *c, int group, Str set, int dim, Span at)
{
	NodeId found = *remembered(c, group, set, dim);
	if (found) return found;
	const Group *g = &c->s->group.at[group];
	if (!without_seq(c, g, at)) return 0;
	NodeId *in = arena_new(c->a, NodeId, g->feature.n + 1);
	for (int i = 0; i < g->feature.n; i++) in[i] = feature_node(c, g->feature.at[i], set, dim, at);
	NodeId id = join(c, g->feature.n, in, at);
	if (id && !c->g->node.at[id].name) c->g->node.at[id].name = g->name;
	*remembered(c, group, set, dim) = id;
	return id;
}

NodeId group_fields(Check *c, int group, Str set, int dim, Span at)
{
	const Group *g = &c->s->group.at[group];
	if (!without_seq(c, g, at)) return 0;
	NodeId *in = arena_new(c->a, NodeId, g->feature.n + 1);
	int width = 0;
	for (int i = 0; i < g->feature.n; i++) {
		in[i] = feature_node(c, g->feature.at[i], set, dim, at);
		int64_t w = shape_size(shape_of(c, in[i]));
		if (c->feature_faulty.at[g->feature.at[i]]) return 0;
		if (i && w != width) {
			told(c, at, "M0205",
			     "fields(%s) needs features of one width: '%s' has %d, '%s' has %d", g->name,
			     c->s->feature.at[g->feature.at[0]].name, width,
			     c->s->feature.at[g->feature.at[i]].name, (int)w);
			diag_note(c->d, c->s->feature.at[g->feature.at[i]].span, "'%s' is declared here",
				  c->s->feature.at[g->feature.at[i]].name);
			return 0;
		}
		width = (int)w;
	}
	NodeId flat = join(c, g->feature.n, in, at);
	return flat
		   ? graph_push(c->g, OP_RESHAPE, shape_2(true, g->feature.n, width), 1, &flat, (Attr){0}, at)
		   : 0;
}

NodeId group_raw(Check *c, int group, Span at)
{
	const Group *g = &c->s->group.at[group];
	NodeId *in = arena_new(c->a, NodeId, g->feature.n + 1);
	int n = 0;
	for (int i = 0; i < g->feature.n; i++) {
		const Feature *f = &c->s->feature.at[g->feature.at[i]];
		if (f->kind == FEATURE_NUMBER && f->code == CODE_PLAIN)
			in[n++] = feature_node(c, g->feature.at[i], NULL, 0, at);
	}
	if (!n)
		told(c, at, "M0116", "raw(%s) joins the plain numbers of '%s', and it has none", g->name,
		     g->name);
	return join(c, n, in, at);
}
