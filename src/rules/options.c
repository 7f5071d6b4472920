/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct option_why *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(struct option_why *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return false;
}

static bool word_is_one_of(const char *word, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(word, list[i]) == 0)
			return true;
	return false;
}

static bool read_boolean(const char *value, bool *to, struct option_why *why)
{
	static const char *const yes[] = { "true", "1", "enabled", "yes" };
	static const char *const no[] = { "false", "0", "disabled", "no" };

	*to = word_is_one_of(value, yes, ARRAY_SIZE(yes));
	return *to || word_is_one_of(value, no, ARRAY_SIZE(no)) ||
	       refuse(why, "'%s' is neither true nor false", quote(value).text);
}

static const struct hash_name {
	const char *name; /* as printed */
	const char *also;
	unsigned bit;
} hash_names[] = {
	{ "SHA1", "sha-1", HASH_SHA1 },
	{ "MD5", "md-5", HASH_MD5 },
	{ "SHA256", "sha-256", HASH_SHA256 },
	{ "IMPHASH", "imp-hash", HASH_IMPHASH },
	{ "*", "all", HASH_ALL },
};

static unsigned hash_bit(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(hash_names); i++)
		if (strcasecmp(name, hash_names[i].name) == 0 || strcasecmp(name, hash_names[i].also) == 0)
			return hash_names[i].bit;
	return 0;
}

void ruleset_hash_names(unsigned hashes, char out[HASH_NAMES_MAX])
{
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(hash_names) && n < HASH_NAMES_MAX; i++)
		if (hash_names[i].bit != HASH_ALL && (hashes & hash_names[i].bit))
			n += (size_t)snprintf(out + n, HASH_NAMES_MAX - n, "%s%s", n ? "," : "",
					      hash_names[i].name);
}

/* Cuts the first item of a list off; *rest is what comes after the separator, NULL after the last. */
static struct quoted next_item(const char **rest)
{
	const char *item = *rest;
	const char *end = strchrnul(item, ',');
	struct quoted q = { "" };
	size_t n = (size_t)(end - item);

	*rest = *end ? end + 1 : NULL;
	if (n < sizeof(q.text)) {
		memcpy(q.text, item, n);
	} else { /* no valid item is that long, and none ends in dots */
		memcpy(q.text, item, sizeof(q.text) - 4);
		memcpy(q.text + sizeof(q.text) - 4, "...", 4);
	}
	return q;
}

static bool set_hash_algorithms(struct ruleset *rs, const char *value, struct option_why *why)
{
	const char *rest = value;
	unsigned hashes = 0;

	while (rest) {
		struct quoted item = next_item(&rest);
		unsigned bit = hash_bit(item.text);

		if (!bit)
			return refuse(why, "invalid hashing algorithm '%s', expected SHA1, MD5, SHA256, "
				      "IMPHASH or *, separated by commas without blanks",
				      quote(item.text).text);
		hashes |= bit;
	}
	rs->hashes = hashes;
	return true;
}

/* The element alone is a yes. */
static bool set_check_revocation(struct ruleset *rs, const char *value, struct option_why *why)
{
	return read_boolean(value[0] ? value : "true", &rs->check_revocation, why);
}

static bool set_capture_clipboard(struct ruleset *rs, const char *value, struct option_why *why)
{
	return read_boolean(value[0] ? value : "true", &rs->capture_clipboard, why);
}

static bool set_dns_lookup(struct ruleset *rs, const char *value, struct option_why *why)
{
	return read_boolean(value, &rs->dns_lookup, why);
}

static bool set_archive_directory(struct ruleset *rs, const char *value, struct option_why *why)
{
	if (value[0] == 0 || strpbrk(value, "/\\") || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return refuse(why, "'%s' is not the name of one directory, without separators",
			      quote(value).text);
	if (strlen(value) > 255)
		return refuse(why, "a directory name has at most 255 bytes");
	rs->archive_directory = value;
	return true;
}

/* Limits that field in every event; false when no event has it. */
static bool limit_field(struct ruleset *rs, const char *name, size_t n, unsigned size)
{
	bool known = false;

	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++) {
		int index = event_field_index(&event_types[t], name, n);

		if (index >= 0) {
			rs->field_size[t][index] = size;
			known = true;
		}
	}
	return known;
}

/* A number above 0 of digits only; 0 when it is not one. */
static unsigned read_count(const char *text)
{
	unsigned long value;
	char *end;

	if (strspn(text, "0123456789") != strlen(text))
		return 0;
	value = strtoul(text, &end, 10);
	return value <= UINT32_MAX ? (unsigned)value : 0;
}

static void all_field_names(struct words *names)
{
	for (unsigned t = 0; t < EVENT_TYPE_COUNT; t++)
		for (unsigned i = 0; i < event_types[t].known_count; i++)
			words_add(names, event_types[t].fields[i].name);
}

static bool refuse_field(const char *name, struct option_why *why)
{
	struct words names = { .count = 0 };
	const char *near;

	all_field_names(&names);
	near = words_nearest(name, &names);
	if (near)
		return refuse(why, "unknown field '%s', did you mean '%s'?", quote(name).text, near);
	return refuse(why, "unknown field '%s', expected a field of some event", quote(name).text);
}

static bool limit_by_item(struct ruleset *rs, const char *item, struct option_why *why)
{
	size_t name_length = strcspn(item, ":");
	unsigned size = item[name_length] ? read_count(item + name_length + 1) : 0;
	struct quoted name = { "" };

	if (size == 0)
		return refuse(why, "'%s' is not a field, a colon and a number above 0", quote(item).text);
	if (limit_field(rs, item, name_length, size))
		return true;
	memcpy(name.text, item, name_length);
	return refuse_field(name.text, why);
}

static bool set_field_sizes(struct ruleset *rs, const char *value, struct option_why *why)
{
	const char *rest = value[0] ? value : NULL;

	memset(rs->field_size, 0, sizeof(rs->field_size));
	while (rest)
		if (!limit_by_item(rs, next_item(&rest).text, why))
			return false;
	rs->field_sizes = value;
	return true;
}

static bool set_any_text(struct ruleset *rs, const char *value, struct option_why *why)
{
	(void)rs;
	(void)value;
	(void)why;
	return true;
}

static bool set_boolean(struct ruleset *rs, const char *value, struct option_why *why)
{
	bool ignored;

	(void)rs;
	return read_boolean(value, &ignored, why);
}

static bool set_queue_size(struct ruleset *rs, const char *value, struct option_why *why)
{
	(void)rs;
	return read_count(value) > 0 || refuse(why, "'%s' is not a number above 0", quote(value).text);
}

const struct option options[OPTION_COUNT] = {
#define EFFECT    true
#define NO_EFFECT false
#define OPTION(element, function, effect) { #element, effect, set_##function },
#include "options.def"
};

const struct option *option_by_name(const char *name)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

void options_default(struct ruleset *rs)
{
	rs->hashes = HASH_SHA256;
	rs->dns_lookup = true;
	rs->check_revocation = true;
	rs->archive_directory = "Sysmon";
	rs->field_sizes = "";
}
