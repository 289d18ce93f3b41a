/*
 * The benchmark's networks and functions by oneDNN, one thread: microseconds, to set beside those of mtlc.
 *
 * A primitive a layer, weights packed by the library, relu and sigmoid as post-operations; of `inner_product`
 * and `matmul` the faster.  The mixture of MMoE is left out (its softmax is not): what is told of it is too
 * low.
 *
 *   cc -O2 -march=native dnnl.c -ldnnl -o dnnl && OMP_NUM_THREADS=1 ./dnnl
 *
 * A line is `net NAME BATCH US SHARE` (of the peak measured beside it, %), `layer KxN BATCH US SHARE` or
 * `function NAME NS`.
 */
#define _GNU_SOURCE
#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LAYERS = 32, ELEMENTS = 4096, CHAINS = 12, TURNS = 100000 };

#if defined(__AVX512F__)
typedef float Vector __attribute__((vector_size(64)));
#elif defined(__AVX__)
typedef float Vector __attribute__((vector_size(32)));
#else
typedef float Vector __attribute__((vector_size(16)));
#endif

typedef struct {
	dnnl_primitive_t p;
	int n;
	dnnl_exec_arg_t arg[4];
} Op;

typedef struct {
	int n;
	Op op[LAYERS];
} Net;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void must(dnnl_status_t s, const char *what)
{
	if (s == dnnl_success) return;
	fprintf(stderr, "oneDNN: %s fails with status %d\n", what, (int)s);
	exit(1);
}
#define MUST(call) must(call, #call)

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run(const Net *net)
{
	for (int i = 0; i < net->n; i++)
		MUST(dnnl_primitive_execute(net->op[i].p, stream, net->op[i].n, net->op[i].arg));
}

/* Seconds: the least of many short repeats. */
static double best_of(const Net *net)
{
	double best = 1, end = now() + 0.25;
	for (int i = 0; i < 5 || now() < end; i++) {
		int turns = best < 5e-5 ? 64 : 1;
		double t = now();
		for (int r = 0; r < turns; r++) run(net);
		t = (now() - t) / turns;
		best = t < best ? t : best;
	}
	return best;
}

/* Multiply-adds a second, now: a shared machine's clock changes by the minute. */
static double peak(void)
{
	double best = 1;
	volatile float sink;
	for (int r = 0; r < 30; r++) {
		Vector a[CHAINS], x = (Vector){0} + 0.1F;
		for (int i = 0; i < CHAINS; i++) a[i] = x;
		double t = now();
		for (int k = 0; k < TURNS; k++)
#pragma GCC unroll 12
			for (int i = 0; i < CHAINS; i++) a[i] = a[i] * x + x;
		t = now() - t;
		for (int i = 1; i < CHAINS; i++) a[0] += a[i];
		sink = a[0][0];
		best = t < best ? t : best;
	}
	(void)sink;
	return (double)TURNS * CHAINS * (sizeof(Vector) / sizeof(float)) / best;
}

/* Seconds; *share becomes what part of the peak before or after the work is done at. */
static double measured(const Net *net, double madds, double *share)
{
	double before = peak(), t = best_of(net), after = peak();
	*share = 100 * madds / t / (after > before ? after : before);
	return t;
}

/* ---- one layer ---- */

typedef enum { PLAIN, RELU, SIGMOID } Post;

static dnnl_memory_desc_t matrix(dnnl_dim_t rows, dnnl_dim_t columns, dnnl_format_tag_t tag)
{
	dnnl_memory_desc_t d;
	MUST(dnnl_memory_desc_init_by_tag(&d, 2, (dnnl_dims_t){rows, columns}, dnnl_f32, tag));
	return d;
}

static dnnl_memory_t memory(const dnnl_memory_desc_t *d)
{
	dnnl_memory_t m;
	void *at;
	MUST(dnnl_memory_create(&m, d, engine, DNNL_MEMORY_ALLOCATE));
	MUST(dnnl_memory_get_data_handle(m, &at));
	float *x = at;
	size_t n = dnnl_memory_desc_get_size(d) / sizeof *x;
	for (size_t i = 0; i < n; i++) x[i] = (float)rand() / (float)RAND_MAX * 0.2F - 0.1F;
	return m;
}

static void reorder(const dnnl_memory_desc_t *from, dnnl_memory_t x, const dnnl_memory_desc_t *to,
		    dnnl_memory_t y)
{
	dnnl_primitive_desc_t d;
	dnnl_primitive_t p;
	MUST(dnnl_reorder_primitive_desc_create(&d, from, engine, to, engine, NULL));
	MUST(dnnl_primitive_create(&p, d));
	MUST(dnnl_primitive_execute(p, stream, 2, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, x}, {DNNL_ARG_TO, y}}));
	MUST(dnnl_stream_wait(stream));
}

static dnnl_primitive_attr_t post_op(Post post)
{
	dnnl_primitive_attr_t attr;
	dnnl_post_ops_t ops;
	MUST(dnnl_primitive_attr_create(&attr));
	if (post == PLAIN) return attr;
	MUST(dnnl_post_ops_create(&ops));
	MUST(dnnl_post_ops_append_eltwise(ops, 1, post == RELU ? dnnl_eltwise_relu : dnnl_eltwise_logistic, 0,
					  0));
	MUST(dnnl_primitive_attr_set_post_ops(attr, ops));
	return attr;
}

/* Adds x [B, K] -> [B, N]; returns its result. */
static dnnl_memory_t dense(Net *net, int product, dnnl_memory_t x, int B, int K, int N, Post post)
{
	dnnl_memory_desc_t xd = matrix(B, K, dnnl_ab), yd = matrix(B, N, dnnl_ab), bd,
			   any = product ? matrix(K, N, dnnl_format_tag_any)
					 : matrix(N, K, dnnl_format_tag_any),
			   plain = product ? matrix(K, N, dnnl_ab) : matrix(N, K, dnnl_ba);
	dnnl_primitive_desc_t d;
	dnnl_primitive_attr_t attr = post_op(post);
	if (product) {
		dnnl_matmul_desc_t md;
		bd = matrix(1, N, dnnl_ab);
		MUST(dnnl_matmul_desc_init(&md, &xd, &any, &bd, &yd));
		MUST(dnnl_primitive_desc_create(&d, &md, attr, engine, NULL));
	} else {
		dnnl_inner_product_desc_t id;
		MUST(dnnl_memory_desc_init_by_tag(&bd, 1, (dnnl_dims_t){N}, dnnl_f32, dnnl_a));
		MUST(dnnl_inner_product_forward_desc_init(&id, dnnl_forward_inference, &xd, &any, &bd, &yd));
		MUST(dnnl_primitive_desc_create(&d, &id, attr, engine, NULL));
	}
	const dnnl_memory_desc_t *wd = dnnl_primitive_desc_query_md(d, dnnl_query_weights_md, 0);
	dnnl_memory_t w = memory(wd), b = memory(&bd), y = memory(&yd);
	reorder(&plain, memory(&plain), wd, w);
	Op *op = &net->op[net->n++];
	MUST(dnnl_primitive_create(&op->p, d));
	op->n = 4;
	op->arg[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, x};
	op->arg[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, w};
	op->arg[2] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, b};
	op->arg[3] = (dnnl_exec_arg_t){DNNL_ARG_DST, y};
	return y;
}

static void softmax(Net *net, dnnl_memory_t x, int B, int N)
{
	dnnl_memory_desc_t d = matrix(B, N, dnnl_ab);
	dnnl_softmax_desc_t sd;
	dnnl_primitive_desc_t pd;
	MUST(dnnl_softmax_forward_desc_init(&sd, dnnl_forward_inference, &d, 1));
	MUST(dnnl_primitive_desc_create(&pd, &sd, NULL, engine, NULL));
	Op *op = &net->op[net->n++];
	MUST(dnnl_primitive_create(&op->p, pd));
	op->n = 2;
	op->arg[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, x};
	op->arg[1] = (dnnl_exec_arg_t){DNNL_ARG_DST, x};
}

/* ---- networks ---- */

static dnnl_memory_t input(int B, int K)
{
	dnnl_memory_desc_t d = matrix(B, K, dnnl_ab);
	return memory(&d);
}

static void esmm(Net *net, int product, int B)
{
	dnnl_memory_t x = input(B, 360);
	for (int t = 0; t < 2; t++) {
		dnnl_memory_t y = dense(net, product, x, B, 360, 200, RELU);
		y = dense(net, product, y, B, 200, 80, RELU);
		dense(net, product, y, B, 80, 1, SIGMOID);
	}
}

static void mmoe(Net *net, int product, int B)
{
	dnnl_memory_t x = input(B, 512), e[8];
	for (int i = 0; i < 8; i++) {
		e[i] = dense(net, product, x, B, 512, 256, RELU);
		e[i] = dense(net, product, e[i], B, 256, 128, RELU);
	}
	for (int t = 0; t < 2; t++) {
		softmax(net, dense(net, product, x, B, 512, 8, PLAIN), B, 8);
		dnnl_memory_t y = dense(net, product, e[t], B, 128, 64, RELU);
		dense(net, product, y, B, 64, 1, SIGMOID);
	}
}

typedef void Build(Net *, int product, int B);

static void better(const char *name, Build *build, int B, double madds)
{
	double best = 1, share = 0;
	for (int product = 0; product < 2; product++) {
		Net net = {0};
		build(&net, product, B);
		double s, t = measured(&net, madds * B, &s);
		if (t < best) best = t, share = s;
	}
	printf("net %s %d %.2f %.1f\n", name, B, best * 1e6, share);
	fflush(stdout);
}

static void layer(int K, int N, int B)
{
	double best = 1, share = 0;
	for (int product = 0; product < 2; product++) {
		Net net = {0};
		dense(&net, product, input(B, K), B, K, N, N < 8 ? PLAIN : RELU);
		double s, t = measured(&net, (double)K * N * B, &s);
		if (t < best) best = t, share = s;
	}
	printf("layer %dx%d %d %.2f %.1f\n", K, N, B, best * 1e6, share);
}

static double function(dnnl_alg_kind_t kind)
{
	dnnl_memory_desc_t d = matrix(1, ELEMENTS, dnnl_ab);
	dnnl_eltwise_desc_t ed;
	dnnl_primitive_desc_t pd;
	Net net = {.n = 1};
	MUST(dnnl_eltwise_forward_desc_init(&ed, dnnl_forward_inference, kind, &d, 0, 0));
	MUST(dnnl_primitive_desc_create(&pd, &ed, NULL, engine, NULL));
	MUST(dnnl_primitive_create(&net.op[0].p, pd));
	net.op[0].n = 2;
	net.op[0].arg[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, memory(&d)};
	net.op[0].arg[1] = (dnnl_exec_arg_t){DNNL_ARG_DST, memory(&d)};
	return best_of(&net) / ELEMENTS;
}

int main(void)
{
	static const int batch[] = {1, 8, 64, 256, 1024};
	static const struct {
		int K, N;
	} shape[] = {{256, 256}, {512, 256}, {360, 200}, {200, 80}, {80, 18}, {80, 8}, {512, 8}, {80, 1}};
	static const struct {
		const char *name;
		dnnl_alg_kind_t kind;
	} functions[] = {{"exp", dnnl_eltwise_exp},
			 {"log", dnnl_eltwise_log},
			 {"sigmoid", dnnl_eltwise_logistic},
			 {"tanh", dnnl_eltwise_tanh},
			 {"softplus", dnnl_eltwise_soft_relu},
			 {"logsigmoid", dnnl_eltwise_logsigmoid}};
	MUST(dnnl_engine_create(&engine, dnnl_cpu, 0));
	MUST(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
	for (size_t i = 0; i < sizeof batch / sizeof *batch; i++) {
		better("esmm360", esmm, batch[i], 2 * (360 * 200 + 200 * 80 + 80));
		better("mmoe512", mmoe, batch[i],
		       8 * (512 * 256 + 256 * 128) + 2 * (512 * 8 + 128 * 64 + 64));
	}
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) layer(shape[i].K, shape[i].N, 128);
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		printf("function %s %.3f\n", functions[i].name, function(functions[i].kind) * 1e9);
	return 0;
}
