/*
 * The model's program: train, eval, score, grad, init, info, gradcheck, bench, pack, import.
 *
 * `interrupts` is the one writable variable of the runtime: a signal handler has nowhere else to write.
 */
#define _GNU_SOURCE
#include "prog.h"
#include "eval.h"
#include "evalrows.h"
#include "figures.h"
#include "checkpoint.h"
#include "grad.h"
#include "import.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the command line ---- */

#define ON(c) (1u << (c))

static const MtlCommand command[] = {
    {"train", NULL, "Trains the model on a log and writes a model file.",
     .more =
	 "Reads logs with the columns that `info` lists (features and labels, by name). Writes a model file\n"
	 "after every epoch: weights, and where the run stands. Progress goes to stderr. An interrupt\n"
	 "(Ctrl-C) saves and ends with 130; --resume goes on as if it had never been. The same seed and\n"
	 "data give the same bits on any number of threads.",
     .example = "% train --data mon.csv --valid tue.csv --out my.model\n"
		"% train --data mon.csv,tue.csv --epochs 3 --lr 3e-3 --out my.model --log run.jsonl\n"
		"% train --data mon.csv --out my.model --resume my.model",
     .exits = "45678i"},
    {"eval", NULL, "Metrics of every probability, on the rows where it is defined.",
     .more =
	 "Reads logs with their labels, and a model file. On stdout, for each head and derived event: rows,\n"
	 "AUC, log loss, normalised entropy, calibration, ECE; the losses.",
     .example = "% eval --data tue.csv --model my.model\n% eval --data tue.csv --model my.model --json",
     .exits = "45678i"},
    {"score", "[F|-]", "Scores the rows of F (default: stdin): one line out per row in.",
     .more =
	 "Reads rows with the columns of the features, no labels, and a model file. Writes a header with\n"
	 "the names of the outputs, then a line for each row, in order.",
     .example = "% score wed.csv --model my.model -o scores.csv\n"
		"zcat wed.csv.gz | % score --model my.model >scores.csv",
     .exits = "4568i"},
    {"grad", NULL, "Losses and every gradient of all rows as one batch, as a model file.",
     .more = "For comparing with another implementation: tensors carry the names of the parameters.",
     .example = "% init --seed 1 --out fresh.model\n% grad --data few.csv --model fresh.model --out few.grad",
     .exits = "45678"},
    {"init", NULL, "Writes fresh parameters.",
     .more = "Writes a model file as it is before the first step; a model that takes statistics from data\n"
	     "(vocab: auto, quantiles, normalize) needs --data.",
     .example = "% init --seed 7 --out fresh.model", .exits = "4568"},
    {"info", NULL, "Inputs, outputs, parameters, digest and kernels.",
     .more = "What the program knows of its model; with --model, what is in that file. On stdout.",
     .example = "% info\n% info --model my.model --json", .exits = "56"},
    {"gradcheck", NULL,
     "The kernels' gradients against differences of their float losses: rough, a few per cent at kinks of "
     "relu.",
     .more = "Of a trained model where it stands; `mtlc gradcheck F.mtl` is the precise one.",
     .example = "% gradcheck --model my.model", .exits = "14568", .no = "a gradient is wrong"},
    {"bench", NULL, "Rows per second and latency of scoring and of a training step, on random rows.",
     .example = "% bench\n% bench --threads 2 --json", .exits = "4568"},
    {"pack", NULL, "Encodes logs once, into the folder that train --cache and eval --cache read.",
     .more =
	 "Reads logs; writes a file for each log into the folder, which is made. Training from there does\n"
	 "not read text again, and gives the same bits. A log that has changed is packed anew.",
     .example = "% pack --data mon.csv --valid tue.csv --cache packs\n"
		"% train --data mon.csv --valid tue.csv --cache packs --out my.model",
     .exits = "4568i"},
    {"import", NULL, "A model file of weights that others have trained, by a map of names.",
     .more =
	 "Reads a safetensors file and a map: lines `theirs = ours`; writes a model file of this model. Our\n"
	 "names and shapes are those `info` lists. Nothing may be left over on either side.",
     .example = "% import --weights theirs.safetensors --map names.txt --out my.model", .exits = "4568"},
};

#define READS (ON(TRAIN) | ON(EVAL) | ON(GRAD) | ON(PACK))

static const MtlOption option[] = {
    {"data", 0, MTL_ARG_LIST, "F[,F...]", READS | ON(INIT) | ON(IMPORT) | ON(GRADCHECK) | ON(BENCH), READS,
     "logs: CSV, TSV or JSONL, plain, gzip or zstd; - is stdin"},
    {"valid", 0, MTL_ARG_LIST, "F[,F...]", ON(TRAIN) | ON(PACK), 0, "logs for the metrics after each epoch"},
    {"model", 'm', MTL_ARG_TEXT, "M", ON(EVAL) | ON(SCORE) | ON(GRAD) | ON(INFO) | ON(GRADCHECK) | ON(BENCH),
     0, "model file (default: the weights in the program, if any)"},
    {"out", 0, MTL_ARG_TEXT, "M", ON(TRAIN) | ON(GRAD) | ON(INIT) | ON(IMPORT),
     ON(TRAIN) | ON(GRAD) | ON(INIT) | ON(IMPORT), "the file to write"},
    {"weights", 0, MTL_ARG_TEXT, "F", ON(IMPORT), ON(IMPORT), "the weights: a safetensors file, F32"},
    {"map", 0, MTL_ARG_TEXT, "MAP", ON(IMPORT), 0,
     "lines `theirs = ours`, `theirs = ours transposed`, `theirs = -`; equal names need none"},
    {"init", 0, MTL_ARG_TEXT, "M", ON(TRAIN), 0,
     "start from the weights of M wherever name and shape are equal"},
    {"resume", 0, MTL_ARG_TEXT, "M", ON(TRAIN), 0,
     "go on with the run that wrote M, as if it had never stopped"},
    {"epochs", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "passes over the data, those of a resumed run included (default: the model's)"},
    {"batch", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0, "rows of a step (default: the model's)"},
    {"shuffle", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "rows of the shuffle buffer, 0: file order (default: the model's)"},
    {"lr", 0, MTL_ARG_REAL, "X", ON(TRAIN), 0,
     "learning rate before the schedule; a rate of its own for tables changes by the same factor"},
    {"steps", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "steps that a linear or cosine schedule runs over (default: the model's, or counted in a pass over "
     "--data)"},
    {"seed", 0, MTL_ARG_SEED, "N", ON(TRAIN) | ON(INIT) | ON(GRADCHECK) | ON(BENCH), 0,
     "of initial parameters, shuffling and dropout (default: the model's)"},
    {"threads", 0, MTL_ARG_COUNT, "N",
     ON(TRAIN) | ON(EVAL) | ON(SCORE) | ON(GRAD) | ON(GRADCHECK) | ON(BENCH), 0,
     "threads (default: as many as the machine grants); the result does not depend on it"},
    {"early-stop", 0, MTL_ARG_TEXT, "NAME.METRIC[:N]", ON(TRAIN), 0,
     "keep the best epoch by auc, logloss, ne, rmse, ... on --valid, stop after N without a better one; or "
     "none"},
    {"bad-rows", 0, MTL_ARG_CHOICE, "fail|skip", READS | ON(INIT) | ON(IMPORT), 0,
     "a row that cannot be used: stop, or pass over it (fail)"},
    {"max-bad-rows", 0, MTL_ARG_COUNT, "N", READS | ON(INIT) | ON(IMPORT), 0,
     "with --bad-rows skip: one more than N is an error"},
    {"rejects", 0, MTL_ARG_TEXT, "F", ON(TRAIN) | ON(EVAL), 0,
     "with --bad-rows skip: the rejected rows as they stood"},
    {"log", 0, MTL_ARG_TEXT, "F", ON(TRAIN), 0, "one JSON object per progress line and epoch"},
    {"monitor", 0, MTL_ARG_COUNT, "N", ON(TRAIN), 0,
     "in every N-th step look at the tasks' gradients and the use of experts: printed, and in --log"},
    {"cache", 0, MTL_ARG_TEXT, "DIR", ON(TRAIN) | ON(EVAL) | ON(PACK), ON(PACK),
     "keep encoded logs in DIR: read from there in later epochs and runs, as long as they are the same"},
    {"no-state", 0, MTL_ARG_NONE, "", ON(TRAIN), 0, "leave the optimiser's state out of the file"},
    {"quiet", 'q', MTL_ARG_NONE, "", ON(TRAIN), 0, "no progress"},
    {"json", 0, MTL_ARG_NONE, "", ON(EVAL) | ON(INFO) | ON(BENCH), 0, "machine-readable"},
    {"rows", 0, MTL_ARG_TEXT, "F", ON(EVAL), 0,
     "also write what is measured of each row to F, as CSV: logit, label and weight of every head"},
    {"output", 'o', MTL_ARG_TEXT, "F", ON(SCORE), 0, "write the scores to F (default: stdout)"},
    {"format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", ON(SCORE), 0,
     "form of the scores; also of the rows where they come from stdin (csv)"},
    {"input-format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", READS | ON(SCORE) | ON(INIT) | ON(IMPORT), 0,
     "form of the logs (default: by the file's name)"},
    {"on-bad-row", 0, MTL_ARG_CHOICE, "fail|null", ON(SCORE), 0,
     "a row that cannot be read: stop, or leave its scores empty (fail)"},
    {"request", 0, MTL_ARG_TEXT, "R", ON(SCORE), 0,
     "rows of the request's columns: each is scored with every row of --candidates, in order"},
    {"candidates", 0, MTL_ARG_TEXT, "C", ON(SCORE), 0, "rows of the candidates' columns, with --request"},
    {"passthrough", 0, MTL_ARG_LIST, "COLS", ON(SCORE), 0,
     "columns of the input to repeat before the scores"},
};

const MtlOptionTable mtl_prog_options = {
    "Trains, evaluates and runs one multi-task model.",
    command,
    sizeof command / sizeof *command,
    option,
    sizeof option / sizeof *option,
};

/* ---- interrupts ---- */

static volatile sig_atomic_t interrupts;

static void on_signal(int number)
{
	(void)number;
	interrupts = 1;
}

bool mtl_prog_interrupted(void *self)
{
	(void)self;
	return interrupts != 0;
}

void mtl_prog_listen(void)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

/* ---- what commands share ---- */

MtlStatus mtl_prog_reader(const MtlProgram *p, MtlReaderOptions *r, MtlError *e)
{
	*r = (MtlReaderOptions){.labels = true, .max_bad_rows = mtl_program_count(p, "max-bad-rows", -1)};
	r->bad_rows = mtl_program_count(p, "bad-rows", 0) ? MTL_BAD_SKIP : MTL_BAD_FAIL;
	r->rejects = mtl_program_text(p, "rejects");
	r->cache = mtl_program_text(p, "cache");
	/* A folder that cannot be made is one without packs: the logs are read as ever. */
	if (r->cache) (void)mkdir(r->cache, 0777);
	if (mtl_program_has(p, "input-format")) {
		r->format_given = true;
		r->format = (MtlFormat)mtl_program_count(p, "input-format", MTL_CSV);
	}
	if (r->rejects && r->bad_rows != MTL_BAD_SKIP)
		return mtl_fail(e, MTL_USAGE, "", NULL, "--rejects goes with --bad-rows skip");
	if (r->max_bad_rows >= 0 && r->bad_rows != MTL_BAD_SKIP)
		return mtl_fail(e, MTL_USAGE, "", NULL, "--max-bad-rows goes with --bad-rows skip");
	return MTL_OK;
}

const char **mtl_prog_files(const MtlProgram *p, const char *name, int *n, MtlError *e)
{
	const char *text = mtl_program_text(p, name);
	*n = 0;
	if (!text) return NULL;
	const char **list = mtl_options_list(p->sys, text, n);
	if (!list) {
		mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
		return NULL;
	}
	for (int i = 0; i < *n; i++)
		if (!*list[i]) mtl_fail(e, MTL_USAGE, "", NULL, "--%s %s: an empty file name", name, text);
	return list;
}

bool mtl_prog_stdin(const char *const *path, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(path[i], "-") == 0) return true;
	return false;
}

/* ---- eval ---- */

static void say_eval(const MtlProgram *p, const MtlEvalResult *r)
{
	const MtlModel *m = p->m;
	if (mtl_program_has(p, "json")) {
		printf("{\"rows\":%" PRId64 ",\"heads\":", r->rows);
		mtl_metrics_json(stdout, m, r->watch, false);
		mtl_losses_json(stdout, m, r->loss, r->weight);
		puts("}");
		return;
	}
	printf("%" PRId64 " rows\n\n", r->rows);
	mtl_metrics_table(stdout, m, r->watch, "");
	puts("");
	for (int k = 0; k < m->n_watch; k++)
		if (m->watch[k].label_text && m->watch[k].rows_text)
			printf("%s: label %s, on %s\n", m->watch[k].name, m->watch[k].label_text,
			       strcmp(m->watch[k].rows_text, "all") == 0 ? "all rows"
									 : m->watch[k].rows_text);
	if (m->n_loss) puts("");
	for (int l = 0; l < m->n_loss; l++)
		if (r->weight[l] > 0)
			printf("loss %s %.6f\n", m->loss[l].name, r->loss[l]);
		else
			printf("loss %s: no row\n", m->loss[l].name);
}

static MtlStatus eval(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	MtlStep step = {0};
	MtlEvalResult r = {0};
	MtlFeedOptions fo = {0};
	const char **data = mtl_prog_files(p, "data", &fo.n_path, e);
	MtlStatus st = e->status;
	fo.path = data;
	if (!st) st = mtl_prog_reader(p, &fo.reader, e);
	const char *model = mtl_program_text(p, "model");
	static const char *const written[] = {"rows", "rejects"};
	for (int i = 0; i < 2; i++) {
		if (!st) st = mtl_program_apart(p, written[i], data, fo.n_path, e);
		if (!st) st = mtl_program_apart(p, written[i], &model, 1, e);
	}
	if (!st) st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st) st = mtl_instance_open(&in, model, e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 0), e);
	if (!st) st = mtl_step_init(&step, &in, pool, MTL_EVAL_BATCH, e);
	mtl_prog_listen();
	MtlEvalRows rows = {0};
	const char *each = mtl_program_text(p, "rows");
	MtlEvalHooks hooks = {
	    .interrupted = mtl_prog_interrupted, .rows = each ? mtl_evalrows_add : NULL, .rows_self = &rows};
	if (!st && each) st = mtl_evalrows_open(&rows, p->m, each, e);
	if (!st) st = mtl_eval(&r, &in, pool, &fo, &step, &hooks, e);
	MtlStatus closed = mtl_evalrows_close(&rows, e);
	if (!st) st = closed;
	if (!st) {
		say_eval(p, &r);
		if (r.counts.rejected || isatty(STDERR_FILENO)) mtl_say_counts(stderr, &r.counts);
	}
	mtl_eval_free(&r, p->sys);
	mtl_step_free(&step);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	mtl_release(p->sys, data);
	return st;
}

/* ---- grad, init, bench ---- */

static MtlStatus grad(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	MtlReaderOptions ro;
	int n = 0;
	int64_t rows = 0;
	const char **data = mtl_prog_files(p, "data", &n, e);
	MtlStatus st = e->status;
	const char *model = mtl_program_text(p, "model");
	if (!st) st = mtl_prog_reader(p, &ro, e);
	if (!st) st = mtl_program_apart(p, "out", data, n, e);
	if (!st) st = mtl_program_apart(p, "out", &model, 1, e);
	if (!st) st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st) st = mtl_instance_open(&in, mtl_program_text(p, "model"), e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 0), e);
	if (!st) st = mtl_grad(&in, pool, data, n, &ro, mtl_program_text(p, "out"), &rows, e);
	if (!st) fprintf(stderr, "gradients of %" PRId64 " rows\n", rows);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	mtl_release(p->sys, data);
	return st;
}

MtlStatus mtl_prog_fresh(const MtlProgram *p, MtlInstance *in, bool training, MtlError *e)
{
	const MtlOptionValue *seed = mtl_option(&p->o, p->table, "seed");
	int n = 0;
	const char **data = mtl_prog_files(p, "data", &n, e);
	MtlStatus st = e->status;
	if (!st && (p->o.command == INIT || p->o.command == IMPORT))
		st = mtl_program_apart(p, "out", data, n, e);
	if (!st) st = mtl_instance_init(in, p->sys, p->m, e);
	if (!st && !in->codes.complete) {
		if (!data)
			st = mtl_fail(e, MTL_USAGE, "", NULL,
				      "the model takes statistics from the data: give --data");
		else
			st = mtl_codes_from_data(&in->codes, p->sys, p->m, data, n, e);
	}
	if (!st) st = mtl_instance_memory(in, training, e);
	if (!st) mtl_checkpoint_fresh(in, seed->given ? seed->seed : p->m->train.seed);
	mtl_release(p->sys, data);
	return st;
}

static MtlStatus init(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlStatus st = mtl_prog_fresh(p, &in, false, e);
	if (!st && p->o.command == IMPORT)
		st = mtl_import(&in, mtl_program_text(p, "weights"), mtl_program_text(p, "map"), e);
	if (!st) st = mtl_checkpoint_save(&in, mtl_program_text(p, "out"), NULL, NULL, e);
	mtl_instance_free(&in);
	return st;
}

/* ---- pack ---- */

static MtlStatus pack_one(const MtlProgram *p, const MtlInstance *in, const char *const *path, int n,
			  const MtlReaderOptions *ro, MtlError *e)
{
	enum { ROWS = 4096 };
	MtlSource source = {0};
	MtlBatch b = {0};
	MtlStatus st = mtl_batch_init(&b, p->sys, p->m, ROWS, e);
	if (!st) st = mtl_source_open(&source, p->sys, p->m, &in->codes, path, n, ro, e);
	bool there = source.pack, kept = there || source.packer;
	while (!st && !there && !(st = mtl_source_next(&source, &b, e)) && b.n && !interrupts)
		;
	if (!st && interrupts) st = mtl_fail(e, MTL_INTERRUPTED, "", NULL, "interrupted");
	if (!st && !kept)
		st = mtl_fail(e, MTL_SYSTEM, "F0213", ro->cache, "no packed log can be written there");
	if (!st && !there) mtl_say_counts(stderr, mtl_source_counts(&source));
	MtlStatus closed = mtl_source_close(&source, e);
	mtl_batch_free(&b, p->sys, p->m);
	return st ? st : closed;
}

static MtlStatus pack(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlReaderOptions ro;
	int n[2] = {0};
	const char **data = mtl_prog_files(p, "data", &n[0], e),
		   **valid = mtl_prog_files(p, "valid", &n[1], e);
	MtlStatus st = e->status;
	if (!st) st = mtl_prog_reader(p, &ro, e);
	mtl_prog_listen();
	if (!st && (mtl_prog_stdin(data, n[0]) || mtl_prog_stdin(valid, n[1])))
		st = mtl_fail(e, MTL_USAGE, "", NULL,
			      "stdin cannot be packed: it has no digest before it is read");
	if (!st) st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st && !in.codes.complete) st = mtl_source_codes(&in.codes, p->sys, p->m, data, n[0], &ro, e);
	if (!st) st = pack_one(p, &in, data, n[0], &ro, e);
	if (!st && n[1]) st = pack_one(p, &in, valid, n[1], &ro, e);
	mtl_instance_free(&in);
	mtl_release(p->sys, data);
	mtl_release(p->sys, valid);
	return st;
}

int mtl_prog_main(const MtlModel *m, int argc, char **argv)
{
	MtlProgram p;
	MtlError e = {0};
	int status = 0;
	if (mtl_program_begin(&p, m, &mtl_prog_options, argc, argv, &status)) return status;
	p.interrupted = mtl_prog_interrupted;
	switch (p.o.command) {
	case TRAIN: mtl_prog_train(&p, &e); break;
	case EVAL: eval(&p, &e); break;
	case SCORE:
		if (mtl_program_has(&p, "output"))
			mtl_prog_listen(); /* or else nothing is left behind by dying at once */
		mtl_program_score(&p, &e);
		break;
	case GRAD: grad(&p, &e); break;
	case INIT: init(&p, &e); break;
	case IMPORT: init(&p, &e); break;
	case INFO: mtl_program_info(&p, &e); break;
	case GRADCHECK: mtl_prog_gradcheck(&p, &e); break;
	case BENCH: mtl_prog_bench(&p, &e); break;
	case PACK: pack(&p, &e); break;
	}
	return mtl_program_end(&p, &e);
}
