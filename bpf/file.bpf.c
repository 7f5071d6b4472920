/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Files, on kernels that let functions be hooked. The security hooks stand where the object and the mount by
 * which it was reached are known, the vfs functions where the outcome is: one notes, the other tells. That
 * they agree on the dentry keeps out what a stacked file system does to the one beneath it. System calls of
 * every kind and io_uring come by here. */
#include "vmlinux.h"

#include "lib/file.bpf.h"
#include "lib/special.bpf.h"

/* What the current task is about to do. Pointers are compared, never followed: what they pointed to may be
 * gone. */
struct intent {
	__u64 dentry; /* 0: nothing */
	__u64 mnt;
	struct ks_file_id gone; /* the file that will be no more, and how many names it has left then */
	__u32 goes;             /* its type; 0: there is none that counts */
	__u32 flags;            /* of rename */
	__u64 other_mnt;        /* of rename: where the second goes by an exchange */
	__u32 moves;            /* the type of what comes there; 0: it does not count */
	__u64 from;             /* of rename: the directory in which it was, */
	struct name name;       /* and its name there */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct intent);
} intents SEC(".maps");

static __always_inline struct intent *intent_begin(const struct dentry *dentry, const struct path *dir)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct intent *in;

	if (task->flags & PF_KTHREAD || is_ignored(task) || is_spared(task, NAME_RECORDS))
		return NULL;
	in = bpf_task_storage_get(&intents, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!in) {
		count_missed();
		return NULL;
	}
	in->dentry = (__u64)dentry;
	in->mnt = (__u64)dir->mnt;
	in->goes = 0;
	return in;
}

/* What was noted about this dentry, if the function that acted on it succeeded; noted no more. */
static __always_inline struct intent *intent_end(const struct dentry *dentry, int error)
{
	struct intent *in = bpf_task_storage_get(&intents, bpf_get_current_task_btf(), NULL, 0);

	if (!in || in->dentry != (__u64)dentry)
		return NULL;
	in->dentry = 0;
	return error ? NULL : in;
}

static __always_inline __u32 counted_type(const struct inode *inode)
{
	return is_counted(inode->i_mode) ? inode->i_mode & S_IFMT : 0;
}

static __always_inline void intent_replaces(struct intent *in, const struct dentry *dentry)
{
	const struct inode *inode = dentry->d_inode;

	if (!inode)
		return;
	in->goes = counted_type(inode);
	if (in->goes) {
		file_id_fill(&in->gone, inode);
		in->gone.nlink--;
	}
}

/* --- unlink */

SEC("fentry/security_path_unlink")
int BPF_PROG(FILE_UNLINK__intent, const struct path *dir, struct dentry *dentry)
{
	struct intent *in = intent_begin(dentry, dir);

	if (in)
		intent_replaces(in, dentry);
	return 0;
}

SEC("fexit/vfs_unlink")
int BPF_PROG(FILE_UNLINK__done, void *idmap, struct inode *dir, struct dentry *dentry, void *delegated,
	     int error)
{
	struct intent *in = intent_end(dentry, error);

	if (in && in->goes) {
		struct file_event e = {
			.place = { .dentry = dentry, .mnt = (const void *)in->mnt },
			.gone = in->gone,
			.how = KS_HOW_UNLINK,
			.type = in->goes,
		};

		file_went(&e);
	}
	return 0;
}

/* --- rename */

SEC("fentry/security_path_rename")
int BPF_PROG(FILE_RENAME__intent, const struct path *old_dir, struct dentry *old_dentry,
	     const struct path *new_dir, struct dentry *new_dentry, unsigned int flags)
{
	const struct inode *moved = old_dentry->d_inode, *replaced = new_dentry->d_inode;
	struct intent *in;

	if (moved == replaced) /* two names of one file: nothing will happen */
		return 0;
	in = intent_begin(old_dentry, new_dir);
	if (!in)
		return 0;
	in->moves = counted_type(moved);
	in->flags = flags;
	in->other_mnt = (__u64)old_dir->mnt;
	in->from = (__u64)old_dir->dentry;
	if (wanted(KS_CONFIG_RENAME))
		name_keep(&in->name, old_dentry);
	intent_replaces(in, new_dentry);
	return 0;
}

/* By now the dentries have changed places: the old one stands under the new name. */
SEC("fexit/vfs_rename")
int BPF_PROG(FILE_RENAME__done, struct renamedata *rd, int error)
{
	struct dentry *moved = rd->old_dentry, *other = rd->new_dentry;
	struct intent *in = intent_end(moved, error);
	struct file_event e = {};
	bool exchanged;

	if (!in)
		return 0;
	exchanged = in->flags & RENAME_EXCHANGE;
	e.place.dentry = moved;
	e.place.mnt = (const void *)in->mnt;
	if (in->goes && !exchanged) {
		e.gone = in->gone;
		e.how = KS_HOW_REPLACE;
		e.type = in->goes;
		file_went(&e);
	}
	e.how = KS_HOW_RENAME;
	if (in->moves) {
		e.type = in->moves;
		e.inode = moved->d_inode;
		e.from.name = in->name.bytes;
		e.from.name_length = in->name.length;
		e.from.dentry = (const void *)in->from; /* whoever called vfs_rename() holds it */
		e.from.mnt = (const void *)in->other_mnt;
		file_came(&e);
	}
	if (in->goes && exchanged) {
		e.from = e.place;
		e.type = in->goes;
		e.place.dentry = other;
		e.place.mnt = (const void *)in->other_mnt;
		e.inode = other->d_inode;
		file_came(&e);
	}
	return 0;
}

/* --- link and mknod */

SEC("fentry/security_path_link")
int BPF_PROG(FILE_LINK__intent, struct dentry *old_dentry, const struct path *new_dir,
	     struct dentry *new_dentry)
{
	if (counted_type(old_dentry->d_inode))
		intent_begin(new_dentry, new_dir);
	return 0;
}

SEC("fexit/vfs_link")
int BPF_PROG(FILE_LINK__done, struct dentry *old_dentry, void *idmap, struct inode *dir,
	     struct dentry *new_dentry, void *delegated, int error)
{
	struct intent *in = intent_end(new_dentry, error);

	if (in) {
		struct file_event e = {
			.place = { .dentry = new_dentry, .mnt = (const void *)in->mnt },
			.inode = old_dentry->d_inode,
			.how = KS_HOW_LINK,
			.type = counted_type(old_dentry->d_inode),
		};

		file_came(&e);
	}
	return 0;
}

/* mknod(2) of a regular file; an open comes by the first of the two only. */
SEC("fentry/security_path_mknod")
int BPF_PROG(FILE_MKNOD__intent, const struct path *dir, struct dentry *dentry)
{
	intent_begin(dentry, dir);
	return 0;
}

SEC("fexit/vfs_create")
int BPF_PROG(FILE_MKNOD__done, void *idmap, struct inode *dir, struct dentry *dentry, unsigned short mode,
	     bool exclusive, int error)
{
	struct intent *in = intent_end(dentry, error);

	if (in) {
		struct file_event e = {
			.place = { .dentry = dentry, .mnt = (const void *)in->mnt },
			.inode = dentry->d_inode,
			.how = KS_HOW_CREATE,
		};

		file_came(&e);
	}
	return 0;
}

SEC("fentry/security_path_symlink")
int BPF_PROG(LINK_CHANGED__intent, const struct path *dir, struct dentry *dentry)
{
	intent_begin(dentry, dir);
	return 0;
}

SEC("fexit/vfs_symlink")
int BPF_PROG(LINK_CHANGED__done, void *idmap, struct inode *dir, struct dentry *dentry)
{
	struct file_event e = { .place = { .dentry = dentry }, .how = KS_HOW_CREATE, .type = S_IFLNK };
	__u64 error = -1;
	struct intent *in;

	bpf_get_func_ret(ctx, &error); /* newer kernels pass one argument more */
	in = intent_end(dentry, (int)error);
	if (!in)
		return 0;
	e.place.mnt = (const void *)in->mnt;
	file_came(&e);
	return 0;
}

SEC("fexit/vfs_mknod")
int BPF_PROG(PIPE_CREATE__mknod, void *idmap, struct inode *dir, struct dentry *dentry, unsigned short mode)
{
	struct special_event e = { .place = { .dentry = dentry } };
	__u64 error = -1;
	struct intent *in;

	bpf_get_func_ret(ctx, &error); /* newer kernels pass one argument more */
	if ((mode & S_IFMT) != S_IFIFO)
		return 0;
	in = intent_end(dentry, (int)error);
	if (!in)
		return 0;
	e.place.mnt = (const void *)in->mnt;
	endpoint_created(&e);
	return 0;
}

/* --- open */

static __always_inline void open_returned(const struct open_flags *op, const struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct inode *inode;
	struct file_event e = {};
	bool created;

	if ((__u64)file >= ERR_MIN)
		return;
	inode = file->f_inode;
	if (!is_regular(inode)) {
		if (!(task->flags & PF_KTHREAD) && !is_ignored(task))
			special_opened(file, inode, inode->i_mode & S_IFMT, 0);
		return;
	}
	created = file->f_mode & FMODE_CREATED;
	if (!created && (op->open_flag & (O_TRUNC | O_PATH | TMPFILE_FLAG)) != O_TRUNC)
		return;
	if (!created && is_pseudo(inode))
		return;
	if (task->flags & PF_KTHREAD || is_ignored(task))
		return;
	e.place.dentry = file->f_path.dentry;
	e.place.mnt = file->f_path.mnt;
	e.inode = inode;
	e.how = created ? KS_HOW_CREATE : KS_HOW_TRUNCATE;
	file_came(&e);
}

SEC("fexit/do_filp_open")
int BPF_PROG(FILE_CREATE__open, int at, void *name, const struct open_flags *op, struct file *file)
{
	open_returned(op, file);
	return 0;
}

SEC("fexit/do_file_open_root")
int BPF_PROG(FILE_CREATE__open_by_handle, const struct path *root, const char *name,
	     const struct open_flags *op, struct file *file)
{
	open_returned(op, file);
	return 0;
}
