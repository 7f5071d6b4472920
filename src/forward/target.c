/* SPDX-License-Identifier: MIT */
#include "target.h"

#include <errno.h>
#include <string.h>

#include "../base/own.h"
#include "sink.h"

const struct target_option target_options[] = {
#define OPTION(name, size, sinks, value, help) \
	{ #name, offsetof(struct forward_target, name), size, sinks, value, help },
#include "target.def"
};
const unsigned target_option_count = ARRAY_SIZE(target_options);

bool target_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= FORWARD_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static bool is_among(const char *word, const char *words)
{
	size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0))
			return true;
	return false;
}

static int set_text(char *at, size_t size, const char *name, const char *value, struct err *e)
{
	size_t n = strlen(value);

	if (n >= size)
		return err_set(e, EBADMSG, "%s: longer than %zu bytes", name, size - 1);
	memcpy(at, value, n + 1);
	return 0;
}

static int set_sink(struct forward_target *t, const char *value, struct err *e)
{
	t->row = sink_by_name(value);
	return t->row ? 0 : err_set(e, EBADMSG, "sink: there is no '%s'", value);
}

int target_set(struct forward_target *t, const char *name, const char *value, struct err *e)
{
	if (strcmp(name, "sink") == 0)
		return set_sink(t, value, e);
	if (strcmp(name, "to") == 0)
		return set_text(t->to, sizeof(t->to), name, value, e);
	for (unsigned i = 0; i < target_option_count; i++) {
		const struct target_option *o = &target_options[i];

		if (strcmp(o->name, name) != 0)
			continue;
		return set_text((char *)t + o->offset, o->size, name, value, e);
	}
	return err_set(e, ENOENT, "%s: no such option", name);
}

int target_check(const struct forward_target *t, struct err *e)
{
	if (!target_name_ok(t->name))
		return err_set(e, EBADMSG, "'%s' is no name (letters, digits, - and _)", t->name);
	if (!t->row)
		return err_set(e, EBADMSG, "[forward %s]: sink = ... is missing", t->name);
	if (!t->to[0])
		return err_set(e, EBADMSG, "[forward %s]: to = ... is missing", t->name);
	for (unsigned i = 0; i < target_option_count; i++)
		if (*((const char *)t + target_options[i].offset) && !is_among(t->row->name, target_options[i].sinks))
			return err_set(e, EBADMSG, "[forward %s]: %s is not for %s", t->name, target_options[i].name,
				       t->row->name);
	return t->row->check(t, e);
}
