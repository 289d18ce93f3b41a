/*
 * The learning rate from step to step, as a factor of what `train { }` or --lr gives.
 *
 *   warm-up    t / W                                    steps t = 1 .. W
 *   constant   1
 *   step       by ^ floor((t - 1) / every)
 *   linear     1 - (1 - floor) x
 *   cosine     floor + (1 - floor) (1 + cos(pi x)) / 2   x = (t - 1 - W) / (T - W), at most 1
 *
 * T is the number of steps of the run.  The first step after the warm-up has the whole rate, and the last one
 * is the last before the floor: no step is spent at a rate of 0.  A step is a batch; t goes on where a run is
 * resumed.
 */
#ifndef MTL_SCHEDULE_H
#define MTL_SCHEDULE_H
#include "model.h"

/* Must the number of steps be found out before the first one? */
bool mtl_schedule_open_end(const MtlSchedule *s);
double mtl_schedule_factor(const MtlSchedule *s, int64_t t, int64_t steps);
#endif
