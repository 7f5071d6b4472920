/* SPDX-License-Identifier: MIT */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/clock.h"
#include "paths.h"
#include "service_parts.h"

/* Loading and checking the kernel programs takes seconds on a slow machine. */
#define START_MS  120000
#define STOP_MS   90000
#define STATUS_MS 5000

int run_program(const char *const words[])
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(words[0], (char *const *)(uintptr_t)words);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int systemctl(const char *verb, const char *unit)
{
	return run_program((const char *const[]){ "systemctl", "--quiet", verb, unit, NULL });
}

bool manager_is_systemd(void)
{
	return access(PATH_SYSTEMD, F_OK) == 0;
}

bool manager_runs_in_foreground(void)
{
	OWNED_FD control = control_connect();
	struct message m;

	return control >= 0 &&
	       message_ask(control, CONTROL_STATUS, NULL, -1, STATUS_MS, &m) == 0 &&
	       !m.body.status.installed;
}

/* --- without systemd */

/* An abstract name the kernel chooses; the service sends there what it would send to systemd. */
static int open_notify_socket(char name[32], struct err *e)
{
	OWNED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(sa_family_t);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0)
		return err_set(e, errno, "opening a socket to hear from the service");
	size = sizeof(at);
	if (getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return err_set(e, errno, "opening a socket to hear from the service");
	snprintf(name, 32, "@%.*s", (int)(size - offsetof(struct sockaddr_un, sun_path) - 1),
		 at.sun_path + 1);
	return MOVE_FD(fd);
}

static void become_service(const char *notify_name)
{
	int null = open("/dev/null", O_RDONLY);
	int messages = open(PATH_MESSAGES, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);

	setsid();
	if (chdir("/") < 0)
		_exit(1);
	dup2(null, 0);
	dup2(messages, 1);
	dup2(messages, 2);
	close_range(3, ~0u, 0);
	setenv("NOTIFY_SOCKET", notify_name, 1);
	execl(PATH_PROGRAM, "konseki", "-service", (char *)NULL);
	_exit(127);
}

static bool is_alive(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static int await_ready(int notify, pid_t pid, struct err *e)
{
	uint64_t until = now_ms() + START_MS;
	char text[1200] = "";

	while (now_ms() < until) {
		struct pollfd p = { .fd = notify, .events = POLLIN };
		bool alive = is_alive(pid);
		ssize_t n = poll(&p, 1, alive ? 200 : 0) > 0 ?
				    recv(notify, text, sizeof(text) - 1, MSG_DONTWAIT) : 0;

		text[n > 0 ? n : 0] = 0;
		if (strncmp(text, "READY=1", 7) == 0)
			return 0;
		if (strncmp(text, "STATUS=", 7) == 0 && strstr(text, "\nERRNO="))
			return err_set(e, EBADMSG, "the service does not start: %.*s",
				       (int)(strstr(text, "\nERRNO=") - text - 7), text + 7);
		if (!alive)
			return err_set(e, EBADMSG, "the service ended at once; see '%s'",
				       PATH_MESSAGES);
	}
	return err_set(e, EBADMSG, "the service is not ready after %d s; see '%s'", START_MS / 1000,
		       PATH_MESSAGES);
}

static int start_alone(struct err *e)
{
	char name[32];
	OWNED_FD notify = open_notify_socket(name, e);
	pid_t pid;

	if (notify < 0)
		return notify;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become_service(name);
	if (pid < 0)
		return err_set(e, errno, "starting the service");
	if (access(PATH_INIT, F_OK) == 0 && access("/usr/sbin/update-rc.d", X_OK) == 0)
		run_program((const char *const[]){ "update-rc.d", "konseki", "defaults", NULL });
	return await_ready(notify, pid, e);
}

/* Who ends last lets go of the lock; until then processes of the service are there. */
static int await_end(unsigned timeout_ms)
{
	OWNED_FD fd = open(PATH_PID, O_RDWR | O_CLOEXEC);

	return fd < 0 ? 0 : lock_wait(fd, timeout_ms);
}

static int stop_alone(bool force, struct err *e)
{
	pid_t pid = running_pid();
	OWNED_FD control = -1;
	struct message m;

	/* The number may be an old one: only while the lock is held it is the supervisor's. */
	if (await_end(0) == 0)
		return 0;
	control = control_connect();
	if ((control < 0 || message_ask(control, CONTROL_STOP, NULL, -1, STATUS_MS, &m) < 0) && pid)
		kill(pid, SIGTERM);
	if (await_end(STOP_MS) == 0)
		return 0;
	if (force && pid && kill(pid, SIGKILL) == 0 && await_end(ORPHANS_MS) == 0)
		return 0;
	return err_set(e, EBADMSG, "the service (process %d) does not stop", pid);
}

/* --- either way */

static int start_by_systemd(struct err *e)
{
	if (systemctl("daemon-reload", NULL) != 0 || systemctl("enable", "konseki.service") != 0)
		return err_set(e, EBADMSG, "systemd does not take the unit '%s'", PATH_UNIT);
	if (systemctl("restart", "konseki.service") == 0)
		return 0;
	run_program((const char *const[]){ "systemctl", "show", "--value", "--property=StatusText",
					   "konseki.service", NULL });
	return err_set(e, EBADMSG, "the service does not start; see 'journalctl -u konseki'");
}

int manager_start(struct err *e)
{
	if (manager_is_systemd())
		return start_by_systemd(e);
	if (stop_alone(false, e) < 0)
		return -e->code;
	return start_alone(e);
}

int manager_stop(bool force, struct err *e)
{
	if (manager_is_systemd() && access(PATH_UNIT, F_OK) == 0)
		systemctl("stop", "konseki.service");
	return stop_alone(force, e);
}

void manager_forget(void)
{
	if (manager_is_systemd() && access(PATH_UNIT, F_OK) == 0)
		systemctl("disable", "konseki.service");
	unlink(PATH_UNIT);
	if (manager_is_systemd())
		systemctl("daemon-reload", NULL);
	unlink(PATH_INIT);
	if (access("/usr/sbin/update-rc.d", X_OK) == 0 && !manager_is_systemd())
		run_program((const char *const[]){ "update-rc.d", "konseki", "remove", NULL });
}
