/*
 * A comparison: variants of models, each trained with several seeds.
 */
#ifndef COMPARE_H
#define COMPARE_H
#include "driver/commands.h"
#include "runtime/program.h"
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { VARIANTS_MAX = 64, SEEDS_MAX = 100, HEADS_MAX = 64 };

/* What is shown of a head, where it has it. */
enum { AUC, GAUC, NDCG, LOGLOSS, NE, CALIBRATION, ACCURACY, RMSE, MAE, METRICS };

typedef struct {
	const char *file;
	Define define[DEFINES_MAX]; /* of consts */
	int n_define;
	Define option[8]; /* of the program: lr, batch, ... */
	int n_option;
	const char *only_loss, *own; /* --single: the loss that is kept, and what it is of */
	int base;		     /* the variant it is compared with: 0, or the one it is a task of */
	char label[200], program[4096];
	int64_t sizes[3];
} Variant;

typedef struct {
	pid_t pid; /* 0: not running */
	int code;  /* exit code, -1 before its end */
	double rows, seconds;
} Job;

typedef struct {
	Arena *arena;
	const Request *call;
	Variant *variant;
	int n_variant, n_seed;
	const char *train, *valid;
	const char *keep; /* folder of --keep, or NULL */
	char dir[4096];
	Job *job; /* [variant][seed] */
	VEC(const char *) head;
	double *value; /* [variant][seed][head][METRICS]; NaN where there is none */
	int64_t rows[HEADS_MAX];
} Comparison;

/* Trains all, `cores` at once, and reads their logs; the first failure stops the rest.  0 or an exit code. */
int compare_run(Comparison *c, int cores);
static inline double *compare_value(const Comparison *c, int variant, int seed, int head, int m)
{
	return &c->value[((variant * c->n_seed + seed) * HEADS_MAX + head) * METRICS + m];
}
/* The last part of a path. */
static inline const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}
/* The name of a metric in logs and tables. */
const char *compare_metric(int m);
/* The table, and the same for machines. */
void compare_say(const Comparison *c, FILE *to);
void compare_json(const Comparison *c, FILE *to);
#endif
