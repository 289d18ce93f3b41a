/*
 * `mtlc pages`: manual pages and shell completions, printed from the option tables that also make the parsers
 * and the help, so that they cannot say anything else.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "driver/help.h"
#include "runtime/program.h"
#include <stdio.h>
#include <string.h>

typedef struct {
	const char *name, *what;
	void (*print)(const MtlOptionTable *mtlc, FILE *to);
} Page;

static bool takes(const MtlOption *o, int command) { return o->commands >> command & 1; }

/* ---- manual pages ---- */

/* Text of roff: a minus is a minus, and no line is a request. */
static void roff(const char *s, FILE *to)
{
	for (bool begins = true; *s; begins = *s++ == '\n') {
		if (begins && (*s == '.' || *s == '\'')) fputs("\\&", to);
		if (begins && *s == ' ') fputs(".br\n\\&", to);
		if (*s == '-')
			fputs("\\-", to);
		else if (*s == '\\')
			fputs("\\e", to);
		else
			fputc(*s, to);
	}
}

static void man_option(const MtlOptionTable *t, const MtlOption *o, FILE *to)
{
	fputs(".TP\n", to);
	if (o->letter) fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", to);
	roff(o->name, to);
	fputs("\\fR", to);
	if (o->arg != MTL_ARG_NONE) {
		fputs(" \\fI", to);
		roff(o->value, to);
		fputs("\\fR", to);
	}
	fputc('\n', to);
	roff(o->help, to);
	int named = 0, n = 0;
	for (int c = 0; c < t->n_command; c++) n += takes(o, c);
	if (n < t->n_command) {
		fputs("\n.br\nOf:", to);
		for (int c = 0; c < t->n_command; c++)
			if (takes(o, c))
				fprintf(to, "%s %s", named++ ? "," : "",
					*t->command[c].name ? t->command[c].name : "scoring");
	}
	fputc('\n', to);
}

static void man_command(const MtlCommand *k, const char *program, FILE *to)
{
	fprintf(to, ".TP\n\\fB%s\\fR\n", *k->name ? k->name : "(none)");
	roff(k->help, to);
	fputc('\n', to);
	if (k->more) {
		fputs(".br\n", to);
		roff(k->more, to);
		fputc('\n', to);
	}
	if (!k->example) return;
	fputs(".RS\n.nf\n", to);
	for (const char *s = k->example; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		char line[160] = "";
		size_t n = 0;
		for (const char *c = s; *c && *c != '\n' && n + strlen(program) + 1 < sizeof line; c++) {
			if (*c == '%')
				n += (size_t)sprintf(line + n, "%s", program);
			else
				line[n++] = *c;
		}
		line[n] = 0;
		roff(line, to);
		fputc('\n', to);
	}
	fputs(".fi\n.RE\n", to);
}

static void man(const MtlOptionTable *t, const char *page, const char *program, const char *rest, FILE *to)
{
	fprintf(to, ".TH %s 1 \"\" \"%s\"\n.SH NAME\n%s \\- ", page, mtlc_version, program);
	roff(t->intro, to);
	fputs("\n.SH SYNOPSIS\n", to);
	for (int c = 0; c < t->n_command; c++) {
		MtlCommand k;
		MtlOption all[MTL_OPTIONS_MAX];
		MtlOptionTable one = command_table(t, c, &k, all);
		fprintf(to, "%s\\fB%s\\fR \\fB%s\\fR %s", c ? ".br\n" : "", program, k.name,
			k.operand ? k.operand : "");
		for (int i = 0; i < one.n_option; i++)
			if (all[i].needed) {
				fputs(" \\fB\\-\\-", to);
				roff(all[i].name, to);
				fputs("\\fR \\fI", to);
				roff(all[i].value, to);
				fputs("\\fR", to);
			}
		fputs(" [options]\n", to);
	}
	fputs(".SH COMMANDS\n", to);
	for (int c = 0; c < t->n_command; c++) {
		MtlCommand own;
		MtlOption all[MTL_OPTIONS_MAX];
		MtlOptionTable one = command_table(t, c, &own, all);
		man_command(one.command, program, to);
	}
	fputs(".SH OPTIONS\n", to);
	for (int i = 0; i < t->n_option; i++) man_option(t, &t->option[i], to);
	fputs(".TP\n\\fB\\-\\-help\\fR, \\fB\\-\\-version\\fR\nHelp, of a command too; the version.\n", to);
	fputs(".SH EXIT STATUS\n", to);
	static const int code[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130};
	for (size_t i = 0; i < sizeof code / sizeof *code; i++)
		fprintf(to, "%s%d %s", i ? "; " : "", code[i], mtl_exit_text(code[i]));
	fputs(".\n", to);
	fputs(rest, to);
}

static void man_mtlc(const MtlOptionTable *t, FILE *to)
{
	man(t, "MTLC", "mtlc",
	    ".SH ENVIRONMENT\n\\fBCC\\fR, \\fBCFLAGS\\fR, \\fBLDFLAGS\\fR, \\fBTMPDIR\\fR: used when a "
	    "program is linked. "
	    "\\fBXDG_CACHE_HOME\\fR: programs that run at once are kept below it. \\fBNO_COLOR\\fR: no "
	    "colours.\n"
	    ".SH SEE ALSO\n\\fBmtlc-program\\fR(1), \\fBmtlc-scorer\\fR(1), /usr/share/doc/mtlc\n",
	    to);
}

static void man_program(const MtlOptionTable *t, FILE *to)
{
	(void)t;
	man(&mtl_prog_options, "MTLC-PROGRAM", "mtlc-program",
	    ".SH NOTES\nThe program that \\fBmtlc build\\fR makes of a model, whatever its name; "
	    "\\fBmtlc train\\fR, \\fBeval\\fR and \\fBscore\\fR take the same options.\n"
	    ".SH SEE ALSO\n\\fBmtlc\\fR(1), \\fBmtlc-scorer\\fR(1)\n",
	    to);
}

static void man_scorer(const MtlOptionTable *t, FILE *to)
{
	(void)t;
	man(&mtl_scorer_options, "MTLC-SCORER", "mtlc-scorer",
	    ".SH NOTES\nThe standalone scorer that \\fBmtlc build \\-\\-model\\fR makes, whatever its name.\n"
	    ".SH SEE ALSO\n\\fBmtlc\\fR(1), \\fBmtlc-program\\fR(1)\n",
	    to);
}

/* ---- completions ---- */

/* Calls `each` for every option of command c of mtlc, those of the program behind it included. */
static void options_of(const MtlOptionTable *t, int c,
		       void (*each)(const MtlOption *o, const char *command, FILE *to), FILE *to)
{
	MtlCommand own;
	MtlOption all[MTL_OPTIONS_MAX];
	MtlOptionTable one = command_table(t, c, &own, all);
	for (int i = 0; i < one.n_option; i++) each(&one.option[i], own.name, to);
}

/* Commands of two words: "data gen" is completed as "data", then "gen". */
static const struct {
	const char *word, *help;
} group[] = {{"data", "Logs: made, checked, described, packed."},
	     {"model", "Model files: taken over from others."}};
enum { GROUPS = sizeof group / sizeof *group };

/* The group of a command, or -1; *first: no command before it is of that group. */
static int group_of(const MtlOptionTable *t, int c, bool *first)
{
	for (int k = 0; k < GROUPS; k++) {
		size_t n = strlen(group[k].word);
		if (strncmp(t->command[c].name, group[k].word, n) || t->command[c].name[n] != ' ') continue;
		*first = true;
		for (int i = 0; i < c; i++)
			*first &=
			    strncmp(t->command[i].name, group[k].word, n) || t->command[i].name[n] != ' ';
		return k;
	}
	*first = true;
	return -1;
}

static void first_words(const MtlOptionTable *t, FILE *to)
{
	for (int c = 0; c < t->n_command; c++) {
		bool first;
		int k = group_of(t, c, &first);
		if (first) fprintf(to, " %s", k >= 0 ? group[k].word : t->command[c].name);
	}
}

static void second_words(const MtlOptionTable *t, int k, FILE *to)
{
	bool first;
	for (int c = 0; c < t->n_command; c++)
		if (group_of(t, c, &first) == k)
			fprintf(to, " %s", t->command[c].name + strlen(group[k].word) + 1);
}

static void bash_word(const MtlOption *o, const char *command, FILE *to)
{
	(void)command;
	fprintf(to, " --%s", o->name);
}

static void bash_choice(const MtlOption *o, const char *command, FILE *to)
{
	if (o->arg != MTL_ARG_CHOICE) return;
	fprintf(to, "\t\"%s --%s\") words=\"", command, o->name);
	for (const char *p = o->value; *p; p++) fputc(*p == '|' ? ' ' : *p, to);
	fputs("\" ;;\n", to);
}

static void bash(const MtlOptionTable *t, FILE *to)
{
	fputs("# Completion of mtlc for bash.\n_mtlc() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} "
	      "command=${COMP_WORDS[1]} words=\n"
	      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then words=\"--help --version",
	      to);
	first_words(t, to);
	fputs("\"\n", to);
	for (int k = 0; k < GROUPS; k++) {
		fprintf(to, "\telif [ \"$COMP_CWORD\" -eq 2 ] && [ \"$command\" = %s ]; then words=\"",
			group[k].word);
		second_words(t, k, to);
		fputs("\"\n", to);
	}
	fputs("\telse\n\tcase $command in", to);
	for (int k = 0; k < GROUPS; k++) fprintf(to, "%s%s", k ? "|" : " ", group[k].word);
	fputs(") command=\"$command ${COMP_WORDS[2]}\" ;; esac\n\tcase \"$command $prev\" in\n", to);
	for (int c = 0; c < t->n_command; c++) options_of(t, c, bash_choice, to);
	fputs("\t*) case $cur in -*) case $command in\n", to);
	for (int c = 0; c < t->n_command; c++) {
		fprintf(to, "\t\t\"%s\") words=\"--help", t->command[c].name);
		options_of(t, c, bash_word, to);
		fputs("\" ;;\n", to);
	}
	fputs("\t\tesac ;; esac ;;\n\tesac; fi\n"
	      "\tif [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "\telse COMPREPLY=($(compgen -f -- \"$cur\")); fi\n}\n"
	      "complete -o filenames -F _mtlc mtlc\n",
	      to);
}

/* Within single quotes; zsh's _arguments gives brackets and colons a meaning of their own. */
static void quoted(const char *s, const char *special, FILE *to)
{
	for (; *s; s++) {
		if (*s == '\'') {
			fputs("'\\''", to);
			continue;
		}
		if (strchr(special, *s)) fputc('\\', to);
		fputc(*s, to);
	}
}

static void zsh_option(const MtlOption *o, const char *command, FILE *to)
{
	(void)command;
	for (int k = o->letter ? 0 : 1; k < 2; k++) {
		fputs(" \\\n\t\t\t'*", to);
		if (k == 0)
			fprintf(to, "-%c", o->letter);
		else
			fprintf(to, "--%s", o->name);
		fputc('[', to);
		quoted(o->help, "[]:\\", to);
		fputc(']', to);
		if (o->arg == MTL_ARG_CHOICE) {
			fprintf(to, ":%s:(", o->name);
			for (const char *p = o->value; *p; p++) fputc(*p == '|' ? ' ' : *p, to);
			fputc(')', to);
		} else if (o->arg != MTL_ARG_NONE) {
			fputc(':', to);
			quoted(o->value, "[]:\\", to);
			fputs(o->arg == MTL_ARG_TEXT || o->arg == MTL_ARG_LIST ? ":_files" : ":", to);
		}
		fputc('\'', to);
	}
}

static void zsh(const MtlOptionTable *t, FILE *to)
{
	fputs("#compdef mtlc\n# Completion of mtlc for zsh.\n_mtlc() {\n\tlocal -a commands=(\n", to);
	for (int c = 0; c < t->n_command; c++) {
		bool first;
		int k = group_of(t, c, &first);
		if (!first) continue;
		fprintf(to, "\t\t'%s:", k >= 0 ? group[k].word : t->command[c].name);
		quoted(k >= 0 ? group[k].help : t->command[c].help, ":\\", to);
		fputs("'\n", to);
	}
	fputs("\t)\n\tif (( CURRENT == 2 )); then _describe -t commands command commands; return; fi\n"
	      "\tlocal command=$words[2]\n",
	      to);
	for (int k = 0; k < GROUPS; k++) {
		fprintf(to, "\tif [[ $command == %s ]]; then\n\t\tif (( CURRENT == 3 )); then compadd",
			group[k].word);
		second_words(t, k, to);
		fprintf(
		    to,
		    "; return; fi\n\t\tcommand=\"%s $words[3]\"\n\t\tshift words; (( CURRENT-- ))\n\tfi\n",
		    group[k].word);
	}
	fputs("\tshift words; (( CURRENT-- ))\n\tcase $command in\n", to);
	for (int c = 0; c < t->n_command; c++) {
		fprintf(to, "\t\t'%s') _arguments '--help[help]'", t->command[c].name);
		options_of(t, c, zsh_option, to);
		fputs(" \\\n\t\t\t'*:file:_files' ;;\n", to);
	}
	fputs("\tesac\n}\n_mtlc \"$@\"\n", to);
}

static void fish_when(const char *command, FILE *to)
{
	const char *second = strchr(command, ' ');
	fprintf(to, "complete -c mtlc -n '__fish_seen_subcommand_from %.*s%s%s'", (int)strcspn(command, " "),
		command, second ? "; and __fish_seen_subcommand_from" : "", second ? second : "");
}

static void fish_text(const char *s, FILE *to)
{
	fputs(" -d '", to);
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\') fputc('\\', to);
		fputc(*s, to);
	}
	fputc('\'', to);
}

static void fish_option(const MtlOption *o, const char *command, FILE *to)
{
	fish_when(command, to);
	if (o->letter) fprintf(to, " -s %c", o->letter);
	fprintf(to, " -l %s", o->name);
	if (o->arg == MTL_ARG_CHOICE) {
		fputs(" -x -a '", to);
		for (const char *p = o->value; *p; p++) fputc(*p == '|' ? ' ' : *p, to);
		fputc('\'', to);
	} else if (o->arg == MTL_ARG_TEXT || o->arg == MTL_ARG_LIST) {
		fputs(" -r", to);
	} else if (o->arg != MTL_ARG_NONE) {
		fputs(" -x", to);
	}
	fish_text(o->help, to);
	fputc('\n', to);
}

static void fish(const MtlOptionTable *t, FILE *to)
{
	fputs("# Completion of mtlc for fish.\n", to);
	for (int c = 0; c < t->n_command; c++) {
		bool first;
		const MtlCommand *m = &t->command[c];
		int k = group_of(t, c, &first);
		if (first) {
			fprintf(to, "complete -c mtlc -f -n __fish_use_subcommand -a %s",
				k >= 0 ? group[k].word : m->name);
			fish_text(k >= 0 ? group[k].help : m->help, to);
			fputc('\n', to);
		}
		if (k >= 0) {
			fprintf(to, "complete -c mtlc -f -n '__fish_seen_subcommand_from %s' -a %s",
				group[k].word, m->name + strlen(group[k].word) + 1);
			fish_text(m->help, to);
			fputc('\n', to);
		}
	}
	for (int c = 0; c < t->n_command; c++) options_of(t, c, fish_option, to);
}

/* ---- the tables themselves, for other tools ---- */

static void tables(const MtlOptionTable *t, FILE *to)
{
	fputs("program\tmtlc\n", to);
	mtl_options_dump(t, to);
	fputs("program\tmtlc-program\n", to);
	mtl_options_dump(&mtl_prog_options, to);
	fputs("program\tmtlc-scorer\n", to);
	mtl_options_dump(&mtl_scorer_options, to);
}

static const Page page[] = {
    {"man", "manual page of mtlc", man_mtlc},
    {"man-program", "manual page of the programs that mtlc makes", man_program},
    {"man-scorer", "manual page of standalone scorers", man_scorer},
    {"bash", "completion for bash", bash},
    {"zsh", "completion for zsh", zsh},
    {"fish", "completion for fish", fish},
    {"options", "commands and options of all, as tab-separated lines", tables},
};

static const char *nth(const void *self, int i)
{
	(void)self;
	return (size_t)i < sizeof page / sizeof *page ? page[i].name : NULL;
}

int command_pages(const Request *c)
{
	for (size_t i = 0; i < sizeof page / sizeof *page; i++) {
		if (!c->operand) printf("  %-12s %s\n", page[i].name, page[i].what);
		if (c->operand && !strcmp(c->operand, page[i].name)) {
			page[i].print(c->table, stdout);
			return 0;
		}
	}
	if (!c->operand) return 0;
	const char *near = mtl_nearest(c->operand, nth, NULL);
	say_error("there is no '%s'%s%s%s; mtlc pages lists all", c->operand, near ? ": did you mean '" : "",
		  near ? near : "", near ? "'?" : "");
	return 2;
}
