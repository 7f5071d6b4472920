/* SPDX-License-Identifier: MIT */
/* Text without letter case: Unicode simple folding, character by character, independent of any locale.
 * Two texts are equal without case when their folded forms are equal byte for byte. */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint32_t fold_character(uint32_t c);

/* Writes the folded form of UTF-8 text to out; returns its length, at most FOLD_SIZE_MAX(n). */
size_t fold_text(const char *text, size_t n, uint8_t *out);

/* A character of two bytes may fold into one of three (U+023A and U+023E do); no other grows. */
#define FOLD_SIZE_MAX(n) ((n) + (n) / 2)
