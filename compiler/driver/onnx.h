/* A trained model as an ONNX file. */
#ifndef DRIVER_ONNX_H
#define DRIVER_ONNX_H
#include "driver/compile.h"

/* weights: the scorer's (freeze.h).  False: *error holds one line. */
bool onnx_file(const Compilation *c, const char *weights, const char *producer, const char *out, Text *error);
#endif
