/* SPDX-License-Identifier: MIT */
#include "verb_log.h"

#include <string.h>

#include "../base/own.h"

static const struct {
	const char *name;
	unsigned words_max; /* beside the name */
	int (*run)(const struct arguments *a);
} commands[] = {
	{ "info", 1, log_info },
};

int verb_log(const struct arguments *a)
{
	for (size_t i = 0; a->word_count && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(a->words[0], commands[i].name) != 0)
			continue;
		if (a->word_count - 1 > commands[i].words_max)
			return bad_usage(a->verb, "too many words");
		return commands[i].run(a);
	}
	return bad_usage(a->verb, a->word_count ? "there is no such command" : "what is to be done with the log?");
}
