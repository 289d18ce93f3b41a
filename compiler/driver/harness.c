/* Entries on random data. */
#include "driver/harness.h"
#include "base/diag.h"
#include "runtime/narrow.h"
#include "runtime/steps.h"
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void Kernel(void *const *buf, const int64_t *size);

double harness_random(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15u;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static const Elem elem_of[] = {
#define f32		      ELEM_F32
#define i32		      ELEM_I32
#define SLOT(name, elem, doc) elem,
#include "runtime/abi.def"
#undef SLOT
#undef f32
#undef i32
};

enum { BAG = 3 /* items of every bag */ };

static int64_t blocks(const Harness *h) { return (h->rows + ROW_BLOCK - 1) / ROW_BLOCK; }

static int64_t size_of(const Harness *h, const Slot *s)
{
	const Spec *p = h->spec;
	int64_t n = h->rows;
	switch (s->kind) {
	case SLOT_WORK: {
		int64_t most = 16;
		for (int i = 0; i < h->low->entry.n; i++)
			most = h->low->entry.at[i].work > most ? h->low->entry.at[i].work : most;
		return most;
	}
	case SLOT_GRAD: return spec_grad_floats(p) + 16;
	case SLOT_PARAM:
	case SLOT_MOMENT: return spec_param_floats(p) + 16;
	case SLOT_PACKED: return h->low->packed + 16;
	case SLOT_ACC: return h->low->n_acc + 16;
	case SLOT_MEET: return h->low->n_meet + 16;
	case SLOT_KEEP:
		return h->low->kept.at[s->index].width * n * (h->low->kept.at[s->index].seq ? BAG : 1) + 16;
	case SLOT_NEXT: return spec_next_offset(p, p->running.n) + 16;
	case SLOT_GROUP: return n + 1;
	case SLOT_BAG_START: return n + 1;
	case SLOT_BAG_ITEM:
	case SLOT_BAG_SCALE: return BAG * n + 1;
	case SLOT_TABLE: return h->table_rows * p->table.at[s->index].stride;
	case SLOT_INV: return p->loss.n + 1;
	case SLOT_COUNT:
	case SLOT_LOSS: return (blocks(h) + 1) * (p->loss.n + 1);
	case SLOT_STEP_AT: return BAG * n + 1;
	case SLOT_STEP_ROW: return 2 * n + 1;
	case SLOT_DSTEPS: return BAG * n * p->seq.at[s->index].n_drow + 1;
	case SLOT_NOISE: return n * BAG * p->noise.at[s->index].width + 1; /* of rows, or of steps */
	case SLOT_STEP_BLOCK: return (blocks(h) + 1) * s->stride;
	case SLOT_HYPER: return 8;
	case SLOT_UNIQ:
	case SLOT_START:
	case SLOT_SRC:
	case SLOT_SCALE: return n * (BAG + 1) * (p->lookup.n + 1) + 1;
	default: return n * (s->stride > 0 ? s->stride : 1) + 1;
	}
}

Buffer *harness_buffer(Harness *h, SlotKind kind, int index)
{
	for (int i = 0; i < h->buffer.n; i++)
		if (h->buffer.at[i].kind == kind && h->buffer.at[i].index == index) return &h->buffer.at[i];
	return NULL;
}

double harness_get(const Buffer *b, RunMode mode, int64_t i)
{
	if (b->elem == ELEM_I32) return b->i[i];
	return mode != RUN_KERNEL ? b->d[i] : b->wide ? b->wide[i] : (double)b->f[i];
}

void harness_set(Buffer *b, int64_t i, double x)
{
	if (b->wide)
		b->wide[i] = x;
	else
		b->f[i] = (float)x;
	b->d[i] = x;
}

void *harness_memory(const Buffer *b)
{
	return b->elem == ELEM_I32 ? (void *)b->i : b->wide ? (void *)b->wide : (void *)b->f;
}

static void floats(Buffer *b, uint64_t *rng)
{
	for (int64_t i = 0; i < b->n; i++) harness_set(b, i, 0.6 * (harness_random(rng) - 0.5));
}

static bool narrow(const Harness *h, const Buffer *b)
{
	return b->kind == SLOT_TABLE && h->spec->table.at[b->index].narrow;
}

static void records(Harness *h, Buffer *b, uint64_t *rng)
{
	const Table *t = &h->spec->table.at[b->index];
	MtlTable m = {.dim = t->dim, .stride = t->stride, .precision = (MtlPrecision)t->precision};
	float *x = arena_new(h->arena, float, h->table_rows * t->dim);
	for (int64_t i = 0; i < h->table_rows * t->dim; i++)
		x[i] = (float)(0.6 * (harness_random(rng) - 0.5));
	mtl_narrow_records(&m, x, h->table_rows, b->f);
}

static void fill(Harness *h, Buffer *b, uint64_t *rng)
{
	int64_t n = h->rows;
	switch (b->kind) {
	case SLOT_ID:
		for (int64_t i = 0; i < n; i++)
			b->i[i] = (int32_t)(harness_random(rng) * (double)h->table_rows);
		break;
	case SLOT_BAG_START:
		for (int64_t i = 0, at = 0; i <= n; i++) {
			b->i[i] = (int32_t)at;
			at += (int64_t)(harness_random(rng) * (BAG + 1));
			at = at > BAG * n ? BAG * n : at;
		}
		break;
	case SLOT_BAG_ITEM:
		for (int64_t i = 0; i < b->n; i++)
			b->i[i] = (int32_t)(harness_random(rng) * (double)h->table_rows);
		break;
	case SLOT_BAG_SCALE:
	case SLOT_WEIGHT:
		for (int64_t i = 0; i < b->n; i++) harness_set(b, i, 0.5 + harness_random(rng));
		break;
	case SLOT_NOISE:
		for (int64_t i = 0; i < b->n; i++)
			harness_set(b, i, harness_random(rng) < 0.25 ? 0 : 4.0 / 3);
		break;
	case SLOT_GROUP: /* of one to four rows */
		for (int64_t at = 0; at < n; at += 1 + (int64_t)(harness_random(rng) * 4))
			b->i[h->groups++] = (int32_t)at;
		b->i[h->groups] = (int32_t)n;
		break;
	case SLOT_TABLE:
		if (narrow(h, b)) {
			records(h, b, rng);
			break;
		}
		floats(b, rng);
		break;
	case SLOT_PRESENT:
		for (int64_t i = 0; i < b->n; i++) harness_set(b, i, harness_random(rng) < 0.75);
		break;
	case SLOT_PARAM:
	case SLOT_REAL: floats(b, rng); break;
	case SLOT_MOMENT:
		for (int64_t i = 0; i < b->n; i++) harness_set(b, i, harness_random(rng));
		break;
	default: break;
	}
}

/* Above 0, as a variance is. */
static void running(Harness *h, uint64_t *rng)
{
	Buffer *b = harness_buffer(h, SLOT_PARAM, 0);
	for (int k = 0; b && k < h->spec->running.n; k++) {
		int p = h->spec->running.at[k].param;
		for (int64_t i = 0; i < shape_size(h->spec->param.at[p].shape); i++)
			harness_set(b, spec_param_offset(h->spec, p) + i, 0.5 + harness_random(rng));
	}
}

/* Sequences: rows of every length up to the longest that buffers hold, some without a step. */
static void sequences(Harness *h, uint64_t *rng)
{
	for (int q = 0; q < h->spec->seq.n; q++) {
		Buffer *at = harness_buffer(h, SLOT_STEP_AT, q), *row = harness_buffer(h, SLOT_STEP_ROW, q),
		       *block = harness_buffer(h, SLOT_STEP_BLOCK, q);
		int max = h->spec->seq.at[q].max;
		int32_t *start = arena_new(h->arena, int32_t, h->rows + 1);
		for (int64_t i = 0; i < h->rows; i++)
			start[i + 1] =
			    start[i] + (int32_t)(harness_random(rng) * ((max < BAG ? max : BAG) + 1));
		MtlSteps s = {.at = at ? at->i : arena_new(h->arena, int32_t, BAG * h->rows + 1),
			      .row = row ? row->i : arena_new(h->arena, int32_t, 2 * h->rows + 1),
			      .block =
				  block ? block->i
					: arena_new(h->arena, int32_t, (blocks(h) + 1) * (max + STEP_HEAD))};
		mtl_steps_fill(&s, start, h->rows, max);
		vec_push(h->arena, &h->steps, start[h->rows]);
	}
}

/* Labels: mostly known, children only under true parents, as the runtime leaves them. */
static void labels(Harness *h, uint64_t *rng)
{
	const Events *e = h->spec->events;
	int *value = arena_new(h->arena, int, e->event.n + 1);
	for (int64_t r = 0; r < h->rows; r++)
		for (int i = 0; i < e->event.n; i++) {
			int parent = e->event.at[i].parent;
			double u = harness_random(rng);
			value[i] = u < 0.15 ? 2 : u < 0.65; /* 2: unknown */
			if (parent >= 0 && value[parent] == 0) value[i] = 0;
			if (parent >= 0 && value[parent] == 2 && value[i] == 1) value[i] = 2;
			Buffer *one = harness_buffer(h, SLOT_CAN1, i),
			       *zero = harness_buffer(h, SLOT_CAN0, i);
			if (one) harness_set(one, r, value[i] != 0);
			if (zero) harness_set(zero, r, value[i] != 1);
		}
}

/* Values and classes: mostly known, 0 where not, as the runtime leaves them. */
static void samples(Harness *h, uint64_t *rng)
{
	for (int i = 0; i < h->spec->sample.n; i++) {
		const Sample *s = &h->spec->sample.at[i];
		Buffer *b = harness_buffer(h, SLOT_SAMPLE, i), *k = harness_buffer(h, SLOT_KNOWN, i);
		for (int64_t r = 0; r < h->rows; r++) {
			bool known = harness_random(rng) < 0.8;
			double u = harness_random(rng), zero = harness_random(rng);
			double x = s->classes	 ? floor(u * s->classes)
				   : s->positive ? (zero < 0.3 ? 0 : 3 * u)
						 : 4 * u - 2;
			if (b) harness_set(b, r, known ? x : 0);
			if (k) harness_set(k, r, known);
		}
	}
}

Harness *harness_new(Arena *a, Spec *s, const Lowered *low, void *lib, int64_t rows, uint64_t seed)
{
	Harness *h = arena_new(a, Harness, 1);
	*h = (Harness){
	    .arena = a, .spec = s, .low = low, .lib = lib, .rows = rows, .table_rows = rows < 8 ? 8 : rows};
	if (s->seq.n) h->table_rows *= BAG;
	for (int e = 0; e < low->entry.n; e++)
		for (int i = 0; i < low->entry.at[e].n_slot; i++) {
			const Slot *slot = &low->entry.at[e].slot[i];
			int64_t n = size_of(h, slot);
			Buffer *b = harness_buffer(h, slot->kind, slot->index);
			if (b && b->n >= n) continue;
			if (!b) {
				vec_push(a, &h->buffer,
					 (Buffer){.kind = slot->kind,
						  .index = slot->index,
						  .elem = elem_of[slot->kind]});
				b = &h->buffer.at[h->buffer.n - 1];
			}
			b->n = n;
			/* Whole cache lines behind 64-byte alignment, as the runtime gives them. */
			bool wide = low->mod->f64 && b->elem == ELEM_F32;
			char *raw = arena_alloc(a, (size_t)n * (wide ? sizeof(double) : sizeof(float)) + 128);
			void *at = raw + (64 - (uintptr_t)raw % 64);
			b->f = wide ? NULL : at;
			b->wide = wide ? at : NULL;
			b->i = at;
			if (b->elem == ELEM_F32) b->d = arena_new(a, double, n);
		}
	for (int i = 0; i < h->buffer.n; i++) fill(h, &h->buffer.at[i], &seed);
	running(h, &seed);
	labels(h, &seed);
	samples(h, &seed);
	sequences(h, &seed);
	harness_sync(h);
	return h;
}

void harness_sync(Harness *h)
{
	for (int i = 0; i < h->buffer.n; i++) {
		const Buffer *b = &h->buffer.at[i];
		/* A view's elements lie together in the interpreter too. */
		if (narrow(h, b)) memcpy(b->d, b->f, (size_t)b->n * sizeof(float));
		for (int64_t k = 0; b->elem == ELEM_F32 && !narrow(h, b) && k < b->n; k++)
			b->d[k] = harness_get(b, RUN_KERNEL, k);
	}
}

bool harness_run(Harness *h, RunMode mode, int entry, const int64_t *size)
{
	const Entry *e = &h->low->entry.at[entry];
	if (!e->fn) return false;
	if (mode == RUN_KERNEL) {
		void *buf[e->n_slot + 1]; /* wide models have hundreds */
		for (int i = 0; i < e->n_slot; i++)
			buf[i] = harness_memory(harness_buffer(h, e->slot[i].kind, e->slot[i].index));
		char name[256];
		snprintf(name, sizeof name, "%s_%s", h->low->mod->name, e->fn->name);
		Kernel *k;
		*(void **)&k = dlsym(h->lib, name);
		if (!k) bug("no kernel %s", name);
		k(buf, size);
		return true;
	}
	Mem mem[e->n_slot + 1];
	for (int i = 0; i < e->n_slot; i++) {
		Buffer *b = harness_buffer(h, e->slot[i].kind, e->slot[i].index);
		mem[i] = (Mem){b->elem == ELEM_I32 ? (void *)b->i : (void *)b->d, b->n};
	}
	return loop_run(h->low->mod, fn_index(h->low->mod, e->fn), mem, size, mode == RUN_FLOAT, h->fault);
}

/* INV of the losses that are counted by now, after `stage` meetings. */
static void set_inv(Harness *h, RunMode mode, int stage)
{
	const Spec *s = h->spec;
	Buffer *count = harness_buffer(h, SLOT_COUNT, 0), *inv = harness_buffer(h, SLOT_INV, 0);
	for (int l = 0; l < s->loss.n && inv; l++) {
		double d = 0;
		if (s->loss.at[l].counted != stage) continue;
		for (int64_t b = 0; b < blocks(h); b++) d += harness_get(count, mode, b * s->loss.n + l);
		double each = d > 0 ? 1 / d : 0;
		if (mode == RUN_DOUBLE)
			inv->d[l] = each;
		else
			harness_set(inv, l, inv->wide ? each : (double)(float)each);
	}
}

/* One slice: its sums are those of the batch. */
bool harness_rows(Harness *h, RunMode mode)
{
	const Lowered *low = h->low;
	int first = low->entry.n - MEETING_ENTRIES * low->region.n;
	bool ok = harness_run(h, mode, ENTRY_STEP, &h->rows);
	for (int i = first; ok && i < low->entry.n; i++) {
		bool groups = (i - first) % MEETING_ENTRIES == MEETING_GROUPS;
		const int64_t size[2] = {groups ? 0 : h->rows, h->groups};
		ok = !low->entry.at[i].fn || harness_run(h, mode, i, size);
		if ((i - first) % MEETING_ENTRIES == MEETING_ROWS)
			set_inv(h, mode, 1 + (i - first) / MEETING_ENTRIES);
	}
	return ok;
}

static void zero(Harness *h, SlotKind kind)
{
	Buffer *b = harness_buffer(h, kind, 0);
	for (int64_t i = 0; b && i < b->n; i++) harness_set(b, i, 0);
}

/* to += from */
static void sum_into(Buffer *b, RunMode mode, int64_t to, int64_t from)
{
	if (mode != RUN_KERNEL)
		b->d[to] =
		    mode == RUN_FLOAT ? (double)((float)b->d[to] + (float)b->d[from]) : b->d[to] + b->d[from];
	else if (b->wide)
		b->wide[to] += b->wide[from];
	else
		b->f[to] += b->f[from];
}

/* Block 0 of each row, or step, becomes the sum of the tasks'. */
static void sum_blocks(Harness *h, RunMode mode, Buffer *b, int64_t rows, int width, int first, int in_block)
{
	const Spec *s = h->spec;
	for (int64_t r = 0; b && r < rows; r++)
		for (int c = 0; c < in_block; c++) {
			int64_t to = r * width + first + c;
			if (mode != RUN_KERNEL)
				b->d[to] = 0;
			else
				memset((char *)harness_memory(b) + to * (b->wide ? 8 : 4), 0,
				       b->wide ? 8 : 4);
			for (int k = 1; k <= s->task.n; k++) sum_into(b, mode, to, to + k * s->n_block);
		}
}

/* Where tasks have gradients of their own: their sum, where the gradient of all losses is looked for. */
static void sum_tasks(Harness *h, RunMode mode)
{
	const Spec *s = h->spec;
	Buffer *grad = harness_buffer(h, SLOT_GRAD, 0), *drows = harness_buffer(h, SLOT_DROWS, 0);
	if (!s->task_gradients) return;
	for (int p = 0; grad && p < s->param.n; p++) {
		int64_t at = spec_param_offset(s, p), n = shape_size(s->param.at[p].shape);
		for (int k = 0; s->param.at[p].shared && k < s->task.n; k++)
			for (int64_t i = 0; i < n; i++)
				sum_into(grad, mode, at + i,
					 spec_param_floats(s) + k * s->n_shared + s->param.at[p].block + i);
	}
	sum_blocks(h, mode, drows, h->rows, s->n_drow, s->first_block, s->in_block);
	for (int i = 0; i < s->seq.n; i++) {
		const Seq *q = &s->seq.at[i];
		Buffer *b = harness_buffer(h, SLOT_DSTEPS, i);
		if (q->in_block)
			sum_blocks(h, mode, b, b ? b->n / q->n_drow : 0, q->n_drow, q->first_block,
				   q->in_block);
	}
}

double harness_step(Harness *h, RunMode mode)
{
	const Spec *s = h->spec;
	int64_t n[1] = {h->rows};
	zero(h, SLOT_ACC);
	if (!harness_run(h, mode, ENTRY_PRE, n) || !harness_run(h, mode, ENTRY_COUNT, n)) return NAN;
	Buffer *inv = harness_buffer(h, SLOT_INV, 0), *loss = harness_buffer(h, SLOT_LOSS, 0);
	set_inv(h, mode, 0);
	if (!harness_rows(h, mode) || !harness_run(h, mode, ENTRY_POST, n)) return NAN;
	sum_tasks(h, mode);
	double total = 0;
	for (int l = 0; l < s->loss.n; l++)
		for (int64_t b = 0; b < blocks(h) && (!h->only || h->only == l + 1); b++)
			total += s->loss.at[l].weight * harness_get(loss, mode, b * s->loss.n + l) *
				 harness_get(inv, mode, l);
	return total;
}
