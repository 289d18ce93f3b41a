/*
 * `mtlc new`: a model to start from.  The starters are the models of examples/, put into the compiler when it
 * is built, with the features they `use` written out in place.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "driver/propose.h"
#include "starters_text.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file of examples/: after a byte 1 its path, then its text. */
typedef struct {
	const char *path, *text;
	int n_path, n_text;
} Starter;

static bool next_starter(Starter *s)
{
	const char *at = s->text ? s->text + s->n_text : starters_text;
	if (*at != '\1') return false;
	s->path = at + 1;
	s->n_path = (int)strcspn(s->path, "\n");
	s->text = s->path + s->n_path + 1;
	s->n_text = (int)strcspn(s->text, "\1");
	return true;
}

static bool find_file(Starter *s, const char *path, int n)
{
	*s = (Starter){0};
	while (next_starter(s))
		if (s->n_path == n && !memcmp(s->path, path, (size_t)n)) return true;
	return false;
}

enum { KINDS = 64, NAME = 64 };

/* "esmm/esmm.mtl" is the kind esmm, "din/mean.mtl" is din/mean; false: features that others use. */
static bool kind_of(const Starter *s, char name[NAME])
{
	int folder = (int)strcspn(s->path, "/"), n = s->n_path - (int)strlen(".mtl");
	if (!strncmp(s->path, "features/", 9)) return false;
	bool same = n == 2 * folder + 1 && !strncmp(s->path, s->path + folder + 1, (size_t)folder);
	snprintf(name, NAME, "%.*s", same ? folder : n, s->path);
	return true;
}

static bool find_kind(Starter *s, const char *kind)
{
	char name[NAME];
	*s = (Starter){0};
	while (next_starter(s))
		if (kind_of(s, name) && !strcmp(kind, name)) return true;
	return false;
}

/* The text with `use "../features/x.mtl"` replaced by that file's own. */
static void write_out(const Starter *s, Text *out)
{
	for (const char *p = s->text, *end = s->text + s->n_text; p < end;) {
		int n = (int)strcspn(p, "\n");
		const char *use = "use \"../";
		Starter file;
		if (!strncmp(p, use, strlen(use))) {
			const char *path = p + strlen(use);
			if (!find_file(&file, path, (int)strcspn(path, "\"")))
				bug("a starter uses a file that is none: %.*s", n, p);
			text_addn(out, file.text, (size_t)file.n_text);
		} else {
			text_addn(out, p, (size_t)n + 1);
		}
		p += n + 1;
	}
}

static void list(FILE *to)
{
	char name[NAME];
	for (Starter s = {0}; next_starter(&s);)
		if (kind_of(&s, name)) {
			const char *first = s.text + strspn(s.text, "# ");
			fprintf(to, "  %-16s %.*s\n", name, (int)strcspn(first, "\n"), first);
		}
}

/* The i-th kind, for "did you mean"; `self` is room for KINDS names. */
static const char *nth_kind(const void *self, int i)
{
	char(*name)[NAME] = (char(*)[NAME])(uintptr_t)self;
	int k = 0;
	for (Starter s = {0}; k < KINDS && next_starter(&s);)
		if (kind_of(&s, name[i]) && k++ == i) return name[i];
	return NULL;
}

/* To stdout or into a file that is not there yet: nobody's model is overwritten. */
static int put(const char *path, const Text *t)
{
	if (!path || !strcmp(path, "-")) {
		fwrite(t->at, 1, t->n, stdout);
		return 0;
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	bool ok = fd >= 0 && write(fd, t->at, t->n) == (ssize_t)t->n;
	int why = errno;
	if (fd >= 0 && close(fd) && ok) {
		ok = false;
		why = errno;
	}
	if (!ok) {
		if (fd >= 0) unlink(path);
		say_error("cannot write %s: %s", path, strerror(why));
		return 6;
	}
	say_note("wrote %s; mtlc check -v %s shows what follows from it", path, path);
	return 0;
}

/* The model's name: the file's, as far as it is one. */
static void name_from(const char *path, char *name, size_t size)
{
	const char *base =
	    path && strcmp(path, "-") ? strrchr(path, '/') ? strrchr(path, '/') + 1 : path : "mine";
	size_t n = 0;
	if (!isalpha((unsigned char)*base)) name[n++] = 'm';
	for (; *base && *base != '.' && n < size - 1; base++)
		name[n++] = isalnum((unsigned char)*base) ? (char)tolower((unsigned char)*base) : '_';
	name[n] = '\0';
}

static int from_data(const char *data, int64_t rows, const char *path)
{
	char name[64];
	name_from(path, name, sizeof name);
	Text text = {0}, note = {0};
	MtlError e = {0};
	MtlStatus st = propose(data, rows, name, &text, &note, &e);
	int code = st ? (int)st : put(path, &text);
	if (st) say_failure(&e);
	if (!st && note.at) say_note("%s", note.at);
	text_free(&text);
	text_free(&note);
	return code;
}

int command_new(const Request *c)
{
	const MtlOptionValue *data = mtl_option(&c->o, c->table, "from-data"),
			     *out = mtl_option(&c->o, c->table, "output"),
			     *rows = mtl_option(&c->o, c->table, "rows");
	if (data->given && c->operand) {
		say_error("a kind or --from-data, not both");
		return 2;
	}
	if (data->given) return from_data(data->text, rows->given ? rows->count : 100000, out->text);
	if (!c->operand) {
		list(stdout);
		return 0;
	}
	Starter s;
	if (!find_kind(&s, c->operand)) {
		char name[KINDS][NAME];
		const char *near = mtl_nearest(c->operand, nth_kind, name);
		say_error("there is no kind '%s'%s%s%s; there are", c->operand,
			  near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
		list(stderr);
		return 2;
	}
	Text text = {0};
	write_out(&s, &text);
	int code = put(out->text, &text);
	text_free(&text);
	return code;
}
