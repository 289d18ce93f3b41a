/* Help of commands that build a program and run it, and of the first of two words. */
#include "driver/help.h"
#include "runtime/program.h"
#include <string.h>

const char *run_word(const char *command)
{
	static const char *const word[][2] = {{"train", "train"},
					      {"eval", "eval"},
					      {"score", "score"},
					      {"data pack", "pack"},
					      {"model import", "import"}};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++)
		if (!strcmp(command, word[i][0])) return word[i][1];
	return NULL;
}

static int put(MtlOption *to, int n, const MtlOptionTable *t, int c)
{
	for (int i = 0; i < t->n_option; i++) {
		if (!(t->option[i].commands >> c & 1)) continue;
		to[n] = t->option[i];
		to[n].commands = 1;
		to[n].needed = t->option[i].needed >> c & 1;
		n++;
	}
	return n;
}

MtlOptionTable command_table(const MtlOptionTable *t, int c, MtlCommand *command, MtlOption *option)
{
	*command = t->command[c];
	int n = 0;
	const char *word = t == &mtl_prog_options ? NULL : run_word(command->name);
	for (int k = 0; word && k < mtl_prog_options.n_command; k++) {
		const MtlCommand *p = &mtl_prog_options.command[k];
		if (strcmp(p->name, word)) continue;
		n = put(option, n, &mtl_prog_options, k);
		command->help = p->help;
		command->more = p->more;
		command->no = p->no;
		/* Besides its own codes a program's text may be wrong. */
		static const char *const with[][2] = {
		    {"45678i", "345678i"}, {"4568i", "34568i"}, {"4568", "34568"}};
		for (size_t i = 0; i < sizeof with / sizeof *with; i++)
			if (!strcmp(p->exits, with[i][0])) command->exits = with[i][1];
		if (p->operand) command->operand = "F.mtl [F|-]";
	}
	n = put(option, n, t, c);
	return (MtlOptionTable){t->intro, command, 1, option, n};
}

void group_help(const MtlOptionTable *t, const char *word, FILE *to)
{
	size_t n = strlen(word);
	fprintf(to, "usage: mtlc %s COMMAND [options]\n\ncommands:\n", word);
	for (int c = 0; c < t->n_command; c++)
		if (!strncmp(t->command[c].name, word, n) && t->command[c].name[n] == ' ')
			fprintf(to, "  %-14s %s\n", t->command[c].name, t->command[c].help);
	fprintf(to, "\nmtlc %s COMMAND --help tells more.\n", word);
}
