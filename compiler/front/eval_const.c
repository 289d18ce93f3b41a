/* What is known before any data: constants, -D, whole numbers, conditions. */
#include "front/checker.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

bool want_number(Check *c, const Value *v, Span at, const char *what, double *out)
{
	if (v->kind == V_POISON) return false;
	if (v->kind != V_NUMBER) {
		told(c, at, "M0310", "%s must be a number known at compile time, %s is %s", what,
		     describe(c, v), value_kind_word(v));
		return false;
	}
	*out = v->number;
	return true;
}

bool want_whole(Check *c, const Value *v, Span at, const char *what, double lo, double hi, int64_t *out)
{
	double x;
	if (!want_number(c, v, at, what, &x)) return false;
	if (x != floor(x) || x < lo || x > hi) {
		told(c, at, "M0311", "%s must be a whole number from %.0f to %.0f, not %g", what, lo, hi, x);
		return false;
	}
	*out = (int64_t)x;
	return true;
}

bool truth(Check *c, const Value *v, Span at, bool *out)
{
	if (v->kind == V_POISON) return false;
	if (v->kind == V_NUMBER)
		*out = v->number != 0;
	else if (v->kind == V_LIST)
		*out = v->item.n > 0;
	else {
		told(c, at, "M0312", "a condition is decided at compile time: it needs a number, %s is %s",
		     describe(c, v), value_kind_word(v));
		return false;
	}
	return true;
}

Str key_of(Check *c, const Value *v)
{
	if (v->kind == V_NUMBER && v->number == floor(v->number) && fabs(v->number) < 1e9)
		return str_printf(c->str, "%.0f", v->number);
	if (v->kind == V_STRING) return v->text;
	if (v->kind == V_GROUP) return c->s->group.at[v->group].name;
	return v->name;
}

const Value *fold_numbers(Check *c, AstKind op, double a, double b, Span at)
{
	double r = 0;
	switch (op) {
	case AST_ADD: r = a + b; break;
	case AST_SUB: r = a - b; break;
	case AST_MUL: r = a * b; break;
	case AST_DIV: r = a / b; break;
	case AST_POW: r = pow(a, b); break;
	case AST_LT: r = a < b; break;
	case AST_LE: r = a <= b; break;
	case AST_GT: r = a > b; break;
	case AST_GE: r = a >= b; break;
	case AST_EQ: r = a == b; break;
	case AST_NE: r = a != b; break;
	case AST_AND: r = a != 0 && b != 0; break;
	case AST_OR: r = a != 0 || b != 0; break;
	default: bug("no such operation on numbers: %d", (int)op);
	}
	if (!isfinite(r)) {
		told(c, at, "M0313", "this is %s", isnan(r) ? "not a number" : "infinite");
		return poison(c);
	}
	return number_value(c, r, at);
}

/* ---- const and -D ---- */

static const Value *parse_atom(Check *c, const char *text, size_t n, Span at)
{
	while (n && *text == ' ') text++, n--;
	while (n && text[n - 1] == ' ') n--;
	char *copy = arena_strndup(c->a, text, n), *w = copy;
	for (const char *r = copy; *r; r++)
		if (*r != '_') *w++ = *r;
	*w = '\0';
	char *end;
	double k = strtod(copy, &end);
	if (*copy && !*end && isfinite(k)) return number_value(c, k, at);
	return new_value(c, (Value){.kind = V_STRING, .text = str_internn(c->str, text, n), .span = at});
}

/* "64", "1e-3", "relu", "[200, 80]". */
static const Value *parse_define(Check *c, const char *text, Span at)
{
	size_t n = strlen(text);
	if (n < 2 || text[0] != '[' || text[n - 1] != ']') return parse_atom(c, text, n, at);
	Value v = {.kind = V_LIST, .span = at};
	for (const char *p = text + 1, *stop = text + n - 1; p < stop;) {
		const char *comma = memchr(p, ',', (size_t)(stop - p));
		if (!comma) comma = stop;
		vec_push(c->a, &v.item, parse_atom(c, p, (size_t)(comma - p), at));
		p = comma + 1;
	}
	return new_value(c, v);
}

static bool same_kind(const Value *a, const Value *b)
{
	return a->kind == b->kind || a->kind == V_POISON ||
	       (b->kind == V_STRING && (a->kind == V_WORD || a->kind == V_LAYER));
}

void collect_const(Check *c, const Ast *item)
{
	const Binding *old = scope_find(c->consts, item->name);
	if (old) {
		told(c, item->name_span, "M0303", "const '%s' is defined twice", item->name);
		diag_note(c->d, old->span, "the first time here");
		return;
	}
	c->scope = c->consts;
	const Value *v = eval(c, item->a);
	if (v->kind != V_NUMBER && v->kind != V_STRING && v->kind != V_LIST && v->kind != V_KEYED &&
	    v->kind != V_LAYER && v->kind != V_WORD && v->kind != V_POISON) {
		told(c, item->a->span, "M0304", "const '%s' must be known at compile time, this is %s",
		     item->name, value_kind_word(v));
		v = poison(c);
	}
	for (int i = 0; c->defines && i < c->defines->n; i++) {
		const Define *def = &c->defines->at[i];
		if (strcmp(def->name, item->name)) continue;
		c->defined[i] = true;
		const Value *given = parse_define(c, def->value, item->a->span);
		if (!same_kind(v, given)) {
			told(c, item->name_span, "M0305", "-D %s=%s gives %s, const '%s' is %s", def->name,
			     def->value, value_kind_word(given), item->name, value_kind_word(v));
			continue;
		}
		if (given->kind == V_STRING && v->kind == V_LAYER) {
			Ast *name = ast_new(c->a, AST_NAME, item->a->span);
			name->name = given->text;
			given = eval(c, name);
		}
		v = given;
	}
	Value named = *v;
	if (named.kind != V_LAYER && named.kind != V_WORD) {
		named.name = item->name;
		named.role = ROLE_CONST;
	}
	c->consts = scope_push(c->a, c->consts, item->name, new_value(c, named), ROLE_CONST, item->name_span);
	*c->consts->used = false;
}

void check_defines(Check *c)
{
	for (int i = 0; c->defines && i < c->defines->n; i++) {
		if (c->defined[i]) continue;
		Near n = {.arena = c->a};
		near_scope(&n, c->consts);
		diag_error(c->d, (Span){0, 0}, "M0306", "-D %s: the model has no const of that name",
			   c->defines->at[i].name);
		help_near(c, &n, c->defines->at[i].name);
	}
}
