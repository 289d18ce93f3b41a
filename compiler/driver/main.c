/*
 * mtlc: the command line.
 *
 * Results on stdout, everything else on stderr; exit codes as in docs/guide.md.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	CHECK,
	BUILD,
	TRAIN,
	EVAL,
	SCORE,
	GEN,
	BENCH,
	GRADCHECK,
	FMT,
	EXPLAIN,
	NEW,
	PAGES,
	DATA_CHECK,
	DATA_STATS,
	GRAPH,
	COMPARE,
	LSP,
	REPORT,
	TUNE,
	DATA_PACK,
	MODEL_IMPORT
};
#define C(x) (1u << (x))
#define SPEC (C(CHECK) | C(BUILD) | C(BENCH) | C(GRADCHECK))
#define LOGS (C(DATA_CHECK) | C(DATA_STATS))
#define RUN  (C(TRAIN) | C(EVAL) | C(SCORE) | C(DATA_PACK) | C(MODEL_IMPORT))

static const MtlCommand command[] = {
    {"check", "F.mtl", "All messages about a model; -v: shapes, parameters, derived events."},
    {"build", "F.mtl", "The model's program, or with --model a standalone scorer."},
    {"train", "F.mtl", "Build into the cache and train; more: mtlc train F.mtl --help."},
    {"eval", "F.mtl", "Build into the cache and evaluate; more: mtlc eval F.mtl --help."},
    {"score", "F.mtl", "Build into the cache and score; more: mtlc score F.mtl --help."},
    {"data gen", "KIND", "A synthetic log with its truth in true_ columns: funnel, esm2 or mmoe."},
    {"bench", "F.mtl", "Speed of the dense layers against the machine's peak, and of whole steps."},
    {"gradcheck", "F.mtl",
     "Gradients of the kernels against the double interpreter and central differences."},
    {"fmt", "F.mtl", "The model in the standard layout."},
    {"explain", "[CODE]", "What a message means and what to do about it; without CODE, all codes."},
    {"new", "[KIND]",
     "A model to start from, or with --from-data one proposed for a log; without both, the kinds."},
    {"pages", "[KIND]", "Manual pages and shell completions; without KIND, what there is."},
    {"data check", "F.mtl", "Everything wrong with a log for this model, counted, with the first places."},
    {"data stats", "F.mtl", "A log as this model sees it: features, events, pairs of events."},
    {"graph", "F.mtl", "The task graph as a picture: events, heads, towers, experts, features, losses."},
    {"compare", "F.mtl...",
     "Models, and values of their constants, trained side by side: one table, with intervals."},
    {"lsp", NULL,
     "For editors: messages, hover, definitions, completion and layout, by the language server protocol."},
    {"report", "F.mtl",
     "A training run as a page: metrics with intervals, curves, calibration, the task graph."},
    {"tune", "F.mtl",
     "The exponents of output rank = P(a)^x * P(b)^y that order a log best: one goal, and floors."},
    {"data pack", "F.mtl",
     "Encodes logs once into a folder that train --cache and eval --cache read; more: mtlc data pack F.mtl "
     "--help."},
    {"model import", "F.mtl",
     "A model file of weights that others have trained, by a map of names; more: mtlc model import F.mtl "
     "--help."},
};

static const MtlOption option[] = {
    {"output", 'o', MTL_ARG_TEXT, "FILE", C(BUILD) | C(GEN) | C(NEW) | C(GRAPH) | C(REPORT),
     C(GEN) | C(REPORT), "where the result goes; - is stdout"},
    {"define", 'D', MTL_ARG_TEXT, "NAME=VALUE",
     SPEC | RUN | LOGS | C(GRAPH) | C(COMPARE) | C(REPORT) | C(TUNE), 0,
     "give a const another value; may be repeated. compare: values, a,b,c, also of lr, batch, epochs, "
     "shuffle"},
    {"optimize", 'O', MTL_ARG_COUNT, "N", C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "effort of code generation, 0 to 3"},
    {"cpu", 0, MTL_ARG_TEXT, "CPU", C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "baseline (v2, v3 and v4 in one program), native, or a list: v3,v4"},
    {"backend", 0, MTL_ARG_CHOICE, "llvm|c", C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "what prints the kernels"},
    {"gemm", 0, MTL_ARG_CHOICE, "own|blas", C(BUILD) | C(BENCH) | C(GRADCHECK) | RUN, 0,
     "who computes matrix products: the compiler's own tiles, or OpenBLAS (own)"},
    {"double", 0, MTL_ARG_NONE, NULL, C(BUILD) | C(BENCH) | C(GRADCHECK) | RUN, 0,
     "compute in double precision throughout, to judge what single precision costs"},
    {"model", 0, MTL_ARG_TEXT, "M", C(BUILD) | C(TUNE), C(TUNE),
     "model file; build: makes a standalone scorer with the weights of M inside"},
    {"goal", 0, MTL_ARG_TEXT, "NAME.auc", C(TUNE), C(TUNE),
     "what is to be large: NAME.auc or NAME.gauc, NAME as in the table of eval: like, buy|click"},
    {"floor", 0, MTL_ARG_TEXT, "NAME.auc:X", C(TUNE), 0,
     "what must not fall below X; several are joined by commas"},
    {"rank", 0, MTL_ARG_TEXT, "NAME", C(TUNE), 0, "the output to tune (the first product of powers)"},
    {"serve", 0, MTL_ARG_NONE, NULL, C(BUILD), 0, "of a scorer: put an HTTP server into it (SCORER serve)"},
    {"emit", 0, MTL_ARG_TEXT, "LIST", C(BUILD), 0,
     "exe, obj, c, llvm, asm, graph, loops; of a scorer static, shared, header, onnx; with several, -o is a "
     "stem"},
    {"link", 0, MTL_ARG_CHOICE, "static|dynamic", C(BUILD), 0,
     "a scorer that needs nothing where it runs, or one that needs the system's libraries (static)"},
    {"dump", 0, MTL_ARG_TEXT, "STAGE", C(CHECK) | C(BUILD), 0,
     "print the model after a stage and stop: ast, graph, grad, serve, watch, split, loops, after:PASS"},
    {"json", 0, MTL_ARG_NONE, NULL, C(CHECK) | LOGS | C(COMPARE) | C(TUNE), 0,
     "what is found as JSON on stdout"},
    {"data", 0, MTL_ARG_LIST, "F[,F...]", LOGS | C(TUNE), LOGS | C(TUNE),
     "logs: CSV, TSV or JSONL, plain, gzip or zstd"},
    {"input-format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", LOGS | C(TUNE), 0,
     "form of the logs (default: by the file's name)"},
    {"verbose", 'v', MTL_ARG_NONE, NULL, C(CHECK) | C(GRAPH) | C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "say more"},
    {"rows", 0, MTL_ARG_COUNT, "N", C(GEN) | C(NEW), 0, "rows of the log to write, or to look at (100000)"},
    {"only", 0, MTL_ARG_CHOICE, "layers|whole|requests|tables|calls", C(BENCH), 0,
     "one part of the figures alone"},
    {"train", 0, MTL_ARG_TEXT, "F[,F...]", C(COMPARE), C(COMPARE), "logs to train on"},
    {"valid", 0, MTL_ARG_TEXT, "F[,F...]", C(COMPARE), C(COMPARE), "logs to judge by"},
    {"seeds", 0, MTL_ARG_COUNT, "N", C(COMPARE), 0, "runs of each variant (3)"},
    {"single", 0, MTL_ARG_NONE, NULL, C(COMPARE), 0,
     "each task by itself as well: do they help or hurt each other?"},
    {"keep", 0, MTL_ARG_TEXT, "DIR", C(COMPARE), 0,
     "keep runs in DIR: after an interrupt the same command goes on where it stood"},
    {"jobs", 0, MTL_ARG_COUNT, "N", C(COMPARE), 0, "runs at once (as many as there are cores)"},
    {"log", 0, MTL_ARG_TEXT, "RUN.jsonl", C(REPORT), C(REPORT), "what train --log wrote"},
    {"report", 0, MTL_ARG_TEXT, "RUN.html", C(TRAIN), 0, "train, then write the report of the run"},
    {"from-data", 0, MTL_ARG_TEXT, "F", C(NEW), 0, "the log to propose a model for"},
    {"seed", 0, MTL_ARG_SEED, "N", C(GEN) | C(GRADCHECK), 0, "seed of the random numbers (1)"},
    {"correlation", 0, MTL_ARG_TEXT, "P", C(GEN), 0,
     "of the two tasks (mmoe), of click and buy (funnel, esm2)"},
    {"check", 0, MTL_ARG_NONE, NULL, C(FMT), 0, "only say whether the file is in the standard layout"},
    {"write", 'w', MTL_ARG_NONE, NULL, C(FMT), 0, "rewrite the file instead of printing it"},
};

static const MtlOptionTable table = {"mtlc compiles multi-task recommender models written in .mtl.", command,
				     sizeof command / sizeof *command, option,
				     sizeof option / sizeof *option};

static int (*const run[])(const Request *) = {
    command_check, command_build,     command_run,   command_run,     command_run, command_gen,
    command_bench, command_gradcheck, command_fmt,   command_explain, command_new, command_pages,
    command_data,  command_data,      command_graph, command_compare, command_lsp, command_report,
    command_tune,  command_run,	      command_run};

/* Takes "-D name=value" out of argv (it may be repeated); false: something follows -D that is not a
 * definition. */
static bool take_defines(int *argc, char **argv, Define *at, int *n, int most)
{
	int k = 1;
	for (int i = 1; i < *argc; i++) {
		char *text = NULL;
		if (!strcmp(argv[i], "-D") || !strcmp(argv[i], "--define"))
			text = i + 1 < *argc ? argv[++i] : NULL;
		else if (!strncmp(argv[i], "-D", 2))
			text = argv[i] + 2;
		else if (!strncmp(argv[i], "--define=", 9))
			text = argv[i] + 9;
		else {
			argv[k++] = argv[i];
			continue;
		}
		char *eq = text ? strchr(text, '=') : NULL;
		if (!eq || eq == text || *n == most) {
			fprintf(stderr, "mtlc: -D needs NAME=VALUE%s%s\n", text ? ", not " : "",
				text ? text : "");
			return false;
		}
		*eq = '\0';
		at[(*n)++] = (Define){text, eq + 1};
	}
	*argc = k;
	argv[k] = NULL;
	return true;
}

/* Takes options of the build out of the command line of a program that is built and run at once. */
static void take_build_options(Request *call, int *argc, char **argv)
{
	int k = 1;
	for (int i = 1; i < *argc; i++) {
		bool apart = !strcmp(argv[i], "--gemm") && i + 1 < *argc; /* its value is the next word */
		const char *gemm = apart ? argv[i + 1] : argv[i] + (strncmp(argv[i], "--gemm=", 7) ? 0 : 7);
		bool named = apart || gemm != argv[i], blas = !strcmp(gemm, "blas"),
		     real = !strcmp(argv[i], "--double");
		call->blas |= named && blas;
		call->f64 |= real;
		if (named && (blas || !strcmp(gemm, "own")))
			i += apart;
		else if (!real)
			argv[k++] = argv[i];
	}
	*argc = k;
	argv[k] = NULL;
}

/* The exit code, once all of stdout has arrived; a reader who left early (`| head`) is no error. */
static int finish(int code)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout)) return code;
	const char *why = errno ? strerror(errno) : "an earlier write failed";
	struct pollfd reader = {.fd = STDOUT_FILENO, .events = POLLOUT};
	if (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR)) return code;
	fprintf(stderr, "mtlc: error: cannot write to stdout: %s\n", why);
	return 6;
}

int main(int argc, char **argv)
{
	Request call = {.table = &table};
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, and ends quietly */
	/* "data gen" and its kin are one command of two words. */
	static const char *const of_data[] = {"data gen", "data check", "data stats", "data pack"};
	bool data = argc > 1 && !strcmp(argv[1], "data"), known = false;
	for (size_t i = 0; data && argc > 2 && i < sizeof of_data / sizeof *of_data && !known; i++)
		if ((known = !strcmp(argv[2], of_data[i] + 5))) argv[2] = (char *)(uintptr_t)of_data[i];
	if (data && argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
		static const int of[] = {GEN, DATA_CHECK, DATA_STATS};
		for (int i = 0; i < 3; i++) {
			if (i) putchar('\n');
			mtl_options_help(&table, "mtlc", of[i], stdout);
		}
		return finish(0);
	}
	if (data && !known) {
		fprintf(stderr, "mtlc: error: of data there are four commands: data gen, data check, data "
				"stats, data pack\n");
		return 2;
	}
	argc -= data;
	argv += data;
	if (argc > 2 && !strcmp(argv[1], "model") && !strcmp(argv[2], "import")) {
		argc--;
		argv++;
		argv[1] = (char *)(uintptr_t) "model import";
	}
	if (!take_defines(&argc, argv, call.define, &call.n_define, DEFINES_MAX)) return 2;
	/* What is run at once has a command line of its own. */
	bool runs =
	    argc > 2 && (!strcmp(argv[1], "train") || !strcmp(argv[1], "eval") || !strcmp(argv[1], "score") ||
			 !strcmp(argv[1], "data pack") || !strcmp(argv[1], "model import"));
	if (runs && argv[2][0] == '-' && strcmp(argv[2], "--help") && strcmp(argv[2], "-h")) {
		fprintf(stderr, "mtlc: error: %s needs F.mtl before %s: mtlc %s F.mtl [options]\n", argv[1],
			argv[2], argv[1]);
		return 2;
	}
	if (runs && argv[2][0] != '-') {
		take_build_options(&call, &argc, argv);
		call.operand = argv[2];
		call.argc = argc;
		call.argv = argv;
		return command_run(&call);
	}
	MtlError e = {0};
	if (mtl_options_parse(&call.o, &table, argc, argv, &e)) {
		fprintf(stderr, "mtlc: %s\n", e.text);
		return 2;
	}
	if (call.o.version) {
		puts(mtlc_version);
		return finish(0);
	}
	if (call.o.help || call.o.command < 0) {
		mtl_options_help(&table, "mtlc", call.o.command, call.o.help ? stdout : stderr);
		return finish(call.o.help ? 0 : 2);
	}
	call.operand = call.o.operand;
	const char *operand = command[call.o.command].operand;
	if (!call.operand && operand && *operand != '[') {
		fprintf(stderr, "mtlc %s: needs %s\n", command[call.o.command].name,
			command[call.o.command].operand);
		return 2;
	}
	return finish(run[call.o.command](&call));
}
