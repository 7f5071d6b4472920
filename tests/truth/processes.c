/* SPDX-License-Identifier: MIT */
/* Operations on processes. What the ledger says of them: each successful exec is a ProcessCreate, the end of
 * a process's last thread a ProcessTerminate. The parent writes both down once it has waited for the child
 * and seen that it ended as it was told to. */
#include "truth.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What a child executes, and how it is going to end. */
struct program {
	char path[PATH_MAX];  /* as the worker reaches it */
	char image[PATH_MAX]; /* as the ledger has it */
	const char *argv[8];
	size_t argc;
	char number[16];
	int status; /* of waitpid */
};

static const int codes[] = { 0, 1, 2, 7, 42, 126, 255 };
static const int signals[] = { SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGHUP, SIGUSR1 };
static const char *const odd_arguments[] = {
	"", "two words", "two\nlines", "\xff\xfe", "caf\xc3\xa9", "--flag=\"x\"", "\x1b[0m", "\\x41", "<&>",
};

static void program_at(const struct actor *a, struct program *p, const char *name)
{
	path_join(p->path, a->worker->home.access, name);
	path_join(p->image, a->worker->home.report, name);
	p->argc = 0;
}

static void add_argument(struct program *p, const char *text)
{
	p->argv[p->argc++] = text;
	p->argv[p->argc] = NULL;
}

/* leaf, told to end in a way chosen at random. */
static void choose_program(struct actor *a, struct program *p)
{
	bool by_signal = choose(a, 4) == 0;
	int value = by_signal ? signals[choose(a, ARRAY_SIZE(signals))] : codes[choose(a, ARRAY_SIZE(codes))];

	program_at(a, p, "leaf");
	add_argument(p, p->path);
	add_argument(p, by_signal ? "signal" : "exit");
	snprintf(p->number, sizeof(p->number), "%d", value);
	add_argument(p, p->number);
	if (choose(a, 2))
		add_argument(p, odd_arguments[choose(a, ARRAY_SIZE(odd_arguments))]);
	p->status = by_signal ? value : value << 8;
}

static char *const *arguments(const struct program *p)
{
	return (char *const *)p->argv;
}

static const char *cwd(const struct actor *a)
{
	return a->worker->home.report[0] ? a->worker->home.report : "/";
}

/* Waits for a process that executed this program and writes it down. */
static void finish_child_of(const struct actor *a, pid_t parent, const struct program *p, pid_t pid,
			    const char *how, uint64_t since)
{
	pid_t initial = initial_pid(a->worker, pid);

	if ((wait_status(pid) & 0xff7f) != p->status) /* without the core dump bit */
		NEVER("an executed program ended otherwise than it was told");
	ledger_exec(a->worker, initial, parent, p->image, cwd(a), p->argc, p->argv, how, since);
	ledger_exit(a->worker, initial, p->image, how, since);
}

static void finish(const struct actor *a, const struct program *p, pid_t pid, const char *how, uint64_t since)
{
	finish_child_of(a, a->pid, p, pid, how, since);
}

static bool act_fork_exec(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pid_t pid;

	choose_program(a, &p);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		execve(p.path, arguments(&p), environ);
		_exit(100);
	}
	finish(a, &p, pid, name, since);
	return true;
}

static bool act_vfork_exec(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pid_t pid;

	choose_program(a, &p);
	pid = vfork();
	if (pid == 0) {
		execve(p.path, arguments(&p), environ);
		_exit(100);
	}
	finish(a, &p, (pid_t)MUST(pid), name, since);
	return true;
}

static bool act_posix_spawn(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pid_t pid;

	choose_program(a, &p);
	if (posix_spawn(&pid, p.path, NULL, NULL, arguments(&p), environ) != 0)
		NEVER("posix_spawn failed");
	finish(a, &p, pid, name, since);
	return true;
}

static bool act_execveat(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pid_t pid;

	choose_program(a, &p);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		int home = open(a->worker->home.access[0] ? a->worker->home.access : "/",
				O_PATH | O_DIRECTORY | O_CLOEXEC);

		execveat(home, "leaf", arguments(&p), environ, 0);
		_exit(100);
	}
	finish(a, &p, pid, name, since);
	return true;
}

static bool act_fexecve(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pid_t pid;

	choose_program(a, &p);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		execveat(open(p.path, O_RDONLY | O_CLOEXEC), "", arguments(&p), environ, AT_EMPTY_PATH);
		_exit(100);
	}
	finish(a, &p, pid, name, since);
	return true;
}

/* The kernel executes the interpreter, with the script's path in front of its arguments. */
static bool act_script(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p, executed;
	char script[PATH_MAX];
	pid_t pid;

	choose_program(a, &p);
	path_join(script, a->worker->home.access, "script");
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		execve(script, arguments(&p), environ);
		_exit(100);
	}
	executed = p;
	executed.argc = 0;
	add_argument(&executed, p.path);
	add_argument(&executed, script);
	for (size_t i = 1; i < p.argc; i++)
		add_argument(&executed, p.argv[i]);
	finish(a, &executed, pid, name, since);
	return true;
}

static void *exec_from_thread(void *program)
{
	const struct program *p = program;

	execve(p->path, arguments(p), environ);
	_exit(100);
}

/* The thread that executes takes over the process id of the leader. */
static bool act_exec_from_thread(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pthread_t thread;
	pid_t pid;

	choose_program(a, &p);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		if (pthread_create(&thread, NULL, exec_from_thread, &p) != 0)
			_exit(101);
		for (;;)
			pause(); /* ended by the exec, or by _exit() beside it */
	}
	finish(a, &p, pid, name, since);
	return true;
}

/* Two images one after the other in one process. */
static bool act_exec_twice(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program first, second;
	pid_t pid, initial;

	program_at(a, &first, "leaf");
	program_at(a, &second, "leaf");
	first.status = second.status = 3 << 8;
	add_argument(&first, "the first");
	add_argument(&first, "again");
	add_argument(&first, first.path);
	add_argument(&first, "3");
	add_argument(&second, second.path);
	add_argument(&second, "exit");
	add_argument(&second, "3");

	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		execve(first.path, arguments(&first), environ);
		_exit(100);
	}
	initial = initial_pid(a->worker, pid);
	if (wait_status(pid) != first.status)
		NEVER("leaf did not execute itself");
	ledger_exec(a->worker, initial, a->pid, first.image, cwd(a), first.argc, first.argv, name, since);
	ledger_exec(a->worker, initial, a->pid, second.image, cwd(a), second.argc, second.argv, name, since);
	ledger_exit(a->worker, initial, second.image, name, since);
	return true;
}

static bool act_threads_outlive_leader(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pid_t pid;

	program_at(a, &p, "leaf");
	p.status = 7 << 8;
	add_argument(&p, p.path);
	add_argument(&p, "threads");
	pid = vfork();
	if (pid == 0) {
		execve(p.path, arguments(&p), environ);
		_exit(100);
	}
	finish(a, &p, (pid_t)MUST(pid), name, since);
	return true;
}

/* Killed once it runs: a kill during execve(2), after vfork(2) has returned, would make the exec fail. */
static bool act_killed(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	int running[2];
	char byte;
	pid_t pid;

	MUST(pipe2(running, O_CLOEXEC));
	program_at(a, &p, "leaf");
	p.status = SIGKILL;
	snprintf(p.number, sizeof(p.number), "%d", running[1]);
	add_argument(&p, p.path);
	add_argument(&p, "pause");
	add_argument(&p, p.number);
	pid = vfork();
	if (pid == 0) {
		fcntl(running[1], F_SETFD, 0); /* the child's table is its own */
		execve(p.path, arguments(&p), environ);
		_exit(100);
	}
	MUST(pid);
	MUST(close(running[1]));
	if (MUST(read(running[0], &byte, 1)) != 1)
		NEVER("leaf did not run");
	MUST(close(running[0]));
	MUST(kill(pid, SIGKILL));
	finish(a, &p, pid, name, since);
	return true;
}

/* --- Processes that are not what their file is. --- */

static void read_program(const char *path, char *content, size_t size, size_t *n)
{
	int fd = (int)MUST(open(path, O_RDONLY | O_CLOEXEC));

	*n = 0;
	for (long got; (got = MUST(read(fd, content + *n, size - *n))) > 0;)
		*n += (size_t)got;
	MUST(close(fd));
}

#define PROGRAM_MAX (4u << 20)

static bool act_memory_only(struct actor *a, const char *name)
{
	char *content = malloc(PROGRAM_MAX);
	uint64_t since = now();
	pid_t pid, initial;
	struct program p;
	size_t n;
	int fd;

	choose_program(a, &p);
	if (!content)
		NEVER("no memory");
	read_program(p.path, content, PROGRAM_MAX, &n);
	fd = (int)MUST(memfd_create("leaf", MFD_CLOEXEC));
	if (MUST(write(fd, content, n)) != (long)n)
		NEVER("a program was written in part");
	free(content);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		execveat(fd, "", arguments(&p), environ, AT_EMPTY_PATH);
		_exit(100);
	}
	MUST(close(fd));
	initial = initial_pid(a->worker, pid);
	strcpy(p.image, "memfd:leaf (deleted)");
	finish(a, &p, pid, name, since);
	ledger_tampering(a->worker, initial, p.image, "Image is memory only", name, since);
	return true;
}

/* A program of its own. Who forks meanwhile has the file open for writing until he executes something. */
static pid_t run_copy(struct actor *a, struct program *p, const char *copy, int running)
{
	char *content = malloc(PROGRAM_MAX);
	pid_t pid;
	size_t n;

	if (!content)
		NEVER("no memory");
	program_at(a, p, "leaf");
	read_program(p->path, content, PROGRAM_MAX, &n);
	make_file_with(a, &a->worker->home, copy, content, n, 0700);
	free(content);
	program_at(a, p, copy);
	p->status = SIGKILL;
	snprintf(p->number, sizeof(p->number), "%d", running);
	add_argument(p, p->path);
	add_argument(p, "pause");
	add_argument(p, p->number);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		fcntl(running, F_SETFD, 0);
		while (execve(p->path, arguments(p), environ) < 0 && errno == ETXTBSY)
			usleep(1000);
		_exit(100);
	}
	return pid;
}

static bool act_loses_file(struct actor *a, const char *name)
{
	uint64_t since = now(), deleted;
	struct program p;
	pid_t pid, initial;
	char copy[64], byte;
	int running[2];

	snprintf(copy, sizeof(copy), "lost %d %llu", (int)gettid(), (unsigned long long)a->serial++);
	MUST(pipe2(running, O_CLOEXEC));
	pid = run_copy(a, &p, copy, running[1]);
	MUST(close(running[1]));
	if (MUST(read(running[0], &byte, 1)) != 1)
		NEVER("leaf did not run");
	MUST(close(running[0]));
	initial = initial_pid(a->worker, pid);
	deleted = now();
	MUST(unlink(p.path));
	ledger_file(a, EVENT_FILE_DELETE, name, p.image, deleted);
	ledger_tampering(a->worker, initial, p.image, "Image is deleted", name, deleted);
	MUST(kill(pid, SIGKILL));
	finish(a, &p, pid, name, since);
	return true;
}

/* An exec that fails is no event; the process goes on and ends. */
static bool act_failed_exec(struct actor *a, const char *name)
{
	uint64_t since = now();
	struct program p;
	pid_t pid, initial;

	program_at(a, &p, choose(a, 2) ? "no such program" : "no program");
	add_argument(&p, p.path);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		execve(p.path, arguments(&p), environ);
		_exit(5);
	}
	initial = initial_pid(a->worker, pid);
	if (wait_status(pid) != 5 << 8)
		NEVER("an exec that must fail did not");
	ledger_exit(a->worker, initial, own_image(), name, since);
	return true;
}

/* A fork without exec that works on the files of its parent. */
static bool act_child_with_files(struct actor *a, const char *name)
{
	uint64_t since = now();
	bool by_signal = choose(a, 3) == 0;
	pid_t pid = fork_actor(a), initial;

	if (pid == 0) {
		for (int i = 0; i < 5; i++)
			act(a, file_operations, file_operation_count);
		if (by_signal)
			raise(SIGKILL);
		_exit(9);
	}
	initial = initial_pid(a->worker, pid);
	if (wait_status(pid) != (by_signal ? SIGKILL : 9 << 8))
		NEVER("a child with files did not end as it should");
	a->serial += 1000; /* the child named files too */
	ledger_exit(a->worker, initial, own_image(), name, since);
	return true;
}

/* The grandchild waits until its parent is gone, then executes. The parent of its record is still the one that
 * made it: who reaps it now (this process, which has declared itself the reaper of its descendants) says
 * nothing of where it comes from. */
static void become_orphan(const struct program *p, int report)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid != 0) {
		if (pid < 0 || write(report, &pid, sizeof(pid)) != sizeof(pid))
			_exit(101);
		_exit(6);
	}
	for (int i = 0; i < 100000 && getppid() == parent; i++)
		usleep(100);
	execve(p->path, arguments(p), environ);
	_exit(100);
}

static bool act_orphan(struct actor *a, const char *name)
{
	uint64_t since = now();
	pid_t pid, initial, orphan;
	struct program p;
	int channel[2];

	choose_program(a, &p);
	MUST(pipe2(channel, O_CLOEXEC));
	pid = (pid_t)MUST(fork());
	if (pid == 0)
		become_orphan(&p, channel[1]);
	initial = initial_pid(a->worker, pid);
	if (MUST(read(channel[0], &orphan, sizeof(orphan))) != sizeof(orphan))
		NEVER("no word of the grandchild");
	MUST(close(channel[0]));
	MUST(close(channel[1]));
	if (wait_status(pid) != 6 << 8)
		NEVER("the parent of an orphan did not end as it should");
	ledger_exit(a->worker, initial, own_image(), name, since);
	finish_child_of(a, initial, &p, orphan, name, since);
	return true;
}

/* --- Looks into another process. --- */

static int own_number = 1;

static void read_by_vector(pid_t pid, pid_t initial)
{
	struct iovec here = { &(int){ 0 }, sizeof(int) }, there = { &own_number, sizeof(int) };

	(void)initial;
	if (MUST(process_vm_readv(pid, &here, 1, &there, 1, 0)) != sizeof(int))
		NEVER("another's memory was not read");
}

static void write_by_vector(pid_t pid, pid_t initial)
{
	struct iovec here = { &(int){ 2 }, sizeof(int) }, there = { &own_number, sizeof(int) };

	(void)initial;
	if (MUST(process_vm_writev(pid, &here, 1, &there, 1, 0)) != sizeof(int))
		NEVER("another's memory was not written");
}

static void open_memory(pid_t initial, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "%d/mem", initial);
	MUST(close((int)MUST(openat(proc_directory(), path, flags | O_CLOEXEC))));
}

static void open_to_read(pid_t pid, pid_t initial)
{
	(void)pid;
	open_memory(initial, O_RDONLY);
}

static void open_to_write(pid_t pid, pid_t initial)
{
	(void)pid;
	open_memory(initial, O_WRONLY);
}

static void take_descriptor(pid_t pid, pid_t initial)
{
	int fd = (int)MUST(syscall(SYS_pidfd_open, pid, 0));

	(void)initial;
	MUST(close((int)MUST(syscall(SYS_pidfd_getfd, fd, STDERR_FILENO, 0))));
	MUST(close(fd));
}

static void trace(pid_t pid, pid_t initial)
{
	(void)initial;
	MUST(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	wait_status(pid);
}

static void seize(pid_t pid, pid_t initial)
{
	(void)initial;
	MUST(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
}

/* The child lets it be done; it stops when it has. */
static void see_it_trace_itself(pid_t pid, pid_t initial)
{
	(void)initial;
	if (!WIFSTOPPED(wait_status(pid)))
		NEVER("a child that is traced did not stop");
}

static const struct reaching {
	const char *name, *access;
	void (*reach)(pid_t pid, pid_t initial);
	bool child_is_willing;
} reachings[] = {
	{ "process_vm_readv", "0x10", read_by_vector, false },
	{ "process_vm_writev", "0x20", write_by_vector, false },
	{ "another's memory opened to read", "0x10", open_to_read, false },
	{ "another's memory opened to write", "0x20", open_to_write, false },
	{ "pidfd_getfd", "0x40", take_descriptor, false },
	{ "PTRACE_ATTACH", "0x1fffff", trace, false },
	{ "PTRACE_SEIZE", "0x1fffff", seize, false },
	{ "PTRACE_TRACEME", "0x1fffff", see_it_trace_itself, true },
};

static void be_reached(const struct reaching *r)
{
	if (r->child_is_willing && (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0))
		_exit(101);
	for (;;)
		pause();
}

static bool act_reach(struct actor *a, const char *name)
{
	const struct reaching *r = &reachings[choose(a, ARRAY_SIZE(reachings))];
	uint64_t since = now();
	pid_t pid, initial;

	if (a->worker->unprivileged) /* who changed its user may not look into its own children */
		return false;
	pid = (pid_t)MUST(fork());
	if (pid == 0)
		be_reached(r);
	initial = initial_pid(a->worker, pid);
	r->reach(pid, initial);
	ledger_access(a, initial, r->access, r->name, since);
	MUST(kill(pid, SIGKILL));
	if (wait_status(pid) != SIGKILL)
		NEVER("a process that was reached into did not end as it should");
	ledger_exit(a->worker, initial, own_image(), name, since);
	return true;
}

static void *do_nothing(void *unused)
{
	return unused;
}

/* The child's code, written by its memory's file: it is the same as before, but that is nobody's business. */
static bool act_write_code(struct actor *a, const char *name)
{
	off_t at = (off_t)(uintptr_t)do_nothing;
	uint64_t since = now(), written;
	pid_t pid, initial;
	char path[32], byte;
	int fd;

	if (a->worker->unprivileged)
		return false;
	pid = (pid_t)MUST(fork());
	if (pid == 0)
		for (;;)
			pause();
	initial = initial_pid(a->worker, pid);
	snprintf(path, sizeof(path), "%d/mem", initial);
	fd = (int)MUST(openat(proc_directory(), path, O_RDWR | O_CLOEXEC));
	ledger_access(a, initial, "0x30", name, since);
	written = now();
	if (MUST(pread(fd, &byte, 1, at)) != 1 || MUST(pwrite(fd, &byte, 1, at)) != 1)
		NEVER("code was not written");
	ledger_remote_code(a, initial, name, written);
	ledger_tampering(a->worker, initial, own_image(), "Image is replaced", name, written);
	MUST(close(fd));
	MUST(kill(pid, SIGKILL));
	if (wait_status(pid) != SIGKILL)
		NEVER("a process that was written to did not end as it should");
	ledger_exit(a->worker, initial, own_image(), name, since);
	return true;
}

/* Threads come and go: no event. */
static bool act_threads(struct actor *a, const char *name)
{
	pthread_t threads[3];

	(void)a;
	(void)name;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		if (pthread_create(&threads[i], NULL, do_nothing, NULL) != 0)
			NEVER("no thread");
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	return true;
}

const struct operation process_operations[] = {
	{ "fork and execve", 20, act_fork_exec },
	{ "vfork and execve", 20, act_vfork_exec },
	{ "posix_spawn", 20, act_posix_spawn },
	{ "execveat", 10, act_execveat },
	{ "fexecve", 10, act_fexecve },
	{ "a script", 10, act_script },
	{ "execve from a thread", 10, act_exec_from_thread },
	{ "execve twice", 8, act_exec_twice },
	{ "threads outlive the leader", 6, act_threads_outlive_leader },
	{ "killed", 6, act_killed },
	{ "failed execve", 8, act_failed_exec },
	{ "a child with files", 15, act_child_with_files },
	{ "an orphan", 6, act_orphan },
	{ "a look into another", 10, act_reach },
	{ "another's code", 4, act_write_code },
	{ "a program in memory", 4, act_memory_only },
	{ "a program that loses its file", 3, act_loses_file },
	{ "threads", 5, act_threads },
};
const size_t process_operation_count = ARRAY_SIZE(process_operations);
