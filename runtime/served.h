/*
 * The model a server answers with: exchanged whole, while others are still at work with the one before.
 */
#ifndef MTL_SERVED_H
#define MTL_SERVED_H
#include "library.h"
#include "status.h"
#include "sys.h"

typedef struct MtlServed MtlServed;
typedef struct {
	MtlLibrary *library;
	int users; /* whoever answers with it, and the server while it is the one to take */
} MtlTaken;

/* path NULL: the weights inside the program.  d and path outlive it. */
MtlStatus mtl_served_open(MtlServed **out, const MtlSys *sys, const MtlDoor *d, const char *path,
			  MtlError *e);
void mtl_served_close(MtlServed *s); /* nobody has one taken */
/* The model of now, for one whole answer. */
MtlTaken *mtl_served_take(MtlServed *s);
void mtl_served_give(MtlServed *s, MtlTaken *t);
/* Reads the file again; on an error the model stays as it was.  Several at once wait for each other. */
MtlStatus mtl_served_reload(MtlServed *s, MtlError *e);
#endif
