/* SPDX-License-Identifier: MIT */
/* Made and deleted through io_uring: no system call of that name takes place, and with IOSQE_ASYNC a worker thread
 * of the kernel does it. The process that asked is the one that did it.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/inline
 * expect 26 TargetFilename=$work/inline
 * expect 11 TargetFilename=$work/by-worker
 * expect 26 TargetFilename=$work/by-worker */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static void make_and_delete(const char *name, unsigned how)
{
	struct io_uring_sqe make = { .opcode = IORING_OP_OPENAT, .flags = (uint8_t)how, .fd = AT_FDCWD,
				     .addr = (uintptr_t)name, .len = 0644,
				     .open_flags = O_WRONLY | O_CREAT | O_CLOEXEC };
	struct io_uring_sqe delete = { .opcode = IORING_OP_UNLINKAT, .flags = (uint8_t)how, .fd = AT_FDCWD,
				       .addr = (uintptr_t)name };

	MUST(close((int)MUST(perform(&make))));
	MUST(perform(&delete));
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	open_ring();
	make_and_delete("inline", 0);
	make_and_delete("by-worker", IOSQE_ASYNC);
}
