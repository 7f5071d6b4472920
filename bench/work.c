/* SPDX-License-Identifier: MIT */
/* The workloads of the benchmark. Each does one thing many times and prints how many nanoseconds one took,
 * setting up excluded:
 *
 *   work exec N PROGRAM      fork, execve, waitpid
 *   work files N DIRECTORY   create, close, unlink
 *   work flood N DIRECTORY   the same from four processes at once, N each
 *   work connect N           a TCP connection over loopback, taken by another process
 *   work getppid N           a system call that nobody watches
 *   work hooked N            the same while a BPF program that does nothing hangs at the exit of system calls
 *   work executables N DIRECTORY   an executable file: create, write, close
 *   work kept N DIRECTORY    a file with content: create, write, close, unlink
 *   work overwrite N DIRECTORY   what is in a file: open, write, close; it may be forbidden */
#include "doing.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FLOODERS 4

static void wait_for_success(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0));
	if (status != 0) {
		fprintf(stderr, "work: a child ended with status %#x\n", (unsigned)status);
		exit(1);
	}
}

static double execute(long n, const char *program)
{
	double began = now_ns();

	for (long i = 0; i < n; i++) {
		pid_t pid = (pid_t)MUST(fork());

		if (pid == 0) {
			execl(program, program, (char *)NULL);
			_exit(127);
		}
		wait_for_success(pid);
	}
	return now_ns() - began;
}

static void make_and_delete(long n, const char *directory)
{
	int at = (int)MUST(open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
	char name[32];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "file%ld", i);
		MUST(close((int)MUST(openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600))));
		MUST(unlinkat(at, name, 0));
	}
	MUST(close(at));
}

static double make_files(long n, const char *directory)
{
	double began = now_ns();

	make_and_delete(n, directory);
	return now_ns() - began;
}

/* The time of one process's operation: four are done meanwhile. */
static double flood(long n, const char *directory)
{
	pid_t pids[FLOODERS];
	char own[4096];
	double began;

	for (int i = 0; i < FLOODERS; i++) {
		snprintf(own, sizeof(own), "%s/%d", directory, i);
		MUST(mkdir(own, 0700));
	}
	began = now_ns();
	for (int i = 0; i < FLOODERS; i++) {
		pids[i] = (pid_t)MUST(fork());
		if (pids[i] == 0) {
			snprintf(own, sizeof(own), "%s/%d", directory, i);
			make_and_delete(n, own);
			_exit(0);
		}
	}
	for (int i = 0; i < FLOODERS; i++)
		wait_for_success(pids[i]);
	return now_ns() - began;
}

/* Takes connections until it is ended. */
static void serve(int listener)
{
	for (;;) {
		int fd = (int)MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC));

		MUST(write(fd, "!", 1));
		MUST(close(fd));
	}
}

/* The client's reset spares the TIME_WAIT that would soon leave no port. */
static void connect_once(const struct sockaddr_in *to)
{
	static const struct linger reset = { .l_onoff = 1 };
	int fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	char byte;

	MUST(connect(fd, (const struct sockaddr *)to, sizeof(*to)));
	MUST(read(fd, &byte, 1));
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	MUST(close(fd));
}

static double make_connections(long n)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);
	int listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	double began, took;
	pid_t server;

	MUST(bind(listener, (struct sockaddr *)&at, sizeof(at)));
	MUST(listen(listener, 128));
	MUST(getsockname(listener, (struct sockaddr *)&at, &size));
	server = (pid_t)MUST(fork());
	if (server == 0)
		serve(listener);
	began = now_ns();
	for (long i = 0; i < n; i++)
		connect_once(&at);
	took = now_ns() - began;
	MUST(kill(server, SIGKILL));
	MUST(waitpid(server, NULL, 0));
	return took;
}

static double ask_parent(long n)
{
	double began = now_ns();

	for (long i = 0; i < n; i++)
		syscall(SYS_getppid);
	return now_ns() - began;
}

/* What any program at this hook costs, whatever it does. */
static double ask_parent_hooked(long n)
{
	union bpf_attr hook = { .raw_tracepoint = { .name = (uintptr_t)"sys_exit" } };

	hook.raw_tracepoint.prog_fd = (uint32_t)load_nothing(BPF_PROG_TYPE_RAW_TRACEPOINT);
	MUST(syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &hook, sizeof(hook))); /* until we exit */
	return ask_parent(n);
}

#define CONTENT 4096

static void write_content(int at, const char *name, int flags, const char *content)
{
	int fd = (int)MUST(openat(at, name, O_WRONLY | O_CLOEXEC | flags, 0700));

	if (write(fd, content, CONTENT) < 0 && errno != EPERM)
		MUST(-1);
	MUST(close(fd));
}

static double write_files(long n, const char *directory, const char *content, bool deleted)
{
	int at = (int)MUST(open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
	double began = now_ns();
	char name[32];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "file%ld", i);
		write_content(at, name, O_CREAT | O_EXCL, content);
		if (deleted)
			MUST(unlinkat(at, name, 0));
	}
	return now_ns() - began;
}

static double overwrite(long n, const char *directory, const char *content)
{
	int at = (int)MUST(open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
	double began;

	write_content(at, "file", O_CREAT | O_EXCL, content);
	began = now_ns();
	for (long i = 0; i < n; i++)
		write_content(at, "file", 0, content);
	return now_ns() - began;
}

int main(int argc, char **argv)
{
	static const char executable[CONTENT] = "#!/bin/true\n", text[CONTENT] = "text";
	const char *what = argc > 2 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0;
	double took = -1;

	if (n > 0 && argc == 4 && strcmp(what, "exec") == 0)
		took = execute(n, argv[3]);
	else if (n > 0 && argc == 4 && strcmp(what, "files") == 0)
		took = make_files(n, argv[3]);
	else if (n > 0 && argc == 4 && strcmp(what, "flood") == 0)
		took = flood(n, argv[3]);
	else if (n > 0 && argc == 3 && strcmp(what, "connect") == 0)
		took = make_connections(n);
	else if (n > 0 && argc == 3 && strcmp(what, "getppid") == 0)
		took = ask_parent(n);
	else if (n > 0 && argc == 3 && strcmp(what, "hooked") == 0)
		took = ask_parent_hooked(n);
	else if (n > 0 && argc == 4 && strcmp(what, "executables") == 0)
		took = write_files(n, argv[3], executable, false);
	else if (n > 0 && argc == 4 && strcmp(what, "kept") == 0)
		took = write_files(n, argv[3], text, true);
	else if (n > 0 && argc == 4 && strcmp(what, "overwrite") == 0)
		took = overwrite(n, argv[3], text);
	if (took < 0) {
		fprintf(stderr, "usage: work exec|files|flood|connect|getppid|hooked|executables|kept|overwrite N "
				"[PROGRAM|DIRECTORY]\n");
		return 2;
	}
	printf("%.1f\n", took / (double)n);
	return 0;
}
