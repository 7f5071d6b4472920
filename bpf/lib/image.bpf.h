/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What is executable in a process beside its program: told once for a process image and a file in one state.
 * The mapping itself is looked at, when it is there: its file and its protection are what the kernel made of
 * what it was asked for. */
#pragma once
#include "file.bpf.h"
#include "mapping.bpf.h"

#define READ_IMPLIES_EXEC 0x400000 /* of the personality: what is mapped readable becomes executable */

struct loaded_key {
	__u64 start_ns;
	__u64 exec_id;
	__u64 ino;
	__u64 ctime_ns;
	__u32 tgid;
	__u32 dev;
	__u32 generation; /* the number of an inode is used again, perhaps in the same tick of the clock */
	__u32 zero;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct loaded_key);
	__type(value, __u32);
} loaded SEC(".maps");

/* The files of which something was told: what user space asks here, before it opens one for its digest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ks_file_key);
	__type(value, __u32);
} mapped_files SEC(".maps");

static __always_inline bool is_told_first(const struct ks_who *who, const struct ks_file_id *id)
{
	struct loaded_key key = {
		.start_ns = who->start_ns,
		.exec_id = who->exec_id,
		.ino = id->ino,
		.ctime_ns = id->ctime_ns,
		.tgid = who->tgid,
		.dev = id->dev,
		.generation = id->generation,
	};
	struct ks_file_key file = { .ino = id->ino, .dev = id->dev };
	__u32 one = 1;

	if (bpf_map_lookup_elem(&loaded, &key) || bpf_map_update_elem(&loaded, &key, &one, BPF_NOEXIST) < 0)
		return false;
	if (!bpf_map_lookup_elem(&mapped_files, &file))
		bpf_map_update_elem(&mapped_files, &file, &one, BPF_ANY);
	return true;
}

/* The current task has this file executable in its memory. A global function: looked at once by the verifier. */
__noinline int image_loaded(struct mapping *m, __u32 how, __u32 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct mm_struct *mm = task->mm;
	struct ks_rec_IMAGE_LOAD *rec;
	const struct dentry *dentry;
	const struct path *path;
	struct ks_file_id id;
	struct ks_who who = {};
	struct draft *d;

	if (!m || !mm || !m->file || !(m->flags & VM_EXEC) || !wanted(KS_IMAGE_LOAD) || is_ignored(task))
		return 0;
	if (is_spared(task, RECORD_BIT(KS_IMAGE_LOAD)))
		return 0;
	path = mapped_path(m->file);
	dentry = PEEK(path, dentry);
	if (dentry == PEEK(PEEK(mm, exe_file), f_path.dentry)) /* the program itself */
		return 0;
	who_fill(&who, task);
	file_id_read(&id, PEEK(dentry, d_inode));
	if (!is_told_first(&who, &id))
		return 0;
	d = emit_begin(KS_IMAGE_LOAD, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags |= task_flags(task);
	rec->how = how;
	rec->from = m->from;
	rec->to = m->to;
	rec->file = id;
	rec->path = emit_found_path(d, path, &flags);
	rec->hdr.flags = flags;
	emit_end(d, KS_IMAGE_LOAD);
	return 0;
}
