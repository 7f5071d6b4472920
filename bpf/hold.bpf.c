/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What waits for a word of the engine before it is done: the deletion of a file that may have to be kept, the
 * overwriting of one that may have to be saved. Only on kernels that let functions change what security hooks return.
 *
 * Nobody is stopped for it. A call that waits is begun anew (ERESTARTNOINTR), again and again, until the word comes or
 * it has waited too long; in between its process can be killed, stopped or scheduled like any. So whoever of us dies,
 * and if all do, nothing is left behind: the deadline lies here, and without us the hook is gone. */
#include "vmlinux.h"

#include "lib/file.bpf.h"

#define ERESTARTNOINTR 513
#define EPERM          1
#define MAY_WRITE      2
#define O_APPEND       00002000
#define SIGCONT        18
#define SIGSTOP        19
#define TIF_SIGPENDING 0x4

#define DEADLINE_NS 2000000000ull
#define REST_NS     5000000000ull /* after a deadline has passed, nobody waits for so long: the engine is not there */
#define SPINS       16384u        /* some hundred microseconds: mostly the word comes meanwhile */
#define SPINS_LONG  1048576u      /* some ten milliseconds, for those that cannot begin anew */

struct hold_state {
	__u64 ticket; /* the latest */
	__u64 rests_until_ns;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hold_state);
} hold_states SEC(".maps");

/* What this thread waits for. */
struct held {
	__u64 ticket, since_ns, ino;
	__u32 dev, what; /* KS_HELD_*; 0: nothing */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct held);
} holds SEC(".maps");

/* Counts the changes of the rules; set by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} generations SEC(".maps");

/* Who may write to which file: asked once, until other rules come. */
struct permitted {
	__u64 ino, start_ns;
	__u32 dev, tgid;
	__u32 inode_generation, zero;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct permitted);
	__type(value, __u64); /* the generation of the rules that permitted it */
} permissions SEC(".maps");

__noinline int file_held(struct file_event *e, __u64 ticket, __u32 what)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_FILE_HELD *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags, size;

	if (!e)
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_FILE_HELD, sizeof(*rec), &who);
	if (!d)
		return 0;
	rec = (void *)d->record;
	flags = task_flags(task);
	rec->what = what;
	rec->ticket = ticket;
	rec->file = e->gone;
	rec->path = emit_place(d, &e->place, &flags);
	rec->hdr.flags = flags;
	size = d->size;
	rec->hdr.size = size;
	if (size > KS_RECORD_MAX)
		size = KS_RECORD_MAX;
	if (bpf_ringbuf_output(ring_of(KS_FILE_HELD), d->record, size, BPF_RB_FORCE_WAKEUP) < 0)
		count_lost(KS_FILE_HELD);
	draft_drop(d);
	return 0;
}

struct listening {
	__u64 ticket, verdict;
};

static long listen_once(__u32 i, struct listening *l)
{
	__u32 key = l->ticket & (KS_VERDICTS - 1);
	volatile __u64 *slot = bpf_map_lookup_elem(&verdicts, &key);
	__u64 word;

	if (!slot)
		return 1;
	word = *slot;
	if (word >> 2 != l->ticket)
		return 0;
	l->verdict = word & 3;
	return 1;
}

/* Makes the return to user space begin the call anew. That happens only with a signal pending: a stop signal that is
 * taken back at once is one, and does nothing. */
static __always_inline bool begin_anew(const struct task_struct *task)
{
	if (task->thread_info.flags & TIF_SIGPENDING)
		return true;
	return bpf_send_signal_thread(SIGSTOP) == 0 && bpf_send_signal(SIGCONT) == 0;
}

/* KS_VERDICT_*; KS_VERDICT_NONE: the call is to begin anew. */
static __always_inline __u32 hold(struct file_event *e, __u32 what)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct listening l = {};
	struct hold_state *state;
	struct held *h;
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_boot_ns();

	state = bpf_map_lookup_elem(&hold_states, &zero);
	if (!state || now < state->rests_until_ns)
		return KS_VERDICT_GO;
	h = bpf_task_storage_get(&holds, (struct task_struct *)bpf_get_current_task_btf(), NULL,
				 BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!h) {
		count_missed();
		return KS_VERDICT_GO;
	}
	if (h->what != what || h->ino != e->gone.ino || h->dev != e->gone.dev ||
	    now - h->since_ns > 2 * DEADLINE_NS) {
		h->ticket = __sync_fetch_and_add(&state->ticket, 1) + 1;
		h->since_ns = now;
		h->ino = e->gone.ino;
		h->dev = e->gone.dev;
		h->what = what;
		file_held(e, h->ticket, what);
	}
	l.ticket = h->ticket;
	bpf_loop(task->flags & PF_IO_WORKER ? SPINS_LONG : SPINS, listen_once, &l, 0);
	if (!l.verdict && !(task->flags & PF_IO_WORKER) && now - h->since_ns < DEADLINE_NS) {
		if (begin_anew(task))
			return KS_VERDICT_NONE;
		bpf_loop(SPINS_LONG, listen_once, &l, 0); /* the first process of all cannot be signalled */
	}
	if (!l.verdict) {
		if (now - h->since_ns >= DEADLINE_NS)
			state->rests_until_ns = now + REST_NS;
		count_missed();
		l.verdict = KS_VERDICT_GO;
	}
	h->what = 0;
	return l.verdict;
}

static __always_inline bool may_be_held(__u32 record)
{
	const struct task_struct *task = bpf_get_current_task_btf();

	return !(task->flags & PF_KTHREAD) && !is_ignored(task) && !is_spared(task, RECORD_BIT(record));
}

/* --- deletion */

static __always_inline int hold_deletion(const struct dentry *dentry, const struct path *dir)
{
	const struct inode *inode = dentry->d_inode;
	struct file_event e = {};

	if (!inode || !is_regular(inode) || !may_be_held(KS_FILE_DELETE))
		return 0;
	e.place.dentry = dentry;
	e.place.mnt = dir->mnt;
	file_id_fill(&e.gone, inode);
	return hold(&e, KS_HELD_DELETE) == KS_VERDICT_NONE ? -ERESTARTNOINTR : 0;
}

SEC("fmod_ret/security_path_unlink")
int BPF_PROG(FILE_DELETE__unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	return ret ? ret : hold_deletion(dentry, dir);
}

SEC("fmod_ret/security_path_rename")
int BPF_PROG(FILE_DELETE__rename, const struct path *old_dir, struct dentry *old_dentry,
	     const struct path *new_dir, struct dentry *new_dentry, unsigned int flags, int ret)
{
	if (ret || flags & RENAME_EXCHANGE || old_dentry->d_inode == new_dentry->d_inode)
		return ret;
	return hold_deletion(new_dentry, new_dir);
}

/* --- overwriting */

__noinline int shredding_blocked(struct file_event *e)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct ks_rec_FILE_BLOCK_SHREDDING *rec;
	struct ks_who who = {};
	struct draft *d;
	__u32 flags;

	if (!e)
		return 0;
	who_fill(&who, task);
	d = emit_begin(KS_FILE_BLOCK_SHREDDING, sizeof(*rec), &who);
	if (!d)
		return 0;
	rec = (void *)d->record;
	flags = task_flags(task);
	rec->file = e->gone;
	rec->TargetFilename = emit_place(d, &e->place, &flags);
	rec->hdr.flags = flags;
	emit_end(d, KS_FILE_BLOCK_SHREDDING);
	return 0;
}

/* Writing before the end of a file that this opening did not make. (Where pwrite() writes is not known here: it
 * counts as writing where the descriptor stands.) */
static __always_inline bool overwrites(const struct file *file, const struct inode *inode)
{
	return !(file->f_mode & FMODE_CREATED) && !(file->f_flags & O_APPEND) && is_regular(inode) &&
	       file->f_pos < inode->i_size && !is_pseudo(inode);
}

SEC("fmod_ret/security_file_permission")
int BPF_PROG(FILE_BLOCK_SHREDDING__write, struct file *file, int mask, int ret)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct permitted p = {};
	struct file_event e = {};
	const struct inode *inode;
	__u64 *generation, *permitted;
	__u32 verdict, zero = 0;

	if (ret || !(mask & MAY_WRITE))
		return ret;
	inode = file->f_inode;
	if (!overwrites(file, inode) || !may_be_held(KS_FILE_BLOCK_SHREDDING))
		return 0;
	file_id_fill(&e.gone, inode);
	p.ino = e.gone.ino;
	p.dev = e.gone.dev;
	p.inode_generation = e.gone.generation;
	p.tgid = task->tgid;
	p.start_ns = task->group_leader->start_boottime;
	generation = bpf_map_lookup_elem(&generations, &zero);
	permitted = bpf_map_lookup_elem(&permissions, &p);
	if (!generation || (permitted && *permitted == *generation))
		return 0;
	e.place.dentry = file->f_path.dentry;
	e.place.mnt = file->f_path.mnt;
	verdict = hold(&e, KS_HELD_WRITE);
	if (verdict == KS_VERDICT_NONE)
		return -ERESTARTNOINTR;
	if (verdict == KS_VERDICT_DENY) {
		shredding_blocked(&e);
		return -EPERM;
	}
	bpf_map_update_elem(&permissions, &p, generation, BPF_ANY);
	return 0;
}
