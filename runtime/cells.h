/*
 * JSON values as values of a scorer's doors (library.h): a value means what it means in a JSON line of a log.
 */
#ifndef MTL_CELLS_H
#define MTL_CELLS_H
#include "library.h"
#include "pad.h"
#include "status.h"

struct json_t;

/*
 * The doors of a server: members are the features that scoring reads, ids as texts.  The structs behind them
 * are plain arrays: of pointers to columns (rows, candidates), of MtlCellValue (request).  m outlives *d.
 */
MtlStatus mtl_cells_door(MtlDoor *d, const MtlSys *sys, const MtlModel *m, MtlError *e);
void mtl_cells_door_free(MtlDoor *d, const MtlSys *sys);

typedef union {
	MtlDoorText text;
	double real;
	MtlDoorList list;
} MtlCellValue;

/* Bytes of one value in a member's column. */
size_t mtl_cell_size(const MtlDoor *d, int member);
/*
 * One value, written to *to; NULL and null are empty cells.  Messages name the place, or the row where that
 * is NULL.  What the value points to lies in v and in the pad.
 */
MtlStatus mtl_cell_read(const MtlDoor *d, int member, const struct json_t *v, const char *place, int64_t row,
			MtlPad *pad, void *to, MtlError *e);
#endif
