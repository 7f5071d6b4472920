/* SPDX-License-Identifier: MIT */
/* BPF programs loaded, and attached in the older way and the newer ones. What fails, and what only looks at programs
 * or makes maps, is none.
 *
 * judges 100
 * expect 100 BpfCommand=BPF_PROG_LOAD BpfProgramType=SOCKET_FILTER BpfProgramName=konseki_filter BpfProgramId=$filter
 * expect 100 BpfCommand=BPF_PROG_LOAD BpfProgramType=RAW_TRACEPOINT BpfProgramName=konseki_trace BpfProgramId=$trace
 * expect 100 BpfCommand=BPF_PROG_ATTACH BpfProgramType=RAW_TRACEPOINT BpfProgramName=konseki_trace BpfProgramId=0
 * expect 100 BpfCommand=BPF_PROG_LOAD BpfProgramType=CGROUP_SKB BpfProgramName=- BpfProgramId=$cgroup
 * expect 2 of 100 BpfCommand=BPF_PROG_ATTACH BpfProgramType=CGROUP_SKB BpfProgramName=- */
#include "behaviour.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADDRESS(of) ((uint64_t)(uintptr_t)(of))

static union bpf_attr attributes;

static int bpf(int command)
{
	return (int)syscall(SYS_bpf, command, &attributes, sizeof(attributes));
}

/* "return 1" */
static int load(enum bpf_prog_type type, const char *name, int kind)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	memset(&attributes, 0, sizeof(attributes));
	attributes.prog_type = type;
	attributes.expected_attach_type = (uint32_t)kind;
	attributes.insns = ADDRESS(code);
	attributes.insn_cnt = 2;
	attributes.license = ADDRESS("GPL");
	strcpy(attributes.prog_name, name);
	return bpf(BPF_PROG_LOAD);
}

/* The root of the cgroups, mounted for this process alone. */
static int cgroups(void)
{
	int context = (int)MUST(syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC));

	MUST(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	return (int)MUST(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
}

static void attach_to(int cgroup, int program)
{
	memset(&attributes, 0, sizeof(attributes));
	attributes.target_fd = (uint32_t)cgroup;
	attributes.attach_bpf_fd = (uint32_t)program;
	attributes.attach_type = BPF_CGROUP_INET_EGRESS;
	attributes.attach_flags = BPF_F_ALLOW_MULTI;
	MUST(bpf(BPF_PROG_ATTACH));
	attributes.attach_flags = 0;
	MUST(bpf(BPF_PROG_DETACH));
	memset(&attributes, 0, sizeof(attributes));
	attributes.link_create.prog_fd = (uint32_t)program;
	attributes.link_create.target_fd = (uint32_t)cgroup;
	attributes.link_create.attach_type = BPF_CGROUP_INET_EGRESS;
	MUST(bpf(BPF_LINK_CREATE));
}

static void none(void)
{
	memset(&attributes, 0, sizeof(attributes));
	attributes.map_type = BPF_MAP_TYPE_ARRAY;
	attributes.key_size = attributes.value_size = 4;
	attributes.max_entries = 1;
	MUST(bpf(BPF_MAP_CREATE));
	MUST(load(9999, "unknown", 0) < 0 ? 0 : -1);
}

void behave(int argc, char **argv)
{
	int trace, program;

	(void)argc, (void)argv;
	say("filter", "%ld", MUST(load(BPF_PROG_TYPE_SOCKET_FILTER, "konseki_filter", 0)));
	trace = (int)MUST(load(BPF_PROG_TYPE_RAW_TRACEPOINT, "konseki_trace", 0));
	say("trace", "%d", trace);
	memset(&attributes, 0, sizeof(attributes));
	attributes.raw_tracepoint.name = ADDRESS("sched_process_exit");
	attributes.raw_tracepoint.prog_fd = (uint32_t)trace;
	MUST(bpf(BPF_RAW_TRACEPOINT_OPEN));
	program = (int)MUST(load(BPF_PROG_TYPE_CGROUP_SKB, "", BPF_CGROUP_INET_EGRESS));
	say("cgroup", "%d", program);
	attach_to(cgroups(), program);
	none();
}
