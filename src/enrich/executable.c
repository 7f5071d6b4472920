/* SPDX-License-Identifier: MIT */
#include "executable.h"

#include <string.h>

static uint32_t le16_at(const uint8_t *p)
{
	return (uint32_t)(p[0] | p[1] << 8);
}

static uint32_t le32_at(const uint8_t *p)
{
	return le16_at(p) | le16_at(p + 2) << 16;
}

static int begins(const uint8_t *bytes, size_t n, const char *magic, size_t length)
{
	return n >= length && memcmp(bytes, magic, length) == 0;
}

#define BEGINS(magic) begins(bytes, n, magic, sizeof(magic) - 1)

/* "#!" alone is nothing that the kernel would execute: an interpreter must be named on the first line. */
static int names_interpreter(const uint8_t *bytes, size_t n)
{
	for (size_t i = 2; i < n && bytes[i] != '\n' && bytes[i] != 0; i++)
		if (bytes[i] != ' ' && bytes[i] != '\t')
			return 1;
	return 0;
}

/* Behind the DOS header lies the mark of a PE; where, stands in it. Beyond what we have: taken for one. */
static int is_pe(const uint8_t *bytes, size_t n)
{
	uint32_t at;

	if (n < 64)
		return 0;
	at = le32_at(bytes + 60);
	return at > n - 4 || memcmp(bytes + at, "PE\0\0", 4) == 0;
}

/* The mark of compiled Java is that of fat Mach-O files too; those hold a small count where Java has versions,
 * of which the first was 45. */
static int is_class(const uint8_t *bytes, size_t n)
{
	return n >= 8 && (bytes[6] << 8 | bytes[7]) >= 45;
}

/* jar(1) puts META-INF first and marks the first entry with an extra field of this number. */
static enum executable zip_kind(const uint8_t *bytes, size_t n)
{
	size_t name, extra;

	if (n < 30)
		return NOT_EXECUTABLE;
	name = le16_at(bytes + 26);
	extra = le16_at(bytes + 28);
	if (begins(bytes + 30, n - 30, "META-INF/", 9) && name >= 9)
		return EXECUTABLE_JAR;
	if (extra >= 4 && 30 + name + 4 <= n && le16_at(bytes + 30 + name) == 0xcafe)
		return EXECUTABLE_JAR;
	return MAYBE_JAR;
}

enum executable executable_head(const uint8_t *bytes, size_t n)
{
	if (BEGINS("\177ELF"))
		return EXECUTABLE_ELF;
	if (BEGINS("#!"))
		return names_interpreter(bytes, n) ? EXECUTABLE_SCRIPT : NOT_EXECUTABLE;
	if (BEGINS("PK\3\4"))
		return zip_kind(bytes, n);
	if (BEGINS("\xca\xfe\xba\xbe"))
		return is_class(bytes, n) ? EXECUTABLE_CLASS : NOT_EXECUTABLE;
	if (BEGINS("MZ"))
		return is_pe(bytes, n) ? EXECUTABLE_PE : NOT_EXECUTABLE;
	if (BEGINS("\0asm"))
		return EXECUTABLE_WASM;
	return NOT_EXECUTABLE;
}

/* What makes a zip a jar is its manifest, and the directory of all entries stands at the end. */
enum executable executable_tail(const uint8_t *bytes, size_t n)
{
	static const char manifest[] = "META-INF/MANIFEST.MF";
	const size_t length = sizeof(manifest) - 1;

	for (size_t at = 0; at + 46 + length <= n; at++) {
		const uint8_t *entry = memchr(bytes + at, 'P', n - at);

		if (!entry)
			break;
		at = (size_t)(entry - bytes);
		if (at + 46 + length <= n && memcmp(entry, "PK\1\2", 4) == 0 &&
		    le16_at(entry + 28) == length && memcmp(entry + 46, manifest, length) == 0)
			return EXECUTABLE_JAR;
	}
	return NOT_EXECUTABLE;
}
