/* Binding times: what a value depends on. */
#ifndef PASS_BIND_H
#define PASS_BIND_H
#include "ir/spec.h"

/* Bits; 0: the same for all rows.  Labels and row weights count as the candidate's. */
enum { BIND_REQUEST = 1, BIND_CANDIDATE = 2 };
uint8_t *bind_times(const Spec *s, const Graph *g); /* per node */

/* Columns of a joined value, down to what has one binding time. */
typedef struct {
	NodeId node;
	int first, width;
	uint8_t when;
} Piece;
typedef VEC(Piece) Pieces;
/* The columns of x.  through: also of x times what all rows share (dropout's factors, in training). */
Pieces bind_pieces(const Graph *g, const uint8_t *when, NodeId x, bool through);
#endif
