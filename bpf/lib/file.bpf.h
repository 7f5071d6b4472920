/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What both kinds of kernel share about files: which ones count, and the two records. */
#pragma once
#include "emit.bpf.h"
#include "flavours.bpf.h"
#include "path.bpf.h"
#include "task.bpf.h"
#include "drops.bpf.h"

/* What may come of an open, and of a name that comes or goes: each is several kinds of record, and a process of which none
 * of them is wanted may pass. */
#define OPEN_RECORDS                                                                          \
	(KS_DROP_NAMES | RECORD_BIT(KS_FILE_CREATE) | RECORD_BIT(KS_PIPE_CONNECT) | \
	 RECORD_BIT(KS_RAW_ACCESS) | RECORD_BIT(KS_PROCESS_ACCESS))
#define NAME_RECORDS                                                                 \
	(KS_DROP_NAMES | RECORD_BIT(KS_FILE_CREATE) | RECORD_BIT(KS_FILE_DELETE_DETECTED) | \
	 RECORD_BIT(KS_PIPE_CREATE))

#define S_IFMT  0170000
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define S_IFLNK 0120000
#define S_IFSOCK 0140000

#define O_TRUNC       00001000
#define O_PATH        010000000
#define TMPFILE_FLAG  020000000 /* __O_TMPFILE */
#define FMODE_CREATED 0x100000

#define RENAME_EXCHANGE 0x2

#define ERR_MIN 0xfffffffffffff001ull /* IS_ERR() */

static __always_inline bool is_regular(const struct inode *inode)
{
	return (inode->i_mode & S_IFMT) == S_IFREG;
}

/* Symbolic links count where they are settings: a link among those that a target wants enables a unit. */
static __always_inline bool is_counted(__u16 mode)
{
	__u16 type = mode & S_IFMT;

	return type == S_IFREG || (type == S_IFLNK && wanted(KS_LINK_CHANGED));
}

/* Files that are doors into the kernel: writing to them replaces no content. */
static __always_inline bool is_pseudo(const struct inode *inode)
{
	switch (PEEK(PEEK(inode, i_sb), s_magic)) {
	case PROC_SUPER_MAGIC:
	case 0x62656572: /* sysfs */
	case 0x27e0eb:   /* cgroup */
	case 0x63677270: /* cgroup2 */
	case 0x64626720: /* debugfs */
	case 0x74726163: /* tracefs */
	case 0x73636673: /* securityfs */
	case 0xcafe4a11: /* bpf */
	case 0x62656570: /* configfs */
	case 0xde5e81e4: /* efivarfs */
	case 0x42494e4d: /* binfmt_misc */
	case 0xf97cff8c: /* selinuxfs */
	case 0x43415d53: /* smackfs */
	case 0x65735543: /* fusectl */
	case 0x6e667364: /* nfsd */
		return true;
	}
	return false;
}

static __always_inline void file_id_fill(struct ks_file_id *id, const struct inode *inode)
{
	id->ino = inode->i_ino;
	id->size = inode->i_size;
	id->mtime_ns = inode_mtime_ns(inode);
	id->ctime_ns = inode_ctime_ns(inode);
	id->dev = inode->i_sb->s_dev;
	id->generation = inode->i_generation;
	id->nlink = inode->i_nlink;
	id->fs_magic = inode->i_sb->s_magic;
}

/* The same for an inode to which a pointer was only found. */
static __always_inline void file_id_read(struct ks_file_id *id, const struct inode *inode)
{
	const struct super_block *sb = PEEK(inode, i_sb);

	id->ino = PEEK(inode, i_ino);
	id->size = PEEK(inode, i_size);
	id->mtime_ns = inode_mtime_ns(inode);
	id->ctime_ns = inode_ctime_ns(inode);
	id->dev = PEEK(sb, s_dev);
	id->generation = PEEK(inode, i_generation);
	id->nlink = PEEK(inode, i_nlink);
	id->fs_magic = PEEK(sb, s_magic);
}

/* The file behind a descriptor; NULL: none. */
static __always_inline const struct file *file_of(const struct task_struct *task, __u32 fd)
{
	const struct fdtable *table = task->files->fdt;
	struct file **files = PEEK(table, fd);
	struct file *file = NULL;

	if (fd >= PEEK(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

struct name {
	__u32 length;
	__u8 bytes[NAME_MASK + 1];
};

static __always_inline void name_keep(struct name *name, const struct dentry *dentry)
{
	name->length = PEEK(dentry, d_name.len) & NAME_MASK;
	bpf_probe_read_kernel(name->bytes, bounded(name->length, NAME_MASK + 1), PEEK(dentry, d_name.name));
}

/* A name and the way up from it. */
struct place {
	const unsigned char *name; /* NULL: the dentry's own */
	__u32 name_length;
	const struct dentry *dentry; /* of the object, or of its directory if there is a name */
	const struct vfsmount *mnt;  /* NULL: not known */
};

static __always_inline struct ks_text emit_place(struct draft *d, const struct place *place, __u32 *flags)
{
	struct walk w;

	walk_begin(&w, d, place->dentry, place->mnt ? mount_of(place->mnt) : NULL);
	if (place->name)
		walk_put(&w, place->name, place->name_length);
	return walk_end(&w, d, flags);
}

/* A file that came or went by the current task's doing. */
struct file_event {
	struct place place;
	struct place from; /* where it was before a rename; no dentry: not known */
	const struct inode *inode; /* that came; may be a pointer that was only read, not handed to us */
	struct ks_file_id gone;    /* what went */
	__u32 how;
	__u32 flags;
	__u32 type; /* S_IFLNK: it is no file but a symbolic link */
	__u32 spare;
};

/* These are global functions, so that the verifier looks at each once and not at each call. */
__noinline int symlink_changed(struct file_event *e)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_LINK_CHANGED *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags, of_old = 0; /* these would say something about the new path */

	if (!e || !wanted(KS_LINK_CHANGED) || is_spared(task, KS_DROP_NAMES))
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_LINK_CHANGED, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = e->flags | task_flags(task);
	rec->how = e->how;
	rec->path = emit_place(d, &e->place, &flags);
	if (e->from.dentry)
		rec->from = emit_place(d, &e->from, &of_old);
	rec->hdr.flags = flags;
	emit_end(d, KS_LINK_CHANGED);
	return 0;
}

__noinline int file_came(struct file_event *e)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_FILE_CREATE *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags;

	if (e && e->type == S_IFLNK)
		return symlink_changed(e);
	if (!e || !wanted(KS_FILE_CREATE) || is_spared(task, RECORD_BIT(KS_FILE_CREATE) | KS_DROP_NAMES))
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_FILE_CREATE, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = e->flags | task_flags(task);
	rec->how = e->how;
	rec->birth_ns = inode_birth_ns(e->inode);
	rec->TargetFilename = emit_place(d, &e->place, &flags);
	if (e->from.dentry && wanted(KS_CONFIG_RENAME)) {
		__u32 of_old = 0; /* these would say something about the new path */

		rec->from = emit_place(d, &e->from, &of_old);
	}
	rec->hdr.flags = flags;
	emit_end(d, KS_FILE_CREATE);
	return 0;
}

__noinline int file_went(struct file_event *e)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_FILE_DELETE_DETECTED *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags;

	if (e && e->type == S_IFLNK)
		return symlink_changed(e);
	if (!e || !wanted(KS_FILE_DELETE_DETECTED) ||
	    is_spared(task, RECORD_BIT(KS_FILE_DELETE_DETECTED) | KS_DROP_NAMES))
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_FILE_DELETE_DETECTED, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = e->flags | task_flags(task);
	rec->how = e->how;
	rec->file = e->gone;
	rec->TargetFilename = emit_place(d, &e->place, &flags);
	rec->hdr.flags = flags;
	emit_end(d, KS_FILE_DELETE_DETECTED);
	return 0;
}
