/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Event 2: the time of an object was set by hand, or the clock set back. */
#pragma once
#include "file.bpf.h"

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

struct time_event {
	struct place place;
	const struct inode *inode; /* as it is now; may be a pointer that was only read */
	struct moment before;
	__u32 what; /* KS_TIME_OBJECT or KS_TIME_OBJECT_BEFORE */
	__u32 flags;
};

__noinline int time_set(struct time_event *e)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_FILE_TIME *rec;
	struct ks_who who = {};
	struct moment now;
	struct draft *d;
	__u32 flags;

	if (!e || !wanted(KS_FILE_TIME) || is_spared(task, RECORD_BIT(KS_FILE_TIME)))
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_FILE_TIME, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = e->flags | task_flags(task);
	now = inode_mtime(e->inode);
	rec->what = e->what;
	rec->seconds = now.seconds;
	rec->ns = now.ns;
	rec->seconds_before = e->before.seconds;
	rec->ns_before = e->before.ns;
	rec->path = emit_place(d, &e->place, &flags);
	rec->hdr.flags = flags;
	emit_end(d, KS_FILE_TIME);
	return 0;
}

/* --- the clock */

/* How far TAI is ahead of the time since boot: it jumps when the clock is set, and only then. (It is the clock in
 * question but for leap seconds. Kernels before 6.1 show it to no program.) */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} clock_before SEC(".maps");

/* A slew of NTP adds up between two readings; nobody sets a clock back by so little. */
#define CLOCK_STEP_MIN_NS 100000

static __always_inline __u64 clock_ahead(__u64 *tai)
{
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_ktime_get_tai_ns))
		return 0;
	*tai = bpf_ktime_get_tai_ns();
	return *tai - bpf_ktime_get_boot_ns();
}

/* The current task may be about to set the clock. */
static __always_inline void clock_note(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 tai = 0, *before;

	if (task->flags & PF_KTHREAD || is_ignored(task))
		return;
	before = bpf_task_storage_get(&clock_before, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (before)
		*before = clock_ahead(&tai);
	else
		count_missed();
}

/* It has done so. */
static __always_inline void clock_was_set(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 *before = bpf_task_storage_get(&clock_before, task, NULL, 0), tai = 0, after;
	struct ks_rec_FILE_TIME rec = {};
	struct ks_who who = {};

	if (!before || !*before)
		return;
	after = clock_ahead(&tai);
	rec.seconds_before = *before - after;
	*before = 0;
	if ((__s64)rec.seconds_before < CLOCK_STEP_MIN_NS)
		return;
	who_fill(&who, task);
	header_fill(&rec.hdr, KS_FILE_TIME, &who);
	rec.hdr.flags = task_flags(task);
	rec.what = KS_TIME_CLOCK;
	rec.seconds = tai;
	emit_fixed(&rec.hdr, KS_FILE_TIME, sizeof(rec));
}
