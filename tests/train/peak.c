/* peak COMMAND...: runs it, and prints the most memory it had, in KiB. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int n, char **arg)
{
	int status;
	struct rusage use;
	pid_t pid = n > 1 ? fork() : -1;
	if (pid == 0) {
		execvp(arg[1], arg + 1);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || getrusage(RUSAGE_CHILDREN, &use)) return 1;
	printf("%ld\n", use.ru_maxrss);
	return status != 0;
}
