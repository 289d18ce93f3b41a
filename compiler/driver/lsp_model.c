/*
 * What an editor asks of a model.
 *
 * Places are looked up in the tree of the text as it stands; shapes and derivations come from the last text
 * that had no error, by name, so that they stay in sight while something is being typed.
 */
#include "driver/lsp_model.h"
#include "front/parse.h"
#include "ir/op.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

Known *known_new(const char *path, const char *text, size_t n)
{
	Known *k = calloc(1, sizeof *k);
	if (k) k->text = malloc(n + 1);
	if (!k || !k->text) {
		free(k);
		return NULL;
	}
	memcpy(k->text, text, n);
	k->text[n] = '\0';
	k->n = n;
	compilation_init(&k->c);
	k->good = compile_front(&k->c, &(CompileRequest){.path = path, .text = k->text});
	return k;
}

void known_free(Known *k)
{
	if (!k) return;
	compilation_free(&k->c);
	free(k->text);
	free(k);
}

static bool of_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

bool lsp_word(const char *text, size_t n, size_t at, size_t *lo, size_t *hi)
{
	if (at > n) return false;
	*lo = *hi = at;
	while (*lo > 0 && of_word(text[*lo - 1])) --*lo;
	while (*hi < n && of_word(text[*hi])) ++*hi;
	return *hi > *lo;
}

/* ---- the tree ---- */

static bool within(Span s, uint32_t at) { return s.lo <= at && at < s.hi; }

/* The innermost node of one of two kinds around a place; NULL. */
static const Ast *around(const Ast *t, uint32_t at, AstKind one, AstKind other)
{
	if (!t || (t->kind != AST_FILE && t->kind != AST_BLOCK && !within(t->span, at))) return NULL;
	const Ast *child[] = {t->a, t->b, t->c}, *found = NULL;
	for (int i = 0; i < 3 && !found; i++) found = around(child[i], at, one, other);
	for (int i = 0; i < t->list.n && !found; i++) found = around(t->list.at[i], at, one, other);
	return found ? found : (t->kind == one || t->kind == other) && within(t->span, at) ? t : NULL;
}

static bool declares(AstKind k)
{
	switch (k) {
	case AST_CONST:
	case AST_FEATURES:
	case AST_FEATURE:
	case AST_EVENT:
	case AST_CLASS:
	case AST_VALUE:
	case AST_LAYER:
	case AST_PARAM:
	case AST_SHARED:
	case AST_EXPERTS:
	case AST_GATE:
	case AST_TOWER:
	case AST_LET:
	case AST_WEIGHTS:
	case AST_FOR: return true;
	default: return false;
	}
}

/*
 * The declaration of a name that is in force at a place: of those before it the last, of the rest the first.
 * What a layer declares is seen within it alone.
 */
static void find(const Ast *t, const char *name, uint32_t at, const Ast **found)
{
	if (!t || (t->kind == AST_LAYER && !within(t->span, at) && (!t->name || strcmp(t->name, name))))
		return;
	bool hit = declares(t->kind) && t->name && !strcmp(t->name, name);
	if (hit && (!*found || t->span.lo <= at)) *found = t;
	if (t->kind == AST_LET && !t->name)
		for (int i = 0; i < t->list.n; i++)
			if (!strcmp(t->list.at[i]->name, name)) *found = t->list.at[i];
	if (t->kind == AST_LAYER && !within(t->span, at)) return;
	find(t->a, name, at, found);
	find(t->b, name, at, found);
	find(t->c, name, at, found);
	for (int i = 0; i < t->list.n; i++) find(t->list.at[i], name, at, found);
}

static uint32_t base_of(const Known *k) { return k->c.sources.file.n ? k->c.sources.file.at[0].base : 0; }

static const char *word_at(const Known *k, size_t at, Text *word)
{
	size_t lo, hi;
	if (!lsp_word(k->text, k->n, at, &lo, &hi)) return NULL;
	text_addn(word, k->text + lo, hi - lo);
	return word->at;
}

static bool same_path(const Source *a, const Source *b) { return a && b && a == b; }

bool lsp_definition(const Known *now, size_t at, Span *out)
{
	Text word = {0};
	const Ast *d = NULL;
	if (word_at(now, at, &word) && now->c.ast) find(now->c.ast, word.at, base_of(now) + (uint32_t)at, &d);
	if (d) *out = d->name_span.hi ? d->name_span : d->span;
	text_free(&word);
	return d != NULL;
}

/* ---- hover ---- */

static void code(Text *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void code(Text *out, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_add(out, "```mtl\n");
	text_vprintf(out, fmt, ap);
	text_add(out, "\n```\n");
	va_end(ap);
}

static void watch_text(const Watch *w, Text *out)
{
	code(out, "%s = %s", w->text, w->expression);
	text_printf(out, "label `%s`, rows `%s`: %s, %s\n\n", w->label_text, w->rows_text,
		    w->head ? "a head" : "derived", w->trained ? "trained" : "not trained itself");
}

/* `for t in [a, b]` around a place: the name and the list; NULL. */
static const Ast *loop_around(const Ast *file, uint32_t at) { return around(file, at, AST_FOR, AST_FOR); }

static char *with_name(const char *text, const char *name, const char *value)
{
	Text t = {0};
	size_t n = strlen(name);
	for (const char *s = text; *s;) {
		bool whole = !strncmp(s, name, n) && !of_word(s[n]) && (s == text || !of_word(s[-1]));
		if (whole) {
			text_add(&t, value);
			s += n;
		} else {
			text_char(&t, *s++);
		}
	}
	return t.at;
}

static bool watch_named(const Spec *s, const char *text, Text *out)
{
	for (int i = 0; i < s->watch.n; i++)
		if (!strcmp(s->watch.at[i].text, text)) {
			watch_text(&s->watch.at[i], out);
			return true;
		}
	return false;
}

static bool hover_probability(const Known *now, const Known *good, uint32_t at, Text *out)
{
	const Ast *p = around(now->c.ast, at, AST_PROB, AST_EXPECT);
	if (!p || !good) return false;
	Text text = {0};
	ast_expr_text(p, &text);
	bool said = watch_named(good->c.spec, text.at, out);
	const Ast *loop = loop_around(now->c.ast, at);
	for (int i = 0; !said && loop && loop->a && loop->a->kind == AST_LIST && i < loop->a->list.n; i++) {
		if (loop->a->list.at[i]->kind != AST_NAME) continue;
		char *one = with_name(text.at, loop->name, loop->a->list.at[i]->name);
		if (one) watch_named(good->c.spec, one, out);
		free(one);
	}
	text_free(&text);
	return out->n > 0;
}

static void hover_event(const Spec *s, const char *name, Text *out)
{
	int k = event_find(s->events, str_intern(s->str, name));
	if (k < 0) return;
	const Event *e = &s->events->event.at[k];
	code(out, "event %s%s%s label %s", e->name, e->parent >= 0 ? " of " : "",
	     e->parent >= 0 ? s->events->event.at[e->parent].name : "",
	     e->label_text ? e->label_text : e->name);
	for (int i = 0; i < s->watch.n; i++) {
		const Watch *w = &s->watch.at[i];
		size_t n = strlen(name);
		if (!strncmp(w->name, name, n) && (!w->name[n] || w->name[n] == '|'))
			text_printf(out, "`%s = %s`, label `%s`, rows `%s`\n\n", w->text, w->expression,
				    w->label_text, w->rows_text);
	}
}

static void hover_feature(const Spec *s, const char *name, Text *out)
{
	static const char *const kind[] = {"id", "ids", "real"};
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		if (strcmp(f->name, name)) continue;
		const Group *g = &s->group.at[f->group];
		code(out, "%s : %s", f->name, kind[f->kind]);
		text_printf(out, "of `%s`, per %s, column `%s`%s\n\n", g->name,
			    g->candidate ? "candidate" : "request", f->column,
			    f->train_only ? ", in training only" : "");
	}
	for (int i = 0; i < s->table.n; i++) {
		const Table *t = &s->table.at[i];
		if (strcmp(s->feature.at[t->feature].name, name)) continue;
		if (t->rows)
			text_printf(out, "`%s` [%lld, %d]\n\n", t->name, (long long)t->rows, t->dim);
		else
			text_printf(out, "`%s` [as the data say, %d]\n\n", t->name, t->dim);
	}
}

/* "h", or "h.click" of it. */
static bool named_so(const char *full, const char *name)
{
	size_t n = strlen(name);
	return full && !strncmp(full, name, n) && (!full[n] || full[n] == '.');
}

static void hover_value(Spec *s, const char *name, Text *out)
{
	enum { SHOWN = 12 };
	int n = 0;
	for (NodeId id = 1; id < s->g->node.n; id++) {
		const Node *x = &s->g->node.at[id];
		if (!x->name || !x->shape.rows || !named_so(x->name, name)) continue;
		if (n++ < SHOWN) text_printf(out, "`%s` %s\n\n", x->name, shape_text(s->arena, x->shape));
	}
	if (n > SHOWN) text_printf(out, "and %d more\n\n", n - SHOWN);
	int64_t size = 0;
	int params = 0;
	for (int i = 0; i < s->param.n; i++) {
		const char *dot = strchr(s->param.at[i].name, '.');
		if (!dot || !named_so(dot + 1, name)) continue;
		size += shape_size(s->param.at[i].shape);
		params++;
	}
	if (params) text_printf(out, "%lld parameters of its own\n\n", (long long)size);
}

static void hover_layer(const Ast *t, Text *out)
{
	Text head = {0};
	for (int i = 0; i < t->list.n; i++) {
		const Ast *p = t->list.at[i];
		text_printf(&head, "%s%s", i ? ", " : "", p->name);
		if (!p->a) continue;
		text_add(&head, ": ");
		ast_expr_text(p->a, &head);
	}
	code(out, "layer %s(%s)", t->name, head.at ? head.at : "");
	text_free(&head);
}

/* The comment lines right above a place in its own text. */
static void comment_above(const Sources *s, Span at, Text *out)
{
	const Source *f = source_place(s, at.lo).file;
	if (!f) return;
	size_t line = at.lo - f->base;
	while (line > 0 && f->text[line - 1] != '\n') line--;
	size_t first = line;
	while (first > 0) {
		size_t up = first - 1;
		while (up > 0 && f->text[up - 1] != '\n') up--;
		if (f->text[up] != '#') break;
		first = up;
	}
	for (size_t i = first; i < line;) {
		size_t end = i;
		while (f->text[end] != '\n') end++;
		size_t skip = f->text[i + 1] == ' ' ? 2 : 1;
		text_addn(out, f->text + i + skip, end - i > skip ? end - i - skip : 0);
		text_char(out, '\n');
		i = end + 1;
	}
}

static const Ast *layer_named(const Ast *file, const char *name)
{
	for (int i = 0; file && i < file->list.n; i++) {
		const Ast *t = file->list.at[i];
		if (t->kind == AST_LAYER && t->name && !strcmp(t->name, name)) return t;
		const Ast *inner = t->kind == AST_USE ? layer_named(t, name) : NULL;
		if (inner) return inner;
	}
	return NULL;
}

static void hover_name(const Known *now, const Known *good, const char *name, uint32_t at, Text *out)
{
	const Ast *d = NULL;
	if (now->c.ast) find(now->c.ast, name, at, &d);
	if (d && d->kind == AST_CONST && d->a) {
		Text value = {0};
		ast_expr_text(d->a, &value);
		code(out, "const %s = %s", name, value.at);
		text_free(&value);
	}
	const Ast *layer = d && d->kind == AST_LAYER ? d : layer_named(now->c.ast, name);
	if (!layer && !d) layer = layer_named(now->c.prelude, name);
	if (layer) {
		hover_layer(layer, out);
		comment_above(&now->c.sources, layer->span, out);
	}
	if (good && !out->n) {
		hover_event(good->c.spec, name, out);
		size_t before = out->n;
		hover_feature(good->c.spec, name, out);
		/* A feature is a value too, which adds its shape. */
		hover_value(good->c.spec, name, out);
		if (before && out->n > before) text_add(out, "\n");
	}
	OpCode op = out->n ? OP_NONE : op_find(name);
	if (op != OP_NONE && op_table[op]->doc) {
		const Op *o = op_table[op];
		code(out, "%s", o->formula ? o->formula : o->word);
		text_printf(out, "%s\n\n", o->doc);
		if (o->example) text_printf(out, "`%s`\n", o->example);
	}
}

void lsp_hover(const Known *now, const Known *good, size_t at, Text *out)
{
	Text word = {0};
	uint32_t place = base_of(now) + (uint32_t)at;
	const char *name = word_at(now, at, &word);
	if (now->c.ast && hover_probability(now, good, place, out)) name = NULL;
	if (name) hover_name(now, good, name, place, out);
	text_free(&word);
}

/* ---- completion ---- */

static const struct {
	const char *word, *what;
} language[] = {
    {"model", "model NAME"},
    {"use", "use \"FILE\": the text of another file"},
    {"const", "const NAME = VALUE: known when the model is compiled; -D gives it another"},
    {"features", "features NAME per request | candidate { ... }"},
    {"per", "per request | candidate"},
    {"embed", "embed N: width of every table that says no other"},
    {"rows", "rows { weight: W  group: G  on_contradiction: fail }"},
    {"event", "event NAME of PARENT label EXPR"},
    {"class", "class NAME[N] of EVENT label COLUMN"},
    {"value", "value NAME of EVENT label COLUMN"},
    {"of", "of PARENT: happens only where that did"},
    {"label", "label EXPR: columns of 0 and 1 with & | !"},
    {"independent", "independent a, b given c: a promise"},
    {"given", "given CONDITION"},
    {"layer", "layer NAME(x, n) { ... return y }"},
    {"train", "train { optimizer: adam(lr: 1e-3)  batch: 1024  epochs: 2 }"},
    {"shared", "shared NAME = VALUE: what several tasks use"},
    {"experts", "experts NAME[N] = LAYERS"},
    {"gate", "gate NAME = mix(experts, by: x)"},
    {"tower", "tower NAME = LAYERS"},
    {"let", "let NAME = VALUE"},
    {"weights", "weights NAME[N] = normal(0, 0.01): trained numbers"},
    {"return", "return VALUE, ..."},
    {"for", "for NAME in [a, b] { ... }"},
    {"in", "in LIST"},
    {"scan", "scan STATE[WIDTH] along SEQUENCE { ... }: step by step"},
    {"along", "along SEQUENCE"},
    {"seq", "seq(max: N) { ... }: a behaviour sequence, its fields of equal length"},
    {"if", "if CONDITION { ... }"},
    {"else", "else { ... }"},
    {"loss", "loss NAME: bce(P(event)) weight W"},
    {"weight", "weight W"},
    {"output", "output NAME = EXPR, ..."},
    {"request", "the side that all candidates of a request share"},
    {"candidate", "the side that each candidate has of its own"},
    {"id", "id(hash: N): one category"},
    {"ids", "ids(hash: N, pool: mean): several"},
    {"real", "real(normalize: log1p): a number"},
    {"hash", "hash: N rows"},
    {"vocab", "vocab: [\"a\", \"b\"] or auto(MAX, MIN_COUNT)"},
    {"size", "size: N: the cell is an integer below N"},
    {"bucket", "bucket: [18, 25, 35] or quantiles(32)"},
    {"share", "share: FEATURE: its table and code"},
    {"normalize", "normalize: log1p | standard | minmax"},
    {"missing", "missing: learned | own | VALUE"},
    {"pool", "pool: sum | mean"},
    {"column", "column: \"NAME\""},
    {"train_only", "exists in training alone"},
    {"after", "after: EVENT, not known before it happened"},
    {"dropout", "dropout: SHARE"},
    {"optimizer", "optimizer: adam(lr: 1e-3)"},
    {"tables", "tables: adagrad(lr: 0.05)"},
    {"batch", "batch: ROWS"},
    {"epochs", "epochs: N"},
    {"shuffle", "shuffle: ROWS of the buffer"},
    {"stop", "stop: early(buy.auc, 2)"},
    {"seed", "seed: N"},
    {"schedule", "schedule: cosine(warmup: STEPS)"},
    {"clip", "clip: NORM"},
    {"balance", "balance: pcgrad"},
};

static void complete_layers(const Ast *file, void (*each)(void *, const char *, LspKind, const char *),
			    void *self)
{
	for (int i = 0; file && i < file->list.n; i++) {
		const Ast *t = file->list.at[i];
		if (t->kind == AST_USE) complete_layers(t, each, self);
		if (t->kind != AST_LAYER || !t->name) continue;
		Text head = {0};
		for (int k = 0; k < t->list.n; k++)
			text_printf(&head, "%s%s", k ? ", " : "(", t->list.at[k]->name);
		text_add(&head, t->list.n ? ")" : "()");
		each(self, t->name, LSP_LAYER, head.at);
		text_free(&head);
	}
}

static LspKind kind_of(const Ast *t)
{
	switch (t->kind) {
	case AST_CONST: return LSP_CONST;
	case AST_FEATURES: return LSP_GROUP;
	case AST_FEATURE: return LSP_FEATURE;
	case AST_EVENT:
	case AST_CLASS:
	case AST_VALUE: return LSP_EVENT;
	case AST_LAYER: return LSP_LAYER;
	default: return LSP_VALUE;
	}
}

static void complete_names(const Ast *t, void (*each)(void *, const char *, LspKind, const char *),
			   void *self)
{
	if (!t || t->kind == AST_LAYER) return;
	if (declares(t->kind) && t->name && t->kind != AST_FOR && t->kind != AST_PARAM)
		each(self, t->name, kind_of(t), NULL);
	complete_names(t->b, each, self);
	complete_names(t->c, each, self);
	for (int i = 0; i < t->list.n; i++) complete_names(t->list.at[i], each, self);
}

void lsp_complete(const Known *now, const Known *good,
		  void (*each)(void *self, const char *name, LspKind kind, const char *detail), void *self)
{
	const Ast *file = now->c.ast ? now->c.ast : good ? good->c.ast : NULL;
	complete_names(file, each, self);
	complete_layers(file, each, self);
	complete_layers(now->c.prelude, each, self);
	for (int i = 1; i < OP_N; i++) /* what an author can call: ops of the graph alone show no formula */
		if (op_table[i] && op_table[i]->example)
			each(self, op_table[i]->word, LSP_OP, op_table[i]->doc);
	if (good)
		for (int i = 0; i < good->c.spec->watch.n; i++)
			each(self, good->c.spec->watch.at[i].text, LSP_VALUE,
			     good->c.spec->watch.at[i].expression);
	for (size_t i = 0; i < sizeof language / sizeof *language; i++)
		each(self, language[i].word, LSP_WORD, language[i].what);
}

/* ---- symbols ---- */

static void symbols(const Ast *t, const Source *own, const Sources *s,
		    void (*each)(void *, const char *, LspKind, Span, Span), void *self)
{
	if (!t || t->kind == AST_USE) return;
	if (declares(t->kind) && t->name && t->kind != AST_FOR && t->kind != AST_PARAM &&
	    same_path(source_place(s, t->span.lo).file, own))
		each(self, t->name, kind_of(t), t->span, t->name_span.hi ? t->name_span : t->span);
	if (t->kind == AST_LAYER) return;
	symbols(t->b, own, s, each, self);
	symbols(t->c, own, s, each, self);
	for (int i = 0; i < t->list.n; i++) symbols(t->list.at[i], own, s, each, self);
}

void lsp_symbols(const Known *now,
		 void (*each)(void *self, const char *name, LspKind kind, Span all, Span name_at), void *self)
{
	if (now->c.sources.file.n)
		symbols(now->c.ast, source_place(&now->c.sources, base_of(now)).file, &now->c.sources, each,
			self);
}
