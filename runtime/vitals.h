/*
 * How a server is doing: counters that threads add to, and their text for Prometheus.
 */
#ifndef MTL_VITALS_H
#define MTL_VITALS_H
#include "pad.h"
#include <stdatomic.h>
#include <stdint.h>

enum { MTL_VITALS_ROUTES = 16, MTL_VITALS_CODES = 9, MTL_VITALS_BUCKETS = 14 };

typedef struct {
	_Atomic uint64_t request[MTL_VITALS_ROUTES][MTL_VITALS_CODES];
	_Atomic uint64_t bucket[MTL_VITALS_BUCKETS + 1], nanoseconds; /* from a whole body to its answer */
	_Atomic uint64_t rows, reloads, reloads_refused;
	_Atomic int64_t connections, queued, working, buffered;
} MtlVitals;

void mtl_vitals_request(MtlVitals *v, int route, int code);
void mtl_vitals_answer(MtlVitals *v, double seconds, int64_t rows);
/* route: [n_route] names. */
void mtl_vitals_print(const MtlVitals *v, const char *const *route, int n_route, const char *model,
		      const char *version, MtlText *to);
#endif
