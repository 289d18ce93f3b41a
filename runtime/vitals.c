/*
 * How a server is doing, in the text format of Prometheus.
 */
#include "vitals.h"
#include <inttypes.h>
#include <string.h>

static const int code[MTL_VITALS_CODES] = {200, 400, 404, 405, 408, 409, 413, 500, 503};
static const double edge[MTL_VITALS_BUCKETS] = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
						0.02,	0.05,	0.1,	0.2,   0.5,   1,     5};

void mtl_vitals_request(MtlVitals *v, int route, int http)
{
	for (int i = 0; i < MTL_VITALS_CODES; i++)
		if (code[i] == http) v->request[route][i]++;
}

void mtl_vitals_answer(MtlVitals *v, double seconds, int64_t rows)
{
	int i = 0;
	while (i < MTL_VITALS_BUCKETS && seconds > edge[i]) i++;
	v->bucket[i]++;
	v->nanoseconds += (uint64_t)(1e9 * seconds);
	v->rows += (uint64_t)rows;
}

static void head(MtlText *t, const char *name, const char *type, const char *help)
{
	mtl_text_printf(t, "# HELP mtlc_%s %s\n# TYPE mtlc_%s %s\n", name, help, name, type);
}

static void one(MtlText *t, const char *name, const char *type, const char *help, int64_t value)
{
	head(t, name, type, help);
	mtl_text_printf(t, "mtlc_%s %" PRId64 "\n", name, value);
}

void mtl_vitals_print(const MtlVitals *v, const char *const *route, int n_route, const char *model,
		      const char *version, MtlText *t)
{
	head(t, "model_info", "gauge", "The model served.");
	mtl_text_printf(t, "mtlc_model_info{model=\"%s\",version=\"%s\"} 1\n", model, version);
	head(t, "requests_total", "counter", "Requests, by what was asked and the status they got.");
	for (int r = 0; r < n_route; r++)
		for (int c = 0; c < MTL_VITALS_CODES; c++)
			if (v->request[r][c])
				mtl_text_printf(t,
						"mtlc_requests_total{route=\"%s\",code=\"%d\"} %" PRIu64 "\n",
						route[r], code[c], v->request[r][c]);
	head(t, "answer_seconds", "histogram", "From a whole body to its scores, waiting included.");
	uint64_t sum = 0;
	for (int i = 0; i < MTL_VITALS_BUCKETS; i++)
		mtl_text_printf(t, "mtlc_answer_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", edge[i],
				sum += v->bucket[i]);
	sum += v->bucket[MTL_VITALS_BUCKETS];
	mtl_text_printf(t,
			"mtlc_answer_seconds_bucket{le=\"+Inf\"} %" PRIu64
			"\nmtlc_answer_seconds_sum %.9f\nmtlc_answer_seconds_count %" PRIu64 "\n",
			sum, 1e-9 * (double)v->nanoseconds, sum);
	one(t, "rows_total", "counter", "Rows scored.", (int64_t)v->rows);
	one(t, "connections", "gauge", "Connections open.", v->connections);
	one(t, "queue", "gauge", "Requests that wait for a thread.", v->queued);
	one(t, "working", "gauge", "Requests that are being scored.", v->working);
	one(t, "buffered_bytes", "gauge", "Bytes of bodies held.", v->buffered);
	head(t, "reloads_total", "counter", "Model files read again, by what came of it.");
	mtl_text_printf(t,
			"mtlc_reloads_total{result=\"taken\"} %" PRIu64
			"\nmtlc_reloads_total{result=\"refused\"} %" PRIu64 "\n",
			v->reloads, v->reloads_refused);
}
