/* SPDX-License-Identifier: MIT */
/* Our own verbs: their table (verbs.def) and their arguments, taken apart. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../base/err.h"

/* Exit statuses, Sysmon's. */
#define STATUS_OK       0
#define STATUS_FAILED   1
#define STATUS_USAGE    87
#define STATUS_NOT_ROOT 228

/* OPTION_view_json is the number of --json among the options of view. */
#define VERB(verb, ...)         enum {
#define OPTION(verb, name, ...) OPTION_##verb##_##name,
#define END(verb)               OPTION_##verb##_COUNT };
#include "verbs.def"

enum how_often { ONCE, OFTEN };

struct option_row {
	const char *name; /* as typed, without the dashes */
	char letter;      /* 0 if it has none */
	const char *value; /* NULL if it takes none */
	enum how_often often;
	const char *help;
};

struct arguments;

struct verb {
	const char *name;
	const char *words; /* what it takes beside options; "" if nothing */
	const char *help;
	int (*run)(const struct arguments *a); /* returns the exit status */
	const struct option_row *options;
	unsigned option_count;
};

#define VERB(name, ...) +1
enum { VERB_COUNT = 0
#include "verbs.def"
};
extern const struct verb verbs[VERB_COUNT];
const struct verb *verb_by_name(const char *name);

/* Taken apart; everything points into argv. */
struct arguments {
	const struct verb *verb;
	struct given {
		unsigned option;
		const char *value; /* "" for an option without value */
	} *given;
	unsigned given_count;
	const char **words;
	unsigned word_count;
	bool help; /* --help */
};

/* 0, -EBADMSG for what is no usage of the verb, -ENOMEM. Freed by arguments_done(), also on failure. */
int arguments_parse(const struct verb *v, int count, char *const *words, struct arguments *a, struct err *e);
void arguments_done(struct arguments *a);

/* The value of an option, "" for one without; NULL when it was not given. */
const char *argument(const struct arguments *a, unsigned option);

/* Prints "konseki: what" and how to get help; returns STATUS_USAGE. */
int bad_usage(const struct verb *v, const char *what);

#define VERB(name, ...) int verb_##name(const struct arguments *a);
#include "verbs.def"
