/* SPDX-License-Identifier: MIT */
/* The small program that the generator executes. It touches no file and no socket; how it ends is told by
 * its arguments, after which any others may follow:
 *
 *   leaf exit CODE | signal NUMBER | pause DESCRIPTOR | threads | again PATH CODE
 *
 * pause first writes a byte to the descriptor.
 * The kernel puts the path of a script before them when leaf is its interpreter. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *outlive_the_leader(void *leader)
{
	pthread_join(*(pthread_t *)leader, NULL);
	_exit(7);
}

/* The leader leaves first: the process ends with its last thread. */
static void end_with_threads(void)
{
	static pthread_t leader;
	pthread_t other;

	leader = pthread_self();
	if (pthread_create(&other, NULL, outlive_the_leader, &leader) != 0)
		_exit(99);
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	char **arg = argv + 1;

	if (argc > 1 && strchr(arg[0], '/')) {
		arg++;
		argc--;
	}
	if (argc > 2 && strcmp(arg[0], "exit") == 0)
		_exit(atoi(arg[1]));
	if (argc > 2 && strcmp(arg[0], "signal") == 0) {
		signal(atoi(arg[1]), SIG_DFL); /* under nohup one is ignored */
		raise(atoi(arg[1]));
		_exit(98);
	}
	if (argc > 2 && strcmp(arg[0], "pause") == 0) {
		alarm(60); /* should nobody end it */
		if (write(atoi(arg[1]), "!", 1) == 1)
			pause();
	}
	if (argc > 1 && strcmp(arg[0], "threads") == 0)
		end_with_threads();
	if (argc > 3 && strcmp(arg[0], "again") == 0)
		execl(arg[1], arg[1], "exit", arg[2], (char *)NULL);
	return 97;
}
