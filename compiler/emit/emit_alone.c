/*
 * A scorer as one C file: the runtime's own sources where they need neither files nor libraries, put one
 * after the other; kernels of every machine, of which the preprocessor takes one; numbers as C.
 *
 * What the sources declare for each other is defined before it is used, so declarations go; what they define
 * is nobody's business outside.
 */
#define _GNU_SOURCE /* qsort_r */
#include "emit/emit_alone.h"
#include "alone_text.h"
#include "emit/emit.h"
#include "emit/emit_header.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- the sources ---- */

static bool starts(const char *p, const char *with) { return !strncmp(p, with, strlen(with)); }

static const char *line_end(const char *p)
{
	const char *end = strchr(p, '\n');
	return end ? end + 1 : p + strlen(p);
}

/* A function of the runtime begins here: where its head ends, at the body's brace or the declaration's
 * semicolon. */
static const char *function_head(const char *p)
{
	const char *name = p;
	if (!isalpha((unsigned char)*p) || starts(p, "typedef") || starts(p, "static")) return NULL;
	while (isalnum((unsigned char)*name) || *name == '_' || *name == ' ' || *name == '*') name++;
	if (*name != '(') return NULL;
	const char *word = name;
	while (word > p && (isalnum((unsigned char)word[-1]) || word[-1] == '_')) word--;
	return starts(word, "mtl_") ? name + strcspn(name, ";{") : NULL;
}

static void put(Text *o, const char *from, const char *to) { text_printf(o, "%.*s", (int)(to - from), from); }

static void source(Text *o, const char *p, const char *slots)
{
	const char *comment = NULL; /* one that waits for what it is about */
	while (*p && *p != '\1') {
		const char *end = line_end(p), *head = function_head(p);
		if (starts(p, "/*") && !comment) {
			const char *close = strstr(p, "*/");
			comment = p;
			p = line_end(close);
			continue;
		}
		if (head && *head == ';') {
			comment = NULL;
			p = line_end(head);
			continue;
		}
		if (comment) put(o, comment, p);
		comment = NULL;
		if (starts(p, "#include \"abi.def\""))
			text_add(o, slots);
		else if (!starts(p, "#include \"") && !starts(p, "#define _GNU_SOURCE") &&
			 !starts(p, "#include <xxhash.h>") && !starts(p, "#define XXH_INLINE_ALL")) {
			text_add(o, head ? "MTL_PART " : "");
			put(o, p, end);
		}
		p = end;
	}
}

/* The text of a file among those put together when the compiler was built. */
static const char *file(const char *name)
{
	for (const char *p = alone_text; *p; p = line_end(p))
		if (*p == '\1' && starts(p + 1, name) && p[1 + strlen(name)] == '\n') return line_end(p);
	return "";
}

static char *slot_lines(void)
{
	Text t = {0};
	for (const char *p = file("runtime/abi.def"); *p && *p != '\1'; p = line_end(p))
		if (starts(p, "SLOT(")) put(&t, p, line_end(p));
	return t.at;
}

static void sources(Text *o, const char *const *name, int n)
{
	char *slots = slot_lines();
	for (int i = 0; i < n; i++) source(o, file(name[i]), slots);
	free(slots);
}

/* ---- the numbers ---- */

static void floats(Text *o, const float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++) text_printf(o, "%s%af,", i % 8 ? " " : "\n\t", (double)x[i]);
}

/* Of what is no float. */
static void words(Text *o, const float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		uint32_t w;
		memcpy(&w, x + i, sizeof w);
		text_printf(o, "%s0x%xu,", i % 8 ? " " : "\n\t", (unsigned)w);
	}
}

static int by_bytes(const void *a, const void *b, void *words)
{
	const char *const *w = words;
	return strcmp(w[*(const int *)a], w[*(const int *)b]);
}

static void books(Text *o, const Spec *s, const EmitNumbers *n)
{
	for (int i = 0; i < s->feature.n; i++) {
		const EmitCode *c = &n->code[i];
		if (c->n_word) {
			int *order = arena_new(s->arena, int, c->n_word);
			for (int k = 0; k < c->n_word; k++) order[k] = k;
			qsort_r(order, (size_t)c->n_word, sizeof *order, by_bytes,
				(void *)(uintptr_t)c->word);
			text_printf(o, "static const char *const words%d[] = {", i);
			for (int k = 0; k < c->n_word; k++) {
				text_add(o, k % 8 ? ", " : k ? ",\n\t" : "\n\t");
				emit_quoted(o, c->word[k]);
			}
			text_printf(o, "};\nstatic const int32_t order%d[] = {", i);
			for (int k = 0; k < c->n_word; k++)
				text_printf(o, "%s%d", k % 16 ? ", " : k ? ",\n\t" : "\n\t", order[k]);
			text_add(o, "};\n");
		}
		if (c->n_edge) {
			text_printf(o, "static const double edge%d[] = {", i);
			for (int k = 0; k < c->n_edge; k++) text_printf(o, "%s%a", k ? ", " : "", c->edge[k]);
			text_add(o, "};\n");
		}
	}
	text_add(o, "static const MtlCodeBook mtl_books[] = {\n");
	for (int i = 0; i < s->feature.n; i++) {
		const EmitCode *c = &n->code[i];
		text_add(o, "\t{");
		if (c->n_word)
			text_printf(o,
				    ".vocab = (char **)(uintptr_t)words%d, .n_vocab = %d, .index = (void "
				    "*)(uintptr_t)order%d, ",
				    i, c->n_word, i);
		if (c->n_edge)
			text_printf(o, ".edges = (double *)(uintptr_t)edge%d, .n_edges = %d, ", i, c->n_edge);
		text_printf(o, ".shift = %a, .scale = %a},\n", c->shift, c->scale);
	}
	text_add(o, s->feature.n ? "};\n" : "\t{0}};\n");
}

static void numbers(Text *o, const Spec *s, const EmitNumbers *n)
{
	text_printf(o, "static const float mtl_params[%lld] = {", (long long)spec_param_floats(s) + 1);
	for (int i = 0; i < s->param.n; i++) {
		if (!n->param[i]) continue;
		text_printf(o, "\n\t/* %s */ [%lld] =", s->param.at[i].name,
			    (long long)spec_param_offset(s, i));
		floats(o, n->param[i], shape_size(s->param.at[i].shape));
	}
	text_add(o, " [0] = 0};\n" + (s->param.n ? 8 : 0));
	for (int i = 0; i < s->table.n; i++) {
		if (!n->table[i]) continue;
		const Table *t = &s->table.at[i];
		text_printf(o, "/* %s */\nstatic const %s mtl_table%d[] = {", t->name,
			    t->narrow ? "uint32_t" : "float", i);
		(t->narrow ? words : floats)(o, n->table[i], n->rows[i] * t->stride);
		text_add(o, "};\n");
	}
	text_add(o, "static const float *const mtl_tables[] = {");
	for (int i = 0; i < s->table.n; i++)
		text_printf(o,
			    !n->table[i]	    ? "NULL, "
			    : s->table.at[i].narrow ? "(const float *)(const void *)mtl_table%d, "
						    : "mtl_table%d, ",
			    i);
	text_add(o, "NULL};\n");
}

/* ---- kernels ---- */

void emit_static_c(Text *o, const Mod *m)
{
	Text c = {0};
	emit_c(m, &c, false);
	for (const char *p = c.at, *end; p && *p; p = end) {
		end = line_end(p);
		if (starts(p, "void ")) text_add(o, "static ");
		put(o, p, end);
	}
	text_free(&c);
}

/* The last variant is for whatever is left: its vectors are those of the language. */
void emit_when(Text *o, const Target *t, int i, int n)
{
	static const struct {
		const char *suffix, *condition;
	} when[] = {{"vnni", "defined(__AVX512VNNI__) && defined(__AVX512F__) && defined(__AVX512BW__) && "
			     "defined(__AVX512CD__) && defined(__AVX512DQ__) && defined(__AVX512VL__)"},
		    {"v4", "defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512CD__) && "
			   "defined(__AVX512DQ__) && defined(__AVX512VL__)"},
		    {"v3", "defined(__AVX2__) && defined(__FMA__)"},
		    {"neon", "defined(__aarch64__)"},
		    {"v2", "defined(__x86_64__)"}};
	text_printf(o, "\n/* ---- kernels: %s ---- */\n\n", t->name);
	if (i == n - 1) {
		text_add(o, n > 1 ? "#else\n" : "#if 1\n");
		return;
	}
	for (size_t k = 0; k < sizeof when / sizeof *when; k++)
		if (!strcmp(when[k].suffix, t->suffix))
			text_printf(o, "#%s %s\n", i ? "elif" : "if", when[k].condition);
}

/* ---- the file ---- */

void emit_alone(Text *o, const EmitModel *m, const EmitNumbers *n)
{
	static const char *const before[] = {
	    "compiler/emit/alone.h", "runtime/status.h",   "runtime/status.c", "runtime/real.h",
	    "runtime/model.h",	     "runtime/steps.h",	   "runtime/steps.c",  "runtime/encode.h",
	    "runtime/code.c",	     "runtime/batch.h",	   "runtime/cross.h",  "runtime/cross.c",
	    "runtime/group.h",	     "runtime/instance.h", "runtime/frame.h",  "runtime/frame.c",
	    "runtime/rows.h",	     "runtime/rows.c"};
	static const char *const after[] = {"compiler/emit/alone_open.h", "runtime/library.h",
					    "runtime/library.c"};
	text_printf(
	    o,
	    "/*\n * Scores of the model %s, in one file.  Made by %s.\n *\n"
	    " *     cc -O2 -ffp-contract=off -march=native -c %s.c\n *\n"
	    " * for this machine; other values of -march choose other kernels.  Link with -lm.\n */\n",
	    m->spec->name, m->compiler, library_prefix(m->spec));
	text_add(o, "\n#if defined(__clang__)\n#pragma clang diagnostic ignored \"-Wunknown-pragmas\"\n"
		    "#pragma clang diagnostic ignored \"-Wunused-function\"\n#endif\n");
	emit_header(o, m);
	text_add(o, "\n#define MTL_PART static __attribute__((unused))\n"
		    "#define XXH3_64bits xxh3\n");
	sources(o, before, sizeof before / sizeof *before);
	books(o, m->spec, n);
	numbers(o, m->spec, n);
	sources(o, after, sizeof after / sizeof *after);
	emit_model(o, m);
}
