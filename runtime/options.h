/*
 * Command lines from one table: the parser, --help, suggestions and a dump for manual pages and completions.
 */
#ifndef MTL_OPTIONS_H
#define MTL_OPTIONS_H
#include "status.h"
#include "sys.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum {
	MTL_ARG_NONE, /* a switch */
	MTL_ARG_TEXT,
	MTL_ARG_LIST,	/* comma-separated; given twice, the lists are not joined: an error */
	MTL_ARG_COUNT,	/* a whole number >= 0 */
	MTL_ARG_SEED,	/* a whole number below 2^64 */
	MTL_ARG_REAL,	/* a finite number > 0 */
	MTL_ARG_CHOICE, /* one of the words of `value`, separated by | */
} MtlArg;

typedef struct {
	const char *name; /* "max-bad-rows" */
	char letter;	  /* 'o', or 0 */
	MtlArg arg;
	const char *value; /* what stands for the argument in the help */
	uint32_t
	    commands;	 /* bit c: command c takes it; a name may stand in several rows for different ones */
	uint32_t needed; /* bit c: command c cannot do without */
	const char *help;
} MtlOption;

typedef struct {
	const char *name;    /* "" where the program has one thing to do without a word for it */
	const char *operand; /* "[F|-]" (may be left out), "F.mtl..." (one or more), or NULL */
	const char *help;    /* one line, for lists */
	/* For the help of the command alone: */
	const char *more;    /* what goes in, what comes out; lines of at most 100 columns */
	const char *example; /* command lines, a line each; % is the program's name, # begins a remark */
	const char *exits;   /* exit codes it can have besides 0 and 2: "1346", i: 130 */
	const char *no;	     /* what exit code 1 means */
} MtlCommand;

typedef struct {
	const char *intro; /* one sentence about the program */
	const MtlCommand *command;
	int n_command;
	const MtlOption *option;
	int n_option;
} MtlOptionTable;

typedef struct {
	bool given;
	const char *text;
	int64_t count; /* COUNT; CHOICE: index of the word */
	uint64_t seed;
	double real;
} MtlOptionValue;

enum { MTL_OPTIONS_MAX = 64, MTL_OPERANDS_MAX = 64 };

typedef struct {
	int command; /* -1: none was named (help or version only) */
	bool help, version;
	const char *operand; /* the first, or NULL */
	const char *operands[MTL_OPERANDS_MAX];
	int n_operand;
	MtlOptionValue value[MTL_OPTIONS_MAX]; /* parallel to the table */
} MtlOptions;

/* MTL_USAGE with one line that names the nearest real word. */
MtlStatus mtl_options_parse(MtlOptions *o, const MtlOptionTable *t, int argc, char *const *argv, MtlError *e);
/* Value of the option called `name`, which must be in the table: once, or once for each of several commands.
 */
const MtlOptionValue *mtl_option(const MtlOptions *o, const MtlOptionTable *t, const char *name);
/* Help of one command, or of the program where command < 0. */
void mtl_options_help(const MtlOptionTable *t, const char *program, int command, FILE *to);
/* What an exit code means, for any command but where it is 1. */
const char *mtl_exit_text(int code);
/* The table as tab-separated lines: "command NAME OPERAND HELP", "option COMMANDS NAME LETTER VALUE HELP". */
void mtl_options_dump(const MtlOptionTable *t, FILE *to);

/* Cuts a copy of "a,b" at the commas: *n pointers in one block, to be released; NULL: no memory. */
const char **mtl_options_list(const MtlSys *sys, const char *text, int *n);
/* The candidate nearest to `word` by edits, or NULL where none is near.  next(self, i) gives the i-th, NULL
 * at the end. */
const char *mtl_nearest(const char *word, const char *(*next)(const void *self, int i), const void *self);
#endif
