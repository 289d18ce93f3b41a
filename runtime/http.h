/*
 * A scorer over HTTP: one thread that speaks with clients, some that score, a bounded queue between them.
 *
 * The protocol is libmicrohttpd's; the limits are here.  Whoever is too large, too slow or too many gets a
 * clear answer (413, 408, 503) and costs nothing further.
 */
#ifndef MTL_HTTP_H
#define MTL_HTTP_H
#include "payload.h"
#include "served.h"
#include "vitals.h"

typedef struct {
	int threads;	  /* that score */
	int connections;  /* more are answered 503 */
	int queue;	  /* requests that may wait; more are answered 503 */
	int64_t body;	  /* bytes of one body; 413 */
	int64_t buffered; /* bytes of all bodies at a time; 503 */
	double receive;	  /* seconds for a request to arrive (408), and for its answer to be fetched */
	double idle;	  /* seconds a connection may rest between requests */
	double deadline;  /* seconds a request may wait to be scored; 503 */
	MtlPayloadLimits payload;
} MtlHttpLimits;

typedef struct MtlHttp MtlHttp;

/* Takes connections of the listening socket `fd`, which it closes.  d, served and sys outlive it. */
MtlStatus mtl_http_start(MtlHttp **out, const MtlSys *sys, const MtlDoor *d, MtlServed *served, int fd,
			 const MtlHttpLimits *limits, MtlError *e);
/* Due several times a second: closes what is over its time. */
void mtl_http_tick(MtlHttp *h);
/* Takes no further connections; true when the last request has been answered. */
bool mtl_http_drain(MtlHttp *h);
/* Reads the model file again, and counts it. */
MtlStatus mtl_http_reload(MtlHttp *h, MtlError *e);
void mtl_http_stop(MtlHttp *h);
#endif
