/* SPDX-License-Identifier: MIT */
/* The PKCS#7 block behind a kernel module. */
#include <string.h>

#include "../../src/enrich/signature.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char signer[SIGNER_MAX];

	signature_signer(data, size, signer);
	return (int)strnlen(signer, SIGNER_MAX) / SIGNER_MAX; /* 0: it has an end */
}
