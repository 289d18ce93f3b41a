/* Factors of the learning rate. */
#include "schedule.h"
#include <math.h>

bool mtl_schedule_open_end(const MtlSchedule *s)
{
	return (s->kind == MTL_SCHEDULE_LINEAR || s->kind == MTL_SCHEDULE_COSINE) && s->steps == 0;
}

double mtl_schedule_factor(const MtlSchedule *s, int64_t t, int64_t steps)
{
	if (t <= s->warmup) return (double)t / (double)s->warmup;
	if (s->kind == MTL_SCHEDULE_CONSTANT) return 1;
	if (s->kind == MTL_SCHEDULE_STEP) return pow(s->by, (double)((t - 1) / s->every));
	int64_t done = t - 1 - s->warmup, all = steps - s->warmup;
	double x = done < all ? (double)done / (double)all : 1;
	if (s->kind == MTL_SCHEDULE_LINEAR) return 1 - (1 - s->floor) * x;
	return s->floor + (1 - s->floor) * (1 + cos(M_PI * x)) / 2;
}
