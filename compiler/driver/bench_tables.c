/*
 * The way of a batch through embedding tables, in nanoseconds a look-up: rows gathered, occurrences of one
 * row brought together, touched rows stepped.  1024 rows of twenty ids in one table of width 16 with Adagrad;
 * ids are uniform, the worst there is, and every batch has its own.  Each figure is the least of many
 * batches; behind the whole stands the median of wholes.
 */
#define _GNU_SOURCE
#include "driver/bench_tables.h"
#include "pass/pass.h"
#include "runtime/group.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FIELDS = 20, ROWS = 1024, DIM = 16, BATCHES = 48, TURNS = 4 };

typedef void Kernel(void *const *, const int64_t *);

typedef struct {
	Compilation c;
	Spec *s;
	const Lowered *low;
	Kernel *gather, *update;
	int64_t rows; /* of the table */
	float *table, *drows, *work, hyper[8];
	int32_t *id; /* [BATCHES][FIELDS][ROWS] */
	MtlTouched touched;
	MtlModel model;
	MtlFeature feature[FIELDS];
	MtlLookup lookup[FIELDS];
	MtlColumn column[FIELDS];
} Tables;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Every look-up's value is its gradient: nothing but tables is left of a step. */
static bool build(Tables *t, const LinkRequest *link, const Target *target, Text *error)
{
	Compilation *c = &t->c;
	Spec *s = t->s = spec_new(c->arena, c->str);
	Graph *g = graph_new(c->arena, c->str);
	s->name = str_intern(c->str, "tables");
	s->events = events_new(c->arena, c->str);
	s->tables = (Optimizer){.kind = OPT_ADAGRAD, .lr = 0.05, .eps = 1e-8};
	vec_push(c->arena, &s->table, ((Table){.name = s->name, .rows = t->rows, .dim = DIM}));
	for (int i = 0; i < FIELDS; i++) {
		vec_push(c->arena, &s->feature,
			 ((Feature){.name = s->name, .kind = FEATURE_ID, .share = -1}));
		vec_push(c->arena, &s->lookup, ((Lookup){.feature = i, .offset = -1, .block = -1}));
		NodeId x = graph_push(g, OP_LOOKUP, shape_1(true, DIM), 0, NULL, (Attr){.i = i, .j = DIM},
				      (Span){0});
		graph_root(g, ROOT_DROW, i, x);
	}
	pass_records(s, false);
	pass_rows(s, g);
	vec_push(c->arena, &c->lowered, pass_lower(c->arena, s, &(Graphs){.train = g}, target));
	t->low = c->lowered.at[0];
	LinkRequest l = *link;
	l.verbose = false;
	void *lib = link_load(c, &l, error);
	if (!lib) return false;
	char name[2][256];
	snprintf(name[0], sizeof name[0], "%s_step", t->low->mod->name);
	snprintf(name[1], sizeof name[1], "%s_%s", t->low->mod->name, t->low->entry.at[ENTRY_TABLE].fn->name);
	*(void **)&t->gather = dlsym(lib, name[0]);
	*(void **)&t->update = dlsym(lib, name[1]);
	return t->gather && t->update;
}

static void *slot(Tables *t, const Slot *s, int batch)
{
	switch (s->kind) {
	case SLOT_TABLE: return t->table;
	case SLOT_ID: return t->id + ((int64_t)batch * FIELDS + s->index) * ROWS;
	case SLOT_DROWS: return t->drows;
	case SLOT_UNIQ: return t->touched.uniq;
	case SLOT_START: return t->touched.start;
	case SLOT_SRC: return t->touched.src;
	case SLOT_SCALE: return t->touched.scale;
	case SLOT_HYPER: return t->hyper;
	default: return t->work;
	}
}

static double call(Tables *t, Kernel *k, int entry, int batch, const int64_t *size)
{
	const Entry *e = &t->low->entry.at[entry];
	void *buf[64];
	for (int i = 0; i < e->n_slot; i++) buf[i] = slot(t, &e->slot[i], batch);
	double from = now();
	k(buf, size);
	return now() - from;
}

static bool room(Tables *t)
{
	const MtlSys *sys = &mtl_sys;
	int64_t ids = (int64_t)BATCHES * FIELDS * ROWS;
	t->table = mtl_new(sys, float, t->rows * t->s->table.at[0].stride);
	t->drows = mtl_new(sys, float, (int64_t)ROWS *FIELDS *DIM);
	t->work = mtl_new(sys, float, t->low->entry.at[ENTRY_STEP].work + 1024);
	t->id = mtl_new(sys, int32_t, ids);
	if (!t->table || !t->drows || !t->work || !t->id) return false;
	uint64_t seed = 1;
	for (int64_t i = 0; i < ids; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		t->id[i] = (int32_t)((double)(seed >> 33) * 0x1p-31 * (double)t->rows);
	}
	for (int i = 0; i < FIELDS; i++) {
		t->feature[i] = (MtlFeature){.name = "", .kind = MTL_ID};
		t->lookup[i] = (MtlLookup){.feature = i, .offset = t->s->lookup.at[i].offset};
	}
	t->model = (MtlModel){.feature = t->feature,
			      .n_feature = FIELDS,
			      .lookup = t->lookup,
			      .n_lookup = FIELDS,
			      .n_drow = t->s->n_drow};
	t->hyper[0] = 0.05F;
	t->hyper[6] = 1;
	return true;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static bool measure(Tables *t)
{
	double best[3] = {1, 1, 1}, all[TURNS * BATCHES];
	for (int i = 0; i < TURNS * BATCHES; i++) {
		int batch = i % BATCHES;
		double time[3];
		MtlError e;
		for (int f = 0; f < FIELDS; f++)
			t->column[f].id = t->id + ((int64_t)batch * FIELDS + f) * ROWS;
		MtlBatch b = {.n = ROWS, .cap = ROWS, .column = t->column};
		time[0] = call(t, t->gather, ENTRY_STEP, batch, (int64_t[]){ROWS});
		time[1] = now();
		if (mtl_touched_fill(&t->touched, &mtl_sys, &t->model, &b, 0, t->rows, &e)) return false;
		time[1] = now() - time[1];
		time[2] = call(t, t->update, ENTRY_TABLE, batch, (int64_t[]){0, t->touched.n_uniq});
		all[i] = time[0] + time[1] + time[2];
		for (int k = 0; k < 3; k++) best[k] = time[k] < best[k] ? time[k] : best[k];
	}
	qsort(all, TURNS * BATCHES, sizeof *all, by_size);
	static const double each = 1e9 / (ROWS * FIELDS);
	printf("%-12lld %10.2f %12.2f %10.2f %10.2f %10.2f\n", (long long)t->rows, best[0] * each,
	       best[1] * each, best[2] * each, all[0] * each, all[TURNS * BATCHES / 2] * each);
	fflush(stdout);
	return true;
}

bool bench_tables(const LinkRequest *link, const Target *target, Text *error)
{
	static const int64_t rows[] = {100000, 1000000, 10000000};
	bool good = true;
	printf("\ntable rows      gather   duplicates    adagrad      whole     median   (ns a look-up; "
	       "width 16, 1024 x 20)\n");
	for (size_t i = 0; good && i < sizeof rows / sizeof *rows; i++) {
		Tables t = {.rows = rows[i]};
		compilation_init(&t.c);
		good = build(&t, link, target, error);
		if (good && room(&t))
			good = measure(&t);
		else if (good)
			printf("%-12lld no memory\n", (long long)rows[i]);
		mtl_touched_free(&t.touched, &mtl_sys);
		void *own[] = {t.table, t.drows, t.work, t.id};
		for (int k = 0; k < 4; k++) mtl_release(&mtl_sys, own[k]);
		compilation_free(&t.c);
	}
	return good;
}
