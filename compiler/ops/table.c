/* The table of ops: one row each, from the families. */
#include "ir/op.h"
#include <string.h>

#define OP(NAME, word, n_in, group) extern const Op op_##word;
#include "ir/ops.def"
#undef OP

static const Op none = {.word = "none"};
const Op *const op_table[OP_N] = {
    [OP_NONE] = &none,
#define OP(NAME, word, n_in, group) [OP_##NAME] = &op_##word,
#include "ir/ops.def"
#undef OP
};

OpCode op_find(const char *word)
{
	for (int i = 1; i < OP_N; i++)
		if (!strcmp(op_table[i]->word, word)) return (OpCode)i;
	return OP_NONE;
}
