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

struct operator {
	const char *name;
	bool list;
	bool (*holds)(const struct folded *field, const struct items *wanted);
};

#define OPERATOR_COUNT 16
extern const struct operator operators[OPERATOR_COUNT];

/* Without letter case; "" is "is"; NULL when there is none. */
const struct operator *operator_by_name(const char *name);
