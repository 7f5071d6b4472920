/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "../base/own.h"

int size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMG";
	unsigned long long n;
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || n > UINT64_MAX >> 30)
		return -EINVAL;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		n <<= 10 * (unit - units + 1);
	}
	*bytes = n;
	return 0;
}

static bool line_begins(const char *line, const char *section)
{
	size_t n = strlen(section);

	return *line == '[' && strncmp(line + 1, section, n) == 0 && line[1 + n] == ']';
}

/* Does the line set `name`, or is it the comment that shows its default? */
static bool line_sets(const char *line, const char *name)
{
	size_t n = strlen(name);

	line += *line == ';';
	return strncmp(line, name, n) == 0 && line[n + strspn(line + n, " \t")] == '=';
}

/* Where in the text the new line goes, and how much of the text gives way to it. */
static const char *find_line(const char *text, const char *section, const char *name, size_t *gives_way)
{
	const char *place = NULL;
	bool inside = false;

	*gives_way = 0;
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n"), whole = n + (line[n] == '\n');

		if (*line == '[')
			inside = line_begins(line, section);
		if (inside && *line == '[')
			place = line + whole;
		if (inside && line_sets(line, name)) {
			place = line;
			*gives_way = whole;
			if (*line != ';')
				break;
		}
		line += whole;
	}
	return place;
}

char *settings_changed(const char *text, const char *section, const char *name, const char *value)
{
	size_t gives_way, room = strlen(text) + strlen(section) + strlen(name) + strlen(value) + 16;
	const char *place = find_line(text, section, name, &gives_way);
	char *changed = malloc(room);

	if (!changed)
		return NULL;
	if (place)
		snprintf(changed, room, "%.*s%s = %s\n%s", (int)(place - text), text, name, value, place + gives_way);
	else
		snprintf(changed, room, "%s\n[%s]\n%s = %s\n", text, section, name, value);
	return changed;
}

char *settings_without(const char *text, const char *section)
{
	char *rest = malloc(strlen(text) + 1), *end = rest;
	bool inside = false;

	for (const char *line = text; rest && *line;) {
		size_t whole = strcspn(line, "\n");

		whole += line[whole] == '\n';
		if (*line == '[')
			inside = line_begins(line, section);
		if (!inside) {
			memcpy(end, line, whole);
			end += whole;
		}
		line += whole;
	}
	if (rest)
		*end = 0;
	return rest;
}

/* One row a setting. */
static const struct {
	const char *section, *name;
	size_t offset;
	bool wide; /* 64 bits */
	uint64_t least, most;
	bool power_of_two;
	bool ports; /* not a size, but KS_DNS_PORTS numbers */
} known[] = {
	{ "log", "size", offsetof(struct settings, log_size), true, 1u << 20, 0xfffff000u, false, false },
	{ "log", "archive", offsetof(struct settings, log_archive), true, 0, 1ull << 50, false, false },
	{ "log", "archive-days", offsetof(struct settings, log_archive_days), false, 0, 36500, false, false },
	{ "log", "least-minutes", offsetof(struct settings, log_least_minutes), false, 0, 525600, false, false },
	{ "archive", "size", offsetof(struct settings, archive_size), true, 1u << 20, 1ull << 40, false, false },
	{ "sensor", "ring", offsetof(struct settings, ring_events_bytes), false, 1u << 20, 1u << 30,
	  true, false },
	{ "sensor", "process-ring", offsetof(struct settings, ring_process_bytes), false, 1u << 16,
	  1u << 30, true, false },
	{ "text", "length", offsetof(struct settings, text_length), false, 1000, 60000, false, false },
	{ "dns", "ports", offsetof(struct settings, dns_ports), .ports = true },
};

/* "53 5353": at most KS_DNS_PORTS numbers. 0 or -EINVAL. */
static int ports_parse(const char *text, uint16_t ports[KS_DNS_PORTS])
{
	uint16_t read[KS_DNS_PORTS] = { 0 };
	unsigned count = 0;

	for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
		char *end;
		unsigned long n = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;

		if (n < 1 || n > 65535 || (*end && !strchr(" \t", *end)) || count == KS_DNS_PORTS)
			return -EINVAL;
		read[count++] = (uint16_t)n;
		text = end;
	}
	if (count == 0)
		return -EINVAL;
	memcpy(ports, read, sizeof(read));
	return 0;
}

struct reading {
	struct settings *settings;
	char complaint[200];
};

static int complain(struct reading *r, const char *section, const char *name, const char *what)
{
	if (!*r->complaint)
		snprintf(r->complaint, sizeof(r->complaint), "[%.50s] %.50s: %.90s", section, name, what);
	return 0;
}

/* Settings that are one of two words. */
static const struct {
	const char *section, *name;
	size_t offset;
	bool flag; /* kept as bool: is it the second word? Else as text */
	const char *words[2];
} choices[] = {
	{ "log", "context", offsetof(struct settings, log_context), true, { "no", "yes" } },
	{ "text", "syslog", offsetof(struct settings, text[TOLD_SYSLOG]), true, { "no", "yes" } },
	{ "text", "journal", offsetof(struct settings, text[TOLD_JOURNAL]), true, { "no", "yes" } },
	{ "text", "ident", offsetof(struct settings, text_ident), false, { "konseki", "sysmon" } },
};

/* 1, 0 when it is refused, -1 when it is none of these settings. */
static int take_choice(struct reading *r, const char *section, const char *name, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		uint8_t *at = (uint8_t *)r->settings + choices[i].offset;
		bool second = strcmp(value, choices[i].words[1]) == 0;
		char what[60];

		if (strcmp(section, choices[i].section) != 0 || strcmp(name, choices[i].name) != 0)
			continue;
		snprintf(what, sizeof(what), "neither %s nor %s", choices[i].words[0], choices[i].words[1]);
		if (!second && strcmp(value, choices[i].words[0]) != 0)
			return complain(r, section, name, what);
		if (choices[i].flag)
			memcpy(at, &second, sizeof(second));
		else
			memcpy(at, value, strlen(value) + 1);
		return 1;
	}
	return -1;
}

#define FORWARD "forward " /* and the target's name */

static struct forward_target *target_of(struct settings *s, const char *name)
{
	for (unsigned i = 0; i < s->forward_count; i++)
		if (strcmp(s->forward[i].name, name) == 0)
			return &s->forward[i];
	if (s->forward_count == FORWARD_TARGETS_MAX || !target_name_ok(name))
		return NULL;
	snprintf(s->forward[s->forward_count].name, sizeof(s->forward->name), "%s", name);
	return &s->forward[s->forward_count++];
}

/* As take_choice(). */
static int take_target(struct reading *r, const char *section, const char *name, const char *value)
{
	struct forward_target *t;
	struct err e;

	if (strncmp(section, FORWARD, strlen(FORWARD)) != 0)
		return -1;
	t = target_of(r->settings, section + strlen(FORWARD));
	if (!t)
		return complain(r, section, name, "too many, or a name that is none");
	return target_set(t, name, value, &e) < 0 ? complain(r, "forward", name, e.text) : 1;
}

static int take(void *context, const char *section, const char *name, const char *value)
{
	struct reading *r = context;
	int taken = take_choice(r, section, name, value);
	uint64_t n;

	if (taken < 0)
		taken = take_target(r, section, name, value);
	if (taken >= 0)
		return taken;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		uint8_t *at = (uint8_t *)r->settings + known[i].offset;

		if (strcmp(section, known[i].section) != 0 || strcmp(name, known[i].name) != 0)
			continue;
		if (known[i].ports)
			return ports_parse(value, r->settings->dns_ports) == 0 ?
				       1 :
				       complain(r, section, name, "not one to eight port numbers, blanks between");
		if (size_parse(value, &n) < 0)
			return complain(r, section, name, "not a size (such as 256M)");
		if (n < known[i].least || n > known[i].most)
			return complain(r, section, name, "too small or too large");
		if (known[i].power_of_two && (n & (n - 1)))
			return complain(r, section, name, "not a power of two");
		if (known[i].wide)
			memcpy(at, &n, sizeof(n));
		else
			memcpy(at, &(uint32_t){ (uint32_t)n }, sizeof(uint32_t));
		return 1;
	}
	return complain(r, section, name, "no such setting");
}

int settings_read(FILE *from, const char *name, struct settings *s, struct err *e)
{
	struct reading r = { .settings = s };
	int line = ini_parse_file(from, take, &r);

	if (line < 0)
		return err_set(e, EIO, "reading '%s'", name);
	if (line > 0)
		return err_set(e, EBADMSG, "%s:%d: %s", name, line,
			       *r.complaint ? r.complaint : "neither [section] nor name = value");
	for (unsigned i = 0; i < s->forward_count; i++)
		if (target_check(&s->forward[i], e) < 0)
			return err_within(e, "%s", name);
	return 0;
}

int settings_load(const char *path, struct settings *s, struct err *e)
{
	FILE *from;
	int r;

	*s = (struct settings){ .log_size = LOG_SIZE_DEFAULT, .log_least_minutes = LOG_LEAST_MINUTES, .archive_size = ARCHIVE_SIZE_DEFAULT,
				.text_ident = "konseki",
				.text_length = TEXT_LENGTH_DEFAULT };
	from = fopen(path, "re");
	if (!from)
		return errno == ENOENT ? 0 : err_set(e, errno, "opening '%s'", path);
	r = settings_read(from, path, s, e);
	fclose(from);
	return r;
}
