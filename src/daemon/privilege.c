/* SPDX-License-Identifier: MIT */
/* Giving up what a process does not need. docs/privilege.md tells the same in words and must change with
 * this. */
#include "privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/own.h"
#include "paths.h"

/* When no account was made (`konseki run` on a machine where nothing is installed): numbers of the range
 * that systemd gives to services for the time they run, so no account of a person has them. */
#define ENGINE_WITHOUT_ACCOUNT 64713u
#define HELPER_WITHOUT_ACCOUNT 64714u
#define FORWARDER_WITHOUT_ACCOUNT 64715u

struct identity_numbers {
	uid_t uid;
	gid_t gid;
};

/* From the file, not through NSS: a directory server that does not answer must not hold us up, and its
 * libraries have no business in a process of root. */
static struct identity_numbers account(const char *name, uid_t otherwise)
{
	struct identity_numbers found = { otherwise, otherwise };
	FILE *passwd = fopen("/etc/passwd", "re");
	struct passwd *p;

	if (!passwd)
		return found;
	while ((p = fgetpwent(passwd)))
		if (strcmp(p->pw_name, name) == 0 && p->pw_uid != 0) {
			found = (struct identity_numbers){ p->pw_uid, p->pw_gid };
			break;
		}
	fclose(passwd);
	return found;
}

/* An empty folder as root: whatever system call were forgotten below finds no name. */
static int enter_empty_root(struct err *e)
{
	mkdir(PATH_RUN, 0755);
	mkdir(PATH_EMPTY, 0555);
	if (chroot(PATH_EMPTY) < 0 || chdir("/") < 0)
		return err_set(e, errno, "making '%s' the engine's root", PATH_EMPTY);
	return 0;
}

static int drop_identity(struct identity_numbers n, struct err *e)
{
	if (setgroups(0, NULL) < 0 || setresgid(n.gid, n.gid, n.gid) < 0 ||
	    setresuid(n.uid, n.uid, n.uid) < 0)
		return err_set(e, errno, "becoming user %u", n.uid);
	return 0;
}

/* --- system calls of the engine */

struct rule {
	int call;
	unsigned count; /* of conditions */
	struct scmp_arg_cmp arg[1];
};

#define ALWAYS(name) { SCMP_SYS(name), 0, { { 0 } } }
#define WHEN(name, ...) { SCMP_SYS(name), 1, { { __VA_ARGS__ } } }

static const struct rule engine_rules[] = {
	/* reading and writing what it was handed */
	ALWAYS(read), ALWAYS(readv), ALWAYS(pread64), ALWAYS(preadv), ALWAYS(write), ALWAYS(writev),
	ALWAYS(pwrite64), ALWAYS(pwritev), ALWAYS(lseek), ALWAYS(close), ALWAYS(fstat), ALWAYS(fstatfs),
	ALWAYS(fsync), ALWAYS(fdatasync), ALWAYS(sync_file_range), ALWAYS(ftruncate), ALWAYS(fallocate),
	ALWAYS(fadvise64), ALWAYS(sendmsg), ALWAYS(recvmsg),
	/* what fstat() is in newer C libraries */
	WHEN(newfstatat, 3, SCMP_CMP_EQ, AT_EMPTY_PATH, 0),
	WHEN(name_to_handle_at, 4, SCMP_CMP_EQ, AT_EMPTY_PATH, 0),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_GETFD, 0), WHEN(fcntl, 1, SCMP_CMP_EQ, F_GETFL, 0),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_SETFD, 0), WHEN(fcntl, 1, SCMP_CMP_EQ, F_SETFL, 0),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0), WHEN(fcntl, 1, SCMP_CMP_EQ, F_GET_SEALS, 0),
	/* memory, but none that can be executed */
	WHEN(mmap, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
	WHEN(mprotect, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), ALWAYS(munmap), ALWAYS(mremap),
	ALWAYS(madvise), ALWAYS(brk),
	/* waiting and time */
	ALWAYS(poll), ALWAYS(ppoll), ALWAYS(epoll_create1), ALWAYS(epoll_ctl), ALWAYS(epoll_wait),
	ALWAYS(epoll_pwait), ALWAYS(eventfd2), ALWAYS(timerfd_create), ALWAYS(timerfd_settime),
	ALWAYS(timerfd_gettime), ALWAYS(clock_gettime), ALWAYS(clock_getres), ALWAYS(clock_nanosleep),
	ALWAYS(nanosleep), ALWAYS(gettimeofday), ALWAYS(time), ALWAYS(restart_syscall),
	/* itself */
	ALWAYS(futex), ALWAYS(sched_yield), ALWAYS(getrandom), ALWAYS(getpid), ALWAYS(gettid),
	ALWAYS(getppid), ALWAYS(getuid), ALWAYS(geteuid), ALWAYS(getgid), ALWAYS(getegid),
	ALWAYS(getrusage), ALWAYS(sysinfo), ALWAYS(rt_sigaction), ALWAYS(rt_sigprocmask),
	ALWAYS(rt_sigreturn), ALWAYS(sigaltstack), ALWAYS(exit), ALWAYS(exit_group),
};

static int allow(scmp_filter_ctx filter, const struct rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call,
					       rules[i].count, rules[i].arg);

		if (r < 0)
			return r;
	}
	return 0;
}

/* abort() must end the process, and only this one. */
static int allow_abort(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

/* 32-bit calls have other numbers and would pass by the list: whoever makes one is not our code. */
static int load_filter(scmp_filter_ctx filter)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	return r < 0 ? r : seccomp_load(filter);
}

struct list {
	const struct rule *rules;
	size_t count;
};
#define LIST(rules) { rules, ARRAY_SIZE(rules) }

/* Everything is EPERM but what stands in the lists. */
static int filter_all_but(const struct list *lists, size_t count, bool threads, const char *whose, struct err *e)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = allow(filter, lists[i].rules, lists[i].count);
	if (r == 0)
		r = allow_abort(filter);
	/* Its flags lie in memory, where a filter cannot see them; told that there is no such call, libc takes clone(2). */
	if (r == 0 && threads)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = load_filter(filter);
	if (filter)
		seccomp_release(filter);
	return r < 0 ? err_set(e, -r, "loading the %s's system call filter", whose) : 0;
}

/* Another user without groups, capabilities or a way to get any. */
static int become_nobody(struct identity_numbers n, struct err *e)
{
	int r;

	/* The bounding set goes while we may still change it, the rest with the identity. */
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_lock() < 0 || capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return err_set(e, EPERM, "emptying the capability bounding set");
	r = drop_identity(n, e);
	if (r < 0)
		return r;
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || capng_apply(CAPNG_SELECT_AMBIENT) < 0)
		return err_set(e, EPERM, "dropping capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "sealing the process");
	return 0;
}

int privilege_seal_engine(struct err *e)
{
	static const struct list lists[] = { LIST(engine_rules) };
	/* Found while names can still be looked up. */
	struct identity_numbers engine = account(ACCOUNT_ENGINE, ENGINE_WITHOUT_ACCOUNT);
	int r = enter_empty_root(e);

	if (r == 0)
		r = become_nobody(engine, e);
	return r < 0 ? r : filter_all_but(lists, ARRAY_SIZE(lists), false, "engine", e);
}

/* --- the helper */

#define READ_ONLY_MASK (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

/* Reading by name what any user may read, and one message in, one out. */
static const struct rule helper_rules[] = {
	ALWAYS(read), ALWAYS(readv), ALWAYS(pread64), ALWAYS(lseek), ALWAYS(close), ALWAYS(fstat),
	ALWAYS(write), ALWAYS(writev), ALWAYS(recvmsg), ALWAYS(sendmsg), ALWAYS(memfd_create),
	WHEN(open, 1, SCMP_CMP_MASKED_EQ, READ_ONLY_MASK, O_RDONLY),
	WHEN(openat, 2, SCMP_CMP_MASKED_EQ, READ_ONLY_MASK, O_RDONLY),
	ALWAYS(newfstatat), ALWAYS(stat), ALWAYS(lstat), ALWAYS(readlink), ALWAYS(readlinkat),
	ALWAYS(access), ALWAYS(getdents64), ALWAYS(fstatfs), ALWAYS(uname), ALWAYS(getcwd),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_GETFD, 0), WHEN(fcntl, 1, SCMP_CMP_EQ, F_GETFL, 0),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_SETFD, 0), WHEN(fcntl, 1, SCMP_CMP_EQ, F_SETFL, 0),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0), WHEN(fcntl, 1, SCMP_CMP_EQ, F_ADD_SEALS, 0),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_GET_SEALS, 0),
	WHEN(mmap, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
	WHEN(mprotect, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0), ALWAYS(munmap), ALWAYS(mremap),
	ALWAYS(madvise), ALWAYS(brk), ALWAYS(poll), ALWAYS(ppoll), ALWAYS(clock_gettime),
	ALWAYS(clock_nanosleep), ALWAYS(nanosleep), ALWAYS(gettimeofday), ALWAYS(time),
	ALWAYS(restart_syscall), ALWAYS(futex), ALWAYS(sched_yield), ALWAYS(getrandom), ALWAYS(getpid),
	ALWAYS(gettid), ALWAYS(getppid), ALWAYS(getuid), ALWAYS(geteuid), ALWAYS(getgid), ALWAYS(getegid),
	ALWAYS(getrusage), ALWAYS(sysinfo), ALWAYS(rt_sigaction), ALWAYS(rt_sigprocmask),
	ALWAYS(rt_sigreturn), ALWAYS(sigaltstack), ALWAYS(setitimer), ALWAYS(exit), ALWAYS(exit_group),
};

/* Asking name servers; their modules are libraries that the C library loads by itself. */
static const struct rule network_rules[] = {
	ALWAYS(socket), ALWAYS(connect), ALWAYS(bind), ALWAYS(sendto), ALWAYS(sendmmsg), ALWAYS(recvfrom),
	ALWAYS(getsockname), ALWAYS(getpeername), ALWAYS(setsockopt), ALWAYS(getsockopt), ALWAYS(ioctl),
	ALWAYS(epoll_create1), ALWAYS(epoll_ctl), ALWAYS(epoll_wait), ALWAYS(eventfd2),
	WHEN(mmap, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC),
	WHEN(mprotect, 2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC),
};

/* Talking to the X server or the Wayland compositor of this user; what is copied under Wayland comes through a pipe. */
static const struct rule clipboard_rules[] = {
	WHEN(socket, 0, SCMP_CMP_EQ, AF_UNIX, 0), ALWAYS(connect), ALWAYS(sendto), ALWAYS(recvfrom), ALWAYS(getsockopt),
	ALWAYS(getsockname), ALWAYS(getpeername), ALWAYS(shutdown), ALWAYS(pipe2),
};

/* Besides: its bookmark, and threads, which libraries make. */
static const struct rule forwarder_rules[] = {
	ALWAYS(pwrite64), ALWAYS(fdatasync), ALWAYS(shutdown), ALWAYS(recvmmsg), ALWAYS(pipe2), ALWAYS(dup),
	ALWAYS(socketpair), ALWAYS(epoll_pwait), ALWAYS(timerfd_create), ALWAYS(timerfd_settime),
	WHEN(fcntl, 1, SCMP_CMP_EQ, F_DUPFD, 0),
	WHEN(clone, 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD), ALWAYS(set_robust_list), ALWAYS(rseq),
	ALWAYS(sched_getaffinity), WHEN(prctl, 0, SCMP_CMP_EQ, PR_SET_NAME, 0), ALWAYS(getrlimit),
	WHEN(prlimit64, 2, SCMP_CMP_EQ, 0, 0), ALWAYS(sched_getparam), ALWAYS(sched_getscheduler),
};

static int seal_helper(const struct list *lists, size_t count, struct err *e)
{
	int r = become_nobody(account(ACCOUNT_HELPER, HELPER_WITHOUT_ACCOUNT), e);

	return r < 0 ? r : filter_all_but(lists, count, false, "helper", e);
}

int privilege_seal_helper(struct err *e)
{
	static const struct list lists[] = { LIST(helper_rules) };

	return seal_helper(lists, ARRAY_SIZE(lists), e);
}

int privilege_seal_helper_network(struct err *e)
{
	static const struct list lists[] = { LIST(helper_rules), LIST(network_rules) };

	return seal_helper(lists, ARRAY_SIZE(lists), e);
}

int privilege_seal_forwarder(struct err *e)
{
	static const struct list lists[] = { LIST(helper_rules), LIST(network_rules), LIST(forwarder_rules) };
	int r = become_nobody(account(ACCOUNT_FORWARDER, FORWARDER_WITHOUT_ACCOUNT), e);

	return r < 0 ? r : filter_all_but(lists, ARRAY_SIZE(lists), true, "forwarder", e);
}

int privilege_seal_clipboard(unsigned uid, unsigned gid, struct err *e)
{
	static const struct list lists[] = { LIST(helper_rules), LIST(clipboard_rules) };
	int r = uid == 0 ? err_set(e, EPERM, "no clipboard is read as root") : 0;

	if (r == 0)
		r = become_nobody((struct identity_numbers){ uid, gid }, e);
	return r < 0 ? r : filter_all_but(lists, ARRAY_SIZE(lists), false, "helper", e);
}

/* --- the monitor */

static const unsigned monitor_capabilities[] = {
	CAP_BPF,             /* every bpf(2) once unprivileged_bpf_disabled is set: links, iterators */
	CAP_PERFMON,         /* attaching tracing programs when rules begin to ask for them */
	CAP_NET_ADMIN,       /* attaching the programs of sockets to the root cgroup */
	CAP_SYS_ADMIN,       /* fanotify marks on whole file systems; BTF and map ids on some kernels */
	CAP_SYS_PTRACE,      /* /proc/PID/exe and cmdline of other users' processes */
	CAP_DAC_OVERRIDE,    /* removing what a rule forbids from others' folders, archiving where root may not write */
	CAP_FOWNER,          /* the same in folders like /tmp */
	CAP_DAC_READ_SEARCH, /* programs their owner alone may read; folders others may not enter */
};

/* What nothing here ever needs, and what makes these capabilities dangerous in a stranger's hands. */
static const int monitor_refused[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot),
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(move_mount),
	SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(mount_setattr), SCMP_SYS(setns),
	SCMP_SYS(unshare), SCMP_SYS(chroot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(socket),
	SCMP_SYS(connect), SCMP_SYS(io_uring_setup), SCMP_SYS(keyctl), SCMP_SYS(add_key),
	SCMP_SYS(userfaultfd), SCMP_SYS(mknod), SCMP_SYS(mknodat),
	SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(kill), SCMP_SYS(tkill),
	SCMP_SYS(pidfd_send_signal),
};

static int filter_monitor(struct err *e)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(monitor_refused); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), monitor_refused[i], 0);
	if (r == 0)
		r = load_filter(filter);
	if (filter)
		seccomp_release(filter);
	return r < 0 ? err_set(e, -r, "loading the monitor's system call filter") : 0;
}

int privilege_reduce_monitor(struct err *e)
{
	bool held[ARRAY_SIZE(monitor_capabilities)];

	/* In a container some may be missing from the start; what works without them goes on working. */
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		held[i] = capng_have_capability(CAPNG_PERMITTED, monitor_capabilities[i]);

	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				     monitor_capabilities[i]);
	if (capng_lock() < 0 || capng_apply(CAPNG_SELECT_ALL) < 0)
		return err_set(e, EPERM, "reducing the monitor's capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "sealing the monitor");
	return filter_monitor(e);
}
