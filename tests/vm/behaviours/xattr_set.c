/* SPDX-License-Identifier: MIT */
/* An extended attribute set by whichever call: text is shown, what is no text or too long is not. A value that could not
 * be set, one that is only read, and a removal are none.
 *
 * judges 15
 * expect $exact of 15 TargetFilename=$work/file:user.origin Contents=https://example.com/ Hash=SHA256=$digest
 * expect $emulated of 15 TargetFilename=$work/file:user.origin Contents=https://example.com/ Hash~"SHA256=$digest|Unknown"
 * expect 15 TargetFilename=$work/file:user.lines Contents="two\nlines"
 * expect 15 TargetFilename=$work/file:user.ended Contents=ended
 * expect 15 TargetFilename=$work/file:user.bytes Contents=-
 * expect 15 TargetFilename=$work/file:user.nothing Contents=-
 * expect 15 TargetFilename=$work/file:user.almost Contents~x{1023}
 * expect 15 TargetFilename=$work/file:user.long Contents=-
 * expect 15 TargetFilename=$work/file:user.descriptor Contents=descriptor
 * expect 15 TargetFilename=$work/file:trusted.odd\x5cx41\x01 Contents=odd
 * expect 15 TargetFilename=$work/directory:user.directory Contents=directory Hash=Unknown
 * expect 15 TargetFilename=$work/symbolic:trusted.symbolic Contents=symbolic Hash=Unknown
 * expect $at of 15 TargetFilename=$work/directory/beside:user.at Contents=at
 * expect 15 TargetFilename=$work/file:system.posix_acl_access Contents=- */
#include "behaviour.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SYS_SETXATTRAT 463

static void set(const char *name, const void *value, size_t n)
{
	MUST(setxattr("file", name, value, n, 0));
}

/* On an emulated processor the monitor may be too slow for the engine, which does not wait for a digest. */
static int is_emulated(void)
{
	char text[4096] = "";
	int fd = (int)MUST(open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC));

	MUST(read(fd, text, sizeof(text) - 1));
	return strstr(text, "QEMU") != NULL;
}

/* Since 6.13. */
static int set_at(int directory, const char *name, const char *value)
{
	struct {
		uint64_t value;
		uint32_t size, flags;
	} argument = { (uintptr_t)value, (uint32_t)strlen(value), 0 };

	if (syscall(SYS_SETXATTRAT, directory, "beside", 0, name, &argument, sizeof(argument)) == 0)
		return 1;
	MUST(errno == ENOSYS ? 0 : -1);
	return 0;
}

static void none(void)
{
	char value[10];

	MUST(getxattr("file", "user.ended", value, sizeof(value)));
	MUST(removexattr("file", "user.ended"));
	MUST(setxattr("file", "user.lines", "again", 5, XATTR_CREATE) < 0 ? 0 : -1);
	MUST(setxattr("missing", "user.x", "x", 1, 0) < 0 ? 0 : -1);
}

/* Version 2; user, group and others may read. */
static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 4, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255,
			       32, 0, 4, 0, 255, 255, 255, 255 };

void behave(int argc, char **argv)
{
	static char text[2000];
	int directory;

	(void)argc, (void)argv;
	memset(text, 'x', sizeof(text));
	make_file("file"); /* empty, so its digest is that of nothing */
	say("digest", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855");
	say("emulated", "%d", is_emulated());
	say("exact", "%d", !is_emulated());
	set("user.origin", "https://example.com/", 20);
	set("user.lines", "two\nlines", 9);
	set("user.ended", "ended", 6);
	set("user.bytes", "\x00\x01\xff", 3);
	set("user.nothing", "", 0);
	set("user.almost", text, 1023);
	set("user.long", text, sizeof(text));
	MUST(fsetxattr((int)MUST(open("file", O_RDONLY | O_CLOEXEC)), "user.descriptor", "descriptor", 10, 0));
	set("trusted.odd\\x41\x01", "odd", 3);
	make_directory("directory");
	make_file("directory/beside");
	directory = (int)MUST(open("directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(fsetxattr(directory, "user.directory", "directory", 9, 0));
	say("at", "%d", set_at(directory, "user.at", "at"));
	MUST(symlink("file", "symbolic"));
	MUST(lsetxattr("symbolic", "trusted.symbolic", "symbolic", 8, 0));
	set("system.posix_acl_access", acl, sizeof(acl));
	none();
}
