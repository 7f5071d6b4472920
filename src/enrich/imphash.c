/* SPDX-License-Identifier: MIT */
#include "imphash.h"

#include <ctype.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 65536u /* more imports than any program has; bounds the work a hostile file can cause */
#define NAME_MAX_LENGTH 4096u

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t collect(Elf *elf, Elf_Scn *section, char **names, size_t count)
{
	Elf_Data *data = elf_getdata(section, NULL);
	GElf_Shdr header;
	GElf_Sym symbol;

	if (!data || !gelf_getshdr(section, &header))
		return count;
	for (int i = 0; count < NAMES_MAX && gelf_getsym(data, i, &symbol); i++) {
		const char *name = symbol.st_shndx == SHN_UNDEF ?
					   elf_strptr(elf, header.sh_link, symbol.st_name) : NULL;

		if (!name || !*name)
			continue;
		names[count] = strndup(name, NAME_MAX_LENGTH);
		if (!names[count])
			break;
		for (char *c = names[count]; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		count++;
	}
	return count;
}

static size_t undefined_names(int file, char **names)
{
	Elf *elf = elf_begin(file, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	size_t count = 0;

	while (elf && (section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (gelf_getshdr(section, &header) && header.sh_type == SHT_DYNSYM)
			count = collect(elf, section, names, count);
	}
	elf_end(elf);
	return count;
}

void imphash_of_file(int file, EVP_MD_CTX *context, const EVP_MD *md5, uint8_t digest[16])
{
	char **names = calloc(NAMES_MAX, sizeof(*names));
	size_t count;

	memset(digest, 0, 16);
	if (!names || elf_version(EV_CURRENT) == EV_NONE) {
		free(names);
		return;
	}
	count = undefined_names(file, names);
	qsort(names, count, sizeof(*names), by_text);
	EVP_DigestInit_ex2(context, md5, NULL);
	for (size_t i = 0; i < count; i++) {
		EVP_DigestUpdate(context, ",", i > 0);
		EVP_DigestUpdate(context, names[i], strlen(names[i]));
		free(names[i]);
	}
	if (count)
		EVP_DigestFinal_ex(context, digest, NULL);
	free(names);
}
