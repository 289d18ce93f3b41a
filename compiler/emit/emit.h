/* Printers of the loop form.  They decide nothing about order, tiles or packing. */
#ifndef EMIT_H
#define EMIT_H
#include "ir/loop.h"

/* Readable C: needs emit/mtl_vec.h, whose text is put in front (the result is one self-contained file). */
void emit_c(const Mod *m, Text *out, bool expand);

typedef struct {
	const char *triple;   /* NULL: this machine's */
	const char *cpu;      /* "x86-64-v4" */
	const char *features; /* "" */
	int level;	      /* code generation 0 .. 3 */
	bool begun;	      /* emit_llvm_begin was called */
} EmitTarget;

typedef enum { EMIT_OBJECT, EMIT_ASM, EMIT_IR } EmitKind;
/* Once before emit_llvm runs in several threads: each call has a context of its own, the list of machines is
 * one. */
void emit_llvm_begin(void);
/* Through LLVM's C API, to a file.  False: *error holds one line (system trouble only). */
bool emit_llvm(const Mod *m, const EmitTarget *t, EmitKind kind, const char *path, Text *error);
#endif
