/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include "../../src/enrich/executable.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	enum executable kind = executable_head(bytes, size);

	if (kind == MAYBE_JAR)
		kind = executable_tail(bytes, size);
	return kind > EXECUTABLE_WASM ? -1 : 0;
}
