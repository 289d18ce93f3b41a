/* A checked model as a reader of its logs sees it. */
#include "driver/describe.h"

MtlModel describe_model(Arena *a, const Spec *s)
{
	MtlFeature *f = arena_new(a, MtlFeature, s->feature.n + 1);
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *from = &s->feature.at[i];
		/* Enumerators of ir/spec.h stand in the order of runtime/model.h. */
		f[i] = (MtlFeature){.name = from->name,
				    .group = s->group.at[from->group].name,
				    .column = from->column,
				    .kind = (MtlKind)from->kind,
				    .code = (MtlCode)from->code,
				    .candidate = s->group.at[from->group].candidate,
				    .train_only = from->train_only,
				    .n = from->n,
				    .min_count = from->min_count,
				    .vocab = from->vocab.at,
				    .n_vocab = from->vocab.n,
				    .edges = from->edges.at,
				    .n_edges = from->edges.n,
				    .normal = (MtlNormal)from->normal,
				    .missing = (MtlMissing)from->missing,
				    .missing_value = from->missing_value,
				    .max_items = from->max_items,
				    .separator = from->separator,
				    .cross = from->cross.at,
				    .n_cross = from->cross.n,
				    .same_code = from->share};
	}
	const Events *e = s->events;
	MtlEvent *event = arena_new(a, MtlEvent, e->event.n + 1);
	for (int i = 0; i < e->event.n; i++)
		event[i] = (MtlEvent){e->event.at[i].name, e->event.at[i].parent, e->event.at[i].label.at,
				      e->event.at[i].label.n};
	MtlSample *sample = arena_new(a, MtlSample, s->sample.n + 1);
	for (int i = 0; i < s->sample.n; i++) {
		const Sample *from = &s->sample.at[i];
		sample[i] = (MtlSample){.name = from->name,
					.column = from->column,
					.n_class = from->classes,
					.class = from->word.n ? from->word.at : NULL,
					.positive = from->positive};
	}
	return (MtlModel){.abi = MTL_ABI,
			  .name = s->name,
			  .feature = f,
			  .n_feature = s->feature.n,
			  .label_column = e->column.at,
			  .n_label_column = e->column.n,
			  .event = event,
			  .n_event = e->event.n,
			  .sample = sample,
			  .n_sample = s->sample.n,
			  .weight_column = s->weight_column,
			  .group_column = s->group_column,
			  .contradiction = (MtlContradiction)s->contradiction};
}
