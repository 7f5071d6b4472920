/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "../base/own.h"
#include "../daemon/forward_setup.h"
#include "../forward/sink.h"
#include "verb.h"

static int add(const struct arguments *a)
{
	const struct forward_wish wish = {
		.sink = a->words[1],
		.to = a->words[2],
		.name = argument(a, OPTION_forward_name),
		.secret_path = argument(a, OPTION_forward_secret),
		.options = a->words + 3,
		.option_count = a->word_count - 3,
		.managed_identity = argument(a, OPTION_forward_managed_identity),
	};

	return forward_add(&wish);
}

static int list(const struct arguments *a)
{
	(void)a;
	return forward_list();
}

static int test(const struct arguments *a)
{
	return forward_test(a->words[1]);
}

static int remove_one(const struct arguments *a)
{
	return forward_remove(a->words[1]);
}

static const struct {
	const char *name;
	unsigned least, most; /* words behind it */
	int (*run)(const struct arguments *a);
} commands[] = {
	{ "add", 2, 2 + 32, add },
	{ "list", 0, 0, list },
	{ "test", 1, 1, test },
	{ "remove", 1, 1, remove_one },
};

int verb_forward(const struct arguments *a)
{
	for (size_t i = 0; a->word_count && i < ARRAY_SIZE(commands); i++) {
		unsigned words = a->word_count - 1;

		if (strcmp(a->words[0], commands[i].name) != 0)
			continue;
		if (words < commands[i].least)
			return bad_usage(a->verb, "words are missing");
		return words > commands[i].most ? bad_usage(a->verb, "too many words") : commands[i].run(a);
	}
	return bad_usage(a->verb, a->word_count ? "there is no such command" : "what is to be done?");
}
