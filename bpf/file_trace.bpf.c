/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Files, on kernels that allow tracepoints only. Opens are seen when the call returns, by the file behind
 * the descriptor. What changes names is seen where the kernel sets the change time of the inodes: there the
 * file still has its old names, which are noted; when the call returns, those that are gone or elsewhere tell
 * what happened. What a stacked file system does to the one beneath it is passed over: of the file systems that
 * were touched, the call was about the topmost. (Not the last one: a tmpfs beneath touches a deleted file once
 * more when it lets go of it.) */
#include "vmlinux.h"

#include "lib/access.bpf.h"
#include "lib/bpf_programs.bpf.h"
#include "lib/file.bpf.h"
#include "lib/image.bpf.h"
#include "lib/mounts.bpf.h"
#include "lib/network.bpf.h"
#include "lib/special.bpf.h"
#include "lib/syscall.bpf.h"
#include "lib/times.bpf.h"
#include "lib/xattr.bpf.h"

#define FILES        4 /* noted of one operation: what is moved and replaced, of two stacked file systems */
#define DIRECTORIES  4
#define ALIASES      4 /* names in use of one file */
#define ALIASES_READ 4096
#define CHILDREN_READ 4096

#define AT_FDCWD (-100)

struct alias {
	__u64 dentry;
	__u64 parent;
	__u64 name_hash; /* and length */
};

/* A file whose change time was set, as it was then. Pointers are compared; followed are only those of what
 * the file system cannot have let go. */
struct touched {
	__u64 inode;
	__u64 sb;
	struct ks_file_id id;
	struct alias aliases[ALIASES];
	__u32 alias_count;
	__u32 type;
	struct name name; /* of the first alias */
};

struct operation {
	__u64 sb; /* the topmost that was touched, of equal ones the last */
	__u64 sb_depth;
	__u64 kind;
	__u64 coming_below; /* the directory on overlayfs in which link makes a name; 0: none */
	struct name coming;
	__u64 directories[DIRECTORIES];
	__u32 directory_count;
	__u32 file_count;
	struct touched files[FILES];
};

/* Of system calls: what the task is doing. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct operation);
} operations SEC(".maps");

/* --- noting */

struct alias_walk {
	const struct hlist_node *node;
	struct touched *file;
	int used_from; /* count of a dentry that somebody uses */
};

/* In memory the dentry is all there is of a name, so the file system itself holds each. */
static __always_inline int dentry_used_from(const struct inode *inode)
{
	switch (PEEK(PEEK(inode, i_sb), s_magic)) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		return 2;
	}
	return 1;
}

static long alias_step(__u32 i, struct alias_walk *w)
{
	const struct hlist_node *node = w->node;
	struct touched *file = w->file;
	const struct dentry *dentry;
	__u32 n = file->alias_count;

	if (!node || n >= ALIASES)
		return 1;
	w->node = PEEK(node, next);
	dentry = dentry_of_alias(node);
	/* Whoever is about to change a name holds it. */
	if (PEEK(dentry, d_lockref.count) < w->used_from || !PEEK(dentry, d_hash.pprev))
		return 0;
	file->aliases[n & (ALIASES - 1)] = (struct alias){
		.dentry = (__u64)dentry,
		.parent = (__u64)PEEK(dentry, d_parent),
		.name_hash = PEEK(dentry, d_name.hash) |
			     (__u64)PEEK(dentry, d_name.len) << 32,
	};
	file->alias_count = n + 1;
	return 0;
}

/* The first alias's name is kept, since nobody keeps the dentry of what is deleted. */
static __always_inline void note_names(struct touched *file, const struct inode *inode)
{
	struct alias_walk w = {
		.node = PEEK(inode, i_dentry.first),
		.file = file,
		.used_from = dentry_used_from(inode),
	};

	file->alias_count = 0;
	bpf_loop(ALIASES_READ, alias_step, &w, 0);
	if (file->alias_count)
		name_keep(&file->name, (const void *)file->aliases[0].dentry);
}

/* Only the first touch of a file that has names shows it as it was. (The first of all may be that of an inode
 * which a lookup is just making.) */
static __always_inline void note_file(struct operation *op, const struct inode *inode)
{
	struct touched *file;

	for (__u32 i = 0; i < FILES; i++)
		if (i < op->file_count && op->files[i].inode == (__u64)inode && op->files[i].alias_count)
			return;
	file = &op->files[op->file_count & (FILES - 1)];
	op->file_count++;
	file->inode = (__u64)inode;
	file->sb = (__u64)PEEK(inode, i_sb);
	file->type = PEEK(inode, i_mode) & S_IFMT;
	file_id_read(&file->id, inode);
	/* The tracepoint may come after the time was set: then the former one is gone. */
	file->id.ctime_ns = 0;
	note_names(file, inode);
}

/* overlayfs does not touch a file of a lower layer that it hides or lets another one replace, and one of the
 * upper layer only when its name is gone. But its directory is touched before, and whoever deletes or renames
 * holds the dentry, so that it is among those of the directory that are in use.
 * What it links is not touched either, and the new dentry is dropped before the call returns. When the directory
 * is touched it is there, the newest of those in use, and has no file yet. */
struct child_walk {
	const struct hlist_node *node;
	struct operation *op;
};

static long child_step(__u32 i, struct child_walk *w)
{
	const struct hlist_node *node = w->node;
	const struct dentry *dentry;
	const struct inode *inode;

	if (!node)
		return 1;
	w->node = PEEK(node, next);
	dentry = dentry_of_sibling(node);
	if (PEEK(dentry, d_lockref.count) <= 0)
		return 0;
	inode = PEEK(dentry, d_inode);
	if (w->op->kind == LINK) {
		if (inode)
			return 0;
		name_keep(&w->op->coming, dentry);
		w->op->coming_below = (__u64)PEEK(dentry, d_parent);
		return 1; /* new children are put first */
	}
	if (inode && is_counted(PEEK(inode, i_mode)))
		note_file(w->op, inode);
	return 0;
}

static __always_inline void note_children(struct operation *op, const struct inode *directory)
{
	struct child_walk w = { .op = op };
	const struct hlist_node *alias = PEEK(directory, i_dentry.first);

	if (!alias)
		return;
	w.node = dentry_first_child(dentry_of_alias(alias));
	if (bpf_loop(CHILDREN_READ, child_step, &w, 0) == CHILDREN_READ && w.node)
		count_missed();
}

static __always_inline void note_directory(struct operation *op, const struct inode *inode)
{
	if (op->directory_count &&
	    op->directories[(op->directory_count - 1) & (DIRECTORIES - 1)] == (__u64)inode)
		return;
	op->directories[op->directory_count & (DIRECTORIES - 1)] = (__u64)inode;
	op->directory_count++;
	if (inode->i_sb->s_magic == OVERLAYFS_SUPER_MAGIC &&
	    (op->kind == RENAME || op->kind == UNLINK || op->kind == LINK))
		note_children(op, inode);
}

static __always_inline void note(struct operation *op, const struct inode *inode)
{
	__u64 depth = inode->i_sb->s_stack_depth;
	__u16 type = inode->i_mode & S_IFMT;

	/* A path through /proc makes inodes there, and proc calls itself stacked, so that nobody stacks on it. */
	if (inode->i_sb->s_magic == PROC_SUPER_MAGIC)
		return;
	if (depth >= op->sb_depth) {
		op->sb = (__u64)inode->i_sb;
		op->sb_depth = depth;
	}
	if (type == S_IFDIR)
		note_directory(op, inode);
	else if (is_counted(type) || type == 0 || (type == S_IFIFO && op->kind == MKNOD)) /* 0: being made */
		note_file(op, inode);
}

static __always_inline bool changes_names(__u8 kind)
{
	return kind == UNLINK || kind == RENAME || kind == LINK || kind == MKNOD || kind == SYMLINK || kind == OPENAT2;
}

/* What is done for io_uring changes names in worker threads only (it is never tried at once). They make no
 * system calls: the request is found by what the worker works on, and it is what things are noted for, since it
 * may be completed by another thread. */
#define IORING_OP_CONNECT  16
#define IORING_OP_OPENAT   18
#define IORING_OP_OPENAT2  28
#define IORING_OP_RENAMEAT 35
#define IORING_OP_UNLINKAT 36
#define IORING_OP_SYMLINKAT 38
#define IORING_OP_LINKAT   39
#define IORING_OP_FSETXATTR 41
#define IORING_OP_SETXATTR 42
#define IORING_OP_BIND     56
#define REQUEST_CQE_SKIP   (1u << 6)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64); /* the request */
	__type(value, struct operation);
} requests SEC(".maps");

/* Never written: what a new entry begins as. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct operation);
} blank_operation SEC(".maps");

static __always_inline __u8 request_kind(const struct io_kiocb *request)
{
	switch (PEEK(request, opcode)) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2: return OPENAT2;
	case IORING_OP_RENAMEAT: return RENAME;
	case IORING_OP_UNLINKAT: return UNLINK;
	case IORING_OP_SYMLINKAT: return SYMLINK;
	case IORING_OP_LINKAT: return LINK;
	case IORING_OP_CONNECT: return CONNECT;
	case IORING_OP_BIND: return BIND;
	case IORING_OP_SETXATTR: return XATTR;
	case IORING_OP_FSETXATTR: return FXATTR;
	}
	return NO_OPERATION;
}

static __always_inline const struct io_kiocb *request_of_worker(const struct task_struct *worker)
{
	const struct io_worker *private = worker->worker_private;
	const struct io_wq_work *work = private ? PEEK(private, cur_work) : NULL;

	return work ? (const void *)work - bpf_core_field_offset(struct io_kiocb, work) : NULL;
}

static __always_inline struct operation *operation_of_task(struct task_struct *task)
{
	struct operation *op =
		bpf_task_storage_get(&operations, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!op)
		count_missed();
	return op;
}

static __always_inline struct operation *operation_of_request(const struct io_kiocb *request)
{
	__u64 key = (__u64)request;
	struct operation *op = bpf_map_lookup_elem(&requests, &key);
	const void *blank;
	__u32 zero = 0;

	if (op)
		return op;
	blank = bpf_map_lookup_elem(&blank_operation, &zero);
	if (!blank || bpf_map_update_elem(&requests, &key, blank, BPF_NOEXIST) < 0) {
		count_missed();
		return NULL;
	}
	return bpf_map_lookup_elem(&requests, &key);
}

/* --- times and extended attributes: what they belong to shows by its change time too */

struct attribute {
	__u32 kind;
	__u32 depth;    /* of the topmost file system that was touched, of which the file is */
	__u32 lowest;   /* depth of the one at the bottom, which knows the time before */
	__u32 knows_before;
	struct moment before;
	struct touched file;
	/* of an extended attribute */
	__u32 value_length;
	__u32 flags;
	__u8 name[XATTR_NAME_MAX];
	__u8 value[2 * KS_XATTR_MAX]; /* half of it is used: bounded() needs a power of two */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct attribute);
} attributes SEC(".maps");

#define FS_MGTIME 64

/* The same of what io_uring does, by request. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, struct attribute);
} attribute_requests SEC(".maps");

/* Never written: what a new entry begins as. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct attribute);
} blank_attribute SEC(".maps");

static __always_inline bool sets_xattr(__u8 kind)
{
	return kind == XATTR || kind == FXATTR || kind == XATTRAT;
}

static __always_inline bool changes_attributes(__u8 kind)
{
	return kind == TIMES || kind == TIMESPECS || sets_xattr(kind);
}

/* Name and value are kernel copies that nobody can change any more. */
static __always_inline void keep_xattr_of_request(struct attribute *a, const struct io_kiocb *request)
{
	const struct io_xattr *x = (const void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
	__u32 kept;

	if (!bpf_core_type_exists(struct kernel_xattr_ctx))
		return;
	a->value_length = BPF_CORE_READ(x, ctx.size);
	kept = a->value_length > KS_XATTR_MAX ? KS_XATTR_MAX : a->value_length;
	bpf_probe_read_kernel_str(a->name, sizeof(a->name), BPF_CORE_READ(x, ctx.kname));
	bpf_probe_read_kernel(a->value, bounded(kept, 2 * KS_XATTR_MAX), BPF_CORE_READ(x, ctx.kvalue));
}

struct xattr_argument {
	__u64 value;
	__u32 size;
};

static __always_inline struct xattr_argument xattr_argument(const struct task_struct *task,
							    const struct pt_regs *regs, __u8 kind)
{
	struct xattr_argument x = {};

	if (kind == XATTRAT) {
		bpf_probe_read_user(&x, 12, (const void *)argument(task, regs, 4));
		return x;
	}
	x.value = argument(task, regs, 2);
	x.size = argument(task, regs, 3);
	return x;
}

static __always_inline const void *xattr_name(const struct task_struct *task, const struct pt_regs *regs,
					      __u8 kind)
{
	return (const void *)argument(task, regs, kind == XATTRAT ? 3 : 1);
}

/* What the caller wrote stands in its memory only. The kernel has read it by now; if other threads run there, it
 * may be another since. */
static __always_inline void keep_xattr(struct attribute *a, const struct task_struct *task,
				       const struct pt_regs *regs, __u8 kind)
{
	struct xattr_argument x = xattr_argument(task, regs, kind);
	__u32 kept = x.size > KS_XATTR_MAX ? KS_XATTR_MAX : x.size;

	a->flags = PEEK(task->mm, mm_users.counter) > 1 ? KS_F_RACY : 0;
	a->value_length = x.size;
	bpf_probe_read_user_str(a->name, sizeof(a->name), xattr_name(task, regs, kind));
	bpf_probe_read_user(a->value, bounded(kept, 2 * KS_XATTR_MAX), (const void *)x.value);
}

/* The time before shows only where the change time is set first: on file systems with fine change times. A stacked
 * one copies the times when all is done: what counts is the file beneath, touched last. (Before that it may have
 * been made, as a copy.) */
static __always_inline void note_time_before(struct attribute *a, const struct inode *inode, __u32 depth)
{
	if (a->kind && depth > a->lowest)
		return;
	a->lowest = depth;
	a->knows_before = PEEK(PEEK(PEEK(inode, i_sb), s_type), fs_flags) & FS_MGTIME;
	a->before = inode_mtime(inode);
}

static __always_inline struct attribute *attribute_of_request(const struct io_kiocb *request)
{
	__u64 key = (__u64)request;
	struct attribute *a = bpf_map_lookup_elem(&attribute_requests, &key);
	const void *blank;
	__u32 zero = 0;

	if (a)
		return a;
	blank = bpf_map_lookup_elem(&blank_attribute, &zero);
	if (!blank || bpf_map_update_elem(&attribute_requests, &key, blank, BPF_NOEXIST) < 0)
		return NULL;
	return bpf_map_lookup_elem(&attribute_requests, &key);
}

/* request: NULL if it is a system call. */
static __always_inline void attribute_touched(struct task_struct *task, const struct io_kiocb *request,
					      const struct inode *inode, __u8 kind)
{
	const struct super_block *sb = PEEK(inode, i_sb);
	__u32 depth = PEEK(sb, s_stack_depth);
	struct attribute *a;

	if (PEEK(sb, s_magic) == PROC_SUPER_MAGIC || is_ignored(task))
		return;
	if (request)
		a = attribute_of_request(request);
	else
		a = bpf_task_storage_get(&attributes, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!a) {
		count_missed();
		return;
	}
	note_time_before(a, inode, depth);
	if (!a->kind && request)
		keep_xattr_of_request(a, request);
	else if (!a->kind && sets_xattr(kind))
		keep_xattr(a, task, (const void *)bpf_task_pt_regs(task), kind);
	if (!a->kind || depth >= a->depth) {
		a->depth = depth;
		a->file.inode = (__u64)inode;
		a->file.sb = (__u64)sb;
		note_names(&a->file, inode);
	}
	a->kind = kind;
}

/* --- telling */

static __always_inline void tell_came(struct mount_search *by, const struct touched *file,
				      const struct dentry *dentry, const struct place *from, __u32 how)
{
	struct file_event e = {
		.place = { .dentry = dentry },
		.inode = (const void *)file->inode,
		.how = how,
		.type = PEEK((const struct inode *)file->inode, i_mode) & S_IFMT,
	};

	by->sb = (const void *)file->sb;
	find_mount(&e.place, by);
	if (from) {
		e.from = *from;
		e.from.mnt = e.place.mnt;
	}
	file_came(&e);
}

/* Of the first alias the name was kept. */
static __always_inline void tell_moved(struct mount_search *by, const struct touched *file, __u32 index)
{
	const struct alias *alias = &file->aliases[index & (ALIASES - 1)];
	struct place from = { .name = file->name.bytes,
			      .name_length = file->name.length,
			      .dentry = (const void *)alias->parent };

	tell_came(by, file, (const void *)alias->dentry, index ? NULL : &from, KS_HOW_RENAME);
}

static __always_inline void tell_went(struct mount_search *by, const struct touched *file, __u32 index,
				      __u32 how)
{
	const struct alias *alias = &file->aliases[index & (ALIASES - 1)];
	const struct dentry *dentry = (const void *)alias->dentry;
	struct file_event e = {
		.place = { .name = file->name.bytes,
			   .name_length = file->name.length,
			   .dentry = (const void *)alias->parent },
		.gone = file->id,
		.how = how,
		.type = file->type,
	};

	if (index) {
		e.place.name = PEEK(dentry, d_name.name);
		e.place.name_length = PEEK(dentry, d_name.len);
	}
	by->sb = (const void *)file->sb;
	find_mount(&e.place, by);
	file_went(&e);
}

/* IOSQE_CQE_SKIP_SUCCESS: nobody will hear of the outcome, nor shall we. A deletion is told at once: when the
 * change time of the file is set, nothing can stop it any more. Of other operations we cannot know what became
 * of them; each touches its directory, and is counted there. */
static __always_inline void touched_unanswered(struct task_struct *worker, const struct inode *inode,
					       __u8 kind)
{
	struct mount_search by = {};
	struct operation *op;

	if (kind != UNLINK) {
		if ((inode->i_mode & S_IFMT) == S_IFDIR)
			count_missed();
		return;
	}
	op = is_counted(inode->i_mode) ? operation_of_task(worker) : NULL;
	if (!op)
		return;
	op->file_count = 0;
	note_file(op, inode);
	if (op->files[0].alias_count)
		tell_went(&by, &op->files[0], 0, KS_HOW_UNLINK);
}

static __always_inline void touched_by_worker(struct task_struct *worker, const struct inode *inode)
{
	const struct io_kiocb *request = request_of_worker(worker);
	__u8 kind = request ? request_kind(request) : NO_OPERATION;
	struct operation *op;

	if (sets_xattr(kind)) {
		attribute_touched(worker, request, inode, kind);
		return;
	}
	if (!changes_names(kind))
		return;
	if (PEEK(request, flags) & REQUEST_CQE_SKIP) {
		if (!is_ignored(worker))
			touched_unanswered(worker, inode, kind);
		return;
	}
	op = kind == OPENAT2 ? NULL : operation_of_request(request); /* an open shows by its file */
	if (!op)
		return;
	op->kind = kind;
	note(op, inode);
}

/* The rules never keep what such a call of this process could be told as. */
static __always_inline bool is_unwanted_call(const struct task_struct *task, __u8 kind)
{
	if (kind == OPEN || kind == CREAT || kind == OPENAT2)
		return is_unwanted(task, OPEN_RECORDS);
	if (changes_names(kind))
		return is_unwanted(task, NAME_RECORDS);
	if (sets_xattr(kind))
		return is_unwanted(task, RECORD_BIT(KS_FILE_STREAM));
	return changes_attributes(kind) && is_unwanted(task, RECORD_BIT(KS_FILE_TIME));
}

/* Every write to a file comes by here: most must leave soon. */
static __always_inline int touched(const struct inode *inode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct operation *op;
	__u8 kind;

	if (task->flags & PF_KTHREAD)
		return 0;
	if (task->flags & PF_IO_WORKER) {
		touched_by_worker(task, inode);
		return 0;
	}
	kind = call_of(task, (const void *)bpf_task_pt_regs(task)).kind;
	if ((!changes_names(kind) && !changes_attributes(kind)) || is_unwanted_call(task, kind))
		return 0;
	if (changes_attributes(kind)) {
		attribute_touched(task, NULL, inode, kind);
		return 0;
	}
	op = operation_of_task(task);
	if (!op)
		return 0;
	op->kind = kind;
	note(op, inode);
	return 0;
}

SEC("tp_btf/inode_set_ctime_to_ts")
int BPF_PROG(FILE_TOUCH__set, struct inode *inode)
{
	return touched(inode);
}

SEC("tp_btf/ctime_ns_xchg")
int BPF_PROG(FILE_TOUCH__exchange, struct inode *inode)
{
	return touched(inode);
}

SEC("tp_btf/ctime_xchg_skip")
int BPF_PROG(FILE_TOUCH__skip, struct inode *inode)
{
	return touched(inode);
}

/* --- judging */

enum fate { SAME, GONE, MOVED };

static __always_inline enum fate fate_of(const struct alias *alias, __u64 inode)
{
	const struct dentry *dentry = (const void *)alias->dentry;

	if ((__u64)PEEK(dentry, d_inode) != inode || !PEEK(dentry, d_hash.pprev))
		return GONE;
	if ((__u64)PEEK(dentry, d_parent) != alias->parent ||
	    (PEEK(dentry, d_name.hash) | (__u64)PEEK(dentry, d_name.len) << 32) !=
		    alias->name_hash)
		return MOVED;
	return SAME;
}

struct verdict {
	const struct operation *op;
	struct mount_search *by;
};

/* unlink and rename: what became of the names that were. */
static long judge_old_names(__u32 i, struct verdict *v)
{
	const struct touched *file = &v->op->files[i & (FILES - 1)];
	__u32 how = v->op->kind == UNLINK ? KS_HOW_UNLINK : KS_HOW_REPLACE;

	if (i >= v->op->file_count)
		return 1;
	if (file->sb != v->op->sb)
		return 0;
	for (__u32 a = 0; a < ALIASES && a < file->alias_count; a++) {
		enum fate fate = fate_of(&file->aliases[a], file->inode);

		if (fate == GONE)
			tell_went(v->by, file, a, how);
		if (fate == MOVED && v->op->kind == RENAME)
			tell_moved(v->by, file, a);
		if (fate != SAME)
			return 0; /* an operation concerns one name of a file */
	}
	return 0;
}

/* Is it one of the directories that were touched? */
static __always_inline bool is_in_touched(const struct operation *op, const struct dentry *dentry)
{
	__u64 parent = (__u64)PEEK(PEEK(dentry, d_parent), d_inode);

	for (__u32 i = 0; i < DIRECTORIES; i++)
		if (i < op->directory_count && op->directories[i] == parent)
			return true;
	return false;
}

struct newest {
	const struct hlist_node *node;
	const struct operation *op;
	const struct dentry *found;
};

static long newest_step(__u32 i, struct newest *n)
{
	const struct hlist_node *node = n->node;
	const struct dentry *dentry;

	if (!node)
		return 1;
	n->node = PEEK(node, next);
	dentry = dentry_of_alias(node);
	if (!PEEK(dentry, d_hash.pprev) || !is_in_touched(n->op, dentry))
		return 0;
	n->found = dentry;
	return 1;
}

static __always_inline void tell_fifo(struct mount_search *by, const struct touched *file,
				      const struct dentry *dentry)
{
	struct special_event e = { .place = { .dentry = dentry } };

	by->sb = (const void *)file->sb;
	find_mount(&e.place, by);
	endpoint_created(&e);
}

/* link and mknod: the name that came is the newest, and new names are put first. */
static long judge_new_name(__u32 i, struct verdict *v)
{
	const struct touched *file = &v->op->files[i & (FILES - 1)];
	const struct inode *inode = (const void *)file->inode;
	struct newest n = { .op = v->op };
	__u16 type;

	if (i >= v->op->file_count)
		return 1;
	type = PEEK(inode, i_mode) & S_IFMT;
	if (file->sb != v->op->sb || (!is_counted(type) && type != S_IFIFO))
		return 0;
	n.node = PEEK(inode, i_dentry.first);
	bpf_loop(ALIASES_READ, newest_step, &n, 0);
	if (!n.found)
		return 0;
	if (type == S_IFIFO) {
		tell_fifo(v->by, file, n.found);
		return 1;
	}
	tell_came(v->by, file, n.found, NULL, v->op->kind == LINK ? KS_HOW_LINK : KS_HOW_CREATE);
	return 1;
}

/* link on overlayfs: what was touched is the file beneath, if it is a regular one. */
static __always_inline void tell_linked(struct mount_search *by, const struct operation *op)
{
	struct file_event e = {
		.place = { .name = op->coming.bytes,
			   .name_length = op->coming.length,
			   .dentry = (const void *)op->coming_below },
		.inode = (const void *)op->files[0].inode,
		.how = KS_HOW_LINK,
		.type = op->files[0].type,
	};

	if (!op->file_count)
		return;
	by->sb = (const void *)op->sb;
	find_mount(&e.place, by);
	file_came(&e);
}

static __always_inline void judge(const struct operation *op, struct mount_search *by)
{
	struct verdict v = { .op = op, .by = by };

	if (op->kind == UNLINK || op->kind == RENAME)
		bpf_loop(FILES, judge_old_names, &v, 0);
	else if (op->coming_below)
		tell_linked(by, op);
	else
		bpf_loop(FILES, judge_new_name, &v, 0);
}

/* Where the names in this call begin: beside a descriptor, or in the working directory. An absolute one
 * begins elsewhere, but mostly on the same mount. */
static __always_inline const struct vfsmount *start_of(const struct task_struct *task, int fd)
{
	const struct file *file = fd == AT_FDCWD ? NULL : file_of(task, fd);

	return file ? PEEK(file, f_path.mnt) : task->fs->pwd.mnt;
}

static __always_inline void names_changed(const struct task_struct *task, const struct pt_regs *regs,
					  const struct call *call)
{
	struct operation *op = bpf_task_storage_get(&operations, (void *)task, NULL, 0);
	struct mount_search by = {};

	if (!op || !op->kind)
		return;
	by.user_path = (const void *)argument(task, regs, call->at);
	by.start = start_of(task, call->beside ? (int)argument(task, regs, call->at - 1) : AT_FDCWD);
	judge(op, &by);
}

/* Forgets what was noted; the names stay where they are, behind the counts. */
static __always_inline void operation_end(const struct task_struct *task)
{
	struct operation *op = bpf_task_storage_get(&operations, (void *)task, NULL, 0);

	if (!op)
		return;
	op->kind = NO_OPERATION;
	op->sb_depth = 0;
	op->coming_below = 0;
	op->file_count = 0;
	op->directory_count = 0;
}

/* Was the content replaced? Where the flags lie in the caller's memory they are no evidence: but a file that
 * was there and whose change time was set while it was being opened has been truncated. */
static __always_inline bool is_truncated(const struct task_struct *task, const struct pt_regs *regs,
					 const struct call *call, const struct inode *inode)
{
	const struct operation *op;
	__u64 flags;

	if (call->kind == CREAT)
		return true;
	if (call->kind == OPEN) {
		flags = argument(task, regs, call->at);
		return (flags & (O_TRUNC | O_PATH | TMPFILE_FLAG)) == O_TRUNC;
	}
	flags = 0;
	bpf_probe_read_user(&flags, sizeof(flags), (const void *)argument(task, regs, call->at));
	op = bpf_task_storage_get(&operations, (void *)task, NULL, 0);
	if (!op || op->file_count == 0 || flags & TMPFILE_FLAG)
		return false;
	/* A copy from a lower layer touches it too. */
	return PEEK(PEEK(inode, i_sb), s_magic) != OVERLAYFS_SUPER_MAGIC || flags & O_TRUNC;
}

static __always_inline void tell_opened(const struct task_struct *task, const struct file *file,
					bool created)
{
	const struct inode *inode = PEEK(file, f_inode);
	struct file_event e = {};

	if ((PEEK(inode, i_mode) & S_IFMT) != S_IFREG || (!created && is_pseudo(inode)))
		return;
	e.place.dentry = PEEK(file, f_path.dentry);
	e.place.mnt = PEEK(file, f_path.mnt);
	e.inode = inode;
	e.how = created ? KS_HOW_CREATE : KS_HOW_TRUNCATE;
	/* Another thread may have put another file behind the number meanwhile. */
	if (task->files->count.counter > 1)
		e.flags = KS_F_RACY;
	file_came(&e);
}

static __always_inline __u32 racy_if_shared(const struct task_struct *task)
{
	return task->files->count.counter > 1 ? KS_F_RACY : 0;
}

/* False: it is a regular file or a directory. */
static __always_inline bool tell_special(const struct task_struct *task, const struct file *file)
{
	const struct inode *inode = PEEK(file, f_inode);
	__u16 type = PEEK(inode, i_mode) & S_IFMT;

	if (type == S_IFREG || type == S_IFDIR)
		return false;
	special_opened(file, inode, type, racy_if_shared(task));
	return true;
}

static __always_inline void opened(const struct task_struct *task, const struct pt_regs *regs,
				   const struct call *call, __u32 fd)
{
	const struct file *file = file_of(task, fd);
	bool created;

	if (!file || tell_special(task, file))
		return;
	memory_file_opened(task, file);
	created = PEEK(file, f_mode) & FMODE_CREATED;
	if (created || is_truncated(task, regs, call, PEEK(file, f_inode)))
		tell_opened(task, file, created);
}

/* --- times */

#define COMPAT_UTIMENSAT 320 /* with times of 32 bits */

/* What the caller wrote can change under our eyes: it decides only where the times themselves do not, as when a
 * time is set to what it was. */
static __always_inline bool asks_for_times(const struct task_struct *task, const struct pt_regs *regs,
					   const struct call *call)
{
	const char *times = (const void *)argument(task, regs, call->at + 1);
	bool narrow = task->thread_info.status & TS_COMPAT && regs->orig_ax == COMPAT_UTIMENSAT;
	__u32 of_access = UTIME_NOW, of_content = UTIME_NOW;

	if (call->kind == TIMES)
		return true;
	bpf_probe_read_user(&of_access, sizeof(of_access), times + (narrow ? 4 : 8));
	bpf_probe_read_user(&of_content, sizeof(of_content), times + (narrow ? 12 : 24));
	return (of_access != UTIME_NOW && of_access != UTIME_OMIT) ||
	       (of_content != UTIME_NOW && of_content != UTIME_OMIT);
}

/* A time that was not given is that of the change itself. */
static __always_inline bool has_other_time(const struct attribute *a, const struct inode *inode)
{
	struct moment now = inode_mtime(inode);

	return inode_mtime_ns(inode) != inode_ctime_ns(inode) && a->knows_before &&
	       (now.seconds != a->before.seconds || now.ns != a->before.ns);
}

static __always_inline bool attribute_place_by(const struct task_struct *task, const struct file *file,
					       const void *user_path, const struct attribute *a,
					       struct place *place)
{
	struct mount_search by = { .sb = (const void *)a->file.sb, .user_path = user_path };

	if (file && (__u64)PEEK(file, f_inode) == a->file.inode) {
		place->dentry = PEEK(file, f_path.dentry);
		place->mnt = PEEK(file, f_path.mnt);
		return true;
	}
	if (!a->file.alias_count) {
		count_missed();
		return false;
	}
	place->dentry = (const void *)a->file.aliases[0].dentry;
	by.start = file ? PEEK(file, f_path.mnt) : task->fs->pwd.mnt;
	find_mount(place, &by);
	return true;
}

static __always_inline void tell_xattr(const struct attribute *a, struct stream_event *e)
{
	e->inode = (const void *)a->file.inode;
	e->name = a->name;
	e->value = a->value;
	e->value_length = a->value_length;
	e->flags = a->flags;
	stream_set(e);
}

/* Where the object of the call is to be found: behind the descriptor, or by the name that was in use. */
static __always_inline bool attribute_place(const struct task_struct *task, const struct pt_regs *regs,
					    const struct call *call, const struct attribute *a,
					    struct place *place)
{
	int fd = call->beside ? (int)argument(task, regs, call->at - 1) : AT_FDCWD;
	const void *user_path = (const void *)argument(task, regs, call->at);

	if (call->kind == FXATTR) {
		fd = argument(task, regs, 0);
		user_path = NULL;
	}
	return attribute_place_by(task, fd == AT_FDCWD ? NULL : file_of(task, fd), user_path, a, place);
}

static __always_inline void xattr_set(const struct task_struct *task, const struct pt_regs *regs,
				      const struct call *call)
{
	struct attribute *a = bpf_task_storage_get(&attributes, (void *)task, NULL, 0);
	struct stream_event e = {};

	if (a && a->kind && attribute_place(task, regs, call, a, &e.place))
		tell_xattr(a, &e);
}

static __always_inline void request_set_xattr(const struct task_struct *task, const struct io_kiocb *request,
					      __u8 kind, int result)
{
	__u64 key = (__u64)request;
	struct attribute *a = bpf_map_lookup_elem(&attribute_requests, &key);
	struct stream_event e = {};

	if (!a)
		return;
	if (result >= 0 && attribute_place_by(task, kind == FXATTR ? PEEK(request, cmd.file) : NULL, NULL, a, &e.place))
		tell_xattr(a, &e);
	bpf_map_delete_elem(&attribute_requests, &key);
}

static __always_inline void times_set(const struct task_struct *task, const struct pt_regs *regs,
				      const struct call *call)
{
	struct attribute *a = bpf_task_storage_get(&attributes, (void *)task, NULL, 0);
	const struct inode *inode;
	struct time_event e = {};

	if (!a || !a->kind || !argument(task, regs, call->at + 1))
		return;
	inode = (const void *)a->file.inode;
	if (!asks_for_times(task, regs, call) && !has_other_time(a, inode))
		return;
	if (!attribute_place(task, regs, call, a, &e.place))
		return;
	e.inode = inode;
	e.before = a->before;
	e.what = a->knows_before ? KS_TIME_OBJECT_BEFORE : KS_TIME_OBJECT;
	time_set(&e);
}

static __always_inline void attribute_end(const struct task_struct *task)
{
	struct attribute *a = bpf_task_storage_get(&attributes, (void *)task, NULL, 0);

	if (a)
		a->kind = NO_OPERATION;
}

/* Asked by every call that sets the clock, before it does. */
#define CAP_SYS_TIME 25

SEC("tp_btf/cap_capable")
int BPF_PROG(FILE_TIME__clock_asked, const struct cred *cred, void *target, void *of, int capability)
{
	if (capability == CAP_SYS_TIME)
		clock_note();
	return 0;
}

/* --- sockets, which come by here too: one program for all calls is cheaper than two */

#define SOCKETCALL_BIND    2
#define SOCKETCALL_CONNECT 3
#define SOCKETCALL_ACCEPT  5
#define SOCKETCALL_ACCEPT4 18

static __always_inline const struct sock *sock_of_file(const struct file *file)
{
	const struct socket *socket;

	if (!file || (PEEK(PEEK(file, f_inode), i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = PEEK(file, private_data);
	return PEEK(socket, sk);
}

static __always_inline void accept_returned(const struct task_struct *task, __u32 fd)
{
	const struct sock *sk = sock_of_file(file_of(task, fd));

	if (sk)
		accepted(task, sk);
}

static __always_inline void name_used(const struct task_struct *task, __u32 fd, bool bound)
{
	const struct sock *sk = sock_of_file(file_of(task, fd));

	if (sk && bound)
		socket_bound(sk, racy_if_shared(task));
	else if (sk)
		socket_connected(sk, racy_if_shared(task));
}

static __always_inline void socket_called(const struct task_struct *task, const struct pt_regs *regs,
					  __u32 result)
{
	__u32 fd = -1;

	switch (argument(task, regs, 0)) {
	case SOCKETCALL_ACCEPT:
	case SOCKETCALL_ACCEPT4:
		accept_returned(task, result);
		return;
	case SOCKETCALL_BIND:
	case SOCKETCALL_CONNECT:
		bpf_probe_read_user(&fd, sizeof(fd), (const void *)argument(task, regs, 1));
		name_used(task, fd, argument(task, regs, 0) == SOCKETCALL_BIND);
	}
}

static __always_inline void bpf_returned(const struct task_struct *task, const struct pt_regs *regs, __s32 result)
{
	struct bpf_call c = {
		.command = argument(task, regs, 0),
		.attributes = (const void *)argument(task, regs, 1),
		.result = result,
		.flags = racy_if_shared(task),
	};

	bpf_called(&c);
}

static __always_inline void call_returned(const struct task_struct *task, const struct pt_regs *regs,
					  const struct call *call, __u32 result)
{
	switch (call->kind) {
	case OPEN:
	case CREAT:
	case OPENAT2:
		opened(task, regs, call, result);
		break;
	case ACCEPT:
		accept_returned(task, result);
		break;
	case BIND:
	case CONNECT:
		name_used(task, argument(task, regs, 0), call->kind == BIND);
		break;
	case SOCKETCALL:
		socket_called(task, regs, result);
		break;
	case TIMES:
	case TIMESPECS:
		times_set(task, regs, call);
		break;
	case XATTR:
	case FXATTR:
	case XATTRAT:
		xattr_set(task, regs, call);
		break;
	case CLOCK:
		clock_was_set();
		break;
	case BPF:
		bpf_returned(task, regs, result);
		break;
	default:
		names_changed(task, regs, call);
	}
}

#define O_ACCMODE 3

static __always_inline void call_spared(const struct task_struct *task, const struct pt_regs *regs,
					const struct call *call, __u32 result)
{
	const struct file *file;

	count_spared();
	if (call->kind != OPENAT2 && (call->kind != OPEN || !(argument(task, regs, call->at) & O_ACCMODE)))
		return;
	file = file_of(task, result);
	if (file)
		memory_noted(file);
}

/* --- and what becomes executable */

#define PROT_EXEC      0x4
#define SHM_EXEC       0100000
#define AT_ONCE        64 /* mappings that one call can change here; what it changes beyond is counted */

/* Global functions, as the verifier would else look at them for each way that leads here. */
static __always_inline void became_executable(struct mapping *m)
{
	look_for_replaced_text(bpf_get_current_task_btf(), m);
	image_loaded(m, KS_MAPPED, 0);
}

__noinline int mapped(__u64 address)
{
	struct mapping m = {};

	/* Not there: unmapped already by another thread. */
	if (mapping_at(bpf_get_current_task_btf()->mm, address, &m))
		became_executable(&m);
	return 0;
}

struct protect_walk {
	__u64 at, end;
};

static long protect_step(__u32 i, struct protect_walk *w)
{
	struct mapping m = {};

	if (w->at >= w->end || !mapping_at(bpf_get_current_task_btf()->mm, w->at, &m))
		return 1;
	w->at = m.to;
	became_executable(&m);
	return 0;
}

__noinline int protected(__u64 from, __u64 length)
{
	struct protect_walk w = { .at = from, .end = from + length };

	if (bpf_loop(AT_ONCE, protect_step, &w, 0) == AT_ONCE && w.at < w.end)
		count_missed();
	return 0;
}

static __always_inline bool asks_for_exec(const struct task_struct *task, const struct pt_regs *regs,
					  const struct call *call)
{
	if (call->kind == MAP_OLD || task->personality & READ_IMPLIES_EXEC)
		return true;
	return argument(task, regs, call->at) & (call->kind == SHMAT ? SHM_EXEC : PROT_EXEC);
}

static __always_inline void mappings_changed(const struct task_struct *task, const struct pt_regs *regs,
					     const struct call *call, long result)
{
	if (!asks_for_exec(task, regs, call) || !(wanted(KS_IMAGE_LOAD) || wanted(KS_PROCESS_TAMPERING)))
		return;
	/* A change of protection that fails half way has changed what came before. */
	if (call->kind == PROTECT)
		protected(argument(task, regs, 0), argument(task, regs, 1));
	else if (result >= 0)
		mapped(result);
}

static __always_inline bool changes_mappings(__u8 kind)
{
	return kind == MAP || kind == MAP_OLD || kind == SHMAT || kind == PROTECT;
}

/* --- and who reaches into whom */

#define PR_SET_MM          35
#define PR_SET_MM_EXE_FILE 13
#define PR_SET_MM_MAP      14
#define MAP_EXE_FD         100 /* where the descriptor stands in struct prctl_mm_map */

static __always_inline void link_changed(const struct task_struct *task, const struct pt_regs *regs)
{
	__u64 what = argument(task, regs, 1);
	struct ks_who who = {};
	__u32 fd = -1;

	if ((__u32)argument(task, regs, 0) != PR_SET_MM)
		return;
	if (what == PR_SET_MM_MAP)
		bpf_probe_read_user(&fd, sizeof(fd), (const void *)(argument(task, regs, 2) + MAP_EXE_FD));
	if (what != PR_SET_MM_EXE_FILE && fd == (__u32)-1)
		return;
	who_fill(&who, task);
	tell_tampering(&who, KS_TAMPERED_REPLACED);
}

static __always_inline void file_written(const struct task_struct *task, const struct pt_regs *regs,
					 const struct call *call, long written)
{
	const struct file *file = file_of(task, argument(task, regs, 0));
	__u64 at = call->kind == WRITE_AT ? argument(task, regs, call->at) : -1ull;

	if (!file)
		return;
	if (call->kind == WRITE_AT && task->thread_info.status & TS_COMPAT)
		at |= argument(task, regs, call->at + 1) << 32;
	if (at == -1ull)
		at = PEEK(file, f_pos) - written;
	memory_written(file, at);
}

static __always_inline bool reaches_elsewhere(__u8 kind)
{
	return kind >= PTRACE;
}

__noinline int reached_elsewhere(struct call *call, long result)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct pt_regs *regs = (const void *)bpf_task_pt_regs((void *)task);

	if (!call || is_ignored(task))
		return 0;
	if (call->kind <= GET_FD)
		access_returned(task, regs, call->kind, result);
	else if (result >= 0 && call->kind == PRCTL)
		link_changed(task, regs);
	else if (result > 0)
		file_written(task, regs, call, result);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(CALL__exit, struct pt_regs *regs, long result)
{
	struct task_struct *task;
	struct call call;
	__u8 watched;

	if ((regs->orig_ax & ~X32_BIT) >= CALLS)
		return 0;
	watched = watched_calls[regs->orig_ax & (CALLS - 1)];
	/* Writes are many, and few programs ever open another's memory. */
	if (!watched || (watched == WATCHED_LATER && !memory_opened))
		return 0;
	task = bpf_get_current_task_btf();
	call = call_of(task, regs);
	if (reaches_elsewhere(call.kind)) {
		reached_elsewhere(&call, result);
		return 0;
	}
	if (changes_mappings(call.kind)) {
		mappings_changed(task, regs, &call, result);
		return 0;
	}
	if (result >= 0 && call.kind && !is_ignored(task)) {
		if (is_unwanted_call(task, call.kind))
			call_spared(task, regs, &call, result);
		else
			call_returned(task, regs, &call, result);
	}
	if (changes_names(call.kind))
		operation_end(task);
	if (changes_attributes(call.kind))
		attribute_end(task);
	return 0;
}

/* --- io_uring */

#define SLOT_CHOSEN    0xffffffffu /* IORING_FILE_INDEX_ALLOC: the kernel chose the slot and returns it */
#define FILE_PTR_FLAGS 7ul

/* The file that was opened into a slot of the ring, which no descriptor names. */
static __always_inline const struct file *file_in_slot(const struct io_kiocb *request, __u32 slot)
{
	const struct io_ring_ctx *ring = PEEK(request, ctx);
	const struct io_rsrc_node *node = NULL;

	if (!bpf_core_field_exists(ring->file_table.data.nodes) ||
	    slot >= PEEK(ring, file_table.data.nr))
		return NULL;
	bpf_probe_read_kernel(&node, sizeof(node), PEEK(ring, file_table.data.nodes) + slot);
	return node ? (const void *)(PEEK(node, file_ptr) & ~FILE_PTR_FLAGS) : NULL;
}

static __always_inline void request_opened(const struct task_struct *task, const struct io_kiocb *request,
					   __u32 result)
{
	const struct io_open *how =
		(const void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
	__u32 slot = PEEK(how, file_slot);
	const struct file *file;
	bool created;

	if (slot)
		file = file_in_slot(request, slot == SLOT_CHOSEN ? result : slot - 1);
	else
		file = file_of(task, result);
	if (!file || tell_special(task, file))
		return;
	memory_file_opened(task, file);
	created = PEEK(file, f_mode) & FMODE_CREATED;
	if (created || (PEEK(how, how.flags) & (O_TRUNC | O_PATH | TMPFILE_FLAG)) == O_TRUNC)
		tell_opened(task, file, created);
}

static __always_inline void request_named(const struct io_kiocb *request, bool bound)
{
	const struct sock *sk = sock_of_file(PEEK(request, cmd.file));

	if (sk && bound)
		socket_bound(sk, 0);
	else if (sk)
		socket_connected(sk, 0);
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(FILE_REQUEST__complete, struct io_ring_ctx *ring, const struct io_kiocb *request)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	__u8 kind = request ? request_kind(request) : NO_OPERATION;
	__u64 key = (__u64)request;
	struct mount_search by = {};
	struct operation *op;
	int result;

	if (kind == NO_OPERATION)
		return 0;
	result = PEEK(request, cqe.res);
	if (sets_xattr(kind)) {
		request_set_xattr(task, request, kind, result);
		return 0;
	}
	if (kind == BIND || kind == CONNECT) {
		if (result >= 0 && !is_ignored(task))
			request_named(request, kind == BIND);
		return 0;
	}
	if (kind == OPENAT2) {
		if (result >= 0 && !is_ignored(task))
			request_opened(task, request, result);
		return 0;
	}
	op = bpf_map_lookup_elem(&requests, &key);
	if (!op)
		return 0;
	by.start = task->fs->pwd.mnt;
	if (result >= 0 && !is_ignored(task))
		judge(op, &by);
	bpf_map_delete_elem(&requests, &key);
	return 0;
}
