/* SPDX-License-Identifier: MIT */
/* Errors that libraries return and the daemon or the command line reports, once. Each level adds what
 * only it knows. Nothing here allocates, so that running out of memory can be reported too. */
#pragma once

struct err {
	int code; /* errno value, positive; 0 is none */
	char text[1000]; /* NUL-terminated; cut, with "...", when longer */
};

/* Sets text and code, appends ": strerror" when code is not EBADMSG or 0; returns -code.
 * e may be NULL for a caller that wants the code only. */
int err_set(struct err *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "what: " before the text that is there; returns -e->code. */
int err_within(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
