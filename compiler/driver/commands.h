/* What mtlc can be asked to do, a function each; the result is the exit code. */
#ifndef COMMANDS_H
#define COMMANDS_H
#include "driver/compile.h"
#include "driver/link.h"
#include "driver/say.h"
#include "runtime/options.h"

enum { DEFINES_MAX = 64 };

typedef struct {
	const MtlOptionTable *table;
	MtlOptions o;
	const char *operand;
	Define define[DEFINES_MAX];
	int n_define;
	const char *only_loss; /* of CompileRequest */
	bool blas,
	    f64;  /* train, eval, score: --gemm=blas and --double, taken out of the program's command line */
	int argc; /* train, eval, score: the program's own command line */
	char **argv;
} Request;

int command_check(const Request *c);
int command_build(const Request *c);
int command_run(const Request *c);
int command_gen(const Request *c);
int command_bench(const Request *c);
int command_gradcheck(const Request *c);
int command_fmt(const Request *c);
int command_explain(const Request *c);
int command_new(const Request *c);
int command_pages(const Request *c);
int command_graph(const Request *c);
int command_data(const Request *c); /* data check, data stats */

int command_compare(const Request *c);
int command_lsp(const Request *c);
int command_report(const Request *c);
int command_tune(const Request *c);

/* Shared: the task graph of a checked model as SVG, by Graphviz; false where that cannot be had. */
bool graph_svg(Compilation *c, Text *svg);
/* Shared: a file written whole or not at all (NULL, "-": stdout); false: said on stderr. */
bool write_whole(const char *path, const Text *t);
/* Shared: does a command line of train want a report?  Then it is run so; the exit code. */
bool report_asked(const Request *c);
int train_and_report(const Request *c, const char *program);

/*
 * Shared: the path of the model's program in the cache, where it is built unless it is there; 0 or an exit
 * code, with everything said.  sizes (or NULL): dense parameters, numbers in tables as far as known,
 * multiply-adds of a row.
 */
int cached_program(const Request *call, char *path, size_t size, int64_t sizes[3]);
/* Shared: instructions for bytes are of use to kernels that have bytes. */
bool target_wanted(const CompileRequest *r, const Target *t);
/* Shared: the request of a command line; false: said on stderr (exit 2). */
bool request_of(const Request *c, CompileRequest *r, LinkRequest *l);
/* 6, said on stderr, when this is no file that can be read; else 0. */
int unreadable(const char *path);
/* 6, said on stderr, where no file can be made whole under this name; NULL and "-" (stdout) are 0. */
int unwritable(const char *path);
/* 2, said on stderr, where both are one file, be it there or not yet.  Either may be NULL. */
int replaces(const char *option, const char *out, const char *other);
/* Messages to stderr, or as JSON to stdout. */
void say_messages(const Compilation *c, bool json);
#endif
