/* SPDX-License-Identifier: MIT */
#include "relp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_MAX  9u
#define COMMAND_MAX 32u

/* Where parsing is. */
struct cursor {
	const char *at, *end;
};

/* A number and the character behind it, which must be among `ends`. 1; 0: more bytes are needed; -EBADMSG. */
static int number(struct cursor *c, const char *ends, uint32_t *value, char *ended)
{
	unsigned digits = 0;

	for (*value = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
		if (++digits > DIGITS_MAX)
			return -EBADMSG;
		*value = *value * 10 + (uint32_t)(*c->at - '0');
	}
	if (c->at == c->end)
		return 0;
	if (digits == 0 || *c->at == 0 || !strchr(ends, *c->at))
		return -EBADMSG;
	*ended = *c->at++;
	return 1;
}

/* A word of letters and the blank behind it. */
static int word(struct cursor *c, enum relp_command *command)
{
	const char *begin = c->at;
	size_t n;

	while (c->at < c->end && ((*c->at >= 'a' && *c->at <= 'z') || (*c->at >= 'A' && *c->at <= 'Z')))
		c->at++;
	n = (size_t)(c->at - begin);
	if (n > COMMAND_MAX || (c->at < c->end && (n == 0 || *c->at != ' ')))
		return -EBADMSG;
	if (c->at == c->end)
		return 0;
	c->at++;
	*command = n == 3 && memcmp(begin, "rsp", 3) == 0	     ? RELP_RSP
		   : n == 11 && memcmp(begin, "serverclose", 11) == 0 ? RELP_SERVERCLOSE
								      : RELP_OTHER;
	return 1;
}

/* Three digits, then perhaps a blank and words. */
static void read_code(struct relp_answer *a)
{
	unsigned code = 0;

	if (a->text_size < 3)
		return;
	for (unsigned i = 0; i < 3; i++) {
		if (a->text[i] < '0' || a->text[i] > '9')
			return;
		code = code * 10 + (unsigned)(a->text[i] - '0');
	}
	if (a->text_size > 3 && a->text[3] != ' ' && a->text[3] != '\n')
		return;
	a->code = code;
	a->text += a->text_size > 3 ? 4 : 3;
	a->text_size -= a->text_size > 3 ? 4 : 3;
}

int relp_parse(const char *bytes, size_t n, struct relp_answer *a)
{
	struct cursor c = { bytes, bytes + n };
	uint32_t size;
	char ended;
	int r;

	*a = (struct relp_answer){ 0 };
	r = number(&c, " ", &a->number, &ended);
	if (r > 0)
		r = word(&c, &a->command);
	/* Without data the line feed may stand behind the length at once, or behind the blank. */
	if (r > 0)
		r = number(&c, " \n", &size, &ended);
	if (r <= 0)
		return r;
	if (size > RELP_ANSWER_MAX || (ended == '\n' && size > 0))
		return -EBADMSG;
	a->text = c.at;
	a->text_size = size;
	if (ended == ' ') {
		if ((size_t)(c.end - c.at) < size + 1u)
			return 0;
		c.at += size;
		if (*c.at++ != '\n')
			return -EBADMSG;
	}
	if (a->command == RELP_RSP)
		read_code(a);
	return c.at - bytes > (long)RELP_ANSWER_MAX ? -EBADMSG : (int)(c.at - bytes);
}

size_t relp_head(char to[RELP_HEAD_MAX], uint32_t n, const char *command, size_t size)
{
	return (size_t)snprintf(to, RELP_HEAD_MAX, "%u %.32s %zu ", n, command, size);
}

/* Is `word` among those between commas? */
static bool is_listed(const char *at, const char *end, const char *word)
{
	size_t n = strlen(word);
	const char *next;

	for (; at < end; at = next + 1) {
		next = memchr(at, ',', (size_t)(end - at));
		next = next ? next : end;
		if ((size_t)(next - at) == n && memcmp(at, word, n) == 0)
			return true;
	}
	return false;
}

bool relp_takes_syslog(const struct relp_answer *a)
{
	static const char key[] = "commands=";
	const char *end = a->text + a->text_size, *next;

	for (const char *line = a->text; line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next : end;
		if ((size_t)(next - line) > sizeof(key) - 1 && memcmp(line, key, sizeof(key) - 1) == 0)
			return is_listed(line + sizeof(key) - 1, next, "syslog");
	}
	return false;
}
