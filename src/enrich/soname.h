/* SPDX-License-Identifier: MIT */
/* The name that a library says it has (DT_SONAME), found as the loader finds it: by the program headers. Any bytes may come;
 * what is read is bounded. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SONAME_MAX 64 /* with the NUL; a longer one is none */

/* Reads at most n bytes of the file from there on: how many, or negative. */
typedef ssize_t (*soname_read)(void *context, void *to, size_t n, uint64_t at);

/* False, and "": it has none. */
bool soname_of(soname_read read, void *context, char to[SONAME_MAX]);
bool soname_of_file(int file, char to[SONAME_MAX]);
