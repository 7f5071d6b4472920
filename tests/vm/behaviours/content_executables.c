/* SPDX-License-Identifier: MIT */
/* Files that Linux can be made to run, written and closed, told by their content and not by name or mode; and
 * files that it cannot.
 *
 * judges 29
 * expect 29 TargetFilename=$work/elf Hashes=SHA256=$sha256(written)
 * expect 29 TargetFilename=$work/script.txt Hashes=SHA256=A8076D3D28D21E02012B20EAF7DBF75409A6277134439025F282E368E3305ABF
 * expect 29 TargetFilename=$work/class Hashes~SHA256=.+
 * expect 29 TargetFilename=$work/jar Hashes~SHA256=.+
 * expect 29 TargetFilename=$work/module.wasm Hashes~SHA256=.+ */
#include "behaviour.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const void *bytes, size_t n)
{
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));

	MUST(write(fd, bytes, n) == (ssize_t)n ? 0 : -1);
	MUST(close(fd));
}

void behave(int argc, char **argv)
{
	static const char jar[] = "PK\3\4\12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\11\0\0\0META-INF/";

	(void)argc, (void)argv;
	copy_self("elf", "written");
	write_file("script.txt", "#!/bin/sh\n", 10);
	write_file("class", "\312\376\272\276\0\0\0\64", 8);
	write_file("jar", jar, sizeof(jar) - 1);
	write_file("module.wasm", "\0asm\1\0\0\0", 8);

	write_file("text.sh", "echo\n", 5);
	write_file("elf.o", "\177EL", 3);
	write_file("script", "#!\n/bin/sh\n", 11);
	write_file("archive.jar", "PK\3\4", 4);
	make_file("empty");
}
