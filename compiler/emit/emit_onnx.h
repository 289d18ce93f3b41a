/* An ONNX file of the ONNX form. */
#ifndef EMIT_ONNX_H
#define EMIT_ONNX_H
#include "ir/onnx.h"
#include <stdio.h>

typedef struct {
	const char *key, *value;
} EmitOnnxMeta;

/* Every tensor has its bytes.  False: a write failed (errno), or errno is EFBIG: such a file holds less than
 * 2 GiB. */
bool emit_onnx(const Onnx *o, const char *producer, const EmitOnnxMeta *meta, int n_meta, FILE *to);
#endif
