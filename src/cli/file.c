/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/own.h"

static int read_up_to(int fd, char *to, size_t size, size_t *n)
{
	for (*n = 0; *n < size;) {
		ssize_t r = read(fd, to + *n, size - *n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		*n += (size_t)r;
	}
	return 0;
}

int read_whole_file(const char *path, size_t max, char **bytes, size_t *n, struct err *e)
{
	OWNED_HEAP char *room = NULL;
	/* A FIFO that nobody writes to must not keep us: opened like this it is at its end. */
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0 || fcntl(fd, F_SETFL, 0) < 0)
		return err_set(e, errno, "opening '%s'", path);
	/* One byte more than allowed, to see that there is more: sizes of pipes are not known before. */
	room = malloc(max + 1);
	if (!room)
		return err_set(e, ENOMEM, "reading '%s'", path);
	r = read_up_to(fd, room, max + 1, n);
	if (r < 0)
		return err_set(e, -r, "reading '%s'", path);
	if (*n > max)
		return err_set(e, EFBIG, "reading '%s'", path);
	*bytes = MOVE(room);
	return 0;
}
