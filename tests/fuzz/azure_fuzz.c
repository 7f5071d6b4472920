/* SPDX-License-Identifier: MIT */
/* What Azure's services answer, and objects that are too long for them. Whatever comes, a token is one that can stand in a
 * line, words are printable, and what was made shorter is. */
#include <assert.h>
#include <string.h>

#include "../../src/forward/azure_json.h"
#include "../../src/forward/http.h"
#include "fuzz.h"

#define MOST 4096u

static bool is_printable(const char *text)
{
	return text[strcspn(text, "\r\n\033\177")] == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static char token[AZURE_TOKEN_MAX + 1];
	char code[AZURE_WORDS_MAX], message[AZURE_WORDS_MAX], *text = malloc(size + 1), *shorter, *again;
	int64_t seconds;

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = 0;
	if (azure_json_token(text, size, token, &seconds))
		assert(token[0] && is_printable(token) && !strchr(token, ' ') && seconds > 0 && seconds <= 86400);
	azure_json_error(text, size, code, message);
	assert(is_printable(code) && is_printable(message));
	shorter = azure_json_shorten(text, size, MOST);
	if (shorter) {
		again = azure_json_shorten(shorter, strlen(shorter), MOST);
		assert(again && strlen(again) <= strlen(shorter));
		free(again);
	}
	free(shorter);
	http_check_url(text, size % 2, NULL);
	free(text);
	return 0;
}
