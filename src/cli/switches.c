/* SPDX-License-Identifier: MIT */
#include "switches.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../base/own.h"

#define DRIVER_NAME_MAX 8

const struct switch_row switch_rows[SWITCH_COUNT] = {
#define SWITCH(symbol, text, name, value, role, value_name, help)                                  \
	{ text, name, VALUE_##value, ROLE_##role, value_name, help },
#include "switches.def"
};

/* The switch of this text, which is n letters long; -1 if there is none. */
static int switch_by_text(const char *text, size_t n)
{
	for (int i = 0; i < SWITCH_COUNT; i++)
		if (strlen(switch_rows[i].text) == n && strncasecmp(switch_rows[i].text, text, n) == 0)
			return i;
	return -1;
}

static int give(struct switches *s, int id, const char *value, struct err *e)
{
	const struct switch_row *row = &switch_rows[id];

	if (s->given[id] && row->value != VALUE_NONE)
		return err_set(e, EBADMSG, "-%s is given twice", row->text);
	s->given[id] = true;
	s->value[id] = value;
	return 0;
}

/* "-in" is -i and -n; joined switches have no values. */
static int give_joined(struct switches *s, const char *letters, struct err *e)
{
	int r = 0;

	for (const char *p = letters; *p; p++)
		if (switch_by_text(p, 1) < 0)
			return err_set(e, EBADMSG, "there is no switch -%s", letters);
	for (const char *p = letters; *p && r == 0; p++) {
		int id = switch_by_text(p, 1);

		if (switch_rows[id].value == VALUE_REQUIRED)
			return err_set(e, EBADMSG, "-%c needs a value and cannot be joined with others", *p);
		r = give(s, id, NULL, e);
	}
	return r;
}

/* Reads the switch words[i] and its value; returns how many words that were. */
static int read_switch(int i, int count, char *const *words, struct switches *s, struct err *e)
{
	const char *text = words[i] + 1;
	int id = switch_by_text(text, strlen(text)), r;
	/* "-h" in front asks for help, elsewhere it names hash algorithms. */
	bool help = i == 0 && (id == SWITCH_HASHES || strcasecmp(text, "help") == 0);
	const char *value = NULL;

	if (help)
		id = SWITCH_HELP;
	if (id < 0) {
		r = text[0] ? give_joined(s, text, e) : err_set(e, EBADMSG, "'-' is no switch");
		return r < 0 ? r : 1;
	}
	if (switch_rows[id].value != VALUE_NONE && i + 1 < count && words[i + 1][0] != '-')
		value = words[i + 1];
	if (switch_rows[id].value == VALUE_REQUIRED && !value)
		return err_set(e, EBADMSG, "-%s needs a value: %s", text, switch_rows[id].value_name);
	r = give(s, id, value, e);
	return r < 0 ? r : value ? 2 : 1;
}

static bool is_or_missing(const char *value, const char *wanted)
{
	return !value || strcasecmp(value, wanted) == 0;
}

static int check_values(const struct switches *s, struct err *e)
{
	static const struct { enum switch_id id; const char *only; } fixed[] = {
		{ SWITCH_UNINSTALL, "force" },
		{ SWITCH_DEBUG, "verbose" },
		{ SWITCH_HELP, "config" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (!is_or_missing(s->value[fixed[i].id], fixed[i].only))
			return err_set(e, EBADMSG, "-%s takes no other value than '%s'",
				       switch_rows[fixed[i].id].text, fixed[i].only);
	if (s->given[SWITCH_DRIVER] && strlen(s->value[SWITCH_DRIVER]) > DRIVER_NAME_MAX)
		return err_set(e, EBADMSG, "the driver's name has more than %d characters", DRIVER_NAME_MAX);
	return 0;
}

/* One command, or none where -t or -service says what to do; *command is it, or -1. */
static int check_commands(const struct switches *s, int *command, struct err *e)
{
	*command = -1;
	for (int i = 0; i < SWITCH_COUNT; i++) {
		if (!s->given[i] || switch_rows[i].role != ROLE_COMMAND)
			continue;
		if (*command >= 0)
			return err_set(e, EBADMSG, "-%s and -%s exclude one another", switch_rows[*command].text,
				       switch_rows[i].text);
		*command = i;
	}
	if (s->given[SWITCH_HELP] && *command >= 0)
		return err_set(e, EBADMSG, "-? stands alone");
	return 0;
}

static int check_together(const struct switches *s, int command, struct err *e)
{
	bool foreground = s->given[SWITCH_DEBUG] || s->given[SWITCH_SERVICE];
	bool changes = command == SWITCH_INSTALL || command == SWITCH_CONFIGURE;

	if (command < 0 && !foreground && !s->given[SWITCH_HELP])
		return err_set(e, EBADMSG, s->given[SWITCH_DEFAULTS] ? "-- must be used with -c" :
								      "nothing to do was given");
	if (foreground && command >= 0 && !changes)
		return err_set(e, EBADMSG, "-%s and -%s exclude one another",
			       switch_rows[s->given[SWITCH_DEBUG] ? SWITCH_DEBUG : SWITCH_SERVICE].text,
			       switch_rows[command].text);
	if (s->given[SWITCH_DEFAULTS] && command != SWITCH_CONFIGURE)
		return err_set(e, EBADMSG, "-- must be used with -c");
	if (s->given[SWITCH_DEFAULTS] && (s->value[SWITCH_CONFIGURE] || switches_configure(s)))
		return err_set(e, EBADMSG, "specific settings cannot be combined with the defaults (-c --)");
	if (switches_configure(s) && (!changes || foreground))
		return err_set(e, EBADMSG, "settings need -i or -c");
	if (s->given[SWITCH_REMOVE_LOG] && command != SWITCH_UNINSTALL)
		return err_set(e, EBADMSG, "-removelog must be used with -u");
	return 0;
}

bool switches_configure(const struct switches *s)
{
	for (int i = 0; i < SWITCH_COUNT; i++) {
		enum switch_role role = switch_rows[i].role;

		if (s->given[i] && (role == ROLE_OPTION || role == ROLE_RULE || role == ROLE_FORCED))
			return true;
	}
	return false;
}

int switches_parse(int count, char *const *words, struct switches *s, struct err *e)
{
	int command, r;

	*s = (struct switches){ 0 };
	for (int i = 0; i < count; i += r) {
		if (words[i][0] != '-')
			return err_set(e, EBADMSG, "'%s' is neither a switch nor a value of one", words[i]);
		r = read_switch(i, count, words, s, e);
		if (r < 0)
			return r;
	}
	r = check_values(s, e);
	if (r == 0)
		r = check_commands(s, &command, e);
	if (r == 0)
		r = check_together(s, command, e);
	return r;
}
