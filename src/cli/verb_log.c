/* SPDX-License-Identifier: MIT */
#include "verb_log.h"

#include <string.h>

#include "../base/own.h"
#include "../daemon/service.h"

static int log_set_size(const struct arguments *a)
{
	return a->word_count < 2 ? bad_usage(a->verb, "how large? A size such as 512M or 2G") :
				   service_set_log_size(a->words[1]);
}

static int log_clear(const struct arguments *a)
{
	return service_clear_log(!argument(a, OPTION_log_no_copy));
}

static const struct {
	const char *name;
	unsigned words_max; /* beside the name */
	int (*run)(const struct arguments *a);
} commands[] = {
	{ "info", 1, log_info },
	{ "set-size", 1, log_set_size },
	{ "clear", 0, log_clear },
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
