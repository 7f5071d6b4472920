/* SPDX-License-Identifier: MIT */
/* JSON of and for Azure's services, by jansson. No I/O. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AZURE_TOKEN_MAX 16384u
#define AZURE_WORDS_MAX 90u

/* The metadata service's answer: the token, which is good for so many seconds (a day at most). False: there is none that
 * could stand in the line of a request. */
bool azure_json_token(const char *body, size_t n, char token[AZURE_TOKEN_MAX + 1], int64_t *seconds);

/* What an answer with an error says, printable and cut; "" where it says nothing. */
void azure_json_error(const char *body, size_t n, char code[AZURE_WORDS_MAX], char message[AZURE_WORDS_MAX]);

/* An object with its long texts cut, each saying so, until no member is longer than `most` bytes, which is 4096 at least. To
 * be freed; NULL: it is no object, or has too much beside texts. */
char *azure_json_shorten(const char *object, size_t n, size_t most);

/* What may stand in a JSON text and before people as it is; '?' for the rest. */
void azure_json_plain(const char *from, char *to, size_t size);
