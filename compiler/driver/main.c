/*
 * mtlc: the command line.
 *
 * Results on stdout, everything else on stderr; exit codes as in docs/guide.md.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "driver/help.h"
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
    {"check", "F.mtl", "All messages about a model; -v: shapes, parameters, derived events.",
     .more = "Reads the model's text. Messages go to stderr, each with its line, a code for `mtlc explain`,\n"
	     "and a suggestion where there is one. With -v, on stdout: every layer's shape, parameters,\n"
	     "and of each event its formula, label and rows.",
     .example = "% check my.mtl\n% check -v my.mtl", .exits = "36"},
    {"build", "F.mtl", "The model's program, or with --model a standalone scorer.",
     .more =
	 "Reads the model's text; writes an executable. It trains, evaluates and scores (PROG --help).\n"
	 "With --model it only scores (SCORER --help): the weights are inside, and it needs nothing else.",
     .example = "% build my.mtl -o my\n"
		"./my train --data mon.csv --valid tue.csv --out my.model\n"
		"% build my.mtl --model my.model -o scorer\n"
		"./scorer wed.csv -o scores.csv\n"
		"% build my.mtl --model my.model --emit=static,shared,header -o my    # a library",
     .exits = "3568"},
    {"train", "F.mtl", "Build into the cache and train; more: mtlc train F.mtl --help.",
     .example = "% train my.mtl --data mon.csv --valid tue.csv --out my.model\n"
		"% train my.mtl --data mon.csv --valid tue.csv --out my.model --report run.html\n"
		"% train my.mtl -D width=64 --lr 3e-3 --data mon.csv --out wide.model\n"
		"% train my.mtl --data mon.csv --out my.model --resume my.model    # after an interrupt"},
    {"eval", "F.mtl", "Build into the cache and evaluate; more: mtlc eval F.mtl --help.",
     .example = "% eval my.mtl --data tue.csv --model my.model"},
    {"score", "F.mtl", "Build into the cache and score; more: mtlc score F.mtl --help.",
     .example = "% score my.mtl wed.csv --model my.model -o scores.csv"},
    {"data gen", "KIND", "A synthetic log with its truth in true_ columns: funnel, esm2 or mmoe.",
     .more =
	 "Writes a CSV file for trying things out; the same seed gives the same bytes. KIND is one of\n"
	 "  funnel  user_id, gender, age, item_id, category, tags, price; clk, pay after clk (mtlc new "
	 "esmm)\n"
	 "  esm2    the same features; clk, cart and wish after it, pay (mtlc new esm2)\n"
	 "  mmoe    x0 to x99; two tasks that go together as you say: y1, y2 are numbers, b1, b2 are 0 or 1",
     .example = "% data gen funnel --rows 20000 -o log.csv\n"
		"% data gen mmoe --correlation 0.5 -o tasks.csv",
     .exits = "6"},
    {"bench", "F.mtl", "Speed of the dense layers against the machine's peak, and of whole steps.",
     .more = "Compiles the model for this machine and times its kernels on random rows: nothing is read but\n"
	     "the text, nothing is written. A few seconds for each layer.",
     .example = "% bench my.mtl", .exits = "36"},
    {"gradcheck", "F.mtl", "Gradients of the kernels against the double interpreter and central differences.",
     .more =
	 "Reads the model's text; rows are made up. On stdout a line for each comparison: how many numbers,\n"
	 "how many are wrong, the worst of them, and where.",
     .example = "% gradcheck my.mtl", .exits = "136", .no = "a gradient is wrong"},
    {"fmt", "F.mtl", "The model in the standard layout.",
     .more = "Prints the text with its comments, laid out anew; -w puts it in the place of the file.",
     .example = "% fmt my.mtl\n% fmt -w my.mtl\n% fmt --check my.mtl || echo 'lay it out first'",
     .exits = "136", .no = "with --check: the file is laid out in another way"},
    {"explain", "[CODE]", "What a message means and what to do about it; without CODE, all codes.",
     .more = "Prints the page of a code, as it stands in a message: error[D0107]. With an example that gets\n"
	     "it, and one that does not.",
     .example = "% explain D0107\n% explain | grep sequence", .exits = ""},
    {"new", "[KIND]",
     "A model to start from, or with --from-data one proposed for a log; without both, the kinds.",
     .more =
	 "Prints the text of a model, with comments, or writes it to -o (never over a file that is there).\n"
	 "A proposal looks at the first --rows rows of the log and gives its reason beside each guess.",
     .example = "% new                                  # the kinds there are\n"
		"% new mmoe -o my.mtl\n"
		"% new --from-data log.csv -o my.mtl",
     .exits = "46"},
    {"pages", "[KIND]", "Manual pages and shell completions; without KIND, what there is.",
     .more = "Prints a page: they come from the same tables as this help.",
     .example = "% pages bash >~/.local/share/bash-completion/completions/mtlc\n% pages man | man -l -",
     .exits = ""},
    {"data check", "F.mtl", "Everything wrong with a log for this model, counted, with the first places.",
     .more =
	 "Reads the model's text and the logs, all of them to their ends. On stdout: each fault with how\n"
	 "many rows have it and where the first are (file:line:cell), columns that are missing or look\n"
	 "odd. Training stops at the first of these faults; this finds all.",
     .example = "% data check my.mtl --data mon.csv,tue.csv", .exits = "1346",
     .no = "a row cannot be used, or a column is missing"},
    {"data stats", "F.mtl", "A log as this model sees it: features, events, pairs of events.",
     .more =
	 "Reads the model's text and the logs. On stdout, for each feature: empty and unknown cells, how\n"
	 "many different ones, range, how full its table gets; for each event how often it happens, and\n"
	 "for each pair how they go together.",
     .example = "% data stats my.mtl --data mon.csv", .exits = "346"},
    {"graph", "F.mtl", "The task graph as a picture: events, heads, towers, experts, features, losses.",
     .more =
	 "Reads the model's text; draws, from bottom to top, features by side, shared layers, experts,\n"
	 "gates, towers, probabilities and losses. The name's end says the form: .svg, .pdf, .png (these\n"
	 "take Graphviz) or .dot; without -o, DOT on stdout. -v adds shapes and multiply-adds.",
     .example = "% graph my.mtl -o my.svg\n% graph my.mtl -v -o my.pdf", .exits = "36"},
    {"compare", "F.mtl...",
     "Models, and values of their constants, trained side by side: one table, with intervals.",
     .more =
	 "Reads models and logs; trains every variant with every seed on --train, judges on --valid. On\n"
	 "stdout: means with 95 % intervals for each head, rows/s, parameters, multiply-adds; differences\n"
	 "from the first variant, seed by seed (* where they are no luck); who is best, and who is beaten.",
     .example =
	 "% compare esmm.mtl cvr.mtl --train mon.csv --valid tue.csv --seeds 5\n"
	 "% compare my.mtl --train mon.csv --valid tue.csv -D width=32,64,128 -D lr=1e-3,3e-3\n"
	 "% compare my.mtl --train mon.csv --valid tue.csv --single    # do the tasks help each other?",
     .exits = "34568i"},
    {"lsp", NULL,
     "For editors: messages, hover, definitions, completion and layout, by the language server protocol.",
     .more =
	 "An editor starts it and speaks to it over stdin and stdout; editors/README.md tells how to set up\n"
	 "Vim, Neovim and VS Code.",
     .example = "vim.lsp.start({ cmd = { '%', 'lsp' } })    -- Neovim", .exits = ""},
    {"report", "F.mtl",
     "A training run as a page: metrics with intervals, curves, calibration, the task graph.",
     .more = "Reads the model's text and the log that train --log wrote; writes one HTML file that needs\n"
	     "nothing else. `mtlc train --report` does both at once.",
     .example = "% train my.mtl --data mon.csv --valid tue.csv --out my.model --log run.jsonl\n"
		"% report my.mtl --log run.jsonl -o run.html",
     .exits = "346"},
    {"tune", "F.mtl",
     "The exponents of output rank = P(a)^x * P(b)^y that order a log best: one goal, and floors.",
     .more =
	 "Reads the model's text, its trained weights and a log; scores the heads once, then searches the\n"
	 "exponents. On stdout: the best found, what it costs the other heads, and the line for the model.",
     .example = "% tune my.mtl --model my.model --data tue.csv --goal buy.auc\n"
		"% tune my.mtl --model my.model --data tue.csv --goal buy.auc --floor click.auc:0.70",
     .exits = "134568", .no = "no exponents keep the floors"},
    {"data pack", "F.mtl",
     "Encodes logs once into a folder that train --cache and eval --cache read; more: mtlc data pack F.mtl "
     "--help.",
     .example = "% data pack my.mtl --data mon.csv --valid tue.csv --cache packs\n"
		"% train my.mtl --data mon.csv --valid tue.csv --cache packs --out my.model"},
    {"model import", "F.mtl",
     "A model file of weights that others have trained, by a map of names; more: mtlc model import F.mtl "
     "--help.",
     .example = "% model import my.mtl --weights theirs.safetensors --map names.txt --out my.model"},
};

static const MtlOption option[] = {
    {"output", 'o', MTL_ARG_TEXT, "FILE", C(BUILD), 0,
     "where the result goes; with several kinds (--emit) the beginning of their names"},
    {"output", 'o', MTL_ARG_TEXT, "FILE", C(GEN) | C(REPORT), C(GEN) | C(REPORT),
     "where the result goes; - is stdout"},
    {"output", 'o', MTL_ARG_TEXT, "FILE", C(NEW) | C(GRAPH), 0, "where the result goes (stdout)"},
    {"define", 'D', MTL_ARG_TEXT, "NAME=VALUE", SPEC | RUN | LOGS | C(GRAPH) | C(REPORT) | C(TUNE), 0,
     "give a const of the model another value; may be repeated"},
    {"define", 'D', MTL_ARG_TEXT, "NAME=A,B,C", C(COMPARE), 0,
     "a variant for each value of a const, or of lr, batch, epochs, shuffle; several: every combination"},
    {"optimize", 'O', MTL_ARG_COUNT, "N", C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "effort of code generation, 0 to 3 (1; with --backend c 2)"},
    {"cpu", 0, MTL_ARG_TEXT, "CPU", C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "baseline (v2, v3 and v4 in one program), native, or a list: v3,v4"},
    {"backend", 0, MTL_ARG_CHOICE, "llvm|c", C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "what prints the kernels"},
    {"gemm", 0, MTL_ARG_CHOICE, "own|blas", C(BUILD) | C(BENCH) | C(GRADCHECK) | RUN, 0,
     "who computes matrix products: the compiler's own tiles, or OpenBLAS (own)"},
    {"precision", 0, MTL_ARG_CHOICE, "single|bf16|int8", C(BUILD) | C(BENCH) | C(GRADCHECK), 0,
     "of the dense layers of a scorer: weights of 16 or 8 bits (single)"},
    {"calibrate", 0, MTL_ARG_TEXT, "LOG", C(BUILD), 0,
     "labelled rows that reduced precision is tried on: what it costs is printed"},
    {"max-auc-loss", 0, MTL_ARG_TEXT, "X", C(BUILD), 0,
     "refuse reduced precision where an AUC of that log falls by more (0.001)"},
    {"double", 0, MTL_ARG_NONE, NULL, C(BUILD) | C(BENCH) | C(GRADCHECK) | RUN, 0,
     "compute in double precision throughout, to judge what single precision costs"},
    {"model", 0, MTL_ARG_TEXT, "M", C(BUILD), 0,
     "make a standalone scorer with the weights of this model file inside"},
    {"model", 0, MTL_ARG_TEXT, "M", C(TUNE), C(TUNE), "the model file of the trained weights"},
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
     "the result as JSON on stdout"},
    {"data", 0, MTL_ARG_LIST, "F[,F...]", LOGS | C(TUNE), LOGS | C(TUNE),
     "logs: CSV, TSV or JSONL, plain, gzip or zstd"},
    {"input-format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", LOGS | C(TUNE), 0,
     "form of the logs (default: by the file's name)"},
    {"verbose", 'v', MTL_ARG_NONE, NULL, C(CHECK), 0, "shapes, parameters, and what follows for each event"},
    {"verbose", 'v', MTL_ARG_NONE, NULL, C(GRAPH), 0, "shapes and multiply-adds in every box"},
    {"verbose", 'v', MTL_ARG_NONE, NULL, C(BUILD), 0,
     "what is kept and what is left out, and how the linker is called"},
    {"verbose", 'v', MTL_ARG_NONE, NULL, C(BENCH), 0,
     "also tables, functions, and every call of an entry with why it is computed as it is"},
    {"verbose", 'v', MTL_ARG_NONE, NULL, C(GRADCHECK), 0, "every parameter, not only the wrong ones"},
    {"rows", 0, MTL_ARG_COUNT, "N", C(GEN), 0, "rows to write (100000)"},
    {"rows", 0, MTL_ARG_COUNT, "N", C(NEW), 0, "with --from-data: rows to look at (100000)"},
    {"only", 0, MTL_ARG_CHOICE, "layers|whole|requests|tables|functions|calls", C(BENCH), 0,
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

static const MtlOptionTable table = {"Compiles multi-task recommender models written in .mtl.", command,
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
			say_error("-D needs NAME=VALUE%s%s", text ? ", not " : "", text ? text : "");
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
	say_error("cannot write to stdout: %s", why);
	return 6;
}

/* The first word of `name`, when it has two: its length, or 0. */
static size_t first_of_two(const char *name)
{
	const char *space = strchr(name, ' ');
	return space ? (size_t)(space - name) : 0;
}

/*
 * "data gen" and its kin are one command of two words: they become one argument.  -1: go on; else the exit
 * code, with everything said, where the second word is none.
 */
static int join_words(int *argc, char **argv)
{
	const char *first = *argc > 1 ? argv[1] : "", *second = *argc > 2 ? argv[2] : "";
	bool known = false;
	for (size_t c = 0; c < sizeof command / sizeof *command; c++) {
		const char *name = command[c].name;
		size_t n = first_of_two(name);
		if (!n || strlen(first) != n || strncmp(name, first, n)) continue;
		known = true;
		if (strcmp(name + n + 1, second)) continue;
		argv[2] = (char *)(uintptr_t)name;
		memmove(argv + 1, argv + 2, (size_t)(*argc - 1) * sizeof *argv);
		--*argc;
		return -1;
	}
	if (!known) return -1;
	if (!strcmp(second, "--help") || !strcmp(second, "-h")) {
		group_help(&table, first, stdout);
		return finish(0);
	}
	say_error(*second ? "of %s there is no command '%s' (mtlc %s --help lists all)"
			  : "of %s a command is missing%s (mtlc %s --help lists all)",
		  first, second, first);
	return 2;
}

static bool asks_help(const char *word) { return !strcmp(word, "--help") || !strcmp(word, "-h"); }

/* What is built and run at once has a command line of its own; -1: it is no such command. */
static int build_and_run(Request *call, int argc, char **argv)
{
	if (argc < 2 || !run_word(argv[1])) return -1;
	bool help = false;
	for (int i = 2; i < argc && !help && strcmp(argv[i], "--"); i++) help = asks_help(argv[i]);
	if (help) {
		int c = 0;
		while (strcmp(command[c].name, argv[1])) c++;
		MtlCommand own;
		MtlOption all[MTL_OPTIONS_MAX];
		MtlOptionTable t = command_table(&table, c, &own, all);
		mtl_options_help(&t, "mtlc", 0, stdout);
		return finish(0);
	}
	if (argc == 2) {
		say_error("%s needs F.mtl: mtlc %s --help", argv[1], argv[1]);
		return 2;
	}
	if (argv[2][0] == '-') {
		say_error("%s needs F.mtl before %s: mtlc %s F.mtl [options]", argv[1], argv[2], argv[1]);
		return 2;
	}
	take_build_options(call, &argc, argv);
	call->operand = argv[2];
	call->argc = argc;
	call->argv = argv;
	return command_run(call);
}

int main(int argc, char **argv)
{
	Request call = {.table = &table};
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, and ends quietly */
	if (argc > 1 && !strcmp(argv[1], "help")) {
		memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof *argv);
		argv[argc - 1] = (char *)(uintptr_t) "--help";
	}
	int code = join_words(&argc, argv);
	if (code >= 0) return code;
	if (!take_defines(&argc, argv, call.define, &call.n_define, DEFINES_MAX)) return 2;
	if ((code = build_and_run(&call, argc, argv)) >= 0) return code;
	MtlError e = {0};
	if (mtl_options_parse(&call.o, &table, argc, argv, &e)) {
		say_failure(&e);
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
		say_error("%s needs %s: mtlc %s --help", command[call.o.command].name, operand,
			  command[call.o.command].name);
		return 2;
	}
	return finish(run[call.o.command](&call));
}
