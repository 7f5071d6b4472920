/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Unix sockets, times, the clock and BPF programs, on kernels that let functions be hooked. */
#include "vmlinux.h"

#include "lib/bpf_programs.bpf.h"
#include "lib/special.bpf.h"
#include "lib/times.bpf.h"

/* --- Unix sockets */

static __always_inline bool concerns_nobody(void)
{
	const struct task_struct *task = bpf_get_current_task_btf();

	return task->flags & PF_KTHREAD || is_ignored(task);
}

SEC("fexit/unix_bind")
int BPF_PROG(PIPE_CREATE__bind, struct socket *socket, void *address, int length, int error)
{
	if (!error && !concerns_nobody())
		socket_bound(socket->sk, 0);
	return 0;
}

SEC("fexit/unix_stream_connect")
int BPF_PROG(PIPE_CONNECT__stream, struct socket *socket, void *address, int length, int how, int error)
{
	if (!error && !concerns_nobody())
		socket_connected(socket->sk, 0);
	return 0;
}

SEC("fexit/unix_dgram_connect")
int BPF_PROG(PIPE_CONNECT__datagram, struct socket *socket, void *address, int length, int how, int error)
{
	if (!error && !concerns_nobody())
		socket_connected(socket->sk, 0);
	return 0;
}

/* --- times */

/* What it was before, of the inode that the current task is about to change. */
struct time_intent {
	__u64 inode;
	struct moment before;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct time_intent);
} time_intents SEC(".maps");

static __always_inline bool is_explicit(const struct timespec64 *time)
{
	long ns = BPF_CORE_READ(time, tv_nsec); /* the second of an array: further than a pointer with a type may see */

	return ns != UTIME_NOW && ns != UTIME_OMIT;
}

static __always_inline bool sets_by_hand(const struct timespec64 *times)
{
	return times && (is_explicit(times) || is_explicit(times + 1));
}

SEC("fentry/vfs_utimes")
int BPF_PROG(FILE_TIME__intent, const struct path *path, struct timespec64 *times)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct inode *inode = path->dentry->d_inode;
	struct time_intent *in;

	if (!sets_by_hand(times) || concerns_nobody())
		return 0;
	in = bpf_task_storage_get(&time_intents, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!in) {
		count_missed();
		return 0;
	}
	in->inode = (__u64)inode;
	in->before = inode_mtime(inode);
	return 0;
}

SEC("fexit/vfs_utimes")
int BPF_PROG(FILE_TIME__done, const struct path *path, struct timespec64 *times, int error)
{
	struct time_intent *in = bpf_task_storage_get(&time_intents, bpf_get_current_task_btf(), NULL, 0);
	struct time_event e = { .what = KS_TIME_OBJECT_BEFORE };

	e.inode = path->dentry->d_inode;
	if (!in || in->inode != (__u64)e.inode)
		return 0;
	in->inode = 0;
	if (error)
		return 0;
	e.before = in->before;
	e.place.dentry = path->dentry;
	e.place.mnt = path->mnt;
	time_set(&e);
	return 0;
}

/* --- the clock */

SEC("fentry/do_settimeofday64")
int FILE_TIME__clock_intent(void *ctx)
{
	clock_note();
	return 0;
}

SEC("fexit/do_settimeofday64")
int FILE_TIME__clock_done(void *ctx)
{
	clock_was_set();
	return 0;
}

/* May add an offset at once (ADJ_SETOFFSET); mostly it does not. */
SEC("fentry/do_adjtimex")
int FILE_TIME__adjust_intent(void *ctx)
{
	clock_note();
	return 0;
}

SEC("fexit/do_adjtimex")
int FILE_TIME__adjust_done(void *ctx)
{
	clock_was_set();
	return 0;
}

/* --- BPF programs */

/* Whoever asks, by system call or from a program: __sys_bpf(command, attributes, size). The attributes are a pointer and
 * a flag, two arguments to us. */
SEC("fexit/__sys_bpf")
int EBPF__done(unsigned long long *ctx)
{
	struct bpf_call c = { .command = ctx[0], .attributes = (const void *)ctx[1], .from_kernel = ctx[2] & 1 };
	__u64 result = -1;

	bpf_get_func_ret(ctx, &result);
	c.result = result;
	if (!concerns_nobody())
		bpf_called(&c);
	return 0;
}
