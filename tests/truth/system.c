/* SPDX-License-Identifier: MIT */
/* Operations on the system itself. What the ledger says of them: a block device opened, by whatever node, is a
 * RawAccessRead; a setting below /proc/sys written is a RegistryEvent; a BPF program loaded or attached an eBPFEvent; a
 * kernel module that begins to run a DriverLoad, which names no process. */
#include "truth.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/* --- Block devices. --- */

static struct {
	dev_t number;      /* 0: this machine has none */
	bool may_be_written; /* it is ours */
} device;

/* Over a file of ours, where this kernel has such devices (guest.py loads their module); gone when the last process that
 * has it open is. */
static bool make_loop_device(const struct actor *a, const struct area *where)
{
	struct loop_config over = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop;
	char disk[PATH_MAX], node[32], content[4096] = "";
	uint64_t since = now();
	struct stat s;

	snprintf(node, sizeof(node), "/dev/loop%d", control < 0 ? 0 : ioctl(control, LOOP_CTL_GET_FREE));
	if (control < 0 || (loop = open(node, O_RDWR | O_CLOEXEC)) < 0) /* which stays open */
		return false;
	ledger_file(a, EVENT_RAW_DEVICE, "setup", node, since);
	make_file_with(a, where, "disk", content, sizeof(content), 0600);
	path_join(disk, where->access, "disk");
	over.fd = (unsigned)MUST(open(disk, O_RDWR | O_CLOEXEC));
	device.may_be_written = ioctl(loop, LOOP_CONFIGURE, &over) == 0; /* else somebody was faster */
	MUST(close((int)over.fd));
	MUST(close(control));
	MUST(fstat(loop, &s));
	device.number = s.st_rdev;
	return device.may_be_written;
}

/* The first of those that are there: it is only ever opened for reading, and nothing is read. */
static void find_block_device(void)
{
	char line[100];
	unsigned major, minor;
	FILE *partitions = fopen("/proc/partitions", "re");

	device.number = 0;
	while (partitions && !device.number && fgets(line, sizeof(line), partitions))
		if (sscanf(line, " %u %u", &major, &minor) == 2)
			device.number = makedev(major, minor);
	if (partitions)
		fclose(partitions);
}

static bool act_raw_device(struct actor *a, const char *name)
{
	static const int flags[] = { O_RDONLY, O_RDONLY | O_NONBLOCK, O_WRONLY, O_RDWR };
	int how = flags[choose(a, device.may_be_written ? ARRAY_SIZE(flags) : 2)] | O_CLOEXEC, fd;
	struct io_uring_sqe e = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .open_flags = (unsigned)how };
	bool by_uring = choose(a, 3) == 0;
	uint64_t since = now();
	struct statvfs fs;
	struct place p;

	if (!device.number || !place_unused(a, &p))
		return false;
	if (mknodat(p.directory, p.name, S_IFBLK | 0600, device.number) < 0 && errno == EPERM)
		return false;
	MUST(fstatvfs(p.directory, &fs));
	e.addr = (uintptr_t)p.path;
	MUST(close((int)MUST(open(p.path, O_PATH | O_CLOEXEC)))); /* is none */
	fd = by_uring ? uring_do(&a->ring, &e) : open(p.path, how);
	if (fs.f_flag & ST_NODEV) {
		if (fd >= 0)
			NEVER("a device was opened where there are none");
	} else {
		MUST(close((int)MUST(fd)));
		ledger_file(a, EVENT_RAW_DEVICE, name, p.report, since);
	}
	MUST(unlink(p.path));
	return true;
}

/* --- Settings of the kernel: each worker has a UTS namespace of its own. --- */

#define SETTING "kernel/domainname"

static ssize_t write_somehow(struct actor *a, int fd, const char *value, size_t n, const char **how)
{
	struct iovec parts = { (void *)(uintptr_t)value, n };
	struct io_uring_sqe e = { .opcode = IORING_OP_WRITE, .fd = fd, .addr = (uintptr_t)value, .len = (unsigned)n };

	switch (choose(a, 4)) {
	case 0:
		*how = "a setting by write";
		return write(fd, value, n);
	case 1:
		*how = "a setting by writev";
		return writev(fd, &parts, 1);
	case 2:
		*how = "a setting by pwrite";
		return pwrite(fd, value, n, 0);
	default:
		*how = "a setting by io_uring";
		return uring_do(&a->ring, &e);
	}
}

static bool act_setting(struct actor *a, const char *name)
{
	char value[32];
	int fd = openat(proc_directory(), "sys/" SETTING, O_RDWR | O_CLOEXEC);
	uint64_t since = now();
	size_t n;

	if (a->worker->unprivileged) {
		if (fd >= 0 || errno != EACCES)
			NEVER("a setting was opened by somebody who may not");
		return true;
	}
	MUST(fd);
	MUST(read(fd, value, sizeof(value))); /* is none */
	MUST(lseek(fd, 0, SEEK_SET));
	n = (size_t)snprintf(value, sizeof(value), "truth%llu.example", (unsigned long long)choose(a, 1000));
	if (MUST(write_somehow(a, fd, value, n, &name)) != (long)n)
		NEVER("a setting was written in part");
	ledger_setting(a, &(struct difference){ EVENT_SETTING_VALUE, "SetValue", "/proc/sys/" SETTING, value }, false,
		       name, since);
	MUST(close(fd));
	return true;
}

/* --- BPF programs. --- */

#define ADDRESS(of) ((uint64_t)(uintptr_t)(of))

static int bpf(int command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

/* "return 0" */
static int load_program(enum bpf_prog_type type, const char *name)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attributes = { .prog_type = type, .insns = ADDRESS(code), .insn_cnt = ARRAY_SIZE(code),
				      .license = ADDRESS("GPL") };

	strcpy(attributes.prog_name, name);
	return bpf(BPF_PROG_LOAD, &attributes);
}

static bool act_bpf_filter(struct actor *a, const char *name)
{
	uint64_t since = now();
	int program = load_program(BPF_PROG_TYPE_SOCKET_FILTER, "truth_filter");

	if (program < 0 && errno == EPERM) /* in a user namespace */
		return true;
	MUST(program);
	ledger_bpf(a, "BPF_PROG_LOAD", "SOCKET_FILTER", "truth_filter", program, name, since);
	MUST(close(program));
	return true;
}

static bool act_bpf_attached(struct actor *a, const char *name)
{
	uint64_t since = now();
	int program = load_program(BPF_PROG_TYPE_RAW_TRACEPOINT, "truth_trace");
	union bpf_attr attributes = { .raw_tracepoint = { .name = ADDRESS("sched_process_exit") } };

	if (program < 0 && errno == EPERM)
		return true;
	MUST(program);
	ledger_bpf(a, "BPF_PROG_LOAD", "RAW_TRACEPOINT", "truth_trace", program, name, since);
	attributes.raw_tracepoint.prog_fd = (uint32_t)program;
	since = now();
	MUST(close((int)MUST(bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes))));
	ledger_bpf(a, "BPF_PROG_ATTACH", "RAW_TRACEPOINT", "truth_trace", 0, name, since);
	MUST(close(program));
	return true;
}

/* --- Kernel modules: one that does nothing, where there is one beside the generator. --- */

static struct {
	char path[PATH_MAX];
	int fd; /* -1: none */
	pthread_mutex_t *loading; /* shared: a module is there once */
} module = { .fd = -1 };

static void find_module(void)
{
	pthread_mutexattr_t shared;

	strcpy(module.path, own_image());
	*strrchr(module.path, '/') = 0;
	path_join(module.path, module.path, "dummy.ko");
	module.fd = open(module.path, O_RDONLY | O_CLOEXEC);
	module.loading = mmap(NULL, sizeof(*module.loading), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (module.loading == MAP_FAILED)
		MUST(-1);
	pthread_mutexattr_init(&shared);
	pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(module.loading, &shared);
}

static bool act_module(struct actor *a, const char *name)
{
	uint64_t since;
	int done;

	if (module.fd < 0)
		return false;
	pthread_mutex_lock(module.loading);
	since = now();
	done = (int)syscall(SYS_finit_module, module.fd, "numdummies=0", 0);
	if (done < 0 && errno != EPERM)
		MUST(done);
	if (done == 0) {
		ledger_module(a, module.path, name, since);
		MUST(syscall(SYS_delete_module, "dummy", O_NONBLOCK));
	}
	pthread_mutex_unlock(module.loading);
	return true;
}

void system_init(const struct actor *a, const struct area *where)
{
	if (!make_loop_device(a, where))
		find_block_device();
	find_module();
}

const struct operation system_operations[] = {
	{ "a raw device", 30, act_raw_device },
	{ "a setting of the kernel", 40, act_setting },
	{ "a BPF program", 20, act_bpf_filter },
	{ "a BPF program attached", 10, act_bpf_attached },
	{ "a kernel module", 10, act_module },
};
const size_t system_operation_count = ARRAY_SIZE(system_operations);
