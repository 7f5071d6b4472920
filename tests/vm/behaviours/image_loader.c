/* SPDX-License-Identifier: MIT */
/* A program names the loader in which it begins: that is executable in the process as any library, and may be
 * anybody's. A program without a loader has none. Both are made here byte by byte, as virtual machines have no
 * C library.
 *
 * judges 7
 * expect 7 ProcessId=$with Image=$work/program ImageLoaded=$work/loader Hashes!=- */
#include "behaviour.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASE 0x400000u

static const unsigned char stays_a_second[] = {
	0xb8, 35, 0, 0, 0,                  /* mov eax, nanosleep */
	0x48, 0x8d, 0x3d, 18, 0, 0, 0,      /* lea rdi, [rip + 18]: the second */
	0x31, 0xf6,                         /* xor esi, esi */
	0x0f, 0x05,                         /* syscall */
	0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05, /* exit(0) */
	0x90, 0x90, 0x90, 0x90, 0x90,
	1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

/* Whole pages: older kernels clear the rest of the last one, and it is not writable. */
struct __attribute__((aligned(4096))) program {
	Elf64_Ehdr head;
	Elf64_Phdr load, loader;
	char name[PATH_MAX];
	unsigned char code[64];
};

static void make_program(const char *path, uint16_t type, const char *loader)
{
	struct program p = {
		.head = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = type,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = (type == ET_EXEC ? BASE : 0) + offsetof(struct program, code),
			.e_phoff = offsetof(struct program, load),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = loader ? 2 : 1,
		},
		.load = {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_vaddr = type == ET_EXEC ? BASE : 0,
			.p_filesz = sizeof(p),
			.p_memsz = sizeof(p),
			.p_align = 4096,
		},
	};
	int fd = (int)MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));

	if (loader) {
		MUST(realpath(loader, p.name) ? 0 : -1);
		p.loader = (Elf64_Phdr){ .p_type = PT_INTERP,
					 .p_flags = PF_R,
					 .p_offset = offsetof(struct program, name),
					 .p_filesz = strlen(p.name) + 1 };
	}
	memcpy(p.code, stays_a_second, sizeof(stays_a_second));
	MUST(write(fd, &p, sizeof(p)) == sizeof(p) ? 0 : -1);
	MUST(close(fd));
}

static void run_with(void)
{
	become("./program", "with");
}

static void run_without(void)
{
	become("./alone", "without");
}

void behave(int argc, char **argv)
{
	(void)argc, (void)argv;
	make_program("loader", ET_DYN, NULL);
	make_program("program", ET_EXEC, "loader");
	make_program("alone", ET_EXEC, NULL);
	say("with", "%d", child(run_with));
	child(run_without);
}
