/* SPDX-License-Identifier: MIT */
/* Values as text (docs/formats/values.md): every byte string has exactly one written form, well-formed
 * UTF-8 that XML 1.0 can carry, and the bytes can be had back from it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes as text: a byte that is not valid UTF-8, and one of a character that XML 1.0 cannot carry
 * (below 0x20 except tab, LF, CR; DEL; U+FFFE, U+FFFF) becomes \xHH (upper-case hex); a backslash that
 * would read like this, that is one before 'x' and two hex digits, becomes \x5c.
 * Writes at most size bytes to out, never half an escape or half a character; returns the length.
 * *cut (may be NULL) tells whether anything was left out. Never more than 4 bytes for one. */
size_t text_from_bytes(const void *bytes, size_t n, char *out, size_t size, bool *cut);

/* The inverse: returns the number of bytes written to out (size n suffices). */
size_t text_to_bytes(const char *text, size_t n, void *out);

/* Length of the valid UTF-8 character at p (1 to 4), or 0; *c is the character. */
unsigned text_utf8(const uint8_t *p, size_t n, uint32_t *c);
