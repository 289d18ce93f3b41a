/*
 * Weights of outside origin.
 */
#include "import.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_MAP = 1 << 20 };

typedef struct {
	char *theirs, *ours; /* ours NULL: left out */
	bool transposed, used;
	int line;
} Pair;

typedef struct {
	const MtlSys *sys;
	const char *map, *weights;
	MtlStore *store;
	char *text;
	Pair *pair;
	int n;
	bool *taken; /* of the store's tensors */
	MtlError *e;
} Import;

static MtlStatus no_memory(MtlError *e) { return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory"); }

/* ---- the map ---- */

static MtlStatus read_text(Import *m)
{
	int fd = m->sys->open(m->sys->self, m->map, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0) return mtl_fail(m->e, MTL_SYSTEM, "F0101", m->map, "cannot open: %s", strerror(errno));
	size_t n = 0;
	ssize_t k = 1;
	if (!(m->text = mtl_new(m->sys, char, LONGEST_MAP + 1))) k = 0;
	while (k > 0 && n < LONGEST_MAP) {
		k = m->sys->read(m->sys->self, fd, m->text + n, LONGEST_MAP - n);
		if (k > 0) n += (size_t)k;
	}
	int why = errno;
	(void)m->sys->close(m->sys->self, fd);
	if (!m->text) return no_memory(m->e);
	if (k < 0) return mtl_fail(m->e, MTL_SYSTEM, "F0103", m->map, "cannot read: %s", strerror(why));
	if (n == LONGEST_MAP) return mtl_fail(m->e, MTL_LIMIT, "", m->map, "a map of more than a megabyte");
	return MTL_OK;
}

static MtlStatus bad_line(Import *m, int line, const char *why)
{
	char place[512];
	snprintf(place, sizeof place, "%s:%d", m->map, line);
	return mtl_fail(m->e, MTL_DATA, "D0132", place, "%s; a line is: theirs = ours [transposed]", why);
}

static MtlStatus read_line(Import *m, char *s, int line)
{
	char *save, *word[4] = {0};
	int n = 0;
	s[strcspn(s, "#\r")] = '\0';
	for (char *w = strtok_r(s, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		if (n == 4) return bad_line(m, line, "too many words");
		word[n++] = w;
	}
	if (!n) return MTL_OK;
	if (n < 3 || strcmp(word[1], "=") != 0) return bad_line(m, line, "no '=' between two names");
	if (word[3] && strcmp(word[3], "transposed") != 0)
		return bad_line(m, line, "the word behind the names can only be `transposed`");
	Pair p = {word[0], strcmp(word[2], "-") ? word[2] : NULL, word[3] != NULL, false, line};
	for (int i = 0; i < m->n; i++) {
		if (!strcmp(m->pair[i].theirs, p.theirs))
			return bad_line(m, line, "this tensor had a line before");
		if (p.ours && m->pair[i].ours && !strcmp(m->pair[i].ours, p.ours))
			return bad_line(m, line, "this parameter had a line before");
	}
	m->pair[m->n++] = p;
	return MTL_OK;
}

static MtlStatus read_map(Import *m)
{
	int lines = 1, line = 1;
	if (!m->map) return MTL_OK;
	if (read_text(m)) return m->e->status;
	for (const char *p = m->text; *p; p++) lines += *p == '\n';
	if (!(m->pair = mtl_new(m->sys, Pair, lines))) return no_memory(m->e);
	for (char *s = m->text, *next; s; s = next, line++) {
		next = strchr(s, '\n');
		if (next) *next++ = '\0';
		if (read_line(m, s, line)) return m->e->status;
	}
	return MTL_OK;
}

/* ---- tensors ---- */

/* *i: its place among the store's. */
static const MtlTensor *take(Import *m, const char *name, int *at)
{
	for (int i = 0; i < mtl_store_count(m->store); i++)
		if (!strcmp(mtl_store_tensor(m->store, i)->name, name)) {
			m->taken[i] = true;
			*at = i;
			return mtl_store_tensor(m->store, i);
		}
	return NULL;
}

/* dst rows `stride` apart (0: dense) from [out, in]. */
static void copy_transposed(const MtlTensor *from, const MtlTensor *to, mtl_real *dst)
{
	int64_t stride = to->stride ? to->stride : to->dim[1];
	for (int64_t r = 0; r < to->dim[0]; r++)
		for (int64_t c = 0; c < to->dim[1]; c++) dst[r * stride + c] = from->data[c * to->dim[0] + r];
}

static MtlStatus bring(Import *m, const MtlTensor *want, mtl_real *dst)
{
	const Pair *p = NULL;
	for (int i = 0; i < m->n && !p; i++)
		if (m->pair[i].ours && !strcmp(m->pair[i].ours, want->name)) {
			m->pair[i].used = true;
			p = &m->pair[i];
		}
	const char *name = p ? p->theirs : want->name;
	int at = 0;
	const MtlTensor *have = take(m, name, &at);
	char a[96], b[96];
	if (!have)
		return mtl_fail(m->e, MTL_REFUSED, "F0202", m->weights, "no tensor %s, for %s %s", name,
				want->name, mtl_shape_text(want, a));
	if (!have->data)
		return mtl_fail(m->e, MTL_REFUSED, "F0006", m->weights,
				"tensor %s, for %s, is of %s; parameters are made of F32, F64, F16 or BF16",
				name, want->name, mtl_store_type(m->store, at));
	MtlTensor shape = *have;
	bool turned = p && p->transposed;
	if (turned && (have->n_dim != 2 || want->n_dim != 2))
		return bad_line(m, p->line, "only what has two dimensions can be transposed");
	if (turned) {
		shape.dim[0] = have->dim[1];
		shape.dim[1] = have->dim[0];
	}
	if (!mtl_same_shape(&shape, want)) {
		bool other = !turned && have->n_dim == 2 && want->n_dim == 2 &&
			     have->dim[0] == want->dim[1] && have->dim[1] == want->dim[0];
		return mtl_fail(m->e, MTL_REFUSED, "F0203", m->weights, "tensor %s is %s%s, and %s is %s%s",
				name, mtl_shape_text(have, a), turned ? " before it is transposed" : "",
				want->name, mtl_shape_text(want, b),
				other ? ": is it `transposed`? The map must say so" : "");
	}
	if (turned)
		copy_transposed(have, want, dst);
	else
		mtl_store_copy(have, dst, want->stride);
	return MTL_OK;
}

static MtlStatus nothing_left(Import *m)
{
	int at = 0;
	for (int i = 0; i < m->n; i++) {
		Pair *p = &m->pair[i];
		if (p->ours && !p->used)
			return bad_line(m, p->line, "the model has no parameter of this name");
		if (!p->ours && !take(m, p->theirs, &at))
			return bad_line(m, p->line, "the file has no tensor of this name");
	}
	for (int i = 0; i < mtl_store_count(m->store); i++)
		if (!m->taken[i])
			return mtl_fail(
			    m->e, MTL_REFUSED, "F0207", m->weights,
			    "tensor %s has no place in the model; to leave it out, the map says: %s = -",
			    mtl_store_tensor(m->store, i)->name, mtl_store_tensor(m->store, i)->name);
	return MTL_OK;
}

static MtlStatus bring_all(Import *m, MtlInstance *in)
{
	for (int i = 0; i < in->m->n_param_block; i++) {
		MtlTensor want = mtl_param_tensor(in, i, NULL);
		if (bring(m, &want, in->param + in->m->param[i].offset)) return m->e->status;
	}
	for (int t = 0; t < in->m->n_table; t++) {
		MtlTensor want = mtl_table_tensor(in, t, -1);
		if (bring(m, &want, in->table[t])) return m->e->status;
	}
	return nothing_left(m);
}

MtlStatus mtl_import(MtlInstance *in, const char *weights, const char *map, MtlError *e)
{
	Import m = {.sys = in->sys, .map = map, .weights = weights, .e = e};
	MtlStatus st = read_map(&m);
	if (!st) st = mtl_store_open_outside(&m.store, in->sys, weights, e);
	if (!st && !(m.taken = mtl_new(in->sys, bool, mtl_store_count(m.store) + 1))) st = no_memory(e);
	if (!st) st = bring_all(&m, in);
	mtl_store_close(m.store);
	mtl_release(in->sys, m.taken);
	mtl_release(in->sys, m.pair);
	mtl_release(in->sys, m.text);
	return st;
}
