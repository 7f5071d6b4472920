/* SPDX-License-Identifier: MIT */
#include "pager.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/own.h"

/* Where there is no less, the text passes unpaged. */
static void pass_on(void)
{
	char bytes[8192];
	ssize_t n;

	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
		if (write(STDOUT_FILENO, bytes, (size_t)n) != n)
			break;
}

static void __attribute__((noreturn)) be_pager(const int ends[2])
{
	dup2(ends[0], STDIN_FILENO);
	close(ends[1]); /* or passing on would wait for itself to write */
	/* Who may view as another user by way of sudo is not to get a shell of that user from less. */
	setenv("LESSSECURE", "1", 1);
	/* Quit when one screen is enough, let colours through, leave the text on the screen. */
	execlp("less", "less", "-F", "-R", "-X", (char *)NULL);
	pass_on();
	_exit(0);
}

pid_t pager_start(void)
{
	bool errors = isatty(STDERR_FILENO);
	int ends[2];
	pid_t pid;

	if (!isatty(STDOUT_FILENO) || pipe2(ends, O_CLOEXEC) < 0)
		return 0;
	pid = fork();
	if (pid == 0)
		be_pager(ends);
	close(ends[0]);
	if (pid > 0) {
		/* Ctrl-C is for the pager; that it was left shows in the broken pipe. */
		signal(SIGINT, SIG_IGN);
		signal(SIGPIPE, SIG_IGN);
		dup2(ends[1], STDOUT_FILENO);
		if (errors)
			dup2(ends[1], STDERR_FILENO);
	}
	close(ends[1]);
	return pid > 0 ? pid : 0;
}

void pager_wait(pid_t pager)
{
	fflush(stdout);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	waitpid(pager, NULL, 0);
}
