/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Event 100: a BPF program was loaded or attached by bpf(2). */
#pragma once
#include "file.bpf.h"

#define BPF_PROGRAM_NAME_MAX 16

struct bpf_call {
	__u32 command;
	__s32 result;
	const void *attributes; /* of the call, in the caller's memory or the kernel's */
	__u32 from_kernel;
	__u32 flags;
};

/* The file is made by the kernel for itself, and its name tells what it leads to: "bpf-prog", "bpf_link". */
static __always_inline const void *bpf_object_of(const struct file *file, char first)
{
	char name[8] = {};

	if (!file)
		return NULL;
	bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	if (name[0] != 'b' || name[1] != 'p' || name[2] != 'f' || name[4] != first)
		return NULL;
	return PEEK(file, private_data);
}

/* The program that a command attaches stands second in its attributes. Memory of the caller, but what it names was
 * just attached by it, and is looked at itself. */
static __always_inline __u32 bpf_attached_fd(const struct bpf_call *c)
{
	const void *at = c->attributes + 4;
	__u32 fd = -1;

	if (c->from_kernel)
		bpf_probe_read_kernel(&fd, sizeof(fd), at);
	else
		bpf_probe_read_user(&fd, sizeof(fd), at);
	return fd;
}

static __always_inline const struct bpf_prog *bpf_program_of(const struct task_struct *task, const struct bpf_call *c)
{
	const struct bpf_link *link;

	switch (c->command) {
	case BPF_PROG_LOAD:
		return bpf_object_of(file_of(task, c->result), 'p');
	case BPF_RAW_TRACEPOINT_OPEN:
	case BPF_LINK_CREATE:
		link = bpf_object_of(file_of(task, c->result), 'l');
		return link ? BPF_CORE_READ(link, prog) : NULL;
	case BPF_PROG_ATTACH:
	case BPF_LINK_UPDATE:
		return bpf_object_of(file_of(task, bpf_attached_fd(c)), 'p');
	}
	return NULL;
}

static __always_inline bool bpf_is_told(__u32 command)
{
	return command == BPF_PROG_LOAD || command == BPF_PROG_ATTACH || command == BPF_LINK_CREATE ||
	       command == BPF_RAW_TRACEPOINT_OPEN || command == BPF_LINK_UPDATE;
}

static __always_inline void bpf_describe(struct ks_rec_EBPF *rec, struct draft *d, const struct bpf_prog *program)
{
	const struct bpf_prog_aux *aux = BPF_CORE_READ(program, aux);
	char name[BPF_PROGRAM_NAME_MAX + 1] = {};
	long length = bpf_probe_read_kernel_str(name, BPF_PROGRAM_NAME_MAX,
						(const void *)aux + bpf_core_field_offset(struct bpf_prog_aux, name));

	rec->type = BPF_CORE_READ(program, type);
	if (length > 1)
		rec->BpfProgramName = emit_text(d, name, bounded(length - 1, BPF_PROGRAM_NAME_MAX));
}

__noinline int bpf_called(struct bpf_call *c)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_EBPF *rec;
	struct ks_who who = {};
	const struct bpf_prog *program;
	struct draft *d;

	if (!c || c->result < 0 || !bpf_is_told(c->command) || !wanted(KS_EBPF))
		return 0;
	program = bpf_program_of(task, c);
	who_fill(&who, task);
	d = emit_begin(KS_EBPF, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	rec->hdr.flags = c->flags | task_flags(task);
	rec->command = c->command;
	rec->BpfProgramId = c->command == BPF_PROG_LOAD ? c->result : 0;
	if (program)
		bpf_describe(rec, d, program);
	emit_end(d, KS_EBPF);
	return 0;
}
