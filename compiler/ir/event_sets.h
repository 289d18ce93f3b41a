/* What the files of ir/event share: sets of cells as words, and which events are in play. */
#ifndef EVENT_SETS_H
#define EVENT_SETS_H
#include "ir/event.h"

typedef struct {
	int n, event[CELL_EVENTS];
} EventSet;

/* Adds the events of f and their ancestors; false when they are too many. */
bool events_involve(const Events *e, const Formula *f, EventSet *set);
bool events_in(const EventSet *set, int event);
Cells *cells_of_set(const Events *e, const EventSet *set);
int cells_bit(const Cells *c, int event);	  /* -1: not among them */
uint16_t cells_pattern(const Cells *c, int cell); /* bit i: the event of that bit happened */

/* Whether the author promised that, given `given`, a and b (sets within it) do not tell of each other. */
bool sets_independent(const Events *e, Cells *c, const uint64_t *a, const uint64_t *b, const uint64_t *given);
/* The part of a diagram below `root`, its new root. */
Diagram *diagram_kept(const Events *e, const Diagram *d, int root);
/* The node of what is below `root` with other nodes in the place of the constants: grafted(a, b, 0) is a * b.
 */
int diagram_grafted(const Events *e, Diagram *d, int root, int one, int zero);
/* The root of another diagram's nodes in d, all of them stopped if `stop`. */
int diagram_copied(const Events *e, Diagram *d, const Diagram *from, bool stop);

static inline bool set_has(const uint64_t *a, int i) { return a[i / 64] >> (i % 64) & 1; }
static inline void set_add(uint64_t *a, int i) { a[i / 64] |= UINT64_C(1) << (i % 64); }

static inline bool set_equal(const uint64_t *a, const uint64_t *b, int words)
{
	for (int i = 0; i < words; i++)
		if (a[i] != b[i]) return false;
	return true;
}

static inline bool set_within(const uint64_t *a, const uint64_t *b, int words)
{
	for (int i = 0; i < words; i++)
		if (a[i] & ~b[i]) return false;
	return true;
}

static inline bool set_disjoint(const uint64_t *a, const uint64_t *b, int words)
{
	for (int i = 0; i < words; i++)
		if (a[i] & b[i]) return false;
	return true;
}

static inline bool set_empty(const uint64_t *a, int words) { return set_disjoint(a, a, words); }

static inline void set_and(uint64_t *out, const uint64_t *a, const uint64_t *b, int words)
{
	for (int i = 0; i < words; i++) out[i] = a[i] & b[i];
}

static inline void set_or(uint64_t *out, const uint64_t *a, const uint64_t *b, int words)
{
	for (int i = 0; i < words; i++) out[i] = a[i] | b[i];
}

static inline void set_minus(uint64_t *out, const uint64_t *a, const uint64_t *b, int words)
{
	for (int i = 0; i < words; i++) out[i] = a[i] & ~b[i];
}
#endif
