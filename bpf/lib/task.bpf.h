/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Who: the acting process as records name it. */
#pragma once
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "../../schema/wire.h"

#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD   0x00200000
#define TS_COMPAT    0x0002
#define UID_UNSET    0xffffffffu

/* Our own processes, by tgid: what they do to files and over the network are no events. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} ignored SEC(".maps");

static __always_inline bool is_ignored(const struct task_struct *task)
{
	__u32 tgid = task->tgid;

	return bpf_map_lookup_elem(&ignored, &tgid) != NULL;
}

/* What a process of ours starts is ours as well, from its first step on. */
static __always_inline void ignore_child(const struct task_struct *parent, const struct task_struct *child)
{
	__u32 tgid = child->tgid, on = 1;

	if (is_ignored(parent))
		bpf_map_update_elem(&ignored, &tgid, &on, BPF_ANY);
}

static __always_inline void ignore_no_more(const struct task_struct *task)
{
	__u32 tgid = task->tgid;

	if (is_ignored(task))
		bpf_map_delete_elem(&ignored, &tgid);
}

/* The ids are those of the initial namespaces. An io_uring worker has the tgid of the process that asked. */
static __always_inline void who_fill(struct ks_who *who, const struct task_struct *task)
{
	const struct cred *cred = task->cred;

	who->start_ns = task->group_leader->start_boottime;
	who->exec_id = task->self_exec_id;
	who->tgid = task->tgid;
	who->tid = task->pid;
	who->uid = cred->euid.val;
	who->gid = cred->egid.val;
}

/* How the current task came here: KS_F_IO_WORKER, KS_F_COMPAT. */
static __always_inline __u32 task_flags(const struct task_struct *task)
{
	if (task->flags & PF_IO_WORKER)
		return KS_F_IO_WORKER;
	return task->thread_info.status & TS_COMPAT ? KS_F_COMPAT : 0;
}

static __always_inline __u32 task_login_uid(const struct task_struct *task)
{
	return bpf_core_field_exists(task->loginuid) ? task->loginuid.val : UID_UNSET;
}

static __always_inline __u32 task_session_id(const struct task_struct *task)
{
	return bpf_core_field_exists(task->sessionid) ? task->sessionid : UID_UNSET;
}
