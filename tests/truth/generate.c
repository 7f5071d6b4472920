/* SPDX-License-Identifier: MIT */
/* The generator of tests/truth: options, workers, and the mixture. See truth.h. */
#include "truth.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 64
#define THREADS_MAX   64
#define NOBODY        65534

static struct {
	uint64_t seed;
	unsigned operations, processes, threads;
	char directory[PATH_MAX]; /* resolved */
	const char *ledger;
	const char *settings; /* a folder whose files are settings; NULL: none */
	const char *konseki, *rules; /* the program, and those it is recording by; NULL: they do not change */
	unsigned display;     /* the number of an X server of nobody; 0: none */
	bool overwriting_refused;
} options = { .seed = 1, .operations = 20000, .processes = 8, .threads = 2 };

static int proc = -1;
static struct area top; /* where everything is */

/* --- What truth.h promises. --- */

void never(const char *what, const char *file, int line)
{
	fprintf(stderr, "generate: %s:%d: %s (%s)\n", file, line, what, strerror(errno));
	_exit(1);
}

long must(long value, const char *what, const char *file, int line)
{
	if (value < -1)
		errno = (int)-value; /* io_uring and call32() */
	if (value < 0)
		never(what, file, line);
	return value;
}

void path_join(char out[PATH_MAX], const char *base, const char *name)
{
	size_t n = strlen(base), m = strlen(name);

	if (n + 1 + m >= PATH_MAX)
		NEVER("a path is too long");
	memmove(out, base, n);
	out[n] = '/';
	memcpy(out + n + 1, name, m + 1);
}

/* splitmix64: the same operations for the same seed, whatever the C library. */
uint64_t draw(uint64_t *random, uint64_t below)
{
	uint64_t z = *random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % below;
}

uint64_t choose(struct actor *a, uint64_t below)
{
	return draw(&a->random, below);
}

uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int proc_directory(void)
{
	return proc;
}

bool overwriting_is_refused(void)
{
	return options.overwriting_refused;
}

/* The link shows the id in the namespace of the procfs, not in that of who reads it. */
pid_t own_pid(void)
{
	char text[32] = "";

	MUST(readlinkat(proc, "self", text, sizeof(text) - 1));
	return atoi(text);
}

pid_t initial_pid(const struct worker *w, pid_t pid)
{
	char text[512] = "", *line;
	int fd, info;

	if (!w->own_pids)
		return pid;
	fd = (int)MUST(syscall(SYS_pidfd_open, pid, 0));
	snprintf(text, sizeof(text), "self/fdinfo/%d", fd);
	info = (int)MUST(openat(proc, text, O_RDONLY | O_CLOEXEC));
	text[MUST(read(info, text, sizeof(text) - 1))] = 0;
	MUST(close(info));
	MUST(close(fd));
	line = strstr(text, "\nPid:");
	if (!line || atoi(line + 5) <= 0)
		NEVER("fdinfo of a pidfd names no process");
	return atoi(line + 5);
}

int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			MUST(-1);
	return status;
}

pid_t fork_actor(struct actor *a)
{
	uint64_t random = choose(a, UINT64_MAX);
	pid_t pid = (pid_t)MUST(fork());

	if (pid == 0) {
		MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
		a->pid = own_pid();
		a->random = random;
		a->ring.fd = -1;
	}
	return pid;
}

/* A kernel may have been built or be run without them: then int 0x80 is a fault. */
static sigjmp_buf no_call32;

static void back_without_call32(int signal)
{
	(void)signal;
	siglongjmp(no_call32, 1);
}

static bool try_call32(void)
{
	enum { I386_GETPID = 20 };

	return sigsetjmp(no_call32, 1) == 0 && call32(I386_GETPID, 0, 0, 0) > 0;
}

bool can_call32(void)
{
	static int can = -1;

	if (can < 0) {
		MUST(signal(SIGSEGV, back_without_call32) == SIG_ERR ? -1 : 0);
		can = try_call32();
		signal(SIGSEGV, SIG_DFL);
	}
	return can;
}

int call32(unsigned number, uintptr_t b, uintptr_t c, uintptr_t d)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(b), "c"(c), "d"(d)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

/* An operation that is impossible now, for want of a file, makes way for the next. */
void act(struct actor *a, const struct operation *from, size_t count)
{
	uint64_t total = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < count; k++)
		total += from[k].weight;
	at = choose(a, total);
	while (at >= from[i].weight)
		at -= from[i++].weight;
	for (size_t tries = 0; tries < count; tries++, i = (i + 1) % count)
		if (from[i].act(a, from[i].name))
			return;
	NEVER("no operation is possible");
}

/* --- Workers. --- */

#define OWN_MOUNTS    0x01
#define OWN_PIDS      0x02
#define OWN_USERS     0x04
#define OWN_NETWORK   0x08
#define MORE_MOUNTS   0x10 /* bind mount, tmpfs and overlay beside the plain directory */
#define CHANGED_ROOT  0x20
#define PIVOTED_ROOT  0x40
#define UNPRIVILEGED  0x80
#define DEEP          0x100 /* paths of almost PATH_MAX */

static const unsigned kinds[] = {
	DEEP,
	CHANGED_ROOT,
	OWN_MOUNTS | MORE_MOUNTS,
	OWN_PIDS,
	OWN_USERS,
	OWN_NETWORK,
	OWN_MOUNTS | OWN_PIDS | OWN_NETWORK | PIVOTED_ROOT | UNPRIVILEGED | OWN_USERS, /* a container */
	0,
};

struct thread {
	pthread_t thread;
	struct actor actor;
	unsigned operations;
};

/* A new process costs as much as hundreds of files: the shares decide how long a run takes. */
static void *run_thread(void *argument)
{
	struct thread *t = argument;
	struct actor *a = &t->actor;

	for (unsigned i = 0; i < t->operations; i++) {
		uint64_t family = choose(a, 100);

		if (family < 77)
			act(a, file_operations, file_operation_count);
		else if (family < 78)
			act(a, content_operations, content_operation_count);
		else if (family < 80)
			act(a, system_operations, system_operation_count);
		else if (family < 90)
			act(a, network_operations, network_operation_count);
		else
			act(a, process_operations, process_operation_count);
	}
	return NULL;
}

/* The threads' share of all operations; the first threads take what does not divide. */
static unsigned share(unsigned worker, unsigned thread)
{
	unsigned actors = options.processes * options.threads;
	unsigned number = worker * options.threads + thread;

	return options.operations / actors + (number < options.operations % actors);
}

static void run_threads(struct actor *a)
{
	static struct thread threads[THREADS_MAX];
	char prefix[16];

	for (unsigned i = 0; i < options.threads; i++) {
		struct thread *t = &threads[i];

		t->actor = *a;
		t->actor.random = choose(a, UINT64_MAX);
		t->operations = share(a->worker->number, i);
		snprintf(prefix, sizeof(prefix), "t%u", i);
		files_init(&t->actor, prefix);
	}
	for (unsigned i = 0; i < options.threads; i++)
		if (pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]) != 0)
			NEVER("no thread");
	for (unsigned i = 0; i < options.threads; i++)
		pthread_join(threads[i].thread, NULL);
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	MUST(ioctl(fd, SIOCSIFFLAGS, &r));
	MUST(close(fd));
}

static void make_area(const struct worker *w, struct area *area, const char *name)
{
	path_join(area->access, w->home.access, name);
	path_join(area->report, w->home.report, name);
	MUST(mkdir(area->access, 0700));
}

static struct area *add_area(struct worker *w, const char *name)
{
	struct area *area = &w->areas[w->area_count++];

	make_area(w, area, name);
	return area;
}

/* Directories until the paths in them come close to PATH_MAX. */
static void add_deep_area(struct worker *w)
{
	struct area *area = add_area(w, "deep");
	char name[201];

	memset(name, 'd', 200);
	name[200] = 0;
	while (strlen(area->report) + 600 < PATH_MAX) {
		path_join(area->access, area->access, name);
		path_join(area->report, area->report, name);
		MUST(mkdir(area->access, 0700));
	}
}

static void make_beside(char out[PATH_MAX], const struct worker *w, const char *name)
{
	path_join(out, w->home.access, name);
	MUST(mkdir(out, 0700));
}

static void add_overlay(struct actor *a, struct worker *w)
{
	char upper[PATH_MAX], work[PATH_MAX], layers[3 * PATH_MAX + 64], prefix[16];
	struct area lower = { .has_lower = false }, *area = add_area(w, "overlay");

	make_beside(upper, w, "upper");
	make_beside(work, w, "work");
	make_beside(lower.access, w, "lower");
	path_join(lower.report, w->home.report, "lower");
	for (unsigned i = 0; i < options.threads; i++) {
		snprintf(prefix, sizeof(prefix), "t%u", i);
		files_init_lower(a, &lower, w->area_count - 1, prefix);
	}
	snprintf(layers, sizeof(layers), "lowerdir=%s,upperdir=%s,workdir=%s", lower.access, upper, work);
	MUST(mount("overlay", area->access, "overlay", 0, layers));
	area->has_lower = true;
}

static void add_mounts(struct actor *a, struct worker *w)
{
	char bound[PATH_MAX], also[PATH_MAX];
	struct area *bind;

	make_beside(bound, w, "bound");
	bind = add_area(w, "bind");
	MUST(mount(bound, bind->access, NULL, MS_BIND, NULL));
	path_join(also, w->home.report, "bound");
	ledger_bind_mount(bind->report, also);
	MUST(mount("tmpfs", add_area(w, "tmpfs")->access, "tmpfs", 0, "mode=700"));
	add_overlay(a, w);
}

static void pivot_root_to(struct worker *w)
{
	MUST(mount(w->home.access, w->home.access, NULL, MS_BIND, NULL));
	MUST(chdir(w->home.access));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	w->home.access[0] = w->home.report[0] = 0;
}

static void become_nobody(void)
{
	MUST(setresgid(NOBODY, NOBODY, NOBODY));
	MUST(setresuid(NOBODY, NOBODY, NOBODY));
}

/* The order: what needs privilege first, and the pid namespace, which only children enter, is a fork. */
static void enter_namespaces(struct worker *w, unsigned kind)
{
	int flags = CLONE_NEWUTS | (kind & OWN_MOUNTS ? CLONE_NEWNS : 0) | (kind & OWN_PIDS ? CLONE_NEWPID : 0) |
		    (kind & OWN_NETWORK ? CLONE_NEWNET : 0);

	MUST(unshare(flags));
	if (kind & OWN_NETWORK)
		loopback_up();
	server_new(w);
	if (kind & OWN_MOUNTS)
		MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (kind & OWN_MOUNTS && !(kind & PIVOTED_ROOT))
		ledger_own_mounts(w->home.report);
	if (w->unprivileged)
		MUST(chown(w->home.access, NOBODY, NOBODY));
	if (kind & PIVOTED_ROOT)
		pivot_root_to(w);
	if (kind & CHANGED_ROOT) {
		MUST(chroot(w->home.access));
		w->home.access[0] = 0;
	}
	MUST(chdir(w->home.access[0] ? w->home.access : "/"));
	if (w->unprivileged)
		become_nobody();
	if (kind & OWN_USERS)
		MUST(unshare(CLONE_NEWUSER));
}

static void work(struct actor *a, struct worker *w, unsigned kind)
{
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	make_area(w, &w->contents, "contents");
	add_area(w, "plain");
	if (kind & DEEP)
		add_deep_area(w);
	if (kind & MORE_MOUNTS)
		add_mounts(a, w);
	server_start(a);
	run_threads(a);
	server_stop(a);
}

static void run_worker(struct actor *a, struct worker *w)
{
	unsigned kind = kinds[w->number % ARRAY_SIZE(kinds)];
	uint64_t since = now();
	pid_t pid;

	enter_namespaces(w, kind);
	if (!(kind & OWN_PIDS)) {
		work(a, w, kind);
		return;
	}
	pid = fork_actor(a);
	if (pid == 0) {
		w->own_pids = true;
		work(a, w, kind);
		_exit(0);
	}
	if (wait_status(pid) != 0)
		NEVER("the first process of a pid namespace failed");
	ledger_exit(w, pid, own_image(), "first of its pid namespace", since);
}

/* --- The main process. --- */

void read_file(const char *path, char **content, size_t *n)
{
	int fd = (int)MUST(open(path, O_RDONLY | O_CLOEXEC));
	struct stat s;

	MUST(fstat(fd, &s));
	*n = (size_t)s.st_size;
	*content = malloc(*n);
	if (!*content || MUST(read(fd, *content, *n)) != (long)*n)
		NEVER("reading a file");
	MUST(close(fd));
}

/* Programs lie in each worker's directory, so that they are there under any root. */
static void prepare_worker(const struct actor *a, struct worker *w, unsigned number)
{
	unsigned kind = kinds[number % ARRAY_SIZE(kinds)];
	bool rooted = kind & (CHANGED_ROOT | PIVOTED_ROOT);
	char *leaf, name[16], path[PATH_MAX], script[PATH_MAX + 16];
	size_t n;

	w->number = number;
	w->unprivileged = kind & UNPRIVILEGED;
	snprintf(name, sizeof(name), "w%u", number);
	path_join(w->home.access, options.directory, name);
	path_join(w->home.report, options.directory, name);
	MUST(mkdir(w->home.access, 0755));

	strcpy(path, own_image());
	*strrchr(path, '/') = 0;
	path_join(path, path, "leaf");
	read_file(path, &leaf, &n);
	make_file_with(a, &w->home, "leaf", leaf, n, 0755);
	free(leaf);
	n = (size_t)snprintf(script, sizeof(script), "#!%s/leaf\n", rooted ? "" : w->home.access);
	make_file_with(a, &w->home, "script", script, n, 0755);
	make_file_with(a, &w->home, "no program", "\x01\x02\x03", 3, 0755);
}

/* Processes beside the workers, each with a task of its own. */
struct beside {
	bool wanted;
	const char *name;
	void (*play)(struct actor *a);
	const struct worker *as;
	pid_t pid;
};

static void play_settings(struct actor *a)
{
	settings_run(a, options.settings);
}

static void play_rules(struct actor *a)
{
	rules_run(a, options.konseki, options.rules, &top);
}

static void play_clipboard(struct actor *a)
{
	clipboard_run(a, options.display);
}

static void start_beside(struct actor *a, struct beside *b)
{
	b->pid = fork_actor(a);
	if (b->pid != 0)
		return;
	a->worker = b->as;
	if (b->as->unprivileged) {
		become_nobody();
		MUST(prctl(PR_SET_PDEATHSIG, SIGKILL)); /* another user loses it */
	}
	b->play(a);
	_exit(0);
}

static void run(struct actor *a)
{
	static const struct worker nobody = { .unprivileged = true };
	static struct worker workers[PROCESSES_MAX];
	static pid_t pids[PROCESSES_MAX];
	uint64_t since = now();
	bool failed = false;
	struct beside besides[] = {
		{ options.settings != NULL, "the one with the settings", play_settings, a->worker, 0 },
		{ options.konseki && options.rules, "the one with the rules", play_rules, a->worker, 0 },
		{ options.display != 0, "the one with the clipboard", play_clipboard, &nobody, 0 },
	};

	strcpy(top.access, options.directory);
	strcpy(top.report, options.directory);
	system_init(a, &top);
	for (size_t i = 0; i < ARRAY_SIZE(besides); i++)
		if (besides[i].wanted)
			start_beside(a, &besides[i]);
	for (unsigned i = 0; i < options.processes; i++) {
		prepare_worker(a, &workers[i], i);
		pids[i] = fork_actor(a);
		if (pids[i] == 0) {
			a->worker = &workers[i];
			run_worker(a, &workers[i]);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < options.processes; i++) {
		failed |= wait_status(pids[i]) != 0;
		ledger_exit(&workers[i], pids[i], own_image(), "a worker", since);
	}
	for (const struct beside *b = besides; b < besides + ARRAY_SIZE(besides); b++) {
		if (!b->wanted)
			continue;
		failed |= wait_status(b->pid) != 0;
		ledger_exit(b->as, b->pid, own_image(), b->name, since);
	}
	if (failed)
		NEVER("a worker failed; see above");
}

static unsigned number(const char *text, const char *what, unsigned most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || value < 1 || value > most) {
		fprintf(stderr, "generate: %s: a number from 1 to %u is needed, not '%s'\n", what, most, text);
		exit(2);
	}
	return (unsigned)value;
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seed", required_argument, NULL, 's' },     { "operations", required_argument, NULL, 'o' },
		{ "processes", required_argument, NULL, 'p' }, { "threads", required_argument, NULL, 't' },
		{ "dir", required_argument, NULL, 'd' },       { "ledger", required_argument, NULL, 'l' },
		{ "settings", required_argument, NULL, 'S' }, { "konseki", required_argument, NULL, 'k' },
		{ "rules", required_argument, NULL, 'r' },     { "overwriting-refused", no_argument, NULL, 'R' },
		{ "display", required_argument, NULL, 'D' },
		{ 0 },
	};
	const char *directory = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 's')
			options.seed = number(optarg, "--seed", 4000000000);
		else if (c == 'o')
			options.operations = number(optarg, "--operations", 100000000);
		else if (c == 'p')
			options.processes = number(optarg, "--processes", PROCESSES_MAX);
		else if (c == 't')
			options.threads = number(optarg, "--threads", THREADS_MAX);
		else if (c == 'd')
			directory = optarg;
		else if (c == 'l')
			options.ledger = optarg;
		else if (c == 'S')
			options.settings = optarg;
		else if (c == 'k')
			options.konseki = optarg;
		else if (c == 'r')
			options.rules = optarg;
		else if (c == 'D')
			options.display = number(optarg, "--display", 65535);
		else if (c == 'R')
			options.overwriting_refused = true;
		else
			exit(2);
	}
	if (!directory || !options.ledger || optind != argc) {
		fprintf(stderr, "usage: generate --dir EMPTY-DIRECTORY --ledger NEW-FILE [--seed N] "
				"[--operations N] [--processes N] [--threads N] [--settings WATCHED-FOLDER] "
				"[--konseki PROGRAM --rules FILE] [--display NUMBER] "
				"[--overwriting-refused]\n");
		exit(2);
	}
	if (!realpath(directory, options.directory))
		MUST(-1);
}

int main(int argc, char **argv)
{
	static struct worker none;
	struct actor a = { .worker = &none, .ring = { .fd = -1 } };
	struct rlimit no_core = { 0 };

	read_options(argc, argv);
	alarm(300 + options.operations / 100); /* the children go with their parents */
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	MUST(setrlimit(RLIMIT_CORE, &no_core));
	proc = (int)MUST(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	a.pid = own_pid();
	a.random = options.seed;

	can_call32(); /* asked here once, before there are threads */

	ledger_open(options.ledger);
	ledger_begin(&a, own_image(), options.directory);
	run(&a);
	ledger_end(&a);
	return 0;
}
