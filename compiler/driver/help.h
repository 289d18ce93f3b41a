/*
 * Help of commands that build a program and run it: mtlc's own options and the program's, as one table.
 */
#ifndef HELP_H
#define HELP_H
#include "runtime/options.h"

/* The program's command behind one of mtlc's: "data pack" is pack; NULL: it runs none. */
const char *run_word(const char *command);
/* Command c of mtlc as a table of one command, with all that it takes; options: MTL_OPTIONS_MAX places. */
MtlOptionTable command_table(const MtlOptionTable *t, int c, MtlCommand *command, MtlOption *option);
/* Of "data" and "model": the commands that begin so. */
void group_help(const MtlOptionTable *t, const char *word, FILE *to);
#endif
