/*
 * Threads that sleep between runs and draw indices from a ticket during one.
 *
 * The ticket holds the number of the run in its upper half and the next index in the lower.  A thread that
 * wakes late finds another run's number there and draws nothing, so a run need not wait for sleepers.
 */
#define _GNU_SOURCE
#include "pool.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	SPIN = 400, /* looks before sleeping: about the cost of one wake-up */
	MOST = 256,
};

typedef struct {
	MtlThreads *pool;
	int worker;
	pthread_t thread;
} Helper;

struct MtlThreads {
	const MtlSys *sys;
	int threads, started;
	Helper *helper; /* [threads - 1]; the caller is worker 0 */
	pthread_mutex_t lock;
	pthread_cond_t begin, end;
	_Atomic uint64_t ticket;
	_Atomic uint32_t run;
	_Atomic int64_t done;
	bool quit; /* this and the following under lock */
	int64_t n;
	MtlJob *job;
	void *arg;
};

static void breathe(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* Draws and does indices of `run` until none is left; the last one done wakes the caller. */
static void draw(MtlThreads *p, uint32_t run, int64_t n, MtlJob *job, void *arg, int worker)
{
	uint64_t t = atomic_load_explicit(&p->ticket, memory_order_acquire);
	for (;;) {
		if ((uint32_t)(t >> 32) != run || (int64_t)(t & UINT32_MAX) >= n) return;
		if (!atomic_compare_exchange_weak_explicit(&p->ticket, &t, t + 1, memory_order_acq_rel,
							   memory_order_acquire))
			continue;
		job(arg, (int64_t)(t & UINT32_MAX), worker);
		if (atomic_fetch_add_explicit(&p->done, 1, memory_order_acq_rel) + 1 == n && worker) {
			pthread_mutex_lock(&p->lock);
			pthread_cond_signal(&p->end);
			pthread_mutex_unlock(&p->lock);
		}
		t = atomic_load_explicit(&p->ticket, memory_order_acquire);
	}
}

static void *help(void *arg)
{
	Helper *h = arg;
	MtlThreads *p = h->pool;
	uint32_t seen = 0;
	for (;;) {
		for (int i = 0; i < SPIN && atomic_load_explicit(&p->run, memory_order_relaxed) == seen; i++)
			breathe();
		pthread_mutex_lock(&p->lock);
		while (!p->quit && atomic_load_explicit(&p->run, memory_order_relaxed) == seen)
			pthread_cond_wait(&p->begin, &p->lock);
		bool quit = p->quit;
		seen = atomic_load_explicit(&p->run, memory_order_relaxed);
		int64_t n = p->n;
		MtlJob *job = p->job;
		void *job_arg = p->arg;
		pthread_mutex_unlock(&p->lock);
		if (quit) return NULL;
		draw(p, seen, n, job, job_arg, h->worker);
	}
}

static int granted(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
	int n = CPU_COUNT(&set);
	return n < 1 ? 1 : n;
}

MtlStatus mtl_pool_new(MtlThreads **out, const MtlSys *sys, int threads, MtlError *e)
{
	*out = NULL;
	if (threads <= 0) threads = granted();
	if (threads > MOST) threads = MOST;
	MtlThreads *p = mtl_new(sys, MtlThreads, 1);
	if (!p) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for a pool of threads");
	p->sys = sys;
	p->threads = threads;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->begin, NULL);
	pthread_cond_init(&p->end, NULL);
	p->helper = mtl_new(sys, Helper, threads);
	if (!p->helper) {
		mtl_pool_free(p);
		return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for a pool of %d threads", threads);
	}
	for (int i = 0; i < threads - 1; i++) {
		p->helper[i] = (Helper){.pool = p, .worker = i + 1};
		if (pthread_create(&p->helper[i].thread, NULL, help, &p->helper[i]) != 0) {
			mtl_pool_free(p);
			return mtl_fail(e, MTL_SYSTEM, "", NULL,
					"cannot start thread %d of %d; try fewer --threads", i + 2, threads);
		}
		p->started++;
	}
	*out = p;
	return MTL_OK;
}

void mtl_pool_free(MtlThreads *p)
{
	if (!p) return;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->begin);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->started; i++) pthread_join(p->helper[i].thread, NULL);
	pthread_cond_destroy(&p->end);
	pthread_cond_destroy(&p->begin);
	pthread_mutex_destroy(&p->lock);
	mtl_release(p->sys, p->helper);
	mtl_release(p->sys, p);
}

int mtl_pool_threads(const MtlThreads *p) { return p->threads; }

void mtl_pool_run(MtlThreads *p, int64_t n, MtlJob *job, void *arg)
{
	if (n <= 0) return;
	if (n == 1 || p->threads == 1) {
		for (int64_t i = 0; i < n; i++) job(arg, i, 0);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->n = n;
	p->job = job;
	p->arg = arg;
	atomic_store_explicit(&p->done, 0, memory_order_relaxed);
	uint32_t run = atomic_load_explicit(&p->run, memory_order_relaxed) + 1;
	atomic_store_explicit(&p->ticket, (uint64_t)run << 32, memory_order_release);
	atomic_store_explicit(&p->run, run, memory_order_relaxed);
	pthread_cond_broadcast(&p->begin);
	pthread_mutex_unlock(&p->lock);

	draw(p, run, n, job, arg, 0);
	for (int i = 0; i < SPIN; i++) {
		if (atomic_load_explicit(&p->done, memory_order_acquire) == n) return;
		breathe();
	}
	pthread_mutex_lock(&p->lock);
	while (atomic_load_explicit(&p->done, memory_order_acquire) != n)
		pthread_cond_wait(&p->end, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
