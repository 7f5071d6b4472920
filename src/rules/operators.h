/* SPDX-License-Identifier: MIT */
/* How a field is compared with the value of a filter. Both are folded (fold.h) before they come here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct folded { /* borrowed bytes */
	const uint8_t *bytes;
	size_t length;
};

struct items {
	const struct folded *item;
	unsigned count; /* 1 when the operator takes no list */
};

/* What of its items a field must show for an operator to hold. */
enum trace {
	EQUAL,      /* the whole field is one of them */
	BASE,       /* the field, or what stands behind its last separator, is the one */
	PART,       /* one of them occurs in it */
	EVERY_PART, /* all of them occur in it, and there is one */
	NO_TRACE,   /* nothing */
};

struct operator {
	const char *name;
	bool list;
	enum trace trace;
	bool (*holds)(const struct folded *field, const struct items *wanted);
};

#define OPERATOR_COUNT 16
extern const struct operator operators[OPERATOR_COUNT];

/* Part of the field behind its last separator, '/' or '\\'. */
struct folded after_last_separator(const struct folded *path);

/* Without letter case; "" is "is"; NULL when there is none. */
const struct operator *operator_by_name(const char *name);
