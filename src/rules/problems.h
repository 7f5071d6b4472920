/* SPDX-License-Identifier: MIT */
/* Complaints about a configuration: all are collected, each is one printable line. */
#pragma once
#include "ruleset.h"

struct position {
	unsigned line, column; /* from 1 */
};

/* Counts the problem and keeps it while there is room. */
void problem_add(struct rule_problems *all, struct position at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Something from the file as part of a message: one line, harmless on a terminal, cut when long. */
#define QUOTED_MAX 84
struct quoted {
	char text[QUOTED_MAX];
};
struct quoted quote(const char *text);

/* Words that would have been valid. */
#define WORDS_MAX 128
struct words {
	const char *word[WORDS_MAX];
	unsigned count;
};

/* Adds a word that is not there yet. */
void words_add(struct words *w, const char *word);

/* The one that was probably meant; NULL when none is near. */
const char *words_nearest(const char *unknown, const struct words *valid);

/* Ends a message about an unknown word: ", did you mean 'Image'?" when one is near, else
 * ", expected one of ..." */
struct hint {
	char text[400];
};
struct hint hint_for(const char *unknown, const struct words *valid);
