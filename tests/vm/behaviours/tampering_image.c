/* SPDX-License-Identifier: MIT */
/* Programs that are not what their file is: executed from memory, executed without a name, one that put memory where
 * its code was, and one that is linked to another file. A program whose code is where and what it was is none, though
 * it has executable memory beside it; nor is what was refused.
 *
 * judges 25
 * expect 25 ProcessId=$memory Image="memfd:payload (deleted)" Type="Image is memory only"
 * expect 25 ProcessId=$nameless Image="$work/nameless (deleted)" Type="Image is deleted"
 * expect 25 ProcessId=$hollow Type="Image is replaced"
 * expect 25 ProcessId=$linked Type="Image is replaced" */
#include "behaviour.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void run_memory(void)
{
	char *arguments[] = { (char *)"payload", (char *)"end", NULL };
	int fd = (int)MUST(memfd_create("payload", MFD_CLOEXEC));

	copy_self_to(fd, "payload");
	MUST(fexecve(fd, arguments, environ));
}

static void run_nameless(void)
{
	char *arguments[] = { (char *)"nameless", (char *)"end", NULL };
	int fd;

	copy_self("nameless", "nameless");
	fd = (int)MUST(open("nameless", O_RDONLY | O_CLOEXEC));
	MUST(unlink("nameless"));
	MUST(fexecve(fd, arguments, environ));
}

/* The page of this function, copied and put in its own place. */
static void hollow(void)
{
	uintptr_t page = (uintptr_t)hollow & ~(uintptr_t)4095;
	char *copy = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(copy == MAP_FAILED ? -1 : 0);
	memcpy(copy, (void *)page, 8192);
	MUST(mprotect(copy, 8192, PROT_READ | PROT_EXEC)); /* beside it: nothing wrong */
	MUST(mremap(copy, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)page) == MAP_FAILED ? -1 : 0);
	MUST(mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC));
}

/* Refused: the program is still mapped. */
static void link_elsewhere(void)
{
	MUST(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, STDOUT_FILENO, 0, 0) < 0 ? 0 : -1);
}

struct leaving {
	struct { long from, length; } mappings[16];
	long count;
	struct prctl_mm_map map;
};

/* Lets go of all that is mapped of the program, then links the process to another file. It runs as a copy, and so can
 * call nothing. */
__attribute__((noinline, noreturn, optimize("no-stack-protector", "no-tree-loop-distribute-patterns")))
static void leave(const struct leaving *l)
{
	long result;

	for (long i = 0; i < l->count; i++)
		__asm__ volatile("syscall" : "=a"(result) : "a"(SYS_munmap), "D"(l->mappings[i].from),
				 "S"(l->mappings[i].length) : "rcx", "r11", "memory");
	register long size __asm__("r10") = sizeof(l->map);
	register long nothing __asm__("r8") = 0;
	__asm__ volatile("syscall" : "=a"(result) : "a"(SYS_prctl), "D"(PR_SET_MM), "S"(PR_SET_MM_MAP), "d"(&l->map),
			 "r"(size), "r"(nothing) : "rcx", "r11", "memory");
	for (;;)
		__asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(result != 0) : "rcx", "r11", "memory");
}

static void find_mappings(struct leaving *l)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	long from, to;

	MUST(maps ? 0 : -1);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, image()) && sscanf(line, "%lx-%lx", &from, &to) == 2)
			l->mappings[l->count].from = from, l->mappings[l->count++].length = to - from;
	fclose(maps);
}

/* All as it is, but for the file. */
static void fill_map(struct prctl_mm_map *map)
{
	unsigned long long v[52] = {};
	char text[2048], *field;
	int fd = (int)MUST(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));

	text[MUST(read(fd, text, sizeof(text) - 1))] = '\0';
	MUST(close(fd));
	field = strrchr(text, ')') + 3; /* the third of them */
	for (unsigned i = 3; i < 52 && field; i++) {
		v[i] = strtoull(field, NULL, 10);
		field = strchr(field, ' ');
		field = field ? field + 1 : NULL;
	}
	*map = (struct prctl_mm_map){
		.start_code = v[26], .end_code = v[27], .start_stack = v[28], .start_data = v[45], .end_data = v[46],
		.start_brk = v[47], .brk = (uintptr_t)sbrk(0), .arg_start = v[48], .arg_end = v[49], .env_start = v[50],
		.env_end = v[51],
	};
	copy_self("other", "other");
	map->exe_fd = (__u32)MUST(open("other", O_RDONLY));
}

static void link_to_other(void)
{
	char *room = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct leaving *l = (struct leaving *)room;
	void (*copy)(const struct leaving *);

	MUST(room == MAP_FAILED ? -1 : 0);
	find_mappings(l);
	fill_map(&l->map);
	memcpy(room + 4096, (const void *)(uintptr_t)leave, 1024);
	copy = (void (*)(const struct leaving *))(uintptr_t)(room + 4096);
	copy(l);
}

void behave(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return;
	say("memory", "%d", child(run_memory));
	say("nameless", "%d", child(run_nameless));
	say("hollow", "%d", child(hollow));
	child(link_elsewhere);
	say("linked", "%d", child(link_to_other));
}
