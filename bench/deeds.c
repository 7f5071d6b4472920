/* SPDX-License-Identifier: MIT */
/* One deed of each kind that is an event of its own, done many times: `deeds KIND N DIRECTORY` prints how many nanoseconds one
 * took, setting up excluded. What the other program of this folder does (work.c) is not repeated here. */
#include "doing.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define PAGE 4096

/* What a kind sets up for its deeds. The working directory is DIRECTORY. */
static int fd;
static pid_t child;
static dev_t device;
static char name[64];

static int new_file(const char *path)
{
	return (int)MUST(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
}

static void have_file(void)
{
	fd = new_file("file");
}

static void set_times(long i)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000000000 + i } };

	MUST(futimens(fd, times));
}

static void map_new_file(long i)
{
	int file;
	void *at;

	snprintf(name, sizeof(name), "file%ld", i);
	file = new_file(name);
	MUST(ftruncate(file, PAGE));
	at = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
	MUST(at == MAP_FAILED ? -1 : 0);
	MUST(munmap(at, PAGE));
	MUST(close(file));
	MUST(unlink(name));
}

static void have_child(void)
{
	child = (pid_t)MUST(fork());
	if (child == 0)
		for (;;)
			pause();
}

static void read_memory(long i)
{
	char bytes[8];
	struct iovec to = { bytes, sizeof(bytes) }, from = { name, sizeof(bytes) };

	(void)i;
	MUST(process_vm_readv(child, &to, 1, &from, 1, 0));
}

static void have_traced_child(void)
{
	have_child();
	MUST(ptrace(PTRACE_ATTACH, child, NULL, NULL));
	MUST(waitpid(child, NULL, 0));
}

static void write_code(long i)
{
	void *at = (void *)((uintptr_t)have_child & ~(uintptr_t)7);

	(void)i;
	MUST(ptrace(PTRACE_POKETEXT, child, at, *(long *)at));
}

static void have_device(void)
{
	unsigned major_number = 0, minor_number = 0;
	char line[100];
	FILE *partitions = fopen("/proc/partitions", "re");

	while (partitions && fgets(line, sizeof(line), partitions))
		if (sscanf(line, " %u %u", &major_number, &minor_number) == 2)
			break;
	if (partitions)
		fclose(partitions);
	device = makedev(major_number, minor_number);
	MUST(mknod("device", S_IFBLK | 0600, device));
}

static void open_device(long i)
{
	(void)i;
	MUST(close((int)MUST(open("device", O_RDONLY | O_CLOEXEC))));
}

static void have_setting(void)
{
	MUST(unshare(CLONE_NEWUTS));
	fd = (int)MUST(open("/proc/sys/kernel/domainname", O_WRONLY | O_CLOEXEC));
}

static void change_setting(long i)
{
	int n = snprintf(name, sizeof(name), "bench%ld.example", i);

	MUST(pwrite(fd, name, (size_t)n, 0));
}

static void set_attribute(long i)
{
	MUST(fsetxattr(fd, "user.bench", &i, sizeof(i), 0));
}

static void make_fifo(long i)
{
	(void)i;
	MUST(mkfifo("fifo", 0600));
	MUST(unlink("fifo"));
}

static struct sockaddr_un pipe_address = { .sun_family = AF_UNIX, .sun_path = "socket" };

static void have_listener(void)
{
	fd = (int)MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(bind(fd, (struct sockaddr *)&pipe_address, sizeof(pipe_address)));
	MUST(listen(fd, 8));
}

static void connect_pipe(long i)
{
	int s = (int)MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	(void)i;
	MUST(connect(s, (struct sockaddr *)&pipe_address, sizeof(pipe_address)));
	MUST(close((int)MUST(accept4(fd, NULL, NULL, SOCK_CLOEXEC))));
	MUST(close(s));
}

/* "a.bench" is 192.0.2.1: what stands behind the number of the question, and behind that in the answer. */
static const uint8_t question[] = "\1\0\0\1\0\0\0\0\0\0\1a\5bench\0\0\1\0\1";
static const uint8_t answer[] = "\201\200\0\1\0\1\0\0\0\0\1a\5bench\0\0\1\0\1\300\14\0\1\0\1\0\0\0\74\0\4\300\0\2\1";

static void answer_questions(int server)
{
	uint8_t message[2 + sizeof(answer) - 1];
	struct sockaddr_in from;
	socklen_t size;

	for (;;) {
		size = sizeof(from);
		MUST(recvfrom(server, message, sizeof(message), 0, (struct sockaddr *)&from, &size));
		memcpy(message + 2, answer, sizeof(answer) - 1);
		MUST(sendto(server, message, sizeof(message), 0, (struct sockaddr *)&from, size));
	}
}

static void have_name_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53) };
	int server = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	inet_pton(AF_INET, "127.53.53.1", &at.sin_addr);
	MUST(bind(server, (struct sockaddr *)&at, sizeof(at)));
	child = (pid_t)MUST(fork());
	if (child == 0)
		answer_questions(server);
	fd = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(connect(fd, (struct sockaddr *)&at, sizeof(at)));
}

static void look_up(long i)
{
	uint8_t message[2 + sizeof(question) - 1] = { (uint8_t)(i >> 8), (uint8_t)i }, reply[512];

	memcpy(message + 2, question, sizeof(question) - 1);
	MUST(send(fd, message, sizeof(message), 0));
	MUST(recv(fd, reply, sizeof(reply), 0));
}

static void have_program_in_memory(void)
{
	int program = (int)MUST(open("/bin/true", O_RDONLY | O_CLOEXEC));

	fd = (int)MUST(memfd_create("bench", MFD_CLOEXEC));
	while (MUST(sendfile(fd, program, NULL, 1 << 20)) > 0)
		;
}

static void run_from_memory(long i)
{
	pid_t pid = (pid_t)MUST(fork());
	char *const arguments[] = { name, NULL }, *const nothing[] = { NULL };

	(void)i;
	if (pid == 0) {
		syscall(SYS_execveat, fd, "", arguments, nothing, AT_EMPTY_PATH);
		_exit(127);
	}
	MUST(waitpid(pid, NULL, 0));
}

static void make_link(long i)
{
	(void)i;
	MUST(symlink("nowhere", "link"));
	MUST(unlink("link"));
}

static void load_program(long i)
{
	(void)i;
	MUST(close(load_nothing(BPF_PROG_TYPE_SOCKET_FILTER)));
}

static const struct kind {
	const char *name;
	void (*set_up)(void); /* NULL: nothing */
	void (*deed)(long i);
} kinds[] = {
	{ "times", have_file, set_times },
	{ "mapped", NULL, map_new_file },
	{ "code", have_traced_child, write_code },
	{ "device", have_device, open_device },
	{ "memory", have_child, read_memory },
	{ "setting", have_setting, change_setting },
	{ "attribute", have_file, set_attribute },
	{ "fifo", NULL, make_fifo },
	{ "pipe", have_listener, connect_pipe },
	{ "look-up", have_name_server, look_up },
	{ "in-memory", have_program_in_memory, run_from_memory },
	{ "link", NULL, make_link },
	{ "program", NULL, load_program },
};

static double time_of(const struct kind *k, long n)
{
	double began;

	if (k->set_up)
		k->set_up();
	began = now_ns();
	for (long i = 0; i < n; i++)
		k->deed(i);
	return now_ns() - began;
}

int main(int argc, char **argv)
{
	long n = argc == 4 ? atol(argv[2]) : 0;
	double took = -1;

	if (n > 0)
		MUST(chdir(argv[3]));
	for (size_t i = 0; n > 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0)
			took = time_of(&kinds[i], n);
	if (child > 0)
		kill(child, SIGKILL);
	if (took < 0) {
		fprintf(stderr, "usage: deeds KIND N DIRECTORY\n");
		return 2;
	}
	printf("%.1f\n", took / (double)n);
	return 0;
}
