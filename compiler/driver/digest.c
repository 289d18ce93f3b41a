/* The identity of a model's structure. */
#include "driver/digest.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

Str digest(Spec *s)
{
	Text t = {0};
	for (int i = 0; i < s->feature.n; i++) {
		const Feature *f = &s->feature.at[i];
		text_printf(&t, "feature %s %s %d %d %lld %lld %d %d %d %.17g %d %d %d %d\n", f->name,
			    f->column, f->kind, f->code, (long long)f->n, (long long)f->min_count, f->normal,
			    f->missing, f->share, f->missing_value, f->pool_max ? 2 : f->pool_mean,
			    f->keep_last, f->max_items, f->separator);
		for (int k = 0; k < f->vocab.n; k++) text_printf(&t, "  word %s\n", f->vocab.at[k]);
		for (int k = 0; k < f->cross.n; k++) text_printf(&t, "  cross %d\n", f->cross.at[k]);
		for (int k = 0; k < f->edges.n; k++) text_printf(&t, "  edge %.17g\n", f->edges.at[k]);
	}
	for (int i = 0; i < s->param.n; i++) {
		Shape d = s->param.at[i].shape;
		text_printf(&t, "param %s %d %d %d %d\n", s->param.at[i].name, d.nd, d.d[0], d.d[1], d.d[2]);
	}
	for (int i = 0; i < s->table.n; i++)
		text_printf(&t, "table %s %d %lld %d\n", s->table.at[i].name, s->table.at[i].feature,
			    (long long)s->table.at[i].rows, s->table.at[i].dim);
	XXH64_hash_t h = XXH3_64bits(t.at ? t.at : "", t.n);
	text_free(&t);
	return str_printf(s->str, "%016llx", (unsigned long long)h);
}
