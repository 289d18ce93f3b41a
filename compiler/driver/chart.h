/* Small charts as inline SVG.  Colours, widths and fonts are classes: the page that holds them has the style.
 */
#ifndef CHART_H
#define CHART_H
#include "base/text.h"
#include <stdbool.h>

/* Text as it may stand in HTML and SVG. */
void chart_text(Text *out, const char *s);
/* 12345 as 12,345; 0.73214 as 0.73214; 1.5e-05: at most `digits` significant ones. */
void chart_number(Text *out, double x, int digits);

typedef struct {
	double x, y, lo, hi; /* lo .. hi: an interval around y; NaN: none */
} Point;

typedef struct {
	const Point *at;
	int n;
	const char *klass; /* "line", "dots", "band", "spread" (the intervals of dots), with others behind */
} Series;

typedef enum {
	CHART_PLAIN,
	CHART_LOGITS /* both axes are logits, marked as probabilities, with the line y = x; y may be infinite
		      */
} ChartKind;

/* One panel: series over a common x, the axes cut at round numbers. */
void chart_lines(Text *out, const char *title, const char *x_name, const char *y_name, const Series *s, int n,
		 ChartKind kind);
/* value[row][column] as shades with their figures; NaN is left empty.  diverging: 0 is the
 * middle. */
void chart_table(Text *out, const char *title, const char *const *row, int rows, const char *const *column,
		 int columns, const double *value, bool diverging);
#endif
