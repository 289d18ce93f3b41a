/*
 * The call of a kernel: from the slots its entry asks for to pointers.
 */
#include "frame.h"

/* Where slot s begins, row 0.  Kernels see void * throughout; those that only read do not write. */
static const void *base(const MtlFrame *f, const MtlSlot *s)
{
	const MtlBatch *b = f->batch;
	const MtlSteps *steps = f->steps ? f->steps : b ? b->steps : NULL;
	int i = s->index;
	switch (s->kind) {
	case MTL_SLOT_WORK: return f->work;
	case MTL_SLOT_PARAM: return f->in->param;
	case MTL_SLOT_PACKED: return f->in->packed;
	case MTL_SLOT_ACC: return f->acc;
	case MTL_SLOT_GRAD: return f->grad;
	case MTL_SLOT_MOMENT: return f->in->moment[i];
	case MTL_SLOT_ID: return b->column[i].id;
	case MTL_SLOT_BAG_START: return b->column[i].bag_start;
	case MTL_SLOT_BAG_ITEM: return b->column[i].bag_item;
	case MTL_SLOT_BAG_SCALE: return b->column[i].bag_scale;
	case MTL_SLOT_REAL: return b->column[i].real;
	case MTL_SLOT_PRESENT: return b->column[i].present;
	case MTL_SLOT_NOISE: return f->noise[i];
	case MTL_SLOT_TABLE: return f->in->table[i];
	case MTL_SLOT_DROWS: return f->drows;
	case MTL_SLOT_CAN1: return b->can1[i];
	case MTL_SLOT_CAN0: return b->can0[i];
	case MTL_SLOT_WEIGHT: return b->weight;
	case MTL_SLOT_INV: return f->inv;
	case MTL_SLOT_COUNT: return f->count;
	case MTL_SLOT_LOSS: return f->loss;
	case MTL_SLOT_OUT: return f->out;
	case MTL_SLOT_WATCH: return f->watch;
	case MTL_SLOT_GATE: return f->gate;
	case MTL_SLOT_REQUEST: return f->request;
	case MTL_SLOT_ITEM: return f->item;
	case MTL_SLOT_HYPER: return f->hyper;
	case MTL_SLOT_UNIQ: return f->touched->uniq;
	case MTL_SLOT_START: return f->touched->start;
	case MTL_SLOT_SRC: return f->touched->src;
	case MTL_SLOT_SCALE: return f->touched->scale;
	case MTL_SLOT_SAMPLE: return b->sample[i];
	case MTL_SLOT_KNOWN: return b->known[i];
	case MTL_SLOT_STEP_AT: return steps[i].at;
	case MTL_SLOT_STEP_ROW: return steps[i].row;
	case MTL_SLOT_STEP_BLOCK: return steps[i].block;
	case MTL_SLOT_DSTEPS: return f->drows ? f->drows + mtl_batch_drows(b, f->in->m, i) : NULL;
	case MTL_SLOT_MEET: return f->meet;
	case MTL_SLOT_NEXT: return f->next;
	case MTL_SLOT_KEEP: return f->keep[i];
	case MTL_SLOT_GROUP: return b->group_start;
	case MTL_N_SLOT: break;
	}
	return NULL;
}

/* Bytes of an element of a slot. */
static const int8_t element[] = {
#define f32		      sizeof(mtl_real)
#define i32		      sizeof(int32_t)
#define SLOT(name, elem, doc) elem,
#include "abi.def"
#undef SLOT
#undef f32
#undef i32
};

void mtl_frame_call(const MtlFrame *f, int which, int64_t row, int64_t lo, int64_t hi)
{
	MtlKernel *kernel = f->in->variant->kernel[which];
	if (!kernel) return;
	const MtlEntry *en = &f->in->m->entry[which];
	void *buf[en->n_slot + 1];
	for (int i = 0; i < en->n_slot; i++) {
		const MtlSlot *s = &en->slot[i];
		const char *p = base(f, s);
		int64_t step = (s->per_block ? row / MTL_BLOCK : row) * s->stride;
		if (s->kind == MTL_SLOT_REQUEST) step = 0; /* its rows are those of this call */
		if (f->steps && (s->kind == MTL_SLOT_STEP_ROW || s->kind == MTL_SLOT_STEP_BLOCK)) step = 0;
		buf[i] = (void *)(uintptr_t)(p && step ? p + element[s->kind] * step : p);
	}
	kernel(buf, (const int64_t[]){lo, hi});
}

int64_t mtl_frame_work(const MtlInstance *in, int first, int last)
{
	int64_t most = 0;
	for (int i = first; i <= last && i < in->m->n_entry; i++)
		if (in->variant->work[i] > most) most = in->variant->work[i];
	return most;
}
