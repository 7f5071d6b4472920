/* SPDX-License-Identifier: MIT */
/* Units, crontabs, jobs and rules by strangers: the first line of the input is the path. */
#include <string.h>

#include "../../src/help/triggers.h"
#include "fuzz.h"

static void look(const char *text)
{
	if (strlen(text) > 16384)
		abort();
}

static void filter(void *context, const char *space, const char *name, const char *query)
{
	(void)context;
	look(space), look(name), look(query);
}

static void consumer(void *context, const char *name, const char *type, const char *destination)
{
	unsigned *told = context;

	look(name), look(type), look(destination);
	if (++*told > TRIGGERS_MAX)
		abort();
}

static void binding(void *context, const char *a, const char *b)
{
	(void)context;
	look(a), look(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const uint8_t *line = memchr(bytes, '\n', size);
	unsigned told = 0;
	const struct trigger_sink sink = { &told, filter, consumer, binding };
	char path[4096], *text;
	size_t n, skip;

	if (!line || (size_t)(line - bytes) >= sizeof(path) || memchr(bytes, 0, (size_t)(line - bytes)))
		return 0;
	skip = (size_t)(line - bytes);
	memcpy(path, bytes, skip);
	path[skip] = 0;
	n = size - skip - 1;
	text = malloc(n + 1); /* exact, so that reading beyond shows */
	if (!text)
		return 0;
	memcpy(text, line + 1, n);
	text[n] = 0;
	triggers_read(path, text, n, &sink);
	triggers_link(path, &sink);
	free(text);
	return 0;
}
