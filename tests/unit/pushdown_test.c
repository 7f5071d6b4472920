/* SPDX-License-Identifier: MIT */
/* What the kernel side is told to drop must be dropped by the rules, whatever else an event holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/collect/drops.h"
#include "../../src/rules/pushdown.h"

/* --- single cases */

#define RULES(body) "<Sysmon schemaversion=\"4.90\"><EventFiltering>" body "</EventFiltering></Sysmon>"
#define CREATE(how, body) \
	"<RuleGroup groupRelation=\"or\"><FileCreate onmatch=\"" how "\">" body "</FileCreate></RuleGroup>"
#define SH            "<Image condition=\"image\">SH</Image>"
#define OTHER         "<TargetFilename condition=\"begin with\">/tmp</TargetFilename>"
#define RULE(r, body) "<Rule groupRelation=\"" r "\">" body "</Rule>"

static const struct { const char *rules, *image; bool drops; } cases[] = {
	{ RULES(CREATE("exclude", SH)), "/bin/sh", true },
	{ RULES(CREATE("exclude", SH)), "/bin/ash", false },
	{ RULES(CREATE("exclude", SH OTHER)), "/bin/sh", true },
	{ RULES(CREATE("exclude", SH OTHER)), "/bin/ls", false }, /* the other may match or not */
	{ RULES(CREATE("exclude", RULE("and", SH OTHER))), "/bin/sh", false },
	{ RULES("<FileCreate onmatch=\"exclude\">" SH OTHER "</FileCreate>"), "/bin/sh", false }, /* both must match */
	{ RULES(CREATE("exclude", RULE("or", SH OTHER))), "/bin/sh", true },
	{ RULES(CREATE("exclude", SH) CREATE("include", OTHER)), "/bin/sh", true },
	{ RULES(CREATE("include", SH)), "/bin/ls", true },
	{ RULES(CREATE("include", SH)), "/bin/sh", false },
	{ RULES(CREATE("include", SH OTHER)), "/bin/ls", false },
	{ RULES(CREATE("include", RULE("and", SH OTHER))), "/bin/ls", true },
	{ RULES(CREATE("include", "")), "/bin/sh", true },
	{ RULES(CREATE("exclude", "")), "/bin/sh", false },
	{ RULES(""), "/bin/sh", true }, /* of the schema, off */
	{ RULES(CREATE("exclude", "<Image condition=\"is not\">/bin/sh</Image>")), "/bin/ls", true },
	/* the Kelvin sign is a k without case, in a field as in a rule */
	{ RULES(CREATE("exclude", "<Image condition=\"is\">/bin/k</Image>")), "/bin/\xe2\x84\xaa", true },
};

static struct ruleset *rules_of(const char *text)
{
	struct ruleset *rs = NULL;
	struct err e = { 0 };

	if (ruleset_parse("test", text, strlen(text), &rs, NULL, &e) < 0)
		fail_msg("%s: %s", e.text, text);
	return rs;
}

static void set(struct event *ev, const char *field, const char *text)
{
	int at = event_field_index(ev->type, field, strlen(field));

	if (at < 0)
		return;
	ev->values[at].text = text;
	ev->values[at].length = (uint32_t)strlen(text);
}

static void an_image_alone_decides_where_it_can(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct event ev = { .type = event_type_by_id(11) };
		int image = event_field_index(ev.type, "Image", 5);
		struct ruleset *rs = rules_of(cases[i].rules);

		set(&ev, "Image", cases[i].image);
		if (ruleset_drops_all(rs, &ev, FIELD_BIT((unsigned)image)) != cases[i].drops)
			fail_msg("case %zu", i);
		ruleset_free(rs);
	}
}

static uint16_t seen[8];
static unsigned seen_count;

static void see(void *context, uint16_t number)
{
	(void)context;
	seen[seen_count++] = number;
}

static void ports_are_those_that_a_rule_names(void **state)
{
	struct ruleset *rs = rules_of(RULES("<RuleGroup groupRelation=\"or\"><NetworkConnect onmatch=\"exclude\">"
		"<DestinationPort condition=\"is any\">53;8080;065;65536;x</DestinationPort>"
		"<DestinationPort condition=\"contains\">4</DestinationPort><SourcePort>22</SourcePort></NetworkConnect>"
		"</RuleGroup>"));
	struct event ev = { .type = event_type_by_id(3) };
	unsigned port = (unsigned)event_field_index(ev.type, "DestinationPort", 15);

	(void)state;
	seen_count = 0;
	ruleset_numbers_of_field(rs, ev.type, port, see, NULL);
	assert_int_equal(seen_count, 2);
	assert_int_equal(seen[0], 53);
	assert_int_equal(seen[1], 8080);
	ev.values[port].number = 8080;
	assert_true(ruleset_drops_all(rs, &ev, FIELD_BIT(port)));
	ev.values[port].number = 22;
	assert_false(ruleset_drops_all(rs, &ev, FIELD_BIT(port)));
	ruleset_free(rs);
}

/* --- by chance: rules and events of a small world, in which much agrees */

static uint64_t random_state = 0x6b6f6e73656b69;

static unsigned chance(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

static const char *const fields[] = { "Image", "TargetFilename", "User", "CreationUtcTime", "Image" };
static const char *const values[] = { "/bin/sh", "/BIN/sh", "sh", "/tmp/a", "a", "root", "-", "/bin/sh;a" };
static const char *const operators_tried[] = { "is", "is not", "is any", "contains", "contains any", "contains all",
	"excludes", "excludes any", "excludes all", "begin with", "end with", "not begin with", "not end with",
	"less than", "more than", "image" };
#define PICK(list) list[chance(sizeof(list) / sizeof(list[0]))]

static size_t add_filters(char *to, size_t size, unsigned n)
{
	size_t used = 0;

	while (n-- > 0) {
		const char *field = PICK(fields);

		used += (size_t)snprintf(to + used, size - used, "<%s condition=\"%s\">%s</%s>", field,
					 PICK(operators_tried), PICK(values), field);
	}
	return used;
}

static void add_rules(char *to, size_t size)
{
	size_t n = (size_t)snprintf(to, size, "<Sysmon schemaversion=\"4.90\"><EventFiltering>");

	for (unsigned groups = chance(4); groups > 0; groups--) {
		n += (size_t)snprintf(to + n, size - n, "<RuleGroup groupRelation=\"%s\"><FileCreate onmatch=\"%s\">",
				      chance(2) ? "or" : "and", chance(2) ? "include" : "exclude");
		n += add_filters(to + n, size - n, chance(3));
		for (unsigned rules = chance(3); rules > 0; rules--) {
			n += (size_t)snprintf(to + n, size - n, "<Rule groupRelation=\"%s\">", chance(2) ? "or" : "and");
			n += add_filters(to + n, size - n, 1 + chance(2));
			n += (size_t)snprintf(to + n, size - n, "</Rule>");
		}
		n += (size_t)snprintf(to + n, size - n, "</FileCreate></RuleGroup>");
	}
	snprintf(to + n, size - n, "</EventFiltering></Sysmon>");
}

#define TRIES 4000

static void what_is_told_to_be_dropped_is_dropped_by_the_rules(void **state)
{
	unsigned dropped = 0, other = 0;

	(void)state;
	for (unsigned i = 0; i < TRIES; i++) {
		struct event ev = { .type = event_type_by_id(11) };
		unsigned image = (unsigned)event_field_index(ev.type, "Image", 5);
		char text[8192];
		struct ruleset *rs;
		const char *name;
		bool drops;

		add_rules(text, sizeof(text));
		rs = rules_of(text);
		for (unsigned field = 0; field < ev.type->field_count; field++)
			ev.values[field] = (struct value){ .text = "-", .length = 1 };
		set(&ev, "Image", PICK(values));
		drops = ruleset_drops_all(rs, &ev, FIELD_BIT(image));
		for (unsigned k = 0; k < 20; k++) {
			set(&ev, "TargetFilename", PICK(values));
			set(&ev, "User", PICK(values));
			if (drops && ruleset_keeps(rs, &ev, &name))
				fail_msg("kept though told to be dropped: %s", text);
			other += !drops;
		}
		dropped += drops;
		ruleset_free(rs);
	}
	assert_true(dropped > TRIES / 10 && other > TRIES);
}

/* --- the memory between */

static void drops_lie_where_the_kernel_side_looks(void **state)
{
	int fd = memfd_create("drops", 0);
	struct ks_drops *map;
	struct drops *v;
	struct err e;

	(void)state;
	assert_int_equal(ftruncate(fd, (sizeof(*map) + 4095) & ~4095), 0);
	assert_int_equal(drops_map(fd, &v, &e), 0);
	map = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);

	drops_tell(v, KS_DROPS + 5, 77, 3, 6);
	assert_int_equal(map->image[5].tgid, KS_DROPS + 5);
	assert_int_equal(map->image[5].never, 6);
	assert_int_equal(map->image[5].writing & 1, 0);
	/* nothing to tell of another one does not push it out, of the same one it does */
	drops_tell(v, 5, 78, 1, 0);
	assert_int_equal(map->image[5].never, 6);
	drops_tell(v, KS_DROPS + 5, 77, 4, 0);
	assert_int_equal(map->image[5].never, 0);

	drops_tell_source_port(v, 65535);
	drops_tell_destination_port(v, 53);
	assert_true(map->source_ports[1023] == 1ull << 63 && map->destination_ports[0] == 1ull << 53);
	drops_tell(v, 9, 1, 1, 2);
	map->image[8].writing = 7; /* somebody died here */
	drops_forget(v);
	assert_true(map->source_ports[1023] == 0 && map->destination_ports[0] == 0 && map->image[9].never == 0);
	assert_int_equal(map->image[8].writing & 1, 0);
	munmap(map, sizeof(*map));
	drops_free(v);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_alone_decides_where_it_can),
		cmocka_unit_test(ports_are_those_that_a_rule_names),
		cmocka_unit_test(what_is_told_to_be_dropped_is_dropped_by_the_rules),
		cmocka_unit_test(drops_lie_where_the_kernel_side_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
