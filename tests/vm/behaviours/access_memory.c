/* SPDX-License-Identifier: MIT */
/* The memory of another process: read and written by process_vm_readv and writev, through /proc/PID/mem, and one of its
 * descriptors taken. Only what changes code is an event 8, and a program whose code was written to is an event 25. What
 * ps and top read is none, nor is a process's own memory, nor what is refused.
 *
 * judges 8 10 25
 * expect 10 TargetProcessId=$target TargetImage=$image GrantedAccess=0x10
 * expect 10 TargetProcessId=$target TargetImage=$image GrantedAccess=0x20
 * expect 10 TargetProcessId=$target TargetImage=$image GrantedAccess=0x30
 * expect 10 TargetProcessId=$target TargetImage=$image GrantedAccess=0x10
 * expect 10 TargetProcessId=$target TargetImage=$image GrantedAccess=0x40
 * expect 8 TargetProcessId=$target NewThreadId=$target StartAddress=$text StartModule=$image
 * expect 8 TargetProcessId=$target NewThreadId=$target StartAddress=$text StartModule=$image
 * expect 8 TargetProcessId=$target NewThreadId=$target StartAddress=$free StartModule=-
 * expect 25 ProcessId=$target Type="Image is replaced" */
#include "behaviour.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long data = 1;

static void wait_to_be_killed(void)
{
	for (;;)
		pause();
}

static int open_of(pid_t pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return (int)MUST(open(path, flags | O_CLOEXEC));
}

static void by_vectors(pid_t target, void *executable)
{
	long word = 0;
	struct iovec here = { &word, sizeof(word) }, there = { &data, sizeof(data) };

	MUST(process_vm_readv(target, &here, 1, &there, 1, 0));
	MUST(process_vm_writev(target, &here, 1, &(struct iovec){ executable, sizeof(word) }, 1, 0));
	there.iov_base = NULL;
	MUST(process_vm_readv(target, &here, 1, &there, 1, 0) < 0 ? 0 : -1);
	there.iov_base = &data;
	MUST(process_vm_readv(getpid(), &here, 1, &there, 1, 0));
}

static void by_file(pid_t target)
{
	long text = (long)wait_to_be_killed, word;
	int fd = open_of(target, "mem", O_RDWR);

	MUST(pread(fd, &word, sizeof(word), text));
	MUST(pwrite(fd, &word, sizeof(word), text));
	MUST(lseek(fd, text, SEEK_SET));
	MUST(write(fd, &word, sizeof(word)));
	MUST(pwrite(fd, &data, sizeof(data), (off_t)&data));
	say("text", "0x%016lX", (unsigned long)text);
	MUST(close(open_of(target, "mem", O_RDONLY)));
	MUST(close(open_of(getpid(), "mem", O_RDONLY)));
}

static void as_ps_does(pid_t target)
{
	static const char *const names[] = { "stat", "status", "cmdline", "environ", "maps", "exe" };
	char bytes[256];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open_of(target, names[i], O_RDONLY);

		MUST(read(fd, bytes, sizeof(bytes)));
		MUST(close(fd));
	}
}

void behave(int argc, char **argv)
{
	void *executable = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t target;
	int pidfd;

	(void)argc, (void)argv;
	MUST(executable == MAP_FAILED ? -1 : 0);
	target = start(wait_to_be_killed);
	say("target", "%d", target);
	say("free", "0x%016lX", (unsigned long)executable);
	as_ps_does(target);
	by_vectors(target, executable);
	by_file(target);
	pidfd = (int)MUST(syscall(SYS_pidfd_open, target, 0));
	MUST(syscall(SYS_pidfd_getfd, pidfd, STDOUT_FILENO, 0));
	MUST(kill(target, SIGKILL));
	wait_for(target);
}
