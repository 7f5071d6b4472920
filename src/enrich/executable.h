/* SPDX-License-Identifier: MIT */
/* Is this something that Linux can be made to run? Told by the first bytes of a file and, for a jar, its last. No
 * I/O: bytes in, an answer out; any bytes may come. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define EXECUTABLE_HEAD 4096u  /* more of the first bytes changes no answer */
#define EXECUTABLE_TAIL 65536u /* of the last bytes */

enum executable {
	NOT_EXECUTABLE,
	EXECUTABLE_ELF,    /* whatever its class: the kernel looks at the four bytes only */
	EXECUTABLE_SCRIPT, /* "#!" and the name of an interpreter */
	EXECUTABLE_CLASS,  /* compiled Java */
	EXECUTABLE_JAR,
	EXECUTABLE_PE,     /* for Mono or Wine, through binfmt_misc */
	EXECUTABLE_WASM,
	MAYBE_JAR,         /* a zip: executable_tail() decides */
};

enum executable executable_head(const uint8_t *bytes, size_t n);
/* Of a MAYBE_JAR: EXECUTABLE_JAR or NOT_EXECUTABLE. */
enum executable executable_tail(const uint8_t *bytes, size_t n);
