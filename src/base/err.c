/* SPDX-License-Identifier: MIT */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void mark_cut(struct err *e, int wanted)
{
	if (wanted >= (int)sizeof(e->text))
		memcpy(e->text + sizeof(e->text) - 4, "...", 4);
}

int err_set(struct err *e, int code, const char *format, ...)
{
	va_list args;
	int n;

	if (!e)
		return -code;

	e->code = code;
	va_start(args, format);
	n = vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	if (n >= 0 && n < (int)sizeof(e->text) && code && code != EBADMSG)
		n += snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerror(code));
	mark_cut(e, n);
	return -code;
}

int err_within(struct err *e, const char *format, ...)
{
	char before[sizeof(e->text)];
	va_list args;
	int n, code;

	if (!e)
		return -EIO;
	code = e->code;

	memcpy(before, e->text, sizeof(before));
	va_start(args, format);
	n = vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	if (n >= 0 && n < (int)sizeof(e->text))
		n += snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", before);
	mark_cut(e, n);
	return -code;
}
