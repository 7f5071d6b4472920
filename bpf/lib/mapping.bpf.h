/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What is mapped at an address. bpf_find_vma() gives up while another thread changes mappings, which a program that
 * does not want to be seen can arrange, and it wants a task that was handed to us; so the tree of mappings is walked
 * here, without a lock, as the kernel itself does under RCU. Linux 6.1 brought that tree. */
#pragma once
#include "flavours.bpf.h"

#define VM_EXEC 0x4

#define MAPLE_LEAF_64   1
#define MAPLE_ARANGE_64 3
#define MAPLE_LEVELS    16 /* enough for any address space: each level has at least 5 times as much as the one below */
#define MAPLE_TRIES     8

/* A mapping as it was found. */
struct mapping {
	__u64 from, to; /* to 0: none */
	__u64 flags;    /* VM_* */
	const struct file *file;
	const struct mm_struct *mm;
};

static __always_inline void mapping_read(struct mapping *m, const struct vm_area_struct *vma)
{
	m->from = PEEK(vma, vm_start);
	m->to = PEEK(vma, vm_end);
	m->flags = PEEK(vma, vm_flags);
	m->file = PEEK(vma, vm_file);
	m->mm = PEEK(vma, vm_mm);
}

struct maple_walk {
	__u64 address;
	__u64 node; /* with its type in the low bits; at the end the entry */
	__u32 found;
};

static __always_inline __u64 word_at(__u64 address)
{
	__u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (const void *)address);
	return word;
}

/* The slots of a node end with the last, or where a limit is 0. Limits are read one by one, as the stack is small. A
 * global function, which the verifier looks at once and not at each step. */
__noinline int maple_step(struct maple_walk *w)
{
	__u64 limits, slots, limit;
	__u32 type, last = 15, at = 0;

	if (!w)
		return 0;
	limits = slots = w->node & ~0xffull;
	type = w->node >> 3 & 0xf;
	if (type == MAPLE_ARANGE_64) {
		last = 9;
		limits += bpf_core_field_offset(struct maple_arange_64, pivot);
		slots += bpf_core_field_offset(struct maple_arange_64, slot);
	} else {
		limits += bpf_core_field_offset(struct maple_range_64, pivot);
		slots += bpf_core_field_offset(struct maple_range_64, slot);
	}
#pragma unroll
	for (__u32 i = 0; i < 15; i++) {
		if (at != i || i >= last)
			break;
		limit = word_at(limits + 8 * i);
		if (limit < w->address && (i == 0 || limit))
			at = i + 1;
	}
	w->node = word_at(slots + 8 * at);
	w->found = type <= MAPLE_LEAF_64;
	return 0;
}

static long maple_next(__u32 level, struct maple_walk *w)
{
	maple_step(w);
	return w->found || !w->node ? 1 : 0;
}

struct mapping_search {
	const struct mm_struct *mm;
	struct mapping *m;
	__u64 address;
};

static long mapping_try(__u32 i, struct mapping_search *s)
{
	struct maple_walk w = { .address = s->address };
	const struct mm_struct *mm = s->mm;
	struct mapping *m = s->m;

	/* Read as a number: what PEEK() gives has a type, and must not be calculated with. */
	w.node = (__u64)BPF_CORE_READ(mm, mm_mt.ma_root);
	if ((w.node & 3) != 2)
		return 0;
	bpf_loop(MAPLE_LEVELS, maple_next, &w, 0);
	if (!w.found || !w.node)
		return 0;
	mapping_read(m, (const void *)w.node);
	if (m->mm == mm && m->from <= s->address && s->address < m->to)
		return 1;
	m->to = 0;
	return 0;
}

/* What is mapped at this address? A writer at the same moment can lead us astray: that shows, and it is tried again. */
static __always_inline bool mapping_at(const struct mm_struct *mm, __u64 address, struct mapping *m)
{
	struct mapping_search s = { .mm = mm, .m = m, .address = address };

	m->to = 0;
	if (!bpf_core_type_exists(struct maple_range_64) || !mm)
		return false;
	bpf_loop(MAPLE_TRIES, mapping_try, &s, 0);
	return m->to != 0;
}
