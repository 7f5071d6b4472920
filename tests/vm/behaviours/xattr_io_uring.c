/* SPDX-License-Identifier: MIT */
/* Set through io_uring: no such system call takes place, and a worker thread of the kernel does it.
 *
 * judges 15
 * expect 15 TargetFilename=$work/file:user.path Contents=by-path
 * expect 15 TargetFilename=$work/file:user.descriptor Contents=by-descriptor */
#include "uring.h"

#include <fcntl.h>
#include <string.h>

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
