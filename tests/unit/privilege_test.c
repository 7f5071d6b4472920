/* SPDX-License-Identifier: MIT */
/* What the engine and the monitor can no longer do, by trying it in a process that was sealed. Needs root,
 * as there is nothing to give up otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/base/own.h"
#include "../../src/daemon/privilege.h"

/* --- calls the engine must not be able to make: raw, so that no library stands between */

#define NAME "/nonexistent/konseki" /* harmless should a call ever come through */
static char at_hand[4096]; /* memory for calls that want some */

struct call {
	const char *name;
	long number;
	long arg[6];
};
#define CALL(name, ...) { #name, SYS_##name, { __VA_ARGS__ } }
#define TEXT(text) ((long)(text))

static const struct call engine_forbidden[] = {
	/* by name */
	CALL(open, TEXT(NAME), O_RDONLY), CALL(openat, AT_FDCWD, TEXT(NAME), O_RDONLY),
	CALL(openat2, AT_FDCWD, TEXT(NAME), TEXT(at_hand), 24), CALL(creat, TEXT("/tmp/x"), 0600),
	CALL(unlink, TEXT(NAME)), CALL(unlinkat, AT_FDCWD, TEXT(NAME), 0),
	CALL(rename, TEXT(NAME), TEXT("/x")), CALL(renameat2, AT_FDCWD, TEXT(NAME), AT_FDCWD, TEXT("/x"), 0),
	CALL(link, TEXT(NAME), TEXT("/x")), CALL(linkat, AT_FDCWD, TEXT(NAME), AT_FDCWD, TEXT("/x"), 0),
	CALL(symlink, TEXT(NAME), TEXT("/x")), CALL(mkdir, TEXT("/x"), 0700), CALL(rmdir, TEXT("/x")),
	CALL(mknod, TEXT("/x"), S_IFREG | 0600, 0), CALL(chmod, TEXT(NAME), 0600), CALL(fchmod, 0, 0600),
	CALL(chown, TEXT(NAME), 0, 0), CALL(fchown, 0, 0, 0), CALL(truncate, TEXT(NAME), 0),
	CALL(stat, TEXT(NAME), TEXT(at_hand)), CALL(lstat, TEXT(NAME), TEXT(at_hand)),
	CALL(newfstatat, AT_FDCWD, TEXT(NAME), TEXT(at_hand), 0),
	CALL(statx, AT_FDCWD, TEXT(NAME), 0, 0x7ff, TEXT(at_hand)), CALL(access, TEXT(NAME), R_OK),
	CALL(readlink, TEXT("/proc/self/exe"), TEXT(at_hand), sizeof(at_hand)),
	CALL(getdents64, 0, TEXT(at_hand), sizeof(at_hand)), CALL(chdir, TEXT("/")), CALL(fchdir, 0),
	CALL(chroot, TEXT("/")), CALL(name_to_handle_at, AT_FDCWD, TEXT(NAME), TEXT(at_hand), TEXT(at_hand), 0),
	CALL(open_by_handle_at, AT_FDCWD, TEXT(at_hand), O_RDONLY), CALL(mount, 0, TEXT("/"), 0, MS_BIND, 0),
	CALL(umount2, TEXT("/"), 0), CALL(pivot_root, TEXT("/"), TEXT("/")),
	CALL(setxattr, TEXT(NAME), TEXT("user.x"), TEXT(at_hand), 1, 0), CALL(utimensat, AT_FDCWD, TEXT(NAME), 0, 0),
	CALL(inotify_init1, 0), CALL(fanotify_init, FAN_CLASS_NOTIF, O_RDONLY),
	CALL(fanotify_mark, 0, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, TEXT("/")),
	/* kernel */
	CALL(bpf, 0, TEXT(at_hand), 64), CALL(perf_event_open, TEXT(at_hand), 0, 0, -1, 0),
	CALL(io_uring_setup, 4, TEXT(at_hand)), CALL(userfaultfd, 0), CALL(init_module, TEXT(at_hand), 1, TEXT("")),
	CALL(finit_module, 0, TEXT(""), 0), CALL(kexec_load, 0, 0, 0, 0), CALL(syslog, 3, TEXT(at_hand), 10),
	CALL(reboot, 0, 0, 0, 0), CALL(keyctl, 0, 0, 0, 0, 0), CALL(quotactl, 0, 0, 0, 0),
	CALL(swapon, TEXT(NAME), 0), CALL(settimeofday, TEXT(at_hand), 0), CALL(sethostname, 0, 0),
	/* other processes, and new ones */
	CALL(execve, TEXT("/bin/true"), 0, 0), CALL(execveat, AT_FDCWD, TEXT("/bin/true"), 0, 0, 0), CALL(fork),
	CALL(vfork), CALL(clone, SIGCHLD, 0, 0, 0, 0), CALL(clone3, TEXT(at_hand), 88),
	CALL(ptrace, 0, 0, 0, 0), CALL(process_vm_readv, 1, 0, 0, 0, 0, 0),
	CALL(process_vm_writev, 1, 0, 0, 0, 0, 0), CALL(kill, 1, 0), CALL(tgkill, 1, 1, 0), CALL(tkill, 1, 0),
	CALL(pidfd_open, 1, 0), CALL(pidfd_getfd, 0, 0, 0), CALL(unshare, CLONE_NEWUSER), CALL(setns, 0, 0),
	CALL(prlimit64, 1, 0, 0, TEXT(at_hand)), CALL(setpriority, 0, 1, 0),
	/* network and other ways out */
	CALL(socket, AF_INET, SOCK_STREAM, 0), CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, TEXT(at_hand)),
	CALL(connect, 0, TEXT(at_hand), 16), CALL(bind, 0, TEXT(at_hand), 16), CALL(listen, 0, 1),
	CALL(accept4, 0, 0, 0, 0), CALL(sendto, 0, TEXT(at_hand), 1, 0, TEXT(at_hand), 16), CALL(pipe2, TEXT(at_hand), 0),
	CALL(memfd_create, TEXT("x"), 0), CALL(shmget, 0, 4096, 0600), CALL(msgget, 0, 0600),
	CALL(ioctl, 0, 0x5412, TEXT(at_hand)), /* TIOCSTI: typing into the terminal */
	/* its own privileges */
	CALL(setuid, 0), CALL(setresuid, 0, 0, 0), CALL(setgid, 0), CALL(setgroups, 0, 0),
	CALL(capset, TEXT(at_hand), TEXT(at_hand)), CALL(prctl, 4, 1, 0, 0, 0), CALL(personality, 0),
	CALL(seccomp, 0, 0, 0), CALL(modify_ldt, 0, 0, 0), CALL(fcntl, 0, F_SETOWN, 1),
	/* code that was not in the program */
	CALL(mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	CALL(mprotect, TEXT(at_hand), 4096, PROT_READ | PROT_EXEC),
};

/* What reads databases may read by name, and no more than that. */
static const struct call helper_forbidden[] = {
	CALL(open, TEXT("/tmp/konseki-x"), O_RDWR), CALL(open, TEXT("/tmp/konseki-x"), O_WRONLY | O_CREAT, 0600),
	CALL(openat, AT_FDCWD, TEXT("/tmp/konseki-x"), O_RDONLY | O_CREAT, 0600),
	CALL(openat, AT_FDCWD, TEXT("/tmp"), O_RDWR | O_TMPFILE, 0600),
	CALL(openat2, AT_FDCWD, TEXT(NAME), TEXT(at_hand), 24), CALL(creat, TEXT("/tmp/konseki-x"), 0600),
	CALL(unlink, TEXT(NAME)), CALL(rename, TEXT(NAME), TEXT("/x")), CALL(link, TEXT(NAME), TEXT("/x")),
	CALL(symlink, TEXT(NAME), TEXT("/tmp/konseki-x")), CALL(mkdir, TEXT("/tmp/konseki-x"), 0700),
	CALL(mknod, TEXT("/tmp/konseki-x"), S_IFIFO | 0600, 0), CALL(chmod, TEXT(NAME), 0600),
	CALL(truncate, TEXT(NAME), 0), CALL(ftruncate, 0, 0),
	CALL(setxattr, TEXT(NAME), TEXT("user.x"), TEXT(at_hand), 1, 0), CALL(utimensat, AT_FDCWD, TEXT(NAME), 0, 0),
	CALL(mount, 0, TEXT("/"), 0, MS_BIND, 0), CALL(chroot, TEXT("/")), CALL(bpf, 0, TEXT(at_hand), 64),
	CALL(perf_event_open, TEXT(at_hand), 0, 0, -1, 0), CALL(io_uring_setup, 4, TEXT(at_hand)),
	CALL(execve, TEXT("/bin/true"), 0, 0), CALL(fork), CALL(vfork), CALL(clone, SIGCHLD, 0, 0, 0, 0),
	CALL(ptrace, 0, 0, 0, 0), CALL(process_vm_readv, 1, 0, 0, 0, 0, 0),
	CALL(kill, 1, 0), CALL(tgkill, 1, 1, 0), CALL(pidfd_open, 1, 0), CALL(unshare, CLONE_NEWUSER),
	CALL(setns, 0, 0), CALL(prlimit64, 0, RLIMIT_AS, TEXT(at_hand), 0), CALL(setuid, 0),
	CALL(setgroups, 0, 0), CALL(capset, TEXT(at_hand), TEXT(at_hand)), CALL(inotify_init1, 0),
	CALL(seccomp, 0, 0, 0), CALL(mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
};

/* What a forwarder needs. */
static const struct call helper_without_forwarding[] = {
	CALL(pwrite64, 0, TEXT(at_hand), 1, 0), CALL(clone3, TEXT(at_hand), 88), CALL(pipe2, TEXT(at_hand), 0),
	CALL(clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0),
};

static const struct call helper_without_network[] = {
	CALL(socket, AF_INET, SOCK_STREAM, 0), CALL(socket, AF_UNIX, SOCK_STREAM, 0),
	CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, TEXT(at_hand)), CALL(connect, 0, TEXT(at_hand), 16),
	CALL(sendto, 0, TEXT(at_hand), 1, 0, TEXT(at_hand), 16), CALL(ioctl, 0, 0x5412, TEXT(at_hand)),
	CALL(mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
};

static const struct call monitor_forbidden[] = {
	CALL(execve, TEXT("/bin/true"), 0, 0), CALL(execveat, AT_FDCWD, TEXT("/bin/true"), 0, 0, 0),
	CALL(ptrace, 0, 0, 0, 0), CALL(process_vm_readv, 1, 0, 0, 0, 0, 0),
	CALL(process_vm_writev, 1, 0, 0, 0, 0, 0), CALL(init_module, TEXT(at_hand), 1, TEXT("")),
	CALL(mount, 0, TEXT("/"), 0, MS_BIND, 0), CALL(umount2, TEXT("/"), 0), CALL(socket, AF_INET, SOCK_STREAM, 0),
	CALL(unshare, CLONE_NEWNS), CALL(setns, 0, 0), CALL(chroot, TEXT("/")), CALL(reboot, 0, 0, 0, 0), CALL(sethostname, 0, 1),
	CALL(mknod, TEXT("/tmp/x"), S_IFCHR | 0600, 0), CALL(io_uring_setup, 4, TEXT(at_hand)),
	/* no capability for it any more */
	CALL(setuid, 12345), CALL(setgid, 12345), CALL(kill, 1, 0), CALL(settimeofday, TEXT(at_hand), 0),
};

static long make(const struct call *c)
{
	return syscall(c->number, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5]);
}

/* Runs work() in a sealed child; what it returns is the child's status. */
static int sealed(int (*seal)(struct err *), int (*work)(void *), void *context)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e = { 0 };

		if (seal(&e) < 0) {
			fprintf(stderr, "# %s\n", e.text);
			_exit(99);
		}
		_exit(work(context));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 99);
	return WEXITSTATUS(status);
}

struct attempt {
	const struct call *calls;
	size_t count;
};

/* 0, or 1: what succeeded or failed for another reason is named on standard error. */
static int try_all(void *context)
{
	const struct attempt *a = context;
	int bad = 0;

	for (size_t i = 0; i < a->count; i++) {
		long r;

		errno = 0;
		r = make(&a->calls[i]);
		if (r == 0 && a->calls[i].number == SYS_fork)
			_exit(0);
		if (r >= 0 || errno != EPERM) {
			fprintf(stderr, "# %s gives %ld, %s\n", a->calls[i].name, r, strerror(errno));
			bad = 1;
		}
	}
	return bad;
}

static void the_engine_can_do_nothing_by_name_nor_through_the_kernel(void **state)
{
	struct attempt a = { engine_forbidden, ARRAY_SIZE(engine_forbidden) };

	(void)state;
	assert_int_equal(sealed(privilege_seal_engine, try_all, &a), 0);
}

static int seal_clipboard(struct err *e)
{
	return privilege_seal_clipboard(65534, 65534, e);
}

static int makes_no_other_sockets(void *context)
{
	int ends[2];

	(void)context;
	return pipe2(ends, O_CLOEXEC) < 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM ||
	       socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EPERM;
}

static void who_reads_a_clipboard_reaches_sockets_of_this_machine_and_pipes_only(void **state)
{
	struct attempt all = { helper_forbidden, ARRAY_SIZE(helper_forbidden) };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(sealed(seal_clipboard, try_all, &all), 0);
	assert_int_equal(sealed(seal_clipboard, makes_no_other_sockets, NULL), 0);
	assert_int_equal(privilege_seal_clipboard(0, 0, &e), -EPERM); /* refused before anything is done */
	assert_int_equal(geteuid(), 0);
}

static void a_helper_can_read_by_name_and_nothing_else(void **state)
{
	struct attempt all = { helper_forbidden, ARRAY_SIZE(helper_forbidden) };
	struct attempt network = { helper_without_network, ARRAY_SIZE(helper_without_network) };
	struct attempt forwarding = { helper_without_forwarding, ARRAY_SIZE(helper_without_forwarding) };

	(void)state;
	assert_int_equal(sealed(privilege_seal_helper, try_all, &all), 0);
	assert_int_equal(sealed(privilege_seal_helper_network, try_all, &forwarding), 0);
	assert_int_equal(sealed(privilege_seal_helper_network, try_all, &all), 0);
	assert_int_equal(sealed(privilege_seal_helper, try_all, &network), 0);
	assert_int_equal(sealed(privilege_seal_helper, try_all, &forwarding), 0);
}

static void *end_at_once(void *given)
{
	return given;
}

/* Writes to what it holds and makes threads, as libraries do. */
static int works_as_a_forwarder(void *context)
{
	const int *fd = context;
	pthread_t thread;
	void *result = NULL;
	int given;

	return pwrite(*fd, "x", 1, 0) != 1 || fdatasync(*fd) < 0 || pthread_create(&thread, NULL, end_at_once, &given) != 0 ||
	       pthread_join(thread, &result) != 0 || result != &given || socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static void a_forwarder_writes_its_bookmark_and_nothing_else(void **state)
{
	struct attempt all = { helper_forbidden, ARRAY_SIZE(helper_forbidden) };
	char path[] = "/tmp/konseki-bookmark-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_int_equal(sealed(privilege_seal_forwarder, works_as_a_forwarder, &fd), 0);
	assert_int_equal(sealed(privilege_seal_forwarder, try_all, &all), 0);
	close(fd);
}

/* Root's own files are no longer its to read. */
static int reads_as_anybody(void *context)
{
	(void)context;
	return access("/etc/passwd", R_OK) != 0 || open("/etc/passwd", O_RDONLY) < 0 ||
	       open("/etc/shadow", O_RDONLY) >= 0 || geteuid() == 0;
}

static void a_helper_reads_what_anybody_may_read(void **state)
{
	(void)state;
	assert_int_equal(sealed(privilege_seal_helper, reads_as_anybody, NULL), 0);
	assert_int_equal(sealed(privilege_seal_helper_network, reads_as_anybody, NULL), 0);
}

static void the_monitor_can_do_no_more_than_it_needs(void **state)
{
	struct attempt a = { monitor_forbidden, ARRAY_SIZE(monitor_forbidden) };

	(void)state;
	assert_int_equal(sealed(privilege_reduce_monitor, try_all, &a), 0);
}

/* --- what the engine must be able to do, with what it was handed */

struct handed {
	int file;   /* read-write */
	int channel[2];
	int watch;  /* fanotify group; an event waits */
};

#define NEED(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "# line %d: " #condition ": %s\n", __LINE__, strerror(errno)); \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int works_with_the_file(const struct handed *h)
{
	struct stat st;
	char text[4] = "";
	char *map;
	int copy;

	NEED(fallocate(h->file, 0, 0, 65536) == 0);
	NEED(pwrite(h->file, "abc", 3, 4096) == 3);
	NEED(pread(h->file, text, 3, 4096) == 3 && strcmp(text, "abc") == 0);
	NEED(fdatasync(h->file) == 0);
	NEED(fstat(h->file, &st) == 0 && st.st_size == 65536);
	NEED(ftruncate(h->file, 8192) == 0);
	NEED((copy = fcntl(h->file, F_DUPFD_CLOEXEC, 0)) >= 0);
	close(copy);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, h->file, 0);
	NEED(map != MAP_FAILED && map[4096] == 'a');
	return munmap(map, 8192);
}

static int works_with_time(void)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1 };
	struct timespec now;
	struct rusage usage;
	struct pollfd p = { .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN };
	char random[16];

	NEED(p.fd >= 0 && timerfd_settime(p.fd, 0, &soon, NULL) == 0);
	NEED(poll(&p, 1, 10000) == 1);
	NEED(clock_gettime(CLOCK_BOOTTIME, &now) == 0 && clock_gettime(CLOCK_REALTIME, &now) == 0);
	NEED(getrandom(random, sizeof(random), 0) == sizeof(random));
	NEED(getrusage(RUSAGE_SELF, &usage) == 0);
	return 0;
}

static int receives_descriptors(const struct handed *h)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };

	memset(&control, 0, sizeof(control));
	control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.align), &h->file, sizeof(int));
	NEED(sendmsg(h->channel[0], &m, 0) == 1);
	m.msg_controllen = sizeof(control);
	NEED(recvmsg(h->channel[1], &m, MSG_CMSG_CLOEXEC) == 1);
	NEED(m.msg_controllen == sizeof(control));
	return 0;
}

static int receives_executed_files(const struct handed *h)
{
	union {
		struct fanotify_event_metadata event;
		char room[4096];
	} b;
	char magic[4];

	NEED(read(h->watch, &b, sizeof(b)) >= (ssize_t)sizeof(b.event));
	NEED(b.event.fd >= 0);
	NEED(pread(b.event.fd, magic, 4, 0) == 4 && memcmp(magic, "\177ELF", 4) == 0);
	return 0;
}

static int do_the_work(void *context)
{
	const struct handed *h = context;
	OWNED_HEAP char *memory = malloc(8 << 20); /* as large as libc maps anew */

	NEED(memory);
	memset(memory, 1, 8 << 20);
	return works_with_the_file(h) || works_with_time() || receives_descriptors(h) ||
	       receives_executed_files(h);
}

static void the_engine_can_do_its_work(void **state)
{
	char name[] = "/tmp/konseki-privilege.XXXXXX";
	struct handed h = { .file = mkstemp(name) };
	int status;
	pid_t pid;

	(void)state;
	assert_true(h.file >= 0);
	unlink(name);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, h.channel), 0);
	h.watch = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY);
	assert_true(h.watch >= 0);
	assert_int_equal(fanotify_mark(h.watch, FAN_MARK_ADD, FAN_OPEN_EXEC, AT_FDCWD, "/bin/true"), 0);
	pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(sealed(privilege_seal_engine, do_the_work, &h), 0);
	close(h.watch);
	close(h.file);
	close(h.channel[0]);
	close(h.channel[1]);
}

/* --- how it looks from outside */

/* Lines of /proc/PID/status of a child that was sealed. */
static void read_status(int (*seal)(struct err *), char *text, size_t size)
{
	char path[64];
	int ready[2], fd;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct err e;

		if (seal(&e) == 0 && write(ready[1], "x", 1) == 1)
			for (;;)
				poll(NULL, 0, 1000);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], text, 1), 1);
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY);
	n = read(fd, text, size - 1);
	close(fd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(n > 0);
	text[n] = 0;
}

static uint64_t capabilities(const char *status, const char *label)
{
	const char *line = strstr(status, label);

	assert_non_null(line);
	return strtoull(line + strlen(label), NULL, 16);
}

static void is_nobody_with_nothing(int (*seal)(struct err *))
{
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
	char status[8192];
	unsigned uid[4];

	read_status(seal, status, sizeof(status));
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		assert_int_equal(capabilities(status, sets[i]), 0);
	assert_int_equal(sscanf(strstr(status, "Uid:"), "Uid: %u %u %u %u", &uid[0], &uid[1], &uid[2],
				&uid[3]), 4);
	for (int i = 0; i < 4; i++)
		assert_true(uid[i] != 0 && uid[i] == uid[0]);
	assert_non_null(strstr(status, "Groups:\t \n"));
	assert_non_null(strstr(status, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(status, "Seccomp:\t2\n"));
}

static void the_engine_is_nobody_with_nothing(void **state)
{
	(void)state;
	is_nobody_with_nothing(privilege_seal_engine);
}

static void a_helper_is_nobody_with_nothing(void **state)
{
	(void)state;
	is_nobody_with_nothing(privilege_seal_helper);
	is_nobody_with_nothing(privilege_seal_helper_network);
	is_nobody_with_nothing(seal_clipboard);
}

#define BIT(capability) (1ull << (capability))

static void the_monitor_keeps_what_it_is_meant_to_and_no_more(void **state)
{
	static const uint64_t meant = BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_NET_ADMIN) |
				      BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_PTRACE) |
				      BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER);
	char status[8192];

	(void)state;
	read_status(privilege_reduce_monitor, status, sizeof(status));
	assert_int_equal(capabilities(status, "CapEff:"), meant);
	assert_int_equal(capabilities(status, "CapPrm:"), meant);
	assert_int_equal(capabilities(status, "CapBnd:"), 0);
	assert_int_equal(capabilities(status, "CapInh:"), 0);
	assert_non_null(strstr(status, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(status, "Seccomp:\t2\n"));
}

#ifdef __x86_64__
static int end_of_32_bit_getpid(bool sealed)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e;
		long r = 20;

		signal(SIGSEGV, SIG_DFL); /* cmocka's handler would go on with the tests */
		if (!sealed || privilege_seal_engine(&e) == 0)
			__asm__ volatile("int $0x80" : "+a"(r) : : "memory");
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* getpid by its 32-bit number, which is writev's among the 64-bit ones: it must not come through. A kernel that has
 * no 32-bit calls at all answers with a fault. */
static void a_32_bit_call_ends_the_process(void **state)
{
	(void)state;
	assert_int_equal(end_of_32_bit_getpid(true), end_of_32_bit_getpid(false) ? SIGSEGV : SIGSYS);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_engine_can_do_nothing_by_name_nor_through_the_kernel),
		cmocka_unit_test(the_engine_can_do_its_work),
		cmocka_unit_test(the_engine_is_nobody_with_nothing),
		cmocka_unit_test(a_helper_can_read_by_name_and_nothing_else),
		cmocka_unit_test(a_forwarder_writes_its_bookmark_and_nothing_else),
		cmocka_unit_test(who_reads_a_clipboard_reaches_sockets_of_this_machine_and_pipes_only),
		cmocka_unit_test(a_helper_reads_what_anybody_may_read),
		cmocka_unit_test(a_helper_is_nobody_with_nothing),
		cmocka_unit_test(the_monitor_can_do_no_more_than_it_needs),
		cmocka_unit_test(the_monitor_keeps_what_it_is_meant_to_and_no_more),
#ifdef __x86_64__
		cmocka_unit_test(a_32_bit_call_ends_the_process),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
