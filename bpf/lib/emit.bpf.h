/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Records on their way out: counted, numbered, filled and sent. Every hook does the same four steps:
 * wanted()? emit_begin(), fill, emit_end(). Only emit_begin() writes a header. */
#pragma once
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../../schema/wire.h"
#include "task.bpf.h"

/* Sizes are set by the loader. */
const volatile __u64 ring_process_eighth = 0, ring_events_eighth = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring_process SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 << 20);
} ring_events SEC(".maps");

/* A slot for each CPU, set by the loader. An ordinary array, because it can be mapped; added to atomically,
 * because an interrupt may come between. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct ks_counters);
} counters SEC(".maps");

/* Which records somebody wants: index enum ks_record. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KS_RECORD_COUNT);
	__type(key, __u32);
	__type(value, __u32);
} wanted_records SEC(".maps");

/* Where records of changing size are put together. bpf_ringbuf_reserve() needs a constant size, and a
 * record of 100 bytes must not take 30,000 of the ring. An ordinary array, because a per-CPU one has
 * values of at most 32 KiB. Several drafts for each CPU: a program may run in an interrupt over another. */
#define DRAFTS_PER_CPU 3
#define WALK_SIZE      KS_PATH_MAX
struct draft {
	__u32 busy;
	__u32 size; /* of the record so far */
	/* The verifier adds the largest offset and the largest length, which never come together: the
	 * second half of the one and the end of the other are never written. */
	__u8 walk[2 * WALK_SIZE];
	__u8 record[KS_RECORD_MAX + KS_ARGV_MAX] __attribute__((aligned(8)));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DRAFTS_PER_CPU);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

static __always_inline bool wanted(__u32 record)
{
	const __u32 *on = bpf_map_lookup_elem(&wanted_records, &record);

	return on && *on;
}

static __always_inline struct ks_counters *counters_here(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&counters, &cpu);
}

static __always_inline void count_missed(void)
{
	struct ks_counters *c = counters_here();

	if (c)
		__sync_fetch_and_add(&c->missed, 1);
}

static __always_inline void count_path_unknown(void)
{
	struct ks_counters *c = counters_here();

	if (c)
		__sync_fetch_and_add(&c->path_unknown, 1);
}

static __always_inline void count_spared(void)
{
	struct ks_counters *c = counters_here();

	if (c)
		__sync_fetch_and_add(&c->spared, 1);
}

static __always_inline void count_lost(__u32 type)
{
	struct ks_counters *c = counters_here();

	if (c)
		__sync_fetch_and_add(&c->lost[type], 1);
}

/* Records of processes have a ring of their own, which a flood of the others cannot fill. */
static __always_inline bool is_process_record(__u32 type)
{
	return type == KS_PROCESS_CREATE || type == KS_PROCESS_FORK || type == KS_PROCESS_TERMINATE ||
	       type == KS_FILE_HELD;
}

static __always_inline void *ring_of(__u32 type)
{
	return is_process_record(type) ? (void *)&ring_process : (void *)&ring_events;
}

/* What the engine says to the kernel side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KS_VERDICTS + 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64); /* ticket << 2 | KS_VERDICT_*; in the slot behind: does it sleep? */
} verdicts SEC(".maps");

static __always_inline bool engine_sleeps(void)
{
	__u32 key = KS_ENGINE_SLEEPS;
	const volatile __u64 *sleeps = bpf_map_lookup_elem(&verdicts, &key);

	return sleeps && *sleeps;
}

#define LOOKS_EACH 8 /* records between two looks at how much is waiting */

/* The engine looks by a timer; it is woken earlier only when an eighth of the ring is waiting, or when nothing happened
 * for a while. */
static __always_inline __u64 wake_up(void *ring, __u64 seq)
{
	__u64 eighth = ring == &ring_process ? ring_process_eighth : ring_events_eighth;

	if (engine_sleeps())
		return BPF_RB_FORCE_WAKEUP;
	if (seq % LOOKS_EACH)
		return BPF_RB_NO_WAKEUP;
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > eighth ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* Counts first, then numbers: a record that is lost after this leaves a gap in the sequence. */
static __always_inline void header_fill(struct ks_hdr *hdr, __u32 type, const struct ks_who *who)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct ks_counters *c = bpf_map_lookup_elem(&counters, &cpu);

	if (c) {
		__sync_fetch_and_add(&c->produced[type], 1);
		hdr->seq = __sync_fetch_and_add(
			&c->seq[is_process_record(type) ? KS_RING_PROCESS : KS_RING_EVENTS], 1);
	}
	hdr->type = type;
	hdr->cpu = cpu;
	hdr->time_ns = bpf_ktime_get_boot_ns();
	hdr->who = *who;
}

/* --- records without texts: built on the stack */

static __always_inline void emit_fixed(struct ks_hdr *hdr, __u32 type, __u32 size)
{
	void *ring = ring_of(type);

	hdr->size = size;
	if (bpf_ringbuf_output(ring, hdr, size, wake_up(ring, hdr->seq)) < 0)
		count_lost(type);
}

/* --- records with texts */

static __always_inline struct draft *draft_take(void)
{
	__u32 first = bpf_get_smp_processor_id() * DRAFTS_PER_CPU;

#pragma unroll
	for (__u32 i = 0; i < DRAFTS_PER_CPU; i++) {
		__u32 key = first + i;
		struct draft *d = bpf_map_lookup_elem(&drafts, &key);

		if (d && __sync_val_compare_and_swap(&d->busy, 0, 1) == 0)
			return d;
	}
	return NULL;
}

static __always_inline void draft_drop(struct draft *d)
{
	*(volatile __u32 *)&d->busy = 0;
}

/* The draft of a record whose fixed part has this size, zeroed but for the header; NULL: lost and counted. */
static __always_inline struct draft *emit_begin(__u32 type, __u32 fixed, const struct ks_who *who)
{
	struct ks_hdr hdr = {};
	struct draft *d;

	header_fill(&hdr, type, who);
	d = draft_take();
	if (!d) {
		count_lost(type);
		return NULL;
	}
	__builtin_memset(d->record, 0, fixed);
	*(struct ks_hdr *)d->record = hdr;
	d->size = fixed;
	return d;
}

/* n, which is below a power of two, in a way in which the verifier sees it too: the compiler compares one
 * register and uses another. */
static __always_inline __u64 bounded(__u64 n, __u64 power)
{
	asm volatile("" : "+r"(n));
	return n & (power - 1);
}

/* Appends n bytes of kernel memory, at most KS_PATH_MAX. */
static __always_inline struct ks_text emit_text(struct draft *d, const void *from, __u32 n)
{
	__u32 at = d->size & (KS_RECORD_MAX - 1);
	struct ks_text t = { .off = at };

	if (n > KS_PATH_MAX)
		n = KS_PATH_MAX;
	if (bpf_probe_read_kernel(d->record + at, bounded(n, 2 * KS_PATH_MAX), from) < 0)
		return t;
	d->size = at + n;
	t.len = n;
	return t;
}

/* Appends n bytes of the current process's memory, less than KS_ARGV_MAX; *ok tells whether they were there. */
static __always_inline struct ks_text emit_user_text(struct draft *d, const void *from, __u64 n,
						      bool *ok)
{
	__u32 at = d->size & (KS_RECORD_MAX - 1);
	struct ks_text t = { .off = at };

	if (n > KS_ARGV_MAX - 1)
		n = KS_ARGV_MAX - 1;
	*ok = bpf_probe_read_user(d->record + at, bounded(n, KS_ARGV_MAX), from) == 0;
	if (!*ok)
		return t;
	d->size = at + n;
	t.len = n;
	return t;
}

/* Zeroes up to the next multiple of 8. */
static __always_inline void emit_padding(struct draft *d)
{
	*(__u64 *)(d->record + (d->size & (KS_RECORD_MAX - 1))) = 0;
	d->size = (d->size + 7) & ~7u;
}

static __always_inline void emit_end(struct draft *d, __u32 type)
{
	struct ks_hdr *hdr = (void *)d->record;
	void *ring = ring_of(type);
	__u32 size = d->size;

	hdr->size = size;
	if (size > KS_RECORD_MAX)
		size = KS_RECORD_MAX;
	if (bpf_ringbuf_output(ring, d->record, size, wake_up(ring, hdr->seq)) < 0)
		count_lost(type);
	draft_drop(d);
}
