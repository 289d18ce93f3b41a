/*
 * Figures of an evaluation and of what was seen inside a training, as tables and as JSON.
 */
#include "figures.h"
#include "program.h"
#include "runlog.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* {"ctr":0.31,...}: means, null for a loss that had no row. */
void mtl_losses_json(FILE *to, const MtlModel *m, const double *loss, const double *weight)
{
	fputs(",\"loss\":{", to);
	for (int l = 0; l < m->n_loss; l++) {
		if (l) fputc(',', to);
		mtl_json_text(to, m->loss[l].name);
		fputc(':', to);
		mtl_json_number(to, weight[l] > 0 ? loss[l] : (double)NAN);
	}
	fputc('}', to);
}

void mtl_metrics_json(FILE *to, const MtlModel *m, const MtlMetrics *w, bool bins)
{
	for (int k = 0; k < m->n_watch; k++) {
		enum { MOST = 11 };
		struct {
			const char *name;
			double value;
		} v[MOST] = {{"auc", w[k].auc},
			     {"logloss", w[k].logloss},
			     {"calibration", w[k].calibration},
			     {"ne", w[k].ne},
			     {"ece", w[k].ece},
			     {"mean_prediction", w[k].mean_prediction},
			     {"mean_label", w[k].mean_label},
			     {"auc_error", w[k].auc_error},
			     {"logloss_error", w[k].logloss_error},
			     {"gauc", w[k].gauc},
			     {"ndcg", w[k].ndcg}};
		size_t n = m->group_column ? MOST : MOST - 2;
		if (m->watch[k].kind == MTL_WATCH_VALUE) {
			n = 0;
			v[n].name = "rmse", v[n++].value = w[k].rmse;
			v[n].name = "mae", v[n++].value = w[k].mae;
			v[n].name = "calibration", v[n++].value = w[k].calibration;
			v[n].name = "mean_prediction", v[n++].value = w[k].mean_prediction;
			v[n].name = "mean_label", v[n++].value = w[k].mean_label;
			if (m->group_column) v[n].name = "ndcg", v[n++].value = w[k].ndcg;
		} else if (m->watch[k].kind == MTL_WATCH_CLASS) {
			n = 0;
			v[n].name = "accuracy", v[n++].value = w[k].accuracy;
			v[n].name = "cross_entropy", v[n++].value = w[k].cross_entropy;
		}
		fputs(k ? "," : "{", to);
		mtl_json_text(to, m->watch[k].name);
		fprintf(to, ":{\"rows\":%" PRId64, w[k].rows);
		for (size_t i = 0; i < n; i++) {
			fprintf(to, ",\"%s\":", v[i].name);
			mtl_json_number(to, v[i].value);
		}
		if (bins && m->watch[k].kind == MTL_WATCH_PROB) mtl_runlog_bins(to, &w[k]);
		fputc('}', to);
	}
	fputs(m->n_watch ? "}" : "{}", to);
}

static void cell(FILE *to, int width, const char *format, double x)
{
	char text[40];
	if (isnan(x))
		strcpy(text, "-");
	else
		snprintf(text, sizeof text, format, x);
	fprintf(to, "  %*s", width, text);
}

void mtl_metrics_table(FILE *to, const MtlModel *m, const MtlMetrics *w, const char *indent)
{
	int width = 4;
	for (int k = 0; k < m->n_watch; k++)
		if ((int)strlen(m->watch[k].name) > width) width = (int)strlen(m->watch[k].name);
	int of[3] = {0};
	for (int k = 0; k < m->n_watch; k++) of[m->watch[k].kind]++;
	if (of[MTL_WATCH_PROB] || !m->n_watch)
		fprintf(to, "%s%-*s  %10s  %7s  %8s  %7s  %6s  %7s%s\n", indent, width, "head", "rows", "auc",
			"logloss", "ne", "calib.", "ece", m->group_column ? "     gauc     ndcg" : "");
	for (int k = 0; k < m->n_watch; k++) {
		if (m->watch[k].kind != MTL_WATCH_PROB) continue;
		fprintf(to, "%s%-*s  %10" PRId64, indent, width, m->watch[k].name, w[k].rows);
		cell(to, 7, "%.5f", w[k].auc);
		cell(to, 8, "%.6f", w[k].logloss);
		cell(to, 7, "%.5f", w[k].ne);
		cell(to, 6, "%.4f", w[k].calibration);
		cell(to, 7, "%.5f", w[k].ece);
		if (m->group_column) cell(to, 7, "%.5f", w[k].gauc);
		if (m->group_column) cell(to, 7, "%.5f", w[k].ndcg);
		fputc('\n', to);
	}
	if (of[MTL_WATCH_VALUE])
		fprintf(to, "%s%-*s  %10s  %10s  %10s  %6s  %10s  %10s%s\n", indent, width, "value", "rows",
			"rmse", "mae", "calib.", "predicted", "mean", m->group_column ? "     ndcg" : "");
	for (int k = 0; k < m->n_watch; k++) {
		if (m->watch[k].kind != MTL_WATCH_VALUE) continue;
		fprintf(to, "%s%-*s  %10" PRId64, indent, width, m->watch[k].name, w[k].rows);
		cell(to, 10, "%.6g", w[k].rmse);
		cell(to, 10, "%.6g", w[k].mae);
		cell(to, 6, "%.4f", w[k].calibration);
		cell(to, 10, "%.6g", w[k].mean_prediction);
		cell(to, 10, "%.6g", w[k].mean_label);
		if (m->group_column) cell(to, 7, "%.5f", w[k].ndcg);
		fputc('\n', to);
	}
	if (of[MTL_WATCH_CLASS])
		fprintf(to, "%s%-*s  %10s  %8s  %13s\n", indent, width, "class", "rows", "accuracy",
			"cross-entropy");
	for (int k = 0; k < m->n_watch; k++) {
		if (m->watch[k].kind != MTL_WATCH_CLASS) continue;
		fprintf(to, "%s%-*s  %10" PRId64, indent, width, m->watch[k].name, w[k].rows);
		cell(to, 8, "%.5f", w[k].accuracy);
		cell(to, 13, "%.6f", w[k].cross_entropy);
		fputc('\n', to);
	}
}

/* ---- what was seen inside ---- */

static double mean_of(double sum, int64_t n) { return n ? sum / (double)n : (double)NAN; }

static const char *task_name(const MtlModel *m, int k) { return m->loss[m->tasks.loss[k]].name; }

void mtl_monitor_json(FILE *to, const MtlModel *m, const MtlMonitor *w)
{
	fprintf(to, ",\"monitor\":{\"steps\":%" PRId64 ",\"norm\":{", w->steps);
	for (int k = 0; k < w->n; k++) {
		if (k) fputc(',', to);
		mtl_json_text(to, task_name(m, k));
		fputc(':', to);
		mtl_json_number(to, mean_of(w->norm[k], w->seen[k]));
	}
	fputs("},\"cosine\":[", to);
	for (int k = 0; k < w->n; k++)
		for (int j = 0; j < k; j++) {
			int at = k * w->n + j;
			fputs(k > 1 || j ? ",{\"of\":[" : "{\"of\":[", to);
			mtl_json_text(to, task_name(m, j));
			fputc(',', to);
			mtl_json_text(to, task_name(m, k));
			fprintf(to, "],\"steps\":%" PRId64 ",\"mean\":", w->both[at]);
			mtl_json_number(to, mean_of(w->cosine[at], w->both[at]));
			fputs(",\"negative\":", to);
			mtl_json_number(to, mean_of((double)w->against[at], w->both[at]));
			fputc('}', to);
		}
	fputs("],\"gates\":{", to);
	for (int g = 0; g < m->n_gate; g++) {
		const MtlGateUse *u = &w->use[g];
		if (g) fputc(',', to);
		mtl_json_text(to, m->gate[g].name);
		fprintf(to, ":{\"rows\":%" PRId64 ",\"weight\":[", u->rows);
		for (int i = 0; i < m->gate[g].n; i++) {
			if (i) fputc(',', to);
			mtl_json_number(to, mean_of(w->weight[m->gate[g].first + i], u->rows));
		}
		fputs("],\"entropy\":", to);
		mtl_json_number(to, mean_of(u->entropy, u->rows));
		fputs(",\"single\":", to);
		mtl_json_number(to, mean_of(u->single, u->rows));
		fputc('}', to);
	}
	fputs("}}", to);
}

void mtl_monitor_table(FILE *to, const MtlModel *m, const MtlMonitor *w)
{
	if (w->n) fputs("  gradients of what tasks share:", to);
	for (int k = 0; k < w->n; k++)
		fprintf(to, " %s %.3g", task_name(m, k), mean_of(w->norm[k], w->seen[k]));
	if (w->n) fputc('\n', to);
	for (int k = 0; k < w->n; k++)
		for (int j = 0; j < k; j++) {
			int at = k * w->n + j;
			if (w->both[at])
				fprintf(to,
					"  %s and %s: cosine %.3f, against each other in %.0f%% of steps\n",
					task_name(m, j), task_name(m, k), mean_of(w->cosine[at], w->both[at]),
					100 * mean_of((double)w->against[at], w->both[at]));
		}
	for (int g = 0; g < m->n_gate; g++) {
		const MtlGateUse *u = &w->use[g];
		fprintf(to, "  %s:", m->gate[g].name);
		for (int i = 0; i < m->gate[g].n; i++)
			fprintf(to, " %.2f", mean_of(w->weight[m->gate[g].first + i], u->rows));
		fprintf(to, "; entropy %.2f of %.2f, one expert alone in %.0f%% of rows\n",
			mean_of(u->entropy, u->rows), log((double)m->gate[g].n),
			100 * mean_of(u->single, u->rows));
	}
}
