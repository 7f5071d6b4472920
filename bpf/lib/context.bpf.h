/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What those who look into an incident ask besides who did what: where the process is, and which script an interpreter
 * runs. Read once for a process image, and only where Context is switched on (docs/formats/context.md). */
#pragma once
#include "emit.bpf.h"
#include "flavours.bpf.h"

const volatile bool context_wanted; /* the loader knows */

/* With these, paths and arguments a record is still smaller than KS_RECORD_MAX. */
#define SCRIPT_MAX       1024
#define CGROUP_LEVELS    12
#define CGROUP_NAME_SIZE 256

/* The parent of a node is behind another name from 6.15 on. */
static __always_inline const struct kernfs_node *kernfs_above(const struct kernfs_node *node)
{
	const struct kernfs_node___since_6_15 *now = (const void *)node;
	const struct kernfs_node___until_6_14 *old = (const void *)node;

	if (bpf_core_field_exists(now->__parent))
		return (const void *)PEEK(now, __parent);
	return (const void *)PEEK(old, parent);
}

/* The names of the control group (of version 2) and of those above it, but for the root, which has none. Names beyond
 * the levels we follow are "...". */
static __always_inline struct ks_text emit_cgroup(struct draft *d, const struct task_struct *task)
{
	const struct kernfs_node *node = PEEK(PEEK(PEEK(task, cgroups), dfl_cgrp), kn);
	__u32 at = d->size & (KS_RECORD_MAX - 1);
	struct ks_text t = { .off = at };

	for (__u32 i = 0; i < CGROUP_LEVELS; i++) {
		const struct kernfs_node *above = node ? kernfs_above(node) : NULL;
		long n;

		if (!above)
			break;
		at = d->size & (KS_RECORD_MAX - 1);
		n = bpf_probe_read_kernel_str(d->record + at, CGROUP_NAME_SIZE, PEEK(node, name));
		if (n < 0)
			break;
		d->size = at + bounded(n, 2 * CGROUP_NAME_SIZE);
		node = above;
	}
	if (node && kernfs_above(node)) {
		at = d->size & (KS_RECORD_MAX - 1);
		__builtin_memcpy(d->record + at, "...", 4);
		d->size = at + 4;
	}
	t.len = d->size - t.off;
	return t;
}

/* 0: the initial one. */
static __always_inline __u32 task_pid_ns(const struct task_struct *task)
{
	const struct pid *pid = PEEK(task, thread_pid);
	__u32 level = PEEK(pid, level);
	const struct upid *upid = (const void *)pid + bpf_core_field_offset(struct pid, numbers) +
				  (__u64)level * bpf_core_type_size(struct upid);

	return level ? PEEK(PEEK(upid, ns), ns.inum) : 0;
}

static __always_inline __u32 task_mnt_ns(const struct task_struct *task)
{
	return PEEK(PEEK(PEEK(task, nsproxy), mnt_ns), ns.inum);
}

/* The name under which a script was executed, as the kernel has it; empty: what runs is what was executed. */
static __always_inline struct ks_text emit_script(struct draft *d, const struct linux_binprm *bprm)
{
	__u32 at = d->size & (KS_RECORD_MAX - 1);
	struct ks_text t = { .off = at };
	long n;

	if (bprm->interp == bprm->filename)
		return t;
	n = bpf_probe_read_kernel_str(d->record + at, SCRIPT_MAX, bprm->filename);
	if (n <= 0)
		return t;
	t.len = bounded(n - 1, SCRIPT_MAX);
	d->size = at + t.len;
	return t;
}
