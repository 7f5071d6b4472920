/* SPDX-License-Identifier: MIT */
#pragma once
#include <stddef.h>

#include "../base/err.h"

/* Reads a whole file of at most max bytes. The caller frees *bytes. 0 or -errno; -EFBIG. */
int read_whole_file(const char *path, size_t max, char **bytes, size_t *n, struct err *e);
