/* SPDX-License-Identifier: MIT */
#include "azure_json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LONGEST_S 86400
#define CUT_FIRST 16384u /* longest text of an object that is too long; halved until it fits */
#define CUT_LEAST 32u
#define DEPTH_MAX 4u

void azure_json_plain(const char *from, char *to, size_t size)
{
	size_t i = 0;

	for (; from[i] && i < size - 1; i++)
		to[i] = from[i] < ' ' || from[i] > '~' || from[i] == '"' || from[i] == '\\' ? '?' : from[i];
	to[i] = 0;
}

/* --- answers */

/* The service writes numbers as strings. */
static int64_t number(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (json_is_integer(value))
		return json_integer_value(value);
	return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : 0;
}

static int64_t seconds_left(json_t *answer)
{
	int64_t left = number(answer, "expires_in"), until = number(answer, "expires_on"), now = (int64_t)time(NULL);

	if (left <= 0 && until > now)
		left = until - now;
	return left < LONGEST_S ? left : LONGEST_S;
}

/* What becomes a line of a request must not be able to become two. */
static bool is_token(const char *text)
{
	size_t n = text ? strlen(text) : 0;

	return n > 0 && n <= AZURE_TOKEN_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=") == n;
}

bool azure_json_token(const char *body, size_t n, char token[AZURE_TOKEN_MAX + 1], int64_t *seconds)
{
	json_t *answer = json_loadb(body, n, 0, NULL);
	const char *text = json_string_value(json_object_get(answer, "access_token"));
	bool good = is_token(text);

	*seconds = good ? seconds_left(answer) : 0;
	good = *seconds > 0;
	if (good)
		memcpy(token, text, strlen(text) + 1);
	json_decref(answer);
	return good;
}

void azure_json_error(const char *body, size_t n, char code[AZURE_WORDS_MAX], char message[AZURE_WORDS_MAX])
{
	json_t *answer = json_loadb(body, n, 0, NULL), *error = json_object_get(answer, "error");
	const char *own_code = json_string_value(json_object_get(error, "code"));
	const char *own_message = json_string_value(json_object_get(error, "message"));

	azure_json_plain(own_code ? own_code : "", code, AZURE_WORDS_MAX);
	azure_json_plain(own_message ? own_message : "", message, AZURE_WORDS_MAX);
	json_decref(answer);
}

/* --- objects that are too long */

static json_t *cut_text(const char *text, size_t n, size_t most)
{
	size_t keep = most;

	while (keep > 0 && ((unsigned char)text[keep] & 0xc0) == 0x80) /* not within a character */
		keep--;
	return json_sprintf("%.*s... [%zu bytes cut]", (int)keep, text, n - keep);
}

static void cut_texts(json_t *value, size_t most, unsigned depth);

/* In place of what it is: shorter, or with shorter parts; NULL: as it is. */
static json_t *cut_one(json_t *value, size_t most, unsigned depth)
{
	if (json_is_string(value) && json_string_length(value) > most)
		return cut_text(json_string_value(value), json_string_length(value), most);
	cut_texts(value, most, depth + 1);
	return NULL;
}

static void cut_texts(json_t *value, size_t most, unsigned depth)
{
	json_t *inner, *shorter;
	const char *name;
	void *next;
	size_t i;

	if (depth > DEPTH_MAX)
		return;
	json_object_foreach_safe(value, next, name, inner) {
		if ((shorter = cut_one(inner, most, depth)))
			json_object_set_new(value, name, shorter);
	}
	json_array_foreach(value, i, inner) {
		if ((shorter = cut_one(inner, most, depth)))
			json_array_set_new(value, i, shorter);
	}
}

static size_t longest_member(json_t *object)
{
	size_t longest = 0;
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value) {
		size_t n = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

		longest = n > longest ? n : longest;
	}
	return longest;
}

/* From what it was each time, so that what is said to be cut is all that is. */
char *azure_json_shorten(const char *object, size_t n, size_t most)
{
	char *text = NULL;

	for (size_t cut = CUT_FIRST; !text && cut >= CUT_LEAST; cut /= 2) {
		json_t *row = json_loadb(object, n, 0, NULL);

		if (!json_is_object(row)) {
			json_decref(row);
			return NULL;
		}
		cut_texts(row, cut, 0);
		if (longest_member(row) <= most)
			text = json_dumps(row, JSON_COMPACT);
		json_decref(row);
	}
	return text;
}
