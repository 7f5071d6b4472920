/* SPDX-License-Identifier: MIT */
/* The least of io_uring that the generator needs: one entry at a time. */
#include "truth.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4

static void *map(int fd, size_t size, off_t what)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	if (at == MAP_FAILED)
		MUST(-1);
	return at;
}

static void set_up(struct uring *u)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	u->fd = (int)MUST(syscall(SYS_io_uring_setup, ENTRIES, &p));
	sq = map(u->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(u->fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	u->sqes = map(u->fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	u->sq_tail = (unsigned *)(sq + p.sq_off.tail);
	u->sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
	u->sq_array = (unsigned *)(sq + p.sq_off.array);
	u->cq_head = (unsigned *)(cq + p.cq_off.head);
	u->cq_tail = (unsigned *)(cq + p.cq_off.tail);
	u->cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
	u->cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

/* Waiting ends early when the kernel wants the thread for other work: once more then. */
static void submit_and_wait(struct uring *u)
{
	unsigned submit = 1;

	for (int i = 0; i < 1000; i++) {
		int r = (int)syscall(SYS_io_uring_enter, u->fd, submit, 1, IORING_ENTER_GETEVENTS, NULL, 0);

		if (r >= 0)
			submit = 0;
		else if (errno != EINTR)
			MUST(r);
		if (*u->cq_head != __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
			return;
	}
	NEVER("io_uring completes nothing");
}

int uring_do(struct uring *u, const struct io_uring_sqe *entry)
{
	unsigned tail, head;
	int result;

	if (u->fd < 0)
		set_up(u);
	tail = *u->sq_tail;
	u->sqes[tail & *u->sq_mask] = *entry;
	u->sq_array[tail & *u->sq_mask] = tail & *u->sq_mask;
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
	submit_and_wait(u);

	head = *u->cq_head;
	result = u->cqes[head & *u->cq_mask].res;
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}
