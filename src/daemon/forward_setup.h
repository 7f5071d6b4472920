/* SPDX-License-Identifier: MIT */
/* `konseki forward`: where copies go, as the command line changes it. Each prints what it did and returns the exit status. */
#pragma once
#include <stdbool.h>

struct forward_wish {
	const char *sink, *to;
	const char *name;         /* NULL: what the sink is called */
	const char *secret_path;  /* NULL: none; "-": standard input */
	const char *const *options; /* "name=value" */
	unsigned option_count;
	bool managed_identity;
};

int forward_add(const struct forward_wish *w);
int forward_list(void);
/* Sends one marked event and says what became of it. */
int forward_test(const char *name);
int forward_remove(const char *name);
