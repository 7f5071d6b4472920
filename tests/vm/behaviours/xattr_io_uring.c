/* SPDX-License-Identifier: MIT */
/* Set through io_uring: no such system call takes place, and a worker thread of the kernel does it.
 *
 * judges 15
 * expect 15 TargetFilename=$work/file:user.path Contents=by-path
 * expect 15 TargetFilename=$work/file:user.descriptor Contents=by-descriptor */
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

void behave(int argc, char **argv)
{
	struct io_uring_sqe by_path = { .opcode = IORING_OP_SETXATTR, .addr = (uintptr_t) "user.path",
					.addr2 = (uintptr_t) "by-path", .len = 7, .addr3 = (uintptr_t) "file" };
	struct io_uring_sqe by_descriptor = { .opcode = IORING_OP_FSETXATTR, .addr = (uintptr_t) "user.descriptor",
					      .addr2 = (uintptr_t) "by-descriptor", .len = 13 };

	(void)argc, (void)argv;
	make_file("file");
	by_descriptor.fd = (int)MUST(open("file", O_RDONLY | O_CLOEXEC));
	open_ring();
	MUST(perform(&by_path));
	MUST(perform(&by_descriptor));
}
