/* Names and what they stand for. */
#include "front/scope.h"

const Binding *scope_push(Arena *a, const Binding *top, Str name, const Value *v, Role role, Span span)
{
	Binding *b = arena_new(a, Binding, 1);
	*b = (Binding){name, v, role, span, arena_new(a, bool, 1), top};
	return b;
}

const Binding *scope_find(const Binding *top, Str name)
{
	for (const Binding *b = top; b; b = b->next)
		if (b->name == name) {
			if (!b->value) return NULL;
			*b->used = true;
			return b;
		}
	return NULL;
}

const char *role_word(Role r)
{
	static const char *const word[] = {
	    [ROLE_NONE] = "value",	  [ROLE_CONST] = "const",     [ROLE_LOOP] = "loop variable",
	    [ROLE_ARGUMENT] = "argument", [ROLE_WEIGHTS] = "weights", [ROLE_SHARED] = "shared value",
	    [ROLE_EXPERTS] = "experts",	  [ROLE_GATE] = "gate",	      [ROLE_TOWER] = "tower",
	    [ROLE_LET] = "value",
	};
	return word[r];
}

const char *value_kind_word(const Value *v)
{
	static const char *const word[] = {
	    [V_POISON] = "nothing",
	    [V_NUMBER] = "a number",
	    [V_STRING] = "a string",
	    [V_WORD] = "an event",
	    [V_LIST] = "a list",
	    [V_KEYED] = "a value for each key",
	    [V_TENSOR] = "a tensor",
	    [V_SCORE] = "a score",
	    [V_PROB] = "a probability",
	    [V_LOSS] = "a loss",
	    [V_CLASS] = "the probabilities of classes",
	    [V_GROUP] = "a feature group",
	    [V_SEQ] = "a sequence",
	    [V_LAYER] = "a layer",
	};
	return word[v->kind];
}

void near_add(Near *n, const char *name) { vec_push(n->arena, &n->name, name); }

void near_scope(Near *n, const Binding *top)
{
	for (const Binding *b = top; b; b = b->next)
		if (b->value) near_add(n, b->name);
}

const char *near_best(const Near *n, const char *wanted)
{
	return str_nearest(wanted, n->name.at, n->name.n);
}
