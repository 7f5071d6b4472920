/* SPDX-License-Identifier: MIT */
/* Libraries that only those need who send copies or have a display, and that the program is therefore not linked with: loaded
 * before the process that uses them gives up everything. Whoever uses one writes down its functions (and variables) once:
 *
 *   #define IN_CURL(F) F(curl_easy_init) F(curl_easy_perform)
 *   static struct { IN_CURL(LOADED_MEMBER) } curl;
 *   static const char *const curl_names[] = { IN_CURL(LOADED_NAME) };
 *   ...
 *   r = loaded_open("libcurl.so.4", "libcurl4", curl_names, ARRAY_SIZE(curl_names), &curl, e);
 *   ...
 *   handle = curl.curl_easy_init();
 */
#pragma once
#include <stddef.h>

#include "err.h"

#define LOADED_MEMBER(name) __typeof__(name) *name;
#define LOADED_NAME(name)   #name,

/* Loads the library and puts the address of each function into the table, which has nothing but pointers to them, in this
 * order. 0; -ENOENT: the library is not there (the text names Debian's package) or lacks one of them. */
int loaded_open(const char *library, const char *package, const char *const *names, size_t count, void *table,
		struct err *e);
