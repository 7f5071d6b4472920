/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Processes: born, executing, ended; and those that are there already. The tracepoints are the same on
 * every kernel, and so are these programs. */
#include "vmlinux.h"

#include "lib/context.bpf.h"
#include "lib/emit.bpf.h"
#include "lib/file.bpf.h"
#include "lib/flavours.bpf.h"
#include "lib/path.bpf.h"
#include "lib/task.bpf.h"

#define SIGNAL_GROUP_EXIT 0x4
#define PFA_NO_NEW_PRIVS  0x1

SEC("tp_btf/sched_process_fork")
int BPF_PROG(PROCESS_FORK__tp, struct task_struct *parent, struct task_struct *child)
{
	struct ks_rec_PROCESS_FORK rec = {};
	struct ks_who who = {};

	/* A thread is no process. One that the kernel makes for itself becomes one when it executes. */
	if (child->pid != child->tgid || child->flags & PF_KTHREAD)
		return 0;

	ignore_child(parent, child);
	who_fill(&who, parent);
	header_fill(&rec.hdr, KS_PROCESS_FORK, &who);
	rec.child_tgid = child->tgid;
	rec.child_uid = child->cred->euid.val;
	rec.child_start_ns = child->start_boottime;
	rec.child_exec_id = child->self_exec_id;
	rec.child_login_uid = task_login_uid(child);
	rec.child_session_id = task_session_id(child);
	emit_fixed(&rec.hdr, KS_PROCESS_FORK, sizeof(rec));
	return 0;
}

static __always_inline void parent_fill(struct ks_rec_PROCESS_CREATE *rec, const struct task_struct *task)
{
	const struct task_struct *parent = task->real_parent;

	rec->parent_tgid = parent->tgid;
	rec->parent_start_ns = parent->group_leader->start_boottime;
	rec->parent_exec_id = parent->self_exec_id;
}

static __always_inline void rights_fill(struct ks_rec_PROCESS_CREATE *rec, const struct task_struct *task)
{
	rec->login_uid = task_login_uid(task);
	rec->session_id = task_session_id(task);
	rec->cap_effective = cred_cap_effective(task->cred);
	rec->user_ns_level = task->cred->user_ns->level;
	if (bpf_core_field_exists(task->seccomp.mode))
		rec->seccomp_mode = task->seccomp.mode;
	rec->no_new_privs = task->atomic_flags & PFA_NO_NEW_PRIVS;
}

/* The memory is the new image's and no other thread is there yet: nobody can have changed the arguments. */
static __always_inline void argv_fill(struct ks_rec_PROCESS_CREATE *rec, struct draft *d,
				      const struct mm_struct *mm, __u32 *flags)
{
	__u64 from = mm->arg_start, length = mm->arg_end - from;
	bool ok;

	rec->argv_length = length;
	if (length >= KS_ARGV_MAX) {
		length = KS_ARGV_MAX - 1;
		*flags |= KS_F_ARGV_CUT;
	}
	rec->argv = emit_user_text(d, (const void *)from, length, &ok);
	if (!ok)
		*flags |= KS_F_ARGV_GONE;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(PROCESS_CREATE__tp, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct ks_rec_PROCESS_CREATE *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags = task_flags(task);

	who_fill(&who, task);
	d = emit_begin(KS_PROCESS_CREATE, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	parent_fill(rec, task);
	rights_fill(rec, task);
	file_id_fill(&rec->exe, bprm->file->f_inode);
	if (path_is_deleted(&bprm->file->f_path))
		flags |= KS_F_DELETED;
	rec->image = emit_path(d, &bprm->file->f_path, &flags);
	rec->CurrentDirectory = emit_path(d, &task->fs->pwd, &flags);
	argv_fill(rec, d, task->mm, &flags);
	if (context_wanted) {
		rec->script = emit_script(d, bprm);
		rec->cgroup = emit_cgroup(d, task);
		rec->pid_ns = task_pid_ns(task);
		rec->mnt_ns = task_mnt_ns(task);
	}
	rec->hdr.flags = flags;
	emit_end(d, KS_PROCESS_CREATE);
	return 0;
}

/* Two threads that end at the same time may both find nobody left: the first to enter itself here tells. */
struct process_key {
	__u64 start_ns;
	__u64 tgid;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct process_key);
	__type(value, __u32);
} ended SEC(".maps");

static __always_inline bool is_first_to_tell(const struct ks_who *who, const struct task_struct *task)
{
	struct process_key key = { .start_ns = who->start_ns, .tgid = who->tgid };
	__u32 one = 1;

	/* Alone by now, or always: of two, the first may be gone already when the second comes. */
	if (task->signal->nr_threads == 1)
		return !bpf_map_lookup_elem(&ended, &key);
	return bpf_map_update_elem(&ended, &key, &one, BPF_NOEXIST) == 0;
}

/* As wait(2) shows it: what exit_group() or the fatal signal left for all, else what the leader left. */
static __always_inline __u32 exit_status(const struct task_struct *task)
{
	if (task->signal->flags & SIGNAL_GROUP_EXIT)
		return task->signal->group_exit_code;
	return task->group_leader->exit_code;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(PROCESS_TERMINATE__tp, struct task_struct *task)
{
	struct ks_rec_PROCESS_TERMINATE rec = {};
	struct ks_who who = {};

	/* Not "tgid == pid": a leader may leave with pthread_exit() while its threads run on. The process
	 * has ended when the last of them goes, and then live is 0. An exec by another thread than the
	 * leader ends the leader too, but that thread is alive. */
	if (task->signal->live.counter != 0 || task->flags & PF_KTHREAD)
		return 0;
	who_fill(&who, task);
	if (!is_first_to_tell(&who, task))
		return 0;

	header_fill(&rec.hdr, KS_PROCESS_TERMINATE, &who);
	rec.exit_code = exit_status(task);
	emit_fixed(&rec.hdr, KS_PROCESS_TERMINATE, sizeof(rec));
	ignore_no_more(task);
	return 0;
}

/* --- the processes that are there already, read by user space as from a file */

SEC("iter/task")
int PROCESS_ALIVE__iter(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *parent;
	struct ks_rec_PROCESS_ALIVE *rec;
	struct draft *d;
	const struct file *exe;
	__u32 flags = 0;

	/* A thread stands for a leader that left before it. */
	if (!task || !task->mm || task->flags & PF_KTHREAD ||
	    (task->pid != task->tgid && task->group_leader->mm))
		return 0;
	d = draft_take();
	if (!d)
		return 0;

	rec = (void *)d->record;
	__builtin_memset(rec, 0, sizeof(*rec));
	d->size = sizeof(*rec);
	rec->hdr.type = KS_PROCESS_ALIVE;
	rec->hdr.time_ns = bpf_ktime_get_boot_ns();
	who_fill(&rec->hdr.who, task);
	parent = task->real_parent;
	rec->parent_tgid = parent->tgid;
	rec->parent_start_ns = parent->group_leader->start_boottime;
	rec->parent_exec_id = parent->self_exec_id;
	rec->login_uid = task_login_uid(task);
	rec->session_id = task_session_id(task);
	exe = task->mm->exe_file;
	if (exe) {
		if (path_is_deleted(&exe->f_path))
			flags |= KS_F_DELETED;
		rec->image = emit_path(d, &exe->f_path, &flags);
		file_id_read(&rec->exe, exe->f_inode);
	}
	if (context_wanted) {
		rec->cgroup = emit_cgroup(d, task);
		rec->pid_ns = task_pid_ns(task);
		rec->mnt_ns = task_mnt_ns(task);
	}
	rec->hdr.flags = flags;
	emit_padding(d); /* the next one follows at once */
	rec->hdr.size = d->size;
	bpf_seq_write(ctx->meta->seq, rec, d->size & (KS_RECORD_MAX - 1));
	draft_drop(d);
	return 0;
}
