/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Extended attributes, on kernels that let functions be hooked. The kernel sets some by itself, as when overlayfs
 * copies a file: what counts is what a system call or io_uring asked for, and of stacked file systems the topmost. */
#include "vmlinux.h"

#include "lib/mounts.bpf.h"
#include "lib/syscall.bpf.h"
#include "lib/xattr.bpf.h"

struct xattr_intent {
	__u64 dentry; /* 0: nothing */
	__u64 depth;
	/* Here, for want of room on the stack. */
	struct stream_event event;
	struct mount_search by;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct xattr_intent);
} xattr_intents SEC(".maps");

/* What the current task is doing, if that is setting an attribute; else its kind is another. */
static __always_inline struct call xattr_call(const struct task_struct *task)
{
	struct call call = {};
	const struct io_kiocb *request;

	if (!(task->flags & PF_IO_WORKER))
		return call_of(task, (const void *)bpf_task_pt_regs((void *)task));
	request = request_of_worker(task);
	if (request)
		call.kind = request_kind(request);
	return call;
}

/* By which mount: behind the descriptor it is known, else the caller's path helps to find it. */
static __always_inline void xattr_place(const struct task_struct *task, const struct dentry *dentry,
					struct xattr_intent *in)
{
	const struct pt_regs *regs = (const void *)bpf_task_pt_regs((void *)task);
	bool by_worker = task->flags & PF_IO_WORKER;
	struct call call = xattr_call(task);
	const struct file *file;

	in->event.place.dentry = dentry;
	in->event.place.mnt = NULL;
	in->by.sb = dentry->d_sb;
	in->by.start = task->fs->pwd.mnt;
	in->by.user_path = NULL;
	if (!by_worker && call.kind == FXATTR) {
		file = file_of(task, argument(task, regs, 0));
		if (file && PEEK(file, f_path.dentry) == dentry) {
			in->event.place.mnt = PEEK(file, f_path.mnt);
			return;
		}
	} else if (!by_worker) {
		in->by.user_path = (const void *)argument(task, regs, call.at);
	}
	find_mount(&in->event.place, &in->by);
}

static __always_inline int xattr_begins(const struct dentry *dentry)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 depth = dentry->d_sb->s_stack_depth;
	struct xattr_intent *in;

	if (task->flags & PF_KTHREAD || is_ignored(task) || !sets_xattr(xattr_call(task).kind))
		return 0;
	in = bpf_task_storage_get(&xattr_intents, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!in) {
		count_missed();
		return 0;
	}
	if (in->dentry && depth < in->depth)
		return 0; /* what a stacked file system does beneath */
	in->dentry = (__u64)dentry;
	in->depth = depth;
	xattr_place(task, dentry, in);
	return 0;
}

static __always_inline int xattr_ends(const struct dentry *dentry, const void *name, const void *value,
				      __u32 length, int error)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct xattr_intent *in = bpf_task_storage_get(&xattr_intents, (void *)task, NULL, 0);

	if (!in || in->dentry != (__u64)dentry)
		return 0;
	in->dentry = 0;
	if (error)
		return 0;
	in->event.name = name;
	in->event.value = value;
	in->event.value_length = length;
	in->event.inode = dentry->d_inode;
	stream_set(&in->event);
	return 0;
}

SEC("fentry/vfs_setxattr")
int BPF_PROG(FILE_STREAM__intent, void *idmap, struct dentry *dentry)
{
	return xattr_begins(dentry);
}

SEC("fexit/vfs_setxattr")
int BPF_PROG(FILE_STREAM__done, void *idmap, struct dentry *dentry, const char *name, const void *value,
	     unsigned long size, int flags, int error)
{
	__u64 bytes = 0;

	bpf_get_func_arg(ctx, 3, &bytes); /* 6.1 refuses to read a pointer to const void */
	return xattr_ends(dentry, name, (const void *)bytes, size, error);
}

/* Access control lists have a way of their own since 6.2. */
SEC("fentry/vfs_set_acl")
int BPF_PROG(FILE_STREAM__acl_intent, void *idmap, struct dentry *dentry)
{
	return xattr_begins(dentry);
}

SEC("fexit/vfs_set_acl")
int BPF_PROG(FILE_STREAM__acl_done, void *idmap, struct dentry *dentry, const char *name, void *acl, int error)
{
	return xattr_ends(dentry, name, NULL, 0, error);
}
