/* docs/ops.md, from the table of ops: printed by tests/docs/ops.sh. */
#include "ir/op.h"
#include <stdio.h>

static const char *const group_name[] = {
    [GROUP_INPUT] = "Inputs",
    [GROUP_EMBED] = "Tables",
    [GROUP_UNARY] = "One operand, element by element",
    [GROUP_BINARY] = "Several operands, element by element",
    [GROUP_DENSE] = "Dense layers",
    [GROUP_REDUCE] = "Sums",
    [GROUP_SHAPE] = "Form",
    [GROUP_MIX] = "Mixtures of experts",
    [GROUP_SEQ] = "Sequences",
    [GROUP_PEERS] = "Rows of a group",
};

static void op_print(const Op *op)
{
	printf("### %s\n\n%s", op->word, op->doc);
	if (op->formula) printf(" `%s`", op->formula);
	bool source = op->group == GROUP_INPUT || op->group == GROUP_EMBED; /* gradients end there */
	printf(op->grad || source ? "\n" : " No gradient.\n");
	if (op->example) printf("\n    %s\n", op->example);
	putchar('\n');
}

int main(void)
{
	puts("# Ops\n\n"
	     "What the graph of a model is made of. Made from the table in `compiler/ops/` by "
	     "`tests/docs/ops.sh --bless`;\n"
	     "layers, which models are written with, are in `grammar/prelude.mtl` and "
	     "[language.md](language.md).\n"
	     "Operands of different shape are broadcast, a scalar to `[d]` or `[n]`, each of these to `[n, "
	     "d]`. Names with `_d` are\n"
	     "parts of gradients.\n");
	for (size_t g = 0; g < sizeof group_name / sizeof *group_name; g++) {
		printf("## %s\n\n", group_name[g]);
		for (int i = 1; i < OP_N; i++)
			if (op_table[i]->group == (OpGroup)g) op_print(op_table[i]);
	}
	return 0;
}
