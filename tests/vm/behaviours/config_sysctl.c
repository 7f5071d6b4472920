/* SPDX-License-Identifier: MIT */
/* A setting of the kernel is written: by write(2), by writev(2) through a descriptor of another name, and empty.
 * Reading it is nothing. The settings are those of a network namespace of its own. Context has the value before.
 *
 * judges 12 13 14
 * expect 13 TargetObject=/proc/sys/net/ipv4/ip_default_ttl Details=65 EventType=SetValue RuleName=- Context~".*,old=64"
 * expect 13 TargetObject=/proc/sys/net/ipv4/ip_default_ttl Details=66 Context~".*,old=65"
 * expect 13 TargetObject=/proc/sys/net/ipv4/ip_local_port_range Details="2000\t3000" Context~".*,old=[0-9]+\t[0-9]+" */
#include "behaviour.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

static void write_with_vector(const char *path, char *value, size_t n)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CLOEXEC));
	struct iovec part = { value, n };

	MUST(writev(fd, &part, 1) == (ssize_t)n ? 0 : -1);
	MUST(close(fd));
}

void behave(int argc, char **argv)
{
	char second[] = "66", range[] = "2000\t3000\n", value[16];
	int fd;

	(void)argc, (void)argv;
	own_network();
	fd = (int)MUST(open("/proc/sys/net/ipv4/ip_default_ttl", O_RDWR | O_CLOEXEC));
	MUST(read(fd, value, sizeof(value)));
	MUST(pwrite(fd, "65\n", 3, 0) == 3 ? 0 : -1);
	MUST(close(fd));
	write_with_vector("/proc/self/root/proc/sys/net/ipv4/ip_default_ttl", second, 2);
	write_with_vector("/proc/sys/net/ipv4/ip_local_port_range", range, 10);
}
