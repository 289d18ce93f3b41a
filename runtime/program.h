/*
 * Programs made of a model, and what the two kinds of them share.
 */
#ifndef MTL_PROGRAM_H
#define MTL_PROGRAM_H
#include "instance.h"
#include "options.h"
#include "pool.h"
#include "reader.h"
#include <stdio.h>

/* main() of the model's program, and of a standalone scorer. */
int mtl_prog_main(const MtlModel *m, int argc, char **argv);
int mtl_scorer_main(const MtlModel *m, int argc, char **argv);
int mtl_server_main(const MtlModel *m, int argc, char **argv); /* a scorer's, with a server in it */
/* Their command lines, for manual pages and completions. */
extern const MtlOptionTable mtl_prog_options, mtl_scorer_options;

/* ---- shared: one run of a program ---- */

typedef struct {
	const MtlModel *m;
	const MtlSys *sys;
	const char *name; /* argv[0] without its folder */
	const MtlOptionTable *table;
	MtlOptions o;
	bool (*interrupted)(void *self); /* NULL: nobody listens */
} MtlProgram;

/* Parses; true when that was all (help, version, an error said): then *status is the exit code. */
bool mtl_program_begin(MtlProgram *p, const MtlModel *m, const MtlOptionTable *t, int argc, char **argv,
		       int *status);
/* Says the error, if there is one, and closes stdout: the exit code. */
int mtl_program_end(const MtlProgram *p, const MtlError *e);

const char *mtl_program_text(const MtlProgram *p, const char *option); /* NULL where not given */
int64_t mtl_program_count(const MtlProgram *p, const char *option, int64_t otherwise);
int mtl_program_threads(const MtlProgram *p, int otherwise); /* 0: as many as granted */
bool mtl_program_has(const MtlProgram *p, const char *option);
/* Are both one file, be it there or not yet?  Then by the folder it would be in, and its name there. */
bool mtl_one_file(const char *a, const char *b);
/* USAGE where the file that option `name` gives is one of these: what is written is not what is read. */
MtlStatus mtl_program_apart(const MtlProgram *p, const char *name, const char *const *path, int n,
			    MtlError *e);

int mtl_scorer_run(const MtlModel *m, MtlStatus (*serve)(MtlProgram *, MtlError *), int argc, char **argv);
/* The commands both have. */
MtlStatus mtl_program_score(MtlProgram *p, MtlError *e);
MtlStatus mtl_program_info(MtlProgram *p, MtlError *e);
/* Rows per second of scoring; JSON is left open after its last figure. */
MtlStatus mtl_bench_scores(const MtlInstance *in, MtlThreads *pool, bool json, MtlError *e);

/* Rows at random, as `bench` needs them: ids within their tables, labels in keeping with the event tree. */
MtlStatus mtl_random_batch(MtlBatch *b, const MtlInstance *in, int64_t n, MtlError *e);
/* Monotonic time, seconds. */
double mtl_now(void);
/* The fate of rows, one line: "rows: 100 read, 98 used, 2 rejected (1 bad number, 1 contradiction)". */
void mtl_say_counts(FILE *to, const MtlRowCounts *c);
/* Pieces of JSON: the shortest text that reads back equal, null where not finite; a quoted string. */
void mtl_json_number(FILE *to, double x);
void mtl_json_text(FILE *to, const char *s);
#endif
