/* SPDX-License-Identifier: MIT */
#include "problems.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "../base/text.h"

static void mark_cut(char *text, size_t size, int wanted)
{
	if (wanted >= (int)size)
		memcpy(text + size - 4, "...", 4);
}

void problem_add(struct rule_problems *all, struct position at, const char *format, ...)
{
	struct rule_problem *p;
	va_list args;
	int n;

	if (all->count++ >= RULE_PROBLEMS_MAX)
		return;

	p = &all->problem[all->count - 1];
	p->line = at.line;
	p->column = at.column;
	va_start(args, format);
	n = vsnprintf(p->text, sizeof(p->text), format, args);
	va_end(args);
	mark_cut(p->text, sizeof(p->text), n);
}

/* Control characters, those from 0x80 to 0x9f too, may steer a terminal. */
static bool is_printable(uint32_t c)
{
	return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0);
}

struct quoted quote(const char *text)
{
	struct quoted q;
	size_t at = 0, left = strlen(text), n = 0;

	while (left > 0) {
		uint32_t c;
		unsigned step = text_utf8((const uint8_t *)text + at, left, &c);

		if (n + 4 >= sizeof(q.text) - 4) {
			memcpy(q.text + n, "...", 3);
			n += 3;
			break;
		}
		if (step > 0 && is_printable(c)) {
			memcpy(q.text + n, text + at, step);
			n += step;
		} else {
			q.text[n++] = '?';
		}
		at += step ? step : 1;
		left -= step ? step : 1;
	}
	q.text[n] = 0;
	return q;
}

void words_add(struct words *w, const char *word)
{
	for (unsigned i = 0; i < w->count; i++)
		if (strcmp(w->word[i], word) == 0)
			return;
	if (w->count < WORDS_MAX)
		w->word[w->count++] = word;
}

#define COMPARED_MAX 40 /* longer words are never near */

static int letter(char c)
{
	return tolower((unsigned char)c);
}

/* Least number of letters to insert, remove, replace or swap with their neighbour, without case. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[3][COMPARED_MAX + 1]; /* two before, one before, this */
	size_t n = strlen(a), m = strlen(b);

	if (n > COMPARED_MAX || m > COMPARED_MAX)
		return COMPARED_MAX;
	for (unsigned j = 0; j <= m; j++)
		row[1][j] = j;
	for (unsigned i = 1; i <= n; i++) {
		row[2][0] = i;
		for (unsigned j = 1; j <= m; j++) {
			bool same = letter(a[i - 1]) == letter(b[j - 1]);
			unsigned best = row[1][j - 1] + !same;

			if (row[1][j] + 1 < best)
				best = row[1][j] + 1;
			if (row[2][j - 1] + 1 < best)
				best = row[2][j - 1] + 1;
			if (i > 1 && j > 1 && letter(a[i - 1]) == letter(b[j - 2]) &&
			    letter(a[i - 2]) == letter(b[j - 1]) && row[0][j - 2] + 1 < best)
				best = row[0][j - 2] + 1;
			row[2][j] = best;
		}
		memcpy(row[0], row[1], sizeof(row[0]));
		memcpy(row[1], row[2], sizeof(row[1]));
	}
	return row[1][m];
}

const char *words_nearest(const char *unknown, const struct words *valid)
{
	unsigned best = (unsigned)strlen(unknown) / 3; /* more than a third wrong is another word */
	const char *found = NULL;

	if (best == 0)
		best = 1;
	for (unsigned i = 0; i < valid->count; i++) {
		unsigned d = distance(unknown, valid->word[i]);

		if (d < best || (d == best && !found)) {
			best = d;
			found = valid->word[i];
		}
	}
	return found;
}

struct hint hint_for(const char *unknown, const struct words *valid)
{
	const char *near = words_nearest(unknown, valid);
	struct hint hint;
	size_t n;

	if (near) {
		snprintf(hint.text, sizeof(hint.text), ", did you mean '%s'?", near);
		return hint;
	}

	n = (size_t)snprintf(hint.text, sizeof(hint.text), ", expected %s",
			     valid->count == 1 ? "" : valid->count ? "one of " : "nothing here");
	for (unsigned i = 0; i < valid->count && n < sizeof(hint.text); i++)
		n += (size_t)snprintf(hint.text + n, sizeof(hint.text) - n, "%s%s", i ? ", " : "",
				      valid->word[i]);
	mark_cut(hint.text, sizeof(hint.text), (int)n);
	return hint;
}
