/*
 * Scoring: a batch is cut in chunks, every chunk is scored and turned into text by one thread, the texts are
 * written in order.
 */
#include "score.h"
#include "cross.h"
#include "rows.h"
#include "shortest.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	BATCH = 2048,
	CHUNK = 256, /* rows; a multiple of MTL_BLOCK */
	NUMBER = 32, /* bytes of a number and its separator */
};

/* ---- numbers ---- */

typedef struct {
	const MtlInstance *in;
	const MtlBatch *batch;
	mtl_real *const *work;
	mtl_real *out;
} Scoring;

static void score_block(void *arg, int64_t i, int worker)
{
	Scoring *s = arg;
	int64_t row = i * MTL_BLOCK, n = s->batch->n - row < MTL_BLOCK ? s->batch->n - row : MTL_BLOCK;
	mtl_rows_whole(s->in, s->batch, s->work[worker], s->out, row, n);
}

void mtl_score_batch(const MtlInstance *in, MtlThreads *pool, const MtlBatch *b, mtl_real *const *work,
		     mtl_real *out)
{
	Scoring s = {in, b, work, out};
	mtl_pool_run(pool, (b->n + MTL_BLOCK - 1) / MTL_BLOCK, score_block, &s);
}

/* ---- text ---- */

typedef struct {
	char *text;
	size_t len, cap;
} Text;

static MtlStatus room(Text *t, const MtlSys *sys, size_t cap, MtlError *e)
{
	if (cap <= t->cap) return MTL_OK;
	cap += cap / 4;
	char *p = mtl_new(sys, char, cap);
	if (!p) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for %zu bytes of output", cap);
	if (t->len) memcpy(p, t->text, t->len);
	mtl_release(sys, t->text);
	t->text = p;
	t->cap = cap;
	return MTL_OK;
}

static void put(Text *t, const char *s, size_t n)
{
	memcpy(t->text + t->len, s, n);
	t->len += n;
}

static void put_char(Text *t, char c) { t->text[t->len++] = c; }

/* At most 6 bytes for each byte of s, and two quotes. */
static void put_json(Text *t, const char *s)
{
	put_char(t, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\') put_char(t, '\\');
		if (c < 0x20)
			t->len += (size_t)sprintf(t->text + t->len, "\\u%04x", c);
		else
			put_char(t, *s);
	}
	put_char(t, '"');
}

/* RFC 4180: quotes where a cell holds a separator, a quote or a line's end. */
static void put_csv(Text *t, const char *s)
{
	if (!s[strcspn(s, ",\"\r\n")]) {
		put(t, s, strlen(s));
		return;
	}
	put_char(t, '"');
	for (; *s; s++) {
		if (*s == '"') put_char(t, '"');
		put_char(t, *s);
	}
	put_char(t, '"');
}

/* TSV has no quotes: what would end a cell becomes a blank. */
static void put_tsv(Text *t, const char *s)
{
	for (; *s; s++) put_char(t, *s == '\t' || *s == '\n' || *s == '\r' ? ' ' : *s);
}

static void put_cell(Text *t, MtlScoresFormat f, const char *s)
{
	if (f == MTL_SCORES_JSONL)
		put_json(t, s);
	else if (f == MTL_SCORES_CSV)
		put_csv(t, s);
	else
		put_tsv(t, s);
}

typedef struct {
	MtlInstance *in;
	MtlThreads *pool;
	const MtlScoreOptions *o;
	mtl_real **work, *out;
	const char **cell; /* [BATCH] first passed-through cell of each row */
	Text chunk[BATCH / CHUNK];
	size_t names; /* bytes of the JSON keys of a row, at most */
	const MtlBatch *batch;
	const mtl_real *request; /* where the request's part of all rows lies; NULL: rows have their own */
	const mtl_real *item;	 /* the batch's rows of ITEM, or NULL */
	bool no_request;	 /* the request's row could not be read: its scores are empty */
} Job;

static void begin_cell(Job *j, Text *t, int i, const char *name)
{
	bool json = j->o->format == MTL_SCORES_JSONL;
	if (i)
		put_char(t, j->o->format == MTL_SCORES_TSV ? '\t' : ',');
	else if (json)
		put_char(t, '{');
	if (!json) return;
	put_json(t, name);
	put_char(t, ':');
}

static void put_row(Job *j, Text *t, int64_t row)
{
	const MtlModel *m = j->in->m;
	int i = 0;
	bool json = j->o->format == MTL_SCORES_JSONL,
	     bad = j->no_request || (j->batch->bad && j->batch->bad[row]);
	const char *cell = j->cell[row];
	for (int k = 0; k < j->batch->n_pass; k++, cell += strlen(cell) + 1) {
		begin_cell(j, t, i++, j->o->reader.passthrough[k]);
		put_cell(t, j->o->format, cell);
	}
	for (int k = 0; k < m->n_output; k++) {
		begin_cell(j, t, i++, m->output[k].name);
		if (!bad)
			t->len += (size_t)mtl_print_real(t->text + t->len, j->out[row * m->n_output + k]);
		else if (json)
			put(t, "null", 4);
	}
	if (json) put_char(t, '}');
	put_char(t, '\n');
}

static void do_chunk(void *arg, int64_t i, int worker)
{
	Job *j = arg;
	int64_t row = i * CHUNK, end = row + CHUNK < j->batch->n ? row + CHUNK : j->batch->n;
	if (j->request) {
		mtl_rows_hand_over(j->in, j->request, j->work[worker]);
		if (j->item)
			mtl_rows_pairs(j->in, j->batch, j->work[worker], j->item, j->out, row, end - row);
		else
			mtl_rows_candidates(j->in, j->batch, j->work[worker], j->out, row, end - row);
	} else {
		mtl_rows_score(j->in, j->batch, j->work[worker], j->out, row, end - row);
	}
	j->chunk[i].len = 0;
	for (; row < end; row++) put_row(j, &j->chunk[i], row);
}

/* ---- writing ---- */

static MtlStatus write_all(Job *j, const Text *t, bool *closed, MtlError *e)
{
	const MtlSys *sys = j->in->sys;
	for (size_t at = 0; at < t->len && !*closed;) {
		ssize_t n = sys->write(sys->self, j->o->fd, t->text + at, t->len - at);
		if (n < 0 && errno == EINTR) continue;
		if (n < 0 && errno == EPIPE)
			*closed = true;
		else if (n < 0)
			return mtl_fail(e, MTL_SYSTEM, "F0212", j->o->out_name, "cannot write: %s",
					strerror(errno));
		else
			at += (size_t)n;
	}
	return MTL_OK;
}

static MtlStatus header(Job *j, bool *closed, MtlError *e)
{
	const MtlModel *m = j->in->m;
	if (j->o->format == MTL_SCORES_JSONL) return MTL_OK;
	Text *t = &j->chunk[0];
	int i = 0;
	if (room(t, j->in->sys, 2 * j->names + 16, e)) return e->status;
	for (int k = 0; k < j->o->reader.n_passthrough; k++) {
		begin_cell(j, t, i++, NULL);
		put_cell(t, j->o->format, j->o->reader.passthrough[k]);
	}
	for (int k = 0; k < m->n_output; k++) {
		begin_cell(j, t, i++, NULL);
		put_cell(t, j->o->format, m->output[k].name);
	}
	put_char(t, '\n');
	MtlStatus st = write_all(j, t, closed, e);
	t->len = 0;
	return st;
}

static MtlStatus one_batch(Job *j, const MtlBatch *b, bool *closed, MtlError *e)
{
	int n_chunk = (int)((b->n + CHUNK - 1) / CHUNK);
	const char *p = b->pass_text;
	j->batch = b;
	for (int c = 0; c < n_chunk; c++) {
		const char *from = p;
		int64_t row = (int64_t)c * CHUNK, end = row + CHUNK < b->n ? row + CHUNK : b->n;
		for (; row < end; row++) {
			j->cell[row] = p;
			for (int k = 0; k < b->n_pass; k++) p += strlen(p) + 1;
		}
		size_t fixed = j->names + (size_t)j->in->m->n_output * NUMBER + (size_t)b->n_pass * 4 + 8;
		size_t pass = b->n_pass ? (size_t)(p - from) : 0;
		if (room(&j->chunk[c], j->in->sys, CHUNK * fixed + 6 * pass, e)) return e->status;
	}
	mtl_pool_run(j->pool, n_chunk, do_chunk, j);
	for (int c = 0; c < n_chunk; c++)
		if (write_all(j, &j->chunk[c], closed, e)) return e->status;
	return MTL_OK;
}

/* ---- rows of a log ---- */

static bool interrupted(const Job *j, MtlError *e)
{
	if (!j->o->interrupted || !j->o->interrupted(j->o->self)) return false;
	mtl_fail(e, MTL_INTERRUPTED, "", NULL, "interrupted");
	return true;
}

static MtlStatus feed_open(MtlFeed **feed, const Job *j, const char *const *path, MtlSides sides, MtlError *e)
{
	MtlFeedOptions fo = {.path = path, .n_path = 1, .reader = j->o->reader, .batch = BATCH};
	fo.reader.sides = sides;
	fo.reader.prompt = true; /* whoever writes row by row is answered row by row */
	if (sides == MTL_REQUEST_SIDE) fo.reader.n_passthrough = 0;
	return mtl_feed_open(feed, j->in->sys, j->in->m, &j->in->codes, &fo, e);
}

static MtlStatus all_rows(Job *j, MtlScoreResult *r, MtlError *e)
{
	MtlFeed *feed = NULL;
	MtlStatus st = feed_open(&feed, j, &j->o->path, MTL_BOTH_SIDES, e);
	if (!st) st = header(j, &r->closed, e);
	for (MtlFed *fed = NULL; !st && !r->closed;) {
		if (interrupted(j, e)) {
			st = e->status;
			break;
		}
		if ((st = mtl_feed_next(feed, &fed, e)) || !fed) break;
		st = one_batch(j, &fed->batch, &r->closed, e);
		r->rows += fed->batch.n;
	}
	if (feed) r->counts = mtl_feed_counts(feed);
	MtlStatus closed = mtl_feed_close(feed, e);
	return st ? st : closed;
}

/* ---- every request with every candidate ---- */

/* The candidates, kept encoded, and computed as far as they go alone: they are wanted for each request. */
typedef struct {
	MtlBatch *batch;
	mtl_real **item; /* per batch: its rows of ITEM, or NULL */
	int n, cap;
} Candidates;

static MtlStatus one_more(Candidates *c, const MtlSys *sys, const MtlModel *m, MtlError *e)
{
	if (c->n == c->cap) {
		int cap = c->cap ? 2 * c->cap : 8;
		MtlBatch *b = mtl_new(sys, MtlBatch, cap);
		mtl_real **item = mtl_new(sys, mtl_real *, cap);
		if (!b || !item) {
			mtl_release(sys, b);
			mtl_release(sys, item);
			return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the candidates");
		}
		if (c->n) memcpy(b, c->batch, (size_t)c->n * sizeof *b);
		if (c->n) memcpy(item, c->item, (size_t)c->n * sizeof *item);
		mtl_release(sys, c->batch);
		mtl_release(sys, c->item);
		c->batch = b;
		c->item = item;
		c->cap = cap;
	}
	if (mtl_batch_init(&c->batch[c->n], sys, m, BATCH, e)) return e->status;
	c->n++;
	return MTL_OK;
}

/* The last batch's rows of ITEM, where the model has such. */
static MtlStatus keep_items(Candidates *c, Job *j, MtlError *e)
{
	const MtlBatch *b = &c->batch[c->n - 1];
	mtl_real *item;
	if (!b->n || !mtl_rows_have_items(j->in)) return MTL_OK;
	item = c->item[c->n - 1] = mtl_new(j->in->sys, mtl_real, b->n * j->in->m->n_item);
	if (!item) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for the candidates");
	mtl_rows_items(j->in, b, j->work[0], item, 0, b->n);
	return MTL_OK;
}

static MtlStatus read_candidates(Candidates *c, Job *j, MtlScoreResult *r, MtlError *e)
{
	const MtlInstance *in = j->in;
	MtlReaderOptions ro = j->o->reader;
	MtlReader *reader = NULL;
	ro.sides = MTL_CANDIDATE_SIDE;
	MtlStatus st = mtl_reader_open(&reader, in->sys, in->m, &in->codes, &j->o->path, 1, &ro, e);
	for (bool more = true; !st && more;) {
		if ((st = one_more(c, in->sys, in->m, e))) break;
		st = mtl_reader_next(reader, &c->batch[c->n - 1], e);
		if (!st) st = keep_items(c, j, e);
		more = c->batch[c->n - 1].n > 0;
	}
	if (reader) r->counts = *mtl_reader_counts(reader);
	MtlStatus closed = mtl_reader_close(reader, e);
	return st ? st : closed;
}

/* The request's sequences beside every candidate of a batch. */
static MtlStatus repeat(const MtlInstance *in, MtlBatch *b, const MtlBatch *from, int64_t row, MtlError *e)
{
	const MtlModel *m = in->m;
	for (int f = 0; f < m->n_feature; f++) {
		const MtlColumn *c = &from->column[f];
		if (m->feature[f].candidate || !m->feature[f].seq) continue;
		int64_t length = c->bag_start[row + 1] - c->bag_start[row];
		if (mtl_batch_room(&b->column[f], in->sys, b->n * length, e)) return e->status;
	}
	mtl_rows_repeat(m, b, b->n, from, row);
	return mtl_batch_steps(b, in->sys, m, e);
}

static MtlStatus one_request(Job *j, const MtlBatch *b, int64_t row, const Candidates *c, MtlScoreResult *r,
			     MtlError *e)
{
	j->no_request = b->bad && b->bad[row];
	if (!j->no_request) mtl_rows_request(j->in, b, j->work[0], row);
	j->request = j->work[0];
	for (int i = 0; i < c->n && !r->closed; i++) {
		j->item = c->item[i];
		if (!j->no_request && mtl_rows_walk(j->in) && repeat(j->in, &c->batch[i], b, row, e))
			return e->status;
		mtl_cross_fill(j->in->m, &c->batch[i], 0, c->batch[i].n, b, row);
		if (interrupted(j, e) || one_batch(j, &c->batch[i], &r->closed, e)) return e->status;
		r->rows += c->batch[i].n;
	}
	return MTL_OK;
}

static MtlStatus all_pairs(Job *j, MtlScoreResult *r, MtlError *e)
{
	const MtlSys *sys = j->in->sys;
	Candidates c = {0};
	MtlFeed *feed = NULL;
	MtlStatus st = read_candidates(&c, j, r, e);
	if (!st) st = feed_open(&feed, j, &j->o->request, MTL_REQUEST_SIDE, e);
	if (!st) st = header(j, &r->closed, e);
	for (MtlFed *fed = NULL; !st && !r->closed;) {
		if ((st = mtl_feed_next(feed, &fed, e)) || !fed) break;
		for (int64_t row = 0; !st && !r->closed && row < fed->batch.n; row++)
			st = one_request(j, &fed->batch, row, &c, r, e);
	}
	MtlStatus closed = mtl_feed_close(feed, e);
	for (int i = 0; i < c.n; i++) mtl_batch_free(&c.batch[i], sys, j->in->m);
	for (int i = 0; i < c.n; i++) mtl_release(sys, c.item[i]);
	mtl_release(sys, c.batch);
	mtl_release(sys, c.item);
	return st ? st : closed;
}

MtlStatus mtl_score(MtlScoreResult *r, MtlInstance *in, MtlThreads *pool, const MtlScoreOptions *o,
		    MtlError *e)
{
	const MtlSys *sys = in->sys;
	const MtlModel *m = in->m;
	int threads = mtl_pool_threads(pool);
	Job j = {.in = in, .pool = pool, .o = o};
	*r = (MtlScoreResult){0};
	for (int k = 0; k < o->reader.n_passthrough; k++) j.names += 6 * strlen(o->reader.passthrough[k]) + 4;
	for (int k = 0; k < m->n_output; k++) j.names += 6 * strlen(m->output[k].name) + 4;
	int64_t floats = mtl_rows_scratch(in);
	j.work = mtl_new(sys, mtl_real *, threads);
	j.out = mtl_new(sys, mtl_real, BATCH * m->n_output + 1);
	j.cell = mtl_new(sys, const char *, BATCH);
	bool ok = j.work && j.out && j.cell;
	for (int i = 0; ok && i < threads; i++) ok = (j.work[i] = mtl_new(sys, mtl_real, floats));
	MtlStatus st = ok ? MTL_OK : mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory for scoring");

	if (!st) st = (o->request ? all_pairs : all_rows)(&j, r, e);
	for (size_t i = 0; i < sizeof j.chunk / sizeof *j.chunk; i++) mtl_release(sys, j.chunk[i].text);
	for (int i = 0; j.work && i < threads; i++) mtl_release(sys, j.work[i]);
	mtl_release(sys, j.work);
	mtl_release(sys, j.out);
	mtl_release(sys, j.cell);
	return st;
}
