/* SPDX-License-Identifier: MIT */
/* The generator's inner contract. It does a random but reproducible mixture of operations and writes down
 * by itself, in a ledger, which events a monitor must have recorded; compare.py holds a log against it.
 *
 * A worker is a process, often with namespaces or a root of its own; it has threads and one server process
 * that answers them. An actor is whoever does operations and writes them down: a thread, a child of one,
 * the server, the main process. */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define SLOTS 48     /* files an actor juggles with */
#define AREAS_MAX 4  /* a plain directory and what a mount namespace adds */
#define DIRECTORIES 2 /* in each area, so that renames cross them */

/* Where a worker's files are: as it names them, and as the ledger does (from the root of its mount namespace,
 * whatever its own root is). */
struct area {
	char access[PATH_MAX];
	char report[PATH_MAX];
	bool has_lower; /* an overlay with files below, see files_init_lower() */
};

struct worker {
	unsigned number;
	bool own_pids; /* its process ids are not those of the initial namespace */
	bool unprivileged; /* its user is nobody, else root */
	struct area home;
	struct area areas[AREAS_MAX];
	unsigned area_count;
	struct area contents; /* beside them, see contents.c */
	struct server *server; /* shared with the server process */
};

struct slot {
	bool exists;
	unsigned directory;
	char name[NAME_MAX + 1];
};

/* A name, in the three ways it is needed. */
struct place {
	int directory;         /* with name: for the calls that end in "at" */
	const char *name;
	char path[PATH_MAX];   /* as this process reaches it */
	char report[PATH_MAX]; /* as the ledger has it */
};

struct uring {
	int fd; /* -1: not set up */
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

struct actor {
	uint64_t random;
	uint64_t serial; /* makes names unique */
	pid_t pid;       /* in the initial pid namespace, as everywhere here */
	const struct worker *worker;
	struct slot *slots; /* shared memory: a child goes on where its parent stopped */
	struct area directories[AREAS_MAX][DIRECTORIES];
	int descriptors[AREAS_MAX][DIRECTORIES]; /* of them */
	char *low_page; /* below 4 GiB, for 32-bit system calls */
	struct uring ring;
};

/* One kind of operation. Returns false if the actor has nothing to do it with now: another one is chosen. */
struct operation {
	const char *name;
	unsigned weight;
	bool (*act)(struct actor *a, const char *name);
};
extern const struct operation file_operations[], content_operations[], process_operations[], network_operations[],
	system_operations[];
extern const size_t file_operation_count, content_operation_count, process_operation_count, network_operation_count,
	system_operation_count;

/* generate.c */
long must(long value, const char *what, const char *file, int line);
#define MUST(expression) must((long)(expression), #expression, __FILE__, __LINE__)
void never(const char *what, const char *file, int line) __attribute__((noreturn));
#define NEVER(what) never(what, __FILE__, __LINE__)
void path_join(char out[PATH_MAX], const char *base, const char *name);
uint64_t draw(uint64_t *random, uint64_t below);
uint64_t choose(struct actor *a, uint64_t below); /* the same, of the actor's own */
uint64_t now(void); /* CLOCK_REALTIME, ns */
int proc_directory(void); /* /proc of the initial pid namespace, reachable from everywhere */
void read_file(const char *path, char **content, size_t *n); /* *content is the caller's */
bool overwriting_is_refused(void); /* of files that the rules protect */
pid_t own_pid(void);
pid_t initial_pid(const struct worker *w, pid_t pid); /* of a child that is not waited for yet */
int wait_status(pid_t pid);
void act(struct actor *a, const struct operation *from, size_t count); /* one of them, by weight */
/* A 32-bit system call: numbers and registers of i386, pointers below 4 GiB. -errno on failure. */
bool can_call32(void); /* some kernels refuse them */
int call32(unsigned number, uintptr_t b, uintptr_t c, uintptr_t d);
/* A child of this process that acts: its own pid, random numbers and ring. Like fork(2). */
pid_t fork_actor(struct actor *a);

/* ledger.c: every line is one write(2) to a file opened for appending, so actors need no lock. */
void ledger_open(const char *path);
void ledger_begin(const struct actor *a, const char *image, const char *directory);
void ledger_end(const struct actor *a);
void ledger_bind_mount(const char *path, const char *also);
void ledger_own_mounts(const char *home);
void ledger_let_pass(const char *path);
void ledger_file(const struct actor *a, int event, const char *how, const char *path, uint64_t since);
/* The same, and what was in the file. */
void ledger_content(const struct actor *a, int event, const char *how, const char *path, const char *content,
		    uint64_t since);
void ledger_exec(const struct worker *w, pid_t pid, pid_t parent, const char *image, const char *cwd,
		 size_t argc, const char *const *argv, const char *how, uint64_t since);
void ledger_exit(const struct worker *w, pid_t pid, const char *image, const char *how, uint64_t since);
struct ends { /* of a connection, the initiating one first; addresses as text */
	const char *protocol;
	const char *source, *destination;
	unsigned source_port, destination_port;
};
void ledger_connection(const struct actor *a, const struct ends *e, bool initiated, const char *how,
		       uint64_t since);
void ledger_lookup(const struct actor *a, const char *name, const char *status, const char *results, const char *how,
		   uint64_t since);
/* The text: so many times what is in unit. */
void ledger_clipboard(const struct actor *a, unsigned display, const char *unit, unsigned times, bool may_be_missing,
		      const char *how, uint64_t since);
void ledger_access(const struct actor *a, pid_t target, const char *access, const char *how, uint64_t since);
void ledger_remote_code(const struct actor *a, pid_t target, const char *how, uint64_t since);
void ledger_tampering(const struct worker *w, pid_t pid, const char *image, const char *type, const char *how,
		      uint64_t since);
struct difference { /* of settings; value: the new name, if it is one; NULL: none */
	int event;
	const char *type, *object, *value;
};
void ledger_setting(const struct actor *a, const struct difference *d, bool may_be_missing, const char *how,
		    uint64_t since);
/* The same of a file that is one value. */
void ledger_setting_content(const struct actor *a, const char *path, const char *content, bool may_be_missing,
			    const char *how, uint64_t since);
/* about: the condition, the action, or the name of the trigger that a service is bound to. */
void ledger_trigger(const struct actor *a, int event, const char *operation, const char *name, const char *about,
		    uint64_t since);
void ledger_bpf(const struct actor *a, const char *command, const char *type, const char *name, int id,
		const char *how, uint64_t since);
void ledger_module(const struct actor *a, const char *path, const char *how, uint64_t since);
const char *own_image(void);

#define EVENT_PROCESS_CREATE     1
#define EVENT_FILE_TIME          2
#define EVENT_NETWORK_CONNECT    3
#define EVENT_PROCESS_TERMINATE  5
#define EVENT_MODULE             6
#define EVENT_IMAGE_LOAD         7
#define EVENT_REMOTE_CODE        8
#define EVENT_RAW_DEVICE         9
#define EVENT_PROCESS_ACCESS    10
#define EVENT_FILE_CREATE       11
#define EVENT_SETTING_KEY       12
#define EVENT_SETTING_VALUE     13
#define EVENT_SETTING_NAME      14
#define EVENT_FILE_STREAM       15
#define EVENT_RULES             16
#define EVENT_PIPE_CREATE       17
#define EVENT_PIPE_CONNECT      18
#define EVENT_TRIGGER           19
#define EVENT_ACTION            20
#define EVENT_BINDING           21
#define EVENT_LOOKUP            22
#define EVENT_KEPT              23
#define EVENT_CLIPBOARD         24
#define EVENT_TAMPERING         25
#define EVENT_FILE_DELETE       26
#define EVENT_BLOCKED           27
#define EVENT_SHREDDING         28
#define EVENT_EXECUTABLE        29
#define EVENT_BPF              100

/* files.c */
void files_init(struct actor *a, const char *prefix); /* makes its directories */
void files_init_lower(const struct actor *a, const struct area *lower, unsigned area, const char *prefix);
void make_file_with(const struct actor *a, const struct area *where, const char *name,
		    const void *content, size_t n, mode_t mode);

bool place_unused(struct actor *a, struct place *ret); /* where nothing is; false: no name is free */

int unlink_somehow(struct actor *a, const struct place *p, const char **how);

/* system.c */
void system_init(const struct actor *a, const struct area *where); /* once, before there are workers */

/* settings.c: takes ten seconds. The folder is UNIT.service.d where units of systemd are. There must be a lens for these, as
 * which files *.conf are read there. */
void settings_run(const struct actor *a, const char *folder);

/* rules.c */
void rules_run(const struct actor *a, const char *konseki, const char *rules, const struct area *where);

/* clipboard.c: takes some seconds. Whoever runs it must be the user whose the X server with this number is. */
void clipboard_run(struct actor *a, unsigned number);

/* network.c */
void server_new(struct worker *w);        /* sockets of its network: not after it gave up privileges */
void server_start(struct actor *a);       /* forks it */
void server_stop(struct actor *a);

/* uring.c: submits one entry, waits for it, returns its result (-errno on failure). */
int uring_do(struct uring *u, const struct io_uring_sqe *entry);
