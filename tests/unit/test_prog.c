/*
 * The model's program and the scorer as a user runs them: exit codes, streams, interrupts, full disks.
 */
#include "runtime/program.h"
#include "model_by_hand.h"
#include "suite.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char out[1 << 20], err[1 << 16]; /* what the last program wrote */

static void fill(const char *name, char *text, size_t size)
{
	FILE *f = fopen(name, "r");
	size_t n = f ? fread(text, 1, size - 1, f) : 0;
	text[n] = 0;
	if (f) fclose(f);
}

/* Runs "prog WORDS" in the test's folder; the exit code, or 1000 + the signal.  stop: seconds until SIGINT,
 * 0: none. */
static int run_with(const MtlModel *m, int (*program)(const MtlModel *m, int argc, char **argv),
		    const char *line, const char *to, double stop)
{
	char copy[512], *argv[24] = {"prog"};
	int argc = 1, status;
	snprintf(copy, sizeof copy, "%s", line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (chdir(dir) != 0 || !freopen(to ? to : "stdout", "w", stdout) ||
		    !freopen("stderr", "w", stderr) || !freopen("stdin", "r", stdin))
			_exit(99);
		int code = program(m, argc, argv);
		fflush(stderr);
		exit(code); /* not _exit: leaks are looked for on the way */
	}
	if (stop > 0) {
		usleep((useconds_t)(stop * 1e6));
		kill(pid, SIGINT);
	}
	waitpid(pid, &status, 0);
	char path[128];
	snprintf(path, sizeof path, "%s/stdout", dir);
	fill(path, out, sizeof out);
	snprintf(path, sizeof path, "%s/stderr", dir);
	fill(path, err, sizeof err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(const char *line) { return run_with(&by_hand, mtl_prog_main, line, NULL, 0); }

static void put_file(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static bool same(const char *a, const char *b)
{
	static char p[1 << 18], q[1 << 18];
	char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, a);
	FILE *f = fopen(path, "r"), *g;
	snprintf(path, sizeof path, "%s/%s", dir, b);
	g = fopen(path, "r");
	size_t n = f ? fread(p, 1, sizeof p, f) : 0, m = g ? fread(q, 1, sizeof q, g) : 0;
	if (f) fclose(f);
	if (g) fclose(g);
	return n > 0 && n == m && memcmp(p, q, n) == 0;
}

#define HAS(text, part) CU_ASSERT_PTR_NOT_NULL(strstr(text, part))

static void a_newcomers_walk(void)
{
	CU_ASSERT_EQUAL(run("train --data log.csv --valid log.csv --out m --log run.jsonl"), 0);
	CU_ASSERT_STRING_EQUAL(out, "");
	HAS(err, "epoch 2/2: 3000 rows");
	HAS(err, "rows: 3000 read, 3000 used, 0 rejected\n");
	CU_ASSERT_EQUAL(run("eval --data log.csv --model m"), 0);
	HAS(out, "buy|click");
	CU_ASSERT_EQUAL(run("eval --data log.csv --model m --json"), 0);
	HAS(out, "{\"rows\":3000,\"heads\":{\"click\":{\"rows\":3000,\"auc\":");
	HAS(out, ",\"buy|click\":{\"rows\":");
	CU_ASSERT_EQUAL(run("score log.csv --model m -o scores"), 0);
	CU_ASSERT_EQUAL(run("score log.csv --model m"), 0);
	CU_ASSERT(same("stdout", "scores"));
	CU_ASSERT_EQUAL(strncmp(out, "pctr,pcvr,pctcvr\n0.", 19), 0);
	CU_ASSERT_EQUAL(run("grad --data log.csv --model m --out g"), 0);
	CU_ASSERT_EQUAL(run("gradcheck --model m"), 0);
	HAS(out, "embed.tags.weight");
	CU_ASSERT_EQUAL(run("info --model m --json"), 0);
	HAS(out, "{\"name\":\"tower.ctr.0.weight\",\"shape\":[12,1],");
	HAS(out, "\"state\":{\"step\":24,");
	CU_ASSERT_EQUAL(run("--version"), 0);
	CU_ASSERT_STRING_EQUAL(out, "prog (by_hand, hand)\n");
	CU_ASSERT_EQUAL(run("train --help"), 0);
	HAS(out, "usage: prog train --data F[,F...] --out M [options]");
}

static void fresh_parameters(void)
{
	CU_ASSERT_EQUAL(run("init --seed 5 --out a"), 0);
	CU_ASSERT_EQUAL(run("init --seed 5 --out b"), 0);
	CU_ASSERT(same("a", "b"));
	CU_ASSERT_EQUAL(run("init --seed 6 --out b"), 0);
	CU_ASSERT_FALSE(same("a", "b"));
	/* Training starts from the same numbers. */
	CU_ASSERT_EQUAL(run("train --data log.csv --out b --seed 5 --epochs 0 --no-state"), 0);
	CU_ASSERT(same("a", "b"));
}

static void what_is_refused(void)
{
	static const struct {
		const char *line;
		int code;
		const char *text;
	} c[] = {
	    {"", 2, "prog: error: a command is missing"},
	    {"trian", 2, "did you mean 'train'?"},
	    {"train --data log.csv", 2, "train needs --out M"},
	    {"train --data log.csv --out m --early-stop buy.auc", 2, "--early-stop needs --valid"},
	    {"train --data log.csv --valid log.csv --out m --early-stop buy.auc:0", 2, "above 0"},
	    {"train --data log.csv --valid log.csv --out m --early-stop bye.auc", 2, "click, buy|click, buy"},
	    {"train --data - --out m", 2, "--epochs 1"},
	    {"train --data log.csv --out m --init a --resume b", 2, "give one of them"},
	    {"train --data log.csv --out m --batch 0", 2, "at least one row"},
	    {"train --data log.csv --out m --max-bad-rows 3", 2, "--bad-rows skip"},
	    {"train --data log.csv,,log.csv --out m", 2, "an empty file name"},
	    {"train --data log.csv --out m --batch 100000000", 2, "--batch is at most"},
	    {"train --data empty.csv --out x", 4, "no row of the data can be used"},
	    {"train --data none.csv --out x", 6, "none.csv: error["},
	    {"train --data column.csv --out x", 4, "\"user\""},
	    {"train --data bad.csv --out x", 4, "bad.csv:3"},
	    {"train --data log.csv --out none/x", 6, "none/x"},
	    {"train --data log.csv --out x --lr 1e38", 7, "in epoch 1, batch 2 (rows 257 to 512)"},
	    {"train --data log.csv --out x --init log.csv", 5, "log.csv"},
	    {"eval --data log.csv --model log.csv", 5, "log.csv"},
	    {"eval --data log.csv --model none", 6, "none"},
	    {"eval --data log.csv", 2, "give --model"},
	    {"score log.csv --model m -o none/x", 6, "none/x"},
	    {"score short.csv --model m", 4, "short.csv:2"},
	    {"score log.csv --model m --passthrough nothing", 4, "nothing"},
	};
	CU_ASSERT_EQUAL_FATAL(run("train --data log.csv --out m"), 0);
	put_file("empty.csv", "user,item,tags,clk,pay\n");
	put_file("column.csv", "item,tags,clk,pay\n1,,0,0\n");
	put_file("bad.csv", "user,item,tags,clk,pay\nu,1,,0,0\nu,1,,yes,0\n");
	put_file("short.csv", "user,item,tags\nu,1\n");
	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		int code = run(c[i].line);
		if (code != c[i].code || !strstr(err, c[i].text))
			printf("\n  prog %s\n  exit %d, expected %d with \"%s\"\n  %s", c[i].line, code,
			       c[i].code, c[i].text, err);
		CU_ASSERT_EQUAL(code, c[i].code);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, c[i].text));
		CU_ASSERT(!*out || strcmp(out, "pctr,pcvr,pctcvr\n") == 0);
	}
	char path[128];
	snprintf(path, sizeof path, "%s/x", dir);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0); /* no run that failed has left a file */
}

static void bad_rows(void)
{
	put_file("mixed.csv", "user,item,tags,clk,pay\nu,1,,0,0\nu,1,,0,1\nu,1,,2,0\nu,1,,1,0\n");
	CU_ASSERT_EQUAL(run("train --data mixed.csv --out x --bad-rows skip --rejects r --epochs 1"), 0);
	HAS(err, "rows: 4 read, 2 used, 2 rejected (1 bad label, 1 contradiction)\n");
	CU_ASSERT_EQUAL(run("eval --data r --model x"),
			4); /* the rejected rows as they stood, with their header */
	HAS(err, "r:2");
	CU_ASSERT_EQUAL(run("train --data mixed.csv --out x --bad-rows skip --max-bad-rows 1"), 4);
}

static void full_disks(void)
{
	CU_ASSERT_EQUAL_FATAL(run("train --data log.csv --out m"), 0);
	static const char *const line[] = {"score log.csv --model m", "eval --data log.csv --model m --json",
					   "info --model m", "--help"};
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(run_with(&by_hand, mtl_prog_main, line[i], "/dev/full", 0), 6);
		HAS(err, "No space left");
	}
	CU_ASSERT_EQUAL(run("train --data log.csv --out x --log /dev/full"), 6);
	CU_ASSERT_EQUAL(run("score log.csv --model m -o /dev/full"), 6);
}

static void a_closed_pipe(void)
{
	CU_ASSERT_EQUAL_FATAL(run("train --data log.csv --out m"), 0);
	char path[128];
	snprintf(path, sizeof path, "%s/pipe", dir);
	CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
	pid_t reader = fork();
	if (reader == 0) {
		int fd = open(path, O_RDONLY);
		close(fd);
		_exit(0);
	}
	CU_ASSERT_EQUAL(run_with(&by_hand, mtl_prog_main, "score log.csv --model m", "pipe", 0), 0);
	CU_ASSERT_STRING_EQUAL(err, "");
	waitpid(reader, NULL, 0);
}

static void an_interrupt(void)
{
	CU_ASSERT_EQUAL(
	    run_with(&by_hand, mtl_prog_main, "train --data log.csv --out cut --epochs 1000000", NULL, 0.3),
	    130);
	HAS(err, "prog: interrupted; go on with --resume cut\n");
	CU_ASSERT_EQUAL(run("info --model cut --json"), 0);
	char *epoch = strstr(out, "\"epoch\":");
	CU_ASSERT_PTR_NOT_NULL_FATAL(epoch);
	long done = strtol(epoch + 8, NULL, 10);
	char line[128];
	snprintf(line, sizeof line, "train --data log.csv --out cut --resume cut --epochs %ld", done + 1);
	CU_ASSERT_EQUAL(run(line), 0);
	snprintf(line, sizeof line, "train --data log.csv --out whole --epochs %ld", done + 1);
	CU_ASSERT_EQUAL(run(line), 0);
	CU_ASSERT(same("cut", "whole"));
}

/* A scorer: the same model without training entries, with the weights inside. */
static void a_scorer(void)
{
	static unsigned char weights[1 << 16] __attribute__((aligned(64)));
	char path[128];
	MtlEntry entry[N_OF(h_entry)] = {0};
	MtlKernel *kernel[N_OF(h_entry)] = {[MTL_PRE] = h_pre,
					    [MTL_SCORE] = h_score,
					    [MTL_REQUEST] = h_request,
					    [MTL_CANDIDATES] = h_candidates};
	MtlVariant variant = {"any-v0", 0, kernel, h_work, H_N};
	MtlModel m = by_hand;
	CU_ASSERT_EQUAL_FATAL(run("train --data log.csv --out m"), 0);
	CU_ASSERT_EQUAL_FATAL(run("score log.csv --model m -o scores"), 0);
	snprintf(path, sizeof path, "%s/m", dir);
	FILE *f = fopen(path, "r");
	m.n_weights = fread(weights, 1, sizeof weights, f);
	fclose(f);
	m.weights = weights;
	entry[MTL_PRE] = h_entry[MTL_PRE];
	entry[MTL_SCORE] = h_entry[MTL_SCORE];
	entry[MTL_REQUEST] = h_entry[MTL_REQUEST];
	entry[MTL_CANDIDATES] = h_entry[MTL_CANDIDATES];
	m.entry = entry;
	m.variant = &variant;
	m.n_variant = 1;
	CU_ASSERT_EQUAL(run_with(&m, mtl_scorer_main, "log.csv", NULL, 0), 0);
	CU_ASSERT(same("stdout", "scores"));
	put_file("stdin", "tags,user,item\na,u1,3\n");
	CU_ASSERT_EQUAL(
	    run_with(&m, mtl_scorer_main, "- --passthrough item --format tsv --input-format csv", NULL, 0),
	    0);
	CU_ASSERT_EQUAL(strncmp(out, "item\tpctr\tpcvr\tpctcvr\n3\t0.", 25), 0);
	CU_ASSERT_EQUAL(run_with(&m, mtl_scorer_main, "info", NULL, 0), 0);
	HAS(out, "outputs: pctr, pcvr, pctcvr");
	CU_ASSERT_EQUAL(run_with(&m, mtl_scorer_main, "train --data x", NULL, 0), 2);
	CU_ASSERT_EQUAL(run_with(&m, mtl_scorer_main, "info --verify", NULL, 0), 0);
	/* A number that changed: scoring does not look, --verify does. */
	weights[m.n_weights - 1] ^= 1;
	CU_ASSERT_EQUAL(run_with(&m, mtl_scorer_main, "info", NULL, 0), 0);
	CU_ASSERT_EQUAL(run_with(&m, mtl_scorer_main, "info --verify", NULL, 0), 5);
	HAS(err, "error[F0009]");
	weights[m.n_weights - 1] ^= 1;
	/* A header that changed is always noticed. */
	weights[40] ^= 1;
	CU_ASSERT_EQUAL(run_with(&m, mtl_scorer_main, "log.csv", NULL, 0), 5);
	put_file("stdin", "");
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof dir, "%.40s/mtl_prog_XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir)) return 1;
	char path[128];
	snprintf(path, sizeof path, "%s/log.csv", dir);
	FILE *f = fopen(path, "w");
	fputs("user,item,tags,clk,pay\n", f);
	for (int i = 0; i < 3000; i++) {
		int click = i * 7 % 3 == 0, buy = click && i * 11 % 5 < 2;
		fprintf(f, "u%d,%d,%c,%d,%d\n", i % 37, i % 20, 'a' + i % 6, click, buy);
	}
	fclose(f);
	put_file("stdin", "");

	CU_pSuite s = suite_begin("programs");
	CU_ADD_TEST(s, a_newcomers_walk);
	CU_ADD_TEST(s, fresh_parameters);
	CU_ADD_TEST(s, what_is_refused);
	CU_ADD_TEST(s, bad_rows);
	CU_ADD_TEST(s, full_disks);
	CU_ADD_TEST(s, a_closed_pipe);
	CU_ADD_TEST(s, an_interrupt);
	CU_ADD_TEST(s, a_scorer);
	int failed = suite_end();
	snprintf(path, sizeof path, "rm -r '%s'", dir);
	return system(path) != 0 || failed != 0;
}
