/* SPDX-License-Identifier: MIT */
/* What tells one file from another, where the engine has descriptors and numbers only: numbers of inodes are used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/base/clock.h"
#include "../../src/daemon/content.h"
#include "../../src/daemon/pins.h"

#define SECOND 1000000000u

/* An empty file under a name of its own, held. */
static int pin_new(char name[16], struct ks_file_id *id)
{
	char pattern[16] = "content.XXXXXX";
	int file = mkstemp(pattern);
	struct stat st;

	assert_true(file >= 0);
	memcpy(name, pattern, sizeof(pattern));
	assert_int_equal(fstat(file, &st), 0);
	*id = (struct ks_file_id){ .ino = st.st_ino, .ctime_ns = time_ns(st.st_ctim), .mtime_ns = time_ns(st.st_mtim) };
	pins_put_take(file, id, 1);
	return file;
}

static void a_file_is_held_until_it_is_dropped(void **state)
{
	struct ks_file_id id;
	char name[16];
	int file = pin_new(name, &id);

	(void)state;
	unlink(name);
	assert_int_equal(pins_find(&id), file);
	assert_int_equal(pins_find(&id), file);
	pins_drop(&id);
	assert_int_equal(pins_find(&id), -1);
	assert_int_equal(fcntl(file, F_GETFD), -1);
}

static void a_later_file_with_the_same_number_is_another(void **state)
{
	struct ks_file_id id, deleted;
	char name[16];
	int file = pin_new(name, &id);

	(void)state;
	unlink(name);
	deleted = id;
	deleted.ctime_ns -= SECOND;
	assert_int_equal(pins_find(&deleted), file); /* a clock that was set back: its content is of the same time */
	deleted.mtime_ns -= 2 * (uint64_t)SECOND;
	assert_int_equal(pins_find(&deleted), -1);
	deleted.ctime_ns = id.ctime_ns + SECOND; /* written and deleted later */
	assert_int_equal(pins_find(&deleted), file);
	pins_drop_all();
}

static void sweep(uint64_t before_ns, uint64_t now_ns)
{
	for (int i = 0; i < 8; i++)
		pins_sweep(before_ns, now_ns);
}

static void what_was_just_deleted_is_not_swept_away(void **state)
{
	struct ks_file_id id;
	char name[16];
	int file = pin_new(name, &id);

	(void)state;
	sweep(90, 100);
	assert_int_equal(pins_find(&id), file);
	unlink(name);
	sweep(190, 200);
	sweep(195, 205);
	assert_int_equal(pins_find(&id), file);
	sweep(201, 300);
	assert_int_equal(pins_find(&id), -1);
}

static void what_was_written_is_news_once(void **state)
{
	struct written one = { .id = { .ino = 5, .dev = 1, .size = 7, .mtime_ns = 100, .ctime_ns = 100 }, .handle = 1 }, other = one;

	(void)state;
	other.handle = 2;
	assert_true(written_is_news(&one, 0));
	assert_false(written_is_news(&one, 0));
	assert_true(written_is_news(&other, 0));
	assert_false(written_is_news(&other, 0));
	other.id.ctime_ns = 101;
	assert_true(written_is_news(&other, 0));
	other.id.ctime_ns = 102;
	assert_false(written_is_news(&other, 103));
}

static int no_pins(void **state)
{
	(void)state;
	pins_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_held_until_it_is_dropped),
		cmocka_unit_test(a_later_file_with_the_same_number_is_another),
		cmocka_unit_test(what_was_just_deleted_is_not_swept_away),
		cmocka_unit_test(what_was_written_is_news_once),
	};

	return cmocka_run_group_tests(tests, no_pins, NULL);
}
