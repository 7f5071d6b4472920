/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The path of an object: up from its name, over each mount, to the root of its mount namespace (not of the
 * process: what a prisoner of chroot calls /file has a longer path). bpf_d_path() is not allowed in most of
 * our programs, so all use this, and behave alike. */
#pragma once
#include "emit.bpf.h"
#include "flavours.bpf.h"

/* 4,096 bytes hold at most 2,048 components; the rest is for mounts on the way. */
#define WALK_STEPS_MAX 2304
#define NAME_MASK      0xff

struct walk {
	const struct dentry *dentry;
	const struct mount *mount; /* NULL: not known */
	const struct dentry *mount_root;
	__u8 *buffer; /* filled from the end: the path so far is [at, WALK_SIZE) */
	__u32 at;
	__u32 flags; /* KS_F_PATH_CUT, KS_F_NO_PATH */
	__u32 done;
};

static __always_inline const struct mount *mount_of(const struct vfsmount *mnt)
{
	return (const void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* From a link in the list of an inode's names. */
static __always_inline const struct dentry *dentry_of_alias(const struct hlist_node *node)
{
	return (const void *)node - bpf_core_field_offset(struct dentry, d_u.d_alias);
}

/* Puts "/name" before what is there. Of a name that does not fit, its end is kept. */
static __always_inline void walk_put(struct walk *w, const unsigned char *name, __u32 length)
{
	__u32 room = w->at - 1;

	if (w->at < 2) {
		w->flags |= KS_F_PATH_CUT;
		w->done = 1;
		return;
	}
	if (length > room) {
		name += length - room;
		length = room;
		w->flags |= KS_F_PATH_CUT;
		w->done = 1;
	}
	length &= NAME_MASK;
	w->at -= length;
	if (bpf_probe_read_kernel(w->buffer + (w->at & (WALK_SIZE - 1)), length, name) < 0)
		w->flags |= KS_F_NO_PATH;
	w->at--;
	w->buffer[w->at & (WALK_SIZE - 1)] = '/';
}

static long walk_step(__u32 i, struct walk *w)
{
	const struct dentry *dentry = w->dentry, *parent;
	const struct mount *mount = w->mount;

	if (mount && dentry == w->mount_root) {
		const struct mount *above = PEEK(mount, mnt_parent);

		if (above == mount) {
			w->done = 1;
			return 1;
		}
		w->dentry = PEEK(mount, mnt_mountpoint);
		w->mount = above;
		w->mount_root = PEEK(above, mnt.mnt_root);
		return 0;
	}
	parent = PEEK(dentry, d_parent);
	if (parent == dentry) { /* the root of a file system, but not by way of a mount */
		w->flags |= KS_F_NO_PATH;
		w->done = 1;
		return 1;
	}
	walk_put(w, PEEK(dentry, d_name.name), PEEK(dentry, d_name.len));
	w->dentry = parent;
	return w->done & 1; /* the verifier wants to see that it is no more */
}

static __always_inline const struct vfsmount *mount_vfs(const struct mount *mount)
{
	return (const void *)mount + bpf_core_field_offset(struct mount, mnt);
}

static __always_inline void walk_begin(struct walk *w, struct draft *d, const struct dentry *dentry,
				       const struct mount *mount)
{
	w->dentry = dentry;
	w->mount = mount;
	w->mount_root = mount ? PEEK(mount, mnt.mnt_root) : NULL;
	w->buffer = d->walk;
	w->at = WALK_SIZE;
	w->flags = 0;
	w->done = 0;
}

/* Walks up from where walk_begin() stands and appends the path to the record. */
static __always_inline struct ks_text walk_end(struct walk *w, struct draft *d, __u32 *flags)
{
	__u32 at;

	if (!w->done)
		bpf_loop(WALK_STEPS_MAX, walk_step, w, 0);
	if (!w->done)
		w->flags |= KS_F_PATH_CUT;
	if (w->at == WALK_SIZE && !(w->flags & KS_F_NO_PATH)) { /* the root itself */
		w->at--;
		w->buffer[w->at & (WALK_SIZE - 1)] = '/';
	}
	if (w->flags & KS_F_NO_PATH && w->at) {
		w->at--;
		w->buffer[w->at & (WALK_SIZE - 1)] = '?';
		count_path_unknown();
	}
	*flags |= w->flags;
	at = w->at & (WALK_SIZE - 1);
	return emit_text(d, d->walk + at, WALK_SIZE - at);
}

/* A file that never had a path, as memfd_create() makes it: a dentry above which there is nothing, though it is
 * not the root of its mount. */
static __always_inline bool path_is_nameless(const struct path *path)
{
	const struct dentry *dentry = path->dentry;

	return dentry->d_parent == dentry && dentry != path->mnt->mnt_root && dentry->d_name.len > 1;
}

/* The path of an open file; a nameless one has its name alone ("memfd:NAME"). */
static __always_inline struct ks_text emit_path(struct draft *d, const struct path *path, __u32 *flags)
{
	struct walk w;

	if (path_is_nameless(path))
		return emit_text(d, path->dentry->d_name.name, path->dentry->d_name.len & NAME_MASK);
	walk_begin(&w, d, path->dentry, mount_of(path->mnt));
	return walk_end(&w, d, flags);
}

/* The same for a file to which a pointer was only found. */
static __always_inline struct ks_text emit_found_path(struct draft *d, const struct path *path, __u32 *flags)
{
	const struct dentry *dentry = PEEK(path, dentry);
	const struct vfsmount *mnt = PEEK(path, mnt);
	struct walk w;

	if (!PEEK(dentry, d_hash.pprev) && dentry != PEEK(mnt, mnt_root))
		*flags |= KS_F_DELETED;
	if (PEEK(dentry, d_parent) == dentry && dentry != PEEK(mnt, mnt_root))
		return emit_text(d, PEEK(dentry, d_name.name), PEEK(dentry, d_name.len) & NAME_MASK);
	walk_begin(&w, d, dentry, mount_of(mnt));
	return walk_end(&w, d, flags);
}

/* Has the file lost its name? A nameless one counts as deleted, as the kernel itself shows it. */
static __always_inline bool path_is_deleted(const struct path *path)
{
	const struct dentry *dentry = path->dentry;

	return !dentry->d_hash.pprev && dentry != path->mnt->mnt_root;
}
