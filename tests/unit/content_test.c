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

#include "../../src/daemon/content.h"
#include "../../src/daemon/pins.h"

/* An empty file under a name of its own, held. */
static int pin_new(char name[16], struct ks_file_id *id)
{
	char pattern[16] = "content.XXXXXX";
	int file = mkstemp(pattern);
	struct stat st;

	assert_true(file >= 0);
	memcpy(name, pattern, sizeof(pattern));
	assert_int_equal(fstat(file, &st), 0);
	*id = (struct ks_file_id){ .ino = st.st_ino };
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

static void another_file_with_the_same_number_is_not_found(void **state)
{
	uint32_t words[HANDLE_WORDS];
	struct ks_file_id id;
	char name[16];
	int file = pin_new(name, &id);
	unsigned n = handle_of_file(file, words);

	(void)state;
	unlink(name);
	assert_true(n > 0);
	id.mtime_ns = 7;
	id.generation = words[n - 1];
	assert_int_equal(pins_find(&id), file);
	id.generation = ~words[n - 1];
	assert_int_equal(pins_find(&id), -1);
	pins_drop(&id);
	id.generation = 0; /* not known */
	assert_int_equal(pins_find(&id), file);
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

static int another(void)
{
	int file = open("/dev/null", O_RDONLY);

	assert_true(file >= 0);
	return file;
}

static void a_new_file_is_asked_about_once_or_never(void **state)
{
	struct ks_file_id id = { .ino = 77 };
	int file = another(), again = another();

	(void)state;
	assert_int_equal(pins_put_new_take(file, &id, 10).file, -1);
	assert_int_equal(pins_put_new_take(again, &id, 20).file, -1); /* written once more: as old as before */
	assert_int_equal(fcntl(file, F_GETFD), -1);
	assert_int_equal(pins_next_new(10).file, -1);
	assert_int_equal(pins_find(&id), again);
	assert_int_equal(pins_next_new(11).file, again);
	assert_int_equal(pins_find(&id), -1);

	pins_put_take(again, &id, 30); /* it is wanted, and stays so when it is written again */
	file = another();
	assert_int_equal(pins_put_new_take(file, &id, 40).file, -1);
	assert_int_equal(pins_next_new(50).file, -1);
	assert_int_equal(pins_find(&id), file);

	pins_drop(&id);
	assert_int_equal(pins_find(&id), -1);
}

static void where_there_is_no_room_the_oldest_new_file_is_given_back(void **state)
{
	struct ks_file_id id = { .ino = 5 };
	struct pinned out = { .file = -1 };
	unsigned put = 0;

	(void)state;
	for (; out.file < 0; put++) {
		id.dev = put; /* of one number, so of one set */
		out = pins_put_new_take(another(), &id, 100 - put);
	}
	assert_int_equal(put, 5);
	assert_int_equal(out.id.dev, 3);
	close(out.file);
	pins_drop_all();
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
		cmocka_unit_test(another_file_with_the_same_number_is_not_found),
		cmocka_unit_test(what_was_just_deleted_is_not_swept_away),
		cmocka_unit_test(a_new_file_is_asked_about_once_or_never),
		cmocka_unit_test(where_there_is_no_room_the_oldest_new_file_is_given_back),
		cmocka_unit_test(what_was_written_is_news_once),
	};

	return cmocka_run_group_tests(tests, no_pins, NULL);
}
