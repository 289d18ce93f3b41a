/* Rows moved as they are. */
#ifndef OPS_COPY_H
#define OPS_COPY_H
#include "ir/lowering.h"

void copy_call(Lowering *l, Loc from, Loc to, int width, Span span);
/* `width` elements from buffer X at x to Y at y, in pieces of exactly the widths that exist. */
void copy_pieces(Fn *f, int W, int width, int Y, Aff y, int X, Aff x);
#endif
