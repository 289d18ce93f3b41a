/*
 * A scorer over HTTP.
 *
 * A request's life: its line (the connection) is RECEIVING while head and body arrive; a body to be scored is
 * suspended and queued (WORKING), a worker scores it and wakes the connection, which then is ANSWERING until
 * the client has fetched everything, and IDLE until its next request.  Every state but WORKING has a time at
 * which the socket is shut down; a queued request has a deadline of its own.  `lock` guards lines and their
 * states, `gate` the queue.
 */
#define _GNU_SOURCE
#include "http.h"
#include "program.h"
#include <math.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HEAD_BYTES = 16 << 10, /* of a connection: request line, headers, and pieces of the body */
	BODY_FIRST = 16 << 10,
	SPARE = 64, /* connections beyond the limit, to be told so */
	VERSION = 32,
};

/* ---- what can be asked ---- */

typedef enum { LIVE, READY, ABOUT, MODEL, MODEL_READY, INFER, SCORE, LOAD, METRICS, NOWHERE, N_ROUTES } Route;

/* '@': the model's name, and "/versions/V" behind it if the client likes. */
static const struct {
	const char *path, *method;
} route[] = {
    [LIVE] = {"/v2/health/live", "GET"},
    [READY] = {"/v2/health/ready", "GET"},
    [ABOUT] = {"/v2", "GET"},
    [MODEL] = {"/v2/models/@", "GET"},
    [MODEL_READY] = {"/v2/models/@/ready", "GET"},
    [INFER] = {"/v2/models/@/infer", "POST"},
    [SCORE] = {"/v2/models/@/score", "POST"},
    [LOAD] = {"/v2/repository/models/@/load", "POST"},
    [METRICS] = {"/metrics", "GET"},
};
static const char *const route_name[] = {"live",  "ready", "about", "model",   "model_ready",
					 "infer", "score", "load",  "metrics", "nowhere"};
_Static_assert(sizeof route_name / sizeof *route_name == N_ROUTES && (int)N_ROUTES <= MTL_VITALS_ROUTES,
	       "a name for each route");

static bool matches(const char *pattern, const char *url, const char *name, char version[VERSION])
{
	static const char word[] = "/versions/";
	version[0] = '\0';
	for (; *pattern; pattern++) {
		if (*pattern != '@') {
			if (*pattern != *url++) return false;
			continue;
		}
		size_t n = strlen(name);
		if (strncmp(url, name, n) != 0) return false;
		url += n;
		if (strncmp(url, word, sizeof word - 1) != 0) continue;
		url += sizeof word - 1;
		n = strcspn(url, "/");
		if (n == 0 || n >= VERSION) return false;
		memcpy(version, url, n);
		version[n] = '\0';
		url += n;
	}
	return !*url || strcmp(url, "/") == 0;
}

static Route route_of(const char *url, const char *name, char version[VERSION])
{
	for (int i = 0; i < NOWHERE; i++)
		if (matches(route[i].path, url, name, version)) return (Route)i;
	return NOWHERE;
}

/* ---- lines and asks ---- */

typedef enum { RECEIVING, WORKING, ANSWERING, IDLE } State;

typedef struct Line {
	struct Line *next, *before;
	int fd;
	State state;
	double until;
	bool over; /* one connection too many: it is told so and closed */
} Line;

typedef struct Ask {
	struct Ask *next; /* in the queue */
	struct MHD_Connection *connection;
	Line *line;
	Route route;
	bool get;
	char version[VERSION]; /* asked for, or "" */
	char *body;
	size_t n, cap;
	double came, until;
	bool done; /* code and answer hold */
	int code;
	MtlText answer;
} Ask;

struct MtlHttp {
	const MtlSys *sys;
	const MtlDoor *door;
	MtlServed *served;
	MtlHttpLimits limits;
	MtlVitals vitals;
	struct MHD_Daemon *daemon;
	pthread_mutex_t lock;
	Line *line;
	int n_line;
	_Atomic bool draining;
	pthread_mutex_t gate;
	pthread_cond_t came;
	Ask *first, *last;
	int n_queued;
	bool stop;
	pthread_t *thread;
	int n_thread, next_worker;
	MtlPayload *payload; /* [threads] */
};

static void turn(MtlHttp *h, Line *l, State s)
{
	double wait = s == IDLE ? h->limits.idle : s == WORKING ? (double)INFINITY : h->limits.receive;
	pthread_mutex_lock(&h->lock);
	l->state = s;
	l->until = mtl_now() + wait;
	pthread_mutex_unlock(&h->lock);
}

/* ---- answers ---- */

static void say(Ask *a, int code, const char *text)
{
	a->done = true;
	a->code = code;
	a->answer.n = 0;
	a->answer.failed = false;
	mtl_text_add(&a->answer, "{\"error\":");
	mtl_text_json(&a->answer, text, strlen(text));
	mtl_text_add(&a->answer, "}\n");
}

static void say_error(Ask *a, const MtlError *e)
{
	if (e->status == MTL_LIMIT)
		say(a, e->code[0] ? 413 : 503, e->text);
	else
		say(a, e->status == MTL_DATA ? 400 : 500, e->text);
}

static enum MHD_Result send_answer(MtlHttp *h, Ask *a)
{
	const char *type =
	    a->route == METRICS && a->code == 200 ? "text/plain; version=0.0.4" : "application/json";
	if (a->answer.failed) a->answer.n = 0; /* no memory even for that */
	struct MHD_Response *r =
	    MHD_create_response_from_buffer(a->answer.n, a->answer.p, MHD_RESPMEM_PERSISTENT);
	if (!r) return MHD_NO;
	MHD_add_response_header(r, "Content-Type", type);
	if (a->code == 503) MHD_add_response_header(r, "Retry-After", "1");
	if (a->code == 405) MHD_add_response_header(r, "Allow", a->get ? "POST" : "GET");
	if (h->draining || a->line->over || a->code == 413) MHD_add_response_header(r, "Connection", "close");
	turn(h, a->line, ANSWERING);
	mtl_vitals_request(&h->vitals, (int)a->route, a->code);
	enum MHD_Result ok = MHD_queue_response(a->connection, (unsigned)a->code, r);
	MHD_destroy_response(r);
	return ok;
}

/* ---- what needs no worker ---- */

static void about(MtlHttp *h, Ask *a)
{
	mtl_text_add(&a->answer, "{\"name\":\"mtlc\",\"version\":");
	mtl_text_json(&a->answer, h->door->model->compiler, strlen(h->door->model->compiler));
	mtl_text_add(&a->answer, ",\"extensions\":[\"score\",\"model_repository\"]}\n");
}

/* MODEL, MODEL_READY, METRICS: with the version at hand. */
static void about_model(MtlHttp *h, Ask *a)
{
	MtlTaken *t = mtl_served_take(h->served);
	const char *version = mtl_library_version(t->library);
	if (a->version[0] && strcmp(a->version, version) != 0)
		say(a, 404, "this version is not served (any more)");
	else if (a->route == MODEL)
		mtl_payload_metadata(h->door, t->library, &a->answer);
	else if (a->route == METRICS)
		mtl_vitals_print(&h->vitals, route_name, N_ROUTES, h->door->model->name, version, &a->answer);
	mtl_served_give(h->served, t);
}

static void answer_at_once(MtlHttp *h, Ask *a)
{
	a->done = true;
	a->code = 200;
	if (a->route == NOWHERE) {
		char text[400];
		snprintf(text, sizeof text,
			 "nothing here: /v2/health/live, /v2/health/ready, /v2/models/%.60s, "
			 "/v2/models/%.60s/score, /v2/models/%.60s/infer, /metrics",
			 h->door->model->name, h->door->model->name, h->door->model->name);
		say(a, 404, text);
	} else if (a->get != (route[a->route].method[0] == 'G')) {
		say(a, 405, a->get ? "this takes POST" : "this takes GET");
	} else if ((a->route == READY || a->route == MODEL_READY) && h->draining) {
		say(a, 503, "shutting down");
	} else if (a->route == ABOUT) {
		about(h, a);
	} else if (a->route == MODEL || a->route == MODEL_READY || a->route == METRICS) {
		about_model(h, a);
	}
}

/* ---- the queue ---- */

/* NULL: it is time to stop. */
static Ask *next_ask(MtlHttp *h)
{
	pthread_mutex_lock(&h->gate);
	while (!h->first && !h->stop) pthread_cond_wait(&h->came, &h->gate);
	Ask *a = h->first;
	if (a) {
		h->first = a->next;
		if (!h->first) h->last = NULL;
		h->n_queued--;
		h->vitals.queued--;
	}
	pthread_mutex_unlock(&h->gate);
	return a;
}

/* False: the queue is full.  From here on the ask is a worker's, until its connection is resumed. */
static bool enqueue(MtlHttp *h, Ask *a)
{
	pthread_mutex_lock(&h->gate);
	bool fits = !h->stop && h->n_queued < h->limits.queue;
	if (fits) {
		turn(h, a->line, WORKING);
		MHD_suspend_connection(a->connection);
		*(h->last ? &h->last->next : &h->first) = a;
		h->last = a;
		h->n_queued++;
		h->vitals.queued++;
		pthread_cond_signal(&h->came);
	}
	pthread_mutex_unlock(&h->gate);
	return fits;
}

static void score(MtlHttp *h, MtlPayload *p, Ask *a)
{
	MtlError e = {0};
	int64_t rows = 0;
	MtlTaken *t = mtl_served_take(h->served);
	if (a->version[0] && strcmp(a->version, mtl_library_version(t->library)) != 0)
		say(a, 404, "this version is not served (any more)");
	else if (mtl_payload_answer(p, t->library, a->route == INFER ? MTL_BODY_TENSORS : MTL_BODY_CANDIDATES,
				    a->body, a->n, &a->answer, &rows, &e))
		say_error(a, &e);
	else
		a->code = 200;
	mtl_served_give(h->served, t);
	a->done = true;
	if (a->code == 200) mtl_vitals_answer(&h->vitals, mtl_now() - a->came, rows);
}

static void load(MtlHttp *h, Ask *a)
{
	MtlError e = {0};
	a->done = true;
	a->code = 200;
	if (mtl_http_reload(h, &e)) say(a, 409, e.text);
}

static void *work(void *arg)
{
	MtlHttp *h = arg;
	pthread_mutex_lock(&h->gate);
	MtlPayload *p = &h->payload[h->next_worker++];
	pthread_mutex_unlock(&h->gate);
	for (Ask *a; (a = next_ask(h));) {
		h->vitals.working++;
		if (mtl_now() > a->until)
			say(a, 503, "too busy: the request waited longer than --deadline allows");
		else if (a->route == LOAD)
			load(h, a);
		else
			score(h, p, a);
		h->vitals.working--;
		MHD_resume_connection(a->connection); /* from here on it is the other thread's again */
	}
	return NULL;
}

/* ---- receiving ---- */

static void drop_body(MtlHttp *h, Ask *a)
{
	h->vitals.buffered -= (int64_t)a->cap;
	mtl_release(h->sys, a->body);
	a->body = NULL;
	a->n = a->cap = 0;
}

/* What comes after a refusal is read and forgotten, so that the client gets to read why. */
static void refuse(MtlHttp *h, Ask *a, int code, const char *why)
{
	drop_body(h, a);
	say(a, code, why);
}

static void put_body(MtlHttp *h, Ask *a, const char *p, size_t n)
{
	if (a->done) return;
	if (a->n + n > (size_t)h->limits.body) {
		refuse(h, a, 413, "the body is larger than --max-body allows");
		return;
	}
	if (a->n + n > a->cap) {
		size_t cap = a->cap ? 2 * a->cap : BODY_FIRST;
		while (cap < a->n + n) cap *= 2;
		int64_t more = (int64_t)(cap - a->cap);
		char *larger =
		    h->vitals.buffered + more <= h->limits.buffered ? mtl_new(h->sys, char, cap) : NULL;
		if (!larger) {
			refuse(h, a, 503, "too many bytes of requests are held at the moment");
			return;
		}
		if (a->n) memcpy(larger, a->body, a->n);
		mtl_release(h->sys, a->body);
		a->body = larger;
		a->cap = cap;
		h->vitals.buffered += more;
	}
	memcpy(a->body + a->n, p, n);
	a->n += n;
}

static bool is_too_large(const MtlHttp *h, struct MHD_Connection *c)
{
	const char *text = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	return text && strtoull(text, NULL, 10) > (unsigned long long)h->limits.body;
}

static Line *line_of(struct MHD_Connection *c)
{
	return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The head has arrived. */
static enum MHD_Result begin(MtlHttp *h, struct MHD_Connection *c, const char *url, const char *method,
			     void **self)
{
	Ask *a = mtl_new(h->sys, Ask, 1);
	if (!a || !line_of(c)) {
		mtl_release(h->sys, a);
		return MHD_NO;
	}
	*a = (Ask){.connection = c, .line = line_of(c), .answer = {.sys = h->sys}};
	*self = a;
	a->route = route_of(url, h->door->model->name, a->version);
	bool post = strcmp(method, "POST") == 0;
	a->get = !post;
	if (!post && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		say(a, 405, "only GET, HEAD and POST are spoken here");
		return send_answer(h, a);
	}
	if (a->line->over) {
		say(a, 503, "too many connections");
		return send_answer(h, a);
	}
	if (is_too_large(h, c)) {
		say(a, 413, "the body is larger than --max-body allows");
		return send_answer(h, a);
	}
	return MHD_YES;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *c, const char *url, const char *method,
				  const char *protocol, const char *data, size_t *n, void **ask)
{
	MtlHttp *h = self;
	Ask *a = *ask;
	(void)protocol;
	if (!a) return begin(h, c, url, method, ask);
	if (*n) {
		put_body(h, a, data, *n);
		*n = 0;
		return MHD_YES;
	}
	if (!a->done) {
		a->came = mtl_now();
		a->until = a->came + h->limits.deadline;
		bool post = !a->get && (a->route == INFER || a->route == SCORE || a->route == LOAD);
		if (post && enqueue(h, a)) return MHD_YES;
		if (post)
			say(a, 503, "too busy: the queue is full");
		else
			answer_at_once(h, a);
	}
	return send_answer(h, a);
}

/* The request line has arrived; what is returned becomes *ask. */
static void *on_line(void *self, const char *uri, struct MHD_Connection *c)
{
	Line *l = line_of(c);
	(void)uri;
	if (l && l->state == IDLE) turn(self, l, RECEIVING);
	return NULL;
}

static void on_completed(void *self, struct MHD_Connection *c, void **ask,
			 enum MHD_RequestTerminationCode why)
{
	MtlHttp *h = self;
	Ask *a = *ask;
	(void)c, (void)why;
	if (!a) return;
	turn(h, a->line, IDLE);
	drop_body(h, a);
	mtl_text_free(&a->answer);
	mtl_release(h->sys, a);
	*ask = NULL;
}

static void on_connection(void *self, struct MHD_Connection *c, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	MtlHttp *h = self;
	Line *l = *context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		if (!(*context = l = mtl_new(h->sys, Line, 1))) return; /* no request of it is answered */
		pthread_mutex_lock(&h->lock);
		*l = (Line){.next = h->line,
			    .fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
			    .until = mtl_now() + h->limits.receive,
			    .over = h->n_line >= h->limits.connections};
		if (h->line) h->line->before = l;
		h->line = l;
		h->n_line++;
		pthread_mutex_unlock(&h->lock);
		h->vitals.connections++;
	} else if (l) { /* its socket is closed after this */
		pthread_mutex_lock(&h->lock);
		*(l->before ? &l->before->next : &h->line) = l->next;
		if (l->next) l->next->before = l->before;
		h->n_line--;
		pthread_mutex_unlock(&h->lock);
		h->vitals.connections--;
		mtl_release(h->sys, l);
		*context = NULL;
	}
}

void mtl_http_tick(MtlHttp *h)
{
	static const char late[] =
	    "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	double now = mtl_now();
	pthread_mutex_lock(&h->lock);
	for (Line *l = h->line; l; l = l->next) {
		if (now <= l->until && !(h->draining && l->state == IDLE)) continue;
		l->until = (double)INFINITY;
		if (l->state == RECEIVING) { /* so nothing else is being sent */
			mtl_vitals_request(&h->vitals, NOWHERE, 408);
			(void)send(l->fd, late, sizeof late - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		(void)shutdown(l->fd, SHUT_RDWR); /* the other thread notices, and closes */
	}
	pthread_mutex_unlock(&h->lock);
}

/* ---- life ---- */

MtlStatus mtl_http_reload(MtlHttp *h, MtlError *e)
{
	MtlStatus st = mtl_served_reload(h->served, e);
	(st ? &h->vitals.reloads_refused : &h->vitals.reloads)[0]++;
	return st;
}

static void be_silent(void *self, const char *fmt, va_list ap) { (void)self, (void)fmt, (void)ap; }

static MtlStatus start(MtlHttp *h, int fd, MtlError *e)
{
	MtlTaken *t = mtl_served_take(h->served);
	MtlStatus st = MTL_OK;
	for (int i = 0; !st && i < h->limits.threads; i++)
		st = mtl_payload_init(&h->payload[i], h->sys, h->door, t->library, h->limits.payload, e);
	mtl_served_give(h->served, t);
	for (; !st && h->n_thread < h->limits.threads; h->n_thread++)
		if (pthread_create(&h->thread[h->n_thread], NULL, work, h))
			st = mtl_fail(e, MTL_SYSTEM, "", NULL, "cannot start %d threads", h->limits.threads);
	if (st) return st;
	h->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0,
	    NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, be_silent, NULL, MHD_OPTION_LISTEN_SOCKET,
	    fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)(h->limits.connections + SPARE),
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_URI_LOG_CALLBACK,
	    on_line, h, MHD_OPTION_END);
	return h->daemon ? MTL_OK : mtl_fail(e, MTL_SYSTEM, "", NULL, "the HTTP daemon does not start");
}

MtlStatus mtl_http_start(MtlHttp **out, const MtlSys *sys, const MtlDoor *d, MtlServed *served, int fd,
			 const MtlHttpLimits *limits, MtlError *e)
{
	MtlHttp *h = mtl_new(sys, MtlHttp, 1);
	*out = NULL;
	if (!h) return mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	h->sys = sys;
	h->door = d;
	h->served = served;
	h->limits = *limits;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->gate, NULL);
	pthread_cond_init(&h->came, NULL);
	h->thread = mtl_new(sys, pthread_t, limits->threads);
	h->payload = mtl_new(sys, MtlPayload, limits->threads);
	MtlStatus st =
	    h->thread && h->payload ? start(h, fd, e) : mtl_fail(e, MTL_LIMIT, "F0105", NULL, "no memory");
	if (st)
		mtl_http_stop(h);
	else
		*out = h;
	return st;
}

bool mtl_http_drain(MtlHttp *h)
{
	if (!h->draining) {
		MHD_socket fd = MHD_quiesce_daemon(h->daemon);
		if (fd != MHD_INVALID_SOCKET) (void)close(fd);
		pthread_mutex_lock(&h->lock);
		h->draining = true;
		pthread_mutex_unlock(&h->lock);
	}
	mtl_http_tick(h);
	pthread_mutex_lock(&h->lock);
	bool busy = false;
	for (Line *l = h->line; l; l = l->next) busy |= l->state != IDLE;
	pthread_mutex_unlock(&h->lock);
	return !busy;
}

void mtl_http_stop(MtlHttp *h)
{
	pthread_mutex_lock(&h->gate);
	h->stop = true;
	pthread_cond_broadcast(&h->came);
	pthread_mutex_unlock(&h->gate);
	for (int i = 0; i < h->n_thread; i++) pthread_join(h->thread[i], NULL);
	if (h->daemon) MHD_stop_daemon(h->daemon);
	for (int i = 0; h->payload && i < h->limits.threads; i++) mtl_payload_free(&h->payload[i]);
	pthread_cond_destroy(&h->came);
	pthread_mutex_destroy(&h->gate);
	pthread_mutex_destroy(&h->lock);
	mtl_release(h->sys, h->payload);
	mtl_release(h->sys, h->thread);
	mtl_release(h->sys, h);
}
