/*
 * `mtlc pages`: manual pages and shell completions, printed from the option tables that also make the parsers
 * and the help, so that they cannot say anything else.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
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
	if (*s == '.' || *s == '\'') fputs("\\&", to);
	for (; *s; s++) {
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

static void man(const MtlOptionTable *t, const char *page, const char *program, const char *rest, FILE *to)
{
	fprintf(to, ".TH %s 1 \"\" \"%s\"\n.SH NAME\n%s \\- ", page, mtlc_version, program);
	roff(t->intro, to);
	fputs("\n.SH SYNOPSIS\n", to);
	for (int c = 0; c < t->n_command; c++) {
		const MtlCommand *k = &t->command[c];
		fprintf(to, "%s\\fB%s\\fR \\fB%s\\fR", c ? ".br\n" : "", program, k->name);
		for (int i = 0; i < t->n_option; i++)
			if (t->option[i].needed >> c & 1) {
				fputs(" \\fB\\-\\-", to);
				roff(t->option[i].name, to);
				fputs("\\fR \\fI", to);
				roff(t->option[i].value, to);
				fputs("\\fR", to);
			}
		fprintf(to, " %s [options]\n", k->operand ? k->operand : "");
	}
	fputs(".SH COMMANDS\n", to);
	for (int c = 0; c < t->n_command; c++) {
		fprintf(to, ".TP\n\\fB%s\\fR\n", *t->command[c].name ? t->command[c].name : "(none)");
		roff(t->command[c].help, to);
		fputc('\n', to);
	}
	fputs(".SH OPTIONS\n", to);
	for (int i = 0; i < t->n_option; i++) man_option(t, &t->option[i], to);
	fputs(".TP\n\\fB\\-\\-help\\fR, \\fB\\-\\-version\\fR\nHelp, of a command too; the version.\n", to);
	fputs(".SH EXIT STATUS\n0 done; 1 the answer is \"no\"; 2 usage; 3 model text rejected; 4 data "
	      "rejected; "
	      "5 model file refused; 6 system; 7 numbers; 8 a limit; 70 a bug; 130 interrupted, and saved.\n",
	      to);
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

/* A program's own options, which `mtlc train` and its kin take too: the command of that name, or -1. */
static int run_command(const char *name)
{
	if (strcmp(name, "train") && strcmp(name, "eval") && strcmp(name, "score")) return -1;
	for (int c = 0; c < mtl_prog_options.n_command; c++)
		if (!strcmp(mtl_prog_options.command[c].name, name)) return c;
	return -1;
}

/* Calls `each` for every option of command c of mtlc, once for each name. */
static void options_of(const MtlOptionTable *t, int c,
		       void (*each)(const MtlOption *o, const char *command, FILE *to), FILE *to)
{
	int run = run_command(t->command[c].name);
	for (int i = 0; i < t->n_option; i++)
		if (takes(&t->option[i], c)) each(&t->option[i], t->command[c].name, to);
	for (int i = 0; run >= 0 && i < mtl_prog_options.n_option; i++)
		if (takes(&mtl_prog_options.option[i], run))
			each(&mtl_prog_options.option[i], t->command[c].name, to);
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

/* First words: "data gen" is completed as "data", then "gen". */
static void first_words(const MtlOptionTable *t, FILE *to)
{
	bool data = false;
	for (int c = 0; c < t->n_command; c++) {
		bool second = !strncmp(t->command[c].name, "data ", 5);
		if (second && data) continue;
		data |= second;
		fprintf(to, " %s", second ? "data" : t->command[c].name);
	}
}

static void data_words(const MtlOptionTable *t, FILE *to)
{
	for (int c = 0; c < t->n_command; c++)
		if (!strncmp(t->command[c].name, "data ", 5)) fprintf(to, " %s", t->command[c].name + 5);
}

static void bash(const MtlOptionTable *t, FILE *to)
{
	fputs("# Completion of mtlc for bash.\n_mtlc() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} "
	      "command=${COMP_WORDS[1]} at=1 words=\n"
	      "\tif [ \"$command\" = data ] && [ \"$COMP_CWORD\" -gt 2 ]; then command=\"data "
	      "${COMP_WORDS[2]}\"; fi\n"
	      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then words=\"--help --version",
	      to);
	first_words(t, to);
	fputs("\"\n\telif [ \"$COMP_CWORD\" -eq 2 ] && [ \"$command\" = data ]; then words=\"", to);
	data_words(t, to);
	fputs("\"\n\telse case \"$command $prev\" in\n", to);
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
	bool data = false;
	for (int c = 0; c < t->n_command; c++) {
		const MtlCommand *k = &t->command[c];
		bool second = !strncmp(k->name, "data ", 5);
		if (!second || !data) {
			fprintf(to, "\t\t'%s:", second ? "data" : k->name);
			quoted(second ? "Logs: made, checked, described." : k->help, ":\\", to);
			fputs("'\n", to);
		}
		data |= second;
	}
	fputs("\t)\n\tif (( CURRENT == 2 )); then _describe -t commands command commands; return; fi\n"
	      "\tlocal command=$words[2]\n"
	      "\tif [[ $command == data ]]; then\n\t\tif (( CURRENT == 3 )); then compadd",
	      to);
	data_words(t, to);
	fputs("; return; fi\n\t\tcommand=\"data $words[3]\"\n\t\tshift words; (( CURRENT-- ))\n\tfi\n"
	      "\tshift words; (( CURRENT-- ))\n\tcase $command in\n",
	      to);
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
	bool data = false;
	for (int c = 0; c < t->n_command; c++) {
		const MtlCommand *k = &t->command[c];
		bool second = !strncmp(k->name, "data ", 5);
		if (!second || !data) {
			fprintf(to, "complete -c mtlc -f -n __fish_use_subcommand -a %s",
				second ? "data" : k->name);
			fish_text(second ? "Logs: made, checked, described." : k->help, to);
			fputc('\n', to);
		}
		data |= second;
		if (second) {
			fputs("complete -c mtlc -f -n '__fish_seen_subcommand_from data' -a ", to);
			fputs(k->name + 5, to);
			fish_text(k->help, to);
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
	fprintf(stderr, "mtlc pages: there is no '%s'%s%s%s; mtlc pages lists all\n", c->operand,
		near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	return 2;
}
