/* SPDX-License-Identifier: MIT */
/* The kernel programs, one row each: where it runs, what it attaches to, which records need it. A program
 * whose hook this kernel does not have (its section names it) is left out. */
#pragma once
#include <linux/bpf.h>
#include <stdint.h>

#include "../../schema/wire.h"

enum where { EVERYWHERE, TRACEPOINTS_ONLY, FULL_ONLY };

struct program_row {
	const char *name;
	enum where where;
	enum bpf_attach_type attach; /* BPF_TRACE_*: through BTF; else to the root of the cgroups */
	uint64_t records;            /* bits: 1 << KS_*; 0: always */
};

#define BIT(record) (1ull << (record))
_Static_assert(KS_RECORD_COUNT <= 64, "records has 64 bits");
#define FILES       (BIT(KS_FILE_CREATE) | BIT(KS_FILE_DELETE_DETECTED) | BIT(KS_LINK_CHANGED))
#define PIPES       (BIT(KS_PIPE_CREATE) | BIT(KS_PIPE_CONNECT))
#define SPECIAL     (BIT(KS_RAW_ACCESS) | PIPES)
#define TOUCHING    (FILES | BIT(KS_FILE_TIME) | BIT(KS_FILE_STREAM) | BIT(KS_PIPE_CREATE))

#define NETWORK     (BIT(KS_NETWORK_CONNECT) | BIT(KS_DNS_QUERY))
#define REACHES     (BIT(KS_PROCESS_ACCESS) | BIT(KS_REMOTE_THREAD) | BIT(KS_PROCESS_TAMPERING))

/* In the order in which they are attached: processes first, so that no event comes of an unknown one. Between
 * those that tell who is born and all others, the first snapshot is taken (sensor_attach). */
static const struct program_row program_rows[] = {
	{ "PROCESS_FORK__tp", EVERYWHERE, BPF_TRACE_RAW_TP, 0 },
	{ "PROCESS_CREATE__tp", EVERYWHERE, BPF_TRACE_RAW_TP, 0 },
	{ "PROCESS_ALIVE__iter", EVERYWHERE, BPF_TRACE_ITER, 0 },
	{ "PROCESS_TERMINATE__tp", EVERYWHERE, BPF_TRACE_RAW_TP, 0 },
	/* What notes comes after what forgets. */
	{ "CALL__exit", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP,
	  FILES | SPECIAL | BIT(KS_FILE_TIME) | BIT(KS_FILE_STREAM) | BIT(KS_EBPF) | BIT(KS_NETWORK_CONNECT) |
		  BIT(KS_IMAGE_LOAD) | REACHES },
	{ "FILE_REQUEST__complete", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP,
	  FILES | SPECIAL | REACHES | BIT(KS_FILE_STREAM) },
	{ "FILE_TOUCH__set", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP, TOUCHING },
	{ "FILE_TOUCH__exchange", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP, TOUCHING },
	{ "FILE_TOUCH__skip", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP, TOUCHING },
	{ "FILE_UNLINK__done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_DELETE_DETECTED) | BIT(KS_LINK_CHANGED) },
	{ "FILE_UNLINK__intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_DELETE_DETECTED) | BIT(KS_LINK_CHANGED) },
	{ "FILE_RENAME__done", FULL_ONLY, BPF_TRACE_FEXIT, FILES },
	{ "FILE_RENAME__intent", FULL_ONLY, BPF_TRACE_FENTRY, FILES },
	{ "FILE_LINK__done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_CREATE) | BIT(KS_LINK_CHANGED) },
	{ "FILE_LINK__intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_CREATE) | BIT(KS_LINK_CHANGED) },
	{ "LINK_CHANGED__done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_LINK_CHANGED) },
	{ "LINK_CHANGED__intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_LINK_CHANGED) },
	{ "FILE_MKNOD__done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_CREATE) },
	{ "PIPE_CREATE__mknod", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_PIPE_CREATE) },
	{ "FILE_MKNOD__intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_CREATE) | BIT(KS_PIPE_CREATE) },
	{ "FILE_CREATE__open", FULL_ONLY, BPF_TRACE_FEXIT,
	  BIT(KS_FILE_CREATE) | BIT(KS_RAW_ACCESS) | BIT(KS_PIPE_CONNECT) },
	{ "FILE_CREATE__open_by_handle", FULL_ONLY, BPF_TRACE_FEXIT,
	  BIT(KS_FILE_CREATE) | BIT(KS_RAW_ACCESS) | BIT(KS_PIPE_CONNECT) },
	{ "FILE_TIME__done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_TIME) },
	{ "FILE_TIME__intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_TIME) },
	{ "FILE_TIME__clock_done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_TIME) },
	{ "FILE_TIME__clock_intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_TIME) },
	{ "FILE_TIME__adjust_done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_TIME) },
	{ "FILE_TIME__adjust_intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_TIME) },
	{ "FILE_TIME__clock_asked", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP, BIT(KS_FILE_TIME) },
	{ "FILE_STREAM__done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_STREAM) },
	{ "FILE_STREAM__intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_STREAM) },
	{ "FILE_STREAM__acl_done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_FILE_STREAM) },
	{ "FILE_STREAM__acl_intent", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_FILE_STREAM) },
	{ "DRIVER_LOAD__tp", EVERYWHERE, BPF_TRACE_RAW_TP, BIT(KS_DRIVER_LOAD) },
	{ "EBPF__done", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_EBPF) },
	{ "PIPE_CREATE__bind", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_PIPE_CREATE) },
	{ "PIPE_CONNECT__stream", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_PIPE_CONNECT) },
	{ "PIPE_CONNECT__datagram", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_PIPE_CONNECT) },
	/* Where what waits for the engine's word begins after its fate is watched. */
	{ "FILE_DELETE__unlink", FULL_ONLY, BPF_MODIFY_RETURN, BIT(KS_FILE_DELETE) },
	{ "FILE_DELETE__rename", FULL_ONLY, BPF_MODIFY_RETURN, BIT(KS_FILE_DELETE) },
	{ "FILE_BLOCK_SHREDDING__write", FULL_ONLY, BPF_MODIFY_RETURN, BIT(KS_FILE_BLOCK_SHREDDING) },
	/* What takes a connection out of the table of those that wait comes before what enters it. */
	{ "NETWORK_CONNECT__accept", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_NETWORK_CONNECT) },
	{ "NETWORK_CONNECT__sent", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP, BIT(KS_NETWORK_CONNECT) },
	{ "NETWORK_CONNECT__received", TRACEPOINTS_ONLY, BPF_TRACE_RAW_TP, BIT(KS_NETWORK_CONNECT) },
	{ "SOCKET__state", EVERYWHERE, BPF_TRACE_RAW_TP, NETWORK },
	{ "PACKET__egress", TRACEPOINTS_ONLY, BPF_CGROUP_INET_EGRESS, NETWORK },
	{ "PACKET__ingress", TRACEPOINTS_ONLY, BPF_CGROUP_INET_INGRESS, NETWORK },
	{ "NETWORK_CONNECT__udp4_send", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_NETWORK_CONNECT) },
	{ "NETWORK_CONNECT__udp6_send", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_NETWORK_CONNECT) },
	{ "NETWORK_CONNECT__udp_receive", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_NETWORK_CONNECT) },
	{ "DNS_PACKET__egress", FULL_ONLY, BPF_CGROUP_INET_EGRESS, BIT(KS_DNS_QUERY) },
	{ "DNS_PACKET__ingress", FULL_ONLY, BPF_CGROUP_INET_INGRESS, BIT(KS_DNS_QUERY) },
	{ "CONFIG_VALUE__sysctl", EVERYWHERE, BPF_CGROUP_SYSCTL, BIT(KS_CONFIG_VALUE) },
	{ "IMAGE_LOAD__loader", EVERYWHERE, BPF_TRACE_RAW_TP, BIT(KS_IMAGE_LOAD) },
	{ "IMAGE_LOAD__mapped", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_IMAGE_LOAD) },
	{ "ACCESS__traced", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__traced_compat", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__vectors_read", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__vectors_read_compat", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__vectors_written", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__vectors_written_compat", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__taken", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__taken_compat", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__target", FULL_ONLY, BPF_TRACE_FEXIT, REACHES },
	{ "ACCESS__open", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_PROCESS_ACCESS) },
	{ "ACCESS__written", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_REMOTE_THREAD) | BIT(KS_PROCESS_TAMPERING) },
	{ "TAMPERING__exec", EVERYWHERE, BPF_TRACE_RAW_TP, BIT(KS_PROCESS_TAMPERING) },
	{ "TAMPERING__link", FULL_ONLY, BPF_TRACE_FEXIT, BIT(KS_PROCESS_TAMPERING) },
	{ "TAMPERING__mapped", FULL_ONLY, BPF_TRACE_FENTRY, BIT(KS_PROCESS_TAMPERING) },
};
#define PROGRAM_COUNT (sizeof(program_rows) / sizeof(program_rows[0]))

/* What sensor_how() says: the first row whose program runs here. */
static const struct {
	unsigned record;
	const char *program; /* NULL: none is needed */
	const char *words;
} how_rows[] = {
	{ KS_PROCESS_CREATE, "PROCESS_CREATE__tp", "tracepoint sched_process_exec" },
	{ KS_PROCESS_TERMINATE, "PROCESS_TERMINATE__tp", "tracepoint sched_process_exit" },
	{ KS_PROCESS_FORK, "PROCESS_FORK__tp", "tracepoint sched_process_fork" },
	{ KS_PROCESS_ALIVE, "PROCESS_ALIVE__iter", "task iterator" },
	{ KS_FILE_CREATE, "FILE_CREATE__open", "function exits of open, rename, link and mknod" },
	{ KS_FILE_CREATE, "FILE_TOUCH__set", "tracepoints of system call exit and inode change time" },
	{ KS_FILE_CREATE, "CALL__exit", "tracepoint of system call exit (open only)" },
	{ KS_FILE_DELETE_DETECTED, "FILE_UNLINK__done", "function exits of unlink and rename" },
	{ KS_FILE_DELETE_DETECTED, "FILE_TOUCH__set",
	  "tracepoints of system call exit and inode change time" },
	{ KS_FILE_TIME, "FILE_TIME__done", "functions that set times and the clock" },
	{ KS_FILE_TIME, "FILE_TOUCH__set", "tracepoints of system call exit and inode change time" },
	{ KS_RAW_ACCESS, "FILE_CREATE__open", "function exit of open" },
	{ KS_RAW_ACCESS, "CALL__exit", "tracepoint of system call exit" },
	{ KS_PIPE_CREATE, "PIPE_CREATE__bind", "function exits of mknod and unix_bind" },
	{ KS_PIPE_CREATE, "FILE_TOUCH__set", "tracepoints of system call exit and inode change time" },
	{ KS_PIPE_CREATE, "CALL__exit", "tracepoint of system call exit (no FIFO)" },
	{ KS_PIPE_CONNECT, "PIPE_CONNECT__stream", "function exits of open and unix connect" },
	{ KS_PIPE_CONNECT, "CALL__exit", "tracepoint of system call exit" },
	{ KS_FILE_STREAM, "FILE_STREAM__done", "function exits of vfs_setxattr and vfs_set_acl" },
	{ KS_FILE_STREAM, "FILE_TOUCH__set", "tracepoints of system call exit and inode change time" },
	{ KS_DRIVER_LOAD, "DRIVER_LOAD__tp", "tracepoint module_load" },
	{ KS_EBPF, "EBPF__done", "function exit of bpf" },
	{ KS_EBPF, "CALL__exit", "tracepoint of system call exit" },
	{ KS_FILE_EXE_DETECTED, NULL, "fanotify: what was written and is closed" },
	{ KS_FILE_BLOCK_EXE, NULL, "fanotify: removed when it is closed, not executed" },
	{ KS_FILE_DELETE, "FILE_DELETE__unlink", "as FileDeleteDetected; deletions wait until the file is held" },
	{ KS_FILE_BLOCK_SHREDDING, "FILE_BLOCK_SHREDDING__write", "write permission, which waits for the rules" },
	{ KS_FILE_DELETE, NULL, "as FileDeleteDetected; files written since, held open" },
	{ KS_NETWORK_CONNECT, "NETWORK_CONNECT__udp_receive",
	  "socket states, exit of accept, functions of UDP" },
	{ KS_NETWORK_CONNECT, "NETWORK_CONNECT__received",
	  "socket states, exit of accept, packets of UDP" },
	/* Files that are settings are read by the helper, when fanotify or the hooks of files say so. */
	{ KS_CONFIG_KEY, "PROCESS_FORK__tp", "fanotify and hooks of files, read by the helper" },
	{ KS_CONFIG_RENAME, "PROCESS_FORK__tp", "as 12" },
	{ KS_CLIPBOARD, "PROCESS_FORK__tp", "X servers and Wayland compositors of users, read by the helper" },
	{ KS_TRIGGER_FILTER, "PROCESS_FORK__tp", "as 12" },
	{ KS_TRIGGER_CONSUMER, "PROCESS_FORK__tp", "as 12" },
	{ KS_TRIGGER_BINDING, "PROCESS_FORK__tp", "as 12" },
	{ KS_CONFIG_VALUE, "CONFIG_VALUE__sysctl", "as 12; cgroup program for sysctl" },
	{ KS_NETWORK_CONNECT, "SOCKET__state", "socket states (TCP only)" },
	{ KS_DNS_QUERY, "DNS_PACKET__ingress", "packets from and to the ports of name servers" },
	{ KS_DNS_QUERY, "PACKET__ingress", "packets from and to the ports of name servers" },
	{ KS_IMAGE_LOAD, "IMAGE_LOAD__mapped", "mappings as the kernel tells them to perf" },
	{ KS_PROCESS_ACCESS, "ACCESS__target", "exit of ptrace, process_vm_*, pidfd_getfd and open" },
	{ KS_PROCESS_ACCESS, "CALL__exit", "tracepoint of system call exit" },
	{ KS_REMOTE_THREAD, "ACCESS__target", "exit of ptrace and process_vm_writev, writes to mem" },
	{ KS_REMOTE_THREAD, "CALL__exit", "tracepoint of system call exit" },
	{ KS_PROCESS_TAMPERING, "TAMPERING__exec", "exec, mappings, exe link, writes to code" },
	{ KS_IMAGE_LOAD, "CALL__exit", "tracepoint of system call exit, the mapping itself" },
};
