/*
 * The example of an op's row as numbers: op([1, 2], [[1, 2], [3, 4]], k: 0.1) == [1, 2].  For tests only.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H
#include "ir/lowering.h"
#include "ir/op.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { OPERANDS = 4, EXAMPLE_MAX = 32 };

typedef struct {
	double x[EXAMPLE_MAX];
	int outer, inner; /* outer 0: a plain list */
} List;

typedef struct {
	OpCode op;
	int n;
	List in[OPERANDS], want;
	Attr attr;
	int lookup[OPERANDS], param[OPERANDS]; /* -1: not one */
	SlotKind slot;			       /* where the result is: OUT, from column `at`; GRAD; LOSS */
	int at;
} Example;

static const char *blank(const char *p)
{
	while (isspace((unsigned char)*p)) p++;
	return p;
}

static const char *read_list(const char *p, List *l)
{
	int n = 0, depth = 0, first = -1;
	*l = (List){0};
	for (;; p++) {
		p = blank(p);
		if (*p == '[') {
			depth++;
			l->outer += depth == 2;
		} else if (*p == ']') {
			if (depth-- == 2 && first < 0) first = n;
			if (!depth) break;
		} else if (*p != ',') {
			char *end;
			if (!depth || n == EXAMPLE_MAX) return NULL;
			l->x[n++] = strtod(p, &end);
			if (end == p) return NULL;
			p = end - 1;
		}
	}
	l->inner = l->outer ? first : n;
	return l->outer && l->outer * l->inner != n ? NULL : blank(p + 1);
}

static inline bool read_example(OpCode op, Example *e)
{
	const char *p = op_table[op]->example;
	size_t word = strlen(op_table[op]->word);
	*e = (Example){.op = op};
	if (strncmp(p, op_table[op]->word, word) || p[word] != '(') return false;
	for (p = blank(p + word + 1); *p != ')'; p = blank(p + (*p == ','))) {
		if (*p == '[') {
			if (e->n == OPERANDS || !(p = read_list(p, &e->in[e->n++]))) return false;
			continue;
		}
		const char *colon = strchr(p, ':');
		if (!colon) return false;
		char *end;
		double x = strtod(colon + 1, &end);
		if (!strncmp(p, "k:", 2))
			e->attr.k = x;
		else if (!strncmp(p, "first:", 6))
			e->attr.i = (int)x;
		else if (!strncmp(p, "width:", 6))
			e->attr.j = (int)x;
		else
			return false;
		p = end;
	}
	p = blank(p + 1);
	if (strncmp(p, "==", 2)) return false;
	p = read_list(blank(p + 2), &e->want);
	return p && !*p && (op_table[op]->n_in < 0 || op_table[op]->n_in == e->n);
}
#endif
