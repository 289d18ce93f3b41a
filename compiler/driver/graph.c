/*
 * `mtlc graph`: the task graph as a picture, by Graphviz: features by side at the bottom, then what the
 * author named (shared values, experts, gates, towers), the probabilities the towers estimate and those that
 * follow, and on top the losses.  Beside it the event tree.
 *
 * A box is a value with a name; a line from one to another says that the other is computed from it without a
 * third between them.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "pass/pass.h"
#include <ctype.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef enum { NO_BOX, SHARED, EXPERT, GATE, TOWER, LET } BoxRole;

typedef struct {
	Str name;
	BoxRole role;
	const Ast *as; /* the expression */
} Declared;

typedef struct {
	const char *from, *to; /* their names in DOT */
	int group;	       /* of features where it begins, or -1 */
	NodeId tail, head;     /* experts whose frame it begins or ends at, or 0 */
	bool by_gate;
} Line;

typedef struct {
	Arena *arena;
	const Spec *s;
	const Graph *g;
	const Ast *ast;
	VEC(Declared) declared;
	VEC(Line) line;
	BoxRole *role; /* [node] */
	int *watch;    /* [node] watch whose logit it is, or -1 */
	int *from;     /* [node] of a box: its place in `declared` */
	int *owner;    /* [node] of a value whose parts have no names: its place in `declared`, or -1 */
	bool *seen;    /* [node] scratch of a walk */
	bool sizes;    /* -v */
	Text out;
} Picture;

/* ---- what is a box ---- */

static void declared(Picture *p, const Ast *t)
{
	if (!t) return;
	static const BoxRole role_of[AST_N] = {[AST_SHARED] = SHARED,
					       [AST_EXPERTS] = EXPERT,
					       [AST_GATE] = GATE,
					       [AST_TOWER] = TOWER,
					       [AST_LET] = LET};
	if (role_of[t->kind]) {
		if (t->name) vec_push(p->arena, &p->declared, (Declared){t->name, role_of[t->kind], t->a});
		for (int i = 0; !t->name && i < t->list.n; i++)
			vec_push(p->arena, &p->declared,
				 (Declared){t->list.at[i]->name, role_of[t->kind], t->a});
		return;
	}
	if (t->kind == AST_LAYER) return; /* its names are its own */
	if (t->kind == AST_FILE || t->kind == AST_USE || t->kind == AST_BLOCK)
		for (int i = 0; i < t->list.n; i++) declared(p, t->list.at[i]);
	if (t->kind == AST_FOR) declared(p, t->b);
	if (t->kind == AST_IF) declared(p, t->b), declared(p, t->c);
}

static bool computes(OpCode op) { return op == OP_DENSE || op == OP_MIX; }

/* Walks back from `id` through what has no box; calls `found` at boxes and inputs, `inner` at what lies
 * between. */
typedef struct {
	void (*found)(Picture *p, void *self, NodeId at, bool by_gate);
	void (*inner)(Picture *p, void *self, NodeId at);
	void *self;
	int within; /* owner whose nodes are walked through, or -1 */
} Walk;

static bool is_input(const Node *n) { return n->op == OP_LOOKUP || n->op == OP_REAL || n->op == OP_PRESENT; }

static void walk(Picture *p, NodeId id, const Walk *w, bool by_gate)
{
	const Node *n = &p->g->node.at[id];
	for (int k = n->n_in; k-- > 0;) { /* of a mixture first the experts, then the gate */
		int i = n->op == OP_MIX ? k : n->n_in - 1 - k;
		NodeId in = n->in[i];
		if (!in || p->seen[in]) continue;
		p->seen[in] = true;
		const Node *m = &p->g->node.at[in];
		/* The first operand of a mixture is its gate: what that looks at is no part of the sum. */
		bool gate = by_gate || (n->op == OP_MIX && i == 0);
		bool owned = p->owner[in] >= 0 && p->owner[in] != w->within;
		if (p->role[in] || is_input(m) || p->watch[in] >= 0 || owned) {
			w->found(p, w->self, in, gate);
			continue;
		}
		if (w->inner) w->inner(p, w->self, in);
		walk(p, in, w, gate);
	}
}

static void walk_from(Picture *p, NodeId id, const Walk *w)
{
	memset(p->seen, 0, (size_t)p->g->node.n * sizeof *p->seen);
	if (w->inner) w->inner(p, w->self, id);
	walk(p, id, w, false);
}

typedef struct {
	VEC(int) width;
	int64_t madds;
} Inside;

static void count_inside(Picture *p, void *self, NodeId at)
{
	Inside *in = self;
	const Node *n = &p->g->node.at[at];
	if (!computes(n->op)) return;
	in->madds += shape_size(p->g->node.at[n->in[1]].shape);
	if (n->op == OP_DENSE) vec_push(p->arena, &in->width, n->shape.d[n->shape.nd - 1]);
}

static void nothing(Picture *p, void *self, NodeId at, bool gate)
{
	(void)p, (void)self, (void)at, (void)gate;
}

/* Widths of the dense layers in their order: the walk meets the last one first. */
static Inside inside(Picture *p, NodeId id)
{
	Inside in = {0};
	walk_from(p, id, &(Walk){nothing, count_inside, &in, -1});
	for (int i = 0, k = in.width.n - 1; i < k; i++, k--) {
		int swap = in.width.at[i];
		in.width.at[i] = in.width.at[k];
		in.width.at[k] = swap;
	}
	return in;
}

static void find_boxes(Picture *p)
{
	const Graph *g = p->g;
	for (NodeId id = 1; id < g->node.n; id++) {
		const Node *n = &g->node.at[id];
		if (!n->name || !n->shape.rows || is_input(n)) continue;
		size_t base = strcspn(n->name, ".");
		for (int i = 0; i < p->declared.n; i++) {
			const Declared *d = &p->declared.at[i];
			if (strlen(d->name) == base && !strncmp(d->name, n->name, base))
				p->role[id] = d->role, p->from[id] = i;
		}
		/* A `let` that only renames or adds up is no box of its own. */
		if (p->role[id] == LET && !inside(p, id).width.n) p->role[id] = NO_BOX;
	}
}

/*
 * What a layer with several results gives has no names: all that was computed under one name is one box then.
 * A dense layer belongs to whom its weight's name says ("shared.f.level.0..."), the rest to whom all of its
 * operands belong.
 */
static void find_owners(Picture *p)
{
	const Graph *g = p->g;
	for (NodeId id = 0; id < g->node.n; id++) p->owner[id] = -1;
	for (int k = 0; k < p->declared.n; k++) {
		const Declared *d = &p->declared.at[k];
		bool named = false;
		size_t len = strlen(d->name);
		for (NodeId id = 1; id < g->node.n && !named; id++) {
			const char *name = g->node.at[id].name;
			named =
			    p->role[id] && !strncmp(name, d->name, len) && (!name[len] || name[len] == '.');
		}
		if (named) continue;
		for (NodeId id = 1; id < g->node.n; id++) {
			const Node *n = &g->node.at[id];
			if (p->role[id] || !n->n_in || !n->shape.rows) continue;
			const char *weight = n->op == OP_DENSE ? g->node.at[n->in[1]].name : NULL;
			const char *dot = weight ? strchr(weight, '.') : NULL;
			int rows = 0, mine = 0;
			for (int i = 0; i < n->n_in; i++) {
				rows += g->node.at[n->in[i]].shape.rows;
				mine += n->in[i] && p->owner[n->in[i]] == k;
			}
			if ((dot && !strncmp(dot + 1, d->name, len) && dot[1 + len] == '.') ||
			    (n->op != OP_DENSE && rows && mine == rows))
				p->owner[id] = k;
		}
	}
}

/* ---- text ---- */

/* A name, and a little room below it for its underscores. */
#define NAME_END "</b><br/><font point-size=\"3\"> </font>"

static void html(Text *t, const char *s)
{
	for (; *s; s++) {
		if (*s == '&')
			text_add(t, "&amp;");
		else if (*s == '<')
			text_add(t, "&lt;");
		else if (*s == '>')
			text_add(t, "&gt;");
		else if (*s == '"')
			text_add(t, "&quot;");
		else
			text_char(t, *s);
	}
}

static void small(Text *t, const char *s)
{
	text_add(t, "<br/><font point-size=\"9\" color=\"#555555\">");
	for (; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		char line[256];
		snprintf(line, sizeof line, "%.*s", (int)strcspn(s, "\n"), s);
		html(t, line);
		if (s[strcspn(s, "\n")]) text_add(t, "<br/>");
	}
	text_add(t, "</font>");
}

static const char *thousands(Arena *a, int64_t n)
{
	char s[32], *out = arena_alloc(a, 48), *to = out;
	int len = snprintf(s, sizeof s, "%lld", (long long)n);
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0) *to++ = ',';
		*to++ = s[i];
	}
	return out;
}

/*
 * "AND(ctr, MIX(y2, y3, y4))" as a reader of papers would write it: ctr (y2 y3 + (1 − y2) y4).
 * *s moves behind the expression; sum: it stands where a sum needs brackets.
 */
static void formula(Text *t, const char **s, bool factor)
{
	bool and = !strncmp(*s, "AND(", 4), mix = !strncmp(*s, "MIX(", 4), not = !strncmp(*s, "NOT(", 4);
	if (!and&&!mix && !not ) {
		int depth = 0;
		for (; **s && (depth || !strchr(",)", **s)); ++*s) {
			depth += (**s == '(') - (**s == ')');
			text_char(t, **s);
		}
		return;
	}
	*s += 4;
	if (not ) {
		text_add(t, factor ? "(1 − " : "1 − ");
		formula(t, s, true);
		if (factor) text_char(t, ')');
	} else if (and) {
		formula(t, s, true);
		while (**s == ',') {
			*s += 1 + ((*s)[1] == ' ');
			text_add(t, " · ");
			formula(t, s, true);
		}
	} else {
		Text gate = {0};
		formula(&gate, s, true);
		if (factor) text_char(t, '(');
		text_add(t, gate.at ? gate.at : "");
		for (int k = 0; k < 2 && **s == ','; k++) {
			*s += 1 + ((*s)[1] == ' ');
			bool zero = k && **s == '0', one = !k && **s == '1';
			if (zero || one) {
				++*s;
				continue;
			}
			if (k) text_printf(t, " + (1 − %s)", gate.at ? gate.at : "");
			text_add(t, " · ");
			formula(t, s, true);
		}
		if (factor) text_char(t, ')');
		text_free(&gate);
	}
	if (**s == ')') ++*s;
}

static const char *pretty(Arena *a, const char *expression)
{
	Text t = {0};
	const char *s = expression;
	formula(&t, &s, false);
	const char *out =
	    arena_strdup(a, *s || !t.at ? expression : t.at); /* not understood to its end: as it is */
	text_free(&t);
	return out;
}

/* ---- nodes ---- */

/* Layers whose dense layers say what they are; of all others the author's own words say it. */
static bool plain(Str layer)
{
	static const char *const name[] = {"dense",   "mlp",	"concat",     "sum",	    "mean",
					   "dropout", "stop",	"range",      "mix",	    "first",
					   "last",    "length", "gelu",	      "silu",	    "elu",
					   "prelu",   "dice",	"layer_norm", "batch_norm", "log1p",
					   "expm1",   "relu",	"tanh",	      "sigmoid",    "softmax",
					   "exp",     "embed",	"raw",	      "fields",	    "feature_dropout",
					   "max",     "min",	"noise",      "each"};
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		if (!strcmp(layer, name[i])) return true;
	return false;
}

enum { WORDS_MAX = 6, WORD_WIDE = 36 };

typedef struct {
	const char *line[WORDS_MAX]; /* a layer each, the first one first */
	int n;
	bool special; /* one is not plain */
} Words;

static void words(Picture *p, const Ast *e, bool piped, Words *w)
{
	if (!e) return;
	if (e->kind == AST_PIPE) {
		words(p, e->a, false, w);
		words(p, e->b, true, w);
		return;
	}
	bool call = e->kind == AST_CALL || (piped && e->kind == AST_NAME);
	if (!piped) {
		words(p, e->a, false, w);
		words(p, e->b, false, w);
		words(p, e->c, false, w);
		for (int i = 0; i < e->list.n; i++) words(p, e->list.at[i], false, w);
	}
	bool layer = call && (!plain(e->name) || !strcmp(e->name, "mlp") || !strcmp(e->name, "dense"));
	if (!layer || w->n == WORDS_MAX) return;
	Text t = {0};
	if (piped)
		ast_expr_text(e, &t);
	else
		text_add(&t, e->name); /* what it is called with are the lines that lead here */
	w->special |= !plain(e->name);
	char *long_line = t.n > WORD_WIDE ? memrchr(t.at, ',', WORD_WIDE) : NULL;
	if (long_line && long_line[1] == ' ') long_line[1] = '\n';
	w->line[w->n++] = arena_strdup(p->arena, t.at);
	text_free(&t);
}

static Words words_of(Picture *p, const Declared *d)
{
	Words w = {.n = 0};
	words(p, d->as, false, &w);
	if (!w.special) w.n = 0;
	return w;
}

static const char *const fill[] = {
    [SHARED] = "#eeeeee", [EXPERT] = "#fff3da", [GATE] = "#fde2b8", [TOWER] = "#dce8fb", [LET] = "#f5f5f5"};

static void box(Picture *p, NodeId id)
{
	const Node *n = &p->g->node.at[id];
	Inside in = inside(p, id);
	Text t = {0};
	BoxRole r = p->role[id];
	text_printf(&t, "  v%d [shape=box style=\"filled%s\" fillcolor=\"%s\" label=<<b>", id,
		    r == GATE ? "" : ",rounded", fill[r]);
	html(&t, n->name);
	text_add(&t, NAME_END);
	Text line = {0};
	bool many = in.width.n > 4;
	Words w = words_of(p, &p->declared.at[p->from[id]]);
	for (int i = 0; i < w.n; i++) text_printf(&line, "%s%s", i ? "\n" : "", w.line[i]);
	if (w.n)
		;
	else if (r == GATE)
		text_add(&line, "softmax mixture");
	else if (many)
		text_printf(&line, "%d dense layers", in.width.n);
	else if (!in.width.n)
		text_printf(&line, "%d wide", (int)shape_size(n->shape));
	for (int i = 0; !w.n && r != GATE && !many && i < in.width.n; i++)
		text_printf(&line, "%s%d", i ? " → " : "dense ", in.width.at[i]);
	small(&t, line.at);
	text_free(&line);
	if (p->sizes) small(&t, arena_printf(p->arena, "%s", shape_text(p->arena, n->shape)));
	if (p->sizes && in.madds)
		small(&t, arena_printf(p->arena, "%s multiply-adds", thousands(p->arena, in.madds)));
	text_printf(&p->out, "%s>]\n", t.at);
	text_free(&t);
}

/* A bundle of experts is a frame with the first two and the last; lines lead to the frame. */
static bool same_bundle(const char *a, const char *b)
{
	const char *x = strrchr(a, '.'), *y = strrchr(b, '.');
	return x && y && x - a == y - b && !strncmp(a, b, (size_t)(x - a));
}

static NodeId bundle_of(const Picture *p, NodeId id)
{
	if (p->role[id] != EXPERT) return id;
	for (NodeId k = 1; k < id; k++)
		if (p->role[k] == EXPERT && same_bundle(p->g->node.at[k].name, p->g->node.at[id].name))
			return k;
	return id;
}

typedef VEC(NodeId) Ids;

static Ids members(const Picture *p, NodeId first)
{
	Ids e = {0};
	for (NodeId k = first; k < p->g->node.n; k++)
		if (p->role[k] == EXPERT && bundle_of(p, k) == first) vec_push(p->arena, &e, k);
	return e;
}

enum { SHOWN = 4 }; /* experts drawn one by one */

/* The member in the middle of the frame: lines that end at the frame are aimed at it. */
static const char *middle(const Picture *p, NodeId first)
{
	Ids e = members(p, first);
	return e.n > SHOWN ? arena_printf(p->arena, "more%d", first)
			   : arena_printf(p->arena, "v%d", e.at[e.n / 2]);
}

static void bundle(Picture *p, NodeId first)
{
	Ids e = members(p, first);
	const char *name = p->g->node.at[first].name, *dot = strrchr(name, '.');
	text_printf(&p->out,
		    "  subgraph cluster_v%d {\n  style=\"rounded\" color=\"#c9a45c\" fontsize=10 "
		    "fontcolor=\"#8a6520\" label=\"",
		    first);
	if (dot && e.n > 1)
		text_printf(&p->out, "%d experts %.*s\"\n", e.n, (int)(dot - name), name);
	else
		text_add(&p->out, "\"\n");
	Text row = {0};
	for (int i = 0; i < e.n; i++) {
		if (e.n > SHOWN && i >= 2 && i < e.n - 1) {
			if (i == 2) {
				text_printf(&p->out, "  more%d [shape=plaintext fontsize=14 label=\"…\"]\n",
					    first);
				text_printf(&row, " -> more%d", first);
			}
			continue;
		}
		box(p, e.at[i]);
		text_printf(&row, "%sv%d", i ? " -> " : "", e.at[i]);
	}
	/* From left to right in their order. */
	if (e.n > 1) text_printf(&p->out, "  { rank=same; %s [style=invis] }\n", row.at);
	text_free(&row);
	text_add(&p->out, "  }\n");
}

static int group_of(const Picture *p, const Node *n)
{
	int f = n->op == OP_LOOKUP ? p->s->lookup.at[n->attr.i].feature : n->attr.i;
	return p->s->feature.at[f].group;
}

static bool is_read(const Picture *p, int group)
{
	for (NodeId id = 1; id < p->g->node.n; id++)
		if (is_input(&p->g->node.at[id]) && group_of(p, &p->g->node.at[id]) == group) return true;
	return false;
}

/* "seen: video, author": a sequence and its fields. */
static void sequences(Picture *p, int group)
{
	const Spec *s = p->s;
	for (int q = 0; q < s->seq.n; q++) {
		Text t = {0};
		bool mine = false;
		for (int f = 0; f < s->feature.n; f++) {
			const Feature *x = &s->feature.at[f];
			if (x->seq != 1 + q || x->group != group) continue;
			const char *dot = strrchr(x->name, '.');
			text_printf(&t, "%s%s", mine ? ", " : "", dot ? dot + 1 : x->name);
			mine = true;
		}
		if (mine) small(&p->out, arena_printf(p->arena, "%s: steps of %s", s->seq.at[q].name, t.at));
		text_free(&t);
	}
}

static void features(Picture *p)
{
	const Spec *s = p->s;
	for (int side = 0; side < 2; side++) {
		int n = 0;
		for (int i = 0; i < s->group.n; i++) n += s->group.at[i].candidate == side && is_read(p, i);
		if (!n) continue;
		text_printf(&p->out,
			    "  subgraph cluster_side%d {\n  label=\"%s\" fontsize=10 "
			    "fontcolor=\"#555555\" style=\"rounded,filled\" "
			    "color=\"%s\" fillcolor=\"%s\"\n",
			    side, side ? "per candidate" : "per request", side ? "#8cb98c" : "#8ca6c9",
			    side ? "#f1f8f1" : "#f2f6fc");
		for (int i = 0; i < s->group.n; i++) {
			const Group *g = &s->group.at[i];
			if (g->candidate != side || !is_read(p, i))
				continue; /* a `use` may bring more than is used */
			text_printf(&p->out, "  g%d [shape=box style=filled fillcolor=white label=<<b>", i);
			html(&p->out, g->name);
			text_add(&p->out, NAME_END);
			Text line = {0};
			int shown = g->feature.n > 8 ? 6 : g->feature.n;
			for (int k = 0; k < shown; k++) {
				if (line.n + strlen(s->feature.at[g->feature.at[k]].name) > 30) {
					small(&p->out, line.at);
					text_free(&line);
				}
				text_printf(&line, "%s%s", s->feature.at[g->feature.at[k]].name,
					    k + 1 < shown || shown < g->feature.n ? ", " : "");
			}
			if (line.at) small(&p->out, line.at);
			if (shown < g->feature.n)
				small(&p->out, arena_printf(p->arena, "… %d features", g->feature.n));
			text_free(&line);
			sequences(p, i);
			text_add(&p->out, ">]\n");
		}
		text_add(&p->out, "  }\n");
	}
}

/* ---- lines ---- */

typedef struct {
	const char *to;
	NodeId frame; /* experts: the line ends at its frame; 0: at the node */
	VEC(const char *) said;
} Lines;

static void line(Picture *p, void *self, NodeId from, bool by_gate)
{
	Lines *l = self;
	const Node *n = &p->g->node.at[from];
	NodeId first = bundle_of(p, from);
	const char *tail = is_input(n)		     ? arena_printf(p->arena, "g%d", group_of(p, n))
			   : p->role[from] == EXPERT ? middle(p, first)
			   : p->role[from]	     ? arena_printf(p->arena, "v%d", from)
			   : p->watch[from] >= 0     ? arena_printf(p->arena, "p%d", p->watch[from])
						     : arena_printf(p->arena, "o%d", p->owner[from]);
	for (int i = 0; i < l->said.n; i++)
		if (!strcmp(l->said.at[i], tail)) return;
	vec_push(p->arena, &l->said, tail);
	vec_push(p->arena, &p->line,
		 (Line){tail, l->to, is_input(n) ? group_of(p, n) : -1,
			p->role[from] == EXPERT && !is_input(n) ? first : 0, l->frame, by_gate});
}

/* Boxes of values whose parts have no names, and the lines to them. */
static void owned_boxes(Picture *p)
{
	const Graph *g = p->g;
	for (int k = 0; k < p->declared.n; k++) {
		const Declared *d = &p->declared.at[k];
		int dense = 0, mixtures = 0;
		int64_t madds = 0;
		Lines l = {.to = arena_printf(p->arena, "o%d", k)};
		memset(p->seen, 0, (size_t)g->node.n * sizeof *p->seen);
		for (NodeId id = g->node.n; id-- > 1;) {
			const Node *n = &g->node.at[id];
			if (p->owner[id] != k) continue;
			dense += n->op == OP_DENSE;
			mixtures += n->op == OP_MIX;
			if (computes(n->op)) madds += shape_size(g->node.at[n->in[1]].shape);
			walk(p, id, &(Walk){line, NULL, &l, k}, false);
		}
		if (!dense) continue;
		text_printf(&p->out, "  o%d [shape=box style=\"filled,rounded\" fillcolor=\"%s\" label=<<b>",
			    k, mixtures ? fill[GATE] : fill[d->role]);
		html(&p->out, d->name);
		text_add(&p->out, NAME_END);
		Words w = words_of(p, d);
		for (int i = 0; i < w.n; i++) small(&p->out, w.line[i]);
		if (!w.n)
			small(&p->out, mixtures ? arena_printf(p->arena, "%d dense layers, %d mixtures",
							       dense, mixtures)
						: arena_printf(p->arena, "%d dense layers", dense));
		if (p->sizes)
			small(&p->out,
			      arena_printf(p->arena, "%s multiply-adds", thousands(p->arena, madds)));
		text_add(&p->out, ">]\n");
	}
}

static void lines_of_boxes(Picture *p)
{
	for (NodeId id = 1; id < p->g->node.n; id++) {
		if (!p->role[id] || bundle_of(p, id) != id) continue;
		Lines l = {.to = p->role[id] == EXPERT ? middle(p, id) : arena_printf(p->arena, "v%d", id),
			   .frame = p->role[id] == EXPERT ? id : 0};
		walk_from(p, id, &(Walk){line, NULL, &l, -1});
	}
}

static void write_line(Picture *p, const Line *l, const char *from)
{
	text_printf(&p->out, "  %s -> %s [", from, l->to);
	if (l->tail) text_printf(&p->out, "ltail=cluster_v%d ", l->tail);
	if (l->head) text_printf(&p->out, "lhead=cluster_v%d ", l->head);
	if (l->by_gate) text_add(&p->out, "style=dashed color=\"#b07a1e\" ");
	text_add(&p->out, "]\n");
}

/* The groups of features with a line to where line i leads: "0 2 3". */
static const char *groups_into(const Picture *p, int i, int *n)
{
	Text t = {0};
	*n = 0;
	for (int g = 0; g < p->s->group.n; g++)
		for (int k = 0; k < p->line.n; k++) {
			const Line *l = &p->line.at[k];
			if (l->group != g || l->by_gate != p->line.at[i].by_gate ||
			    strcmp(l->to, p->line.at[i].to) != 0)
				continue;
			text_printf(&t, "%d ", g);
			++*n;
			break;
		}
	const char *groups = arena_strdup(p->arena, t.at ? t.at : "");
	text_free(&t);
	return groups;
}

enum { JOINED = 3 };

/*
 * The same three groups into three boxes are nine lines across each other: they meet in a point, from which
 * one line goes to each box.
 */
static void write_lines(Picture *p)
{
	typedef struct {
		const char *groups;
		int at, boxes;
	} Joint;
	VEC(Joint) joint = {0};
	int *of = arena_new(p->arena, int, p->line.n + 1); /* [line] its joint, or -1 */
	for (int i = 0; i < p->line.n; i++) {
		int n, k = 0;
		of[i] = -1;
		if (p->line.at[i].group < 0) continue;
		const char *groups = groups_into(p, i, &n);
		if (n < JOINED) continue;
		while (k < joint.n && strcmp(joint.at[k].groups, groups) != 0) k++;
		if (k == joint.n) vec_push(p->arena, &joint, (Joint){groups, i, 0});
		of[i] = k;
		bool first = true; /* line into its box */
		for (int j = 0; j < i; j++)
			first &= of[j] != k || strcmp(p->line.at[j].to, p->line.at[i].to) != 0 ||
				 p->line.at[j].by_gate != p->line.at[i].by_gate;
		joint.at[k].boxes += first;
	}
	for (int k = 0; k < joint.n; k++) {
		if (joint.at[k].boxes < JOINED) continue;
		text_printf(&p->out, "  j%d [shape=point width=0.05]\n", k);
		const Line *first = &p->line.at[joint.at[k].at];
		for (int i = 0; i < p->line.n; i++)
			if (of[i] == k && !strcmp(p->line.at[i].to, first->to) &&
			    p->line.at[i].by_gate == first->by_gate)
				text_printf(&p->out, "  %s -> j%d [arrowhead=none]\n", p->line.at[i].from, k);
	}
	for (int i = 0; i < p->line.n; i++) {
		const Line *l = &p->line.at[i];
		if (of[i] < 0 || joint.at[of[i]].boxes < JOINED) {
			write_line(p, l, l->from);
			continue;
		}
		bool said = false;
		for (int j = 0; j < i && !said; j++)
			said = of[j] == of[i] && !strcmp(p->line.at[j].to, l->to) &&
			       p->line.at[j].by_gate == l->by_gate;
		if (!said) write_line(p, l, arena_printf(p->arena, "j%d", of[i]));
	}
}

/* ---- probabilities, losses, events ---- */

/* P(level == 3) beside P(level): one ellipse is enough for all classes. */
static bool is_drawn(const Watch *w) { return w->logit > 0 && !strstr(w->text, " == "); }

static void probabilities(Picture *p)
{
	const Spec *s = p->s;
	for (int i = 0; i < s->watch.n; i++) {
		const Watch *w = &s->watch.at[i];
		if (!is_drawn(w)) continue;
		text_printf(&p->out, "  p%d [shape=ellipse style=\"filled%s\" fillcolor=white label=<", i,
			    w->head ? "" : ",dashed");
		html(&p->out, w->text);
		if (!w->head) small(&p->out, pretty(p->arena, w->expression));
		text_add(&p->out, ">]\n");
		Lines l = {.to = arena_printf(p->arena, "p%d", i)};
		/* The logit itself may be a tower's output. */
		if (p->role[w->logit])
			line(p, &l, w->logit, false);
		else
			walk_from(p, w->logit, &(Walk){line, NULL, &l, -1});
	}
}

typedef struct {
	VEC(int) watch;
	bool boxes;
} Reached;

static void reached(Picture *p, void *self, NodeId at, bool gate)
{
	(void)gate;
	Reached *r = self;
	if (p->watch[at] < 0) {
		r->boxes |= p->role[at] != NO_BOX;
		return;
	}
	vec_push(p->arena, &r->watch, p->watch[at]);
}

static const Ast *loss_of(const Ast *t, Str name)
{
	if (!t) return NULL;
	if (t->kind == AST_LOSS) return t->name == name ? t : NULL;
	const Ast *found = NULL;
	if (t->kind == AST_FILE || t->kind == AST_USE || t->kind == AST_BLOCK)
		for (int i = 0; i < t->list.n && !found; i++) found = loss_of(t->list.at[i], name);
	return found;
}

static void losses(Picture *p)
{
	const Spec *s = p->s;
	for (int i = 0; i < s->loss.n; i++) {
		const Loss *l = &s->loss.at[i];
		Reached r = {0};
		walk_from(p, l->row, &(Walk){reached, NULL, &r, -1});
		const Ast *as = loss_of(p->ast, l->name);
		int value = -1;
		Text what = {0};
		if (as) ast_expr_text(as->a, &what);
		text_printf(&p->out, "  l%d [shape=box style=filled fillcolor=\"#fbe3e3\" label=<<b>loss ",
			    i);
		html(&p->out, l->name);
		text_add(&p->out, NAME_END);
		if (what.at && what.n < 60) small(&p->out, what.at);
		/* A loss may go by what E(...) is computed from; it is of E(...) all the same. */
		for (int k = 0; k < s->watch.n && !r.watch.n && what.at; k++)
			if (is_drawn(&s->watch.at[k]) && strstr(what.at, s->watch.at[k].text)) {
				vec_push(p->arena, &r.watch, k);
				value = k;
			}
		text_free(&what);
		if (l->weight != 1) small(&p->out, arena_printf(p->arena, "weight %g", l->weight));
		if (r.watch.n == 1) {
			const Watch *w = &s->watch.at[r.watch.at[0]];
			small(&p->out, arena_printf(p->arena, "rows: %s", w->rows_text));
			small(&p->out, arena_printf(p->arena, "label: %s", w->label_text));
		}
		text_add(&p->out, ">]\n");
		Lines lines = {.to = arena_printf(p->arena, "l%d", i)};
		if (value < 0)
			walk_from(p, l->row, &(Walk){line, NULL, &lines, -1});
		else
			vec_push(p->arena, &p->line,
				 (Line){arena_printf(p->arena, "p%d", value), lines.to, -1, 0, 0, false});
	}
	/* On one line at the top: also what depends on parameters alone. */
	text_add(&p->out, "  { rank=same;");
	for (int i = 0; i < s->loss.n; i++) text_printf(&p->out, " l%d;", i);
	text_add(&p->out, " }\n");
}

static const Watch *watch_of(const Spec *s, const char *name)
{
	for (int i = 0; i < s->watch.n; i++)
		if (!strcmp(s->watch.at[i].name, name)) return &s->watch.at[i];
	return NULL;
}

static void events(Picture *p)
{
	const Events *e = p->s->events;
	if (!e->event.n) return;
	text_add(&p->out,
		 "  subgraph cluster_events {\n  label=\"what can happen\" fontsize=10 fontcolor=\"#555555\" "
		 "style=\"rounded,filled\" "
		 "color=\"#bbbbbb\" fillcolor=\"#fafafa\"\n  e [shape=plaintext label=\"impression\"]\n");
	for (int i = 0; i < e->event.n; i++) {
		const Event *v = &e->event.at[i];
		const Watch *w = watch_of(p->s, v->name);
		text_printf(&p->out, "  e%d [shape=box style=\"rounded,filled\" fillcolor=white label=<<b>",
			    i);
		html(&p->out, v->name);
		text_add(&p->out, "</b>");
		if (v->label_text && *v->label_text && strcmp(v->label_text, v->name))
			small(&p->out, arena_printf(p->arena, "label %s", v->label_text));
		if (w && !w->head)
			small(&p->out, arena_printf(p->arena, "P = %s", pretty(p->arena, w->expression)));
		text_add(&p->out, ">]\n");
		const char *given =
		    v->parent < 0 ? v->name
				  : arena_printf(p->arena, "%s|%s", v->name, e->event.at[v->parent].name);
		w = watch_of(p->s, given);
		char parent[16] = "e";
		if (v->parent >= 0) snprintf(parent, sizeof parent, "e%d", v->parent);
		int before = 0, all = 0;
		for (int k = 0; k < e->event.n; k++) {
			before += k < i && e->event.at[k].parent == v->parent;
			all += e->event.at[k].parent == v->parent;
		}
		/* Many children stand in two rows. */
		text_printf(&p->out, "  %s -> e%d [minlen=%d fontsize=9 label=<", parent, i,
			    all > 4 && before % 2 ? 2 : 1);
		if (w) {
			text_char(&p->out, ' ');
			html(&p->out, pretty(p->arena, w->expression));
			text_char(&p->out, ' ');
		}
		text_add(&p->out, ">]\n");
	}
	text_add(&p->out, "  }\n");
}

/* All features on one line, however early or late they are read, and the event tree's root beside them. */
static void bottom(Picture *p)
{
	text_add(&p->out, "  { rank=same;");
	for (int i = 0; i < p->s->group.n; i++)
		if (is_read(p, i)) text_printf(&p->out, " g%d;", i);
	text_add(&p->out, p->s->events->event.n ? " e; }\n" : " }\n");
}

static void draw(Picture *p)
{
	const Graph *g = p->g;
	p->role = arena_new(p->arena, BoxRole, g->node.n + 1);
	p->seen = arena_new(p->arena, bool, g->node.n + 1);
	p->owner = arena_new(p->arena, int, g->node.n + 1);
	p->from = arena_new(p->arena, int, g->node.n + 1);
	p->watch = arena_new(p->arena, int, g->node.n + 1);
	for (NodeId id = 0; id < g->node.n; id++) p->watch[id] = p->owner[id] = -1;
	declared(p, p->ast);
	find_boxes(p);
	find_owners(p);
	text_printf(&p->out,
		    "digraph \"%s\" {\n  rankdir=BT compound=true newrank=true nodesep=0.3 ranksep=0.45 "
		    "fontname=\"sans-serif\"\n"
		    "  node [fontname=\"sans-serif\" fontsize=11 color=\"#444444\" margin=\"0.12,0.06\"]\n"
		    "  edge [fontname=\"sans-serif\" color=\"#555555\" arrowsize=0.6]\n",
		    p->s->name);
	features(p);
	for (NodeId id = 1; id < g->node.n; id++)
		if (p->role[id] == EXPERT && bundle_of(p, id) == id)
			bundle(p, id);
		else if (p->role[id] && p->role[id] != EXPERT)
			box(p, id);
	owned_boxes(p);
	lines_of_boxes(p);
	/* From here on logits that are no box are stops too. */
	for (int i = 0; i < p->s->watch.n; i++)
		if (is_drawn(&p->s->watch.at[i])) p->watch[p->s->watch.at[i].logit] = i;
	probabilities(p);
	losses(p);
	events(p);
	write_lines(p);
	bottom(p);
	text_add(&p->out, "}\n");
}

/* ---- files ---- */

/* Through `dot -Tsvg -o F`; false: *why. */
static bool render(const Text *t, const char *form, const char *path)
{
	char name[] = "/tmp/mtlc-graph-XXXXXX", to[8];
	int fd = mkstemp(name), status = -1;
	bool ok = fd >= 0 && write(fd, t->at, t->n) == (ssize_t)t->n;
	if (fd >= 0) ok &= !close(fd);
	snprintf(to, sizeof to, "-T%s", form);
	char *argv[] = {"dot", to, "-o", (char *)(uintptr_t)path, name, NULL};
	pid_t pid;
	int e = ok ? posix_spawnp(&pid, "dot", NULL, NULL, argv, environ) : errno;
	while (ok && !e && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (fd >= 0) unlink(name);
	if (ok && !e && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
	if (e == ENOENT || (ok && !e && WIFEXITED(status) && WEXITSTATUS(status) == 127))
		say_error("a picture needs Graphviz (apt install graphviz); -o F.dot does without");
	else
		say_error("cannot write %s%s%s", path, e ? ": " : "", e ? strerror(e) : "");
	return false;
}

bool graph_svg(Compilation *c, Text *svg)
{
	char name[] = "/tmp/mtlc-graph-XXXXXX";
	int fd = mkstemp(name);
	if (fd < 0) return false;
	pass_share(c->spec);
	Picture p = {.arena = c->arena, .s = c->spec, .g = c->spec->g, .ast = c->ast};
	draw(&p);
	bool ok = render(&p.out, "svg", name);
	char block[1 << 14];
	for (ssize_t n; ok && (n = read(fd, block, sizeof block)) > 0;) text_addn(svg, block, (size_t)n);
	close(fd);
	unlink(name);
	text_free(&p.out);
	return ok && svg->n;
}

int command_graph(const Request *call)
{
	CompileRequest r;
	LinkRequest l;
	Request front = *call;
	front.o.command = -1;
	if (!request_of(&front, &r, &l)) return 2;
	int bad = unreadable(r.path);
	if (bad) return bad;
	const char *path = mtl_option(&call->o, call->table, "output")->text;
	const char *form = path ? strrchr(path, '.') : NULL;
	form = !path || !strcmp(path, "-") ? "dot" : form ? form + 1 : "";
	if (strcmp(form, "dot") && strcmp(form, "svg") && strcmp(form, "png") && strcmp(form, "pdf")) {
		say_error("%s: the name must end in .svg, .pdf, .png or .dot", path);
		return 2;
	}
	Compilation c;
	compilation_init(&c);
	int code = compile_front(&c, &r) ? 0 : 3;
	say_messages(&c, false);
	if (!code) {
		pass_share(c.spec);
		Picture p = {.arena = c.arena,
			     .s = c.spec,
			     .g = c.spec->g,
			     .ast = c.ast,
			     .sizes = mtl_option(&call->o, call->table, "verbose")->given};
		draw(&p);
		if (strcmp(form, "dot")) {
			code = render(&p.out, form, path) ? 0 : 6;
		} else {
			FILE *f = path && strcmp(path, "-") ? fopen(path, "w") : stdout;
			if (!f || fwrite(p.out.at, 1, p.out.n, f) != p.out.n || (f != stdout && fclose(f))) {
				say_error("cannot write %s: %s", path ? path : "stdout", strerror(errno));
				code = 6;
			}
		}
		text_free(&p.out);
	}
	compilation_free(&c);
	return code;
}
