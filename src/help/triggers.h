/* SPDX-License-Identifier: MIT */
/* What a file has the machine do later by itself: units of systemd, crontabs, jobs of at, rules of udev, what desktops
 * begin with, what D-Bus starts. Pure: text in,
 * calls out. Reads what strangers wrote; fuzzed (tests/fuzz/triggers_fuzz.c). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct trigger_sink {
	void *context;
	/* Texts are borrowed, end in NUL, and hold no NUL. */
	void (*filter)(void *context, const char *space, const char *name, const char *query);
	void (*consumer)(void *context, const char *name, const char *type, const char *destination);
	void (*binding)(void *context, const char *consumer, const char *filter);
};

/* The path decides which kind of file it is, if any. text[n] must be readable and 0. At most TRIGGERS_MAX lines of a
 * file are told. */
#define TRIGGERS_MAX 1000u
void triggers_read(const char *path, const char *text, size_t n, const struct trigger_sink *sink);

/* A symbolic link among those that a target of systemd wants or requires: what it is bound to. False: it is none. */
bool triggers_link(const char *path, const struct trigger_sink *sink);
