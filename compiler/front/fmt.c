/*
 * The formatter: a tree to lines, lines to columns.
 *
 * First every statement becomes a line, cut in two where neighbours of its kind are aligned (`=`, `:`,
 * `label`); comments go where they stood.  Then neighbours are aligned and long lines are broken at their
 * outermost comma or operator.
 */
#include "front/fmt.h"
#include <stdlib.h>
#include <string.h>

enum {
	WIDTH = 110,	  /* of a line, where it can be broken */
	STEP = 2,	  /* columns of a level */
	CONTINUED = 4,	  /* columns of a broken line's rest */
	WIDEST_LEFT = 40, /* a longer left side does not push its neighbours away */
	UNEVEN = 6, /* names whose lengths differ by more are not aligned: the eye would lose the line */
	WIDEST_NOTED = 72 /* nor does a longer line their comments */
};

/* What is aligned with its like. */
typedef enum { ALONE, NAMED, HEADS, LOSSES, OUTCOMES, FEATURES_, CONSTS } Group;

typedef struct {
	char *text; /* owned; may hold newlines if copied from the source */
	size_t cut; /* where the right side begins, 0: nowhere */
	int indent;
	Group group;
	bool blank;	     /* an empty line before it */
	bool own;	     /* a comment on its own line */
	const char *comment; /* behind it, or NULL */
} Line;

typedef struct {
	const Source *source;
	const Comments *comments;
	int next;      /* the first comment not yet placed */
	uint32_t done; /* the source up to here is in lines */
	bool fresh;    /* at the beginning of a file or block: no empty line */
	Line *line;
	int n, cap;
} Fmt;

static const char *at(const Fmt *f, uint32_t offset) { return f->source->text + (offset - f->source->base); }

static bool one_line(const Fmt *f, Span s) { return !memchr(at(f, s.lo), '\n', s.hi - s.lo); }

static bool comment_in(const Fmt *f, Span s)
{
	return f->next < f->comments->n && f->comments->at[f->next].span.lo < s.hi;
}

/* ---- one statement as one line ---- */

static void flat(const Ast *t, Text *out, size_t *cut);

static void comma_list(const Ast *t, Text *out)
{
	for (int i = 0; i < t->list.n; i++) {
		const Ast *x = t->list.at[i];
		if (i) text_add(out, ", ");
		if (x->kind == AST_PARAM) {
			text_add(out, x->name);
			if (x->a) text_add(out, ": ");
			ast_expr_text(x->a, out);
		} else if (t->kind == AST_OUTPUT) {
			if (x->name) text_printf(out, "%s = ", x->name);
			ast_expr_text(x->a, out);
		} else {
			ast_expr_text(x, out);
		}
	}
}

static void braces(const Ast *t, Text *out)
{
	text_add(out, "{ ");
	for (int i = 0; i < t->list.n; i++) {
		size_t cut;
		if (i) text_add(out, "  ");
		flat(t->list.at[i], out, &cut);
	}
	text_add(out, t->list.n ? " }" : "}");
}

static void optional(Text *out, const char *word, const Ast *e)
{
	if (!e) return;
	text_printf(out, " %s ", word);
	ast_expr_text(e, out);
}

/* Up to the brace of a form that has one, without it. */
static void header(const Ast *t, Text *out)
{
	switch (t->kind) {
	case AST_FEATURES:
		text_printf(out, "features %s", t->name);
		if (t->b) text_printf(out, " per %s", t->b->name);
		break;
	case AST_FEATURE:
		text_printf(out, "%s : %s", t->name, t->b->name);
		if (t->list.n) {
			text_char(out, '(');
			comma_list(t, out);
			text_char(out, ')');
		}
		break;
	case AST_LAYER:
		text_printf(out, "layer %s(", t->name);
		comma_list(t, out);
		text_char(out, ')');
		break;
	case AST_FOR:
		text_printf(out, "for %s in ", t->name);
		ast_expr_text(t->a, out);
		break;
	case AST_SCAN:
		text_add(out, "scan ");
		for (int i = 0; i < t->list.n; i++) {
			text_printf(out, "%s%s[", i ? ", " : "", t->list.at[i]->name);
			ast_expr_text(t->list.at[i]->a, out);
			text_char(out, ']');
		}
		text_add(out, " along ");
		ast_expr_text(t->a, out);
		break;
	case AST_IF:
		text_add(out, "if ");
		ast_expr_text(t->a, out);
		break;
	default: text_add(out, ast_kind_name(t->kind));
	}
}

static void outcome(const Ast *t, Text *out, size_t *cut)
{
	text_printf(out, "%s %s", ast_kind_name(t->kind), t->name);
	if (t->c) {
		text_char(out, '[');
		ast_expr_text(t->c, out);
		text_char(out, ']');
	}
	if (t->list.n) {
		text_add(out, " { ");
		comma_list(t, out);
		text_add(out, " }");
	}
	optional(out, "of", t->b);
	if (t->a) {
		*cut = out->n + 1;
		optional(out, "label", t->a);
	}
}

static void named(const Ast *t, Text *out, size_t *cut)
{
	text_printf(out, "%s ", ast_kind_name(t->kind));
	if (t->name)
		text_add(out, t->name);
	else
		comma_list(t, out);
	for (int i = 0; i < (t->b ? 1 : t->name ? t->list.n : 0); i++) {
		text_char(out, '[');
		if (t->kind == AST_WEIGHTS)
			comma_list(t, out);
		else
			ast_expr_text(t->b ? t->b : t->list.at[i], out);
		text_char(out, ']');
		if (t->kind == AST_WEIGHTS) break;
	}
	*cut = out->n + 1;
	text_add(out, " = ");
	ast_expr_text(t->a, out);
}

static void flat(const Ast *t, Text *out, size_t *cut)
{
	*cut = 0;
	switch (t->kind) {
	case AST_MODEL: text_printf(out, "model %s", t->name); break;
	case AST_USE: {
		Ast string = {.kind = AST_STRING, .text = t->text};
		text_add(out, "use ");
		ast_expr_text(&string, out);
		break;
	}
	case AST_CONST:
	case AST_SHARED:
	case AST_EXPERTS:
	case AST_GATE:
	case AST_TOWER:
	case AST_LET:
	case AST_WEIGHTS: named(t, out, cut); break;
	case AST_EMBED:
		text_add(out, "embed ");
		ast_expr_text(t->a, out);
		break;
	case AST_EVENT:
	case AST_CLASS:
	case AST_VALUE: outcome(t, out, cut); break;
	case AST_INDEPENDENT:
		text_add(out, "independent ");
		comma_list(t, out);
		optional(out, "given", t->a);
		break;
	case AST_LOSS:
		text_printf(out, "loss %s", t->name);
		if (t->b) {
			text_char(out, '[');
			ast_expr_text(t->b, out);
			text_char(out, ']');
		}
		text_add(out, ": ");
		*cut = out->n;
		ast_expr_text(t->a, out);
		optional(out, "weight", t->c);
		break;
	case AST_RETURN:
	case AST_OUTPUT:
		text_printf(out, "%s ", ast_kind_name(t->kind));
		comma_list(t, out);
		break;
	case AST_HEAD:
		ast_expr_text(t->a, out);
		*cut = out->n + 1;
		text_add(out, " = ");
		ast_expr_text(t->b, out);
		break;
	case AST_FEATURES:
	case AST_ROWS:
	case AST_TRAIN:
		header(t, out);
		text_char(out, ' ');
		braces(t, out);
		break;
	case AST_FEATURE: {
		size_t start = out->n;
		header(t, out);
		*cut = start + strlen(t->name) + 1;
		if (t->c) {
			text_char(out, ' ');
			braces(t->c, out);
		}
		break;
	}
	case AST_LAYER:
	case AST_FOR:
	case AST_SCAN:
	case AST_IF:
		header(t, out);
		text_char(out, ' ');
		braces(t->b, out);
		if (t->c) {
			size_t ignored;
			text_add(out, " else ");
			if (t->c->kind == AST_IF)
				flat(t->c, out, &ignored);
			else
				braces(t->c, out);
		}
		break;
	default: ast_expr_text(t, out); /* a setting */
	}
}

static Group group_of(const Ast *t)
{
	switch (t->kind) {
	case AST_CONST: return CONSTS;
	case AST_SHARED:
	case AST_EXPERTS:
	case AST_GATE:
	case AST_TOWER:
	case AST_LET:
	case AST_WEIGHTS: return NAMED;
	case AST_HEAD: return HEADS;
	case AST_LOSS: return LOSSES;
	case AST_EVENT:
	case AST_CLASS:
	case AST_VALUE: return OUTCOMES;
	case AST_FEATURE: return FEATURES_;
	default: return ALONE;
	}
}

/* ---- the lines ---- */

static Line *push(Fmt *f, char *text, size_t cut, int indent, Group group)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 64;
		f->line = realloc(f->line, (size_t)f->cap * sizeof *f->line);
		if (!f->line) abort();
	}
	f->line[f->n] = (Line){.text = text, .cut = cut, .indent = indent, .group = group};
	return &f->line[f->n++];
}

/* An empty line of the author's before offset lo? */
static bool blank_before(Fmt *f, uint32_t lo)
{
	int newlines = 0;
	if (lo > f->done)
		for (const char *s = at(f, f->done); s < at(f, lo); s++) newlines += *s == '\n';
	bool blank = newlines >= 2 && !f->fresh;
	f->fresh = false;
	return blank;
}

/* The comments that stood before offset lo, each a line. */
static void comments_before(Fmt *f, uint32_t lo, int indent)
{
	while (f->next < f->comments->n && f->comments->at[f->next].span.lo < lo) {
		const Comment *c = &f->comments->at[f->next++];
		bool blank = blank_before(f, c->span.lo);
		Line *l = push(f, strdup(c->text), 0, indent, ALONE);
		l->blank = blank;
		l->own = true;
		f->done = c->span.hi;
	}
}

/* The comment behind the last line, if it stood on the same line of the source and nothing else did. */
static void comment_behind(Fmt *f, uint32_t end)
{
	if (f->next >= f->comments->n) return;
	const Comment *c = &f->comments->at[f->next];
	if (c->own_line || c->span.lo < end) return;
	for (const char *s = at(f, end); s < at(f, c->span.lo); s++)
		if (!strchr(" \t,", *s)) return;
	f->line[f->n - 1].comment = c->text;
	f->next++;
	f->done = c->span.hi;
}

/* The comment behind an opening brace: the next one, if it stood on no line of its own. */
static void comment_behind_header(Fmt *f, uint32_t first_child)
{
	if (f->next >= f->comments->n) return;
	const Comment *c = &f->comments->at[f->next];
	if (c->own_line || c->span.lo >= first_child) return;
	f->line[f->n - 1].comment = c->text;
	f->next++;
	f->done = c->span.hi;
}

/* As it stands in the source, moved to its place: what has comments inside is the author's to lay out. */
static char *verbatim(const Fmt *f, Span span, int indent)
{
	int was = 0;
	for (const char *s = at(f, span.lo); s > f->source->text && s[-1] != '\n'; s--) was++;
	const char *line = at(f, span.lo) - was;
	was = 0;
	for (; line < at(f, span.lo); line++) was = *line == '\t' ? (was / 8 + 1) * 8 : was + 1;

	Text out = {0};
	const char *s = at(f, span.lo), *end = at(f, span.hi);
	for (bool first = true; s < end; first = false) {
		const char *stop = memchr(s, '\n', (size_t)(end - s));
		if (!stop) stop = end;
		int column = 0;
		for (; !first && s < stop && (*s == ' ' || *s == '\t'); s++)
			column = *s == '\t' ? (column / 8 + 1) * 8 : column + 1;
		const char *last = stop;
		while (last > s && strchr(" \t\r", last[-1])) last--;
		if (!first) text_char(&out, '\n');
		if (!first && last > s)
			text_indent(&out, column - was + indent > 0 ? column - was + indent : 0);
		text_addn(&out, s, (size_t)(last - s));
		s = stop < end ? stop + 1 : end;
	}
	return out.at;
}

static const Ast *child_list(const Ast *t)
{
	switch (t->kind) {
	case AST_FEATURES:
	case AST_ROWS:
	case AST_TRAIN: return t;
	case AST_FEATURE: return t->c;
	case AST_LAYER:
	case AST_FOR:
	case AST_SCAN:
	case AST_IF: return t->b;
	default: return NULL;
	}
}

/* Braces stay on one line if the author had them so, and a line is enough. */
static bool stays_flat(const Fmt *f, const Ast *t, int indent)
{
	const Ast *inside = child_list(t);
	if (comment_in(f, t->span)) return false;
	if (!inside) return true;
	bool code = t->kind == AST_LAYER || t->kind == AST_FOR || t->kind == AST_SCAN || t->kind == AST_IF;
	if (code && inside->list.n > 1) return false;
	if (inside->list.n && !one_line(f, t->span)) return false;
	if (t->kind == AST_IF && t->c && !one_line(f, t->span)) return false;
	Text out = {0};
	size_t cut;
	flat(t, &out, &cut);
	bool fits = (int)out.n + indent <= WIDTH;
	text_free(&out);
	for (const Ast *e = t->kind == AST_IF ? t->c : NULL; e; e = e->kind == AST_IF ? e->c : NULL)
		fits &= (e->kind == AST_IF ? e->b : e)->list.n <= 1;
	return fits;
}

static void statements(Fmt *f, const Ast *list, uint32_t end, int indent);

/* Header, children, closing brace. */
static void spread(Fmt *f, const Ast *t, int indent)
{
	const Ast *inside = child_list(t);
	Text out = {0};
	bool blank = blank_before(f, t->span.lo);
	header(t, &out);
	size_t cut = t->kind == AST_FEATURE ? strlen(t->name) + 1 : 0;
	text_add(&out, " {");
	push(f, out.at, cut, indent, group_of(t))->blank = blank;
	f->done = t->span.lo;
	for (;;) {
		uint32_t end = t->c && t->kind == AST_IF ? inside->span.hi : t->span.hi;
		comment_behind_header(f, inside->list.n ? inside->list.at[0]->span.lo : end);
		f->fresh = true;
		statements(f, inside, end, indent + STEP);
		f->fresh = false;
		f->done = end;
		const Ast *next = t->kind == AST_IF ? t->c : NULL;
		if (!next) break;
		Text more = {0};
		text_add(&more, "} else ");
		if (next->kind == AST_IF) {
			header(next, &more);
			text_char(&more, ' ');
			inside = next->b;
		} else {
			inside = next;
		}
		text_char(&more, '{');
		push(f, more.at, 0, indent, ALONE);
		if (next->kind != AST_IF) {
			comment_behind_header(f,
					      inside->list.n ? inside->list.at[0]->span.lo : next->span.hi);
			f->fresh = true;
			statements(f, inside, next->span.hi, indent + STEP);
			f->fresh = false;
			f->done = next->span.hi;
			break;
		}
		t = next;
	}
	push(f, strdup("}"), 0, indent, ALONE);
}

static void statements(Fmt *f, const Ast *list, uint32_t end, int indent)
{
	for (int i = 0; i < list->list.n; i++) {
		const Ast *t = list->list.at[i];
		comments_before(f, t->span.lo, indent);
		if (stays_flat(f, t, indent)) {
			Text out = {0};
			size_t cut;
			flat(t, &out, &cut);
			bool blank = blank_before(f, t->span.lo);
			push(f, out.at, cut, indent, group_of(t))->blank = blank;
		} else if (child_list(t)) {
			spread(f, t, indent);
		} else {
			bool blank = blank_before(f, t->span.lo);
			push(f, verbatim(f, t->span, indent), 0, indent, ALONE)->blank = blank;
			while (comment_in(f, t->span)) f->next++;
		}
		f->done = t->span.hi;
		comment_behind(f, t->span.hi);
	}
	comments_before(f, end, indent);
}

/* ---- columns ---- */

/* Columns of a text in UTF-8. */
static int width(const char *s, size_t n)
{
	int w = 0;
	for (size_t i = 0; i < n; i++) w += ((unsigned char)s[i] & 0xc0) != 0x80;
	return w;
}

/* Do l and the line after it stand together? */
static bool neighbours(const Line *l, const Line *next)
{
	return next->indent == l->indent && !next->blank && !next->own && !l->own && !strchr(l->text, '\n') &&
	       !strchr(next->text, '\n');
}

/* Do their comments, too?  A header's comment speaks of what is inside. */
static bool noted_together(const Line *l, const Line *next)
{
	return neighbours(l, next) && next->text[strlen(next->text) - 1] != '{';
}

/* The left sides of neighbours of a kind get one width. */
static void align(Fmt *f)
{
	for (int i = 0, end; i < f->n; i = end) {
		Group group = f->line[i].group;
		int left = 0, least = WIDEST_LEFT;
		for (end = i; end < f->n && f->line[end].group == group; end++) {
			const Line *l = &f->line[end];
			if (end > i && !neighbours(&f->line[end - 1], l)) break;
			int w = width(l->text, l->cut);
			if (w <= WIDEST_LEFT && w > left) left = w;
			if (w < least) least = w;
		}
		if (group == ALONE || (group == NAMED && left - least > UNEVEN)) continue;
		for (int k = i; k < end; k++) {
			Line *l = &f->line[k];
			int w = width(l->text, l->cut);
			if (l->cut == 0 || w >= left) continue;
			Text out = {0};
			text_addn(&out, l->text, l->cut);
			text_indent(&out, left - w);
			text_add(&out, l->text + l->cut);
			free(l->text);
			l->text = out.at;
		}
	}
}

/* Where s may be broken: the offsets at which a new line would begin. */
typedef struct {
	size_t offset;
	int depth;
} Break;

static int breaks(const char *s, Break *b)
{
	int n = 0, depth = 0;
	bool quoted = false;
	for (size_t i = 0; s[i]; i++) {
		if (s[i] == '"') quoted = !quoted;
		if (quoted && s[i] == '\\' && s[i + 1]) i++;
		if (quoted) continue;
		depth += strchr("([{", s[i]) != NULL;
		depth -= strchr(")]}", s[i]) != NULL;
		if (s[i] != ' ' || i == 0 || !s[i + 1]) continue;
		bool sign = strchr("+-*/&|", s[i + 1]) && (s[i + 2] == ' ' || s[i + 2] == '>');
		if (s[i - 1] == ',' || sign) b[n++] = (Break){i + 1, depth};
	}
	return n;
}

/* The text, broken where it passes WIDTH: at the outermost place, and there as late as possible. */
static void write_broken(const Line *l, Text *out)
{
	size_t length = strlen(l->text), from = 0;
	Break *b = malloc((length + 1) * sizeof *b);
	if (!b) abort();
	int n = breaks(l->text, b), indent = l->indent;
	while (width(l->text + from, length - from) + indent > WIDTH) {
		int best = -1, latest = -1;
		for (int i = 0; i < n; i++) {
			if (b[i].offset <= from) continue;
			int w = width(l->text + from, b[i].offset - from) + indent;
			if (w > WIDTH) break;
			latest = i;
			if (w > WIDTH / 3 && (best < 0 || b[i].depth <= b[best].depth)) best = i;
		}
		if (best < 0) best = latest;
		if (best < 0) break;
		text_addn(out, l->text + from, b[best].offset - from - 1);
		text_char(out, '\n');
		indent = l->indent + CONTINUED;
		text_indent(out, indent);
		from = b[best].offset;
	}
	text_add(out, l->text + from);
	free(b);
}

void fmt_file(const Ast *file, const Sources *sources, const Comments *comments, Text *out)
{
	Fmt f = {.source = source_place(sources, file->span.lo).file, .comments = comments, .fresh = true};
	f.done = f.source->base;
	statements(&f, file, file->span.hi + 1, 0);
	align(&f);

	int column = 0; /* of the comments behind the lines at hand */
	for (int i = 0; i < f.n; i++) {
		const Line *l = &f.line[i];
		if (i == 0 || !noted_together(&f.line[i - 1], l)) {
			column = 0;
			for (int k = i; k == i || (k < f.n && noted_together(&f.line[k - 1], &f.line[k]));
			     k++) {
				int w = f.line[k].indent + width(f.line[k].text, strlen(f.line[k].text));
				if (f.line[k].comment && w <= WIDEST_NOTED && w > column) column = w;
			}
		}
		if (l->blank) text_char(out, '\n');
		text_indent(out, l->indent);
		size_t start = out->n;
		if (l->own || strchr(l->text, '\n'))
			text_add(out, l->text);
		else
			write_broken(l, out);
		if (l->comment) {
			int w = l->indent + width(out->at + start, out->n - start);
			text_indent(out, w < column ? column - w + 2 : 2);
			text_add(out, l->comment);
		}
		text_char(out, '\n');
	}
	for (int i = 0; i < f.n; i++) free(f.line[i].text);
	free(f.line);
}
