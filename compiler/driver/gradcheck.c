/*
 * gradcheck: three ways to the same gradient.
 *
 * The double interpreter against central differences of its own loss; the interpreter in float against the
 * kernels, to the bit; the kernels against the double interpreter, within float rounding.
 */
#include "driver/commands.h"
#include "driver/harness.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 11, PER_ARRAY = 1 };

typedef struct {
	double worst; /* of differences, relative to the scale of the array */
	int64_t checked, bad;
} Tally;

static void say(const char *what, Tally t, const char *unit)
{
	printf("%-54s %8lld checked, %lld wrong, worst %.2g%s\n", what, (long long)t.checked,
	       (long long)t.bad, t.worst, unit);
}

static void compare(Tally *t, double got, double want, double scale, double bound)
{
	double err = fabs(got - want) / (scale > 0 ? scale : 1);
	t->checked++;
	if (!(err <= bound)) t->bad++;
	if (!(err <= t->worst)) t->worst = err;
}

static double scale_of(const Buffer *b, int64_t from, int64_t n)
{
	double most = 1e-4;
	for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(b->d[from + i]));
	return most;
}

/* d total / d x[i] by central differences in double. */
static double central(Harness *h, Buffer *b, int64_t i)
{
	double x = b->d[i], e = 1e-6 * fmax(1, fabs(x));
	b->d[i] = x + e;
	double up = harness_step(h, RUN_DOUBLE);
	b->d[i] = x - e;
	double down = harness_step(h, RUN_DOUBLE);
	b->d[i] = x;
	return (up - down) / (2 * e);
}

/*
 * d total / d u by central differences in double: u a unit vector of random signs over floats from .. from +
 * n, so that two runs touch every float.  *dot: u times the gradient g.
 */
static double central_direction(Harness *h, Buffer *b, int64_t from, int64_t n, const double *g,
				uint64_t *rng, double *dot)
{
	const double length = 1 / sqrt((double)n), e = 1e-6;
	double *was = arena_new(h->arena, double, n), *u = arena_new(h->arena, double, n);
	memcpy(was, b->d + from, sizeof *was * (size_t)n);
	*dot = 0;
	for (int64_t i = 0; i < n; i++) {
		u[i] = harness_random(rng) < 0.5 ? -length : length;
		*dot += u[i] * g[from + i];
		b->d[from + i] = was[i] + e * u[i];
	}
	double up = harness_step(h, RUN_DOUBLE);
	for (int64_t i = 0; i < n; i++) b->d[from + i] = was[i] - e * u[i];
	double down = harness_step(h, RUN_DOUBLE);
	memcpy(b->d + from, was, sizeof *was * (size_t)n);
	return (up - down) / (2 * e);
}

/* The gradient of a table's element: its occurrences in the rows, from DROWS. */
static double table_gradient(Harness *h, const double *drows, double *const *dsteps, int table, int64_t row,
			     int col)
{
	double sum = 0;
	const Spec *s = h->spec;
	for (int k = 0; k < s->lookup.n; k++) {
		const Lookup *l = &s->lookup.at[k];
		if (l->table != table || l->offset < 0) continue;
		int seq = s->feature.at[l->feature].seq;
		const Buffer *step = seq ? harness_buffer(h, SLOT_BAG_ITEM, l->feature) : NULL,
			     *at = seq ? harness_buffer(h, SLOT_STEP_AT, seq - 1) : NULL;
		for (int64_t i = 0; seq && i < h->steps.at[seq - 1]; i++)
			if (step->i[at->i[i]] == row)
				sum += dsteps[seq - 1][i * s->seq.at[seq - 1].n_drow + l->offset + col];
		if (seq) continue;
		const Buffer *id = harness_buffer(h, SLOT_ID, l->feature),
			     *start = harness_buffer(h, SLOT_BAG_START, l->feature);
		for (int64_t r = 0; r < h->rows; r++) {
			double d = drows[r * s->n_drow + l->offset + col];
			if (s->feature.at[l->feature].kind != FEATURE_BAG) {
				sum += id && id->i[r] == row ? d : 0;
				continue;
			}
			const Buffer *item = harness_buffer(h, SLOT_BAG_ITEM, l->feature),
				     *scale = harness_buffer(h, SLOT_BAG_SCALE, l->feature);
			for (int32_t i = start->i[r]; i < start->i[r + 1]; i++)
				sum += item->i[i] == row ? d * scale->d[i] : 0;
		}
	}
	return sum;
}

/* Gradients of the total in the layouts of PARAM and DROWS; of a task: of its loss, and of what is shared
 * alone. */
typedef struct {
	double *g, *drows, **dsteps;
	bool shared;
	const char *of;
} Gradient;

static void say_array(const Gradient *want, const char *name, bool ok)
{
	char line[256];
	snprintf(line, sizeof line, "%s%s%s", name, want->of ? " of " : "", want->of ? want->of : "");
	printf("  %-40s %s\n", line, ok ? "ok" : "WRONG");
}

static void differ(Harness *h, const Gradient *want, Tally *t, uint64_t *rng, bool verbose)
{
	Spec *s = h->spec;
	Buffer *param = harness_buffer(h, SLOT_PARAM, 0);
	for (int p = 0; p < s->param.n; p++) {
		if (want->shared && !s->param.at[p].shared) continue;
		int64_t at = spec_param_offset(s, p), n = shape_size(s->param.at[p].shape), bad = t->bad;
		Buffer whole = {.d = want->g};
		double scale = scale_of(&whole, at, n);
		for (int k = 0; k < PER_ARRAY && k < n; k++) {
			int64_t i = at + (n <= PER_ARRAY ? k : (int64_t)(harness_random(rng) * (double)n));
			compare(t, s->param.at[p].frozen ? 0 : want->g[i],
				s->param.at[p].frozen ? 0 : central(h, param, i), scale, 2e-5);
		}
		if (n > PER_ARRAY && !s->param.at[p].frozen) {
			double dot, measured = central_direction(h, param, at, n, want->g, rng, &dot);
			compare(t, dot, measured, scale, 2e-5);
		}
		if (verbose || bad != t->bad) say_array(want, s->param.at[p].name, bad == t->bad);
	}
	for (int k = 0; k < s->table.n; k++) {
		Buffer *table = harness_buffer(h, SLOT_TABLE, k);
		int64_t bad = t->bad, stride = s->table.at[k].stride, n = h->table_rows * stride;
		if (!table || (want->shared && !s->table.at[k].shared)) continue;
		/* Of a record only the row itself has a gradient; its moments do not reach the loss. */
		double *by_float = arena_new(h->arena, double, n), most = 1e-2, dot;
		for (int64_t i = 0; i < n; i++) {
			by_float[i] = i % stride < s->table.at[k].dim
					  ? table_gradient(h, want->drows, want->dsteps, k, i / stride,
							   (int)(i % stride))
					  : 0;
			most = fmax(most, fabs(by_float[i]));
		}
		double measured = central_direction(h, table, 0, n, by_float, rng, &dot);
		compare(t, dot, measured, most, 2e-5);
		if (verbose || bad != t->bad) say_array(want, s->table.at[k].name, bad == t->bad);
	}
}

/* What task k's block holds, where the sum of all tasks' would be. */
static Gradient of_task(Harness *h, const Gradient *all, int64_t n_drows, int k)
{
	const Spec *s = h->spec;
	Gradient one = {.g = arena_new(h->arena, double, spec_grad_floats(s) + 1),
			.drows = arena_new(h->arena, double, n_drows + 1),
			.shared = true,
			.of = s->loss.at[s->task.at[k]].name};
	for (int p = 0; p < s->param.n; p++)
		for (int64_t i = 0; s->param.at[p].shared && i < shape_size(s->param.at[p].shape); i++)
			one.g[spec_param_offset(s, p) + i] =
			    all->g[spec_param_floats(s) + k * s->n_shared + s->param.at[p].block + i];
	for (int64_t r = 0; n_drows && r < h->rows; r++)
		for (int c = 0; c < s->in_block; c++) {
			int64_t to = r * s->n_drow + s->first_block + c;
			one.drows[to] = all->drows[to + (k + 1) * s->n_block];
		}
	one.dsteps = arena_new(h->arena, double *, s->seq.n + 1);
	for (int i = 0; i < s->seq.n; i++) {
		const Seq *q = &s->seq.at[i];
		Buffer *b = harness_buffer(h, SLOT_DSTEPS, i);
		int64_t n = b ? b->n : 0;
		one.dsteps[i] = arena_new(h->arena, double, n + 1);
		for (int64_t step = 0; q->in_block && step < n / q->n_drow; step++)
			for (int c = 0; c < q->in_block; c++) {
				int64_t to = step * q->n_drow + q->first_block + c;
				one.dsteps[i][to] = all->dsteps[i][to + (k + 1) * s->n_block];
			}
	}
	return one;
}

static void differences(Harness *h, Tally *t, uint64_t *rng, bool verbose)
{
	Buffer *grad = harness_buffer(h, SLOT_GRAD, 0), *drows = harness_buffer(h, SLOT_DROWS, 0);
	harness_step(h, RUN_DOUBLE);
	Gradient all = {.g = arena_new(h->arena, double, grad ? grad->n : 1),
			.drows = arena_new(h->arena, double, drows ? drows->n : 1)};
	if (grad) memcpy(all.g, grad->d, sizeof *all.g * (size_t)grad->n);
	if (drows) memcpy(all.drows, drows->d, sizeof *all.drows * (size_t)drows->n);
	all.dsteps = arena_new(h->arena, double *, h->spec->seq.n + 1);
	for (int q = 0; q < h->spec->seq.n; q++) {
		Buffer *b = harness_buffer(h, SLOT_DSTEPS, q);
		all.dsteps[q] = arena_new(h->arena, double, b ? b->n : 1);
		if (b) memcpy(all.dsteps[q], b->d, sizeof(double) * (size_t)b->n);
	}
	differ(h, &all, t, rng, verbose);
	for (int k = 0; h->spec->task_gradients && k < h->spec->task.n; k++) {
		Gradient one = of_task(h, &all, drows ? drows->n : 0, k);
		h->only = h->spec->task.at[k] + 1;
		differ(h, &one, t, rng, verbose);
	}
	h->only = 0;
}

/* What the kernels leave: one buffer a kind, of sequences one each. */
static int results(Harness *h, Buffer **out)
{
	static const SlotKind kind[] = {SLOT_GRAD, SLOT_DROWS, SLOT_LOSS, SLOT_OUT, SLOT_WATCH};
	int n = 0;
	for (int i = 0; i < 5; i++)
		if ((out[n] = harness_buffer(h, kind[i], 0))) n++;
	for (int q = 0; q < h->spec->seq.n; q++)
		if ((out[n] = harness_buffer(h, SLOT_DSTEPS, q))) n++;
	return n;
}

/*
 * The kernels' bits against the interpreter in their precision, and their distance from the double one.  In
 * double precision the two are one.
 */
static void kernels(Harness *h, Tally *bits, Tally *rounding)
{
	int64_t n[1] = {h->rows};
	Buffer **b = arena_new(h->arena, Buffer *, 6 + h->spec->seq.n);
	int n_result = results(h, b);
	double **want = arena_new(h->arena, double *, n_result + 1);
	harness_sync(h);
	harness_step(h, RUN_DOUBLE);
	harness_run(h, RUN_DOUBLE, 1, n);
	harness_run(h, RUN_DOUBLE, 2, n);
	for (int i = 0; i < n_result; i++) {
		want[i] = arena_new(h->arena, double, b[i]->n);
		memcpy(want[i], b[i]->d, sizeof(double) * (size_t)b[i]->n);
	}
	harness_sync(h);
	bool wide = h->low->mod->f64;
	for (RunMode m = wide ? RUN_KERNEL : RUN_FLOAT; m <= RUN_KERNEL; m++) {
		harness_step(h, m);
		harness_run(h, m, 1, n);
		harness_run(h, m, 2, n);
	}
	for (int i = 0; i < n_result; i++) {
		double scale = 1e-3;
		for (int64_t k = 0; k < b[i]->n; k++) scale = fmax(scale, fabs(want[i][k]));
		for (int64_t k = 0; k < b[i]->n; k++) {
			double got = harness_get(b[i], RUN_KERNEL, k), judge = wide ? want[i][k] : b[i]->d[k];
			bool same = (wide ? judge == got : (float)judge == (float)got) ||
				    (isnan(judge) && isnan(got));
			bits->checked++;
			bits->bad += !same;
			bits->worst = fmax(bits->worst, fabs(judge - got));
			compare(rounding, got, want[i][k], scale, wide ? 1e-12 : 2e-4);
		}
	}
}

static int judge(const CompileRequest *r, const LinkRequest *l, uint64_t seed)
{
	Compilation c;
	Text error = {0};
	compilation_init(&c);
	int code = compile(&c, r) ? 0 : 3;
	say_messages(&c, false);
	void *lib = code ? NULL : link_load(&c, l, &error);
	if (!code && !lib) {
		say_error("%s", error.at);
		code = 6;
	}
	const char *of = r->scorer ? ", scorer" : "";
	for (int i = 0; lib && i < c.lowered.n; i++) {
		uint64_t rng = seed + 1;
		Tally bits = {0}, rounding = {0}, diff = {0};
		Harness *h = harness_new(c.arena, c.spec, c.lowered.at[i], lib, ROWS, seed);
		if (i == 0 && !r->scorer) differences(h, &diff, &rng, l->verbose);
		kernels(h, &bits, &rounding);
		if (h->fault[0]) {
			say_error("a kernel reads or writes out of bounds: %s", h->fault);
			code = 70;
		}
		if (i == 0 && !r->scorer)
			say("gradients against central differences (double)", diff, " of the largest");
		char line[64];
		snprintf(line, sizeof line, "%s%s: kernels against the interpreter, bits", r->target[i]->name,
			 of);
		if (r->blas)
			bits = (Tally){0}; /* the order of a library's sums is its own */
		else
			say(line, bits, "");
		snprintf(line, sizeof line, "%s%s: kernels against the double interpreter",
			 r->target[i]->name, of);
		if (r->precision == PRECISION_INT8)
			rounding = (Tally){0}; /* a number between two bytes may become either */
		else
			say(line, rounding, " of the largest");
		if (diff.bad || bits.bad || rounding.bad) code = code == 70 ? code : 1;
	}
	text_free(&error);
	compilation_free(&c);
	return code;
}
int command_gradcheck(const Request *call)
{
	CompileRequest r;
	LinkRequest l;
	if (!request_of(call, &r, &l)) return 2;
	int bad = unreadable(r.path);
	if (bad) return bad;
	if (!mtl_option(&call->o, call->table, "cpu")->given) {
		r.n_target = 0;
		for (int i = 0; i < n_targets; i++)
			if (target_wanted(&r, &targets[i]) && target_runs(&targets[i]))
				r.target[r.n_target++] = &targets[i];
	}
	r.hold = true;
	const MtlOptionValue *seed = mtl_option(&call->o, call->table, "seed");
	int code = judge(&r, &l, seed->given ? seed->seed : 1);
	/* Records of reduced precision are a scorer's alone. */
	r.scorer = true;
	if (r.precision && code <= 1) code |= judge(&r, &l, seed->given ? seed->seed : 1);
	return code;
}
