/*
 * SCORER serve: the socket, the signals, and the end.
 *
 * SIGHUP reads the model file again; SIGTERM or SIGINT: no further connections, what is at work is answered,
 * exit 0; a second of them does not wait.
 */
#define _GNU_SOURCE
#include "http.h"
#include "program.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	TICK_MS = 100,
	FILES = 64 + 64, /* beside connections: http.c's spare ones, and our own */
};

/* ---- the socket ---- */

static MtlStatus cannot(MtlError *e, const char *where, const char *what)
{
	return mtl_fail(e, MTL_SYSTEM, "", where, "cannot %s: %s", what, strerror(errno));
}

static bool answers(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0;
	if (fd >= 0) (void)close(fd);
	return yes;
}

static MtlStatus listen_unix(int *fd, const char *path, MtlError *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stat st;
	size_t n = strlen(path);
	if (!n || n >= sizeof at.sun_path)
		return mtl_fail(e, MTL_USAGE, "", path, "the path of a socket has 1 to %zu bytes",
				sizeof at.sun_path - 1);
	memcpy(at.sun_path, path, n + 1);
	/* Left over by a server that was killed: nobody answers. */
	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !answers(&at)) (void)unlink(path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&at, sizeof at) || listen(*fd, SOMAXCONN))
		return cannot(e, path, "listen there");
	return MTL_OK;
}

typedef union {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
	struct sockaddr_un local;
} Address;

static bool is_loopback(const Address *a)
{
	return a->any.sa_family == AF_INET ? ntohl(a->four.sin_addr.s_addr) >> 24 == 127
					   : IN6_IS_ADDR_LOOPBACK(&a->six.sin6_addr);
}

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080"; false: it is none.  Names are not looked up. */
static bool address_of(Address *a, socklen_t *n, const char *where)
{
	const char *colon = strrchr(where, ':');
	char name[64], *end = NULL;
	size_t k = colon ? (size_t)(colon - where) : 0;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	bool six = k > 2 && where[0] == '[' && where[k - 1] == ']';
	if (!k || k >= sizeof name || colon[1] < '0' || colon[1] > '9' || *end || port > 65535) return false;
	snprintf(name, sizeof name, "%.*s", (int)k - 2 * six, where + six);
	memset(a, 0, sizeof *a);
	if (six) {
		*n = sizeof a->six;
		a->six.sin6_family = AF_INET6;
		a->six.sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, name, &a->six.sin6_addr) == 1;
	}
	*n = sizeof a->four;
	a->four.sin_family = AF_INET;
	a->four.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, strcmp(name, "localhost") == 0 ? "127.0.0.1" : name, &a->four.sin_addr) ==
	       1;
}

static MtlStatus listen_inet(int *fd, const char *where, bool anyone, MtlError *e)
{
	Address a;
	socklen_t n = 0;
	int on = 1;
	if (!address_of(&a, &n, where))
		return mtl_fail(
		    e, MTL_USAGE, "", NULL,
		    "--listen is ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH, not '%s' (names are not looked "
		    "up)",
		    where);
	if (!anyone && !is_loopback(&a))
		return mtl_fail(
		    e, MTL_USAGE, "", NULL,
		    "--listen: %s is reached by other machines, and this server has no passwords and no "
		    "encryption: --public allows it all the same",
		    where);
	if ((*fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0 ||
	    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(*fd, &a.any, n) ||
	    listen(*fd, SOMAXCONN))
		return cannot(e, where, "listen there");
	return MTL_OK;
}

static void say_where(const MtlProgram *p, int fd, const char *where)
{
	Address a;
	socklen_t n = sizeof a;
	char host[64] = "";
	if (getsockname(fd, &a.any, &n) || a.any.sa_family == AF_UNIX) {
		fprintf(stderr, "%s: serving %s on %s\n", p->name, p->m->name, where);
		return;
	}
	bool six = a.any.sa_family == AF_INET6;
	(void)inet_ntop(a.any.sa_family, six ? (void *)&a.six.sin6_addr : (void *)&a.four.sin_addr, host,
			sizeof host);
	fprintf(stderr, six ? "%s: serving %s on http://[%s]:%d\n" : "%s: serving %s on http://%s:%d\n",
		p->name, p->m->name, host, ntohs(six ? a.six.sin6_port : a.four.sin_port));
}

/* ---- limits ---- */

static MtlStatus limits_of(const MtlProgram *p, MtlHttpLimits *l, MtlError *e)
{
	static const struct {
		const char *name;
		int64_t otherwise, most;
	} of[] = {{"max-body", 4 << 20, (int64_t)1 << 32},
		  {"max-buffered", 256 << 20, (int64_t)1 << 40},
		  {"max-rows", 10000, 10000000},
		  {"max-depth", 8, 1000},
		  {"max-connections", 256, 100000},
		  {"max-queue", 64, 100000},
		  {"deadline", 1000, 3600000},
		  {"timeout", 5, 3600},
		  {"idle", 60, 86400}};
	int64_t v[sizeof of / sizeof *of];
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		v[i] = mtl_program_count(p, of[i].name, of[i].otherwise);
		if (v[i] < 1 || v[i] > of[i].most)
			return mtl_fail(e, MTL_USAGE, "", NULL, "--%s is 1 to %lld", of[i].name,
					(long long)of[i].most);
	}
	int threads = mtl_program_threads(p, 0);
	if (!threads) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (threads < 1 || threads > 1024) threads = threads < 1 ? 1 : 1024;
	*l = (MtlHttpLimits){.threads = threads,
			     .body = v[0],
			     .buffered = v[1],
			     .payload = {.rows = v[2], .depth = (int)v[3]},
			     .connections = (int)v[4],
			     .queue = (int)v[5],
			     .deadline = 1e-3 * (double)v[6],
			     .receive = (double)v[7],
			     .idle = (double)v[8]};
	struct rlimit files;
	rlim_t need = (rlim_t)l->connections + FILES;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < need) {
		files.rlim_cur = need;
		if (need > files.rlim_max || setrlimit(RLIMIT_NOFILE, &files))
			return mtl_fail(e, MTL_LIMIT, "", NULL,
					"%d connections need %lld open files, the system grants %lld",
					l->connections, (long long)need, (long long)files.rlim_max);
	}
	return MTL_OK;
}

/* ---- signals ---- */

static sigset_t watched(void)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGTERM);
	sigaddset(&s, SIGINT);
	sigaddset(&s, SIGHUP);
	return s;
}

/* The next signal, or 0 after a tick. */
static int next_signal(const sigset_t *s)
{
	int got = sigtimedwait(s, NULL, &(struct timespec){.tv_nsec = TICK_MS * 1000000L});
	return got > 0 ? got : 0;
}

static void reload(const MtlProgram *p, MtlHttp *h)
{
	MtlError e = {0};
	if (mtl_http_reload(h, &e))
		fprintf(stderr, "%s: still serving the model as it was: %s\n", p->name, e.text);
	else
		fprintf(stderr, "%s: serving the model file anew\n", p->name);
}

static void run(const MtlProgram *p, MtlHttp *h, const sigset_t *signals)
{
	for (;;) {
		int got = next_signal(signals);
		if (got == SIGHUP) reload(p, h);
		if (got == SIGTERM || got == SIGINT) break;
		mtl_http_tick(h);
	}
	double end = mtl_now() + (double)mtl_program_count(p, "drain", 10);
	while (!mtl_http_drain(h) && mtl_now() < end) {
		int got = next_signal(signals);
		if (got == SIGTERM || got == SIGINT) break;
	}
	fprintf(stderr, "%s: stopped\n", p->name);
}

static MtlStatus serve(MtlProgram *p, MtlError *e)
{
	static const char of_unix[] = "unix:";
	const char *where = mtl_program_text(p, "listen"), *path = mtl_program_text(p, "model");
	if (!where) where = "127.0.0.1:8080";
	bool local = strncmp(where, of_unix, sizeof of_unix - 1) == 0;
	sigset_t signals = watched();
	MtlHttpLimits limits;
	MtlDoor door = {0};
	MtlServed *served = NULL;
	MtlHttp *h = NULL;
	int fd = -1;
	/* Before any thread: they inherit it, and the signals wait for us. */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	MtlStatus st = limits_of(p, &limits, e);
	if (!st) st = mtl_cells_door(&door, p->sys, p->m, e);
	if (!st) st = mtl_served_open(&served, p->sys, &door, path, e);
	if (!st)
		st = local ? listen_unix(&fd, where + sizeof of_unix - 1, e)
			   : listen_inet(&fd, where, mtl_program_has(p, "public"), e);
	bool made = !st && local;
	if (!st) st = mtl_http_start(&h, p->sys, &door, served, fd, &limits, e);
	if (!st) {
		say_where(p, fd, where);
		run(p, h, &signals);
		mtl_http_stop(h);
	} else if (fd >= 0) {
		(void)close(fd);
	}
	if (made) (void)unlink(where + sizeof of_unix - 1);
	mtl_served_close(served);
	mtl_cells_door_free(&door, p->sys);
	return st;
}

int mtl_server_main(const MtlModel *m, int argc, char **argv) { return mtl_scorer_run(m, serve, argc, argv); }
