/* A checked model: constructors.  Decisions are taken in front/. */
#include "ir/spec.h"

Spec *spec_new(Arena *a, StrTab *str)
{
	Spec *s = arena_new(a, Spec, 1);
	s->arena = a;
	s->str = str;
	s->events = events_new(a, str);
	s->g = graph_new(a, str);
	s->dense = (Optimizer){.kind = OPT_ADAM, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
	s->tables = s->dense;
	s->batch = 1024;
	s->epochs = 1;
	s->seed = 1;
	return s;
}

int spec_param(Spec *s, Param p)
{
	vec_push(s->arena, &s->param, p);
	return s->param.n - 1;
}

int spec_feature_read(const Spec *s, const Node *n)
{
	if (n->op == OP_REAL || n->op == OP_PRESENT) return n->attr.i;
	if (n->op == OP_LENGTH) return s->seq.at[n->attr.i - 1].feature.at[0]; /* tells where the steps lie */
	return n->op == OP_LOOKUP ? s->lookup.at[n->attr.i].feature : -1;
}

int64_t spec_param_offset(const Spec *s, int param)
{
	int64_t at = 0;
	for (int i = 0; i < param; i++) at += (shape_size(s->param.at[i].shape) + 15) / 16 * 16;
	return at;
}

int64_t spec_param_floats(const Spec *s) { return spec_param_offset(s, s->param.n); }

int64_t spec_next_offset(const Spec *s, int running)
{
	int64_t at = 0;
	for (int i = 0; i < running; i++)
		at += (shape_size(s->param.at[s->running.at[i].param].shape) + 15) / 16 * 16;
	return at;
}

int64_t spec_grad_floats(const Spec *s)
{
	return spec_param_floats(s) + (s->task_gradients ? s->task.n * s->n_shared : 0);
}

int optimizer_moments(const Optimizer *o)
{
	switch (o->kind) {
	case OPT_SGD: return 0;
	case OPT_ADAGRAD:
	case OPT_ROW_ADAGRAD:
	case OPT_MOMENTUM:
	case OPT_NESTEROV: return 1;
	case OPT_ADAM:
	case OPT_FTRL: return 2;
	}
	return 0;
}

int optimizer_record(const Optimizer *o, int dim)
{
	return dim + optimizer_moments(o) * (o->kind == OPT_ROW_ADAGRAD ? 1 : dim);
}

int narrow_record(Precision p, int dim)
{
	return p == PRECISION_INT8 ? 1 + (dim + 3) / 4 : p == PRECISION_BF16 ? (dim + 1) / 2 : dim;
}
