/* SPDX-License-Identifier: MIT */
/* One operation at a time through io_uring, for the behaviours that make no system call of that name. */
#pragma once
#include <errno.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "behaviour.h"

static int ring;
static struct io_uring_params layout;
static char *queue; /* both rings, in one mapping */
static struct io_uring_sqe *entries;

static void open_ring(void)
{
	size_t size;

	ring = (int)MUST(syscall(SYS_io_uring_setup, 4, &layout));
	size = layout.cq_off.cqes + layout.cq_entries * sizeof(struct io_uring_cqe);
	queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	MUST(queue == MAP_FAILED ? -1 : 0);
	entries = mmap(NULL, layout.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	MUST(entries == MAP_FAILED ? -1 : 0);
}

/* Submits one operation and returns its result. */
static int perform(const struct io_uring_sqe *operation)
{
	_Atomic uint32_t *sq_tail = (_Atomic uint32_t *)(queue + layout.sq_off.tail);
	_Atomic uint32_t *cq_head = (_Atomic uint32_t *)(queue + layout.cq_off.head);
	uint32_t *sq_array = (uint32_t *)(queue + layout.sq_off.array);
	struct io_uring_cqe *results = (struct io_uring_cqe *)(queue + layout.cq_off.cqes);
	uint32_t slot = *sq_tail & (layout.sq_entries - 1), head = *cq_head;
	int result;

	entries[slot] = *operation;
	sq_array[slot] = slot;
	atomic_fetch_add(sq_tail, 1);
	MUST(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
	result = results[head & (layout.cq_entries - 1)].res;
	atomic_store(cq_head, head + 1);
	if (result < 0)
		errno = -result;
	return result;
}
