/*
 * A fixed pool of threads and one verb: do job(arg, i, worker) for every i below n.
 *
 * Which worker takes which index is left to chance; whoever wants equal bits for any number of threads makes
 * the work of an index independent of the others.  A run allocates nothing.
 */
#ifndef MTL_POOL_H
#define MTL_POOL_H
#include "status.h"
#include "sys.h"
#include <stdint.h>

typedef struct MtlThreads MtlThreads;
typedef void MtlJob(void *arg, int64_t index, int worker); /* 0 <= worker < threads */

/* `threads` counts the caller of mtl_pool_run; 0: as many as the machine grants this process. */
MtlStatus mtl_pool_new(MtlThreads **out, const MtlSys *sys, int threads, MtlError *e);
void mtl_pool_free(MtlThreads *p); /* NULL is fine */
int mtl_pool_threads(const MtlThreads *p);
/* Returns when all n are done (n < 2^31).  Not re-entrant: one run at a time, and never from inside a job. */
void mtl_pool_run(MtlThreads *p, int64_t n, MtlJob *job, void *arg);
#endif
