/*
 * The standalone scorer, and the commands that the model's program shares with it: score, info.
 */
#define _GNU_SOURCE
#include "program.h"
#include "rows.h"
#include "score.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the command line ---- */

enum { SCORE, INFO, BENCH, SERVE };
#define ON(c) (1u << (c))

static const MtlCommand command[] = {
    {"", "[F|-]",
     "Scores the rows of F (default: stdin): one line out per row in, a header with the outputs' names.",
     .more = "Reads rows with the columns that `info` lists, by name; no labels.",
     .example = "% today.csv.gz -o scores.csv\n"
		"% --passthrough user_id,item_id <today.csv >scores.csv\n"
		"% --request user.csv --candidates items.csv",
     .exits = "4568"},
    {"info", NULL, "Inputs, outputs, parameters, digest and kernels.", .example = "% info", .exits = "56"},
    {"bench", NULL,
     "Time of a call, median and 99th percentile: batches, and requests with candidates; random rows.",
     .example = "% bench", .exits = "568"},
    {"serve", NULL, "Scores over HTTP, in scorers built with --serve.",
     .more = "Answers POST /v2/models/NAME/score until SIGTERM; docs/serving.md shows requests. SIGHUP reads "
	     "--model again.",
     .example = "% serve --listen 127.0.0.1:8080\n% serve --model my.model --listen unix:/run/my.sock",
     .exits = "568"},
};

static const MtlOption option[] = {
    {"output", 'o', MTL_ARG_TEXT, "F", ON(SCORE), 0, "write the scores to F (default: stdout)"},
    {"format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", ON(SCORE), 0,
     "form of the scores; also of the rows where they come from stdin (csv)"},
    {"input-format", 0, MTL_ARG_CHOICE, "csv|tsv|jsonl", ON(SCORE), 0,
     "form of the rows (default: by the file's name)"},
    {"on-bad-row", 0, MTL_ARG_CHOICE, "fail|null", ON(SCORE), 0,
     "a row that cannot be read: stop, or leave its scores empty (fail)"},
    {"passthrough", 0, MTL_ARG_LIST, "COLS", ON(SCORE), 0,
     "columns of the input to repeat before the scores"},
    {"request", 0, MTL_ARG_TEXT, "R", ON(SCORE), 0,
     "rows of the request's columns: each is scored with every row of --candidates, in order"},
    {"candidates", 0, MTL_ARG_TEXT, "C", ON(SCORE), 0, "rows of the candidates' columns, with --request"},
    {"threads", 0, MTL_ARG_COUNT, "N", ON(SCORE) | ON(BENCH) | ON(SERVE), 0,
     "threads (default: as many as the machine grants)"},
    {"json", 0, MTL_ARG_NONE, "", ON(INFO) | ON(BENCH), 0, "machine-readable"},
    {"verify", 0, MTL_ARG_NONE, "", ON(INFO), 0,
     "look at every number inside and at its digest first (scoring looks at the header's only)"},
    {"model", 0, MTL_ARG_TEXT, "M", ON(SERVE), 0,
     "serve this model file, and read it again on SIGHUP (default: the weights inside)"},
    {"listen", 0, MTL_ARG_TEXT, "WHERE", ON(SERVE), 0,
     "ADDRESS:PORT (port 0: any) or unix:PATH (127.0.0.1:8080)"},
    {"public", 0, MTL_ARG_NONE, "", ON(SERVE), 0,
     "allow an address that other machines reach: there are no passwords and no encryption"},
    {"max-body", 0, MTL_ARG_COUNT, "BYTES", ON(SERVE), 0, "size of a request's body (4194304)"},
    {"max-buffered", 0, MTL_ARG_COUNT, "BYTES", ON(SERVE), 0, "size of all bodies at a time (268435456)"},
    {"max-rows", 0, MTL_ARG_COUNT, "N", ON(SERVE), 0, "rows of a request (10000)"},
    {"max-depth", 0, MTL_ARG_COUNT, "N", ON(SERVE), 0, "arrays and objects within each other in a body (8)"},
    {"max-connections", 0, MTL_ARG_COUNT, "N", ON(SERVE), 0, "connections at a time (256)"},
    {"max-queue", 0, MTL_ARG_COUNT, "N", ON(SERVE), 0, "requests that wait for a thread (64)"},
    {"deadline", 0, MTL_ARG_COUNT, "MS", ON(SERVE), 0, "milliseconds a request may wait for a thread (1000)"},
    {"timeout", 0, MTL_ARG_COUNT, "S", ON(SERVE), 0,
     "seconds for a request to arrive, and for its answer to be fetched (5)"},
    {"idle", 0, MTL_ARG_COUNT, "S", ON(SERVE), 0, "seconds a connection may rest between requests (60)"},
    {"drain", 0, MTL_ARG_COUNT, "S", ON(SERVE), 0,
     "seconds for requests at work to be answered after SIGTERM (10)"},
};

const MtlOptionTable mtl_scorer_options = {
    "Scores rows of a log with a trained model.",
    command,
    sizeof command / sizeof *command,
    option,
    sizeof option / sizeof *option,
};

/* ---- shared ---- */

bool mtl_program_begin(MtlProgram *p, const MtlModel *m, const MtlOptionTable *t, int argc, char **argv,
		       int *status)
{
	const char *name = argc > 0 ? argv[0] : m->name, *slash = strrchr(name, '/');
	*p = (MtlProgram){.m = m, .sys = &mtl_sys, .name = slash ? slash + 1 : name, .table = t};
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, and ends quietly */
	MtlError e = {0};
	if (argc > 1 && strcmp(argv[1], "--dump-options") == 0) {
		mtl_options_dump(t, stdout);
		*status = mtl_program_end(p, &e);
		return true;
	}
	if (!mtl_options_parse(&p->o, t, argc, argv, &e)) {
		if (p->o.help)
			mtl_options_help(t, p->name, p->o.command, stdout);
		else if (p->o.version)
			printf("%s (%s, %s)\n", p->name, m->name, m->compiler);
		else
			return false;
	}
	*status = mtl_program_end(p, &e);
	return true;
}

int mtl_program_end(const MtlProgram *p, const MtlError *e)
{
	errno = 0;
	bool failed = fflush(stdout) != 0 || ferror(stdout);
	int why = errno;
	if (close(STDOUT_FILENO) != 0 && !failed) {
		failed = true;
		why = errno;
	}
	if (e->status && e->status != MTL_NO && e->text[0]) fprintf(stderr, "%s: %s\n", p->name, e->text);
	if (e->status) return (int)e->status;
	if (!failed || why == EPIPE || why == EBADF) return 0;
	fprintf(stderr, "%s: error: cannot write to stdout: %s\n", p->name, why ? strerror(why) : "unknown");
	return MTL_SYSTEM;
}

const char *mtl_program_text(const MtlProgram *p, const char *name)
{
	const MtlOptionValue *v = mtl_option(&p->o, p->table, name);
	return v && v->given ? v->text : NULL;
}

int64_t mtl_program_count(const MtlProgram *p, const char *name, int64_t otherwise)
{
	const MtlOptionValue *v = mtl_option(&p->o, p->table, name);
	return v && v->given ? v->count : otherwise;
}

int mtl_program_threads(const MtlProgram *p, int otherwise)
{
	int64_t n = mtl_program_count(p, "threads", otherwise);
	return n > 1 << 16 ? 1 << 16 : (int)n; /* the pool knows how many are too many */
}

bool mtl_program_has(const MtlProgram *p, const char *name) { return mtl_program_text(p, name) != NULL; }

double mtl_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void mtl_say_counts(FILE *to, const MtlRowCounts *c)
{
	const struct {
		int64_t n;
		const char *what;
	} kind[] = {
	    {c->bad_shape, "wrong shape"},	 {c->bad_number, "bad number"},
	    {c->bad_label, "bad label"},	 {c->bad_weight, "bad weight"},
	    {c->bad_list, "bad list"},		 {c->missing_value, "missing value"},
	    {c->contradiction, "contradiction"},
	};
	fprintf(to, "rows: %" PRId64 " read, %" PRId64 " used, %" PRId64 " rejected", c->read, c->used,
		c->rejected);
	int n = 0;
	for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
		if (kind[i].n) fprintf(to, "%s%" PRId64 " %s", n++ ? ", " : " (", kind[i].n, kind[i].what);
	if (n) fputc(')', to);
	if (c->dropped) fprintf(to, ", %" PRId64 " contradictions dropped", c->dropped);
	if (c->repaired) fprintf(to, ", %" PRId64 " contradictions mended", c->repaired);
	if (c->truncated) fprintf(to, ", %" PRId64 " lists cut", c->truncated);
	fputc('\n', to);
}

void mtl_json_number(FILE *to, double x)
{
	char text[40];
	if (!isfinite(x)) {
		fputs("null", to);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, x);
		if (strtod(text, NULL) == x) break;
	}
	fputs(text, to);
}

void mtl_json_text(FILE *to, const char *s)
{
	fputc('"', to);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c < 0x20) {
			fprintf(to, "\\u%04x", c);
			continue;
		}
		if (c == '"' || c == '\\') fputc('\\', to);
		fputc(c, to);
	}
	fputc('"', to);
}

bool mtl_one_file(const char *a, const char *b)
{
	struct stat sa, sb;
	bool is_a = !stat(a, &sa), is_b = !stat(b, &sb);
	if (is_a || is_b) return is_a && is_b && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
	const char *slash_a = strrchr(a, '/'), *slash_b = strrchr(b, '/');
	char folder[4096];
	snprintf(folder, sizeof folder, "%.*s", slash_a ? (int)(slash_a - a + 1) : 1, slash_a ? a : ".");
	if (stat(folder, &sa)) return false;
	snprintf(folder, sizeof folder, "%.*s", slash_b ? (int)(slash_b - b + 1) : 1, slash_b ? b : ".");
	if (stat(folder, &sb)) return false;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino &&
	       !strcmp(slash_a ? slash_a + 1 : a, slash_b ? slash_b + 1 : b);
}

MtlStatus mtl_program_apart(const MtlProgram *p, const char *name, const char *const *path, int n,
			    MtlError *e)
{
	const char *out = mtl_program_text(p, name);
	struct stat st;
	if (!out || (stat(out, &st) == 0 && !S_ISREG(st.st_mode))) return MTL_OK;
	for (int i = 0; i < n; i++)
		if (path[i] && mtl_one_file(out, path[i]))
			return mtl_fail(e, MTL_USAGE, "", NULL,
					stat(out, &st) ? "--%s %s: another file of this command has that name"
						       : "--%s %s would replace what is read",
					name, out);
	return MTL_OK;
}

/* ---- score ---- */

/* A file appears under its name when it is complete; what is no plain file (a pipe, a device) is written as
 * it stands. */
typedef struct {
	const char *path;
	char *temporary; /* NULL: direct */
	int fd;
} Output;

static MtlStatus output_open(Output *out, const MtlSys *sys, const char *path, MtlError *e)
{
	struct stat st;
	*out = (Output){.path = path, .fd = STDOUT_FILENO};
	if (!path || strcmp(path, "-") == 0) {
		out->path = NULL;
		return MTL_OK;
	}
	const char *name = path;
	if (stat(path, &st) != 0 || S_ISREG(st.st_mode)) {
		size_t n = strlen(path) + 32;
		if (!(out->temporary = mtl_new(sys, char, n)))
			return mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory");
		snprintf(out->temporary, n, "%s.%ld.tmp", path, (long)getpid());
		name = out->temporary;
	}
	out->fd = sys->open(sys->self, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (out->fd >= 0) return MTL_OK;
	mtl_fail(e, MTL_SYSTEM, "F0213", path, "cannot open for writing: %s", strerror(errno));
	mtl_release(sys, out->temporary);
	return e->status;
}

static MtlStatus output_close(Output *out, const MtlSys *sys, bool good, MtlError *e)
{
	MtlStatus st = MTL_OK;
	if (!out->path) return st;
	bool done = !good || !out->temporary || sys->sync(sys->self, out->fd) == 0;
	int why = errno;
	if (sys->close(sys->self, out->fd) != 0 && done) {
		done = false;
		why = errno;
	}
	if (done && good && out->temporary && sys->rename(sys->self, out->temporary, out->path) != 0) {
		done = false;
		why = errno;
	}
	if (out->temporary && (!good || !done)) (void)sys->remove(sys->self, out->temporary);
	if (!done) st = mtl_fail(e, MTL_SYSTEM, "F0212", out->path, "cannot write: %s", strerror(why));
	mtl_release(sys, out->temporary);
	return st;
}

static MtlStatus score_into(MtlProgram *p, MtlInstance *in, MtlThreads *pool, Output *out, const char **pass,
			    int n_pass, MtlError *e)
{
	const char *request = mtl_program_text(p, "request"), *candidates = mtl_program_text(p, "candidates");
	const char *file = candidates ? candidates : p->o.operand ? p->o.operand : "-";
	if (!request != !candidates || (request && p->o.operand)) {
		mtl_fail(e, MTL_USAGE, "", NULL,
			 "--request R and --candidates C come together, in place of a file of rows");
		(void)output_close(out, p->sys, false, e);
		return e->status;
	}
	MtlScoreOptions so = {.path = file,
			      .request = request,
			      .format = (MtlScoresFormat)mtl_program_count(p, "format", MTL_SCORES_CSV),
			      .fd = out->fd,
			      .out_name = out->path ? out->path : "stdout",
			      .interrupted = p->interrupted};
	so.reader.bad_rows = mtl_program_count(p, "on-bad-row", 0) == 1 ? MTL_BAD_NULL : MTL_BAD_FAIL;
	so.reader.passthrough = pass;
	so.reader.n_passthrough = n_pass;
	if (mtl_program_has(p, "input-format")) {
		so.reader.format_given = true;
		so.reader.format = (MtlFormat)mtl_program_count(p, "input-format", MTL_CSV);
	} else if (strcmp(file, "-") == 0) {
		so.reader.format_given = true;
		so.reader.format = so.format == MTL_SCORES_TSV ? MTL_TSV : MTL_CSV;
	}
	MtlScoreResult r;
	MtlStatus st = mtl_score(&r, in, pool, &so, e);
	MtlStatus closed = output_close(out, p->sys, !st, e);
	if (!st && !closed && (r.counts.rejected || r.counts.truncated || isatty(STDERR_FILENO)))
		mtl_say_counts(stderr, &r.counts);
	return st ? st : closed;
}

MtlStatus mtl_program_score(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	Output out = {0};
	const char **pass = NULL;
	int n_pass = 0;
	MtlStatus st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st) st = mtl_instance_open(&in, mtl_program_text(p, "model"), e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 0), e);
	if (!st && mtl_program_has(p, "passthrough") &&
	    !(pass = mtl_options_list(p->sys, mtl_program_text(p, "passthrough"), &n_pass)))
		st = mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	const char *read[] = {p->o.operand, mtl_program_text(p, "request"), mtl_program_text(p, "candidates"),
			      mtl_program_text(p, "model")};
	if (!st) st = mtl_program_apart(p, "output", read, sizeof read / sizeof *read, e);
	if (!st) st = output_open(&out, p->sys, mtl_program_text(p, "output"), e);
	if (!st) st = score_into(p, &in, pool, &out, pass, n_pass, e);
	mtl_release(p->sys, pass);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	return st;
}

/* ---- info ---- */

static const char *const kind_name[] = {"id", "ids", "real"};
static const char *const code_name[] = {"plain", "hash",   "vocab",    "vocab auto",
					"size",	 "bucket", "quantiles"};
static const char *const normal_name[] = {"plain", "log1p", "standard", "minmax"};

static void shape_json(FILE *to, const MtlTensor *t)
{
	for (int i = 0; i < t->n_dim; i++) {
		fputs(i ? "," : "[", to);
		if (t->dim[i] > 0)
			fprintf(to, "%" PRId64, t->dim[i]);
		else
			fputs("null", to);
	}
	fputs(t->n_dim ? "]" : "[]", to);
}

static void info_json(const MtlInstance *in, const char *state, FILE *to)
{
	const MtlModel *m = in->m;
	fputs("{\"model\":", to);
	mtl_json_text(to, m->name);
	fputs(",\"digest\":", to);
	mtl_json_text(to, m->digest);
	fputs(",\"compiler\":", to);
	mtl_json_text(to, m->compiler);
	fputs(",\"inputs\":[", to);
	for (int i = 0, any = 0; i < m->n_feature; i++) {
		const MtlFeature *f = &m->feature[i];
		if (f->n_cross) continue; /* made of others */
		fputs(any++ ? ",{\"name\":" : "{\"name\":", to);
		mtl_json_text(to, f->name);
		fputs(",\"group\":", to);
		mtl_json_text(to, f->group ? f->group : "");
		fputs(",\"column\":", to);
		mtl_json_text(to, f->column);
		fprintf(to, ",\"kind\":\"%s\",\"code\":\"%s\",\"side\":\"%s\",\"train_only\":%s}",
			kind_name[f->kind], code_name[f->code], f->candidate ? "candidate" : "request",
			f->train_only ? "true" : "false");
	}
	fputs("],\"labels\":[", to);
	for (int i = 0; i < m->n_label_column; i++) {
		if (i) fputc(',', to);
		mtl_json_text(to, m->label_column[i]);
	}
	fputs("],\"outputs\":[", to);
	for (int i = 0; i < m->n_output; i++) {
		if (i) fputc(',', to);
		mtl_json_text(to, m->output[i].name);
	}
	fputs("],\"parameters\":[", to);
	int n = 0;
	for (int i = 0; i < m->n_param_block + m->n_table; i++) {
		bool table = i >= m->n_param_block;
		int k = table ? i - m->n_param_block : i;
		if (!(table ? mtl_table_here(in, k) : mtl_param_here(in, k))) continue;
		MtlTensor t = table ? mtl_table_tensor(in, k, -1) : mtl_param_tensor(in, k, NULL);
		fputs(n++ ? ",{\"name\":" : "{\"name\":", to);
		mtl_json_text(to, t.name);
		fputs(",\"shape\":", to);
		shape_json(to, &t);
		fprintf(to, ",\"table\":%s,\"frozen\":%s}", table ? "true" : "false",
			(table ? m->table[k].frozen : m->param[k].frozen) ? "true" : "false");
	}
	fputs("],\"variants\":[", to);
	for (int i = 0; i < m->n_variant; i++) {
		if (i) fputc(',', to);
		mtl_json_text(to, m->variant[i].name);
	}
	fputs("],\"variant\":", to);
	mtl_json_text(to, in->variant->name);
	const char *single = m->precision ? m->precision : "single";
	fprintf(to, ",\"precision\":\"%s\"", sizeof(mtl_real) == sizeof(double) ? "double" : single);
	fprintf(to, ",\"gemm\":\"%s\",\"state\":%s}\n", m->gemm ? m->gemm : "own", state ? state : "null");
}

static void info_text(const MtlInstance *in, const char *state, FILE *to)
{
	const MtlModel *m = in->m;
	char shape[96];
	int64_t floats = 0;
	fprintf(to, "model %s, digest %s, made by %s\n\nkernels:", m->name, m->digest, m->compiler);
	for (int i = 0; i < m->n_variant; i++)
		fprintf(to, "%s %s%s", i ? "," : "", m->variant[i].name,
			&m->variant[i] == in->variant ? " (runs here)" : "");
	if (m->gemm) fprintf(to, "\ngemm: %s", m->gemm);
	if (sizeof(mtl_real) == sizeof(double)) fputs("\nprecision: double", to);
	if (m->precision) fprintf(to, "\nprecision: %s", m->precision);
	fputs("\n\ninputs:\n", to);
	for (int i = 0; i < m->n_feature; i++) {
		const MtlFeature *f = &m->feature[i];
		if (f->n_cross) continue;
		fprintf(to, "  %-24s %-5s %-11s %s%s", f->column, kind_name[f->kind],
			f->code ? code_name[f->code] : normal_name[f->normal],
			f->candidate ? "candidate" : "request",
			!f->train_only		 ? ""
			: mtl_model_is_scorer(m) ? ", not read"
						 : ", in training only");
		fputs("\n", to);
	}
	if (m->n_label_column) fputs("\nlabels:", to);
	for (int i = 0; i < m->n_label_column; i++) fprintf(to, "%s %s", i ? "," : "", m->label_column[i]);
	fputs(m->n_label_column ? "\n\noutputs:" : "\noutputs:", to);
	for (int i = 0; i < m->n_output; i++) fprintf(to, "%s %s", i ? "," : "", m->output[i].name);
	fputs("\n\nparameters:\n", to);
	for (int i = 0; i < m->n_param_block; i++) {
		if (!mtl_param_here(in, i)) continue;
		MtlTensor t = mtl_param_tensor(in, i, NULL);
		fprintf(to, "  %-40s %s%s\n", t.name, mtl_shape_text(&t, shape),
			m->param[i].frozen ? " frozen" : "");
		floats += m->param[i].size;
	}
	for (int i = 0; i < m->n_table; i++) {
		if (!mtl_table_here(in, i)) continue;
		MtlTensor t = mtl_table_tensor(in, i, -1);
		if (t.dim[0] > 0)
			fprintf(to, "  %-40s %s%s%s\n", t.name, mtl_shape_text(&t, shape),
				m->table[i].precision ? m->table[i].precision == MTL_INT8 ? " int8" : " bf16"
						      : "",
				m->table[i].frozen ? " frozen" : "");
		else
			fprintf(to, "  %-40s [by the data, %" PRId64 "]\n", t.name, t.dim[1]);
		floats += t.dim[0] * t.dim[1];
	}
	fprintf(to, "  %" PRId64 " numbers in all\n", floats);
	if (state) fprintf(to, "\ntraining: %s\n", state);
}

MtlStatus mtl_program_info(MtlProgram *p, MtlError *e)
{
	const char *path = mtl_program_text(p, "model");
	const MtlModel *m = p->m;
	MtlInstance in = {0};
	MtlStore *s = NULL;
	MtlStatus st = mtl_instance_init(&in, p->sys, m, e);
	if (!st && path)
		st = mtl_store_open(&s, p->sys, path, false, e);
	else if (!st && m->weights)
		st = (mtl_program_has(p, "verify") ? mtl_store_open_memory : mtl_store_open_trusted)(
		    &s, p->sys, m->weights, m->n_weights, "weights in the program", e);
	if (!st && s) st = mtl_instance_load(&in, s, path ? path : "weights in the program", false, e);
	if (!st && !s) {
		/* Without weights the sizes the spec alone gives are told, the others stay open. */
		in.table = mtl_new(p->sys, mtl_real *, m->n_table + 1);
		in.table_rows = mtl_new(p->sys, int64_t, m->n_table + 1);
		if (!in.table || !in.table_rows) st = mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
		for (int t = 0; !st && t < m->n_table; t++)
			in.table_rows[t] = m->table[t].rows || !in.codes.complete
					       ? m->table[t].rows
					       : mtl_table_rows(m, &in.codes, t);
	}
	const char *state = s ? mtl_store_meta(s, MTL_META_STATE) : NULL;
	if (!st) (mtl_program_has(p, "json") ? info_json : info_text)(&in, state, stdout);
	mtl_instance_free(&in);
	mtl_store_close(s);
	return st;
}

/* ---- bench ---- */

static MtlStatus bench(MtlProgram *p, MtlError *e)
{
	MtlInstance in = {0};
	MtlThreads *pool = NULL;
	bool json = mtl_program_has(p, "json");
	MtlStatus st = mtl_instance_init(&in, p->sys, p->m, e);
	if (!st) st = mtl_instance_open(&in, NULL, e);
	if (!st) st = mtl_pool_new(&pool, p->sys, mtl_program_threads(p, 1), e);
	if (!st) st = mtl_bench_scores(&in, pool, json, e);
	if (!st && json) fputs("]}\n", stdout);
	mtl_pool_free(pool);
	mtl_instance_free(&in);
	return st;
}

/* ---- main ---- */

static MtlStatus no_server(MtlProgram *p, MtlError *e)
{
	(void)p;
	return mtl_fail(e, MTL_USAGE, "", NULL,
			"this scorer holds no server: mtlc build F.mtl --model M --serve -o SCORER makes one "
			"that does");
}

int mtl_scorer_main(const MtlModel *m, int argc, char **argv)
{
	return mtl_scorer_run(m, no_server, argc, argv);
}

int mtl_scorer_run(const MtlModel *m, MtlStatus (*serve)(MtlProgram *, MtlError *), int argc, char **argv)
{
	MtlProgram p;
	MtlError e = {0};
	int status = 0;
	if (mtl_program_begin(&p, m, &mtl_scorer_options, argc, argv, &status)) return status;
	switch (p.o.command) {
	case SCORE: mtl_program_score(&p, &e); break;
	case INFO: mtl_program_info(&p, &e); break;
	case BENCH: bench(&p, &e); break;
	case SERVE: serve(&p, &e); break;
	}
	return mtl_program_end(&p, &e);
}
