/*
 * The parser of GNU long options and what else is made from their table.
 */
#include "options.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- suggestions ---- */

enum { WORD = 48 };

/* Edits (insert, drop, change, swap of neighbours) from a to b; words beyond WORD letters are far from
 * everything. */
static int edits(const char *a, const char *b)
{
	int n = (int)strlen(a), m = (int)strlen(b), d[3][WORD + 1];
	if (n > WORD || m > WORD) return WORD;
	for (int j = 0; j <= m; j++) d[0][j] = j;
	for (int i = 1; i <= n; i++) {
		int *now = d[i % 3], *was = d[(i + 2) % 3], *before = d[(i + 1) % 3];
		now[0] = i;
		for (int j = 1; j <= m; j++) {
			int best = was[j - 1] + (a[i - 1] != b[j - 1]);
			if (was[j] + 1 < best) best = was[j] + 1;
			if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return d[n % 3][m];
}

const char *mtl_nearest(const char *word, const char *(*next)(const void *self, int i), const void *self)
{
	const char *best = NULL, *c;
	int least = 1 + (int)strlen(word) / 3 + 1; /* farther than this is no help */
	for (int i = 0; (c = next(self, i)); i++) {
		int k = edits(word, c);
		if (k < least) {
			least = k;
			best = c;
		}
	}
	return best;
}

typedef struct {
	const MtlOptionTable *table;
	int command;
} Names;

static bool takes(const MtlOption *o, int command) { return command < 0 || (o->commands >> command & 1); }

static const char *next_option(const void *self, int i)
{
	const Names *n = self;
	for (int k = 0; k < n->table->n_option; k++)
		if (takes(&n->table->option[k], n->command) && i-- == 0) return n->table->option[k].name;
	return i == 0 ? "help" : NULL;
}

static const char *next_command(const void *self, int i)
{
	const Names *n = self;
	return i < n->table->n_command ? n->table->command[i].name : NULL;
}

/* ---- values ---- */

static MtlStatus read_value(const MtlOption *o, const char *text, MtlOptionValue *v, MtlError *e)
{
	char *end = NULL;
	if (o->arg == MTL_ARG_LIST && v->given)
		return mtl_fail(e, MTL_USAGE, "", NULL, "--%s is given twice: separate its parts by commas",
				o->name);
	*v = (MtlOptionValue){.given = true, .text = text};
	errno = 0;
	switch (o->arg) {
	case MTL_ARG_NONE: return MTL_OK;
	case MTL_ARG_TEXT:
	case MTL_ARG_LIST:
		if (*text) return MTL_OK;
		return mtl_fail(e, MTL_USAGE, "", NULL, "--%s needs a value", o->name);
	case MTL_ARG_COUNT:
		v->count = strtoll(text, &end, 10);
		if (*text >= '0' && *text <= '9' && !*end && !errno) return MTL_OK;
		return mtl_fail(e, MTL_USAGE, "", NULL, "--%s needs a whole number, not '%s'", o->name, text);
	case MTL_ARG_SEED:
		v->seed = strtoull(text, &end, 10);
		if (*text >= '0' && *text <= '9' && !*end && !errno) return MTL_OK;
		return mtl_fail(e, MTL_USAGE, "", NULL, "--%s needs a whole number below 2^64, not '%s'",
				o->name, text);
	case MTL_ARG_REAL:
		v->real = strtod(text, &end);
		if (*text && !*end && isfinite(v->real) && v->real > 0) return MTL_OK;
		return mtl_fail(e, MTL_USAGE, "", NULL, "--%s needs a number above 0, not '%s'", o->name,
				text);
	case MTL_ARG_CHOICE:
		for (const char *w = o->value; w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL, v->count++)
			if (strcspn(w, "|") == strlen(text) && memcmp(w, text, strlen(text)) == 0)
				return MTL_OK;
		return mtl_fail(e, MTL_USAGE, "", NULL, "--%s is one of %s, not '%s'", o->name, o->value,
				text);
	}
	return MTL_OK;
}

/* ---- parsing ---- */

static MtlStatus no_command(const MtlOptionTable *t, const char *word, MtlError *e)
{
	Names names = {t, -1};
	const char *near = mtl_nearest(word, next_command, &names);
	if (near && *near)
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"no command '%s': did you mean '%s'? (--help lists all)", word, near);
	return mtl_fail(e, MTL_USAGE, "", NULL, "no command '%s' (--help lists all)", word);
}

static MtlStatus no_option(const MtlOptionTable *t, int command, const char *word, size_t len, MtlError *e)
{
	char name[WORD + 1];
	snprintf(name, sizeof name, "%.*s", (int)len, word);
	Names names = {t, command};
	const char *near = mtl_nearest(name, next_option, &names);
	const char *of = command >= 0 ? t->command[command].name : "";
	if (near)
		return mtl_fail(e, MTL_USAGE, "", NULL, "no option '--%s'%s%s: did you mean '--%s'?", name,
				*of ? " of " : "", of, near);
	return mtl_fail(e, MTL_USAGE, "", NULL, "no option '--%s'%s%s (--help lists all)", name,
			*of ? " of " : "", of);
}

static int find_command(const MtlOptionTable *t, const char *word)
{
	for (int c = 0; c < t->n_command; c++)
		if (strcmp(t->command[c].name, word) == 0) return c;
	return -1;
}

static MtlStatus operand(MtlOptions *o, const MtlOptionTable *t, const char *word, MtlError *e)
{
	const char *takes_one = t->command[o->command].operand;
	int most = !takes_one ? 0 : strstr(takes_one, "...") ? MTL_OPERANDS_MAX : 1;
	if (o->n_operand >= most) {
		bool data = false;
		for (int k = 0; k < t->n_option; k++)
			data |= takes(&t->option[k], o->command) && !strcmp(t->option[k].name, "data");
		return mtl_fail(e, MTL_USAGE, "", NULL, "unexpected argument '%s'%s", word,
				data ? " (logs are given by --data)" : "");
	}
	if (!o->n_operand) o->operand = word;
	o->operands[o->n_operand++] = word;
	return MTL_OK;
}

/* A long or short option at argv[*i]; moves *i over its value. */
static MtlStatus option(MtlOptions *o, const MtlOptionTable *t, int argc, char *const *argv, int *i,
			MtlError *e)
{
	const char *word = argv[*i];
	bool is_long = word[1] == '-';
	const char *name = word + 1 + is_long;
	size_t len = is_long ? strcspn(name, "=") : 1;
	const char *value = is_long ? (name[len] ? name + len + 1 : NULL) : (name[1] ? name + 1 : NULL);
	for (int k = 0; k < t->n_option; k++) {
		const MtlOption *p = &t->option[k];
		bool hit =
		    is_long ? strlen(p->name) == len && memcmp(p->name, name, len) == 0 : p->letter == *name;
		if (!hit || !takes(p, o->command)) continue;
		if (p->arg == MTL_ARG_NONE && value)
			return mtl_fail(e, MTL_USAGE, "", NULL, "--%s takes no value", p->name);
		if (p->arg != MTL_ARG_NONE && !value) {
			if (*i + 1 >= argc)
				return mtl_fail(e, MTL_USAGE, "", NULL, "--%s needs a value", p->name);
			value = argv[++*i];
		}
		return read_value(p, value ? value : "", &o->value[k], e);
	}
	if (is_long) return no_option(t, o->command, name, len, e);
	return mtl_fail(e, MTL_USAGE, "", NULL, "no option '-%c' (--help lists all)", *name);
}

MtlStatus mtl_options_parse(MtlOptions *o, const MtlOptionTable *t, int argc, char *const *argv, MtlError *e)
{
	*o = (MtlOptions){.command = -1};
	int i = 1, plain = find_command(t, "");
	if (i < argc && find_command(t, argv[i]) >= 0)
		o->command = find_command(t, argv[i++]);
	else if (i < argc && plain < 0 && argv[i][0] != '-')
		return no_command(t, argv[i], e);
	else if (plain >= 0)
		o->command = plain;
	bool only_operands = false;
	for (; i < argc; i++) {
		const char *a = argv[i];
		if (!only_operands && strcmp(a, "--") == 0) {
			only_operands = true;
		} else if (!only_operands && (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0)) {
			o->help = true;
			return MTL_OK;
		} else if (!only_operands && strcmp(a, "--version") == 0) {
			o->version = true;
			return MTL_OK;
		} else if (o->command < 0) {
			return a[0] == '-' && a[1] == '-' ? no_option(t, -1, a + 2, strcspn(a + 2, "="), e)
							  : no_command(t, a, e);
		} else if (!only_operands && a[0] == '-' && a[1]) {
			if (option(o, t, argc, argv, &i, e)) return e->status;
		} else if (operand(o, t, a, e)) {
			return e->status;
		}
	}
	if (o->command < 0)
		return mtl_fail(e, MTL_USAGE, "", NULL, "a command is missing (--help lists all)");
	for (int k = 0; k < t->n_option; k++)
		if ((t->option[k].needed >> o->command & 1) && !o->value[k].given)
			return mtl_fail(e, MTL_USAGE, "", NULL, "%s needs --%s %s",
					t->command[o->command].name, t->option[k].name, t->option[k].value);
	return MTL_OK;
}

const MtlOptionValue *mtl_option(const MtlOptions *o, const MtlOptionTable *t, const char *name)
{
	const MtlOptionValue *any = NULL;
	for (int k = 0; k < t->n_option; k++) {
		if (strcmp(t->option[k].name, name) != 0) continue;
		if (o->command >= 0 && takes(&t->option[k], o->command)) return &o->value[k];
		if (!any) any = &o->value[k];
	}
	return any;
}

const char **mtl_options_list(const MtlSys *sys, const char *text, int *n)
{
	size_t parts = 1;
	for (const char *p = text; *p; p++) parts += *p == ',';
	const char **list = mtl_alloc(sys, 1, parts * sizeof *list + strlen(text) + 1);
	*n = 0;
	if (!list) return NULL;
	char *copy = strcpy((char *)(list + parts), text);
	for (char *p = copy; p;) {
		list[(*n)++] = p;
		if ((p = strchr(p, ','))) *p++ = 0;
	}
	return list;
}

/* ---- help ---- */

static int label(const MtlOption *o, char text[80])
{
	char letter[8] = "    ";
	if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
	return snprintf(text, 80, "  %s--%s%s%s", letter, o->name, o->arg != MTL_ARG_NONE ? " " : "",
			o->arg != MTL_ARG_NONE ? o->value : "");
}

static void usage(const MtlOptionTable *t, const char *program, int c, FILE *to)
{
	const MtlCommand *k = &t->command[c];
	fprintf(to, "usage: %s%s%s%s%s", program, *k->name ? " " : "", k->name, k->operand ? " " : "",
		k->operand ? k->operand : "");
	for (int i = 0; i < t->n_option; i++)
		if (t->option[i].needed >> c & 1)
			fprintf(to, " --%s %s", t->option[i].name, t->option[i].value);
	fputs(" [options]\n", to);
}

/* Words of a help text from column `at` on, in lines of at most COLUMNS. */
static void flow(const char *s, int at, FILE *to)
{
	enum { COLUMNS = 100 };
	int column = at;
	while (*s) {
		int n = (int)strcspn(s, " ");
		if (column > at && column + 1 + n > COLUMNS) {
			fprintf(to, "\n%*s", at, "");
			column = at;
		} else if (column > at) {
			fputc(' ', to);
			column++;
		}
		fwrite(s, 1, (size_t)n, to);
		column += n;
		s += n;
		s += strspn(s, " ");
	}
	fputc('\n', to);
}

static void options_of(const MtlOptionTable *t, int c, FILE *to)
{
	char text[80];
	int width = 0;
	for (int i = 0; i < t->n_option; i++) {
		int n = takes(&t->option[i], c) ? label(&t->option[i], text) : 0;
		if (n > width && (n < 36 || !width)) width = n < 36 ? n : 36;
	}
	if (!width) return;
	fputs("\noptions:\n", to);
	for (int i = 0; i < t->n_option; i++) {
		if (!takes(&t->option[i], c)) continue;
		int n = label(&t->option[i], text);
		if (n > width) fprintf(to, "%s\n", text);
		fprintf(to, "%-*s  ", width, n > width ? "" : text);
		flow(t->option[i].help, width + 2, to);
	}
}

static void examples(const MtlCommand *k, const char *program, FILE *to)
{
	int lines = 1;
	for (const char *s = k->example; (s = strchr(s, '\n')); s++) lines++;
	fprintf(to, "\nexample%s:\n  ", lines > 1 ? "s" : "");
	for (const char *s = k->example; *s; s++)
		if (*s == '%')
			fputs(program, to);
		else if (*s == '\n')
			fputs("\n  ", to);
		else
			fputc(*s, to);
	fputc('\n', to);
}

const char *mtl_exit_text(int code)
{
	switch (code) {
	case MTL_OK: return "done";
	case MTL_NO: return "the answer is no";
	case MTL_USAGE: return "the command line is wrong";
	case MTL_SPEC: return "the model's text is wrong";
	case MTL_DATA: return "the data are wrong";
	case MTL_REFUSED: return "the model file is refused";
	case MTL_SYSTEM: return "a file or the system";
	case MTL_NUMBERS: return "numbers that are not finite";
	case MTL_LIMIT: return "memory, or another limit";
	case MTL_INTERRUPTED: return "interrupted";
	}
	return "a mistake of ours: please report it";
}

static void exits(const MtlCommand *k, FILE *to)
{
	static const struct {
		char letter;
		int code;
	} of[] = {{'0', 0}, {'1', 1}, {'2', 2}, {'3', 3}, {'4', 4},
		  {'5', 5}, {'6', 6}, {'7', 7}, {'8', 8}, {'i', 130}};
	fputs("\nexit codes:\n", to);
	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		if (of[i].code == MTL_OK || of[i].code == MTL_USAGE || strchr(k->exits, of[i].letter))
			fprintf(to, "  %-3d  %s\n", of[i].code,
				of[i].code == 1 && k->no ? k->no : mtl_exit_text(of[i].code));
}

void mtl_options_help(const MtlOptionTable *t, const char *program, int command, FILE *to)
{
	if (command >= 0) {
		const MtlCommand *k = &t->command[command];
		usage(t, program, command, to);
		fprintf(to, "\n%s\n", k->help);
		if (k->more) fprintf(to, "\n%s\n", k->more);
		if (k->example) examples(k, program, to);
		options_of(t, command, to);
		if (k->exits) exits(k, to);
		if (*t->command[command].name) return;
	} else {
		fprintf(to, "usage: %s COMMAND [options]\n\n%s\n", program, t->intro);
	}
	fputs("\ncommands:\n", to);
	for (int c = 0; c < t->n_command; c++)
		if (*t->command[c].name) fprintf(to, "  %-10s %s\n", t->command[c].name, t->command[c].help);
	fprintf(to, "\n%s COMMAND --help tells more.\n", program);
}

void mtl_options_dump(const MtlOptionTable *t, FILE *to)
{
	for (int c = 0; c < t->n_command; c++)
		fprintf(to, "command\t%s\t%s\t%s\n", t->command[c].name,
			t->command[c].operand ? t->command[c].operand : "", t->command[c].help);
	for (int i = 0; i < t->n_option; i++) {
		const MtlOption *o = &t->option[i];
		fputs("option\t", to);
		for (int c = 0, n = 0; c < t->n_command; c++)
			if (takes(o, c)) fprintf(to, "%s%s", n++ ? "," : "", t->command[c].name);
		fprintf(to, "\t%s\t%.1s\t%s\t%s\n", o->name, o->letter ? &o->letter : "",
			o->arg != MTL_ARG_NONE ? o->value : "", o->help);
	}
}
