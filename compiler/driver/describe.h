/* A checked model as a reader of its logs sees it: features, labels, and no more. */
#ifndef DESCRIBE_H
#define DESCRIBE_H
#include "ir/spec.h"
#include "runtime/model.h"

MtlModel describe_model(Arena *a, const Spec *s);
#endif
