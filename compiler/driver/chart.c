/*
 * Small charts as inline SVG.
 *
 * A panel is 300 x 190 units.  Axes end where the data do; marks stand at multiples of 1, 2 or 5 powers of
 * ten, three to six of them.
 */
#include "driver/chart.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 300, HEIGHT = 190, LEFT = 46, RIGHT = 10, TOP = 24, BOTTOM = 34 };

void chart_text(Text *out, const char *s)
{
	for (; *s; s++) switch (*s) {
		case '&': text_add(out, "&amp;"); break;
		case '<': text_add(out, "&lt;"); break;
		case '>': text_add(out, "&gt;"); break;
		case '"': text_add(out, "&quot;"); break;
		default: text_char(out, *s);
		}
}

void chart_number(Text *out, double x, int digits)
{
	char s[40];
	if (!isfinite(x)) {
		text_add(out, isnan(x) ? "–" : x > 0 ? "∞" : "−∞");
		return;
	}
	bool whole = fabs(x) >= 1000 && fabs(x) < 1e15;
	if (whole)
		snprintf(s, sizeof s, "%.0f", x);
	else
		snprintf(s, sizeof s, "%.*g", digits, x);
	size_t n = strlen(s), sign = s[0] == '-';
	if (sign) text_add(out, "−");
	for (size_t i = sign; i < n; i++) {
		if (whole && i > sign && (n - i) % 3 == 0) text_char(out, ',');
		text_char(out, s[i]);
	}
}

typedef struct {
	double lo, hi, step;
} Axis;

static void widen(Axis *a, double x)
{
	if (!isfinite(x)) return;
	if (!(a->lo <= x)) a->lo = x;
	if (!(a->hi >= x)) a->hi = x;
}

/* The step between marks, and some room around the data. */
static void settle(Axis *a)
{
	if (!(a->lo <= a->hi)) *a = (Axis){0, 1, 0};
	double span = a->hi - a->lo, least = 1e-6 * fmax(fabs(a->lo), fabs(a->hi));
	if (span <= least) {
		double room = fmax(least, fabs(a->hi) / 20 + 1e-12);
		a->lo -= room;
		a->hi += room;
		span = a->hi - a->lo;
	}
	a->lo -= a->lo == 0 ? 0 : 0.04 * span;
	a->hi += 0.04 * span;
	double raw = span / 4, ten = pow(10, floor(log10(raw))), f = raw / ten;
	a->step = ten * (f < 1.5 ? 1 : f < 3.5 ? 2 : f < 7.5 ? 5 : 10);
}

static double x_of(const Axis *a, double x)
{
	return LEFT + (x - a->lo) / (a->hi - a->lo) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const Axis *a, double y)
{
	return HEIGHT - BOTTOM - (y - a->lo) / (a->hi - a->lo) * (HEIGHT - TOP - BOTTOM);
}

/* 200000 as 200k: marks are short. */
static void mark(Text *out, double x, double step)
{
	double size = fabs(x);
	if (size < 1e-9 * step) {
		text_char(out, '0');
		return;
	}
	const char *unit = size >= 1e9 ? "G" : size >= 1e6 ? "M" : size >= 1e4 ? "k" : "";
	double by = *unit == 'G' ? 1e9 : *unit == 'M' ? 1e6 : *unit == 'k' ? 1e3 : 1;
	int decimals = (int)fmax(0, ceil(-log10(step / by) - 1e-9));
	if (decimals > 6)
		text_printf(out, "%.2g", x);
	else
		text_printf(out, "%.*f%s", decimals, x / by, unit);
}

static void mark_y(Text *out, const Axis *y, double v, const char *text)
{
	text_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
		    WIDTH - RIGHT, y_of(y, v), y_of(y, v));
	text_printf(out, "<text class=\"mark\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 5,
		    y_of(y, v) + 3, text);
}

static void mark_x(Text *out, const Axis *x, double v, const char *text)
{
	text_printf(out, "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x_of(x, v),
		    x_of(x, v), HEIGHT - BOTTOM, HEIGHT - BOTTOM + 3);
	text_printf(out, "<text class=\"mark\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
		    x_of(x, v), HEIGHT - BOTTOM + 14, text);
}

static void marks(Text *out, const Axis *a, void (*one)(Text *, const Axis *, double, const char *))
{
	for (double k = ceil(a->lo / a->step); k * a->step <= a->hi; k++) {
		Text t = {0};
		mark(&t, k * a->step, a->step);
		one(out, a, k * a->step, t.at);
		text_free(&t);
	}
}

static double logit(double p) { return log(p / (1 - p)); }

/* Chances by their roundness: each is marked where it has room beside those before it. */
static void probability_marks(Text *out, const Axis *a,
			      void (*one)(Text *, const Axis *, double, const char *))
{
	static const struct {
		double p;
		const char *text;
	} chance[] = {{0.1, "0.1"},	{0.9, "0.9"},	{0.01, "0.01"}, {0.99, "0.99"}, {0.001, "0.001"},
		      {0.999, "0.999"}, {1e-4, "1e-4"}, {1e-5, "1e-5"}, {1e-6, "1e-6"}, {1e-7, "1e-7"},
		      {0.5, "0.5"},	{0.2, "0.2"},	{0.05, "0.05"}, {0.02, "0.02"}, {0.8, "0.8"},
		      {0.95, "0.95"},	{0.98, "0.98"}, {0.3, "0.3"},	{0.7, "0.7"},	{0.4, "0.4"},
		      {0.6, "0.6"}};
	enum { N = sizeof chance / sizeof *chance };
	double taken[N], room = 0.13 * (a->hi - a->lo);
	int n = 0;
	for (int i = 0; i < N; i++) {
		double v = logit(chance[i].p);
		bool free = v >= a->lo && v <= a->hi;
		for (int k = 0; k < n; k++) free &= fabs(v - taken[k]) >= room;
		if (!free) continue;
		one(out, a, v, chance[i].text);
		taken[n++] = v;
	}
}

static void axes(Text *out, const Axis *x, const Axis *y, const char *x_name, const char *y_name,
		 ChartKind kind)
{
	(kind == CHART_LOGITS ? probability_marks : marks)(out, y, mark_y);
	(kind == CHART_LOGITS ? probability_marks : marks)(out, x, mark_x);
	text_printf(out, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", LEFT,
		    WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM);
	text_printf(out, "<text class=\"name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
		    HEIGHT - 5);
	chart_text(out, x_name);
	text_printf(out, "</text><text class=\"name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
		    TOP - 9);
	chart_text(out, y_name);
	text_add(out, "</text>");
}

static void band(Text *out, const Series *s, const Axis *x, const Axis *y)
{
	text_printf(out, "<polygon class=\"%s\" points=\"", s->klass);
	for (int i = 0; i < s->n; i++)
		text_printf(out, "%.1f,%.1f ", x_of(x, s->at[i].x), y_of(y, s->at[i].hi));
	for (int i = s->n; i-- > 0;)
		text_printf(out, "%.1f,%.1f ", x_of(x, s->at[i].x), y_of(y, s->at[i].lo));
	text_add(out, "\"/>");
}

static void series(Text *out, const Series *s, const Axis *x, const Axis *y)
{
	if (strstr(s->klass, "band")) {
		band(out, s, x, y);
		return;
	}
	if (strstr(s->klass, "line")) {
		text_printf(out, "<polyline class=\"%s\" points=\"", s->klass);
		for (int i = 0; i < s->n; i++)
			if (isfinite(s->at[i].y))
				text_printf(out, "%.1f,%.1f ", x_of(x, s->at[i].x), y_of(y, s->at[i].y));
		text_add(out, "\"/>");
		return;
	}
	bool spread = strstr(s->klass, "spread");
	for (int i = 0; i < s->n; i++) {
		const Point *p = &s->at[i];
		/* An end that is infinite on these axes is that of the panel. */
		double lo = fmax(p->lo, y->lo), hi = fmin(p->hi, y->hi);
		if (spread && lo < hi)
			text_printf(
			    out, "<line class=\"whisker\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
			    x_of(x, p->x), x_of(x, p->x), y_of(y, lo), y_of(y, hi));
		if (isfinite(p->y))
			text_printf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", s->klass,
				    x_of(x, p->x), y_of(y, p->y));
	}
}

static void begin(Text *out, const char *title, int width, int height)
{
	text_printf(
	    out, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\"><title>",
	    width, height, width, height);
	chart_text(out, title);
	text_add(out, "</title><text class=\"title\" x=\"4\" y=\"14\">");
	chart_text(out, title);
	text_add(out, "</text>");
}

void chart_lines(Text *out, const char *title, const char *x_name, const char *y_name, const Series *s, int n,
		 ChartKind kind)
{
	Axis x = {NAN, NAN, 0}, y = {NAN, NAN, 0};
	bool whole = kind == CHART_PLAIN; /* epochs have no halves */
	for (int k = 0; k < n; k++)
		for (int i = 0; i < s[k].n; i++) {
			whole &= s[k].at[i].x == floor(s[k].at[i].x);
			widen(&x, s[k].at[i].x);
			widen(&y, s[k].at[i].y);
			if (kind == CHART_PLAIN) widen(&y, s[k].at[i].lo);
			if (kind == CHART_PLAIN) widen(&y, s[k].at[i].hi);
		}
	if (kind == CHART_LOGITS) {
		widen(&x, y.lo);
		widen(&x, y.hi);
		y = x;
	}
	settle(&x);
	settle(&y);
	if (whole) x.step = fmax(1, x.step);
	begin(out, title, WIDTH, HEIGHT);
	axes(out, &x, &y, x_name, y_name, kind);
	if (kind == CHART_LOGITS)
		text_printf(out, "<line class=\"ideal\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
			    x_of(&x, x.lo), y_of(&y, x.lo), x_of(&x, x.hi), y_of(&y, x.hi));
	for (int k = 0; k < n; k++) series(out, &s[k], &x, &y);
	text_add(out, "</svg>\n");
}

void chart_table(Text *out, const char *title, const char *const *row, int rows, const char *const *column,
		 int columns, const double *value, bool diverging)
{
	enum { CELL_H = 24, LETTER = 7 };
	int longest = 0, cell = 46;
	double most = diverging ? 1 : 0; /* what lies between -1 and 1 has its own measure */
	for (int j = 0; j < columns; j++)
		cell = LETTER * (int)strlen(column[j]) > cell ? LETTER * (int)strlen(column[j]) : cell;
	for (int i = 0; i < rows; i++)
		longest = (int)strlen(row[i]) > longest ? (int)strlen(row[i]) : longest;
	for (int i = 0; i < rows * columns; i++)
		if (!diverging && fabs(value[i]) > most) most = fabs(value[i]);
	int left = 12 + LETTER * longest;
	begin(out, title, left + cell * columns + 8, 44 + CELL_H * rows);
	for (int j = 0; j < columns; j++) {
		text_printf(out, "<text class=\"mark\" x=\"%d\" y=\"36\" text-anchor=\"middle\">",
			    left + cell * j + cell / 2);
		chart_text(out, column[j]);
		text_add(out, "</text>");
	}
	for (int i = 0; i < rows; i++) {
		text_printf(out, "<text class=\"mark\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", left - 6,
			    42 + CELL_H * i + 15);
		chart_text(out, row[i]);
		text_add(out, "</text>");
		for (int j = 0; j < columns; j++) {
			double v = value[i * columns + j];
			if (isnan(v)) continue;
			text_printf(out,
				    "<rect class=\"%s\" fill-opacity=\"%.3f\" x=\"%d\" y=\"%d\" width=\"%d\" "
				    "height=\"%d\"/>",
				    diverging && v < 0 ? "cell against" : "cell",
				    most > 0 ? 0.75 * fabs(v) / most : 0, left + cell * j, 42 + CELL_H * i,
				    cell - 2, CELL_H - 2);
			text_printf(
			    out,
			    "<text class=\"figure\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%.2f</text>",
			    left + cell * j + cell / 2 - 1, 42 + CELL_H * i + 15, v);
		}
	}
	text_add(out, "</svg>\n");
}
