/* SPDX-License-Identifier: MIT */
/* ELF files by strangers, for the name a library says it has. */
#include <string.h>

#include "../../src/enrich/soname.h"
#include "fuzz.h"

struct bytes {
	const uint8_t *at;
	size_t n;
};

static ssize_t read_bytes(void *context, void *to, size_t n, uint64_t at)
{
	const struct bytes *b = context;

	if (at >= b->n)
		return 0;
	n = n < b->n - at ? n : b->n - at;
	memcpy(to, b->at + at, n);
	return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };
	char name[SONAME_MAX];

	if (soname_of(read_bytes, &b, name) != (strnlen(name, sizeof(name)) > 0) || strnlen(name, sizeof(name)) == sizeof(name))
		abort();
	return 0;
}
