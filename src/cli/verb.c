/* SPDX-License-Identifier: MIT */
#include "verb.h"

#include <string.h>

#define VERB(verb, ...) static const struct option_row options_of_##verb[] = {
#define OPTION(verb, name, letter, value, often, help) { #name, letter, value, often, help },
#define END(verb) { NULL, 0, NULL, ONCE, NULL } };
#include "verbs.def"

const struct verb verbs[VERB_COUNT] = {
#define VERB(name, words, help)                                                                    \
	{ #name, words, help, verb_##name, options_of_##name, OPTION_##name##_COUNT },
#include "verbs.def"
};

const struct verb *verb_by_name(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}
