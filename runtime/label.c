/*
 * What happened in a row: three-valued labels and the event tree.
 */
#include "label.h"

MtlTruth mtl_label_value(const MtlEvent *e, const MtlTruth *column, MtlTruth *stack)
{
	if (e->n_label == 0) return MTL_MAYBE;
	int n = 0;
	for (int i = 0; i < e->n_label; i++) {
		int op = e->label[i];
		if (op >= 0) {
			stack[n++] = column[op];
			continue;
		}
		unsigned x = stack[n - 1];
		if (op == MTL_LABEL_NOT) {
			stack[n - 1] = (MtlTruth)(x >> 1 | (x & 1) << 1);
			continue;
		}
		/* AND is true where both can be, false where either can be; OR the other way round. */
		unsigned y = stack[n - 2], both = x & y, either = x | y;
		unsigned true_of = op == MTL_LABEL_AND ? both : either,
			 false_of = op == MTL_LABEL_AND ? either : both;
		n--;
		stack[n - 1] = (MtlTruth)((true_of & MTL_TRUE) | (false_of & MTL_FALSE));
	}
	return stack[0];
}

static int false_ancestor(const MtlModel *m, const MtlTruth *event, int e)
{
	for (int a = m->event[e].parent; a >= 0; a = m->event[a].parent)
		if (event[a] == MTL_FALSE) return a;
	return -1;
}

MtlTreeFinding mtl_label_tree(const MtlModel *m, MtlTruth *event)
{
	MtlTreeFinding found = {0};
	for (int e = 0; e < m->n_event; e++) {
		if (event[e] != MTL_TRUE) continue;
		int a = false_ancestor(m, event, e);
		if (a < 0) continue;
		if (!found.contradiction)
			found = (MtlTreeFinding){.contradiction = true, .event = e, .ancestor = a};
		if (m->contradiction == MTL_CONTRADICTION_ZERO) event[e] = MTL_FALSE;
	}
	if (found.contradiction) {
		if (m->contradiction == MTL_CONTRADICTION_FAIL || m->contradiction == MTL_CONTRADICTION_DROP)
			return found;
		found.mended = true;
	}
	/* Children come after their parents: upwards from the last, then downwards from the first. */
	for (int e = m->n_event; e-- > 0;)
		if (event[e] == MTL_TRUE && m->event[e].parent >= 0) event[m->event[e].parent] = MTL_TRUE;
	for (int e = 0; e < m->n_event; e++)
		if (m->event[e].parent >= 0 && event[m->event[e].parent] == MTL_FALSE) event[e] = MTL_FALSE;
	return found;
}
