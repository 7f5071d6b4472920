/* SPDX-License-Identifier: MIT */
/* What a server answers over RELP, also cut anywhere: a beginning of a frame is never taken for another frame. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "../../src/forward/relp.h"
#include "fuzz.h"

static volatile unsigned char told;

/* In memory of its own exact size, so that reading beyond the end shows. */
static int parse(const uint8_t *bytes, size_t n, struct relp_answer *a)
{
	char *exact = malloc(n ? n : 1);
	int r;

	if (!exact)
		abort();
	memcpy(exact, bytes, n);
	r = relp_parse(exact, n, a);
	assert(r == -EBADMSG || (r >= 0 && (size_t)r <= n && r <= (int)RELP_ANSWER_MAX));
	if (r > 0) {
		assert(a->text >= exact && a->text + a->text_size <= exact + n && a->code < 1000);
		assert(a->number <= RELP_NUMBER_MAX);
		for (size_t i = 0; i < a->text_size; i++)
			told ^= (unsigned char)a->text[i];
		told ^= relp_takes_syslog(a);
	}
	free(exact);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct relp_answer a;
	int whole;

	while (size > 0 && (whole = parse(bytes, size, &a)) > 0) {
		for (int n = 0; n < whole; n += 1 + whole / 50)
			assert(parse(bytes, (size_t)n, &a) == 0);
		bytes += whole;
		size -= (size_t)whole;
	}
	return 0;
}
