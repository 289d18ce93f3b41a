/*
 * The boundary between tasks: the parameters and tables that more than one loss teaches.
 *
 * A task is a loss that teaches one of them.  Where the model's balance works on gradients, each task gets a
 * gradient of its own of all that is shared, and of nothing else: above the boundary one backward pass serves
 * all losses anyway, since each parameter there belongs to one of them.
 *
 * Needs   `losses` of parameters and tables (pass_reach).
 * Leaves  `shared`, the tasks, and the layout of a task's block in GRAD.
 */
#include "pass/pass.h"

static bool several(uint64_t losses) { return losses & (losses - 1); }

void pass_boundary(Spec *s)
{
	uint64_t at_boundary = 0;
	int64_t size = 0;
	for (int i = 0; i < s->param.n; i++) {
		Param *p = &s->param.at[i];
		p->shared = !p->frozen && several(p->losses);
		if (!p->shared) continue;
		at_boundary |= p->losses;
		p->block = size;
		size += (shape_size(p->shape) + 15) / 16 * 16;
	}
	for (int i = 0; i < s->table.n; i++) {
		s->table.at[i].shared = !s->table.at[i].frozen && several(s->table.at[i].losses);
		if (s->table.at[i].shared) at_boundary |= s->table.at[i].losses;
	}
	for (int l = 0; l < s->loss.n && l < 63; l++)
		if (at_boundary >> l & 1) vec_push(s->arena, &s->task, l);
	s->n_shared = size;
	s->task_gradients = s->balance.kind >= BALANCE_GRADNORM;
}
