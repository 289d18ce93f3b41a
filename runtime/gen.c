/*
 * Synthetic logs whose truth is known.
 *
 * Every effect is a hash of (seed, field, value), so nothing is stored and the truth of a row depends on its
 * cells alone; the rows themselves come from one stream of random numbers.
 */
#include "gen.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- random numbers ---- */

static uint64_t scramble(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}
static uint64_t next(uint64_t *s) { return scramble(*s += UINT64_C(0x9e3779b97f4a7c15)); }
static double unit(uint64_t bits) { return ((double)(bits >> 11) + 0.5) * 0x1p-53; } /* within (0, 1) */
static double uniform(uint64_t *s) { return unit(next(s)); }

/* Two independent normal numbers (Box and Muller). */
static void normals(uint64_t a, uint64_t b, double *x, double *y)
{
	double r = sqrt(-2 * log(unit(a))), angle = 2 * M_PI * unit(b);
	*x = r * cos(angle);
	*y = r * sin(angle);
}

static uint64_t hash3(uint64_t seed, uint64_t field, uint64_t value)
{
	return scramble(scramble(scramble(seed + UINT64_C(0x9e3779b97f4a7c15)) ^ field) ^ value);
}

static double normal_of(uint64_t seed, uint64_t field, uint64_t value)
{
	double x, y;
	uint64_t h = hash3(seed, field, value);
	normals(h, scramble(h + 1), &x, &y);
	return x;
}

/* ---- a file that appears whole or not at all; a device or a pipe is written as it stands ---- */

enum { OUT_BUFFER = 1 << 18, LONGEST_CELL = 64 };

typedef struct {
	const MtlSys *sys;
	const char *path;
	char *temporary; /* NULL: stdout, or what is no plain file */
	int fd;
	char *buf;
	size_t n;
	bool deaf; /* nobody reads stdout any more */
} Out;

static MtlStatus cannot(const Out *o, const char *what, MtlError *e)
{
	return mtl_fail(e, MTL_SYSTEM, "F0104", o->fd != 1 ? o->path : "stdout", "cannot %s: %s", what,
			strerror(errno));
}

static MtlStatus out_open(Out *o, const MtlSys *sys, const char *path, MtlError *e)
{
	static const char suffix[] = ".partial";
	*o = (Out){.sys = sys, .path = path, .fd = 1};
	size_t n = strlen(path);
	o->buf = mtl_new(sys, char, OUT_BUFFER);
	if (!o->buf) return mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory to write it");
	if (strcmp(path, "-") == 0) return MTL_OK;
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->fd = sys->open(sys->self, path, O_WRONLY | O_CLOEXEC, 0);
		return o->fd < 0 ? cannot(o, "open for writing", e) : MTL_OK;
	}
	o->temporary = mtl_new(sys, char, n + sizeof suffix);
	if (!o->temporary) return mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory to write it");
	memcpy(o->temporary, path, n);
	memcpy(o->temporary + n, suffix, sizeof suffix);
	o->fd = sys->open(sys->self, o->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return o->fd < 0 ? cannot(o, "open for writing", e) : MTL_OK;
}

static MtlStatus out_flush(Out *o, MtlError *e)
{
	for (size_t at = 0; at < o->n && !o->deaf;) {
		ssize_t k = o->sys->write(o->sys->self, o->fd, o->buf + at, o->n - at);
		if (k < 0 && errno == EINTR) continue;
		if (k < 0 && errno == EPIPE && !o->temporary) {
			o->deaf = true;
			break;
		}
		if (k < 0) return cannot(o, "write", e);
		at += (size_t)k;
	}
	o->n = 0;
	return MTL_OK;
}

/* Room for one more row of at most `cells` cells. */
static MtlStatus out_room(Out *o, size_t cells, MtlError *e)
{
	return o->n + cells * LONGEST_CELL > OUT_BUFFER ? out_flush(o, e) : MTL_OK;
}

static MtlStatus out_close(Out *o, MtlStatus st, MtlError *e)
{
	const MtlSys *sys = o->sys;
	if (!st) st = out_flush(o, e);
	if (!o->temporary && o->fd > 1 && sys->close(sys->self, o->fd) != 0 && !st)
		st = cannot(o, "close", e);
	if (o->temporary && o->fd >= 0) {
		if (!st && sys->sync(sys->self, o->fd) != 0) st = cannot(o, "write", e);
		if (sys->close(sys->self, o->fd) != 0 && !st) st = cannot(o, "close", e);
		if (!st && sys->rename(sys->self, o->temporary, o->path) != 0) st = cannot(o, "rename", e);
		if (st) sys->remove(sys->self, o->temporary);
	}
	mtl_release(sys, o->temporary);
	mtl_release(sys, o->buf);
	return st;
}

__attribute__((format(printf, 2, 3))) static void put(Out *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	o->n += (size_t)vsnprintf(o->buf + o->n, OUT_BUFFER - o->n, fmt, ap);
	va_end(ap);
}

/* ---- impressions ---- */

enum { USERS = 2000, ITEMS = 1000, AGE_GROUPS = 5, CATEGORIES = 12, TAGS = 30, MOST_TAGS = 4 };

typedef struct {
	int user, item, male, age, age_group, category, n_tags, tag[MOST_TAGS];
	double price; /* < 0: not known */
} Impression;

/* What an effect belongs to; its first four hash for the attributes themselves. */
typedef enum {
	OF_USER,
	OF_ITEM,
	OF_TAG_CHOICE,
	OF_PRICE_CHOICE,
	OF_GENDER,
	OF_AGE,
	OF_CATEGORY,
	OF_TAG,
	OF_PRICE
} Field;

static Impression impression(uint64_t seed, uint64_t *random)
{
	Impression i = {0};
	double u = uniform(random), v = uniform(random);
	/* Density 1 / sqrt(rank): the first quarter of the users gives half of the impressions. */
	i.user = (int)(USERS * u * u);
	i.item = (int)(ITEMS * v * v);
	uint64_t who = hash3(seed, 100 + OF_USER, (uint64_t)i.user),
		 what = hash3(seed, 100 + OF_ITEM, (uint64_t)i.item);
	i.male = (int)(who & 1);
	i.age = 14 + (int)((who >> 8) % 30) + (int)((who >> 32) % 30);
	i.age_group = (i.age >= 18) + (i.age >= 25) + (i.age >= 35) + (i.age >= 50);
	i.category = (int)((what >> 8) % CATEGORIES);
	i.n_tags = (int)((what >> 20) % (MOST_TAGS + 1));
	for (int t = 0; t < i.n_tags; t++)
		i.tag[t] = (int)(hash3(seed, 100 + OF_TAG_CHOICE, (uint64_t)(i.item * MOST_TAGS + t)) % TAGS);
	double log_price = 3 + 0.8 * normal_of(seed, 100 + OF_PRICE_CHOICE, (uint64_t)i.item);
	i.price = what % 10 == 0 ? -1 : round(exp(log_price) * 100) / 100;
	return i;
}

/* ---- probabilities ---- */

enum { CLICK, FIRST, SECOND, THIRD, MOST_STEPS };

/* One event of the log: which step's effects it has, and its intercept. */
typedef struct {
	uint64_t seed;
	double correlation; /* of the other steps' effects with those of the click */
	double intercept[MOST_STEPS];
} Truth;

static double effect(const Truth *t, int step, Field f, int value)
{
	double click = normal_of(t->seed, f, (uint64_t)value);
	if (step == CLICK) return click;
	double own = normal_of(t->seed, (uint64_t)f + 1000 * (uint64_t)step, (uint64_t)value);
	return t->correlation * click + sqrt(1 - t->correlation * t->correlation) * own;
}

/* Deviation over impressions about 1.2. */
static double effects(const Truth *t, int step, const Impression *i)
{
	double z = 0.7 * effect(t, step, OF_USER, i->user) + 0.6 * effect(t, step, OF_ITEM, i->item) +
		   0.3 * effect(t, step, OF_GENDER, i->male) + 0.3 * effect(t, step, OF_AGE, i->age_group) +
		   0.5 * effect(t, step, OF_CATEGORY, i->category);
	double tags = 0;
	for (int k = 0; k < i->n_tags; k++) tags += effect(t, step, OF_TAG, i->tag[k]);
	if (i->n_tags > 0) z += 0.4 * tags / i->n_tags;
	/* Effect 0 is the price's, effect 1 that of its absence. */
	if (i->price < 0) return z + 0.3 * effect(t, step, OF_PRICE, 1);
	return z + 0.3 * effect(t, step, OF_PRICE, 0) * (log1p(i->price) - 3) / 0.8;
}

static double logistic(double z) { return 1 / (1 + exp(-z)); }

static double probability(const Truth *t, int step, const Impression *i)
{
	return logistic(t->intercept[step] + effects(t, step, i));
}

enum { CALIBRATION = 20000 };

/* The intercept that gives the mean `rate` under weights w; bisection. */
static double intercept_for(const double *z, const double *w, double rate)
{
	double lo = -30, hi = 30;
	for (int k = 0; k < 60; k++) {
		double mid = (lo + hi) / 2, sum = 0, all = 0;
		for (int i = 0; i < CALIBRATION; i++) {
			sum += w[i] * logistic(mid + z[i]);
			all += w[i];
		}
		if (sum < rate * all)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

typedef struct {
	int steps;
	double rate[MOST_STEPS]; /* of the rows in which the step's condition holds */
} Rates;
/* buy of click; act of click, buy of act, buy of the other clicks */
static const Rates funnel_rates = {2, {0.15, 0.15}}, esm2_rates = {4, {0.15, 0.25, 0.30, 0.05}};

/* Sets the intercepts on a sample of impressions; scratch: 3 * CALIBRATION. */
static void calibrate(Truth *t, const Rates *r, double *scratch)
{
	double *z = scratch, *w = z + CALIBRATION, *clicked = w + CALIBRATION;
	for (int step = 0; step < r->steps; step++) {
		uint64_t random = hash3(t->seed, 2000, 0); /* the same impressions each time */
		for (int k = 0; k < CALIBRATION; k++) {
			Impression i = impression(t->seed, &random);
			z[k] = effects(t, step, &i);
			w[k] = step == CLICK ? 1 : clicked[k];
			if (step == SECOND) w[k] *= probability(t, FIRST, &i);
			if (step == THIRD) w[k] *= 1 - probability(t, FIRST, &i);
		}
		t->intercept[step] = intercept_for(z, w, r->rate[step]);
		for (int k = 0; step == CLICK && k < CALIBRATION; k++)
			clicked[k] = logistic(t->intercept[CLICK] + z[k]);
	}
}

static void put_impression(Out *o, const Impression *i)
{
	put(o, "u%d,%c,%d,i%d,c%d,", i->user, i->male ? 'M' : 'F', i->age, i->item, i->category);
	for (int t = 0; t < i->n_tags; t++) put(o, t ? "|t%d" : "t%d", i->tag[t]);
	if (i->price < 0)
		put(o, ",");
	else
		put(o, ",%.2f", i->price);
}

static void put_funnel(Out *o, const Truth *t, const Impression *i, uint64_t *random)
{
	double click = probability(t, CLICK, i), buy = probability(t, FIRST, i);
	bool clk = uniform(random) < click, pay = (uniform(random) < buy) && clk;
	put(o, ",%d,%d,%.6g,%.6g\n", clk, pay, click, buy);
}

static void put_esm2(Out *o, const Truth *t, const Impression *i, uint64_t *random)
{
	double click = probability(t, CLICK, i), act = probability(t, FIRST, i);
	double buy_act = probability(t, SECOND, i), buy_other = probability(t, THIRD, i);
	bool clk = uniform(random) < click, acts = (uniform(random) < act) && clk;
	double which = uniform(random); /* of those who act 60 % cart only, 25 % wish only, 15 % both */
	bool cart = acts && (which < 0.6 || which >= 0.85), wish = acts && which >= 0.6;
	bool pay = (uniform(random) < (acts ? buy_act : buy_other)) && clk;
	put(o, ",%d,%d,%d,%d,%.6g,%.6g,%.6g,%.6g\n", clk, cart, wish, pay, click, act, buy_act, buy_other);
}

static MtlStatus write_impressions(Out *o, bool esm2, int64_t rows, Truth *t, MtlError *e)
{
	double *scratch = mtl_new(o->sys, double, 3 * CALIBRATION);
	if (!scratch) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory to set the rates");
	calibrate(t, esm2 ? &esm2_rates : &funnel_rates, scratch);
	mtl_release(o->sys, scratch);
	put(o, "user_id,gender,age,item_id,category,tags,price,%s\n",
	    esm2 ? "clk,cart,wish,pay,true_click,true_act_given_click,true_buy_given_act,true_buy_given_oact"
		 : "clk,pay,true_click,true_buy_given_click");
	uint64_t random = hash3(t->seed, 3000, 0);
	MtlStatus st = MTL_OK;
	for (int64_t k = 0; k < rows && !st && !o->deaf; k++) {
		Impression i = impression(t->seed, &random);
		st = out_room(o, 20, e);
		if (st) break;
		put_impression(o, &i);
		if (esm2)
			put_esm2(o, t, &i, &random);
		else
			put_funnel(o, t, &i, &random);
	}
	return st;
}

/* ---- two related regressions ---- */

static double dot(const double *a, const double *b)
{
	double sum = 0;
	for (int i = 0; i < MTL_PAIR_INPUTS; i++) sum += a[i] * b[i];
	return sum;
}

static void scale_to_one(double *a)
{
	double r = 1 / sqrt(dot(a, a));
	for (int i = 0; i < MTL_PAIR_INPUTS; i++) a[i] *= r;
}

void mtl_pair_init(MtlPair *p, uint64_t seed, double correlation, int waves)
{
	*p = (MtlPair){.waves = waves, .random = hash3(seed, 4000, 0)};
	double *u1 = p->w[0], *u2 = p->w[1];
	for (int i = 0; i < MTL_PAIR_INPUTS; i++) {
		uint64_t a = next(&p->random), b = next(&p->random);
		normals(a, b, &u1[i], &u2[i]);
	}
	scale_to_one(u1);
	double along = dot(u1, u2); /* Gram and Schmidt */
	for (int i = 0; i < MTL_PAIR_INPUTS; i++) u2[i] -= along * u1[i];
	scale_to_one(u2);
	for (int i = 0; i < MTL_PAIR_INPUTS; i++)
		u2[i] = correlation * u1[i] + sqrt(1 - correlation * correlation) * u2[i];
}

void mtl_pair_row(MtlPair *p, double *x, double *y)
{
	double noise[2];
	for (int i = 0; i < MTL_PAIR_INPUTS; i += 2) {
		uint64_t a = next(&p->random), b = next(&p->random);
		normals(a, b, &x[i], &x[i + 1]);
	}
	/* What a file can hold in few bytes: y is a function of what the reader of the file sees. */
	for (int i = 0; i < MTL_PAIR_INPUTS; i++) x[i] = round(x[i] * 1e4) / 1e4;
	uint64_t a = next(&p->random), b = next(&p->random);
	normals(a, b, &noise[0], &noise[1]);
	for (int k = 0; k < 2; k++) {
		double z = dot(p->w[k], x);
		y[k] = z + 0.1 * noise[k];
		for (int i = 1; i <= p->waves; i++) y[k] += sin(i * z + 0.5 * (i - 1));
	}
}

static MtlStatus write_pairs(Out *o, int64_t rows, uint64_t seed, double correlation, MtlError *e)
{
	MtlPair p;
	mtl_pair_init(&p, seed, correlation, 4);
	for (int i = 0; i < MTL_PAIR_INPUTS; i++) put(o, "x%d,", i);
	put(o, "y1,y2,b1,b2\n");
	MtlStatus st = MTL_OK;
	for (int64_t k = 0; k < rows && !st && !o->deaf; k++) {
		double x[MTL_PAIR_INPUTS], y[2];
		mtl_pair_row(&p, x, y);
		st = out_room(o, MTL_PAIR_INPUTS + 4, e);
		if (st) break;
		for (int i = 0; i < MTL_PAIR_INPUTS; i++) put(o, "%.4f,", x[i] + 0.0);
		put(o, "%.6g,%.6g,%d,%d\n", y[0], y[1], y[0] > 0, y[1] > 0);
	}
	return st;
}

MtlStatus mtl_gen(const MtlSys *sys, const char *kind, int64_t rows, uint64_t seed, double correlation,
		  const char *path, MtlError *e)
{
	bool funnel = strcmp(kind, "funnel") == 0, esm2 = strcmp(kind, "esm2") == 0,
	     mmoe = strcmp(kind, "mmoe") == 0;
	if (!funnel && !esm2 && !mmoe)
		return mtl_fail(e, MTL_USAGE, "", NULL,
				"no synthetic log \"%s\"; there are funnel, esm2 and mmoe", kind);
	if (rows < 0) return mtl_fail(e, MTL_USAGE, "", NULL, "a log cannot have %lld rows", (long long)rows);
	if (isnan(correlation)) correlation = mmoe ? 0.5 : 0.9;
	if (correlation < -1 || correlation > 1)
		return mtl_fail(e, MTL_USAGE, "", NULL, "a correlation is between -1 and 1, not %g",
				correlation);
	Out o;
	MtlStatus st = out_open(&o, sys, path, e);
	Truth t = {.seed = seed, .correlation = correlation};
	if (!st)
		st = mmoe ? write_pairs(&o, rows, seed, correlation, e)
			  : write_impressions(&o, esm2, rows, &t, e);
	return out_close(&o, st, e);
}
