/*
 * bench: what share of the machine's peak the kernels reach.
 *
 * Peak is measured in the same run, by independent chains of multiply-adds printed through the same emitter;
 * each figure is the best of many short repeats, since other load can only make a repeat slower.
 */
#define _GNU_SOURCE
#include "base/diag.h"
#include "driver/bench_functions.h"
#include "driver/bench_tables.h"
#include "driver/commands.h"
#include "driver/harness.h"
#include "driver/profile.h"
#include "ir/op.h"
#include "pass/pass.h"
#include "runtime/sys.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

typedef struct {
	const LinkRequest *l;
	const Target *t;
	void (*run)(void *const *, const int64_t *); /* the peak kernel */
	bool blas;
	Text error;
} Bench;

/* Of this thread alone: on a shared machine the wall's clock would count what others take from long runs. */
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef void Kernel(void *const *, const int64_t *);

/* Seconds of one run of the entry: the best of repeats over about `budget` seconds. */
static double best_of(Harness *h, int entry, int64_t n, double budget)
{
	double best = 1e9, end = now() + budget;
	int64_t size[1] = {n};
	const Entry *e = &h->low->entry.at[entry];
	void *buf[e->n_slot + 1];
	char name[256];
	Kernel *k;
	for (int i = 0; i < e->n_slot; i++)
		buf[i] = harness_memory(harness_buffer(h, e->slot[i].kind, e->slot[i].index));
	snprintf(name, sizeof name, "%s_%s", h->low->mod->name, e->fn->name);
	*(void **)&k = dlsym(h->lib, name);
	if (!k) bug("no kernel %s", name);
	for (int i = 0; i < 3 || now() < end; i++) {
		/* Reading the clock costs a fraction of a microsecond: short runs are timed several at a
		 * time. */
		int turns = best < 5e-5 ? 64 : 1;
		double t = now();
		for (int r = 0; r < turns; r++) k(buf, size);
		t = (now() - t) / turns;
		best = t < best ? t : best;
	}
	return best;
}

/* As the runtime has them: large buffers in huge pages. */
static Harness *harness(const Compilation *c, void *lib, int64_t n)
{
	Harness *h = harness_new(c->arena, c->spec, c->lowered.at[0], lib, n, 1);
	const uintptr_t huge = 2 << 20;
	for (int i = 0; i < h->buffer.n; i++) {
		const Buffer *b = &h->buffer.at[i];
		uintptr_t at = (uintptr_t)harness_memory(b), end = at + (b->wide ? 8 : 4) * (uintptr_t)b->n;
		at = (at + huge - 1) / huge * huge;
		end = end / huge * huge;
		if (end <= at) continue;
		(void)madvise((void *)at, end - at, MADV_HUGEPAGE);
		(void)madvise((void *)at, end - at, MADV_COLLAPSE);
	}
	harness_run(h, RUN_KERNEL, 0, NULL);
	return h;
}

/* ---- the peak ---- */

enum { TURNS = 200000 };

static Kernel *load_kernel(Bench *b, Compilation *c, Mod *m, const char *symbol)
{
	Lowered low = {.target = b->t, .mod = m};
	vec_push(c->arena, &c->lowered, &low);
	LinkRequest l = *b->l;
	l.verbose = false;
	void *lib = link_load(c, &l, &b->error);
	Kernel *run = NULL;
	if (lib) *(void **)&run = dlsym(lib, symbol);
	return run;
}

static Kernel *peak_kernel(Bench *b)
{
	Compilation c;
	compilation_init(&c);
	Mod *m = mod_new(c.arena, c.str, "peak", b->t->W, b->t->fma);
	Fn *f = fn_new(m, "run");
	f->exported = true;
	int Y = f_buf(f, BUF_INOUT, ELEM_F32, "y", 0), chains = b->t->chains,
	    acc = f_reg(f, "acc", b->t->W, chains, 1), x = f_reg(f, "x", b->t->W, 1, 1);
	f_set1(f, x, e_load(f, b->t->W, Y, aff_c(0)));
	int i = f_unroll(f, "i", 0, chains);
	f_set(f, acc, aff_v(i), aff_c(0), e_load(f, b->t->W, Y, aff_plus(aff_c(0), i, b->t->W)));
	f_end(f, 1);
	/* Without fused multiply-adds the factor comes from memory: a product that never changes would leave
	 * the loop. */
	f_for(f, "o", aff_c(0), aff_c(TURNS / 16), 1);
	int k = f_for(f, "k", aff_c(0), aff_c(16), 1);
	i = f_unroll(f, "i", 0, chains);
	int a = e_reg(f, acc, aff_v(i), aff_c(0));
	int e =
	    b->t->fma
		? e_op3(f, E_FMA, a, e_reg1(f, x), e_reg1(f, x))
		: e_op2(f, E_ADD,
			e_op2(f, E_MUL, e_load(f, b->t->W, Y, aff_plus(aff_v(k), i, b->t->W)), e_reg1(f, x)),
			a);
	f_set(f, acc, aff_v(i), aff_c(0), e);
	f_end(f, 3);
	i = f_unroll(f, "i", 0, chains);
	f_store(f, Y, aff_plus(aff_c(0), i, b->t->W), e_reg(f, acc, aff_v(i), aff_c(0)));
	f_end(f, 1);
	Kernel *run = load_kernel(b, &c, m, "peak_run");
	compilation_free(&c);
	return run;
}

/* The sum of n floats of X in so many chains: nothing but reading. */
static Kernel *read_kernel(Bench *b)
{
	Compilation c;
	compilation_init(&c);
	int W = b->t->W, chains = b->t->chains;
	Mod *m = mod_new(c.arena, c.str, "reading", W, b->t->fma);
	Fn *f = fn_new(m, "run");
	f->exported = true;
	int X = f_buf(f, BUF_IN, ELEM_F32, "x", 0), Y = f_buf(f, BUF_OUT, ELEM_F32, "y", 0),
	    n = f_size(f, "n"), acc = f_reg(f, "acc", W, chains, 1);
	int i = f_unroll(f, "i", 0, chains);
	f_set(f, acc, aff_v(i), aff_c(0), e_const(f, W, 0));
	f_end(f, 1);
	int k = f_for(f, "k", aff_c(0), aff_v(n), chains * W);
	i = f_unroll(f, "i", 0, chains);
	f_set(f, acc, aff_v(i), aff_c(0),
	      e_op2(f, E_ADD, e_reg(f, acc, aff_v(i), aff_c(0)), e_load(f, W, X, aff_plus(aff_v(k), i, W))));
	f_end(f, 2);
	i = f_unroll(f, "i", 0, chains);
	f_store(f, Y, aff_plus(aff_c(0), i, W), e_reg(f, acc, aff_v(i), aff_c(0)));
	f_end(f, 1);
	Kernel *run = load_kernel(b, &c, m, "reading_run");
	compilation_free(&c);
	return run;
}

/* GB/s at which one core reads 512 KB (the second cache) and 12 MB (beyond it) again and again. */
static void bandwidth(Bench *b)
{
	static const int64_t bytes[] = {512 << 10, 12 << 20};
	_Alignas(64) float y[16 * 64];
	Kernel *run = read_kernel(b);
	float *x = run ? mtl_new(&mtl_sys, float, 3 << 20 | 4096) : NULL;
	if (!x) return;
	for (int s = 0; s < 2; s++) {
		int64_t n = bytes[s] / 4 / (b->t->chains * b->t->W) * (b->t->chains * b->t->W);
		double best = 1e9;
		for (int k = 0; k < 40; k++) {
			double t = now();
			for (int r = 0; r < 8; r++) run((void *[]){x, y}, &n);
			t = (now() - t) / 8;
			best = t < best ? t : best;
		}
		printf("%s%.0f GB/s of %s", s ? ", " : "reads ", 4e-9 * (double)n / best,
		       s ? "12 MB" : "512 KB");
	}
	putchar('\n');
	mtl_release(&mtl_sys, x);
}

/* Now: a shared machine's clock changes by the minute, so it is measured beside each figure. */
static double peak(const Bench *b)
{
	_Alignas(64) float y[16 * 64 + 16] = {0};
	double best = 1e9;
	for (int k = 0; k < 30; k++) {
		double t = now();
		b->run((void *[]){y}, NULL);
		t = now() - t;
		best = t < best ? t : best;
	}
	return (double)TURNS * b->t->chains * b->t->W / best;
}

/* Share of peak of `madds` done in t seconds, the peak being the better of before and now. */
static double share(const Bench *b, double before, double madds, double t)
{
	double after = peak(b);
	return 100 * madds / t / (after > before ? after : before);
}

/* ---- one dense layer in each direction ---- */

typedef enum { FORWARD, DX, DW } Direction;

/* Seconds for a batch of n, or < 0 with b->error. */
static double time_dense(Bench *b, Direction d, int K, int N, int64_t n)
{
	Compilation c;
	compilation_init(&c);
	Spec *s = spec_new(c.arena, c.str);
	s->name = str_intern(c.str, "layer");
	s->events = events_new(c.arena, c.str);
	Graph *g = graph_new(c.arena, c.str);
	spec_param(s, (Param){.name = "w", .shape = shape_2(false, K, N)});
	spec_param(s, (Param){.name = "b", .shape = shape_1(false, N)});
	vec_push(c.arena, &s->feature, (Feature){0});
	vec_push(c.arena, &s->lookup, (Lookup){0});
	vec_push(c.arena, &s->noise, (Noise){.width = K});
	vec_push(c.arena, &s->noise, (Noise){.width = N});
	s->n_drow = d == DX ? K : N;
	NodeId x = graph_push(g, OP_NOISE, shape_1(true, K), 0, NULL, (Attr){.i = 0}, (Span){0});
	NodeId dy = graph_push(g, OP_NOISE, shape_1(true, N), 0, NULL, (Attr){.i = 1}, (Span){0});
	NodeId w = graph_push(g, OP_PARAM, shape_2(false, K, N), 0, NULL, (Attr){.i = 0}, (Span){0});
	NodeId bias = graph_push(g, OP_PARAM, shape_1(false, N), 0, NULL, (Attr){.i = 1}, (Span){0});
	if (d == FORWARD)
		graph_root(g, ROOT_DROW, 0,
			   graph_1(g, N < 8 ? OP_NEG : OP_RELU, graph_3(g, OP_DENSE, x, w, bias)));
	else if (d == DX)
		graph_root(g, ROOT_DROW, 0, graph_2(g, OP_DENSE_DX, dy, w));
	else {
		NodeId gradient[3];
		op_table[OP_DENSE]->grad(g, graph_3(g, OP_DENSE, x, w, bias), dy, gradient);
		graph_root(g, ROOT_GRAD, 0, gradient[1]);
	}
	vec_push(c.arena, &c.lowered, pass_lower(c.arena, s, &(Graphs){.train = g}, b->t));
	LinkRequest l = *b->l;
	l.verbose = false;
	void *lib = link_load(&c, &l, &b->error);
	double t = -1;
	if (lib) {
		Harness *h = harness_new(c.arena, s, c.lowered.at[0], lib, n, 1);
		harness_run(h, RUN_KERNEL, 0, NULL);
		t = best_of(h, 4, n, 0.15);
	}
	compilation_free(&c);
	return t;
}

static bool dense(Bench *b, const char *what, int K, int N, int64_t n)
{
	static const char *const name[] = {"forward", "dX", "dW"};
	printf("  %-30s", what);
	for (Direction d = FORWARD; d <= DW; d++) {
		double before = peak(b), t = time_dense(b, d, K, N, n);
		if (t < 0) return false;
		printf("  %s", name[d]);
		if (d == FORWARD) printf(" %8.2f us", t * 1e6);
		printf(" %5.1f %%", share(b, before, (double)K * N * (double)n, t));
	}
	putchar('\n');
	fflush(stdout);
	return true;
}

/* Every dense layer of the model, once. */
static bool layers(Bench *b, const Compilation *c)
{
	const Graph *g = c->serve;
	char what[64];
	printf("\ndense layers, batch 256, share of peak\n");
	static const int narrow[][2] = {{80, 18}, {80, 8}, {80, 1}};
	if (!dense(b, "256 -> 256 (reference)", 256, 256, 256)) return false;
	/* As inside a network, where a narrow layer reads what the one before it has just written. */
	for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) {
		snprintf(what, sizeof what, "%d -> %d, %d rows", narrow[i][0], narrow[i][1], ROW_BLOCK);
		if (!dense(b, what, narrow[i][0], narrow[i][1], ROW_BLOCK)) return false;
	}
	for (NodeId id = 1; id < g->node.n; id++) {
		if (g->node.at[id].op != OP_DENSE) continue;
		Shape w = g->node.at[g->node.at[id].in[1]].shape;
		bool seen = false;
		for (NodeId k = 1; k < id; k++)
			seen |= g->node.at[k].op == OP_DENSE &&
				shape_eq(g->node.at[g->node.at[k].in[1]].shape, w);
		snprintf(what, sizeof what, "%d -> %d", w.d[0], w.d[1]);
		if (!seen && !dense(b, what, w.d[0], w.d[1], 256)) return false;
	}
	return true;
}

/* ---- the model whole ---- */

static int64_t products(const Graph *g)
{
	int64_t n = 0;
	for (NodeId id = 1; id < g->node.n; id++)
		if (g->node.at[id].op == OP_DENSE) n += shape_size(g->node.at[g->node.at[id].in[1]].shape);
	return n;
}

static void whole(Bench *b, Compilation *c, void *lib)
{
	static const int64_t batch[] = {1, 2, 4, 8, 16, 64, 256, 1024};
	int64_t madds = products(c->serve);
	printf("\n%-10s %12s %14s %8s %12s %14s %8s\n", "batch", "score, us", "rows/s", "peak", "step, us",
	       "rows/s", "peak");
	for (size_t i = 0; i < sizeof batch / sizeof *batch; i++) {
		int64_t n = batch[i];
		Harness *h = harness(c, lib, n);
		double work = (double)(madds * n), before = peak(b), score = best_of(h, 1, n, 0.2),
		       score_share = share(b, before, work, score);
		before = peak(b);
		double step = best_of(h, 4, n, 0.2) + best_of(h, 3, n, 0.02),
		       step_share = share(b, before, 3 * work, step);
		printf("%-10lld %12.2f %14.0f %6.1f %% %12.2f %14.0f %6.1f %%\n", (long long)n, score * 1e6,
		       (double)n / score, score_share, step * 1e6, (double)n / step, step_share);
		fflush(stdout);
	}
	printf("\nOne thread, kernels alone: without reading, optimiser and packing.  step counts three "
	       "products per multiply-add.\n");
}

/* ---- a request and its candidates ---- */

static void requests(Bench *b, Compilation *c, void *lib)
{
	static const int64_t candidates[] = {1, 50, 200, 500};
	(void)b;
	if (!c->split) return;
	printf("\none request, us %14s %12s %12s %8s\n", "whole", "request", "candidates", "gain");
	for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
		int64_t n = candidates[i];
		Harness *h = harness(c, lib, n);
		double whole = best_of(h, ENTRY_SCORE, n, 0.2), once = best_of(h, ENTRY_REQUEST, 1, 0.05),
		       each = best_of(h, ENTRY_CANDIDATES, n, 0.2);
		printf("%6lld candidates %14.2f %12.2f %12.2f %7.2fx\n", (long long)n, whole * 1e6,
		       once * 1e6, each * 1e6, whole / (once + each));
		fflush(stdout);
	}
}

/* ---- -v: every call of an entry ---- */

/* Rows of one block are all that a call sees of the batch. */
static double madds_of(const Fn *f, int64_t n)
{
	return (double)(n / ROW_BLOCK * profile_madds(f, ROW_BLOCK)) +
	       (n % ROW_BLOCK ? (double)profile_madds(f, n % ROW_BLOCK) : 0);
}

static void calls(Bench *b, Compilation *c, void *lib, const Profile *p, int entry, int64_t n)
{
	Harness *h = harness(c, lib, n);
	double roof = peak(b), all = best_of(h, entry, n, 0.1);
	printf("\n%s, batch %lld, call by call\n  %10s %7s %7s  kernel\n",
	       c->lowered.at[0]->entry.at[entry].fn->name, (long long)n, "us", "share", "peak");
	for (int i = 0; i < p->n; i++) {
		double t = best_of(h, p->at[i].entry, n, 0.01), madds = madds_of(p->at[i].fn, n);
		printf("  %10.2f %5.1f %%", t * 1e6, 100 * t / all);
		if (madds > 0)
			printf(" %5.1f %%", 100 * madds / t / roof);
		else
			printf("        ");
		printf("  %s%s%s\n", p->at[i].fn->name, p->at[i].fn->note ? "  # " : "",
		       p->at[i].fn->note ? p->at[i].fn->note : "");
	}
	printf("  %10.2f  all\n", all * 1e6);
}

/* Is this part asked for?  Without --only all are, some of them with -v. */
static bool asked(const Request *call, const char *part, bool usual)
{
	const MtlOptionValue *only = mtl_option(&call->o, call->table, "only");
	return only->given ? strcmp(only->text, part) == 0 : usual;
}

static void parts(Bench *b, const Request *call, Compilation *c, void *lib, const Profile *profile)
{
	static const int64_t batch[] = {1, 256};
	bool more = b->l->verbose;
	if (asked(call, "layers", true) && !layers(b, c)) return;
	if (asked(call, "whole", true)) whole(b, c, lib);
	if (asked(call, "requests", true)) requests(b, c, lib);
	if (asked(call, "tables", more && !b->blas && !b->t->f64) && !bench_tables(b->l, b->t, &b->error))
		return;
	if (asked(call, "functions", more && !b->t->f64) && !bench_functions(b->l, b->t, &b->error)) return;
	for (int k = 0; k < 2 && asked(call, "calls", more); k++)
		for (int i = 0; i < 2; i++) calls(b, c, lib, &profile[i], i ? 4 : 1, batch[k]);
}

int command_bench(const Request *call)
{
	CompileRequest r;
	LinkRequest l;
	if (!request_of(call, &r, &l)) return 2;
	int bad = unreadable(r.path);
	if (bad) return bad;
	if (!mtl_option(&call->o, call->table, "cpu")->given)
		for (r.n_target = 0; r.n_target < 1;)
			for (int i = 0; i < n_targets && r.n_target < 1; i++)
				if (target_wanted(&r, &targets[i]) && target_runs(&targets[i]))
					r.target[r.n_target++] = &targets[i];
	r.n_target = 1;
	if (!target_runs(r.target[0])) {
		say_error("this machine does not run %s", r.target[0]->name);
		return 2;
	}
	Compilation c;
	compilation_init(&c);
	int code = compile(&c, &r) ? 0 : 3;
	say_messages(&c, false);
	Bench b = {.l = &l, .blas = r.blas, .t = code ? r.target[0] : c.lowered.at[0]->target};
	Profile profile[2] = {0};
	for (int i = 0; i < 2 && asked(call, "calls", l.verbose) && !code; i++)
		profile_add(c.arena, c.lowered.at[0], i ? 4 : 1, &profile[i]);
	void *lib = code ? NULL : link_load(&c, &l, &b.error);
	if (lib && (b.run = peak_kernel(&b))) {
		printf("%s, %s backend%s; peak %.1f GFLOP/s on one core\n", b.t->name,
		       l.c_backend ? "C" : "LLVM", r.blas ? ", products by OpenBLAS" : "", 2e-9 * peak(&b));
		bandwidth(&b);
		parts(&b, call, &c, lib, profile);
	}
	if (b.error.at) {
		say_error("%s", b.error.at);
		code = 6;
	}
	text_free(&b.error);
	compilation_free(&c);
	return code;
}
