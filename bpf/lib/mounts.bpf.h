/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* By which mount was it reached? Tracepoints tell of inodes and dentries, which belong to a file system; a
 * path needs one of its mounts. Mostly there is only one. */
#pragma once
#include "file.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct super_block___until_6_17 { struct list_head s_mounts; };
struct mount___until_6_17 { struct list_head mnt_instance; };
struct super_block___since_6_18 { struct mount *s_mounts; };
struct mount___since_6_18 { struct mount *mnt_next_for_sb; };
#pragma clang attribute pop

#define SB_MOUNTS_MAX 256 /* looked at; a machine with many containers has some hundreds of one file system */
#define DEPTH_MAX     512
#define TAIL          64 /* bytes of two paths that are compared, from their end */

static __always_inline const struct mount *instance_mount(const struct list_head *instance)
{
	return (const void *)instance - bpf_core_field_offset(struct mount___until_6_17, mnt_instance);
}

static __always_inline const struct mount *sb_first_mount(const struct super_block *sb)
{
	const struct super_block___since_6_18 *now = (const void *)sb;
	const struct super_block___until_6_17 *old = (const void *)sb;

	if (bpf_core_field_exists(struct mount___since_6_18, mnt_next_for_sb))
		return PEEK(now, s_mounts);
	return instance_mount(PEEK(old, s_mounts.next));
}

/* NULL after the last. */
static __always_inline const struct mount *sb_next_mount(const struct super_block *sb,
							 const struct mount *mount)
{
	const struct mount___since_6_18 *now = (const void *)mount;
	const struct mount___until_6_17 *old = (const void *)mount;
	const struct list_head *next;

	if (bpf_core_field_exists(struct mount___since_6_18, mnt_next_for_sb))
		return PEEK(now, mnt_next_for_sb);
	next = PEEK(old, mnt_instance.next);
	if ((const void *)next ==
	    (const void *)sb + bpf_core_field_offset(struct super_block___until_6_17, s_mounts))
		return NULL;
	return instance_mount(next);
}

/* --- does the object lie below what is mounted? */

struct ascent {
	const struct dentry *dentry;
	const struct dentry *root;
	__u32 found;
};

static long ascend(__u32 i, struct ascent *a)
{
	const struct dentry *dentry = a->dentry, *parent;

	if (dentry == a->root) {
		a->found = 1;
		return 1;
	}
	parent = PEEK(dentry, d_parent);
	if (parent == dentry)
		return 1;
	a->dentry = parent;
	return 0;
}

static __always_inline bool is_below(const struct dentry *dentry, const struct dentry *root)
{
	struct ascent a = { .dentry = dentry, .root = root };

	bpf_loop(DEPTH_MAX, ascend, &a, 0);
	return a.found;
}

/* --- the choice among several */

struct choice {
	const struct super_block *sb;
	const struct mnt_namespace *mnt_ns;
	const struct place *place;
	struct draft *draft;
	const struct mount *next;
	const struct mount *fits;   /* the first one below which the object lies */
	const struct mount *chosen; /* the one by which its path ends as the caller wrote it */
	__u64 wish_length;          /* 0: what the caller wrote is not known */
	__u64 wish[TAIL / 8];       /* its end */
};

/* Copies the last n bytes of what ends at `end`; n at most TAIL. */
static __always_inline void copy_tail(__u64 tail[TAIL / 8], const __u8 *end, __u64 n)
{
	__builtin_memset(tail, 0, TAIL);
	asm volatile("" : "+r"(n));
	if (n <= TAIL)
		bpf_probe_read_kernel(tail, n, end - n);
}

/* The caller's memory can change under our eyes: this decides only between names that are all true. */
static __always_inline void choice_wish(struct choice *c, const void *user_path)
{
	__u8 *buffer = c->draft->walk;
	long n = bpf_probe_read_user_str(buffer + TAIL, WALK_SIZE, user_path) - 1;

	if (n <= 0)
		return;
	c->wish_length = n < TAIL ? n : TAIL;
	copy_tail(c->wish, buffer + TAIL + n, c->wish_length);
}

static __always_inline bool ends_as_wished(struct choice *c, const struct mount *mount)
{
	__u64 tail[TAIL / 8];
	struct walk w;

	walk_begin(&w, c->draft, c->place->dentry, mount);
	if (c->place->name)
		walk_put(&w, c->place->name, c->place->name_length);
	if (!w.done)
		bpf_loop(WALK_STEPS_MAX, walk_step, &w, 0);
	if (WALK_SIZE - w.at < c->wish_length)
		return false;
	copy_tail(tail, c->draft->walk + WALK_SIZE, c->wish_length);
	for (__u32 i = 0; i < TAIL / 8; i++)
		if (tail[i] != c->wish[i])
			return false;
	return true;
}

/* 1: that is the one. */
static __always_inline long choice_try(struct choice *c, const struct mount *mount)
{
	if (PEEK(mount, mnt_ns) != c->mnt_ns || PEEK(mount, mnt.mnt_sb) != c->sb ||
	    !is_below(c->place->dentry, PEEK(mount, mnt.mnt_root)))
		return 0;
	if (!c->fits)
		c->fits = mount;
	if (c->wish_length && !ends_as_wished(c, mount))
		return 0;
	c->chosen = mount;
	return 1;
}

static long choice_step(__u32 i, struct choice *c)
{
	if (!c->next || choice_try(c, c->next))
		return 1;
	c->next = sb_next_mount(c->sb, c->next);
	return 0;
}

/* What helps to find it. */
struct mount_search {
	const struct super_block *sb;
	const struct vfsmount *start; /* where the names in the call begin */
	const void *user_path;        /* NULL: not known */
};

/* The mount by which the current task reached the place: where it starts from first, then all others of its
 * namespace. */
static __always_inline const struct mount *search_mounts(struct draft *d, const struct place *place,
							 const struct mount_search *s,
							 const struct mount *first)
{
	struct choice c = {
		.sb = s->sb,
		.place = place,
		.draft = d,
		.mnt_ns = bpf_get_current_task_btf()->nsproxy->mnt_ns,
		.next = first,
	};

	if (s->user_path)
		choice_wish(&c, s->user_path);
	if (!s->start || !choice_try(&c, mount_of(s->start)))
		bpf_loop(SB_MOUNTS_MAX, choice_step, &c, 0);
	return c.chosen ? c.chosen : c.fits;
}

__noinline int find_mount(struct place *place, struct mount_search *s)
{
	const struct mount *mount;
	struct draft *d;

	if (!place || !s)
		return 0;
	mount = sb_first_mount(s->sb);
	if (mount && sb_next_mount(s->sb, mount)) {
		d = draft_take();
		if (!d)
			return 0;
		mount = search_mounts(d, place, s, mount);
		draft_drop(d);
	}
	place->mnt = mount ? mount_vfs(mount) : NULL;
	return 0;
}
