/* SPDX-License-Identifier: MIT */
#include "soname.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_MAX 64u
#define ENTRIES_MAX  512u

struct segment {
	uint32_t type;
	uint64_t at, address, length;
};

struct elf {
	soname_read read;
	void *context;
	bool wide; /* 64 bits */
	uint64_t headers;
	unsigned count;
	struct segment segments[SEGMENTS_MAX];
};

static bool read_all(const struct elf *e, void *to, size_t n, uint64_t at)
{
	return at <= INT64_MAX - n && e->read(e->context, to, n, at) == (ssize_t)n;
}

static bool read_head(struct elf *e)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} head;

	if (!read_all(e, &head.ident, sizeof(head.ident), 0) || memcmp(head.ident, ELFMAG, SELFMAG) != 0 ||
	    head.ident[EI_DATA] != ELFDATA2LSB)
		return false;
	e->wide = head.ident[EI_CLASS] == ELFCLASS64;
	if (!read_all(e, &head, e->wide ? sizeof(head.wide) : sizeof(head.narrow), 0))
		return false;
	e->headers = e->wide ? head.wide.e_phoff : head.narrow.e_phoff;
	e->count = e->wide ? head.wide.e_phnum : head.narrow.e_phnum;
	return (e->wide ? head.wide.e_phentsize == sizeof(Elf64_Phdr) : head.narrow.e_phentsize == sizeof(Elf32_Phdr)) &&
	       e->count <= SEGMENTS_MAX;
}

static bool read_segments(struct elf *e)
{
	union {
		Elf64_Phdr wide[SEGMENTS_MAX];
		Elf32_Phdr narrow[SEGMENTS_MAX];
	} h;

	if (!read_all(e, &h, e->count * (e->wide ? sizeof(h.wide[0]) : sizeof(h.narrow[0])), e->headers))
		return false;
	for (unsigned i = 0; i < e->count; i++)
		e->segments[i] = e->wide ? (struct segment){ h.wide[i].p_type, h.wide[i].p_offset, h.wide[i].p_vaddr,
							     h.wide[i].p_filesz } :
					   (struct segment){ h.narrow[i].p_type, h.narrow[i].p_offset,
							     h.narrow[i].p_vaddr, h.narrow[i].p_filesz };
	return true;
}

/* Where in the file lies what is to be loaded at this address? */
static bool place_of(const struct elf *e, uint64_t address, uint64_t *at)
{
	for (unsigned i = 0; i < e->count; i++) {
		const struct segment *s = &e->segments[i];

		if (s->type == PT_LOAD && address >= s->address && address - s->address < s->length) {
			*at = s->at + (address - s->address);
			return *at >= s->at;
		}
	}
	return false;
}

/* Where in the file the name stands. */
static bool find_name(const struct elf *e, const struct segment *dynamic, uint64_t *at)
{
	union {
		Elf64_Dyn wide[ENTRIES_MAX];
		Elf32_Dyn narrow[ENTRIES_MAX];
	} d;
	size_t size = e->wide ? sizeof(d.wide[0]) : sizeof(d.narrow[0]);
	uint64_t count = dynamic->length / size, name = 0, texts = 0;
	bool has_name = false;

	count = count < ENTRIES_MAX ? count : ENTRIES_MAX;
	if (!read_all(e, &d, count * size, dynamic->at))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		int64_t tag = e->wide ? d.wide[i].d_tag : d.narrow[i].d_tag;
		uint64_t value = e->wide ? d.wide[i].d_un.d_val : d.narrow[i].d_un.d_val;

		if (tag == DT_NULL)
			break;
		if (tag == DT_SONAME) {
			has_name = true;
			name = value;
		} else if (tag == DT_STRTAB) {
			texts = value;
		}
	}
	return has_name && name <= UINT64_MAX - texts && place_of(e, texts + name, at);
}

bool soname_of(soname_read read, void *context, char to[SONAME_MAX])
{
	struct elf e = { .read = read, .context = context };
	ssize_t n = 0;
	uint64_t at;

	*to = 0;
	if (!read_head(&e) || !read_segments(&e))
		return false;
	for (unsigned i = 0; i < e.count; i++)
		if (e.segments[i].type == PT_DYNAMIC && find_name(&e, &e.segments[i], &at) && at <= INT64_MAX - SONAME_MAX)
			n = read(context, to, SONAME_MAX, at);
	if (n <= 0 || !memchr(to, 0, (size_t)n))
		*to = 0;
	return *to != 0;
}

static ssize_t read_file(void *context, void *to, size_t n, uint64_t at)
{
	return pread(*(const int *)context, to, n, (off_t)at);
}

bool soname_of_file(int file, char to[SONAME_MAX])
{
	return soname_of(read_file, &file, to);
}
