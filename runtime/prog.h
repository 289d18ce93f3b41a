/*
 * What the commands of a model's program share.
 */
#ifndef MTL_PROG_H
#define MTL_PROG_H
#include "program.h"

enum { TRAIN, EVAL, SCORE, GRAD, INIT, INFO, GRADCHECK, BENCH, PACK, IMPORT };

/* Commands with a file of their own. */
MtlStatus mtl_prog_train(MtlProgram *p, MtlError *e);
MtlStatus mtl_prog_gradcheck(MtlProgram *p, MtlError *e);
MtlStatus mtl_prog_bench(MtlProgram *p, MtlError *e);

/* The first SIGINT or SIGTERM asks, a second one kills. */
void mtl_prog_listen(void);
bool mtl_prog_interrupted(void *self);
/* How logs are to be read, as the options say. */
MtlStatus mtl_prog_reader(const MtlProgram *p, MtlReaderOptions *r, MtlError *e);
/* The files of a list option; *n = 0 where it is not given.  To be released. */
const char **mtl_prog_files(const MtlProgram *p, const char *name, int *n, MtlError *e);
bool mtl_prog_stdin(const char *const *path, int n); /* is "-" among them? */
/* Fresh parameters; statistics that the model takes from data come from --data. */
MtlStatus mtl_prog_fresh(const MtlProgram *p, MtlInstance *in, bool training, MtlError *e);
#endif
