/* Programs that are run beside us. */
#define _GNU_SOURCE
#include "driver/children.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void children_begin(Children *c)
{
	sigemptyset(&c->heard);
	sigaddset(&c->heard, SIGCHLD);
	sigaddset(&c->heard, SIGINT);
	sigaddset(&c->heard, SIGTERM);
	sigprocmask(SIG_BLOCK, &c->heard, &c->before);
}

void children_end(Children *c) { sigprocmask(SIG_SETMASK, &c->before, NULL); }

pid_t child_start(const Children *c, const char *const *argv, const char *said)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid) return pid;
	sigprocmask(SIG_SETMASK, &c->before, NULL);
	int fd = said ? open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (fd >= 0) dup2(fd, 1), dup2(fd, 2);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "mtlc: error: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(6);
}

bool children_wait(const Children *c, bool *told)
{
	siginfo_t info;
	if (sigwaitinfo(&c->heard, &info) <= 0 || info.si_signo == SIGCHLD) return false;
	*told = !info.si_pid; /* by a key: everyone at the terminal has heard it */
	return true;
}

static int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 70; }

pid_t child_ended(int *code)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);
	if (pid <= 0) return 0;
	*code = exit_code(status);
	return pid;
}

int child_await(const Children *c, pid_t child)
{
	int status;
	bool told;
	while (waitpid(child, &status, WNOHANG) != child)
		if (children_wait(c, &told) && !told) kill(child, SIGTERM);
	return exit_code(status);
}
