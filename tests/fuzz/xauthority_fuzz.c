/* SPDX-License-Identifier: MIT */
/* The file of a user in which the cookies of his displays stand. */
#include <string.h>

#include "../../src/help/clipboard.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size + 1); /* so that reading beyond shows */
	char cookie[COOKIE_MAX];
	size_t length = 0;

	if (!exact)
		return 0;
	if (size)
		memcpy(exact + 1, data, size);
	if (clipboard_cookie(exact + 1, size, 7, cookie, &length) && length > COOKIE_MAX)
		abort();
	free(exact);
	return 0;
}
