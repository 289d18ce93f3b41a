/*
 * `mtlc explain`: the page of a message code.  The pages are those of docs/codes-*.md, put into the compiler
 * when it is built: one text for the web and for the terminal.
 */
#define _GNU_SOURCE
#include "driver/commands.h"
#include "codes_text.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 88, CODE = 5 };

/* An entry: "## M0205 Fields of different widths" or "## M0001: a character ...", to the next "## ". */
typedef struct {
	const char *code, *title, *body, *end;
	int n_title;
	bool examples; /* its fences are a wrong and a right text, in this order */
	bool base;     /* they go on from a model at the head of the file, */
	bool files;    /* or from files that are made there */
	const char *file;
	int n_file;
} Page;

/* Moves *p to the next page; false: there is none.  All zero at first. */
static bool next_page(Page *p)
{
	const char *s = p->end ? p->end : codes_text;
	for (; *s; s = strchr(s, '\n') + 1) {
		if (*s == '\1') { /* the name of the file that follows */
			p->file = s + 1;
			p->n_file = (int)strcspn(s + 1, "\n");
			p->examples = p->base = p->files = false;
		}
		const char *said = strstr(s, "Under each code stand");
		if (said && said < strchr(s, '\n')) p->examples = true;
		if (p->examples && !strncmp(s, "```mtl", 6)) p->base = true;
		if (p->examples && !strncmp(s, "```sh", 5)) p->files = true;
		if (!strncmp(s, "## ", 3) && isupper((unsigned char)s[3]) && isdigit((unsigned char)s[4]))
			break;
	}
	if (!*s) return false;
	p->code = s + 3;
	p->title = p->code + CODE;
	p->title += strspn(p->title, ": ");
	p->n_title = (int)strcspn(p->title, "\n");
	p->body = p->title + p->n_title;
	p->end = p->body;
	while (*p->end && strncmp(p->end, "\n## ", 4) && strncmp(p->end, "\n\1", 2)) p->end++;
	if (*p->end) p->end++;
	return true;
}

/* A piece of Markdown as plain text: no stars, no backquotes, of a link its words. */
static void plain(Text *out, const char *s, size_t n)
{
	const char *end = s + n;
	for (bool code = false; s < end; s++) {
		if (*s == '`') {
			code = !code;
			text_char(out, '`');
		} else if (!code && *s == '*') {
			continue;
		} else if (!code && s[0] == ']' && s + 1 < end && s[1] == '(') {
			while (s < end && *s != ')') s++;
		} else if (code || *s != '[') {
			text_char(out, *s);
		}
	}
}

/* Words of a paragraph in lines of at most WIDTH; lines after the first begin at `hang`. */
static void flow(const Text *t, int hang, FILE *to)
{
	int column = 0;
	for (const char *s = t->at; s && *s;) {
		s += strspn(s, " \n");
		int n = (int)strcspn(s, " \n");
		if (!n) break;
		if (column && column + 1 + n > WIDTH) {
			fprintf(to, "\n%*s", hang, "");
			column = hang;
		} else if (column) {
			fputc(' ', to);
			column++;
		}
		fwrite(s, 1, (size_t)n, to);
		column += n;
		s += n;
	}
	if (column) fputc('\n', to);
}

static void print_page(const Page *p, FILE *to)
{
	fprintf(to, "%.*s: %.*s\n\n", CODE, p->code, p->n_title, p->title);
	Text paragraph = {0};
	bool fence = false, bullet = false, part = false;
	int n_fence = 0;
	for (const char *s = p->body; s < p->end;) {
		size_t n = strcspn(s, "\n");
		bool mark = !strncmp(s, "```", 3);
		bool starts = !strncmp(s, "- ", 2), ends = mark || !n || starts;
		if (!fence && ends && paragraph.at) {
			flow(&paragraph, bullet ? 2 : 0, to);
			text_free(&paragraph);
			paragraph = (Text){0};
			bullet = false;
		}
		if (mark) {
			fence = !fence;
			if (fence && p->examples) fprintf(to, "\n%s\n\n", n_fence++ ? "Right:" : "Wrong:");
		} else if (fence) {
			part |= p->base && n_fence == 1 && strncmp(s, "model ", 6) && s[-1] == '\n' &&
				s[-2] == '`';
			fprintf(to, "    %.*s\n", (int)n, s);
		} else if (n) {
			bullet |= starts;
			plain(&paragraph, s + (starts ? 2 : 0), n - (starts ? 2 : 0));
			text_char(&paragraph, ' ');
		}
		s += n + (s[n] == '\n');
	}
	if (paragraph.at) flow(&paragraph, bullet ? 2 : 0, to);
	text_free(&paragraph);
	if (p->files)
		fprintf(to, "\nBoth go on from the files that the head of %.*s makes.\n", p->n_file, p->file);
	if (part) fprintf(to, "\nBoth go on where the model at the head of %.*s ends.\n", p->n_file, p->file);
	fprintf(to, "\nMore of its kind: %.*s\n", p->n_file, p->file);
}

int command_explain(const Request *c)
{
	char code[16] = "";
	Page p = {0}, near = {0};
	if (c->operand) {
		/* "error[D0107]" and "m205x" come from a hurried hand. */
		const char *s = strchr(c->operand, '[');
		s = s ? s + 1 : c->operand;
		for (int i = 0; s[i] && s[i] != ']' && i < (int)sizeof code - 1; i++)
			code[i] = (char)toupper((unsigned char)s[i]);
	} else {
		while (next_page(&p)) printf("%.*s  %.*s\n", CODE, p.code, p.n_title, p.title);
		return 0;
	}
	int least = 4;
	while (next_page(&p)) {
		if (!strncmp(p.code, code, CODE) && strlen(code) == CODE) {
			print_page(&p, stdout);
			return 0;
		}
		char word[CODE + 1] = "";
		memcpy(word, p.code, CODE);
		int d = str_distance(word, code);
		if (d < least) {
			least = d;
			near = p;
		}
	}
	if (near.code)
		say_error("there is no code '%s'; the nearest is %.*s (%.*s); mtlc explain lists all",
			  c->operand, CODE, near.code, near.n_title, near.title);
	else
		say_error("there is no code '%s'; mtlc explain lists all", c->operand);
	return 2;
}
