/* SPDX-License-Identifier: MIT */
/* Which installed package a file belongs to: looked up in an index of the package database that the helper
 * makes (src/help/packages.c) and hands over as a sealed memfd. Everything in the index is checked where it is
 * used: who made it read what others wrote. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../base/own.h"

/* --- the index: head, files by path, their order by digest, packages, strings. Host order. */
#define PACKAGES_MAGIC     0x314b50534b4e4f4bull /* "KONKSPK1" */
#define PACKAGES_FILES_MAX (4u << 20)
#define PACKAGES_BYTES_MAX (512u << 20)

struct packages_head {
	uint64_t magic;
	uint32_t files, packages;
	uint32_t strings; /* bytes; the last one is NUL */
	uint32_t spare;
};

struct packages_file { /* sorted by folder, then name */
	uint32_t folder; /* string: "/usr/bin" */
	uint32_t name;   /* string: "dash" */
	uint32_t package;
	uint8_t md5[16]; /* as the package recorded it */
};

struct packages_entry { /* strings */
	uint32_t name, version, summary, vendor;
};

/* --- looking up */
struct packages;

/* Maps the index; the descriptor stays the caller's. -EBADMSG when it is none. */
int packages_map(int fd, struct packages **ret);
void packages_free(struct packages *p);
DEFINE_DROP(packages)

struct package { /* borrowed from the index */
	const char *name, *version, *summary, *vendor;
};

/* The package that shipped exactly these bytes under exactly this path; md5 NULL: whatever bytes. 1 or 0. */
int packages_owner(const struct packages *p, const char *path, size_t n, const uint8_t md5[16],
		   struct package *found);
/* The base name under which any package shipped these bytes: that of this path if it did, else of the first path
 * in order. NULL: none did. */
const char *packages_original(const struct packages *p, const char *path, size_t n,
			      const uint8_t md5[16]);
