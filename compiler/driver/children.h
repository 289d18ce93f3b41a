/*
 * Programs that are run beside us: started with their output in a file, waited for, told of interrupts.
 *
 * Between children_begin and children_end SIGINT, SIGTERM and the ends of children wait to be asked for, so
 * that none is lost between a look and a wait.
 */
#ifndef CHILDREN_H
#define CHILDREN_H
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct {
	sigset_t heard, before;
} Children;

void children_begin(Children *c);
void children_end(Children *c);
/* Starts argv[0]; said: a file for stdout and stderr, NULL: ours.  < 0: errno says why. */
pid_t child_start(const Children *c, const char *const *argv, const char *said);
/* Waits for something to happen.  True: an interrupt, *told: the terminal has told the children too. */
bool children_wait(const Children *c, bool *told);
/* A child that has ended, *code its exit code (70: it was killed); 0: none. */
pid_t child_ended(int *code);
/* Waits for this one to its end and passes interrupts on: its exit code. */
int child_await(const Children *c, pid_t child);
#endif
