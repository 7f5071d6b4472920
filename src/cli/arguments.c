/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verb.h"

/* Option names are C names in the table: '_' stands for '-'. */
static bool same_name(const char *row, const char *typed, size_t n)
{
	if (strlen(row) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((row[i] == '_' ? '-' : row[i]) != typed[i])
			return false;
	return true;
}

static int option_by_name(const struct verb *v, const char *name, size_t n)
{
	for (unsigned i = 0; i < v->option_count; i++)
		if (same_name(v->options[i].name, name, n))
			return (int)i;
	return -1;
}

static int option_by_letter(const struct verb *v, char letter)
{
	for (unsigned i = 0; i < v->option_count; i++)
		if (letter && v->options[i].letter == letter)
			return (int)i;
	return -1;
}

const char *argument(const struct arguments *a, unsigned option)
{
	for (unsigned i = 0; i < a->given_count; i++)
		if (a->given[i].option == option)
			return a->given[i].value;
	return NULL;
}

/* value: what is attached to the option, NULL if nothing; next: the word behind it, NULL if none.
 * Returns 1 if next was used. */
static int give(struct arguments *a, int option, const char *typed, const char *value, const char *next,
		struct err *e)
{
	const struct option_row *row = &a->verb->options[option];
	bool take_next = row->value && !value;

	if (row->often == ONCE && argument(a, (unsigned)option))
		return err_set(e, EBADMSG, "%s is given twice", typed);
	if (!row->value && value)
		return err_set(e, EBADMSG, "%s takes no value", typed);
	if (take_next && !next)
		return err_set(e, EBADMSG, "%s needs a value: %s", typed, row->value);
	a->given[a->given_count++] = (struct given){
		.option = (unsigned)option, .value = take_next ? next : value ? value : "",
	};
	return take_next;
}

static int unknown(const struct arguments *a, const char *typed, struct err *e)
{
	return err_set(e, EBADMSG, "'konseki %s' has no option %s", a->verb->name, typed);
}

static int read_long(struct arguments *a, const char *word, const char *next, struct err *e)
{
	size_t n = strcspn(word + 2, "=");
	int option = option_by_name(a->verb, word + 2, n);

	if (strcmp(word, "--help") == 0) {
		a->help = true;
		return 0;
	}
	if (option < 0)
		return unknown(a, word, e);
	return give(a, option, word, word[2 + n] ? word + 3 + n : NULL, next, e);
}

/* "-fn5" is -f and -n 5: a letter that takes a value takes the rest of the word. */
static int read_letters(struct arguments *a, const char *word, const char *next, struct err *e)
{
	for (const char *p = word + 1; *p; p++) {
		int option = option_by_letter(a->verb, *p), r;
		bool takes_rest;

		if (option < 0)
			return unknown(a, word, e);
		takes_rest = a->verb->options[option].value && p[1];
		r = give(a, option, word, takes_rest ? p + 1 : NULL, p[1] ? NULL : next, e);
		if (r != 0 || takes_rest)
			return r;
	}
	return 0;
}

int arguments_parse(const struct verb *v, int count, char *const *words, struct arguments *a, struct err *e)
{
	bool only_words = false;

	/* No more of either than words; an option word may hold several letters. */
	size_t letters = 1;

	for (int i = 0; i < count; i++)
		letters += strlen(words[i]);
	*a = (struct arguments){ .verb = v };
	a->given = calloc(letters, sizeof(*a->given));
	a->words = calloc((size_t)count + 1, sizeof(*a->words));
	if (!a->given || !a->words)
		return err_set(e, ENOMEM, "reading the command line");
	for (int i = 0; i < count; i++) {
		const char *word = words[i], *next = i + 1 < count ? words[i + 1] : NULL;
		int r = 0;

		if (only_words || word[0] != '-' || !word[1])
			a->words[a->word_count++] = word;
		else if (strcmp(word, "--") == 0)
			only_words = true;
		else
			r = word[1] == '-' ? read_long(a, word, next, e) : read_letters(a, word, next, e);
		if (r < 0)
			return r;
		i += r;
	}
	if (a->word_count > 0 && !v->words[0])
		return err_set(e, EBADMSG, "'konseki %s' takes no '%s'", v->name, a->words[0]);
	return 0;
}

void arguments_done(struct arguments *a)
{
	free(a->given);
	free(a->words);
}

int bad_usage(const struct verb *v, const char *what)
{
	fprintf(stderr, "konseki: %s\nSee 'konseki help %s'.\n", what, v ? v->name : "");
	return STATUS_USAGE;
}
