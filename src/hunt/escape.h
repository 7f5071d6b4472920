/* SPDX-License-Identifier: MIT */
/* Text on its way out. Values hold what strangers chose: a file name may carry escape sequences that steer
 * a terminal, or characters that turn the reading direction round. What can do harm is called harmful:
 * control characters (below U+0020, U+007F to U+009F), line and paragraph separators, and everything that
 * changes the direction of writing. Each form shows it in its own way, and each way can be undone. */
#pragma once
#include <stddef.h>
#include <stdio.h>

/* For people: every byte of a harmful character as \xHH, the written form of src/base/text.h. */
void put_visible(FILE *to, const char *text, size_t n);

/* Element content and attribute values of the text form: as put_visible(), and the five entities of XML. */
void put_xml(FILE *to, const char *text, size_t n);

/* The longest beginning of the text, in whole characters, that put_xml() writes with at most max bytes; *written (may be
 * NULL) is how many those are. */
size_t xml_fit(const char *text, size_t n, size_t max, size_t *written);

/* XML that is finished already: harmful characters become character references, so it stays the same
 * document and one line. */
void put_finished_xml(FILE *to, const char *xml, size_t n);

/* The inside of a JSON string: harmful characters as \uXXXX. */
void put_json(FILE *to, const char *text, size_t n);
/* How many bytes from the beginning on put_json() writes as they are. */
size_t json_plain(const char *text, size_t n);
