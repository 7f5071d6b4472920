/* SPDX-License-Identifier: MIT */
/* What the behaviours share; see behaviour.h. */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char image_path[PATH_MAX];

long must(long value, const char *what, const char *file, int line)
{
	if (value < 0) {
		say("broken", "%s:%d: %s: %s", file, line, what, strerror(errno));
		_exit(1);
	}
	return value;
}

/* One write(2) a line, unbuffered: children and programs that never return write to the same ledger. */
void say(const char *name, const char *format, ...)
{
	char line[PATH_MAX + 200];
	va_list values;
	int n = snprintf(line, sizeof(line) - 1, "%s=", name);

	va_start(values, format);
	n += vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, format, values);
	va_end(values);
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(1);
}

void wait_for(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0)
		if (errno != EINTR)
			MUST(-1);
}

pid_t start(void (*act)(void))
{
	pid_t pid = (pid_t)MUST(fork());

	if (pid == 0) {
		act();
		_exit(0);
	}
	say("pid", "%d", pid);
	return pid;
}

pid_t child(void (*act)(void))
{
	pid_t pid = start(act);

	wait_for(pid);
	return pid;
}

const char *image(void)
{
	return image_path;
}

void become(const char *path, const char *argument)
{
	MUST(execl(path, path, argument, (char *)NULL));
}

void make_file(const char *path)
{
	MUST(close((int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644))));
}

void make_directory(const char *path)
{
	MUST(mkdir(path, 0755));
}

void copy_self_to(int fd, const char *tag)
{
	int self = (int)MUST(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	size_t length = strlen(tag);

	while (MUST(sendfile(fd, self, NULL, 1 << 30)) > 0)
		;
	MUST(close(self));
	MUST(write(fd, tag, length) == (ssize_t)length ? 0 : -1);
}

/* The descriptor is closed before anyone forks: one that is open for writing makes exec fail (ETXTBSY). */
void copy_self(const char *path, const char *tag)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755));

	copy_self_to(fd, tag);
	MUST(fchmod(fd, 0755));
	MUST(close(fd));
}

void own_mounts(void)
{
	MUST(unshare(CLONE_NEWNS));
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

void prepare_overlay(void)
{
	own_mounts();
	make_directory("lower");
	make_directory("upper");
	make_directory("inner");
	make_directory("merged");
}

void mount_overlay(void)
{
	MUST(mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=inner"));
}

void own_network(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	MUST(unshare(CLONE_NEWNET));
	fd = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(ioctl(fd, SIOCSIFFLAGS, &loopback));
	MUST(close(fd));
}

int main(int argc, char **argv)
{
	char work[PATH_MAX];

	alarm(120); /* one that hangs must not take the others with it */
	if (readlink("/proc/self/exe", image_path, sizeof(image_path) - 1) < 0)
		image_path[0] = '\0'; /* a container without /proc, see file_container.c */
	if (argc == 1 && argv[0][0] != '\0') { /* not executed again, see process_odd_arguments.c */
		say("self", "%d", getpid());
		say("pid", "%d", getpid());
		say("image", "%s", image_path);
		say("work", "%s", getcwd(work, sizeof(work)));
	}
	behave(argc, argv);
	return 0;
}
