/*
 * How long ONNX Runtime takes for a model that mtlc wrote: the calls of `SCORER bench`, timed the same way.
 *
 *   ort LIBONNXRUNTIME MODEL.onnx INPUTS    INPUTS: what inputs.py says of the file
 *
 * One thread, all of its graph optimisations, values made once; a call is Run and the release of what it
 * gave. The library comes without headers where it is taken from; its C interface is a table of functions
 * that only ever grows at its end, so the few that are needed here are named by their places.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	GET_MESSAGE = 2,
	CREATE_ENV = 3,
	CREATE_SESSION = 7,
	RUN = 9,
	CREATE_OPTIONS = 10,
	SET_OPTIMIZATION = 23,
	SET_THREADS = 24,
	OUTPUT_COUNT = 31,
	OUTPUT_NAME = 37,
	CREATE_TENSOR = 49,
	TENSOR_DATA = 51,
	CREATE_CPU_MEMORY = 69,
	DEFAULT_ALLOCATOR = 78,
	RELEASE_VALUE = 96,
	API = 11, /* the version of the table asked for */
	ALL_OPTIMIZATIONS = 99,
	FLOAT = 1,
	INT64 = 7,
	DOUBLE = 11,
};

enum { INPUTS = 256, OUTPUTS = 64, ITEMS = 4, SAMPLES = 1 << 15, FEWEST = 100 };

typedef struct {
	const void *const *(*api)(uint32_t version);
	const char *(*version)(void);
} Base;

typedef struct {
	char name[256], type[16], side[16];
	int list;
	long high; /* table rows; below 0: always this number */
} Input;

typedef struct {
	const void *const *api;
	void *session, *memory;
	Input input[INPUTS];
	const char *in_name[INPUTS], *out_name[OUTPUTS];
	void *in[INPUTS];
	int n_in, n_out;
} Peer;

static void *function(const Peer *p, int at) { return (void *)p->api[at]; }
#define CALL(p, at, ...) check(p, ((void *(*)())function(p, at))(__VA_ARGS__))

static void check(const Peer *p, void *status)
{
	if (!status) return;
	fprintf(stderr, "ONNX Runtime: %s\n", ((const char *(*)(void *))function(p, GET_MESSAGE))(status));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t draw(void)
{
	static uint64_t state = 1;
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* ---- values ---- */

/* Of a request, columns of its side hold one row over and over, as they do in the scorer's work. */
static void *values(const Peer *p, const Input *in, int64_t n, int request)
{
	int wide = in->list ? ITEMS : 1, type = !strcmp(in->type, "int64")   ? INT64
						: !strcmp(in->type, "float") ? FLOAT
									     : DOUBLE;
	size_t size = type == FLOAT ? 4 : 8, bytes = (size_t)n * (size_t)wide * size;
	char *data = malloc(bytes);
	int64_t shape[2] = {n, wide};
	void *value;
	for (int64_t i = 0; i < n * wide; i++) {
		int64_t row = in->high < 0 ? -in->high : draw() % in->high;
		double real = (double)(draw() % 2000) / 1000;
		float one = 1;
		memcpy(data + (size_t)i * size,
		       type == INT64	? (void *)&row
		       : type == DOUBLE ? (void *)&real
					: (void *)&one,
		       size);
	}
	for (int64_t r = 1; request && !strcmp(in->side, "request") && r < n; r++)
		memcpy(data + (size_t)(r * wide) * size, data, (size_t)wide * size);
	CALL(p, CREATE_TENSOR, p->memory, data, bytes, shape, (size_t)(in->list ? 2 : 1), type, &value);
	return value;
}

/* ---- times ---- */

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The sum of the first output, for whoever compares. */
static double call(Peer *p, int64_t rows)
{
	void *out[OUTPUTS] = {0};
	float *data;
	double sum = 0;
	CALL(p, RUN, p->session, NULL, p->in_name, p->in, (size_t)p->n_in, p->out_name, (size_t)p->n_out,
	     out);
	CALL(p, TENSOR_DATA, out[0], &data);
	for (int64_t i = 0; i < rows; i++) sum += (double)data[i];
	for (int k = 0; k < p->n_out; k++) ((void (*)(void *))function(p, RELEASE_VALUE))(out[k]);
	return sum;
}

static void bench(Peer *p, const char *what, int64_t n)
{
	static double sample[SAMPLES];
	int request = strcmp(what, "request") == 0, k = 0;
	for (int i = 0; i < p->n_in; i++) p->in[i] = values(p, &p->input[i], n, request);
	double t = now(), end = t + 0.1;
	while (t < end) {
		call(p, 0);
		t = now();
	}
	for (end = t + 0.5; k < SAMPLES && (t < end || k < FEWEST); k++) {
		double from = t;
		call(p, 0);
		t = now();
		sample[k] = t - from;
	}
	qsort(sample, (size_t)k, sizeof *sample, ascending);
	printf("onnxruntime %s %lld %.3f %.3f %.6g\n", what, (long long)n, 1e6 * sample[k / 2],
	       1e6 * sample[k - 1 - k / 100], call(p, n));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static Peer p;
	void *env, *options, *allocator;
	size_t n;
	if (argc != 4) return 2;
	void *lib = dlopen(argv[1], RTLD_NOW);
	Base *(*base)(void) = NULL;
	if (lib) *(void **)&base = dlsym(lib, "OrtGetApiBase");
	FILE *f = fopen(argv[3], "r");
	if (!base || !f) return fprintf(stderr, "ort: %s\n", lib ? "no inputs" : dlerror()), 1;
	p.api = base()->api(API);
	while (p.n_in < INPUTS &&
	       fscanf(f, "%255s %15s %d %ld %15s", p.input[p.n_in].name, p.input[p.n_in].type,
		      &p.input[p.n_in].list, &p.input[p.n_in].high, p.input[p.n_in].side) == 5) {
		p.in_name[p.n_in] = p.input[p.n_in].name;
		p.n_in++;
	}
	fclose(f);
	CALL(&p, CREATE_ENV, 3, "peer", &env);
	CALL(&p, CREATE_OPTIONS, &options);
	CALL(&p, SET_THREADS, options, 1);
	CALL(&p, SET_OPTIMIZATION, options, ALL_OPTIMIZATIONS);
	CALL(&p, CREATE_SESSION, env, argv[2], options, &p.session);
	CALL(&p, CREATE_CPU_MEMORY, 1, 0, &p.memory);
	CALL(&p, DEFAULT_ALLOCATOR, &allocator);
	CALL(&p, OUTPUT_COUNT, p.session, &n);
	p.n_out = n < OUTPUTS ? (int)n : OUTPUTS;
	for (int k = 0; k < p.n_out; k++)
		CALL(&p, OUTPUT_NAME, p.session, (size_t)k, allocator, &p.out_name[k]);
	static const int64_t batch[] = {1, 64, 256, 1024, 4096}, candidates[] = {1, 150, 1000};
	fprintf(stderr, "ONNX Runtime %s\n", base()->version());
	for (int i = 0; i < 5; i++) bench(&p, "batch", batch[i]);
	for (int i = 0; i < 3; i++) bench(&p, "request", candidates[i]);
	return 0;
}
