/*
 * The register tile all dense products are made of.  One builder, three stride sets: forward, the gradient by
 * the input, the gradient by the weights.
 */
#ifndef OPS_TILE_H
#define OPS_TILE_H
#include "ops/dense.h"

typedef enum { FROM_ZERO, FROM_BIAS, FROM_OUT } Start;

/*
 * acc[i][v] over k of scalar(i, k) * vector(k, v), for `rows` rows and `panels` panels of `vectors` vectors.
 * scalar(i, k) at s + i si + k sk; vector(k, v) at v + k vk + panel * gap + j W; results at o + i oi +
 * (panel, j).
 */
typedef struct {
	const Target *t;
	int rows, panels, vectors;
	int S, V, B, O; /* buffers */
	Aff s, v, b, o;
	int64_t si, sk, vk, bi, oi;
	int64_t gap; /* between panels in V and B */
	Aff terms;   /* k runs from 0 to here, or over the parts */
	int n_part;
	const Part *part;	    /* with sk 1 */
	int v_last, b_last, o_last; /* lanes that exist of the last vector in V, B and O */
	Start start;
	const Store *store; /* what is done to a result on its way out, or NULL */
	Aff row, col;	    /* of the first result, for the store */
	int64_t ahead;	    /* elements of V asked for in each turn of k, from `next` on; 0: none */
	Aff next;
	bool fetch; /* asks for what the tile `rows` rows of O further on starts from */
} Tile;

void tile_loops(Fn *f, const Tile *t);
#endif
