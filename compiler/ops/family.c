/* Shape rules and small words that several families use. */
#include "ops/family.h"
#include "ir/value.h"
#include "base/diag.h"

bool shape_like_first(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)n, (void)attr, (void)why;
	*out = g->node.at[in[0]].shape;
	return true;
}

static bool is_one(Shape s) { return shape_size(s) == 1; }

bool shape_broadcast(const Graph *g, int n, const NodeId *in, const Attr *attr, Shape *out, const char **why)
{
	(void)attr;
	Shape r = g->node.at[in[0]].shape;
	for (int i = 1; i < n; i++) {
		Shape s = g->node.at[in[i]].shape;
		bool rows = r.rows || s.rows;
		int seq = r.rows ? r.seq : s.seq;
		if (r.rows && s.rows && r.seq != s.seq) {
			*why = arena_printf(g->arena, "the operands go over different things: %s and %s",
					    shape_text(g->arena, r), shape_text(g->arena, s));
			return false;
		}
		if (is_one(r) && (!is_one(s) || s.nd > r.nd)) {
			r = s;
		} else if (!is_one(s)) {
			Shape a = r, b = s;
			a.rows = b.rows = true;
			a.seq = b.seq = seq;
			if (!shape_eq(a, b)) {
				*why = arena_printf(g->arena, "the operands have shapes %s and %s",
						    shape_text(g->arena, r), shape_text(g->arena, s));
				return false;
			}
		}
		r.rows = rows;
		r.seq = seq;
	}
	*out = r;
	return true;
}

int e_fn(Each *e, const char *value, int a)
{
	int fn = value_fn(e->m, value);
	if (fn < 0) bug("no value function %s", value);
	return e_call(e->f, fn, a);
}

int e_keep_as(Each *e, int expr)
{
	int r = f_reg(e->f, "t", e->lanes, 1, 1);
	f_set1(e->f, r, expr);
	return r;
}
