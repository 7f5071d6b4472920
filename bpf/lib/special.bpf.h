/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Events 9, 17 and 18: what is opened or named like a file and holds no content. */
#pragma once
#include "file.bpf.h"

#define S_IFIFO 0010000
#define S_IFCHR 0020000
#define S_IFBLK 0060000

#define FMODE_PATH   0x4000 /* only a name: nothing was opened */
#define PIPEFS_MAGIC 0x50495045
#define AF_UNIX      1

/* --- raw devices */

#define MAJOR(number) ((number) >> 20)
#define MINOR(number) ((number) & 0xfffff)
#define MAJOR_MEMORY  1
#define MAJOR_SCSI    21  /* sg: the disk by commands */
#define MAJOR_RAW     162

/* By type and number, whatever its node is called and wherever it lies. */
static __always_inline bool is_raw_device(__u16 type, __u32 number)
{
	if (type == S_IFBLK)
		return true;
	switch (MAJOR(number)) {
	case MAJOR_MEMORY: /* mem, kmem, port */
		return MINOR(number) == 1 || MINOR(number) == 2 || MINOR(number) == 4;
	case MAJOR_SCSI:
	case MAJOR_RAW:
		return true;
	}
	return false;
}

struct special_event {
	struct place place;
	const struct unix_sock *socket; /* of PIPE_CREATE and PIPE_CONNECT; NULL: the place is that of a FIFO */
	__u32 number;                   /* of RAW_ACCESS */
	__u32 flags;
};

__noinline int raw_device_opened(struct special_event *e)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_RAW_ACCESS *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags;

	if (!e || !wanted(KS_RAW_ACCESS) || is_spared(task, RECORD_BIT(KS_RAW_ACCESS)))
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_RAW_ACCESS, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = e->flags | task_flags(task);
	rec->number = e->number;
	rec->Device = emit_place(d, &e->place, &flags);
	rec->hdr.flags = flags;
	emit_end(d, KS_RAW_ACCESS);
	return 0;
}

/* --- FIFOs and Unix sockets */

#define UNIX_FAMILY_SIZE 2 /* before the name in an address */

/* The kernel's own copy of the name: a path as it was walked, or an abstract name, whose first byte is NUL and
 * shown as "@". Its length counts: it may hold more of them. */
static __always_inline struct ks_text emit_unix_name(struct draft *d, const struct unix_sock *socket,
						     __u32 *flags)
{
	struct place place = { .dentry = BPF_CORE_READ(socket, path.dentry),
			       .mnt = BPF_CORE_READ(socket, path.mnt) };
	const struct unix_address *address = BPF_CORE_READ(socket, addr);
	struct ks_text name;
	__u64 length;

	if (place.dentry)
		return emit_place(d, &place, flags);
	length = BPF_CORE_READ(address, len) - UNIX_FAMILY_SIZE;
	name = emit_text(d, (const void *)address + bpf_core_field_offset(struct unix_address, name) +
				    UNIX_FAMILY_SIZE,
			 bounded(length, 128));
	if (name.len)
		d->record[name.off & (KS_RECORD_MAX - 1)] = '@';
	return name;
}

static __always_inline void tell_endpoint(const struct special_event *e, __u32 type)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_PIPE_CREATE *rec; /* the other is the same */
	struct ks_who who = {};
	struct draft *d;
	__u32 flags;

	_Static_assert(sizeof(struct ks_rec_PIPE_CREATE) == sizeof(struct ks_rec_PIPE_CONNECT), "one form");
	if (!wanted(type) || is_spared(task, RECORD_BIT(type)))
		return;
	who_fill(&who, task);
	d = emit_begin(type, sizeof(*rec), &who);
	if (!d)
		return;

	rec = (void *)d->record;
	flags = e->flags | task_flags(task);
	rec->what = e->socket ? KS_PIPE_UNIX : KS_PIPE_FIFO;
	rec->PipeName = e->socket ? emit_unix_name(d, e->socket, &flags) : emit_place(d, &e->place, &flags);
	rec->hdr.flags = flags;
	emit_end(d, type);
}

__noinline int endpoint_created(struct special_event *e)
{
	if (e)
		tell_endpoint(e, KS_PIPE_CREATE);
	return 0;
}

__noinline int endpoint_connected(struct special_event *e)
{
	if (e)
		tell_endpoint(e, KS_PIPE_CONNECT);
	return 0;
}

static __always_inline bool is_unix(const struct sock *sk)
{
	return bpf_core_type_exists(struct unix_sock) && PEEK(sk, __sk_common.skc_family) == AF_UNIX;
}

/* The socket got a name, other than by connecting or sending. */
static __always_inline void socket_bound(const struct sock *sk, __u32 flags)
{
	const struct unix_sock *socket = (const void *)sk;
	struct special_event e = { .socket = socket, .flags = flags };

	if (is_unix(sk) && BPF_CORE_READ(socket, addr))
		endpoint_created(&e);
}

/* It is connected: its peer has the name of what it was connected to. (One that was taken apart has none.) */
static __always_inline void socket_connected(const struct sock *sk, __u32 flags)
{
	const struct unix_sock *socket = (const void *)sk, *peer;
	struct special_event e = { .flags = flags };

	if (!is_unix(sk))
		return;
	peer = (const void *)BPF_CORE_READ(socket, peer);
	e.socket = peer;
	if (peer && BPF_CORE_READ(peer, addr))
		endpoint_connected(&e);
}

/* --- open */

/* A file that is neither regular nor a directory was opened. */
static __always_inline void special_opened(const struct file *file, const struct inode *inode, __u16 type,
					   __u32 flags)
{
	struct special_event e = { .flags = flags };

	if (PEEK(file, f_mode) & FMODE_PATH)
		return;
	e.place.dentry = PEEK(file, f_path.dentry);
	e.place.mnt = PEEK(file, f_path.mnt);
	if (type == S_IFIFO) {
		if (PEEK(PEEK(inode, i_sb), s_magic) != PIPEFS_MAGIC) /* by /proc/PID/fd */
			endpoint_connected(&e);
		return;
	}
	if (type != S_IFBLK && type != S_IFCHR)
		return;
	e.number = PEEK(inode, i_rdev);
	if (is_raw_device(type, e.number))
		raw_device_opened(&e);
}
