/*
 * The first line of a run's log.
 *
 * A file's digest is that of its bytes as they lie on disk, so that `xxh64sum -H3` finds the same.  What can
 * be read only once has none.
 */
#include "runlog.h"
#include "balance.h"
#include "stream.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PIECE = 1 << 18 };

static MtlStatus digest(const MtlSys *sys, const char *path, uint64_t *out, MtlError *e)
{
	unsigned char *piece = mtl_new(sys, unsigned char, PIECE);
	XXH3_state_t *h = mtl_new(sys, XXH3_state_t, 1);
	int fd = piece && h ? sys->open(sys->self, path, O_RDONLY | O_CLOEXEC, 0) : -1;
	ssize_t n = fd < 0 ? -1 : 0;
	if (fd >= 0) {
		XXH3_64bits_reset(h);
		while ((n = sys->read(sys->self, fd, piece, PIECE)) > 0 || (n < 0 && errno == EINTR))
			if (n > 0) XXH3_64bits_update(h, piece, (size_t)n);
		*out = XXH3_64bits_digest(h);
	}
	int why = errno;
	if (fd >= 0) sys->close(sys->self, fd);
	bool memory = piece && h;
	mtl_release(sys, piece);
	mtl_release(sys, h);
	if (!memory) return mtl_fail(e, MTL_LIMIT, "F0105", path, "no memory to read it");
	return n < 0 ? mtl_fail(e, MTL_SYSTEM, "F0103", path, "cannot read: %s", strerror(why)) : MTL_OK;
}

static MtlStatus files(FILE *to, const MtlSys *sys, const char *name, const char *const *path, int n,
		       MtlError *e)
{
	fprintf(to, ",\"%s\":[", name);
	for (int i = 0; i < n; i++) {
		uint64_t d = 0;
		bool again = mtl_stream_repeats(path[i]);
		if (again && digest(sys, path[i], &d, e)) return e->status;
		fputs(i ? ",{\"file\":" : "{\"file\":", to);
		mtl_json_text(to, path[i]);
		if (again)
			fprintf(to, ",\"bytes\":%" PRId64 ",\"xxh3\":\"%016" PRIx64 "\"",
				mtl_stream_size(path[i]), d);
		fputc('}', to);
	}
	fputc(']', to);
	return MTL_OK;
}

static void heads(FILE *to, const MtlModel *m)
{
	static const char *const kind[] = {"probability", "value", "class"};
	fputs(",\"heads\":{", to);
	for (int k = 0; k < m->n_watch; k++) {
		const MtlWatch *w = &m->watch[k];
		if (k) fputc(',', to);
		mtl_json_text(to, w->name);
		fprintf(to, ":{\"kind\":\"%s\",\"head\":%s,\"label\":", kind[w->kind],
			w->head ? "true" : "false");
		mtl_json_text(to, w->label_text ? w->label_text : "");
		fputs(",\"rows\":", to);
		mtl_json_text(to, w->rows_text ? w->rows_text : "");
		fputc('}', to);
	}
	fputs("},\"losses\":{", to);
	for (int l = 0; l < m->n_loss; l++) {
		if (l) fputc(',', to);
		mtl_json_text(to, m->loss[l].name);
		fputc(':', to);
		mtl_json_number(to, m->loss[l].weight);
	}
	fputc('}', to);
}

/* What train { } says of how parameters step; x: of the dense ones and of tables. */
static void method(FILE *to, const char *of, const MtlOptimizer *x, double factor)
{
	fprintf(to, ",\"%s\":{\"name\":\"%s\",\"lr\":", of, mtl_optimizer_name(x));
	mtl_json_number(to, factor * x->lr);
	const struct {
		const char *name;
		double value;
	} rest[] = {{"l1", x->l1}, {"l2", x->l2}, {"decay", x->decay}};
	for (int i = 0; i < 3; i++)
		if (rest[i].value > 0) {
			fprintf(to, ",\"%s\":", rest[i].name);
			mtl_json_number(to, rest[i].value);
		}
	fputc('}', to);
}

static void methods(FILE *to, const MtlTrain *t, const MtlTrainOptions *o)
{
	static const char *const schedule[] = {"constant", "linear", "cosine", "step"};
	double factor = o->lr > 0 ? o->lr / t->dense.lr : 1; /* --lr moves both rates */
	method(to, "optimizer", &t->dense, factor);
	method(to, "tables", &t->tables, factor);
	const MtlSchedule *s = &t->schedule;
	fprintf(to, ",\"schedule\":{\"name\":\"%s\",\"warmup\":%" PRId64, schedule[s->kind], s->warmup);
	if (s->kind == MTL_SCHEDULE_LINEAR || s->kind == MTL_SCHEDULE_COSINE) {
		if (o->steps || s->steps) fprintf(to, ",\"steps\":%" PRId64, o->steps ? o->steps : s->steps);
		fputs(",\"floor\":", to);
		mtl_json_number(to, s->floor);
	} else if (s->kind == MTL_SCHEDULE_STEP) {
		fprintf(to, ",\"every\":%" PRId64 ",\"by\":", s->every);
		mtl_json_number(to, s->by);
	}
	fputs("},\"clip\":", to);
	mtl_json_number(to, t->clip > 0 ? t->clip : (double)NAN);
	fprintf(to, ",\"balance\":\"%s\"", mtl_balance_name(t->balance.kind));
}

MtlStatus mtl_runlog_begin(FILE *to, const MtlProgram *p, const MtlTrainOptions *o, MtlError *e)
{
	const MtlModel *m = p->m;
	fputs("{\"kind\":\"run\",\"model\":", to);
	mtl_json_text(to, m->name);
	fputs(",\"digest\":", to);
	mtl_json_text(to, m->digest);
	fputs(",\"compiler\":", to);
	mtl_json_text(to, m->compiler);
	fprintf(to,
		",\"resumed\":%s,\"settings\":{\"epochs\":%" PRId64 ",\"batch\":%" PRId64
		",\"shuffle\":%" PRId64 ",\"seed\":%" PRIu64 ",\"lr\":",
		o->resume ? "true" : "false", o->epochs, o->batch, o->shuffle, o->seed);
	mtl_json_number(to, o->lr > 0 ? o->lr : m->train.dense.lr);
	methods(to, &m->train, o);
	if (o->init) {
		fputs(",\"init\":", to);
		mtl_json_text(to, o->init);
	}
	if (o->stop_metric) {
		fputs(",\"early_stop\":", to);
		mtl_json_text(to, o->stop_metric);
		fprintf(to, ",\"patience\":%" PRId64, o->stop_patience);
	}
	fputc('}', to);
	heads(to, m);
	if (files(to, p->sys, "data", o->data, o->n_data, e) ||
	    files(to, p->sys, "valid", o->valid, o->n_valid, e))
		return e->status;
	fputs("}\n", to);
	return MTL_OK; /* a failed write is found where the next line is flushed */
}

void mtl_runlog_bins(FILE *to, const MtlMetrics *w)
{
	fputs(",\"bins\":[", to);
	for (int i = 0; i < w->n_bin; i++) {
		fputs(i ? ",[" : "[", to);
		mtl_json_number(to, w->bin[i].weight);
		fputc(',', to);
		mtl_json_number(to, w->bin[i].prediction);
		fputc(',', to);
		mtl_json_number(to, w->bin[i].label);
		fputc(']', to);
	}
	fputc(']', to);
}
