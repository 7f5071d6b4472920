/* SPDX-License-Identifier: MIT */
/* Text between UTF-8 and the UTF-16LE of the file. Internal to src/evtx/. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8 to UTF-16LE; returns the end of what was written, at most 2 bytes for each of n. Whatever is no
 * character of XML 1.0 (callers hand in the written form of base/text.h, which has none) becomes U+FFFD:
 * one such unit can cost a foreign reader the rest of the file. */
uint8_t *utf16_from_utf8(const char *text, size_t n, uint8_t *out);

/* How many units that makes. */
size_t utf16_length(const char *text, size_t n);

/* UTF-16LE to UTF-8 that XML can carry; returns the end of what was written, at most UTF8_PER_UNIT
 * bytes for each of `units`. A lone surrogate becomes U+FFFD, a forbidden character the \xHH form. */
#define UTF8_PER_UNIT 12
char *utf16_to_utf8(const uint8_t *from, size_t units, char *out);

/* Is this what utf16_from_utf8() makes? */
bool utf16_is_clean(const uint8_t *from, size_t units);

/* How XML writes a character that it gives a meaning, NULL for others. A bare CR would be read as LF. */
const char *xml_entity(char c);

/* One character as XML can carry it, by the same rules; at most UTF8_PER_UNIT bytes. */
char *utf8_put(uint32_t c, char *out);
