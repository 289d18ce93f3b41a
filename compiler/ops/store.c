/* One absorbed elementwise op in a kernel's store. */
#include "ops/store.h"
#include "base/text.h"

Store *store_of(Lowering *l, NodeId id, Store *s, Loc *arg, int *n)
{
	NodeId user = l->absorbed[id];
	if (!user) return NULL;
	const Node *u = &l->g->node.at[user];
	*s = (Store){.op = u->op, .attr = u->attr, .n = u->n_in, .m = l->m};
	Text name = {0};
	text_printf(&name, "_%s", op_table[u->op]->word);
	for (int i = 0; i < u->n_in; i++) {
		Src *src = &s->src[i];
		if (u->in[i] == id) {
			src->kind = SRC_RESULT;
			text_add(&name, "_y");
			continue;
		}
		src->kind = src_kind(l->g, u->in[i], user);
		if (src->kind == SRC_CONST) {
			src->k = l->g->node.at[u->in[i]].attr.k;
			text_printf(&name, "_%g", src->k);
			continue;
		}
		Loc at = lo_value(l, u->in[i]);
		src->stride = at.stride;
		arg[(*n)++] = at;
		text_printf(&name, "_%c%d", "rcfwls"[src->kind], (int)at.stride);
	}
	for (char *c = name.at; *c; c++)
		if (*c == '.' || *c == '-' || *c == '+') *c = *c == '-' ? 'm' : 'p';
	s->suffix = arena_strdup(l->arena, name.at);
	text_free(&name);
	return s;
}

void store_buffers(Fn *f, Store *s)
{
	for (int i = 0; s && i < s->n; i++)
		if (s->src[i].kind > SRC_CONST) s->src[i].buf = f_buf(f, BUF_IN, ELEM_F32, "h", 0);
}

StoreRegs store_regs(Fn *f, const Store *s, int lanes)
{
	StoreRegs r = {{0}};
	for (int i = 0; s && i < s->n; i++) r.x[i] = f_reg(f, "h", lanes, 1, 1);
	return r;
}

int store_expr(Fn *f, const Store *s, const StoreRegs *r, int result, Aff row, Aff col, Aff count)
{
	int lanes = f->expr.at[result].lanes;
	for (int i = 0; i < s->n; i++) {
		const Src *src = &s->src[i];
		int e = result;
		if (src->kind == SRC_CONST)
			e = e_const(f, lanes, src->k);
		else if (src->kind == SRC_FULL)
			e = e_load_n(f, lanes, src->buf, aff_add(aff_mul(row, src->stride), col), count);
		else if (src->kind == SRC_COLUMN)
			e = e_load_n(f, lanes, src->buf, col, count);
		else if (src->kind == SRC_ROW)
			e = e_splat(f, lanes, e_load(f, 1, src->buf, aff_mul(row, src->stride)));
		else if (src->kind == SRC_SCALAR)
			e = e_splat(f, lanes, e_load(f, 1, src->buf, aff_c(0)));
		else if (i > 0 && src->kind == SRC_RESULT) {
			/* An expression is used once: a second use reads the register of the first. */
			for (int k = 0; k < i; k++)
				if (s->src[k].kind == SRC_RESULT) e = e_reg1(f, r->x[k]);
		}
		f_set1(f, r->x[i], e);
	}
	Each each = {.m = s->m, .f = f, .lanes = lanes};
	return op_table[s->op]->each(&each, &s->attr, r->x);
}
