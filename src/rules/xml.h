/* SPDX-License-Identifier: MIT */
/* XML as a stranger may have written it: encodings, bounds, positions. Knows nothing of rules. A DOCTYPE
 * is as if it were not there, so no entity but the predefined ones exists and nothing is ever fetched. */
#pragma once
#include <stddef.h>

#include "problems.h"

struct xml_reader {
	void (*open)(void *to, struct position at, const char *element, const char *const *attributes);
	void (*close)(void *to);
	/* Pieces of text, comments left out, CDATA included. at is where the piece begins. */
	void (*text)(void *to, struct position at, const char *piece, size_t n);
	void *to;
};

/* 0 when the document was read to its end; -EBADMSG when it could not be, which is then the last of
 * the problems; -ENOMEM. */
int xml_read(const void *bytes, size_t n, const struct xml_reader *reader, struct rule_problems *problems);
