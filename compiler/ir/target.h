/* What lowering knows of a machine: one row per instruction-set variant.  A new machine is a new row. */
#ifndef TARGET_H
#define TARGET_H
#include <stdbool.h>

typedef struct {
	const char *name;	      /* what `info` and MTL_VARIANT call it */
	const char *suffix;	      /* in symbols: "v4" */
	int level;		      /* MtlVariant.level */
	const char *cpu;	      /* for LLVM */
	const char *march;	      /* for -march= */
	const char *tune;	      /* for -mtune=; NULL: as march says */
	const char *triple;	      /* NULL: this machine's */
	const char *features, *flags; /* beyond cpu and march: for LLVM, for the C compiler; NULL: none */
	bool dot4; /* an instruction for words (ir/loop.h): of use where layers are of reduced precision */
	int W;	   /* f32 lanes */
	bool fma;
	int M, J;   /* register tile of a dense layer: M rows by J vectors of outputs */
	int chains; /* independent sums that hide the latency of a fused multiply-add */
	/* asked for, not the machine's: a copy of a row has it */
	bool blas; /* matrix products by a library instead of tiles */
	bool f64;  /* double precision throughout */
} Target;

extern const Target targets[]; /* of this family of machines, the best first */
extern const int n_targets;
bool target_runs(const Target *t);	     /* on this machine */
const Target *target_find(const char *name); /* of any family; NULL */
#endif
