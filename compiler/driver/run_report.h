/* The report of a training run: one HTML file with everything inside. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H
#include "base/text.h"
#include <stdbool.h>

/* log: run.jsonl.  svg: the task graph, or NULL.  model: the model's text, or NULL.  false: said on stderr.
 */
bool run_report(const char *log, const char *svg, const char *model, Text *out);
#endif
