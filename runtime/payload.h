/*
 * Bodies of requests to scores: candidates with a shared context, or tensors of the Open Inference Protocol.
 *
 * Nothing here knows of sockets or HTTP.  A body is read whole, as if by an enemy: its depth is bounded
 * before it is parsed, its rows before they are encoded.
 */
#ifndef MTL_PAYLOAD_H
#define MTL_PAYLOAD_H
#include "cells.h"

typedef enum {
	MTL_BODY_CANDIDATES, /* {"context": {COLUMN: VALUE}, "candidates": [{COLUMN: VALUE}]} */
	MTL_BODY_TENSORS,    /* {"inputs": [{"name", "shape", "datatype", "data"}]} */
} MtlBodyForm;

typedef struct {
	int64_t rows; /* most in one body */
	int depth;    /* most arrays and objects within each other */
} MtlPayloadLimits;

/* What one thread needs to answer bodies. */
typedef struct {
	const MtlSys *sys;
	const MtlDoor *door;
	MtlPayloadLimits limits;
	MtlPad pad;
	void *work;
} MtlPayload;

MtlStatus mtl_payload_init(MtlPayload *p, const MtlSys *sys, const MtlDoor *d, const MtlLibrary *l,
			   MtlPayloadLimits limits, MtlError *e);
void mtl_payload_free(MtlPayload *p);
/*
 * Appends the answer, JSON of one line, to *answer; all its numbers are of l.  MTL_DATA: the body is at
 * fault; MTL_LIMIT: with D0131 or D0110 it exceeds a limit, with no code there is no memory.
 */
MtlStatus mtl_payload_answer(MtlPayload *p, const MtlLibrary *l, MtlBodyForm form, const char *body, size_t n,
			     MtlText *answer, int64_t *rows, MtlError *e);
/* What the protocol tells of a model: names, types and shapes. */
void mtl_payload_metadata(const MtlDoor *d, const MtlLibrary *l, MtlText *answer);
#endif
