/* SPDX-License-Identifier: MIT */
#include "triggers.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 4096
#define NAME_SIZE      (4096 + 16)

struct reading {
	const char *path, *at, *end;
	const char *unit; /* what it is part of: its own name, or that of the folder with additions */
	const struct trigger_sink *sink;
	unsigned line, told;
	char text[LINE_MAX_BYTES]; /* the line, with those that it goes on in */
};

/* The next line, without blanks around it; one that ends in a backslash goes on in the next. */
static bool next_line(struct reading *r, bool goes_on)
{
	size_t used = 0;
	bool more = true;

	if (r->at >= r->end)
		return false;
	while (more && r->at < r->end) {
		const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
		size_t n = (size_t)((stop ? stop : r->end) - r->at);

		r->line++;
		more = goes_on && n > 0 && r->at[n - 1] == '\\';
		if (n - more < sizeof(r->text) - 1 - used) {
			memcpy(r->text + used, r->at, n - more);
			used += n - more;
		}
		r->at += n + (stop ? 1 : 0);
		if (!stop)
			break;
	}
	while (used > 0 && strchr(" \t\r", r->text[used - 1]) && r->text[used - 1])
		used--;
	r->text[used] = 0;
	return true;
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

static void place_of(const struct reading *r, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%.4095s:%u", r->path, r->line);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- systemd */

static void append(char *to, size_t size, const char *text)
{
	size_t used = strlen(to);

	snprintf(to + used, size - used, "%s%s", used ? "; " : "", text);
}

static bool is_condition(const char *line)
{
	static const char *const names[] = { "On", "Path", "DirectoryNotEmpty=", "Listen" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(line, names[i], strlen(names[i])) == 0 && strchr(line, '='))
			return true;
	return false;
}

/* A timer, path or socket: what it waits for, and the service that it starts. */
static void read_condition_unit(struct reading *r, const char *space)
{
	const char *name = r->unit, *dot = strrchr(name, '.');
	char query[2 * LINE_MAX_BYTES] = "", service[512];

	snprintf(service, sizeof(service), "%.*s.service", (int)(dot - name > 400 ? 400 : dot - name), name);
	while (next_line(r, true)) {
		const char *line = skip_blanks(r->text);

		if (is_condition(line))
			append(query, sizeof(query), line);
		else if (strncmp(line, "Unit=", 5) == 0 || strncmp(line, "Service=", 8) == 0)
			snprintf(service, sizeof(service), "%.500s", skip_blanks(strchr(line, '=') + 1));
	}
	if (!*query)
		return;
	r->sink->filter(r->sink->context, space, name, query);
	r->sink->binding(r->sink->context, service, name);
}

static void read_service_unit(struct reading *r)
{
	char command[2 * LINE_MAX_BYTES] = "";

	while (next_line(r, true)) {
		const char *line = skip_blanks(r->text), *equals = strchr(line, '=');

		if (strncmp(line, "Exec", 4) == 0 && equals && *skip_blanks(equals + 1))
			append(command, sizeof(command), skip_blanks(equals + 1));
	}
	if (*command)
		r->sink->consumer(r->sink->context, r->unit, "Command Line", command);
}

/* NAME.service, or NAME.service.d/ADDITION.conf. */
static void read_unit(struct reading *r)
{
	const char *space = strstr(r->path, "/systemd/user/") ? "systemd-user" : "systemd";
	char unit[NAME_SIZE];

	snprintf(unit, sizeof(unit), "%.4095s", r->path);
	if (ends_with(unit, ".conf")) {
		*strrchr(unit, '/') = 0;
		if (!ends_with(unit, ".d"))
			return;
		unit[strlen(unit) - 2] = 0;
	}
	r->unit = base_name(unit);
	if (ends_with(unit, ".service"))
		read_service_unit(r);
	else if (ends_with(unit, ".timer") || ends_with(unit, ".path") || ends_with(unit, ".socket"))
		read_condition_unit(r, space);
}

bool triggers_link(const char *path, const struct trigger_sink *sink)
{
	static const char *const relations[] = { ".wants", ".requires", ".upholds" };
	char target[NAME_SIZE];
	char *slash;

	snprintf(target, sizeof(target), "%.4095s", path);
	slash = strrchr(target, '/');
	if (!slash || !strstr(path, "/systemd/"))
		return false;
	*slash = 0;
	for (unsigned i = 0; i < sizeof(relations) / sizeof(relations[0]); i++)
		if (ends_with(target, relations[i])) {
			target[strlen(target) - strlen(relations[i])] = 0;
			sink->binding(sink->context, base_name(path), base_name(target));
			return true;
		}
	return false;
}

/* --- desktops and D-Bus: NAME=VALUE in sections */

/* The value of the first line that sets it; NULL: there is none. */
static const char *value_of(const char *line, const char *name)
{
	size_t n = strlen(name);

	return strncmp(line, name, n) == 0 && line[n + strspn(line + n, " \t")] == '=' ?
		       skip_blanks(strchr(line, '=') + 1) : NULL;
}

static void keep_value(char to[LINE_MAX_BYTES], const char *value)
{
	if (value && !*to)
		snprintf(to, LINE_MAX_BYTES, "%s", value);
}

static void read_autostart(struct reading *r)
{
	char command[LINE_MAX_BYTES] = "", hidden[LINE_MAX_BYTES] = "";

	while (next_line(r, false)) {
		keep_value(command, value_of(r->text, "Exec"));
		keep_value(hidden, value_of(r->text, "Hidden"));
	}
	if (!*command || strcmp(hidden, "true") == 0)
		return;
	r->sink->filter(r->sink->context, "autostart", r->path, "login");
	r->sink->consumer(r->sink->context, r->path, "Command Line", command);
	r->sink->binding(r->sink->context, r->path, r->path);
}

/* Where systemd is to start it, Exec stands for nothing, mostly /bin/false. */
static void read_bus_service(struct reading *r)
{
	char name[LINE_MAX_BYTES] = "", command[LINE_MAX_BYTES] = "", unit[LINE_MAX_BYTES] = "", query[LINE_MAX_BYTES + 8];

	while (next_line(r, false)) {
		keep_value(name, value_of(r->text, "Name"));
		keep_value(command, value_of(r->text, "Exec"));
		keep_value(unit, value_of(r->text, "SystemdService"));
	}
	if (!*name || (!*command && !*unit))
		return;
	snprintf(query, sizeof(query), "Name=%s", name);
	r->sink->filter(r->sink->context, "dbus", r->path, query);
	if (*command)
		r->sink->consumer(r->sink->context, r->path, "Command Line", command);
	r->sink->binding(r->sink->context, *unit ? unit : r->path, r->path);
}

/* --- cron */

/* Behind the n-th field; NULL when there are fewer. */
static const char *behind_fields(const char *at, unsigned n)
{
	for (; n > 0; n--) {
		at = skip_blanks(at);
		if (!*at)
			return NULL;
		at += strcspn(at, " \t");
	}
	return at;
}

static void tell_line(struct reading *r, const char *space, const char *query, const char *type,
		      const char *destination)
{
	char name[NAME_SIZE];

	if (r->told++ >= TRIGGERS_MAX)
		return;
	place_of(r, name);
	r->sink->filter(r->sink->context, space, name, query);
	r->sink->consumer(r->sink->context, name, type, destination);
	r->sink->binding(r->sink->context, name, name);
}

static void read_crontab(struct reading *r, bool has_user)
{
	while (next_line(r, false)) {
		char *line = r->text + strspn(r->text, " \t");
		const char *when_ends = behind_fields(line, *line == '@' ? 1 : 5);
		const char *command = when_ends && has_user ? behind_fields(when_ends, 1) : when_ends;
		char query[256];

		/* Settings of the environment look otherwise: NAME=VALUE. */
		if (!command || !*skip_blanks(command) || !strchr("@*0123456789", *line))
			continue;
		snprintf(query, sizeof(query), "%.*s", (int)(when_ends - line > 250 ? 250 : when_ends - line), line);
		tell_line(r, "cron", query, "Command Line", skip_blanks(command));
	}
}

static void read_periodic_script(struct reading *r, const char *query)
{
	r->sink->filter(r->sink->context, "cron", r->path, query);
	r->sink->consumer(r->sink->context, r->path, "Script", r->path);
	r->sink->binding(r->sink->context, r->path, r->path);
}

/* a00001019ce0b8: queue, number, and when: minutes since 1970. */
static void read_at_job(struct reading *r)
{
	unsigned number, minutes;
	char queue, query[64];
	struct tm when;
	time_t seconds;

	if (sscanf(base_name(r->path), "%c%5x%8x", &queue, &number, &minutes) != 3)
		return;
	seconds = (time_t)minutes * 60;
	gmtime_r(&seconds, &when);
	strftime(query, sizeof(query), "%Y-%m-%d %H:%M UTC", &when);
	r->sink->filter(r->sink->context, "at", r->path, query);
	r->sink->consumer(r->sink->context, r->path, "Script", r->path);
	r->sink->binding(r->sink->context, r->path, r->path);
}

/* --- udev: KEY OP "VALUE", separated by commas; what compares is the condition, RUN and PROGRAM the action */

static const char *end_of_pair(const char *at)
{
	bool quoted = false;

	for (; *at && (quoted || *at != ','); at++) {
		if (quoted && *at == '\\' && at[1])
			at++;
		else if (*at == '"')
			quoted = !quoted;
	}
	return at;
}

static bool is_action(const char *pair)
{
	return strncmp(pair, "RUN", 3) == 0 || strncmp(pair, "PROGRAM", 7) == 0 ||
	       strncmp(pair, "IMPORT{program}", 15) == 0;
}

static void read_rules(struct reading *r)
{
	while (next_line(r, true)) {
		char query[LINE_MAX_BYTES] = "", action[LINE_MAX_BYTES] = "";
		const char *at = skip_blanks(r->text);

		while (*at && *at != '#') {
			const char *end = end_of_pair(at), *operator= at + strcspn(at, "=!+-:");
			const char *value = memchr(at, '"', (size_t)(end - at));
			char *to = is_action(at) ? action : query;
			size_t used = strlen(to);

			if (is_action(at) && value)
				snprintf(to + used, LINE_MAX_BYTES - used, "%s%.*s", used ? "; " : "",
					 (int)(end - value > 2 ? end - value - 2 : 0), value + 1);
			else if (operator < end && (strncmp(operator, "==", 2) == 0 || strncmp(operator, "!=", 2) == 0))
				snprintf(to + used, LINE_MAX_BYTES - used, "%s%.*s", used ? ", " : "", (int)(end - at), at);
			at = skip_blanks(*end ? end + 1 : end);
		}
		if (*action)
			tell_line(r, "udev", *query ? query : "-", "Command Line", action);
	}
}

void triggers_read(const char *path, const char *text, size_t n, const struct trigger_sink *sink)
{
	static const char *const periods[] = { "hourly", "daily", "weekly", "monthly", "yearly" };
	struct reading r = { .path = path, .at = text, .end = text + n, .sink = sink };

	if (memchr(text, 0, n))
		return;
	if (strstr(path, "/systemd/"))
		read_unit(&r);
	else if (strcmp(path, "/etc/crontab") == 0 || strncmp(path, "/etc/cron.d/", 12) == 0)
		read_crontab(&r, true);
	else if (strncmp(path, "/var/spool/cron/crontabs/", 25) == 0)
		read_crontab(&r, false);
	else if (strncmp(path, "/var/spool/cron/atjobs/", 23) == 0)
		read_at_job(&r);
	else if (strstr(path, "/udev/rules.d/"))
		read_rules(&r);
	else if (strstr(path, "/autostart/") && ends_with(path, ".desktop"))
		read_autostart(&r);
	else if (strstr(path, "/dbus-1/") && ends_with(path, ".service"))
		read_bus_service(&r);
	for (unsigned i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		char folder[64], query[16];

		snprintf(folder, sizeof(folder), "/etc/cron.%s/", periods[i]);
		snprintf(query, sizeof(query), "@%s", periods[i]);
		if (strncmp(path, folder, strlen(folder)) == 0)
			read_periodic_script(&r, query);
	}
}
