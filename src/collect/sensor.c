/* SPDX-License-Identifier: MIT */
#include "sensor.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "programs.h"
#include "sensor.skel.h"

#define RING_PROCESS_BYTES (1u << 20)
#define RING_EVENTS_BYTES  (32u << 20)
#define DRAFTS_PER_CPU     3 /* as in bpf/lib/emit.bpf.h */
#define KERNEL_BTF         "/sys/kernel/btf/vmlinux"

/* The maps that user space works with; those that only the programs know live as long as the programs. */
enum map { MAP_RING_PROCESS, MAP_RING_EVENTS, MAP_COUNTERS, MAP_WANTED, MAP_IGNORED, MAP_VERDICTS, MAP_DROPS,
	   MAP_GENERATIONS, MAP_MAPPED, MAP_COUNT };
static const char *const map_names[MAP_COUNT] = {
	"ring_process", "ring_events", "counters", "wanted_records", "ignored", "verdicts", "drops",
	"generations", "mapped_files",
};

/* What a former process tells the one that takes over: the first of the descriptors, a memory file. */
struct inheritance {
	uint32_t kind;
	uint32_t cpus;
	uint32_t ring_bytes[2];
	uint8_t has_program[PROGRAM_COUNT];
	uint8_t has_link[PROGRAM_COUNT];
};

struct sensor {
	enum kernel_kind kind;
	unsigned cpus;
	uint32_t ring_bytes[2];
	int inheritance;
	int first_snapshot; /* a memory file; -1: handed out, or there is none */
	int maps[MAP_COUNT];
	int programs[PROGRAM_COUNT]; /* -1: not on this kernel */
	int links[PROGRAM_COUNT];    /* -1: not attached */
	bool wanted[KS_RECORD_COUNT];
};

/* --- what must be there */

/* libbpf says in words what errno cannot: the latest of them is kept for the message. */
static char libbpf_words[300];

static int keep_words(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[sizeof(libbpf_words)];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	/* What comes later is only that loading failed; the cause stands in the first. */
	if (!libbpf_words[0])
		memcpy(libbpf_words, line, sizeof(line));
	return 0;
}

static bool has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};
	uint64_t effective, needed;

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
	needed = 1ull << CAP_BPF | 1ull << CAP_PERFMON | 1ull << CAP_NET_ADMIN;
	return effective & 1ull << CAP_SYS_ADMIN || (effective & needed) == needed;
}

static int check_kernel(struct err *e)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return err_set(e, ENOTSUP, "kernel release '%s' is not understood", u.release);
	if (major < 5 || (major == 5 && minor < 17))
		return err_set(e, EBADMSG,
			       "this kernel is %s; konseki needs Linux 5.17 or newer, as Debian 12 has it",
			       u.release);
	return 0;
}

static int check_btf(struct err *e)
{
	struct stat st;

	if (stat(KERNEL_BTF, &st) < 0 || st.st_size == 0)
		return err_set(e, EBADMSG,
			       "the kernel gives no type information (BTF): " KERNEL_BTF
			       " is missing or empty; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, "
			       "as those of Debian 12 are, and see that /sys is mounted");
	return 0;
}

static int check_lockdown(struct err *e)
{
	char mode[100] = "";
	OWNED_FD fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, mode, sizeof(mode) - 1) <= 0)
		return 0;
	if (strstr(mode, "[confidentiality]"))
		return err_set(e, EBADMSG,
			       "kernel lockdown is in confidentiality mode, which forbids programs in the "
			       "kernel to read its memory; boot with lockdown=integrity or none");
	return 0;
}

static int check_machine(struct err *e)
{
	int r = check_kernel(e);

	if (r == 0 && !has_capabilities())
		r = err_set(e, EBADMSG,
			    "watching the kernel needs root (or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN); "
			    "run it with sudo");
	if (r == 0)
		r = check_btf(e);
	if (r == 0)
		r = check_lockdown(e);
	return r;
}

/* Kernels before 5.11 charge maps against this limit, later ones do not: refused is no failure yet. */
static bool raise_memlock(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	return setrlimit(RLIMIT_MEMLOCK, &all) == 0;
}

static int load_failed(int code, bool memlock, struct err *e)
{
	if (code == EPERM)
		return err_set(e, EBADMSG,
			       "the kernel refuses BPF programs (EPERM)%s; a container, seccomp or a security "
			       "module forbids bpf(2): run konseki on the host. %s",
			       memlock ? "" : ", and RLIMIT_MEMLOCK could not be raised (CAP_SYS_RESOURCE)",
			       libbpf_words);
	if (code == ENOMEM)
		return err_set(e, EBADMSG, "no memory for the kernel's rings and tables%s. %s",
			       memlock ? "" : " (RLIMIT_MEMLOCK could not be raised: CAP_SYS_RESOURCE)",
			       libbpf_words);
	return err_set(e, code, "loading the kernel programs: %s", libbpf_words);
}

/* --- which kind of kernel, which hooks */

/* Only trying tells: a kernel may have everything built in and refuse all the same. */
static bool can_hook_functions(void)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = BPF_TRACE_FENTRY);
	OWNED_FD program = -1;
	OWNED_FD link = -1;
	int id = libbpf_find_vmlinux_btf_id("vfs_unlink", BPF_TRACE_FENTRY);

	if (id < 0)
		return false;
	o.attach_btf_id = (uint32_t)id;
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "konseki_probe", "Dual MIT/GPL", nothing,
				ARRAY_SIZE(nothing), &o);
	if (program < 0)
		return false;
	link = bpf_raw_tracepoint_open(NULL, program);
	return link >= 0;
}

/* Does this kernel have what the section names? */
static bool has_hook(const struct btf *btf, const char *section)
{
	const char *name = strchr(section, '/');
	char tracepoint[100];

	if (!name)
		return true;
	name++;
	if (strncmp(section, "tp_btf/", 7) == 0) {
		snprintf(tracepoint, sizeof(tracepoint), "btf_trace_%s", name);
		return btf__find_by_name_kind(btf, tracepoint, BTF_KIND_TYPEDEF) > 0;
	}
	if (strncmp(section, "fentry/", 7) == 0 || strncmp(section, "fexit/", 6) == 0 ||
	    strncmp(section, "fmod_ret/", 9) == 0)
		return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
	return true;
}

static bool runs_here(const struct program_row *row, enum kernel_kind kind)
{
	return row->where == EVERYWHERE ||
	       (row->where == FULL_ONLY) == (kind == KERNEL_FULL);
}

static int choose_programs(const struct sensor *s, struct sensor_bpf *skeleton, struct err *e)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return err_set(e, errno, "reading " KERNEL_BTF);
	for (unsigned i = 0; i < PROGRAM_COUNT; i++) {
		struct bpf_program *p =
			bpf_object__find_program_by_name(skeleton->obj, program_rows[i].name);

		bpf_program__set_autoload(p, runs_here(&program_rows[i], s->kind) &&
						     has_hook(btf, bpf_program__section_name(p)));
	}
	skeleton->rodata->kernel_has_casts =
		btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	skeleton->rodata->kernel_finds_tasks =
		btf__find_by_name_kind(btf, "bpf_task_from_vpid", BTF_KIND_FUNC) > 0;
	btf__free(btf);
	return 0;
}

/* --- loading */

static void set_dns_ports(const struct sensor_options *o, struct sensor_bpf *skeleton)
{
	bool any = false;

	for (unsigned i = 0; i < KS_DNS_PORTS; i++)
		any = any || o->dns_ports[i];
	if (any)
		memcpy((void *)skeleton->rodata->dns_ports, o->dns_ports, sizeof(o->dns_ports));
}

static struct bpf_map *map_of(const struct sensor_bpf *skeleton, enum map map)
{
	return bpf_object__find_map_by_name(skeleton->obj, map_names[map]);
}

static int size_maps(const struct sensor *s, struct sensor_bpf *skeleton)
{
	int r = bpf_map__set_max_entries(map_of(skeleton, MAP_RING_PROCESS),
					 s->ring_bytes[KS_RING_PROCESS]);

	if (r == 0)
		r = bpf_map__set_max_entries(map_of(skeleton, MAP_RING_EVENTS),
					     s->ring_bytes[KS_RING_EVENTS]);
	skeleton->rodata->ring_process_eighth = s->ring_bytes[KS_RING_PROCESS] / 8;
	skeleton->rodata->ring_events_eighth = s->ring_bytes[KS_RING_EVENTS] / 8;
	if (r == 0)
		r = bpf_map__set_max_entries(map_of(skeleton, MAP_COUNTERS), s->cpus);
	if (r == 0)
		r = bpf_map__set_max_entries(skeleton->maps.drafts, s->cpus * DRAFTS_PER_CPU);
	return r;
}

static int duplicate(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Keeps what is needed of a loaded skeleton, so that the rest (some megabytes) can go. */
static int keep_descriptors(struct sensor *s, const struct sensor_bpf *skeleton, struct err *e)
{
	for (unsigned i = 0; i < MAP_COUNT; i++) {
		s->maps[i] = duplicate(bpf_map__fd(map_of(skeleton, i)));
		if (s->maps[i] < 0)
			return err_set(e, errno, "keeping map %s", map_names[i]);
	}
	for (unsigned i = 0; i < PROGRAM_COUNT; i++) {
		const struct bpf_program *p =
			bpf_object__find_program_by_name(skeleton->obj, program_rows[i].name);

		if (!bpf_program__autoload(p))
			continue;
		s->programs[i] = duplicate(bpf_program__fd(p));
		if (s->programs[i] < 0)
			return err_set(e, errno, "keeping program %s", program_rows[i].name);
	}
	return 0;
}

static int load(struct sensor *s, const struct sensor_options *o, struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, open_options, .btf_custom_path = o->btf);
	bool memlock = raise_memlock();
	struct sensor_bpf *skeleton;
	int r;

	libbpf_words[0] = '\0';
	skeleton = sensor_bpf__open_opts(&open_options);
	if (!skeleton)
		return err_set(e, errno, "reading the kernel programs: %s", libbpf_words);
	r = size_maps(s, skeleton);
	if (r < 0)
		err_set(e, -r, "sizes of the kernel's rings and tables");
	else
		r = choose_programs(s, skeleton, e);
	set_dns_ports(o, skeleton);
	skeleton->rodata->context_wanted = o->context;
	if (r == 0) {
		r = sensor_bpf__load(skeleton);
		if (r < 0)
			r = load_failed(-r, memlock, e);
		else
			r = keep_descriptors(s, skeleton, e);
	}
	sensor_bpf__destroy(skeleton);
	return r;
}

static struct sensor *sensor_empty(void)
{
	struct sensor *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->inheritance = -1;
	s->first_snapshot = -1;
	memset(s->maps, 0xff, sizeof(s->maps));
	memset(s->programs, 0xff, sizeof(s->programs));
	memset(s->links, 0xff, sizeof(s->links));
	return s;
}

/* Processes last, so that nobody acts of whom nothing was told. */
bool sensor_detach_next(struct sensor *s)
{
	for (unsigned i = PROGRAM_COUNT; i > 0; i--) {
		int link = MOVE_FD(s->links[i - 1]), program = MOVE_FD(s->programs[i - 1]);

		fd_drop(&link);
		fd_drop(&program);
		if (link >= 0 || program >= 0)
			return true;
	}
	return false;
}

void sensor_free(struct sensor *s)
{
	if (!s)
		return;
	while (sensor_detach_next(s))
		;
	for (unsigned i = 0; i < MAP_COUNT; i++)
		fd_drop(&s->maps[i]);
	fd_drop(&s->inheritance);
	fd_drop(&s->first_snapshot);
	free(s);
}

int sensor_new(const struct sensor_options *o, struct sensor **ret, struct err *e)
{
	OWNED(sensor) s = NULL;
	int r = check_machine(e);

	if (r < 0)
		return r;
	s = sensor_empty();
	if (!s)
		return err_set(e, ENOMEM, "sensor");
	libbpf_set_print(keep_words);
	s->kind = can_hook_functions() ? KERNEL_FULL : KERNEL_TRACEPOINTS;
	s->cpus = (unsigned)libbpf_num_possible_cpus();
	s->ring_bytes[KS_RING_PROCESS] =
		o->ring_process_bytes ? o->ring_process_bytes : RING_PROCESS_BYTES;
	s->ring_bytes[KS_RING_EVENTS] = o->ring_events_bytes ? o->ring_events_bytes : RING_EVENTS_BYTES;
	memcpy(s->wanted, o->wanted, sizeof(s->wanted));
	r = load(s, o, e);
	if (r < 0)
		return r;
	*ret = MOVE(s);
	return 0;
}

/* --- attaching */

/* The root of the version 2 hierarchy, as a descriptor: where it is mounted, else mounted for ourselves
 * and seen by nobody. */
static int cgroup_root(void)
{
	char line[4096], where[4096];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int context, mounted, fd = -1;

	while (f && fd < 0 && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*s %*s %*s / %4095s", where) == 1)
			fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f)
		fclose(f);
	if (fd >= 0)
		return fd;
	context = (int)syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC);
	if (context < 0)
		return -1;
	mounted = -1;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	close(context);
	return mounted;
}

static int attach_one(int program, enum bpf_attach_type type)
{
	OWNED_FD root = -1;

	switch (type) {
	case BPF_TRACE_RAW_TP:
	case BPF_TRACE_FENTRY:
	case BPF_TRACE_FEXIT:
	case BPF_MODIFY_RETURN:
		return bpf_raw_tracepoint_open(NULL, program);
	case BPF_TRACE_ITER:
		return bpf_link_create(program, 0, type, NULL);
	default:
		root = cgroup_root();
		return root < 0 ? -errno : bpf_link_create(program, root, type, NULL);
	}
}

static bool is_needed(const struct sensor *s, const struct program_row *row)
{
	if (!row->records)
		return true;
	for (unsigned record = 0; record < KS_RECORD_COUNT; record++)
		if (s->wanted[record] && row->records & BIT(record))
			return true;
	return false;
}

/* Copies what runs into memory, now. Without it the snapshot is of the moment when it is asked for. */
static int take_snapshot(int link)
{
	OWNED_FD rows = bpf_iter_create(link);
	OWNED_FD copy = memfd_create("konseki-snapshot", MFD_CLOEXEC);
	char buffer[65536];
	ssize_t n = -1;

	if (rows < 0 || copy < 0)
		return -1;
	while ((n = read(rows, buffer, sizeof(buffer))) > 0)
		if (write(copy, buffer, (size_t)n) != n)
			return -1;
	return n == 0 && lseek(copy, 0, SEEK_SET) == 0 ? MOVE_FD(copy) : -1;
}

/* A hook that cannot be attached is one that this kernel does not have: sensor_how() shows it. But without
 * the processes nothing can be told. */
static int attach_needed(struct sensor *s, struct err *e)
{
	for (unsigned i = 0; i < PROGRAM_COUNT; i++) {
		const struct program_row *row = &program_rows[i];

		if (s->programs[i] < 0 || s->links[i] >= 0 || !is_needed(s, row))
			continue;
		s->links[i] = attach_one(s->programs[i], row->attach);
		if (s->links[i] < 0 && !row->records)
			return err_set(e, errno, "attaching %s", row->name);
		/* From here on births are told, and ends not yet: whose end will be told is in the snapshot or
		 * has its birth in the ring. */
		if (row->attach == BPF_TRACE_ITER)
			s->first_snapshot = take_snapshot(s->links[i]);
	}
	return 0;
}

static void detach_unneeded(struct sensor *s)
{
	for (unsigned i = 0; i < PROGRAM_COUNT; i++)
		if (!is_needed(s, &program_rows[i])) {
			fd_drop(&s->links[i]);
			s->links[i] = -1;
		}
}

static int tell_wanted(const struct sensor *s, struct err *e)
{
	for (uint32_t record = 0; record < KS_RECORD_COUNT; record++) {
		uint32_t on = s->wanted[record];

		if (bpf_map_update_elem(s->maps[MAP_WANTED], &record, &on, BPF_ANY) < 0)
			return err_set(e, errno, "telling the kernel side what is wanted");
	}
	return 0;
}

int sensor_attach(struct sensor *s, struct err *e)
{
	int r = tell_wanted(s, e);

	return r < 0 ? r : attach_needed(s, e);
}

int sensor_want(struct sensor *s, const bool wanted[KS_RECORD_COUNT], struct err *e)
{
	uint64_t generation;
	uint32_t key = 0;
	int r;

	memcpy(s->wanted, wanted, sizeof(s->wanted));
	if (bpf_map_lookup_elem(s->maps[MAP_GENERATIONS], &key, &generation) == 0) {
		generation++;
		bpf_map_update_elem(s->maps[MAP_GENERATIONS], &key, &generation, BPF_ANY);
	}
	r = sensor_attach(s, e);
	detach_unneeded(s);
	return r;
}

int sensor_ignore(struct sensor *s, uint32_t tgid, struct err *e)
{
	uint32_t on = 1;

	if (bpf_map_update_elem(s->maps[MAP_IGNORED], &tgid, &on, BPF_ANY) < 0)
		return err_set(e, errno, "telling the kernel side to ignore process %u", tgid);
	return 0;
}

/* --- asking */

bool sensor_was_mapped(const struct sensor *s, uint32_t dev, uint64_t ino)
{
	struct ks_file_key key = { .ino = ino, .dev = dev };
	uint32_t value;

	return bpf_map_lookup_elem(s->maps[MAP_MAPPED], &key, &value) == 0;
}

enum kernel_kind sensor_kind(const struct sensor *s)
{
	return s->kind;
}

static int program_index(const char *name)
{
	for (unsigned i = 0; i < PROGRAM_COUNT; i++)
		if (strcmp(program_rows[i].name, name) == 0)
			return (int)i;
	return -1;
}

const char *sensor_how(const struct sensor *s, unsigned record)
{
	for (unsigned i = 0; i < ARRAY_SIZE(how_rows); i++)
		if (how_rows[i].record == record &&
		    (!how_rows[i].program || s->programs[program_index(how_rows[i].program)] >= 0))
			return how_rows[i].words;
	return NULL;
}

int sensor_snapshot(struct sensor *s, struct err *e)
{
	int fd = MOVE_FD(s->first_snapshot);

	if (fd < 0)
		fd = bpf_iter_create(s->links[program_index("PROCESS_ALIVE__iter")]);
	if (fd < 0)
		return err_set(e, errno, "reading the running processes");
	return fd;
}

void sensor_handles(const struct sensor *s, struct sensor_handles *h)
{
	*h = (struct sensor_handles){
		.ring = { [KS_RING_PROCESS] = s->maps[MAP_RING_PROCESS],
			  [KS_RING_EVENTS] = s->maps[MAP_RING_EVENTS] },
		.ring_bytes = { s->ring_bytes[0], s->ring_bytes[1] },
		.counters = s->maps[MAP_COUNTERS],
		.verdicts = s->maps[MAP_VERDICTS],
		.drops = s->maps[MAP_DROPS],
		.cpus = s->cpus,
	};
}

/* --- from one process to the next */

static int write_inheritance(const struct sensor *s)
{
	struct inheritance in = {
		.kind = s->kind,
		.cpus = s->cpus,
		.ring_bytes = { s->ring_bytes[0], s->ring_bytes[1] },
	};

	for (unsigned i = 0; i < PROGRAM_COUNT; i++) {
		in.has_program[i] = s->programs[i] >= 0;
		in.has_link[i] = s->links[i] >= 0;
	}
	return pwrite(s->inheritance, &in, sizeof(in), 0) == sizeof(in) ? 0 : -EIO;
}

int sensor_descriptors(struct sensor *s, int fds[SENSOR_FDS_MAX])
{
	int count = 0;

	_Static_assert(1 + MAP_COUNT + 2 * PROGRAM_COUNT <= SENSOR_FDS_MAX, "SENSOR_FDS_MAX");
	if (s->inheritance < 0)
		s->inheritance = memfd_create("konseki-sensor", MFD_CLOEXEC);
	if (s->inheritance < 0 || write_inheritance(s) < 0)
		return -errno;
	fds[count++] = s->inheritance;
	for (unsigned i = 0; i < MAP_COUNT; i++)
		fds[count++] = s->maps[i];
	for (unsigned i = 0; i < PROGRAM_COUNT; i++) {
		if (s->programs[i] >= 0)
			fds[count++] = s->programs[i];
		if (s->links[i] >= 0)
			fds[count++] = s->links[i];
	}
	return count;
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

int sensor_adopt_take(const struct sensor_options *o, const int *fds, int count, struct sensor **ret,
		      struct err *e)
{
	struct inheritance in;
	int needed = 1 + MAP_COUNT;
	const int *next = fds;
	struct sensor *s;

	if (count < 1 || pread(fds[0], &in, sizeof(in), 0) != sizeof(in)) {
		close_all(fds, count);
		return err_set(e, EBADMSG, "the sensor left behind is not of this version");
	}
	for (unsigned i = 0; i < PROGRAM_COUNT; i++)
		needed += !!in.has_program[i] + !!in.has_link[i];
	s = count == needed ? sensor_empty() : NULL;
	if (!s) {
		close_all(fds, count);
		return err_set(e, count == needed ? ENOMEM : EBADMSG,
			       "taking over the sensor: %d descriptors, %d needed", count, needed);
	}
	s->kind = in.kind;
	s->cpus = in.cpus;
	memcpy(s->ring_bytes, in.ring_bytes, sizeof(s->ring_bytes));
	memcpy(s->wanted, o->wanted, sizeof(s->wanted));
	s->inheritance = *next++;
	for (unsigned i = 0; i < MAP_COUNT; i++)
		s->maps[i] = *next++;
	for (unsigned i = 0; i < PROGRAM_COUNT; i++) {
		if (in.has_program[i])
			s->programs[i] = *next++;
		if (in.has_link[i])
			s->links[i] = *next++;
	}
	libbpf_set_print(keep_words);
	*ret = s;
	return 0;
}
