/*
 * The model a server answers with.
 *
 * An answer takes the model once and gives it back when its last number is written; a reload puts another one
 * in its place for those who come later.  The last to give one back closes it.
 */
#include "served.h"
#include <pthread.h>

struct MtlServed {
	const MtlSys *sys;
	const MtlDoor *door;
	const char *path;
	pthread_mutex_t lock, reloading;
	MtlTaken *now;
};

static MtlStatus open_one(const MtlServed *s, MtlTaken **out, MtlError *e)
{
	MtlTaken *t = mtl_new(s->sys, MtlTaken, 1);
	if (!t) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	t->users = 1;
	if (mtl_library_open(s->door, MTL_DOOR_ABI, s->door->interface, s->path, &t->library,
			     (MtlDoorError *)(void *)e)) {
		mtl_release(s->sys, t);
		return e->status;
	}
	*out = t;
	return MTL_OK;
}

MtlStatus mtl_served_open(MtlServed **out, const MtlSys *sys, const MtlDoor *d, const char *path, MtlError *e)
{
	MtlServed *s = mtl_new(sys, MtlServed, 1);
	*out = NULL;
	if (!s) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	*s = (MtlServed){.sys = sys,
			 .door = d,
			 .path = path,
			 .lock = PTHREAD_MUTEX_INITIALIZER,
			 .reloading = PTHREAD_MUTEX_INITIALIZER};
	if (open_one(s, &s->now, e)) {
		mtl_release(sys, s);
		return e->status;
	}
	*out = s;
	return MTL_OK;
}

MtlTaken *mtl_served_take(MtlServed *s)
{
	pthread_mutex_lock(&s->lock);
	MtlTaken *t = s->now;
	t->users++;
	pthread_mutex_unlock(&s->lock);
	return t;
}

void mtl_served_give(MtlServed *s, MtlTaken *t)
{
	pthread_mutex_lock(&s->lock);
	bool last = --t->users == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last) return;
	mtl_library_close(t->library);
	mtl_release(s->sys, t);
}

MtlStatus mtl_served_reload(MtlServed *s, MtlError *e)
{
	if (!s->path)
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"the weights served are those inside the program: --model names a file that "
				"can be read again");
	MtlTaken *next, *before;
	pthread_mutex_lock(&s->reloading);
	MtlStatus st = open_one(s, &next, e);
	if (!st) {
		pthread_mutex_lock(&s->lock);
		before = s->now;
		s->now = next;
		pthread_mutex_unlock(&s->lock);
		mtl_served_give(s, before);
	}
	pthread_mutex_unlock(&s->reloading);
	return st;
}

void mtl_served_close(MtlServed *s)
{
	if (!s) return;
	mtl_served_give(s, s->now);
	mtl_release(s->sys, s);
}
