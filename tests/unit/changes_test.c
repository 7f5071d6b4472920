/* SPDX-License-Identifier: MIT */
/* What is told of a file of settings, given what it held before and what it holds now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/collect/ring.h"
#include "../../src/daemon/changes.h"
#include "../../src/help/help.h"
#include "../../src/help/settings.h"

static char told[65536];

static void note(void *context, const struct ks_hdr *rec)
{
	const struct ks_rec_CONFIG_KEY *key = (const void *)rec;
	const struct ks_rec_CONFIG_VALUE *value = (const void *)rec;
	size_t n = strlen(told);

	(void)context;
	assert_int_equal(record_check(rec, rec->size), 0);
	assert_int_equal(rec->who.tgid, 77);
	if (rec->type == KS_TRIGGER_FILTER) {
		const struct ks_rec_TRIGGER_FILTER *filter = (const void *)rec;

		snprintf(told + n, sizeof(told) - n, "19 %.*s %.*s %.*s %.*s\n", filter->Operation.len,
			 record_text(rec, filter->Operation), filter->EventNamespace.len,
			 record_text(rec, filter->EventNamespace), filter->Name.len,
			 record_text(rec, filter->Name), filter->Query.len, record_text(rec, filter->Query));
	} else if (rec->type == KS_TRIGGER_CONSUMER) {
		const struct ks_rec_TRIGGER_CONSUMER *consumer = (const void *)rec;

		snprintf(told + n, sizeof(told) - n, "20 %.*s %.*s %.*s %.*s\n", consumer->Operation.len,
			 record_text(rec, consumer->Operation), consumer->Name.len,
			 record_text(rec, consumer->Name), consumer->Type.len,
			 record_text(rec, consumer->Type), consumer->Destination.len,
			 record_text(rec, consumer->Destination));
	} else if (rec->type == KS_TRIGGER_BINDING) {
		const struct ks_rec_TRIGGER_BINDING *binding = (const void *)rec;

		snprintf(told + n, sizeof(told) - n, "21 %.*s %.*s %.*s\n", binding->Operation.len,
			 record_text(rec, binding->Operation), binding->Consumer.len,
			 record_text(rec, binding->Consumer), binding->Filter.len,
			 record_text(rec, binding->Filter));
	} else if (rec->type == KS_CONFIG_RENAME) {
		const struct ks_rec_CONFIG_RENAME *rename = (const void *)rec;

		snprintf(told + n, sizeof(told) - n, "%.*s %.*s %.*s\n", rename->EventType.len,
			 record_text(rec, rename->EventType), rename->TargetObject.len,
			 record_text(rec, rename->TargetObject), rename->NewName.len,
			 record_text(rec, rename->NewName));
	} else if (rec->type == KS_CONFIG_KEY)
		snprintf(told + n, sizeof(told) - n, "%.*s %.*s\n", key->EventType.len,
			 record_text(rec, key->EventType), key->TargetObject.len,
			 record_text(rec, key->TargetObject));
	else
		snprintf(told + n, sizeof(told) - n, value->before_known ? "%.*s=%.*s before %.*s\n" : "%.*s=%.*s\n",
			 value->TargetObject.len, record_text(rec, value->TargetObject), value->value.len,
			 record_text(rec, value->value), value->before.len, record_text(rec, value->before));
}

static const struct changes_out out = { NULL, note };

struct file {
	const char *path, *digest, *nodes;
	size_t nodes_length;
	bool is_tree, is_gone;
};

static size_t put_file(uint8_t *to, const struct file *f)
{
	struct settings_head head = { .path = (uint32_t)strlen(f->path) + 1, .nodes = (uint32_t)f->nodes_length,
				      .is_tree = f->is_tree, .is_gone = f->is_gone };

	snprintf(head.digest, sizeof(head.digest), "%s", f->digest);
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), f->path, head.path);
	memcpy(to + sizeof(head) + head.path, f->nodes, head.nodes);
	return sizeof(head) + head.path + head.nodes;
}

static int sealed_bytes(const uint8_t *bytes, size_t n)
{
	int fd = memfd_create("list", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	assert_int_equal(help_write(fd, bytes, n), 0);
	assert_int_equal(help_seal(fd), 0);
	return fd;
}

static int list_of(const struct file *f)
{
	static uint8_t bytes[1 << 20];

	return sealed_bytes(bytes, put_file(bytes, f));
}

static const struct ks_who who = { .tgid = 77 };

static const char *after_write(struct changes *c, const struct file *f)
{
	OWNED_FD fd = list_of(f);

	told[0] = 0;
	assert_true(changes_touched_take(c, -1, f->path, strlen(f->path), &who, 5, 0));
	changes_answer(c, fd, &out);
	assert_null(changes_head(c));
	return told;
}

#define TREE(digest, nodes) { "/etc/f", digest, nodes, sizeof(nodes), true, false }
#define PLAIN(digest)       { "/etc/f", digest, "", 0, false, false }

#define FILTER(query)       "n\0wcron\x1f" query "\0n\0xScript\x1f" "d\0n\x1fn\0y"

static const struct {
	struct file before, now;
	const char *told;
} cases[] = {
	{ TREE("1", "/a\0v1\0/b\0v2"), TREE("1", "/a\0v1\0/b\0v2"), "" },
	{ TREE("1", "/a\0v1\0/b\0v2"), TREE("2", "/b\0v2\0/a\0v1"), "" }, /* comments, or another order */
	{ TREE("1", "/a\0v1\0/b\0v2"), TREE("2", "/a\0v1\0/b\0v3"), "/etc/f/b=3 before 2\n" },
	{ TREE("1", "/a\0v1"), TREE("2", "/a\0v1\0/b\0v\0/c\0k"), "CreateKey /etc/f/c\nCreateValue /etc/f/b\n/etc/f/b=\n" },
	{ TREE("1", "/a\0v1\0/c\0k"), TREE("2", "/a\0v1"), "DeleteKey /etc/f/c\n" },
	{ TREE("1", "/a\0v1\0/c\0v2"), TREE("2", "/c\0v2"), "DeleteValue /etc/f/a\n" },
	/* Another name for the same value at the same place, or for a section with all that is in it. */
	{ TREE("1", "/a\0v1\0/c\0v2"), TREE("2", "/b\0v1\0/c\0v2"), "RenameValue /etc/f/a /etc/f/b\n/etc/f/b=1\n" },
	{ TREE("1", "/s\0k\0/s/x\0v1"), TREE("2", "/t\0k\0/t/x\0v1"), "RenameKey /etc/f/s /etc/f/t\n/etc/f/t/x=1\n" },
	{ TREE("1", "/s\0k\0/s/u\0k\0/s/u/x\0v1"), TREE("2", "/t\0k\0/t/u\0k\0/t/u/x\0v1"),
	  "RenameKey /etc/f/s /etc/f/t\n/etc/f/t/u/x=1\n" },
	{ TREE("1", "/s\0k\0/s/x\0v1"), TREE("2", "/s\0k\0/s/y\0v1"), "RenameValue /etc/f/s/x /etc/f/s/y\n/etc/f/s/y=1\n" },
	/* Neither of these: other content, another place, no value, only a number, or more than one can be meant. */
	{ TREE("1", "/s\0k\0/s/x\0v1"), TREE("2", "/t\0k\0/t/x\0v2"),
	  "DeleteKey /etc/f/s\nCreateKey /etc/f/t\nDeleteValue /etc/f/s/x\nCreateValue /etc/f/t/x\n/etc/f/t/x=2\n" },
	{ TREE("1", "/s\0k\0/t\0k\0/s/x\0v1"), TREE("2", "/s\0k\0/t\0k\0/t/x\0v1"),
	  "DeleteValue /etc/f/s/x\nCreateValue /etc/f/t/x\n/etc/f/t/x=1\n" },
	{ TREE("1", "/a\0v"), TREE("2", "/b\0v"), "DeleteValue /etc/f/a\nCreateValue /etc/f/b\n/etc/f/b=\n" },
	{ TREE("1", "/a\0v1"), TREE("2", "/a[1]\0v1\0/a[2]\0v2"),
	  "DeleteValue /etc/f/a\nCreateValue /etc/f/a[1]\n/etc/f/a[1]=1\nCreateValue /etc/f/a[2]\n/etc/f/a[2]=2\n" },
	{ TREE("1", "/a\0v1"), TREE("2", "/b\0v1\0/c\0v1"),
	  "DeleteValue /etc/f/a\nCreateValue /etc/f/b\n/etc/f/b=1\nCreateValue /etc/f/c\n/etc/f/c=1\n" },
	{ TREE("1", "/a\0v1\0/b\0v1"), TREE("2", "/c\0v1"),
	  "DeleteValue /etc/f/a\nDeleteValue /etc/f/b\nCreateValue /etc/f/c\n/etc/f/c=1\n" },
	{ TREE("1", "/a\0v1"), PLAIN("2"), "/etc/f=2\n" }, /* no longer parsed */
	{ PLAIN("1"), TREE("2", "/a\0v1"), "/etc/f=2\n" },
	{ PLAIN("1"), PLAIN(""), "/etc/f=-\n" }, /* not readable any more */
	{ { "/etc/g", "1", "", 0, false, false }, PLAIN("2"), "CreateKey /etc/f\n/etc/f=2\n" },
	{ { "/etc/g", "1", "", 0, false, false }, TREE("2", "/a\0v1"),
	  "CreateKey /etc/f\nCreateValue /etc/f/a\n/etc/f/a=1\n" },
	{ { "/etc/g", "1", "", 0, false, false }, { "/etc/f", "2", "", 0, false, true }, "/etc/f=2\n" },
	{ PLAIN("1"), { "/etc/f", "2", FILTER("q"), sizeof(FILTER("q")), false, false },
	  "/etc/f=2\n19 Created cron n q\n20 Created n Script d\n21 Created n n\n" },
	{ { "/etc/f", "1", FILTER("q"), sizeof(FILTER("q")), false, false },
	  { "/etc/f", "2", FILTER("r"), sizeof(FILTER("r")), false, false }, "/etc/f=2\n19 Modified cron n r\n" },
	{ { "/etc/f", "1", FILTER("q"), sizeof(FILTER("q")), false, false }, PLAIN("2"),
	  "/etc/f=2\n19 Deleted cron n q\n20 Deleted n Script d\n21 Deleted n n\n" },
	/* Symbolic links, and what takes the place of one. */
	{ { "/etc/g", "1", "", 0, false, false }, TREE("2", "\0z/to"), "CreateKey /etc/f\n/etc/f=/to\n" },
	{ TREE("1", "\0z/to"), TREE("2", "\0z/other"), "/etc/f=/other before /to\n" },
	{ PLAIN("1"), TREE("2", "\0z/to"), "/etc/f=/to\n" },
	{ TREE("1", "\0z/to"), PLAIN("2"), "/etc/f=2\n" },
	{ PLAIN("1"), { "/home/f", "2", "", 0, false, false }, "" }, /* not ours to tell */
};

static void only_what_is_different_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		OWNED(changes) c = changes_new();
		OWNED_FD survey = list_of(&cases[i].before);

		changes_take_survey(c, survey);
		if (strcmp(after_write(c, &cases[i].now), cases[i].told) != 0)
			fail_msg("case %zu: %s", i, told);
		assert_string_equal(after_write(c, &cases[i].now), cases[i].now.is_gone ? cases[i].told :
				    *cases[i].now.digest ? "" : "/etc/f=-\n");
	}
}

static void what_was_written_before_the_first_look_is_told_as_a_whole(void **state)
{
	OWNED(changes) c = changes_new();
	struct file f = TREE("1", "/a\0v1");
	OWNED_FD fd = list_of(&f);

	(void)state;
	told[0] = 0;
	assert_true(changes_touched_take(c, -1, f.path, strlen(f.path), &who, 5, 0));
	assert_false(changes_is_surveyed(c));
	changes_take_survey(c, fd);
	changes_answer(c, fd, &out);
	assert_string_equal(told, "/etc/f=1\n");
}

static void many_differences_are_one(void **state)
{
	OWNED(changes) c = changes_new();
	static char nodes[8192];
	struct file before = TREE("1", "/a\0v1"), now = { "/etc/f", "2", nodes, 0, true, false };
	OWNED_FD survey = list_of(&before);

	(void)state;
	for (int i = 0; i < 101; i++)
		now.nodes_length += (size_t)snprintf(nodes + now.nodes_length, 64, "/n%d%cv%d", i, 0, i) + 1;
	changes_take_survey(c, survey);
	assert_string_equal(after_write(c, &now), "/etc/f=2\n");
}

static void a_deleted_file_is_forgotten(void **state)
{
	OWNED(changes) c = changes_new();
	struct file f = PLAIN("1");
	OWNED_FD survey = list_of(&f);

	(void)state;
	changes_take_survey(c, survey);
	told[0] = 0;
	changes_deleted(c, f.path, strlen(f.path), &who, 5, &out);
	assert_string_equal(told, "DeleteKey /etc/f\n");
	assert_string_equal(after_write(c, &f), "CreateKey /etc/f\n/etc/f=1\n");
}

static void a_renamed_file_is_another_one_from_then_on(void **state)
{
	OWNED(changes) c = changes_new();
	struct file f = { "/etc/f", "1", FILTER("q"), sizeof(FILTER("q")), false, false };
	OWNED_FD survey = list_of(&f);

	(void)state;
	changes_take_survey(c, survey);
	told[0] = 0;
	changes_renamed(c, "/etc/fff", 6, "/etc/ggg", 6, &who, 5, &out);
	assert_string_equal(told, "RenameKey /etc/f /etc/g\n19 Deleted cron n q\n20 Deleted n Script d\n21 Deleted n n\n");
	assert_string_equal(after_write(c, &f), "CreateKey /etc/f\n/etc/f=1\n19 Created cron n q\n20 Created n Script d\n21 Created n n\n");
}

static void more_than_can_wait_is_refused(void **state)
{
	OWNED(changes) c = changes_new();
	unsigned taken = 0;

	(void)state;
	while (taken < 1000 && changes_touched_take(c, open("/dev/null", O_RDONLY), NULL, 0, &who, 1, 0))
		taken++;
	assert_int_equal(taken, 256);
	changes_answer(c, -1, &out); /* no answer: passed over */
	assert_true(changes_touched_take(c, -1, "/etc/f", 6, &who, 1, 0));
}

/* Each byte of a list changed in turn: what is read stays within it. */
/* What was closed after writing is told by that; what was not is looked at after a moment, in the name of who made it. */
static void what_was_made_and_not_told_is_overdue(void **state)
{
	const struct file f = { "/etc/told", "1", "", 0, false, false };
	OWNED(changes) c = changes_new();
	struct change late;
	OWNED_FD fd = -1;

	(void)state;
	assert_true(changes_expect(c, "/etc/told", 9, &who, 5, CHANGE_MADE));
	assert_true(changes_expect(c, "/etc/not", 8, &who, 6, CHANGE_MADE));
	assert_true(changes_expect(c, "/etc/gone", 9, &who, 7, 0));
	after_write(c, &f);
	changes_deleted(c, "/etc/gone", 9, &who, 8, &out);
	assert_false(changes_overdue_take(c, 6, &late));
	assert_true(changes_overdue_take(c, 10000000000, &late));
	assert_string_equal(late.path, "/etc/not");
	assert_int_equal(late.flags, CHANGE_EARLY | CHANGE_MADE);
	assert_int_equal(late.time_ns, 6);
	free(late.path);
	assert_false(changes_overdue_take(c, 10000000000, &late));
	/* One that was asked about twice because the first answer took long. */
	assert_true(changes_touched_take(c, -1, f.path, strlen(f.path), &who, 5, CHANGE_EARLY | CHANGE_MADE));
	fd = list_of(&f);
	told[0] = 0;
	changes_answer(c, fd, &out);
	assert_string_equal(told, "");
	for (unsigned i = 0; i < 1024; i++) {
		char path[32];

		assert_true(changes_expect(c, path, (size_t)snprintf(path, sizeof(path), "/etc/%u", i), &who, 9, 0));
	}
	assert_false(changes_expect(c, "/etc/many", 9, &who, 9, 0));
}

static void a_broken_list_is_harmless(void **state)
{
	struct file f = TREE("1", "/a\0v1\0/b\0k");
	uint8_t bytes[512];
	size_t n = put_file(bytes, &f);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t *exact = malloc(n); /* reading beyond shows under the sanitizer */
			struct settings_entry entry;
			struct settings_node node;
			size_t at = 0;
			uint32_t place = 0;

			memcpy(exact, bytes, n);
			exact[i] ^= (uint8_t)(1u << bit);
			while (settings_next(exact, n, &at, &entry))
				while (settings_node(&entry, &place, &node))
					assert_true(strlen(node.name) < n);
			free(exact);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_different_is_told),
		cmocka_unit_test(what_was_written_before_the_first_look_is_told_as_a_whole),
		cmocka_unit_test(many_differences_are_one),
		cmocka_unit_test(a_deleted_file_is_forgotten),
		cmocka_unit_test(a_renamed_file_is_another_one_from_then_on),
		cmocka_unit_test(more_than_can_wait_is_refused),
		cmocka_unit_test(what_was_made_and_not_told_is_overdue),
		cmocka_unit_test(a_broken_list_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
