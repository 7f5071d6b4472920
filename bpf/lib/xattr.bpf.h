/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Event 15: an extended attribute was set. */
#pragma once
#include "file.bpf.h"

#define XATTR_NAME_MAX 256 /* with its NUL */

struct stream_event {
	struct place place;
	const struct inode *inode;
	const void *name; /* kernel memory, as are the bytes of the value; NULL: not known */
	const void *value;
	__u32 value_length;
	__u32 flags;
};

static __always_inline struct ks_text emit_attribute_name(struct draft *d, const void *name)
{
	__u32 at = d->size & (KS_RECORD_MAX - 1);
	struct ks_text t = { .off = at };
	long n = bpf_probe_read_kernel_str(d->record + at, XATTR_NAME_MAX, name);

	if (n > 1) {
		t.len = bounded(n - 1, XATTR_NAME_MAX);
		d->size = at + t.len;
	}
	return t;
}

__noinline int stream_set(struct stream_event *e)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_FILE_STREAM *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags, kept;

	if (!e || !wanted(KS_FILE_STREAM) || is_spared(task, RECORD_BIT(KS_FILE_STREAM)))
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_FILE_STREAM, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = e->flags | task_flags(task);
	rec->birth_ns = inode_birth_ns(e->inode);
	file_id_read(&rec->file, e->inode);
	rec->path = emit_place(d, &e->place, &flags);
	rec->name = emit_attribute_name(d, e->name);
	rec->value_length = e->value_length;
	kept = e->value_length;
	if (kept > KS_XATTR_MAX)
		kept = KS_XATTR_MAX;
	if (e->value)
		rec->value = emit_text(d, e->value, kept);
	rec->hdr.flags = flags;
	emit_end(d, KS_FILE_STREAM);
	return 0;
}
