/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Files mapped executable. On kernels with tracepoints only, mmap and its kin are seen in CALL__exit. */
#include "vmlinux.h"

#include "lib/image.bpf.h"

/* Where a program begins is its loader, or, without one, the program itself. exec maps both before it is done. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(IMAGE_LOAD__loader, struct task_struct *task)
{
	const struct pt_regs *regs = (const void *)bpf_task_pt_regs(task);
	struct mapping m = {};

	if (!wanted(KS_IMAGE_LOAD))
		return 0;
	if (mapping_at(task->mm, regs->ip, &m))
		image_loaded(&m, KS_MAPPED_FIRST, 0);
	return 0;
}

/* The kernel tells perf of each mapping when it is made, and of each whose protection was changed, whatever call
 * did it. */
SEC("fentry/perf_event_mmap")
int BPF_PROG(IMAGE_LOAD__mapped, const struct vm_area_struct *vma)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct mapping m;

	if (!(vma->vm_flags & VM_EXEC) || BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
		return 0;
	mapping_read(&m, vma);
	image_loaded(&m, KS_MAPPED, 0);
	return 0;
}
