/*
 * JSON values as values of a scorer's doors.
 */
#include "cells.h"
#include "encode.h"
#include "jsonl.h"
#include "log.h"
#include "number.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- doors ---- */

static MtlDoorType type_of(const MtlModel *m, int feature)
{
	MtlCode code = m->feature[mtl_code_root(m, feature)].code;
	bool number = m->feature[feature].kind == MTL_NUMBER || code == MTL_BUCKET || code == MTL_QUANTILES;
	return number ? MTL_DOOR_REAL : MTL_DOOR_TEXT;
}

MtlStatus mtl_cells_door(MtlDoor *d, const MtlSys *sys, const MtlModel *m, MtlError *e)
{
	MtlMember *member = mtl_new(sys, MtlMember, m->n_feature + 1);
	int n = 0;
	if (!member) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	for (int i = 0; i < m->n_feature; i++) {
		const MtlFeature *f = &m->feature[i];
		if (f->train_only || f->n_cross) continue; /* a scorer's: or nothing reads it */
		size_t pointer = (size_t)n * sizeof(void *), value = (size_t)n * sizeof(MtlCellValue);
		member[n++] = (MtlMember){.feature = i,
					  .type = type_of(m, i),
					  .in_rows = pointer,
					  .in_side = f->candidate ? pointer : value};
	}
	*d = (MtlDoor){.model = m, .interface = "", .member = member, .n_member = n};
	return MTL_OK;
}

void mtl_cells_door_free(MtlDoor *d, const MtlSys *sys)
{
	mtl_release(sys, (void *)(uintptr_t)d->member);
	d->member = NULL;
}

/* ---- values ---- */

static const MtlFeature *feature(const MtlDoor *d, int member)
{
	return &d->model->feature[d->member[member].feature];
}

size_t mtl_cell_size(const MtlDoor *d, int member)
{
	if (feature(d, member)->kind == MTL_BAG) return sizeof(MtlDoorList);
	return d->member[member].type == MTL_DOOR_REAL ? sizeof(double) : sizeof(MtlDoorText);
}

static MtlStatus no_memory(MtlError *e) { return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory"); }

typedef struct {
	const MtlFeature *f;
	MtlDoorType type;
	const char *place; /* NULL: the row */
	int64_t row;
	MtlPad *pad;
	MtlError *e;
} Reading;

/* An error at the value at hand: its column, what is wrong, its text where there is one. */
static MtlStatus bad(const Reading *r, const char *code, const char *what, const char *p, size_t n)
{
	char row[32];
	snprintf(row, sizeof row, "row %lld", (long long)r->row);
	return mtl_fail(r->e, MTL_DATA, code, r->place ? r->place : row, "column \"%s\" %s%s%s%s",
			r->f->column, what, p ? ": \"" : "", p ? mtl_excerpt(p, n).s : "", p ? "\"" : "");
}

/* The text of a value: in the JSON, or in the pad.  NULL: *e. */
static const char *text_of(const Reading *r, const json_t *v, size_t *n)
{
	char number[MTL_JSON_NUMBER];
	const char *p = mtl_jsonl_text(v, number, n);
	if (!p) {
		bad(r, "D0130",
		    r->f->kind == MTL_BAG ? "holds more than a list of plain values"
		    : json_is_array(v)	  ? "is a list, and the model reads one value"
					  : "is an object, and the model reads one value",
		    NULL, 0);
		return NULL;
	}
	if (p != number) return p;
	char *copy = mtl_pad_new(r->pad, char, *n + 1);
	if (!copy) {
		no_memory(r->e);
		return NULL;
	}
	return memcpy(copy, number, *n + 1);
}

static MtlStatus real_of(const Reading *r, const json_t *v, double *x)
{
	size_t n = 0;
	*x = NAN; /* missing */
	if (json_is_number(v)) return *x = json_number_value(v), MTL_OK;
	const char *p = text_of(r, v, &n);
	if (!p) return r->e->status;
	if (n && !mtl_number(p, n, x)) return bad(r, "D0107", "is not a number", p, n);
	return MTL_OK;
}

/* An array's items as one text, as jsonl.c has them: so that an item's weight is read by the same code. */
static const char *joined(const Reading *r, const json_t *v, size_t *n)
{
	size_t all = 0, k;
	for (int pass = 0;; pass++) {
		char *to = pass ? mtl_pad_new(r->pad, char, all + 1) : NULL;
		if (pass && !to) {
			no_memory(r->e);
			return NULL;
		}
		*n = 0;
		for (size_t i = 0; i < json_array_size(v); i++) {
			char number[MTL_JSON_NUMBER];
			const char *p = mtl_jsonl_text(json_array_get(v, i), number, &k);
			if (!p && !text_of(r, json_array_get(v, i), &k)) return NULL;
			if (to && i) to[*n] = MTL_LIST_BYTE;
			*n += i > 0;
			if (to && k) memcpy(to + *n, p, k);
			*n += k;
		}
		if (to) return to;
		all = *n;
	}
}

static MtlStatus list_of(const Reading *r, const json_t *v, MtlDoorList *list)
{
	size_t n = 0, most = 1, k, at = 0;
	bool array = json_is_array(v), weighted = false, real = r->type == MTL_DOOR_REAL;
	const char *p = array ? joined(r, v, &n) : text_of(r, v, &n), *item;
	*list = (MtlDoorList){0};
	if (!p) return r->e->status;
	if (!n) return MTL_OK;
	char separator = array ? (char)MTL_LIST_BYTE : r->f->separator;
	for (size_t i = 0; i < n; i++) most += p[i] == separator;
	MtlDoorText *text = real ? NULL : mtl_pad_new(r->pad, MtlDoorText, most);
	double *number = real ? mtl_pad_new(r->pad, double, most) : NULL;
	float *weights = mtl_pad_new(r->pad, float, most);
	if (!(real ? (void *)number : (void *)text) || !weights) return no_memory(r->e);
	mtl_real weight = 1;
	for (const char *end = p + n;
	     mtl_is_field(r->f) ? mtl_step_item(&p, end, separator, &item, &k)
				: mtl_list_item(&p, end, separator, &item, &k, &weight, &weighted);) {
		if (text)
			text[at] = (MtlDoorText){item, k};
		else if (!k)
			number[at] = NAN; /* a step without a value */
		else if (!mtl_number(item, k, &number[at]))
			return bad(r, "D0109", "has a list item that is not a number", item, k);
		weights[at++] = (float)weight;
	}
	list->item = text ? (const void *)text : number;
	list->weight = weighted ? weights : NULL;
	list->n = at;
	return MTL_OK;
}

MtlStatus mtl_cell_read(const MtlDoor *d, int member, const json_t *v, const char *place, int64_t row,
			MtlPad *pad, void *to, MtlError *e)
{
	Reading r = {feature(d, member), d->member[member].type, place, row, pad, e};
	if (json_is_null(v)) v = NULL;
	if (r.f->kind == MTL_BAG) {
		*(MtlDoorList *)to = (MtlDoorList){0};
		return v ? list_of(&r, v, to) : MTL_OK;
	}
	if (r.type == MTL_DOOR_REAL) {
		*(double *)to = NAN;
		return v ? real_of(&r, v, to) : MTL_OK;
	}
	MtlDoorText *t = to;
	*t = (MtlDoorText){"", 0};
	return !v || (t->p = text_of(&r, v, &t->n)) ? MTL_OK : e->status;
}
