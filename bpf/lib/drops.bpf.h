/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the rules can never keep, as the engine has found out and written into a map that it has mapped: of a process
 * image, which record types; of connections, which ports. What is dropped here is not produced. */
#pragma once
#include <bpf/bpf_helpers.h>

#include "../../schema/wire.h"
#include "emit.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ks_drops);
} drops SEC(".maps");

#define RECORD_BIT(record) (1ull << (record))

static __always_inline struct ks_drops *drops_all(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&drops, &zero);
}

/* Does nobody want any of these types of this process image? The engine may be writing the slot on another CPU: the
 * count in front is odd then, or another one behind (loads and stores stay in order on the machines this runs on). */
static __always_inline bool is_unwanted_of(__u32 tgid, __u64 start_ns, __u64 exec_id, __u64 records)
{
	struct ks_drops *all = drops_all();
	volatile struct ks_drop *v;
	__u32 before;
	__u64 never;

	if (!all)
		return false;
	v = &all->image[tgid & (KS_DROPS - 1)];
	if (v->tgid != tgid)
		return false;
	before = v->writing;
	never = v->never;
	if ((never & records) != records || before & 1)
		return false;
	return v->start_ns == start_ns && v->exec_id == exec_id && v->tgid == tgid && v->writing == before;
}

static __always_inline bool is_unwanted_who(const struct ks_who *who, __u64 records)
{
	return is_unwanted_of(who->tgid, who->start_ns, who->exec_id, records);
}

/* An io_uring worker has the ids of the process it works for. */
static __always_inline bool is_unwanted(const struct task_struct *task, __u64 records)
{
	return is_unwanted_of(task->tgid, task->group_leader->start_boottime, task->self_exec_id, records);
}

/* The same where the operation ends with it. */
static __always_inline bool is_spared(const struct task_struct *task, __u64 records)
{
	if (!is_unwanted(task, records))
		return false;
	count_spared();
	return true;
}

static __always_inline bool is_spared_who(const struct ks_who *who, __u64 records)
{
	if (!is_unwanted_who(who, records))
		return false;
	count_spared();
	return true;
}

static __always_inline bool is_unwanted_port(__u16 source, __u16 destination)
{
	struct ks_drops *all = drops_all();

	return all && (all->source_ports[source >> 6] >> (source & 63) & 1 ||
		       all->destination_ports[destination >> 6] >> (destination & 63) & 1);
}
