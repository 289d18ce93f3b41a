/*
 * What an evaluation measures, row by row.
 *
 * Columns are called NAME.logit, NAME.label, NAME.weight; a value's first is NAME.estimate, a class has
 * NAME.loss and NAME.right in their places.  The last is the row's group as a number, 0 where there is none.
 */
#include "evalrows.h"
#include "shortest.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

MtlStatus mtl_evalrows_open(MtlEvalRows *r, const MtlModel *m, const char *path, MtlError *e)
{
	static const char *const part[][3] = {[MTL_WATCH_PROB] = {"logit", "label", "weight"},
					      [MTL_WATCH_VALUE] = {"estimate", "label", "weight"},
					      [MTL_WATCH_CLASS] = {"loss", "right", "weight"}};
	*r = (MtlEvalRows){.m = m, .path = path, .to = fopen(path, "we")};
	if (!r->to)
		return mtl_fail(e, MTL_SYSTEM, "F0213", path, "cannot open for writing: %s", strerror(errno));
	for (int k = 0; k < m->n_watch; k++)
		for (int i = 0; i < 3; i++)
			fprintf(r->to, "\"%s.%s\",", m->watch[k].name, part[m->watch[k].kind][i]);
	fputs("group\n", r->to);
	return MTL_OK;
}

void mtl_evalrows_add(void *self, const MtlBatch *b, const mtl_real *watch)
{
	MtlEvalRows *r = self;
	char text[MTL_FLOAT_TEXT];
	for (int64_t i = 0; i < b->n; i++) {
		for (int k = 0; k < 3 * r->m->n_watch; k++) {
			int n = mtl_print_real(text, *watch++);
			text[n] = ',';
			fwrite(text, 1, (size_t)n + 1, r->to);
		}
		fprintf(r->to, "%" PRIu64 "\n", b->group[i]);
	}
	if (ferror(r->to)) r->failed = true;
}

MtlStatus mtl_evalrows_close(MtlEvalRows *r, MtlError *e)
{
	bool bad = r->to && (fclose(r->to) != 0 || r->failed);
	r->to = NULL;
	return bad ? mtl_fail(e, MTL_SYSTEM, "F0212", r->path, "cannot write the rows") : MTL_OK;
}
