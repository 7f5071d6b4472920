/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where kernels differ. One getter for each difference, with the release that brought it. A type with
 * ___ in its name is what some kernels have: libbpf drops the ending when it looks for it. */
#pragma once
#include "peek.bpf.h"

#define EXT4_SUPER_MAGIC      0xef53
#define XFS_SUPER_MAGIC       0x58465342
#define BTRFS_SUPER_MAGIC     0x9123683e
#define TMPFS_MAGIC           0x01021994
#define RAMFS_MAGIC           0x858458f6
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define PROC_SUPER_MAGIC      0x9fa0

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct timespec64 { __s64 tv_sec; long tv_nsec; };

struct inode___until_6_5 { struct timespec64 i_mtime, i_ctime; };
struct inode___since_6_6 { struct timespec64 __i_ctime; };
struct inode___since_6_7 { struct timespec64 __i_mtime; };
struct inode___since_6_11 {
	__s64 i_mtime_sec, i_ctime_sec;
	__u32 i_mtime_nsec, i_ctime_nsec;
};

typedef struct { __u32 cap[2]; } kernel_cap_t___until_6_2;
struct cred___until_6_2 { kernel_cap_t___until_6_2 cap_effective; };
typedef struct { __u64 val; } kernel_cap_t___since_6_3;
struct cred___since_6_3 { kernel_cap_t___since_6_3 cap_effective; };

struct ext4_inode_info { struct timespec64 i_crtime; struct inode vfs_inode; };
struct xfs_inode { struct timespec64 i_crtime; struct inode i_vnode; };
struct shmem_inode_info { struct timespec64 i_crtime; struct inode vfs_inode; };
struct btrfs_inode { struct inode vfs_inode; };
struct btrfs_inode___until_6_8 { struct timespec64 i_otime; };
struct btrfs_inode___since_6_9 { __u64 i_otime_sec; __u32 i_otime_nsec; };
struct ovl_inode { struct inode vfs_inode; struct dentry *__upperdentry; };

struct backing_file___since_6_8 { struct file file; struct path user_path; };
/* From 6.13 on; the same under another name before. */
struct xattr_name { char name[256]; };
struct kernel_xattr_ctx {
	void *kvalue;
	unsigned long size;
	struct xattr_name *kname;
};
struct io_xattr { struct kernel_xattr_ctx ctx; };

/* A node of the cgroup hierarchy. */
struct kernfs_node___until_6_14 { struct kernfs_node *parent; };
struct kernfs_node___since_6_15 { struct kernfs_node *__parent; };

/* Where modules may be signed. */
struct module___signed { bool sig_ok; };

struct dentry___since_6_8 { struct hlist_head d_children; struct hlist_node d_sib; };

#pragma clang attribute pop

#define NS_PER_S 1000000000ull
/* From 6.13 on the highest bit tells that somebody asked for this time. */
#define TIME_NSEC_MASK 0x7fffffffu

/* ns since 1970. */
#define TIMESPEC_NS(READ, from, member)                                                            \
	((__u64)READ(from, member.tv_sec) * NS_PER_S + (READ(from, member.tv_nsec) & TIME_NSEC_MASK))

static __always_inline __u64 inode_mtime_ns(const struct inode *inode)
{
	const struct inode___since_6_11 *plain = (const void *)inode;
	const struct inode___since_6_7 *renamed = (const void *)inode;
	const struct inode___until_6_5 *old = (const void *)inode;

	if (bpf_core_field_exists(plain->i_mtime_sec))
		return (__u64)PEEK(plain, i_mtime_sec) * NS_PER_S +
		       PEEK(plain, i_mtime_nsec);
	if (bpf_core_field_exists(renamed->__i_mtime))
		return TIMESPEC_NS(PEEK, renamed, __i_mtime);
	return TIMESPEC_NS(PEEK, old, i_mtime);
}

/* The same in two parts: programs set times that nanoseconds since 1970 cannot hold. */
struct moment {
	__s64 seconds;
	__u64 ns;
};

static __always_inline struct moment inode_mtime(const struct inode *inode)
{
	const struct inode___since_6_11 *plain = (const void *)inode;
	const struct inode___since_6_7 *renamed = (const void *)inode;
	const struct inode___until_6_5 *old = (const void *)inode;

	if (bpf_core_field_exists(plain->i_mtime_sec))
		return (struct moment){ PEEK(plain, i_mtime_sec), PEEK(plain, i_mtime_nsec) };
	if (bpf_core_field_exists(renamed->__i_mtime))
		return (struct moment){ PEEK(renamed, __i_mtime.tv_sec), PEEK(renamed, __i_mtime.tv_nsec) };
	return (struct moment){ PEEK(old, i_mtime.tv_sec), PEEK(old, i_mtime.tv_nsec) };
}

static __always_inline __u64 inode_ctime_ns(const struct inode *inode)
{
	const struct inode___since_6_11 *plain = (const void *)inode;
	const struct inode___since_6_6 *renamed = (const void *)inode;
	const struct inode___until_6_5 *old = (const void *)inode;

	if (bpf_core_field_exists(plain->i_ctime_sec))
		return (__u64)PEEK(plain, i_ctime_sec) * NS_PER_S +
		       (PEEK(plain, i_ctime_nsec) & TIME_NSEC_MASK);
	if (bpf_core_field_exists(renamed->__i_ctime))
		return TIMESPEC_NS(PEEK, renamed, __i_ctime);
	return TIMESPEC_NS(PEEK, old, i_ctime);
}

static __always_inline __u64 cred_cap_effective(const struct cred *cred)
{
	const struct cred___since_6_3 *now = (const void *)cred;
	const struct cred___until_6_2 *old = (const void *)cred;

	if (bpf_core_field_exists(now->cap_effective.val))
		return PEEK(now, cap_effective.val);
	return PEEK(old, cap_effective.cap[0]) |
	       (__u64)PEEK(old, cap_effective.cap[1]) << 32;
}

/* The structure of a file system around its inode; the offset is the kernel's. Where the file system is a
 * module nothing can be cast to it. */
#define INODE_OUTER(inode, type, member)                                                           \
	((const struct type *)((const void *)(inode) -                                             \
			       bpf_core_field_offset(struct type, member)))
#define INODE_BIRTH(inode, type, member, time)                                                     \
	({                                                                                         \
		const struct type *outer_ = INODE_OUTER(inode, type, member);                      \
		bpf_core_field_exists(outer_->time) ? TIMESPEC_NS(BPF_CORE_READ, outer_, time)     \
						    : 0;                                           \
	})

static __always_inline __u64 btrfs_birth_ns(const struct inode *inode)
{
	const struct btrfs_inode *outer = INODE_OUTER(inode, btrfs_inode, vfs_inode);
	const struct btrfs_inode___since_6_9 *now = (const void *)outer;
	const struct btrfs_inode___until_6_8 *old = (const void *)outer;

	if (bpf_core_field_exists(now->i_otime_sec))
		return BPF_CORE_READ(now, i_otime_sec) * NS_PER_S + BPF_CORE_READ(now, i_otime_nsec);
	if (bpf_core_field_exists(old->i_otime))
		return TIMESPEC_NS(BPF_CORE_READ, old, i_otime);
	return 0;
}

/* Of a file on overlayfs the birth is that of the file underneath. */
static __always_inline const struct inode *inode_beneath(const struct inode *inode)
{
	const struct ovl_inode *outer;
	const struct dentry *upper;

	if (!bpf_core_type_exists(struct ovl_inode) ||
	    PEEK(PEEK(inode, i_sb), s_magic) != OVERLAYFS_SUPER_MAGIC)
		return inode;
	outer = INODE_OUTER(inode, ovl_inode, vfs_inode);
	upper = BPF_CORE_READ(outer, __upperdentry);
	return upper ? PEEK(upper, d_inode) : inode;
}

/* When the file was made, ns since 1970; 0 where the file system does not keep it, or where the types of its
 * module were not known when the programs were loaded. */
static __always_inline __u64 inode_birth_ns(const struct inode *inode)
{
	inode = inode_beneath(inode);
	switch (PEEK(PEEK(inode, i_sb), s_magic)) {
	case EXT4_SUPER_MAGIC:
		if (bpf_core_type_exists(struct ext4_inode_info))
			return INODE_BIRTH(inode, ext4_inode_info, vfs_inode, i_crtime);
		return 0;
	case XFS_SUPER_MAGIC:
		if (bpf_core_type_exists(struct xfs_inode))
			return INODE_BIRTH(inode, xfs_inode, i_vnode, i_crtime);
		return 0;
	case TMPFS_MAGIC:
		if (bpf_core_type_exists(struct shmem_inode_info))
			return INODE_BIRTH(inode, shmem_inode_info, vfs_inode, i_crtime);
		return 0;
	case BTRFS_SUPER_MAGIC:
		if (bpf_core_type_exists(struct btrfs_inode))
			return btrfs_birth_ns(inode);
		return 0;
	}
	return 0;
}

/* The path by which the file behind a mapping was opened. A stacked file system maps the file beneath, which
 * until 6.7 has that path itself. The bit that tells is another one from 6.14 on (and the old one got another
 * meaning), so what it leads to must be on a stacked file system. */
#define FMODE_BACKING (0x1000000 | 0x2000000)

static __always_inline const struct path *mapped_path(const struct file *file)
{
	const struct path *own = (const void *)file + bpf_core_field_offset(struct file, f_path);
	const struct backing_file___since_6_8 *backing = (const void *)file;
	const struct path *path;

	if (!bpf_core_field_exists(backing->user_path) || !(PEEK(file, f_mode) & FMODE_BACKING))
		return own;
	path = (const void *)file + bpf_core_field_offset(struct backing_file___since_6_8, user_path);
	return PEEK(PEEK(PEEK(path, dentry), d_sb), s_magic) == OVERLAYFS_SUPER_MAGIC ? path : own;
}

/* The children of a directory in the cache. Only asked for where the change time tracepoints are (6.13). */
static __always_inline const struct hlist_node *dentry_first_child(const struct dentry *dentry)
{
	return BPF_CORE_READ((const struct dentry___since_6_8 *)dentry, d_children.first);
}

static __always_inline const struct dentry *dentry_of_sibling(const struct hlist_node *node)
{
	return (const void *)node - bpf_core_field_offset(struct dentry___since_6_8, d_sib);
}
