/*
 * Sequences in ONNX: what goes over steps there is a mask and a reduction over the second dimension.
 */
#ifndef OPS_STEPS_ONNX_H
#define OPS_STEPS_ONNX_H
#include "ir/onnx.h"

int each_step_onnx(Onnx *o, const Node *n, const int *x);
int sum_steps_onnx(Onnx *o, const Node *n, const int *x);
int max_steps_onnx(Onnx *o, const Node *n, const int *x);
int end_step_onnx(Onnx *o, const Node *n, const int *x);
int length_onnx(Onnx *o, const Node *n, const int *x);
#endif
