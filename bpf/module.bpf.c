/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Kernel modules: told when they are in their place and about to run, in the context of whoever loads them. */
#include "vmlinux.h"

#include "lib/file.bpf.h"
#include "lib/syscall.bpf.h"

#define FINIT_MODULE        313
#define COMPAT_FINIT_MODULE 350

/* The file, if it comes from one. */
static __always_inline const struct file *module_file(const struct task_struct *task)
{
	const struct pt_regs *regs = (const void *)bpf_task_pt_regs((void *)task);
	bool compat = task->thread_info.status & TS_COMPAT;

	if (regs->orig_ax != (compat ? COMPAT_FINIT_MODULE : FINIT_MODULE))
		return NULL;
	return file_of(task, argument(task, regs, 0));
}

SEC("tp_btf/module_load")
int BPF_PROG(DRIVER_LOAD__tp, struct module *module)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct module___signed *with_signature = (const void *)module;
	const struct file *file = module_file(task);
	struct place place = {};
	struct ks_rec_DRIVER_LOAD *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags;
	char name[56];
	long length;

	who_fill(&who, task);
	d = emit_begin(KS_DRIVER_LOAD, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = task_flags(task);
	if (bpf_core_field_exists(with_signature->sig_ok))
		rec->verified = BPF_CORE_READ(with_signature, sig_ok);
	length = bpf_probe_read_kernel_str(name, sizeof(name), module->name);
	if (length > 1)
		rec->name = emit_text(d, name, bounded(length - 1, 64));
	if (file) {
		place.dentry = PEEK(file, f_path.dentry);
		place.mnt = PEEK(file, f_path.mnt);
		file_id_read(&rec->file, PEEK(file, f_inode));
		rec->path = emit_place(d, &place, &flags);
	}
	rec->hdr.flags = flags;
	emit_end(d, KS_DRIVER_LOAD);
	return 0;
}
