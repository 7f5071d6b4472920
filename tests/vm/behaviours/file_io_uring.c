/* SPDX-License-Identifier: MIT */
/* Made and deleted through io_uring: no system call of that name takes place, and with IOSQE_ASYNC a worker thread
 * of the kernel does it. The process that asked is the one that did it.
 *
 * judges 11 26
 * expect 11 TargetFilename=$work/inline
 * expect 26 TargetFilename=$work/inline
 * expect 11 TargetFilename=$work/by-worker
 * expect 26 TargetFilename=$work/by-worker */
#include "uring.h"

#include <fcntl.h>
#include <string.h>

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
