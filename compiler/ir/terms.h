/*
 * The order of a dense layer's sum, where it is not simply ascending: stretches of the weights' rows, one
 * after the other.  Written as text ("40+24 0+40") it is an attribute of the node, so that equal layers are
 * equal.
 */
#ifndef TERMS_H
#define TERMS_H
#include "base/str.h"
#include <stdbool.h>

enum { TERMS_MAX = 9 };

typedef struct {
	int k, n; /* rows k .. k + n */
} Stretch;

typedef struct {
	int n;
	Stretch at[TERMS_MAX];
} Terms;

enum {
	TERMS_HEAD = 8,	  /* a layer of fewer outputs is summed in eight chains each */
	TERMS_LANES = 16, /* which the last outputs of a narrow layer share (ops/tail.c) */
};
/*
 * How many of a layer's outputs, the last ones, are summed in several chains.  Each stretch of terms begins
 * with the first chain again: a sum in chains can be cut between stretches alone, any other anywhere.
 */
int terms_in_chains(int outputs);
/* Appends; one that continues the last is joined to it where `join`.  False: no room. */
bool terms_add(Terms *t, int k, int n, bool join);
Str terms_text(StrTab *str, const Terms *t);
Terms terms_read(Str text);
#endif
