/* SPDX-License-Identifier: MIT */
#include "companion.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/own.h"

void companion_leave_signals(void)
{
	sigset_t none;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

bool companion_start(struct companion *c, int *until)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		*until = ends[0];
		return true;
	}
	close(ends[0]);
	if (pid < 0)
		close(MOVE_FD(ends[1]));
	*c = (struct companion){ pid < 0 ? 0 : pid, ends[1] };
	return false;
}

void companion_dismiss(struct companion *c)
{
	if (c->pid > 0 && c->until >= 0)
		close(MOVE_FD(c->until));
}

bool companion_has_ended(struct companion *c, int *status)
{
	if (c->pid <= 0 || waitpid(c->pid, status, WNOHANG) != c->pid)
		return false;
	companion_dismiss(c);
	c->pid = 0;
	return true;
}

void companion_end(struct companion *c, uint64_t kill_ms)
{
	int status;

	companion_dismiss(c);
	while (c->pid > 0 && !companion_has_ended(c, &status)) {
		if (now_ms() >= kill_ms)
			kill(c->pid, SIGKILL);
		usleep(10000);
	}
}
