/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* One process reaches into another, and programs that are not what their file is. On kernels with tracepoints only,
 * calls are seen in CALL__exit. */
#include "vmlinux.h"

#include "lib/access.bpf.h"

/* The look-up that ptrace and process_vm_* make: what they do next they do to this task. */
SEC("fexit/find_get_task_by_vpid")
int BPF_PROG(ACCESS__target, int number, struct task_struct *target)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct reached *r;

	if (!target)
		return 0;
	r = reached_of(task, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (r)
		reached_fill(r, target);
	else
		count_missed();
	return 0;
}

/* Each call has two doors, and what goes through one stands in the registers of another. */
static __always_inline int call_ended(__u8 kind, long result)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct pt_regs *regs = (const void *)bpf_task_pt_regs((void *)task);

	if (!is_ignored(task))
		access_returned(task, regs, kind, result);
	return 0;
}

#define CALL_ENDS(program, kind, native, compat)                                                       \
	SEC("fexit/" native)                                                                           \
	int BPF_PROG(ACCESS__##program, const struct pt_regs *registers, long result)                  \
	{                                                                                              \
		return call_ended(kind, result);                                                       \
	}                                                                                              \
	SEC("fexit/" compat)                                                                           \
	int BPF_PROG(ACCESS__##program##_compat, const struct pt_regs *registers, long result)         \
	{                                                                                              \
		return call_ended(kind, result);                                                       \
	}

CALL_ENDS(traced, PTRACE, "__x64_sys_ptrace", "__ia32_compat_sys_ptrace")
CALL_ENDS(vectors_read, VM_READ, "__x64_sys_process_vm_readv", "__ia32_sys_process_vm_readv")
CALL_ENDS(vectors_written, VM_WRITE, "__x64_sys_process_vm_writev", "__ia32_sys_process_vm_writev")
CALL_ENDS(taken, GET_FD, "__x64_sys_pidfd_getfd", "__ia32_sys_pidfd_getfd")

SEC("fexit/do_filp_open")
int BPF_PROG(ACCESS__open, int at, void *name, const struct open_flags *op, struct file *file)
{
	const struct task_struct *task = bpf_get_current_task_btf();

	if ((__u64)file < ERR_MIN && !(task->flags & PF_KTHREAD) && !is_ignored(task))
		memory_file_opened(task, file);
	return 0;
}

SEC("fexit/mem_write")
int BPF_PROG(ACCESS__written, struct file *file, const char *buffer, unsigned long count, __u64 *position,
	     long written)
{
	__u64 end = 0;

	if (written <= 0 || is_ignored(bpf_get_current_task_btf()))
		return 0;
	bpf_probe_read_kernel(&end, sizeof(end), position);
	memory_written(file, end - written);
	return 0;
}

/* --- processes that are not what their file is */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(TAMPERING__exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	const struct path *path = &bprm->file->f_path;
	struct ks_who who = {};

	if (!path_is_deleted(path))
		return 0;
	who_fill(&who, task);
	tell_tampering(&who, path_is_nameless(path) ? KS_TAMPERED_MEMORY : KS_TAMPERED_DELETED);
	return 0;
}

/* prctl(PR_SET_MM_EXE_FILE): from now on /proc/PID/exe is another file. */
SEC("fexit/replace_mm_exe_file")
int BPF_PROG(TAMPERING__link, struct mm_struct *mm, struct file *file, int error)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ks_who who = {};

	if (error || is_ignored(task))
		return 0;
	who_fill(&who, task);
	tell_tampering(&who, KS_TAMPERED_REPLACED);
	return 0;
}

SEC("fentry/perf_event_mmap")
int BPF_PROG(TAMPERING__mapped, const struct vm_area_struct *vma)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct mapping m;

	if (!(vma->vm_flags & VM_EXEC) || BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
		return 0;
	mapping_read(&m, vma);
	look_for_replaced_text(task, &m);
	return 0;
}
