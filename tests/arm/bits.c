/*
 * The kernels of a model for NEON, and what they must compute: the bits of the interpreter rounding to float
 * on the x86-64-v3 form.  The orders of sums depend on shapes alone, so that two machines with fused
 * multiply-add agree.
 *
 *   bits MODEL.mtl DIR [bf16|int8]    leaves DIR/llvm.o, kernels.c, table.h, in.bin, out.bin; tests/arm/run.c
 * reads the rest
 */
#include "driver/compile.h"
#include "driver/harness.h"
#include "emit/emit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 77, ENTRIES = 6 /* pre, score, watch, count, step, post */ };

static FILE *file(const char *dir, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	if (!f) perror(path), exit(1);
	return f;
}

/* The four bytes of element i as kernels see it. */
static void put(FILE *f, const Buffer *b, int64_t i)
{
	float x = b->elem == ELEM_F32 ? (float)b->d[i] : 0;
	fwrite(b->elem == ELEM_F32 ? (void *)&x : (void *)&b->i[i], 4, 1, f);
}

static void table(FILE *f, const Lowered *low, const Harness *h)
{
	fprintf(f, "enum { BUFFERS = %d, ROWS = %d };\n", h->buffer.n, ROWS);
	fprintf(f, "static const struct { long n; int judged; } buffer[] = {");
	for (int i = 0; i < h->buffer.n; i++) {
		SlotKind k = h->buffer.at[i].kind;
		fprintf(f, "{%lld, %d}, ", (long long)h->buffer.at[i].n, k != SLOT_WORK && k != SLOT_PACKED);
	}
	fprintf(f, "};\n");
	for (int e = 0; e < ENTRIES; e++)
		fprintf(f, "void %s_%s(void *const *, const long *);\n", low->mod->name,
			low->entry.at[e].fn->name);
	fprintf(f, "static const struct { void (*run)(void *const *, const long *); int n, at[256]; } "
		   "entry[] = {\n");
	for (int e = 0; e < ENTRIES; e++) {
		const Entry *en = &low->entry.at[e];
		fprintf(f, "\t{%s_%s, %d, {", low->mod->name, en->fn->name, en->n_slot);
		for (int s = 0; s < en->n_slot; s++)
			fprintf(f, "%d, ",
				(int)(harness_buffer((Harness *)h, en->slot[s].kind, en->slot[s].index) -
				      h->buffer.at));
		fprintf(f, "}},\n");
	}
	fprintf(f, "};\n");
}

int main(int argc, char **argv)
{
	if (argc < 3) return 2;
	Compilation c;
	compilation_init(&c);
	CompileRequest r = {
	    .path = argv[1], .n_target = 2, .target = {target_find("v3"), target_find("neon")}};
	for (int p = 0; argc > 3 && p < 3; p++)
		if (!strcmp(argv[3], precision_word[p])) r.precision = (Precision)p;
	if (!compile(&c, &r)) return 1;
	const Lowered *judge = c.lowered.at[0], *low = c.lowered.at[1];
	Harness *a = harness_new(c.arena, c.spec, judge, NULL, ROWS, 1),
		*h = harness_new(c.arena, c.spec, low, NULL, ROWS, 1);
	Buffer *inv = harness_buffer(a, SLOT_INV, 0);
	for (int64_t i = 0; inv && i < inv->n; i++) harness_set(inv, i, 1.0 / (double)(float)(i + 7));
	harness_sync(a);
	for (int phase = 0; phase < 2; phase++) {
		FILE *f = file(argv[2], phase ? "out.bin" : "in.bin");
		for (int i = 0; i < h->buffer.n; i++) {
			Buffer *b = &h->buffer.at[i], *from = harness_buffer(a, b->kind, b->index),
			       none = {0};
			none.elem = b->elem;
			for (int64_t k = 0; k < b->n; k++) {
				bool have =
				    from && k < from->n && b->kind != SLOT_WORK && b->kind != SLOT_PACKED;
				double zero = 0;
				int32_t no = 0;
				none.d = &zero;
				none.i = &no;
				put(f, have ? from : &none, have ? k : 0);
			}
		}
		fclose(f);
		int64_t n[1] = {ROWS};
		for (int e = 0; e < ENTRIES && !phase; e++)
			if (!harness_run(a, RUN_FLOAT, e, n)) fprintf(stderr, "%s\n", a->fault), exit(1);
	}
	FILE *f = file(argv[2], "table.h");
	table(f, low, h);
	fclose(f);
	Text text = {0}, error = {0};
	emit_c(low->mod, &text, false);
	f = file(argv[2], "kernels.c");
	fwrite(text.at, 1, text.n, f);
	fclose(f);
	char path[4096];
	snprintf(path, sizeof path, "%s/llvm.o", argv[2]);
	EmitTarget t = {.triple = low->target->triple, .cpu = low->target->cpu, .features = "", .level = 1};
	bool ok = emit_llvm(low->mod, &t, EMIT_OBJECT, path, &error);
	if (!ok) fprintf(stderr, "%s\n", error.at);
	text_free(&text);
	text_free(&error);
	compilation_free(&c);
	return !ok;
}
