/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* One process reaches into another: ptrace, process_vm_readv and its kin, /proc/PID/mem, pidfd_getfd; and processes
 * whose code is no longer that of their file. Requests and numbers stand in registers and are what the kernel used;
 * whom a number means is taken from the kernel's own look-up. */
#pragma once
#include "file.bpf.h"
#include "mapping.bpf.h"
#include "syscall.bpf.h"

/* Access rights, as Windows has them. */
#define ACCESS_READ   0x10
#define ACCESS_WRITE  0x20
#define ACCESS_HANDLE 0x40
#define ACCESS_ALL    0x1fffff

#define PTRACE_TRACEME   0
#define PTRACE_POKETEXT  4
#define PTRACE_POKEDATA  5
#define PTRACE_POKEUSR   6
#define PTRACE_SETREGS   13
#define PTRACE_ATTACH    16
#define PTRACE_SETREGSET 0x4205
#define PTRACE_SEIZE     0x4206
#define NT_PRSTATUS      1
#define USER_IP          128 /* where POKEUSR finds the instruction pointer */
#define USER_IP_COMPAT   48

#define FMODE_READ  0x1
#define FMODE_WRITE 0x2

extern struct task_struct *bpf_task_from_vpid(int vpid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;
const volatile bool kernel_finds_tasks; /* the loader knows: the two above are there (6.14) */

/* Whom the current task reached for. */
struct reached {
	struct ks_who who;
	__u64 mm;
	__u64 regs;
	__u64 ip;      /* at the latest of its ptrace calls, of this thread: */
	__u32 ip_tid;
	__u32 there;   /* does it hold somebody for the call that is being made? */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct reached);
} reached_tasks SEC(".maps");

/* Was /proc/PID/mem ever opened for writing? Until then no write(2) needs a look (WATCHED_LATER). */
__u32 memory_opened = 0;

static __always_inline void who_read(struct ks_who *who, const struct task_struct *task)
{
	const struct cred *cred = PEEK(task, cred);

	who->start_ns = PEEK(PEEK(task, group_leader), start_boottime);
	who->exec_id = PEEK(task, self_exec_id);
	who->tgid = PEEK(task, tgid);
	who->tid = PEEK(task, pid);
	who->uid = PEEK(cred, euid.val);
	who->gid = PEEK(cred, egid.val);
}

static __always_inline struct reached *reached_of(const struct task_struct *task, __u64 flags)
{
	return bpf_task_storage_get(&reached_tasks, (void *)task, NULL, flags);
}

static __always_inline void reached_fill(struct reached *r, struct task_struct *target)
{
	who_read(&r->who, target);
	r->mm = (__u64)PEEK(target, mm);
	r->regs = (__u64)bpf_task_pt_regs(target);
	r->there = 1;
}

/* Whom this number means to the current task. NULL: nobody, or this kernel cannot tell. */
static __always_inline struct reached *reach(const struct task_struct *task, int number)
{
	struct reached *r = reached_of(task, kernel_finds_tasks ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	struct task_struct *target;

	if (!kernel_finds_tasks || !r)
		return r && r->there ? r : NULL;
	target = bpf_task_from_vpid(number);
	if (!target)
		return NULL;
	reached_fill(r, target);
	bpf_task_release(target);
	return r;
}

static __always_inline const struct task_struct *task_of_pid(const struct pid *pid)
{
	const struct hlist_node *first = PEEK(pid, tasks[0].first);

	return first ? (const void *)first - bpf_core_field_offset(struct task_struct, pid_links[0]) : NULL;
}

/* --- records */

/* Not inlined, so that its record takes no room on the stack while mappings are looked for. */
static __noinline int tell_access(const struct ks_who *source, const struct ks_who *target, __u32 access)
{
	struct ks_rec_PROCESS_ACCESS rec = {};

	if (source->tgid == target->tgid || !wanted(KS_PROCESS_ACCESS) ||
	    is_spared_who(source, RECORD_BIT(KS_PROCESS_ACCESS)))
		return 0;
	header_fill(&rec.hdr, KS_PROCESS_ACCESS, source);
	rec.target = *target;
	rec.access = access;
	rec.hdr.flags = task_flags(bpf_get_current_task_btf());
	emit_fixed(&rec.hdr, KS_PROCESS_ACCESS, sizeof(rec));
	return 0;
}

struct tampered_key {
	__u64 start_ns;
	__u64 exec_id;
	__u32 tgid;
	__u32 how;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct tampered_key);
	__type(value, __u32);
} tampered SEC(".maps");

/* Once for a process image. */
static __always_inline void tell_tampering(const struct ks_who *whose, __u32 how)
{
	struct tampered_key key = {
		.start_ns = whose->start_ns, .exec_id = whose->exec_id, .tgid = whose->tgid, .how = how,
	};
	struct ks_rec_PROCESS_TAMPERING rec = {};
	__u32 one = 1;

	if (!wanted(KS_PROCESS_TAMPERING) || is_spared_who(whose, RECORD_BIT(KS_PROCESS_TAMPERING)) ||
	    bpf_map_lookup_elem(&tampered, &key) || bpf_map_update_elem(&tampered, &key, &one, BPF_NOEXIST) < 0)
		return;
	header_fill(&rec.hdr, KS_PROCESS_TAMPERING, whose);
	rec.how = how;
	emit_fixed(&rec.hdr, KS_PROCESS_TAMPERING, sizeof(rec));
}

static __always_inline bool is_program(const struct mm_struct *mm, const struct file *file)
{
	return file && PEEK(mapped_path(file), dentry) == PEEK(PEEK(mm, exe_file), f_path.dentry);
}

/* Something executable that is not the program's file now lies where exec had put the program's code. */
static __always_inline void look_for_replaced_text(const struct task_struct *task, const struct mapping *m)
{
	const struct mm_struct *mm = task->mm;
	struct ks_who who = {};

	if (!mm || !(m->flags & VM_EXEC) || m->from >= mm->end_code || m->to <= mm->start_code ||
	    is_program(mm, m->file) || is_ignored(task))
		return;
	who_fill(&who, task);
	tell_tampering(&who, KS_TAMPERED_REPLACED);
}

/* The current task wrote to this address of another process, or set where it goes on (moved). A global function:
 * looked at once by the verifier. */
__noinline int code_changed(struct reached *r, __u64 address, __u32 moved)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_REMOTE_THREAD *rec;
	struct ks_who who = {}, target;
	const struct mm_struct *mm;
	struct mapping m = {};
	struct draft *d;
	__u32 flags;

	if (!r)
		return 0;
	target = r->who;
	mm = (const void *)r->mm;
	mapping_at(mm, address, &m);
	if (!moved && !(m.flags & VM_EXEC))
		return 0;
	if (!moved && is_program(mm, m.file))
		tell_tampering(&target, KS_TAMPERED_REPLACED);
	who_fill(&who, task);
	if (who.tgid == target.tgid || !wanted(KS_REMOTE_THREAD) ||
	    is_spared_who(&who, RECORD_BIT(KS_REMOTE_THREAD)))
		return 0;
	d = emit_begin(KS_REMOTE_THREAD, sizeof(*rec), &who);
	if (!d)
		return 0;

	rec = (void *)d->record;
	flags = task_flags(task);
	rec->target = target;
	rec->address = address;
	if (m.file)
		rec->module = emit_found_path(d, mapped_path(m.file), &flags);
	rec->hdr.flags = flags;
	emit_end(d, KS_REMOTE_THREAD);
	return 0;
}

/* --- system calls that have returned */

static __always_inline __u64 user_word(const struct task_struct *task, __u64 address, __u32 index)
{
	__u64 word = 0;

	if (task->thread_info.status & TS_COMPAT)
		bpf_probe_read_user(&word, 4, (const void *)(address + 4 * index));
	else
		bpf_probe_read_user(&word, 8, (const void *)(address + 8 * index));
	return word;
}

#define VECTORS 8 /* parts of one process_vm_writev that are looked at */

/* Where it wrote stands in the caller's memory only: the pages are those, or another thread lies. */
static __always_inline void vectors_written(const struct task_struct *task, const struct pt_regs *regs,
					    struct reached *r)
{
	__u64 vectors = argument(task, regs, 3), count = argument(task, regs, 4);

#pragma unroll
	for (__u32 i = 0; i < VECTORS; i++)
		if (i < count)
			code_changed(r, user_word(task, vectors, 2 * i), 0);
}

/* ip: where the thread goes on now. It is a change if it was elsewhere at the tracer's latest call. */
static __always_inline void traced(const struct task_struct *task, const struct pt_regs *regs, struct reached *r)
{
	__u64 at = argument(task, regs, 2), ip = PEEK((const struct pt_regs *)r->regs, ip);
	bool moved = r->ip_tid != r->who.tid || r->ip != ip;
	struct ks_who who = {};

	who_fill(&who, task);
	switch (argument(task, regs, 0)) {
	case PTRACE_ATTACH:
	case PTRACE_SEIZE:
		tell_access(&who, &r->who, ACCESS_ALL);
		break;
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		code_changed(r, at, 0);
		break;
	case PTRACE_POKEUSR:
		if (at == (task->thread_info.status & TS_COMPAT ? USER_IP_COMPAT : USER_IP) && moved)
			code_changed(r, ip, 1);
		break;
	case PTRACE_SETREGSET:
		if (at != NT_PRSTATUS)
			break;
		/* fall through */
	case PTRACE_SETREGS:
		if (moved)
			code_changed(r, ip, 1);
	}
	r->ip = ip;
	r->ip_tid = r->who.tid;
}

/* Who is traced of its own accord gives itself to its parent. */
static __always_inline void traced_by_parent(const struct task_struct *task)
{
	struct ks_who parent = {}, who = {};

	who_fill(&who, task);
	who_read(&parent, task->real_parent);
	tell_access(&parent, &who, ACCESS_ALL);
}

static __always_inline void descriptor_taken(const struct task_struct *task, const struct pt_regs *regs)
{
	const struct file *pidfd = file_of(task, argument(task, regs, 0));
	const struct task_struct *target;
	struct ks_who who = {}, other = {};
	const struct pid *pid;

	if (!pidfd)
		return;
	pid = PEEK(pidfd, private_data);
	if (!pid) /* from 6.9 on a pidfd is a file of its own file system */
		pid = PEEK(PEEK(pidfd, f_inode), i_private);
	target = pid ? task_of_pid(pid) : NULL;
	if (!target)
		return;
	who_fill(&who, task);
	who_read(&other, target);
	tell_access(&who, &other, ACCESS_HANDLE);
}

static __always_inline void access_returned(const struct task_struct *task, const struct pt_regs *regs, __u8 kind,
					    long result)
{
	struct reached *r;
	struct ks_who who = {};

	if (kind == GET_FD) {
		if (result >= 0)
			descriptor_taken(task, regs);
		return;
	}
	if (kind == PTRACE && argument(task, regs, 0) == PTRACE_TRACEME) {
		if (result == 0)
			traced_by_parent(task);
		return;
	}
	r = reach(task, argument(task, regs, kind == PTRACE ? 1 : 0));
	if (!r)
		return;
	r->there = 0;
	if (result < 0)
		return;
	if (kind == PTRACE) {
		traced(task, regs, r);
		return;
	}
	who_fill(&who, task);
	tell_access(&who, &r->who, kind == VM_READ ? ACCESS_READ : ACCESS_WRITE);
	if (kind == VM_WRITE && result > 0)
		vectors_written(task, regs, r);
}

/* --- /proc/PID/mem */

/* Whose memory is this file? NULL: it is no such file. */
static __always_inline const struct task_struct *memory_of(const struct file *file)
{
	const struct inode *inode = PEEK(file, f_inode);
	const struct dentry *dentry = PEEK(file, f_path.dentry);
	const struct proc_inode *outer;
	const struct pid *pid;
	char name[4] = {};

	if (PEEK(PEEK(inode, i_sb), s_magic) != PROC_SUPER_MAGIC || PEEK(dentry, d_name.len) != 3)
		return NULL;
	bpf_probe_read_kernel(name, 3, PEEK(dentry, d_name.name));
	if (name[0] != 'm' || name[1] != 'e' || name[2] != 'm')
		return NULL;
	outer = (const void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	pid = PEEK(outer, pid);
	return pid ? task_of_pid(pid) : NULL;
}

/* Also of who opens it unwatched: what is done with it is another event, and perhaps by somebody else. */
static __always_inline const struct task_struct *memory_noted(const struct file *file)
{
	const struct task_struct *target = memory_of(file);

	if (target && PEEK(file, f_mode) & FMODE_WRITE)
		memory_opened = 1;
	return target;
}

static __always_inline void memory_file_opened(const struct task_struct *task, const struct file *file)
{
	const struct task_struct *target = memory_noted(file);
	struct ks_who who = {}, other = {};
	__u32 mode;

	if (!target)
		return;
	mode = PEEK(file, f_mode);
	who_fill(&who, task);
	who_read(&other, target);
	tell_access(&who, &other,
		    (mode & FMODE_READ ? ACCESS_READ : 0) | (mode & FMODE_WRITE ? ACCESS_WRITE : 0));
}

static __always_inline void memory_written(const struct file *file, __u64 address)
{
	const struct task_struct *target = memory_of(file);
	struct reached r = {};

	if (!target)
		return;
	who_read(&r.who, target);
	r.mm = (__u64)PEEK(file, private_data);
	code_changed(&r, address, 0);
}
