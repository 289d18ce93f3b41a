/*
 * The report of a training run, from its log (docs/formats.md): what was trained on what, the metrics with
 * their intervals, curves, calibration, and whatever else the log holds.  A part without data is left out.
 *
 * One HTML file, light or dark as the reader has it, without scripts and without anything from elsewhere.
 */
#define _GNU_SOURCE
#include "driver/run_report.h"
#include "driver/say.h"
#include "driver/chart.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c1f24;--soft:#6a7079;--rule:#e3e6ea;--card:#f7f8fa;"
    "--blue:#2f6fb2;--warm:#c2571a;--band:#2f6fb226}"
    "@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e4e7eb;--soft:#98a0aa;--rule:#2c3138;--"
    "card:#1c2026;"
    "--blue:#74aee8;--warm:#f0965a;--band:#74aee82e}}"
    "body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
    "main{max-width:980px;margin:0 auto;padding:36px 24px 60px}"
    "h1{font-size:26px;margin:0 0 2px;font-weight:650;letter-spacing:-.01em}"
    "h2{font-size:16px;font-weight:650;margin:38px 0 10px;padding-top:12px;border-top:1px solid var(--rule)}"
    "p{margin:6px 0;color:var(--soft);max-width:74ch}p b{color:var(--ink);font-weight:600}"
    ".facts{display:flex;flex-wrap:wrap;gap:10px 34px;margin:18px 0 4px}.facts div{line-height:1.3}"
    ".facts b{display:block;font-size:19px;font-weight:600;font-variant-numeric:tabular-nums}"
    ".facts span{font-size:12.5px;color:var(--soft)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}"
    "th{font-weight:500;color:var(--soft);text-align:right;border-bottom:1px solid var(--ink);padding:4px 0 "
    "4px 20px;"
    "white-space:nowrap}td{text-align:right;padding:4px 0 4px 20px;border-bottom:1px solid "
    "var(--rule);white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left;padding-left:0}td.left,th.left{text-align:left}td.left{"
    "white-space:normal;font-size:12.5px}"
    "td i{font-style:normal;color:var(--soft);font-size:12px}code,pre{font:12.5px/1.5 ui-monospace,monospace}"
    "pre{background:var(--card);padding:14px "
    "16px;overflow-x:auto;border-radius:6px}summary{cursor:pointer;color:var(--soft)}"
    ".charts{display:flex;flex-wrap:wrap;gap:18px 14px}svg.chart{font:10.5px "
    "system-ui,sans-serif;max-width:100%;height:auto}"
    ".chart .title{fill:var(--ink);font-size:12.5px;font-weight:600}.chart .mark,.chart "
    ".name{fill:var(--soft)}"
    ".chart .figure{fill:var(--ink)}.chart .grid{stroke:var(--rule)}.chart .axis,.chart "
    ".tick{stroke:var(--soft)}"
    ".chart .line{fill:none;stroke:var(--blue);stroke-width:1.6;stroke-linejoin:round}"
    ".chart .thin{stroke-width:1;stroke-opacity:.55}"
    ".chart .dots{fill:var(--blue)}.chart .best{fill:var(--warm)}.chart .band{fill:var(--band)}"
    ".chart .whisker{stroke:var(--blue);stroke-opacity:.6}.chart "
    ".ideal{stroke:var(--soft);stroke-dasharray:3 3}"
    ".chart .cell{fill:var(--blue)}.chart .against{fill:var(--warm)}"
    ".graph{background:#fff;border:1px solid "
    "var(--rule);border-radius:6px;padding:12px;overflow-x:auto;text-align:center}"
    ".graph svg{max-width:100%;height:auto}"
    "@media print{main{max-width:none;padding:0}h2,svg,table{break-inside:avoid}}";

typedef struct {
	json_t *run, *progress, *epoch; /* the first "run" line or NULL; arrays */
	json_t *kept;			/* the epoch the model file holds; NULL before one is done */
	Text *out;
} Report;

static double number(const json_t *o, const char *key)
{
	const json_t *x = json_object_get(o, key);
	return json_is_number(x) ? json_number_value(x) : NAN;
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

/* ---- reading ---- */

static bool read_log(Report *r, const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;
	int at = 0, n = 0;
	bool ok = f != NULL;
	if (!f) say_error("cannot open %s: %s", path, strerror(errno));
	while (ok && getline(&line, &cap, f) > 0) {
		at++;
		json_t *o = json_loads(line, 0, NULL);
		const char *kind = word(o, "kind");
		if (!json_is_object(o)) {
			say_error("%s:%d: this is no line of a run's log", path, at);
			ok = false;
		}
		if (!strcmp(kind, "run") && !r->run) r->run = json_incref(o);
		if (!strcmp(kind, "progress")) json_array_append(r->progress, o);
		if (!strcmp(kind, "epoch")) {
			json_array_append(r->epoch, o);
			if (json_is_true(json_object_get(o, "best"))) r->kept = o;
		}
		n += *kind != '\0';
		json_decref(o);
	}
	if (ok && !n) say_error("%s: no run was logged here", path);
	free(line);
	if (f) fclose(f);
	return ok && n;
}

/* ---- head of the page ---- */

static void fact(Report *r, double x, int digits, const char *unit, const char *name)
{
	if (isnan(x)) return;
	text_add(r->out, "<div><b>");
	chart_number(r->out, x, digits);
	text_printf(r->out, "%s</b><span>%s</span></div>", unit, name);
}

static void summary(Report *r, const char *log)
{
	const json_t *last = json_array_get(r->epoch, json_array_size(r->epoch) - 1);
	double rows = 0;
	size_t i;
	const json_t *o;
	json_array_foreach(r->epoch, i, o) rows += number(o, "rows");
	const char *model = r->run ? word(r->run, "model") : log;
	text_add(r->out,
		 "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
		 "content=\"width=device-width\"><title>");
	chart_text(r->out, model);
	text_printf(r->out, "</title><style>%s</style></head>\n<body><main><h1>", style);
	chart_text(r->out, model);
	text_add(r->out, "</h1>\n");
	if (r->run) {
		text_add(r->out, "<p>digest <code>");
		chart_text(r->out, word(r->run, "digest"));
		text_add(r->out, "</code>, trained by ");
		chart_text(r->out, word(r->run, "compiler"));
		text_add(r->out, "</p>\n");
	}
	text_add(r->out, "<div class=\"facts\">");
	fact(r, (double)json_array_size(r->epoch), 6, "", "epochs");
	if (r->kept && r->kept != last) fact(r, number(r->kept, "epoch"), 6, "", "the epoch that was kept");
	if (last) {
		fact(r, rows, 6, "", "rows trained on");
		fact(r, number(last, "steps"), 6, "", "steps");
		fact(r, number(last, "seconds"), 3, " s", "time");
		if (number(last, "seconds") > 0)
			fact(r, round(rows / number(last, "seconds")), 6, "", "rows a second");
		if (number(last, "bad_rows") > 0)
			fact(r, number(last, "bad_rows"), 6, "", "bad rows left out");
	}
	text_add(r->out, "</div>\n");
}

/* ---- metrics ---- */

typedef struct {
	const char *key, *title, *error; /* error: the key of the standard error, or NULL */
	int digits;			 /* decimals; 0: as many as it takes */
} Column;

static void metric_cell(Report *r, const json_t *h, const Column *c)
{
	double x = number(h, c->key), e = c->error ? number(h, c->error) : NAN;
	text_add(r->out, "<td>");
	if (c->digits && isfinite(x))
		text_printf(r->out, "%.*f", c->digits, x);
	else
		chart_number(r->out, x, 5);
	if (!isnan(x) && !isnan(e)) text_printf(r->out, " <i>± %.*f</i>", c->digits, 1.96 * e);
	text_add(r->out, "</td>");
}

static void metrics_of(Report *r, json_t *heads, const char *kind, const Column *column, int n)
{
	const char *name;
	json_t *h;
	bool shown[16] = {0};
	int of_kind = 0;
	const json_t *about = json_object_get(r->run, "heads");
	json_object_foreach(heads, name, h)
	{
		if (isnan(number(h, column[0].key)) && strcmp(kind, "probability")) continue;
		const char *is = word(json_object_get(about, name), "kind");
		if (*is && strcmp(is, kind)) continue;
		of_kind++;
		for (int i = 0; i < n; i++) shown[i] |= !isnan(number(h, column[i].key));
	}
	if (!of_kind) return;
	text_printf(r->out, "<div class=\"wide\"><table><tr><th>%s</th><th>rows</th>", kind);
	for (int i = 0; i < n; i++)
		if (shown[i]) text_printf(r->out, "<th>%s</th>", column[i].title);
	if (about) text_add(r->out, "<th class=\"left\">label</th><th class=\"left\">counted on</th>");
	text_add(r->out, "</tr>\n");
	json_object_foreach(heads, name, h)
	{
		const json_t *a = json_object_get(about, name);
		if (*word(a, "kind") && strcmp(word(a, "kind"), kind)) continue;
		text_add(r->out, "<tr><td>");
		chart_text(r->out, name);
		text_add(r->out, "</td><td>");
		chart_number(r->out, number(h, "rows"), 6);
		text_add(r->out, "</td>");
		for (int i = 0; i < n; i++)
			if (shown[i]) metric_cell(r, h, &column[i]);
		if (a) {
			text_add(r->out, "<td class=\"left\"><code>");
			chart_text(r->out, word(a, "label"));
			text_add(r->out, "</code></td><td class=\"left\"><code>");
			chart_text(r->out, word(a, "rows"));
			text_add(r->out, "</code></td>");
		}
		text_add(r->out, "</tr>\n");
	}
	text_add(r->out, "</table></div>\n");
}

static void metrics(Report *r)
{
	static const Column probability[] = {{"auc", "AUC", "auc_error", 4},
					     {"gauc", "GAUC", NULL, 4},
					     {"ndcg", "NDCG", NULL, 4},
					     {"logloss", "log loss", "logloss_error", 4},
					     {"ne", "norm. entropy", NULL, 4},
					     {"calibration", "calibration", NULL, 4},
					     {"ece", "ECE", NULL, 4}},
			    value[] = {{"rmse", "RMSE", NULL, 0},
				       {"mae", "MAE", NULL, 0},
				       {"calibration", "calibration", NULL, 4}},
			    class[] = {{"accuracy", "accuracy", NULL, 4},
				       {"cross_entropy", "cross-entropy", NULL, 4}};
	json_t *valid = json_object_get(r->kept, "valid"), *heads = json_object_get(valid, "heads");
	if (!json_object_size(heads)) return;
	text_add(r->out, "<h2>On the validation data</h2>\n<p>");
	chart_number(r->out, number(valid, "rows"), 6);
	text_printf(r->out,
		    " rows, after epoch %.0f. ± is a 95 %% interval for other rows of the same kind (not for "
		    "another seed).</p>\n",
		    number(r->kept, "epoch"));
	metrics_of(r, heads, "probability", probability, 6);
	metrics_of(r, heads, "value", value, 3);
	metrics_of(r, heads, "class", class, 2);
}

/* ---- curves ---- */

/* Rows trained on before an epoch. */
static double rows_before(const Report *r, double epoch)
{
	double rows = 0;
	size_t i;
	const json_t *o;
	json_array_foreach(r->epoch, i, o) if (number(o, "epoch") < epoch) rows += number(o, "rows");
	return rows;
}

static double of_loss(const json_t *o, const char *name) { return number(json_object_get(o, "loss"), name); }

static void loss_curve(Report *r, const char *name)
{
	int np = (int)json_array_size(r->progress), ne = (int)json_array_size(r->epoch), n[2] = {0};
	Point *p = calloc((size_t)(np + ne) + 1, sizeof *p), *e = calloc((size_t)ne + 1, sizeof *e);
	for (int i = 0; p && e && i < np; i++) {
		const json_t *o = json_array_get(r->progress, (size_t)i);
		Point at = {number(o, "rows") + rows_before(r, number(o, "epoch")), of_loss(o, name), NAN,
			    NAN};
		if (!isnan(at.y)) p[n[0]++] = at;
	}
	for (int i = 0; p && e && i < ne; i++) {
		const json_t *o = json_array_get(r->epoch, (size_t)i);
		Point at = {number(o, "rows") + rows_before(r, number(o, "epoch")), of_loss(o, name), NAN,
			    NAN};
		if (!isnan(at.y)) e[n[1]++] = at;
	}
	Series s[] = {{p, n[0], "line thin"}, {e, n[1], "line"}, {e, n[1], "dots"}};
	if (n[0] + n[1] > 1) chart_lines(r->out, name, "rows trained on", "mean loss", s, 3, CHART_PLAIN);
	free(p);
	free(e);
}

static void loss_curves(Report *r)
{
	const json_t *first = json_array_get(r->epoch, 0);
	if (!first) first = json_array_get(r->progress, 0);
	json_t *losses = json_object_get(first, "loss"), *x;
	if (json_array_size(r->epoch) + json_array_size(r->progress) < 2) return;
	text_add(
	    r->out,
	    "<h2>Losses while training</h2>\n<p>Dots are the means of whole epochs, each row's loss taken "
	    "when its batch "
	    "was met; the thin line is what came between two lines of progress.</p>\n<div class=\"charts\">");
	const char *name;
	json_object_foreach(losses, name, x) loss_curve(r, name);
	text_add(r->out, "</div>\n");
}

static void metric_curve(Report *r, const char *head, const char *key, const char *error, const char *shown)
{
	int ne = (int)json_array_size(r->epoch), n = 0;
	Point *p = calloc((size_t)ne + 1, sizeof *p), best = {0, NAN, NAN, NAN};
	for (int i = 0; p && i < ne; i++) {
		const json_t *o = json_array_get(r->epoch, (size_t)i),
			     *h =
				 json_object_get(json_object_get(json_object_get(o, "valid"), "heads"), head);
		double y = number(h, key), half = 1.96 * number(h, error);
		if (isnan(y)) continue;
		p[n] = (Point){number(o, "epoch"), y, y - half, y + half};
		if (o == r->kept) best = (Point){p[n].x, p[n].y, NAN, NAN};
		n++;
	}
	bool banded = n && !isnan(p[0].lo);
	Series s[] = {{p, banded ? n : 0, "band"}, {p, n, "line"}, {p, n, "dots"}, {&best, 1, "dots best"}};
	for (int i = 0; p && i < n; i++) p[i].lo = banded ? p[i].lo : NAN, p[i].hi = banded ? p[i].hi : NAN;
	if (n > 1) chart_lines(r->out, head, "epoch", shown, s + !banded, 4 - !banded, CHART_PLAIN);
	free(p);
}

static void metric_curves(Report *r)
{
	json_t *heads = json_object_get(json_object_get(r->kept, "valid"), "heads");
	if (json_array_size(r->epoch) < 2 || !json_object_size(heads)) return;
	text_add(
	    r->out,
	    "<h2>Validation, epoch by epoch</h2>\n<p>The band is the 95 % interval; the orange point is the "
	    "epoch that was kept.</p>\n<div class=\"charts\">");
	const char *name;
	json_t *h;
	json_object_foreach(heads, name, h)
	{
		metric_curve(r, name, "auc", "auc_error", "AUC");
		metric_curve(r, name, "rmse", "", "RMSE");
		metric_curve(r, name, "cross_entropy", "", "cross-entropy");
	}
	text_add(r->out, "</div>\n");
}

/* ---- calibration ---- */

/* Minus infinity of a share of none, and below, where an interval ends. */
static double logit(double p) { return p <= 0 ? -INFINITY : p >= 1 ? INFINITY : log(p / (1 - p)); }

static void calibration(Report *r)
{
	enum { MOST = 64 };
	json_t *heads = json_object_get(json_object_get(r->kept, "valid"), "heads"), *h;
	const char *name;
	bool begun = false;
	json_object_foreach(heads, name, h)
	{
		const json_t *bins = json_object_get(h, "bins"), *b;
		Point p[MOST];
		int n = 0;
		size_t i;
		json_array_foreach(bins, i, b)
		{
			double w = json_number_value(json_array_get(b, 0)),
			       x = json_number_value(json_array_get(b, 1)),
			       y = json_number_value(json_array_get(b, 2));
			/* A share of w rows: Wilson's interval. */
			double z = 1.96, d = 1 + z * z / w, middle = (y + z * z / (2 * w)) / d,
			       half = z / d * sqrt(y * (1 - y) / w + z * z / (4 * w * w));
			if (n < MOST && w > 0)
				p[n++] =
				    (Point){logit(x), logit(y), logit(middle - half), logit(middle + half)};
		}
		if (n < 2) continue;
		if (!begun)
			text_add(r->out, "<h2>Calibration</h2>\n<p>Ten bins of equally many validation rows "
					 "by rising prediction: "
					 "what was predicted, and what happened, with 95 % intervals. "
					 "Both axes are logits, so that rare events have room.</p>\n<div "
					 "class=\"charts\">");
		begun = true;
		Series s[] = {{p, n, "line thin"}, {p, n, "dots spread"}};
		chart_lines(r->out, name, "predicted", "happened", s, 2, CHART_LOGITS);
	}
	if (begun) text_add(r->out, "</div>\n");
}

/* ---- what --monitor saw ---- */

enum { NAMES_MAX = 64 };

/* The last epoch that was looked at; NULL. */
static json_t *monitored(const Report *r)
{
	json_t *found = NULL, *o;
	size_t i;
	json_array_foreach(r->epoch, i, o)
	{
		json_t *m = json_object_get(o, "monitor");
		if (json_is_object(m)) found = m;
	}
	return found;
}

static int place_of(const char **name, int *n, const char *wanted)
{
	for (int i = 0; i < *n; i++)
		if (!strcmp(name[i], wanted)) return i;
	if (*n == NAMES_MAX) return -1;
	name[*n] = wanted;
	return (*n)++;
}

/* Cosines of the tasks' gradients, each pair at both of its places. */
static void cosines(Report *r, const json_t *m)
{
	const json_t *pairs = json_object_get(m, "cosine"), *o;
	const char *task[NAMES_MAX];
	int n = 0;
	size_t i;
	json_array_foreach(pairs, i, o) for (size_t k = 0; k < 2; k++)
	{
		const char *name = json_string_value(json_array_get(json_object_get(o, "of"), k));
		if (name) place_of(task, &n, name);
	}
	double *value = n > 1 ? calloc((size_t)(n * n), sizeof *value) : NULL;
	if (!value) return;
	for (int k = 0; k < n * n; k++) value[k] = NAN;
	json_array_foreach(pairs, i, o)
	{
		const char *a = json_string_value(json_array_get(json_object_get(o, "of"), 0)),
			   *b = json_string_value(json_array_get(json_object_get(o, "of"), 1));
		int x = a ? place_of(task, &n, a) : -1, y = b ? place_of(task, &n, b) : -1;
		if (x >= 0 && y >= 0) value[x * n + y] = value[y * n + x] = number(o, "mean");
	}
	text_add(r->out,
		 "<h2>Do the tasks pull the same way?</h2>\n<p>Mean cosine of two tasks' gradients of all "
		 "they share, "
		 "in the last epoch: blue together, orange against each other.</p>\n<div class=\"charts\">");
	chart_table(r->out, "cosine of gradients", task, n, task, n, value, true);
	text_add(r->out, "</div>\n");
	free(value);
}

/* The mixtures of as many experts as the first that was not shown yet. */
static void gates_of(Report *r, json_t *gates, size_t experts)
{
	static const char *const column[] = {"0", "1", "2",  "3",  "4",	 "5",  "6",  "7",
					     "8", "9", "10", "11", "12", "13", "14", "15"};
	enum { EXPERTS_MAX = sizeof column / sizeof *column };
	const char *row[NAMES_MAX], *name;
	double value[NAMES_MAX * EXPERTS_MAX];
	int n = 0;
	json_t *g;
	json_object_foreach(gates, name, g)
	{
		const json_t *w = json_object_get(g, "weight");
		if (json_array_size(w) != experts || experts > EXPERTS_MAX || n == NAMES_MAX) continue;
		for (size_t i = 0; i < experts; i++) {
			const json_t *x = json_array_get(w, i);
			value[(size_t)n * experts + i] =
			    json_is_number(x) ? json_number_value(x) : (double)NAN;
		}
		row[n++] = name;
	}
	char title[64];
	snprintf(title, sizeof title, "mean weight of %zu experts", experts);
	if (n) chart_table(r->out, title, row, n, column, (int)experts, value, false);
}

static void gates(Report *r, const json_t *m)
{
	json_t *all = json_object_get(m, "gates"), *g;
	const char *name;
	size_t most = 0;
	json_object_foreach(all, name, g)
	{
		size_t n = json_array_size(json_object_get(g, "weight"));
		most = n > most ? n : most;
	}
	if (!most) return;
	text_add(r->out, "<h2>Who uses which expert</h2>\n<p>Mean weight that each gate gave each expert, in "
			 "the last epoch. A row that is "
			 "even everywhere has not chosen; one dark cell is a gate that uses one expert "
			 "alone.</p>\n<div class=\"charts\">");
	for (size_t n = 2; n <= most; n++) gates_of(r, all, n);
	text_add(r->out, "</div>\n");
}

static void monitor(Report *r)
{
	const json_t *m = monitored(r);
	cosines(r, m);
	gates(r, m);
}

/* ---- settings and data ---- */

/* "adam, lr 0.001": a setting with parts; null is none. */
static void setting(Report *r, json_t *x)
{
	json_t *part;
	const char *name;
	int n = 0;
	if (json_is_string(x))
		chart_text(r->out, json_string_value(x));
	else if (json_is_number(x))
		chart_number(r->out, json_number_value(x), 6);
	else if (!json_is_object(x))
		text_add(r->out, "none");
	json_object_foreach(x, name, part)
	{
		if (n++) text_add(r->out, ", ");
		if (strcmp(name, "name")) {
			chart_text(r->out, name);
			text_char(r->out, ' ');
		}
		setting(r, part);
	}
}

static void settings(Report *r)
{
	json_t *all = json_object_get(r->run, "settings"), *x;
	if (!json_object_size(all)) return;
	text_add(r->out, "<h2>Settings</h2>\n<table>");
	const char *name;
	json_object_foreach(all, name, x)
	{
		text_add(r->out, "<tr><td>");
		chart_text(r->out, name);
		text_add(r->out, "</td><td>");
		setting(r, x);
		text_add(r->out, "</td></tr>\n");
	}
	json_t *losses = json_object_get(r->run, "losses");
	json_object_foreach(losses, name, x)
	{
		if (json_number_value(x) == 1) continue;
		text_add(r->out, "<tr><td>weight of loss ");
		chart_text(r->out, name);
		text_add(r->out, "</td><td>");
		chart_number(r->out, json_number_value(x), 6);
		text_add(r->out, "</td></tr>\n");
	}
	text_add(r->out, "</table>\n");
}

static void data(Report *r)
{
	static const char *const use[] = {"data", "valid"}, *const shown[] = {"training", "validation"};
	if (!json_array_size(json_object_get(r->run, "data"))) return;
	text_add(r->out, "<h2>Data</h2>\n<div class=\"wide\"><table><tr><th>file</th><th "
			 "class=\"left\">for</th><th>bytes</th>"
			 "<th class=\"left\">XXH3</th></tr>\n");
	for (int k = 0; k < 2; k++) {
		size_t i;
		const json_t *f;
		json_array_foreach(json_object_get(r->run, use[k]), i, f)
		{
			text_add(r->out, "<tr><td>");
			chart_text(r->out, word(f, "file"));
			text_printf(r->out, "</td><td class=\"left\">%s</td><td>", shown[k]);
			chart_number(r->out, number(f, "bytes"), 6);
			text_printf(r->out, "</td><td class=\"left\"><code>%.16s</code></td></tr>\n",
				    word(f, "xxh3"));
		}
	}
	text_add(r->out, "</table></div>\n");
}

/* Graphviz's own file: what stands before <svg is for a file by itself. */
static void graph(Report *r, const char *svg)
{
	const char *from = svg ? strstr(svg, "<svg") : NULL;
	if (!from) return;
	text_printf(r->out, "<h2>The task graph</h2>\n<div class=\"graph\">%s</div>\n", from);
}

bool run_report(const char *log, const char *svg, const char *model, Text *out)
{
	Report r = {.progress = json_array(), .epoch = json_array(), .out = out};
	bool ok = read_log(&r, log);
	if (ok) {
		summary(&r, log);
		metrics(&r);
		metric_curves(&r);
		loss_curves(&r);
		calibration(&r);
		monitor(&r);
		graph(&r, svg);
		settings(&r);
		data(&r);
		if (model) {
			text_add(out, "<h2>The model</h2>\n<details><summary>its text</summary><pre>");
			chart_text(out, model);
			text_add(out, "</pre></details>\n");
		}
		text_add(out, "</main></body></html>\n");
	}
	json_decref(r.run);
	json_decref(r.progress);
	json_decref(r.epoch);
	return ok;
}
