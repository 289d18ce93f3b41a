/*
 * `mtlc report`, and `mtlc train --report`: a run's log and its model as a page.  The program that trains
 * knows nothing of it: it writes its log.
 */
#define _GNU_SOURCE
#include "driver/children.h"
#include "driver/commands.h"
#include "driver/run_report.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool write_whole(const char *path, const Text *t)
{
	if (!path || !strcmp(path, "-")) return fwrite(t->at, 1, t->n, stdout) == t->n;
	Text tmp = {0};
	text_printf(&tmp, "%s.tmp%ld", path, (long)getpid());
	FILE *f = fopen(tmp.at, "wbe");
	bool ok = f && fwrite(t->at, 1, t->n, f) == t->n;
	if (f) ok &= !fflush(f) & !fsync(fileno(f));
	if (f) ok &= !fclose(f);
	if (ok) ok = !rename(tmp.at, path);
	if (!ok) {
		say_error("cannot write %s: %s", path, strerror(errno));
		unlink(tmp.at);
	}
	text_free(&tmp);
	return ok;
}

static int make_report(const Request *call, const char *log, const char *out)
{
	Request front = *call;
	front.o.command = -1;
	CompileRequest r;
	LinkRequest l;
	if (!request_of(&front, &r, &l)) return 2;
	Compilation c;
	Text svg = {0}, page = {0};
	compilation_init(&c);
	int code = compile_front(&c, &r) ? 0 : 3;
	if (code) say_messages(&c, false);
	/* The text as it stands in the file, before the graph's passes: they do not touch it. */
	const char *text = code ? NULL : c.sources.file.at[0].text;
	if (!code && !graph_svg(&c, &svg))
		say_note("without a picture of the tasks, which needs Graphviz (apt "
			 "install graphviz)");
	if (!code && !run_report(log, svg.at, text, &page)) code = 4;
	if (!code && !write_whole(out, &page)) code = 6;
	text_free(&svg);
	text_free(&page);
	compilation_free(&c);
	return code;
}

int command_report(const Request *call)
{
	const char *log = mtl_option(&call->o, call->table, "log")->text,
		   *out = mtl_option(&call->o, call->table, "output")->text;
	int bad = unreadable(call->operand);
	if (!bad) bad = unwritable(out);
	if (!bad) bad = replaces("-o", out, log);
	if (!bad) bad = replaces("-o", out, call->operand);
	return bad ? bad : make_report(call, log, out);
}

/* The value of --NAME in a command line, *at its place; NULL: not given. */
static const char *given(int argc, char **argv, const char *name, int *at, int *words)
{
	size_t n = strlen(name);
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) || strncmp(argv[i] + 2, name, n)) continue;
		*at = i;
		*words = argv[i][2 + n] == '=' ? 1 : 2;
		if (*words == 1) return argv[i] + 3 + n;
		if (!argv[i][2 + n] && i + 1 < argc) return argv[i + 1];
	}
	return NULL;
}

bool report_asked(const Request *call)
{
	int at, words;
	return !strcmp(call->argv[1], "train") && given(call->argc, call->argv, "report", &at, &words);
}

/* Said before a training, not after it: a page that cannot be written, or would be written over its files. */
static int misplaced(const Request *call, const char *out)
{
	static const char *const file[] = {"data", "valid", "out", "log", "init", "resume"};
	int code = unwritable(out), at, words;
	if (!code) code = replaces("--report", out, call->operand);
	for (size_t i = 0; !code && i < sizeof file / sizeof *file; i++) {
		const char *list = given(call->argc, call->argv, file[i], &at, &words);
		char *copy = list ? strdup(list) : NULL, *save;
		for (char *f = copy ? strtok_r(copy, ",", &save) : NULL; f && !code;
		     f = strtok_r(NULL, ",", &save))
			code = replaces("--report", out, f);
		free(copy);
	}
	return code;
}

int train_and_report(const Request *call, const char *program)
{
	int at = 0, words = 0, other = 0, n = 0;
	const char *out = given(call->argc, call->argv, "report", &at, &words);
	if ((n = misplaced(call, out))) return n;
	char **argv = calloc((size_t)call->argc + 3, sizeof *argv), name[] = "/tmp/mtlc-run-XXXXXX";
	const char *log = given(call->argc, call->argv, "log", &other, &other);
	int fd = log ? -1 : mkstemp(name);
	if (!argv || (!log && fd < 0)) {
		say_error("cannot make a log for the report: %s", strerror(errno));
		free(argv);
		return 6;
	}
	argv[n++] = (char *)(uintptr_t)program;
	argv[n++] = call->argv[1];
	for (int i = 3; i < call->argc; i++)
		if (i < at || i >= at + words) argv[n++] = call->argv[i];
	if (!log) {
		close(fd);
		argv[n++] = (char *)(uintptr_t) "--log";
		argv[n++] = name;
	}
	Children c;
	children_begin(&c);
	pid_t child = child_start(&c, (const char *const *)argv, NULL);
	/* An interrupt is the child's, which saves and ends. */
	int code = child > 0 ? child_await(&c, child) : 6;
	children_end(&c);
	if (code == 0 || code == 130) {
		int made = make_report(call, log ? log : name, out);
		if (!code) code = made;
	}
	if (!log) unlink(name);
	free(argv);
	return code;
}
