/*
 * What a comparison has found: means with intervals, differences seed by seed, who is best at what.
 */
#include "driver/compare.h"
#include <math.h>
#include <string.h>

/* Larger is better of some, of the rest smaller; calibration wants to be 1. */
static const struct {
	const char *name;
	bool larger;
} metric[METRICS] = {
    [AUC] = {"auc", true},	     [GAUC] = {"gauc", true},  [NDCG] = {"ndcg", true},
    [LOGLOSS] = {"logloss", false},  [NE] = {"ne", false},     [CALIBRATION] = {"calibration", false},
    [ACCURACY] = {"accuracy", true}, [RMSE] = {"rmse", false}, [MAE] = {"mae", false}};

const char *compare_metric(int m) { return metric[m].name; }

/* 97.5 % point of Student's t: tabled to 10 degrees of freedom, then by Cornish and Fisher's expansion (to
 * 0.1 %). */
static double student(int df)
{
	static const double t[] = {0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
	if (df <= 10) return t[df];
	const double z = 1.959964;
	return z + (z * z * z + z) / (4 * df) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96.0 * df * df);
}

typedef struct {
	int n;
	double mean, half; /* half of the interval; NaN with one value */
} Estimate;

/* A task by itself is judged by its own head alone: the others were not trained. */
static bool judged_by(const Comparison *c, int v, int head)
{
	return !c->variant[v].own || !strcmp(c->variant[v].own, c->head.at[head]);
}

/* Over the seeds, of variant a, or where b >= 0 of b - a. */
static Estimate estimate(const Comparison *c, int a, int b, int head, int m)
{
	Estimate e = {.half = NAN, .mean = NAN};
	if (!judged_by(c, a, head) || (b >= 0 && !judged_by(c, b, head))) return e;
	double sum = 0, square = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (int s = 0; s < c->n_seed; s++) {
			double x = *compare_value(c, a, s, head, m);
			if (b >= 0) x = *compare_value(c, b, s, head, m) - x;
			if (isnan(x)) continue;
			if (pass == 0) {
				sum += x;
				e.n++;
			} else {
				square += (x - e.mean) * (x - e.mean);
			}
		}
		if (pass == 0) e.mean = e.n ? sum / e.n : NAN;
	}
	if (e.n > 1) e.half = student(e.n - 1) * sqrt(square / (e.n - 1) / e.n);
	return e;
}

static void cell(const Estimate *e, bool difference, FILE *to)
{
	char text[64] = "";
	if (e->n && isnan(e->half))
		snprintf(text, sizeof text, difference ? "%+.5f" : "%.5f", e->mean);
	else if (e->n)
		snprintf(text, sizeof text, difference ? "%+.5f ± %.5f%s" : "%.5f ± %.5f%s", e->mean, e->half,
			 difference && fabs(e->mean) > e->half ? " *" : "");
	/* "±" is two bytes and one column. */
	fprintf(to, "  %-*s", 22 + (strstr(text, "±") != NULL), text);
}

static const char *thousands(Arena *a, double x)
{
	char s[32], *out = arena_alloc(a, 48), *to = out;
	int len = snprintf(s, sizeof s, "%.0f", x);
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0) *to++ = ',';
		*to++ = s[i];
	}
	return out;
}

static double speed(const Comparison *c, int v)
{
	double rows = 0, seconds = 0;
	for (int s = 0; s < c->n_seed; s++) {
		rows += c->job[v * c->n_seed + s].rows;
		seconds += c->job[v * c->n_seed + s].seconds;
	}
	return seconds > 0 ? rows / seconds : 0;
}

/* The metric a head is ranked by: AUC, accuracy or RMSE; -1: none of them was told. */
static int rank_of(const Comparison *c, int head)
{
	static const int by[] = {AUC, ACCURACY, RMSE};
	for (size_t i = 0; i < sizeof by / sizeof *by; i++)
		for (int v = 0; v < c->n_variant; v++)
			if (estimate(c, v, -1, head, by[i]).n) return by[i];
	return -1;
}

/* How much better b is than a at a head; positive is better whatever the metric. */
static Estimate gain(const Comparison *c, int a, int b, int head)
{
	int m = rank_of(c, head);
	Estimate e = m < 0 ? (Estimate){.mean = NAN, .half = NAN} : estimate(c, a, b, head, m);
	if (m >= 0 && !metric[m].larger) e.mean = -e.mean;
	return e;
}

/* A whole model that is nowhere worse than v and somewhere better, by the means; -1. */
static int better_everywhere(const Comparison *c, int v)
{
	for (int u = 0; u < c->n_variant; u++) {
		bool never_worse = u != v && !c->variant[u].own, better = false;
		int shared = 0;
		for (int h = 0; never_worse && h < c->head.n; h++) {
			Estimate e = gain(c, v, u, h);
			if (!e.n) continue;
			shared++;
			never_worse = e.mean >= 0;
			better |= e.mean > 0;
		}
		if (never_worse && better && shared) return u;
	}
	return -1;
}

/* Who is best at each head, and which whole models are not beaten by another everywhere. */
static void winners(const Comparison *c, FILE *to)
{
	int whole = 0;
	for (int v = 0; v < c->n_variant; v++) whole += !c->variant[v].own;
	if (whole < 2) return;
	fprintf(to, "\nbest at\n");
	for (int h = 0; h < c->head.n; h++) {
		int best = -1, m = rank_of(c, h);
		if (m < 0) continue;
		for (int v = 0; v < c->n_variant; v++)
			if (!c->variant[v].own && estimate(c, v, -1, h, m).n &&
			    (best < 0 || gain(c, best, v, h).mean > 0))
				best = v;
		if (best < 0) continue;
		fprintf(to, "  %-24s %-8s %2d  %s", c->head.at[h], metric[m].name, best + 1,
			c->variant[best].label);
		int level = 0; /* whole models whose difference may be luck */
		for (int v = 0; v < c->n_variant; v++) {
			if (v == best || c->variant[v].own) continue;
			Estimate e = gain(c, v, best, h);
			if (!e.n || (e.mean > e.half)) continue;
			fprintf(to, "%s%d", level++ ? ", " : "; not told apart from ", v + 1);
		}
		fputc('\n', to);
	}
	fprintf(to, "\nnot beaten everywhere at once:");
	int front = 0;
	for (int v = 0; v < c->n_variant; v++)
		if (!c->variant[v].own && better_everywhere(c, v) < 0)
			fprintf(to, "%s %d", front++ ? "," : "", v + 1);
	fprintf(to, front > 1 ? " (by the means, each of these is better at something)\n" : "\n");
}

/* Do the tasks hurt each other?  Each by itself against the model it is from. */
static void alone(const Comparison *c, FILE *to)
{
	bool begun = false;
	for (int v = 0; v < c->n_variant; v++) {
		const Variant *x = &c->variant[v];
		for (int h = 0; x->own && h < c->head.n; h++) {
			if (strcmp(c->head.at[h], x->own)) continue;
			Estimate e = gain(c, v, x->base, h);
			if (!e.n) continue;
			if (!begun) fprintf(to, "\ntogether against alone\n");
			begun = true;
			bool sure = fabs(e.mean) > e.half;
			fprintf(to, "  %-24s %-8s together %s %+.5f", x->own, metric[rank_of(c, h)].name,
				!sure	     ? "not told apart from alone:"
				: e.mean > 0 ? "is better by"
					     : "is worse by",
				e.mean);
			if (!isnan(e.half)) fprintf(to, " ± %.5f", e.half);
			fprintf(to, "  (%s)\n", x->label);
		}
	}
}

static bool told(const Comparison *c, int v, int head)
{
	for (int m = 0; m < METRICS; m++)
		if (estimate(c, v, -1, head, m).n) return true;
	return false;
}

static void sizes(const Comparison *c, int width, FILE *to)
{
	fprintf(to, "%-*s %12s %14s %14s %12s\n", width + 4, "", "parameters", "in tables", "multiply-adds",
		"rows/s");
	for (int v = 0; v < c->n_variant; v++) {
		const Variant *x = &c->variant[v];
		fprintf(to, "%2d  %-*s %12s %14s %14s %12s\n", v + 1, width, x->label,
			thousands(c->arena, (double)x->sizes[0]), thousands(c->arena, (double)x->sizes[1]),
			thousands(c->arena, (double)x->sizes[2]), thousands(c->arena, speed(c, v)));
	}
}

/* A head's metrics: first each variant's, then how each differs from the one it is compared with. */
static void head_table(const Comparison *c, int head, int width, FILE *to)
{
	fprintf(to, "\n%s, %s rows\n%-*s", c->head.at[head], thousands(c->arena, (double)c->rows[head]),
		width + 4, "");
	bool shown[METRICS] = {0};
	for (int m = 0; m < METRICS; m++) {
		for (int v = 0; v < c->n_variant; v++) shown[m] |= estimate(c, v, -1, head, m).n > 0;
		if (shown[m]) fprintf(to, "  %-22s", metric[m].name);
	}
	fputc('\n', to);
	for (int difference = 0; difference < 2; difference++)
		for (int v = difference; v < c->n_variant; v++) {
			if (!told(c, v, head)) continue;
			int base = c->variant[v].base;
			char label[220];
			if (difference)
				snprintf(label, sizeof label, "%d - %d", v + 1, base + 1);
			else
				snprintf(label, sizeof label, "%2d  %s", v + 1, c->variant[v].label);
			fprintf(to, "%-*s", width + 4, label);
			for (int m = 0; m < METRICS; m++) {
				Estimate e =
				    difference ? estimate(c, base, v, head, m) : estimate(c, v, -1, head, m);
				if (shown[m]) cell(&e, difference, to);
			}
			fputc('\n', to);
		}
}

void compare_say(const Comparison *c, FILE *to)
{
	int width = 10;
	for (int v = 0; v < c->n_variant; v++)
		width = (int)strlen(c->variant[v].label) > width ? (int)strlen(c->variant[v].label) : width;
	sizes(c, width, to);
	for (int h = 0; h < c->head.n; h++) head_table(c, h, width, to);
	winners(c, to);
	alone(c, to);
	if (c->n_seed > 1)
		fprintf(to,
			"\n± is a 95 %% interval over %d seeds; differences are seed by seed, * where the "
			"interval leaves out 0\n",
			c->n_seed);
	else
		fprintf(to, "\none seed: --seeds 3 or more tell luck from merit\n");
}

/* ,"auc":{...} for every metric the head has. */
static void json_metrics(const Comparison *c, int v, int head, FILE *to)
{
	for (int m = 0; m < METRICS; m++) {
		Estimate e = estimate(c, v, -1, head, m), d = estimate(c, c->variant[v].base, v, head, m);
		if (!e.n) continue;
		fprintf(to, ",\"%s\":{\"values\":[", metric[m].name);
		for (int s = 0; s < c->n_seed; s++) {
			fputs(s ? "," : "", to);
			mtl_json_number(to, *compare_value(c, v, s, head, m));
		}
		fputs("],\"mean\":", to);
		mtl_json_number(to, e.mean);
		fputs(",\"interval\":", to);
		mtl_json_number(to, e.half);
		fputs(",\"difference\":", to);
		mtl_json_number(to, d.n ? d.mean : NAN);
		fputs(",\"difference_interval\":", to);
		mtl_json_number(to, d.half);
		fputc('}', to);
	}
}

void compare_json(const Comparison *c, FILE *to)
{
	fprintf(to, "{\"seeds\":%d,\"variants\":[", c->n_seed);
	for (int v = 0; v < c->n_variant; v++) {
		const Variant *x = &c->variant[v];
		fprintf(to, "%s{\"name\":", v ? "," : "");
		mtl_json_text(to, x->label);
		fputs(",\"file\":", to);
		mtl_json_text(to, x->file);
		fprintf(to,
			",\"parameters\":%lld,\"in_tables\":%lld,\"multiply_adds\":%lld,\"rows_per_second\":",
			(long long)x->sizes[0], (long long)x->sizes[1], (long long)x->sizes[2]);
		mtl_json_number(to, speed(c, v));
		if (x->own) {
			fputs(",\"alone\":", to);
			mtl_json_text(to, x->own);
		} else {
			fprintf(to, ",\"beaten\":%s", better_everywhere(c, v) < 0 ? "false" : "true");
		}
		fprintf(to, ",\"against\":%d", x->base);
		fputs(",\"heads\":{", to);
		for (int h = 0, n = 0; h < c->head.n; h++) {
			if (!told(c, v, h)) continue;
			fputs(n++ ? "," : "", to);
			mtl_json_text(to, c->head.at[h]);
			fprintf(to, ":{\"rows\":%lld", (long long)c->rows[h]);
			json_metrics(c, v, h, to);
			fputc('}', to);
		}
		fputs("}}", to);
	}
	fputs("]}\n", to);
}
