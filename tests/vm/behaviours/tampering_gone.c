/* SPDX-License-Identifier: MIT */
/* The file of a running program loses its name: it is deleted, or another file is renamed over it. Told once, of the process
 * that was there first, though its child runs the same. None is a name that goes while the program's own stays, a program
 * that is renamed, and one that has ended.
 *
 * judges 25
 * expect 25 ProcessId=$deleted Image=$work/deleted Type="Image is deleted"
 * expect 25 ProcessId=$replaced Image=$work/replaced Type="Image is replaced on disk" */
#include "behaviour.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char *path;

static void become_path(void)
{
	become(path, "wait");
}

/* Runs the copy, and a fork of it, until they are killed. */
static pid_t run(const char *name)
{
	char running[64];
	pid_t pid;

	snprintf(running, sizeof(running), "./%s", name);
	copy_self(running, name);
	path = running;
	pid = start(become_path);
	snprintf(running, sizeof(running), "%d", pid);
	while (access(running, F_OK) < 0)
		usleep(1000);
	return pid;
}

static void wait_to_be_killed(void)
{
	char name[16];
	pid_t child = (pid_t)MUST(fork());

	if (child == 0) {
		pause();
		_exit(0);
	}
	snprintf(name, sizeof(name), "%d", getpid());
	make_file(name);
	pause();
}

static void end(pid_t pid)
{
	MUST(kill(-pid, SIGKILL));
	wait_for(pid);
}

void behave(int argc, char **argv)
{
	pid_t deleted, replaced, other, moved;

	(void)argv;
	if (argc > 1) {
		MUST(setpgid(0, 0));
		wait_to_be_killed();
		return;
	}
	deleted = run("deleted");
	replaced = run("replaced");
	other = run("other");
	moved = run("moved");
	say("deleted", "%d", deleted);
	say("replaced", "%d", replaced);
	MUST(unlink("deleted"));
	copy_self("deleted", "again");
	MUST(unlink("deleted"));
	copy_self("new", "new");
	MUST(rename("new", "replaced"));
	MUST(link("other", "second name"));
	MUST(unlink("second name"));
	MUST(rename("moved", "elsewhere"));
	end(deleted);
	end(replaced);
	end(other);
	end(moved);
	MUST(unlink("other"));
}
